// SPDX-License-Identifier: MIT
/* Networks in files, as the library's graphs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "igrad-train.h"
#include "net/net.h"

static const enum igrad_layer_kind kinds[NET_NUM_KINDS] = {
	[NET_INPUT] = IGRAD_LAYER_INPUT,     [NET_LINEAR] = IGRAD_LAYER_LINEAR,
	[NET_CONV] = IGRAD_LAYER_CONV,	     [NET_POOL] = IGRAD_LAYER_POOL,
	[NET_RELU] = IGRAD_LAYER_RELU,	     [NET_BATCHNORM] = IGRAD_LAYER_BATCHNORM,
	[NET_ADD] = IGRAD_LAYER_ADD,	     [NET_CONCAT] = IGRAD_LAYER_CONCAT,
	[NET_FLATTEN] = IGRAD_LAYER_FLATTEN, [NET_DROPOUT] = IGRAD_LAYER_DROPOUT,
	[NET_SOFTMAX] = IGRAD_LAYER_SOFTMAX, [NET_LRN] = IGRAD_NUM_LAYER_KINDS,
};

/* What messages call a layer. */
struct label {
	char text[160];
};

static void set_window(struct igrad_net_layer *to, const struct net_layer *from)
{
	to->kernel_y = from->kernel.h;
	to->kernel_x = from->kernel.w;
	to->stride_y = from->stride.h;
	to->stride_x = from->stride.w;
	to->dilation_y = from->dilation.h;
	to->dilation_x = from->dilation.w;
	to->pad_top = from->pad.top;
	to->pad_bottom = from->pad.bottom;
	to->pad_left = from->pad.left;
	to->pad_right = from->pad.right;
	to->groups = from->groups;
	to->ceil = from->ceil;
	to->average = from->average;
	to->skip_border = from->skip_border;
}

static struct igrad_net_layer translate(const struct net_layer *from, const struct label *label)
{
	struct igrad_net_layer to = {
		.kind = kinds[from->kind],
		.name = from->name,
		.where = label->text,
		.num_inputs = from->kind == NET_INPUT ? 0 : from->num_inputs,
		.channels = from->shape.c,
		.height = from->shape.flat ? 1 : from->shape.h,
		.width = from->shape.flat ? 1 : from->shape.w,
		.out = from->out,
		.bias = from->bias,
		.rate = from->rate,
		.eps = from->eps,
	};

	for (uint32_t i = 0; i < to.num_inputs; i++)
		to.inputs[i] = from->inputs[i];
	set_window(&to, from);
	return to;
}

static int refuse(struct igrad_error *error, const struct net *net, unsigned int line,
		  const char *why)
{
	snprintf(error->message, sizeof(error->message), "%.120s:%u: %s", net->path, line, why);
	return -ENOTSUP;
}

static int check(const struct net *net, struct igrad_error *error)
{
	if (!net->chain)
		return refuse(error, net, 1,
			      "its layers are not connected, so they cannot be trained");
	for (uint32_t i = 0; i < net->num_layers; i++)
		if (net->layers[i].kind == NET_LRN)
			return refuse(
				error, net, net->layers[i].line,
				"lrn can be counted by igrad-sim, but not executed: the device "
				"has no powers");
	return 0;
}

static int build(const struct net *net, struct igrad_device *device, struct igrad_net **result,
		 struct igrad_error *error)
{
	struct igrad_net_layer *layers = calloc(net->num_layers, sizeof(*layers));
	struct label *labels = calloc(net->num_layers, sizeof(*labels));
	int err = -ENOMEM;

	for (uint32_t i = 0; layers && labels && i < net->num_layers; i++) {
		const struct net_layer *layer = &net->layers[i];

		snprintf(labels[i].text, sizeof(labels[i].text), "%.90s:%u: %s %.40s", net->path,
			 layer->line, net_kind_name(layer->kind), layer->name);
		layers[i] = translate(layer, &labels[i]);
	}
	if (layers && labels)
		err = igrad_net_new_graph(device, layers, net->num_layers, result, error);
	free(layers);
	free(labels);
	return err;
}

int train_net_load(const char *path, struct igrad_device *device, struct igrad_net **result,
		   uint32_t *batch, struct igrad_error *error)
{
	struct net *net;
	int err = net_load(path, false, &net, error);

	*result = NULL;
	if (err)
		return err;
	*batch = net->batch;
	err = check(net, error);
	if (!err)
		err = build(net, device, result, error);
	net_free(net);
	return err;
}
