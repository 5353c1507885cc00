/* SPDX-License-Identifier: MIT */
#include "windows.h"

/* As a convolution has it, given its kernel's size, padding and dilation; or as it comes. */
static uint16_t outputs(struct rng *rng, uint32_t pixels, uint32_t stride)
{
	const uint32_t kernel = rng_between(rng, 1, 3), padding = rng_below(rng, 3);

	if (rng_below(rng, 4) == 0 || pixels + 2 * padding < kernel)
		return (uint16_t)rng_between(rng, 1, 8);
	return (uint16_t)((pixels + 2 * padding - kernel) / stride + 1);
}

struct igrad_cmd window_make(struct rng *rng, uint32_t most)
{
	struct igrad_cmd cmd = {.opcode = IGRAD_OP_WINDOW};
	struct igrad_cmd_window *w = &cmd.u.window;

	w->height = (uint16_t)rng_between(rng, 1, rng_below(rng, 4) ? 4 : 9);
	w->width = (uint16_t)rng_between(rng, 1, rng_below(rng, 4) ? 4 : 9);
	w->stride_y = (uint16_t)(rng_below(rng, 2) ? 1 : rng_between(rng, 1, 4));
	w->stride_x = (uint16_t)(rng_below(rng, 2) ? 1 : rng_between(rng, 1, 4));
	w->out_height = outputs(rng, w->height, w->stride_y);
	w->out_width = outputs(rng, w->width, w->stride_x);
	if (rng_below(rng, 3)) {
		w->group_rows = (uint16_t)rng_between(rng, 1, rng_below(rng, 2) ? 2 : most);
		w->group_cols = (uint16_t)rng_between(rng, 1, rng_below(rng, 2) ? 2 : most);
	}
	return cmd;
}

uint16_t window_groups(struct rng *rng, const struct igrad_cmd_window *window, uint16_t flags)
{
	if (!window->group_rows || flags & (IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TURN) ||
	    rng_below(rng, 2))
		return flags;
	return flags | IGRAD_FLAG_GROUPS;
}

static int32_t tap(struct rng *rng, uint32_t pixels)
{
	if (rng_below(rng, 16) == 0)
		return (int32_t)rng_below(rng, 65536) - 32768;
	if (rng_below(rng, 8) == 0)
		return (int32_t)rng_below(rng, 2 * pixels + 1) - (int32_t)pixels;
	return (int32_t)rng_below(rng, 5) - 2;
}

uint32_t window_stream(struct rng *rng, const struct igrad_cmd_window *window,
		       struct igrad_cmd *cmd)
{
	const uint32_t an_image = (uint32_t)window->out_height * window->out_width;
	struct igrad_cmd_array *a = &cmd->u.array;

	cmd->flags |= IGRAD_FLAG_WINDOW;
	a->tap = IGRAD_TAP(tap(rng, window->height), tap(rng, window->width));
	a->first = rng_below(rng, 2) ? 0 : rng_below(rng, 2 * an_image);
	return ((a->first + a->batch - 1) / an_image + 1) * window->height * window->width;
}

static int between(struct rng *rng, int low, int high)
{
	return low + (int)rng_below(rng, (uint32_t)(high - low + 1));
}

/* Every window has a pixel along this side. */
static bool none_empty(int tap, int kernel, int stride, int size, int outputs)
{
	for (int o = 0; o < outputs; o++)
		if (o * stride + tap >= size || o * stride + tap + kernel <= 0)
			return false;
	return true;
}

bool random_windows(struct rng *rng, struct igrad_cmd *cmd)
{
	const int size_y = between(rng, 1, 8), size_x = between(rng, 1, 8);
	const int kernel_y = between(rng, 1, 4), kernel_x = between(rng, 1, 4);
	const int stride_y = between(rng, 1, 3), stride_x = between(rng, 1, 3);
	const int outputs_y = between(rng, 1, 5), outputs_x = between(rng, 1, 5);
	const int tap_y = between(rng, -4, 3), tap_x = between(rng, -4, 3);

	if (cmd->opcode != IGRAD_OP_VEC_POOL_MAX_GRAD &&
	    cmd->opcode != IGRAD_OP_VEC_POOL_SUM_GRAD &&
	    (!none_empty(tap_y, kernel_y, stride_y, size_y, outputs_y) ||
	     !none_empty(tap_x, kernel_x, stride_x, size_x, outputs_x)))
		return false;
	cmd->u.pool = (struct igrad_cmd_pool){
		.height = (uint16_t)size_y,
		.width = (uint16_t)size_x,
		.out_height = (uint16_t)outputs_y,
		.out_width = (uint16_t)outputs_x,
		.kernel_y = (uint16_t)kernel_y,
		.kernel_x = (uint16_t)kernel_x,
		.stride_y = (uint16_t)stride_y,
		.stride_x = (uint16_t)stride_x,
		.tap = IGRAD_TAP(tap_y, tap_x),
		.images = rng_between(rng, 1, 3),
		.cols = rng_between(rng, 1, 9),
	};
	return true;
}
