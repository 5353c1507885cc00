/* SPDX-License-Identifier: MIT */
/*
 * Page-table walks, the TLB, and flushes that know when they have completed.
 *
 * An access registers itself before it looks up its first translation and leaves when its last byte
 * has moved. A flush drops the translations and takes a number; it has completed when no access is
 * registered that began before it. A walk that a flush overtook does not enter the TLB. The lock is
 * never held over a bus access, so a flush from a guest's CPU never waits for one.
 */
#include "igrad_mmu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define TLB_PAGES  1024
#define TLB_BLOCKS 64

struct translation {
	uint64_t root;
	uint64_t number; /* VA >> shift */
	uint64_t target; /* bus address of the page or block */
	bool valid;
	bool writable;
};

struct access {
	uint64_t ticket; /* of the last flush that this access cannot have missed */
	struct access *next;
};

struct igrad_mmu {
	struct igrad_bus bus;
	uint64_t root; /* of the space given out last */
	pthread_mutex_t lock;
	uint64_t flushes;
	struct access *accesses;
	struct translation pages[TLB_PAGES];
	struct translation blocks[TLB_BLOCKS];
};

struct igrad_mmu *igrad_mmu_new(const struct igrad_bus *bus)
{
	struct igrad_mmu *mmu = calloc(1, sizeof(*mmu));

	if (!mmu)
		return NULL;
	mmu->bus = *bus;
	pthread_mutex_init(&mmu->lock, NULL);
	return mmu;
}

void igrad_mmu_free(struct igrad_mmu *mmu)
{
	if (!mmu)
		return;
	pthread_mutex_destroy(&mmu->lock);
	free(mmu);
}

/* --------------------------------------------------------------------------------------------- */
/* Flushes and the accesses they wait for */
/* --------------------------------------------------------------------------------------------- */

static void begin_access(struct igrad_mmu *mmu, struct access *access)
{
	pthread_mutex_lock(&mmu->lock);
	access->ticket = mmu->flushes;
	access->next = mmu->accesses;
	mmu->accesses = access;
	pthread_mutex_unlock(&mmu->lock);
}

static void end_access(struct igrad_mmu *mmu, struct access *access)
{
	struct access **link = &mmu->accesses;

	pthread_mutex_lock(&mmu->lock);
	while (*link != access)
		link = &(*link)->next;
	*link = access->next;
	pthread_mutex_unlock(&mmu->lock);
}

static void forget(struct translation *translations, unsigned int count, uint64_t root)
{
	for (unsigned int i = 0; i < count; i++) {
		if (root == IGRAD_MMU_EVERY_ROOT || translations[i].root == root)
			translations[i].valid = false;
	}
}

uint64_t igrad_mmu_flush(struct igrad_mmu *mmu, uint64_t pt_root)
{
	uint64_t ticket;

	pthread_mutex_lock(&mmu->lock);
	forget(mmu->pages, TLB_PAGES, pt_root);
	forget(mmu->blocks, TLB_BLOCKS, pt_root);
	ticket = ++mmu->flushes;
	pthread_mutex_unlock(&mmu->lock);
	return ticket;
}

bool igrad_mmu_flushed(struct igrad_mmu *mmu, uint64_t ticket)
{
	bool flushed = true;

	pthread_mutex_lock(&mmu->lock);
	for (const struct access *access = mmu->accesses; access; access = access->next)
		flushed = flushed && access->ticket >= ticket;
	pthread_mutex_unlock(&mmu->lock);
	return flushed;
}

/* --------------------------------------------------------------------------------------------- */
/* Translations */
/* --------------------------------------------------------------------------------------------- */

static struct translation *slot(struct translation *translations, unsigned int count, uint64_t root,
				uint64_t number)
{
	return &translations[(number ^ (root >> IGRAD_PAGE_SHIFT) * 7) % count];
}

/* What the TLB knows of @va, or a walk found, as the page's translation. */
struct leaf {
	uint64_t base; /* first VA */
	uint64_t size;
	uint64_t target;
	bool writable;
};

static bool look_up(struct igrad_mmu *mmu, struct translation *translations, unsigned int count,
		    unsigned int shift, uint64_t va, struct leaf *leaf)
{
	const struct translation *found = slot(translations, count, mmu->root, va >> shift);

	if (!found->valid || found->root != mmu->root || found->number != va >> shift)
		return false;
	*leaf = (struct leaf){
		.base = found->number << shift,
		.size = 1ull << shift,
		.target = found->target,
		.writable = found->writable,
	};
	return true;
}

static bool cached(struct igrad_mmu *mmu, uint64_t va, struct leaf *leaf)
{
	bool hit;

	pthread_mutex_lock(&mmu->lock);
	hit = look_up(mmu, mmu->pages, TLB_PAGES, IGRAD_PAGE_SHIFT, va, leaf) ||
	      look_up(mmu, mmu->blocks, TLB_BLOCKS, IGRAD_BLOCK_SHIFT, va, leaf);
	pthread_mutex_unlock(&mmu->lock);
	return hit;
}

/* Remember a walk, unless a flush came after the access began and may have been meant for it. */
static void remember(struct igrad_mmu *mmu, const struct access *access, const struct leaf *leaf)
{
	const bool block = leaf->size == IGRAD_BLOCK_SIZE;
	const uint64_t number = leaf->base >> (block ? IGRAD_BLOCK_SHIFT : IGRAD_PAGE_SHIFT);
	struct translation *entry = slot(block ? mmu->blocks : mmu->pages,
					 block ? TLB_BLOCKS : TLB_PAGES, mmu->root, number);

	pthread_mutex_lock(&mmu->lock);
	if (access->ticket == mmu->flushes)
		*entry = (struct translation){
			.root = mmu->root,
			.number = number,
			.target = leaf->target,
			.valid = true,
			.writable = leaf->writable,
		};
	pthread_mutex_unlock(&mmu->lock);
}

static int refuse(struct igrad_fault *fault, enum igrad_reason reason, uint64_t va)
{
	*fault = (struct igrad_fault){.reason = reason, .addr = va};
	return -1;
}

static enum igrad_reason check_entry(uint64_t entry, int level)
{
	const bool block = entry & IGRAD_PTE_BLOCK;
	const bool leaf = block || !level;

	if (!(entry & IGRAD_PTE_VALID))
		return IGRAD_REASON_NOT_PRESENT;
	if (entry & ~(IGRAD_PTE_VALID | IGRAD_PTE_BLOCK | IGRAD_PTE_WRITE | IGRAD_PTE_ADDR))
		return IGRAD_REASON_BAD_PTE;
	if (block && (level != 1 || (entry & IGRAD_PTE_ADDR) % IGRAD_BLOCK_SIZE))
		return IGRAD_REASON_BAD_PTE;
	if (!leaf && (entry & IGRAD_PTE_WRITE))
		return IGRAD_REASON_BAD_PTE;
	return IGRAD_REASON_NONE;
}

static int walk(struct igrad_mmu *mmu, uint64_t va, struct leaf *leaf, struct igrad_fault *fault)
{
	uint64_t table = mmu->root;

	for (int level = IGRAD_PT_LEVELS - 1;; level--) {
		const unsigned int shift = IGRAD_PT_SHIFT(level);
		const uint64_t index = (va >> shift) % IGRAD_PT_ENTRIES;
		enum igrad_reason reason;
		uint64_t entry;

		if (mmu->bus.read(mmu->bus.opaque, table + index * 8, &entry, sizeof(entry)))
			return refuse(fault, IGRAD_REASON_TABLE_BUS, va);
		reason = check_entry(entry, level);
		if (reason)
			return refuse(fault, reason, va);
		table = entry & IGRAD_PTE_ADDR;
		if (level && !(entry & IGRAD_PTE_BLOCK))
			continue;
		*leaf = (struct leaf){
			.base = va & ~((1ull << shift) - 1),
			.size = 1ull << shift,
			.target = table,
			.writable = entry & IGRAD_PTE_WRITE,
		};
		return 0;
	}
}

static int translate(struct igrad_mmu *mmu, const struct access *access, uint64_t va,
		     struct leaf *leaf, struct igrad_fault *fault)
{
	if (cached(mmu, va, leaf))
		return 0;
	if (walk(mmu, va, leaf, fault))
		return -1;
	remember(mmu, access, leaf);
	return 0;
}

/* --------------------------------------------------------------------------------------------- */
/* Accesses */
/* --------------------------------------------------------------------------------------------- */

/* Move bytes up to the end of @va's page or block; returns how many, or -1. */
static int64_t move_piece(struct igrad_mmu *mmu, const struct access *access, uint64_t va,
			  uint8_t *into, const uint8_t *from, size_t len, struct igrad_fault *fault)
{
	struct leaf leaf;
	uint64_t offset;
	int refused;

	if (translate(mmu, access, va, &leaf, fault))
		return -1;
	if (from && !leaf.writable)
		return refuse(fault, IGRAD_REASON_READ_ONLY, va);
	offset = va - leaf.base;
	if (len > leaf.size - offset)
		len = leaf.size - offset;
	if (from)
		refused = mmu->bus.write(mmu->bus.opaque, leaf.target + offset, from, len);
	else
		refused = mmu->bus.read(mmu->bus.opaque, leaf.target + offset, into, len);
	return refused ? refuse(fault, IGRAD_REASON_BUS, va) : (int64_t)len;
}

static int move(struct igrad_mmu *mmu, uint64_t va, uint8_t *into, const uint8_t *from, size_t len,
		struct igrad_fault *fault)
{
	struct access access;
	int64_t moved = 0;

	if (igrad_va_check(va, len, fault))
		return -1;
	begin_access(mmu, &access);
	for (size_t at = 0; at < len && moved >= 0; at += (size_t)moved)
		moved = move_piece(mmu, &access, va + at, into ? into + at : NULL,
				   from ? from + at : NULL, len - at, fault);
	end_access(mmu, &access);
	return moved < 0 ? -1 : 0;
}

static int space_read(void *opaque, uint64_t va, void *buf, size_t len, struct igrad_fault *fault)
{
	return move(opaque, va, buf, NULL, len, fault);
}

static int space_write(void *opaque, uint64_t va, const void *buf, size_t len,
		       struct igrad_fault *fault)
{
	return move(opaque, va, NULL, buf, len, fault);
}

/* --------------------------------------------------------------------------------------------- */
/* Rows: translated first, then moved together */
/* --------------------------------------------------------------------------------------------- */

#define BATCH (2 * IGRAD_DMA_ROWS) /* a short row lies in two pages at most */

struct batch {
	struct igrad_segment segments[BATCH];
	uint64_t va[BATCH];
	unsigned int n;
	bool write;
	struct leaf leaf; /* of the segment before: rows often follow each other in a page */
};

static unsigned int move_segments(struct igrad_mmu *mmu, const struct batch *batch)
{
	unsigned int i;

	if (mmu->bus.move)
		return mmu->bus.move(mmu->bus.opaque, batch->segments, batch->n, batch->write);
	for (i = 0; i < batch->n; i++) {
		const struct igrad_segment *s = &batch->segments[i];

		if (batch->write ? mmu->bus.write(mmu->bus.opaque, s->addr, s->bytes, s->len)
				 : mmu->bus.read(mmu->bus.opaque, s->addr, s->bytes, s->len))
			break;
	}
	return i;
}

static int flush_batch(struct igrad_mmu *mmu, struct batch *batch, struct igrad_fault *fault)
{
	const unsigned int n = batch->n;
	const unsigned int moved = n ? move_segments(mmu, batch) : 0;

	batch->n = 0;
	return moved == n ? 0 : refuse(fault, IGRAD_REASON_BUS, batch->va[moved]);
}

/* What lies in one page or block; returns how many bytes, or -1. */
static int64_t add_segment(struct igrad_mmu *mmu, const struct access *access, struct batch *batch,
			   uint64_t va, uint8_t *bytes, size_t len, struct igrad_fault *fault)
{
	const struct leaf *leaf = &batch->leaf;
	uint64_t offset;

	if (va - leaf->base >= leaf->size && translate(mmu, access, va, &batch->leaf, fault))
		return -1;
	if (batch->write && !leaf->writable)
		return refuse(fault, IGRAD_REASON_READ_ONLY, va);
	offset = va - leaf->base;
	if (len > leaf->size - offset)
		len = leaf->size - offset;
	if (batch->n == BATCH && flush_batch(mmu, batch, fault))
		return -1;
	batch->va[batch->n] = va;
	batch->segments[batch->n++] = (struct igrad_segment){leaf->target + offset, bytes, len};
	return (int64_t)len;
}

static int add_row(struct igrad_mmu *mmu, const struct access *access, struct batch *batch,
		   uint64_t va, uint8_t *bytes, size_t len, struct igrad_fault *fault)
{
	int64_t added;

	if (igrad_va_check(va, len, fault))
		return -1;
	for (size_t at = 0; at < len; at += (size_t)added) {
		added = add_segment(mmu, access, batch, va + at, bytes + at, len - at, fault);
		if (added < 0)
			return -1;
	}
	return 0;
}

/* What comes before a fault is moved: it may have one of its own. */
static int space_rows(void *opaque, const struct igrad_rows *rows, bool write,
		      struct igrad_fault *fault)
{
	struct igrad_mmu *mmu = opaque;
	struct batch batch; /* large: its segments are better left alone */
	struct access access;
	struct igrad_fault earlier;
	int result = 0;

	batch.n = 0;
	batch.write = write;
	batch.leaf = (struct leaf){.size = 0};
	begin_access(mmu, &access);
	for (uint32_t i = 0; i < rows->rows && !result; i++)
		result = add_row(mmu, &access, &batch, rows->va + i * rows->pitch,
				 rows->bytes + i * rows->stride, rows->len, fault);
	if (flush_batch(mmu, &batch, &earlier)) {
		*fault = earlier;
		result = -1;
	}
	end_access(mmu, &access);
	return result;
}

struct igrad_space igrad_mmu_space(struct igrad_mmu *mmu, uint64_t pt_root)
{
	mmu->root = pt_root;
	return (struct igrad_space){
		.read = space_read, .write = space_write, .opaque = mmu, .rows = space_rows};
}
