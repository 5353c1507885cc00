/* SPDX-License-Identifier: MIT */
/*
 * The loops of the vector unit and of the in-place update: plain C, vectorised by the compiler for
 * the including file's TARGET. d may be a or b, element by element, so iterations are independent.
 */
#include "bf16.h"
#include "igrad/hw.h"

#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* A loop that is unrolled first is not vectorised any more. */
#if defined(__clang__)
#define NOT_UNROLLED INDEPENDENT
#else
#define NOT_UNROLLED _Pragma("GCC ivdep") _Pragma("GCC unroll 1")
#endif

#define ROW_FN(name, expression)                                                               \
	TARGET static void name(float *d, const float *a, const float *b, size_t n, float imm, \
				float imm2)                                                    \
	{                                                                                      \
		(void)b;                                                                       \
		(void)imm;                                                                     \
		(void)imm2;                                                                    \
		INDEPENDENT                                                                    \
		for (size_t i = 0; i < n; i++)                                                 \
			d[i] = igrad_canonical(expression);                                    \
	}

ROW_FN(row_add, a[i] + b[i])
ROW_FN(row_mul, a[i] * b[i])
ROW_FN(row_rsqrt, 1.0f / sqrtf(a[i] + imm))
ROW_FN(row_add_square, fmaf(a[i] - b[i], a[i] - b[i], d[i]))
ROW_FN(row_max, b[i] > a[i] || (b[i] != b[i] && a[i] == a[i]) ? b[i] : a[i])
ROW_FN(row_relu, a[i] <= 0.0f ? 0.0f : a[i])
ROW_FN(row_relu_grad, a[i] > 0.0f ? b[i] : 0.0f)
ROW_FN(row_axpy, fmaf(imm, a[i], b[i]))
ROW_FN(row_scale, imm *a[i])
ROW_FN(row_sgd, fmaf(-imm, b[i], a[i]))
ROW_FN(row_sgd_decay, fmaf(-imm, b[i], imm2 *a[i]))
ROW_FN(row_exp_sub, igrad_exp(a[i] - imm))
ROW_FN(row_div_mul, (a[i] / imm) * imm2)
ROW_FN(row_canonical, a[i])
ROW_FN(row_round_bf16, igrad_of_bf16(igrad_bf16_of(a[i])))

#define ADAM_FN(name, t)                                                                \
	TARGET static void name(float *w, float *m, float *v, const float *g, size_t n, \
				const float constants[])                                \
	{                                                                               \
		const float beta1 = constants[IGRAD_ADAM_BETA1];                        \
		const float rest1 = constants[IGRAD_ADAM_REST1];                        \
		const float beta2 = constants[IGRAD_ADAM_BETA2];                        \
		const float rest2 = constants[IGRAD_ADAM_REST2];                        \
		const float lr = constants[IGRAD_ADAM_LR];                              \
		const float epsilon = constants[IGRAD_ADAM_EPSILON];                    \
		const float keep = constants[IGRAD_ADAM_KEEP];                          \
                                                                                        \
		(void)keep;                                                             \
		INDEPENDENT                                                             \
		for (size_t i = 0; i < n; i++) {                                        \
			const float first = fmaf(rest1, g[i], beta1 * m[i]);            \
			const float second = fmaf(rest2 * g[i], g[i], beta2 * v[i]);    \
			const float step = first / (sqrtf(second) + epsilon);           \
                                                                                        \
			m[i] = igrad_canonical(first);                                  \
			v[i] = igrad_canonical(second);                                 \
			w[i] = igrad_canonical(fmaf(-lr, step, t));                     \
		}                                                                       \
	}

ADAM_FN(row_adam, w[i])
ADAM_FN(row_adam_decay, keep *w[i])

TARGET static void max_index(float *d, uint32_t *index, const float *a, size_t n, uint32_t number,
			     bool begins)
{
	INDEPENDENT
	for (size_t i = 0; i < n; i++) {
		const bool wins = begins || a[i] > d[i] || (a[i] != a[i] && d[i] == d[i]);

		d[i] = igrad_canonical(wins ? a[i] : d[i]);
		index[i] = wins ? number : index[i];
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Batch normalisation: constants are rows by enum igrad_norm_row */
/* --------------------------------------------------------------------------------------------- */

#define NORMAL(a) (((a)-mean[i]) * inverse[i])

TARGET static void norm(float *d, const float *a, size_t n, const float *const constants[])
{
	const float *mean = constants[IGRAD_NORM_MEAN], *inverse = constants[IGRAD_NORM_INVERSE];
	const float *scale = constants[IGRAD_NORM_SCALE], *shift = constants[IGRAD_NORM_SHIFT];

	INDEPENDENT
	for (size_t i = 0; i < n; i++)
		d[i] = igrad_canonical(fmaf(NORMAL(a[i]), scale[i], shift[i]));
}

TARGET static void norm_sums(float *sum, float *dot, const float *a, const float *b, size_t n,
			     const float *const constants[])
{
	const float *mean = constants[IGRAD_NORM_MEAN], *inverse = constants[IGRAD_NORM_INVERSE];

	INDEPENDENT
	for (size_t i = 0; i < n; i++) {
		sum[i] = igrad_canonical(sum[i] + b[i]);
		dot[i] = igrad_canonical(fmaf(b[i], NORMAL(a[i]), dot[i]));
	}
}

TARGET static void norm_grad(float *d, const float *a, const float *b, size_t n,
			     const float *const constants[])
{
	const float *mean = constants[IGRAD_NORM_MEAN], *inverse = constants[IGRAD_NORM_INVERSE];
	const float *sum = constants[IGRAD_NORM_SUM], *dot = constants[IGRAD_NORM_DOT];
	const float *factor = constants[IGRAD_NORM_FACTOR];

	INDEPENDENT
	for (size_t i = 0; i < n; i++)
		d[i] = igrad_canonical(factor[i] * fmaf(-NORMAL(a[i]), dot[i], b[i] - sum[i]));
}

/* --------------------------------------------------------------------------------------------- */
/* Dropout */
/* --------------------------------------------------------------------------------------------- */

#define PHILOX_WORDS	4
#define PHILOX_ROUNDS	10
#define PHILOX_COUNTERS 16 /* at once */

#define PHILOX_ROUND(x0, x1, x2, x3)                            \
	do {                                                    \
		const uint64_t p0 = (uint64_t)x0 * 0xd2511f53u; \
		const uint64_t p1 = (uint64_t)x2 * 0xcd9e8d57u; \
                                                                \
		x0 = (uint32_t)(p1 >> 32) ^ x1 ^ key0;          \
		x1 = (uint32_t)p1;                              \
		x2 = (uint32_t)(p0 >> 32) ^ x3 ^ key1;          \
		x3 = (uint32_t)p0;                              \
	} while (0)

/* The numbers of counter {row, column, stream, 0}. */
TARGET static void philox_one(uint32_t numbers[PHILOX_WORDS], uint32_t row, uint32_t column,
			      const uint32_t words[])
{
	uint32_t key0 = words[IGRAD_DROPOUT_KEY0], key1 = words[IGRAD_DROPOUT_KEY1];
	uint32_t x0 = row, x1 = column & (UINT32_MAX / PHILOX_WORDS); /* columns wrap */
	uint32_t x2 = words[IGRAD_DROPOUT_STREAM], x3 = 0;

	for (unsigned int round = 0; round < PHILOX_ROUNDS; round++) {
		PHILOX_ROUND(x0, x1, x2, x3);
		key0 += 0x9e3779b9u;
		key1 += 0xbb67ae85u;
	}
	numbers[0] = x0;
	numbers[1] = x1;
	numbers[2] = x2;
	numbers[3] = x3;
}

/* Those of PHILOX_COUNTERS columns side by side. */
TARGET static void philox_many(uint32_t numbers[PHILOX_WORDS * PHILOX_COUNTERS], uint32_t row,
			       uint32_t column, const uint32_t words[])
{
	uint32_t key0 = words[IGRAD_DROPOUT_KEY0], key1 = words[IGRAD_DROPOUT_KEY1];
	uint32_t x0[PHILOX_COUNTERS], x1[PHILOX_COUNTERS];
	uint32_t x2[PHILOX_COUNTERS], x3[PHILOX_COUNTERS];

	for (uint32_t k = 0; k < PHILOX_COUNTERS; k++) {
		x0[k] = row;
		x1[k] = (column + k) & (UINT32_MAX / PHILOX_WORDS);
		x2[k] = words[IGRAD_DROPOUT_STREAM];
		x3[k] = 0;
	}
	for (unsigned int round = 0; round < PHILOX_ROUNDS; round++) {
		NOT_UNROLLED
		for (uint32_t k = 0; k < PHILOX_COUNTERS; k++)
			PHILOX_ROUND(x0[k], x1[k], x2[k], x3[k]);
		key0 += 0x9e3779b9u;
		key1 += 0xbb67ae85u;
	}
	for (uint32_t k = 0; k < PHILOX_COUNTERS; k++) {
		numbers[PHILOX_WORDS * k] = x0[k];
		numbers[PHILOX_WORDS * k + 1] = x1[k];
		numbers[PHILOX_WORDS * k + 2] = x2[k];
		numbers[PHILOX_WORDS * k + 3] = x3[k];
	}
}

TARGET static void drop(float *d, const float *a, const uint32_t *numbers, size_t n,
			uint32_t threshold, float scale)
{
	INDEPENDENT
	for (size_t i = 0; i < n; i++)
		d[i] = numbers[i] >= threshold ? igrad_canonical(a[i] * scale) : 0.0f;
}

/* Columns from @col on; the first counter's may begin before it. */
TARGET static void dropout(float *d, const float *a, size_t n, const uint32_t words[], uint32_t row,
			   uint32_t col)
{
	const float scale = igrad_of_bits(words[IGRAD_DROPOUT_SCALE]);
	uint32_t numbers[PHILOX_WORDS * PHILOX_COUNTERS];
	uint32_t counter = col / PHILOX_WORDS, skip = col % PHILOX_WORDS;

	for (size_t i = 0, count; i < n; i += count, skip = 0) {
		const bool many = skip + n - i >= PHILOX_WORDS * PHILOX_COUNTERS;

		count = PHILOX_WORDS * (many ? PHILOX_COUNTERS : 1) - skip;
		if (count > n - i)
			count = n - i;
		if (many)
			philox_many(numbers, row, counter, words);
		else
			philox_one(numbers, row, counter, words);
		drop(d + i, a + i, numbers + skip, count, words[IGRAD_DROPOUT_THRESHOLD], scale);
		counter += many ? PHILOX_COUNTERS : 1;
	}
}

TARGET static void widen(float *d, const uint16_t *a, size_t n)
{
	INDEPENDENT
	for (size_t i = 0; i < n; i++)
		d[i] = igrad_of_bf16(a[i]);
}

TARGET static void narrow(uint16_t *d, const float *a, size_t n)
{
	INDEPENDENT
	for (size_t i = 0; i < n; i++)
		d[i] = igrad_bf16_of(a[i]);
}

/* Of a, rows r0 … r1 - 1 and columns c0 … c1 - 1. */
static void transpose_part(float *d, size_t d_row, const float *a, size_t a_row, size_t r0,
			   size_t r1, size_t c0, size_t c1)
{
	for (size_t c = c0; c < c1; c++) {
		for (size_t r = r0; r < r1; r++)
			d[c * d_row + r] = a[r * a_row + c];
	}
}

#define KERNELS(isa)                                       \
	const struct igrad_kernels igrad_kernels_##isa = { \
		.name = #isa,                              \
		.tile = tile,                              \
		.transpose = transpose,                    \
		.copy = copy,                              \
		.add = row_add,                            \
		.mul = row_mul,                            \
		.rsqrt = row_rsqrt,                        \
		.add_square = row_add_square,              \
		.max = row_max,                            \
		.max_index = max_index,                    \
		.norm = norm,                              \
		.norm_sums = norm_sums,                    \
		.norm_grad = norm_grad,                    \
		.dropout = dropout,                        \
		.relu = row_relu,                          \
		.relu_grad = row_relu_grad,                \
		.axpy = row_axpy,                          \
		.scale = row_scale,                        \
		.sgd = row_sgd,                            \
		.sgd_decay = row_sgd_decay,                \
		.adam = row_adam,                          \
		.adam_decay = row_adam_decay,              \
		.exp_sub = row_exp_sub,                    \
		.div_mul = row_div_mul,                    \
		.canonical = row_canonical,                \
		.round_bf16 = row_round_bf16,              \
		.widen = widen,                            \
		.narrow = narrow,                          \
	}
