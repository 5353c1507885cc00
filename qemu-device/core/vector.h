/* SPDX-License-Identifier: MIT */
/* What the files of the vector unit share: a command with its operands, and host threads. */
#ifndef IGRAD_VECTOR_H
#define IGRAD_VECTOR_H

#include "internal.h"

/* A vector command being executed. */
struct igrad_operation {
	const struct igrad_kernels *kernels;
	const struct igrad_cmd_vec *cmd;
	igrad_row_fn *fn;
	float *losses; /* VEC_SOFTMAX_XENT */
	igrad_adam_fn *adam;
	float *m; /* VEC_ADAM: rows b_row apart; likewise v */
	float *v;
	const float *constants;
	size_t constants_row; /* VEC_NORM…: words from one row of constants to the next */
	float *d;	      /* rows of cols words, d_row apart; likewise a and b */
	const float *a;
	const float *b;
	size_t d_row;
	size_t a_row;
	size_t b_row;
	size_t rows;
	size_t cols;
	float imm;
	float imm2;
	size_t piece; /* rows or columns that one part does */
};

/* Elements that a thread should have to be worth waking. */
#define IGRAD_SPLIT_ELEMENTS (1u << 17)

/** igrad_vector_piece - how many of @whole a part does, of @elements in all */
size_t igrad_vector_piece(struct igrad_pool *pool, size_t whole, size_t elements);

/** igrad_vector_split - @fn for every part of @whole rows or columns */
void igrad_vector_split(struct igrad_core *core, struct igrad_operation *op, size_t whole,
			void (*fn)(void *context, unsigned int part));

/** igrad_vector_end - the first row or column that the part no longer does */
static inline size_t igrad_vector_end(const struct igrad_operation *op, unsigned int part,
				      size_t whole)
{
	const size_t end = (part + 1) * op->piece;

	return end < whole ? end : whole;
}

/* vector_norm.c, vector_dropout.c, vector_pool.c */
void igrad_vector_norm(struct igrad_core *core, struct igrad_operation *op,
		       const struct igrad_cmd *cmd);
void igrad_vector_dropout(struct igrad_core *core, struct igrad_operation *op);
void igrad_vector_pool(struct igrad_core *core, const struct igrad_cmd *cmd);

#endif /* IGRAD_VECTOR_H */
