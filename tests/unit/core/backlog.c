/* SPDX-License-Identifier: MIT */
/*
 * Commands that several threads compute strip by strip, long after they were accounted for: the
 * same bits as from one thread, wherever operands lie and whatever comes between.
 */
#include <string.h>

#include "rig.h"

#define COMMANDS   90
#define SRAM_BYTES (256u << 10)
#define REGIONS	   8u
#define REGION	   (SRAM_BYTES / REGIONS)
#define DATA_BYTES (2 * SRAM_BYTES)

/* --------------------------------------------------------------------------------------------- */
/* Jobs like a layer's, in which now and then something lies where it should not */
/* --------------------------------------------------------------------------------------------- */

struct job {
	struct rng *rng;
	uint32_t rows, cols; /* of the array */
	uint32_t odd;	     /* one in so many operands lies anywhere */
	struct igrad_cmd cmds[COMMANDS + 8];
	unsigned int count;
};

/* One of two by two tiles of a matrix in a region, or of two that lie one behind the other. */
static uint32_t place(struct job *job, uint32_t region, uint32_t rows, uint32_t cols,
		      uint32_t *pitch)
{
	const uint32_t row = rng_below(job->rng, 2) * rows, col = rng_below(job->rng, 2) * cols;
	const bool odd = rng_below(job->rng, job->odd) == 0;
	uint32_t addr;

	if (odd)
		region = rng_below(job->rng, REGIONS);
	*pitch = region % 2 ? cols : 2 * cols;
	addr = region * REGION + (region % 2 ? row * cols : row * *pitch + col) * 4;
	if (odd) {
		*pitch += rng_below(job->rng, 3) * 4;
		addr += rng_below(job->rng, 40) * 4;
	}
	if (addr + (rows * *pitch + cols) * 4 > SRAM_BYTES)
		addr = 0;
	return addr;
}

static uint32_t size(struct rng *rng, uint32_t most)
{
	return rng_below(rng, 4) ? most : rng_between(rng, 1, most);
}

static struct igrad_cmd shift(struct job *job, enum igrad_opcode opcode)
{
	const bool acc = opcode == IGRAD_OP_LOAD_ACC || opcode == IGRAD_OP_DRAIN_ACC;
	const uint32_t rows = size(job->rng, job->rows), cols = size(job->rng, job->cols);
	uint32_t pitch, p = place(job, acc ? 1 : 0, job->rows, job->cols, &pitch);

	return cmd_shift(opcode, rows, cols, p, pitch);
}

static bool meet(uint32_t a, uint32_t a_pitch, uint32_t b, uint32_t b_pitch, uint32_t batch,
		 uint32_t width)
{
	return a < b + (batch * b_pitch + width) * 4 && b < a + (batch * a_pitch + width) * 4;
}

static struct igrad_cmd stream(struct job *job, enum igrad_opcode opcode)
{
	const uint32_t rows = size(job->rng, job->rows), cols = size(job->rng, job->cols);
	const uint32_t batch = rng_between(job->rng, 1, 24);
	const uint32_t width = opcode == IGRAD_OP_FPROP ? job->cols : job->rows;
	struct igrad_cmd cmd = cmd_stream(opcode, rows, cols, batch);
	uint32_t pitch[3];
	const uint32_t x = place(job, 2, 24, job->rows, &pitch[0]);
	const uint32_t g = place(job, 4, 24, job->cols, &pitch[1]);
	const uint32_t p = place(job, opcode == IGRAD_OP_FPROP ? 6 : 7, 24, width, &pitch[2]);

	if (opcode != IGRAD_OP_DGRAD)
		cmd_x(&cmd, x, pitch[0]);
	if (opcode != IGRAD_OP_FPROP)
		cmd_g(&cmd, g, pitch[1]);
	if (opcode == IGRAD_OP_WGRAD || meet(x, pitch[0], p, pitch[2], 24, 80) ||
	    meet(g, pitch[1], p, pitch[2], 24, 80)) {
		cmd.opcode = IGRAD_OP_WGRAD;
		cmd_x(&cmd, x, pitch[0]);
		cmd_g(&cmd, g, pitch[1]);
	} else {
		cmd_p(&cmd, p, pitch[2]);
		cmd.flags |= rng_below(job->rng, 2) ? IGRAD_FLAG_ADD : 0;
	}
	if (cmd.opcode == IGRAD_OP_WGRAD || cmd.opcode == IGRAD_OP_INTERLEAVED)
		cmd.flags |= rng_below(job->rng, 2) ? IGRAD_FLAG_KEEP : 0;
	return cmd;
}

static struct igrad_cmd in_place(struct job *job)
{
	struct igrad_cmd cmd = cmd_stream(rng_below(job->rng, 4) ? IGRAD_OP_UPDATE
								 : IGRAD_OP_SCALE_ACC,
					  size(job->rng, job->rows), size(job->rng, job->cols), 0);

	if (cmd.opcode == IGRAD_OP_UPDATE)
		cmd.u.array.lr = bits_of(0.01f);
	else
		cmd.u.array.keep = bits_of(0.5f);
	return cmd;
}

/* From and to memory of its own, or the vector unit, which sees all that came before. */
static struct igrad_cmd other(struct job *job)
{
	const uint32_t rows = rng_between(job->rng, 1, 20), cols = rng_between(job->rng, 1, 40);
	const uint32_t at = rng_below(job->rng, SRAM_BYTES / 4 - 20 * 40) * 4;
	struct igrad_cmd cmd;

	if (rng_below(job->rng, 4))
		return cmd_dma(rng_below(job->rng, 2) ? IGRAD_OP_DMA_LOAD : IGRAD_OP_DMA_STORE,
			       RIG_DATA + SRAM_BYTES + (64 << 10) + job->count * 1024, at, rows,
			       cols);
	cmd = cmd_vec(IGRAD_OP_VEC_SCALE, rows, cols);
	cmd.u.vec.a = cmd.u.vec.d = at;
	cmd.u.vec.a_pitch = cmd.u.vec.d_pitch = cols * 4;
	cmd.u.vec.imm = bits_of(0.5f);
	return cmd;
}

static struct igrad_cmd random_command(struct job *job, bool forward)
{
	static const enum igrad_opcode shifts[] = {IGRAD_OP_LOAD_W, IGRAD_OP_LOAD_W,
						   IGRAD_OP_DRAIN_W, IGRAD_OP_LOAD_ACC,
						   IGRAD_OP_DRAIN_ACC};
	static const enum igrad_opcode backward[] = {IGRAD_OP_DGRAD, IGRAD_OP_WGRAD,
						     IGRAD_OP_INTERLEAVED, IGRAD_OP_INTERLEAVED};

	switch (rng_below(job->rng, 12)) {
	case 0:
		return other(job);
	case 1:
	case 2:
		return in_place(job);
	case 3:
	case 4:
	case 5:
	case 6:
		return shift(job, shifts[rng_below(job->rng, 5)]);
	default:
		return stream(job, forward ? IGRAD_OP_FPROP : backward[rng_below(job->rng, 4)]);
	}
}

static void make(struct job *job)
{
	const uint32_t words = job->rows * job->cols;
	bool forward = false;

	job->cmds[job->count++] = cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, SRAM_BYTES / 4);
	while (job->count < COMMANDS) {
		if (rng_below(job->rng, 20) == 0)
			forward = !forward;
		job->cmds[job->count] = random_command(job, forward);
		job->count++;
	}
	job->cmds[job->count++] = cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA, 0, 1, SRAM_BYTES / 4);
	job->cmds[job->count++] = cmd_shift(IGRAD_OP_DRAIN_W, job->rows, job->cols, 0, job->cols);
	job->cmds[job->count++] = cmd_shift(IGRAD_OP_DRAIN_ACC, job->rows, job->cols, words * 4,
					    job->cols);
	job->cmds[job->count++] = cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA + SRAM_BYTES, 0, 1,
					  2 * words);
	rig_chain(job->cmds, job->count);
}

/* --------------------------------------------------------------------------------------------- */
/* One thread and several */
/* --------------------------------------------------------------------------------------------- */

static void init(struct rig *rig, const struct job *job, uint32_t threads, uint64_t seed)
{
	struct rng rng = {seed};
	struct igrad_config config;

	rig_config(&config, job->rows, job->cols);
	config.sram_bytes = SRAM_BYTES;
	config.threads = threads;
	rig_init(rig, &config, DATA_BYTES);
	fill_floats(&rng, rig_floats(rig, RIG_DATA), DATA_BYTES / 4);
}

static void compare(const struct rig *a, const struct rig *b)
{
	assert_int_equal(a->result.status, b->result.status);
	assert_int_equal(a->result.command, b->result.command);
	assert_memory_equal(&a->report, &b->report, sizeof(a->report));
	assert_memory_equal(a->memory + RIG_DATA, b->memory + RIG_DATA, DATA_BYTES);
}

static void one_round(struct rng *rng)
{
	static struct job job;
	const uint64_t seed = rng_u32(rng);
	struct rig one, more;

	job = (struct job){.rng = rng,
			   .rows = rng_between(rng, 1, 80),
			   .cols = rng_between(rng, 1, 80),
			   .odd = rng_below(rng, 2) ? 1000 : rng_between(rng, 2, 60)};
	make(&job);
	init(&one, &job, 1, seed);
	init(&more, &job, rng_between(rng, 2, 4), seed);
	rig_run(&one, job.cmds, job.count);
	rig_run(&more, job.cmds, job.count);
	assert_int_equal(one.result.status, IGRAD_STATUS_OK);
	compare(&one, &more);
	rig_destroy(&one);
	rig_destroy(&more);
}

static void test_random_jobs(void **state)
{
	const uint64_t seed = seed_of_test("jobs of one thread and of several");
	const unsigned int rounds = count_of_test(600);

	(void)state;
	for (unsigned int i = 0; i < rounds; i++) {
		struct rng rng = {seed + i};

		one_round(&rng);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_jobs),
	};

	return run_group("core-backlog", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
