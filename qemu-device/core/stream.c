/* SPDX-License-Identifier: MIT */
/*
 * Streams through the array: fprop, dgrad, wgrad, interleaved. What PEs would do one fused
 * multiply-add after the other are matrix products with sums in the same order, a chunk of batch
 * rows at a time. Operands that are bf16, or lie the wrong way round, are staged as fp32 first, and
 * so is everything that a windowed stream wants: then a chunk is of valid rows only.
 */
#include <sched.h>

#include "gather.h"
#include "internal.h"

/* Below so many multiply-adds a product is done sooner by one thread. */
#define SPLIT_MACS (1u << 17)

/* x or g of a chunk, or psums that are staged: rows of words, @row words apart, in SRAM or staged.
 */
struct operand {
	bool used;
	bool bf16;
	bool turned;  /* rows are lanes and words are batch rows, not the other way round */
	bool turn;    /* while it is staged */
	bool image;   /* rows are pixels */
	float *stage; /* or NULL: used where it is */
	size_t stage_row;
	uint8_t *sram; /* of the first batch row of the chunk; windowed, of the stream */
	size_t pitch;
	uint32_t lanes;
	const float *words;
	size_t row;
};

struct stream {
	struct igrad_core *core;
	const struct igrad_cmd *cmd;
	uint32_t lane;	    /* row of the array that is the first of the command's */
	uint32_t tile_rows; /* that have weights */
	bool add;	    /* to p */
	bool keep;
	uint32_t first; /* batch row of the chunk */
	uint32_t count;
	uint32_t batch_share; /* batch rows that a part does */
	uint32_t acc_share;   /* rows of acc, likewise */
	unsigned int batch_parts;
	struct operand x;
	struct operand g;
	struct operand p; /* windowed only */
	float *psums;	  /* of the chunk's first row */
	size_t psum_row;
	const float *w; /* as the product wants it: its rows the sum's terms */
	size_t w_row;
	_Atomic bool w_ready;

	/* windowed: the valid rows of the chunk, and those to come */
	bool windowed;
	struct igrad_walk walk;
	struct igrad_run *runs;
};

static bool is(const struct stream *s, enum igrad_opcode opcode)
{
	return s->cmd->opcode == opcode ||
	       (s->cmd->opcode == IGRAD_OP_INTERLEAVED && opcode != IGRAD_OP_FPROP);
}

/* --------------------------------------------------------------------------------------------- */
/* Operands */
/* --------------------------------------------------------------------------------------------- */

static struct operand operand_of(struct igrad_core *core, const struct igrad_cmd *cmd,
				 uint32_t addr, uint32_t pitch, uint32_t lanes)
{
	return (struct operand){
		.used = true,
		.bf16 = cmd->flags & IGRAD_FLAG_BF16,
		.sram = core->sram.bytes + addr,
		.pitch = pitch,
		.lanes = lanes,
	};
}

/* Rows an odd number of cache lines apart do not crowd into a few sets. */
static void use_stage(struct operand *o, float *stage)
{
	o->stage = stage;
	o->stage_row = ((o->turned ? IGRAD_CHUNK : o->lanes) + 15) / 16 * 16 | 16;
}

/* What the products see of the chunk from batch row @first on. */
static void place_operand(struct operand *o)
{
	o->words = o->stage ? o->stage : (const float *)(const void *)o->sram;
	o->row = o->stage ? o->stage_row : o->pitch / sizeof(float);
}

/* The chunk after this one. */
static void advance(struct operand *o, uint32_t count)
{
	const size_t word = o->bf16 ? 2 : 4;

	o->sram += o->turned && !o->turn ? count * word : count * o->pitch;
}

/* Of rows as they lie in SRAM, @n words from @first on. */
static void copy_words(const struct operand *o, const struct igrad_kernels *kernels, float *d,
		       size_t d_row, size_t row, size_t rows, size_t first, size_t n)
{
	const uint8_t *from = o->sram + row * o->pitch;

	if (!o->bf16) {
		kernels->copy(d, d_row, (const float *)(const void *)from + first,
			      o->pitch / sizeof(float), rows, n);
		return;
	}
	for (size_t i = 0; i < rows; i++, d += d_row, from += o->pitch)
		kernels->widen(d, (const uint16_t *)(const void *)from + first, n);
}

/* Batch rows @begin … @end - 1, as lanes of the staged copy. */
static void stage_turning(const struct operand *o, const struct igrad_kernels *kernels,
			  uint32_t begin, uint32_t end)
{
	float rows[16 * IGRAD_STAGE_ROW];

	for (uint32_t b = begin; b < end; b += 16) {
		const uint32_t n = end - b < 16 ? end - b : 16;

		copy_words(o, kernels, rows, IGRAD_STAGE_ROW, b, n, 0, o->lanes);
		kernels->transpose(o->stage + b, o->stage_row, rows, IGRAD_STAGE_ROW, n, o->lanes);
	}
}

static struct igrad_gather rows_of(const struct stream *s, const struct operand *o)
{
	return (struct igrad_gather){
		.runs = s->runs,
		.sram = o->sram,
		.pitch = o->pitch,
		.stride = o->image ? s->walk.window->stride_x : 0,
		.bf16 = o->bf16,
		.words = o->lanes,
		.stage = o->stage,
		.stage_row = o->stage_row,
	};
}

static void stage(const struct stream *s, const struct operand *o, uint32_t begin, uint32_t end)
{
	const struct igrad_kernels *kernels = s->core->kernels;

	if (!o->stage)
		return;
	if (s->windowed) {
		const struct igrad_gather rows = rows_of(s, o);

		igrad_gather(&rows, kernels, begin, end);
		return;
	}
	if (o->turn) {
		stage_turning(o, kernels, begin, end);
		return;
	}
	if (o->turned)
		copy_words(o, kernels, o->stage + begin, o->stage_row, 0, o->lanes, begin,
			   end - begin);
	else
		copy_words(o, kernels, o->stage + begin * o->stage_row, o->stage_row, begin,
			   end - begin, 0, o->lanes);
}

/* --------------------------------------------------------------------------------------------- */
/* Products, of the batch rows from @begin on, or of rows of acc */
/* --------------------------------------------------------------------------------------------- */

/* The psums of a turned fprop are rows of p: the product is wᵀ·xᵀ, and fma(w, x, s) fma(x, w, s).
 */
static struct igrad_tile fprop_turned(const struct stream *s, uint32_t begin, uint32_t end)
{
	const struct igrad_cmd_array *a = &s->cmd->u.array;

	return (struct igrad_tile){
		.m = a->cols,
		.n = end - begin,
		.k = a->rows,
		.a = s->w,
		.a_row = 1,
		.a_step = s->w_row,
		.b = s->x.words + begin,
		.b_row = s->x.row,
		.c = s->psums + begin,
		.c_row = s->psum_row,
		.add = s->add,
	};
}

static struct igrad_tile fprop(const struct stream *s, uint32_t begin, uint32_t end)
{
	const struct igrad_cmd_array *a = &s->cmd->u.array;

	return (struct igrad_tile){
		.m = end - begin,
		.n = a->cols,
		.k = a->rows,
		.a = s->x.words + begin * (s->x.turned ? 1 : s->x.row),
		.a_row = s->x.turned ? 1 : s->x.row,
		.a_step = s->x.turned ? s->x.row : 1,
		.b = s->w,
		.b_row = s->w_row,
		.c = s->psums + begin * s->psum_row,
		.c_row = s->psum_row,
		.add = s->add,
	};
}

static struct igrad_tile dgrad(const struct stream *s, uint32_t begin, uint32_t end)
{
	const struct igrad_cmd_array *a = &s->cmd->u.array;

	return (struct igrad_tile){
		.m = end - begin,
		.n = a->rows,
		.k = a->cols,
		.a = s->g.words + begin * s->g.row,
		.a_row = s->g.row,
		.a_step = 1,
		.b = s->w,
		.b_row = s->w_row,
		.c = s->psums + begin * s->psum_row,
		.c_row = s->psum_row,
		.add = s->add,
	};
}

static struct igrad_tile wgrad(const struct stream *s, uint32_t begin, uint32_t end)
{
	return (struct igrad_tile){
		.m = end - begin,
		.n = s->cmd->u.array.cols,
		.k = s->count,
		.a = s->x.words + begin,
		.a_row = 1,
		.a_step = s->x.row,
		.b = s->g.words,
		.b_row = s->g.row,
		.c = s->core->array.acc + (s->lane + begin) * s->core->array.stride,
		.c_row = s->core->array.stride,
		.add = s->keep || s->first,
	};
}

/* --------------------------------------------------------------------------------------------- */
/* Groups: products of parts of the operands */
/* --------------------------------------------------------------------------------------------- */

/* From the batch's to a group's: sums over @k of the terms, for @n of the lanes. */
static void multiply_group(const struct stream *s, struct igrad_tile tile, uint32_t first_k,
			   uint32_t k, uint32_t first_n, uint32_t n)
{
	tile.a += first_k * tile.a_step;
	tile.b += first_k * tile.b_row + first_n;
	tile.c += first_n;
	tile.k = k;
	tile.n = n;
	s->core->kernels->tile(&tile);
}

/* Lanes of no group: nothing is added to their psums. */
static void clear_psums(const struct igrad_tile *tile, uint32_t first)
{
	for (size_t i = 0; i < tile->m && !tile->add && first < tile->n; i++)
		memset(tile->c + i * tile->c_row + first, 0, (tile->n - first) * sizeof(float));
}

static void multiply_psums(const struct stream *s, const struct igrad_tile *tile)
{
	const struct igrad_cmd_window *window = &s->core->array.window;
	const uint32_t n = igrad_num_blocks(window, s->cmd);
	uint32_t end = 0;

	if (!(s->cmd->flags & IGRAD_FLAG_GROUPS)) {
		s->core->kernels->tile(tile);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(window, s->cmd, i);

		if (s->cmd->opcode == IGRAD_OP_FPROP) {
			multiply_group(s, *tile, block.row, block.rows, block.col, block.cols);
			end = block.col + block.cols;
		} else {
			multiply_group(s, *tile, block.col, block.cols, block.row, block.rows);
			end = block.row + block.rows;
		}
	}
	clear_psums(tile, end);
}

/* Rows @begin … @end - 1 of acc, as far as groups have a part in them. */
static void multiply_acc(const struct stream *s, uint32_t begin, uint32_t end)
{
	const struct igrad_cmd_window *window = &s->core->array.window;
	const uint32_t n = igrad_num_blocks(window, s->cmd);

	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(window, s->cmd, i);
		const uint32_t from = block.row > begin ? block.row : begin;
		const uint32_t to = block.row + block.rows < end ? block.row + block.rows : end;

		if (from < to)
			multiply_group(s, wgrad(s, from, to), 0, s->count, block.col, block.cols);
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Parts: batch rows are staged and make psums; then, all being staged, rows of acc */
/* --------------------------------------------------------------------------------------------- */

static uint32_t end_of(uint32_t begin, uint32_t share, uint32_t whole)
{
	return whole - begin < share ? whole : begin + share;
}

static bool cancelled(const struct stream *s)
{
	return atomic_load_explicit(&s->core->cancelled, memory_order_relaxed);
}

/* While others may have begun with what needs no weights. */
static void make_weights(void *context)
{
	struct stream *s = context;
	const struct igrad_cmd_array *a = &s->cmd->u.array;

	if (s->cmd->opcode == IGRAD_OP_WGRAD || atomic_load(&s->w_ready))
		return;
	s->w = igrad_array_weights(s->core, s->cmd->flags & IGRAD_FLAG_BF16,
				   s->cmd->opcode != IGRAD_OP_FPROP, s->tile_rows, a->cols,
				   &s->w_row);
	s->w += s->lane * s->w_row;
	atomic_store(&s->w_ready, true);
}

static void make_psums(const struct stream *s, uint32_t begin, uint32_t end)
{
	struct igrad_tile tile;

	while (!atomic_load(&s->w_ready))
		sched_yield();
	if (is(s, IGRAD_OP_DGRAD))
		tile = dgrad(s, begin, end);
	else if (s->cmd->flags & IGRAD_FLAG_TURN)
		tile = fprop_turned(s, begin, end);
	else
		tile = fprop(s, begin, end);
	multiply_psums(s, &tile);
}

static void batch_part(void *context, unsigned int part)
{
	const struct stream *s = context;
	const uint32_t begin = part * s->batch_share;
	const uint32_t end = end_of(begin, s->batch_share, s->count);

	if (cancelled(s))
		return;
	stage(s, &s->x, begin, end);
	stage(s, &s->g, begin, end);
	if (s->add)
		stage(s, &s->p, begin, end);
	if (s->cmd->opcode != IGRAD_OP_WGRAD)
		make_psums(s, begin, end);
	if (s->p.stage) {
		const struct igrad_gather rows = rows_of(s, &s->p);

		igrad_scatter(&rows, s->core->kernels, begin, end);
	}
}

static void acc_part(void *context, unsigned int part)
{
	const struct stream *s = context;
	const uint32_t begin = part * s->acc_share;

	if (!cancelled(s))
		multiply_acc(s, begin, end_of(begin, s->acc_share, s->cmd->u.array.rows));
}

static void any_part(void *context, unsigned int part)
{
	const struct stream *s = context;

	if (part < s->batch_parts)
		batch_part(context, part);
	else
		acc_part(context, part - s->batch_parts);
}

/* One part for each thread, of fours of rows; more of them even out what else the host does. */
static uint32_t share_of(const struct stream *s, uint32_t whole)
{
	const struct igrad_cmd_array *a = &s->cmd->u.array;
	const uint64_t macs = (uint64_t)a->rows * a->cols * s->count;
	const unsigned int threads = igrad_pool_threads(s->core->pool);
	const unsigned int most = threads == 1 ? 1 : 4 * threads;
	uint64_t parts = macs / SPLIT_MACS;

	parts = parts > most ? most : parts ? parts : 1;
	return (uint32_t)((whole + parts - 1) / parts + 3) & ~3u;
}

static void place_psums(struct stream *s)
{
	const struct igrad_cmd_array *a = &s->cmd->u.array;

	if (s->p.stage) {
		s->psums = s->p.stage;
		s->psum_row = s->p.stage_row;
		return;
	}
	s->psum_row = a->p_pitch / sizeof(float);
	s->psums = igrad_words(s->core, a->p) +
		   s->first * (s->cmd->flags & IGRAD_FLAG_TURN ? 1 : s->psum_row);
}

/* Without staging, psums and acc have nothing to wait for in each other. */
static void run_chunk(struct stream *s)
{
	const uint32_t rows = s->cmd->u.array.rows;
	struct igrad_pool *pool = s->core->pool;
	const bool staged = s->x.stage || s->g.stage;
	unsigned int acc_parts = 0;

	place_operand(&s->x);
	place_operand(&s->g);
	place_psums(s);
	s->batch_share = share_of(s, s->count);
	s->batch_parts = (s->count + s->batch_share - 1) / s->batch_share;
	if (s->cmd->opcode == IGRAD_OP_WGRAD && !staged)
		s->batch_parts = 0;
	s->acc_share = share_of(s, rows);
	if (is(s, IGRAD_OP_WGRAD))
		acc_parts = (rows + s->acc_share - 1) / s->acc_share;
	if (staged) {
		igrad_pool_run(pool, s->batch_parts, make_weights, batch_part, s);
		igrad_pool_run(pool, acc_parts, NULL, acc_part, s);
	} else {
		igrad_pool_run(pool, s->batch_parts + acc_parts, make_weights, any_part, s);
	}
}

static struct stream stream_of(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	struct igrad_array *array = &core->array;
	struct stream s = {
		.core = core,
		.cmd = cmd,
		.tile_rows = a->rows,
		.add = cmd->flags & IGRAD_FLAG_ADD,
		.keep = cmd->flags & IGRAD_FLAG_KEEP,
	};

	if (cmd->opcode != IGRAD_OP_DGRAD)
		s.x = operand_of(core, cmd, a->x, a->x_pitch, a->rows);
	if (cmd->opcode != IGRAD_OP_FPROP)
		s.g = operand_of(core, cmd, a->g, a->g_pitch, a->cols);
	s.x.turned = cmd->flags & (IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TURN);
	s.x.turn = s.x.turned && !(cmd->flags & IGRAD_FLAG_TRANSPOSE);
	if (s.x.used && (s.x.bf16 || s.x.turn))
		use_stage(&s.x, array->stage_x);
	if (s.g.used && s.g.bf16)
		use_stage(&s.g, array->stage_g);
	return s;
}

/* --------------------------------------------------------------------------------------------- */
/* Windows */
/* --------------------------------------------------------------------------------------------- */

static void stage_windowed(struct stream *s)
{
	const struct igrad_cmd_array *a = &s->cmd->u.array;
	struct igrad_array *array = &s->core->array;
	const bool fprop = s->cmd->opcode == IGRAD_OP_FPROP;

	if (s->x.used)
		use_stage(&s->x, array->stage_x);
	if (s->g.used)
		use_stage(&s->g, array->stage_g);
	s->x.image = !(s->cmd->flags & IGRAD_FLAG_SCATTER);
	if (s->cmd->opcode == IGRAD_OP_WGRAD)
		return;
	s->p = operand_of(s->core, s->cmd, a->p, a->p_pitch, fprop ? a->cols : a->rows);
	s->p.bf16 = false;
	s->p.image = igrad_window_psums(s->cmd);
	use_stage(&s->p, array->stage_p);
}

/* What is there also when nothing is valid: psums of fprop, and sums in acc. */
static void begin_sums(struct stream *s, uint32_t valid)
{
	const struct igrad_cmd_array *a = &s->cmd->u.array;

	if (is(s, IGRAD_OP_WGRAD) && !s->keep && !valid)
		igrad_array_clear_acc(s->core, s->cmd, s->lane);
	if (igrad_window_psums(s->cmd) || s->add || valid == a->batch)
		return;
	for (size_t b = 0; b < a->batch; b++)
		memset(s->p.sram + b * s->p.pitch, 0, a->cols * sizeof(float));
}

static uint32_t take_chunk(struct stream *s)
{
	uint32_t count = 0;

	for (struct igrad_run *run = s->runs;
	     count < IGRAD_CHUNK && igrad_walk_next(&s->walk, IGRAD_CHUNK - count, run); run++)
		count += run->count;
	return count;
}

static void execute_rows(struct stream *s)
{
	const struct igrad_cmd_window *window = &s->core->array.window;

	s->windowed = true;
	s->runs = s->core->array.runs;
	stage_windowed(s);
	begin_sums(s, igrad_window_valid(window, s->cmd));
	igrad_walk_begin(&s->walk, window, s->cmd);
	while (!cancelled(s)) {
		s->count = take_chunk(s);
		if (!s->count)
			return;
		run_chunk(s);
		s->first += s->count;
	}
}

static void execute_plain(struct stream *s)
{
	const uint32_t batch = s->cmd->u.array.batch;

	for (;;) {
		s->count = batch - s->first < IGRAD_CHUNK ? batch - s->first : IGRAD_CHUNK;
		run_chunk(s);
		s->first += s->count;
		if (s->first == batch || cancelled(s))
			return;
		advance(&s->x, s->count);
		advance(&s->g, s->count);
	}
}

/* Lanes that follow each other at a distance are rows of a matrix as any other. */
static struct igrad_cmd cmd_of_run(const struct igrad_cmd_window *window,
				   const struct igrad_cmd *cmd, const struct igrad_run *run)
{
	struct igrad_cmd part = *cmd;
	struct igrad_cmd_array *a = &part.u.array;

	part.flags &= (uint16_t)~IGRAD_FLAG_WINDOW;
	a->rows = (uint16_t)run->count;
	a->x += (uint32_t)run->pixel * a->x_pitch;
	a->x_pitch *= window->stride_x;
	a->tap = a->first = 0;
	return part;
}

static void clear_psums_of(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool turn = cmd->flags & IGRAD_FLAG_TURN;
	const size_t rows = turn ? a->cols : a->batch, words = turn ? a->batch : a->cols;

	for (size_t i = 0; i < rows; i++)
		memset(core->sram.bytes + a->p + i * a->p_pitch, 0, words * sizeof(float));
}

static void execute_lanes(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_window *window = &core->array.window;
	bool add = cmd->flags & IGRAD_FLAG_ADD;
	struct igrad_walk walk;
	struct igrad_run run;

	igrad_walk_begin(&walk, window, cmd);
	while (igrad_walk_next(&walk, UINT32_MAX, &run)) {
		const struct igrad_cmd part = cmd_of_run(window, cmd, &run);
		struct stream s = stream_of(core, &part);

		s.lane = run.row;
		s.tile_rows = cmd->u.array.rows;
		s.add = add;
		execute_plain(&s);
		if (cancelled(&s))
			return;
		add = true;
	}
	if (!add)
		clear_psums_of(core, cmd);
}

/* Position after position: to the same psums each adds what those before it have left. */
static void execute_positions(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_window *window = &core->array.window;
	const uint32_t n = igrad_num_positions(window, cmd);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t row;
		const struct igrad_cmd part = igrad_position(window, cmd, i, &row);
		struct stream s = stream_of(core, &part);

		if (igrad_window_lanes(&part)) {
			execute_lanes(core, &part);
			continue;
		}
		s.lane = row;
		s.tile_rows = cmd->u.array.rows;
		s.add |= cmd->opcode == IGRAD_OP_FPROP && i;
		execute_rows(&s);
	}
}

void igrad_stream_execute(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	struct stream s;

	if (cmd->flags & IGRAD_FLAG_TAPS) {
		execute_positions(core, cmd);
	} else if (igrad_window_lanes(cmd)) {
		execute_lanes(core, cmd);
	} else {
		s = stream_of(core, cmd);
		(cmd->flags & IGRAD_FLAG_WINDOW ? execute_rows : execute_plain)(&s);
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Strips: @n rows or columns of the tile, for which nothing is staged */
/* --------------------------------------------------------------------------------------------- */

static void columns(const struct igrad_core *core, struct igrad_tile tile, uint32_t first,
		    uint32_t n)
{
	tile.n = n;
	tile.b += first;
	tile.c += first;
	core->kernels->tile(&tile);
}

static void run_strip(struct stream *s, struct igrad_strip *strip, uint32_t n)
{
	const struct igrad_core *core = s->core;
	const uint32_t first = strip->begin;

	if (s->cmd->opcode == IGRAD_OP_FPROP)
		columns(core, fprop(s, 0, s->count), first, n);
	if (is(s, IGRAD_OP_DGRAD))
		columns(core, dgrad(s, 0, s->count), first, n);
	if (is(s, IGRAD_OP_WGRAD)) {
		const struct igrad_tile rows = wgrad(s, first, first + n);

		if (strip->by_rows)
			core->kernels->tile(&rows);
		else
			columns(core, wgrad(s, 0, s->cmd->u.array.rows), first, n);
	}
}

void igrad_stream_execute_strip(struct igrad_core *core, const struct igrad_cmd *cmd,
				struct igrad_strip *strip, uint32_t n)
{
	const uint32_t batch = cmd->u.array.batch;
	struct stream s = stream_of(core, cmd);

	s.w = core->array.w;
	s.w_row = core->array.stride;
	if (is(&s, IGRAD_OP_DGRAD)) {
		s.w = igrad_array_turned(core, strip, cmd->u.array.cols) - strip->begin;
		s.w_row = core->array.t_stride;
	}
	for (; s.first < batch && !cancelled(&s); s.first += s.count) {
		s.count = batch - s.first < IGRAD_CHUNK ? batch - s.first : IGRAD_CHUNK;
		place_operand(&s.x);
		place_operand(&s.g);
		place_psums(&s);
		run_strip(&s, strip, n);
		advance(&s.x, s.count);
		advance(&s.g, s.count);
	}
}
