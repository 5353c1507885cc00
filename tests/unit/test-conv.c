// SPDX-License-Identifier: MIT
/*
 * Convolutions against plain loops of fmaf(), bit for bit: random geometry, arrays, SRAM sizes,
 * schedules and optimisers.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hostref.h"
#include "igrad/conv.h"
#include "lab.h"
#include "matrices.h"

static unsigned int num_cases(void)
{
	return getenv("IGRAD_TEST_LONG") ? 3000 : 150;
}

/* ---------------------------------------------------------------- the reference */

struct geometry {
	struct igrad_conv_shape s;
	uint32_t height; /* of outputs */
	uint32_t width;
	size_t pixels;
	size_t outputs;
	size_t weights;
};

/* The pixel that output (n, oy, ox) sees at (ky, kx) of the kernel, or -1. */
static long pixel_of(const struct geometry *g, size_t output, uint32_t ky, uint32_t kx)
{
	long ox = (long)(output % g->width), oy = (long)(output / g->width % g->height);
	long n = (long)(output / g->width / g->height);
	long y = oy * g->s.stride_y + (long)ky * g->s.dilation_y - (long)g->s.pad_top;
	long x = ox * g->s.stride_x + (long)kx * g->s.dilation_x - (long)g->s.pad_left;

	if (y < 0 || y >= (long)g->s.height || x < 0 || x >= (long)g->s.width)
		return -1;
	return (n * (long)g->s.height + y) * (long)g->s.width + x;
}

/* Calls @fn for every product of a convolution, ordered by kernel position, then output. */
typedef void product_fn(size_t pixel, size_t output, size_t i, size_t o, size_t weight, void *with);

static void each_product(const struct geometry *g, product_fn *fn, void *with)
{
	const uint32_t in = g->s.in / g->s.groups, out = g->s.out / g->s.groups;

	for (uint32_t tap = 0; tap < g->s.kernel_y * g->s.kernel_x; tap++) {
		for (size_t output = 0; output < g->outputs; output++) {
			long pixel = pixel_of(g, output, tap / g->s.kernel_x, tap % g->s.kernel_x);

			if (pixel < 0)
				continue;
			for (uint32_t o = 0; o < g->s.out; o++) {
				for (uint32_t i = 0; i < in; i++)
					fn((size_t)pixel, output, o / out * in + i, o,
					   ((size_t)tap * in + i) * g->s.out + o, with);
			}
		}
	}
}

struct layer {
	const struct geometry *g;
	float *x, *w, *b, *y, *dy, *dx, *dw, *db, *vw, *vb, *sw, *sb;
};

static void forward_product(size_t pixel, size_t output, size_t i, size_t o, size_t weight,
			    void *with)
{
	const struct layer *l = with;
	float *y = &l->y[output * l->g->s.out + o];

	*y = fmaf(l->x[pixel * l->g->s.in + i], l->w[weight], *y);
}

static void dx_product(size_t pixel, size_t output, size_t i, size_t o, size_t weight, void *with)
{
	const struct layer *l = with;
	float *dx = &l->dx[pixel * l->g->s.in + i];

	*dx = fmaf(l->dy[output * l->g->s.out + o], l->w[weight], *dx);
}

static void dw_product(size_t pixel, size_t output, size_t i, size_t o, size_t weight, void *with)
{
	const struct layer *l = with;

	l->dw[weight] = fmaf(l->x[pixel * l->g->s.in + i], l->dy[output * l->g->s.out + o],
			     l->dw[weight]);
}

/* ---------------------------------------------------------------- the laboratory */

/* A random device, and what else is random. */
struct trial {
	struct lab lab;
	struct igrad_rng rng;
};

static uint32_t between(struct trial *t, uint32_t low, uint32_t high)
{
	return random_between(&t->rng, low, high);
}

static void trial_open(struct trial *t, uint64_t seed)
{
	static const unsigned int srams[] = {16, 16, 20, 32, 64, 256};
	static const unsigned int sides[] = {1, 2, 3, 4, 5, 8, 13, 16, 32};
	char uri[128];

	igrad_rng_seed(&t->rng, seed);
	snprintf(uri, sizeof(uri), "sim:rows=%u,cols=%u,sram-kib=%u,overlap=%s",
		 sides[between(t, 0, 8)], sides[between(t, 0, 8)], srams[between(t, 0, 5)],
		 between(t, 0, 3) ? "on" : "off");
	lab_open(&t->lab, uri);
}

static struct geometry random_geometry(struct trial *t)
{
	struct geometry g;

	do {
		uint32_t groups = between(t, 0, 3) ? 1 : between(t, 2, 4);

		g.s = (struct igrad_conv_shape){
			.batch = between(t, 1, 4),
			.height = between(t, 1, 9),
			.width = between(t, 1, 9),
			.in = groups * between(t, 1, groups > 1 ? 4 : 12),
			.out = groups * between(t, 1, groups > 1 ? 4 : 12),
			.kernel_y = between(t, 1, 4),
			.kernel_x = between(t, 1, 4),
			.stride_y = between(t, 1, 3),
			.stride_x = between(t, 1, 3),
			.pad_top = between(t, 0, 3),
			.pad_bottom = between(t, 0, 3),
			.pad_left = between(t, 0, 3),
			.pad_right = between(t, 0, 3),
			.dilation_y = between(t, 1, 2),
			.dilation_x = between(t, 1, 2),
			.groups = groups,
		};
	} while (igrad_conv_output(&g.s, &g.height, &g.width));
	g.pixels = (size_t)g.s.batch * g.s.height * g.s.width;
	g.outputs = (size_t)g.s.batch * g.height * g.width;
	g.weights = (size_t)g.s.kernel_y * g.s.kernel_x * (g.s.in / g.s.groups) * g.s.out;
	return g;
}

static float *values(struct trial *t, size_t n)
{
	float *v = calloc(n, sizeof(*v));

	assert_non_null(v);
	random_values(&t->rng, v, n, false);
	return v;
}

static float *zeros(size_t n)
{
	float *v = calloc(n, sizeof(*v));

	assert_non_null(v);
	return v;
}

static float *moments(struct trial *t, size_t n)
{
	float *v = values(t, n);

	for (size_t k = 0; k < n; k++)
		v[k] = fabsf(v[k]);
	return v;
}

static struct layer new_layer(struct trial *t, const struct geometry *g)
{
	const size_t in = g->pixels * g->s.in, out = g->outputs * g->s.out, o = g->s.out;

	return (struct layer){
		.g = g,
		.x = values(t, in),
		.w = values(t, g->weights),
		.b = values(t, o),
		.y = zeros(out),
		.dy = values(t, out),
		.dx = zeros(in),
		.dw = zeros(g->weights),
		.db = zeros(o),
		.vw = values(t, g->weights),
		.vb = values(t, o),
		.sw = moments(t, g->weights),
		.sb = moments(t, o),
	};
}

static void free_layer(struct layer *l)
{
	float *const all[] = {l->x,  l->w,  l->b,  l->y,  l->dy, l->dx,
			      l->dw, l->db, l->vw, l->vb, l->sw, l->sb};

	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		free(all[k]);
}

static struct igrad_matrix put(struct trial *t, size_t rows, size_t cols, const float *v)
{
	struct igrad_matrix m = matrix_new(t->lab.device, &t->rng, (uint32_t)rows, (uint32_t)cols);

	matrix_put(&m, v);
	return m;
}

/* ---------------------------------------------------------------- forward */

static void forward_reference(struct layer *l, bool bias, bool relu)
{
	const size_t n = l->g->outputs * l->g->s.out;

	each_product(l->g, forward_product, l);
	for (size_t k = 0; k < n; k++) {
		if (bias)
			l->y[k] += l->b[k % l->g->s.out];
		if (relu && !(l->y[k] > 0.0f))
			l->y[k] = 0.0f;
	}
}

/* Returns whether the layer fitted the SRAM. */
static bool check_forward(uint64_t seed)
{
	struct igrad_matrix x, w, b, y;
	struct igrad_conv_forward args;
	struct geometry g;
	struct layer l;
	struct trial t;
	int err;

	trial_open(&t, seed);
	g = random_geometry(&t);
	l = new_layer(&t, &g);
	x = put(&t, g.pixels, g.s.in, l.x);
	w = put(&t, g.weights / g.s.out, g.s.out, l.w);
	b = put(&t, 1, g.s.out, l.b);
	y = put(&t, g.outputs, g.s.out, l.dy);
	args = (struct igrad_conv_forward){
		.shape = g.s,
		.x = &x,
		.w = &w,
		.b = between(&t, 0, 1) ? &b : NULL,
		.y = &y,
		.relu = between(&t, 0, 1),
	};
	err = igrad_conv_forward(t.lab.cmdbuf, &args);
	if (err != -ENOSPC) {
		assert_int_equal(err, 0);
		lab_run(&t.lab, NULL);
		forward_reference(&l, args.b, args.relu);
		assert_matrix_is("y", &y, l.y);
		assert_margins("y", &y);
	}
	matrix_free(&x);
	matrix_free(&w);
	matrix_free(&b);
	matrix_free(&y);
	free_layer(&l);
	lab_close(&t.lab);
	return !err;
}

static void random_forward(void **state)
{
	unsigned int done = 0;

	(void)state;
	for (unsigned int i = 0; i < num_cases(); i++)
		done += check_forward(1000 + i);
	assert_true(done > num_cases() * 9 / 10);
}

/* ---------------------------------------------------------------- backward */

struct matrices {
	struct igrad_matrix x, w, b, y, dy, dx, dw, db, vw, vb, sw, sb, adam;
};

static struct ref_optimizer random_optimizer(struct trial *t, enum igrad_update *update)
{
	struct ref_optimizer opt = {.lr = 0.01f, .decay = between(t, 0, 1) ? 0.05f : 0.0f};

	*update = (enum igrad_update)between(t, IGRAD_UPDATE_NONE, IGRAD_UPDATE_ADAM);
	opt.use_momentum = *update == IGRAD_UPDATE_MOMENTUM;
	opt.use_adam = *update == IGRAD_UPDATE_ADAM;
	opt.momentum = opt.use_momentum ? 0.9f : 0.0f;
	opt.beta1 = 0.9f;
	opt.beta2 = 0.99f;
	opt.epsilon = 1e-6f;
	return opt;
}

static void scale(float *v, size_t n, float factor)
{
	for (size_t k = 0; k < n; k++)
		v[k] *= factor;
}

/* What becomes of all operands, in place. */
static void backward_reference(struct layer *l, const struct ref_optimizer *opt,
			       enum igrad_update update, bool relu, bool bias, const float *adam)
{
	const size_t o = l->g->s.out, n = l->g->outputs;

	if (relu)
		ref_relu_grad(n * o, l->y, l->dy);
	each_product(l->g, dx_product, l);
	if (opt->use_momentum) {
		memcpy(l->dw, l->vw, l->g->weights * sizeof(float));
		memcpy(l->db, l->vb, o * sizeof(float));
		scale(l->dw, l->g->weights, opt->momentum);
		scale(l->db, o, opt->momentum);
	}
	each_product(l->g, dw_product, l);
	for (size_t k = 0; k < n * o; k++)
		l->db[k % o] += l->dy[k];
	if (opt->use_momentum) {
		memcpy(l->vw, l->dw, l->g->weights * sizeof(float));
		if (bias)
			memcpy(l->vb, l->db, o * sizeof(float));
	}
	if (opt->use_adam) {
		ref_adam(l->g->weights, adam, opt->decay != 0.0f, l->dw, l->vw, l->sw, l->w);
		if (bias)
			ref_adam(o, adam, opt->decay != 0.0f, l->db, l->vb, l->sb, l->b);
	} else if (update != IGRAD_UPDATE_NONE) {
		ref_update(l->g->weights, opt, l->dw, l->w);
		if (bias)
			ref_update(o, opt, l->db, l->b);
	}
}

static void put_all(struct trial *t, const struct layer *l, struct matrices *m)
{
	const struct geometry *g = l->g;
	const size_t in = g->s.in, out = g->s.out, rows = g->weights / out;

	m->x = put(t, g->pixels, in, l->x);
	m->w = put(t, rows, out, l->w);
	m->b = put(t, 1, out, l->b);
	m->y = put(t, g->outputs, out, l->y);
	m->dy = put(t, g->outputs, out, l->dy);
	m->dx = put(t, g->pixels, in, l->x);
	m->dw = put(t, rows, out, l->w);
	m->db = put(t, 1, out, l->b);
	m->vw = put(t, rows, out, l->vw);
	m->vb = put(t, 1, out, l->vb);
	m->sw = put(t, rows, out, l->sw);
	m->sb = put(t, 1, out, l->sb);
}

static void free_all(struct matrices *m)
{
	struct igrad_matrix *const all[] = {&m->x,  &m->w,  &m->b,  &m->y,  &m->dy, &m->dx,  &m->dw,
					    &m->db, &m->vw, &m->vb, &m->sw, &m->sb, &m->adam};

	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		matrix_free(all[k]);
}

static void compare(const struct igrad_conv_backward *args, const struct layer *l)
{
	if (args->dx)
		assert_matrix_is("dx", args->dx, l->dx);
	if (args->dw)
		assert_matrix_is("dw", args->dw, l->dw);
	if (args->db)
		assert_matrix_is("db", args->db, l->db);
	assert_matrix_is("w", args->w, l->w);
	if (args->b)
		assert_matrix_is("b", args->b, l->b);
	assert_matrix_is("vw", args->vw, l->vw);
	assert_matrix_is("vb", args->vb, l->vb);
	assert_matrix_is("sw", args->sw, l->sw);
	assert_matrix_is("sb", args->sb, l->sb);
	assert_margins("w", args->w);
	if (args->dx)
		assert_margins("dx", args->dx);
}

static struct igrad_conv_backward backward_args(struct trial *t, const struct geometry *g,
						const struct matrices *m, enum igrad_update update,
						const struct ref_optimizer *opt)
{
	const bool momentum = update == IGRAD_UPDATE_MOMENTUM;
	const bool gradients = update == IGRAD_UPDATE_NONE || (!momentum && between(t, 0, 1));

	return (struct igrad_conv_backward){
		.shape = g->s,
		.schedule = (enum igrad_schedule)between(t, 0, IGRAD_SCHEDULE_AUTO),
		.objective = (enum igrad_objective)between(t, 0, IGRAD_OBJECTIVE_DRAM),
		.x = &m->x,
		.w = &m->w,
		.b = between(t, 0, 1) ? &m->b : NULL,
		.y = between(t, 0, 1) ? &m->y : NULL,
		.dy = &m->dy,
		.dx = between(t, 0, 3) ? &m->dx : NULL,
		.dw = gradients ? &m->dw : NULL,
		.db = gradients ? &m->db : NULL,
		.vw = &m->vw,
		.vb = &m->vb,
		.sw = &m->sw,
		.sb = &m->sb,
		.adam = &m->adam,
		.optimizer = {.update = update,
			      .lr = opt->lr,
			      .momentum = opt->momentum,
			      .decay = opt->decay,
			      .beta1 = opt->beta1,
			      .beta2 = opt->beta2,
			      .epsilon = opt->epsilon},
	};
}

static bool check_backward(uint64_t seed)
{
	float constants[IGRAD_ADAM_WORDS];
	struct igrad_conv_backward args;
	struct ref_optimizer opt;
	enum igrad_update update;
	struct matrices m;
	struct geometry g;
	struct layer l;
	struct trial t;
	int err;

	trial_open(&t, seed);
	g = random_geometry(&t);
	l = new_layer(&t, &g);
	random_values(&t.rng, l.y, g.outputs * g.s.out, false);
	opt = random_optimizer(&t, &update);
	put_all(&t, &l, &m);
	ref_adam_constants(&opt, 3, constants);
	m.adam = put(&t, 1, IGRAD_ADAM_WORDS, constants);
	args = backward_args(&t, &g, &m, update, &opt);
	err = igrad_conv_backward(t.lab.cmdbuf, &args);
	if (err != -ENOSPC) {
		assert_int_equal(err, 0);
		lab_run(&t.lab, NULL);
		backward_reference(&l, &opt, update, args.y, args.b && update, constants);
		compare(&args, &l);
	}
	free_all(&m);
	free_layer(&l);
	lab_close(&t.lab);
	return !err;
}

static void random_backward(void **state)
{
	unsigned int done = 0;

	(void)state;
	for (unsigned int i = 0; i < num_cases(); i++)
		done += check_backward(5000 + i);
	assert_true(done > num_cases() * 9 / 10);
}

/* ---------------------------------------------------------------- choices */

/* A layer on a device that only keeps accounts. */
struct costs {
	struct lab lab;
	struct igrad_matrix x, w, dy, dx;
	struct igrad_conv_backward args;
};

static struct igrad_matrix blank(struct costs *c, uint64_t rows, uint32_t cols)
{
	struct igrad_matrix m = {.rows = (uint32_t)rows, .cols = cols};

	assert_int_equal(igrad_buffer_new(c->lab.device, rows * cols * 4, &m.buffer), 0);
	return m;
}

static void costs_open(struct costs *c, struct igrad_conv_shape s, bool first)
{
	uint32_t height, width;

	lab_open(&c->lab, "sim:rows=32,cols=32,sram-kib=512,timing-only=on");
	assert_int_equal(igrad_conv_output(&s, &height, &width), 0);
	c->x = blank(c, (uint64_t)s.batch * s.height * s.width, s.in);
	c->dx = blank(c, (uint64_t)s.batch * s.height * s.width, s.in);
	c->w = blank(c, (uint64_t)s.kernel_y * s.kernel_x * s.in, s.out);
	c->dy = blank(c, (uint64_t)s.batch * height * width, s.out);
	c->args = (struct igrad_conv_backward){
		.shape = s,
		.x = &c->x,
		.w = &c->w,
		.dy = &c->dy,
		.dx = first ? NULL : &c->dx,
		.optimizer = {.update = IGRAD_UPDATE_SGD, .lr = 0.1f},
	};
}

static void costs_close(struct costs *c)
{
	igrad_buffer_unref(c->x.buffer);
	igrad_buffer_unref(c->w.buffer);
	igrad_buffer_unref(c->dy.buffer);
	igrad_buffer_unref(c->dx.buffer);
	lab_close(&c->lab);
}

static struct igrad_report cost(struct costs *c, enum igrad_schedule schedule)
{
	struct igrad_report report;

	assert_int_equal(igrad_cmdbuf_reset(c->lab.cmdbuf), 0);
	c->args.schedule = schedule;
	assert_int_equal(igrad_conv_backward(c->lab.cmdbuf, &c->args), 0);
	lab_run(&c->lab, &report);
	return report;
}

static struct igrad_conv_shape square(uint32_t batch, uint32_t size, uint32_t in, uint32_t out,
				      uint32_t kernel, uint32_t stride)
{
	const uint32_t pad = kernel / 2;

	return (struct igrad_conv_shape){
		.batch = batch,
		.height = size,
		.width = size,
		.in = in,
		.out = out,
		.kernel_y = kernel,
		.kernel_x = kernel,
		.stride_y = stride,
		.stride_x = stride,
		.pad_top = pad,
		.pad_bottom = pad,
		.pad_left = pad,
		.pad_right = pad,
		.dilation_y = 1,
		.dilation_x = 1,
		.groups = 1,
	};
}

static void auto_is_the_best(void **state)
{
	const struct igrad_conv_shape shapes[] = {
		square(4, 28, 3, 32, 5, 2),   square(4, 14, 32, 32, 3, 1),
		square(4, 14, 96, 24, 3, 1),  square(8, 7, 128, 96, 1, 1),
		square(4, 7, 160, 160, 3, 1),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (int dram = 0; dram < 2; dram++) {
			const enum igrad_objective objective = dram ? IGRAD_OBJECTIVE_DRAM
								    : IGRAD_OBJECTIVE_CYCLES;
			uint64_t best = UINT64_MAX, moved = UINT64_MAX;
			struct igrad_report report;
			struct costs c;

			costs_open(&c, shapes[i], i == 0);
			c.args.objective = objective;
			for (int schedule = 0; schedule < IGRAD_SCHEDULE_AUTO; schedule++) {
				uint64_t bytes;

				report = cost(&c, (enum igrad_schedule)schedule);
				bytes = report.dram_read_bytes + report.dram_write_bytes;
				best = report.cycles < best ? report.cycles : best;
				moved = bytes < moved ? bytes : moved;
			}
			report = cost(&c, IGRAD_SCHEDULE_AUTO);
			if (objective == IGRAD_OBJECTIVE_CYCLES)
				assert_int_equal(report.cycles, best);
			if (objective == IGRAD_OBJECTIVE_DRAM)
				assert_int_equal(report.dram_read_bytes + report.dram_write_bytes,
						 moved);
			costs_close(&c);
		}
}

/* Three channels fill an array of 32 rows: 25 positions in three tiles, and not one in each. */
static void positions_share_tiles(void **state)
{
	struct igrad_conv_shape shape = square(4, 28, 3, 32, 5, 2);
	uint64_t outputs = 4 * 14 * 14;
	struct igrad_report report;
	struct costs c;

	(void)state;
	costs_open(&c, shape, true);
	report = cost(&c, IGRAD_SCHEDULE_WS_OS);
	assert_true(report.busy[IGRAD_ENGINE_ARRAY] < 6 * outputs);
	costs_close(&c);
}

/* ---------------------------------------------------------------- bad input */

static void bad_shapes(void **state)
{
	static const struct igrad_conv_shape good = {
		.batch = 1,
		.height = 5,
		.width = 5,
		.in = 4,
		.out = 4,
		.kernel_y = 3,
		.kernel_x = 3,
		.stride_y = 1,
		.stride_x = 1,
		.dilation_y = 1,
		.dilation_x = 1,
		.groups = 1,
	};
	struct igrad_conv_shape s = good;
	uint32_t h, w;

	(void)state;
	assert_int_equal(igrad_conv_output(&s, &h, &w), 0);
	assert_int_equal(h, 3);
	s.kernel_y = 6;
	assert_int_equal(igrad_conv_output(&s, &h, &w), -EINVAL);
	s = good;
	s.groups = 3;
	assert_int_equal(igrad_conv_output(&s, &h, &w), -EINVAL);
	s = good;
	s.stride_x = 0;
	assert_int_equal(igrad_conv_output(&s, &h, &w), -EINVAL);
	s = good;
	s.height = 70000;
	assert_int_equal(igrad_conv_output(&s, &h, &w), -EINVAL);
	s = good;
	s.dilation_y = UINT32_MAX;
	assert_int_equal(igrad_conv_output(&s, &h, &w), -EINVAL);
	s = good;
	s.kernel_x = 0;
	assert_int_equal(igrad_conv_output(&s, &h, &w), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_forward),   cmocka_unit_test(random_backward),
		cmocka_unit_test(auto_is_the_best), cmocka_unit_test(positions_share_tiles),
		cmocka_unit_test(bad_shapes),
	};

	return cmocka_run_group_tests_name("conv", tests, NULL, NULL);
}
