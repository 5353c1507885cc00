// SPDX-License-Identifier: MIT
/* Layers of the vector unit: how matrices are cut, and how they are gone through. */
#include <errno.h>
#include <string.h>

#include "cmdbuf.h"
#include "conv.h"
#include "layer.h"

/* While one block is worked on another one comes in, and one leaves. */
#define FEW_SLOTS 3
/* Blocks smaller than this cost more in commands, and in waiting for DRAM, than they gain. */
#define LEAST_BYTES 8192
/* A layer that does not fit is done in so many steps at least, or DMA would not go on beside it. */
#define STEPS 8

int igrad_layer_check(const struct igrad_matrix *m, uint64_t rows, uint32_t cols)
{
	if (!m || !m->buffer || !m->rows || !m->cols)
		return -EINVAL;
	return igrad_conv_check(m, rows, cols);
}

static uint32_t pitch_of(const struct igrad_matrix *m)
{
	return m->pitch ? m->pitch : m->cols * 4;
}

bool igrad_layer_same(const struct igrad_matrix *a, const struct igrad_matrix *b)
{
	return a && b && a->buffer == b->buffer && a->offset == b->offset &&
	       pitch_of(a) == pitch_of(b);
}

/* ---------------------------------------------------------------- cutting */

struct need {
	uint32_t num;	/* with a home */
	uint32_t again; /* of them, those that are gone through several times */
	uint32_t rows;	/* of constants */
	uint32_t words;
	uint64_t room; /* bytes */
};

static uint64_t constants(const struct need *need, uint32_t cols)
{
	return ((uint64_t)need->rows * cols + need->words) * 4;
}

static uint32_t blocks_down(struct igrad_size size, struct igrad_size block)
{
	return (uint32_t)igrad_window_blocks((struct igrad_size){size.rows, 1},
					     (struct igrad_size){block.rows, 1});
}

/* With so many slots each for those that come once, and for the others. */
static uint64_t bytes_of(const struct need *need, struct igrad_size block, uint32_t slots,
			 uint32_t again)
{
	uint64_t blocks = (uint64_t)(need->num - need->again) * slots +
			  (uint64_t)need->again * again;

	return blocks * block.rows * block.cols * 4 + constants(need, block.cols);
}

/* As wide as possible, then as high as is sensible. */
static struct igrad_size block_of(const struct need *need, struct igrad_size size, uint32_t cols,
				  uint32_t slots)
{
	uint64_t whole = (uint64_t)size.rows * cols * 4;
	uint64_t bytes = whole / STEPS < LEAST_BYTES ? LEAST_BYTES : whole / STEPS;
	uint64_t room = need->room > constants(need, cols) ? need->room - constants(need, cols) : 0;
	uint64_t most = room / ((uint64_t)need->num * slots);
	uint64_t rows = (bytes < most ? bytes : most) / ((uint64_t)cols * 4);

	return (struct igrad_size){(uint32_t)(rows < size.rows ? rows : size.rows), cols};
}

/* Columns that let operands that come again stay, @times of them; as many as DRAM moves in some
 * cycles, or none. */
static uint32_t staying_columns(const struct need *need, struct igrad_size size, uint32_t least,
				uint32_t times)
{
	uint64_t step = (uint64_t)size.rows / STEPS + 1;
	uint64_t words = need->again * times * (size.rows + step) +
			 (need->num - need->again) * FEW_SLOTS * step + need->rows;
	uint64_t cols = need->room / (words * 4) / least * least;

	return cols < size.cols ? (uint32_t)cols : size.cols;
}

/* While a column of blocks is gone through again the next one should come in. */
static uint32_t columns_of(const struct need *need, struct igrad_size size, uint32_t least)
{
	uint32_t cols = staying_columns(need, size, least, 2);

	if (!need->again)
		return size.cols;
	if (cols == size.cols && cols >= 2 * least)
		cols = (cols / 2 + least - 1) / least * least;
	if (!cols)
		cols = staying_columns(need, size, least, 1);
	return cols ? cols : size.cols;
}

static int cut(const struct need *need, struct igrad_size size, uint32_t least,
	       struct igrad_size *block, uint32_t *slots, uint32_t *again)
{
	uint32_t cols = columns_of(need, size, least);

	for (*slots = FEW_SLOTS;; cols = (cols + 1) / 2) {
		*block = block_of(need, size, cols, *slots);
		if (block->rows)
			break;
		if (cols > 1)
			continue;
		if (*slots == 1)
			return -ENOSPC;
		*slots = 1;
	}
	*again = (block->cols < size.cols ? 2 : 1) * blocks_down(size, *block);
	while (*again > *slots && bytes_of(need, *block, *slots, *again) > need->room)
		(*again)--;
	if (*again < *slots)
		*again = *slots;
	return 0;
}

/* ---------------------------------------------------------------- opening and closing */

static int open_operand(struct igrad_layer *layer, struct igrad_sram *sram,
			const struct igrad_layer_operand *operand, uint32_t index, uint32_t slots)
{
	struct igrad_visits visits = {
		.by_columns = true,
		.sweep = operand->times > 1 ? blocks_down(layer->size, layer->block) : 1,
		.times = operand->times,
	};

	return igrad_window_init(&layer->operands[index], sram, operand->home, IGRAD_FP32,
				 layer->size, layer->block, layer->block, slots, visits);
}

int igrad_layer_open(struct igrad_layer *layer, struct igrad_cmdbuf *cmdbuf, struct igrad_size size,
		     const struct igrad_layer_operand operands[], uint32_t num_operands,
		     uint32_t num_rows, uint32_t num_words)
{
	const struct igrad_device_info *device = igrad_sram_device(cmdbuf);
	struct need need = {0, 0, 2 * num_rows, num_words, device->sram_bytes};
	uint32_t least = device->dram_bytes_per_cycle < 4 ? 1 : device->dram_bytes_per_cycle / 4;
	struct igrad_sram sram;
	uint32_t slots, again;
	int err;

	memset(layer, 0, sizeof(*layer));
	layer->e.cmdbuf = cmdbuf;
	layer->size = size;
	layer->num_rows = num_rows;
	for (uint32_t i = 0; i < num_operands; i++) {
		need.num += operands[i].home ? 1 : 0;
		need.again += operands[i].home && operands[i].times > 1;
	}
	err = cut(&need, size, least, &layer->block, &slots, &again);
	if (err)
		return err;
	sram.next = igrad_sram_reserve(cmdbuf,
				       (uint32_t)bytes_of(&need, layer->block, slots, again));
	sram.end = device->sram_bytes;
	for (uint32_t i = 0; i < num_operands && !err; i++)
		if (operands[i].home)
			err = open_operand(layer, &sram, &operands[i], i,
					   operands[i].times > 1 ? again : slots);
	layer->rows.pitch = layer->block.cols * 4;
	if (!err)
		err = igrad_sram_alloc(&sram, constants(&need, layer->block.cols),
				       &layer->rows.addr);
	layer->words = (struct igrad_place){layer->rows.addr + 2 * num_rows * layer->rows.pitch,
					    num_words * 4, IGRAD_FP32};
	return err;
}

int igrad_layer_close(struct igrad_layer *layer)
{
	for (uint32_t i = 0; i < IGRAD_LAYER_OPERANDS; i++) {
		igrad_window_flush(&layer->operands[i], &layer->e);
		igrad_window_fini(&layer->operands[i]);
	}
	return layer->e.err;
}

/* ---------------------------------------------------------------- use */

struct igrad_place igrad_layer_row(const struct igrad_layer *layer, uint32_t index)
{
	return igrad_place_at(layer->rows, layer->set * layer->num_rows + index, 0);
}

bool igrad_layer_down(const struct igrad_layer *layer, struct igrad_part *part)
{
	part->row += part->size.rows;
	part->size.rows = igrad_min(layer->block.rows, layer->size.rows - part->row);
	return part->size.rows && !layer->e.err;
}

struct igrad_place igrad_layer_in(struct igrad_layer *layer, uint32_t operand,
				  struct igrad_part part)
{
	return igrad_window_get(&layer->operands[operand], &layer->e, part, IGRAD_USE_IN);
}

struct igrad_place igrad_layer_out(struct igrad_layer *layer, uint32_t operand,
				   struct igrad_part part)
{
	return igrad_window_get(&layer->operands[operand], &layer->e, part, IGRAD_USE_OUT);
}

struct igrad_place igrad_layer_inout(struct igrad_layer *layer, uint32_t operand,
				     struct igrad_part part)
{
	return igrad_window_get(&layer->operands[operand], &layer->e, part, IGRAD_USE_INOUT);
}

void igrad_layer_done(struct igrad_layer *layer, uint32_t operand, struct igrad_part part)
{
	igrad_window_done(&layer->operands[operand], &layer->e, part);
}
