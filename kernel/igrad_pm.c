// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleep. The device keeps nothing over it: the running job ends first, the others are still in the
 * ring, which is given to the device anew.
 */

#include <drm/drm_drv.h>
#include <linux/dma-fence.h>
#include <linux/pm_runtime.h>

#include "igrad_hw.h"
#include "igrad_irq.h"
#include "igrad_pm.h"
#include "igrad_reset.h"

/* Between one process's jobs and the next one's. */
#define IGRAD_AUTOSUSPEND_MS	500

/* Until igrad_pm_start() the device is quiet, and nobody touches it. */
static void igrad_pm_stop(struct igrad_device *idev)
{
	bool cookie, known;
	u32 started;
	int idx;

	/* Beyond recovery: stopped already. */
	if (igrad_ring_error(idev) || !drm_dev_enter(&idev->drm, &idx))
		return;

	cookie = dma_fence_begin_signalling();
	igrad_ring_pause(idev);
	known = igrad_hw_pause(idev, &started);
	igrad_hw_wait_idle(idev);
	dma_fence_end_signalling(cookie);

	igrad_irq_disable(idev);
	igrad_hw_reset(idev);
	igrad_ring_settle(idev, known ? &started : NULL, known ? -ETIME : -EIO);
	/* From here on, for recoveries that were asked for meanwhile. */
	WRITE_ONCE(idev->paused, true);
	drm_dev_exit(idx);
}

static void igrad_pm_start(struct igrad_device *idev)
{
	int idx;

	if (igrad_ring_error(idev) || !drm_dev_enter(&idev->drm, &idx))
		return;

	WRITE_ONCE(idev->paused, false);
	igrad_irq_enable(idev);
	if (igrad_hw_reset(idev))
		igrad_reset_schedule(idev);
	else
		igrad_ring_start(idev);
	drm_dev_exit(idx);
}

static void igrad_pm_pause_work(struct work_struct *work)
{
	igrad_pm_stop(container_of(work, struct igrad_device, pause_work));
}

/**
 * igrad_pm_pause() - let the running job end, and leave the device alone until igrad_pm_go_on()
 * @idev: device, which is awake
 */
void igrad_pm_pause(struct igrad_device *idev)
{
	/* Not beside a recovery. */
	queue_work(idev->recovery_wq, &idev->pause_work);
	flush_work(&idev->pause_work);
}

/**
 * igrad_pm_go_on() - after igrad_pm_pause()
 * @idev: device, in whatever state
 */
void igrad_pm_go_on(struct igrad_device *idev)
{
	igrad_pm_start(idev);
}

/*
 * The queue that recoveries are on is not frozen before: errors of PCI Express may come until the
 * device sleeps, and whoever handles them waits for that queue with the device's lock held.
 */
static int igrad_pm_suspend(struct device *dev)
{
	igrad_pm_pause(dev_get_drvdata(dev));

	return 0;
}

static int igrad_pm_resume(struct device *dev)
{
	igrad_pm_start(dev_get_drvdata(dev));

	return 0;
}

/* Hibernation too: what the image does not hold, a reset makes up for. */
const struct dev_pm_ops igrad_pm_ops = {
	SYSTEM_SLEEP_PM_OPS(igrad_pm_suspend, igrad_pm_resume)
	RUNTIME_PM_OPS(igrad_pm_suspend, igrad_pm_resume, NULL)
};

/**
 * igrad_pm_init() - prepare for sleep
 * @idev: device
 */
void igrad_pm_init(struct igrad_device *idev)
{
	INIT_WORK(&idev->pause_work, igrad_pm_pause_work);
}

/**
 * igrad_pm_enable() - from now on the device may sleep when it has no job
 * @idev: device that works; whether it does sleep is up to user space (power/control)
 */
void igrad_pm_enable(struct igrad_device *idev)
{
	struct device *dev = idev->drm.dev;

	pm_runtime_set_autosuspend_delay(dev, IGRAD_AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);
	/* The PCI core has taken a reference for us. */
	igrad_pm_put(idev);
}

/**
 * igrad_pm_disable() - undo igrad_pm_enable()
 * @idev: device, which is awake
 */
void igrad_pm_disable(struct igrad_device *idev)
{
	pm_runtime_get_noresume(idev->drm.dev);
	pm_runtime_dont_use_autosuspend(idev->drm.dev);
}

/**
 * igrad_pm_get() - wake the device up, and keep it awake until igrad_pm_put()
 * @idev: device
 *
 * Return: 0 or a negative errno.
 */
int igrad_pm_get(struct igrad_device *idev)
{
	return pm_runtime_resume_and_get(idev->drm.dev);
}

/**
 * igrad_pm_get_if_awake() - keep the device awake until igrad_pm_put(), unless it sleeps
 * @idev: device
 *
 * Return: whether it is awake.
 */
bool igrad_pm_get_if_awake(struct igrad_device *idev)
{
	int ret = pm_runtime_get_if_active(idev->drm.dev);

	/* It does not sleep if it cannot. */
	if (ret < 0)
		pm_runtime_get_noresume(idev->drm.dev);

	return ret;
}

/**
 * igrad_pm_get_awake() - keep a device awake that is so already; never waits
 * @idev: device
 */
void igrad_pm_get_awake(struct igrad_device *idev)
{
	pm_runtime_get_noresume(idev->drm.dev);
}

/**
 * igrad_pm_put() - let the device sleep, in a while; never waits
 * @idev: device
 */
void igrad_pm_put(struct igrad_device *idev)
{
	pm_runtime_mark_last_busy(idev->drm.dev);
	pm_runtime_put_autosuspend(idev->drm.dev);
}
