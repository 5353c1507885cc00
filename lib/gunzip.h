/* SPDX-License-Identifier: MIT */
/* Reading files that may be gzipped. Internal. */
#ifndef IGRAD_GUNZIP_H
#define IGRAD_GUNZIP_H

#include "igrad/igrad.h"

struct igrad_gunzip;

/** igrad_gunzip_open - open a file, gzipped or plain; its first bytes tell which */
int igrad_gunzip_open(const char *path, struct igrad_gunzip **file, struct igrad_error *error);
void igrad_gunzip_close(struct igrad_gunzip *file);

/**
 * igrad_gunzip_read - read @size bytes, or as many as there are
 *
 * Returns how many. Fewer than @size: the file ends there, and the sums at the end of gzip data
 * were there and right. -EBADMSG when they are not, or the data is damaged.
 */
int64_t igrad_gunzip_read(struct igrad_gunzip *file, void *data, uint64_t size,
			  struct igrad_error *error);

#endif /* IGRAD_GUNZIP_H */
