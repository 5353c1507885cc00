/* SPDX-License-Identifier: MIT */
#include "shadow.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_SHIFT 12
#define PAGE_BYTES (1u << PAGE_SHIFT)

/*
 * The last write, and the last read of every engine that reads, as index + 1. An access before the
 * last write may be forgotten or stay: whatever is ordered after that write is ordered after it.
 */
struct unit {
	uint32_t write; /* the engine in its upper bits */
	uint32_t read[IGRAD_NUM_ENGINES - 1];
};

#define ENGINE_SHIFT 24
#define INDEX_MASK   ((1u << ENGINE_SHIFT) - 1)

/* LOAD reads no SRAM. */
_Static_assert(IGRAD_ENGINE_LOAD == 0, "readers are counted from 1");
_Static_assert(IGRAD_MAX_COMMANDS <= INDEX_MASK, "an index fits");

/* Units are words, or half-words once one half of a word has been accessed without the other. */
struct igrad_shadow_page {
	unsigned int shift;
	struct unit unit[];
};

bool igrad_shadow_init(struct igrad_shadow *shadow, uint32_t sram_bytes)
{
	shadow->count = (sram_bytes + PAGE_BYTES - 1) / PAGE_BYTES;
	shadow->pages = calloc(shadow->count, sizeof(*shadow->pages));
	return shadow->pages;
}

void igrad_shadow_reset(struct igrad_shadow *shadow)
{
	for (uint32_t i = 0; shadow->used && i < shadow->count; i++) {
		free(shadow->pages[i]);
		shadow->pages[i] = NULL;
	}
	shadow->used = false;
}

void igrad_shadow_destroy(struct igrad_shadow *shadow)
{
	if (shadow->pages)
		igrad_shadow_reset(shadow);
	free(shadow->pages);
}

static struct igrad_shadow_page *new_page(unsigned int shift)
{
	struct igrad_shadow_page *page =
		calloc(1, sizeof(*page) + sizeof(page->unit[0]) * (PAGE_BYTES >> shift));

	if (page)
		page->shift = shift;
	return page;
}

static struct igrad_shadow_page *halved(const struct igrad_shadow_page *from)
{
	struct igrad_shadow_page *page = new_page(from->shift - 1);

	for (uint32_t i = 0; page && i < PAGE_BYTES >> page->shift; i++)
		page->unit[i] = from->unit[i / 2];
	return page;
}

/* The page for @begin … @end, with units that are small enough; NULL without memory. */
static struct igrad_shadow_page *page_for(struct igrad_shadow *shadow, uint32_t begin, uint32_t end)
{
	struct igrad_shadow_page **slot = &shadow->pages[begin >> PAGE_SHIFT];
	const bool halves = (begin | end) % 4;

	shadow->used = true;
	if (!*slot) {
		*slot = new_page(halves ? 1 : 2);
	} else if (halves && (*slot)->shift > 1) {
		struct igrad_shadow_page *page = halved(*slot);

		if (!page)
			return NULL;
		free(*slot);
		*slot = page;
	}
	return *slot;
}

static void raise(uint32_t *value, uint32_t to)
{
	if (*value < to)
		*value = to;
}

static void note_unit(struct unit *unit, const struct igrad_touch *touch, uint32_t index)
{
	if (!touch->write)
		raise(&unit->read[touch->engine - 1], index + 1);
	else if ((unit->write & INDEX_MASK) <= index)
		unit->write = (uint32_t)touch->engine << ENGINE_SHIFT | (index + 1);
}

static bool note_row(struct igrad_shadow *shadow, uint32_t begin, uint32_t end,
		     const struct igrad_touch *touch, uint32_t index)
{
	while (begin < end) {
		const uint32_t page_end = (begin | (PAGE_BYTES - 1)) + 1;
		const uint32_t stop = end < page_end ? end : page_end;
		struct igrad_shadow_page *page = page_for(shadow, begin, stop);

		if (!page)
			return false;
		for (uint32_t at = begin; at < stop; at += 1u << page->shift)
			note_unit(&page->unit[at % PAGE_BYTES >> page->shift], touch, index);
		begin = stop;
	}
	return true;
}

bool igrad_shadow_note(struct igrad_shadow *shadow, const struct igrad_touch *touch, uint32_t index)
{
	const struct igrad_strided *region = &touch->region;
	uint32_t begin = (uint32_t)region->addr;

	for (uint32_t row = 0; row < region->rows; row++, begin += region->pitch) {
		if (!note_row(shadow, begin, begin + region->bytes, touch, index))
			return false;
	}
	return true;
}

static uint32_t unit_conflict(const struct unit *unit, const struct igrad_touch *touch,
			      const uint32_t before[])
{
	const uint32_t writer = unit->write >> ENGINE_SHIFT;
	uint32_t last = unit->write & INDEX_MASK;

	if (writer == touch->engine || last <= before[writer])
		last = 0;
	for (uint32_t e = 1; touch->write && e < IGRAD_NUM_ENGINES; e++) {
		if (e != touch->engine && unit->read[e - 1] > before[e])
			raise(&last, unit->read[e - 1]);
	}
	return last;
}

static uint32_t row_conflict(const struct igrad_shadow *shadow, uint32_t begin, uint32_t end,
			     const struct igrad_touch *touch, const uint32_t before[])
{
	uint32_t last = 0;

	while (begin < end) {
		const uint32_t page_end = (begin | (PAGE_BYTES - 1)) + 1;
		const uint32_t stop = end < page_end ? end : page_end;
		const struct igrad_shadow_page *page = shadow->pages[begin >> PAGE_SHIFT];

		for (uint32_t at = begin; page && at < stop;
		     at = ((at >> page->shift) + 1) << page->shift)
			raise(&last, unit_conflict(&page->unit[at % PAGE_BYTES >> page->shift],
						   touch, before));
		begin = stop;
	}
	return last;
}

uint32_t igrad_shadow_conflict(const struct igrad_shadow *shadow, const struct igrad_touch *touch,
			       const uint32_t before[IGRAD_NUM_ENGINES])
{
	const struct igrad_strided *region = &touch->region;
	uint32_t begin = (uint32_t)region->addr;
	uint32_t last = 0;

	for (uint32_t row = 0; row < region->rows; row++, begin += region->pitch)
		raise(&last, row_conflict(shadow, begin, begin + region->bytes, touch, before));
	return last;
}

/* --------------------------------------------------------------------------------------------- */
/* Checkpoints: the pages that there are, each with its number, and a number that is none */
/* --------------------------------------------------------------------------------------------- */

#define NO_PAGE UINT32_MAX

static void transfer_unit(struct unit *unit, struct igrad_serial *serial, uint32_t last)
{
	igrad_serial_u32(serial, &unit->write);
	igrad_serial_check(serial, unit->write >> ENGINE_SHIFT < IGRAD_NUM_ENGINES &&
					   (unit->write & INDEX_MASK) <= last + 1);
	for (unsigned int i = 0; i < IGRAD_NUM_ENGINES - 1; i++) {
		igrad_serial_u32(serial, &unit->read[i]);
		igrad_serial_check(serial, unit->read[i] <= last + 1);
	}
}

static void transfer_page(struct igrad_shadow_page **page, struct igrad_serial *serial,
			  uint32_t last)
{
	uint32_t shift = *page ? (*page)->shift : 0;

	igrad_serial_u32(serial, &shift);
	if (!igrad_serial_check(serial, shift == 1 || shift == 2))
		return;
	if (serial->loading)
		*page = new_page(shift);
	if (!igrad_serial_check(serial, *page))
		return;
	for (uint32_t i = 0; i < PAGE_BYTES >> shift && !serial->failed; i++)
		transfer_unit(&(*page)->unit[i], serial, last);
}

static void load_pages(struct igrad_shadow *shadow, struct igrad_serial *serial, uint32_t last)
{
	for (;;) {
		uint32_t page = NO_PAGE;

		igrad_serial_u32(serial, &page);
		if (serial->failed || page == NO_PAGE)
			return;
		if (!igrad_serial_check(serial, page < shadow->count && !shadow->pages[page]))
			return;
		shadow->used = true;
		transfer_page(&shadow->pages[page], serial, last);
	}
}

void igrad_shadow_transfer(struct igrad_shadow *shadow, struct igrad_serial *serial, uint32_t last)
{
	uint32_t none = NO_PAGE;

	if (serial->loading) {
		load_pages(shadow, serial, last);
		return;
	}
	for (uint32_t page = 0; shadow->used && page < shadow->count; page++) {
		if (!shadow->pages[page])
			continue;
		igrad_serial_u32(serial, &page);
		transfer_page(&shadow->pages[page], serial, last);
	}
	igrad_serial_u32(serial, &none);
}
