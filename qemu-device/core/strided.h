/* SPDX-License-Identifier: MIT */
/* Sets of bytes as commands touch them: rows of equal width, a pitch apart. */
#ifndef IGRAD_STRIDED_H
#define IGRAD_STRIDED_H

#include <stdbool.h>
#include <stdint.h>

#include "serial.h"

/* @pitch: at least @bytes; 0 if there is one row, and what is contiguous is one row */
struct igrad_strided {
	uint64_t addr;
	uint32_t pitch;
	uint32_t rows;
	uint32_t bytes; /* a row */
};

static inline struct igrad_strided igrad_strided(uint64_t addr, uint64_t pitch, uint64_t rows,
						 uint64_t bytes)
{
	if (rows == 1 || pitch == bytes)
		return (struct igrad_strided){addr, 0, 1, (uint32_t)(rows * bytes)};
	return (struct igrad_strided){addr, (uint32_t)pitch, (uint32_t)rows, (uint32_t)bytes};
}

static inline uint64_t igrad_strided_end(const struct igrad_strided *a)
{
	return a->addr + (uint64_t)(a->rows - 1) * a->pitch + a->bytes;
}

static inline bool igrad_strided_same(const struct igrad_strided *a, const struct igrad_strided *b)
{
	return a->addr == b->addr && a->pitch == b->pitch && a->rows == b->rows &&
	       a->bytes == b->bytes;
}

/** igrad_strided_meet - is there a byte in both? Exact, in a time that hardly depends on them */
bool igrad_strided_meet(const struct igrad_strided *a, const struct igrad_strided *b);

/** igrad_strided_transfer - save or load a set that ends by @end */
void igrad_strided_transfer(struct igrad_strided *a, struct igrad_serial *serial, uint64_t end);

#endif /* IGRAD_STRIDED_H */
