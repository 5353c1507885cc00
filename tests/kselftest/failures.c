// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation fails once. The kernel's fail-nth lets the first, the second, the third chance
 * of a call to fail come true, until there is none left. Each time the call fails cleanly or does
 * without, and works when it is made again; leaks are found by kmemleak, afterwards.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "igrad_test.h"
#include "root_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
/* More than any call has. */
#define MAX_CHANCES 2000

FIXTURE(failures)
{
	int fd, nth, dmabuf;
	__u32 queue, wait, binary, timeline;
	__u64 point;
	struct test_bo data;
	struct test_cmds increment;
	unsigned int accepted;
};

static void set(const char *fault, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", fault, name);
	root_write(path, value);
}

FIXTURE_SETUP(failures)
{
	static const char *const faults[] = { "failslab", "fail_page_alloc" };
	int i, other;

	if (!root_exists("/proc/self/fail-nth") || !root_exists("/sys/kernel/debug/failslab"))
		SKIP(return, "no fault injection in this kernel");

	for (i = 0; i < 2; i++) {
		set(faults[i], "ignore-gfp-wait", "N");
		set(faults[i], "ignore-gfp-highmem", "N");
		set(faults[i], "min-order", "0");
		set(faults[i], "verbose", "0");
	}
	self->nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->nth, 0);
	self->fd = test_open(0);
	ASSERT_GE(self->fd, 0);
	self->queue = test_queue_create(self->fd);
	self->wait = test_syncobj_create(self->fd);
	self->binary = test_syncobj_create(self->fd);
	self->timeline = test_syncobj_create(self->fd);
	ASSERT_EQ(0, test_syncobj_signal(self->fd, self->wait));
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	test_increment(&self->increment, self->data.va, 1);

	/* Something to import: of another device if there is one. */
	other = test_open(1);
	if (other >= 0) {
		struct test_bo bo;

		ASSERT_EQ(0, test_bo_create(other, 1 << 20, &bo));
		self->dmabuf = test_export(other, bo.handle);
		munmap(bo.map, bo.size);
		close(other);
	} else {
		self->dmabuf = test_export(self->fd, self->data.handle);
	}
	ASSERT_GE(self->dmabuf, 0);
}

FIXTURE_TEARDOWN(failures)
{
	if (self->nth >= 0)
		close(self->nth);
	close(self->fd);
}

/* Each undoes what it does; a positive result or 0 is success. */
typedef int (*operation)(FIXTURE_DATA(failures) *self);

/* Let the @n-th chance to fail come true in an operation. Was there one? */
static bool inject(FIXTURE_DATA(failures) *self, unsigned int n, operation run, int *result)
{
	char text[16];
	ssize_t length = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(self->nth, text, length, 0) != length)
		abort();
	*result = run(self);
	memset(text, 0, sizeof(text));
	if (pread(self->nth, text, sizeof(text) - 1, 0) < 1)
		abort();
	if (pwrite(self->nth, "0", 1, 0) != 1)
		abort();

	return atoi(text) == 0;
}

static void walk(struct __test_metadata *_metadata, FIXTURE_DATA(failures) *self, operation run)
{
	unsigned int n, failed = 0;
	int result;

	ASSERT_GE(run(self), 0);
	for (n = 1; n < MAX_CHANCES; n++) {
		if (!inject(self, n, run, &result))
			break;
		if (result < 0) {
			failed++;
			/* tmpfs says -ENOSPC when it gets no memory for a file. */
			EXPECT_TRUE(result == -ENOMEM || result == -ENFILE || result == -ENOSPC) {
				TH_LOG("chance %u: %s", n, strerror(-result));
			}
		}
		ASSERT_GE(run(self), 0) {
			TH_LOG("after chance %u", n);
		}
	}
	EXPECT_LT(n, MAX_CHANCES);
	/* There were some, and not all of them could be done without. */
	EXPECT_GE(failed, 1);
	TH_LOG("%u chances, %u failures", n - 1, failed);
	EXPECT_GE(result, 0);
}

static int open_and_close(FIXTURE_DATA(failures) *self)
{
	int fd = test_open(0);

	if (fd >= 0)
		close(fd);

	return fd;
}

static int create_queue(FIXTURE_DATA(failures) *self)
{
	int id = test_queue_create(self->fd);

	return id < 0 ? id : test_queue_destroy(self->fd, id);
}

static int create_bo(FIXTURE_DATA(failures) *self, __u64 size)
{
	struct drm_igrad_bo_create args = { .size = size };
	int ret = test_ioctl(self->fd, DRM_IOCTL_IGRAD_BO_CREATE, &args);

	return ret ? ret : test_gem_close(self->fd, args.handle);
}

static int create_small_bo(FIXTURE_DATA(failures) *self)
{
	return create_bo(self, 4096);
}

/* Of several pages; each of them is a chance. */
static int create_big_bo(FIXTURE_DATA(failures) *self)
{
	return create_bo(self, 16 * 4096);
}

static int map_bo(FIXTURE_DATA(failures) *self)
{
	char *map = mmap(NULL, self->data.size, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
			 self->data.mmap_offset);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, self->data.size);

	return 0;
}

static int import_bo(FIXTURE_DATA(failures) *self)
{
	struct drm_igrad_bo_info info = { };
	int ret = test_import(self->fd, self->dmabuf, &info.handle), closed;

	if (ret)
		return ret;
	ret = test_ioctl(self->fd, DRM_IOCTL_IGRAD_BO_INFO, &info);
	closed = test_gem_close(self->fd, info.handle);

	return ret ? ret : closed;
}

static int export_bo(FIXTURE_DATA(failures) *self)
{
	int fd = test_export(self->fd, self->data.handle);

	if (fd >= 0)
		close(fd);

	return fd;
}

static int query(FIXTURE_DATA(failures) *self)
{
	struct drm_igrad_queue_info info;

	return test_queue_info(self->fd, self->queue, &info);
}

/* With all that a job can have. That it ran is seen in the data. */
static int submit(FIXTURE_DATA(failures) *self)
{
	struct test_job job;
	int ret;

	test_job_init(&job, &self->increment);
	test_job_bo(&job, &self->data, RW);
	test_job_wait(&job, self->wait, 0);
	test_job_signal(&job, self->binary, 0);
	test_job_signal(&job, self->timeline, ++self->point);
	ret = test_submit(self->fd, self->queue, &job);
	if (ret) {
		self->point--;
		return ret;
	}
	self->accepted++;
	/* Waiting may fail on its own account. */
	do {
		ret = test_syncobj_wait(self->fd, self->timeline, self->point);
	} while (ret == -ENOMEM);

	return ret;
}

TEST_F(failures, open_and_close)
{
	walk(_metadata, self, open_and_close);
}

TEST_F(failures, create_queue)
{
	walk(_metadata, self, create_queue);
}

TEST_F(failures, create_small_bo)
{
	walk(_metadata, self, create_small_bo);
}

TEST_F(failures, create_big_bo)
{
	walk(_metadata, self, create_big_bo);
}

TEST_F(failures, import_bo)
{
	walk(_metadata, self, import_bo);
}

TEST_F(failures, submit)
{
	walk(_metadata, self, submit);
	/* What was refused did not run, and what was accepted ran once. */
	EXPECT_EQ((float)self->accepted, *(float *)self->data.map);
}

/* Calls that may have nothing to fail in, if caches are warm. */
static void walk_if_any(struct __test_metadata *_metadata, FIXTURE_DATA(failures) *self,
			operation run)
{
	unsigned int n;
	int result = 0;

	for (n = 1; n < MAX_CHANCES && inject(self, n, run, &result); n++)
		ASSERT_GE(run(self), 0);
	EXPECT_LT(n, MAX_CHANCES);
	EXPECT_GE(result, 0);
}

TEST_F(failures, others)
{
	walk_if_any(_metadata, self, map_bo);
	walk_if_any(_metadata, self, export_bo);
	walk_if_any(_metadata, self, query);
}

TEST_HARNESS_MAIN
