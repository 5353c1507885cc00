// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables. To take a mapping away: igrad_mmu_unmap(), igrad_mmu_flush_tlb(), and only then
 * igrad_mmu_free_tables() and the release of the pages that were mapped.
 */

#include <drm/drm_drv.h>
#include <linux/dma-mapping.h>
#include <linux/iopoll.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "igrad_hw.h"
#include "igrad_mmu.h"
#include "igrad_pm.h"
#include "igrad_reset.h"

/* A flush waits for DMA that was under way, at most one piece of one command. */
#define IGRAD_FLUSH_TIMEOUT_US	(5 * USEC_PER_SEC)
#define IGRAD_FLUSH_POLL_US	20

#define IGRAD_PT_TOP		(IGRAD_PT_LEVELS - 1)
#define IGRAD_PT_BLOCKS		1 /* level at which an entry may map a block */

static u64 igrad_pt_span(unsigned int level)
{
	return 1ULL << IGRAD_PT_SHIFT(level);
}

static unsigned int igrad_pt_index(u64 va, unsigned int level)
{
	return (va >> IGRAD_PT_SHIFT(level)) & (IGRAD_PT_ENTRIES - 1);
}

/* End of what the entry for @va maps, or of the range. */
static u64 igrad_pt_next(u64 va, u64 end, unsigned int level)
{
	return min(end, ALIGN_DOWN(va, igrad_pt_span(level)) + igrad_pt_span(level));
}

static struct igrad_pt *igrad_pt_alloc(struct igrad_mmu *mmu, unsigned int level)
{
	struct igrad_pt *pt;

	pt = kvzalloc(struct_size(pt, child, level ? IGRAD_PT_ENTRIES : 0), GFP_KERNEL_ACCOUNT);
	if (!pt)
		return NULL;

	pt->entries = (__le64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!pt->entries)
		goto err_free_pt;

	pt->dma = dma_map_single(mmu->dev, pt->entries, IGRAD_PAGE_SIZE, DMA_TO_DEVICE);
	if (dma_mapping_error(mmu->dev, pt->dma))
		goto err_free_page;

	return pt;

err_free_page:
	free_page((unsigned long)pt->entries);
err_free_pt:
	kvfree(pt);

	return NULL;
}

static void igrad_pt_free(struct igrad_mmu *mmu, struct igrad_pt *pt)
{
	dma_unmap_single(mmu->dev, pt->dma, IGRAD_PAGE_SIZE, DMA_TO_DEVICE);
	free_page((unsigned long)pt->entries);
	kvfree(pt);
}

/* Let the device see entries that were changed. */
static void igrad_pt_sync(struct igrad_mmu *mmu, struct igrad_pt *pt, unsigned int first,
			  unsigned int count)
{
	dma_sync_single_range_for_device(mmu->dev, pt->dma, first * sizeof(*pt->entries),
					 count * sizeof(*pt->entries), DMA_TO_DEVICE);
	/* Before whatever makes the device look, or makes us believe that it will not. */
	wmb();
}

static void igrad_pt_set(struct igrad_pt *pt, unsigned int index, u64 entry)
{
	/* The device may walk this table at any time: no torn stores. */
	WRITE_ONCE(pt->entries[index], cpu_to_le64(entry));
}

/**
 * struct igrad_sg_cursor - where we are in a mapped scatterlist
 * @sg: current segment
 * @remaining: segments left, the current one included
 * @offset: bytes of it that have been mapped
 * @access: IGRAD_PTE_WRITE, or 0
 */
struct igrad_sg_cursor {
	struct scatterlist *sg;
	unsigned int remaining;
	unsigned int offset;
	u64 access;
};

/* Is the next @size bytes one properly aligned piece? */
static bool igrad_sg_fits(const struct igrad_sg_cursor *cur, u64 size)
{
	return cur->remaining && sg_dma_len(cur->sg) - cur->offset >= size &&
		IS_ALIGNED(sg_dma_address(cur->sg) + cur->offset, size);
}

static dma_addr_t igrad_sg_take(struct igrad_sg_cursor *cur, u64 size)
{
	dma_addr_t dma = sg_dma_address(cur->sg) + cur->offset;

	cur->offset += size;
	if (cur->offset == sg_dma_len(cur->sg)) {
		cur->offset = 0;
		if (--cur->remaining)
			cur->sg = sg_next(cur->sg);
	}

	return dma;
}

/* The table below an entry, made when there is none. */
static struct igrad_pt *igrad_pt_descend(struct igrad_mmu *mmu, struct igrad_pt *pt,
					 unsigned int index, unsigned int level)
{
	if (!pt->child[index]) {
		struct igrad_pt *child = igrad_pt_alloc(mmu, level - 1);

		if (!child)
			return NULL;
		pt->child[index] = child;
		pt->used++;
		igrad_pt_set(pt, index, child->dma | IGRAD_PTE_VALID);
	}

	return pt->child[index];
}

/* May this entry be a leaf? Always at level 0; at level 1 when a block and its memory line up. */
static bool igrad_pt_is_leaf(struct igrad_pt *pt, unsigned int level, unsigned int index, u64 size,
			     const struct igrad_sg_cursor *cur)
{
	if (!level)
		return true;

	return level == IGRAD_PT_BLOCKS && size == IGRAD_BLOCK_SIZE && !pt->child[index] &&
		igrad_sg_fits(cur, size);
}

static int igrad_pt_map_leaf(struct igrad_pt *pt, unsigned int level, unsigned int index,
			     struct igrad_sg_cursor *cur)
{
	u64 entry = IGRAD_PTE_VALID | cur->access | (level ? IGRAD_PTE_BLOCK : 0);

	/* An import may be too short, or in pieces smaller than our pages. */
	if (!igrad_sg_fits(cur, igrad_pt_span(level)))
		return -EINVAL;

	igrad_pt_set(pt, index, igrad_sg_take(cur, igrad_pt_span(level)) | entry);
	pt->used++;

	return 0;
}

static int igrad_pt_map(struct igrad_mmu *mmu, struct igrad_pt *pt, unsigned int level, u64 va,
			u64 end, struct igrad_sg_cursor *cur)
{
	unsigned int first = igrad_pt_index(va, level);
	unsigned int last = igrad_pt_index(end - 1, level);
	int ret = 0;
	u64 next;

	for (; va < end && !ret; va = next) {
		unsigned int index = igrad_pt_index(va, level);
		struct igrad_pt *child;

		next = igrad_pt_next(va, end, level);
		if (igrad_pt_is_leaf(pt, level, index, next - va, cur)) {
			ret = igrad_pt_map_leaf(pt, level, index, cur);
			continue;
		}
		child = igrad_pt_descend(mmu, pt, index, level);
		ret = child ? igrad_pt_map(mmu, child, level - 1, va, next, cur) : -ENOMEM;
	}
	igrad_pt_sync(mmu, pt, first, last - first + 1);

	return ret;
}

/**
 * igrad_mmu_map() - map a buffer
 * @mmu: page tables
 * @va: where; nothing is mapped there
 * @size: of the buffer; both are multiples of the page size
 * @sgt: mapped for the device
 * @write: whether the device may write to it
 *
 * Return: 0, -ENOMEM, or -EINVAL when the pieces of the buffer cannot be mapped. After an error the
 * caller has to unmap what was mapped.
 */
int igrad_mmu_map(struct igrad_mmu *mmu, u64 va, u64 size, struct sg_table *sgt, bool write)
{
	struct igrad_sg_cursor cur = {
		.sg = sgt->sgl,
		.remaining = sgt->nents,
		.access = write ? IGRAD_PTE_WRITE : 0,
	};

	return igrad_pt_map(mmu, mmu->root, IGRAD_PT_TOP, va, va + size, &cur);
}

static void igrad_pt_unmap(struct igrad_mmu *mmu, struct igrad_pt *pt, unsigned int level, u64 va,
			   u64 end, struct list_head *freed)
{
	unsigned int first = igrad_pt_index(va, level);
	unsigned int last = igrad_pt_index(end - 1, level);
	u64 next;

	for (; va < end; va = next) {
		unsigned int index = igrad_pt_index(va, level);
		struct igrad_pt *child = level ? pt->child[index] : NULL;

		next = igrad_pt_next(va, end, level);
		if (!pt->entries[index])
			continue;
		if (child) {
			igrad_pt_unmap(mmu, child, level - 1, va, next, freed);
			if (child->used)
				continue;
			pt->child[index] = NULL;
			list_add_tail(&child->freed, freed);
		}
		igrad_pt_set(pt, index, 0);
		pt->used--;
	}
	igrad_pt_sync(mmu, pt, first, last - first + 1);
}

/**
 * igrad_mmu_unmap() - clear the entries of a buffer
 * @mmu: page tables
 * @va: of the buffer
 * @size: of the buffer; holes are fine
 * @freed: tables that have become empty are added here, for igrad_mmu_free_tables()
 */
void igrad_mmu_unmap(struct igrad_mmu *mmu, u64 va, u64 size, struct list_head *freed)
{
	igrad_pt_unmap(mmu, mmu->root, IGRAD_PT_TOP, va, va + size, freed);
}

/**
 * igrad_mmu_free_tables() - free what igrad_mmu_unmap() has left, after a TLB flush
 * @mmu: page tables
 * @freed: empty tables
 */
void igrad_mmu_free_tables(struct igrad_mmu *mmu, struct list_head *freed)
{
	struct igrad_pt *pt, *next;

	list_for_each_entry_safe(pt, next, freed, freed)
		igrad_pt_free(mmu, pt);
}

/**
 * igrad_mmu_init() - make empty page tables
 * @mmu: page tables
 * @dev: device that walks them
 *
 * Return: 0 or -ENOMEM.
 */
int igrad_mmu_init(struct igrad_mmu *mmu, struct device *dev)
{
	mmu->dev = dev;
	mmu->root = igrad_pt_alloc(mmu, IGRAD_PT_TOP);

	return mmu->root ? 0 : -ENOMEM;
}

static void igrad_pt_free_all(struct igrad_mmu *mmu, struct igrad_pt *pt, unsigned int level)
{
	unsigned int i;

	for (i = 0; level && i < IGRAD_PT_ENTRIES; i++)
		if (pt->child[i])
			igrad_pt_free_all(mmu, pt->child[i], level - 1);
	igrad_pt_free(mmu, pt);
}

/**
 * igrad_mmu_fini() - free page tables, with all that is mapped in them; nothing if done before
 * @mmu: page tables that the device does not walk any more
 */
void igrad_mmu_fini(struct igrad_mmu *mmu)
{
	if (mmu->root)
		igrad_pt_free_all(mmu, mmu->root, IGRAD_PT_TOP);
	mmu->root = NULL;
}

/*
 * A reset drops all translations, but until it has ended the device may still use one, and ignores
 * what is written to it. Reads of a device that is gone are all ones.
 */
static bool igrad_tlb_is_busy(struct igrad_device *idev)
{
	u32 flush = igrad_read(idev, IGRAD_REG_TLB_FLUSH);
	u32 ctrl = igrad_read(idev, IGRAD_REG_CTRL);

	return ctrl != U32_MAX && (flush & 1 || ctrl & IGRAD_CTRL_RESET);
}

/* One flush at a time, and none while the device is being stopped for good: then it is quiet. */
static bool igrad_tlb_flush(struct igrad_device *idev, u64 root)
{
	bool busy = false;

	mutex_lock(&idev->tlb_lock);
	if (!igrad_ring_is_quiet(idev)) {
		igrad_write64(idev, IGRAD_REG_TLB_ROOT_LO, root);
		igrad_write(idev, IGRAD_REG_TLB_FLUSH, 1);
		read_poll_timeout(igrad_tlb_is_busy, busy, !busy, IGRAD_FLUSH_POLL_US,
				  IGRAD_FLUSH_TIMEOUT_US, false, idev);
	}
	mutex_unlock(&idev->tlb_lock);

	return !busy;
}

/**
 * igrad_mmu_flush_tlb() - wait until the device uses no old translation of an address space
 * @idev: device
 * @root: of its page tables
 *
 * A device that does not finish the flush is reset, or cut off from memory: when this returns, what
 * was unmapped may be used for something else.
 */
void igrad_mmu_flush_tlb(struct igrad_device *idev, u64 root)
{
	int idx;

	/* It was made quiet before it was unplugged. */
	if (!drm_dev_enter(&idev->drm, &idx))
		return;

	/* One that sleeps was reset before, and keeps no translations. */
	if (igrad_pm_get_if_awake(idev)) {
		while (!igrad_tlb_flush(idev, root))
			igrad_reset_wait(idev);
		igrad_pm_put(idev);
	}
	drm_dev_exit(idx);
}
