// SPDX-License-Identifier: MIT
/* igrad-sim sweep: a layer over array sizes and batches. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "plot.h"
#include "progress.h"

/* A layer on an array in one schedule; @there: it could be executed. */
struct run {
	bool there;
	struct array_size array;
	uint32_t batch;
	struct result result;
	struct json_object *json;
};

struct sweep {
	const struct settings *settings;
	struct run *runs;
	uint32_t count;
	uint32_t failed;
	char unit[16];
};

/* ---------------------------------------------------------------- running */

static struct json_object *json_run(const struct settings *s, const struct simulator *sim,
				    const struct run *run)
{
	struct json_object *object = json_object_new_object();
	struct json_object *result = json_result(sim, &run->result);

	json_count(object, "rows", run->array.rows);
	json_count(object, "cols", run->array.cols);
	json_string(object, "overlap", s->machine.overlap ? "on" : "off");
	json_count(object, "in", s->layer.in);
	json_count(object, "out", s->layer.out);
	json_count(object, "batch", run->batch);
	json_object_object_foreach (result, key, value) {
		json_object_object_add(object, key, json_object_get(value));
	}
	json_object_put(result);
	return object;
}

/* One batch on one array, in all schedules. What cannot be done is said, and the sweep goes on. */
static void run_batch(struct sweep *sweep, struct simulator *sim, struct array_size array,
		      uint32_t batch)
{
	const struct settings *s = sweep->settings;
	struct layer layer = s->layer;
	struct igrad_error error;

	layer.batch = batch;
	for (int schedule = 0; schedule < IGRAD_NUM_SCHEDULES; schedule++) {
		struct run *run = &sweep->runs[sweep->count];
		int err;

		if (!(s->schedules & 1u << schedule))
			continue;
		*run = (struct run){.array = array, .batch = batch};
		err = simulator_backward(sim, &layer, &s->manner, schedule, &run->result, &error);
		if (err == -ENOTSUP && s->schedules != 1u << schedule)
			continue;
		sweep->count++;
		run->there = !err;
		if (!err && s->json)
			run->json = json_run(s, sim, run);
		if (err) {
			progress_clear();
			fprintf(stderr, "igrad-sim: %u x %u: %s\n", array.rows, array.cols,
				error.message);
			sweep->failed++;
		}
	}
}

static int run_all(struct sweep *sweep, struct igrad_error *error)
{
	const struct settings *s = sweep->settings;
	uint32_t total = s->num_arrays * s->num_batches, done = 0;

	for (uint32_t a = 0; a < s->num_arrays; a++) {
		struct machine machine = s->machine;
		struct simulator sim;
		int err;

		machine.array = s->arrays[a];
		err = simulator_open(&sim, &machine, s->energy, error);
		if (err)
			return err;
		snprintf(sweep->unit, sizeof(sweep->unit), "%s",
			 igrad_energy_table_unit(sim.table));
		for (uint32_t b = 0; b < s->num_batches; b++) {
			char what[64];

			snprintf(what, sizeof(what), "%u x %u, batch %u", machine.array.rows,
				 machine.array.cols, s->batches[b]);
			progress_show(done++, total, what);
			run_batch(sweep, &sim, machine.array, s->batches[b]);
		}
		simulator_close(&sim);
	}
	progress_clear();
	return 0;
}

/* ---------------------------------------------------------------- showing */

static void show_csv(const struct sweep *sweep)
{
	const struct settings *s = sweep->settings;

	printf("rows,cols,overlap,in,out,batch,schedule,cycles,utilization,macs,sram_reads,"
	       "sram_writes,sram_accesses,dram_read_bytes,dram_write_bytes,energy_");
	for (const char *c = sweep->unit; *c; c++)
		putchar(isalnum((unsigned char)*c) ? tolower((unsigned char)*c) : '_');
	printf("\n");
	for (uint32_t i = 0; i < sweep->count; i++) {
		const struct run *run = &sweep->runs[i];
		const struct result *r = &run->result;

		if (!run->there)
			continue;
		printf("%u,%u,%s,%u,%u,%u,%s,%llu,%.6f,%llu,%llu,%llu,%llu,%llu,%llu,%.10g\n",
		       run->array.rows, run->array.cols, s->machine.overlap ? "on" : "off",
		       s->layer.in, s->layer.out, run->batch, igrad_schedule_name(r->schedule),
		       (unsigned long long)r->report.cycles, r->utilization,
		       (unsigned long long)r->report.macs, (unsigned long long)result_reads(r),
		       (unsigned long long)result_writes(r), (unsigned long long)result_accesses(r),
		       (unsigned long long)r->report.dram_read_bytes,
		       (unsigned long long)r->report.dram_write_bytes, r->energy.total);
	}
}

static void show_text(const struct sweep *sweep)
{
	char energy[32], size[LAYER_TEXT];

	snprintf(energy, sizeof(energy), "energy, %s", sweep->unit);
	printf("backward pass of %s, overlap=%s\n\n", layer_size(&sweep->settings->layer, size),
	       sweep->settings->machine.overlap ? "on" : "off");
	printf("%9s %6s  %-12s %13s  util. %14s %14s %14s\n", "array", "batch", "schedule",
	       "cycles", "SRAM words", "DRAM bytes", energy);
	for (uint32_t i = 0; i < sweep->count; i++) {
		const struct run *run = &sweep->runs[i];
		const struct result *r = &run->result;

		if (run->there)
			printf("%4ux%-4u %6u  %-12s %13llu  %.3f %14llu %14llu %14.6g\n",
			       run->array.rows, run->array.cols, run->batch,
			       igrad_schedule_name(r->schedule),
			       (unsigned long long)r->report.cycles, r->utilization,
			       (unsigned long long)result_accesses(r),
			       (unsigned long long)result_dram(r), r->energy.total);
	}
}

static int show_json(struct sweep *sweep)
{
	struct json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < sweep->count; i++)
		if (sweep->runs[i].there)
			json_object_array_add(array, sweep->runs[i].json);
	return json_print(array);
}

/* ---------------------------------------------------------------- curves */

struct field {
	const char *name;
	const char *label;
	bool logarithmic;
};

static const struct field fields[] = {
	{"utilization", "multiply-adds per PE and cycle", false},
	{"cycles", "cycles", true},
	{"accesses", "SRAM accesses", true},
	{"dram", "DRAM bytes", true},
	{"energy", "energy", true},
};

#define NUM_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < NUM_FIELDS; i++)
		if (!strcmp(name, fields[i].name))
			return &fields[i];
	return NULL;
}

static double value_of(const struct result *r, const struct field *field)
{
	switch (field - fields) {
	case 0:
		return r->utilization;
	case 1:
		return r->report.cycles;
	case 2:
		return result_accesses(r);
	case 3:
		return result_dram(r);
	default:
		return r->energy.total;
	}
}

static bool same_array(struct array_size a, struct array_size b)
{
	return a.rows == b.rows && a.cols == b.cols;
}

/* The points of one curve; how many there are. */
static unsigned int write_curve(FILE *script, const struct sweep *sweep, struct array_size array,
				int schedule, const struct field *field)
{
	unsigned int points = 0;

	for (uint32_t i = 0; i < sweep->count; i++) {
		const struct run *run = &sweep->runs[i];

		if (!run->there || !same_array(run->array, array) ||
		    run->result.schedule != (enum igrad_schedule)schedule)
			continue;
		if (!points++)
			fprintf(script, "$s%d << EOD\n", schedule);
		fprintf(script, "%u %.10g\n", run->batch, value_of(&run->result, field));
	}
	if (points)
		fprintf(script, "EOD\n");
	return points;
}

static void draw_array(FILE *script, const struct sweep *sweep, struct array_size array,
		       const struct field *field)
{
	uint32_t drawn = 0;
	const char *separator = "plot ";

	for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++)
		if (write_curve(script, sweep, array, s, field))
			drawn |= 1u << s;
	fprintf(script, "set title '%u × %u'\n", array.rows, array.cols);
	for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++) {
		if (!(drawn & 1u << s))
			continue;
		fprintf(script, "%s$s%d using 1:2 with linespoints title '%s'", separator, s,
			igrad_schedule_name(s));
		separator = ", ";
	}
	fprintf(script, drawn ? "\n" : "set multiplot next\n");
}

static int draw(const struct sweep *sweep, const struct field *field, struct igrad_error *error)
{
	const struct settings *s = sweep->settings;
	uint32_t across = s->num_arrays > 1 ? 2 : 1, down = (s->num_arrays + 1) / across;
	char size[LAYER_TEXT];
	struct plot plot;
	int err = plot_open(&plot, s->svg, 520 * across, 60 + 300 * down, error);

	if (err)
		return err;
	fprintf(plot.script,
		"set multiplot layout %u,%u title 'backward pass of %s, overlap=%s'\n"
		"set logscale x 2\nset xlabel 'batch'\nset ylabel '%s'\n%s",
		down, across, layer_size(&s->layer, size), s->machine.overlap ? "on" : "off",
		field->label, field->logarithmic ? "set logscale y\n" : "set yrange [0:1]\n");
	for (uint32_t a = 0; a < s->num_arrays; a++)
		draw_array(plot.script, sweep, s->arrays[a], field);
	fprintf(plot.script, "unset multiplot\n");
	return plot_close(&plot, error);
}

/* ---------------------------------------------------------------- the command */

static int show(struct sweep *sweep, struct igrad_error *error)
{
	const struct settings *s = sweep->settings;
	int err = 0;

	if (s->json)
		err = show_json(sweep);
	else if (s->csv)
		show_csv(sweep);
	else
		show_text(sweep);
	if (!err && s->svg)
		err = draw(sweep, find_field(s->plot), error);
	if (!err && sweep->failed)
		err = fail(error, -E2BIG, "%u of %u could not be executed", sweep->failed,
			   sweep->count);
	return err;
}

int command_sweep(const struct settings *s, struct igrad_error *error)
{
	struct sweep sweep = {.settings = s};
	int err;

	if (!find_field(s->plot))
		return fail(
			error, -EINVAL,
			"--plot %.40s: there are utilization, cycles, accesses, dram and energy",
			s->plot);
	sweep.runs = calloc((size_t)s->num_arrays * s->num_batches * IGRAD_NUM_SCHEDULES,
			    sizeof(*sweep.runs));
	if (!sweep.runs)
		return -ENOMEM;
	err = run_all(&sweep, error);
	if (!err)
		err = show(&sweep, error);
	free(sweep.runs);
	return err;
}
