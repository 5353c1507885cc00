// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "igrad_test.h"

#define FLOAT_ONE 0x3f800000u

int test_open(unsigned int device)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/accel/accel%u", device);
	fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int test_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret && errno == EINTR);

	return ret ? -errno : 0;
}

double test_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec + now.tv_nsec / 1e9;
}

int test_device_info(int fd, struct drm_igrad_device_info *info)
{
	struct drm_igrad_dev_query args = {
		.type = DRM_IGRAD_QUERY_DEVICE,
		.size = sizeof(*info),
		.pointer = (uintptr_t)info,
	};

	memset(info, 0, sizeof(*info));

	return test_ioctl(fd, DRM_IOCTL_IGRAD_DEV_QUERY, &args);
}

static __s64 deadline(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (now.tv_sec + WAIT_SECONDS) * 1000000000ll + now.tv_nsec;
}

/* Buffers */

int test_bo_create(int fd, __u64 size, struct test_bo *bo)
{
	struct drm_igrad_bo_create args = { .size = size };
	int ret = test_ioctl(fd, DRM_IOCTL_IGRAD_BO_CREATE, &args);

	if (ret)
		return ret;
	bo->handle = args.handle;
	bo->size = args.size;
	bo->va = args.va;
	bo->mmap_offset = args.mmap_offset;
	bo->map = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, bo->mmap_offset);

	return bo->map == MAP_FAILED ? -errno : 0;
}

int test_gem_close(int fd, __u32 handle)
{
	struct drm_gem_close args = { .handle = handle };

	return test_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

int test_bo_close(int fd, struct test_bo *bo)
{
	munmap(bo->map, bo->size);
	bo->map = NULL;

	return test_gem_close(fd, bo->handle);
}

int test_export(int fd, __u32 handle)
{
	struct drm_prime_handle args = { .handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR };
	int ret = test_ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	return ret ? ret : args.fd;
}

int test_import(int fd, int dmabuf, __u32 *handle)
{
	struct drm_prime_handle args = { .fd = dmabuf };
	int ret = test_ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	*handle = args.handle;

	return ret;
}

/* Queues */

int test_queue_create(int fd)
{
	struct drm_igrad_queue_create args = { .priority = DRM_IGRAD_PRIORITY_NORMAL };
	int ret = test_ioctl(fd, DRM_IOCTL_IGRAD_QUEUE_CREATE, &args);

	return ret ? ret : (int)args.queue_id;
}

int test_queue_destroy(int fd, __u32 id)
{
	struct drm_igrad_queue_destroy args = { .queue_id = id };

	return test_ioctl(fd, DRM_IOCTL_IGRAD_QUEUE_DESTROY, &args);
}

int test_queue_info(int fd, __u32 id, struct drm_igrad_queue_info *info)
{
	struct drm_igrad_dev_query args = {
		.type = DRM_IGRAD_QUERY_QUEUE,
		.size = sizeof(*info),
		.pointer = (uintptr_t)info,
	};

	memset(info, 0, sizeof(*info));
	info->queue_id = id;

	return test_ioctl(fd, DRM_IOCTL_IGRAD_DEV_QUERY, &args);
}

/* Syncobjs */

__u32 test_syncobj_create(int fd)
{
	struct drm_syncobj_create args = { };

	return test_ioctl(fd, DRM_IOCTL_SYNCOBJ_CREATE, &args) ? 0 : args.handle;
}

void test_syncobj_destroy(int fd, __u32 handle)
{
	struct drm_syncobj_destroy args = { .handle = handle };

	test_ioctl(fd, DRM_IOCTL_SYNCOBJ_DESTROY, &args);
}

int test_syncobj_wait(int fd, __u32 handle, __u64 point)
{
	struct drm_syncobj_timeline_wait args = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)&point,
		.timeout_nsec = deadline(),
		.count_handles = 1,
		.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL,
	};

	return test_ioctl(fd, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &args);
}

int test_syncobj_signal(int fd, __u32 handle)
{
	struct drm_syncobj_array args = { .handles = (uintptr_t)&handle, .count_handles = 1 };

	return test_ioctl(fd, DRM_IOCTL_SYNCOBJ_SIGNAL, &args);
}

int test_syncobj_value(int fd, __u32 handle, __u64 *value)
{
	struct drm_syncobj_timeline_array args = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)value,
		.count_handles = 1,
	};

	return test_ioctl(fd, DRM_IOCTL_SYNCOBJ_QUERY, &args);
}

static int syncobj_to_fd(int fd, __u32 handle, __u32 flags)
{
	struct drm_syncobj_handle args = { .handle = handle, .flags = flags, .fd = -1 };
	int ret = test_ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args);

	return ret ? ret : args.fd;
}

int test_syncobj_export(int fd, __u32 handle)
{
	return syncobj_to_fd(fd, handle, 0);
}

__u32 test_syncobj_import(int fd, int syncobj_fd)
{
	struct drm_syncobj_handle args = { .fd = syncobj_fd };

	return test_ioctl(fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &args) ? 0 : args.handle;
}

/* How a job ended: waiting for a syncobj does not tell, the fence in it does. */
int test_syncobj_status(int fd, __u32 handle)
{
	struct sync_fence_info fence = { };
	struct sync_file_info info = { .num_fences = 1, .sync_fence_info = (uintptr_t)&fence };
	int file = syncobj_to_fd(fd, handle, DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE);
	int ret;

	if (file < 0)
		return file;
	ret = test_ioctl(file, SYNC_IOC_FILE_INFO, &info);
	close(file);
	if (ret)
		return ret;
	if (!info.status)
		return -EINPROGRESS;

	return info.status < 0 ? info.status : 0;
}

/* A syncobj without a fence cannot be made a sync file. */
bool test_syncobj_is_empty(int fd, __u32 handle)
{
	int file = syncobj_to_fd(fd, handle, DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE);

	if (file >= 0)
		close(file);

	return file == -EINVAL;
}

/* Command buffers */

int test_cmds_create(int fd, __u32 max, struct test_cmds *cmds)
{
	memset(cmds, 0, sizeof(*cmds));

	return test_bo_create(fd, (__u64)max * sizeof(struct igrad_cmd), &cmds->bo);
}

/* The next command. It waits for all that is before it, and signals its engine's semaphore. */
struct igrad_cmd *test_cmd(struct test_cmds *cmds, enum igrad_opcode opcode,
			   enum igrad_engine engine)
{
	struct igrad_cmd *cmd = (struct igrad_cmd *)cmds->bo.map + cmds->count++;
	unsigned int e, waits = 0;

	memset(cmd, 0, sizeof(*cmd));
	cmd->opcode = opcode;
	cmd->signal = engine + 1;
	for (e = 0; e < IGRAD_NUM_ENGINES; e++) {
		if (e == engine || !cmds->signalled[e])
			continue;
		cmd->wait_sem[waits] = e + 1;
		cmd->wait_value[waits++] = cmds->signalled[e];
	}
	cmds->signalled[engine]++;

	return cmd;
}

void test_nop(struct test_cmds *cmds, __u32 tag)
{
	struct igrad_cmd *cmd = test_cmd(cmds, IGRAD_OP_NOP, IGRAD_ENGINE_VECTOR);

	cmd->engine = IGRAD_ENGINE_VECTOR;
	cmd->tag = tag;
}

void test_dma(struct test_cmds *cmds, bool store, __u64 va, __u32 sram, __u32 words)
{
	struct igrad_cmd *cmd = store ?
		test_cmd(cmds, IGRAD_OP_DMA_STORE, IGRAD_ENGINE_STORE) :
		test_cmd(cmds, IGRAD_OP_DMA_LOAD, IGRAD_ENGINE_LOAD);

	cmd->u.dma.va = va;
	cmd->u.dma.sram = sram;
	cmd->u.dma.rows = 1;
	cmd->u.dma.cols = words;
}

void test_copy(struct test_cmds *cmds, __u64 to, __u64 from, __u32 words)
{
	test_dma(cmds, false, from, 0, words);
	test_dma(cmds, true, to, 0, words);
}

void test_fill(struct test_cmds *cmds, __u32 sram, __u32 words, __u32 bits)
{
	struct igrad_cmd *cmd = test_cmd(cmds, IGRAD_OP_VEC_FILL, IGRAD_ENGINE_VECTOR);

	cmd->u.vec.rows = 1;
	cmd->u.vec.cols = words;
	cmd->u.vec.d = sram;
	cmd->u.vec.imm = bits;
}

/* x += 1.0 in place, so that running it twice shows. */
void test_increment(struct test_cmds *cmds, __u64 va, __u32 words)
{
	struct igrad_cmd *cmd;

	test_dma(cmds, false, va, 0, words);
	test_fill(cmds, words * 4, words, FLOAT_ONE);
	cmd = test_cmd(cmds, IGRAD_OP_VEC_AXPY, IGRAD_ENGINE_VECTOR);
	cmd->u.vec.rows = 1;
	cmd->u.vec.cols = words;
	cmd->u.vec.a = words * 4;
	cmd->u.vec.b = 0;
	cmd->u.vec.d = 0;
	cmd->u.vec.imm = FLOAT_ONE;
	test_dma(cmds, true, va, 0, words);
}

/* Jobs */

void test_job_init(struct test_job *job, const struct test_cmds *cmds)
{
	memset(job, 0, sizeof(*job));
	job->job.cmds = cmds->bo.va;
	job->job.num_cmds = cmds->count;
	job->job.bos.stride = sizeof(job->bos[0]);
	job->job.bos.pointer = (uintptr_t)job->bos;
	job->job.waits.stride = sizeof(job->waits[0]);
	job->job.waits.pointer = (uintptr_t)job->waits;
	job->job.signals.stride = sizeof(job->signals[0]);
	job->job.signals.pointer = (uintptr_t)job->signals;
	test_job_bo(job, &cmds->bo, DRM_IGRAD_BO_READ);
}

void test_job_bo(struct test_job *job, const struct test_bo *bo, __u32 flags)
{
	job->bos[job->job.bos.count++] = (struct drm_igrad_bo_ref) {
		.handle = bo->handle,
		.flags = flags,
	};
}

static struct drm_igrad_sync sync_entry(__u32 syncobj, __u64 point)
{
	return (struct drm_igrad_sync) {
		.handle = syncobj,
		.flags = point ? DRM_IGRAD_SYNC_TIMELINE : 0,
		.point = point,
	};
}

void test_job_wait(struct test_job *job, __u32 syncobj, __u64 point)
{
	job->waits[job->job.waits.count++] = sync_entry(syncobj, point);
}

void test_job_signal(struct test_job *job, __u32 syncobj, __u64 point)
{
	job->signals[job->job.signals.count++] = sync_entry(syncobj, point);
}

int test_submit_raw(int fd, struct drm_igrad_submit *submit)
{
	return test_ioctl(fd, DRM_IOCTL_IGRAD_SUBMIT, submit);
}

int test_submit(int fd, __u32 queue, struct test_job *job)
{
	struct drm_igrad_submit submit = {
		.queue_id = queue,
		.jobs = {
			.stride = sizeof(job->job),
			.count = 1,
			.pointer = (uintptr_t)&job->job,
		},
	};

	return test_submit_raw(fd, &submit);
}

int test_run(int fd, __u32 queue, struct test_job *job)
{
	__u32 syncobj = test_syncobj_create(fd);
	int ret;

	test_job_signal(job, syncobj, 0);
	ret = test_submit(fd, queue, job);
	if (!ret)
		ret = test_syncobj_wait(fd, syncobj, 0);
	if (!ret)
		ret = test_syncobj_status(fd, syncobj);
	test_syncobj_destroy(fd, syncobj);

	return ret;
}
