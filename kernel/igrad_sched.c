// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the DRM scheduler asks of us: run a job, look after jobs that take long, free a job.
 *
 * The scheduler is never stopped. Jobs that the device has are in the ring, which outlives resets
 * by itself; jobs that come meanwhile join them there.
 */

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <linux/dma-fence.h>

#include "igrad_batch.h"
#include "igrad_compat.h"
#include "igrad_device.h"
#include "igrad_irq.h"
#include "igrad_queue.h"
#include "igrad_reset.h"
#include "igrad_sched.h"

/*
 * Looks in the time that a job may take to retire a command. However long that is, a device that
 * does not answer any more is noticed soon.
 */
#define IGRAD_LOOKS_PER_TIMEOUT	4
#define IGRAD_MAX_LOOK_MS	1000

static struct igrad_device *igrad_sched_to_device(struct drm_gpu_scheduler *sched)
{
	return container_of(sched, struct igrad_device, sched);
}

static struct dma_fence *igrad_sched_run_job(struct drm_sched_job *sched_job)
{
	struct igrad_device *idev = igrad_sched_to_device(sched_job->sched);
	struct igrad_batch *batch = to_igrad_batch(sched_job);
	struct dma_fence *fence = batch->hw_fence;
	bool cookie = dma_fence_begin_signalling();
	int idx, ret = -ENODEV;

	if (drm_dev_enter(&idev->drm, &idx)) {
		ret = igrad_ring_push(idev, batch);
		drm_dev_exit(idx);
	} else {
		igrad_ring_refuse(idev, batch, ret);
	}
	dma_fence_end_signalling(cookie);

	return ret ? ERR_PTR(ret) : fence;
}

/*
 * Called several times in the life of a job that takes long. The scheduler names the oldest job
 * that it has not freed; whether one hangs, and which, only the ring knows.
 */
static enum drm_gpu_sched_stat igrad_sched_timedout_job(struct drm_sched_job *sched_job)
{
	struct igrad_device *idev = igrad_sched_to_device(sched_job->sched);
	/* Keeps the scheduler, too, when the job is freed behind our back. */
	struct igrad_queue *queue = igrad_queue_get(to_igrad_batch(sched_job)->queue);
	bool cookie = dma_fence_begin_signalling();
	enum drm_gpu_sched_stat stat;
	int idx;

	if (drm_dev_enter(&idev->drm, &idx)) {
		igrad_irq_sync(idev);
		/* An interrupt may have been lost, and the jobs be long done. */
		if (igrad_ring_process(idev, true))
			igrad_reset_run(idev, -EIO);
		else if (igrad_ring_is_stuck(idev))
			igrad_reset_run(idev, -ETIME);
		drm_dev_exit(idx);
	}
	dma_fence_end_signalling(cookie);

	stat = igrad_sched_give_back(sched_job);
	igrad_queue_put(queue);

	return stat;
}

static void igrad_sched_free_job(struct drm_sched_job *sched_job)
{
	igrad_batch_release(to_igrad_batch(sched_job));
}

static const struct drm_sched_backend_ops igrad_sched_ops = {
	.run_job = igrad_sched_run_job,
	.timedout_job = igrad_sched_timedout_job,
	.free_job = igrad_sched_free_job,
};

/* With the device: every queue holds a reference to it, so that no entity is left. */
static void igrad_sched_fini(struct drm_device *drm, void *data)
{
	struct igrad_device *idev = to_igrad_device(drm);

	drm_sched_fini(&idev->sched);
	destroy_workqueue(idev->recovery_wq);
}

/**
 * igrad_sched_init() - make a scheduler that lasts as long as the device
 * @idev: device
 *
 * Return: 0 or -ENOMEM.
 */
int igrad_sched_init(struct igrad_device *idev)
{
	unsigned int patience = min(idev->job_timeout_ms, idev->job_limit_ms);
	unsigned int look = min(patience / IGRAD_LOOKS_PER_TIMEOUT, IGRAD_MAX_LOOK_MS);
	int ret;

	idev->recovery_wq = alloc_ordered_workqueue("igrad-recovery", WQ_MEM_RECLAIM);
	if (!idev->recovery_wq)
		return -ENOMEM;

	ret = igrad_drm_sched_init(&idev->sched, &igrad_sched_ops, IGRAD_CREDITS,
				   max(msecs_to_jiffies(look), 1UL), idev->recovery_wq,
				   idev->drm.dev);
	if (ret) {
		destroy_workqueue(idev->recovery_wq);
		return ret;
	}

	return drmm_add_action_or_reset(&idev->drm, igrad_sched_fini, NULL);
}
