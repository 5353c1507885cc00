// SPDX-License-Identifier: GPL-2.0
/* One device and several: all there, all working, sharing what is shared and nothing else. */
#include <stdlib.h>

#include "kselftest_harness.h"

#include "igrad_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define MAX_DEVICES 8
#define SLOW_COMMANDS 256

struct unit {
	int fd;
	__u32 queue;
	struct test_bo data;
	struct test_cmds increment, slow, hang;
};

FIXTURE(devices)
{
	unsigned int count;
	struct unit units[MAX_DEVICES];
};

static int unit_init(struct unit *unit, unsigned int device)
{
	struct drm_igrad_device_info info;
	int i, ret;

	unit->fd = test_open(device);
	if (unit->fd < 0)
		return unit->fd;
	ret = test_device_info(unit->fd, &info);
	if (ret)
		return ret;
	unit->queue = test_queue_create(unit->fd);
	ret = test_bo_create(unit->fd, 4096, &unit->data) ?:
		test_cmds_create(unit->fd, 64, &unit->increment) ?:
		test_cmds_create(unit->fd, SLOW_COMMANDS + 8, &unit->slow) ?:
		test_cmds_create(unit->fd, 4, &unit->hang);
	if (ret)
		return ret;
	test_increment(&unit->increment, unit->data.va, 1);
	for (i = 0; i < SLOW_COMMANDS; i++)
		test_fill(&unit->slow, 0, info.sram_bytes / 4, i);
	test_increment(&unit->slow, unit->data.va, 1);
	test_nop(&unit->hang, HANG_TAG);

	return 0;
}

/* IGRAD_DEVICES says how many the machine has; by hand there is one at least. */
FIXTURE_SETUP(devices)
{
	const char *count = getenv("IGRAD_DEVICES");
	unsigned int i;

	self->count = count ? atoi(count) : 1;
	ASSERT_GE(self->count, 1);
	ASSERT_LE(self->count, MAX_DEVICES);
	for (i = 0; i < self->count; i++) {
		ASSERT_EQ(0, unit_init(&self->units[i], i));
	}
}

FIXTURE_TEARDOWN(devices)
{
	unsigned int i;

	for (i = 0; i < self->count; i++)
		close(self->units[i].fd);
}

static void prepare(struct test_job *job, const struct unit *unit, const struct test_cmds *cmds)
{
	test_job_init(job, cmds);
	test_job_bo(job, &unit->data, RW);
}

static float value(const struct unit *unit)
{
	return *(float *)unit->data.map;
}

TEST_F(devices, are_as_many_as_they_should_be)
{
	if (getenv("IGRAD_DEVICES")) {
		EXPECT_EQ(-ENOENT, test_open(self->count));
	}
}

TEST_F(devices, all_work)
{
	struct test_job job;
	unsigned int i, k;

	for (k = 0; k < 5; k++) {
		for (i = 0; i < self->count; i++) {
			prepare(&job, &self->units[i], &self->units[i].increment);
			EXPECT_EQ(0, test_run(self->units[i].fd, self->units[i].queue, &job));
		}
	}
	for (i = 0; i < self->count; i++) {
		EXPECT_EQ(5.0f, value(&self->units[i]));
	}
}

TEST_F(devices, all_work_at_once)
{
	__u32 syncs[MAX_DEVICES];
	struct test_job job;
	unsigned int i, k;

	for (i = 0; i < self->count; i++)
		syncs[i] = test_syncobj_create(self->units[i].fd);
	for (k = 1; k <= 50; k++) {
		for (i = 0; i < self->count; i++) {
			prepare(&job, &self->units[i], &self->units[i].increment);
			test_job_signal(&job, syncs[i], k);
			ASSERT_EQ(0, test_submit(self->units[i].fd, self->units[i].queue, &job));
		}
	}
	for (i = 0; i < self->count; i++) {
		ASSERT_EQ(0, test_syncobj_wait(self->units[i].fd, syncs[i], 50));
		EXPECT_EQ(50.0f, value(&self->units[i]));
	}
}

TEST_F(devices, one_waits_for_another)
{
	struct unit *a = &self->units[0], *b = &self->units[1];
	__u32 done_a, done_b;
	struct test_job job;
	int fd;

	if (self->count < 2)
		SKIP(return, "one device only");

	done_a = test_syncobj_create(a->fd);
	prepare(&job, a, &a->slow);
	test_job_signal(&job, done_a, 0);
	ASSERT_EQ(0, test_submit(a->fd, a->queue, &job));
	fd = test_syncobj_export(a->fd, done_a);
	ASSERT_GE(fd, 0);
	done_b = test_syncobj_import(b->fd, fd);
	ASSERT_GT(done_b, 0);
	prepare(&job, b, &b->increment);
	test_job_wait(&job, done_b, 0);
	EXPECT_EQ(0, test_run(b->fd, b->queue, &job));
	/* b ran behind a. */
	EXPECT_EQ(0, test_syncobj_status(a->fd, done_a));
	EXPECT_EQ(1.0f, value(a));
	EXPECT_EQ(1.0f, value(b));
}

/* A shared buffer orders jobs by itself: b reads what a takes its time to write. */
TEST_F(devices, shared_buffer)
{
	struct unit *a = &self->units[0], *b = &self->units[1];
	struct drm_igrad_bo_info info = { };
	struct test_bo import, result;
	struct test_cmds cmds;
	struct test_job job;
	int dmabuf;

	if (self->count < 2)
		SKIP(return, "one device only");

	dmabuf = test_export(a->fd, a->data.handle);
	ASSERT_GE(dmabuf, 0);
	ASSERT_EQ(0, test_import(b->fd, dmabuf, &info.handle));
	close(dmabuf);
	ASSERT_EQ(0, test_ioctl(b->fd, DRM_IOCTL_IGRAD_BO_INFO, &info));
	EXPECT_EQ(4096, info.size);
	EXPECT_EQ(0, info.mmap_offset);
	EXPECT_NE(0, info.va);

	ASSERT_EQ(0, test_bo_create(b->fd, 4096, &result));
	ASSERT_EQ(0, test_cmds_create(b->fd, 8, &cmds));
	test_copy(&cmds, result.va, info.va, 1);

	prepare(&job, a, &a->slow);
	ASSERT_EQ(0, test_submit(a->fd, a->queue, &job));
	test_job_init(&job, &cmds);
	import = (struct test_bo) { .handle = info.handle };
	test_job_bo(&job, &import, DRM_IGRAD_BO_READ);
	test_job_bo(&job, &result, DRM_IGRAD_BO_WRITE);
	EXPECT_EQ(0, test_run(b->fd, b->queue, &job));
	EXPECT_EQ(1.0f, *(float *)result.map);
	EXPECT_EQ(0, test_gem_close(b->fd, info.handle));
}

/* The device address of one device's buffer means nothing to another. */
TEST_F(devices, addresses_are_apart)
{
	struct unit *a = &self->units[0], *b = &self->units[1];
	struct test_bo bo, far;
	struct test_cmds cmds;
	struct test_job job;
	int i;

	if (self->count < 2)
		SKIP(return, "one device only");

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, test_bo_create(a->fd, 4 << 20, &bo));
	}
	ASSERT_EQ(0, test_bo_create(a->fd, 4 << 20, &far));
	ASSERT_EQ(0, test_cmds_create(b->fd, 8, &cmds));
	test_copy(&cmds, b->data.va, far.va, 1);
	test_job_init(&job, &cmds);
	EXPECT_EQ(-EFAULT, test_run(b->fd, b->queue, &job));
}

/* Does b work while a hangs? Only if the hang has not ended by then, do we know. */
static int works_while_other_hangs(struct unit *a, struct unit *b, bool *meanwhile)
{
	__u32 hung = test_syncobj_create(a->fd);
	struct test_job job;
	int ret;

	a->queue = test_queue_create(a->fd);
	test_job_init(&job, &a->hang);
	test_job_signal(&job, hung, 0);
	ret = test_submit(a->fd, a->queue, &job);
	if (ret)
		return ret;
	prepare(&job, b, &b->increment);
	ret = test_run(b->fd, b->queue, &job);
	*meanwhile = test_syncobj_status(a->fd, hung) == -EINPROGRESS;
	if (ret)
		return ret;
	ret = test_syncobj_wait(a->fd, hung, 0);

	return ret ? ret : test_syncobj_status(a->fd, hung);
}

TEST_F(devices, a_hang_stays_with_its_device)
{
	bool meanwhile = false;
	unsigned int i;

	if (self->count < 2)
		SKIP(return, "one device only");

	for (i = 0; i < 10 && !meanwhile; i++)
		ASSERT_EQ(-ETIME, works_while_other_hangs(&self->units[0], &self->units[1],
							  &meanwhile));
	EXPECT_TRUE(meanwhile);
	EXPECT_EQ((float)i, value(&self->units[1]));
}

TEST_HARNESS_MAIN
