// SPDX-License-Identifier: MIT
/*
 * A linear layer's backward pass, in each schedule. dX sums over out-features, dW over the batch,
 * both in increasing order and with one fused multiply-add at a time whatever the schedule, so that
 * the schedules differ in cycles and accesses and in nothing else.
 */
#include <errno.h>

#include "backward.h"

static int check_args(const struct igrad_linear_backward *args)
{
	bool adam = args->optimizer.update == IGRAD_UPDATE_ADAM;
	bool moves = adam || args->optimizer.update == IGRAD_UPDATE_MOMENTUM;

	if (!args->x || !args->w || !args->dy)
		return -EINVAL;
	if ((unsigned int)args->schedule >= IGRAD_NUM_SCHEDULES ||
	    (unsigned int)args->objective >= IGRAD_NUM_OBJECTIVES ||
	    (unsigned int)args->optimizer.update > IGRAD_UPDATE_ADAM)
		return -EINVAL;
	if (args->optimizer.update == IGRAD_UPDATE_NONE && !args->dw)
		return -EINVAL;
	if (moves && (!args->vw || (args->b && !args->vb)))
		return -EINVAL;
	if (adam && (!args->sw || (args->b && !args->sb) || !args->adam))
		return -EINVAL;
	return 0;
}

/* ---------------------------------------------------------------- what is summed up */

static void add_sum(struct igrad_sums *sums, enum igrad_role role, bool velocity)
{
	sums->sum[sums->num++] = (struct igrad_sum){role, velocity};
}

/* What parameters are updated with comes first; a gradient that is asked for besides a velocity is
 * a sum of its own. */
static struct igrad_sums sums_of(const struct igrad_linear_backward *args, bool updates,
				 bool wanted, enum igrad_role gradient, enum igrad_role velocity)
{
	bool momentum = updates && args->optimizer.update == IGRAD_UPDATE_MOMENTUM;
	struct igrad_sums sums = {.num = 0};

	if (momentum)
		add_sum(&sums, velocity, true);
	if (wanted || (updates && !momentum))
		add_sum(&sums, gradient, false);
	return sums;
}

static void set_sums(struct igrad_backward *bw)
{
	const struct igrad_linear_backward *args = bw->args;

	bw->updates = args->optimizer.update != IGRAD_UPDATE_NONE;
	bw->weights = sums_of(args, bw->updates, args->dw, IGRAD_ROLE_DW, IGRAD_ROLE_VW);
	bw->biases = sums_of(args, bw->updates && args->b, args->db, IGRAD_ROLE_DB, IGRAD_ROLE_VB);
}

/* Bit per role: sums that nobody asked for. */
static uint32_t unasked(const struct igrad_linear_backward *args, const struct igrad_sums *sums)
{
	uint32_t roles = 0;

	for (unsigned int i = 0; i < sums->num; i++) {
		enum igrad_role role = sums->sum[i].role;

		if ((role == IGRAD_ROLE_DW && !args->dw) || (role == IGRAD_ROLE_DB && !args->db))
			roles |= 1u << role;
	}
	return roles;
}

/* ---------------------------------------------------------------- the entry point */

static void set_operands(const struct igrad_linear_backward *args,
			 const struct igrad_matrix *operands[IGRAD_NUM_ROLES])
{
	bool updates = args->optimizer.update != IGRAD_UPDATE_NONE;
	bool adam = args->optimizer.update == IGRAD_UPDATE_ADAM;
	bool moves = adam || args->optimizer.update == IGRAD_UPDATE_MOMENTUM;

	operands[IGRAD_ROLE_X] = args->x;
	operands[IGRAD_ROLE_W] = args->w;
	operands[IGRAD_ROLE_BIAS] = updates ? args->b : NULL;
	operands[IGRAD_ROLE_Y] = args->y;
	operands[IGRAD_ROLE_DY] = args->dy;
	operands[IGRAD_ROLE_DX] = args->dx;
	operands[IGRAD_ROLE_DW] = args->dw;
	operands[IGRAD_ROLE_DB] = args->db;
	operands[IGRAD_ROLE_VW] = moves ? args->vw : NULL;
	operands[IGRAD_ROLE_VB] = moves && args->b ? args->vb : NULL;
	operands[IGRAD_ROLE_SW] = adam ? args->sw : NULL;
	operands[IGRAD_ROLE_SB] = adam && args->b ? args->sb : NULL;
	operands[IGRAD_ROLE_ADAM] = adam ? args->adam : NULL;
}

int igrad_backward_problem(struct igrad_problem *problem, const struct igrad_device_info *device,
			   const struct igrad_linear_backward *args, enum igrad_schedule schedule)
{
	const struct igrad_matrix *operands[IGRAD_NUM_ROLES] = {NULL};
	struct igrad_backward bw = {.args = args};
	int err = check_args(args);

	if (err)
		return err;
	set_operands(args, operands);
	set_sums(&bw);
	err = igrad_problem_init(problem, device, operands);
	problem->narrow = problem->half & ~(1u << IGRAD_ROLE_DX);
	problem->backward = true;
	problem->schedule = schedule;
	problem->update = args->optimizer.update;
	problem->fused = schedule == IGRAD_SCHEDULE_INTERLEAVED && bw.updates &&
			 args->optimizer.update != IGRAD_UPDATE_ADAM;
	problem->scratch = unasked(args, &bw.biases);
	if (problem->fused)
		problem->spill = unasked(args, &bw.weights);
	else
		problem->scratch |= unasked(args, &bw.weights);
	return err;
}

static int backward_open(struct igrad_backward *bw, struct igrad_cmdbuf *cmdbuf,
			 const struct igrad_plan *plan)
{
	const struct igrad_linear_backward *args = bw->args;
	const struct igrad_matrix *operands[IGRAD_NUM_ROLES] = {NULL};
	struct igrad_problem problem;
	int err = igrad_backward_problem(&problem, igrad_sram_device(cmdbuf), args, plan->schedule);

	if (err)
		return err;
	set_operands(args, operands);
	set_sums(bw);
	if (plan->dx_turned && plan->schedule == IGRAD_SCHEDULE_WS && problem.narrow)
		return -EINVAL; /* what is streamed must be bf16, and W is to be updated */
	err = igrad_linear_open(&bw->linear, cmdbuf, operands, &problem, plan);
	if (!err && args->y)
		bw->linear.windows[IGRAD_ROLE_DY].relu = &bw->linear.windows[IGRAD_ROLE_Y];
	return err;
}

/*
 * dY may still be being computed by the layer behind this one, and loads are made in order: so
 * bring in first what the first tiles need besides.
 */
static void prefetch(struct igrad_backward *bw)
{
	uint32_t wide = igrad_min(bw->linear.plan.tile.cols, bw->linear.plan.block[IGRAD_DIM_O]);
	uint32_t high = igrad_min(bw->linear.plan.tile.rows, bw->linear.plan.block[IGRAD_DIM_I]);
	uint32_t batch = bw->linear.plan.block[IGRAD_DIM_B];

	igrad_linear_at(&bw->linear, IGRAD_ROLE_X, (struct igrad_part){0, 0, {batch, high}},
			IGRAD_USE_IN);
	if (bw->updates || bw->args->dx)
		igrad_linear_at(&bw->linear, IGRAD_ROLE_W, (struct igrad_part){0, 0, {high, wide}},
				IGRAD_USE_IN);
	if (bw->args->y)
		igrad_linear_at(&bw->linear, IGRAD_ROLE_Y, (struct igrad_part){0, 0, {batch, wide}},
				IGRAD_USE_IN);
}

static void visit_blocks(struct igrad_backward *bw)
{
	struct igrad_block block, next;
	bool more;

	igrad_linear_first(&bw->linear, &next);
	do {
		block = next;
		more = igrad_linear_next(&bw->linear, &next);
		bw->next = more ? &next : NULL;
		if (bw->schedule <= IGRAD_SCHEDULE_WS)
			igrad_backward_visit_ws(bw, &block);
		else
			igrad_backward_visit_os(bw, &block);
	} while (!bw->linear.e.err && more);
}

int igrad_backward_build(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_backward *args,
			 const struct igrad_plan *plan)
{
	struct igrad_backward bw = {
		.args = args,
		.schedule = plan->schedule,
		.step = igrad_step_of(&args->optimizer),
	};

	int err = backward_open(&bw, cmdbuf, plan), closed;

	if (!err) {
		prefetch(&bw);
		visit_blocks(&bw);
	}
	closed = igrad_linear_close(&bw.linear);
	return err ? err : closed;
}
