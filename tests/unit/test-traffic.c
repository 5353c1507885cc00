// SPDX-License-Identifier: MIT
/*
 * Plans as they are carried out: any plan at all gives the same bits, and moves exactly the bytes
 * that its traffic says.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lab.h"
#include "linear-search.h"
#include "matrices.h"

static unsigned int num_cases(void)
{
	return getenv("IGRAD_TEST_LONG") ? 4000 : 400;
}

static void open_any(struct lab *lab, struct igrad_rng *rng)
{
	static const unsigned int sides[] = {1, 2, 3, 4, 5, 8, 13, 16};
	static const unsigned int srams[] = {16, 17, 24, 64};
	char uri[128];

	snprintf(uri, sizeof(uri), "sim:rows=%u,cols=%u,sram-kib=%u,overlap=%s",
		 sides[igrad_rng_below(rng, 8)], sides[igrad_rng_below(rng, 8)],
		 srams[igrad_rng_below(rng, 4)], igrad_rng_below(rng, 2) ? "on" : "off");
	lab_open(lab, uri);
}

/* ---------------------------------------------------------------- layers */

/* A layer's operands, by role, and a pass that uses them. */
struct layer {
	uint32_t dim[IGRAD_NUM_DIMS];
	enum igrad_element dtype; /* of activations */
	struct igrad_matrix m[IGRAD_NUM_ROLES];
	struct igrad_linear_forward forward;
	struct igrad_linear_backward backward;
	bool is_backward;
};

static const struct igrad_matrix *maybe(struct igrad_rng *rng, const struct igrad_matrix *m)
{
	return igrad_rng_below(rng, 2) ? m : NULL;
}

static void layer_draw(struct layer *layer, struct igrad_rng *rng)
{
	struct igrad_linear_backward *b = &layer->backward;
	struct igrad_matrix *m = layer->m;

	memset(layer, 0, sizeof(*layer));
	for (int d = 0; d < IGRAD_NUM_DIMS; d++)
		layer->dim[d] = random_between(rng, 1, igrad_rng_below(rng, 3) ? 40 : 90);
	layer->is_backward = igrad_rng_below(rng, 4);
	layer->dtype = igrad_rng_below(rng, 3) ? IGRAD_FP32 : IGRAD_BF16;
	layer->forward = (struct igrad_linear_forward){
		.x = &m[IGRAD_ROLE_X],
		.w = &m[IGRAD_ROLE_W],
		.b = maybe(rng, &m[IGRAD_ROLE_BIAS]),
		.y = &m[IGRAD_ROLE_Y],
		.relu = igrad_rng_below(rng, 2),
	};
	*b = (struct igrad_linear_backward){
		.schedule = igrad_rng_below(rng, IGRAD_SCHEDULE_AUTO),
		.x = &m[IGRAD_ROLE_X],
		.w = &m[IGRAD_ROLE_W],
		.b = maybe(rng, &m[IGRAD_ROLE_BIAS]),
		.y = maybe(rng, &m[IGRAD_ROLE_Y]),
		.dy = &m[IGRAD_ROLE_DY],
		.dx = igrad_rng_below(rng, 4) ? &m[IGRAD_ROLE_DX] : NULL,
		.dw = maybe(rng, &m[IGRAD_ROLE_DW]),
		.db = maybe(rng, &m[IGRAD_ROLE_DB]),
		.vw = &m[IGRAD_ROLE_VW],
		.vb = &m[IGRAD_ROLE_VB],
		.sw = &m[IGRAD_ROLE_SW],
		.sb = &m[IGRAD_ROLE_SB],
		.adam = &m[IGRAD_ROLE_ADAM],
		.optimizer = {.update = igrad_rng_below(rng, 4),
			      .lr = 0.1f,
			      .momentum = 0.9f,
			      .decay = igrad_rng_below(rng, 2) ? 0.01f : 0.0f},
	};
	if (b->optimizer.update == IGRAD_UPDATE_NONE)
		b->dw = &m[IGRAD_ROLE_DW];
}

/* Operands full of numbers that follow from @seed. */
static void layer_fill(struct layer *layer, struct igrad_device *device, uint64_t seed)
{
	struct igrad_problem problem;
	struct igrad_rng rng;

	memcpy(problem.dim, layer->dim, sizeof(problem.dim));
	igrad_rng_seed(&rng, seed);
	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		struct igrad_size size = igrad_role_size(&problem, role);
		float *values = calloc((size_t)size.rows * size.cols, sizeof(*values));
		bool activation = role == IGRAD_ROLE_X || role == IGRAD_ROLE_Y ||
				  role == IGRAD_ROLE_DY || role == IGRAD_ROLE_DX;
		enum igrad_element dtype = activation ? layer->dtype : IGRAD_FP32;

		layer->m[role] = matrix_new_of(device, &rng, size.rows, size.cols, dtype);
		random_values(&rng, values, (size_t)size.rows * size.cols, false);
		for (size_t i = 0; dtype == IGRAD_BF16 && i < (size_t)size.rows * size.cols; i++)
			values[i] = (float)(int)(values[i] * 128) / 128; /* exact in bf16 */
		matrix_put(&layer->m[role], values);
		free(values);
	}
}

static void layer_free(struct layer *layer)
{
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		matrix_free(&layer->m[role]);
}

static int layer_problem(const struct layer *layer, const struct igrad_device_info *info,
			 struct igrad_problem *problem)
{
	return layer->is_backward ? igrad_backward_problem(problem, info, &layer->backward,
							   layer->backward.schedule)
				  : igrad_forward_problem(problem, info, &layer->forward);
}

static int layer_build(const struct layer *layer, struct igrad_cmdbuf *cmdbuf,
		       const struct igrad_plan *plan)
{
	return layer->is_backward ? igrad_backward_build(cmdbuf, &layer->backward, plan)
				  : igrad_forward_build(cmdbuf, &layer->forward, plan);
}

/* ---------------------------------------------------------------- plans */

/* Now and then large, now and then small. */
static uint32_t random_size(struct igrad_rng *rng, uint32_t dim)
{
	uint32_t parts = random_between(rng, 1, 8);

	if (!igrad_rng_below(rng, 4))
		return random_between(rng, 1, dim);
	return (dim - 1) / parts + 1;
}

static bool in_sram(const struct igrad_problem *problem, const struct igrad_plan *plan, int role)
{
	uint32_t roles = problem->home | problem->scratch;

	if (plan->block[IGRAD_DIM_B] < problem->dim[IGRAD_DIM_B] && !igrad_plan_keeps_acc(plan))
		roles |= problem->spill;
	return roles & 1u << role;
}

/* A plan that nobody would make, but that fits. */
static struct igrad_plan random_plan(struct igrad_rng *rng, const struct igrad_problem *problem)
{
	uint32_t order[IGRAD_NUM_DIMS] = {0, 1, 2};
	struct igrad_plan plan;

	do {
		memset(&plan, 0, sizeof(plan));
		plan.schedule = problem->schedule;
		plan.tile = (struct igrad_size){problem->device->rows, problem->device->cols};
		plan.narrow = problem->narrow;
		plan.dx_turned = plan.schedule == IGRAD_SCHEDULE_WS && !problem->narrow &&
				 igrad_rng_below(rng, 2);
		plan.dw_turned = plan.schedule == IGRAD_SCHEDULE_WS && igrad_rng_below(rng, 2);
		plan.dw_first = plan.schedule == IGRAD_SCHEDULE_WS && igrad_rng_below(rng, 2);
		igrad_rng_shuffle(rng, order, IGRAD_NUM_DIMS);
		for (int d = 0; d < IGRAD_NUM_DIMS; d++) {
			plan.order[d] = order[d];
			plan.block[d] = random_size(rng, problem->dim[d]);
		}
		for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
			uint64_t blocks = igrad_window_blocks(igrad_role_size(problem, role),
							      igrad_role_block(&plan, role));
			uint32_t few = igrad_min(blocks, 5);

			if (in_sram(problem, &plan, role))
				plan.slots[role] = random_between(
					rng, 1, igrad_rng_below(rng, 3) ? few : blocks);
		}
	} while (igrad_plan_bytes(&plan) > problem->device->sram_bytes);
	return plan;
}

static void print_plan(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	print_message(
		"# %s, schedule %d, update %d, home %x scratch %x spill %x, B=%u I=%u O=%u on "
		"%u×%u: blocks %u %u %u order %d%d%d turned %d%d slots",
		problem->backward ? "backward" : "forward", problem->schedule, problem->update,
		problem->home, problem->scratch, problem->spill, problem->dim[0], problem->dim[1],
		problem->dim[2], problem->device->rows, problem->device->cols, plan->block[0],
		plan->block[1], plan->block[2], plan->order[0], plan->order[1], plan->order[2],
		plan->dx_turned, plan->dw_turned);
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		print_message(" %u", plan->slots[role]);
	print_message("\n");
}

/* ---------------------------------------------------------------- the test */

static void same_results(const struct layer *a, const struct layer *b)
{
	static const char *const names[] = {"x",  "w",	"b",  "y",  "dy", "dx",	 "dw",
					    "db", "vw", "vb", "sw", "sb", "adam"};

	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		float *values = matrix_get(&b->m[role]);

		assert_matrix_is(names[role], &a->m[role], values);
		assert_margins(names[role], &a->m[role]);
		free(values);
	}
}

/* The pass as the library does it by itself. */
static void run_reference(struct lab *lab, struct layer *layer)
{
	int err = layer->is_backward ? igrad_linear_backward(lab->cmdbuf, &layer->backward)
				     : igrad_linear_forward_for(lab->cmdbuf, &layer->forward);

	assert_int_equal(err, 0);
	assert_int_equal(igrad_queue_run(lab->queue, lab->cmdbuf, NULL), 0);
	assert_int_equal(igrad_cmdbuf_reset(lab->cmdbuf), 0);
}

/* Returns whether the plan could be carried out. */
static bool run_plan(struct lab *lab, struct layer *layer, struct igrad_rng *rng)
{
	struct igrad_problem problem;
	struct igrad_traffic traffic;
	struct igrad_report report;
	struct igrad_plan plan;
	bool possible;
	int err;

	assert_int_equal(layer_problem(layer, igrad_device_info(lab->device), &problem), 0);
	plan = random_plan(rng, &problem);
	possible = igrad_plan_traffic(&problem, &plan, &traffic);
	if (getenv("IGRAD_TEST_VERBOSE"))
		print_plan(&problem, &plan);
	err = layer_build(layer, lab->cmdbuf, &plan);
	if (!possible)
		assert_int_equal(err, -EINVAL);
	else
		assert_int_equal(err, 0);
	if (possible) {
		assert_int_equal(igrad_queue_run(lab->queue, lab->cmdbuf, &report), 0);
		assert_int_equal(report.dram_read_bytes, traffic.read);
		assert_int_equal(report.dram_write_bytes, traffic.written);
	}
	assert_int_equal(igrad_cmdbuf_reset(lab->cmdbuf), 0);
	return possible;
}

static void test_any_plan(void **state)
{
	unsigned int carried_out = 0;

	(void)state;
	for (unsigned int number = 0; number < num_cases(); number++) {
		struct layer layer, reference;
		struct igrad_rng rng;
		struct lab lab;

		igrad_rng_seed(&rng, 7000 + number);
		open_any(&lab, &rng);
		igrad_rng_seed(&rng, 8000 + number);
		layer_draw(&layer, &rng);
		igrad_rng_seed(&rng, 8000 + number);
		layer_draw(&reference, &rng);
		layer_fill(&layer, lab.device, number);
		layer_fill(&reference, lab.device, number);
		if (run_plan(&lab, &layer, &rng)) {
			carried_out++;
			run_reference(&lab, &reference);
			same_results(&layer, &reference);
		}
		layer_free(&layer);
		layer_free(&reference);
		lab_close(&lab);
	}
	assert_true(carried_out > num_cases() / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
