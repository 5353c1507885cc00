// SPDX-License-Identifier: MIT
/*
 * How a layer is cut. The rule here is simple: keep everything resident if it fits, in panels so
 * that computing starts before all is loaded; else shrink blocks, in-features first, then
 * out-features, the batch last, since only a whole batch lets a tile's weight gradient stay in the
 * array.
 */
#include <errno.h>

#include "linear.h"

#define MIN_STREAM 16 /* shorter batch chunks cost more in the array's skew than they save */

/* Dimensions of each operand; a row vector has no row dimension. */
#define ONE_ROW IGRAD_NUM_DIMS
static const struct {
	uint8_t row;
	uint8_t col;
} geometry[IGRAD_NUM_ROLES] = {
	[IGRAD_ROLE_X] = {IGRAD_DIM_B, IGRAD_DIM_I},  [IGRAD_ROLE_W] = {IGRAD_DIM_I, IGRAD_DIM_O},
	[IGRAD_ROLE_BIAS] = {ONE_ROW, IGRAD_DIM_O},   [IGRAD_ROLE_Y] = {IGRAD_DIM_B, IGRAD_DIM_O},
	[IGRAD_ROLE_DY] = {IGRAD_DIM_B, IGRAD_DIM_O}, [IGRAD_ROLE_DX] = {IGRAD_DIM_B, IGRAD_DIM_I},
	[IGRAD_ROLE_DW] = {IGRAD_DIM_I, IGRAD_DIM_O}, [IGRAD_ROLE_DB] = {ONE_ROW, IGRAD_DIM_O},
	[IGRAD_ROLE_VW] = {IGRAD_DIM_I, IGRAD_DIM_O}, [IGRAD_ROLE_VB] = {ONE_ROW, IGRAD_DIM_O},
};

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static struct igrad_size shape(const uint32_t *dim, enum igrad_role role)
{
	return (struct igrad_size){
		geometry[role].row == ONE_ROW ? 1 : dim[geometry[role].row],
		dim[geometry[role].col],
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

uint64_t igrad_plan_bytes(const struct igrad_plan *plan)
{
	uint64_t bytes = 0;

	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		struct igrad_size block = igrad_role_block(plan, role);

		bytes += (uint64_t)plan->slots[role] * block.rows * block.cols * 4;
	}
	return bytes;
}

bool igrad_plan_keeps_acc(const struct igrad_plan *plan)
{
	return plan->order[IGRAD_NUM_DIMS - 1] == IGRAD_DIM_B &&
	       plan->block[IGRAD_DIM_I] <= plan->tile.rows &&
	       plan->block[IGRAD_DIM_O] <= plan->tile.cols;
}

static uint32_t num_blocks(const struct igrad_problem *problem, const struct igrad_plan *plan,
			   enum igrad_role role)
{
	uint64_t blocks = igrad_window_blocks(igrad_role_size(problem, role),
					      igrad_role_block(plan, role));

	return blocks < UINT32_MAX ? blocks : UINT32_MAX;
}

static bool needs_spill(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	return plan->block[IGRAD_DIM_B] < problem->dim[IGRAD_DIM_B] && !igrad_plan_keeps_acc(plan);
}

/* Up to @most slots for each operand, no more than it has blocks. */
static void set_slots(const struct igrad_problem *problem, struct igrad_plan *plan, uint32_t most)
{
	uint32_t scratch = problem->scratch;

	if (needs_spill(problem, plan))
		scratch |= problem->spill;
	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		uint32_t blocks = num_blocks(problem, plan, role);

		if (problem->home & 1u << role)
			plan->slots[role] = igrad_min(blocks, most);
		else if (scratch & 1u << role)
			plan->slots[role] = igrad_min(blocks, igrad_min(most, 2));
		else
			plan->slots[role] = 0;
	}
}

static bool fits(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	return igrad_plan_bytes(plan) <= problem->sram_bytes;
}

/* Half of @n, in whole units. */
static uint32_t halve(uint32_t n, uint32_t unit)
{
	uint32_t half = n / 2;

	return half <= unit ? unit : (half + unit - 1) / unit * unit;
}

/* The side of W that panels do not cut. */
static enum igrad_dim across(enum igrad_dim panels)
{
	return panels == IGRAD_DIM_I ? IGRAD_DIM_O : IGRAD_DIM_I;
}

/* Make the plan smaller by one step; false when it cannot be. */
static bool shrink(struct igrad_plan *plan, enum igrad_dim panels, uint32_t *most)
{
	enum igrad_dim other = across(panels);
	uint32_t *block = plan->block;
	uint32_t unit = max_u32(plan->tile.rows, plan->tile.cols);

	if (block[panels] > unit)
		block[panels] = halve(block[panels], unit);
	else if (block[other] > 4 * unit)
		block[other] = halve(block[other], unit);
	else if (block[IGRAD_DIM_B] > 4 * unit)
		block[IGRAD_DIM_B] = halve(block[IGRAD_DIM_B], unit);
	else if (block[other] > unit)
		block[other] = halve(block[other], unit);
	else if (block[IGRAD_DIM_B] > MIN_STREAM)
		block[IGRAD_DIM_B] = halve(block[IGRAD_DIM_B], MIN_STREAM);
	else if (*most > 1)
		*most = 1;
	else if (unit > 1) {
		plan->tile.rows = igrad_min(plan->tile.rows, unit / 2);
		plan->tile.cols = igrad_min(plan->tile.cols, unit / 2);
	} else if (block[IGRAD_DIM_B] > 1) {
		block[IGRAD_DIM_B] = 1;
	} else {
		return false;
	}
	return true;
}

/* With SRAM left over, make whole operands resident, those first that are visited most often. */
static void use_up(const struct igrad_problem *problem, struct igrad_plan *plan)
{
	static const enum igrad_role order[] = {IGRAD_ROLE_DY, IGRAD_ROLE_Y, IGRAD_ROLE_DX,
						IGRAD_ROLE_X, IGRAD_ROLE_W};

	for (unsigned int i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		uint32_t before = plan->slots[order[i]];

		if (!before)
			continue;
		plan->slots[order[i]] = num_blocks(problem, plan, order[i]);
		if (!fits(problem, plan))
			plan->slots[order[i]] = before;
	}
}

/* How wide a panel is whose W takes long enough to load to hide the DMA's latency. */
static uint32_t panel(const struct igrad_problem *problem, enum igrad_dim panels)
{
	uint32_t unit = max_u32(problem->array.rows, problem->array.cols);
	uint64_t words = problem->panel_bytes / 4 + 1;
	uint64_t lines = words / problem->dim[across(panels)] + 1;
	uint64_t panel = (lines + unit - 1) / unit * unit;

	return panel < problem->dim[panels] ? panel : problem->dim[panels];
}

static int make_plan(const struct igrad_problem *problem, enum igrad_dim panels,
		     struct igrad_plan *plan)
{
	enum igrad_dim other = across(panels);
	uint32_t most = UINT32_MAX;

	plan->tile = problem->array;
	plan->block[IGRAD_DIM_B] = igrad_min(problem->dim[IGRAD_DIM_B], IGRAD_MAX_BATCH);
	plan->block[panels] = igrad_min(panel(problem, panels), IGRAD_MAX_BATCH);
	plan->block[other] = igrad_min(problem->dim[other], IGRAD_MAX_BATCH);
	set_slots(problem, plan, most);
	if (fits(problem, plan))
		return 0;

	most = 2;
	set_slots(problem, plan, most);
	while (!fits(problem, plan)) {
		if (!shrink(plan, panels, &most))
			return -ENOSPC;
		set_slots(problem, plan, most);
	}
	use_up(problem, plan);
	return 0;
}

static void set_order(struct igrad_plan *plan, enum igrad_dim outer, enum igrad_dim middle,
		      enum igrad_dim inner)
{
	plan->order[0] = outer;
	plan->order[1] = middle;
	plan->order[2] = inner;
}

/*
 * Forward, y stays in SRAM until it is complete: with all out-features in one block, W is used in
 * the order in which its panels arrive.
 */
int igrad_plan_forward(const struct igrad_problem *problem, struct igrad_plan *plan)
{
	int err;

	set_order(plan, IGRAD_DIM_B, IGRAD_DIM_I, IGRAD_DIM_O);
	err = make_plan(problem, IGRAD_DIM_I, plan);
	if (plan->block[IGRAD_DIM_O] < problem->dim[IGRAD_DIM_O])
		set_order(plan, IGRAD_DIM_B, IGRAD_DIM_O, IGRAD_DIM_I);
	return err;
}

/* Backward, dW of a block is completed, and W updated, before the next block begins. */
int igrad_plan_backward(const struct igrad_problem *problem, struct igrad_plan *plan)
{
	set_order(plan, IGRAD_DIM_I, IGRAD_DIM_O, IGRAD_DIM_B);
	return make_plan(problem, IGRAD_DIM_I, plan);
}

/* With dY stationary in-features are streamed: the more of them the better, so panels cut the other
 * side. */
int igrad_plan_paper(const struct igrad_problem *problem, struct igrad_plan *plan)
{
	set_order(plan, IGRAD_DIM_O, IGRAD_DIM_I, IGRAD_DIM_B);
	return make_plan(problem, IGRAD_DIM_O, plan);
}
