// SPDX-License-Identifier: MIT
/* Trials: the commands of a plan, executed on a device that only keeps accounts. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner.h"

#define TIMEOUT_MS    600000 /* a busy machine is no reason to give up */
#define AS_GOOD	      1.002  /* × the least cycles that are possible: not worth another trial */
#define MANY_COMMANDS 40000  /* what all trials of a search but the first may come to, roughly */

/* ---------------------------------------------------------------- the device */

int igrad_bench_open(struct igrad_bench *bench, const struct igrad_device_info *info)
{
	char uri[256];
	int err;

	memset(bench, 0, sizeof(*bench));
	snprintf(uri, sizeof(uri),
		 "sim:rows=%" PRIu32 ",cols=%" PRIu32 ",overlap=%s,sram-kib=%" PRIu32
		 ",dram-bytes-per-cycle=%" PRIu32 ",dram-latency=%" PRIu32 ",clock-hz=%" PRIu64
		 ",job-timeout-ms=%d,timing-only=on",
		 info->rows, info->cols, info->features & IGRAD_FEATURE_OVERLAP ? "on" : "off",
		 info->sram_bytes >> 10, info->dram_bytes_per_cycle, info->dram_latency,
		 info->clock_hz, TIMEOUT_MS);
	err = igrad_device_open(uri, &bench->device, NULL);
	if (!err)
		err = igrad_energy_table_load(NULL, &bench->energy, NULL);
	if (!err)
		err = igrad_queue_new(bench->device, &bench->queue);
	if (!err)
		err = igrad_cmdbuf_new(bench->device, &bench->cmdbuf);
	if (err)
		igrad_bench_close(bench);
	return err;
}

void igrad_bench_close(struct igrad_bench *bench)
{
	igrad_energy_table_unref(bench->energy);
	igrad_cmdbuf_unref(bench->cmdbuf);
	igrad_queue_unref(bench->queue);
	igrad_device_unref(bench->device);
	memset(bench, 0, sizeof(*bench));
}

/* ---------------------------------------------------------------- operands */

int igrad_stand_in(struct igrad_stand_ins *stand_ins, struct igrad_bench *bench,
		   const struct igrad_matrix **operand)
{
	struct igrad_matrix *m = &stand_ins->matrices[stand_ins->num];
	int err;

	*m = **operand;
	m->offset = 0;
	m->pitch = 0;
	err = igrad_buffer_new(bench->device, 4ull * m->rows * m->cols, &m->buffer);
	if (err)
		return err;
	stand_ins->num++;
	*operand = m;
	return 0;
}

void igrad_stand_ins_release(struct igrad_stand_ins *stand_ins)
{
	while (stand_ins->num)
		igrad_buffer_unref(stand_ins->matrices[--stand_ins->num].buffer);
}

/* The task with operands on the bench. */
struct dummy {
	struct igrad_task task;
	struct igrad_linear_forward forward;
	struct igrad_linear_backward backward;
	struct igrad_stand_ins stand_ins;
};

static int dummy_init(struct dummy *dummy, struct igrad_bench *bench, const struct igrad_task *task)
{
	struct igrad_linear_backward *b = &dummy->backward;
	struct igrad_linear_forward *f = &dummy->forward;
	const struct igrad_matrix **operands[] = {
		&f->x,	&f->w,	&f->b,	&f->y,	&b->x,	&b->w,	&b->b,	&b->y,	  &b->dy,
		&b->dx, &b->dw, &b->db, &b->vw, &b->vb, &b->sw, &b->sb, &b->adam,
	};
	int err = 0;

	memset(dummy, 0, sizeof(*dummy));
	if (task->forward) {
		*f = *task->forward;
		dummy->task.forward = f;
	} else {
		*b = *task->backward;
		dummy->task.backward = b;
	}
	for (size_t i = 0; !err && i < sizeof(operands) / sizeof(operands[0]); i++)
		if (*operands[i])
			err = igrad_stand_in(&dummy->stand_ins, bench, operands[i]);
	return err;
}

/* ---------------------------------------------------------------- trials */

enum igrad_objective igrad_task_objective(const struct igrad_task *task)
{
	return task->forward ? task->forward->objective : task->backward->objective;
}

const struct igrad_energy_table *igrad_task_energy(const struct igrad_task *task)
{
	return task->forward ? task->forward->energy : task->backward->energy;
}

int igrad_task_problem(struct igrad_problem *problem, const struct igrad_device_info *device,
		       const struct igrad_task *task, enum igrad_schedule schedule)
{
	return task->forward ? igrad_forward_problem(problem, device, task->forward)
			     : igrad_backward_problem(problem, device, task->backward, schedule);
}

static double energy_of(const struct igrad_bench *bench, const struct igrad_task *task,
			const struct igrad_report *report)
{
	const struct igrad_energy_table *table = igrad_task_energy(task);
	struct igrad_energy energy;

	igrad_energy(table ? table : bench->energy, report, igrad_device_info(bench->device),
		     &energy);
	return energy.total;
}

static int execute(struct igrad_bench *bench, const struct igrad_task *task,
		   const struct igrad_plan *plan, struct igrad_report *report)
{
	int err = igrad_cmdbuf_reset(bench->cmdbuf);

	if (!err && task->forward)
		err = igrad_forward_build(bench->cmdbuf, task->forward, plan);
	else if (!err)
		err = igrad_backward_build(bench->cmdbuf, task->backward, plan);
	return err ? err : igrad_queue_run(bench->queue, bench->cmdbuf, report);
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static uint64_t bytes_moved(const struct igrad_report *report)
{
	return report->dram_read_bytes + report->dram_write_bytes;
}

int igrad_trial_compare(const struct igrad_trial *a, const struct igrad_trial *b,
			enum igrad_objective objective)
{
	uint64_t moved_a = bytes_moved(&a->report), moved_b = bytes_moved(&b->report);
	int order = 0;

	if (objective == IGRAD_OBJECTIVE_DRAM)
		order = compare_u64(moved_a, moved_b);
	if (objective == IGRAD_OBJECTIVE_ENERGY)
		order = a->energy < b->energy ? -1 : a->energy > b->energy;
	if (!order)
		order = compare_u64(a->report.cycles, b->report.cycles);
	return order ? order : compare_u64(moved_a, moved_b);
}

static void insert(struct igrad_trial trials[], int num, const struct igrad_trial *trial,
		   enum igrad_objective objective)
{
	while (num && igrad_trial_compare(trial, &trials[num - 1], objective) < 0) {
		trials[num] = trials[num - 1];
		num--;
	}
	trials[num] = *trial;
}

/* Put a trial where it belongs among @trials; the worst makes room. */
static void rank(struct igrad_trial trials[], int *num, const struct igrad_trial *trial,
		 enum igrad_objective objective)
{
	if (*num == IGRAD_MAX_CANDIDATES) {
		if (igrad_trial_compare(trial, &trials[*num - 1], objective) >= 0)
			return;
		--*num;
	}
	insert(trials, (*num)++, trial, objective);
}

static int attempt(struct igrad_bench *bench, const struct igrad_task *task,
		   const struct igrad_task *dummy, const struct igrad_candidate *candidate,
		   struct igrad_trial trials[], int *num)
{
	struct igrad_trial trial = {.estimate = *candidate};
	int err = execute(bench, dummy, &candidate->plan, &trial.report);

	if (err)
		return err == -E2BIG ? 0 : err;
	trial.energy = energy_of(bench, task, &trial.report);
	rank(trials, num, &trial, igrad_task_objective(task));
	return 0;
}

/* What ws can also do with a plan: see to dW first, so that updates go on while dX is streamed. */
static bool has_twin(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	return problem->backward && problem->schedule == IGRAD_SCHEDULE_WS && !plan->dx_turned &&
	       problem->home & 1u << IGRAD_ROLE_DX && problem->update != IGRAD_UPDATE_NONE;
}

static bool known(const struct igrad_plan *plan, const struct igrad_trial trials[], int num)
{
	while (num--)
		if (!memcmp(&trials[num].estimate.plan, plan, sizeof(*plan)))
			return true;
	return false;
}

/* Is there anything to be gained by executing a candidate, after @best? Sums go through SRAM for
 * fewer bytes, where bytes are the objective, and not for time. */
static bool promising(const struct igrad_candidate *candidate, bool spilling,
		      const struct igrad_trial *best, enum igrad_objective objective)
{
	uint64_t moved = candidate->traffic.read + candidate->traffic.written;

	if (objective == IGRAD_OBJECTIVE_ENERGY)
		return true;
	if (objective == IGRAD_OBJECTIVE_DRAM && (spilling || moved != bytes_moved(&best->report)))
		return moved < bytes_moved(&best->report);
	return best->report.cycles > AS_GOOD * candidate->floor ||
	       candidate->accesses < best->estimate.accesses;
}

/* The plans that suit @problem, among those that spill sums, or among all others. */
static int attempt_all(struct igrad_bench *bench, const struct igrad_task *task,
		       const struct igrad_task *dummy, const struct igrad_problem *problem,
		       bool spilling, struct igrad_trial trials[], int *num)
{
	struct igrad_candidate candidates[IGRAD_MAX_CANDIDATES];
	int n = igrad_plan_search(problem, igrad_task_objective(task), spilling, candidates);
	uint64_t commands = 0;
	int err = 0;

	if (n < 0)
		return n;
	/* The more commands, the fewer trials: choosing is not to take longer than what it is for.
	 */
	for (int i = 0; !err && i < n && (!*num || commands < MANY_COMMANDS); i++) {
		if (*num &&
		    !promising(&candidates[i], spilling, &trials[0], igrad_task_objective(task)))
			continue;
		commands += candidates[i].commands;
		err = attempt(bench, task, dummy, &candidates[i], trials, num);
	}
	return err;
}

/* A layer that nothing else can do is done by plans that spill sums, whoever asks. */
static int attempt_both(struct igrad_bench *bench, const struct igrad_task *task,
			const struct igrad_task *dummy, const struct igrad_problem *problem,
			bool spilling, struct igrad_trial trials[], int *num)
{
	int err = attempt_all(bench, task, dummy, problem, false, trials, num), other;

	if (!problem->fused || (err && !igrad_unable(err)) || (!err && !spilling))
		return err;
	other = attempt_all(bench, task, dummy, problem, true, trials, num);
	return *num && igrad_unable(other) ? 0 : other;
}

/* ws can do all that ws-paper does, and also see to dW before dX. */
static int attempt_more(struct igrad_bench *bench, const struct igrad_task *task,
			const struct igrad_task *dummy, const struct igrad_problem *problem,
			const struct igrad_trial *paper, struct igrad_trial trials[], int *num)
{
	struct igrad_candidate twin;

	if (paper) {
		struct igrad_trial same = *paper;

		same.estimate.plan.schedule = IGRAD_SCHEDULE_WS;
		same.energy = energy_of(bench, task, &same.report);
		if (!known(&same.estimate.plan, trials, *num))
			rank(trials, num, &same, igrad_task_objective(task));
	}
	if (!*num || !has_twin(problem, &trials[0].estimate.plan))
		return 0;
	twin = trials[0].estimate;
	twin.plan.dw_first = true;
	return attempt(bench, task, dummy, &twin, trials, num);
}

int igrad_bench_try(struct igrad_bench *bench, const struct igrad_task *task,
		    enum igrad_schedule schedule, bool spilling, const struct igrad_trial *paper,
		    struct igrad_trial trials[])
{
	const struct igrad_device_info *info = igrad_device_info(bench->device);
	struct igrad_problem problem;
	struct dummy dummy;
	int num = 0;
	int err = dummy_init(&dummy, bench, task);

	if (!err)
		err = igrad_task_problem(&problem, info, &dummy.task, schedule);
	if (!err)
		err = attempt_both(bench, task, &dummy.task, &problem, spilling, trials, &num);
	if (!err && problem.backward && schedule == IGRAD_SCHEDULE_WS)
		err = attempt_more(bench, task, &dummy.task, &problem, paper, trials, &num);
	igrad_cmdbuf_reset(bench->cmdbuf);
	igrad_stand_ins_release(&dummy.stand_ins);
	if (!err && !num)
		err = -E2BIG;
	return err ? err : num;
}
