/* SPDX-License-Identifier: MIT */
/* The vector commands. Rows that follow each other without a gap are treated as one long row. */
#include "internal.h"
#include "mathfn.h"

/* Elements that a thread should have to be worth waking. */
#define SPLIT_ELEMENTS (1u << 17)

struct operation {
	const struct igrad_kernels *kernels;
	const struct igrad_cmd_vec *cmd;
	igrad_row_fn *fn;
	float *losses; /* VEC_SOFTMAX_XENT */
	igrad_adam_fn *adam;
	float *m; /* VEC_ADAM: rows b_row apart; likewise v */
	float *v;
	const float *constants;
	float *d; /* rows of cols words, d_row apart; likewise a and b */
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

static size_t piece_of(struct igrad_pool *pool, size_t whole, size_t elements)
{
	size_t parts = elements / SPLIT_ELEMENTS;

	if (parts > igrad_pool_threads(pool))
		parts = igrad_pool_threads(pool);
	return parts > 1 ? (whole + parts - 1) / parts : whole;
}

static void split(struct igrad_core *core, struct operation *op, size_t whole,
		  void (*fn)(void *context, unsigned int part))
{
	op->piece = piece_of(core->pool, whole, op->rows * op->cols);
	igrad_pool_run(core->pool, (unsigned int)((whole + op->piece - 1) / op->piece), NULL, fn,
		       op);
}

static size_t end_of(const struct operation *op, unsigned int part, size_t whole)
{
	const size_t end = (part + 1) * op->piece;

	return end < whole ? end : whole;
}

/* --------------------------------------------------------------------------------------------- */
/* Element by element */
/* --------------------------------------------------------------------------------------------- */

static void some_rows(void *context, unsigned int part)
{
	const struct operation *op = context;
	const size_t end = end_of(op, part, op->rows);

	for (size_t i = part * op->piece; i < end; i++)
		op->fn(op->d + i * op->d_row, op->a + i * op->a_row, op->b + i * op->b_row,
		       op->cols, op->imm, op->imm2);
}

static void some_columns(void *context, unsigned int part)
{
	const struct operation *op = context;
	const size_t first = part * op->piece;

	op->fn(op->d + first, op->a + first, op->b + first, end_of(op, part, op->cols) - first,
	       op->imm, op->imm2);
}

static void join_rows(struct operation *op)
{
	if (op->rows > 1 && op->d_row == op->cols && op->a_row == op->cols &&
	    op->b_row == op->cols) {
		op->cols *= op->rows;
		op->rows = 1;
	}
}

static void elementwise(struct igrad_core *core, struct operation *op, igrad_row_fn *fn)
{
	op->fn = fn;
	join_rows(op);
	if (op->rows == 1)
		split(core, op, op->cols, some_columns);
	else
		split(core, op, op->rows, some_rows);
}

/* --------------------------------------------------------------------------------------------- */
/* Adam, likewise */
/* --------------------------------------------------------------------------------------------- */

static void adam_rows(void *context, unsigned int part)
{
	const struct operation *op = context;
	const size_t end = end_of(op, part, op->rows);

	for (size_t i = part * op->piece; i < end; i++)
		op->adam(op->d + i * op->d_row, op->m + i * op->b_row, op->v + i * op->b_row,
			 op->a + i * op->a_row, op->cols, op->constants);
}

static void adam_columns(void *context, unsigned int part)
{
	const struct operation *op = context;
	const size_t first = part * op->piece;

	op->adam(op->d + first, op->m + first, op->v + first, op->a + first,
		 end_of(op, part, op->cols) - first, op->constants);
}

static void adam(struct igrad_core *core, struct operation *op, uint16_t flags)
{
	op->adam = flags & IGRAD_FLAG_DECAY ? op->kernels->adam_decay : op->kernels->adam;
	op->m = igrad_words(core, op->cmd->b);
	op->v = igrad_words(core, op->cmd->imm2);
	op->constants = igrad_words(core, op->cmd->imm);
	join_rows(op);
	if (op->rows == 1)
		split(core, op, op->cols, adam_columns);
	else
		split(core, op, op->rows, adam_rows);
}

/* --------------------------------------------------------------------------------------------- */
/* bf16: widened and narrowed block by block; d may be a or b */
/* --------------------------------------------------------------------------------------------- */

#define BLOCK 256

static uint16_t *halves(const float *matrix, size_t pitch, size_t row)
{
	return (uint16_t *)(uintptr_t)((const uint8_t *)matrix + row * pitch);
}

static void relu_grad_row(const struct operation *op, size_t i)
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
	const struct operation *op = context;
	const size_t end = end_of(op, part, op->rows);

	for (size_t i = part * op->piece; i < end; i++)
		relu_grad_row(op, i);
}

/* --------------------------------------------------------------------------------------------- */
/* Moving bits */
/* --------------------------------------------------------------------------------------------- */

static void fill(const struct operation *op)
{
	for (size_t i = 0; i < op->rows; i++) {
		char *row = (char *)(op->d + i * op->d_row);

		for (size_t j = 0; j < op->cols; j++)
			memcpy(row + j * 4, &op->cmd->imm, 4);
	}
}

static void copy(const struct operation *op)
{
	for (size_t i = 0; op->d != op->a && i < op->rows; i++)
		memcpy(op->d + i * op->d_row, op->a + i * op->a_row, op->cols * sizeof(float));
}

/* --------------------------------------------------------------------------------------------- */
/* Reductions: split over columns or over rows that are independent of each other                 */
/* --------------------------------------------------------------------------------------------- */

static void colsum(void *context, unsigned int part)
{
	const struct operation *op = context;
	const size_t first = part * op->piece;
	const size_t n = end_of(op, part, op->cols) - first;
	float *d = op->d + first;

	for (size_t i = 0; i < op->rows; i++)
		op->kernels->add(d, d, op->a + i * op->a_row + first, n, 0.0f, 0.0f);
}

static void colsum_bf16(void *context, unsigned int part)
{
	const struct operation *op = context;
	const size_t end = end_of(op, part, op->cols);
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
	const struct operation *op = context;
	const size_t end = end_of(op, part, op->rows);

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

static struct operation operation_of(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_vec *v = &cmd->u.vec;

	return (struct operation){
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
	struct operation op = operation_of(core, cmd);

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
	case IGRAD_OP_VEC_RELU:
	case IGRAD_OP_VEC_SCALE:
		op.b_row = op.a_row;
		op.b = op.a;
		elementwise(core, &op,
			    cmd->opcode == IGRAD_OP_VEC_RELU ? kernels->relu : kernels->scale);
		break;
	case IGRAD_OP_VEC_RELU_GRAD:
		if (cmd->flags & IGRAD_FLAG_BF16)
			split(core, &op, op.rows, relu_grad_bf16);
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
		split(core, &op, op.cols, cmd->flags & IGRAD_FLAG_BF16 ? colsum_bf16 : colsum);
		break;
	case IGRAD_OP_VEC_SOFTMAX_XENT:
		op.losses = igrad_words(core, cmd->u.vec.imm2);
		split(core, &op, op.rows, softmax_rows);
		break;
	}
}
