/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_DEVICE_H__
#define __IGRAD_DEVICE_H__

#include <drm/drm_device.h>
#include <drm/gpu_scheduler.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include <igrad/hw.h>

#include "igrad_ring.h"

struct drm_file;
struct pci_dev;
struct pci_saved_state;

/* What one call, and one file, may ask for. */
#define IGRAD_MAX_JOBS		64
#define IGRAD_MAX_BOS		1024
#define IGRAD_MAX_SYNCS		64
#define IGRAD_MAX_QUEUES	64
#define IGRAD_MAX_PENDING	4096

/**
 * struct igrad_device - one accelerator
 * @drm: the DRM device; all else lives as long as it does
 * @regs: BAR 0; only between drm_dev_enter() and drm_dev_exit()
 * @hw_version: of the hardware contract
 * @features: IGRAD_FEATURE_*
 * @rows: of the array
 * @cols: of the array
 * @sram_bytes: size of the SRAM
 * @dram_width: bytes a cycle
 * @dram_latency: cycles
 * @clock_hz: modelled clock
 * @irqs: Linux interrupt numbers, by IGRAD_VECTOR_*
 * @job_timeout_ms: a job that retires nothing for so long hangs
 * @job_limit_ms: however much it retires, no job may execute for longer
 * @ring: jobs that the device has
 * @sched: jobs that the device has not
 * @recovery_wq: ordered; timeouts and resets, one at a time
 * @reset_work: recovery from a failed device
 * @revive_work: recovery from one that does not answer
 * @pause_work: see igrad_pm_pause()
 * @paused: until igrad_pm_go_on(), or waking up, there is nothing to recover
 * @pci_state: configuration, to give to a device that has lost it
 * @in_error: paused, and kept awake, until an error of PCI Express has been dealt with
 * @vms: all address spaces
 * @bos: all buffers that are mapped for DMA
 * @queues: all queues
 */
struct igrad_device {
	struct drm_device drm;
	void __iomem *regs;

	u32 hw_version;
	u32 features;
	u32 rows;
	u32 cols;
	u32 sram_bytes;
	u32 dram_width;
	u32 dram_latency;
	u64 clock_hz;

	int irqs[IGRAD_NUM_VECTORS];
	unsigned int job_timeout_ms;
	unsigned int job_limit_ms;

	/** @tlb_lock: one flush at a time, none while the device is being stopped for good */
	struct mutex tlb_lock;
	struct igrad_ring ring;
	struct drm_gpu_scheduler sched;
	struct workqueue_struct *recovery_wq;
	struct work_struct reset_work;
	struct work_struct revive_work;
	struct work_struct pause_work;
	bool paused;
	struct pci_saved_state *pci_state;
	bool in_error;

	/** @mapped_lock: protects the lists below; held to undo for good what they tell of */
	struct mutex mapped_lock;
	struct list_head vms;
	struct list_head bos;
	struct list_head queues;
};

static inline struct igrad_device *to_igrad_device(struct drm_device *drm)
{
	return container_of(drm, struct igrad_device, drm);
}

/*
 * Where things end that may hold the last reference to a device: neither of the device's own
 * workqueues could be destroyed from itself. It keeps no state of any device.
 */
extern struct workqueue_struct *igrad_release_wq;

int igrad_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif /* __IGRAD_DEVICE_H__ */
