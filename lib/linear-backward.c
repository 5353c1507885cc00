// SPDX-License-Identifier: MIT
/*
 * A linear layer's backward pass, in each schedule. dX sums over out-features, dW over the batch,
 * both in increasing order and with one fused multiply-add at a time whatever the schedule, so that
 * the schedules differ in cycles and accesses and in nothing else.
 */
#include <errno.h>
#include <math.h>

#include "linear.h"

struct backward {
	struct igrad_linear linear;
	const struct igrad_linear_backward *args;
	struct igrad_step step;
	bool fused;  /* W is updated in the array */
	bool biased; /* db is needed */
};

static struct igrad_place at(struct backward *bw, enum igrad_role role, uint32_t row, uint32_t col,
			     enum igrad_window_use use)
{
	return igrad_linear_at(&bw->linear, role, row, col, use);
}

/* ---------------------------------------------------------------- the optimiser */

/* weights and gradient at (@row, @col) of the operands with these roles, on the vector unit */
static void update(struct backward *bw, enum igrad_role w, enum igrad_role dw, enum igrad_role v,
		   uint32_t row, uint32_t col, struct igrad_size size)
{
	struct igrad_emitter *e = &bw->linear.e;
	struct igrad_place gradient;

	if (bw->args->optimizer.update == IGRAD_UPDATE_NONE)
		return;
	gradient = at(bw, dw, row, col, IGRAD_USE_IN);
	if (bw->args->optimizer.update == IGRAD_UPDATE_MOMENTUM) {
		struct igrad_place velocity = at(bw, v, row, col, IGRAD_USE_INOUT);

		igrad_emit_axpy(e, size, bw->args->optimizer.momentum, velocity, gradient,
				velocity);
		gradient = velocity;
	}
	igrad_emit_sgd(e, size, &bw->step, at(bw, w, row, col, IGRAD_USE_INOUT), gradient);
}

/* ---------------------------------------------------------------- the bias */

static void bias_gradient(struct backward *bw)
{
	const uint32_t *dim = bw->linear.problem.dim;
	const uint32_t *block = bw->linear.plan.block;

	for (uint32_t o = 0; o < dim[IGRAD_DIM_O] && !bw->linear.e.err; o += block[IGRAD_DIM_O]) {
		struct igrad_size size = {0, igrad_min(block[IGRAD_DIM_O], dim[IGRAD_DIM_O] - o)};

		for (uint32_t b = 0; b < dim[IGRAD_DIM_B] && !bw->linear.e.err;
		     b += block[IGRAD_DIM_B]) {
			size.rows = igrad_min(block[IGRAD_DIM_B], dim[IGRAD_DIM_B] - b);
			igrad_emit_colsum(
				&bw->linear.e, b ? IGRAD_FLAG_KEEP : 0, size,
				at(bw, IGRAD_ROLE_DY, b, o, IGRAD_USE_IN),
				at(bw, IGRAD_ROLE_DB, 0, o, b ? IGRAD_USE_INOUT : IGRAD_USE_OUT));
		}
		size.rows = 1;
		if (bw->args->b)
			update(bw, IGRAD_ROLE_BIAS, IGRAD_ROLE_DB, IGRAD_ROLE_VB, 0, o, size);
	}
}

/* ---------------------------------------------------------------- acc from chunk to chunk */

/* Make acc go on where the batch's last chunk left it; returns the flag that says so. */
static uint16_t resume_acc(struct backward *bw, uint32_t b, uint32_t i, uint32_t o,
			   struct igrad_size tile)
{
	if (!b)
		return 0;
	if (!igrad_plan_keeps_acc(&bw->linear.plan))
		igrad_emit_tile(&bw->linear.e, IGRAD_OP_LOAD_ACC, 0, tile,
				at(bw, IGRAD_ROLE_DW, i, o, IGRAD_USE_IN));
	return IGRAD_FLAG_KEEP;
}

static void drain_acc(struct backward *bw, bool first, uint32_t i, uint32_t o,
		      struct igrad_size tile)
{
	igrad_emit_tile(&bw->linear.e, IGRAD_OP_DRAIN_ACC, 0, tile,
			at(bw, IGRAD_ROLE_DW, i, o, first ? IGRAD_USE_OUT : IGRAD_USE_INOUT));
}

/* After a chunk: set acc aside, or, when the whole batch has passed, do with dW what is to be done.
 */
static void retire_acc(struct backward *bw, const struct igrad_block *block, uint32_t i, uint32_t o,
		       struct igrad_size tile)
{
	uint32_t b = block->at[IGRAD_DIM_B];
	bool last = b + block->n[IGRAD_DIM_B] == bw->linear.problem.dim[IGRAD_DIM_B];
	bool keeps = igrad_plan_keeps_acc(&bw->linear.plan);

	if (!last) {
		if (!keeps)
			drain_acc(bw, !b, i, o, tile);
	} else if (bw->fused) {
		igrad_emit_update(&bw->linear.e, tile, &bw->step);
		igrad_emit_tile(&bw->linear.e, IGRAD_OP_DRAIN_W, 0, tile,
				at(bw, IGRAD_ROLE_W, i, o, IGRAD_USE_INOUT));
	} else {
		drain_acc(bw, !b || keeps, i, o, tile);
		update(bw, IGRAD_ROLE_W, IGRAD_ROLE_DW, IGRAD_ROLE_VW, i, o, tile);
	}
}

/* ---------------------------------------------------------------- tiles of the three schedules */

/* in-features × out-features of the tile at (@i, @o) */
typedef void tile_fn(struct backward *bw, const struct igrad_block *block, uint32_t i, uint32_t o,
		     struct igrad_size tile);

static struct igrad_place psum(struct backward *bw, uint32_t b, uint32_t i, uint32_t o)
{
	return at(bw, IGRAD_ROLE_DX, b, i, o ? IGRAD_USE_INOUT : IGRAD_USE_OUT);
}

static void dgrad_tile(struct backward *bw, const struct igrad_block *block, uint32_t i, uint32_t o,
		       struct igrad_size tile)
{
	uint32_t b = block->at[IGRAD_DIM_B];

	igrad_emit_tile(&bw->linear.e, IGRAD_OP_LOAD_W, 0, tile,
			at(bw, IGRAD_ROLE_W, i, o, IGRAD_USE_IN));
	igrad_emit_dgrad(&bw->linear.e, o ? IGRAD_FLAG_ADD : 0, tile, block->n[IGRAD_DIM_B],
			 at(bw, IGRAD_ROLE_DY, b, o, IGRAD_USE_IN), psum(bw, b, i, o));
}

static void wgrad_tile(struct backward *bw, const struct igrad_block *block, uint32_t i, uint32_t o,
		       struct igrad_size tile)
{
	uint32_t b = block->at[IGRAD_DIM_B];
	uint16_t keep = resume_acc(bw, b, i, o, tile);

	if (bw->fused)
		igrad_emit_tile(&bw->linear.e, IGRAD_OP_LOAD_W, 0, tile,
				at(bw, IGRAD_ROLE_W, i, o, IGRAD_USE_IN));
	igrad_emit_wgrad(&bw->linear.e, keep, tile, block->n[IGRAD_DIM_B],
			 at(bw, IGRAD_ROLE_X, b, i, IGRAD_USE_IN),
			 at(bw, IGRAD_ROLE_DY, b, o, IGRAD_USE_IN));
	retire_acc(bw, block, i, o, tile);
}

static void interleaved_tile(struct backward *bw, const struct igrad_block *block, uint32_t i,
			     uint32_t o, struct igrad_size tile)
{
	uint32_t b = block->at[IGRAD_DIM_B];
	uint16_t flags = resume_acc(bw, b, i, o, tile) | (o ? IGRAD_FLAG_ADD : 0);

	igrad_emit_tile(&bw->linear.e, IGRAD_OP_LOAD_W, 0, tile,
			at(bw, IGRAD_ROLE_W, i, o, IGRAD_USE_IN));
	igrad_emit_interleaved(&bw->linear.e, flags, tile, block->n[IGRAD_DIM_B],
			       at(bw, IGRAD_ROLE_X, b, i, IGRAD_USE_IN),
			       at(bw, IGRAD_ROLE_DY, b, o, IGRAD_USE_IN), psum(bw, b, i, o));
	retire_acc(bw, block, i, o, tile);
}

/* dX = dY·Wᵀ as a forward product: out-features on the array's rows, in-features on its columns */
static void paper_dgrad_tile(struct backward *bw, const struct igrad_block *block, uint32_t i,
			     uint32_t o, struct igrad_size tile)
{
	struct igrad_size turned = {tile.cols, tile.rows};
	uint32_t b = block->at[IGRAD_DIM_B];

	igrad_emit_tile(&bw->linear.e, IGRAD_OP_LOAD_W, IGRAD_FLAG_TRANSPOSE, turned,
			at(bw, IGRAD_ROLE_W, i, o, IGRAD_USE_IN));
	igrad_emit_fprop(&bw->linear.e, o ? IGRAD_FLAG_ADD : 0, turned, block->n[IGRAD_DIM_B],
			 at(bw, IGRAD_ROLE_DY, b, o, IGRAD_USE_IN), psum(bw, b, i, o));
}

/*
 * dW = Xᵀ·dY as a forward product: dY stationary with batch rows on the array's rows, in-features
 * streamed. The block's in-features all stream through each tile.
 */
static void paper_wgrad_block(struct backward *bw, const struct igrad_block *block)
{
	uint32_t i = block->at[IGRAD_DIM_I], ni = block->n[IGRAD_DIM_I];
	uint32_t end_b = block->at[IGRAD_DIM_B] + block->n[IGRAD_DIM_B];
	uint32_t end_o = block->at[IGRAD_DIM_O] + block->n[IGRAD_DIM_O];
	struct igrad_emitter *e = &bw->linear.e;
	struct igrad_size tile;

	for (uint32_t o = block->at[IGRAD_DIM_O]; o < end_o; o += tile.cols) {
		tile.cols = igrad_min(bw->linear.plan.tile.cols, end_o - o);
		for (uint32_t b = block->at[IGRAD_DIM_B]; b < end_b; b += tile.rows) {
			tile.rows = igrad_min(bw->linear.plan.tile.rows, end_b - b);
			igrad_emit_tile(e, IGRAD_OP_LOAD_W, 0, tile,
					at(bw, IGRAD_ROLE_DY, b, o, IGRAD_USE_IN));
			igrad_emit_fprop(
				e, IGRAD_FLAG_TRANSPOSE | (b ? IGRAD_FLAG_ADD : 0), tile, ni,
				at(bw, IGRAD_ROLE_X, b, i, IGRAD_USE_IN),
				at(bw, IGRAD_ROLE_DW, i, o, b ? IGRAD_USE_INOUT : IGRAD_USE_OUT));
		}
		if (end_b == bw->linear.problem.dim[IGRAD_DIM_B])
			update(bw, IGRAD_ROLE_W, IGRAD_ROLE_DW, IGRAD_ROLE_VW, i, o,
			       (struct igrad_size){ni, tile.cols});
	}
}

/* ---------------------------------------------------------------- loops */

static void tiles_of_block(struct backward *bw, const struct igrad_block *block,
			   struct igrad_size most, tile_fn *fn)
{
	uint32_t end_i = block->at[IGRAD_DIM_I] + block->n[IGRAD_DIM_I];
	uint32_t end_o = block->at[IGRAD_DIM_O] + block->n[IGRAD_DIM_O];
	struct igrad_size tile;

	for (uint32_t i = block->at[IGRAD_DIM_I]; i < end_i; i += tile.rows) {
		tile.rows = igrad_min(most.rows, end_i - i);
		for (uint32_t o = block->at[IGRAD_DIM_O]; o < end_o; o += tile.cols) {
			tile.cols = igrad_min(most.cols, end_o - o);
			fn(bw, block, i, o, tile);
		}
	}
}

static void all_tiles(struct backward *bw, struct igrad_size most, tile_fn *fn)
{
	struct igrad_block block;

	igrad_linear_first(&bw->linear, &block);
	do
		tiles_of_block(bw, &block, most, fn);
	while (!bw->linear.e.err && igrad_linear_next(&bw->linear, &block));
}

static void schedule_ws_paper(struct backward *bw)
{
	struct igrad_size tile = bw->linear.plan.tile;
	struct igrad_block block;

	if (bw->args->dx)
		all_tiles(bw, (struct igrad_size){tile.cols, tile.rows}, paper_dgrad_tile);
	igrad_linear_first(&bw->linear, &block);
	do
		paper_wgrad_block(bw, &block);
	while (!bw->linear.e.err && igrad_linear_next(&bw->linear, &block));
}

static void schedule_ws_os(struct backward *bw)
{
	if (bw->args->dx)
		all_tiles(bw, bw->linear.plan.tile, dgrad_tile);
	all_tiles(bw, bw->linear.plan.tile, wgrad_tile);
}

static void schedule_interleaved(struct backward *bw)
{
	all_tiles(bw, bw->linear.plan.tile, bw->args->dx ? interleaved_tile : wgrad_tile);
}

/* ---------------------------------------------------------------- the entry point */

static int check_args(const struct igrad_linear_backward *args)
{
	bool momentum = args->optimizer.update == IGRAD_UPDATE_MOMENTUM;

	if (!args->x || !args->w || !args->dy)
		return -EINVAL;
	if ((unsigned int)args->schedule >= IGRAD_NUM_SCHEDULES ||
	    (unsigned int)args->optimizer.update > IGRAD_UPDATE_MOMENTUM)
		return -EINVAL;
	if (args->optimizer.update == IGRAD_UPDATE_NONE && !args->dw)
		return -EINVAL;
	if (momentum && (!args->vw || (args->b && !args->vb)))
		return -EINVAL;
	return 0;
}

static int backward_open(struct backward *bw, struct igrad_cmdbuf *cmdbuf)
{
	const struct igrad_linear_backward *args = bw->args;
	bool updates = args->optimizer.update != IGRAD_UPDATE_NONE;
	bool momentum = args->optimizer.update == IGRAD_UPDATE_MOMENTUM;
	const struct igrad_matrix *operands[IGRAD_NUM_ROLES] = {
		[IGRAD_ROLE_X] = args->x,
		[IGRAD_ROLE_W] = args->w,
		[IGRAD_ROLE_BIAS] = updates ? args->b : NULL,
		[IGRAD_ROLE_Y] = args->y,
		[IGRAD_ROLE_DY] = args->dy,
		[IGRAD_ROLE_DX] = args->dx,
		[IGRAD_ROLE_DW] = args->dw,
		[IGRAD_ROLE_DB] = args->db,
		[IGRAD_ROLE_VW] = momentum ? args->vw : NULL,
		[IGRAD_ROLE_VB] = momentum && args->b ? args->vb : NULL,
	};
	uint32_t dw = 1u << IGRAD_ROLE_DW, db = 1u << IGRAD_ROLE_DB;
	uint32_t scratch = (args->dw || bw->fused ? 0 : dw) | (args->db || !bw->biased ? 0 : db);
	int err;

	err = igrad_linear_open(&bw->linear, cmdbuf, operands, scratch, bw->fused ? dw : 0,
				args->schedule <= IGRAD_SCHEDULE_WS ? igrad_plan_paper
								    : igrad_plan_backward);
	if (!err && args->y)
		bw->linear.windows[IGRAD_ROLE_DY].relu = &bw->linear.windows[IGRAD_ROLE_Y];
	return err;
}

/*
 * dY may still be being computed by the layer behind this one, and loads are made in order: so
 * bring in first what the first block needs besides.
 */
static void prefetch(struct backward *bw)
{
	static const enum igrad_role roles[] = {IGRAD_ROLE_W, IGRAD_ROLE_X, IGRAD_ROLE_Y};

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (bw->linear.windows[roles[i]].num_slots)
			at(bw, roles[i], 0, 0, IGRAD_USE_IN);
}

int igrad_linear_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_backward *args)
{
	static void (*const schedules[IGRAD_NUM_SCHEDULES])(struct backward *) = {
		[IGRAD_SCHEDULE_WS_PAPER] = schedule_ws_paper,
		[IGRAD_SCHEDULE_WS] = schedule_ws_paper,
		[IGRAD_SCHEDULE_WS_OS] = schedule_ws_os,
		[IGRAD_SCHEDULE_INTERLEAVED] = schedule_interleaved,
	};
	const struct igrad_optimizer *optimizer = &args->optimizer;
	struct backward bw = {
		.args = args,
		.step =
			{
				.lr = optimizer->lr,
				.keep = fmaf(-optimizer->lr, optimizer->decay, 1.0f),
				.decay = optimizer->decay != 0.0f,
			},
		.fused = args->schedule == IGRAD_SCHEDULE_INTERLEAVED && !args->dw &&
			 optimizer->update == IGRAD_UPDATE_SGD,
		.biased = args->db || (args->b && optimizer->update != IGRAD_UPDATE_NONE),
	};
	int err = check_args(args);

	if (err)
		return err;
	if (!schedules[args->schedule])
		return -ENOTSUP;
	if (!backward_open(&bw, cmdbuf)) {
		prefetch(&bw);
		if (bw.biased)
			bias_gradient(&bw);
		schedules[args->schedule](&bw);
	}
	return igrad_linear_close(&bw.linear);
}
