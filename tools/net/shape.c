// SPDX-License-Identifier: MIT
/* The shapes that follow from layers, and layers that do not fit together. */
#include <stdio.h>

#include "net.h"

static const struct net_layer *input(const struct net *net, const struct net_layer *layer,
				     uint32_t i)
{
	return &net->layers[layer->inputs[i]];
}

/* ---------------------------------------------------------------- windows */

/*
 * How many windows there are along one side; 0: none fits. A last window that is not whole begins
 * in the input or before it, never in the padding behind.
 */
static uint64_t windows(uint64_t size, uint64_t before, uint64_t after, uint64_t kernel,
			uint64_t stride, uint64_t dilation, bool ceil)
{
	uint64_t reach = dilation * (kernel - 1) + 1, room = before + size + after, count;

	if (reach > room)
		return 0;
	count = (room - reach + (ceil ? stride - 1 : 0)) / stride + 1;
	if (ceil && (count - 1) * stride >= before + size)
		count--;
	return count;
}

static int slide(const struct net_layer *layer, const struct net_shape *in, struct net_shape *out,
		 const struct net_place *place, struct igrad_error *error)
{
	const struct net_padding *pad = &layer->pad;
	uint64_t h, w;
	char text[48];

	if (in->flat)
		return net_bad(
			error, place,
			"%s slides over channels x height x width, but its input has %s features",
			net_kind_name(layer->kind), net_shape_text(in, text));
	h = windows(in->h, pad->top, pad->bottom, layer->kernel.h, layer->stride.h,
		    layer->dilation.h, layer->ceil);
	w = windows(in->w, pad->left, pad->right, layer->kernel.w, layer->stride.w,
		    layer->dilation.w, layer->ceil);
	if (!h || !w)
		return net_bad(
			error, place,
			"a kernel of %u x %u, dilation %u x %u, is larger than its padded input of %s",
			layer->kernel.h, layer->kernel.w, layer->dilation.h, layer->dilation.w,
			net_shape_text(in, text));
	if (h > NET_MAX_DIM || w > NET_MAX_DIM)
		return net_bad(error, place, "its result is larger than %u on a side", NET_MAX_DIM);
	out->h = h;
	out->w = w;
	return 0;
}

static int infer_pool(struct net_layer *layer, const struct net_shape *in, struct net_shape *out,
		      const struct net_place *place, struct igrad_error *error)
{
	const struct net_padding *pad = &layer->pad;

	if (!layer->kernel.h && !in->flat) /* kernel=all */
		layer->kernel = (struct net_pair){in->h, in->w};
	if (layer->kernel.h && (pad->top >= layer->kernel.h || pad->bottom >= layer->kernel.h ||
				pad->left >= layer->kernel.w || pad->right >= layer->kernel.w))
		return net_bad(
			error, place,
			"windows of nothing but padding: a padding smaller than the kernel of %u x %u was expected",
			layer->kernel.h, layer->kernel.w);
	return slide(layer, in, out, place, error);
}

static int infer_conv(const struct net_layer *layer, const struct net_shape *in,
		      struct net_shape *out, const struct net_place *place,
		      struct igrad_error *error)
{
	int err = slide(layer, in, out, place, error);

	if (err)
		return err;
	if (in->c % layer->groups || layer->out % layer->groups)
		return net_bad(
			error, place,
			"groups=%u divides neither or only one of %u channels in and %u out; it must divide both",
			layer->groups, in->c, layer->out);
	out->c = layer->out;
	return 0;
}

/* ---------------------------------------------------------------- several inputs */

static bool same_size(const struct net_shape *a, const struct net_shape *b)
{
	return a->flat == b->flat && (a->flat || (a->h == b->h && a->w == b->w));
}

static int infer_join(const struct net *net, const struct net_layer *layer, struct net_shape *out,
		      const struct net_place *place, struct igrad_error *error)
{
	const struct net_layer *first = input(net, layer, 0);
	bool add = layer->kind == NET_ADD;
	uint64_t channels = first->shape.c;
	char a[48], b[48];

	for (uint32_t i = 1; i < layer->num_inputs; i++) {
		const struct net_layer *other = input(net, layer, i);

		if (!same_size(&first->shape, &other->shape) ||
		    (add && first->shape.c != other->shape.c))
			return net_bad(
				error, place, "%s needs inputs of one %s: '%s' gives %s, '%s' %s",
				net_kind_name(layer->kind), add ? "shape" : "height and width",
				first->name, net_shape_text(&first->shape, a), other->name,
				net_shape_text(&other->shape, b));
		if (!add)
			channels += other->shape.c;
	}
	if (channels > NET_MAX_DIM)
		return net_bad(error, place, "%llu channels; at most %u are possible",
			       (unsigned long long)channels, NET_MAX_DIM);
	out->c = channels;
	return 0;
}

/* ---------------------------------------------------------------- all */

static int infer_linear(const struct net_layer *layer, const struct net_shape *in,
			struct net_shape *out, const struct net_place *place,
			struct igrad_error *error)
{
	char text[48];

	if (!in->flat)
		return net_bad(
			error, place,
			"linear needs features, but its input has %s: a flatten was expected before it",
			net_shape_text(in, text));
	out->c = layer->out;
	return 0;
}

static int infer_flatten(const struct net_shape *in, struct net_shape *out,
			 const struct net_place *place, struct igrad_error *error)
{
	uint64_t features = in->flat ? in->c : (uint64_t)in->c * in->h;

	if (!in->flat && features <= NET_MAX_DIM)
		features *= in->w;
	if (features > NET_MAX_DIM)
		return net_bad(error, place, "flatten gives more than %u features", NET_MAX_DIM);
	*out = (struct net_shape){.flat = true, .c = features};
	return 0;
}

/* Layers that give what they take, in shape. */
static int infer_same(const struct net_layer *layer, const struct net_shape *in,
		      const struct net_place *place, struct igrad_error *error)
{
	char text[48];

	if (layer->kind == NET_LRN && in->flat)
		return net_bad(
			error, place,
			"lrn normalises over channels x height x width, but its input has %s features",
			net_shape_text(in, text));
	return 0;
}

static int infer_shape(const struct net *net, struct net_layer *layer,
		       const struct net_place *place, struct igrad_error *error)
{
	const struct net_shape *in = &input(net, layer, 0)->shape;

	layer->shape = *in;
	switch (layer->kind) {
	case NET_LINEAR:
		return infer_linear(layer, in, &layer->shape, place, error);
	case NET_CONV:
		return infer_conv(layer, in, &layer->shape, place, error);
	case NET_POOL:
		return infer_pool(layer, in, &layer->shape, place, error);
	case NET_ADD:
	case NET_CONCAT:
		return infer_join(net, layer, &layer->shape, place, error);
	case NET_FLATTEN:
		return infer_flatten(in, &layer->shape, place, error);
	default:
		return infer_same(layer, in, place, error);
	}
}

int net_infer(struct net *net, struct net_layer *layer, const struct net_place *place,
	      struct igrad_error *error)
{
	int err = infer_shape(net, layer, place, error);

	if (!err)
		err = net_count(net, layer, place, error);
	layer->learns = layer->parameters;
	for (uint32_t i = 0; i < layer->num_inputs; i++)
		layer->learns |= input(net, layer, i)->learns;
	return err;
}
