/* SPDX-License-Identifier: MIT */
/* Every rule of the manual that a command or a descriptor can break, and the reason it is given. */
#include <stdio.h>
#include <string.h>

#include "rig.h"

#define R 8
#define C 16

/* 2 images of 4 × 4 pixels and 8 channels in windows of 2 × 2: 1024 bytes, and 256 of outputs. */
static struct igrad_cmd good_pool(enum igrad_opcode opcode)
{
	return (struct igrad_cmd){
		.opcode = (uint8_t)opcode,
		.u.pool = {4, 4, 2, 2, 2, 2, 2, 2, 0, 2, 8, 1024,
			   opcode == IGRAD_OP_VEC_POOL_MAX_GRAD ? 16384 : 0, 4096},
	};
}

/* A command that is right, to be spoilt in one way by each case. */
static struct igrad_cmd good(enum igrad_opcode opcode)
{
	struct igrad_cmd cmd;

	switch (opcode) {
	case IGRAD_OP_NOP:
		return cmd_nop(IGRAD_ENGINE_ARRAY);
	case IGRAD_OP_DMA_LOAD:
	case IGRAD_OP_DMA_STORE:
		return cmd_dma(opcode, RIG_DATA, 0, 4, 4);
	case IGRAD_OP_LOAD_W:
	case IGRAD_OP_LOAD_ACC:
	case IGRAD_OP_DRAIN_ACC:
	case IGRAD_OP_DRAIN_W:
		return cmd_shift(opcode, R, C, 0, C);
	case IGRAD_OP_UPDATE:
	case IGRAD_OP_SCALE_ACC:
		return cmd_stream(opcode, R, C, 0);
	case IGRAD_OP_WINDOW:
		return (struct igrad_cmd){.opcode = IGRAD_OP_WINDOW,
					  .u.window = {2, 2, 2, 2, 1, 1, 3, 4, 1, 2, 1, 1, {0}}};
	case IGRAD_OP_FPROP:
		cmd = cmd_stream(opcode, R, C, 4);
		return *cmd_p(cmd_x(&cmd, 0, R), 4096, C);
	case IGRAD_OP_DGRAD:
		cmd = cmd_stream(opcode, R, C, 4);
		return *cmd_p(cmd_g(&cmd, 1024, C), 4096, R);
	case IGRAD_OP_WGRAD:
		cmd = cmd_stream(opcode, R, C, 4);
		return *cmd_g(cmd_x(&cmd, 0, R), 1024, C);
	case IGRAD_OP_INTERLEAVED:
		cmd = cmd_stream(opcode, R, C, 4);
		return *cmd_p(cmd_g(cmd_x(&cmd, 0, R), 1024, C), 4096, R);
	case IGRAD_OP_VEC_POOL_MAX:
	case IGRAD_OP_VEC_POOL_MAX_GRAD:
	case IGRAD_OP_VEC_POOL_SUM:
	case IGRAD_OP_VEC_POOL_SUM_GRAD:
	case IGRAD_OP_VEC_POOL_DIVIDE:
		return good_pool(opcode);
	default:
		break;
	}
	cmd = cmd_vec(opcode, 4, 8);
	cmd.u.vec.d = 4096;
	cmd.u.vec.d_pitch = opcode == IGRAD_OP_VEC_COLSUM || opcode == IGRAD_OP_VEC_COLSQ ? 0 : 32;
	if (opcode != IGRAD_OP_VEC_FILL)
		cmd.u.vec.a_pitch = 32;
	if (opcode == IGRAD_OP_VEC_BIAS || opcode == IGRAD_OP_VEC_RELU_GRAD ||
	    opcode == IGRAD_OP_VEC_AXPY || opcode == IGRAD_OP_VEC_SGD ||
	    opcode == IGRAD_OP_VEC_SOFTMAX_XENT || opcode == IGRAD_OP_VEC_ADAM ||
	    opcode == IGRAD_OP_VEC_ADD || opcode == IGRAD_OP_VEC_MUL ||
	    opcode == IGRAD_OP_VEC_NORM_SUMS || opcode == IGRAD_OP_VEC_NORM_GRAD) {
		cmd.u.vec.b = 1024;
		cmd.u.vec.b_pitch = opcode == IGRAD_OP_VEC_BIAS ? 0 : 32;
	}
	if (opcode == IGRAD_OP_VEC_COLSQ || opcode == IGRAD_OP_VEC_DROPOUT)
		cmd.u.vec.b = 1024;
	if (opcode == IGRAD_OP_VEC_NORM || opcode == IGRAD_OP_VEC_NORM_SUMS ||
	    opcode == IGRAD_OP_VEC_NORM_GRAD) {
		cmd.u.vec.imm = 16384;
		cmd.u.vec.imm2 = 32;
	}
	if (opcode == IGRAD_OP_VEC_SOFTMAX_XENT || opcode == IGRAD_OP_VEC_ADAM)
		cmd.u.vec.imm2 = 8192;
	if (opcode == IGRAD_OP_VEC_ADAM)
		cmd.u.vec.imm = 16384;
	return cmd;
}

static const enum igrad_opcode opcodes[] = {
	IGRAD_OP_NOP,
	IGRAD_OP_DMA_LOAD,
	IGRAD_OP_DMA_STORE,
	IGRAD_OP_LOAD_W,
	IGRAD_OP_LOAD_ACC,
	IGRAD_OP_FPROP,
	IGRAD_OP_DGRAD,
	IGRAD_OP_WGRAD,
	IGRAD_OP_INTERLEAVED,
	IGRAD_OP_UPDATE,
	IGRAD_OP_DRAIN_ACC,
	IGRAD_OP_DRAIN_W,
	IGRAD_OP_VEC_FILL,
	IGRAD_OP_VEC_COPY,
	IGRAD_OP_VEC_BIAS,
	IGRAD_OP_VEC_RELU,
	IGRAD_OP_VEC_RELU_GRAD,
	IGRAD_OP_VEC_COLSUM,
	IGRAD_OP_VEC_AXPY,
	IGRAD_OP_VEC_SGD,
	IGRAD_OP_VEC_SOFTMAX_XENT,
	IGRAD_OP_SCALE_ACC,
	IGRAD_OP_VEC_SCALE,
	IGRAD_OP_VEC_ADAM,
	IGRAD_OP_WINDOW,
	IGRAD_OP_VEC_ADD,
	IGRAD_OP_VEC_MUL,
	IGRAD_OP_VEC_RSQRT,
	IGRAD_OP_VEC_COLSQ,
	IGRAD_OP_VEC_NORM,
	IGRAD_OP_VEC_NORM_SUMS,
	IGRAD_OP_VEC_NORM_GRAD,
	IGRAD_OP_VEC_DROPOUT,
	IGRAD_OP_VEC_POOL_MAX,
	IGRAD_OP_VEC_POOL_MAX_GRAD,
	IGRAD_OP_VEC_POOL_SUM,
	IGRAD_OP_VEC_POOL_SUM_GRAD,
	IGRAD_OP_VEC_POOL_DIVIDE,
};

static bool pools(enum igrad_opcode opcode)
{
	return opcode >= IGRAD_OP_VEC_POOL_MAX;
}

#define NUM_OPCODES (sizeof(opcodes) / sizeof(opcodes[0]))

static struct rig rig;

static int setup(void **state)
{
	struct igrad_config config;

	(void)state;
	rig_config(&config, R, C);
	rig_init(&rig, &config, 65536);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_destroy(&rig);
	return 0;
}

/* Of two commands: the first took effect, the second did not. */
static void refused_behind(struct igrad_cmd first, struct igrad_cmd cmd, enum igrad_reason reason)
{
	const struct igrad_cmd cmds[] = {first, cmd};
	const enum igrad_engine engine = first.opcode == IGRAD_OP_WINDOW ? IGRAD_ENGINE_ARRAY
									 : IGRAD_ENGINE_STORE;

	rig_run(&rig, cmds, 2);
	if (rig.result.reason != reason)
		printf("# opcode %#x: reason %d, not %d\n", cmd.opcode, rig.result.reason, reason);
	assert_int_equal(rig.result.status, IGRAD_STATUS_MALFORMED);
	assert_int_equal(rig.result.reason, reason);
	assert_int_equal(rig.result.command, 1);
	assert_int_equal(rig.report.status, IGRAD_STATUS_MALFORMED);
	assert_int_equal(rig.report.reason, reason);
	assert_int_equal(rig.report.command, 1);
	assert_int_equal(rig.report.retired[engine], 1);
}

static void refused(struct igrad_cmd cmd, enum igrad_reason reason)
{
	refused_behind(cmd_nop(IGRAD_ENGINE_STORE), cmd, reason);
}

static void refused_windowed(struct igrad_cmd cmd, enum igrad_reason reason)
{
	refused_behind(good(IGRAD_OP_WINDOW), cmd, reason);
}

static void accepted_behind(struct igrad_cmd first, struct igrad_cmd cmd)
{
	const struct igrad_cmd cmds[] = {first, cmd};

	rig_run(&rig, cmds, 2);
	if (rig.result.status)
		printf("# opcode %#x: reason %d\n", cmd.opcode, rig.result.reason);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	assert_int_equal(rig.result.reason, IGRAD_REASON_NONE);
	assert_int_equal(rig.result.command, 2);
}

static void accepted(struct igrad_cmd cmd)
{
	accepted_behind(good(IGRAD_OP_WINDOW), cmd);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_OPCODES; i++)
		accepted(good(opcodes[i]));
}

static bool is_opcode(unsigned int value)
{
	for (size_t i = 0; i < NUM_OPCODES; i++) {
		if (opcodes[i] == value)
			return true;
	}
	return false;
}

static void test_opcode(void **state)
{
	(void)state;
	for (unsigned int value = 0; value < 256; value++) {
		struct igrad_cmd cmd = {.opcode = (uint8_t)value};

		if (!is_opcode(value))
			refused(cmd, IGRAD_REASON_OPCODE);
	}
	refused(cmd_nop(IGRAD_NUM_ENGINES), IGRAD_REASON_OPCODE);
}

static uint16_t flags_of(enum igrad_opcode opcode)
{
	switch (opcode) {
	case IGRAD_OP_DMA_LOAD:
	case IGRAD_OP_DMA_STORE:
		return IGRAD_FLAG_BF16 | IGRAD_FLAG_MEM_BF16;
	case IGRAD_OP_LOAD_W:
		return IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_BF16 | IGRAD_FLAG_GROUPS;
	case IGRAD_OP_LOAD_ACC:
	case IGRAD_OP_DRAIN_ACC:
	case IGRAD_OP_DRAIN_W:
	case IGRAD_OP_SCALE_ACC:
		return IGRAD_FLAG_GROUPS;
	case IGRAD_OP_FPROP:
		return IGRAD_FLAG_ADD | IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TURN | IGRAD_FLAG_BF16 |
		       IGRAD_FLAG_WINDOW | IGRAD_FLAG_GROUPS;
	case IGRAD_OP_DGRAD:
		return IGRAD_FLAG_ADD | IGRAD_FLAG_BF16 | IGRAD_FLAG_WINDOW | IGRAD_FLAG_GROUPS;
	case IGRAD_OP_WGRAD:
		return IGRAD_FLAG_KEEP | IGRAD_FLAG_BF16 | IGRAD_FLAG_WINDOW | IGRAD_FLAG_GROUPS;
	case IGRAD_OP_VEC_COLSUM:
		return IGRAD_FLAG_KEEP | IGRAD_FLAG_BF16;
	case IGRAD_OP_INTERLEAVED:
		return IGRAD_FLAG_ADD | IGRAD_FLAG_KEEP | IGRAD_FLAG_BF16 | IGRAD_FLAG_WINDOW |
		       IGRAD_FLAG_GROUPS;
	case IGRAD_OP_UPDATE:
		return IGRAD_FLAG_DECAY | IGRAD_FLAG_GROUPS;
	case IGRAD_OP_VEC_SGD:
	case IGRAD_OP_VEC_ADAM:
		return IGRAD_FLAG_DECAY;
	case IGRAD_OP_VEC_RELU_GRAD:
		return IGRAD_FLAG_BF16;
	case IGRAD_OP_VEC_COLSQ:
	case IGRAD_OP_VEC_NORM_SUMS:
		return IGRAD_FLAG_KEEP;
	case IGRAD_OP_VEC_POOL_MAX:
		return IGRAD_FLAG_INDEX;
	default:
		return 0;
	}
}

/* Regions are large enough for either orientation. */
static void test_flags(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_OPCODES; i++) {
		for (unsigned int bit = 0; bit < 16; bit++) {
			struct igrad_cmd cmd = good(opcodes[i]);

			cmd.flags = (uint16_t)(1u << bit);
			if (cmd.flags & flags_of(opcodes[i]))
				accepted(cmd);
			else
				refused(cmd, IGRAD_REASON_FLAGS);
		}
	}
}

static struct igrad_cmd windowed(enum igrad_opcode opcode)
{
	struct igrad_cmd cmd = good(opcode);

	cmd.flags |= IGRAD_FLAG_WINDOW;
	return cmd;
}

/* Which of the flags that say how operands lie go with WINDOW, and alone. */
static void test_window_with_other_flags(void **state)
{
	static const uint16_t ways[] = {IGRAD_FLAG_TRANSPOSE, IGRAD_FLAG_TURN, IGRAD_FLAG_GROUPS,
					IGRAD_FLAG_SCATTER, IGRAD_FLAG_TAPS};
	/* bit i: ways[i] */
	const uint32_t with_window = 1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 8 | 1u << 12 |
				     1u << 16 | 1u << 17 | 1u << 19;
	const uint32_t alone = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4;

	(void)state;
	for (uint32_t set = 0; set < 64; set++) {
		struct igrad_cmd cmd = good(IGRAD_OP_FPROP);
		const bool window = set & 32;

		cmd.flags = IGRAD_FLAG_ADD | (window ? IGRAD_FLAG_WINDOW : 0);
		for (unsigned int i = 0; i < 5; i++)
			cmd.flags |= set & 1u << i ? ways[i] : 0;
		if ((window ? with_window : alone) & 1u << set % 32)
			accepted(cmd);
		else
			refused_windowed(cmd, IGRAD_REASON_FLAGS);
	}
	for (enum igrad_opcode op = IGRAD_OP_DGRAD; op <= IGRAD_OP_INTERLEAVED; op++) {
		struct igrad_cmd cmd = windowed(op);

		cmd.flags |= IGRAD_FLAG_SCATTER;
		refused_windowed(cmd, IGRAD_REASON_FLAGS);
		cmd = windowed(op);
		cmd.flags |= IGRAD_FLAG_TAPS;
		if (op == IGRAD_OP_WGRAD)
			accepted(cmd);
		else
			refused_windowed(cmd, IGRAD_REASON_FLAGS);
	}
}

/* The tap of every position is a tap; positions are described as a whole or not at all. */
static void test_positions(void **state)
{
	struct igrad_cmd window = good(IGRAD_OP_WINDOW), cmd = windowed(IGRAD_OP_WGRAD);

	(void)state;
	cmd.flags |= IGRAD_FLAG_TAPS;
	cmd.u.array.rows = 5; /* three rows of the kernel */
	cmd.u.array.tap = IGRAD_TAP(32765, 32766);
	accepted(cmd);
	cmd.u.array.tap = IGRAD_TAP(32766, 32766);
	refused_windowed(cmd, IGRAD_REASON_SHAPE);
	cmd.u.array.tap = IGRAD_TAP(32765, 32767);
	refused_windowed(cmd, IGRAD_REASON_SHAPE);
	cmd.u.array.tap = 0;
	window.u.window.step_y = 65535;
	refused_behind(window, cmd, IGRAD_REASON_SHAPE);
	window.u.window.step_y = 0;
	refused(window, IGRAD_REASON_SHAPE);
	window.u.window.step_x = window.u.window.kernel_x = window.u.window.channels = 0;
	accepted(window);
	refused_behind(window, cmd, IGRAD_REASON_SHAPE);
}

static void test_window_is_set_by_the_job(void **state)
{
	struct igrad_cmd cmd = windowed(IGRAD_OP_WGRAD);

	(void)state;
	accepted(cmd);
	refused(cmd, IGRAD_REASON_SHAPE); /* that was another job */
}

static void test_window_uses_its_fields(void **state)
{
	struct igrad_cmd cmd;

	(void)state;
	for (enum igrad_opcode op = IGRAD_OP_FPROP; op <= IGRAD_OP_INTERLEAVED; op++) {
		cmd = windowed(op);
		cmd.u.array.tap = IGRAD_TAP(-32768, 32767);
		accepted(cmd);
		cmd.flags = 0;
		refused_windowed(cmd, IGRAD_REASON_RESERVED);
		cmd.u.array.tap = 0;
		cmd.u.array.first = 4;
		refused_windowed(cmd, IGRAD_REASON_RESERVED);
		cmd.flags = IGRAD_FLAG_WINDOW;
		accepted(cmd);
	}
}

/* Rows of a group are the only ones that loads and drains look at. */
static void test_extent_of_groups(void **state)
{
	struct igrad_cmd window = good(IGRAD_OP_WINDOW), cmd = good(IGRAD_OP_DRAIN_W);

	(void)state;
	cmd.flags = IGRAD_FLAG_GROUPS;
	cmd.u.array.p = 65536 - 3 * C * 4;
	accepted(cmd);
	cmd.u.array.p += 4;
	refused_windowed(cmd, IGRAD_REASON_SRAM_RANGE);
	window.u.window.group_rows = 1;
	window.u.window.group_cols = 65535;
	cmd.u.array.p = 65536 - C * 4;
	cmd.u.array.rows = 1;
	accepted_behind(window, cmd);
	cmd.u.array.p += 4;
	refused_behind(window, cmd, IGRAD_REASON_SRAM_RANGE);
	window.u.window.group_rows = window.u.window.group_cols = 0;
	cmd.u.array.p = 0;
	refused_behind(window, cmd, IGRAD_REASON_SHAPE);
	refused(cmd, IGRAD_REASON_SHAPE);
}

/* Images up to the stream's last are inside SRAM, whatever rows it stands on. */
static void test_extent_of_images(void **state)
{
	struct igrad_cmd window = good(IGRAD_OP_WINDOW), cmd = windowed(IGRAD_OP_FPROP);
	struct igrad_cmd_array *a = &cmd.u.array;

	(void)state;
	a->first = IGRAD_MAX_OUTPUTS - 3;
	refused_windowed(cmd, IGRAD_REASON_SHAPE);
	a->first = 0xfffffffe; /* the sum has more than 32 bits */
	refused_windowed(cmd, IGRAD_REASON_SHAPE);
	a->first = 4;
	a->p = 0; /* where image 0 would be */
	a->p_pitch = C * 4;
	a->x = 4 * C * 4 - 4 * R * 4;
	accepted(cmd);
	a->x -= 4;
	refused_windowed(cmd, IGRAD_REASON_OVERLAP);
	a->x = 65536 - 8 * R * 4;
	accepted(cmd);
	a->x += 4;
	refused_windowed(cmd, IGRAD_REASON_SRAM_RANGE);
	a->first = 65536 / 2 - 4;
	a->x = 0;
	refused_windowed(cmd, IGRAD_REASON_SRAM_RANGE);
	a->first += 1; /* no more pixels than SRAM has half words */
	refused_windowed(cmd, IGRAD_REASON_SHAPE);
	window.u.window.height = window.u.window.width = 65535;
	cmd = windowed(IGRAD_OP_FPROP);
	refused_behind(window, cmd, IGRAD_REASON_SHAPE);
	a->first = 1 << 20;
	refused_behind(window, cmd, IGRAD_REASON_SHAPE);
	cmd = windowed(IGRAD_OP_DGRAD);
	cmd.u.array.p = 65536 - 4 * R * 4;
	accepted(cmd);
	cmd.u.array.p += 4;
	refused_windowed(cmd, IGRAD_REASON_SRAM_RANGE);
}

static void test_reserved(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_OPCODES; i++) {
		struct igrad_cmd cmd = good(opcodes[i]);

		for (unsigned int word = 0; word < 10; word++) {
			cmd = good(opcodes[i]);
			cmd.u.words[word] = 0x80000000;
			if (!strchr(rig_words_of(opcodes[i]), '0' + (int)word))
				refused(cmd, IGRAD_REASON_RESERVED);
		}
		cmd = good(opcodes[i]);
		cmd.engine = 1;
		if (opcodes[i] != IGRAD_OP_NOP)
			refused(cmd, IGRAD_REASON_RESERVED);
	}
}

static void test_decay_uses_its_field(void **state)
{
	struct igrad_cmd cmd = good(IGRAD_OP_UPDATE);

	(void)state;
	cmd.flags = IGRAD_FLAG_DECAY;
	cmd.u.array.keep = 0x3f000000;
	accepted(cmd);
	cmd = good(IGRAD_OP_VEC_SGD);
	cmd.flags = IGRAD_FLAG_DECAY;
	cmd.u.vec.imm2 = 0x3f000000;
	accepted(cmd);
}

static void test_semaphore(void **state)
{
	struct igrad_cmd cmd = good(IGRAD_OP_NOP);

	(void)state;
	cmd.signal = IGRAD_NUM_SEMAPHORES - 1;
	accepted(cmd);
	cmd.signal = IGRAD_NUM_SEMAPHORES;
	refused(cmd, IGRAD_REASON_SEMAPHORE);
	for (unsigned int slot = 0; slot < IGRAD_NUM_WAITS; slot++) {
		cmd = good(IGRAD_OP_NOP);
		refused(*cmd_wait(&cmd, slot, IGRAD_NUM_SEMAPHORES, 1), IGRAD_REASON_SEMAPHORE);
		refused(*cmd_wait(&cmd, slot, 255, 1), IGRAD_REASON_SEMAPHORE);
		refused(*cmd_wait(&cmd, slot, 1, 0), IGRAD_REASON_SEMAPHORE);
		refused(*cmd_wait(&cmd, slot, 0, 1), IGRAD_REASON_SEMAPHORE);
		refused(*cmd_wait(&cmd, slot, 31, 1), IGRAD_REASON_WAIT);
	}
}

static void test_two_signallers(void **state)
{
	struct igrad_cmd cmds[] = {cmd_nop(IGRAD_ENGINE_ARRAY), cmd_nop(IGRAD_ENGINE_ARRAY),
				   cmd_nop(IGRAD_ENGINE_VECTOR)};

	(void)state;
	cmds[0].signal = cmds[1].signal = cmds[2].signal = 5;
	rig_run(&rig, cmds, 3);
	assert_int_equal(rig.result.status, IGRAD_STATUS_MALFORMED);
	assert_int_equal(rig.result.reason, IGRAD_REASON_SEMAPHORE);
	assert_int_equal(rig.result.command, 2);
	assert_int_equal(rig.result.engine, IGRAD_ENGINE_VECTOR);
}

/* A command cannot wait for what only itself or a later one signals. */
static void test_wait(void **state)
{
	struct igrad_cmd cmds[] = {cmd_nop(IGRAD_ENGINE_ARRAY), cmd_nop(IGRAD_ENGINE_ARRAY),
				   cmd_nop(IGRAD_ENGINE_ARRAY)};

	(void)state;
	cmds[0].signal = cmds[1].signal = 5;
	cmd_wait(&cmds[1], 0, 5, 1);
	cmd_wait(&cmds[2], 2, 5, 2);
	rig_run(&rig, cmds, 3);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	cmd_wait(&cmds[1], 0, 5, 2);
	rig_run(&rig, cmds, 3);
	assert_int_equal(rig.result.reason, IGRAD_REASON_WAIT);
	assert_int_equal(rig.result.command, 1);
}

static void shape(enum igrad_opcode opcode, unsigned int word, uint32_t value)
{
	struct igrad_cmd cmd = good(opcode);

	cmd.u.words[word] = value;
	refused(cmd, IGRAD_REASON_SHAPE);
}

static void test_shape(void **state)
{
	struct igrad_cmd cmd = good(IGRAD_OP_DMA_LOAD);

	(void)state;
	for (size_t i = 0; i < NUM_OPCODES; i++) {
		const enum igrad_opcode op = opcodes[i];

		if (op == IGRAD_OP_NOP)
			continue;
		if (op < IGRAD_OP_LOAD_W) {
			shape(op, 5, 0);
			shape(op, 6, 0);
			shape(op, 5, 65536 / 4 + 1);
			shape(op, 6, 0xffffffff);
		} else if (op == IGRAD_OP_WINDOW) {
			for (unsigned int word = 0; word < 4; word++) {
				shape(op, word, 1);
				shape(op, word, 1 << 16);
			}
		} else if (op < IGRAD_OP_VEC_FILL) {
			shape(op, 0, R | (C + 1) << 16);
			shape(op, 0, (R + 1) | C << 16);
			shape(op, 0, R);
			shape(op, 0, C << 16);
		} else if (pools(op)) {
			for (unsigned int word = 0; word < 4; word++) {
				shape(op, word, 2);
				shape(op, word, 2 << 16);
			}
			for (unsigned int word = 5; word < 7; word++) {
				shape(op, word, 0);
				shape(op, word, IGRAD_MAX_VEC_DIM + 1);
				shape(op, word, 65536 / 4 / 4 + 1);
			}
		} else {
			shape(op, 0, 0);
			shape(op, 1, 0);
			shape(op, 0, IGRAD_MAX_VEC_DIM + 1);
			shape(op, 1, IGRAD_MAX_VEC_DIM + 1);
		}
		if (op >= IGRAD_OP_FPROP && op <= IGRAD_OP_INTERLEAVED) {
			shape(op, 1, 0);
			shape(op, 1, IGRAD_MAX_BATCH + 1);
		}
	}
	shape(IGRAD_OP_DMA_LOAD, 7, 0xffffffff);
	cmd.u.dma.rows = cmd.u.dma.fill_rows = cmd.u.dma.cols = cmd.u.dma.fill_cols = 1u << 31;
	refused(cmd, IGRAD_REASON_SHAPE); /* 2^64 words */
	shape(IGRAD_OP_DMA_LOAD, 8, 0xffffffff);
}

/* Results need a pixel in every window; gradients go where there are some. */
static void test_empty_windows(void **state)
{
	static const uint32_t empty[] = {IGRAD_TAP(-2, 0), IGRAD_TAP(0, -2), IGRAD_TAP(2, 0),
					 IGRAD_TAP(0, 2), IGRAD_TAP(-32768, 32767)};

	(void)state;
	for (enum igrad_opcode op = IGRAD_OP_VEC_POOL_MAX; op <= IGRAD_OP_VEC_POOL_DIVIDE; op++) {
		struct igrad_cmd cmd = good(op);

		cmd.u.pool.tap = IGRAD_TAP(1, -1);
		accepted(cmd);
		for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
			cmd.u.pool.tap = empty[i];
			if (op == IGRAD_OP_VEC_POOL_MAX_GRAD || op == IGRAD_OP_VEC_POOL_SUM_GRAD)
				accepted(cmd);
			else
				refused(cmd, IGRAD_REASON_SHAPE);
		}
	}
}

/* Overlapping windows could see each word of SRAM as often as it has words. */
static void test_work_of_pooling(void **state)
{
	struct igrad_cmd cmd = good(IGRAD_OP_VEC_POOL_SUM);
	struct igrad_cmd_pool *p = &cmd.u.pool;

	(void)state;
	*p = (struct igrad_cmd_pool){64, 64, 64, 64, 128,  128, 1, 1, IGRAD_TAP(-64, -64),
				     1,	 1,  0,	 0,  32768};
	accepted(cmd); /* 2^26 */
	p->kernel_x++;
	refused(cmd, IGRAD_REASON_SHAPE);
	p->kernel_x = p->kernel_y = p->out_height = p->out_width = 65535;
	refused(cmd, IGRAD_REASON_SHAPE);
	cmd = good(IGRAD_OP_VEC_POOL_DIVIDE); /* images that are not in SRAM may be large */
	p->height = p->width = 65535;
	accepted(cmd);
	p->images = p->cols = IGRAD_MAX_VEC_DIM;
	refused(cmd, IGRAD_REASON_SHAPE);
	cmd = good(IGRAD_OP_VEC_POOL_SUM);
	p->height = p->width = 65535;
	refused(cmd, IGRAD_REASON_SHAPE);
}

/* Words of an opcode's body that hold an address or a pitch, with the last word that each pitch
 * needs. */
static const char *addresses_of(enum igrad_opcode opcode)
{
	switch (opcode) {
	case IGRAD_OP_NOP:
	case IGRAD_OP_UPDATE:
	case IGRAD_OP_SCALE_ACC:
	case IGRAD_OP_WINDOW:
		return "";
	case IGRAD_OP_DMA_LOAD:
	case IGRAD_OP_DMA_STORE:
		return "0234";
	case IGRAD_OP_VEC_FILL:
		return "67";
	case IGRAD_OP_VEC_BIAS:
		return "23467";
	case IGRAD_OP_VEC_SOFTMAX_XENT:
		return "2345679";
	case IGRAD_OP_VEC_ADAM:
		return "23456789";
	case IGRAD_OP_VEC_AXPY:
	case IGRAD_OP_VEC_SGD:
		return "234567";
	case IGRAD_OP_VEC_SCALE:
	case IGRAD_OP_VEC_RSQRT:
		return "2367";
	case IGRAD_OP_VEC_COLSUM:
		return "236";
	case IGRAD_OP_VEC_COLSQ:
		return "2346";
	case IGRAD_OP_VEC_DROPOUT:
		return "23467";
	case IGRAD_OP_VEC_POOL_MAX_GRAD:
		return "789";
	case IGRAD_OP_VEC_POOL_MAX:
	case IGRAD_OP_VEC_POOL_SUM:
	case IGRAD_OP_VEC_POOL_SUM_GRAD:
	case IGRAD_OP_VEC_POOL_DIVIDE:
		return "79";
	default:
		return rig_words_of(opcode) +
		       (opcode >= IGRAD_OP_FPROP && opcode <= IGRAD_OP_INTERLEAVED ? 2
			: opcode < IGRAD_OP_VEC_FILL				   ? 1
										   : 2);
	}
}

static bool is_pitch(enum igrad_opcode opcode, char word)
{
	if (pools(opcode))
		return false;
	if (opcode >= IGRAD_OP_VEC_NORM && opcode <= IGRAD_OP_VEC_NORM_GRAD && word == '9')
		return true;
	return opcode < IGRAD_OP_LOAD_W ? word == '2' || word == '4'
					: word == '3' || word == '5' || word == '7';
}

static void test_align(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_OPCODES; i++) {
		for (const char *word = addresses_of(opcodes[i]); *word; word++) {
			struct igrad_cmd cmd = good(opcodes[i]);

			for (uint32_t off = 1; off < 4; off++) {
				cmd = good(opcodes[i]);
				cmd.u.words[*word - '0'] += off;
				refused(cmd, IGRAD_REASON_ALIGN);
			}
			cmd = good(opcodes[i]);
			if (!is_pitch(opcodes[i], *word))
				continue;
			cmd.u.words[*word - '0'] = 0;
			refused(cmd, IGRAD_REASON_ALIGN);
		}
	}
}

/* The words of a body that address or space bf16 when @flag is set. */
static const char *halves_of(enum igrad_opcode opcode, uint16_t flag)
{
	switch (opcode) {
	case IGRAD_OP_DMA_LOAD:
	case IGRAD_OP_DMA_STORE:
		return flag == IGRAD_FLAG_BF16 ? "34" : "02";
	case IGRAD_OP_LOAD_W:
		return "67";
	case IGRAD_OP_FPROP:
	case IGRAD_OP_VEC_COLSUM:
		return "23";
	case IGRAD_OP_DGRAD:
		return "45";
	case IGRAD_OP_VEC_RELU_GRAD:
		return "234567";
	default:
		return "2345";
	}
}

static void align_halves(enum igrad_opcode opcode, uint16_t flag)
{
	for (const char *word = addresses_of(opcode); *word; word++) {
		for (uint32_t off = 1; off < 4; off++) {
			struct igrad_cmd cmd = good(opcode);

			cmd.flags = flag;
			cmd.u.words[*word - '0'] += off;
			if (off == 2 && strchr(halves_of(opcode, flag), *word))
				accepted(cmd);
			else
				refused(cmd, IGRAD_REASON_ALIGN);
		}
	}
}

static void test_align_bf16(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_OPCODES; i++) {
		if (flags_of(opcodes[i]) & IGRAD_FLAG_BF16)
			align_halves(opcodes[i], IGRAD_FLAG_BF16);
		if (flags_of(opcodes[i]) & IGRAD_FLAG_MEM_BF16)
			align_halves(opcodes[i], IGRAD_FLAG_MEM_BF16);
	}
}

/* Regions of bf16 are half as wide: how close pitches, ends and neighbours may come. */
static void test_extent_bf16(void **state)
{
	struct igrad_cmd cmd = good(IGRAD_OP_FPROP);

	(void)state;
	cmd.flags = IGRAD_FLAG_BF16;
	cmd.u.array.x_pitch = R * 2;
	accepted(cmd);
	cmd.u.array.p = 4 * R * 2;
	accepted(cmd);
	cmd.u.array.p -= 4;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd.u.array.x_pitch -= 2;
	refused(cmd, IGRAD_REASON_ALIGN);
	cmd = good(IGRAD_OP_DMA_LOAD);
	cmd.flags = IGRAD_FLAG_BF16;
	cmd.u.dma.sram = 65536 - 2 * 4 * 4;
	cmd.u.dma.sram_pitch = 2 * 4;
	accepted(cmd);
	cmd.u.dma.sram += 2;
	refused(cmd, IGRAD_REASON_SRAM_RANGE);
	cmd = good(IGRAD_OP_DMA_LOAD);
	cmd.flags = IGRAD_FLAG_MEM_BF16;
	cmd.u.dma.pitch = 2 * 4;
	accepted(cmd);
	cmd.u.dma.pitch -= 2;
	refused(cmd, IGRAD_REASON_ALIGN);
	cmd = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, 65536 / 2);
	refused(cmd, IGRAD_REASON_SHAPE);
	cmd.flags = IGRAD_FLAG_BF16 | IGRAD_FLAG_MEM_BF16;
	accepted(cmd);
	cmd.u.dma.cols++;
	refused(cmd, IGRAD_REASON_SHAPE);
}

static void test_pitch_of_a_single_row(void **state)
{
	struct igrad_cmd cmd = good(IGRAD_OP_DMA_LOAD);

	(void)state;
	cmd.u.dma.rows = 1;
	cmd.u.dma.pitch = 0;
	cmd.u.dma.sram_pitch = 4;
	accepted(cmd);
	cmd.u.dma.pitch = 2;
	refused(cmd, IGRAD_REASON_ALIGN);
	cmd = good(IGRAD_OP_FPROP);
	cmd.u.array.batch = 1;
	cmd.u.array.x_pitch = 0;
	cmd.u.array.p_pitch = 0xfffffffc;
	accepted(cmd);
}

static void test_sram_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_OPCODES; i++) {
		const enum igrad_opcode op = opcodes[i];

		for (const char *word = addresses_of(op); *word; word++) {
			struct igrad_cmd cmd = good(op);

			if (op < IGRAD_OP_LOAD_W && (*word == '0' || *word == '2'))
				continue; /* of DRAM */
			cmd.u.words[*word - '0'] = is_pitch(op, *word) ? 65536 : 65536 - 4;
			refused(cmd, IGRAD_REASON_SRAM_RANGE);
			cmd.u.words[*word - '0'] = 0xfffffffc;
			refused(cmd, IGRAD_REASON_SRAM_RANGE);
		}
	}
}

static void test_sram_end(void **state)
{
	struct igrad_cmd cmd = good(IGRAD_OP_DMA_LOAD);

	(void)state;
	cmd.u.dma.sram = 65536 - 64;
	accepted(cmd);
	cmd.u.dma.sram += 4;
	refused(cmd, IGRAD_REASON_SRAM_RANGE);
	cmd.u.dma.sram -= 4;
	cmd.u.dma.fill_rows = 1;
	refused(cmd, IGRAD_REASON_SRAM_RANGE);
}

static void test_overlap_array(void **state)
{
	struct igrad_cmd cmd = good(IGRAD_OP_FPROP);

	(void)state;
	cmd.u.array.p = 4 * R * 4 - 4; /* x's last word */
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd.u.array.p += 4;
	accepted(cmd);
	cmd = good(IGRAD_OP_DGRAD);
	cmd.u.array.p = cmd.u.array.g - 4;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd.u.array.p = cmd.u.array.g;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd = good(IGRAD_OP_INTERLEAVED);
	cmd.u.array.p = 0;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd.u.array.p = cmd.u.array.g;
	refused(cmd, IGRAD_REASON_OVERLAP);
	/* nothing is written to SRAM */
	cmd = good(IGRAD_OP_WGRAD);
	cmd.u.array.x = cmd.u.array.g;
	accepted(cmd);
}

static void test_overlap_vector(void **state)
{
	static const enum igrad_opcode same_a[] = {
		IGRAD_OP_VEC_COPY,   IGRAD_OP_VEC_BIAS,	 IGRAD_OP_VEC_RELU,  IGRAD_OP_VEC_RELU_GRAD,
		IGRAD_OP_VEC_AXPY,   IGRAD_OP_VEC_SGD,	 IGRAD_OP_VEC_SCALE, IGRAD_OP_VEC_ADD,
		IGRAD_OP_VEC_MUL,    IGRAD_OP_VEC_RSQRT, IGRAD_OP_VEC_NORM,  IGRAD_OP_VEC_NORM_GRAD,
		IGRAD_OP_VEC_DROPOUT};
	struct igrad_cmd cmd;

	(void)state;
	for (size_t i = 0; i < sizeof(same_a) / sizeof(same_a[0]); i++) {
		cmd = good(same_a[i]);
		cmd.u.vec.d = cmd.u.vec.a;
		accepted(cmd);
		cmd.u.vec.d += 4;
		refused(cmd, IGRAD_REASON_OVERLAP);
		cmd.u.vec.d -= 4;
		cmd.u.vec.d_pitch += 4;
		refused(cmd, IGRAD_REASON_OVERLAP);
		if (!cmd.u.vec.b)
			continue;
		cmd = good(same_a[i]);
		cmd.u.vec.d = cmd.u.vec.b;
		if (same_a[i] == IGRAD_OP_VEC_BIAS || same_a[i] == IGRAD_OP_VEC_DROPOUT)
			refused(cmd, IGRAD_REASON_OVERLAP);
		else
			accepted(cmd);
	}
	cmd = good(IGRAD_OP_VEC_COLSUM);
	cmd.u.vec.d = cmd.u.vec.a;
	refused(cmd, IGRAD_REASON_OVERLAP);
}

/* Constants and sums are apart from everything; so are images, outputs and numbers. */
static void test_overlap_layers(void **state)
{
	struct igrad_cmd cmd;

	(void)state;
	for (enum igrad_opcode op = IGRAD_OP_VEC_NORM; op <= IGRAD_OP_VEC_NORM_GRAD; op++) {
		cmd = good(op);
		cmd.u.vec.imm = cmd.u.vec.d;
		refused(cmd, IGRAD_REASON_OVERLAP);
	}
	for (enum igrad_opcode op = IGRAD_OP_VEC_COLSQ; op <= IGRAD_OP_VEC_NORM_SUMS; op++) {
		if (op == IGRAD_OP_VEC_NORM)
			continue;
		cmd = good(op);
		cmd.u.vec.d = cmd.u.vec.a;
		refused(cmd, IGRAD_REASON_OVERLAP);
		cmd.u.vec.d = cmd.u.vec.b;
		refused(cmd, IGRAD_REASON_OVERLAP);
	}
	for (enum igrad_opcode op = IGRAD_OP_VEC_POOL_MAX; op <= IGRAD_OP_VEC_POOL_DIVIDE; op++) {
		cmd = good(op);
		cmd.u.pool.d = cmd.u.pool.a;
		if (op == IGRAD_OP_VEC_POOL_DIVIDE)
			accepted(cmd);
		else
			refused(cmd, IGRAD_REASON_OVERLAP);
		cmd.u.pool.d += 4;
		refused(cmd, IGRAD_REASON_OVERLAP);
	}
	cmd = good(IGRAD_OP_VEC_POOL_MAX);
	cmd.flags = IGRAD_FLAG_INDEX;
	cmd.u.pool.b = cmd.u.pool.d + 256;
	accepted(cmd);
	cmd.u.pool.b -= 4;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd.u.pool.b = cmd.u.pool.a;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd = good(IGRAD_OP_VEC_POOL_MAX_GRAD);
	cmd.u.pool.b = cmd.u.pool.a;
	accepted(cmd);
	cmd.u.pool.b = cmd.u.pool.d;
	refused(cmd, IGRAD_REASON_OVERLAP);
}

static void test_overlap_softmax(void **state)
{
	struct igrad_cmd cmd = good(IGRAD_OP_VEC_SOFTMAX_XENT);

	(void)state;
	cmd.u.vec.d = cmd.u.vec.a;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd = good(IGRAD_OP_VEC_SOFTMAX_XENT);
	cmd.u.vec.d = cmd.u.vec.b;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd = good(IGRAD_OP_VEC_SOFTMAX_XENT);
	cmd.u.vec.imm2 = cmd.u.vec.a;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd.u.vec.imm2 = cmd.u.vec.d + 124;
	refused(cmd, IGRAD_REASON_OVERLAP);
	cmd.u.vec.imm2 = cmd.u.vec.b;
	refused(cmd, IGRAD_REASON_OVERLAP);
}

/* w, m and v meet nothing; what is only read may lie anywhere. */
static void test_overlap_adam(void **state)
{
	static const unsigned int written[] = {4, 6, 9}, words[] = {2, 4, 6, 8, 9};
	struct igrad_cmd cmd;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < 5; j++) {
			const uint32_t bytes = words[j] == 8 ? 4 * IGRAD_ADAM_WORDS : 128;

			if (words[j] == written[i])
				continue;
			cmd = good(IGRAD_OP_VEC_ADAM);
			cmd.u.words[words[j]] = cmd.u.words[written[i]];
			refused(cmd, IGRAD_REASON_OVERLAP);
			cmd.u.words[words[j]] = cmd.u.words[written[i]] + 124;
			refused(cmd, IGRAD_REASON_OVERLAP);
			cmd.u.words[words[j]] = cmd.u.words[written[i]] + 128;
			accepted(cmd);
			cmd.u.words[words[j]] = cmd.u.words[written[i]] - bytes;
			if (cmd.u.words[written[i]])
				accepted(cmd);
		}
	}
	cmd = good(IGRAD_OP_VEC_ADAM);
	cmd.u.vec.imm = cmd.u.vec.a;
	accepted(cmd);
}

/* Labels are looked at before anything is written. */
static void test_data(void **state)
{
	struct igrad_cmd cmds[] = {
		cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 1024, 4, 8),
		good(IGRAD_OP_VEC_SOFTMAX_XENT),
		cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + 4096, 4096, 4, 8),
	};
	uint32_t *labels = (uint32_t *)(void *)(rig.memory + RIG_DATA);

	(void)state;
	rig_chain(cmds, 3);
	labels[3 * 8] = 7;
	rig_run(&rig, cmds, 3);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
	labels[3 * 8] = 8;
	rig_run(&rig, cmds, 3);
	assert_int_equal(rig.result.status, IGRAD_STATUS_MALFORMED);
	assert_int_equal(rig.result.reason, IGRAD_REASON_DATA);
	assert_int_equal(rig.result.command, 1);
	assert_int_equal(rig.result.engine, IGRAD_ENGINE_VECTOR);
	labels[3 * 8] = 0xffffffff;
	rig_run(&rig, cmds, 3);
	assert_int_equal(rig.result.reason, IGRAD_REASON_DATA);
}

static void descriptor(struct igrad_desc desc)
{
	const struct igrad_cmd cmd = cmd_nop(IGRAD_ENGINE_LOAD);

	rig.desc = desc;
	rig_run(&rig, &cmd, 1);
	memset(&rig.desc, 0, sizeof(rig.desc));
	assert_int_equal(rig.result.status, IGRAD_STATUS_MALFORMED);
	assert_int_equal(rig.result.reason, IGRAD_REASON_DESC);
	assert_int_equal(rig.result.command, 0);
	assert_int_equal(rig.report.status, IGRAD_STATUS_NOT_WRITTEN);
}

static void test_descriptor(void **state)
{
	(void)state;
	descriptor((struct igrad_desc){.pt_root = 1});
	descriptor((struct igrad_desc){.pt_root = 0x800});
	descriptor((struct igrad_desc){.pt_root = 1ull << 52});
	descriptor((struct igrad_desc){.cmds = RIG_CMDS + 32});
	descriptor((struct igrad_desc){.num_cmds = IGRAD_MAX_COMMANDS + 1});
	descriptor((struct igrad_desc){.flags = 4});
	descriptor((struct igrad_desc){.report = RIG_REPORT + 32});
	descriptor((struct igrad_desc){.reserved = {0, 0, 1}});
}

static void test_empty_descriptor(void **state)
{
	const struct igrad_desc desc = {.cmds = RIG_CMDS, .report = RIG_REPORT};
	const struct igrad_space space = rig_space(&rig);

	(void)state;
	igrad_core_begin(rig.core, &desc, &space);
	assert_false(igrad_core_step(rig.core));
	igrad_core_finish(rig.core, &rig.result);
	assert_int_equal(rig.result.reason, IGRAD_REASON_DESC);
}

static void test_skip(void **state)
{
	const struct igrad_desc desc = {.flags = IGRAD_DESC_SKIP, .pt_root = 1, .report = 5};
	const struct igrad_space space = rig_space(&rig);

	(void)state;
	rig.reads = 0;
	igrad_core_begin(rig.core, &desc, &space);
	assert_false(igrad_core_step(rig.core));
	igrad_core_finish(rig.core, &rig.result);
	assert_int_equal(rig.result.status, IGRAD_STATUS_SKIPPED);
	assert_int_equal(rig.result.reason, IGRAD_REASON_NONE);
	assert_int_equal(rig.reads, 0);
}

static void config_refused(struct igrad_config config, const char *word)
{
	char error[128] = "";

	assert_true(igrad_config_check(&config, error, sizeof(error)) < 0);
	assert_non_null(strstr(error, word));
	assert_null(igrad_core_new(&config));
}

#define WITH(field_, value_, word_)             \
	do {                                    \
		struct igrad_config config_;    \
                                                \
		igrad_config_default(&config_); \
		config_.field_ = (value_);      \
		config_refused(config_, word_); \
	} while (0)

static void test_config(void **state)
{
	struct igrad_config config;
	char error[64];

	(void)state;
	igrad_config_default(&config);
	assert_int_equal(igrad_config_check(&config, error, sizeof(error)), 0);
	WITH(rows, 0, "rows");
	WITH(rows, IGRAD_MAX_ROWS + 1, "rows");
	WITH(cols, 0, "cols");
	WITH(cols, IGRAD_MAX_COLS + 1, "cols");
	WITH(sram_bytes, IGRAD_MIN_SRAM - 1024, "sram-kib");
	WITH(sram_bytes, IGRAD_MAX_SRAM + 1024, "sram-kib");
	WITH(sram_bytes, IGRAD_MIN_SRAM + 4, "1 KiB");
	WITH(dram_bytes_per_cycle, 0, "dram-bytes-per-cycle");
	WITH(dram_bytes_per_cycle, 65537, "dram-bytes-per-cycle");
	WITH(dram_latency, 1000001, "dram-latency");
	WITH(clock_hz, 0, "clock-hz");
	WITH(threads, 0, "threads");
	WITH(threads, IGRAD_MAX_THREADS + 1, "threads");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_opcode),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_window_with_other_flags),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_window_is_set_by_the_job),
		cmocka_unit_test(test_window_uses_its_fields),
		cmocka_unit_test(test_extent_of_groups),
		cmocka_unit_test(test_extent_of_images),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_decay_uses_its_field),
		cmocka_unit_test(test_semaphore),
		cmocka_unit_test(test_two_signallers),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_align),
		cmocka_unit_test(test_align_bf16),
		cmocka_unit_test(test_extent_bf16),
		cmocka_unit_test(test_pitch_of_a_single_row),
		cmocka_unit_test(test_sram_range),
		cmocka_unit_test(test_sram_end),
		cmocka_unit_test(test_overlap_array),
		cmocka_unit_test(test_overlap_vector),
		cmocka_unit_test(test_overlap_softmax),
		cmocka_unit_test(test_overlap_layers),
		cmocka_unit_test(test_empty_windows),
		cmocka_unit_test(test_work_of_pooling),
		cmocka_unit_test(test_overlap_adam),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_empty_descriptor),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_config),
	};

	return run_group("core-check", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
