/* SPDX-License-Identifier: MIT */
/*
 * The backward pass of a layer of 8 × 8 tiles, SGD included, operands in SRAM, as three schedules:
 * what shadow registers are for. All schedules must give the same bits; on a small array the
 * PE-by-PE reference must find the same cycles and words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"
#include "rig.h"

#define TILES	   8
#define MAX_CMDS   400
#define LOADED	   1 /* semaphores */
#define ARRAY_DONE 2
#define SGD_DONE   3

/* eta of the update */
#define LR 0x3c23d70a

struct layer {
	uint32_t n; /* of a tile and the array */
	uint32_t b;
	uint32_t pitch; /* of all matrices */
	uint32_t w;	/* SRAM addresses */
	uint32_t x;
	uint32_t g;
	uint32_t dx;
	uint32_t dw;
	uint32_t end;
};

struct stream {
	struct igrad_cmd cmds[MAX_CMDS];
	unsigned int count;
	uint32_t signalled; /* ARRAY_DONE */
	uint32_t updated;   /* SGD_DONE */
	bool overlap;
};

enum schedule { WS_PAPER, WS_OS, INTERLEAVED, NUM_SCHEDULES };

static struct layer layer_of(uint32_t n, uint32_t b)
{
	struct layer l = {.n = n, .b = b, .pitch = TILES * n * 4};

	l.x = l.w + TILES * n * l.pitch;
	l.g = l.x + b * l.pitch;
	l.dx = l.g + b * l.pitch;
	l.dw = l.dx + b * l.pitch;
	l.end = l.dw + TILES * n * l.pitch;
	return l;
}

static void add(struct stream *s, struct igrad_cmd cmd)
{
	assert_true(s->count < MAX_CMDS);
	s->cmds[s->count++] = cmd;
}

static void array(struct stream *s, struct igrad_cmd cmd)
{
	cmd.signal = ARRAY_DONE;
	s->signalled++;
	cmd_wait(&cmd, 0, LOADED, 1);
	add(s, cmd);
}

static uint32_t tile_at(const struct layer *l, uint32_t base, uint32_t i, uint32_t o)
{
	return base + i * l->n * l->pitch + o * l->n * 4;
}

/* The update of tiles (i,o), (i+1,o), … on the vector unit, behind what the array has been told. */
static void sgd(struct stream *s, const struct layer *l, uint32_t i, uint32_t o, uint32_t tiles)
{
	struct igrad_cmd cmd = cmd_vec(IGRAD_OP_VEC_SGD, tiles * l->n, l->n);

	cmd.u.vec.a = cmd.u.vec.d = tile_at(l, l->w, i, o);
	cmd.u.vec.b = tile_at(l, l->dw, i, o);
	cmd.u.vec.a_pitch = cmd.u.vec.b_pitch = cmd.u.vec.d_pitch = l->pitch;
	cmd.u.vec.imm = LR;
	cmd_wait(&cmd, 1, ARRAY_DONE, s->signalled);
	cmd.signal = SGD_DONE;
	s->updated++;
	add(s, cmd);
}

static struct igrad_cmd stream_of(enum igrad_opcode opcode, const struct layer *l, uint32_t i,
				  uint32_t o)
{
	struct igrad_cmd cmd = cmd_stream(opcode, l->n, l->n, l->b);

	if (opcode != IGRAD_OP_DGRAD)
		cmd_x(&cmd, tile_at(l, l->x, 0, i), l->pitch / 4);
	cmd_g(&cmd, tile_at(l, l->g, 0, o), l->pitch / 4);
	if (opcode != IGRAD_OP_WGRAD)
		cmd_p(&cmd, tile_at(l, l->dx, 0, i), l->pitch / 4);
	if (opcode != IGRAD_OP_WGRAD && o)
		cmd.flags = IGRAD_FLAG_ADD;
	return cmd;
}

static struct igrad_cmd shift_of(enum igrad_opcode opcode, const struct layer *l, uint32_t base,
				 uint32_t i, uint32_t o)
{
	return cmd_shift(opcode, l->n, l->n, tile_at(l, base, i, o), l->pitch / 4);
}

/*
 * psums run south only: dX with the transposed weights held, dW with dY held and x by columns. A
 * plain array pays for the skew of each stream, so x goes through in one; with shadow registers
 * tile by tile costs the same, and the update need not wait for the last.
 */
static void ws_paper(struct stream *s, const struct layer *l)
{
	const uint32_t at_once = s->overlap ? 1 : TILES;
	struct igrad_cmd cmd;

	for (uint32_t t = 0; t < TILES * TILES; t++) {
		const uint32_t o = t / TILES, i = t % TILES;

		cmd = shift_of(IGRAD_OP_LOAD_W, l, l->w, i, o);
		cmd.flags = IGRAD_FLAG_TRANSPOSE;
		array(s, cmd);
		cmd = cmd_stream(IGRAD_OP_FPROP, l->n, l->n, l->b);
		cmd.flags = o ? IGRAD_FLAG_ADD : 0;
		cmd_x(&cmd, tile_at(l, l->g, 0, o), l->pitch / 4);
		array(s, *cmd_p(&cmd, tile_at(l, l->dx, 0, i), l->pitch / 4));
	}
	for (uint32_t o = 0; o < TILES; o++) {
		array(s,
		      cmd_shift(IGRAD_OP_LOAD_W, l->b, l->n, tile_at(l, l->g, 0, o), l->pitch / 4));
		for (uint32_t i = 0; i < TILES; i += at_once) {
			cmd = cmd_stream(IGRAD_OP_FPROP, l->b, l->n, at_once * l->n);
			cmd.flags = IGRAD_FLAG_TRANSPOSE;
			cmd_x(&cmd, tile_at(l, l->x, 0, i), l->pitch / 4);
			array(s, *cmd_p(&cmd, tile_at(l, l->dw, i, o), l->pitch / 4));
			sgd(s, l, i, o, at_once);
		}
	}
}

static void ws_os(struct stream *s, const struct layer *l)
{
	for (uint32_t t = 0; t < TILES * TILES; t++) {
		const uint32_t o = t / TILES, i = t % TILES;

		array(s, shift_of(IGRAD_OP_LOAD_W, l, l->w, i, o));
		array(s, stream_of(IGRAD_OP_DGRAD, l, i, o));
		array(s, stream_of(IGRAD_OP_WGRAD, l, i, o));
		array(s, shift_of(IGRAD_OP_DRAIN_ACC, l, l->dw, i, o));
		sgd(s, l, i, o, 1);
	}
}

static void interleaved(struct stream *s, const struct layer *l)
{
	struct igrad_cmd update = cmd_stream(IGRAD_OP_UPDATE, l->n, l->n, 0);

	update.u.array.lr = LR;
	for (uint32_t t = 0; t < TILES * TILES; t++) {
		const uint32_t o = t / TILES, i = t % TILES;

		array(s, shift_of(IGRAD_OP_LOAD_W, l, l->w, i, o));
		array(s, stream_of(IGRAD_OP_INTERLEAVED, l, i, o));
		array(s, update);
		array(s, shift_of(IGRAD_OP_DRAIN_W, l, l->w, i, o));
	}
}

static void build(struct stream *s, const struct layer *l, enum schedule schedule)
{
	s->count = 0;
	s->signalled = s->updated = 0;
	add(s, cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, l->dx / 4));
	s->cmds[0].signal = LOADED;
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

static void store(struct stream *s, const struct layer *l, uint64_t va)
{
	const uint32_t words = TILES * l->n * TILES * l->n;

	struct igrad_cmd cmd = cmd_dma(IGRAD_OP_DMA_STORE, va, l->w, 1, words);

	cmd_wait(&cmd, 0, ARRAY_DONE, s->signalled);
	if (s->updated)
		cmd_wait(&cmd, 1, SGD_DONE, s->updated);
	add(s, cmd);
	add(s, cmd_dma(IGRAD_OP_DMA_STORE, va + words * 4, l->dx, 1, l->b * TILES * l->n));
}

static struct cost measure(struct rig *rig, struct stream *s, const struct layer *l, uint64_t va)
{
	struct igrad_report whole, loads;

	rig_run(rig, s->cmds, 1);
	loads = rig->report;
	rig_run(rig, s->cmds, s->count);
	whole = rig->report;
	assert_int_equal(rig->result.status, IGRAD_STATUS_OK);
	store(s, l, va);
	rig_run(rig, s->cmds, s->count);
	assert_int_equal(rig->result.status, IGRAD_STATUS_OK);
	s->count -= 2;
	return cost_of(&whole, &loads);
}

static void check(const struct rig *rig, const struct igrad_config *config, struct stream *s,
		  const struct layer *l, uint64_t va, struct cost cost)
{
	const struct ref_config ref_config = {l->n, l->n, config->sram_bytes,
					      64,   100,  config->overlap};
	const size_t words = TILES * l->n * (TILES * l->n + l->b);
	struct ref_device *reference = ref_new(&ref_config);
	uint8_t *memory = malloc(rig->size);
	struct igrad_report whole, loads;
	struct cost expected;

	assert_non_null(memory);
	memcpy(memory, rig->memory, rig->size);
	memset(memory + va, 0, words * 4);
	assert_true(ref_run(reference, s->cmds, 1, memory, &loads));
	assert_true(ref_run(reference, s->cmds, s->count, memory, &whole));
	expected = cost_of(&whole, &loads);
	store(s, l, va);
	assert_true(ref_run(reference, s->cmds, s->count, memory, &whole));
	s->count -= 2;
	assert_int_equal(cost.cycles, expected.cycles);
	assert_int_equal(cost.accesses, expected.accesses);
	assert_memory_equal(memory + va, rig->memory + va, words * 4);
	free(memory);
	ref_free(reference);
}

static void one_layer(uint32_t n, uint32_t b, bool overlap, bool with_reference)
{
	const struct layer l = layer_of(n, b);
	const size_t bytes = TILES * n * (TILES * n + b) * 4;
	struct cost cost[NUM_SCHEDULES];
	struct igrad_config config;
	struct rng rng = {n};
	struct rig rig;

	rig_config(&config, n, n);
	config.overlap = overlap;
	config.sram_bytes = (l.end + 16383) / 16384 * 16384;
	rig_init(&rig, &config, config.sram_bytes + NUM_SCHEDULES * bytes);
	fill_floats(&rng, rig_floats(&rig, RIG_DATA), l.dx / 4);
	for (unsigned int i = 0; i < NUM_SCHEDULES; i++) {
		const uint64_t va = RIG_DATA + config.sram_bytes + i * bytes;
		struct stream s = {.overlap = overlap};

		build(&s, &l, (enum schedule)i);
		cost[i] = measure(&rig, &s, &l, va);
		if (with_reference)
			check(&rig, &config, &s, &l, va, cost[i]);
		assert_memory_equal(rig.memory + va, rig.memory + RIG_DATA + config.sram_bytes,
				    bytes);
	}
	printf("# %4u %4u %3s | %7lu %7lu %7lu | %8lu %8lu %8lu | %5.2f %5.2f | %5.2f %5.2f\n", n,
	       b, overlap ? "on" : "off", (unsigned long)cost[WS_PAPER].cycles,
	       (unsigned long)cost[WS_OS].cycles, (unsigned long)cost[INTERLEAVED].cycles,
	       (unsigned long)cost[WS_PAPER].accesses, (unsigned long)cost[WS_OS].accesses,
	       (unsigned long)cost[INTERLEAVED].accesses,
	       (double)cost[WS_PAPER].cycles / cost[INTERLEAVED].cycles,
	       (double)cost[WS_OS].cycles / cost[INTERLEAVED].cycles,
	       (double)cost[WS_PAPER].accesses / cost[INTERLEAVED].accesses,
	       (double)cost[WS_OS].accesses / cost[INTERLEAVED].accesses);
	rig_destroy(&rig);
}

static void header(void)
{
	printf("# a layer of 8N x 8N on an N x N array, backward pass with SGD, no DMA\n"
	       "#                        cycles                  SRAM words          "
	       "over interleaved: cycles | words\n"
	       "#    N    B ovl | ws-paper  ws+os  interl | ws-paper    ws+os   interl | "
	       "paper ws+os | paper ws+os\n");
}

static void test_small(void **state)
{
	(void)state;
	header();
	for (uint32_t b = 2; b <= 8; b *= 2) {
		one_layer(8, b, false, true);
		one_layer(8, b, true, true);
	}
}

static void test_large(void **state)
{
	(void)state;
	for (uint32_t b = 32; b <= 128; b *= 2) {
		one_layer(128, b, false, false);
		one_layer(128, b, true, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_large),
	};

	return run_group("core-tiled", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
