/* SPDX-License-Identifier: MIT */
/*
 * Operands of commands. Only what ordering needs is worked out here; whether a command is well
 * formed is for the device to say.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "access.h"

#define WORD	4u
#define HALF	2u		 /* bf16 */
#define DMA_MAX ((1u << 30) - 1) /* no memory has so many rows; sums below cannot overflow */

/* @element: bytes */
static struct igrad_operand_use matrix(uint64_t start, uint64_t rows, uint64_t cols,
				       uint32_t element, uint32_t pitch, bool write)
{
	return (struct igrad_operand_use){igrad_region(start, rows, cols * element, le32toh(pitch)),
					  write};
}

static void sram(struct igrad_command_use *use, uint32_t address, uint64_t rows, uint64_t cols,
		 uint32_t element, uint32_t pitch, bool write)
{
	use->sram[use->num_sram++] = matrix(le32toh(address), rows, cols, element, pitch, write);
}

static bool has_flag(const struct igrad_cmd *cmd, uint16_t flag)
{
	return le16toh(cmd->flags) & flag;
}

/* What an operand that may be bf16 is made of. */
static uint32_t element_of(const struct igrad_cmd *cmd)
{
	return has_flag(cmd, IGRAD_FLAG_BF16) ? HALF : WORD;
}

static int dma_use(const struct igrad_cmd *cmd, struct igrad_command_use *use)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;
	bool load = cmd->opcode == IGRAD_OP_DMA_LOAD;
	uint64_t rows = le32toh(dma->rows), cols = le32toh(dma->cols);

	if (!rows || !cols)
		return -EINVAL;
	if ((rows | cols | le32toh(dma->fill_rows) | le32toh(dma->fill_cols)) > DMA_MAX)
		return -ERANGE;
	use->engine = load ? IGRAD_ENGINE_LOAD : IGRAD_ENGINE_STORE;
	use->dma = true;
	use->dram = matrix(0, rows, cols, has_flag(cmd, IGRAD_FLAG_MEM_BF16) ? HALF : WORD,
			   dma->pitch, !load);
	if (load) {
		rows += le32toh(dma->fill_rows);
		cols += le32toh(dma->fill_cols);
	}
	sram(use, dma->sram, rows, cols, element_of(cmd), dma->sram_pitch, load);
	return 0;
}

/* Rows of a matrix, counted from its address. */
struct rows {
	uint64_t first;
	uint64_t count;
};

/* Of x, or dx: the batch's, the lanes', or all pixels of the images that these walk over. */
static int find_rows(const struct igrad_cmd *cmd, const struct igrad_cmd_window *window,
		     struct rows *rows)
{
	uint64_t pixels = (uint64_t)le16toh(window->height) * le16toh(window->width);
	uint64_t outputs = (uint64_t)le16toh(window->out_height) * le16toh(window->out_width);
	uint64_t first = le32toh(cmd->u.array.first), length = le32toh(cmd->u.array.batch);

	if (has_flag(cmd, IGRAD_FLAG_TRANSPOSE))
		length = le16toh(cmd->u.array.rows);
	*rows = (struct rows){0, length};
	if (!has_flag(cmd, IGRAD_FLAG_WINDOW))
		return 0;
	if (!pixels || !outputs)
		return -EINVAL;
	rows->first = first / outputs * pixels;
	rows->count = ((first + length - 1) / outputs + 1) * pixels - rows->first;
	return rows->first + rows->count > DMA_MAX ? -ERANGE : 0;
}

static void sram_rows(struct igrad_command_use *use, uint32_t address, const struct rows *rows,
		      uint64_t cols, uint32_t element, uint32_t pitch, bool write)
{
	uint64_t start = le32toh(address) + rows->first * le32toh(pitch);

	use->sram[use->num_sram++] = matrix(start, rows->count, cols, element, pitch, write);
}

/* Words of x in a row: of a pixel, if the stream comes to several positions of a kernel. */
static uint64_t x_words(const struct igrad_cmd *cmd, const struct igrad_cmd_window *window)
{
	uint64_t words = le16toh(cmd->u.array.rows), channels = le16toh(window->channels);

	if (has_flag(cmd, IGRAD_FLAG_TRANSPOSE))
		words = le32toh(cmd->u.array.batch);
	return has_flag(cmd, IGRAD_FLAG_TAPS) && channels < words ? channels : words;
}

static void psum_use(const struct igrad_cmd *cmd, const struct rows *pixels,
		     struct igrad_command_use *use)
{
	const struct igrad_cmd_array *array = &cmd->u.array;
	bool fprop = cmd->opcode == IGRAD_OP_FPROP, turn = has_flag(cmd, IGRAD_FLAG_TURN);
	uint64_t lanes = le16toh(fprop ? array->cols : array->rows);
	uint64_t batch = le32toh(array->batch);

	if (!fprop || has_flag(cmd, IGRAD_FLAG_SCATTER))
		sram_rows(use, array->p, pixels, lanes, WORD, array->p_pitch, true);
	else
		sram(use, array->p, turn ? lanes : batch, turn ? batch : lanes, WORD,
		     array->p_pitch, true);
}

static int stream_use(const struct igrad_cmd *cmd, const struct igrad_cmd_window *window,
		      struct igrad_command_use *use)
{
	const struct igrad_cmd_array *array = &cmd->u.array;
	uint64_t batch = le32toh(array->batch), words = x_words(cmd, window);
	uint32_t element = element_of(cmd);
	struct rows pixels, rows = {0, batch};
	int ret = batch ? find_rows(cmd, window, &pixels) : -EINVAL;

	if (ret || !words)
		return ret ? ret : -EINVAL;
	if (cmd->opcode != IGRAD_OP_DGRAD)
		sram_rows(use, array->x, has_flag(cmd, IGRAD_FLAG_SCATTER) ? &rows : &pixels, words,
			  element, array->x_pitch, false);
	if (cmd->opcode != IGRAD_OP_FPROP)
		sram(use, array->g, batch, le16toh(array->cols), element, array->g_pitch, false);
	if (cmd->opcode != IGRAD_OP_WGRAD)
		psum_use(cmd, &pixels, use);
	return 0;
}

/* Of p that loads and drains move: a group's rows serve all groups. */
static int tile_rows(const struct igrad_cmd *cmd, const struct igrad_cmd_window *window,
		     uint64_t *rows)
{
	uint64_t of_group = le16toh(window->group_rows);

	*rows = le16toh(cmd->u.array.rows);
	if (!has_flag(cmd, IGRAD_FLAG_GROUPS))
		return 0;
	if (*rows > of_group)
		*rows = of_group;
	return of_group ? 0 : -EINVAL;
}

static int array_use(const struct igrad_cmd *cmd, const struct igrad_cmd_window *window,
		     struct igrad_command_use *use)
{
	const struct igrad_cmd_array *array = &cmd->u.array;
	bool transpose = has_flag(cmd, IGRAD_FLAG_TRANSPOSE);
	uint64_t rows, cols = le16toh(array->cols);
	int ret;

	use->engine = IGRAD_ENGINE_ARRAY;
	if (cmd->opcode == IGRAD_OP_WINDOW)
		return 0;
	ret = tile_rows(cmd, window, &rows);
	if (ret || !rows || !cols)
		return -EINVAL;

	switch (cmd->opcode) {
	case IGRAD_OP_LOAD_W:
	case IGRAD_OP_LOAD_ACC:
		sram(use, array->p, transpose ? cols : rows, transpose ? rows : cols,
		     element_of(cmd), array->p_pitch, false);
		return 0;
	case IGRAD_OP_DRAIN_ACC:
	case IGRAD_OP_DRAIN_W:
		sram(use, array->p, rows, cols, WORD, array->p_pitch, true);
		return 0;
	case IGRAD_OP_FPROP:
	case IGRAD_OP_DGRAD:
	case IGRAD_OP_WGRAD:
	case IGRAD_OP_INTERLEAVED:
		return stream_use(cmd, window, use);
	default: /* IGRAD_OP_UPDATE and IGRAD_OP_SCALE_ACC work inside the array */
		return 0;
	}
}

static void constants(struct igrad_command_use *use, const struct igrad_cmd_vec *vec, uint32_t rows)
{
	sram(use, vec->imm, rows, le32toh(vec->cols), WORD, vec->imm2, false);
}

/* Everything besides a and d. */
static void vec_use_others(const struct igrad_cmd *cmd, struct igrad_command_use *use)
{
	const struct igrad_cmd_vec *vec = &cmd->u.vec;
	uint64_t rows = le32toh(vec->rows), cols = le32toh(vec->cols);

	switch (cmd->opcode) {
	case IGRAD_OP_VEC_BIAS:
	case IGRAD_OP_VEC_COLSQ:
		sram(use, vec->b, 1, cols, WORD, 0, false);
		break;
	case IGRAD_OP_VEC_RELU_GRAD:
	case IGRAD_OP_VEC_AXPY:
	case IGRAD_OP_VEC_SGD:
	case IGRAD_OP_VEC_ADD:
	case IGRAD_OP_VEC_MUL:
		sram(use, vec->b, rows, cols, element_of(cmd), vec->b_pitch, false);
		break;
	case IGRAD_OP_VEC_ADAM:
		sram(use, vec->b, rows, cols, WORD, vec->b_pitch, true);
		sram(use, vec->imm2, rows, cols, WORD, vec->b_pitch, true);
		sram(use, vec->imm, 1, IGRAD_ADAM_WORDS, WORD, 0, false);
		break;
	case IGRAD_OP_VEC_SOFTMAX_XENT:
		sram(use, vec->b, rows, 1, WORD, vec->b_pitch, false);
		sram(use, vec->imm2, 1, rows, WORD, 0, true);
		break;
	case IGRAD_OP_VEC_NORM:
		constants(use, vec, IGRAD_NORM_ROWS);
		break;
	case IGRAD_OP_VEC_NORM_SUMS:
		sram(use, vec->b, rows, cols, WORD, vec->b_pitch, false);
		constants(use, vec, IGRAD_NORM_ROWS_SUMS);
		break;
	case IGRAD_OP_VEC_NORM_GRAD:
		sram(use, vec->b, rows, cols, WORD, vec->b_pitch, false);
		constants(use, vec, IGRAD_NORM_ROWS_GRAD);
		break;
	case IGRAD_OP_VEC_DROPOUT:
		sram(use, vec->b, 1, IGRAD_DROPOUT_WORDS, WORD, 0, false);
		break;
	}
}

static int vec_use(const struct igrad_cmd *cmd, struct igrad_command_use *use)
{
	const struct igrad_cmd_vec *vec = &cmd->u.vec;
	uint64_t rows = le32toh(vec->rows), cols = le32toh(vec->cols);
	uint64_t results = rows;
	uint32_t element = element_of(cmd), result = element;

	use->engine = IGRAD_ENGINE_VECTOR;
	if (!rows || !cols)
		return -EINVAL;
	if (cmd->opcode == IGRAD_OP_VEC_COLSUM || cmd->opcode == IGRAD_OP_VEC_COLSQ) {
		results = 1;
		result = WORD;
	} else if (cmd->opcode == IGRAD_OP_VEC_NORM_SUMS) {
		results = 2;
	}
	if (cmd->opcode != IGRAD_OP_VEC_FILL)
		sram(use, vec->a, rows, cols, element, vec->a_pitch, false);
	vec_use_others(cmd, use);
	sram(use, vec->d, results, cols, result, vec->d_pitch, true);
	return 0;
}

/* Images, or outputs, that lie one behind the other. */
static int run_of(struct igrad_command_use *use, igrad_le32 address, uint64_t images, uint64_t area,
		  uint64_t cols, bool write)
{
	uint64_t pixels = images * area;

	if (images > DMA_MAX || cols > DMA_MAX || pixels > DMA_MAX || pixels * cols > DMA_MAX)
		return -ERANGE;
	if (!pixels || !cols)
		return -EINVAL;
	sram(use, address, 1, pixels * cols, WORD, 0, write);
	return 0;
}

static int pool_use(const struct igrad_cmd *cmd, struct igrad_command_use *use)
{
	const struct igrad_cmd_pool *p = &cmd->u.pool;
	uint64_t images = le32toh(p->images), cols = le32toh(p->cols);
	uint64_t pixels = (uint64_t)le16toh(p->height) * le16toh(p->width);
	uint64_t outputs = (uint64_t)le16toh(p->out_height) * le16toh(p->out_width);
	bool max = cmd->opcode == IGRAD_OP_VEC_POOL_MAX;
	bool max_grad = cmd->opcode == IGRAD_OP_VEC_POOL_MAX_GRAD;
	bool grad = max_grad || cmd->opcode == IGRAD_OP_VEC_POOL_SUM_GRAD;
	bool divide = cmd->opcode == IGRAD_OP_VEC_POOL_DIVIDE;
	int ret;

	use->engine = IGRAD_ENGINE_VECTOR;
	ret = run_of(use, p->a, images, grad || divide ? outputs : pixels, cols, false);
	if (!ret && (max_grad || (max && has_flag(cmd, IGRAD_FLAG_INDEX))))
		ret = run_of(use, p->b, images, outputs, cols, max);
	if (!ret)
		ret = run_of(use, p->d, images, grad ? pixels : outputs, cols, true);
	return ret;
}

static int nop_use(const struct igrad_cmd *cmd, struct igrad_command_use *use)
{
	use->engine = cmd->engine;
	return cmd->engine < IGRAD_NUM_ENGINES ? 0 : -EINVAL;
}

int igrad_command_use(const struct igrad_cmd *cmd, const struct igrad_cmd_window *window,
		      struct igrad_command_use *use)
{
	uint8_t opcode = cmd->opcode;

	memset(use, 0, sizeof(*use));
	if (opcode == IGRAD_OP_NOP)
		return nop_use(cmd, use);
	if (opcode == IGRAD_OP_DMA_LOAD || opcode == IGRAD_OP_DMA_STORE)
		return dma_use(cmd, use);
	if (opcode >= IGRAD_OP_LOAD_W && opcode <= IGRAD_OP_WINDOW)
		return array_use(cmd, window, use);
	if (opcode >= IGRAD_OP_VEC_FILL && opcode <= IGRAD_OP_VEC_DROPOUT)
		return vec_use(cmd, use);
	if (opcode >= IGRAD_OP_VEC_POOL_MAX && opcode <= IGRAD_OP_VEC_POOL_DIVIDE)
		return pool_use(cmd, use);
	return -EINVAL;
}
