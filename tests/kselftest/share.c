// SPDX-License-Identifier: GPL-2.0
/* Buffers of others: of vgem, with fences that a test can signal, and of udmabuf. */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "igrad_test.h"
#include "root_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define SIZE (64u << 10)
#define WORDS 16

/* vgem's two ioctls; not every system has its header. */
struct vgem_attach {
	__u32 handle;
	__u32 flags;
	__u32 fence;
	__u32 pad;
};

struct vgem_signal {
	__u32 fence;
	__u32 flags;
};

#define VGEM_WRITE 1
#define VGEM_ATTACH DRM_IOWR(DRM_COMMAND_BASE + 1, struct vgem_attach)
#define VGEM_SIGNAL DRM_IOW(DRM_COMMAND_BASE + 2, struct vgem_signal)

FIXTURE(share)
{
	int fd, vgem;
	__u32 queue;
	struct test_bo data;
	char dir[PATH_MAX];
};

static int open_vgem(void)
{
	struct drm_version version;
	char name[16];
	unsigned int i;
	glob_t found;
	int fd = -1;

	if (glob("/dev/dri/card*", 0, NULL, &found))
		return -1;
	for (i = 0; fd < 0 && i < found.gl_pathc; i++) {
		fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
		memset(name, 0, sizeof(name));
		memset(&version, 0, sizeof(version));
		version.name = name;
		version.name_len = sizeof(name) - 1;
		if (fd >= 0 && (ioctl(fd, DRM_IOCTL_VERSION, &version) || strcmp(name, "vgem"))) {
			close(fd);
			fd = -1;
		}
	}
	globfree(&found);

	return fd;
}

FIXTURE_SETUP(share)
{
	ASSERT_EQ(0, root_device_dir(self->dir, sizeof(self->dir)));
	self->fd = root_open(self->dir);
	ASSERT_GE(self->fd, 0);
	self->queue = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, SIZE, &self->data));
	self->vgem = open_vgem();
}

FIXTURE_TEARDOWN(share)
{
	close(self->fd);
	if (self->vgem >= 0)
		close(self->vgem);
}

/* Make a dma-buf that somebody else has exported one of our buffers. */
static int import(FIXTURE_DATA(share) *self, int dmabuf, struct test_bo *bo)
{
	struct drm_igrad_bo_info info = { };
	int ret = test_import(self->fd, dmabuf, &info.handle);

	if (ret)
		return ret;
	ret = test_ioctl(self->fd, DRM_IOCTL_IGRAD_BO_INFO, &info);
	*bo = (struct test_bo) { .handle = info.handle, .size = info.size, .va = info.va };

	return ret;
}

struct vgem_bo {
	__u32 handle;
	int dmabuf;
	__u32 *map;
};

static int vgem_create(int fd, __u32 flags, struct vgem_bo *bo)
{
	struct drm_mode_create_dumb create = { .width = SIZE / 4, .height = 1, .bpp = 32 };
	struct drm_mode_map_dumb offset = { };
	struct drm_prime_handle prime = { .flags = flags };

	if (ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &create))
		return -errno;
	bo->handle = create.handle;
	offset.handle = create.handle;
	prime.handle = create.handle;
	if (ioctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &offset) ||
	    ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return -errno;
	bo->dmabuf = prime.fd;
	bo->map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset.offset);

	return bo->map == MAP_FAILED ? -errno : 0;
}

static int udmabuf_create(int mode, int *memfd, __u32 **map)
{
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = SIZE };
	int fd = open("/dev/udmabuf", mode | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	*memfd = memfd_create("igrad", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (*memfd < 0 || ftruncate(*memfd, SIZE) || fcntl(*memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		return -errno;
	*map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *memfd, 0);
	create.memfd = *memfd;
	ret = ioctl(fd, UDMABUF_CREATE, &create);
	ret = ret < 0 ? -errno : ret;
	close(fd);

	return ret;
}

static int copy(FIXTURE_DATA(share) *self, const struct test_bo *to, const struct test_bo *from)
{
	struct test_cmds cmds;
	struct test_job job;
	int ret = test_cmds_create(self->fd, 8, &cmds);

	if (ret)
		return ret;
	test_copy(&cmds, to->va, from->va, WORDS);
	test_job_init(&job, &cmds);
	test_job_bo(&job, to, DRM_IGRAD_BO_WRITE);
	test_job_bo(&job, from, DRM_IGRAD_BO_READ);
	ret = test_run(self->fd, self->queue, &job);
	test_bo_close(self->fd, &cmds.bo);

	return ret;
}

static void check_both_ways(struct __test_metadata *_metadata, FIXTURE_DATA(share) *self,
			    const struct test_bo *bo, __u32 *map)
{
	__u32 i, *data = self->data.map;

	EXPECT_EQ(SIZE, bo->size);
	for (i = 0; i < WORDS; i++)
		map[i] = 0x1000 + i;
	ASSERT_EQ(0, copy(self, &self->data, bo));
	for (i = 0; i < WORDS; i++) {
		EXPECT_EQ(0x1000 + i, data[i]);
		data[i] = 0x2000 + i;
	}
	ASSERT_EQ(0, copy(self, bo, &self->data));
	for (i = 0; i < WORDS; i++)
		EXPECT_EQ(0x2000 + i, map[i]);
}

TEST_F(share, vgem)
{
	struct vgem_bo theirs;
	struct test_bo ours;

	if (self->vgem < 0)
		SKIP(return, "no vgem");

	ASSERT_EQ(0, vgem_create(self->vgem, DRM_CLOEXEC | DRM_RDWR, &theirs));
	ASSERT_EQ(0, import(self, theirs.dmabuf, &ours));
	check_both_ways(_metadata, self, &ours, theirs.map);
	/* Whoever goes first. */
	close(theirs.dmabuf);
	close(self->vgem);
	self->vgem = -1;
	check_both_ways(_metadata, self, &ours, theirs.map);
	EXPECT_EQ(0, test_gem_close(self->fd, ours.handle));
}

/* What may not be written to through the descriptor may not be by the device either. */
TEST_F(share, read_only)
{
	struct vgem_bo theirs;
	struct test_bo ours;
	struct test_cmds cmds;
	struct test_job job;

	if (self->vgem < 0)
		SKIP(return, "no vgem");

	ASSERT_EQ(0, vgem_create(self->vgem, DRM_CLOEXEC, &theirs));
	ASSERT_EQ(0, import(self, theirs.dmabuf, &ours));
	theirs.map[0] = 77;
	EXPECT_EQ(0, copy(self, &self->data, &ours));
	EXPECT_EQ(77, *(__u32 *)self->data.map);
	EXPECT_EQ(-EINVAL, copy(self, &ours, &self->data));
	/* Not listed, or listed as something else, it is the device that refuses. */
	ASSERT_EQ(0, test_cmds_create(self->fd, 8, &cmds));
	test_copy(&cmds, ours.va, self->data.va, WORDS);
	test_job_init(&job, &cmds);
	test_job_bo(&job, &ours, DRM_IGRAD_BO_READ);
	theirs.map[0] = 78;
	EXPECT_EQ(-EFAULT, test_run(self->fd, self->queue, &job));
	EXPECT_EQ(78, theirs.map[0]);
}

TEST_F(share, export_to_vgem)
{
	struct drm_prime_handle prime = { };

	if (self->vgem < 0)
		SKIP(return, "no vgem");

	prime.fd = test_export(self->fd, self->data.handle);
	ASSERT_GE(prime.fd, 0);
	ASSERT_EQ(0, ioctl(self->vgem, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime));
	close(prime.fd);
	/* It keeps the memory when we have closed it. */
	ASSERT_EQ(0, test_gem_close(self->fd, self->data.handle));
	*(__u32 *)self->data.map = 5;
	EXPECT_EQ(5, *(__u32 *)self->data.map);
}

/* A job waits for what others write to a shared buffer. */
TEST_F(share, waits_for_others)
{
	struct vgem_attach attach = { .flags = VGEM_WRITE };
	struct vgem_signal signal = { };
	__u32 done = test_syncobj_create(self->fd);
	struct vgem_bo theirs;
	struct test_bo ours;
	struct test_cmds cmds;
	struct test_job job;

	if (self->vgem < 0)
		SKIP(return, "no vgem");

	ASSERT_EQ(0, vgem_create(self->vgem, DRM_CLOEXEC | DRM_RDWR, &theirs));
	ASSERT_EQ(0, import(self, theirs.dmabuf, &ours));
	attach.handle = theirs.handle;
	ASSERT_EQ(0, ioctl(self->vgem, VGEM_ATTACH, &attach));

	ASSERT_EQ(0, test_cmds_create(self->fd, 8, &cmds));
	test_copy(&cmds, self->data.va, ours.va, WORDS);
	test_job_init(&job, &cmds);
	test_job_bo(&job, &self->data, DRM_IGRAD_BO_WRITE);
	test_job_bo(&job, &ours, DRM_IGRAD_BO_READ);
	test_job_signal(&job, done, 0);
	ASSERT_EQ(0, test_submit(self->fd, self->queue, &job));
	usleep(200000);
	EXPECT_EQ(-EINPROGRESS, test_syncobj_status(self->fd, done));
	theirs.map[0] = 99;
	signal.fence = attach.fence;
	ASSERT_EQ(0, ioctl(self->vgem, VGEM_SIGNAL, &signal));
	ASSERT_EQ(0, test_syncobj_wait(self->fd, done, 0));
	EXPECT_EQ(0, test_syncobj_status(self->fd, done));
	EXPECT_EQ(99, *(__u32 *)self->data.map);
}

/* A job that hangs until the device is reset. */
static int submit_hang(FIXTURE_DATA(share) *self)
{
	struct test_cmds hang;
	struct test_job job;
	int ret = test_cmds_create(self->fd, 1, &hang);

	if (ret)
		return ret;
	test_nop(&hang, HANG_TAG);
	test_job_init(&job, &hang);

	return test_submit(self->fd, test_queue_create(self->fd), &job);
}

/* Others can wait for a job that writes to a shared buffer, and need not for one that reads it. */
TEST_F(share, others_wait)
{
	struct vgem_attach attach = { .flags = VGEM_WRITE };
	struct pollfd pfd = { };
	struct vgem_bo theirs;
	struct test_bo ours;
	struct test_cmds cmds;
	struct test_job job;

	if (self->vgem < 0)
		SKIP(return, "no vgem");

	close(self->fd);
	ASSERT_EQ(0, root_set_patience(self->dir, ROOT_PATIENCE_MAX_MS, ROOT_PATIENCE_MAX_MS));
	self->fd = root_open(self->dir);
	ASSERT_GE(self->fd, 0);
	self->queue = test_queue_create(self->fd);

	ASSERT_EQ(0, vgem_create(self->vgem, DRM_CLOEXEC | DRM_RDWR, &theirs));
	ASSERT_EQ(0, import(self, theirs.dmabuf, &ours));
	ASSERT_EQ(0, test_cmds_create(self->fd, 8, &cmds));
	test_fill(&cmds, 0, 1, 7);
	test_dma(&cmds, true, ours.va, 0, 1);
	test_job_init(&job, &cmds);
	test_job_bo(&job, &ours, RW);
	ASSERT_EQ(0, submit_hang(self));
	ASSERT_EQ(0, test_submit(self->fd, self->queue, &job));
	attach.handle = theirs.handle;
	EXPECT_EQ(-1, ioctl(self->vgem, VGEM_ATTACH, &attach));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, theirs.map[0]);

	ASSERT_EQ(0, root_function_level_reset(self->dir));
	pfd.fd = theirs.dmabuf;
	pfd.events = POLLIN;
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_SECONDS * 1000));
	EXPECT_EQ(7, theirs.map[0]);
}

TEST_F(share, udmabuf)
{
	struct test_bo ours;
	int memfd, dmabuf;
	__u32 *map;

	dmabuf = udmabuf_create(O_RDWR, &memfd, &map);
	if (dmabuf == -ENOENT)
		SKIP(return, "no udmabuf");
	ASSERT_GE(dmabuf, 0);
	ASSERT_EQ(0, import(self, dmabuf, &ours));
	check_both_ways(_metadata, self, &ours, map);
	close(dmabuf);
	close(memfd);
	check_both_ways(_metadata, self, &ours, map);
	EXPECT_EQ(0, test_gem_close(self->fd, ours.handle));
}

TEST_HARNESS_MAIN
