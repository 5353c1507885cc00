/* SPDX-License-Identifier: MIT */
/*
 * exp and log of the vector unit. They are part of the hardware's definition: the algorithms below,
 * step by step, in fp32 with round to nearest even, where "fma" rounds once and every other
 * operation rounds once. What the host's C library would answer plays no part. Over all
 * of fp32 exp is off by at most 1.11 ulp, log by 0.92.
 *
 * exp(x):
 *   x is limited to -104 … 89 (beyond, the result is +0 or +inf anyway); NaN gives NaN
 *   t = fma(x, LOG2_E, 1.5·2^23); n = t - 1.5·2^23          n = x/ln 2 to the nearest integer
 *   r = fma(n, -LN2_HI, x); r = fma(n, -LN2_LO, r)          |r| <= about ln 2 / 2
 *   p = E6; p = fma(p, r, E5); … fma(p, r, E2); fma(p, r, 1); fma(p, r, 1)
 *   result = (p·2^floor(n/2))·2^(n - floor(n/2))            only the last product can round
 *
 * log(x):
 *   NaN and x < 0 give NaN, ±0 gives -inf, +inf gives +inf
 *   x below 2^-126 is multiplied by 2^23 and 23 is taken from e
 *   x = 2^e·(1 + f) with 2/3 <= 1 + f < 4/3: e = floor((bits(x) - bits(0x1.555556p-1))/2^23)
 *   p = L11; p = fma(p, f, L10); … fma(p, f, L3); p = fma(p, f, -0.5)
 *   y = fma(round(f·f), p, f)
 *   result = fma(e, LN2_HI, fma(e, LN2_LO, y))
 */
#ifndef IGRAD_MATHFN_H
#define IGRAD_MATHFN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define IGRAD_LOG2_E 0x1.715476p+0f
#define IGRAD_LN2_HI 0x1.62e430p-1f
#define IGRAD_LN2_LO (-0x1.05c610p-29f)

#define IGRAD_E2 0x1.000002p-1f
#define IGRAD_E3 0x1.5554c6p-3f
#define IGRAD_E4 0x1.554ec2p-5f
#define IGRAD_E5 0x1.12154ap-7f
#define IGRAD_E6 0x1.73b5d2p-10f

#define IGRAD_L3  0x1.55555ep-2f
#define IGRAD_L4  (-0x1.ffffb8p-3f)
#define IGRAD_L5  0x1.999026p-3f
#define IGRAD_L6  (-0x1.5574fap-3f)
#define IGRAD_L7  0x1.2602cap-3f
#define IGRAD_L8  (-0x1.f81066p-4f)
#define IGRAD_L9  0x1.9c4972p-4f
#define IGRAD_L10 (-0x1.f7f68ep-4f)
#define IGRAD_L11 0x1.33cac4p-3f

#define IGRAD_INLINE static inline __attribute__((always_inline))

IGRAD_INLINE uint32_t igrad_bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

IGRAD_INLINE float igrad_of_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* What arithmetic delivers: NaN has one encoding. */
IGRAD_INLINE float igrad_canonical(float value)
{
	return value != value ? igrad_of_bits(0x7fc00000u) : value;
}

/* 2^n for -126 <= n <= 127; anything for other n. */
IGRAD_INLINE float igrad_power_of_two(int32_t n)
{
	return igrad_of_bits(((uint32_t)n + 127) << 23);
}

/* The caller makes NaN canonical. Inline and without branches, so that loops of it vectorise. */
IGRAD_INLINE float igrad_exp(float x)
{
	const float magic = 0x1.8p23f;
	const float limited = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
	const float t = fmaf(limited, IGRAD_LOG2_E, magic);
	const float n = t - magic;
	const int32_t whole = (int32_t)(igrad_bits_of(t) - igrad_bits_of(magic));
	const int32_t half = whole >> 1;
	float r = fmaf(n, -IGRAD_LN2_HI, limited);
	float p = IGRAD_E6;

	r = fmaf(n, -IGRAD_LN2_LO, r);
	p = fmaf(p, r, IGRAD_E5);
	p = fmaf(p, r, IGRAD_E4);
	p = fmaf(p, r, IGRAD_E3);
	p = fmaf(p, r, IGRAD_E2);
	p = fmaf(p, r, 1.0f);
	p = fmaf(p, r, 1.0f);
	return p * igrad_power_of_two(half) *
	       igrad_power_of_two((int32_t)((uint32_t)whole - (uint32_t)half));
}

float igrad_log(float x);

#endif /* IGRAD_MATHFN_H */
