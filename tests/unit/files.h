/* SPDX-License-Identifier: MIT */
/* Whole files of tests, which fail where that is not possible. */
#ifndef FILES_H
#define FILES_H

#include <stddef.h>

void file_put(const char *path, const void *data, size_t size);
/* Returns how many bytes it has, @room at most. */
size_t file_get(const char *path, void *data, size_t room);

#endif /* FILES_H */
