/* SPDX-License-Identifier: MIT */
/*
 * The hazard checker: the rules one by one; random streams against the plain oracle, with logs cut
 * so short that nearly everything is in the shadow; and streams that are made to cost much.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "races.h"
#include "rig.h"
#include "windows.h"

#define N	   8 /* rows and columns of the array */
#define SRAM_BYTES (16u << 10)
#define DRAM_BYTES (64u << 10)

static struct rig rig;

static int setup(void **state)
{
	struct igrad_config config;

	(void)state;
	rig_config(&config, N, N);
	config.sram_bytes = SRAM_BYTES;
	rig_init(&rig, &config, DRAM_BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_destroy(&rig);
	return 0;
}

static void expect_ok(const struct igrad_cmd *cmds, unsigned int n)
{
	rig_run(&rig, cmds, n);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	assert_int_equal(rig.report.conflict, 0);
}

static void expect_hazard(const struct igrad_cmd *cmds, unsigned int n, unsigned int later,
			  unsigned int earlier)
{
	rig_run(&rig, cmds, n);
	assert_int_equal(rig.result.status, IGRAD_STATUS_MALFORMED);
	assert_int_equal(rig.result.reason, IGRAD_REASON_HAZARD);
	assert_int_equal(rig.result.engine, cmd_engine(&cmds[later]));
	assert_int_equal(rig.report.reason, IGRAD_REASON_HAZARD);
	assert_int_equal(rig.report.command, later);
	assert_int_equal(rig.report.conflict, earlier);
}

/* --------------------------------------------------------------------------------------------- */
/* Regions */
/* --------------------------------------------------------------------------------------------- */

static struct igrad_strided random_region(struct rng *rng, uint32_t addr, uint32_t pitch,
					  uint32_t rows)
{
	const uint32_t bytes = rng_between(rng, 1, pitch);

	return igrad_strided(rng_below(rng, addr), bytes + rng_below(rng, pitch - bytes + 1),
			     rng_between(rng, 1, rows), bytes);
}

static bool row_meets(uint64_t begin, uint64_t end, const struct igrad_strided *b)
{
	for (uint64_t i = 0; i < b->rows; i++) {
		const uint64_t row = b->addr + i * b->pitch;

		if (begin < row + b->bytes && row < end)
			return true;
	}
	return false;
}

static bool meet_plainly(const struct igrad_strided *a, const struct igrad_strided *b)
{
	for (uint64_t i = 0; i < a->rows; i++) {
		const uint64_t row = a->addr + i * a->pitch;

		if (row_meets(row, row + a->bytes, b))
			return true;
	}
	return false;
}

static void compare_meeting(struct rng *rng, unsigned int rounds, uint32_t addr, uint32_t pitch,
			    uint32_t rows)
{
	unsigned int met = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		const struct igrad_strided a = random_region(rng, addr, pitch, rows);
		struct igrad_strided b = random_region(rng, addr, pitch, rows);

		if (rng_below(rng, 4) == 0 && a.rows > 1 && b.bytes <= a.pitch)
			b.pitch = b.rows > 1 ? a.pitch : 0;
		if (igrad_strided_meet(&a, &b) != meet_plainly(&a, &b) ||
		    igrad_strided_meet(&b, &a) != meet_plainly(&a, &b))
			fail_msg("%llu + %u x %u / %u and %llu + %u x %u / %u",
				 (unsigned long long)a.addr, a.rows, a.bytes, a.pitch,
				 (unsigned long long)b.addr, b.rows, b.bytes, b.pitch);
		met += meet_plainly(&a, &b);
	}
	assert_in_range(met, rounds / 20, rounds - rounds / 20); /* both happen */
}

static void test_regions(void **state)
{
	struct rng rng = {seed_of_test("regions")};

	(void)state;
	compare_meeting(&rng, count_of_test(300000), 12, 8, 4);
	compare_meeting(&rng, count_of_test(300000), 100, 30, 8);
	compare_meeting(&rng, count_of_test(20000), 2000, 200, 40);
	for (unsigned int i = 0; i < count_of_test(3000); i++) { /* few bytes in much space */
		const struct igrad_strided a = {rng_below(&rng, 1u << 31), 1000003, 300, 1};
		const struct igrad_strided b = {rng_below(&rng, 1u << 31),
						rng_between(&rng, 5000, 50000000), 300,
						rng_between(&rng, 1, 5000)};

		assert_int_equal(igrad_strided_meet(&a, &b), meet_plainly(&a, &b));
		assert_int_equal(igrad_strided_meet(&b, &a), meet_plainly(&a, &b));
	}
}

/* --------------------------------------------------------------------------------------------- */
/* The rules */
/* --------------------------------------------------------------------------------------------- */

static struct igrad_cmd fill(uint32_t sram, uint32_t words)
{
	struct igrad_cmd cmd = cmd_vec(IGRAD_OP_VEC_FILL, 1, words);

	cmd.u.vec.d = sram;
	cmd.u.vec.d_pitch = words * 4;
	return cmd;
}

static struct igrad_cmd load(uint32_t sram, uint32_t words)
{
	return cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, sram, 1, words);
}

static struct igrad_cmd store(uint32_t sram, uint32_t words)
{
	return cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + DRAM_BYTES / 2, sram, 1, words);
}

static void test_neighbours(void **state)
{
	const struct igrad_cmd side_by_side[] = {load(0, 4), fill(16, 4), store(32, 4),
						 cmd_shift(IGRAD_OP_DRAIN_W, 1, 4, 48, 4)};
	struct igrad_cmd cmds[] = {load(0, 4), fill(12, 4)};

	(void)state;
	expect_ok(side_by_side, 4);
	expect_hazard(cmds, 2, 1, 0);
	cmds[1] = fill(16, 4);
	expect_ok(cmds, 2);
	cmds[0] = load(32, 4);
	expect_ok(cmds, 2);
	cmds[0] = load(28, 4);
	expect_hazard(cmds, 2, 1, 0);
}

/* Columns of one matrix are no hazard for each other, however their rows interlock. */
static void test_columns(void **state)
{
	struct igrad_cmd cmds[] = {
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 16, 2),
		cmd_shift(IGRAD_OP_DRAIN_ACC, N, 3, 8, 5),
	};

	(void)state;
	cmds[0].u.dma.sram_pitch = 20;
	expect_ok(cmds, 2);
	cmds[0].u.dma.fill_cols = 1; /* zeros are written, too */
	expect_hazard(cmds, 2, 1, 0);
	cmds[0].u.dma.fill_cols = 0;
	cmds[1].u.array.p = 4 + 20 * 15;
	expect_hazard(cmds, 2, 1, 0); /* in the last row only */
	cmds[1].u.array.p = 4 + 20 * 16;
	expect_ok(cmds, 2);
	cmds[1] = cmd_shift(IGRAD_OP_DRAIN_ACC, N, 1, 8, 10);
	expect_ok(cmds, 2); /* at another pitch: rows 2, 12, 22, … of words modulo 5 */
	cmds[1].u.array.p_pitch = 36;
	expect_hazard(cmds, 2, 1, 0);
}

static void test_reads_may_meet(void **state)
{
	const struct igrad_cmd cmds[] = {
		store(0, 8),
		cmd_shift(IGRAD_OP_LOAD_W, 2, 4, 0, 4),
		cmd_shift(IGRAD_OP_LOAD_ACC, 2, 4, 0, 4),
		fill(64, 8),
		fill(28, 1), /* this one writes what both have read */
	};

	(void)state;
	expect_ok(cmds, 4);
	expect_hazard(cmds, 5, 4, 2); /* the last is named */
}

/* What one engine does it does in order; with shadow registers the array sees to it. */
static void test_one_engine(void **state)
{
	const struct igrad_cmd cmds[] = {
		cmd_shift(IGRAD_OP_DRAIN_W, N, N, 0, N),
		cmd_shift(IGRAD_OP_LOAD_ACC, N, N, 0, N),
		cmd_shift(IGRAD_OP_DRAIN_ACC, N, N, 0, N),
	};

	(void)state;
	expect_ok(cmds, 3);
}

static void test_chains(void **state)
{
	struct igrad_cmd cmds[] = {
		load(0, 4),
		load(64, 4), /* completes after the one before: its signal says enough */
		cmd_nop(IGRAD_ENGINE_ARRAY),
		cmd_nop(IGRAD_ENGINE_ARRAY),
		cmd_nop(IGRAD_ENGINE_STORE),
		cmd_nop(IGRAD_ENGINE_STORE), /* follows what its engine followed before */
		fill(0, 4),
	};

	(void)state;
	cmds[1].signal = 1;
	cmd_wait(&cmds[2], 1, 1, 1);
	cmds[3].signal = 2;
	cmd_wait(&cmds[4], 2, 2, 1);
	cmds[5].signal = 3;
	cmd_wait(&cmds[6], 0, 3, 1);
	expect_ok(cmds, 7);
	cmd_wait(&cmds[4], 2, 0, 0);
	expect_hazard(cmds, 7, 6, 0);
	cmd_wait(&cmds[5], 0, 2, 1);
	expect_ok(cmds, 7);
	cmds[1].signal = 0; /* a signal says nothing of what comes after it */
	cmds[0].signal = 1;
	expect_ok(cmds, 7);
	cmds[6] = fill(64, 4);
	cmd_wait(&cmds[6], 0, 3, 1);
	expect_hazard(cmds, 7, 6, 1);
}

static void test_memory(void **state)
{
	struct igrad_cmd cmds[] = {
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + 64, 0, 4, 4),
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA + 80, 1024, 4, 4),
	};

	(void)state;
	cmds[0].u.dma.pitch = cmds[1].u.dma.pitch = 32; /* beside each other */
	expect_ok(cmds, 2);
	cmds[1].u.dma.va = RIG_DATA + 92;
	expect_hazard(cmds, 2, 1, 0);
	cmds[0].signal = 9;
	cmd_wait(&cmds[1], 0, 9, 1);
	expect_ok(cmds, 2);
	cmd_wait(&cmds[1], 0, 0, 0);
	cmds[1] = cmds[0];
	cmds[0] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA + 64 + 96 + 12, 1024, 1, 4);
	expect_hazard(cmds, 2, 1, 0);
	cmds[0].u.dma.va += 4;
	expect_ok(cmds, 2);
}

/* Rows beyond the address space are what the command faults with, whatever their bytes. */
static void test_end_of_memory(void **state)
{
	struct igrad_cmd cmds[] = {
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA, 0, 4, 4),
		cmd_dma(IGRAD_OP_DMA_LOAD, IGRAD_VA_END - 4096, 1024, 64, 1),
	};

	(void)state;
	cmds[1].u.dma.pitch = 0xfffffffc;
	rig_run(&rig, cmds, 2);
	assert_int_equal(rig.result.status, IGRAD_STATUS_FAULT);
	cmds[1].u.dma.va = UINT64_MAX - 3;
	rig_run(&rig, cmds, 2);
	assert_int_equal(rig.result.reason, IGRAD_REASON_VA_RANGE);
}

/* The later command has done nothing; all before it has. */
static void test_before_any_effect(void **state)
{
	struct igrad_cmd cmds[] = {fill(0, 4), store(0, 4), fill(0, 4), load(0, 4)};
	uint32_t words[4];

	(void)state;
	cmds[0].u.vec.imm = 0x3f800000;
	cmds[0].signal = 1;
	cmd_wait(&cmds[1], 0, 1, 1);
	memset(rig.memory + RIG_DATA, 0, DRAM_BYTES);
	expect_hazard(cmds, 3, 2, 1);
	memcpy(words, rig.memory + RIG_DATA + DRAM_BYTES / 2, sizeof(words));
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(words[i], 0x3f800000);
	assert_int_equal(rig.report.retired[IGRAD_ENGINE_VECTOR], 1);
	assert_int_equal(rig.report.sram[0][IGRAD_ACCESS_VECTOR_WRITE], 4);
	assert_memory_equal(rig.core->sram.bytes, words, sizeof(words));
}

/* The last of the rules: any other that a command breaks comes first. */
static void test_order_of_checks(void **state)
{
	struct igrad_cmd cmds[] = {load(0, 4), fill(0, 4)};

	(void)state;
	cmd_wait(&cmds[1], 0, 5, 1);
	rig_run(&rig, cmds, 2);
	assert_int_equal(rig.result.reason, IGRAD_REASON_WAIT);
	cmds[0].signal = 5;
	cmds[1].signal = 5;
	rig_run(&rig, cmds, 2);
	assert_int_equal(rig.result.reason, IGRAD_REASON_SEMAPHORE);
	cmds[1].signal = 0;
	expect_ok(cmds, 2);
}

/* No job knows of those before it, nor do its logs keep their memory. */
static void test_jobs_are_apart(void **state)
{
	const struct igrad_cmd first[] = {load(0, 64), store(64 * 4, 64)};
	const struct igrad_cmd second[] = {fill(0, 128)};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		expect_ok(first, 2);
		expect_ok(second, 1);
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Random streams against the oracle */
/* --------------------------------------------------------------------------------------------- */

#define WINDOW	 1536u /* bytes of SRAM and of memory in use: many commands meet */
#define MOST	 700
#define MAX_SIZE 6

static uint64_t round_seed;

/* Rows of words or half-words in the window. */
static uint32_t place(struct rng *rng, uint32_t rows, uint32_t cols, unsigned int size,
		      uint32_t *pitch)
{
	*pitch = (cols + (rng_below(rng, 2) ? rng_below(rng, 9) : 0)) * size;
	return rng_below(rng, (WINDOW - (rows - 1) * *pitch - cols * size) / size + 1) * size;
}

static unsigned int element(const struct igrad_cmd *cmd)
{
	return cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4;
}

static void random_dma(struct rng *rng, struct igrad_cmd *cmd)
{
	struct igrad_cmd_dma *dma = &cmd->u.dma;
	const bool load = cmd->opcode == IGRAD_OP_DMA_LOAD;

	cmd->flags = (uint16_t)(rng_u32(rng) & (IGRAD_FLAG_BF16 | IGRAD_FLAG_MEM_BF16));
	dma->fill_rows = load ? rng_below(rng, 2) : 0;
	dma->fill_cols = load ? rng_below(rng, 3) : 0;
	dma->va = RIG_DATA + place(rng, dma->rows, dma->cols,
				   cmd->flags & IGRAD_FLAG_MEM_BF16 ? 2 : 4, &dma->pitch);
	dma->sram = place(rng, dma->rows + dma->fill_rows, dma->cols + dma->fill_cols, element(cmd),
			  &dma->sram_pitch);
}

/* Small images, so that many fit. */
static struct igrad_cmd random_window(struct rng *rng)
{
	struct igrad_cmd cmd = window_make(rng, MAX_SIZE);
	struct igrad_cmd_window *w = &cmd.u.window;

	w->height = (uint16_t)rng_between(rng, 1, 2);
	w->width = (uint16_t)rng_between(rng, 1, 2);
	w->out_height = (uint16_t)rng_between(rng, 1, 3);
	w->out_width = (uint16_t)rng_between(rng, 1, 3);
	return cmd;
}

/* What x and p must have room for. */
static struct window_rows maybe_images(struct rng *rng, const struct igrad_cmd_window *window,
				       struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool transpose = cmd->flags & IGRAD_FLAG_TRANSPOSE,
		   turn = cmd->flags & IGRAD_FLAG_TURN;
	const uint32_t lanes = cmd->opcode == IGRAD_OP_FPROP ? a->cols : a->rows;
	const struct window_rows plain = {transpose ? a->rows : a->batch,
					  transpose ? a->batch : a->rows, turn ? lanes : a->batch,
					  turn ? a->batch : lanes};
	struct igrad_cmd images = *cmd;
	struct window_rows rows;

	if (!window->height || transpose || turn || rng_below(rng, 2))
		return plain;
	rows = window_stream(rng, window, &images);
	if ((rows.x > rows.p ? rows.x : rows.p) * (MAX_SIZE + 8) * 4 > WINDOW)
		return plain;
	*cmd = images;
	return rows;
}

static void random_array(struct rng *rng, const struct igrad_cmd_window *window,
			 struct igrad_cmd *cmd)
{
	static const uint16_t flags[] = {
		[IGRAD_OP_LOAD_W - IGRAD_OP_LOAD_W] = IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_BF16,
		[IGRAD_OP_FPROP - IGRAD_OP_LOAD_W] = IGRAD_FLAG_ADD | IGRAD_FLAG_TRANSPOSE |
						     IGRAD_FLAG_TURN | IGRAD_FLAG_BF16,
		[IGRAD_OP_DGRAD - IGRAD_OP_LOAD_W] = IGRAD_FLAG_ADD | IGRAD_FLAG_BF16,
		[IGRAD_OP_WGRAD - IGRAD_OP_LOAD_W] = IGRAD_FLAG_KEEP | IGRAD_FLAG_BF16,
		[IGRAD_OP_INTERLEAVED - IGRAD_OP_LOAD_W] = IGRAD_FLAG_ADD | IGRAD_FLAG_KEEP |
							   IGRAD_FLAG_BF16,
		[IGRAD_OP_SCALE_ACC - IGRAD_OP_LOAD_W] = 0,
	};
	struct igrad_cmd_array *a = &cmd->u.array;
	const bool streams = cmd->opcode >= IGRAD_OP_FPROP && cmd->opcode <= IGRAD_OP_INTERLEAVED;
	const uint32_t batch = rng_between(rng, 1, MAX_SIZE);
	struct window_rows of;
	bool turned;

	cmd->flags = (uint16_t)(rng_u32(rng) & flags[cmd->opcode - IGRAD_OP_LOAD_W]);
	if (!streams)
		cmd->flags = window_groups(rng, window, cmd->flags);
	turned = cmd->flags & IGRAD_FLAG_TRANSPOSE;
	if (!streams && cmd->opcode != IGRAD_OP_UPDATE && cmd->opcode != IGRAD_OP_SCALE_ACC) {
		a->p = place(rng, turned ? a->cols : a->rows, turned ? a->rows : a->cols,
			     element(cmd), &a->p_pitch);
		return;
	}
	if (!streams)
		return;
	a->batch = batch;
	of = maybe_images(rng, window, cmd);
	cmd->flags = window_groups(rng, window, cmd->flags);
	if (cmd->opcode != IGRAD_OP_DGRAD)
		a->x = place(rng, of.x, of.x_words, element(cmd), &a->x_pitch);
	if (cmd->opcode != IGRAD_OP_FPROP)
		a->g = place(rng, batch, a->cols, element(cmd), &a->g_pitch);
	if (cmd->opcode != IGRAD_OP_WGRAD)
		a->p = place(rng, of.p, of.p_words, 4, &a->p_pitch);
}

static void random_pool(struct rng *rng, struct igrad_cmd *cmd)
{
	struct igrad_cmd_pool *p = &cmd->u.pool;
	const bool max = cmd->opcode == IGRAD_OP_VEC_POOL_MAX;
	uint32_t none, pixels, outputs;

	memset(&cmd->u, 0, sizeof(cmd->u));
	while (!random_windows(rng, cmd))
		;
	p->images = 1;
	p->cols = 1;
	pixels = (uint32_t)p->height * p->width;
	outputs = (uint32_t)p->out_height * p->out_width;
	p->a = place(rng, 1, pixels < outputs ? outputs : pixels, 4, &none);
	p->d = place(rng, 1, pixels < outputs ? outputs : pixels, 4, &none);
	if (max && rng_below(rng, 2))
		cmd->flags = IGRAD_FLAG_INDEX;
	if (cmd->flags || cmd->opcode == IGRAD_OP_VEC_POOL_MAX_GRAD)
		p->b = place(rng, 1, outputs, 4, &none);
}

static uint32_t rows_of_constants(uint8_t opcode)
{
	return opcode == IGRAD_OP_VEC_NORM	  ? IGRAD_NORM_ROWS
	       : opcode == IGRAD_OP_VEC_NORM_SUMS ? IGRAD_NORM_ROWS_SUMS
						  : IGRAD_NORM_ROWS_GRAD;
}

static void random_vec(struct rng *rng, struct igrad_cmd *cmd)
{
	struct igrad_cmd_vec *v = &cmd->u.vec;
	const char *words = rig_words_of((enum igrad_opcode)cmd->opcode);
	const bool softmax = cmd->opcode == IGRAD_OP_VEC_SOFTMAX_XENT;
	const bool colsum = cmd->opcode == IGRAD_OP_VEC_COLSUM || cmd->opcode == IGRAD_OP_VEC_COLSQ;
	const bool sums = cmd->opcode == IGRAD_OP_VEC_NORM_SUMS;
	const bool bias = cmd->opcode == IGRAD_OP_VEC_BIAS || cmd->opcode == IGRAD_OP_VEC_COLSQ ||
			  cmd->opcode == IGRAD_OP_VEC_DROPOUT;
	uint32_t none;

	if (cmd->opcode >= IGRAD_OP_VEC_POOL_MAX) {
		random_pool(rng, cmd);
		return;
	}
	if (sums || cmd->opcode == IGRAD_OP_VEC_COLSQ)
		cmd->flags = (uint16_t)(rng_u32(rng) & IGRAD_FLAG_KEEP);
	else if (colsum)
		cmd->flags = (uint16_t)(rng_u32(rng) & (IGRAD_FLAG_KEEP | IGRAD_FLAG_BF16));
	else if (cmd->opcode == IGRAD_OP_VEC_RELU_GRAD)
		cmd->flags = (uint16_t)(rng_u32(rng) & IGRAD_FLAG_BF16);
	if (strchr(words, '2'))
		v->a = place(rng, v->rows, v->cols, element(cmd), &v->a_pitch);
	if (strchr(words, '4'))
		v->b = place(rng, bias ? 1 : v->rows, softmax ? 1 : v->cols, element(cmd),
			     bias ? &none : &v->b_pitch);
	if (cmd->opcode == IGRAD_OP_VEC_ADAM) {
		const uint32_t span = (v->rows - 1) * v->b_pitch + v->cols * 4;

		v->imm = place(rng, 1, IGRAD_ADAM_WORDS, 4, &none);
		v->imm2 = rng_below(rng, (WINDOW - span) / 4 + 1) * 4;
	}
	if (cmd->opcode >= IGRAD_OP_VEC_NORM && cmd->opcode <= IGRAD_OP_VEC_NORM_GRAD)
		v->imm = place(rng, rows_of_constants(cmd->opcode), v->cols, 4, &v->imm2);
	v->d = place(rng,
		     colsum ? 1
		     : sums ? 2
			    : v->rows,
		     v->cols, colsum ? 4 : element(cmd), colsum ? &none : &v->d_pitch);
	if (softmax)
		v->imm2 = place(rng, v->rows, 1, 4, &none);
}

static struct igrad_cmd any_command(struct rng *rng, const struct igrad_cmd_window *window)
{
	struct igrad_cmd cmd = cmd_nop((enum igrad_engine)rng_below(rng, IGRAD_NUM_ENGINES));
	const uint32_t rows = rng_between(rng, 1, MAX_SIZE), cols = rng_between(rng, 1, MAX_SIZE);

	switch (rng_below(rng, 9)) {
	case 0:
		return rng_below(rng, 3) ? random_window(rng) : cmd;
	case 1:
	case 2:
		cmd = cmd_dma(IGRAD_OP_DMA_LOAD, 0, 0, rows, cols);
		random_dma(rng, &cmd);
		return cmd;
	case 3:
	case 4:
		cmd = cmd_dma(IGRAD_OP_DMA_STORE, 0, 0, rows, cols);
		random_dma(rng, &cmd);
		return cmd;
	case 5:
	case 6:
		cmd = cmd_stream(IGRAD_OP_LOAD_W + rng_below(rng, 10), rows, cols, 0);
		random_array(rng, window, &cmd);
		return cmd;
	default:
		cmd = cmd_vec(IGRAD_OP_VEC_FILL + rng_below(rng, 24), rows, cols);
		random_vec(rng, &cmd);
		return cmd;
	}
}

/* One that breaks no rule of its own, such as that operands and results be apart. */
static struct igrad_cmd random_command(struct rng *rng, const struct igrad_cmd_window *window)
{
	const struct igrad_config *config = igrad_core_config(rig.core);
	struct igrad_areas areas;
	enum igrad_engine engine;
	struct igrad_cmd cmd;

	do {
		cmd = any_command(rng, window);
	} while (igrad_check_command(config, rig.core->sram.bytes, window, &cmd, &engine, &areas));
	return cmd;
}

static uint32_t signals_before(const struct igrad_cmd *cmds, unsigned int n, uint8_t semaphore)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < n; i++)
		value += cmds[i].signal == semaphore;
	return value;
}

/* Change a wait: into none, an earlier one, or one for something else. */
static void spoil(struct rng *rng, struct igrad_cmd *cmds, unsigned int n)
{
	const unsigned int i = rng_below(rng, n), slot = rng_below(rng, IGRAD_NUM_WAITS);
	const uint8_t semaphore = (uint8_t)rng_between(rng, 1, IGRAD_NUM_SEMAPHORES - 1);
	const uint32_t value = signals_before(cmds, i, semaphore);

	if (!cmds[i].wait_sem[slot])
		return;
	if (rng_below(rng, 3) == 0 || (cmds[i].wait_value[slot] == 1 && !value))
		cmd_wait(&cmds[i], slot, 0, 0);
	else if (value && rng_below(rng, 2))
		cmd_wait(&cmds[i], slot, semaphore, rng_between(rng, 1, value));
	else if (cmds[i].wait_value[slot] > 1)
		cmds[i].wait_value[slot]--;
}

/* An engine that waits for nobody, from some command on: all others may still follow it. */
static void let_run(struct rng *rng, struct igrad_cmd *cmds, unsigned int n)
{
	const enum igrad_engine engine = (enum igrad_engine)rng_below(rng, IGRAD_NUM_ENGINES);

	for (unsigned int i = rng_below(rng, n); i < n; i++) {
		for (unsigned int k = 0; cmd_engine(&cmds[i]) == engine && k < IGRAD_NUM_WAITS; k++)
			cmd_wait(&cmds[i], k, 0, 0);
	}
}

static unsigned int hazards_seen, clean_seen;

static void compare(struct races *races, const struct igrad_cmd *cmds, unsigned int n)
{
	unsigned int later = 0, earlier = 0;
	const bool race = races_find(races, cmds, n, &later, &earlier);

	rig_run(&rig, cmds, n);
	if (rig.result.status != (race ? IGRAD_STATUS_MALFORMED : IGRAD_STATUS_OK) ||
	    rig.result.reason != (race ? IGRAD_REASON_HAZARD : IGRAD_REASON_NONE) ||
	    rig.report.conflict != earlier || (race && rig.report.command != later)) {
		printf("# oracle: %d, %u after %u; core: reason %d, %u after %u\n", race, later,
		       earlier, rig.result.reason, rig.report.command, rig.report.conflict);
		printf("# reproduce with IGRAD_TEST_SEED=%llu IGRAD_TEST_SCALE=0.001\n",
		       (unsigned long long)round_seed);
		fail();
	}
	hazards_seen += race;
	clean_seen += !race;
}

static void one_round(struct rng *rng)
{
	static const uint32_t limits[] = {1, 2, 7, 50, 4095};
	const unsigned int more = rng_below(rng, 9);
	const unsigned int length = rng_between(rng, 2, rng_below(rng, 12) ? 60 : MOST);
	struct races *races = races_new(SRAM_BYTES, RIG_DATA, WINDOW, length);
	static struct igrad_cmd cmds[MOST], spoiled[MOST];
	unsigned int n = 0;

	rig.core->hazards.max_live = limits[rng_below(rng, 5)];
	while (n < length)
		races_emit(races, cmds, &n, random_command(rng, races_window(races)), rng, more);
	compare(races, cmds, n);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	for (unsigned int i = 0; i < 6; i++) {
		memcpy(spoiled, cmds, n * sizeof(cmds[0]));
		if (i % 2)
			let_run(rng, spoiled, n);
		for (unsigned int k = rng_below(rng, 4); k > 0; k--)
			spoil(rng, spoiled, n);
		compare(races, spoiled, n);
	}
	races_free(races);
}

static void test_random_streams(void **state)
{
	const uint64_t seed = seed_of_test("random streams against the oracle");
	const unsigned int rounds = count_of_test(2000);
	struct igrad_config config = *igrad_core_config(rig.core);
	struct igrad_core *core = rig.core;

	(void)state;
	config.timing_only = true;
	rig.core = igrad_core_new(&config);
	assert_non_null(rig.core);
	for (unsigned int i = 0; i < rounds; i++) {
		struct rng rng = {seed + i};

		round_seed = seed + i;
		one_round(&rng);
	}
	printf("# %u streams with hazards, %u without\n", hazards_seen, clean_seen);
	igrad_core_free(rig.core);
	rig.core = core;
}

/* --------------------------------------------------------------------------------------------- */
/* Streams that want to cost much */
/* --------------------------------------------------------------------------------------------- */

#define HOSTILE 15000

static void expect_bounded(const struct igrad_hazards *hazards)
{
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		assert_in_range(hazards->sram[e][IGRAD_LOG_READS].room, 0, 8192);
		assert_in_range(hazards->sram[e][IGRAD_LOG_WRITES].room, 0, 8192);
	}
}

/* Tiny regions everywhere, never the same, in no order at all: nothing may be forgotten. */
static void test_hostile(void **state)
{
	static struct igrad_cmd cmds[HOSTILE + 1];
	struct rng rng = {5};

	(void)state;
	for (unsigned int i = 0; i < HOSTILE; i++) {
		const uint32_t rows = rng_between(&rng, 2, 60);

		if (i % 2) {
			cmds[i] = cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA, 0, rows, 1);
			cmds[i].u.dma.sram = rng_below(&rng, 1000) * 8;
			cmds[i].u.dma.sram_pitch = rng_between(&rng, 1, 14) * 8;
		} else {
			cmds[i] = cmd_shift(IGRAD_OP_LOAD_W, rng_between(&rng, 1, N), 1,
					    rng_below(&rng, 1000) * 8,
					    rng_between(&rng, 1, 100) * 2);
		}
	}
	cmds[1].u.dma.sram = SRAM_BYTES - 1024;
	cmds[1].u.dma.sram_pitch = 16;
	cmds[1].u.dma.rows = 64;
	expect_ok(cmds, HOSTILE);
	expect_bounded(&rig.core->hazards);
	assert_true(rig.core->hazards.shadow.used);
	cmds[HOSTILE] = fill(SRAM_BYTES - 1024 + 63 * 16, 1);
	expect_hazard(cmds, HOSTILE + 1, HOSTILE, 1);
	cmds[HOSTILE] = fill(SRAM_BYTES - 1024 + 63 * 16 + 4, 1);
	expect_ok(cmds, HOSTILE + 1);
	expect_bounded(&rig.core->hazards);
	cmds[0] = fill(0, 1);
	expect_ok(cmds, 1);
	assert_false(rig.core->hazards.shadow.used);
}

/* All engines follow all loads but the last: that one must not be forgotten when logs are tidied.
 */
static void test_last_of_many(void **state)
{
	struct igrad_cmd cmds[200];

	(void)state;
	for (unsigned int loads = 2; loads < 160; loads++) {
		unsigned int n = 0;

		while (n < loads) {
			cmds[n] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA + n * 8, n * 8, 1, 1);
			cmds[n].signal = n == loads - 2 ? 1 : 0;
			n++;
		}
		for (unsigned int e = IGRAD_ENGINE_STORE; e < IGRAD_NUM_ENGINES; e++) {
			cmds[n] = cmd_nop((enum igrad_engine)e);
			cmd_wait(&cmds[n++], 0, 1, 1);
		}
		for (unsigned int i = 0; i < 4; i++, n++)
			cmds[n] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA + n * 8, n * 8, 1, 1);
		cmds[n] = fill((loads - 1) * 8, 1);
		expect_hazard(cmds, n + 1, n, loads - 1);
		cmds[n] = fill((loads - 2) * 8, 1);
		expect_ok(cmds, n + 1);
		cmds[n] = cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + (loads - 1) * 8, 8192, 1, 1);
		expect_hazard(cmds, n + 1, n, loads - 1);
		cmds[n].u.dma.va -= 8;
		expect_ok(cmds, n + 1);
	}
}

/* As many shapes at one address as can be: no two are the same region. */
static void test_one_address(void **state)
{
	static struct igrad_cmd cmds[2001];
	static const uint32_t limits[] = {1, 100, 4095};
	struct rng rng = {6};

	(void)state;
	for (uint32_t i = 0; i < 2000; i++)
		cmds[i] = cmd_shift(IGRAD_OP_LOAD_W, 2, 1, 0, i + 1);
	for (unsigned int i = 0; i < 100; i++) {
		const uint32_t which = rng_below(&rng, 2000);

		rig.core->hazards.max_live = limits[i % 3];
		cmds[2000] = fill((which + 1) * 4, 1);
		expect_hazard(cmds, 2001, 2000, which);
	}
	rig.core->hazards.max_live = limits[2];
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_reads_may_meet),
		cmocka_unit_test(test_one_engine),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_end_of_memory),
		cmocka_unit_test(test_before_any_effect),
		cmocka_unit_test(test_order_of_checks),
		cmocka_unit_test(test_jobs_are_apart),
		cmocka_unit_test(test_random_streams),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_last_of_many),
		cmocka_unit_test(test_one_address),
	};

	return run_group("core-hazard", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
