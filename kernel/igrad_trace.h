/* SPDX-License-Identifier: GPL-2.0-only */
#if !defined(__IGRAD_TRACE_H__) || defined(TRACE_HEADER_MULTI_READ)
#define __IGRAD_TRACE_H__

#include <linux/tracepoint.h>

#include "igrad_job.h"
#include "igrad_queue.h"

#undef TRACE_SYSTEM
#define TRACE_SYSTEM igrad

DECLARE_EVENT_CLASS(igrad_job,
	TP_PROTO(struct igrad_job *job),
	TP_ARGS(job),
	TP_STRUCT__entry(
		__string(dev, dev_name(job->queue->idev->drm.dev))
		__field(u64, context)
		__field(u64, seqno)
		__field(u64, cmds)
		__field(u32, num_cmds)
		__field(u32, ring_index)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->context = job->queue->fence_context;
		__entry->seqno = job->seqno;
		__entry->cmds = job->cmds;
		__entry->num_cmds = job->num_cmds;
		__entry->ring_index = job->ring_index;
	),
	TP_printk("dev=%s fence=%llu:%llu cmds=%#llx+%u index=%u", __get_str(dev),
		  __entry->context, __entry->seqno, __entry->cmds, __entry->num_cmds,
		  __entry->ring_index)
);

/* User space has handed the job over. */
DEFINE_EVENT(igrad_job, igrad_submit,
	TP_PROTO(struct igrad_job *job),
	TP_ARGS(job)
);

/* The device has it. */
DEFINE_EVENT(igrad_job, igrad_run,
	TP_PROTO(struct igrad_job *job),
	TP_ARGS(job)
);

TRACE_EVENT(igrad_done,
	TP_PROTO(struct igrad_job *job, int error),
	TP_ARGS(job, error),
	TP_STRUCT__entry(
		__string(dev, dev_name(job->queue->idev->drm.dev))
		__field(u64, context)
		__field(u64, seqno)
		__field(int, error)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->context = job->queue->fence_context;
		__entry->seqno = job->seqno;
		__entry->error = error;
	),
	TP_printk("dev=%s fence=%llu:%llu error=%d", __get_str(dev), __entry->context,
		  __entry->seqno, __entry->error)
);

/* The device has ended a job that it could not execute. */
TRACE_EVENT(igrad_fault,
	TP_PROTO(struct igrad_job *job, const struct igrad_failure *failure),
	TP_ARGS(job, failure),
	TP_STRUCT__entry(
		__string(dev, dev_name(job->queue->idev->drm.dev))
		__field(u64, context)
		__field(u64, seqno)
		__field(u64, addr)
		__field(u32, command)
		__field(u32, reason)
		__field(int, error)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->context = job->queue->fence_context;
		__entry->seqno = job->seqno;
		__entry->addr = failure->addr;
		__entry->command = failure->command;
		__entry->reason = failure->reason;
		__entry->error = failure->error;
	),
	TP_printk("dev=%s fence=%llu:%llu error=%d command=%u reason=%#x addr=%#llx",
		  __get_str(dev), __entry->context, __entry->seqno, __entry->error,
		  __entry->command, __entry->reason, __entry->addr)
);

TRACE_EVENT(igrad_reset,
	TP_PROTO(struct igrad_device *idev, int error),
	TP_ARGS(idev, error),
	TP_STRUCT__entry(
		__string(dev, dev_name(idev->drm.dev))
		__field(int, error)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->error = error;
	),
	TP_printk("dev=%s error=%d", __get_str(dev), __entry->error)
);

#endif /* __IGRAD_TRACE_H__ */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE igrad_trace
#include <trace/define_trace.h>
