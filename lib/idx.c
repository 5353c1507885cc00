/* SPDX-License-Identifier: MIT */
/* IDX files. */
#include <errno.h>
#include <stdlib.h>

#include "backend.h"
#include "gunzip.h"
#include "igrad/idx.h"

#define TYPE_UBYTE  0x08
#define FIRST_CHUNK (1u << 20)

static int bad(struct igrad_error *error, const char *path, const char *what)
{
	return igrad_fail(error, -EBADMSG, "%.160s: %s", path, what);
}

static int truncated(struct igrad_error *error, const char *path, uint64_t has, uint64_t wants)
{
	return igrad_fail(error, -EBADMSG,
			  "%.120s: truncated: %llu bytes of data, but its header says %llu", path,
			  (unsigned long long)has, (unsigned long long)wants);
}

static int read_header(struct igrad_gunzip *file, const char *path, uint32_t rank,
		       struct igrad_idx *idx, struct igrad_error *error)
{
	uint8_t bytes[4 * IGRAD_IDX_MAX_RANK];
	int64_t n;

	n = igrad_gunzip_read(file, bytes, 4, error);
	if (n < 0)
		return n;
	if (n < 4 || bytes[0] || bytes[1] || !bytes[3])
		return bad(error, path, "not an IDX file");
	if (bytes[2] != TYPE_UBYTE)
		return bad(error, path, "an IDX file, but not one of bytes");
	idx->rank = bytes[3];
	if (idx->rank > IGRAD_IDX_MAX_RANK || (rank && idx->rank != rank))
		return igrad_fail(error, -EBADMSG, "%.120s: has %u dimensions instead of %u", path,
				  idx->rank, rank ? rank : IGRAD_IDX_MAX_RANK);

	n = igrad_gunzip_read(file, bytes, 4 * idx->rank, error);
	if (n < 0)
		return n;
	if (n < 4 * (int64_t)idx->rank)
		return bad(error, path, "truncated inside its header");
	for (uint32_t i = 0; i < idx->rank; i++)
		idx->dims[i] = (uint32_t)bytes[4 * i] << 24 | bytes[4 * i + 1] << 16 |
			       bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
	return 0;
}

static int compute_size(const char *path, struct igrad_idx *idx, struct igrad_error *error)
{
	idx->size = 1;
	for (uint32_t i = 0; i < idx->rank; i++) {
		if (!idx->dims[i])
			return bad(error, path, "has a dimension of zero");
		idx->size *= idx->dims[i];
		if (idx->size > IGRAD_IDX_MAX_SIZE)
			return bad(error, path, "its header asks for more than 1 GiB");
	}
	return 0;
}

/*
 * Memory grows with what has really been read: a header can promise anything. The last read asks
 * for one byte more than there should be: only then is the end of the file looked at, and the sum
 * over its data.
 */
static int read_data(struct igrad_gunzip *file, const char *path, struct igrad_idx *idx,
		     struct igrad_error *error)
{
	uint64_t done = 0, room = 0;

	while (done == room) {
		uint8_t *grown;
		int64_t n;

		room = room ? 2 * room : FIRST_CHUNK;
		if (room + FIRST_CHUNK > idx->size)
			room = idx->size + 1;
		grown = realloc(idx->data, room);
		if (!grown)
			return igrad_fail(error, -ENOMEM, "%.160s: out of memory", path);
		idx->data = grown;
		n = igrad_gunzip_read(file, idx->data + done, room - done, error);
		if (n < 0)
			return n;
		done += n;
		if (done > idx->size)
			return bad(error, path, "longer than its header says");
	}
	if (done < idx->size)
		return truncated(error, path, done, idx->size);
	return 0;
}

int igrad_idx_load(const char *path, uint32_t rank, struct igrad_idx *idx,
		   struct igrad_error *error)
{
	struct igrad_gunzip *file;
	int ret;

	*idx = (struct igrad_idx){0};
	ret = igrad_gunzip_open(path, &file, error);
	if (ret)
		return ret;
	ret = read_header(file, path, rank, idx, error);
	if (!ret)
		ret = compute_size(path, idx, error);
	if (!ret)
		ret = read_data(file, path, idx, error);
	igrad_gunzip_close(file);
	if (ret)
		igrad_idx_fini(idx);
	return ret;
}

void igrad_idx_fini(struct igrad_idx *idx)
{
	free(idx->data);
	*idx = (struct igrad_idx){0};
}
