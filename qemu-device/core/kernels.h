/* SPDX-License-Identifier: MIT */
/*
 * The inner loops, once for each instruction set; all deliver the same bits. A kernel vectorises
 * over outputs and never over a reduction, so that every sum keeps the order of the manual.
 */
#ifndef IGRAD_KERNELS_H
#define IGRAD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct igrad_tile - c[i][j] = s + sum over increasing k of a(i,k)·b[k][j], s = +0 or the former c
 * @m: rows i
 * @n: columns j
 * @k: length of the sum, at least 1
 * @a: a(i,k) lies at a[i·a_row + k·a_step]
 * @b: row k begins at b[k·b_row]
 * @c: row i begins at c[i·c_row]
 * @add: continue the sum in c
 *
 * NaNs in c are canonical afterwards. c overlaps neither a nor b.
 */
struct igrad_tile {
	size_t m;
	size_t n;
	size_t k;
	const float *a;
	size_t a_row;
	size_t a_step;
	const float *b;
	size_t b_row;
	float *c;
	size_t c_row;
	bool add;
};

/* d[i] from a[i] and b[i]; d may be a or b; a kernel ignores what its operation does not have. */
typedef void igrad_row_fn(float *d, const float *a, const float *b, size_t n, float imm,
			  float imm2);

/*
 * The optimiser Adam with the manual's constants: w, m and v from themselves and the gradient g; no
 * two of them overlap.
 */
typedef void igrad_adam_fn(float *w, float *m, float *v, const float *g, size_t n,
			   const float constants[]);

/* Of batch normalisation, for n columns of a row; constants are rows by enum igrad_norm_row. */
typedef void igrad_norm_fn(float *d, const float *a, size_t n, const float *const constants[]);
typedef void igrad_norm_grad_fn(float *d, const float *a, const float *b, size_t n,
				const float *const constants[]);
typedef void igrad_norm_sums_fn(float *sum, float *dot, const float *a, const float *b, size_t n,
				const float *const constants[]);

struct igrad_kernels {
	const char *name;
	void (*tile)(const struct igrad_tile *tile);
	/* d[c][r] = a[r][c]; rows beyond the given ones are not touched */
	void (*transpose)(float *d, size_t d_row, const float *a, size_t a_row, size_t rows,
			  size_t cols);
	/* d[r][c] = a[r][c], bits unchanged */
	void (*copy)(float *d, size_t d_row, const float *a, size_t a_row, size_t rows,
		     size_t cols);
	igrad_row_fn *add;	   /* a + b */
	igrad_row_fn *mul;	   /* a·b */
	igrad_row_fn *rsqrt;	   /* 1 / √(a + imm) */
	igrad_row_fn *add_square;  /* d + (a - b)² */
	igrad_row_fn *max;	   /* the larger; of two a; NaN before all */
	igrad_row_fn *relu;	   /* a > 0 ? a : +0, NaN stays */
	igrad_row_fn *relu_grad;   /* a > 0 ? b : +0 */
	igrad_row_fn *axpy;	   /* fma(imm, a, b) */
	igrad_row_fn *scale;	   /* imm·a */
	igrad_row_fn *sgd;	   /* fma(-imm, b, a) */
	igrad_row_fn *sgd_decay;   /* fma(-imm, b, round(imm2·a)) */
	igrad_adam_fn *adam;	   /* t = w */
	igrad_adam_fn *adam_decay; /* t = round(keep·w) */
	/* d = max(d, a), and index = number where a wins: everywhere if it @begins */
	void (*max_index)(float *d, uint32_t *index, const float *a, size_t n, uint32_t number,
			  bool begins);
	igrad_norm_fn *norm;
	igrad_norm_sums_fn *norm_sums; /* b is added to sum, b·normalised a to dot */
	igrad_norm_grad_fn *norm_grad;
	/* elements from column @col of row @row on; words by enum igrad_dropout_word */
	void (*dropout)(float *d, const float *a, size_t n, const uint32_t words[], uint32_t row,
			uint32_t col);
	igrad_row_fn *exp_sub;				       /* exp(a - imm) */
	igrad_row_fn *div_mul;				       /* round(a / imm)·imm2 */
	igrad_row_fn *canonical;			       /* a, NaNs canonical */
	igrad_row_fn *round_bf16;			       /* a to the nearest bf16 */
	void (*widen)(float *d, const uint16_t *a, size_t n);  /* from bf16, exact */
	void (*narrow)(uint16_t *d, const float *a, size_t n); /* to bf16 */
};

/**
 * igrad_kernels_get - the @index-th set that this host can run, fastest first, or NULL
 *
 * The environment variable IGRAD_ISA (avx512, avx2, portable) picks the first by name, for tests.
 */
const struct igrad_kernels *igrad_kernels_get(unsigned int index);

extern const struct igrad_kernels igrad_kernels_portable;
#if defined(__x86_64__)
extern const struct igrad_kernels igrad_kernels_avx2;
extern const struct igrad_kernels igrad_kernels_avx512;
#endif

#endif /* IGRAD_KERNELS_H */
