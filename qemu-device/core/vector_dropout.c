/* SPDX-License-Identifier: MIT */
/*
 * Dropout: element (row, col) has the word col mod 4 of Philox4x32-10 (Salmon et al., "Parallel
 * random numbers: as easy as 1, 2, 3", SC11) for the counter {row, col / 4, stream, 0} and the key.
 */
#include "vector.h"

static void dropout_rows(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t end = igrad_vector_end(op, part, op->rows);
	uint32_t words[IGRAD_DROPOUT_WORDS];

	memcpy(words, op->b, sizeof(words));
	for (size_t i = part * op->piece; i < end; i++)
		op->kernels->dropout(op->d + i * op->d_row, op->a + i * op->a_row, op->cols, words,
				     op->cmd->imm + (uint32_t)i, op->cmd->imm2);
}

void igrad_vector_dropout(struct igrad_core *core, struct igrad_operation *op)
{
	igrad_vector_split(core, op, op->rows, dropout_rows);
}
