/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An IOMMU (VT-d) before the device, programmed through its registers. */
#ifndef IGRAD_VTD_H
#define IGRAD_VTD_H

#include "igrad-dev.h"

#define VTD_MACHINE  "-device intel-iommu,aw-bits=39"

#define VTD          0xfed90000ull
#define VTD_GCMD     0x18
#define VTD_GSTS     0x1c
#define VTD_RTADDR   0x20
#define VTD_CCMD     0x28
#define VTD_IOTLB    0xf8
#define VTD_SRTP     (1u << 30)
#define VTD_TE       (1u << 31)
#define VTD_ROOT     0x800000ull
#define VTD_CONTEXT  0x801000ull
#define VTD_LEVEL3   0x802000ull
#define VTD_LEVEL2   0x803000ull
#define IOVA_BASE    0x40000000ull
#define IOVA_BLOCK   0x200000ull
#define IOVA_BLOCKS  16

static inline void vtd_map(Dev *d, uint64_t block, uint64_t flags)
{
    qtest_writeq(d->qts, VTD_LEVEL2 + 8 * block,
                 flags ? block * IOVA_BLOCK | 0x80 | flags : 0);
}

static inline void vtd_invalidate(Dev *d)
{
    qtest_writeq(d->qts, VTD + VTD_CCMD, 1ull << 63 | 1ull << 61);
    qtest_writeq(d->qts, VTD + VTD_IOTLB, 1ull << 63 | 1ull << 60);
}

/* Guest-physical memory appears at IOVA_BASE, and nothing at its own place. */
static inline void vtd_setup(Dev *d)
{
    qtest_writeq(d->qts, VTD_ROOT, VTD_CONTEXT | 1);
    for (int devfn = 0; devfn < 256; devfn++) {
        qtest_writeq(d->qts, VTD_CONTEXT + 16 * devfn, VTD_LEVEL3 | 1);
        qtest_writeq(d->qts, VTD_CONTEXT + 16 * devfn + 8, 1 << 8 | 1);
    }
    qtest_writeq(d->qts, VTD_LEVEL3 + 8, VTD_LEVEL2 | 3);
    for (uint64_t block = 0; block < IOVA_BLOCKS; block++) {
        vtd_map(d, block, 3);
    }
    qtest_writeq(d->qts, VTD + VTD_RTADDR, VTD_ROOT);
    qtest_writel(d->qts, VTD + VTD_GCMD, VTD_SRTP);
    vtd_invalidate(d);
    qtest_writel(d->qts, VTD + VTD_GCMD, VTD_TE);
    g_assert_cmphex(qtest_readl(d->qts, VTD + VTD_GSTS) & VTD_TE, ==, VTD_TE);
    d->dma = IOVA_BASE;
}

static inline void vtd_start(Dev *d, const char *device_args)
{
    dev_start_machine(d, VTD_MACHINE, device_args);
    vtd_setup(d);
}

#endif /* IGRAD_VTD_H */
