// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces, and the buffers in them.
 *
 * A mapping ends when the file has closed all its handles of the buffer and no job lists it any
 * more. Whoever drops the last reference only starts that: entries are cleared, the TLB is flushed,
 * and then the pages and the addresses are released, by a worker.
 */

#include <drm/drm_drv.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "igrad_device.h"
#include "igrad_gem.h"
#include "igrad_vm.h"

/**
 * igrad_vm_create() - make an empty address space
 * @idev: device, between drm_dev_enter() and drm_dev_exit()
 *
 * Return: the address space, or an ERR_PTR().
 */
struct igrad_vm *igrad_vm_create(struct igrad_device *idev)
{
	struct igrad_vm *vm;
	int ret;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);

	ret = igrad_mmu_init(&vm->mmu, idev->drm.dev);
	if (ret) {
		kfree(vm);
		return ERR_PTR(ret);
	}

	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	igrad_vm_init_addresses(&vm->mm);
	drm_dev_get(&idev->drm);
	vm->idev = idev;
	mutex_lock(&idev->mapped_lock);
	list_add(&vm->node, &idev->vms);
	mutex_unlock(&idev->mapped_lock);

	return vm;
}

/**
 * igrad_vm_get() - take a reference
 * @vm: address space
 *
 * Return: @vm.
 */
struct igrad_vm *igrad_vm_get(struct igrad_vm *vm)
{
	kref_get(&vm->ref);

	return vm;
}

static void igrad_vm_release(struct kref *ref)
{
	struct igrad_vm *vm = container_of(ref, struct igrad_vm, ref);
	struct igrad_device *idev = vm->idev;

	mutex_lock(&idev->mapped_lock);
	list_del(&vm->node);
	mutex_unlock(&idev->mapped_lock);
	if (vm->mmu.root) {
		WARN_ON(vm->mmu.root->used);
		igrad_mmu_flush_tlb(idev, igrad_mmu_root(&vm->mmu));
	}
	drm_mm_takedown(&vm->mm);
	igrad_mmu_fini(&vm->mmu);
	mutex_destroy(&vm->lock);
	kfree(vm);
	drm_dev_put(&idev->drm);
}

/**
 * igrad_vm_put() - drop a reference
 * @vm: address space
 *
 * The last one may be dropped only where the device itself may end, that is when a file is closed
 * and on igrad_release_wq.
 */
void igrad_vm_put(struct igrad_vm *vm)
{
	kref_put(&vm->ref, igrad_vm_release);
}

/**
 * igrad_vm_close() - cancel the jobs that the device does not have yet, of whatever queue
 * @vm: address space of a file that is being closed
 */
void igrad_vm_close(struct igrad_vm *vm)
{
	struct igrad_ring *ring = &vm->idev->ring;

	spin_lock(&ring->lock);
	vm->closed = true;
	spin_unlock(&ring->lock);
}

/**
 * igrad_vm_unplug() - free the page tables of all address spaces
 * @idev: device that is gone, and was quiet before
 *
 * The address spaces live on until their files are closed, but nothing is mapped in them any more.
 */
void igrad_vm_unplug(struct igrad_device *idev)
{
	struct igrad_vm *vm;

	mutex_lock(&idev->mapped_lock);
	list_for_each_entry(vm, &idev->vms, node) {
		mutex_lock(&vm->lock);
		igrad_mmu_fini(&vm->mmu);
		mutex_unlock(&vm->lock);
	}
	mutex_unlock(&idev->mapped_lock);
}

/**
 * igrad_vm_wait_unmapped() - wait for the mappings that have ended to be gone
 * @vm: address space
 *
 * So that a file which creates and closes buffers quickly does not get ahead of their release.
 *
 * Return: 0 or -ERESTARTSYS.
 */
int igrad_vm_wait_unmapped(struct igrad_vm *vm)
{
	return wait_var_event_killable(&vm->unmapping, !atomic_read(&vm->unmapping));
}

static void igrad_mapping_free(struct igrad_mapping *mapping)
{
	drm_gem_object_put(&mapping->bo->base.base);
	igrad_vm_put(mapping->vm);
	kfree(mapping);
}

static void igrad_mapping_unmap(struct igrad_mapping *mapping)
{
	struct igrad_vm *vm = mapping->vm;
	LIST_HEAD(freed);

	lockdep_assert_held(&vm->lock);

	if (vm->mmu.root) {
		igrad_mmu_unmap(&vm->mmu, mapping->va.start, mapping->bo->base.base.size, &freed);
		igrad_mmu_flush_tlb(vm->idev, igrad_mmu_root(&vm->mmu));
		igrad_mmu_free_tables(&vm->mmu, &freed);
	}
	drm_mm_remove_node(&mapping->va);
}

static void igrad_mapping_unmap_work(struct work_struct *work)
{
	struct igrad_mapping *mapping = container_of(work, struct igrad_mapping, unmap);
	struct igrad_vm *vm = igrad_vm_get(mapping->vm);

	mutex_lock(&vm->lock);
	if (drm_mm_node_allocated(&mapping->va))
		igrad_mapping_unmap(mapping);
	mutex_unlock(&vm->lock);
	igrad_mapping_free(mapping);

	if (atomic_dec_and_test(&vm->unmapping))
		wake_up_var(&vm->unmapping);
	igrad_vm_put(vm);
}

/**
 * igrad_mapping_create() - let a buffer belong to an address space; it has no address yet
 * @vm: address space
 * @bo: buffer
 *
 * Return: the mapping, with one reference and one handle, or NULL.
 */
struct igrad_mapping *igrad_mapping_create(struct igrad_vm *vm, struct igrad_bo *bo)
{
	struct igrad_mapping *mapping = kzalloc(sizeof(*mapping), GFP_KERNEL_ACCOUNT);

	if (!mapping)
		return NULL;

	kref_init(&mapping->ref);
	mapping->vm = igrad_vm_get(vm);
	drm_gem_object_get(&bo->base.base);
	mapping->bo = bo;
	mapping->handles = 1;
	INIT_WORK(&mapping->unmap, igrad_mapping_unmap_work);

	return mapping;
}

/**
 * igrad_mapping_get() - take a reference
 * @mapping: mapping
 *
 * Return: @mapping.
 */
struct igrad_mapping *igrad_mapping_get(struct igrad_mapping *mapping)
{
	kref_get(&mapping->ref);

	return mapping;
}

static void igrad_mapping_release(struct kref *ref)
{
	struct igrad_mapping *mapping = container_of(ref, struct igrad_mapping, ref);

	atomic_inc(&mapping->vm->unmapping);
	queue_work(igrad_release_wq, &mapping->unmap);
}

/**
 * igrad_mapping_put() - drop a reference; never waits
 * @mapping: mapping
 */
void igrad_mapping_put(struct igrad_mapping *mapping)
{
	kref_put(&mapping->ref, igrad_mapping_release);
}

/**
 * igrad_vm_init_addresses() - all addresses that a buffer may have
 * @mm: to be initialised
 */
void igrad_vm_init_addresses(struct drm_mm *mm)
{
	drm_mm_init(mm, IGRAD_VM_START, IGRAD_VM_END - IGRAD_VM_START);
}

/**
 * igrad_vm_alloc_addresses() - find room for a buffer, and for nothing behind it
 * @mm: addresses
 * @node: to be inserted
 * @size: of the buffer
 *
 * Return: 0, -ENOMEM or -ENOSPC.
 */
int igrad_vm_alloc_addresses(struct drm_mm *mm, struct drm_mm_node *node, u64 size)
{
	u64 align = size < IGRAD_BLOCK_SIZE ? IGRAD_PAGE_SIZE : IGRAD_BLOCK_SIZE;

	return drm_mm_insert_node_generic(mm, node, size + IGRAD_VM_GUARD, align, 0,
					  DRM_MM_INSERT_BEST);
}

static int igrad_mapping_insert(struct igrad_mapping *mapping, struct sg_table *sgt)
{
	struct igrad_vm *vm = mapping->vm;
	u64 size = mapping->bo->base.base.size;
	int ret;

	ret = igrad_vm_alloc_addresses(&vm->mm, &mapping->va, size);
	if (ret)
		return ret;

	ret = igrad_mmu_map(&vm->mmu, mapping->va.start, size, sgt, !mapping->bo->read_only);
	if (ret)
		igrad_mapping_unmap(mapping);

	return ret;
}

/**
 * igrad_mapping_map() - give a buffer its address, if it has none yet
 * @mapping: mapping; the caller is between drm_dev_enter() and drm_dev_exit()
 *
 * Return: 0, -ENOMEM, -ENOSPC when there is no room, -EINVAL for an import that cannot be mapped,
 * or -ERESTARTSYS.
 */
int igrad_mapping_map(struct igrad_mapping *mapping)
{
	struct igrad_vm *vm = mapping->vm;
	struct sg_table *sgt;
	int ret = 0;

	sgt = drm_gem_shmem_get_pages_sgt(&mapping->bo->base);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);

	mutex_lock(&vm->lock);
	if (!drm_mm_node_allocated(&mapping->va))
		ret = igrad_mapping_insert(mapping, sgt);
	mutex_unlock(&vm->lock);

	return ret;
}
