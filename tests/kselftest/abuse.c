// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that mean no good, or die at the wrong moment: they get errors, and a neighbour who
 * checks every result notices nothing. IGRAD_ABUSE_SECONDS says for how long each goes on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "igrad_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define WORDS 256
#define COMMANDS 24

/* The neighbour: counts up in a buffer of its own. */
struct neighbour {
	int fd;
	__u32 queue;
	struct test_bo data;
	struct test_cmds increment;
	struct test_job job;
	unsigned int done;
};

FIXTURE(abuse)
{
	struct neighbour neighbour;
	double end;
};

static int neighbour_init(struct neighbour *neighbour)
{
	int queue, ret;

	memset(neighbour, 0, sizeof(*neighbour));
	neighbour->fd = test_open(0);
	if (neighbour->fd < 0)
		return neighbour->fd;
	queue = test_queue_create(neighbour->fd);
	if (queue < 0)
		return queue;
	neighbour->queue = queue;
	ret = test_bo_create(neighbour->fd, WORDS * sizeof(float), &neighbour->data) ?:
		test_cmds_create(neighbour->fd, 64, &neighbour->increment);
	if (ret)
		return ret;
	test_increment(&neighbour->increment, neighbour->data.va, WORDS);

	return 0;
}

/* One more step, and every word of it right. */
static int neighbour_step(struct neighbour *neighbour)
{
	const float *data = neighbour->data.map;
	unsigned int i;
	int ret;

	test_job_init(&neighbour->job, &neighbour->increment);
	test_job_bo(&neighbour->job, &neighbour->data, RW);
	ret = test_run(neighbour->fd, neighbour->queue, &neighbour->job);
	if (ret)
		return ret;
	neighbour->done++;
	for (i = 0; i < WORDS; i++)
		if (data[i] != neighbour->done)
			return -EILSEQ;

	return 0;
}

FIXTURE_SETUP(abuse)
{
	const char *seconds = getenv("IGRAD_ABUSE_SECONDS");

	self->end = test_now() + (seconds ? atof(seconds) : 3);
	ASSERT_EQ(0, neighbour_init(&self->neighbour));
}

FIXTURE_TEARDOWN(abuse)
{
	EXPECT_EQ(0, neighbour_step(&self->neighbour));
	close(self->neighbour.fd);
}

static void sleep_ms(unsigned int ms)
{
	struct timespec time = { .tv_nsec = ms * 1000000l };

	nanosleep(&time, NULL);
}

/* Chance, the same every time. */
static __u32 chance(__u32 *state, __u32 below)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;

	return *state % below;
}

static __u64 tempting(__u32 *state)
{
	static const __u64 values[] = {
		0, 1, 2, 3, 4, 7, 16, 64, 65, 4095, 4096, 4097, 1 << 20, IGRAD_MAX_COMMANDS + 1,
		0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, IGRAD_VA_END - 64, IGRAD_VA_END,
		1ull << 63, ~0ull - 63, ~0ull,
	};

	return values[chance(state, ARRAY_SIZE(values))];
}

/* Spoil a few fields, of any width. */
static void mutate(__u32 *state, void *structure, size_t size)
{
	unsigned int times = chance(state, 4);
	__u8 *bytes = structure;

	while (times--) {
		size_t width = 4 << chance(state, 2);
		size_t at = chance(state, size / width) * width;
		__u64 value = tempting(state);

		if (chance(state, 4))
			memcpy(bytes + at, &value, width);
		else
			bytes[chance(state, size)] ^= 1 << chance(state, 8);
	}
}

/* Commands. What is wrong with them differs: everything, a field, nothing. */
static void random_commands(__u32 *state, struct test_cmds *cmds, __u64 va)
{
	static const __u8 opcodes[] = {
		0x00, 0x10, 0x11, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
		0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
	};
	unsigned int i, k;

	cmds->count = 0;
	memset(cmds->signalled, 0, sizeof(cmds->signalled));
	for (i = 0; i < COMMANDS; i++) {
		struct igrad_cmd *cmd;

		switch (chance(state, 4)) {
		case 0:
			test_fill(cmds, chance(state, 4096) * 4, 1 + chance(state, 4096), i);
			break;
		case 1:
			test_dma(cmds, chance(state, 2), va, chance(state, 64) * 4,
				 1 + chance(state, 1024));
			break;
		default:
			cmd = test_cmd(cmds, opcodes[chance(state, sizeof(opcodes))], 0);
			cmd->signal = 0;
			for (k = 0; k < 10; k++)
				cmd->u.words[k] = chance(state, 2) ? chance(state, 32) * 4 : 0;
			mutate(state, &cmd->u, sizeof(cmd->u));
			break;
		}
		if (!chance(state, COMMANDS))
			mutate(state, (struct igrad_cmd *)cmds->bo.map + i,
			       sizeof(struct igrad_cmd));
	}
}

/* Does the process @pid end as it should? */
static bool ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

/* What the other process submits is random; how its jobs end is its own affair. */
static int submit_random_commands(double end)
{
	__u32 state = 0x1badcafe;
	struct test_cmds cmds;
	struct test_job job;
	struct test_bo bo;
	int fd = test_open(0);

	if (fd < 0 || test_bo_create(fd, 4096, &bo) || test_cmds_create(fd, COMMANDS, &cmds))
		return 1;
	while (test_now() < end) {
		int queue = test_queue_create(fd);
		int ret;

		/* Those of failed queues go when their jobs have. */
		if (queue < 0)
			return 2;
		do {
			random_commands(&state, &cmds, bo.va);
			test_job_init(&job, &cmds);
			test_job_bo(&job, &bo, RW);
			if (chance(&state, 2))
				job.job.report = bo.va + chance(&state, 64) * 64;
			ret = test_run(fd, queue, &job);
		} while (!ret && test_now() < end);
		if (ret && ret != -EINVAL && ret != -EFAULT)
			return 3;
		test_queue_destroy(fd, queue);
	}

	return 0;
}

TEST_F(abuse, random_commands)
{
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(submit_random_commands(self->end));
	while (test_now() < self->end)
		ASSERT_EQ(0, neighbour_step(&self->neighbour));
	EXPECT_TRUE(ended_well(pid));
}

/* One ioctl after the other, each with something wrong. */
struct fuzzer {
	int fd;
	__u32 state;
	__u32 queue, syncobj;
	struct test_bo bo;
	struct test_cmds cmds;
};

static int fuzz_submit(struct fuzzer *f)
{
	struct test_job jobs[3];
	struct drm_igrad_job array[3];
	struct drm_igrad_submit submit = {
		.queue_id = f->queue,
		.jobs = { .stride = sizeof(array[0]), .count = 3, .pointer = (uintptr_t)array },
	};
	int i;

	for (i = 0; i < 3; i++) {
		test_job_init(&jobs[i], &f->cmds);
		test_job_bo(&jobs[i], &f->bo, RW);
		test_job_signal(&jobs[i], f->syncobj, chance(&f->state, 4));
		mutate(&f->state, jobs[i].bos, sizeof(jobs[i].bos));
		mutate(&f->state, jobs[i].signals, sizeof(jobs[i].signals));
		mutate(&f->state, &jobs[i].job, sizeof(jobs[i].job));
		array[i] = jobs[i].job;
	}
	mutate(&f->state, &submit, sizeof(submit));

	return test_submit_raw(f->fd, &submit);
}

static int fuzz_bo_create(struct fuzzer *f)
{
	struct drm_igrad_bo_create create = { .size = 1 + chance(&f->state, 1 << 20) };
	int ret;

	mutate(&f->state, &create, sizeof(create));
	/* How much memory a machine has is not the question here. */
	if (create.size < IGRAD_VA_END && create.size > 4 << 20)
		create.size &= 0xfffff;
	ret = test_ioctl(f->fd, DRM_IOCTL_IGRAD_BO_CREATE, &create);
	if (!ret && create.handle != f->bo.handle)
		test_gem_close(f->fd, create.handle);

	return ret;
}

static int fuzz_query(struct fuzzer *f)
{
	union {
		struct drm_igrad_device_info device;
		struct drm_igrad_queue_info queue;
	} info = { .queue.queue_id = f->queue };
	struct drm_igrad_dev_query query = {
		.type = chance(&f->state, 2),
		.size = sizeof(info),
		.pointer = (uintptr_t)&info,
	};

	mutate(&f->state, &query, sizeof(query));
	/* The kernel writes where it is asked to: not elsewhere over our own memory. */
	if (query.size > sizeof(info))
		query.size = sizeof(info);
	if (query.pointer && query.pointer != (uintptr_t)&info)
		query.pointer = tempting(&f->state) | 1ull << 63;

	return test_ioctl(f->fd, DRM_IOCTL_IGRAD_DEV_QUERY, &query);
}

static int fuzz_queue(struct fuzzer *f)
{
	struct drm_igrad_queue_create create = { .priority = chance(&f->state, 2) };
	struct drm_igrad_queue_destroy destroy = { };
	int ret;

	mutate(&f->state, &create, sizeof(create));
	ret = test_ioctl(f->fd, DRM_IOCTL_IGRAD_QUEUE_CREATE, &create);
	if (ret)
		return ret;
	destroy.queue_id = f->queue;
	f->queue = create.queue_id;
	mutate(&f->state, &destroy, sizeof(destroy));
	if (destroy.queue_id == f->queue)
		destroy.queue_id = 0;

	return test_ioctl(f->fd, DRM_IOCTL_IGRAD_QUEUE_DESTROY, &destroy);
}

static int fuzz_bo_info(struct fuzzer *f)
{
	struct drm_igrad_bo_info info = { .handle = f->bo.handle };

	mutate(&f->state, &info, sizeof(info));

	return test_ioctl(f->fd, DRM_IOCTL_IGRAD_BO_INFO, &info);
}

static bool is_documented(int error)
{
	switch (-error) {
	case 0:
	case E2BIG:
	case EACCES:
	case EBUSY:
	case EFAULT:
	case EINVAL:
	case EIO:
	case ENOENT:
	case ENOMEM:
	case ENOSPC:
		return true;
	default:
		return false;
	}
}

static int fuzz_open(struct fuzzer *f)
{
	int queue;

	f->fd = test_open(0);
	if (f->fd < 0)
		return f->fd;
	queue = test_queue_create(f->fd);
	if (queue < 0)
		return queue;
	f->queue = queue;
	f->syncobj = test_syncobj_create(f->fd);

	return test_bo_create(f->fd, 4096, &f->bo) ?: test_cmds_create(f->fd, COMMANDS, &f->cmds);
}

static int fuzz_for_a_while(struct fuzzer *f)
{
	static int (*const calls[])(struct fuzzer *f) = {
		fuzz_submit, fuzz_submit, fuzz_submit, fuzz_bo_create, fuzz_bo_info, fuzz_query,
		fuzz_queue,
	};
	unsigned int i;
	int ret;

	ret = fuzz_open(f);
	for (i = 0; !ret && i < 500; i++) {
		int error = calls[chance(&f->state, ARRAY_SIZE(calls))](f);

		if (!is_documented(error)) {
			fprintf(stderr, "# errno %d\n", -error);
			ret = error;
		}
		if (!chance(&f->state, 16))
			random_commands(&f->state, &f->cmds, f->bo.va);
	}
	munmap(f->bo.map, f->bo.size);
	munmap(f->cmds.bo.map, f->cmds.bo.size);
	close(f->fd);

	return ret;
}

TEST_F(abuse, mutated_ioctls)
{
	struct fuzzer fuzzer = { .state = 0xfeedbeef };

	while (test_now() < self->end) {
		ASSERT_EQ(0, fuzz_for_a_while(&fuzzer));
		ASSERT_EQ(0, neighbour_step(&self->neighbour));
	}
}

/* Buffers, queues and jobs, closed while in use, until somebody pulls the plug. */
static void churn(__u32 state)
{
	int fd = test_open(0), queue = test_queue_create(fd);

	for (;;) {
		__u32 syncobj = test_syncobj_create(fd);
		struct test_cmds cmds;
		struct test_job job;
		struct test_bo bo;

		if (test_cmds_create(fd, 64, &cmds) ||
		    test_bo_create(fd, 4096 << chance(&state, 12), &bo))
			_exit(1);
		test_increment(&cmds, bo.va, WORDS);
		test_job_init(&job, &cmds);
		test_job_bo(&job, &bo, RW);
		test_job_signal(&job, syncobj, 0);
		test_submit(fd, queue, &job);
		test_submit(fd, queue, &job);
		test_bo_close(fd, &cmds.bo);
		test_bo_close(fd, &bo);
		test_syncobj_destroy(fd, syncobj);
		if (!chance(&state, 4)) {
			test_queue_destroy(fd, queue);
			queue = test_queue_create(fd);
		}
	}
}

TEST_F(abuse, killed_at_any_time)
{
	__u32 state = 0xdecade;
	pid_t pids[3];
	unsigned int i;
	int status;

	while (test_now() < self->end) {
		for (i = 0; i < ARRAY_SIZE(pids); i++) {
			pids[i] = fork();
			ASSERT_GE(pids[i], 0);
			if (!pids[i])
				churn(state + i + 1);
		}
		sleep_ms(chance(&state, 60));
		ASSERT_EQ(0, neighbour_step(&self->neighbour));
		for (i = 0; i < ARRAY_SIZE(pids); i++) {
			kill(pids[i], SIGKILL);
			ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
			EXPECT_TRUE(WIFSIGNALED(status));
		}
	}
}

/* A buffer whose handle was closed under the job still gets its result. */
TEST_F(abuse, handles_closed_under_jobs)
{
	struct neighbour *n = &self->neighbour;

	while (test_now() < self->end) {
		__u32 syncobj = test_syncobj_create(n->fd);
		struct test_cmds cmds;
		struct test_job job;
		struct test_bo bo;

		ASSERT_EQ(0, test_bo_create(n->fd, 4096, &bo));
		ASSERT_EQ(0, test_cmds_create(n->fd, 64, &cmds));
		test_increment(&cmds, bo.va, WORDS);
		test_job_init(&job, &cmds);
		test_job_bo(&job, &bo, RW);
		test_job_signal(&job, syncobj, 0);
		ASSERT_EQ(0, test_submit(n->fd, n->queue, &job));
		ASSERT_EQ(0, test_gem_close(n->fd, bo.handle));
		ASSERT_EQ(0, test_bo_close(n->fd, &cmds.bo));
		ASSERT_EQ(0, test_syncobj_wait(n->fd, syncobj, 0));
		ASSERT_EQ(0, test_syncobj_status(n->fd, syncobj));
		ASSERT_EQ(1.0f, ((float *)bo.map)[WORDS - 1]);
		munmap(bo.map, bo.size);
		test_syncobj_destroy(n->fd, syncobj);
	}
}

/* The offset of a buffer that is gone leads nowhere, and never to another file's. */
TEST_F(abuse, mmap_of_what_is_not_ours)
{
	struct neighbour *n = &self->neighbour;
	int other = test_open(0);
	struct test_bo bo;

	ASSERT_GE(other, 0);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, n->data.size, PROT_READ, MAP_SHARED, other,
				   n->data.mmap_offset));
	ASSERT_EQ(0, test_bo_create(n->fd, 4096, &bo));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * bo.size, PROT_READ, MAP_SHARED, n->fd,
				   bo.mmap_offset));
	ASSERT_EQ(0, test_bo_close(n->fd, &bo));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, bo.size, PROT_READ, MAP_SHARED, n->fd, bo.mmap_offset));
	close(other);
}

/* A file lives until its last descriptor is closed, in whichever process. */
TEST_F(abuse, descriptors_of_one_file)
{
	struct neighbour *n = &self->neighbour;
	int fd = dup(n->fd);
	pid_t pid;

	ASSERT_GE(fd, 0);
	close(n->fd);
	n->fd = fd;
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(!!neighbour_step(n));
	EXPECT_TRUE(ended_well(pid));
	n->done++;
	EXPECT_EQ(0, neighbour_step(n));
}

TEST_F(abuse, thousands_of_buffers)
{
	struct neighbour *n = &self->neighbour;
	struct drm_igrad_bo_create create;
	unsigned int i, count = 5000;
	__u32 first = 0, last = 0;

	for (i = 0; i < count; i++) {
		create = (struct drm_igrad_bo_create) { .size = 4096 };
		ASSERT_EQ(0, test_ioctl(n->fd, DRM_IOCTL_IGRAD_BO_CREATE, &create));
		first = first ?: create.handle;
		last = create.handle;
	}
	EXPECT_EQ(0, neighbour_step(n));
	for (i = first; i <= last; i += 2)
		EXPECT_EQ(0, test_gem_close(n->fd, i));
	EXPECT_EQ(0, neighbour_step(n));
}

TEST_HARNESS_MAIN
