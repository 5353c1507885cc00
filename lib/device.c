/* SPDX-License-Identifier: MIT */
/* Devices: which one a URI names, and their lifetime. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "conv-plan.h"
#include "planner.h"

void igrad_device_init(struct igrad_device *device, const struct igrad_backend *backend)
{
	atomic_init(&device->refs, 1);
	atomic_init(&device->planner, NULL);
	atomic_init(&device->conv_planner, NULL);
	device->backend = backend;
}

/* The first igrad of this machine, or else the one inside this process. */
static int open_default(struct igrad_device **device, struct igrad_error *error)
{
	char **uris;
	int n = igrad_drm_list(&uris, error);
	int ret;

	if (n < 0)
		return n;
	ret = n ? igrad_drm_open(uris[0] + 4, device, error) : igrad_sim_open("", device, error);
	free(uris);
	return ret;
}

int igrad_device_open(const char *uri, struct igrad_device **device, struct igrad_error *error)
{
	*device = NULL;
	if (error)
		error->message[0] = '\0';
	if (!uri)
		uri = getenv("IGRAD_DEVICE");
	if (!uri || !*uri)
		return open_default(device, error);
	if (!strncmp(uri, "sim:", 4))
		return igrad_sim_open(uri + 4, device, error);
	if (!strncmp(uri, "drm:", 4))
		return igrad_drm_open(uri + 4, device, error);
	return igrad_fail(error, -EINVAL,
			  "device '%.100s' is neither 'sim:…' nor 'drm:/dev/accel/accelN'", uri);
}

int igrad_device_list(char ***uris)
{
	return igrad_drm_list(uris, NULL);
}

struct igrad_device *igrad_device_ref(struct igrad_device *device)
{
	igrad_get(&device->refs);
	return device;
}

void igrad_device_unref(struct igrad_device *device)
{
	if (!device || !igrad_put(&device->refs))
		return;
	igrad_planner_free(atomic_load(&device->planner));
	igrad_conv_planner_free(atomic_load(&device->conv_planner));
	device->backend->device_free(device);
}

const struct igrad_device_info *igrad_device_info(const struct igrad_device *device)
{
	return &device->info;
}

const char *igrad_device_uri(const struct igrad_device *device)
{
	return device->uri;
}

int igrad_device_trace(struct igrad_device *device, igrad_trace_fn fn, void *opaque)
{
	if (!device->backend->device_trace)
		return -ENOTSUP;
	return device->backend->device_trace(device, fn, opaque);
}
