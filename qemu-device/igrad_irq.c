/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts: a vector is sent whenever one of its causes occurs while
 * enabled, and when one is enabled that has occurred and was not cleared.
 */

#include "qemu/osdep.h"
#include "hw/pci/msix.h"
#include "igrad.h"
#include "trace.h"

static void igrad_irq_send(IgradState *s, unsigned int vector)
{
    PCIDevice *pci = PCI_DEVICE(s);

    if (!msix_enabled(pci)) {
        return;
    }
    if (igrad_inject_take(&s->inject.irq_lose)) {
        trace_igrad_inject(s->name, "interrupt lost");
        return;
    }
    trace_igrad_irq_send(s->name, vector);
    stat64_add(&s->stats.interrupts, 1);
    msix_notify(pci, vector);
    if (igrad_inject_take(&s->inject.irq_repeat)) {
        trace_igrad_inject(s->name, "interrupt repeated");
        stat64_add(&s->stats.interrupts, 1);
        msix_notify(pci, vector);
    }
}

static void igrad_irq_send_causes(IgradState *s, uint32_t causes)
{
    if (causes & IGRAD_IRQ_COMPLETION) {
        igrad_irq_send(s, IGRAD_VECTOR_COMPLETION);
    }
    if (causes & (IGRAD_IRQ_STOPPED | IGRAD_IRQ_FATAL)) {
        igrad_irq_send(s, IGRAD_VECTOR_EVENT);
    }
}

void igrad_irq_raise(IgradState *s, uint32_t causes)
{
    trace_igrad_irq_raise(s->name, causes, s->irq_enable);
    s->irq_status |= causes;
    igrad_irq_send_causes(s, causes & s->irq_enable);
}

void igrad_irq_enable(IgradState *s, uint32_t causes)
{
    uint32_t enabled = causes & ~s->irq_enable;

    s->irq_enable = causes;
    igrad_irq_send_causes(s, enabled & s->irq_status);
}
