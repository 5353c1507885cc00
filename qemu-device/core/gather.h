/* SPDX-License-Identifier: MIT */
/* Rows of SRAM that a windowed stream stands on, brought together and taken back. */
#ifndef IGRAD_GATHER_H
#define IGRAD_GATHER_H

#include "kernels.h"
#include "window.h"

/**
 * struct igrad_gather - an operand of a chunk of valid rows
 * @runs: the chunk's rows, in order
 * @sram: of the stream's row 0, or of pixel 0
 * @pitch: bytes from one row or pixel to the next
 * @stride: 0: rows are the stream's; else they are pixels, so many from one to the next of a run
 * @bf16: what lies in SRAM is
 * @words: of a row
 * @stage: row i of the chunk begins at @stage[i·@stage_row]
 */
struct igrad_gather {
	const struct igrad_run *runs;
	uint8_t *sram;
	size_t pitch;
	uint32_t stride;
	bool bf16;
	uint32_t words;
	float *stage;
	size_t stage_row;
};

/* Rows @begin … @end - 1 of the chunk: from SRAM to the stage, and back. */
void igrad_gather(const struct igrad_gather *gather, const struct igrad_kernels *kernels,
		  uint32_t begin, uint32_t end);
void igrad_scatter(const struct igrad_gather *gather, const struct igrad_kernels *kernels,
		   uint32_t begin, uint32_t end);

#endif /* IGRAD_GATHER_H */
