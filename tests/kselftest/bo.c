// SPDX-License-Identifier: GPL-2.0
/* Buffers: DRM_IOCTL_IGRAD_BO_CREATE and _INFO, mmap, sharing, and who may see them. */
#include <sys/mman.h>

#include "kselftest_harness.h"

#include "igrad_test.h"

#define MIB (1024 * 1024)

FIXTURE(bo)
{
	int fd;
	struct drm_igrad_device_info info;
};

FIXTURE_SETUP(bo)
{
	self->fd = test_open(0);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, test_device_info(self->fd, &self->info));
}

FIXTURE_TEARDOWN(bo)
{
	close(self->fd);
}

static int create(int fd, __u64 size, __u32 flags)
{
	struct drm_igrad_bo_create args = { .size = size, .flags = flags };

	return test_ioctl(fd, DRM_IOCTL_IGRAD_BO_CREATE, &args);
}

static int get_info(int fd, __u32 handle, struct drm_igrad_bo_info *info)
{
	memset(info, 0xff, sizeof(*info));
	info->handle = handle;

	return test_ioctl(fd, DRM_IOCTL_IGRAD_BO_INFO, info);
}

static bool is_zero(const void *data, size_t size)
{
	const __u64 *words = data;
	size_t i;

	for (i = 0; i < size / sizeof(*words); i++)
		if (words[i])
			return false;

	return true;
}

TEST_F(bo, create)
{
	static const __u64 sizes[] = { 1, 4096, 4097, 2 * MIB - 1, 2 * MIB, 9 * MIB };
	struct test_bo bos[ARRAY_SIZE(sizes)];
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, test_bo_create(self->fd, sizes[i], &bos[i]));
		EXPECT_EQ((sizes[i] + 4095) / 4096 * 4096, bos[i].size);
		EXPECT_GT(bos[i].handle, 0);
		EXPECT_EQ(0, bos[i].va % 4096);
		EXPECT_GE(bos[i].va, self->info.va_start);
		EXPECT_LE(bos[i].va + bos[i].size, self->info.va_end);
		EXPECT_TRUE(is_zero(bos[i].map, bos[i].size));
		memset(bos[i].map, 0xff, bos[i].size);
		for (k = 0; k < i; k++) {
			EXPECT_NE(bos[k].handle, bos[i].handle);
			EXPECT_TRUE(bos[k].va + bos[k].size <= bos[i].va ||
				    bos[i].va + bos[i].size <= bos[k].va);
		}
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(0, test_bo_close(self->fd, &bos[i]));
	}
}

TEST_F(bo, memory_is_zero_when_reused)
{
	struct test_bo bo;
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, test_bo_create(self->fd, 4 * MIB, &bo));
		ASSERT_TRUE(is_zero(bo.map, bo.size));
		memset(bo.map, 0xa5, bo.size);
		ASSERT_EQ(0, test_bo_close(self->fd, &bo));
	}
}

TEST_F(bo, bad_create)
{
	EXPECT_EQ(-EINVAL, create(self->fd, 0, 0));
	EXPECT_EQ(-EINVAL, create(self->fd, 4096, 1));
	EXPECT_EQ(-EINVAL, create(self->fd, 4096, 1u << 31));
	EXPECT_EQ(-EINVAL, create(self->fd, self->info.va_end, 0));
	EXPECT_EQ(-EINVAL, create(self->fd, 1ull << 62, 0));
	EXPECT_EQ(-EINVAL, create(self->fd, ~0ull, 0));
	EXPECT_EQ(-EINVAL, create(self->fd, ~0ull - 4095, 0));
	/* More than the machine has. */
	EXPECT_EQ(-ENOMEM, create(self->fd, 1ull << 38, 0));
}

TEST_F(bo, info)
{
	struct drm_igrad_bo_info info;
	struct test_bo bo;

	ASSERT_EQ(0, test_bo_create(self->fd, 5000, &bo));
	ASSERT_EQ(0, get_info(self->fd, bo.handle, &info));
	EXPECT_EQ(bo.handle, info.handle);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(8192, info.size);
	EXPECT_EQ(bo.va, info.va);
	EXPECT_EQ(bo.mmap_offset, info.mmap_offset);
	EXPECT_EQ(-ENOENT, get_info(self->fd, bo.handle + 1, &info));
	EXPECT_EQ(-ENOENT, get_info(self->fd, 0, &info));
	ASSERT_EQ(0, test_bo_close(self->fd, &bo));
	EXPECT_EQ(-ENOENT, get_info(self->fd, bo.handle, &info));
	EXPECT_EQ(-EINVAL, test_gem_close(self->fd, bo.handle));
}

TEST_F(bo, map_outlives_the_handle)
{
	struct test_bo bo;
	__u8 *bytes;

	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	bytes = bo.map;
	bytes[100] = 42;
	ASSERT_EQ(0, test_gem_close(self->fd, bo.handle));
	EXPECT_EQ(42, bytes[100]);
	bytes[101] = 43;
	EXPECT_EQ(43, bytes[101]);
	munmap(bo.map, bo.size);
}

TEST_F(bo, maps_show_the_same_memory)
{
	struct test_bo bo;
	__u8 *again;

	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	again = mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd, bo.mmap_offset);
	ASSERT_NE(MAP_FAILED, again);
	((__u8 *)bo.map)[7] = 99;
	EXPECT_EQ(99, again[7]);
}

TEST_F(bo, bad_map)
{
	int other = test_open(0);
	struct test_bo bo;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	/* Longer than the buffer; where no buffer is; that of another file. */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 8192, PROT_READ, MAP_SHARED, self->fd, bo.mmap_offset));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, other, bo.mmap_offset));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd,
				   bo.mmap_offset));
	close(other);
}

TEST_F(bo, handles_belong_to_a_file)
{
	struct drm_igrad_bo_info info;
	int other = test_open(0);
	struct test_bo bo;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	EXPECT_EQ(-ENOENT, get_info(other, bo.handle, &info));
	EXPECT_EQ(-EINVAL, test_gem_close(other, bo.handle));
	EXPECT_EQ(0, get_info(self->fd, bo.handle, &info));
	close(other);
}

/* MiB of shared memory in use on this machine, buffers included. */
static long shared_mib(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Shmem: %ld kB", &kib) == 1)
			break;
	if (file)
		fclose(file);

	return kib / 1024;
}

/* What is closed comes back, and its addresses with it. */
TEST_F(bo, memory_comes_back)
{
	double end = test_now() + WAIT_SECONDS;
	long before = shared_mib();
	struct test_bo bo;
	__u64 va = 0;
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, test_bo_create(self->fd, 16 * MIB, &bo));
		EXPECT_GE(shared_mib(), 15);
		if (!i)
			va = bo.va;
		EXPECT_EQ(va, bo.va);
		ASSERT_EQ(0, test_bo_close(self->fd, &bo));
	}
	while (shared_mib() > before + 4 && test_now() < end)
		continue;
	EXPECT_LE(shared_mib(), before + 4);
}

TEST_F(bo, shared_with_another_file)
{
	struct drm_igrad_bo_info info;
	struct test_bo bo, local, copy;
	struct test_cmds cmds;
	struct test_job job;
	__u32 handle, again;
	int other = test_open(0);
	int dmabuf, queue;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &bo));
	memcpy(bo.map, "shared", 7);
	dmabuf = test_export(self->fd, bo.handle);
	ASSERT_GE(dmabuf, 0);
	ASSERT_EQ(0, test_import(other, dmabuf, &handle));
	ASSERT_EQ(0, test_import(other, dmabuf, &again));
	EXPECT_EQ(handle, again);
	close(dmabuf);
	ASSERT_EQ(0, get_info(other, handle, &info));
	EXPECT_EQ(4096, info.size);
	EXPECT_GE(info.va, self->info.va_start);

	/* The importer keeps it, and its jobs reach it. */
	ASSERT_EQ(0, test_bo_close(self->fd, &bo));
	queue = test_queue_create(other);
	ASSERT_EQ(0, test_bo_create(other, 4096, &copy));
	ASSERT_EQ(0, test_cmds_create(other, 64, &cmds));
	test_copy(&cmds, copy.va, info.va, 16);
	test_job_init(&job, &cmds);
	local = (struct test_bo) { .handle = handle };
	test_job_bo(&job, &local, DRM_IGRAD_BO_READ);
	test_job_bo(&job, &copy, DRM_IGRAD_BO_WRITE);
	EXPECT_EQ(0, test_run(other, queue, &job));
	EXPECT_STREQ("shared", (char *)copy.map);

	ASSERT_EQ(0, test_gem_close(other, handle));
	EXPECT_EQ(-ENOENT, get_info(other, handle, &info));
	close(other);
}

TEST_F(bo, bad_import)
{
	__u32 handle;

	EXPECT_EQ(-EBADF, test_import(self->fd, -1, &handle));
	EXPECT_EQ(-EINVAL, test_import(self->fd, 0, &handle));
	EXPECT_EQ(-ENOENT, test_export(self->fd, 4711));
}

TEST_HARNESS_MAIN
