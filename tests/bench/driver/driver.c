/* SPDX-License-Identifier: MIT */
/*
 * How fast the driver is, in a guest: jobs handed over in batches and one by one, and buffers
 * against memory without a device. Rows for the table of `make bench`.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "igrad_test.h"

#define TIMES 31
#define JOBS  64
#define BIG   (64u << 20)

struct jobs {
	int fd;
	int queue;
	__u32 done;
	struct test_cmds empty;
};

static void check(int ret, const char *what)
{
	if (ret < 0)
		bench_fail(what, strerror(-ret));
}

/* Empty jobs, @at_once in a call; only the last one signals, and is waited for. */
static double run_jobs(struct jobs *jobs, unsigned int at_once)
{
	struct test_job plain, last;
	struct drm_igrad_job array[JOBS];
	struct drm_igrad_submit submit = {
		.queue_id = jobs->queue,
		.jobs = {.stride = sizeof(array[0]), .count = at_once},
	};
	double start;

	test_job_init(&plain, &jobs->empty);
	test_job_init(&last, &jobs->empty);
	test_job_signal(&last, jobs->done, 0);
	for (unsigned int i = 0; i < JOBS; i++)
		array[i] = i < JOBS - 1 ? plain.job : last.job;
	start = bench_clock(CLOCK_MONOTONIC);
	for (unsigned int i = 0; i < JOBS; i += at_once) {
		submit.jobs.pointer = (uintptr_t)&array[i];
		check(test_submit_raw(jobs->fd, &submit), "submit");
	}
	check(test_syncobj_wait(jobs->fd, jobs->done, 0), "wait");
	return (bench_clock(CLOCK_MONOTONIC) - start) / JOBS;
}

/* Each handed over when the one before it has come back. */
static double round_trips(void *context)
{
	struct jobs *jobs = context;
	struct test_job job;
	double start;

	test_job_init(&job, &jobs->empty);
	test_job_signal(&job, jobs->done, 0);
	start = bench_clock(CLOCK_MONOTONIC);
	for (unsigned int i = 0; i < JOBS; i++) {
		check(test_submit(jobs->fd, jobs->queue, &job), "submit");
		check(test_syncobj_wait(jobs->fd, jobs->done, 0), "wait");
	}
	return (bench_clock(CLOCK_MONOTONIC) - start) / JOBS;
}

static double all_at_once(void *context)
{
	return run_jobs(context, JOBS);
}

static double one_by_one(void *context)
{
	return run_jobs(context, 1);
}

static void touch(char *map)
{
	for (unsigned int i = 0; i < BIG; i += 4096)
		map[i] = 1;
}

static double make_buffer(void *context)
{
	const struct jobs *jobs = context;
	const double start = bench_clock(CLOCK_MONOTONIC);
	struct test_bo bo;
	double taken;

	check(test_bo_create(jobs->fd, BIG, &bo), "buffer");
	touch(bo.map);
	taken = bench_clock(CLOCK_MONOTONIC) - start;
	check(test_bo_close(jobs->fd, &bo), "close");
	return taken;
}

static double make_memfd(void *context)
{
	const double start = bench_clock(CLOCK_MONOTONIC);
	const int fd = memfd_create("bench", 0);
	double taken;
	char *map;

	(void)context;
	if (fd < 0 || ftruncate(fd, BIG))
		bench_fail("memfd", "no memory");
	map = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		bench_fail("memfd", "cannot be mapped");
	touch(map);
	taken = bench_clock(CLOCK_MONOTONIC) - start;
	munmap(map, BIG);
	close(fd);
	return taken;
}

int main(void)
{
	struct jobs jobs = {.fd = test_open(0)};
	struct bench_pair pair;

	check(jobs.fd, "device");
	jobs.queue = test_queue_create(jobs.fd);
	check(jobs.queue, "queue");
	jobs.done = test_syncobj_create(jobs.fd);
	check(test_cmds_create(jobs.fd, 1, &jobs.empty), "commands");
	test_nop(&jobs.empty, 0);

	pair = bench_compare((struct bench_side){all_at_once, &jobs},
			     (struct bench_side){one_by_one, &jobs}, TIMES);
	bench_row("empty jobs, 64 a submit against 1 (emulated)", pair.ratio,
		  (struct bench_figure){1 / pair.ours, "jobs/s"},
		  (struct bench_figure){1 / pair.reference, "jobs/s"}, NULL);
	pair = bench_compare((struct bench_side){all_at_once, &jobs},
			     (struct bench_side){round_trips, &jobs}, TIMES);
	bench_row("empty jobs, 64 a submit against round trips (emulated)", pair.ratio,
		  (struct bench_figure){1 / pair.ours, "jobs/s"},
		  (struct bench_figure){1 / pair.reference, "round trips/s"}, "≥ 8");
	pair = bench_compare((struct bench_side){make_buffer, &jobs},
			     (struct bench_side){make_memfd, &jobs}, TIMES);
	bench_row("64 MiB created, mapped, touched: time over memfd's (emulated)", 1 / pair.ratio,
		  (struct bench_figure){pair.ours * 1e3, "ms, buffer"},
		  (struct bench_figure){pair.reference * 1e3, "ms, memfd"}, "≤ 1.3");
	return 0;
}
