// SPDX-License-Identifier: MIT
/* Which plan a layer is done by: the best of those that were executed, found once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmdbuf.h"
#include "planner.h"

#define MAX_REMEMBERED 256

/* All that a choice depends on; compared as bytes. @spilling: what igrad_bench_try() means by it */
struct key {
	struct igrad_problem problem;
	enum igrad_schedule schedule;
	bool spilling;
	enum igrad_objective objective;
	const struct igrad_energy_table *energy;
	bool relu;
	bool decay;
};

/*
 * @energy: the key's table, kept alive so that no other one has its address
 * @trial: the best; its plan names the schedule
 */
struct choice {
	struct key key;
	struct igrad_energy_table *energy;
	struct igrad_trial trial;
};

/* @num: how many have been remembered so far; the oldest is forgotten first */
struct igrad_planner {
	pthread_mutex_t lock;
	struct igrad_bench bench;
	struct choice choices[MAX_REMEMBERED];
	uint64_t num;
};

/* ---------------------------------------------------------------- life */

static struct igrad_planner *planner_new(const struct igrad_device_info *info)
{
	struct igrad_planner *planner = calloc(1, sizeof(*planner));

	if (!planner)
		return NULL;
	if (igrad_bench_open(&planner->bench, info)) {
		free(planner);
		return NULL;
	}
	pthread_mutex_init(&planner->lock, NULL);
	return planner;
}

void igrad_planner_free(struct igrad_planner *planner)
{
	if (!planner)
		return;
	for (uint64_t i = 0; i < MAX_REMEMBERED; i++)
		igrad_energy_table_unref(planner->choices[i].energy);
	igrad_bench_close(&planner->bench);
	pthread_mutex_destroy(&planner->lock);
	free(planner);
}

/* The device's planner, made when it is first needed; of two made at once one goes away again. */
static struct igrad_planner *planner_of(struct igrad_device *device)
{
	struct igrad_planner *planner = atomic_load(&device->planner), *none = NULL;

	if (planner)
		return planner;
	planner = planner_new(&device->info);
	if (planner && !atomic_compare_exchange_strong(&device->planner, &none, planner)) {
		igrad_planner_free(planner);
		return none;
	}
	return planner;
}

/* ---------------------------------------------------------------- choices */

static const struct choice *recall(const struct igrad_planner *planner, const struct key *key)
{
	uint64_t oldest = planner->num > MAX_REMEMBERED ? planner->num - MAX_REMEMBERED : 0;

	for (uint64_t i = oldest; i < planner->num; i++)
		if (!memcmp(&planner->choices[i % MAX_REMEMBERED].key, key, sizeof(*key)))
			return &planner->choices[i % MAX_REMEMBERED];
	return NULL;
}

static void remember(struct igrad_planner *planner, const struct key *key,
		     const struct igrad_trial *trial)
{
	struct choice *choice = &planner->choices[planner->num++ % MAX_REMEMBERED];

	igrad_energy_table_unref(choice->energy);
	choice->key = *key;
	choice->energy = NULL;
	if (key->energy)
		choice->energy = igrad_energy_table_ref((struct igrad_energy_table *)key->energy);
	choice->trial = *trial;
}

/* All of this is called with the lock held. */
static int choose_fixed(struct igrad_planner *planner, const struct igrad_task *task,
			const struct key *key, struct igrad_trial *best);

/* ws need not execute again what ws-paper, of which it can do all, has chosen from. */
static int try_fixed(struct igrad_planner *planner, const struct igrad_task *task,
		     const struct key *key, struct igrad_trial trials[])
{
	const struct igrad_trial *known = NULL;
	struct igrad_trial paper;

	if (task->backward && key->schedule == IGRAD_SCHEDULE_WS) {
		struct key plain = *key;
		int err;

		plain.schedule = IGRAD_SCHEDULE_WS_PAPER;
		err = choose_fixed(planner, task, &plain, &paper);
		if (err && !igrad_unable(err))
			return err;
		known = err ? NULL : &paper;
	}
	return igrad_bench_try(&planner->bench, task, key->schedule, key->spilling, known, trials);
}

static int choose_fixed(struct igrad_planner *planner, const struct igrad_task *task,
			const struct key *key, struct igrad_trial *best)
{
	const struct choice *known = recall(planner, key);
	struct igrad_trial trials[IGRAD_MAX_CANDIDATES];
	int n;

	if (known) {
		*best = known->trial;
		return 0;
	}
	n = try_fixed(planner, task, key, trials);
	if (n < 0)
		return n;
	*best = trials[0];
	remember(planner, key, best);
	return 0;
}

/*
 * Interleaving is for accesses, which it saves while sums stay in the array: it keeps them there
 * whatever that costs, unless bytes are the objective. Auto is free to do otherwise.
 */
static bool may_spill(enum igrad_schedule asked, enum igrad_schedule schedule,
		      enum igrad_objective objective)
{
	return schedule == IGRAD_SCHEDULE_INTERLEAVED &&
	       (asked == IGRAD_SCHEDULE_AUTO || objective == IGRAD_OBJECTIVE_DRAM);
}

/* The best schedule is the one whose best plan is best; one that cannot do the layer does not
 * count.
 */
static int choose(struct igrad_planner *planner, const struct igrad_task *task, struct key *key,
		  struct igrad_trial *best)
{
	bool found = false;
	int err = 0;

	if (key->schedule != IGRAD_SCHEDULE_AUTO) {
		key->spilling = may_spill(key->schedule, key->schedule, key->objective);
		return choose_fixed(planner, task, key, best);
	}
	for (int schedule = 0; schedule < IGRAD_SCHEDULE_AUTO; schedule++) {
		struct igrad_trial trial;
		int ret;

		key->schedule = schedule;
		key->spilling = may_spill(IGRAD_SCHEDULE_AUTO, schedule, key->objective);
		ret = choose_fixed(planner, task, key, &trial);
		if (ret && !igrad_unable(ret))
			return ret;
		if (ret)
			err = ret;
		else if (!found || igrad_trial_compare(&trial, best, key->objective) < 0)
			*best = trial;
		found |= !ret;
	}
	return found ? 0 : err;
}

/* Problems are the same for all schedules but for what follows from the schedule. */
static int make_key(struct key *key, const struct igrad_device *device,
		    const struct igrad_task *task, enum igrad_schedule schedule)
{
	memset(key, 0, sizeof(*key));
	key->objective = igrad_task_objective(task);
	if (key->objective == IGRAD_OBJECTIVE_ENERGY)
		key->energy = igrad_task_energy(task);
	if (task->forward) {
		key->relu = task->forward->relu;
	} else {
		key->schedule = schedule;
		key->decay = task->backward->optimizer.decay != 0.0f;
	}
	return igrad_task_problem(&key->problem, &device->info, task, 0);
}

int igrad_planner_choose(struct igrad_device *device, const struct igrad_task *task,
			 struct igrad_plan *plan)
{
	struct igrad_planner *planner;
	struct igrad_trial best;
	struct key key;
	int err = make_key(&key, device, task, task->backward ? task->backward->schedule : 0);

	if (err)
		return err;
	planner = planner_of(device);
	if (!planner)
		return -ENOMEM;
	pthread_mutex_lock(&planner->lock);
	err = choose(planner, task, &key, &best);
	pthread_mutex_unlock(&planner->lock);
	if (!err)
		*plan = best.estimate.plan;
	return err;
}

int igrad_planner_try(struct igrad_device *device, const struct igrad_task *task,
		      enum igrad_schedule schedule, struct igrad_trial trials[])
{
	struct igrad_planner *planner;
	struct key key;
	int err = make_key(&key, device, task, schedule);

	if (err)
		return err;
	planner = planner_of(device);
	if (!planner)
		return -ENOMEM;
	if (task->backward)
		key.spilling = may_spill(task->backward->schedule, schedule, key.objective);
	pthread_mutex_lock(&planner->lock);
	err = try_fixed(planner, task, &key, trials);
	pthread_mutex_unlock(&planner->lock);
	return err;
}

/* ---------------------------------------------------------------- layers */

int igrad_linear_forward_for(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_forward *args)
{
	const struct igrad_task task = {.forward = args};
	struct igrad_plan plan;
	int err = igrad_planner_choose(cmdbuf->device, &task, &plan);

	return err ? err : igrad_forward_build(cmdbuf, args, &plan);
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
	const struct igrad_task task = {.backward = args};
	struct igrad_plan plan;
	int err = igrad_planner_choose(cmdbuf->device, &task, &plan);

	return err ? err : igrad_backward_build(cmdbuf, args, &plan);
}
