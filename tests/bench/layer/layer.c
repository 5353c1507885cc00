/* SPDX-License-Identifier: MIT */
/*
 * How fast a device computes what the library built: a layer's backward pass as one job, from
 * memory to memory, all counters on. By one thread against OpenBLAS sgemm doing the same two
 * products on one thread, and by two threads against one. Rows for the table of `make bench`.
 */
#include <cblas.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "igrad/igrad.h"

#define IN    1024u
#define OUT   1024u
#define BATCH 256u
#define MACS  (2.0 * IN * OUT * BATCH)
#define TIMES 31

struct layer {
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *cmdbuf;
	struct igrad_matrix x;
	struct igrad_matrix w;
	struct igrad_matrix dy;
	struct igrad_matrix dx;
	clockid_t clock;
};

static void check(int err, const char *what)
{
	if (err)
		bench_fail(what, igrad_strerror(err));
}

static float *words(const struct igrad_matrix *m)
{
	return igrad_buffer_map(m->buffer);
}

static struct igrad_matrix matrix(struct igrad_device *device, uint32_t rows, uint32_t cols)
{
	struct igrad_matrix m = {.rows = rows, .cols = cols};

	check(igrad_buffer_new(device, (uint64_t)rows * cols * sizeof(float), &m.buffer), "buffer");
	for (uint32_t i = 0; i < rows * cols; i++)
		words(&m)[i] = (float)(i * 2654435761u % 1000) * 0.002f - 1.0f;
	return m;
}

static void build(struct layer *layer, uint32_t n, unsigned int threads)
{
	struct igrad_linear_backward backward = {
		.schedule = IGRAD_SCHEDULE_INTERLEAVED,
		.x = &layer->x,
		.w = &layer->w,
		.dy = &layer->dy,
		.dx = &layer->dx,
		.optimizer = {.update = IGRAD_UPDATE_SGD, .lr = 0.01f},
	};
	char uri[64];

	snprintf(uri, sizeof(uri), "sim:rows=%u,cols=%u,threads=%u", n, n, threads);
	check(igrad_device_open(uri, &layer->device, NULL), uri);
	check(igrad_queue_new(layer->device, &layer->queue), "queue");
	check(igrad_cmdbuf_new(layer->device, &layer->cmdbuf), "command buffer");
	layer->x = matrix(layer->device, BATCH, IN);
	layer->w = matrix(layer->device, IN, OUT);
	layer->dy = matrix(layer->device, BATCH, OUT);
	layer->dx = matrix(layer->device, BATCH, IN);
	check(igrad_linear_backward(layer->cmdbuf, &backward), "backward");
}

static void release(struct layer *layer)
{
	igrad_cmdbuf_unref(layer->cmdbuf);
	igrad_buffer_unref(layer->x.buffer);
	igrad_buffer_unref(layer->w.buffer);
	igrad_buffer_unref(layer->dy.buffer);
	igrad_buffer_unref(layer->dx.buffer);
	igrad_queue_unref(layer->queue);
	igrad_device_unref(layer->device);
}

static double run_job(void *context)
{
	const struct layer *layer = context;
	const double start = bench_clock(layer->clock);

	check(igrad_queue_run(layer->queue, layer->cmdbuf, NULL), "job");
	return bench_clock(layer->clock) - start;
}

struct products {
	const struct layer *of;
	float *dx;
	float *dw;
};

static double run_blas(void *context)
{
	const struct products *products = context;
	const struct layer *of = products->of;
	const double start = bench_clock(of->clock);

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, BATCH, IN, OUT, 1.0f, words(&of->dy),
		    OUT, words(&of->w), OUT, 0.0f, products->dx, IN);
	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, IN, OUT, BATCH, 1.0f, words(&of->x),
		    IN, words(&of->dy), OUT, 0.0f, products->dw, OUT);
	return bench_clock(of->clock) - start;
}

static struct bench_figure rate(double seconds, const char *unit)
{
	return (struct bench_figure){MACS / seconds * 1e-9, unit};
}

/* By the process's clock: what else the host does should not count. */
static void against_blas(struct layer *one, uint32_t n)
{
	struct products products = {one, malloc(BATCH * IN * sizeof(float)),
				    malloc(IN * OUT * sizeof(float))};
	struct bench_pair pair;
	char what[128];

	if (!products.dx || !products.dw)
		bench_fail("products", strerror(errno));
	one->clock = CLOCK_PROCESS_CPUTIME_ID;
	pair = bench_compare((struct bench_side){run_job, one},
			     (struct bench_side){run_blas, &products}, TIMES);
	snprintf(what, sizeof(what), "one thread ÷ OpenBLAS, the library's whole job, %u × %u", n,
		 n);
	bench_row(what, pair.ratio, rate(pair.ours, "GMAC/s"),
		  rate(pair.reference, "GMAC/s, sgemm"), "≥ 0.80");
	free(products.dx);
	free(products.dw);
}

static void against_one_thread(struct layer *one, uint32_t n)
{
	struct layer two;
	struct bench_pair pair;
	char what[128];

	build(&two, n, 2);
	one->clock = two.clock = CLOCK_MONOTONIC;
	pair = bench_compare((struct bench_side){run_job, &two}, (struct bench_side){run_job, one},
			     TIMES);
	snprintf(what, sizeof(what), "two threads ÷ one, the library's whole job, %u × %u", n, n);
	bench_row(what, pair.ratio, rate(pair.ours, "GMAC/s"),
		  rate(pair.reference, "GMAC/s, one thread"), "≥ 1.80");
	release(&two);
}

int main(void)
{
	openblas_set_num_threads(1);
	for (uint32_t n = 128; n >= 32; n /= 4) {
		struct layer one;

		build(&one, n, 1);
		against_blas(&one, n);
		against_one_thread(&one, n);
		release(&one);
	}
	return 0;
}
