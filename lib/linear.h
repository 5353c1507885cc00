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
	IGRAD_ROLE_SW,
	IGRAD_ROLE_SB,
	IGRAD_ROLE_ADAM, /* constants */
	IGRAD_NUM_ROLES,
};

/**
 * struct igrad_problem - what a plan is for
 * @dim: B, I, O
 * @device: what it runs on
 * @backward: which pass
 * @schedule: of the backward pass, not auto
 * @update: what becomes of the gradient
 * @fused: W is updated in the array
 * @home: bit per role: operands that live in DRAM
 * @scratch: bit per role: intermediate results that are needed only while a block is worked on
 * @spill: bit per role: the same, needed only where a batch that is split makes acc move
 * @half: bit per role: operands that are bf16 in DRAM
 * @narrow: bit per role: operands that are bf16 in SRAM; sums are not
 */
struct igrad_problem {
	uint32_t dim[IGRAD_NUM_DIMS];
	const struct igrad_device_info *device;
	bool backward;
	enum igrad_schedule schedule;
	enum igrad_update update;
	bool fused;
	uint32_t home;
	uint32_t scratch;
	uint32_t spill;
	uint32_t half;
	uint32_t narrow;
};

/**
 * struct igrad_plan - how a layer is cut
 * @schedule: of the backward pass: the problem's
 * @block: B, I and O of a block; each operand's blocks are made of two of them
 * @tile: the part of the array that is used: all of it unless SRAM cannot hold such a tile
 * @order: the loops over blocks, outermost first; tiles of a block are walked inside
 * @slots: per role, blocks kept in SRAM; all of them: the operand is resident
 * @narrow: the problem's
 * @dx_turned: ws: dX with dY stationary, in-features of W streamed; else with W stationary
 * @dw_turned: ws: dW with X stationary, out-features of dY streamed; else with dY stationary
 * @dw_first: ws, with W stationary for dX: dW comes before dX, and a tile is updated as soon as the
 *            array has its old weights
 */
struct igrad_plan {
	enum igrad_schedule schedule;
	uint32_t block[IGRAD_NUM_DIMS];
	struct igrad_size tile;
	enum igrad_dim order[IGRAD_NUM_DIMS];
	uint32_t slots[IGRAD_NUM_ROLES];
	uint32_t narrow;
	bool dx_turned;
	bool dw_turned;
	bool dw_first;
};

/** igrad_problem_whole - bit per role: sums that must not leave SRAM before they are final */
static inline uint32_t igrad_problem_whole(const struct igrad_problem *problem)
{
	return problem->half & ~problem->narrow;
}

/** igrad_slot_bytes, igrad_plan_bytes - SRAM that a slot of an operand takes, and that @plan takes
 */
uint64_t igrad_slot_bytes(const struct igrad_plan *plan, enum igrad_role role);
uint64_t igrad_plan_bytes(const struct igrad_plan *plan);

/** igrad_plan_keeps_acc - does a tile's acc stay in the array from one chunk of the batch to the
 * next? */
bool igrad_plan_keeps_acc(const struct igrad_plan *plan);

/** igrad_plan_spills - do sums that are to stay in the array go through SRAM between chunks of the
 * batch? */
bool igrad_plan_spills(const struct igrad_problem *problem, const struct igrad_plan *plan);

/** igrad_plan_visits - how the blocks of an operand are asked for */
struct igrad_visits igrad_plan_visits(const struct igrad_problem *problem,
				      const struct igrad_plan *plan, enum igrad_role role);

/** struct igrad_traffic - bytes between DRAM and SRAM */
struct igrad_traffic {
	uint64_t read;
	uint64_t written;
};

/**
 * igrad_plan_traffic - what the commands of @plan will move: exactly what their report will say
 *
 * Returns false when the plan cannot work: something without a home would have to leave SRAM.
 */
bool igrad_plan_traffic(const struct igrad_problem *problem, const struct igrad_plan *plan,
			struct igrad_traffic *traffic);

/** igrad_problem_compulsory - bytes that any plan moves: each operand in or out once, or both */
uint64_t igrad_problem_compulsory(const struct igrad_problem *problem);

/** igrad_piece_least - bytes that are moved at once, at least: rounding to whole cycles costs time
 */
static inline uint32_t igrad_piece_least(const struct igrad_device_info *device)
{
	return 32 * device->dram_bytes_per_cycle;
}

/**
 * igrad_plan_parts - in how many parts an operand's tiles are moved
 *
 * A place whose tile comes in and leaves is busy with transfers for twice their time: two places
 * leave none for work. In parts, the next tile comes in while the last one leaves.
 */
uint32_t igrad_plan_parts(const struct igrad_problem *problem, const struct igrad_plan *plan,
			  enum igrad_role role);

/**
 * igrad_plan_piece - what is moved at once of an operand's block
 *
 * A tile or a part of it, or several where that is so little that rounding to whole cycles would
 * cost DMA time.
 */
struct igrad_size igrad_plan_piece(const struct igrad_problem *problem,
				   const struct igrad_plan *plan, enum igrad_role role);

/** igrad_role_width - bytes of an element in DRAM */
static inline uint32_t igrad_role_width(const struct igrad_problem *problem, enum igrad_role role)
{
	return problem->half & 1u << role ? 2 : 4;
}

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
 * igrad_problem_init - check the operands, and set dimensions, device and home
 * @operands: by role; NULL where there is none
 */
int igrad_problem_init(struct igrad_problem *problem, const struct igrad_device_info *device,
		       const struct igrad_matrix *const operands[IGRAD_NUM_ROLES]);

/** igrad_linear_open - map the operands as the plan says */
int igrad_linear_open(struct igrad_linear *linear, struct igrad_cmdbuf *cmdbuf,
		      const struct igrad_matrix *const operands[IGRAD_NUM_ROLES],
		      const struct igrad_problem *problem, const struct igrad_plan *plan);

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

/**
 * igrad_forward_problem, igrad_backward_problem - check the arguments, and say what is to be
 * planned
 * @schedule: instead of that of @args
 */
int igrad_forward_problem(struct igrad_problem *problem, const struct igrad_device_info *device,
			  const struct igrad_linear_forward *args);
int igrad_backward_problem(struct igrad_problem *problem, const struct igrad_device_info *device,
			   const struct igrad_linear_backward *args, enum igrad_schedule schedule);

/** igrad_forward_build, igrad_backward_build - the commands, following any plan for the problem */
int igrad_forward_build(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_forward *args,
			const struct igrad_plan *plan);
int igrad_backward_build(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_backward *args,
			 const struct igrad_plan *plan);

#endif /* IGRAD_LINEAR_H */
