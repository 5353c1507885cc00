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

struct igrad_matrix matrix_new(struct igrad_device *device, struct igrad_rng *rng, uint32_t rows,
			       uint32_t cols)
{
	struct igrad_matrix m = {
		.offset = 4 * random_between(rng, 0, 5),
		.rows = rows,
		.cols = cols,
		.pitch = random_between(rng, 0, 1) ? 0 : 4 * (cols + random_between(rng, 0, 7)),
	};
	uint32_t pitch = m.pitch ? m.pitch : 4 * cols;
	uint64_t size = m.offset + (uint64_t)rows * pitch + 4 * random_between(rng, 0, 5);

	assert_int_equal(igrad_buffer_new(device, size, &m.buffer), 0);
	memset(igrad_buffer_map(m.buffer), MARGIN, igrad_buffer_size(m.buffer));
	return m;
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
	uint32_t pitch = m->pitch ? m->pitch : 4 * m->cols;

	return (char *)igrad_buffer_map(m->buffer) + m->offset + (size_t)row * pitch;
}

void matrix_put(const struct igrad_matrix *m, const float *values)
{
	for (uint32_t r = 0; r < m->rows; r++)
		memcpy(row_of(m, r), values + (size_t)r * m->cols, (size_t)m->cols * 4);
}

float *matrix_get(const struct igrad_matrix *m)
{
	float *values = calloc((size_t)m->rows * m->cols, sizeof(*values));

	assert_non_null(values);
	for (uint32_t r = 0; r < m->rows; r++)
		memcpy(values + (size_t)r * m->cols, row_of(m, r), (size_t)m->cols * 4);
	return values;
}

void assert_matrix_is(const char *what, const struct igrad_matrix *m, const float *values)
{
	for (uint32_t r = 0; r < m->rows; r++) {
		for (uint32_t c = 0; c < m->cols; c++) {
			const char *at = row_of(m, r) + 4 * c;
			const float *wanted = &values[(size_t)r * m->cols + c];
			float found;

			memcpy(&found, at, 4);
			if (memcmp(at, wanted, 4))
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
		at += (size_t)m->cols * 4;
	}
}
