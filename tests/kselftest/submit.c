// SPDX-License-Identifier: GPL-2.0
/* DRM_IOCTL_IGRAD_SUBMIT: what it accepts, and that it refuses the rest without a trace. */
#include "kselftest_harness.h"

#include "igrad_test.h"

#define WORDS 64
#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)

FIXTURE(submit)
{
	int fd;
	__u32 queue;
	__u32 syncobj;
	struct drm_igrad_device_info info;
	struct test_bo from, to;
	struct test_cmds cmds;
	struct test_job job;
	struct drm_igrad_submit args;
};

/* A job that copies @from to @to and signals @syncobj, and a submission of it. */
FIXTURE_SETUP(submit)
{
	int i;

	self->fd = test_open(0);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, test_device_info(self->fd, &self->info));
	self->queue = test_queue_create(self->fd);
	self->syncobj = test_syncobj_create(self->fd);
	ASSERT_GT(self->syncobj, 0);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->from));
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->to));
	for (i = 0; i < WORDS; i++)
		((__u32 *)self->from.map)[i] = 0x10000 + i * 3;
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->cmds));
	test_copy(&self->cmds, self->to.va, self->from.va, WORDS);

	test_job_init(&self->job, &self->cmds);
	test_job_bo(&self->job, &self->from, DRM_IGRAD_BO_READ);
	test_job_bo(&self->job, &self->to, RW);
	test_job_signal(&self->job, self->syncobj, 0);
	self->args = (struct drm_igrad_submit) {
		.queue_id = self->queue,
		.jobs = {
			.stride = sizeof(self->job.job),
			.count = 1,
			.pointer = (uintptr_t)&self->job.job,
		},
	};
}

FIXTURE_TEARDOWN(submit)
{
	close(self->fd);
}

static bool copied(const FIXTURE_DATA(submit) *self)
{
	return !memcmp(self->from.map, self->to.map, WORDS * 4);
}

/* Refused, and as if it had never been asked for. */
static int refused(FIXTURE_DATA(submit) *self)
{
	struct drm_igrad_queue_info info;
	int ret = test_submit_raw(self->fd, &self->args);

	if (!ret)
		return 0;
	if (test_queue_info(self->fd, self->queue, &info) || info.submitted || info.error)
		return 1;

	return test_syncobj_is_empty(self->fd, self->syncobj) ? ret : 2;
}

#define EXPECT_REFUSED(error, change)				\
	do {							\
		struct test_job kept_job = self->job;		\
		struct drm_igrad_submit kept_args = self->args;	\
								\
		change;						\
		EXPECT_EQ(error, refused(self)) {		\
			TH_LOG("%s", #change);			\
		}						\
		self->job = kept_job;				\
		self->args = kept_args;				\
	} while (0)

TEST_F(submit, one_job)
{
	struct drm_igrad_queue_info info;

	ASSERT_EQ(0, test_submit_raw(self->fd, &self->args));
	EXPECT_EQ(1, self->args.seqno);
	ASSERT_EQ(0, test_syncobj_wait(self->fd, self->syncobj, 0));
	EXPECT_EQ(0, test_syncobj_status(self->fd, self->syncobj));
	EXPECT_TRUE(copied(self));
	ASSERT_EQ(0, test_queue_info(self->fd, self->queue, &info));
	EXPECT_EQ(1, info.submitted);
	EXPECT_EQ(1, info.completed);
	EXPECT_EQ(0, info.error);
}

TEST_F(submit, report)
{
	struct igrad_report *report;
	struct test_bo bo;

	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	report = bo.map;
	report->status = IGRAD_STATUS_NOT_WRITTEN;
	self->job.job.report = bo.va;
	test_job_bo(&self->job, &bo, RW);
	self->job.job.signals.count = 0;
	ASSERT_EQ(0, test_run(self->fd, self->queue, &self->job));
	EXPECT_TRUE(copied(self));
	EXPECT_EQ(IGRAD_REPORT_VERSION, report->version);
	EXPECT_EQ(IGRAD_STATUS_OK, report->status);
	EXPECT_EQ(2, report->command);
	EXPECT_EQ(1, report->seqno);
	EXPECT_EQ(1, report->retired[IGRAD_ENGINE_LOAD]);
	EXPECT_EQ(1, report->retired[IGRAD_ENGINE_STORE]);
	EXPECT_EQ(WORDS * 4, report->dram_read_bytes);
	EXPECT_EQ(WORDS * 4, report->dram_write_bytes);
	EXPECT_GT(report->cycles, 0);
}

TEST_F(submit, without_lists)
{
	memset(&self->job.job.bos, 0, sizeof(self->job.job.bos));
	memset(&self->job.job.waits, 0, sizeof(self->job.job.waits));
	EXPECT_EQ(0, test_submit_raw(self->fd, &self->args));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, self->syncobj, 0));
	EXPECT_TRUE(copied(self));
}

TEST_F(submit, many_jobs_in_order)
{
	__u32 i, count = self->info.max_jobs;
	struct drm_igrad_job *jobs = calloc(count, sizeof(*jobs));
	float *value = self->to.map;
	struct test_cmds cmds;
	struct test_job job;

	ASSERT_NE(NULL, jobs);
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &cmds));
	test_increment(&cmds, self->to.va, 1);
	test_job_init(&job, &cmds);
	test_job_bo(&job, &self->to, RW);
	for (i = 0; i < count; i++)
		jobs[i] = job.job;
	jobs[count - 1].signals = self->job.job.signals;
	self->args.jobs.count = count;
	self->args.jobs.pointer = (uintptr_t)jobs;
	ASSERT_EQ(0, test_submit_raw(self->fd, &self->args));
	EXPECT_EQ(count, self->args.seqno);
	ASSERT_EQ(0, test_syncobj_wait(self->fd, self->syncobj, 0));
	EXPECT_EQ(count, *value);
	free(jobs);
}

TEST_F(submit, none_or_all)
{
	struct drm_igrad_job jobs[3] = { self->job.job, self->job.job, self->job.job };

	self->args.jobs.count = 3;
	self->args.jobs.pointer = (uintptr_t)jobs;
	jobs[2].flags = 1;
	EXPECT_EQ(-EINVAL, refused(self));
	jobs[2].flags = 0;
	jobs[2].bos.pointer = 8;
	EXPECT_EQ(-EFAULT, refused(self));
	EXPECT_FALSE(copied(self));
	jobs[2] = jobs[0];
	EXPECT_EQ(0, test_submit_raw(self->fd, &self->args));
	EXPECT_EQ(3, self->args.seqno);
	ASSERT_EQ(0, test_syncobj_wait(self->fd, self->syncobj, 0));
	EXPECT_TRUE(copied(self));
}

TEST_F(submit, bad_submit)
{
	EXPECT_REFUSED(-ENOENT, self->args.queue_id++);
	EXPECT_REFUSED(-ENOENT, self->args.queue_id = 0);
	EXPECT_REFUSED(-EINVAL, self->args.flags = 1);
	EXPECT_REFUSED(-EINVAL, self->args.flags = 1u << 31);
	EXPECT_REFUSED(-EINVAL, self->args.jobs.count = 0);
	EXPECT_REFUSED(-EINVAL, self->args.jobs.count = self->info.max_jobs + 1);
	EXPECT_REFUSED(-EINVAL, self->args.jobs.count = ~0u);
	EXPECT_REFUSED(-EINVAL, self->args.jobs.stride = 0);
	EXPECT_REFUSED(-E2BIG, self->args.jobs.stride = ~0u);
	EXPECT_REFUSED(-EFAULT, self->args.jobs.pointer = 8);
	EXPECT_REFUSED(-EFAULT, self->args.jobs.pointer = ~0ull - 7);
	EXPECT_REFUSED(-EFAULT, self->args.jobs.pointer = 0);
}

TEST_F(submit, bad_job)
{
	struct drm_igrad_job *job = &self->job.job;

	EXPECT_REFUSED(-EINVAL, job->flags = 1);
	EXPECT_REFUSED(-EINVAL, job->flags = 1u << 31);
	EXPECT_REFUSED(-EINVAL, job->num_cmds = 0);
	EXPECT_REFUSED(-EINVAL, job->num_cmds = IGRAD_MAX_COMMANDS + 1);
	EXPECT_REFUSED(-EINVAL, job->num_cmds = ~0u);
	EXPECT_REFUSED(-EINVAL, job->cmds += 32);
	EXPECT_REFUSED(-EINVAL, job->cmds += 1);
	EXPECT_REFUSED(-EINVAL, job->cmds = 0);
	EXPECT_REFUSED(-EINVAL, job->cmds = IGRAD_VA_END);
	EXPECT_REFUSED(-EINVAL, job->cmds = IGRAD_VA_END - 64);
	EXPECT_REFUSED(-EINVAL, job->cmds = ~0ull - 63);
	EXPECT_REFUSED(-EINVAL, job->report = self->to.va + 32);
	EXPECT_REFUSED(-EINVAL, job->report = 64);
	EXPECT_REFUSED(-EINVAL, job->report = IGRAD_VA_END - 64);
	EXPECT_REFUSED(-EINVAL, job->report = 1ull << 63);
}

TEST_F(submit, bad_bos)
{
	struct drm_igrad_array *bos = &self->job.job.bos;

	EXPECT_REFUSED(-EINVAL, bos->count = self->info.max_bos + 1);
	EXPECT_REFUSED(-EINVAL, bos->count = ~0u);
	EXPECT_REFUSED(-EINVAL, bos->stride = 0);
	EXPECT_REFUSED(-E2BIG, bos->stride = 1u << 20);
	EXPECT_REFUSED(-EFAULT, bos->pointer = 8);
	EXPECT_REFUSED(-EINVAL, self->job.bos[1].flags = 0);
	EXPECT_REFUSED(-EINVAL, self->job.bos[1].flags = RW | 4);
	EXPECT_REFUSED(-ENOENT, self->job.bos[1].handle = 4711);
	EXPECT_REFUSED(-ENOENT, self->job.bos[1].handle = 0);
	/* Twice, next to each other and apart. */
	EXPECT_REFUSED(-EINVAL, self->job.bos[1] = self->job.bos[0]);
	EXPECT_REFUSED(-EINVAL, self->job.bos[2] = self->job.bos[0]);
}

TEST_F(submit, bad_syncs)
{
	struct drm_igrad_array *waits = &self->job.job.waits;
	struct drm_igrad_array *signals = &self->job.job.signals;
	struct drm_igrad_sync *wait = &self->job.waits[0];
	__u32 empty = test_syncobj_create(self->fd);

	EXPECT_REFUSED(-EINVAL, waits->count = self->info.max_syncs + 1);
	EXPECT_REFUSED(-EINVAL, (waits->count = 1, waits->stride = 0));
	EXPECT_REFUSED(-EFAULT, (waits->count = 1, waits->pointer = 8));
	EXPECT_REFUSED(-ENOENT, test_job_wait(&self->job, 4711, 0));
	EXPECT_REFUSED(-EINVAL, test_job_wait(&self->job, empty, 0));
	EXPECT_REFUSED(-EINVAL, test_job_wait(&self->job, empty, 1));
	EXPECT_REFUSED(-EINVAL, (test_job_wait(&self->job, empty, 0), wait->flags = 2));
	EXPECT_REFUSED(-EINVAL, (test_job_wait(&self->job, empty, 0), wait->point = 1));
	EXPECT_REFUSED(-EINVAL, (test_job_wait(&self->job, empty, 1), wait->point = 0));

	EXPECT_REFUSED(-EINVAL, signals->count = self->info.max_syncs + 1);
	EXPECT_REFUSED(-EINVAL, signals->stride = 0);
	EXPECT_REFUSED(-EFAULT, signals->pointer = 8);
	EXPECT_REFUSED(-ENOENT, test_job_signal(&self->job, 4711, 0));
	EXPECT_REFUSED(-ENOENT, test_job_signal(&self->job, 4711, 5));
	EXPECT_REFUSED(-EINVAL, self->job.signals[0].flags = 2);
	EXPECT_REFUSED(-EINVAL, self->job.signals[0].flags = DRM_IGRAD_SYNC_TIMELINE);
	EXPECT_REFUSED(-EINVAL, self->job.signals[0].point = 1);
}

/* Structures of a later kernel's user space: a surplus must be zero. */
TEST_F(submit, longer_elements)
{
	struct {
		struct drm_igrad_job job;
		__u64 surplus;
	} longer = { .job = self->job.job };

	self->args.jobs.stride = sizeof(longer);
	self->args.jobs.pointer = (uintptr_t)&longer;
	longer.surplus = 1;
	EXPECT_EQ(-E2BIG, refused(self));
	longer.surplus = 1ull << 63;
	EXPECT_EQ(-E2BIG, refused(self));
	longer.surplus = 0;
	EXPECT_EQ(0, test_submit_raw(self->fd, &self->args));
	EXPECT_EQ(0, test_syncobj_wait(self->fd, self->syncobj, 0));
	EXPECT_TRUE(copied(self));
}

/* Structures of an earlier kernel's: what is missing is zero. */
TEST_F(submit, shorter_elements)
{
	struct drm_igrad_queue_info info;
	double end = test_now() + WAIT_SECONDS;

	self->args.jobs.stride = offsetof(struct drm_igrad_job, bos);
	ASSERT_EQ(0, test_submit_raw(self->fd, &self->args));
	do {
		ASSERT_EQ(0, test_queue_info(self->fd, self->queue, &info));
	} while (!info.completed && test_now() < end);
	EXPECT_EQ(1, info.completed);
	EXPECT_TRUE(copied(self));
	EXPECT_TRUE(test_syncobj_is_empty(self->fd, self->syncobj));
}

TEST_F(submit, as_many_bos_as_allowed)
{
	__u32 i, count = self->info.max_bos;
	struct drm_igrad_bo_ref *refs = calloc(count, sizeof(*refs));
	struct drm_igrad_bo_create args;

	ASSERT_NE(NULL, refs);
	for (i = 0; i < count; i++) {
		args = (struct drm_igrad_bo_create) { .size = 4096 };
		ASSERT_EQ(0, test_ioctl(self->fd, DRM_IOCTL_IGRAD_BO_CREATE, &args));
		refs[i].handle = args.handle;
		refs[i].flags = RW;
	}
	self->job.job.bos.count = count;
	self->job.job.bos.pointer = (uintptr_t)refs;
	EXPECT_EQ(0, test_submit_raw(self->fd, &self->args));
	EXPECT_EQ(0, test_syncobj_wait(self->fd, self->syncobj, 0));
	EXPECT_TRUE(copied(self));
	free(refs);
}

TEST_HARNESS_MAIN
