/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: a job that moves to another core between any two commands ends as if it had stayed,
 * to the last bit of memory and report; one that was damaged on the way is refused or harmless.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "windows.h"

#define COMMANDS   60
#define SIDE	   12 /* rows and cols of the array */
#define DATA_BYTES (256u << 10)
#define REGION	   8192u /* SRAM is eight of these; operands stay apart */
#define PITCH	   16	 /* words */

/* --------------------------------------------------------------------------------------------- */
/* Jobs of every kind of command, each after the one before */
/* --------------------------------------------------------------------------------------------- */

static struct igrad_cmd random_dma(struct rng *rng, enum igrad_opcode opcode)
{
	return cmd_dma(opcode, RIG_DATA + rng_below(rng, 32) * 4096,
		       rng_below(rng, 8) * REGION + rng_below(rng, 64) * 4, rng_between(rng, 1, 16),
		       rng_between(rng, 1, 64));
}

static bool fits(uint32_t rows, uint32_t words)
{
	return words <= PITCH && rows <= REGION / (4 * PITCH);
}

/* Now and then a command uses the window that one before it has set: the stream's images, or
 * groups. */
static struct igrad_cmd with_window(struct rng *rng, const struct igrad_cmd_window *window,
				    struct igrad_cmd cmd)
{
	struct igrad_cmd windowed = cmd;
	struct window_rows of;

	if (!window->height)
		return cmd;
	if (cmd.u.array.batch && rng_below(rng, 3)) {
		of = window_stream(rng, window, &windowed);
		if (fits(of.x, of.x_words) && fits(of.p, of.p_words))
			cmd = windowed;
	}
	cmd.flags = window_groups(rng, window, cmd.flags);
	return cmd;
}

static struct igrad_cmd random_array(struct rng *rng, enum igrad_opcode opcode)
{
	const uint32_t rows = rng_between(rng, 1, SIDE), cols = rng_between(rng, 1, SIDE);
	const uint32_t at = rng_below(rng, 6);
	struct igrad_cmd cmd;

	if (opcode == IGRAD_OP_WINDOW)
		return window_make(rng, SIDE);
	if (opcode == IGRAD_OP_UPDATE) {
		cmd = cmd_stream(opcode, rows, cols, 0);
		cmd.u.array.lr = bits_of(0.25f);
		return cmd;
	}
	if (opcode < IGRAD_OP_FPROP || opcode > IGRAD_OP_UPDATE)
		return cmd_shift(opcode, rows, cols, at * REGION, PITCH);
	cmd = cmd_stream(opcode, rows, cols, rng_between(rng, 1, 40));
	if (opcode != IGRAD_OP_DGRAD)
		cmd_x(&cmd, at * REGION, PITCH);
	if (opcode != IGRAD_OP_FPROP)
		cmd_g(&cmd, (at + 1) * REGION, PITCH);
	if (opcode != IGRAD_OP_WGRAD)
		cmd_p(&cmd, (at + 2) * REGION, PITCH);
	if (opcode != IGRAD_OP_WGRAD && rng_below(rng, 2))
		cmd.flags |= IGRAD_FLAG_ADD;
	if (opcode != IGRAD_OP_FPROP && opcode != IGRAD_OP_DGRAD && rng_below(rng, 2))
		cmd.flags |= IGRAD_FLAG_KEEP;
	return cmd;
}

static struct igrad_cmd random_vec(struct rng *rng)
{
	struct igrad_cmd cmd = cmd_vec(IGRAD_OP_VEC_AXPY, 8, rng_between(rng, 1, 16));
	const uint32_t at = rng_below(rng, 6);

	cmd.u.vec.a = at * REGION;
	cmd.u.vec.b = (at + 1) * REGION;
	cmd.u.vec.d = (at + 2) * REGION;
	cmd.u.vec.a_pitch = cmd.u.vec.b_pitch = cmd.u.vec.d_pitch = 64;
	cmd.u.vec.imm = bits_of(0.5f);
	return cmd;
}

static enum igrad_engine random_cmd(struct rng *rng, struct igrad_cmd_window *window,
				    struct igrad_cmd *cmd)
{
	static const uint8_t ops[] = {
		IGRAD_OP_LOAD_W,  IGRAD_OP_LOAD_ACC,	IGRAD_OP_FPROP,	 IGRAD_OP_DGRAD,
		IGRAD_OP_WGRAD,	  IGRAD_OP_INTERLEAVED, IGRAD_OP_UPDATE, IGRAD_OP_DRAIN_ACC,
		IGRAD_OP_DRAIN_W, IGRAD_OP_WINDOW,
	};

	switch (rng_below(rng, 8)) {
	case 0:
		*cmd = random_dma(rng, IGRAD_OP_DMA_LOAD);
		return IGRAD_ENGINE_LOAD;
	case 1:
		*cmd = random_dma(rng, IGRAD_OP_DMA_STORE);
		return IGRAD_ENGINE_STORE;
	case 2:
		*cmd = random_vec(rng);
		return IGRAD_ENGINE_VECTOR;
	default:
		*cmd = random_array(rng, ops[rng_below(rng, sizeof(ops))]);
		if (cmd->opcode == IGRAD_OP_WINDOW)
			*window = cmd->u.window;
		else
			*cmd = with_window(rng, window, *cmd);
		return IGRAD_ENGINE_ARRAY;
	}
}

/* Every engine counts its commands on a semaphore, and whoever follows another engine waits. */
static void random_job(struct rng *rng, struct igrad_cmd *cmds)
{
	struct igrad_cmd_window window = {0};
	uint32_t signals[IGRAD_NUM_ENGINES] = {0};
	int before = -1;

	for (unsigned int i = 0; i < COMMANDS; i++) {
		const enum igrad_engine engine = random_cmd(rng, &window, &cmds[i]);

		if (before >= 0 && before != (int)engine)
			cmd_wait(&cmds[i], 0, (uint8_t)(before + 1), signals[before]);
		cmds[i].signal = (uint8_t)(engine + 1);
		signals[engine]++;
		before = (int)engine;
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Streams */
/* --------------------------------------------------------------------------------------------- */

struct buffer {
	uint8_t bytes[1 << 18];
	size_t len;
	size_t at;
	size_t limit; /* no more than this goes in */
};

static int put(void *opaque, const void *bytes, size_t len)
{
	struct buffer *buffer = opaque;

	if (len > buffer->limit - buffer->len)
		return -1;
	memcpy(buffer->bytes + buffer->len, bytes, len);
	buffer->len += len;
	return 0;
}

static int get(void *opaque, void *bytes, size_t len)
{
	struct buffer *buffer = opaque;

	if (len > buffer->len - buffer->at)
		return -1;
	memcpy(bytes, buffer->bytes + buffer->at, len);
	buffer->at += len;
	return 0;
}

static struct buffer buffer, first, damaged;

static void save(struct rig *rig)
{
	buffer.len = buffer.at = 0;
	buffer.limit = sizeof(buffer.bytes);
	assert_int_equal(igrad_core_save(rig->core, put, &buffer), 0);
}

static int restore(struct rig *rig, struct buffer *from)
{
	const struct igrad_space space = rig_space(rig);

	from->at = 0;
	return igrad_core_restore(rig->core, get, from, &space);
}

/* --------------------------------------------------------------------------------------------- */
/* Tests */
/* --------------------------------------------------------------------------------------------- */

static struct rig here, there;

static void start(struct rig *rig, const struct igrad_cmd *cmds)
{
	const struct igrad_space space = rig_space(rig);
	const struct igrad_desc desc = {
		.cmds = RIG_CMDS, .num_cmds = COMMANDS, .report = RIG_REPORT, .seqno = 99};

	memcpy(rig->memory + RIG_CMDS, cmds, COMMANDS * sizeof(*cmds));
	igrad_core_begin(rig->core, &desc, &space);
}

static void go_on(struct rig *rig)
{
	while (igrad_core_step(rig->core))
		;
	assert_true(igrad_core_finish(rig->core, &rig->result));
	memcpy(&rig->report, rig->memory + RIG_REPORT, sizeof(rig->report));
}

/* Same job on both, one of them moving at command @when: all of memory is the same afterwards. */
static void moves(struct rng *rng, unsigned int when)
{
	struct igrad_cmd cmds[COMMANDS];

	random_job(rng, cmds);
	fill_floats(rng, rig_floats(&here, RIG_DATA), DATA_BYTES / 4);
	memcpy(there.memory, here.memory, here.size);
	start(&there, cmds);
	go_on(&there);
	assert_int_equal(there.result.status, IGRAD_STATUS_OK);
	assert_int_equal(there.report.command, COMMANDS);

	start(&here, cmds);
	for (unsigned int i = 0; i < when; i++)
		igrad_core_step(here.core);
	save(&here);
	/* another memory now, that has what the first one had, and another core, used before */
	{
		struct igrad_core *core = here.core;

		here.core = there.core;
		there.core = core;
	}
	assert_int_equal(restore(&here, &buffer), 0);
	assert_int_equal(buffer.at, buffer.len);
	first = buffer;
	save(&here); /* it can move on from there: the checkpoint is the same */
	assert_int_equal(buffer.len, first.len);
	assert_memory_equal(buffer.bytes, first.bytes, first.len);
	go_on(&here);
	assert_int_equal(here.result.status, IGRAD_STATUS_OK);
	assert_memory_equal(here.memory, there.memory, here.size);
}

static void init(struct rng *rng, bool overlap)
{
	struct igrad_config config;

	(void)rng;
	rig_config(&config, SIDE, SIDE);
	config.overlap = overlap;
	rig_init(&here, &config, DATA_BYTES);
	rig_init(&there, &config, DATA_BYTES);
}

static void destroy(void)
{
	rig_destroy(&here);
	rig_destroy(&there);
}

static void test_moves(void **state)
{
	struct rng rng = {seed_of_test("moving jobs")};

	(void)state;
	for (unsigned int overlap = 0; overlap < 2; overlap++) {
		init(&rng, overlap);
		for (unsigned int i = 0; i < count_of_test(300); i++)
			moves(&rng, i % (COMMANDS + 1));
		destroy();
	}
}

/* What a command touched before the move is not forgotten: nothing orders the second after it. */
static void test_hazard(void **state)
{
	const struct igrad_cmd cmds[] = {
		cmd_nop(IGRAD_ENGINE_ARRAY),
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 4, 16),
		cmd_nop(IGRAD_ENGINE_ARRAY),
		cmd_shift(IGRAD_OP_LOAD_W, 2, 2, 64, 16),
	};
	const struct igrad_desc desc = {.cmds = RIG_CMDS, .num_cmds = 4, .report = RIG_REPORT};
	const struct igrad_space space = rig_space(&here);
	struct rng rng = {1};

	(void)state;
	for (unsigned int when = 0; when < 4; when++) {
		init(&rng, true);
		memcpy(here.memory + RIG_CMDS, cmds, sizeof(cmds));
		memcpy(there.memory + RIG_CMDS, cmds, sizeof(cmds));
		igrad_core_begin(here.core, &desc, &space);
		for (unsigned int i = 0; i < when; i++)
			igrad_core_step(here.core);
		save(&here);
		assert_int_equal(restore(&there, &buffer), 0);
		go_on(&there);
		assert_int_equal(there.result.reason, IGRAD_REASON_HAZARD);
		assert_int_equal(there.result.command, 3);
		assert_int_equal(there.report.conflict, 1);
		destroy();
	}
}

static void test_refuses_another_device(void **state)
{
	struct rng rng = {1};
	struct igrad_cmd cmds[COMMANDS];
	struct igrad_config config;
	struct rig other;

	(void)state;
	init(&rng, true);
	random_job(&rng, cmds);
	start(&here, cmds);
	for (unsigned int i = 0; i < 20; i++)
		igrad_core_step(here.core);
	save(&here);
	for (unsigned int i = 0; i < 4; i++) {
		config = *igrad_core_config(here.core);
		config.rows += i == 0;
		config.overlap = i != 1;
		config.dram_latency += i == 2;
		config.sram_bytes += i == 3 ? 1024 : 0;
		rig_init(&other, &config, DATA_BYTES);
		assert_int_equal(restore(&other, &buffer), -EINVAL);
		rig_run(&other, cmds, COMMANDS);
		assert_int_equal(other.result.status, IGRAD_STATUS_OK);
		rig_destroy(&other);
	}
	destroy();
}

static void test_says_when_it_cannot_write(void **state)
{
	struct rng rng = {1};

	(void)state;
	init(&rng, true);
	save(&here);
	for (size_t limit = 0; limit < buffer.len; limit += 7) {
		damaged.len = 0;
		damaged.limit = limit;
		assert_int_equal(igrad_core_save(here.core, put, &damaged), -EIO);
	}
	destroy();
}

static void damage(struct rng *rng)
{
	const uint32_t words[] = {0, 1, 0xffffffff, 0x7fffffff, 0x80000000, rng_u32(rng)};
	const unsigned int wounds = rng_between(rng, 1, 4);

	damaged = buffer;
	if (rng_below(rng, 8) == 0)
		damaged.len = rng_below(rng, (uint32_t)buffer.len);
	for (unsigned int i = 0; i < wounds && damaged.len > 4; i++) {
		/* half of them early, where the numbers are */
		const uint32_t range = (uint32_t)(rng_below(rng, 2) ? damaged.len - 4 : 600);
		const uint32_t at = rng_below(rng, range < damaged.len - 4
							   ? range
							   : (uint32_t)(damaged.len - 4)) &
				    (rng_below(rng, 4) ? ~3u : ~0u);

		memcpy(damaged.bytes + at, &words[rng_below(rng, 6)], rng_below(rng, 2) ? 4 : 1);
	}
}

/* For sanitizers to watch: what comes out is refused, or a job that ends. */
static void test_damaged(void **state)
{
	struct rng rng = {seed_of_test("damaged checkpoints")};
	unsigned int refused = 0, rounds = count_of_test(400);
	struct igrad_cmd cmds[COMMANDS];

	(void)state;
	init(&rng, true);
	for (unsigned int i = 0; i < rounds; i++) {
		random_job(&rng, cmds);
		start(&here, cmds);
		for (unsigned int k = 0; k < i % COMMANDS; k++)
			igrad_core_step(here.core);
		save(&here);
		for (unsigned int k = 0; k < 10; k++) {
			damage(&rng);
			if (restore(&there, &damaged)) {
				refused++;
				assert_false(igrad_core_step(there.core));
				continue;
			}
			go_on(&there);
		}
	}
	printf("# %u of %u damaged checkpoints refused\n", refused, rounds * 10);
	assert_in_range(refused, rounds, rounds * 10 - 1);
	memset(&there.desc, 0, sizeof(there.desc));
	random_job(&rng, cmds);
	rig_run(&there, cmds, COMMANDS);
	assert_int_equal(there.result.status, IGRAD_STATUS_OK);
	destroy();
}

/* An access that is interrupted is made again, and nothing shows of it. */
static void test_interrupted(void **state)
{
	struct rng rng = {seed_of_test("interrupted accesses")};

	(void)state;
	init(&rng, true);
	for (unsigned int i = 0; i < 20; i++) {
		struct igrad_cmd cmds[COMMANDS];

		random_job(&rng, cmds);
		fill_floats(&rng, rig_floats(&here, RIG_DATA), DATA_BYTES / 4);
		memcpy(there.memory, here.memory, here.size);
		start(&here, cmds);
		go_on(&here);
		start(&there, cmds);
		do
			there.interrupt_every = rng_between(&rng, 2, 9);
		while (igrad_core_step(there.core));
		there.interrupt_every = 1;
		assert_false(igrad_core_finish(there.core, &there.result));
		there.interrupt_every = 0;
		go_on(&there);
		assert_int_equal(there.result.status, IGRAD_STATUS_OK);
		assert_memory_equal(here.memory, there.memory, here.size);
	}
	destroy();
}

static uint32_t hops(uint32_t a, uint32_t b)
{
	return (uint32_t)__builtin_popcount(a ^ b);
}

/* One bit, and where it was said to be. */
static void test_flips(void **state)
{
	const struct igrad_cmd cmds[] = {
		cmd_nop(IGRAD_ENGINE_ARRAY),
		cmd_shift(IGRAD_OP_DRAIN_ACC, SIDE, SIDE, 4096, SIDE),
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA, 0, 1, 2048),
	};
	const struct igrad_space space = rig_space(&here);
	struct igrad_cmd ordered[3];
	struct rng rng = {1};
	uint32_t flipped = 0;

	(void)state;
	init(&rng, true);
	memcpy(ordered, cmds, sizeof(cmds));
	ordered[1].signal = 1;
	cmd_wait(&ordered[2], 0, 1, 1);
	memcpy(here.memory + RIG_CMDS, ordered, sizeof(ordered));
	igrad_core_begin(
		here.core,
		&(struct igrad_desc){.cmds = RIG_CMDS, .num_cmds = 3, .report = RIG_REPORT},
		&space);
	igrad_core_step(here.core);
	igrad_core_flip_sram(here.core, 100 * 8 + 3);
	igrad_core_flip_acc(here.core, (2 * SIDE + 5) * 32 + 31);
	go_on(&here);
	for (unsigned int i = 0; i < 2048; i++)
		flipped += hops(bits_of(rig_floats(&here, RIG_DATA)[i]), 0);
	assert_int_equal(flipped, 2);
	assert_int_equal(here.memory[RIG_DATA + 100], 1 << 3);
	assert_int_equal(bits_of(rig_floats(&here, RIG_DATA + 4096)[2 * SIDE + 5]), 1u << 31);

	/* and gone with the next job */
	rig_run(&here, cmds, 2);
	memcpy(ordered, cmds, sizeof(cmds));
	rig_run(&here, &ordered[2], 1);
	for (unsigned int i = 0; i < 2048; i++)
		assert_int_equal(bits_of(rig_floats(&here, RIG_DATA)[i]), 0);
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_hazard),
		cmocka_unit_test(test_refuses_another_device),
		cmocka_unit_test(test_says_when_it_cannot_write),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_flips),
	};

	return run_group("core-checkpoint", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
