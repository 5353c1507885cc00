// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs: made from what user space says, with everything allocated that they will ever need.
 */

#include <drm/drm_syncobj.h>
#include <linux/dma-fence-chain.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include <drm/igrad_accel.h>

#include "igrad_array.h"
#include "igrad_batch.h"
#include "igrad_device.h"
#include "igrad_file.h"
#include "igrad_gem.h"
#include "igrad_job.h"
#include "igrad_queue.h"

#define IGRAD_CMD_BYTES		64
#define IGRAD_REPORT_BYTES	512

static bool igrad_va_range_ok(u64 va, u64 size)
{
	return va >= IGRAD_VA_MIN && va < IGRAD_VA_END && size <= IGRAD_VA_END - va;
}

static int igrad_job_check(const struct drm_igrad_job *args)
{
	if (args->flags || !args->num_cmds || args->num_cmds > IGRAD_MAX_COMMANDS)
		return -EINVAL;
	if (!IS_ALIGNED(args->cmds, 64) ||
	    !igrad_va_range_ok(args->cmds, (u64)args->num_cmds * IGRAD_CMD_BYTES))
		return -EINVAL;
	if (args->report && (!IS_ALIGNED(args->report, 64) ||
			     !igrad_va_range_ok(args->report, IGRAD_REPORT_BYTES)))
		return -EINVAL;

	return igrad_array_check(&args->bos, IGRAD_MAX_BOS) ?:
		igrad_array_check(&args->waits, IGRAD_MAX_SYNCS) ?:
		igrad_array_check(&args->signals, IGRAD_MAX_SYNCS);
}

static int igrad_job_bo_cmp(const void *a, const void *b)
{
	const struct igrad_job_bo *x = a, *y = b;

	return x->handle < y->handle ? -1 : x->handle > y->handle;
}

/* The order of the list means nothing: sort it to find what is listed twice. */
static int igrad_job_check_bos(struct igrad_job *job)
{
	u32 i;

	sort(job->bos, job->num_bos, sizeof(*job->bos), igrad_job_bo_cmp, NULL);
	for (i = 1; i < job->num_bos; i++)
		if (job->bos[i].handle == job->bos[i - 1].handle)
			return -EINVAL;

	return 0;
}

static int igrad_job_load_bos(struct igrad_job *job, struct drm_file *file,
			      const struct drm_igrad_array *array)
{
	struct drm_igrad_bo_ref ref;
	int ret;
	u32 i;

	for (i = 0; i < array->count; i++) {
		struct igrad_job_bo *bo = &job->bos[i];

		ret = igrad_array_get(array, i, &ref, sizeof(ref));
		if (ret)
			return ret;
		if (!ref.flags || ref.flags & ~(DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE))
			return -EINVAL;
		bo->mapping = igrad_mapping_lookup(file, ref.handle);
		if (!bo->mapping)
			return -ENOENT;
		bo->handle = ref.handle;
		bo->flags = ref.flags;
		job->num_bos++;
		if (ref.flags & DRM_IGRAD_BO_WRITE && bo->mapping->bo->read_only)
			return -EINVAL;
	}

	return igrad_job_check_bos(job);
}

static int igrad_sync_get(const struct drm_igrad_array *array, u32 index,
			  struct drm_igrad_sync *sync)
{
	int ret;

	ret = igrad_array_get(array, index, sync, sizeof(*sync));
	if (ret)
		return ret;
	if (sync->flags & ~DRM_IGRAD_SYNC_TIMELINE)
		return -EINVAL;
	if (!sync->point != !(sync->flags & DRM_IGRAD_SYNC_TIMELINE))
		return -EINVAL;

	return 0;
}

static int igrad_job_load_signals(struct igrad_job *job, struct drm_file *file,
				  const struct drm_igrad_array *array)
{
	struct drm_igrad_sync sync;
	int ret;
	u32 i;

	if (!array->count)
		return 0;
	job->signals = kvcalloc(array->count, sizeof(*job->signals), GFP_KERNEL_ACCOUNT);
	if (!job->signals)
		return -ENOMEM;

	for (i = 0; i < array->count; i++) {
		struct igrad_job_signal *signal = &job->signals[i];

		ret = igrad_sync_get(array, i, &sync);
		if (ret)
			return ret;
		signal->syncobj = drm_syncobj_find(file, sync.handle);
		if (!signal->syncobj)
			return -ENOENT;
		job->num_signals++;
		if (!sync.point)
			continue;
		signal->point = sync.point;
		signal->chain = dma_fence_chain_alloc();
		if (!signal->chain)
			return -ENOMEM;
	}

	return 0;
}

/**
 * igrad_job_create() - make a job from what user space says, but for what it waits for
 * @file: caller
 * @args: not yet checked
 *
 * Return: the job, or an ERR_PTR().
 */
struct igrad_job *igrad_job_create(struct drm_file *file, const struct drm_igrad_job *args)
{
	struct igrad_job *job;
	int ret;

	ret = igrad_job_check(args);
	if (ret)
		return ERR_PTR(ret);

	job = kvzalloc(struct_size(job, bos, args->bos.count), GFP_KERNEL_ACCOUNT);
	if (!job)
		return ERR_PTR(-ENOMEM);

	job->cmds = args->cmds;
	job->num_cmds = args->num_cmds;
	job->report = args->report;
	INIT_LIST_HEAD(&job->ring_node);

	ret = igrad_job_load_bos(job, file, &args->bos) ?:
		igrad_job_load_signals(job, file, &args->signals);
	if (ret) {
		igrad_job_destroy(job);
		return ERR_PTR(ret);
	}

	return job;
}

/**
 * igrad_job_load_waits() - let a batch wait for what user space says of its first job
 * @batch: batch
 * @file: caller
 * @array: of syncs; checked
 *
 * Return: 0 or a negative errno.
 */
int igrad_job_load_waits(struct igrad_batch *batch, struct drm_file *file,
			 const struct drm_igrad_array *array)
{
	struct drm_igrad_sync sync;
	struct dma_fence *fence;
	int ret;
	u32 i;

	for (i = 0; i < array->count; i++) {
		ret = igrad_sync_get(array, i, &sync);
		if (ret)
			return ret;
		ret = drm_syncobj_find_fence(file, sync.handle, sync.point, 0, &fence);
		if (ret)
			return ret;
		/* Takes the fence over, also when it fails. */
		ret = drm_sched_job_add_dependency(&batch->base, fence);
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * igrad_job_destroy() - free a job whose batch is being freed, or that has none
 * @job: job; may wait for memory management
 */
void igrad_job_destroy(struct igrad_job *job)
{
	u32 i;

	for (i = 0; i < job->num_signals; i++) {
		dma_fence_chain_free(job->signals[i].chain);
		drm_syncobj_put(job->signals[i].syncobj);
	}
	kvfree(job->signals);
	for (i = 0; i < job->num_bos; i++)
		igrad_mapping_put(job->bos[i].mapping);
	kvfree(job);
}
