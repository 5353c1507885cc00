// SPDX-License-Identifier: MIT
/*
 * The backward half of a program, from the last node to the first. A value that several nodes take
 * has the sum of what they give for its gradient, that of the last one first.
 */
#include "nn.h"

static bool learns(const struct igrad_writer *w, uint32_t node)
{
	return w->p->net->nodes[node].learns;
}

/* @view is (a share of) the gradient of @node's result. */
static void contribute(struct igrad_writer *w, uint32_t node, uint32_t view)
{
	struct igrad_op sum = igrad_no_op(IGRAD_ACT_SUM, node);
	uint32_t *grad = &w->grad[node];

	if (w->err)
		return;
	if (*grad == IGRAD_NONE) {
		*grad = view;
		return;
	}
	sum.x = *grad;
	sum.other = view;
	if (w->p->views[sum.x].owned)
		sum.y = sum.x;
	else if (w->p->views[sum.other].owned)
		sum.y = sum.other;
	else
		sum.y = igrad_writer_like(w, node);
	*grad = sum.y;
	igrad_writer_op(w, sum);
}

/* The gradient that @node's operation begins with. */
static uint32_t gradient(struct igrad_writer *w, uint32_t node)
{
	return w->grad[igrad_result_node(w->p->net, node)];
}

static uint32_t shared(struct igrad_writer *w, uint32_t view)
{
	struct igrad_view v;

	if (w->err)
		return 0;
	v = w->p->views[view];
	v.owned = false;
	return igrad_writer_view(w, v);
}

/* ---------------------------------------------------------------- nodes */

static void write_sum(struct igrad_writer *w, uint32_t node)
{
	const struct igrad_net_layer *d = &w->p->net->nodes[node].d;
	uint32_t result = igrad_result_node(w->p->net, node), dy = w->grad[result];
	struct igrad_op relu = igrad_no_op(IGRAD_ACT_RELU_GRAD, node);
	uint32_t takers = 0;

	if (result != node && !w->err) {
		relu.y = w->value[result];
		relu.dy = dy;
		relu.dx = dy = w->p->views[dy].owned ? dy : igrad_writer_like(w, result);
		igrad_writer_op(w, relu);
	}
	for (uint32_t i = 0; i < d->num_inputs; i++)
		takers += learns(w, d->inputs[i]);
	if (takers > 1)
		dy = shared(w, dy);
	for (uint32_t i = d->num_inputs; i-- > 0;)
		if (learns(w, d->inputs[i]))
			contribute(w, d->inputs[i], dy);
}

static void write_concat(struct igrad_writer *w, uint32_t node)
{
	const struct igrad_net *net = w->p->net;
	const struct igrad_net_layer *d = &net->nodes[node].d;
	uint32_t column = net->nodes[node].shape.channels;

	for (uint32_t i = d->num_inputs; i-- > 0 && !w->err;) {
		struct igrad_view part = w->p->views[w->grad[node]];

		part.cols = net->nodes[d->inputs[i]].shape.channels;
		column -= part.cols;
		part.column += column;
		if (learns(w, d->inputs[i]))
			contribute(w, d->inputs[i], igrad_writer_view(w, part));
	}
}

/* Operations that have a backward one, as they were forward. */
static void write_layer(struct igrad_writer *w, uint32_t node)
{
	const struct igrad_node *n = &w->p->net->nodes[node];
	uint32_t input = n->d.inputs[0];
	struct igrad_op op;

	if (w->err)
		return;
	op = w->p->ops[w->forward[node]];
	op.action = IGRAD_ACT_BACKWARD;
	op.dy = gradient(w, node);
	if (learns(w, input))
		op.dx = igrad_writer_like(w, input);
	if (n->d.kind == IGRAD_LAYER_BATCHNORM) {
		op.dw = igrad_writer_new(w, 1, n->shape.channels, IGRAD_FP32);
		op.db = igrad_writer_new(w, 1, n->shape.channels, IGRAD_FP32);
	}
	/* What it does not look at need not be kept. */
	if (!op.relu && n->d.kind != IGRAD_LAYER_RELU)
		op.y = IGRAD_NONE;
	if (n->layer == IGRAD_NONE)
		op.x = IGRAD_NONE;
	igrad_writer_op(w, op);
	if (op.dx != IGRAD_NONE)
		contribute(w, input, op.dx);
}

static void write_node(struct igrad_writer *w, uint32_t node)
{
	const struct igrad_node *n = &w->p->net->nodes[node];
	uint32_t input = n->d.inputs[0];

	switch (n->d.kind) {
	case IGRAD_LAYER_INPUT:
		break;
	case IGRAD_LAYER_ADD:
		write_sum(w, node);
		break;
	case IGRAD_LAYER_CONCAT:
		write_concat(w, node);
		break;
	case IGRAD_LAYER_FLATTEN:
		contribute(w, input, igrad_writer_reshape(w, w->grad[node], input));
		break;
	case IGRAD_LAYER_SOFTMAX:
		contribute(w, input, w->grad[node]);
		break;
	case IGRAD_LAYER_RELU:
		if (w->forward[node] != IGRAD_NONE) /* else that of the node before */
			write_layer(w, node);
		break;
	default:
		write_layer(w, node);
	}
}

void igrad_write_backward(struct igrad_writer *w)
{
	for (uint32_t n = w->p->net->num_nodes; n-- > 0 && !w->err;)
		if (learns(w, n))
			write_node(w, n);
}
