// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that go away while they are used, orderly or not: everybody gets an answer, nobody is
 * killed, and one that is plugged in again works.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "igrad_test.h"
#include "root_test.h"

#define RW (DRM_IGRAD_BO_READ | DRM_IGRAD_BO_WRITE)
#define BEHIND 40
#define BIG (4u << 20)
#define PCI_COMMAND 4

FIXTURE(unplug)
{
	int fd, dmabuf;
	__u32 first, second;
	struct test_bo data, big;
	struct test_cmds hang, increment;
	int fences[1 + BEHIND];
	char dir[PATH_MAX];
};

static int fence_fd(int fd, __u32 syncobj)
{
	struct drm_syncobj_handle args = {
		.handle = syncobj,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
		.fd = -1,
	};
	int ret = test_ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args);

	return ret ? ret : args.fd;
}

/* How a job ended: of the device's own ioctls none tells any more. */
static int fence_result(int fence)
{
	struct pollfd pfd = { .fd = fence, .events = POLLIN };
	struct sync_fence_info info = { };
	struct sync_file_info file = { .num_fences = 1, .sync_fence_info = (uintptr_t)&info };

	if (poll(&pfd, 1, WAIT_SECONDS * 1000) != 1)
		return -EINPROGRESS;
	if (ioctl(fence, SYNC_IOC_FILE_INFO, &file))
		return -errno;

	return file.status < 0 ? file.status : 0;
}

static int submit(FIXTURE_DATA(unplug) *self, __u32 queue, const struct test_cmds *cmds)
{
	__u32 syncobj = test_syncobj_create(self->fd);
	struct test_job job;
	int ret;

	test_job_init(&job, cmds);
	test_job_bo(&job, &self->data, RW);
	test_job_signal(&job, syncobj, 0);
	ret = test_submit(self->fd, queue, &job);

	return ret ? ret : fence_fd(self->fd, syncobj);
}

FIXTURE_SETUP(unplug)
{
	unsigned int i;

	ASSERT_EQ(0, root_device_dir(self->dir, sizeof(self->dir)));
	/* What hangs does so until the device goes, however long that takes. */
	ASSERT_EQ(0, root_set_patience(self->dir, ROOT_PATIENCE_MAX_MS, ROOT_PATIENCE_MAX_MS));
	self->fd = root_open(self->dir);
	ASSERT_GE(self->fd, 0);
	self->first = test_queue_create(self->fd);
	self->second = test_queue_create(self->fd);
	ASSERT_EQ(0, test_bo_create(self->fd, 4096, &self->data));
	ASSERT_EQ(0, test_bo_create(self->fd, BIG, &self->big));
	self->dmabuf = test_export(self->fd, self->big.handle);
	ASSERT_GE(self->dmabuf, 0);
	ASSERT_EQ(0, test_cmds_create(self->fd, 4, &self->hang));
	ASSERT_EQ(0, test_cmds_create(self->fd, 64, &self->increment));
	/* Half of it is touched before, half of it after. */
	memset(self->big.map, 1, BIG / 2);
	test_nop(&self->hang, HANG_TAG);
	test_increment(&self->increment, self->data.va, 1);

	self->fences[0] = submit(self, self->first, &self->hang);
	ASSERT_GE(self->fences[0], 0);
	for (i = 1; i <= BEHIND; i++) {
		self->fences[i] = submit(self, self->second, &self->increment);
		ASSERT_GE(self->fences[i], 0);
	}
}

FIXTURE_TEARDOWN(unplug)
{
	close(self->fd);
}

/* What holds for a file whose device has gone, however it went. */
static void check_gone(struct __test_metadata *_metadata, FIXTURE_DATA(unplug) *self, int error)
{
	struct test_job job;
	__u32 handle;
	char *map;
	int i;

	EXPECT_EQ(error, fence_result(self->fences[0]));
	for (i = 1; i <= BEHIND; i++) {
		EXPECT_EQ(-ENODEV, fence_result(self->fences[i])) {
			TH_LOG("job %d", i);
		}
		close(self->fences[i]);
	}

	/* Maps stay, with what was in them, and pages that were never touched can be. */
	map = self->big.map;
	EXPECT_EQ(1, map[0]);
	EXPECT_EQ(0, map[BIG - 1]);
	map[BIG - 1] = 7;
	EXPECT_EQ(7, map[BIG - 1]);

	test_job_init(&job, &self->increment);
	EXPECT_EQ(-ENODEV, test_submit(self->fd, self->second, &job));
	EXPECT_EQ(-ENODEV, test_queue_create(self->fd));
	EXPECT_EQ(-ENODEV, test_gem_close(self->fd, self->data.handle));
	EXPECT_EQ(-ENODEV, test_import(self->fd, self->dmabuf, &handle));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd,
				   self->data.mmap_offset));
	EXPECT_EQ(ENODEV, errno);

	/* Others may have the memory for as long as they like. */
	map = mmap(NULL, BIG, PROT_READ, MAP_SHARED, self->dmabuf, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(7, map[BIG - 1]);
	munmap(map, BIG);

	munmap(self->data.map, self->data.size);
	munmap(self->big.map, self->big.size);
	munmap(self->hang.bo.map, self->hang.bo.size);
	munmap(self->increment.bo.map, self->increment.bo.size);
	close(self->dmabuf);
}

/* A device there is again, and it is as good as new. */
static void check_back(struct __test_metadata *_metadata, FIXTURE_DATA(unplug) *self)
{
	struct test_cmds increment;
	struct test_job job;
	struct test_bo data;
	int fd, queue;

	fd = root_open(self->dir);
	ASSERT_GE(fd, 0);
	queue = test_queue_create(fd);
	ASSERT_GE(queue, 1);
	ASSERT_EQ(0, test_bo_create(fd, 4096, &data));
	ASSERT_EQ(0, test_cmds_create(fd, 64, &increment));
	test_increment(&increment, data.va, 1);
	test_job_init(&job, &increment);
	test_job_bo(&job, &data, RW);
	EXPECT_EQ(0, test_run(fd, queue, &job));
	EXPECT_EQ(1.0f, *(float *)data.map);
	test_bo_close(fd, &data);
	test_bo_close(fd, &increment.bo);
	close(fd);
}

static const char *name_of(const char *dir)
{
	return strrchr(dir, '/') + 1;
}

TEST_F(unplug, unbind)
{
	ASSERT_EQ(0, root_write("/sys/bus/pci/drivers/igrad/unbind", name_of(self->dir)));
	check_gone(_metadata, self, -ENODEV);
	close(self->fd);
	ASSERT_EQ(0, root_write("/sys/bus/pci/drivers/igrad/bind", name_of(self->dir)));
	check_back(_metadata, self);
}

/* Bound again while the old files are still open. */
TEST_F(unplug, unbind_and_bind)
{
	ASSERT_EQ(0, root_write("/sys/bus/pci/drivers/igrad/unbind", name_of(self->dir)));
	ASSERT_EQ(0, root_write("/sys/bus/pci/drivers/igrad/bind", name_of(self->dir)));
	check_back(_metadata, self);
	check_gone(_metadata, self, -ENODEV);
	close(self->fd);
	check_back(_metadata, self);
}

TEST_F(unplug, remove_and_rescan)
{
	ASSERT_EQ(0, root_write_in(self->dir, "remove", "1"));
	check_gone(_metadata, self, -ENODEV);
	close(self->fd);
	ASSERT_EQ(0, root_write("/sys/bus/pci/rescan", "1"));
	check_back(_metadata, self);
}

static int plug(void)
{
	static const char igrad[] = "\"driver\":\"igrad\",\"id\":\"igrad0\",\"bus\":\"port0\"";
	char command[200];

	snprintf(command, sizeof(command),
		 "{\"execute\":\"device_add\",\"arguments\":{%s,\"x-hang-tag\":%u}}", igrad,
		 HANG_TAG);

	return root_qmp(command);
}

TEST_F(unplug, device_is_pulled)
{
	if (!root_has_qmp())
		SKIP(return, "no way to the machine's monitor");

	ASSERT_EQ(0, root_qmp("{\"execute\":\"device_del\",\"arguments\":{\"id\":\"igrad0\"}}"));
	ASSERT_EQ(0, root_qmp_wait("DEVICE_DELETED"));
	EXPECT_FALSE(root_exists(self->dir));
	check_gone(_metadata, self, -ENODEV);
	close(self->fd);
	ASSERT_EQ(0, plug());
	check_back(_metadata, self);
}

/*
 * The registers stop answering first, for the port before them passes nothing on any more. What ran
 * has failed by the time that the device is removed.
 */
TEST_F(unplug, device_dies_and_is_removed)
{
	char port[PATH_MAX];
	__u16 command, dead;
	int result;

	strcpy(port, self->dir);
	*strrchr(port, '/') = 0;
	ASSERT_EQ(0, root_config_read(port, PCI_COMMAND, &command, sizeof(command)));
	dead = command & ~2;
	ASSERT_EQ(0, root_config_write(port, PCI_COMMAND, &dead, sizeof(dead)));
	result = fence_result(self->fences[0]);
	/* A device that is beyond recovery takes no job, whoever asks. */
	EXPECT_EQ(-EIO, fence_result(self->fences[BEHIND]));
	EXPECT_EQ(-EIO, submit(self, self->second, &self->increment));

	ASSERT_EQ(0, root_write_in(self->dir, "remove", "1"));
	EXPECT_EQ(-EIO, result);
	close(self->fd);
	ASSERT_EQ(0, root_config_write(port, PCI_COMMAND, &command, sizeof(command)));
	munmap(self->data.map, self->data.size);
	munmap(self->big.map, self->big.size);
	munmap(self->hang.bo.map, self->hang.bo.size);
	munmap(self->increment.bo.map, self->increment.bo.size);
	close(self->dmabuf);
	ASSERT_EQ(0, root_write("/sys/bus/pci/rescan", "1"));
	check_back(_metadata, self);
}

/* The process is killed while its device is being taken away. */
TEST_F(unplug, killed_meanwhile)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		struct test_bo bo;

		for (;;) {
			if (test_bo_create(self->fd, 65536, &bo))
				pause();
			test_bo_close(self->fd, &bo);
		}
	}
	usleep(100000);
	ASSERT_EQ(0, root_write("/sys/bus/pci/drivers/igrad/unbind", name_of(self->dir)));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	check_gone(_metadata, self, -ENODEV);
	close(self->fd);
	ASSERT_EQ(0, root_write("/sys/bus/pci/drivers/igrad/bind", name_of(self->dir)));
	check_back(_metadata, self);
}

TEST_HARNESS_MAIN
