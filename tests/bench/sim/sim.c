/* SPDX-License-Identifier: MIT */
/*
 * How fast a timing-only device goes through command streams: the linear layers of AlexNet, forward
 * and backward. Time should follow the number of commands, not that of cycles.
 *
 * usage: bench-sim [--json]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "igrad/igrad.h"

#define LAYERS 3
#define RUNS   9
#define LIMIT  0.1 /* seconds for the first case */

static const uint32_t widths[LAYERS + 1] = {9216, 4096, 4096, 1000};

/* Array size and batch of a case; the first is what the others are compared with. */
static const struct {
	uint32_t n;
	uint32_t batch;
} cases[] = {{128, 128}, {128, 512}, {64, 128}, {64, 512}};

#define NUM_CASES (sizeof(cases) / sizeof(cases[0]))

struct measure {
	uint32_t commands;
	uint64_t cycles;
	double plan; /* seconds: choosing tilings and building the commands */
	double wall; /* seconds: executing them */
	double cpu;
};

static void check(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "bench-sim: %s: %s\n", what, igrad_strerror(err));
	exit(1);
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct igrad_matrix matrix(struct igrad_device *device, uint32_t rows, uint32_t cols)
{
	struct igrad_matrix m = {.rows = rows, .cols = cols};

	check(igrad_buffer_new(device, (uint64_t)rows * cols * 4, &m.buffer), "buffer");
	return m;
}

/* A pass in a command buffer of its own, which keeps the buffers. */
static struct igrad_cmdbuf *build(struct igrad_device *device, uint32_t layer, uint32_t batch,
				  bool backward)
{
	uint32_t in = widths[layer], out = widths[layer + 1];
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

static void run(struct igrad_queue *queue, struct igrad_cmdbuf *const *passes, struct measure *m)
{
	double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);

	m->cycles = 0;
	for (int i = 0; i < 2 * LAYERS; i++) {
		struct igrad_report report;

		check(igrad_queue_run(queue, passes[i], &report), "job");
		m->cycles += report.cycles;
	}
	wall = now(CLOCK_MONOTONIC) - wall;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	m->wall = wall < m->wall ? wall : m->wall;
	m->cpu = cpu < m->cpu ? cpu : m->cpu;
}

/* The best of several runs: a busy host should not count. */
static struct measure measure(uint32_t n, uint32_t batch)
{
	struct measure m = {.wall = 1e9, .cpu = 1e9};
	struct igrad_cmdbuf *passes[2 * LAYERS];
	struct igrad_device *device;
	struct igrad_queue *queue;
	char uri[64];

	snprintf(uri, sizeof(uri), "sim:timing-only=on,rows=%u,cols=%u", n, n);
	check(igrad_device_open(uri, &device, NULL), uri);
	check(igrad_queue_new(device, &queue), "queue");
	m.plan = now(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < 2 * LAYERS; i++) {
		passes[i] = build(device, i / 2, batch, i % 2);
		m.commands += igrad_cmdbuf_length(passes[i]);
	}
	m.plan = now(CLOCK_PROCESS_CPUTIME_ID) - m.plan;
	for (int i = 0; i < RUNS; i++)
		run(queue, passes, &m);
	for (int i = 0; i < 2 * LAYERS; i++)
		igrad_cmdbuf_unref(passes[i]);
	igrad_queue_unref(queue);
	igrad_device_unref(device);
	return m;
}

static void show(bool json, size_t i, const struct measure *m, const struct measure *first)
{
	if (json)
		printf("{\"bench\":\"sim\",\"array\":%u,\"batch\":%u,\"commands\":%u,\"cycles\":%llu,"
		       "\"plan_seconds\":%.4f,\"wall_seconds\":%.5f,\"cpu_seconds\":%.5f}\n",
		       cases[i].n, cases[i].batch, m->commands, (unsigned long long)m->cycles,
		       m->plan, m->wall, m->cpu);
	else
		printf("%3u x %-3u batch %3u: %7u commands, %9llu cycles: %7.2f ms (%7.2f ms CPU), "
		       "%4.0f ns a command; over the first: commands %5.2f, cycles %5.2f, CPU %5.2f; "
		       "planning %6.0f ms\n",
		       cases[i].n, cases[i].n, cases[i].batch, m->commands,
		       (unsigned long long)m->cycles, m->wall * 1e3, m->cpu * 1e3,
		       m->cpu * 1e9 / m->commands, (double)m->commands / first->commands,
		       (double)m->cycles / (double)first->cycles, m->cpu / first->cpu,
		       m->plan * 1e3);
}

int main(int argc, char **argv)
{
	const bool json = argc == 2 && !strcmp(argv[1], "--json");
	struct measure measures[NUM_CASES];

	if (argc > 1 && !json) {
		fprintf(stderr, "usage: bench-sim [--json]\n");
		return 2;
	}
	if (!json)
		printf("AlexNet's classifier (9216-4096-4096-1000), forward and backward, timing only\n");
	for (size_t i = 0; i < NUM_CASES; i++) {
		measures[i] = measure(cases[i].n, cases[i].batch);
		show(json, i, &measures[i], &measures[0]);
	}
	if (!json)
		printf("all layers on 128 x 128 in %.3f s, %s\n", measures[0].wall,
		       measures[0].wall < LIMIT ? "less than 0.1 s" : "MORE than 0.1 s");
	return 0;
}
