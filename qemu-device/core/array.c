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
void igrad_array_weights_changed(struct igrad_array *array)
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
	igrad_array_weights_changed(array);
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
		igrad_array_weights_changed(array);
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

static void update(struct igrad_core *core, const struct igrad_cmd *cmd,
		   const struct igrad_block *part)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	struct igrad_array *array = &core->array;
	igrad_row_fn *fn = cmd->flags & IGRAD_FLAG_DECAY ? core->kernels->sgd_decay
							 : core->kernels->sgd;

	for (size_t r = 0; r < part->rows; r++) {
		const size_t at = (part->row + r) * array->stride + part->col;

		fn(array->w + at, array->w + at, array->acc + at, part->cols, igrad_float(a->lr),
		   igrad_float(a->keep));
	}
}

static void scale_acc(struct igrad_core *core, const struct igrad_cmd *cmd,
		      const struct igrad_block *part)
{
	const struct igrad_cmd_array *a = &cmd->u.array;

	for (size_t r = 0; r < part->rows; r++) {
		float *acc = core->array.acc + (part->row + r) * core->array.stride + part->col;

		core->kernels->scale(acc, acc, NULL, part->cols, igrad_float(a->keep), 0.0f);
	}
}

/* Between p and registers that lie as p does; the rows of each group are the first of p. */
static void shift(struct igrad_core *core, const struct igrad_cmd *cmd,
		  const struct igrad_block *part, float *registers, bool load)
{
	const size_t stride = core->array.stride, p_row = cmd->u.array.p_pitch / sizeof(float);
	const uint32_t row = cmd->flags & IGRAD_FLAG_GROUPS ? 0 : part->row;
	float *p = igrad_words(core, cmd->u.array.p) + row * p_row + part->col;

	registers += part->row * stride + part->col;
	if (load)
		core->kernels->copy(registers, stride, p, p_row, part->rows, part->cols);
	else
		core->kernels->copy(p, p_row, registers, stride, part->rows, part->cols);
}

/* Commands without streams, but LOAD_W that is transposed or widened. */
static void execute_part(struct igrad_core *core, const struct igrad_cmd *cmd,
			 const struct igrad_block *part)
{
	struct igrad_array *array = &core->array;

	switch (cmd->opcode) {
	case IGRAD_OP_LOAD_W:
	case IGRAD_OP_DRAIN_W:
		shift(core, cmd, part, array->w, cmd->opcode == IGRAD_OP_LOAD_W);
		break;
	case IGRAD_OP_LOAD_ACC:
	case IGRAD_OP_DRAIN_ACC:
		shift(core, cmd, part, array->acc, cmd->opcode == IGRAD_OP_LOAD_ACC);
		break;
	case IGRAD_OP_UPDATE:
		update(core, cmd, part);
		break;
	case IGRAD_OP_SCALE_ACC:
		scale_acc(core, cmd, part);
		break;
	}
}

/* The sums of a stream that has no row to sum; @lane is the row of the array that is its first. */
void igrad_array_clear_acc(struct igrad_core *core, const struct igrad_cmd *cmd, uint32_t lane)
{
	struct igrad_array *array = &core->array;
	const uint32_t n = igrad_num_blocks(&array->window, cmd);

	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(&array->window, cmd, i);

		for (size_t r = block.row; r < block.row + block.rows; r++)
			memset(array->acc + (lane + r) * array->stride + block.col, 0,
			       block.cols * sizeof(float));
	}
}

/* From @p, as they lie there: by groups, if there are any. */
static void place_w(struct igrad_core *core, const struct igrad_cmd *cmd, const float *p,
		    size_t p_row)
{
	struct igrad_array *array = &core->array;
	const uint32_t n = igrad_num_blocks(&array->window, cmd);

	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(&array->window, cmd, i);

		core->kernels->copy(array->w + block.row * array->stride + block.col, array->stride,
				    p + block.col, p_row, block.rows, block.cols);
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
		place_w(core, cmd, p, p_row);
}

static bool streams(const struct igrad_cmd *cmd)
{
	return cmd->opcode >= IGRAD_OP_FPROP && cmd->opcode <= IGRAD_OP_INTERLEAVED;
}

static bool changes_weights(const struct igrad_cmd *cmd)
{
	return cmd->opcode == IGRAD_OP_LOAD_W || cmd->opcode == IGRAD_OP_UPDATE;
}

void igrad_array_execute(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_window *window = &core->array.window;
	const uint32_t n = igrad_num_blocks(window, cmd);

	core->array.dirty = true;
	if (changes_weights(cmd))
		igrad_array_weights_changed(&core->array);
	if (streams(cmd)) {
		igrad_stream_execute(core, cmd);
		return;
	}
	if (cmd->opcode == IGRAD_OP_LOAD_W && cmd->flags) {
		load_w(core, cmd);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(window, cmd, i);

		execute_part(core, cmd, &block);
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Strips */
/* --------------------------------------------------------------------------------------------- */

static uint32_t within(uint32_t n, uint32_t most)
{
	return n < most ? n : most;
}

/* The columns of a transposed copy are rows of w, here those of the strip. */
const float *igrad_array_turned(struct igrad_core *core, struct igrad_strip *strip, uint32_t cols)
{
	struct igrad_array *array = &core->array;
	float *turned = array->copy[1].words + strip->begin;

	if (strip->turned < cols) {
		core->kernels->transpose(turned, array->t_stride,
					 array->w + (size_t)strip->begin * array->stride,
					 array->stride, strip->end - strip->begin, cols);
		strip->turned = cols;
	}
	return turned;
}

void igrad_array_execute_strip(struct igrad_core *core, const struct igrad_cmd *cmd,
			       struct igrad_strip *strip)
{
	const uint32_t size = strip->by_rows ? cmd->u.array.rows : cmd->u.array.cols;
	const uint32_t n = within(strip->end, size) - within(strip->begin, size);
	const struct igrad_block part = {
		.rows = strip->by_rows ? n : cmd->u.array.rows,
		.cols = strip->by_rows ? cmd->u.array.cols : n,
		.row = strip->by_rows ? strip->begin : 0,
		.col = strip->by_rows ? 0 : strip->begin,
	};

	if (changes_weights(cmd))
		strip->turned = 0;
	if (!n)
		return;
	if (streams(cmd))
		igrad_stream_execute_strip(core, cmd, strip, n);
	else
		execute_part(core, cmd, &part);
}
