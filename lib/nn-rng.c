// SPDX-License-Identifier: MIT
/* Random numbers: xoshiro256** of Blackman and Vigna, its state filled by splitmix64. */
#include "igrad/nn.h"

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t rotate_left(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

void igrad_rng_seed(struct igrad_rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		rng->s[i] = splitmix64(&seed);
}

uint64_t igrad_rng_next(struct igrad_rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

/* High 64 bits of a 128-bit product, by halves; C11 has no 128-bit integer. */
static uint64_t multiply_high(uint64_t a, uint64_t b)
{
	uint64_t a1 = a >> 32, a0 = (uint32_t)a, b1 = b >> 32, b0 = (uint32_t)b;
	uint64_t mid = a1 * b0 + (a0 * b0 >> 32);
	uint64_t mid2 = a0 * b1 + (uint32_t)mid;

	return a1 * b1 + (mid >> 32) + (mid2 >> 32);
}

uint64_t igrad_rng_below(struct igrad_rng *rng, uint64_t n)
{
	return multiply_high(igrad_rng_next(rng), n);
}

float igrad_rng_float(struct igrad_rng *rng)
{
	return (float)(igrad_rng_next(rng) >> 40) * 0x1p-24f;
}

void igrad_rng_shuffle(struct igrad_rng *rng, uint32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i-- > 1;) {
		uint32_t j = igrad_rng_below(rng, (uint64_t)i + 1);
		uint32_t swapped = order[i];

		order[i] = order[j];
		order[j] = swapped;
	}
}
