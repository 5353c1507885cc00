// SPDX-License-Identifier: GPL-2.0
/* DRM_IOCTL_IGRAD_DEV_QUERY, and what the file says of itself. */
#include <fcntl.h>
#include <stdio.h>

#include "kselftest_harness.h"

#include "igrad_abi.h"
#include "igrad_test.h"

FIXTURE(query)
{
	int fd;
};

FIXTURE_SETUP(query)
{
	self->fd = test_open(0);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(query)
{
	close(self->fd);
}

static int query(int fd, __u32 type, void *pointer, __u32 *size)
{
	struct drm_igrad_dev_query args = {
		.type = type,
		.size = *size,
		.pointer = (uintptr_t)pointer,
	};
	int ret = test_ioctl(fd, DRM_IOCTL_IGRAD_DEV_QUERY, &args);

	*size = args.size;

	return ret;
}

TEST_F(query, device)
{
	struct drm_igrad_device_info info;
	__u32 size = sizeof(info);

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, query(self->fd, DRM_IGRAD_QUERY_DEVICE, &info, &size));
	EXPECT_EQ(sizeof(info), size);
	EXPECT_EQ(IGRAD_HW_VERSION >> 16, info.hw_version >> 16);
	EXPECT_GE(info.rows, 1);
	EXPECT_LE(info.rows, 256);
	EXPECT_GE(info.cols, 1);
	EXPECT_LE(info.cols, 256);
	EXPECT_GE(info.sram_bytes, 16384);
	EXPECT_GT(info.dram_bytes_per_cycle, 0);
	EXPECT_GT(info.clock_hz, 0);
	EXPECT_GE(info.va_start, IGRAD_VA_MIN);
	EXPECT_LT(info.va_start, info.va_end);
	EXPECT_LE(info.va_end, IGRAD_VA_END);
	EXPECT_GT(info.max_bos, 0);
	EXPECT_GT(info.max_jobs, 0);
	EXPECT_GT(info.max_syncs, 0);
	EXPECT_GT(info.max_queues, 0);
	EXPECT_LT(info.max_queues, 0xffff);
	EXPECT_GT(info.job_timeout_ms, 0);
	EXPECT_LE(info.job_timeout_ms, 30000);
}

TEST_F(query, size_only)
{
	__u32 size = 0;

	EXPECT_EQ(0, query(self->fd, DRM_IGRAD_QUERY_DEVICE, NULL, &size));
	EXPECT_EQ(sizeof(struct drm_igrad_device_info), size);
	size = 12345;
	EXPECT_EQ(0, query(self->fd, DRM_IGRAD_QUERY_QUEUE, NULL, &size));
	EXPECT_EQ(sizeof(struct drm_igrad_queue_info), size);
}

TEST_F(query, short_buffer_is_not_overrun)
{
	__u32 words[4] = { 0x5a5a5a5a, 0x5a5a5a5a, 0x5a5a5a5a, 0x5a5a5a5a };
	__u32 size = 8;

	ASSERT_EQ(0, query(self->fd, DRM_IGRAD_QUERY_DEVICE, words, &size));
	EXPECT_EQ(sizeof(struct drm_igrad_device_info), size);
	EXPECT_EQ(IGRAD_HW_VERSION >> 16, words[0] >> 16);
	EXPECT_NE(0x5a5a5a5a, words[1]);
	EXPECT_EQ(0x5a5a5a5a, words[2]);
	EXPECT_EQ(0x5a5a5a5a, words[3]);
}

TEST_F(query, long_buffer_is_left_alone_behind)
{
	struct {
		struct drm_igrad_device_info info;
		__u64 behind;
	} buffer = { .behind = 0x1122334455667788 };
	__u32 size = sizeof(buffer);

	ASSERT_EQ(0, query(self->fd, DRM_IGRAD_QUERY_DEVICE, &buffer, &size));
	EXPECT_EQ(sizeof(buffer.info), size);
	EXPECT_NE(0, buffer.info.rows);
	EXPECT_EQ(0x1122334455667788, buffer.behind);
}

TEST_F(query, unknown_type)
{
	__u32 word, size = sizeof(word);

	EXPECT_EQ(-EINVAL, query(self->fd, 2, &word, &size));
	EXPECT_EQ(-EINVAL, query(self->fd, ~0u, &word, &size));
	EXPECT_EQ(-EINVAL, query(self->fd, 2, NULL, &size));
}

TEST_F(query, bad_pointer)
{
	__u32 size = sizeof(struct drm_igrad_device_info);

	EXPECT_EQ(-EFAULT, query(self->fd, DRM_IGRAD_QUERY_DEVICE, (void *)8, &size));
	size = sizeof(struct drm_igrad_queue_info);
	EXPECT_EQ(-EFAULT, query(self->fd, DRM_IGRAD_QUERY_QUEUE, (void *)8, &size));
}

TEST_F(query, queue)
{
	struct drm_igrad_queue_info info;
	int id = test_queue_create(self->fd);

	ASSERT_GT(id, 0);
	ASSERT_EQ(0, test_queue_info(self->fd, id, &info));
	EXPECT_EQ(id, info.queue_id);
	EXPECT_EQ(0, info.error);
	EXPECT_EQ(0, info.seqno);
	EXPECT_EQ(0, info.submitted);
	EXPECT_EQ(0, info.completed);
	EXPECT_EQ(-ENOENT, test_queue_info(self->fd, id + 1, &info));
	EXPECT_EQ(-ENOENT, test_queue_info(self->fd, 0, &info));
}

TEST_F(query, queue_id_must_fit)
{
	__u32 id = test_queue_create(self->fd);
	__u32 size = sizeof(id) - 1;

	EXPECT_EQ(-EINVAL, query(self->fd, DRM_IGRAD_QUERY_QUEUE, &id, &size));
	size = sizeof(id);
	EXPECT_EQ(0, query(self->fd, DRM_IGRAD_QUERY_QUEUE, &id, &size));
}

TEST_F(query, unknown_ioctl)
{
	struct drm_igrad_queue_create args = { };

	EXPECT_EQ(-EINVAL, test_ioctl(self->fd, DRM_IOWR(DRM_COMMAND_BASE + 0x06,
							 struct drm_igrad_queue_create), &args));
}

TEST_F(query, fdinfo)
{
	char path[64], text[4096] = "";
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	fd = open(path, O_RDONLY);
	ASSERT_GE(fd, 0);
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	ASSERT_GT(length, 0);
	EXPECT_NE(NULL, strstr(text, "drm-driver:\tigrad\n"));
	EXPECT_NE(NULL, strstr(text, "drm-pdev:\t"));
	EXPECT_NE(NULL, strstr(text, "drm-engine-array:\t"));
	EXPECT_NE(NULL, strstr(text, "drm-total-memory:\t"));
}

TEST_HARNESS_MAIN
