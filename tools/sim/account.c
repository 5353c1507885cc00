// SPDX-License-Identifier: MIT
/* Executing the layers of a network. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "progress.h"

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

	return (layer->kind == NET_LINEAR || layer->kind == NET_CONV) && user &&
	       user->kind == NET_RELU;
}

static const char *reason(const struct net *net, const struct net_layer *layer)
{
	switch (layer->kind) {
	case NET_INPUT:
		return "the input";
	case NET_LINEAR:
	case NET_CONV:
		return layer->note;
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

static struct layer layer_of(const struct account *a, const struct net_layer *layer)
{
	const struct net_layer *input = &a->net->layers[layer->inputs[0]];
	uint32_t batch = layer->batch ? layer->batch : a->net->batch;
	struct layer l = {
		.in = input->shape.c,
		.out = layer->out,
		.batch = a->settings->batch_given && !layer->batch ? a->settings->layer.batch
								   : batch,
		.first = !input->learns,
		.bias = layer->bias,
		.relu = has_relu(a->net, layer),
	};

	if (layer->kind == NET_CONV)
		l.window = (struct igrad_conv_shape){
			.height = input->shape.h,
			.width = input->shape.w,
			.kernel_y = layer->kernel.h,
			.kernel_x = layer->kernel.w,
			.stride_y = layer->stride.h,
			.stride_x = layer->stride.w,
			.pad_top = layer->pad.top,
			.pad_bottom = layer->pad.bottom,
			.pad_left = layer->pad.left,
			.pad_right = layer->pad.right,
			.dilation_y = layer->dilation.h,
			.dilation_x = layer->dilation.w,
			.groups = layer->groups,
		};
	return l;
}

static bool same_layer(const struct layer *a, const struct layer *b)
{
	return a->in == b->in && a->out == b->out && a->batch == b->batch && a->first == b->first &&
	       a->bias == b->bias && a->relu == b->relu &&
	       !memcmp(&a->window, &b->window, sizeof(a->window));
}

/* ---------------------------------------------------------------- costing */

/* What the library does not do, or not on this device, is no error: it is said with the result. */
static int take(struct pass *pass, int err)
{
	pass->there = !err;
	pass->err = err;
	return err == -ENOTSUP || err == -E2BIG || err == -ENOSPC ? 0 : err;
}

static int execute(struct account *a, struct cost *cost, struct igrad_error *error)
{
	const struct settings *s = a->settings;
	int err = take(&cost->forward, simulator_forward(&a->sim, &cost->layer, &s->manner,
							 &cost->forward.result, error));

	for (int schedule = 0; schedule < IGRAD_NUM_SCHEDULES && !err; schedule++) {
		struct pass *pass = &cost->backward[schedule];

		if (s->schedules & 1u << schedule)
			err = take(pass, simulator_backward(&a->sim, &cost->layer, &s->manner,
							    schedule, &pass->result, error));
	}
	return err;
}

static struct cost *find(const struct account *a, const struct layer *layer)
{
	for (uint32_t i = 0; i < a->num_costs; i++)
		if (same_layer(&a->costs[i].layer, layer))
			return &a->costs[i];
	return NULL;
}

static int cost_row(struct account *a, struct row *row, struct igrad_error *error)
{
	struct layer layer = layer_of(a, row->layer);
	struct cost *cost = find(a, &layer);
	int err = 0;

	if (!cost) {
		cost = &a->costs[a->num_costs++];
		cost->layer = layer;
		err = execute(a, cost, error);
	}
	row->cost = cost;
	return err;
}

static int cost_rows(struct account *a, const char *title, struct igrad_error *error)
{
	int err = 0;

	for (uint32_t i = 0; i < a->net->num_layers && !err; i++) {
		struct row *row = &a->rows[i];
		char what[160];

		row->layer = &a->net->layers[i];
		row->reason = reason(a->net, row->layer);
		snprintf(what, sizeof(what), "%s%s%s", title ? title : "", title ? ": " : "",
			 row->layer->name);
		progress_show(i, a->net->num_layers, what);
		if (!row->reason)
			err = cost_row(a, row, error);
	}
	progress_clear();
	return err;
}

int account_open(struct account *a, const struct settings *settings, const struct net *net,
		 const struct machine *machine, const char *title, struct igrad_error *error)
{
	int err;

	*a = (struct account){.settings = settings, .net = net};
	err = simulator_open(&a->sim, machine, settings->energy, error);
	if (err)
		return err;
	a->rows = calloc(net->num_layers, sizeof(*a->rows));
	a->costs = calloc(net->num_layers, sizeof(*a->costs));
	err = a->rows && a->costs ? cost_rows(a, title, error) : -ENOMEM;
	if (err)
		account_close(a);
	return err;
}

void account_close(struct account *a)
{
	free(a->rows);
	free(a->costs);
	simulator_close(&a->sim);
}

/* ---------------------------------------------------------------- sums */

void result_add(struct result *sum, const struct result *part, const struct simulator *sim)
{
	const struct igrad_device_info *info = simulator_info(sim);
	const struct igrad_report *r = &part->report;
	struct igrad_report *t = &sum->report;

	t->cycles += r->cycles;
	t->macs += r->macs;
	t->dram_read_bytes += r->dram_read_bytes;
	t->dram_write_bytes += r->dram_write_bytes;
	for (int w = 0; w < 2; w++)
		for (int o = 0; o < IGRAD_NUM_ACCESSES; o++)
			t->sram[w][o] += r->sram[w][o];
	sum->energy.total += part->energy.total;
	for (int e = 0; e < IGRAD_NUM_ENERGY_PARTS; e++)
		sum->energy.parts[e] += part->energy.parts[e];
	if (t->cycles)
		sum->utilization = t->macs / ((double)t->cycles * info->rows * info->cols);
}

bool account_total(const struct account *a, enum part part, enum igrad_schedule schedule,
		   struct result *sum)
{
	*sum = (struct result){.schedule = schedule};
	for (uint32_t i = 0; i < a->net->num_layers; i++) {
		const struct cost *cost = a->rows[i].cost;

		if (!cost)
			continue;
		if (!cost->backward[schedule].there || (part == PART_STEP && !cost->forward.there))
			return false;
		result_add(sum, &cost->backward[schedule].result, &a->sim);
		if (part == PART_STEP)
			result_add(sum, &cost->forward.result, &a->sim);
	}
	return sum->report.cycles != 0;
}

uint64_t account_macs(const struct account *a, bool costed)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < a->net->num_layers; i++)
		if (!costed || a->rows[i].cost)
			sum += a->net->layers[i].macs;
	return sum;
}
