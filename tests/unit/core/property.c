/* SPDX-License-Identifier: MIT */
/*
 * The core against the PE-by-PE reference: random arrays, random command streams, random operands
 * with every kind of special value; results bit for bit, time cycle for cycle, SRAM word for word.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "reference.h"
#include "rig.h"
#include "streams.h"

/* Memories: before a job, after it, and of the reference's second opinions. */
static uint8_t image[RIG_DATA + STREAM_MEMORY];
static uint8_t expected[RIG_DATA + STREAM_MEMORY];
static uint8_t again[RIG_DATA + STREAM_MEMORY];

static uint64_t round_seed;

static void differs(void)
{
	printf("# reproduce with IGRAD_TEST_SEED=%llu IGRAD_TEST_SCALE=0.0002\n",
	       (unsigned long long)round_seed);
	fail();
}

static void expect(const char *what, uint64_t core, uint64_t reference)
{
	if (core == reference)
		return;
	printf("# %s: core %llu, reference %llu\n", what, (unsigned long long)core,
	       (unsigned long long)reference);
	differs();
}

/* What was done, whenever it was. */
static void compare_work(const struct igrad_report *core, const struct igrad_report *reference)
{
	expect("macs", core->macs, reference->macs);
	expect("vector_ops", core->vector_ops, reference->vector_ops);
	expect("macs_bf16", core->macs_bf16, reference->macs_bf16);
	expect("update_ops", core->update_ops, reference->update_ops);
	for (unsigned int i = 0; i < 2; i++) {
		expect("registers of PEs", core->pe_registers[i], reference->pe_registers[i]);
		expect("hops between PEs", core->pe_hops[i], reference->pe_hops[i]);
	}
	expect("dram_read_bytes", core->dram_read_bytes, reference->dram_read_bytes);
	expect("dram_write_bytes", core->dram_write_bytes, reference->dram_write_bytes);
	for (unsigned int i = 0; i < IGRAD_NUM_ACCESSES; i++) {
		expect("sram words of an operand", core->sram[0][i], reference->sram[0][i]);
		expect("16-bit words of an operand", core->sram[1][i], reference->sram[1][i]);
	}
}

static void compare_counts(const struct igrad_report *core, const struct igrad_report *reference)
{
	compare_work(core, reference);
	expect("cycles", core->cycles, reference->cycles);
	expect("peak_words", core->peak_words, reference->peak_words);
	for (unsigned int i = 0; i < IGRAD_NUM_ENGINES; i++) {
		expect("retired by an engine", core->retired[i], reference->retired[i]);
		expect("busy cycles of an engine", core->busy[i], reference->busy[i]);
		expect("stalled cycles of an engine", core->stalled[i], reference->stalled[i]);
	}
}

static void compare_memory(const uint8_t *core, const uint8_t *reference, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4) {
		uint32_t a, b;

		memcpy(&a, core + i, 4);
		memcpy(&b, reference + i, 4);
		if (a == b)
			continue;
		printf("# word %zu of the results: core %08x, reference %08x\n",
		       (i - (STREAM_RESULTS - RIG_DATA)) / 4, a, b);
		differs();
	}
}

static void run_core(const struct stream *s, const char *isa, const struct igrad_report *counts)
{
	struct rig rig;

	setenv("IGRAD_ISA", isa, 1);
	rig_init(&rig, &s->config, STREAM_MEMORY);
	unsetenv("IGRAD_ISA");
	memcpy(rig.memory + RIG_DATA, image + RIG_DATA, STREAM_MEMORY);
	rig_run(&rig, s->cmds, s->count);
	expect("status", rig.result.status, IGRAD_STATUS_OK);
	expect("commands", rig.result.command, s->count);
	compare_memory(rig.memory + RIG_DATA, expected + RIG_DATA, STREAM_MEMORY);
	compare_counts(&rig.report, counts);
	rig_destroy(&rig);
}

/* The reference's engines at work all at once: the same bits and counts as one after the other. */
static void replay(struct ref_device *reference, const struct igrad_report *counts, bool late)
{
	struct igrad_report replayed;

	memcpy(again + RIG_DATA, image + RIG_DATA, STREAM_MEMORY);
	ref_replay(reference, again, late, &replayed);
	compare_memory(again + RIG_DATA, expected + RIG_DATA, STREAM_MEMORY);
	compare_work(&replayed, counts);
}

/* Rows or columns of an array: the extremes often enough. */
static uint32_t extent(struct rng *rng, uint32_t most)
{
	return rng_below(rng, 8) ? rng_between(rng, 1, most) : rng_below(rng, 2) ? most : 1;
}

/* Without data a job costs the same. */
static void run_timing_only(const struct stream *s, const struct igrad_report *counts)
{
	struct igrad_config config = s->config;
	struct rig rig;

	config.timing_only = true;
	rig_init(&rig, &config, STREAM_MEMORY);
	rig_run(&rig, s->cmds, s->count);
	expect("status without data", rig.result.status, IGRAD_STATUS_OK);
	compare_counts(&rig.report, counts);
	rig_destroy(&rig);
}

static void one_round(struct rng *rng)
{
	const uint32_t most = rng_below(rng, 40) == 0 ? 64 : rng_below(rng, 4) == 0 ? 20 : 7;
	struct stream s = {0};
	struct ref_config config;
	struct igrad_report counts;
	struct ref_device *reference;

	memset(image + RIG_DATA, 0, STREAM_MEMORY);
	rig_config(&s.config, 1, 1);
	s.config.threads = most > 20 ? rng_between(rng, 1, 3) : 1;
	s.config.sram_bytes = most > 20 ? STREAM_SRAM : STREAM_SRAM / 4;
	s.config.rows = extent(rng, most);
	s.config.cols = extent(rng, most);
	s.config.dram_bytes_per_cycle = rng_between(rng, 1, 256);
	s.config.dram_latency = rng_below(rng, 300);
	s.config.overlap = rng_below(rng, 2);
	config = (struct ref_config){s.config.rows,	    s.config.cols,
				     s.config.sram_bytes,   s.config.dram_bytes_per_cycle,
				     s.config.dram_latency, s.config.overlap};
	stream_make(&s, rng, image);
	memcpy(expected + RIG_DATA, image + RIG_DATA, STREAM_MEMORY);
	reference = ref_new(&config);
	assert_true(ref_run(reference, s.cmds, s.count, expected, &counts));
	replay(reference, &counts, false);
	replay(reference, &counts, true);
	ref_free(reference);
	for (unsigned int i = 0; igrad_kernels_get(i); i++)
		run_core(&s, igrad_kernels_get(i)->name, &counts);
	run_timing_only(&s, &counts);
}

static void test_random_streams(void **state)
{
	const uint64_t seed = seed_of_test("random streams against the reference");
	const unsigned int rounds = count_of_test(6000);

	(void)state;
	for (unsigned int i = 0; i < rounds; i++) {
		struct rng rng = {seed + i};

		round_seed = seed + i;
		one_round(&rng);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_streams),
	};

	return run_group("core-property", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
