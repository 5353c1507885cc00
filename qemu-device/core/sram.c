/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

#define PAGE_BYTES 4096u

static uint32_t pages(const struct igrad_sram *sram)
{
	return (sram->size + PAGE_BYTES - 1) / PAGE_BYTES;
}

/* Zero pages come from the host as they are touched: a large SRAM costs what a job uses of it. */
int igrad_sram_init(struct igrad_sram *sram, uint32_t size)
{
	sram->size = size;
	sram->allocation = calloc(1, (size_t)size + 64);
	sram->dirty = calloc((pages(sram) + 63) / 64, sizeof(*sram->dirty));
	if (!sram->allocation || !sram->dirty)
		return -ENOMEM;
	sram->bytes = (uint8_t *)(((uintptr_t)sram->allocation + 63) & ~(uintptr_t)63);
	return 0;
}

void igrad_sram_destroy(struct igrad_sram *sram)
{
	free(sram->allocation);
	free(sram->dirty);
}

void igrad_sram_mark(struct igrad_sram *sram, uint64_t begin, uint64_t end)
{
	for (uint64_t page = begin / PAGE_BYTES; page * PAGE_BYTES < end; page++)
		sram->dirty[page / 64] |= 1ull << (page % 64);
}

static void scrub_page(struct igrad_sram *sram, uint32_t page)
{
	const uint32_t begin = page * PAGE_BYTES;
	const uint32_t left = sram->size - begin;

	memset(sram->bytes + begin, 0, left < PAGE_BYTES ? left : PAGE_BYTES);
}

void igrad_sram_scrub(struct igrad_sram *sram)
{
	for (uint32_t i = 0; i < (pages(sram) + 63) / 64; i++) {
		while (sram->dirty[i]) {
			const uint32_t bit = (uint32_t)__builtin_ctzll(sram->dirty[i]);

			scrub_page(sram, i * 64 + bit);
			sram->dirty[i] &= sram->dirty[i] - 1;
		}
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Checkpoints: the pages that a job has written, each with its number, and a number that is none */
/* --------------------------------------------------------------------------------------------- */

#define NO_PAGE UINT32_MAX

static bool dirty(const struct igrad_sram *sram, uint32_t page)
{
	return sram->dirty[page / 64] >> (page % 64) & 1;
}

static void transfer_page(struct igrad_sram *sram, struct igrad_serial *serial, uint32_t page)
{
	const uint32_t begin = page * PAGE_BYTES;
	const uint32_t left = sram->size - begin;

	igrad_serial_bytes(serial, sram->bytes + begin, left < PAGE_BYTES ? left : PAGE_BYTES);
}

static void save_pages(struct igrad_sram *sram, struct igrad_serial *serial)
{
	uint32_t none = NO_PAGE;

	for (uint32_t page = 0; page < pages(sram) && !serial->failed; page++) {
		if (!dirty(sram, page))
			continue;
		igrad_serial_u32(serial, &page);
		transfer_page(sram, serial, page);
	}
	igrad_serial_u32(serial, &none);
}

/* In increasing order, so that there are not more of them than pages. */
static void load_pages(struct igrad_sram *sram, struct igrad_serial *serial)
{
	uint32_t next = 0;

	for (;;) {
		uint32_t page = NO_PAGE;

		igrad_serial_u32(serial, &page);
		if (serial->failed || page == NO_PAGE)
			return;
		if (!igrad_serial_check(serial, page >= next && page < pages(sram)))
			return;
		igrad_sram_mark(sram, (uint64_t)page * PAGE_BYTES, (uint64_t)page * PAGE_BYTES + 1);
		transfer_page(sram, serial, page);
		next = page + 1;
	}
}

/* What is loaded comes into an SRAM that has been scrubbed. */
void igrad_sram_transfer(struct igrad_sram *sram, struct igrad_serial *serial)
{
	if (serial->loading)
		load_pages(sram, serial);
	else
		save_pages(sram, serial);
}
