/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_SCHED_H__
#define __IGRAD_SCHED_H__

struct igrad_device;

int igrad_sched_init(struct igrad_device *idev);

#endif /* __IGRAD_SCHED_H__ */
