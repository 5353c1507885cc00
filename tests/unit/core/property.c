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

#define SRAM_BYTES (64u << 10)
#define SRAM_WORDS (SRAM_BYTES / 4)
#define IMAGE	   RIG_DATA		   /* what SRAM is loaded with */
#define LABELS	   (RIG_DATA + SRAM_BYTES) /* for softmax */
#define RESULTS	   (RIG_DATA + 2 * SRAM_BYTES)
#define DATA_BYTES (4 * SRAM_BYTES)
#define MAX_STREAM 64

enum values { FINITE, WITH_ZEROS_AND_SUBNORMALS, WITH_EVERYTHING, NUM_VALUES };

struct stream {
	struct rng *rng;
	struct igrad_config config;
	struct igrad_cmd cmds[MAX_STREAM];
	unsigned int count;
	uint32_t signalled[IGRAD_NUM_SEMAPHORES];
	float *labels;
	uint32_t labels_used;
};

static uint32_t random_word(struct rng *rng, enum values values)
{
	static const uint32_t special[] = {
		0x7fc00000, 0xffc00001, 0x7f800001, 0xff812345, /* NaNs, quiet and signalling */
		0x7f800000, 0xff800000,				/* infinities */
		0x7f7fffff, 0xff7fffff, 0x7f000000,		/* the largest */
	};

	if (values != FINITE && rng_below(rng, 4) == 0) {
		if (rng_below(rng, 2))
			return rng_below(rng, 2) << 31;
		return rng_u32(rng) & 0x807fffff;
	}
	if (values == WITH_EVERYTHING && rng_below(rng, 200) == 0)
		return special[rng_below(rng, sizeof(special) / sizeof(special[0]))];
	if (values == WITH_EVERYTHING && rng_below(rng, 4) == 0)
		return bits_of(ldexpf(rng_float(rng), -(int)rng_below(rng, 60)));
	return bits_of(rng_float(rng));
}

static uint32_t random_size(struct rng *rng, uint32_t most)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return most;
	case 1:
		return 1 + rng_below(rng, most < 3 ? most : 3);
	default:
		return rng_between(rng, 1, most);
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Regions of SRAM that do not overlap */
/* --------------------------------------------------------------------------------------------- */

struct region {
	uint32_t addr;
	uint32_t pitch;
	uint32_t end;
};

static bool place(struct rng *rng, uint32_t rows, uint32_t words, struct region *region)
{
	const uint32_t pitch = words + (rng_below(rng, 2) ? 0 : rng_below(rng, 9));
	const uint64_t span = (uint64_t)(rows - 1) * pitch + words;

	if (span > SRAM_WORDS)
		return false;
	region->addr = rng_between(rng, 0, SRAM_WORDS - (uint32_t)span) * 4;
	region->pitch = pitch * 4;
	region->end = region->addr + (uint32_t)span * 4;
	return true;
}

static bool disjoint(const struct region *a, const struct region *b)
{
	return a->end <= b->addr || b->end <= a->addr;
}

/* --------------------------------------------------------------------------------------------- */
/* Commands */
/* --------------------------------------------------------------------------------------------- */

static enum igrad_engine engine_of(const struct igrad_cmd *cmd)
{
	if (cmd->opcode == IGRAD_OP_NOP)
		return (enum igrad_engine)cmd->engine;
	if (cmd->opcode == IGRAD_OP_DMA_LOAD)
		return IGRAD_ENGINE_LOAD;
	if (cmd->opcode == IGRAD_OP_DMA_STORE)
		return IGRAD_ENGINE_STORE;
	return cmd->opcode < IGRAD_OP_VEC_FILL ? IGRAD_ENGINE_ARRAY : IGRAD_ENGINE_VECTOR;
}

/* An engine signals semaphores of its own; anybody waits for what has been signalled. */
static void emit(struct stream *s, struct igrad_cmd cmd)
{
	for (unsigned int i = 0; i < IGRAD_NUM_WAITS; i++) {
		const uint8_t semaphore = (uint8_t)rng_between(s->rng, 1, IGRAD_NUM_SEMAPHORES - 1);

		if (rng_below(s->rng, 2) && s->signalled[semaphore])
			cmd_wait(&cmd, i, semaphore,
				 rng_between(s->rng, 1, s->signalled[semaphore]));
	}
	if (rng_below(s->rng, 3)) {
		cmd.signal = (uint8_t)(1 + engine_of(&cmd) * 7 + rng_below(s->rng, 7));
		s->signalled[cmd.signal]++;
	}
	cmd.tag = rng_u32(s->rng);
	assert_true(s->count < MAX_STREAM);
	s->cmds[s->count++] = cmd;
}

static bool random_dma(struct stream *s)
{
	const bool load = rng_below(s->rng, 2);
	const uint32_t rows = random_size(s->rng, 20), cols = random_size(s->rng, 40);
	const uint32_t more_rows = load ? rng_below(s->rng, 3) : 0;
	const uint32_t more_cols = load ? rng_below(s->rng, 5) : 0;
	struct igrad_cmd cmd = cmd_dma(load ? IGRAD_OP_DMA_LOAD : IGRAD_OP_DMA_STORE, 0, 0, rows,
				       cols);
	struct region region;

	if (!place(s->rng, rows + more_rows, cols + more_cols, &region))
		return false;
	cmd.u.dma.pitch = (cols + rng_below(s->rng, 4)) * 4;
	cmd.u.dma.va = (load ? IMAGE : RESULTS) + rng_below(s->rng, 4096) * 4;
	cmd.u.dma.sram = region.addr;
	cmd.u.dma.sram_pitch = region.pitch;
	cmd.u.dma.fill_rows = more_rows;
	cmd.u.dma.fill_cols = more_cols;
	emit(s, cmd);
	return true;
}

static bool random_shift(struct stream *s)
{
	static const enum igrad_opcode opcodes[] = {IGRAD_OP_LOAD_W, IGRAD_OP_LOAD_ACC,
						    IGRAD_OP_DRAIN_ACC, IGRAD_OP_DRAIN_W};
	const uint32_t rows = random_size(s->rng, s->config.rows);
	const uint32_t cols = random_size(s->rng, s->config.cols);
	struct igrad_cmd cmd = cmd_shift(opcodes[rng_below(s->rng, 4)], rows, cols, 0, 0);
	const bool transpose = cmd.opcode == IGRAD_OP_LOAD_W && rng_below(s->rng, 2);
	struct region p;

	if (!place(s->rng, transpose ? cols : rows, transpose ? rows : cols, &p))
		return false;
	cmd.flags = transpose ? IGRAD_FLAG_TRANSPOSE : 0;
	cmd_p(&cmd, p.addr, p.pitch / 4);
	emit(s, cmd);
	return true;
}

static bool random_update(struct stream *s)
{
	const uint32_t rows = random_size(s->rng, s->config.rows);
	const uint32_t cols = random_size(s->rng, s->config.cols);
	const bool scale = rng_below(s->rng, 3) == 0;
	struct igrad_cmd cmd = cmd_stream(scale ? IGRAD_OP_SCALE_ACC : IGRAD_OP_UPDATE, rows, cols,
					  0);

	if (!scale)
		cmd.u.array.lr = bits_of(rng_float(s->rng));
	if (scale || rng_below(s->rng, 2)) {
		cmd.flags = scale ? 0 : IGRAD_FLAG_DECAY;
		cmd.u.array.keep = bits_of(rng_float(s->rng));
	}
	emit(s, cmd);
	return true;
}

static uint16_t random_flags(struct rng *rng, enum igrad_opcode opcode)
{
	static const uint16_t allowed[] = {
		[IGRAD_OP_FPROP - IGRAD_OP_FPROP] = IGRAD_FLAG_ADD | IGRAD_FLAG_TRANSPOSE |
						    IGRAD_FLAG_TURN,
		[IGRAD_OP_DGRAD - IGRAD_OP_FPROP] = IGRAD_FLAG_ADD,
		[IGRAD_OP_WGRAD - IGRAD_OP_FPROP] = IGRAD_FLAG_KEEP,
		[IGRAD_OP_INTERLEAVED - IGRAD_OP_FPROP] = IGRAD_FLAG_ADD | IGRAD_FLAG_KEEP,
	};

	return allowed[opcode - IGRAD_OP_FPROP] & rng_u32(rng);
}

static bool random_stream(struct stream *s)
{
	const enum igrad_opcode opcode = IGRAD_OP_FPROP + rng_below(s->rng, 4);
	const uint32_t rows = random_size(s->rng, s->config.rows);
	const uint32_t cols = random_size(s->rng, s->config.cols);
	const uint32_t batch = random_size(s->rng, 48);
	struct igrad_cmd cmd = cmd_stream(opcode, rows, cols, batch);
	const uint32_t lanes = opcode == IGRAD_OP_FPROP ? cols : rows;
	struct region x, g, p;
	bool turn;

	cmd.flags = random_flags(s->rng, opcode);
	turn = cmd.flags & IGRAD_FLAG_TURN;
	if (!place(s->rng, cmd.flags & IGRAD_FLAG_TRANSPOSE ? rows : batch,
		   cmd.flags & IGRAD_FLAG_TRANSPOSE ? batch : rows, &x) ||
	    !place(s->rng, batch, cols, &g) ||
	    !place(s->rng, turn ? lanes : batch, turn ? batch : lanes, &p))
		return false;
	if (opcode != IGRAD_OP_DGRAD)
		cmd_x(&cmd, x.addr, x.pitch / 4);
	if (opcode != IGRAD_OP_FPROP)
		cmd_g(&cmd, g.addr, g.pitch / 4);
	if (opcode != IGRAD_OP_WGRAD) {
		cmd_p(&cmd, p.addr, p.pitch / 4);
		if ((opcode != IGRAD_OP_DGRAD && !disjoint(&x, &p)) ||
		    (opcode != IGRAD_OP_FPROP && !disjoint(&g, &p)))
			return false;
	}
	emit(s, cmd);
	return true;
}

static bool random_vec(struct stream *s)
{
	const uint32_t kind = rng_below(s->rng, 9); /* softmax is made elsewhere */
	const enum igrad_opcode opcode = kind < 8 ? IGRAD_OP_VEC_FILL + kind : IGRAD_OP_VEC_SCALE;
	const uint32_t rows = random_size(s->rng, 30), cols = random_size(s->rng, 70);
	const bool colsum = opcode == IGRAD_OP_VEC_COLSUM, bias = opcode == IGRAD_OP_VEC_BIAS;
	struct igrad_cmd cmd = cmd_vec(opcode, rows, cols);
	struct igrad_cmd_vec *v = &cmd.u.vec;
	struct region a, b, d;

	if (!place(s->rng, rows, cols, &a) || !place(s->rng, bias ? 1 : rows, cols, &b) ||
	    !place(s->rng, colsum ? 1 : rows, cols, &d))
		return false;
	if (!colsum && rng_below(s->rng, 3) == 0)
		d = a;
	else if (!colsum && !bias && rng_below(s->rng, 3) == 0)
		d = b;
	if (((d.addr != a.addr || d.pitch != a.pitch) && !disjoint(&a, &d)) ||
	    ((d.addr != b.addr || d.pitch != b.pitch) && !disjoint(&b, &d)) ||
	    (bias && !disjoint(&b, &d)))
		return false;
	v->d = d.addr;
	v->d_pitch = colsum ? 0 : d.pitch;
	if (opcode != IGRAD_OP_VEC_FILL) {
		v->a = a.addr;
		v->a_pitch = a.pitch;
	}
	if (bias || opcode == IGRAD_OP_VEC_RELU_GRAD || opcode == IGRAD_OP_VEC_AXPY ||
	    opcode == IGRAD_OP_VEC_SGD) {
		v->b = b.addr;
		v->b_pitch = bias ? 0 : b.pitch;
	}
	if (opcode == IGRAD_OP_VEC_FILL)
		v->imm = rng_u32(s->rng);
	if (opcode == IGRAD_OP_VEC_AXPY || opcode == IGRAD_OP_VEC_SGD ||
	    opcode == IGRAD_OP_VEC_SCALE)
		v->imm = bits_of(rng_float(s->rng));
	if (colsum && rng_below(s->rng, 2))
		cmd.flags = IGRAD_FLAG_KEEP;
	if (opcode == IGRAD_OP_VEC_SGD && rng_below(s->rng, 2)) {
		cmd.flags = IGRAD_FLAG_DECAY;
		v->imm2 = bits_of(rng_float(s->rng));
	}
	emit(s, cmd);
	return true;
}

/* Labels come from memory, so that they are labels. */
static bool random_softmax(struct stream *s)
{
	const uint32_t rows = random_size(s->rng, 20), cols = random_size(s->rng, 40);
	struct igrad_cmd cmd = cmd_vec(IGRAD_OP_VEC_SOFTMAX_XENT, rows, cols);
	struct region a, b, d, losses;
	struct igrad_cmd load;

	if (!place(s->rng, rows, cols, &a) || !place(s->rng, rows, 1, &b) ||
	    !place(s->rng, rows, cols, &d) || !place(s->rng, rows, 1, &losses))
		return false;
	losses.end = losses.addr + rows * 4;
	if (!disjoint(&a, &d) || !disjoint(&a, &losses) || !disjoint(&a, &b) || !disjoint(&b, &d) ||
	    !disjoint(&b, &losses) || !disjoint(&d, &losses))
		return false;
	for (uint32_t i = 0; i < rows; i++) {
		const uint32_t label = rng_below(s->rng, cols);

		memcpy(&s->labels[s->labels_used + i], &label, sizeof(label));
	}
	load = cmd_dma(IGRAD_OP_DMA_LOAD, LABELS + s->labels_used * 4, b.addr, rows, 1);
	load.u.dma.sram_pitch = b.pitch;
	s->labels_used += rows;
	emit(s, load);
	cmd.u.vec = (struct igrad_cmd_vec){rows,       cols,	a.addr,
					   a.pitch,    b.addr,	b.pitch,
					   d.addr,     d.pitch, bits_of(rng_float(s->rng)),
					   losses.addr};
	emit(s, cmd);
	return true;
}

static bool random_nop(struct stream *s)
{
	emit(s, cmd_nop((enum igrad_engine)rng_below(s->rng, IGRAD_NUM_ENGINES)));
	return true;
}

static void random_command(struct stream *s)
{
	static bool (*const makers[])(struct stream * s) = {
		random_stream, random_stream, random_stream, random_shift, random_update,
		random_vec,    random_vec,    random_dma,    random_nop,   random_softmax,
	};

	while (!makers[rng_below(s->rng, sizeof(makers) / sizeof(makers[0]))](s))
		;
}

/* Everything that a job could have changed goes to memory in the end. */
static void expose(struct stream *s)
{
	const uint32_t rows = s->config.rows, cols = s->config.cols;

	emit(s, cmd_dma(IGRAD_OP_DMA_STORE, RESULTS, 0, 1, SRAM_WORDS));
	emit(s, cmd_shift(IGRAD_OP_DRAIN_W, rows, cols, 0, cols));
	emit(s, cmd_shift(IGRAD_OP_DRAIN_ACC, rows, cols, rows * cols * 4, cols));
	emit(s, cmd_dma(IGRAD_OP_DMA_STORE, RESULTS + SRAM_BYTES, 0, 2 * rows, cols));
}

static void make_stream(struct stream *s, struct rng *rng, uint8_t *memory)
{
	const enum values values = (enum values)rng_below(rng, NUM_VALUES);
	const unsigned int length = rng_between(rng, 1, 16);

	s->labels = (float *)(void *)(memory + LABELS);
	for (uint32_t i = 0; i < SRAM_WORDS; i++) {
		const uint32_t word = random_word(rng, values);

		memcpy(memory + IMAGE + i * 4, &word, sizeof(word));
	}
	emit(s, cmd_dma(IGRAD_OP_DMA_LOAD, IMAGE, 0, 1, SRAM_WORDS));
	while (s->count < length + 1)
		random_command(s);
	expose(s);
}

/* --------------------------------------------------------------------------------------------- */
/* Comparison */
/* --------------------------------------------------------------------------------------------- */

static uint64_t round_seed;

static void differs(void)
{
	printf("# reproduce with IGRAD_TEST_SEED=%llu IGRAD_TEST_SCALE=0.005\n",
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

static void compare_counts(const struct igrad_report *core, const struct igrad_report *reference)
{
	expect("cycles", core->cycles, reference->cycles);
	expect("macs", core->macs, reference->macs);
	expect("vector_ops", core->vector_ops, reference->vector_ops);
	expect("macs_bf16", core->macs_bf16, reference->macs_bf16);
	expect("update_ops", core->update_ops, reference->update_ops);
	for (unsigned int i = 0; i < 2; i++) {
		expect("registers of PEs", core->pe_registers[i], reference->pe_registers[i]);
		expect("hops between PEs", core->pe_hops[i], reference->pe_hops[i]);
	}
	expect("peak_words", core->peak_words, reference->peak_words);
	expect("dram_read_bytes", core->dram_read_bytes, reference->dram_read_bytes);
	expect("dram_write_bytes", core->dram_write_bytes, reference->dram_write_bytes);
	for (unsigned int i = 0; i < IGRAD_NUM_ACCESSES; i++) {
		expect("sram words of an operand", core->sram[0][i], reference->sram[0][i]);
		expect("16-bit sram words", core->sram[1][i], 0);
	}
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
		       (i - (RESULTS - RIG_DATA)) / 4, a, b);
		differs();
	}
}

static void run_core(const struct stream *s, const uint8_t *image, const char *isa,
		     const uint8_t *expected, const struct igrad_report *counts)
{
	struct rig rig;

	setenv("IGRAD_ISA", isa, 1);
	rig_init(&rig, &s->config, DATA_BYTES);
	unsetenv("IGRAD_ISA");
	memcpy(rig.memory, image, rig.size);
	rig_run(&rig, s->cmds, s->count);
	expect("status", rig.result.status, IGRAD_STATUS_OK);
	expect("commands", rig.result.command, s->count);
	compare_memory(rig.memory + RIG_DATA, expected + RIG_DATA, DATA_BYTES);
	compare_counts(&rig.report, counts);
	rig_destroy(&rig);
}

static void one_round(struct rng *rng)
{
	const uint32_t most = rng_below(rng, 8) ? 16 : 64;
	struct stream s = {.rng = rng};
	struct ref_config config;
	struct igrad_report counts;
	struct ref_device *reference;
	uint8_t *image = calloc(1, RIG_DATA + DATA_BYTES);
	uint8_t *expected = calloc(1, RIG_DATA + DATA_BYTES);

	assert_non_null(image);
	assert_non_null(expected);
	rig_config(&s.config, 1, 1);
	s.config.rows = rng_between(rng, 1, most);
	s.config.cols = rng_between(rng, 1, most);
	s.config.dram_bytes_per_cycle = rng_between(rng, 1, 256);
	s.config.dram_latency = rng_below(rng, 300);
	s.config.overlap = rng_below(rng, 2);
	config = (struct ref_config){
		s.config.rows,	       s.config.cols,	SRAM_BYTES, s.config.dram_bytes_per_cycle,
		s.config.dram_latency, s.config.overlap};
	make_stream(&s, rng, image);
	memcpy(expected, image, RIG_DATA + DATA_BYTES);
	reference = ref_new(&config);
	assert_true(ref_run(reference, s.cmds, s.count, expected, &counts));
	ref_free(reference);
	for (unsigned int i = 0; igrad_kernels_get(i); i++)
		run_core(&s, image, igrad_kernels_get(i)->name, expected, &counts);
	free(expected);
	free(image);
}

static void test_random_streams(void **state)
{
	const uint64_t seed = seed_of_test("random streams against the reference");
	const unsigned int rounds = count_of_test(200);

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
