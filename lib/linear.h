/* SPDX-License-Identifier: MIT */
/*
 * A linear layer's products, cut into blocks that fit SRAM and tiles that fit the array.
 *
 * A plan says how: block sizes, loop order and how much of each operand stays in SRAM. It is
 * computed by one function and carried out by others, which are right for any plan: the order in
 * which sums are formed does not depend on it. Internal.
 */
#ifndef IGRAD_LINEAR_H
#define IGRAD_LINEAR_H

#include "sram.h"

/* What is looped over. */
enum igrad_dim {
	IGRAD_DIM_B, /* batch rows */
	IGRAD_DIM_I, /* in-features */
	IGRAD_DIM_O, /* out-features */
	IGRAD_NUM_DIMS,
};

/* What a layer works on. */
enum igrad_role {
	IGRAD_ROLE_X,
	IGRAD_ROLE_W,
	IGRAD_ROLE_BIAS,
	IGRAD_ROLE_Y,
	IGRAD_ROLE_DY,
	IGRAD_ROLE_DX,
	IGRAD_ROLE_DW,
	IGRAD_ROLE_DB,
	IGRAD_ROLE_VW,
	IGRAD_ROLE_VB,
	IGRAD_NUM_ROLES,
};

/**
 * struct igrad_problem - what a plan is for
 * @dim: B, I, O
 * @array: rows and columns of the array
 * @sram_bytes: SRAM to be used
 * @panel_bytes: a DMA of this many bytes hides its own latency
 * @home: bit per role: operands that live in DRAM
 * @scratch: bit per role: intermediate results that are needed only while a block is worked on
 * @spill: bit per role: the same, needed only where a batch that is split makes acc move
 */
struct igrad_problem {
	uint32_t dim[IGRAD_NUM_DIMS];
	struct igrad_size array;
	uint32_t sram_bytes;
	uint32_t panel_bytes;
	uint32_t home;
	uint32_t scratch;
	uint32_t spill;
};

/**
 * struct igrad_plan - how a layer is cut
 * @block: B, I and O of a block; each operand's blocks are made of two of them
 * @tile: the part of the array that is used: all of it unless SRAM cannot hold such a tile
 * @order: the loops over blocks, outermost first; tiles of a block are walked inside
 * @slots: per role, blocks kept in SRAM; all of them: the operand is resident
 * @dx_turned: ws: dX with dY stationary, in-features of W streamed; else with W stationary
 * @dw_turned: ws: dW with X stationary, out-features of dY streamed; else with dY stationary
 */
struct igrad_plan {
	uint32_t block[IGRAD_NUM_DIMS];
	struct igrad_size tile;
	enum igrad_dim order[IGRAD_NUM_DIMS];
	uint32_t slots[IGRAD_NUM_ROLES];
	bool dx_turned;
	bool dw_turned;
};

/** igrad_planner - computes a plan; 0 or -ENOSPC */
typedef int igrad_planner(const struct igrad_problem *problem, struct igrad_plan *plan);

igrad_planner igrad_plan_forward;
igrad_planner igrad_plan_backward; /* of ws+os and interleaved */
igrad_planner igrad_plan_paper;	   /* backward of ws-paper */

/** igrad_plan_bytes - SRAM that @plan takes */
uint64_t igrad_plan_bytes(const struct igrad_plan *plan);

/** igrad_plan_keeps_acc - does a tile's acc stay in the array from one chunk of the batch to the
 * next? */
bool igrad_plan_keeps_acc(const struct igrad_plan *plan);

/** igrad_role_size, igrad_role_block - an operand's shape, and that of its blocks */
struct igrad_size igrad_role_size(const struct igrad_problem *problem, enum igrad_role role);
struct igrad_size igrad_role_block(const struct igrad_plan *plan, enum igrad_role role);

/** struct igrad_linear - a layer being turned into commands */
struct igrad_linear {
	struct igrad_emitter e;
	struct igrad_problem problem;
	struct igrad_plan plan;
	struct igrad_window windows[IGRAD_NUM_ROLES];
};

/**
 * igrad_linear_open - check the operands and map them
 * @operands: by role; NULL where there is none
 * @scratch, @spill: as in struct igrad_problem
 * @planner: says how to cut the layer
 */
int igrad_linear_open(struct igrad_linear *linear, struct igrad_cmdbuf *cmdbuf,
		      const struct igrad_matrix *const operands[IGRAD_NUM_ROLES], uint32_t scratch,
		      uint32_t spill, igrad_planner *planner);

/** igrad_linear_close - write results back; returns the first error of all commands */
int igrad_linear_close(struct igrad_linear *linear);

/** igrad_linear_at - where @part of an operand is in SRAM */
struct igrad_place igrad_linear_at(struct igrad_linear *linear, enum igrad_role role,
				   struct igrad_part part, enum igrad_window_use use);

/** igrad_linear_done - @part of an operand is final: see igrad_window_done() */
void igrad_linear_done(struct igrad_linear *linear, enum igrad_role role, struct igrad_part part);

/**
 * struct igrad_block - one block of the three loops
 * @at: where it begins
 * @n: its size
 */
struct igrad_block {
	uint32_t at[IGRAD_NUM_DIMS];
	uint32_t n[IGRAD_NUM_DIMS];
};

/** igrad_linear_first, igrad_linear_next - the loops over blocks; next returns false after the last
 */
void igrad_linear_first(const struct igrad_linear *linear, struct igrad_block *block);
bool igrad_linear_next(const struct igrad_linear *linear, struct igrad_block *block);

#endif /* IGRAD_LINEAR_H */
