// SPDX-License-Identifier: MIT
/* The vector unit's part of a backward pass: gradients of biases, and updates outside the array. */
#include <math.h>

#include "backward.h"

struct igrad_step igrad_step_of(const struct igrad_optimizer *optimizer)
{
	return (struct igrad_step){
		.lr = optimizer->lr,
		.keep = fmaf(-optimizer->lr, optimizer->decay, 1.0f),
		.decay = optimizer->decay != 0.0f,
	};
}

void igrad_adam_constants(const struct igrad_optimizer *optimizer, uint64_t step,
			  float constants[IGRAD_ADAM_WORDS])
{
	double beta1 = optimizer->beta1, beta2 = optimizer->beta2;
	double root = sqrt(1 - pow(beta2, (double)step));

	constants[IGRAD_ADAM_BETA1] = optimizer->beta1;
	constants[IGRAD_ADAM_REST1] = (float)(1 - beta1);
	constants[IGRAD_ADAM_BETA2] = optimizer->beta2;
	constants[IGRAD_ADAM_REST2] = (float)(1 - beta2);
	constants[IGRAD_ADAM_LR] = (float)(optimizer->lr * root / (1 - pow(beta1, (double)step)));
	constants[IGRAD_ADAM_EPSILON] = (float)(optimizer->epsilon * root);
	constants[IGRAD_ADAM_KEEP] = igrad_step_of(optimizer).keep;
}

static struct igrad_part dy_of(const struct igrad_block *block)
{
	return (struct igrad_part){block->at[IGRAD_DIM_B],
				   block->at[IGRAD_DIM_O],
				   {block->n[IGRAD_DIM_B], block->n[IGRAD_DIM_O]}};
}

/*
 * The vector unit works in order, and a block's last update waits for the array: behind it ReLU's
 * gradient of the next block would come late.
 */
static void see_to_next(struct igrad_backward *bw, const struct igrad_block *block)
{
	if (bw->args->y && bw->next && bw->weights.num == 1)
		igrad_window_ahead(&bw->linear.windows[IGRAD_ROLE_DY], &bw->linear.e,
				   dy_of(bw->next), dy_of(block));
}

static void update_adam(struct igrad_backward *bw, enum igrad_role param, enum igrad_role sum,
			struct igrad_part part, struct igrad_place w)
{
	bool bias = param == IGRAD_ROLE_BIAS;
	enum igrad_role first = bias ? IGRAD_ROLE_VB : IGRAD_ROLE_VW;
	enum igrad_role second = bias ? IGRAD_ROLE_SB : IGRAD_ROLE_SW;
	struct igrad_part constants = {0, 0, {1, IGRAD_ADAM_WORDS}};

	igrad_emit_adam(&bw->linear.e, part.size,
			&(struct igrad_adam){
				.w = w,
				.m = igrad_backward_at(bw, first, part, IGRAD_USE_INOUT),
				.v = igrad_backward_at(bw, second, part, IGRAD_USE_INOUT),
				.dw = igrad_backward_at(bw, sum, part, IGRAD_USE_IN),
				.constants = igrad_backward_at(bw, IGRAD_ROLE_ADAM, constants,
							       IGRAD_USE_IN),
				.decay = bw->step.decay,
			});
	igrad_linear_done(&bw->linear, first, part);
	igrad_linear_done(&bw->linear, second, part);
	igrad_linear_done(&bw->linear, param, part);
}

static void update(struct igrad_backward *bw, enum igrad_role param, enum igrad_role sum,
		   struct igrad_part part)
{
	struct igrad_place w = igrad_backward_at(bw, param, part, IGRAD_USE_INOUT);

	if (bw->args->optimizer.update == IGRAD_UPDATE_ADAM) {
		update_adam(bw, param, sum, part, w);
		return;
	}
	igrad_emit_sgd(&bw->linear.e, part.size, &bw->step, w,
		       igrad_backward_at(bw, sum, part, IGRAD_USE_IN));
	igrad_linear_done(&bw->linear, param, part);
}

static bool ends_block(const struct igrad_block *block, const struct igrad_tile *tile)
{
	return tile->i + tile->size.rows == block->at[IGRAD_DIM_I] + block->n[IGRAD_DIM_I] &&
	       tile->o + tile->size.cols == block->at[IGRAD_DIM_O] + block->n[IGRAD_DIM_O];
}

void igrad_backward_update(struct igrad_backward *bw, const struct igrad_block *block,
			   struct igrad_tile tile)
{
	if (ends_block(block, &tile))
		see_to_next(bw, block);
	update(bw, IGRAD_ROLE_W, bw->weights.sum[0].role, igrad_part_w(tile));
}

static void sum_columns(struct igrad_backward *bw, const struct igrad_block *block,
			struct igrad_part dy, const struct igrad_sum *sum)
{
	struct igrad_part db = {0, dy.col, {1, dy.size.cols}};
	bool begins = igrad_batch_begins(block), fresh = begins && !sum->velocity;
	struct igrad_place place = igrad_backward_at(bw, sum->role, db,
						     fresh ? IGRAD_USE_OUT : IGRAD_USE_INOUT);

	if (begins && sum->velocity)
		igrad_emit_scale(&bw->linear.e, db.size, bw->args->optimizer.momentum, place);
	igrad_emit_colsum(&bw->linear.e, fresh ? 0 : IGRAD_FLAG_KEEP, dy.size,
			  igrad_backward_at(bw, IGRAD_ROLE_DY, dy, IGRAD_USE_IN), place);
	if (igrad_batch_ends(bw, block))
		igrad_linear_done(&bw->linear, sum->role, db);
}

void igrad_backward_bias(struct igrad_backward *bw, const struct igrad_block *block,
			 struct igrad_tile tile)
{
	struct igrad_part db = {0, tile.o, {1, tile.size.cols}};
	struct igrad_part dy = igrad_part_y(tile, block->at[IGRAD_DIM_B], block->n[IGRAD_DIM_B]);

	for (unsigned int i = 0; i < bw->biases.num; i++)
		sum_columns(bw, block, dy, &bw->biases.sum[i]);
	if (bw->args->b && bw->updates && igrad_batch_ends(bw, block))
		update(bw, IGRAD_ROLE_BIAS, bw->biases.sum[0].role, db);
}
