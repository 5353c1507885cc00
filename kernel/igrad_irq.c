// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts. Both vectors look at the same state; they differ in the causes that they acknowledge.
 */

#include <drm/drm_drv.h>
#include <linux/dma-fence.h>
#include <linux/interrupt.h>
#include <linux/pci.h>

#include "igrad_hw.h"
#include "igrad_irq.h"
#include "igrad_reset.h"

/*
 * Acknowledge before looking at the ring, and read to let that arrive: a cause that occurs after it
 * sends its vector again, and one that occurred before is seen by the thread.
 */
static void igrad_irq_ack(struct igrad_device *idev, u32 causes)
{
	igrad_write(idev, IGRAD_REG_IRQ_STATUS, causes);
	igrad_read(idev, IGRAD_REG_IRQ_STATUS);
}

static irqreturn_t igrad_irq_completion(int irq, void *data)
{
	igrad_irq_ack(data, IGRAD_IRQ_COMPLETION);

	return IRQ_WAKE_THREAD;
}

static irqreturn_t igrad_irq_event(int irq, void *data)
{
	igrad_irq_ack(data, IGRAD_IRQ_STOPPED | IGRAD_IRQ_FATAL);

	return IRQ_WAKE_THREAD;
}

static irqreturn_t igrad_irq_thread(int irq, void *data)
{
	struct igrad_device *idev = data;
	bool cookie;
	int idx;

	if (!drm_dev_enter(&idev->drm, &idx))
		return IRQ_HANDLED;

	cookie = dma_fence_begin_signalling();
	if (igrad_ring_process(idev))
		igrad_reset_schedule(idev);
	dma_fence_end_signalling(cookie);
	drm_dev_exit(idx);

	return IRQ_HANDLED;
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
	struct pci_dev *pdev = to_pci_dev(idev->drm.dev);
	unsigned int i;
	int ret;

	ret = pci_alloc_irq_vectors(pdev, IGRAD_NUM_VECTORS, IGRAD_NUM_VECTORS, PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;

	for (i = 0; i < IGRAD_NUM_VECTORS; i++) {
		idev->irqs[i] = pci_irq_vector(pdev, i);
		ret = devm_request_threaded_irq(&pdev->dev, idev->irqs[i], handlers[i],
						igrad_irq_thread, 0, pci_name(pdev), idev);
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
