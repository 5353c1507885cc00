/* SPDX-License-Identifier: MIT */
/* IDX files: arrays of bytes, as data sets of images and labels come; gzipped or plain. */
#ifndef IGRAD_IDX_H
#define IGRAD_IDX_H

#include "igrad/igrad.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IGRAD_IDX_MAX_RANK 4
#define IGRAD_IDX_MAX_SIZE (1ull << 30)

/**
 * struct igrad_idx - an array of bytes
 * @rank: dimensions
 * @dims: first the number of images or labels
 * @size: bytes, the product of @dims
 * @data: for igrad_idx_fini()
 */
struct igrad_idx {
	uint32_t rank;
	uint32_t dims[IGRAD_IDX_MAX_RANK];
	uint64_t size;
	uint8_t *data;
};

/**
 * igrad_idx_load - read a file
 * @rank: that it must have, e.g. 3 for images and 1 for labels; 0: any
 *
 * -EBADMSG when it is not an IDX file of bytes of that rank, or shorter or longer than its header
 * says. On failure there is nothing to free.
 */
int igrad_idx_load(const char *path, uint32_t rank, struct igrad_idx *idx,
		   struct igrad_error *error);
void igrad_idx_fini(struct igrad_idx *idx);

#ifdef __cplusplus
}
#endif

#endif /* IGRAD_IDX_H */
