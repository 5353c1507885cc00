// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what can be tested without a device: page tables, addresses, ring arithmetic.
 */

#include <drm/drm_mm.h>
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>

#include "igrad_mmu.h"
#include "igrad_ring.h"
#include "igrad_vm.h"

/* No memory is there: tables are only looked at. */
#define IGRAD_KUNIT_MEMORY	0x3000000000ULL
#define IGRAD_KUNIT_VA		(3ULL * SZ_1G + 5ULL * SZ_2M)

struct igrad_kunit {
	struct igrad_mmu mmu;
	struct sg_table sgt;
	u64 dma_mask;
};

static int igrad_kunit_init(struct kunit *test)
{
	struct igrad_kunit *priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);
	struct device *dev;

	KUNIT_ASSERT_NOT_NULL(test, priv);
	test->priv = priv;
	dev = kunit_device_register(test, "igrad-kunit");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	dev->dma_mask = &priv->dma_mask;
	KUNIT_ASSERT_EQ(test, 0, dma_set_mask_and_coherent(dev, DMA_BIT_MASK(52)));
	KUNIT_ASSERT_EQ(test, 0, igrad_mmu_init(&priv->mmu, dev));

	return 0;
}

static void igrad_kunit_exit(struct kunit *test)
{
	struct igrad_kunit *priv = test->priv;

	igrad_mmu_fini(&priv->mmu);
	KUNIT_EXPECT_NULL(test, priv->mmu.root);
	/* Doing it again does nothing. */
	igrad_mmu_fini(&priv->mmu);
}

/* Memory in pieces of these sizes; each begins @skip bytes behind the end of the last one. */
static void igrad_kunit_memory(struct kunit *test, const unsigned int *sizes, unsigned int count,
			       u64 start, unsigned int skip)
{
	struct igrad_kunit *priv = test->priv;
	struct scatterlist *sg;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, sg_alloc_table(&priv->sgt, count, GFP_KERNEL));
	for_each_sgtable_dma_sg(&priv->sgt, sg, i) {
		sg_dma_address(sg) = start;
		sg_dma_len(sg) = sizes[i];
		start += sizes[i] + skip;
	}
}

/* What the device would find: the entry that maps an address, 0 if none does. */
static u64 igrad_kunit_walk(const struct igrad_mmu *mmu, u64 va, u64 *dma)
{
	const struct igrad_pt *pt = mmu->root;
	int level;

	for (level = IGRAD_PT_LEVELS - 1; level >= 0; level--) {
		unsigned int index = (va >> IGRAD_PT_SHIFT(level)) & (IGRAD_PT_ENTRIES - 1);
		u64 entry = le64_to_cpu(pt->entries[index]);

		if (!(entry & IGRAD_PTE_VALID))
			return 0;
		if (!level || entry & IGRAD_PTE_BLOCK) {
			*dma = (entry & IGRAD_PTE_ADDR) |
				(va & (BIT_ULL(IGRAD_PT_SHIFT(level)) - 1));
			return entry;
		}
		if (!pt->child[index] || pt->child[index]->dma != (entry & IGRAD_PTE_ADDR))
			return 0;
		pt = pt->child[index];
	}

	return 0;
}

/* Each page is where it should be, and the pages beside them are nowhere. */
static unsigned int igrad_kunit_check(struct kunit *test, u64 va, u64 size)
{
	struct igrad_kunit *priv = test->priv;
	unsigned int i, blocks = 0;
	struct scatterlist *sg;
	u64 at = va, dma = 0;

	for_each_sgtable_dma_sg(&priv->sgt, sg, i) {
		u64 offset;

		for (offset = 0; offset < sg_dma_len(sg) && at < va + size; offset += SZ_4K) {
			u64 entry = igrad_kunit_walk(&priv->mmu, at, &dma);

			KUNIT_ASSERT_TRUE(test, entry & IGRAD_PTE_WRITE);
			KUNIT_ASSERT_EQ(test, sg_dma_address(sg) + offset, dma);
			if (entry & IGRAD_PTE_BLOCK && IS_ALIGNED(at, SZ_2M))
				blocks++;
			at += SZ_4K;
		}
	}
	KUNIT_EXPECT_EQ(test, va + size, at);
	KUNIT_EXPECT_EQ(test, 0, igrad_kunit_walk(&priv->mmu, va - 1, &dma));
	KUNIT_EXPECT_EQ(test, 0, igrad_kunit_walk(&priv->mmu, va + size, &dma));

	return blocks;
}

static void igrad_kunit_unmap(struct kunit *test, u64 va, u64 size)
{
	struct igrad_kunit *priv = test->priv;
	LIST_HEAD(freed);

	igrad_mmu_unmap(&priv->mmu, va, size, &freed);
	igrad_mmu_free_tables(&priv->mmu, &freed);
	KUNIT_EXPECT_EQ(test, 0, priv->mmu.root->used);
	KUNIT_EXPECT_TRUE(test, !memchr_inv(priv->mmu.root->entries, 0, IGRAD_PAGE_SIZE));
	sg_free_table(&priv->sgt);
}

static void igrad_kunit_one(struct kunit *test, u64 va, const unsigned int *sizes,
			    unsigned int count, u64 start, unsigned int skip, unsigned int blocks)
{
	struct igrad_kunit *priv = test->priv;
	unsigned int i;
	u64 size = 0;

	for (i = 0; i < count; i++)
		size += sizes[i];
	igrad_kunit_memory(test, sizes, count, start, skip);
	KUNIT_ASSERT_EQ(test, 0, igrad_mmu_map(&priv->mmu, va, size, &priv->sgt, true));
	KUNIT_EXPECT_EQ(test, blocks, igrad_kunit_check(test, va, size));
	igrad_kunit_unmap(test, va, size);
}

static void igrad_kunit_pages(struct kunit *test)
{
	static const unsigned int one[] = { SZ_4K };
	static const unsigned int pieces[] = { SZ_4K, SZ_64K, SZ_4K, SZ_1M, SZ_4K };

	igrad_kunit_one(test, IGRAD_KUNIT_VA, one, 1, IGRAD_KUNIT_MEMORY, 0, 0);
	igrad_kunit_one(test, IGRAD_KUNIT_VA, pieces, 5, IGRAD_KUNIT_MEMORY, SZ_4K, 0);
	/* Over the end of a table, of one a level up, and up to the last address. */
	igrad_kunit_one(test, IGRAD_KUNIT_VA - SZ_4K, pieces, 5, IGRAD_KUNIT_MEMORY, SZ_4K, 0);
	igrad_kunit_one(test, 4ULL * SZ_1G - SZ_4K, pieces, 5, IGRAD_KUNIT_MEMORY, SZ_4K, 0);
}

static void igrad_kunit_last_page(struct kunit *test)
{
	struct igrad_kunit *priv = test->priv;
	static const unsigned int one[] = { SZ_4K };
	u64 dma;

	igrad_kunit_memory(test, one, 1, IGRAD_KUNIT_MEMORY, 0);
	KUNIT_ASSERT_EQ(test, 0, igrad_mmu_map(&priv->mmu, IGRAD_VA_END - SZ_4K, SZ_4K, &priv->sgt,
					       true));
	KUNIT_EXPECT_NE(test, 0, igrad_kunit_walk(&priv->mmu, IGRAD_VA_END - 1, &dma));
	KUNIT_EXPECT_EQ(test, IGRAD_KUNIT_MEMORY + SZ_4K - 1, dma);
	igrad_kunit_unmap(test, IGRAD_VA_END - SZ_4K, SZ_4K);
}

static void igrad_kunit_blocks(struct kunit *test)
{
	static const unsigned int big[] = { 4 * SZ_2M };
	static const unsigned int odd[] = { 3 * SZ_2M + SZ_4K };
	static const unsigned int halves[] = { SZ_1M, SZ_1M, SZ_2M };

	igrad_kunit_one(test, IGRAD_KUNIT_VA, big, 1, IGRAD_KUNIT_MEMORY, 0, 4);
	igrad_kunit_one(test, IGRAD_KUNIT_VA, odd, 1, IGRAD_KUNIT_MEMORY, 0, 3);
	/* Memory and addresses do not line up. */
	igrad_kunit_one(test, IGRAD_KUNIT_VA, big, 1, IGRAD_KUNIT_MEMORY + SZ_4K, 0, 0);
	igrad_kunit_one(test, IGRAD_KUNIT_VA + SZ_4K, big, 1, IGRAD_KUNIT_MEMORY, 0, 0);
	igrad_kunit_one(test, IGRAD_KUNIT_VA + SZ_4K, big, 1, IGRAD_KUNIT_MEMORY + SZ_4K, 0, 3);
	/* A block has to be one piece. */
	igrad_kunit_one(test, IGRAD_KUNIT_VA, halves, 3, IGRAD_KUNIT_MEMORY, 0, 1);
}

static void igrad_kunit_read_only(struct kunit *test)
{
	struct igrad_kunit *priv = test->priv;
	static const unsigned int odd[] = { SZ_2M + SZ_4K };
	u64 dma, entry;

	igrad_kunit_memory(test, odd, 1, IGRAD_KUNIT_MEMORY, 0);
	KUNIT_ASSERT_EQ(test, 0, igrad_mmu_map(&priv->mmu, IGRAD_KUNIT_VA, SZ_2M + SZ_4K,
					       &priv->sgt, false));
	entry = igrad_kunit_walk(&priv->mmu, IGRAD_KUNIT_VA, &dma);
	KUNIT_EXPECT_EQ(test, IGRAD_KUNIT_MEMORY | IGRAD_PTE_VALID | IGRAD_PTE_BLOCK, entry);
	entry = igrad_kunit_walk(&priv->mmu, IGRAD_KUNIT_VA + SZ_2M, &dma);
	KUNIT_EXPECT_EQ(test, (IGRAD_KUNIT_MEMORY + SZ_2M) | IGRAD_PTE_VALID, entry);
	igrad_kunit_unmap(test, IGRAD_KUNIT_VA, SZ_2M + SZ_4K);
}

/* What cannot be mapped is refused, and what was mapped by then can be undone. */
static void igrad_kunit_refused(struct kunit *test)
{
	struct igrad_kunit *priv = test->priv;
	static const unsigned int crumbs[] = { SZ_64K, SZ_2K, SZ_64K };
	static const unsigned int brief[] = { SZ_64K };

	igrad_kunit_memory(test, crumbs, 3, IGRAD_KUNIT_MEMORY, 0);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			igrad_mmu_map(&priv->mmu, IGRAD_KUNIT_VA, SZ_128K, &priv->sgt, true));
	igrad_kunit_unmap(test, IGRAD_KUNIT_VA, SZ_128K);

	igrad_kunit_memory(test, brief, 1, IGRAD_KUNIT_MEMORY, 0);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			igrad_mmu_map(&priv->mmu, IGRAD_KUNIT_VA, SZ_128K, &priv->sgt, true));
	igrad_kunit_unmap(test, IGRAD_KUNIT_VA, SZ_128K);
}

/* Tables that two buffers share stay as long as one of them does. */
static void igrad_kunit_neighbours(struct kunit *test)
{
	struct igrad_kunit *priv = test->priv;
	static const unsigned int one[] = { SZ_64K };
	u64 second = IGRAD_KUNIT_VA + SZ_64K + SZ_4K, dma = 0;
	LIST_HEAD(freed);

	igrad_kunit_memory(test, one, 1, IGRAD_KUNIT_MEMORY, 0);
	KUNIT_ASSERT_EQ(test, 0, igrad_mmu_map(&priv->mmu, IGRAD_KUNIT_VA, SZ_64K, &priv->sgt,
					       true));
	KUNIT_ASSERT_EQ(test, 0, igrad_mmu_map(&priv->mmu, second, SZ_64K, &priv->sgt, true));
	igrad_kunit_check(test, IGRAD_KUNIT_VA, SZ_64K);
	igrad_kunit_check(test, second, SZ_64K);

	igrad_mmu_unmap(&priv->mmu, IGRAD_KUNIT_VA, SZ_64K, &freed);
	KUNIT_EXPECT_TRUE(test, list_empty(&freed));
	KUNIT_EXPECT_EQ(test, 0, igrad_kunit_walk(&priv->mmu, IGRAD_KUNIT_VA, &dma));
	igrad_kunit_check(test, second, SZ_64K);
	igrad_mmu_unmap(&priv->mmu, second, SZ_64K, &freed);
	KUNIT_EXPECT_EQ(test, IGRAD_PT_LEVELS - 1, list_count_nodes(&freed));
	igrad_mmu_free_tables(&priv->mmu, &freed);
	sg_free_table(&priv->sgt);
}

/* Indices run through all 32 bits and begin again. */
static void igrad_kunit_ring(struct kunit *test)
{
	u32 index = U32_MAX - 3, i;

	KUNIT_EXPECT_EQ(test, 0, igrad_ring_slot(0));
	KUNIT_EXPECT_EQ(test, IGRAD_RING_ENTRIES - 1, igrad_ring_slot(U32_MAX));
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, (igrad_ring_slot(index + i) + 1) % IGRAD_RING_ENTRIES,
				igrad_ring_slot(index + i + 1));

	KUNIT_EXPECT_FALSE(test, igrad_ring_has_begun(0, 0));
	KUNIT_EXPECT_TRUE(test, igrad_ring_has_begun(1, 0));
	KUNIT_EXPECT_FALSE(test, igrad_ring_has_begun(1, 1));
	KUNIT_EXPECT_FALSE(test, igrad_ring_has_begun(U32_MAX, U32_MAX));
	KUNIT_EXPECT_TRUE(test, igrad_ring_has_begun(0, U32_MAX));
	KUNIT_EXPECT_TRUE(test, igrad_ring_has_begun(2, U32_MAX));
	KUNIT_EXPECT_FALSE(test, igrad_ring_has_begun(U32_MAX, 0));
}

/* Addresses: each buffer's own, with a page behind it that is nobody's. */

#define IGRAD_KUNIT_NODES	64

struct igrad_kunit_addresses {
	struct drm_mm mm;
	struct drm_mm_node nodes[IGRAD_KUNIT_NODES];
	u64 sizes[IGRAD_KUNIT_NODES];
};

static int igrad_kunit_addresses_init(struct kunit *test)
{
	struct igrad_kunit_addresses *priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, priv);
	igrad_vm_init_addresses(&priv->mm);
	test->priv = priv;

	return 0;
}

static void igrad_kunit_addresses_exit(struct kunit *test)
{
	struct igrad_kunit_addresses *priv = test->priv;
	unsigned int i;

	for (i = 0; i < IGRAD_KUNIT_NODES; i++)
		if (drm_mm_node_allocated(&priv->nodes[i]))
			drm_mm_remove_node(&priv->nodes[i]);
	KUNIT_EXPECT_TRUE(test, drm_mm_clean(&priv->mm));
	drm_mm_takedown(&priv->mm);
}

static void igrad_kunit_check_addresses(struct kunit *test, unsigned int index)
{
	struct igrad_kunit_addresses *priv = test->priv;
	u64 start = priv->nodes[index].start, end = start + priv->sizes[index];
	unsigned int i;

	KUNIT_EXPECT_GE(test, start, IGRAD_VM_START);
	KUNIT_EXPECT_LE(test, end + SZ_4K, IGRAD_VM_END);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(start, SZ_4K));
	if (priv->sizes[index] >= SZ_2M)
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(start, SZ_2M));
	for (i = 0; i < IGRAD_KUNIT_NODES; i++) {
		u64 other = priv->nodes[i].start;

		if (i == index || !drm_mm_node_allocated(&priv->nodes[i]))
			continue;
		KUNIT_EXPECT_TRUE(test, end + SZ_4K <= other ||
				  other + priv->sizes[i] + SZ_4K <= start);
	}
}

/* Buffers of all sizes come and go. */
static void igrad_kunit_addresses_apart(struct kunit *test)
{
	static const u64 sizes[] = { SZ_4K, SZ_64K, SZ_2M - SZ_4K, SZ_2M, SZ_2M + SZ_4K, SZ_1G };
	struct igrad_kunit_addresses *priv = test->priv;
	u32 state = 1;
	int step;

	for (step = 0; step < 2000; step++) {
		unsigned int i;

		state = state * 1664525 + 1013904223;
		i = (state >> 16) % IGRAD_KUNIT_NODES;
		if (drm_mm_node_allocated(&priv->nodes[i])) {
			drm_mm_remove_node(&priv->nodes[i]);
			continue;
		}
		priv->sizes[i] = sizes[(state >> 24) % ARRAY_SIZE(sizes)];
		KUNIT_ASSERT_EQ(test, 0, igrad_vm_alloc_addresses(&priv->mm, &priv->nodes[i],
								  priv->sizes[i]));
		igrad_kunit_check_addresses(test, i);
	}
}

/* All there is, and not a page more. */
static void igrad_kunit_addresses_end(struct kunit *test)
{
	u64 all = IGRAD_VM_END - IGRAD_VM_START;
	struct igrad_kunit_addresses *priv = test->priv;

	KUNIT_EXPECT_EQ(test, -ENOSPC, igrad_vm_alloc_addresses(&priv->mm, &priv->nodes[0], all));
	KUNIT_EXPECT_EQ(test, 0, igrad_vm_alloc_addresses(&priv->mm, &priv->nodes[0], all - SZ_4K));
	KUNIT_EXPECT_EQ(test, IGRAD_VM_START, priv->nodes[0].start);
	KUNIT_EXPECT_EQ(test, -ENOSPC, igrad_vm_alloc_addresses(&priv->mm, &priv->nodes[1], SZ_4K));
	drm_mm_remove_node(&priv->nodes[0]);
	KUNIT_EXPECT_EQ(test, 0, igrad_vm_alloc_addresses(&priv->mm, &priv->nodes[1], SZ_4K));
}

static struct kunit_case igrad_mmu_cases[] = {
	KUNIT_CASE(igrad_kunit_pages),
	KUNIT_CASE(igrad_kunit_last_page),
	KUNIT_CASE(igrad_kunit_blocks),
	KUNIT_CASE(igrad_kunit_read_only),
	KUNIT_CASE(igrad_kunit_refused),
	KUNIT_CASE(igrad_kunit_neighbours),
	{ }
};

static struct kunit_suite igrad_mmu_suite = {
	.name = "igrad-mmu",
	.init = igrad_kunit_init,
	.exit = igrad_kunit_exit,
	.test_cases = igrad_mmu_cases,
};

static struct kunit_case igrad_vm_cases[] = {
	KUNIT_CASE(igrad_kunit_addresses_apart),
	KUNIT_CASE(igrad_kunit_addresses_end),
	{ }
};

static struct kunit_suite igrad_vm_suite = {
	.name = "igrad-vm",
	.init = igrad_kunit_addresses_init,
	.exit = igrad_kunit_addresses_exit,
	.test_cases = igrad_vm_cases,
};

static struct kunit_case igrad_ring_cases[] = {
	KUNIT_CASE(igrad_kunit_ring),
	{ }
};

static struct kunit_suite igrad_ring_suite = {
	.name = "igrad-ring",
	.test_cases = igrad_ring_cases,
};

kunit_test_suites(&igrad_mmu_suite, &igrad_vm_suite, &igrad_ring_suite);
