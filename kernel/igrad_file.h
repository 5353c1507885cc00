/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_FILE_H__
#define __IGRAD_FILE_H__

#include <drm/drm_file.h>
#include <linux/xarray.h>

struct drm_device;
struct drm_printer;
struct igrad_vm;

/**
 * struct igrad_file - what belongs to an open file
 * @vm: its address space
 * @queues: its queues, by ID; its lock also guards taking a reference to one
 */
struct igrad_file {
	struct igrad_vm *vm;
	struct xarray queues;
};

static inline struct igrad_file *to_igrad_file(struct drm_file *file)
{
	return file->driver_priv;
}

int igrad_file_open(struct drm_device *drm, struct drm_file *file);
void igrad_file_close(struct drm_device *drm, struct drm_file *file);
void igrad_file_show_fdinfo(struct drm_printer *p, struct drm_file *file);

#endif /* __IGRAD_FILE_H__ */
