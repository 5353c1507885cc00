/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "races.h"
#include "rig.h"

#define UNIT 2u /* bytes: the smallest thing that is accessed */

/* Sets of units, SRAM's first; and the part of them that is not empty. */
struct touched {
	uint64_t *bits[2]; /* read, written */
	size_t first[2];
	size_t end[2];
};

struct races {
	uint32_t sram_bytes;
	uint64_t dram;
	uint64_t dram_bytes;
	size_t words; /* of a set of units */
	unsigned int max;
	unsigned int n;
	enum igrad_engine *engine;
	struct touched *touched;
	size_t row;	 /* words of a set of commands */
	uint64_t *meets; /* by command: which before it */
	uint64_t *after;
	struct igrad_cmd_window window;
};

static void *zeroed(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	assert_non_null(p);
	return p;
}

struct races *races_new(uint32_t sram_bytes, uint64_t dram, uint64_t dram_bytes,
			unsigned int max_cmds)
{
	struct races *races = zeroed(1, sizeof(*races));

	races->sram_bytes = sram_bytes;
	races->dram = dram;
	races->dram_bytes = dram_bytes;
	races->words = (sram_bytes + dram_bytes) / UNIT / 64 + 1;
	races->max = max_cmds;
	races->engine = zeroed(max_cmds, sizeof(*races->engine));
	races->touched = zeroed(max_cmds, sizeof(*races->touched));
	races->row = max_cmds / 64 + 1;
	races->meets = zeroed(max_cmds * races->row, sizeof(*races->meets));
	races->after = zeroed(max_cmds * races->row, sizeof(*races->after));
	return races;
}

void races_free(struct races *races)
{
	for (unsigned int i = 0; i < races->n; i++) {
		free(races->touched[i].bits[0]);
		free(races->touched[i].bits[1]);
	}
	free(races->engine);
	free(races->touched);
	free(races->meets);
	free(races->after);
	free(races);
}

/* --------------------------------------------------------------------------------------------- */
/* What a command touches */
/* --------------------------------------------------------------------------------------------- */

static void touch_unit(struct touched *t, size_t unit, bool write)
{
	const size_t word = unit / 64;

	t->bits[write][word] |= 1ull << unit % 64;
	if (t->end[write] == 0 || word < t->first[write])
		t->first[write] = word;
	if (word >= t->end[write])
		t->end[write] = word + 1;
}

/* Rows of elements of @size bytes, from @byte on in SRAM and, behind it, DRAM. */
static void touch(struct races *races, uint64_t byte, uint32_t rows, uint32_t cols, uint64_t pitch,
		  unsigned int size, bool write)
{
	struct touched *t = &races->touched[races->n];

	for (uint32_t i = 0; i < rows; i++) {
		for (uint64_t at = 0; at < (uint64_t)cols * size; at += UNIT) {
			const uint64_t unit = (byte + i * pitch + at) / UNIT;

			assert_true(unit < races->words * 64);
			touch_unit(t, unit, write);
		}
	}
}

static void touch_dma(struct races *races, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;
	const bool load = cmd->opcode == IGRAD_OP_DMA_LOAD;

	touch(races, races->sram_bytes + dma->va - races->dram, dma->rows, dma->cols, dma->pitch,
	      cmd->flags & IGRAD_FLAG_MEM_BF16 ? 2 : 4, !load);
	touch(races, dma->sram, dma->rows + dma->fill_rows, dma->cols + dma->fill_cols,
	      dma->sram_pitch, cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4, load);
}

const struct igrad_cmd_window *races_window(const struct races *races)
{
	return &races->window;
}

static void touch_tile(struct races *races, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool turned = cmd->flags & IGRAD_FLAG_TRANSPOSE;
	const bool drain = cmd->opcode == IGRAD_OP_DRAIN_ACC || cmd->opcode == IGRAD_OP_DRAIN_W;

	for (uint32_t r = 0; r < a->rows && !turned; r++)
		touch(races,
		      a->p + (cmd->flags & IGRAD_FLAG_GROUPS ? r % races->window.group_rows : r) *
				      a->p_pitch,
		      1, a->cols, 0, cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4, drain);
	if (turned)
		touch(races, a->p, a->cols, a->rows, a->p_pitch,
		      cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4, drain);
}

/* So many rows; or, if outputs walk over images, every pixel of each image that one belongs to. */
static void touch_rows(struct races *races, const struct igrad_cmd *cmd, bool images, uint32_t addr,
		       uint32_t rows, uint32_t cols, uint32_t pitch, unsigned int size, bool write)
{
	const uint32_t pixels = (uint32_t)races->window.height * races->window.width;
	const uint32_t outputs = (uint32_t)races->window.out_height * races->window.out_width;

	if (!images) {
		touch(races, addr, rows, cols, pitch, size, write);
		return;
	}
	for (uint32_t b = 0; b < rows; b++) {
		const uint32_t image = (cmd->u.array.first + b) / outputs;

		touch(races, addr + image * pixels * pitch, pixels, cols, pitch, size, write);
	}
}

static void touch_stream(struct races *races, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const unsigned int size = cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4;
	const uint32_t lanes = cmd->opcode == IGRAD_OP_FPROP ? a->cols : a->rows;
	const bool images = cmd->flags & IGRAD_FLAG_WINDOW;
	const bool scatter = cmd->flags & IGRAD_FLAG_SCATTER;
	const bool transpose = cmd->flags & IGRAD_FLAG_TRANSPOSE,
		   turn = cmd->flags & IGRAD_FLAG_TURN;
	uint32_t words = transpose ? a->batch : a->rows;

	if (cmd->flags & IGRAD_FLAG_TAPS && words > races->window.channels)
		words = races->window.channels;
	if (cmd->opcode != IGRAD_OP_DGRAD)
		touch_rows(races, cmd, images && !scatter, a->x, transpose ? a->rows : a->batch,
			   words, a->x_pitch, size, false);
	if (cmd->opcode != IGRAD_OP_FPROP)
		touch(races, a->g, a->batch, a->cols, a->g_pitch, size, false);
	if (cmd->opcode == IGRAD_OP_WGRAD)
		return;
	for (int write = cmd->flags & IGRAD_FLAG_ADD ? 0 : 1; write < 2; write++)
		touch_rows(races, cmd, images && (scatter || cmd->opcode != IGRAD_OP_FPROP), a->p,
			   turn ? lanes : a->batch, turn ? a->batch : lanes, a->p_pitch, 4, write);
}

static void touch_pool(struct races *races, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_pool *p = &cmd->u.pool;
	const uint32_t pixels = p->images * p->height * p->width * p->cols;
	const uint32_t outputs = p->images * p->out_height * p->out_width * p->cols;
	const bool max_grad = cmd->opcode == IGRAD_OP_VEC_POOL_MAX_GRAD;
	const bool grad = max_grad || cmd->opcode == IGRAD_OP_VEC_POOL_SUM_GRAD;
	const bool divide = cmd->opcode == IGRAD_OP_VEC_POOL_DIVIDE;

	touch(races, p->a, 1, grad || divide ? outputs : pixels, 0, 4, false);
	if (max_grad || cmd->flags & IGRAD_FLAG_INDEX)
		touch(races, p->b, 1, outputs, 0, 4, !grad);
	if (grad)
		touch(races, p->d, 1, pixels, 0, 4, false);
	touch(races, p->d, 1, grad ? pixels : outputs, 0, 4, true);
}

static void touch_vec(struct races *races, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_vec *v = &cmd->u.vec;
	const unsigned int size = cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4;
	const bool colsum = cmd->opcode == IGRAD_OP_VEC_COLSUM ||
			    cmd->opcode == IGRAD_OP_VEC_COLSQ ||
			    cmd->opcode == IGRAD_OP_VEC_NORM_SUMS;
	const uint32_t rows = !colsum ? v->rows : cmd->opcode == IGRAD_OP_VEC_NORM_SUMS ? 2 : 1;

	if (cmd->opcode >= IGRAD_OP_VEC_POOL_MAX) {
		touch_pool(races, cmd);
		return;
	}
	if (cmd->opcode != IGRAD_OP_VEC_FILL)
		touch(races, v->a, v->rows, v->cols, v->a_pitch, size, false);
	switch (cmd->opcode) {
	case IGRAD_OP_VEC_BIAS:
	case IGRAD_OP_VEC_COLSQ:
		touch(races, v->b, 1, v->cols, 0, size, false);
		break;
	case IGRAD_OP_VEC_DROPOUT:
		touch(races, v->b, 1, IGRAD_DROPOUT_WORDS, 0, 4, false);
		break;
	case IGRAD_OP_VEC_NORM:
		touch(races, v->imm, 4, v->cols, v->imm2, 4, false);
		break;
	case IGRAD_OP_VEC_NORM_SUMS:
		touch(races, v->b, v->rows, v->cols, v->b_pitch, 4, false);
		touch(races, v->imm, 2, v->cols, v->imm2, 4, false);
		break;
	case IGRAD_OP_VEC_NORM_GRAD:
		touch(races, v->b, v->rows, v->cols, v->b_pitch, 4, false);
		touch(races, v->imm, 5, v->cols, v->imm2, 4, false);
		break;
	case IGRAD_OP_VEC_ADD:
	case IGRAD_OP_VEC_MUL:
	case IGRAD_OP_VEC_RELU_GRAD:
	case IGRAD_OP_VEC_AXPY:
	case IGRAD_OP_VEC_SGD:
		touch(races, v->b, v->rows, v->cols, v->b_pitch, size, false);
		break;
	case IGRAD_OP_VEC_SOFTMAX_XENT:
		touch(races, v->b, v->rows, 1, v->b_pitch, 4, false);
		touch(races, v->imm2, 1, v->rows, 0, 4, true);
		break;
	case IGRAD_OP_VEC_ADAM:
		touch(races, v->imm, 1, IGRAD_ADAM_WORDS, 0, 4, false);
		for (int write = 0; write < 2; write++) {
			touch(races, v->b, v->rows, v->cols, v->b_pitch, 4, write);
			touch(races, v->imm2, v->rows, v->cols, v->b_pitch, 4, write);
		}
		touch(races, v->d, v->rows, v->cols, v->d_pitch, 4, false);
		break;
	default:
		break;
	}
	if (colsum && cmd->flags & IGRAD_FLAG_KEEP)
		touch(races, v->d, rows, v->cols, v->d_pitch, 4, false);
	touch(races, v->d, rows, v->cols, v->d_pitch, colsum ? 4 : size, true);
}

static void touch_all(struct races *races, const struct igrad_cmd *cmd)
{
	switch (cmd->opcode) {
	case IGRAD_OP_NOP:
	case IGRAD_OP_UPDATE:
	case IGRAD_OP_SCALE_ACC:
		break;
	case IGRAD_OP_WINDOW:
		races->window = cmd->u.window;
		break;
	case IGRAD_OP_DMA_LOAD:
	case IGRAD_OP_DMA_STORE:
		touch_dma(races, cmd);
		break;
	case IGRAD_OP_FPROP:
	case IGRAD_OP_DGRAD:
	case IGRAD_OP_WGRAD:
	case IGRAD_OP_INTERLEAVED:
		touch_stream(races, cmd);
		break;
	case IGRAD_OP_LOAD_W:
	case IGRAD_OP_LOAD_ACC:
	case IGRAD_OP_DRAIN_ACC:
	case IGRAD_OP_DRAIN_W:
		touch_tile(races, cmd);
		break;
	default:
		touch_vec(races, cmd);
		break;
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Which commands meet */
/* --------------------------------------------------------------------------------------------- */

static bool share(const struct touched *a, bool a_writes, const struct touched *b, bool b_writes)
{
	const size_t first = a->first[a_writes] > b->first[b_writes] ? a->first[a_writes]
								     : b->first[b_writes];
	const size_t end = a->end[a_writes] < b->end[b_writes] ? a->end[a_writes]
							       : b->end[b_writes];

	for (size_t i = first; i < end; i++) {
		if (a->bits[a_writes][i] & b->bits[b_writes][i])
			return true;
	}
	return false;
}

void races_add(struct races *races, const struct igrad_cmd *cmd)
{
	const unsigned int n = races->n;
	struct touched *t = &races->touched[n];

	assert_true(n < races->max);
	t->bits[0] = zeroed(races->words, sizeof(uint64_t));
	t->bits[1] = zeroed(races->words, sizeof(uint64_t));
	races->engine[n] = cmd_engine(cmd);
	touch_all(races, cmd);
	for (unsigned int i = 0; i < n; i++) {
		const struct touched *before = &races->touched[i];

		if (races->engine[i] != races->engine[n] &&
		    (share(before, true, t, true) || share(before, true, t, false) ||
		     share(before, false, t, true)))
			races->meets[n * races->row + i / 64] |= 1ull << i % 64;
	}
	races->n++;
}

static bool has(const struct races *races, const uint64_t *sets, unsigned int of, unsigned int i)
{
	return sets[of * races->row + i / 64] >> i % 64 & 1;
}

bool races_meet(const struct races *races, unsigned int earlier, unsigned int later)
{
	return has(races, races->meets, later, earlier);
}

bool races_ordered(const struct races *races, unsigned int earlier, unsigned int later)
{
	return has(races, races->after, later, earlier);
}

/* --------------------------------------------------------------------------------------------- */
/* Which are ordered */
/* --------------------------------------------------------------------------------------------- */

static void follow(struct races *races, unsigned int cmd, unsigned int before)
{
	uint64_t *set = &races->after[cmd * races->row];

	for (size_t i = 0; i < races->row; i++)
		set[i] |= races->after[before * races->row + i];
	set[before / 64] |= 1ull << before % 64;
}

/* The command whose signal brings the semaphore to this value. */
static unsigned int signaller(const struct igrad_cmd *cmds, uint8_t semaphore, uint32_t value)
{
	unsigned int i = 0;

	for (;; i++) {
		if (cmds[i].signal == semaphore && --value == 0)
			return i;
	}
}

/* A command follows all those of its engine, and the signallers that it waits for; and so on. */
static void order(struct races *races, const struct igrad_cmd *cmds, unsigned int n)
{
	int last[IGRAD_NUM_ENGINES] = {-1, -1, -1, -1};

	memset(&races->after[n * races->row], 0, races->row * sizeof(uint64_t));
	for (unsigned int i = 0; i < n; i++) {
		if (races->engine[i] == races->engine[n])
			last[races->engine[n]] = (int)i;
	}
	if (last[races->engine[n]] >= 0)
		follow(races, n, (unsigned int)last[races->engine[n]]);
	for (unsigned int i = 0; i < IGRAD_NUM_WAITS; i++) {
		if (cmds[n].wait_sem[i])
			follow(races, n,
			       signaller(cmds, cmds[n].wait_sem[i], cmds[n].wait_value[i]));
	}
}

bool races_find(struct races *races, const struct igrad_cmd *cmds, unsigned int n,
		unsigned int *later, unsigned int *earlier)
{
	for (unsigned int i = 0; i < n; i++) {
		order(races, cmds, i);
		for (size_t k = races->row; k-- > 0;) {
			const uint64_t race = races->meets[i * races->row + k] &
					      ~races->after[i * races->row + k];

			if (!race)
				continue;
			*later = i;
			*earlier =
				(unsigned int)(k * 64 + 63 - (unsigned int)__builtin_clzll(race));
			return true;
		}
	}
	return false;
}

/* --------------------------------------------------------------------------------------------- */
/* Streams without races */
/* --------------------------------------------------------------------------------------------- */

/* The last command of the engine that has to come before the new one, or -1. */
static int needed(const struct races *races, unsigned int n, enum igrad_engine engine)
{
	for (unsigned int i = n; i-- > 0;) {
		if (races->engine[i] == engine && races_meet(races, i, n))
			return (int)i;
	}
	return -1;
}

/* Its own semaphores, seven an engine. */
static uint8_t any_semaphore(enum igrad_engine engine, struct rng *rng)
{
	return (uint8_t)(1 + engine * 7 + rng_below(rng, 7));
}

static uint32_t value_after(const struct igrad_cmd *cmds, unsigned int cmd)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i <= cmd; i++)
		value += cmds[i].signal == cmds[cmd].signal;
	return value;
}

/* Wait for a command of @engine from @from on: any that signals; the last can be made to. */
static void wait_for(const struct races *races, struct igrad_cmd *cmds, unsigned int n,
		     struct igrad_cmd *cmd, unsigned int slot, enum igrad_engine engine,
		     unsigned int from, struct rng *rng)
{
	unsigned int last = n, choices = 0, chosen = n;

	for (unsigned int i = from; i < n; i++) {
		if (races->engine[i] != engine)
			continue;
		last = i;
		if (cmds[i].signal && rng_below(rng, ++choices) == 0)
			chosen = i;
	}
	if (last == n)
		return;
	if (chosen == n) {
		chosen = last;
		cmds[last].signal = any_semaphore(engine, rng);
	}
	cmd_wait(cmd, slot, cmds[chosen].signal, value_after(cmds, chosen));
}

void races_emit(struct races *races, struct igrad_cmd *cmds, unsigned int *n, struct igrad_cmd cmd,
		struct rng *rng, unsigned int more)
{
	const enum igrad_engine own = cmd_engine(&cmd);
	unsigned int slot = 0;

	races_add(races, &cmd);
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		const int from = needed(races, *n, (enum igrad_engine)e);

		if (e == own)
			continue;
		if (from >= 0)
			wait_for(races, cmds, *n, &cmd, slot, (enum igrad_engine)e,
				 (unsigned int)from, rng);
		else if (rng_below(rng, 8) < more)
			wait_for(races, cmds, *n, &cmd, slot, (enum igrad_engine)e, 0, rng);
		slot++;
	}
	if (rng_below(rng, 8) < more)
		cmd.signal = any_semaphore(own, rng);
	cmds[(*n)++] = cmd;
}
