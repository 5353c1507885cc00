// SPDX-License-Identifier: MIT
/*
 * igrad-sim paper --intergrad: what the paper on interleaved gradients of convolutional networks
 * claims beside what is measured. Layers are executed as `network` does it, from memory to memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "intergrad.h"
#include "json.h"

#define BATCH 32

/* N. Unnikrishnan, K. Parhi: InterGrad, IEEE TCAS-I 70(5), 2023: the abstract. */
const struct claim intergrad_claims[] = {
	{"inception-v4", 4, 17, 12},
	{"densenet264", 27, 26, 18},
};
const size_t intergrad_num_claims = sizeof(intergrad_claims) / sizeof(intergrad_claims[0]);

/* ---------------------------------------------------------------- figures */

/* A weight-stationary array has simpler processing elements, so there is another one at equal area.
 */
static const struct account *account_of(const struct contest *c, enum ground ground,
					enum igrad_schedule schedule)
{
	bool fixed = schedule == IGRAD_SCHEDULE_WS_PAPER || schedule == IGRAD_SCHEDULE_WS;

	return ground == GROUND_AREA && fixed ? &c->fixed : &c->same;
}

static struct figures figures_of(const struct result *result)
{
	return (struct figures){true, result->report.cycles, result_accesses(result),
				result->energy.total};
}

struct figures contest_layer(const struct contest *c, enum ground ground,
			     enum igrad_schedule schedule, uint32_t index)
{
	const struct pass *pass = &account_of(c, ground, schedule)->costs[index].backward[schedule];

	return pass->there ? figures_of(&pass->result) : (struct figures){0};
}

struct figures contest_total(const struct contest *c, enum ground ground,
			     enum igrad_schedule schedule, enum part part)
{
	struct result sum;

	if (!account_total(account_of(c, ground, schedule), part, schedule, &sum))
		return (struct figures){0};
	return figures_of(&sum);
}

uint32_t contest_count(const struct contest *c, uint32_t index, const struct net_layer **first)
{
	const struct account *a = &c->same;
	uint32_t count = 0;

	for (uint32_t i = 0; i < a->net->num_layers; i++)
		if (a->rows[i].cost == &a->costs[index] && !count++)
			*first = a->rows[i].layer;
	return count;
}

/* ---------------------------------------------------------------- JSON */

static const char *const grounds[NUM_GROUNDS] = {"array", "area"};

/* What a row compares. */
struct pairing {
	enum ground ground;
	enum igrad_schedule baseline;
	enum igrad_schedule schedule;
};

static void json_energy(struct json_object *row, const struct account *a, const char *key,
			double energy)
{
	if (strcmp(igrad_energy_table_unit(a->sim.table), "pJ"))
		json_object_object_add(row, key, NULL);
	else
		json_real(row, key, energy);
}

static struct json_object *json_comparison(const struct contest *c, const struct pairing *p,
					   const struct figures *baseline,
					   const struct figures *ours)
{
	const struct igrad_device_info *info = simulator_info(&c->same.sim);
	const struct account *other = account_of(c, p->ground, p->baseline);
	const struct igrad_device_info *theirs = simulator_info(&other->sim);
	struct json_object *row = json_object_new_object();

	json_string(row, "network", c->same.net->name);
	json_count(row, "n", info->rows);
	json_count(row, "cols", info->cols);
	json_count(row, "baseline_n", theirs->rows);
	json_count(row, "baseline_cols", theirs->cols);
	json_string(row, "equal", grounds[p->ground]);
	json_string(row, "overlap", c->same.settings->machine.overlap ? "on" : "off");
	json_string(row, "baseline", igrad_schedule_name(p->baseline));
	json_string(row, "schedule", igrad_schedule_name(p->schedule));
	json_real(row, "cycles_ratio", (double)baseline->cycles / ours->cycles);
	json_real(row, "access_ratio", (double)baseline->accesses / ours->accesses);
	json_real(row, "energy_ratio", baseline->energy / ours->energy);
	json_count(row, "cycles", ours->cycles);
	json_count(row, "accesses", ours->accesses);
	json_energy(row, &c->same, "energy_pj", ours->energy);
	json_count(row, "baseline_cycles", baseline->cycles);
	json_count(row, "baseline_accesses", baseline->accesses);
	json_energy(row, &c->same, "baseline_energy_pj", baseline->energy);
	return row;
}

static void json_total(const struct contest *c, const struct pairing *p, enum part part,
		       struct json_object *rows)
{
	struct figures baseline = contest_total(c, p->ground, p->baseline, part);
	struct figures ours = contest_total(c, p->ground, p->schedule, part);
	struct json_object *row;

	if (!baseline.there || !ours.there)
		return;
	row = json_comparison(c, p, &baseline, &ours);
	json_object_object_add(row, "layer", NULL);
	json_string(row, "part", part == PART_STEP ? "step" : "backward");
	json_object_object_add(row, "in", NULL);
	json_object_object_add(row, "out", NULL);
	json_count(row, "batch", c->same.settings->layer.batch);
	json_object_object_add(row, "count", NULL);
	json_object_array_add(rows, row);
}

static void json_layer(const struct contest *c, const struct pairing *p, uint32_t index,
		       struct json_object *rows)
{
	struct figures baseline = contest_layer(c, p->ground, p->baseline, index);
	struct figures ours = contest_layer(c, p->ground, p->schedule, index);
	const struct layer *layer = &c->same.costs[index].layer;
	const struct net_layer *first = NULL;
	struct json_object *row;
	uint32_t count;

	if (!baseline.there || !ours.there)
		return;
	count = contest_count(c, index, &first);
	row = json_comparison(c, p, &baseline, &ours);
	json_string(row, "layer", first->name);
	json_string(row, "part", "backward");
	json_count(row, "in", layer->in);
	json_count(row, "out", layer->out);
	json_count(row, "batch", layer->batch);
	json_count(row, "count", count);
	json_object_array_add(rows, row);
}

static void json_contest(const struct contest *c, struct json_object *rows)
{
	static const enum igrad_schedule ours[] = {IGRAD_SCHEDULE_INTERLEAVED, IGRAD_SCHEDULE_AUTO};

	for (int ground = 0; ground < NUM_GROUNDS; ground++) {
		for (int b = 0; b < IGRAD_SCHEDULE_INTERLEAVED; b++) {
			for (int s = 0; s < 2; s++) {
				const struct pairing p = {ground, b, ours[s]};

				for (uint32_t i = 0; i < c->same.num_costs; i++)
					json_layer(c, &p, i, rows);
				json_total(c, &p, PART_BACKWARD, rows);
				json_total(c, &p, PART_STEP, rows);
			}
		}
	}
}

/* ---------------------------------------------------------------- measuring */

/* What is asked for once, for all networks. */
struct job {
	struct settings settings;
	struct area_table areas;
	struct array_size fixed;
	struct json_object *rows;
	struct summary *summaries;
	uint32_t count;
};

static void summarize(const struct contest *c, struct summary *summary)
{
	snprintf(summary->network, sizeof(summary->network), "%s", c->same.net->name);
	for (int part = 0; part < NUM_PARTS; part++)
		for (int ground = 0; ground < NUM_GROUNDS; ground++)
			for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++)
				summary->totals[part][ground][s] = contest_total(c, ground, s,
										 part);
}

static int contest_open(struct contest *c, const struct job *job, struct settings *fixed,
			const struct net *net, struct igrad_error *error)
{
	char title[NET_NAME + 40];
	int err;

	*fixed = job->settings;
	fixed->machine.array = job->fixed;
	fixed->schedules = 1u << IGRAD_SCHEDULE_WS_PAPER | 1u << IGRAD_SCHEDULE_WS;
	snprintf(title, sizeof(title), "%s on %u x %u", net->name, job->settings.machine.array.rows,
		 job->settings.machine.array.cols);
	err = account_open(&c->same, &job->settings, net, &job->settings.machine, title, error);
	if (err)
		return err;
	snprintf(title, sizeof(title), "%s on %u x %u", net->name, job->fixed.rows,
		 job->fixed.cols);
	err = account_open(&c->fixed, fixed, net, &fixed->machine, title, error);
	if (err)
		account_close(&c->same);
	return err;
}

static int measure(struct job *job, const struct net *net, struct igrad_error *error)
{
	struct settings fixed;
	struct contest contest;
	int err = contest_open(&contest, job, &fixed, net, error);

	if (err)
		return err;
	if (job->settings.json)
		json_contest(&contest, job->rows);
	else
		intergrad_show(&contest);
	summarize(&contest, &job->summaries[job->count++]);
	account_close(&contest.same);
	account_close(&contest.fixed);
	return 0;
}

static int measure_builtin(struct job *job, struct igrad_error *error)
{
	const char *name, *text;
	int err = 0;

	for (size_t i = 0; !err && (text = intergrad_net(i, &name)); i++) {
		struct net *net;

		err = net_parse(name, text, &net, error);
		if (err)
			break;
		err = measure(job, net, error);
		net_free(net);
	}
	return err;
}

static int measure_files(struct job *job, struct igrad_error *error)
{
	int err = 0;

	for (int i = 0; i < job->settings.num_files && !err; i++) {
		struct net *net;

		err = net_load(job->settings.files[i], false, &net, error);
		if (err)
			break;
		err = measure(job, net, error);
		net_free(net);
	}
	return err;
}

static int job_open(struct job *job, const struct settings *s, struct igrad_error *error)
{
	const struct pe ours = pe_configurable(s->machine.overlap),
			fixed = pe_fixed(s->machine.overlap);
	const char *name;
	size_t count = s->num_files;
	int err;

	*job = (struct job){.settings = *s};
	if (!s->batch_given)
		job->settings.layer.batch = BATCH;
	job->settings.batch_given = true;
	err = area_load(s->area, &job->areas, error);
	if (err)
		return err;
	job->fixed = area_array(&job->areas, s->machine.array, &ours, &fixed);
	while (!s->num_files && intergrad_net(count, &name))
		count++;
	job->summaries = calloc(count, sizeof(*job->summaries));
	job->rows = s->json ? json_object_new_array() : NULL;
	return job->summaries && (job->rows || !s->json) ? 0 : -ENOMEM;
}

int command_intergrad(const struct settings *s, struct igrad_error *error)
{
	struct job job;
	int err = job_open(&job, s, error);

	if (!err && !s->json)
		intergrad_show_heading(&job.settings, &job.areas, job.fixed);
	if (!err)
		err = s->num_files ? measure_files(&job, error) : measure_builtin(&job, error);
	if (!err && s->json)
		err = json_print(json_object_get(job.rows));
	else if (!err)
		intergrad_show_summary(job.summaries, job.count);
	json_object_put(job.rows);
	free(job.summaries);
	return err;
}
