// SPDX-License-Identifier: GPL-2.0
/* Jobs that hang are ended by a reset of the device, which nobody else notices. */
#include "kselftest_harness.h"

#include "igrad_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)

FIXTURE(hang)
{
	int fd;
	__u32 bad, good;
	double timeout;
	struct test_bo data;
	struct test_cmds hang, increment;
	struct test_job job;
};

FIXTURE_SETUP(hang)
{
	struct drm_igrad_device_info info;

	self->fd = test_open(0);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, test_device_info(self->fd, &info));
	self->timeout = info.job_timeout_ms / 1000.0;
	self->bad = test_queue_create(self->fd);
	self->good = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->hang));
	test_nop(&self->hang, 0);
	test_nop(&self->hang, HANG_TAG);
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	test_increment(&self->increment, self->data.va, 1);
}

FIXTURE_TEARDOWN(hang)
{
	close(self->fd);
}

static struct test_job *prepare(FIXTURE_DATA(hang) *self, const struct test_cmds *cmds)
{
	test_job_init(&self->job, cmds);
	test_job_bo(&self->job, &self->data, RW);

	return &self->job;
}

static float value(const FIXTURE_DATA(hang) *self)
{
	return *(float *)self->data.map;
}

TEST_F(hang, is_ended)
{
	struct drm_igrad_queue_info info;
	struct igrad_report *report;
	struct test_bo bo;
	double start;

	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	report = bo.map;
	report->status = IGRAD_STATUS_NOT_WRITTEN;
	prepare(self, &self->hang)->job.report = bo.va;
	test_job_bo(&self->job, &bo, RW);
	start = test_now();
	EXPECT_EQ(-ETIME, test_run(self->fd, self->bad, &self->job));
	/* Not at once. */
	EXPECT_GE(test_now() - start, self->timeout / 2);
	EXPECT_EQ(IGRAD_STATUS_NOT_WRITTEN, report->status);

	ASSERT_EQ(0, test_queue_info(self->fd, self->bad, &info));
	EXPECT_EQ(-ETIME, info.error);
	EXPECT_EQ(1, info.seqno);
	EXPECT_EQ(0, info.fault_addr);
	EXPECT_EQ(-EIO, test_submit(self->fd, self->bad, prepare(self, &self->increment)));
	EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	EXPECT_EQ(1.0f, value(self));
}

/* Those of the bad queue in one call, so that they are accepted together. */
static int submit_bad(FIXTURE_DATA(hang) *self, __u32 *syncobjs, unsigned int count)
{
	struct drm_igrad_job jobs[8];
	struct drm_igrad_sync signals[8];
	struct drm_igrad_submit submit = {
		.queue_id = self->bad,
		.jobs = { .stride = sizeof(jobs[0]), .count = count, .pointer = (uintptr_t)jobs },
	};
	unsigned int i;

	for (i = 0; i < count; i++) {
		syncobjs[i] = test_syncobj_create(self->fd);
		signals[i] = (struct drm_igrad_sync) { .handle = syncobjs[i] };
		jobs[i] = prepare(self, i ? &self->increment : &self->hang)->job;
		jobs[i].signals.count = 1;
		jobs[i].signals.pointer = (uintptr_t)&signals[i];
	}

	return test_submit_raw(self->fd, &submit);
}

/*
 * Around the hanging job, in the ring and not yet in it: each good job runs exactly once, before
 * the reset or after it, and those behind the hanging one in its queue not at all.
 */
TEST_F(hang, others_complete_across_the_reset)
{
	__u32 good_sync[16], bad_sync[3];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good_sync); i++) {
		good_sync[i] = test_syncobj_create(self->fd);
		test_job_signal(prepare(self, &self->increment), good_sync[i], 0);
		ASSERT_EQ(0, test_submit(self->fd, self->good, &self->job));
		if (i == 2)
			ASSERT_EQ(0, submit_bad(self, bad_sync, ARRAY_SIZE(bad_sync)));
	}
	for (i = 0; i < ARRAY_SIZE(good_sync); i++) {
		ASSERT_EQ(0, test_syncobj_wait(self->fd, good_sync[i], 0));
		EXPECT_EQ(0, test_syncobj_status(self->fd, good_sync[i]));
	}
	for (i = 0; i < ARRAY_SIZE(bad_sync); i++) {
		ASSERT_EQ(0, test_syncobj_wait(self->fd, bad_sync[i], 0));
		EXPECT_EQ(i ? -ECANCELED : -ETIME, test_syncobj_status(self->fd, bad_sync[i]));
	}
	EXPECT_EQ(ARRAY_SIZE(good_sync), value(self));
}

/* Those before it have ended, which the reset must leave so, and those behind never began. */
TEST_F(hang, among_jobs_that_nobody_waits_for)
{
	struct drm_igrad_job jobs[12];
	struct drm_igrad_sync sync = { .handle = test_syncobj_create(self->fd) };
	struct drm_igrad_submit submit = {
		.queue_id = self->bad,
		.jobs = { .stride = sizeof(jobs[0]), .count = 12, .pointer = (uintptr_t)jobs },
	};
	struct drm_igrad_queue_info info;
	int i;

	for (i = 0; i < 12; i++) {
		jobs[i] = prepare(self, i == 5 ? &self->hang : &self->increment)->job;
		jobs[i].bos.count = 0;
	}
	jobs[12 - 1].signals.count = 1;
	jobs[12 - 1].signals.pointer = (uintptr_t)&sync;
	ASSERT_EQ(0, test_submit_raw(self->fd, &submit));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, sync.handle, 0));
	EXPECT_EQ(-ECANCELED, test_syncobj_status(self->fd, sync.handle));
	EXPECT_EQ(5.0f, value(self));
	ASSERT_EQ(0, test_queue_info(self->fd, self->bad, &info));
	EXPECT_EQ(-ETIME, info.error);
	EXPECT_EQ(5 + 1, info.seqno);
	EXPECT_EQ(12, info.completed);
	EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	EXPECT_EQ(5 + 1.0f, value(self));
}

TEST_F(hang, two_at_once)
{
	__u32 first = test_syncobj_create(self->fd);
	__u32 second = test_syncobj_create(self->fd);
	int queue = test_queue_create(self->fd);

	test_job_signal(prepare(self, &self->hang), first, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->bad, &self->job));
	test_job_signal(prepare(self, &self->hang), second, 0);
	ASSERT_EQ(0, test_submit(self->fd, queue, &self->job));
	EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, first, 0));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, second, 0));
	EXPECT_EQ(-ETIME, test_syncobj_status(self->fd, first));
	EXPECT_EQ(-ETIME, test_syncobj_status(self->fd, second));
	EXPECT_EQ(1.0f, value(self));
}

/* A fault behind a hang: both are told apart, and a good job behind both runs. */
TEST_F(hang, then_a_fault)
{
	__u32 hung = test_syncobj_create(self->fd);
	__u32 faulted = test_syncobj_create(self->fd);
	int queue = test_queue_create(self->fd);
	struct test_cmds cmds;

	ASSERT_EQ(0, test_cmds_create(self->fd, 4, &cmds));
	test_dma(&cmds, true, 1ull << 36, 0, 1);
	test_job_signal(prepare(self, &self->hang), hung, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->bad, &self->job));
	test_job_signal(prepare(self, &cmds), faulted, 0);
	ASSERT_EQ(0, test_submit(self->fd, queue, &self->job));
	EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	EXPECT_EQ(-ETIME, test_syncobj_status(self->fd, hung));
	EXPECT_EQ(-EFAULT, test_syncobj_status(self->fd, faulted));
}

/* The file of a hanging job is closed; the device comes back for others. */
TEST_F(hang, file_is_closed)
{
	struct test_cmds hang, increment;
	int fd = test_open(0), queue;
	struct test_job job;
	struct test_bo bo;

	queue = test_queue_create(fd);
	ASSERT_GE(queue, 1);
	ASSERT_EQ(0, test_bo_create(fd, 4096, &bo));
	ASSERT_EQ(0, test_cmds_create(fd, 4, &hang));
	ASSERT_EQ(0, test_cmds_create(fd, 64, &increment));
	test_nop(&hang, HANG_TAG);
	test_increment(&increment, bo.va, 1);
	test_job_init(&job, &hang);
	ASSERT_EQ(0, test_submit(fd, queue, &job));
	queue = test_queue_create(fd);
	test_job_init(&job, &increment);
	ASSERT_EQ(0, test_submit(fd, queue, &job));
	/* Maps would keep the file. */
	ASSERT_EQ(0, test_bo_close(fd, &bo));
	ASSERT_EQ(0, test_bo_close(fd, &hang.bo));
	ASSERT_EQ(0, test_bo_close(fd, &increment.bo));
	close(fd);
	EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	EXPECT_EQ(1.0f, value(self));
}

TEST_HARNESS_MAIN
