// SPDX-License-Identifier: MIT
/*
 * Do the engines work at the same time? A layer takes little longer than its busiest engine is busy, and
 * the wins of interleaving are there, both read from reports of executed streams.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "planner.h"

/* ---------------------------------------------------------------- a layer on a device */

struct machine {
	uint32_t side, sram_kib, width;
	bool overlap;
};

struct layer {
	uint32_t batch, in, out;
};

struct lab {
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *cmdbuf;
	struct igrad_buffer *buffer;
	struct igrad_matrix x, w, b, y, dy, dx, vw, vb;
	struct igrad_linear_backward args;
};

static struct igrad_matrix place(uint64_t *size, uint32_t rows, uint32_t cols,
				 enum igrad_element dtype)
{
	struct igrad_matrix m = {.offset = *size, .rows = rows, .cols = cols, .dtype = dtype};

	*size += 4ull * rows * cols;
	return m;
}

static void lab_open(struct lab *lab, const struct machine *machine, const struct layer *layer,
		     enum igrad_element dtype)
{
	struct igrad_matrix *const all[] = {&lab->x,  &lab->w,	&lab->b,  &lab->y,
					    &lab->dy, &lab->dx, &lab->vw, &lab->vb};
	char uri[128];
	uint64_t size = 0;

	snprintf(uri, sizeof(uri),
		 "sim:rows=%u,cols=%u,sram-kib=%u,dram-bytes-per-cycle=%u,overlap=%s,timing-only=on",
		 machine->side, machine->side, machine->sram_kib, machine->width,
		 machine->overlap ? "on" : "off");
	assert_int_equal(igrad_device_open(uri, &lab->device, NULL), 0);
	assert_int_equal(igrad_queue_new(lab->device, &lab->queue), 0);
	assert_int_equal(igrad_cmdbuf_new(lab->device, &lab->cmdbuf), 0);
	lab->x = place(&size, layer->batch, layer->in, dtype);
	lab->w = place(&size, layer->in, layer->out, IGRAD_FP32);
	lab->b = place(&size, 1, layer->out, IGRAD_FP32);
	lab->y = place(&size, layer->batch, layer->out, dtype);
	lab->dy = place(&size, layer->batch, layer->out, dtype);
	lab->dx = place(&size, layer->batch, layer->in, dtype);
	lab->vw = place(&size, layer->in, layer->out, IGRAD_FP32);
	lab->vb = place(&size, 1, layer->out, IGRAD_FP32);
	assert_int_equal(igrad_buffer_new(lab->device, size, &lab->buffer), 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		all[i]->buffer = lab->buffer;
	lab->args = (struct igrad_linear_backward){
		.x = &lab->x,
		.w = &lab->w,
		.b = &lab->b,
		.y = &lab->y,
		.dy = &lab->dy,
		.dx = &lab->dx,
		.vw = &lab->vw,
		.vb = &lab->vb,
		.optimizer = {.lr = 0.1f, .momentum = 0.9f},
	};
}

static void lab_close(struct lab *lab)
{
	igrad_cmdbuf_unref(lab->cmdbuf);
	igrad_queue_unref(lab->queue);
	igrad_buffer_unref(lab->buffer);
	igrad_device_unref(lab->device);
}

static void run(struct lab *lab, enum igrad_schedule schedule, enum igrad_update update,
		struct igrad_plan *plan, struct igrad_report *report)
{
	struct igrad_task task = {.backward = &lab->args};

	lab->args.schedule = schedule;
	lab->args.optimizer.update = update;
	assert_int_equal(igrad_planner_choose(lab->device, &task, plan), 0);
	assert_int_equal(igrad_cmdbuf_reset(lab->cmdbuf), 0);
	assert_int_equal(igrad_backward_build(lab->cmdbuf, &lab->args, plan), 0);
	assert_int_equal(igrad_queue_run(lab->queue, lab->cmdbuf, report), 0);
}

/* ---------------------------------------------------------------- concurrency */

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Bytes of the blocks in @roles that are there at the same time: what is resident is there as a whole. */
static uint64_t bytes_there(const struct igrad_problem *problem, const struct igrad_plan *plan,
			    uint32_t roles)
{
	uint64_t bytes = 0;

	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		struct igrad_size size = igrad_role_size(problem, role);
		struct igrad_size block = igrad_role_block(plan, role);

		if (!(problem->home & roles & 1u << role))
			continue;
		if (plan->slots[role] >= igrad_plan_visits(problem, plan, role).sweep &&
		    igrad_plan_visits(problem, plan, role).sweep > 1)
			block = size;
		bytes += (problem->half & 1u << role ? 2ull : 4ull) * block.rows * block.cols;
	}
	return bytes;
}

#define BIT(role) (1u << IGRAD_ROLE_##role)

/* What comes before the first stream and after the last, when nothing else can be done. */
static uint64_t fill_and_drain(const struct lab *lab, const struct igrad_plan *plan)
{
	const struct igrad_device_info *info = igrad_device_info(lab->device);
	struct igrad_problem problem;
	uint64_t in, out;

	assert_int_equal(igrad_backward_problem(&problem, info, &lab->args, plan->schedule), 0);
	in = bytes_there(&problem, plan, BIT(X) | BIT(W) | BIT(Y) | BIT(DY) | BIT(VW));
	out = bytes_there(&problem, plan, BIT(DX) | BIT(W) | BIT(VW));
	return (in + out) / info->dram_bytes_per_cycle + 2 * info->dram_latency +
	       2 * (info->rows + info->cols);
}

static void check_time(const struct lab *lab, const struct machine *m, const struct layer *l,
		       const struct igrad_plan *plan, const struct igrad_report *r)
{
	uint64_t dma = max_u64(r->busy[IGRAD_ENGINE_LOAD], r->busy[IGRAD_ENGINE_STORE]);
	uint64_t array = r->busy[IGRAD_ENGINE_ARRAY];
	uint64_t most = max_u64(max_u64(dma, array), r->busy[IGRAD_ENGINE_VECTOR]);
	uint64_t ends = fill_and_drain(lab, plan);

	if (getenv("IGRAD_TEST_VERBOSE"))
		print_message("# %s %s, %u×%u, %u KiB, %u bytes a cycle, overlap %d, %u×%u×%u, blocks "
			      "%u×%u×%u: "
			      "array %llu, DMA %llu, %.3f of the busiest, ends %.3f\n",
			      igrad_schedule_name(plan->schedule),
			      lab->args.optimizer.update == IGRAD_UPDATE_SGD ? "sgd" : "momentum",
			      m->side, m->side, m->sram_kib, m->width, m->overlap, l->batch, l->in,
			      l->out, plan->block[0], plan->block[1], plan->block[2],
			      (unsigned long long)array, (unsigned long long)dma,
			      (double)r->cycles / most, (double)ends / most);
	if (array * 4 > dma * 3 && dma * 4 > array * 3)
		return; /* as good as equal: they take turns in being late */
	if (r->cycles > 1.05 * most + ends)
		print_error("%s, %u×%u, %u KiB, %u bytes a cycle, %u×%u×%u: %llu cycles, the busiest "
			 "engine %llu, fill and drain %llu",
			 igrad_schedule_name(plan->schedule), m->side, m->side, m->sram_kib,
			 m->width, l->batch, l->in, l->out, (unsigned long long)r->cycles,
			 (unsigned long long)most, (unsigned long long)ends);
}

static void test_engines_overlap(void **state)
{
	static const struct layer layers[] = {
		{256, 1024, 1024}, {64, 784, 256}, {32, 512, 512}, {1000, 300, 500}, {16, 2048, 96},
	};
	static const uint32_t srams[] = {256, 1024, 4096}, widths[] = {16, 64, 256};

	(void)state;
	for (size_t c = 0; c < 5 * 3 * 3 * 2; c++) {
		const struct layer *layer = &layers[c % 5];
		const struct machine machine = {32, srams[c / 5 % 3], widths[c / 15 % 3], c / 45};
		struct lab lab;

		lab_open(&lab, &machine, layer, c % 4 ? IGRAD_FP32 : IGRAD_BF16);
		for (int schedule = 0; schedule < IGRAD_SCHEDULE_AUTO; schedule++) {
			enum igrad_update update = IGRAD_UPDATE_SGD + (c + schedule) % 2;
			struct igrad_report report;
			struct igrad_plan plan;

			run(&lab, schedule, update, &plan, &report);
			check_time(&lab, &machine, layer, &plan, &report);
		}
		lab_close(&lab);
	}
}

/* ---------------------------------------------------------------- what interleaving wins */

static void test_utilisation(void **state)
{
	const struct machine machine = {32, 4096, 256, true};
	const struct layer layer = {256, 1024, 1024};
	struct igrad_report report;
	struct igrad_plan plan;
	struct lab lab;

	(void)state;
	lab_open(&lab, &machine, &layer, IGRAD_FP32);
	run(&lab, IGRAD_SCHEDULE_INTERLEAVED, IGRAD_UPDATE_SGD, &plan, &report);
	assert_true(report.macs >= 0.95 * report.cycles * 32 * 32);
	lab_close(&lab);
}

static void check_accesses(const struct layer *layer, uint32_t side)
{
	const struct machine machine = {side, 16384, 64, true};
	struct igrad_report paper, ws, interleaved;
	uint64_t ours, theirs;
	struct igrad_plan plan;
	struct lab lab;

	lab_open(&lab, &machine, layer, IGRAD_FP32);
	run(&lab, IGRAD_SCHEDULE_WS_PAPER, IGRAD_UPDATE_SGD, &plan, &paper);
	run(&lab, IGRAD_SCHEDULE_WS, IGRAD_UPDATE_SGD, &plan, &ws);
	run(&lab, IGRAD_SCHEDULE_INTERLEAVED, IGRAD_UPDATE_SGD, &plan, &interleaved);
	ours = igrad_report_sram_accesses(&interleaved);
	theirs = igrad_report_sram_accesses(&ws);
	if (getenv("IGRAD_TEST_VERBOSE"))
		print_message("# %u×%u, %u×%u×%u: accesses ÷ %.3f and %.3f\n", side, side,
			      layer->batch, layer->in, layer->out,
			      (double)igrad_report_sram_accesses(&paper) / ours,
			      (double)theirs / ours);
	if (igrad_report_sram_accesses(&paper) < 1.5 * ours || theirs < 1.3 * ours)
		print_error("%u×%u×%u on %u×%u: %llu accesses, ws %llu, ws-paper %llu", layer->batch,
			 layer->in, layer->out, side, side, (unsigned long long)ours,
			 (unsigned long long)theirs,
			 (unsigned long long)igrad_report_sram_accesses(&paper));
	lab_close(&lab);
}

/* With the update in the array, layers of at least four tiles each way, and any batch. */
static void test_accesses(void **state)
{
	static const uint32_t batches[] = {1, 3, 8, 31, 32, 33, 64, 100, 256, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
		check_accesses(&(struct layer){batches[i], 128, 128}, 32);
		check_accesses(&(struct layer){batches[i], 200, 333}, 32);
		check_accesses(&(struct layer){batches[i], 64, 512}, 16);
		check_accesses(&(struct layer){batches[i], 512, 64}, 16);
		check_accesses(&(struct layer){batches[i], 512, 1024}, 128);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engines_overlap),
		cmocka_unit_test(test_utilisation),
		cmocka_unit_test(test_accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
