// SPDX-License-Identifier: MIT
/* The passes of layers: their operands, and the commands that the library makes of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cost.h"

/* ---------------------------------------------------------------- messages */

static struct igrad_conv_shape conv_shape(const struct layer *l)
{
	struct igrad_conv_shape shape = l->window;

	shape.batch = l->batch;
	shape.in = l->in;
	shape.out = l->out;
	return shape;
}

const char *layer_size(const struct layer *l, char text[LAYER_TEXT])
{
	const struct igrad_conv_shape *w = &l->window;
	int length = snprintf(text, LAYER_TEXT, "%u in, %u out", l->in, l->out);

	if (!is_conv(l))
		return text;
	length += snprintf(text + length, LAYER_TEXT - length, ", %u x %u on %u x %u", w->kernel_y,
			   w->kernel_x, w->height, w->width);
	if (w->stride_y != 1 || w->stride_x != 1)
		length += snprintf(text + length, LAYER_TEXT - length, " by %u x %u", w->stride_y,
				   w->stride_x);
	if (w->groups != 1)
		snprintf(text + length, LAYER_TEXT - length, ", %u groups", w->groups);
	return text;
}

const char *layer_text(const struct layer *l, char text[LAYER_TEXT])
{
	const struct igrad_conv_shape *w = &l->window;

	if (is_conv(l))
		snprintf(text, LAYER_TEXT, "convolution %u-%u, %u x %u on %u x %u, batch %u", l->in,
			 l->out, w->kernel_y, w->kernel_x, w->height, w->width, l->batch);
	else
		snprintf(text, LAYER_TEXT, "layer %u-%u, batch %u", l->in, l->out, l->batch);
	return text;
}

const char *refusal_text(int err)
{
	return err == -E2BIG	 ? "more than the million commands of a job"
	       : err == -ENOSPC	 ? "the device's SRAM is too small"
	       : err == -ENOTSUP ? "the library does not offer this"
				 : igrad_strerror(err);
}

static int explain(int err, const struct layer *l, const char *how, struct igrad_error *error)
{
	char text[LAYER_TEXT];

	return fail(error, err, "%s, %s: %s", layer_text(l, text), how, refusal_text(err));
}

/* ---------------------------------------------------------------- operands */

enum { X, W, B, Y, DY, DX, VW, VB, SW, SB, ADAM };

/* Each in a buffer of its own, whose memory nobody ever touches. */
struct operands {
	struct igrad_matrix m[NUM_OPERANDS];
};

/* Rows of x, of w and of y. */
struct sizes {
	uint32_t inputs, weights, outputs;
};

static int sizes_of(const struct layer *l, struct sizes *sizes)
{
	const struct igrad_conv_shape s = conv_shape(l);
	uint32_t height, width;
	uint64_t weights;

	*sizes = (struct sizes){l->batch, l->in, l->batch};
	if (!is_conv(l))
		return 0;
	if (igrad_conv_output(&s, &height, &width))
		return -EINVAL;
	weights = (uint64_t)s.kernel_y * s.kernel_x * (s.in / s.groups);
	if (weights > UINT32_MAX)
		return -EINVAL;
	*sizes = (struct sizes){s.batch * s.height * s.width, (uint32_t)weights,
				s.batch * height * width};
	return 0;
}

static void operands_fini(struct operands *operands)
{
	for (size_t i = 0; i < NUM_OPERANDS; i++)
		igrad_buffer_unref(operands->m[i].buffer);
}

static int operands_make(struct operands *o, struct simulator *sim, const struct placement *shapes)
{
	int err = 0;

	memset(o, 0, sizeof(*o));
	for (size_t i = 0; i < NUM_OPERANDS && !err; i++) {
		struct placement *p = &sim->placements[i];
		struct igrad_matrix *m = &o->m[i];

		*p = shapes[i];
		*m = (struct igrad_matrix){
			.rows = p->rows,
			.cols = p->cols,
			.dtype = p->width == 2 ? IGRAD_BF16 : IGRAD_FP32,
		};
		err = igrad_buffer_new(sim->device, (uint64_t)p->rows * p->cols * p->width,
				       &m->buffer);
		if (!err)
			p->va = igrad_buffer_va(m->buffer);
	}
	if (err)
		operands_fini(o);
	return err;
}

/* Activations and their gradients may be bf16; parameters, velocities and moments never are. */
static int operands_init(struct operands *o, struct simulator *sim, const struct layer *l,
			 const struct manner *manner, struct igrad_error *error)
{
	const uint32_t a = manner->bf16 ? 2 : 4, period = is_conv(l) ? l->in / l->window.groups : 0;
	char text[LAYER_TEXT];
	struct sizes n;

	if (is_conv(l) && manner->bf16)
		return fail(error, -ENOTSUP, "%s: convolutions are fp32", layer_text(l, text));
	if (sizes_of(l, &n))
		return fail(error, -EINVAL, "%s: is none, or larger than the device's windows",
			    layer_text(l, text));
	if (operands_make(o, sim,
			  (const struct placement[NUM_OPERANDS]){
				  [X] = {"x", 0, n.inputs, l->in, a},
				  [W] = {"w", 0, n.weights, l->out, 4, period},
				  [B] = {"b", 0, 1, l->out, 4},
				  [Y] = {"y", 0, n.outputs, l->out, a},
				  [DY] = {"dy", 0, n.outputs, l->out, a},
				  [DX] = {"dx", 0, n.inputs, l->in, a},
				  [VW] = {"vw", 0, n.weights, l->out, 4, period},
				  [VB] = {"vb", 0, 1, l->out, 4},
				  [SW] = {"sw", 0, n.weights, l->out, 4, period},
				  [SB] = {"sb", 0, 1, l->out, 4},
				  [ADAM] = {"adam", 0, 1, IGRAD_ADAM_WORDS, 4},
			  }))
		return fail(error, -ENOMEM,
			    "%s: its operands do not fit the device's address space",
			    layer_text(l, text));
	return 0;
}

/* ---------------------------------------------------------------- arguments */

static struct igrad_linear_backward
backward_args(const struct simulator *sim, const struct operands *o, const struct layer *layer,
	      const struct manner *manner, enum igrad_schedule schedule)
{
	bool adam = manner->optimizer.update == IGRAD_UPDATE_ADAM;
	bool moves = adam || manner->optimizer.update == IGRAD_UPDATE_MOMENTUM;

	return (struct igrad_linear_backward){
		.schedule = schedule,
		.x = &o->m[X],
		.w = &o->m[W],
		.b = layer->bias ? &o->m[B] : NULL,
		.y = layer->relu ? &o->m[Y] : NULL,
		.dy = &o->m[DY],
		.dx = layer->first ? NULL : &o->m[DX],
		.vw = moves ? &o->m[VW] : NULL,
		.vb = moves && layer->bias ? &o->m[VB] : NULL,
		.sw = adam ? &o->m[SW] : NULL,
		.sb = adam && layer->bias ? &o->m[SB] : NULL,
		.adam = adam ? &o->m[ADAM] : NULL,
		.optimizer = manner->optimizer,
		.objective = manner->objective,
		.energy = sim->table,
	};
}

static struct igrad_conv_backward conv_backward_args(const struct layer *layer,
						     const struct igrad_linear_backward *linear)
{
	return (struct igrad_conv_backward){
		.shape = conv_shape(layer),
		.schedule = linear->schedule,
		.x = linear->x,
		.w = linear->w,
		.b = linear->b,
		.y = linear->y,
		.dy = linear->dy,
		.dx = linear->dx,
		.vw = linear->vw,
		.vb = linear->vb,
		.sw = linear->sw,
		.sb = linear->sb,
		.adam = linear->adam,
		.optimizer = linear->optimizer,
		.objective = linear->objective,
		.energy = linear->energy,
	};
}

static struct igrad_linear_forward forward_args(const struct simulator *sim,
						const struct operands *o, const struct layer *layer,
						const struct manner *manner)
{
	return (struct igrad_linear_forward){
		.x = &o->m[X],
		.w = &o->m[W],
		.b = layer->bias ? &o->m[B] : NULL,
		.y = &o->m[Y],
		.relu = layer->relu,
		.objective = manner->objective,
		.energy = sim->table,
	};
}

static struct igrad_conv_forward conv_forward_args(const struct layer *layer,
						   const struct igrad_linear_forward *linear)
{
	return (struct igrad_conv_forward){
		.shape = conv_shape(layer),
		.x = linear->x,
		.w = linear->w,
		.b = linear->b,
		.y = linear->y,
		.relu = linear->relu,
		.objective = linear->objective,
		.energy = linear->energy,
	};
}

/* ---------------------------------------------------------------- passes */

static int emit_backward(struct simulator *sim, const struct layer *layer,
			 const struct igrad_linear_backward *args)
{
	const struct igrad_conv_backward conv = conv_backward_args(layer, args);

	return is_conv(layer) ? igrad_conv_backward(sim->cmdbuf, &conv)
			      : igrad_linear_backward(sim->cmdbuf, args);
}

static int emit_forward(struct simulator *sim, const struct layer *layer,
			const struct igrad_linear_forward *args)
{
	const struct igrad_conv_forward conv = conv_forward_args(layer, args);

	return is_conv(layer) ? igrad_conv_forward(sim->cmdbuf, &conv)
			      : igrad_linear_forward_for(sim->cmdbuf, args);
}

int simulator_backward(struct simulator *sim, const struct layer *layer,
		       const struct manner *manner, enum igrad_schedule schedule,
		       struct result *result, struct igrad_error *error)
{
	struct igrad_linear_backward args;
	struct operands o;
	int err = operands_init(&o, sim, layer, manner, error);

	if (err)
		return err;
	args = backward_args(sim, &o, layer, manner, schedule);
	*result = (struct result){.schedule = schedule};
	err = igrad_cmdbuf_reset(sim->cmdbuf);
	if (!err)
		err = emit_backward(sim, layer, &args);
	if (!err)
		err = simulator_execute(sim, result);
	operands_fini(&o);
	return err ? explain(err, layer, igrad_schedule_name(schedule), error) : 0;
}

int simulator_forward(struct simulator *sim, const struct layer *layer, const struct manner *manner,
		      struct result *result, struct igrad_error *error)
{
	struct igrad_linear_forward args;
	struct operands o;
	int err = operands_init(&o, sim, layer, manner, error);

	if (err)
		return err;
	args = forward_args(sim, &o, layer, manner);
	*result = (struct result){.forward = true};
	err = igrad_cmdbuf_reset(sim->cmdbuf);
	if (!err)
		err = emit_forward(sim, layer, &args);
	if (!err)
		err = simulator_execute(sim, result);
	operands_fini(&o);
	return err ? explain(err, layer, "forward", error) : 0;
}

int simulator_explain(struct simulator *sim, const struct settings *s, enum igrad_schedule schedule,
		      struct igrad_choice **choices, size_t *count, struct igrad_error *error)
{
	struct igrad_linear_backward backward;
	struct igrad_linear_forward forward;
	struct operands o;
	int err = operands_init(&o, sim, &s->layer, &s->manner, error);

	if (err)
		return err;
	backward = backward_args(sim, &o, &s->layer, &s->manner, schedule);
	forward = forward_args(sim, &o, &s->layer, &s->manner);
	err = s->forward ? igrad_linear_explain_forward(sim->device, &forward, choices, count)
			 : igrad_linear_explain(sim->device, &backward, choices, count);
	operands_fini(&o);
	return err ? explain(err, &s->layer, igrad_schedule_name(schedule), error) : 0;
}
