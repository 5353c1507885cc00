// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files: an address space and queues each. Jobs may outlive the file.
 */

#include <drm/drm_drv.h>
#include <drm/drm_print.h>
#include <linux/slab.h>

#include "igrad_device.h"
#include "igrad_file.h"
#include "igrad_queue.h"
#include "igrad_vm.h"

/**
 * igrad_file_open() - a process opens the device
 * @drm: device
 * @file: new file
 *
 * Return: 0, -ENOMEM, or -ENODEV.
 */
int igrad_file_open(struct drm_device *drm, struct drm_file *file)
{
	struct igrad_file *priv;
	int idx, ret;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	priv = kzalloc(sizeof(*priv), GFP_KERNEL_ACCOUNT);
	if (!priv) {
		ret = -ENOMEM;
		goto err_exit;
	}
	priv->vm = igrad_vm_create(to_igrad_device(drm));
	if (IS_ERR(priv->vm)) {
		ret = PTR_ERR(priv->vm);
		goto err_free;
	}
	drm_dev_exit(idx);

	xa_init_flags(&priv->queues, XA_FLAGS_ALLOC1);
	file->driver_priv = priv;

	return 0;

err_free:
	kfree(priv);
err_exit:
	drm_dev_exit(idx);

	return ret;
}

/**
 * igrad_file_close() - the last descriptor of a file was closed
 * @drm: device
 * @file: whose handles are gone already
 *
 * What the device has begins and ends as if nothing had happened; what still waits is cancelled.
 */
void igrad_file_close(struct drm_device *drm, struct drm_file *file)
{
	struct igrad_file *priv = to_igrad_file(file);
	struct igrad_queue *queue;
	unsigned long id;

	igrad_vm_close(priv->vm);
	xa_for_each(&priv->queues, id, queue)
		igrad_queue_put(queue);
	xa_destroy(&priv->queues);
	igrad_vm_put(priv->vm);
	kfree(priv);
}

/**
 * igrad_file_show_fdinfo() - driver's part of /proc/PID/fdinfo/FD
 * @p: where to print
 * @file: asked for
 */
void igrad_file_show_fdinfo(struct drm_printer *p, struct drm_file *file)
{
	struct igrad_file *priv = to_igrad_file(file);

	drm_printf(p, "drm-engine-array:\t%lld ns\n", atomic64_read(&priv->vm->busy_ns));
	drm_show_memory_stats(p, file);
}
