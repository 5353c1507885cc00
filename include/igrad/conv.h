/* SPDX-License-Identifier: MIT */
/*
 * Convolutions: the array walks over images that lie in SRAM as they are, so that no matrix of
 * patches ("im2col") exists anywhere.
 *
 * Images are NHWC: a matrix with a row per pixel and a column per channel, image after image, row
 * of pixels after row of pixels. That is what a tile of the array wants: its rows are channels of
 * one pixel, which lie side by side. Weights are KH·KW·(I/groups) × O: for each position in the
 * kernel, in row-major order, in-channels × out-channels.
 *
 * Sums go on one fused multiply-add at a time, whatever the array, the schedule and the way that a
 * layer is cut: y over increasing (ky, kx, i), dX of a pixel over increasing (ky, kx, o), dW over
 * increasing (image, oy, ox). What would be outside of an image takes no part, as if it were not
 * there, rather than as zeros.
 */
#ifndef IGRAD_CONV_H
#define IGRAD_CONV_H

#include "igrad/igrad.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct igrad_conv_shape - a convolution's geometry
 * @batch: images
 * @height: of an image, in pixels, up to 65535; likewise @width
 * @in: channels of an input pixel, a multiple of @groups
 * @out: channels of an output pixel, likewise
 * @kernel_y: rows of the kernel; @kernel_x: its columns
 * @stride_y: input rows from one output row to the next, at least 1; likewise @stride_x
 * @pad_top: rows that are thought to lie above an image; likewise the others
 * @dilation_y: input rows from one row of the kernel to the next, at least 1; likewise @dilation_x
 * @groups: in-channels of one group only count for out-channels of the same
 */
struct igrad_conv_shape {
	uint32_t batch;
	uint32_t height;
	uint32_t width;
	uint32_t in;
	uint32_t out;
	uint32_t kernel_y;
	uint32_t kernel_x;
	uint32_t stride_y;
	uint32_t stride_x;
	uint32_t pad_top;
	uint32_t pad_bottom;
	uint32_t pad_left;
	uint32_t pad_right;
	uint32_t dilation_y;
	uint32_t dilation_x;
	uint32_t groups;
};

/**
 * igrad_conv_output - how large output images are
 *
 * -EINVAL when the shape is not one: the kernel is larger than the padded image, channels are no
 * multiple of the groups, or something is zero or beyond its limit.
 */
int igrad_conv_output(const struct igrad_conv_shape *shape, uint32_t *height, uint32_t *width);

/**
 * struct igrad_conv_forward - a convolution's forward pass, in fp32
 * @x: batch·height·width × in
 * @w: kernel_y·kernel_x·in/groups × out
 * @b: 1 × out, or NULL
 * @y: batch·(output height)·(output width) × out
 * @relu: y = max(y, 0) afterwards
 * @objective: what the way of cutting it is chosen for
 * @energy: what IGRAD_OBJECTIVE_ENERGY counts with; NULL: the table that is built in
 */
struct igrad_conv_forward {
	struct igrad_conv_shape shape;
	const struct igrad_matrix *x;
	const struct igrad_matrix *w;
	const struct igrad_matrix *b;
	const struct igrad_matrix *y;
	bool relu;
	enum igrad_objective objective;
	const struct igrad_energy_table *energy;
};

/**
 * igrad_conv_forward - append a convolution to a command buffer
 *
 * -EINVAL when a matrix has not the shape's size, -ENOTSUP for bf16, -ENOSPC when SRAM cannot hold
 * what one row of outputs needs.
 */
int igrad_conv_forward(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_forward *args);

/**
 * struct igrad_conv_backward - a convolution's backward pass, in fp32
 * @schedule: how; the results are the same bit for bit
 *
 * All fields mean what they mean in struct igrad_linear_backward; matrices have the sizes of
 * struct igrad_conv_forward's. With momentum, @dw and @db must be NULL.
 */
struct igrad_conv_backward {
	struct igrad_conv_shape shape;
	enum igrad_schedule schedule;
	const struct igrad_matrix *x;
	const struct igrad_matrix *w;
	const struct igrad_matrix *b;
	const struct igrad_matrix *y;
	const struct igrad_matrix *dy;
	const struct igrad_matrix *dx;
	const struct igrad_matrix *dw;
	const struct igrad_matrix *db;
	const struct igrad_matrix *vw;
	const struct igrad_matrix *vb;
	const struct igrad_matrix *sw;
	const struct igrad_matrix *sb;
	const struct igrad_matrix *adam;
	struct igrad_optimizer optimizer;
	enum igrad_objective objective;
	const struct igrad_energy_table *energy;
};

/** igrad_conv_backward - both gradients and the update; errors as for igrad_conv_forward() */
int igrad_conv_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_conv_backward *args);

#ifdef __cplusplus
}
#endif

#endif /* IGRAD_CONV_H */
