/* SPDX-License-Identifier: MIT */
/*
 * Sets of bytes as commands touch them: rows of equal width, a pitch apart. What is contiguous is
 * one row.
 */
#ifndef IGRAD_REGION_H
#define IGRAD_REGION_H

#include <stdbool.h>
#include <stdint.h>

struct igrad_region {
	uint64_t start;
	uint64_t width; /* bytes of a row, at least 1 */
	uint64_t pitch; /* at least width; 0 if there is one row */
	uint64_t rows;	/* at least 1 */
};

/* igrad_region - for one row @pitch is ignored; one shorter than a row gives the span of all */
struct igrad_region igrad_region(uint64_t start, uint64_t rows, uint64_t width, uint64_t pitch);

/* igrad_region_end - the byte after the last */
static inline uint64_t igrad_region_end(const struct igrad_region *region)
{
	return region->start + (region->rows - 1) * region->pitch + region->width;
}

/*
 * igrad_region_overlap - may a byte be in both?
 *
 * Exact, unless both have several rows at different pitches: then their spans are compared.
 */
bool igrad_region_overlap(const struct igrad_region *a, const struct igrad_region *b);

/* igrad_region_covers - is every byte of @b that lies in [start, end) surely in @a? */
bool igrad_region_covers(const struct igrad_region *a, const struct igrad_region *b, uint64_t start,
			 uint64_t end);

#endif /* IGRAD_REGION_H */
