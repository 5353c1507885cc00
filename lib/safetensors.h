/* SPDX-License-Identifier: MIT */
/* What saving and loading safetensors have in common. */
#ifndef IGRAD_LIB_SAFETENSORS_H
#define IGRAD_LIB_SAFETENSORS_H

#include "igrad/safetensors.h"

#define ELEMENT_BYTES	 4
#define METADATA_NAME	 "__metadata__"
#define MAX_HEADER	 100000000 /* what other readers accept */
#define HEADER_ALIGNMENT 8

static inline const char *dtype_name(enum igrad_dtype dtype)
{
	return dtype == IGRAD_DTYPE_F32 ? "F32" : "U32";
}

/* tensor_bytes - false if that number cannot be represented */
static inline bool tensor_bytes(const struct igrad_tensor *tensor, uint64_t *bytes)
{
	*bytes = ELEMENT_BYTES;
	for (uint32_t i = 0; i < tensor->rank; i++)
		if (__builtin_mul_overflow(*bytes, tensor->shape[i], bytes))
			return false;
	return *bytes <= INT64_MAX;
}

#endif /* IGRAD_LIB_SAFETENSORS_H */
