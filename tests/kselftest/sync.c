// SPDX-License-Identifier: GPL-2.0
/* Jobs that wait for syncobjs, and signal them: binary and timeline. */
#include "kselftest_harness.h"

#include "igrad_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define BLOCKERS (4 + 2 * (1 + IGRAD_RING_PREFETCH))

FIXTURE(sync)
{
	int fd;
	__u32 a, b, blocked;
	struct test_bo data;
	struct test_cmds first, second, slow;
};

static int low_priority_queue(int fd)
{
	struct drm_igrad_queue_create args = { .priority = DRM_IGRAD_PRIORITY_LOW };
	int ret = test_ioctl(fd, DRM_IOCTL_IGRAD_QUEUE_CREATE, &args);

	return ret ? ret : (int)args.queue_id;
}

/*
 * Queue a's job writes a number, queue b's copies it. The device is kept busy so long that both
 * jobs have to wait outside the ring, and b comes before a there unless something orders them.
 */
FIXTURE_SETUP(sync)
{
	struct drm_igrad_device_info info;
	__u32 *words;
	int i;

	self->fd = test_open(0);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, test_device_info(self->fd, &info));
	self->a = low_priority_queue(self->fd);
	self->b = test_queue_create(self->fd);
	self->blocked = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	words = self->data.map;
	words[0] = 0x1234;
	ASSERT_EQ(0, test_cmds_create(self->fd, 8, &self->first));
	test_copy(&self->first, self->data.va + 64, self->data.va, 1);
	ASSERT_EQ(0, test_cmds_create(self->fd, 8, &self->second));
	test_copy(&self->second, self->data.va + 128, self->data.va + 64, 1);
	ASSERT_EQ(0, test_cmds_create(self->fd, 128, &self->slow));
	for (i = 0; i < 128; i++)
		test_fill(&self->slow, 0, info.sram_bytes / 4, i);
}

FIXTURE_TEARDOWN(sync)
{
	close(self->fd);
}

static void init(FIXTURE_DATA(sync) *self, struct test_job *job, const struct test_cmds *cmds)
{
	test_job_init(job, cmds);
	test_job_bo(job, &self->data, RW);
}

/* More work than the ring holds. */
static int block(FIXTURE_DATA(sync) *self)
{
	struct test_job job;
	int i, ret = 0;

	init(self, &job, &self->slow);
	for (i = 0; i < BLOCKERS && !ret; i++)
		ret = test_submit(self->fd, self->blocked, &job);

	return ret;
}

static __u32 result(const FIXTURE_DATA(sync) *self)
{
	return ((__u32 *)self->data.map)[128 / 4];
}

static __u32 run_without_order(struct __test_metadata *_metadata, FIXTURE_DATA(sync) *self)
{
	__u32 end_a = test_syncobj_create(self->fd);
	__u32 end_b = test_syncobj_create(self->fd);
	struct test_job job;

	memset(self->data.map + 64, 0, 128);
	EXPECT_EQ(0, block(self));
	init(self, &job, &self->first);
	test_job_signal(&job, end_a, 0);
	EXPECT_EQ(0, test_submit(self->fd, self->a, &job));
	init(self, &job, &self->second);
	test_job_signal(&job, end_b, 0);
	EXPECT_EQ(0, test_submit(self->fd, self->b, &job));
	EXPECT_EQ(0, test_syncobj_wait(self->fd, end_a, 0));
	EXPECT_EQ(0, test_syncobj_wait(self->fd, end_b, 0));

	return result(self);
}

/*
 * Shows that the tests below can fail, and what priorities do: unless we are so slow that the
 * device is not busy any more.
 */
TEST_F(sync, nothing_orders_them)
{
	__u32 found = 1;
	int i;

	for (i = 0; i < 20 && found; i++)
		found = run_without_order(_metadata, self);
	EXPECT_EQ(0, found);
}

TEST_F(sync, binary)
{
	__u32 between = test_syncobj_create(self->fd);
	__u32 end = test_syncobj_create(self->fd);
	struct test_job job;

	ASSERT_EQ(0, block(self));
	init(self, &job, &self->first);
	test_job_signal(&job, between, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->a, &job));
	init(self, &job, &self->second);
	test_job_wait(&job, between, 0);
	test_job_signal(&job, end, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->b, &job));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, end, 0));
	EXPECT_EQ(0x1234, result(self));
	EXPECT_EQ(0, test_syncobj_wait(self->fd, between, 0));
	EXPECT_EQ(0, test_syncobj_status(self->fd, between));
	EXPECT_EQ(0, test_syncobj_status(self->fd, end));
}

TEST_F(sync, timeline)
{
	__u32 timeline = test_syncobj_create(self->fd);
	struct test_job job;
	__u64 value = 99;

	ASSERT_EQ(0, block(self));
	init(self, &job, &self->first);
	test_job_signal(&job, timeline, 1);
	ASSERT_EQ(0, test_submit(self->fd, self->a, &job));
	init(self, &job, &self->second);
	test_job_wait(&job, timeline, 1);
	test_job_signal(&job, timeline, 0x100000002ull);
	ASSERT_EQ(0, test_submit(self->fd, self->b, &job));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, timeline, 1));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, timeline, 0x100000002ull));
	EXPECT_EQ(0x1234, result(self));
	ASSERT_EQ(0, test_syncobj_value(self->fd, timeline, &value));
	EXPECT_EQ(0x100000002ull, value);
}

/* Points above 32 bits, and between what was signalled. */
TEST_F(sync, timeline_points_are_64_bits)
{
	__u32 timeline = test_syncobj_create(self->fd);
	__u32 end = test_syncobj_create(self->fd);
	struct test_job job;

	ASSERT_EQ(0, block(self));
	init(self, &job, &self->first);
	test_job_signal(&job, timeline, 0x500000000ull);
	ASSERT_EQ(0, test_submit(self->fd, self->a, &job));

	init(self, &job, &self->second);
	test_job_wait(&job, timeline, 0x500000001ull);
	EXPECT_EQ(-EINVAL, test_submit(self->fd, self->b, &job));

	init(self, &job, &self->second);
	test_job_wait(&job, timeline, 0x400000000ull);
	test_job_signal(&job, end, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->b, &job));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, end, 0));
	EXPECT_EQ(0x1234, result(self));
}

TEST_F(sync, several_of_each)
{
	__u32 binary = test_syncobj_create(self->fd);
	__u32 timeline = test_syncobj_create(self->fd);
	__u32 end = test_syncobj_create(self->fd);
	struct test_job job;

	ASSERT_EQ(0, block(self));
	init(self, &job, &self->first);
	test_job_signal(&job, binary, 0);
	test_job_signal(&job, timeline, 7);
	ASSERT_EQ(0, test_submit(self->fd, self->a, &job));
	init(self, &job, &self->second);
	test_job_wait(&job, binary, 0);
	test_job_wait(&job, timeline, 7);
	test_job_signal(&job, end, 0);
	test_job_signal(&job, timeline, 8);
	ASSERT_EQ(0, test_submit(self->fd, self->b, &job));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, timeline, 8));
	EXPECT_EQ(0x1234, result(self));
	EXPECT_EQ(0, test_syncobj_wait(self->fd, end, 0));
}

TEST_F(sync, what_user_space_has_signalled)
{
	__u32 syncobj = test_syncobj_create(self->fd);
	struct test_job job;

	init(self, &job, &self->second);
	test_job_wait(&job, syncobj, 0);
	EXPECT_EQ(-EINVAL, test_submit(self->fd, self->b, &job));
	ASSERT_EQ(0, test_syncobj_signal(self->fd, syncobj));
	EXPECT_EQ(0, test_run(self->fd, self->b, &job));
}

/* One queue needs no syncobjs to be in order. */
TEST_F(sync, queue_is_in_order)
{
	__u32 end = test_syncobj_create(self->fd);
	struct test_job job;

	init(self, &job, &self->first);
	ASSERT_EQ(0, test_submit(self->fd, self->a, &job));
	init(self, &job, &self->second);
	test_job_signal(&job, end, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->a, &job));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, end, 0));
	EXPECT_EQ(0x1234, result(self));
}

/* Ping-pong between two queues, far more jobs than the ring holds. */
TEST_F(sync, chain_through_two_queues)
{
	__u32 timeline = test_syncobj_create(self->fd);
	float *value = (float *)self->data.map + 512;
	struct test_cmds cmds;
	struct test_job job;
	int i;

	ASSERT_EQ(0, test_cmds_create(self->fd, 8, &cmds));
	test_increment(&cmds, self->data.va + 2048, 1);
	for (i = 1; i <= 200; i++) {
		init(self, &job, &cmds);
		if (i > 1)
			test_job_wait(&job, timeline, i - 1);
		test_job_signal(&job, timeline, i);
		ASSERT_EQ(0, test_submit(self->fd, i & 1 ? self->a : self->b, &job));
	}
	ASSERT_EQ(0, test_syncobj_wait(self->fd, timeline, 200));
	EXPECT_EQ(200.0f, *value);
}

TEST_HARNESS_MAIN
