/* SPDX-License-Identifier: MIT */
/*
 * In a guest whose device is as slow as the model says: how long does a job take by the guest's
 * clock, and how long by the model? Prints both, in seconds.
 */
#include <stdio.h>
#include <string.h>

#include "igrad_test.h"

#define COMMANDS 1000
#define WORDS	 (1u << 19)

static struct drm_igrad_device_info info;

static int query(int fd)
{
	struct drm_igrad_dev_query args = {
		.type = DRM_IGRAD_QUERY_DEVICE,
		.size = sizeof(info),
		.pointer = (uintptr_t)&info,
	};

	return test_ioctl(fd, DRM_IOCTL_IGRAD_DEV_QUERY, &args);
}

int main(void)
{
	const int fd = test_open(0), queue = test_queue_create(fd);
	struct test_cmds cmds;
	struct test_bo report;
	struct test_job job;
	double start, took;
	int ret;

	ret = query(fd) ?: test_cmds_create(fd, COMMANDS, &cmds)
			?: test_bo_create(fd, sizeof(struct igrad_report), &report);
	for (unsigned int i = 0; !ret && i < COMMANDS; i++)
		test_fill(&cmds, 0, WORDS, i);
	if (!ret) {
		test_job_init(&job, &cmds);
		test_job_bo(&job, &report, DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE);
		job.job.report = report.va;
		start = test_now();
		ret = test_run(fd, queue, &job);
		took = test_now() - start;
	}
	if (ret) {
		fprintf(stderr, "realtime: %s\n", strerror(-ret));
		return 1;
	}
	printf("%.6f %.6f\n", took,
	       (double)((struct igrad_report *)report.map)->cycles / info.clock_hz);
	return 0;
}
