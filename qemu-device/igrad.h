/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCIe device: its state, and what its files do for each other. All of it
 * belongs to the holder of the BQL; what the worker shares is in its own
 * structure.
 */
#ifndef HW_MISC_IGRAD_H
#define HW_MISC_IGRAD_H

#include "qemu/timer.h"
#include "qom/object.h"
#include "hw/pci/pci_device.h"
#include "igrad/hw.h"
#include "igrad_inject.h"
#include "igrad_worker.h"

#define TYPE_IGRAD "igrad"
OBJECT_DECLARE_SIMPLE_TYPE(IgradState, IGRAD)

struct IgradState {
    PCIDevice parent_obj;

    /* Properties */
    struct igrad_config config;
    uint32_t sram_kib;
    bool realtime;
    bool synchronous;
    bool aer;

    IgradInject inject;
    IgradStats stats;
    char *name; /* in traces */
    MemoryRegion regs;
    IgradWorker worker;
    QEMUBH *ring_bh;
    QEMUTimer *delay; /* when the held outcome may be told */
    VMChangeStateEntry *vm_change;
    bool vm_running;
    bool active; /* the machine runs, the device is in D0 and not dead */

    /* Registers */
    bool enabled;
    bool stopped;
    bool fatal;
    bool resetting; /* power-on values already, but the worker still winds up */
    uint32_t irq_status;
    uint32_t irq_enable;
    uint64_t ring_base;
    uint64_t cq_base;
    uint32_t ring_order;
    uint64_t retired_base; /* of the core's counter, at reset */
    uint32_t retired_hi;
    uint64_t tlb_root;
    uint64_t tlb_ticket;
    bool tlb_flushing;

    /*
     * Ring indices: done <= started <= fetched <= tail, and between the first
     * and the last at most the ring's size. The executing entry is the one
     * between done and started; those between started and fetched are queued.
     */
    uint32_t tail;
    uint32_t fetched;
    uint32_t started;
    uint32_t done;
    struct igrad_desc queue[IGRAD_RING_PREFETCH];
    uint64_t seqno; /* of the executing entry */
    int64_t start_ns;

    /* The executing entry has ended, but its time has not come. */
    bool held;
    IgradOutcome outcome;

    /* What of the above needs a form of its own to travel */
    struct {
        bool overlap;
        uint64_t retired;
        uint32_t status;
        uint32_t reason;
        uint32_t command;
        uint64_t addr;
        uint32_t queued; /* entries */
        bool job;
    } saved;
};

/* igrad.c */
void igrad_update_activity(IgradState *s);
void igrad_die(IgradState *s, bool dead);
const char *igrad_state_name(IgradState *s);

/* igrad_regs.c */
extern const MemoryRegionOps igrad_regs_ops;
uint64_t igrad_retired(IgradState *s);
void igrad_power_on_values(IgradState *s);

/* igrad_irq.c */
void igrad_irq_raise(IgradState *s, uint32_t causes);
void igrad_irq_enable(IgradState *s, uint32_t causes);

/* igrad_ring.c */
void igrad_ring_bh(void *opaque);
void igrad_ring_enable(IgradState *s);
void igrad_ring_disable(IgradState *s);
void igrad_ring_doorbell(IgradState *s, uint32_t tail);
void igrad_ring_resume(IgradState *s);
void igrad_ring_forget_queue(IgradState *s);
bool igrad_ring_busy(IgradState *s);
bool igrad_ring_valid(const IgradState *s);
void igrad_collect(IgradState *s);
bool igrad_reset_pending(IgradState *s);

/* igrad_vmstate.c */
extern const VMStateDescription igrad_vmstate;

#endif /* HW_MISC_IGRAD_H */
