// SPDX-License-Identifier: MIT
/* What both passes of a convolution share: its geometry, slabs, and tiles of weights. */
#include <errno.h>
#include <string.h>

#include "cmdbuf.h"
#include "conv.h"

#define MAX_SIDE     65535u /* of a window's register */
#define MAX_TAP	     32767u
#define MAX_CHANNELS (1u << 24)
#define MAX_ROWS     (1u << 30) /* pixels or outputs of a batch */
#define FEW_SLOTS    4

/* ---------------------------------------------------------------- geometry */

static bool side_of(uint32_t size, uint32_t before, uint32_t after, uint32_t kernel,
		    uint32_t stride, uint32_t dilation, uint32_t *out)
{
	uint64_t padded = (uint64_t)size + before + after;
	uint64_t reach = (uint64_t)(kernel - 1) * dilation + 1;

	if (!size || size > MAX_SIDE || !kernel || !stride || stride > MAX_SIDE || !dilation ||
	    before > MAX_TAP || after > MAX_TAP || reach + before > MAX_TAP || reach > padded)
		return false;
	*out = (uint32_t)((padded - reach) / stride + 1);
	return *out <= MAX_SIDE;
}

int igrad_conv_output(const struct igrad_conv_shape *s, uint32_t *height, uint32_t *width)
{
	if (!side_of(s->height, s->pad_top, s->pad_bottom, s->kernel_y, s->stride_y, s->dilation_y,
		     height) ||
	    !side_of(s->width, s->pad_left, s->pad_right, s->kernel_x, s->stride_x, s->dilation_x,
		     width))
		return -EINVAL;
	if (!s->batch || !s->in || !s->out || !s->groups || s->in > MAX_CHANNELS ||
	    s->out > MAX_CHANNELS || s->in % s->groups || s->out % s->groups)
		return -EINVAL;
	if ((uint64_t)s->batch * s->height * s->width > MAX_ROWS ||
	    (uint64_t)s->batch * *height * *width > MAX_ROWS)
		return -EINVAL;
	return 0;
}

int igrad_conv_check(const struct igrad_matrix *m, uint64_t rows, uint32_t cols)
{
	if (!m)
		return 0;
	if (!m->buffer || m->rows != rows || m->cols != cols)
		return -EINVAL;
	if (m->dtype != IGRAD_FP32)
		return m->dtype == IGRAD_BF16 ? -ENOTSUP : -EINVAL;
	if (m->offset % 4 || m->pitch % 4 || (m->pitch && m->pitch < (uint64_t)m->cols * 4))
		return -EINVAL;
	return 0;
}

const struct igrad_matrix *igrad_conv_slice(const struct igrad_matrix *m, uint32_t first,
					    uint32_t cols, struct igrad_matrix *part)
{
	if (!m)
		return NULL;
	*part = *m;
	part->pitch = m->pitch ? m->pitch : m->cols * 4;
	part->offset += (uint64_t)first * 4;
	part->cols = cols;
	return part;
}

const struct igrad_matrix *igrad_conv_columns(const struct igrad_matrix *m, uint32_t group,
					      uint32_t groups, struct igrad_matrix *part)
{
	uint32_t cols = m ? m->cols / groups : 0;

	return igrad_conv_slice(m, group * cols, cols, part);
}

uint32_t igrad_conv_slice_width(uint32_t channels, uint32_t tile, uint32_t slices)
{
	uint32_t tiles = channels / tile + (channels % tile != 0);
	uint64_t width = (uint64_t)(tiles / slices + (tiles % slices != 0)) * tile;

	return width < channels ? (uint32_t)width : channels;
}

/* ---------------------------------------------------------------- SRAM */

int igrad_conv_open(struct igrad_conv *conv, struct igrad_cmdbuf *cmdbuf,
		    const struct igrad_conv_shape *shape, const struct igrad_conv_plan *plan)
{
	const struct igrad_device_info *device = igrad_sram_device(cmdbuf);
	int err;

	memset(conv, 0, sizeof(*conv));
	conv->e.cmdbuf = cmdbuf;
	conv->shape = *shape;
	conv->plan = *plan;
	conv->whole_in = shape->in;
	conv->positions = 1;
	err = igrad_conv_output(shape, &conv->out_height, &conv->out_width);
	if (err)
		return err;
	conv->tile.rows = igrad_min(device->rows, shape->in);
	conv->tile.cols = igrad_min(device->cols, shape->out);
	conv->sram.next = igrad_sram_reserve(cmdbuf, device->sram_bytes);
	conv->sram.end = device->sram_bytes;
	return 0;
}

void igrad_conv_pack(struct igrad_conv *conv, bool pack)
{
	const struct igrad_conv_shape *s = &conv->shape;
	uint32_t rows = igrad_sram_device(conv->e.cmdbuf)->rows;

	conv->positions = 1;
	if (pack && rows / s->in > 1 && conv->whole_in == s->in)
		conv->positions = igrad_min(rows / s->in, s->kernel_y * s->kernel_x);
	conv->tile.rows = igrad_min(rows, conv->positions * s->in);
}

uint32_t igrad_conv_alloc(struct igrad_conv *conv, uint64_t bytes)
{
	uint32_t addr = 0;
	int err = igrad_sram_alloc(&conv->sram, bytes, &addr);

	if (err && !conv->e.err)
		conv->e.err = err;
	return addr;
}

/* The largest number up to @most whose slabs fit, or 0. */
static uint32_t largest(const struct igrad_conv *conv,
			uint64_t (*bytes)(const struct igrad_conv *conv, uint32_t images,
					  uint32_t rows),
			uint32_t most, uint32_t rows, uint32_t slots)
{
	uint64_t room = (conv->sram.end - conv->sram.next) / slots;
	uint32_t low = 0, high = most;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		uint64_t need = rows ? bytes(conv, middle, rows) : bytes(conv, 1, middle);

		if (need <= room)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Slabs of about the same size, @divisor times as many as there would be. */
static void even_out(uint32_t *size, uint32_t whole, uint32_t divisor)
{
	uint64_t slabs = (uint64_t)((whole + *size - 1) / *size) * divisor;

	*size = slabs < whole ? (uint32_t)((whole + slabs - 1) / slabs) : 1;
}

struct igrad_cut igrad_conv_cut(struct igrad_conv *conv,
				uint64_t (*bytes)(const struct igrad_conv *conv, uint32_t images,
						  uint32_t rows),
				uint32_t rows)
{
	uint32_t batch = conv->shape.batch;
	uint32_t divisor = conv->plan.divisor;
	struct igrad_cut cut = {batch, rows, 1};

	if (divisor == 1 && largest(conv, bytes, batch, rows, 1) == batch)
		return cut;
	cut.slots = 2;
	cut.images = largest(conv, bytes, batch, rows, 2);
	if (cut.images) {
		even_out(&cut.images, batch, divisor);
		return cut;
	}
	cut.images = 1;
	cut.rows = largest(conv, bytes, rows, 0, 2);
	if (cut.rows)
		even_out(&cut.rows, rows, divisor);
	if (!cut.rows) {
		cut.slots = 1;
		cut.rows = largest(conv, bytes, rows, 0, 1);
	}
	if (!cut.rows && !conv->e.err)
		conv->e.err = -ENOSPC;
	return cut;
}

/* ---------------------------------------------------------------- slabs */

uint32_t igrad_slab_pixels(const struct igrad_conv *conv, const struct igrad_slab *slab)
{
	return slab->images * slab->rows * conv->shape.width;
}

uint32_t igrad_slab_outputs(const struct igrad_conv *conv, const struct igrad_slab *slab)
{
	return slab->images * slab->orows * conv->out_width;
}

uint32_t igrad_slab_first_pixel(const struct igrad_conv *conv, const struct igrad_slab *slab)
{
	return (slab->image * conv->shape.height + slab->y) * conv->shape.width;
}

uint32_t igrad_slab_first_output(const struct igrad_conv *conv, const struct igrad_slab *slab)
{
	return (slab->image * conv->out_height + slab->oy) * conv->out_width;
}

/* Where there is one position only, dilation may be anything. */
static uint16_t step_of(uint32_t kernel, uint32_t dilation)
{
	return kernel > 1 ? (uint16_t)dilation : 1;
}

void igrad_conv_window(struct igrad_conv *conv, const struct igrad_slab *slab)
{
	igrad_emit_window(&conv->e,
			  &(struct igrad_cmd_window){
				  .height = (uint16_t)slab->rows,
				  .width = (uint16_t)conv->shape.width,
				  .out_height = (uint16_t)slab->orows,
				  .out_width = (uint16_t)conv->out_width,
				  .stride_y = (uint16_t)conv->shape.stride_y,
				  .stride_x = (uint16_t)conv->shape.stride_x,
				  .channels = (uint16_t)igrad_min(conv->shape.in, 65535),
				  .kernel_x = (uint16_t)conv->shape.kernel_x,
				  .step_y = step_of(conv->shape.kernel_y, conv->shape.dilation_y),
				  .step_x = step_of(conv->shape.kernel_x, conv->shape.dilation_x),
			  });
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct igrad_outputs igrad_conv_outputs(const struct igrad_conv *conv,
					const struct igrad_slab *slab, const struct igrad_tap *tap)
{
	const struct igrad_conv_shape *s = &conv->shape;
	struct igrad_walk walk = igrad_conv_walk(conv, slab, tap, 0);
	uint32_t below = (tap->kx + tap->positions - 1) / s->kernel_x;
	int64_t lowest = walk.tap_y + (int64_t)below * s->dilation_y, stride = s->stride_y;
	int64_t begin = floor_div(-lowest + stride - 1, stride);
	int64_t end = floor_div((int64_t)slab->rows - 1 - walk.tap_y, stride) + 1;

	if (slab->images > 1)
		return (struct igrad_outputs){0, igrad_slab_outputs(conv, slab)};
	begin = begin < 0 ? 0 : begin;
	end = end > slab->orows ? slab->orows : end;
	if (begin >= end)
		return (struct igrad_outputs){0, 0};
	return (struct igrad_outputs){(uint32_t)begin * conv->out_width,
				      (uint32_t)end * conv->out_width};
}

struct igrad_walk igrad_conv_walk(const struct igrad_conv *conv, const struct igrad_slab *slab,
				  const struct igrad_tap *tap, uint32_t first)
{
	const struct igrad_conv_shape *s = &conv->shape;
	int64_t moved = (int64_t)slab->oy * s->stride_y - slab->y;

	return (struct igrad_walk){
		.tap_y = (int32_t)(moved + (int64_t)tap->ky * s->dilation_y - s->pad_top),
		.tap_x = (int32_t)((int64_t)tap->kx * s->dilation_x - s->pad_left),
		.first = first,
	};
}

/* ---------------------------------------------------------------- tiles of weights */

/* Whole rows of the kernel, or part of one. */
static uint32_t positions_from(const struct igrad_conv *conv, uint32_t ky, uint32_t kx)
{
	const struct igrad_conv_shape *s = &conv->shape;

	if (!kx && conv->positions >= s->kernel_x)
		return igrad_min(conv->positions / s->kernel_x, s->kernel_y - ky) * s->kernel_x;
	return igrad_min(conv->positions, s->kernel_x - kx);
}

static void set_size(const struct igrad_conv *conv, struct igrad_tap *tap)
{
	tap->positions = positions_from(conv, tap->ky, tap->kx);
	tap->channels = igrad_min(conv->tile.rows, conv->shape.in - tap->i);
	tap->size.rows = tap->positions * tap->channels;
	tap->size.cols = igrad_min(conv->tile.cols, conv->shape.out - tap->o);
}

void igrad_conv_first_tap(const struct igrad_conv *conv, struct igrad_tap *tap)
{
	memset(tap, 0, sizeof(*tap));
	set_size(conv, tap);
}

/* One step along one of two nested loops; returns whether that has ended. */
static bool step(uint32_t *at, uint32_t by, uint32_t end)
{
	*at += by;
	if (*at < end)
		return false;
	*at = 0;
	return true;
}

bool igrad_conv_next_tap(const struct igrad_conv *conv, struct igrad_tap *tap)
{
	const struct igrad_conv_shape *s = &conv->shape;
	uint32_t position = tap->ky * s->kernel_x + tap->kx + tap->positions;
	bool ended;

	tap->index++;
	if (conv->in_last)
		ended = step(&tap->o, tap->size.cols, s->out) &&
			step(&tap->i, tap->channels, s->in);
	else
		ended = step(&tap->i, tap->channels, s->in) &&
			step(&tap->o, tap->size.cols, s->out);
	if (ended) {
		tap->ky = position / s->kernel_x;
		tap->kx = position % s->kernel_x;
	}
	if (tap->ky == s->kernel_y)
		return false;
	set_size(conv, tap);
	return true;
}

void igrad_ring_init(struct igrad_conv *conv, struct igrad_ring *ring,
		     const struct igrad_matrix *home, bool stays, struct igrad_size tile)
{
	const struct igrad_conv_shape *s = &conv->shape;
	uint64_t rows = (uint64_t)s->kernel_y * s->kernel_x * s->in;

	ring->home = home;
	ring->stays = stays;
	ring->slot = tile.rows * tile.cols * 4;
	ring->addr = igrad_conv_alloc(conv,
				      stays ? rows * s->out * 4 : (uint64_t)FEW_SLOTS * ring->slot);
}

/* Of the matrix of the slice's weights. */
static uint32_t home_row(const struct igrad_conv *conv, const struct igrad_tap *tap)
{
	return (tap->ky * conv->shape.kernel_x + tap->kx) * conv->shape.in + tap->i;
}

/* And in that of the whole layer. */
static uint32_t dram_row(const struct igrad_conv *conv, const struct igrad_tap *tap)
{
	return (tap->ky * conv->shape.kernel_x + tap->kx) * conv->whole_in + conv->first_in +
	       tap->i;
}

struct igrad_place igrad_ring_at(const struct igrad_conv *conv, const struct igrad_ring *ring,
				 const struct igrad_tap *tap)
{
	const struct igrad_place whole = {ring->addr, conv->shape.out * 4, IGRAD_FP32};

	if (ring->stays)
		return igrad_place_at(whole, home_row(conv, tap), tap->o);
	return (struct igrad_place){ring->addr + tap->index % FEW_SLOTS * ring->slot,
				    tap->size.cols * 4, IGRAD_FP32};
}

void igrad_ring_load(struct igrad_conv *conv, const struct igrad_ring *ring,
		     const struct igrad_tap *tap)
{
	igrad_emit_load(&conv->e, ring->home, dram_row(conv, tap), tap->o, tap->size,
			igrad_ring_at(conv, ring, tap));
}

void igrad_ring_store(struct igrad_conv *conv, const struct igrad_ring *ring,
		      const struct igrad_tap *tap)
{
	igrad_emit_store(&conv->e, ring->home, dram_row(conv, tap), tap->o, tap->size,
			 igrad_ring_at(conv, ring, tap));
}

void igrad_conv_load_part(struct igrad_conv *conv, const struct igrad_matrix *home,
			  const struct igrad_tap *tap, struct igrad_place to)
{
	igrad_emit_load(&conv->e, home, dram_row(conv, tap), tap->o, tap->size, to);
}

void igrad_conv_store_part(struct igrad_conv *conv, const struct igrad_matrix *home,
			   const struct igrad_tap *tap, struct igrad_place from)
{
	igrad_emit_store(&conv->e, home, dram_row(conv, tap), tap->o, tap->size, from);
}
