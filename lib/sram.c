// SPDX-License-Identifier: MIT
/* SRAM allocation, and matrices seen through SRAM. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmdbuf.h"
#include "sram.h"

const struct igrad_device_info *igrad_sram_device(const struct igrad_cmdbuf *cmdbuf)
{
	return igrad_device_info(cmdbuf->device);
}

uint32_t igrad_sram_reserve(struct igrad_cmdbuf *cmdbuf, uint32_t bytes)
{
	uint32_t start = cmdbuf->sram_next;

	if (bytes > igrad_sram_device(cmdbuf)->sram_bytes - start)
		start = 0;
	cmdbuf->sram_next = start + bytes;
	return start;
}

int igrad_sram_alloc(struct igrad_sram *sram, uint64_t bytes, uint32_t *addr)
{
	if (bytes > sram->end - sram->next)
		return -ENOSPC;
	*addr = sram->next;
	sram->next += (bytes + 3) / 4 * 4;
	return 0;
}

static uint32_t div_up(uint32_t a, uint32_t b)
{
	return a / b + (a % b != 0);
}

uint64_t igrad_window_blocks(struct igrad_size size, struct igrad_size block)
{
	return (uint64_t)div_up(size.rows, block.rows) * div_up(size.cols, block.cols);
}

/* Pieces of a block: how many, and how many in a row. */
static uint64_t block_pieces(const struct igrad_window *window)
{
	return igrad_window_blocks(window->block, window->piece);
}

static uint64_t slot_bytes(const struct igrad_window *window)
{
	return (uint64_t)window->block.rows * window->block.cols *
	       igrad_element_bytes(window->dtype);
}

static int init_slots(struct igrad_window *window, struct igrad_sram *sram)
{
	uint64_t bytes = slot_bytes(window);

	for (uint32_t i = 0; i < window->num_slots; i++) {
		struct igrad_slot *slot = &window->slots[i];
		int err = igrad_sram_alloc(sram, bytes, &slot->addr);

		if (err)
			return err;
		slot->pieces = window->pieces + i * block_pieces(window);
	}
	return 0;
}

int igrad_window_init(struct igrad_window *window, struct igrad_sram *sram,
		      const struct igrad_matrix *home, enum igrad_element dtype,
		      struct igrad_size size, struct igrad_size block, struct igrad_size piece,
		      uint32_t num_slots, struct igrad_visits visits)
{
	*window = (struct igrad_window){
		.home = home,
		.dtype = dtype,
		.whole = home && dtype == IGRAD_FP32 && home->dtype == IGRAD_BF16,
		.size = size,
		.block = block,
		.piece = piece,
		.visits = visits,
		.across = div_up(block.cols, piece.cols),
		.num_slots = num_slots,
		.victim = num_slots - 1,
	};
	window->slots = calloc(num_slots, sizeof(*window->slots));
	window->pieces = calloc(num_slots, block_pieces(window));
	if (!window->slots || !window->pieces)
		return -ENOMEM;
	return init_slots(window, sram);
}

void igrad_window_fini(struct igrad_window *window)
{
	free(window->slots);
	free(window->pieces);
	window->slots = NULL;
	window->pieces = NULL;
	window->num_slots = 0;
}

/* ---------------------------------------------------------------- pieces */

static struct igrad_place slot_place(const struct igrad_window *window,
				     const struct igrad_slot *slot)
{
	return (struct igrad_place){
		slot->addr, window->block.cols * igrad_element_bytes(window->dtype), window->dtype};
}

/* How many of @want rows or columns from @at on a matrix of @size and a block beginning at @start
 * have. */
static uint32_t clip(uint32_t size, uint32_t start, uint32_t block, uint32_t at, uint32_t want)
{
	uint32_t end = start + igrad_min(block, size - start);

	return igrad_min(want, end - at);
}

/* The piece with number @index of a slot, as part of the matrix. */
static struct igrad_part piece_part(const struct igrad_window *window,
				    const struct igrad_slot *slot, uint32_t index)
{
	struct igrad_part part = {
		.row = slot->row + index / window->across * window->piece.rows,
		.col = slot->col + index % window->across * window->piece.cols,
	};

	part.size.rows = clip(window->size.rows, slot->row, window->block.rows, part.row,
			      window->piece.rows);
	part.size.cols = clip(window->size.cols, slot->col, window->block.cols, part.col,
			      window->piece.cols);
	return part;
}

static struct igrad_place part_place(const struct igrad_window *window,
				     const struct igrad_slot *slot, const struct igrad_part *part)
{
	return igrad_place_at(slot_place(window, slot), part->row - slot->row,
			      part->col - slot->col);
}

static void write_back(struct igrad_window *window, struct igrad_emitter *e,
		       struct igrad_slot *slot, uint32_t index)
{
	struct igrad_part part;

	if (slot->pieces[index] != IGRAD_PIECE_DIRTY)
		return;
	slot->pieces[index] = IGRAD_PIECE_CLEAN;
	if (!window->home)
		return;
	part = piece_part(window, slot, index);
	igrad_emit_store_late(e, window->home, part.row, part.col, part.size,
			      part_place(window, slot, &part));
}

static void bring_in(struct igrad_window *window, struct igrad_emitter *e, struct igrad_slot *slot,
		     uint32_t index)
{
	struct igrad_part part = piece_part(window, slot, index);
	struct igrad_place place = part_place(window, slot, &part);

	if (!window->home) {
		if (!e->err)
			e->err = -EINVAL; /* scratch that was lost: the plan is wrong */
		return;
	}
	igrad_emit_load(e, window->home, part.row, part.col, part.size, place);
	if (window->relu)
		igrad_emit_relu_grad(e, part.size,
				     igrad_window_get(window->relu, e, part, IGRAD_USE_IN), place);
}

/* ---------------------------------------------------------------- slots */

/* Where a block comes in the order of visits. */
static uint64_t place_in_order(const struct igrad_window *window, uint32_t row, uint32_t col)
{
	uint64_t block_row = row / window->block.rows, block_col = col / window->block.cols;

	if (window->visits.by_columns)
		return block_col * div_up(window->size.rows, window->block.rows) + block_row;
	return block_row * div_up(window->size.cols, window->block.cols) + block_col;
}

/* The slot that is the block's own, or that holds it, else NULL. */
static struct igrad_slot *find_slot(struct igrad_window *window, uint32_t row, uint32_t col)
{
	uint32_t pinned = igrad_window_pinned(window->num_slots);
	uint64_t place = place_in_order(window, row, col);

	if (window->visits.sweep <= window->num_slots)
		return &window->slots[place % window->num_slots];
	if (place % window->visits.sweep < pinned)
		return &window->slots[place % window->visits.sweep];
	for (uint32_t i = pinned; i < window->num_slots; i++) {
		struct igrad_slot *slot = &window->slots[i];

		if (slot->valid && slot->row == row && slot->col == col)
			return slot;
	}
	return NULL;
}

/* Of the slots that take turns, the one whose turn it is. */
static uint32_t next_victim(const struct igrad_window *window)
{
	return window->victim + 1 < window->num_slots ? window->victim + 1
						      : igrad_window_pinned(window->num_slots);
}

static struct igrad_slot *oldest_slot(struct igrad_window *window)
{
	window->victim = next_victim(window);
	return &window->slots[window->victim];
}

static void write_back_all(struct igrad_window *window, struct igrad_emitter *e,
			   struct igrad_slot *slot)
{
	bool dirty = false;

	for (uint32_t i = 0; slot->valid && i < block_pieces(window); i++) {
		dirty |= slot->pieces[i] == IGRAD_PIECE_DIRTY;
		if (window->whole && slot->pieces[i] == IGRAD_PIECE_DIRTY && !e->err)
			e->err = -EINVAL; /* it would be rounded too early: the plan is wrong */
		write_back(window, e, slot, i);
	}
	if (dirty) /* it is not final, and may soon be loaded again */
		igrad_emit_late(e);
}

/* The slot that holds the block beginning at (@row, @col), or from now on does. */
static struct igrad_slot *slot_for(struct igrad_window *window, struct igrad_emitter *e,
				   uint32_t row, uint32_t col)
{
	struct igrad_slot *slot = find_slot(window, row, col);

	if (!slot)
		slot = oldest_slot(window);
	if (!slot->valid || slot->row != row || slot->col != col) {
		write_back_all(window, e, slot);
		slot->row = row;
		slot->col = col;
		slot->valid = true;
		memset(slot->pieces, IGRAD_PIECE_EMPTY, block_pieces(window));
	}
	return slot;
}

/* ---------------------------------------------------------------- use */

/* Numbers of the first and the last piece in @part, in one direction. */
struct range {
	uint32_t first;
	uint32_t last;
};

static struct range pieces_of(uint32_t at, uint32_t size, uint32_t piece)
{
	return (struct range){at / piece, (at + size - 1) / piece};
}

/* What was in a piece's place, and is to be stored, has to be stored now. */
static void leave(const struct igrad_window *window, struct igrad_emitter *e,
		  const struct igrad_slot *slot, uint32_t index)
{
	struct igrad_part part = piece_part(window, slot, index);

	igrad_emit_late_from(e, part_place(window, slot, &part).addr);
}

struct igrad_place igrad_window_get(struct igrad_window *window, struct igrad_emitter *e,
				    struct igrad_part part, enum igrad_window_use use)
{
	uint32_t row = part.row % window->block.rows, col = part.col % window->block.cols;
	struct range down = pieces_of(row, part.size.rows, window->piece.rows);
	struct range right = pieces_of(col, part.size.cols, window->piece.cols);
	struct igrad_slot *slot = slot_for(window, e, part.row - row, part.col - col);

	for (uint32_t r = down.first; r <= down.last; r++) {
		for (uint32_t c = right.first; c <= right.last; c++) {
			uint32_t index = r * window->across + c;
			uint8_t *state = &slot->pieces[index];

			if (*state == IGRAD_PIECE_EMPTY) {
				leave(window, e, slot, index);
				if (use != IGRAD_USE_OUT)
					bring_in(window, e, slot, index);
				*state = IGRAD_PIECE_CLEAN;
			}
			if (use != IGRAD_USE_IN)
				*state = IGRAD_PIECE_DIRTY;
		}
	}
	return igrad_place_at(slot_place(window, slot), row, col);
}

void igrad_window_ahead(struct igrad_window *window, struct igrad_emitter *e,
			struct igrad_part part, struct igrad_part now)
{
	uint32_t row = part.row - part.row % window->block.rows;
	uint32_t col = part.col - part.col % window->block.cols;
	struct igrad_slot *slot = find_slot(window, row, col);

	if (!slot)
		slot = &window->slots[next_victim(window)];
	if (slot->valid && slot->row == now.row - now.row % window->block.rows &&
	    slot->col == now.col - now.col % window->block.cols)
		return;
	igrad_window_get(window, e, part, IGRAD_USE_IN);
}

/* Is the last element of piece @index in @part? */
static bool ends_in(const struct igrad_window *window, const struct igrad_slot *slot,
		    uint32_t index, const struct igrad_part *part)
{
	struct igrad_part piece = piece_part(window, slot, index);
	uint32_t end_row = piece.row + piece.size.rows, end_col = piece.col + piece.size.cols;

	return end_row <= part->row + part->size.rows && end_col <= part->col + part->size.cols;
}

void igrad_window_done(struct igrad_window *window, struct igrad_emitter *e, struct igrad_part part)
{
	uint32_t row = part.row % window->block.rows, col = part.col % window->block.cols;
	struct range down = pieces_of(row, part.size.rows, window->piece.rows);
	struct range right = pieces_of(col, part.size.cols, window->piece.cols);
	struct igrad_slot *slot = find_slot(window, part.row - row, part.col - col);

	if (!slot || slot->row != part.row - row || slot->col != part.col - col)
		return; /* it has been written back */
	for (uint32_t r = down.first; r <= down.last; r++)
		for (uint32_t c = right.first; c <= right.last; c++)
			if (ends_in(window, slot, r * window->across + c, &part))
				write_back(window, e, slot, r * window->across + c);
}

void igrad_window_flush(struct igrad_window *window, struct igrad_emitter *e)
{
	for (uint32_t i = 0; i < window->num_slots; i++)
		write_back_all(window, e, &window->slots[i]);
	igrad_emit_late(e);
}
