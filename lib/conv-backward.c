// SPDX-License-Identifier: MIT
/*
 * A convolution's backward pass. W is stationary and dY is streamed for dX, which is scattered to
 * the pixels that an output has seen; the same stream of dY, with x, gives dW, in the array.
 */
#include <errno.h>

#include "cmdbuf.h"
#include "conv.h"

/* Vectors with an element per out-channel: the bias, its sum, and its moments. */
struct biases {
	struct igrad_place b;
	struct igrad_place sum;
	struct igrad_place second;
};

struct backward {
	struct igrad_conv conv;
	const struct igrad_conv_backward *args;
	struct igrad_step step;
	bool updates;
	bool momentum;
	bool adam;
	bool fused;
	struct igrad_ring w;
	struct igrad_ring acc; /* sums of dW, or velocities */
	struct igrad_ring first_moment;
	struct igrad_ring second_moment;
	struct biases bias;
	struct igrad_place constants;
	struct igrad_cut cut;
	uint32_t x[2]; /* addresses of slabs */
	uint32_t dx[2];
	uint32_t dy[2];
	uint32_t y[2];
	bool begins; /* the slab is the batch's first */
	bool ends;   /* its last */
};

/* ---------------------------------------------------------------- slabs */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * Outputs with a tap on rows @y … @y + @rows - 1 of inputs. Those of neighbouring slabs meet, and
 * may overlap.
 */
static void set_outputs(const struct igrad_conv *conv, struct igrad_slab *slab)
{
	const struct igrad_conv_shape *s = &conv->shape;
	int64_t reach = (int64_t)(s->kernel_y - 1) * s->dilation_y;
	int64_t begin = floor_div((int64_t)slab->y + s->pad_top - reach + s->stride_y - 1,
				  s->stride_y);
	int64_t end = floor_div((int64_t)slab->y + slab->rows - 1 + s->pad_top, s->stride_y) + 1;

	begin = begin < 0 || slab->y == 0 ? 0 : begin;
	end = end > conv->out_height || slab->y + slab->rows == s->height ? conv->out_height : end;
	if (begin >= end) { /* nobody looks at these rows; one output does no harm */
		begin = begin < conv->out_height ? begin : conv->out_height - 1;
		end = begin + 1;
	}
	slab->oy = (uint32_t)begin;
	slab->orows = (uint32_t)(end - begin);
}

static uint32_t output_rows(const struct igrad_conv *conv, uint32_t rows)
{
	const struct igrad_conv_shape *s = &conv->shape;
	uint64_t reach = (uint64_t)(s->kernel_y - 1) * s->dilation_y;
	uint64_t most = (rows + reach) / s->stride_y + 2 + s->pad_top / s->stride_y +
			s->pad_bottom / s->stride_y;

	return rows < s->height && most < conv->out_height ? (uint32_t)most : conv->out_height;
}

static uint64_t input_bytes(const struct igrad_conv *conv, uint32_t images, uint32_t rows)
{
	return (uint64_t)images * rows * conv->shape.width * conv->shape.in * 4;
}

static uint64_t output_bytes(const struct igrad_conv *conv, uint32_t images, uint32_t rows)
{
	return (uint64_t)images * output_rows(conv, rows) * conv->out_width * conv->shape.out * 4;
}

/* As if there were all of x, dX, dY and y. */
static uint64_t slab_bytes(const struct igrad_conv *conv, uint32_t images, uint32_t rows)
{
	return 2 * input_bytes(conv, images, rows) + 2 * output_bytes(conv, images, rows);
}

/* ---------------------------------------------------------------- SRAM */

static struct igrad_place vector(struct backward *bw, uint32_t cols)
{
	return (struct igrad_place){igrad_conv_alloc(&bw->conv, (uint64_t)cols * 4), cols * 4,
				    IGRAD_FP32};
}

static void allocate_slabs(struct backward *bw)
{
	struct igrad_conv *conv = &bw->conv;
	uint32_t images, rows;

	bw->cut = igrad_conv_cut(conv, slab_bytes, conv->shape.height);
	images = bw->cut.images;
	rows = bw->cut.rows;
	for (uint32_t i = 0; i < bw->cut.slots && !conv->e.err; i++) {
		bw->x[i] = igrad_conv_alloc(conv, input_bytes(conv, images, rows));
		bw->dy[i] = igrad_conv_alloc(conv, output_bytes(conv, images, rows));
		if (bw->args->dx)
			bw->dx[i] = igrad_conv_alloc(conv, input_bytes(conv, images, rows));
		if (bw->args->y)
			bw->y[i] = igrad_conv_alloc(conv, output_bytes(conv, images, rows));
	}
}

static void allocate(struct backward *bw)
{
	const struct igrad_conv_backward *args = bw->args;
	struct igrad_conv *conv = &bw->conv;

	bw->bias.b = vector(bw, conv->shape.out);
	bw->bias.sum = vector(bw, conv->shape.out);
	if (bw->adam) {
		bw->bias.second = vector(bw, 2 * conv->shape.out);
		bw->constants = vector(bw, IGRAD_ADAM_WORDS);
		igrad_ring_init(conv, &bw->first_moment, args->vw, 8);
		igrad_ring_init(conv, &bw->second_moment, args->sw, 8);
	}
	igrad_ring_init(conv, &bw->w, args->w, 6);
	igrad_ring_init(conv, &bw->acc, bw->momentum ? args->vw : args->dw, 6);
	if (!conv->e.err)
		allocate_slabs(bw);
}

/* ---------------------------------------------------------------- sums of weights */

static bool loads(const struct backward *bw, const struct igrad_ring *ring)
{
	return bw->begins || !igrad_ring_stays(&bw->conv, ring);
}

static void tile_command(struct backward *bw, enum igrad_opcode op, const struct igrad_ring *ring,
			 const struct igrad_tap *tap)
{
	igrad_emit_tile(&bw->conv.e, op, 0, tap->size, igrad_ring_at(&bw->conv, ring, tap));
}

/* Make acc go on where the last slab left it; returns the flag that says so. */
static uint16_t resume_acc(struct backward *bw, const struct igrad_tap *tap)
{
	if (bw->begins && !bw->momentum)
		return 0;
	if (loads(bw, &bw->acc))
		igrad_ring_load(&bw->conv, &bw->acc, tap);
	tile_command(bw, IGRAD_OP_LOAD_ACC, &bw->acc, tap);
	if (bw->begins)
		igrad_emit_scale_acc(&bw->conv.e, tap->size, bw->args->optimizer.momentum);
	return IGRAD_FLAG_KEEP;
}

static void update_adam(struct backward *bw, const struct igrad_tap *tap)
{
	struct igrad_conv *conv = &bw->conv;

	igrad_ring_load(conv, &bw->first_moment, tap);
	igrad_ring_load(conv, &bw->second_moment, tap);
	igrad_emit_adam(&conv->e, tap->size,
			&(struct igrad_adam){
				.w = igrad_ring_at(conv, &bw->w, tap),
				.m = igrad_ring_at(conv, &bw->first_moment, tap),
				.v = igrad_ring_at(conv, &bw->second_moment, tap),
				.dw = igrad_ring_at(conv, &bw->acc, tap),
				.constants = bw->constants,
				.decay = bw->step.decay,
			});
	igrad_ring_store(conv, &bw->first_moment, tap);
	igrad_ring_store(conv, &bw->second_moment, tap);
}

static void finish_acc(struct backward *bw, const struct igrad_tap *tap)
{
	struct igrad_conv *conv = &bw->conv;
	bool wanted = bw->momentum || bw->args->dw;

	if (bw->fused) {
		igrad_emit_update(&conv->e, tap->size, &bw->step);
		tile_command(bw, IGRAD_OP_DRAIN_W, &bw->w, tap);
	}
	if (!bw->fused || wanted)
		tile_command(bw, IGRAD_OP_DRAIN_ACC, &bw->acc, tap);
	if (bw->adam)
		update_adam(bw, tap);
	else if (bw->updates && !bw->fused)
		igrad_emit_sgd(&conv->e, tap->size, &bw->step, igrad_ring_at(conv, &bw->w, tap),
			       igrad_ring_at(conv, &bw->acc, tap));
	if (wanted)
		igrad_ring_store(conv, &bw->acc, tap);
	if (bw->updates)
		igrad_ring_store(conv, &bw->w, tap);
}

static void retire_acc(struct backward *bw, const struct igrad_tap *tap)
{
	if (bw->ends) {
		finish_acc(bw, tap);
		return;
	}
	tile_command(bw, IGRAD_OP_DRAIN_ACC, &bw->acc, tap);
	if (!igrad_ring_stays(&bw->conv, &bw->acc))
		igrad_ring_store(&bw->conv, &bw->acc, tap);
}

/* ---------------------------------------------------------------- tiles */

/* Outputs of a slab whose tap is on one of its rows, where that is known: of one image. */
struct range {
	uint32_t begin;
	uint32_t end;
};

static struct range outputs_of(const struct igrad_conv *conv, const struct igrad_slab *slab,
			       const struct igrad_tap *tap)
{
	struct igrad_walk walk = igrad_conv_walk(conv, slab, tap, 0);
	int64_t stride = conv->shape.stride_y;
	int64_t begin = floor_div(-walk.tap_y + stride - 1, stride);
	int64_t end = floor_div((int64_t)slab->rows - 1 - walk.tap_y, stride) + 1;
	struct range all = {0, igrad_slab_outputs(conv, slab)};

	begin = begin < 0 ? 0 : begin;
	end = end > slab->orows ? slab->orows : end;
	if (slab->images > 1)
		return all;
	if (begin >= end) /* none: acc has to begin and to end all the same */
		return (struct range){0, 1};
	return (struct range){(uint32_t)begin * conv->out_width, (uint32_t)end * conv->out_width};
}

static void stream(struct backward *bw, enum igrad_opcode op, uint16_t keep,
		   const struct igrad_slab *slab, const struct igrad_tap *tap,
		   struct igrad_streams at)
{
	struct igrad_conv *conv = &bw->conv;
	struct range outputs = outputs_of(conv, slab, tap);
	struct igrad_place g = igrad_place_at(at.g, 0, tap->o);
	uint16_t flags = op == IGRAD_OP_WGRAD ? 0 : IGRAD_FLAG_ADD;
	uint32_t n;

	at.x = igrad_place_at(at.x, 0, tap->i);
	at.p = igrad_place_at(at.p, 0, tap->i);
	for (uint32_t first = outputs.begin; first < outputs.end; first += n) {
		n = igrad_min(outputs.end - first, IGRAD_MAX_BATCH);
		at.g = igrad_place_at(g, first, 0);
		igrad_emit_walk(&conv->e, op, flags | (op == IGRAD_OP_DGRAD ? 0 : keep), tap->size,
				n, igrad_conv_walk(conv, slab, tap, first), &at);
		keep = IGRAD_FLAG_KEEP;
	}
}

static void backward_tile(struct backward *bw, const struct igrad_slab *slab,
			  const struct igrad_tap *tap, struct igrad_streams at)
{
	bool dx = bw->args->dx, both = dx && bw->args->schedule == IGRAD_SCHEDULE_INTERLEAVED;
	bool needs_w = dx || (bw->updates && bw->ends);
	uint16_t keep;

	if (needs_w && (loads(bw, &bw->w) || (!dx && bw->ends)))
		igrad_ring_load(&bw->conv, &bw->w, tap);
	if (dx || (bw->fused && bw->ends))
		tile_command(bw, IGRAD_OP_LOAD_W, &bw->w, tap);
	if (dx && !both)
		stream(bw, IGRAD_OP_DGRAD, 0, slab, tap, at);
	keep = resume_acc(bw, tap);
	stream(bw, both ? IGRAD_OP_INTERLEAVED : IGRAD_OP_WGRAD, keep, slab, tap, at);
	retire_acc(bw, tap);
}

/* ---------------------------------------------------------------- biases */

static void load_biases(struct backward *bw)
{
	const struct igrad_conv_backward *args = bw->args;
	struct igrad_size size = {1, bw->conv.shape.out};
	struct igrad_emitter *e = &bw->conv.e;

	if (bw->adam)
		igrad_emit_load(e, args->adam, 0, 0, (struct igrad_size){1, IGRAD_ADAM_WORDS},
				bw->constants);
	if (!args->b || !bw->updates)
		return;
	igrad_emit_load(e, args->b, 0, 0, size, bw->bias.b);
	if (bw->momentum) {
		igrad_emit_load(e, args->vb, 0, 0, size, bw->bias.sum);
		igrad_emit_scale(e, size, args->optimizer.momentum, bw->bias.sum);
	}
}

/* Of the outputs of @slab those that no slab before it has had: @done rows of its image. */
static void sum_biases(struct backward *bw, const struct igrad_slab *slab, uint32_t done,
		       struct igrad_place dy)
{
	struct igrad_conv *conv = &bw->conv;
	uint32_t skipped = done > slab->oy ? (done - slab->oy) * conv->out_width : 0;
	struct igrad_size size = {igrad_slab_outputs(conv, slab), conv->shape.out};
	bool wanted = bw->args->db || (bw->args->b && bw->updates);

	if (!wanted || skipped >= size.rows)
		return;
	size.rows -= skipped;
	igrad_emit_colsum(&conv->e, bw->begins && !bw->momentum ? 0 : IGRAD_FLAG_KEEP, size,
			  igrad_place_at(dy, skipped, 0), bw->bias.sum);
}

static void bias_adam(struct backward *bw, struct igrad_size size)
{
	const struct igrad_conv_backward *args = bw->args;
	struct igrad_place m = bw->bias.second, v = igrad_place_at(m, 0, size.cols);
	struct igrad_emitter *e = &bw->conv.e;

	igrad_emit_load(e, args->vb, 0, 0, size, m);
	igrad_emit_load(e, args->sb, 0, 0, size, v);
	igrad_emit_adam(e, size,
			&(struct igrad_adam){
				.w = bw->bias.b,
				.m = m,
				.v = v,
				.dw = bw->bias.sum,
				.constants = bw->constants,
				.decay = bw->step.decay,
			});
	igrad_emit_store(e, args->vb, 0, 0, size, m);
	igrad_emit_store(e, args->sb, 0, 0, size, v);
}

static void finish_biases(struct backward *bw)
{
	const struct igrad_conv_backward *args = bw->args;
	struct igrad_size size = {1, bw->conv.shape.out};
	struct igrad_emitter *e = &bw->conv.e;

	if (args->b && bw->updates) {
		if (bw->adam)
			bias_adam(bw, size);
		else
			igrad_emit_sgd(e, size, &bw->step, bw->bias.b, bw->bias.sum);
		igrad_emit_store(e, args->b, 0, 0, size, bw->bias.b);
		if (bw->momentum)
			igrad_emit_store(e, args->vb, 0, 0, size, bw->bias.sum);
	}
	if (args->db)
		igrad_emit_store(e, args->db, 0, 0, size, bw->bias.sum);
}

/* ---------------------------------------------------------------- slab after slab */

static void bring_in(struct backward *bw, const struct igrad_slab *slab, uint32_t slot,
		     const struct igrad_streams *at)
{
	struct igrad_conv *conv = &bw->conv;
	struct igrad_size pixels = {igrad_slab_pixels(conv, slab), conv->shape.in};
	struct igrad_size outputs = {igrad_slab_outputs(conv, slab), conv->shape.out};
	uint32_t pixel = igrad_slab_first_pixel(conv, slab);
	uint32_t output = igrad_slab_first_output(conv, slab);

	igrad_emit_load(&conv->e, bw->args->dy, output, 0, outputs, at->g);
	if (bw->args->y) {
		struct igrad_place y = {bw->y[slot], at->g.pitch, IGRAD_FP32};

		igrad_emit_load(&conv->e, bw->args->y, output, 0, outputs, y);
		igrad_emit_relu_grad(&conv->e, outputs, y, at->g);
	}
	igrad_emit_load(&conv->e, bw->args->x, pixel, 0, pixels, at->x);
	if (bw->args->dx) /* there may be pixels that no output looks at */
		igrad_emit_fill(&conv->e, pixels, 0.0f, at->p);
}

static void backward_slab(struct backward *bw, const struct igrad_slab *slab, uint32_t number,
			  uint32_t done)
{
	struct igrad_conv *conv = &bw->conv;
	uint32_t slot = number % bw->cut.slots;
	struct igrad_streams at = {
		.x = {bw->x[slot], conv->shape.in * 4, IGRAD_FP32},
		.g = {bw->dy[slot], conv->shape.out * 4, IGRAD_FP32},
		.p = {bw->dx[slot], conv->shape.in * 4, IGRAD_FP32},
	};
	struct igrad_tap tap;

	bring_in(bw, slab, slot, &at);
	sum_biases(bw, slab, done, at.g);
	igrad_conv_window(conv, slab);
	igrad_conv_first_tap(conv, &tap);
	do
		backward_tile(bw, slab, &tap, at);
	while (!conv->e.err && igrad_conv_next_tap(conv, &tap));
	if (bw->args->dx)
		igrad_emit_store(&conv->e, bw->args->dx, igrad_slab_first_pixel(conv, slab), 0,
				 (struct igrad_size){igrad_slab_pixels(conv, slab), conv->shape.in},
				 at.p);
}

static void backward_slabs(struct backward *bw)
{
	struct igrad_conv *conv = &bw->conv;
	uint32_t batch = conv->shape.batch, height = conv->shape.height, number = 0;

	for (uint32_t image = 0; image < batch; image += bw->cut.images) {
		uint32_t done = 0;

		for (uint32_t y = 0; y < height && !conv->e.err; y += bw->cut.rows) {
			struct igrad_slab slab = {
				.image = image,
				.images = igrad_min(bw->cut.images, batch - image),
				.y = y,
				.rows = igrad_min(bw->cut.rows, height - y),
			};

			set_outputs(conv, &slab);
			bw->begins = !image && !y;
			bw->ends = image + slab.images == batch && y + slab.rows == height;
			backward_slab(bw, &slab, number++, done);
			done = slab.oy + slab.orows;
		}
	}
}

/* ---------------------------------------------------------------- the entry point */

/* Sums that nobody asked for, where they do not fit SRAM, need a place between slabs. */
static bool spills(const struct backward *bw)
{
	const struct igrad_conv_shape *s = &bw->conv.shape;

	return !bw->acc.home && !igrad_ring_stays(&bw->conv, &bw->acc) &&
	       (bw->cut.images < s->batch || bw->cut.rows < s->height);
}

static void new_spill(struct backward *bw, struct igrad_matrix *spill)
{
	*spill = *bw->args->w;
	spill->offset = 0;
	spill->pitch = 0;
	bw->conv.e.err = igrad_buffer_new(bw->conv.e.cmdbuf->device,
					  (uint64_t)spill->rows * spill->cols * 4, &spill->buffer);
	bw->acc.home = spill;
}

static int backward_group(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_backward *args)
{
	const struct igrad_optimizer *optimizer = &args->optimizer;
	struct backward bw = {
		.args = args,
		.updates = optimizer->update != IGRAD_UPDATE_NONE,
		.momentum = optimizer->update == IGRAD_UPDATE_MOMENTUM,
		.adam = optimizer->update == IGRAD_UPDATE_ADAM,
		.step = igrad_step_of(optimizer),
	};
	struct igrad_matrix spill = {.buffer = NULL};
	int err = igrad_conv_open(&bw.conv, cmdbuf, &args->shape);

	bw.fused = args->schedule == IGRAD_SCHEDULE_INTERLEAVED && bw.updates && !bw.adam;
	if (err)
		return err;
	allocate(&bw);
	if (!bw.conv.e.err && spills(&bw))
		new_spill(&bw, &spill);
	if (!bw.conv.e.err) {
		load_biases(&bw);
		backward_slabs(&bw);
		finish_biases(&bw);
	}
	igrad_buffer_unref(spill.buffer);
	return bw.conv.e.err;
}

static int check_operands(const struct igrad_conv_backward *args)
{
	bool adam = args->optimizer.update == IGRAD_UPDATE_ADAM;
	bool momentum = args->optimizer.update == IGRAD_UPDATE_MOMENTUM;

	if (!args->x || !args->w || !args->dy)
		return -EINVAL;
	if ((unsigned int)args->optimizer.update > IGRAD_UPDATE_ADAM)
		return -EINVAL;
	if (args->optimizer.update == IGRAD_UPDATE_NONE && !args->dw)
		return -EINVAL;
	if (momentum && (args->dw || args->db))
		return -EINVAL;
	if ((adam || momentum) && (!args->vw || (args->b && !args->vb)))
		return -EINVAL;
	if (adam && (!args->sw || (args->b && !args->sb) || !args->adam))
		return -EINVAL;
	if (args->schedule != IGRAD_SCHEDULE_WS_OS && args->schedule != IGRAD_SCHEDULE_INTERLEAVED)
		return (unsigned int)args->schedule < IGRAD_NUM_SCHEDULES ? -ENOTSUP : -EINVAL;
	return 0;
}

static int check_sizes(const struct igrad_conv_backward *args)
{
	const struct igrad_conv_shape *s = &args->shape;
	uint64_t taps = (uint64_t)s->kernel_y * s->kernel_x * (s->in / s->groups);
	uint64_t pixels = (uint64_t)s->batch * s->height * s->width;
	const struct igrad_matrix *inputs[] = {args->x, args->dx};
	const struct igrad_matrix *weights[] = {args->w, args->dw, args->vw, args->sw};
	const struct igrad_matrix *biases[] = {args->b, args->db, args->vb, args->sb};
	const struct igrad_matrix *outputs[] = {args->dy, args->y};
	uint32_t height, width;
	int err = igrad_conv_output(s, &height, &width);

	for (size_t i = 0; i < 2 && !err; i++)
		err = igrad_conv_check(inputs[i], pixels, s->in);
	for (size_t i = 0; i < 4 && !err; i++)
		err = igrad_conv_check(weights[i], taps, s->out);
	for (size_t i = 0; i < 4 && !err; i++)
		err = igrad_conv_check(biases[i], 1, s->out);
	for (size_t i = 0; i < 2 && !err; i++)
		err = igrad_conv_check(outputs[i], (uint64_t)s->batch * height * width, s->out);
	return err ? err : igrad_conv_check(args->adam, 1, IGRAD_ADAM_WORDS);
}

int igrad_conv_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_backward *args)
{
	uint32_t groups = args->shape.groups;
	int err = check_operands(args);

	if (!err)
		err = groups ? check_sizes(args) : -EINVAL;
	for (uint32_t g = 0; g < groups && !err; g++) {
		struct igrad_conv_backward part = *args;
		struct igrad_matrix m[12];

		part.shape.in /= groups;
		part.shape.out /= groups;
		part.shape.groups = 1;
		part.x = igrad_conv_columns(args->x, g, groups, &m[0]);
		part.w = igrad_conv_columns(args->w, g, groups, &m[1]);
		part.b = igrad_conv_columns(args->b, g, groups, &m[2]);
		part.y = igrad_conv_columns(args->y, g, groups, &m[3]);
		part.dy = igrad_conv_columns(args->dy, g, groups, &m[4]);
		part.dx = igrad_conv_columns(args->dx, g, groups, &m[5]);
		part.dw = igrad_conv_columns(args->dw, g, groups, &m[6]);
		part.db = igrad_conv_columns(args->db, g, groups, &m[7]);
		part.vw = igrad_conv_columns(args->vw, g, groups, &m[8]);
		part.vb = igrad_conv_columns(args->vb, g, groups, &m[9]);
		part.sw = igrad_conv_columns(args->sw, g, groups, &m[10]);
		part.sb = igrad_conv_columns(args->sb, g, groups, &m[11]);
		err = backward_group(cmdbuf, &part);
	}
	return err;
}
