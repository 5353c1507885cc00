/* SPDX-License-Identifier: MIT */
/* exp and log against the C library in double precision, and at their edges. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mathfn.h"
#include "rig.h"

#define NAN_BITS 0x7fc00000u

/* How many units in the last place of fp32, at the true value, the result is off. */
static double ulps(float got, double exact)
{
	double unit = 0x1p-149;
	int exponent;

	if (fabs(exact) >= 0x1.ffffffp127) /* rounds to infinity */
		return isinf(got) && signbit(got) == signbit(exact) ? 0.0 : INFINITY;
	frexp(exact, &exponent);
	if (exponent > -125)
		unit = ldexp(1.0, exponent - 24);
	return fabs((double)got - exact) / unit;
}

/* Every stride-th encoding, or all of them with IGRAD_TEST_LONG set. */
static uint32_t stride_of_test(void)
{
	return getenv("IGRAD_TEST_LONG") ? 1 : 509;
}

static double worst(float (*function)(float x), double (*exact)(double x), uint32_t from,
		    uint32_t to)
{
	const uint32_t stride = stride_of_test();
	double most = 0.0;

	for (uint64_t bits = from; bits <= to; bits += stride) {
		const float x = igrad_of_bits((uint32_t)bits);
		const double off = ulps(function(x), exact(x));

		if (!(off <= most))
			most = off;
	}
	return most;
}

static float core_exp(float x)
{
	return igrad_canonical(igrad_exp(x));
}

static void test_exp(void **state)
{
	const double positive = worst(core_exp, exp, 0, 0x7f7fffff);
	const double negative = worst(core_exp, exp, 0x80000000, 0xff7fffff);

	(void)state;
	printf("# exp is off by at most %.3f ulp for x >= 0, %.3f ulp for x < 0\n", positive,
	       negative);
	assert_true(positive <= 1.2);
	assert_true(negative <= 1.2);
}

static void test_log(void **state)
{
	const double most = worst(igrad_log, log, 1, 0x7f7fffff);
	const double near_one = worst(igrad_log, log, 0x3f7f0000, 0x3f810000);

	(void)state;
	printf("# log is off by at most %.3f ulp, near one %.3f ulp\n", most, near_one);
	assert_true(most <= 1.2);
	assert_true(near_one <= 1.2);
}

static void test_exp_edges(void **state)
{
	(void)state;
	assert_int_equal(bits_of(core_exp(0.0f)), bits_of(1.0f));
	assert_int_equal(bits_of(core_exp(-0.0f)), bits_of(1.0f));
	assert_int_equal(bits_of(core_exp(INFINITY)), bits_of(INFINITY));
	assert_int_equal(bits_of(core_exp(-INFINITY)), 0);
	assert_int_equal(bits_of(core_exp(1e30f)), bits_of(INFINITY));
	assert_int_equal(bits_of(core_exp(-1e30f)), 0);
	assert_int_equal(bits_of(core_exp(0x1.62e42ep6f)),
			 0x7f7fff84); /* the largest that is finite */
	assert_int_equal(bits_of(core_exp(0x1.62e430p6f)), bits_of(INFINITY));
	assert_int_equal(bits_of(core_exp(-103.9f)), 1); /* the smallest subnormal */
	assert_int_equal(bits_of(core_exp(igrad_of_bits(0xffc12345))), NAN_BITS);
	assert_int_equal(bits_of(core_exp(igrad_of_bits(0x7f800001))), NAN_BITS);
}

static void test_log_edges(void **state)
{
	(void)state;
	assert_int_equal(bits_of(igrad_log(1.0f)), 0);
	assert_int_equal(bits_of(igrad_log(0.0f)), bits_of(-INFINITY));
	assert_int_equal(bits_of(igrad_log(-0.0f)), bits_of(-INFINITY));
	assert_int_equal(bits_of(igrad_log(INFINITY)), bits_of(INFINITY));
	assert_int_equal(bits_of(igrad_log(-1.0f)), NAN_BITS);
	assert_int_equal(bits_of(igrad_log(-INFINITY)), NAN_BITS);
	assert_int_equal(bits_of(igrad_log(igrad_of_bits(0x80000001))), NAN_BITS);
	assert_int_equal(bits_of(igrad_log(igrad_of_bits(0xffc12345))), NAN_BITS);
	assert_int_equal(bits_of(igrad_log(igrad_of_bits(1))), bits_of(-0x1.9d1dap6f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exp),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_exp_edges),
		cmocka_unit_test(test_log_edges),
	};

	return run_group("core-math", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
