// SPDX-License-Identifier: MIT
/* Parameters and multiply-adds of layers. */
#include "net.h"

/* @count times @factor; nothing that we take has more than NET_MAX_COUNT. */
static bool times(uint64_t *count, uint64_t factor)
{
	return !__builtin_mul_overflow(*count, factor, count) && *count <= NET_MAX_COUNT;
}

/* @weights: of one output channel or feature; each gives a multiply-add at each place. */
static bool count_products(struct net_layer *layer, uint64_t weights)
{
	const struct net_shape *shape = &layer->shape;

	layer->parameters = weights;
	if (!times(&layer->parameters, layer->out))
		return false;
	layer->macs = layer->parameters;
	if (layer->bias)
		layer->parameters += layer->out;
	return shape->flat || (times(&layer->macs, shape->h) && times(&layer->macs, shape->w));
}

int net_count(const struct net *net, struct net_layer *layer, const struct net_place *place,
	      struct igrad_error *error)
{
	const struct net_shape *in = &net->layers[layer->inputs[0]].shape;
	uint64_t weights = in->c;
	bool fits = true;

	switch (layer->kind) {
	case NET_LINEAR:
		fits = count_products(layer, weights);
		break;
	case NET_CONV:
		weights /= layer->groups;
		fits = times(&weights, layer->kernel.h) && times(&weights, layer->kernel.w) &&
		       count_products(layer, weights);
		break;
	case NET_BATCHNORM:
		layer->parameters = 2 * weights;
		break;
	default:
		break;
	}
	if (!fits)
		return net_bad(error, place, "%s has more than 2^50 parameters or multiply-adds",
			       net_kind_name(layer->kind));
	return 0;
}
