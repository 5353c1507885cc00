/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_PM_H__
#define __IGRAD_PM_H__

#include <linux/pm.h>

struct igrad_device;

extern const struct dev_pm_ops igrad_pm_ops;

void igrad_pm_init(struct igrad_device *idev);
void igrad_pm_enable(struct igrad_device *idev);
void igrad_pm_disable(struct igrad_device *idev);
int igrad_pm_get(struct igrad_device *idev);
bool igrad_pm_get_if_awake(struct igrad_device *idev);
void igrad_pm_get_awake(struct igrad_device *idev);
void igrad_pm_put(struct igrad_device *idev);
void igrad_pm_pause(struct igrad_device *idev);
void igrad_pm_go_on(struct igrad_device *idev);

#endif /* __IGRAD_PM_H__ */
