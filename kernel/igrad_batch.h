/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_BATCH_H__
#define __IGRAD_BATCH_H__

#include <drm/gpu_scheduler.h>
#include <linux/list.h>
#include <linux/workqueue.h>

struct drm_file;
struct igrad_job;
struct igrad_queue;
struct igrad_vm;

/* Jobs that enter the ring together: as many come before one that is more urgent. */
#define IGRAD_BATCH_JOBS	16

/* Two batches fit in the ring, so that one waits there for the other, or IGRAD_RING_JOBS jobs. */
#define IGRAD_BATCH_CREDITS	5
#define IGRAD_CREDITS		(2 * IGRAD_BATCH_CREDITS)

/**
 * struct igrad_batch - jobs of a submission that nothing has to tell apart until they have ended
 * @base: what the scheduler knows
 * @queue: of the jobs; a reference
 * @vm: that they execute in; a reference
 * @hw_fence: allocated ahead; while the device has the jobs, the ring's reference to it
 * @jobs: in order; the last one's end is that of the batch
 * @count: number of jobs
 * @complete: that last one says when it has ended: no other may follow
 * @release: the end, in a process
 */
struct igrad_batch {
	struct drm_sched_job base;
	struct igrad_queue *queue;
	struct igrad_vm *vm;
	struct dma_fence *hw_fence;
	struct list_head jobs;
	u32 count;
	bool complete;
	struct work_struct release;
};

static inline struct igrad_batch *to_igrad_batch(struct drm_sched_job *base)
{
	return container_of(base, struct igrad_batch, base);
}

struct igrad_batch *igrad_batch_create(struct drm_file *file, struct igrad_queue *queue);
void igrad_batch_add(struct igrad_batch *batch, struct igrad_job *job);
struct igrad_job *igrad_batch_first(struct igrad_batch *batch);
struct igrad_job *igrad_batch_last(struct igrad_batch *batch);
void igrad_batch_init_fence(struct igrad_batch *batch);
void igrad_batch_destroy(struct igrad_batch *batch);
void igrad_batch_release(struct igrad_batch *batch);

#endif /* __IGRAD_BATCH_H__ */
