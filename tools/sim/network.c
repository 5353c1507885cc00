// SPDX-License-Identifier: MIT
/* igrad-sim network: the layers of networks, one by one, forward and backward. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "net.h"
#include "progress.h"
#include "shapes.h"
#include "text.h"

/* What a layer came to; @reason: why it is not costed. */
struct row {
	const struct net_layer *layer;
	const char *reason;
	struct result forward;
	struct result backward[IGRAD_NUM_SCHEDULES];
	unsigned int count;
};

/* A network on a device. */
struct account {
	const struct settings *settings;
	const struct net *net;
	struct simulator sim;
	struct row *rows; /* one per layer of the network */
};

/* ---------------------------------------------------------------- what is costed */

/* The layer that alone uses @layer's result, or NULL. */
static const struct net_layer *sole_user(const struct net *net, const struct net_layer *layer)
{
	uint32_t index = layer - net->layers;
	const struct net_layer *user = NULL;

	for (uint32_t i = index + 1; i < net->num_layers; i++) {
		for (uint32_t j = 0; j < net->layers[i].num_inputs; j++) {
			if (net->layers[i].inputs[j] != index)
				continue;
			if (user)
				return NULL;
			user = &net->layers[i];
		}
	}
	return user;
}

static bool has_relu(const struct net *net, const struct net_layer *layer)
{
	const struct net_layer *user = sole_user(net, layer);

	return layer->kind == NET_LINEAR && user && user->kind == NET_RELU;
}

static const char *reason(const struct net *net, const struct net_layer *layer)
{
	switch (layer->kind) {
	case NET_INPUT:
		return "the input";
	case NET_LINEAR:
		return layer->note;
	case NET_CONV:
		return "convolutions are not costed yet";
	case NET_FLATTEN:
		return "nothing moves";
	case NET_RELU:
		if (has_relu(net, &net->layers[layer->inputs[0]]))
			return "costed with the layer before";
		return "not costed yet";
	default:
		return "not costed yet";
	}
}

static struct layer shape_of(const struct account *a, const struct net_layer *layer)
{
	const struct net_layer *input = &a->net->layers[layer->inputs[0]];
	uint32_t batch = layer->batch ? layer->batch : a->net->batch;

	return (struct layer){
		.in = input->shape.c,
		.out = layer->out,
		.batch = a->settings->batch_given && !layer->batch ? a->settings->layer.batch
								   : batch,
		.first = !input->learns,
		.bias = layer->bias,
		.relu = has_relu(a->net, layer),
	};
}

/* ---------------------------------------------------------------- costing */

static int cost_row(struct account *a, struct row *row, struct igrad_error *error)
{
	struct layer layer = shape_of(a, row->layer);
	const struct settings *s = a->settings;
	int err = simulator_forward(&a->sim, &layer, &s->manner, &row->forward, error);

	for (int schedule = 0; schedule < IGRAD_NUM_SCHEDULES && !err; schedule++) {
		if (!(s->schedules & 1u << schedule))
			continue;
		err = simulator_backward(&a->sim, &layer, &s->manner, schedule,
					 &row->backward[row->count], error);
		if (!err)
			row->count++;
		else if (err == -ENOTSUP && s->schedules != 1u << schedule)
			err = 0;
	}
	return err;
}

static int cost_rows(struct account *a, struct igrad_error *error)
{
	int err = 0;

	a->rows = calloc(a->net->num_layers, sizeof(*a->rows));
	if (!a->rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->net->num_layers && !err; i++) {
		struct row *row = &a->rows[i];

		row->layer = &a->net->layers[i];
		row->reason = reason(a->net, row->layer);
		progress_show(i, a->net->num_layers, row->layer->name);
		if (!row->reason)
			err = cost_row(a, row, error);
	}
	progress_clear();
	return err;
}

/* Forward and backward passes of all costed layers with the schedule in place @at. */
static bool total(const struct account *a, unsigned int at, struct result *sum)
{
	const struct igrad_device_info *info = simulator_info(&a->sim);
	struct igrad_report *t = &sum->report;

	*sum = (struct result){0};
	for (uint32_t i = 0; i < a->net->num_layers; i++) {
		const struct row *row = &a->rows[i];
		const struct result *parts[] = {&row->forward, &row->backward[at]};

		for (int p = 0; p < 2 && at < row->count; p++) {
			const struct igrad_report *r = &parts[p]->report;

			sum->schedule = parts[p]->schedule;
			t->cycles += r->cycles;
			t->macs += r->macs;
			t->dram_read_bytes += r->dram_read_bytes;
			t->dram_write_bytes += r->dram_write_bytes;
			for (int w = 0; w < 2; w++)
				for (int o = 0; o < IGRAD_NUM_ACCESSES; o++)
					t->sram[w][o] += r->sram[w][o];
			sum->energy.total += parts[p]->energy.total;
			for (int e = 0; e < IGRAD_NUM_ENERGY_PARTS; e++)
				sum->energy.parts[e] += parts[p]->energy.parts[e];
		}
	}
	if (t->cycles)
		sum->utilization = t->macs / ((double)t->cycles * info->rows * info->cols);
	return t->cycles != 0;
}

/* ---------------------------------------------------------------- text */

static void show_result(const struct account *a, const struct row *row, const struct result *r)
{
	struct layer layer = shape_of(a, row->layer);
	char size[40];

	snprintf(size, sizeof(size), "%u-%u", layer.in, layer.out);
	printf("%-16s %-14s %6u  %-12s %13llu  %.3f %14llu %14llu %14.6g\n", row->layer->name, size,
	       layer.batch, r->forward ? "forward" : igrad_schedule_name(r->schedule),
	       (unsigned long long)r->report.cycles, r->utilization,
	       (unsigned long long)(result_reads(r) + result_writes(r)),
	       (unsigned long long)result_dram(r), r->energy.total);
}

static void show_row(const struct account *a, const struct row *row)
{
	char from[48], to[48];

	if (!row->reason) {
		show_result(a, row, &row->forward);
		for (unsigned int i = 0; i < row->count; i++)
			show_result(a, row, &row->backward[i]);
		return;
	}
	if (row->layer->kind == NET_INPUT && !a->net->chain)
		return;
	net_shape_text(&row->layer->shape, to);
	if (row->layer->kind == NET_INPUT)
		printf("%-16s %s\n", row->layer->name, to);
	else
		printf("%-16s %s, %s -> %s: %s\n", row->layer->name,
		       net_kind_name(row->layer->kind),
		       net_shape_text(&a->net->layers[row->layer->inputs[0]].shape, from), to,
		       row->reason);
}

static void show_totals(const struct account *a)
{
	struct result results[IGRAD_NUM_SCHEDULES];
	unsigned int count = 0;

	while (count < IGRAD_NUM_SCHEDULES && total(a, count, &results[count]))
		count++;
	if (!count) {
		printf("\nNothing in this network is costed.\n");
		return;
	}
	printf("\nAll costed layers, forward and backward, each a job of its own:\n\n");
	text_results(&a->sim, results, count);
}

static void show_text(const struct account *a)
{
	char energy[24];

	printf("network    %s (%s)\n", a->net->name, a->net->path);
	for (uint32_t i = 0; i < a->net->num_notes; i++)
		printf("note       %s\n", a->net->notes[i]);
	text_device(&a->sim);
	text_table(a->sim.table, simulator_info(&a->sim));
	snprintf(energy, sizeof(energy), "energy, %.12s", igrad_energy_table_unit(a->sim.table));
	printf("\n%-16s %-14s %6s  %-12s %13s  util. %14s %14s %14s\n", "layer", "in-out", "batch",
	       "pass", "cycles", "SRAM words", "DRAM bytes", energy);
	for (uint32_t i = 0; i < a->net->num_layers; i++)
		show_row(a, &a->rows[i]);
	show_totals(a);
}

/* ---------------------------------------------------------------- JSON */

static struct json_object *json_row(const struct account *a, const struct row *row)
{
	struct json_object *object = json_object_new_object();
	struct json_object *backward = json_object_new_array();
	char text[48];

	json_string(object, "name", row->layer->name);
	json_string(object, "kind", net_kind_name(row->layer->kind));
	json_count(object, "line", row->layer->line);
	json_string(object, "shape", net_shape_text(&row->layer->shape, text));
	json_object_object_add(object, "costed", json_object_new_boolean(!row->reason));
	if (row->reason) {
		json_string(object, "reason", row->reason);
		json_object_put(backward);
		return object;
	}
	json_count(object, "in", shape_of(a, row->layer).in);
	json_count(object, "out", shape_of(a, row->layer).out);
	json_count(object, "batch", shape_of(a, row->layer).batch);
	json_object_object_add(object, "forward", json_result(&a->sim, &row->forward));
	for (unsigned int i = 0; i < row->count; i++)
		json_object_array_add(backward, json_result(&a->sim, &row->backward[i]));
	json_object_object_add(object, "backward", backward);
	return object;
}

static struct json_object *json_account(const struct account *a)
{
	struct json_object *object = json_object_new_object();
	struct json_object *notes = json_object_new_array(), *layers = json_object_new_array();
	struct json_object *totals = json_object_new_array();
	struct result sum;

	json_string(object, "network", a->net->name);
	json_string(object, "file", a->net->path);
	json_string(object, "device", igrad_device_uri(a->sim.device));
	for (uint32_t i = 0; i < a->net->num_notes; i++)
		json_object_array_add(notes, json_object_new_string(a->net->notes[i]));
	for (uint32_t i = 0; i < a->net->num_layers; i++)
		if (a->net->chain || a->net->layers[i].kind != NET_INPUT)
			json_object_array_add(layers, json_row(a, &a->rows[i]));
	for (unsigned int i = 0; i < IGRAD_NUM_SCHEDULES && total(a, i, &sum); i++)
		json_object_array_add(totals, json_result(&a->sim, &sum));
	json_object_object_add(object, "notes", notes);
	json_object_object_add(object, "layers", layers);
	json_object_object_add(object, "totals", totals);
	return object;
}

/* ---------------------------------------------------------------- the command */

static int check_batch(const struct settings *s, const struct net *net, struct igrad_error *error)
{
	if (s->batch_given && s->gemm)
		return fail(error, -EINVAL, "--batch does not go with gemm files: M is the batch");
	if (!s->batch_given && !net->batch)
		return fail(error, -EINVAL, "%.160s has no batch; say one with --batch", net->path);
	return 0;
}

static int one_network(const struct settings *s, const char *path, struct json_object *all,
		       struct igrad_error *error)
{
	struct account a = {.settings = s};
	struct net *net;
	int err = net_load(path, s->gemm, &net, error);

	if (err)
		return err;
	a.net = net;
	if (s->shapes) {
		if (s->json)
			json_object_array_add(all, shapes_json(net));
		else
			shapes_show(net);
		net_free(net);
		return 0;
	}
	err = check_batch(s, net, error);
	if (!err)
		err = simulator_open(&a.sim, &s->machine, s->energy, error);
	if (!err)
		err = cost_rows(&a, error);
	if (!err && s->json)
		json_object_array_add(all, json_account(&a));
	else if (!err)
		show_text(&a);
	free(a.rows);
	simulator_close(&a.sim);
	net_free(net);
	return err;
}

/* One network alone, or an array of several. */
int command_network(const struct settings *s, struct igrad_error *error)
{
	struct json_object *all = json_object_new_array();
	int err = all ? 0 : -ENOMEM;

	for (int i = 0; i < s->num_files && !err; i++) {
		if (i && !s->json)
			printf("\n");
		err = one_network(s, s->files[i], all, error);
	}
	if (!err && s->json && s->num_files == 1)
		err = json_print(json_object_get(json_object_array_get_idx(all, 0)));
	else if (!err && s->json)
		err = json_print(json_object_get(all));
	json_object_put(all);
	return err;
}
