// SPDX-License-Identifier: GPL-2.0
/* Jobs across sleep, of the device or of the whole machine, and across resets that others make. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "igrad_test.h"
#include "root_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define SLOW_COMMANDS 256
#define BEHIND 40
#define CONFIG_BAR0 0x10
#define SHORT_MS 2000

FIXTURE(sleep)
{
	int fd;
	__u32 first, second;
	struct test_bo data;
	struct test_cmds slow, hang, stuck, increment;
	__u32 done[1 + BEHIND];
	char dir[PATH_MAX];
};

static void start(struct __test_metadata *_metadata, FIXTURE_DATA(sleep) *self,
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
	ASSERT_EQ(0, test_cmds_create(self->fd, 4, &self->hang));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	/* It says that it has begun, takes its time, and says that it has ended. */
	test_increment(&self->slow, self->data.va, 1);
	for (i = 0; i < SLOW_COMMANDS; i++)
		test_fill(&self->slow, 64, info.sram_bytes / 4 - 16, i);
	test_increment(&self->slow, self->data.va + 4, 1);
	test_nop(&self->hang, HANG_TAG);
	/* It says that it has begun, and does not end. */
	ASSERT_EQ(0, test_cmds_create(self->fd, 16, &self->stuck));
	test_increment(&self->stuck, self->data.va, 1);
	test_nop(&self->stuck, HANG_TAG);
	test_increment(&self->increment, self->data.va + 8, 1);
}

/* What does not end does not, unless a test says otherwise. */
FIXTURE_SETUP(sleep)
{
	ASSERT_EQ(0, root_device_dir(self->dir, sizeof(self->dir)));
	start(_metadata, self, ROOT_PATIENCE_MAX_MS);
}

FIXTURE_TEARDOWN(sleep)
{
	close(self->fd);
}

static float value(const FIXTURE_DATA(sleep) *self, int index)
{
	return ((volatile float *)self->data.map)[index];
}

static int submit(FIXTURE_DATA(sleep) *self, __u32 queue, const struct test_cmds *cmds,
		  __u32 *syncobj)
{
	struct test_job job;

	*syncobj = test_syncobj_create(self->fd);
	test_job_init(&job, cmds);
	test_job_bo(&job, &self->data, RW);
	test_job_signal(&job, *syncobj, 0);

	return test_submit(self->fd, queue, &job);
}

static int result(FIXTURE_DATA(sleep) *self, unsigned int job)
{
	int ret = test_syncobj_wait(self->fd, self->done[job], 0);

	return ret ? ret : test_syncobj_status(self->fd, self->done[job]);
}

/* A job that has begun, and others behind it. */
static void begin_with(struct __test_metadata *_metadata, FIXTURE_DATA(sleep) *self,
		       const struct test_cmds *cmds)
{
	double end = test_now() + WAIT_SECONDS;
	int i;

	ASSERT_EQ(0, submit(self, self->first, cmds, &self->done[0]));
	for (i = 1; i <= BEHIND; i++)
		ASSERT_EQ(0, submit(self, self->second, &self->increment, &self->done[i]));
	while (value(self, 0) < 1 && test_now() < end)
		usleep(100);
	ASSERT_EQ(1.0f, value(self, 0));
}

static void begin(struct __test_metadata *_metadata, FIXTURE_DATA(sleep) *self)
{
	begin_with(_metadata, self, &self->slow);
}

/* All have run, once each, as if nothing had happened. */
static void check_all_done(struct __test_metadata *_metadata, FIXTURE_DATA(sleep) *self)
{
	int i;

	for (i = 0; i <= BEHIND; i++)
		EXPECT_EQ(0, result(self, i)) {
			TH_LOG("job %d", i);
		}
	EXPECT_EQ(1.0f, value(self, 0));
	EXPECT_EQ(1.0f, value(self, 1));
	EXPECT_EQ((float)BEHIND, value(self, 2));
}

/* Woken up by the clock. */
static int sleep_for(const char *state, const char *seconds)
{
	root_write("/sys/class/rtc/rtc0/wakealarm", "0");
	if (root_write("/sys/class/rtc/rtc0/wakealarm", seconds))
		return -ENODEV;

	return root_write("/sys/power/state", state);
}

/* As far as putting devices to sleep, for some seconds: what remains is the platform's affair. */
static int sleep_of_devices(const char *state)
{
	int ret = root_write("/sys/power/pm_test", "devices");

	if (ret)
		return ret;
	ret = root_write("/sys/power/state", state);
	root_write("/sys/power/pm_test", "none");

	return ret;
}

/*
 * For real. The first here is the last that runs, and only when asked for: emulated machines do not
 * always survive it, whatever devices they have.
 */
TEST_F(sleep, suspend_to_ram)
{
	if (!getenv("IGRAD_TEST_LONG"))
		SKIP(return, "IGRAD_TEST_LONG is not set");
	if (!root_exists("/sys/power/mem_sleep"))
		SKIP(return, "no sleep in this kernel");

	root_write("/sys/power/mem_sleep", "deep");
	begin(_metadata, self);
	ASSERT_EQ(0, sleep_for("mem", "+3"));
	check_all_done(_metadata, self);
}

TEST_F(sleep, suspend_to_idle)
{
	if (!root_exists("/sys/power/pm_test"))
		SKIP(return, "no test of sleep in this kernel");

	begin(_metadata, self);
	ASSERT_EQ(0, sleep_of_devices("freeze"));
	check_all_done(_metadata, self);
}

/* A job that hangs does not keep the machine awake for long; those behind it run afterwards. */
TEST_F(sleep, hang_and_suspend)
{
	int i;

	if (!root_exists("/sys/power/pm_test"))
		SKIP(return, "no test of sleep in this kernel");

	close(self->fd);
	start(_metadata, self, SHORT_MS);
	ASSERT_EQ(0, submit(self, self->first, &self->hang, &self->done[0]));
	for (i = 1; i <= BEHIND; i++)
		ASSERT_EQ(0, submit(self, self->second, &self->increment, &self->done[i]));
	ASSERT_EQ(0, sleep_of_devices("freeze"));
	EXPECT_EQ(-ETIME, result(self, 0));
	for (i = 1; i <= BEHIND; i++)
		EXPECT_EQ(0, result(self, i));
	EXPECT_EQ((float)BEHIND, value(self, 2));
}

/* All that a hibernation does to devices before there is an image. */
TEST_F(sleep, hibernate)
{
	if (!root_exists("/sys/power/pm_test") || root_write("/sys/power/disk", "shutdown"))
		SKIP(return, "no test of hibernation in this kernel");

	begin(_metadata, self);
	EXPECT_EQ(0, sleep_of_devices("disk"));
	check_all_done(_metadata, self);
}

static bool runtime_status_is(const FIXTURE_DATA(sleep) *self, const char *wanted)
{
	double end = test_now() + WAIT_SECONDS;
	char path[PATH_MAX + 32], text[32];

	snprintf(path, sizeof(path), "%s/power/runtime_status", self->dir);
	do {
		root_read(path, text, sizeof(text));
		if (!strncmp(text, wanted, strlen(wanted)))
			return true;
		usleep(10000);
	} while (test_now() < end);

	return false;
}

static long active_ms(const FIXTURE_DATA(sleep) *self)
{
	char path[PATH_MAX + 32], text[32];

	snprintf(path, sizeof(path), "%s/power/runtime_active_time", self->dir);

	return root_read(path, text, sizeof(text)) < 0 ? -1 : atol(text);
}

TEST_F(sleep, runtime)
{
	struct test_bo bo;
	long before;
	int i;

	ASSERT_EQ(0, root_write_in(self->dir, "power/control", "auto"));
	for (i = 0; i < 3; i++) {
		EXPECT_TRUE(runtime_status_is(self, "suspended"));
		/* Buffers come and go without waking it up. */
		ASSERT_EQ(0, test_bo_create(self->fd, 65536, &bo));
		ASSERT_EQ(0, test_bo_close(self->fd, &bo));
		EXPECT_TRUE(runtime_status_is(self, "suspended"));
		before = active_ms(self);
		memset(self->data.map, 0, 64);
		begin(_metadata, self);
		check_all_done(_metadata, self);
		EXPECT_GT(active_ms(self), before);
	}
	/* Reset, put to sleep with all others, unbound while asleep. */
	EXPECT_TRUE(runtime_status_is(self, "suspended"));
	EXPECT_EQ(0, root_write_in(self->dir, "reset", "1"));
	memset(self->data.map, 0, 64);
	begin(_metadata, self);
	check_all_done(_metadata, self);
	EXPECT_TRUE(runtime_status_is(self, "suspended"));
	EXPECT_EQ(0, root_write_in(self->dir, "power/control", "on"));
	EXPECT_TRUE(runtime_status_is(self, "active"));
}

TEST_F(sleep, announced_reset)
{
	int i;

	for (i = 0; i < 3; i++) {
		memset(self->data.map, 0, 64);
		begin(_metadata, self);
		ASSERT_EQ(0, root_write_in(self->dir, "reset", "1"));
		/* What had begun was finished first. */
		EXPECT_EQ(1.0f, value(self, 1));
		check_all_done(_metadata, self);
	}
}

/* Behind the driver's back: what had begun is not run again, and what had not, runs once. */
TEST_F(sleep, reset_by_others)
{
	int i;

	begin_with(_metadata, self, &self->stuck);
	ASSERT_EQ(0, root_function_level_reset(self->dir));
	EXPECT_EQ(-EIO, result(self, 0));
	for (i = 1; i <= BEHIND; i++)
		EXPECT_EQ(0, result(self, i));
	EXPECT_EQ(1.0f, value(self, 0));
	EXPECT_EQ(0.0f, value(self, 1));
	EXPECT_EQ((float)BEHIND, value(self, 2));
}

/* Also one after which nothing of its configuration is left. */
TEST_F(sleep, configuration_is_lost)
{
	__u32 none[2] = { }, bar[2];
	__u16 command = 0;
	int i;

	ASSERT_EQ(0, root_config_read(self->dir, CONFIG_BAR0, bar, sizeof(bar)));
	begin_with(_metadata, self, &self->stuck);
	ASSERT_EQ(0, root_config_write(self->dir, 4, &command, sizeof(command)));
	ASSERT_EQ(0, root_config_write(self->dir, CONFIG_BAR0, none, sizeof(none)));
	EXPECT_EQ(-EIO, result(self, 0));
	for (i = 1; i <= BEHIND; i++)
		EXPECT_EQ(0, result(self, i));
	EXPECT_EQ((float)BEHIND, value(self, 2));
}

TEST_HARNESS_MAIN
