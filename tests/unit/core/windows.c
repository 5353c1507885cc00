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
	if (rng_below(rng, 2)) {
		w->channels = (uint16_t)rng_between(rng, 1, rng_below(rng, 2) ? 3 : most);
		w->kernel_x = (uint16_t)rng_between(rng, 1, 3);
		w->step_y = (uint16_t)rng_between(rng, 1, 2);
		w->step_x = (uint16_t)rng_between(rng, 1, 2);
	}
	return cmd;
}

uint16_t window_groups(struct rng *rng, const struct igrad_cmd_window *window, uint16_t flags)
{
	if (!window->group_rows ||
	    flags & (IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TURN | IGRAD_FLAG_TAPS) || rng_below(rng, 2))
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

/* What else a windowed stream may be asked for, instead of lanes that lie as they do otherwise. */
static void other_ways(struct rng *rng, const struct igrad_cmd_window *window,
		       struct igrad_cmd *cmd)
{
	static const uint16_t ways[] = {IGRAD_FLAG_TRANSPOSE,
					IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TURN, IGRAD_FLAG_SCATTER};
	const bool taps = window->channels && rng_below(rng, 2);

	if (cmd->opcode == IGRAD_OP_FPROP && rng_below(rng, 2))
		cmd->flags |= ways[rng_below(rng, taps ? 2 : 3)];
	if (taps && (cmd->opcode == IGRAD_OP_FPROP || cmd->opcode == IGRAD_OP_WGRAD))
		cmd->flags |= IGRAD_FLAG_TAPS;
}

struct window_rows window_stream(struct rng *rng, const struct igrad_cmd_window *window,
				 struct igrad_cmd *cmd)
{
	const uint32_t an_image = (uint32_t)window->out_height * window->out_width;
	struct igrad_cmd_array *a = &cmd->u.array;
	const bool fprop = cmd->opcode == IGRAD_OP_FPROP;
	const uint32_t lanes = fprop ? a->cols : a->rows;
	struct window_rows r = {a->batch, a->rows, a->batch, lanes};
	uint32_t pixels;

	cmd->flags |= IGRAD_FLAG_WINDOW;
	other_ways(rng, window, cmd);
	a->tap = IGRAD_TAP(tap(rng, window->height), tap(rng, window->width));
	if (cmd->flags & IGRAD_FLAG_TAPS) /* the last position is one too */
		a->tap = IGRAD_TAP(IGRAD_TAP_Y(a->tap) % 30000, IGRAD_TAP_X(a->tap) % 30000);
	a->first = rng_below(rng, 2) ? 0 : rng_below(rng, 2 * an_image);
	if (cmd->flags & IGRAD_FLAG_TRANSPOSE) {
		r.x = a->rows;
		r.x_words = a->batch;
	}
	pixels = ((a->first + r.x - 1) / an_image + 1) * window->height * window->width;
	if (cmd->flags & IGRAD_FLAG_TURN) {
		r.p = lanes;
		r.p_words = a->batch;
	}
	if (cmd->flags & IGRAD_FLAG_TAPS && r.x_words > window->channels)
		r.x_words = window->channels;
	if (!fprop || cmd->flags & IGRAD_FLAG_SCATTER)
		r.p = pixels;
	if (!(cmd->flags & IGRAD_FLAG_SCATTER))
		r.x = pixels;
	return r;
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
