/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that this driver is built for. A difference that stable kernels
 * got too cannot be told by version: the Makefile looks for it in the header.
 */
#ifndef __IGRAD_COMPAT_H__
#define __IGRAD_COMPAT_H__

#include <drm/drm_file.h>
#include <drm/gpu_scheduler.h>
#include <linux/dma-buf.h>

static inline int igrad_sched_job_init(struct drm_sched_job *job, struct drm_sched_entity *entity,
				       struct drm_file *file)
{
#ifdef IGRAD_SCHED_HAS_CLIENT_ID
	return drm_sched_job_init(job, entity, 1, file, file->client_id);
#else
	return drm_sched_job_init(job, entity, 1, file);
#endif
}

static inline int igrad_drm_sched_init(struct drm_gpu_scheduler *sched,
				       const struct drm_sched_backend_ops *ops, u32 credits,
				       long timeout, struct workqueue_struct *timeout_wq,
				       struct device *dev)
{
#ifdef IGRAD_SCHED_HAS_INIT_ARGS
	const struct drm_sched_init_args args = {
		.ops = ops,
		.timeout_wq = timeout_wq,
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
		.credit_limit = credits,
		.timeout = timeout,
		.name = "igrad",
		.dev = dev,
	};

	return drm_sched_init(sched, &args);
#else
	return drm_sched_init(sched, ops, NULL, DRM_SCHED_PRIORITY_COUNT, credits, 0, timeout,
			      timeout_wq, NULL, "igrad", dev);
#endif
}

/*
 * The scheduler took the job off its list before it asked us what became of it. Whatever that is,
 * the job belongs back there: it is freed from there once it has ended, but only if somebody looks
 * again. A scheduler that knows false alarms does so itself.
 */
static inline enum drm_gpu_sched_stat igrad_sched_give_back(struct drm_sched_job *job)
{
#ifdef IGRAD_SCHED_HAS_NO_HANG
	return DRM_GPU_SCHED_STAT_NO_HANG;
#else
	struct drm_gpu_scheduler *sched = job->sched;

	spin_lock(&sched->job_list_lock);
	list_add(&job->list, &sched->pending_list);
	spin_unlock(&sched->job_list_lock);
	drm_sched_wqueue_start(sched);

	return DRM_GPU_SCHED_STAT_NOMINAL;
#endif
}

/*
 * Up to some kernel, unmapping a dma-buf of another DRM driver leaves it mapped, for next time.
 * There is none: the device is going. The caller holds the buffer's reservation.
 */
static inline void igrad_dma_buf_forget_mapping(struct dma_buf_attachment *attach)
{
#ifdef IGRAD_DMA_BUF_CACHES_MAPPING
	if (attach->dmabuf->ops->cache_sgt_mapping)
		attach->sgt = NULL;
#endif
}

#endif /* __IGRAD_COMPAT_H__ */
