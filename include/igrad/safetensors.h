/* SPDX-License-Identifier: MIT */
/*
 * Named tensors in files: the safetensors format, with 32-bit elements.
 *
 * The same tensors and metadata always give the same bytes. A file is replaced as a whole or not at
 * all, and one that is not well formed is refused as a whole.
 */
#ifndef IGRAD_SAFETENSORS_H
#define IGRAD_SAFETENSORS_H

#include "igrad/igrad.h"

#ifdef __cplusplus
extern "C" {
#endif

enum igrad_dtype {
	IGRAD_DTYPE_F32,
	IGRAD_DTYPE_U32,
};

#define IGRAD_MAX_RANK 8

/**
 * struct igrad_tensor - a tensor
 * @name: anything but "__metadata__"
 * @rank: 0 … IGRAD_MAX_RANK; 0 is a single number
 * @data: row-major, in host byte order
 */
struct igrad_tensor {
	const char *name;
	enum igrad_dtype dtype;
	uint32_t rank;
	uint64_t shape[IGRAD_MAX_RANK];
	const void *data;
};

/** struct igrad_metadata - a note that is kept with the tensors */
struct igrad_metadata {
	const char *key;
	const char *value;
};

/**
 * igrad_safetensors_save - write or replace a file
 *
 * Order does not matter: both lists are sorted. -EINVAL: a name appears twice, or is not allowed;
 * -ENOTSUP: what is there is not a regular file.
 */
int igrad_safetensors_save(const char *path, const struct igrad_tensor *tensors, size_t num_tensors,
			   const struct igrad_metadata *metadata, size_t num_metadata,
			   struct igrad_error *error);

struct igrad_safetensors;

/** igrad_safetensors_load - read a file into memory; -EBADMSG when it is not well formed */
int igrad_safetensors_load(const char *path, struct igrad_safetensors **file,
			   struct igrad_error *error);
struct igrad_safetensors *igrad_safetensors_ref(struct igrad_safetensors *file);
void igrad_safetensors_unref(struct igrad_safetensors *file);

size_t igrad_safetensors_length(const struct igrad_safetensors *file);

/** igrad_safetensors_at - the tensors by increasing place in the file; owned by it */
const struct igrad_tensor *igrad_safetensors_at(const struct igrad_safetensors *file, size_t index);

/** igrad_safetensors_find - NULL if there is none of that name */
const struct igrad_tensor *igrad_safetensors_find(const struct igrad_safetensors *file,
						  const char *name);

/** igrad_safetensors_metadata - NULL if there is none of that key */
const char *igrad_safetensors_metadata(const struct igrad_safetensors *file, const char *key);

/**
 * igrad_safetensors_get - copy out the tensor that is expected
 * @expected: name, type and shape
 * @data: room for it
 *
 * -ENOENT when there is no tensor of that name, -EINVAL when it is of another type or shape.
 */
int igrad_safetensors_get(const struct igrad_safetensors *file, const struct igrad_tensor *expected,
			  void *data, struct igrad_error *error);

#ifdef __cplusplus
}
#endif

#endif /* IGRAD_SAFETENSORS_H */
