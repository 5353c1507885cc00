/* SPDX-License-Identifier: MIT */
/* Where rows of windowed streams lie, and which PEs make a group: out of the definitions. */
#include "reference.h"

static bool windowed(const struct ref_op *op)
{
	return op->cmd->flags & IGRAD_FLAG_WINDOW;
}

struct pixel {
	int64_t image;
	int64_t y;
	int64_t x;
};

static struct pixel pixel_of(const struct ref_op *op, uint32_t b)
{
	const struct igrad_cmd_window *w = op->window;
	const int64_t output = (int64_t)op->cmd->u.array.first + b;
	const int64_t ox = output % w->out_width, oy = output / w->out_width % w->out_height;

	return (struct pixel){
		.image = output / w->out_width / w->out_height,
		.y = oy * w->stride_y + IGRAD_TAP_Y(op->cmd->u.array.tap),
		.x = ox * w->stride_x + IGRAD_TAP_X(op->cmd->u.array.tap),
	};
}

bool ref_row_valid(const struct ref_op *op, uint32_t b)
{
	struct pixel pixel;

	if (!windowed(op))
		return true;
	pixel = pixel_of(op, b);
	return pixel.y >= 0 && pixel.y < op->window->height && pixel.x >= 0 &&
	       pixel.x < op->window->width;
}

static uint32_t image_row(const struct ref_op *op, uint32_t b)
{
	const struct pixel pixel = pixel_of(op, b);

	return (uint32_t)((pixel.image * op->window->height + pixel.y) * op->window->width +
			  pixel.x);
}

uint32_t ref_x_at(const struct ref_op *op, uint32_t b, unsigned int r)
{
	const struct igrad_cmd_array *a = &op->cmd->u.array;
	const unsigned int size = ref_word_size(op->cmd);

	if (op->cmd->flags & IGRAD_FLAG_TRANSPOSE)
		return a->x + r * a->x_pitch + b * size;
	return a->x + (windowed(op) ? image_row(op, b) : b) * a->x_pitch + r * size;
}

uint32_t ref_psum_at(const struct ref_op *op, uint32_t b, unsigned int lane)
{
	const struct igrad_cmd_array *a = &op->cmd->u.array;

	if (op->cmd->flags & IGRAD_FLAG_TURN)
		return a->p + lane * a->p_pitch + b * 4;
	if (windowed(op) && op->cmd->opcode != IGRAD_OP_FPROP)
		return a->p + image_row(op, b) * a->p_pitch + lane * 4;
	return a->p + b * a->p_pitch + lane * 4;
}

bool ref_psum_moves(const struct ref_op *op, uint32_t b)
{
	return op->cmd->opcode == IGRAD_OP_FPROP || ref_row_valid(op, b);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct ref_place ref_place_of(const struct ref_op *op, uint32_t b)
{
	const struct igrad_cmd_window *w = op->window;
	const struct pixel pixel = pixel_of(op, b);
	const int64_t down = floor_div(pixel.y, w->stride_y);
	const int64_t right = floor_div(pixel.x, w->stride_x);

	return (struct ref_place){
		.output = (pixel.image * w->out_height + down) * w->out_width + right,
		.y = pixel.y - down * w->stride_y,
		.x = pixel.x - right * w->stride_x,
	};
}

bool ref_takes_part(const struct ref_op *op, unsigned int r, unsigned int c)
{
	if (r >= op->cmd->u.array.rows || c >= op->cmd->u.array.cols)
		return false;
	return !(op->cmd->flags & IGRAD_FLAG_GROUPS) ||
	       r / op->window->group_rows == c / op->window->group_cols;
}

uint32_t ref_tile_at(const struct ref_op *op, unsigned int r, unsigned int c)
{
	const struct igrad_cmd_array *a = &op->cmd->u.array;
	const unsigned int size = ref_word_size(op->cmd);

	if (op->cmd->flags & IGRAD_FLAG_TRANSPOSE)
		return a->p + c * a->p_pitch + r * size;
	if (op->cmd->flags & IGRAD_FLAG_GROUPS)
		r %= op->window->group_rows;
	return a->p + r * a->p_pitch + c * size;
}

struct ref_images ref_images_of(const struct ref_op *op)
{
	const uint32_t image = (uint32_t)op->window->height * op->window->width;
	const uint32_t first = (uint32_t)pixel_of(op, 0).image;
	const uint32_t last = (uint32_t)pixel_of(op, op->cmd->u.array.batch - 1).image;

	return (struct ref_images){first * image, (last + 1) * image};
}
