// SPDX-License-Identifier: MIT
/*
 * Where values live in the arena: a value's memory is taken when the first operation uses it, and
 * free behind the last that does.
 */
#include <errno.h>
#include <stdlib.h>

#include "nn.h"

#define LINE 64 /* each begins on a cache line of its own */

/* ---------------------------------------------------------------- lifetimes */

static void use(struct igrad_program *p, uint32_t view, uint32_t op)
{
	struct igrad_storage *storage;

	if (view == IGRAD_NONE)
		return;
	storage = &p->storages[p->views[view].storage];
	if (storage->first == IGRAD_NONE)
		storage->first = op;
	storage->last = op;
}

static void find_lifetimes(struct igrad_program *p)
{
	for (uint32_t i = 0; i < p->num_ops; i++) {
		const struct igrad_op *op = &p->ops[i];

		use(p, op->x, i);
		use(p, op->other, i);
		use(p, op->y, i);
		use(p, op->dy, i);
		use(p, op->dx, i);
		use(p, op->extra, i);
		use(p, op->extra2, i);
		use(p, op->dw, i);
		use(p, op->db, i);
	}
}

/* ---------------------------------------------------------------- places */

static uint64_t bytes_of(const struct igrad_storage *storage)
{
	uint64_t bytes = (uint64_t)storage->rows * storage->cols *
			 igrad_element_bytes(storage->dtype);

	return (bytes + LINE - 1) / LINE * LINE;
}

/* Of those in the arena, in the order of their places, so that gaps show. */
struct placed {
	const struct igrad_storage **at;
	uint32_t count;
};

static bool meet(const struct igrad_storage *a, const struct igrad_storage *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* The lowest gap that is large enough, between values that live at the same time. */
static uint64_t gap_for(const struct placed *placed, const struct igrad_storage *storage)
{
	uint64_t begin = 0, bytes = bytes_of(storage);

	for (uint32_t i = 0; i < placed->count; i++) {
		const struct igrad_storage *other = placed->at[i];

		if (!meet(storage, other))
			continue;
		if (other->offset >= begin + bytes)
			break;
		if (other->offset + bytes_of(other) > begin)
			begin = other->offset + bytes_of(other);
	}
	return begin;
}

static void insert(struct placed *placed, const struct igrad_storage *storage)
{
	uint32_t i = placed->count++;

	for (; i > 0 && placed->at[i - 1]->offset > storage->offset; i--)
		placed->at[i] = placed->at[i - 1];
	placed->at[i] = storage;
}

/* Large ones first: small ones find a gap more easily. */
static int by_size(const void *a, const void *b)
{
	const struct igrad_storage *const *x = a, *const *y = b;
	uint64_t size = bytes_of(*x), other = bytes_of(*y);

	if (size != other)
		return size < other ? 1 : -1;
	return *x < *y ? -1 : *x > *y; /* as they were written */
}

int igrad_program_lay_out(struct igrad_program *p)
{
	struct igrad_storage **order = calloc(p->num_storages, sizeof(struct igrad_storage *));
	struct placed placed = {calloc(p->num_storages, sizeof(struct igrad_storage *)), 0};
	uint32_t count = 0;
	int err = order && placed.at ? 0 : -ENOMEM;

	find_lifetimes(p);
	for (uint32_t i = 0; !err && i < p->num_storages; i++)
		if (p->storages[i].home == IGRAD_HOME_ARENA && p->storages[i].first != IGRAD_NONE)
			order[count++] = &p->storages[i];
	if (!err)
		qsort(order, count, sizeof(*order), by_size);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t end;

		order[i]->offset = gap_for(&placed, order[i]);
		end = order[i]->offset + bytes_of(order[i]);
		if (end > p->arena_size)
			p->arena_size = end;
		insert(&placed, order[i]);
	}
	free(order);
	free(placed.at);
	return err;
}
