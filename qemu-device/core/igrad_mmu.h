/* SPDX-License-Identifier: MIT */
/*
 * The device's MMU: walks the page tables of hw.h by bus reads and keeps translations in a TLB.
 * One struct igrad_mmu serves the thread that steps jobs; igrad_mmu_flush() may come from any
 * thread.
 */
#ifndef IGRAD_MMU_H
#define IGRAD_MMU_H

#include "igrad_core.h"

/** struct igrad_segment - bytes that are contiguous on the bus */
struct igrad_segment {
	uint64_t addr;
	uint8_t *bytes;
	size_t len;
};

/**
 * struct igrad_bus - how bus addresses are reached
 * @read: 0, or -1 when the bus refuses
 * @write: likewise
 * @move: several reads or writes in order; returns how many went well before one did not. NULL: one
 * by one will do
 */
struct igrad_bus {
	int (*read)(void *opaque, uint64_t addr, void *buf, size_t len);
	int (*write)(void *opaque, uint64_t addr, const void *buf, size_t len);
	void *opaque;
	unsigned int (*move)(void *opaque, const struct igrad_segment *segments, unsigned int n,
			     bool write);
};

struct igrad_mmu;

struct igrad_mmu *igrad_mmu_new(const struct igrad_bus *bus);
void igrad_mmu_free(struct igrad_mmu *mmu);

/**
 * igrad_mmu_space - the space seen through the page tables at bus address @pt_root
 *
 * One at a time: it takes the place of the one given out before.
 */
struct igrad_space igrad_mmu_space(struct igrad_mmu *mmu, uint64_t pt_root);

/** IGRAD_MMU_EVERY_ROOT - to igrad_mmu_flush(): every translation there is; no root is unaligned */
#define IGRAD_MMU_EVERY_ROOT UINT64_MAX

/**
 * igrad_mmu_flush - forget every translation of @pt_root
 *
 * Returns a ticket. The flush has completed when igrad_mmu_flushed() says so of the ticket: every
 * access that began before it has ended, and later ones walk the tables anew.
 */
uint64_t igrad_mmu_flush(struct igrad_mmu *mmu, uint64_t pt_root);
bool igrad_mmu_flushed(struct igrad_mmu *mmu, uint64_t ticket);

#endif /* IGRAD_MMU_H */
