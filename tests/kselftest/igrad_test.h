/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the driver's tests share: the ioctls, and command buffers built by hand from the hardware
 * contract. Functions return 0 or a positive number, or a negative errno.
 */
#ifndef IGRAD_TEST_H
#define IGRAD_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <igrad/hw.h>
#include <drm/igrad_accel.h>

/* A NOP with this tag hangs on the devices that the tests run on (x-hang-tag). */
#define HANG_TAG 0x68616e67

/*
 * Longer than anything takes, also where a busy host emulates all of this and the kernel looks for
 * mistakes: these are there to end what would never end. No test measures time against less.
 */
#define WAIT_SECONDS 300
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 1200
#endif

int test_open(unsigned int device);
int test_ioctl(int fd, unsigned long request, void *arg);
int test_device_info(int fd, struct drm_igrad_device_info *info);
double test_now(void);

/* Buffers, mapped. */
struct test_bo {
	__u32 handle;
	__u64 size;
	__u64 va;
	__u64 mmap_offset;
	void *map;
};

int test_bo_create(int fd, __u64 size, struct test_bo *bo);
int test_bo_close(int fd, struct test_bo *bo);
int test_gem_close(int fd, __u32 handle);
int test_export(int fd, __u32 handle);
int test_import(int fd, int dmabuf, __u32 *handle);

/* Queues. */
int test_queue_create(int fd);
int test_queue_destroy(int fd, __u32 id);
int test_queue_info(int fd, __u32 id, struct drm_igrad_queue_info *info);

/* Syncobjs. Point 0 is that of a binary one. */
__u32 test_syncobj_create(int fd);
void test_syncobj_destroy(int fd, __u32 handle);
int test_syncobj_wait(int fd, __u32 handle, __u64 point);
int test_syncobj_signal(int fd, __u32 handle);
int test_syncobj_status(int fd, __u32 handle);
int test_syncobj_value(int fd, __u32 handle, __u64 *value);
int test_syncobj_export(int fd, __u32 handle);
__u32 test_syncobj_import(int fd, int syncobj_fd);
bool test_syncobj_is_empty(int fd, __u32 handle);

/* Command buffers. Commands of different engines are ordered by semaphore 1 … 4, one for each. */
struct test_cmds {
	struct test_bo bo;
	__u32 count;
	__u32 signalled[IGRAD_NUM_ENGINES];
};

int test_cmds_create(int fd, __u32 max, struct test_cmds *cmds);
struct igrad_cmd *test_cmd(struct test_cmds *cmds, enum igrad_opcode opcode,
			   enum igrad_engine engine);
void test_nop(struct test_cmds *cmds, __u32 tag);
void test_dma(struct test_cmds *cmds, bool store, __u64 va, __u32 sram, __u32 words);
void test_copy(struct test_cmds *cmds, __u64 to, __u64 from, __u32 words);
void test_fill(struct test_cmds *cmds, __u32 sram, __u32 words, __u32 bits);
void test_increment(struct test_cmds *cmds, __u64 va, __u32 words);

/* A job as it is handed over, with room for what most need. */
struct test_job {
	struct drm_igrad_job job;
	struct drm_igrad_bo_ref bos[4];
	struct drm_igrad_sync waits[2];
	struct drm_igrad_sync signals[2];
};

void test_job_init(struct test_job *job, const struct test_cmds *cmds);
void test_job_bo(struct test_job *job, const struct test_bo *bo, __u32 flags);
void test_job_wait(struct test_job *job, __u32 syncobj, __u64 point);
void test_job_signal(struct test_job *job, __u32 syncobj, __u64 point);
int test_submit(int fd, __u32 queue, struct test_job *job);
int test_submit_raw(int fd, struct drm_igrad_submit *submit);

/* Submit, wait, and return how the job ended: 0 or a negative errno. */
int test_run(int fd, __u32 queue, struct test_job *job);

#endif /* IGRAD_TEST_H */
