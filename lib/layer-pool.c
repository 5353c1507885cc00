// SPDX-License-Identifier: MIT
/*
 * Pooling. Images are cut into slabs: whole images, channels of them, or rows of one. Forward, a
 * slab is rows of outputs, and input rows that two slabs see are loaded twice; backward, it is rows
 * of inputs, so that all that a pixel's gradient sums up happens in one slab, and outputs are
 * loaded twice.
 */
#include <errno.h>

#include "layer.h"

#define MAX_SIDE 16384u
#define MAX_ROWS (1u << 30) /* pixels or outputs of a batch */
#define STEPS	 4

/**
 * struct pool - a pooling layer being turned into commands
 * @images: of a slab
 * @rows: of outputs, or backward of inputs; all of them unless @images is 1
 * @channels: of a slab
 * @slots: slabs in SRAM at a time
 * @image, @side, @channel: where the slab begins that is worked on
 * @number: counts slabs
 */
struct pool {
	struct igrad_emitter e;
	struct igrad_pool_shape s;
	uint32_t out_height;
	uint32_t out_width;
	bool backward;
	bool index;
	uint32_t images;
	uint32_t rows;
	uint32_t channels;
	uint32_t slots;
	uint32_t sram;
	uint32_t number;
};

/* ---------------------------------------------------------------- geometry */

static bool side_of(uint32_t size, uint32_t before, uint32_t after, uint32_t kernel,
		    uint32_t stride, bool ceil, uint32_t *out)
{
	uint32_t padded, count;

	if (!size || size > MAX_SIDE || !kernel || kernel > MAX_SIDE || !stride ||
	    stride > MAX_SIDE || before >= kernel || after >= kernel)
		return false;
	padded = size + before + after;
	if (kernel > padded)
		return false;
	count = (padded - kernel + (ceil ? stride - 1 : 0)) / stride + 1;
	if (ceil && (count - 1) * stride >= before + size)
		count--;
	*out = count;
	return true;
}

int igrad_pool_output(const struct igrad_pool_shape *s, uint32_t *height, uint32_t *width)
{
	if (!side_of(s->height, s->pad_top, s->pad_bottom, s->kernel_y, s->stride_y, s->ceil,
		     height) ||
	    !side_of(s->width, s->pad_left, s->pad_right, s->kernel_x, s->stride_x, s->ceil, width))
		return -EINVAL;
	if (!s->batch || !s->channels || s->channels > IGRAD_MAX_VEC_DIM ||
	    (uint64_t)s->batch * s->height * s->width > MAX_ROWS ||
	    (uint64_t)s->batch * *height * *width > MAX_ROWS || (s->skip_border && !s->average))
		return -EINVAL;
	return 0;
}

/* From the first to the last of some rows. */
struct range {
	uint32_t first;
	uint32_t count;
};

/* Input rows that @outputs see. */
static struct range seen_by(const struct pool *pool, struct range outputs)
{
	const struct igrad_pool_shape *s = &pool->s;
	int64_t begin = (int64_t)outputs.first * s->stride_y - s->pad_top;
	int64_t end = begin + (int64_t)(outputs.count - 1) * s->stride_y + s->kernel_y;

	begin = begin < 0 ? 0 : begin;
	end = end > s->height ? s->height : end;
	return (struct range){(uint32_t)begin, (uint32_t)(end - begin)};
}

/* Output rows that see one of @inputs; perhaps none. */
static struct range that_see(const struct pool *pool, struct range inputs)
{
	const struct igrad_pool_shape *s = &pool->s;
	int64_t first = (int64_t)inputs.first + s->pad_top - s->kernel_y + 1;
	int64_t last = ((int64_t)inputs.first + inputs.count - 1 + s->pad_top) / s->stride_y;

	first = first < 0 ? 0 : (first + s->stride_y - 1) / s->stride_y;
	last = last < pool->out_height ? last : pool->out_height - 1;
	return (struct range){(uint32_t)first, last < first ? 0 : (uint32_t)(last - first + 1)};
}

/* ---------------------------------------------------------------- cutting */

/* Rows of the other side that a slab of @rows rows has at most; all, where images follow. */
static uint32_t other_rows(const struct pool *pool, uint32_t images, uint32_t rows)
{
	const struct igrad_pool_shape *s = &pool->s;
	uint64_t n;

	if (images > 1)
		return pool->backward ? pool->out_height : s->height;
	if (!pool->backward) {
		n = (uint64_t)(rows - 1) * s->stride_y + s->kernel_y;
		return n < s->height ? (uint32_t)n : s->height;
	}
	n = ((uint64_t)rows + s->kernel_y - 2) / s->stride_y + 1;
	return n < pool->out_height ? (uint32_t)n : pool->out_height;
}

/* Words of the inputs and of the outputs of a slab. */
static uint64_t input_words(const struct pool *pool, uint32_t images, uint32_t rows,
			    uint32_t channels)
{
	if (!pool->backward)
		rows = other_rows(pool, images, rows);
	return (uint64_t)images * rows * pool->s.width * channels;
}

static uint64_t output_words(const struct pool *pool, uint32_t images, uint32_t rows,
			     uint32_t channels)
{
	if (pool->backward)
		rows = other_rows(pool, images, rows);
	return (uint64_t)images * rows * pool->out_width * channels;
}

static uint64_t slab_words(const struct pool *pool, uint32_t images, uint32_t rows,
			   uint32_t channels)
{
	return input_words(pool, images, rows, channels) +
	       output_words(pool, images, rows, channels) * (pool->index ? 2 : 1);
}

static bool fits(const struct pool *pool, uint32_t images, uint32_t rows, uint32_t channels)
{
	const struct igrad_device_info *device = igrad_sram_device(pool->e.cmdbuf);
	uint64_t words = slab_words(pool, images, rows, channels);
	uint64_t outputs = output_words(pool, images, rows, channels);

	return words <= device->sram_bytes / 4 / pool->slots &&
	       outputs <= IGRAD_MAX_POOL_WORK / ((uint64_t)pool->s.kernel_y * pool->s.kernel_x);
}

static uint32_t most_rows(const struct pool *pool)
{
	return pool->backward ? pool->s.height : pool->out_height;
}

/* The largest number up to @most that fits as images, rows or channels; 0 if 1 does not. */
static uint32_t largest(const struct pool *pool, uint32_t most, uint32_t images, uint32_t rows,
			uint32_t channels)
{
	uint32_t low = 0, high = most;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if (fits(pool, images ? images : middle, rows ? rows : middle,
			 channels ? channels : middle))
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Whole images; or one, with as many channels as DRAM moves in a cycle at least; or rows of one. */
static bool cut(struct pool *pool, uint32_t slots)
{
	const struct igrad_device_info *device = igrad_sram_device(pool->e.cmdbuf);
	const uint32_t all = most_rows(pool), channels = pool->s.channels;
	const uint32_t least = igrad_min(channels, device->dram_bytes_per_cycle / 4);

	pool->slots = slots;
	pool->rows = all;
	pool->channels = channels;
	pool->images = largest(pool, (pool->s.batch + STEPS - 1) / STEPS, 0, all, channels);
	if (pool->images)
		return true;
	pool->images = 1;
	pool->channels = largest(pool, channels, 1, all, 0);
	if (pool->channels && pool->channels >= least)
		return true;
	pool->channels = channels;
	pool->rows = largest(pool, all, 1, 0, channels);
	if (pool->rows)
		return true;
	pool->rows = 1;
	pool->channels = largest(pool, channels, 1, 1, 0);
	return pool->channels;
}

static int open_pool(struct pool *pool, struct igrad_cmdbuf *cmdbuf,
		     const struct igrad_pool_shape *shape, bool backward, bool index)
{
	uint64_t words;
	int err;

	*pool = (struct pool){
		.e.cmdbuf = cmdbuf, .s = *shape, .backward = backward, .index = index};
	err = igrad_pool_output(shape, &pool->out_height, &pool->out_width);
	if (err)
		return err;
	if (!cut(pool, 3) && !cut(pool, 2) && !cut(pool, 1))
		return -ENOSPC;
	words = slab_words(pool, pool->images, pool->rows, pool->channels);
	pool->sram = igrad_sram_reserve(cmdbuf, (uint32_t)(pool->slots * words * 4));
	return 0;
}

/* ---------------------------------------------------------------- slabs */

/**
 * struct slab - what is in SRAM together
 * @in: input rows; @out: output rows
 * @x, @y, @index: their places, pixel behind pixel
 */
struct slab {
	uint32_t image;
	uint32_t images;
	uint32_t channel;
	uint32_t channels;
	struct range in;
	struct range out;
	struct igrad_place x;
	struct igrad_place y;
	struct igrad_place index;
};

/* Of the matrix of inputs, or of outputs: rows are pixels. */
static struct igrad_size pixels(const struct slab *slab, struct range rows, uint32_t width)
{
	return (struct igrad_size){slab->images * rows.count * width, slab->channels};
}

static void load(struct pool *pool, const struct slab *slab, const struct igrad_matrix *m,
		 struct range rows, uint32_t height, uint32_t width, struct igrad_place to)
{
	igrad_emit_load(&pool->e, m, (slab->image * height + rows.first) * width, slab->channel,
			pixels(slab, rows, width), to);
}

static void store(struct pool *pool, const struct slab *slab, const struct igrad_matrix *m,
		  struct range rows, uint32_t height, uint32_t width, struct igrad_place from)
{
	igrad_emit_store(&pool->e, m, (slab->image * height + rows.first) * width, slab->channel,
			 pixels(slab, rows, width), from);
}

static void place(struct pool *pool, struct slab *slab)
{
	uint32_t slot = pool->number++ % pool->slots;
	uint64_t words = slab_words(pool, pool->images, pool->rows, pool->channels);
	uint64_t in = input_words(pool, pool->images, pool->rows, pool->channels);
	uint64_t out = output_words(pool, pool->images, pool->rows, pool->channels);
	uint32_t addr = pool->sram + (uint32_t)(slot * words * 4);

	slab->x = (struct igrad_place){addr, slab->channels * 4, IGRAD_FP32};
	slab->y = (struct igrad_place){addr + (uint32_t)(in * 4), slab->channels * 4, IGRAD_FP32};
	slab->index = slab->y;
	slab->index.addr += (uint32_t)(out * 4);
}

/* Windows of the slab's outputs over its inputs. */
static struct igrad_cmd_pool windows(const struct pool *pool, const struct slab *slab)
{
	const struct igrad_pool_shape *s = &pool->s;
	int32_t top = (int32_t)(slab->out.first * s->stride_y) - (int32_t)s->pad_top;

	return (struct igrad_cmd_pool){
		.height = (uint16_t)slab->in.count,
		.width = (uint16_t)s->width,
		.out_height = (uint16_t)slab->out.count,
		.out_width = (uint16_t)pool->out_width,
		.kernel_y = (uint16_t)s->kernel_y,
		.kernel_x = (uint16_t)s->kernel_x,
		.stride_y = (uint16_t)s->stride_y,
		.stride_x = (uint16_t)s->stride_x,
		.tap = IGRAD_TAP(top - (int32_t)slab->in.first, -(int32_t)s->pad_left),
		.images = slab->images,
		.cols = slab->channels,
	};
}

/* By how many pixels count: those of the image, or of the image and its padding. */
static void divide(struct pool *pool, const struct slab *slab)
{
	const struct igrad_pool_shape *s = &pool->s;
	struct igrad_cmd_pool cmd = windows(pool, slab);
	int32_t top = (int32_t)(slab->out.first * s->stride_y), left = 0;

	cmd.height = (uint16_t)s->height;
	if (s->skip_border) {
		top -= (int32_t)s->pad_top;
		left -= (int32_t)s->pad_left;
	} else {
		cmd.height = (uint16_t)(s->height + s->pad_top + s->pad_bottom);
		cmd.width = (uint16_t)(s->width + s->pad_left + s->pad_right);
	}
	cmd.tap = IGRAD_TAP(top, left);
	cmd.a = cmd.d = slab->y.addr;
	igrad_emit_pool(&pool->e, IGRAD_OP_VEC_POOL_DIVIDE, 0, &cmd);
}

static void set_rows(const struct pool *pool, struct slab *slab, struct range rows)
{
	if (pool->images > 1) {
		slab->in = (struct range){0, pool->s.height};
		slab->out = (struct range){0, pool->out_height};
	} else {
		slab->in = pool->backward ? rows : seen_by(pool, rows);
		slab->out = pool->backward ? that_see(pool, rows) : rows;
	}
}

typedef void slab_fn(struct pool *pool, struct slab *slab, const void *args);

static void each_slab(struct pool *pool, slab_fn *fn, const void *args)
{
	const struct igrad_pool_shape *s = &pool->s;
	const uint32_t all = most_rows(pool);
	struct slab slab;

	for (slab.image = 0; slab.image < s->batch; slab.image += slab.images) {
		slab.images = igrad_min(pool->images, s->batch - slab.image);
		for (slab.channel = 0; slab.channel < s->channels; slab.channel += slab.channels) {
			slab.channels = igrad_min(pool->channels, s->channels - slab.channel);
			for (uint32_t row = 0; row < all && !pool->e.err; row += pool->rows) {
				struct range rows = {row, igrad_min(pool->rows, all - row)};

				set_rows(pool, &slab, rows);
				place(pool, &slab);
				fn(pool, &slab, args);
			}
		}
	}
}

/* ---------------------------------------------------------------- forward */

static void forward_slab(struct pool *pool, struct slab *slab, const void *opaque)
{
	const struct igrad_pool_forward *args = opaque;
	const struct igrad_pool_shape *s = &pool->s;
	struct igrad_cmd_pool cmd = windows(pool, slab);

	load(pool, slab, args->x, slab->in, s->height, s->width, slab->x);
	cmd.a = slab->x.addr;
	cmd.b = args->index ? slab->index.addr : 0;
	cmd.d = slab->y.addr;
	igrad_emit_pool(&pool->e, s->average ? IGRAD_OP_VEC_POOL_SUM : IGRAD_OP_VEC_POOL_MAX,
			args->index ? IGRAD_FLAG_INDEX : 0, &cmd);
	if (s->average)
		divide(pool, slab);
	store(pool, slab, args->y, slab->out, pool->out_height, pool->out_width, slab->y);
	if (args->index)
		store(pool, slab, args->index, slab->out, pool->out_height, pool->out_width,
		      slab->index);
}

static int check(const struct igrad_pool_shape *s, const struct igrad_matrix *inputs,
		 const struct igrad_matrix *outputs, const struct igrad_matrix *index)
{
	uint32_t height, width;
	int err = igrad_pool_output(s, &height, &width);

	if (!err && s->average && index)
		err = -EINVAL;
	if (!err)
		err = igrad_layer_check(inputs, (uint64_t)s->batch * s->height * s->width,
					s->channels);
	if (!err)
		err = igrad_layer_check(outputs, (uint64_t)s->batch * height * width, s->channels);
	if (!err && index)
		err = igrad_layer_check(index, (uint64_t)s->batch * height * width, s->channels);
	return err;
}

int igrad_pool_forward(struct igrad_cmdbuf *cmdbuf, const struct igrad_pool_forward *args)
{
	struct pool pool;
	int err = check(&args->shape, args->x, args->y, args->index);

	if (!err)
		err = open_pool(&pool, cmdbuf, &args->shape, false, args->index);
	if (err)
		return err;
	each_slab(&pool, forward_slab, args);
	return pool.e.err;
}

/* ---------------------------------------------------------------- backward */

static void backward_slab(struct pool *pool, struct slab *slab, const void *opaque)
{
	const struct igrad_pool_backward *args = opaque;
	const struct igrad_pool_shape *s = &pool->s;
	struct igrad_cmd_pool cmd = windows(pool, slab);

	igrad_emit_fill(&pool->e, pixels(slab, slab->in, s->width), 0.0f, slab->x);
	if (slab->out.count) {
		load(pool, slab, args->dy, slab->out, pool->out_height, pool->out_width, slab->y);
		if (args->index)
			load(pool, slab, args->index, slab->out, pool->out_height, pool->out_width,
			     slab->index);
		else
			divide(pool, slab);
		cmd.a = slab->y.addr;
		cmd.b = args->index ? slab->index.addr : 0;
		cmd.d = slab->x.addr;
		igrad_emit_pool(&pool->e,
				args->index ? IGRAD_OP_VEC_POOL_MAX_GRAD
					    : IGRAD_OP_VEC_POOL_SUM_GRAD,
				0, &cmd);
	}
	store(pool, slab, args->dx, slab->in, s->height, s->width, slab->x);
}

int igrad_pool_backward(struct igrad_cmdbuf *cmdbuf, const struct igrad_pool_backward *args)
{
	struct pool pool;
	int err = check(&args->shape, args->dx, args->dy, args->index);

	if (!err && !args->shape.average != !!args->index)
		err = -EINVAL;
	if (!err)
		err = open_pool(&pool, cmdbuf, &args->shape, true, args->index);
	if (err)
		return err;
	each_slab(&pool, backward_slab, args);
	return pool.e.err;
}
