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

/* So much of b as a column of blocks uses stays in the first-level cache. */
#define K_BLOCK 256

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

/* Rows of @n words, bits unchanged. */
TARGET static void copy(float *d, size_t d_row, const float *a, size_t a_row, size_t rows, size_t n)
{
	const size_t tail = n % LANES;

	for (size_t i = 0; i < rows; i++, d += d_row, a += a_row) {
		for (size_t j = 0; j + LANES <= n; j += LANES)
			STORE(d + j, LOAD(a + j));
		if (tail)
			STORE_MASK(d + n - tail, LOAD_MASK(a + n - tail, MASK_OF(tail)),
				   MASK_OF(tail));
	}
}

/*
 * Rows a multiple of 1 KiB apart crowd into a few sets of the first-level cache: more than a few of
 * them would throw each other out while a block works on them.
 */
static bool crowded(const struct igrad_tile *t)
{
	return t->a_step == 1 && (t->a_row % 256 == 0 || t->c_row % 256 == 0);
}

INLINE void block(const struct igrad_tile *t, const unsigned int mr, const unsigned int nv,
		  const bool masked, MASK mask)
{
	const size_t a_row = t->a_row, a_row3 = 3 * a_row, a_step = t->a_step, b_row = t->b_row;
	const float *a[QUADS];
	const float *b = t->b;
	float *c = t->c;
	VEC s[MR][2];

	UNROLL
	for (unsigned int q = 0; q < (mr + 3) / 4; q++)
		a[q] = t->a + q * 4 * a_row;
	UNROLL
	for (unsigned int r = 0; r < mr; r++) {
		UNROLL
		for (unsigned int v = 0; v < nv; v++)
			s[r][v] = t->add ? load_c(c + r * t->c_row + v * LANES,
						  masked && v + 1 == nv, mask)
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

/* The last rows, if they are better done four by four than as a large block and single ones. */
static bool fours(size_t rows)
{
	return rows < 2 * MR && rows % 4 == 0 && rows % MR % 4;
}

INLINE void skip_rows(struct igrad_tile *t, size_t rows)
{
	t->a += rows * t->a_row;
	t->c += rows * t->c_row;
	t->m -= rows;
}

/* All rows of one column of blocks, nv vectors wide. */
INLINE void block_column(struct igrad_tile t, const unsigned int nv, const bool masked, MASK mask)
{
	for (; t.m >= MR && !crowded(&t) && !fours(t.m); skip_rows(&t, MR))
		block(&t, MR, nv, masked, mask);
	for (; t.m >= 4; skip_rows(&t, 4))
		block(&t, 4, nv, masked, mask);
	for (; t.m; skip_rows(&t, 1))
		block(&t, 1, nv, masked, mask);
}

TARGET static void all_columns(const struct igrad_tile *t)
{
	const MASK all = MASK_OF(LANES);
	struct igrad_tile columns = *t;

	for (size_t left = t->n; left;) {
		const size_t n = left < 2 * LANES ? left : 2 * LANES;

		if (n == 2 * LANES)
			block_column(columns, 2, false, all);
		else if (n > LANES)
			block_column(columns, 2, true, MASK_OF(n - LANES));
		else if (n == LANES)
			block_column(columns, 1, false, all);
		else
			block_column(columns, 1, true, MASK_OF(n));
		columns.b += n;
		columns.c += n;
		left -= n;
	}
}

/* A long sum is continued in c: the same roundings in the same order. */
TARGET static void tile(const struct igrad_tile *whole)
{
	struct igrad_tile t = *whole;

	for (size_t k = 0; k < whole->k; k += t.k) {
		t.k = whole->k - k < K_BLOCK ? whole->k - k : K_BLOCK;
		t.a = whole->a + k * whole->a_step;
		t.b = whole->b + k * whole->b_row;
		t.add = whole->add || k;
		all_columns(&t);
	}
}
