// SPDX-License-Identifier: MIT
/* igrad-sim layer: a layer in all schedules side by side. */
#include <errno.h>
#include <stdio.h>

#include "json.h"
#include "text.h"

static const char *update_name(enum igrad_update update)
{
	return update == IGRAD_UPDATE_MOMENTUM ? "momentum" : "SGD";
}

static void show_text(const struct settings *s, const struct simulator *sim,
		      const struct result *results, unsigned int count)
{
	const struct layer *l = &s->layer;

	printf("layer      %u in, %u out, batch %u, %s%s%s%s, %s%s\n", l->in, l->out, l->batch,
	       s->manner.bf16 ? "bf16" : "fp32", l->bias ? ", bias" : "", l->relu ? ", ReLU" : "",
	       l->first ? ", no input gradient" : "", update_name(s->manner.optimizer.update),
	       s->manner.optimizer.decay != 0.0f ? " with decay" : "");
	text_device(sim);
	text_table(sim->table, simulator_info(sim));
	printf("\n");
	text_results(sim, results, count);
}

/* One result alone for one schedule, else an array of them. */
static int show_json(const struct settings *s, const struct simulator *sim,
		     const struct result *results, unsigned int count)
{
	struct json_object *array;

	if (s->forward || !(s->schedules & (s->schedules - 1)))
		return json_print(json_result(sim, &results[0]));
	array = json_object_new_array();
	for (unsigned int i = 0; i < count; i++)
		json_object_array_add(array, json_result(sim, &results[i]));
	return json_print(array);
}

/* A schedule that the library does not have is left out, unless it was asked for alone. */
static int run_schedules(const struct settings *s, struct simulator *sim, struct result *results,
			 unsigned int *count, struct igrad_error *error)
{
	if (s->forward) {
		*count = 1;
		return simulator_forward(sim, &s->layer, &s->manner, results, error);
	}
	*count = 0;
	for (int schedule = 0; schedule < IGRAD_NUM_SCHEDULES; schedule++) {
		int err;

		if (!(s->schedules & 1u << schedule))
			continue;
		err = simulator_backward(sim, &s->layer, &s->manner, schedule, &results[*count],
					 error);
		if (err == -ENOTSUP && s->schedules != 1u << schedule)
			continue;
		if (err)
			return err;
		(*count)++;
	}
	return 0;
}

int command_layer(const struct settings *s, struct igrad_error *error)
{
	struct result results[IGRAD_NUM_SCHEDULES];
	struct simulator sim;
	unsigned int count;
	int err = simulator_open(&sim, &s->machine, s->energy, error);

	if (err)
		return err;
	err = run_schedules(s, &sim, results, &count, error);
	if (!err && s->json)
		err = show_json(s, &sim, results, count);
	else if (!err)
		show_text(s, &sim, results, count);
	simulator_close(&sim);
	return err;
}
