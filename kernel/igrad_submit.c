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
#include "igrad_batch.h"
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

/* Room for buffers that are locked; if there are more, it grows. */
#define IGRAD_SUBMIT_BOS	512

/**
 * struct igrad_submit - a submission being made
 * @queue: that it is for
 * @count: number of jobs
 * @num_bos: number of buffers that they list, some of them several times
 * @num_batches: number of batches made so far
 * @batches: made so far
 */
struct igrad_submit {
	struct igrad_queue *queue;
	u32 count;
	u32 num_bos;
	u32 num_batches;
	struct igrad_batch **batches;
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

static bool igrad_job_shares(const struct igrad_job *job)
{
	u32 i;

	for (i = 0; i < job->num_bos; i++)
		if (igrad_bo_is_shared(job->bos[i].mapping->bo))
			return true;

	return false;
}

/*
 * The batch for the next job: that of the job before if nobody can tell, for the next one waits for
 * nobody, and nobody waits for the one before alone.
 */
static struct igrad_batch *igrad_submit_batch(struct igrad_submit *submit, struct drm_file *file,
					      bool joins)
{
	struct igrad_batch *batch;

	if (submit->num_batches) {
		batch = submit->batches[submit->num_batches - 1];
		if (joins && !batch->complete && batch->count < IGRAD_BATCH_JOBS)
			return batch;
	}
	batch = igrad_batch_create(file, submit->queue);
	if (!IS_ERR(batch))
		submit->batches[submit->num_batches++] = batch;

	return batch;
}

static int igrad_submit_load_job(struct igrad_submit *submit, struct drm_file *file,
				 const struct drm_igrad_job *args)
{
	struct igrad_batch *batch;
	struct igrad_job *job;
	bool shares;

	job = igrad_job_create(file, args);
	if (IS_ERR(job))
		return PTR_ERR(job);

	submit->num_bos += job->num_bos;
	shares = igrad_job_shares(job);
	batch = igrad_submit_batch(submit, file, !shares && !args->waits.count);
	if (IS_ERR(batch)) {
		igrad_job_destroy(job);
		return PTR_ERR(batch);
	}
	igrad_batch_add(batch, job);
	batch->complete = shares || job->num_signals;

	return igrad_job_load_waits(batch, file, &args->waits);
}

static int igrad_submit_load(struct igrad_submit *submit, struct drm_file *file,
			     const struct drm_igrad_array *array)
{
	struct drm_igrad_job args;
	int ret = 0;
	u32 i;

	/* As many as there are jobs, at most. */
	submit->batches = kcalloc(array->count, sizeof(*submit->batches), GFP_KERNEL_ACCOUNT);
	if (!submit->batches)
		return -ENOMEM;

	submit->count = array->count;
	for (i = 0; i < array->count && !ret; i++)
		ret = igrad_array_get(array, i, &args, sizeof(args)) ?:
			igrad_submit_load_job(submit, file, &args);

	return ret;
}

static int igrad_batch_prepare(struct igrad_batch *batch, struct drm_exec *exec)
{
	struct igrad_job *job;
	int ret;
	u32 i;

	list_for_each_entry(job, &batch->jobs, node) {
		for (i = 0; i < job->num_bos; i++) {
			ret = drm_exec_prepare_obj(exec, igrad_job_bo_obj(&job->bos[i]),
						   IGRAD_FENCES_PER_BO);
			if (ret)
				return ret;
		}
	}

	return 0;
}

static int igrad_submit_prepare(struct igrad_submit *submit, struct drm_exec *exec)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < submit->num_batches && !ret; i++)
		ret = igrad_batch_prepare(submit->batches[i], exec);

	return ret;
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
static int igrad_job_add_implicit(struct igrad_job *job)
{
	int ret;
	u32 i;

	for (i = 0; i < job->num_bos; i++) {
		struct igrad_job_bo *bo = &job->bos[i];
		bool write = bo->flags & DRM_IGRAD_BO_WRITE;

		if (!igrad_bo_is_shared(bo->mapping->bo))
			continue;
		ret = drm_sched_job_add_implicit_dependencies(&job->batch->base,
							      igrad_job_bo_obj(bo), write);
		if (ret)
			return ret;
	}

	return 0;
}

static int igrad_submit_add_implicit(struct igrad_submit *submit)
{
	struct igrad_job *job;
	int ret;
	u32 i;

	for (i = 0; i < submit->num_batches; i++) {
		list_for_each_entry(job, &submit->batches[i]->jobs, node) {
			ret = igrad_job_add_implicit(job);
			if (ret)
				return ret;
		}
	}

	return 0;
}

static void igrad_job_publish_fence(struct igrad_job *job)
{
	struct dma_fence *fence = &job->batch->base.s_fence->finished;
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

/* A pushed batch belongs to the scheduler, and may be gone already. */
static void igrad_batch_commit(struct igrad_batch *batch, u64 *seqno)
{
	struct igrad_job *job;

	drm_sched_job_arm(&batch->base);
	list_for_each_entry(job, &batch->jobs, node) {
		job->seqno = ++*seqno;
		igrad_job_publish_fence(job);
		trace_igrad_submit(job);
	}
	drm_sched_entity_push_job(&batch->base);
}

static int igrad_submit_commit(struct igrad_submit *submit, u64 *seqno)
{
	struct igrad_queue *queue = submit->queue;
	int ret;
	u32 i;

	mutex_lock(&queue->lock);
	ret = igrad_queue_admit_jobs(queue, submit->batches[0]->vm, submit->count);
	if (ret)
		goto out_unlock;

	*seqno = queue->submitted - submit->count;
	for (i = 0; i < submit->num_batches; i++)
		igrad_batch_commit(submit->batches[i], seqno);
	submit->num_batches = 0;

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

	/* Room for a page of buffers, if it is not told how many, and most submissions list few. */
	drm_exec_init(&exec, DRM_EXEC_INTERRUPTIBLE_WAIT | DRM_EXEC_IGNORE_DUPLICATES,
		      clamp(submit->num_bos, 1, IGRAD_SUBMIT_BOS));
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
	while (submit.num_batches)
		igrad_batch_destroy(submit.batches[--submit.num_batches]);
	kfree(submit.batches);
	igrad_queue_put(submit.queue);

	return ret;
}
