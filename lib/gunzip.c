/* SPDX-License-Identifier: MIT */
/*
 * Reading files that may be gzipped. zlib's own gzread() does not tell a file whose sums are cut
 * off from a whole one when the data happens to fill its buffer; here the end is what inflate()
 * calls the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "backend.h"
#include "gunzip.h"

#define INPUT_SIZE (1u << 16)
#define MAX_PIECE  (1u << 30) /* zlib counts in unsigned int */
#define GZIP_ONLY  (16 + MAX_WBITS)
#define MAGIC	   "\x1f\x8b"
#define MAGIC_SIZE 2

/* @inside: gzip data has begun, and not come to its end */
struct igrad_gunzip {
	FILE *file;
	char *path;
	z_stream zlib;
	bool zipped;
	bool inside;
	uint8_t input[INPUT_SIZE];
};

/* More input, unless there is some; none left at the end of the file. */
static int fill(struct igrad_gunzip *file, struct igrad_error *error)
{
	if (file->zlib.avail_in)
		return 0;
	errno = 0;
	file->zlib.next_in = file->input;
	file->zlib.avail_in = fread(file->input, 1, INPUT_SIZE, file->file);
	if (ferror(file->file)) {
		int err = errno ? errno : EIO;

		return igrad_fail(error, -err, "%.160s: %s", file->path, strerror(err));
	}
	return 0;
}

int igrad_gunzip_open(const char *path, struct igrad_gunzip **file, struct igrad_error *error)
{
	struct igrad_gunzip *new = calloc(1, sizeof(*new));
	int err;

	*file = NULL;
	if (!new)
		return igrad_fail(error, -ENOMEM, "%.160s: out of memory", path);
	new->path = strdup(path);
	new->file = new->path ? fopen(path, "rbe") : NULL;
	if (!new->file) {
		err = new->path ? errno : ENOMEM;
		igrad_gunzip_close(new);
		return igrad_fail(error, -err, "%.160s: %s", path, strerror(err));
	}
	err = fill(new, error);
	new->zipped = new->zlib.avail_in >= MAGIC_SIZE && !memcmp(new->input, MAGIC, MAGIC_SIZE);
	if (!err && new->zipped && inflateInit2(&new->zlib, GZIP_ONLY) != Z_OK)
		err = igrad_fail(error, -ENOMEM, "%.160s: out of memory", path);
	if (err) {
		igrad_gunzip_close(new);
		return err;
	}
	*file = new;
	return 0;
}

void igrad_gunzip_close(struct igrad_gunzip *file)
{
	if (!file)
		return;
	if (file->zipped)
		inflateEnd(&file->zlib);
	if (file->file)
		fclose(file->file);
	free(file->path);
	free(file);
}

/* Gzip data may follow gzip data; anything else behind it is damage. */
static int unzip(struct igrad_gunzip *file, struct igrad_error *error)
{
	int ret;

	if (!file->inside && inflateReset(&file->zlib) != Z_OK)
		return igrad_fail(error, -EINVAL, "%.160s: zlib failed", file->path);
	file->inside = true;
	ret = inflate(&file->zlib, Z_NO_FLUSH);
	if (ret == Z_MEM_ERROR)
		return igrad_fail(error, -ENOMEM, "%.160s: out of memory", file->path);
	if (ret == Z_STREAM_END)
		file->inside = false;
	else if (ret != Z_OK && ret != Z_BUF_ERROR)
		return igrad_fail(error, -EBADMSG, "%.160s: damaged gzip data", file->path);
	return 0;
}

static void copy(z_stream *zlib)
{
	uint32_t n = zlib->avail_in < zlib->avail_out ? zlib->avail_in : zlib->avail_out;

	memcpy(zlib->next_out, zlib->next_in, n);
	zlib->next_in += n;
	zlib->avail_in -= n;
	zlib->next_out += n;
	zlib->avail_out -= n;
}

int64_t igrad_gunzip_read(struct igrad_gunzip *file, void *data, uint64_t size,
			  struct igrad_error *error)
{
	z_stream *zlib = &file->zlib;
	uint64_t done = 0;

	while (done < size) {
		uint32_t room = size - done < MAX_PIECE ? size - done : MAX_PIECE;
		int err = fill(file, error);

		if (err)
			return err;
		if (!zlib->avail_in && file->inside)
			return igrad_fail(error, -EBADMSG, "%.160s: truncated gzip data",
					  file->path);
		if (!zlib->avail_in)
			break;
		zlib->next_out = (uint8_t *)data + done;
		zlib->avail_out = room;
		if (!file->zipped)
			copy(zlib);
		else
			err = unzip(file, error);
		if (err)
			return err;
		done += room - zlib->avail_out;
	}
	return done;
}
