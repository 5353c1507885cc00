/* SPDX-License-Identifier: MIT */
/*
 * Whole convolutions on the core: forward, both gradients one after the other, and interleaved, of
 * random layers, in tiles, chunks and slabs of images. Each has the bits of plain loops on the host
 * that add in the order of the manual: y in (kh, kw, i); dx, of each pixel, in (kh, kw), then o; dw
 * in (n, oy, ox).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define SRAM_BYTES (8u << 20)
#define MOST_CMDS  15000

struct layer {
	uint32_t images;
	uint32_t groups;
	uint32_t in; /* channels of a group */
	uint32_t out;
	uint32_t size[2]; /* y, x, here and below */
	uint32_t kernel[2];
	uint32_t stride[2];
	uint32_t dilation[2];
	uint32_t before[2]; /* padding */
	uint32_t behind[2];
	uint32_t out_size[2];

	uint32_t rows; /* of the array */
	uint32_t cols;
	uint32_t chunk; /* outputs of a stream */
	uint32_t slab;	/* rows of an image that are at work at once; 0: whole images */
	uint32_t threads;

	/* words from the start of SRAM */
	uint32_t x, w, g, y, dx, dw, end;
};

struct job {
	struct igrad_cmd cmds[MOST_CMDS];
	unsigned int count;
};

static struct rig rig;
static struct job job;

/* --------------------------------------------------------------------------------------------- */
/* Layers */
/* --------------------------------------------------------------------------------------------- */

static void set_extents(struct layer *l)
{
	for (unsigned int axis = 0; axis < 2; axis++) {
		const uint32_t reach = (l->kernel[axis] - 1) * l->dilation[axis] + 1;
		const uint32_t padded = l->size[axis] + l->before[axis] + l->behind[axis];

		l->out_size[axis] = padded < reach ? 0 : (padded - reach) / l->stride[axis] + 1;
	}
	l->x = 0;
	l->w = l->x + l->images * l->size[0] * l->size[1] * l->groups * l->in;
	l->g = l->w + l->kernel[0] * l->kernel[1] * l->in * l->out;
	l->y = l->g + l->images * l->out_size[0] * l->out_size[1] * l->out;
	l->dx = l->y + (l->y - l->g);
	l->dw = l->dx + (l->w - l->x);
	l->end = l->dw + (l->g - l->w);
}

static struct layer random_layer(struct rng *rng)
{
	const uint32_t groups = rng_below(rng, 2) ? 1 : rng_between(rng, 2, 6);
	const bool depthwise = groups > 1 && rng_below(rng, 3) == 0;
	struct layer l = {
		.images = rng_between(rng, 1, 3),
		.groups = groups,
		.in = depthwise ? 1 : rng_between(rng, 1, 9),
		.out = groups * (depthwise ? 1 : rng_between(rng, 1, groups > 1 ? 4 : 9)),
		.rows = rng_between(rng, 2, 8),
		.cols = rng_between(rng, 2, 8),
		.chunk = rng_below(rng, 2) ? IGRAD_MAX_BATCH : rng_between(rng, 5, 60),
		.slab = rng_below(rng, 2) ? 0 : rng_between(rng, 2, 5),
		.threads = 1,
	};

	do {
		for (unsigned int axis = 0; axis < 2; axis++) {
			l.size[axis] = rng_between(rng, 1, 9);
			l.kernel[axis] = rng_between(rng, 1, 3);
			l.stride[axis] = rng_between(rng, 1, 3);
			l.dilation[axis] = rng_between(rng, 1, 2);
			l.before[axis] = rng_below(rng, 3);
			l.behind[axis] = rng_below(rng, 3);
		}
		set_extents(&l);
	} while (!l.out_size[0] || !l.out_size[1]);
	return l;
}

/* --------------------------------------------------------------------------------------------- */
/* On the host */
/* --------------------------------------------------------------------------------------------- */

struct place {
	uint32_t n, oy, ox, kh, kw;
};

/* The pixel that an output sees at a position of the kernel, or -1. */
static int64_t pixel_of(const struct layer *l, const struct place *p)
{
	const int64_t y = (int64_t)p->oy * l->stride[0] + p->kh * l->dilation[0] - l->before[0];
	const int64_t x = (int64_t)p->ox * l->stride[1] + p->kw * l->dilation[1] - l->before[1];

	if (y < 0 || y >= l->size[0] || x < 0 || x >= l->size[1])
		return -1;
	return ((int64_t)p->n * l->size[0] + y) * l->size[1] + x;
}

static void add_outer(const struct layer *l, float *m, const struct place *p, int64_t pixel)
{
	const float *x = m + l->x + pixel * l->groups * l->in;
	const size_t output = ((size_t)p->n * l->out_size[0] + p->oy) * l->out_size[1] + p->ox;
	const size_t tap = ((size_t)p->kh * l->kernel[1] + p->kw) * l->in;
	const float *w = m + l->w + tap * l->out, *g = m + l->g + output * l->out;
	float *y = m + l->y + output * l->out, *dx = m + l->dx + pixel * l->groups * l->in;
	float *dw = m + l->dw + tap * l->out;

	for (uint32_t i = 0; i < l->in; i++) {
		for (uint32_t o = 0; o < l->out; o++) {
			const uint32_t channel = o / (l->out / l->groups) * l->in + i;
			const uint32_t weight = i * l->out + o;

			y[o] = fmaf(x[channel], w[weight], y[o]);
			dx[channel] = fmaf(g[o], w[weight], dx[channel]);
			dw[weight] = fmaf(x[channel], g[o], dw[weight]);
		}
	}
}

/* One order of loops is right for all three: each sum meets its terms in its own order. */
static void on_the_host(const struct layer *l, float *m)
{
	struct place p;

	for (p.kh = 0; p.kh < l->kernel[0]; p.kh++)
		for (p.kw = 0; p.kw < l->kernel[1]; p.kw++)
			for (p.n = 0; p.n < l->images; p.n++)
				for (p.oy = 0; p.oy < l->out_size[0]; p.oy++)
					for (p.ox = 0; p.ox < l->out_size[1]; p.ox++) {
						const int64_t pixel = pixel_of(l, &p);

						if (pixel >= 0)
							add_outer(l, m, &p, pixel);
					}
}

/* --------------------------------------------------------------------------------------------- */
/* On the core */
/* --------------------------------------------------------------------------------------------- */

static void add(struct igrad_cmd cmd)
{
	assert_true(job.count < MOST_CMDS);
	job.cmds[job.count++] = cmd;
}

/* A tile of the weights at one position of the kernel: of one group, or all of several. */
struct tile {
	uint32_t kh, kw;
	uint32_t i; /* of the group: row of the weights there */
	uint32_t channel, rows;
	uint32_t o, cols;
	uint16_t flags;
};

/*
 * Images that are streamed: all, or some rows of the input and of the output of one. Forward,
 * slabs are of outputs, and see all rows of the input that these need; backward they are of the
 * input, and all outputs go by, so that either way a sum is complete before its slab ends.
 */
struct slab {
	uint32_t image;
	uint32_t images;
	uint32_t top; /* rows of the input */
	uint32_t height;
	uint32_t out_top;
	uint32_t out_height;
	bool first; /* of the layer */
};

static struct igrad_cmd shift(const struct layer *l, enum igrad_opcode opcode, uint32_t matrix,
			      const struct tile *t)
{
	const uint32_t row = (t->kh * l->kernel[1] + t->kw) * l->in + t->i;

	struct igrad_cmd cmd = cmd_shift(opcode, t->rows, t->cols,
					 (matrix + row * l->out + t->o) * 4, l->out);

	cmd.flags = t->flags;
	return cmd;
}

static uint32_t outputs_of(const struct layer *l, const struct slab *s)
{
	return s->images * s->out_height * l->out_size[1];
}

static void stream(const struct layer *l, enum igrad_opcode opcode, uint16_t flags,
		   const struct tile *t, const struct slab *s)
{
	const uint32_t channels = l->groups * l->in;
	const uint32_t pixel = (s->image * l->size[0] + s->top) * l->size[1];
	const uint32_t output = (s->image * l->out_size[0] + s->out_top) * l->out_size[1];
	const int32_t tap_y = (int32_t)(t->kh * l->dilation[0] + s->out_top * l->stride[0]) -
			      (int32_t)(l->before[0] + s->top);
	const int32_t tap_x = (int32_t)(t->kw * l->dilation[1]) - (int32_t)l->before[1];
	struct igrad_cmd cmd;

	for (uint32_t first = 0; first < outputs_of(l, s); first += l->chunk) {
		const uint32_t left = outputs_of(l, s) - first, row = output + first;

		cmd = cmd_stream(opcode, t->rows, t->cols, left < l->chunk ? left : l->chunk);
		cmd.flags = flags | t->flags | IGRAD_FLAG_WINDOW;
		cmd.u.array.tap = IGRAD_TAP(tap_y, tap_x);
		cmd.u.array.first = first;
		if (opcode != IGRAD_OP_DGRAD)
			cmd_x(&cmd, (l->x + pixel * channels + t->channel) * 4, channels);
		if (opcode != IGRAD_OP_FPROP)
			cmd_g(&cmd, (l->g + row * l->out + t->o) * 4, l->out);
		if (opcode == IGRAD_OP_FPROP)
			cmd_p(&cmd, (l->y + row * l->out + t->o) * 4, l->out);
		else if (opcode != IGRAD_OP_WGRAD)
			cmd_p(&cmd, (l->dx + pixel * channels + t->channel) * 4, channels);
		add(cmd);
		if (opcode == IGRAD_OP_WGRAD || opcode == IGRAD_OP_INTERLEAVED)
			flags |= IGRAD_FLAG_KEEP;
	}
}

static void set_window(const struct layer *l, const struct slab *s)
{
	add((struct igrad_cmd){
		.opcode = IGRAD_OP_WINDOW,
		.u.window = {.height = (uint16_t)s->height,
			     .width = (uint16_t)l->size[1],
			     .out_height = (uint16_t)s->out_height,
			     .out_width = (uint16_t)l->out_size[1],
			     .stride_y = (uint16_t)l->stride[0],
			     .stride_x = (uint16_t)l->stride[1],
			     .group_rows = (uint16_t)l->in,
			     .group_cols = (uint16_t)(l->out / l->groups)},
	});
}

static void forward_tile(const struct layer *l, const struct tile *t, const struct slab *s)
{
	const bool first = !t->kh && !t->kw && !t->i;

	add(shift(l, IGRAD_OP_LOAD_W, l->w, t));
	stream(l, IGRAD_OP_FPROP, first ? 0 : IGRAD_FLAG_ADD, t, s);
}

static void dgrad_tile(const struct layer *l, const struct tile *t, const struct slab *s)
{
	add(shift(l, IGRAD_OP_LOAD_W, l->w, t));
	stream(l, IGRAD_OP_DGRAD, IGRAD_FLAG_ADD, t, s);
}

static void with_acc(const struct layer *l, enum igrad_opcode opcode, uint16_t flags,
		     const struct tile *t, const struct slab *s)
{
	if (!s->first)
		add(shift(l, IGRAD_OP_LOAD_ACC, l->dw, t));
	stream(l, opcode, flags | (s->first ? 0 : IGRAD_FLAG_KEEP), t, s);
	add(shift(l, IGRAD_OP_DRAIN_ACC, l->dw, t));
}

static void wgrad_tile(const struct layer *l, const struct tile *t, const struct slab *s)
{
	with_acc(l, IGRAD_OP_WGRAD, 0, t, s);
}

static void interleaved_tile(const struct layer *l, const struct tile *t, const struct slab *s)
{
	add(shift(l, IGRAD_OP_LOAD_W, l->w, t));
	with_acc(l, IGRAD_OP_INTERLEAVED, IGRAD_FLAG_ADD, t, s);
}

typedef void tile_fn(const struct layer *l, const struct tile *t, const struct slab *s);

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void tiles_of_group(const struct layer *l, struct tile t, uint32_t group,
			   const struct slab *s, tile_fn *fn)
{
	const uint32_t of_group = l->out / l->groups;

	for (t.i = 0; t.i < l->in; t.i += l->rows)
		for (uint32_t o = 0; o < of_group; o += l->cols) {
			t.channel = group * l->in + t.i;
			t.rows = least(l->rows, l->in - t.i);
			t.o = group * of_group + o;
			t.cols = least(l->cols, of_group - o);
			fn(l, &t, s);
		}
}

static void tile_of_groups(const struct layer *l, struct tile t, uint32_t group, uint32_t groups,
			   const struct slab *s, tile_fn *fn)
{
	const uint32_t of_group = l->out / l->groups;

	t.channel = group * l->in;
	t.rows = groups * l->in;
	t.o = group * of_group;
	t.cols = groups * of_group;
	t.flags = IGRAD_FLAG_GROUPS;
	fn(l, &t, s);
}

/* For each sum, tiles come in the order of its terms: y wants in-features so, dx out-features. */
static void all_tiles(const struct layer *l, const struct slab *s, tile_fn *fn)
{
	const uint32_t fit = least(l->rows / l->in, l->cols / (l->out / l->groups));
	struct tile t = {0};

	set_window(l, s);
	for (t.kh = 0; t.kh < l->kernel[0]; t.kh++)
		for (t.kw = 0; t.kw < l->kernel[1]; t.kw++)
			for (uint32_t group = 0; group < l->groups; group += fit ? fit : 1) {
				if (fit)
					tile_of_groups(l, t, group, least(fit, l->groups - group),
						       s, fn);
				else
					tiles_of_group(l, t, group, s, fn);
			}
}

static void forward_slab(const struct layer *l, uint32_t image, uint32_t out_top)
{
	const uint32_t out_height = least(l->slab, l->out_size[0] - out_top);
	const uint32_t reach = (out_height - 1) * l->stride[0] +
			       (l->kernel[0] - 1) * l->dilation[0] + 1;
	const uint32_t from = out_top * l->stride[0]; /* of the padded image */
	const uint32_t top = from < l->before[0] ? 0 : least(from - l->before[0], l->size[0] - 1);
	const uint32_t end = from + reach < l->before[0] ? 0 : from + reach - l->before[0];
	const struct slab s = {
		.image = image,
		.images = 1,
		.top = top,
		.height = end > top ? least(end, l->size[0]) - top : 1, /* or none is valid */
		.out_top = out_top,
		.out_height = out_height,
	};

	all_tiles(l, &s, forward_tile);
}

static void backward_slab(const struct layer *l, uint32_t image, uint32_t top, tile_fn *fn)
{
	const struct slab s = {
		.image = image,
		.images = 1,
		.top = top,
		.height = least(l->slab, l->size[0] - top),
		.out_height = l->out_size[0],
		.first = !image && !top,
	};

	all_tiles(l, &s, fn);
}

static void all_slabs(const struct layer *l, tile_fn *fn)
{
	const struct slab all = {
		.images = l->images,
		.height = l->size[0],
		.out_height = l->out_size[0],
		.first = true,
	};

	if (!l->slab)
		all_tiles(l, &all, fn);
	for (uint32_t n = 0; l->slab && n < l->images; n++) {
		const bool forward = fn == forward_tile;

		for (uint32_t top = 0; top < l->size[0] && !forward; top += l->slab)
			backward_slab(l, n, top, fn);
		for (uint32_t top = 0; top < l->out_size[0] && forward; top += l->slab)
			forward_slab(l, n, top);
	}
}

static void run(const struct layer *l, tile_fn *fn)
{
	job.count = 0;
	add(cmd_dma(IGRAD_OP_DMA_LOAD, RIG_DATA, 0, 1, l->end));
	all_slabs(l, fn);
	add(cmd_dma(IGRAD_OP_DMA_STORE, RIG_DATA, 0, 1, l->end));
	rig_chain(job.cmds, job.count);
	rig_run(&rig, job.cmds, job.count);
	assert_int_equal(rig.result.status, IGRAD_STATUS_OK);
}

/* --------------------------------------------------------------------------------------------- */
/* Comparison */
/* --------------------------------------------------------------------------------------------- */

static void same_bits(const struct layer *l, const char *what, const float *expected,
		      uint32_t begin, uint32_t end)
{
	const float *got = rig_floats(&rig, RIG_DATA);

	for (uint32_t i = begin; i < end; i++) {
		if (bits_of(got[i]) == bits_of(expected[i]))
			continue;
		printf("# %s, word %u: %a, not %a\n", what, i - begin, got[i], expected[i]);
		printf("# %u images of %u x %u x %u · %u, kernel %u x %u, %u outputs, %u x %u array\n",
		       l->images, l->size[0], l->size[1], l->groups, l->in, l->kernel[0],
		       l->kernel[1], l->out, l->rows, l->cols);
		fail();
	}
}

static void fill(struct rng *rng, float *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = rng_below(rng, 8) ? rng_float(rng) : rng_below(rng, 2) ? -0.0f : 0.0f;
}

static void compare(struct rng *rng, const struct layer *l)
{
	float *expected = calloc(l->end, sizeof(*expected));
	struct igrad_config config;

	assert_non_null(expected);
	rig_config(&config, l->rows, l->cols);
	config.sram_bytes = SRAM_BYTES;
	config.threads = l->threads;
	config.overlap = rng_below(rng, 2);
	rig_init(&rig, &config, SRAM_BYTES);
	fill(rng, expected, l->y);
	memcpy(rig_floats(&rig, RIG_DATA), expected, l->end * sizeof(*expected));
	on_the_host(l, expected);
	run(l, forward_tile);
	same_bits(l, "y", expected, l->y, l->dx);
	run(l, dgrad_tile);
	run(l, wgrad_tile);
	same_bits(l, "dx", expected, l->dx, l->dw);
	same_bits(l, "dw", expected, l->dw, l->end);
	memset(rig_floats(&rig, RIG_DATA) + l->dx, 0, (l->end - l->dx) * sizeof(float));
	run(l, interleaved_tile);
	same_bits(l, "dx, interleaved", expected, l->dx, l->dw);
	same_bits(l, "dw, interleaved", expected, l->dw, l->end);
	rig_destroy(&rig);
	free(expected);
}

static void test_random_layers(void **state)
{
	const uint64_t seed = seed_of_test("random convolutions");
	const unsigned int rounds = count_of_test(300);

	(void)state;
	for (unsigned int i = 0; i < rounds; i++) {
		struct rng rng = {seed + i};
		const struct layer l = random_layer(&rng);

		compare(&rng, &l);
	}
}

/* So large that host threads share each stream. */
static void test_large_layer(void **state)
{
	struct rng rng = {seed_of_test("a large convolution")};
	struct layer l = {
		.images = 2,
		.groups = 1,
		.in = 70,
		.out = 64,
		.size = {14, 15},
		.kernel = {3, 3},
		.stride = {1, 1},
		.dilation = {1, 1},
		.before = {1, 1},
		.behind = {1, 1},
		.rows = 64,
		.cols = 48,
		.chunk = IGRAD_MAX_BATCH,
		.threads = 3,
	};

	(void)state;
	set_extents(&l);
	compare(&rng, &l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_layers),
		cmocka_unit_test(test_large_layer),
	};

	return run_group("core-convolution", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
