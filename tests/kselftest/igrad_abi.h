/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctl ABI as it has been since there is one, for programs of 64 bits and of 32: what is here
 * never changes. Structures may grow, which needs their new fields, and nothing else, changed here.
 */
#ifndef IGRAD_ABI_H
#define IGRAD_ABI_H

#include <assert.h>
#include <stddef.h>

#include <drm/igrad_accel.h>

#define STRUCT(name, size) static_assert(sizeof(struct name) == (size), #name)
/* Without holes: each one ends where the next one begins. */
#define FIELD(name, field, offset) static_assert(offsetof(struct name, field) == (offset), #field)
#define NUMBER(name, value) static_assert((name) == (value), #name)

STRUCT(drm_igrad_dev_query, 16);
FIELD(drm_igrad_dev_query, type, 0);
FIELD(drm_igrad_dev_query, size, 4);
FIELD(drm_igrad_dev_query, pointer, 8);
STRUCT(drm_igrad_device_info, 72);
FIELD(drm_igrad_device_info, hw_version, 0);
FIELD(drm_igrad_device_info, features, 4);
FIELD(drm_igrad_device_info, rows, 8);
FIELD(drm_igrad_device_info, cols, 12);
FIELD(drm_igrad_device_info, sram_bytes, 16);
FIELD(drm_igrad_device_info, dram_bytes_per_cycle, 20);
FIELD(drm_igrad_device_info, dram_latency, 24);
FIELD(drm_igrad_device_info, max_bos, 28);
FIELD(drm_igrad_device_info, clock_hz, 32);
FIELD(drm_igrad_device_info, va_start, 40);
FIELD(drm_igrad_device_info, va_end, 48);
FIELD(drm_igrad_device_info, max_jobs, 56);
FIELD(drm_igrad_device_info, max_syncs, 60);
FIELD(drm_igrad_device_info, max_queues, 64);
FIELD(drm_igrad_device_info, job_timeout_ms, 68);
STRUCT(drm_igrad_queue_info, 48);
FIELD(drm_igrad_queue_info, queue_id, 0);
FIELD(drm_igrad_queue_info, error, 4);
FIELD(drm_igrad_queue_info, seqno, 8);
FIELD(drm_igrad_queue_info, fault_addr, 16);
FIELD(drm_igrad_queue_info, command, 24);
FIELD(drm_igrad_queue_info, reason, 28);
FIELD(drm_igrad_queue_info, submitted, 32);
FIELD(drm_igrad_queue_info, completed, 40);
STRUCT(drm_igrad_bo_create, 32);
FIELD(drm_igrad_bo_create, size, 0);
FIELD(drm_igrad_bo_create, flags, 8);
FIELD(drm_igrad_bo_create, handle, 12);
FIELD(drm_igrad_bo_create, va, 16);
FIELD(drm_igrad_bo_create, mmap_offset, 24);
STRUCT(drm_igrad_bo_info, 32);
FIELD(drm_igrad_bo_info, handle, 0);
FIELD(drm_igrad_bo_info, flags, 4);
FIELD(drm_igrad_bo_info, size, 8);
FIELD(drm_igrad_bo_info, va, 16);
FIELD(drm_igrad_bo_info, mmap_offset, 24);
STRUCT(drm_igrad_queue_create, 16);
FIELD(drm_igrad_queue_create, priority, 0);
FIELD(drm_igrad_queue_create, flags, 4);
FIELD(drm_igrad_queue_create, queue_id, 8);
FIELD(drm_igrad_queue_create, pad, 12);
STRUCT(drm_igrad_queue_destroy, 8);
FIELD(drm_igrad_queue_destroy, queue_id, 0);
FIELD(drm_igrad_queue_destroy, pad, 4);
STRUCT(drm_igrad_array, 16);
FIELD(drm_igrad_array, stride, 0);
FIELD(drm_igrad_array, count, 4);
FIELD(drm_igrad_array, pointer, 8);
STRUCT(drm_igrad_bo_ref, 8);
FIELD(drm_igrad_bo_ref, handle, 0);
FIELD(drm_igrad_bo_ref, flags, 4);
STRUCT(drm_igrad_sync, 16);
FIELD(drm_igrad_sync, handle, 0);
FIELD(drm_igrad_sync, flags, 4);
FIELD(drm_igrad_sync, point, 8);
STRUCT(drm_igrad_job, 72);
FIELD(drm_igrad_job, cmds, 0);
FIELD(drm_igrad_job, num_cmds, 8);
FIELD(drm_igrad_job, flags, 12);
FIELD(drm_igrad_job, report, 16);
FIELD(drm_igrad_job, bos, 24);
FIELD(drm_igrad_job, waits, 40);
FIELD(drm_igrad_job, signals, 56);
STRUCT(drm_igrad_submit, 32);
FIELD(drm_igrad_submit, queue_id, 0);
FIELD(drm_igrad_submit, flags, 4);
FIELD(drm_igrad_submit, jobs, 8);
FIELD(drm_igrad_submit, seqno, 24);
NUMBER(DRM_IOCTL_IGRAD_DEV_QUERY, 0xc0106440);
NUMBER(DRM_IOCTL_IGRAD_BO_CREATE, 0xc0206441);
NUMBER(DRM_IOCTL_IGRAD_BO_INFO, 0xc0206442);
NUMBER(DRM_IOCTL_IGRAD_QUEUE_CREATE, 0xc0106443);
NUMBER(DRM_IOCTL_IGRAD_QUEUE_DESTROY, 0xc0086444);
NUMBER(DRM_IOCTL_IGRAD_SUBMIT, 0xc0206445);
NUMBER(DRM_IGRAD_BO_READ, 0x1);
NUMBER(DRM_IGRAD_BO_WRITE, 0x2);
NUMBER(DRM_IGRAD_SYNC_TIMELINE, 0x1);
NUMBER(DRM_IGRAD_QUERY_DEVICE, 0);
NUMBER(DRM_IGRAD_QUERY_QUEUE, 0x1);
NUMBER(DRM_IGRAD_PRIORITY_LOW, 0);
NUMBER(DRM_IGRAD_PRIORITY_NORMAL, 0x1);
NUMBER(DRM_IGRAD_PRIORITY_HIGH, 0x2);

#undef STRUCT
#undef FIELD
#undef NUMBER

#endif /* IGRAD_ABI_H */
