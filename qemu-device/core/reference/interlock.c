/* SPDX-License-Identifier: MIT */
/*
 * Operands that are images: when may the words of one be met by what comes behind it? Against
 * another of the same images, row by row; against everything else, all of it at once.
 */
#include <stdlib.h>

#include "reference.h"

/*
 * One operand of a stream: x, psums that are read, or psums that are written. A row is what lies in
 * one pixel: a batch row, or, if lanes walk, a lane.
 */
struct ref_walked {
	struct ref_op op;
	uint32_t addr;
	uint32_t pitch;
	uint32_t rows;
	unsigned int words; /* of a row */
	unsigned int size;  /* bytes of a word */
	bool write;
	int64_t first; /* cycle of word 0 of row 0 */
	unsigned int per_row;
	int64_t lasts; /* cycles, from the first word to the last */
	struct ref_walked *before;
};

static int64_t last_cycle(const struct ref_walked *w)
{
	return w->first + w->lasts;
}

/* --------------------------------------------------------------------------------------------- */
/* Two operands of the same images */
/* --------------------------------------------------------------------------------------------- */

static bool same_images(const struct ref_walked *a, const struct ref_walked *b)
{
	const struct igrad_cmd_window *v = a->op.window, *w = b->op.window;
	const uint32_t a_end = a->addr + a->words * a->size, b_end = b->addr + b->words * b->size;
	const uint32_t begin = a->addr < b->addr ? a->addr : b->addr;
	const uint32_t end = a_end > b_end ? a_end : b_end;

	if ((a->op.cmd->flags | b->op.cmd->flags) & IGRAD_FLAG_TAPS)
		return false;
	return v->height == w->height && v->width == w->width && v->out_height == w->out_height &&
	       v->out_width == w->out_width && v->stride_y == w->stride_y &&
	       v->stride_x == w->stride_x && a->pitch == b->pitch && end - begin <= a->pitch;
}

/* The batch row of @earlier that is taken to share a pixel with row @b of @later; false: none. */
static bool find_match(const struct ref_walked *earlier, const struct ref_walked *later, uint32_t b,
		       uint32_t *match)
{
	const struct ref_place place = ref_place_of(&later->op, b);
	const struct ref_place first = ref_place_of(&earlier->op, 0);

	if (place.y != first.y || place.x != first.x || place.output < first.output ||
	    place.output >= first.output + earlier->rows)
		return false;
	*match = (uint32_t)(place.output - first.output);
	return true;
}

static bool in_order(const struct ref_walked *earlier, bool write, int64_t was, int64_t is)
{
	if (earlier->write)
		return is > was;
	return !write || is >= was;
}

/* Do half-words of row @b of @later come behind those of row @a of @earlier? */
static bool rows_in_order(const struct ref_walked *earlier, uint32_t a,
			  const struct ref_walked *later, uint32_t b, int64_t start)
{
	for (uint32_t at = 0; at < later->words * later->size; at += 2) {
		const uint32_t there = later->addr + at - earlier->addr; /* wraps below */
		const int64_t is = start + later->first + b * later->per_row + at / later->size;

		if (there < earlier->words * earlier->size &&
		    !in_order(earlier, later->write,
			      earlier->first + a * earlier->per_row + there / earlier->size, is))
			return false;
	}
	return true;
}

static bool all_rows_in_order(const struct ref_walked *earlier, const struct ref_walked *later,
			      int64_t start)
{
	uint32_t a;

	for (uint32_t b = 0; b < later->rows; b++) {
		if (find_match(earlier, later, b, &a) &&
		    !rows_in_order(earlier, a, later, b, start))
			return false;
	}
	return true;
}

/* --------------------------------------------------------------------------------------------- */
/* Anything else */
/* --------------------------------------------------------------------------------------------- */

static bool contains(const struct ref_walked *w, uint32_t addr)
{
	const struct ref_images images = ref_images_of(&w->op);
	const uint32_t begin = w->addr + images.first * w->pitch;

	if (addr < begin)
		return false;
	if (images.end - images.first == 1)
		return addr - begin < w->words * w->size;
	return (addr - begin) / w->pitch < images.end - images.first &&
	       (addr - begin) % w->pitch < w->words * w->size;
}

bool ref_walked_allows(const struct ref_walked *list, uint32_t addr, bool write, int64_t cycle)
{
	for (const struct ref_walked *w = list; w; w = w->before) {
		if (!in_order(w, write, last_cycle(w), cycle) && contains(w, addr))
			return false;
	}
	return true;
}

/* All pixels, in the cycle of the first, against an operand of other images. */
static bool pixels_in_order(const struct ref_walked *earlier, const struct ref_walked *later,
			    int64_t start)
{
	const struct ref_images images = ref_images_of(&later->op);

	if (in_order(earlier, later->write, last_cycle(earlier), start + later->first))
		return true;
	for (uint32_t i = images.first; i < images.end; i++) {
		for (uint32_t at = 0; at < later->words * later->size; at += 2) {
			if (contains(earlier, later->addr + i * later->pitch + at))
				return false;
		}
	}
	return true;
}

/* --------------------------------------------------------------------------------------------- */
/* Operands of a command */
/* --------------------------------------------------------------------------------------------- */

static struct ref_walked *add(struct ref_walked *mine, const struct ref_op *op, bool x, bool write,
			      int64_t first)
{
	const struct igrad_cmd_array *a = &op->cmd->u.array;
	const bool turned = x && op->cmd->flags & IGRAD_FLAG_TRANSPOSE;
	const bool taps = x && op->cmd->flags & IGRAD_FLAG_TAPS;
	const unsigned int lanes = !x && op->cmd->opcode == IGRAD_OP_FPROP ? a->cols : a->rows;
	struct ref_walked *w = ref_zeroed(1, sizeof(*w));

	w->op = *op;
	w->addr = x ? a->x : a->p;
	w->pitch = x ? a->x_pitch : a->p_pitch;
	w->rows = turned ? lanes : a->batch;
	w->words = turned ? a->batch : lanes;
	w->size = x ? ref_word_size(op->cmd) : 4;
	w->write = write;
	w->first = first;
	w->per_row = op->cmd->opcode == IGRAD_OP_INTERLEAVED ? 2 : 1;
	w->lasts = (int64_t)w->per_row * (w->rows - 1) + w->words - 1;
	w->before = mine;
	if (taps && w->words > op->window->channels)
		w->words = op->window->channels;
	for (uint32_t b = 1; b < w->rows; b++) {
		if (ref_place_of(op, b).output != ref_place_of(op, b - 1).output + 1)
			ref_impossible("places of rows do not follow each other");
	}
	return w;
}

struct ref_walked *ref_walked_of(const struct ref_op *op, unsigned int rows, unsigned int cols)
{
	const bool scatter = op->cmd->flags & IGRAD_FLAG_SCATTER;
	const uint8_t opcode = op->cmd->opcode;
	struct ref_walked *mine = NULL;

	if (!(op->cmd->flags & IGRAD_FLAG_WINDOW))
		return NULL;
	if (opcode != IGRAD_OP_DGRAD && !scatter)
		mine = add(mine, op, true, false, opcode == IGRAD_OP_INTERLEAVED ? 1 : 0);
	if (opcode == IGRAD_OP_WGRAD || (opcode == IGRAD_OP_FPROP && !scatter))
		return mine;
	if (op->cmd->flags & IGRAD_FLAG_ADD)
		mine = add(mine, op, false, false, 0);
	return add(mine, op, false, true, (scatter ? rows : cols) - 1);
}

bool ref_walked_fits(const struct ref_walked *list, const struct ref_walked *mine, int64_t start)
{
	for (const struct ref_walked *later = mine; later; later = later->before) {
		for (const struct ref_walked *w = list; w; w = w->before) {
			if (start + later->first > last_cycle(w))
				continue; /* whatever they share */
			if (!(same_images(w, later) ? all_rows_in_order(w, later, start)
						    : pixels_in_order(w, later, start)))
				return false;
		}
	}
	return true;
}

bool ref_walked_each(const struct ref_walked *mine, int64_t start, ref_access_fn *fn, void *opaque)
{
	for (const struct ref_walked *w = mine; w; w = w->before) {
		const struct ref_images images = ref_images_of(&w->op);

		for (uint32_t i = images.first; i < images.end; i++) {
			for (uint32_t at = 0; at < w->words * w->size; at += 2) {
				if (!fn(opaque, w->addr + i * w->pitch + at, w->write,
					start + w->first))
					return false;
			}
		}
	}
	return true;
}

struct ref_walked *ref_walked_take(struct ref_walked *list, struct ref_walked *mine, int64_t start)
{
	struct ref_walked *first = mine;

	if (!mine)
		return list;
	for (;; mine = mine->before) {
		mine->first += start;
		if (!mine->before)
			break;
	}
	mine->before = list;
	return first;
}

void ref_walked_free(struct ref_walked *list)
{
	while (list) {
		struct ref_walked *before = list->before;

		free(list);
		list = before;
	}
}
