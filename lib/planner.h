/* SPDX-License-Identifier: MIT */
/*
 * Choosing plans by executing them: on a device of the same configuration that accounts for
 * commands without computing, and belongs to the device it plans for. Internal.
 */
#ifndef IGRAD_PLANNER_H
#define IGRAD_PLANNER_H

#include <errno.h>

#include "igrad/energy.h"
#include "linear-search.h"

struct igrad_planner;

/**
 * struct igrad_task - a layer's pass that needs a plan: one of both
 */
struct igrad_task {
	const struct igrad_linear_forward *forward;
	const struct igrad_linear_backward *backward;
};

/** igrad_task_objective, igrad_task_energy - what its plan is chosen for */
enum igrad_objective igrad_task_objective(const struct igrad_task *task);
const struct igrad_energy_table *igrad_task_energy(const struct igrad_task *task);

/**
 * igrad_task_problem - check the arguments, and say what is to be planned
 * @schedule: of a backward pass; means nothing to a forward pass
 */
int igrad_task_problem(struct igrad_problem *problem, const struct igrad_device_info *device,
		       const struct igrad_task *task, enum igrad_schedule schedule);

/**
 * struct igrad_trial - a plan that was executed
 * @estimate: what was known before
 * @report: what came out
 * @energy: by the task's table
 */
struct igrad_trial {
	struct igrad_candidate estimate;
	struct igrad_report report;
	double energy;
};

/** igrad_trial_compare - negative when @a is better for @objective than @b */
int igrad_trial_compare(const struct igrad_trial *a, const struct igrad_trial *b,
			enum igrad_objective objective);

/* struct igrad_bench - a device for trials, and the energy table for tasks without one */
struct igrad_bench {
	struct igrad_energy_table *energy;
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *cmdbuf;
};

/** igrad_bench_open - for trials of what a device of @info would do */
int igrad_bench_open(struct igrad_bench *bench, const struct igrad_device_info *info);
void igrad_bench_close(struct igrad_bench *bench);

/* The operands of a pass at most: of a backward pass with Adam. */
#define IGRAD_MAX_STAND_INS 13

/** struct igrad_stand_ins - operands on a bench in place of a pass's, which nobody will ever touch
 */
struct igrad_stand_ins {
	struct igrad_matrix matrices[IGRAD_MAX_STAND_INS];
	unsigned int num;
};

/** igrad_stand_in - *@operand becomes one of the same shape on the bench */
int igrad_stand_in(struct igrad_stand_ins *stand_ins, struct igrad_bench *bench,
		   const struct igrad_matrix **operand);
void igrad_stand_ins_release(struct igrad_stand_ins *stand_ins);

/**
 * igrad_bench_try - execute the most promising plans for a pass
 * @schedule: of a backward pass, not auto
 * @spilling: interleaved with updates in the array: also those that split the batch so that sums go
 * through SRAM between chunks. Without that they are tried only if nothing else can do the layer.
 * @paper: ws: the best trial of ws-paper, whose commands ws can carry out too; NULL if there is
 * none
 * @trials: room for IGRAD_MAX_CANDIDATES; the best comes first
 *
 * Returns how many there are, or why there is none.
 */
int igrad_bench_try(struct igrad_bench *bench, const struct igrad_task *task,
		    enum igrad_schedule schedule, bool spilling, const struct igrad_trial *paper,
		    struct igrad_trial trials[]);

/** igrad_unable - does an error say that a layer cannot be done in this way at all? */
static inline bool igrad_unable(int err)
{
	return err == -E2BIG || err == -ENOSPC;
}

/**
 * igrad_planner_choose - the best plan for a pass on @device, schedule included
 *
 * What has been chosen before is remembered.
 */
int igrad_planner_choose(struct igrad_device *device, const struct igrad_task *task,
			 struct igrad_plan *plan);

/**
 * igrad_planner_try - igrad_bench_try(), on the bench that plans for @device
 * @schedule: the one that is tried; whether it may spill sums depends on who asks: @task
 *
 * -EINVAL for arguments that make no sense.
 */
int igrad_planner_try(struct igrad_device *device, const struct igrad_task *task,
		      enum igrad_schedule schedule, struct igrad_trial trials[]);

/** igrad_planner_free - for the device's last moment; NULL is fine */
void igrad_planner_free(struct igrad_planner *planner);

#endif /* IGRAD_PLANNER_H */
