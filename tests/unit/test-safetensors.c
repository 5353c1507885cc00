/* SPDX-License-Identifier: MIT */
/* Safetensors: round trips, the bytes on disk, and files that are not well formed. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "files.h"
#include "igrad/safetensors.h"

static char directory[] = "/tmp/igrad-safetensors-XXXXXX";
static char path[64];

static int setup(void **context)
{
	(void)context;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/file", directory);
	return 0;
}

static int teardown(void **context)
{
	(void)context;
	unlink(path);
	return rmdir(directory); /* fails if something was left behind */
}

static void put(const void *data, size_t size)
{
	file_put(path, data, size);
}

static size_t get(void *data, size_t room)
{
	return file_get(path, data, room);
}

/* A file of this header and so many bytes of data. */
static size_t put_parts(const char *header, size_t data_size)
{
	static uint8_t bytes[4096];
	uint64_t length = strlen(header);

	memset(bytes, 0, sizeof(bytes));
	for (int i = 0; i < 8; i++)
		bytes[i] = length >> 8 * i;
	memcpy(bytes + 8, header, length);
	put(bytes, 8 + length + data_size);
	return 8 + length + data_size;
}

static const float weights[6] = {1, -2, 3.5, 0, -0.0f, 1e-42f};
static const uint32_t steps[1] = {0xdeadbeef};

static const struct igrad_tensor tensors[] = {
	{"w", IGRAD_DTYPE_F32, 2, {2, 3}, weights},
	{"step", IGRAD_DTYPE_U32, 0, {0}, steps},
	{"empty", IGRAD_DTYPE_F32, 2, {0, 7}, NULL},
	{"b \"quoted\"/é", IGRAD_DTYPE_F32, 1, {6}, weights},
};
static const struct igrad_metadata notes[] = {{"seed", "1"}, {"made by", "a \"test\"\n"}};

/* ---------------------------------------------------------------- round trip */

static void what_is_saved_is_loaded(void **context)
{
	struct igrad_safetensors *file;
	struct igrad_error error;

	(void)context;
	if (igrad_safetensors_save(path, tensors, 4, notes, 2, &error))
		fail_msg("%s", error.message);
	if (igrad_safetensors_load(path, &file, &error))
		fail_msg("%s", error.message);
	assert_int_equal(igrad_safetensors_length(file), 4);
	for (int i = 0; i < 4; i++) {
		const struct igrad_tensor *tensor = igrad_safetensors_find(file, tensors[i].name);
		uint8_t data[24] = {0};

		assert_non_null(tensor);
		assert_int_equal(tensor->dtype, tensors[i].dtype);
		assert_int_equal(tensor->rank, tensors[i].rank);
		assert_memory_equal(tensor->shape, tensors[i].shape, sizeof(tensor->shape));
		assert_int_equal((uintptr_t)tensor->data % 4, 0);
		assert_int_equal(igrad_safetensors_get(file, &tensors[i], data, NULL), 0);
		if (tensors[i].data)
			assert_memory_equal(data, tensors[i].data, tensors[i].rank ? 24 : 4);
	}
	assert_string_equal(igrad_safetensors_metadata(file, "seed"), "1");
	assert_string_equal(igrad_safetensors_metadata(file, "made by"), "a \"test\"\n");
	assert_null(igrad_safetensors_metadata(file, "other"));
	assert_null(igrad_safetensors_find(file, "other"));
	assert_null(igrad_safetensors_find(file, "__metadata__"));
	assert_null(igrad_safetensors_at(file, 4));
	igrad_safetensors_unref(file);
}

static void the_bytes_are_defined(void **context)
{
	static const char header[] =
		"{\"__metadata__\":{\"a\":\"2\",\"b\":\"1\"},"
		"\"m\":{\"dtype\":\"U32\",\"shape\":[],\"data_offsets\":[0,4]},"
		"\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]}} ";
	static const struct igrad_metadata ab[] = {{"b", "1"}, {"a", "2"}};
	const struct igrad_tensor list[] = {
		{"w", IGRAD_DTYPE_F32, 2, {2, 3}, weights},
		{"m", IGRAD_DTYPE_U32, 0, {0}, steps},
	};
	uint8_t bytes[1024], again[1024];
	size_t size, length = (strlen(header) + 7) & ~7ul;

	(void)context;
	assert_int_equal(igrad_safetensors_save(path, list, 2, ab, 2, NULL), 0);
	size = get(bytes, sizeof(bytes));
	assert_int_equal(size, 8 + length + 28);
	assert_int_equal(bytes[0], length);
	assert_memory_equal(bytes + 8, header, strlen(header));
	for (size_t i = 8 + strlen(header); i < 8 + length; i++)
		assert_int_equal(bytes[i], ' ');
	assert_memory_equal(bytes + 8 + length, "\xef\xbe\xad\xde", 4);
	assert_memory_equal(bytes + 8 + length + 4, weights, 24);

	/* In any order. */
	const struct igrad_tensor swapped[] = {list[1], list[0]};
	const struct igrad_metadata ba[] = {ab[1], ab[0]};

	assert_int_equal(igrad_safetensors_save(path, swapped, 2, ba, 2, NULL), 0);
	assert_int_equal(get(again, sizeof(again)), size);
	assert_memory_equal(bytes, again, size);
}

static void nothing_is_a_file_too(void **context)
{
	struct igrad_safetensors *file;

	(void)context;
	assert_int_equal(igrad_safetensors_save(path, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(igrad_safetensors_load(path, &file, NULL), 0);
	assert_int_equal(igrad_safetensors_length(file), 0);
	assert_null(igrad_safetensors_metadata(file, "seed"));
	igrad_safetensors_unref(file);
}

/* ---------------------------------------------------------------- refusals */

static void expect_unsaved(const struct igrad_tensor *list, size_t num, const char *what)
{
	struct igrad_error error;

	assert_int_equal(igrad_safetensors_save(path, list, num, NULL, 0, &error), -EINVAL);
	if (!strstr(error.message, path) || !strstr(error.message, what))
		fail_msg("expected '%s', got: %s", what, error.message);
}

static void what_cannot_be_stored_is_refused(void **context)
{
	struct igrad_tensor list[] = {tensors[0], tensors[0]};
	const struct igrad_metadata twice[] = {{"k", "1"}, {"k", "2"}};
	struct igrad_error error;

	(void)context;
	expect_unsaved(list, 2, "two tensors named 'w'");
	list[1].name = "__metadata__";
	expect_unsaved(list, 2, "'__metadata__' cannot be stored");
	list[1].name = "v";
	list[1].rank = IGRAD_MAX_RANK + 1;
	expect_unsaved(list, 2, "'v' cannot be stored");
	list[1].rank = 2;
	list[1].shape[0] = list[1].shape[1] = 1ull << 32;
	expect_unsaved(list, 2, "'v' cannot be stored");
	assert_int_equal(igrad_safetensors_save(path, tensors, 4, twice, 2, &error), -EINVAL);
	assert_non_null(strstr(error.message, "'k'"));
}

static void a_failed_save_leaves_the_old_file(void **context)
{
	static float large[65536];
	const struct igrad_tensor list = {"w", IGRAD_DTYPE_F32, 1, {65536}, large};
	struct rlimit old, small;
	uint8_t before[1024], after[1024];
	struct igrad_error error;
	size_t size;

	(void)context;
	assert_int_equal(igrad_safetensors_save(path, tensors, 4, notes, 2, NULL), 0);
	size = get(before, sizeof(before));

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 65536;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(igrad_safetensors_save(path, &list, 1, NULL, 0, &error), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_non_null(strstr(error.message, "cannot be written: File too large"));
	assert_int_equal(get(after, sizeof(after)), size);
	assert_memory_equal(before, after, size);

	assert_int_equal(igrad_safetensors_save("/nonexistent/x", &list, 1, NULL, 0, &error),
			 -ENOENT);
	assert_non_null(strstr(error.message, "/nonexistent/x"));
}

/* rename() would put a file in the place of a device or a pipe. */
static void only_files_are_replaced(void **context)
{
	struct igrad_error error;
	struct stat status;

	(void)context;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(igrad_safetensors_save(path, tensors, 4, notes, 2, &error), -ENOTSUP);
	assert_non_null(strstr(error.message, "cannot be written: not a regular file"));
	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISFIFO(status.st_mode));
	assert_int_equal(unlink(path), 0);
}

/* Refused, with one of two explanations. */
static void expect_bad_or(const char *what, const char *other)
{
	struct igrad_safetensors *file;
	struct igrad_error error = {""};

	if (igrad_safetensors_load(path, &file, &error) != -EBADMSG)
		fail_msg("not refused: %s", what);
	assert_null(file);
	if (!strstr(error.message, path) ||
	    (!strstr(error.message, what) && !strstr(error.message, other)))
		fail_msg("expected '%s', got: %s", what, error.message);
}

static void expect_bad(const char *what)
{
	expect_bad_or(what, what);
}

#define T(name, dtype, shape, offsets)                                                           \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets \
	"]}"

static void malformed_headers_are_refused(void **context)
{
	static const struct {
		const char *header;
		size_t data;
		const char *what;
	} cases[] = {
		{"", 0, "not JSON"},
		{"{", 0, "not JSON"},
		{"{} x", 0, "not one JSON object"},
		{" {}", 0, "not one JSON object"},
		{"[]", 0, "not one JSON object"},
		{"null", 0, "not JSON"},
		{"{'a':1}", 0, "not JSON"},
		{"{\"\xff\":1}", 0, "not JSON"},
		{"{\"a\":[[[[[[[[]]]]]]]]}", 0, "not JSON"},
		{"{" T("a", "F32", "1", "0,4") "," T("a", "F32", "1", "0,4") "}", 4, "twice"},
		{"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
		 4, "twice"},
		{"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "twice"},
		{"{\"__metadata__\":{\"k\":1}}", 0, "metadata 'k' is not a string"},
		{"{\"__metadata__\":3}", 0, "__metadata__ is not an object"},
		{"{\"a\":3}", 0, "tensor 'a' does not have just"},
		{"{\"a\":null}", 0, "tensor 'a' does not have just"},
		{"{\"a\":{}}", 0, "tensor 'a' does not have just"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"offsets\":[0,4]}}", 4,
		 "does not have just"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4,
		 "does not have just"},
		{"{" T("a", "F16", "1", "0,2") "}", 2, "of type F16, not F32 or U32"},
		{"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "of type 7"},
		{"{\"a\":{\"dtype\":null,\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
		 "'a' is of type"},
		{"{" T("a", "F32", "-1", "0,4") "}", 4, "'a' has no proper shape"},
		{"{" T("a", "F32", "1.0", "0,4") "}", 4, "'a' has no proper shape"},
		{"{" T("a", "F32", "\"1\"", "0,4") "}", 4, "'a' has no proper shape"},
		{"{" T("a", "F32", "1,1,1,1,1,1,1,1,1", "0,4") "}", 4, "'a' has no proper shape"},
		{"{" T("a", "F32", "4294967296,4294967296", "0,4") "}", 4, "do not fit its shape"},
		{"{" T("a", "F32", "1", "0") "}", 4, "no proper data_offsets"},
		{"{" T("a", "F32", "1", "0,4,8") "}", 4, "no proper data_offsets"},
		{"{" T("a", "F32", "1", "4,0") "}", 4, "no proper data_offsets"},
		{"{" T("a", "F32", "1", "-4,0") "}", 4, "no proper data_offsets"},
		{"{" T("a", "F32", "1", "0,8") "}", 4, "truncated: tensor 'a' ends at byte 8 of 4"},
		{"{" T("a", "F32", "1", "0,9223372036854775806") "}", 4, "truncated"},
		{"{" T("a", "F32", "2", "0,4") "}", 4, "do not fit its shape"},
		{"{" T("a", "F32", "1", "1,5") "}", 5, "do not fit its shape"},
		{"{" T("a", "F32", "1", "4,8") "}", 8, "no tensor has bytes 0 to 4"},
		{"{" T("a", "F32", "1", "0,4") "," T("b", "F32", "1", "8,12") "}", 12,
		 "no tensor has bytes 4 to 8"},
		{"{" T("a", "F32", "2", "0,8") "," T("b", "F32", "2", "4,12") "}", 12,
		 "'a' and 'b' overlap"},
		{"{" T("a", "F32", "1", "0,4") "," T("b", "U32", "1", "0,4") "}", 4, "overlap"},
		{"{" T("a", "F32", "1", "0,4") "}", 7, "3 bytes behind the last tensor"},
	};

	(void)context;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_parts(cases[i].header, cases[i].data);
		expect_bad(cases[i].what);
	}
	/* A number beyond 64 bits is one that newer versions of json-c refuse themselves. */
	put_parts("{" T("a", "F32", "99999999999999999999", "0,4") "}", 4);
	expect_bad_or("'a' has no proper shape", "not JSON");
}

static void damaged_lengths_are_refused(void **context)
{
	uint8_t bytes[1024];
	size_t size;

	(void)context;
	assert_int_equal(igrad_safetensors_save(path, tensors, 4, notes, 2, NULL), 0);
	size = get(bytes, sizeof(bytes));
	for (size_t n = 0; n < size; n++) {
		put(bytes, n);
		expect_bad("truncated");
	}
	bytes[4] = 1;
	put(bytes, size);
	expect_bad("a header of 42949");
	memset(bytes, 0xff, 8);
	put(bytes, size);
	expect_bad("a header of 18446744073709551615 bytes");
}

/* Whatever a damaged file says, it is refused or read within its bounds. */
static void damaged_bytes_do_no_harm(void **context)
{
	uint8_t bytes[1024];
	size_t size;

	(void)context;
	assert_int_equal(igrad_safetensors_save(path, tensors, 4, notes, 2, NULL), 0);
	size = get(bytes, sizeof(bytes));
	for (int round = 0; round < 5000; round++) {
		struct igrad_safetensors *file;
		uint8_t copy[1024];
		uint8_t sum = 0;

		memcpy(copy, bytes, size);
		for (int i = rand() % 3; i >= 0; i--)
			copy[rand() % size] = rand() % 2 ? rand() : "{}[],:\"09 \\"[rand() % 11];
		put(copy, size);
		if (igrad_safetensors_load(path, &file, NULL))
			continue;
		for (size_t i = 0; i < igrad_safetensors_length(file); i++) {
			const struct igrad_tensor *tensor = igrad_safetensors_at(file, i);
			size_t bytes_of = 4;

			for (uint32_t d = 0; d < tensor->rank; d++)
				bytes_of *= tensor->shape[d];
			for (size_t b = 0; b < bytes_of; b++)
				sum += ((const uint8_t *)tensor->data)[b];
		}
		igrad_safetensors_unref(file);
		(void)sum;
	}
}

static void the_wrong_tensor_is_explained(void **context)
{
	struct igrad_tensor expected = tensors[0];
	struct igrad_safetensors *file;
	struct igrad_error error;
	float data[6];

	(void)context;
	assert_int_equal(igrad_safetensors_save(path, tensors, 4, NULL, 0, NULL), 0);
	assert_int_equal(igrad_safetensors_load(path, &file, NULL), 0);
	expected.shape[0] = 3;
	expected.shape[1] = 2;
	assert_int_equal(igrad_safetensors_get(file, &expected, data, &error), -EINVAL);
	assert_non_null(strstr(error.message, "'w' is F32[2×3] instead of F32[3×2]"));
	expected = tensors[0];
	expected.dtype = IGRAD_DTYPE_U32;
	assert_int_equal(igrad_safetensors_get(file, &expected, data, &error), -EINVAL);
	expected.name = "v";
	assert_int_equal(igrad_safetensors_get(file, &expected, data, &error), -ENOENT);
	assert_non_null(strstr(error.message, "has no tensor 'v'"));
	igrad_safetensors_unref(file);
}

static void files_that_cannot_be_read(void **context)
{
	struct igrad_safetensors *file;
	struct igrad_error error;

	(void)context;
	assert_int_equal(igrad_safetensors_load("/nonexistent", &file, &error), -ENOENT);
	assert_string_equal(error.message,
			    "/nonexistent: cannot be read: No such file or directory");
	assert_int_equal(igrad_safetensors_load("/tmp", &file, &error), -EBADMSG);
	assert_string_equal(error.message, "/tmp: not a regular file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_saved_is_loaded),
		cmocka_unit_test(the_bytes_are_defined),
		cmocka_unit_test(nothing_is_a_file_too),
		cmocka_unit_test(what_cannot_be_stored_is_refused),
		cmocka_unit_test(a_failed_save_leaves_the_old_file),
		cmocka_unit_test(only_files_are_replaced),
		cmocka_unit_test(malformed_headers_are_refused),
		cmocka_unit_test(damaged_lengths_are_refused),
		cmocka_unit_test(damaged_bytes_do_no_harm),
		cmocka_unit_test(the_wrong_tensor_is_explained),
		cmocka_unit_test(files_that_cannot_be_read),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("safetensors", tests, setup, teardown);
}
