/* SPDX-License-Identifier: MIT */
/*
 * How fast the core computes on this host: multiply-adds a second of a layer's backward pass, and
 * their ratio to OpenBLAS sgemm doing the same two products on one thread in the same run, and how
 * much sooner two threads are done.
 *
 * usage: bench-core [--json]
 */
#include <cblas.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "igrad_core.h"
#include "kernels.h"

#define IN    1024u
#define OUT   1024u
#define BATCH 256u
#define MACS  (2.0 * IN * OUT * BATCH)
#define RUNS  15

#define MAX_CMDS (1 + 4 * (IN / 32) * (OUT / 32))

/* SRAM addresses */
enum {
	W = 0,
	X = W + IN * OUT * 4,
	G = X + BATCH * IN * 4,
	DX = G + BATCH * OUT * 4,
	SRAM_BYTES = 16 << 20,
};

#define CMDS_VA 0x10000u
#define DATA_VA (CMDS_VA + (1u << 20))

static uint8_t *memory;

static double clock_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* This thread's time: what else the host does should not count. */
static double now(void)
{
	return clock_of(CLOCK_THREAD_CPUTIME_ID);
}

static int space_read(void *opaque, uint64_t va, void *buf, size_t len, struct igrad_fault *fault)
{
	(void)opaque;
	(void)fault;
	memcpy(buf, memory + va, len);
	return 0;
}

static int space_write(void *opaque, uint64_t va, const void *buf, size_t len,
		       struct igrad_fault *fault)
{
	(void)opaque;
	(void)fault;
	memcpy(memory + va, buf, len);
	return 0;
}

/* --------------------------------------------------------------------------------------------- */
/* The core */
/* --------------------------------------------------------------------------------------------- */

static struct igrad_cmd tile_cmd(enum igrad_opcode opcode, uint32_t n)
{
	return (struct igrad_cmd){
		.opcode = (uint8_t)opcode,
		.u.array = {.rows = (uint16_t)n, .cols = (uint16_t)n},
	};
}

/*
 * How operands lie in SRAM: as whole matrices, their tiles' rows far apart, or tile by tile, as DMA
 * can bring them in.
 */
enum layout { MATRICES, TILES };

struct place {
	uint32_t addr;
	uint32_t pitch;
};

/* The columns first … first + n - 1 of @rows × @cols words, from row @row on. */
static struct place tile_at(enum layout layout, uint32_t base, uint32_t rows, uint32_t cols,
			    uint32_t row, uint32_t first, uint32_t n)
{
	if (layout == MATRICES)
		return (struct place){base + (row * cols + first) * 4, cols * 4};
	return (struct place){base + (first * rows + row * n) * 4, n * 4};
}

static struct igrad_cmd shift_w(enum layout layout, enum igrad_opcode opcode, uint32_t n,
				uint32_t i, uint32_t o)
{
	const struct place w = tile_at(layout, W, IN, OUT, i, o, n);
	struct igrad_cmd cmd = tile_cmd(opcode, n);

	cmd.u.array.p = w.addr;
	cmd.u.array.p_pitch = w.pitch;
	return cmd;
}

static struct igrad_cmd interleaved(enum layout layout, uint32_t n, uint32_t i, uint32_t o)
{
	const struct place x = tile_at(layout, X, BATCH, IN, 0, i, n);
	const struct place g = tile_at(layout, G, BATCH, OUT, 0, o, n);
	const struct place dx = tile_at(layout, DX, BATCH, IN, 0, i, n);
	struct igrad_cmd cmd = tile_cmd(IGRAD_OP_INTERLEAVED, n);

	cmd.flags = o ? IGRAD_FLAG_ADD : 0;
	cmd.u.array.batch = BATCH;
	cmd.u.array.x = x.addr;
	cmd.u.array.x_pitch = x.pitch;
	cmd.u.array.g = g.addr;
	cmd.u.array.g_pitch = g.pitch;
	cmd.u.array.p = dx.addr;
	cmd.u.array.p_pitch = dx.pitch;
	return cmd;
}

/* The load of all operands, then the pass; returns the number of commands. */
static uint32_t build(struct igrad_cmd *cmds, enum layout layout, uint32_t n)
{
	uint32_t count = 0;

	cmds[count++] = (struct igrad_cmd){
		.opcode = IGRAD_OP_DMA_LOAD,
		.signal = 1,
		.u.dma = {.va = DATA_VA, .rows = 1, .cols = DX / 4},
	};
	for (uint32_t i = 0; i < IN; i += n) {
		for (uint32_t o = 0; o < OUT; o += n) {
			struct igrad_cmd update = tile_cmd(IGRAD_OP_UPDATE, n);

			update.u.array.lr = 0x3c23d70a;
			cmds[count++] = shift_w(layout, IGRAD_OP_LOAD_W, n, i, o);
			cmds[count++] = interleaved(layout, n, i, o);
			cmds[count++] = update;
			cmds[count++] = shift_w(layout, IGRAD_OP_DRAIN_W, n, i, o);
		}
	}
	cmds[1].wait_sem[0] = 1;
	cmds[1].wait_value[0] = 1;
	return count;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static void start_pass(struct igrad_core *core, uint32_t num_cmds)
{
	const struct igrad_space space = {.read = space_read, .write = space_write};
	const struct igrad_desc desc = {.cmds = CMDS_VA, .num_cmds = num_cmds};

	igrad_core_begin(core, &desc, &space);
	igrad_core_step(core); /* the load */
}

static void end_pass(struct igrad_core *core)
{
	struct igrad_result result;

	igrad_core_finish(core, &result);
	if (result.status) {
		fprintf(stderr, "bench-core: status %d, reason %d, command %u\n", result.status,
			result.reason, result.command);
		exit(1);
	}
}

static double run_pass(struct igrad_core *core, uint32_t num_cmds)
{
	double start;

	start_pass(core, num_cmds);
	start = now();
	while (igrad_core_step(core))
		;
	start = now() - start;
	end_pass(core);
	return start;
}

/*
 * Threads are judged by the wall clock, which a busy host stops now and then: so each command for
 * itself, the least that it took in any pass.
 */
static void time_commands(struct igrad_core *core, uint32_t num_cmds, double *least_of)
{
	bool more = true;

	start_pass(core, num_cmds);
	for (uint32_t i = 1; more; i++) {
		const double start = clock_of(CLOCK_MONOTONIC);

		more = igrad_core_step(core);
		least_of[i] = least(least_of[i], clock_of(CLOCK_MONOTONIC) - start);
	}
	end_pass(core);
}

static struct igrad_core *new_core(uint32_t n, uint32_t threads)
{
	struct igrad_config config;
	struct igrad_core *core;

	igrad_config_default(&config);
	config.rows = config.cols = n;
	config.sram_bytes = SRAM_BYTES;
	config.threads = threads;
	core = igrad_core_new(&config);
	if (!core) {
		perror("bench-core");
		exit(1);
	}
	return core;
}

/* --------------------------------------------------------------------------------------------- */
/* The yardstick */
/* --------------------------------------------------------------------------------------------- */

static double blas_pass(float *dx, float *dw)
{
	const float *w = (const float *)(const void *)(memory + DATA_VA + W);
	const float *x = (const float *)(const void *)(memory + DATA_VA + X);
	const float *g = (const float *)(const void *)(memory + DATA_VA + G);
	const double start = now();

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, BATCH, IN, OUT, 1.0f, g, OUT, w, OUT,
		    0.0f, dx, IN);
	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, IN, OUT, BATCH, 1.0f, x, IN, g, OUT,
		    0.0f, dw, OUT);
	return now() - start;
}

/* --------------------------------------------------------------------------------------------- */
/* Both in turn, so that a busy host hurts them alike; the best of each counts */
/* --------------------------------------------------------------------------------------------- */

struct rates {
	double core;
	double blas;
	double speedup; /* of two threads over one, on the wall clock */
};

static double *times(void)
{
	double *p = malloc(MAX_CMDS * sizeof(*p));

	if (!p) {
		perror("bench-core");
		exit(1);
	}
	for (uint32_t i = 0; i < MAX_CMDS; i++)
		p[i] = 1e9;
	return p;
}

static double sum(const double *p, uint32_t n)
{
	double s = 0.0;

	for (uint32_t i = 1; i < n; i++)
		s += p[i];
	return s;
}

/* This thread, and those that it creates from now on, on the @index-th of the CPUs that we have. */
static void run_on(const cpu_set_t *cpus, unsigned int index)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, cpus) && index-- == 0)
			CPU_SET(cpu, &one);
	}
	sched_setaffinity(0, sizeof(one), &one);
}

/* Returns 0 where two threads would have to share a CPU. */
static double speedup(struct igrad_core *core, uint32_t n, uint32_t count)
{
	double *one, *two, ratio;
	struct igrad_core *pair;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) || CPU_COUNT(&cpus) < 2)
		return 0.0;
	run_on(&cpus, 1);
	pair = new_core(n, 2);
	run_on(&cpus, 0);
	one = times();
	two = times();
	for (unsigned int i = 0; i < 4 * RUNS; i++) {
		time_commands(core, count, one);
		time_commands(pair, count, two);
	}
	ratio = sum(one, count) / sum(two, count);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	igrad_core_free(pair);
	free(one);
	free(two);
	return ratio;
}

static struct rates measure(enum layout layout, uint32_t n)
{
	float *dx = malloc(BATCH * IN * sizeof(float)), *dw = malloc(IN * OUT * sizeof(float));
	struct igrad_core *core = new_core(n, 1);
	double core_best = 1e9, blas_best = 1e9, ratio;
	uint32_t count;

	if (!dx || !dw) {
		perror("bench-core");
		exit(1);
	}
	count = build((struct igrad_cmd *)(void *)(memory + CMDS_VA), layout, n);
	for (unsigned int i = 0; i < RUNS; i++) {
		core_best = least(core_best, run_pass(core, count));
		blas_best = least(blas_best, blas_pass(dx, dw));
	}
	ratio = speedup(core, n, count);
	igrad_core_free(core);
	free(dx);
	free(dw);
	return (struct rates){MACS / core_best * 1e-9, MACS / blas_best * 1e-9, ratio};
}

static void report(bool json, enum layout layout, uint32_t n)
{
	const char *name = layout == TILES ? "tiles" : "matrices";
	const struct rates rates = measure(layout, n);

	if (json)
		printf("{\"bench\":\"core\",\"isa\":\"%s\",\"array\":%u,\"layout\":\"%s\","
		       "\"core_gmacs\":%.2f,\"openblas_gmacs\":%.2f,\"ratio\":%.3f,"
		       "\"two_threads\":%.3f}\n",
		       igrad_kernels_get(0)->name, n, name, rates.core, rates.blas,
		       rates.core / rates.blas, rates.speedup);
	else
		printf("%3u x %-3u array, SRAM holds %-8s: %5.1f GMAC/s, OpenBLAS sgemm %5.1f, "
		       "ratio %.2f; two threads: %.2f x one\n",
		       n, n, name, rates.core, rates.blas, rates.core / rates.blas, rates.speedup);
}

int main(int argc, char **argv)
{
	const bool json = argc == 2 && !strcmp(argv[1], "--json");

	if (argc > 1 && !json) {
		fprintf(stderr, "usage: bench-core [--json]\n");
		return 2;
	}
	memory = calloc(1, DATA_VA + SRAM_BYTES);
	if (!memory) {
		perror("bench-core");
		return 1;
	}
	for (uint32_t i = 0; i < DX / 4; i++) {
		const float value = (float)(i * 2654435761u % 1000) * 0.002f - 1.0f;

		memcpy(memory + DATA_VA + i * 4ull, &value, sizeof(value));
	}
	openblas_set_num_threads(1);
	if (!json)
		printf("backward pass with update, 1024 x 1024, batch 256, 1 thread, %s kernels\n",
		       igrad_kernels_get(0)->name);
	for (uint32_t n = 32; n <= 128; n *= 4) {
		report(json, TILES, n);
		report(json, MATRICES, n);
	}
	free(memory);
	return 0;
}
