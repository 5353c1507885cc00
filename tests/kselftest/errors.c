// SPDX-License-Identifier: GPL-2.0
/* Errors of PCI Express, which the device reports and the kernel has its driver recover from. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "igrad_test.h"
#include "root_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define SLOW_COMMANDS 256
#define BEHIND 40
#define SHORT_MS 2000

/* Of the first kind the kernel resets nothing but what a driver asks for, of the second the bus. */
#define NONFATAL "COMP_ABORT"
#define FATAL "MALF_TLP"
#define CORRECTABLE "RCVR"

FIXTURE(errors)
{
	int fd, log;
	__u32 first, second;
	struct test_bo data;
	struct test_cmds slow, stuck, increment;
	__u32 done[1 + BEHIND];
	char dir[PATH_MAX];
};

static void start(struct __test_metadata *_metadata, FIXTURE_DATA(errors) *self,
		  unsigned int timeout_ms)
{
	struct drm_igrad_device_info info;
	__u32 i;

	ASSERT_EQ(0, root_set_patience(self->dir, timeout_ms, ROOT_PATIENCE_MAX_MS));
	self->fd = root_open(self->dir);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, test_device_info(self->fd, &info));
	self->first = test_queue_create(self->fd);
	self->second = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	ASSERT_EQ(0, test_cmds_create(self->fd, SLOW_COMMANDS + 16, &self->slow));
	ASSERT_EQ(0, test_cmds_create(self->fd, 16, &self->stuck));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	/* Each says that it has begun; one takes its time and says so, the other does not end. */
	test_increment(&self->slow, self->data.va, 1);
	for (i = 0; i < SLOW_COMMANDS; i++)
		test_fill(&self->slow, 64, info.sram_bytes / 4 - 16, i);
	test_increment(&self->slow, self->data.va + 4, 1);
	test_increment(&self->stuck, self->data.va, 1);
	test_nop(&self->stuck, HANG_TAG);
	test_increment(&self->increment, self->data.va + 8, 1);
}

FIXTURE_SETUP(errors)
{
	char path[PATH_MAX + 32];

	ASSERT_EQ(0, root_device_dir(self->dir, sizeof(self->dir)));
	snprintf(path, sizeof(path), "%s/aer_dev_fatal", self->dir);
	if (!root_has_qmp() || !root_exists(path))
		SKIP(return, "no error reporting here, or no way to the machine's monitor");
	self->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_GE(self->log, 0);
	start(_metadata, self, ROOT_PATIENCE_MAX_MS);
}

FIXTURE_TEARDOWN(errors)
{
	close(self->fd);
	close(self->log);
}

static float value(const FIXTURE_DATA(errors) *self, int index)
{
	return ((volatile float *)self->data.map)[index];
}

static int submit(FIXTURE_DATA(errors) *self, __u32 queue, const struct test_cmds *cmds,
		  __u32 *syncobj)
{
	struct test_job job;

	*syncobj = test_syncobj_create(self->fd);
	test_job_init(&job, cmds);
	test_job_bo(&job, &self->data, RW);
	test_job_signal(&job, *syncobj, 0);

	return test_submit(self->fd, queue, &job);
}

static int result(FIXTURE_DATA(errors) *self, unsigned int job)
{
	int ret = test_syncobj_wait(self->fd, self->done[job], 0);

	return ret ? ret : test_syncobj_status(self->fd, self->done[job]);
}

/* A job that has begun, and others behind it. */
static void begin(struct __test_metadata *_metadata, FIXTURE_DATA(errors) *self,
		  const struct test_cmds *cmds)
{
	double end = test_now() + WAIT_SECONDS;
	int i;

	memset(self->data.map, 0, 64);
	ASSERT_EQ(0, submit(self, self->first, cmds, &self->done[0]));
	for (i = 1; i <= BEHIND; i++)
		ASSERT_EQ(0, submit(self, self->second, &self->increment, &self->done[i]));
	while (value(self, 0) < 1 && test_now() < end)
		usleep(100);
	ASSERT_EQ(1.0f, value(self, 0));
}

/* What was behind ran, once each. */
static void check_behind(struct __test_metadata *_metadata, FIXTURE_DATA(errors) *self)
{
	int i;

	for (i = 1; i <= BEHIND; i++)
		EXPECT_EQ(0, result(self, i)) {
			TH_LOG("job %d", i);
		}
	EXPECT_EQ((float)BEHIND, value(self, 2));
}

static void check_all_done(struct __test_metadata *_metadata, FIXTURE_DATA(errors) *self)
{
	EXPECT_EQ(0, result(self, 0));
	EXPECT_EQ(1.0f, value(self, 0));
	EXPECT_EQ(1.0f, value(self, 1));
	check_behind(_metadata, self);
}

static int inject(FIXTURE_DATA(errors) *self, const char *error)
{
	char command[200];

	/* What was logged before is of no interest. */
	lseek(self->log, 0, SEEK_END);
	snprintf(command, sizeof(command),
		 "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"pcie_aer_inject_error igrad0 %s\"}}",
		 error);

	return root_qmp(command) ?: root_qmp_wait("OK id");
}

/* The kernel says how it went; nothing else does. */
static bool wait_for_log(FIXTURE_DATA(errors) *self, const char *wanted, const char *unwanted)
{
	double end = test_now() + WAIT_SECONDS;
	struct pollfd pfd = { .fd = self->log, .events = POLLIN };
	char line[2048];
	ssize_t got;

	while (test_now() < end) {
		poll(&pfd, 1, 1000);
		got = read(self->log, line, sizeof(line) - 1);
		if (got <= 0)
			continue;
		line[got] = 0;
		if (strstr(line, wanted))
			return true;
		if (unwanted && strstr(line, unwanted))
			return false;
	}

	return false;
}

static bool recovered(FIXTURE_DATA(errors) *self)
{
	return wait_for_log(self, "AER: device recovery successful",
			    "AER: device recovery failed");
}

TEST_F(errors, correctable)
{
	begin(_metadata, self, &self->slow);
	ASSERT_EQ(0, inject(self, CORRECTABLE));
	EXPECT_TRUE(wait_for_log(self, "PCIe Bus Error: severity=Correct", NULL));
	check_all_done(_metadata, self);
}

static void check_recovery(struct __test_metadata *_metadata, FIXTURE_DATA(errors) *self,
			   const char *error)
{
	int i;

	for (i = 0; i < 3; i++) {
		begin(_metadata, self, &self->slow);
		ASSERT_EQ(0, inject(self, error));
		EXPECT_TRUE(recovered(self));
		check_all_done(_metadata, self);
	}
}

TEST_F(errors, nonfatal)
{
	check_recovery(_metadata, self, NONFATAL);
}

TEST_F(errors, fatal)
{
	check_recovery(_metadata, self, FATAL);
}

/* It is not waited for longer than otherwise. */
TEST_F(errors, while_a_job_hangs)
{
	close(self->fd);
	start(_metadata, self, SHORT_MS);
	begin(_metadata, self, &self->stuck);
	ASSERT_EQ(0, inject(self, FATAL));
	EXPECT_TRUE(recovered(self));
	EXPECT_EQ(-ETIME, result(self, 0));
	check_behind(_metadata, self);
}

/* Of a device that has gone to sleep, and wakes up afterwards. */
TEST_F(errors, while_asleep)
{
	double end = test_now() + WAIT_SECONDS;
	char path[PATH_MAX + 32], status[32] = "";

	snprintf(path, sizeof(path), "%s/power/runtime_status", self->dir);
	ASSERT_EQ(0, root_write_in(self->dir, "power/control", "auto"));
	while (strncmp(status, "suspended", 9) && test_now() < end) {
		usleep(10000);
		root_read(path, status, sizeof(status));
	}
	EXPECT_EQ(0, strncmp(status, "suspended", 9));
	ASSERT_EQ(0, inject(self, FATAL));
	EXPECT_TRUE(recovered(self));
	begin(_metadata, self, &self->slow);
	check_all_done(_metadata, self);
	ASSERT_EQ(0, root_write_in(self->dir, "power/control", "on"));
}

/* The driver goes, and comes, with its files still open, and nothing of the error is left. */
TEST_F(errors, then_unbound)
{
	begin(_metadata, self, &self->slow);
	ASSERT_EQ(0, inject(self, FATAL));
	ASSERT_TRUE(recovered(self));
	ASSERT_EQ(0, root_unbind(self->dir));
	ASSERT_EQ(0, root_bind(self->dir));
	EXPECT_EQ(0, root_run_job(self->dir));
}

TEST_HARNESS_MAIN
