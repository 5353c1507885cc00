/* SPDX-License-Identifier: MIT */
/* Which of the device nodes under /dev/accel are igrads. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xf86drm.h>

#include "backend.h"
#include "drm-nodes.h"

#define NODE_DIR  "/dev/accel"
#define SYSFS_DIR "/sys/class/accel"

static bool is_igrad(int fd)
{
	drmVersionPtr version = drmGetVersion(fd);
	bool igrad = version && version->name && !strcmp(version->name, "igrad");

	drmFreeVersion(version);
	return igrad;
}

int igrad_drm_node_open(const char *path, struct igrad_error *error)
{
	int fd;

	if (!*path)
		return igrad_fail(error, -EINVAL,
				  "drm: which node? A path is needed, as in "
				  "drm:/dev/accel/accel0");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		int err = -errno;

		if (err == -EACCES)
			return igrad_fail(error, err,
					  "drm: you may not open %.100s; on most "
					  "systems members of the group 'render' may",
					  path);
		return igrad_fail(error, err, "drm: cannot open %.100s: %s", path, strerror(-err));
	}
	if (!is_igrad(fd)) {
		close(fd);
		return igrad_fail(error, -ENODEV, "drm: %.100s is not an igrad device", path);
	}
	return fd;
}

static int is_node(const struct dirent *entry)
{
	return !strncmp(entry->d_name, "accel", 5) && entry->d_name[5] >= '0' &&
	       entry->d_name[5] <= '9' && strlen(entry->d_name) < 16;
}

/* Who drives a node that cannot be asked, because it may not be opened? */
static bool driven_by_igrad(const char *name)
{
	char link[64], target[256];
	const char *driver;
	ssize_t len;

	snprintf(link, sizeof(link), SYSFS_DIR "/%.16s/device/driver", name);
	len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	driver = strrchr(target, '/');
	return !strcmp(driver ? driver + 1 : target, "igrad");
}

/* One block: the array of pointers, then the strings. */
static char **new_list(int max)
{
	char **paths = malloc(max * (sizeof(*paths) + sizeof(NODE_DIR) + 32) + sizeof(*paths));

	return paths;
}

static int probe(const char *name, char *uri, struct igrad_error *error)
{
	int fd;

	sprintf(uri, "drm:" NODE_DIR "/%.16s", name);
	fd = igrad_drm_node_open(uri + strlen("drm:"), error);
	if (fd < 0)
		return fd == -EACCES && driven_by_igrad(name) ? -EACCES : 0;
	close(fd);
	return 1;
}

static int list_nodes(struct dirent **entries, int num, char **uris, struct igrad_error *error)
{
	char *text = (char *)(uris + num);
	int found = 0, denied = 0;

	for (int i = 0; i < num; i++) {
		struct igrad_error why;
		int ret = probe(entries[i]->d_name, text, &why);

		if (ret < 0) {
			denied = igrad_fail(error, ret, "%s", why.message);
		} else if (ret) {
			uris[found++] = text;
			text += strlen(text) + 1;
		}
	}
	return found ? found : denied;
}

int igrad_drm_list(char ***uris, struct igrad_error *error)
{
	struct dirent **entries;
	int num, ret;

	*uris = NULL;
	num = scandir(NODE_DIR, &entries, is_node, versionsort);
	if (num < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (num < 0) {
		ret = -errno;
		return igrad_fail(error, ret, "drm: cannot read " NODE_DIR ": %s", strerror(-ret));
	}
	*uris = new_list(num);
	ret = *uris ? list_nodes(entries, num, *uris, error)
		    : igrad_fail(error, -ENOMEM, "drm: out of memory");
	if (ret <= 0) {
		free(*uris);
		*uris = NULL;
	}
	while (num--)
		free(entries[num]);
	free(entries);
	return ret;
}
