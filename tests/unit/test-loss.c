// SPDX-License-Identifier: MIT
/* Softmax cross-entropy against the host reference, and gradients against finite differences. */
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
#include "matrices.h"

static void fill_labels(struct igrad_rng *rng, uint32_t *labels, uint32_t B, uint32_t O)
{
	for (uint32_t b = 0; b < B; b++)
		labels[b] = igrad_rng_below(rng, O);
}

/* ---------------------------------------------------------------- bits */

static void loss_case(uint64_t seed)
{
	static const char *const uris[] = {"sim:rows=1,cols=1,sram-kib=16", "sim:rows=8,cols=7",
					   "sim:rows=32,cols=32,sram-kib=16"};
	struct igrad_matrix logits, labels, dlogits, losses;
	float *a, *d, *l, scale;
	uint32_t *classes, B, O;
	struct igrad_rng rng;
	struct lab lab;

	igrad_rng_seed(&rng, seed);
	lab_open(&lab, uris[igrad_rng_below(&rng, 3)]);
	B = random_between(&rng, 1, 200);
	O = random_between(&rng, 1, igrad_rng_below(&rng, 5) ? 40 : 2047);
	scale = 1.0f / (float)B;
	a = calloc(B * O, sizeof(*a));
	d = calloc(B * O, sizeof(*d));
	l = calloc(B, sizeof(*l));
	classes = calloc(B, sizeof(*classes));
	random_values(&rng, a, B * O, !igrad_rng_below(&rng, 4));
	for (uint32_t i = 0; igrad_rng_below(&rng, 2) && i < B * O; i++)
		a[i] *= 100.0f;
	fill_labels(&rng, classes, B, O);

	logits = matrix_new(lab.device, &rng, B, O);
	labels = matrix_new(lab.device, &rng, B, 1);
	dlogits = matrix_new(lab.device, &rng, B, O);
	losses = matrix_new(lab.device, &rng, B, 1);
	matrix_put(&logits, a);
	matrix_put(&labels, (const float *)classes);
	assert_int_equal(igrad_softmax_xent(lab.cmdbuf, &logits, &labels, &dlogits, &losses, scale),
			 0);
	assert_int_equal(igrad_queue_run(lab.queue, lab.cmdbuf, NULL), 0);
	ref_softmax_xent(B, O, a, classes, scale, d, l);
	assert_matrix_is("dlogits", &dlogits, d);
	assert_matrix_is("losses", &losses, l);
	assert_margins("dlogits", &dlogits);
	assert_margins("losses", &losses);

	matrix_free(&logits);
	matrix_free(&labels);
	matrix_free(&dlogits);
	matrix_free(&losses);
	free(a);
	free(d);
	free(l);
	free(classes);
	lab_close(&lab);
}

static void test_loss(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++)
		loss_case(seed);
}

/* The reference's own exp and log are what they say: within 2 ulp of the truth. */
static void test_exp_and_log(void **state)
{
	struct igrad_rng rng;

	(void)state;
	igrad_rng_seed(&rng, 1);
	for (int i = 0; i < 200000; i++) {
		float x = -87.0f * igrad_rng_float(&rng), y = ref_exp(x);
		float p = ldexpf(1.0f + igrad_rng_float(&rng),
				 (int)igrad_rng_below(&rng, 250) - 125);
		double truth = exp(x), ulp = nextafterf(y, INFINITY) - y;

		assert_true(fabs(y - truth) <= 2.0 * ulp);
		y = ref_log(p);
		truth = log(p);
		ulp = nextafterf(fabsf(y), INFINITY) - fabsf(y);
		assert_true(fabs(y - truth) <= 2.0 * ulp + 1e-45);
	}
}

/* ---------------------------------------------------------------- errors */

static void test_errors(void **state)
{
	struct igrad_matrix logits, labels, dlogits, losses, wide;
	struct igrad_rng rng;
	struct lab lab;

	(void)state;
	igrad_rng_seed(&rng, 2);
	lab_open(&lab, "sim:rows=4,cols=4,sram-kib=16");
	logits = matrix_new(lab.device, &rng, 3, 5);
	dlogits = matrix_new(lab.device, &rng, 3, 5);
	labels = matrix_new(lab.device, &rng, 3, 1);
	losses = matrix_new(lab.device, &rng, 3, 1);
	wide = matrix_new(lab.device, &rng, 3, 2048);
	assert_int_equal(igrad_softmax_xent(lab.cmdbuf, &logits, &labels, &dlogits, NULL, 1.0f),
			 -EINVAL);
	assert_int_equal(igrad_softmax_xent(lab.cmdbuf, &logits, &logits, &dlogits, &losses, 1.0f),
			 -EINVAL);
	assert_int_equal(igrad_softmax_xent(lab.cmdbuf, &wide, &labels, &wide, &losses, 1.0f),
			 -ENOSPC);
	assert_int_equal(igrad_cmdbuf_length(lab.cmdbuf), 0);
	/* A label beyond the classes is the device's to refuse. */
	matrix_put(&labels, (const float *)(const uint32_t[]){0, 5, 1});
	assert_int_equal(igrad_softmax_xent(lab.cmdbuf, &logits, &labels, &dlogits, &losses, 1.0f),
			 0);
	assert_int_equal(igrad_queue_run(lab.queue, lab.cmdbuf, NULL), -EINVAL);
	matrix_free(&logits);
	matrix_free(&dlogits);
	matrix_free(&labels);
	matrix_free(&losses);
	matrix_free(&wide);
	lab_close(&lab);
}

/* ---------------------------------------------------------------- finite differences */

enum { BATCH = 5, IN = 6, OUT = 4 };

static double loss_in_double(const float *x, const float *w, const float *b, const uint32_t *labels)
{
	double total = 0.0;

	for (int r = 0; r < BATCH; r++) {
		double y[OUT], sum = 0.0;

		for (int o = 0; o < OUT; o++) {
			y[o] = b[o];
			for (int i = 0; i < IN; i++)
				y[o] += (double)x[r * IN + i] * w[i * OUT + o];
			sum += exp(y[o]);
		}
		total += log(sum) - y[labels[r]];
	}
	return total / BATCH;
}

/* The derivative of the mean loss by one number in @values. */
static double slope(float *value, const float *x, const float *w, const float *b,
		    const uint32_t *labels)
{
	const float kept = *value, h = 0x1p-10f;
	double above, below;

	*value = kept + h;
	above = loss_in_double(x, w, b, labels);
	*value = kept - h;
	below = loss_in_double(x, w, b, labels);
	*value = kept;
	return (above - below) / (2.0 * h);
}

static void check_slopes(const char *what, const struct igrad_matrix *m, float *values,
			 const float *x, const float *w, const float *b, const uint32_t *labels)
{
	float *gradient = matrix_get(m);

	for (uint32_t i = 0; i < m->rows * m->cols; i++) {
		double expected = slope(&values[i], x, w, b, labels);

		if (fabs(gradient[i] - expected) > 1e-4)
			fail_msg("%s[%u]: gradient %g, slope %g", what, i, gradient[i], expected);
	}
	free(gradient);
}

/* A layer and the loss on the device: its gradients are the slopes of the loss as defined. */
static void test_finite_differences(void **state)
{
	float x[BATCH * IN], w[IN * OUT], b[OUT];
	uint32_t labels[BATCH];
	struct igrad_matrix mx, mw, mb, my, ml, mdy, mloss, mdx, mdw, mdb;
	struct igrad_rng rng;
	struct lab lab;

	(void)state;
	igrad_rng_seed(&rng, 4);
	lab_open(&lab, "sim:rows=4,cols=3");
	random_values(&rng, x, BATCH * IN, false);
	random_values(&rng, w, IN * OUT, false);
	random_values(&rng, b, OUT, false);
	fill_labels(&rng, labels, BATCH, OUT);
	mx = matrix_new(lab.device, &rng, BATCH, IN);
	mw = matrix_new(lab.device, &rng, IN, OUT);
	mb = matrix_new(lab.device, &rng, 1, OUT);
	my = matrix_new(lab.device, &rng, BATCH, OUT);
	ml = matrix_new(lab.device, &rng, BATCH, 1);
	mdy = matrix_new(lab.device, &rng, BATCH, OUT);
	mloss = matrix_new(lab.device, &rng, BATCH, 1);
	mdx = matrix_new(lab.device, &rng, BATCH, IN);
	mdw = matrix_new(lab.device, &rng, IN, OUT);
	mdb = matrix_new(lab.device, &rng, 1, OUT);
	matrix_put(&mx, x);
	matrix_put(&mw, w);
	matrix_put(&mb, b);
	matrix_put(&ml, (const float *)labels);
	for (int schedule = 0; schedule < IGRAD_SCHEDULE_AUTO; schedule++) {
		struct igrad_linear_backward backward = {
			.schedule = schedule,
			.x = &mx,
			.w = &mw,
			.b = &mb,
			.dy = &mdy,
			.dx = &mdx,
			.dw = &mdw,
			.db = &mdb,
		};

		assert_int_equal(igrad_cmdbuf_reset(lab.cmdbuf), 0);
		igrad_linear_forward(lab.cmdbuf, &mx, &mw, &mb, false, &my);
		igrad_softmax_xent(lab.cmdbuf, &my, &ml, &mdy, &mloss, 1.0f / BATCH);
		assert_int_equal(igrad_linear_backward(lab.cmdbuf, &backward), 0);
		assert_int_equal(igrad_queue_run(lab.queue, lab.cmdbuf, NULL), 0);
		check_slopes("dx", &mdx, x, x, w, b, labels);
		check_slopes("dw", &mdw, w, x, w, b, labels);
		check_slopes("db", &mdb, b, x, w, b, labels);
	}
	assert_int_equal(igrad_cmdbuf_reset(lab.cmdbuf), 0);
	matrix_free(&mx);
	matrix_free(&mw);
	matrix_free(&mb);
	matrix_free(&my);
	matrix_free(&ml);
	matrix_free(&mdy);
	matrix_free(&mloss);
	matrix_free(&mdx);
	matrix_free(&mdw);
	matrix_free(&mdb);
	lab_close(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_exp_and_log),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_finite_differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
