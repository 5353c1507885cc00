/* SPDX-License-Identifier: MIT */
/*
 * Random bytes as descriptors and commands: whatever they say, the core ends the job with an
 * outcome that makes sense, and the next job is right. Meant to be run with sanitizers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define MOST 24

static uint32_t tempting(struct rng *rng)
{
	static const uint32_t values[] = {0,
					  1,
					  3,
					  4,
					  8,
					  16,
					  32,
					  64,
					  256,
					  4096,
					  65535,
					  65536,
					  65532,
					  0x7fffffff,
					  0x80000000,
					  0xfffffffc,
					  0xffffffff,
					  1u << 24,
					  (1u << 24) + 1,
					  16384};

	return values[rng_below(rng, sizeof(values) / sizeof(values[0]))];
}

static uint32_t word(struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return 0;
	case 1:
		return tempting(rng);
	case 2:
		return rng_below(rng, 64) * 4;
	default:
		return rng_below(rng, 64) ? rng_below(rng, 16) : rng_u32(rng);
	}
}

/* What would do in the @index-th word of a body: dimensions, then addresses and pitches. */
static uint32_t plausible(struct rng *rng, enum igrad_opcode opcode, unsigned int index)
{
	const bool dma = opcode < IGRAD_OP_LOAD_W, array = !dma && opcode < IGRAD_OP_VEC_FILL;

	if (opcode == IGRAD_OP_WINDOW || (opcode >= IGRAD_OP_VEC_POOL_MAX && index < 4))
		return (rng_u32(rng) & 0x00070007) + 0x00010001;
	if (opcode >= IGRAD_OP_VEC_POOL_MAX && index < 7)
		return index == 4 ? rng_u32(rng) & 0x00030003 : rng_between(rng, 1, 4);
	if (array && index == 0)
		return (rng_u32(rng) & 0x000f0007) + 0x00010001;
	if (dma ? index == 5 || index == 6 : index < 2)
		return rng_between(rng, 1, 16);
	if (dma && index < 2)
		return index ? 0 : RIG_DATA + rng_below(rng, 100000) * 4;
	if (dma && index > 6)
		return rng_below(rng, 3);
	if (dma ? index % 2 == 0 : index % 2 == 1 && index < 8)
		return 64 + rng_below(rng, 3) * 4; /* pitch */
	return rng_below(rng, 15000) * 4;
}

static struct igrad_cmd random_cmd(struct rng *rng, unsigned int round)
{
	static const uint8_t opcodes[] = {
		0x00, 0x10, 0x11, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29,
		0x2a, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b,
		0x4c, 0x4d, 0x4e, 0x4f, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57};
	struct igrad_cmd cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.opcode = opcodes[rng_below(rng, sizeof(opcodes))];
	for (const char *digit = rig_words_of(cmd.opcode); *digit; digit++)
		cmd.u.words[*digit - '0'] = plausible(rng, cmd.opcode, *digit - '0');
	if (cmd.opcode >= IGRAD_OP_LOAD_W && cmd.opcode < IGRAD_OP_VEC_FILL && rng_below(rng, 4))
		cmd.flags = 1u << rng_below(rng, 9) |
			    (rng_below(rng, 8) ? 0 : rng_u32(rng) & 0x780);
	if (cmd.flags & IGRAD_FLAG_WINDOW) {
		cmd.u.array.tap = rng_u32(rng) & 0x00030003;
		cmd.u.array.first = rng_below(rng, 16);
	}
	if (rng_below(rng, 8) == 0)
		cmd.signal = (uint8_t)rng_below(rng, 34);
	if (rng_below(rng, 100) == 0)
		cmd.opcode = (uint8_t)rng_u32(rng);
	if (rng_below(rng, 100) == 0)
		cmd.wait_sem[round % 3] = (uint8_t)rng_below(rng, 34);
	if (rng_below(rng, 100) == 0)
		cmd.wait_value[round % 3] = word(rng);
	if (rng_below(rng, 100) == 0)
		cmd.engine = (uint8_t)rng_below(rng, 6);
	if (rng_below(rng, 6) == 0)
		cmd.u.words[round % 10] = word(rng);
	return cmd;
}

static struct igrad_desc random_desc(struct rng *rng)
{
	struct igrad_desc desc = {.cmds = RIG_CMDS};

	if (rng_below(rng, 16))
		return desc;
	desc.pt_root = word(rng);
	desc.num_cmds = word(rng);
	desc.flags = word(rng);
	desc.report = (uint64_t)word(rng) << (desc.num_cmds % 33);
	desc.cmds = (uint64_t)word(rng) << (desc.flags % 33);
	return desc;
}

static void sensible(const struct igrad_result *result)
{
	switch (result->status) {
	case IGRAD_STATUS_OK:
	case IGRAD_STATUS_SKIPPED:
		assert_int_equal(result->reason, IGRAD_REASON_NONE);
		break;
	case IGRAD_STATUS_MALFORMED:
		assert_in_range(result->reason, IGRAD_REASON_DESC, IGRAD_REASON_HAZARD);
		break;
	case IGRAD_STATUS_FAULT:
		assert_in_range(result->reason, IGRAD_REASON_VA_RANGE, IGRAD_REASON_BUS);
		break;
	default:
		fail();
	}
	assert_in_range(result->engine, 0, IGRAD_NUM_ENGINES - 1);
}

static void works(struct rig *rig)
{
	const struct igrad_cmd cmds[] = {cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA, 0, 1, 16384)};

	memset(&rig->desc, 0, sizeof(rig->desc));
	memset(rig->memory + RIG_DATA, 0xff, 65536);
	rig_run(rig, cmds, 1);
	assert_int_equal(rig->result.status, IGRAD_STATUS_OK);
	for (unsigned int i = 0; i < 65536; i++)
		assert_int_equal(rig->memory[RIG_DATA + i], 0);
}

static void test_random_bytes(void **state)
{
	const unsigned int rounds = count_of_test(100000);
	struct rng rng = {seed_of_test("random commands")};
	struct igrad_config config;
	unsigned long executed = 0;
	struct rig rig;

	(void)state;
	rig_config(&config, 8, 16);
	rig_init(&rig, &config, 1 << 20);
	for (unsigned int round = 0; round < rounds; round++) {
		struct igrad_cmd cmds[MOST];
		const unsigned int n = rng_between(&rng, 1, MOST);

		for (unsigned int i = 0; i < n; i++)
			cmds[i] = random_cmd(&rng, round + i);
		rig.desc = random_desc(&rng);
		rig_run(&rig, cmds, n);
		sensible(&rig.result);
		executed += rig.result.command;
		if (round % 1000 == 0)
			works(&rig);
	}
	printf("# %u jobs executed %lu commands\n", rounds, executed);
	assert_true(executed > rounds);
	rig_destroy(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_bytes),
	};

	return run_group("core-random", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
