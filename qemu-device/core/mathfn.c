/* SPDX-License-Identifier: MIT */
#include "mathfn.h"

static float log_finite(float x, float e)
{
	const uint32_t bits = igrad_bits_of(x);
	const uint32_t two_thirds = igrad_bits_of(0x1.555556p-1f);
	const int32_t exponent = (int32_t)(bits - two_thirds) >> 23;
	const float f = igrad_of_bits(bits - ((uint32_t)exponent << 23)) - 1.0f;
	const float square = f * f;
	float p = IGRAD_L11;

	e += (float)exponent;
	p = fmaf(p, f, IGRAD_L10);
	p = fmaf(p, f, IGRAD_L9);
	p = fmaf(p, f, IGRAD_L8);
	p = fmaf(p, f, IGRAD_L7);
	p = fmaf(p, f, IGRAD_L6);
	p = fmaf(p, f, IGRAD_L5);
	p = fmaf(p, f, IGRAD_L4);
	p = fmaf(p, f, IGRAD_L3);
	p = fmaf(p, f, -0.5f);
	return fmaf(e, IGRAD_LN2_HI, fmaf(e, IGRAD_LN2_LO, fmaf(square, p, f)));
}

float igrad_log(float x)
{
	if (x != x || x < 0.0f)
		return igrad_of_bits(0x7fc00000u);
	if (x == 0.0f)
		return -INFINITY;
	if (x == INFINITY)
		return x;
	return x < 0x1p-126f ? log_finite(x * 0x1p23f, -23.0f) : log_finite(x, 0.0f);
}
