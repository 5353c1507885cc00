// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers: shmem objects that know in which address spaces they are.
 */

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_prime.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <drm/igrad_accel.h>

#include "igrad_compat.h"
#include "igrad_device.h"
#include "igrad_file.h"
#include "igrad_gem.h"
#include "igrad_vm.h"

/**
 * igrad_bo_find_mapping() - the mapping of a buffer in an address space that has a handle of it
 * @bo: buffer
 * @vm: address space
 *
 * Return: the mapping, with a reference for the caller, or NULL.
 */
struct igrad_mapping *igrad_bo_find_mapping(struct igrad_bo *bo, struct igrad_vm *vm)
{
	struct igrad_mapping *mapping, *found = NULL;

	mutex_lock(&bo->lock);
	list_for_each_entry(mapping, &bo->mappings, node) {
		if (mapping->vm == vm) {
			found = igrad_mapping_get(mapping);
			break;
		}
	}
	mutex_unlock(&bo->lock);

	return found;
}

/**
 * igrad_mapping_lookup() - the mapping of a handle
 * @file: whose handle
 * @handle: of a buffer
 *
 * Return: the mapping, with a reference for the caller, or NULL.
 */
struct igrad_mapping *igrad_mapping_lookup(struct drm_file *file, u32 handle)
{
	struct drm_gem_object *obj = drm_gem_object_lookup(file, handle);
	struct igrad_mapping *mapping;

	if (!obj)
		return NULL;

	mapping = igrad_bo_find_mapping(to_igrad_bo(obj), to_igrad_file(file)->vm);
	drm_gem_object_put(obj);

	return mapping;
}

/* The file got a handle. It may get several of one buffer. */
static int igrad_gem_open(struct drm_gem_object *obj, struct drm_file *file)
{
	struct igrad_vm *vm = to_igrad_file(file)->vm;
	struct igrad_bo *bo = to_igrad_bo(obj);
	struct igrad_mapping *mapping;
	int ret = 0;

	mutex_lock(&bo->lock);
	list_for_each_entry(mapping, &bo->mappings, node) {
		if (mapping->vm == vm) {
			mapping->handles++;
			goto out_unlock;
		}
	}

	mapping = igrad_mapping_create(vm, bo);
	if (mapping)
		list_add(&mapping->node, &bo->mappings);
	else
		ret = -ENOMEM;

out_unlock:
	mutex_unlock(&bo->lock);

	return ret;
}

/* The file closed a handle. Jobs that list the buffer keep the mapping. */
static void igrad_gem_close(struct drm_gem_object *obj, struct drm_file *file)
{
	struct igrad_vm *vm = to_igrad_file(file)->vm;
	struct igrad_bo *bo = to_igrad_bo(obj);
	struct igrad_mapping *mapping;

	mutex_lock(&bo->lock);
	list_for_each_entry(mapping, &bo->mappings, node) {
		if (mapping->vm != vm)
			continue;
		if (!--mapping->handles) {
			list_del_init(&mapping->node);
			igrad_mapping_put(mapping);
		}
		break;
	}
	mutex_unlock(&bo->lock);
}

/* From now on the device's removal has to undo the mapping for DMA. */
static void igrad_bo_note_mapped(struct igrad_bo *bo)
{
	struct igrad_device *idev = to_igrad_device(bo->base.base.dev);

	mutex_lock(&idev->mapped_lock);
	list_add(&bo->mapped, &idev->bos);
	mutex_unlock(&idev->mapped_lock);
}

/* Pages stay where they are, for the maps of processes; only the device loses them. */
static void igrad_bo_unmap_dma(struct igrad_bo *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	struct dma_buf_attachment *attach = obj->import_attach;
	struct dma_resv *resv = attach ? attach->dmabuf->resv : obj->resv;

	dma_resv_lock(resv, NULL);
	if (attach) {
		igrad_dma_buf_forget_mapping(attach);
		dma_buf_unmap_attachment(attach, bo->base.sgt, DMA_BIDIRECTIONAL);
	} else {
		dma_unmap_sgtable(obj->dev->dev, bo->base.sgt, DMA_BIDIRECTIONAL, 0);
		sg_free_table(bo->base.sgt);
		kfree(bo->base.sgt);
	}
	bo->base.sgt = NULL;
	dma_resv_unlock(resv);
}

static void igrad_gem_free(struct drm_gem_object *obj)
{
	struct igrad_device *idev = to_igrad_device(obj->dev);
	struct igrad_bo *bo = to_igrad_bo(obj);

	/* By us or by the device's removal, which is not over before. */
	mutex_lock(&idev->mapped_lock);
	if (!list_empty(&bo->mapped)) {
		list_del_init(&bo->mapped);
		igrad_bo_unmap_dma(bo);
	}
	mutex_unlock(&idev->mapped_lock);
	mutex_destroy(&bo->lock);
	drm_gem_shmem_free(&bo->base);
}

static const struct drm_gem_object_funcs igrad_gem_funcs = {
	.free = igrad_gem_free,
	.open = igrad_gem_open,
	.close = igrad_gem_close,
	.print_info = drm_gem_shmem_object_print_info,
	.pin = drm_gem_shmem_object_pin,
	.unpin = drm_gem_shmem_object_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = drm_gem_shmem_object_vmap,
	.vunmap = drm_gem_shmem_object_vunmap,
	.mmap = drm_gem_shmem_object_mmap,
	.vm_ops = &drm_gem_shmem_vm_ops,
};

/**
 * igrad_gem_create_object() - allocate an object for the shmem helpers, own or imported
 * @drm: device
 * @size: of the buffer
 *
 * Return: the object, or an ERR_PTR().
 */
struct drm_gem_object *igrad_gem_create_object(struct drm_device *drm, size_t size)
{
	struct igrad_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);

	if (!bo)
		return ERR_PTR(-ENOMEM);

	/* The helpers free the object by its base. */
	BUILD_BUG_ON(offsetof(struct igrad_bo, base.base) != 0);

	mutex_init(&bo->lock);
	INIT_LIST_HEAD(&bo->mappings);
	INIT_LIST_HEAD(&bo->mapped);
	bo->base.base.funcs = &igrad_gem_funcs;

	return &bo->base.base;
}

/**
 * igrad_gem_import_sg_table() - make a buffer of what somebody else has mapped for us
 * @drm: device
 * @attach: to the dma-buf
 * @sgt: mapped for the device
 *
 * Return: the object, or an ERR_PTR().
 */
struct drm_gem_object *igrad_gem_import_sg_table(struct drm_device *drm,
						 struct dma_buf_attachment *attach,
						 struct sg_table *sgt)
{
	struct drm_gem_object *obj = drm_gem_shmem_prime_import_sg_table(drm, attach, sgt);

	if (!IS_ERR(obj)) {
		/* The core will do so in a moment, but the device's removal needs to know now. */
		obj->import_attach = attach;
		to_igrad_bo(obj)->read_only = !(attach->dmabuf->file->f_mode & FMODE_WRITE);
		igrad_bo_note_mapped(to_igrad_bo(obj));
	}

	return obj;
}

/**
 * igrad_gem_import() - import a dma-buf
 * @drm: device
 * @dmabuf: of any exporter
 *
 * Return: the object, or an ERR_PTR().
 */
struct drm_gem_object *igrad_gem_import(struct drm_device *drm, struct dma_buf *dmabuf)
{
	struct drm_gem_object *obj;
	int idx;

	if (!drm_dev_enter(drm, &idx))
		return ERR_PTR(-ENODEV);
	obj = drm_gem_prime_import(drm, dmabuf);
	drm_dev_exit(idx);

	return obj;
}

/**
 * igrad_gem_unplug() - undo all mappings of buffers for DMA
 * @idev: device that is gone
 *
 * The buffers live on until they are closed.
 */
void igrad_gem_unplug(struct igrad_device *idev)
{
	struct igrad_bo *bo, *next;

	mutex_lock(&idev->mapped_lock);
	list_for_each_entry_safe(bo, next, &idev->bos, mapped) {
		list_del_init(&bo->mapped);
		igrad_bo_unmap_dma(bo);
	}
	mutex_unlock(&idev->mapped_lock);
}

/* Refuse what cannot succeed before anything is allocated. */
static int igrad_bo_check_size(u64 size)
{
	if (!size || size > IGRAD_VM_END - IGRAD_VM_START)
		return -EINVAL;
	if (size > (u64)totalram_pages() << PAGE_SHIFT)
		return -ENOMEM;

	return 0;
}

/* All pages, zeroed and mapped for DMA: a job never waits for memory. */
static struct igrad_bo *igrad_bo_create(struct drm_device *drm, u64 size)
{
	struct drm_gem_shmem_object *shmem = drm_gem_shmem_create(drm, size);
	struct sg_table *sgt;

	if (IS_ERR(shmem))
		return ERR_CAST(shmem);

	sgt = drm_gem_shmem_get_pages_sgt(shmem);
	if (IS_ERR(sgt)) {
		drm_gem_object_put(&shmem->base);
		return ERR_CAST(sgt);
	}
	igrad_bo_note_mapped(to_igrad_bo(&shmem->base));

	return to_igrad_bo(&shmem->base);
}

static int igrad_bo_create_mapped(struct drm_device *drm, struct drm_igrad_bo_create *args,
				  struct drm_file *file)
{
	struct igrad_vm *vm = to_igrad_file(file)->vm;
	struct igrad_mapping *mapping;
	struct igrad_bo *bo;
	int ret;

	bo = igrad_bo_create(drm, args->size);
	if (IS_ERR(bo))
		return PTR_ERR(bo);

	ret = drm_gem_handle_create(file, &bo->base.base, &args->handle);
	if (ret)
		goto out_put_bo;

	/* Not found: another thread has guessed the handle and closed it already. */
	mapping = igrad_bo_find_mapping(bo, vm);
	if (!mapping) {
		ret = -ENOENT;
		goto out_put_bo;
	}

	ret = igrad_mapping_map(mapping);
	if (ret) {
		drm_gem_handle_delete(file, args->handle);
	} else {
		args->size = bo->base.base.size;
		args->va = mapping->va.start;
		args->mmap_offset = drm_vma_node_offset_addr(&bo->base.base.vma_node);
	}
	igrad_mapping_put(mapping);

out_put_bo:
	drm_gem_object_put(&bo->base.base);

	return ret;
}

/**
 * igrad_bo_create_ioctl() - DRM_IOCTL_IGRAD_BO_CREATE
 * @drm: device
 * @data: struct drm_igrad_bo_create
 * @file: caller
 *
 * Return: 0 or a negative errno.
 */
int igrad_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_igrad_bo_create *args = data;
	int idx, ret;

	if (args->flags)
		return -EINVAL;
	ret = igrad_bo_check_size(args->size);
	if (ret)
		return ret;
	ret = igrad_vm_wait_unmapped(to_igrad_file(file)->vm);
	if (ret)
		return ret;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	ret = igrad_bo_create_mapped(drm, args, file);
	drm_dev_exit(idx);

	return ret;
}

/**
 * igrad_bo_info_ioctl() - DRM_IOCTL_IGRAD_BO_INFO
 * @drm: device
 * @data: struct drm_igrad_bo_info
 * @file: caller
 *
 * Return: 0 or a negative errno.
 */
int igrad_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_igrad_bo_info *args = data;
	struct igrad_mapping *mapping;
	struct drm_gem_object *obj;
	int idx, ret;

	mapping = igrad_mapping_lookup(file, args->handle);
	if (!mapping)
		return -ENOENT;

	ret = -ENODEV;
	if (drm_dev_enter(drm, &idx)) {
		ret = igrad_mapping_map(mapping);
		drm_dev_exit(idx);
	}
	if (!ret) {
		obj = &mapping->bo->base.base;
		args->flags = 0;
		args->size = obj->size;
		args->va = mapping->va.start;
		args->mmap_offset = obj->import_attach ?
			0 : drm_vma_node_offset_addr(&obj->vma_node);
	}
	igrad_mapping_put(mapping);

	return ret;
}
