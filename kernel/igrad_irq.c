// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts. Both vectors look at the same state; they differ in the causes that they acknowledge,
 * and in that a device which has completed a job is not asked how it is: it says when it has
 * stopped.
 */

#include <drm/drm_drv.h>
#include <linux/dma-fence.h>
#include <linux/interrupt.h>
#include <linux/pci.h>

#include "igrad_hw.h"
#include "igrad_irq.h"
#include "igrad_reset.h"

/*
 * Acknowledge before looking at the ring. It does not matter when that arrives: every cause sends
 * its vector, whether or not it is acknowledged.
 */
static irqreturn_t igrad_irq_completion(int irq, void *data)
{
	igrad_write(data, IGRAD_REG_IRQ_STATUS, IGRAD_IRQ_COMPLETION);

	return IRQ_WAKE_THREAD;
}

static irqreturn_t igrad_irq_event(int irq, void *data)
{
	igrad_write(data, IGRAD_REG_IRQ_STATUS, IGRAD_IRQ_STOPPED | IGRAD_IRQ_FATAL);

	return IRQ_WAKE_THREAD;
}

static irqreturn_t igrad_irq_look(struct igrad_device *idev, bool ask)
{
	bool cookie;
	int idx;

	if (!drm_dev_enter(&idev->drm, &idx))
		return IRQ_HANDLED;

	cookie = dma_fence_begin_signalling();
	if (igrad_ring_process(idev, ask))
		igrad_reset_schedule(idev);
	dma_fence_end_signalling(cookie);
	drm_dev_exit(idx);

	return IRQ_HANDLED;
}

static irqreturn_t igrad_irq_completion_thread(int irq, void *data)
{
	return igrad_irq_look(data, false);
}

static irqreturn_t igrad_irq_event_thread(int irq, void *data)
{
	return igrad_irq_look(data, true);
}

/**
 * igrad_irq_init() - take the device's two vectors
 * @idev: device that sends no interrupt yet
 *
 * Return: 0 or a negative errno.
 */
int igrad_irq_init(struct igrad_device *idev)
{
	static const irq_handler_t handlers[IGRAD_NUM_VECTORS] = {
		[IGRAD_VECTOR_COMPLETION] = igrad_irq_completion,
		[IGRAD_VECTOR_EVENT] = igrad_irq_event,
	};
	static const irq_handler_t threads[IGRAD_NUM_VECTORS] = {
		[IGRAD_VECTOR_COMPLETION] = igrad_irq_completion_thread,
		[IGRAD_VECTOR_EVENT] = igrad_irq_event_thread,
	};
	struct pci_dev *pdev = to_pci_dev(idev->drm.dev);
	unsigned int i;
	int ret;

	ret = pci_alloc_irq_vectors(pdev, IGRAD_NUM_VECTORS, IGRAD_NUM_VECTORS, PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;

	for (i = 0; i < IGRAD_NUM_VECTORS; i++) {
		idev->irqs[i] = pci_irq_vector(pdev, i);
		ret = devm_request_threaded_irq(&pdev->dev, idev->irqs[i], handlers[i],
						threads[i], 0, pci_name(pdev), idev);
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * igrad_irq_sync() - wait for handlers and their threads
 * @idev: device
 */
void igrad_irq_sync(struct igrad_device *idev)
{
	unsigned int i;

	for (i = 0; i < IGRAD_NUM_VECTORS; i++)
		synchronize_irq(idev->irqs[i]);
}

/**
 * igrad_irq_disable() - let no handler run until igrad_irq_enable()
 * @idev: device
 */
void igrad_irq_disable(struct igrad_device *idev)
{
	unsigned int i;

	for (i = 0; i < IGRAD_NUM_VECTORS; i++)
		disable_irq(idev->irqs[i]);
}

/**
 * igrad_irq_enable() - undo igrad_irq_disable()
 * @idev: device
 */
void igrad_irq_enable(struct igrad_device *idev)
{
	unsigned int i;

	for (i = 0; i < IGRAD_NUM_VECTORS; i++)
		enable_irq(idev->irqs[i]);
}

/**
 * igrad_irq_fini() - give the vectors back, before the registers go
 * @idev: device
 */
void igrad_irq_fini(struct igrad_device *idev)
{
	unsigned int i;

	for (i = 0; i < IGRAD_NUM_VECTORS; i++)
		devm_free_irq(idev->drm.dev, idev->irqs[i], idev);
}
