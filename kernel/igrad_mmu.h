/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_MMU_H__
#define __IGRAD_MMU_H__

#include <linux/list.h>
#include <linux/types.h>

struct device;
struct igrad_device;
struct sg_table;

/**
 * struct igrad_pt - one page of a page table
 * @entries: what the device sees
 * @dma: its bus address
 * @used: number of valid entries
 * @freed: in the list of tables that await a TLB flush
 * @child: tables below, where there are any; none at level 0
 */
struct igrad_pt {
	__le64 *entries;
	dma_addr_t dma;
	unsigned int used;
	struct list_head freed;
	struct igrad_pt *child[];
};

/**
 * struct igrad_mmu - page tables of an address space; the caller serialises changes
 * @dev: that they are mapped for
 * @root: top table; NULL once the device is gone
 */
struct igrad_mmu {
	struct device *dev;
	struct igrad_pt *root;
};

static inline u64 igrad_mmu_root(const struct igrad_mmu *mmu)
{
	return mmu->root->dma;
}

int igrad_mmu_init(struct igrad_mmu *mmu, struct device *dev);
void igrad_mmu_fini(struct igrad_mmu *mmu);
int igrad_mmu_map(struct igrad_mmu *mmu, u64 va, u64 size, struct sg_table *sgt, bool write);
void igrad_mmu_unmap(struct igrad_mmu *mmu, u64 va, u64 size, struct list_head *freed);
void igrad_mmu_free_tables(struct igrad_mmu *mmu, struct list_head *freed);
void igrad_mmu_flush_tlb(struct igrad_device *idev, u64 root);

#endif /* __IGRAD_MMU_H__ */
