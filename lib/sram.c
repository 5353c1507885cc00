// SPDX-License-Identifier: MIT
/* SRAM allocation, and matrices seen through SRAM. */
#include <errno.h>
#include <stdlib.h>

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

int igrad_sram_alloc(struct igrad_sram *sram, uint64_t words, uint32_t *addr)
{
	if (words > (sram->end - sram->next) / 4)
		return -ENOSPC;
	*addr = sram->next;
	sram->next += words * 4;
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

int igrad_window_init(struct igrad_window *window, struct igrad_sram *sram,
		      const struct igrad_matrix *home, struct igrad_size size,
		      struct igrad_size block, uint32_t num_slots, struct igrad_visits visits)
{
	*window = (struct igrad_window){
		.home = home,
		.size = size,
		.block = block,
		.visits = visits,
		.num_slots = num_slots,
		.victim = num_slots - 1,
	};
	window->slots = calloc(num_slots, sizeof(*window->slots));
	if (!window->slots)
		return -ENOMEM;

	for (uint32_t i = 0; i < num_slots; i++) {
		int err = igrad_sram_alloc(sram, (uint64_t)block.rows * block.cols,
					   &window->slots[i].addr);
		if (err)
			return err;
	}
	return 0;
}

void igrad_window_fini(struct igrad_window *window)
{
	free(window->slots);
	window->slots = NULL;
	window->num_slots = 0;
}

static struct igrad_size slot_size(const struct igrad_window *window, const struct igrad_slot *slot)
{
	return (struct igrad_size){
		igrad_min(window->block.rows, window->size.rows - slot->row),
		igrad_min(window->block.cols, window->size.cols - slot->col),
	};
}

static struct igrad_place slot_place(const struct igrad_window *window,
				     const struct igrad_slot *slot)
{
	return (struct igrad_place){slot->addr, window->block.cols * 4};
}

static void write_back(struct igrad_window *window, struct igrad_emitter *e,
		       struct igrad_slot *slot)
{
	if (slot->valid && slot->dirty && window->home)
		igrad_emit_store(e, window->home, slot->row, slot->col, slot_size(window, slot),
				 slot_place(window, slot));
	slot->dirty = false;
}

static void bring_in(struct igrad_window *window, struct igrad_emitter *e, struct igrad_slot *slot)
{
	struct igrad_size size = slot_size(window, slot);
	struct igrad_place place = slot_place(window, slot);

	igrad_emit_load(e, window->home, slot->row, slot->col, size, place);
	if (window->relu)
		igrad_emit_relu_grad(
			e, size,
			igrad_window_get(window->relu, e, slot->row, slot->col, IGRAD_USE_IN),
			place);
}

/* Where a block comes in the order of visits. */
static uint64_t place_in_order(const struct igrad_window *window, uint32_t row, uint32_t col)
{
	uint64_t block_row = row / window->block.rows, block_col = col / window->block.cols;

	if (window->visits.by_columns)
		return block_col * div_up(window->size.rows, window->block.rows) + block_row;
	return block_row * div_up(window->size.cols, window->block.cols) + block_col;
}

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
	window->victim = window->victim + 1 < window->num_slots ? window->victim + 1 : pinned;
	return &window->slots[window->victim];
}

struct igrad_place igrad_window_get(struct igrad_window *window, struct igrad_emitter *e,
				    uint32_t row, uint32_t col, enum igrad_window_use use)
{
	uint32_t block_row = row - row % window->block.rows;
	uint32_t block_col = col - col % window->block.cols;
	struct igrad_slot *slot = find_slot(window, block_row, block_col);

	if (!slot->valid || slot->row != block_row || slot->col != block_col) {
		write_back(window, e, slot);
		slot->row = block_row;
		slot->col = block_col;
		slot->valid = true;
		if (use != IGRAD_USE_OUT && window->home)
			bring_in(window, e, slot);
		else if (use != IGRAD_USE_OUT && !e->err)
			e->err = -EINVAL; /* scratch that was lost: the plan is wrong */
	}
	if (use != IGRAD_USE_IN)
		slot->dirty = true;
	return igrad_place_at(slot_place(window, slot), row - block_row, col - block_col);
}

void igrad_window_flush(struct igrad_window *window, struct igrad_emitter *e)
{
	for (uint32_t i = 0; i < window->num_slots; i++)
		write_back(window, e, &window->slots[i]);
}
