/* SPDX-License-Identifier: MIT */
/*
 * The drm backend without a device: ioctl() is replaced by one that compares each call with a
 * script and gives the answer written there. Memory of "buffers" is the file that stands for the
 * node.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <xf86drm.h>

#include "igrad/igrad.h"
#include "uapi/drm/igrad_accel.h"

#define TIMEOUT_NS 60000000000ll

/**
 * struct call - an expected ioctl
 * @check: compares the arguments, and writes the results
 * @err: errno that the call fails with, or 0
 */
struct call {
	unsigned long request;
	void (*check)(void *arg);
	int err;
};

static const struct call *script;
static size_t script_left;

static int node; /* the file that stands for the device node */
static char uri[64];

int ioctl(int fd, unsigned long request, ...)
{
	const struct call *call = script;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!script_left)
		fail_msg("unexpected ioctl 0x%lx", request);
	if (fd < 0 || request != call->request)
		fail_msg("ioctl 0x%lx on %d instead of 0x%lx", request, fd, call->request);
	script++;
	script_left--;
	if (call->check)
		call->check(arg);
	errno = call->err;
	return call->err ? -1 : 0;
}

static void expect(const struct call *calls, size_t num)
{
	assert_int_equal(script_left, 0);
	script = calls;
	script_left = num;
}

#define EXPECT(...)                                               \
	do {                                                      \
		static const struct call calls[] = {__VA_ARGS__}; \
		expect(calls, sizeof(calls) / sizeof(calls[0]));  \
	} while (0)

#define DONE() assert_int_equal(script_left, 0)

/* ---------------------------------------------------------------- answers */

static void answer_field(char *field, __kernel_size_t *room, const char *value)
{
	if (field)
		memcpy(field, value, strlen(value) < *room ? strlen(value) : *room);
	*room = strlen(value);
}

static void answer_driver(struct drm_version *version, const char *name)
{
	answer_field(version->name, &version->name_len, name);
	answer_field(version->date, &version->date_len, "0");
	answer_field(version->desc, &version->desc_len, "a driver");
}

static void answer_version(void *arg)
{
	answer_driver(arg, "igrad");
}

static void answer_other_version(void *arg)
{
	answer_driver(arg, "other");
}

static struct drm_igrad_device_info *device_query(void *arg)
{
	struct drm_igrad_dev_query *query = arg;

	assert_int_equal(query->type, DRM_IGRAD_QUERY_DEVICE);
	assert_int_equal(query->size, sizeof(struct drm_igrad_device_info));
	return (void *)(uintptr_t)query->pointer;
}

static void answer_device(void *arg)
{
	*device_query(arg) = (struct drm_igrad_device_info){
		.hw_version = IGRAD_HW_VERSION,
		.features = IGRAD_FEATURE_OVERLAP,
		.rows = 48,
		.cols = 24,
		.sram_bytes = 65536,
		.dram_bytes_per_cycle = 32,
		.dram_latency = 90,
		.max_bos = 4,
		.clock_hz = 5000000000,
		.va_start = 0x200000,
		.va_end = 1ull << 39,
		.max_jobs = 64,
		.max_syncs = 64,
		.max_queues = 64,
		.job_timeout_ms = 5000,
	};
}

static void answer_older_device(void *arg)
{
	answer_device(arg);
	((struct drm_igrad_dev_query *)arg)->size = 40;
}

static void answer_newer_hardware(void *arg)
{
	answer_device(arg);
	device_query(arg)->hw_version += 1 << 16;
}

static uint32_t next_handle;

static void answer_bo(void *arg)
{
	struct drm_igrad_bo_create *bo = arg;

	assert_int_equal(bo->flags, 0);
	bo->size = (bo->size + 4095) & ~4095ull;
	bo->handle = ++next_handle;
	bo->va = 0x200000 + 0x100000ull * bo->handle;
	bo->mmap_offset = 0x10000ull * bo->handle;
}

static void answer_queue(void *arg)
{
	struct drm_igrad_queue_create *queue = arg;

	assert_int_equal(queue->priority, DRM_IGRAD_PRIORITY_NORMAL);
	assert_int_equal(queue->flags, 0);
	assert_int_equal(queue->pad, 0);
	queue->queue_id = 9;
}

static void check_queue_destroy(void *arg)
{
	struct drm_igrad_queue_destroy *queue = arg;

	assert_int_equal(queue->queue_id, 9);
	assert_int_equal(queue->pad, 0);
}

static void answer_syncobj(void *arg)
{
	struct drm_syncobj_create *syncobj = arg;

	assert_int_equal(syncobj->flags, 0);
	syncobj->handle = 70;
}

static void check_syncobj_destroy(void *arg)
{
	assert_int_equal(((struct drm_syncobj_destroy *)arg)->handle, 70);
}

/* A command buffer with a load from buffer 1; its commands are buffer 3, the report is in 2. */
static void check_submit(void *arg)
{
	struct drm_igrad_submit *submit = arg;
	struct drm_igrad_job *job = (void *)(uintptr_t)submit->jobs.pointer;
	struct drm_igrad_bo_ref *refs = (void *)(uintptr_t)job->bos.pointer;
	struct drm_igrad_sync *signal = (void *)(uintptr_t)job->signals.pointer;

	assert_int_equal(submit->queue_id, 9);
	assert_int_equal(submit->flags, 0);
	assert_int_equal(submit->jobs.stride, sizeof(*job));
	assert_int_equal(submit->jobs.count, 1);
	assert_int_equal(job->num_cmds, 1);
	assert_int_equal(job->flags, 0);
	assert_int_equal(job->cmds % 64, 0);
	assert_int_equal(job->report % 64, 0);
	assert_int_equal(job->waits.count, 0);
	assert_int_equal(job->bos.stride, sizeof(*refs));
	assert_int_equal(job->bos.count, 3);
	assert_int_equal(refs[0].handle, 1);
	assert_int_equal(refs[0].flags, DRM_IGRAD_BO_READ);
	assert_int_equal(job->cmds, 0x200000 + 0x100000ull * refs[1].handle);
	assert_int_equal(refs[1].flags, DRM_IGRAD_BO_READ);
	assert_int_equal(job->report & ~0xfffull, 0x200000 + 0x100000ull * refs[2].handle);
	assert_int_equal(refs[2].flags, DRM_IGRAD_BO_WRITE);
	assert_int_equal(job->signals.stride, sizeof(*signal));
	assert_int_equal(job->signals.count, 1);
	assert_int_equal(signal->handle, 70);
	assert_int_equal(signal->flags, 0);
	assert_int_equal(signal->point, 0);
}

/* The device writes what it read and its report into the memory that is mapped. */
static void answer_submit(void *arg)
{
	struct drm_igrad_submit *submit = arg;
	struct drm_igrad_job *job = (void *)(uintptr_t)submit->jobs.pointer;
	struct igrad_report report = {.version = 1, .status = IGRAD_STATUS_OK, .cycles = 1234};
	uint64_t handle = (job->report - 0x200000) / 0x100000;

	check_submit(arg);
	assert_int_equal(
		pwrite(node, &report, sizeof(report), 0x10000 * handle + job->report % 0x100000),
		sizeof(report));
	submit->seqno = 5;
}

static void check_poll(void *arg)
{
	struct drm_syncobj_wait *wait = arg;

	assert_int_equal(wait->count_handles, 1);
	assert_int_equal(*(uint32_t *)(uintptr_t)wait->handles, 70);
	assert_int_equal(wait->timeout_nsec, 0);
	assert_int_equal(wait->flags, 0);
}

static int64_t waited_until;

static void check_wait(void *arg)
{
	struct drm_syncobj_wait *wait = arg;

	assert_int_equal(wait->count_handles, 1);
	assert_true(wait->timeout_nsec > TIMEOUT_NS);
	waited_until = wait->timeout_nsec;
}

/* After a signal the wait goes on to the same point in time. */
static void check_same_wait(void *arg)
{
	assert_int_equal(((struct drm_syncobj_wait *)arg)->timeout_nsec, waited_until);
}

static void check_endless_wait(void *arg)
{
	assert_int_equal(((struct drm_syncobj_wait *)arg)->timeout_nsec, INT64_MAX);
}

static void answer_queue_info(void *arg, int error, uint64_t seqno)
{
	struct drm_igrad_dev_query *query = arg;
	struct drm_igrad_queue_info *info = (void *)(uintptr_t)query->pointer;

	assert_int_equal(query->type, DRM_IGRAD_QUERY_QUEUE);
	assert_int_equal(query->size, sizeof(*info));
	assert_int_equal(info->queue_id, 9);
	info->error = error;
	info->seqno = seqno;
	info->fault_addr = error ? 0xbad000 : 0;
	info->command = error ? 17 : 0;
	info->reason = error ? IGRAD_REASON_READ_ONLY : 0;
	info->submitted = info->completed = 9;
}

static void answer_no_error(void *arg)
{
	answer_queue_info(arg, 0, 0);
}

static void answer_this_failed(void *arg)
{
	answer_queue_info(arg, -EFAULT, 5);
}

static void answer_earlier_failed(void *arg)
{
	answer_queue_info(arg, -ETIME, 4);
}

static void answer_later_failed(void *arg)
{
	answer_queue_info(arg, -EINVAL, 6);
}

/* ---------------------------------------------------------------- scripts */

#define OPEN                                                                            \
	{DRM_IOCTL_VERSION, answer_version, 0}, {DRM_IOCTL_VERSION, answer_version, 0}, \
	{                                                                               \
		DRM_IOCTL_IGRAD_DEV_QUERY, answer_device, 0                             \
	}
#define SUBMIT                                           \
	{DRM_IOCTL_SYNCOBJ_CREATE, answer_syncobj, 0},   \
	{                                                \
		DRM_IOCTL_IGRAD_SUBMIT, answer_submit, 0 \
	}
#define RUNNING                                           \
	{                                                 \
		DRM_IOCTL_SYNCOBJ_WAIT, check_poll, ETIME \
	}
#define BO                                              \
	{                                               \
		DRM_IOCTL_IGRAD_BO_CREATE, answer_bo, 0 \
	}
#define CLOSE                                \
	{                                    \
		DRM_IOCTL_GEM_CLOSE, NULL, 0 \
	}

struct fixture {
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_buffer *buffer;
	struct igrad_cmdbuf *cmdbuf;
};

static void open_fixture(struct fixture *fixture)
{
	struct igrad_cmd load = {
		.opcode = IGRAD_OP_DMA_LOAD,
		.u.dma = {.rows = 1, .cols = 16},
	};
	struct igrad_error error;

	next_handle = 0;
	EXPECT(OPEN, {DRM_IOCTL_IGRAD_QUEUE_CREATE, answer_queue, 0}, BO);
	if (igrad_device_open(uri, &fixture->device, &error))
		fail_msg("%s", error.message);
	assert_int_equal(igrad_queue_new(fixture->device, &fixture->queue), 0);
	assert_int_equal(igrad_buffer_new(fixture->device, 100, &fixture->buffer), 0);
	assert_int_equal(igrad_cmdbuf_new(fixture->device, &fixture->cmdbuf), 0);
	assert_int_equal(igrad_cmdbuf_emit(fixture->cmdbuf, &load, fixture->buffer), 0);
	DONE();
}

/* The script is that of the command buffer's own fence, if it still has one. */
static void close_fixture(struct fixture *fixture)
{
	igrad_cmdbuf_unref(fixture->cmdbuf);
	igrad_queue_unref(fixture->queue);
	igrad_buffer_unref(fixture->buffer);
	igrad_device_unref(fixture->device);
	DONE();
}

#define CLOSE_FIXTURE                                                        \
	{DRM_IOCTL_SYNCOBJ_DESTROY, check_syncobj_destroy, 0}, CLOSE, CLOSE, \
		{DRM_IOCTL_IGRAD_QUEUE_DESTROY, check_queue_destroy, 0}, CLOSE

static int setup(void **context)
{
	(void)context;
	node = memfd_create("node", MFD_CLOEXEC);
	if (node < 0 || ftruncate(node, 1 << 20))
		return -1;
	snprintf(uri, sizeof(uri), "drm:/proc/self/fd/%d", node);
	return 0;
}

static int teardown(void **context)
{
	(void)context;
	return close(node);
}

/* ---------------------------------------------------------------- opening */

static void opening_asks_for_driver_and_device(void **context)
{
	const struct igrad_device_info *info;
	struct igrad_device *device;

	(void)context;
	EXPECT(OPEN);
	assert_int_equal(igrad_device_open(uri, &device, NULL), 0);
	DONE();
	assert_string_equal(igrad_device_uri(device), uri);
	info = igrad_device_info(device);
	assert_int_equal(info->rows, 48);
	assert_int_equal(info->cols, 24);
	assert_int_equal(info->sram_bytes, 65536);
	assert_int_equal(info->dram_bytes_per_cycle, 32);
	assert_int_equal(info->dram_latency, 90);
	assert_int_equal(info->clock_hz, 5000000000);
	assert_int_equal(info->va_start, 0x200000);
	assert_int_equal(info->va_end, 1ull << 39);
	assert_int_equal(igrad_device_trace(device, NULL, NULL), -ENOTSUP);
	igrad_device_unref(device);
}

static void expect_not_opened(int err, const char *what)
{
	struct igrad_device *device;
	struct igrad_error error;

	assert_int_equal(igrad_device_open(uri, &device, &error), err);
	assert_null(device);
	DONE();
	if (!strstr(error.message, what))
		fail_msg("%s", error.message);
}

static void strangers_are_refused(void **context)
{
	(void)context;
	EXPECT({DRM_IOCTL_VERSION, NULL, ENOTTY});
	expect_not_opened(-ENODEV, "is not an igrad device");
	EXPECT({DRM_IOCTL_VERSION, answer_other_version, 0},
	       {DRM_IOCTL_VERSION, answer_other_version, 0});
	expect_not_opened(-ENODEV, "is not an igrad device");
	EXPECT({DRM_IOCTL_VERSION, answer_version, 0}, {DRM_IOCTL_VERSION, answer_version, 0},
	       {DRM_IOCTL_IGRAD_DEV_QUERY, NULL, ENODEV});
	expect_not_opened(-ENODEV, "the device is gone");
	EXPECT({DRM_IOCTL_VERSION, answer_version, 0}, {DRM_IOCTL_VERSION, answer_version, 0},
	       {DRM_IOCTL_IGRAD_DEV_QUERY, answer_older_device, 0});
	expect_not_opened(-EPROTO, "incompatible version");
	EXPECT({DRM_IOCTL_VERSION, answer_version, 0}, {DRM_IOCTL_VERSION, answer_version, 0},
	       {DRM_IOCTL_IGRAD_DEV_QUERY, answer_newer_hardware, 0});
	expect_not_opened(-EPROTO, "incompatible version");
}

/* ---------------------------------------------------------------- running */

static void a_job_is_submitted_and_awaited(void **context)
{
	struct fixture fixture;
	struct igrad_report report;
	struct igrad_fence *fence;

	(void)context;
	open_fixture(&fixture);
	EXPECT(BO, BO, SUBMIT);
	assert_int_equal(igrad_queue_submit(fixture.queue, fixture.cmdbuf, &fence), 0);
	DONE();

	EXPECT(RUNNING, RUNNING, {DRM_IOCTL_SYNCOBJ_WAIT, check_wait, EINTR},
	       {DRM_IOCTL_SYNCOBJ_WAIT, check_same_wait, 0},
	       {DRM_IOCTL_IGRAD_DEV_QUERY, answer_no_error, 0});
	assert_int_equal(igrad_fence_wait(fence, 0), -ETIMEDOUT);
	assert_int_equal(igrad_fence_report(fence, &report), -EBUSY);
	assert_int_equal(igrad_fence_wait(fence, TIMEOUT_NS), 0);
	DONE();

	/* What is known is not asked for again. */
	assert_int_equal(igrad_fence_wait(fence, -1), 0);
	assert_int_equal(igrad_fence_report(fence, &report), 0);
	assert_int_equal(report.cycles, 1234);
	igrad_fence_unref(fence);
	EXPECT(CLOSE_FIXTURE);
	close_fixture(&fixture);
}

static void expect_outcome(void (*answer)(void *arg), int err)
{
	const struct call waits[] = {{DRM_IOCTL_SYNCOBJ_WAIT, check_endless_wait, 0},
				     {DRM_IOCTL_IGRAD_DEV_QUERY, answer, 0}};
	struct fixture fixture;
	struct igrad_fence *fence;

	open_fixture(&fixture);
	EXPECT(BO, BO, SUBMIT);
	assert_int_equal(igrad_queue_submit(fixture.queue, fixture.cmdbuf, &fence), 0);
	expect(waits, 2);
	assert_int_equal(igrad_fence_wait(fence, -1), err);
	assert_int_equal(igrad_fence_wait(fence, -1), err);
	DONE();
	igrad_fence_unref(fence);
	EXPECT(CLOSE_FIXTURE);
	close_fixture(&fixture);
}

static void the_queue_tells_how_a_job_ended(void **context)
{
	(void)context;
	expect_outcome(answer_no_error, 0);
	expect_outcome(answer_this_failed, -EFAULT);
	expect_outcome(answer_earlier_failed, -ECANCELED);
	expect_outcome(answer_later_failed, 0);
}

static void the_queue_error_is_passed_on(void **context)
{
	struct igrad_queue_error error;
	struct fixture fixture;

	(void)context;
	open_fixture(&fixture);
	EXPECT({DRM_IOCTL_IGRAD_DEV_QUERY, answer_this_failed, 0});
	assert_int_equal(igrad_queue_error(fixture.queue, &error), 0);
	DONE();
	assert_int_equal(error.err, -EFAULT);
	assert_int_equal(error.seqno, 5);
	assert_int_equal(error.fault_addr, 0xbad000);
	assert_int_equal(error.command, 17);
	assert_int_equal(error.reason, IGRAD_REASON_READ_ONLY);
	EXPECT({DRM_IOCTL_IGRAD_DEV_QUERY, NULL, ENODEV});
	assert_int_equal(igrad_queue_error(fixture.queue, &error), -ENODEV);
	EXPECT({DRM_IOCTL_IGRAD_QUEUE_DESTROY, check_queue_destroy, 0}, CLOSE);
	close_fixture(&fixture);
}

/* A fence that is dropped early must not give its report's place to another job. */
static void a_report_waits_for_its_job(void **context)
{
	struct fixture fixture;
	struct igrad_fence *fence;

	(void)context;
	open_fixture(&fixture);
	EXPECT(BO, BO, SUBMIT);
	assert_int_equal(igrad_queue_submit(fixture.queue, fixture.cmdbuf, &fence), 0);
	igrad_fence_unref(fence);
	EXPECT(RUNNING, {DRM_IOCTL_SYNCOBJ_DESTROY, check_syncobj_destroy, 0}, CLOSE, CLOSE,
	       {DRM_IOCTL_IGRAD_QUEUE_DESTROY, check_queue_destroy, 0}, CLOSE);
	close_fixture(&fixture);
}

static void failed_calls_leave_nothing_behind(void **context)
{
	struct igrad_buffer *buffer;
	struct igrad_queue *queue;
	struct igrad_fence *fence;
	struct fixture fixture;

	(void)context;
	open_fixture(&fixture);
	EXPECT({DRM_IOCTL_IGRAD_BO_CREATE, NULL, ENOSPC});
	assert_int_equal(igrad_buffer_new(fixture.device, 4096, &buffer), -ENOSPC);
	assert_null(buffer);
	EXPECT({DRM_IOCTL_IGRAD_QUEUE_CREATE, NULL, EACCES});
	assert_int_equal(igrad_queue_new(fixture.device, &queue), -EACCES);
	assert_null(queue);

	EXPECT(BO, BO, {DRM_IOCTL_SYNCOBJ_CREATE, NULL, ENOMEM});
	assert_int_equal(igrad_queue_submit(fixture.queue, fixture.cmdbuf, &fence), -ENOMEM);
	assert_null(fence);
	EXPECT({DRM_IOCTL_SYNCOBJ_CREATE, answer_syncobj, 0},
	       {DRM_IOCTL_IGRAD_SUBMIT, check_submit, EIO},
	       {DRM_IOCTL_SYNCOBJ_DESTROY, check_syncobj_destroy, 0});
	assert_int_equal(igrad_queue_submit(fixture.queue, fixture.cmdbuf, &fence), -EIO);
	assert_null(fence);
	EXPECT(CLOSE, CLOSE, {DRM_IOCTL_IGRAD_QUEUE_DESTROY, check_queue_destroy, 0}, CLOSE);
	close_fixture(&fixture);
}

static void too_many_buffers_are_refused_here(void **context)
{
	struct igrad_cmd load = {.opcode = IGRAD_OP_DMA_LOAD, .u.dma = {.rows = 1, .cols = 16}};
	struct igrad_buffer *more[2];
	struct fixture fixture;

	(void)context;
	open_fixture(&fixture);
	EXPECT(BO, BO, BO, BO);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(igrad_buffer_new(fixture.device, 64, &more[i]), 0);
		assert_int_equal(igrad_cmdbuf_emit(fixture.cmdbuf, &load, more[i]), 0);
		igrad_buffer_unref(more[i]);
	}
	assert_int_equal(igrad_queue_submit(fixture.queue, fixture.cmdbuf, NULL), -E2BIG);
	DONE();
	EXPECT(CLOSE, CLOSE, CLOSE, CLOSE, {DRM_IOCTL_IGRAD_QUEUE_DESTROY, check_queue_destroy, 0},
	       CLOSE);
	close_fixture(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_asks_for_driver_and_device),
		cmocka_unit_test(strangers_are_refused),
		cmocka_unit_test(a_job_is_submitted_and_awaited),
		cmocka_unit_test(the_queue_tells_how_a_job_ended),
		cmocka_unit_test(the_queue_error_is_passed_on),
		cmocka_unit_test(a_report_waits_for_its_job),
		cmocka_unit_test(failed_calls_leave_nothing_behind),
		cmocka_unit_test(too_many_buffers_are_refused_here),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("drm backend", tests, setup, teardown);
}
