/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_ARRAY_H__
#define __IGRAD_ARRAY_H__

#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include <drm/igrad_accel.h>

/* Is this an array of at most @max elements that are worth looking at? */
static inline int igrad_array_check(const struct drm_igrad_array *array, u32 max)
{
	if (array->count > max || (array->count && !array->stride))
		return -EINVAL;
	/* A surplus has to be looked at: no more of it than anybody can need. */
	if (array->stride > PAGE_SIZE)
		return -E2BIG;

	return 0;
}

/* Copy element @index, cut or extended to the @size that this kernel knows. */
static inline int igrad_array_get(const struct drm_igrad_array *array, u32 index, void *element,
				  size_t size)
{
	u64 pointer = array->pointer + (u64)index * array->stride;

	return copy_struct_from_user(element, size, u64_to_user_ptr(pointer), array->stride);
}

#endif /* __IGRAD_ARRAY_H__ */
