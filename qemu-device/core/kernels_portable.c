/* SPDX-License-Identifier: MIT */
/* For hosts without the vector sets: the C library's fmaf, exact everywhere, quick where built in.
 */
#include "kernels.h"

#define TARGET

#include "row_template.h"

static void tile(const struct igrad_tile *t)
{
	for (size_t i = 0; i < t->m; i++) {
		float *c = t->c + i * t->c_row;

		for (size_t j = 0; j < t->n && !t->add; j++)
			c[j] = 0.0f;
		for (size_t k = 0; k < t->k; k++) {
			const float a = t->a[i * t->a_row + k * t->a_step];
			const float *b = t->b + k * t->b_row;

			INDEPENDENT
			for (size_t j = 0; j < t->n; j++)
				c[j] = fmaf(a, b[j], c[j]);
		}
		row_canonical(c, c, NULL, t->n, 0.0f, 0.0f);
	}
}

static void copy(float *d, size_t d_row, const float *a, size_t a_row, size_t rows, size_t n)
{
	for (size_t i = 0; i < rows; i++)
		memcpy(d + i * d_row, a + i * a_row, n * sizeof(*d));
}

static void transpose(float *d, size_t d_row, const float *a, size_t a_row, size_t rows,
		      size_t cols)
{
	transpose_part(d, d_row, a, a_row, 0, rows, 0, cols);
}

KERNELS(portable);
