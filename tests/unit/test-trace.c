/* SPDX-License-Identifier: MIT */
/* Tracing: a job's commands as they were emitted, at the times that its report adds up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cmdbuf.h"
#include "lab.h"

#define MAX_EVENTS 4096

struct lane {
	uint64_t commands, busy, end, completed;
};

struct traced {
	unsigned int n;
	struct igrad_trace_event event[MAX_EVENTS];
	struct igrad_cmd cmd[MAX_EVENTS];
};

static struct traced traced;

static void note(void *opaque, const struct igrad_trace_event *event)
{
	struct traced *to = opaque;

	assert_true(to->n < MAX_EVENTS);
	to->event[to->n] = *event;
	to->cmd[to->n++] = *event->cmd;
}

static struct igrad_buffer *buffer_new(struct igrad_device *device)
{
	struct igrad_buffer *buffer;

	assert_int_equal(igrad_buffer_new(device, 1 << 20, &buffer), 0);
	return buffer;
}

/* A layer with several tiles, blocks and all engines at work; the command buffer keeps its memory.
 */
static void build(struct lab *lab)
{
	struct igrad_buffer *buffer = buffer_new(lab->device);
	struct igrad_matrix x = {buffer, 0, 24, 40, 0, IGRAD_FP32};
	struct igrad_matrix w = {buffer, 65536, 40, 30, 0, IGRAD_FP32};
	struct igrad_matrix dy = {buffer, 131072, 24, 30, 0, IGRAD_FP32};
	struct igrad_matrix dx = {buffer, 196608, 24, 40, 0, IGRAD_FP32};
	const struct igrad_linear_backward args = {
		.schedule = IGRAD_SCHEDULE_INTERLEAVED,
		.x = &x,
		.w = &w,
		.dy = &dy,
		.dx = &dx,
		.optimizer = {.update = IGRAD_UPDATE_SGD, .lr = 0.5f},
	};

	assert_int_equal(igrad_linear_backward(lab->cmdbuf, &args), 0);
	igrad_buffer_unref(buffer);
}

static void check_against(const struct igrad_report *report, const struct traced *seen,
			  bool overlap)
{
	struct lane lanes[IGRAD_NUM_ENGINES] = {0};
	uint64_t cycles = 0;

	for (unsigned int i = 0; i < seen->n; i++) {
		const struct igrad_trace_event *event = &seen->event[i];
		struct lane *lane = &lanes[event->engine];
		uint64_t fresh;

		assert_int_equal(event->index, i);
		assert_true(event->start <= event->end && event->end <= event->completed);
		if (event->engine != IGRAD_ENGINE_ARRAY || !overlap)
			assert_true(event->start >= lane->end);
		assert_true(event->completed >= lane->completed);
		fresh = event->start > lane->end ? event->start : lane->end;
		lane->busy += event->end > fresh ? event->end - fresh : 0;
		lane->commands++;
		lane->end = event->end > lane->end ? event->end : lane->end;
		lane->completed = event->completed;
		cycles = event->completed > cycles ? event->completed : cycles;
	}
	assert_int_equal(report->cycles, cycles);
	for (unsigned int i = 0; i < IGRAD_NUM_ENGINES; i++) {
		assert_int_equal(report->retired[i], lanes[i].commands);
		assert_int_equal(report->busy[i], lanes[i].busy);
	}
}

static void every_command_is_told_with_its_times(void **context)
{
	static const char *const uris[] = {
		"sim:rows=8,cols=8,overlap=on,sram-kib=16",
		"sim:rows=8,cols=8,overlap=off,sram-kib=16",
		"sim:rows=8,cols=8,overlap=on,sram-kib=16,timing-only=on",
	};
	struct igrad_report report;
	struct lab lab;

	(void)context;
	for (unsigned int i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		lab_open(&lab, uris[i]);
		build(&lab);
		traced.n = 0;
		assert_int_equal(igrad_device_trace(lab.device, note, &traced), 0);
		assert_int_equal(igrad_queue_run(lab.queue, lab.cmdbuf, &report), 0);
		assert_int_equal(traced.n, igrad_cmdbuf_length(lab.cmdbuf));
		assert_int_equal(traced.event[0].job, 1);
		check_against(&report, &traced, i != 1);
		lab_close(&lab);
	}
}

static void jobs_are_told_apart(void **context)
{
	struct lab lab;
	unsigned int n;

	(void)context;
	lab_open(&lab, "sim:rows=8,cols=8,sram-kib=16");
	build(&lab);
	n = igrad_cmdbuf_length(lab.cmdbuf);
	traced.n = 0;
	assert_int_equal(igrad_queue_run(lab.queue, lab.cmdbuf, NULL), 0);
	assert_int_equal(igrad_device_trace(lab.device, note, &traced), 0);
	assert_int_equal(igrad_queue_run(lab.queue, lab.cmdbuf, NULL), 0);
	assert_int_equal(igrad_queue_run(lab.queue, lab.cmdbuf, NULL), 0);
	assert_int_equal(traced.n, 2 * n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(traced.event[i].job, 2);
		assert_int_equal(traced.event[n + i].job, 3);
		assert_memory_equal(&traced.cmd[i], &traced.cmd[n + i], sizeof(traced.cmd[i]));
	}
	assert_int_equal(igrad_device_trace(lab.device, NULL, NULL), 0);
	assert_int_equal(igrad_queue_run(lab.queue, lab.cmdbuf, NULL), 0);
	assert_int_equal(traced.n, 2 * n);
	lab_close(&lab);
}

struct pause {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool inside, go_on;
};

static void hold(void *opaque, const struct igrad_trace_event *event)
{
	struct pause *pause = opaque;

	(void)event;
	pthread_mutex_lock(&pause->lock);
	pause->inside = true;
	pthread_cond_broadcast(&pause->changed);
	while (!pause->go_on)
		pthread_cond_wait(&pause->changed, &pause->lock);
	pthread_mutex_unlock(&pause->lock);
}

static void tracing_changes_between_jobs_only(void **context)
{
	struct pause pause = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
	struct igrad_fence *fence;
	struct lab lab;

	(void)context;
	lab_open(&lab, "sim:rows=8,cols=8,sram-kib=16,job-timeout-ms=60000");
	build(&lab);
	assert_int_equal(igrad_device_trace(lab.device, hold, &pause), 0);
	assert_int_equal(igrad_queue_submit(lab.queue, lab.cmdbuf, &fence), 0);
	pthread_mutex_lock(&pause.lock);
	while (!pause.inside)
		pthread_cond_wait(&pause.changed, &pause.lock);
	assert_int_equal(igrad_device_trace(lab.device, NULL, NULL), -EBUSY);
	pause.go_on = true;
	pthread_cond_broadcast(&pause.changed);
	pthread_mutex_unlock(&pause.lock);
	assert_int_equal(igrad_fence_wait(fence, -1), 0);
	assert_int_equal(igrad_device_trace(lab.device, NULL, NULL), 0);
	igrad_fence_unref(fence);
	lab_close(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_is_told_with_its_times),
		cmocka_unit_test(jobs_are_told_apart),
		cmocka_unit_test(tracing_changes_between_jobs_only),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("tracing", tests, NULL, NULL);
}
