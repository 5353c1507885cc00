/* SPDX-License-Identifier: MIT */
/* Strided sets of bytes. */
#include "region.h"

struct igrad_region igrad_region(uint64_t start, uint64_t rows, uint64_t width, uint64_t pitch)
{
	if (rows > 1 && pitch <= width) {
		width += (rows - 1) * pitch;
		rows = 1;
	}
	return (struct igrad_region){start, width, rows > 1 ? pitch : 0, rows};
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * Row i of a meets row j of b if -(width of a) < distance + (j - i)·pitch < width of b, where the
 * distance is from a's start to b's: is there such a difference among those that exist?
 */
static bool overlap_at_pitch(const struct igrad_region *a, const struct igrad_region *b,
			     int64_t pitch)
{
	int64_t distance = (int64_t)(b->start - a->start);
	int64_t low = floor_div(distance - (int64_t)a->width, pitch) + 1;
	int64_t high = -floor_div(-(distance + (int64_t)b->width), pitch) - 1;

	if (low < 1 - (int64_t)b->rows)
		low = 1 - (int64_t)b->rows;
	if (high > (int64_t)a->rows - 1)
		high = (int64_t)a->rows - 1;
	return low <= high;
}

bool igrad_region_overlap(const struct igrad_region *a, const struct igrad_region *b)
{
	if (a->start >= igrad_region_end(b) || b->start >= igrad_region_end(a))
		return false;
	if (a->rows == 1 && b->rows == 1)
		return true;
	if (a->rows == 1 || b->rows == 1 || a->pitch == b->pitch)
		return overlap_at_pitch(a, b, (int64_t)(a->rows > 1 ? a->pitch : b->pitch));
	return true;
}

bool igrad_region_covers(const struct igrad_region *a, const struct igrad_region *b, uint64_t start,
			 uint64_t end)
{
	uint64_t b_end = igrad_region_end(b);
	uint64_t row, column;

	if (a->rows == 1) {
		start = b->start > start ? b->start : start;
		end = b_end < end ? b_end : end;
		return a->start <= start && end <= a->start + a->width;
	}
	if (b->start < a->start || (b->rows > 1 && b->pitch != a->pitch))
		return false;
	row = (b->start - a->start) / a->pitch;
	column = (b->start - a->start) % a->pitch;
	return row + b->rows <= a->rows && column + b->width <= a->width;
}
