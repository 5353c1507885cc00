// SPDX-License-Identifier: GPL-2.0-only
/*
 * Submission: everything that can fail is done for all jobs before the first one is armed; from
 * there on nothing can.
 */

#include <drm/drm_drv.h>
#include <drm/drm_exec.h>
#include <drm/drm_syncobj.h>
#include <linux/dma-resv.h>
#include <linux/slab.h>

#include <drm/igrad_accel.h>

#include "igrad_array.h"
#include "igrad_device.h"
#include "igrad_gem.h"
#include "igrad_job.h"
#include "igrad_pm.h"
#include "igrad_queue.h"
#include "igrad_submit.h"
#include "igrad_trace.h"

/*
 * Fences that one submission may add to a buffer. Its jobs are in one queue, so that a later job's
 * fence takes the place of an earlier one's with the same usage. Of these there are three: two for
 * a buffer that is shared, and another one if it stops being so between one job and the next.
 */
#define IGRAD_FENCES_PER_BO	3

/**
 * struct igrad_submit - a submission being made
 * @queue: that it is for
 * @count: number of jobs made so far
 * @jobs: made so far
 */
struct igrad_submit {
	struct igrad_queue *queue;
	u32 count;
	struct igrad_job **jobs;
};

static struct drm_gem_object *igrad_job_bo_obj(const struct igrad_job_bo *bo)
{
	return &bo->mapping->bo->base.base;
}

static enum dma_resv_usage igrad_job_bo_usage(const struct igrad_job_bo *bo)
{
	if (!igrad_bo_is_shared(bo->mapping->bo))
		return DMA_RESV_USAGE_BOOKKEEP;

	return bo->flags & DRM_IGRAD_BO_WRITE ? DMA_RESV_USAGE_WRITE : DMA_RESV_USAGE_READ;
}

static int igrad_submit_load(struct igrad_submit *submit, struct drm_file *file,
			     const struct drm_igrad_array *array)
{
	struct drm_igrad_job args;
	struct igrad_job *job;
	int ret;
	u32 i;

	submit->jobs = kcalloc(array->count, sizeof(*submit->jobs), GFP_KERNEL_ACCOUNT);
	if (!submit->jobs)
		return -ENOMEM;

	for (i = 0; i < array->count; i++) {
		ret = igrad_array_get(array, i, &args, sizeof(args));
		if (ret)
			return ret;
		job = igrad_job_create(file, submit->queue, &args);
		if (IS_ERR(job))
			return PTR_ERR(job);
		submit->jobs[submit->count++] = job;
	}

	return 0;
}

static int igrad_submit_prepare(struct igrad_submit *submit, struct drm_exec *exec)
{
	int ret;
	u32 i, k;

	for (i = 0; i < submit->count; i++) {
		struct igrad_job *job = submit->jobs[i];

		for (k = 0; k < job->num_bos; k++) {
			ret = drm_exec_prepare_obj(exec, igrad_job_bo_obj(&job->bos[k]),
						   IGRAD_FENCES_PER_BO);
			if (ret)
				return ret;
		}
	}

	return 0;
}

static int igrad_submit_lock(struct igrad_submit *submit, struct drm_exec *exec)
{
	int ret = 0;

	drm_exec_until_all_locked(exec) {
		ret = igrad_submit_prepare(submit, exec);
		drm_exec_retry_on_contention(exec);
		if (ret)
			break;
	}

	return ret;
}

/* What others do to shared buffers is waited for; private ones are the file's own affair. */
static int igrad_submit_add_implicit(struct igrad_submit *submit)
{
	int ret;
	u32 i, k;

	for (i = 0; i < submit->count; i++) {
		struct igrad_job *job = submit->jobs[i];

		for (k = 0; k < job->num_bos; k++) {
			struct igrad_job_bo *bo = &job->bos[k];
			struct drm_gem_object *obj = igrad_job_bo_obj(bo);
			bool write = bo->flags & DRM_IGRAD_BO_WRITE;

			if (!igrad_bo_is_shared(bo->mapping->bo))
				continue;
			ret = drm_sched_job_add_implicit_dependencies(&job->base, obj, write);
			if (ret)
				return ret;
		}
	}

	return 0;
}

static void igrad_job_publish_fence(struct igrad_job *job)
{
	struct dma_fence *fence = &job->base.s_fence->finished;
	u32 i;

	for (i = 0; i < job->num_bos; i++)
		dma_resv_add_fence(igrad_job_bo_obj(&job->bos[i])->resv, fence,
				   igrad_job_bo_usage(&job->bos[i]));

	for (i = 0; i < job->num_signals; i++) {
		struct igrad_job_signal *signal = &job->signals[i];

		if (signal->chain) {
			drm_syncobj_add_point(signal->syncobj, signal->chain, fence, signal->point);
			signal->chain = NULL;
		} else {
			drm_syncobj_replace_fence(signal->syncobj, fence);
		}
	}
}

/* A pushed job belongs to the scheduler, and may be gone already. */
static int igrad_submit_commit(struct igrad_submit *submit, u64 *seqno)
{
	struct igrad_queue *queue = submit->queue;
	int ret;
	u32 i;

	mutex_lock(&queue->lock);
	ret = igrad_queue_admit_jobs(queue, submit->jobs[0]->vm, submit->count);
	if (ret)
		goto out_unlock;

	*seqno = queue->submitted;
	for (i = 0; i < submit->count; i++) {
		struct igrad_job *job = submit->jobs[i];

		drm_sched_job_arm(&job->base);
		job->seqno = *seqno - submit->count + 1 + i;
		igrad_job_publish_fence(job);
		trace_igrad_submit(job);
		drm_sched_entity_push_job(&job->base);
	}
	submit->count = 0;

out_unlock:
	mutex_unlock(&queue->lock);

	return ret;
}

static int igrad_submit_run(struct igrad_submit *submit, u64 *seqno)
{
	struct igrad_device *idev = submit->queue->idev;
	struct drm_exec exec;
	int ret;

	/* Each accepted job keeps it awake from then on. */
	ret = igrad_pm_get(idev);
	if (ret)
		return ret;

	drm_exec_init(&exec, DRM_EXEC_INTERRUPTIBLE_WAIT | DRM_EXEC_IGNORE_DUPLICATES, 0);
	ret = igrad_submit_lock(submit, &exec) ?:
		igrad_submit_add_implicit(submit) ?:
		igrad_submit_commit(submit, seqno);
	drm_exec_fini(&exec);
	igrad_pm_put(idev);

	return ret;
}

/**
 * igrad_submit_ioctl() - DRM_IOCTL_IGRAD_SUBMIT
 * @drm: device
 * @data: struct drm_igrad_submit
 * @file: caller
 *
 * Return: 0 or a negative errno.
 */
int igrad_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_igrad_submit *args = data;
	struct igrad_submit submit = { };
	int idx, ret;

	if (args->flags || !args->jobs.count)
		return -EINVAL;
	ret = igrad_array_check(&args->jobs, IGRAD_MAX_JOBS);
	if (ret)
		return ret;

	submit.queue = igrad_queue_lookup(file, args->queue_id);
	if (!submit.queue)
		return -ENOENT;

	ret = igrad_submit_load(&submit, file, &args->jobs);
	if (!ret) {
		ret = -ENODEV;
		if (drm_dev_enter(drm, &idx)) {
			ret = igrad_submit_run(&submit, &args->seqno);
			drm_dev_exit(idx);
		}
	}

	/* None are left when they were accepted. */
	while (submit.count)
		igrad_job_destroy(submit.jobs[--submit.count]);
	kfree(submit.jobs);
	igrad_queue_put(submit.queue);

	return ret;
}
