/* SPDX-License-Identifier: MIT */
/*
 * When do commands start on the array with shadow registers? Every one is tried cycle after cycle
 * until it fits: no PE, wire, register or port is used twice in a cycle, and no word of SRAM is met
 * out of order. What is used when is written down PE by PE; nothing here adds up a duration.
 */
#include <stdlib.h>
#include <string.h>

#include "reference.h"

enum part {
	PART_WAVE,     /* the PE's cycle */
	PART_SHADOW_W, /* registers */
	PART_SHADOW_ACC,
	PART_CAPTURE,	 /* from acc or w into the shadow: not while that holds a word for later */
	PART_LOAD_WIRE,	 /* from the north, into the PE */
	PART_SOUTH_WIRE, /* the same: psums of fprop, drained and reloaded tiles */
	NUM_PARTS
};

#define NEVER	 (-1)
#define TOO_LONG 10000000

struct ref_overlap {
	struct ref_config config;
	unsigned int num_parts; /* of all PEs, and a port of SRAM below each column */
	uint8_t **used;		/* by cycle, by part */
	int64_t num_cycles;
	int64_t *written; /* each half word of SRAM: in which cycle last? */
	int64_t *read;
	struct ref_walked *walked; /* images: not in what is above */

	/* waves enter PE(0,0) in program order */
	int64_t next_wave;
	int64_t swaps; /* the latest swap of a loaded tile: nothing overtakes it */
	/* loads begin in program order, none before the stream that precedes it */
	int64_t next_load;
};

struct trial {
	struct ref_overlap *o;
	struct ref_walked *walked;
	const struct ref_op *op;
	const struct igrad_cmd *cmd;
	int64_t start;
	int64_t swap;
	bool take; /* else only look */
	bool fits;
	int64_t end;
	unsigned int *per_cycle; /* words moved, since @start; of loads and drains */
};

struct ref_overlap *ref_overlap_new(const struct ref_config *config)
{
	struct ref_overlap *o = ref_zeroed(1, sizeof(*o));

	o->config = *config;
	o->num_parts = (config->rows * NUM_PARTS + 1) * config->cols;
	o->written = ref_zeroed(config->sram_bytes / 2, sizeof(*o->written));
	o->read = ref_zeroed(config->sram_bytes / 2, sizeof(*o->read));
	for (size_t i = 0; i < config->sram_bytes / 2; i++)
		o->written[i] = o->read[i] = NEVER;
	return o;
}

void ref_overlap_free(struct ref_overlap *o)
{
	for (int64_t t = 0; t < o->num_cycles; t++)
		free(o->used[t]);
	free(o->used);
	free(o->written);
	free(o->read);
	ref_walked_free(o->walked);
	free(o);
}

/* --------------------------------------------------------------------------------------------- */
/* What a command uses */
/* --------------------------------------------------------------------------------------------- */

static void grow(struct ref_overlap *o, int64_t cycle)
{
	const int64_t more = cycle + 256;

	if (cycle < o->num_cycles)
		return;
	o->used = realloc(o->used, (size_t)more * sizeof(*o->used));
	if (!o->used)
		ref_impossible("out of memory");
	for (int64_t t = o->num_cycles; t < more; t++)
		o->used[t] = NULL;
	o->num_cycles = more;
}

static void use_part(struct trial *t, unsigned int part, int64_t cycle)
{
	struct ref_overlap *o = t->o;

	if (!t->take) {
		if (cycle < o->num_cycles && o->used[cycle] && o->used[cycle][part])
			t->fits = false;
		return;
	}
	grow(o, cycle);
	if (!o->used[cycle])
		o->used[cycle] = ref_zeroed(o->num_parts, 1);
	if (o->used[cycle][part])
		ref_impossible("a part is used twice");
	o->used[cycle][part] = 1;
}

static void use_pe(struct trial *t, enum part part, unsigned int r, unsigned int c, int64_t cycle)
{
	use_part(t, (r * t->o->config.cols + c) * NUM_PARTS + part, cycle);
	if ((part == PART_WAVE || part >= PART_LOAD_WIRE) && t->end <= cycle)
		t->end = cycle + 1;
}

static void use_port(struct trial *t, unsigned int c, int64_t cycle)
{
	use_part(t, t->o->config.rows * t->o->config.cols * NUM_PARTS + c, cycle);
	if (t->end <= cycle)
		t->end = cycle + 1;
}

/* A value that leaves row r southwards. */
static void use_south_of(struct trial *t, unsigned int r, unsigned int c, int64_t cycle)
{
	if (r + 1 < t->o->config.rows)
		use_pe(t, PART_SOUTH_WIRE, r + 1, c, cycle);
	else
		use_port(t, c, cycle);
}

static bool reads_before(const struct igrad_cmd *cmd)
{
	return cmd->opcode != IGRAD_OP_DRAIN_ACC && cmd->opcode != IGRAD_OP_DRAIN_W;
}

/* After all that was no image. */
static bool comes_behind(void *opaque, uint32_t addr, bool write, int64_t cycle)
{
	const struct ref_overlap *o = opaque;

	return cycle > o->written[addr / 2] && (!write || cycle >= o->read[addr / 2]);
}

static void touch_half(struct trial *t, uint32_t addr, bool write, int64_t cycle)
{
	int64_t *written = &t->o->written[addr / 2], *read = &t->o->read[addr / 2];

	if (!t->take) {
		if (!comes_behind(t->o, addr, write, cycle) ||
		    !ref_walked_allows(t->o->walked, addr, write, cycle))
			t->fits = false;
	} else if (write) {
		*written = cycle > *written ? cycle : *written;
	} else {
		*read = cycle > *read ? cycle : *read;
	}
}

/* A word of @size bytes. */
static void touch(struct trial *t, uint32_t addr, unsigned int size, bool write, int64_t cycle)
{
	for (unsigned int byte = 0; byte < size; byte += 2)
		touch_half(t, addr + byte, write, cycle);
}

/* Wave i of a stream or an update at PE(r,c). */
static void wave_at(struct trial *t, unsigned int r, unsigned int c, unsigned int i)
{
	const int64_t now = t->start + i + r + c;

	use_pe(t, PART_WAVE, r, c, now);
	if (t->cmd->opcode != IGRAD_OP_FPROP)
		return;
	use_pe(t, PART_SOUTH_WIRE, r, c, now);
	if (r + 1 == t->o->config.rows)
		use_port(t, c, now);
}

/* The words that batch row b needs and leaves, at the edges; lane l is l cycles late. */
static void words_of_row(struct trial *t, uint32_t b, int64_t wave)
{
	const struct igrad_cmd_array *a = &t->cmd->u.array;
	const uint8_t opcode = t->cmd->opcode;
	const bool south = opcode == IGRAD_OP_FPROP;
	const bool images = t->cmd->flags & IGRAD_FLAG_WINDOW;
	const bool scatter = t->cmd->flags & IGRAD_FLAG_SCATTER;
	const unsigned int size = ref_word_size(t->cmd);
	const unsigned int lanes = south ? a->cols : a->rows;
	const unsigned int through = south ? t->o->config.rows : t->o->config.cols;

	for (unsigned int r = 0; r < a->rows && opcode != IGRAD_OP_DGRAD && (!images || scatter);
	     r++)
		touch(t, ref_x_at(t->op, b, r), size, false,
		      wave + (opcode == IGRAD_OP_INTERLEAVED ? 1 : 0) + r);
	for (unsigned int c = 0; c < a->cols && !south; c++)
		touch(t, a->g + b * a->g_pitch + c * size, size, false, wave + c);
	if (opcode == IGRAD_OP_WGRAD || (images && (!south || scatter)))
		return;
	for (unsigned int l = 0; l < lanes; l++) {
		const uint32_t psum = ref_psum_at(t->op, b, l);

		if (t->cmd->flags & IGRAD_FLAG_ADD)
			touch(t, psum, 4, false, wave + l);
		touch(t, psum, 4, true, wave + l + through - 1);
	}
}

uint32_t ref_waves(const struct igrad_cmd *cmd)
{
	switch (cmd->opcode) {
	case IGRAD_OP_UPDATE:
		return cmd->flags & IGRAD_FLAG_DECAY ? 2 : 1;
	case IGRAD_OP_SCALE_ACC:
		return 1;
	case IGRAD_OP_INTERLEAVED:
		return 2 * cmd->u.array.batch;
	case IGRAD_OP_FPROP:
	case IGRAD_OP_DGRAD:
	case IGRAD_OP_WGRAD:
		return cmd->u.array.batch;
	default:
		return 0;
	}
}

static void try_waves(struct trial *t)
{
	const uint32_t waves = ref_waves(t->cmd);
	const unsigned int pitch = t->cmd->opcode == IGRAD_OP_INTERLEAVED ? 2 : 1;

	for (unsigned int i = 0; t->fits && i < waves; i++) {
		for (unsigned int r = 0; r < t->o->config.rows; r++) {
			for (unsigned int c = 0; c < t->o->config.cols; c++)
				wave_at(t, r, c, i);
		}
	}
	for (uint32_t b = 0; t->fits && b < t->cmd->u.array.batch; b++)
		words_of_row(t, b, t->start + (int64_t)b * pitch);
}

static void move_word(struct trial *t, unsigned int r, unsigned int c, int64_t cycle)
{
	const struct igrad_cmd_array *a = &t->cmd->u.array;

	if (r >= a->rows || c >= a->cols)
		return;
	if (!(t->cmd->flags & IGRAD_FLAG_GROUPS))
		touch(t, ref_tile_at(t->op, r, c), ref_word_size(t->cmd), !reads_before(t->cmd),
		      cycle);
	if (t->take)
		t->per_cycle[cycle - t->start]++;
}

/*
 * All words of groups, whether PEs take part or not: for what came before from the cycle of the
 * tile's first, for what comes behind to that of its last. @cycle: of word (0,0)
 */
static void touch_groups(struct trial *t, int64_t cycle)
{
	const struct igrad_cmd_array *a = &t->cmd->u.array;

	if (!(t->cmd->flags & IGRAD_FLAG_GROUPS))
		return;
	cycle += t->take ? a->cols - 1 : 1 - a->rows;
	for (unsigned int r = 0; r < a->rows && r < t->op->window->group_rows; r++) {
		for (unsigned int c = 0; c < a->cols; c++)
			touch(t, ref_tile_at(t->op, r, c), ref_word_size(t->cmd),
			      !reads_before(t->cmd), cycle);
	}
}

/* A wire or register of PE(r,c) from one cycle to another, both included. */
static void use_from(struct trial *t, enum part part, unsigned int r, unsigned int c, int64_t from,
		     int64_t to)
{
	for (int64_t cycle = from; t->fits && cycle <= to; cycle++)
		use_pe(t, part, r, c, cycle);
}

/*
 * Column c's words enter from cycle c on, the last row first, and each goes south a row a cycle.
 * All are in place together. The register holds a word from the cycle after it came until the swap.
 */
static void try_load(struct trial *t, enum part wire, enum part shadow)
{
	const unsigned int rows = t->o->config.rows, cols = t->o->config.cols;

	touch_groups(t, t->start + rows - 1);
	for (unsigned int c = 0; t->fits && c < cols; c++) {
		const int64_t first = t->start + c, last = first + rows - 1;

		for (unsigned int r = 0; r < rows; r++) {
			use_from(t, wire, r, c, first + r, last);
			use_from(t, shadow, r, c, first + r + 1, t->swap + r + c);
			if (shadow == PART_SHADOW_ACC)
				use_from(t, PART_CAPTURE, r, c, first + r + 1, t->swap + r + c - 1);
			move_word(t, r, c, last - r);
		}
	}
}

/*
 * A PE's register is captured on the wave. When the column's last row has it, the column shifts:
 * row r passes on its own word and those of the r rows above.
 */
static void try_drain(struct trial *t)
{
	const unsigned int rows = t->o->config.rows, cols = t->o->config.cols;

	touch_groups(t, t->start + 2 * (rows - 1));
	for (unsigned int c = 0; t->fits && c < cols; c++) {
		const int64_t shift = t->start + rows - 1 + c;

		for (unsigned int r = 0; r < rows; r++) {
			use_pe(t, PART_CAPTURE, r, c, t->start + r + c);
			use_from(t, PART_SHADOW_ACC, r, c, t->start + r + c + 1, shift + r);
			for (unsigned int k = 0; k <= r; k++)
				use_south_of(t, r, c, shift + k);
			move_word(t, r, c, shift + rows - 1 - r);
		}
	}
}

/* A tile is swapped in by a wave that finds every word in its place. */
static int64_t earliest_swap(const struct ref_overlap *o, int64_t start)
{
	int64_t swap = o->next_wave;

	for (unsigned int c = 0; c < o->config.cols; c++) {
		for (unsigned int r = 0; r < o->config.rows; r++) {
			const int64_t entered = start + c + (o->config.rows - 1 - r);

			while (swap + r + c < entered + r + 1)
				swap++;
		}
	}
	return swap;
}

static void try_command(struct trial *t)
{
	t->fits = t->take || (ref_walked_fits(t->o->walked, t->walked, t->start) &&
			      ref_walked_each(t->walked, t->start, comes_behind, t->o));
	switch (t->cmd->opcode) {
	case IGRAD_OP_LOAD_W:
		t->swap = earliest_swap(t->o, t->start);
		try_load(t, PART_LOAD_WIRE, PART_SHADOW_W);
		break;
	case IGRAD_OP_LOAD_ACC:
		t->swap = earliest_swap(t->o, t->start);
		try_load(t, PART_SOUTH_WIRE, PART_SHADOW_ACC);
		break;
	case IGRAD_OP_DRAIN_ACC:
	case IGRAD_OP_DRAIN_W:
		try_drain(t);
		break;
	default:
		try_waves(t);
		break;
	}
}

/* --------------------------------------------------------------------------------------------- */
/* One after the other */
/* --------------------------------------------------------------------------------------------- */

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static bool is_load(const struct igrad_cmd *cmd)
{
	return cmd->opcode == IGRAD_OP_LOAD_W || cmd->opcode == IGRAD_OP_LOAD_ACC;
}

static void follow(struct ref_overlap *o, const struct trial *t)
{
	if (is_load(t->cmd)) {
		o->swaps = later(o->swaps, t->swap);
		o->next_load = t->start;
	} else if (!reads_before(t->cmd)) {
		o->next_wave = t->start;
	} else {
		o->next_wave = t->start + ref_waves(t->cmd);
		if (t->cmd->opcode != IGRAD_OP_UPDATE && t->cmd->opcode != IGRAD_OP_SCALE_ACC)
			o->next_load = t->start;
	}
}

struct ref_placed ref_overlap_place(struct ref_overlap *o, const struct ref_op *op, uint64_t ready,
				    struct igrad_report *counts)
{
	const struct igrad_cmd *cmd = op->cmd;
	struct trial t = {.o = o, .op = op, .cmd = cmd, .swap = NEVER};
	const int64_t first = is_load(cmd) ? o->next_load : later(o->next_wave, o->swaps);

	t.start = later(first, (int64_t)ready);
	t.walked = ref_walked_of(op, o->config.rows, o->config.cols);
	for (try_command(&t); !t.fits; try_command(&t)) {
		if (++t.start - first > TOO_LONG)
			ref_impossible("a command never fits");
	}
	t.take = true;
	t.end = t.start;
	t.per_cycle = ref_zeroed(3 * o->config.rows + o->config.cols, sizeof(*t.per_cycle));
	try_command(&t);
	o->walked = ref_walked_take(o->walked, t.walked, t.start);
	follow(o, &t);
	for (unsigned int i = 0; i < 3 * o->config.rows + o->config.cols; i++) {
		if (counts && counts->peak_words < t.per_cycle[i])
			counts->peak_words = t.per_cycle[i];
	}
	free(t.per_cycle);
	return (struct ref_placed){*op, t.start, t.swap, t.end};
}
