// SPDX-License-Identifier: MIT
/* Networks: their layers, parameters and initialisation. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend.h"
#include "nn.h"

/* ---------------------------------------------------------------- memory */

struct igrad_matrix igrad_matrix_place(uint64_t *offset, uint32_t rows, uint32_t cols,
				       enum igrad_element dtype)
{
	struct igrad_matrix matrix = {
		.offset = *offset, .rows = rows, .cols = cols, .dtype = dtype};

	*offset += ((uint64_t)rows * cols * igrad_element_bytes(dtype) + 63) / 64 * 64;
	return matrix;
}

static struct igrad_matrix moved(struct igrad_matrix matrix, struct igrad_buffer *buffer)
{
	matrix.buffer = matrix.rows ? buffer : NULL;
	return matrix;
}

/* Rows of a layer's weights. */
static uint64_t weight_rows(const struct igrad_net *net, const struct igrad_node *node)
{
	uint64_t in = net->nodes[node->d.inputs[0]].shape.channels;

	if (node->d.kind == IGRAD_LAYER_BATCHNORM)
		return 1;
	if (node->d.kind == IGRAD_LAYER_CONV)
		return in / node->d.groups * node->d.kernel_y * node->d.kernel_x;
	return in;
}

static void place_params(struct igrad_net *net, uint64_t *params, uint64_t *statistics)
{
	for (uint32_t n = 0; n < net->num_nodes; n++) {
		const struct igrad_node *node = &net->nodes[n];
		bool normalises = node->d.kind == IGRAD_LAYER_BATCHNORM;
		uint32_t cols = node->shape.channels;
		struct igrad_layer *layer;

		if (node->layer == IGRAD_NONE)
			continue;
		layer = &net->layers[node->layer];
		layer->node = n;
		layer->w = igrad_matrix_place(params, (uint32_t)weight_rows(net, node), cols,
					      IGRAD_FP32);
		if (node->d.bias || normalises)
			layer->b = igrad_matrix_place(params, 1, cols, IGRAD_FP32);
		if (normalises) {
			layer->mean = igrad_matrix_place(statistics, 1, cols, IGRAD_FP32);
			layer->variance = igrad_matrix_place(statistics, 1, cols, IGRAD_FP32);
		}
	}
}

static void fill(const struct igrad_matrix *matrix, float value)
{
	float *data = igrad_matrix_data(matrix);

	for (size_t i = 0; i < (size_t)matrix->rows * matrix->cols; i++)
		data[i] = value;
}

static int add_params(struct igrad_net *net)
{
	uint64_t params = 0, statistics = 0;
	int err;

	net->layers = calloc(net->num_layers, sizeof(*net->layers));
	if (!net->layers)
		return -ENOMEM;
	place_params(net, &params, &statistics);
	err = igrad_buffer_new(net->device, params, &net->params);
	if (!err && statistics)
		err = igrad_buffer_new(net->device, statistics, &net->statistics);
	for (uint32_t l = 0; !err && l < net->num_layers; l++) {
		struct igrad_layer *layer = &net->layers[l];

		layer->w = moved(layer->w, net->params);
		layer->b = moved(layer->b, net->params);
		layer->mean = moved(layer->mean, net->statistics);
		layer->variance = moved(layer->variance, net->statistics);
		if (layer->mean.rows) {
			fill(&layer->w, 1.0f);
			fill(&layer->variance, 1.0f);
		}
	}
	return err;
}

/* Zeros, laid out like the parameters. */
static int add_state(struct igrad_net *net, struct igrad_buffer **buffer)
{
	return *buffer ? 0 : igrad_buffer_new(net->device, igrad_buffer_size(net->params), buffer);
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
		const struct igrad_matrix *matrix = &net->layers[l].w;
		float limit = sqrtf(6.0f / (float)matrix->rows);
		uint64_t count = (uint64_t)matrix->rows * matrix->cols;
		float *w = igrad_matrix_data(matrix);

		if (net->layers[l].mean.rows) /* batch normalisation */
			continue;
		for (uint64_t i = 0; i < count; i++)
			w[i] = (2.0f * igrad_rng_float(&rng) - 1.0f) * limit;
	}
}

/* ---------------------------------------------------------------- life */

/* @layers, or without them @widths. */
static int net_init(struct igrad_net *net, const struct igrad_net_layer *layers,
		    uint32_t num_layers, const char *widths, struct igrad_error *error)
{
	int err = layers ? igrad_graph_init(net, layers, num_layers, error)
			 : igrad_widths_init(net, widths, error);

	if (err)
		return err;
	err = add_params(net);
	return err ? igrad_fail(error, err, "no memory for the parameters of %s: %s",
				widths ? widths : "the network", igrad_strerror(err))
		   : 0;
}

static int net_new(struct igrad_device *device, const struct igrad_net_layer *layers,
		   uint32_t num_layers, const char *widths, struct igrad_net **net,
		   struct igrad_error *error)
{
	struct igrad_net *new = calloc(1, sizeof(*new));
	int err;

	*net = NULL;
	if (!new)
		return igrad_fail(error, -ENOMEM, "out of memory");
	atomic_init(&new->refs, 1);
	new->device = igrad_device_ref(device);
	err = net_init(new, layers, num_layers, widths, error);
	if (err) {
		igrad_net_unref(new);
		return err;
	}
	*net = new;
	return 0;
}

int igrad_net_new_graph(struct igrad_device *device, const struct igrad_net_layer *layers,
			uint32_t num_layers, struct igrad_net **net, struct igrad_error *error)
{
	return net_new(device, layers, num_layers, NULL, net, error);
}

int igrad_net_new_blank(struct igrad_device *device, const char *layers, struct igrad_net **net,
			struct igrad_error *error)
{
	return net_new(device, NULL, 0, layers, net, error);
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
	igrad_buffer_unref(net->statistics);
	igrad_buffer_unref(net->velocities);
	igrad_buffer_unref(net->squares);
	igrad_device_unref(net->device);
	igrad_graph_fini(net);
	free(net->layers);
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
	const struct igrad_shape *shape;

	shape = &net->nodes[index ? net->layers[index - 1].node : 0].shape;
	return shape->channels * (index ? 1 : shape->height * shape->width);
}

static uint64_t size_of(const struct igrad_matrix *matrix)
{
	return (uint64_t)matrix->rows * matrix->cols;
}

uint64_t igrad_net_parameters(const struct igrad_net *net)
{
	uint64_t sum = 0;

	for (uint32_t l = 0; l < net->num_layers; l++)
		sum += size_of(&net->layers[l].w) + size_of(&net->layers[l].b);
	return sum;
}

static const struct igrad_matrix *existing(const struct igrad_matrix *matrix)
{
	return matrix->buffer ? matrix : NULL;
}

const struct igrad_matrix *igrad_net_weight(const struct igrad_net *net, uint32_t layer)
{
	return &net->layers[layer].w;
}

const struct igrad_matrix *igrad_net_bias(const struct igrad_net *net, uint32_t layer)
{
	return existing(&net->layers[layer].b);
}

const struct igrad_matrix *igrad_net_weight_velocity(const struct igrad_net *net, uint32_t layer)
{
	return existing(&net->layers[layer].vw);
}

const struct igrad_matrix *igrad_net_bias_velocity(const struct igrad_net *net, uint32_t layer)
{
	return existing(&net->layers[layer].vb);
}

const struct igrad_matrix *igrad_net_weight_square(const struct igrad_net *net, uint32_t layer)
{
	return existing(&net->layers[layer].sw);
}

const struct igrad_matrix *igrad_net_bias_square(const struct igrad_net *net, uint32_t layer)
{
	return existing(&net->layers[layer].sb);
}

const struct igrad_matrix *igrad_net_running_mean(const struct igrad_net *net, uint32_t layer)
{
	return existing(&net->layers[layer].mean);
}

const struct igrad_matrix *igrad_net_running_variance(const struct igrad_net *net, uint32_t layer)
{
	return existing(&net->layers[layer].variance);
}
