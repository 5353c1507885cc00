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

/*
 * Rows a multiple of 1 KiB apart crowd into a few sets of the first-level cache: the rows of a that
 * a block works on are copied side by side then.
 */
static bool crowded(size_t row)
{
	return row % 256 == 0 && row;
}

#define COPY_ROW (K_BLOCK + 16)

INLINE void copy_rows(float *d, size_t d_row, const float *s, size_t s_row, size_t rows, size_t n)
{
	for (size_t i = 0; i < rows; i++) {
		size_t j = 0;

		for (; j + LANES <= n; j += LANES)
			STORE(d + i * d_row + j, LOAD(s + i * s_row + j));
		if (j < n)
			STORE_MASK(d + i * d_row + j, LOAD_MASK(s + i * s_row + j, MASK_OF(n - j)),
				   MASK_OF(n - j));
	}
}

/* The tile with the rows i … i + mr - 1 of a and c alone. */
INLINE struct igrad_tile rows_of(const struct igrad_tile *t, float *copy, size_t i, size_t mr)
{
	struct igrad_tile rows = *t;

	rows.a += i * t->a_row;
	rows.c += i * t->c_row;
	if (t->a_step == 1 && crowded(t->a_row)) {
		copy_rows(copy, COPY_ROW, rows.a, t->a_row, mr, t->k);
		rows.a = copy;
		rows.a_row = COPY_ROW;
	}
	return rows;
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

/* All rows of one column of blocks, nv vectors wide. */
INLINE void block_column(const struct igrad_tile *t, float *copy, const unsigned int nv,
			 const bool masked, MASK mask)
{
	struct igrad_tile rows;
	size_t i = 0;

	for (; i + MR <= t->m; i += MR) {
		rows = rows_of(t, copy, i, MR);
		block(&rows, MR, nv, masked, mask);
	}
	for (; i + 4 <= t->m; i += 4) {
		rows = rows_of(t, copy, i, 4);
		block(&rows, 4, nv, masked, mask);
	}
	for (; i < t->m; i++) {
		rows = rows_of(t, copy, i, 1);
		block(&rows, 1, nv, masked, mask);
	}
}

TARGET static void all_columns(const struct igrad_tile *t)
{
	const MASK all = MASK_OF(LANES);
	struct igrad_tile columns = *t;
	float copy[MR * COPY_ROW];

	for (size_t left = t->n; left;) {
		const size_t n = left < 2 * LANES ? left : 2 * LANES;

		if (n == 2 * LANES)
			block_column(&columns, copy, 2, false, all);
		else if (n > LANES)
			block_column(&columns, copy, 2, true, MASK_OF(n - LANES));
		else if (n == LANES)
			block_column(&columns, copy, 1, false, all);
		else
			block_column(&columns, copy, 1, true, MASK_OF(n));
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
