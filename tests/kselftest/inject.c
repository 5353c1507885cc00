// SPDX-License-Identifier: GPL-2.0
/*
 * A device that is made to fail, through the machine's monitor, and what comes of that here: a
 * clear answer, nothing run twice, and nobody else concerned.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "igrad_test.h"
#include "root_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define BEHIND 10
#define WORDS 32
/* 128 GB of SRAM to be filled */
#define LONG_COMMANDS (1u << 16)
#define LONG_WORDS (1u << 19)
#define AN_HOUR_NS "3600000000000"

/* What is lost is missed after so long; a job that is well takes no time to speak of. */
#define TIMEOUT_MS 5000

FIXTURE(inject)
{
	int fd;
	__u32 bad, good;
	struct test_bo data;
	struct test_cmds increment;
	struct test_job job;
	char dir[PATH_MAX];
};

/* Properties of the first device */

#define DUT "\"path\":\"/machine/peripheral/igrad0\""

static int qom_set(const char *property, const char *value)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "{\"execute\":\"qom-set\",\"arguments\":{%s,\"property\":\"%s\",\"value\":%s}}",
		 DUT, property, value);

	return root_qmp(command);
}

static int qom_set_number(const char *property, __u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

	return qom_set(property, text);
}

/* What was to fail has failed. */
static int qom_is_zero(const char *property)
{
	char command[256];
	int ret;

	snprintf(command, sizeof(command),
		 "{\"execute\":\"qom-get\",\"arguments\":{%s,\"property\":\"%s\"}}",
		 DUT, property);
	ret = root_qmp(command);

	return ret ? ret : root_qmp_wait("\"return\": 0}");
}

FIXTURE_SETUP(inject)
{
	if (!root_has_qmp())
		SKIP(return, "no way to the machine's monitor");

	ASSERT_EQ(0, root_device_dir(self->dir, sizeof(self->dir)));
	ASSERT_EQ(0, root_set_patience(self->dir, TIMEOUT_MS, ROOT_PATIENCE_MAX_MS));
	self->fd = root_open(self->dir);
	ASSERT_GE(self->fd, 0);
	self->bad = test_queue_create(self->fd);
	self->good = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	test_increment(&self->increment, self->data.va, 1);
}

FIXTURE_TEARDOWN(inject)
{
	static const char *const counts[] = {
		"x-inject-irq-lose", "x-inject-irq-repeat", "x-inject-completion-drop",
		"x-inject-completion-delay", "x-inject-hang", "x-inject-ecc", "x-inject-fault",
		"x-inject-sram-flip", "x-inject-acc-flip",
	};
	unsigned int i;

	if (!root_has_qmp())
		return;
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		EXPECT_EQ(0, qom_set_number(counts[i], 0));
	EXPECT_EQ(0, qom_set("x-inject-dead", "false"));
	close(self->fd);
}

static struct test_job *prepare(FIXTURE_DATA(inject) *self, const struct test_cmds *cmds)
{
	test_job_init(&self->job, cmds);
	test_job_bo(&self->job, &self->data, RW);

	return &self->job;
}

static int run(FIXTURE_DATA(inject) *self, __u32 queue)
{
	return test_run(self->fd, queue, prepare(self, &self->increment));
}

static __u32 submit(FIXTURE_DATA(inject) *self, __u32 queue)
{
	__u32 done = test_syncobj_create(self->fd);

	test_job_signal(prepare(self, &self->increment), done, 0);

	return test_submit(self->fd, queue, &self->job) ? 0 : done;
}

static int result(FIXTURE_DATA(inject) *self, __u32 done)
{
	int ret = test_syncobj_wait(self->fd, done, 0);

	return ret ? ret : test_syncobj_status(self->fd, done);
}

static float value(const FIXTURE_DATA(inject) *self)
{
	return *(volatile float *)self->data.map;
}

/* The bad queue says what happened, and takes no more; the good one goes on. */
static void check_failed(struct __test_metadata *_metadata, FIXTURE_DATA(inject) *self, int error,
			 __u64 addr)
{
	struct drm_igrad_queue_info info;
	float before;

	ASSERT_EQ(0, test_queue_info(self->fd, self->bad, &info));
	EXPECT_EQ(error, info.error);
	EXPECT_EQ(1, info.seqno);
	EXPECT_EQ(addr, info.fault_addr);
	EXPECT_EQ(-EIO, test_submit(self->fd, self->bad, prepare(self, &self->increment)));
	ASSERT_EQ(0, test_queue_info(self->fd, self->good, &info));
	EXPECT_EQ(0, info.error);
	before = value(self);
	EXPECT_EQ(0, run(self, self->good));
	EXPECT_EQ(before + 1, value(self));
}

/* Found when the driver looks after jobs that take long. */
TEST_F_TIMEOUT(inject, interrupt_is_lost, 90)
{
	ASSERT_EQ(0, qom_set_number("x-inject-irq-lose", 1));
	EXPECT_EQ(0, run(self, self->good));
	EXPECT_EQ(0, qom_is_zero("x-inject-irq-lose"));
	EXPECT_EQ(1.0f, value(self));
	EXPECT_EQ(0, run(self, self->good));
	EXPECT_EQ(2.0f, value(self));
}

/* All that a full ring sends, both of a job that fails and of those behind it. */
TEST_F_TIMEOUT(inject, interrupts_are_lost, 90)
{
	__u32 failed, done[BEHIND];
	int i;

	ASSERT_EQ(0, qom_set_number("x-inject-ecc", 1));
	ASSERT_EQ(0, qom_set_number("x-inject-irq-lose", BEHIND / 2));
	failed = submit(self, self->bad);
	for (i = 0; i < BEHIND; i++)
		done[i] = submit(self, self->good);
	EXPECT_EQ(-EIO, result(self, failed));
	for (i = 0; i < BEHIND; i++)
		EXPECT_EQ(0, result(self, done[i]));
	EXPECT_EQ((float)BEHIND, value(self));
	check_failed(_metadata, self, -EIO, self->increment.bo.va);
}

TEST_F_TIMEOUT(inject, interrupts_are_repeated, 90)
{
	int i;

	ASSERT_EQ(0, qom_set_number("x-inject-irq-repeat", BEHIND));
	for (i = 1; i <= BEHIND; i++) {
		EXPECT_EQ(0, run(self, self->good));
		EXPECT_EQ((float)i, value(self));
	}
	EXPECT_EQ(0, qom_is_zero("x-inject-irq-repeat"));
}

TEST_F_TIMEOUT(inject, completion_is_late, 90)
{
	double start = test_now();

	ASSERT_EQ(0, qom_set("x-inject-completion-delay", "50000000"));
	EXPECT_EQ(0, run(self, self->good));
	EXPECT_GE(test_now() - start, 0.04);
	EXPECT_EQ(1.0f, value(self));
}

/* Then it counts as lost: the job has done its work, but nobody can know. */
TEST_F_TIMEOUT(inject, completion_is_too_late, 90)
{
	ASSERT_EQ(0, qom_set("x-inject-completion-delay", AN_HOUR_NS));
	EXPECT_EQ(-ETIME, run(self, self->bad));
	EXPECT_EQ(1.0f, value(self));
	ASSERT_EQ(0, qom_set("x-inject-completion-delay", "0"));
	check_failed(_metadata, self, -ETIME, 0);
}

/* Those behind it have completed, and are neither lost nor run again. */
TEST_F_TIMEOUT(inject, completion_is_dropped, 90)
{
	__u32 dropped, done[BEHIND];
	int i;

	ASSERT_EQ(0, qom_set_number("x-inject-completion-drop", 1));
	dropped = submit(self, self->bad);
	for (i = 0; i < BEHIND; i++)
		done[i] = submit(self, self->good);
	EXPECT_EQ(-ETIME, result(self, dropped));
	for (i = 0; i < BEHIND; i++)
		EXPECT_EQ(0, result(self, done[i]));
	EXPECT_EQ(0, qom_is_zero("x-inject-completion-drop"));
	EXPECT_EQ(1.0f + BEHIND, value(self));
	check_failed(_metadata, self, -ETIME, 0);
}

TEST_F_TIMEOUT(inject, command_hangs, 90)
{
	__u32 hung, behind;

	ASSERT_EQ(0, qom_set_number("x-inject-hang", 3));
	hung = submit(self, self->bad);
	behind = submit(self, self->good);
	EXPECT_EQ(-ETIME, result(self, hung));
	EXPECT_EQ(0, result(self, behind));
	EXPECT_EQ(1.0f, value(self));
	check_failed(_metadata, self, -ETIME, 0);
}

/* Of the commands, and of the data: what was read wrong is not used. */
TEST_F_TIMEOUT(inject, read_is_corrupt, 90)
{
	ASSERT_EQ(0, qom_set_number("x-inject-ecc", 1));
	EXPECT_EQ(-EIO, run(self, self->bad));
	EXPECT_EQ(0.0f, value(self));
	check_failed(_metadata, self, -EIO, self->increment.bo.va);

	self->bad = test_queue_create(self->fd);
	ASSERT_EQ(0, qom_set_number("x-inject-ecc", 2));
	EXPECT_EQ(-EIO, run(self, self->bad));
	EXPECT_EQ(1.0f, value(self));
	check_failed(_metadata, self, -EIO, self->data.va);
}

TEST_F_TIMEOUT(inject, address_faults, 90)
{
	ASSERT_EQ(0, qom_set_number("x-inject-fault", self->data.va + 100));
	EXPECT_EQ(-EFAULT, run(self, self->bad));
	EXPECT_EQ(0.0f, value(self));
	ASSERT_EQ(0, qom_set_number("x-inject-fault", 0));
	check_failed(_metadata, self, -EFAULT, self->data.va);
}

/* Nothing tells of these but the result. */
static void check_flip(struct __test_metadata *_metadata, FIXTURE_DATA(inject) *self,
		       const struct test_cmds *cmds, const char *flip, unsigned int nth,
		       unsigned int word, unsigned int bit)
{
	const __u32 *words = (void *)((char *)self->data.map + 2048);
	struct drm_igrad_queue_info info;
	unsigned int i, round;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, qom_set_number(flip, round ? 0 : nth));
		memset(self->data.map, 0, self->data.size);
		memset((char *)self->data.map + 2048, 0xee, 2048);
		EXPECT_EQ(0, test_run(self->fd, self->good, prepare(self, cmds)));
		for (i = 0; i < WORDS; i++)
			EXPECT_EQ(!round && i == word ? 1u << bit : 0, words[i]);
	}
	ASSERT_EQ(0, test_queue_info(self->fd, self->good, &info));
	EXPECT_EQ(0, info.error);
}

TEST_F_TIMEOUT(inject, bit_of_sram_flips, 90)
{
	struct test_cmds cmds;

	ASSERT_EQ(0, test_cmds_create(self->fd, 4, &cmds));
	test_dma(&cmds, false, self->data.va, 0, WORDS);
	test_nop(&cmds, 0);
	test_dma(&cmds, true, self->data.va + 2048, 0, WORDS);
	ASSERT_EQ(0, qom_set_number("x-inject-sram-bit", 5 * 32 + 7));
	check_flip(_metadata, self, &cmds, "x-inject-sram-flip", 2, 5, 7);
}

TEST_F_TIMEOUT(inject, bit_of_an_accumulator_flips, 90)
{
	struct igrad_cmd *drain;
	struct test_cmds cmds;

	ASSERT_EQ(0, test_cmds_create(self->fd, 4, &cmds));
	drain = test_cmd(&cmds, IGRAD_OP_DRAIN_ACC, IGRAD_ENGINE_ARRAY);
	drain->u.array.rows = 2;
	drain->u.array.cols = WORDS / 2;
	drain->u.array.p_pitch = WORDS / 2 * 4;
	test_dma(&cmds, true, self->data.va + 2048, 0, WORDS);
	/* Of the PE in row 0, column 3. */
	ASSERT_EQ(0, qom_set_number("x-inject-acc-bit", 3 * 32 + 31));
	check_flip(_metadata, self, &cmds, "x-inject-acc-flip", 1, 3, 31);
}

/* A job that says that it has begun, and then takes long. */
static __u32 begin_long_job(FIXTURE_DATA(inject) *self)
{
	double end = test_now() + WAIT_SECONDS;
	__u32 done = test_syncobj_create(self->fd);
	struct test_cmds cmds;
	unsigned int i;

	if (test_cmds_create(self->fd, LONG_COMMANDS + 16, &cmds))
		return 0;
	test_increment(&cmds, self->data.va, 1);
	for (i = 0; i < LONG_COMMANDS; i++)
		test_fill(&cmds, 64, LONG_WORDS, i);
	test_job_signal(prepare(self, &cmds), done, 0);
	if (test_submit(self->fd, self->bad, &self->job))
		return 0;
	munmap(cmds.bo.map, cmds.bo.size);
	while (value(self) < 1 && test_now() < end)
		usleep(100);

	return value(self) == 1 ? done : 0;
}

/* Everybody is told; and when it has been taken out and put back, alive, it works. */
TEST_F_TIMEOUT(inject, device_dies, 180)
{
	__u32 executing, behind, queue;

	executing = begin_long_job(self);
	ASSERT_NE(0, executing);
	behind = submit(self, self->good);
	ASSERT_EQ(0, qom_set("x-inject-dead", "true"));
	EXPECT_EQ(-EIO, result(self, executing));
	EXPECT_EQ(-ENODEV, result(self, behind));
	EXPECT_EQ(1.0f, value(self));
	queue = test_queue_create(self->fd);
	EXPECT_EQ(-ENODEV, run(self, queue));

	ASSERT_EQ(0, root_write_in(self->dir, "remove", "1"));
	EXPECT_EQ(-ENODEV, test_queue_create(self->fd));
	munmap(self->data.map, self->data.size);
	munmap(self->increment.bo.map, self->increment.bo.size);
	close(self->fd);
	ASSERT_EQ(0, qom_set("x-inject-dead", "false"));
	ASSERT_EQ(0, root_write("/sys/bus/pci/rescan", "1"));

	self->fd = root_open(self->dir);
	ASSERT_GE(self->fd, 0);
	queue = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	test_increment(&self->increment, self->data.va, 1);
	EXPECT_EQ(0, run(self, queue));
	EXPECT_EQ(1.0f, value(self));
}

TEST_HARNESS_MAIN
