// SPDX-License-Identifier: MIT
/* What the forward and the backward pass of a linear layer share: operands, and the loops over
 * blocks. */
#include <errno.h>
#include <string.h>

#include "linear.h"

#define MAX_DIM (1u << 24)

/* What may be bf16: all of it or nothing. */
#define ACTIVATIONS \
	(1u << IGRAD_ROLE_X | 1u << IGRAD_ROLE_Y | 1u << IGRAD_ROLE_DY | 1u << IGRAD_ROLE_DX)

static int check_matrix(const struct igrad_matrix *m, struct igrad_size size)
{
	uint32_t bytes = igrad_element_bytes(m->dtype);

	if (!m->buffer || m->rows != size.rows || m->cols != size.cols)
		return -EINVAL;
	if (m->offset % bytes || m->pitch % bytes || (m->pitch && m->pitch < m->cols * bytes))
		return -EINVAL;
	return 0;
}

/* W fixes I and O, X fixes B. */
static int set_dims(struct igrad_problem *problem, const struct igrad_matrix *const operands[])
{
	const struct igrad_matrix *w = operands[IGRAD_ROLE_W];
	const struct igrad_matrix *x = operands[IGRAD_ROLE_X];

	if (!w || !x)
		return -EINVAL;
	problem->dim[IGRAD_DIM_B] = x->rows;
	problem->dim[IGRAD_DIM_I] = w->rows;
	problem->dim[IGRAD_DIM_O] = w->cols;
	for (int d = 0; d < IGRAD_NUM_DIMS; d++) {
		if (!problem->dim[d])
			return -EINVAL;
		if (problem->dim[d] > MAX_DIM)
			return -E2BIG;
	}
	return 0;
}

int igrad_problem_init(struct igrad_problem *problem, const struct igrad_device_info *device,
		       const struct igrad_matrix *const operands[IGRAD_NUM_ROLES])
{
	int err;

	memset(problem, 0, sizeof(*problem));
	problem->device = device;
	err = set_dims(problem, operands);
	for (int role = 0; !err && role < IGRAD_NUM_ROLES; role++) {
		if (!operands[role])
			continue;
		err = check_matrix(operands[role], igrad_role_size(problem, role));
		problem->home |= 1u << role;
		if (operands[role]->dtype == IGRAD_BF16)
			problem->half |= 1u << role;
		else if (operands[role]->dtype != IGRAD_FP32)
			err = -EINVAL;
	}
	if (!err && problem->half && problem->half != (problem->home & ACTIVATIONS))
		err = -EINVAL;
	if (!err && problem->half && !(device->features & IGRAD_FEATURE_BF16))
		err = -ENOTSUP;
	return err;
}

static int map_operands(struct igrad_linear *linear, const struct igrad_matrix *const operands[],
			const struct igrad_device_info *info)
{
	uint32_t bytes = igrad_plan_bytes(&linear->plan);
	struct igrad_sram sram;

	sram.next = igrad_sram_reserve(linear->e.cmdbuf, bytes);
	sram.end = info->sram_bytes;
	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		int err;

		if (!linear->plan.slots[role])
			continue;
		err = igrad_window_init(&linear->windows[role], &sram, operands[role],
					linear->plan.narrow & 1u << role ? IGRAD_BF16 : IGRAD_FP32,
					igrad_role_size(&linear->problem, role),
					igrad_role_block(&linear->plan, role),
					igrad_plan_piece(&linear->problem, &linear->plan, role),
					linear->plan.slots[role],
					igrad_plan_visits(&linear->problem, &linear->plan, role));
		if (err)
			return err;
	}
	return 0;
}

int igrad_linear_open(struct igrad_linear *linear, struct igrad_cmdbuf *cmdbuf,
		      const struct igrad_matrix *const operands[IGRAD_NUM_ROLES],
		      const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	memset(linear, 0, sizeof(*linear));
	linear->e.cmdbuf = cmdbuf;
	linear->problem = *problem;
	linear->plan = *plan;
	linear->e.err = map_operands(linear, operands, problem->device);
	return linear->e.err;
}

int igrad_linear_close(struct igrad_linear *linear)
{
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		igrad_window_flush(&linear->windows[role], &linear->e);
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		igrad_window_fini(&linear->windows[role]);
	return linear->e.err;
}

struct igrad_place igrad_linear_at(struct igrad_linear *linear, enum igrad_role role,
				   struct igrad_part part, enum igrad_window_use use)
{
	return igrad_window_get(&linear->windows[role], &linear->e, part, use);
}

void igrad_linear_done(struct igrad_linear *linear, enum igrad_role role, struct igrad_part part)
{
	igrad_window_done(&linear->windows[role], &linear->e, part);
}

static void set_extent(const struct igrad_linear *linear, struct igrad_block *block, int dim)
{
	uint32_t left = linear->problem.dim[dim] - block->at[dim];

	block->n[dim] = left < linear->plan.block[dim] ? left : linear->plan.block[dim];
}

void igrad_linear_first(const struct igrad_linear *linear, struct igrad_block *block)
{
	for (int dim = 0; dim < IGRAD_NUM_DIMS; dim++) {
		block->at[dim] = 0;
		set_extent(linear, block, dim);
	}
}

bool igrad_linear_next(const struct igrad_linear *linear, struct igrad_block *block)
{
	for (int loop = IGRAD_NUM_DIMS - 1; loop >= 0; loop--) {
		enum igrad_dim dim = linear->plan.order[loop];
		bool more = linear->problem.dim[dim] - block->at[dim] > linear->plan.block[dim];

		block->at[dim] = more ? block->at[dim] + linear->plan.block[dim] : 0;
		set_extent(linear, block, dim);
		if (more)
			return true;
	}
	return false;
}
