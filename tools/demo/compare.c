// SPDX-License-Identifier: MIT
/*
 * One backward pass of a network in each of the schedules: once storing gradients and leaving the
 * weights alone, once updating them as a training step does. Bytes are compared, costs are read
 * from the reports of the second kind.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

const enum igrad_schedule compared[NUM_COMPARED] = {
	IGRAD_SCHEDULE_WS_PAPER,
	IGRAD_SCHEDULE_WS_OS,
	IGRAD_SCHEDULE_INTERLEAVED,
};

/* The matrices of one layer in one buffer, each from a cache line on. */
struct layer {
	struct igrad_matrix w, b;  /* parameters */
	struct igrad_matrix y, dy; /* output, after ReLU but for the last layer, and its gradient */
	struct igrad_matrix dw, db;
};

/* A copy of the network, so that every schedule begins with the same parameters. */
struct copy {
	struct igrad_buffer *buffer;
	struct igrad_matrix x, labels, losses;
	uint32_t num_layers;
	struct layer layers[IGRAD_NET_MAX_LAYERS];
};

struct lab {
	struct igrad_net *net;
	const struct igrad_dataset *data;
	uint32_t batch;
	float lr;
	struct igrad_queue *queue;
};

static struct igrad_matrix place(uint64_t *offset, uint32_t rows, uint32_t cols)
{
	struct igrad_matrix matrix = {.offset = *offset, .rows = rows, .cols = cols};

	*offset += ((uint64_t)rows * cols * 4 + 63) / 64 * 64;
	return matrix;
}

static void *data_of(const struct igrad_matrix *m)
{
	return (char *)igrad_buffer_map(m->buffer) + m->offset;
}

static size_t bytes_of(const struct igrad_matrix *m)
{
	return (size_t)m->rows * m->cols * 4;
}

/* ---------------------------------------------------------------- a copy of the network */

static uint64_t lay_out(struct copy *copy, const struct lab *lab)
{
	uint64_t size = 0;

	copy->num_layers = igrad_net_layers(lab->net);
	copy->x = place(&size, lab->batch, igrad_net_width(lab->net, 0));
	copy->labels = place(&size, lab->batch, 1);
	copy->losses = place(&size, lab->batch, 1);
	for (uint32_t l = 0; l < copy->num_layers; l++) {
		uint32_t in = igrad_net_width(lab->net, l), out = igrad_net_width(lab->net, l + 1);
		struct layer *layer = &copy->layers[l];

		layer->w = place(&size, in, out);
		layer->b = place(&size, 1, out);
		layer->y = place(&size, lab->batch, out);
		layer->dy = place(&size, lab->batch, out);
		layer->dw = place(&size, in, out);
		layer->db = place(&size, 1, out);
	}
	return size;
}

static void set_buffer(struct copy *copy)
{
	copy->x.buffer = copy->labels.buffer = copy->losses.buffer = copy->buffer;
	for (uint32_t l = 0; l < copy->num_layers; l++) {
		struct layer *layer = &copy->layers[l];

		layer->w.buffer = layer->b.buffer = copy->buffer;
		layer->y.buffer = layer->dy.buffer = copy->buffer;
		layer->dw.buffer = layer->db.buffer = copy->buffer;
	}
}

static void fill(struct copy *copy, const struct lab *lab)
{
	uint32_t *labels = data_of(&copy->labels);
	float *x = data_of(&copy->x);

	for (size_t i = 0; i < bytes_of(&copy->x) / 4; i++)
		x[i] = (float)lab->data->images[i] / 255.0f;
	for (uint32_t b = 0; b < lab->batch; b++)
		labels[b] = lab->data->labels[b];
	for (uint32_t l = 0; l < copy->num_layers; l++) {
		struct layer *layer = &copy->layers[l];

		memcpy(data_of(&layer->w), data_of(igrad_net_weight(lab->net, l)),
		       bytes_of(&layer->w));
		memcpy(data_of(&layer->b), data_of(igrad_net_bias(lab->net, l)),
		       bytes_of(&layer->b));
	}
}

static int copy_init(struct copy *copy, const struct lab *lab)
{
	uint64_t size = lay_out(copy, lab);
	int err = igrad_buffer_new(igrad_net_device(lab->net), size, &copy->buffer);

	if (err)
		return err;
	set_buffer(copy);
	fill(copy, lab);
	return 0;
}

/* ---------------------------------------------------------------- passes */

static const struct igrad_matrix *input_of(const struct copy *copy, uint32_t layer)
{
	return layer ? &copy->layers[layer - 1].y : &copy->x;
}

static int forward(struct copy *copy, const struct lab *lab)
{
	uint32_t last = copy->num_layers - 1;
	struct igrad_cmdbuf *cmdbuf;
	int err = igrad_cmdbuf_new(igrad_net_device(lab->net), &cmdbuf);

	if (err)
		return err;
	for (uint32_t l = 0; !err && l <= last; l++)
		err = igrad_linear_forward(cmdbuf, input_of(copy, l), &copy->layers[l].w,
					   &copy->layers[l].b, l < last, &copy->layers[l].y);
	if (!err)
		err = igrad_softmax_xent(cmdbuf, &copy->layers[last].y, &copy->labels,
					 &copy->layers[last].dy, &copy->losses,
					 1.0f / (float)lab->batch);
	if (!err)
		err = igrad_queue_run(lab->queue, cmdbuf, NULL);
	igrad_cmdbuf_unref(cmdbuf);
	return err;
}

/* With SGD no gradient of the weights is asked for, so that the schedule may fuse the update. */
static int backward(struct copy *copy, const struct lab *lab, enum igrad_schedule schedule,
		    enum igrad_update update, struct igrad_report *report)
{
	uint32_t last = copy->num_layers - 1;
	struct igrad_cmdbuf *cmdbuf;
	int err = igrad_cmdbuf_new(igrad_net_device(lab->net), &cmdbuf);

	if (err)
		return err;
	for (uint32_t l = last + 1; !err && l-- > 0;) {
		struct layer *layer = &copy->layers[l];
		struct igrad_linear_backward args = {
			.schedule = schedule,
			.x = input_of(copy, l),
			.w = &layer->w,
			.b = &layer->b,
			.y = l < last ? &layer->y : NULL,
			.dy = &layer->dy,
			.dx = l ? &copy->layers[l - 1].dy : NULL,
			.dw = update == IGRAD_UPDATE_NONE ? &layer->dw : NULL,
			.db = update == IGRAD_UPDATE_NONE ? &layer->db : NULL,
			.optimizer = {.update = update, .lr = lab->lr},
		};

		err = igrad_linear_backward(cmdbuf, &args);
	}
	if (!err)
		err = igrad_queue_run(lab->queue, cmdbuf, report);
	igrad_cmdbuf_unref(cmdbuf);
	return err;
}

static int run_schedule(const struct lab *lab, enum igrad_schedule schedule,
			enum igrad_update update, struct copy *copy, struct igrad_report *report)
{
	int err = copy_init(copy, lab);

	if (!err)
		err = forward(copy, lab);
	if (!err)
		err = backward(copy, lab, schedule, update, report);
	return err;
}

/* ---------------------------------------------------------------- comparison */

/* Everything in a copy lies in one buffer in the same places: inputs, activations and results. */
static bool same_bytes(const struct copy *a, const struct copy *b)
{
	return !memcmp(igrad_buffer_map(a->buffer), igrad_buffer_map(b->buffer),
		       igrad_buffer_size(a->buffer));
}

static bool has_changed(const struct copy *copy, const struct lab *lab, enum igrad_update update)
{
	static const float zero;
	bool changed = true;

	for (uint32_t l = 0; l < copy->num_layers; l++) {
		const struct layer *layer = &copy->layers[l];
		const char *dw = data_of(&layer->dw);

		if (update == IGRAD_UPDATE_NONE)
			changed &= memcmp(dw, &zero, 4) ||
				   memcmp(dw, dw + 4, bytes_of(&layer->dw) - 4);
		else
			changed &= !!memcmp(data_of(&layer->w),
					    data_of(igrad_net_weight(lab->net, l)),
					    bytes_of(&layer->w));
	}
	return changed;
}

static int compare(const struct lab *lab, enum igrad_update update, struct comparison *result)
{
	struct copy *copies = calloc(NUM_COMPARED, sizeof(*copies));
	int err = copies ? 0 : -ENOMEM;

	for (int i = 0; !err && i < NUM_COMPARED; i++) {
		err = run_schedule(lab, compared[i], update, &copies[i],
				   &result->reports[compared[i]]);
		if (!err)
			result->bit_identical &= same_bytes(&copies[0], &copies[i]) &&
						 has_changed(&copies[i], lab, update);
	}
	for (int i = 0; copies && i < NUM_COMPARED; i++)
		igrad_buffer_unref(copies[i].buffer);
	free(copies);
	return err;
}

int compare_schedules(struct igrad_net *net, const struct igrad_dataset *data, uint32_t batch,
		      float lr, struct comparison *result, struct igrad_error *error)
{
	struct lab lab = {.net = net, .data = data, .batch = batch, .lr = lr};
	int err = igrad_queue_new(igrad_net_device(net), &lab.queue);

	memset(result, 0, sizeof(*result));
	result->bit_identical = true;
	if (!err)
		err = compare(&lab, IGRAD_UPDATE_NONE, result);
	if (!err)
		err = compare(&lab, IGRAD_UPDATE_SGD, result);
	igrad_queue_unref(lab.queue);
	if (err)
		snprintf(error->message, sizeof(error->message), "comparing schedules: %s",
			 igrad_strerror(err));
	return err;
}
