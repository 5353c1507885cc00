/* SPDX-License-Identifier: MIT */
/* The vector unit: C lanes, each one element a cycle, elements in row order. */
#include <math.h>
#include <stdlib.h>

#include "unit.h"

static bool decays(const struct ref_unit *u)
{
	return u->cmd->flags & IGRAD_FLAG_DECAY;
}

static enum igrad_operand counted_as(const struct ref_unit *u, enum igrad_operand update,
				     enum igrad_operand other)
{
	switch (u->cmd->opcode) {
	case IGRAD_OP_VEC_SGD:
	case IGRAD_OP_VEC_AXPY:
	case IGRAD_OP_VEC_SCALE:
	case IGRAD_OP_VEC_ADAM:
		return update;
	default:
		return other;
	}
}

/* With BF16: everything but sums. */
static bool narrow(const struct ref_unit *u, uint32_t addr)
{
	return u->cmd->flags & IGRAD_FLAG_BF16 &&
	       (u->cmd->opcode != IGRAD_OP_VEC_COLSUM || addr == u->v->a);
}

uint32_t ref_get_bits(struct ref_unit *u, uint32_t addr, uint32_t pitch, uint32_t i, uint32_t j)
{
	return ref_read(u->device, addr + i * pitch + j * 4,
			counted_as(u, IGRAD_ACCESS_UPDATE_READ, IGRAD_ACCESS_VECTOR_READ));
}

float ref_get_word(struct ref_unit *u, uint32_t addr, uint32_t pitch, uint32_t i, uint32_t j)
{
	if (narrow(u, addr))
		return ref_from_bf16(ref_read_half(u->device, addr + i * pitch + j * 2,
						   IGRAD_ACCESS_VECTOR_READ));
	return ref_float(ref_get_bits(u, addr, pitch, i, j));
}

void ref_put_bits(struct ref_unit *u, uint32_t addr, uint32_t pitch, uint32_t i, uint32_t j,
		  uint32_t bits)
{
	ref_write(u->device, addr + i * pitch + j * 4, bits,
		  counted_as(u, IGRAD_ACCESS_UPDATE_WRITE, IGRAD_ACCESS_VECTOR_WRITE));
}

void ref_put_word(struct ref_unit *u, uint32_t addr, uint32_t pitch, uint32_t i, uint32_t j,
		  float value)
{
	if (narrow(u, addr))
		ref_write_half(u->device, addr + i * pitch + j * 2, ref_to_bf16(value),
			       IGRAD_ACCESS_VECTOR_WRITE);
	else
		ref_put_bits(u, addr, pitch, i, j, ref_bits(ref_canonical(value)));
}

/* A lane takes an element; the first of a cycle begins that cycle. */
void ref_lane(struct ref_unit *u)
{
	u->ops++;
	if (u->lanes_used == 0)
		u->cycles++;
	if (++u->lanes_used == u->device->config.cols)
		u->lanes_used = 0;
}

static void end_pass(struct ref_unit *u)
{
	u->lanes_used = 0;
}

static float a_of(struct ref_unit *u, uint32_t i, uint32_t j)
{
	return ref_get_word(u, u->v->a, u->v->a_pitch, i, j);
}

static float b_of(struct ref_unit *u, uint32_t i, uint32_t j)
{
	return ref_get_word(u, u->v->b, u->v->b_pitch, i, j);
}

static float arithmetic(struct ref_unit *u, uint32_t i, uint32_t j)
{
	const float imm = ref_float(u->v->imm), imm2 = ref_float(u->v->imm2);
	const float a = a_of(u, i, j);
	float b = 0.0f;

	if (u->cmd->opcode != IGRAD_OP_VEC_RELU && u->cmd->opcode != IGRAD_OP_VEC_SCALE &&
	    u->cmd->opcode != IGRAD_OP_VEC_RSQRT)
		b = b_of(u, i, j);
	switch (u->cmd->opcode) {
	case IGRAD_OP_VEC_BIAS:
	case IGRAD_OP_VEC_ADD:
		return a + b;
	case IGRAD_OP_VEC_MUL:
		return a * b;
	case IGRAD_OP_VEC_RSQRT:
		u->ops += 2;
		return ref_rsqrt(a + imm);
	case IGRAD_OP_VEC_RELU:
		return a > 0.0f || isnan(a) ? a : 0.0f;
	case IGRAD_OP_VEC_RELU_GRAD:
		return a > 0.0f ? b : 0.0f;
	case IGRAD_OP_VEC_AXPY:
		return ref_fma(imm, a, b);
	case IGRAD_OP_VEC_SCALE:
		return imm * a;
	default: /* VEC_SGD */
		u->ops += decays(u);
		return ref_fma(-imm, b, decays(u) ? imm2 * a : a);
	}
}

/*
 * Quotients and roots of doubles, rounded to fp32, are those that are rounded once: doubles have
 * more than twice as many bits.
 */
float ref_rsqrt(float x)
{
	const float root = (float)sqrt((double)x);

	return (float)(1.0 / (double)root);
}

static void elementwise(struct ref_unit *u)
{
	for (uint32_t i = 0; i < u->v->rows; i++) {
		for (uint32_t j = 0; j < u->v->cols; j++) {
			ref_lane(u);
			if (u->cmd->opcode == IGRAD_OP_VEC_FILL)
				ref_put_bits(u, u->v->d, u->v->d_pitch, i, j, u->v->imm);
			else if (u->cmd->opcode == IGRAD_OP_VEC_COPY)
				ref_put_bits(u, u->v->d, u->v->d_pitch, i, j,
					     ref_get_bits(u, u->v->a, u->v->a_pitch, i, j));
			else
				ref_put_word(u, u->v->d, u->v->d_pitch, i, j, arithmetic(u, i, j));
		}
	}
}

/* Quotients and roots as in ref_rsqrt(). */
static void adam_element(struct ref_unit *u, const float c[], uint32_t i, uint32_t j)
{
	const float g = a_of(u, i, j);
	const float m = ref_fma(c[IGRAD_ADAM_REST1], g, c[IGRAD_ADAM_BETA1] * b_of(u, i, j));
	const float v =
		ref_fma(c[IGRAD_ADAM_REST2] * g, g,
			c[IGRAD_ADAM_BETA2] * ref_get_word(u, u->v->imm2, u->v->b_pitch, i, j));
	const float w = ref_get_word(u, u->v->d, u->v->d_pitch, i, j);
	const float root = (float)sqrt((double)v) + c[IGRAD_ADAM_EPSILON];
	const float t = decays(u) ? c[IGRAD_ADAM_KEEP] * w : w;

	/* m takes two roundings, v three, w four: root, sum, quotient and fma. */
	u->ops += 2 + 3 + 4 - 1 + decays(u);
	ref_put_word(u, u->v->b, u->v->b_pitch, i, j, m);
	ref_put_word(u, u->v->imm2, u->v->b_pitch, i, j, v);
	ref_put_word(u, u->v->d, u->v->d_pitch, i, j,
		     ref_fma(-c[IGRAD_ADAM_LR], (float)((double)m / (double)root), t));
}

/* The constants come first, while lanes fill. */
static void adam(struct ref_unit *u)
{
	float constants[IGRAD_ADAM_WORDS];

	for (uint32_t k = 0; k < IGRAD_ADAM_WORDS; k++)
		constants[k] = ref_float(ref_get_bits(u, u->v->imm, 0, 0, k));
	for (uint32_t i = 0; i < u->v->rows; i++) {
		for (uint32_t j = 0; j < u->v->cols; j++) {
			ref_lane(u);
			adam_element(u, constants, i, j);
		}
	}
}

/* The sums stay in the unit; they are written at the end, and read at the start with KEEP. */
static void colsum(struct ref_unit *u)
{
	for (uint32_t j = 0; j < u->v->cols; j++) {
		float s = u->cmd->flags & IGRAD_FLAG_KEEP ? ref_get_word(u, u->v->d, 0, 0, j)
							  : 0.0f;

		for (uint32_t i = 0; i < u->v->rows; i++) {
			ref_lane(u);
			s += a_of(u, i, j);
		}
		ref_put_word(u, u->v->d, 0, 0, j, s);
	}
}

/* What the unit keeps of a row between the passes. */
struct row {
	float m;
	float s;
	float at_label;
	uint32_t label;
};

static void maximum_pass(struct ref_unit *u, uint32_t i, struct row *row)
{
	row->m = -INFINITY;
	for (uint32_t j = 0; j < u->v->cols; j++) {
		const float a = a_of(u, i, j);

		ref_lane(u);
		if (a > row->m || isnan(a))
			row->m = a;
	}
}

static void exp_pass(struct ref_unit *u, uint32_t i, struct row *row)
{
	row->label = ref_get_bits(u, u->v->b, u->v->b_pitch, i, 0);
	row->s = 0.0f;
	for (uint32_t j = 0; j < u->v->cols; j++) {
		const float a = a_of(u, i, j);
		const float e = ref_exp(a - row->m);

		ref_lane(u);
		if (j == row->label)
			row->at_label = a;
		row->s += e;
		ref_put_word(u, u->v->d, u->v->d_pitch, i, j, e);
	}
}

static void quotient_pass(struct ref_unit *u, uint32_t i, const struct row *row)
{
	for (uint32_t j = 0; j < u->v->cols; j++) {
		const float q = ref_get_word(u, u->v->d, u->v->d_pitch, i, j) / row->s;
		const float difference = j == row->label ? q - 1.0f : q;

		ref_lane(u);
		ref_put_word(u, u->v->d, u->v->d_pitch, i, j, difference * ref_float(u->v->imm));
	}
}

static void loss_pass(struct ref_unit *u, uint32_t i, const struct row *row)
{
	const float shifted = row->at_label - row->m;

	ref_lane(u);
	ref_put_word(u, u->v->imm2, 4, i, 0, ref_log(row->s) - shifted);
}

static void softmax(struct ref_unit *u)
{
	const uint32_t n = u->v->rows;
	struct row *rows = calloc(n, sizeof(*rows));

	if (!rows)
		abort();
	for (uint32_t i = 0; i < n; i++)
		maximum_pass(u, i, &rows[i]);
	end_pass(u);
	for (uint32_t i = 0; i < n; i++)
		exp_pass(u, i, &rows[i]);
	end_pass(u);
	for (uint32_t i = 0; i < n; i++)
		quotient_pass(u, i, &rows[i]);
	end_pass(u);
	for (uint32_t i = 0; i < n; i++)
		loss_pass(u, i, &rows[i]);
	u->ops = (uint64_t)n *
		 u->v->cols; /* an element is one operation, however often it is seen */
	free(rows);
}

uint64_t ref_vector(struct ref_device *device, const struct igrad_cmd *cmd)
{
	struct ref_unit u = {.device = device, .cmd = cmd, .v = &cmd->u.vec};

	if (cmd->opcode == IGRAD_OP_VEC_SOFTMAX_XENT)
		softmax(&u);
	else if (cmd->opcode == IGRAD_OP_VEC_COLSUM)
		colsum(&u);
	else if (cmd->opcode == IGRAD_OP_VEC_ADAM)
		adam(&u);
	else if (cmd->opcode > IGRAD_OP_VEC_RSQRT)
		ref_layer(&u);
	else
		elementwise(&u);
	device->counts->vector_ops += u.ops;
	return u.cycles;
}
