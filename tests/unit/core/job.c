/* SPDX-License-Identifier: MIT */
/* A job's life: faults, reports, what it leaves behind (nothing), hanging, cancelling, threads. */
#include <fenv.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "pool.h"
#include "rig.h"

#define HANG	   0xdead
#define SRAM_WORDS (65536 / 4)

static struct rig rig;

static int setup(void **state)
{
	struct igrad_config config;

	(void)state;
	rig_config(&config, 8, 8);
	config.hang_tag = HANG;
	rig_init(&rig, &config, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_destroy(&rig);
	return 0;
}

static void bad(uint64_t begin, uint64_t end)
{
	rig.bad_begin = begin;
	rig.bad_end = end;
}

/* --------------------------------------------------------------------------------------------- */
/* Scrubbing */
/* --------------------------------------------------------------------------------------------- */

/* SRAM and registers as the next job finds them, or'ed together. */
static uint32_t found_by_next_job(void)
{
	struct igrad_cmd cmds[] = {
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA, 0, 1, SRAM_WORDS),
		cmd_shift(IGRAD_OP_DRAIN_W, 8, 8, 0, 8),
		cmd_shift(IGRAD_OP_DRAIN_ACC, 8, 8, 256, 8),
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + 65536, 0, 1, 128),
	};
	const uint32_t *words = (const uint32_t *)(const void *)(rig.memory + RIG_DATA);
	uint32_t all = 0;

	rig_chain(cmds, 4);
	memset(rig.memory + RIG_DATA, 0xff, 65536 + 512);
	rig_run(&rig, cmds, 4);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	for (unsigned int i = 0; i < SRAM_WORDS + 128; i++)
		all |= words[i];
	return all;
}

#define DIRTYING 6

static void dirtying(struct igrad_cmd *cmds)
{
	cmds[0] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, SRAM_WORDS);
	cmds[1] = cmd_shift(IGRAD_OP_LOAD_W, 8, 8, 0, 8);
	cmds[2] = cmd_shift(IGRAD_OP_LOAD_ACC, 8, 8, 0, 8);
	cmds[3] = cmd_stream(IGRAD_OP_INTERLEAVED, 8, 8, 4);
	cmd_p(cmd_g(cmd_x(&cmds[3], 0, 8), 4096, 8), 60000, 8);
	cmds[4] = cmd_vec(IGRAD_OP_VEC_FILL, 1, 7);
	cmds[4].u.vec.d = 65536 - 28;
	cmds[4].u.vec.imm = 0xffffffff;
	cmds[4].u.vec.d_pitch = 28;
	cmds[5] = cmd_nop(IGRAD_ENGINE_ARRAY);
	rig_chain(cmds, DIRTYING);
}

static void fill_memory(void)
{
	memset(rig.memory + RIG_DATA, 0x3f, 65536);
}

static void test_scrub_after_success(void **state)
{
	struct igrad_cmd cmds[DIRTYING];

	(void)state;
	dirtying(cmds);
	for (unsigned int n = 1; n <= DIRTYING; n++) {
		fill_memory();
		rig_run(&rig, cmds, n);
		assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
		assert_int_equal(found_by_next_job(), 0);
	}
}

static void test_scrub_after_malformed(void **state)
{
	struct igrad_cmd cmds[DIRTYING];

	(void)state;
	dirtying(cmds);
	cmds[5].opcode = 0xff;
	fill_memory();
	rig_run(&rig, cmds, DIRTYING);
	assert_int_equal(rig.result.status, IGRAD_STATUS_MALFORMED);
	assert_int_equal(found_by_next_job(), 0);
}

/* The load faults half-way: what it brought in until then is gone too. */
static void test_scrub_after_fault(void **state)
{
	struct igrad_cmd cmd = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 1024, 8, 64);

	(void)state;
	cmd.u.dma.sram_pitch = 2048;
	fill_memory();
	bad(RIG_DATA + 5 * 256 + 16, RIG_DATA + 5 * 256 + 20);
	rig_run(&rig, &cmd, 1);
	bad(0, 0);
	assert_int_equal(rig.result.status, IGRAD_STATUS_FAULT);
	assert_int_equal(found_by_next_job(), 0);
}

static void test_scrub_after_cancel(void **state)
{
	const struct igrad_space space = rig_space(&rig);
	struct igrad_cmd cmds[DIRTYING];

	(void)state;
	dirtying(cmds);
	fill_memory();
	rig.desc.num_cmds = DIRTYING;
	memcpy(rig.memory + RIG_CMDS, cmds, sizeof(cmds));
	rig.desc.cmds = RIG_CMDS;
	igrad_core_begin(rig.core, &rig.desc, &space);
	for (unsigned int i = 0; i < 4; i++)
		assert_true(igrad_core_step(rig.core));
	igrad_core_cancel(rig.core);
	assert_false(igrad_core_step(rig.core));
	igrad_core_uncancel(rig.core);
	memset(&rig.desc, 0, sizeof(rig.desc));
	assert_int_equal(found_by_next_job(), 0);
}

/* Weights are kept in two forms inside: dx of the next job shows whether both are gone. */
static void test_scrub_of_weights(void **state)
{
	const struct igrad_cmd load = cmd_shift(IGRAD_OP_LOAD_W, 8, 8, 0, 8);
	struct igrad_cmd dgrad = cmd_stream(IGRAD_OP_DGRAD, 8, 8, 1);
	struct igrad_cmd cmds[4];

	(void)state;
	cmd_p(cmd_g(&dgrad, 0, 8), 4096, 8);
	cmds[0] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, 64);
	cmds[1] = load;
	cmds[2] = dgrad;
	cmds[3] = cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + 4096, 4096, 1, 8);
	rig_chain(cmds, 4);
	fill_memory();
	rig_run(&rig, cmds, 4);
	assert_int_not_equal(bits_of(rig_floats(&rig, RIG_DATA + 4096)[0]), 0);
	cmds[1] = cmd_nop(IGRAD_ENGINE_ARRAY);
	rig_chain(cmds, 4);
	rig_run(&rig, cmds, 4);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(bits_of(rig_floats(&rig, RIG_DATA + 4096)[i]), 0);
}

/* Semaphores start at zero in every job. */
static void test_semaphores_start_at_zero(void **state)
{
	struct igrad_cmd signal = cmd_nop(IGRAD_ENGINE_ARRAY);
	struct igrad_cmd other = cmd_nop(IGRAD_ENGINE_VECTOR);

	(void)state;
	signal.signal = 9;
	rig_run(&rig, &signal, 1);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	other.signal = 9; /* and without an owner */
	rig_run(&rig, &other, 1);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	cmd_wait(&signal, 0, 9, 1);
	rig_run(&rig, &signal, 1);
	assert_int_equal(rig.result.reason, IGRAD_REASON_WAIT);
}

/* --------------------------------------------------------------------------------------------- */
/* Faults */
/* --------------------------------------------------------------------------------------------- */

static void faulted(enum igrad_reason reason, uint64_t addr, uint32_t command)
{
	assert_int_equal(rig.result.status, IGRAD_STATUS_FAULT);
	assert_int_equal(rig.result.reason, reason);
	assert_int_equal(rig.result.addr, addr);
	assert_int_equal(rig.result.command, command);
}

static void test_command_fetch_fault(void **state)
{
	struct igrad_cmd cmds[100];

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		cmds[i] = cmd_nop(IGRAD_ENGINE_LOAD);
	bad(RIG_CMDS + 4096, RIG_CMDS + 8192); /* the page of command 64 */
	rig_run(&rig, cmds, 100);
	bad(0, 0);
	faulted(IGRAD_REASON_NOT_PRESENT, RIG_CMDS + 4096, 64);
	assert_int_equal(rig.report.retired[IGRAD_ENGINE_LOAD], 64);
}

static void test_load_and_store_fault(void **state)
{
	struct igrad_cmd cmds[] = {cmd_nop(IGRAD_ENGINE_ARRAY),
				   cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 4, 8)};

	(void)state;
	bad(RIG_DATA + 100, RIG_DATA + 104);
	rig_run(&rig, cmds, 2);
	faulted(IGRAD_REASON_NOT_PRESENT, RIG_DATA + 100, 1);
	assert_int_equal(rig.result.engine, IGRAD_ENGINE_LOAD);
	assert_int_equal(rig.report.engine, IGRAD_ENGINE_LOAD);
	assert_int_equal(rig.report.addr, RIG_DATA + 100);
	assert_int_equal(rig.report.dram_read_bytes, 0);
	cmds[1].opcode = IGRAD_OP_DMA_STORE;
	rig_run(&rig, cmds, 2);
	bad(0, 0);
	faulted(IGRAD_REASON_NOT_PRESENT, RIG_DATA + 100, 1);
	assert_int_equal(rig.result.engine, IGRAD_ENGINE_STORE);
}

static void dma_out_of_space(uint64_t va, uint32_t pitch, uint64_t addr)
{
	struct igrad_cmd cmd = cmd_dma(IGRAD_OP_DMA_LOAD, va, 0, 2, 2);

	cmd.u.dma.pitch = pitch;
	rig_run(&rig, &cmd, 1);
	faulted(IGRAD_REASON_VA_RANGE, addr, 0);
}

static void test_va_range(void **state)
{
	(void)state;
	dma_out_of_space(0, 8, 0);
	dma_out_of_space(0xffc, 8, 0xffc);
	dma_out_of_space(IGRAD_VA_END, 8, IGRAD_VA_END);
	dma_out_of_space(IGRAD_VA_END - 4, 8, IGRAD_VA_END);
	dma_out_of_space(UINT64_MAX - 3, 8, UINT64_MAX - 3);
	dma_out_of_space(UINT64_MAX - 7, 0xfffffffc, UINT64_MAX - 7);
}

static void test_report_fault(void **state)
{
	const struct igrad_cmd cmd = cmd_nop(IGRAD_ENGINE_LOAD);

	(void)state;
	bad(RIG_REPORT + 256, RIG_REPORT + 512);
	rig_run(&rig, &cmd, 1);
	bad(0, 0);
	faulted(IGRAD_REASON_NOT_PRESENT, RIG_REPORT + 256, 1);
}

static void test_report(void **state)
{
	struct igrad_cmd cmds[] = {cmd_nop(IGRAD_ENGINE_ARRAY), cmd_nop(IGRAD_ENGINE_VECTOR)};
	const uint64_t before = igrad_core_retired(rig.core);

	(void)state;
	rig.desc.seqno = 0x123456789abcdefull;
	rig_run(&rig, cmds, 2);
	rig.desc.seqno = 0;
	assert_int_equal(rig.report.version, IGRAD_REPORT_VERSION);
	assert_int_equal(rig.report.status, IGRAD_STATUS_OK);
	assert_int_equal(rig.report.reason, IGRAD_REASON_NONE);
	assert_int_equal(rig.report.command, 2);
	assert_int_equal(rig.report.seqno, 0x123456789abcdefull);
	assert_int_equal(rig.report.retired[IGRAD_ENGINE_ARRAY], 1);
	assert_int_equal(rig.report.retired[IGRAD_ENGINE_VECTOR], 1);
	for (unsigned int i = 0; i < sizeof(rig.report.reserved) / sizeof(rig.report.reserved[0]);
	     i++)
		assert_int_equal(rig.report.reserved[i], 0);
	assert_int_equal(igrad_core_retired(rig.core), before + 2);
}

/* A command is copied once: what memory says later does not matter. */
static void spoil_commands(struct rig *r)
{
	memset(r->memory + RIG_CMDS, 0xff, 128);
}

static void test_commands_are_copied_once(void **state)
{
	const struct igrad_cmd cmds[] = {cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, 1),
					 cmd_nop(IGRAD_ENGINE_LOAD)};

	(void)state;
	rig.seen = spoil_commands;
	bad(RIG_DATA, RIG_DATA + 4);
	rig_run(&rig, cmds, 2);
	rig.seen = NULL;
	bad(0, 0);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
}

/* --------------------------------------------------------------------------------------------- */
/* Hanging and cancelling */
/* --------------------------------------------------------------------------------------------- */

static void *cancel_soon(void *opaque)
{
	const struct timespec delay = {.tv_nsec = 20000000};

	nanosleep(&delay, NULL);
	igrad_core_cancel(opaque);
	return NULL;
}

static void test_hang_and_cancel(void **state)
{
	struct igrad_cmd cmds[] = {cmd_nop(IGRAD_ENGINE_ARRAY), cmd_nop(IGRAD_ENGINE_ARRAY),
				   cmd_nop(IGRAD_ENGINE_ARRAY)};
	const uint64_t before = igrad_core_retired(rig.core);
	pthread_t thread;

	(void)state;
	cmds[1].tag = HANG;
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, rig.core), 0);
	rig_run(&rig, cmds, 3);
	pthread_join(thread, NULL);
	assert_true(igrad_core_cancelled(rig.core));
	assert_int_equal(igrad_core_retired(rig.core), before + 1);

	rig_run(&rig, cmds, 3); /* it holds until it is taken back */
	assert_int_equal(igrad_core_retired(rig.core), before + 1);
	igrad_core_uncancel(rig.core);
	cmds[1].tag = 0;
	rig_run(&rig, cmds, 3);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	assert_int_equal(igrad_core_retired(rig.core), before + 4);
}

/* Only a NOP hangs, and only with the right tag. */
static void test_no_hang(void **state)
{
	struct igrad_cmd cmds[] = {cmd_nop(IGRAD_ENGINE_ARRAY),
				   cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, 1)};

	(void)state;
	cmds[0].tag = HANG + 1;
	cmds[1].tag = HANG;
	rig_run(&rig, cmds, 2);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
}

/* A cancellation that comes in the middle of a DMA command ends it after the chunk. */
static void cancel_now(struct rig *r)
{
	igrad_core_cancel(r->core);
}

static void test_cancel_within_dma(void **state)
{
	const struct igrad_cmd cmd = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 64, 8);
	struct igrad_cmd strided = cmd;

	(void)state;
	strided.u.dma.pitch = 64;
	rig.seen = cancel_now;
	bad(RIG_DATA, RIG_DATA + 4);
	rig.reads = 0;
	rig_run(&rig, &strided, 1);
	rig.seen = NULL;
	bad(0, 0);
	assert_true(igrad_core_cancelled(rig.core));
	assert_int_equal(rig.reads, 2); /* the command and one row */
	igrad_core_uncancel(rig.core);
}

/* --------------------------------------------------------------------------------------------- */
/* The same bits, whatever the host */
/* --------------------------------------------------------------------------------------------- */

#define N   128
#define B   300
#define MIB (1u << 20)
#define FOUND \
	(RIG_DATA + 8 * MIB) /* SRAM after the array's commands, then after the vector unit's */

/* Products large enough to be shared, into the upper half of SRAM. */
static unsigned int large_products(struct igrad_cmd *cmds)
{
	cmds[0] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, MIB);
	cmds[1] = cmd_shift(IGRAD_OP_LOAD_W, N, N, 0, N);
	cmds[2] = cmd_stream(IGRAD_OP_INTERLEAVED, N, N, B);
	cmd_p(cmd_g(cmd_x(&cmds[2], 65536, N), 65536 + B * N * 4, N), 4 * MIB, N);
	cmds[3] = cmd_stream(IGRAD_OP_FPROP, N, N, B);
	cmd_p(cmd_x(&cmds[3], 65536, B), 5 * MIB, N);
	cmds[3].flags = IGRAD_FLAG_TRANSPOSE;
	cmds[4] = cmd_shift(IGRAD_OP_DRAIN_ACC, N, N, 6 * MIB, N);
	cmds[5] = cmd_dma(IGRAD_OP_DMA_STORE, FOUND, 0, 1, 2 * MIB);
	return 6;
}

static struct igrad_cmd large_vec(enum igrad_opcode opcode, uint32_t rows, uint32_t cols)
{
	struct igrad_cmd cmd = cmd_vec(opcode, rows, cols);

	cmd.u.vec.a_pitch = 4000;
	cmd.u.vec.d = 4 * MIB;
	cmd.u.vec.d_pitch = 4000;
	return cmd;
}

/* w, m and v where results are. */
static struct igrad_cmd large_adam(uint32_t cols)
{
	struct igrad_cmd cmd = large_vec(IGRAD_OP_VEC_ADAM, 330, cols);

	cmd.u.vec.b = 4 * MIB + 330 * 4000;
	cmd.u.vec.b_pitch = 4000;
	cmd.u.vec.imm2 = 4 * MIB + 2 * 330 * 4000;
	cmd.u.vec.imm = 4 * MIB - 64;
	return cmd;
}

#define VECTORS 8

/* Each result in turn is stored before the next takes its place. */
static unsigned int large_vectors(struct igrad_cmd *cmds)
{
	struct igrad_cmd vec[VECTORS];

	vec[0] = large_vec(IGRAD_OP_VEC_RELU, 1000, 1000);
	vec[1] = large_vec(IGRAD_OP_VEC_BIAS, 1000, 999);
	vec[1].u.vec.b = 8192;
	vec[2] = large_vec(IGRAD_OP_VEC_COLSUM, 1000, 1000);
	vec[2].u.vec.d_pitch = 0;
	vec[3] = large_vec(IGRAD_OP_VEC_SOFTMAX_XENT, 999, 1000);
	vec[3].u.vec.b = 8 * MIB - 8192; /* zeros */
	vec[3].u.vec.b_pitch = 4;
	vec[3].u.vec.imm = 0x3c000000;
	vec[3].u.vec.imm2 = 8 * MIB - 16384;
	vec[4] = large_vec(IGRAD_OP_VEC_SGD, 1000, 1000);
	vec[4].u.vec.b_pitch = 4000;
	vec[4].u.vec.imm = 0x3c000000;
	vec[5] = large_vec(IGRAD_OP_VEC_AXPY, 900, 900);
	vec[5].u.vec.b = 400;
	vec[5].u.vec.b_pitch = 4000;
	vec[5].u.vec.imm = 0x3f000000;
	vec[6] = large_adam(1000);
	vec[7] = large_adam(990);
	for (unsigned int i = 0; i < VECTORS; i++) {
		cmds[2 * i] = vec[i];
		cmds[2 * i + 1] = cmd_dma(IGRAD_OP_DMA_STORE, FOUND + (2 + i) * 4 * MIB, 4 * MIB, 1,
					  MIB);
	}
	return 2 * VECTORS;
}

#define FOUND_BYTES ((2 + VECTORS) * 4 * MIB)

static void large_job(uint8_t *out, uint32_t threads)
{
	struct igrad_cmd cmds[6 + 2 * VECTORS];
	struct igrad_config config;
	struct rng rng = {7};
	unsigned int n;
	struct rig big;

	rig_config(&config, N, N);
	config.sram_bytes = 8 * MIB;
	config.threads = threads;
	rig_init(&big, &config, FOUND - RIG_DATA + FOUND_BYTES);
	fill_floats(&rng, rig_floats(&big, RIG_DATA), MIB);
	n = large_products(cmds);
	n += large_vectors(cmds + n);
	rig_chain(cmds, n);
	rig_run(&big, cmds, n);
	assert_int_equal(big.result.status, IGRAD_STATUS_OK);
	memcpy(out, big.memory + FOUND, FOUND_BYTES);
	rig_destroy(&big);
}

static void test_threads(void **state)
{
	uint8_t *one = malloc(FOUND_BYTES), *more = malloc(FOUND_BYTES);

	(void)state;
	assert_non_null(one);
	assert_non_null(more);
	large_job(one, 1);
	for (uint32_t threads = 2; threads <= 5; threads++) {
		large_job(more, threads);
		assert_memory_equal(one, more, FOUND_BYTES);
	}
	free(one);
	free(more);
}

/* Workers inherit modes from whoever created the core. */
static void test_creators_rounding_mode(void **state)
{
	uint8_t *plain = malloc(FOUND_BYTES), *upward = malloc(FOUND_BYTES);

	(void)state;
	assert_non_null(plain);
	assert_non_null(upward);
	large_job(plain, 1);
	fesetround(FE_UPWARD);
	large_job(upward, 3);
	fesetround(FE_TONEAREST);
	assert_memory_equal(plain, upward, FOUND_BYTES);
	free(plain);
	free(upward);
}

#define PARTS 7

/* The later a part is taken, the longer it takes. */
static void slow_part(void *context, unsigned int part)
{
	const struct timespec delay = {.tv_nsec = 3000000 * (part + 1)};
	_Atomic unsigned int *done = context;

	nanosleep(&delay, NULL);
	done[part]++;
}

/* Every part once, and all of them before the pool returns. */
static void test_pool(void **state)
{
	struct igrad_pool *pool = igrad_pool_new(4);

	(void)state;
	assert_non_null(pool);
	for (unsigned int parts = 1; parts <= PARTS; parts++) {
		_Atomic unsigned int done[PARTS] = {0};

		igrad_pool_run(pool, parts, NULL, slow_part, done);
		for (unsigned int i = 0; i < PARTS; i++)
			assert_int_equal(done[i], i < parts);
	}
	igrad_pool_free(pool);
}

/* The caller's rounding mode (and with it, its treatment of subnormals) is not the device's. */
static void test_callers_rounding_mode(void **state)
{
	struct igrad_cmd cmds[] = {
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, 2),
		{.opcode = IGRAD_OP_VEC_AXPY, .u.vec = {1, 1, 0, 4, 4, 4, 64, 4, 0x3f800000, 0}},
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + 64, 64, 1, 1),
	};

	(void)state;
	rig_chain(cmds, 3);
	rig_floats(&rig, RIG_DATA)[0] = 1.0f;
	rig_floats(&rig, RIG_DATA)[1] = 0x1p-30f;
	fesetround(FE_UPWARD);
	rig_run(&rig, cmds, 3);
	assert_int_equal(fegetround(), FE_UPWARD);
	fesetround(FE_TONEAREST);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	assert_int_equal(bits_of(rig_floats(&rig, RIG_DATA + 64)[0]), bits_of(1.0f));
}

#if defined(__x86_64__)
static void test_callers_subnormals(void **state)
{
	const unsigned int flush = 0x8040, before = _mm_getcsr();
	struct igrad_cmd cmds[] = {
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, 2),
		{.opcode = IGRAD_OP_VEC_AXPY, .u.vec = {1, 1, 0, 4, 4, 4, 64, 4, 0x3f800000, 0}},
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + 64, 64, 1, 1),
	};
	unsigned int after;

	(void)state;
	rig_chain(cmds, 3);
	memcpy(rig.memory + RIG_DATA, &(uint32_t){5}, 4);
	memcpy(rig.memory + RIG_DATA + 4, &(uint32_t){6}, 4);
	_mm_setcsr(before | flush);
	rig_run(&rig, cmds, 3);
	after = _mm_getcsr();
	_mm_setcsr(before);
	assert_int_equal(after & flush, flush);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	assert_int_equal(bits_of(rig_floats(&rig, RIG_DATA + 64)[0]), 11);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scrub_after_success),
		cmocka_unit_test(test_scrub_after_malformed),
		cmocka_unit_test(test_scrub_after_fault),
		cmocka_unit_test(test_scrub_after_cancel),
		cmocka_unit_test(test_scrub_of_weights),
		cmocka_unit_test(test_semaphores_start_at_zero),
		cmocka_unit_test(test_command_fetch_fault),
		cmocka_unit_test(test_load_and_store_fault),
		cmocka_unit_test(test_va_range),
		cmocka_unit_test(test_report_fault),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_commands_are_copied_once),
		cmocka_unit_test(test_hang_and_cancel),
		cmocka_unit_test(test_no_hang),
		cmocka_unit_test(test_cancel_within_dma),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_creators_rounding_mode),
		cmocka_unit_test(test_callers_rounding_mode),
#if defined(__x86_64__)
		cmocka_unit_test(test_callers_subnormals),
#endif
	};

	return run_group("core-job", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
