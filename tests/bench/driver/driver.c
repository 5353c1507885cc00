/* SPDX-License-Identifier: MIT */
/*
 * How fast the driver is, in a guest: jobs handed over in batches and one by one, beside a
 * scheduler without a device and a disk without a medium, and buffers against memory without a
 * device. Rows for the table of `make bench`. usage: bench-driver DISK [SIDE SECONDS]
 *
 * With a side (see below), only that one, and in place of rows: jobs, and microseconds of a job,
 * and those in which a processor was not idle.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "igrad_test.h"
#include "null/null_sched.h"

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

/* The same by a scheduler that has no device. */
static double run_null_jobs(const int *fd, __u32 at_once)
{
	const double start = bench_clock(CLOCK_MONOTONIC);

	for (unsigned int i = 0; i < JOBS; i += at_once)
		check(test_ioctl(*fd, NULL_SCHED_SUBMIT, &at_once), "submit to null_sched");
	check(test_ioctl(*fd, NULL_SCHED_WAIT, NULL), "wait for null_sched");
	return (bench_clock(CLOCK_MONOTONIC) - start) / JOBS;
}

static double null_all_at_once(void *fd)
{
	return run_null_jobs(fd, JOBS);
}

static double null_one_by_one(void *fd)
{
	return run_null_jobs(fd, 1);
}

static double null_round_trips(void *fd)
{
	const double start = bench_clock(CLOCK_MONOTONIC);
	__u32 one = 1;

	for (unsigned int i = 0; i < JOBS; i++) {
		check(test_ioctl(*(int *)fd, NULL_SCHED_SUBMIT, &one), "submit to null_sched");
		check(test_ioctl(*(int *)fd, NULL_SCHED_WAIT, NULL), "wait for null_sched");
	}
	return (bench_clock(CLOCK_MONOTONIC) - start) / JOBS;
}

/* Reads of a disk that has nothing to fetch: what any device of this machine takes to answer. */
static double reads(void *fd)
{
	static char buffer[4096] __attribute__((aligned(4096)));
	const double start = bench_clock(CLOCK_MONOTONIC);

	for (unsigned int i = 0; i < JOBS; i++)
		if (pread(*(int *)fd, buffer, sizeof(buffer), 4096 * i) != sizeof(buffer))
			bench_fail("disk", "short read");
	return (bench_clock(CLOCK_MONOTONIC) - start) / JOBS;
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

/* How many jobs a second more than the other side? */
static void rate_row(const char *what, struct bench_side ours, struct bench_side reference,
		     const char *aim)
{
	const struct bench_pair pair = bench_compare(ours, reference, TIMES);

	bench_row(what, pair.ratio, (struct bench_figure){1 / pair.ours, "jobs/s"},
		  (struct bench_figure){1 / pair.reference, "jobs/s"}, aim);
}

/* How much of the other side's time? */
static void time_row(const char *what, struct bench_side ours, struct bench_side reference,
		     double scale, const char *unit, const char *aim)
{
	const struct bench_pair pair = bench_compare(ours, reference, TIMES);

	bench_row(what, 1 / pair.ratio, (struct bench_figure){pair.ours * scale, unit},
		  (struct bench_figure){pair.reference * scale, unit}, aim);
}

static void measure(struct jobs *jobs, int *null, int *disk)
{
	const struct bench_side trips = {round_trips, jobs}, null_trips = {null_round_trips, null};
	const struct bench_side batch = {all_at_once, jobs}, null_batch = {null_all_at_once, null};

	time_row("round trip of an empty job ÷ of one that drm_sched alone sees (emulated)", trips,
		 null_trips, 1e6, "µs", "≤ 1.2");
	time_row("the same ÷ a read of 4 KiB, O_DIRECT, from a virtio disk on null-co (emulated)",
		 trips, (struct bench_side){reads, disk}, 1e6, "µs", "1.0");
	rate_row("empty jobs, 64 a submit ÷ round trips (emulated)", batch, trips, "≥ 8");
	rate_row("the same where drm_sched alone sees them", null_batch, null_trips, NULL);
	rate_row("empty jobs, 64 a submit ÷ 1 a submit (emulated)", batch,
		 (struct bench_side){one_by_one, jobs}, "≥ 8");
	rate_row("the same where drm_sched alone sees them", null_batch,
		 (struct bench_side){null_one_by_one, null}, NULL);
	time_row("64 MiB created, mapped, touched ÷ memfd (emulated)",
		 (struct bench_side){make_buffer, jobs}, (struct bench_side){make_memfd, NULL}, 1e3,
		 "ms", "≤ 1.3");
}

static __u64 idle_us(int null)
{
	__u64 idle;

	check(test_ioctl(null, NULL_SCHED_IDLE, &idle), "idle");
	return idle;
}

/* Nothing but @side, for so many seconds: to see where the time goes, or instructions. */
static void repeat(struct bench_side side, int null, double seconds)
{
	const double start = bench_clock(CLOCK_MONOTONIC);
	const __u64 idle = idle_us(null);
	unsigned int jobs = 0;
	double took, busy;

	do {
		side.run(side.context);
		jobs += JOBS;
		took = (bench_clock(CLOCK_MONOTONIC) - start) * 1e6;
	} while (took < seconds * 1e6);
	busy = took * (double)sysconf(_SC_NPROCESSORS_ONLN) - (double)(idle_us(null) - idle);
	printf("%u %.2f %.2f\n", jobs, took / jobs, busy / jobs);
}

static int repeat_named(const char *name, struct jobs *jobs, int *null, int *disk, double seconds)
{
	const struct {
		const char *name;
		struct bench_side side;
	} sides[] = {
		{"batch", {all_at_once, jobs}},
		{"each", {one_by_one, jobs}},
		{"trips", {round_trips, jobs}},
		{"null-batch", {null_all_at_once, null}},
		{"null-each", {null_one_by_one, null}},
		{"null-trips", {null_round_trips, null}},
		{"reads", {reads, disk}},
	};

	for (unsigned int i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
		if (strcmp(name, sides[i].name))
			continue;
		repeat(sides[i].side, *null, seconds);
		return 0;
	}
	return 2;
}

int main(int argc, char **argv)
{
	struct jobs jobs = {.fd = test_open(0)};
	int null, disk;

	if (argc != 2 && argc != 4)
		return 2;
	check(jobs.fd, "device");
	jobs.queue = test_queue_create(jobs.fd);
	check(jobs.queue, "queue");
	jobs.done = test_syncobj_create(jobs.fd);
	check(test_cmds_create(jobs.fd, 1, &jobs.empty), "commands");
	test_nop(&jobs.empty, 0);
	null = open("/dev/null_sched", O_RDWR);
	disk = open(argv[1], O_RDONLY | O_DIRECT);
	if (null < 0 || disk < 0)
		bench_fail(null < 0 ? "null_sched" : argv[1], strerror(errno));
	if (argc == 4)
		return repeat_named(argv[2], &jobs, &null, &disk, atof(argv[3]));
	measure(&jobs, &null, &disk);
	return 0;
}
