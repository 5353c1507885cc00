// SPDX-License-Identifier: MIT
/* What a plan means: shapes, the order in which blocks are asked for, and what that costs in SRAM
 * and DRAM traffic. */
#include <stdlib.h>

#include "linear.h"

/* Dimensions of each operand; a row vector has no row dimension, and Adam's constants have none. */
#define ONE_ROW	  IGRAD_NUM_DIMS
#define CONSTANTS (IGRAD_NUM_DIMS + 1)
static const struct {
	uint8_t row;
	uint8_t col;
} geometry[IGRAD_NUM_ROLES] = {
	[IGRAD_ROLE_X] = {IGRAD_DIM_B, IGRAD_DIM_I},  [IGRAD_ROLE_W] = {IGRAD_DIM_I, IGRAD_DIM_O},
	[IGRAD_ROLE_BIAS] = {ONE_ROW, IGRAD_DIM_O},   [IGRAD_ROLE_Y] = {IGRAD_DIM_B, IGRAD_DIM_O},
	[IGRAD_ROLE_DY] = {IGRAD_DIM_B, IGRAD_DIM_O}, [IGRAD_ROLE_DX] = {IGRAD_DIM_B, IGRAD_DIM_I},
	[IGRAD_ROLE_DW] = {IGRAD_DIM_I, IGRAD_DIM_O}, [IGRAD_ROLE_DB] = {ONE_ROW, IGRAD_DIM_O},
	[IGRAD_ROLE_VW] = {IGRAD_DIM_I, IGRAD_DIM_O}, [IGRAD_ROLE_VB] = {ONE_ROW, IGRAD_DIM_O},
	[IGRAD_ROLE_SW] = {IGRAD_DIM_I, IGRAD_DIM_O}, [IGRAD_ROLE_SB] = {ONE_ROW, IGRAD_DIM_O},
	[IGRAD_ROLE_ADAM] = {ONE_ROW, CONSTANTS},
};

/* ---------------------------------------------------------------- shapes */

static struct igrad_size shape(const uint32_t *dim, enum igrad_role role)
{
	return (struct igrad_size){
		geometry[role].row == ONE_ROW ? 1 : dim[geometry[role].row],
		geometry[role].col == CONSTANTS ? IGRAD_ADAM_WORDS : dim[geometry[role].col],
	};
}

struct igrad_size igrad_role_size(const struct igrad_problem *problem, enum igrad_role role)
{
	return shape(problem->dim, role);
}

struct igrad_size igrad_role_block(const struct igrad_plan *plan, enum igrad_role role)
{
	return shape(plan->block, role);
}

uint64_t igrad_slot_bytes(const struct igrad_plan *plan, enum igrad_role role)
{
	struct igrad_size block = igrad_role_block(plan, role);
	uint64_t bytes = (uint64_t)block.rows * block.cols;

	bytes *= plan->narrow & 1u << role ? 2 : 4;
	return (bytes + 3) / 4 * 4;
}

uint64_t igrad_plan_bytes(const struct igrad_plan *plan)
{
	uint64_t bytes = 0;

	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		bytes += plan->slots[role] * igrad_slot_bytes(plan, role);
	return bytes;
}

bool igrad_plan_keeps_acc(const struct igrad_plan *plan)
{
	return plan->order[IGRAD_NUM_DIMS - 1] == IGRAD_DIM_B &&
	       plan->block[IGRAD_DIM_I] <= plan->tile.rows &&
	       plan->block[IGRAD_DIM_O] <= plan->tile.cols;
}

bool igrad_plan_spills(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	return problem->fused && plan->block[IGRAD_DIM_B] < problem->dim[IGRAD_DIM_B] &&
	       !igrad_plan_keeps_acc(plan);
}

/* ---------------------------------------------------------------- use */

static uint32_t num_blocks(const struct igrad_problem *problem, const struct igrad_plan *plan,
			   enum igrad_dim dim)
{
	return (problem->dim[dim] - 1) / plan->block[dim] + 1;
}

/* How a pass uses an operand, over the blocks of the dimension that it does not have. */
enum touch {
	TOUCH_IN,     /* read every time */
	TOUCH_INOUT,  /* read every time, changed the last time */
	TOUCH_SUM,    /* begun the first time, continued every time */
	TOUCH_CHANGE, /* read and changed every time */
	TOUCH_ONCE_IN,
	TOUCH_ONCE_OUT,
	TOUCH_ONCE_INOUT,
	TOUCH_NEVER,
};

/* Does dW go through SRAM for every block of the batch? */
static bool dw_continues(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	const uint32_t both = 1u << IGRAD_ROLE_DW | 1u << IGRAD_ROLE_VW;
	bool momentum = problem->update == IGRAD_UPDATE_MOMENTUM;

	if (num_blocks(problem, plan, IGRAD_DIM_B) == 1)
		return false;
	if (momentum && (problem->home & both) == both) /* two sums take turns in the array */
		return true;
	return problem->schedule <= IGRAD_SCHEDULE_WS || !igrad_plan_keeps_acc(plan);
}

static enum touch touch_backward(const struct igrad_problem *problem, const struct igrad_plan *plan,
				 enum igrad_role role)
{
	bool updates = problem->update != IGRAD_UPDATE_NONE;
	bool momentum = problem->update == IGRAD_UPDATE_MOMENTUM;
	bool has_dx = problem->home & 1u << IGRAD_ROLE_DX;
	bool split = num_blocks(problem, plan, IGRAD_DIM_B) > 1;

	switch (role) {
	case IGRAD_ROLE_X:
	case IGRAD_ROLE_Y:
	case IGRAD_ROLE_DY:
		return TOUCH_IN;
	case IGRAD_ROLE_DX:
	case IGRAD_ROLE_DB:
		return TOUCH_SUM;
	case IGRAD_ROLE_W:
		if (has_dx)
			return updates ? TOUCH_INOUT : TOUCH_IN;
		return updates ? TOUCH_ONCE_INOUT : TOUCH_NEVER;
	case IGRAD_ROLE_DW:
		return dw_continues(problem, plan) ? TOUCH_SUM : TOUCH_ONCE_OUT;
	case IGRAD_ROLE_VW:
		return momentum && dw_continues(problem, plan) ? TOUCH_CHANGE : TOUCH_ONCE_INOUT;
	case IGRAD_ROLE_VB:
		return momentum && split ? TOUCH_CHANGE : TOUCH_ONCE_INOUT;
	case IGRAD_ROLE_ADAM:
		return TOUCH_ONCE_IN;
	default:
		return TOUCH_ONCE_INOUT;
	}
}

static enum touch touch(const struct igrad_problem *problem, const struct igrad_plan *plan,
			enum igrad_role role)
{
	if (problem->backward)
		return touch_backward(problem, plan, role);
	return role == IGRAD_ROLE_Y ? TOUCH_SUM : TOUCH_IN;
}

/* ---------------------------------------------------------------- order */

/* The dimension that an operand does not have: its blocks are asked for once for each block of it.
 */
static enum igrad_dim repeated(enum igrad_role role)
{
	if (geometry[role].row == ONE_ROW)
		return IGRAD_DIM_B; /* all happens at one block of in-features */
	return IGRAD_DIM_B + IGRAD_DIM_I + IGRAD_DIM_O - geometry[role].row - geometry[role].col;
}

static int depth(const struct igrad_plan *plan, enum igrad_dim dim)
{
	int loop = 0;

	while (plan->order[loop] != dim)
		loop++;
	return loop;
}

struct igrad_visits igrad_plan_visits(const struct igrad_problem *problem,
				      const struct igrad_plan *plan, enum igrad_role role)
{
	enum igrad_dim row = geometry[role].row, col = geometry[role].col;
	enum touch how = touch(problem, plan, role);
	enum igrad_dim again = repeated(role);
	struct igrad_visits visits = {.sweep = 1, .times = 1};
	uint64_t sweep = 1;

	if (row != ONE_ROW)
		visits.by_columns = depth(plan, col) < depth(plan, row);
	if (how >= TOUCH_ONCE_IN || col == CONSTANTS || num_blocks(problem, plan, again) == 1)
		return visits;
	if (depth(plan, col) > depth(plan, again))
		sweep *= num_blocks(problem, plan, col);
	if (row != ONE_ROW && depth(plan, row) > depth(plan, again))
		sweep *= num_blocks(problem, plan, row);
	visits.sweep = sweep < UINT32_MAX ? sweep : UINT32_MAX;
	visits.times = num_blocks(problem, plan, again);
	return visits;
}

/* ---------------------------------------------------------------- pieces */

#define MOST_PARTS 8 /* of a tile: with more the whole is hardly quicker, for more commands */

/* Does a block come in, change and leave before the next one takes its slot? */
static bool comes_and_goes(const struct igrad_problem *problem, const struct igrad_plan *plan,
			   enum igrad_role role)
{
	struct igrad_visits visits = igrad_plan_visits(problem, plan, role);

	switch (touch(problem, plan, role)) {
	case TOUCH_INOUT:
	case TOUCH_CHANGE:
	case TOUCH_ONCE_INOUT:
		return true;
	case TOUCH_SUM:
		return visits.times > 1 && visits.sweep > plan->slots[role];
	default:
		return false;
	}
}

/* The part of a block that belongs to one tile. Batch rows are streamed, and not cut. */
static struct igrad_size of_tile(const struct igrad_plan *plan, enum igrad_role role)
{
	struct igrad_plan cut = *plan;

	cut.block[IGRAD_DIM_I] = igrad_min(cut.block[IGRAD_DIM_I], cut.tile.rows);
	cut.block[IGRAD_DIM_O] = igrad_min(cut.block[IGRAD_DIM_O], cut.tile.cols);
	return igrad_role_block(&cut, role);
}

uint32_t igrad_plan_parts(const struct igrad_problem *problem, const struct igrad_plan *plan,
			  enum igrad_role role)
{
	struct igrad_size piece = of_tile(plan, role);
	uint64_t bytes = (uint64_t)igrad_role_width(problem, role) * piece.rows * piece.cols;
	uint64_t blocks = igrad_window_blocks(igrad_role_size(problem, role),
					      igrad_role_block(plan, role));
	uint64_t places = plan->slots[role];
	uint32_t parts = MOST_PARTS;

	places *= igrad_window_blocks(igrad_role_block(plan, role), piece);
	if (places > 2 || plan->slots[role] >= blocks || !(problem->home & 1u << role) ||
	    !comes_and_goes(problem, plan, role))
		return 1;
	while (parts > 1 &&
	       (piece.rows % parts || bytes < parts * igrad_piece_least(problem->device)))
		parts--;
	return parts;
}

struct igrad_size igrad_plan_piece(const struct igrad_problem *problem,
				   const struct igrad_plan *plan, enum igrad_role role)
{
	uint64_t bytes = igrad_role_width(problem, role),
		 least = igrad_piece_least(problem->device);
	struct igrad_size block = igrad_role_block(plan, role), piece = of_tile(plan, role);

	piece.rows /= igrad_plan_parts(problem, plan, role);
	while (bytes * piece.rows * piece.cols < least && piece.cols < block.cols)
		piece.cols = igrad_min(2 * piece.cols, block.cols);
	while (bytes * piece.rows * piece.cols < least && piece.rows < block.rows)
		piece.rows = igrad_min(2 * piece.rows, block.rows);
	return piece;
}

/* ---------------------------------------------------------------- traffic */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Words of the first @count blocks of each sweep, all sweeps over different blocks together. */
static uint64_t words_pinned(const struct igrad_problem *problem, const struct igrad_plan *plan,
			     enum igrad_role role, uint32_t count)
{
	struct igrad_visits visits = igrad_plan_visits(problem, plan, role);
	struct igrad_size size = igrad_role_size(problem, role);
	struct igrad_size block = igrad_role_block(plan, role);
	uint64_t outer = visits.by_columns ? size.cols : size.rows;
	uint64_t inner = visits.by_columns ? size.rows : size.cols;
	uint64_t outer_block = visits.by_columns ? block.cols : block.rows;
	uint64_t inner_block = visits.by_columns ? block.rows : block.cols;
	uint64_t across = (inner - 1) / inner_block + 1;
	uint64_t whole = count / across;

	if (visits.sweep <= across) /* a sweep is one line of blocks, and there are many */
		return outer * min_u64(count * inner_block, inner);
	return min_u64(whole * outer_block, outer) * inner +
	       min_u64(outer_block, outer - min_u64(whole * outer_block, outer)) *
		       min_u64(count % across * inner_block, inner);
}

/* Words brought in or begun, when every block is asked for once for each block of another
 * dimension. */
static uint64_t words_missed(const struct igrad_problem *problem, const struct igrad_plan *plan,
			     enum igrad_role role)
{
	uint32_t sweep = igrad_plan_visits(problem, plan, role).sweep;
	struct igrad_size size = igrad_role_size(problem, role);
	uint64_t words = (uint64_t)size.rows * size.cols;
	uint32_t slots = plan->slots[role];
	uint64_t times, pinned;

	/* y is asked for whenever a block of dY is brought in: what either keeps is loaded once. */
	if (role == IGRAD_ROLE_Y && problem->backward && slots < plan->slots[IGRAD_ROLE_DY])
		slots = plan->slots[IGRAD_ROLE_DY];

	if (sweep <= slots)
		return words;
	times = num_blocks(problem, plan, repeated(role));
	pinned = words_pinned(problem, plan, role, igrad_window_pinned(slots));
	return times * words - (times - 1) * pinned;
}

/* Returns false when scratch would be lost. */
static bool add_traffic(const struct igrad_problem *problem, const struct igrad_plan *plan,
			enum igrad_role role, struct igrad_traffic *traffic)
{
	struct igrad_size size = igrad_role_size(problem, role);
	uint64_t words = (uint64_t)size.rows * size.cols, missed = words, in = 0, out = 0;
	uint32_t bytes = igrad_role_width(problem, role);
	enum touch how = touch(problem, plan, role);

	if (how < TOUCH_ONCE_IN)
		missed = words_missed(problem, plan, role);
	if (how == TOUCH_IN || how == TOUCH_INOUT || how == TOUCH_CHANGE || how == TOUCH_ONCE_IN ||
	    how == TOUCH_ONCE_INOUT)
		in = missed;
	else if (how == TOUCH_SUM)
		in = missed - words;
	if (how == TOUCH_SUM || how == TOUCH_CHANGE)
		out = missed;
	else if (how == TOUCH_INOUT || how == TOUCH_ONCE_OUT || how == TOUCH_ONCE_INOUT)
		out = words;
	if (!(problem->home & 1u << role))
		return !in;
	if (in && igrad_problem_whole(problem) & 1u << role)
		return false;
	traffic->read += bytes * in;
	traffic->written += bytes * out;
	return true;
}

bool igrad_plan_traffic(const struct igrad_problem *problem, const struct igrad_plan *plan,
			struct igrad_traffic *traffic)
{
	bool possible = true;

	*traffic = (struct igrad_traffic){0, 0};
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		if (plan->slots[role])
			possible &= add_traffic(problem, plan, role, traffic);
	return possible;
}

uint64_t igrad_problem_compulsory(const struct igrad_problem *problem)
{
	struct igrad_plan plan = {.order = {IGRAD_DIM_B, IGRAD_DIM_I, IGRAD_DIM_O}};
	struct igrad_traffic traffic;

	for (int dim = 0; dim < IGRAD_NUM_DIMS; dim++)
		plan.block[dim] = problem->dim[dim];
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		plan.slots[role] = problem->home >> role & 1;
	igrad_plan_traffic(problem, &plan, &traffic);
	return traffic.read + traffic.written;
}
