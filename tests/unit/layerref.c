// SPDX-License-Identifier: MIT
#include <math.h>
#include <stdlib.h>

#include "layerref.h"

/* ---------------------------------------------------------------- pooling */

/* The pixel at (ky, kx) of a window, or -1 where the image has none. */
static long pixel_of(const struct igrad_pool_shape *s, size_t image, size_t oy, size_t ox,
		     uint32_t k)
{
	long y = (long)(oy * s->stride_y + k / s->kernel_x) - (long)s->pad_top;
	long x = (long)(ox * s->stride_x + k % s->kernel_x) - (long)s->pad_left;

	if (y < 0 || y >= (long)s->height || x < 0 || x >= (long)s->width)
		return -1;
	return ((long)image * s->height + y) * s->width + x;
}

/* How many count: those of the image, or those of the padding too. */
static float divisor(const struct igrad_pool_shape *s, size_t oy, size_t ox)
{
	size_t n = 0;

	for (uint32_t k = 0; k < s->kernel_y * s->kernel_x; k++) {
		size_t y = oy * s->stride_y + k / s->kernel_x;
		size_t x = ox * s->stride_x + k % s->kernel_x;

		n += s->skip_border ? pixel_of(s, 0, oy, ox, k) >= 0
				    : y < s->pad_top + s->height + s->pad_bottom &&
					      x < s->pad_left + s->width + s->pad_right;
	}
	return (float)n;
}

struct window {
	const struct igrad_pool_shape *s;
	size_t image, oy, ox, output;
};

typedef void window_fn(const struct window *w, void *with);

static void each_window(const struct igrad_pool_shape *s, uint32_t height, uint32_t width,
			window_fn *fn, void *with)
{
	struct window w = {.s = s};

	for (w.image = 0; w.image < s->batch; w.image++)
		for (w.oy = 0; w.oy < height; w.oy++)
			for (w.ox = 0; w.ox < width; w.ox++, w.output++)
				fn(&w, with);
}

struct forward {
	const float *x;
	float *y;
	uint32_t *index;
};

static void mean_of(const struct window *w, size_t c, const struct forward *f)
{
	float *y = &f->y[w->output * w->s->channels + c];

	*y = 0.0f;
	for (uint32_t k = 0; k < w->s->kernel_y * w->s->kernel_x; k++) {
		long pixel = pixel_of(w->s, w->image, w->oy, w->ox, k);

		if (pixel >= 0)
			*y += f->x[(size_t)pixel * w->s->channels + c];
	}
	*y /= divisor(w->s, w->oy, w->ox);
}

static void maximum_of(const struct window *w, size_t c, const struct forward *f)
{
	size_t at = w->output * w->s->channels + c;
	bool any = false;

	for (uint32_t k = 0; k < w->s->kernel_y * w->s->kernel_x; k++) {
		long pixel = pixel_of(w->s, w->image, w->oy, w->ox, k);
		float x = pixel < 0 ? 0.0f : f->x[(size_t)pixel * w->s->channels + c];

		if (pixel < 0 || (any && (isnan(f->y[at]) || !(x > f->y[at] || isnan(x)))))
			continue;
		any = true;
		f->y[at] = x;
		if (f->index)
			f->index[at] = k;
	}
}

static void forward_window(const struct window *w, void *with)
{
	for (size_t c = 0; c < w->s->channels; c++) {
		if (w->s->average)
			mean_of(w, c, with);
		else
			maximum_of(w, c, with);
	}
}

void ref_pool_forward(const struct igrad_pool_shape *s, uint32_t height, uint32_t width,
		      const float *x, float *y, uint32_t *index)
{
	struct forward f = {x, y, index};

	each_window(s, height, width, forward_window, &f);
}

struct backward {
	const float *dy;
	const uint32_t *index;
	float *dx;
};

static void backward_window(const struct window *w, void *with)
{
	const struct backward *b = with;
	const size_t channels = w->s->channels;

	for (uint32_t k = 0; k < w->s->kernel_y * w->s->kernel_x; k++) {
		long pixel = pixel_of(w->s, w->image, w->oy, w->ox, k);

		for (size_t c = 0; pixel >= 0 && c < channels; c++) {
			float dy = b->dy[w->output * channels + c];

			if (w->s->average)
				b->dx[(size_t)pixel * channels + c] += dy /
								       divisor(w->s, w->oy, w->ox);
			else if (b->index[w->output * channels + c] == k)
				b->dx[(size_t)pixel * channels + c] += dy;
		}
	}
}

void ref_pool_backward(const struct igrad_pool_shape *s, uint32_t height, uint32_t width,
		       const float *dy, const uint32_t *index, float *dx)
{
	struct backward b = {dy, index, dx};

	for (size_t i = 0; i < (size_t)s->batch * s->height * s->width * s->channels; i++)
		dx[i] = 0.0f;
	each_window(s, height, width, backward_window, &b);
}

/* ---------------------------------------------------------------- batch normalisation */

float ref_inverse(float variance, float epsilon)
{
	float root = sqrtf(variance + epsilon);

	return 1.0f / root;
}

void ref_batch_statistics(size_t n, size_t c, const float *x, float epsilon, float *mean,
			  float *variance, float *inverse)
{
	const float r = 1.0f / (float)n;

	for (size_t j = 0; j < c; j++) {
		float sum = 0.0f, squares = 0.0f;

		for (size_t i = 0; i < n; i++)
			sum += x[i * c + j];
		mean[j] = r * sum;
		for (size_t i = 0; i < n; i++) {
			float t = x[i * c + j] - mean[j];

			squares = fmaf(t, t, squares);
		}
		variance[j] = r * squares;
		inverse[j] = ref_inverse(variance[j], epsilon);
	}
}

void ref_running(size_t n, size_t c, float momentum, const float *mean, const float *variance,
		 float *running_mean, float *running_variance)
{
	const float rest = (float)(1.0 - momentum);
	const float m = (float)(momentum * (double)n / ((double)n - 1.0));

	for (size_t j = 0; j < c; j++) {
		running_mean[j] = fmaf(momentum, mean[j], rest * running_mean[j]);
		running_variance[j] = fmaf(m, variance[j], rest * running_variance[j]);
	}
}

void ref_normalise(size_t n, size_t c, const float *x, const float *mean, const float *inverse,
		   const float *gamma, const float *beta, float *y)
{
	for (size_t i = 0; i < n * c; i++) {
		float t = x[i] - mean[i % c];

		y[i] = fmaf(t * inverse[i % c], gamma[i % c], beta[i % c]);
	}
}

void ref_normalise_backward(size_t n, size_t c, const float *x, const float *gamma,
			    const float *mean, const float *inverse, const float *dy, float *dx,
			    float *dgamma, float *dbeta)
{
	const float r = 1.0f / (float)n;

	for (size_t j = 0; j < c; j++) {
		dgamma[j] = dbeta[j] = 0.0f;
		for (size_t i = 0; i < n; i++) {
			float t = x[i * c + j] - mean[j];

			dbeta[j] += dy[i * c + j];
			dgamma[j] = fmaf(dy[i * c + j], t * inverse[j], dgamma[j]);
		}
		for (size_t i = 0; i < n; i++) {
			float t = x[i * c + j] - mean[j], factor = gamma[j] * inverse[j];
			float centred = dy[i * c + j] - r * dbeta[j];

			dx[i * c + j] = factor * fmaf(-(t * inverse[j]), r * dgamma[j], centred);
		}
	}
}

/* ---------------------------------------------------------------- element by element */

static uint32_t random_number(const uint32_t seed[2], uint32_t stream, uint32_t row, uint32_t col)
{
	uint32_t x[4] = {row, col / 4, stream, 0}, key[2] = {seed[0], seed[1]};

	for (int round = 0; round < 10; round++) {
		uint64_t a = (uint64_t)x[0] * 0xd2511f53u, b = (uint64_t)x[2] * 0xcd9e8d57u;
		uint32_t old1 = x[1], old3 = x[3];

		x[0] = (uint32_t)(b >> 32) ^ old1 ^ key[0];
		x[1] = (uint32_t)b;
		x[2] = (uint32_t)(a >> 32) ^ old3 ^ key[1];
		x[3] = (uint32_t)a;
		key[0] += 0x9e3779b9u;
		key[1] += 0xbb67ae85u;
	}
	return x[col % 4];
}

void ref_dropout(size_t rows, size_t cols, const uint32_t seed[2], uint32_t stream, float rate,
		 const float *x, float *y)
{
	const double threshold = floor(rate * 4294967296.0);
	const float scale = (float)(1.0 / (1.0 - rate));

	for (size_t i = 0; i < rows; i++) {
		for (size_t j = 0; j < cols; j++) {
			uint32_t number = random_number(seed, stream, (uint32_t)i, (uint32_t)j);

			y[i * cols + j] = number >= threshold ? x[i * cols + j] * scale : 0.0f;
		}
	}
}

void ref_relu(size_t n, float *values)
{
	for (size_t i = 0; i < n; i++)
		if (values[i] <= 0.0f)
			values[i] = 0.0f;
}
