// SPDX-License-Identifier: MIT
/*
 * Pooling, batch normalisation, sums, dropout, copies and updates against plain loops, bit for bit:
 * random shapes, arrays, SRAM sizes.
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
#include "lab.h"
#include "layerref.h"
#include "matrices.h"

static unsigned int num_cases(void)
{
	return getenv("IGRAD_TEST_LONG") ? 2000 : 100;
}

/* ---------------------------------------------------------------- the laboratory */

#define MOST 16

/* A random device, matrices and what they must hold in the end. */
struct trial {
	struct lab lab;
	struct igrad_rng rng;
	struct igrad_matrix m[MOST];
	float *values[MOST];
	unsigned int num;
};

static uint32_t between(struct trial *t, uint32_t low, uint32_t high)
{
	return random_between(&t->rng, low, high);
}

static void trial_open(struct trial *t, uint64_t seed)
{
	static const unsigned int srams[] = {16, 16, 20, 32, 64, 256};
	static const unsigned int sides[] = {1, 3, 4, 8, 16, 32};
	static const unsigned int widths[] = {1, 16, 64, 256};
	char uri[128];

	memset(t, 0, sizeof(*t));
	igrad_rng_seed(&t->rng, seed);
	snprintf(uri, sizeof(uri), "sim:rows=4,cols=%u,sram-kib=%u,dram-bytes-per-cycle=%u",
		 sides[between(t, 0, 5)], srams[between(t, 0, 5)], widths[between(t, 0, 3)]);
	lab_open(&t->lab, uri);
}

/* A matrix of random values, and a copy of them on the host. */
static unsigned int add(struct trial *t, size_t rows, size_t cols, bool wild)
{
	unsigned int i = t->num++;

	assert_true(i < MOST);
	t->values[i] = calloc(rows * cols, sizeof(float));
	assert_non_null(t->values[i]);
	random_values(&t->rng, t->values[i], rows * cols, wild);
	t->m[i] = matrix_new(t->lab.device, &t->rng, (uint32_t)rows, (uint32_t)cols);
	matrix_put(&t->m[i], t->values[i]);
	return i;
}

/* Runs, and compares every matrix with what the host has made of its copy. */
static void compare(struct trial *t, const char *const names[])
{
	for (unsigned int i = 0; i < t->num; i++) {
		assert_matrix_is(names[i], &t->m[i], t->values[i]);
		assert_margins(names[i], &t->m[i]);
	}
}

static void trial_close(struct trial *t)
{
	for (unsigned int i = 0; i < t->num; i++) {
		matrix_free(&t->m[i]);
		free(t->values[i]);
	}
	lab_close(&t->lab);
}

static void absolute(float *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		values[i] = fabsf(values[i]);
}

/* ---------------------------------------------------------------- pooling */

static struct igrad_pool_shape random_shape(struct trial *t, uint32_t *height, uint32_t *width)
{
	struct igrad_pool_shape s;

	do {
		const bool global = between(t, 0, 5) == 0;
		const uint32_t h = between(t, 1, 12), w = between(t, 1, 12);

		s = (struct igrad_pool_shape){
			.batch = between(t, 1, 5),
			.height = h,
			.width = w,
			.channels = between(t, 0, 3) ? between(t, 1, 20) : between(t, 30, 90),
			.kernel_y = global ? h : between(t, 1, 5),
			.kernel_x = global ? w : between(t, 1, 5),
			.stride_y = between(t, 1, 4),
			.stride_x = between(t, 1, 4),
			.average = between(t, 0, 1),
			.ceil = between(t, 0, 1),
		};
		if (!global) {
			s.pad_top = between(t, 0, s.kernel_y - 1);
			s.pad_bottom = between(t, 0, s.kernel_y - 1);
			s.pad_left = between(t, 0, s.kernel_x - 1);
			s.pad_right = between(t, 0, s.kernel_x - 1);
		}
		s.skip_border = s.average && between(t, 0, 1);
	} while (igrad_pool_output(&s, height, width));
	return s;
}

static bool check_pool(uint64_t seed)
{
	enum { X, Y, INDEX, DY, DX };
	static const char *const names[] = {"x", "y", "index", "dy", "dx"};
	struct igrad_pool_shape s;
	uint32_t height, width;
	size_t pixels, outputs;
	struct trial t;
	bool index, fits;

	trial_open(&t, seed);
	s = random_shape(&t, &height, &width);
	pixels = (size_t)s.batch * s.height * s.width;
	outputs = (size_t)s.batch * height * width;
	add(&t, pixels, s.channels, true);
	for (unsigned int i = Y; i <= DY; i++)
		add(&t, outputs, s.channels, false);
	add(&t, pixels, s.channels, false);
	if (between(&t, 0, 4) == 0)
		t.values[X][between(&t, 0, (uint32_t)(pixels * s.channels - 1))] = NAN;
	matrix_put(&t.m[X], t.values[X]);
	index = !s.average;
	fits = !igrad_pool_forward(t.lab.cmdbuf,
				   &(struct igrad_pool_forward){
					   .shape = s,
					   .x = &t.m[X],
					   .y = &t.m[Y],
					   .index = index ? &t.m[INDEX] : NULL,
				   }) &&
	       !igrad_pool_backward(t.lab.cmdbuf, &(struct igrad_pool_backward){
							  .shape = s,
							  .dy = &t.m[DY],
							  .index = index ? &t.m[INDEX] : NULL,
							  .dx = &t.m[DX],
						  });
	if (fits) {
		lab_run(&t.lab, NULL);
		ref_pool_forward(&s, height, width, t.values[X], t.values[Y],
				 index ? (uint32_t *)(void *)t.values[INDEX] : NULL);
		ref_pool_backward(&s, height, width, t.values[DY],
				  (uint32_t *)(void *)t.values[INDEX], t.values[DX]);
		compare(&t, names);
	}
	trial_close(&t);
	return fits;
}

static void random_pools(void **state)
{
	unsigned int done = 0;

	(void)state;
	for (unsigned int i = 0; i < num_cases(); i++)
		done += check_pool(5000 + i);
	assert_true(done > num_cases() * 9 / 10);
}

/* ---------------------------------------------------------------- batch normalisation */

static void check_batchnorm(uint64_t seed)
{
	enum {
		X,
		GAMMA,
		BETA,
		Y,
		MEAN,
		INVERSE,
		RUNNING_MEAN,
		RUNNING_VARIANCE,
		DY,
		DX,
		DGAMMA,
		DBETA
	};
	static const char *const names[] = {"x",    "gamma",   "beta",	       "y",
					    "mean", "inverse", "running mean", "running variance",
					    "dy",   "dx",      "dgamma",       "dbeta"};
	const float epsilon = 1e-5f, momentum = 0.1f;
	struct igrad_batchnorm_forward forward;
	struct igrad_batchnorm_backward backward;
	bool running, relu, with_dx, in_place;
	float *variance;
	size_t n, c;
	struct trial t;

	trial_open(&t, seed);
	n = between(&t, 0, 2) ? between(&t, 2, 60) : between(&t, 300, 3000);
	c = between(&t, 0, 2) ? between(&t, 1, 20) : between(&t, 30, n > 100 ? 60 : 600);
	running = between(&t, 0, 2);
	relu = between(&t, 0, 1);
	with_dx = between(&t, 0, 5);
	in_place = with_dx && between(&t, 0, 2) == 0;
	for (unsigned int i = X; i <= DBETA; i++)
		add(&t, i == X || i == Y || i == DY || i == DX ? n : 1, c, i == DY);
	absolute(t.values[RUNNING_VARIANCE], c);
	matrix_put(&t.m[RUNNING_VARIANCE], t.values[RUNNING_VARIANCE]);
	forward = (struct igrad_batchnorm_forward){
		.training = true,
		.x = &t.m[X],
		.gamma = &t.m[GAMMA],
		.beta = &t.m[BETA],
		.y = &t.m[Y],
		.mean = &t.m[MEAN],
		.inverse = &t.m[INVERSE],
		.running_mean = running ? &t.m[RUNNING_MEAN] : NULL,
		.running_variance = running ? &t.m[RUNNING_VARIANCE] : NULL,
		.epsilon = epsilon,
		.momentum = momentum,
		.relu = relu,
	};
	backward = (struct igrad_batchnorm_backward){
		.x = &t.m[X],
		.gamma = &t.m[GAMMA],
		.mean = &t.m[MEAN],
		.inverse = &t.m[INVERSE],
		.y = relu ? &t.m[Y] : NULL,
		.dy = &t.m[DY],
		.dx = !with_dx	 ? NULL
		      : in_place ? &t.m[DY]
				 : &t.m[DX],
		.dgamma = &t.m[DGAMMA],
		.dbeta = &t.m[DBETA],
	};
	assert_int_equal(igrad_batchnorm_forward(t.lab.cmdbuf, &forward), 0);
	assert_int_equal(igrad_batchnorm_backward(t.lab.cmdbuf, &backward), 0);
	lab_run(&t.lab, NULL);

	variance = calloc(c, sizeof(*variance));
	assert_non_null(variance);
	ref_batch_statistics(n, c, t.values[X], epsilon, t.values[MEAN], variance,
			     t.values[INVERSE]);
	if (running)
		ref_running(n, c, momentum, t.values[MEAN], variance, t.values[RUNNING_MEAN],
			    t.values[RUNNING_VARIANCE]);
	free(variance);
	ref_normalise(n, c, t.values[X], t.values[MEAN], t.values[INVERSE], t.values[GAMMA],
		      t.values[BETA], t.values[Y]);
	if (relu)
		ref_relu(n * c, t.values[Y]);
	{
		float *dy = calloc(n * c, sizeof(*dy)), *dx = calloc(n * c, sizeof(*dx));

		assert_non_null(dy);
		assert_non_null(dx);
		memcpy(dy, t.values[DY], n * c * sizeof(*dy));
		if (relu)
			ref_relu_grad(n * c, t.values[Y], dy);
		ref_normalise_backward(n, c, t.values[X], t.values[GAMMA], t.values[MEAN],
				       t.values[INVERSE], dy, dx, t.values[DGAMMA],
				       t.values[DBETA]);
		if (with_dx)
			memcpy(t.values[in_place ? DY : DX], dx, n * c * sizeof(*dx));
		free(dy);
		free(dx);
	}
	compare(&t, names);
	trial_close(&t);
}

static void random_batchnorms(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < num_cases() / 2; i++)
		check_batchnorm(6000 + i);
}

/* With running statistics, in place or not. */
static void check_inference(uint64_t seed)
{
	enum { X, GAMMA, BETA, MEAN, VARIANCE, Y };
	static const char *const names[] = {"x", "gamma", "beta", "mean", "variance", "y"};
	struct igrad_batchnorm_forward forward;
	bool in_place, relu;
	float *inverse, *y;
	size_t n, c;
	struct trial t;

	trial_open(&t, seed);
	n = between(&t, 1, 200);
	c = between(&t, 1, 300);
	in_place = between(&t, 0, 1);
	relu = between(&t, 0, 1);
	for (unsigned int i = X; i <= Y; i++)
		add(&t, i == X || i == Y ? n : 1, c, false);
	absolute(t.values[VARIANCE], c);
	matrix_put(&t.m[VARIANCE], t.values[VARIANCE]);
	forward = (struct igrad_batchnorm_forward){
		.x = &t.m[X],
		.gamma = &t.m[GAMMA],
		.beta = &t.m[BETA],
		.y = &t.m[in_place ? X : Y],
		.running_mean = &t.m[MEAN],
		.running_variance = &t.m[VARIANCE],
		.epsilon = 1e-3f,
		.relu = relu,
	};
	assert_int_equal(igrad_batchnorm_forward(t.lab.cmdbuf, &forward), 0);
	lab_run(&t.lab, NULL);
	inverse = calloc(c, sizeof(*inverse));
	y = t.values[in_place ? X : Y];
	assert_non_null(inverse);
	for (size_t j = 0; j < c; j++)
		inverse[j] = ref_inverse(t.values[VARIANCE][j], 1e-3f);
	ref_normalise(n, c, t.values[X], t.values[MEAN], inverse, t.values[GAMMA], t.values[BETA],
		      y);
	if (relu)
		ref_relu(n * c, y);
	free(inverse);
	compare(&t, names);
	trial_close(&t);
}

static void random_inferences(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < num_cases() / 2; i++)
		check_inference(7000 + i);
}

/* ---------------------------------------------------------------- element by element */

/* y = a + b, r = relu(y), d = its gradient for b; y and d may be operands. */
static void check_sums(uint64_t seed)
{
	enum { A, B, Y, R, D };
	static const char *const names[] = {"a", "b", "y", "relu", "gradient"};
	unsigned int y, d;
	size_t rows, cols;
	struct trial t;
	bool relu;

	trial_open(&t, seed);
	rows = between(&t, 1, 100);
	cols = between(&t, 0, 3) ? between(&t, 1, 50) : between(&t, 1, 5000);
	relu = between(&t, 0, 1);
	for (unsigned int i = A; i <= D; i++)
		add(&t, rows, cols, true);
	y = between(&t, 0, 1) ? Y : A;
	d = between(&t, 0, 1) ? D : B;
	assert_int_equal(
		igrad_add(t.lab.cmdbuf, &(struct igrad_add){&t.m[A], &t.m[B], &t.m[y], relu}), 0);
	assert_int_equal(igrad_relu_forward(t.lab.cmdbuf, &t.m[y], &t.m[R]), 0);
	assert_int_equal(igrad_relu_backward(t.lab.cmdbuf, &t.m[R], &t.m[B], &t.m[d]), 0);
	lab_run(&t.lab, NULL);
	for (size_t i = 0; i < rows * cols; i++)
		t.values[y][i] = t.values[A][i] + t.values[B][i];
	if (relu)
		ref_relu(rows * cols, t.values[y]);
	memcpy(t.values[R], t.values[y], rows * cols * sizeof(float));
	ref_relu(rows * cols, t.values[R]);
	if (d != B)
		memcpy(t.values[d], t.values[B], rows * cols * sizeof(float));
	ref_relu_grad(rows * cols, t.values[R], t.values[d]);
	compare(&t, names);
	trial_close(&t);
}

static void random_sums(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < num_cases() / 2; i++)
		check_sums(8000 + i);
}

/* The same commands with two seeds; and about as many stay as should. */
static void check_dropout(uint64_t seed)
{
	static const float rates[] = {0.0f, 0.1f, 0.5f, 0.75f, 0x1.fffffep-1f};
	static const char *const names[] = {"x", "y", "seed"};
	struct igrad_dropout args;
	uint32_t key[2];
	size_t rows, cols;
	struct trial t;
	unsigned int y;

	trial_open(&t, seed);
	rows = between(&t, 1, 100);
	cols = between(&t, 1, 200);
	add(&t, rows, cols, false);
	add(&t, rows, cols, false);
	add(&t, 1, 2, false);
	y = between(&t, 0, 1);
	args = (struct igrad_dropout){
		.x = &t.m[0],
		.y = &t.m[y],
		.seed = &t.m[2],
		.stream = between(&t, 0, 20),
		.rate = rates[between(&t, 0, 4)],
	};
	assert_int_equal(igrad_dropout(t.lab.cmdbuf, &args), 0);
	for (unsigned int round = 0; round < 2; round++) {
		key[0] = between(&t, 0, UINT32_MAX);
		key[1] = between(&t, 0, UINT32_MAX);
		memcpy(t.values[2], key, sizeof(key));
		matrix_put(&t.m[2], t.values[2]);
		lab_run(&t.lab, NULL);
		ref_dropout(rows, cols, key, args.stream, args.rate, t.values[0], t.values[y]);
		compare(&t, names);
	}
	trial_close(&t);
}

static void random_dropouts(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < num_cases() / 2; i++)
		check_dropout(9000 + i);
}

/* Random123's own answers for Philox4x32-10. */
static void dropout_is_philox(void **state)
{
	enum { N = 4 };
	static const struct {
		uint32_t key[2];
		uint32_t first;
	} known[] = {{{0, 0}, 0x6627e8d5u}};
	float x[N], y[N];

	(void)state;
	for (unsigned int i = 0; i < N; i++)
		x[i] = 1.0f;
	/* The first word of counter 0 and key 0: dropped just above itself. */
	ref_dropout(1, N, known[0].key, 0, (float)(known[0].first / 0x1p32) * 0.99999f, x, y);
	assert_true(y[0] > 0.0f);
	ref_dropout(1, N, known[0].key, 0, (float)(known[0].first / 0x1p32) * 1.00001f, x, y);
	assert_true(y[0] == 0.0f);
}

/* Slices of wider matrices go into and come out of others: concatenation. */
static void check_copies(uint64_t seed)
{
	static const char *const names[] = {"left", "right", "both", "right again", "filled"};
	struct igrad_matrix slice;
	size_t rows, left, right;
	struct trial t;

	trial_open(&t, seed);
	rows = between(&t, 1, 150);
	left = between(&t, 1, 60);
	right = between(&t, 1, 60);
	add(&t, rows, left, true);
	add(&t, rows, right, true);
	add(&t, rows, left + right, false);
	add(&t, rows, right, false);
	add(&t, rows, right, false);
	slice = t.m[2];
	slice.pitch = slice.pitch ? slice.pitch : slice.cols * 4;
	slice.cols = (uint32_t)left;
	assert_int_equal(igrad_copy(t.lab.cmdbuf, &t.m[0], &slice), 0);
	slice.offset += left * 4;
	slice.cols = (uint32_t)right;
	assert_int_equal(igrad_copy(t.lab.cmdbuf, &t.m[1], &slice), 0);
	assert_int_equal(igrad_copy(t.lab.cmdbuf, &slice, &t.m[3]), 0);
	assert_int_equal(igrad_fill(t.lab.cmdbuf, &t.m[4], 0.25f), 0);
	lab_run(&t.lab, NULL);
	for (size_t i = 0; i < rows; i++) {
		memcpy(t.values[2] + i * (left + right), t.values[0] + i * left, left * 4);
		memcpy(t.values[2] + i * (left + right) + left, t.values[1] + i * right, right * 4);
	}
	memcpy(t.values[3], t.values[1], rows * right * 4);
	for (size_t i = 0; i < rows * right; i++)
		t.values[4][i] = 0.25f;
	compare(&t, names);
	trial_close(&t);
}

static void random_copies(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < num_cases() / 2; i++)
		check_copies(10000 + i);
}

/* ---------------------------------------------------------------- updates */

static void check_update(uint64_t seed)
{
	enum { W, DW, V, S, ADAM };
	static const char *const names[] = {"w", "dw", "v", "s", "constants"};
	struct ref_optimizer opt = {.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-6f};
	struct igrad_parameter args;
	enum igrad_update update;
	struct trial t;
	size_t n, cols;

	trial_open(&t, seed);
	n = between(&t, 1, 80);
	cols = between(&t, 1, 300);
	update = (enum igrad_update)between(&t, IGRAD_UPDATE_NONE, IGRAD_UPDATE_ADAM);
	opt.decay = between(&t, 0, 1) ? 0.05f : 0.0f;
	opt.use_momentum = update == IGRAD_UPDATE_MOMENTUM;
	opt.use_adam = update == IGRAD_UPDATE_ADAM;
	for (unsigned int i = W; i <= S; i++)
		add(&t, n, cols, false);
	add(&t, 1, IGRAD_ADAM_WORDS, false);
	absolute(t.values[S], n * cols);
	matrix_put(&t.m[S], t.values[S]);
	ref_adam_constants(&opt, 3, t.values[ADAM]);
	matrix_put(&t.m[ADAM], t.values[ADAM]);
	args = (struct igrad_parameter){
		.w = &t.m[W],
		.dw = &t.m[DW],
		.v = update >= IGRAD_UPDATE_MOMENTUM ? &t.m[V] : NULL,
		.s = opt.use_adam ? &t.m[S] : NULL,
		.adam = opt.use_adam ? &t.m[ADAM] : NULL,
		.optimizer = {.update = update, .lr = opt.lr, .momentum = 0.9f, .decay = opt.decay},
	};
	assert_int_equal(igrad_update(t.lab.cmdbuf, &args), 0);
	if (igrad_cmdbuf_length(t.lab.cmdbuf))
		lab_run(&t.lab, NULL);
	n *= cols;
	if (opt.use_adam)
		ref_adam(n, t.values[ADAM], opt.decay != 0.0f, t.values[DW], t.values[V],
			 t.values[S], t.values[W]);
	for (size_t i = 0; opt.use_momentum && i < n; i++)
		t.values[V][i] = fmaf(0.9f, t.values[V][i], t.values[DW][i]);
	if (update == IGRAD_UPDATE_SGD || opt.use_momentum)
		ref_update(n, &opt, t.values[opt.use_momentum ? V : DW], t.values[W]);
	compare(&t, names);
	trial_close(&t);
}

static void random_updates(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < num_cases() / 2; i++)
		check_update(11000 + i);
}

/* ---------------------------------------------------------------- what is refused */

static void bad_shapes(void **state)
{
	const struct igrad_pool_shape good = {.batch = 1,
					      .height = 4,
					      .width = 4,
					      .channels = 1,
					      .kernel_y = 2,
					      .kernel_x = 2,
					      .stride_y = 2,
					      .stride_x = 2};
	struct igrad_pool_shape s = good;
	uint32_t height, width;

	(void)state;
	assert_int_equal(igrad_pool_output(&s, &height, &width), 0);
	assert_int_equal(height, 2);
	s.kernel_y = 5;
	assert_int_equal(igrad_pool_output(&s, &height, &width), -EINVAL);
	s = good;
	s.pad_left = 2;
	assert_int_equal(igrad_pool_output(&s, &height, &width), -EINVAL);
	s = good;
	s.stride_x = 0;
	assert_int_equal(igrad_pool_output(&s, &height, &width), -EINVAL);
	s = good;
	s.height = 16385;
	assert_int_equal(igrad_pool_output(&s, &height, &width), -EINVAL);
	s = good;
	s.skip_border = true; /* of a maximum */
	assert_int_equal(igrad_pool_output(&s, &height, &width), -EINVAL);
	/* A third window would begin in the padding behind. */
	s = good;
	s.height = 5;
	s.pad_bottom = 1;
	s.ceil = true;
	assert_int_equal(igrad_pool_output(&s, &height, &width), 0);
	assert_int_equal(height, 3);
	s.height = 4;
	assert_int_equal(igrad_pool_output(&s, &height, &width), 0);
	assert_int_equal(height, 2);
}

static void bad_operands(void **state)
{
	struct igrad_matrix *a, *b, *row, *half;
	struct igrad_batchnorm_forward norm;
	struct igrad_dropout dropout;
	struct trial t;

	(void)state;
	trial_open(&t, 1);
	a = &t.m[add(&t, 4, 3, false)];
	b = &t.m[add(&t, 4, 2, false)];
	row = &t.m[add(&t, 1, 3, false)];
	half = &t.m[add(&t, 4, 3, false)];
	half->dtype = IGRAD_BF16;
	assert_int_equal(igrad_add(t.lab.cmdbuf, &(struct igrad_add){a, b, a, false}), -EINVAL);
	assert_int_equal(igrad_add(t.lab.cmdbuf, &(struct igrad_add){a, NULL, a, false}), -EINVAL);
	assert_int_equal(igrad_add(t.lab.cmdbuf, &(struct igrad_add){a, half, a, false}), -ENOTSUP);
	assert_int_equal(igrad_copy(t.lab.cmdbuf, a, b), -EINVAL);
	assert_int_equal(igrad_relu_forward(t.lab.cmdbuf, NULL, a), -EINVAL);
	dropout = (struct igrad_dropout){a, a, row, 0, 0.5f};
	assert_int_equal(igrad_dropout(t.lab.cmdbuf, &dropout), -EINVAL); /* seed of 3 words */
	norm = (struct igrad_batchnorm_forward){.training = true,
						.x = a,
						.gamma = row,
						.beta = row,
						.y = a,
						.mean = row,
						.inverse = row};
	assert_int_equal(igrad_batchnorm_forward(t.lab.cmdbuf, &norm), -EINVAL); /* in place */
	norm.training = false;
	assert_int_equal(igrad_batchnorm_forward(t.lab.cmdbuf, &norm), -EINVAL);
	assert_int_equal(igrad_cmdbuf_length(t.lab.cmdbuf), 0);
	half->dtype = IGRAD_FP32;
	trial_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_pools),	     cmocka_unit_test(random_batchnorms),
		cmocka_unit_test(random_inferences), cmocka_unit_test(random_sums),
		cmocka_unit_test(random_dropouts),   cmocka_unit_test(dropout_is_philox),
		cmocka_unit_test(random_copies),     cmocka_unit_test(random_updates),
		cmocka_unit_test(bad_shapes),	     cmocka_unit_test(bad_operands),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
