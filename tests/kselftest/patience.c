// SPDX-License-Identifier: GPL-2.0
/* How long jobs may take: what the driver bears with, what not, and what waits meanwhile. */
#include <limits.h>
#include <stdlib.h>

#include "kselftest_harness.h"

#include "igrad_test.h"
#include "root_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
/* For ever, as far as these tests can see. */
#define LONG_MS ROOT_PATIENCE_MAX_MS
#define SHORT_MS 2000

FIXTURE(patience)
{
	int fd;
	__u32 bad, good;
	__u32 sram_words;
	struct test_bo data;
	struct test_cmds hang, increment, slow;
	struct test_job job;
	char dir[PATH_MAX];
};

FIXTURE_SETUP(patience)
{
	ASSERT_EQ(0, root_device_dir(self->dir, sizeof(self->dir)));
}

FIXTURE_TEARDOWN(patience)
{
	close(self->fd);
}

static void begin(struct __test_metadata *_metadata, FIXTURE_DATA(patience) *self,
		  unsigned int timeout_ms, unsigned int limit_ms)
{
	__u32 i, max = IGRAD_MAX_COMMANDS / 8;
	struct drm_igrad_device_info info;

	ASSERT_EQ(0, root_set_patience(self->dir, timeout_ms, limit_ms));
	self->fd = root_open(self->dir);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, test_device_info(self->fd, &info));
	EXPECT_EQ(timeout_ms, info.job_timeout_ms);
	self->bad = test_queue_create(self->fd);
	self->good = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->hang));
	test_nop(&self->hang, HANG_TAG);
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	test_increment(&self->increment, self->data.va, 1);
	ASSERT_EQ(0, test_cmds_create(self->fd, max, &self->slow));
	for (i = 0; i < max; i++)
		test_fill(&self->slow, 0, info.sram_bytes / 4, i);
}

static struct test_job *prepare(FIXTURE_DATA(patience) *self, const struct test_cmds *cmds)
{
	test_job_init(&self->job, cmds);
	test_job_bo(&self->job, &self->data, RW);

	return &self->job;
}

static float value(const FIXTURE_DATA(patience) *self)
{
	return *(float *)self->data.map;
}

/* Slow is not stuck: a job that retires commands all the time may take longer than the timeout. */
TEST_F(patience, long_job_is_left_alone)
{
	double start, taken = 0;
	__u32 count;

	begin(_metadata, self, SHORT_MS, LONG_MS);
	for (count = 128; taken < 2 * SHORT_MS / 1000.0 && count <= self->slow.count; count *= 2) {
		prepare(self, &self->slow)->job.num_cmds = count;
		start = test_now();
		ASSERT_EQ(0, test_run(self->fd, self->good, &self->job));
		taken = test_now() - start;
	}
	EXPECT_GE(taken, 2 * SHORT_MS / 1000.0);
}

/* But none may execute for ever, whatever it does. */
TEST_F(patience, no_job_takes_for_ever)
{
	struct drm_igrad_queue_info info;

	begin(_metadata, self, SHORT_MS, SHORT_MS);
	EXPECT_EQ(-ETIME, test_run(self->fd, self->bad, prepare(self, &self->slow)));
	ASSERT_EQ(0, test_queue_info(self->fd, self->bad, &info));
	EXPECT_EQ(-ETIME, info.error);
	EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	EXPECT_EQ(1.0f, value(self));
}

/* As many jobs as a file may have, all waiting for one that hangs. */
TEST_F(patience, so_many_jobs_and_no_more)
{
	__u32 hung, end, i, accepted = 0;
	struct drm_igrad_job jobs[64];
	struct drm_igrad_submit submit = {
		.jobs = { .stride = sizeof(jobs[0]), .pointer = (uintptr_t)jobs },
	};
	struct drm_igrad_queue_info info;
	int ret = 0;

	begin(_metadata, self, LONG_MS, LONG_MS);
	hung = test_syncobj_create(self->fd);
	end = test_syncobj_create(self->fd);
	test_job_signal(prepare(self, &self->hang), hung, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->bad, &self->job));
	test_job_wait(prepare(self, &self->increment), hung, 0);
	test_job_signal(&self->job, end, 0);
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		jobs[i] = self->job.job;
	/* In big steps, and then to the last one. */
	submit.queue_id = self->good;
	for (submit.jobs.count = ARRAY_SIZE(jobs); submit.jobs.count; submit.jobs.count /= 2) {
		while (accepted < 100000) {
			ret = test_submit_raw(self->fd, &submit);
			if (ret)
				break;
			accepted += submit.jobs.count;
		}
	}
	EXPECT_EQ(-EBUSY, ret);
	ASSERT_EQ(0, test_queue_info(self->fd, self->good, &info));
	EXPECT_EQ(accepted, info.submitted);
	EXPECT_EQ(0, info.completed);
	/* Another queue does not help. */
	EXPECT_EQ(-EBUSY, test_submit(self->fd, test_queue_create(self->fd),
				      prepare(self, &self->increment)));
	EXPECT_EQ(-EINPROGRESS, test_syncobj_status(self->fd, hung));

	/* Nothing ends the hang but this. */
	ASSERT_EQ(0, root_function_level_reset(self->dir));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, end, 0));
	EXPECT_EQ(-EIO, test_syncobj_status(self->fd, hung));
	EXPECT_EQ(0, test_syncobj_status(self->fd, end));
	EXPECT_EQ(accepted, value(self));
	EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
}

TEST_HARNESS_MAIN
