/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_DEBUGFS_H__
#define __IGRAD_DEBUGFS_H__

struct igrad_device;

void igrad_debugfs_init(struct igrad_device *idev);

#endif /* __IGRAD_DEBUGFS_H__ */
