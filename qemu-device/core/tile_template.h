/* SPDX-License-Identifier: MIT */
/*
 * The tile product for one vector instruction set. The including file defines
 *
 *   TARGET, VEC, LANES, MASK        attribute, vector type, its length, type of a lane mask
 *   MASK_OF(n)                      the leading n lanes, 1 … LANES
 *   LOAD(p), LOAD_MASK(p, m), STORE(p, v), STORE_MASK(p, v, m)
 *   ZERO(), SPLAT(p), FMA(a, b, c), CANONICAL(v)
 *   MR                              rows of the largest block, a multiple of 4 or 2
 *
 * A block of MR × 2 vectors of c stays in registers while k runs; its addends come in the order of
 * k, one fused multiply-add each. Blocks of fewer rows end a tile.
 */
#define INLINE static inline __attribute__((always_inline)) TARGET

/* So much of b as a block column uses stays in the first-level cache. */
#define K_BLOCK 512

/* Addresses of rows are pointer + {0, 1, 2, 3}·row: few enough registers for every MR. */
#define QUADS ((MR + 3) / 4)

INLINE VEC load_c(const float *p, bool masked, MASK mask)
{
	return masked ? LOAD_MASK(p, mask) : LOAD(p);
}

INLINE void store_c(float *p, VEC v, bool masked, MASK mask)
{
	if (masked)
		STORE_MASK(p, CANONICAL(v), mask);
	else
		STORE(p, CANONICAL(v));
}

INLINE void block(const struct igrad_tile *t, size_t i, size_t j, bool add, const unsigned int mr,
		  const unsigned int nv, const bool masked, MASK mask)
{
	const size_t a_row = t->a_row, a_row3 = 3 * a_row, a_step = t->a_step, b_row = t->b_row;
	const float *a[QUADS];
	const float *b = t->b + j;
	float *c = t->c + i * t->c_row + j;
	VEC s[MR][2];

	UNROLL
	for (unsigned int q = 0; q < (mr + 3) / 4; q++)
		a[q] = t->a + (i + q * 4) * a_row;
	UNROLL
	for (unsigned int r = 0; r < mr; r++) {
		UNROLL
		for (unsigned int v = 0; v < nv; v++)
			s[r][v] = add ? load_c(c + r * t->c_row + v * LANES, masked && v + 1 == nv,
					       mask)
				      : ZERO();
	}
	for (size_t k = t->k; k; k--) {
		VEC bv[2];

		UNROLL
		for (unsigned int v = 0; v < nv; v++)
			bv[v] = load_c(b + v * LANES, masked && v + 1 == nv, mask);
		UNROLL
		for (unsigned int r = 0; r < mr; r++) {
			const size_t off = r % 4 == 3 ? a_row3 : (r % 4) * a_row;
			const VEC av = SPLAT(a[r / 4] + off);

			UNROLL
			for (unsigned int v = 0; v < nv; v++)
				s[r][v] = FMA(av, bv[v], s[r][v]);
		}
		UNROLL
		for (unsigned int q = 0; q < (mr + 3) / 4; q++)
			a[q] += a_step;
		b += b_row;
	}
	UNROLL
	for (unsigned int r = 0; r < mr; r++) {
		UNROLL
		for (unsigned int v = 0; v < nv; v++)
			store_c(c + r * t->c_row + v * LANES, s[r][v], masked && v + 1 == nv, mask);
	}
}

/* All rows of one column of blocks, nv vectors wide. */
INLINE void block_column(const struct igrad_tile *t, size_t j, bool add, const unsigned int nv,
			 const bool masked, MASK mask)
{
	size_t i = 0;

	for (; i + MR <= t->m; i += MR)
		block(t, i, j, add, MR, nv, masked, mask);
	for (; i + 4 <= t->m; i += 4)
		block(t, i, j, add, 4, nv, masked, mask);
	for (; i < t->m; i++)
		block(t, i, j, add, 1, nv, masked, mask);
}

TARGET static void columns(const struct igrad_tile *t, bool add)
{
	const MASK all = MASK_OF(LANES);
	size_t j = 0;

	for (; j + 2 * LANES <= t->n; j += 2 * LANES)
		block_column(t, j, add, 2, false, all);
	if (t->n - j > LANES)
		block_column(t, j, add, 2, true, MASK_OF(t->n - j - LANES));
	else if (t->n - j == LANES)
		block_column(t, j, add, 1, false, all);
	else if (t->n > j)
		block_column(t, j, add, 1, true, MASK_OF(t->n - j));
}

/* A long sum is continued in c: the same roundings in the same order. */
TARGET static void tile(const struct igrad_tile *whole)
{
	struct igrad_tile t = *whole;

	for (size_t k = 0; k < whole->k; k += t.k) {
		t.k = whole->k - k < K_BLOCK ? whole->k - k : K_BLOCK;
		t.a = whole->a + k * whole->a_step;
		t.b = whole->b + k * whole->b_row;
		columns(&t, whole->add || k);
	}
}
