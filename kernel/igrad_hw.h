/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_HW_H__
#define __IGRAD_HW_H__

#include <linux/io.h>

#include "igrad_device.h"

static inline u32 igrad_read(struct igrad_device *idev, u32 reg)
{
	return readl(idev->regs + reg);
}

static inline void igrad_write(struct igrad_device *idev, u32 reg, u32 value)
{
	writel(value, idev->regs + reg);
}

static inline void igrad_write64(struct igrad_device *idev, u32 reg_lo, u64 value)
{
	igrad_write(idev, reg_lo, lower_32_bits(value));
	igrad_write(idev, reg_lo + 4, upper_32_bits(value));
}

int igrad_hw_init(struct igrad_device *idev);
u64 igrad_hw_retired(struct igrad_device *idev);
bool igrad_hw_pause(struct igrad_device *idev, u32 *started);
void igrad_hw_wait_idle(struct igrad_device *idev);
int igrad_hw_reset(struct igrad_device *idev);
void igrad_hw_enable(struct igrad_device *idev);
void igrad_hw_resume(struct igrad_device *idev);

#endif /* __IGRAD_HW_H__ */
