// SPDX-License-Identifier: MIT
/*
 * ws-paper and ws: both gradients as forward products. For dX Wᵀ is stationary, and psums are
 * scattered to pixels. For dW outputs of dY are stationary, and channels of x go past them, for one
 * position of the kernel after the other; or, without strides, pixels of x are, and channels of dY
 * go past them. Sums of dW stay in SRAM, all of them or a block.
 */
#include "cmdbuf.h"
#include "conv-backward.h"

/* ---------------------------------------------------------------- the input gradient */

static void dgrad_tile(struct igrad_conv_pass *pass, const struct igrad_tap *tap)
{
	struct igrad_conv *conv = &pass->conv;
	const struct igrad_slab *slab = &pass->now->slab;
	struct igrad_outputs outputs = igrad_conv_outputs(conv, slab, tap);
	struct igrad_size turned = {tap->size.cols, tap->size.rows};
	struct igrad_place dy = igrad_conv_dy(pass, tap->o, tap->size.cols);
	struct igrad_streams at = {.p = igrad_conv_dx(pass, tap->i, tap->size.rows)};
	uint32_t n;

	igrad_conv_needs_w(pass, tap, pass->now->begins);
	igrad_emit_tile(&conv->e, IGRAD_OP_LOAD_W, IGRAD_FLAG_TRANSPOSE, turned,
			igrad_ring_at(conv, &pass->w, tap));
	for (uint32_t first = outputs.begin; first < outputs.end; first += n) {
		n = igrad_min(outputs.end - first, IGRAD_MAX_BATCH);
		at.x = igrad_place_at(dy, first, 0);
		igrad_emit_walk(&conv->e, IGRAD_OP_FPROP, IGRAD_FLAG_SCATTER | IGRAD_FLAG_ADD,
				turned, n, igrad_conv_walk(conv, slab, tap, first), &at);
	}
	igrad_conv_ahead(pass);
	igrad_conv_dx_done(pass, tap);
}

static void input_gradient(struct igrad_conv_pass *pass)
{
	struct igrad_tap tap;

	igrad_conv_window(&pass->conv, &pass->now->slab);
	igrad_conv_first_tap(&pass->conv, &tap);
	do
		dgrad_tile(pass, &tap);
	while (!pass->conv.e.err && igrad_conv_next_tap(&pass->conv, &tap));
}

/* ---------------------------------------------------------------- blocks of dW */

/* Some channels at all positions. */
struct block {
	uint32_t i;
	uint32_t in;
	uint32_t o;
	uint32_t out;
};

static uint32_t positions(const struct igrad_conv *conv)
{
	return conv->shape.kernel_y * conv->shape.kernel_x;
}

/*
 * The largest block: all, or those channels that the array is as wide as, and as many of the others
 * as have room.
 */
static struct block block_size(const struct igrad_conv *conv)
{
	const struct igrad_device_info *device = igrad_sram_device(conv->e.cmdbuf);
	const struct igrad_conv_shape *s = &conv->shape;
	struct block block = {.in = s->in, .out = s->out};
	uint32_t *streamed = conv->plan.x_stationary ? &block.out : &block.in;
	uint32_t *wide = conv->plan.x_stationary ? &block.in : &block.out;

	if (!conv->plan.resident)
		*wide = igrad_min(*wide, device->cols);
	while (*streamed > 1 &&
	       ((uint64_t)s->kernel_x * *streamed > IGRAD_MAX_BATCH ||
		(!conv->plan.resident &&
		 (uint64_t)positions(conv) * block.in * block.out * 4 > device->sram_bytes / 4)))
		*streamed = (*streamed + 1) / 2;
	return block;
}

uint64_t igrad_conv_block_bytes(const struct igrad_conv *conv)
{
	struct block block = block_size(conv);

	return (uint64_t)positions(conv) * block.in * block.out * 4;
}

/* With dY stationary a block is as W is; with x stationary a row of it has a channel's sums for all
 * positions, the last position first. */
static struct igrad_place sums_at(const struct igrad_conv_pass *pass, const struct block *block,
				  const struct igrad_tap *tap)
{
	const struct igrad_conv *conv = &pass->conv;
	uint32_t position = tap->ky * conv->shape.kernel_x + tap->kx;
	struct igrad_place place = {pass->block, block->out * 4, IGRAD_FP32};

	if (!conv->plan.x_stationary)
		return igrad_place_at(place, position * block->in + tap->i - block->i,
				      tap->o - block->o);
	place.pitch *= positions(conv);
	position = positions(conv) - 1 - position;
	return igrad_place_at(place, tap->i - block->i, position * block->out + tap->o - block->o);
}

static struct igrad_size block_shape(const struct igrad_conv *conv, const struct block *block)
{
	if (conv->plan.x_stationary)
		return (struct igrad_size){block->in, positions(conv) * block->out};
	return (struct igrad_size){positions(conv) * block->in, block->out};
}

/* Calls @fn for the tiles of a part of a block, position by position. */
static void each_tile(struct igrad_conv_pass *pass, const struct block *block,
		      const struct block *part,
		      void (*fn)(struct igrad_conv_pass *pass, const struct block *block,
				 const struct igrad_tap *tap))
{
	struct igrad_conv *conv = &pass->conv;
	struct igrad_tap tap = {.positions = 1};

	for (tap.ky = 0; tap.ky < conv->shape.kernel_y; tap.ky++)
		for (tap.kx = 0; tap.kx < conv->shape.kernel_x; tap.kx++)
			for (tap.i = part->i; tap.i < part->i + part->in; tap.i += tap.channels)
				for (tap.o = part->o; tap.o < part->o + part->out;
				     tap.o += tap.size.cols) {
					tap.channels = igrad_min(conv->tile.rows,
								 part->i + part->in - tap.i);
					tap.size.rows = tap.channels;
					tap.size.cols = igrad_min(conv->tile.cols,
								  part->o + part->out - tap.o);
					fn(pass, block, &tap);
					tap.index++;
				}
}

static void load_sums(struct igrad_conv_pass *pass, const struct block *block,
		      const struct igrad_tap *tap)
{
	igrad_conv_load_part(&pass->conv, pass->acc.home, tap, sums_at(pass, block, tap));
}

static void store_sums(struct igrad_conv_pass *pass, const struct block *block,
		       const struct igrad_tap *tap)
{
	igrad_conv_store_part(&pass->conv, pass->acc.home, tap, sums_at(pass, block, tap));
}

static void finish_sums(struct igrad_conv_pass *pass, const struct block *block,
			const struct igrad_tap *tap)
{
	if (pass->updates)
		igrad_conv_needs_w(pass, tap, !pass->args->dx);
	igrad_conv_update(pass, tap, sums_at(pass, block, tap));
}

/* Velocities are scaled before anything is added to them. */
static void begin_block(struct igrad_conv_pass *pass, const struct block *block)
{
	bool begins = pass->now->begins;
	struct igrad_tap first = {.i = block->i, .o = block->o};
	struct igrad_place place;

	if (begins ? pass->momentum : !pass->conv.plan.resident)
		each_tile(pass, block, block, load_sums);
	if (!begins || !pass->momentum)
		return;
	place = sums_at(pass, block, &first);
	place.addr = pass->block;
	igrad_emit_scale(&pass->conv.e, block_shape(&pass->conv, block),
			 pass->args->optimizer.momentum, place);
}

/* ---------------------------------------------------------------- the weight gradient */

/* Does anything of outputs @first … @first + @n - 1 see the slab in row @ky of the kernel? */
static bool sees(const struct igrad_conv_pass *pass, uint32_t ky, uint32_t first, uint32_t n)
{
	struct igrad_tap tap = {.ky = ky, .positions = 1};
	struct igrad_outputs outputs = igrad_conv_outputs(&pass->conv, &pass->now->slab, &tap);

	return first < outputs.end && outputs.begin < first + n;
}

/* What goes past a stationary tile, and where psums are. */
struct product {
	struct block block; /* part of the sums' block */
	const struct block *whole;
	struct igrad_size tile;
	uint32_t first; /* output, or pixel */
	uint32_t words; /* streamed at each position */
	uint16_t flags;
	struct igrad_place x;
	uint32_t ky; /* rows of the kernel */
	uint32_t end_ky;
};

static void stream_rows(struct igrad_conv_pass *pass, const struct product *p, uint32_t ky,
			uint32_t rows)
{
	struct igrad_conv *conv = &pass->conv;
	const struct igrad_conv_shape *s = &conv->shape;
	bool turned = conv->plan.x_stationary;
	/* with x stationary positions come from the last on */
	struct igrad_tap tap = {.ky = turned ? ky + rows - 1 : ky,
				.kx = turned ? s->kernel_x - 1 : 0,
				.i = p->block.i,
				.o = p->block.o};
	struct igrad_walk walk = igrad_conv_walk(conv, &pass->now->slab, &tap, p->first);
	struct igrad_streams at = {.x = p->x, .p = sums_at(pass, p->whole, &tap)};

	if (turned) {
		walk.tap_y = -walk.tap_y;
		walk.tap_x = -walk.tap_x;
	}
	igrad_emit_walk(&conv->e, IGRAD_OP_FPROP, p->flags, p->tile, rows * s->kernel_x * p->words,
			walk, &at);
}

/* As many rows of the kernel at once as a stream may be long. */
static void stream_product(struct igrad_conv_pass *pass, const struct product *p)
{
	uint32_t most = IGRAD_MAX_BATCH / (pass->conv.shape.kernel_x * p->words);

	for (uint32_t ky = p->ky, rows; ky < p->end_ky; ky += rows) {
		rows = igrad_min(most, p->end_ky - ky);
		stream_rows(pass, p, ky, rows);
	}
	igrad_conv_ahead(pass);
}

/* dY stationary, outputs on the array's rows and out-channels on its columns; of the batch's first,
 * all sums begin */
static void wgrad_dy(struct igrad_conv_pass *pass, struct product *p, uint32_t first, uint32_t n)
{
	struct igrad_place dy = igrad_conv_dy(pass, p->block.o, p->block.out);
	bool fresh = pass->now->begins && !first && !pass->momentum;

	p->ky = 0;
	p->end_ky = pass->conv.shape.kernel_y;
	while (!fresh && p->ky < p->end_ky && !sees(pass, p->ky, first, n))
		p->ky++;
	while (!fresh && p->ky < p->end_ky && !sees(pass, p->end_ky - 1, first, n))
		p->end_ky--;
	if (p->ky == p->end_ky)
		return;
	p->tile = (struct igrad_size){n, p->block.out};
	p->first = first;
	p->words = p->block.in;
	p->flags = IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TAPS | (fresh ? 0 : IGRAD_FLAG_ADD);
	p->x = igrad_conv_x(pass, p->block.i, p->block.in);
	igrad_emit_tile(&pass->conv.e, IGRAD_OP_LOAD_W, 0, p->tile, igrad_place_at(dy, first, 0));
	stream_product(pass, p);
}

/* x stationary, pixels on the array's rows and in-channels on its columns */
static void wgrad_x(struct igrad_conv_pass *pass, struct product *p, uint32_t first, uint32_t n)
{
	struct igrad_place x = igrad_conv_x(pass, p->block.i, p->block.in);
	bool fresh = pass->now->begins && !first && !pass->momentum;

	p->ky = 0;
	p->end_ky = pass->conv.shape.kernel_y;
	p->tile = (struct igrad_size){n, p->block.in};
	p->first = first;
	p->words = p->block.out;
	p->flags = IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TURN | IGRAD_FLAG_TAPS |
		   (fresh ? 0 : IGRAD_FLAG_ADD);
	p->x = igrad_conv_dy(pass, p->block.o, p->block.out);
	igrad_emit_tile(&pass->conv.e, IGRAD_OP_LOAD_W, 0, p->tile, igrad_place_at(x, first, 0));
	stream_product(pass, p);
}

/* The images are those of x, seen by outputs; or of dY, by pixels, and then without a stride. */
static void wgrad_window(struct igrad_conv_pass *pass, const struct block *block)
{
	struct igrad_conv *conv = &pass->conv;
	const struct igrad_conv_shape *s = &conv->shape;
	const struct igrad_slab *slab = &pass->now->slab;
	bool turned = conv->plan.x_stationary;
	struct igrad_cmd_window window = {
		.height = (uint16_t)(turned ? slab->orows : slab->rows),
		.width = (uint16_t)(turned ? conv->out_width : s->width),
		.out_height = (uint16_t)(turned ? slab->rows : slab->orows),
		.out_width = (uint16_t)(turned ? s->width : conv->out_width),
		.stride_y = (uint16_t)s->stride_y,
		.stride_x = (uint16_t)s->stride_x,
		.channels = (uint16_t)igrad_min(turned ? block->out : block->in, 65535),
		.kernel_x = (uint16_t)s->kernel_x,
		.step_y = (uint16_t)(s->kernel_y > 1 ? s->dilation_y : 1),
		.step_x = (uint16_t)(s->kernel_x > 1 ? s->dilation_x : 1),
	};

	igrad_emit_window(&conv->e, &window);
}

/* A strip as wide as the array. */
static void wgrad_strip(struct igrad_conv_pass *pass, const struct block *block,
			const struct block *strip)
{
	const struct igrad_conv *conv = &pass->conv;
	bool turned = conv->plan.x_stationary;
	uint32_t rows = igrad_sram_device(conv->e.cmdbuf)->rows, n;
	uint32_t end = turned ? igrad_slab_pixels(conv, &pass->now->slab)
			      : igrad_slab_outputs(conv, &pass->now->slab);
	struct product product = {.block = *strip, .whole = block};

	for (uint32_t first = 0; first < end && !conv->e.err; first += n) {
		n = igrad_min(rows, end - first);
		(turned ? wgrad_x : wgrad_dy)(pass, &product, first, n);
	}
	if (pass->now->ends)
		each_tile(pass, block, strip, finish_sums);
}

static void wgrad_block(struct igrad_conv_pass *pass, const struct block *block)
{
	uint32_t wide = igrad_sram_device(pass->conv.e.cmdbuf)->cols;
	struct block strip = *block;

	begin_block(pass, block);
	wgrad_window(pass, block);
	if (pass->conv.plan.x_stationary) {
		for (; strip.i < block->i + block->in; strip.i += strip.in) {
			strip.in = igrad_min(wide, block->i + block->in - strip.i);
			wgrad_strip(pass, block, &strip);
		}
	} else {
		for (; strip.o < block->o + block->out; strip.o += strip.out) {
			strip.out = igrad_min(wide, block->o + block->out - strip.o);
			wgrad_strip(pass, block, &strip);
		}
	}
	if (!pass->now->ends && !pass->conv.plan.resident)
		each_tile(pass, block, block, store_sums);
}

static void weight_gradient(struct igrad_conv_pass *pass)
{
	const struct igrad_conv_shape *s = &pass->conv.shape;
	const struct block most = block_size(&pass->conv);
	struct block block = {0};

	for (block.i = 0; block.i < s->in; block.i += block.in) {
		block.in = igrad_min(most.in, s->in - block.i);
		for (block.o = 0; block.o < s->out; block.o += block.out) {
			block.out = igrad_min(most.out, s->out - block.o);
			wgrad_block(pass, &block);
		}
	}
}

void igrad_conv_visit_ws(struct igrad_conv_pass *pass)
{
	if (pass->args->dx)
		input_gradient(pass);
	weight_gradient(pass);
}
