/* SPDX-License-Identifier: MIT */
#include "gather.h"

/* Some rows of a run: where they lie here and there. */
struct piece {
	uint8_t *sram;
	size_t pitch;
	float *stage;
	uint32_t rows;
};

/* On the way along the rows of a chunk. */
struct cursor {
	const struct igrad_run *run;
	uint32_t within; /* the run */
	uint32_t next;	 /* row of the chunk */
	uint32_t end;
};

static struct cursor start(const struct igrad_gather *gather, uint32_t begin, uint32_t end)
{
	struct cursor cursor = {.run = gather->runs, .within = begin, .next = begin, .end = end};

	while (begin < end && cursor.within >= cursor.run->count) {
		cursor.within -= cursor.run->count;
		cursor.run++;
	}
	return cursor;
}

static bool next_piece(const struct igrad_gather *gather, struct cursor *cursor,
		       struct piece *piece)
{
	const uint32_t left = cursor->end - cursor->next, stride = gather->stride;
	const struct igrad_run *run = cursor->run;
	uint64_t row;

	if (!left)
		return false;
	row = stride ? run->pixel + (uint64_t)cursor->within * stride : run->row + cursor->within;
	piece->sram = gather->sram + row * gather->pitch;
	piece->pitch = (stride ? stride : 1) * gather->pitch;
	piece->stage = gather->stage + cursor->next * gather->stage_row;
	piece->rows = run->count - cursor->within < left ? run->count - cursor->within : left;
	cursor->next += piece->rows;
	cursor->within = 0;
	cursor->run++;
	return true;
}

void igrad_gather(const struct igrad_gather *gather, const struct igrad_kernels *kernels,
		  uint32_t begin, uint32_t end)
{
	struct cursor cursor = start(gather, begin, end);
	struct piece piece;

	while (next_piece(gather, &cursor, &piece)) {
		if (!gather->bf16) {
			kernels->copy(piece.stage, gather->stage_row,
				      (const float *)(const void *)piece.sram,
				      piece.pitch / sizeof(float), piece.rows, gather->words);
			continue;
		}
		for (size_t i = 0; i < piece.rows; i++)
			kernels->widen(
				piece.stage + i * gather->stage_row,
				(const uint16_t *)(const void *)(piece.sram + i * piece.pitch),
				gather->words);
	}
}

void igrad_scatter(const struct igrad_gather *gather, const struct igrad_kernels *kernels,
		   uint32_t begin, uint32_t end)
{
	struct cursor cursor = start(gather, begin, end);
	struct piece piece;

	while (next_piece(gather, &cursor, &piece))
		kernels->copy((float *)(void *)piece.sram, piece.pitch / sizeof(float), piece.stage,
			      gather->stage_row, piece.rows, gather->words);
}
