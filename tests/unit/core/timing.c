/* SPDX-License-Identifier: MIT */
/* The clocks and the semaphores, in cases small enough to be worked out by hand. */
#include "rig.h"

#define R	4
#define C	8
#define WIDTH	16
#define LATENCY 10

static struct rig rig;

static int setup(void **state)
{
	struct igrad_config config;

	(void)state;
	rig_config(&config, R, C);
	config.dram_bytes_per_cycle = WIDTH;
	config.dram_latency = LATENCY;
	rig_init(&rig, &config, 65536);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_destroy(&rig);
	return 0;
}

static void run(const struct igrad_cmd *cmds, unsigned int n)
{
	rig_run(&rig, cmds, n);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
}

static uint64_t cycles(struct igrad_cmd cmd)
{
	run(&cmd, 1);
	return rig.report.cycles;
}

static struct igrad_cmd stream(enum igrad_opcode opcode, uint32_t rows, uint32_t cols,
			       uint32_t batch)
{
	struct igrad_cmd cmd = cmd_stream(opcode, rows, cols, batch);

	if (opcode != IGRAD_OP_DGRAD)
		cmd_x(&cmd, 0, rows);
	if (opcode != IGRAD_OP_FPROP)
		cmd_g(&cmd, 16384, cols);
	if (opcode != IGRAD_OP_WGRAD)
		cmd_p(&cmd, 32768, opcode == IGRAD_OP_FPROP ? cols : rows);
	return cmd;
}

static struct igrad_cmd vec(enum igrad_opcode opcode, uint32_t rows, uint32_t cols)
{
	struct igrad_cmd cmd = cmd_vec(opcode, rows, cols);

	cmd.u.vec.a_pitch = opcode == IGRAD_OP_VEC_FILL ? 0 : cols * 4;
	cmd.u.vec.d = 32768;
	cmd.u.vec.d_pitch = opcode == IGRAD_OP_VEC_COLSUM ? 0 : cols * 4;
	return cmd;
}

static void test_array_cycles(void **state)
{
	struct igrad_cmd update = cmd_stream(IGRAD_OP_UPDATE, 1, 1, 0);

	(void)state;
	assert_int_equal(cycles(cmd_shift(IGRAD_OP_LOAD_W, 1, 1, 0, 1)), R);
	assert_int_equal(cycles(cmd_shift(IGRAD_OP_LOAD_ACC, R, C, 0, C)), R);
	assert_int_equal(cycles(cmd_shift(IGRAD_OP_DRAIN_ACC, R, C, 0, C)), R);
	assert_int_equal(cycles(cmd_shift(IGRAD_OP_DRAIN_W, 2, 2, 0, 2)), R);
	assert_int_equal(cycles(stream(IGRAD_OP_FPROP, 1, 1, 5)), 5 + R + C - 2);
	assert_int_equal(cycles(stream(IGRAD_OP_DGRAD, R, C, 5)), 5 + R + C - 2);
	assert_int_equal(cycles(stream(IGRAD_OP_WGRAD, R, 1, 5)), 5 + R + C - 2);
	assert_int_equal(cycles(stream(IGRAD_OP_INTERLEAVED, 1, C, 5)), 2 * 5 + R + C - 2);
	assert_int_equal(cycles(update), 1);
	update.flags = IGRAD_FLAG_DECAY;
	assert_int_equal(cycles(update), 2);
}

/* 3 images of 5 × 4 pixels and 7 channels, in windows of 3 × 3 with a stride of 2 and padding 1. */
static struct igrad_cmd pool(enum igrad_opcode opcode)
{
	return (struct igrad_cmd){
		.opcode = (uint8_t)opcode,
		.u.pool = {5, 4, 3, 2, 3, 3, 2, 2, IGRAD_TAP(-1, -1), 3, 7, 0,
			   opcode == IGRAD_OP_VEC_POOL_MAX_GRAD ? 32768 : 0, 16384},
	};
}

static void test_pooling_cycles(void **state)
{
	/* Windows see 2, 3 and 2 rows, 2 and 3 pixels of each; there are 3 · 2 outputs. */
	const unsigned int seen = 3 * 7 * (2 + 3 + 2) * (2 + 3), outputs = 3 * 7 * 3 * 2;
	const unsigned int passes = (seen + C - 1) / C, few = (outputs + C - 1) / C;
	const uint64_t *words = rig.report.sram[0];
	struct igrad_cmd cmd = pool(IGRAD_OP_VEC_POOL_MAX);

	(void)state;
	assert_int_equal(cycles(cmd), passes);
	assert_int_equal(words[IGRAD_ACCESS_VECTOR_READ], seen);
	assert_int_equal(words[IGRAD_ACCESS_VECTOR_WRITE], outputs);
	assert_int_equal(rig.report.vector_ops, seen);
	cmd.flags = IGRAD_FLAG_INDEX;
	cmd.u.pool.b = 32768;
	assert_int_equal(cycles(cmd), passes);
	assert_int_equal(words[IGRAD_ACCESS_VECTOR_WRITE], 2 * outputs);
	assert_int_equal(cycles(pool(IGRAD_OP_VEC_POOL_SUM)), passes);
	assert_int_equal(words[IGRAD_ACCESS_VECTOR_READ], seen);
	assert_int_equal(cycles(pool(IGRAD_OP_VEC_POOL_SUM_GRAD)), passes);
	assert_int_equal(words[IGRAD_ACCESS_VECTOR_READ], outputs + seen);
	assert_int_equal(words[IGRAD_ACCESS_VECTOR_WRITE], seen);
	assert_int_equal(cycles(pool(IGRAD_OP_VEC_POOL_MAX_GRAD)), few);
	assert_int_equal(words[IGRAD_ACCESS_VECTOR_READ], 3 * outputs);
	assert_int_equal(words[IGRAD_ACCESS_VECTOR_WRITE], outputs);
	assert_int_equal(cycles(pool(IGRAD_OP_VEC_POOL_DIVIDE)), few);
	assert_int_equal(rig.report.vector_ops, outputs);
}

static void test_vector_cycles(void **state)
{
	struct igrad_cmd cmd;

	(void)state;
	assert_int_equal(cycles(vec(IGRAD_OP_VEC_FILL, 1, 1)), 1);
	assert_int_equal(cycles(vec(IGRAD_OP_VEC_COPY, 3, C)), 3);
	assert_int_equal(cycles(vec(IGRAD_OP_VEC_RELU, 3, C + 1)), 4);
	assert_int_equal(cycles(vec(IGRAD_OP_VEC_COLSUM, 9, 5)), 6);
	cmd = vec(IGRAD_OP_VEC_SOFTMAX_XENT, 9, 5);
	cmd.u.vec.b = 16384;
	cmd.u.vec.b_pitch = 4;
	cmd.u.vec.imm2 = 49152;
	assert_int_equal(cycles(cmd), 3 * 6 + 2);
	assert_int_equal(rig.report.sram[0][IGRAD_ACCESS_VECTOR_READ], 3 * 45 + 9);
	assert_int_equal(rig.report.sram[0][IGRAD_ACCESS_VECTOR_WRITE], 2 * 45 + 9);
	assert_int_equal(rig.report.vector_ops, 45);
	cmd = vec(IGRAD_OP_VEC_ADAM, 9, 5);
	cmd.u.vec.b = 16384;
	cmd.u.vec.b_pitch = cmd.u.vec.d_pitch;
	cmd.u.vec.imm = 57344;
	cmd.u.vec.imm2 = 49152;
	assert_int_equal(cycles(cmd), 6);
	assert_int_equal(rig.report.sram[0][IGRAD_ACCESS_UPDATE_READ], 4 * 45 + 7);
	assert_int_equal(rig.report.sram[0][IGRAD_ACCESS_UPDATE_WRITE], 3 * 45);
	assert_int_equal(rig.report.vector_ops, 9 * 45);
	cmd.flags |= IGRAD_FLAG_DECAY;
	assert_int_equal(cycles(cmd), 6);
	assert_int_equal(rig.report.vector_ops, 10 * 45);
	cmd = vec(IGRAD_OP_VEC_NORM, 9, 5);
	cmd.u.vec.imm = 57344;
	cmd.u.vec.imm2 = 20;
	assert_int_equal(cycles(cmd), 6);
	assert_int_equal(rig.report.sram[0][IGRAD_ACCESS_VECTOR_READ], 45 + 4 * 5);
	assert_int_equal(rig.report.sram[0][IGRAD_ACCESS_VECTOR_WRITE], 45);
	assert_int_equal(rig.report.vector_ops, 3 * 45);
	cmd = vec(IGRAD_OP_VEC_SGD, 9, 5);
	cmd.u.vec.b = 16384;
	cmd.u.vec.b_pitch = cmd.u.vec.d_pitch;
	assert_int_equal(cycles(cmd), 6);
	assert_int_equal(rig.report.vector_ops, 45);
	cmd.flags |= IGRAD_FLAG_DECAY;
	assert_int_equal(cycles(cmd), 6);
	assert_int_equal(rig.report.vector_ops, 2 * 45);
}

static void test_dma_cycles(void **state)
{
	struct igrad_cmd cmd = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 3, 3);

	(void)state;
	assert_int_equal(cycles(cmd), 3 + LATENCY); /* 36 bytes */
	assert_int_equal(rig.report.busy[IGRAD_ENGINE_LOAD], 3);
	assert_int_equal(rig.report.dram_read_bytes, 36);
	cmd.u.dma.fill_rows = 2;
	cmd.u.dma.fill_cols = 1;
	cmd.u.dma.sram_pitch = 16;
	assert_int_equal(cycles(cmd), 3 + LATENCY);
	assert_int_equal(rig.report.dram_read_bytes, 36);
}

/* Latency is pipelined: the channel is free for the next command before the data have come. */
static void test_latency_is_pipelined(void **state)
{
	struct igrad_cmd cmds[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		cmds[i] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, 16);
	run(cmds, 3);
	assert_int_equal(rig.report.cycles, 3 * 4 + LATENCY);
	assert_int_equal(rig.report.stalled[IGRAD_ENGINE_LOAD], 0);
}

/* Commands of an engine complete in order: a NOP does not signal before what it follows. */
static void test_completion_in_order(void **state)
{
	struct igrad_cmd cmds[] = {
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, 16),
		cmd_nop(IGRAD_ENGINE_LOAD),
		cmd_shift(IGRAD_OP_LOAD_W, R, C, 0, C),
	};

	(void)state;
	cmds[1].signal = 3;
	cmd_wait(&cmds[2], 1, 3, 1);
	run(cmds, 3);
	assert_int_equal(rig.report.cycles, 4 + LATENCY + R);
	assert_int_equal(rig.report.stalled[IGRAD_ENGINE_ARRAY], 4 + LATENCY);
}

static void test_engines_run_concurrently(void **state)
{
	const struct igrad_cmd cmds[] = {
		stream(IGRAD_OP_WGRAD, R, C, 50),
		vec(IGRAD_OP_VEC_COPY, 20, C),
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 49152, 1, 16),
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + 4096, 57344, 1, 16),
	};

	(void)state;
	run(cmds, 4);
	assert_int_equal(rig.report.cycles, 50 + R + C - 2);
	assert_int_equal(rig.report.busy[IGRAD_ENGINE_VECTOR], 20);
	assert_int_equal(rig.report.busy[IGRAD_ENGINE_STORE], 4);
	assert_int_equal(rig.report.stalled[IGRAD_ENGINE_VECTOR], 0);
}

/* Double buffering: loads of tile i + 1 beside the stream of tile i, held back by a credit. */
static void test_semaphores(void **state)
{
	struct igrad_cmd cmds[6];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		const uint32_t x = i % 2 * 4096;

		cmds[2 * i] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, x, 1, 80); /* 20 cycles */
		cmds[2 * i].signal = 1;
		cmds[2 * i + 1] = stream(IGRAD_OP_WGRAD, R, C, 30); /* 40 cycles */
		cmds[2 * i + 1].u.array.x = x;
		cmds[2 * i + 1].signal = 2;
		cmd_wait(&cmds[2 * i + 1], 0, 1, i + 1);
	}
	cmd_wait(&cmds[4], 2, 2, 1);
	run(cmds, 6);
	/* loads are done at 30, 50; streams 30-70, 70-110; the third load 70-90, done at 100 */
	assert_int_equal(rig.report.cycles, 150);
	assert_int_equal(rig.report.stalled[IGRAD_ENGINE_ARRAY], 30);
	assert_int_equal(rig.report.stalled[IGRAD_ENGINE_LOAD], 30);
	assert_int_equal(rig.report.busy[IGRAD_ENGINE_ARRAY], 120);
	assert_int_equal(rig.report.retired[IGRAD_ENGINE_LOAD], 3);
}

/* A wait is for the moment that value was reached, not for the semaphore's last signal. */
static void test_history(void **state)
{
	struct igrad_cmd cmds[] = {
		vec(IGRAD_OP_VEC_COPY, 10, C),
		vec(IGRAD_OP_VEC_COPY, 90, C),
		cmd_shift(IGRAD_OP_LOAD_W, R, C, 0, C),
	};

	(void)state;
	cmds[0].signal = cmds[1].signal = 31;
	cmd_wait(&cmds[2], 0, 31, 1);
	run(cmds, 3);
	assert_int_equal(rig.report.stalled[IGRAD_ENGINE_ARRAY], 10);
	assert_int_equal(rig.report.cycles, 100);
}

/* The latest of three waits decides. */
static void test_three_waits(void **state)
{
	struct igrad_cmd cmds[] = {
		vec(IGRAD_OP_VEC_COPY, 10, C),
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 8192, 1, 80),
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + 4096, 0, 1, 64),
		cmd_shift(IGRAD_OP_LOAD_W, R, C, 0, C),
	};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		cmds[i].signal = (uint8_t)(i + 1);
		cmd_wait(&cmds[3], i, (uint8_t)(i + 1), 1);
	}
	run(cmds, 4);
	assert_int_equal(rig.report.cycles, 20 + LATENCY + R);
}

/* A history as long as a job may have. */
static void test_many_signals(void **state)
{
	static struct igrad_cmd cmds[2000];
	const unsigned int n = sizeof(cmds) / sizeof(cmds[0]);

	(void)state;
	for (unsigned int i = 0; i < n; i++) {
		cmds[i] = i % 2 ? cmd_nop(IGRAD_ENGINE_STORE) : vec(IGRAD_OP_VEC_FILL, 1, 1);
		if (i % 2)
			cmd_wait(&cmds[i], 0, 7, i / 2 + 1);
		else
			cmds[i].signal = 7;
	}
	run(cmds, n);
	assert_int_equal(rig.report.cycles, n / 2);
	assert_int_equal(rig.report.stalled[IGRAD_ENGINE_STORE], n / 2);
}

static void test_peak_words(void **state)
{
	(void)state;
	cycles(cmd_shift(IGRAD_OP_LOAD_W, R, 5, 0, 5));
	assert_int_equal(rig.report.peak_words, 5);
	cycles(stream(IGRAD_OP_FPROP, R, C, 20));
	assert_int_equal(rig.report.peak_words, R + C);
	cycles(stream(IGRAD_OP_INTERLEAVED, R, C, 20)); /* a word every other cycle on each wire */
	assert_int_equal(rig.report.peak_words, (R + C + R) / 2);
}

/* --------------------------------------------------------------------------------------------- */
/* Shadow registers */
/* --------------------------------------------------------------------------------------------- */

static uint64_t overlapped(const struct igrad_cmd *cmds, unsigned int n)
{
	const struct igrad_config off = *igrad_core_config(rig.core);
	struct igrad_config on = off;

	on.overlap = true;
	igrad_core_free(rig.core);
	rig.core = igrad_core_new(&on);
	assert_non_null(rig.core);
	run(cmds, n);
	igrad_core_free(rig.core);
	rig.core = igrad_core_new(&off);
	assert_non_null(rig.core);
	return rig.report.cycles;
}

/* Each tile at an SRAM address of its own, so that no word is met twice. */
static struct igrad_cmd apart(struct igrad_cmd cmd, uint32_t tile)
{
	cmd.u.array.p += tile * 1024;
	return cmd;
}

/* Alone, a tile takes what it takes without shadow registers. */
static void test_overlap_one_tile(void **state)
{
	const struct igrad_cmd cmds[] = {
		cmd_shift(IGRAD_OP_LOAD_W, R, C, 0, C),
		stream(IGRAD_OP_INTERLEAVED, R, C, 7),
		cmd_stream(IGRAD_OP_UPDATE, R, C, 0),
		cmd_shift(IGRAD_OP_DRAIN_W, R, C, 4096, C),
	};

	(void)state;
	run(cmds, 4);
	assert_int_equal(rig.report.cycles, R + (2 * 7 + R + C - 2) + 1 + R);
	assert_int_equal(overlapped(cmds, 4), rig.report.cycles);
	assert_int_equal(rig.report.busy[IGRAD_ENGINE_ARRAY], rig.report.cycles);
}

/* Tiles that share nothing follow each other every max(S, R) cycles. */
static void test_overlap_uniform(void **state)
{
	struct igrad_cmd cmds[4 * 5];

	(void)state;
	for (uint32_t batch = 1; batch < 5; batch++) {
		const uint64_t s = 2 * batch + 1, pace = s > R ? s : R;

		for (uint32_t i = 0; i < 5; i++) {
			cmds[4 * i] = cmd_shift(IGRAD_OP_LOAD_W, R, C, 49152 + 1024 * i, C);
			cmds[4 * i + 1] = apart(stream(IGRAD_OP_INTERLEAVED, R, C, batch), i);
			cmds[4 * i + 2] = cmd_stream(IGRAD_OP_UPDATE, R, C, 0);
			cmds[4 * i + 3] = cmd_shift(IGRAD_OP_DRAIN_W, R, C, 49152 + 1024 * i, C);
		}
		assert_int_equal(overlapped(cmds, 4 * 5), R + 4 * pace + s + 2 * R + C - 2);
	}
}

/*
 * Reloaded accumulators wait in the chain to change places with what is drained, if a tile streams
 * for the 2R - 1 cycles that both take; else each second one follows the drain instead.
 */
static void test_overlap_reload(void **state)
{
	struct igrad_cmd cmds[3 * 5];

	(void)state;
	for (uint32_t s = R; s < 2 * R + 2; s++) {
		const uint64_t behind = s < 2 * R - 1 ? 2 * (2 * R - 1) : 0;

		for (uint32_t i = 0; i < 5; i++) {
			cmds[3 * i] = cmd_shift(IGRAD_OP_LOAD_ACC, R, C, 4096 + 1024 * i, C);
			cmds[3 * i + 1] = stream(IGRAD_OP_WGRAD, R, C, s);
			cmds[3 * i + 2] = cmd_shift(IGRAD_OP_DRAIN_ACC, R, C, 32768 + 1024 * i, C);
		}
		assert_int_equal(overlapped(cmds, 15), R + 5 * s + behind + 2 * R + C - 2);
	}
}

/* A psum is read again in the cycle after it was written, at the earliest. */
static void test_overlap_psum(void **state)
{
	struct igrad_cmd cmds[2];

	(void)state;
	cmds[0] = cmds[1] = stream(IGRAD_OP_DGRAD, R, C, 3);
	cmds[1].flags = IGRAD_FLAG_ADD;
	assert_int_equal(overlapped(cmds, 2), C + 3 + R + C - 2);
	cmds[1].u.array.p += 4096;
	assert_int_equal(overlapped(cmds, 2), 3 + 3 + R + C - 2);
	cmds[0] = cmds[1] = stream(IGRAD_OP_FPROP, R, C, 3);
	cmds[1].flags = IGRAD_FLAG_ADD;
	assert_int_equal(overlapped(cmds, 2), R + 3 + R + C - 2);
}

/* What is drained leaves on the wires that psums of a forward pass use. */
static void test_overlap_fprop(void **state)
{
	const struct igrad_cmd cmds[] = {
		stream(IGRAD_OP_WGRAD, R, C, 6),
		cmd_shift(IGRAD_OP_DRAIN_ACC, R, C, 49152, C),
		stream(IGRAD_OP_FPROP, R, C, 50),
		stream(IGRAD_OP_WGRAD, R, C, 50),
	};

	(void)state;
	assert_int_equal(overlapped(cmds, 3), 6 + R + 50 + R + C - 2);
	assert_int_equal(overlapped(cmds, 2), 6 + 2 * R + C - 2);
}

/* Commands are taken in order, when their semaphores allow; a signal says that all is done. */
static void test_overlap_semaphores(void **state)
{
	struct igrad_cmd cmds[] = {
		vec(IGRAD_OP_VEC_COPY, 100, C),
		stream(IGRAD_OP_WGRAD, R, C, 20),
		cmd_shift(IGRAD_OP_LOAD_W, R, C, 0, C),
		vec(IGRAD_OP_VEC_COPY, 10, C),
	};

	(void)state;
	cmds[0].signal = 1;
	cmd_wait(&cmds[2], 0, 1, 1);
	cmds[2].signal = 2;
	cmd_wait(&cmds[3], 0, 2, 1);
	assert_int_equal(overlapped(cmds, 4), 100 + R + C - 1 + 10);
	assert_int_equal(rig.report.busy[IGRAD_ENGINE_ARRAY], 20 + R + C - 2 + R + C - 1);
	assert_int_equal(rig.report.stalled[IGRAD_ENGINE_ARRAY], 100 - (20 + R + C - 2));
	cmd_wait(&cmds[2], 0, 0, 0); /* now the load is done while the stream is not */
	assert_int_equal(overlapped(cmds, 4), 110);
	cmd_wait(&cmds[1], 0, 1, 1); /* what is behind a command that waits, waits */
	cmds[1].u.array.batch = 1;
	assert_int_equal(overlapped(cmds, 4), 100 + R + C - 1 + 10);
}

/* --------------------------------------------------------------------------------------------- */
/* Tracing */
/* --------------------------------------------------------------------------------------------- */

struct traced {
	unsigned int n;
	struct igrad_core_event event[8];
	struct igrad_cmd cmd[8];
};

static void note(void *opaque, const struct igrad_core_event *event)
{
	struct traced *traced = opaque;

	assert_true(traced->n < 8);
	traced->event[traced->n] = *event;
	traced->cmd[traced->n++] = *event->cmd;
}

static void assert_event(const struct igrad_core_event *event, enum igrad_engine engine,
			 uint64_t start, uint64_t end, uint64_t completed)
{
	assert_int_equal(event->engine, engine);
	assert_int_equal(event->start, start);
	assert_int_equal(event->end, end);
	assert_int_equal(event->completed, completed);
}

static void test_trace(void **state)
{
	struct igrad_cmd cmds[] = {
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, 16), cmd_nop(IGRAD_ENGINE_LOAD),
		cmd_shift(IGRAD_OP_LOAD_W, R, C, 0, C),		vec(IGRAD_OP_VEC_COPY, 10, C),
		cmd_dma(IGRAD_OP_DMA_STORE, 8, 8192, 1, 16), /* faults: it does not retire */
	};
	struct traced traced = {0};

	(void)state;
	cmds[1].signal = 3;
	cmd_wait(&cmds[2], 0, 3, 1);
	cmds[3].u.vec.a = 4096;
	cmds[3].tag = 77;
	igrad_core_set_trace(rig.core, note, &traced);
	rig_run(&rig, cmds, 5);
	assert_int_equal(rig.result.status, IGRAD_STATUS_FAULT);
	assert_int_equal(traced.n, 4);
	assert_memory_equal(traced.cmd, cmds, sizeof(cmds) - sizeof(cmds[0]));
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(traced.event[i].index, i);
	assert_event(&traced.event[0], IGRAD_ENGINE_LOAD, 0, 4, 4 + LATENCY);
	assert_event(&traced.event[1], IGRAD_ENGINE_LOAD, 4, 4, 4 + LATENCY);
	assert_event(&traced.event[2], IGRAD_ENGINE_ARRAY, 14, 14 + R, 14 + R);
	assert_event(&traced.event[3], IGRAD_ENGINE_VECTOR, 0, 10, 10);
	igrad_core_set_trace(rig.core, NULL, NULL);
	run(cmds, 3);
	assert_int_equal(traced.n, 4);
}

/* A command that shares the array has times of its own, but completes behind those before it. */
static void test_trace_overlap(void **state)
{
	const struct igrad_cmd cmds[] = {
		stream(IGRAD_OP_WGRAD, R, C, 20),
		cmd_shift(IGRAD_OP_LOAD_W, R, C, 0, C),
	};
	struct traced traced = {0};
	struct igrad_config config = *igrad_core_config(rig.core);
	struct igrad_core *off = rig.core;

	(void)state;
	config.overlap = true;
	rig.core = igrad_core_new(&config);
	assert_non_null(rig.core);
	igrad_core_set_trace(rig.core, note, &traced);
	run(cmds, 2);
	igrad_core_free(rig.core);
	rig.core = off;
	assert_event(&traced.event[0], IGRAD_ENGINE_ARRAY, 0, 20 + R + C - 2, 20 + R + C - 2);
	assert_event(&traced.event[1], IGRAD_ENGINE_ARRAY, 0, R + C - 1, 20 + R + C - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_array_cycles),
		cmocka_unit_test(test_vector_cycles),
		cmocka_unit_test(test_pooling_cycles),
		cmocka_unit_test(test_dma_cycles),
		cmocka_unit_test(test_latency_is_pipelined),
		cmocka_unit_test(test_completion_in_order),
		cmocka_unit_test(test_engines_run_concurrently),
		cmocka_unit_test(test_semaphores),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_three_waits),
		cmocka_unit_test(test_many_signals),
		cmocka_unit_test(test_peak_words),
		cmocka_unit_test(test_overlap_one_tile),
		cmocka_unit_test(test_overlap_uniform),
		cmocka_unit_test(test_overlap_reload),
		cmocka_unit_test(test_overlap_psum),
		cmocka_unit_test(test_overlap_fprop),
		cmocka_unit_test(test_overlap_semaphores),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_trace_overlap),
	};

	return run_group("core-timing", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
