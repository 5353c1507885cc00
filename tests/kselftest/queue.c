// SPDX-License-Identifier: GPL-2.0
/* DRM_IOCTL_IGRAD_QUEUE_CREATE and _DESTROY. */
#include "kselftest_harness.h"

#include "igrad_test.h"

FIXTURE(queue)
{
	int fd;
};

FIXTURE_SETUP(queue)
{
	self->fd = test_open(0);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(queue)
{
	close(self->fd);
}

static int create(int fd, __u32 priority, __u32 flags, __u32 pad)
{
	struct drm_igrad_queue_create args = {
		.priority = priority,
		.flags = flags,
		.pad = pad,
	};
	int ret = test_ioctl(fd, DRM_IOCTL_IGRAD_QUEUE_CREATE, &args);

	return ret ? ret : (int)args.queue_id;
}

TEST_F(queue, create_and_destroy)
{
	int a = create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 0, 0);
	int b = create(self->fd, DRM_IGRAD_PRIORITY_LOW, 0, 0);

	ASSERT_GE(a, 1);
	ASSERT_GE(b, 1);
	EXPECT_NE(a, b);
	EXPECT_EQ(0, test_queue_destroy(self->fd, a));
	EXPECT_EQ(-ENOENT, test_queue_destroy(self->fd, a));
	EXPECT_EQ(0, test_queue_destroy(self->fd, b));
}

TEST_F(queue, bad_create)
{
	EXPECT_EQ(-EINVAL, create(self->fd, 3, 0, 0));
	EXPECT_EQ(-EINVAL, create(self->fd, ~0u, 0, 0));
	EXPECT_EQ(-EINVAL, create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 1, 0));
	EXPECT_EQ(-EINVAL, create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 1u << 31, 0));
	EXPECT_EQ(-EINVAL, create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 0, 1));
}

TEST_F(queue, high_priority_is_a_privilege)
{
	int id = create(self->fd, DRM_IGRAD_PRIORITY_HIGH, 0, 0);

	if (geteuid() == 0) {
		EXPECT_GE(id, 1);
	} else {
		EXPECT_EQ(-EACCES, id);
	}
}

TEST_F(queue, bad_destroy)
{
	struct drm_igrad_queue_destroy args = { .queue_id = create(self->fd, 1, 0, 0), .pad = 1 };

	EXPECT_EQ(-EINVAL, test_ioctl(self->fd, DRM_IOCTL_IGRAD_QUEUE_DESTROY, &args));
	EXPECT_EQ(-ENOENT, test_queue_destroy(self->fd, 0));
	EXPECT_EQ(-ENOENT, test_queue_destroy(self->fd, args.queue_id + 1));
	EXPECT_EQ(-ENOENT, test_queue_destroy(self->fd, ~0u));
	EXPECT_EQ(0, test_queue_destroy(self->fd, args.queue_id));
}

TEST_F(queue, queues_belong_to_a_file)
{
	int other = test_open(0);
	int id = create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 0, 0);

	ASSERT_GE(other, 0);
	ASSERT_GE(id, 1);
	EXPECT_EQ(-ENOENT, test_queue_destroy(other, id));
	EXPECT_EQ(0, test_queue_destroy(self->fd, id));
	close(other);
}

TEST_F(queue, limit)
{
	struct drm_igrad_device_info info;
	__u32 i;

	ASSERT_EQ(0, test_device_info(self->fd, &info));
	for (i = 0; i < info.max_queues; i++) {
		ASSERT_GE(create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 0, 0), 1);
	}
	EXPECT_EQ(-ENOSPC, create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 0, 0));
	EXPECT_EQ(0, test_queue_destroy(self->fd, 1));
	EXPECT_GE(create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 0, 0), 1);
	EXPECT_EQ(-ENOSPC, create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 0, 0));
}

TEST_F(queue, destroyed_with_jobs_that_still_run)
{
	__u32 *words, syncobj = test_syncobj_create(self->fd);
	int id = create(self->fd, DRM_IGRAD_PRIORITY_NORMAL, 0, 0);
	struct test_cmds cmds;
	struct test_job job;
	struct test_bo bo;
	int i;

	ASSERT_GE(id, 1);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &cmds));
	test_increment(&cmds, bo.va, 1);
	test_job_init(&job, &cmds);
	test_job_bo(&job, &bo, DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE);
	for (i = 0; i < 20; i++) {
		if (i == 19)
			test_job_signal(&job, syncobj, 0);
		ASSERT_EQ(0, test_submit(self->fd, id, &job));
	}
	ASSERT_EQ(0, test_queue_destroy(self->fd, id));
	EXPECT_EQ(-ENOENT, test_submit(self->fd, id, &job));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, syncobj, 0));
	EXPECT_EQ(0, test_syncobj_status(self->fd, syncobj));
	words = bo.map;
	/* 20.0 */
	EXPECT_EQ(0x41a00000, words[0]);
}

/* Minutes of work, of a queue that is no more: with the file, what has not begun goes, too. */
TEST_F(queue, jobs_do_not_outlive_the_file)
{
	struct drm_igrad_device_info info;
	int i, id, other = test_open(0);
	struct test_cmds cmds;
	struct test_job job;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, test_device_info(other, &info));
	id = test_queue_create(other);
	ASSERT_GE(id, 1);
	ASSERT_EQ(0, test_cmds_create(other, 256, &cmds));
	for (i = 0; i < 256; i++)
		test_fill(&cmds, 0, info.sram_bytes / 4, i);
	test_job_init(&job, &cmds);
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, test_submit(other, id, &job));
	}
	ASSERT_EQ(0, test_queue_destroy(other, id));
	/* A map would keep the file. */
	ASSERT_EQ(0, test_bo_close(other, &cmds.bo));
	close(other);

	id = test_queue_create(self->fd);
	ASSERT_EQ(0, test_cmds_create(self->fd, 1, &cmds));
	test_nop(&cmds, 0);
	test_job_init(&job, &cmds);
	EXPECT_EQ(0, test_run(self->fd, id, &job));
}

TEST_HARNESS_MAIN
