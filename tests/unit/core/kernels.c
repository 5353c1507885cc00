/* SPDX-License-Identifier: MIT */
/* Every instruction set's kernels against loops that cannot be misread, in shapes and with strides
 * that reach every path of theirs.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bf16.h"
#include "kernels.h"
#include "rig.h"

#define WORDS 400000u

struct operands {
	float *a;
	float *b;
	float *c;
	float *expected;
	float *got;
};

static float *words(void)
{
	float *p = malloc(WORDS * sizeof(*p));

	assert_non_null(p);
	return p;
}

static int setup(void **state)
{
	struct operands *o = malloc(sizeof(*o));

	assert_non_null(o);
	*o = (struct operands){words(), words(), words(), words(), words()};
	*state = o;
	return 0;
}

static int teardown(void **state)
{
	struct operands *o = *state;

	free(o->a);
	free(o->b);
	free(o->c);
	free(o->expected);
	free(o->got);
	free(o);
	return 0;
}

static void spoil(struct rng *rng, float *p, size_t n)
{
	static const uint32_t special[] = {0xffc00001, 0x7f800001, 0x7f800000, 0xff800000,
					   0x80000000, 0x00000001, 0x807fffff, 0x7f7fffff};

	for (size_t i = 0; i < n; i++) {
		if (rng_below(rng, 50) == 0)
			p[i] = igrad_of_bits(special[rng_below(rng, 8)]);
	}
}

static void make(struct rng *rng, float *p, size_t n, bool special)
{
	fill_floats(rng, p, n);
	if (special)
		spoil(rng, p, n);
}

/* NaN operands of an fma: which one survives is the host's business until the sum is canonical. */
static void plain_tile(const struct igrad_tile *t)
{
	for (size_t i = 0; i < t->m; i++) {
		for (size_t j = 0; j < t->n; j++) {
			float s = t->add ? t->c[i * t->c_row + j] : 0.0f;

			for (size_t k = 0; k < t->k; k++)
				s = fmaf(t->a[i * t->a_row + k * t->a_step], t->b[k * t->b_row + j],
					 s);
			t->c[i * t->c_row + j] = igrad_canonical(s);
		}
	}
}

static uint32_t length(struct rng *rng, uint32_t most)
{
	return rng_below(rng, 3) ? rng_between(rng, 1, most) : rng_between(rng, 1, 9);
}

static struct igrad_tile random_tile(struct rng *rng, const struct operands *o)
{
	struct igrad_tile t = {
		.m = length(rng, 70),
		.n = length(rng, 140),
		.k = rng_below(rng, 6) ? length(rng, 90) : rng_between(rng, 500, 1200),
		.a = o->a + rng_below(rng, 16),
		.b = o->b + rng_below(rng, 16),
		.add = rng_below(rng, 2),
	};
	const bool transposed = rng_below(rng, 2);

	t.a_row = transposed ? 1 : t.k + rng_below(rng, 5);
	t.a_step = transposed ? t.m + rng_below(rng, 5) : 1;
	if (!transposed && rng_below(rng, 3) == 0)
		t.a_row = 256 * rng_between(rng, 1, 4); /* rows that crowd into a cache's sets */
	t.b_row = t.n + rng_below(rng, 5);
	t.c_row = t.n + rng_below(rng, 5);
	return t;
}

static void same(const char *isa, const char *what, const float *got, const float *expected)
{
	if (!memcmp(got, expected, WORDS * sizeof(*got)))
		return;
	for (size_t i = 0; i < WORDS; i++) {
		if (bits_of(got[i]) == bits_of(expected[i]))
			continue;
		printf("# %s, %s: word %zu is %08x, not %08x\n", isa, what, i, bits_of(got[i]),
		       bits_of(expected[i]));
		break;
	}
	fail();
}

static void test_tile(void **state)
{
	const struct operands *o = *state;
	struct rng rng = {seed_of_test("tiles")};
	const unsigned int rounds = count_of_test(60);

	for (unsigned int round = 0; round < rounds; round++) {
		struct igrad_tile t = random_tile(&rng, o);

		make(&rng, o->a, WORDS, round % 3 == 0);
		make(&rng, o->b, WORDS, round % 3 == 0);
		make(&rng, o->c, WORDS, round % 2);
		memcpy(o->expected, o->c, WORDS * sizeof(float));
		t.c = o->expected + 5;
		plain_tile(&t);
		for (unsigned int i = 0; igrad_kernels_get(i); i++) {
			memcpy(o->got, o->c, WORDS * sizeof(float));
			t.c = o->got + 5;
			igrad_kernels_get(i)->tile(&t);
			same(igrad_kernels_get(i)->name, "tile", o->got, o->expected);
		}
	}
}

static void test_transpose(void **state)
{
	const struct operands *o = *state;
	struct rng rng = {seed_of_test("transposes")};
	const unsigned int rounds = count_of_test(60);

	fill_floats(&rng, o->a, WORDS);
	for (unsigned int round = 0; round < rounds; round++) {
		const size_t rows = length(&rng, 130), cols = length(&rng, 130);
		const size_t a_row = cols + rng_below(&rng, 9), d_row = rows + rng_below(&rng, 9);

		memset(o->expected, 0, WORDS * sizeof(float));
		for (size_t r = 0; r < rows; r++) {
			for (size_t c = 0; c < cols; c++)
				o->expected[c * d_row + r] = o->a[r * a_row + c];
		}
		for (unsigned int i = 0; igrad_kernels_get(i); i++) {
			memset(o->got, 0, WORDS * sizeof(float));
			igrad_kernels_get(i)->transpose(o->got, d_row, o->a, a_row, rows, cols);
			same(igrad_kernels_get(i)->name, "transpose", o->got, o->expected);
		}
	}
}

static void test_copy(void **state)
{
	const struct operands *o = *state;
	struct rng rng = {seed_of_test("copies")};

	make(&rng, o->a, WORDS, true);
	for (unsigned int round = 0; round < count_of_test(60); round++) {
		const size_t rows = length(&rng, 130), cols = length(&rng, 130);
		const size_t a_row = cols + rng_below(&rng, 9), d_row = cols + rng_below(&rng, 9);

		memset(o->expected, 0, WORDS * sizeof(float));
		for (size_t r = 0; r < rows; r++)
			memcpy(o->expected + r * d_row, o->a + r * a_row, cols * sizeof(float));
		for (unsigned int i = 0; igrad_kernels_get(i); i++) {
			memset(o->got, 0, WORDS * sizeof(float));
			igrad_kernels_get(i)->copy(o->got, d_row, o->a, a_row, rows, cols);
			same(igrad_kernels_get(i)->name, "copy", o->got, o->expected);
		}
	}
}

static float plain_row(unsigned int fn, float a, float b, float imm, float imm2)
{
	switch (fn) {
	case 0:
		return a + b;
	case 1:
		return a > 0.0f || isnan(a) ? a : 0.0f;
	case 2:
		return a > 0.0f ? b : 0.0f;
	case 3:
		return fmaf(imm, a, b);
	case 4:
		return fmaf(-imm, b, a);
	case 5:
		return fmaf(-imm, b, imm2 * a);
	case 6:
		return igrad_exp(a - imm);
	case 7:
		return a / imm * imm2;
	case 8:
		return imm * a;
	default:
		return a;
	}
}

static igrad_row_fn *row_fn(const struct igrad_kernels *k, unsigned int fn)
{
	igrad_row_fn *const fns[] = {k->add,   k->relu,	     k->relu_grad, k->axpy,
				     k->sgd,   k->sgd_decay, k->exp_sub,   k->div_mul,
				     k->scale, k->canonical};

	return fns[fn];
}

static void test_rows(void **state)
{
	const struct operands *o = *state;
	struct rng rng = {seed_of_test("rows")};

	for (unsigned int fn = 0; fn < 10; fn++) {
		const size_t n = WORDS - rng_below(&rng, 40);
		const float imm = rng_float(&rng), imm2 = rng_float(&rng);

		make(&rng, o->a, WORDS, true);
		make(&rng, o->b, WORDS, true);
		memcpy(o->expected, o->a, WORDS * sizeof(float));
		for (size_t i = 0; i < n; i++)
			o->expected[i] =
				igrad_canonical(plain_row(fn, o->a[i], o->b[i], imm, imm2));
		for (unsigned int i = 0; igrad_kernels_get(i); i++) {
			memcpy(o->got, o->a, WORDS * sizeof(float));
			row_fn(igrad_kernels_get(i), fn)(o->got, o->got, o->b, n, imm, imm2);
			same(igrad_kernels_get(i)->name, "row", o->got, o->expected);
		}
	}
}

/* Rows of w, m and v, and what they become: doubles have bits enough for a quotient and a root. */
static void plain_adam(float *w, float *m, float *v, float g, const float *c, bool decay)
{
	const float t = decay ? c[IGRAD_ADAM_KEEP] * *w : *w;
	float root;

	*m = igrad_canonical(fmaf(c[IGRAD_ADAM_REST1], g, c[IGRAD_ADAM_BETA1] * *m));
	*v = igrad_canonical(fmaf(c[IGRAD_ADAM_REST2] * g, g, c[IGRAD_ADAM_BETA2] * *v));
	root = (float)sqrt((double)*v) + c[IGRAD_ADAM_EPSILON];
	*w = igrad_canonical(fmaf(-c[IGRAD_ADAM_LR], (float)((double)*m / (double)root), t));
}

static void test_adam(void **state)
{
	static const float sane[IGRAD_ADAM_WORDS] = {0.9f,  0.1f,  0.999f, 0.001f,
						     0.01f, 1e-8f, 0.99f};
	const struct operands *o = *state;
	const size_t most = WORDS / 3;
	struct rng rng = {seed_of_test("adam")};
	float constants[IGRAD_ADAM_WORDS];

	for (unsigned int round = 0; round < 4; round++) {
		const size_t n = most - rng_below(&rng, 40);
		const bool decay = round & 1;

		make(&rng, constants, IGRAD_ADAM_WORDS, true);
		if (round < 2)
			memcpy(constants, sane, sizeof(sane));
		make(&rng, o->a, WORDS, true);
		make(&rng, o->b, WORDS, true);
		memcpy(o->expected, o->a, WORDS * sizeof(float));
		for (size_t i = 0; i < n; i++)
			plain_adam(o->expected + i, o->expected + most + i,
				   o->expected + 2 * most + i, o->b[i], constants, decay);
		for (unsigned int i = 0; igrad_kernels_get(i); i++) {
			const struct igrad_kernels *k = igrad_kernels_get(i);

			memcpy(o->got, o->a, WORDS * sizeof(float));
			(decay ? k->adam_decay : k->adam)(o->got, o->got + most, o->got + 2 * most,
							  o->b, n, constants);
			same(k->name, "adam", o->got, o->expected);
		}
	}
}

/* The nearest bf16 by arithmetic on doubles: halfway between its neighbours goes to the even one.
 */
static uint16_t plain_narrow(float value)
{
	const uint16_t below = (uint16_t)(bits_of(value) >> 16), above = (uint16_t)(below + 1);
	double low, high;

	if (isnan(value))
		return 0x7fc0;
	if (isinf(value))
		return below;
	low = fabs((double)igrad_of_bits((uint32_t)below << 16));
	high = (above & 0x7f80) == 0x7f80 ? 0x1p128
					  : fabs((double)igrad_of_bits((uint32_t)above << 16));
	if (fabs((double)value) - low == high - fabs((double)value))
		return below % 2 ? above : below;
	return fabs((double)value) - low < high - fabs((double)value) ? below : above;
}

/* Every bf16, and what lies around every middle between two of them. */
static void test_bf16(void **state)
{
	const struct operands *o = *state;
	static const uint32_t offsets[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
	uint16_t *half = malloc(WORDS * sizeof(*half)), *got = malloc(WORDS * sizeof(*got));
	size_t n = 0;

	assert_non_null(half);
	assert_non_null(got);
	for (uint32_t high = 0; high < 0x10000; high++) {
		for (size_t i = 0; i < 6; i++)
			o->a[n++] = igrad_of_bits(high << 16 | offsets[i]);
	}
	assert_true(n <= WORDS);
	for (size_t i = 0; i < n; i++)
		half[i] = plain_narrow(o->a[i]);
	for (unsigned int k = 0; igrad_kernels_get(k); k++) {
		const struct igrad_kernels *kernels = igrad_kernels_get(k);

		kernels->narrow(got, o->a, n);
		kernels->round_bf16(o->got, o->a, NULL, n, 0.0f, 0.0f);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(got[i], half[i]);
			assert_int_equal(bits_of(o->got[i]), (uint32_t)half[i] << 16);
		}
		kernels->widen(o->got, got, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(bits_of(o->got[i]), (uint32_t)got[i] << 16);
	}
	/* NaNs keep their bits on the way up, and tails are handled too */
	for (uint32_t high = 0; high < 0x10000; high++)
		half[high] = (uint16_t)high;
	for (unsigned int k = 0; igrad_kernels_get(k); k++) {
		for (size_t tail = 1; tail < 70; tail++) {
			o->got[tail] = 1.0f;
			igrad_kernels_get(k)->widen(o->got, half + 0x10000 - tail, tail);
			for (size_t i = 0; i < tail; i++)
				assert_int_equal(bits_of(o->got[i]), (0x10000 - tail + i) << 16);
			assert_int_equal(bits_of(o->got[tail]), 0x3f800000);
		}
	}
	free(half);
	free(got);
}

static void test_selection(void **state)
{
	unsigned int count = 0;

	(void)state;
	while (igrad_kernels_get(count))
		printf("# kernels: %s\n", igrad_kernels_get(count++)->name);
	assert_string_equal(igrad_kernels_get(count - 1)->name, "portable");
	setenv("IGRAD_ISA", "portable", 1);
	assert_string_equal(igrad_kernels_get(0)->name, "portable");
	assert_null(igrad_kernels_get(1));
	setenv("IGRAD_ISA", "unheard-of", 1);
	assert_non_null(igrad_kernels_get(count - 1));
	unsetenv("IGRAD_ISA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tile),	  cmocka_unit_test(test_transpose),
		cmocka_unit_test(test_rows),	  cmocka_unit_test(test_copy),
		cmocka_unit_test(test_adam),	  cmocka_unit_test(test_bf16),
		cmocka_unit_test(test_selection),
	};

	return run_group("core-kernels", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
