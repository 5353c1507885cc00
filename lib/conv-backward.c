// SPDX-License-Identifier: MIT
/*
 * A convolution's backward pass: what all schedules share. Slabs come in channel by channel, as
 * they are asked for, the next one while this one is worked on.
 */
#include <errno.h>

#include "cmdbuf.h"
#include "conv-backward.h"

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

static uint64_t bytes_of(const struct igrad_conv *conv, uint32_t images, uint32_t rows)
{
	const struct igrad_conv_pass *pass = (const struct igrad_conv_pass *)conv;

	return (pass->args->dx ? 2 : 1) * input_bytes(conv, images, rows) +
	       (pass->args->y ? 2 : 1) * output_bytes(conv, images, rows);
}

/* ---------------------------------------------------------------- SRAM */

static struct igrad_place vector(struct igrad_conv_pass *pass, uint32_t cols)
{
	return (struct igrad_place){igrad_conv_alloc(&pass->conv, (uint64_t)cols * 4), cols * 4,
				    IGRAD_FP32};
}

static void allocate_slabs(struct igrad_conv_pass *pass)
{
	struct igrad_conv *conv = &pass->conv;
	uint32_t images, rows;

	pass->cut = igrad_conv_cut(conv, bytes_of, conv->shape.height);
	images = pass->cut.images;
	rows = pass->cut.rows;
	for (uint32_t i = 0; i < pass->cut.slots && !conv->e.err; i++) {
		uint32_t *slot = pass->slots[i];

		slot[0] = igrad_conv_alloc(conv, input_bytes(conv, images, rows));
		slot[2] = igrad_conv_alloc(conv, output_bytes(conv, images, rows));
		if (pass->args->dx)
			slot[1] = igrad_conv_alloc(conv, input_bytes(conv, images, rows));
		if (pass->args->y)
			slot[3] = igrad_conv_alloc(conv, output_bytes(conv, images, rows));
	}
}

static bool weight_stationary(const struct igrad_conv_pass *pass)
{
	return pass->conv.plan.schedule <= IGRAD_SCHEDULE_WS;
}

static void allocate(struct igrad_conv_pass *pass)
{
	const struct igrad_conv_backward *args = pass->args;
	struct igrad_conv *conv = &pass->conv;
	bool stays = conv->plan.resident;
	struct igrad_size tile;

	if (!weight_stationary(pass))
		igrad_conv_pack(conv, true); /* the largest tiles that there will be */
	tile = conv->tile;
	pass->bias.b = vector(pass, conv->shape.out);
	pass->bias.sum = vector(pass, conv->shape.out);
	if (pass->adam) {
		pass->bias.second = vector(pass, 2 * conv->shape.out);
		pass->constants = vector(pass, IGRAD_ADAM_WORDS);
		igrad_ring_init(conv, &pass->first_moment, args->vw, false, tile);
		igrad_ring_init(conv, &pass->second_moment, args->sw, false, tile);
	}
	igrad_ring_init(conv, &pass->w, args->w, stays, tile);
	pass->acc.home = pass->momentum ? args->vw : args->dw;
	if (weight_stationary(pass))
		pass->block = igrad_conv_alloc(conv, igrad_conv_block_bytes(conv));
	else
		igrad_ring_init(conv, &pass->acc, pass->acc.home, stays, tile);
	if (!conv->e.err)
		allocate_slabs(pass);
}

/* ---------------------------------------------------------------- weights */

void igrad_conv_needs_w(struct igrad_conv_pass *pass, const struct igrad_tap *tap, bool first)
{
	if (first || !pass->w.stays)
		igrad_ring_load(&pass->conv, &pass->w, tap);
}

static void update_adam(struct igrad_conv_pass *pass, const struct igrad_tap *tap,
			struct igrad_place dw)
{
	struct igrad_conv *conv = &pass->conv;

	igrad_ring_load(conv, &pass->first_moment, tap);
	igrad_ring_load(conv, &pass->second_moment, tap);
	igrad_emit_adam(&conv->e, tap->size,
			&(struct igrad_adam){
				.w = igrad_ring_at(conv, &pass->w, tap),
				.m = igrad_ring_at(conv, &pass->first_moment, tap),
				.v = igrad_ring_at(conv, &pass->second_moment, tap),
				.dw = dw,
				.constants = pass->constants,
				.decay = pass->step.decay,
			});
	igrad_ring_store(conv, &pass->first_moment, tap);
	igrad_ring_store(conv, &pass->second_moment, tap);
}

void igrad_conv_update(struct igrad_conv_pass *pass, const struct igrad_tap *tap,
		       struct igrad_place dw)
{
	struct igrad_conv *conv = &pass->conv;

	if (pass->adam)
		update_adam(pass, tap, dw);
	else if (pass->updates && !pass->fused)
		igrad_emit_sgd(&conv->e, tap->size, &pass->step, igrad_ring_at(conv, &pass->w, tap),
			       dw);
	if (pass->momentum || pass->args->dw)
		igrad_conv_store_part(conv, pass->acc.home, tap, dw);
	if (pass->updates)
		igrad_ring_store(conv, &pass->w, tap);
}

/* ---------------------------------------------------------------- biases */

static void load_biases(struct igrad_conv_pass *pass)
{
	const struct igrad_conv_backward *args = pass->args;
	struct igrad_size size = {1, pass->conv.shape.out};
	struct igrad_emitter *e = &pass->conv.e;

	if (pass->adam)
		igrad_emit_load(e, args->adam, 0, 0, (struct igrad_size){1, IGRAD_ADAM_WORDS},
				pass->constants);
	if (!args->b || !pass->updates)
		return;
	igrad_emit_load(e, args->b, 0, 0, size, pass->bias.b);
	if (pass->momentum) {
		igrad_emit_load(e, args->vb, 0, 0, size, pass->bias.sum);
		igrad_emit_scale(e, size, args->optimizer.momentum, pass->bias.sum);
	}
}

/* Of the outputs of @s those that no slab before it has had, for some channels. */
static void sum_biases(struct igrad_conv_pass *pass, const struct igrad_conv_slab *s, uint32_t o,
		       uint32_t n)
{
	struct igrad_conv *conv = &pass->conv;
	uint32_t again = s->seen > s->slab.oy ? s->seen - s->slab.oy : 0;
	uint32_t skipped = again * conv->out_width;
	struct igrad_size size = {igrad_slab_outputs(conv, &s->slab), n};
	bool wanted = pass->args->db || (pass->args->b && pass->updates);

	if (!wanted || skipped >= size.rows)
		return;
	size.rows -= skipped;
	igrad_emit_colsum(&conv->e, s->begins && !pass->momentum ? 0 : IGRAD_FLAG_KEEP, size,
			  igrad_place_at(s->dy, skipped, o), igrad_place_at(pass->bias.sum, 0, o));
}

static void bias_adam(struct igrad_conv_pass *pass, struct igrad_size size)
{
	const struct igrad_conv_backward *args = pass->args;
	struct igrad_place m = pass->bias.second, v = igrad_place_at(m, 0, size.cols);
	struct igrad_emitter *e = &pass->conv.e;

	igrad_emit_load(e, args->vb, 0, 0, size, m);
	igrad_emit_load(e, args->sb, 0, 0, size, v);
	igrad_emit_adam(e, size,
			&(struct igrad_adam){
				.w = pass->bias.b,
				.m = m,
				.v = v,
				.dw = pass->bias.sum,
				.constants = pass->constants,
				.decay = pass->step.decay,
			});
	igrad_emit_store(e, args->vb, 0, 0, size, m);
	igrad_emit_store(e, args->sb, 0, 0, size, v);
}

static void finish_biases(struct igrad_conv_pass *pass)
{
	const struct igrad_conv_backward *args = pass->args;
	struct igrad_size size = {1, pass->conv.shape.out};
	struct igrad_emitter *e = &pass->conv.e;

	if (args->b && pass->updates) {
		if (pass->adam)
			bias_adam(pass, size);
		else
			igrad_emit_sgd(e, size, &pass->step, pass->bias.b, pass->bias.sum);
		igrad_emit_store(e, args->b, 0, 0, size, pass->bias.b);
		if (pass->momentum)
			igrad_emit_store(e, args->vb, 0, 0, size, pass->bias.sum);
	}
	if (args->db)
		igrad_emit_store(e, args->db, 0, 0, size, pass->bias.sum);
}

/* ---------------------------------------------------------------- slabs come and go */

/* Channels from @at on that move at once: as many as a tile has. */
static uint32_t strip(uint32_t tile, uint32_t at, uint32_t channels)
{
	return igrad_min(tile, channels - at);
}

static void bring_dy(struct igrad_conv_pass *pass, struct igrad_conv_slab *s)
{
	struct igrad_conv *conv = &pass->conv;
	uint32_t o = s->have_dy, n = strip(conv->tile.cols, o, conv->shape.out);
	uint32_t output = igrad_slab_first_output(conv, &s->slab);
	struct igrad_size size = {igrad_slab_outputs(conv, &s->slab), n};
	struct igrad_place dy = igrad_place_at(s->dy, 0, o), y = igrad_place_at(s->y, 0, o);

	igrad_emit_load(&conv->e, pass->args->dy, output, o, size, dy);
	if (pass->args->y) {
		igrad_emit_load(&conv->e, pass->args->y, output, o, size, y);
		igrad_emit_relu_grad(&conv->e, size, y, dy);
	}
	sum_biases(pass, s, o, n);
	s->have_dy += n;
}

static void bring_x(struct igrad_conv_pass *pass, struct igrad_conv_slab *s)
{
	struct igrad_conv *conv = &pass->conv;
	uint32_t i = s->have_x, n = strip(conv->tile.rows, i, conv->shape.in);

	igrad_emit_load(&conv->e, pass->args->x, igrad_slab_first_pixel(conv, &s->slab), i,
			(struct igrad_size){igrad_slab_pixels(conv, &s->slab), n},
			igrad_place_at(s->x, 0, i));
	s->have_x += n;
}

/* There may be pixels that no output looks at. */
static void clear_dx(struct igrad_conv_pass *pass, struct igrad_conv_slab *s)
{
	struct igrad_conv *conv = &pass->conv;
	uint32_t i = s->have_dx, n = strip(conv->tile.rows, i, conv->shape.in);

	igrad_emit_fill(&conv->e, (struct igrad_size){igrad_slab_pixels(conv, &s->slab), n}, 0.0f,
			igrad_place_at(s->dx, 0, i));
	s->have_dx += n;
}

struct igrad_place igrad_conv_x(struct igrad_conv_pass *pass, uint32_t i, uint32_t n)
{
	while (pass->now->have_x < i + n && !pass->conv.e.err)
		bring_x(pass, pass->now);
	return igrad_place_at(pass->now->x, 0, i);
}

struct igrad_place igrad_conv_dx(struct igrad_conv_pass *pass, uint32_t i, uint32_t n)
{
	while (pass->now->have_dx < i + n && !pass->conv.e.err)
		clear_dx(pass, pass->now);
	return igrad_place_at(pass->now->dx, 0, i);
}

struct igrad_place igrad_conv_dy(struct igrad_conv_pass *pass, uint32_t o, uint32_t n)
{
	while (pass->now->have_dy < o + n && !pass->conv.e.err)
		bring_dy(pass, pass->now);
	return igrad_place_at(pass->now->dy, 0, o);
}

/* A little of a slab; returns whether all of it is there. */
static bool bring_some(struct igrad_conv_pass *pass, struct igrad_conv_slab *s)
{
	if (s->have_dy < pass->conv.shape.out)
		bring_dy(pass, s);
	else if (s->have_x < pass->conv.shape.in)
		bring_x(pass, s);
	else if (pass->args->dx && s->have_dx < pass->conv.shape.in)
		clear_dx(pass, s);
	else
		return true;
	return false;
}

/* Sums of biases want one slab after the other. */
void igrad_conv_ahead(struct igrad_conv_pass *pass)
{
	if (!pass->conv.e.err && bring_some(pass, pass->now) && pass->next)
		bring_some(pass, pass->next);
}

void igrad_conv_dx_done(struct igrad_conv_pass *pass, const struct igrad_tap *tap)
{
	struct igrad_conv *conv = &pass->conv;
	const struct igrad_conv_shape *s = &conv->shape;

	if (tap->ky + 1 < s->kernel_y || tap->kx + 1 < s->kernel_x ||
	    tap->o + tap->size.cols < s->out)
		return;
	igrad_emit_store(
		&conv->e, pass->args->dx, igrad_slab_first_pixel(conv, &pass->now->slab), tap->i,
		(struct igrad_size){igrad_slab_pixels(conv, &pass->now->slab), tap->channels},
		igrad_conv_dx(pass, tap->i, tap->channels));
}

/* ---------------------------------------------------------------- slab after slab */

static struct igrad_place place_of(uint32_t addr, uint32_t channels)
{
	return (struct igrad_place){addr, channels * 4, IGRAD_FP32};
}

/* Set up slab @number, which begins with row @y of @image; @before is the one before it, or NULL.
 */
static void set_slab(struct igrad_conv_pass *pass, uint32_t number, uint32_t image, uint32_t y,
		     const struct igrad_conv_slab *before)
{
	const struct igrad_conv_shape *shape = &pass->conv.shape;
	const uint32_t *slot = pass->slots[number % pass->cut.slots];
	struct igrad_conv_slab *s = &pass->slabs[number % 2];
	struct igrad_slab slab = {
		.image = image,
		.images = igrad_min(pass->cut.images, shape->batch - image),
		.y = y,
		.rows = igrad_min(pass->cut.rows, shape->height - y),
	};

	set_outputs(&pass->conv, &slab);
	*s = (struct igrad_conv_slab){
		.slab = slab,
		.x = place_of(slot[0], shape->in),
		.dx = place_of(slot[1], shape->in),
		.dy = place_of(slot[2], shape->out),
		.y = place_of(slot[3], shape->out),
		.seen = y ? before->slab.oy + before->slab.orows : 0,
		.begins = !number,
		.ends = image + slab.images == shape->batch && y + slab.rows == shape->height,
	};
}

/* The slab behind @now, which exists. */
static struct igrad_conv_slab *set_next(struct igrad_conv_pass *pass, uint32_t number,
					const struct igrad_conv_slab *now)
{
	uint32_t y = now->slab.y + now->slab.rows;
	bool same = y < pass->conv.shape.height;

	set_slab(pass, number, same ? now->slab.image : now->slab.image + now->slab.images,
		 same ? y : 0, now);
	return &pass->slabs[number % 2];
}

static void all_slabs(struct igrad_conv_pass *pass)
{
	struct igrad_conv_slab *next = &pass->slabs[0];

	set_slab(pass, 0, 0, 0, NULL);
	for (uint32_t number = 0; next && !pass->conv.e.err; number++) {
		pass->now = next;
		next = pass->now->ends ? NULL : set_next(pass, number + 1, pass->now);
		pass->next = pass->cut.slots > 1 ? next : NULL;
		(weight_stationary(pass) ? igrad_conv_visit_ws : igrad_conv_visit_os)(pass);
		igrad_conv_dy(pass, 0, pass->conv.shape.out); /* for biases, if for nothing else */
	}
}

/* ---------------------------------------------------------------- a group */

/* Sums that nobody asked for, where they do not fit SRAM, need a place between slabs. */
static bool spills(const struct igrad_conv_pass *pass)
{
	const struct igrad_conv_shape *s = &pass->conv.shape;

	return !pass->acc.home && !pass->conv.plan.resident &&
	       (pass->cut.images < s->batch || pass->cut.rows < s->height);
}

static void new_spill(struct igrad_conv_pass *pass, struct igrad_matrix *spill)
{
	*spill = *pass->args->w;
	spill->offset = 0;
	spill->pitch = 0;
	pass->conv.e.err = igrad_buffer_new(pass->conv.e.cmdbuf->device,
					    (uint64_t)spill->rows * spill->cols * 4,
					    &spill->buffer);
	pass->acc.home = spill;
}

/* Wᵀ has out-channels on the array's rows. */
static void set_tile(struct igrad_conv_pass *pass)
{
	const struct igrad_device_info *device = igrad_sram_device(pass->conv.e.cmdbuf);
	const struct igrad_conv_shape *s = &pass->conv.shape;

	pass->conv.in_last = true;
	if (!weight_stationary(pass))
		return;
	pass->conv.tile.rows = igrad_min(device->cols, s->in);
	pass->conv.tile.cols = igrad_min(device->rows, s->out);
}

static int build_slice(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_backward *args,
		       const struct igrad_conv_plan *plan, uint32_t first_in, uint32_t whole_in)
{
	const struct igrad_optimizer *optimizer = &args->optimizer;
	struct igrad_conv_pass pass = {
		.args = args,
		.updates = optimizer->update != IGRAD_UPDATE_NONE,
		.momentum = optimizer->update == IGRAD_UPDATE_MOMENTUM,
		.adam = optimizer->update == IGRAD_UPDATE_ADAM,
		.step = igrad_step_of(optimizer),
	};
	struct igrad_matrix spill = {.buffer = NULL};
	int err = igrad_conv_open(&pass.conv, cmdbuf, &args->shape, plan);

	if (err)
		return err;
	pass.conv.first_in = first_in;
	pass.conv.whole_in = whole_in;
	pass.fused = plan->schedule == IGRAD_SCHEDULE_INTERLEAVED && pass.updates && !pass.adam;
	set_tile(&pass);
	allocate(&pass);
	if (!pass.conv.e.err && spills(&pass))
		new_spill(&pass, &spill);
	if (!pass.conv.e.err) {
		load_biases(&pass);
		all_slabs(&pass);
		finish_biases(&pass);
	}
	igrad_buffer_unref(spill.buffer);
	return pass.conv.e.err;
}

/* Biases are all seen to with the first slice. */
static struct igrad_conv_backward slice_of(const struct igrad_conv_backward *args, uint32_t first,
					   uint32_t n, struct igrad_matrix parts[2])
{
	struct igrad_conv_backward slice = *args;

	slice.shape.in = n;
	slice.x = igrad_conv_slice(args->x, first, n, &parts[0]);
	slice.dx = igrad_conv_slice(args->dx, first, n, &parts[1]);
	if (first)
		slice.b = slice.db = slice.vb = slice.sb = NULL;
	return slice;
}

int igrad_conv_backward_build(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_backward *args,
			      const struct igrad_conv_plan *plan)
{
	const struct igrad_device_info *device = igrad_sram_device(cmdbuf);
	uint32_t in = args->shape.in, n;
	int err = 0;
	bool ws = plan->schedule <= IGRAD_SCHEDULE_WS;
	uint32_t width = igrad_conv_slice_width(in, ws ? device->cols : device->rows, plan->slices);

	for (uint32_t first = 0; first < in && !err; first += n) {
		struct igrad_conv_backward slice;
		struct igrad_matrix parts[2];

		n = igrad_min(width, in - first);
		slice = slice_of(args, first, n, parts);
		err = build_slice(cmdbuf, &slice, plan, first, in);
	}
	return err;
}

/* ---------------------------------------------------------------- the entry point */

static int check_operands(const struct igrad_conv_backward *args)
{
	bool adam = args->optimizer.update == IGRAD_UPDATE_ADAM;
	bool momentum = args->optimizer.update == IGRAD_UPDATE_MOMENTUM;

	if (!args->x || !args->w || !args->dy)
		return -EINVAL;
	if ((unsigned int)args->optimizer.update > IGRAD_UPDATE_ADAM ||
	    (unsigned int)args->schedule >= IGRAD_NUM_SCHEDULES ||
	    (unsigned int)args->objective >= IGRAD_NUM_OBJECTIVES)
		return -EINVAL;
	if (args->optimizer.update == IGRAD_UPDATE_NONE && !args->dw)
		return -EINVAL;
	if (momentum && (args->dw || args->db))
		return -EINVAL;
	if ((adam || momentum) && (!args->vw || (args->b && !args->vb)))
		return -EINVAL;
	if (adam && (!args->sw || (args->b && !args->sb) || !args->adam))
		return -EINVAL;
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
		err = igrad_conv_do(cmdbuf, &(struct igrad_conv_task){.backward = &part});
	}
	return err;
}
