// SPDX-License-Identifier: MIT
/* What the vector unit does of a network: layers, and sums of gradients. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "account.h"

static bool is_vector(const struct net *net, const struct net_layer *layer)
{
	const struct net_layer *user;

	switch (layer->kind) {
	case NET_POOL:
	case NET_BATCHNORM:
	case NET_ADD:
	case NET_DROPOUT:
		return true;
	case NET_RELU:
		return !has_relu(net, &net->layers[layer->inputs[0]]);
	case NET_SOFTMAX:
		return !layer_users(net, layer, &user);
	default:
		return false;
	}
}

static int set_rows(struct vector_layer *v, const struct net_shape *shape, uint32_t batch)
{
	uint64_t pixels = shape->flat ? 1 : (uint64_t)shape->h * shape->w;

	if (pixels * batch > UINT32_MAX)
		return -E2BIG;
	v->rows = (uint32_t)(pixels * batch);
	v->channels = shape->c;
	return 0;
}

static struct igrad_pool_shape pool_shape(const struct net_layer *layer,
					  const struct net_shape *input, uint32_t batch)
{
	return (struct igrad_pool_shape){
		.batch = batch,
		.height = input->h,
		.width = input->w,
		.channels = input->c,
		.kernel_y = layer->kernel.h,
		.kernel_x = layer->kernel.w,
		.stride_y = layer->stride.h,
		.stride_x = layer->stride.w,
		.pad_top = layer->pad.top,
		.pad_bottom = layer->pad.bottom,
		.pad_left = layer->pad.left,
		.pad_right = layer->pad.right,
		.average = layer->average,
		.ceil = layer->ceil,
		.skip_border = layer->skip_border,
	};
}

static int vector_of(const struct account *a, const struct net_layer *layer, struct vector_layer *v)
{
	const struct net_layer *input = &a->net->layers[layer->inputs[0]];
	uint32_t batch = layer_batch(a, layer);

	*v = (struct vector_layer){
		.kind = layer->kind,
		.relu = has_relu(a->net, layer),
		.first = !input->learns,
	};
	if (layer->kind == NET_ADD)
		v->terms = layer->num_inputs;
	if (layer->kind == NET_POOL)
		v->pool = pool_shape(layer, &input->shape, batch);
	if (layer->kind == NET_DROPOUT)
		v->rate = layer->rate;
	return set_rows(v, &input->shape, batch);
}

static bool same_vector(const struct vector_layer *a, const struct vector_layer *b)
{
	const struct igrad_pool_shape *p = &a->pool, *q = &b->pool;

	return a->kind == b->kind && a->rows == b->rows && a->channels == b->channels &&
	       a->terms == b->terms && a->rate == b->rate && a->relu == b->relu &&
	       a->first == b->first && !memcmp(p, q, offsetof(struct igrad_pool_shape, average)) &&
	       p->average == q->average && p->ceil == q->ceil && p->skip_border == q->skip_border;
}

/* Executed once for all that are alike. */
static int cost_vector(struct account *a, const struct vector_layer *v,
		       const struct vector_cost **cost, struct igrad_error *error)
{
	const struct manner *manner = &a->settings->manner;
	struct vector_cost *new = &a->vectors[a->num_vectors];
	int err;

	for (uint32_t i = 0; i < a->num_vectors; i++) {
		*cost = &a->vectors[i];
		if (same_vector(&(*cost)->layer, v))
			return 0;
	}
	*cost = new;
	a->num_vectors++;
	new->layer = *v;
	err = take_pass(&new->forward,
			simulator_vector(&a->sim, v, manner, false, &new->forward.result, error));
	return err ? err
		   : take_pass(&new->backward, simulator_vector(&a->sim, v, manner, true,
								&new->backward.result, error));
}

static int cost_sums(struct account *a, struct row *row, struct igrad_error *error)
{
	const struct net_layer *last;
	struct vector_layer v = {.kind = NET_ADD};
	int err;

	v.terms = layer_users(a->net, row->layer, &last);
	if (v.terms < 2 || !row->layer->learns)
		return 0;
	err = set_rows(&v, &row->layer->shape, layer_batch(a, row->layer));
	return err ? err : cost_vector(a, &v, &row->sums, error);
}

int vector_row(struct account *a, struct row *row, struct igrad_error *error)
{
	struct vector_layer v;
	int err = 0;

	if (!a->net->chain)
		return 0;
	if (is_vector(a->net, row->layer)) {
		err = vector_of(a, row->layer, &v);
		if (!err)
			err = cost_vector(a, &v, &row->vector, error);
	}
	if (!err)
		err = cost_sums(a, row, error);
	return err == -E2BIG ? fail(error, err, "%s: more pixels than a matrix has rows",
				    row->layer->name)
			     : err;
}

bool account_vector(const struct account *a, bool backward, struct result *sum)
{
	*sum = (struct result){.name = backward ? "backward" : "forward"};
	for (uint32_t i = 0; i < a->net->num_layers; i++) {
		const struct row *row = &a->rows[i];
		const struct pass *pass = NULL;

		if (row->vector)
			pass = backward ? &row->vector->backward : &row->vector->forward;
		if (pass && !pass->there)
			return false;
		if (pass)
			result_add(sum, &pass->result, &a->sim);
		if (!backward || !row->sums)
			continue;
		if (!row->sums->forward.there)
			return false;
		result_add(sum, &row->sums->forward.result, &a->sim);
	}
	return true;
}
