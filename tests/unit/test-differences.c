// SPDX-License-Identifier: MIT
/*
 * Gradients beside differences: every layer's backward pass against its own forward pass, both on
 * the device. The loss is a weighted sum of the layer's results; each operand is moved a little to
 * either side, element by element. That tells nothing of rounding (other tests do that), but
 * whether forward and backward belong together, whatever a reference may have misunderstood.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "igrad/conv.h"
#include "igrad/layers.h"
#include "lab.h"
#include "matrices.h"

/* A step that is a power of two, and large: layers that are linear have no error but rounding. */
#define STEP 0x1p-5

/*
 * Results are at most about 100 sums of 100 products of at most 1 each, rounded to 24 bits: their
 * difference is off by far less than 100·100·2^-24 / STEP, seldom by a hundredth of it. Smooth
 * layers are extrapolated, so that what is left is of the order of STEP^4.
 */
#define TOLERANCE 1e-3

struct bench {
	struct lab lab; /* its command buffer is the forward pass */
	struct igrad_cmdbuf *backward;
	struct igrad_rng rng;
	struct igrad_matrix *y;	 /* results of the forward pass */
	struct igrad_matrix *dy; /* weights of the loss */
	struct igrad_matrix m[12];
	unsigned int num;
};

static void bench_open(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	igrad_rng_seed(&b->rng, 42);
	lab_open(&b->lab, "sim:rows=4,cols=4,sram-kib=16");
	assert_int_equal(igrad_cmdbuf_new(b->lab.device, &b->backward), 0);
}

static void bench_close(struct bench *b)
{
	for (unsigned int i = 0; i < b->num; i++)
		matrix_free(&b->m[i]);
	igrad_cmdbuf_unref(b->backward);
	lab_close(&b->lab);
}

static float *element(const struct igrad_matrix *m, uint32_t i)
{
	uint32_t pitch = m->pitch ? m->pitch : m->cols * 4;
	char *at = (char *)igrad_buffer_map(m->buffer) + m->offset;

	return (float *)(void *)(at + (size_t)(i / m->cols) * pitch + (size_t)(i % m->cols) * 4);
}

/*
 * Multiples of 1/8 that are not 0, and where it can be all different: then no maximum is near
 * another one, and no ReLU near its corner.
 */
static struct igrad_matrix *new_matrix(struct bench *b, uint32_t rows, uint32_t cols)
{
	struct igrad_matrix *m = &b->m[b->num++];
	uint32_t n = rows * cols, *order = calloc(n, sizeof(*order));

	assert_non_null(order);
	*m = matrix_new(b->lab.device, &b->rng, rows, cols);
	igrad_rng_shuffle(&b->rng, order, n);
	for (uint32_t i = 0; i < n; i++)
		*element(m, i) = ((float)order[i] - (float)n / 2.0f + 0.5f) / 8.0f;
	free(order);
	return m;
}

/* At most 1, where sums are long. */
static struct igrad_matrix *new_small(struct bench *b, uint32_t rows, uint32_t cols)
{
	struct igrad_matrix *m = new_matrix(b, rows, cols);

	for (uint32_t i = 0; i < rows * cols; i++)
		*element(m, i) = 2.0f * igrad_rng_float(&b->rng) - 1.0f;
	return m;
}

static void run_backward(struct bench *b)
{
	lab_run(&b->lab, NULL);
	assert_int_equal(igrad_queue_run(b->lab.queue, b->backward, NULL), 0);
}

static double loss(struct bench *b)
{
	double sum = 0;

	lab_run(&b->lab, NULL);
	for (uint32_t i = 0; i < b->y->rows * b->y->cols; i++)
		sum += (double)*element(b->y, i) * (b->dy ? (double)*element(b->dy, i) : 1.0);
	return sum;
}

static double difference(struct bench *b, float *x, double step)
{
	const float here = *x;
	double above, below;

	*x = (float)(here + step);
	above = loss(b);
	*x = (float)(here - step);
	below = loss(b);
	*x = here;
	return (above - below) / (2 * step);
}

/* @dx is what the backward pass gave for @x */
static void compare(struct bench *b, const char *what, const struct igrad_matrix *x,
		    const struct igrad_matrix *dx)
{
	for (uint32_t i = 0; i < x->rows * x->cols; i++) {
		double wide = difference(b, element(x, i), 2 * STEP);
		double narrow = difference(b, element(x, i), STEP);
		double expected = (4 * narrow - wide) / 3;
		double found = *element(dx, i);

		if (!(fabs(found - expected) <= TOLERANCE * (1 + fabs(expected))))
			fail_msg("%s: element %u of %u is %g, differences say %g", what, i,
				 x->rows * x->cols, found, expected);
	}
}

/* ---------------------------------------------------------------- layers with weights */

static void linear(void **state)
{
	struct igrad_matrix *x, *w, *bias, *dx, *dw, *db;
	struct igrad_linear_backward backward;
	struct bench b;

	(void)state;
	bench_open(&b);
	x = new_small(&b, 5, 7);
	w = new_small(&b, 7, 6);
	bias = new_small(&b, 1, 6);
	b.y = new_small(&b, 5, 6);
	b.dy = new_small(&b, 5, 6);
	dx = new_small(&b, 5, 7);
	dw = new_small(&b, 7, 6);
	db = new_small(&b, 1, 6);
	assert_int_equal(igrad_linear_forward(b.lab.cmdbuf, x, w, bias, false, b.y), 0);
	for (enum igrad_schedule s = 0; s < IGRAD_SCHEDULE_AUTO; s++) {
		assert_int_equal(igrad_cmdbuf_reset(b.backward), 0);
		backward = (struct igrad_linear_backward){.schedule = s,
							  .x = x,
							  .w = w,
							  .b = bias,
							  .dy = b.dy,
							  .dx = dx,
							  .dw = dw,
							  .db = db};
		assert_int_equal(igrad_linear_backward(b.backward, &backward), 0);
		run_backward(&b);
		compare(&b, "linear: dx", x, dx);
		compare(&b, "linear: dw", w, dw);
		compare(&b, "linear: db", bias, db);
	}
	bench_close(&b);
}

static void check_convolution(const struct igrad_conv_shape *shape, enum igrad_schedule schedule)
{
	struct igrad_matrix *x, *w, *bias, *dx, *dw, *db;
	struct igrad_conv_forward forward;
	struct igrad_conv_backward backward;
	uint32_t height, width, weights;
	struct bench b;

	bench_open(&b);
	assert_int_equal(igrad_conv_output(shape, &height, &width), 0);
	weights = shape->kernel_y * shape->kernel_x * shape->in / shape->groups;
	x = new_small(&b, shape->batch * shape->height * shape->width, shape->in);
	w = new_small(&b, weights, shape->out);
	bias = new_small(&b, 1, shape->out);
	b.y = new_small(&b, shape->batch * height * width, shape->out);
	b.dy = new_small(&b, shape->batch * height * width, shape->out);
	dx = new_small(&b, x->rows, x->cols);
	dw = new_small(&b, weights, shape->out);
	db = new_small(&b, 1, shape->out);
	forward = (struct igrad_conv_forward){.shape = *shape, .x = x, .w = w, .b = bias, .y = b.y};
	backward = (struct igrad_conv_backward){.shape = *shape,
						.schedule = schedule,
						.x = x,
						.w = w,
						.b = bias,
						.dy = b.dy,
						.dx = dx,
						.dw = dw,
						.db = db};
	assert_int_equal(igrad_conv_forward(b.lab.cmdbuf, &forward), 0);
	assert_int_equal(igrad_conv_backward(b.backward, &backward), 0);
	run_backward(&b);
	compare(&b, "convolution: dx", x, dx);
	compare(&b, "convolution: dw", w, dw);
	compare(&b, "convolution: db", bias, db);
	bench_close(&b);
}

static void convolution(void **state)
{
	static const struct igrad_conv_shape shapes[] = {
		{2, 5, 4, 2, 3, 3, 2, 2, 1, 1, 0, 1, 1, 1, 2, 1},
		{1, 4, 5, 4, 4, 2, 3, 1, 2, 1, 2, 0, 1, 2, 1, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		check_convolution(&shapes[i], IGRAD_SCHEDULE_WS_OS);
		check_convolution(&shapes[i], IGRAD_SCHEDULE_INTERLEAVED);
	}
}

static void softmax(void **state)
{
	struct igrad_matrix *logits, *labels, *dlogits;
	struct bench b;

	(void)state;
	bench_open(&b);
	logits = new_small(&b, 4, 5);
	labels = new_matrix(&b, 4, 1);
	dlogits = new_small(&b, 4, 5);
	b.y = new_small(&b, 4, 1);
	for (uint32_t i = 0; i < 4; i++)
		memcpy(element(labels, i), &(uint32_t){(i * 3) % 5}, 4);
	assert_int_equal(igrad_softmax_xent(b.lab.cmdbuf, logits, labels, dlogits, b.y, 1.0f), 0);
	assert_int_equal(igrad_softmax_xent(b.backward, logits, labels, dlogits, b.y, 1.0f), 0);
	run_backward(&b);
	/* The forward pass gives the gradient too, anew at each step. */
	for (uint32_t i = 0; i < 20; i++) {
		float found = *element(dlogits, i), *x = element(logits, i);
		double expected = (4 * difference(&b, x, STEP) - difference(&b, x, 2 * STEP)) / 3;

		lab_run(&b.lab, NULL);
		if (!(fabs(found - expected) <= TOLERANCE))
			fail_msg("softmax: element %u is %g, differences say %g", i, found,
				 expected);
	}
	bench_close(&b);
}

/* ---------------------------------------------------------------- the others */

static void check_pooling(struct igrad_pool_shape shape)
{
	struct igrad_matrix *x, *index, *dx;
	struct igrad_pool_forward forward;
	struct igrad_pool_backward backward;
	uint32_t height, width;
	struct bench b;

	bench_open(&b);
	assert_int_equal(igrad_pool_output(&shape, &height, &width), 0);
	x = new_matrix(&b, shape.batch * shape.height * shape.width, shape.channels);
	dx = new_small(&b, x->rows, x->cols);
	b.y = new_small(&b, shape.batch * height * width, shape.channels);
	b.dy = new_small(&b, b.y->rows, b.y->cols);
	index = new_small(&b, b.y->rows, b.y->cols);
	forward = (struct igrad_pool_forward){shape, x, b.y, shape.average ? NULL : index};
	backward = (struct igrad_pool_backward){shape, b.dy, shape.average ? NULL : index, dx};
	assert_int_equal(igrad_pool_forward(b.lab.cmdbuf, &forward), 0);
	assert_int_equal(igrad_pool_backward(b.backward, &backward), 0);
	run_backward(&b);
	compare(&b, shape.average ? "average: dx" : "maximum: dx", x, dx);
	bench_close(&b);
}

static void pooling(void **state)
{
	struct igrad_pool_shape shape = {2, 5, 6, 3, 3, 2, 2, 1, 1, 2, 1, 0, false, true, false};

	(void)state;
	check_pooling(shape);
	shape.average = true;
	check_pooling(shape);
	shape.skip_border = true;
	check_pooling(shape);
}

static void batchnorm(void **state)
{
	struct igrad_matrix *x, *gamma, *beta, *mean, *inverse, *dx, *dgamma, *dbeta;
	struct igrad_batchnorm_forward forward;
	struct igrad_batchnorm_backward backward;
	struct bench b;

	(void)state;
	bench_open(&b);
	x = new_small(&b, 12, 5);
	gamma = new_small(&b, 1, 5);
	beta = new_small(&b, 1, 5);
	mean = new_small(&b, 1, 5);
	inverse = new_small(&b, 1, 5);
	b.y = new_small(&b, 12, 5);
	b.dy = new_small(&b, 12, 5);
	dx = new_small(&b, 12, 5);
	dgamma = new_small(&b, 1, 5);
	dbeta = new_small(&b, 1, 5);
	forward = (struct igrad_batchnorm_forward){.training = true,
						   .x = x,
						   .gamma = gamma,
						   .beta = beta,
						   .y = b.y,
						   .mean = mean,
						   .inverse = inverse,
						   .epsilon = 1e-3f};
	backward = (struct igrad_batchnorm_backward){.x = x,
						     .gamma = gamma,
						     .mean = mean,
						     .inverse = inverse,
						     .dy = b.dy,
						     .dx = dx,
						     .dgamma = dgamma,
						     .dbeta = dbeta};
	assert_int_equal(igrad_batchnorm_forward(b.lab.cmdbuf, &forward), 0);
	assert_int_equal(igrad_batchnorm_backward(b.backward, &backward), 0);
	run_backward(&b);
	compare(&b, "batch normalisation: dx", x, dx);
	compare(&b, "batch normalisation: dgamma", gamma, dgamma);
	compare(&b, "batch normalisation: dbeta", beta, dbeta);
	bench_close(&b);
}

static void relu(void **state)
{
	struct igrad_matrix *x, *dx;
	struct bench b;

	(void)state;
	bench_open(&b);
	x = new_matrix(&b, 6, 7);
	dx = new_small(&b, 6, 7);
	b.y = new_small(&b, 6, 7);
	b.dy = new_small(&b, 6, 7);
	assert_int_equal(igrad_relu_forward(b.lab.cmdbuf, x, b.y), 0);
	assert_int_equal(igrad_relu_backward(b.backward, b.y, b.dy, dx), 0);
	run_backward(&b);
	compare(&b, "ReLU: dx", x, dx);
	bench_close(&b);
}

/* The gradient of a sum for either term is the sum's own. */
static void sum(void **state)
{
	struct igrad_matrix *x, *other;
	struct bench b;

	(void)state;
	bench_open(&b);
	x = new_matrix(&b, 6, 7);
	other = new_matrix(&b, 6, 7);
	b.y = new_small(&b, 6, 7);
	b.dy = new_small(&b, 6, 7);
	assert_int_equal(igrad_add(b.lab.cmdbuf, &(struct igrad_add){x, other, b.y, false}), 0);
	compare(&b, "sum: da", x, b.dy);
	compare(&b, "sum: db", other, b.dy);
	bench_close(&b);
}

static void dropout(void **state)
{
	struct igrad_matrix *x, *dx, *seed;
	struct igrad_dropout args;
	struct bench b;

	(void)state;
	bench_open(&b);
	x = new_matrix(&b, 6, 7);
	dx = new_small(&b, 6, 7);
	seed = new_matrix(&b, 1, 2);
	b.y = new_small(&b, 6, 7);
	b.dy = new_small(&b, 6, 7);
	args = (struct igrad_dropout){x, b.y, seed, 3, 0.4f};
	assert_int_equal(igrad_dropout(b.lab.cmdbuf, &args), 0);
	args.x = b.dy;
	args.y = dx;
	assert_int_equal(igrad_dropout(b.backward, &args), 0);
	run_backward(&b);
	compare(&b, "dropout: dx", x, dx);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linear),  cmocka_unit_test(convolution), cmocka_unit_test(softmax),
		cmocka_unit_test(pooling), cmocka_unit_test(batchnorm),	  cmocka_unit_test(relu),
		cmocka_unit_test(sum),	   cmocka_unit_test(dropout),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("differences", tests, NULL, NULL);
}
