// SPDX-License-Identifier: MIT
/*
 * The forward half of a program. Where a concat joins values, they are given their places in its
 * memory from the start, so that joining them is no operation; a value that several concats join is
 * copied into all but the first.
 */
#include <errno.h>
#include <stdlib.h>

#include "nn.h"

/* Where a node's result goes: columns of a concat's, or memory of its own. */
struct home {
	uint32_t concat; /* or IGRAD_NONE */
	uint32_t column;
};

struct forward {
	struct igrad_writer *w;
	const struct igrad_net *net;
	struct home *homes;
	uint32_t *storage; /* of each node that has memory of its own, or IGRAD_NONE */
};

/* ---------------------------------------------------------------- places */

/* Does the node's operation write its result, so that it may be written anywhere? */
static bool writes(const struct forward *f, uint32_t node)
{
	const struct igrad_node *n = &f->net->nodes[node];

	switch (n->d.kind) {
	case IGRAD_LAYER_INPUT:
	case IGRAD_LAYER_FLATTEN:
	case IGRAD_LAYER_SOFTMAX:
		return false;
	case IGRAD_LAYER_DROPOUT:
		return f->w->p->training;
	default:
		return true;
	}
}

static bool is_flattened(const struct forward *f, uint32_t node)
{
	const struct igrad_net *net = f->net;

	if (net->nodes[node].shape.height == 1 && net->nodes[node].shape.width == 1)
		return false;
	for (uint32_t n = node + 1; n < net->num_nodes; n++)
		if (net->nodes[n].d.kind == IGRAD_LAYER_FLATTEN &&
		    net->nodes[n].d.inputs[0] == node)
			return true;
	return false;
}

static void find_homes(struct forward *f)
{
	for (uint32_t n = 0; n < f->net->num_nodes; n++)
		f->homes[n].concat = f->storage[n] = IGRAD_NONE;
	for (uint32_t n = 0; n < f->net->num_nodes; n++) {
		const struct igrad_net_layer *d = &f->net->nodes[n].d;
		uint32_t column = 0;

		if (d->kind != IGRAD_LAYER_CONCAT)
			continue;
		for (uint32_t i = 0; i < d->num_inputs; i++) {
			struct home *home = &f->homes[d->inputs[i]];

			if (home->concat == IGRAD_NONE && writes(f, d->inputs[i]) &&
			    !is_flattened(f, d->inputs[i]))
				*home = (struct home){n, column};
			column += f->net->nodes[d->inputs[i]].shape.channels;
		}
	}
}

/* A place for the result of @node. */
static uint32_t place(struct forward *f, uint32_t node)
{
	struct igrad_view view = {.rows = igrad_writer_rows(f->w, node),
				  .cols = f->net->nodes[node].shape.channels};
	uint32_t root = node;

	for (; f->homes[root].concat != IGRAD_NONE; root = f->homes[root].concat)
		view.column += f->homes[root].column;
	if (f->storage[root] == IGRAD_NONE) {
		uint32_t whole = igrad_writer_like(f->w, root);

		if (f->w->err)
			return 0;
		f->storage[root] = f->w->p->views[whole].storage;
	}
	view.storage = f->storage[root];
	return igrad_writer_view(f->w, view);
}

/* ---------------------------------------------------------------- nodes */

static void write_concat(struct forward *f, uint32_t node)
{
	const struct igrad_net_layer *d = &f->net->nodes[node].d;
	struct igrad_view part = {.column = 0};
	uint32_t whole = place(f, node);

	f->w->value[node] = whole;
	for (uint32_t i = 0; i < d->num_inputs && !f->w->err; i++) {
		struct igrad_op op = igrad_no_op(IGRAD_ACT_COPY, node);
		const struct igrad_view *v = &f->w->p->views[whole];
		uint32_t column = v->column + part.column;

		op.x = f->w->value[d->inputs[i]];
		part.cols = f->net->nodes[d->inputs[i]].shape.channels;
		if (f->w->p->views[op.x].storage != v->storage ||
		    f->w->p->views[op.x].column != column) {
			op.y = igrad_writer_view(
				f->w,
				(struct igrad_view){v->storage, column, v->rows, part.cols, false});
			igrad_writer_op(f->w, op);
		}
		part.column += part.cols;
	}
}

/* y = a + b, then y = y + c and so on. */
static void write_sum(struct forward *f, uint32_t node, uint32_t result)
{
	const struct igrad_net_layer *d = &f->net->nodes[node].d;
	uint32_t sum = f->w->value[d->inputs[0]], y = place(f, result);

	for (uint32_t i = 1; i < d->num_inputs; i++) {
		struct igrad_op op = igrad_no_op(IGRAD_ACT_SUM, node);

		op.x = sum;
		op.other = f->w->value[d->inputs[i]];
		op.y = sum = y;
		op.relu = result != node && i + 1 == d->num_inputs;
		igrad_writer_op(f->w, op);
	}
	f->w->value[result] = y;
}

/* What the backward pass wants to know besides x and y. */
static void keep(struct forward *f, struct igrad_op *op)
{
	const struct igrad_node *n = &f->net->nodes[op->node];
	uint32_t channels = n->shape.channels;

	if (!f->w->p->training)
		return;
	if (n->d.kind == IGRAD_LAYER_POOL && !n->d.average && n->learns)
		op->extra = igrad_writer_new(f->w, igrad_writer_rows(f->w, op->node), channels,
					     IGRAD_FP32);
	if (n->d.kind == IGRAD_LAYER_BATCHNORM) {
		op->extra = igrad_writer_new(f->w, 1, channels, IGRAD_FP32);
		op->extra2 = igrad_writer_new(f->w, 1, channels, IGRAD_FP32);
	}
}

static void write_layer(struct forward *f, uint32_t node, uint32_t result)
{
	struct igrad_op op = igrad_no_op(IGRAD_ACT_FORWARD, node);

	op.x = f->w->value[f->net->nodes[node].d.inputs[0]];
	op.y = f->w->value[result] = place(f, result);
	op.relu = result != node;
	keep(f, &op);
	f->w->forward[node] = f->w->p->num_ops;
	igrad_writer_op(f->w, op);
}

static void write_node(struct forward *f, uint32_t node)
{
	const struct igrad_node *n = &f->net->nodes[node];
	uint32_t result = igrad_result_node(f->net, node);
	struct igrad_writer *w = f->w;

	switch (n->d.kind) {
	case IGRAD_LAYER_INPUT:
		w->value[node] = igrad_writer_like(w, node);
		if (!w->err)
			w->p->storages[w->p->views[w->value[node]].storage].home = IGRAD_HOME_X;
		break;
	case IGRAD_LAYER_CONCAT:
		write_concat(f, node);
		break;
	case IGRAD_LAYER_ADD:
		write_sum(f, node, result);
		break;
	case IGRAD_LAYER_FLATTEN:
		w->value[node] = igrad_writer_reshape(w, w->value[n->d.inputs[0]], node);
		break;
	case IGRAD_LAYER_SOFTMAX: /* part of the loss */
		w->value[node] = w->value[n->d.inputs[0]];
		break;
	case IGRAD_LAYER_DROPOUT:
		if (w->p->training)
			write_layer(f, node, node);
		else
			w->value[node] = w->value[n->d.inputs[0]];
		break;
	default:
		write_layer(f, node, result);
	}
}

/* The host reads what the loss takes, so that has to be in the pass's own memory. */
static void place_logits(struct forward *f)
{
	struct igrad_program *p = f->w->p;
	struct igrad_op copy = igrad_no_op(IGRAD_ACT_COPY, f->net->num_nodes - 1);
	uint32_t *last = &f->w->value[f->net->num_nodes - 1];
	struct igrad_storage *storage;

	if (f->w->err)
		return;
	storage = &p->storages[p->views[*last].storage];
	if (storage->home == IGRAD_HOME_X || storage->cols != p->views[*last].cols) {
		copy.x = *last;
		copy.y = *last = igrad_writer_like(f->w, f->net->num_nodes - 1);
		igrad_writer_op(f->w, copy);
		if (f->w->err)
			return;
		storage = &p->storages[p->views[*last].storage];
	}
	storage->home = IGRAD_HOME_LOGITS;
}

void igrad_write_forward(struct igrad_writer *w)
{
	struct forward f = {.w = w, .net = w->p->net};

	f.homes = calloc(f.net->num_nodes, sizeof(*f.homes));
	f.storage = calloc(f.net->num_nodes, sizeof(*f.storage));
	if (!f.homes || !f.storage)
		w->err = -ENOMEM;
	else
		find_homes(&f);
	for (uint32_t n = 0; n < f.net->num_nodes && !w->err; n++)
		if (w->value[n] == IGRAD_NONE) /* else a ReLU that has been done */
			write_node(&f, n);
	place_logits(&f);
	free(f.homes);
	free(f.storage);
}
