/* SPDX-License-Identifier: MIT */
#ifndef _UAPI_IGRAD_ACCEL_H_
#define _UAPI_IGRAD_ACCEL_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: igrad user-space interface
 *
 * Rules that hold for every ioctl: padding and reserved fields must be zero, unknown flags are
 * refused, both with -EINVAL. -ENOENT: a handle, queue or syncobj that does not exist. -ENODEV: the
 * device is gone. -EINTR: a signal came; call again with the arguments unchanged.
 *
 * A file has one device address space. Buffers get their device address (VA) from the kernel when
 * they are created, or when an imported one is first asked for with BO_INFO. The device's MMU keeps
 * every job inside its file's address space; the driver never looks into a command buffer.
 */

#define DRM_IGRAD_DEV_QUERY	0x00
#define DRM_IGRAD_BO_CREATE	0x01
#define DRM_IGRAD_BO_INFO	0x02
#define DRM_IGRAD_QUEUE_CREATE	0x03
#define DRM_IGRAD_QUEUE_DESTROY	0x04
#define DRM_IGRAD_SUBMIT	0x05

/**
 * enum drm_igrad_query_type - what DRM_IOCTL_IGRAD_DEV_QUERY answers
 */
enum drm_igrad_query_type {
	/** @DRM_IGRAD_QUERY_DEVICE: struct drm_igrad_device_info */
	DRM_IGRAD_QUERY_DEVICE = 0,
	/** @DRM_IGRAD_QUERY_QUEUE: struct drm_igrad_queue_info; queue_id is read on input */
	DRM_IGRAD_QUERY_QUEUE = 1,
};

/**
 * struct drm_igrad_dev_query - DRM_IOCTL_IGRAD_DEV_QUERY
 *
 * With @pointer zero only @size is written. Otherwise at most @size bytes are copied and @size is
 * set to what the kernel knows; if that is less than asked for, the rest of the buffer is left
 * alone.
 */
struct drm_igrad_dev_query {
	/** @type: enum drm_igrad_query_type; unknown: -EINVAL */
	__u32 type;
	/** @size: in: bytes at @pointer; out: bytes of the structure in this kernel */
	__u32 size;
	/** @pointer: user pointer to the structure, or 0 to ask for its size */
	__u64 pointer;
};

/**
 * struct drm_igrad_device_info - the device behind the node; nothing in it ever changes
 */
struct drm_igrad_device_info {
	/** @hw_version: IGRAD_REG_VERSION */
	__u32 hw_version;
	/** @features: IGRAD_REG_FEATURES */
	__u32 features;
	/** @rows: R of the array */
	__u32 rows;
	/** @cols: C of the array */
	__u32 cols;
	/** @sram_bytes: size of the SRAM */
	__u32 sram_bytes;
	/** @dram_bytes_per_cycle: in each direction */
	__u32 dram_bytes_per_cycle;
	/** @dram_latency: cycles */
	__u32 dram_latency;
	/** @max_bos: most BO references in a job */
	__u32 max_bos;
	/** @clock_hz: modelled clock */
	__u64 clock_hz;
	/** @va_start: first VA a buffer can have */
	__u64 va_start;
	/** @va_end: end of the VA space, exclusive */
	__u64 va_end;
	/** @max_jobs: most jobs in a submit */
	__u32 max_jobs;
	/** @max_syncs: most wait syncs, and most signal syncs, in a job */
	__u32 max_syncs;
	/** @max_queues: most queues of a file */
	__u32 max_queues;
	/** @job_timeout_ms: a job without progress for so long is ended */
	__u32 job_timeout_ms;
};

/**
 * struct drm_igrad_queue_info - how a queue is doing
 */
struct drm_igrad_queue_info {
	/** @queue_id: in: which queue */
	__u32 queue_id;
	/**
	 * @error: 0, or the negative errno of the first job that failed: -EFAULT (an address),
	 * -ETIME (hung), -EINVAL (malformed), -EIO (the device failed). A queue with an error
	 * refuses further work with -EIO until it is destroyed and another created.
	 */
	__s32 error;
	/** @seqno: of the failed job, counted from 1 in the order of submission to this queue */
	__u64 seqno;
	/** @fault_addr: VA for -EFAULT, else 0 */
	__u64 fault_addr;
	/** @command: index of the failing command */
	__u32 command;
	/** @reason: enum igrad_reason of the hardware contract */
	__u32 reason;
	/** @submitted: jobs accepted so far */
	__u64 submitted;
	/** @completed: jobs whose fence has signalled */
	__u64 completed;
};

/**
 * struct drm_igrad_bo_create - DRM_IOCTL_IGRAD_BO_CREATE
 *
 * Memory is zeroed, charged to the caller's cgroup, mapped writable for the device at @va, and
 * stays there until the handle is closed and every job that lists the buffer has ended.
 * Errors: -EINVAL (size 0 or too large), -ENOMEM, -ENOSPC (no VA left).
 */
struct drm_igrad_bo_create {
	/** @size: bytes; rounded up to whole pages, the result is written back */
	__u64 size;
	/** @flags: zero */
	__u32 flags;
	/** @handle: out: GEM handle */
	__u32 handle;
	/** @va: out: device address */
	__u64 va;
	/** @mmap_offset: out: offset for mmap() on the device node */
	__u64 mmap_offset;
};

/**
 * struct drm_igrad_bo_info - DRM_IOCTL_IGRAD_BO_INFO
 */
struct drm_igrad_bo_info {
	/** @handle: GEM handle */
	__u32 handle;
	/** @flags: out: zero */
	__u32 flags;
	/** @size: out: bytes */
	__u64 size;
	/** @va: out: device address; an imported buffer is mapped on the first call */
	__u64 va;
	/** @mmap_offset: out: offset for mmap(), 0 for an imported buffer */
	__u64 mmap_offset;
};

/**
 * enum drm_igrad_priority - order in which queues enter the ring; nothing is preempted
 *
 * Jobs of one submission that signal nothing enter it together, some at a time.
 */
enum drm_igrad_priority {
	/** @DRM_IGRAD_PRIORITY_LOW: after all others */
	DRM_IGRAD_PRIORITY_LOW = 0,
	/** @DRM_IGRAD_PRIORITY_NORMAL: the usual one */
	DRM_IGRAD_PRIORITY_NORMAL = 1,
	/** @DRM_IGRAD_PRIORITY_HIGH: needs CAP_SYS_NICE, else -EACCES */
	DRM_IGRAD_PRIORITY_HIGH = 2,
};

/**
 * struct drm_igrad_queue_create - DRM_IOCTL_IGRAD_QUEUE_CREATE
 *
 * Jobs of a queue run in the order of submission. Errors: -EINVAL (priority), -EACCES, -ENOSPC (too
 * many queues), -ENOMEM.
 */
struct drm_igrad_queue_create {
	/** @priority: enum drm_igrad_priority */
	__u32 priority;
	/** @flags: zero */
	__u32 flags;
	/** @queue_id: out: at least 1 */
	__u32 queue_id;
	/** @pad: zero */
	__u32 pad;
};

/**
 * struct drm_igrad_queue_destroy - DRM_IOCTL_IGRAD_QUEUE_DESTROY
 *
 * Jobs already submitted still run.
 */
struct drm_igrad_queue_destroy {
	/** @queue_id: which; unknown: -ENOENT */
	__u32 queue_id;
	/** @pad: zero */
	__u32 pad;
};

/**
 * struct drm_igrad_array - an array of structures that may grow in later kernels
 *
 * A @stride smaller than the kernel's structure is extended with zeros; a larger one is accepted if
 * the surplus is zero, else -E2BIG.
 */
struct drm_igrad_array {
	/** @stride: bytes from one element to the next */
	__u32 stride;
	/** @count: elements */
	__u32 count;
	/** @pointer: user pointer to the first */
	__u64 pointer;
};

/** @DRM_IGRAD_BO_READ: jobs of others that write the buffer are waited for, if it is shared */
#define DRM_IGRAD_BO_READ	(1 << 0)
/** @DRM_IGRAD_BO_WRITE: jobs of others that read or write it are waited for, if it is shared */
#define DRM_IGRAD_BO_WRITE	(1 << 1)

/**
 * struct drm_igrad_bo_ref - a buffer that a job uses, with memory and VA kept until it has ended
 *
 * An import of a dma-buf that may not be written to cannot be listed with DRM_IGRAD_BO_WRITE
 * (-EINVAL), and a job that writes to it faults.
 */
struct drm_igrad_bo_ref {
	/** @handle: GEM handle; listing one twice: -EINVAL */
	__u32 handle;
	/** @flags: DRM_IGRAD_BO_READ and/or DRM_IGRAD_BO_WRITE, at least one */
	__u32 flags;
};

/** @DRM_IGRAD_SYNC_TIMELINE: @point of a timeline syncobj; otherwise binary and @point is zero */
#define DRM_IGRAD_SYNC_TIMELINE	(1 << 0)

/**
 * struct drm_igrad_sync - a syncobj to wait for or to signal
 */
struct drm_igrad_sync {
	/** @handle: syncobj */
	__u32 handle;
	/** @flags: DRM_IGRAD_SYNC_TIMELINE or zero */
	__u32 flags;
	/** @point: timeline point, at least 1 */
	__u64 point;
};

/**
 * struct drm_igrad_job - one job
 */
struct drm_igrad_job {
	/** @cmds: VA of the first command, 64-byte aligned */
	__u64 cmds;
	/** @num_cmds: commands, 1 … IGRAD_MAX_COMMANDS */
	__u32 num_cmds;
	/** @flags: zero */
	__u32 flags;
	/** @report: VA for the job's report, 64-byte aligned, or 0 */
	__u64 report;
	/** @bos: of struct drm_igrad_bo_ref */
	struct drm_igrad_array bos;
	/** @waits: of struct drm_igrad_sync */
	struct drm_igrad_array waits;
	/** @signals: of struct drm_igrad_sync; the job's fence is put into each */
	struct drm_igrad_array signals;
};

/**
 * struct drm_igrad_submit - DRM_IOCTL_IGRAD_SUBMIT
 *
 * All jobs are accepted, or none and no syncobj has changed. A later job of the call may wait for
 * what an earlier one signals only through the queue's own order.
 *
 * Errors: -EINVAL (alignment, ranges outside the VA space, counts of zero or over the caps, a
 * wait on a syncobj without fence), -ENOENT (queue, BO, syncobj), -EIO (the queue has failed),
 * -EBUSY (too many jobs of the file have not ended), -E2BIG, -EFAULT (user pointers), -ENOMEM.
 *
 * A job's fence carries 0, or -EFAULT, -ETIME, -EINVAL, -EIO for the job that failed, -ECANCELED
 * for those behind it in its queue and for those that waited when their file was closed, -ENODEV
 * when the device went away.
 */
struct drm_igrad_submit {
	/** @queue_id: where */
	__u32 queue_id;
	/** @flags: zero */
	__u32 flags;
	/** @jobs: of struct drm_igrad_job */
	struct drm_igrad_array jobs;
	/** @seqno: out: the queue's sequence number of the last job */
	__u64 seqno;
};

#define DRM_IOCTL_IGRAD_DEV_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_IGRAD_DEV_QUERY, struct drm_igrad_dev_query)
#define DRM_IOCTL_IGRAD_BO_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_IGRAD_BO_CREATE, struct drm_igrad_bo_create)
#define DRM_IOCTL_IGRAD_BO_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_IGRAD_BO_INFO, struct drm_igrad_bo_info)
#define DRM_IOCTL_IGRAD_QUEUE_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_IGRAD_QUEUE_CREATE, struct drm_igrad_queue_create)
#define DRM_IOCTL_IGRAD_QUEUE_DESTROY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_IGRAD_QUEUE_DESTROY, struct drm_igrad_queue_destroy)
#define DRM_IOCTL_IGRAD_SUBMIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_IGRAD_SUBMIT, struct drm_igrad_submit)

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_IGRAD_ACCEL_H_ */
