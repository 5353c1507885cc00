/* SPDX-License-Identifier: MIT */
/*
 * Pooling. Results are made row of outputs by row of outputs; what gradients add to is shared by
 * rows, so they are split by channels, which have nothing to do with each other.
 */
#include "mathfn.h"
#include "pooling.h"
#include "vector.h"

struct pooling {
	const struct igrad_kernels *kernels;
	const struct igrad_cmd *cmd;
	const struct igrad_cmd_pool *p;
	const float *a;
	uint32_t *b;
	float *d;
	bool index;
	size_t piece; /* rows of outputs, or channels, that one part does */
};

/* A window, where it is and what of it is in the image. */
struct window {
	int64_t top;
	int64_t left;
	struct igrad_reach y;
	struct igrad_reach x;
};

static struct window window_of(const struct igrad_cmd_pool *p, uint32_t oy, uint32_t ox)
{
	const int64_t top = igrad_pool_top(p, oy), left = igrad_pool_left(p, ox);

	return (struct window){
		.top = top,
		.left = left,
		.y = igrad_pool_reach(top, p->kernel_y, p->height),
		.x = igrad_pool_reach(left, p->kernel_x, p->width),
	};
}

/* Of the first word of the pixel at (@ky, @kx) of a window. */
static size_t pixel_at(const struct igrad_cmd_pool *p, const struct window *w, size_t image,
		       uint32_t ky, uint32_t kx)
{
	return ((image * p->height + (size_t)(w->top + ky)) * p->width + (size_t)(w->left + kx)) *
	       p->cols;
}

typedef void window_fn(const struct pooling *pool, const struct window *w, size_t image,
		       size_t output, size_t first, size_t n);

static void max_window(const struct pooling *pool, const struct window *w, size_t image,
		       size_t output, size_t first, size_t n)
{
	const struct igrad_cmd_pool *p = pool->p;
	float *d = pool->d + output + first;
	uint32_t *index = pool->index ? pool->b + output + first : NULL;
	bool begins = true;

	for (uint32_t ky = w->y.first; ky < w->y.end; ky++) {
		for (uint32_t kx = w->x.first; kx < w->x.end; kx++) {
			const float *a = pool->a + pixel_at(p, w, image, ky, kx) + first;
			const uint32_t number = ky * p->kernel_x + kx;

			if (index)
				pool->kernels->max_index(d, index, a, n, number, begins);
			else if (begins)
				pool->kernels->canonical(d, a, NULL, n, 0.0f, 0.0f);
			else
				pool->kernels->max(d, d, a, n, 0.0f, 0.0f);
			begins = false;
		}
	}
}

static void sum_window(const struct pooling *pool, const struct window *w, size_t image,
		       size_t output, size_t first, size_t n)
{
	float *d = pool->d + output + first;

	memset(d, 0, n * sizeof(*d));
	for (uint32_t ky = w->y.first; ky < w->y.end; ky++)
		for (uint32_t kx = w->x.first; kx < w->x.end; kx++)
			pool->kernels->add(d, d,
					   pool->a + pixel_at(pool->p, w, image, ky, kx) + first, n,
					   0.0f, 0.0f);
}

static void sum_grad_window(const struct pooling *pool, const struct window *w, size_t image,
			    size_t output, size_t first, size_t n)
{
	for (uint32_t ky = w->y.first; ky < w->y.end; ky++) {
		for (uint32_t kx = w->x.first; kx < w->x.end; kx++) {
			float *d = pool->d + pixel_at(pool->p, w, image, ky, kx) + first;

			pool->kernels->add(d, d, pool->a + output + first, n, 0.0f, 0.0f);
		}
	}
}

static bool within(const struct igrad_reach *reach, uint32_t k)
{
	return k >= reach->first && k < reach->end;
}

static void max_grad_window(const struct pooling *pool, const struct window *w, size_t image,
			    size_t output, size_t first, size_t n)
{
	const struct igrad_cmd_pool *p = pool->p;

	for (size_t c = first; c < first + n; c++) {
		const uint32_t number = pool->b[output + c];
		const uint32_t ky = number / p->kernel_x, kx = number % p->kernel_x;
		float *d;

		if (!within(&w->y, ky) || !within(&w->x, kx))
			continue;
		d = pool->d + pixel_at(p, w, image, ky, kx) + c;
		*d = igrad_canonical(*d + pool->a[output + c]);
	}
}

static void divide_window(const struct pooling *pool, const struct window *w, size_t image,
			  size_t output, size_t first, size_t n)
{
	const uint64_t count = (uint64_t)(w->y.end - w->y.first) * (w->x.end - w->x.first);

	(void)image;
	pool->kernels->div_mul(pool->d + output + first, pool->a + output + first, NULL, n,
			       (float)count, 1.0f);
}

static window_fn *function_of(uint8_t opcode)
{
	switch (opcode) {
	case IGRAD_OP_VEC_POOL_MAX:
		return max_window;
	case IGRAD_OP_VEC_POOL_MAX_GRAD:
		return max_grad_window;
	case IGRAD_OP_VEC_POOL_SUM:
		return sum_window;
	case IGRAD_OP_VEC_POOL_SUM_GRAD:
		return sum_grad_window;
	default: /* VEC_POOL_DIVIDE */
		return divide_window;
	}
}

/* Rows of outputs are numbered through all images. */
static void some_windows(const struct pooling *pool, size_t row, size_t end, size_t first, size_t n)
{
	const struct igrad_cmd_pool *p = pool->p;
	window_fn *fn = function_of(pool->cmd->opcode);

	for (; row < end; row++) {
		for (uint32_t ox = 0; ox < p->out_width; ox++) {
			const struct window w = window_of(p, (uint32_t)(row % p->out_height), ox);

			fn(pool, &w, row / p->out_height, (row * p->out_width + ox) * p->cols,
			   first, n);
		}
	}
}

static size_t limited(size_t end, size_t whole)
{
	return end < whole ? end : whole;
}

static void by_rows(void *context, unsigned int part)
{
	const struct pooling *pool = context;
	const size_t rows = (size_t)pool->p->images * pool->p->out_height;

	some_windows(pool, part * pool->piece, limited((part + 1) * pool->piece, rows), 0,
		     pool->p->cols);
}

static void by_channels(void *context, unsigned int part)
{
	const struct pooling *pool = context;
	const size_t first = part * pool->piece;

	some_windows(pool, 0, (size_t)pool->p->images * pool->p->out_height, first,
		     limited(first + pool->piece, pool->p->cols) - first);
}

void igrad_vector_pool(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_pool *p = &cmd->u.pool;
	const bool grad = igrad_pool_is_grad(cmd->opcode);
	const size_t whole = grad ? p->cols : (size_t)p->images * p->out_height;
	struct pooling pool = {
		.kernels = core->kernels,
		.cmd = cmd,
		.p = p,
		.a = igrad_words(core, p->a),
		.b = (uint32_t *)(void *)(core->sram.bytes + p->b),
		.d = igrad_words(core, p->d),
		.index = cmd->flags & IGRAD_FLAG_INDEX,
	};

	pool.piece = igrad_vector_piece(core->pool, whole, igrad_pool_terms(p));
	igrad_pool_run(core->pool, (unsigned int)((whole + pool.piece - 1) / pool.piece), NULL,
		       grad ? by_channels : by_rows, &pool);
}
