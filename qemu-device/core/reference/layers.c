/* SPDX-License-Identifier: MIT */
/*
 * The vector unit's commands for normalisation, dropout and pooling. What goes down columns sees
 * them one after the other: their constants and sums stay in the unit.
 */
#include <math.h>

#include "unit.h"

/* --------------------------------------------------------------------------------------------- */
/* Normalisation */
/* --------------------------------------------------------------------------------------------- */

static float constant(struct ref_unit *u, uint32_t row, uint32_t j)
{
	return ref_get_word(u, u->v->imm, u->v->imm2, row, j);
}

static float a_of(struct ref_unit *u, uint32_t i, uint32_t j)
{
	return ref_get_word(u, u->v->a, u->v->a_pitch, i, j);
}

static float b_of(struct ref_unit *u, uint32_t i, uint32_t j)
{
	return ref_get_word(u, u->v->b, u->v->b_pitch, i, j);
}

static void put(struct ref_unit *u, uint32_t i, uint32_t j, float value)
{
	ref_put_word(u, u->v->d, u->v->d_pitch, i, j, value);
}

static float begin_sum(struct ref_unit *u, uint32_t row, uint32_t j)
{
	if (!(u->cmd->flags & IGRAD_FLAG_KEEP))
		return 0.0f;
	return ref_get_word(u, u->v->d, u->v->d_pitch, row, j);
}

static void squares_of_column(struct ref_unit *u, uint32_t j)
{
	const float mean = ref_get_word(u, u->v->b, 0, 0, j);
	float sum = begin_sum(u, 0, j);

	for (uint32_t i = 0; i < u->v->rows; i++) {
		const float t = a_of(u, i, j) - mean;

		ref_lane(u);
		u->ops += 1;
		sum = ref_fma(t, t, sum);
	}
	put(u, 0, j, sum);
}

static void norm_column(struct ref_unit *u, uint32_t j)
{
	const float mean = constant(u, 0, j), inverse = constant(u, 1, j);
	const float scale = constant(u, 2, j), shift = constant(u, 3, j);

	for (uint32_t i = 0; i < u->v->rows; i++) {
		const float t = a_of(u, i, j) - mean;

		ref_lane(u);
		u->ops += 2;
		put(u, i, j, ref_fma(t * inverse, scale, shift));
	}
}

static void sums_of_column(struct ref_unit *u, uint32_t j)
{
	const float mean = constant(u, 0, j), inverse = constant(u, 1, j);
	float sum = begin_sum(u, 0, j), dot = begin_sum(u, 1, j);

	for (uint32_t i = 0; i < u->v->rows; i++) {
		const float t = a_of(u, i, j) - mean, dy = b_of(u, i, j);

		ref_lane(u);
		u->ops += 3;
		sum += dy;
		dot = ref_fma(dy, t * inverse, dot);
	}
	put(u, 0, j, sum);
	put(u, 1, j, dot);
}

static void gradient_of_column(struct ref_unit *u, uint32_t j)
{
	const float mean = constant(u, 0, j), inverse = constant(u, 1, j);
	const float sum = constant(u, 2, j), dot = constant(u, 3, j), factor = constant(u, 4, j);

	for (uint32_t i = 0; i < u->v->rows; i++) {
		const float t = a_of(u, i, j) - mean;
		const float centred = b_of(u, i, j) - sum;

		ref_lane(u);
		u->ops += 4;
		put(u, i, j, factor * ref_fma(-(t * inverse), dot, centred));
	}
}

static void columns(struct ref_unit *u, void (*fn)(struct ref_unit *u, uint32_t j))
{
	for (uint32_t j = 0; j < u->v->cols; j++)
		fn(u, j);
}

/* --------------------------------------------------------------------------------------------- */
/* Dropout */
/* --------------------------------------------------------------------------------------------- */

struct counter {
	uint32_t word[4];
};

static struct counter philox_round(struct counter c, uint32_t key0, uint32_t key1)
{
	const uint64_t a = 0xD2511F53ull * c.word[0], b = 0xCD9E8D57ull * c.word[2];

	return (struct counter){{
		(uint32_t)(b >> 32) ^ c.word[1] ^ key0,
		(uint32_t)b,
		(uint32_t)(a >> 32) ^ c.word[3] ^ key1,
		(uint32_t)a,
	}};
}

static uint32_t random_number(uint32_t row, uint32_t col, const uint32_t words[])
{
	struct counter c = {{row, col / 4, words[IGRAD_DROPOUT_STREAM], 0}};

	for (uint32_t round = 0; round < 10; round++)
		c = philox_round(c, words[IGRAD_DROPOUT_KEY0] + round * 0x9E3779B9u,
				 words[IGRAD_DROPOUT_KEY1] + round * 0xBB67AE85u);
	return c.word[col % 4];
}

static void dropout(struct ref_unit *u)
{
	uint32_t words[IGRAD_DROPOUT_WORDS];

	for (uint32_t k = 0; k < IGRAD_DROPOUT_WORDS; k++)
		words[k] = ref_get_bits(u, u->v->b, 0, 0, k);
	for (uint32_t i = 0; i < u->v->rows; i++) {
		for (uint32_t j = 0; j < u->v->cols; j++) {
			const uint32_t number = random_number(u->v->imm + i, u->v->imm2 + j, words);
			const float a = a_of(u, i, j);

			ref_lane(u);
			put(u, i, j,
			    number < words[IGRAD_DROPOUT_THRESHOLD]
				    ? 0.0f
				    : a * ref_float(words[IGRAD_DROPOUT_SCALE]));
		}
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Pooling */
/* --------------------------------------------------------------------------------------------- */

/* An output and one of its channels. */
struct spot {
	uint32_t image;
	uint32_t oy;
	uint32_t ox;
	uint32_t channel;
};

static uint32_t output_at(const struct igrad_cmd_pool *p, uint32_t addr, const struct spot *s)
{
	const uint32_t output = (s->image * p->out_height + s->oy) * p->out_width + s->ox;

	return addr + (output * p->cols + s->channel) * 4;
}

/* Where pixel number @k of the spot's window is; false if it is not in the image. */
static bool pixel_at(const struct igrad_cmd_pool *p, uint32_t addr, const struct spot *s,
		     uint32_t k, uint32_t *at)
{
	const long y = (long)s->oy * p->stride_y + IGRAD_TAP_Y(p->tap) + k / p->kernel_x;
	const long x = (long)s->ox * p->stride_x + IGRAD_TAP_X(p->tap) + k % p->kernel_x;
	uint32_t pixel;

	if (k / p->kernel_x >= p->kernel_y || y < 0 || y >= p->height || x < 0 || x >= p->width)
		return false;
	pixel = (s->image * p->height + (uint32_t)y) * p->width + (uint32_t)x;
	*at = addr + (pixel * p->cols + s->channel) * 4;
	return true;
}

static float read(struct ref_unit *u, uint32_t at)
{
	return ref_get_word(u, at, 0, 0, 0);
}

static void write(struct ref_unit *u, uint32_t at, float value)
{
	ref_put_word(u, at, 0, 0, 0, value);
}

static void maximum(struct ref_unit *u, const struct igrad_cmd_pool *p, const struct spot *s)
{
	const uint32_t window = (uint32_t)p->kernel_y * p->kernel_x;
	uint32_t at, winner = window;
	float best = 0.0f;

	for (uint32_t k = 0; k < window; k++) {
		float value;

		if (!pixel_at(p, p->a, s, k, &at))
			continue;
		ref_lane(u);
		value = read(u, at);
		if (winner == window || (!isnan(best) && (isnan(value) || value > best))) {
			best = value;
			winner = k;
		}
	}
	write(u, output_at(p, p->d, s), best);
	if (u->cmd->flags & IGRAD_FLAG_INDEX)
		ref_put_bits(u, output_at(p, p->b, s), 0, 0, 0, winner);
}

static void sum(struct ref_unit *u, const struct igrad_cmd_pool *p, const struct spot *s)
{
	float total = 0.0f;
	uint32_t at;

	for (uint32_t k = 0; k < (uint32_t)p->kernel_y * p->kernel_x; k++) {
		if (!pixel_at(p, p->a, s, k, &at))
			continue;
		ref_lane(u);
		total += read(u, at);
	}
	write(u, output_at(p, p->d, s), total);
}

/* The word that a pixel's would be takes its time, and both ports'. */
static void maximum_gradient(struct ref_unit *u, const struct igrad_cmd_pool *p,
			     const struct spot *s)
{
	const float gradient = read(u, output_at(p, p->a, s));
	const uint32_t winner = ref_get_bits(u, output_at(p, p->b, s), 0, 0, 0);
	uint32_t at;

	ref_lane(u);
	if (pixel_at(p, p->d, s, winner, &at)) {
		write(u, at, read(u, at) + gradient);
		return;
	}
	u->device->counts->sram[0][IGRAD_ACCESS_VECTOR_READ]++;
	u->device->counts->sram[0][IGRAD_ACCESS_VECTOR_WRITE]++;
}

static void sum_gradient(struct ref_unit *u, const struct igrad_cmd_pool *p, const struct spot *s)
{
	const float gradient = read(u, output_at(p, p->a, s));
	uint32_t at;

	for (uint32_t k = 0; k < (uint32_t)p->kernel_y * p->kernel_x; k++) {
		if (!pixel_at(p, p->d, s, k, &at))
			continue;
		ref_lane(u);
		write(u, at, read(u, at) + gradient);
	}
}

static void divide(struct ref_unit *u, const struct igrad_cmd_pool *p, const struct spot *s)
{
	const float total = read(u, output_at(p, p->a, s));
	unsigned int count = 0;
	uint32_t at;

	ref_lane(u);
	for (uint32_t k = 0; k < (uint32_t)p->kernel_y * p->kernel_x; k++)
		count += pixel_at(p, 0, s, k, &at);
	write(u, output_at(p, p->d, s), (float)((double)total / count));
}

static void pool(struct ref_unit *u, void (*fn)(struct ref_unit *u, const struct igrad_cmd_pool *p,
						const struct spot *s))
{
	const struct igrad_cmd_pool *p = &u->cmd->u.pool;
	struct spot s;

	for (s.image = 0; s.image < p->images; s.image++)
		for (s.oy = 0; s.oy < p->out_height; s.oy++)
			for (s.ox = 0; s.ox < p->out_width; s.ox++)
				for (s.channel = 0; s.channel < p->cols; s.channel++)
					fn(u, p, &s);
}

void ref_layer(struct ref_unit *u)
{
	switch (u->cmd->opcode) {
	case IGRAD_OP_VEC_COLSQ:
		columns(u, squares_of_column);
		break;
	case IGRAD_OP_VEC_NORM:
		columns(u, norm_column);
		break;
	case IGRAD_OP_VEC_NORM_SUMS:
		columns(u, sums_of_column);
		break;
	case IGRAD_OP_VEC_NORM_GRAD:
		columns(u, gradient_of_column);
		break;
	case IGRAD_OP_VEC_DROPOUT:
		dropout(u);
		break;
	case IGRAD_OP_VEC_POOL_MAX:
		pool(u, maximum);
		break;
	case IGRAD_OP_VEC_POOL_MAX_GRAD:
		pool(u, maximum_gradient);
		break;
	case IGRAD_OP_VEC_POOL_SUM:
		pool(u, sum);
		break;
	case IGRAD_OP_VEC_POOL_SUM_GRAD:
		pool(u, sum_gradient);
		break;
	case IGRAD_OP_VEC_POOL_DIVIDE:
		pool(u, divide);
		break;
	default:
		ref_impossible("a vector command that is none");
	}
}
