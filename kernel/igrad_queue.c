// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues: jobs of a queue run in order, and when one fails, those behind it do not run.
 *
 * A queue lives until its last job has been freed. Its scheduler entity is empty by then, so that
 * ending it waits for nobody and leaves no job without the error that belongs to it.
 */

#include <drm/drm_drv.h>
#include <linux/capability.h>
#include <linux/dma-fence.h>
#include <linux/slab.h>

#include <drm/igrad_accel.h>

#include "igrad_device.h"
#include "igrad_file.h"
#include "igrad_pm.h"
#include "igrad_queue.h"
#include "igrad_vm.h"

static void igrad_queue_release_work(struct work_struct *work)
{
	struct igrad_queue *queue = container_of(work, struct igrad_queue, release);
	struct igrad_device *idev = queue->idev;

	mutex_lock(&idev->mapped_lock);
	list_del(&queue->node);
	mutex_unlock(&idev->mapped_lock);
	drm_sched_entity_destroy(&queue->entity);
	mutex_destroy(&queue->lock);
	kfree(queue);
	drm_dev_put(&idev->drm);
}

static void igrad_queue_release(struct kref *ref)
{
	struct igrad_queue *queue = container_of(ref, struct igrad_queue, ref);

	queue_work(igrad_release_wq, &queue->release);
}

/**
 * igrad_queue_get() - take a reference
 * @queue: queue
 *
 * Return: @queue.
 */
struct igrad_queue *igrad_queue_get(struct igrad_queue *queue)
{
	kref_get(&queue->ref);

	return queue;
}

/**
 * igrad_queue_put() - drop a reference; never waits
 * @queue: queue
 */
void igrad_queue_put(struct igrad_queue *queue)
{
	kref_put(&queue->ref, igrad_queue_release);
}

/**
 * igrad_queue_lookup() - a queue by its ID
 * @file: whose queue
 * @id: of the queue
 *
 * Return: the queue, with a reference for the caller, or NULL.
 */
struct igrad_queue *igrad_queue_lookup(struct drm_file *file, u32 id)
{
	struct igrad_file *priv = to_igrad_file(file);
	struct igrad_queue *queue;

	xa_lock(&priv->queues);
	queue = xa_load(&priv->queues, id);
	if (queue)
		igrad_queue_get(queue);
	xa_unlock(&priv->queues);

	return queue;
}

/**
 * igrad_queue_fail() - note the first failure; no further job of the queue will run
 * @queue: queue; the caller holds the ring's lock
 * @failure: what happened
 */
void igrad_queue_fail(struct igrad_queue *queue, const struct igrad_failure *failure)
{
	lockdep_assert_held(&queue->idev->ring.lock);

	if (!queue->failure.error)
		queue->failure = *failure;
}

/**
 * igrad_queue_admit_jobs() - may jobs be added? Then each is ended with igrad_queue_end_job()
 * @queue: queue; the caller holds its lock, and keeps the device awake
 * @vm: address space of the file
 * @count: of jobs
 *
 * Return: 0, -EIO when the queue or the device has failed, -ENODEV when the device is gone, -EBUSY
 * when the file has too many jobs that have not ended.
 */
int igrad_queue_admit_jobs(struct igrad_queue *queue, struct igrad_vm *vm, u32 count)
{
	struct igrad_ring *ring = &queue->idev->ring;
	int ret = 0;

	lockdep_assert_held(&queue->lock);

	spin_lock(&ring->lock);
	if (ring->state == IGRAD_RING_DEAD) {
		ret = ring->dead_error;
	} else if (queue->failure.error) {
		ret = -EIO;
	} else if (vm->pending + count > IGRAD_MAX_PENDING) {
		ret = -EBUSY;
	} else {
		queue->submitted += count;
		vm->pending += count;
		while (count--)
			igrad_pm_get_awake(queue->idev);
	}
	spin_unlock(&ring->lock);

	return ret;
}

/**
 * igrad_queue_end_job() - a job that was admitted has ended
 * @queue: of the job; the caller holds the ring's lock
 * @vm: of the job
 */
void igrad_queue_end_job(struct igrad_queue *queue, struct igrad_vm *vm)
{
	lockdep_assert_held(&queue->idev->ring.lock);

	queue->completed++;
	vm->pending--;
	igrad_pm_put(queue->idev);
}

static int igrad_queue_priority(u32 priority, enum drm_sched_priority *result)
{
	switch (priority) {
	case DRM_IGRAD_PRIORITY_LOW:
		*result = DRM_SCHED_PRIORITY_LOW;
		return 0;
	case DRM_IGRAD_PRIORITY_NORMAL:
		*result = DRM_SCHED_PRIORITY_NORMAL;
		return 0;
	case DRM_IGRAD_PRIORITY_HIGH:
		*result = DRM_SCHED_PRIORITY_HIGH;
		return capable(CAP_SYS_NICE) ? 0 : -EACCES;
	default:
		return -EINVAL;
	}
}

static struct igrad_queue *igrad_queue_create(struct igrad_device *idev,
					      enum drm_sched_priority priority)
{
	struct igrad_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	struct drm_gpu_scheduler *sched = &idev->sched;
	int ret;

	if (!queue)
		return ERR_PTR(-ENOMEM);

	ret = drm_sched_entity_init(&queue->entity, priority, &sched, 1, NULL);
	if (ret) {
		kfree(queue);
		return ERR_PTR(ret);
	}

	kref_init(&queue->ref);
	mutex_init(&queue->lock);
	INIT_WORK(&queue->release, igrad_queue_release_work);
	queue->fence_context = dma_fence_context_alloc(1);
	drm_dev_get(&idev->drm);
	queue->idev = idev;
	mutex_lock(&idev->mapped_lock);
	list_add_tail(&queue->node, &idev->queues);
	mutex_unlock(&idev->mapped_lock);

	return queue;
}

/**
 * igrad_queue_create_ioctl() - DRM_IOCTL_IGRAD_QUEUE_CREATE
 * @drm: device
 * @data: struct drm_igrad_queue_create
 * @file: caller
 *
 * Return: 0 or a negative errno.
 */
int igrad_queue_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct igrad_file *priv = to_igrad_file(file);
	struct drm_igrad_queue_create *args = data;
	enum drm_sched_priority priority;
	struct igrad_queue *queue;
	int ret;

	if (args->flags || args->pad)
		return -EINVAL;
	ret = igrad_queue_priority(args->priority, &priority);
	if (ret)
		return ret;

	queue = igrad_queue_create(to_igrad_device(drm), priority);
	if (IS_ERR(queue))
		return PTR_ERR(queue);

	ret = xa_alloc(&priv->queues, &args->queue_id, queue, XA_LIMIT(1, IGRAD_MAX_QUEUES),
		       GFP_KERNEL_ACCOUNT);
	if (ret)
		igrad_queue_put(queue);

	return ret == -EBUSY ? -ENOSPC : ret;
}

/**
 * igrad_queue_destroy_ioctl() - DRM_IOCTL_IGRAD_QUEUE_DESTROY
 * @drm: device
 * @data: struct drm_igrad_queue_destroy
 * @file: caller
 *
 * Return: 0 or a negative errno.
 */
int igrad_queue_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_igrad_queue_destroy *args = data;
	struct igrad_queue *queue;

	if (args->pad)
		return -EINVAL;

	queue = xa_erase(&to_igrad_file(file)->queues, args->queue_id);
	if (!queue)
		return -ENOENT;
	igrad_queue_put(queue);

	return 0;
}
