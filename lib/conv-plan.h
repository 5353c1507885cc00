/* SPDX-License-Identifier: MIT */
/*
 * How a convolution's passes are done: by the best of several ways that were executed. Internal.
 */
#ifndef IGRAD_LIB_CONV_PLAN_H
#define IGRAD_LIB_CONV_PLAN_H

#include "conv.h"

/** struct igrad_conv_task - a pass of one group: one of both */
struct igrad_conv_task {
	const struct igrad_conv_forward *forward;
	const struct igrad_conv_backward *backward;
};

/** igrad_conv_forward_build, igrad_conv_backward_build - the commands of a pass that has been
 * checked, following any plan; -ENOSPC when SRAM is too small for it */
int igrad_conv_forward_build(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_forward *args,
			     const struct igrad_conv_plan *plan);
int igrad_conv_backward_build(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_backward *args,
			      const struct igrad_conv_plan *plan);

/** igrad_conv_do - choose a plan, unless the same has been asked for before, and follow it */
int igrad_conv_do(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_task *task);

struct igrad_conv_planner;

/** igrad_conv_planner_free - for the device's last moment; NULL is fine */
void igrad_conv_planner_free(struct igrad_conv_planner *planner);

#endif /* IGRAD_LIB_CONV_PLAN_H */
