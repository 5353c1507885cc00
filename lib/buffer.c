/* SPDX-License-Identifier: MIT */
/* Buffers. */
#include <errno.h>

#include "backend.h"

int igrad_buffer_new(struct igrad_device *device, uint64_t size, struct igrad_buffer **buffer)
{
	const struct igrad_device_info *info = &device->info;
	int ret;

	*buffer = NULL;
	if (!size || size > info->va_end - info->va_start)
		return -EINVAL;
	ret = device->backend->buffer_new(device, size, buffer);
	if (ret)
		return ret;
	atomic_init(&(*buffer)->refs, 1);
	(*buffer)->device = igrad_device_ref(device);
	return 0;
}

struct igrad_buffer *igrad_buffer_ref(struct igrad_buffer *buffer)
{
	igrad_get(&buffer->refs);
	return buffer;
}

void igrad_buffer_unref(struct igrad_buffer *buffer)
{
	struct igrad_device *device;

	if (!buffer || !igrad_put(&buffer->refs))
		return;
	device = buffer->device;
	device->backend->buffer_free(buffer);
	igrad_device_unref(device);
}

void *igrad_buffer_map(struct igrad_buffer *buffer)
{
	return buffer->map;
}

uint64_t igrad_buffer_size(const struct igrad_buffer *buffer)
{
	return buffer->size;
}

uint64_t igrad_buffer_va(const struct igrad_buffer *buffer)
{
	return buffer->va;
}
