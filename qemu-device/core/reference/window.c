/* SPDX-License-Identifier: MIT */
/* Where rows of windowed streams lie, and which PEs make a group: out of the definitions. */
#include "reference.h"

static bool windowed(const struct ref_op *op)
{
	return op->cmd->flags & IGRAD_FLAG_WINDOW;
}

/* Is it lanes that walk? */
static bool by_lanes(const struct ref_op *op)
{
	return windowed(op) && op->cmd->flags & IGRAD_FLAG_TRANSPOSE;
}

static bool x_of_images(const struct ref_op *op)
{
	return windowed(op) && !(op->cmd->flags & IGRAD_FLAG_SCATTER);
}

static bool psums_of_images(const struct ref_op *op)
{
	return windowed(op) &&
	       (op->cmd->opcode != IGRAD_OP_FPROP || op->cmd->flags & IGRAD_FLAG_SCATTER);
}

/* A number of an output, and at which position of the kernel from the tap on. */
struct walker {
	uint32_t output;
	unsigned int position;
};

struct pixel {
	int64_t image;
	int64_t y;
	int64_t x;
};

static struct pixel pixel_of(const struct ref_op *op, struct walker walker)
{
	const struct igrad_cmd_window *w = op->window;
	const int64_t output = (int64_t)op->cmd->u.array.first + walker.output;
	const int64_t ox = output % w->out_width, oy = output / w->out_width % w->out_height;
	struct pixel pixel = {
		.image = output / w->out_width / w->out_height,
		.y = oy * w->stride_y + IGRAD_TAP_Y(op->cmd->u.array.tap),
		.x = ox * w->stride_x + IGRAD_TAP_X(op->cmd->u.array.tap),
	};

	if (walker.position) {
		pixel.y += (int64_t)(walker.position / w->kernel_x) * w->step_y;
		pixel.x += (int64_t)(walker.position % w->kernel_x) * w->step_x;
	}
	return pixel;
}

static bool inside(const struct ref_op *op, struct walker walker)
{
	const struct pixel pixel = pixel_of(op, walker);

	return pixel.y >= 0 && pixel.y < op->window->height && pixel.x >= 0 &&
	       pixel.x < op->window->width;
}

/* Who finds the pixel of x for batch row b on lane r? */
static struct walker walker_of(const struct ref_op *op, uint32_t b, unsigned int r)
{
	const bool taps = op->cmd->flags & IGRAD_FLAG_TAPS;

	const uint32_t word = op->cmd->flags & IGRAD_FLAG_TRANSPOSE ? b : r;

	return (struct walker){by_lanes(op) ? r : b, taps ? word / op->window->channels : 0};
}

bool ref_x_valid(const struct ref_op *op, uint32_t b, unsigned int r)
{
	return !windowed(op) || inside(op, walker_of(op, b, r));
}

bool ref_g_valid(const struct ref_op *op, uint32_t b)
{
	return !windowed(op) || op->cmd->flags & IGRAD_FLAG_TAPS || inside(op, walker_of(op, b, 0));
}

static uint32_t image_row(const struct ref_op *op, struct walker walker)
{
	const struct pixel pixel = pixel_of(op, walker);

	return (uint32_t)((pixel.image * op->window->height + pixel.y) * op->window->width +
			  pixel.x);
}

uint32_t ref_x_at(const struct ref_op *op, uint32_t b, unsigned int r)
{
	const struct igrad_cmd_array *a = &op->cmd->u.array;
	const bool transpose = op->cmd->flags & IGRAD_FLAG_TRANSPOSE;
	uint32_t row = transpose ? r : b, word = transpose ? b : r;

	if (x_of_images(op))
		row = image_row(op, walker_of(op, b, r));
	if (op->cmd->flags & IGRAD_FLAG_TAPS)
		word %= op->window->channels;
	return a->x + row * a->x_pitch + word * ref_word_size(op->cmd);
}

uint32_t ref_psum_at(const struct ref_op *op, uint32_t b, unsigned int lane)
{
	const struct igrad_cmd_array *a = &op->cmd->u.array;

	if (op->cmd->flags & IGRAD_FLAG_TURN)
		return a->p + lane * a->p_pitch + b * 4;
	if (psums_of_images(op))
		return a->p + image_row(op, (struct walker){b, 0}) * a->p_pitch + lane * 4;
	return a->p + b * a->p_pitch + lane * 4;
}

bool ref_psum_moves(const struct ref_op *op, uint32_t b)
{
	return !psums_of_images(op) || inside(op, (struct walker){b, 0});
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct ref_place ref_place_of(const struct ref_op *op, uint32_t output)
{
	const struct igrad_cmd_window *w = op->window;
	const struct pixel pixel = pixel_of(op, (struct walker){output, 0});
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
	const uint32_t length = by_lanes(op) ? op->cmd->u.array.rows : op->cmd->u.array.batch;
	const uint32_t first = (uint32_t)pixel_of(op, (struct walker){0, 0}).image;
	const uint32_t last = (uint32_t)pixel_of(op, (struct walker){length - 1, 0}).image;

	return (struct ref_images){first * image, (last + 1) * image};
}
