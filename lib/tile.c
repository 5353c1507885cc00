// SPDX-License-Identifier: MIT
/* Commands, one function each. */
#include <endian.h>
#include <string.h>

#include "tile.h"

/* Commands are little-endian, floats in them too. */
static igrad_le32 bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return htole32(bits);
}

static void emit(struct igrad_emitter *e, const struct igrad_cmd *cmd, struct igrad_buffer *buffer)
{
	if (!e->err)
		e->err = igrad_cmdbuf_emit(e->cmdbuf, cmd, buffer);
}

uint32_t igrad_element_bytes(enum igrad_element dtype)
{
	return dtype == IGRAD_BF16 ? 2 : 4;
}

/* For commands one of whose operands may be bf16. */
static uint16_t operand_flag(struct igrad_place place)
{
	return place.dtype == IGRAD_BF16 ? IGRAD_FLAG_BF16 : 0;
}

struct igrad_place igrad_place_at(struct igrad_place place, uint32_t row, uint32_t col)
{
	place.addr += row * place.pitch + col * igrad_element_bytes(place.dtype);
	return place;
}

static void emit_dma(struct igrad_emitter *e, enum igrad_opcode op, const struct igrad_matrix *m,
		     uint32_t row, uint32_t col, struct igrad_size size, struct igrad_place sram)
{
	uint32_t bytes = igrad_element_bytes(m->dtype);
	uint32_t pitch = m->pitch ? m->pitch : m->cols * bytes;
	uint16_t flags = m->dtype == IGRAD_BF16 ? IGRAD_FLAG_MEM_BF16 : 0;
	struct igrad_cmd cmd = {
		.opcode = op,
		.flags = htole16(flags | operand_flag(sram)),
		.u.dma =
			{
				.va = htole64(m->offset + (uint64_t)row * pitch +
					      (uint64_t)col * bytes),
				.pitch = htole32(pitch),
				.sram = htole32(sram.addr),
				.sram_pitch = htole32(sram.pitch),
				.rows = htole32(size.rows),
				.cols = htole32(size.cols),
			},
	};

	emit(e, &cmd, m->buffer);
}

void igrad_emit_load(struct igrad_emitter *e, const struct igrad_matrix *m, uint32_t row,
		     uint32_t col, struct igrad_size size, struct igrad_place to)
{
	emit_dma(e, IGRAD_OP_DMA_LOAD, m, row, col, size, to);
}

void igrad_emit_store(struct igrad_emitter *e, const struct igrad_matrix *m, uint32_t row,
		      uint32_t col, struct igrad_size size, struct igrad_place from)
{
	emit_dma(e, IGRAD_OP_DMA_STORE, m, row, col, size, from);
}

#define LATE_STREAMS 2 /* with more, threads are no busier */

static void emit_late(struct igrad_emitter *e, unsigned int num)
{
	for (unsigned int i = 0; i < num; i++) {
		const struct igrad_late *late = &e->late[i];

		igrad_emit_store(e, late->m, late->row, late->col, late->size, late->from);
	}
	e->num_late -= num;
	memmove(e->late, e->late + num, e->num_late * sizeof(*e->late));
}

void igrad_emit_store_late(struct igrad_emitter *e, const struct igrad_matrix *m, uint32_t row,
			   uint32_t col, struct igrad_size size, struct igrad_place from)
{
	if (e->num_late == IGRAD_MAX_LATE)
		emit_late(e, 1);
	e->late[e->num_late++] =
		(struct igrad_late){e->streams + LATE_STREAMS, m, row, col, size, from};
}

void igrad_emit_late(struct igrad_emitter *e)
{
	emit_late(e, e->num_late);
}

void igrad_emit_late_from(struct igrad_emitter *e, uint32_t addr)
{
	for (unsigned int i = 0; i < e->num_late; i++) {
		if (e->late[i].from.addr == addr) {
			emit_late(e, i + 1);
			return;
		}
	}
}

/* A stream, and the stores whose time has come. */
static void emit_stream(struct igrad_emitter *e, const struct igrad_cmd *cmd)
{
	unsigned int num = 0;

	emit(e, cmd, NULL);
	e->streams++;
	while (num < e->num_late && e->late[num].streams <= e->streams)
		num++;
	emit_late(e, num);
}

static struct igrad_cmd array_cmd(enum igrad_opcode op, uint16_t flags, struct igrad_size tile,
				  uint32_t batch)
{
	return (struct igrad_cmd){
		.opcode = op,
		.flags = htole16(flags),
		.u.array =
			{
				.rows = htole16(tile.rows),
				.cols = htole16(tile.cols),
				.batch = htole32(batch),
			},
	};
}

static void set_x(struct igrad_cmd *cmd, struct igrad_place x)
{
	cmd->u.array.x = htole32(x.addr);
	cmd->u.array.x_pitch = htole32(x.pitch);
}

static void set_g(struct igrad_cmd *cmd, struct igrad_place g)
{
	cmd->u.array.g = htole32(g.addr);
	cmd->u.array.g_pitch = htole32(g.pitch);
}

static void set_p(struct igrad_cmd *cmd, struct igrad_place p)
{
	cmd->u.array.p = htole32(p.addr);
	cmd->u.array.p_pitch = htole32(p.pitch);
}

void igrad_emit_tile(struct igrad_emitter *e, enum igrad_opcode op, uint16_t flags,
		     struct igrad_size tile, struct igrad_place p)
{
	struct igrad_cmd cmd = array_cmd(op, flags | operand_flag(p), tile, 0);

	set_p(&cmd, p);
	emit(e, &cmd, NULL);
}

void igrad_emit_fprop(struct igrad_emitter *e, uint16_t flags, struct igrad_size tile,
		      uint32_t batch, struct igrad_place x, struct igrad_place p)
{
	struct igrad_cmd cmd = array_cmd(IGRAD_OP_FPROP, flags | operand_flag(x), tile, batch);

	set_x(&cmd, x);
	set_p(&cmd, p);
	emit_stream(e, &cmd);
}

void igrad_emit_dgrad(struct igrad_emitter *e, uint16_t flags, struct igrad_size tile,
		      uint32_t batch, struct igrad_place g, struct igrad_place p)
{
	struct igrad_cmd cmd = array_cmd(IGRAD_OP_DGRAD, flags | operand_flag(g), tile, batch);

	set_g(&cmd, g);
	set_p(&cmd, p);
	emit_stream(e, &cmd);
}

void igrad_emit_wgrad(struct igrad_emitter *e, uint16_t flags, struct igrad_size tile,
		      uint32_t batch, struct igrad_place x, struct igrad_place g)
{
	struct igrad_cmd cmd = array_cmd(IGRAD_OP_WGRAD, flags | operand_flag(x), tile, batch);

	set_x(&cmd, x);
	set_g(&cmd, g);
	emit_stream(e, &cmd);
}

void igrad_emit_interleaved(struct igrad_emitter *e, uint16_t flags, struct igrad_size tile,
			    uint32_t batch, struct igrad_place x, struct igrad_place g,
			    struct igrad_place p)
{
	struct igrad_cmd cmd = array_cmd(IGRAD_OP_INTERLEAVED, flags | operand_flag(x), tile,
					 batch);

	set_x(&cmd, x);
	set_g(&cmd, g);
	set_p(&cmd, p);
	emit_stream(e, &cmd);
}

void igrad_emit_window(struct igrad_emitter *e, const struct igrad_cmd_window *window)
{
	struct igrad_cmd cmd = {
		.opcode = IGRAD_OP_WINDOW,
		.u.window =
			{
				.height = htole16(window->height),
				.width = htole16(window->width),
				.out_height = htole16(window->out_height),
				.out_width = htole16(window->out_width),
				.stride_y = htole16(window->stride_y),
				.stride_x = htole16(window->stride_x),
				.group_rows = htole16(window->group_rows),
				.group_cols = htole16(window->group_cols),
				.channels = htole16(window->channels),
				.kernel_x = htole16(window->kernel_x),
				.step_y = htole16(window->step_y),
				.step_x = htole16(window->step_x),
			},
	};

	emit(e, &cmd, NULL);
}

void igrad_emit_walk(struct igrad_emitter *e, enum igrad_opcode op, uint16_t flags,
		     struct igrad_size tile, uint32_t batch, struct igrad_walk walk,
		     const struct igrad_streams *streams)
{
	struct igrad_cmd cmd = array_cmd(op, flags | IGRAD_FLAG_WINDOW, tile, batch);

	if (op != IGRAD_OP_DGRAD)
		set_x(&cmd, streams->x);
	if (op != IGRAD_OP_FPROP)
		set_g(&cmd, streams->g);
	if (op != IGRAD_OP_WGRAD)
		set_p(&cmd, streams->p);
	cmd.u.array.tap = htole32(IGRAD_TAP(walk.tap_y, walk.tap_x));
	cmd.u.array.first = htole32(walk.first);
	emit(e, &cmd, NULL);
}

void igrad_emit_update(struct igrad_emitter *e, struct igrad_size tile,
		       const struct igrad_step *step)
{
	struct igrad_cmd cmd = array_cmd(IGRAD_OP_UPDATE, step->decay ? IGRAD_FLAG_DECAY : 0, tile,
					 0);

	cmd.u.array.lr = bits_of(step->lr);
	cmd.u.array.keep = step->decay ? bits_of(step->keep) : 0;
	emit(e, &cmd, NULL);
}

void igrad_emit_scale_acc(struct igrad_emitter *e, struct igrad_size tile, float factor)
{
	struct igrad_cmd cmd = array_cmd(IGRAD_OP_SCALE_ACC, 0, tile, 0);

	cmd.u.array.keep = bits_of(factor);
	emit(e, &cmd, NULL);
}

static struct igrad_cmd vec_cmd(enum igrad_opcode op, uint16_t flags, struct igrad_size size,
				struct igrad_place a, struct igrad_place d)
{
	return (struct igrad_cmd){
		.opcode = op,
		.flags = htole16(flags),
		.u.vec =
			{
				.rows = htole32(size.rows),
				.cols = htole32(size.cols),
				.a = htole32(a.addr),
				.a_pitch = htole32(a.pitch),
				.d = htole32(d.addr),
				.d_pitch = htole32(d.pitch),
			},
	};
}

void igrad_emit_fill(struct igrad_emitter *e, struct igrad_size size, float value,
		     struct igrad_place d)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_FILL, 0, size, (struct igrad_place){0}, d);

	cmd.u.vec.imm = bits_of(value);
	emit(e, &cmd, NULL);
}

void igrad_emit_fill_bits(struct igrad_emitter *e, struct igrad_size size, uint32_t bits,
			  struct igrad_place d)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_FILL, 0, size, (struct igrad_place){0}, d);

	cmd.u.vec.imm = htole32(bits);
	emit(e, &cmd, NULL);
}

void igrad_emit_bias(struct igrad_emitter *e, struct igrad_size size, struct igrad_place y,
		     struct igrad_place bias)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_BIAS, 0, size, y, y);

	cmd.u.vec.b = htole32(bias.addr);
	emit(e, &cmd, NULL);
}

void igrad_emit_relu(struct igrad_emitter *e, struct igrad_size size, struct igrad_place y)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_RELU, 0, size, y, y);

	emit(e, &cmd, NULL);
}

void igrad_emit_relu_grad(struct igrad_emitter *e, struct igrad_size size, struct igrad_place y,
			  struct igrad_place dy)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_RELU_GRAD, operand_flag(dy), size, y, dy);

	cmd.u.vec.b = htole32(dy.addr);
	cmd.u.vec.b_pitch = htole32(dy.pitch);
	emit(e, &cmd, NULL);
}

void igrad_emit_colsum(struct igrad_emitter *e, uint16_t flags, struct igrad_size size,
		       struct igrad_place a, struct igrad_place sums)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_COLSUM, flags | operand_flag(a), size, a, sums);

	cmd.u.vec.d_pitch = 0;
	emit(e, &cmd, NULL);
}

void igrad_emit_scale(struct igrad_emitter *e, struct igrad_size size, float factor,
		      struct igrad_place a)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_SCALE, 0, size, a, a);

	cmd.u.vec.imm = bits_of(factor);
	emit(e, &cmd, NULL);
}

void igrad_emit_sgd(struct igrad_emitter *e, struct igrad_size size, const struct igrad_step *step,
		    struct igrad_place w, struct igrad_place dw)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_SGD, step->decay ? IGRAD_FLAG_DECAY : 0, size,
				       w, w);

	cmd.u.vec.b = htole32(dw.addr);
	cmd.u.vec.b_pitch = htole32(dw.pitch);
	cmd.u.vec.imm = bits_of(step->lr);
	cmd.u.vec.imm2 = step->decay ? bits_of(step->keep) : 0;
	emit(e, &cmd, NULL);
}

void igrad_emit_adam(struct igrad_emitter *e, struct igrad_size size, const struct igrad_adam *adam)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_ADAM, adam->decay ? IGRAD_FLAG_DECAY : 0, size,
				       adam->dw, adam->w);

	cmd.u.vec.b = htole32(adam->m.addr);
	cmd.u.vec.b_pitch = htole32(adam->m.pitch);
	cmd.u.vec.imm = htole32(adam->constants.addr);
	cmd.u.vec.imm2 = htole32(adam->v.addr);
	emit(e, &cmd, NULL);
}

void igrad_emit_softmax_xent(struct igrad_emitter *e, struct igrad_size size, float scale,
			     struct igrad_place logits, struct igrad_place labels,
			     struct igrad_place dlogits, struct igrad_place losses)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_SOFTMAX_XENT, 0, size, logits, dlogits);

	cmd.u.vec.b = htole32(labels.addr);
	cmd.u.vec.b_pitch = htole32(labels.pitch);
	cmd.u.vec.imm = bits_of(scale);
	cmd.u.vec.imm2 = htole32(losses.addr);
	emit(e, &cmd, NULL);
}

void igrad_emit_pair(struct igrad_emitter *e, enum igrad_opcode op, struct igrad_size size,
		     struct igrad_place a, struct igrad_place b, struct igrad_place d)
{
	struct igrad_cmd cmd = vec_cmd(op, 0, size, a, d);

	cmd.u.vec.b = htole32(b.addr);
	cmd.u.vec.b_pitch = htole32(b.pitch);
	emit(e, &cmd, NULL);
}

void igrad_emit_map(struct igrad_emitter *e, enum igrad_opcode op, struct igrad_size size,
		    float imm, struct igrad_place a, struct igrad_place d)
{
	struct igrad_cmd cmd = vec_cmd(op, 0, size, a, d);

	cmd.u.vec.imm = bits_of(imm);
	emit(e, &cmd, NULL);
}

void igrad_emit_axpy(struct igrad_emitter *e, struct igrad_size size, float factor,
		     struct igrad_place a, struct igrad_place b, struct igrad_place d)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_AXPY, 0, size, a, d);

	cmd.u.vec.b = htole32(b.addr);
	cmd.u.vec.b_pitch = htole32(b.pitch);
	cmd.u.vec.imm = bits_of(factor);
	emit(e, &cmd, NULL);
}

void igrad_emit_colsq(struct igrad_emitter *e, uint16_t flags, struct igrad_size size,
		      struct igrad_place a, struct igrad_place mean, struct igrad_place sums)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_COLSQ, flags, size, a, sums);

	cmd.u.vec.b = htole32(mean.addr);
	cmd.u.vec.d_pitch = 0;
	emit(e, &cmd, NULL);
}

void igrad_emit_norm(struct igrad_emitter *e, enum igrad_opcode op, uint16_t flags,
		     struct igrad_size size, struct igrad_place a, struct igrad_place b,
		     struct igrad_place constants, struct igrad_place d)
{
	struct igrad_cmd cmd = vec_cmd(op, flags, size, a, d);

	if (op != IGRAD_OP_VEC_NORM) {
		cmd.u.vec.b = htole32(b.addr);
		cmd.u.vec.b_pitch = htole32(b.pitch);
	}
	cmd.u.vec.imm = htole32(constants.addr);
	cmd.u.vec.imm2 = htole32(constants.pitch);
	emit(e, &cmd, NULL);
}

void igrad_emit_dropout(struct igrad_emitter *e, struct igrad_size size, uint32_t row, uint32_t col,
			struct igrad_place a, struct igrad_place words, struct igrad_place d)
{
	struct igrad_cmd cmd = vec_cmd(IGRAD_OP_VEC_DROPOUT, 0, size, a, d);

	cmd.u.vec.b = htole32(words.addr);
	cmd.u.vec.imm = htole32(row);
	cmd.u.vec.imm2 = htole32(col);
	emit(e, &cmd, NULL);
}

void igrad_emit_pool(struct igrad_emitter *e, enum igrad_opcode op, uint16_t flags,
		     const struct igrad_cmd_pool *pool)
{
	struct igrad_cmd cmd = {
		.opcode = op,
		.flags = htole16(flags),
		.u.pool =
			{
				.height = htole16(pool->height),
				.width = htole16(pool->width),
				.out_height = htole16(pool->out_height),
				.out_width = htole16(pool->out_width),
				.kernel_y = htole16(pool->kernel_y),
				.kernel_x = htole16(pool->kernel_x),
				.stride_y = htole16(pool->stride_y),
				.stride_x = htole16(pool->stride_x),
				.tap = htole32(pool->tap),
				.images = htole32(pool->images),
				.cols = htole32(pool->cols),
				.a = htole32(pool->a),
				.b = htole32(pool->b),
				.d = htole32(pool->d),
			},
	};

	emit(e, &cmd, NULL);
}
