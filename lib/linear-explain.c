// SPDX-License-Identifier: MIT
/* Why a layer is done as it is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "igrad/plan.h"
#include "planner.h"

/* ---------------------------------------------------------------- words */

static const char *const role_names[] = {"x",  "w",  "b",  "y",	 "dy", "dx",  "dw",
					 "db", "vw", "vb", "sw", "sb", "adam"};
_Static_assert(sizeof(role_names) / sizeof(role_names[0]) == IGRAD_NUM_ROLES,
	       "each role has a name");

__attribute__((format(printf, 3, 4))) static void append(char *words, size_t size,
							 const char *format, ...)
{
	size_t length = strlen(words);
	va_list args;

	va_start(args, format);
	vsnprintf(words + length, size - length, format, args);
	va_end(args);
}

/* "x 2 of 8, w all": how many blocks of each operand are in SRAM at a time */
static void name_slots(const struct igrad_problem *problem, const struct igrad_plan *plan,
		       char *words, size_t size)
{
	const char *separator = ":";

	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		uint64_t blocks = igrad_window_blocks(igrad_role_size(problem, role),
						      igrad_role_block(plan, role));

		if (!plan->slots[role])
			continue;
		append(words, size, "%s %s ", separator, role_names[role]);
		separator = ",";
		if (plan->slots[role] >= blocks)
			append(words, size, "all");
		else
			append(words, size, "%u of %llu", plan->slots[role],
			       (unsigned long long)blocks);
	}
}

static void name_turns(const struct igrad_plan *plan, char *words, size_t size)
{
	if (plan->schedule == IGRAD_SCHEDULE_WS)
		append(words, size, ", %s stationary for dx, %s for dw%s",
		       plan->dx_turned ? "dy" : "w", plan->dw_turned ? "x" : "dy",
		       plan->dw_first ? ", dw first" : "");
}

static struct igrad_tiling tiling_of(const struct igrad_problem *problem,
				     const struct igrad_plan *plan)
{
	struct igrad_tiling tiling = {
		.batch = plan->block[IGRAD_DIM_B],
		.in = plan->block[IGRAD_DIM_I],
		.out = plan->block[IGRAD_DIM_O],
		.rows = plan->tile.rows,
		.cols = plan->tile.cols,
		.dx_turned = plan->dx_turned,
		.dw_turned = plan->dw_turned,
		.dw_first = plan->dw_first,
		.sram_bytes = igrad_plan_bytes(plan),
	};

	for (int loop = 0; loop < IGRAD_NUM_DIMS; loop++)
		tiling.order[loop] = "BIO"[plan->order[loop]];
	append(tiling.words, sizeof(tiling.words), "blocks of %u rows, %u in, %u out, loops %s",
	       tiling.batch, tiling.in, tiling.out, tiling.order);
	if (problem->backward)
		name_turns(plan, tiling.words, sizeof(tiling.words));
	if (igrad_plan_spills(problem, plan))
		append(tiling.words, sizeof(tiling.words), ", sums through SRAM");
	append(tiling.words, sizeof(tiling.words), "; in SRAM (%u KiB)",
	       (tiling.sram_bytes + 1023) / 1024);
	name_slots(problem, plan, tiling.words, sizeof(tiling.words));
	return tiling;
}

/* ---------------------------------------------------------------- choices */

struct list {
	struct igrad_choice *choices;
	size_t num;
};

static double score(const struct igrad_choice *choice, enum igrad_objective objective)
{
	switch (objective) {
	case IGRAD_OBJECTIVE_ENERGY:
		return choice->energy;
	case IGRAD_OBJECTIVE_DRAM:
		return choice->dram_bytes;
	default:
		return choice->report.cycles;
	}
}

static struct igrad_choice choice_of(const struct igrad_problem *problem,
				     const struct igrad_trial *trial)
{
	const struct igrad_report *report = &trial->report;
	double pes = (double)problem->device->rows * problem->device->cols;

	return (struct igrad_choice){
		.schedule = trial->estimate.plan.schedule,
		.tiling = tiling_of(problem, &trial->estimate.plan),
		.report = *report,
		.utilisation = report->cycles ? report->macs / (pes * report->cycles) : 0,
		.accesses = igrad_report_sram_accesses(report),
		.dram_bytes = report->dram_read_bytes + report->dram_write_bytes,
		.energy = trial->energy,
	};
}

/* Appends what was tried of one schedule. */
static int add_schedule(struct list *list, struct igrad_device *device,
			const struct igrad_task *task, enum igrad_schedule schedule)
{
	struct igrad_trial trials[IGRAD_MAX_CANDIDATES];
	struct igrad_problem problem;
	struct igrad_choice *grown;
	int n = igrad_planner_try(device, task, schedule, trials);

	if (n < 0)
		return n;
	grown = realloc(list->choices, (list->num + n) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->choices = grown;
	igrad_task_problem(&problem, &device->info, task, schedule);
	for (int i = 0; i < n; i++)
		grown[list->num + i] = choice_of(&problem, &trials[i]);
	grown[list->num].best = true;
	list->num += n;
	return 0;
}

/* The same comparison as when a plan is chosen, of the best of each schedule. */
static size_t find_best(const struct list *list, enum igrad_objective objective)
{
	size_t best = 0;

	for (size_t i = 1; i < list->num; i++) {
		const struct igrad_choice *choice = &list->choices[i], *than = &list->choices[best];
		struct igrad_trial a = {.report = choice->report, .energy = choice->energy};
		struct igrad_trial b = {.report = than->report, .energy = than->energy};

		if (choice->best && igrad_trial_compare(&a, &b, objective) < 0)
			best = i;
	}
	return best;
}

static void give_reasons(struct list *list, enum igrad_objective objective)
{
	static const char *const what[IGRAD_NUM_OBJECTIVES] = {"cycles", "energy", "DRAM bytes"};
	size_t best = find_best(list, objective);
	double least = score(&list->choices[best], objective);

	list->choices[best].chosen = true;
	for (size_t i = 0; i < list->num; i++) {
		struct igrad_choice *choice = &list->choices[i];
		double times = least > 0 ? score(choice, objective) / least : 1;

		if (choice->chosen)
			append(choice->why, sizeof(choice->why), "least %s of %zu executed",
			       what[objective], list->num);
		else if (times > 1)
			append(choice->why, sizeof(choice->why), "%.3f × the %s of the chosen one",
			       times, what[objective]);
		else
			append(choice->why, sizeof(choice->why),
			       "as good as the chosen one, which was tried first or takes less "
			       "time");
	}
}

static int explain(struct igrad_device *device, const struct igrad_task *task,
		   enum igrad_schedule schedule, struct igrad_choice **choices, size_t *count)
{
	bool all = schedule == IGRAD_SCHEDULE_AUTO;
	int first = all ? 0 : schedule, last = all ? IGRAD_SCHEDULE_AUTO - 1 : schedule;
	struct list list = {NULL, 0};
	int err = 0;

	*choices = NULL;
	*count = 0;
	for (int s = first; s <= last; s++) {
		int ret = add_schedule(&list, device, task, s);

		if (ret && !igrad_unable(ret)) {
			free(list.choices);
			return ret;
		}
		err = ret ? ret : err;
	}
	if (!list.num)
		return err;
	give_reasons(&list, igrad_task_objective(task));
	*choices = list.choices;
	*count = list.num;
	return 0;
}

int igrad_linear_explain(struct igrad_device *device, const struct igrad_linear_backward *args,
			 struct igrad_choice **choices, size_t *count)
{
	const struct igrad_task task = {.backward = args};

	return explain(device, &task, args->schedule, choices, count);
}

int igrad_linear_explain_forward(struct igrad_device *device,
				 const struct igrad_linear_forward *args,
				 struct igrad_choice **choices, size_t *count)
{
	const struct igrad_task task = {.forward = args};

	return explain(device, &task, 0, choices, count);
}
