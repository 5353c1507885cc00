// SPDX-License-Identifier: MIT
/* Executing the layers of a network. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "progress.h"

/* ---------------------------------------------------------------- what is costed */

uint32_t layer_users(const struct net *net, const struct net_layer *layer,
		     const struct net_layer **last)
{
	uint32_t index = layer - net->layers, users = 0;

	*last = NULL;
	for (uint32_t i = index + 1; i < net->num_layers; i++) {
		for (uint32_t j = 0; j < net->layers[i].num_inputs; j++) {
			if (net->layers[i].inputs[j] != index)
				continue;
			*last = &net->layers[i];
			users++;
		}
	}
	return users;
}

bool has_relu(const struct net *net, const struct net_layer *layer)
{
	const struct net_layer *user;

	return (layer->kind == NET_LINEAR || layer->kind == NET_CONV ||
		layer->kind == NET_BATCHNORM || layer->kind == NET_ADD) &&
	       layer_users(net, layer, &user) == 1 && user->kind == NET_RELU;
}

static const char *reason(const struct net *net, const struct net_layer *layer)
{
	const struct net_layer *user;

	switch (layer->kind) {
	case NET_INPUT:
		return "the input";
	case NET_LINEAR:
	case NET_CONV:
		return layer->note;
	case NET_FLATTEN:
		return "nothing moves";
	case NET_CONCAT:
		return "nothing moves: its inputs are parts of it";
	case NET_LRN:
		return "the library has no such layer";
	case NET_RELU:
		if (has_relu(net, &net->layers[layer->inputs[0]]))
			return "costed with the layer before";
		break;
	case NET_SOFTMAX:
		if (layer_users(net, layer, &user))
			return "the library has it at the end only, with the loss";
		break;
	default:
		break;
	}
	return "costed apart: the vector unit does it";
}

uint32_t layer_batch(const struct account *a, const struct net_layer *layer)
{
	if (layer->batch)
		return layer->batch;
	return a->settings->batch_given ? a->settings->layer.batch : a->net->batch;
}

static struct layer layer_of(const struct account *a, const struct net_layer *layer)
{
	const struct net_layer *input = &a->net->layers[layer->inputs[0]];
	struct layer l = {
		.in = input->shape.c,
		.out = layer->out,
		.batch = layer_batch(a, layer),
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

int take_pass(struct pass *pass, int err)
{
	pass->there = !err;
	pass->err = err;
	return err == -ENOTSUP || err == -E2BIG || err == -ENOSPC ? 0 : err;
}

static int execute(struct account *a, struct cost *cost, struct igrad_error *error)
{
	const struct settings *s = a->settings;
	int err = take_pass(&cost->forward, simulator_forward(&a->sim, &cost->layer, &s->manner,
							      &cost->forward.result, error));

	for (int schedule = 0; schedule < IGRAD_NUM_SCHEDULES && !err; schedule++) {
		struct pass *pass = &cost->backward[schedule];

		if (s->schedules & 1u << schedule)
			err = take_pass(pass, simulator_backward(&a->sim, &cost->layer, &s->manner,
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
		if (!err)
			err = vector_row(a, row, error);
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
	a->vectors = calloc(2 * (size_t)net->num_layers, sizeof(*a->vectors));
	err = a->rows && a->costs && a->vectors ? cost_rows(a, title, error) : -ENOMEM;
	if (err)
		account_close(a);
	return err;
}

void account_close(struct account *a)
{
	free(a->rows);
	free(a->costs);
	free(a->vectors);
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

static bool add_vector(const struct account *a, struct result *sum)
{
	struct result forward, backward;

	if (!account_vector(a, false, &forward) || !account_vector(a, true, &backward))
		return false;
	result_add(sum, &forward, &a->sim);
	result_add(sum, &backward, &a->sim);
	return true;
}

bool account_total(const struct account *a, enum part part, enum igrad_schedule schedule,
		   struct result *sum)
{
	*sum = (struct result){.schedule = schedule};
	for (uint32_t i = 0; i < a->net->num_layers; i++) {
		const struct cost *cost = a->rows[i].cost;

		if (!cost)
			continue;
		if (!cost->backward[schedule].there ||
		    (part != PART_BACKWARD && !cost->forward.there))
			return false;
		result_add(sum, &cost->backward[schedule].result, &a->sim);
		if (part != PART_BACKWARD)
			result_add(sum, &cost->forward.result, &a->sim);
	}
	return sum->report.cycles != 0 && (part != PART_STEP || add_vector(a, sum));
}

uint64_t account_macs(const struct account *a, bool costed)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < a->net->num_layers; i++)
		if (!costed || a->rows[i].cost)
			sum += a->net->layers[i].macs;
	return sum;
}
