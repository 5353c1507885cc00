/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failing on purpose: when, and how. */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "igrad_inject.h"

/* Whoever sets it meanwhile is not overrun. */
static uint32_t igrad_inject_count_down(uint32_t *count)
{
    uint32_t old = qatomic_read(count);

    while (old) {
        uint32_t seen = qatomic_cmpxchg(count, old, old - 1);

        if (seen == old) {
            break;
        }
        old = seen;
    }
    return old;
}

bool igrad_inject_take(uint32_t *count)
{
    return igrad_inject_count_down(count) > 0;
}

bool igrad_inject_due(uint32_t *count)
{
    return igrad_inject_count_down(count) == 1;
}

void igrad_inject_flips(IgradInject *inject, struct igrad_core *core)
{
    if (igrad_inject_due(&inject->sram_flip)) {
        igrad_core_flip_sram(core, qatomic_read__nocheck(&inject->sram_bit));
    }
    if (igrad_inject_due(&inject->acc_flip)) {
        igrad_core_flip_acc(core, qatomic_read__nocheck(&inject->acc_bit));
    }
}

bool igrad_inject_fault(IgradInject *inject, uint64_t va, size_t len,
                        struct igrad_fault *fault)
{
    uint64_t bad = qatomic_read__nocheck(&inject->fault);
    uint64_t page = bad & ~(IGRAD_PAGE_SIZE - 1);

    if (!bad || va + len <= page || va >= page + IGRAD_PAGE_SIZE) {
        return false;
    }
    fault->reason = IGRAD_REASON_BUS;
    fault->addr = MAX(va, page);
    return true;
}
