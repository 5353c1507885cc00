// SPDX-License-Identifier: MIT
/*
 * A linear layer's backward pass, in each schedule. dX sums over out-features, dW over the batch,
 * both in increasing order and with one fused multiply-add at a time whatever the schedule, so that
 * the schedules differ in cycles and accesses and in nothing else.
 */
#include <errno.h>
#include <math.h>

#include "backward.h"

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

static int backward_open(struct igrad_backward *bw, struct igrad_cmdbuf *cmdbuf)
{
	const struct igrad_linear_backward *args = bw->args;
	bool momentum = args->optimizer.update == IGRAD_UPDATE_MOMENTUM;
	const struct igrad_matrix *operands[IGRAD_NUM_ROLES] = {
		[IGRAD_ROLE_X] = args->x,
		[IGRAD_ROLE_W] = args->w,
		[IGRAD_ROLE_BIAS] = bw->updates ? args->b : NULL,
		[IGRAD_ROLE_Y] = args->y,
		[IGRAD_ROLE_DY] = args->dy,
		[IGRAD_ROLE_DX] = args->dx,
		[IGRAD_ROLE_DW] = args->dw,
		[IGRAD_ROLE_DB] = args->db,
		[IGRAD_ROLE_VW] = momentum ? args->vw : NULL,
		[IGRAD_ROLE_VB] = momentum && args->b ? args->vb : NULL,
	};
	bool fused = bw->schedule == IGRAD_SCHEDULE_INTERLEAVED && bw->updates;
	uint32_t dw = unasked(args, &bw->weights), db = unasked(args, &bw->biases);
	int err;

	err = igrad_linear_open(&bw->linear, cmdbuf, operands, fused ? db : dw | db, fused ? dw : 0,
				bw->schedule <= IGRAD_SCHEDULE_WS ? igrad_plan_paper
								  : igrad_plan_backward);
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
	struct igrad_block block;

	igrad_linear_first(&bw->linear, &block);
	do {
		if (bw->schedule <= IGRAD_SCHEDULE_WS)
			igrad_backward_visit_ws(bw, &block);
		else
			igrad_backward_visit_os(bw, &block);
	} while (!bw->linear.e.err && igrad_linear_next(&bw->linear, &block));
}

int igrad_linear_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_backward *args)
{
	const struct igrad_optimizer *optimizer = &args->optimizer;
	struct igrad_backward bw = {
		.args = args,
		.schedule = args->schedule,
		.step =
			{
				.lr = optimizer->lr,
				.keep = fmaf(-optimizer->lr, optimizer->decay, 1.0f),
				.decay = optimizer->decay != 0.0f,
			},
	};
	int err = check_args(args);

	if (err)
		return err;
	if (args->schedule == IGRAD_SCHEDULE_AUTO)
		return -ENOTSUP;
	set_sums(&bw);
	if (!backward_open(&bw, cmdbuf)) {
		prefetch(&bw);
		visit_blocks(&bw);
	}
	return igrad_linear_close(&bw.linear);
}
