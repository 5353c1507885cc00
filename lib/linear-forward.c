// SPDX-License-Identifier: MIT
/* A linear layer's forward pass: W stationary, x streamed, y summed up over in-features. */
#include <errno.h>

#include "linear.h"

/* The part of y that belongs to a tile, once all in-features have been added up. */
static void finish(struct igrad_linear *linear, struct igrad_part y, struct igrad_place place,
		   bool relu)
{
	struct igrad_part bias = {0, y.col, {1, y.size.cols}};

	if (linear->windows[IGRAD_ROLE_BIAS].num_slots)
		igrad_emit_bias(&linear->e, y.size, place,
				igrad_linear_at(linear, IGRAD_ROLE_BIAS, bias, IGRAD_USE_IN));
	if (relu)
		igrad_emit_relu(&linear->e, y.size, place);
	igrad_linear_done(linear, IGRAD_ROLE_Y, y);
}

static void forward_tile(struct igrad_linear *linear, const struct igrad_block *block, uint32_t i,
			 uint32_t o, struct igrad_size tile, bool relu)
{
	uint32_t b = block->at[IGRAD_DIM_B], n = block->n[IGRAD_DIM_B];
	struct igrad_part w = {i, o, tile}, x = {b, i, {n, tile.rows}}, y = {b, o, {n, tile.cols}};
	struct igrad_emitter *e = &linear->e;
	struct igrad_place to;

	igrad_emit_tile(e, IGRAD_OP_LOAD_W, 0, tile,
			igrad_linear_at(linear, IGRAD_ROLE_W, w, IGRAD_USE_IN));
	to = igrad_linear_at(linear, IGRAD_ROLE_Y, y, i ? IGRAD_USE_INOUT : IGRAD_USE_OUT);
	igrad_emit_fprop(e, i ? IGRAD_FLAG_ADD : 0, tile, n,
			 igrad_linear_at(linear, IGRAD_ROLE_X, x, IGRAD_USE_IN), to);
	if (i + tile.rows == linear->problem.dim[IGRAD_DIM_I])
		finish(linear, y, to, relu);
}

/* Out-features one after another, so that finished ones leave while others are worked on. */
static void forward_block(struct igrad_linear *linear, const struct igrad_block *block, bool relu)
{
	uint32_t end_i = block->at[IGRAD_DIM_I] + block->n[IGRAD_DIM_I];
	uint32_t end_o = block->at[IGRAD_DIM_O] + block->n[IGRAD_DIM_O];
	struct igrad_size tile;

	for (uint32_t o = block->at[IGRAD_DIM_O]; o < end_o; o += tile.cols) {
		tile.cols = igrad_min(linear->plan.tile.cols, end_o - o);
		for (uint32_t i = block->at[IGRAD_DIM_I]; i < end_i; i += tile.rows) {
			tile.rows = igrad_min(linear->plan.tile.rows, end_i - i);
			forward_tile(linear, block, i, o, tile, relu);
		}
	}
}

static uint64_t pieces(uint32_t whole, uint32_t piece)
{
	return ((uint64_t)whole + piece - 1) / piece;
}

/* Each tile of W is loaded and used at least once: what cannot fit a job is refused at once, and
 * not when a million commands have been emitted. */
static bool hopeless(const struct igrad_linear *linear)
{
	const uint32_t *dim = linear->problem.dim;
	const struct igrad_size *tile = &linear->plan.tile;
	uint64_t tiles = pieces(dim[IGRAD_DIM_I], tile->rows) *
			 pieces(dim[IGRAD_DIM_O], tile->cols);

	return 2 * tiles > IGRAD_MAX_COMMANDS - igrad_cmdbuf_length(linear->e.cmdbuf);
}

static void set_operands(const struct igrad_linear_forward *args,
			 const struct igrad_matrix *operands[IGRAD_NUM_ROLES])
{
	operands[IGRAD_ROLE_X] = args->x;
	operands[IGRAD_ROLE_W] = args->w;
	operands[IGRAD_ROLE_BIAS] = args->b;
	operands[IGRAD_ROLE_Y] = args->y;
}

int igrad_forward_problem(struct igrad_problem *problem, const struct igrad_device_info *device,
			  const struct igrad_linear_forward *args)
{
	const struct igrad_matrix *operands[IGRAD_NUM_ROLES] = {NULL};
	int err;

	if (!args->y || (unsigned int)args->objective >= IGRAD_NUM_OBJECTIVES)
		return -EINVAL;
	set_operands(args, operands);
	err = igrad_problem_init(problem, device, operands);
	if (problem->half)
		problem->narrow = 1u << IGRAD_ROLE_X | 1u << IGRAD_ROLE_W;
	return err;
}

int igrad_forward_build(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_forward *args,
			const struct igrad_plan *plan)
{
	const struct igrad_matrix *operands[IGRAD_NUM_ROLES] = {NULL};
	struct igrad_problem problem;
	struct igrad_linear linear;
	struct igrad_block block;
	int err = igrad_forward_problem(&problem, igrad_sram_device(cmdbuf), args);

	if (err)
		return err;
	set_operands(args, operands);
	if (!igrad_linear_open(&linear, cmdbuf, operands, &problem, plan) && hopeless(&linear))
		linear.e.err = -E2BIG;
	if (!linear.e.err) {
		igrad_linear_first(&linear, &block);
		do
			forward_block(&linear, &block, args->relu);
		while (!linear.e.err && igrad_linear_next(&linear, &block));
	}
	return igrad_linear_close(&linear);
}
