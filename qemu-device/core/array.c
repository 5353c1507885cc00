/* SPDX-License-Identifier: MIT */
/* The array's registers: loads, drains and what PEs do to them without streams. */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

static uint32_t round_up(uint32_t n)
{
	return (n + 15) & ~15u;
}

int igrad_array_init(struct igrad_array *array, const struct igrad_config *config)
{
	const size_t r = round_up(config->rows), c = round_up(config->cols);

	array->stride = (uint32_t)c;
	array->t_stride = (uint32_t)r;
	array->w = aligned_alloc(64, r * c * sizeof(float));
	array->acc = aligned_alloc(64, r * c * sizeof(float));
	array->stage_x = aligned_alloc(64, IGRAD_STAGE_BYTES);
	array->stage_g = aligned_alloc(64, IGRAD_STAGE_BYTES);
	array->stage_p = aligned_alloc(64, IGRAD_STAGE_BYTES);
	if (!array->w || !array->acc || !array->stage_x || !array->stage_g || !array->stage_p)
		return -ENOMEM;
	for (unsigned int i = 1; i < IGRAD_WEIGHT_COPIES; i++) {
		array->copy[i].words = aligned_alloc(64, r * c * sizeof(float));
		if (!array->copy[i].words)
			return -ENOMEM;
		memset(array->copy[i].words, 0, r * c * sizeof(float));
	}
	array->dirty = true;
	igrad_array_scrub(array, config);
	return 0;
}

void igrad_array_destroy(struct igrad_array *array)
{
	free(array->w);
	free(array->acc);
	free(array->stage_x);
	free(array->stage_g);
	free(array->stage_p);
	for (unsigned int i = 0; i < IGRAD_WEIGHT_COPIES; i++)
		free(array->copy[i].words);
}

/* The copies, as far as there are any, are no longer of these weights. */
static void weights_changed(struct igrad_array *array)
{
	for (unsigned int i = 0; i < IGRAD_WEIGHT_COPIES; i++)
		array->copy[i].rows = array->copy[i].cols = 0;
}

void igrad_array_scrub(struct igrad_array *array, const struct igrad_config *config)
{
	const size_t bytes = (size_t)config->rows * array->stride * sizeof(float);

	memset(&array->window, 0, sizeof(array->window));
	if (!array->dirty)
		return;
	memset(array->w, 0, bytes);
	memset(array->acc, 0, bytes);
	weights_changed(array);
	array->dirty = false;
}

/* The bits of w and acc; what else there is follows from them. */
void igrad_array_transfer(struct igrad_array *array, const struct igrad_config *config,
			  struct igrad_serial *serial)
{
	igrad_serial_bool(serial, &array->dirty);
	if (!array->dirty)
		return;
	for (uint32_t r = 0; r < config->rows; r++) {
		const size_t row = (size_t)r * array->stride;

		igrad_serial_bytes(serial, array->w + row, config->cols * sizeof(float));
		igrad_serial_bytes(serial, array->acc + row, config->cols * sizeof(float));
	}
	if (serial->loading)
		weights_changed(array);
}

/* --------------------------------------------------------------------------------------------- */
/* The weights as products want them: as they are, transposed for dgrad, rounded for bf16 */
/* --------------------------------------------------------------------------------------------- */

static bool made(const struct igrad_weights *copy, uint32_t rows, uint32_t cols)
{
	return rows <= copy->rows && cols <= copy->cols;
}

static void round_weights(struct igrad_core *core, struct igrad_weights *copy, uint32_t rows,
			  uint32_t cols)
{
	const struct igrad_array *array = &core->array;

	for (size_t r = 0; r < rows; r++)
		core->kernels->round_bf16(copy->words + r * array->stride,
					  array->w + r * array->stride, NULL, cols, 0.0f, 0.0f);
}

/* A copy is made once for each loaded or updated tile. */
const float *igrad_array_weights(struct igrad_core *core, bool bf16, bool transposed, uint32_t rows,
				 uint32_t cols, size_t *row)
{
	struct igrad_array *array = &core->array;
	struct igrad_weights *copy = &array->copy[bf16 * 2 + transposed];
	const float *w = array->w;

	*row = transposed ? array->t_stride : array->stride;
	if (!bf16 && !transposed)
		return w;
	if (made(copy, rows, cols))
		return copy->words;
	if (transposed) {
		if (bf16)
			w = igrad_array_weights(core, true, false, rows, cols, row);
		core->kernels->transpose(copy->words, array->t_stride, w, array->stride, rows,
					 cols);
		*row = array->t_stride;
	} else {
		round_weights(core, copy, rows, cols);
	}
	copy->rows = rows;
	copy->cols = cols;
	return copy->words;
}

/* --------------------------------------------------------------------------------------------- */
/* Commands */
/* --------------------------------------------------------------------------------------------- */

/* The same for the registers @reg, and acc, of each row of the PEs that take part. */
static void each_row(struct igrad_core *core, const struct igrad_cmd *cmd, igrad_row_fn *fn,
		     float *reg, float imm, float imm2)
{
	struct igrad_array *array = &core->array;
	const uint32_t n = igrad_num_blocks(&array->window, cmd);

	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(&array->window, cmd, i);

		for (size_t r = block.row; r < block.row + block.rows; r++) {
			const size_t at = r * array->stride + block.col;

			fn(reg + at, reg + at, array->acc + at, block.cols, imm, imm2);
		}
	}
}

static void update(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const bool decay = cmd->flags & IGRAD_FLAG_DECAY;

	each_row(core, cmd, decay ? core->kernels->sgd_decay : core->kernels->sgd, core->array.w,
		 igrad_float(cmd->u.array.lr), igrad_float(cmd->u.array.keep));
	weights_changed(&core->array);
}

static void scale_acc(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	each_row(core, cmd, core->kernels->scale, core->array.acc, igrad_float(cmd->u.array.keep),
		 0.0f);
}

/* The sums of a stream that has no row to sum. */
void igrad_array_clear_acc(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	struct igrad_array *array = &core->array;
	const uint32_t n = igrad_num_blocks(&array->window, cmd);

	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(&array->window, cmd, i);

		for (size_t r = block.row; r < block.row + block.rows; r++)
			memset(array->acc + r * array->stride + block.col, 0,
			       block.cols * sizeof(float));
	}
}

static void load(struct igrad_core *core, const struct igrad_cmd *cmd, float *reg, const float *p,
		 size_t p_row)
{
	struct igrad_array *array = &core->array;
	const uint32_t n = igrad_num_blocks(&array->window, cmd);

	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(&array->window, cmd, i);

		core->kernels->copy(reg + block.row * array->stride + block.col, array->stride,
				    p + block.col, p_row, block.rows, block.cols);
	}
}

static void drain(struct igrad_core *core, const struct igrad_cmd *cmd, const float *reg)
{
	struct igrad_array *array = &core->array;
	const uint32_t n = igrad_num_blocks(&array->window, cmd);
	const size_t p_row = cmd->u.array.p_pitch / sizeof(float);
	float *p = igrad_words(core, cmd->u.array.p);

	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(&array->window, cmd, i);

		core->kernels->copy(p + block.col, p_row,
				    reg + block.row * array->stride + block.col, array->stride,
				    block.rows, block.cols);
	}
}

/* Loaded transposed or widened, or both. */
static void load_w(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool transpose = cmd->flags & IGRAD_FLAG_TRANSPOSE;
	struct igrad_array *array = &core->array;
	const uint32_t rows = transpose ? a->cols : igrad_tile_rows(&array->window, cmd);
	const uint32_t cols = transpose ? a->rows : a->cols;
	const float *p = igrad_words(core, a->p);
	size_t p_row = a->p_pitch / 4;

	weights_changed(array);
	if (cmd->flags & IGRAD_FLAG_BF16) {
		for (size_t i = 0; i < rows; i++)
			core->kernels->widen(array->stage_x + i * IGRAD_STAGE_ROW,
					     igrad_halves(core, a->p + i * a->p_pitch), cols);
		p = array->stage_x;
		p_row = IGRAD_STAGE_ROW;
	}
	if (transpose)
		core->kernels->transpose(array->w, array->stride, p, p_row, rows, cols);
	else
		load(core, cmd, array->w, p, p_row);
}

void igrad_array_execute(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	struct igrad_array *array = &core->array;

	array->dirty = true;
	switch (cmd->opcode) {
	case IGRAD_OP_LOAD_W:
		load_w(core, cmd);
		break;
	case IGRAD_OP_LOAD_ACC:
		load(core, cmd, array->acc, igrad_words(core, a->p), a->p_pitch / sizeof(float));
		break;
	case IGRAD_OP_FPROP:
	case IGRAD_OP_DGRAD:
	case IGRAD_OP_WGRAD:
	case IGRAD_OP_INTERLEAVED:
		igrad_stream_execute(core, cmd);
		break;
	case IGRAD_OP_UPDATE:
		update(core, cmd);
		break;
	case IGRAD_OP_SCALE_ACC:
		scale_acc(core, cmd);
		break;
	case IGRAD_OP_DRAIN_ACC:
		drain(core, cmd, array->acc);
		break;
	case IGRAD_OP_DRAIN_W:
		drain(core, cmd, array->w);
		break;
	}
}
