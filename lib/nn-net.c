// SPDX-License-Identifier: MIT
/* Networks: their layers, parameters and initialisation. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend.h"
#include "nn.h"

/* ---------------------------------------------------------------- description */

static int parse_layers(struct igrad_net *net, const char *layers, struct igrad_error *error)
{
	const char *at = layers;
	uint32_t count = 0;

	for (;;) {
		unsigned long width;
		char *end;

		if (*at < '0' || *at > '9')
			return igrad_fail(error, -EINVAL,
					  "network '%s': expected widths as in 784-256-10, found "
					  "'%s'",
					  layers, at);
		errno = 0;
		width = strtoul(at, &end, 10);
		if (errno || !width || width > IGRAD_NET_MAX_WIDTH)
			return igrad_fail(error, -EINVAL, "network '%s': a width is 1 … %u", layers,
					  IGRAD_NET_MAX_WIDTH);
		if (count > IGRAD_NET_MAX_LAYERS)
			return igrad_fail(error, -EINVAL, "network '%s': more than %d layers",
					  layers, IGRAD_NET_MAX_LAYERS);
		net->width[count++] = width;
		if (!*end)
			break;
		if (*end != '-')
			return igrad_fail(error, -EINVAL,
					  "network '%s': expected '-' or the end, found '%s'",
					  layers, end);
		at = end + 1;
	}
	if (count < 2)
		return igrad_fail(error, -EINVAL,
				  "network '%s': needs an input and an output width", layers);
	net->num_layers = count - 1;
	return 0;
}

/* ---------------------------------------------------------------- memory */

struct igrad_matrix igrad_matrix_place(uint64_t *offset, uint32_t rows, uint32_t cols,
				       enum igrad_element dtype)
{
	struct igrad_matrix matrix = {
		.offset = *offset, .rows = rows, .cols = cols, .dtype = dtype};

	*offset += ((uint64_t)rows * cols * igrad_element_bytes(dtype) + 63) / 64 * 64;
	return matrix;
}

static int add_params(struct igrad_net *net)
{
	uint64_t size = 0;
	int err;

	for (uint32_t l = 0; l < net->num_layers; l++) {
		net->layers[l].w = igrad_matrix_place(&size, net->width[l], net->width[l + 1],
						      IGRAD_FP32);
		net->layers[l].b = igrad_matrix_place(&size, 1, net->width[l + 1], IGRAD_FP32);
	}
	err = igrad_buffer_new(net->device, size, &net->params);
	for (uint32_t l = 0; !err && l < net->num_layers; l++) {
		net->layers[l].w.buffer = net->params;
		net->layers[l].b.buffer = net->params;
	}
	return err;
}

/* Zeros, laid out like the parameters. */
static int add_state(struct igrad_net *net, struct igrad_buffer **buffer)
{
	return *buffer ? 0 : igrad_buffer_new(net->device, igrad_buffer_size(net->params), buffer);
}

static struct igrad_matrix moved(struct igrad_matrix matrix, struct igrad_buffer *buffer)
{
	matrix.buffer = buffer;
	return matrix;
}

static void place_state(struct igrad_net *net)
{
	for (uint32_t l = 0; l < net->num_layers; l++) {
		struct igrad_layer *layer = &net->layers[l];

		layer->vw = moved(layer->w, net->velocities);
		layer->vb = moved(layer->b, net->velocities);
		layer->sw = moved(layer->w, net->squares);
		layer->sb = moved(layer->b, net->squares);
	}
}

/* Moments are not velocities, nor the other way round. */
static void forget_velocities(struct igrad_net *net)
{
	igrad_buffer_unref(net->velocities);
	igrad_buffer_unref(net->squares);
	net->velocities = net->squares = NULL;
	net->adam_steps = 0;
}

int igrad_net_add_velocities(struct igrad_net *net)
{
	int err;

	if (net->squares)
		forget_velocities(net);
	err = add_state(net, &net->velocities);
	place_state(net);
	return err;
}

int igrad_net_add_moments(struct igrad_net *net)
{
	int err;

	if (!net->squares)
		forget_velocities(net);
	err = add_state(net, &net->velocities);
	if (!err)
		err = add_state(net, &net->squares);
	place_state(net);
	return err;
}

void *igrad_matrix_data(const struct igrad_matrix *matrix)
{
	return (char *)igrad_buffer_map(matrix->buffer) + matrix->offset;
}

void igrad_net_draw(struct igrad_net *net, uint64_t seed)
{
	struct igrad_rng rng;

	igrad_rng_seed(&rng, seed);
	for (uint32_t l = 0; l < net->num_layers; l++) {
		float limit = sqrtf(6.0f / (float)net->width[l]);
		uint64_t count = (uint64_t)net->width[l] * net->width[l + 1];
		float *w = igrad_matrix_data(&net->layers[l].w);

		for (uint64_t i = 0; i < count; i++)
			w[i] = (2.0f * igrad_rng_float(&rng) - 1.0f) * limit;
	}
}

/* ---------------------------------------------------------------- life */

int igrad_net_new_blank(struct igrad_device *device, const char *layers, struct igrad_net **net,
			struct igrad_error *error)
{
	struct igrad_net *new = calloc(1, sizeof(*new));
	int err;

	*net = NULL;
	if (!new)
		return igrad_fail(error, -ENOMEM, "out of memory");
	atomic_init(&new->refs, 1);
	new->device = igrad_device_ref(device);
	err = parse_layers(new, layers, error);
	if (!err) {
		err = add_params(new);
		if (err)
			igrad_fail(error, err, "no memory for the parameters of %s: %s", layers,
				   igrad_strerror(err));
	}
	if (err) {
		igrad_net_unref(new);
		return err;
	}
	*net = new;
	return 0;
}

int igrad_net_new(struct igrad_device *device, const char *layers, uint64_t seed,
		  struct igrad_net **net, struct igrad_error *error)
{
	int err = igrad_net_new_blank(device, layers, net, error);

	if (!err)
		igrad_net_draw(*net, seed);
	return err;
}

struct igrad_net *igrad_net_ref(struct igrad_net *net)
{
	igrad_get(&net->refs);
	return net;
}

void igrad_net_unref(struct igrad_net *net)
{
	if (!net || !igrad_put(&net->refs))
		return;
	igrad_buffer_unref(net->params);
	igrad_buffer_unref(net->velocities);
	igrad_buffer_unref(net->squares);
	igrad_device_unref(net->device);
	free(net);
}

/* ---------------------------------------------------------------- looking at it */

int igrad_net_set_dtype(struct igrad_net *net, enum igrad_element dtype)
{
	if (dtype != IGRAD_FP32 && dtype != IGRAD_BF16)
		return -EINVAL;
	if (dtype == IGRAD_BF16 && !(igrad_device_info(net->device)->features & IGRAD_FEATURE_BF16))
		return -ENOTSUP;
	net->dtype = dtype;
	return 0;
}

enum igrad_element igrad_net_dtype(const struct igrad_net *net)
{
	return net->dtype;
}

struct igrad_device *igrad_net_device(const struct igrad_net *net)
{
	return net->device;
}

uint32_t igrad_net_layers(const struct igrad_net *net)
{
	return net->num_layers;
}

uint32_t igrad_net_width(const struct igrad_net *net, uint32_t index)
{
	return net->width[index];
}

const struct igrad_matrix *igrad_net_weight(const struct igrad_net *net, uint32_t layer)
{
	return &net->layers[layer].w;
}

const struct igrad_matrix *igrad_net_bias(const struct igrad_net *net, uint32_t layer)
{
	return &net->layers[layer].b;
}

const struct igrad_matrix *igrad_net_weight_velocity(const struct igrad_net *net, uint32_t layer)
{
	return net->velocities ? &net->layers[layer].vw : NULL;
}

const struct igrad_matrix *igrad_net_bias_velocity(const struct igrad_net *net, uint32_t layer)
{
	return net->velocities ? &net->layers[layer].vb : NULL;
}

const struct igrad_matrix *igrad_net_weight_square(const struct igrad_net *net, uint32_t layer)
{
	return net->squares ? &net->layers[layer].sw : NULL;
}

const struct igrad_matrix *igrad_net_bias_square(const struct igrad_net *net, uint32_t layer)
{
	return net->squares ? &net->layers[layer].sb : NULL;
}
