/* SPDX-License-Identifier: MIT */
/* bf16 on the host: the upper half of an fp32 word. Internal. */
#ifndef IGRAD_BF16_H
#define IGRAD_BF16_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/** igrad_bf16_of - to nearest even, as the device's DMA rounds */
static inline uint16_t igrad_bf16_of(float value)
{
	uint32_t bits;

	if (isnan(value))
		return 0x7fc0;
	memcpy(&bits, &value, sizeof(bits));
	return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/** igrad_bf16_value - exact */
static inline float igrad_bf16_value(uint16_t half)
{
	uint32_t bits = (uint32_t)half << 16;
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

#endif /* IGRAD_BF16_H */
