// SPDX-License-Identifier: GPL-2.0
/* Jobs that fault or are malformed harm their own queue and nobody else. */
#include <signal.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "igrad_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define NOWHERE 0x1000000000ull

FIXTURE(fault)
{
	int fd;
	__u32 bad, good;
	struct test_bo data;
	struct test_cmds cmds, increment;
	struct test_job job;
};

FIXTURE_SETUP(fault)
{
	self->fd = test_open(0);
	ASSERT_GE(self->fd, 0);
	self->bad = test_queue_create(self->fd);
	self->good = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->cmds));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	test_increment(&self->increment, self->data.va, 1);
}

FIXTURE_TEARDOWN(fault)
{
	close(self->fd);
}

static struct test_job *prepare(FIXTURE_DATA(fault) *self, const struct test_cmds *cmds)
{
	test_job_init(&self->job, cmds);
	test_job_bo(&self->job, &self->data, RW);

	return &self->job;
}

static float value(const FIXTURE_DATA(fault) *self)
{
	return *(float *)self->data.map;
}

/* The queue says what happened, and takes nothing any more; another takes its place. */
static void expect_failed(struct __test_metadata *_metadata, FIXTURE_DATA(fault) *self, int error,
			  __u64 addr, __u32 command, __u32 reason)
{
	struct drm_igrad_queue_info info;
	int queue;

	ASSERT_EQ(0, test_queue_info(self->fd, self->bad, &info));
	EXPECT_EQ(error, info.error);
	EXPECT_EQ(1, info.seqno);
	EXPECT_EQ(addr, info.fault_addr);
	EXPECT_EQ(command, info.command);
	EXPECT_EQ(reason, info.reason);
	EXPECT_EQ(-EIO, test_submit(self->fd, self->bad, prepare(self, &self->increment)));

	ASSERT_EQ(0, test_queue_info(self->fd, self->good, &info));
	EXPECT_EQ(0, info.error);
	EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	EXPECT_EQ(0, test_queue_destroy(self->fd, self->bad));
	queue = test_queue_create(self->fd);
	ASSERT_GE(queue, 1);
	EXPECT_EQ(0, test_run(self->fd, queue, prepare(self, &self->increment)));
	EXPECT_EQ(2.0f, value(self));
}

TEST_F(fault, commands_are_nowhere)
{
	test_nop(&self->cmds, 0);
	prepare(self, &self->cmds)->job.cmds = NOWHERE;
	EXPECT_EQ(-EFAULT, test_run(self->fd, self->bad, &self->job));
	expect_failed(_metadata, self, -EFAULT, NOWHERE, 0, IGRAD_REASON_NOT_PRESENT);
}

TEST_F(fault, load_from_nowhere)
{
	test_nop(&self->cmds, 0);
	test_dma(&self->cmds, false, NOWHERE, 0, 16);
	EXPECT_EQ(-EFAULT, test_run(self->fd, self->bad, prepare(self, &self->cmds)));
	expect_failed(_metadata, self, -EFAULT, NOWHERE, 1, IGRAD_REASON_NOT_PRESENT);
}

TEST_F(fault, store_to_nowhere)
{
	test_dma(&self->cmds, true, NOWHERE, 0, 16);
	EXPECT_EQ(-EFAULT, test_run(self->fd, self->bad, prepare(self, &self->cmds)));
	expect_failed(_metadata, self, -EFAULT, NOWHERE, 0, IGRAD_REASON_NOT_PRESENT);
}

TEST_F(fault, page_zero)
{
	test_dma(&self->cmds, false, 0, 0, 16);
	EXPECT_EQ(-EFAULT, test_run(self->fd, self->bad, prepare(self, &self->cmds)));
	expect_failed(_metadata, self, -EFAULT, 0, 0, IGRAD_REASON_VA_RANGE);
}

/* Whatever was allocated next: nothing lies right behind a buffer. */
TEST_F(fault, over_the_end)
{
	struct test_bo first, second;

	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &first));
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &second));
	test_dma(&self->cmds, false, first.va + 4096 - 16, 0, 8);
	EXPECT_EQ(-EFAULT, test_run(self->fd, self->bad, prepare(self, &self->cmds)));
	expect_failed(_metadata, self, -EFAULT, first.va + 4096, 0, IGRAD_REASON_NOT_PRESENT);
}

TEST_F(fault, report_to_nowhere)
{
	test_nop(&self->cmds, 0);
	prepare(self, &self->cmds)->job.report = NOWHERE;
	EXPECT_EQ(-EFAULT, test_run(self->fd, self->bad, &self->job));
}

TEST_F(fault, unknown_command)
{
	test_nop(&self->cmds, 0);
	test_cmd(&self->cmds, 0xee, IGRAD_ENGINE_VECTOR);
	EXPECT_EQ(-EINVAL, test_run(self->fd, self->bad, prepare(self, &self->cmds)));
	expect_failed(_metadata, self, -EINVAL, 0, 1, IGRAD_REASON_OPCODE);
}

TEST_F(fault, wait_without_signal)
{
	test_nop(&self->cmds, 0);
	test_nop(&self->cmds, 0);
	((struct igrad_cmd *)self->cmds.bo.map)[0].wait_sem[0] = IGRAD_ENGINE_VECTOR + 1;
	((struct igrad_cmd *)self->cmds.bo.map)[0].wait_value[0] = 2;
	EXPECT_EQ(-EINVAL, test_run(self->fd, self->bad, prepare(self, &self->cmds)));
	expect_failed(_metadata, self, -EINVAL, 0, 0, IGRAD_REASON_WAIT);
}

TEST_F(fault, report_says_so)
{
	struct igrad_report *report;
	struct test_bo bo;

	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	report = bo.map;
	report->status = IGRAD_STATUS_NOT_WRITTEN;
	test_dma(&self->cmds, false, NOWHERE, 0, 16);
	prepare(self, &self->cmds)->job.report = bo.va;
	EXPECT_EQ(-EFAULT, test_run(self->fd, self->bad, &self->job));
	EXPECT_EQ(IGRAD_STATUS_FAULT, report->status);
	EXPECT_EQ(NOWHERE, report->addr);
}

/*
 * Of both queues in turn, so that good jobs are in the ring in front of the failing one, behind it,
 * and behind jobs that are cancelled.
 */
TEST_F(fault, others_go_on)
{
	__u32 bad_sync[8], good_sync[8];
	int i;

	test_dma(&self->cmds, false, NOWHERE, 0, 16);
	for (i = 0; i < 8; i++) {
		bad_sync[i] = test_syncobj_create(self->fd);
		good_sync[i] = test_syncobj_create(self->fd);
	}
	for (i = 0; i < 8; i++) {
		int ret;

		test_job_signal(prepare(self, &self->increment), good_sync[i], 0);
		ASSERT_EQ(0, test_submit(self->fd, self->good, &self->job));
		test_job_signal(prepare(self, &self->cmds), bad_sync[i], 0);
		ret = test_submit(self->fd, self->bad, &self->job);
		/* It may have failed by then. */
		if (i && ret == -EIO) {
			bad_sync[i] = 0;
		} else {
			ASSERT_EQ(0, ret);
		}
	}
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, test_syncobj_wait(self->fd, good_sync[i], 0));
		EXPECT_EQ(0, test_syncobj_status(self->fd, good_sync[i]));
		if (!bad_sync[i])
			continue;
		ASSERT_EQ(0, test_syncobj_wait(self->fd, bad_sync[i], 0));
		EXPECT_EQ(i ? -ECANCELED : -EFAULT, test_syncobj_status(self->fd, bad_sync[i]));
	}
	EXPECT_EQ(8.0f, value(self));
}

/* All in one call, so that they are accepted together: one fails, those behind it do not run. */
TEST_F(fault, behind_a_failed_job)
{
	struct drm_igrad_job jobs[6];
	struct drm_igrad_sync syncs[6];
	struct drm_igrad_submit submit = {
		.queue_id = self->bad,
		.jobs = { .stride = sizeof(jobs[0]), .count = 6, .pointer = (uintptr_t)jobs },
	};
	struct drm_igrad_queue_info info;
	int i;

	test_dma(&self->cmds, false, NOWHERE, 0, 16);
	for (i = 0; i < 6; i++) {
		syncs[i] = (struct drm_igrad_sync) { .handle = test_syncobj_create(self->fd) };
		jobs[i] = prepare(self, &self->increment)->job;
		if (i == 2) {
			jobs[i].cmds = self->cmds.bo.va;
			jobs[i].num_cmds = self->cmds.count;
		}
		jobs[i].bos.count = 0;
		jobs[i].signals.count = 1;
		jobs[i].signals.pointer = (uintptr_t)&syncs[i];
	}
	ASSERT_EQ(0, test_submit_raw(self->fd, &submit));
	EXPECT_EQ(6, submit.seqno);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, test_syncobj_wait(self->fd, syncs[i].handle, 0));
		EXPECT_EQ(i < 2 ? 0 : i == 2 ? -EFAULT : -ECANCELED,
			  test_syncobj_status(self->fd, syncs[i].handle));
	}
	EXPECT_EQ(2.0f, value(self));
	ASSERT_EQ(0, test_queue_info(self->fd, self->bad, &info));
	EXPECT_EQ(-EFAULT, info.error);
	EXPECT_EQ(3, info.seqno);
	EXPECT_EQ(6, info.submitted);
	EXPECT_EQ(6, info.completed);
}

/* Nobody is to be told of any but the last one: still each runs, or not, by itself. */
TEST_F(fault, among_jobs_that_nobody_waits_for)
{
	struct drm_igrad_job jobs[20];
	struct drm_igrad_sync sync = { .handle = test_syncobj_create(self->fd) };
	struct drm_igrad_submit submit = {
		.queue_id = self->bad,
		.jobs = { .stride = sizeof(jobs[0]), .count = 20, .pointer = (uintptr_t)jobs },
	};
	struct drm_igrad_queue_info info;
	int i;

	test_dma(&self->cmds, false, NOWHERE, 0, 16);
	for (i = 0; i < 20; i++) {
		jobs[i] = prepare(self, i == 11 ? &self->cmds : &self->increment)->job;
		jobs[i].bos.count = 0;
	}
	jobs[20 - 1].signals.count = 1;
	jobs[20 - 1].signals.pointer = (uintptr_t)&sync;
	ASSERT_EQ(0, test_submit_raw(self->fd, &submit));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, sync.handle, 0));
	EXPECT_EQ(-ECANCELED, test_syncobj_status(self->fd, sync.handle));
	EXPECT_EQ(11.0f, value(self));
	/* What comes to a failed queue ends at once, what it has in the ring in turn. */
	EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	EXPECT_EQ(11 + 1.0f, value(self));
	ASSERT_EQ(0, test_queue_info(self->fd, self->bad, &info));
	EXPECT_EQ(-EFAULT, info.error);
	EXPECT_EQ(11 + 1, info.seqno);
	EXPECT_EQ(20, info.completed);
}

TEST_F(fault, errors_do_not_travel)
{
	__u32 failed = test_syncobj_create(self->fd);

	test_dma(&self->cmds, false, NOWHERE, 0, 16);
	test_job_signal(prepare(self, &self->cmds), failed, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->bad, &self->job));
	test_job_wait(prepare(self, &self->increment), failed, 0);
	EXPECT_EQ(0, test_run(self->fd, self->good, &self->job));
	EXPECT_EQ(-EFAULT, test_syncobj_status(self->fd, failed));
	EXPECT_EQ(1.0f, value(self));
}

/* A listed buffer stays, with its address, though its handle is closed. */
TEST_F(fault, listed_buffer_stays)
{
	struct test_bo bo, next;
	__u32 syncobj = test_syncobj_create(self->fd);
	int i;

	ASSERT_EQ(0, test_bo_create(self->fd, 1 << 20, &bo));
	((__u32 *)bo.map)[0] = 0x3f800000;
	for (i = 0; i < 40; i++)
		test_fill(&self->cmds, 1024, 2048, i);
	test_copy(&self->cmds, self->data.va, bo.va, 1);
	test_job_bo(prepare(self, &self->cmds), &bo, DRM_IGRAD_BO_READ);
	test_job_signal(&self->job, syncobj, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->good, &self->job));
	ASSERT_EQ(0, test_bo_close(self->fd, &bo));
	ASSERT_EQ(0, test_bo_create(self->fd, 1 << 20, &next));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, syncobj, 0));
	EXPECT_EQ(0, test_syncobj_status(self->fd, syncobj));
	EXPECT_EQ(1.0f, value(self));
}

/* What is neither listed nor there any more faults, and nothing else happens. */
TEST_F(fault, unlisted_buffer_goes)
{
	struct test_bo bo;

	ASSERT_EQ(0, test_bo_create(self->fd, 1 << 20, &bo));
	test_copy(&self->cmds, self->data.va, bo.va + bo.size - 4096, 1);
	ASSERT_EQ(0, test_run(self->fd, self->bad, prepare(self, &self->cmds)));
	ASSERT_EQ(0, test_bo_close(self->fd, &bo));
	/* It has gone once another one could be created; that may lie at its beginning. */
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	EXPECT_EQ(-EFAULT, test_run(self->fd, self->bad, prepare(self, &self->cmds)));
}

/*
 * Another process: an address that is good here is not there, and where both have one it is other
 * memory.
 */
static int other_process(__u64 va, __u64 common)
{
	struct test_cmds cmds;
	struct test_job job;
	struct test_bo bo;
	int queue, fd = test_open(0);

	queue = test_queue_create(fd);
	/* The first buffer, as on the other side. */
	if (fd < 0 || queue < 0 || test_bo_create(fd, 4096, &bo) || bo.va != common)
		return 1;
	if (test_cmds_create(fd, 64, &cmds))
		return 2;
	test_increment(&cmds, common, 1);
	test_job_init(&job, &cmds);
	if (test_run(fd, queue, &job) || *(float *)bo.map != 1.0f)
		return 4;

	cmds.count = 0;
	memset(cmds.signalled, 0, sizeof(cmds.signalled));
	test_copy(&cmds, common, va, 1);
	test_job_init(&job, &cmds);
	if (test_run(fd, queue, &job) != -EFAULT)
		return 5;
	queue = test_queue_create(fd);
	cmds.count = 0;
	memset(cmds.signalled, 0, sizeof(cmds.signalled));
	test_copy(&cmds, va, common, 1);
	test_job_init(&job, &cmds);
	if (test_run(fd, queue, &job) != -EFAULT)
		return 6;

	return 0;
}

TEST_F(fault, processes_do_not_see_each_other)
{
	struct test_bo far, bo;
	int status, i;
	pid_t pid;

	for (i = 0; i < 16; i++) {
		ASSERT_EQ(0, test_bo_create(self->fd, 4 << 20, &bo));
	}
	ASSERT_EQ(0, test_bo_create(self->fd, 4 << 20, &far));
	((__u32 *)far.map)[0] = 0x5ec7e7;
	*(float *)self->data.map = 50.0f;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(other_process(far.va, self->data.va));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_EQ(50.0f, value(self));
	EXPECT_EQ(0x5ec7e7, ((__u32 *)far.map)[0]);
}

/* A process is killed with jobs in the ring and behind it; others notice nothing. */
TEST_F(fault, killed_process)
{
	int i, status, ready[2];
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		int fd = test_open(0), queue = test_queue_create(fd);
		struct test_cmds cmds;
		struct test_job job;

		if (fd < 0 || queue < 0 || test_cmds_create(fd, 2048, &cmds))
			_exit(1);
		for (i = 0; i < 2000; i++)
			test_fill(&cmds, 0, 2048, i);
		test_job_init(&job, &cmds);
		for (i = 0; i < 200; i++)
			if (test_submit(fd, queue, &job))
				_exit(2);
		if (write(ready[1], "", 1) != 1)
			_exit(3);
		pause();
		_exit(4);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	}
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, &self->increment)));
	}
	EXPECT_EQ(6.0f, value(self));
}

TEST_HARNESS_MAIN
