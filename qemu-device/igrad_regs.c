/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BAR 0. No access waits for anything: what takes time is begun here and
 * goes on in the bottom half.
 */

#include "qemu/osdep.h"
#include "igrad_compat.h"
#include "qemu/main-loop.h"
#include "igrad.h"
#include "trace.h"

/* Commands retired since reset; the core counts since its creation. */
uint64_t igrad_retired(IgradState *s)
{
    return igrad_core_retired(s->worker.core) - s->retired_base;
}

void igrad_power_on_values(IgradState *s)
{
    s->enabled = s->stopped = s->fatal = false;
    s->irq_status = s->irq_enable = 0;
    s->ring_base = s->cq_base = 0;
    s->ring_order = 0;
    s->retired_base = igrad_core_retired(s->worker.core);
    s->retired_hi = 0;
    s->tlb_root = 0;
    s->tlb_flushing = false;
    s->tail = s->fetched = s->started = s->done = 0;
    s->seqno = 0;
    s->held = false;
    timer_del(s->delay);
}

static uint32_t igrad_status(IgradState *s)
{
    uint32_t status = 0;

    if (s->enabled && !s->stopped && !s->fatal) {
        status |= IGRAD_DEV_READY;
    }
    if (igrad_ring_busy(s)) {
        status |= IGRAD_DEV_BUSY;
    }
    if (s->stopped) {
        status |= IGRAD_DEV_STOPPED;
    }
    if (s->fatal) {
        status |= IGRAD_DEV_FATAL;
    }
    return status;
}

static bool igrad_tlb_flushing(IgradState *s)
{
    if (s->tlb_flushing &&
        igrad_mmu_flushed(s->worker.mmu, s->tlb_ticket)) {
        s->tlb_flushing = false;
    }
    return s->tlb_flushing;
}

static uint32_t igrad_retired_lo(IgradState *s)
{
    uint64_t retired = igrad_retired(s);

    s->retired_hi = retired >> 32;
    return retired;
}

static uint32_t igrad_reg_read(IgradState *s, hwaddr addr)
{
    switch (addr) {
    case IGRAD_REG_ID:
        return IGRAD_ID;
    case IGRAD_REG_VERSION:
        return IGRAD_HW_VERSION;
    case IGRAD_REG_FEATURES:
        return igrad_config_features(&s->config);
    case IGRAD_REG_ARRAY:
        return s->config.cols << 16 | s->config.rows;
    case IGRAD_REG_SRAM_BYTES:
        return s->config.sram_bytes;
    case IGRAD_REG_DRAM_WIDTH:
        return s->config.dram_bytes_per_cycle;
    case IGRAD_REG_DRAM_LATENCY:
        return s->config.dram_latency;
    case IGRAD_REG_CLOCK_LO:
        return s->config.clock_hz;
    case IGRAD_REG_CLOCK_HI:
        return s->config.clock_hz >> 32;
    case IGRAD_REG_RING_MAX:
        return IGRAD_RING_MAX_LOG2;
    case IGRAD_REG_CTRL:
        return (s->enabled ? IGRAD_CTRL_ENABLE : 0) |
               (s->resetting ? IGRAD_CTRL_RESET : 0);
    case IGRAD_REG_STATUS:
        return igrad_status(s);
    case IGRAD_REG_IRQ_STATUS:
        return s->irq_status;
    case IGRAD_REG_IRQ_ENABLE:
        return s->irq_enable;
    case IGRAD_REG_RING_BASE_LO:
        return s->ring_base;
    case IGRAD_REG_RING_BASE_HI:
        return s->ring_base >> 32;
    case IGRAD_REG_CQ_BASE_LO:
        return s->cq_base;
    case IGRAD_REG_CQ_BASE_HI:
        return s->cq_base >> 32;
    case IGRAD_REG_RING_SIZE:
        return s->ring_order;
    case IGRAD_REG_RING_TAIL:
        return s->tail;
    case IGRAD_REG_RING_STARTED:
        return s->started;
    case IGRAD_REG_RING_DONE:
        return s->done;
    case IGRAD_REG_RETIRED_LO:
        return igrad_retired_lo(s);
    case IGRAD_REG_RETIRED_HI:
        return s->retired_hi;
    case IGRAD_REG_TLB_ROOT_LO:
        return s->tlb_root;
    case IGRAD_REG_TLB_ROOT_HI:
        return s->tlb_root >> 32;
    case IGRAD_REG_TLB_FLUSH:
        return igrad_tlb_flushing(s);
    default:
        return UINT32_MAX;
    }
}

static void igrad_reset_begin(IgradState *s)
{
    trace_igrad_reset_begin(s->name);
    stat64_add(&s->stats.resets, 1);
    s->resetting = true;
    igrad_power_on_values(s);
    igrad_worker_abort(&s->worker);
    /* Done here if the worker is idle already, else when it has become so. */
    igrad_reset_pending(s);
}

static void igrad_ctrl_write(IgradState *s, uint32_t val)
{
    bool enable = val & IGRAD_CTRL_ENABLE;

    if (val & IGRAD_CTRL_RESET) {
        igrad_reset_begin(s);
        return;
    }
    if (enable && !s->enabled) {
        igrad_ring_enable(s);
    } else if (!enable && s->enabled) {
        igrad_ring_disable(s);
    }
    if (val & IGRAD_CTRL_RESUME) {
        igrad_ring_resume(s);
    }
}

static void igrad_tlb_root_write(IgradState *s, hwaddr addr, uint32_t val)
{
    if (!igrad_tlb_flushing(s)) {
        s->tlb_root = deposit64(s->tlb_root,
                                addr == IGRAD_REG_TLB_ROOT_HI ? 32 : 0, 32,
                                val);
    }
}

static void igrad_tlb_flush_write(IgradState *s, uint32_t val)
{
    if (!(val & 1)) {
        return;
    }
    trace_igrad_tlb_flush(s->name, s->tlb_root);
    s->tlb_ticket = igrad_mmu_flush(s->worker.mmu, s->tlb_root);
    s->tlb_flushing = true;
}

/* Ring address and size are fixed while they are in use. */
static void igrad_ring_reg_write(IgradState *s, hwaddr addr, uint32_t val)
{
    if (s->enabled || igrad_ring_busy(s)) {
        return;
    }
    switch (addr) {
    case IGRAD_REG_RING_BASE_LO:
        s->ring_base = deposit64(s->ring_base, 0, 32, val);
        break;
    case IGRAD_REG_RING_BASE_HI:
        s->ring_base = deposit64(s->ring_base, 32, 32, val);
        break;
    case IGRAD_REG_CQ_BASE_LO:
        s->cq_base = deposit64(s->cq_base, 0, 32, val);
        break;
    case IGRAD_REG_CQ_BASE_HI:
        s->cq_base = deposit64(s->cq_base, 32, 32, val);
        break;
    case IGRAD_REG_RING_SIZE:
        s->ring_order = val;
        break;
    }
}

static void igrad_reg_write(IgradState *s, hwaddr addr, uint32_t val)
{
    switch (addr) {
    case IGRAD_REG_CTRL:
        igrad_ctrl_write(s, val);
        break;
    case IGRAD_REG_IRQ_STATUS:
        s->irq_status &= ~val;
        break;
    case IGRAD_REG_IRQ_ENABLE:
        igrad_irq_enable(s, val & IGRAD_IRQ_ALL);
        break;
    case IGRAD_REG_RING_BASE_LO:
    case IGRAD_REG_RING_BASE_HI:
    case IGRAD_REG_CQ_BASE_LO:
    case IGRAD_REG_CQ_BASE_HI:
    case IGRAD_REG_RING_SIZE:
        igrad_ring_reg_write(s, addr, val);
        break;
    case IGRAD_REG_RING_TAIL:
        igrad_ring_doorbell(s, val);
        break;
    case IGRAD_REG_TLB_ROOT_LO:
    case IGRAD_REG_TLB_ROOT_HI:
        igrad_tlb_root_write(s, addr, val);
        break;
    case IGRAD_REG_TLB_FLUSH:
        igrad_tlb_flush_write(s, val);
        break;
    }
}

static bool igrad_is_word(hwaddr addr, unsigned int size)
{
    return size == 4 && QEMU_IS_ALIGNED(addr, 4);
}

static uint64_t igrad_mmio_read(void *opaque, hwaddr addr, unsigned int size)
{
    IgradState *s = opaque;
    uint64_t val = UINT64_MAX;

    if (igrad_is_word(addr, size) && !s->inject.dead) {
        val = igrad_reg_read(s, addr);
    }
    trace_igrad_mmio_read(s->name, addr, size, val);
    return val;
}

static void igrad_mmio_write(void *opaque, hwaddr addr, uint64_t val,
                             unsigned int size)
{
    IgradState *s = opaque;

    trace_igrad_mmio_write(s->name, addr, size, val);
    /* A device that is winding up takes no orders. */
    if (igrad_is_word(addr, size) && !s->resetting && !s->inject.dead) {
        igrad_reg_write(s, addr, val);
    }
}

/* Every size arrives here as it was made, to be refused by our own rule. */
const MemoryRegionOps igrad_regs_ops = {
    .read = igrad_mmio_read,
    .write = igrad_mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};
