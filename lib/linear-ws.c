// SPDX-License-Identifier: MIT
/*
 * ws-paper and ws: both gradients as forward products, for each of which one of two operands can be
 * stationary. What is not stationary is streamed past it; psums are turned on their way back where
 * they come out transposed.
 */
#include "backward.h"

static struct igrad_tile whole(const struct igrad_block *block)
{
	return (struct igrad_tile){block->at[IGRAD_DIM_I],
				   block->at[IGRAD_DIM_O],
				   {block->n[IGRAD_DIM_I], block->n[IGRAD_DIM_O]}};
}

static void stationary(struct igrad_backward *bw, uint16_t flags, struct igrad_size tile,
		       enum igrad_role role, struct igrad_part part)
{
	igrad_emit_tile(&bw->linear.e, IGRAD_OP_LOAD_W, flags, tile,
			igrad_backward_at(bw, role, part, IGRAD_USE_IN));
}

/* ---------------------------------------------------------------- the input gradient */

/* Part of dX, to which the out-features @o … are added. */
static struct igrad_place dx(struct igrad_backward *bw, struct igrad_part part, uint32_t o)
{
	return igrad_backward_at(bw, IGRAD_ROLE_DX, part, o ? IGRAD_USE_INOUT : IGRAD_USE_OUT);
}

static void dx_done(struct igrad_backward *bw, struct igrad_part part, struct igrad_tile tile)
{
	if (tile.o + tile.size.cols == bw->linear.problem.dim[IGRAD_DIM_O])
		igrad_linear_done(&bw->linear, IGRAD_ROLE_DX, part);
}

static bool dw_comes_first(const struct igrad_backward *bw)
{
	return bw->linear.plan.dw_first && !bw->linear.plan.dx_turned && bw->args->dx;
}

/* Wᵀ stationary, out-features on the array's rows and in-features on its columns; dY streamed */
static void dgrad_w(struct igrad_backward *bw, const struct igrad_block *block,
		    struct igrad_tile tile)
{
	uint32_t b = block->at[IGRAD_DIM_B], n = block->n[IGRAD_DIM_B];
	struct igrad_size turned = {tile.size.cols, tile.size.rows};
	struct igrad_part part = igrad_part_x(tile, b, n);

	stationary(bw, IGRAD_FLAG_TRANSPOSE, turned, IGRAD_ROLE_W, igrad_part_w(tile));
	if (dw_comes_first(bw) && bw->updates && igrad_batch_ends(bw, block))
		igrad_backward_update(bw, block, tile); /* while the array streams */
	igrad_emit_fprop(
		&bw->linear.e, tile.o ? IGRAD_FLAG_ADD : 0, turned, n,
		igrad_backward_at(bw, IGRAD_ROLE_DY, igrad_part_y(tile, b, n), IGRAD_USE_IN),
		dx(bw, part, tile.o));
	dx_done(bw, part, tile);
}

static void dgrad_w_block(struct igrad_backward *bw, const struct igrad_block *block)
{
	struct igrad_tile all = whole(block), tile = all;
	struct igrad_size most = bw->linear.plan.tile;
	uint32_t end_i = all.i + all.size.rows, end_o = all.o + all.size.cols;

	for (tile.i = all.i; tile.i < end_i; tile.i += tile.size.rows) {
		tile.size.rows = igrad_min(most.cols, end_i - tile.i);
		for (tile.o = all.o; tile.o < end_o; tile.o += tile.size.cols) {
			tile.size.cols = igrad_min(most.rows, end_o - tile.o);
			dgrad_w(bw, block, tile);
		}
	}
}

/* dYᵀ stationary, out-features on the array's rows and batch rows on its columns; in-features of W
 * are streamed */
static void dgrad_dy(struct igrad_backward *bw, struct igrad_tile tile, uint32_t b, uint32_t n)
{
	struct igrad_size turned = {tile.size.cols, n};
	struct igrad_part part = igrad_part_x(tile, b, n);

	stationary(bw, IGRAD_FLAG_TRANSPOSE, turned, IGRAD_ROLE_DY, igrad_part_y(tile, b, n));
	igrad_emit_fprop(&bw->linear.e, IGRAD_FLAG_TURN | (tile.o ? IGRAD_FLAG_ADD : 0), turned,
			 tile.size.rows,
			 igrad_backward_at(bw, IGRAD_ROLE_W, igrad_part_w(tile), IGRAD_USE_IN),
			 dx(bw, part, tile.o));
	dx_done(bw, part, tile);
}

static void dgrad_dy_block(struct igrad_backward *bw, const struct igrad_block *block)
{
	struct igrad_tile all = whole(block), tile = all;
	uint32_t end_b = block->at[IGRAD_DIM_B] + block->n[IGRAD_DIM_B];
	struct igrad_size most = bw->linear.plan.tile;
	uint32_t end_o = all.o + all.size.cols;

	for (uint32_t b = block->at[IGRAD_DIM_B], n; b < end_b; b += n) {
		n = igrad_min(most.cols, end_b - b);
		for (tile.o = all.o; tile.o < end_o; tile.o += tile.size.cols) {
			tile.size.cols = igrad_min(most.rows, end_o - tile.o);
			dgrad_dy(bw, tile, b, n);
		}
	}
}

/* ---------------------------------------------------------------- the weight gradient */

/*
 * The block's weights are worked on in strips, each as wide as the array has columns: out-features
 * that dY is stationary for, or in-features that X is.
 */
static struct igrad_tile strip_at(const struct igrad_backward *bw, const struct igrad_block *block,
				  uint32_t at)
{
	struct igrad_tile strip = whole(block);
	uint32_t most = bw->linear.plan.tile.cols;

	if (bw->linear.plan.dw_turned) {
		strip.i += at;
		strip.size.rows = igrad_min(most, strip.size.rows - at);
	} else {
		strip.o += at;
		strip.size.cols = igrad_min(most, strip.size.cols - at);
	}
	return strip;
}

static uint32_t strips_end(const struct igrad_backward *bw, const struct igrad_block *block)
{
	return block->n[bw->linear.plan.dw_turned ? IGRAD_DIM_I : IGRAD_DIM_O];
}

/* Velocities are scaled before anything is added to them. */
static void prepare_strip(struct igrad_backward *bw, const struct igrad_block *block,
			  const struct igrad_sum *sum, uint32_t strip)
{
	struct igrad_part part;

	if (!sum->velocity || !igrad_batch_begins(block) || strip >= strips_end(bw, block))
		return;
	part = igrad_part_w(strip_at(bw, block, strip));
	igrad_emit_scale(&bw->linear.e, part.size, bw->args->optimizer.momentum,
			 igrad_backward_at(bw, sum->role, part, IGRAD_USE_INOUT));
}

/* dY stationary, batch rows on the array's rows and out-features on its columns; in-features of X
 * are streamed */
static void wgrad_dy(struct igrad_backward *bw, struct igrad_tile strip, uint32_t b, uint32_t n,
		     uint16_t add, struct igrad_place dw)
{
	struct igrad_size size = {n, strip.size.cols};

	stationary(bw, 0, size, IGRAD_ROLE_DY, igrad_part_y(strip, b, n));
	igrad_emit_fprop(
		&bw->linear.e, IGRAD_FLAG_TRANSPOSE | add, size, strip.size.rows,
		igrad_backward_at(bw, IGRAD_ROLE_X, igrad_part_x(strip, b, n), IGRAD_USE_IN), dw);
}

/* X stationary, batch rows on the array's rows and in-features on its columns; out-features of dY
 * are streamed */
static void wgrad_x(struct igrad_backward *bw, struct igrad_tile strip, uint32_t b, uint32_t n,
		    uint16_t add, struct igrad_place dw)
{
	struct igrad_size size = {n, strip.size.rows};

	stationary(bw, 0, size, IGRAD_ROLE_X, igrad_part_x(strip, b, n));
	igrad_emit_fprop(
		&bw->linear.e, IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TURN | add, size, strip.size.cols,
		igrad_backward_at(bw, IGRAD_ROLE_DY, igrad_part_y(strip, b, n), IGRAD_USE_IN), dw);
}

static void sum_strip(struct igrad_backward *bw, const struct igrad_block *block,
		      const struct igrad_sum *sum, struct igrad_tile strip)
{
	uint32_t end = block->at[IGRAD_DIM_B] + block->n[IGRAD_DIM_B];

	for (uint32_t b = block->at[IGRAD_DIM_B], n; b < end; b += n) {
		bool fresh = !b && !sum->velocity;
		struct igrad_place dw = igrad_backward_at(bw, sum->role, igrad_part_w(strip),
							  fresh ? IGRAD_USE_OUT : IGRAD_USE_INOUT);

		n = igrad_min(bw->linear.plan.tile.rows, end - b);
		(bw->linear.plan.dw_turned ? wgrad_x : wgrad_dy)(bw, strip, b, n,
								 fresh ? 0 : IGRAD_FLAG_ADD, dw);
	}
	if (!igrad_batch_ends(bw, block))
		return;
	igrad_linear_done(&bw->linear, sum->role, igrad_part_w(strip));
	if (bw->updates && sum == bw->weights.sum && !dw_comes_first(bw))
		igrad_backward_update(bw, block, strip);
}

/* The vector unit works in order, so that the next strip is prepared before it waits for this one.
 */
static void wgrad_block(struct igrad_backward *bw, const struct igrad_block *block,
			const struct igrad_sum *sum)
{
	uint32_t wide = bw->linear.plan.tile.cols;

	prepare_strip(bw, block, sum, 0);
	for (uint32_t strip = 0; strip < strips_end(bw, block); strip += wide) {
		prepare_strip(bw, block, sum, strip + wide);
		sum_strip(bw, block, sum, strip_at(bw, block, strip));
	}
}

/* ---------------------------------------------------------------- blocks */

void igrad_backward_visit_ws(struct igrad_backward *bw, const struct igrad_block *block)
{
	if (!block->at[IGRAD_DIM_I])
		igrad_backward_bias(bw, block, whole(block));
	if (bw->args->dx && !dw_comes_first(bw))
		(bw->linear.plan.dx_turned ? dgrad_dy_block : dgrad_w_block)(bw, block);
	for (unsigned int i = 0; i < bw->weights.num; i++)
		wgrad_block(bw, block, &bw->weights.sum[i]);
	if (dw_comes_first(bw))
		dgrad_w_block(bw, block);
}
