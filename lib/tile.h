/* SPDX-License-Identifier: MIT */
/*
 * Commands, one function each: what the manual's command tables say, in C. Internal.
 */
#ifndef IGRAD_TILE_H
#define IGRAD_TILE_H

#include "igrad/igrad.h"

static inline uint32_t igrad_min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/** struct igrad_place - the upper left corner of a matrix in SRAM; pitch in bytes */
struct igrad_place {
	uint32_t addr;
	uint32_t pitch;
	enum igrad_element dtype;
};

/** struct igrad_size - rows and columns, in elements */
struct igrad_size {
	uint32_t rows;
	uint32_t cols;
};

/**
 * struct igrad_late - a store that is to be emitted later
 * @streams: when so many streams have been emitted
 */
struct igrad_late {
	uint64_t streams;
	const struct igrad_matrix *m;
	uint32_t row;
	uint32_t col;
	struct igrad_size size;
	struct igrad_place from;
};

#define IGRAD_MAX_LATE 32

/**
 * struct igrad_emitter - where commands go
 * @err: the first error; nothing is emitted after it, so that a sequence is checked once at its end
 * @streams: how many have been emitted
 * @late, @num_late: stores that wait for later ones
 */
struct igrad_emitter {
	struct igrad_cmdbuf *cmdbuf;
	int err;
	uint64_t streams;
	struct igrad_late late[IGRAD_MAX_LATE];
	unsigned int num_late;
};

/** struct igrad_step - one update of weights, as constants of the commands */
struct igrad_step {
	float lr;
	float keep; /* 1 − ηλ */
	bool decay; /* whether @keep is applied */
};

/** igrad_step_of - the constants of one step of @optimizer */
struct igrad_step igrad_step_of(const struct igrad_optimizer *optimizer);

/** igrad_place_at - the element @row rows down and @col columns to the right */
struct igrad_place igrad_place_at(struct igrad_place place, uint32_t row, uint32_t col);

/* DMA between SRAM and the part of @m that begins at (@row, @col) */
void igrad_emit_load(struct igrad_emitter *e, const struct igrad_matrix *m, uint32_t row,
		     uint32_t col, struct igrad_size size, struct igrad_place to);
void igrad_emit_store(struct igrad_emitter *e, const struct igrad_matrix *m, uint32_t row,
		      uint32_t col, struct igrad_size size, struct igrad_place from);

/**
 * igrad_emit_store_late - a store that comes behind the next streams, in the order of these calls
 *
 * Engines run when they can, whatever stands between their commands. But whoever carries commands
 * out one by one has streams at hand for other threads while a late store waits for the drain
 * before it, and is made.
 */
void igrad_emit_store_late(struct igrad_emitter *e, const struct igrad_matrix *m, uint32_t row,
			   uint32_t col, struct igrad_size size, struct igrad_place from);
/** igrad_emit_late - emit the stores that wait */
void igrad_emit_late(struct igrad_emitter *e);
/** igrad_emit_late_from - that one which begins at @addr, where something is to change, and those
 * before it
 */
void igrad_emit_late_from(struct igrad_emitter *e, uint32_t addr);

/* The array; @tile is in-features × out-features of the array, @batch what is streamed */
void igrad_emit_tile(struct igrad_emitter *e, enum igrad_opcode op, uint16_t flags,
		     struct igrad_size tile, struct igrad_place p);
void igrad_emit_fprop(struct igrad_emitter *e, uint16_t flags, struct igrad_size tile,
		      uint32_t batch, struct igrad_place x, struct igrad_place p);
void igrad_emit_dgrad(struct igrad_emitter *e, uint16_t flags, struct igrad_size tile,
		      uint32_t batch, struct igrad_place g, struct igrad_place p);
void igrad_emit_wgrad(struct igrad_emitter *e, uint16_t flags, struct igrad_size tile,
		      uint32_t batch, struct igrad_place x, struct igrad_place g);
void igrad_emit_interleaved(struct igrad_emitter *e, uint16_t flags, struct igrad_size tile,
			    uint32_t batch, struct igrad_place x, struct igrad_place g,
			    struct igrad_place p);
/** struct igrad_walk - how a stream goes through images: see IGRAD_FLAG_WINDOW */
struct igrad_walk {
	int32_t tap_y;
	int32_t tap_x;
	uint32_t first;
};

/** struct igrad_streams - operands of a stream; those that @op does not have are not looked at */
struct igrad_streams {
	struct igrad_place x;
	struct igrad_place g;
	struct igrad_place p;
};

/* Convolutions; the fields of @window are in host byte order */
void igrad_emit_window(struct igrad_emitter *e, const struct igrad_cmd_window *window);
void igrad_emit_walk(struct igrad_emitter *e, enum igrad_opcode op, uint16_t flags,
		     struct igrad_size tile, uint32_t batch, struct igrad_walk walk,
		     const struct igrad_streams *streams);

void igrad_emit_update(struct igrad_emitter *e, struct igrad_size tile,
		       const struct igrad_step *step);
void igrad_emit_scale_acc(struct igrad_emitter *e, struct igrad_size tile, float factor);

/* The vector unit */
void igrad_emit_fill(struct igrad_emitter *e, struct igrad_size size, float value,
		     struct igrad_place d);
void igrad_emit_fill_bits(struct igrad_emitter *e, struct igrad_size size, uint32_t bits,
			  struct igrad_place d);
void igrad_emit_bias(struct igrad_emitter *e, struct igrad_size size, struct igrad_place y,
		     struct igrad_place bias);
void igrad_emit_relu(struct igrad_emitter *e, struct igrad_size size, struct igrad_place y);
void igrad_emit_relu_grad(struct igrad_emitter *e, struct igrad_size size, struct igrad_place y,
			  struct igrad_place dy);
void igrad_emit_colsum(struct igrad_emitter *e, uint16_t flags, struct igrad_size size,
		       struct igrad_place a, struct igrad_place sums);
void igrad_emit_scale(struct igrad_emitter *e, struct igrad_size size, float factor,
		      struct igrad_place a);
void igrad_emit_sgd(struct igrad_emitter *e, struct igrad_size size, const struct igrad_step *step,
		    struct igrad_place w, struct igrad_place dw);

/** struct igrad_adam - what VEC_ADAM works on; rows of @m and @v are equally far apart */
struct igrad_adam {
	struct igrad_place w, m, v, dw, constants;
	bool decay;
};
void igrad_emit_adam(struct igrad_emitter *e, struct igrad_size size,
		     const struct igrad_adam *adam);
/* d = a op b: VEC_ADD, VEC_MUL */
void igrad_emit_pair(struct igrad_emitter *e, enum igrad_opcode op, struct igrad_size size,
		     struct igrad_place a, struct igrad_place b, struct igrad_place d);
/* d from a: VEC_COPY, VEC_RELU, and with the number @imm VEC_SCALE, VEC_RSQRT */
void igrad_emit_map(struct igrad_emitter *e, enum igrad_opcode op, struct igrad_size size,
		    float imm, struct igrad_place a, struct igrad_place d);
/* d = fma(factor, a, b) */
void igrad_emit_axpy(struct igrad_emitter *e, struct igrad_size size, float factor,
		     struct igrad_place a, struct igrad_place b, struct igrad_place d);
void igrad_emit_colsq(struct igrad_emitter *e, uint16_t flags, struct igrad_size size,
		      struct igrad_place a, struct igrad_place mean, struct igrad_place sums);
/* VEC_NORM, VEC_NORM_SUMS, VEC_NORM_GRAD; @b is looked at by the latter two */
void igrad_emit_norm(struct igrad_emitter *e, enum igrad_opcode op, uint16_t flags,
		     struct igrad_size size, struct igrad_place a, struct igrad_place b,
		     struct igrad_place constants, struct igrad_place d);
/* @row, @col: of a's first element in its matrix */
void igrad_emit_dropout(struct igrad_emitter *e, struct igrad_size size, uint32_t row, uint32_t col,
			struct igrad_place a, struct igrad_place words, struct igrad_place d);
/* VEC_POOL_…; all fields of @pool in host byte order */
void igrad_emit_pool(struct igrad_emitter *e, enum igrad_opcode op, uint16_t flags,
		     const struct igrad_cmd_pool *pool);
void igrad_emit_softmax_xent(struct igrad_emitter *e, struct igrad_size size, float scale,
			     struct igrad_place logits, struct igrad_place labels,
			     struct igrad_place dlogits, struct igrad_place losses);

#endif /* IGRAD_TILE_H */
