/* SPDX-License-Identifier: MIT */
/*
 * How fast the core computes on this host: a layer's backward pass whose operands are in SRAM, by
 * one thread against OpenBLAS sgemm doing the same two products on one thread, and by two threads
 * against one. Rows for the table of `make bench`.
 */
#include <cblas.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "igrad_core.h"
#include "kernels.h"

#define IN    1024u
#define OUT   1024u
#define BATCH 256u
#define MACS  (2.0 * IN * OUT * BATCH)
#define TIMES 31

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
	if (result.status)
		bench_fail("a pass", "the core refuses it");
}

struct pass {
	struct igrad_core *core;
	uint32_t num_cmds;
	clockid_t clock;
};

static double run_pass(void *context)
{
	const struct pass *pass = context;
	double start;

	start_pass(pass->core, pass->num_cmds);
	start = bench_clock(pass->clock);
	while (igrad_core_step(pass->core))
		;
	start = bench_clock(pass->clock) - start;
	end_pass(pass->core);
	return start;
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
	if (!core)
		bench_fail("a core", strerror(errno));
	return core;
}

/* --------------------------------------------------------------------------------------------- */
/* The yardstick, by this thread's clock: what else the host does should not count */
/* --------------------------------------------------------------------------------------------- */

struct products {
	float *dx;
	float *dw;
};

static double run_blas(void *context)
{
	const struct products *to = context;
	const float *w = (const float *)(const void *)(memory + DATA_VA + W);
	const float *x = (const float *)(const void *)(memory + DATA_VA + X);
	const float *g = (const float *)(const void *)(memory + DATA_VA + G);
	const double start = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, BATCH, IN, OUT, 1.0f, g, OUT, w, OUT,
		    0.0f, to->dx, IN);
	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, IN, OUT, BATCH, 1.0f, x, IN, g, OUT,
		    0.0f, to->dw, OUT);
	return bench_clock(CLOCK_THREAD_CPUTIME_ID) - start;
}

/* --------------------------------------------------------------------------------------------- */
/* Rows */
/* --------------------------------------------------------------------------------------------- */

static struct bench_figure rate(double seconds, const char *unit)
{
	return (struct bench_figure){MACS / seconds * 1e-9, unit};
}

static void name_row(char *what, size_t size, const char *prefix, enum layout layout, uint32_t n)
{
	snprintf(what, size, "%s, commands alone, %u × %u, operands in SRAM as %s", prefix, n, n,
		 layout == TILES ? "tiles" : "matrices");
}

static void against_blas(struct pass pass, enum layout layout, uint32_t n)
{
	struct products products = {malloc(BATCH * IN * sizeof(float)),
				    malloc(IN * OUT * sizeof(float))};
	struct bench_pair pair;
	char what[128];

	if (!products.dx || !products.dw)
		bench_fail("products", strerror(errno));
	pass.clock = CLOCK_THREAD_CPUTIME_ID;
	pair = bench_compare((struct bench_side){run_pass, &pass},
			     (struct bench_side){run_blas, &products}, TIMES);
	name_row(what, sizeof(what), "one thread ÷ OpenBLAS", layout, n);
	bench_row(what, pair.ratio, rate(pair.ours, "GMAC/s"),
		  rate(pair.reference, "GMAC/s, sgemm"), "≥ 0.80");
	free(products.dx);
	free(products.dw);
}

static void against_one_thread(struct pass one, enum layout layout, uint32_t n)
{
	struct pass two = {.core = new_core(n, 2), .num_cmds = one.num_cmds};
	struct bench_pair pair;
	char what[128];

	one.clock = two.clock = CLOCK_MONOTONIC;
	pair = bench_compare((struct bench_side){run_pass, &two},
			     (struct bench_side){run_pass, &one}, TIMES);
	name_row(what, sizeof(what), "two threads ÷ one", layout, n);
	bench_row(what, pair.ratio, rate(pair.ours, "GMAC/s"),
		  rate(pair.reference, "GMAC/s, one thread"), "≥ 1.80");
	igrad_core_free(two.core);
}

static void measure(enum layout layout, uint32_t n)
{
	struct pass pass = {.core = new_core(n, 1)};

	pass.num_cmds = build((struct igrad_cmd *)(void *)(memory + CMDS_VA), layout, n);
	against_blas(pass, layout, n);
	against_one_thread(pass, layout, n);
	igrad_core_free(pass.core);
}

int main(void)
{
	memory = calloc(1, DATA_VA + SRAM_BYTES);
	if (!memory)
		bench_fail("memory", strerror(errno));
	for (uint32_t i = 0; i < DX / 4; i++) {
		const float value = (float)(i * 2654435761u % 1000) * 0.002f - 1.0f;

		memcpy(memory + DATA_VA + i * 4ull, &value, sizeof(value));
	}
	openblas_set_num_threads(1);
	for (uint32_t n = 128; n >= 32; n /= 4) {
		measure(TILES, n);
		measure(MATRICES, n);
	}
	free(memory);
	return 0;
}
