/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_GEM_H__
#define __IGRAD_GEM_H__

#include <drm/drm_gem_shmem_helper.h>
#include <linux/mutex.h>

struct dma_buf;
struct dma_buf_attachment;
struct drm_device;
struct drm_file;
struct igrad_device;
struct igrad_mapping;
struct igrad_vm;
struct sg_table;

/**
 * struct igrad_bo - a buffer
 * @base: GEM object
 * @mappings: of files that have a handle
 * @read_only: an import that the device must not write to
 * @mapped: in &igrad_device.bos, while mapped for DMA by the device
 */
struct igrad_bo {
	struct drm_gem_shmem_object base;
	/** @lock: protects @mappings and the handle counts in them */
	struct mutex lock;
	struct list_head mappings;
	struct list_head mapped;
	bool read_only;
};

static inline struct igrad_bo *to_igrad_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct igrad_bo, base.base);
}

/* Does anybody else see this buffer, and the fences in it? */
static inline bool igrad_bo_is_shared(const struct igrad_bo *bo)
{
	return bo->base.base.import_attach || READ_ONCE(bo->base.base.dma_buf);
}

struct drm_gem_object *igrad_gem_create_object(struct drm_device *drm, size_t size);
struct drm_gem_object *igrad_gem_import(struct drm_device *drm, struct dma_buf *dmabuf);
struct drm_gem_object *igrad_gem_import_sg_table(struct drm_device *drm,
						 struct dma_buf_attachment *attach,
						 struct sg_table *sgt);
void igrad_gem_unplug(struct igrad_device *idev);
struct igrad_mapping *igrad_bo_find_mapping(struct igrad_bo *bo, struct igrad_vm *vm);
struct igrad_mapping *igrad_mapping_lookup(struct drm_file *file, u32 handle);

int igrad_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int igrad_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif /* __IGRAD_GEM_H__ */
