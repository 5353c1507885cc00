// SPDX-License-Identifier: MIT
/* igrad-sim layer: a layer in all schedules side by side. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "text.h"
#include "timeline.h"
#include "trace.h"

static const char *update_name(enum igrad_update update)
{
	return update == IGRAD_UPDATE_ADAM	 ? "Adam"
	       : update == IGRAD_UPDATE_MOMENTUM ? "momentum"
						 : "SGD";
}

static void show_text(const struct settings *s, const struct simulator *sim,
		      const struct result *results, unsigned int count)
{
	const struct layer *l = &s->layer;

	char text[LAYER_TEXT];

	printf("layer      %s, batch %u, %s%s%s%s, %s%s\n", layer_size(l, text), l->batch,
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

/* ---------------------------------------------------------------- what is recorded */

/* Where passes are recorded, for --trace and --svg. */
struct recorder {
	const struct settings *settings;
	struct trace *trace;
	struct timeline *timelines;
	unsigned int count;
};

static int recorder_open(struct recorder *r, const struct settings *s, struct igrad_error *error)
{
	*r = (struct recorder){.settings = s};
	if (s->svg)
		r->timelines = calloc(IGRAD_NUM_SCHEDULES, sizeof(*r->timelines));
	if (s->svg && !r->timelines)
		return -ENOMEM;
	if (s->trace)
		r->trace = trace_open(s->trace, error);
	return s->trace && !r->trace ? -EIO : 0;
}

static int recorder_take(struct recorder *r, const struct record *record,
			 const struct simulator *sim, const struct result *result)
{
	const char *name = result_name(result);

	if (r->timelines)
		timeline_make(&r->timelines[r->count++], name, record, sim, result->report.cycles);
	return r->trace ? trace_add(r->trace, name, record, sim) : 0;
}

/* @err: that of what was to be recorded; then there is nothing to show. */
static int recorder_close(struct recorder *r, int err, struct igrad_error *error)
{
	const struct layer *l = &r->settings->layer;
	int closed = r->trace ? trace_close(r->trace, !err, error) : 0;
	char title[LAYER_TEXT + 64], text[LAYER_TEXT];

	snprintf(title, sizeof(title), "%s, batch %u on %u x %u", layer_size(l, text), l->batch,
		 r->settings->machine.array.rows, r->settings->machine.array.cols);
	err = err ? err : closed;
	if (!err && r->count)
		err = timelines_draw(r->timelines, r->count, r->settings->svg, title, error);
	free(r->timelines);
	return err;
}

/* ---------------------------------------------------------------- running */

static int run_pass(const struct settings *s, struct simulator *sim, int schedule,
		    struct result *result, struct igrad_error *error)
{
	if (s->forward)
		return simulator_forward(sim, &s->layer, &s->manner, result, error);
	return simulator_backward(sim, &s->layer, &s->manner, schedule, result, error);
}

/* Recording costs memory for each command: only where it is asked for. */
static int run_recorded(struct recorder *r, struct simulator *sim, int schedule,
			struct result *result, struct igrad_error *error)
{
	struct record record;
	int err, stop;

	if (!r->trace && !r->timelines)
		return run_pass(r->settings, sim, schedule, result, error);
	err = record_start(&record, sim, error);
	if (err)
		return err;
	err = run_pass(r->settings, sim, schedule, result, error);
	stop = record_stop(&record, sim, error);
	if (!err)
		err = stop ? stop : recorder_take(r, &record, sim, result);
	record_fini(&record);
	return err;
}

/* A schedule that the library does not have is left out, unless it was asked for alone. */
static int run_schedules(struct recorder *r, struct simulator *sim, struct result *results,
			 unsigned int *count, struct igrad_error *error)
{
	uint32_t wanted = r->settings->forward ? 1 : r->settings->schedules;

	*count = 0;
	for (int schedule = 0; schedule < IGRAD_NUM_SCHEDULES; schedule++) {
		int err;

		if (!(wanted & 1u << schedule))
			continue;
		err = run_recorded(r, sim, schedule, &results[*count], error);
		if (err == -ENOTSUP && wanted != 1u << schedule)
			continue;
		if (err)
			return err;
		(*count)++;
	}
	return *count ? 0 : -ENOTSUP;
}

int command_layer(const struct settings *s, struct igrad_error *error)
{
	struct result results[IGRAD_NUM_SCHEDULES];
	struct recorder recorder;
	struct simulator sim;
	unsigned int count;
	int err = simulator_open(&sim, &s->machine, s->energy, error);

	if (err)
		return err;
	err = recorder_open(&recorder, s, error);
	if (!err) {
		err = run_schedules(&recorder, &sim, results, &count, error);
		err = recorder_close(&recorder, err, error);
	}
	if (!err && s->json)
		err = show_json(s, &sim, results, count);
	else if (!err)
		show_text(s, &sim, results, count);
	simulator_close(&sim);
	return err;
}
