// SPDX-License-Identifier: MIT
/* igrad-sim network --shapes: what is in networks, without a device. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "shapes.h"

struct totals {
	uint64_t layers, parameters, macs;
};

/* In files whose rows stand alone, inputs are no more than the columns of a row. */
static bool listed(const struct net *net, const struct net_layer *layer)
{
	return net->chain || layer->kind != NET_INPUT;
}

static bool has_window(const struct net_layer *layer)
{
	return layer->kind == NET_CONV || layer->kind == NET_POOL;
}

/* A layer has at most NET_MAX_COUNT, so this does not overflow. */
static struct totals totals(const struct net *net)
{
	struct totals sum = {0};

	for (uint32_t i = 0; i < net->num_layers; i++) {
		sum.layers += net->layers[i].kind != NET_INPUT;
		sum.parameters += net->layers[i].parameters;
		sum.macs += net->layers[i].macs;
	}
	return sum;
}

/* ---------------------------------------------------------------- text */

/* "7x7/2" */
static const char *window_text(const struct net_layer *layer, char text[64])
{
	const struct net_pair *s = &layer->stride;
	int length = 0;

	text[0] = '\0';
	if (!has_window(layer))
		return text;
	length = snprintf(text, 64, "%ux%u", layer->kernel.h, layer->kernel.w);
	if (s->h != s->w)
		snprintf(text + length, 64 - length, "/%ux%u", s->h, s->w);
	else if (s->h != 1)
		snprintf(text + length, 64 - length, "/%u", s->h);
	return text;
}

void shapes_show(const struct net *net)
{
	const struct totals sum = totals(net);
	char shape[48], window[64];
	int width = strlen("layer");

	for (uint32_t i = 0; i < net->num_layers; i++)
		if ((int)strlen(net->layers[i].name) > width)
			width = strlen(net->layers[i].name);
	printf("network    %s (%s)\n\n", net->name, net->path);
	printf("%-*s  %-9s  %-9s  %-16s  %13s  %15s\n", width, "layer", "kind", "window", "output",
	       "parameters", "multiply-adds");
	for (uint32_t i = 0; i < net->num_layers; i++) {
		const struct net_layer *layer = &net->layers[i];

		if (!listed(net, layer))
			continue;
		printf("%-*s  %-9s  %-9s  %-16s  %13llu  %15llu\n", width, layer->name,
		       net_kind_name(layer->kind), window_text(layer, window),
		       net_shape_text(&layer->shape, shape), (unsigned long long)layer->parameters,
		       (unsigned long long)layer->macs);
	}
	printf("\n%llu layers, %llu parameters, %llu multiply-adds per batch row\n",
	       (unsigned long long)sum.layers, (unsigned long long)sum.parameters,
	       (unsigned long long)sum.macs);
}

/* ---------------------------------------------------------------- JSON */

static void json_numbers(struct json_object *object, const char *key, const uint32_t *numbers,
			 int count)
{
	struct json_object *array = json_object_new_array();

	for (int i = 0; i < count; i++)
		json_object_array_add(array, json_object_new_int64(numbers[i]));
	json_object_object_add(object, key, array);
}

static void json_window(struct json_object *object, const struct net_layer *layer)
{
	const struct net_padding *pad = &layer->pad;

	json_numbers(object, "kernel", (uint32_t[]){layer->kernel.h, layer->kernel.w}, 2);
	json_numbers(object, "stride", (uint32_t[]){layer->stride.h, layer->stride.w}, 2);
	json_numbers(object, "pad", (uint32_t[]){pad->top, pad->bottom, pad->left, pad->right}, 4);
	if (layer->kind == NET_POOL) {
		json_string(object, "type", layer->average ? "average" : "max");
		return;
	}
	json_numbers(object, "dilation", (uint32_t[]){layer->dilation.h, layer->dilation.w}, 2);
	json_count(object, "groups", layer->groups);
}

static struct json_object *json_layer(const struct net *net, const struct net_layer *layer)
{
	const struct net_shape *shape = &layer->shape;
	struct json_object *object = json_object_new_object(), *inputs = json_object_new_array();

	json_string(object, "name", layer->name);
	json_string(object, "kind", net_kind_name(layer->kind));
	json_count(object, "line", layer->line);
	for (uint32_t i = 0; i < layer->num_inputs; i++)
		json_object_array_add(inputs,
				      json_object_new_string(net->layers[layer->inputs[i]].name));
	json_object_object_add(object, "inputs", inputs);
	json_numbers(object, "output", (uint32_t[]){shape->c, shape->h, shape->w},
		     shape->flat ? 1 : 3);
	if (has_window(layer))
		json_window(object, layer);
	if (layer->kind == NET_CONV || layer->kind == NET_LINEAR)
		json_object_object_add(object, "bias", json_object_new_boolean(layer->bias));
	json_count(object, "parameters", layer->parameters);
	json_count(object, "macs", layer->macs);
	return object;
}

struct json_object *shapes_json(const struct net *net)
{
	const struct totals sum = totals(net);
	struct json_object *object = json_object_new_object();
	struct json_object *layers = json_object_new_array(), *all = json_object_new_object();

	json_string(object, "network", net->name);
	json_string(object, "file", net->path);
	for (uint32_t i = 0; i < net->num_layers; i++)
		if (listed(net, &net->layers[i]))
			json_object_array_add(layers, json_layer(net, &net->layers[i]));
	json_object_object_add(object, "layers", layers);
	json_count(all, "layers", sum.layers);
	json_count(all, "parameters", sum.parameters);
	json_count(all, "macs", sum.macs);
	json_object_object_add(object, "totals", all);
	return object;
}
