/* SPDX-License-Identifier: MIT */
/*
 * The drm backend: a device behind its kernel driver. Fences are syncobjs; they tell that a job has
 * ended, and the queue's state tells how.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <xf86drm.h>

#include "backend.h"
#include "drm-nodes.h"
#include "uapi/drm/igrad_accel.h"

struct drm_device {
	struct igrad_device base;
	int fd;
	uint32_t max_bos;
};

struct drm_buffer {
	struct igrad_buffer base;
	uint32_t handle;
	uint64_t mapped;
};

struct drm_queue {
	struct igrad_queue base;
	uint32_t id;
};

/* @result: valid once @ended is set */
struct drm_fence {
	struct igrad_fence base;
	uint32_t syncobj;
	atomic_int result;
	atomic_bool ended;
};

static struct drm_device *drm_device(struct igrad_device *device)
{
	return (struct drm_device *)device;
}

/* drmIoctl() calls again after EINTR; the arguments are unchanged then. */
static int call(struct igrad_device *device, unsigned long request, void *arg)
{
	return drmIoctl(drm_device(device)->fd, request, arg) ? -errno : 0;
}

/* ---------------------------------------------------------------- buffers */

static void close_handle(struct igrad_device *device, uint32_t handle)
{
	struct drm_gem_close args = {.handle = handle};

	call(device, DRM_IOCTL_GEM_CLOSE, &args);
}

static int drm_buffer_new(struct igrad_device *device, uint64_t size, struct igrad_buffer **buffer)
{
	struct drm_igrad_bo_create args = {.size = size};
	struct drm_buffer *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return -ENOMEM;
	ret = call(device, DRM_IOCTL_IGRAD_BO_CREATE, &args);
	if (ret)
		goto fail;
	new->base.map = mmap(NULL, args.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			     drm_device(device)->fd, args.mmap_offset);
	if (new->base.map == MAP_FAILED) {
		ret = -errno;
		close_handle(device, args.handle);
		goto fail;
	}
	new->base.size = size;
	new->base.va = args.va;
	new->handle = args.handle;
	new->mapped = args.size;
	*buffer = &new->base;
	return 0;

fail:
	free(new);
	return ret;
}

/* The kernel keeps memory and address until the jobs that list the buffer have ended. */
static void drm_buffer_free(struct igrad_buffer *buffer)
{
	struct drm_buffer *drm_buffer = (struct drm_buffer *)buffer;

	munmap(buffer->map, drm_buffer->mapped);
	close_handle(buffer->device, drm_buffer->handle);
	free(drm_buffer);
}

/* ---------------------------------------------------------------- queues */

static int drm_queue_new(struct igrad_device *device, struct igrad_queue **queue)
{
	struct drm_igrad_queue_create args = {.priority = DRM_IGRAD_PRIORITY_NORMAL};
	struct drm_queue *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return -ENOMEM;
	ret = call(device, DRM_IOCTL_IGRAD_QUEUE_CREATE, &args);
	if (ret) {
		free(new);
		return ret;
	}
	new->id = args.queue_id;
	*queue = &new->base;
	return 0;
}

static void drm_queue_free(struct igrad_queue *queue)
{
	struct drm_queue *drm_queue = (struct drm_queue *)queue;
	struct drm_igrad_queue_destroy args = {.queue_id = drm_queue->id};

	call(queue->device, DRM_IOCTL_IGRAD_QUEUE_DESTROY, &args);
	free(drm_queue);
}

static int query_queue(struct igrad_queue *queue, struct drm_igrad_queue_info *info)
{
	struct drm_igrad_dev_query args = {
		.type = DRM_IGRAD_QUERY_QUEUE,
		.size = sizeof(*info),
		.pointer = (uintptr_t)info,
	};

	*info = (struct drm_igrad_queue_info){.queue_id = ((struct drm_queue *)queue)->id};
	return call(queue->device, DRM_IOCTL_IGRAD_DEV_QUERY, &args);
}

static int drm_queue_error(struct igrad_queue *queue, struct igrad_queue_error *error,
			   uint64_t *completed)
{
	struct drm_igrad_queue_info info;
	int ret = query_queue(queue, &info);

	if (ret)
		return ret;
	*error = (struct igrad_queue_error){
		.err = info.error,
		.seqno = info.seqno,
		.fault_addr = info.fault_addr,
		.command = info.command,
		.reason = info.reason,
	};
	*completed = info.completed;
	return 0;
}

/* ---------------------------------------------------------------- jobs */

static struct drm_igrad_bo_ref *bo_refs(const struct igrad_job *job)
{
	struct drm_igrad_bo_ref *refs = calloc(job->num_uses, sizeof(*refs));

	for (uint32_t i = 0; refs && i < job->num_uses; i++) {
		const struct igrad_use *use = &job->uses[i];

		refs[i].handle = ((struct drm_buffer *)use->buffer)->handle;
		refs[i].flags = (use->read ? DRM_IGRAD_BO_READ : 0) |
				(use->write ? DRM_IGRAD_BO_WRITE : 0);
	}
	return refs;
}

static int submit_job(struct igrad_queue *queue, const struct igrad_job *job, uint32_t syncobj,
		      uint64_t *seqno)
{
	struct drm_igrad_bo_ref *refs = bo_refs(job);
	struct drm_igrad_sync signal = {.handle = syncobj};
	struct drm_igrad_job one = {
		.cmds = job->cmds,
		.num_cmds = job->num_cmds,
		.report = job->report,
		.bos = {sizeof(*refs), job->num_uses, (uintptr_t)refs},
		.signals = {sizeof(signal), 1, (uintptr_t)&signal},
	};
	struct drm_igrad_submit args = {
		.queue_id = ((struct drm_queue *)queue)->id,
		.jobs = {sizeof(one), 1, (uintptr_t)&one},
	};
	int ret;

	if (!refs)
		return -ENOMEM;
	ret = call(queue->device, DRM_IOCTL_IGRAD_SUBMIT, &args);
	free(refs);
	*seqno = args.seqno;
	return ret;
}

static int drm_submit(struct igrad_queue *queue, const struct igrad_job *job,
		      struct igrad_fence **fence)
{
	struct drm_device *drm = drm_device(queue->device);
	struct drm_fence *new;
	int ret;

	if (job->num_uses > drm->max_bos)
		return -E2BIG;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	ret = drmSyncobjCreate(drm->fd, 0, &new->syncobj);
	if (ret) {
		ret = -errno;
		free(new);
		return ret;
	}
	ret = submit_job(queue, job, new->syncobj, &new->base.seqno);
	if (ret) {
		drmSyncobjDestroy(drm->fd, new->syncobj);
		free(new);
		return ret;
	}
	atomic_init(&new->base.refs, 1);
	new->base.queue = igrad_queue_ref(queue);
	*fence = &new->base;
	return 0;
}

static void drm_fence_free(struct igrad_fence *fence)
{
	struct drm_fence *drm_fence = (struct drm_fence *)fence;

	drmSyncobjDestroy(drm_device(fence->queue->device)->fd, drm_fence->syncobj);
	free(drm_fence);
}

/* How a job that has ended did so: the first failure of its queue splits the jobs into three. */
static int learn_result(struct igrad_fence *fence)
{
	struct drm_igrad_queue_info info;
	int ret = query_queue(fence->queue, &info);

	if (ret)
		return ret;
	if (!info.error || fence->seqno < info.seqno)
		return 0;
	return fence->seqno == info.seqno ? info.error : -ECANCELED;
}

static int64_t absolute(int64_t timeout_ns)
{
	struct timespec now;
	int64_t now_ns;

	if (timeout_ns < 0)
		return INT64_MAX;
	if (!timeout_ns)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = now.tv_sec * 1000000000ll + now.tv_nsec;
	return timeout_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns;
}

static int drm_fence_wait(struct igrad_fence *fence, int64_t timeout_ns)
{
	struct drm_fence *drm_fence = (struct drm_fence *)fence;
	int ret;

	if (atomic_load_explicit(&drm_fence->ended, memory_order_acquire))
		return atomic_load_explicit(&drm_fence->result, memory_order_relaxed);
	ret = drmSyncobjWait(drm_device(fence->queue->device)->fd, &drm_fence->syncobj, 1,
			     absolute(timeout_ns), 0, NULL);
	if (ret == -ETIME)
		return -ETIMEDOUT;
	if (ret < 0)
		return ret;
	ret = learn_result(fence);
	atomic_store_explicit(&drm_fence->result, ret, memory_order_relaxed);
	atomic_store_explicit(&drm_fence->ended, true, memory_order_release);
	return ret;
}

/* ---------------------------------------------------------------- the device */

static void drm_device_free(struct igrad_device *device)
{
	close(drm_device(device)->fd);
	free(device->uri);
	free(device);
}

static const struct igrad_backend drm_backend = {
	.device_free = drm_device_free,
	.buffer_new = drm_buffer_new,
	.buffer_free = drm_buffer_free,
	.queue_new = drm_queue_new,
	.queue_free = drm_queue_free,
	.queue_error = drm_queue_error,
	.submit = drm_submit,
	.fence_wait = drm_fence_wait,
	.fence_free = drm_fence_free,
};

/* A kernel that knows less than all we ask for is too old: its caps would read as zero. */
static int query_device(struct drm_device *drm)
{
	struct drm_igrad_device_info info = {0};
	struct drm_igrad_dev_query args = {
		.type = DRM_IGRAD_QUERY_DEVICE,
		.size = sizeof(info),
		.pointer = (uintptr_t)&info,
	};
	int ret = call(&drm->base, DRM_IOCTL_IGRAD_DEV_QUERY, &args);

	if (ret)
		return ret;
	if (args.size < sizeof(info) || info.hw_version >> 16 != IGRAD_HW_VERSION >> 16)
		return -EPROTO;
	drm->max_bos = info.max_bos;
	drm->base.info = (struct igrad_device_info){
		.hw_version = info.hw_version,
		.features = info.features,
		.rows = info.rows,
		.cols = info.cols,
		.sram_bytes = info.sram_bytes,
		.dram_bytes_per_cycle = info.dram_bytes_per_cycle,
		.dram_latency = info.dram_latency,
		.clock_hz = info.clock_hz,
		.va_start = info.va_start,
		.va_end = info.va_end,
	};
	return 0;
}

int igrad_drm_open(const char *path, struct igrad_device **device, struct igrad_error *error)
{
	struct drm_device *drm = calloc(1, sizeof(*drm));
	int ret;

	if (!drm)
		return igrad_fail(error, -ENOMEM, "drm: out of memory");
	igrad_device_init(&drm->base, &drm_backend);
	drm->fd = igrad_drm_node_open(path, error);
	if (drm->fd < 0) {
		ret = drm->fd;
		free(drm);
		return ret;
	}
	ret = query_device(drm);
	if (ret)
		igrad_fail(error, ret, "drm: %.100s: %s", path, igrad_strerror(ret));
	else if (asprintf(&drm->base.uri, "drm:%s", path) < 0)
		ret = igrad_fail(error, -ENOMEM, "drm: out of memory");
	if (ret) {
		close(drm->fd);
		free(drm);
		return ret;
	}
	*device = &drm->base;
	return 0;
}
