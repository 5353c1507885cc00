/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_RESET_H__
#define __IGRAD_RESET_H__

struct igrad_device;

void igrad_reset_init(struct igrad_device *idev);
void igrad_reset_run(struct igrad_device *idev, int blame);
void igrad_reset_schedule(struct igrad_device *idev);
void igrad_reset_wait(struct igrad_device *idev);

#endif /* __IGRAD_RESET_H__ */
