/* SPDX-License-Identifier: MIT */
/* The vector commands of batch normalisation: columns are independent of each other, sums go down.
 */
#include "vector.h"

/* Each kernel's constants are rows of columns; those from @first on. */
static const float *constants_of(const struct igrad_operation *op, size_t first,
				 const float *rows[IGRAD_NORM_ROWS_GRAD], unsigned int n)
{
	for (unsigned int k = 0; k < n; k++)
		rows[k] = op->constants + k * op->constants_row + first;
	return op->a + first;
}

static void norm(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t end = igrad_vector_end(op, part, op->rows);
	const float *rows[IGRAD_NORM_ROWS_GRAD];

	constants_of(op, 0, rows, IGRAD_NORM_ROWS);
	for (size_t i = part * op->piece; i < end; i++)
		op->kernels->norm(op->d + i * op->d_row, op->a + i * op->a_row, op->cols, rows);
}

static void norm_grad(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t end = igrad_vector_end(op, part, op->rows);
	const float *rows[IGRAD_NORM_ROWS_GRAD];

	constants_of(op, 0, rows, IGRAD_NORM_ROWS_GRAD);
	for (size_t i = part * op->piece; i < end; i++)
		op->kernels->norm_grad(op->d + i * op->d_row, op->a + i * op->a_row,
				       op->b + i * op->b_row, op->cols, rows);
}

static void norm_sums(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t first = part * op->piece;
	const size_t n = igrad_vector_end(op, part, op->cols) - first;
	const float *rows[IGRAD_NORM_ROWS_GRAD];
	const float *a = constants_of(op, first, rows, IGRAD_NORM_ROWS_SUMS);

	for (size_t i = 0; i < op->rows; i++)
		op->kernels->norm_sums(op->d + first, op->d + op->d_row + first, a + i * op->a_row,
				       op->b + i * op->b_row + first, n, rows);
}

static void colsq(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t first = part * op->piece;
	const size_t n = igrad_vector_end(op, part, op->cols) - first;

	for (size_t i = 0; i < op->rows; i++)
		op->kernels->add_square(op->d + first, op->a + i * op->a_row + first, op->b + first,
					n, 0.0f, 0.0f);
}

static void clear(const struct igrad_operation *op, const struct igrad_cmd *cmd, size_t rows)
{
	for (size_t i = 0; !(cmd->flags & IGRAD_FLAG_KEEP) && i < rows; i++)
		memset(op->d + i * op->d_row, 0, op->cols * sizeof(float));
}

void igrad_vector_norm(struct igrad_core *core, struct igrad_operation *op,
		       const struct igrad_cmd *cmd)
{
	if (cmd->opcode == IGRAD_OP_VEC_COLSQ) {
		clear(op, cmd, 1);
		igrad_vector_split(core, op, op->cols, colsq);
		return;
	}
	op->constants = igrad_words(core, op->cmd->imm);
	op->constants_row = op->cmd->imm2 / sizeof(float);
	if (cmd->opcode == IGRAD_OP_VEC_NORM_SUMS) {
		clear(op, cmd, 2);
		igrad_vector_split(core, op, op->cols, norm_sums);
	} else {
		igrad_vector_split(core, op, op->rows,
				   cmd->opcode == IGRAD_OP_VEC_NORM ? norm : norm_grad);
	}
}
