/* SPDX-License-Identifier: MIT */
#include "overlap.h"

#include <stdlib.h>
#include <string.h>

#include "igrad_core.h"
#include "window.h"

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void igrad_overlap_reset(struct igrad_overlap *overlap)
{
	struct igrad_words *words = overlap->words;
	struct igrad_held *held = overlap->held;
	const size_t room = overlap->room;

	memset(overlap, 0, sizeof(*overlap));
	overlap->words = words;
	overlap->held = held;
	overlap->room = room;
}

void igrad_overlap_destroy(struct igrad_overlap *overlap)
{
	free(overlap->words);
	free(overlap->held);
}

bool igrad_overlap_reserve(struct igrad_overlap *overlap)
{
	const size_t room = overlap->room ? overlap->room * 2 : 64;
	struct igrad_words *words;
	struct igrad_held *held;

	if (overlap->count + IGRAD_MAX_WORDS <= overlap->room)
		return true;
	words = realloc(overlap->words, room * sizeof(*words));
	if (!words)
		return false;
	overlap->words = words;
	held = realloc(overlap->held, room * sizeof(*held));
	if (!held)
		return false;
	overlap->held = held;
	overlap->room = room;
	return true;
}

/* --------------------------------------------------------------------------------------------- */
/* When a command touches which word */
/* --------------------------------------------------------------------------------------------- */

/* A stream's operand or psum: row b every @pitch cycles, its words a cycle apart. */
static struct igrad_words streamed(uint32_t bytes, uint32_t addr, uint32_t pitch, uint32_t batch,
				   uint32_t lanes, int64_t first, int64_t row_cycles)
{
	return (struct igrad_words){.addr = addr,
				    .pitch = pitch,
				    .bytes = bytes,
				    .rows = batch,
				    .words = lanes,
				    .first = first,
				    .per_row = row_cycles,
				    .per_word = 1};
}

static int64_t last_cycle(const struct igrad_words *words)
{
	const int64_t rows = words->per_row > 0 ? words->rows - 1 : 0;
	const int64_t cols = words->per_word > 0 ? words->words - 1 : 0;

	return words->first + rows * words->per_row + cols * words->per_word;
}

static int64_t first_cycle(const struct igrad_words *words)
{
	const int64_t rows = words->per_row < 0 ? words->rows - 1 : 0;
	const int64_t cols = words->per_word < 0 ? words->words - 1 : 0;

	return words->first + rows * words->per_row + cols * words->per_word;
}

/* What a command touches. */
struct touched {
	unsigned int count;
	struct igrad_words words[IGRAD_MAX_WORDS];
	struct igrad_held held[IGRAD_MAX_WORDS]; /* of those that are */
};

static struct igrad_held *hold(struct touched *touched, unsigned int i, uint64_t first,
			       uint64_t rows)
{
	touched->words[i].held = true;
	touched->held[i] = (struct igrad_held){.first = (uint32_t)first, .rows = (uint32_t)rows};
	return &touched->held[i];
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * A row that stands on pixel (y, x) of image n has the place (n·out_height + ⌊y / stride_y⌋) ·
 * out_width + ⌊x / stride_x⌋, and what is left of y and x is the same for all rows of a stream: so
 * rows of two streams that share a pixel have the same place, and the next ones have the next.
 */
static void walk_images(struct touched *touched, unsigned int i,
			const struct igrad_cmd_window *window, const struct igrad_cmd *cmd)
{
	const int64_t tap_y = IGRAD_TAP_Y(cmd->u.array.tap), tap_x = IGRAD_TAP_X(cmd->u.array.tap);
	const int64_t down = floor_div(tap_y, window->stride_y);
	const int64_t right = floor_div(tap_x, window->stride_x);
	struct igrad_pixels pixels;
	struct igrad_held *held;

	igrad_window_pixels(window, cmd, UINT64_MAX, &pixels);
	held = hold(touched, i, pixels.first, pixels.count);
	if (cmd->flags & IGRAD_FLAG_TAPS)
		return; /* a row has pixels of several places */
	held->walks = true;
	held->images = (struct igrad_images){
		.height = window->height,
		.width = window->width,
		.out_height = window->out_height,
		.out_width = window->out_width,
		.stride_y = window->stride_y,
		.stride_x = window->stride_x,
		.rest_y = (uint16_t)(tap_y - down * window->stride_y),
		.rest_x = (uint16_t)(tap_x - right * window->stride_x),
	};
	held->place = cmd->u.array.first + down * window->out_width + right;
}

/* Psums, as they are read or written; turned, a lane is a row of them. */
static struct igrad_words psums(const struct igrad_cmd *cmd, uint32_t lanes, int64_t first,
				int64_t row_cycles)
{
	const struct igrad_cmd_array *a = &cmd->u.array;

	if (!(cmd->flags & IGRAD_FLAG_TURN))
		return streamed(4, a->p, a->p_pitch, a->batch, lanes, first, row_cycles);
	return (struct igrad_words){.addr = a->p,
				    .pitch = a->p_pitch,
				    .bytes = 4,
				    .rows = lanes,
				    .words = a->batch,
				    .first = first,
				    .per_row = 1,
				    .per_word = row_cycles};
}

static void touch_stream(struct touched *t, uint32_t rows, uint32_t cols,
			 const struct igrad_cmd_window *window, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool both = cmd->opcode == IGRAD_OP_INTERLEAVED,
		   south = cmd->opcode == IGRAD_OP_FPROP;
	const bool images = cmd->flags & IGRAD_FLAG_WINDOW;
	const bool x_images = images && !(cmd->flags & IGRAD_FLAG_SCATTER);
	const bool p_images = images && igrad_window_psums(cmd);
	const int64_t pitch = both ? 2 : 1;
	const uint32_t lanes = south ? a->cols : a->rows;
	const uint32_t bytes = cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4;
	/* At several positions: words of a pixel, in as many cycles as those of all take. */
	const uint32_t x_words = igrad_window_words(window, cmd);
	const uint32_t x_rows = a->batch + a->rows - x_words;
	unsigned int n = 0;

	if (cmd->opcode != IGRAD_OP_DGRAD && cmd->flags & IGRAD_FLAG_TRANSPOSE)
		t->words[n++] = (struct igrad_words){.addr = a->x,
						     .pitch = a->x_pitch,
						     .bytes = bytes,
						     .rows = x_rows,
						     .words = x_words,
						     .per_row = 1,
						     .per_word = pitch};
	else if (cmd->opcode != IGRAD_OP_DGRAD)
		t->words[n++] = streamed(bytes, a->x, a->x_pitch, x_rows, x_words, both, pitch);
	if (n && x_images)
		walk_images(t, 0, window, cmd);
	if (!south)
		t->words[n++] = streamed(bytes, a->g, a->g_pitch, a->batch, a->cols, 0, pitch);
	t->count = n;
	if (cmd->opcode == IGRAD_OP_WGRAD)
		return;
	if (cmd->flags & IGRAD_FLAG_ADD)
		t->words[n++] = psums(cmd, lanes, 0, pitch);
	t->words[n] = psums(cmd, lanes, (south ? rows : cols) - 1, pitch);
	t->words[n++].written = true;
	for (unsigned int i = t->count; p_images && i < n; i++)
		walk_images(t, i, window, cmd);
	t->count = n;
}

/* The last row goes first; a column begins a cycle after its western neighbour. */
static void touch_tile(struct touched *t, uint32_t rows, const struct igrad_cmd_window *window,
		       const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool transpose = cmd->flags & IGRAD_FLAG_TRANSPOSE;
	const bool drain = cmd->opcode == IGRAD_OP_DRAIN_ACC || cmd->opcode == IGRAD_OP_DRAIN_W;

	t->count = 1;
	t->words[0] = (struct igrad_words){
		.addr = a->p,
		.pitch = a->p_pitch,
		.bytes = cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4,
		.rows = transpose ? a->cols : a->rows,
		.words = transpose ? a->rows : a->cols,
		.first = (int64_t)(drain ? 2 : 1) * (rows - 1),
		.per_row = transpose ? 1 : -1,
		.per_word = transpose ? -1 : 1,
		.written = drain,
	};
	if (cmd->flags & IGRAD_FLAG_GROUPS)
		hold(t, 0, 0, igrad_tile_rows(window, cmd));
}

static void touch(struct touched *t, uint32_t rows, uint32_t cols,
		  const struct igrad_cmd_window *window, const struct igrad_cmd *cmd)
{
	switch (cmd->opcode) {
	case IGRAD_OP_UPDATE:
	case IGRAD_OP_SCALE_ACC:
		t->count = 0;
		break;
	case IGRAD_OP_FPROP:
	case IGRAD_OP_DGRAD:
	case IGRAD_OP_WGRAD:
	case IGRAD_OP_INTERLEAVED:
		touch_stream(t, rows, cols, window, cmd);
		break;
	default:
		touch_tile(t, rows, window, cmd);
		break;
	}
}

/* --------------------------------------------------------------------------------------------- */
/* The order of accesses to a word */
/* --------------------------------------------------------------------------------------------- */

static uint64_t row_begin(const struct igrad_words *words, uint32_t row)
{
	return words->addr + (uint64_t)row * words->pitch;
}

static uint64_t row_end(const struct igrad_words *words, uint32_t row)
{
	return row_begin(words, row) + (uint64_t)words->words * words->bytes;
}

static int64_t cycle_of(const struct igrad_words *words, uint32_t row, uint64_t addr)
{
	return words->first + row * words->per_row +
	       (int64_t)((addr - row_begin(words, row)) / words->bytes) * words->per_word;
}

/* What rows of two commands have in common: bytes @begin … @end - 1. */
struct shared {
	uint32_t earlier; /* row */
	uint32_t later;
	uint64_t begin;
	uint64_t end;
};

/*
 * The earliest start of @later that meets every common word after @earlier did: in a later cycle,
 * or in the same one when a read comes before a write. Within a pair of rows the two clocks run
 * apart or together steadily, so the ends of what they share tell.
 */
static int64_t start_after_rows(const struct igrad_words *earlier, const struct igrad_words *later,
				const struct shared *shared)
{
	const uint64_t last = shared->end - 2;
	const int64_t low = cycle_of(earlier, shared->earlier, shared->begin) -
			    cycle_of(later, shared->later, shared->begin);
	const int64_t high = cycle_of(earlier, shared->earlier, last) -
			     cycle_of(later, shared->later, last);

	return (low > high ? low : high) + earlier->written;
}

static struct shared common(const struct igrad_words *earlier, uint32_t i,
			    const struct igrad_words *later, uint32_t j)
{
	const uint64_t end_i = row_end(earlier, i), end_j = row_end(later, j);

	return (struct shared){
		.earlier = i,
		.later = j,
		.begin = max_u64(row_begin(earlier, i), row_begin(later, j)),
		.end = end_i < end_j ? end_i : end_j,
	};
}

/* Any two regions, row by row. */
static int64_t start_after_walk(const struct igrad_words *earlier, const struct igrad_words *later)
{
	int64_t start = 0;
	uint32_t i = 0, j = 0;

	while (i < earlier->rows && j < later->rows) {
		const struct shared shared = common(earlier, i, later, j);

		if (shared.begin < shared.end)
			start = max_i64(start, start_after_rows(earlier, later, &shared));
		if (row_end(earlier, i) <= row_end(later, j))
			i++;
		else
			j++;
	}
	return start;
}

/*
 * Rows the same distance apart: row j of the later region meets rows j + @ahead and perhaps
 * j + @ahead + 1 of the earlier, each in the same columns for every j. The clocks of such pairs run
 * steadily too, so the first and the last pair tell.
 */
static int64_t start_after_parallel(const struct igrad_words *earlier,
				    const struct igrad_words *later, int64_t ahead)
{
	const int64_t first = ahead < 0 ? -ahead : 0;
	const int64_t left = (int64_t)earlier->rows - ahead;
	const int64_t last = (left < later->rows ? left : later->rows) - 1;
	struct shared shared;
	int64_t start;

	if (first > last)
		return 0;
	shared = common(earlier, (uint32_t)(first + ahead), later, (uint32_t)first);
	if (shared.begin >= shared.end)
		return 0;
	start = start_after_rows(earlier, later, &shared);
	shared = common(earlier, (uint32_t)(last + ahead), later, (uint32_t)last);
	return max_i64(start, start_after_rows(earlier, later, &shared));
}

static inline __attribute__((always_inline)) int64_t start_after(const struct igrad_words *earlier,
								 const struct igrad_words *later)
{
	const int64_t pitch = earlier->rows > 1 ? earlier->pitch : later->pitch;
	const int64_t apart = (int64_t)later->addr - earlier->addr;
	int64_t ahead, start;

	if (!pitch || (later->rows > 1 && later->pitch != pitch) ||
	    (int64_t)earlier->words * earlier->bytes > pitch ||
	    (int64_t)later->words * later->bytes > pitch)
		return start_after_walk(earlier, later);
	ahead = floor_div(apart, pitch);
	start = max_i64(start_after_parallel(earlier, later, ahead),
			start_after_parallel(earlier, later, ahead + 1));
	return start > 0 ? start : 0;
}

static bool apart(const struct igrad_words *a, const struct igrad_words *b)
{
	return row_end(a, a->rows - 1) <= b->addr || row_end(b, b->rows - 1) <= a->addr;
}

/* --------------------------------------------------------------------------------------------- */
/* Held words */
/* --------------------------------------------------------------------------------------------- */

static struct igrad_words as_held(const struct igrad_words *words, const struct igrad_held *held,
				  bool earlier)
{
	struct igrad_words all = *words;

	if (!words->held)
		return all;
	all.first = earlier ? last_cycle(words) : first_cycle(words);
	all.per_row = all.per_word = 0;
	all.addr += held->first * words->pitch;
	all.rows = held->rows;
	return all;
}

/* Two accesses of which one at least is held: that of a command before, and one to come. */
struct meeting {
	const struct igrad_words *earlier;
	const struct igrad_words *later;
	const struct igrad_held *earlier_held;
	const struct igrad_held *later_held;
};

/* Do both walk over the same images, so that a pixel of one meets the same of the other only? */
static bool same_images(const struct meeting *m)
{
	const struct igrad_words *a = m->earlier, *b = m->later;

	return a->held && b->held && m->earlier_held->walks && m->later_held->walks &&
	       a->pitch == b->pitch &&
	       !memcmp(&m->earlier_held->images, &m->later_held->images,
		       offsetof(struct igrad_images, rest_y)) &&
	       max_u64(row_end(a, 0), row_end(b, 0)) - (a->addr < b->addr ? a->addr : b->addr) <=
		       a->pitch;
}

/* Rows with the same place, in the words that both have. */
static int64_t start_after_walk_over(const struct meeting *m)
{
	const struct igrad_images *here = &m->earlier_held->images, *there = &m->later_held->images;
	const int64_t ahead = m->later_held->place - m->earlier_held->place;
	const int64_t first = ahead < 0 ? -ahead : 0;
	const int64_t left = (int64_t)m->earlier->rows - ahead;
	const int64_t last = (left < m->later->rows ? left : m->later->rows) - 1;
	const struct shared shared = common(m->earlier, 0, m->later, 0);
	int64_t start = 0;

	if (first > last || here->rest_y != there->rest_y || here->rest_x != there->rest_x ||
	    shared.begin >= shared.end)
		return 0;
	for (unsigned int i = 0; i < 2; i++) {
		const int64_t row = i ? last : first;
		struct igrad_words earlier = *m->earlier, later = *m->later;

		earlier.first += (row + ahead) * earlier.per_row;
		later.first += row * later.per_row;
		start = max_i64(start, start_after_rows(&earlier, &later, &shared));
	}
	return start;
}

/* Out of the way of those that are not held, which are many more. */
static __attribute__((noinline, cold)) uint64_t
start_after_held(const struct igrad_overlap *overlap, size_t i, const struct touched *touched,
		 unsigned int k)
{
	const struct meeting m = {&overlap->words[i], &touched->words[k], &overlap->held[i],
				  &touched->held[k]};
	const struct igrad_words earlier = as_held(m.earlier, m.earlier_held, true);
	const struct igrad_words later = as_held(m.later, m.later_held, false);

	if (same_images(&m))
		return (uint64_t)start_after_walk_over(&m);
	return apart(&earlier, &later) ? 0 : (uint64_t)start_after(&earlier, &later);
}

static uint64_t after_memory(const struct igrad_overlap *overlap, const struct touched *touched)
{
	uint64_t start = 0;

	for (size_t i = 0; i < overlap->count; i++) {
		const struct igrad_words *earlier = &overlap->words[i];

		for (unsigned int k = 0; k < touched->count; k++) {
			const struct igrad_words *later = &touched->words[k];

			if (!earlier->written && !later->written)
				continue;
			if (earlier->held || later->held)
				start = max_u64(start, start_after_held(overlap, i, touched, k));
			else if (!apart(earlier, later))
				start = max_u64(start, (uint64_t)start_after(earlier, later));
		}
	}
	return start;
}

static void keep(struct igrad_overlap *overlap, size_t at, const struct igrad_words *words,
		 const struct igrad_held *held)
{
	overlap->words[at] = *words;
	if (words->held)
		overlap->held[at] = *held;
}

/* Nothing starts before @overlap->load any more: forget what has ended by then. */
static void remember(struct igrad_overlap *overlap, const struct touched *touched, uint64_t start)
{
	size_t kept = 0;

	for (size_t i = 0; i < overlap->count; i++) {
		if (last_cycle(&overlap->words[i]) < (int64_t)overlap->load)
			continue;
		if (kept != i)
			keep(overlap, kept, &overlap->words[i], &overlap->held[i]);
		kept++;
	}
	for (unsigned int k = 0; k < touched->count; k++) {
		keep(overlap, kept, &touched->words[k], &touched->held[k]);
		overlap->words[kept++].first += (int64_t)start;
	}
	overlap->count = kept;
}

/* --------------------------------------------------------------------------------------------- */
/* Waves and chains; @start comes with what semaphores and SRAM demand */
/* --------------------------------------------------------------------------------------------- */

static uint64_t next_wave(const struct igrad_overlap *o)
{
	return max_u64(o->front, max_u64(o->swap_w, o->swap_acc));
}

static uint64_t place_stream(struct igrad_overlap *o, uint32_t rows, const struct igrad_cmd *cmd,
			     uint64_t start)
{
	const uint64_t batch = cmd->u.array.batch;

	start = max_u64(start, next_wave(o));
	if (cmd->opcode == IGRAD_OP_FPROP && o->drains)
		start = max_u64(start, o->drain + rows); /* on the same wires */
	o->front = start + (cmd->opcode == IGRAD_OP_INTERLEAVED ? 2 * batch : batch);
	if (cmd->opcode == IGRAD_OP_FPROP)
		o->fprop_end = o->front;
	o->load = max_u64(o->load, start);
	return start;
}

static uint64_t place_update(struct igrad_overlap *o, const struct igrad_cmd *cmd, uint64_t start)
{
	start = max_u64(start, next_wave(o));
	o->front = start + (cmd->flags & IGRAD_FLAG_DECAY ? 2 : 1);
	return start;
}

static uint64_t place_drain(struct igrad_overlap *o, uint32_t rows, uint64_t start)
{
	start = max_u64(start, next_wave(o));
	if (o->drains++) {
		start = max_u64(start, o->drain + rows);
		/* Its tile is current with this drain at the earliest: a load loses nothing. */
		o->load = max_u64(o->load, o->drain);
	}
	o->drain_before = o->drain;
	o->drain = start;
	o->front = start;
	return start;
}

static uint64_t place_load_w(struct igrad_overlap *o, uint32_t rows, uint64_t start)
{
	start = max_u64(start, max_u64(o->load, o->swap_w));
	o->swap_w = max_u64(o->front, start + rows);
	o->load = start;
	return start;
}

/*
 * The chain is the drains' too. A tile that is in place when the last drain captures changes places
 * with it; otherwise it follows what is drained.
 */
static uint64_t place_load_acc(struct igrad_overlap *o, uint32_t rows, uint64_t start)
{
	start = max_u64(start, max_u64(o->load, o->swap_acc));
	start = max_u64(start, o->fprop_end);
	if (o->drains > 1)
		start = max_u64(start, o->drain_before + rows - 1);
	if (o->drains && (o->front > o->drain || start + rows > o->drain))
		start = max_u64(start, o->drain + rows - 1);
	o->swap_acc = max_u64(o->front, start + rows);
	o->load = start;
	return start;
}

struct igrad_span igrad_overlap_place(struct igrad_overlap *o, uint32_t rows, uint32_t cols,
				      const struct igrad_cmd_window *window,
				      const struct igrad_cmd *cmd, uint64_t ready)
{
	const uint64_t skew = (uint64_t)rows + cols - 2;
	struct touched touched;
	struct igrad_span span;

	o->dispatched = max_u64(o->dispatched, ready);
	if (cmd->opcode == IGRAD_OP_NOP || cmd->opcode == IGRAD_OP_WINDOW)
		return (struct igrad_span){o->dispatched, o->dispatched};
	touch(&touched, rows, cols, window, cmd);
	span.start = max_u64(o->dispatched, after_memory(o, &touched));
	switch (cmd->opcode) {
	case IGRAD_OP_LOAD_W:
		span.start = place_load_w(o, rows, span.start);
		span.end = span.start + skew + 1;
		break;
	case IGRAD_OP_LOAD_ACC:
		span.start = place_load_acc(o, rows, span.start);
		span.end = span.start + skew + 1;
		break;
	case IGRAD_OP_DRAIN_ACC:
	case IGRAD_OP_DRAIN_W:
		span.start = place_drain(o, rows, span.start);
		span.end = span.start + rows + skew;
		break;
	case IGRAD_OP_UPDATE:
	case IGRAD_OP_SCALE_ACC:
		span.start = place_update(o, cmd, span.start);
		span.end = o->front + skew;
		break;
	default:
		span.start = place_stream(o, rows, cmd, span.start);
		span.end = o->front + skew;
		break;
	}
	remember(o, &touched, span.start);
	return span;
}

/* --------------------------------------------------------------------------------------------- */
/* Checkpoints */
/* --------------------------------------------------------------------------------------------- */

static bool small(int64_t cycles)
{
	return cycles >= -2 && cycles <= 2;
}

/* Rows do not run into each other, and the last ends inside SRAM. */
static bool sound_rows(const struct igrad_words *words, uint32_t sram_bytes)
{
	return words->rows && words->rows <= sram_bytes && words->addr <= sram_bytes &&
	       row_end(words, words->rows - 1) <= sram_bytes &&
	       (words->rows == 1 || row_end(words, 0) <= row_begin(words, 1));
}

static bool sound_held(const struct igrad_words *words, const struct igrad_held *held,
		       uint32_t sram_bytes)
{
	const struct igrad_words all = as_held(words, held, true);
	const int64_t far = 1ll << 40;

	return words->rows && words->rows <= IGRAD_MAX_BATCH + IGRAD_MAX_ROWS &&
	       held->first <= sram_bytes &&
	       words->addr + (uint64_t)held->first * words->pitch <= sram_bytes &&
	       sound_rows(&all, sram_bytes) && held->place > -far && held->place < far;
}

static bool sound(const struct igrad_words *words, const struct igrad_held *held,
		  uint32_t sram_bytes)
{
	const int64_t end = (int64_t)IGRAD_SERIAL_MAX_TIME;

	return (words->bytes == 4 || words->bytes == 2) && words->words &&
	       words->words <= sram_bytes / words->bytes && words->first > -end &&
	       words->first < end && small(words->per_row) && small(words->per_word) &&
	       (words->held ? sound_held(words, held, sram_bytes) : sound_rows(words, sram_bytes));
}

static void transfer_held(struct igrad_held *held, struct igrad_serial *serial)
{
	igrad_serial_u32(serial, &held->first);
	igrad_serial_u32(serial, &held->rows);
	igrad_serial_bool(serial, &held->walks);
	igrad_serial_bytes(serial, &held->images, sizeof(held->images));
	igrad_serial_i64(serial, &held->place);
}

static void transfer_words(struct igrad_words *words, struct igrad_held *held,
			   struct igrad_serial *serial, uint32_t sram_bytes)
{
	igrad_serial_u32(serial, &words->addr);
	igrad_serial_u32(serial, &words->pitch);
	igrad_serial_u32(serial, &words->bytes);
	igrad_serial_u32(serial, &words->rows);
	igrad_serial_u32(serial, &words->words);
	igrad_serial_i64(serial, &words->first);
	igrad_serial_i64(serial, &words->per_row);
	igrad_serial_i64(serial, &words->per_word);
	igrad_serial_bool(serial, &words->written);
	igrad_serial_bool(serial, &words->held);
	if (words->held)
		transfer_held(held, serial);
	igrad_serial_check(serial, sound(words, held, sram_bytes));
}

static void transfer_remembered(struct igrad_overlap *overlap, struct igrad_serial *serial,
				uint32_t sram_bytes)
{
	uint64_t count = overlap->count;

	igrad_serial_u64(serial, &count);
	if (!igrad_serial_check(serial, count <= (uint64_t)IGRAD_MAX_COMMANDS * IGRAD_MAX_WORDS))
		return;
	if (serial->loading)
		overlap->count = 0;
	for (uint64_t i = 0; i < count && !serial->failed; i++) {
		if (serial->loading && !igrad_serial_check(serial, igrad_overlap_reserve(overlap)))
			return;
		transfer_words(&overlap->words[i], &overlap->held[i], serial, sram_bytes);
		if (serial->loading && !serial->failed)
			overlap->count++;
	}
}

void igrad_overlap_transfer(struct igrad_overlap *overlap, struct igrad_serial *serial,
			    uint32_t sram_bytes)
{
	uint64_t *const times[] = {
		&overlap->dispatched, &overlap->front,	   &overlap->load,  &overlap->swap_w,
		&overlap->swap_acc,   &overlap->fprop_end, &overlap->drain, &overlap->drain_before,
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		igrad_serial_time(serial, times[i]);
	igrad_serial_u64(serial, &overlap->drains);
	transfer_remembered(overlap, serial, sram_bytes);
}
