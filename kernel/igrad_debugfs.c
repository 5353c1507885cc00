// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files below debugfs: address spaces, queues and the ring.
 */

#include <drm/drm_debugfs.h>
#include <drm/drm_print.h>
#include <linux/seq_file.h>

#include "igrad_debugfs.h"
#include "igrad_device.h"
#include "igrad_queue.h"
#include "igrad_vm.h"

static struct igrad_device *igrad_debugfs_device(struct seq_file *m)
{
	struct drm_debugfs_entry *entry = m->private;

	return to_igrad_device(entry->dev);
}

static int igrad_debugfs_vms(struct seq_file *m, void *data)
{
	struct igrad_device *idev = igrad_debugfs_device(m);
	struct drm_printer p = drm_seq_file_printer(m);
	struct igrad_vm *vm;

	mutex_lock(&idev->mapped_lock);
	list_for_each_entry(vm, &idev->vms, node) {
		mutex_lock(&vm->lock);
		seq_printf(m, "address space: pending %u, busy %lld ns%s%s\n",
			   READ_ONCE(vm->pending), atomic64_read(&vm->busy_ns),
			   READ_ONCE(vm->closed) ? ", closed" : "",
			   vm->mmu.root ? "" : ", unplugged");
		drm_mm_print(&vm->mm, &p);
		mutex_unlock(&vm->lock);
	}
	mutex_unlock(&idev->mapped_lock);

	return 0;
}

static int igrad_debugfs_queues(struct seq_file *m, void *data)
{
	struct igrad_device *idev = igrad_debugfs_device(m);
	struct igrad_ring *ring = &idev->ring;
	struct igrad_queue *queue;

	mutex_lock(&idev->mapped_lock);
	list_for_each_entry(queue, &idev->queues, node) {
		spin_lock(&ring->lock);
		seq_printf(m, "queue %llu: submitted %llu, completed %llu, error %d\n",
			   queue->fence_context, queue->submitted, queue->completed,
			   queue->failure.error);
		spin_unlock(&ring->lock);
	}
	mutex_unlock(&idev->mapped_lock);

	return 0;
}

static int igrad_debugfs_ring(struct seq_file *m, void *data)
{
	static const char *const states[] = {
		[IGRAD_RING_PAUSED] = "paused",
		[IGRAD_RING_RUNNING] = "running",
		[IGRAD_RING_DEAD] = "dead",
	};
	struct igrad_device *idev = igrad_debugfs_device(m);
	struct igrad_ring *ring = &idev->ring;

	spin_lock(&ring->lock);
	seq_printf(m, "state: %s\njobs: %zu\ntail: %u\n", states[ring->state],
		   list_count_nodes(&ring->jobs), ring->tail);
	spin_unlock(&ring->lock);

	return 0;
}

static const struct drm_debugfs_info igrad_debugfs_files[] = {
	{ .name = "vms", .show = igrad_debugfs_vms },
	{ .name = "queues", .show = igrad_debugfs_queues },
	{ .name = "ring", .show = igrad_debugfs_ring },
};

/**
 * igrad_debugfs_init() - make the files
 * @idev: device that is about to be registered
 */
void igrad_debugfs_init(struct igrad_device *idev)
{
	drm_debugfs_add_files(&idev->drm, igrad_debugfs_files, ARRAY_SIZE(igrad_debugfs_files));
}
