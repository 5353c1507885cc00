// SPDX-License-Identifier: GPL-2.0-only
/*
 * Driver for the igrad training accelerator: the PCI device and its node.
 */

#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <linux/dma-mapping.h>
#include <linux/fault-inject.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include <drm/igrad_accel.h>

#include "igrad_debugfs.h"
#include "igrad_device.h"
#include "igrad_file.h"
#include "igrad_gem.h"
#include "igrad_hw.h"
#include "igrad_irq.h"
#include "igrad_pm.h"
#include "igrad_queue.h"
#include "igrad_reset.h"
#include "igrad_sched.h"
#include "igrad_submit.h"
#include "igrad_vm.h"

/* How patient the administrator may make the driver. Ten minutes are for debugging. */
#define IGRAD_MIN_TIMEOUT_MS	20
#define IGRAD_MAX_TIMEOUT_MS	600000

static unsigned int job_timeout_ms = 5000;
module_param(job_timeout_ms, uint, 0644);
MODULE_PARM_DESC(job_timeout_ms,
		 "A job that retires no command for so long is ended (ms, 20 to 600000, default 5000; for devices bound from now on)");

static unsigned int job_limit_ms = 30000;
module_param(job_limit_ms, uint, 0644);
MODULE_PARM_DESC(job_limit_ms,
		 "A job that executes for so long is ended, whatever it does (ms, 20 to 600000, default 30000; for devices bound from now on)");

struct workqueue_struct *igrad_release_wq;

/* Devices that are not freed yet. Jobs of closed files keep theirs until they have ended. */
static atomic_t igrad_devices;

/* For tests: whatever a probe has done so far, the rest of it may fail. */
static DECLARE_FAULT_ATTR(igrad_probe_fault);

static int igrad_done(int ret)
{
	if (!ret && should_fail(&igrad_probe_fault, 1))
		ret = -ENOMEM;

	return ret;
}

static const struct drm_ioctl_desc igrad_ioctls[] = {
	DRM_IOCTL_DEF_DRV(IGRAD_DEV_QUERY, igrad_query_ioctl, 0),
	DRM_IOCTL_DEF_DRV(IGRAD_BO_CREATE, igrad_bo_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(IGRAD_BO_INFO, igrad_bo_info_ioctl, 0),
	DRM_IOCTL_DEF_DRV(IGRAD_QUEUE_CREATE, igrad_queue_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(IGRAD_QUEUE_DESTROY, igrad_queue_destroy_ioctl, 0),
	DRM_IOCTL_DEF_DRV(IGRAD_SUBMIT, igrad_submit_ioctl, 0),
};

static const struct file_operations igrad_fops = {
	.owner = THIS_MODULE,
	DRM_ACCEL_FOPS,
	.show_fdinfo = drm_show_fdinfo,
};

static const struct drm_driver igrad_drm_driver = {
	.driver_features = DRIVER_COMPUTE_ACCEL | DRIVER_GEM | DRIVER_SYNCOBJ |
			   DRIVER_SYNCOBJ_TIMELINE,
	.open = igrad_file_open,
	.postclose = igrad_file_close,
	.show_fdinfo = igrad_file_show_fdinfo,
	.gem_create_object = igrad_gem_create_object,
	.gem_prime_import = igrad_gem_import,
	.gem_prime_import_sg_table = igrad_gem_import_sg_table,
	.ioctls = igrad_ioctls,
	.num_ioctls = ARRAY_SIZE(igrad_ioctls),
	.fops = &igrad_fops,
	.name = "igrad",
	.desc = "igrad training accelerator",
	.major = 1,
};

static int igrad_pci_init(struct igrad_device *idev, struct pci_dev *pdev)
{
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	if (pci_resource_len(pdev, IGRAD_BAR_REGS) < IGRAD_BAR_REGS_SIZE)
		return -ENODEV;
	idev->regs = pcim_iomap_region(pdev, IGRAD_BAR_REGS, "igrad");
	if (IS_ERR(idev->regs))
		return PTR_ERR(idev->regs);

	/* As wide as the address in a page-table entry. */
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(fls64(IGRAD_PTE_ADDR)));
	if (ret)
		return ret;
	/* Pieces of a buffer may be as long as they come. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);

	return 0;
}

static void igrad_free_pci_state(void *data)
{
	struct igrad_device *idev = data;

	kfree(idev->pci_state);
}

static int igrad_save_pci_state(struct igrad_device *idev, struct pci_dev *pdev)
{
	pci_save_state(pdev);
	idev->pci_state = pci_store_saved_state(pdev);
	if (!idev->pci_state)
		return -ENOMEM;

	return devm_add_action_or_reset(&pdev->dev, igrad_free_pci_state, idev);
}

static int igrad_start(struct igrad_device *idev, struct pci_dev *pdev)
{
	int ret;

	ret = igrad_done(igrad_hw_init(idev));
	if (ret)
		return ret;
	ret = igrad_done(igrad_ring_init(idev));
	if (ret)
		return ret;
	ret = igrad_done(igrad_sched_init(idev));
	if (ret)
		return ret;
	ret = igrad_done(igrad_irq_init(idev));
	if (ret)
		return ret;

	pci_set_master(pdev);
	ret = igrad_done(igrad_save_pci_state(idev, pdev));
	if (ret)
		return ret;
	igrad_ring_start(idev);

	return 0;
}

/*
 * For good: the device is quiet when this returns, and everybody who waits for a job that it had
 * has an answer. Registers are still there, for others may be about to use them.
 */
static void igrad_stop(struct igrad_device *idev, struct pci_dev *pdev)
{
	u32 started;

	/* Recoveries end when they see that. */
	igrad_ring_close(idev, -ENODEV);
	flush_workqueue(idev->recovery_wq);

	mutex_lock(&idev->tlb_lock);
	igrad_hw_pause(idev, &started);
	igrad_hw_reset(idev);
	igrad_irq_fini(idev);
	pci_clear_master(pdev);
	igrad_ring_kill(idev, -ENODEV);
	mutex_unlock(&idev->tlb_lock);
}

static void igrad_device_freed(struct drm_device *drm, void *data)
{
	if (atomic_dec_and_test(&igrad_devices))
		wake_up_var(&igrad_devices);
}

/* To be called before all else that is managed, so that it is counted out after it. */
static int igrad_device_count(struct igrad_device *idev)
{
	atomic_inc(&igrad_devices);

	return drmm_add_action_or_reset(&idev->drm, igrad_device_freed, NULL);
}

static int igrad_device_init(struct igrad_device *idev)
{
	int ret;

	idev->job_timeout_ms = clamp(READ_ONCE(job_timeout_ms), IGRAD_MIN_TIMEOUT_MS,
				     IGRAD_MAX_TIMEOUT_MS);
	idev->job_limit_ms = clamp(READ_ONCE(job_limit_ms), IGRAD_MIN_TIMEOUT_MS,
				   IGRAD_MAX_TIMEOUT_MS);
	INIT_LIST_HEAD(&idev->vms);
	INIT_LIST_HEAD(&idev->bos);
	INIT_LIST_HEAD(&idev->queues);
	igrad_reset_init(idev);
	igrad_pm_init(idev);

	ret = drmm_mutex_init(&idev->drm, &idev->mapped_lock);
	if (ret)
		return ret;

	return drmm_mutex_init(&idev->drm, &idev->tlb_lock);
}

static int igrad_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct igrad_device *idev;
	int ret;

	idev = devm_drm_dev_alloc(&pdev->dev, &igrad_drm_driver, struct igrad_device, drm);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	ret = igrad_done(igrad_device_count(idev));
	if (ret)
		return ret;
	ret = igrad_done(igrad_device_init(idev));
	if (ret)
		return ret;
	ret = igrad_done(igrad_pci_init(idev, pdev));
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "cannot set up the PCI device\n");
	ret = igrad_start(idev, pdev);
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "cannot start the device\n");

	pci_set_drvdata(pdev, idev);
	igrad_debugfs_init(idev);
	ret = igrad_done(0) ?: drm_dev_register(&idev->drm, 0);
	if (ret)
		igrad_stop(idev, pdev);
	else
		igrad_pm_enable(idev);

	return ret;
}

/* Errors come under the PCI device's lock, as its driver's coming and going does. */
static void igrad_error_over(struct igrad_device *idev)
{
	if (idev->in_error)
		igrad_pm_put(idev);
	idev->in_error = false;
}

/*
 * Also when the device is gone already. Files, maps and dma-bufs may stay open for long; of the
 * device's memory mappings none is left behind.
 */
static void igrad_remove(struct pci_dev *pdev)
{
	struct igrad_device *idev = pci_get_drvdata(pdev);

	igrad_error_over(idev);
	igrad_pm_disable(idev);
	igrad_stop(idev, pdev);
	drm_dev_unplug(&idev->drm);
	igrad_vm_unplug(idev);
	igrad_gem_unplug(idev);
}

/* For good, as on removal: whoever comes after us, another kernel perhaps, finds it idle. */
static void igrad_shutdown(struct pci_dev *pdev)
{
	igrad_stop(pci_get_drvdata(pdev), pdev);
}

static void igrad_reset_prepare(struct pci_dev *pdev)
{
	igrad_pm_pause(pci_get_drvdata(pdev));
}

static void igrad_reset_done(struct pci_dev *pdev)
{
	igrad_pm_go_on(pci_get_drvdata(pdev));
}

/* The running job cannot be saved if it does not end, and those behind it need not be lost. */
static pci_ers_result_t igrad_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct igrad_device *idev = pci_get_drvdata(pdev);

	/* One that sleeps has no job, and wakes up from a reset anyway. */
	if (!idev->in_error && igrad_pm_get_if_awake(idev)) {
		igrad_pm_pause(idev);
		idev->in_error = true;
	}
	if (state != pci_channel_io_perm_failure)
		return PCI_ERS_RESULT_NEED_RESET;

	pci_clear_master(pdev);
	igrad_ring_kill(idev, -ENODEV);
	igrad_error_over(idev);

	return PCI_ERS_RESULT_DISCONNECT;
}

static pci_ers_result_t igrad_slot_reset(struct pci_dev *pdev)
{
	struct igrad_device *idev = pci_get_drvdata(pdev);

	if (!idev->in_error)
		return PCI_ERS_RESULT_RECOVERED;
	if (pci_load_saved_state(pdev, idev->pci_state))
		return PCI_ERS_RESULT_DISCONNECT;
	pci_restore_state(pdev);

	return PCI_ERS_RESULT_RECOVERED;
}

static void igrad_error_resume(struct pci_dev *pdev)
{
	struct igrad_device *idev = pci_get_drvdata(pdev);

	if (idev->in_error)
		igrad_pm_go_on(idev);
	igrad_error_over(idev);
}

static const struct pci_error_handlers igrad_error_handlers = {
	.error_detected = igrad_error_detected,
	.slot_reset = igrad_slot_reset,
	.resume = igrad_error_resume,
	.reset_prepare = igrad_reset_prepare,
	.reset_done = igrad_reset_done,
};

static const struct pci_device_id igrad_pci_ids[] = {
	{ PCI_DEVICE(IGRAD_PCI_VENDOR, IGRAD_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, igrad_pci_ids);

static struct pci_driver igrad_pci_driver = {
	.name = "igrad",
	.id_table = igrad_pci_ids,
	.probe = igrad_probe,
	.remove = igrad_remove,
	.shutdown = igrad_shutdown,
	.err_handler = &igrad_error_handlers,
	.driver.pm = pm_ptr(&igrad_pm_ops),
};

static int __init igrad_module_init(void)
{
	int ret;

	igrad_release_wq = alloc_workqueue("igrad-release", WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!igrad_release_wq)
		return -ENOMEM;

	ret = pci_register_driver(&igrad_pci_driver);
	if (ret)
		destroy_workqueue(igrad_release_wq);

	return ret;
}
module_init(igrad_module_init);

static void __exit igrad_module_exit(void)
{
	pci_unregister_driver(&igrad_pci_driver);
	/* Files are closed by now, but what they have left to do may take until the jobs end. */
	wait_var_event(&igrad_devices, !atomic_read(&igrad_devices));
	destroy_workqueue(igrad_release_wq);
}
module_exit(igrad_module_exit);

MODULE_DESCRIPTION("igrad training accelerator");
MODULE_LICENSE("GPL");
/* MODULE_IMPORT_NS() wants a string here, a token there. */
MODULE_INFO(import_ns, "DMA_BUF");
