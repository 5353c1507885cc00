/* SPDX-License-Identifier: MIT */
/* Queues and fences. */
#include <errno.h>
#include <stdlib.h>

#include "cmdbuf.h"
#include "reports.h"

int igrad_queue_new(struct igrad_device *device, struct igrad_queue **queue)
{
	int ret;

	*queue = NULL;
	ret = device->backend->queue_new(device, queue);
	if (ret)
		return ret;
	atomic_init(&(*queue)->refs, 1);
	(*queue)->device = igrad_device_ref(device);
	pthread_mutex_init(&(*queue)->lock, NULL);
	return 0;
}

struct igrad_queue *igrad_queue_ref(struct igrad_queue *queue)
{
	igrad_get(&queue->refs);
	return queue;
}

void igrad_queue_unref(struct igrad_queue *queue)
{
	struct igrad_device *device;

	if (!queue || !igrad_put(&queue->refs))
		return;
	device = queue->device;
	igrad_reports_free(queue);
	pthread_mutex_destroy(&queue->lock);
	device->backend->queue_free(queue);
	igrad_device_unref(device);
}

int igrad_queue_error(struct igrad_queue *queue, struct igrad_queue_error *error)
{
	uint64_t completed;

	return queue->device->backend->queue_error(queue, error, &completed);
}

/* Gives the job a place for its report and runs it. */
static int submit_job(struct igrad_queue *queue, struct igrad_cmdbuf *cmdbuf,
		      struct igrad_fence **fence)
{
	struct igrad_report_slot *slot;
	struct igrad_job job;
	int ret;

	ret = igrad_report_take(queue, &slot);
	if (ret)
		return ret;
	ret = igrad_cmdbuf_job(cmdbuf, slot->buffer, &job);
	if (!ret) {
		job.report = slot->buffer->va + slot->offset;
		ret = queue->device->backend->submit(queue, &job, fence);
	}
	if (ret) {
		igrad_report_give_back(queue, slot, 0);
		return ret;
	}
	(*fence)->slot = slot;
	return 0;
}

int igrad_queue_submit(struct igrad_queue *queue, struct igrad_cmdbuf *cmdbuf,
		       struct igrad_fence **fence)
{
	struct igrad_fence *submitted;
	int ret;

	if (fence)
		*fence = NULL;
	ret = igrad_cmdbuf_prepare(cmdbuf, queue);
	if (ret)
		return ret;
	ret = submit_job(queue, cmdbuf, &submitted);
	if (ret)
		return ret;
	if (fence)
		*fence = igrad_fence_ref(submitted);
	igrad_cmdbuf_in_flight(cmdbuf, submitted);
	return 0;
}

int igrad_queue_run(struct igrad_queue *queue, struct igrad_cmdbuf *cmdbuf,
		    struct igrad_report *report)
{
	struct igrad_fence *fence;
	int ret, err;

	ret = igrad_queue_submit(queue, cmdbuf, &fence);
	if (ret)
		return ret;
	ret = igrad_fence_wait(fence, -1);
	if (report) {
		err = igrad_fence_report(fence, report);
		if (!ret)
			ret = err;
	}
	igrad_fence_unref(fence);
	return ret;
}

struct igrad_fence *igrad_fence_ref(struct igrad_fence *fence)
{
	igrad_get(&fence->refs);
	return fence;
}

void igrad_fence_unref(struct igrad_fence *fence)
{
	struct igrad_queue *queue;

	if (!fence || !igrad_put(&fence->refs))
		return;
	queue = fence->queue;
	if (fence->slot)
		igrad_report_give_back(queue, fence->slot,
				       igrad_fence_ended(fence) ? 0 : fence->seqno);
	queue->device->backend->fence_free(fence);
	igrad_queue_unref(queue);
}

int igrad_fence_wait(struct igrad_fence *fence, int64_t timeout_ns)
{
	return fence->queue->device->backend->fence_wait(fence, timeout_ns);
}

bool igrad_fence_ended(struct igrad_fence *fence)
{
	return igrad_fence_wait(fence, 0) != -ETIMEDOUT;
}

int igrad_fence_report(struct igrad_fence *fence, struct igrad_report *report)
{
	if (!igrad_fence_ended(fence))
		return -EBUSY;
	igrad_report_read(fence->slot, report);
	return 0;
}
