/* SPDX-License-Identifier: MIT */
/* Transposition in squares of 8 × 8 words, for the including file's TARGET (AVX at least). */

#define SHUFFLE(a, b, low) _mm256_shuffle_ps(a, b, (low) ? 0x44 : 0xee)

static inline __attribute__((always_inline)) TARGET void square(float *d, size_t d_row,
								const float *a, size_t a_row)
{
	__m256 row[8], pair[8], quad[8];

	UNROLL
	for (unsigned int i = 0; i < 8; i++)
		row[i] = _mm256_loadu_ps(a + i * a_row);
	UNROLL
	for (unsigned int i = 0; i < 8; i += 2) {
		pair[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
		pair[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
	}
	UNROLL
	for (unsigned int i = 0; i < 8; i += 4) {
		quad[i] = SHUFFLE(pair[i], pair[i + 2], true);
		quad[i + 1] = SHUFFLE(pair[i], pair[i + 2], false);
		quad[i + 2] = SHUFFLE(pair[i + 1], pair[i + 3], true);
		quad[i + 3] = SHUFFLE(pair[i + 1], pair[i + 3], false);
	}
	UNROLL
	for (unsigned int i = 0; i < 4; i++) {
		_mm256_storeu_ps(d + i * d_row, _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x20));
		_mm256_storeu_ps(d + (i + 4) * d_row,
				 _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x31));
	}
}

TARGET static void transpose(float *d, size_t d_row, const float *a, size_t a_row, size_t rows,
			     size_t cols)
{
	const size_t whole_rows = rows & ~(size_t)7, whole_cols = cols & ~(size_t)7;

	for (size_t r = 0; r < whole_rows; r += 8) {
		for (size_t c = 0; c < whole_cols; c += 8)
			square(d + c * d_row + r, d_row, a + r * a_row + c, a_row);
	}
	transpose_part(d, d_row, a, a_row, 0, whole_rows, whole_cols, cols);
	transpose_part(d, d_row, a, a_row, whole_rows, rows, 0, cols);
}

#undef SHUFFLE
