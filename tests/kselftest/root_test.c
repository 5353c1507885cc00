// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "igrad_test.h"
#include "root_test.h"

#define CONFIG_STATUS		0x06
#define CONFIG_STATUS_CAP_LIST	0x10
#define CONFIG_CAP_FIRST	0x34
#define CONFIG_CAP_PCIE		0x10
#define PCIE_DEVICE_CONTROL	0x08
#define PCIE_CONTROL_FLR	0x8000

int root_device_dir(char *dir, size_t size)
{
	char path[PATH_MAX];
	int ret = -ENODEV;
	glob_t found;

	if (!glob("/sys/bus/pci/drivers/igrad/*:*", 0, NULL, &found) &&
	    realpath(found.gl_pathv[0], path))
		ret = snprintf(dir, size, "%s", path) < (int)size ? 0 : -ENAMETOOLONG;
	globfree(&found);

	return ret;
}

int root_open(const char *dir)
{
	double end = test_now() + WAIT_SECONDS;
	char pattern[PATH_MAX];
	int fd = -ENODEV;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/accel/accel*", dir);
	do {
		if (!glob(pattern, 0, NULL, &found))
			fd = test_open(atoi(strrchr(found.gl_pathv[0], '/') + strlen("/accel")));
		globfree(&found);
		if (fd < 0)
			usleep(10000);
	} while (fd < 0 && test_now() < end);

	return fd;
}

int root_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;
	int error;

	if (fd < 0)
		return -errno;
	written = write(fd, text, strlen(text));
	error = errno;
	close(fd);

	return written < 0 ? -error : 0;
}

int root_write_in(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);

	return root_write(path, text);
}

int root_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		return -errno;
	do {
		got = read(fd, text + used, size - 1 - used);
		used += got > 0 ? got : 0;
	} while (got > 0 && used < size - 1);
	text[used] = 0;
	close(fd);

	return used;
}

static int set_parameter(const char *name, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);

	return root_write_in("/sys/module/igrad/parameters", name, text);
}

int root_set_patience(const char *dir, unsigned int timeout_ms, unsigned int limit_ms)
{
	const char *name = strrchr(dir, '/') + 1;

	return set_parameter("job_timeout_ms", timeout_ms) ?:
		set_parameter("job_limit_ms", limit_ms) ?:
		root_write("/sys/bus/pci/drivers/igrad/unbind", name) ?:
		root_write("/sys/bus/pci/drivers/igrad/bind", name);
}

bool root_exists(const char *path)
{
	return !access(path, F_OK);
}

/* Configuration space */

static int config_open(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/config", dir);

	return open(path, O_RDWR | O_CLOEXEC);
}

int root_config_read(const char *dir, unsigned int offset, void *data, size_t size)
{
	int fd = config_open(dir);
	ssize_t got = pread(fd, data, size, offset);

	close(fd);

	return got == (ssize_t)size ? 0 : -EIO;
}

int root_config_write(const char *dir, unsigned int offset, const void *data, size_t size)
{
	int fd = config_open(dir);
	ssize_t put = pwrite(fd, data, size, offset);

	close(fd);

	return put == (ssize_t)size ? 0 : -EIO;
}

/* As somebody would who does not tell the kernel: through the capability's own register. */
int root_function_level_reset(const char *dir)
{
	unsigned int steps = 48;
	uint8_t cap[2], at;
	uint16_t control;

	if (root_config_read(dir, CONFIG_CAP_FIRST, &at, 1))
		return -EIO;
	while (at && steps--) {
		if (root_config_read(dir, at, cap, sizeof(cap)))
			return -EIO;
		if (cap[0] == CONFIG_CAP_PCIE)
			break;
		at = cap[1];
	}
	if (!at || root_config_read(dir, at + PCIE_DEVICE_CONTROL, &control, sizeof(control)))
		return -ENODEV;
	control |= PCIE_CONTROL_FLR;

	return root_config_write(dir, at + PCIE_DEVICE_CONTROL, &control, sizeof(control));
}

/* QMP: a line for each command, and lines back. */

static int qmp_fd = -1;
static char qmp_text[65536];
static size_t qmp_used;

bool root_has_qmp(void)
{
	const char *port = getenv("IGRAD_QMP");

	return port && *port;
}

/* A line with @word in it, of those that come or have come. */
static int qmp_expect(const char *word, const char *otherwise, int seconds)
{
	double end = test_now() + seconds;
	struct pollfd pfd = { .fd = qmp_fd, .events = POLLIN };
	ssize_t got;

	for (;;) {
		if (strstr(qmp_text, word))
			return 0;
		if (otherwise && strstr(qmp_text, otherwise))
			return -EINVAL;
		if (test_now() > end || qmp_used == sizeof(qmp_text) - 1)
			return -ETIME;
		if (poll(&pfd, 1, 1000) != 1)
			continue;
		got = read(qmp_fd, qmp_text + qmp_used, sizeof(qmp_text) - 1 - qmp_used);
		if (got <= 0)
			usleep(10000);
		else
			qmp_used += got;
		qmp_text[qmp_used] = 0;
	}
}

static int qmp_send(const char *command)
{
	size_t length = strlen(command);

	qmp_used = 0;
	qmp_text[0] = 0;
	if (write(qmp_fd, command, length) != (ssize_t)length || write(qmp_fd, "\n", 1) != 1)
		return -errno;

	return qmp_expect("\"return\"", "\"error\"", WAIT_SECONDS);
}

int root_qmp(const char *command)
{
	if (qmp_fd < 0) {
		qmp_fd = open(getenv("IGRAD_QMP"), O_RDWR | O_CLOEXEC);
		if (qmp_fd < 0)
			return -errno;
		/* An error if a test before us did so already. */
		qmp_send("{\"execute\":\"qmp_capabilities\"}");
	}

	return qmp_send(command);
}

/* An event that the last command leads to. */
int root_qmp_wait(const char *event)
{
	return qmp_expect(event, NULL, 2 * WAIT_SECONDS);
}
