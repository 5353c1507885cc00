/* SPDX-License-Identifier: MIT */
#include "window.h"

bool igrad_window_sound(const struct igrad_cmd_window *window)
{
	return window->height && window->width && window->out_height && window->out_width &&
	       window->stride_y && window->stride_x && !window->group_rows == !window->group_cols &&
	       !window->channels == !window->kernel_x && !window->channels == !window->step_y &&
	       !window->channels == !window->step_x;
}

static uint64_t outputs_of_image(const struct igrad_cmd_window *window)
{
	return (uint64_t)window->out_height * window->out_width;
}

bool igrad_window_pixels(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd,
			 uint64_t most, struct igrad_pixels *pixels)
{
	const uint64_t first = cmd->u.array.first, end = first + igrad_window_length(cmd);
	const uint64_t image = (uint64_t)window->height * window->width;
	uint64_t begin;

	if (!igrad_window_sound(window) || end > IGRAD_MAX_OUTPUTS)
		return false;
	begin = first / outputs_of_image(window);
	pixels->first = begin * image;
	pixels->count = ((end - 1) / outputs_of_image(window) + 1 - begin) * image;
	return pixels->first + pixels->count <= most;
}

/* --------------------------------------------------------------------------------------------- */
/* Valid rows */
/* --------------------------------------------------------------------------------------------- */

/* From which output on is there a pixel at or behind @pixel? */
static uint32_t reaches(int32_t pixel, int32_t tap, uint32_t stride, uint32_t outputs)
{
	const int64_t way = (int64_t)pixel - tap;
	const uint64_t first = way > 0 ? ((uint64_t)way + stride - 1) / stride : 0;

	return first < outputs ? (uint32_t)first : outputs;
}

static struct igrad_extent extent(uint32_t pixels, int32_t tap, uint32_t stride, uint32_t outputs)
{
	return (struct igrad_extent){
		.first = reaches(0, tap, stride, outputs),
		.end = reaches((int32_t)pixels, tap, stride, outputs),
	};
}

void igrad_walk_begin(struct igrad_walk *walk, const struct igrad_cmd_window *window,
		      const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;

	walk->window = window;
	walk->tap_y = IGRAD_TAP_Y(a->tap);
	walk->tap_x = IGRAD_TAP_X(a->tap);
	walk->y = extent(window->height, walk->tap_y, window->stride_y, window->out_height);
	walk->x = extent(window->width, walk->tap_x, window->stride_x, window->out_width);
	walk->begin = walk->next = a->first;
	walk->end = a->first + igrad_window_length(cmd);
}

static bool within(const struct igrad_extent *extent, uint32_t output)
{
	return output >= extent->first && output < extent->end;
}

bool igrad_walk_next(struct igrad_walk *walk, uint32_t most, struct igrad_run *run)
{
	const struct igrad_cmd_window *w = walk->window;

	while (walk->next < walk->end) {
		const uint32_t line = walk->next / w->out_width, oy = line % w->out_height;
		const uint32_t n = line / w->out_height, left = line * w->out_width;
		const uint32_t ox = walk->next - left < walk->x.first ? walk->x.first
								      : walk->next - left;
		const uint32_t first = left + ox, to = left + walk->x.end;
		const uint32_t end = to < walk->end ? to : walk->end;

		if (!within(&walk->y, oy) || first >= end) {
			walk->next = left + w->out_width;
			continue;
		}
		run->row = first - walk->begin;
		run->count = end - first < most ? end - first : most;
		run->pixel = ((uint64_t)n * w->height +
			      (uint64_t)((int64_t)oy * w->stride_y + walk->tap_y)) *
				     w->width +
			     (uint64_t)((int64_t)ox * w->stride_x + walk->tap_x);
		walk->next = first + run->count;
		return true;
	}
	return false;
}

static uint64_t covered(const struct igrad_extent *extent, uint64_t outputs)
{
	if (outputs <= extent->first)
		return 0;
	return (outputs < extent->end ? outputs : extent->end) - extent->first;
}

/* Of the outputs before number @end. */
static uint64_t valid_before(const struct igrad_walk *walk, uint64_t end)
{
	const struct igrad_cmd_window *w = walk->window;
	const uint64_t a_line = walk->x.end - walk->x.first, an_image = walk->y.end - walk->y.first;
	const uint64_t n = end / outputs_of_image(w), rest = end % outputs_of_image(w);
	const uint32_t oy = (uint32_t)(rest / w->out_width);

	return (n * an_image + covered(&walk->y, oy)) * a_line +
	       (within(&walk->y, oy) ? covered(&walk->x, rest % w->out_width) : 0);
}

uint32_t igrad_window_valid(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd)
{
	struct igrad_walk walk;

	igrad_walk_begin(&walk, window, cmd);
	return (uint32_t)(valid_before(&walk, walk.end) - valid_before(&walk, walk.begin));
}

bool igrad_window_output_valid(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd,
			       uint32_t i)
{
	struct igrad_walk walk;
	const uint32_t o = cmd->u.array.first + i;

	igrad_walk_begin(&walk, window, cmd);
	return within(&walk.y, o / window->out_width % window->out_height) &&
	       within(&walk.x, o % window->out_width);
}

/* --------------------------------------------------------------------------------------------- */
/* Positions that share a tile */
/* --------------------------------------------------------------------------------------------- */

static int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

bool igrad_window_taps_fit(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd)
{
	const uint32_t last = igrad_num_positions(window, cmd) - 1;
	const uint32_t right = igrad_min_u32(last, window->kernel_x - 1u);
	const int64_t y = IGRAD_TAP_Y(cmd->u.array.tap), x = IGRAD_TAP_X(cmd->u.array.tap);

	return max_i64(y + (int64_t)(last / window->kernel_x) * window->step_y,
		       x + (int64_t)right * window->step_x) <= INT16_MAX;
}

/* Lanes of x; or batch rows of x and of psums. */
static void take_part(const struct igrad_cmd_window *window, struct igrad_cmd *cmd, uint32_t first)
{
	struct igrad_cmd_array *a = &cmd->u.array;

	if (!(cmd->flags & IGRAD_FLAG_TRANSPOSE)) {
		a->rows = (uint16_t)igrad_min_u32(window->channels, a->rows - first);
		return;
	}
	a->batch = igrad_min_u32(window->channels, a->batch - first);
	a->p += cmd->flags & IGRAD_FLAG_TURN ? first * 4 : first * a->p_pitch;
}

struct igrad_cmd igrad_position(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd,
				uint32_t index, uint32_t *row)
{
	const uint32_t first = index * window->channels;
	struct igrad_cmd part = *cmd;
	struct igrad_cmd_array *a = &part.u.array;

	*row = cmd->flags & IGRAD_FLAG_TAPS && !igrad_window_lanes(cmd) ? first : 0;
	if (!(cmd->flags & IGRAD_FLAG_TAPS))
		return part;
	take_part(window, &part, first);
	part.flags &= (uint16_t)~IGRAD_FLAG_TAPS;
	a->tap = IGRAD_TAP(
		IGRAD_TAP_Y(a->tap) + (int32_t)(index / window->kernel_x) * window->step_y,
		IGRAD_TAP_X(a->tap) + (int32_t)(index % window->kernel_x) * window->step_x);
	return part;
}
