/* SPDX-License-Identifier: MIT */
/*
 * Layers with plain loops, after layers.h and the manual and nothing else: what the library's
 * results are held to, bit for bit. All matrices are row-major and contiguous.
 */
#ifndef LAYERREF_H
#define LAYERREF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igrad/layers.h"

/* @index may be NULL, and is not looked at with averages */
void ref_pool_forward(const struct igrad_pool_shape *s, uint32_t height, uint32_t width,
		      const float *x, float *y, uint32_t *index);
void ref_pool_backward(const struct igrad_pool_shape *s, uint32_t height, uint32_t width,
		       const float *dy, const uint32_t *index, float *dx);

/* N × C; of the batch, and from known statistics */
void ref_batch_statistics(size_t n, size_t c, const float *x, float epsilon, float *mean,
			  float *variance, float *inverse);
void ref_running(size_t n, size_t c, float momentum, const float *mean, const float *variance,
		 float *running_mean, float *running_variance);
float ref_inverse(float variance, float epsilon);
void ref_normalise(size_t n, size_t c, const float *x, const float *mean, const float *inverse,
		   const float *gamma, const float *beta, float *y);
void ref_normalise_backward(size_t n, size_t c, const float *x, const float *gamma,
			    const float *mean, const float *inverse, const float *dy, float *dx,
			    float *dgamma, float *dbeta);

void ref_dropout(size_t rows, size_t cols, const uint32_t seed[2], uint32_t stream, float rate,
		 const float *x, float *y);

/* max(x, 0) in place, NaN stays */
void ref_relu(size_t n, float *values);

#endif /* LAYERREF_H */
