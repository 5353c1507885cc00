/* SPDX-License-Identifier: MIT */
/* Writing safetensors: a header in JSON, padded with spaces, then the tensors back to back. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json.h>

#include "backend.h"
#include "safetensors.h"

struct contents {
	struct igrad_tensor *tensors;
	size_t num_tensors;
	struct igrad_metadata *metadata;
	size_t num_metadata;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct igrad_tensor *)a)->name,
		      ((const struct igrad_tensor *)b)->name);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct igrad_metadata *)a)->key,
		      ((const struct igrad_metadata *)b)->key);
}

static void *copy_array(const void *from, size_t num, size_t size)
{
	void *copy = calloc(num + 1, size);

	if (copy && num)
		memcpy(copy, from, num * size);
	return copy;
}

static int sort(const char *path, struct contents *contents, struct igrad_error *error)
{
	struct igrad_tensor *tensors = contents->tensors;
	struct igrad_metadata *metadata = contents->metadata;
	uint64_t bytes;

	qsort(tensors, contents->num_tensors, sizeof(*tensors), by_name);
	qsort(metadata, contents->num_metadata, sizeof(*metadata), by_key);
	for (size_t i = 0; i < contents->num_tensors; i++) {
		if (i && !by_name(&tensors[i - 1], &tensors[i]))
			return igrad_fail(error, -EINVAL, "%.100s: two tensors named '%.60s'", path,
					  tensors[i].name);
		if (!strcmp(tensors[i].name, METADATA_NAME) || tensors[i].rank > IGRAD_MAX_RANK ||
		    !tensor_bytes(&tensors[i], &bytes))
			return igrad_fail(
				error, -EINVAL,
				"%.100s: tensor '%.60s' cannot be stored: bad name or shape", path,
				tensors[i].name);
	}
	for (size_t i = 1; i < contents->num_metadata; i++)
		if (!by_key(&metadata[i - 1], &metadata[i]))
			return igrad_fail(error, -EINVAL, "%.100s: two notes with key '%.60s'",
					  path, metadata[i].key);
	return 0;
}

/* ---------------------------------------------------------------- the header */

/* Adds @value, even if it is NULL for lack of memory: then nothing is added. */
static bool add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && !json_object_object_add(object, key, value))
		return true;
	json_object_put(value);
	return false;
}

static bool append(struct json_object *array, uint64_t number)
{
	struct json_object *value = json_object_new_int64((int64_t)number);

	if (value && !json_object_array_add(array, value))
		return true;
	json_object_put(value);
	return false;
}

static bool add_tensor(struct json_object *header, const struct igrad_tensor *tensor,
		       uint64_t *offset)
{
	struct json_object *object = json_object_new_object();
	struct json_object *shape = json_object_new_array();
	struct json_object *offsets = json_object_new_array();
	bool ok = add(header, tensor->name, object);
	uint64_t bytes;

	tensor_bytes(tensor, &bytes);
	for (uint32_t i = 0; ok && shape && i < tensor->rank; i++)
		ok = append(shape, tensor->shape[i]);
	ok = ok && offsets && append(offsets, *offset) && append(offsets, *offset + bytes);
	*offset += bytes;
	if (!ok) {
		json_object_put(shape);
		json_object_put(offsets);
		return false;
	}
	ok = add(object, "dtype", json_object_new_string(dtype_name(tensor->dtype)));
	ok = add(object, "shape", shape) && ok;
	return add(object, "data_offsets", offsets) && ok;
}

static bool add_metadata(struct json_object *header, const struct contents *contents)
{
	struct json_object *object;

	if (!contents->num_metadata)
		return true;
	object = json_object_new_object();
	if (!add(header, METADATA_NAME, object))
		return false;
	for (size_t i = 0; i < contents->num_metadata; i++)
		if (!add(object, contents->metadata[i].key,
			 json_object_new_string(contents->metadata[i].value)))
			return false;
	return true;
}

static struct json_object *make_header(const struct contents *contents)
{
	struct json_object *header = json_object_new_object();
	uint64_t offset = 0;
	bool ok = header && add_metadata(header, contents);

	for (size_t i = 0; ok && i < contents->num_tensors; i++)
		ok = add_tensor(header, &contents->tensors[i], &offset);
	if (ok)
		return header;
	json_object_put(header);
	return NULL;
}

/* ---------------------------------------------------------------- the file */

static int write_bytes(int fd, const void *data, uint64_t size)
{
	const char *bytes = data;

	while (size) {
		ssize_t n = write(fd, bytes, size < (1u << 30) ? size : (1u << 30));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			size -= n;
		}
	}
	return 0;
}

/*
 * Through a copy: it has the file's byte order, and a file system that hands pages on instead of
 * copying them, as 9p does, cannot do that with pages of a device's buffer.
 */
static int write_words(int fd, const uint32_t *words, uint64_t num)
{
	uint32_t part[4096];

	while (num) {
		uint64_t n = num < 4096 ? num : 4096;
		int ret;

		for (uint64_t i = 0; i < n; i++)
			part[i] = htole32(words[i]);
		ret = write_bytes(fd, part, n * ELEMENT_BYTES);
		if (ret)
			return ret;
		words += n;
		num -= n;
	}
	return 0;
}

static int write_contents(int fd, struct json_object *header, const struct contents *contents)
{
	const char *text = json_object_to_json_string_ext(
		header, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t length = text ? strlen(text) : 0;
	size_t padding = -length % HEADER_ALIGNMENT;
	uint64_t stored = htole64(length + padding), bytes;
	int ret;

	if (!text)
		return -ENOMEM;
	if (length + padding > MAX_HEADER)
		return -EFBIG;
	ret = write_bytes(fd, &stored, sizeof(stored));
	if (!ret)
		ret = write_bytes(fd, text, length);
	if (!ret)
		ret = write_bytes(fd, "        ", padding);
	for (size_t i = 0; !ret && i < contents->num_tensors; i++) {
		tensor_bytes(&contents->tensors[i], &bytes);
		ret = write_words(fd, contents->tensors[i].data, bytes / ELEMENT_BYTES);
	}
	return ret;
}

/* A new file beside @path: what is left behind by a crash is not taken for the real one. */
static int create_beside(const char *path, char **name)
{
	int fd = -1;

	for (int attempt = 0; attempt < 1000; attempt++) {
		if (asprintf(name, "%s.%ld-%d.tmp", path, (long)getpid(), attempt) < 0)
			return -ENOMEM;
		fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0)
			return fd;
		fd = -errno;
		free(*name);
		if (fd != -EEXIST)
			break;
	}
	return fd;
}

/* A rename survives a crash once the directory has been written; some file systems cannot do it. */
static void sync_directory(const char *path)
{
	char *directory = strdup(path), *slash;
	int fd;

	if (!directory)
		return;
	slash = strrchr(directory, '/');
	if (slash)
		slash[1] = '\0';
	fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(directory);
}

/* A device or a pipe cannot be replaced by a file, though root's rename() would do it. */
static bool replaceable(const char *path)
{
	struct stat status;

	return stat(path, &status) || S_ISREG(status.st_mode);
}

static int replace_file(const char *path, struct json_object *header,
			const struct contents *contents)
{
	char *name;
	int fd, ret;

	if (!replaceable(path))
		return -ENOTSUP;
	fd = create_beside(path, &name);
	if (fd < 0)
		return fd;
	ret = write_contents(fd, header, contents);
	if (!ret && fsync(fd))
		ret = -errno;
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && rename(name, path))
		ret = -errno;
	if (ret)
		unlink(name);
	else
		sync_directory(path);
	free(name);
	return ret;
}

int igrad_safetensors_save(const char *path, const struct igrad_tensor *tensors, size_t num_tensors,
			   const struct igrad_metadata *metadata, size_t num_metadata,
			   struct igrad_error *error)
{
	struct contents contents = {
		.tensors = copy_array(tensors, num_tensors, sizeof(*tensors)),
		.num_tensors = num_tensors,
		.metadata = copy_array(metadata, num_metadata, sizeof(*metadata)),
		.num_metadata = num_metadata,
	};
	struct json_object *header = NULL;
	int ret = -ENOMEM;

	if (contents.tensors && contents.metadata)
		ret = sort(path, &contents, error);
	if (ret != -EINVAL) {
		header = ret ? NULL : make_header(&contents);
		ret = header ? replace_file(path, header, &contents) : -ENOMEM;
		if (ret)
			igrad_fail(error, ret, "%.160s: cannot be written: %s", path,
				   ret == -ENOTSUP ? "not a regular file" : strerror(-ret));
	}
	json_object_put(header);
	free(contents.tensors);
	free(contents.metadata);
	return ret;
}
