/* SPDX-License-Identifier: MIT */
/*
 * How fast a timing-only device goes through command streams: the linear layers of AlexNet, forward
 * and backward, against the time that the project allows for them; and one layer with few cycles
 * and with many for the same commands, which should make no difference. Rows for the table of
 * `make bench`.
 */
#include <stdio.h>

#include "bench.h"
#include "igrad/igrad.h"

#define MOST_LAYERS 3
#define TIMES	    31
#define ALLOWED	    0.1 /* seconds, for the classifier */

/* Linear layers in a row, on a square array. */
struct net {
	unsigned int layers;
	uint32_t widths[MOST_LAYERS + 1];
	uint32_t batch;
	uint32_t n;
	uint32_t sram_kib;
};

/* The passes of a net on a device of its own. */
struct stream {
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *passes[2 * MOST_LAYERS];
	unsigned int count;
	uint32_t commands;
	uint64_t cycles;
};

static void check(int err, const char *what)
{
	if (err)
		bench_fail(what, igrad_strerror(err));
}

static struct igrad_matrix matrix(struct igrad_device *device, uint32_t rows, uint32_t cols)
{
	struct igrad_matrix m = {.rows = rows, .cols = cols};

	check(igrad_buffer_new(device, (uint64_t)rows * cols * 4, &m.buffer), "buffer");
	return m;
}

/* A pass in a command buffer of its own, which keeps the buffers. */
static struct igrad_cmdbuf *pass(struct igrad_device *device, const struct net *net,
				 unsigned int layer, bool backward)
{
	const uint32_t in = net->widths[layer], out = net->widths[layer + 1], batch = net->batch;
	struct igrad_matrix x = matrix(device, batch, in), w = matrix(device, in, out);
	struct igrad_matrix dx = matrix(device, batch, in), y = matrix(device, batch, out);
	struct igrad_linear_backward args = {
		.schedule = IGRAD_SCHEDULE_INTERLEAVED,
		.x = &x,
		.w = &w,
		.dy = &y,
		.dx = layer ? &dx : NULL,
		.optimizer = {.update = IGRAD_UPDATE_SGD, .lr = 0.01f},
	};
	struct igrad_cmdbuf *cmdbuf;

	check(igrad_cmdbuf_new(device, &cmdbuf), "command buffer");
	if (backward)
		check(igrad_linear_backward(cmdbuf, &args), "backward");
	else
		check(igrad_linear_forward(cmdbuf, &x, &w, NULL, false, &y), "forward");
	igrad_buffer_unref(x.buffer);
	igrad_buffer_unref(w.buffer);
	igrad_buffer_unref(dx.buffer);
	igrad_buffer_unref(y.buffer);
	return cmdbuf;
}

static void build(struct stream *stream, const struct net *net)
{
	char uri[96];

	*stream = (struct stream){.count = 2 * net->layers};
	snprintf(uri, sizeof(uri), "sim:timing-only=on,rows=%u,cols=%u,sram-kib=%u", net->n, net->n,
		 net->sram_kib);
	check(igrad_device_open(uri, &stream->device, NULL), uri);
	check(igrad_queue_new(stream->device, &stream->queue), "queue");
	for (unsigned int i = 0; i < stream->count; i++) {
		stream->passes[i] = pass(stream->device, net, i / 2, i % 2);
		stream->commands += igrad_cmdbuf_length(stream->passes[i]);
	}
}

static void release(struct stream *stream)
{
	for (unsigned int i = 0; i < stream->count; i++)
		igrad_cmdbuf_unref(stream->passes[i]);
	igrad_queue_unref(stream->queue);
	igrad_device_unref(stream->device);
}

/* By the process's clock: what else the host does should not count. */
static double run(void *context)
{
	struct stream *stream = context;
	const double start = bench_clock(CLOCK_PROCESS_CPUTIME_ID);

	stream->cycles = 0;
	for (unsigned int i = 0; i < stream->count; i++) {
		struct igrad_report report;

		check(igrad_queue_run(stream->queue, stream->passes[i], &report), "job");
		stream->cycles += report.cycles;
	}
	return bench_clock(CLOCK_PROCESS_CPUTIME_ID) - start;
}

static double allowed(void *context)
{
	(void)context;
	return ALLOWED;
}

static void classifier(void)
{
	const struct net alexnet = {
		.layers = 3,
		.widths = {9216, 4096, 4096, 1000},
		.batch = 128,
		.n = 128,
		.sram_kib = 4096,
	};
	struct stream stream;
	struct bench_pair pair;
	char what[128];

	build(&stream, &alexnet);
	pair = bench_compare((struct bench_side){run, &stream}, (struct bench_side){allowed, NULL},
			     TIMES);
	snprintf(what, sizeof(what),
		 "0.1 s ÷ AlexNet's classifier, timing only, batch 128, 128 × 128, %u commands",
		 stream.commands);
	bench_row(what, pair.ratio, (struct bench_figure){pair.ours * 1e3, "ms"},
		  (struct bench_figure){pair.reference * 1e3, "ms allowed"}, "≥ 1.00");
	release(&stream);
}

static double per_command(double seconds, const struct stream *stream)
{
	return seconds * 1e9 / stream->commands;
}

static void cycles_cost_nothing(void)
{
	struct net net = {
		.layers = 1,
		.widths = {2048, 2048},
		.batch = 1024,
		.n = 64,
		.sram_kib = 65536,
	};
	struct stream many, few;
	struct bench_pair pair;
	double ours, reference;
	char what[160];

	build(&many, &net);
	net.batch = 128;
	build(&few, &net);
	pair = bench_compare((struct bench_side){run, &many}, (struct bench_side){run, &few},
			     TIMES);
	ours = per_command(pair.ours, &many);
	reference = per_command(pair.reference, &few);
	snprintf(
		what, sizeof(what),
		"a command's cost, 2048 × 2048 timing only, batch 128 ÷ 1024: %.2f × the commands, %.2f × the cycles",
		(double)many.commands / few.commands, (double)many.cycles / (double)few.cycles);
	bench_row(what, reference / ours, (struct bench_figure){ours, "ns a command"},
		  (struct bench_figure){reference, "ns a command"}, "≈ 1");
	release(&many);
	release(&few);
}

int main(void)
{
	classifier();
	cycles_cost_nothing();
	return 0;
}
