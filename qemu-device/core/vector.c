/* SPDX-License-Identifier: MIT */
/* The vector commands. Rows that follow each other without a gap are treated as one long row. */
#include "mathfn.h"
#include "vector.h"

size_t igrad_vector_piece(struct igrad_pool *pool, size_t whole, size_t elements)
{
	size_t parts = elements / IGRAD_SPLIT_ELEMENTS;

	if (parts > igrad_pool_threads(pool))
		parts = igrad_pool_threads(pool);
	return parts > 1 ? (whole + parts - 1) / parts : whole;
}

void igrad_vector_split(struct igrad_core *core, struct igrad_operation *op, size_t whole,
			void (*fn)(void *context, unsigned int part))
{
	op->piece = igrad_vector_piece(core->pool, whole, op->rows * op->cols);
	igrad_pool_run(core->pool, (unsigned int)((whole + op->piece - 1) / op->piece), NULL, fn,
		       op);
}

/* --------------------------------------------------------------------------------------------- */
/* Element by element */
/* --------------------------------------------------------------------------------------------- */

static void some_rows(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t end = igrad_vector_end(op, part, op->rows);

	for (size_t i = part * op->piece; i < end; i++)
		op->fn(op->d + i * op->d_row, op->a + i * op->a_row, op->b + i * op->b_row,
		       op->cols, op->imm, op->imm2);
}

static void some_columns(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t first = part * op->piece;

	op->fn(op->d + first, op->a + first, op->b + first,
	       igrad_vector_end(op, part, op->cols) - first, op->imm, op->imm2);
}

static void join_rows(struct igrad_operation *op)
{
	if (op->rows > 1 && op->d_row == op->cols && op->a_row == op->cols &&
	    op->b_row == op->cols) {
		op->cols *= op->rows;
		op->rows = 1;
	}
}

static void elementwise(struct igrad_core *core, struct igrad_operation *op, igrad_row_fn *fn)
{
	op->fn = fn;
	join_rows(op);
	if (op->rows == 1)
		igrad_vector_split(core, op, op->cols, some_columns);
	else
		igrad_vector_split(core, op, op->rows, some_rows);
}

static void one_operand(struct igrad_core *core, struct igrad_operation *op, igrad_row_fn *fn)
{
	op->b_row = op->a_row;
	op->b = op->a;
	elementwise(core, op, fn);
}

/* --------------------------------------------------------------------------------------------- */
/* Adam, likewise */
/* --------------------------------------------------------------------------------------------- */

static void adam_rows(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t end = igrad_vector_end(op, part, op->rows);

	for (size_t i = part * op->piece; i < end; i++)
		op->adam(op->d + i * op->d_row, op->m + i * op->b_row, op->v + i * op->b_row,
			 op->a + i * op->a_row, op->cols, op->constants);
}

static void adam_columns(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t first = part * op->piece;

	op->adam(op->d + first, op->m + first, op->v + first, op->a + first,
		 igrad_vector_end(op, part, op->cols) - first, op->constants);
}

static void adam(struct igrad_core *core, struct igrad_operation *op, uint16_t flags)
{
	op->adam = flags & IGRAD_FLAG_DECAY ? op->kernels->adam_decay : op->kernels->adam;
	op->m = igrad_words(core, op->cmd->b);
	op->v = igrad_words(core, op->cmd->imm2);
	op->constants = igrad_words(core, op->cmd->imm);
	join_rows(op);
	if (op->rows == 1)
		igrad_vector_split(core, op, op->cols, adam_columns);
	else
		igrad_vector_split(core, op, op->rows, adam_rows);
}

/* --------------------------------------------------------------------------------------------- */
/* bf16: widened and narrowed block by block; d may be a or b */
/* --------------------------------------------------------------------------------------------- */

#define BLOCK 256

static uint16_t *halves(const float *matrix, size_t pitch, size_t row)
{
	return (uint16_t *)(uintptr_t)((const uint8_t *)matrix + row * pitch);
}

static void relu_grad_row(const struct igrad_operation *op, size_t i)
{
	const uint16_t *a = halves(op->a, op->cmd->a_pitch, i);
	const uint16_t *b = halves(op->b, op->cmd->b_pitch, i);
	uint16_t *d = halves(op->d, op->cmd->d_pitch, i);
	float wide_a[BLOCK], wide_b[BLOCK];

	for (size_t j = 0; j < op->cols; j += BLOCK) {
		const size_t n = op->cols - j < BLOCK ? op->cols - j : BLOCK;

		op->kernels->widen(wide_a, a + j, n);
		op->kernels->widen(wide_b, b + j, n);
		op->kernels->relu_grad(wide_a, wide_a, wide_b, n, 0.0f, 0.0f);
		op->kernels->narrow(d + j, wide_a, n);
	}
}

static void relu_grad_bf16(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t end = igrad_vector_end(op, part, op->rows);

	for (size_t i = part * op->piece; i < end; i++)
		relu_grad_row(op, i);
}

/* --------------------------------------------------------------------------------------------- */
/* Moving bits */
/* --------------------------------------------------------------------------------------------- */

static void fill(const struct igrad_operation *op)
{
	for (size_t i = 0; i < op->rows; i++) {
		char *row = (char *)(op->d + i * op->d_row);

		for (size_t j = 0; j < op->cols; j++)
			memcpy(row + j * 4, &op->cmd->imm, 4);
	}
}

static void copy(const struct igrad_operation *op)
{
	for (size_t i = 0; op->d != op->a && i < op->rows; i++)
		memcpy(op->d + i * op->d_row, op->a + i * op->a_row, op->cols * sizeof(float));
}

/* --------------------------------------------------------------------------------------------- */
/* Reductions: split over columns or over rows that are independent of each other                 */
/* --------------------------------------------------------------------------------------------- */

static void colsum(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t first = part * op->piece;
	const size_t n = igrad_vector_end(op, part, op->cols) - first;
	float *d = op->d + first;

	for (size_t i = 0; i < op->rows; i++)
		op->kernels->add(d, d, op->a + i * op->a_row + first, n, 0.0f, 0.0f);
}

static void colsum_bf16(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t end = igrad_vector_end(op, part, op->cols);
	float wide[BLOCK];

	for (size_t j = part * op->piece; j < end; j += BLOCK) {
		const size_t n = end - j < BLOCK ? end - j : BLOCK;

		for (size_t i = 0; i < op->rows; i++) {
			op->kernels->widen(wide, halves(op->a, op->cmd->a_pitch, i) + j, n);
			op->kernels->add(op->d + j, op->d + j, wide, n, 0.0f, 0.0f);
		}
	}
}

static float maximum(const float *a, size_t n)
{
	float m = a[0];

	for (size_t j = 1; j < n; j++)
		m = a[j] > m || a[j] != a[j] ? a[j] : m;
	return m;
}

static float sum(const float *a, size_t n)
{
	float s = 0.0f;

	for (size_t j = 0; j < n; j++)
		s += a[j];
	return s;
}

static void softmax_rows(void *context, unsigned int part)
{
	const struct igrad_operation *op = context;
	const size_t end = igrad_vector_end(op, part, op->rows);

	for (size_t i = part * op->piece; i < end; i++) {
		const float *a = op->a + i * op->a_row;
		float *d = op->d + i * op->d_row;
		const float m = maximum(a, op->cols);
		uint32_t label;
		float s, q;

		memcpy(&label, op->b + i * op->b_row, sizeof(label));
		op->kernels->exp_sub(d, a, NULL, op->cols, m, 0.0f);
		s = sum(d, op->cols);
		op->losses[i] = igrad_canonical(igrad_log(s) - (a[label] - m));
		q = d[label] / s;
		op->kernels->div_mul(d, d, NULL, op->cols, s, op->imm);
		d[label] = igrad_canonical((q - 1.0f) * op->imm);
	}
}

static struct igrad_operation operation_of(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_vec *v = &cmd->u.vec;

	return (struct igrad_operation){
		.kernels = core->kernels,
		.cmd = v,
		.d = igrad_words(core, v->d),
		.a = igrad_words(core, v->a),
		.b = igrad_words(core, v->b),
		.d_row = v->d_pitch / 4,
		.a_row = v->a_pitch / 4,
		.b_row = v->b_pitch / 4,
		.rows = v->rows,
		.cols = v->cols,
		.imm = igrad_float(v->imm),
		.imm2 = igrad_float(v->imm2),
	};
}

void igrad_vector_execute(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_kernels *kernels = core->kernels;
	struct igrad_operation op;

	if (cmd->opcode >= IGRAD_OP_VEC_POOL_MAX) {
		igrad_vector_pool(core, cmd);
		return;
	}
	op = operation_of(core, cmd);
	switch (cmd->opcode) {
	case IGRAD_OP_VEC_FILL:
		fill(&op);
		break;
	case IGRAD_OP_VEC_COPY:
		copy(&op);
		break;
	case IGRAD_OP_VEC_BIAS: /* b_row is zero: every row takes the same b */
		elementwise(core, &op, kernels->add);
		break;
	case IGRAD_OP_VEC_ADD:
		elementwise(core, &op, kernels->add);
		break;
	case IGRAD_OP_VEC_MUL:
		elementwise(core, &op, kernels->mul);
		break;
	case IGRAD_OP_VEC_RELU:
		one_operand(core, &op, kernels->relu);
		break;
	case IGRAD_OP_VEC_SCALE:
		one_operand(core, &op, kernels->scale);
		break;
	case IGRAD_OP_VEC_RSQRT:
		one_operand(core, &op, kernels->rsqrt);
		break;
	case IGRAD_OP_VEC_RELU_GRAD:
		if (cmd->flags & IGRAD_FLAG_BF16)
			igrad_vector_split(core, &op, op.rows, relu_grad_bf16);
		else
			elementwise(core, &op, kernels->relu_grad);
		break;
	case IGRAD_OP_VEC_AXPY:
		elementwise(core, &op, kernels->axpy);
		break;
	case IGRAD_OP_VEC_SGD:
		elementwise(core, &op,
			    cmd->flags & IGRAD_FLAG_DECAY ? kernels->sgd_decay : kernels->sgd);
		break;
	case IGRAD_OP_VEC_ADAM:
		adam(core, &op, cmd->flags);
		break;
	case IGRAD_OP_VEC_COLSUM:
		if (!(cmd->flags & IGRAD_FLAG_KEEP))
			memset(op.d, 0, op.cols * sizeof(float));
		igrad_vector_split(core, &op, op.cols,
				   cmd->flags & IGRAD_FLAG_BF16 ? colsum_bf16 : colsum);
		break;
	case IGRAD_OP_VEC_SOFTMAX_XENT:
		op.losses = igrad_words(core, cmd->u.vec.imm2);
		igrad_vector_split(core, &op, op.rows, softmax_rows);
		break;
	case IGRAD_OP_VEC_COLSQ:
	case IGRAD_OP_VEC_NORM:
	case IGRAD_OP_VEC_NORM_SUMS:
	case IGRAD_OP_VEC_NORM_GRAD:
		igrad_vector_norm(core, &op, cmd);
		break;
	case IGRAD_OP_VEC_DROPOUT:
		igrad_vector_dropout(core, &op);
		break;
	}
}
