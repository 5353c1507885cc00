// SPDX-License-Identifier: MIT
/* igrad-sim network: the layers of networks, one by one, forward and backward. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "account.h"
#include "json.h"
#include "shapes.h"
#include "text.h"

/* In files whose rows stand alone, inputs are no more than the columns of a row. */
static bool listed(const struct account *a, const struct row *row)
{
	return a->net->chain || row->layer->kind != NET_INPUT;
}

/* ---------------------------------------------------------------- text */

/* "64-256 3x3/2" */
static const char *size_text(const struct layer *l, char text[64])
{
	const struct igrad_conv_shape *w = &l->window;
	int length = snprintf(text, 64, "%u-%u", l->in, l->out);

	if (is_conv(l))
		length += snprintf(text + length, 64 - length, " %ux%u", w->kernel_y, w->kernel_x);
	if (is_conv(l) && w->stride_y != w->stride_x)
		snprintf(text + length, 64 - length, "/%ux%u", w->stride_y, w->stride_x);
	else if (is_conv(l) && w->stride_y != 1)
		snprintf(text + length, 64 - length, "/%u", w->stride_y);
	return text;
}

static void show_pass(const struct row *row, int width, const char *name, const struct pass *pass)
{
	const struct layer *layer = &row->cost->layer;
	const struct result *r = &pass->result;
	char size[64];

	if (!pass->there && !pass->err)
		return;
	printf("%-*s %-16s %6u  %-12s ", width, row->layer->name, size_text(layer, size),
	       layer->batch, name);
	if (pass->there)
		printf("%13llu  %.3f %14llu %14llu %14.6g\n", (unsigned long long)r->report.cycles,
		       r->utilization, (unsigned long long)(result_reads(r) + result_writes(r)),
		       (unsigned long long)result_dram(r), r->energy.total);
	else
		printf("%s\n", refusal_text(pass->err));
}

/* What nothing has to be done for is not shown. */
static void show_vector(const struct account *a, const struct row *row, int width, const char *name,
			const struct pass *pass)
{
	const struct result *r = &pass->result;
	char shape[48];

	if (pass->there && !r->report.cycles)
		return;
	printf("%-*s %-16s %6u  %-12s ", width, row->layer->name,
	       net_shape_text(&row->layer->shape, shape), layer_batch(a, row->layer), name);
	if (pass->there)
		printf("%13llu  %5s %14llu %14llu %14.6g\n", (unsigned long long)r->report.cycles,
		       "", (unsigned long long)(result_reads(r) + result_writes(r)),
		       (unsigned long long)result_dram(r), r->energy.total);
	else
		printf("%s\n", refusal_text(pass->err));
}

static void show_reason(const struct account *a, const struct row *row, int width)
{
	char from[48], to[48];

	net_shape_text(&row->layer->shape, to);
	if (row->layer->kind == NET_INPUT)
		printf("%-*s %s\n", width, row->layer->name, to);
	else
		printf("%-*s %s, %s -> %s: %s\n", width, row->layer->name,
		       net_kind_name(row->layer->kind),
		       net_shape_text(&a->net->layers[row->layer->inputs[0]].shape, from), to,
		       row->reason);
}

static void show_row(const struct account *a, const struct row *row, int width)
{
	if (!listed(a, row))
		return;
	if (row->cost) {
		show_pass(row, width, "forward", &row->cost->forward);
		for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++)
			show_pass(row, width, igrad_schedule_name(s), &row->cost->backward[s]);
	} else if (row->vector) {
		show_vector(a, row, width, "forward", &row->vector->forward);
		show_vector(a, row, width, "backward", &row->vector->backward);
	} else {
		show_reason(a, row, width);
	}
	if (row->sums)
		show_vector(a, row, width, "sum of dY", &row->sums->forward);
}

static void show_vector_totals(const struct account *a)
{
	struct result results[2];

	if (!a->num_vectors)
		return;
	printf("\nWhat the vector unit does beside them, in any schedule:\n\n");
	if (account_vector(a, false, &results[0]) && account_vector(a, true, &results[1]))
		text_results(&a->sim, results, 2);
	else
		printf("no total: some of it cannot be done\n");
}

static void show_totals(const struct account *a)
{
	struct result results[IGRAD_NUM_SCHEDULES];
	unsigned int count = 0;

	if (!a->num_costs) {
		printf("\nNothing in this network is done by the array.\n");
		show_vector_totals(a);
		return;
	}
	printf("\nAll convolutions and linear layers, forward and backward, each a job of its own:\n\n");
	for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++)
		count += account_total(a, PART_ARRAY, s, &results[count]);
	text_results(&a->sim, results, count);
	for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++)
		if (a->settings->schedules & 1u << s &&
		    !account_total(a, PART_ARRAY, s, &results[0]))
			printf("%-12s no total: some of these layers cannot be done so\n",
			       igrad_schedule_name(s));
	if (account_macs(a, true) < account_macs(a, false))
		printf("\nThese have %llu of the network's %llu multiply-adds (forward, per batch row).\n",
		       (unsigned long long)account_macs(a, true),
		       (unsigned long long)account_macs(a, false));
	show_vector_totals(a);
}

static void show_text(const struct account *a)
{
	const int width = net_name_width(a->net, 16);
	char energy[24];

	printf("network    %s (%s)\n", a->net->name, a->net->path);
	for (uint32_t i = 0; i < a->net->num_notes; i++)
		printf("note       %s\n", a->net->notes[i]);
	text_device(&a->sim);
	text_table(a->sim.table, simulator_info(&a->sim));
	snprintf(energy, sizeof(energy), "energy, %.12s", igrad_energy_table_unit(a->sim.table));
	printf("\n%-*s %-16s %6s  %-12s %13s  util. %14s %14s %14s\n", width, "layer", "in-out",
	       "batch", "pass", "cycles", "SRAM words", "DRAM bytes", energy);
	for (uint32_t i = 0; i < a->net->num_layers; i++)
		show_row(a, &a->rows[i], width);
	show_totals(a);
}

/* ---------------------------------------------------------------- JSON */

static void json_refusal(struct json_object *array, const char *schedule, int err)
{
	struct json_object *object = json_object_new_object();

	json_string(object, "schedule", schedule);
	json_string(object, "reason", refusal_text(err));
	json_object_array_add(array, object);
}

static void json_passes(const struct account *a, struct json_object *object,
			const struct cost *cost)
{
	struct json_object *backward = json_object_new_array(), *refused = json_object_new_array();

	if (cost->forward.there)
		json_object_object_add(object, "forward",
				       json_result(&a->sim, &cost->forward.result));
	else
		json_refusal(refused, "forward", cost->forward.err);
	for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++) {
		const struct pass *pass = &cost->backward[s];

		if (pass->there)
			json_object_array_add(backward, json_result(&a->sim, &pass->result));
		else if (pass->err)
			json_refusal(refused, igrad_schedule_name(s), pass->err);
	}
	json_object_object_add(object, "backward", backward);
	json_object_object_add(object, "refused", refused);
}

static struct json_object *json_pass(const struct account *a, const struct pass *pass)
{
	return pass->there ? json_result(&a->sim, &pass->result) : NULL;
}

static void json_vector(const struct account *a, struct json_object *object, const struct row *row)
{
	struct json_object *vector;

	if (row->sums)
		json_object_object_add(object, "gradient_sum", json_pass(a, &row->sums->forward));
	if (!row->vector)
		return;
	vector = json_object_new_object();
	json_object_object_add(vector, "forward", json_pass(a, &row->vector->forward));
	json_object_object_add(vector, "backward", json_pass(a, &row->vector->backward));
	json_object_object_add(object, "vector", vector);
}

static struct json_object *json_row(const struct account *a, const struct row *row)
{
	struct json_object *object = json_object_new_object();
	char text[48];

	json_string(object, "name", row->layer->name);
	json_string(object, "kind", net_kind_name(row->layer->kind));
	json_count(object, "line", row->layer->line);
	json_string(object, "shape", net_shape_text(&row->layer->shape, text));
	json_object_object_add(object, "costed", json_object_new_boolean(row->cost != NULL));
	json_vector(a, object, row);
	if (!row->cost) {
		json_string(object, "reason", row->reason);
		return object;
	}
	json_count(object, "in", row->cost->layer.in);
	json_count(object, "out", row->cost->layer.out);
	json_count(object, "batch", row->cost->layer.batch);
	json_passes(a, object, row->cost);
	return object;
}

static struct json_object *json_vector_total(const struct account *a)
{
	struct json_object *object;
	struct result forward, backward;

	if (!account_vector(a, false, &forward) || !account_vector(a, true, &backward))
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "forward", json_result(&a->sim, &forward));
	json_object_object_add(object, "backward", json_result(&a->sim, &backward));
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
		if (listed(a, &a->rows[i]))
			json_object_array_add(layers, json_row(a, &a->rows[i]));
	for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++)
		if (account_total(a, PART_ARRAY, s, &sum))
			json_object_array_add(totals, json_result(&a->sim, &sum));
	json_object_object_add(object, "notes", notes);
	json_object_object_add(object, "layers", layers);
	json_object_object_add(object, "totals", totals);
	json_object_object_add(object, "vector", json_vector_total(a));
	json_count(object, "macs", account_macs(a, false));
	json_count(object, "macs_costed", account_macs(a, true));
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

static void list_shapes(const struct settings *s, const struct net *net, struct json_object *all)
{
	if (s->json)
		json_object_array_add(all, shapes_json(net));
	else
		shapes_show(net);
}

static int cost_network(const struct settings *s, const struct net *net, struct json_object *all,
			struct igrad_error *error)
{
	struct account a;
	int err = check_batch(s, net, error);

	if (!err)
		err = account_open(&a, s, net, &s->machine, NULL, error);
	if (err)
		return err;
	if (s->json)
		json_object_array_add(all, json_account(&a));
	else
		show_text(&a);
	account_close(&a);
	return 0;
}

static int one_network(const struct settings *s, const char *path, struct json_object *all,
		       struct igrad_error *error)
{
	struct net *net;
	int err = net_load(path, s->gemm, &net, error);

	if (err)
		return err;
	if (s->shapes)
		list_shapes(s, net, all);
	else
		err = cost_network(s, net, all, error);
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
