/* SPDX-License-Identifier: MIT */
/*
 * Shadow registers: random sequences of array commands against the PE-by-PE machine that has all of
 * them in flight. Bit for bit, cycle for cycle, access for access; and the rules one by one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"
#include "rig.h"
#include "windows.h"

#define SRAM_BYTES (64u << 10)
#define HALF	   (SRAM_BYTES / 2) /* operands below; the registers are drained above in the end */
#define DATA_BYTES (2 * SRAM_BYTES)
#define RESULTS	   (RIG_DATA + SRAM_BYTES)
#define MOST	   24
#define ROOM	   (MOST + 8) /* windows come on top */

struct sequence {
	struct rng *rng;
	uint32_t rows; /* of the array */
	uint32_t cols;
	uint32_t most_batch;
	bool bf16;			 /* operands may be: of the same bytes, now and then */
	struct igrad_cmd cmds[ROOM + 4]; /* a load, drains of both registers, a store */
	unsigned int count;
	uint32_t places[3]; /* where operands like to be */
	struct igrad_cmd_window window;
};

static uint64_t round_seed;

static uint32_t size_of(struct rng *rng, uint32_t most)
{
	return rng_below(rng, 2) ? most : rng_between(rng, 1, most);
}

/* Often where others are, seldom close by, so that words meet in every way. */
static bool place(struct sequence *s, uint32_t word, uint32_t rows, uint32_t words, uint32_t *addr,
		  uint32_t *pitch)
{
	const uint32_t wide = s->rows > s->cols ? s->rows : s->cols;
	const uint32_t q = words <= wide && rng_below(s->rng, 4) ? wide
								 : words + rng_below(s->rng, 4);
	const uint32_t span = ((rows - 1) * q + words) * word;

	if (span > HALF)
		return false;
	*pitch = q * word;
	*addr = rng_below(s->rng, (HALF - span) / word + 1) * word;
	if (rng_below(s->rng, 3)) {
		*addr = s->places[rng_below(s->rng, 3)];
		if (rng_below(s->rng, 4) == 0)
			*addr += rng_below(s->rng, 3 * wide) * word;
	}
	return *addr + span <= HALF;
}

static bool apart(const struct igrad_cmd_array *a, uint32_t o, uint32_t rows, uint32_t words,
		  uint32_t pitch, uint32_t p_rows, uint32_t p_words, uint32_t word)
{
	const uint32_t end = o + (rows - 1) * pitch + words * word;
	const uint32_t p_end = a->p + (p_rows - 1) * a->p_pitch + p_words * 4;

	return end <= a->p || p_end <= o;
}

static uint16_t maybe_bf16(struct sequence *s)
{
	return s->bf16 && rng_below(s->rng, 3) ? IGRAD_FLAG_BF16 : 0;
}

static bool shift(struct sequence *s, enum igrad_opcode opcode, uint32_t rows, uint32_t cols)
{
	const bool transpose = opcode == IGRAD_OP_LOAD_W && rng_below(s->rng, 4) == 0;
	const uint16_t bf16 = opcode == IGRAD_OP_LOAD_W ? maybe_bf16(s) : 0;
	struct igrad_cmd cmd = cmd_shift(opcode, rows, cols, 0, 0);

	cmd.flags = bf16 | (transpose ? IGRAD_FLAG_TRANSPOSE : 0);
	if (!place(s, bf16 ? 2 : 4, transpose ? cols : rows, transpose ? rows : cols,
		   &cmd.u.array.p, &cmd.u.array.p_pitch))
		return false;
	cmd.flags = window_groups(s->rng, &s->window, cmd.flags);
	s->cmds[s->count++] = cmd;
	return true;
}

static bool update(struct sequence *s, uint32_t rows, uint32_t cols)
{
	const bool scale = rng_below(s->rng, 3) == 0;
	struct igrad_cmd cmd = cmd_stream(scale ? IGRAD_OP_SCALE_ACC : IGRAD_OP_UPDATE, rows, cols,
					  0);

	if (!scale)
		cmd.u.array.lr = bits_of(rng_float(s->rng));
	if (scale || rng_below(s->rng, 2)) {
		cmd.flags = scale ? 0 : IGRAD_FLAG_DECAY;
		cmd.u.array.keep = bits_of(rng_float(s->rng));
	}
	cmd.flags = window_groups(s->rng, &s->window, cmd.flags);
	s->cmds[s->count++] = cmd;
	return true;
}

static bool stream(struct sequence *s, enum igrad_opcode opcode, uint32_t rows, uint32_t cols,
		   uint32_t batch)
{
	const bool x = opcode != IGRAD_OP_DGRAD, g = opcode != IGRAD_OP_FPROP;
	const bool p = opcode != IGRAD_OP_WGRAD;
	const uint32_t psums = opcode == IGRAD_OP_FPROP ? cols : rows;
	struct igrad_cmd cmd = cmd_stream(opcode, rows, cols, batch);
	struct igrad_cmd_array *a = &cmd.u.array;
	struct window_rows of = {batch, rows, batch, psums};
	const bool windowed = s->window.height && rng_below(s->rng, 2);
	const uint16_t bf16 = maybe_bf16(s);
	const uint32_t word = bf16 ? 2 : 4;

	cmd.flags = bf16;

	if (p && rng_below(s->rng, 2))
		cmd.flags |= IGRAD_FLAG_ADD;
	if (x && g && rng_below(s->rng, 2))
		cmd.flags |= IGRAD_FLAG_KEEP;
	if (!g && !windowed && rng_below(s->rng, 3) == 0) {
		cmd.flags |= IGRAD_FLAG_TRANSPOSE;
		of.x = rows;
		of.x_words = batch;
	}
	if (!g && !windowed && rng_below(s->rng, 3) == 0) {
		cmd.flags |= IGRAD_FLAG_TURN;
		of.p = psums;
		of.p_words = batch;
	}
	if (windowed)
		of = window_stream(s->rng, &s->window, &cmd);
	if ((x && !place(s, word, of.x, of.x_words, &a->x, &a->x_pitch)) ||
	    (g && !place(s, word, batch, cols, &a->g, &a->g_pitch)) ||
	    (p && !place(s, 4, of.p, of.p_words, &a->p, &a->p_pitch)))
		return false;
	if (p && ((x && !apart(a, a->x, of.x, of.x_words, a->x_pitch, of.p, of.p_words, word)) ||
		  (g && !apart(a, a->g, batch, cols, a->g_pitch, of.p, of.p_words, word))))
		return false;
	cmd.flags = window_groups(s->rng, &s->window, cmd.flags);
	s->cmds[s->count++] = cmd;
	return true;
}

static enum igrad_opcode any_stream(struct rng *rng)
{
	return IGRAD_OP_FPROP + rng_below(rng, 4);
}

static bool silly(struct sequence *s)
{
	static const enum igrad_opcode shifts[] = {IGRAD_OP_LOAD_W, IGRAD_OP_LOAD_ACC,
						   IGRAD_OP_DRAIN_ACC, IGRAD_OP_DRAIN_W};
	const uint32_t rows = size_of(s->rng, s->rows), cols = size_of(s->rng, s->cols);

	switch (rng_below(s->rng, 5)) {
	case 0:
		return update(s, rows, cols);
	case 1:
	case 2:
		return shift(s, shifts[rng_below(s->rng, 4)], rows, cols);
	default:
		return stream(s, any_stream(s->rng), rows, cols,
			      rng_between(s->rng, 1, s->most_batch));
	}
}

/* The same images again, at another position of the kernel: all of a pixel, or some lanes. */
static struct igrad_cmd at_another_tap(struct sequence *s, struct igrad_cmd cmd)
{
	struct igrad_cmd_array *a = &cmd.u.array;
	const bool fprop = cmd.opcode == IGRAD_OP_FPROP;
	const uint32_t rows = rng_between(s->rng, 1, a->rows), lane = a->rows - rows;

	if (!fprop && rng_below(s->rng, 3) == 0) {
		a->rows = (uint16_t)rows;
		a->p += lane * 4;
	}
	if (!fprop && rng_below(s->rng, 3) == 0) {
		cmd.opcode = IGRAD_OP_DGRAD;
		cmd.flags &= (uint16_t)~IGRAD_FLAG_KEEP;
		a->x = a->x_pitch = 0;
	}
	cmd.flags ^= rng_below(s->rng, 4) ? 0 : IGRAD_FLAG_ADD;
	a->first -= rng_below(s->rng, 2) ? 0 : rng_below(s->rng, a->first + 1);
	a->tap = IGRAD_TAP((int)rng_below(s->rng, 5) - 2, (int)rng_below(s->rng, 5) - 2);
	return cmd;
}

static void convolve(struct sequence *s)
{
	struct igrad_cmd cmd;

	for (unsigned int i = 0; i < 20; i++) {
		const bool both = rng_below(s->rng, 2);

		if (!stream(s, both ? IGRAD_OP_INTERLEAVED : IGRAD_OP_FPROP,
			    size_of(s->rng, s->rows), size_of(s->rng, s->cols),
			    rng_between(s->rng, 1, s->most_batch)))
			continue;
		cmd = s->cmds[s->count - 1];
		if (!both && !(cmd.flags & IGRAD_FLAG_SCATTER)) {
			s->count--;
			continue;
		}
		while (cmd.flags & IGRAD_FLAG_WINDOW && s->count < MOST && rng_below(s->rng, 6))
			s->cmds[s->count++] = at_another_tap(s, cmd);
		return;
	}
}

static void insist(struct sequence *s, enum igrad_opcode opcode, uint32_t rows, uint32_t cols,
		   uint32_t batch)
{
	bool done = false;

	for (unsigned int i = 0; i < 100 && !done && s->count < MOST; i++) {
		if (batch)
			done = stream(s, opcode, rows, cols, batch);
		else if (opcode == IGRAD_OP_UPDATE)
			done = update(s, rows, cols);
		else
			done = shift(s, opcode, rows, cols);
	}
}

/* What a tile of a layer does: any of loads, streams in chunks, update, drains, in that order. */
static void tile(struct sequence *s, unsigned int parts, uint32_t batch)
{
	const uint32_t rows = size_of(s->rng, s->rows), cols = size_of(s->rng, s->cols);

	if (parts & 1)
		insist(s, IGRAD_OP_LOAD_W, rows, cols, 0);
	if (parts & 2)
		insist(s, IGRAD_OP_LOAD_ACC, rows, cols, 0);
	for (uint32_t i = 0; i <= (parts >> 2 & 1); i++)
		insist(s, any_stream(s->rng), rows, cols, batch);
	if (parts & 8)
		insist(s, IGRAD_OP_UPDATE, rows, cols, 0);
	if (parts & 16)
		insist(s, parts & 8 ? IGRAD_OP_DRAIN_W : IGRAD_OP_DRAIN_ACC, rows, cols, 0);
}

static void make_sequence(struct sequence *s)
{
	const unsigned int parts = rng_below(s->rng, 32);
	const unsigned int length = rng_between(s->rng, 1, MOST);
	const uint32_t batch = rng_between(s->rng, 1, s->most_batch);
	const bool alike = rng_below(s->rng, 2);

	for (unsigned int i = 0; i < 3; i++)
		s->places[i] = rng_below(s->rng, HALF / 8) * 4;
	s->cmds[s->count++] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, SRAM_BYTES / 4);
	while (s->count < length) {
		if (rng_below(s->rng, 8) == 0) {
			s->cmds[s->count] = window_make(s->rng,
							s->rows > s->cols ? s->rows : s->cols);
			s->window = s->cmds[s->count++].u.window;
			convolve(s);
		}
		if (rng_below(s->rng, 3) == 0)
			silly(s);
		else if (alike)
			tile(s, parts, batch);
		else
			tile(s, rng_below(s->rng, 32), rng_between(s->rng, 1, s->most_batch));
	}
	s->cmds[s->count++] = cmd_shift(IGRAD_OP_DRAIN_W, s->rows, s->cols, HALF, s->cols);
	s->cmds[s->count++] = cmd_shift(IGRAD_OP_DRAIN_ACC, s->rows, s->cols,
					HALF + s->rows * s->cols * 4, s->cols);
	s->cmds[0].signal = 1;
	cmd_wait(&s->cmds[1], 0, 1, 1);
	s->cmds[s->count - 1].signal = 2;
	s->cmds[s->count] = cmd_dma(IGRAD_OP_DMA_STORE, RESULTS, 0, 1, SRAM_BYTES / 4);
	cmd_wait(&s->cmds[s->count++], 0, 2, 1);
}

/* --------------------------------------------------------------------------------------------- */
/* Comparison */
/* --------------------------------------------------------------------------------------------- */

static void expect(const struct sequence *s, const char *what, uint64_t core, uint64_t reference)
{
	if (core == reference)
		return;
	printf("# %u x %u, %s: core %llu, reference %llu\n", s->rows, s->cols, what,
	       (unsigned long long)core, (unsigned long long)reference);
	printf("# reproduce with IGRAD_TEST_SEED=%llu IGRAD_TEST_SCALE=0.0001\n",
	       (unsigned long long)round_seed);
	fail();
}

/* The array's part of the job, on its own: DMA takes a cycle before and a cycle behind it. */
static void compare(const struct sequence *s, const struct rig *rig, const uint8_t *sram,
		    const struct ref_placed *placed, unsigned int n,
		    const struct igrad_report *counts)
{
	int64_t end = 0;

	for (unsigned int i = 0; i < n; i++)
		end = placed[i].end > end ? placed[i].end : end;
	expect(s, "status", rig->result.status, IGRAD_STATUS_OK);
	expect(s, "cycles", rig->report.cycles, (uint64_t)end + 2);
	expect(s, "macs", rig->report.macs, counts->macs);
	expect(s, "macs_bf16", rig->report.macs_bf16, counts->macs_bf16);
	expect(s, "update_ops", rig->report.update_ops, counts->update_ops);
	for (unsigned int i = 0; i < 2; i++) {
		expect(s, "registers of PEs", rig->report.pe_registers[i], counts->pe_registers[i]);
		expect(s, "hops between PEs", rig->report.pe_hops[i], counts->pe_hops[i]);
	}
	for (unsigned int i = 0; i < IGRAD_NUM_ACCESSES; i++) {
		expect(s, "sram words of an operand", rig->report.sram[0][i], counts->sram[0][i]);
		expect(s, "16-bit words of an operand", rig->report.sram[1][i], counts->sram[1][i]);
	}
	expect(s, "results", memcmp(rig->memory + RESULTS, sram, SRAM_BYTES) != 0, 0);
}

/* Words that are numbers of moderate size as fp32 and as two of bf16. */
static void fill_values(struct rng *rng, float *p)
{
	for (size_t i = 0; i < SRAM_BYTES / 4; i++) {
		const uint32_t word = (bits_of(rng_float(rng)) & 0xffff0000) |
				      bits_of(rng_float(rng)) >> 16;

		memcpy(&p[i], &word, sizeof(word));
	}
}

/* The array's commands: all but the first and the last. */
static unsigned int place_all(const struct sequence *s, struct ref_overlap *overlap,
			      struct ref_placed *placed, struct igrad_report *counts)
{
	struct ref_op op = {0};
	unsigned int n = 0;

	for (unsigned int i = 1; i + 1 < s->count; i++) {
		op.cmd = &s->cmds[i];
		if (ref_takes_time(op.cmd))
			placed[n++] = ref_overlap_place(overlap, &op, 0, counts);
		else
			op.window = &op.cmd->u.window;
	}
	return n;
}

static void one_round(struct rng *rng, uint32_t most)
{
	struct sequence s = {.rng = rng,
			     .rows = rng_between(rng, 1, most),
			     .cols = rng_between(rng, 1, most),
			     .bf16 = rng_below(rng, 2),
			     .most_batch = rng_below(rng, 2) ? 3 * most / 2 + 1 : 4};
	struct ref_config ref_config = {s.rows, s.cols, SRAM_BYTES, 65536, 0, true};
	struct ref_device *device = ref_new(&ref_config);
	struct ref_overlap *overlap = ref_overlap_new(&ref_config);
	struct igrad_report counts = {0};
	struct ref_placed placed[ROOM + 4];
	struct ref_skewed *array;
	struct igrad_config config;
	unsigned int n;
	struct rig rig;

	make_sequence(&s);
	rig_config(&config, s.rows, s.cols);
	config.overlap = true;
	config.dram_bytes_per_cycle = 65536;
	config.dram_latency = 0;
	rig_init(&rig, &config, DATA_BYTES);
	fill_values(rng, rig_floats(&rig, RIG_DATA));
	memcpy(device->sram, rig.memory + RIG_DATA, SRAM_BYTES);
	rig_run(&rig, s.cmds, s.count);
	n = place_all(&s, overlap, placed, &counts);
	device->counts = &counts;
	array = ref_skewed_new(device, placed, n);
	for (uint64_t t = 0; ref_skewed_runs(array, t); t++)
		ref_skewed_cycle(array, (int64_t)t);
	ref_skewed_free(array);
	compare(&s, &rig, device->sram, placed, n, &counts);
	ref_overlap_free(overlap);
	ref_free(device);
	rig_destroy(&rig);
}

/* Small arrays by the thousand; of every size up to 64 x 64, less than square, some. */
static void test_random_sequences(void **state)
{
	const uint64_t seed = seed_of_test("random sequences against the reference");
	const unsigned int rounds = count_of_test(6000);

	(void)state;
	for (unsigned int i = 0; i < rounds; i++) {
		struct rng rng = {seed + i};

		round_seed = seed + i;
		one_round(&rng, rng_below(&rng, 1000) == 0 ? 64
				: rng_below(&rng, 40) == 0 ? 16
							   : 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_sequences),
	};

	return run_group("core-overlap", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
