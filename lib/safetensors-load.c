/* SPDX-License-Identifier: MIT */
/* Reading safetensors. Nothing in a file is believed before it has been checked. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json.h>

#include "backend.h"
#include "safetensors.h"

#define MAX_DEPTH 4 /* header, tensor, array, number */

/* @header owns the names and the metadata */
struct igrad_safetensors {
	atomic_uint refs;
	char *path;
	struct json_object *header;
	uint32_t *data;
	uint64_t data_bytes;
	struct igrad_tensor *tensors;
	size_t num_tensors;
};

#define BAD(file, error, format, ...) \
	igrad_fail(error, -EBADMSG, "%.80s: " format, (file)->path, ##__VA_ARGS__)

/* ---------------------------------------------------------------- bytes */

static int read_bytes(int fd, void *data, uint64_t size)
{
	char *bytes = data;

	while (size) {
		ssize_t n = read(fd, bytes, size < (1u << 30) ? size : (1u << 30));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		if (n > 0) {
			bytes += n;
			size -= n;
		}
	}
	return 0;
}

static int read_failed(const struct igrad_safetensors *file, int err, struct igrad_error *error)
{
	return igrad_fail(error, err, "%.80s: cannot be read: %s", file->path,
			  err == -EBADMSG ? "it became shorter meanwhile" : strerror(-err));
}

/* The header's length, checked against the size that the file really has. */
static int read_length(struct igrad_safetensors *file, int fd, uint64_t *length,
		       struct igrad_error *error)
{
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return read_failed(file, -errno, error);
	if (!S_ISREG(st.st_mode))
		return BAD(file, error, "not a regular file");
	if ((uint64_t)st.st_size < sizeof(*length))
		return BAD(file, error, "truncated: too short for a safetensors file");
	ret = read_bytes(fd, length, sizeof(*length));
	if (ret)
		return read_failed(file, ret, error);
	*length = le64toh(*length);
	if (*length > MAX_HEADER)
		return BAD(file, error, "not a safetensors file: a header of %" PRIu64 " bytes",
			   *length);
	if (*length > (uint64_t)st.st_size - sizeof(*length))
		return BAD(file, error, "truncated: its header should have %" PRIu64 " bytes",
			   *length);
	file->data_bytes = st.st_size - sizeof(*length) - *length;
	return 0;
}

static int read_data(struct igrad_safetensors *file, int fd, struct igrad_error *error)
{
	int ret;

	file->data = malloc(file->data_bytes + 1);
	if (!file->data)
		return read_failed(file, -ENOMEM, error);
	ret = read_bytes(fd, file->data, file->data_bytes);
	if (ret)
		return read_failed(file, ret, error);
	for (uint64_t i = 0; i < file->data_bytes / ELEMENT_BYTES; i++)
		file->data[i] = le32toh(file->data[i]);
	return 0;
}

/* ---------------------------------------------------------------- the header's text */

/*
 * Counts the members of objects in text that the parser took: each has one colon outside of strings.
 * False for names in single quotes, which the parser lets pass.
 */
static bool count_colons(const char *text, size_t length, size_t *colons)
{
	bool string = false;

	*colons = 0;
	for (size_t i = 0; i < length; i++) {
		if (string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			string = !string;
		else if (text[i] == '\'' && !string)
			return false;
		else if (text[i] == ':' && !string)
			(*colons)++;
	}
	return true;
}

/* Members that are left in the header and in the objects in it. */
static size_t count_members(struct json_object *object)
{
	size_t members = json_object_object_length(object);

	json_object_object_foreach(object, key, value) {
		(void)key;
		if (json_object_is_type(value, json_type_object))
			members += count_members(value);
	}
	return members;
}

static bool only_spaces(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] != ' ')
			return false;
	return true;
}

static int parse_header(struct igrad_safetensors *file, const char *text, size_t length,
			struct igrad_error *error)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	enum json_tokener_error jerr;
	size_t end, colons;

	if (!tokener)
		return read_failed(file, -ENOMEM, error);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS |
						JSON_TOKENER_VALIDATE_UTF8);
	file->header = json_tokener_parse_ex(tokener, text, (int)length);
	jerr = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (jerr != json_tokener_success)
		return BAD(file, error, "its header is not JSON: %s",
			   jerr == json_tokener_continue ? "it ends early"
							 : json_tokener_error_desc(jerr));
	if (text[0] != '{' || !only_spaces(text + end, length - end))
		return BAD(file, error, "its header is not one JSON object");
	/* The parser lets the last of several members with one name win. */
	if (!count_colons(text, end, &colons))
		return BAD(file, error, "its header is not JSON: single quotes");
	if (colons != count_members(file->header))
		return BAD(file, error, "a name appears twice in its header");
	return 0;
}

static int read_header(struct igrad_safetensors *file, int fd, uint64_t length,
		       struct igrad_error *error)
{
	char *text = malloc(length + 1);
	int ret;

	if (!text)
		return read_failed(file, -ENOMEM, error);
	ret = read_bytes(fd, text, length);
	text[length] = '\0';
	ret = ret ? read_failed(file, ret, error) : parse_header(file, text, length, error);
	free(text);
	return ret;
}

/* ---------------------------------------------------------------- the header's meaning */

/* A non-negative integer; numbers beyond int64_t are clamped by the parser and never valid here. */
static bool get_number(struct json_object *array, size_t index, uint64_t *number)
{
	struct json_object *value = json_object_array_get_idx(array, index);

	if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0 ||
	    json_object_get_int64(value) == INT64_MAX)
		return false;
	*number = json_object_get_int64(value);
	return true;
}

static bool get_dtype(struct json_object *value, enum igrad_dtype *dtype)
{
	const char *name = json_object_get_string(value);

	for (int i = IGRAD_DTYPE_F32; i <= IGRAD_DTYPE_U32; i++) {
		if (name && !strcmp(name, dtype_name(i))) {
			*dtype = i;
			return true;
		}
	}
	return false;
}

static bool get_shape(struct json_object *array, struct igrad_tensor *tensor)
{
	if (!json_object_is_type(array, json_type_array) ||
	    json_object_array_length(array) > IGRAD_MAX_RANK)
		return false;
	tensor->rank = json_object_array_length(array);
	for (uint32_t i = 0; i < tensor->rank; i++)
		if (!get_number(array, i, &tensor->shape[i]))
			return false;
	return true;
}

static int get_data(struct igrad_safetensors *file, struct json_object *offsets,
		    struct igrad_tensor *tensor, struct igrad_error *error)
{
	uint64_t start, end, bytes;

	if (!json_object_is_type(offsets, json_type_array) ||
	    json_object_array_length(offsets) != 2 || !get_number(offsets, 0, &start) ||
	    !get_number(offsets, 1, &end) || start > end)
		return BAD(file, error, "tensor '%.60s' has no proper data_offsets", tensor->name);
	if (end > file->data_bytes)
		return BAD(file, error,
			   "truncated: tensor '%.60s' ends at byte %" PRIu64 " of %" PRIu64,
			   tensor->name, end, file->data_bytes);
	if (!tensor_bytes(tensor, &bytes) || end - start != bytes || start % ELEMENT_BYTES)
		return BAD(file, error, "the offsets of tensor '%.60s' do not fit its shape",
			   tensor->name);
	tensor->data = (const char *)file->data + start;
	return 0;
}

static int read_tensor(struct igrad_safetensors *file, const char *name,
		       struct json_object *object, struct igrad_error *error)
{
	struct igrad_tensor *tensor = &file->tensors[file->num_tensors++];
	struct json_object *dtype, *shape, *offsets;

	tensor->name = name;
	if (!json_object_is_type(object, json_type_object) ||
	    json_object_object_length(object) != 3 ||
	    !json_object_object_get_ex(object, "dtype", &dtype) ||
	    !json_object_object_get_ex(object, "shape", &shape) ||
	    !json_object_object_get_ex(object, "data_offsets", &offsets))
		return BAD(file, error,
			   "tensor '%.60s' does not have just dtype, shape and data_offsets", name);
	if (!json_object_is_type(dtype, json_type_string) || !get_dtype(dtype, &tensor->dtype))
		return BAD(file, error, "tensor '%.60s' is of type %.20s, not F32 or U32", name,
			   json_object_get_string(dtype));
	if (!get_shape(shape, tensor))
		return BAD(file, error, "tensor '%.60s' has no proper shape", name);
	return get_data(file, offsets, tensor, error);
}

static int check_metadata(struct igrad_safetensors *file, struct json_object *object,
			  struct igrad_error *error)
{
	if (!json_object_is_type(object, json_type_object))
		return BAD(file, error, METADATA_NAME " is not an object");
	json_object_object_foreach(object, key, value) {
		if (!json_object_is_type(value, json_type_string))
			return BAD(file, error, "metadata '%.60s' is not a string", key);
	}
	return 0;
}

static int by_data(const void *a, const void *b)
{
	const struct igrad_tensor *x = a, *y = b;
	uint64_t x_bytes, y_bytes;

	if (x->data != y->data)
		return x->data < y->data ? -1 : 1;
	/* Empty tensors come before what begins at the same place. */
	tensor_bytes(x, &x_bytes);
	tensor_bytes(y, &y_bytes);
	if (x_bytes != y_bytes)
		return x_bytes < y_bytes ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Every byte of data belongs to exactly one tensor. */
static int check_layout(struct igrad_safetensors *file, struct igrad_error *error)
{
	const char *data = (const char *)file->data;
	uint64_t end = 0, bytes;

	qsort(file->tensors, file->num_tensors, sizeof(*file->tensors), by_data);
	for (size_t i = 0; i < file->num_tensors; i++) {
		const struct igrad_tensor *tensor = &file->tensors[i];
		uint64_t start = (const char *)tensor->data - data;

		if (start < end)
			return BAD(file, error, "tensors '%.50s' and '%.50s' overlap",
				   file->tensors[i - 1].name, tensor->name);
		if (start > end)
			return BAD(file, error, "no tensor has bytes %" PRIu64 " to %" PRIu64, end,
				   start);
		tensor_bytes(tensor, &bytes);
		end = start + bytes;
	}
	if (end < file->data_bytes)
		return BAD(file, error, "%" PRIu64 " bytes behind the last tensor",
			   file->data_bytes - end);
	return 0;
}

static int read_tensors(struct igrad_safetensors *file, struct igrad_error *error)
{
	file->tensors = calloc(json_object_object_length(file->header) + 1,
			       sizeof(*file->tensors));
	if (!file->tensors)
		return read_failed(file, -ENOMEM, error);
	json_object_object_foreach(file->header, name, object) {
		int ret = strcmp(name, METADATA_NAME) ? read_tensor(file, name, object, error)
						      : check_metadata(file, object, error);

		if (ret)
			return ret;
	}
	return check_layout(file, error);
}

/* ---------------------------------------------------------------- interface */

static int load(struct igrad_safetensors *file, int fd, struct igrad_error *error)
{
	uint64_t length;
	int ret;

	ret = read_length(file, fd, &length, error);
	if (!ret)
		ret = read_header(file, fd, length, error);
	if (!ret)
		ret = read_data(file, fd, error);
	return ret ? ret : read_tensors(file, error);
}

int igrad_safetensors_load(const char *path, struct igrad_safetensors **file,
			   struct igrad_error *error)
{
	struct igrad_safetensors *new = calloc(1, sizeof(*new));
	int fd, ret;

	*file = NULL;
	if (new)
		new->path = strdup(path);
	if (!new || !new->path) {
		free(new);
		return igrad_fail(error, -ENOMEM, "%.80s: out of memory", path);
	}
	atomic_init(&new->refs, 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = read_failed(new, -errno, error);
	} else {
		ret = load(new, fd, error);
		close(fd);
	}
	if (ret)
		igrad_safetensors_unref(new);
	else
		*file = new;
	return ret;
}

struct igrad_safetensors *igrad_safetensors_ref(struct igrad_safetensors *file)
{
	igrad_get(&file->refs);
	return file;
}

void igrad_safetensors_unref(struct igrad_safetensors *file)
{
	if (!file || !igrad_put(&file->refs))
		return;
	json_object_put(file->header);
	free(file->tensors);
	free(file->data);
	free(file->path);
	free(file);
}

size_t igrad_safetensors_length(const struct igrad_safetensors *file)
{
	return file->num_tensors;
}

const struct igrad_tensor *igrad_safetensors_at(const struct igrad_safetensors *file,
						size_t index)
{
	return index < file->num_tensors ? &file->tensors[index] : NULL;
}

const struct igrad_tensor *igrad_safetensors_find(const struct igrad_safetensors *file,
						  const char *name)
{
	for (size_t i = 0; i < file->num_tensors; i++)
		if (!strcmp(file->tensors[i].name, name))
			return &file->tensors[i];
	return NULL;
}

const char *igrad_safetensors_metadata(const struct igrad_safetensors *file, const char *key)
{
	struct json_object *metadata, *value;

	if (!json_object_object_get_ex(file->header, METADATA_NAME, &metadata) ||
	    !json_object_object_get_ex(metadata, key, &value))
		return NULL;
	return json_object_get_string(value);
}

static void format_shape(const struct igrad_tensor *tensor, char *text, size_t size)
{
	size_t used = snprintf(text, size, "%s[", dtype_name(tensor->dtype));

	for (uint32_t i = 0; i < tensor->rank && used < size; i++)
		used += snprintf(text + used, size - used, "%s%" PRIu64, i ? "×" : "",
				 tensor->shape[i]);
	if (used < size)
		snprintf(text + used, size - used, "]");
}

int igrad_safetensors_get(const struct igrad_safetensors *file,
			  const struct igrad_tensor *expected, void *data,
			  struct igrad_error *error)
{
	const struct igrad_tensor *tensor = igrad_safetensors_find(file, expected->name);
	char has[48], wants[48];
	uint64_t bytes;

	if (!tensor)
		return igrad_fail(error, -ENOENT, "%.80s: has no tensor '%.60s'", file->path,
				  expected->name);
	if (tensor->dtype != expected->dtype || tensor->rank != expected->rank ||
	    memcmp(tensor->shape, expected->shape, tensor->rank * sizeof(*tensor->shape))) {
		format_shape(tensor, has, sizeof(has));
		format_shape(expected, wants, sizeof(wants));
		return igrad_fail(error, -EINVAL, "%.60s: tensor '%.40s' is %s instead of %s",
				  file->path, tensor->name, has, wants);
	}
	tensor_bytes(tensor, &bytes);
	memcpy(data, tensor->data, bytes);
	return 0;
}
