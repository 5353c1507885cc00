/* SPDX-License-Identifier: MIT */
/*
 * Jobs: what runs, what fails and what goes on regardless, from one thread and many. The rules hold
 * for every backend: $IGRAD_TEST_DEVICE names another device than a simulated one. It must have
 * x-hang-tag=77, and should end a job that hangs soon.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmdbuf.h"

#define HANG_TAG    77
#define DEVICE	    "sim:rows=8,cols=8,sram-kib=64,x-hang-tag=77,job-timeout-ms=200"
#define LONG_NS	    60000000000ll
#define NUM_WORDS   1024
#define NUM_THREADS 4
#define MAX_PENDING 4096

static struct igrad_device *open_device(void)
{
	const char *uri = getenv("IGRAD_TEST_DEVICE");
	struct igrad_error error;
	struct igrad_device *device;

	if (igrad_device_open(uri ? uri : DEVICE, &device, &error))
		fail_msg("%s", error.message);
	return device;
}

static int setup(void **context)
{
	*context = open_device();
	return 0;
}

static int teardown(void **context)
{
	igrad_device_unref(*context);
	return 0;
}

static struct igrad_queue *new_queue(struct igrad_device *device)
{
	struct igrad_queue *queue;

	assert_int_equal(igrad_queue_new(device, &queue), 0);
	return queue;
}

static struct igrad_cmdbuf *new_cmdbuf(struct igrad_device *device)
{
	struct igrad_cmdbuf *cmdbuf;

	assert_int_equal(igrad_cmdbuf_new(device, &cmdbuf), 0);
	return cmdbuf;
}

static struct igrad_buffer *new_buffer(struct igrad_device *device, uint64_t size)
{
	struct igrad_buffer *buffer;

	assert_int_equal(igrad_buffer_new(device, size, &buffer), 0);
	return buffer;
}

static void emit_dma(struct igrad_cmdbuf *cmdbuf, enum igrad_opcode opcode,
		     struct igrad_buffer *buffer)
{
	struct igrad_cmd cmd = {.opcode = opcode, .u.dma = {.rows = 1, .cols = NUM_WORDS}};

	assert_int_equal(igrad_cmdbuf_emit(cmdbuf, &cmd, buffer), 0);
}

/* to = from + from, by all engines but the array. */
static struct igrad_cmdbuf *doubling(struct igrad_device *device, struct igrad_buffer *from,
				     struct igrad_buffer *to)
{
	struct igrad_cmdbuf *cmdbuf = new_cmdbuf(device);
	struct igrad_cmd twice = {
		.opcode = IGRAD_OP_VEC_AXPY,
		.u.vec = {.rows = 1, .cols = NUM_WORDS, .imm = 0x3f800000},
	};

	emit_dma(cmdbuf, IGRAD_OP_DMA_LOAD, from);
	assert_int_equal(igrad_cmdbuf_emit(cmdbuf, &twice, NULL), 0);
	emit_dma(cmdbuf, IGRAD_OP_DMA_STORE, to);
	return cmdbuf;
}

static struct igrad_cmdbuf *nop(struct igrad_device *device, uint32_t tag)
{
	struct igrad_cmdbuf *cmdbuf = new_cmdbuf(device);
	struct igrad_cmd cmd = {.opcode = IGRAD_OP_NOP};

	igrad_cmdbuf_set_tag(cmdbuf, tag);
	assert_int_equal(igrad_cmdbuf_emit(cmdbuf, &cmd, NULL), 0);
	return cmdbuf;
}

/* A load from where no buffer is. */
static struct igrad_cmdbuf *faulting(struct igrad_device *device, struct igrad_buffer *buffer,
				     uint64_t va)
{
	struct igrad_cmdbuf *cmdbuf = new_cmdbuf(device);

	emit_dma(cmdbuf, IGRAD_OP_DMA_LOAD, buffer);
	emit_dma(cmdbuf, IGRAD_OP_DMA_LOAD, buffer);
	cmdbuf->cmds[1].u.dma.va = va;
	return cmdbuf;
}

/* A tile that is larger than any array. */
static struct igrad_cmdbuf *malformed(struct igrad_device *device)
{
	struct igrad_cmdbuf *cmdbuf = new_cmdbuf(device);
	struct igrad_cmd cmd = {
		.opcode = IGRAD_OP_LOAD_W,
		.u.array = {.rows = 257, .cols = 8, .p_pitch = 32},
	};

	assert_int_equal(igrad_cmdbuf_emit(cmdbuf, &cmd, NULL), 0);
	return cmdbuf;
}

/* ---------------------------------------------------------------- jobs that work */

static void a_job_computes_and_reports(void **context)
{
	struct igrad_device *device = *context;
	struct igrad_queue *queue = new_queue(device);
	struct igrad_buffer *from = new_buffer(device, 4 * NUM_WORDS);
	struct igrad_buffer *to = new_buffer(device, 4 * NUM_WORDS);
	struct igrad_cmdbuf *cmdbuf = doubling(device, from, to);
	float *in = igrad_buffer_map(from), *out = igrad_buffer_map(to);
	struct igrad_report report;
	struct igrad_queue_error error;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < NUM_WORDS; i++)
			in[i] = i + round;
		assert_int_equal(igrad_queue_run(queue, cmdbuf, &report), 0);
		for (int i = 0; i < NUM_WORDS; i++)
			assert_true(out[i] == 2.0f * (i + round));
		assert_int_equal(report.version, IGRAD_REPORT_VERSION);
		assert_int_equal(report.status, IGRAD_STATUS_OK);
		assert_int_equal(report.command, 3);
		assert_int_equal(report.seqno, round + 1);
		assert_int_equal(report.dram_read_bytes, 4 * NUM_WORDS);
		assert_int_equal(report.dram_write_bytes, 4 * NUM_WORDS);
		assert_int_equal(report.vector_ops, NUM_WORDS);
		assert_int_equal(igrad_report_sram_accesses(&report), 3 * NUM_WORDS);
		assert_true(report.cycles > 0);
	}
	assert_int_equal(igrad_queue_error(queue, &error), 0);
	assert_int_equal(error.err, 0);
	igrad_cmdbuf_unref(cmdbuf);
	igrad_buffer_unref(from);
	igrad_buffer_unref(to);
	igrad_queue_unref(queue);
}

static void a_command_buffer_may_grow_while_it_runs(void **context)
{
	struct igrad_device *device = *context;
	struct igrad_queue *queue = new_queue(device);
	struct igrad_cmdbuf *cmdbuf = nop(device, 0);
	struct igrad_cmd cmd = {.opcode = IGRAD_OP_NOP};
	struct igrad_fence *fences[600];
	struct igrad_report report;

	for (int i = 0; i < 600; i++) {
		assert_int_equal(igrad_queue_submit(queue, cmdbuf, &fences[i]), 0);
		assert_int_equal(igrad_cmdbuf_emit(cmdbuf, &cmd, NULL), 0);
	}
	for (int i = 0; i < 600; i++) {
		assert_int_equal(igrad_fence_wait(fences[i], LONG_NS), 0);
		assert_int_equal(igrad_fence_report(fences[i], &report), 0);
		assert_int_equal(report.command, i + 1);
		igrad_fence_unref(fences[i]);
	}
	igrad_cmdbuf_unref(cmdbuf);
	igrad_queue_unref(queue);
}

/* Reports of jobs whose fences nobody keeps must not pile up. */
static void report_slots_are_reused(void **context)
{
	/* Its own, or what other tests leave may free an address below these two. */
	struct igrad_device *device = open_device();
	struct igrad_queue *queue = new_queue(device);
	struct igrad_cmdbuf *cmdbuf = nop(device, 0);
	struct igrad_buffer *probe = new_buffer(device, 4096), *after;
	uint64_t distance;

	(void)context;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(igrad_queue_submit(queue, cmdbuf, NULL), 0);
		assert_int_equal(igrad_queue_run(queue, cmdbuf, NULL), 0);
	}
	after = new_buffer(device, 4096);
	distance = igrad_buffer_va(after) - igrad_buffer_va(probe);
	assert_true(distance < 64 << 10);
	igrad_buffer_unref(probe);
	igrad_buffer_unref(after);
	igrad_cmdbuf_unref(cmdbuf);
	igrad_queue_unref(queue);
	igrad_device_unref(device);
}

/* ---------------------------------------------------------------- jobs that fail */

static void expect_failure(struct igrad_device *device, struct igrad_cmdbuf *bad, int err,
			   struct igrad_queue_error *error, struct igrad_report *report)
{
	struct igrad_queue *queue = new_queue(device), *other = new_queue(device);
	struct igrad_cmdbuf *good = nop(device, 0);
	struct igrad_fence *first, *second, *third, *elsewhere;
	struct igrad_report empty;

	assert_int_equal(igrad_queue_submit(queue, good, &first), 0);
	assert_int_equal(igrad_queue_submit(queue, bad, &second), 0);
	/* The bad job may have failed by now; then the queue refuses at once. */
	if (igrad_queue_submit(queue, good, &third))
		third = NULL;
	assert_int_equal(igrad_queue_submit(other, good, &elsewhere), 0);

	assert_int_equal(igrad_fence_wait(first, LONG_NS), 0);
	assert_int_equal(igrad_fence_wait(second, LONG_NS), err);
	assert_int_equal(igrad_fence_report(second, report), 0);
	if (third) {
		assert_int_equal(igrad_fence_wait(third, LONG_NS), -ECANCELED);
		assert_int_equal(igrad_fence_report(third, &empty), 0);
		assert_int_equal(empty.status, IGRAD_STATUS_NOT_WRITTEN);
	}
	assert_int_equal(igrad_fence_wait(elsewhere, LONG_NS), 0);
	assert_int_equal(igrad_queue_submit(queue, good, NULL), -EIO);
	assert_int_equal(igrad_queue_run(other, good, NULL), 0);

	assert_int_equal(igrad_queue_error(queue, error), 0);
	assert_int_equal(error->err, err);
	assert_int_equal(error->seqno, 2);
	igrad_fence_unref(first);
	igrad_fence_unref(second);
	igrad_fence_unref(third);
	igrad_fence_unref(elsewhere);
	igrad_cmdbuf_unref(good);
	igrad_cmdbuf_unref(bad);
	igrad_queue_unref(queue);
	igrad_queue_unref(other);
}

static void a_fault_stops_its_queue_only(void **context)
{
	struct igrad_device *device = *context;
	struct igrad_buffer *buffer = new_buffer(device, 4 * NUM_WORDS);
	uint64_t va = igrad_buffer_va(buffer);
	const struct {
		uint64_t va, fault;
		enum igrad_reason reason;
	} cases[] = {
		{va + 4 * NUM_WORDS, va + 4 * NUM_WORDS, IGRAD_REASON_NOT_PRESENT},
		{va + 4 * NUM_WORDS - 8, va + 4 * NUM_WORDS, IGRAD_REASON_NOT_PRESENT},
		{1ull << 38, 1ull << 38, IGRAD_REASON_NOT_PRESENT},
		{0, 0, IGRAD_REASON_VA_RANGE},
		{1ull << 39, 1ull << 39, IGRAD_REASON_VA_RANGE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct igrad_queue_error error;
		struct igrad_report report;

		expect_failure(device, faulting(device, buffer, cases[i].va), -EFAULT, &error,
			       &report);
		assert_int_equal(error.fault_addr, cases[i].fault);
		assert_int_equal(error.reason, cases[i].reason);
		assert_int_equal(error.command, 1);
		assert_int_equal(report.status, IGRAD_STATUS_FAULT);
		assert_int_equal(report.addr, cases[i].fault);
		assert_int_equal(report.engine, IGRAD_ENGINE_LOAD);
	}
	igrad_buffer_unref(buffer);
}

static void a_malformed_command_stops_its_queue_only(void **context)
{
	struct igrad_queue_error error;
	struct igrad_report report;

	expect_failure(*context, malformed(*context), -EINVAL, &error, &report);
	assert_int_equal(error.reason, IGRAD_REASON_SHAPE);
	assert_int_equal(error.command, 0);
	assert_int_equal(error.fault_addr, 0);
	assert_int_equal(report.status, IGRAD_STATUS_MALFORMED);
	assert_string_equal(igrad_reason_string(report.reason), "dimension zero or too large");
}

static void a_hang_is_ended(void **context)
{
	struct igrad_queue_error error;
	struct igrad_report report;

	for (int i = 0; i < 2; i++) {
		expect_failure(*context, nop(*context, HANG_TAG), -ETIME, &error, &report);
		assert_int_equal(error.reason, IGRAD_REASON_NONE);
		assert_int_equal(report.status, IGRAD_STATUS_NOT_WRITTEN);
	}
}

static void a_wait_can_time_out(void **context)
{
	struct igrad_device *device = *context;
	struct igrad_queue *queue = new_queue(device);
	struct igrad_cmdbuf *cmdbuf = nop(device, HANG_TAG);
	struct igrad_fence *fence;
	struct igrad_report report;

	assert_int_equal(igrad_queue_submit(queue, cmdbuf, &fence), 0);
	assert_int_equal(igrad_fence_wait(fence, 0), -ETIMEDOUT);
	assert_int_equal(igrad_fence_wait(fence, 1000000), -ETIMEDOUT);
	assert_int_equal(igrad_fence_report(fence, &report), -EBUSY);
	assert_int_equal(igrad_cmdbuf_reset(cmdbuf), -EBUSY);
	assert_int_equal(igrad_fence_wait(fence, -1), -ETIME);
	assert_int_equal(igrad_cmdbuf_reset(cmdbuf), 0);
	assert_int_equal(igrad_cmdbuf_length(cmdbuf), 0);
	assert_int_equal(igrad_queue_submit(queue, cmdbuf, NULL), -EINVAL);
	igrad_fence_unref(fence);
	igrad_cmdbuf_unref(cmdbuf);
	igrad_queue_unref(queue);
}

static void a_queue_takes_a_bounded_number_of_jobs(void **context)
{
	struct igrad_device *device = *context;
	struct igrad_queue *queue = new_queue(device);
	struct igrad_cmdbuf *hang = nop(device, HANG_TAG), *good = nop(device, 0);
	struct igrad_fence *fence;
	int pending = 0, ret;

	assert_int_equal(igrad_queue_submit(queue, hang, &fence), 0);
	do {
		ret = igrad_queue_submit(queue, good, NULL);
		pending++;
	} while (!ret && pending <= MAX_PENDING);
	assert_int_equal(igrad_fence_wait(fence, LONG_NS), -ETIME);
	igrad_fence_unref(fence);
	igrad_cmdbuf_unref(hang);
	igrad_cmdbuf_unref(good);
	igrad_queue_unref(queue);
	if (ret == -EIO)
		skip(); /* the job was ended before so many could be submitted */
	assert_int_equal(ret, -EBUSY);
	assert_int_equal(pending, MAX_PENDING);
}

/* ---------------------------------------------------------------- lifetimes */

/* The device goes away by itself, after the jobs that nobody waits for. */
static void everything_may_be_dropped_while_jobs_run(void **context)
{
	(void)context;
	for (int round = 0; round < 20; round++) {
		struct igrad_device *device = open_device();
		struct igrad_queue *queue = new_queue(device);
		struct igrad_buffer *buffer = new_buffer(device, 4 * NUM_WORDS);
		struct igrad_cmdbuf *cmdbuf = doubling(device, buffer, buffer);

		igrad_device_unref(device);
		for (int i = 0; i < round; i++)
			assert_int_equal(igrad_queue_submit(queue, cmdbuf, NULL), 0);
		igrad_buffer_unref(buffer);
		igrad_cmdbuf_unref(cmdbuf);
		igrad_queue_unref(queue);
	}
}

static void buffers_have_addresses_of_their_own(void **context)
{
	struct igrad_device *device = *context;
	const struct igrad_device_info *info = igrad_device_info(device);
	struct igrad_buffer *buffers[64] = {NULL}, *buffer;

	for (int round = 0; round < 1000; round++) {
		int i = rand() % 64;

		igrad_buffer_unref(buffers[i]);
		buffers[i] = new_buffer(device, 1 + rand() % 20000);
		for (uint64_t byte = 0; byte < igrad_buffer_size(buffers[i]); byte++)
			assert_int_equal(((char *)igrad_buffer_map(buffers[i]))[byte], 0);
		memset(igrad_buffer_map(buffers[i]), 1, igrad_buffer_size(buffers[i]));
		for (int j = 0; j < 64; j++) {
			uint64_t a = igrad_buffer_va(buffers[i]), b;

			assert_true(a >= info->va_start && a % IGRAD_PAGE_SIZE == 0);
			if (j == i || !buffers[j])
				continue;
			b = igrad_buffer_va(buffers[j]);
			assert_true(a + igrad_buffer_size(buffers[i]) <= b ||
				    b + igrad_buffer_size(buffers[j]) <= a);
		}
	}
	for (int i = 0; i < 64; i++)
		igrad_buffer_unref(buffers[i]);
	assert_int_equal(igrad_buffer_new(device, 0, &buffer), -EINVAL);
	assert_int_equal(igrad_buffer_new(device, 1ull << 39, &buffer), -EINVAL);
	assert_int_equal(igrad_buffer_new(device, UINT64_MAX, &buffer), -EINVAL);
	assert_null(buffer);
}

/* ---------------------------------------------------------------- threads */

static void *work(void *opaque)
{
	struct igrad_device *device = opaque;
	struct igrad_queue *queue = new_queue(device);

	for (int round = 0; round < 100; round++) {
		struct igrad_buffer *buffer = new_buffer(device, 4 * NUM_WORDS);
		struct igrad_cmdbuf *cmdbuf = doubling(device, buffer, buffer);
		float *data = igrad_buffer_map(buffer);
		struct igrad_fence *fence = NULL;

		data[round] = 1.0f;
		for (int i = 0; i < 5; i++) {
			igrad_fence_unref(fence);
			if (igrad_queue_submit(queue, cmdbuf, &fence))
				return "submission";
		}
		if (igrad_fence_wait(fence, LONG_NS) || data[round] != 32.0f)
			return "result";
		igrad_fence_unref(fence);
		igrad_cmdbuf_unref(cmdbuf);
		igrad_buffer_unref(buffer);
	}
	igrad_queue_unref(queue);
	return NULL;
}

static void *fail_again_and_again(void *opaque)
{
	struct igrad_device *device = opaque;

	for (int round = 0; round < 100; round++) {
		struct igrad_queue *queue = new_queue(device);
		struct igrad_cmdbuf *bad = malformed(device);

		if (igrad_queue_run(queue, bad, NULL) != -EINVAL)
			return "failure";
		igrad_cmdbuf_unref(bad);
		igrad_queue_unref(queue);
	}
	return NULL;
}

static void threads_share_a_device(void **context)
{
	pthread_t threads[NUM_THREADS + 1];
	void *error;

	for (int i = 0; i <= NUM_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i < NUM_THREADS ? work : fail_again_and_again,
						*context),
				 0);
	for (int i = 0; i <= NUM_THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &error), 0);
		if (error)
			fail_msg("%s", (char *)error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_computes_and_reports),
		cmocka_unit_test(a_command_buffer_may_grow_while_it_runs),
		cmocka_unit_test(report_slots_are_reused),
		cmocka_unit_test(a_fault_stops_its_queue_only),
		cmocka_unit_test(a_malformed_command_stops_its_queue_only),
		cmocka_unit_test(a_hang_is_ended),
		cmocka_unit_test(a_wait_can_time_out),
		cmocka_unit_test(a_queue_takes_a_bounded_number_of_jobs),
		cmocka_unit_test(everything_may_be_dropped_while_jobs_run),
		cmocka_unit_test(buffers_have_addresses_of_their_own),
		cmocka_unit_test(threads_share_a_device),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("jobs", tests, setup, teardown);
}
