/* SPDX-License-Identifier: MIT */
/*
 * A linear layer's backward pass from the inside. Each block of the three loops is visited once:
 * its input gradient, its weight gradient, and the update of what has seen the whole batch.
 * Internal.
 */
#ifndef IGRAD_BACKWARD_H
#define IGRAD_BACKWARD_H

#include "linear.h"

#define IGRAD_MAX_SUMS 2

/**
 * struct igrad_sum - something that is summed up over the batch
 * @role: where it is kept
 * @velocity: it begins at round(μ·v), not at +0
 */
struct igrad_sum {
	enum igrad_role role;
	bool velocity;
};

/** struct igrad_sums - of weights, or of biases; the first is what they are updated with */
struct igrad_sums {
	struct igrad_sum sum[IGRAD_MAX_SUMS];
	unsigned int num;
};

/**
 * struct igrad_backward - a backward pass being turned into commands
 * @schedule: how, never auto
 * @next: the block to be visited after this one, or NULL
 * @updates: weights, and biases if there are any, are updated
 */
struct igrad_backward {
	struct igrad_linear linear;
	const struct igrad_linear_backward *args;
	enum igrad_schedule schedule;
	struct igrad_step step;
	const struct igrad_block *next;
	bool updates;
	struct igrad_sums weights;
	struct igrad_sums biases;
};

/** igrad_backward_at - where @part of an operand is in SRAM */
static inline struct igrad_place igrad_backward_at(struct igrad_backward *bw, enum igrad_role role,
						   struct igrad_part part,
						   enum igrad_window_use use)
{
	return igrad_linear_at(&bw->linear, role, part, use);
}

/** struct igrad_tile - part of W, or of what has its shape */
struct igrad_tile {
	uint32_t i;
	uint32_t o;
	struct igrad_size size; /* in-features × out-features */
};

/* Parts of operands that belong to a tile and the batch rows @b … @b + @n − 1 */
static inline struct igrad_part igrad_part_w(struct igrad_tile t)
{
	return (struct igrad_part){t.i, t.o, t.size};
}

static inline struct igrad_part igrad_part_x(struct igrad_tile t, uint32_t b, uint32_t n)
{
	return (struct igrad_part){b, t.i, {n, t.size.rows}};
}

static inline struct igrad_part igrad_part_y(struct igrad_tile t, uint32_t b, uint32_t n)
{
	return (struct igrad_part){b, t.o, {n, t.size.cols}};
}

/* Has @block the batch's first rows, its last ones? */
static inline bool igrad_batch_begins(const struct igrad_block *block)
{
	return !block->at[IGRAD_DIM_B];
}

static inline bool igrad_batch_ends(const struct igrad_backward *bw,
				    const struct igrad_block *block)
{
	return block->at[IGRAD_DIM_B] + block->n[IGRAD_DIM_B] ==
	       bw->linear.problem.dim[IGRAD_DIM_B];
}

/** igrad_backward_visit_ws - a block on a weight-stationary array: ws-paper, ws */
void igrad_backward_visit_ws(struct igrad_backward *bw, const struct igrad_block *block);
/** igrad_backward_visit_os - a block whose weight gradient is summed up in the array */
void igrad_backward_visit_os(struct igrad_backward *bw, const struct igrad_block *block);

/** igrad_backward_bias - the batch rows of @block, for the out-features of @tile */
void igrad_backward_bias(struct igrad_backward *bw, const struct igrad_block *block,
			 struct igrad_tile tile);

/** igrad_backward_update - the weights of @tile, on the vector unit, by the first of their sums */
void igrad_backward_update(struct igrad_backward *bw, const struct igrad_block *block,
			   struct igrad_tile tile);

#endif /* IGRAD_BACKWARD_H */
