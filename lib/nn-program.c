// SPDX-License-Identifier: MIT
/* Programs: what one batch's way through a network does, in which order, and with which values. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "nn.h"

/* ---------------------------------------------------------------- writing */

/* Room for one element more; -ENOMEM sticks. */
static bool grow(struct igrad_writer *w, void *array, uint32_t count, uint32_t *room, size_t size)
{
	void **place = array, *larger;
	uint32_t wanted = *room ? 2 * *room : 64;

	if (w->err || count < *room)
		return !w->err;
	larger = realloc(*place, wanted * size);
	if (!larger) {
		w->err = -ENOMEM;
		return false;
	}
	*place = larger;
	*room = wanted;
	return true;
}

struct igrad_op igrad_no_op(enum igrad_action action, uint32_t node)
{
	return (struct igrad_op){
		.action = action,
		.node = node,
		.x = IGRAD_NONE,
		.other = IGRAD_NONE,
		.y = IGRAD_NONE,
		.dy = IGRAD_NONE,
		.dx = IGRAD_NONE,
		.extra = IGRAD_NONE,
		.extra2 = IGRAD_NONE,
		.dw = IGRAD_NONE,
		.db = IGRAD_NONE,
	};
}

void igrad_writer_op(struct igrad_writer *w, struct igrad_op op)
{
	struct igrad_program *p = w->p;

	if (grow(w, &p->ops, p->num_ops, &w->room_ops, sizeof(*p->ops)))
		p->ops[p->num_ops++] = op;
}

uint32_t igrad_writer_view(struct igrad_writer *w, struct igrad_view view)
{
	struct igrad_program *p = w->p;

	if (!grow(w, &p->views, p->num_views, &w->room_views, sizeof(*p->views)))
		return 0;
	p->views[p->num_views] = view;
	return p->num_views++;
}

uint32_t igrad_writer_new(struct igrad_writer *w, uint32_t rows, uint32_t cols,
			  enum igrad_element dtype)
{
	struct igrad_program *p = w->p;

	if (!grow(w, &p->storages, p->num_storages, &w->room_storages, sizeof(*p->storages)))
		return 0;
	p->storages[p->num_storages] = (struct igrad_storage){
		.rows = rows, .cols = cols, .dtype = dtype, .first = IGRAD_NONE};
	return igrad_writer_view(
		w, (struct igrad_view){p->num_storages++, 0, rows, cols, .owned = true});
}

uint32_t igrad_writer_rows(const struct igrad_writer *w, uint32_t node)
{
	const struct igrad_shape *shape = &w->p->net->nodes[node].shape;

	return w->p->batch * shape->height * shape->width;
}

uint32_t igrad_writer_like(struct igrad_writer *w, uint32_t node)
{
	return igrad_writer_new(w, igrad_writer_rows(w, node),
				w->p->net->nodes[node].shape.channels, w->p->net->dtype);
}

uint32_t igrad_writer_reshape(struct igrad_writer *w, uint32_t view, uint32_t node)
{
	struct igrad_op copy = igrad_no_op(IGRAD_ACT_COPY, node);
	uint32_t rows = igrad_writer_rows(w, node);
	struct igrad_view v;

	if (w->err || w->p->views[view].rows == rows)
		return view;
	v = w->p->views[view];
	if (w->p->storages[v.storage].cols != v.cols) {
		copy.x = view;
		copy.y = igrad_writer_new(w, v.rows, v.cols, w->p->net->dtype);
		igrad_writer_op(w, copy);
		if (w->err)
			return 0;
		v = w->p->views[copy.y];
	}
	v.rows = rows;
	v.cols = w->p->net->nodes[node].shape.channels;
	return igrad_writer_view(w, v);
}

uint32_t igrad_result_node(const struct igrad_net *net, uint32_t node)
{
	const struct igrad_node *n = &net->nodes[node];
	bool fuses = n->d.kind == IGRAD_LAYER_LINEAR || n->d.kind == IGRAD_LAYER_CONV ||
		     n->d.kind == IGRAD_LAYER_BATCHNORM || n->d.kind == IGRAD_LAYER_ADD;

	if (fuses && n->readers == 1 && net->nodes[n->reader].d.kind == IGRAD_LAYER_RELU)
		return n->reader;
	return node;
}

/* ---------------------------------------------------------------- the whole */

static void write_loss(struct igrad_writer *w)
{
	struct igrad_program *p = w->p;
	struct igrad_op loss = igrad_no_op(IGRAD_ACT_LOSS, p->net->num_nodes - 1);

	p->logits = loss.x = w->value[p->net->num_nodes - 1];
	loss.dx = igrad_writer_like(w, p->net->num_nodes - 1);
	w->grad[p->net->num_nodes - 1] = loss.dx;
	igrad_writer_op(w, loss);
}

static int write_all(struct igrad_program *program)
{
	size_t count = program->net->num_nodes;
	struct igrad_writer w = {.p = program};

	w.value = malloc(3 * count * sizeof(*w.value));
	if (!w.value)
		return -ENOMEM;
	memset(w.value, 0xff, 3 * count * sizeof(*w.value)); /* IGRAD_NONE */
	w.grad = w.value + count;
	w.forward = w.grad + count;
	igrad_write_forward(&w);
	write_loss(&w);
	if (program->training)
		igrad_write_backward(&w);
	free(w.value);
	return w.err;
}

static int check_sizes(const struct igrad_program *program, struct igrad_error *error)
{
	const struct igrad_net *net = program->net;

	for (uint32_t n = 0; n < net->num_nodes; n++) {
		const struct igrad_shape *shape = &net->nodes[n].shape;
		uint64_t pixels = (uint64_t)shape->height * shape->width;

		if (pixels > UINT32_MAX / program->batch)
			return igrad_fail(error, -EINVAL, "%s: %u images of %u × %u are too many",
					  net->nodes[n].where, program->batch, shape->height,
					  shape->width);
		if (net->dtype == IGRAD_BF16 && n && net->nodes[n].d.kind != IGRAD_LAYER_LINEAR &&
		    net->nodes[n].d.kind != IGRAD_LAYER_SOFTMAX &&
		    igrad_result_node(net, net->nodes[n].d.inputs[0]) != n)
			return igrad_fail(error, -ENOTSUP,
					  "%s: only linear layers, and ReLU behind them, have bf16",
					  net->nodes[n].where);
	}
	return 0;
}

int igrad_program_init(struct igrad_program *program, struct igrad_net *net, uint32_t batch,
		       bool training, struct igrad_error *error)
{
	int err;

	*program = (struct igrad_program){.net = net, .batch = batch, .training = training};
	err = check_sizes(program, error);
	if (err)
		return err;
	err = write_all(program);
	if (!err)
		err = igrad_program_lay_out(program);
	if (!err && program->arena_size)
		err = igrad_buffer_new(net->device, program->arena_size, &program->arena);
	return err ? igrad_fail(error, err, "activations of a batch of %u, %llu MiB: %s", batch,
				(unsigned long long)(program->arena_size >> 20),
				igrad_strerror(err))
		   : 0;
}

void igrad_program_fini(struct igrad_program *program)
{
	igrad_buffer_unref(program->arena);
	free(program->ops);
	free(program->views);
	free(program->storages);
	memset(program, 0, sizeof(*program));
}
