// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers: what the device is, reset, start and stop.
 */

#include <drm/drm_print.h>
#include <linux/iopoll.h>

#include "igrad_hw.h"

/* Longer than a device needs to give up its job, even one whose host is busy. */
#define IGRAD_RESET_TIMEOUT_US	(5 * USEC_PER_SEC)
#define IGRAD_RESET_POLL_US	100

/**
 * igrad_hw_init() - make sure that this is the device, read what it is and reset it
 * @idev: device whose registers are mapped
 *
 * Return: 0, or -ENODEV for hardware that this driver does not know.
 */
int igrad_hw_init(struct igrad_device *idev)
{
	u32 id = igrad_read(idev, IGRAD_REG_ID);
	u32 array;

	idev->hw_version = igrad_read(idev, IGRAD_REG_VERSION);
	if (id != IGRAD_ID || idev->hw_version >> 16 != IGRAD_HW_VERSION >> 16) {
		drm_err(&idev->drm, "unknown hardware: ID %#x, version %#x\n",
			id, idev->hw_version);
		return -ENODEV;
	}
	if (igrad_read(idev, IGRAD_REG_RING_MAX) < IGRAD_RING_LOG2) {
		drm_err(&idev->drm, "the device's ring is too small\n");
		return -ENODEV;
	}

	array = igrad_read(idev, IGRAD_REG_ARRAY);
	idev->rows = array & 0xffff;
	idev->cols = array >> 16;
	idev->features = igrad_read(idev, IGRAD_REG_FEATURES);
	idev->sram_bytes = igrad_read(idev, IGRAD_REG_SRAM_BYTES);
	idev->dram_width = igrad_read(idev, IGRAD_REG_DRAM_WIDTH);
	idev->dram_latency = igrad_read(idev, IGRAD_REG_DRAM_LATENCY);
	idev->clock_hz = igrad_read(idev, IGRAD_REG_CLOCK_LO);
	idev->clock_hz |= (u64)igrad_read(idev, IGRAD_REG_CLOCK_HI) << 32;

	return igrad_hw_reset(idev);
}

/**
 * igrad_hw_retired() - commands retired since reset
 * @idev: device; the caller holds the ring's lock, for reading LO latches HI
 *
 * Return: number of commands.
 */
u64 igrad_hw_retired(struct igrad_device *idev)
{
	u32 lo = igrad_read(idev, IGRAD_REG_RETIRED_LO);

	return (u64)igrad_read(idev, IGRAD_REG_RETIRED_HI) << 32 | lo;
}

/**
 * igrad_hw_pause() - let the device start no other job
 * @idev: device
 * @started: set to the number of ring entries that have started; it changes no more, so that what
 * has not started can be run again after a reset
 *
 * Return: whether @started can be trusted. It cannot when somebody else has reset the device.
 */
bool igrad_hw_pause(struct igrad_device *idev, u32 *started)
{
	bool enabled = igrad_read(idev, IGRAD_REG_CTRL) & IGRAD_CTRL_ENABLE;

	igrad_write(idev, IGRAD_REG_IRQ_ENABLE, 0);
	igrad_write(idev, IGRAD_REG_CTRL, 0);
	/* Reading a register also flushes the writes. */
	igrad_read(idev, IGRAD_REG_CTRL);
	*started = igrad_read(idev, IGRAD_REG_RING_STARTED);

	return enabled;
}

/**
 * igrad_hw_wait_idle() - wait for the running job to end, unless it hangs or takes very long
 * @idev: device that was paused
 */
void igrad_hw_wait_idle(struct igrad_device *idev)
{
	unsigned long patience = msecs_to_jiffies(idev->job_timeout_ms);
	unsigned long end = jiffies + msecs_to_jiffies(idev->job_limit_ms);
	unsigned long progress = jiffies;
	u64 retired, before = 0;
	u32 status;

	for (;;) {
		status = igrad_read(idev, IGRAD_REG_STATUS);
		if (status == U32_MAX || !(status & IGRAD_DEV_BUSY))
			return;
		spin_lock(&idev->ring.lock);
		retired = igrad_hw_retired(idev);
		spin_unlock(&idev->ring.lock);
		if (retired != before)
			progress = jiffies;
		before = retired;
		if (time_after(jiffies, progress + patience) || time_after(jiffies, end))
			return;
		usleep_range(IGRAD_RESET_POLL_US, 10 * IGRAD_RESET_POLL_US);
	}
}

/**
 * igrad_hw_reset() - abort everything and wait until the device is idle
 * @idev: device
 *
 * Return: 0, -ETIMEDOUT, or -EIO when the device does not answer, or as if it were another one.
 */
int igrad_hw_reset(struct igrad_device *idev)
{
	u32 ctrl;
	int ret;

	igrad_write(idev, IGRAD_REG_CTRL, IGRAD_CTRL_RESET);
	ret = read_poll_timeout(igrad_read, ctrl,
				ctrl == U32_MAX || !(ctrl & IGRAD_CTRL_RESET),
				IGRAD_RESET_POLL_US, IGRAD_RESET_TIMEOUT_US, false,
				idev, IGRAD_REG_CTRL);
	if (igrad_read(idev, IGRAD_REG_ID) != IGRAD_ID)
		return -EIO;

	return ret;
}

/**
 * igrad_hw_enable() - give the ring to a device that was just reset
 * @idev: device
 */
void igrad_hw_enable(struct igrad_device *idev)
{
	struct igrad_ring *ring = &idev->ring;

	igrad_write64(idev, IGRAD_REG_RING_BASE_LO, ring->desc_dma);
	igrad_write64(idev, IGRAD_REG_CQ_BASE_LO, ring->cq_dma);
	igrad_write(idev, IGRAD_REG_RING_SIZE, IGRAD_RING_LOG2);
	igrad_write(idev, IGRAD_REG_IRQ_ENABLE, IGRAD_IRQ_ALL);
	igrad_write(idev, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
}

/**
 * igrad_hw_resume() - go on after a failed job
 * @idev: device that has stopped
 */
void igrad_hw_resume(struct igrad_device *idev)
{
	igrad_write(idev, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE | IGRAD_CTRL_RESUME);
}
