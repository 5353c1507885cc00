// SPDX-License-Identifier: GPL-2.0-only
/*
 * A DRM scheduler with nothing behind it: a job's fence has signalled when run_job returns. What
 * the path of a job costs that goes through the scheduler costs this much at least.
 *
 * Only for the benchmark: it trusts its caller.
 */

#include <linux/dma-fence.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/tick.h>
#include <linux/uaccess.h>

#include "igrad_compat.h"
#include "null_sched.h"

/* As many jobs as our device takes, and a look as often. */
#define NULL_SCHED_CREDITS	5
#define NULL_SCHED_TIMEOUT	HZ

struct null_fence {
	struct dma_fence base;
	spinlock_t lock;	/* the fence's own */
};

struct null_job {
	struct drm_sched_job base;
	struct null_fence *fence;
	u64 context;
	u64 seqno;
};

struct null_file {
	struct drm_sched_entity entity;
	/* Makes arming and pushing one step, and protects what is below. */
	struct mutex lock;
	u64 context;
	u64 seqno;
	struct dma_fence *last;
};

static struct drm_gpu_scheduler null_sched;
static struct drm_file null_owner;

static const char *null_fence_name(struct dma_fence *fence)
{
	return "null_sched";
}

static const struct dma_fence_ops null_fence_ops = {
	.get_driver_name = null_fence_name,
	.get_timeline_name = null_fence_name,
};

static struct null_job *to_null_job(struct drm_sched_job *base)
{
	return container_of(base, struct null_job, base);
}

static struct dma_fence *null_run_job(struct drm_sched_job *base)
{
	struct null_job *job = to_null_job(base);
	struct null_fence *fence = job->fence;

	spin_lock_init(&fence->lock);
	dma_fence_init(&fence->base, &null_fence_ops, &fence->lock, job->context, job->seqno);
	job->fence = NULL;
	dma_fence_signal(&fence->base);

	return &fence->base;
}

static enum drm_gpu_sched_stat null_timedout_job(struct drm_sched_job *base)
{
	return DRM_GPU_SCHED_STAT_NOMINAL;
}

static void null_free_job(struct drm_sched_job *base)
{
	struct null_job *job = to_null_job(base);

	drm_sched_job_cleanup(base);
	kfree(job->fence);
	kfree(job);
}

static const struct drm_sched_backend_ops null_sched_ops = {
	.run_job = null_run_job,
	.timedout_job = null_timedout_job,
	.free_job = null_free_job,
};

static struct null_job *null_job_create(struct null_file *file)
{
	struct null_job *job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);
	int ret = -ENOMEM;

	if (!job)
		return ERR_PTR(-ENOMEM);
	job->fence = kzalloc(sizeof(*job->fence), GFP_KERNEL_ACCOUNT);
	if (job->fence)
		ret = igrad_sched_job_init(&job->base, &file->entity, &null_owner);
	if (ret) {
		kfree(job->fence);
		kfree(job);
		return ERR_PTR(ret);
	}

	return job;
}

static void null_commit(struct null_file *file, struct null_job **jobs, u32 count)
{
	struct dma_fence *before;
	u32 i;

	mutex_lock(&file->lock);
	before = file->last;
	for (i = 0; i < count; i++) {
		struct null_job *job = jobs[i];

		drm_sched_job_arm(&job->base);
		job->context = file->context;
		job->seqno = ++file->seqno;
		if (i == count - 1)
			file->last = dma_fence_get(&job->base.s_fence->finished);
		drm_sched_entity_push_job(&job->base);
	}
	mutex_unlock(&file->lock);
	dma_fence_put(before);
}

static int null_submit(struct null_file *file, u32 count)
{
	struct null_job **jobs;
	int ret = 0;
	u32 made;

	if (!count || count > NULL_SCHED_MAX_JOBS)
		return -EINVAL;
	jobs = kcalloc(count, sizeof(*jobs), GFP_KERNEL_ACCOUNT);
	if (!jobs)
		return -ENOMEM;

	for (made = 0; made < count; made++) {
		jobs[made] = null_job_create(file);
		if (IS_ERR(jobs[made])) {
			ret = PTR_ERR(jobs[made]);
			break;
		}
	}
	if (!ret)
		null_commit(file, jobs, count);
	while (ret && made)
		null_free_job(&jobs[--made]->base);
	kfree(jobs);

	return ret;
}

static int null_wait(struct null_file *file)
{
	struct dma_fence *last;
	long ret;

	mutex_lock(&file->lock);
	last = dma_fence_get(file->last);
	mutex_unlock(&file->lock);
	if (!last)
		return 0;
	ret = dma_fence_wait(last, true);
	dma_fence_put(last);

	return ret;
}

static u64 null_idle(void)
{
	u64 now, idle = 0;
	int cpu;

	for_each_online_cpu(cpu)
		idle += get_cpu_idle_time_us(cpu, &now);

	return idle;
}

static long null_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct null_file *file = filp->private_data;
	u32 count;

	switch (cmd) {
	case NULL_SCHED_SUBMIT:
		return get_user(count, (u32 __user *)arg) ?: null_submit(file, count);
	case NULL_SCHED_WAIT:
		return null_wait(file);
	case NULL_SCHED_IDLE:
		return put_user(null_idle(), (u64 __user *)arg);
	default:
		return -ENOTTY;
	}
}

static int null_open(struct inode *inode, struct file *filp)
{
	struct drm_gpu_scheduler *sched = &null_sched;
	struct null_file *file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!file)
		return -ENOMEM;
	ret = drm_sched_entity_init(&file->entity, DRM_SCHED_PRIORITY_NORMAL, &sched, 1, NULL);
	if (ret) {
		kfree(file);
		return ret;
	}
	mutex_init(&file->lock);
	file->context = dma_fence_context_alloc(1);
	filp->private_data = file;

	return 0;
}

static int null_release(struct inode *inode, struct file *filp)
{
	struct null_file *file = filp->private_data;

	drm_sched_entity_destroy(&file->entity);
	dma_fence_put(file->last);
	mutex_destroy(&file->lock);
	kfree(file);

	return 0;
}

static const struct file_operations null_fops = {
	.owner = THIS_MODULE,
	.open = null_open,
	.release = null_release,
	.unlocked_ioctl = null_ioctl,
};

static struct miscdevice null_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "null_sched",
	.fops = &null_fops,
};

static int __init null_init(void)
{
	int ret;

	ret = igrad_drm_sched_init(&null_sched, &null_sched_ops, NULL_SCHED_CREDITS,
				   NULL_SCHED_TIMEOUT, NULL, NULL);
	if (ret)
		return ret;
	ret = misc_register(&null_device);
	if (ret)
		drm_sched_fini(&null_sched);

	return ret;
}
module_init(null_init);

static void __exit null_exit(void)
{
	misc_deregister(&null_device);
	drm_sched_fini(&null_sched);
}
module_exit(null_exit);

MODULE_DESCRIPTION("DRM scheduler with nothing behind it");
MODULE_LICENSE("GPL");
