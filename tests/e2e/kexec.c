/* SPDX-License-Identifier: MIT */
/*
 * Start another kernel while jobs run, or load one only.
 * usage: kexec KERNEL INITRD COMMAND-LINE
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "igrad_test.h"

/* A job that has begun and does not end, and others behind it. */
static int begin(int fd)
{
	const int queue = test_queue_create(fd), other = test_queue_create(fd);
	const double end = test_now() + WAIT_SECONDS;
	struct test_cmds stuck, increment;
	struct test_job job;
	struct test_bo data;
	int ret = test_bo_create(fd, 4096, &data) ?: test_cmds_create(fd, 16, &stuck)
			?: test_cmds_create(fd, 16, &increment);

	if (ret)
		return ret;
	test_increment(&stuck, data.va, 1);
	test_nop(&stuck, HANG_TAG);
	test_increment(&increment, data.va + 64, 1);
	test_job_init(&job, &stuck);
	ret = test_submit(fd, queue, &job);
	for (int i = 0; !ret && i < 20; i++) {
		test_job_init(&job, &increment);
		ret = test_submit(fd, other, &job);
	}
	while (!ret && *(volatile float *)data.map != 1)
		ret = test_now() < end ? 0 : -ETIME;
	return ret;
}

static int start_kernel(const char *kernel, const char *initrd, const char *line)
{
	const int image = open(kernel, O_RDONLY), ramdisk = open(initrd, O_RDONLY);

	if (image < 0 || ramdisk < 0)
		return -errno;
	if (syscall(SYS_kexec_file_load, image, ramdisk, strlen(line) + 1, line, 0L))
		return -errno;
	if (syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC,
		    NULL))
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	const int fd = test_open(0);
	int ret = fd;

	if (argc != 4)
		return 2;
	if (fd >= 0)
		ret = begin(fd);
	if (!ret)
		ret = start_kernel(argv[1], argv[2], argv[3]);
	fprintf(stderr, "kexec: %s\n", strerror(-ret));
	return 1;
}
