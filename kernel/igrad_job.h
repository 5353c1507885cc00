/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_JOB_H__
#define __IGRAD_JOB_H__

#include <linux/list.h>
#include <linux/types.h>

#include "igrad_vm.h"

struct dma_fence_chain;
struct drm_file;
struct drm_igrad_array;
struct drm_igrad_job;
struct drm_igrad_job;
struct drm_syncobj;
struct igrad_batch;
struct igrad_queue;

/**
 * struct igrad_job_bo - a buffer that a job uses
 * @mapping: keeps buffer and address
 * @handle: of the buffer
 * @flags: DRM_IGRAD_BO_*
 */
struct igrad_job_bo {
	struct igrad_mapping *mapping;
	u32 handle;
	u32 flags;
};

/**
 * struct igrad_job_signal - a syncobj that gets the job's fence
 * @syncobj: which
 * @chain: memory for a timeline point; NULL for a binary one
 * @point: of the timeline
 */
struct igrad_job_signal {
	struct drm_syncobj *syncobj;
	struct dma_fence_chain *chain;
	u64 point;
};

/**
 * struct igrad_job - a job
 * @batch: that it belongs to
 * @node: in &igrad_batch.jobs
 * @queue: that of the batch
 * @vm: likewise
 * @seqno: in the queue
 * @cmds: VA of the first command
 * @report: VA of the report, or 0
 * @num_cmds: number of commands
 * @ring_index: while in the ring
 * @ring_node: in &igrad_ring.jobs
 * @num_bos: number of @bos
 * @num_signals: number of @signals
 * @signals: syncobjs
 * @bos: buffers
 */
struct igrad_job {
	struct igrad_batch *batch;
	struct list_head node;
	struct igrad_queue *queue;
	struct igrad_vm *vm;

	u64 seqno;
	u64 cmds;
	u64 report;
	u32 num_cmds;

	u32 ring_index;
	struct list_head ring_node;

	u32 num_bos;
	u32 num_signals;
	struct igrad_job_signal *signals;
	struct igrad_job_bo bos[];
};

struct igrad_job *igrad_job_create(struct drm_file *file, const struct drm_igrad_job *args);
int igrad_job_load_waits(struct igrad_batch *batch, struct drm_file *file,
			 const struct drm_igrad_array *array);
void igrad_job_destroy(struct igrad_job *job);

#endif /* __IGRAD_JOB_H__ */
