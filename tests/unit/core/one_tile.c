/* SPDX-License-Identifier: MIT */
/*
 * The backward pass of a layer that is one N × N tile, on an N × N array, SGD included, as three
 * schedules: what it costs without DMA, measured on the core and on the PE-by-PE reference, printed
 * beside what analysis promised. All schedules must give the same bits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"
#include "rig.h"

#define SRAM_BYTES (4u << 20)
#define MAX_CMDS   64
#define LOADED	   1 /* semaphores */
#define ARRAY_DONE 2
#define SGD_DONE   3

/* eta of the update */
#define LR 0x3c23d70a

struct layer {
	uint32_t n;
	uint32_t b;
	uint32_t w; /* SRAM addresses */
	uint32_t x;
	uint32_t g;
	uint32_t dx;
	uint32_t dw;
};

struct stream {
	struct igrad_cmd cmds[MAX_CMDS];
	unsigned int count;
};

enum schedule { WS_PAPER, WS_OS, INTERLEAVED, NUM_SCHEDULES };

static struct igrad_cmd *add(struct stream *s, struct igrad_cmd cmd)
{
	assert_true(s->count < MAX_CMDS);
	s->cmds[s->count] = cmd;
	return &s->cmds[s->count++];
}

/* W, x and g lie one after the other in memory as they do in SRAM. */
static void load_operands(struct stream *s, const struct layer *l)
{
	const uint32_t words = l->n * l->n + 2 * l->b * l->n;

	add(s, cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, l->w, 1, words))->signal = LOADED;
}

static void array(struct stream *s, struct igrad_cmd cmd)
{
	cmd.signal = ARRAY_DONE;
	cmd_wait(add(s, cmd), 0, LOADED, 1);
}

static uint32_t signals(const struct stream *s, uint8_t semaphore)
{
	uint32_t count = 0;

	for (unsigned int i = 0; i < s->count; i++)
		count += s->cmds[i].signal == semaphore;
	return count;
}

/* The update on the vector unit, when the array has finished. */
static void sgd(struct stream *s, const struct layer *l)
{
	struct igrad_cmd cmd = cmd_vec(IGRAD_OP_VEC_SGD, l->n, l->n);
	const uint32_t pitch = l->n * 4;

	cmd.u.vec = (struct igrad_cmd_vec){l->n,  l->n, l->w,  pitch, l->dw,
					   pitch, l->w, pitch, LR,    0};
	cmd_wait(&cmd, 1, ARRAY_DONE, signals(s, ARRAY_DONE));
	cmd.signal = SGD_DONE;
	add(s, cmd);
}

static struct igrad_cmd stream_of(enum igrad_opcode opcode, const struct layer *l, uint32_t p)
{
	struct igrad_cmd cmd = cmd_stream(opcode, l->n, l->n, l->b);

	if (opcode != IGRAD_OP_DGRAD)
		cmd_x(&cmd, l->x, l->n);
	cmd_g(&cmd, l->g, l->n);
	if (opcode != IGRAD_OP_WGRAD)
		cmd_p(&cmd, p, l->n);
	return cmd;
}

/*
 * A fixed weight-stationary array: psums run south only. For dX it holds the transposed weights and
 * streams dY; for dW it holds a tile of dY, batch rows by outputs, and streams x by its columns.
 */
static void ws_paper(struct stream *s, const struct layer *l)
{
	const uint32_t n = l->n;
	struct igrad_cmd cmd = cmd_shift(IGRAD_OP_LOAD_W, n, n, l->w, n);

	cmd.flags = IGRAD_FLAG_TRANSPOSE;
	array(s, cmd);
	cmd = cmd_stream(IGRAD_OP_FPROP, n, n, l->b);
	array(s, *cmd_p(cmd_x(&cmd, l->g, n), l->dx, n));
	for (uint32_t b = 0; b < l->b; b += n) {
		const uint32_t rows = l->b - b < n ? l->b - b : n;

		array(s, cmd_shift(IGRAD_OP_LOAD_W, rows, n, l->g + b * n * 4, n));
		cmd = cmd_stream(IGRAD_OP_FPROP, rows, n, n);
		cmd.flags = IGRAD_FLAG_TRANSPOSE | (b ? IGRAD_FLAG_ADD : 0);
		array(s, *cmd_p(cmd_x(&cmd, l->x + b * n * 4, n), l->dw, n));
	}
	sgd(s, l);
}

static void ws_os(struct stream *s, const struct layer *l)
{
	array(s, cmd_shift(IGRAD_OP_LOAD_W, l->n, l->n, l->w, l->n));
	array(s, stream_of(IGRAD_OP_DGRAD, l, l->dx));
	array(s, stream_of(IGRAD_OP_WGRAD, l, 0));
	array(s, cmd_shift(IGRAD_OP_DRAIN_ACC, l->n, l->n, l->dw, l->n));
	sgd(s, l);
}

static void interleaved(struct stream *s, const struct layer *l)
{
	struct igrad_cmd update = cmd_stream(IGRAD_OP_UPDATE, l->n, l->n, 0);

	update.u.array.lr = LR;
	array(s, cmd_shift(IGRAD_OP_LOAD_W, l->n, l->n, l->w, l->n));
	array(s, stream_of(IGRAD_OP_INTERLEAVED, l, l->dx));
	array(s, update);
	array(s, cmd_shift(IGRAD_OP_DRAIN_W, l->n, l->n, l->w, l->n));
}

static void build(struct stream *s, const struct layer *l, enum schedule schedule)
{
	s->count = 0;
	load_operands(s, l);
	if (schedule == WS_PAPER)
		ws_paper(s, l);
	else if (schedule == WS_OS)
		ws_os(s, l);
	else
		interleaved(s, l);
}

/* --------------------------------------------------------------------------------------------- */
/* Measuring */
/* --------------------------------------------------------------------------------------------- */

static void results(struct stream *s, const struct layer *l, uint64_t va)
{
	struct igrad_cmd *first = add(s, cmd_dma(IGRAD_OP_DMA_STORE, va, l->w, 1, l->n * l->n));

	cmd_wait(first, 0, ARRAY_DONE, signals(s, ARRAY_DONE));
	if (signals(s, SGD_DONE))
		cmd_wait(first, 1, SGD_DONE, signals(s, SGD_DONE));
	add(s, cmd_dma(IGRAD_OP_DMA_STORE, va + l->n * l->n * 4, l->dx, 1, l->b * l->n));
}

static struct cost on_core(struct rig *rig, struct stream *s, const struct layer *l, uint64_t va)
{
	struct igrad_report whole, loads;

	rig_run(rig, s->cmds, 1);
	loads = rig->report;
	rig_run(rig, s->cmds, s->count);
	whole = rig->report;
	assert_int_equal(rig->result.status, IGRAD_STATUS_OK);
	results(s, l, va);
	rig_run(rig, s->cmds, s->count);
	assert_int_equal(rig->result.status, IGRAD_STATUS_OK);
	s->count -= 2;
	return cost_of(&whole, &loads);
}

static struct cost on_reference(struct ref_device *device, struct stream *s, const struct layer *l,
				uint8_t *memory, uint64_t va)
{
	struct igrad_report whole, loads, ignored;

	assert_true(ref_run(device, s->cmds, 1, memory, &loads));
	assert_true(ref_run(device, s->cmds, s->count, memory, &whole));
	results(s, l, va);
	assert_true(ref_run(device, s->cmds, s->count, memory, &ignored));
	s->count -= 2;
	return cost_of(&whole, &loads);
}

struct ratios {
	double cycles;
	double accesses;
};

struct range {
	double low;
	double high;
};

static void widen(struct range *range, double value)
{
	if (value < range->low)
		range->low = value;
	if (value > range->high)
		range->high = value;
}

struct machines {
	struct rig rig;
	struct ref_device *reference;
	uint8_t *memory;
};

/* One layer in all schedules, on both machines; returns ws-paper over interleaved. */
static struct ratios measure(struct machines *m, const struct layer *l)
{
	const size_t bytes = (l->n * l->n + l->b * l->n) * 4;
	struct cost cost[NUM_SCHEDULES];
	struct ratios ratios;

	for (unsigned int i = 0; i < NUM_SCHEDULES; i++) {
		const uint64_t va = RIG_DATA + SRAM_BYTES + i * bytes;
		struct cost reference;
		struct stream s;

		build(&s, l, (enum schedule)i);
		cost[i] = on_core(&m->rig, &s, l, va);
		reference = on_reference(m->reference, &s, l, m->memory, va);
		assert_int_equal(cost[i].cycles, reference.cycles);
		assert_int_equal(cost[i].accesses, reference.accesses);
		assert_memory_equal(m->rig.memory + va, m->memory + va, bytes);
		assert_memory_equal(m->rig.memory + va, m->rig.memory + RIG_DATA + SRAM_BYTES,
				    bytes);
	}
	ratios.cycles = (double)cost[WS_PAPER].cycles / cost[INTERLEAVED].cycles;
	ratios.accesses = (double)cost[WS_PAPER].accesses / cost[INTERLEAVED].accesses;
	printf("# %4u %5u | %7lu %7lu %7lu | %8lu %8lu %8lu | %5.2f %5.2f\n", l->n, l->b,
	       (unsigned long)cost[WS_PAPER].cycles, (unsigned long)cost[WS_OS].cycles,
	       (unsigned long)cost[INTERLEAVED].cycles, (unsigned long)cost[WS_PAPER].accesses,
	       (unsigned long)cost[WS_OS].accesses, (unsigned long)cost[INTERLEAVED].accesses,
	       ratios.cycles, ratios.accesses);
	return ratios;
}

static struct layer layer_of(uint32_t n, uint32_t b)
{
	struct layer l = {.n = n, .b = b, .w = 0};

	l.x = l.w + n * n * 4;
	l.g = l.x + b * n * 4;
	l.dx = l.g + b * n * 4;
	l.dw = l.dx + b * n * 4;
	return l;
}

static void measure_array(uint32_t n, struct range *cycles, struct range *accesses)
{
	const struct ref_config ref_config = {n, n, SRAM_BYTES, 64, 100, false};
	struct rng rng = {n};
	struct igrad_config config;
	struct machines m;

	rig_config(&config, n, n);
	config.sram_bytes = SRAM_BYTES;
	config.overlap = false;
	rig_init(&m.rig, &config, 2 * SRAM_BYTES);
	fill_floats(&rng, rig_floats(&m.rig, RIG_DATA), SRAM_BYTES / 4);
	m.reference = ref_new(&ref_config);
	m.memory = malloc(m.rig.size);
	assert_non_null(m.memory);
	memcpy(m.memory, m.rig.memory, m.rig.size);
	for (uint32_t b = n / 4; b <= 8 * n; b *= 2) {
		const struct layer l = layer_of(n, b);
		const struct ratios ratios = measure(&m, &l);

		widen(cycles, ratios.cycles);
		widen(accesses, ratios.accesses);
	}
	free(m.memory);
	ref_free(m.reference);
	rig_destroy(&m.rig);
}

static void verdict(const char *what, struct range measured, struct range analysed)
{
	const bool agree = measured.low >= analysed.low - 0.005 &&
			   measured.high <= analysed.high + 0.005;

	printf("# ws-paper / interleaved, %s: measured %.2f ... %.2f, analysis %.2f ... %.2f%s\n",
	       what, measured.low, measured.high, analysed.low, analysed.high,
	       agree ? "" : ": they DIFFER, the measurement counts");
}

/* The analysis is for N = 16 ... 128; N = 64 and 128 take the reference too long by default. */
static void test_table(void **state)
{
	const struct range analysed_cycles = {1.47, 2.19}, analysed_accesses = {1.80, 2.18};
	struct range cycles = {1e9, 0}, accesses = {1e9, 0};
	const uint32_t largest = getenv("IGRAD_TEST_LONG") ? 128 : 32;

	(void)state;
	printf("# one N x N tile, overlap=off, backward pass with SGD, no DMA\n"
	       "#                 cycles                     SRAM words          ws-paper/interl.\n"
	       "#    N     B | ws-paper  ws+os  interl |  ws-paper    ws+os   interl | cycles words\n");
	for (uint32_t n = 16; n <= largest; n *= 2)
		measure_array(n, &cycles, &accesses);
	verdict("cycles", cycles, analysed_cycles);
	verdict("accesses", accesses, analysed_accesses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
	};

	return run_group("core-one-tile", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
