/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_IRQ_H__
#define __IGRAD_IRQ_H__

struct igrad_device;

int igrad_irq_init(struct igrad_device *idev);
void igrad_irq_sync(struct igrad_device *idev);
void igrad_irq_disable(struct igrad_device *idev);
void igrad_irq_enable(struct igrad_device *idev);
void igrad_irq_fini(struct igrad_device *idev);

#endif /* __IGRAD_IRQ_H__ */
