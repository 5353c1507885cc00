/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_VM_H__
#define __IGRAD_VM_H__

#include <drm/drm_mm.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "igrad_mmu.h"

struct igrad_bo;
struct igrad_device;

/* No buffer lies in the first block, so that small numbers taken for addresses fault. */
#define IGRAD_VM_START	IGRAD_BLOCK_SIZE
#define IGRAD_VM_END	IGRAD_VA_END
/* Between buffers, so that running over the end of one faults instead of spoiling the next. */
#define IGRAD_VM_GUARD	IGRAD_PAGE_SIZE

/**
 * struct igrad_vm - the address space of a file
 * @ref: held by the file, its jobs and its mappings
 * @idev: device, of which it holds a reference
 * @node: in &igrad_device.vms
 * @mm: which addresses are taken
 * @mmu: page tables
 * @unmapping: mappings that are on their way out
 * @pending: jobs that have not ended; protected by the ring's lock
 * @closed: the file has gone: no job that still waits will run; likewise
 * @busy_ns: how long jobs of this address space have executed
 */
struct igrad_vm {
	struct kref ref;
	struct igrad_device *idev;
	struct list_head node;
	/** @lock: protects @mm and @mmu */
	struct mutex lock;
	struct drm_mm mm;
	struct igrad_mmu mmu;
	atomic_t unmapping;
	u32 pending;
	bool closed;
	atomic64_t busy_ns;
};

/**
 * struct igrad_mapping - a buffer in an address space
 * @ref: held by the file's handles together, and by each job that lists the buffer
 * @vm: address space, of which it holds a reference
 * @bo: buffer, of which it holds a reference
 * @node: in &igrad_bo.mappings, while the file has a handle
 * @handles: how many; protected by &igrad_bo.lock
 * @va: where, once allocated; protected by &igrad_vm.lock, and then does not change
 * @unmap: the end, in a process
 */
struct igrad_mapping {
	struct kref ref;
	struct igrad_vm *vm;
	struct igrad_bo *bo;
	struct list_head node;
	unsigned int handles;
	struct drm_mm_node va;
	struct work_struct unmap;
};

struct igrad_vm *igrad_vm_create(struct igrad_device *idev);
struct igrad_vm *igrad_vm_get(struct igrad_vm *vm);
void igrad_vm_put(struct igrad_vm *vm);
void igrad_vm_close(struct igrad_vm *vm);
void igrad_vm_unplug(struct igrad_device *idev);
int igrad_vm_wait_unmapped(struct igrad_vm *vm);
void igrad_vm_init_addresses(struct drm_mm *mm);
int igrad_vm_alloc_addresses(struct drm_mm *mm, struct drm_mm_node *node, u64 size);

struct igrad_mapping *igrad_mapping_create(struct igrad_vm *vm, struct igrad_bo *bo);
struct igrad_mapping *igrad_mapping_get(struct igrad_mapping *mapping);
void igrad_mapping_put(struct igrad_mapping *mapping);
int igrad_mapping_map(struct igrad_mapping *mapping);

#endif /* __IGRAD_VM_H__ */
