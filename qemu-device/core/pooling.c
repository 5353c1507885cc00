/* SPDX-License-Identifier: MIT */
#include "pooling.h"

/* Windows follow each other: if the first and the last one have a pixel, all have. */
static bool none_empty(const struct igrad_cmd_pool *p)
{
	return IGRAD_TAP_Y(p->tap) + (int64_t)p->kernel_y > 0 &&
	       igrad_pool_top(p, p->out_height - 1u) < p->height &&
	       IGRAD_TAP_X(p->tap) + (int64_t)p->kernel_x > 0 &&
	       igrad_pool_left(p, p->out_width - 1u) < p->width;
}

bool igrad_pool_sound(const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_pool *p = &cmd->u.pool;

	if (!p->height || !p->width || !p->out_height || !p->out_width || !p->kernel_y ||
	    !p->kernel_x || !p->stride_y || !p->stride_x || !p->images ||
	    p->images > IGRAD_MAX_VEC_DIM || !p->cols || p->cols > IGRAD_MAX_VEC_DIM)
		return false;
	return igrad_pool_is_grad(cmd->opcode) || none_empty(p);
}

/* a·b·c·d, or @most + 1 if that is more; each below 2^32, @most below 2^31. */
static uint64_t product(uint64_t most, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint32_t factor[] = {b, c, d};
	uint64_t n = a;

	for (unsigned int i = 0; i < 3 && n <= most; i++)
		n *= factor[i];
	return n <= most ? n : most + 1;
}

bool igrad_pool_sizes(const struct igrad_cmd_pool *p, uint64_t most, bool images,
		      struct igrad_pool_sizes *sizes)
{
	sizes->pixels = images ? product(most, p->cols, p->width, p->height, p->images) : 0;
	sizes->outputs = product(most, p->cols, p->out_width, p->out_height, p->images);
	if (sizes->pixels > most || sizes->outputs > most)
		return false;
	return product(IGRAD_MAX_POOL_WORK, (uint32_t)sizes->outputs, p->kernel_x, p->kernel_y,
		       1) <= IGRAD_MAX_POOL_WORK;
}

uint64_t igrad_pool_terms(const struct igrad_cmd_pool *p)
{
	uint64_t down = 0, right = 0;

	for (uint32_t oy = 0; oy < p->out_height; oy++) {
		const struct igrad_reach reach = igrad_pool_reach(igrad_pool_top(p, oy),
								  p->kernel_y, p->height);

		down += reach.end - reach.first;
	}
	for (uint32_t ox = 0; ox < p->out_width; ox++) {
		const struct igrad_reach reach = igrad_pool_reach(igrad_pool_left(p, ox),
								  p->kernel_x, p->width);

		right += reach.end - reach.first;
	}
	return down * right * p->images * p->cols;
}
