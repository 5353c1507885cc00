// SPDX-License-Identifier: GPL-2.0
/* What can be seen of jobs and devices from outside: tracepoints, coredumps, fdinfo, debugfs. */
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "igrad_test.h"
#include "root_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define TRACING "/sys/kernel/tracing"
#define NOWHERE (1ull << 36)
#define SECRET 0x5ec4e7aa

FIXTURE(visible)
{
	int fd;
	__u32 queue;
	struct test_bo data;
	struct test_cmds increment, fault, hang;
	char dir[PATH_MAX];
	char text[1 << 20];
};

FIXTURE_SETUP(visible)
{
	ASSERT_EQ(0, root_device_dir(self->dir, sizeof(self->dir)));
	self->fd = root_open(self->dir);
	ASSERT_GE(self->fd, 0);
	self->queue = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	ASSERT_EQ(0, test_cmds_create(self->fd, 4, &self->fault));
	ASSERT_EQ(0, test_cmds_create(self->fd, 4, &self->hang));
	test_increment(&self->increment, self->data.va, 1);
	test_nop(&self->fault, 0xabcdef);
	test_dma(&self->fault, true, NOWHERE, 0, 1);
	test_nop(&self->hang, HANG_TAG);
}

FIXTURE_TEARDOWN(visible)
{
	close(self->fd);
}

static int run(FIXTURE_DATA(visible) *self, const struct test_cmds *cmds)
{
	struct test_job job;

	test_job_init(&job, cmds);
	test_job_bo(&job, &self->data, RW);

	return test_run(self->fd, self->queue, &job);
}

static unsigned int count(const char *text, const char *word)
{
	unsigned int found = 0;

	for (; (text = strstr(text, word)); text++)
		found++;

	return found;
}

TEST_F(visible, tracepoints)
{
	char *name = strrchr(self->dir, '/') + 1;
	char word[64];

	if (!root_exists(TRACING "/events")) {
		if (system("mount -t tracefs none " TRACING))
			SKIP(return, "no tracing in this kernel");
	}
	ASSERT_EQ(0, root_write(TRACING "/trace", ""));
	ASSERT_EQ(0, root_write(TRACING "/events/igrad/enable", "1"));
	EXPECT_EQ(0, run(self, &self->increment));
	EXPECT_EQ(-EFAULT, run(self, &self->fault));
	self->queue = test_queue_create(self->fd);
	EXPECT_EQ(-ETIME, run(self, &self->hang));
	ASSERT_EQ(0, root_write(TRACING "/events/igrad/enable", "0"));

	ASSERT_GE(root_read(TRACING "/trace", self->text, sizeof(self->text)), 1);
	EXPECT_EQ(3, count(self->text, "igrad_submit: "));
	EXPECT_EQ(3, count(self->text, "igrad_run: "));
	EXPECT_EQ(3, count(self->text, "igrad_done: "));
	EXPECT_EQ(2, count(self->text, "igrad_fault: "));
	EXPECT_EQ(1, count(self->text, "igrad_reset: "));
	EXPECT_EQ(1, count(self->text, "addr=0x1000000000"));
	snprintf(word, sizeof(word), "dev=%s ", name);
	EXPECT_EQ(12, count(self->text, word));
	snprintf(word, sizeof(word), "error=%d", -ETIME);
	EXPECT_EQ(3, count(self->text, word));
}

/* Read a coredump and let it go. */
static int coredump(FIXTURE_DATA(visible) *self)
{
	glob_t found;
	int ret = -ENOENT;

	if (!glob("/sys/class/devcoredump/devcd*/data", 0, NULL, &found)) {
		ret = root_read(found.gl_pathv[0], self->text, sizeof(self->text));
		root_write(found.gl_pathv[0], "0");
	}
	globfree(&found);

	return ret;
}

/*
 * Run a job that fails, again and again until there is a coredump that says so: there is one a
 * second at most, none while an earlier one has not been read, and all of them are late.
 */
static bool coredump_of(FIXTURE_DATA(visible) *self, const struct test_cmds *cmds, int error)
{
	double end = test_now() + WAIT_SECONDS;
	char word[32];

	snprintf(word, sizeof(word), " error=%d ", error);
	do {
		self->queue = test_queue_create(self->fd);
		if (run(self, &self->increment) || run(self, cmds) != error)
			return false;
		sleep(1);
		while (coredump(self) > 0)
			if (strstr(self->text, word))
				return true;
		test_queue_destroy(self->fd, self->queue);
	} while (test_now() < end);

	return false;
}

TEST_F(visible, coredump_of_a_fault)
{
	struct igrad_cmd *other = self->increment.bo.map;
	char word[32];

	if (!root_exists("/sys/class/devcoredump"))
		SKIP(return, "no coredumps of devices in this kernel");

	/* Another job's command, behind the end of the guilty one's, must not be seen. */
	other[self->increment.count].tag = SECRET;
	((struct igrad_cmd *)self->fault.bo.map)[self->fault.count].tag = SECRET;
	ASSERT_TRUE(coredump_of(self, &self->fault, -EFAULT));
	EXPECT_EQ(1, count(self->text, "command=1 reason=0x21 addr=0x1000000000\n"));
	EXPECT_EQ(1, count(self->text, "register STATUS: "));
	EXPECT_EQ(32, count(self->text, "\ndescriptor "));
	EXPECT_EQ(32, count(self->text, "\ncompletion "));
	EXPECT_EQ(self->fault.count, count(self->text, "\ncommand "));
	EXPECT_EQ(1, count(self->text, " 00abcdef"));
	snprintf(word, sizeof(word), "%08x", SECRET);
	EXPECT_EQ(0, count(self->text, word));
}

TEST_F(visible, coredump_of_a_hang)
{
	if (!root_exists("/sys/class/devcoredump"))
		SKIP(return, "no coredumps of devices in this kernel");

	ASSERT_TRUE(coredump_of(self, &self->hang, -ETIME));
	/* As the registers were before the reset. */
	EXPECT_EQ(1, count(self->text, "register RING_TAIL: "));
	EXPECT_EQ(0, count(self->text, "register RING_TAIL: 00000000"));
	EXPECT_EQ(1, count(self->text, "\ncommand "));
}

static long long usage_of(FIXTURE_DATA(visible) *self, const char *key)
{
	char path[64], *line;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	if (root_read(path, self->text, sizeof(self->text)) < 0)
		return -1;
	line = strstr(self->text, key);

	return line && line[strlen(key)] == ':' ? atoll(line + strlen(key) + 1) : -1;
}

TEST_F(visible, usage)
{
	struct test_bo bo;
	long long before;
	int i;

	EXPECT_EQ(0, usage_of(self, "drm-engine-array"));
	EXPECT_NE(NULL, strstr(self->text, "drm-driver:\tigrad\n"));
	EXPECT_NE(NULL, strstr(self->text, "drm-client-id:\t"));
	EXPECT_NE(NULL, strstr(self->text, strrchr(self->dir, '/') + 1));
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, run(self, &self->increment));
	before = usage_of(self, "drm-engine-array");
	EXPECT_GE(before, 1);
	EXPECT_EQ(before, usage_of(self, "drm-engine-array"));

	before = usage_of(self, "drm-total-memory");
	EXPECT_GE(before, 1);
	ASSERT_EQ(0, test_bo_create(self->fd, 1 << 20, &bo));
	EXPECT_EQ(before + 1024, usage_of(self, "drm-total-memory"));
	ASSERT_EQ(0, test_bo_close(self->fd, &bo));
	EXPECT_EQ(before, usage_of(self, "drm-total-memory"));
}

TEST_F(visible, debugfs)
{
	const char *name = strrchr(self->dir, '/') + 1;
	char path[128];

	if (!root_exists("/sys/kernel/debug/accel"))
		SKIP(return, "no debugfs");

	snprintf(path, sizeof(path), "/sys/kernel/debug/accel/%s/vms", name);
	EXPECT_EQ(0, run(self, &self->increment));
	ASSERT_GE(root_read(path, self->text, sizeof(self->text)), 1);
	EXPECT_GE(count(self->text, "address space: "), 1);
	EXPECT_GE(count(self->text, "used"), 1);
	snprintf(path, sizeof(path), "/sys/kernel/debug/accel/%s/queues", name);
	ASSERT_GE(root_read(path, self->text, sizeof(self->text)), 1);
	EXPECT_GE(count(self->text, "submitted 1, completed 1, error 0\n"), 1);
	snprintf(path, sizeof(path), "/sys/kernel/debug/accel/%s/ring", name);
	ASSERT_GE(root_read(path, self->text, sizeof(self->text)), 1);
	EXPECT_EQ(1, count(self->text, "jobs: 0\n"));
}

#define CGROUPS "/tmp/igrad-cgroups"
#define CGROUP CGROUPS "/igrad"

static long charged(FIXTURE_DATA(visible) *self)
{
	int ret = root_read(CGROUP "/memory.current", self->text, sizeof(self->text));

	return ret < 0 ? ret : atol(self->text);
}

/* Buffers are charged to the control group of who makes them, for as long as they are there. */
TEST_F(visible, memory_is_charged)
{
	double end = test_now() + WAIT_SECONDS;
	struct test_bo bo;
	long before, most;
	char pid[16];

	mkdir(CGROUPS, 0700);
	if (mount("none", CGROUPS, "cgroup2", 0, NULL) ||
	    root_write(CGROUPS "/cgroup.subtree_control", "+memory"))
		SKIP(return, "no control groups");

	ASSERT_EQ(0, mkdir(CGROUP, 0700));
	snprintf(pid, sizeof(pid), "%d", getpid());
	ASSERT_EQ(0, root_write(CGROUP "/cgroup.procs", pid));
	before = charged(self);
	ASSERT_GE(before, 0);
	ASSERT_EQ(0, test_bo_create(self->fd, 16 << 20, &bo));
	most = charged(self);
	EXPECT_GE(most, before + (16 << 20));
	ASSERT_EQ(0, test_bo_close(self->fd, &bo));
	/* Released by a worker, and counted in batches. */
	while (charged(self) > most - (15 << 20) && test_now() < end)
		usleep(10000);
	EXPECT_LE(charged(self), most - (15 << 20));

	ASSERT_EQ(0, root_write(CGROUPS "/cgroup.procs", pid));
	rmdir(CGROUP);
	umount(CGROUPS);
}

TEST_HARNESS_MAIN
