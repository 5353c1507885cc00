// SPDX-License-Identifier: MIT
/* Networks as lists of widths, "784-256-10": linear layers with ReLU between them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend.h"
#include "nn.h"

#define MAX_NODES (2 * IGRAD_NET_MAX_LAYERS) /* ReLU is not behind the last */

struct widths {
	uint32_t width[IGRAD_NET_MAX_LAYERS + 1];
	uint32_t count;
};

/* The graph while it is written, and the names in it. */
struct graph {
	struct igrad_net_layer layers[MAX_NODES];
	char names[IGRAD_NET_MAX_LAYERS][16];
	char where[IGRAD_NET_MAX_LAYERS][48];
	uint32_t count;
};

static int parse(struct widths *widths, const char *list, struct igrad_error *error)
{
	const char *at = list;

	for (;;) {
		unsigned long width;
		char *end;

		if (*at < '0' || *at > '9')
			return igrad_fail(error, -EINVAL,
					  "network '%s': expected widths as in 784-256-10, found "
					  "'%s'",
					  list, at);
		errno = 0;
		width = strtoul(at, &end, 10);
		if (errno || !width || width > IGRAD_NET_MAX_WIDTH)
			return igrad_fail(error, -EINVAL, "network '%s': a width is 1 … %u", list,
					  IGRAD_NET_MAX_WIDTH);
		if (widths->count > IGRAD_NET_MAX_LAYERS)
			return igrad_fail(error, -EINVAL, "network '%s': more than %d layers", list,
					  IGRAD_NET_MAX_LAYERS);
		widths->width[widths->count++] = (uint32_t)width;
		if (!*end)
			break;
		if (*end != '-')
			return igrad_fail(error, -EINVAL,
					  "network '%s': expected '-' or the end, found '%s'", list,
					  end);
		at = end + 1;
	}
	if (widths->count < 2)
		return igrad_fail(error, -EINVAL,
				  "network '%s': needs an input and an output width", list);
	return 0;
}

/* It takes what is before it. */
static struct igrad_net_layer *append(struct graph *graph, enum igrad_layer_kind kind)
{
	struct igrad_net_layer *layer = &graph->layers[graph->count];

	layer->kind = kind;
	layer->name = layer->where = "input";
	if (graph->count) {
		layer->num_inputs = 1;
		layer->inputs[0] = graph->count - 1;
	}
	graph->count++;
	return layer;
}

static void append_linear(struct graph *graph, uint32_t l, uint32_t in, uint32_t out)
{
	struct igrad_net_layer *layer = append(graph, IGRAD_LAYER_LINEAR);

	snprintf(graph->names[l], sizeof(graph->names[l]), "%u", l);
	snprintf(graph->where[l], sizeof(graph->where[l]), "layer %u (%u-%u)", l, in, out);
	layer->name = graph->names[l];
	layer->where = graph->where[l];
	layer->out = out;
	layer->bias = true;
}

int igrad_widths_init(struct igrad_net *net, const char *list, struct igrad_error *error)
{
	struct graph *graph = calloc(1, sizeof(*graph));
	struct widths widths = {.count = 0};
	struct igrad_net_layer *input;
	int err = parse(&widths, list, error);

	if (err || !graph) {
		free(graph);
		return err ? err : igrad_fail(error, -ENOMEM, "out of memory");
	}
	input = append(graph, IGRAD_LAYER_INPUT);
	input->channels = widths.width[0];
	input->height = input->width = 1;
	for (uint32_t l = 0; l + 1 < widths.count; l++) {
		if (l)
			append(graph, IGRAD_LAYER_RELU);
		append_linear(graph, l, widths.width[l], widths.width[l + 1]);
	}
	err = igrad_graph_init(net, graph->layers, graph->count, error);
	free(graph);
	return err;
}
