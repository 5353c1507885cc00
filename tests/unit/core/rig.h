/* SPDX-License-Identifier: MIT */
/* What the core's tests share: a core, a memory for it, random numbers, and commands in one line.
 */
#ifndef IGRAD_TEST_RIG_H
#define IGRAD_TEST_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "igrad_core.h"

/* Random numbers that are the same everywhere for the same seed. */
struct rng {
	uint64_t state;
};

uint32_t rng_u32(struct rng *rng);
uint32_t rng_below(struct rng *rng, uint32_t n);
uint32_t rng_between(struct rng *rng, uint32_t low, uint32_t high);
float rng_float(struct rng *rng); /* finite, of moderate size */

/** seed_of_test - IGRAD_TEST_SEED, or one from the clock; printed either way */
uint64_t seed_of_test(const char *name);

/** count_of_test - @normal times IGRAD_TEST_SCALE (default 1), and 20 with IGRAD_TEST_LONG */
unsigned int count_of_test(unsigned int normal);

/* Memory by VA: the report, the commands, then data. */
#define RIG_REPORT   0x1000u
#define RIG_CMDS     0x10000u
#define RIG_DATA     0x100000u
#define RIG_MAX_CMDS ((RIG_DATA - RIG_CMDS) / sizeof(struct igrad_cmd))

struct rig {
	struct igrad_core *core;
	uint8_t *memory;
	size_t size;
	/* accesses to this range fault, or, with @seen, only announce themselves */
	uint64_t bad_begin;
	uint64_t bad_end;
	void (*seen)(struct rig *rig);
	void *opaque;
	uint64_t reads;
	uint32_t interrupt_every; /* n: one in so many accesses is interrupted; 0: none */
	uint32_t accesses;
	struct igrad_desc desc; /* of the next job: rig_run() fills cmds, num_cmds, report */
	struct igrad_result result;
	struct igrad_report report;
};

void rig_config(struct igrad_config *config, uint32_t rows, uint32_t cols);
void rig_init(struct rig *rig, const struct igrad_config *config, size_t data_bytes);
void rig_destroy(struct rig *rig);
struct igrad_space rig_space(struct rig *rig);

/** rig_run - run a job of @n commands; its outcome in rig->result and rig->report */
void rig_run(struct rig *rig, const struct igrad_cmd *cmds, unsigned int n);

static inline float *rig_floats(struct rig *rig, uint64_t va)
{
	return (float *)(void *)(rig->memory + va);
}

/* What schedules are compared by. */
struct cost {
	uint64_t cycles;
	uint64_t accesses;
};

/**
 * cost_of - a job without its DMA
 * @whole: report of the job, whose first command loads what all others wait for
 * @loads: report of a job of this command only
 */
struct cost cost_of(const struct igrad_report *whole, const struct igrad_report *loads);

void fill_floats(struct rng *rng, float *p, size_t n);

/* Commands; a test sets further fields in what it gets. Pitches in words here. */
struct igrad_cmd cmd_nop(enum igrad_engine engine);
struct igrad_cmd cmd_dma(enum igrad_opcode opcode, uint64_t va, uint32_t sram, uint32_t rows,
			 uint32_t cols);
struct igrad_cmd cmd_shift(enum igrad_opcode opcode, uint32_t rows, uint32_t cols, uint32_t p,
			   uint32_t pitch);
struct igrad_cmd cmd_stream(enum igrad_opcode opcode, uint32_t rows, uint32_t cols, uint32_t batch);
struct igrad_cmd cmd_vec(enum igrad_opcode opcode, uint32_t rows, uint32_t cols);
struct igrad_cmd *cmd_x(struct igrad_cmd *cmd, uint32_t addr, uint32_t pitch);
struct igrad_cmd *cmd_g(struct igrad_cmd *cmd, uint32_t addr, uint32_t pitch);
struct igrad_cmd *cmd_p(struct igrad_cmd *cmd, uint32_t addr, uint32_t pitch);
struct igrad_cmd *cmd_wait(struct igrad_cmd *cmd, unsigned int slot, uint8_t semaphore,
			   uint32_t value);

/** cmd_engine - that executes a command */
enum igrad_engine cmd_engine(const struct igrad_cmd *cmd);

/**
 * rig_chain - have each command wait for all before it
 *
 * For streams of which only the results matter; their own semaphores are below 28.
 */
void rig_chain(struct igrad_cmd *cmds, unsigned int n);

/** rig_words_of - the words of the body that an opcode uses, as a string of digits */
const char *rig_words_of(enum igrad_opcode opcode);

uint32_t bits_of(float value);

int run_group(const char *name, const struct CMUnitTest *tests, size_t count,
	      CMFixtureFunction setup, CMFixtureFunction teardown);

#endif /* IGRAD_TEST_RIG_H */
