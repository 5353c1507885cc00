// SPDX-License-Identifier: MIT
/*
 * Which way a convolution is done: candidates are executed on a device of the same configuration
 * that only keeps accounts, and the best one for the objective is remembered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmdbuf.h"
#include "conv-plan.h"
#include "planner.h"

#define MAX_REMEMBERED 512
#define MOST_SLICES    32
#define AS_QUICK                                                                         \
	1.005 /* × the least cycles that were found: then fewer accesses are worth more \
	       */
#define MANY_COMMANDS \
	60000 /* of the trials of a schedule; then what has been found is good enough */

/* All that a choice depends on; compared as bytes. */
struct key {
	struct igrad_conv_shape shape;
	struct igrad_optimizer optimizer;
	const struct igrad_energy_table *energy;
	uint32_t operands; /* a bit for each that is there */
	enum igrad_schedule schedule;
	enum igrad_objective objective;
	bool backward;
	bool relu;
};

/* A plan, and what it costs. */
struct trial {
	struct igrad_conv_plan plan;
	struct igrad_report report;
	double energy;
};

/* @energy: the key's table, kept alive so that no other one has its address */
struct choice {
	struct key key;
	struct igrad_energy_table *energy;
	struct trial trial;
};

/* @num: how many have been remembered so far; the oldest is forgotten first */
struct igrad_conv_planner {
	pthread_mutex_t lock;
	struct igrad_bench bench;
	struct choice choices[MAX_REMEMBERED];
	uint64_t num;
};

/* ---------------------------------------------------------------- life */

static struct igrad_conv_planner *planner_new(const struct igrad_device_info *info)
{
	struct igrad_conv_planner *planner = calloc(1, sizeof(*planner));

	if (!planner)
		return NULL;
	if (igrad_bench_open(&planner->bench, info)) {
		free(planner);
		return NULL;
	}
	pthread_mutex_init(&planner->lock, NULL);
	return planner;
}

void igrad_conv_planner_free(struct igrad_conv_planner *planner)
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
static struct igrad_conv_planner *planner_of(struct igrad_device *device)
{
	struct igrad_conv_planner *planner = atomic_load(&device->conv_planner), *none = NULL;

	if (planner)
		return planner;
	planner = planner_new(&device->info);
	if (planner && !atomic_compare_exchange_strong(&device->conv_planner, &none, planner)) {
		igrad_conv_planner_free(planner);
		return none;
	}
	return planner;
}

/* ---------------------------------------------------------------- a task without data */

/* With operands of the same shapes on the bench, which nobody will ever touch. */
struct dummy {
	struct igrad_conv_task task;
	struct igrad_conv_forward forward;
	struct igrad_conv_backward backward;
	struct igrad_stand_ins stand_ins;
	uint32_t present;
};

/* Calls for every operand of the task, there or not. */
static int dummy_init(struct dummy *dummy, struct igrad_bench *bench,
		      const struct igrad_conv_task *task)
{
	struct igrad_conv_backward *b = &dummy->backward;
	struct igrad_conv_forward *f = &dummy->forward;
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
	for (size_t i = 0; !err && i < sizeof(operands) / sizeof(operands[0]); i++) {
		if (!*operands[i])
			continue;
		dummy->present |= 1u << i;
		if (bench)
			err = igrad_stand_in(&dummy->stand_ins, bench, operands[i]);
	}
	return err;
}

/* ---------------------------------------------------------------- what is tried */

static int build(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_task *task,
		 const struct igrad_conv_plan *plan)
{
	return task->forward ? igrad_conv_forward_build(cmdbuf, task->forward, plan)
			     : igrad_conv_backward_build(cmdbuf, task->backward, plan);
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static uint64_t bytes_moved(const struct igrad_report *report)
{
	return report->dram_read_bytes + report->dram_write_bytes;
}

/* Negative when @a is better; of equals, what accesses SRAM less, and moves less. */
static int compare(const struct trial *a, const struct trial *b, enum igrad_objective objective)
{
	int order = 0;

	if (objective == IGRAD_OBJECTIVE_DRAM)
		order = compare_u64(bytes_moved(&a->report), bytes_moved(&b->report));
	if (objective == IGRAD_OBJECTIVE_ENERGY)
		order = a->energy < b->energy ? -1 : a->energy > b->energy;
	if (!order)
		order = compare_u64(a->report.cycles, b->report.cycles);
	if (!order)
		order = compare_u64(igrad_report_sram_accesses(&a->report),
				    igrad_report_sram_accesses(&b->report));
	return order ? order : compare_u64(bytes_moved(&a->report), bytes_moved(&b->report));
}

/*
 * struct search - trials of one schedule
 * @best: if @found
 * @least: cycles of any
 * @commands: of all of them
 * @err: what is wrong with the task, or why a candidate did not work
 */
struct search {
	struct igrad_bench *bench;
	const struct key *key;
	const struct igrad_conv_task *task;
	struct trial best;
	uint64_t least;
	bool found;
	uint64_t commands;
	int err;
};

/* When time is what matters, what takes next to no longer for fewer accesses is better all the
 * same: slabs that are smaller and smaller begin sooner, and sums go through SRAM more and more
 * often. */
static bool better(const struct search *search, const struct trial *trial)
{
	const struct igrad_report *a = &trial->report, *b = &search->best.report;
	double least = AS_QUICK * (double)search->least;

	if (!search->found)
		return true;
	if (search->key->objective == IGRAD_OBJECTIVE_CYCLES && (double)a->cycles <= least &&
	    (double)b->cycles <= least)
		return igrad_report_sram_accesses(a) < igrad_report_sram_accesses(b);
	return compare(trial, &search->best, search->key->objective) < 0;
}

/* Returns whether the candidate works, and is the best so far. */
static bool attempt(struct search *search, struct igrad_conv_plan plan)
{
	const struct igrad_energy_table *table = search->key->energy;
	struct igrad_bench *bench = search->bench;
	struct trial trial = {.plan = plan};
	struct igrad_energy energy;
	int err;

	if ((search->err && !igrad_unable(search->err)) ||
	    (search->found && search->commands > MANY_COMMANDS))
		return false;
	err = igrad_cmdbuf_reset(bench->cmdbuf);
	if (!err)
		err = build(bench->cmdbuf, search->task, &plan);
	search->commands += igrad_cmdbuf_length(bench->cmdbuf);
	if (!err)
		err = igrad_queue_run(bench->queue, bench->cmdbuf, &trial.report);
	search->err = err;
	if (err)
		return false;
	igrad_energy(table ? table : bench->energy, &trial.report, igrad_device_info(bench->device),
		     &energy);
	trial.energy = energy.total;
	if (!search->found || trial.report.cycles < search->least)
		search->least = trial.report.cycles;
	if (!better(search, &trial))
		return false;
	search->best = trial;
	search->found = true;
	return true;
}

/* Smaller and smaller slabs, until that is no gain; returns whether any is the best so far. */
static bool attempt_slabs(struct search *search, struct igrad_conv_plan plan)
{
	bool best = attempt(search, plan);

	for (plan.divisor = 2; plan.divisor <= 16 && attempt(search, plan); plan.divisor *= 2)
		best = true;
	return best;
}

/* What must stay in SRAM in more and more slices, until they fit and more are no gain. */
static void attempt_slices(struct search *search, struct igrad_conv_plan plan)
{
	bool worked = false;

	for (plan.slices = 1; plan.slices <= MOST_SLICES; plan.slices *= 2) {
		bool best = attempt_slabs(search, plan);

		if (worked && !best)
			return;
		worked |= !search->err;
	}
}

static void attempt_all(struct search *search)
{
	const struct key *key = search->key;
	struct igrad_conv_plan plan = {.schedule = key->schedule, .divisor = 1};
	bool ws = key->backward && key->schedule == IGRAD_SCHEDULE_WS;
	bool strides = key->shape.stride_y > 1 || key->shape.stride_x > 1;

	for (int x_stationary = 0; x_stationary < (ws && !strides ? 2 : 1); x_stationary++)
		for (int resident = 1; resident >= 0; resident--) {
			plan.x_stationary = x_stationary;
			plan.resident = resident;
			attempt_slices(search, plan);
		}
}

static int try_schedule(struct igrad_bench *bench, const struct igrad_conv_task *task,
			const struct key *key, struct trial *best)
{
	struct search search = {.bench = bench, .key = key};
	struct dummy dummy;
	int err = dummy_init(&dummy, bench, task);

	search.task = &dummy.task;
	if (!err)
		attempt_all(&search);
	igrad_cmdbuf_reset(bench->cmdbuf);
	igrad_stand_ins_release(&dummy.stand_ins);
	*best = search.best;
	if (err || (search.err && !igrad_unable(search.err)))
		return err ? err : search.err;
	return search.found ? 0 : search.err;
}

/* ---------------------------------------------------------------- choices */

static const struct choice *recall(const struct igrad_conv_planner *planner, const struct key *key)
{
	uint64_t oldest = planner->num > MAX_REMEMBERED ? planner->num - MAX_REMEMBERED : 0;

	for (uint64_t i = oldest; i < planner->num; i++)
		if (!memcmp(&planner->choices[i % MAX_REMEMBERED].key, key, sizeof(*key)))
			return &planner->choices[i % MAX_REMEMBERED];
	return NULL;
}

static void remember(struct igrad_conv_planner *planner, const struct key *key,
		     const struct trial *trial)
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
static int choose_fixed(struct igrad_conv_planner *planner, const struct igrad_conv_task *task,
			const struct key *key, struct trial *best)
{
	const struct choice *known = recall(planner, key);
	int err;

	if (known) {
		*best = known->trial;
		return 0;
	}
	err = try_schedule(&planner->bench, task, key, best);
	if (!err)
		remember(planner, key, best);
	return err;
}

/* The best schedule is the one whose best plan is best; one that cannot do the layer does not
 * count.
 */
static int choose(struct igrad_conv_planner *planner, const struct igrad_conv_task *task,
		  struct key *key, struct trial *best)
{
	bool found = false;
	int err = 0;

	if (!key->backward || key->schedule != IGRAD_SCHEDULE_AUTO)
		return choose_fixed(planner, task, key, best);
	for (int schedule = 0; schedule < IGRAD_SCHEDULE_AUTO; schedule++) {
		struct trial trial;
		int ret;

		key->schedule = schedule;
		ret = choose_fixed(planner, task, key, &trial);
		if (ret && !igrad_unable(ret))
			return ret;
		if (ret)
			err = ret;
		else if (!found || compare(&trial, best, key->objective) < 0)
			*best = trial;
		found |= !ret;
	}
	return found ? 0 : err;
}

static void make_key(struct key *key, const struct igrad_conv_task *task)
{
	const struct igrad_energy_table *energy;
	struct dummy dummy;

	dummy_init(&dummy, NULL, task);
	memset(key, 0, sizeof(*key));
	key->operands = dummy.present;
	if (task->forward) {
		key->shape = task->forward->shape;
		key->relu = task->forward->relu;
		key->objective = task->forward->objective;
		energy = task->forward->energy;
	} else {
		key->backward = true;
		key->shape = task->backward->shape;
		key->schedule = task->backward->schedule;
		key->objective = task->backward->objective;
		key->optimizer.update = task->backward->optimizer.update;
		key->optimizer.decay = task->backward->optimizer.decay != 0.0f;
		energy = task->backward->energy;
	}
	if (key->objective == IGRAD_OBJECTIVE_ENERGY)
		key->energy = energy;
}

int igrad_conv_do(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_task *task)
{
	struct igrad_conv_planner *planner = planner_of(cmdbuf->device);
	struct trial best;
	struct key key;
	int err;

	if (!planner)
		return -ENOMEM;
	make_key(&key, task);
	pthread_mutex_lock(&planner->lock);
	err = choose(planner, task, &key, &best);
	pthread_mutex_unlock(&planner->lock);
	return err ? err : build(cmdbuf, task, &best.plan);
}
