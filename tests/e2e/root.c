/* SPDX-License-Identifier: MIT */
/*
 * What only root can do to a device, from within a guest.
 * usage: root orphans | root reset /sys/bus/pci/devices/.../reset | root limit | root churn STOP
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "igrad_test.h"

#define SLOW_COMMANDS 512
#define RW	      (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)

static struct test_bo data;
static struct test_cmds increment, other;

static int prepare(int fd)
{
	return test_bo_create(fd, 4096, &data) ?: test_cmds_create(fd, 64, &increment)
			?: test_cmds_create(fd, SLOW_COMMANDS + 16, &other);
}

static int submit(int fd, int queue, const struct test_cmds *cmds, __u32 wait, __u32 signal)
{
	struct test_job job;

	test_job_init(&job, cmds);
	test_job_bo(&job, &data, RW);
	if (wait)
		test_job_wait(&job, wait, 0);
	if (signal)
		test_job_signal(&job, signal, 0);
	return test_submit(fd, queue, &job);
}

/* Leave behind a job that hangs and others that wait for it. */
static int orphans(int fd)
{
	const int first = test_queue_create(fd), second = test_queue_create(fd);
	const __u32 hung = test_syncobj_create(fd);
	int ret = prepare(fd);

	test_nop(&other, HANG_TAG);
	test_increment(&increment, data.va, 1);
	ret = ret ?: submit(fd, first, &other, 0, hung);
	for (int i = 0; !ret && i < 50; i++)
		ret = submit(fd, second, &increment, i % 2 ? hung : 0, 0);
	return ret;
}

static int reset_device(const char *path)
{
	const int fd = open(path, O_WRONLY);
	const int ret = fd < 0 || write(fd, "1", 1) != 1 ? -errno : 0;

	close(fd);
	return ret;
}

/* Have the device reset under a job that has begun: it ends first, what is behind it runs after. */
static int reset(int fd, const char *path)
{
	const int first = test_queue_create(fd), second = test_queue_create(fd);
	const __u32 slow = test_syncobj_create(fd), behind = test_syncobj_create(fd);
	int ret = prepare(fd);

	if (ret)
		return ret;
	test_increment(&other, data.va, 1);
	for (__u32 i = 0; i < SLOW_COMMANDS; i++)
		test_fill(&other, 0, 1 << 20, i);
	test_increment(&increment, data.va, 1);
	ret = submit(fd, first, &other, 0, slow) ?: submit(fd, second, &increment, 0, behind);
	while (!ret && *(volatile float *)data.map < 1.0f)
		usleep(1000);
	ret = ret ?: reset_device(path) ?: test_syncobj_wait(fd, slow, 0)
				 ?: test_syncobj_wait(fd, behind, 0);
	if (ret)
		return ret;
	printf("%d %d %g\n", test_syncobj_status(fd, slow), test_syncobj_status(fd, behind),
	       *(float *)data.map);
	return 0;
}

/* A job that retires commands all the time, but not for as long as it likes. */
static int limit(int fd)
{
	const int queue = test_queue_create(fd);
	const __u32 slow = test_syncobj_create(fd);
	int ret = prepare(fd);

	for (__u32 i = 0; i < SLOW_COMMANDS; i++)
		test_fill(&other, 0, 1 << 20, i);
	ret = ret ?: submit(fd, queue, &other, 0, slow) ?: test_syncobj_wait(fd, slow, 0);
	if (ret)
		return ret;
	printf("%d\n", test_syncobj_status(fd, slow));
	return 0;
}

static int open_any(void)
{
	int fd = -ENOENT;

	for (unsigned int i = 0; fd < 0 && i < 8; i++)
		fd = test_open(i);
	return fd;
}

/* Legitimate answers while the driver comes and goes. */
static bool is_gone(int ret)
{
	return ret == -ENODEV || ret == -ENOENT || ret == -ENXIO;
}

/* A file, some jobs, of which all are waited for or none. A job that has ended well has done its
 * work. */
static int use_once(int number)
{
	const int fd = open_any();
	struct test_job job;
	int queue, ret;

	if (fd < 0)
		return is_gone(fd) ? 0 : fd;
	data.map = increment.bo.map = MAP_FAILED;
	queue = test_queue_create(fd);
	ret = queue < 0 ? queue : test_bo_create(fd, 4096, &data) ?: test_cmds_create(fd, 64, &increment);
	if (!ret) {
		test_increment(&increment, data.va, 1);
		for (int i = 0; !ret && i < number % 4; i++)
			ret = submit(fd, queue, &increment, 0, 0);
		test_job_init(&job, &increment);
		test_job_bo(&job, &data, RW);
		if (!ret && number % 2)
			ret = test_run(fd, queue, &job);
		if (!ret && number % 2 && *(volatile float *)data.map != (float)(number % 4 + 1))
			ret = -EILSEQ;
	}
	/* Maps keep the device as open files do. */
	if (data.map != MAP_FAILED)
		munmap(data.map, data.size);
	if (increment.bo.map != MAP_FAILED)
		munmap(increment.bo.map, increment.bo.size);
	close(fd);
	return is_gone(ret) ? 0 : ret;
}

/* As ordinary programs do, again and again, until there is a file. */
static int churn(const char *stop)
{
	unsigned int number = 0;
	int ret = 0;

	while (!ret && access(stop, F_OK)) {
		ret = use_once(number++);
		usleep(1000);
	}
	printf("%u\n", number);
	return ret;
}

int main(int argc, char **argv)
{
	const bool is_churn = argc == 3 && !strcmp(argv[1], "churn");
	const int fd = is_churn ? -ENOENT : open_any();
	int ret = fd;

	if (is_churn)
		ret = churn(argv[2]);
	else if (fd >= 0 && argc == 2 && !strcmp(argv[1], "orphans"))
		ret = orphans(fd);
	else if (fd >= 0 && argc == 3 && !strcmp(argv[1], "reset"))
		ret = reset(fd, argv[2]);
	else if (fd >= 0 && argc == 2 && !strcmp(argv[1], "limit"))
		ret = limit(fd);
	if (ret < 0)
		fprintf(stderr, "root: %s\n", strerror(-ret));
	return ret < 0;
}
