/* SPDX-License-Identifier: MIT */
/*
 * The array commands, a whole tile at a time. What a PE would do one fused multiply-add after the
 * other is one matrix product with sums in the same order.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* Splitting a product over threads costs a few microseconds; below this many multiply-adds don't.
 */
#define SPLIT_MACS (1u << 21)

/* A thread's piece, and what a cancellation waits for. */
#define PIECE_MACS (1u << 24)

/* Batch rows of x that are turned at once. */
#define TURNED 256

static uint32_t round_up(uint32_t n)
{
	return (n + 15) & ~15u;
}

int igrad_array_init(struct igrad_array *array, const struct igrad_config *config)
{
	const size_t r = round_up(config->rows), c = round_up(config->cols);

	array->stride = (uint32_t)c;
	array->t_stride = (uint32_t)r;
	array->w = aligned_alloc(64, r * c * sizeof(float));
	array->acc = aligned_alloc(64, r * c * sizeof(float));
	array->wt = aligned_alloc(64, r * c * sizeof(float));
	array->turned = aligned_alloc(64, r * TURNED * sizeof(float));
	if (!array->w || !array->acc || !array->wt || !array->turned)
		return -ENOMEM;
	memset(array->wt, 0, r * c * sizeof(float));
	array->dirty = true;
	igrad_array_scrub(array, config);
	return 0;
}

void igrad_array_destroy(struct igrad_array *array)
{
	free(array->w);
	free(array->acc);
	free(array->wt);
	free(array->turned);
}

/* The transposed copy, if there is one, is no longer of these weights. */
static void weights_changed(struct igrad_array *array)
{
	array->wt_rows = 0;
}

void igrad_array_scrub(struct igrad_array *array, const struct igrad_config *config)
{
	const size_t bytes = (size_t)config->rows * array->stride * sizeof(float);

	if (!array->dirty)
		return;
	memset(array->w, 0, bytes);
	memset(array->acc, 0, bytes);
	weights_changed(array);
	array->dirty = false;
}

/* --------------------------------------------------------------------------------------------- */
/* Products, in pieces */
/* --------------------------------------------------------------------------------------------- */

struct split {
	struct igrad_core *core;
	const struct igrad_tile *tile;
	size_t piece; /* rows */
};

static void run_piece(void *context, unsigned int part)
{
	const struct split *split = context;
	struct igrad_tile tile = *split->tile;
	const size_t first = part * split->piece;

	if (atomic_load_explicit(&split->core->cancelled, memory_order_relaxed))
		return;
	tile.m = tile.m - first < split->piece ? tile.m - first : split->piece;
	tile.a += first * tile.a_row;
	tile.c += first * tile.c_row;
	split->core->kernels->tile(&tile);
}

/* Rows of a piece: an even share for every thread, but none so large that a cancellation waits. */
static size_t piece_rows(const struct igrad_tile *tile, unsigned int threads)
{
	const size_t macs_per_row = tile->n * tile->k;
	const size_t most = PIECE_MACS / macs_per_row + 1;
	size_t rows = tile->m;

	if (threads > 1 && tile->m * macs_per_row >= SPLIT_MACS)
		rows = (tile->m + threads - 1) / threads;
	return rows < most ? rows : most;
}

static void run_tile(struct igrad_core *core, const struct igrad_tile *tile)
{
	const size_t piece = piece_rows(tile, igrad_pool_threads(core->pool));
	struct split split = {.core = core, .tile = tile, .piece = piece};

	igrad_pool_run(core->pool, (unsigned int)((tile->m + piece - 1) / piece), run_piece,
		       &split);
}

/* --------------------------------------------------------------------------------------------- */
/* Commands */
/* --------------------------------------------------------------------------------------------- */

/*
 * The psums of a turned fprop are rows of p, and so the product is wᵀ·xᵀ: fma(w, x, s) is
 * fma(x, w, s). An x that lies as xᵀ already is used in place, another turned a piece at a time.
 */
static void fprop_turned(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool transpose = cmd->flags & IGRAD_FLAG_TRANSPOSE;
	const float *x = igrad_words(core, a->x);
	struct igrad_tile tile = {
		.m = a->cols,
		.k = a->rows,
		.a = core->array.w,
		.a_row = 1,
		.a_step = core->array.stride,
		.b = transpose ? x : core->array.turned,
		.b_row = transpose ? a->x_pitch / 4 : TURNED,
		.c = igrad_words(core, a->p),
		.c_row = a->p_pitch / 4,
		.add = cmd->flags & IGRAD_FLAG_ADD,
	};

	for (size_t b = 0; b < a->batch; b += tile.n) {
		tile.n = a->batch - b < TURNED ? a->batch - b : TURNED;
		if (!transpose)
			core->kernels->transpose(core->array.turned, TURNED,
						 x + b * (a->x_pitch / 4), a->x_pitch / 4, tile.n,
						 a->rows);
		run_tile(core, &tile);
		tile.b += transpose ? tile.n : 0;
		tile.c += tile.n;
	}
}

static void fprop(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool transpose = cmd->flags & IGRAD_FLAG_TRANSPOSE;
	const struct igrad_tile tile = {
		.m = a->batch,
		.n = a->cols,
		.k = a->rows,
		.a = igrad_words(core, a->x),
		.a_row = transpose ? 1 : a->x_pitch / 4,
		.a_step = transpose ? a->x_pitch / 4 : 1,
		.b = core->array.w,
		.b_row = core->array.stride,
		.c = igrad_words(core, a->p),
		.c_row = a->p_pitch / 4,
		.add = cmd->flags & IGRAD_FLAG_ADD,
	};

	run_tile(core, &tile);
}

/* The columns of w become rows of a copy, made once for each loaded or updated tile. */
static void need_transposed(struct igrad_core *core, uint32_t rows, uint32_t cols)
{
	struct igrad_array *array = &core->array;

	if (rows <= array->wt_rows && cols <= array->wt_cols)
		return;
	core->kernels->transpose(array->wt, array->t_stride, array->w, array->stride, rows, cols);
	array->wt_rows = rows;
	array->wt_cols = cols;
}

static void dgrad(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const struct igrad_tile tile = {
		.m = a->batch,
		.n = a->rows,
		.k = a->cols,
		.a = igrad_words(core, a->g),
		.a_row = a->g_pitch / 4,
		.a_step = 1,
		.b = core->array.wt,
		.b_row = core->array.t_stride,
		.c = igrad_words(core, a->p),
		.c_row = a->p_pitch / 4,
		.add = cmd->flags & IGRAD_FLAG_ADD,
	};

	need_transposed(core, a->rows, a->cols);
	run_tile(core, &tile);
}

static void wgrad(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const struct igrad_tile tile = {
		.m = a->rows,
		.n = a->cols,
		.k = a->batch,
		.a = igrad_words(core, a->x),
		.a_row = 1,
		.a_step = a->x_pitch / 4,
		.b = igrad_words(core, a->g),
		.b_row = a->g_pitch / 4,
		.c = core->array.acc,
		.c_row = core->array.stride,
		.add = cmd->flags & IGRAD_FLAG_KEEP,
	};

	run_tile(core, &tile);
}

static void update(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	struct igrad_array *array = &core->array;
	igrad_row_fn *fn = cmd->flags & IGRAD_FLAG_DECAY ? core->kernels->sgd_decay
							 : core->kernels->sgd;

	for (size_t r = 0; r < a->rows; r++) {
		float *w = array->w + r * array->stride;

		fn(w, w, array->acc + r * array->stride, a->cols, igrad_float(a->lr),
		   igrad_float(a->keep));
	}
	weights_changed(array);
}

static void scale_acc(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;

	for (size_t r = 0; r < a->rows; r++) {
		float *acc = core->array.acc + r * core->array.stride;

		core->kernels->scale(acc, acc, NULL, a->cols, igrad_float(a->keep), 0.0f);
	}
}

/* Between SRAM and the PEs' registers, in either direction. */
static void copy_rows(float *d, size_t d_row, const float *s, size_t s_row, uint32_t rows,
		      uint32_t cols)
{
	for (size_t r = 0; r < rows; r++)
		memcpy(d + r * d_row, s + r * s_row, cols * sizeof(float));
}

static void load_w(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	struct igrad_array *array = &core->array;
	const float *p = igrad_words(core, a->p);

	if (cmd->flags & IGRAD_FLAG_TRANSPOSE)
		core->kernels->transpose(array->w, array->stride, p, a->p_pitch / 4, a->cols,
					 a->rows);
	else
		copy_rows(array->w, array->stride, p, a->p_pitch / 4, a->rows, a->cols);
	weights_changed(array);
}

void igrad_array_execute(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	struct igrad_array *array = &core->array;
	float *p = igrad_words(core, a->p);

	array->dirty = true;
	switch (cmd->opcode) {
	case IGRAD_OP_LOAD_W:
		load_w(core, cmd);
		break;
	case IGRAD_OP_LOAD_ACC:
		copy_rows(array->acc, array->stride, p, a->p_pitch / 4, a->rows, a->cols);
		break;
	case IGRAD_OP_FPROP:
		if (cmd->flags & IGRAD_FLAG_TURN)
			fprop_turned(core, cmd);
		else
			fprop(core, cmd);
		break;
	case IGRAD_OP_DGRAD:
		dgrad(core, cmd);
		break;
	case IGRAD_OP_WGRAD:
		wgrad(core, cmd);
		break;
	case IGRAD_OP_INTERLEAVED:
		dgrad(core, cmd);
		wgrad(core, cmd);
		break;
	case IGRAD_OP_UPDATE:
		update(core, cmd);
		break;
	case IGRAD_OP_SCALE_ACC:
		scale_acc(core, cmd);
		break;
	case IGRAD_OP_DRAIN_ACC:
		copy_rows(p, a->p_pitch / 4, array->acc, array->stride, a->rows, a->cols);
		break;
	case IGRAD_OP_DRAIN_W:
		copy_rows(p, a->p_pitch / 4, array->w, array->stride, a->rows, a->cols);
		break;
	}
}
