// SPDX-License-Identifier: MIT
/* Which plan a layer is done by. */
#include <errno.h>

#include "linear-search.h"

int igrad_linear_forward_for(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_forward *args)
{
	struct igrad_candidate best;
	struct igrad_problem problem;
	int err = igrad_forward_problem(&problem, igrad_sram_device(cmdbuf), args);

	if (!err)
		err = igrad_plan_search(&problem, &best, 1);
	return err < 0 ? err : igrad_forward_build(cmdbuf, args, &best.plan);
}

int igrad_linear_forward(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *x,
			 const struct igrad_matrix *w, const struct igrad_matrix *b, bool relu,
			 const struct igrad_matrix *y)
{
	const struct igrad_linear_forward args = {.x = x, .w = w, .b = b, .y = y, .relu = relu};

	return igrad_linear_forward_for(cmdbuf, &args);
}

int igrad_linear_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_backward *args)
{
	struct igrad_candidate best;
	struct igrad_problem problem;
	int err = igrad_backward_problem(&problem, igrad_sram_device(cmdbuf), args, args->schedule);

	if (!err && args->schedule == IGRAD_SCHEDULE_AUTO)
		err = -ENOTSUP;
	if (!err)
		err = igrad_plan_search(&problem, &best, 1);
	return err < 0 ? err : igrad_backward_build(cmdbuf, args, &best.plan);
}
