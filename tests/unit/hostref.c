// SPDX-License-Identifier: MIT
/* Training with plain loops of fmaf(). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hostref.h"

/* With fused multiply-add in the instruction set the same loops are quick. It is the same
 * operation. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
	!defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FAST __attribute__((target_clones("default", "fma")))
#else
#define FAST
#endif

static float from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint32_t to_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* NaN results have one encoding; it does no harm to give it to a sum only once it is complete. */
static float canonical(float value)
{
	return isnan(value) ? from_bits(0x7fc00000) : value;
}

static void canonical_all(float *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		values[i] = canonical(values[i]);
}

void ref_round(size_t n, float *values)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t bits = to_bits(values[i]), rest = bits & 0xffff;

		bits -= rest;
		if (isnan(values[i]))
			bits = 0x7fc00000;
		else if (rest > 0x8000 || (rest == 0x8000 && bits & 0x10000))
			bits += 0x10000;
		values[i] = from_bits(bits);
	}
}

float *ref_rounded(size_t n, const float *values)
{
	float *copy = malloc(n * sizeof(*copy));

	if (!copy)
		abort();
	memcpy(copy, values, n * sizeof(*copy));
	ref_round(n, copy);
	return copy;
}

/* ---------------------------------------------------------------- exp and log of the manual */

float ref_exp(float x)
{
	static const float e[] = {0x1.000002p-1f, 0x1.5554c6p-3f, 0x1.554ec2p-5f, 0x1.12154ap-7f,
				  0x1.73b5d2p-10f};
	float shifted, n, r, p;
	int whole, half;

	if (isnan(x))
		return canonical(x);
	x = fminf(fmaxf(x, -104.0f), 89.0f);
	shifted = fmaf(x, 0x1.715476p+0f, 12582912.0f);
	n = shifted - 12582912.0f;
	r = fmaf(n, -0x1.62e430p-1f, x);
	r = fmaf(n, 0x1.05c610p-29f, r);
	p = e[4];
	for (int i = 3; i >= 0; i--)
		p = fmaf(p, r, e[i]);
	p = fmaf(p, r, 1.0f);
	p = fmaf(p, r, 1.0f);
	whole = (int)n;
	half = (int)floor(whole / 2.0);
	return ldexpf(ldexpf(p, half), whole - half);
}

float ref_log(float x)
{
	static const float l[] = {0x1.55555ep-2f,  -0x1.ffffb8p-3f, 0x1.999026p-3f,
				  -0x1.5574fap-3f, 0x1.2602cap-3f,  -0x1.f81066p-4f,
				  0x1.9c4972p-4f,  -0x1.f7f68ep-4f, 0x1.33cac4p-3f};
	float f, p, e = 0.0f;
	int exponent;

	if (isnan(x) || x < 0.0f)
		return from_bits(0x7fc00000);
	if (x == 0.0f)
		return -INFINITY;
	if (isinf(x))
		return x;
	if (x < 0x1p-126f) {
		x *= 0x1p23f;
		e = -23.0f;
	}
	exponent = (int)floor(((double)to_bits(x) - (double)to_bits(0x1.555556p-1f)) / 8388608.0);
	e += (float)exponent;
	f = ldexpf(x, -exponent) - 1.0f;
	p = l[8];
	for (int i = 7; i >= 0; i--)
		p = fmaf(p, f, l[i]);
	p = fmaf(p, f, -0.5f);
	p = fmaf(f * f, p, f);
	return fmaf(e, 0x1.62e430p-1f, fmaf(e, -0x1.05c610p-29f, p));
}

/* ---------------------------------------------------------------- layers */

FAST void ref_forward(struct ref_shape s, const float *x, const float *w, const float *b, bool relu,
		      float *y)
{
	for (size_t r = 0; r < s.B; r++) {
		float *row = y + r * s.O;

		for (size_t o = 0; o < s.O; o++)
			row[o] = 0.0f;
		for (size_t i = 0; i < s.I; i++)
			for (size_t o = 0; o < s.O; o++)
				row[o] = fmaf(x[r * s.I + i], w[i * s.O + o], row[o]);
		canonical_all(row, s.O);
		for (size_t o = 0; b && o < s.O; o++)
			row[o] = canonical(row[o] + b[o]);
		for (size_t o = 0; relu && o < s.O; o++)
			row[o] = isnan(row[o]) ? row[o] : row[o] > 0.0f ? row[o] : 0.0f;
	}
}

void ref_relu_grad(size_t n, const float *y, float *dy)
{
	for (size_t i = 0; i < n; i++)
		dy[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

FAST void ref_dgrad(struct ref_shape s, const float *dy, const float *w, float *dx)
{
	for (size_t r = 0; r < s.B; r++) {
		for (size_t i = 0; i < s.I; i++) {
			float sum = 0.0f;

			for (size_t o = 0; o < s.O; o++)
				sum = fmaf(dy[r * s.O + o], w[i * s.O + o], sum);
			dx[r * s.I + i] = canonical(sum);
		}
	}
}

FAST static void sum_wgrad(struct ref_shape s, const float *x, const float *dy, float *sum)
{
	for (size_t r = 0; r < s.B; r++)
		for (size_t i = 0; i < s.I; i++)
			for (size_t o = 0; o < s.O; o++)
				sum[i * s.O + o] = fmaf(x[r * s.I + i], dy[r * s.O + o],
							sum[i * s.O + o]);
	canonical_all(sum, s.I * s.O);
}

static void sum_bgrad(struct ref_shape s, const float *dy, float *sum)
{
	for (size_t o = 0; o < s.O; o++) {
		for (size_t r = 0; r < s.B; r++)
			sum[o] += dy[r * s.O + o];
		sum[o] = canonical(sum[o]);
	}
}

void ref_wgrad(struct ref_shape s, const float *x, const float *dy, float *dw)
{
	for (size_t i = 0; i < s.I * s.O; i++)
		dw[i] = 0.0f;
	sum_wgrad(s, x, dy, dw);
}

void ref_bgrad(struct ref_shape s, const float *dy, float *db)
{
	for (size_t o = 0; o < s.O; o++)
		db[o] = 0.0f;
	sum_bgrad(s, dy, db);
}

/* v = round(momentum·v), on which the gradient's sum then goes on */
static void scale(size_t n, float momentum, float *v)
{
	for (size_t i = 0; i < n; i++)
		v[i] *= momentum;
}

void ref_velocity(struct ref_shape s, const struct ref_optimizer *opt, const float *x,
		  const float *dy, float *v)
{
	scale(s.I * s.O, opt->momentum, v);
	sum_wgrad(s, x, dy, v);
}

void ref_bias_velocity(struct ref_shape s, const struct ref_optimizer *opt, const float *dy,
		       float *v)
{
	scale(s.O, opt->momentum, v);
	sum_bgrad(s, dy, v);
}

FAST void ref_update(size_t n, const struct ref_optimizer *opt, const float *step, float *w)
{
	float keep = fmaf(-opt->lr, opt->decay, 1.0f);

	for (size_t i = 0; i < n; i++) {
		float t = opt->decay != 0.0f ? canonical(keep * w[i]) : w[i];

		w[i] = canonical(fmaf(-opt->lr, step[i], t));
	}
}

void ref_adam_constants(const struct ref_optimizer *opt, uint32_t step,
			float constants[REF_ADAM_CONSTANTS])
{
	double rest1 = 1 - pow((double)opt->beta1, step), rest2 = 1 - pow((double)opt->beta2, step);

	constants[0] = opt->beta1;
	constants[1] = (float)(1 - (double)opt->beta1);
	constants[2] = opt->beta2;
	constants[3] = (float)(1 - (double)opt->beta2);
	constants[4] = (float)(opt->lr * sqrt(rest2) / rest1);
	constants[5] = (float)(opt->epsilon * sqrt(rest2));
	constants[6] = fmaf(-opt->lr, opt->decay, 1.0f);
}

FAST void ref_adam(size_t n, const float constants[REF_ADAM_CONSTANTS], bool decay, const float *g,
		   float *m, float *v, float *w)
{
	const float *c = constants;

	for (size_t i = 0; i < n; i++) {
		float t = decay ? c[6] * w[i] : w[i], scaled = c[3] * g[i], root, step;

		m[i] = canonical(fmaf(c[1], g[i], c[0] * m[i]));
		v[i] = canonical(fmaf(scaled, g[i], c[2] * v[i]));
		root = sqrtf(v[i]);
		step = m[i] / (root + c[5]);
		w[i] = canonical(fmaf(-c[4], step, t));
	}
}

void ref_softmax_xent(size_t B, size_t O, const float *logits, const uint32_t *labels, float scale,
		      float *dlogits, float *losses)
{
	for (size_t r = 0; r < B; r++) {
		const float *a = logits + r * O;
		float *d = dlogits + r * O;
		float max = a[0], sum = 0.0f;

		for (size_t j = 1; j < O; j++)
			if (a[j] > max)
				max = a[j];
		for (size_t j = 0; j < O; j++) {
			d[j] = ref_exp(a[j] - max);
			sum += d[j];
		}
		losses[r] = ref_log(sum) - (a[labels[r]] - max);
		for (size_t j = 0; j < O; j++) {
			float softmax = d[j] / sum;

			d[j] = (softmax - (j == labels[r] ? 1.0f : 0.0f)) * scale;
		}
	}
}
