/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts: a vector's message is sent when one of its causes becomes both
 * set and enabled, in whichever order, and not again until it has been
 * cleared or disabled in between.
 */

#include "qemu/osdep.h"
#include "hw/pci/msix.h"
#include "igrad.h"
#include "trace.h"

static void igrad_irq_send(IgradState *s, unsigned int vector)
{
    trace_igrad_irq_send(s->name, vector);
    msix_notify(PCI_DEVICE(s), vector);
}

void igrad_irq_update(IgradState *s)
{
    uint32_t pending = s->irq_status & s->irq_enable;
    uint32_t rising = pending & ~s->irq_pending;

    s->irq_pending = pending;
    if (!msix_enabled(PCI_DEVICE(s))) {
        return;
    }
    if (rising & IGRAD_IRQ_COMPLETION) {
        igrad_irq_send(s, IGRAD_VECTOR_COMPLETION);
    }
    if (rising & (IGRAD_IRQ_STOPPED | IGRAD_IRQ_FATAL)) {
        igrad_irq_send(s, IGRAD_VECTOR_EVENT);
    }
}

void igrad_irq_raise(IgradState *s, uint32_t causes)
{
    s->irq_status |= causes;
    trace_igrad_irq_raise(s->name, causes, s->irq_enable);
    igrad_irq_update(s);
}
