/* SPDX-License-Identifier: MIT */
#include "strided.h"

static bool row_meets(uint64_t begin, uint64_t bytes, const struct igrad_strided *b)
{
	uint64_t within;

	if (begin >= igrad_strided_end(b) || begin + bytes <= b->addr)
		return false;
	if (begin < b->addr || b->rows == 1)
		return true;
	within = (begin - b->addr) % b->pitch;
	return within < b->bytes || within + bytes > b->pitch;
}

/* The sum of ⌊(a·i + b) / m⌋ over 0 ≤ i < n, modulo 2^64: by Euclid's steps on a and m. */
static uint64_t floor_sum(uint64_t n, uint64_t m, uint64_t a, uint64_t b)
{
	uint64_t sum = 0;

	for (;;) {
		uint64_t top, from = m;

		sum += n * (n - 1) / 2 * (a / m) + n * (b / m);
		a %= m;
		b %= m;
		top = a * n + b;
		if (top < m)
			return sum;
		n = top / m;
		b = top % m;
		m = a;
		a = from;
	}
}

/* Is (step·i + offset) mod m below @limit for some 0 ≤ i < n? Where it is, the two quotients
 * differ.
 */
static bool comes_below(uint64_t n, uint64_t m, uint64_t step, uint64_t offset, uint64_t limit)
{
	step %= m;
	offset %= m;
	if (limit >= m || offset < limit)
		return true;
	if (!step)
		return false;
	return floor_sum(n, m, step, offset) + n != floor_sum(n, m, step, offset + m - limit);
}

/*
 * Rows of a that lie within b's span see b as if it went on for ever, so that only where they begin
 * modulo b's pitch matters. At either end one row can stick out.
 */
bool igrad_strided_meet(const struct igrad_strided *a, const struct igrad_strided *b)
{
	const uint64_t b_end = igrad_strided_end(b);
	uint64_t first = 0, inside;

	if (a->addr >= b_end || b->addr >= igrad_strided_end(a))
		return false;
	if (a->rows == 1)
		return row_meets(a->addr, a->bytes, b);
	if (b->rows == 1)
		return row_meets(b->addr, b->bytes, a);

	if (a->addr < b->addr) {
		first = (b->addr - a->addr + a->pitch - 1) / a->pitch;
		if (row_meets(a->addr + (first - 1) * a->pitch, a->bytes, b))
			return true;
	}
	if (first >= a->rows || a->addr + first * a->pitch >= b_end)
		return false;
	inside = b_end - (a->addr + first * a->pitch); /* at least 1 */
	inside = inside < a->bytes ? 0 : (inside - a->bytes) / a->pitch + 1;
	if (inside > a->rows - first)
		inside = a->rows - first;
	if (first + inside < a->rows &&
	    row_meets(a->addr + (first + inside) * a->pitch, a->bytes, b))
		return true;
	return inside && comes_below(inside, b->pitch, a->pitch,
				     a->addr + first * a->pitch - b->addr + a->bytes - 1,
				     (uint64_t)a->bytes + b->bytes - 1);
}

void igrad_strided_transfer(struct igrad_strided *a, struct igrad_serial *serial, uint64_t end)
{
	igrad_serial_u64(serial, &a->addr);
	igrad_serial_u32(serial, &a->pitch);
	igrad_serial_u32(serial, &a->rows);
	igrad_serial_u32(serial, &a->bytes);
	if (!igrad_serial_check(serial, a->rows && a->bytes && a->addr < end &&
						(a->rows == 1 ? !a->pitch : a->pitch > a->bytes)))
		return;
	/* first that nothing wraps */
	igrad_serial_check(serial, (a->rows == 1 || a->rows - 1 <= (end - a->addr) / a->pitch) &&
					   igrad_strided_end(a) <= end);
}
