// SPDX-License-Identifier: GPL-2.0
/*
 * Many processes at once, most of whose jobs are good, some fault, and a few hang. Each good one's
 * result is right to the bit, whatever the others do and however often the device is reset.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "igrad_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define WORDS 64
#define MAX_PROCESSES 256
/* One in so many jobs; a hang costs everybody the driver's patience. */
#define FAULT_ONE_IN 16
#define HANG_ONE_IN 512
#define ENOUGH_JOBS 200

struct tally {
	unsigned long jobs, faults, hangs, wrong, odd;
};

struct worker {
	int fd, queue;
	unsigned int random;
	float expected;
	struct test_bo data;
	struct test_cmds increment, fault, hang;
};

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

static unsigned int dice(struct worker *worker)
{
	worker->random = worker->random * 1664525 + 1013904223;

	return worker->random >> 8;
}

static int worker_init(struct worker *worker, unsigned int seed)
{
	float *data;
	int i, ret;

	memset(worker, 0, sizeof(*worker));
	worker->random = seed;
	worker->fd = test_open(0);
	if (worker->fd < 0)
		return worker->fd;
	worker->queue = test_queue_create(worker->fd);
	if (worker->queue < 0)
		return worker->queue;
	ret = test_bo_create(worker->fd, 4096, &worker->data) ?:
		test_cmds_create(worker->fd, 16, &worker->increment) ?:
		test_cmds_create(worker->fd, 4, &worker->fault) ?:
		test_cmds_create(worker->fd, 4, &worker->hang);
	if (ret)
		return ret;
	data = worker->data.map;
	for (i = 0; i < WORDS; i++)
		data[i] = seed % 1000 + i / 64.0f;
	test_increment(&worker->increment, worker->data.va, WORDS);
	test_dma(&worker->fault, true, 1ull << 37, 0, 1);
	test_nop(&worker->hang, HANG_TAG);

	return 0;
}

static void worker_check(struct worker *worker, unsigned int seed, struct tally *tally)
{
	volatile float *data = worker->data.map;
	int i;

	for (i = 0; i < WORDS; i++) {
		/* Too small for any of these sums to be inexact. */
		if (data[i] != seed % 1000 + i / 64.0f + worker->expected) {
			__atomic_add_fetch(&tally->wrong, 1, __ATOMIC_RELAXED);
			return;
		}
	}
}

/* Run a job of one kind, and note what came of it. */
static int worker_step(struct worker *worker, struct tally *tally)
{
	const struct test_cmds *cmds = &worker->increment;
	unsigned long *kind = &tally->jobs;
	int ret, wanted = 0;
	struct test_job job;

	if (!(dice(worker) % HANG_ONE_IN)) {
		cmds = &worker->hang;
		kind = &tally->hangs;
		wanted = -ETIME;
	} else if (!(dice(worker) % FAULT_ONE_IN)) {
		cmds = &worker->fault;
		kind = &tally->faults;
		wanted = -EFAULT;
	}
	test_job_init(&job, cmds);
	test_job_bo(&job, &worker->data, RW);
	ret = test_run(worker->fd, worker->queue, &job);
	if (ret != wanted) {
		__atomic_add_fetch(&tally->odd, 1, __ATOMIC_RELAXED);
		return ret ? ret : -EPROTO;
	}
	__atomic_add_fetch(kind, 1, __ATOMIC_RELAXED);
	if (wanted) {
		test_queue_destroy(worker->fd, worker->queue);
		worker->queue = test_queue_create(worker->fd);
	} else {
		worker->expected++;
	}

	return 0;
}

/* For so long, and until there is something to be said about it. */
static bool is_enough(const struct tally *tally, double end)
{
	return test_now() >= end &&
		__atomic_load_n(&tally->jobs, __ATOMIC_RELAXED) >= ENOUGH_JOBS &&
		__atomic_load_n(&tally->faults, __ATOMIC_RELAXED);
}

static int work(unsigned int seed, double end, struct tally *tally)
{
	struct worker worker;
	int ret = worker_init(&worker, seed);

	while (!ret && !is_enough(tally, end)) {
		ret = worker_step(&worker, tally);
		worker_check(&worker, seed, tally);
	}

	return ret;
}

FIXTURE(stress)
{
	unsigned int seconds, processes;
	struct tally *tally;
};

FIXTURE_SETUP(stress)
{
	bool longer = getenv("IGRAD_TEST_LONG");

	self->seconds = number("IGRAD_STRESS_SECONDS", longer ? 600 : 10);
	self->processes = number("IGRAD_STRESS_PROCESSES", 64);
	ASSERT_LE(self->processes, MAX_PROCESSES);
	self->tally = mmap(NULL, sizeof(*self->tally), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->tally);
}

FIXTURE_TEARDOWN(stress)
{
	munmap(self->tally, sizeof(*self->tally));
}

TEST_F_TIMEOUT(stress, of_many_processes, 3600)
{
	unsigned int seconds = self->seconds, processes = self->processes, i;
	double end = test_now() + seconds;
	struct tally *tally = self->tally;
	pid_t pids[MAX_PROCESSES];
	struct worker worker;
	int status;

	for (i = 0; i < processes; i++) {
		pids[i] = fork();
		ASSERT_GE(pids[i], 0);
		if (!pids[i])
			_exit(work(i * 7919 + 1, end, tally) ? 1 : 0);
	}
	/* Some are killed on their way, and nobody else notices. */
	for (i = 0; i < processes / 8; i++) {
		usleep(seconds * 1000000ul / processes);
		kill(pids[i], SIGKILL);
	}
	for (i = 0; i < processes; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_TRUE(i < processes / 8 || !status) {
			TH_LOG("process %u: status %#x", i, status);
		}
	}
	TH_LOG("%lu jobs, %lu faults and %lu resets survived, %lu wrong, %lu odd", tally->jobs,
	       tally->faults, tally->hangs, tally->wrong, tally->odd);
	EXPECT_EQ(0, tally->wrong);
	EXPECT_EQ(0, tally->odd);
	EXPECT_GE(tally->jobs, ENOUGH_JOBS);
	EXPECT_GE(tally->faults, 1);

	/* And the device is as good as before. */
	ASSERT_EQ(0, worker_init(&worker, 1));
	for (i = 0; i < 10; i++)
		EXPECT_EQ(0, worker_step(&worker, tally));
	worker_check(&worker, 1, tally);
	EXPECT_EQ(0, tally->wrong);
}

TEST_HARNESS_MAIN
