// SPDX-License-Identifier: MIT
/* Executing layers of the vector unit. */
#include <errno.h>
#include <stdio.h>

#include "vector.h"

#define MAX_MATRICES 20
#define MOMENTUM     0.1f /* of running statistics: what it costs does not depend on it */

/* A pass that is being built: operands are in buffers of their own, whose memory nobody touches. */
struct build {
	struct simulator *sim;
	const struct vector_layer *layer;
	const struct manner *manner;
	struct igrad_matrix matrices[MAX_MATRICES];
	unsigned int count;
	int err;
};

static const struct igrad_matrix *matrix(struct build *b, uint64_t rows, uint32_t cols)
{
	struct igrad_matrix *m = &b->matrices[b->count];

	if (b->err)
		return NULL;
	if (b->count == MAX_MATRICES || rows > UINT32_MAX) {
		b->err = -EINVAL;
		return NULL;
	}
	*m = (struct igrad_matrix){.rows = (uint32_t)rows, .cols = cols};
	b->err = igrad_buffer_new(b->sim->device, rows * cols * 4, &m->buffer);
	b->count += !b->err;
	return b->err ? NULL : m;
}

static void release(struct build *b)
{
	for (unsigned int i = 0; i < b->count; i++)
		igrad_buffer_unref(b->matrices[i].buffer);
}

static const struct igrad_matrix *like_input(struct build *b)
{
	return matrix(b, b->layer->rows, b->layer->channels);
}

static const struct igrad_matrix *per_channel(struct build *b)
{
	return matrix(b, 1, b->layer->channels);
}

/* ---------------------------------------------------------------- layers */

static int pool(struct build *b, bool backward)
{
	const struct igrad_pool_shape *s = &b->layer->pool;
	const struct igrad_matrix *x, *y, *index = NULL;
	uint32_t height, width;
	uint64_t rows;

	if (igrad_pool_output(s, &height, &width))
		return -ENOTSUP; /* images larger than windows can be */
	rows = (uint64_t)s->batch * height * width;
	x = like_input(b);
	y = matrix(b, rows, b->layer->channels);
	if (!s->average)
		index = matrix(b, rows, b->layer->channels);
	if (b->err)
		return b->err;
	if (backward)
		return igrad_pool_backward(b->sim->cmdbuf, &(struct igrad_pool_backward){
								   .shape = *s,
								   .dy = y,
								   .index = index,
								   .dx = x,
							   });
	return igrad_pool_forward(b->sim->cmdbuf, &(struct igrad_pool_forward){
							  .shape = *s,
							  .x = x,
							  .y = y,
							  .index = index,
						  });
}

static int normalize(struct build *b)
{
	const struct igrad_batchnorm_forward args = {
		.training = true,
		.x = like_input(b),
		.gamma = per_channel(b),
		.beta = per_channel(b),
		.y = like_input(b),
		.mean = per_channel(b),
		.inverse = per_channel(b),
		.running_mean = per_channel(b),
		.running_variance = per_channel(b),
		.epsilon = 1e-5f,
		.momentum = MOMENTUM,
		.relu = b->layer->relu,
	};

	return b->err ? b->err : igrad_batchnorm_forward(b->sim->cmdbuf, &args);
}

static int update(struct build *b, const struct igrad_matrix *gradient)
{
	const struct igrad_optimizer *optimizer = &b->manner->optimizer;
	bool adam = optimizer->update == IGRAD_UPDATE_ADAM;
	bool moves = adam || optimizer->update == IGRAD_UPDATE_MOMENTUM;
	const struct igrad_parameter args = {
		.w = per_channel(b),
		.dw = gradient,
		.v = moves ? per_channel(b) : NULL,
		.s = adam ? per_channel(b) : NULL,
		.adam = adam ? matrix(b, 1, IGRAD_ADAM_WORDS) : NULL,
		.optimizer = *optimizer,
	};

	return b->err ? b->err : igrad_update(b->sim->cmdbuf, &args);
}

static int normalize_backward(struct build *b)
{
	const struct igrad_batchnorm_backward args = {
		.x = like_input(b),
		.gamma = per_channel(b),
		.mean = per_channel(b),
		.inverse = per_channel(b),
		.y = b->layer->relu ? like_input(b) : NULL,
		.dy = like_input(b),
		.dx = b->layer->first ? NULL : like_input(b),
		.dgamma = per_channel(b),
		.dbeta = per_channel(b),
	};
	int err = b->err ? b->err : igrad_batchnorm_backward(b->sim->cmdbuf, &args);

	if (!err)
		err = update(b, args.dgamma);
	return err ? err : update(b, args.dbeta);
}

/* The first two, and then one more at a time to what there is. */
static int add(struct build *b)
{
	const struct igrad_matrix *sum = like_input(b), *term = like_input(b), *y = like_input(b);
	int err = b->err;

	for (uint32_t i = 1; i < b->layer->terms && !err; i++)
		err = igrad_add(b->sim->cmdbuf,
				&(struct igrad_add){
					.a = i == 1 ? sum : y,
					.b = term,
					.y = y,
					.relu = b->layer->relu && i + 1 == b->layer->terms,
				});
	return err;
}

static int relu(struct build *b, bool backward)
{
	const struct igrad_matrix *x = like_input(b), *y = like_input(b);

	if (b->err)
		return b->err;
	return backward ? igrad_relu_backward(b->sim->cmdbuf, y, x, x)
			: igrad_relu_forward(b->sim->cmdbuf, x, y);
}

static int dropout(struct build *b)
{
	const struct igrad_dropout args = {
		.x = like_input(b),
		.y = like_input(b),
		.seed = matrix(b, 1, 2),
		.rate = b->layer->rate,
	};

	return b->err ? b->err : igrad_dropout(b->sim->cmdbuf, &args);
}

/* With its gradient: a network ends with it. */
static int softmax(struct build *b)
{
	const struct igrad_matrix *x = like_input(b), *dx = like_input(b);
	const struct igrad_matrix *labels = matrix(b, b->layer->rows, 1);
	const struct igrad_matrix *losses = matrix(b, b->layer->rows, 1);

	return b->err ? b->err : igrad_softmax_xent(b->sim->cmdbuf, x, labels, dx, losses, 1.0f);
}

/* ---------------------------------------------------------------- passes */

/* Both terms of a sum have its gradient; a loss gives its gradient in the forward pass. */
static int emit(struct build *b, bool backward)
{
	const struct vector_layer *l = b->layer;

	switch (l->kind) {
	case NET_POOL:
		return backward && l->first ? 0 : pool(b, backward);
	case NET_BATCHNORM:
		return backward ? normalize_backward(b) : normalize(b);
	case NET_ADD:
		return !backward ? add(b) : l->relu && !l->first ? relu(b, true) : 0;
	case NET_RELU:
		return backward && l->first ? 0 : relu(b, backward);
	case NET_DROPOUT:
		return backward && l->first ? 0 : dropout(b);
	case NET_SOFTMAX:
		return backward ? 0 : softmax(b);
	default:
		return -ENOTSUP;
	}
}

int simulator_vector(struct simulator *sim, const struct vector_layer *layer,
		     const struct manner *manner, bool backward, struct result *result,
		     struct igrad_error *error)
{
	struct build b = {.sim = sim, .layer = layer, .manner = manner};
	int err = igrad_cmdbuf_reset(sim->cmdbuf);

	*result = (struct result){.name = backward ? "backward" : "forward"};
	if (!err)
		err = emit(&b, backward);
	if (!err && igrad_cmdbuf_length(sim->cmdbuf))
		err = simulator_execute(sim, result);
	release(&b);
	return err ? fail(error, err, "%s of %u x %u, %s: %s", net_kind_name(layer->kind),
			  layer->rows, layer->channels, result->name, refusal_text(err))
		   : 0;
}
