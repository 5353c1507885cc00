/* SPDX-License-Identifier: MIT */
/*
 * What layers of the vector unit share: matrices of one shape, cut into blocks that fit SRAM,
 * column of blocks after column of blocks. Internal.
 */
#ifndef IGRAD_LAYER_H
#define IGRAD_LAYER_H

#include "igrad/layers.h"
#include "sram.h"

/* Matrices of one layer, at most. */
#define IGRAD_LAYER_OPERANDS 4

/**
 * struct igrad_layer_operand - a matrix that is gone through block by block
 * @home: in DRAM; NULL: there is none
 * @times: how often each column of blocks is gone through from its top to its bottom
 */
struct igrad_layer_operand {
	const struct igrad_matrix *home;
	uint32_t times;
};

/**
 * struct igrad_layer - a layer being turned into commands
 * @size: of all operands
 * @block: of what is worked on at once; smaller at the edges
 * @operands: by number, each through its window; those without a home have none
 * @rows: the first of the rows of constants, each as wide as a block
 * @num_rows: of a column of blocks; @set: which of two sets is its
 * @words: a row of words for whatever is the same for all elements
 */
struct igrad_layer {
	struct igrad_emitter e;
	struct igrad_size size;
	struct igrad_size block;
	struct igrad_window operands[IGRAD_LAYER_OPERANDS];
	struct igrad_place rows;
	uint32_t num_rows;
	uint32_t set;
	struct igrad_place words;
};

/** igrad_layer_check - is there a matrix, of @rows × @cols, and can it be used? */
int igrad_layer_check(const struct igrad_matrix *m, uint64_t rows, uint32_t cols);

/** igrad_layer_same - are these one matrix? */
bool igrad_layer_same(const struct igrad_matrix *a, const struct igrad_matrix *b);

/**
 * igrad_layer_open - cut operands of @size, and take SRAM for their blocks and for constants
 * @num_rows: of constants, each as wide as a block
 * @num_words: further words
 *
 * Operands that are gone through several times stay in SRAM if there is room. After an error the
 * layer must be closed, too.
 */
int igrad_layer_open(struct igrad_layer *layer, struct igrad_cmdbuf *cmdbuf, struct igrad_size size,
		     const struct igrad_layer_operand operands[], uint32_t num_operands,
		     uint32_t num_rows, uint32_t num_words);

/** igrad_layer_close - write back what is left; returns the first error of all commands */
int igrad_layer_close(struct igrad_layer *layer);

/** igrad_layer_row - row of constants number @index, for this column of blocks */
struct igrad_place igrad_layer_row(const struct igrad_layer *layer, uint32_t index);

/** igrad_layer_next_rows - another column of blocks begins: its constants may come in already */
static inline void igrad_layer_next_rows(struct igrad_layer *layer)
{
	layer->set = !layer->set;
}

/* The loops: columns of blocks, and the blocks of one from its top to its bottom. */
static inline struct igrad_part igrad_layer_top(const struct igrad_layer *layer, uint32_t col)
{
	return (struct igrad_part){0,
				   col,
				   {igrad_min(layer->block.rows, layer->size.rows),
				    igrad_min(layer->block.cols, layer->size.cols - col)}};
}

/** igrad_layer_down - the block below; false if there is none, or after an error */
bool igrad_layer_down(const struct igrad_layer *layer, struct igrad_part *part);

/* A block of an operand: needed, to be written (and then, finished), or both. */
struct igrad_place igrad_layer_in(struct igrad_layer *layer, uint32_t operand,
				  struct igrad_part part);
struct igrad_place igrad_layer_out(struct igrad_layer *layer, uint32_t operand,
				   struct igrad_part part);
struct igrad_place igrad_layer_inout(struct igrad_layer *layer, uint32_t operand,
				     struct igrad_part part);
void igrad_layer_done(struct igrad_layer *layer, uint32_t operand, struct igrad_part part);

#endif /* IGRAD_LAYER_H */
