/* SPDX-License-Identifier: MIT */
#include "streams-regions.h"
#include "windows.h"

#include <math.h>
#include <string.h>

enum values { FINITE, WITH_ZEROS_AND_SUBNORMALS, WITH_EVERYTHING, NUM_VALUES };

static uint32_t random_word(struct rng *rng, enum values values)
{
	static const uint32_t special[] = {
		0x7fc00000, 0xffc00001, 0x7f800001, 0xff812345, /* NaNs, quiet and signalling */
		0x7f800000, 0xff800000,				/* infinities */
		0x7f7fffff, 0xff7fffff, 0x7f000000,		/* the largest */
	};

	if (values != FINITE && rng_below(rng, 4) == 0) {
		if (rng_below(rng, 2))
			return rng_below(rng, 2) << 31;
		return rng_u32(rng) & 0x807fffff;
	}
	if (values == WITH_EVERYTHING && rng_below(rng, 200) == 0)
		return special[rng_below(rng, sizeof(special) / sizeof(special[0]))];
	if (values == WITH_EVERYTHING && rng_below(rng, 4) == 0)
		return bits_of(ldexpf(rng_float(rng), -(int)rng_below(rng, 60)));
	return bits_of(rng_float(rng));
}

uint32_t random_size(struct rng *rng, uint32_t most)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return most;
	case 1:
		return 1 + rng_below(rng, most < 3 ? most : 3);
	default:
		return rng_between(rng, 1, most);
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Regions of SRAM */
/* --------------------------------------------------------------------------------------------- */

/*
 * A stream with bf16 loads it into the upper half of SRAM; there operands of that type like to be,
 * and the others in the lower half. Now and then one reads the other's bits.
 */
bool place(struct stream *s, uint32_t word, uint32_t rows, uint32_t words, struct region *region)
{
	const uint32_t pitch = (words + (rng_below(s->rng, 2) ? 0 : rng_below(s->rng, 9))) * word;
	const uint64_t span = (uint64_t)(rows - 1) * pitch + words * word;
	uint32_t low = 0, high = s->config.sram_bytes;

	if (s->bf16 && rng_below(s->rng, 8))
		*(word == 2 ? &low : &high) = s->config.sram_bytes / 2;
	if (span > high - low)
		return false;
	region->addr = low + rng_between(s->rng, 0, (high - low - (uint32_t)span) / word) * word;
	region->pitch = pitch;
	region->end = region->addr + (uint32_t)span;
	return true;
}

static uint16_t maybe_bf16(struct stream *s)
{
	return s->bf16 && rng_below(s->rng, 3) ? IGRAD_FLAG_BF16 : 0;
}

static uint32_t word_of(uint16_t flags)
{
	return flags & IGRAD_FLAG_BF16 ? 2 : 4;
}

/* --------------------------------------------------------------------------------------------- */
/* DMA */
/* --------------------------------------------------------------------------------------------- */

static void emit_dma(struct stream *s, struct igrad_cmd cmd, const struct region *region)
{
	const struct igrad_cmd_dma *dma = &cmd.u.dma;
	const bool load = cmd.opcode == IGRAD_OP_DMA_LOAD;
	const uint32_t word = cmd.flags & IGRAD_FLAG_MEM_BF16 ? 2 : 4;
	const struct access accesses[] = {
		load ? writes(region) : reads(region),
		{.memory = true,
		 .written = !load,
		 .begin = dma->va,
		 .end = dma->va + (uint64_t)(dma->rows - 1) * dma->pitch + dma->cols * word},
	};

	stream_emit(s, cmd, accesses, 2);
}

static bool random_dma(struct stream *s)
{
	const bool load = rng_below(s->rng, 2);
	const uint32_t rows = random_size(s->rng, 20), cols = random_size(s->rng, 40);
	const uint32_t more_rows = load ? rng_below(s->rng, 3) : 0;
	const uint32_t more_cols = load ? rng_below(s->rng, 5) : 0;
	const uint16_t flags = maybe_bf16(s) | maybe_bf16(s) << 1;
	const uint32_t there = flags & IGRAD_FLAG_MEM_BF16 ? 2 : 4;
	const bool back = rng_below(s->rng, 3) == 0; /* what may have been stored */
	struct igrad_cmd cmd = cmd_dma(load ? IGRAD_OP_DMA_LOAD : IGRAD_OP_DMA_STORE, 0, 0, rows,
				       cols);
	struct region region;

	if (!place(s, word_of(flags), rows + more_rows, cols + more_cols, &region))
		return false;
	cmd.flags = flags;
	cmd.u.dma.pitch = (cols + rng_below(s->rng, 4)) * there;
	cmd.u.dma.va = (load && !back ? STREAM_IMAGE : STREAM_RESULTS) +
		       rng_below(s->rng, 16384 / there) * there;
	cmd.u.dma.sram = region.addr;
	cmd.u.dma.sram_pitch = region.pitch;
	cmd.u.dma.fill_rows = more_rows;
	cmd.u.dma.fill_cols = more_cols;
	emit_dma(s, cmd, &region);
	return true;
}

/* --------------------------------------------------------------------------------------------- */
/* The array */
/* --------------------------------------------------------------------------------------------- */

static bool random_shift(struct stream *s)
{
	static const enum igrad_opcode opcodes[] = {IGRAD_OP_LOAD_W, IGRAD_OP_LOAD_ACC,
						    IGRAD_OP_DRAIN_ACC, IGRAD_OP_DRAIN_W};
	const uint32_t rows = random_size(s->rng, s->config.rows);
	const uint32_t cols = random_size(s->rng, s->config.cols);
	struct igrad_cmd cmd = cmd_shift(opcodes[rng_below(s->rng, 4)], rows, cols, 0, 0);
	const bool drain = cmd.opcode == IGRAD_OP_DRAIN_ACC || cmd.opcode == IGRAD_OP_DRAIN_W;
	const bool transpose = cmd.opcode == IGRAD_OP_LOAD_W && rng_below(s->rng, 2);
	struct access access;
	struct region p;

	cmd.flags = transpose ? IGRAD_FLAG_TRANSPOSE : 0;
	if (cmd.opcode == IGRAD_OP_LOAD_W)
		cmd.flags |= maybe_bf16(s);
	if (!place(s, word_of(cmd.flags), transpose ? cols : rows, transpose ? rows : cols, &p))
		return false;
	cmd.flags = window_groups(s->rng, &s->window, cmd.flags);
	cmd.u.array.p = p.addr;
	cmd.u.array.p_pitch = p.pitch;
	access = drain ? writes(&p) : reads(&p);
	stream_emit(s, cmd, &access, 1);
	return true;
}

static bool random_update(struct stream *s)
{
	const uint32_t rows = random_size(s->rng, s->config.rows);
	const uint32_t cols = random_size(s->rng, s->config.cols);
	const bool scale = rng_below(s->rng, 3) == 0;
	struct igrad_cmd cmd = cmd_stream(scale ? IGRAD_OP_SCALE_ACC : IGRAD_OP_UPDATE, rows, cols,
					  0);

	if (!scale)
		cmd.u.array.lr = bits_of(rng_float(s->rng));
	if (scale || rng_below(s->rng, 2)) {
		cmd.flags = scale ? 0 : IGRAD_FLAG_DECAY;
		cmd.u.array.keep = bits_of(rng_float(s->rng));
	}
	cmd.flags = window_groups(s->rng, &s->window, cmd.flags);
	stream_emit(s, cmd, NULL, 0);
	return true;
}

static uint16_t random_flags(struct rng *rng, enum igrad_opcode opcode)
{
	static const uint16_t allowed[] = {
		[IGRAD_OP_FPROP - IGRAD_OP_FPROP] = IGRAD_FLAG_ADD | IGRAD_FLAG_TRANSPOSE |
						    IGRAD_FLAG_TURN,
		[IGRAD_OP_DGRAD - IGRAD_OP_FPROP] = IGRAD_FLAG_ADD,
		[IGRAD_OP_WGRAD - IGRAD_OP_FPROP] = IGRAD_FLAG_KEEP,
		[IGRAD_OP_INTERLEAVED - IGRAD_OP_FPROP] = IGRAD_FLAG_ADD | IGRAD_FLAG_KEEP,
	};

	return allowed[opcode - IGRAD_OP_FPROP] & rng_u32(rng);
}

static struct igrad_cmd maybe_window(struct stream *s)
{
	if (s->window.height && rng_below(s->rng, 3))
		return (struct igrad_cmd){.opcode = IGRAD_OP_WINDOW, .u.window = s->window};
	return window_make(s->rng,
			   s->config.rows > s->config.cols ? s->config.rows : s->config.cols);
}

static bool random_stream(struct stream *s)
{
	const enum igrad_opcode opcode = IGRAD_OP_FPROP + rng_below(s->rng, 4);
	const uint32_t rows = random_size(s->rng, s->config.rows);
	const uint32_t cols = random_size(s->rng, s->config.cols);
	/* now and then more than the core takes at once */
	const uint32_t batch = rng_below(s->rng, 16) ? random_size(s->rng, 48)
						     : rng_between(s->rng, 250, 600);
	const uint32_t lanes = opcode == IGRAD_OP_FPROP ? cols : rows;
	const uint16_t flags = random_flags(s->rng, opcode) | maybe_bf16(s);
	const bool transpose = flags & IGRAD_FLAG_TRANSPOSE, turn = flags & IGRAD_FLAG_TURN;
	const bool windowed = !transpose && !turn && rng_below(s->rng, 2);
	const struct igrad_cmd window = maybe_window(s);
	struct igrad_cmd cmd = cmd_stream(opcode, rows, cols, batch);
	struct igrad_cmd_array *a = &cmd.u.array;
	struct window_rows of = {.x = transpose ? rows : batch,
				 .x_words = transpose ? batch : rows,
				 .p = turn ? lanes : batch,
				 .p_words = turn ? batch : lanes};
	struct access accesses[3];
	struct region x, g, p;
	unsigned int n = 0;

	cmd.flags = flags;
	if (windowed)
		of = window_stream(s->rng, &window.u.window, &cmd);
	cmd.flags = window_groups(s->rng, windowed ? &window.u.window : &s->window, cmd.flags);
	if (!place(s, word_of(flags), of.x, of.x_words, &x) ||
	    !place(s, word_of(flags), batch, cols, &g) || !place(s, 4, of.p, of.p_words, &p))
		return false;
	if (opcode != IGRAD_OP_DGRAD) {
		a->x = x.addr;
		a->x_pitch = x.pitch;
		accesses[n++] = reads(&x);
	}
	if (opcode != IGRAD_OP_FPROP) {
		a->g = g.addr;
		a->g_pitch = g.pitch;
		accesses[n++] = reads(&g);
	}
	if (opcode != IGRAD_OP_WGRAD) {
		a->p = p.addr;
		a->p_pitch = p.pitch;
		accesses[n++] = writes(&p);
		if ((opcode != IGRAD_OP_DGRAD && !disjoint(&x, &p)) ||
		    (opcode != IGRAD_OP_FPROP && !disjoint(&g, &p)))
			return false;
	}
	if (windowed && memcmp(&s->window, &window.u.window, sizeof(s->window))) {
		s->window = window.u.window;
		stream_emit(s, window, NULL, 0);
	}
	stream_emit(s, cmd, accesses, n);
	return true;
}

/* --------------------------------------------------------------------------------------------- */
/* The vector unit */
/* --------------------------------------------------------------------------------------------- */

static bool takes_b(enum igrad_opcode opcode)
{
	return opcode == IGRAD_OP_VEC_BIAS || opcode == IGRAD_OP_VEC_RELU_GRAD ||
	       opcode == IGRAD_OP_VEC_AXPY || opcode == IGRAD_OP_VEC_SGD ||
	       opcode == IGRAD_OP_VEC_ADD || opcode == IGRAD_OP_VEC_MUL;
}

static void random_constants(struct rng *rng, struct igrad_cmd *cmd)
{
	struct igrad_cmd_vec *v = &cmd->u.vec;

	switch (cmd->opcode) {
	case IGRAD_OP_VEC_FILL:
		v->imm = rng_u32(rng);
		break;
	case IGRAD_OP_VEC_COLSUM:
		if (rng_below(rng, 2))
			cmd->flags |= IGRAD_FLAG_KEEP;
		break;
	case IGRAD_OP_VEC_SGD:
		if (rng_below(rng, 2)) {
			cmd->flags |= IGRAD_FLAG_DECAY;
			v->imm2 = bits_of(rng_float(rng));
		}
		v->imm = bits_of(rng_float(rng));
		break;
	case IGRAD_OP_VEC_AXPY:
	case IGRAD_OP_VEC_SCALE:
	case IGRAD_OP_VEC_RSQRT:
		v->imm = bits_of(rng_float(rng));
		break;
	default:
		break;
	}
}

static bool random_vec(struct stream *s)
{
	static const enum igrad_opcode opcodes[] = {
		IGRAD_OP_VEC_FILL,	IGRAD_OP_VEC_COPY,   IGRAD_OP_VEC_BIAS, IGRAD_OP_VEC_RELU,
		IGRAD_OP_VEC_RELU_GRAD, IGRAD_OP_VEC_COLSUM, IGRAD_OP_VEC_AXPY, IGRAD_OP_VEC_SGD,
		IGRAD_OP_VEC_SCALE,	IGRAD_OP_VEC_ADD,    IGRAD_OP_VEC_MUL,	IGRAD_OP_VEC_RSQRT,
	};
	const enum igrad_opcode opcode =
		opcodes[rng_below(s->rng, sizeof(opcodes) / sizeof(opcodes[0]))];
	const uint32_t rows = random_size(s->rng, 30), cols = random_size(s->rng, 70);
	const bool colsum = opcode == IGRAD_OP_VEC_COLSUM, bias = opcode == IGRAD_OP_VEC_BIAS;
	const uint16_t bf16 = colsum || opcode == IGRAD_OP_VEC_RELU_GRAD ? maybe_bf16(s) : 0;
	struct igrad_cmd cmd = cmd_vec(opcode, rows, cols);
	struct igrad_cmd_vec *v = &cmd.u.vec;
	struct region a, b, d;
	struct access accesses[3];
	unsigned int n = 0;

	if (!place(s, word_of(bf16), rows, cols, &a) ||
	    !place(s, word_of(bf16), bias ? 1 : rows, cols, &b) ||
	    !place(s, colsum ? 4 : word_of(bf16), colsum ? 1 : rows, cols, &d))
		return false;
	if (!colsum && rng_below(s->rng, 3) == 0)
		d = a;
	else if (!colsum && !bias && rng_below(s->rng, 3) == 0)
		d = b;
	if (((colsum || !same(&a, &d)) && !disjoint(&a, &d)) ||
	    ((bias || !same(&b, &d)) && !disjoint(&b, &d)))
		return false;
	cmd.flags = bf16;
	v->d = d.addr;
	v->d_pitch = colsum ? 0 : d.pitch;
	accesses[n++] = writes(&d);
	if (opcode != IGRAD_OP_VEC_FILL) {
		v->a = a.addr;
		v->a_pitch = a.pitch;
		accesses[n++] = reads(&a);
	}
	if (takes_b(opcode)) {
		v->b = b.addr;
		v->b_pitch = bias ? 0 : b.pitch;
		accesses[n++] = reads(&b);
	}
	random_constants(s->rng, &cmd);
	stream_emit(s, cmd, accesses, n);
	return true;
}

/* Labels come from memory, so that they are labels. */
static void load_labels(struct stream *s, const struct region *b, uint32_t rows, uint32_t classes)
{
	struct igrad_cmd load = cmd_dma(IGRAD_OP_DMA_LOAD, STREAM_LABELS + s->labels_used * 4,
					b->addr, rows, 1);

	for (uint32_t i = 0; i < rows; i++) {
		const uint32_t label = rng_below(s->rng, classes);

		memcpy(s->memory + STREAM_LABELS + (s->labels_used + i) * 4, &label, sizeof(label));
	}
	s->labels_used += rows;
	load.u.dma.sram_pitch = b->pitch;
	emit_dma(s, load, b);
}

static bool random_softmax(struct stream *s)
{
	const uint32_t rows = random_size(s->rng, 20), cols = random_size(s->rng, 40);
	struct igrad_cmd cmd = cmd_vec(IGRAD_OP_VEC_SOFTMAX_XENT, rows, cols);
	struct region a, b, d, losses;

	if (!place(s, 4, rows, cols, &a) || !place(s, 4, rows, 1, &b) ||
	    !place(s, 4, rows, cols, &d) || !place(s, 4, rows, 1, &losses))
		return false;
	losses.end = losses.addr + rows * 4;
	if (!disjoint(&a, &d) || !disjoint(&a, &losses) || !disjoint(&a, &b) || !disjoint(&b, &d) ||
	    !disjoint(&b, &losses) || !disjoint(&d, &losses))
		return false;
	load_labels(s, &b, rows, cols);
	cmd.u.vec = (struct igrad_cmd_vec){rows,       cols,	a.addr,
					   a.pitch,    b.addr,	b.pitch,
					   d.addr,     d.pitch, bits_of(rng_float(s->rng)),
					   losses.addr};
	stream_emit(s, cmd, (struct access[]){reads(&a), reads(&b), writes(&d), writes(&losses)},
		    4);
	return true;
}

/* Constants are any words too: they need not make sense. */
static bool random_adam(struct stream *s)
{
	const uint32_t rows = random_size(s->rng, 16), cols = random_size(s->rng, 40);
	struct igrad_cmd cmd = cmd_vec(IGRAD_OP_VEC_ADAM, rows, cols);
	struct access accesses[5];
	struct region r[5]; /* w, m, v, dW, constants */

	for (unsigned int i = 0; i < 5; i++) {
		const bool constants = i == 4;

		if (!place(s, 4, constants ? 1 : rows, constants ? IGRAD_ADAM_WORDS : cols, &r[i]))
			return false;
		if (i == 2) {
			r[2].pitch = r[1].pitch;
			r[2].end = r[2].addr + r[1].end - r[1].addr;
		}
		accesses[i] = i < 3 ? writes(&r[i]) : reads(&r[i]);
		for (unsigned int j = 0; j < i && j < 3; j++) {
			if (!disjoint(&r[i], &r[j]))
				return false;
		}
	}
	if (r[2].end > s->config.sram_bytes)
		return false;
	cmd.flags = rng_below(s->rng, 2) ? IGRAD_FLAG_DECAY : 0;
	cmd.u.vec = (struct igrad_cmd_vec){
		.rows = rows,
		.cols = cols,
		.a = r[3].addr,
		.a_pitch = r[3].pitch,
		.b = r[1].addr,
		.b_pitch = r[1].pitch,
		.d = r[0].addr,
		.d_pitch = r[0].pitch,
		.imm = r[4].addr,
		.imm2 = r[2].addr,
	};
	stream_emit(s, cmd, accesses, 5);
	return true;
}

/* --------------------------------------------------------------------------------------------- */
/* Streams */
/* --------------------------------------------------------------------------------------------- */

static bool random_nop(struct stream *s)
{
	stream_emit(s, cmd_nop((enum igrad_engine)rng_below(s->rng, IGRAD_NUM_ENGINES)), NULL, 0);
	return true;
}

static void random_command(struct stream *s)
{
	static bool (*const makers[])(struct stream * s) = {
		random_stream,	random_stream, random_stream, random_shift, random_update,
		random_vec,	random_vec,    random_dma,    random_dma,   random_nop,
		random_softmax, random_adam,   random_norm,   random_norm,  random_dropout,
		random_pool,	random_pool,   random_pool,
	};

	while (!makers[rng_below(s->rng, sizeof(makers) / sizeof(makers[0]))](s))
		;
}

static void load_image(struct stream *s)
{
	const uint32_t sram = s->config.sram_bytes;
	struct igrad_cmd cmd = cmd_dma(IGRAD_OP_DMA_LOAD, STREAM_IMAGE, 0, 1, sram / 4);
	struct region region = {0, 0, sram};

	if (!s->bf16) {
		emit_dma(s, cmd, &region);
		return;
	}
	cmd.u.dma.cols /= 2;
	region.end /= 2;
	emit_dma(s, cmd, &region);
	cmd = cmd_dma(IGRAD_OP_DMA_LOAD, STREAM_IMAGE, sram / 2, 1, sram / 4);
	cmd.flags = IGRAD_FLAG_BF16;
	region = (struct region){sram / 2, 0, sram};
	emit_dma(s, cmd, &region);
}

static void store(struct stream *s, uint32_t to, uint32_t words)
{
	const struct region region = {0, 0, words * 4};

	emit_dma(s, cmd_dma(IGRAD_OP_DMA_STORE, to, 0, 1, words), &region);
}

static void drain(struct stream *s, enum igrad_opcode opcode, uint32_t to)
{
	const uint32_t rows = s->config.rows, cols = s->config.cols;
	const struct access access = {.written = true, .begin = to, .end = to + rows * cols * 4};

	stream_emit(s, cmd_shift(opcode, rows, cols, to, cols), &access, 1);
}

/* Everything that a job could have changed goes to memory in the end. */
static void expose(struct stream *s)
{
	const uint32_t words = s->config.rows * s->config.cols;

	store(s, STREAM_RESULTS + 32768, s->config.sram_bytes / 4);
	drain(s, IGRAD_OP_DRAIN_W, 0);
	drain(s, IGRAD_OP_DRAIN_ACC, words * 4);
	store(s, STREAM_RESULTS + 32768 + STREAM_SRAM, 2 * words);
}

void stream_make(struct stream *s, struct rng *rng, uint8_t *memory)
{
	const enum values values = (enum values)rng_below(rng, NUM_VALUES);
	const unsigned int length = rng_between(rng, 1, 16);

	s->rng = rng;
	s->memory = memory;
	s->bf16 = rng_below(rng, 2);
	for (uint32_t i = 0; i < s->config.sram_bytes / 4; i++) {
		const uint32_t word = random_word(rng, values);

		memcpy(memory + STREAM_IMAGE + i * 4, &word, sizeof(word));
	}
	load_image(s);
	while (s->count < length + 2)
		random_command(s);
	expose(s);
}
