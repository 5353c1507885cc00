// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recovery: reset the device, and let it go on with all jobs but the one that it had begun. Runs on
 * the device's recovery queue only, one at a time.
 */

#include <drm/drm_drv.h>
#include <linux/dma-fence.h>
#include <linux/pci.h>

#include "igrad_hw.h"
#include "igrad_irq.h"
#include "igrad_pm.h"
#include "igrad_reset.h"
#include "igrad_trace.h"

/* Nothing more can be expected of the device. Make sure that it writes to no memory. */
static void igrad_reset_give_up(struct igrad_device *idev)
{
	struct pci_dev *pdev = to_pci_dev(idev->drm.dev);

	dev_err_ratelimited(&pdev->dev, "the device cannot be reset, no job will run any more\n");
	pci_clear_master(pdev);
	igrad_ring_kill(idev, pci_device_is_present(pdev) ? -EIO : -ENODEV);
}

/**
 * igrad_reset_run() - reset the device
 * @idev: device, between drm_dev_enter() and drm_dev_exit()
 * @blame: errno of the job that it has begun and not completed, if any
 */
void igrad_reset_run(struct igrad_device *idev, int blame)
{
	bool known;
	u32 started;
	int ret;

	if (igrad_ring_error(idev))
		return;

	dev_warn_ratelimited(idev->drm.dev, "reset: %s\n",
			     blame == -ETIME ? "a job does not end" : "the device has failed");

	trace_igrad_reset(idev, blame);
	igrad_ring_pause(idev);
	known = igrad_hw_pause(idev, &started);
	igrad_irq_sync(idev);
	ret = igrad_hw_reset(idev);
	if (ret == -EIO) {
		/* No answer at all. Whatever it was doing, it will not go on with that. */
		igrad_ring_settle(idev, NULL, -EIO);
		queue_work(idev->recovery_wq, &idev->revive_work);
		return;
	}
	if (!ret)
		ret = igrad_ring_restart(idev, known ? &started : NULL, blame);
	if (ret)
		igrad_reset_give_up(idev);
}

/*
 * A device that somebody else has reset may have forgotten where its registers are and where its
 * interrupts go. Not where fences depend on it, strictly: restoring that takes a lock of the MSI
 * core. Nobody holds it for this device but while its driver comes or goes.
 */
static void igrad_reset_revive(struct igrad_device *idev)
{
	struct pci_dev *pdev = to_pci_dev(idev->drm.dev);
	int ret;

	if (igrad_ring_error(idev))
		return;

	ret = pci_load_saved_state(pdev, idev->pci_state);
	if (!ret) {
		pci_restore_state(pdev);
		ret = igrad_hw_reset(idev);
	}
	if (!ret)
		ret = igrad_ring_restart(idev, NULL, 0);
	if (ret)
		igrad_reset_give_up(idev);
}

static void igrad_reset_work(struct work_struct *work)
{
	struct igrad_device *idev = container_of(work, struct igrad_device, reset_work);
	bool cookie;
	int idx;

	if (!drm_dev_enter(&idev->drm, &idx))
		return;
	/* One that sleeps, or is being reset by others, is reset again afterwards. */
	if (!READ_ONCE(idev->paused) && igrad_pm_get_if_awake(idev)) {
		cookie = dma_fence_begin_signalling();
		igrad_reset_run(idev, -EIO);
		dma_fence_end_signalling(cookie);
		igrad_pm_put(idev);
	}
	drm_dev_exit(idx);
}

static void igrad_revive_work(struct work_struct *work)
{
	struct igrad_device *idev = container_of(work, struct igrad_device, revive_work);
	int idx;

	if (!drm_dev_enter(&idev->drm, &idx))
		return;
	if (!READ_ONCE(idev->paused) && igrad_pm_get_if_awake(idev)) {
		igrad_reset_revive(idev);
		igrad_pm_put(idev);
	}
	drm_dev_exit(idx);
}

/**
 * igrad_reset_init() - prepare for the worst
 * @idev: device
 */
void igrad_reset_init(struct igrad_device *idev)
{
	INIT_WORK(&idev->reset_work, igrad_reset_work);
	INIT_WORK(&idev->revive_work, igrad_revive_work);
}

/**
 * igrad_reset_schedule() - have a device reset that has failed; never waits
 * @idev: device
 */
void igrad_reset_schedule(struct igrad_device *idev)
{
	queue_work(idev->recovery_wq, &idev->reset_work);
}

/**
 * igrad_reset_wait() - reset a device that does not do as it is told, and wait for that
 * @idev: device
 */
void igrad_reset_wait(struct igrad_device *idev)
{
	igrad_reset_schedule(idev);
	flush_work(&idev->reset_work);
	flush_work(&idev->revive_work);
}
