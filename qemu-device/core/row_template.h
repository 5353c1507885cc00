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
