// SPDX-License-Identifier: MIT
/*
 * igrad-sim paper: what the paper on interleaved gradients claims beside what is measured, on its
 * own ground first: layers of one tile, then of many, then on an array with shadow registers.
 *
 * The array's side alone is measured: operands in SRAM, from the first load of weights to the last
 * drain or update. The stream is the one that the library builds for such a layer, executed once
 * with its DMA, so that it is checked, and then again without.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "progress.h"
#include "record.h"

#define MOST_SRAM_KIB	262144
#define MOST_DRAM_WIDTH 65536

/* Cycles and words of a layer's backward pass in one schedule. */
struct cost {
	bool there;
	uint64_t cycles;
	uint64_t accesses;
};

/* A layer of in × out on N × N PEs, in every schedule. */
struct point {
	uint32_t n, in, out, batch;
	bool overlap;
	struct cost costs[IGRAD_NUM_SCHEDULES];
};

/* What is compared with interleaving. */
static const enum igrad_schedule baselines[] = {
	IGRAD_SCHEDULE_WS_PAPER,
	IGRAD_SCHEDULE_WS,
	IGRAD_SCHEDULE_WS_OS,
};

#define NUM_BASELINES (sizeof(baselines) / sizeof(baselines[0]))

/* ---------------------------------------------------------------- measuring */

/* Every operand comes in once and every result goes out once: all else has stayed in SRAM. */
static bool resident(const struct layer *l, const struct igrad_report *report)
{
	uint64_t x = (uint64_t)l->batch * l->in, y = (uint64_t)l->batch * l->out;
	uint64_t w = (uint64_t)l->in * l->out;

	return report->dram_read_bytes == 4 * (x + y + w) &&
	       report->dram_write_bytes == 4 * (x + w);
}

/* What the array and the vector unit did, without the DMA around it. The command buffer orders it
 * anew, by what the commands read and write. */
static int without_dma(struct simulator *sim, const struct record *record,
		       struct igrad_report *report)
{
	int err = igrad_cmdbuf_reset(sim->cmdbuf);

	for (size_t i = 0; i < record->count && !err; i++) {
		const struct event *event = &record->events[i];
		struct igrad_cmd cmd = event->cmd;

		if (event->engine != IGRAD_ENGINE_ARRAY && event->engine != IGRAD_ENGINE_VECTOR)
			continue;
		cmd.signal = 0;
		for (int w = 0; w < IGRAD_NUM_WAITS; w++)
			cmd.wait_sem[w] = cmd.wait_value[w] = 0;
		err = igrad_cmdbuf_emit(sim->cmdbuf, &cmd, NULL);
	}
	return err ? err : igrad_queue_run(sim->queue, sim->cmdbuf, report);
}

static int measure(struct simulator *sim, const struct layer *layer, enum igrad_schedule schedule,
		   struct cost *cost, struct igrad_error *error)
{
	const struct manner manner = {.optimizer = {IGRAD_UPDATE_SGD, .lr = 0.01f}};
	struct igrad_report report;
	struct result result;
	struct record record;
	int err = record_start(&record, sim, error), stop;

	if (err)
		return err;
	err = simulator_backward(sim, layer, &manner, schedule, &result, error);
	stop = record_stop(&record, sim, error);
	if (!err)
		err = stop;
	if (!err && !resident(layer, &result.report))
		err = fail(error, -EINVAL, "layer %u-%u, batch %u, %s: does not stay in SRAM",
			   layer->in, layer->out, layer->batch, igrad_schedule_name(schedule));
	if (!err)
		err = without_dma(sim, &record, &report);
	if (!err)
		*cost = (struct cost){true, report.cycles, igrad_report_sram_accesses(&report)};
	record_fini(&record);
	return err;
}

static int measure_point(struct point *p, struct igrad_error *error)
{
	const struct machine machine = {
		{p->n, p->n}, p->overlap, MOST_SRAM_KIB, MOST_DRAM_WIDTH, 0,
	};
	const struct layer layer = {.in = p->in, .out = p->out, .batch = p->batch};
	struct simulator sim;
	int err = simulator_open(&sim, &machine, NULL, error);

	if (err)
		return err;
	for (int schedule = 0; schedule <= IGRAD_SCHEDULE_INTERLEAVED && !err; schedule++) {
		err = measure(&sim, &layer, schedule, &p->costs[schedule], error);
		if (err == -ENOTSUP)
			err = 0;
	}
	simulator_close(&sim);
	return err;
}

/* ---------------------------------------------------------------- what is measured */

struct points {
	struct point *list;
	uint32_t count;
	uint32_t room;
};

static int add(struct points *points, struct point point)
{
	if (points->count == points->room) {
		uint32_t room = points->room ? 2 * points->room : 64;
		struct point *list = realloc(points->list, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		points->list = list;
		points->room = room;
	}
	points->list[points->count++] = point;
	return 0;
}

/* B = N/4 … 8N */
static int add_batches(struct points *points, uint32_t n, uint32_t in, uint32_t out, bool overlap)
{
	int err = 0;

	for (uint32_t batch = n / 4; batch <= 8 * n && !err; batch *= 2)
		err = add(points, (struct point){n, in, out, batch, overlap, {{0}}});
	return err;
}

static int add_all(struct points *points)
{
	static const struct {
		uint32_t n, in, out;
	} many[] = {
		{32, 256, 256},
		{32, 784, 256},
		{128, 1024, 1024},
	};
	int err = 0;

	for (int overlap = 0; overlap <= 1; overlap++) {
		for (uint32_t n = 8; n <= 128 && !err; n *= 2)
			err = add_batches(points, n, n, n, overlap);
		for (size_t i = 0; i < sizeof(many) / sizeof(many[0]) && !err; i++)
			err = add_batches(points, many[i].n, many[i].in, many[i].out, overlap);
	}
	return err;
}

/* ---------------------------------------------------------------- showing */

static double cycles_ratio(const struct point *p, enum igrad_schedule baseline)
{
	return (double)p->costs[baseline].cycles / p->costs[IGRAD_SCHEDULE_INTERLEAVED].cycles;
}

static double access_ratio(const struct point *p, enum igrad_schedule baseline)
{
	return (double)p->costs[baseline].accesses / p->costs[IGRAD_SCHEDULE_INTERLEAVED].accesses;
}

static int show_json(const struct points *points)
{
	struct json_object *rows = json_object_new_array();

	for (uint32_t i = 0; i < points->count; i++) {
		const struct point *p = &points->list[i];

		for (size_t b = 0; b < NUM_BASELINES; b++) {
			struct json_object *row;

			if (!p->costs[baselines[b]].there)
				continue;
			row = json_object_new_object();
			json_count(row, "n", p->n);
			json_count(row, "in", p->in);
			json_count(row, "out", p->out);
			json_count(row, "batch", p->batch);
			json_string(row, "overlap", p->overlap ? "on" : "off");
			json_string(row, "baseline", igrad_schedule_name(baselines[b]));
			json_real(row, "cycles_ratio", cycles_ratio(p, baselines[b]));
			json_real(row, "access_ratio", access_ratio(p, baselines[b]));
			json_object_array_add(rows, row);
		}
	}
	return json_print(rows);
}

static bool same_group(const struct point *a, const struct point *b)
{
	bool one_tile = a->in == a->n && a->out == a->n;

	if (a->overlap != b->overlap || one_tile != (b->in == b->n && b->out == b->n))
		return false;
	return one_tile || (a->n == b->n && a->in == b->in && a->out == b->out);
}

static void heading(const struct point *p)
{
	const char *array = p->overlap ? "overlap=on" : "overlap=off";

	if (p->in == p->n && p->out == p->n)
		printf("\nLayers of one N x N tile, %s%s\n", array,
		       p->overlap ? "" : ": the paper's ground");
	else
		printf("\n%u x %u on %u x %u, %s\n", p->in, p->out, p->n, p->n, array);
	printf("    N     B |    cycles:");
	for (size_t b = 0; b < NUM_BASELINES; b++)
		printf(" %9s", igrad_schedule_name(baselines[b]));
	printf("    interl. | over it:");
	for (size_t b = 0; b < NUM_BASELINES; b++)
		printf(" %8s", igrad_schedule_name(baselines[b]));
	printf(" | words:");
	for (size_t b = 0; b < NUM_BASELINES; b++)
		printf(" %8s", igrad_schedule_name(baselines[b]));
	printf("\n");
}

static void show_point(const struct point *p)
{
	printf("%5u %5u |            ", p->n, p->batch);
	for (size_t b = 0; b < NUM_BASELINES; b++)
		printf(" %9llu", (unsigned long long)p->costs[baselines[b]].cycles);
	printf(" %10llu |         ",
	       (unsigned long long)p->costs[IGRAD_SCHEDULE_INTERLEAVED].cycles);
	for (size_t b = 0; b < NUM_BASELINES; b++)
		printf(" %8.2f", cycles_ratio(p, baselines[b]));
	printf(" |       ");
	for (size_t b = 0; b < NUM_BASELINES; b++)
		printf(" %8.2f", access_ratio(p, baselines[b]));
	printf("\n");
}

/* Smallest and largest ratio of the points from @first that are shown together. */
static void show_range(const struct points *points, uint32_t first, uint32_t end)
{
	for (size_t b = 0; b < NUM_BASELINES; b++) {
		double low[2] = {1e9, 1e9}, high[2] = {0, 0};

		for (uint32_t i = first; i < end; i++) {
			const struct point *p = &points->list[i];
			double ratios[2] = {cycles_ratio(p, baselines[b]),
					    access_ratio(p, baselines[b])};

			for (int r = 0; r < 2; r++) {
				low[r] = ratios[r] < low[r] ? ratios[r] : low[r];
				high[r] = ratios[r] > high[r] ? ratios[r] : high[r];
			}
		}
		if (points->list[first].costs[baselines[b]].there)
			printf("%s over interleaved: cycles %.2f to %.2f, words %.2f to %.2f\n",
			       igrad_schedule_name(baselines[b]), low[0], high[0], low[1], high[1]);
	}
}

static void show_text(const struct points *points)
{
	uint32_t first = 0;

	printf("What the paper (arXiv 2002.05529) claims: 1.4 to 2.2 times fewer cycles, 1.9 times\n"
	       "fewer memory accesses. What is measured: backward pass with SGD, operands in SRAM,\n"
	       "from the first load of weights to the last drain or update.\n");
	for (uint32_t i = 0; i < points->count; i++) {
		if (!i || !same_group(&points->list[i], &points->list[i - 1])) {
			heading(&points->list[i]);
			first = i;
		}
		show_point(&points->list[i]);
		if (i + 1 == points->count || !same_group(&points->list[i], &points->list[i + 1]))
			show_range(points, first, i + 1);
	}
}

int command_paper(const struct settings *s, struct igrad_error *error)
{
	struct points points = {0};
	int err;

	if (s->intergrad)
		return command_intergrad(s, error);
	err = add_all(&points);

	for (uint32_t i = 0; i < points.count && !err; i++) {
		char what[64];

		snprintf(what, sizeof(what), "%u x %u on %u x %u, batch %u", points.list[i].in,
			 points.list[i].out, points.list[i].n, points.list[i].n,
			 points.list[i].batch);
		progress_show(i, points.count, what);
		err = measure_point(&points.list[i], error);
	}
	progress_clear();
	if (!err && s->json)
		err = show_json(&points);
	else if (!err)
		show_text(&points);
	free(points.list);
	return err;
}
