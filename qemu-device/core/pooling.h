/* SPDX-License-Identifier: MIT */
/* Pooling: which pixels of an image does a window have? What is checked, counted and done follows.
 */
#ifndef IGRAD_POOLING_H
#define IGRAD_POOLING_H

#include <stdbool.h>
#include <stdint.h>

#include "igrad/hw.h"

static inline bool igrad_pool_is_grad(uint8_t opcode)
{
	return opcode == IGRAD_OP_VEC_POOL_MAX_GRAD || opcode == IGRAD_OP_VEC_POOL_SUM_GRAD;
}

/* Positions of a window along one side that are in the image: from first to end - 1. */
struct igrad_reach {
	uint32_t first;
	uint32_t end;
};

/* @start: the window's first pixel, perhaps outside of the image of @size pixels */
static inline struct igrad_reach igrad_pool_reach(int64_t start, uint32_t kernel, uint32_t size)
{
	const int64_t first = start < 0 ? -start : 0;
	const int64_t end = (int64_t)size - start < kernel ? (int64_t)size - start : kernel;

	if (first >= end)
		return (struct igrad_reach){0, 0};
	return (struct igrad_reach){(uint32_t)first, (uint32_t)end};
}

static inline int64_t igrad_pool_top(const struct igrad_cmd_pool *p, uint32_t oy)
{
	return (int64_t)oy * p->stride_y + IGRAD_TAP_Y(p->tap);
}

static inline int64_t igrad_pool_left(const struct igrad_cmd_pool *p, uint32_t ox)
{
	return (int64_t)ox * p->stride_x + IGRAD_TAP_X(p->tap);
}

/** igrad_pool_sound - no side is 0, channels and images are as many as are allowed, and windows
 * that must have a pixel do */
bool igrad_pool_sound(const struct igrad_cmd *cmd);

/* Words of images, and of outputs. */
struct igrad_pool_sizes {
	uint64_t pixels;
	uint64_t outputs;
};

/**
 * igrad_pool_sizes - of a command that is sound
 * @images: are they in SRAM?
 *
 * Returns false if one has more than @most words, or there is too much work.
 */
bool igrad_pool_sizes(const struct igrad_cmd_pool *p, uint64_t most, bool images,
		      struct igrad_pool_sizes *sizes);

/** igrad_pool_terms - pixels of all windows that are in their image, times channels */
uint64_t igrad_pool_terms(const struct igrad_cmd_pool *p);

#endif /* IGRAD_POOLING_H */
