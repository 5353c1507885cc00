/* SPDX-License-Identifier: MIT */
/* fp32 as the manual defines it, written from the manual. */
#include <math.h>
#include <string.h>

#include "reference.h"

uint32_t ref_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

float ref_float(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

float ref_canonical(float value)
{
	return isnan(value) ? ref_float(0x7fc00000u) : value;
}

float ref_fma(float a, float b, float c)
{
	return ref_canonical(fmaf(a, b, c));
}

float ref_from_bf16(uint16_t half)
{
	return ref_float((uint32_t)half << 16);
}

/* Of the two neighbours in bf16 the nearer; of two as near the one whose last bit is zero. */
uint16_t ref_to_bf16(float value)
{
	const uint32_t bits = ref_bits(value);
	const uint16_t towards_zero = (uint16_t)(bits >> 16);
	const uint32_t beyond = bits & 0xffff;

	if (isnan(value))
		return 0x7fc0;
	if (beyond > 0x8000 || (beyond == 0x8000 && towards_zero % 2 == 1))
		return (uint16_t)(towards_zero + 1);
	return towards_zero;
}

static float horner(const float *coefficients, unsigned int count, float x)
{
	float p = coefficients[0];

	for (unsigned int i = 1; i < count; i++)
		p = fmaf(p, x, coefficients[i]);
	return p;
}

float ref_exp(float x)
{
	static const float e[] = {0x1.73b5d2p-10f,
				  0x1.12154ap-7f,
				  0x1.554ec2p-5f,
				  0x1.5554c6p-3f,
				  0x1.000002p-1f,
				  1.0f,
				  1.0f};
	float n, r;

	if (isnan(x))
		return ref_canonical(x);
	x = fminf(fmaxf(x, -104.0f), 89.0f);
	n = fmaf(x, 0x1.715476p+0f, 0x1.8p23f) - 0x1.8p23f;
	r = fmaf(n, -0x1.62e430p-1f, x);
	r = fmaf(n, 0x1.05c610p-29f, r);
	return ldexpf(horner(e, 7, r), (int)n);
}

float ref_log(float x)
{
	static const float l[] = {
		0x1.33cac4p-3f,	 -0x1.f7f68ep-4f, 0x1.9c4972p-4f,  -0x1.f81066p-4f, 0x1.2602cap-3f,
		-0x1.5574fap-3f, 0x1.999026p-3f,  -0x1.ffffb8p-3f, 0x1.55555ep-2f,  -0.5f};
	float m, f, y;
	int e;

	if (isnan(x) || x < 0.0f)
		return ref_float(0x7fc00000u);
	if (x == 0.0f || isinf(x))
		return x == 0.0f ? -INFINITY : x;
	m = frexpf(x, &e); /* 1/2 <= m < 1 */
	if (m < 0x1.555556p-1f) {
		m *= 2.0f;
		e--;
	}
	f = m - 1.0f;
	y = fmaf(f * f, horner(l, 10, f), f);
	return fmaf((float)e, 0x1.62e430p-1f, fmaf((float)e, -0x1.05c610p-29f, y));
}
