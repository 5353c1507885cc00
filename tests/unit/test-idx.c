/* SPDX-License-Identifier: MIT */
/* IDX files, whole and damaged. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "files.h"
#include "igrad/idx.h"

#define IMAGES 5
#define SIDE   7
#define SIZE   (16 + IMAGES * SIDE * SIDE)

static char path[] = "/tmp/igrad-idx-XXXXXX";
static uint8_t good[SIZE + 1] = {0, 0, 8, 3, 0, 0, 0, IMAGES, 0, 0, 0, SIDE, 0, 0, 0, SIDE};

static int setup(void **context)
{
	int fd = mkstemp(path);

	(void)context;
	for (int i = 16; i < SIZE; i++)
		good[i] = i * 31;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **context)
{
	(void)context;
	return unlink(path);
}

static void put(const void *data, size_t size)
{
	file_put(path, data, size);
}

static void put_gzipped(const void *data, size_t size)
{
	gzFile file = gzopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(gzwrite(file, data, size), size);
	assert_int_equal(gzclose(file), Z_OK);
}

static size_t get(uint8_t *data, size_t room)
{
	return file_get(path, data, room);
}

static void expect_good(uint32_t rank)
{
	struct igrad_error error;
	struct igrad_idx idx;

	if (igrad_idx_load(path, rank, &idx, &error))
		fail_msg("%s", error.message);
	assert_int_equal(idx.rank, 3);
	assert_int_equal(idx.dims[0], IMAGES);
	assert_int_equal(idx.dims[1], SIDE);
	assert_int_equal(idx.dims[2], SIDE);
	assert_int_equal(idx.size, SIZE - 16);
	assert_memory_equal(idx.data, good + 16, SIZE - 16);
	igrad_idx_fini(&idx);
	assert_null(idx.data);
}

/* The sentence names the file and @what. */
static void expect_bad(uint32_t rank, const char *what)
{
	struct igrad_error error = {""};
	struct igrad_idx idx;

	assert_int_equal(igrad_idx_load(path, rank, &idx, &error), -EBADMSG);
	assert_null(idx.data);
	if (!strstr(error.message, path) || !strstr(error.message, what))
		fail_msg("expected '%s', got: %s", what, error.message);
	assert_int_equal(igrad_idx_load(path, rank, &idx, NULL), -EBADMSG);
}

static void plain_and_gzipped_files_are_read(void **context)
{
	(void)context;
	put(good, SIZE);
	expect_good(3);
	expect_good(0);
	put_gzipped(good, SIZE);
	expect_good(3);
}

/*
 * Sizes on both sides of what is read at once, and such that all fills a buffer of a power of two;
 * a gzip file ends with a sum and a length, 8 bytes.
 */
static void large_files_are_read(void **context)
{
	static const uint32_t sizes[] = {5000000, (1 << 20) - 1, 1 << 20,	(1 << 20) + 1,
					 2 << 20, (2 << 20) + 1, (3 << 20) - 1, 4 << 20,
					 8184,	  16376,	 32760,		65528};

	(void)context;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		const uint32_t size = sizes[s];
		uint8_t *bytes = malloc(8 + size);
		struct igrad_idx idx;
		struct stat status;

		assert_non_null(bytes);
		memcpy(bytes, "\0\0\x08\x01", 4);
		for (int i = 0; i < 4; i++)
			bytes[4 + i] = size >> (24 - 8 * i);
		for (uint32_t i = 0; i < size; i++)
			bytes[8 + i] = i * i >> 7;
		put_gzipped(bytes, 8 + size);
		assert_int_equal(igrad_idx_load(path, 1, &idx, NULL), 0);
		assert_int_equal(idx.size, size);
		assert_memory_equal(idx.data, bytes + 8, size);
		igrad_idx_fini(&idx);
		assert_int_equal(stat(path, &status), 0);
		for (int n = 1; n <= 9; n++) {
			assert_int_equal(truncate(path, status.st_size - n), 0);
			expect_bad(1, "truncated");
		}
		put(bytes, 8 + size);
		assert_int_equal(igrad_idx_load(path, 1, &idx, NULL), 0);
		assert_memory_equal(idx.data, bytes + 8, size);
		igrad_idx_fini(&idx);
		free(bytes);
	}
}

static void every_truncation_is_noticed(void **context)
{
	uint8_t zipped[SIZE + 100];
	size_t size;

	(void)context;
	for (size_t n = 0; n < SIZE; n++) {
		put(good, n);
		expect_bad(3, n < 4 ? "not an IDX file" : "truncated");
	}
	put_gzipped(good, SIZE);
	size = get(zipped, sizeof(zipped));
	for (size_t n = 0; n < size; n++) {
		struct igrad_idx idx;

		put(zipped, n);
		assert_int_equal(igrad_idx_load(path, 3, &idx, NULL), -EBADMSG);
	}
}

static void damage_inside_gzip_is_noticed(void **context)
{
	uint8_t zipped[SIZE + 100];
	size_t size;

	(void)context;
	put_gzipped(good, SIZE);
	size = get(zipped, sizeof(zipped));
	zipped[size - 8] ^= 1; /* the sum over the data */
	put(zipped, size);
	expect_bad(3, "damaged gzip data");
	zipped[size - 8] ^= 1;
	memset(zipped + 10, 0xff, 8);
	put(zipped, size);
	expect_bad(3, "damaged gzip data");
}

static void gzip_data_may_follow_gzip_data(void **context)
{
	uint8_t zipped[2 * SIZE + 200];
	size_t size;

	(void)context;
	put_gzipped(good, 100);
	size = get(zipped, sizeof(zipped));
	put_gzipped(good + 100, SIZE - 100);
	size += get(zipped + size, sizeof(zipped) - size);
	put(zipped, size);
	expect_good(3);
	put(zipped, size - 8);
	expect_bad(3, "truncated gzip data");
	zipped[size] = 'x';
	put(zipped, size + 1);
	expect_bad(3, "gzip data");
}

static void bad_headers_are_refused(void **context)
{
	uint8_t bytes[SIZE + 1];

	(void)context;
	memcpy(bytes, good, sizeof(bytes));
	put(bytes, SIZE + 1);
	expect_bad(3, "longer than its header says");
	put(bytes, SIZE);
	expect_bad(1, "has 3 dimensions instead of 1");
	bytes[2] = 0x0d;
	put(bytes, SIZE);
	expect_bad(3, "not one of bytes");
	bytes[2] = 8;
	bytes[0] = 1;
	put(bytes, SIZE);
	expect_bad(3, "not an IDX file");
	bytes[0] = 0;
	bytes[3] = 0;
	put(bytes, SIZE);
	expect_bad(0, "not an IDX file");
	bytes[3] = 200;
	put(bytes, SIZE);
	expect_bad(0, "has 200 dimensions");
	bytes[3] = 3;
	bytes[7] = 0;
	put(bytes, SIZE);
	expect_bad(3, "dimension of zero");
	memset(bytes + 4, 0xff, 12);
	put(bytes, SIZE);
	expect_bad(3, "more than 1 GiB");
	memcpy(bytes + 4, "\0\0\x40\0\0\0\1\0\0\0\1\0", 12);
	put(bytes, SIZE);
	expect_bad(3, "245 bytes of data, but its header says 1073741824");
}

static void files_that_cannot_be_read(void **context)
{
	struct igrad_error error;
	struct igrad_idx idx;

	(void)context;
	assert_int_equal(igrad_idx_load("/nonexistent", 3, &idx, &error), -ENOENT);
	assert_string_equal(error.message, "/nonexistent: No such file or directory");
	assert_int_equal(igrad_idx_load("/tmp", 3, &idx, &error), -EISDIR);
	assert_string_equal(error.message, "/tmp: Is a directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_and_gzipped_files_are_read),
		cmocka_unit_test(large_files_are_read),
		cmocka_unit_test(every_truncation_is_noticed),
		cmocka_unit_test(damage_inside_gzip_is_noticed),
		cmocka_unit_test(gzip_data_may_follow_gzip_data),
		cmocka_unit_test(bad_headers_are_refused),
		cmocka_unit_test(files_that_cannot_be_read),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("IDX files", tests, setup, teardown);
}
