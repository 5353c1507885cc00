// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring: jobs that the device has. They enter from the scheduler, one at a time, and leave in
 * order when their completion has been written, when the device is reset, or when it is gone.
 *
 * Fences are signalled under the ring's lock, for those of a queue have to signal in order.
 */

#include <drm/drm_print.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>

#include "igrad_batch.h"
#include "igrad_dump.h"
#include "igrad_hw.h"
#include "igrad_job.h"
#include "igrad_queue.h"
#include "igrad_trace.h"

/* Our ring is in the device if one of these is set; it is not when somebody else has reset it. */
#define IGRAD_DEV_ENABLED	(IGRAD_DEV_READY | IGRAD_DEV_STOPPED | IGRAD_DEV_FATAL)

/* A device that was reset so often, with nothing done and no job to blame, is broken. */
#define IGRAD_RING_MAX_RESETS	3

/**
 * igrad_ring_init() - allocate a ring that takes jobs; igrad_ring_start() shows it to the device
 * @idev: device
 *
 * Return: 0 or -ENOMEM.
 */
int igrad_ring_init(struct igrad_device *idev)
{
	struct igrad_ring *ring = &idev->ring;
	struct device *dev = idev->drm.dev;

	BUILD_BUG_ON(IGRAD_RING_ENTRIES < IGRAD_RING_JOBS);
	BUILD_BUG_ON(IGRAD_CREDITS / IGRAD_BATCH_CREDITS * IGRAD_BATCH_JOBS > IGRAD_RING_ENTRIES);
	BUILD_BUG_ON(sizeof(struct igrad_desc) != 64);
	BUILD_BUG_ON(sizeof(struct igrad_completion) != 32);

	spin_lock_init(&ring->lock);
	INIT_LIST_HEAD(&ring->jobs);
	ring->state = IGRAD_RING_PAUSED;

	ring->desc = dmam_alloc_coherent(dev, IGRAD_RING_ENTRIES * sizeof(*ring->desc),
					 &ring->desc_dma, GFP_KERNEL);
	ring->cq = dmam_alloc_coherent(dev, IGRAD_RING_ENTRIES * sizeof(*ring->cq),
				       &ring->cq_dma, GFP_KERNEL);

	return ring->desc && ring->cq ? 0 : -ENOMEM;
}

static void igrad_ring_saw_progress(struct igrad_ring *ring)
{
	ring->progress = jiffies;
	ring->since = ktime_get();
}

static bool igrad_ring_ends_batch(const struct igrad_job *job)
{
	return igrad_batch_last(job->batch) == job;
}

static void igrad_ring_write_desc(struct igrad_ring *ring, const struct igrad_job *job)
{
	struct igrad_device *idev = container_of(ring, struct igrad_device, ring);
	struct igrad_desc *desc = &ring->desc[igrad_ring_slot(job->ring_index)];
	bool quiet = idev->features & IGRAD_FEATURE_QUIET && !igrad_ring_ends_batch(job);

	*desc = (struct igrad_desc) {
		.pt_root = cpu_to_le64(igrad_mmu_root(&job->vm->mmu)),
		.cmds = cpu_to_le64(job->cmds),
		.num_cmds = cpu_to_le32(job->num_cmds),
		.flags = cpu_to_le32(quiet ? IGRAD_DESC_QUIET : 0),
		.seqno = cpu_to_le64(job->seqno),
		.report = cpu_to_le64(job->report),
	};
}

static void igrad_ring_append(struct igrad_ring *ring, struct igrad_job *job)
{
	job->ring_index = ring->tail++;
	igrad_ring_write_desc(ring, job);
}

static void igrad_ring_fail_job(struct igrad_job *job, const struct igrad_failure *failure)
{
	trace_igrad_fault(job, failure);
	igrad_queue_fail(job->queue, failure);
}

/* For want of a completion that says more. */
static void igrad_ring_blame_job(struct igrad_job *job, int error)
{
	igrad_ring_fail_job(job, &(struct igrad_failure) {
		.error = error,
		.seqno = job->seqno,
	});
}

/*
 * The job has ended. Its file and its queue learn that before anybody who waits for the fence; once
 * that has signalled, the batch can be freed and is not looked at again. Jobs of a batch end in
 * order.
 */
static void igrad_ring_end_job(struct igrad_job *job, int error)
{
	struct igrad_batch *batch = job->batch;
	struct dma_fence *fence = batch->hw_fence;

	list_del_init(&job->ring_node);
	trace_igrad_done(job, error);
	igrad_queue_end_job(job->queue, job->vm);
	if (!igrad_ring_ends_batch(job))
		return;

	batch->hw_fence = NULL;
	if (error)
		dma_fence_set_error(fence, error);
	dma_fence_signal(fence);
	dma_fence_put(fence);
}

/* Jobs that the ring has not taken. */
static void igrad_ring_end_batch(struct igrad_batch *batch)
{
	u32 i;

	for (i = 0; i < batch->count; i++)
		igrad_queue_end_job(batch->queue, batch->vm);
}

static void igrad_ring_append_batch(struct igrad_ring *ring, struct igrad_batch *batch)
{
	struct igrad_job *job;

	list_for_each_entry(job, &batch->jobs, node) {
		list_add_tail(&job->ring_node, &ring->jobs);
		igrad_ring_append(ring, job);
		trace_igrad_run(job);
	}
}

/**
 * igrad_ring_push() - hand jobs to the device
 * @idev: device, between drm_dev_enter() and drm_dev_exit()
 * @batch: jobs whose turn it is; on success the ring has taken a reference to their fence
 *
 * Allocates nothing and waits for nothing: fences depend on it.
 *
 * Return: 0, -ECANCELED when the job's queue has failed or its file was closed, or why the device
 * is dead.
 */
int igrad_ring_push(struct igrad_device *idev, struct igrad_batch *batch)
{
	struct igrad_ring *ring = &idev->ring;
	int ret = 0;

	spin_lock(&ring->lock);

	if (ring->state == IGRAD_RING_DEAD) {
		ret = ring->dead_error;
		igrad_ring_blame_job(igrad_batch_first(batch), ret);
	} else if (batch->queue->failure.error || batch->vm->closed) {
		ret = -ECANCELED;
	}

	if (ret) {
		igrad_ring_end_batch(batch);
		goto out_unlock;
	}

	igrad_batch_init_fence(batch);
	dma_fence_get(batch->hw_fence);

	if (list_empty(&ring->jobs))
		igrad_ring_saw_progress(ring);
	igrad_ring_append_batch(ring, batch);
	if (ring->state == IGRAD_RING_RUNNING)
		igrad_write(idev, IGRAD_REG_RING_TAIL, ring->tail);

out_unlock:
	spin_unlock(&ring->lock);

	return ret;
}

/**
 * igrad_ring_refuse() - end jobs that come when the device is gone already
 * @idev: device
 * @batch: jobs whose turn it is
 * @error: why
 */
void igrad_ring_refuse(struct igrad_device *idev, struct igrad_batch *batch, int error)
{
	struct igrad_ring *ring = &idev->ring;

	spin_lock(&ring->lock);
	igrad_ring_blame_job(igrad_batch_first(batch), error);
	igrad_ring_end_batch(batch);
	spin_unlock(&ring->lock);
}

static int igrad_ring_status_to_errno(u16 status)
{
	switch (status) {
	case IGRAD_STATUS_OK:
		return 0;
	case IGRAD_STATUS_MALFORMED:
		return -EINVAL;
	case IGRAD_STATUS_FAULT:
		return -EFAULT;
	case IGRAD_STATUS_SKIPPED:
		return -ECANCELED;
	default:
		return -EIO;
	}
}

/* The device has stopped behind a failed job of @queue: what follows of that queue must not run. */
static void igrad_ring_skip_queue(struct igrad_ring *ring, const struct igrad_queue *queue)
{
	struct igrad_job *job;

	list_for_each_entry(job, &ring->jobs, ring_node)
		if (job->queue == queue)
			ring->desc[igrad_ring_slot(job->ring_index)].flags |=
				cpu_to_le32(IGRAD_DESC_SKIP);
}

static void igrad_ring_complete(struct igrad_ring *ring, struct igrad_job *job)
{
	struct igrad_device *idev = container_of(ring, struct igrad_device, ring);
	struct igrad_completion cq = ring->cq[igrad_ring_slot(job->ring_index)];
	u16 status = le16_to_cpu(cq.status);
	ktime_t now = ktime_get();
	int error = igrad_ring_status_to_errno(status);

	atomic64_add(ktime_to_ns(ktime_sub(now, ring->since)), &job->vm->busy_ns);
	ring->since = now;
	ring->progress = jiffies;
	ring->resets = 0;

	if (status != IGRAD_STATUS_OK && status != IGRAD_STATUS_SKIPPED) {
		struct igrad_failure failure = {
			.error = error,
			.seqno = job->seqno,
			.addr = le64_to_cpu(cq.addr),
			.command = le32_to_cpu(cq.command),
			.reason = le16_to_cpu(cq.reason),
		};

		igrad_ring_fail_job(job, &failure);
		if (ring->state == IGRAD_RING_RUNNING)
			igrad_dump_registers(idev);
		igrad_dump_job(idev, job, &failure);
		igrad_ring_skip_queue(ring, job->queue);
		ring->resume = true;
	}
	igrad_ring_end_job(job, error);
}

/* Take the jobs whose completion has been written. */
static void igrad_ring_collect(struct igrad_ring *ring)
{
	struct igrad_job *job, *next;

	list_for_each_entry_safe(job, next, &ring->jobs, ring_node) {
		struct igrad_completion *cq = &ring->cq[igrad_ring_slot(job->ring_index)];

		if (le32_to_cpu(READ_ONCE(cq->stamp)) != job->ring_index + 1)
			break;
		/* The stamp was written last. */
		dma_rmb();
		igrad_ring_complete(ring, job);
	}
}

/**
 * igrad_ring_process() - end the jobs that the device has completed, and let it go on if it stopped
 * @idev: device, between drm_dev_enter() and drm_dev_exit()
 * @ask: also ask the device how it is
 *
 * Return: whether the device is known to have failed, and must be reset.
 */
bool igrad_ring_process(struct igrad_device *idev, bool ask)
{
	struct igrad_ring *ring = &idev->ring;
	bool failed = false;
	u32 status;

	spin_lock(&ring->lock);
	if (ring->state == IGRAD_RING_RUNNING) {
		igrad_ring_collect(ring);
		if (!ask && !ring->resume)
			goto out_unlock;

		status = igrad_read(idev, IGRAD_REG_STATUS);
		failed = status & IGRAD_DEV_FATAL || !(status & IGRAD_DEV_ENABLED);
		/*
		 * The completion of a failed job may be seen before the device has stopped. It
		 * would ignore RESUME then; its event interrupt brings us here again.
		 */
		if (!failed && ring->resume && status & IGRAD_DEV_STOPPED) {
			ring->resume = false;
			igrad_hw_resume(idev);
		}
	}

out_unlock:
	spin_unlock(&ring->lock);

	return failed;
}

/**
 * igrad_ring_is_stuck() - look, now and then, whether the device makes progress
 * @idev: device, between drm_dev_enter() and drm_dev_exit()
 *
 * Return: whether nothing has happened for too long, or one job has executed for too long.
 */
bool igrad_ring_is_stuck(struct igrad_device *idev)
{
	struct igrad_ring *ring = &idev->ring;
	unsigned long patience = msecs_to_jiffies(idev->job_timeout_ms);
	bool stuck = false;
	u32 started;
	u64 retired;

	spin_lock(&ring->lock);
	if (ring->state != IGRAD_RING_RUNNING || list_empty(&ring->jobs))
		goto out_unlock;

	started = igrad_read(idev, IGRAD_REG_RING_STARTED);
	retired = igrad_hw_retired(idev);
	if (started != ring->started || retired != ring->retired) {
		ring->started = started;
		ring->retired = retired;
		ring->progress = jiffies;
	}

	stuck = time_after_eq(jiffies, ring->progress + patience) ||
		ktime_ms_delta(ktime_get(), ring->since) >= idev->job_limit_ms;

out_unlock:
	spin_unlock(&ring->lock);

	return stuck;
}

/**
 * igrad_ring_pause() - leave the device alone until igrad_ring_start()
 * @idev: device, between drm_dev_enter() and drm_dev_exit()
 */
void igrad_ring_pause(struct igrad_device *idev)
{
	struct igrad_ring *ring = &idev->ring;

	spin_lock(&ring->lock);
	if (ring->state == IGRAD_RING_RUNNING) {
		igrad_dump_registers(idev);
		ring->state = IGRAD_RING_PAUSED;
	}
	spin_unlock(&ring->lock);
}

/*
 * End the oldest job if the device had begun it without completing it: it may have written to
 * memory, and must never run again.
 */
static bool igrad_ring_blame(struct igrad_ring *ring, const u32 *started, int error)
{
	struct igrad_job *job = list_first_entry_or_null(&ring->jobs, struct igrad_job, ring_node);
	struct igrad_failure failure;

	if (!job || !error || (started && !igrad_ring_has_begun(*started, job->ring_index)))
		return false;

	failure = (struct igrad_failure) { .error = error, .seqno = job->seqno };
	igrad_ring_fail_job(job, &failure);
	igrad_dump_job(container_of(ring, struct igrad_device, ring), job, &failure);
	igrad_ring_end_job(job, error);

	return true;
}

/* End the jobs that wait behind a failed one of their queue. */
static void igrad_ring_cancel(struct igrad_ring *ring)
{
	struct igrad_job *job, *next;

	list_for_each_entry_safe(job, next, &ring->jobs, ring_node)
		if (job->queue->failure.error)
			igrad_ring_end_job(job, -ECANCELED);
}

/* Stamps of the past would be taken for completions: indices start at 0 again. */
static void igrad_ring_rewrite(struct igrad_ring *ring)
{
	struct igrad_job *job;

	memset(ring->cq, 0, IGRAD_RING_ENTRIES * sizeof(*ring->cq));
	ring->tail = 0;
	ring->started = 0;
	ring->retired = 0;
	ring->resume = false;
	list_for_each_entry(job, &ring->jobs, ring_node)
		igrad_ring_append(ring, job);
}

/**
 * igrad_ring_settle() - account for what the device had begun
 * @idev: device that was paused, and has been reset or is idle
 * @started: number of entries begun before that; NULL if the device has forgotten
 * @blame: errno of a job that was begun and has not completed; 0 if there can be none
 *
 * What stays in the ring was never begun.
 *
 * Return: whether there was a job to blame.
 */
bool igrad_ring_settle(struct igrad_device *idev, const u32 *started, int blame)
{
	struct igrad_ring *ring = &idev->ring;
	bool blamed = false;

	spin_lock(&ring->lock);
	if (ring->state == IGRAD_RING_PAUSED) {
		igrad_ring_collect(ring);
		blamed = igrad_ring_blame(ring, started, blame);
		/* If only its completion was lost, others behind it have ended, or begun. */
		igrad_ring_collect(ring);
		while (blamed && started && igrad_ring_blame(ring, started, blame))
			igrad_ring_collect(ring);
		igrad_ring_cancel(ring);
	}
	spin_unlock(&ring->lock);

	return blamed;
}

/**
 * igrad_ring_start() - give a device that was just reset the jobs that it has not begun
 * @idev: device, between drm_dev_enter() and drm_dev_exit()
 */
void igrad_ring_start(struct igrad_device *idev)
{
	struct igrad_ring *ring = &idev->ring;

	spin_lock(&ring->lock);
	if (ring->state == IGRAD_RING_PAUSED) {
		igrad_ring_rewrite(ring);
		igrad_hw_enable(idev);
		if (ring->tail)
			igrad_write(idev, IGRAD_REG_RING_TAIL, ring->tail);
		igrad_ring_saw_progress(ring);
		ring->state = IGRAD_RING_RUNNING;
	}
	spin_unlock(&ring->lock);
}

/**
 * igrad_ring_restart() - igrad_ring_settle(), then igrad_ring_start()
 * @idev: device that was just reset, between drm_dev_enter() and drm_dev_exit()
 * @started: number of entries begun before the reset; NULL if the device has forgotten
 * @blame: errno of a job that was begun and has not completed; 0 if there can be none
 *
 * Return: 0, or -EIO when the device keeps failing without there being a job to blame.
 */
int igrad_ring_restart(struct igrad_device *idev, const u32 *started, int blame)
{
	bool blamed = igrad_ring_settle(idev, started, blame);
	struct igrad_ring *ring = &idev->ring;
	bool broken;

	spin_lock(&ring->lock);
	broken = !blamed && ++ring->resets > IGRAD_RING_MAX_RESETS;
	spin_unlock(&ring->lock);
	if (broken)
		return -EIO;
	igrad_ring_start(idev);

	return 0;
}

/**
 * igrad_ring_close() - refuse further jobs
 * @idev: device, of which more may still be in the ring
 * @error: why
 */
void igrad_ring_close(struct igrad_device *idev, int error)
{
	struct igrad_ring *ring = &idev->ring;

	spin_lock(&ring->lock);
	if (ring->state != IGRAD_RING_DEAD) {
		ring->state = IGRAD_RING_DEAD;
		ring->dead_error = error;
	}
	spin_unlock(&ring->lock);
}

/**
 * igrad_ring_kill() - end all jobs, and refuse further ones
 * @idev: device that does no DMA any more
 * @error: why
 */
void igrad_ring_kill(struct igrad_device *idev, int error)
{
	struct igrad_ring *ring = &idev->ring;
	struct igrad_job *job, *next;

	spin_lock(&ring->lock);
	ring->state = IGRAD_RING_DEAD;
	ring->dead_error = error;
	ring->quiet = true;
	list_for_each_entry_safe(job, next, &ring->jobs, ring_node) {
		igrad_ring_blame_job(job, error);
		igrad_ring_end_job(job, error);
	}
	spin_unlock(&ring->lock);
}

/**
 * igrad_ring_error() - is the device beyond recovery?
 * @idev: device
 *
 * Return: errno of all further jobs, 0 while there is hope.
 */
int igrad_ring_error(struct igrad_device *idev)
{
	struct igrad_ring *ring = &idev->ring;
	int error;

	spin_lock(&ring->lock);
	error = ring->state == IGRAD_RING_DEAD ? ring->dead_error : 0;
	spin_unlock(&ring->lock);

	return error;
}

/**
 * igrad_ring_is_quiet() - is it certain that the device does no DMA any more?
 * @idev: device
 *
 * Return: whether it is.
 */
bool igrad_ring_is_quiet(struct igrad_device *idev)
{
	struct igrad_ring *ring = &idev->ring;
	bool quiet;

	spin_lock(&ring->lock);
	quiet = ring->quiet;
	spin_unlock(&ring->lock);

	return quiet;
}
