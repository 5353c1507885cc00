/* SPDX-License-Identifier: MIT */
#include "overlap.h"

#include <stdlib.h>
#include <string.h>

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
	const size_t room = overlap->room;

	memset(overlap, 0, sizeof(*overlap));
	overlap->words = words;
	overlap->room = room;
}

void igrad_overlap_destroy(struct igrad_overlap *overlap)
{
	free(overlap->words);
}

bool igrad_overlap_reserve(struct igrad_overlap *overlap)
{
	const size_t room = overlap->room ? overlap->room * 2 : 64;
	struct igrad_words *words;

	if (overlap->count + IGRAD_MAX_WORDS <= overlap->room)
		return true;
	words = realloc(overlap->words, room * sizeof(*words));
	if (!words)
		return false;
	overlap->words = words;
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

static void hold(struct igrad_words *words, uint64_t first, uint64_t rows)
{
	words->held = true;
	words->held_first = (uint32_t)first;
	words->held_rows = (uint32_t)rows;
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
static void walk_images(struct igrad_words *words, const struct igrad_cmd_window *window,
			const struct igrad_cmd *cmd)
{
	const int64_t tap_y = IGRAD_TAP_Y(cmd->u.array.tap), tap_x = IGRAD_TAP_X(cmd->u.array.tap);
	const int64_t down = floor_div(tap_y, window->stride_y);
	const int64_t right = floor_div(tap_x, window->stride_x);
	struct igrad_pixels pixels;

	igrad_window_pixels(window, cmd, UINT64_MAX, &pixels);
	hold(words, pixels.first, pixels.count);
	words->walks = true;
	words->images = (struct igrad_images){
		.height = window->height,
		.width = window->width,
		.out_height = window->out_height,
		.out_width = window->out_width,
		.stride_y = window->stride_y,
		.stride_x = window->stride_x,
		.rest_y = (uint16_t)(tap_y - down * window->stride_y),
		.rest_x = (uint16_t)(tap_x - right * window->stride_x),
	};
	words->place = cmd->u.array.first + down * window->out_width + right;
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

static unsigned int words_of_stream(uint32_t rows, uint32_t cols,
				    const struct igrad_cmd_window *window,
				    const struct igrad_cmd *cmd, struct igrad_words *words)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool both = cmd->opcode == IGRAD_OP_INTERLEAVED,
		   south = cmd->opcode == IGRAD_OP_FPROP;
	const int64_t pitch = both ? 2 : 1;
	const uint32_t lanes = south ? a->cols : a->rows;
	const uint32_t bytes = cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4;
	unsigned int n = 0;

	if (cmd->opcode != IGRAD_OP_DGRAD && cmd->flags & IGRAD_FLAG_TRANSPOSE)
		words[n++] = (struct igrad_words){.addr = a->x,
						  .pitch = a->x_pitch,
						  .bytes = bytes,
						  .rows = a->rows,
						  .words = a->batch,
						  .per_row = 1,
						  .per_word = pitch};
	else if (cmd->opcode != IGRAD_OP_DGRAD)
		words[n++] = streamed(bytes, a->x, a->x_pitch, a->batch, a->rows, both, pitch);
	if (n && cmd->flags & IGRAD_FLAG_WINDOW)
		walk_images(&words[0], window, cmd);
	if (!south)
		words[n++] = streamed(bytes, a->g, a->g_pitch, a->batch, a->cols, 0, pitch);
	if (cmd->opcode == IGRAD_OP_WGRAD)
		return n;
	words[n] = psums(cmd, lanes, (south ? rows : cols) - 1, pitch);
	words[n].written = true;
	if (!south && cmd->flags & IGRAD_FLAG_WINDOW)
		walk_images(&words[n], window, cmd);
	n++;
	if (cmd->flags & IGRAD_FLAG_ADD) {
		words[n] = words[n - 1];
		words[n].written = false;
		words[n++].first = 0;
	}
	return n;
}

/* The last row goes first; a column begins a cycle after its western neighbour. */
static unsigned int words_of_shift(uint32_t rows, const struct igrad_cmd_window *window,
				   const struct igrad_cmd *cmd, struct igrad_words *words)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const bool transpose = cmd->flags & IGRAD_FLAG_TRANSPOSE;
	const bool drain = cmd->opcode == IGRAD_OP_DRAIN_ACC || cmd->opcode == IGRAD_OP_DRAIN_W;

	words[0] = (struct igrad_words){
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
		hold(&words[0], 0, igrad_tile_rows(window, cmd));
	return 1;
}

static unsigned int words_of(uint32_t rows, uint32_t cols, const struct igrad_cmd_window *window,
			     const struct igrad_cmd *cmd, struct igrad_words *words)
{
	switch (cmd->opcode) {
	case IGRAD_OP_UPDATE:
	case IGRAD_OP_SCALE_ACC:
		return 0;
	case IGRAD_OP_FPROP:
	case IGRAD_OP_DGRAD:
	case IGRAD_OP_WGRAD:
	case IGRAD_OP_INTERLEAVED:
		return words_of_stream(rows, cols, window, cmd, words);
	default:
		return words_of_shift(rows, window, cmd, words);
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

static int64_t start_after(const struct igrad_words *earlier, const struct igrad_words *later)
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

static struct igrad_words as_held(const struct igrad_words *words, bool earlier)
{
	struct igrad_words held = *words;

	if (!words->held)
		return held;
	held.first = earlier ? last_cycle(words) : first_cycle(words);
	held.per_row = held.per_word = 0;
	held.addr += words->held_first * words->pitch;
	held.rows = words->held_rows;
	return held;
}

/* Do both walk over the same images, so that a pixel of one meets the same of the other only? */
static bool same_images(const struct igrad_words *a, const struct igrad_words *b)
{
	const uint64_t begin = a->addr < b->addr ? a->addr : b->addr;

	return a->walks && b->walks && a->pitch == b->pitch &&
	       !memcmp(&a->images, &b->images, offsetof(struct igrad_images, rest_y)) &&
	       max_u64(row_end(a, 0), row_end(b, 0)) - begin <= a->pitch;
}

/* Rows with the same place, in the words that both have. */
static int64_t start_after_walk_over(const struct igrad_words *earlier,
				     const struct igrad_words *later)
{
	const int64_t ahead = later->place - earlier->place;
	const int64_t first = ahead < 0 ? -ahead : 0;
	const int64_t left = (int64_t)earlier->rows - ahead;
	const int64_t last = (left < later->rows ? left : later->rows) - 1;
	struct igrad_words one = *earlier, other = *later;
	int64_t start = 0;
	struct shared shared;

	if (first > last || earlier->images.rest_y != later->images.rest_y ||
	    earlier->images.rest_x != later->images.rest_x)
		return 0;
	shared = common(&one, 0, &other, 0);
	if (shared.begin >= shared.end)
		return 0;
	for (unsigned int i = 0; i < 2; i++) {
		const int64_t row = i ? last : first;

		one.first = earlier->first + (row + ahead) * earlier->per_row;
		other.first = later->first + row * later->per_row;
		start = max_i64(start, start_after_rows(&one, &other, &shared));
	}
	return start;
}

static int64_t start_after_held(const struct igrad_words *earlier, const struct igrad_words *later)
{
	const struct igrad_words one = as_held(earlier, true), other = as_held(later, false);

	if (same_images(earlier, later))
		return start_after_walk_over(earlier, later);
	return apart(&one, &other) ? 0 : start_after(&one, &other);
}

static uint64_t after_memory(const struct igrad_overlap *overlap, const struct igrad_words *words,
			     unsigned int n)
{
	uint64_t start = 0;

	for (size_t i = 0; i < overlap->count; i++) {
		const struct igrad_words *earlier = &overlap->words[i];

		for (unsigned int k = 0; k < n; k++) {
			if (!earlier->written && !words[k].written)
				continue;
			if (earlier->held || words[k].held)
				start = max_u64(start,
						(uint64_t)start_after_held(earlier, &words[k]));
			else if (!apart(earlier, &words[k]))
				start = max_u64(start, (uint64_t)start_after(earlier, &words[k]));
		}
	}
	return start;
}

/* Nothing starts before @overlap->load any more: forget what has ended by then. */
static void remember(struct igrad_overlap *overlap, const struct igrad_words *words, unsigned int n,
		     uint64_t start)
{
	size_t kept = 0;

	for (size_t i = 0; i < overlap->count; i++) {
		if (last_cycle(&overlap->words[i]) >= (int64_t)overlap->load)
			overlap->words[kept++] = overlap->words[i];
	}
	for (unsigned int k = 0; k < n; k++) {
		overlap->words[kept] = words[k];
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
	struct igrad_words words[IGRAD_MAX_WORDS];
	struct igrad_span span;
	unsigned int n;

	o->dispatched = max_u64(o->dispatched, ready);
	if (cmd->opcode == IGRAD_OP_NOP || cmd->opcode == IGRAD_OP_WINDOW)
		return (struct igrad_span){o->dispatched, o->dispatched};
	n = words_of(rows, cols, window, cmd, words);
	span.start = max_u64(o->dispatched, after_memory(o, words, n));
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
	remember(o, words, n, span.start);
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

static bool sound_held(const struct igrad_words *words, uint32_t sram_bytes)
{
	const struct igrad_words held = as_held(words, true);
	const int64_t far = 1ll << 40;

	return words->rows && words->rows <= IGRAD_MAX_BATCH && words->held_first <= sram_bytes &&
	       words->addr + (uint64_t)words->held_first * words->pitch <= sram_bytes &&
	       sound_rows(&held, sram_bytes) && words->place > -far && words->place < far;
}

static bool sound(const struct igrad_words *words, uint32_t sram_bytes)
{
	const int64_t end = (int64_t)IGRAD_SERIAL_MAX_TIME;

	return (words->bytes == 4 || words->bytes == 2) && words->words &&
	       words->words <= sram_bytes / words->bytes && words->first > -end &&
	       words->first < end && small(words->per_row) && small(words->per_word) &&
	       (words->held ? sound_held(words, sram_bytes) : sound_rows(words, sram_bytes));
}

static void transfer_held(struct igrad_words *words, struct igrad_serial *serial)
{
	igrad_serial_u32(serial, &words->held_first);
	igrad_serial_u32(serial, &words->held_rows);
	igrad_serial_bool(serial, &words->walks);
	igrad_serial_bytes(serial, &words->images, sizeof(words->images));
	igrad_serial_i64(serial, &words->place);
}

static void transfer_words(struct igrad_words *words, struct igrad_serial *serial,
			   uint32_t sram_bytes)
{
	if (serial->loading)
		*words = (struct igrad_words){0};
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
		transfer_held(words, serial);
	igrad_serial_check(serial, sound(words, sram_bytes));
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
		transfer_words(&overlap->words[i], serial, sram_bytes);
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
