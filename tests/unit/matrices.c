// SPDX-License-Identifier: MIT
/* Matrices in device memory for tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "matrices.h"

#define MARGIN 0xa5

uint32_t random_between(struct igrad_rng *rng, uint32_t low, uint32_t high)
{
	return low + igrad_rng_below(rng, (uint64_t)high - low + 1);
}

struct igrad_matrix matrix_new_of(struct igrad_device *device, struct igrad_rng *rng, uint32_t rows,
				  uint32_t cols, enum igrad_element dtype)
{
	uint32_t bytes = igrad_element_bytes(dtype);
	struct igrad_matrix m = {
		.offset = bytes * random_between(rng, 0, 5),
		.rows = rows,
		.cols = cols,
		.pitch = random_between(rng, 0, 1) ? 0 : bytes * (cols + random_between(rng, 0, 7)),
		.dtype = dtype,
	};
	uint32_t pitch = m.pitch ? m.pitch : bytes * cols;
	uint64_t size = m.offset + (uint64_t)rows * pitch + 4 * random_between(rng, 0, 5);

	assert_int_equal(igrad_buffer_new(device, size, &m.buffer), 0);
	memset(igrad_buffer_map(m.buffer), MARGIN, igrad_buffer_size(m.buffer));
	return m;
}

struct igrad_matrix matrix_new(struct igrad_device *device, struct igrad_rng *rng, uint32_t rows,
			       uint32_t cols)
{
	return matrix_new_of(device, rng, rows, cols, IGRAD_FP32);
}

void matrix_free(struct igrad_matrix *m)
{
	igrad_buffer_unref(m->buffer);
	m->buffer = NULL;
}

void random_values(struct igrad_rng *rng, float *values, size_t n, bool wild)
{
	static const float odd[] = {0.0f, -0.0f, 0x1p-130f, -0x1p-149f, 0x1p60f, -0x1p60f};

	for (size_t i = 0; i < n; i++) {
		values[i] = 2.0f * igrad_rng_float(rng) - 1.0f;
		if (wild && !igrad_rng_below(rng, 8))
			values[i] = odd[igrad_rng_below(rng, sizeof(odd) / sizeof(odd[0]))];
	}
}

static char *row_of(const struct igrad_matrix *m, uint32_t row)
{
	uint32_t pitch = m->pitch ? m->pitch : igrad_element_bytes(m->dtype) * m->cols;

	return (char *)igrad_buffer_map(m->buffer) + m->offset + (size_t)row * pitch;
}

/* The upper half of a word is behind the lower one. */
static void put(char *row, enum igrad_element dtype, uint32_t col, const float *value)
{
	const char *bytes = (const char *)value;

	if (dtype == IGRAD_FP32)
		memcpy(row + 4 * col, bytes, 4);
	else
		memcpy(row + 2 * col, bytes + 2, 2);
}

static float get(const char *row, enum igrad_element dtype, uint32_t col)
{
	char bytes[4] = {0};
	float value;

	if (dtype == IGRAD_FP32)
		memcpy(bytes, row + 4 * col, 4);
	else
		memcpy(bytes + 2, row + 2 * col, 2);
	memcpy(&value, bytes, 4);
	return value;
}

void matrix_put(const struct igrad_matrix *m, const float *values)
{
	for (uint32_t r = 0; r < m->rows; r++)
		for (uint32_t c = 0; c < m->cols; c++)
			put(row_of(m, r), m->dtype, c, &values[(size_t)r * m->cols + c]);
}

float *matrix_get(const struct igrad_matrix *m)
{
	float *values = calloc((size_t)m->rows * m->cols, sizeof(*values));

	assert_non_null(values);
	for (uint32_t r = 0; r < m->rows; r++)
		for (uint32_t c = 0; c < m->cols; c++)
			values[(size_t)r * m->cols + c] = get(row_of(m, r), m->dtype, c);
	return values;
}

void assert_matrix_is(const char *what, const struct igrad_matrix *m, const float *values)
{
	for (uint32_t r = 0; r < m->rows; r++) {
		for (uint32_t c = 0; c < m->cols; c++) {
			const float *wanted = &values[(size_t)r * m->cols + c];
			float found = get(row_of(m, r), m->dtype, c);

			if (memcmp(&found, wanted, 4))
				fail_msg("%s[%u][%u] of %u×%u is %a, should be %a", what, r, c,
					 m->rows, m->cols, found, *wanted);
		}
	}
}

void assert_margins(const char *what, const struct igrad_matrix *m)
{
	const unsigned char *start = igrad_buffer_map(m->buffer);
	const unsigned char *end = start + igrad_buffer_size(m->buffer);
	const unsigned char *at = start;

	for (uint32_t r = 0; r <= m->rows; r++) {
		const unsigned char *row = r < m->rows ? (unsigned char *)row_of(m, r) : end;

		for (; at < row; at++)
			if (*at != MARGIN)
				fail_msg("%s: byte %zu, before row %u, has been written", what,
					 (size_t)(at - start), r);
		at += (size_t)m->cols * igrad_element_bytes(m->dtype);
	}
}
