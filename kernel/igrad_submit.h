/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_SUBMIT_H__
#define __IGRAD_SUBMIT_H__

struct drm_device;
struct drm_file;

int igrad_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif /* __IGRAD_SUBMIT_H__ */
