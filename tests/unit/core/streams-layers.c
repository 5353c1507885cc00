/* SPDX-License-Identifier: MIT */
/* Random commands of the vector unit for normalisation, dropout and pooling. */
#include <string.h>

#include "streams-regions.h"
#include "windows.h"

/* Rows of constants of a command, and of its result. */
static uint32_t constant_rows(enum igrad_opcode opcode)
{
	switch (opcode) {
	case IGRAD_OP_VEC_NORM:
		return IGRAD_NORM_ROWS;
	case IGRAD_OP_VEC_NORM_SUMS:
		return IGRAD_NORM_ROWS_SUMS;
	case IGRAD_OP_VEC_NORM_GRAD:
		return IGRAD_NORM_ROWS_GRAD;
	default:
		return 1; /* VEC_COLSQ: b */
	}
}

bool random_norm(struct stream *s)
{
	const enum igrad_opcode opcode = (enum igrad_opcode)rng_between(s->rng, IGRAD_OP_VEC_COLSQ,
									IGRAD_OP_VEC_NORM_GRAD);
	const bool squares = opcode == IGRAD_OP_VEC_COLSQ, sums = opcode == IGRAD_OP_VEC_NORM_SUMS;
	const bool has_b = sums || opcode == IGRAD_OP_VEC_NORM_GRAD;
	const uint32_t rows = random_size(s->rng, 20), cols = random_size(s->rng, 40);
	struct igrad_cmd cmd = cmd_vec(opcode, rows, cols);
	struct igrad_cmd_vec *v = &cmd.u.vec;
	struct region a, b, d, constants;

	if (!place(s, 4, rows, cols, &a) || !place(s, 4, rows, cols, &b) ||
	    !place(s, 4,
		   squares ? 1
		   : sums  ? 2
			   : rows,
		   cols, &d) ||
	    !place(s, 4, constant_rows(opcode), cols, &constants))
		return false;
	if (!sums && !squares && rng_below(s->rng, 3) == 0)
		d = has_b && rng_below(s->rng, 2) ? b : a;
	if (((sums || squares || !same(&a, &d)) && !disjoint(&a, &d)) ||
	    (has_b && (sums || !same(&b, &d)) && !disjoint(&b, &d)) || !disjoint(&constants, &d))
		return false;
	if ((sums || squares) && rng_below(s->rng, 2))
		cmd.flags = IGRAD_FLAG_KEEP;
	v->a = a.addr;
	v->a_pitch = a.pitch;
	v->d = d.addr;
	v->d_pitch = squares ? 0 : d.pitch;
	if (squares) {
		v->b = constants.addr;
	} else {
		v->imm = constants.addr;
		v->imm2 = constants.pitch;
	}
	if (has_b) {
		v->b = b.addr;
		v->b_pitch = b.pitch;
	}
	stream_emit(s, cmd, (struct access[]){writes(&d), reads(&a), reads(&constants), reads(&b)},
		    has_b ? 4 : 3);
	return true;
}

bool random_dropout(struct stream *s)
{
	const uint32_t rows = random_size(s->rng, 20), cols = random_size(s->rng, 90);
	struct igrad_cmd cmd = cmd_vec(IGRAD_OP_VEC_DROPOUT, rows, cols);
	struct region a, d, words;

	if (!place(s, 4, rows, cols, &a) || !place(s, 4, rows, cols, &d) ||
	    !place(s, 4, 1, IGRAD_DROPOUT_WORDS, &words))
		return false;
	if (rng_below(s->rng, 2))
		d = a;
	if ((!same(&a, &d) && !disjoint(&a, &d)) || !disjoint(&words, &d))
		return false;
	cmd.u.vec = (struct igrad_cmd_vec){
		.rows = rows,
		.cols = cols,
		.a = a.addr,
		.a_pitch = a.pitch,
		.b = words.addr,
		.d = d.addr,
		.d_pitch = d.pitch,
		.imm = rng_below(s->rng, 4) ? rng_below(s->rng, 100) : 0xfffffff0u,
		.imm2 = rng_below(s->rng, 4) ? rng_below(s->rng, 100) : 0xfffffff0u,
	};
	stream_emit(s, cmd, (struct access[]){writes(&d), reads(&a), reads(&words)}, 3);
	return true;
}

/* --------------------------------------------------------------------------------------------- */
/* Pooling */
/* --------------------------------------------------------------------------------------------- */

static bool is_grad(enum igrad_opcode opcode)
{
	return opcode == IGRAD_OP_VEC_POOL_MAX_GRAD || opcode == IGRAD_OP_VEC_POOL_SUM_GRAD;
}

/* Numbers of pixels come from memory, or they would hardly ever be some. */
static void load_numbers(struct stream *s, const struct region *b, uint32_t words)
{
	struct igrad_cmd load = cmd_dma(IGRAD_OP_DMA_LOAD, STREAM_LABELS + s->labels_used * 4,
					b->addr, 1, words);
	const struct access accesses[] = {
		writes(b),
		{.memory = true, .begin = load.u.dma.va, .end = load.u.dma.va + words * 4}};

	for (uint32_t i = 0; i < words; i++) {
		const uint32_t number = rng_below(s->rng, 18);

		memcpy(s->memory + STREAM_LABELS + (s->labels_used + i) * 4, &number,
		       sizeof(number));
	}
	s->labels_used += words;
	stream_emit(s, load, accesses, 2);
}

bool random_pool(struct stream *s)
{
	const enum igrad_opcode opcode = (enum igrad_opcode)rng_between(
		s->rng, IGRAD_OP_VEC_POOL_MAX, IGRAD_OP_VEC_POOL_DIVIDE);
	const bool grad = is_grad(opcode), divide = opcode == IGRAD_OP_VEC_POOL_DIVIDE;
	struct igrad_cmd cmd = {.opcode = (uint8_t)opcode};
	struct igrad_cmd_pool *p = &cmd.u.pool;
	struct region a, b, d;
	uint32_t pixels, outputs;
	bool has_b;

	if (!random_windows(s->rng, &cmd))
		return false;
	if (opcode == IGRAD_OP_VEC_POOL_MAX && rng_below(s->rng, 3))
		cmd.flags = IGRAD_FLAG_INDEX;
	has_b = cmd.flags || opcode == IGRAD_OP_VEC_POOL_MAX_GRAD;
	pixels = p->images * p->height * p->width * p->cols;
	outputs = p->images * p->out_height * p->out_width * p->cols;
	if (!place(s, 4, 1, grad || divide ? outputs : pixels, &a) ||
	    !place(s, 4, 1, outputs, &b) || !place(s, 4, 1, grad ? pixels : outputs, &d))
		return false;
	if (divide && rng_below(s->rng, 2))
		d = a;
	if (((!divide || !same(&a, &d)) && !disjoint(&a, &d)) ||
	    (has_b && (!disjoint(&b, &d) || !disjoint(&a, &b))) ||
	    s->labels_used + outputs > STREAM_SRAM / 4)
		return false;
	p->a = a.addr;
	p->b = has_b ? b.addr : 0;
	p->d = d.addr;
	if (opcode == IGRAD_OP_VEC_POOL_MAX_GRAD && rng_below(s->rng, 4))
		load_numbers(s, &b, outputs);
	stream_emit(s, cmd, (struct access[]){writes(&d), reads(&a), grad ? reads(&b) : writes(&b)},
		    has_b ? 3 : 2);
	return true;
}
