// SPDX-License-Identifier: MIT
/* The commands of a program's operations. */
#include <errno.h>

#include "nn.h"

#define RUNNING_SHARE 0.1f /* of running statistics that a batch replaces */

/* The matrices of an operation; those that it does not have are NULL. */
struct operands {
	struct igrad_matrix memory[9];
	const struct igrad_matrix *x, *other, *y, *dy, *dx, *extra, *extra2, *dw, *db;
};

static struct igrad_matrix matrix_of(const struct igrad_pass *pass, const struct igrad_view *view)
{
	const struct igrad_storage *storage = &pass->program->storages[view->storage];
	uint32_t element = igrad_element_bytes(storage->dtype);
	struct igrad_matrix matrix = {
		.buffer = pass->buffer,
		.offset = view->column * (uint64_t)element,
		.rows = view->rows,
		.cols = view->cols,
		.dtype = storage->dtype,
	};

	if (storage->rows == view->rows && storage->cols != view->cols)
		matrix.pitch = storage->cols * element;
	if (storage->home == IGRAD_HOME_X)
		matrix.offset += pass->x.offset;
	else if (storage->home == IGRAD_HOME_LOGITS)
		matrix.offset += pass->logits.offset;
	else
		matrix.offset += storage->offset;
	if (storage->home == IGRAD_HOME_ARENA)
		matrix.buffer = pass->program->arena;
	return matrix;
}

static void resolve(struct operands *o, const struct igrad_pass *pass, const struct igrad_op *op)
{
	const uint32_t views[] = {op->x,     op->other,	 op->y,	 op->dy, op->dx,
				  op->extra, op->extra2, op->dw, op->db};
	const struct igrad_matrix **const to[] = {&o->x,     &o->other,	 &o->y,	 &o->dy, &o->dx,
						  &o->extra, &o->extra2, &o->dw, &o->db};

	for (int i = 0; i < 9; i++) {
		*to[i] = NULL;
		if (views[i] == IGRAD_NONE)
			continue;
		o->memory[i] = matrix_of(pass, &pass->program->views[views[i]]);
		*to[i] = &o->memory[i];
	}
}

static const struct igrad_matrix *existing(const struct igrad_matrix *matrix)
{
	return matrix->buffer ? matrix : NULL;
}

/* ---------------------------------------------------------------- forward */

static int forward_linear(struct igrad_pass *pass, const struct igrad_op *op,
			  const struct operands *o, const struct igrad_layer *layer,
			  const struct igrad_train_options *options)
{
	const struct igrad_linear_forward args = {
		.x = o->x,
		.w = &layer->w,
		.b = existing(&layer->b),
		.y = o->y,
		.relu = op->relu,
		.objective = options ? options->objective : IGRAD_OBJECTIVE_CYCLES,
		.energy = options ? options->energy : NULL,
	};

	return igrad_linear_forward_for(pass->cmdbuf, &args);
}

static int forward_conv(struct igrad_pass *pass, const struct igrad_op *op,
			const struct operands *o, const struct igrad_layer *layer,
			const struct igrad_train_options *options)
{
	const struct igrad_conv_forward args = {
		.shape = igrad_node_conv(pass->net, &pass->net->nodes[op->node], pass->batch),
		.x = o->x,
		.w = &layer->w,
		.b = existing(&layer->b),
		.y = o->y,
		.relu = op->relu,
		.objective = options ? options->objective : IGRAD_OBJECTIVE_CYCLES,
		.energy = options ? options->energy : NULL,
	};

	return igrad_conv_forward(pass->cmdbuf, &args);
}

static int forward_pool(struct igrad_pass *pass, const struct igrad_op *op,
			const struct operands *o)
{
	const struct igrad_pool_forward args = {
		.shape = igrad_node_pool(pass->net, &pass->net->nodes[op->node], pass->batch),
		.x = o->x,
		.y = o->y,
		.index = o->extra,
	};

	return igrad_pool_forward(pass->cmdbuf, &args);
}

static int forward_batchnorm(struct igrad_pass *pass, const struct igrad_op *op,
			     const struct operands *o, const struct igrad_layer *layer)
{
	const struct igrad_batchnorm_forward args = {
		.training = pass->program->training,
		.x = o->x,
		.gamma = &layer->w,
		.beta = &layer->b,
		.y = o->y,
		.mean = o->extra,
		.inverse = o->extra2,
		.running_mean = &layer->mean,
		.running_variance = &layer->variance,
		.epsilon = pass->net->nodes[op->node].d.eps,
		.momentum = RUNNING_SHARE,
		.relu = op->relu,
	};

	return igrad_batchnorm_forward(pass->cmdbuf, &args);
}

/* Forward and backward, for a layer is told from the others by its place. */
static int dropout(struct igrad_pass *pass, const struct igrad_op *op, const struct igrad_matrix *x,
		   const struct igrad_matrix *y)
{
	const struct igrad_dropout args = {
		.x = x,
		.y = y,
		.seed = &pass->seed,
		.stream = op->node,
		.rate = pass->net->nodes[op->node].d.rate,
	};

	return igrad_dropout(pass->cmdbuf, &args);
}

static int forward(struct igrad_pass *pass, const struct igrad_op *op, const struct operands *o,
		   const struct igrad_layer *layer, const struct igrad_train_options *options)
{
	switch (pass->net->nodes[op->node].d.kind) {
	case IGRAD_LAYER_LINEAR:
		return forward_linear(pass, op, o, layer, options);
	case IGRAD_LAYER_CONV:
		return forward_conv(pass, op, o, layer, options);
	case IGRAD_LAYER_POOL:
		return forward_pool(pass, op, o);
	case IGRAD_LAYER_BATCHNORM:
		return forward_batchnorm(pass, op, o, layer);
	case IGRAD_LAYER_RELU:
		return igrad_relu_forward(pass->cmdbuf, o->x, o->y);
	case IGRAD_LAYER_DROPOUT:
		return dropout(pass, op, o->x, o->y);
	default:
		return -EINVAL;
	}
}

/* ---------------------------------------------------------------- backward */

static bool is_adam(const struct igrad_train_options *options)
{
	return options->optimizer.update == IGRAD_UPDATE_ADAM;
}

static int backward_linear(struct igrad_pass *pass, const struct operands *o,
			   const struct igrad_layer *layer,
			   const struct igrad_train_options *options)
{
	const struct igrad_linear_backward args = {
		.schedule = options->schedule,
		.x = o->x,
		.w = &layer->w,
		.b = existing(&layer->b),
		.y = o->y,
		.dy = o->dy,
		.dx = o->dx,
		.vw = existing(&layer->vw),
		.vb = existing(&layer->vb),
		.sw = existing(&layer->sw),
		.sb = existing(&layer->sb),
		.adam = is_adam(options) ? &pass->adam : NULL,
		.optimizer = options->optimizer,
		.objective = options->objective,
		.energy = options->energy,
	};

	return igrad_linear_backward(pass->cmdbuf, &args);
}

static int backward_conv(struct igrad_pass *pass, const struct igrad_op *op,
			 const struct operands *o, const struct igrad_layer *layer,
			 const struct igrad_train_options *options)
{
	const struct igrad_conv_backward args = {
		.shape = igrad_node_conv(pass->net, &pass->net->nodes[op->node], pass->batch),
		.schedule = options->schedule,
		.x = o->x,
		.w = &layer->w,
		.b = existing(&layer->b),
		.y = o->y,
		.dy = o->dy,
		.dx = o->dx,
		.vw = existing(&layer->vw),
		.vb = existing(&layer->vb),
		.sw = existing(&layer->sw),
		.sb = existing(&layer->sb),
		.adam = is_adam(options) ? &pass->adam : NULL,
		.optimizer = options->optimizer,
		.objective = options->objective,
		.energy = options->energy,
	};

	return igrad_conv_backward(pass->cmdbuf, &args);
}

static int backward_pool(struct igrad_pass *pass, const struct igrad_op *op,
			 const struct operands *o)
{
	const struct igrad_pool_backward args = {
		.shape = igrad_node_pool(pass->net, &pass->net->nodes[op->node], pass->batch),
		.dy = o->dy,
		.index = o->extra,
		.dx = o->dx,
	};

	return igrad_pool_backward(pass->cmdbuf, &args);
}

static int update(struct igrad_pass *pass, const struct igrad_matrix *w,
		  const struct igrad_matrix *dw, const struct igrad_matrix *v,
		  const struct igrad_matrix *s, const struct igrad_train_options *options)
{
	const struct igrad_parameter args = {
		.w = w,
		.dw = dw,
		.v = existing(v),
		.s = existing(s),
		.adam = is_adam(options) ? &pass->adam : NULL,
		.optimizer = options->optimizer,
	};

	return igrad_update(pass->cmdbuf, &args);
}

static int backward_batchnorm(struct igrad_pass *pass, const struct operands *o,
			      const struct igrad_layer *layer,
			      const struct igrad_train_options *options)
{
	const struct igrad_batchnorm_backward args = {
		.x = o->x,
		.gamma = &layer->w,
		.mean = o->extra,
		.inverse = o->extra2,
		.y = o->y,
		.dy = o->dy,
		.dx = o->dx,
		.dgamma = o->dw,
		.dbeta = o->db,
	};
	int err = igrad_batchnorm_backward(pass->cmdbuf, &args);

	if (!err)
		err = update(pass, &layer->w, o->dw, &layer->vw, &layer->sw, options);
	if (!err)
		err = update(pass, &layer->b, o->db, &layer->vb, &layer->sb, options);
	return err;
}

static int backward(struct igrad_pass *pass, const struct igrad_op *op, const struct operands *o,
		    const struct igrad_layer *layer, const struct igrad_train_options *options)
{
	switch (pass->net->nodes[op->node].d.kind) {
	case IGRAD_LAYER_LINEAR:
		return backward_linear(pass, o, layer, options);
	case IGRAD_LAYER_CONV:
		return backward_conv(pass, op, o, layer, options);
	case IGRAD_LAYER_POOL:
		return backward_pool(pass, op, o);
	case IGRAD_LAYER_BATCHNORM:
		return backward_batchnorm(pass, o, layer, options);
	case IGRAD_LAYER_RELU:
		return igrad_relu_backward(pass->cmdbuf, o->y, o->dy, o->dx);
	case IGRAD_LAYER_DROPOUT:
		return dropout(pass, op, o->dy, o->dx);
	default:
		return -EINVAL;
	}
}

/* ---------------------------------------------------------------- all */

int igrad_emit_op(struct igrad_pass *pass, const struct igrad_op *op,
		  const struct igrad_train_options *options)
{
	uint32_t index = pass->net->nodes[op->node].layer;
	const struct igrad_layer *layer = index == IGRAD_NONE ? NULL : &pass->net->layers[index];
	struct operands o;

	resolve(&o, pass, op);
	igrad_cmdbuf_set_tag(pass->cmdbuf, op->node);
	switch (op->action) {
	case IGRAD_ACT_FORWARD:
		return forward(pass, op, &o, layer, options);
	case IGRAD_ACT_BACKWARD:
		return backward(pass, op, &o, layer, options);
	case IGRAD_ACT_LOSS:
		return igrad_softmax_xent(pass->cmdbuf, o.x, &pass->labels, o.dx, &pass->losses,
					  1.0f / (float)pass->batch);
	case IGRAD_ACT_COPY:
		return igrad_copy(pass->cmdbuf, o.x, o.y);
	case IGRAD_ACT_SUM:
		return igrad_add(
			pass->cmdbuf,
			&(struct igrad_add){.a = o.x, .b = o.other, .y = o.y, .relu = op->relu});
	case IGRAD_ACT_RELU_GRAD:
		return igrad_relu_backward(pass->cmdbuf, o.y, o.dy, o.dx);
	}
	return -EINVAL;
}
