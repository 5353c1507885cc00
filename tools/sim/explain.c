// SPDX-License-Identifier: MIT
/* igrad-sim explain: every way of doing a layer that the planner executed, and why one was chosen.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "text.h"

#define MOST_SHOWN 3 /* of a schedule */

static const char *name_of(const struct settings *s, const struct igrad_choice *choice)
{
	return s->forward ? "forward" : igrad_schedule_name(choice->schedule);
}

/* ---------------------------------------------------------------- bounds */

/*
 * What any way of doing the pass moves between DRAM and SRAM, in bytes. @compulsory: every operand
 * once. @bound: at least 2·m·n·k/√S words for one product and a word for each of its results (Hong
 * and Kung, STOC 1981, with the constant of Kwasniewski et al., SC 2019), and the operands of the
 * other product, once.
 */
struct least {
	double compulsory;
	double bound;
};

static struct least least_bytes(const struct settings *s, const struct simulator *sim)
{
	double width = s->manner.bf16 ? 2 : 4, sram = simulator_info(sim)->sram_bytes;
	double b = s->layer.batch, i = s->layer.in, o = s->layer.out;
	double product = width * 2 * b * i * o / sqrt(sram / width);
	struct least least;

	if (s->forward)
		return (struct least){width * (b * i + b * o) + 4 * i * o, product + width * b * o};
	least.compulsory = width * (b * i + b * o) + 2 * 4 * i * o;
	if (s->manner.optimizer.update == IGRAD_UPDATE_MOMENTUM)
		least.compulsory += 2 * 4 * i * o;
	else if (s->manner.optimizer.update == IGRAD_UPDATE_ADAM) /* two moments, and constants */
		least.compulsory += 2 * 2 * 4 * i * o + 4 * IGRAD_ADAM_WORDS;
	if (s->layer.relu)
		least.compulsory += width * b * o;
	least.bound = product + width * b * i + 4 * i * o;
	if (s->layer.first) /* dW alone, whose results are updated weights */
		least.bound = product + 4 * i * o;
	else
		least.compulsory += width * b * i;
	if (least.bound < least.compulsory)
		least.bound = least.compulsory;
	return least;
}

/* ---------------------------------------------------------------- text */

static void show_choice(const struct settings *s, const struct igrad_choice *c, double bound)
{
	printf("%c %-12s %13llu  %.3f %14llu %14llu %7.3f %14.6g\n",
	       c->chosen ? '*'
	       : c->best ? '+'
			 : ' ',
	       name_of(s, c), (unsigned long long)c->report.cycles, c->utilisation,
	       (unsigned long long)c->accesses, (unsigned long long)c->dram_bytes,
	       c->dram_bytes / bound, c->energy);
	printf("               %s\n               %s\n", c->tiling.words, c->why);
}

static void show_text(const struct settings *s, const struct simulator *sim,
		      const struct igrad_choice *choices, size_t count)
{
	struct least least = least_bytes(s, sim);
	const struct layer *l = &s->layer;
	unsigned int shown = 0;
	char energy[24];

	snprintf(energy, sizeof(energy), "energy, %.12s", igrad_energy_table_unit(sim->table));
	printf("layer      %u in, %u out, batch %u, for %s\n", l->in, l->out, l->batch,
	       igrad_objective_name(s->manner.objective));
	text_device(sim);
	text_table(sim->table, simulator_info(sim));
	printf("DRAM       %.0f bytes are compulsory; by Hong and Kung's bound no fewer than %.0f move\n",
	       least.compulsory, least.bound);
	printf("\n  %-12s %13s  util. %14s %14s %7s %14s\n", "schedule", "cycles", "SRAM accesses",
	       "DRAM bytes", "/bound", energy);
	for (size_t i = 0; i < count; i++) {
		if (i && choices[i].schedule != choices[i - 1].schedule)
			shown = 0;
		if (shown++ < MOST_SHOWN || choices[i].chosen)
			show_choice(s, &choices[i], least.bound);
	}
	printf("\n* chosen, + best of its schedule; %zu ways were executed, --json shows all\n",
	       count);
}

/* ---------------------------------------------------------------- JSON */

static struct json_object *json_tiling(const struct igrad_tiling *t)
{
	struct json_object *object = json_object_new_object();

	json_count(object, "batch", t->batch);
	json_count(object, "in", t->in);
	json_count(object, "out", t->out);
	json_count(object, "rows", t->rows);
	json_count(object, "cols", t->cols);
	json_string(object, "order", t->order);
	json_object_object_add(object, "dx_turned", json_object_new_boolean(t->dx_turned));
	json_object_object_add(object, "dw_turned", json_object_new_boolean(t->dw_turned));
	json_object_object_add(object, "dw_first", json_object_new_boolean(t->dw_first));
	json_count(object, "sram_bytes", t->sram_bytes);
	json_string(object, "words", t->words);
	return object;
}

static int show_json(const struct settings *s, const struct simulator *sim,
		     const struct igrad_choice *choices, size_t count)
{
	struct json_object *array = json_object_new_array();
	struct least least = least_bytes(s, sim);

	for (size_t i = 0; i < count; i++) {
		const struct igrad_choice *c = &choices[i];
		struct json_object *object = json_object_new_object();

		json_string(object, "schedule", name_of(s, c));
		json_count(object, "cycles", c->report.cycles);
		json_real(object, "utilization", c->utilisation);
		json_count(object, "sram_accesses", c->accesses);
		json_count(object, "dram_bytes", c->dram_bytes);
		json_real(object, "dram_compulsory", least.compulsory);
		json_real(object, "dram_bound", least.bound);
		json_real(object, "energy", c->energy);
		json_object_object_add(object, "best", json_object_new_boolean(c->best));
		json_object_object_add(object, "chosen", json_object_new_boolean(c->chosen));
		json_string(object, "why", c->why);
		json_object_object_add(object, "tiling", json_tiling(&c->tiling));
		json_object_array_add(array, object);
	}
	return json_print(array);
}

/* Of the schedule that was asked for alone, else of auto, which looks at all. */
static enum igrad_schedule wanted(const struct settings *s)
{
	for (int schedule = 0; schedule < IGRAD_NUM_SCHEDULES; schedule++)
		if (s->schedules == 1u << schedule)
			return schedule;
	return IGRAD_SCHEDULE_AUTO;
}

int command_explain(const struct settings *s, struct igrad_error *error)
{
	struct igrad_choice *choices = NULL;
	struct simulator sim;
	size_t count = 0;
	int err = simulator_open(&sim, &s->machine, s->energy, error);

	if (err)
		return err;
	err = simulator_explain(&sim, s, wanted(s), &choices, &count, error);
	if (!err && s->json)
		err = show_json(s, &sim, choices, count);
	else if (!err)
		show_text(s, &sim, choices, count);
	free(choices);
	simulator_close(&sim);
	return err;
}
