// SPDX-License-Identifier: MIT
/*
 * Batch normalisation: a column of blocks is gone through for the mean, for the variance, and for
 * the result; backward for the sums, and for the gradient. If there is room it stays in SRAM.
 */
#include <errno.h>

#include "layer.h"

enum { OPERAND_X, OPERAND_Y, OPERAND_DY, OPERAND_DX };

/* Rows of constants: those of VEC_NORM or VEC_NORM_GRAD, and behind them what leads to them. */
enum {
	ROW_VARIANCE = IGRAD_NORM_ROWS,
	ROW_RUNNING_MEAN,
	ROW_RUNNING_VARIANCE,
	NUM_ROWS,
};

enum {
	ROW_DBETA = IGRAD_NORM_ROWS_GRAD, /* and DGAMMA */
	NUM_ROWS_GRAD = ROW_DBETA + 2,
};

static struct igrad_size row_size(struct igrad_part top)
{
	return (struct igrad_size){1, top.size.cols};
}

static void load_row(struct igrad_layer *layer, struct igrad_part top, const struct igrad_matrix *m,
		     struct igrad_place to)
{
	igrad_emit_load(&layer->e, m, 0, top.col, row_size(top), to);
}

static void store_row(struct igrad_layer *layer, struct igrad_part top,
		      const struct igrad_matrix *m, struct igrad_place from)
{
	igrad_emit_store(&layer->e, m, 0, top.col, row_size(top), from);
}

static uint16_t keep_of(struct igrad_part part)
{
	return part.row ? IGRAD_FLAG_KEEP : 0;
}

static float reciprocal(const struct igrad_layer *layer)
{
	return 1.0f / (float)layer->size.rows; /* exact up to 2^24, then rounded once */
}

/* ---------------------------------------------------------------- forward */

/* running = fma(weight, row, (1 - momentum)·running) */
static void follow(struct igrad_layer *layer, struct igrad_part top, float momentum, double weight,
		   struct igrad_place row, struct igrad_place running)
{
	struct igrad_size size = row_size(top);

	igrad_emit_map(&layer->e, IGRAD_OP_VEC_SCALE, size, (float)(1.0 - momentum), running,
		       running);
	igrad_emit_axpy(&layer->e, size, (float)weight, row, running, running);
}

static void batch_statistics(struct igrad_layer *layer, struct igrad_part top,
			     const struct igrad_batchnorm_forward *args)
{
	struct igrad_place mean = igrad_layer_row(layer, IGRAD_NORM_MEAN);
	struct igrad_place variance = igrad_layer_row(layer, ROW_VARIANCE);
	struct igrad_place running_mean = igrad_layer_row(layer, ROW_RUNNING_MEAN);
	struct igrad_place running_variance = igrad_layer_row(layer, ROW_RUNNING_VARIANCE);
	struct igrad_size size = row_size(top);
	double n = layer->size.rows;
	struct igrad_part part = top;

	do
		igrad_emit_colsum(&layer->e, keep_of(part), part.size,
				  igrad_layer_in(layer, OPERAND_X, part), mean);
	while (igrad_layer_down(layer, &part));
	igrad_emit_map(&layer->e, IGRAD_OP_VEC_SCALE, size, reciprocal(layer), mean, mean);
	part = top;
	do
		igrad_emit_colsq(&layer->e, keep_of(part), part.size,
				 igrad_layer_in(layer, OPERAND_X, part), mean, variance);
	while (igrad_layer_down(layer, &part));
	igrad_emit_map(&layer->e, IGRAD_OP_VEC_SCALE, size, reciprocal(layer), variance, variance);
	if (!args->running_mean)
		return;
	follow(layer, top, args->momentum, args->momentum, mean, running_mean);
	follow(layer, top, args->momentum, args->momentum * n / (n - 1.0), variance,
	       running_variance);
	store_row(layer, top, args->running_mean, running_mean);
	store_row(layer, top, args->running_variance, running_variance);
}

static void forward_columns(struct igrad_layer *layer, struct igrad_part part,
			    const struct igrad_batchnorm_forward *args)
{
	struct igrad_place mean = igrad_layer_row(layer, IGRAD_NORM_MEAN);
	struct igrad_place inverse = igrad_layer_row(layer, IGRAD_NORM_INVERSE);
	struct igrad_place variance = igrad_layer_row(layer, ROW_VARIANCE);

	load_row(layer, part, args->gamma, igrad_layer_row(layer, IGRAD_NORM_SCALE));
	load_row(layer, part, args->beta, igrad_layer_row(layer, IGRAD_NORM_SHIFT));
	if (args->training) {
		if (args->running_mean) {
			load_row(layer, part, args->running_mean,
				 igrad_layer_row(layer, ROW_RUNNING_MEAN));
			load_row(layer, part, args->running_variance,
				 igrad_layer_row(layer, ROW_RUNNING_VARIANCE));
		}
		batch_statistics(layer, part, args);
	} else {
		load_row(layer, part, args->running_mean, mean);
		load_row(layer, part, args->running_variance, variance);
	}
	igrad_emit_map(&layer->e, IGRAD_OP_VEC_RSQRT, row_size(part), args->epsilon, variance,
		       inverse);
	if (args->training) {
		store_row(layer, part, args->mean, mean);
		store_row(layer, part, args->inverse, inverse);
	}
	do {
		struct igrad_place x = igrad_layer_in(layer, OPERAND_X, part);
		struct igrad_place y = igrad_layer_out(layer, OPERAND_Y, part);

		igrad_emit_norm(&layer->e, IGRAD_OP_VEC_NORM, 0, part.size, x, x, mean, y);
		if (args->relu)
			igrad_emit_relu(&layer->e, part.size, y);
		igrad_layer_done(layer, OPERAND_Y, part);
	} while (igrad_layer_down(layer, &part));
}

static int check_forward(const struct igrad_batchnorm_forward *args)
{
	const struct igrad_matrix *const rows[] = {args->gamma,	       args->beta,
						   args->mean,	       args->inverse,
						   args->running_mean, args->running_variance};
	const struct igrad_matrix *x = args->x;
	int err = x ? igrad_layer_check(x, x->rows, x->cols) : -EINVAL;

	if (!err)
		err = igrad_layer_check(args->y, x->rows, x->cols);
	if (err || !args->gamma || !args->beta || !args->running_mean != !args->running_variance ||
	    !args->mean != !args->training || !args->inverse != !args->training)
		return err ? err : -EINVAL;
	if (args->training ? x->rows < 2 || x->rows > 1u << 24 || igrad_layer_same(x, args->y) ||
				     !(args->momentum >= 0.0f && args->momentum <= 1.0f)
			   : !args->running_mean)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++)
		if (rows[i])
			err = igrad_layer_check(rows[i], 1, x->cols);
	return err;
}

int igrad_batchnorm_forward(struct igrad_cmdbuf *cmdbuf, const struct igrad_batchnorm_forward *args)
{
	const struct igrad_layer_operand operands[] = {
		[OPERAND_X] = {args->x, args->training ? 3 : 1},
		[OPERAND_Y] = {args->y, 1},
	};
	struct igrad_layer layer;
	int err = check_forward(args);

	if (err)
		return err;
	err = igrad_layer_open(&layer, cmdbuf, (struct igrad_size){args->x->rows, args->x->cols},
			       operands, 2, NUM_ROWS, 0);
	for (uint32_t col = 0; !err && col < layer.size.cols && !layer.e.err;
	     col += layer.block.cols) {
		igrad_layer_next_rows(&layer);
		forward_columns(&layer, igrad_layer_top(&layer, col), args);
	}
	return igrad_layer_close(&layer) ?: err;
}

/* ---------------------------------------------------------------- backward */

/* Both sums, then, with the batch's share of them, the constants of the gradient. */
static void gradient_constants(struct igrad_layer *layer, struct igrad_part top,
			       const struct igrad_batchnorm_backward *args)
{
	struct igrad_place mean = igrad_layer_row(layer, IGRAD_NORM_MEAN);
	struct igrad_place sums = igrad_layer_row(layer, ROW_DBETA);
	struct igrad_place factor = igrad_layer_row(layer, IGRAD_NORM_FACTOR);
	struct igrad_size size = row_size(top), both = {2, top.size.cols};
	struct igrad_part part = top;

	do {
		struct igrad_place x = igrad_layer_in(layer, OPERAND_X, part);
		struct igrad_place dy = igrad_layer_in(layer, OPERAND_DY, part);

		igrad_emit_norm(&layer->e, IGRAD_OP_VEC_NORM_SUMS, keep_of(part), part.size, x, dy,
				mean, sums);
	} while (igrad_layer_down(layer, &part));
	store_row(layer, top, args->dbeta, sums);
	store_row(layer, top, args->dgamma, igrad_place_at(sums, 1, 0));
	if (!args->dx)
		return;
	igrad_emit_map(&layer->e, IGRAD_OP_VEC_SCALE, both, reciprocal(layer), sums,
		       igrad_layer_row(layer, IGRAD_NORM_SUM));
	igrad_emit_pair(&layer->e, IGRAD_OP_VEC_MUL, size, factor,
			igrad_layer_row(layer, IGRAD_NORM_INVERSE), factor);
}

static void backward_columns(struct igrad_layer *layer, struct igrad_part part,
			     const struct igrad_batchnorm_backward *args)
{
	struct igrad_place mean = igrad_layer_row(layer, IGRAD_NORM_MEAN);

	load_row(layer, part, args->mean, mean);
	load_row(layer, part, args->inverse, igrad_layer_row(layer, IGRAD_NORM_INVERSE));
	if (args->dx)
		load_row(layer, part, args->gamma, igrad_layer_row(layer, IGRAD_NORM_FACTOR));
	gradient_constants(layer, part, args);
	if (!args->dx)
		return;
	do {
		struct igrad_place x = igrad_layer_in(layer, OPERAND_X, part);
		struct igrad_place dy = igrad_layer_in(layer, OPERAND_DY, part);
		struct igrad_place dx = igrad_layer_out(layer, OPERAND_DX, part);

		igrad_emit_norm(&layer->e, IGRAD_OP_VEC_NORM_GRAD, 0, part.size, x, dy, mean, dx);
		igrad_layer_done(layer, OPERAND_DX, part);
	} while (igrad_layer_down(layer, &part));
}

static int check_backward(const struct igrad_batchnorm_backward *args)
{
	const struct igrad_matrix *const rows[] = {args->gamma, args->mean, args->inverse,
						   args->dgamma, args->dbeta};
	const struct igrad_matrix *x = args->x;
	int err = x ? igrad_layer_check(x, x->rows, x->cols) : -EINVAL;

	if (!err && (x->rows < 2 || x->rows > 1u << 24))
		err = -EINVAL;
	if (!err)
		err = igrad_layer_check(args->dy, x->rows, x->cols);
	if (!err && args->y)
		err = igrad_layer_check(args->y, x->rows, x->cols);
	if (!err && args->dx)
		err = igrad_layer_check(args->dx, x->rows, x->cols);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++)
		err = igrad_layer_check(rows[i], 1, x->cols);
	return err;
}

int igrad_batchnorm_backward(struct igrad_cmdbuf *cmdbuf,
			     const struct igrad_batchnorm_backward *args)
{
	const uint32_t times = args->dx ? 2 : 1;
	const struct igrad_layer_operand operands[] = {
		[OPERAND_X] = {args->x, times},
		[OPERAND_Y] = {args->y, 1},
		[OPERAND_DY] = {args->dy, times},
		[OPERAND_DX] = {args->dx, 1},
	};
	struct igrad_layer layer;
	int err = check_backward(args);

	if (err)
		return err;
	err = igrad_layer_open(&layer, cmdbuf, (struct igrad_size){args->x->rows, args->x->cols},
			       operands, 4, NUM_ROWS_GRAD, 0);
	if (args->y)
		layer.operands[OPERAND_DY].relu = &layer.operands[OPERAND_Y];
	for (uint32_t col = 0; !err && col < layer.size.cols && !layer.e.err;
	     col += layer.block.cols) {
		igrad_layer_next_rows(&layer);
		backward_columns(&layer, igrad_layer_top(&layer, col), args);
	}
	return igrad_layer_close(&layer) ?: err;
}
