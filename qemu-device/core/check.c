/* SPDX-License-Identifier: MIT */
/*
 * Command checking. The order of the checks is part of the manual: opcode, flags, unused fields,
 * semaphore numbers, shape, alignment, range, overlap, data.
 */
#include "internal.h"
#include "pooling.h"

/* A set of the ten words of a command's body, by number. */
#define WORD(n)		   (1u << (n))
#define WORDS(first, last) ((2u << (last)) - (1u << (first)))

enum {
	X_WORDS = WORDS(2, 3), /* of struct igrad_cmd_array */
	G_WORDS = WORDS(4, 5),
	P_WORDS = WORDS(6, 7),
	LR_WORD = WORD(8),
	WINDOW_WORDS = WORDS(8, 9), /* tap and first */
	A_WORDS = WORDS(2, 3),	    /* of struct igrad_cmd_vec */
	B_WORDS = WORDS(4, 5),
	B_ADDR = WORD(4),
	D_WORDS = WORDS(6, 7),
	D_ADDR = WORD(6),
	IMM_WORD = WORD(8),
	IMM2_WORD = WORD(9),
	KEEP_WORD = IMM2_WORD,		    /* of struct igrad_cmd_array */
	CONSTANTS_WORDS = WORDS(8, 9),	    /* of struct igrad_cmd_vec */
	POOL_WORDS = WORDS(0, 7) | WORD(9), /* of struct igrad_cmd_pool */
	INDEX_WORD = WORD(8),
};

#define SHAPE WORD(0)
#define DIMS  WORDS(0, 1)

struct op_rules {
	bool exists;
	enum igrad_engine engine;
	uint16_t flags;
	uint16_t words; /* fields in use; with DECAY, WINDOW and INDEX further ones */
};

#define OP(engine_, flags_, words_)                                                  \
	{                                                                            \
		.exists = true, .engine = IGRAD_ENGINE_##engine_, .flags = (flags_), \
		.words = (words_),                                                   \
	}

#define F(name) IGRAD_FLAG_##name

static const struct op_rules rules[] = {
	[IGRAD_OP_NOP] = OP(LOAD, 0, 0),
	[IGRAD_OP_DMA_LOAD] = OP(LOAD, F(BF16) | F(MEM_BF16), WORDS(0, 8)),
	[IGRAD_OP_DMA_STORE] = OP(STORE, F(BF16) | F(MEM_BF16), WORDS(0, 6)),
	[IGRAD_OP_LOAD_W] = OP(ARRAY, F(TRANSPOSE) | F(BF16) | F(GROUPS), SHAPE | P_WORDS),
	[IGRAD_OP_LOAD_ACC] = OP(ARRAY, F(GROUPS), SHAPE | P_WORDS),
	[IGRAD_OP_FPROP] = OP(ARRAY,
			      F(ADD) | F(TRANSPOSE) | F(TURN) | F(BF16) | F(WINDOW) | F(GROUPS) |
				      F(SCATTER) | F(TAPS),
			      DIMS | X_WORDS | P_WORDS),
	[IGRAD_OP_DGRAD] = OP(ARRAY, F(ADD) | F(BF16) | F(WINDOW) | F(GROUPS),
			      DIMS | G_WORDS | P_WORDS),
	[IGRAD_OP_WGRAD] = OP(ARRAY, F(KEEP) | F(BF16) | F(WINDOW) | F(GROUPS) | F(TAPS),
			      DIMS | X_WORDS | G_WORDS),
	[IGRAD_OP_INTERLEAVED] = OP(ARRAY, F(ADD) | F(KEEP) | F(BF16) | F(WINDOW) | F(GROUPS),
				    DIMS | X_WORDS | G_WORDS | P_WORDS),
	[IGRAD_OP_UPDATE] = OP(ARRAY, F(DECAY) | F(GROUPS), SHAPE | LR_WORD),
	[IGRAD_OP_DRAIN_ACC] = OP(ARRAY, F(GROUPS), SHAPE | P_WORDS),
	[IGRAD_OP_DRAIN_W] = OP(ARRAY, F(GROUPS), SHAPE | P_WORDS),
	[IGRAD_OP_SCALE_ACC] = OP(ARRAY, F(GROUPS), SHAPE | KEEP_WORD),
	[IGRAD_OP_WINDOW] = OP(ARRAY, 0, WORDS(0, 5)),
	[IGRAD_OP_VEC_FILL] = OP(VECTOR, 0, DIMS | D_WORDS | IMM_WORD),
	[IGRAD_OP_VEC_COPY] = OP(VECTOR, 0, DIMS | A_WORDS | D_WORDS),
	[IGRAD_OP_VEC_BIAS] = OP(VECTOR, 0, DIMS | A_WORDS | B_ADDR | D_WORDS),
	[IGRAD_OP_VEC_RELU] = OP(VECTOR, 0, DIMS | A_WORDS | D_WORDS),
	[IGRAD_OP_VEC_RELU_GRAD] = OP(VECTOR, F(BF16), DIMS | A_WORDS | B_WORDS | D_WORDS),
	[IGRAD_OP_VEC_COLSUM] = OP(VECTOR, F(KEEP) | F(BF16), DIMS | A_WORDS | D_ADDR),
	[IGRAD_OP_VEC_AXPY] = OP(VECTOR, 0, DIMS | A_WORDS | B_WORDS | D_WORDS | IMM_WORD),
	[IGRAD_OP_VEC_SGD] = OP(VECTOR, F(DECAY), DIMS | A_WORDS | B_WORDS | D_WORDS | IMM_WORD),
	[IGRAD_OP_VEC_SOFTMAX_XENT] = OP(VECTOR, 0,
					 DIMS | A_WORDS | B_WORDS | D_WORDS | IMM_WORD | IMM2_WORD),
	[IGRAD_OP_VEC_SCALE] = OP(VECTOR, 0, DIMS | A_WORDS | D_WORDS | IMM_WORD),
	[IGRAD_OP_VEC_ADAM] = OP(VECTOR, F(DECAY), WORDS(0, 9)),
	[IGRAD_OP_VEC_ADD] = OP(VECTOR, 0, DIMS | A_WORDS | B_WORDS | D_WORDS),
	[IGRAD_OP_VEC_MUL] = OP(VECTOR, 0, DIMS | A_WORDS | B_WORDS | D_WORDS),
	[IGRAD_OP_VEC_RSQRT] = OP(VECTOR, 0, DIMS | A_WORDS | D_WORDS | IMM_WORD),
	[IGRAD_OP_VEC_COLSQ] = OP(VECTOR, F(KEEP), DIMS | A_WORDS | B_ADDR | D_ADDR),
	[IGRAD_OP_VEC_NORM] = OP(VECTOR, 0, DIMS | A_WORDS | D_WORDS | CONSTANTS_WORDS),
	[IGRAD_OP_VEC_NORM_SUMS] = OP(VECTOR, F(KEEP), WORDS(0, 9)),
	[IGRAD_OP_VEC_NORM_GRAD] = OP(VECTOR, 0, WORDS(0, 9)),
	[IGRAD_OP_VEC_DROPOUT] = OP(VECTOR, 0, WORDS(0, 9) & ~WORD(5)),
	[IGRAD_OP_VEC_POOL_MAX] = OP(VECTOR, F(INDEX), POOL_WORDS),
	[IGRAD_OP_VEC_POOL_MAX_GRAD] = OP(VECTOR, 0, POOL_WORDS | INDEX_WORD),
	[IGRAD_OP_VEC_POOL_SUM] = OP(VECTOR, 0, POOL_WORDS),
	[IGRAD_OP_VEC_POOL_SUM_GRAD] = OP(VECTOR, 0, POOL_WORDS),
	[IGRAD_OP_VEC_POOL_DIVIDE] = OP(VECTOR, 0, POOL_WORDS),
};

static const struct op_rules *rules_of(uint8_t opcode)
{
	if (opcode >= sizeof(rules) / sizeof(rules[0]) || !rules[opcode].exists)
		return NULL;
	return &rules[opcode];
}

/* What goes with WINDOW: nothing that says where operands lie, or one thing; x may be turned too.
 */
static bool sound_window(uint16_t flags)
{
	switch (flags & (F(TRANSPOSE) | F(TURN) | F(SCATTER) | F(TAPS) | F(GROUPS))) {
	case 0:
	case F(TRANSPOSE):
	case F(TRANSPOSE) | F(TURN):
	case F(SCATTER):
	case F(SCATTER) | F(GROUPS):
	case F(TAPS):
	case F(TAPS) | F(TRANSPOSE):
	case F(TAPS) | F(TRANSPOSE) | F(TURN):
	case F(GROUPS):
		return true;
	default:
		return false;
	}
}

/* Some do not go together: groups lie one way round only. */
static enum igrad_reason check_flags(const struct op_rules *op, const struct igrad_cmd *cmd)
{
	const uint16_t flags = cmd->flags;

	if (flags & ~op->flags)
		return IGRAD_REASON_FLAGS;
	if (flags & F(WINDOW))
		return sound_window(flags) ? IGRAD_REASON_NONE : IGRAD_REASON_FLAGS;
	if (flags & (F(SCATTER) | F(TAPS)) ||
	    (flags & F(GROUPS) && flags & (F(TRANSPOSE) | F(TURN))))
		return IGRAD_REASON_FLAGS;
	return IGRAD_REASON_NONE;
}

static enum igrad_reason check_unused(const struct op_rules *op, const struct igrad_cmd *cmd)
{
	uint32_t used = op->words;

	if (cmd->flags & IGRAD_FLAG_DECAY)
		used |= IMM2_WORD;
	if (cmd->flags & IGRAD_FLAG_WINDOW)
		used |= WINDOW_WORDS;
	if (cmd->flags & IGRAD_FLAG_INDEX)
		used |= INDEX_WORD;
	for (unsigned int i = 0; i < 10; i++) {
		if (!(used & WORD(i)) && cmd->u.words[i])
			return IGRAD_REASON_RESERVED;
	}
	if (cmd->opcode != IGRAD_OP_NOP && cmd->engine)
		return IGRAD_REASON_RESERVED;
	return IGRAD_REASON_NONE;
}

static enum igrad_reason check_semaphores(const struct igrad_cmd *cmd)
{
	if (cmd->signal >= IGRAD_NUM_SEMAPHORES)
		return IGRAD_REASON_SEMAPHORE;
	for (unsigned int i = 0; i < IGRAD_NUM_WAITS; i++) {
		if (cmd->wait_sem[i] >= IGRAD_NUM_SEMAPHORES ||
		    !cmd->wait_sem[i] != !cmd->wait_value[i])
			return IGRAD_REASON_SEMAPHORE;
	}
	return IGRAD_REASON_NONE;
}

/* --------------------------------------------------------------------------------------------- */
/* Regions */
/* --------------------------------------------------------------------------------------------- */

static struct igrad_area *add_words(struct igrad_areas *areas, bool bf16, uint64_t addr,
				    uint64_t pitch, uint64_t rows, uint64_t words)
{
	struct igrad_area *area = &areas->area[areas->count++];
	const uint32_t word = bf16 ? 2 : 4;

	*area = (struct igrad_area){
		.addr = addr, .pitch = pitch, .rows = rows, .bytes = words * word, .word = word};
	return area;
}

static struct igrad_area *add_area(struct igrad_areas *areas, uint64_t addr, uint64_t pitch,
				   uint64_t rows, uint64_t words)
{
	return add_words(areas, false, addr, pitch, rows, words);
}

/* The first byte behind the region; a sum too large for 64 bits is certainly beyond SRAM. */
uint64_t igrad_area_end(const struct igrad_area *area)
{
	uint64_t end;

	if (__builtin_mul_overflow(area->rows - 1, area->pitch, &end) ||
	    __builtin_add_overflow(end, area->addr, &end) ||
	    __builtin_add_overflow(end, area->bytes, &end))
		return UINT64_MAX;
	return end;
}

static bool same_area(const struct igrad_area *a, const struct igrad_area *b)
{
	return a->addr == b->addr && (a->rows == 1 || a->pitch == b->pitch);
}

static bool conflict(const struct igrad_area *result, const struct igrad_area *other)
{
	if (result->addr >= igrad_area_end(other) || other->addr >= igrad_area_end(result))
		return false;
	return !other->same_ok || !same_area(result, other);
}

static enum igrad_reason check_areas(const struct igrad_config *config,
				     const struct igrad_areas *areas)
{
	for (unsigned int i = 0; i < areas->count; i++) {
		const struct igrad_area *area = &areas->area[i];

		if ((area->addr | area->pitch) % area->word ||
		    (area->rows > 1 && area->pitch < area->bytes))
			return IGRAD_REASON_ALIGN;
	}
	for (unsigned int i = 0; i < areas->count; i++) {
		if (igrad_area_end(&areas->area[i]) > config->sram_bytes)
			return IGRAD_REASON_SRAM_RANGE;
	}
	for (unsigned int i = 0; i < areas->count; i++) {
		for (unsigned int j = 0; areas->area[i].written && j < areas->count; j++) {
			if (i != j && conflict(&areas->area[i], &areas->area[j]))
				return IGRAD_REASON_OVERLAP;
		}
	}
	return IGRAD_REASON_NONE;
}

/* --------------------------------------------------------------------------------------------- */
/* Shapes, by engine */
/* --------------------------------------------------------------------------------------------- */

static enum igrad_reason shape_dma(const struct igrad_config *config, const struct igrad_cmd *cmd,
				   struct igrad_areas *areas)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;
	const uint64_t rows = (uint64_t)dma->rows + dma->fill_rows;
	const uint64_t cols = (uint64_t)dma->cols + dma->fill_cols;
	const bool bf16 = cmd->flags & IGRAD_FLAG_BF16;
	const uint64_t word = cmd->flags & IGRAD_FLAG_MEM_BF16 ? 2 : 4; /* in memory */
	const uint64_t most = config->sram_bytes / (bf16 ? 2 : 4);

	if (!dma->rows || !dma->cols || rows > most || rows * cols > most)
		return IGRAD_REASON_SHAPE;
	if (dma->va % word || dma->pitch % word || (dma->rows > 1 && dma->pitch < dma->cols * word))
		return IGRAD_REASON_ALIGN;
	add_words(areas, bf16, dma->sram, dma->sram_pitch, rows, cols)->written = cmd->opcode ==
										  IGRAD_OP_DMA_LOAD;
	return IGRAD_REASON_NONE;
}

static bool streams(uint8_t opcode)
{
	return opcode == IGRAD_OP_FPROP || opcode == IGRAD_OP_DGRAD || opcode == IGRAD_OP_WGRAD ||
	       opcode == IGRAD_OP_INTERLEAVED;
}

/* All of the images: which of their pixels a stream stands on is not asked. */
static enum igrad_reason see_images(const struct igrad_config *config,
				    const struct igrad_cmd_window *window,
				    const struct igrad_cmd *cmd, struct igrad_areas *areas)
{
	struct igrad_pixels pixels;

	if (!igrad_window_pixels(window, cmd, config->sram_bytes / 2, &pixels))
		return IGRAD_REASON_SHAPE;
	for (unsigned int i = 0; i < areas->count; i++) {
		struct igrad_area *area = &areas->area[i];

		if (!area->image)
			continue;
		area->addr += pixels.first * area->pitch;
		area->rows = pixels.count;
	}
	return IGRAD_REASON_NONE;
}

static void areas_array(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd,
			uint32_t words, struct igrad_areas *areas)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool transpose = cmd->flags & IGRAD_FLAG_TRANSPOSE;
	const bool bf16 = cmd->flags & IGRAD_FLAG_BF16;
	const bool images = cmd->flags & IGRAD_FLAG_WINDOW;
	struct igrad_area *area;
	uint32_t p_rows = a->batch;
	uint32_t p_cols = cmd->opcode == IGRAD_OP_FPROP ? a->cols : a->rows;

	if (!streams(cmd->opcode)) {
		p_rows = transpose ? a->cols : igrad_tile_rows(window, cmd);
		p_cols = transpose ? a->rows : a->cols;
	} else if (cmd->flags & IGRAD_FLAG_TURN) {
		p_rows = a->cols;
		p_cols = a->batch;
	}
	if (words & P_WORDS) {
		area = add_words(areas, bf16 && cmd->opcode == IGRAD_OP_LOAD_W, a->p, a->p_pitch,
				 p_rows, p_cols);
		area->written = cmd->opcode != IGRAD_OP_LOAD_W && cmd->opcode != IGRAD_OP_LOAD_ACC;
		area->image = images && igrad_window_psums(cmd);
	}
	if (words & X_WORDS) {
		area = add_words(areas, bf16, a->x, a->x_pitch, transpose ? a->rows : a->batch,
				 igrad_window_words(window, cmd));
		area->image = images && !(cmd->flags & IGRAD_FLAG_SCATTER);
	}
	if (words & G_WORDS)
		add_words(areas, bf16, a->g, a->g_pitch, a->batch, a->cols);
}

static enum igrad_reason shape_array(const struct igrad_config *config,
				     const struct igrad_cmd_window *window,
				     const struct igrad_cmd *cmd, uint32_t words,
				     struct igrad_areas *areas)
{
	const struct igrad_cmd_array *a = &cmd->u.array;

	if (!a->rows || a->rows > config->rows || !a->cols || a->cols > config->cols)
		return IGRAD_REASON_SHAPE;
	if (streams(cmd->opcode) && (!a->batch || a->batch > IGRAD_MAX_BATCH))
		return IGRAD_REASON_SHAPE;
	if (cmd->flags & IGRAD_FLAG_GROUPS && !window->group_rows)
		return IGRAD_REASON_SHAPE;
	if (cmd->flags & IGRAD_FLAG_TAPS &&
	    (!window->channels || !igrad_window_taps_fit(window, cmd)))
		return IGRAD_REASON_SHAPE;
	areas_array(window, cmd, words, areas);
	if (cmd->flags & IGRAD_FLAG_WINDOW)
		return see_images(config, window, cmd, areas);
	return IGRAD_REASON_NONE;
}

static bool sums_columns(uint8_t opcode)
{
	return opcode == IGRAD_OP_VEC_COLSUM || opcode == IGRAD_OP_VEC_COLSQ ||
	       opcode == IGRAD_OP_VEC_NORM_SUMS;
}

static uint64_t rows_of_b(const struct igrad_cmd *cmd)
{
	return cmd->opcode == IGRAD_OP_VEC_BIAS || cmd->opcode == IGRAD_OP_VEC_COLSQ ||
			       cmd->opcode == IGRAD_OP_VEC_DROPOUT
		       ? 1
		       : cmd->u.vec.rows;
}

static uint64_t cols_of_b(const struct igrad_cmd *cmd)
{
	switch (cmd->opcode) {
	case IGRAD_OP_VEC_SOFTMAX_XENT:
		return 1;
	case IGRAD_OP_VEC_DROPOUT:
		return IGRAD_DROPOUT_WORDS;
	default:
		return cmd->u.vec.cols;
	}
}

static uint64_t rows_of_d(const struct igrad_cmd *cmd)
{
	if (cmd->opcode == IGRAD_OP_VEC_NORM_SUMS)
		return 2;
	return sums_columns(cmd->opcode) ? 1 : cmd->u.vec.rows;
}

/* Losses, and rows of constants. */
static void areas_more(const struct igrad_cmd *cmd, struct igrad_areas *areas)
{
	const struct igrad_cmd_vec *v = &cmd->u.vec;

	if (cmd->opcode == IGRAD_OP_VEC_SOFTMAX_XENT)
		add_area(areas, v->imm2, 4, v->rows, 1)->written = true;
	else if (cmd->opcode == IGRAD_OP_VEC_NORM)
		add_area(areas, v->imm, v->imm2, IGRAD_NORM_ROWS, v->cols);
	else if (cmd->opcode == IGRAD_OP_VEC_NORM_SUMS)
		add_area(areas, v->imm, v->imm2, IGRAD_NORM_ROWS_SUMS, v->cols);
	else if (cmd->opcode == IGRAD_OP_VEC_NORM_GRAD)
		add_area(areas, v->imm, v->imm2, IGRAD_NORM_ROWS_GRAD, v->cols);
}

static enum igrad_reason shape_vec(const struct igrad_cmd *cmd, uint32_t words,
				   struct igrad_areas *areas)
{
	const struct igrad_cmd_vec *v = &cmd->u.vec;
	const bool softmax = cmd->opcode == IGRAD_OP_VEC_SOFTMAX_XENT;
	const bool dropout = cmd->opcode == IGRAD_OP_VEC_DROPOUT;
	const bool sums = sums_columns(cmd->opcode);
	const bool bf16 = cmd->flags & IGRAD_FLAG_BF16;
	const bool same_ok = !softmax && !sums;

	if (!v->rows || v->rows > IGRAD_MAX_VEC_DIM || !v->cols || v->cols > IGRAD_MAX_VEC_DIM)
		return IGRAD_REASON_SHAPE;
	add_words(areas, bf16 && !sums, v->d, v->d_pitch, rows_of_d(cmd), v->cols)->written = true;
	if (words & A_WORDS)
		add_words(areas, bf16, v->a, v->a_pitch, v->rows, v->cols)->same_ok = same_ok;
	if (words & B_ADDR)
		add_words(areas, bf16, v->b, v->b_pitch, rows_of_b(cmd), cols_of_b(cmd))->same_ok =
			same_ok && !dropout && rows_of_b(cmd) == v->rows;
	areas_more(cmd, areas);
	return IGRAD_REASON_NONE;
}

/* w, both moments, the gradient and the constants: what is written overlaps nothing else. */
static enum igrad_reason shape_adam(const struct igrad_cmd *cmd, struct igrad_areas *areas)
{
	const struct igrad_cmd_vec *v = &cmd->u.vec;

	if (!v->rows || v->rows > IGRAD_MAX_VEC_DIM || !v->cols || v->cols > IGRAD_MAX_VEC_DIM)
		return IGRAD_REASON_SHAPE;
	add_area(areas, v->d, v->d_pitch, v->rows, v->cols)->written = true;
	add_area(areas, v->b, v->b_pitch, v->rows, v->cols)->written = true;
	add_area(areas, v->imm2, v->b_pitch, v->rows, v->cols)->written = true;
	add_area(areas, v->a, v->a_pitch, v->rows, v->cols);
	add_area(areas, v->imm, 4, 1, IGRAD_ADAM_WORDS);
	return IGRAD_REASON_NONE;
}

static struct igrad_area *add_run(struct igrad_areas *areas, uint64_t addr, uint64_t words)
{
	return add_area(areas, addr, words * 4, 1, words);
}

static enum igrad_reason shape_pool(const struct igrad_config *config, const struct igrad_cmd *cmd,
				    struct igrad_areas *areas)
{
	const struct igrad_cmd_pool *p = &cmd->u.pool;
	const bool grad = igrad_pool_is_grad(cmd->opcode);
	const bool divide = cmd->opcode == IGRAD_OP_VEC_POOL_DIVIDE;
	struct igrad_pool_sizes sizes;
	struct igrad_area *area;

	if (!igrad_pool_sound(cmd) || !igrad_pool_sizes(p, config->sram_bytes / 4, !divide, &sizes))
		return IGRAD_REASON_SHAPE;
	add_run(areas, p->d, grad ? sizes.pixels : sizes.outputs)->written = true;
	area = add_run(areas, p->a, grad || divide ? sizes.outputs : sizes.pixels);
	area->same_ok = divide;
	if (cmd->opcode == IGRAD_OP_VEC_POOL_MAX_GRAD || cmd->flags & IGRAD_FLAG_INDEX)
		add_run(areas, p->b, sizes.outputs)->written = !grad;
	return IGRAD_REASON_NONE;
}

static enum igrad_reason check_labels(const uint8_t *sram, const struct igrad_cmd_vec *v)
{
	for (uint64_t i = 0; i < v->rows; i++) {
		uint32_t label;

		memcpy(&label, sram + v->b + i * v->b_pitch, sizeof(label));
		if (label >= v->cols)
			return IGRAD_REASON_DATA;
	}
	return IGRAD_REASON_NONE;
}

static enum igrad_reason check_shape(const struct igrad_config *config,
				     const struct igrad_cmd_window *window,
				     const struct igrad_cmd *cmd, const struct op_rules *op,
				     struct igrad_areas *areas)
{
	if (cmd->opcode == IGRAD_OP_NOP)
		return IGRAD_REASON_NONE;
	if (cmd->opcode == IGRAD_OP_WINDOW)
		return igrad_window_sound(&cmd->u.window) ? IGRAD_REASON_NONE : IGRAD_REASON_SHAPE;
	if (cmd->opcode < IGRAD_OP_LOAD_W)
		return shape_dma(config, cmd, areas);
	if (cmd->opcode < IGRAD_OP_VEC_FILL)
		return shape_array(config, window, cmd, op->words, areas);
	if (cmd->opcode == IGRAD_OP_VEC_ADAM)
		return shape_adam(cmd, areas);
	if (cmd->opcode >= IGRAD_OP_VEC_POOL_MAX)
		return shape_pool(config, cmd, areas);
	return shape_vec(cmd, op->words, areas);
}

enum igrad_reason igrad_check_command(const struct igrad_config *config, const uint8_t *sram,
				      const struct igrad_cmd_window *window,
				      const struct igrad_cmd *cmd, enum igrad_engine *engine,
				      struct igrad_areas *areas)
{
	const struct op_rules *op = rules_of(cmd->opcode);
	enum igrad_reason reason;

	areas->count = 0;
	*engine = IGRAD_ENGINE_LOAD;
	if (!op || (cmd->opcode == IGRAD_OP_NOP && cmd->engine >= IGRAD_NUM_ENGINES))
		return IGRAD_REASON_OPCODE;
	*engine = cmd->opcode == IGRAD_OP_NOP ? (enum igrad_engine)cmd->engine : op->engine;
	reason = check_flags(op, cmd);
	if (!reason)
		reason = check_unused(op, cmd);
	if (!reason)
		reason = check_semaphores(cmd);
	if (!reason)
		reason = check_shape(config, window, cmd, op, areas);
	if (!reason)
		reason = check_areas(config, areas);
	if (!reason && cmd->opcode == IGRAD_OP_VEC_SOFTMAX_XENT && !config->timing_only)
		reason = check_labels(sram, &cmd->u.vec);
	return reason;
}

enum igrad_reason igrad_check_desc(const struct igrad_desc *desc)
{
	const uint64_t reserved = desc->reserved[0] | desc->reserved[1] | desc->reserved[2];

	if ((desc->pt_root & ~IGRAD_PTE_ADDR) || desc->cmds % sizeof(struct igrad_cmd) ||
	    !desc->num_cmds || desc->num_cmds > IGRAD_MAX_COMMANDS ||
	    (desc->flags & ~IGRAD_DESC_QUIET) || desc->report % 64 || reserved)
		return IGRAD_REASON_DESC;
	return IGRAD_REASON_NONE;
}
