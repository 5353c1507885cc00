// SPDX-License-Identifier: MIT
/* The graph of a network: descriptions, checked, and the shapes that follow from them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "nn.h"

#define MAX_CHANNELS (1u << 24)
#define MAX_INPUT    (1u << 30)	  /* numbers of an image */
#define MAX_WEIGHTS  (1ull << 40) /* of a layer */

#define node_bad(error, node, ...) node_bad_(error, node, __VA_ARGS__, "")
#define node_bad_(error, node, format, ...) \
	igrad_fail(error, -EINVAL, "%s: " format "%s", (node)->where, __VA_ARGS__)

static const struct igrad_node *input(const struct igrad_net *net, const struct igrad_node *node,
				      uint32_t i)
{
	return &net->nodes[node->d.inputs[i]];
}

/* ---------------------------------------------------------------- copies */

static int copy_node(struct igrad_node *node, const struct igrad_net_layer *layer, uint32_t index)
{
	char number[16];

	node->d = *layer;
	snprintf(number, sizeof(number), "layer %u", index);
	node->name = strdup(layer->name ? layer->name : number);
	if (!node->name)
		return -ENOMEM;
	node->where = strdup(layer->where ? layer->where : node->name);
	node->d.name = node->name;
	node->d.where = node->where;
	node->reader = node->layer = IGRAD_NONE;
	return node->where ? 0 : -ENOMEM;
}

void igrad_graph_fini(struct igrad_net *net)
{
	for (uint32_t n = 0; net->nodes && n < net->num_nodes; n++) {
		free(net->nodes[n].name);
		free(net->nodes[n].where);
	}
	free(net->nodes);
	net->nodes = NULL;
}

/* ---------------------------------------------------------------- inputs */

static bool joins(enum igrad_layer_kind kind)
{
	return kind == IGRAD_LAYER_ADD || kind == IGRAD_LAYER_CONCAT;
}

static int check_inputs(struct igrad_net *net, uint32_t index, struct igrad_error *error)
{
	struct igrad_node *node = &net->nodes[index];
	uint32_t count = node->d.num_inputs;

	if ((unsigned int)node->d.kind >= IGRAD_NUM_LAYER_KINDS)
		return node_bad(error, node, "there is no such kind of layer");
	if ((node->d.kind == IGRAD_LAYER_INPUT) != !index)
		return node_bad(error, node, "the first layer is the input, and only that");
	if (!index)
		return count ? node_bad(error, node, "the input takes nothing") : 0;
	if (joins(node->d.kind) ? count < 2 || count > IGRAD_NET_MAX_INPUTS : count != 1)
		return node_bad(error, node, "it takes %s",
				joins(node->d.kind) ? "several layers, up to 16" : "one layer");
	for (uint32_t i = 0; i < count; i++) {
		struct igrad_node *from;

		if (node->d.inputs[i] >= index)
			return node_bad(error, node, "it takes a layer that is not before it");
		from = &net->nodes[node->d.inputs[i]];
		if (from->d.kind == IGRAD_LAYER_SOFTMAX)
			return node_bad(error, from, "a softmax can only be executed at the end");
		from->readers++;
		from->reader = index;
		node->learns |= from->learns;
	}
	return 0;
}

/* ---------------------------------------------------------------- shapes */

struct igrad_conv_shape igrad_node_conv(const struct igrad_net *net, const struct igrad_node *node,
					uint32_t batch)
{
	const struct igrad_shape *in = &input(net, node, 0)->shape;

	return (struct igrad_conv_shape){
		.batch = batch,
		.height = in->height,
		.width = in->width,
		.in = in->channels,
		.out = node->d.out,
		.kernel_y = node->d.kernel_y,
		.kernel_x = node->d.kernel_x,
		.stride_y = node->d.stride_y,
		.stride_x = node->d.stride_x,
		.pad_top = node->d.pad_top,
		.pad_bottom = node->d.pad_bottom,
		.pad_left = node->d.pad_left,
		.pad_right = node->d.pad_right,
		.dilation_y = node->d.dilation_y,
		.dilation_x = node->d.dilation_x,
		.groups = node->d.groups,
	};
}

static int shape_input(struct igrad_node *node, struct igrad_error *error)
{
	const struct igrad_net_layer *d = &node->d;

	node->shape = (struct igrad_shape){d->channels, d->height, d->width};
	if (!d->channels || !d->height || !d->width || d->channels > MAX_CHANNELS ||
	    d->height > MAX_CHANNELS || d->width > MAX_CHANNELS ||
	    (uint64_t)d->height * d->width > MAX_INPUT / d->channels)
		return node_bad(error, node, "an input has 1 … %u numbers", MAX_INPUT);
	return 0;
}

static int shape_linear(const struct igrad_net *net, struct igrad_node *node,
			struct igrad_error *error)
{
	const struct igrad_shape *in = &input(net, node, 0)->shape;

	if (in->height != 1 || in->width != 1)
		return node_bad(error, node, "it takes features, not images of %u × %u", in->height,
				in->width);
	if (!node->d.out || node->d.out > MAX_CHANNELS)
		return node_bad(error, node, "it gives 1 … %u features", MAX_CHANNELS);
	node->shape = (struct igrad_shape){node->d.out, 1, 1};
	return 0;
}

static int shape_conv(const struct igrad_net *net, struct igrad_node *node,
		      struct igrad_error *error)
{
	const struct igrad_conv_shape conv = igrad_node_conv(net, node, 1);
	uint64_t rows;

	node->shape.channels = conv.out;
	if (igrad_conv_output(&conv, &node->shape.height, &node->shape.width))
		return node_bad(
			error, node,
			"no convolution: kernel %u × %u, stride %u × %u, %u groups, %u × %u × %u in, %u out",
			conv.kernel_y, conv.kernel_x, conv.stride_y, conv.stride_x, conv.groups,
			conv.in, conv.height, conv.width, conv.out);
	rows = (uint64_t)conv.kernel_y * conv.kernel_x * (conv.in / conv.groups);
	if (rows > UINT32_MAX || rows * conv.out > MAX_WEIGHTS)
		return node_bad(error, node, "more than %llu weights", MAX_WEIGHTS);
	return 0;
}

struct igrad_pool_shape igrad_node_pool(const struct igrad_net *net, const struct igrad_node *node,
					uint32_t batch)
{
	const struct igrad_shape *in = &input(net, node, 0)->shape;

	return (struct igrad_pool_shape){
		.batch = batch,
		.height = in->height,
		.width = in->width,
		.channels = in->channels,
		.kernel_y = node->d.kernel_y,
		.kernel_x = node->d.kernel_x,
		.stride_y = node->d.stride_y,
		.stride_x = node->d.stride_x,
		.pad_top = node->d.pad_top,
		.pad_bottom = node->d.pad_bottom,
		.pad_left = node->d.pad_left,
		.pad_right = node->d.pad_right,
		.average = node->d.average,
		.ceil = node->d.ceil,
		.skip_border = node->d.skip_border,
	};
}

static int shape_pool(const struct igrad_net *net, struct igrad_node *node,
		      struct igrad_error *error)
{
	const struct igrad_pool_shape pool = igrad_node_pool(net, node, 1);

	node->shape.channels = pool.channels;
	if (igrad_pool_output(&pool, &node->shape.height, &node->shape.width))
		return node_bad(error, node,
				"no pooling: kernel %u × %u, stride %u × %u, of %u × %u",
				pool.kernel_y, pool.kernel_x, pool.stride_y, pool.stride_x,
				pool.height, pool.width);
	return 0;
}

static int shape_join(const struct igrad_net *net, struct igrad_node *node,
		      struct igrad_error *error)
{
	bool add = node->d.kind == IGRAD_LAYER_ADD;
	uint64_t channels = 0;

	node->shape = input(net, node, 0)->shape;
	for (uint32_t i = 0; i < node->d.num_inputs; i++) {
		const struct igrad_shape *in = &input(net, node, i)->shape;

		channels += in->channels;
		if (in->height != node->shape.height || in->width != node->shape.width ||
		    (add && in->channels != node->shape.channels))
			return node_bad(error, node, "what it takes differs in %s",
					add ? "shape" : "height or width");
	}
	if (!add)
		node->shape.channels = (uint32_t)channels;
	if (channels > MAX_CHANNELS)
		return node_bad(error, node, "more than %u channels", MAX_CHANNELS);
	return 0;
}

static int shape_flatten(const struct igrad_net *net, struct igrad_node *node,
			 struct igrad_error *error)
{
	const struct igrad_shape *in = &input(net, node, 0)->shape;
	uint64_t pixels = (uint64_t)in->height * in->width;

	if (pixels > MAX_CHANNELS || pixels * in->channels > MAX_CHANNELS)
		return node_bad(error, node, "more than %u features", MAX_CHANNELS);
	node->shape = (struct igrad_shape){(uint32_t)(pixels * in->channels), 1, 1};
	return 0;
}

static int shape_same(const struct igrad_net *net, struct igrad_node *node,
		      struct igrad_error *error)
{
	node->shape = input(net, node, 0)->shape;
	if (node->d.kind == IGRAD_LAYER_DROPOUT && !(node->d.rate >= 0.0f && node->d.rate < 1.0f))
		return node_bad(error, node, "a rate is at least 0 and below 1");
	if (node->d.kind == IGRAD_LAYER_BATCHNORM && !(node->d.eps > 0.0f))
		return node_bad(error, node, "what is added to variances is above 0");
	return 0;
}

static int infer_shape(struct igrad_net *net, struct igrad_node *node, struct igrad_error *error)
{
	switch (node->d.kind) {
	case IGRAD_LAYER_INPUT:
		return shape_input(node, error);
	case IGRAD_LAYER_LINEAR:
		return shape_linear(net, node, error);
	case IGRAD_LAYER_CONV:
		return shape_conv(net, node, error);
	case IGRAD_LAYER_POOL:
		return shape_pool(net, node, error);
	case IGRAD_LAYER_ADD:
	case IGRAD_LAYER_CONCAT:
		return shape_join(net, node, error);
	case IGRAD_LAYER_FLATTEN:
		return shape_flatten(net, node, error);
	default:
		return shape_same(net, node, error);
	}
}

/* ---------------------------------------------------------------- the whole */

static bool has_parameters(enum igrad_layer_kind kind)
{
	return kind == IGRAD_LAYER_LINEAR || kind == IGRAD_LAYER_CONV ||
	       kind == IGRAD_LAYER_BATCHNORM;
}

static int check_name(struct igrad_net *net, struct igrad_node *node, struct igrad_error *error)
{
	for (struct igrad_node *other = net->nodes; other < node; other++)
		if (other->layer != IGRAD_NONE && !strcmp(other->name, node->name))
			return node_bad(error, node, "another layer is called '%s'", node->name);
	return 0;
}

static int add_node(struct igrad_net *net, uint32_t index, struct igrad_error *error)
{
	struct igrad_node *node = &net->nodes[index];
	int err = check_inputs(net, index, error);

	if (!err)
		err = infer_shape(net, node, error);
	if (err || !has_parameters(node->d.kind))
		return err;
	node->learns = true;
	node->layer = net->num_layers++;
	return check_name(net, node, error);
}

static int check_whole(const struct igrad_net *net, struct igrad_error *error)
{
	const struct igrad_node *last = &net->nodes[net->num_nodes - 1];

	for (const struct igrad_node *node = net->nodes; node < last; node++)
		if (!node->readers)
			return node_bad(error, node, "nothing takes its result");
	if (!net->num_layers)
		return node_bad(error, last, "no layer before it learns");
	if (last->shape.height != 1 || last->shape.width != 1)
		return node_bad(
			error, last,
			"a network ends with a score for each class, not with images of %u × %u",
			last->shape.height, last->shape.width);
	return 0;
}

int igrad_graph_init(struct igrad_net *net, const struct igrad_net_layer *layers, uint32_t count,
		     struct igrad_error *error)
{
	int err = 0;

	if (count < 2 || count > IGRAD_NET_MAX_NODES)
		return igrad_fail(error, -EINVAL, "a network has an input and 1 … %d layers",
				  IGRAD_NET_MAX_NODES - 1);
	net->nodes = calloc(count, sizeof(*net->nodes));
	if (!net->nodes)
		return igrad_fail(error, -ENOMEM, "out of memory");
	for (uint32_t n = 0; n < count; n++) {
		net->num_nodes = n + 1;
		if (copy_node(&net->nodes[n], &layers[n], n))
			return igrad_fail(error, -ENOMEM, "out of memory");
	}
	for (uint32_t n = 0; !err && n < count; n++)
		err = add_node(net, n, error);
	return err ? err : check_whole(net, error);
}
