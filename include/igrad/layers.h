/* SPDX-License-Identifier: MIT */
/*
 * Layers beside linear ones (igrad.h) and convolutions (conv.h): pooling, batch normalisation,
 * sums, dropout, copies, and the update of a parameter whose gradient is known.
 *
 * All is fp32. Images are NHWC as conv.h has them: a row per pixel, a column per channel. A matrix
 * that is one for many columns is 1 × C. What must live from the forward to the backward pass is a
 * matrix of the caller's: nothing here keeps memory. Every function appends commands to a command
 * buffer, and cuts what does not fit SRAM; results do not depend on how, nor on the array's size:
 * the order of every sum is fixed, and said below.
 *
 * Operands of one call must not overlap, unless its description says that one may be another, which
 * then is exactly the same matrix: buffer, offset and pitch. Several views of one buffer that share
 * no element, such as column slices of a wider matrix, do not overlap. Flattening needs no
 * function: a matrix of batch·h·w × c is one of batch × h·w·c in the same memory.
 *
 * Functions return -EINVAL when a matrix is missing or has the wrong size, or a number is out of
 * range; -ENOTSUP for bf16; -ENOSPC when SRAM is too small for the smallest piece; and what
 * igrad_cmdbuf_emit() returns.
 */
#ifndef IGRAD_LAYERS_H
#define IGRAD_LAYERS_H

#include "igrad/igrad.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- pooling */

/**
 * struct igrad_pool_shape - windows over images
 * @batch: images
 * @height: of an image, in pixels, up to 16384; likewise @width
 * @channels: of a pixel
 * @kernel_y: rows of a window; @kernel_x: its columns. For one window over all, those of the image
 * @stride_y: input rows from one output row to the next, at least 1; likewise @stride_x
 * @pad_top: rows that are thought to lie above an image, less than @kernel_y; likewise the others
 * @average: the mean of a window; else its maximum
 * @ceil: a last window that reaches beyond the padding counts, if it begins in the image or in the
 *        padding before it
 * @skip_border: a mean is that of pixels of the image only; else zeros of the padding count too
 *               (never what a window covers beyond the padding)
 */
struct igrad_pool_shape {
	uint32_t batch;
	uint32_t height;
	uint32_t width;
	uint32_t channels;
	uint32_t kernel_y;
	uint32_t kernel_x;
	uint32_t stride_y;
	uint32_t stride_x;
	uint32_t pad_top;
	uint32_t pad_bottom;
	uint32_t pad_left;
	uint32_t pad_right;
	bool average;
	bool ceil;
	bool skip_border;
};

/** igrad_pool_output - how large output images are; -EINVAL when the shape is not one */
int igrad_pool_output(const struct igrad_pool_shape *shape, uint32_t *height, uint32_t *width);

/**
 * struct igrad_pool_forward - each window's maximum or mean
 * @x: batch·height·width × channels
 * @y: batch·(output height)·(output width) × channels
 * @index: as large as y, or NULL: where the maximum was, for igrad_pool_backward(): a 32-bit
 * integer in place of fp32, ky·kernel_x + kx, counted in the window. NULL with @average
 *
 * The maximum is the first of the largest in row-major order; if there are NaNs, it is the first of
 * those. A mean is round(s / n): s the sum of the window's pixels in row-major order, from +0; n
 * how many count.
 */
struct igrad_pool_forward {
	struct igrad_pool_shape shape;
	const struct igrad_matrix *x;
	const struct igrad_matrix *y;
	const struct igrad_matrix *index;
};

int igrad_pool_forward(struct igrad_cmdbuf *cmdbuf, const struct igrad_pool_forward *args);

/**
 * struct igrad_pool_backward - the gradient of a pooling layer
 * @dy: batch·(output height)·(output width) × channels
 * @index: what igrad_pool_forward() wrote; NULL with @average
 * @dx: batch·height·width × channels
 *
 * A pixel's gradient is the sum of those of the windows that it is the maximum of, or of
 * round(dy / n) of all windows that it is in, from +0, in increasing (oy, ox).
 */
struct igrad_pool_backward {
	struct igrad_pool_shape shape;
	const struct igrad_matrix *dy;
	const struct igrad_matrix *index;
	const struct igrad_matrix *dx;
};

int igrad_pool_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_pool_backward *args);

/* ---------------------------------------------------------------- batch normalisation */

/**
 * struct igrad_batchnorm_forward - every column is given mean 0 and variance 1, then scale and
 * shift
 * @training: with the statistics of the batch; else with the running ones
 * @x: N × C; when training N is at least 2, and at most 2^24
 * @gamma: 1 × C
 * @beta: 1 × C
 * @y: N × C; may be @x when not training
 * @mean: 1 × C, written when training, for igrad_batchnorm_backward(); else NULL
 * @inverse: 1 × C, 1/σ, likewise
 * @running_mean: 1 × C, updated when training (both or none may be NULL then), else read
 * @running_variance: 1 × C, likewise
 * @epsilon: what is added to variances
 * @momentum: how much of running statistics is replaced when training, 0 … 1
 * @relu: y = max(y, 0) afterwards
 *
 * Each operation rounds once; r = round(1/N), in fp32. For each column, rows in increasing order:
 *
 *     mean = r·Σ x                                   sums begin at +0
 *     variance = r·q, q = fma(t, t, q) for t = x − mean
 *     inverse = 1 / √(variance + epsilon)
 *     y = fma((x − mean)·inverse, gamma, beta)
 *     running_mean = fma(momentum, mean, (1 − momentum)·running_mean)
 *     running_variance = fma(m, variance, (1 − momentum)·running_variance)
 *
 * with m = momentum·N / (N − 1), and 1 − momentum, computed in double and rounded to fp32.
 * Without @training it is y alone, with mean = running_mean and inverse = 1 / √(running_variance +
 * epsilon).
 */
struct igrad_batchnorm_forward {
	bool training;
	const struct igrad_matrix *x;
	const struct igrad_matrix *gamma;
	const struct igrad_matrix *beta;
	const struct igrad_matrix *y;
	const struct igrad_matrix *mean;
	const struct igrad_matrix *inverse;
	const struct igrad_matrix *running_mean;
	const struct igrad_matrix *running_variance;
	float epsilon;
	float momentum;
	bool relu;
};

int igrad_batchnorm_forward(struct igrad_cmdbuf *cmdbuf,
			    const struct igrad_batchnorm_forward *args);

/**
 * struct igrad_batchnorm_backward - gradients of a layer that normalised with its batch's
 * statistics
 * @x: N × C, the layer's input
 * @gamma: 1 × C
 * @mean: 1 × C, from the forward pass
 * @inverse: 1 × C, likewise
 * @y: N × C or NULL: the layer's output after ReLU; its gradient is then applied to @dy first
 * @dy: N × C
 * @dx: N × C, or NULL when the input needs no gradient; may be @dy
 * @dgamma: 1 × C
 * @dbeta: 1 × C
 *
 * With h = (x − mean)·inverse, rows in increasing order, and r = round(1/N):
 *
 *     dbeta = Σ dy,  dgamma = s, s = fma(dy, h, s)                  from +0
 *     dx = (gamma·inverse)·fma(−h, r·dgamma, dy − r·dbeta)
 */
struct igrad_batchnorm_backward {
	const struct igrad_matrix *x;
	const struct igrad_matrix *gamma;
	const struct igrad_matrix *mean;
	const struct igrad_matrix *inverse;
	const struct igrad_matrix *y;
	const struct igrad_matrix *dy;
	const struct igrad_matrix *dx;
	const struct igrad_matrix *dgamma;
	const struct igrad_matrix *dbeta;
};

int igrad_batchnorm_backward(struct igrad_cmdbuf *cmdbuf,
			     const struct igrad_batchnorm_backward *args);

/* ---------------------------------------------------------------- element by element */

/**
 * struct igrad_add - y = a + b
 * @a: R × C
 * @b: R × C
 * @y: R × C; may be @a or @b
 * @relu: y = max(y, 0) afterwards
 *
 * The gradient of a sum is that of both terms; gradients that come from several places are added
 * with this, too.
 */
struct igrad_add {
	const struct igrad_matrix *a;
	const struct igrad_matrix *b;
	const struct igrad_matrix *y;
	bool relu;
};

int igrad_add(struct igrad_cmdbuf *cmdbuf, const struct igrad_add *args);

/** igrad_relu_forward - y = max(x, 0), NaN stays NaN; y may be x */
int igrad_relu_forward(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *x,
		       const struct igrad_matrix *y);

/** igrad_relu_backward - dx = dy where the layer's output y is positive, else +0; dx may be dy */
int igrad_relu_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *y,
			const struct igrad_matrix *dy, const struct igrad_matrix *dx);

/**
 * struct igrad_dropout - some elements become +0, the others are multiplied by 1 / (1 − rate)
 * @x: R × C; backward, dy
 * @y: R × C; may be @x; backward, dx
 * @seed: 1 × 2: two 32-bit words in place of fp32, looked at when the commands are executed: so a
 *        command buffer that is submitted again can take another seed
 * @stream: tells layers from each other that share a seed
 * @rate: of what is dropped, at least 0 and less than 1
 *
 * Which elements depends on seed, stream, row and column only: the same call with dy for x is the
 * backward pass. An element stays when its random number, 0 … 2^32 − 1, is at least rate·2^32,
 * rounded down. The manual's VEC_DROPOUT says how that number is made.
 */
struct igrad_dropout {
	const struct igrad_matrix *x;
	const struct igrad_matrix *y;
	const struct igrad_matrix *seed;
	uint32_t stream;
	float rate;
};

int igrad_dropout(struct igrad_cmdbuf *cmdbuf, const struct igrad_dropout *args);

/** igrad_copy - @to = @from, bits unchanged; both may be slices of wider matrices */
int igrad_copy(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *from,
	       const struct igrad_matrix *to);

/** igrad_fill - every element of @m becomes @value */
int igrad_fill(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *m, float value);

/**
 * struct igrad_parameter - what a parameter's gradient does to it
 * @w: R × C, updated in place
 * @dw: R × C, its gradient, as it is; not scaled by anything here
 * @v: R × C: velocity for IGRAD_UPDATE_MOMENTUM, first moment for IGRAD_UPDATE_ADAM, else NULL
 * @s: R × C: second moment for IGRAD_UPDATE_ADAM, else NULL
 * @adam: 1 × IGRAD_ADAM_WORDS for IGRAD_UPDATE_ADAM, else NULL: igrad_adam_constants(), looked at
 *        when the commands are executed
 * @optimizer: IGRAD_UPDATE_NONE does nothing
 *
 * SGD and Adam as in struct igrad_optimizer. With momentum the gradient is a sum already, so
 * v = fma(momentum, v, dw), and then w = fma(−η, v, t).
 */
struct igrad_parameter {
	const struct igrad_matrix *w;
	const struct igrad_matrix *dw;
	const struct igrad_matrix *v;
	const struct igrad_matrix *s;
	const struct igrad_matrix *adam;
	struct igrad_optimizer optimizer;
};

/** igrad_update - one parameter, by its gradient */
int igrad_update(struct igrad_cmdbuf *cmdbuf, const struct igrad_parameter *args);

#ifdef __cplusplus
}
#endif

#endif /* IGRAD_LAYERS_H */
