// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches: what a scheduler does for a job, it does for several at once. They enter the ring
 * together and have one fence, and only the last one's end is worth an interrupt.
 */

#include <linux/dma-fence.h>
#include <linux/slab.h>

#include "igrad_batch.h"
#include "igrad_compat.h"
#include "igrad_device.h"
#include "igrad_file.h"
#include "igrad_job.h"
#include "igrad_queue.h"

/* A job alone takes as much of the ring as if the device fetched nothing but single jobs. */
#define IGRAD_JOB_CREDITS	(IGRAD_CREDITS / IGRAD_RING_JOBS)

/**
 * struct igrad_fence - says when the device has done a batch
 * @base: fence
 */
struct igrad_fence {
	struct dma_fence base;
	/** @lock: its own, for it may outlive the device */
	spinlock_t lock;
};

static const char *igrad_fence_driver_name(struct dma_fence *fence)
{
	return "igrad";
}

static const char *igrad_fence_timeline_name(struct dma_fence *fence)
{
	return "queue";
}

static const struct dma_fence_ops igrad_fence_ops = {
	.get_driver_name = igrad_fence_driver_name,
	.get_timeline_name = igrad_fence_timeline_name,
};

static struct dma_fence *igrad_fence_alloc(void)
{
	struct igrad_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL_ACCOUNT);

	return fence ? &fence->base : NULL;
}

/**
 * igrad_batch_init_fence() - from now on the batch has a fence that must signal
 * @batch: batch that the device gets
 */
void igrad_batch_init_fence(struct igrad_batch *batch)
{
	struct igrad_fence *fence = container_of(batch->hw_fence, struct igrad_fence, base);

	spin_lock_init(&fence->lock);
	dma_fence_init(&fence->base, &igrad_fence_ops, &fence->lock, batch->queue->fence_context,
		       igrad_batch_last(batch)->seqno);
}

static void igrad_batch_release_work(struct work_struct *work)
{
	igrad_batch_destroy(container_of(work, struct igrad_batch, release));
}

/**
 * igrad_batch_create() - make an empty batch
 * @file: caller
 * @queue: that it is for
 *
 * Return: the batch, or an ERR_PTR().
 */
struct igrad_batch *igrad_batch_create(struct drm_file *file, struct igrad_queue *queue)
{
	struct igrad_batch *batch;
	int ret;

	batch = kzalloc(sizeof(*batch), GFP_KERNEL_ACCOUNT);
	if (!batch)
		return ERR_PTR(-ENOMEM);

	batch->hw_fence = igrad_fence_alloc();
	ret = batch->hw_fence ? igrad_sched_job_init(&batch->base, &queue->entity, file) : -ENOMEM;
	if (ret) {
		kfree(batch->hw_fence);
		kfree(batch);
		return ERR_PTR(ret);
	}

	batch->queue = igrad_queue_get(queue);
	batch->vm = igrad_vm_get(to_igrad_file(file)->vm);
	INIT_LIST_HEAD(&batch->jobs);
	INIT_WORK(&batch->release, igrad_batch_release_work);

	return batch;
}

/**
 * igrad_batch_add() - put a job at the end of a batch, which owns it from then on
 * @batch: batch that was not armed yet
 * @job: job
 */
void igrad_batch_add(struct igrad_batch *batch, struct igrad_job *job)
{
	job->batch = batch;
	job->queue = batch->queue;
	job->vm = batch->vm;
	list_add_tail(&job->node, &batch->jobs);
	batch->count++;
	/* The scheduler looks at it when the batch has been armed. */
	batch->base.credits = min(batch->count * IGRAD_JOB_CREDITS, IGRAD_BATCH_CREDITS);
}

/**
 * igrad_batch_first() - the job that begins first
 * @batch: batch that has one
 *
 * Return: the job.
 */
struct igrad_job *igrad_batch_first(struct igrad_batch *batch)
{
	return list_first_entry(&batch->jobs, struct igrad_job, node);
}

/**
 * igrad_batch_last() - the job whose end is the batch's
 * @batch: batch that has one
 *
 * Return: the job.
 */
struct igrad_job *igrad_batch_last(struct igrad_batch *batch)
{
	return list_last_entry(&batch->jobs, struct igrad_job, node);
}

/**
 * igrad_batch_destroy() - free a batch that was never pushed, or one that has ended
 * @batch: batch; may wait for memory management
 */
void igrad_batch_destroy(struct igrad_batch *batch)
{
	struct igrad_job *job, *next;

	list_for_each_entry_safe(job, next, &batch->jobs, node)
		igrad_job_destroy(job);

	drm_sched_job_cleanup(&batch->base);
	/* Still here if the device never got the jobs: then it was never initialised. */
	kfree(batch->hw_fence);
	igrad_vm_put(batch->vm);
	igrad_queue_put(batch->queue);
	kfree(batch);
}

/**
 * igrad_batch_release() - free a batch that has ended, soon; never waits
 * @batch: batch
 */
void igrad_batch_release(struct igrad_batch *batch)
{
	queue_work(igrad_release_wq, &batch->release);
}
