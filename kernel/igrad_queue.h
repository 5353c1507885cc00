/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_QUEUE_H__
#define __IGRAD_QUEUE_H__

#include <drm/gpu_scheduler.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

struct drm_device;
struct drm_file;
struct igrad_device;
struct igrad_vm;

/**
 * struct igrad_failure - the first job of a queue that failed
 * @error: negative errno, 0 while there is none
 * @seqno: of the job
 * @addr: faulting VA
 * @command: index of the command
 * @reason: enum igrad_reason
 */
struct igrad_failure {
	int error;
	u64 seqno;
	u64 addr;
	u32 command;
	u32 reason;
};

/**
 * struct igrad_queue - jobs that run in order
 * @ref: held by the file and by each job
 * @idev: device, of which it holds a reference
 * @node: in &igrad_device.queues
 * @entity: what the scheduler knows
 * @fence_context: of the jobs' hardware fences
 * @submitted: jobs accepted; protected by the ring's lock, as all below
 * @completed: jobs that have ended
 * @failure: the first one
 * @release: the end, in a process
 */
struct igrad_queue {
	struct kref ref;
	struct igrad_device *idev;
	struct list_head node;
	struct drm_sched_entity entity;
	/** @lock: makes admitting, arming and pushing of jobs one step */
	struct mutex lock;
	u64 fence_context;
	u64 submitted;
	u64 completed;
	struct igrad_failure failure;
	struct work_struct release;
};

struct igrad_queue *igrad_queue_lookup(struct drm_file *file, u32 id);
struct igrad_queue *igrad_queue_get(struct igrad_queue *queue);
void igrad_queue_put(struct igrad_queue *queue);
void igrad_queue_fail(struct igrad_queue *queue, const struct igrad_failure *failure);
int igrad_queue_admit_jobs(struct igrad_queue *queue, struct igrad_vm *vm, u32 count);
void igrad_queue_end_job(struct igrad_queue *queue, struct igrad_vm *vm);

int igrad_queue_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int igrad_queue_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif /* __IGRAD_QUEUE_H__ */
