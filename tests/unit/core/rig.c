/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rig.h"

uint32_t rng_u32(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (uint32_t)(z >> 32);
}

uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)(((uint64_t)rng_u32(rng) * n) >> 32);
}

uint32_t rng_between(struct rng *rng, uint32_t low, uint32_t high)
{
	return low + rng_below(rng, high - low + 1);
}

float rng_float(struct rng *rng)
{
	return ((float)rng_below(rng, 1u << 24) - (float)(1 << 23)) * 0x1p-22f;
}

uint64_t seed_of_test(const char *name)
{
	const char *given = getenv("IGRAD_TEST_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000003 + now.tv_nsec;
	printf("# %s: IGRAD_TEST_SEED=%" PRIu64 "\n", name, seed);
	return seed;
}

unsigned int count_of_test(unsigned int normal)
{
	const char *scale = getenv("IGRAD_TEST_SCALE");

	if (getenv("IGRAD_TEST_LONG"))
		normal *= 20;
	return scale ? (unsigned int)(normal * strtod(scale, NULL)) : normal;
}

static int touch(struct rig *rig, uint64_t va, size_t len, struct igrad_fault *fault)
{
	if (rig->interrupt_every && ++rig->accesses % rig->interrupt_every == 0) {
		*fault = (struct igrad_fault){.reason = IGRAD_REASON_NONE};
		return -1;
	}
	if (va < rig->bad_end && va + len > rig->bad_begin) {
		if (rig->seen) {
			rig->seen(rig);
			return 0;
		}
		*fault = (struct igrad_fault){
			.reason = IGRAD_REASON_NOT_PRESENT,
			.addr = va > rig->bad_begin ? va : rig->bad_begin,
		};
		return -1;
	}
	if (len > IGRAD_DMA_CHUNK || va > rig->size || len > rig->size - va) {
		*fault = (struct igrad_fault){.reason = IGRAD_REASON_BUS, .addr = va};
		return -1;
	}
	return 0;
}

static int rig_read(void *opaque, uint64_t va, void *buf, size_t len, struct igrad_fault *fault)
{
	struct rig *rig = opaque;

	rig->reads++;
	if (touch(rig, va, len, fault))
		return -1;
	memcpy(buf, rig->memory + va, len);
	return 0;
}

static int rig_write(void *opaque, uint64_t va, const void *buf, size_t len,
		     struct igrad_fault *fault)
{
	struct rig *rig = opaque;

	if (touch(rig, va, len, fault))
		return -1;
	memcpy(rig->memory + va, buf, len);
	return 0;
}

struct igrad_space rig_space(struct rig *rig)
{
	return (struct igrad_space){.read = rig_read, .write = rig_write, .opaque = rig};
}

void rig_config(struct igrad_config *config, uint32_t rows, uint32_t cols)
{
	igrad_config_default(config);
	config->rows = rows;
	config->cols = cols;
	config->sram_bytes = 64 << 10;
	config->overlap = false; /* tests say when they mean it on */
}

void rig_init(struct rig *rig, const struct igrad_config *config, size_t data_bytes)
{
	memset(rig, 0, sizeof(*rig));
	rig->core = igrad_core_new(config);
	rig->size = RIG_DATA + data_bytes;
	rig->memory = calloc(1, rig->size);
	assert_non_null(rig->core);
	assert_non_null(rig->memory);
}

void rig_destroy(struct rig *rig)
{
	igrad_core_free(rig->core);
	free(rig->memory);
}

void rig_run(struct rig *rig, const struct igrad_cmd *cmds, unsigned int n)
{
	const struct igrad_space space = rig_space(rig);
	struct igrad_desc desc = rig->desc;

	assert_true(n <= RIG_MAX_CMDS);
	memcpy(rig->memory + RIG_CMDS, cmds, n * sizeof(*cmds));
	if (!desc.cmds)
		desc.cmds = RIG_CMDS;
	if (!desc.num_cmds)
		desc.num_cmds = n;
	if (!desc.report)
		desc.report = RIG_REPORT;
	memset(&rig->report, 0, sizeof(rig->report));
	rig->report.status = IGRAD_STATUS_NOT_WRITTEN;
	memcpy(rig->memory + RIG_REPORT, &rig->report, sizeof(rig->report));

	igrad_core_begin(rig->core, &desc, &space);
	while (igrad_core_step(rig->core))
		;
	if (igrad_core_cancelled(rig->core))
		return;
	igrad_core_finish(rig->core, &rig->result);
	memcpy(&rig->report, rig->memory + RIG_REPORT, sizeof(rig->report));
}

void fill_floats(struct rng *rng, float *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = rng_float(rng);
}

/* --------------------------------------------------------------------------------------------- */
/* Commands */
/* --------------------------------------------------------------------------------------------- */

struct igrad_cmd cmd_nop(enum igrad_engine engine)
{
	return (struct igrad_cmd){.opcode = IGRAD_OP_NOP, .engine = (uint8_t)engine};
}

struct igrad_cmd cmd_dma(enum igrad_opcode opcode, uint64_t va, uint32_t sram, uint32_t rows,
			 uint32_t cols)
{
	return (struct igrad_cmd){
		.opcode = (uint8_t)opcode,
		.u.dma = {.va = va,
			  .pitch = cols * 4,
			  .sram = sram,
			  .sram_pitch = cols * 4,
			  .rows = rows,
			  .cols = cols},
	};
}

struct igrad_cmd cmd_shift(enum igrad_opcode opcode, uint32_t rows, uint32_t cols, uint32_t p,
			   uint32_t pitch)
{
	struct igrad_cmd cmd = cmd_stream(opcode, rows, cols, 0);

	return *cmd_p(&cmd, p, pitch);
}

struct igrad_cmd cmd_stream(enum igrad_opcode opcode, uint32_t rows, uint32_t cols, uint32_t batch)
{
	return (struct igrad_cmd){
		.opcode = (uint8_t)opcode,
		.u.array = {.rows = (uint16_t)rows, .cols = (uint16_t)cols, .batch = batch},
	};
}

struct igrad_cmd cmd_vec(enum igrad_opcode opcode, uint32_t rows, uint32_t cols)
{
	return (struct igrad_cmd){
		.opcode = (uint8_t)opcode,
		.u.vec = {.rows = rows, .cols = cols},
	};
}

struct igrad_cmd *cmd_x(struct igrad_cmd *cmd, uint32_t addr, uint32_t pitch)
{
	cmd->u.array.x = addr;
	cmd->u.array.x_pitch = pitch * 4;
	return cmd;
}

struct igrad_cmd *cmd_g(struct igrad_cmd *cmd, uint32_t addr, uint32_t pitch)
{
	cmd->u.array.g = addr;
	cmd->u.array.g_pitch = pitch * 4;
	return cmd;
}

struct igrad_cmd *cmd_p(struct igrad_cmd *cmd, uint32_t addr, uint32_t pitch)
{
	cmd->u.array.p = addr;
	cmd->u.array.p_pitch = pitch * 4;
	return cmd;
}

struct igrad_cmd *cmd_wait(struct igrad_cmd *cmd, unsigned int slot, uint8_t semaphore,
			   uint32_t value)
{
	cmd->wait_sem[slot] = semaphore;
	cmd->wait_value[slot] = value;
	return cmd;
}

enum igrad_engine cmd_engine(const struct igrad_cmd *cmd)
{
	if (cmd->opcode == IGRAD_OP_NOP)
		return (enum igrad_engine)cmd->engine;
	if (cmd->opcode == IGRAD_OP_DMA_LOAD)
		return IGRAD_ENGINE_LOAD;
	if (cmd->opcode == IGRAD_OP_DMA_STORE)
		return IGRAD_ENGINE_STORE;
	return cmd->opcode < IGRAD_OP_VEC_FILL ? IGRAD_ENGINE_ARRAY : IGRAD_ENGINE_VECTOR;
}

void rig_chain(struct igrad_cmd *cmds, unsigned int n)
{
	uint32_t count[IGRAD_NUM_ENGINES] = {0};

	for (unsigned int i = 0; i < n; i++) {
		const enum igrad_engine own = cmd_engine(&cmds[i]);
		unsigned int slot = 0;

		for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
			if (e != own && count[e])
				cmd_wait(&cmds[i], slot++, (uint8_t)(28 + e), count[e]);
		}
		cmds[i].signal = (uint8_t)(28 + own);
		count[own]++;
	}
}

const char *rig_words_of(enum igrad_opcode opcode)
{
	switch (opcode) {
	case IGRAD_OP_NOP:
		return "";
	case IGRAD_OP_DMA_LOAD:
		return "012345678";
	case IGRAD_OP_DMA_STORE:
		return "0123456";
	case IGRAD_OP_FPROP:
		return "012367";
	case IGRAD_OP_DGRAD:
		return "014567";
	case IGRAD_OP_WGRAD:
		return "012345";
	case IGRAD_OP_INTERLEAVED:
		return "01234567";
	case IGRAD_OP_UPDATE:
		return "08";
	case IGRAD_OP_SCALE_ACC:
		return "09";
	case IGRAD_OP_WINDOW:
		return "012345";
	case IGRAD_OP_VEC_FILL:
		return "01678";
	case IGRAD_OP_VEC_COPY:
	case IGRAD_OP_VEC_RELU:
		return "012367";
	case IGRAD_OP_VEC_BIAS:
		return "0123467";
	case IGRAD_OP_VEC_RELU_GRAD:
	case IGRAD_OP_VEC_ADD:
	case IGRAD_OP_VEC_MUL:
		return "01234567";
	case IGRAD_OP_VEC_SCALE:
	case IGRAD_OP_VEC_RSQRT:
		return "0123678";
	case IGRAD_OP_VEC_COLSQ:
		return "012346";
	case IGRAD_OP_VEC_NORM:
		return "01236789";
	case IGRAD_OP_VEC_DROPOUT:
		return "012346789";
	case IGRAD_OP_VEC_POOL_MAX: /* without INDEX */
	case IGRAD_OP_VEC_POOL_SUM:
	case IGRAD_OP_VEC_POOL_SUM_GRAD:
	case IGRAD_OP_VEC_POOL_DIVIDE:
		return "012345679";
	case IGRAD_OP_VEC_COLSUM:
		return "01236";
	case IGRAD_OP_VEC_AXPY:
	case IGRAD_OP_VEC_SGD:
		return "012345678";
	case IGRAD_OP_VEC_SOFTMAX_XENT:
	case IGRAD_OP_VEC_ADAM:
	case IGRAD_OP_VEC_NORM_SUMS:
	case IGRAD_OP_VEC_NORM_GRAD:
	case IGRAD_OP_VEC_POOL_MAX_GRAD:
		return "0123456789";
	default: /* loads and drains */
		return "067";
	}
}

uint32_t bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

int run_group(const char *name, const struct CMUnitTest *tests, size_t count,
	      CMFixtureFunction setup, CMFixtureFunction teardown)
{
	cmocka_set_message_output(CM_OUTPUT_TAP);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return _cmocka_run_group_tests(name, tests, count, setup, teardown);
}

struct cost cost_of(const struct igrad_report *whole, const struct igrad_report *loads)
{
	struct cost cost = {.cycles = whole->cycles - loads->cycles};

	for (unsigned int i = 0; i < IGRAD_ACCESS_VECTOR_READ; i++)
		cost.accesses += whole->sram[0][i];
	return cost;
}
