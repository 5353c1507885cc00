/* SPDX-License-Identifier: MIT */
/* bf16: the upper half of an fp32 word. Branch-free, so that loops of it vectorise. */
#ifndef IGRAD_BF16_H
#define IGRAD_BF16_H

#include "mathfn.h"

/* Every value of it is one of fp32, NaNs included. */
IGRAD_INLINE float igrad_of_bf16(uint16_t value)
{
	return igrad_of_bits((uint32_t)value << 16);
}

/* To nearest, ties to even; the exponents are fp32's, so subnormals and overflow need no care. */
IGRAD_INLINE uint16_t igrad_bf16_of(float value)
{
	const uint32_t bits = igrad_bits_of(value);
	const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;

	return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

#endif /* IGRAD_BF16_H */
