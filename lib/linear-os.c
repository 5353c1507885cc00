// SPDX-License-Identifier: MIT
/*
 * ws+os and interleaved: W stationary for the input gradient, the weight gradient summed up in the
 * array, after that or at the same time.
 */
#include "backward.h"

/* ---------------------------------------------------------------- weights */

static bool interleaves(const struct igrad_backward *bw)
{
	return bw->schedule == IGRAD_SCHEDULE_INTERLEAVED;
}

/* Blocks are tiles, and all chunks of the batch pass before the next one comes. */
static bool one_tile(const struct igrad_backward *bw)
{
	return igrad_plan_keeps_acc(&bw->linear.plan);
}

/* Do sums stay in the array from one chunk of the batch to the next? */
static bool keeps_acc(const struct igrad_backward *bw)
{
	return one_tile(bw) && bw->weights.num == 1;
}

static void load_w(struct igrad_backward *bw, struct igrad_tile tile)
{
	igrad_emit_tile(&bw->linear.e, IGRAD_OP_LOAD_W, 0, tile.size,
			igrad_backward_at(bw, IGRAD_ROLE_W, igrad_part_w(tile), IGRAD_USE_IN));
}

/* ---------------------------------------------------------------- sums over the batch */

/* Make acc go on where the batch's last chunk left it; returns the flag that says so. */
static uint16_t resume_acc(struct igrad_backward *bw, const struct igrad_block *block,
			   struct igrad_tile tile, const struct igrad_sum *sum)
{
	bool begins = igrad_batch_begins(block);

	if (begins && !sum->velocity)
		return 0;
	if (begins || !keeps_acc(bw))
		igrad_emit_tile(&bw->linear.e, IGRAD_OP_LOAD_ACC, 0, tile.size,
				igrad_backward_at(bw, sum->role, igrad_part_w(tile), IGRAD_USE_IN));
	if (begins)
		igrad_emit_scale_acc(&bw->linear.e, tile.size, bw->args->optimizer.momentum);
	return IGRAD_FLAG_KEEP;
}

static void drain(struct igrad_backward *bw, enum igrad_opcode op, enum igrad_role role,
		  struct igrad_tile tile, enum igrad_window_use use)
{
	igrad_emit_tile(&bw->linear.e, op, 0, tile.size,
			igrad_backward_at(bw, role, igrad_part_w(tile), use));
}

/* After the last chunk: what is to be done with a complete sum. */
static void finish_acc(struct igrad_backward *bw, const struct igrad_block *block,
		       struct igrad_tile tile, const struct igrad_sum *sum,
		       enum igrad_window_use use)
{
	bool updates = bw->updates && sum == bw->weights.sum;
	bool fused = updates && bw->linear.problem.fused;

	if (fused) {
		igrad_emit_update(&bw->linear.e, tile.size, &bw->step);
		drain(bw, IGRAD_OP_DRAIN_W, IGRAD_ROLE_W, tile, IGRAD_USE_INOUT);
		igrad_linear_done(&bw->linear, IGRAD_ROLE_W, igrad_part_w(tile));
	}
	if (!fused || bw->linear.windows[sum->role].home) {
		drain(bw, IGRAD_OP_DRAIN_ACC, sum->role, tile, use);
		igrad_linear_done(&bw->linear, sum->role, igrad_part_w(tile));
	}
	if (updates && !fused)
		igrad_backward_update(bw, block, tile);
}

static void retire_acc(struct igrad_backward *bw, const struct igrad_block *block,
		       struct igrad_tile tile, const struct igrad_sum *sum)
{
	bool fresh = !sum->velocity && (igrad_batch_begins(block) || keeps_acc(bw));
	enum igrad_window_use use = fresh ? IGRAD_USE_OUT : IGRAD_USE_INOUT;

	if (igrad_batch_ends(bw, block))
		finish_acc(bw, block, tile, sum, use);
	else if (!keeps_acc(bw))
		drain(bw, IGRAD_OP_DRAIN_ACC, sum->role, tile, use);
}

/* ---------------------------------------------------------------- tiles */

static void wgrad_tile(struct igrad_backward *bw, const struct igrad_block *block,
		       struct igrad_tile tile, const struct igrad_sum *sum)
{
	uint32_t b = block->at[IGRAD_DIM_B], n = block->n[IGRAD_DIM_B];
	uint16_t keep = resume_acc(bw, block, tile, sum);

	/* What UPDATE works on. */
	if (bw->linear.problem.fused && sum == bw->weights.sum && igrad_batch_ends(bw, block))
		load_w(bw, tile);
	igrad_emit_wgrad(
		&bw->linear.e, keep, tile.size, n,
		igrad_backward_at(bw, IGRAD_ROLE_X, igrad_part_x(tile, b, n), IGRAD_USE_IN),
		igrad_backward_at(bw, IGRAD_ROLE_DY, igrad_part_y(tile, b, n), IGRAD_USE_IN));
	retire_acc(bw, block, tile, sum);
}

static struct igrad_place dx(struct igrad_backward *bw, const struct igrad_block *block,
			     struct igrad_tile tile)
{
	struct igrad_part part = igrad_part_x(tile, block->at[IGRAD_DIM_B], block->n[IGRAD_DIM_B]);

	return igrad_backward_at(bw, IGRAD_ROLE_DX, part, tile.o ? IGRAD_USE_INOUT : IGRAD_USE_OUT);
}

static void dx_done(struct igrad_backward *bw, const struct igrad_block *block,
		    struct igrad_tile tile)
{
	if (tile.o + tile.size.cols == bw->linear.problem.dim[IGRAD_DIM_O])
		igrad_linear_done(
			&bw->linear, IGRAD_ROLE_DX,
			igrad_part_x(tile, block->at[IGRAD_DIM_B], block->n[IGRAD_DIM_B]));
}

static void dgrad_tile(struct igrad_backward *bw, const struct igrad_block *block,
		       struct igrad_tile tile)
{
	uint32_t b = block->at[IGRAD_DIM_B], n = block->n[IGRAD_DIM_B];

	if (igrad_batch_begins(block) || !one_tile(bw))
		load_w(bw, tile);
	igrad_emit_dgrad(
		&bw->linear.e, tile.o ? IGRAD_FLAG_ADD : 0, tile.size, n,
		igrad_backward_at(bw, IGRAD_ROLE_DY, igrad_part_y(tile, b, n), IGRAD_USE_IN),
		dx(bw, block, tile));
	dx_done(bw, block, tile);
}

static void interleaved_tile(struct igrad_backward *bw, const struct igrad_block *block,
			     struct igrad_tile tile)
{
	const struct igrad_sum *sum = bw->weights.sum;
	uint32_t b = block->at[IGRAD_DIM_B], n = block->n[IGRAD_DIM_B];
	uint16_t flags = resume_acc(bw, block, tile, sum) | (tile.o ? IGRAD_FLAG_ADD : 0);

	if (igrad_batch_begins(block) || !one_tile(bw))
		load_w(bw, tile);
	igrad_emit_interleaved(
		&bw->linear.e, flags, tile.size, n,
		igrad_backward_at(bw, IGRAD_ROLE_X, igrad_part_x(tile, b, n), IGRAD_USE_IN),
		igrad_backward_at(bw, IGRAD_ROLE_DY, igrad_part_y(tile, b, n), IGRAD_USE_IN),
		dx(bw, block, tile));
	dx_done(bw, block, tile);
	retire_acc(bw, block, tile, sum);
}

/* ---------------------------------------------------------------- blocks */

typedef void tile_fn(struct igrad_backward *bw, const struct igrad_block *block,
		     struct igrad_tile tile);

static void each_tile(struct igrad_backward *bw, const struct igrad_block *block, tile_fn *fn)
{
	uint32_t end_i = block->at[IGRAD_DIM_I] + block->n[IGRAD_DIM_I];
	uint32_t end_o = block->at[IGRAD_DIM_O] + block->n[IGRAD_DIM_O];
	struct igrad_size most = bw->linear.plan.tile;
	struct igrad_tile tile;

	for (tile.i = block->at[IGRAD_DIM_I]; tile.i < end_i; tile.i += tile.size.rows) {
		tile.size.rows = igrad_min(most.rows, end_i - tile.i);
		for (tile.o = block->at[IGRAD_DIM_O]; tile.o < end_o; tile.o += tile.size.cols) {
			tile.size.cols = igrad_min(most.cols, end_o - tile.o);
			fn(bw, block, tile);
		}
	}
}

static void wgrad_tile_sums(struct igrad_backward *bw, const struct igrad_block *block,
			    struct igrad_tile tile)
{
	if (!tile.i)
		igrad_backward_bias(bw, block, tile);
	for (unsigned int i = 0; i < bw->weights.num; i++)
		wgrad_tile(bw, block, tile, &bw->weights.sum[i]);
}

static void interleaved_tile_sums(struct igrad_backward *bw, const struct igrad_block *block,
				  struct igrad_tile tile)
{
	if (!tile.i)
		igrad_backward_bias(bw, block, tile);
	interleaved_tile(bw, block, tile);
	for (unsigned int i = 1; i < bw->weights.num; i++)
		wgrad_tile(bw, block, tile, &bw->weights.sum[i]);
}

void igrad_backward_visit_os(struct igrad_backward *bw, const struct igrad_block *block)
{
	if (bw->args->dx && interleaves(bw)) {
		each_tile(bw, block, interleaved_tile_sums);
		return;
	}
	if (bw->args->dx)
		each_tile(bw, block, dgrad_tile);
	each_tile(bw, block, wgrad_tile_sums);
}
