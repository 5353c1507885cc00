/* SPDX-License-Identifier: MIT */
/*
 * SRAM as an operation sees it: a bump allocator, and matrices that are brought in block by block.
 *
 * A window maps a matrix in DRAM to a few slots in SRAM, each of one block's size. Asking for a
 * part of a block makes room for the block, if need be by writing back the one that has been there
 * the longest, and brings in what was asked for. Blocks move in pieces, about a tile of the array
 * each, so that computing begins with the first piece, a piece that is final leaves while the next
 * is worked on, and a piece comes in as soon as the one that was in its place has left: commands
 * only wait for what they depend on. All this happens while commands are being built: what comes
 * out is a plain command stream. Internal.
 */
#ifndef IGRAD_SRAM_H
#define IGRAD_SRAM_H

#include "tile.h"

/** igrad_sram_device - the device whose SRAM commands of @cmdbuf use */
const struct igrad_device_info *igrad_sram_device(const struct igrad_cmdbuf *cmdbuf);

/**
 * igrad_sram_reserve - where an operation that needs @bytes of SRAM puts them
 *
 * Operations go round SRAM, so that one may load while the one before it still computes.
 */
uint32_t igrad_sram_reserve(struct igrad_cmdbuf *cmdbuf, uint32_t bytes);

/** struct igrad_sram - what is left of SRAM; allocations live until the operation's end */
struct igrad_sram {
	uint32_t next;
	uint32_t end;
};

/** igrad_sram_alloc - whole words; -ENOSPC when @bytes do not fit */
int igrad_sram_alloc(struct igrad_sram *sram, uint64_t bytes, uint32_t *addr);

/* What a piece of a slot holds. */
enum igrad_piece_state {
	IGRAD_PIECE_EMPTY = 0,
	IGRAD_PIECE_CLEAN, /* the same as in DRAM */
	IGRAD_PIECE_DIRTY, /* to be written back */
};

struct igrad_slot {
	uint32_t addr;
	uint32_t row;
	uint32_t col;
	bool valid;
	uint8_t *pieces; /* enum igrad_piece_state, row by row */
};

/**
 * struct igrad_visits - in which order blocks are asked for
 * @by_columns: column after column of blocks, else row after row
 * @sweep: that many consecutive blocks are asked for again and again, before the next ones are; 1:
 *         a block is not asked for again when another one has been
 * @times: how often each sweep is made
 *
 * Slots that hold a sweep go round. If there are fewer, two take turns and the others stay with
 * the first blocks of the sweep: so what does not fit is streamed, and the rest is loaded once.
 */
struct igrad_visits {
	bool by_columns;
	uint32_t sweep;
	uint32_t times;
};

/**
 * struct igrad_window - a matrix seen through SRAM
 * @home: where it lives in DRAM, or NULL: scratch, whose blocks are lost when their slot is reused
 * @dtype: of its elements in SRAM
 * @whole: must not leave SRAM before it is final: what is in DRAM has fewer bits
 * @size: of the whole matrix
 * @block: of a block, in rows and columns; blocks at the edges are smaller
 * @piece: of what is moved at once; pieces at a block's edges are smaller
 * @visits: how its blocks will be asked for
 * @relu: a window of the same geometry, or NULL: pieces brought in are zeroed where it is not
 * positive
 * @across: pieces in a row of pieces of a block
 */
struct igrad_window {
	const struct igrad_matrix *home;
	enum igrad_element dtype;
	bool whole;
	struct igrad_size size;
	struct igrad_size block;
	struct igrad_size piece;
	struct igrad_visits visits;
	struct igrad_window *relu;
	struct igrad_slot *slots;
	uint8_t *pieces;
	uint32_t across;
	uint32_t num_slots;
	uint32_t victim;
};

/** igrad_window_blocks - how many blocks of @block a matrix of @size has */
uint64_t igrad_window_blocks(struct igrad_size size, struct igrad_size block);

/** igrad_window_pinned - blocks of a sweep that keep their slots when @num_slots do not hold it */
static inline uint32_t igrad_window_pinned(uint32_t num_slots)
{
	return num_slots > 2 ? num_slots - 2 : 0;
}

/** igrad_window_init - allocate @num_slots slots; -ENOSPC, -ENOMEM */
int igrad_window_init(struct igrad_window *window, struct igrad_sram *sram,
		      const struct igrad_matrix *home, enum igrad_element dtype,
		      struct igrad_size size, struct igrad_size block, struct igrad_size piece,
		      uint32_t num_slots, struct igrad_visits visits);
void igrad_window_fini(struct igrad_window *window);

enum igrad_window_use {
	IGRAD_USE_IN,	 /* the contents are needed and stay as they are */
	IGRAD_USE_OUT,	 /* they will be written, and nothing was there before */
	IGRAD_USE_INOUT, /* they are needed and will change */
};

/** struct igrad_part - part of a matrix; it must not cross the edge of a block */
struct igrad_part {
	uint32_t row;
	uint32_t col;
	struct igrad_size size;
};

/** igrad_window_get - where @part is; valid until the next call for this window */
struct igrad_place igrad_window_get(struct igrad_window *window, struct igrad_emitter *e,
				    struct igrad_part part, enum igrad_window_use use);

/**
 * igrad_window_ahead - bring in @part now, which will be needed later
 * @now: what is needed before that: if there is no room for both nothing happens
 */
void igrad_window_ahead(struct igrad_window *window, struct igrad_emitter *e,
			struct igrad_part part, struct igrad_part now);

/**
 * igrad_window_done - @part will not change again: write back the pieces that it completes
 *
 * The last element of a piece must be the last to become final.
 */
void igrad_window_done(struct igrad_window *window, struct igrad_emitter *e,
		       struct igrad_part part);

/** igrad_window_flush - write back what has changed */
void igrad_window_flush(struct igrad_window *window, struct igrad_emitter *e);

#endif /* IGRAD_SRAM_H */
