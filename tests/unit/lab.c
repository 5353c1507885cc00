// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lab.h"

void lab_open(struct lab *lab, const char *uri)
{
	struct igrad_error error;

	if (igrad_device_open(uri, &lab->device, &error))
		fail_msg("%s: %s", uri, error.message);
	assert_int_equal(igrad_queue_new(lab->device, &lab->queue), 0);
	assert_int_equal(igrad_cmdbuf_new(lab->device, &lab->cmdbuf), 0);
}

void lab_close(struct lab *lab)
{
	igrad_cmdbuf_unref(lab->cmdbuf);
	igrad_queue_unref(lab->queue);
	igrad_device_unref(lab->device);
}

void lab_run(struct lab *lab, struct igrad_report *report)
{
	int err = igrad_queue_run(lab->queue, lab->cmdbuf, report);
	struct igrad_queue_error error;

	if (!err)
		return;
	igrad_queue_error(lab->queue, &error);
	fail_msg("job failed: %s, %s, command %u", igrad_strerror(err),
		 igrad_reason_string(error.reason), error.command);
}
