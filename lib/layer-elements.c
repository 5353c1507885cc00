// SPDX-License-Identifier: MIT
/* Layers and updates that work element by element. */
#include <errno.h>
#include <math.h>

#include "layer.h"

static struct igrad_size size_of(const struct igrad_matrix *m)
{
	return (struct igrad_size){m->rows, m->cols};
}

/* All of @others are matrices of the first one's size; @num of them. */
static int check(const struct igrad_matrix *first, const struct igrad_matrix *const others[],
		 uint32_t num)
{
	int err = first ? igrad_layer_check(first, first->rows, first->cols) : -EINVAL;

	for (uint32_t i = 0; i < num && !err; i++)
		err = igrad_layer_check(others[i], first->rows, first->cols);
	return err;
}

/* What is done with each block. */
typedef void block_fn(struct igrad_layer *layer, struct igrad_part part, const void *args);

static void each_block(struct igrad_layer *layer, block_fn *fn, const void *args)
{
	for (uint32_t col = 0; col < layer->size.cols && !layer->e.err; col += layer->block.cols) {
		struct igrad_part part = igrad_layer_top(layer, col);

		do
			fn(layer, part, args);
		while (igrad_layer_down(layer, &part));
	}
}

static int run(struct igrad_cmdbuf *cmdbuf, struct igrad_size size,
	       const struct igrad_layer_operand operands[], uint32_t num, block_fn *fn,
	       const void *args)
{
	struct igrad_layer layer;
	int err = igrad_layer_open(&layer, cmdbuf, size, operands, num, 0, 0);

	if (!err)
		each_block(&layer, fn, args);
	return igrad_layer_close(&layer) ?: err;
}

/* ---------------------------------------------------------------- sums and ReLU */

static void add_block(struct igrad_layer *layer, struct igrad_part part, const void *opaque)
{
	const struct igrad_add *args = opaque;
	struct igrad_place a = igrad_layer_in(layer, 0, part), b = igrad_layer_in(layer, 1, part);
	struct igrad_place y = igrad_layer_out(layer, 2, part);

	igrad_emit_pair(&layer->e, IGRAD_OP_VEC_ADD, part.size, a, b, y);
	if (args->relu)
		igrad_emit_relu(&layer->e, part.size, y);
	igrad_layer_done(layer, 2, part);
}

int igrad_add(struct igrad_cmdbuf *cmdbuf, const struct igrad_add *args)
{
	const struct igrad_layer_operand operands[] = {{args->a, 1}, {args->b, 1}, {args->y, 1}};
	int err = check(args->a, (const struct igrad_matrix *const[]){args->b, args->y}, 2);

	return err ? err : run(cmdbuf, size_of(args->a), operands, 3, add_block, args);
}

static void relu_block(struct igrad_layer *layer, struct igrad_part part, const void *opaque)
{
	struct igrad_place x = igrad_layer_in(layer, 0, part), y = igrad_layer_out(layer, 1, part);

	(void)opaque;
	igrad_emit_map(&layer->e, IGRAD_OP_VEC_RELU, part.size, 0.0f, x, y);
	igrad_layer_done(layer, 1, part);
}

int igrad_relu_forward(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *x,
		       const struct igrad_matrix *y)
{
	const struct igrad_layer_operand operands[] = {{x, 1}, {y, 1}};
	int err = check(x, &y, 1);

	return err ? err : run(cmdbuf, size_of(x), operands, 2, relu_block, NULL);
}

static void relu_grad_block(struct igrad_layer *layer, struct igrad_part part, const void *opaque)
{
	struct igrad_place y = igrad_layer_in(layer, 0, part), dy = igrad_layer_in(layer, 1, part);
	struct igrad_place dx = igrad_layer_out(layer, 2, part);

	(void)opaque;
	igrad_emit_pair(&layer->e, IGRAD_OP_VEC_RELU_GRAD, part.size, y, dy, dx);
	igrad_layer_done(layer, 2, part);
}

int igrad_relu_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *y,
			const struct igrad_matrix *dy, const struct igrad_matrix *dx)
{
	const struct igrad_layer_operand operands[] = {{y, 1}, {dy, 1}, {dx, 1}};
	int err = check(y, (const struct igrad_matrix *const[]){dy, dx}, 2);

	return err ? err : run(cmdbuf, size_of(y), operands, 3, relu_grad_block, NULL);
}

/* ---------------------------------------------------------------- dropout */

static void dropout_block(struct igrad_layer *layer, struct igrad_part part, const void *opaque)
{
	struct igrad_place x = igrad_layer_in(layer, 0, part), y = igrad_layer_out(layer, 1, part);

	(void)opaque;
	igrad_emit_dropout(&layer->e, part.size, part.row, part.col, x, layer->words, y);
	igrad_layer_done(layer, 1, part);
}

static void set_words(struct igrad_layer *layer, const struct igrad_dropout *args)
{
	const struct igrad_size one = {1, 1}, two = {1, 2};
	const struct igrad_place words = layer->words;

	igrad_emit_load(&layer->e, args->seed, 0, 0, two, words);
	igrad_emit_fill_bits(&layer->e, one, args->stream,
			     igrad_place_at(words, 0, IGRAD_DROPOUT_STREAM));
	igrad_emit_fill_bits(&layer->e, one, (uint32_t)(args->rate * 0x1p32),
			     igrad_place_at(words, 0, IGRAD_DROPOUT_THRESHOLD));
	igrad_emit_fill(&layer->e, one, (float)(1.0 / (1.0 - args->rate)),
			igrad_place_at(words, 0, IGRAD_DROPOUT_SCALE));
}

int igrad_dropout(struct igrad_cmdbuf *cmdbuf, const struct igrad_dropout *args)
{
	const struct igrad_layer_operand operands[] = {{args->x, 1}, {args->y, 1}};
	struct igrad_layer layer;
	int err = check(args->x, &args->y, 1);

	if (!err)
		err = igrad_layer_check(args->seed, 1, 2);
	if (!err && !(args->rate >= 0.0f && args->rate < 1.0f))
		err = -EINVAL;
	if (err)
		return err;
	err = igrad_layer_open(&layer, cmdbuf, size_of(args->x), operands, 2, 0,
			       IGRAD_DROPOUT_WORDS);
	if (!err) {
		set_words(&layer, args);
		each_block(&layer, dropout_block, args);
	}
	return igrad_layer_close(&layer) ?: err;
}

/* ---------------------------------------------------------------- copies */

/* No engine but DMA is needed. */
static void copy_block(struct igrad_layer *layer, struct igrad_part part, const void *opaque)
{
	igrad_emit_store(&layer->e, opaque, part.row, part.col, part.size,
			 igrad_layer_in(layer, 0, part));
}

int igrad_copy(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *from,
	       const struct igrad_matrix *to)
{
	const struct igrad_layer_operand operands[] = {{from, 1}};
	int err = check(from, &to, 1);

	return err ? err : run(cmdbuf, size_of(from), operands, 1, copy_block, to);
}

static void fill_block(struct igrad_layer *layer, struct igrad_part part, const void *opaque)
{
	const float *value = opaque;

	igrad_emit_fill(&layer->e, part.size, *value, igrad_layer_out(layer, 0, part));
	igrad_layer_done(layer, 0, part);
}

int igrad_fill(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *m, float value)
{
	const struct igrad_layer_operand operands[] = {{m, 1}};
	int err = check(m, NULL, 0);

	return err ? err : run(cmdbuf, size_of(m), operands, 1, fill_block, &value);
}

/* ---------------------------------------------------------------- updates */

enum { OPERAND_W, OPERAND_DW, OPERAND_V, OPERAND_S };

static void adam_block(struct igrad_layer *layer, struct igrad_part part,
		       const struct igrad_step *step)
{
	const struct igrad_adam adam = {
		.w = igrad_layer_inout(layer, OPERAND_W, part),
		.m = igrad_layer_inout(layer, OPERAND_V, part),
		.v = igrad_layer_inout(layer, OPERAND_S, part),
		.dw = igrad_layer_in(layer, OPERAND_DW, part),
		.constants = layer->words,
		.decay = step->decay,
	};

	igrad_emit_adam(&layer->e, part.size, &adam);
	igrad_layer_done(layer, OPERAND_V, part);
	igrad_layer_done(layer, OPERAND_S, part);
}

static void sgd_block(struct igrad_layer *layer, struct igrad_part part,
		      const struct igrad_optimizer *optimizer, const struct igrad_step *step)
{
	struct igrad_place move = igrad_layer_in(layer, OPERAND_DW, part);

	if (optimizer->update == IGRAD_UPDATE_MOMENTUM) {
		struct igrad_place v = igrad_layer_inout(layer, OPERAND_V, part);

		igrad_emit_axpy(&layer->e, part.size, optimizer->momentum, v, move, v);
		igrad_layer_done(layer, OPERAND_V, part);
		move = v;
	}
	igrad_emit_sgd(&layer->e, part.size, step, igrad_layer_inout(layer, OPERAND_W, part), move);
}

static void update_block(struct igrad_layer *layer, struct igrad_part part, const void *opaque)
{
	const struct igrad_parameter *args = opaque;
	const struct igrad_step step = igrad_step_of(&args->optimizer);

	if (args->optimizer.update == IGRAD_UPDATE_ADAM)
		adam_block(layer, part, &step);
	else
		sgd_block(layer, part, &args->optimizer, &step);
	igrad_layer_done(layer, OPERAND_W, part);
}

static int check_parameter(const struct igrad_parameter *args)
{
	const bool adam = args->optimizer.update == IGRAD_UPDATE_ADAM;
	const bool momentum = args->optimizer.update == IGRAD_UPDATE_MOMENTUM;
	int err = check(args->w, &args->dw, 1);

	if (args->optimizer.update > IGRAD_UPDATE_ADAM || !args->v != !(momentum || adam) ||
	    !args->s != !adam || !args->adam != !adam)
		return -EINVAL;
	if (!err && args->v)
		err = check(args->w, &args->v, 1);
	if (!err && args->s)
		err = check(args->w, &args->s, 1);
	if (!err && args->adam)
		err = igrad_layer_check(args->adam, 1, IGRAD_ADAM_WORDS);
	return err;
}

int igrad_update(struct igrad_cmdbuf *cmdbuf, const struct igrad_parameter *args)
{
	const struct igrad_layer_operand operands[] = {
		[OPERAND_W] = {args->w, 1},
		[OPERAND_DW] = {args->dw, 1},
		[OPERAND_V] = {args->v, 1},
		[OPERAND_S] = {args->s, 1},
	};
	struct igrad_layer layer;
	int err;

	if (args->optimizer.update == IGRAD_UPDATE_NONE)
		return 0;
	err = check_parameter(args);
	if (err)
		return err;
	err = igrad_layer_open(&layer, cmdbuf, size_of(args->w), operands, 4, 0,
			       args->adam ? IGRAD_ADAM_WORDS : 0);
	if (!err) {
		if (args->adam)
			igrad_emit_load(&layer.e, args->adam, 0, 0,
					(struct igrad_size){1, IGRAD_ADAM_WORDS}, layer.words);
		each_block(&layer, update_block, args);
	}
	return igrad_layer_close(&layer) ?: err;
}
