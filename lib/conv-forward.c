// SPDX-License-Identifier: MIT
/* A convolution's forward pass: weights stationary, images walked over, y summed up in SRAM. */
#include <errno.h>

#include "conv-plan.h"

struct forward {
	struct igrad_conv conv;
	const struct igrad_conv_forward *args;
	struct igrad_ring w;
	struct igrad_place bias;
	struct igrad_cut cut;
	uint32_t x[2]; /* addresses of slabs */
	uint32_t y[2];
};

/* Rows of input pixels that @rows rows of outputs look at, at most. */
static uint32_t input_rows(const struct igrad_conv *conv, uint32_t rows)
{
	const struct igrad_conv_shape *s = &conv->shape;
	uint64_t reach = (uint64_t)(rows - 1) * s->stride_y +
			 (uint64_t)(s->kernel_y - 1) * s->dilation_y + 1;

	return reach < s->height ? (uint32_t)reach : s->height;
}

static uint64_t x_bytes(const struct igrad_conv *conv, uint32_t images, uint32_t rows)
{
	uint32_t high = images > 1 ? conv->shape.height : input_rows(conv, rows);

	return (uint64_t)images * high * conv->shape.width * conv->shape.in * 4;
}

static uint64_t y_bytes(const struct igrad_conv *conv, uint32_t images, uint32_t rows)
{
	return (uint64_t)images * rows * conv->out_width * conv->shape.out * 4;
}

static uint64_t slab_bytes(const struct igrad_conv *conv, uint32_t images, uint32_t rows)
{
	return x_bytes(conv, images, rows) + y_bytes(conv, images, rows);
}

static void allocate(struct forward *f)
{
	struct igrad_conv *conv = &f->conv;

	if (f->args->b)
		f->bias =
			(struct igrad_place){igrad_conv_alloc(conv, (uint64_t)conv->shape.out * 4),
					     conv->shape.out * 4, IGRAD_FP32};
	igrad_ring_init(conv, &f->w, f->args->w, conv->plan.resident, conv->tile);
	if (conv->e.err)
		return;
	f->cut = igrad_conv_cut(conv, slab_bytes, conv->out_height);
	for (uint32_t i = 0; i < f->cut.slots && !conv->e.err; i++) {
		f->x[i] = igrad_conv_alloc(conv, x_bytes(conv, f->cut.images, f->cut.rows));
		f->y[i] = igrad_conv_alloc(conv, y_bytes(conv, f->cut.images, f->cut.rows));
	}
}

/* The input rows that the outputs of @slab look at; one, if they only see padding. */
static void set_inputs(const struct igrad_conv *conv, struct igrad_slab *slab)
{
	const struct igrad_conv_shape *s = &conv->shape;
	int64_t begin = (int64_t)slab->oy * s->stride_y - s->pad_top;
	int64_t end = begin + (int64_t)(slab->orows - 1) * s->stride_y +
		      (int64_t)(s->kernel_y - 1) * s->dilation_y + 1;

	begin = begin < 0 ? 0 : begin;
	begin = begin < s->height ? begin : s->height - 1;
	end = end > s->height ? s->height : end;
	end = end > begin ? end : begin + 1;
	slab->y = slab->images > 1 ? 0 : (uint32_t)begin;
	slab->rows = slab->images > 1 ? s->height : (uint32_t)(end - begin);
}

static void forward_tile(struct forward *f, const struct igrad_slab *slab,
			 const struct igrad_tap *tap, struct igrad_streams at, bool again)
{
	struct igrad_conv *conv = &f->conv;
	uint32_t outputs = igrad_slab_outputs(conv, slab), n;
	uint16_t add = tap->ky || tap->kx || tap->i ? IGRAD_FLAG_ADD : 0;
	struct igrad_place y = igrad_place_at(at.p, 0, tap->o);

	if (!again || !f->w.stays)
		igrad_ring_load(conv, &f->w, tap);
	igrad_emit_tile(&conv->e, IGRAD_OP_LOAD_W, 0, tap->size, igrad_ring_at(conv, &f->w, tap));
	at.x = igrad_place_at(at.x, 0, tap->i);
	for (uint32_t first = 0; first < outputs; first += n) {
		n = igrad_min(outputs - first, IGRAD_MAX_BATCH);
		at.p = igrad_place_at(y, first, 0);
		igrad_emit_walk(&conv->e, IGRAD_OP_FPROP, add | igrad_conv_flags(tap), tap->size, n,
				igrad_conv_walk(conv, slab, tap, first), &at);
	}
}

static void forward_slab(struct forward *f, const struct igrad_slab *slab, uint32_t number)
{
	struct igrad_conv *conv = &f->conv;
	uint32_t in = conv->shape.in, out = conv->shape.out, slot = number % f->cut.slots;
	struct igrad_size pixels = {igrad_slab_pixels(conv, slab), in};
	struct igrad_size outputs = {igrad_slab_outputs(conv, slab), out};
	struct igrad_streams at = {
		.x = {f->x[slot], in * 4, IGRAD_FP32},
		.p = {f->y[slot], out * 4, IGRAD_FP32},
	};
	struct igrad_tap tap;

	igrad_emit_load(&conv->e, f->args->x, igrad_slab_first_pixel(conv, slab), 0, pixels, at.x);
	igrad_conv_window(conv, slab);
	igrad_conv_first_tap(conv, &tap);
	do
		forward_tile(f, slab, &tap, at, number > 0);
	while (!conv->e.err && igrad_conv_next_tap(conv, &tap));
	if (f->args->b)
		igrad_emit_bias(&conv->e, outputs, at.p, f->bias);
	if (f->args->relu)
		igrad_emit_relu(&conv->e, outputs, at.p);
	igrad_emit_store(&conv->e, f->args->y, igrad_slab_first_output(conv, slab), 0, outputs,
			 at.p);
}

static void forward_slabs(struct forward *f)
{
	struct igrad_conv *conv = &f->conv;
	uint32_t number = 0;

	for (uint32_t image = 0; image < conv->shape.batch; image += f->cut.images) {
		for (uint32_t oy = 0; oy < conv->out_height && !conv->e.err; oy += f->cut.rows) {
			struct igrad_slab slab = {
				.image = image,
				.images = igrad_min(f->cut.images, conv->shape.batch - image),
				.oy = oy,
				.orows = igrad_min(f->cut.rows, conv->out_height - oy),
			};

			set_inputs(conv, &slab);
			forward_slab(f, &slab, number++);
		}
	}
}

static int build_slice(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_forward *args,
		       const struct igrad_conv_plan *plan)
{
	struct forward f = {.args = args};
	int err = igrad_conv_open(&f.conv, cmdbuf, &args->shape, plan);

	if (err)
		return err;
	igrad_conv_pack(&f.conv, true);
	allocate(&f);
	if (args->b && !f.conv.e.err)
		igrad_emit_load(&f.conv.e, args->b, 0, 0, (struct igrad_size){1, args->shape.out},
				f.bias);
	if (!f.conv.e.err)
		forward_slabs(&f);
	return f.conv.e.err;
}

int igrad_conv_forward_build(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_forward *args,
			     const struct igrad_conv_plan *plan)
{
	uint32_t out = args->shape.out, n;
	uint32_t width = igrad_conv_slice_width(out, igrad_sram_device(cmdbuf)->cols, plan->slices);
	int err = 0;

	for (uint32_t first = 0; first < out && !err; first += n) {
		struct igrad_conv_forward slice = *args;
		struct igrad_matrix w, b, y;

		n = igrad_min(width, out - first);
		slice.shape.out = n;
		slice.w = igrad_conv_slice(args->w, first, n, &w);
		slice.b = igrad_conv_slice(args->b, first, n, &b);
		slice.y = igrad_conv_slice(args->y, first, n, &y);
		err = build_slice(cmdbuf, &slice, plan);
	}
	return err;
}

static int check(const struct igrad_conv_forward *args)
{
	const struct igrad_conv_shape *s = &args->shape;
	uint32_t height, width;
	int err = igrad_conv_output(s, &height, &width);

	if (err)
		return err;
	if (!args->x || !args->w || !args->y ||
	    (unsigned int)args->objective >= IGRAD_NUM_OBJECTIVES)
		return -EINVAL;
	err = igrad_conv_check(args->x, (uint64_t)s->batch * s->height * s->width, s->in);
	if (!err)
		err = igrad_conv_check(
			args->w, (uint64_t)s->kernel_y * s->kernel_x * (s->in / s->groups), s->out);
	if (!err)
		err = igrad_conv_check(args->b, 1, s->out);
	if (!err)
		err = igrad_conv_check(args->y, (uint64_t)s->batch * height * width, s->out);
	return err;
}

int igrad_conv_forward(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_forward *args)
{
	uint32_t groups = args->shape.groups;
	int err = check(args);

	for (uint32_t g = 0; g < groups && !err; g++) {
		struct igrad_conv_forward part = *args;
		struct igrad_matrix x, w, b, y;

		part.shape.in /= groups;
		part.shape.out /= groups;
		part.shape.groups = 1;
		part.x = igrad_conv_columns(args->x, g, groups, &x);
		part.w = igrad_conv_columns(args->w, g, groups, &w);
		part.b = igrad_conv_columns(args->b, g, groups, &b);
		part.y = igrad_conv_columns(args->y, g, groups, &y);
		err = igrad_conv_do(cmdbuf, &(struct igrad_conv_task){.forward = &part});
	}
	return err;
}
