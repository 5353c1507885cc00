// SPDX-License-Identifier: GPL-2.0-only
/*
 * Questions that user space may ask.
 */

#include <drm/drm_file.h>
#include <linux/uaccess.h>

#include <drm/igrad_accel.h>

#include "igrad_device.h"
#include "igrad_queue.h"
#include "igrad_vm.h"

static int igrad_query_reply(struct drm_igrad_dev_query *args, const void *info, u32 size)
{
	if (copy_to_user(u64_to_user_ptr(args->pointer), info, min(args->size, size)))
		return -EFAULT;
	args->size = size;

	return 0;
}

static int igrad_query_device(struct igrad_device *idev, struct drm_igrad_dev_query *args)
{
	struct drm_igrad_device_info info = {
		.hw_version = idev->hw_version,
		.features = idev->features,
		.rows = idev->rows,
		.cols = idev->cols,
		.sram_bytes = idev->sram_bytes,
		.dram_bytes_per_cycle = idev->dram_width,
		.dram_latency = idev->dram_latency,
		.max_bos = IGRAD_MAX_BOS,
		.clock_hz = idev->clock_hz,
		.va_start = IGRAD_VM_START,
		.va_end = IGRAD_VM_END,
		.max_jobs = IGRAD_MAX_JOBS,
		.max_syncs = IGRAD_MAX_SYNCS,
		.max_queues = IGRAD_MAX_QUEUES,
		.job_timeout_ms = idev->job_timeout_ms,
	};

	return igrad_query_reply(args, &info, sizeof(info));
}

static void igrad_queue_get_info(struct igrad_queue *queue, struct drm_igrad_queue_info *info)
{
	struct igrad_ring *ring = &queue->idev->ring;

	spin_lock(&ring->lock);
	info->submitted = queue->submitted;
	info->completed = queue->completed;
	info->error = queue->failure.error;
	info->seqno = queue->failure.seqno;
	info->fault_addr = queue->failure.addr;
	info->command = queue->failure.command;
	info->reason = queue->failure.reason;
	spin_unlock(&ring->lock);
}

static int igrad_query_queue(struct drm_file *file, struct drm_igrad_dev_query *args)
{
	struct drm_igrad_queue_info info = { };
	struct igrad_queue *queue;

	if (args->size < sizeof(info.queue_id))
		return -EINVAL;
	if (copy_from_user(&info.queue_id, u64_to_user_ptr(args->pointer), sizeof(info.queue_id)))
		return -EFAULT;

	queue = igrad_queue_lookup(file, info.queue_id);
	if (!queue)
		return -ENOENT;
	igrad_queue_get_info(queue, &info);
	igrad_queue_put(queue);

	return igrad_query_reply(args, &info, sizeof(info));
}

/**
 * igrad_query_ioctl() - DRM_IOCTL_IGRAD_DEV_QUERY
 * @drm: device
 * @data: struct drm_igrad_dev_query
 * @file: caller
 *
 * Return: 0 or a negative errno.
 */
int igrad_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_igrad_dev_query *args = data;

	switch (args->type) {
	case DRM_IGRAD_QUERY_DEVICE:
		if (args->pointer)
			return igrad_query_device(to_igrad_device(drm), args);
		args->size = sizeof(struct drm_igrad_device_info);
		return 0;
	case DRM_IGRAD_QUERY_QUEUE:
		if (args->pointer)
			return igrad_query_queue(file, args);
		args->size = sizeof(struct drm_igrad_queue_info);
		return 0;
	default:
		return -EINVAL;
	}
}
