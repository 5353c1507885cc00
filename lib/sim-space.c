/* SPDX-License-Identifier: MIT */
/* The sim backend's address space: what page tables are to a real device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

void sim_space_init(struct sim_space *space)
{
	pthread_rwlock_init(&space->lock, NULL);
}

void sim_space_fini(struct sim_space *space)
{
	pthread_rwlock_destroy(&space->lock);
	free(space->buffers);
}

/* The number of buffers that begin at or below @va. */
static size_t count_up_to(const struct sim_space *space, uint64_t va)
{
	size_t low = 0, high = space->num;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (space->buffers[middle]->va <= va)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct sim_space *space)
{
	size_t room = space->room ? 2 * space->room : 64;
	struct igrad_buffer **grown;

	if (space->num < space->room)
		return 0;
	grown = realloc(space->buffers, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	space->buffers = grown;
	space->room = room;
	return 0;
}

/* First fit, with an unmapped page behind every buffer: running over its end is a fault. */
static int add_locked(struct sim_space *space, struct igrad_buffer *buffer, uint64_t mapped)
{
	uint64_t va = SIM_VA_START;
	size_t i;
	int ret;

	ret = make_room(space);
	if (ret)
		return ret;
	for (i = 0; i < space->num; i++) {
		const struct igrad_buffer *other = space->buffers[i];

		if (other->va - va >= mapped + IGRAD_PAGE_SIZE)
			break;
		va = other->va + sim_mapped(other->size) + IGRAD_PAGE_SIZE;
	}
	if (va >= IGRAD_VA_END || IGRAD_VA_END - va < mapped)
		return -ENOSPC;
	buffer->va = va;
	memmove(&space->buffers[i + 1], &space->buffers[i],
		(space->num - i) * sizeof(*space->buffers));
	space->buffers[i] = buffer;
	space->num++;
	return 0;
}

int sim_space_add(struct sim_space *space, struct igrad_buffer *buffer, uint64_t mapped)
{
	int ret;

	pthread_rwlock_wrlock(&space->lock);
	ret = add_locked(space, buffer, mapped);
	pthread_rwlock_unlock(&space->lock);
	return ret;
}

void sim_space_remove(struct sim_space *space, struct igrad_buffer *buffer)
{
	size_t i;

	pthread_rwlock_wrlock(&space->lock);
	i = count_up_to(space, buffer->va);
	memmove(&space->buffers[i - 1], &space->buffers[i],
		(space->num - i) * sizeof(*space->buffers));
	space->num--;
	pthread_rwlock_unlock(&space->lock);
}

/* The memory at @va and how much of it follows, or NULL. */
static char *lookup(const struct sim_space *space, uint64_t va, size_t *len)
{
	size_t i = count_up_to(space, va);
	const struct igrad_buffer *buffer = i ? space->buffers[i - 1] : NULL;
	uint64_t offset;

	if (!buffer || va - buffer->va >= sim_mapped(buffer->size))
		return NULL;
	offset = va - buffer->va;
	if (*len > sim_mapped(buffer->size) - offset)
		*len = sim_mapped(buffer->size) - offset;
	return (char *)buffer->map + offset;
}

static int fault(struct igrad_fault *fault, uint64_t va)
{
	bool in_range = va >= IGRAD_VA_MIN && va < IGRAD_VA_END;

	fault->reason = in_range ? IGRAD_REASON_NOT_PRESENT : IGRAD_REASON_VA_RANGE;
	fault->addr = va;
	return -1;
}

static int access_space(struct sim_space *space, uint64_t va, void *read_to, const void *write_from,
			size_t len, struct igrad_fault *report)
{
	int ret = 0;

	pthread_rwlock_rdlock(&space->lock);
	for (size_t done = 0; done < len && !ret;) {
		size_t part = len - done;
		char *memory = lookup(space, va + done, &part);

		if (!memory)
			ret = fault(report, va + done);
		else if (read_to)
			memcpy((char *)read_to + done, memory, part);
		else
			memcpy(memory, (const char *)write_from + done, part);
		done += part;
	}
	pthread_rwlock_unlock(&space->lock);
	return ret;
}

static int space_read(void *opaque, uint64_t va, void *buf, size_t len, struct igrad_fault *fault)
{
	return access_space(opaque, va, buf, NULL, len, fault);
}

static int space_write(void *opaque, uint64_t va, const void *buf, size_t len,
		       struct igrad_fault *fault)
{
	return access_space(opaque, va, NULL, buf, len, fault);
}

/* Rows that lie in one buffer, as nearly always: it is looked up once. */
static bool rows_at_once(struct sim_space *space, const struct igrad_rows *rows, bool write)
{
	const size_t span = (rows->rows - 1) * rows->pitch + rows->len;
	uint8_t *bytes = rows->bytes;
	size_t found = span;
	char *memory;

	pthread_rwlock_rdlock(&space->lock);
	memory = lookup(space, rows->va, &found);
	if (memory && found == span) {
		for (uint32_t i = 0; i < rows->rows; i++) {
			memcpy(write ? (void *)memory : bytes, write ? bytes : (void *)memory,
			       rows->len);
			memory += rows->pitch;
			bytes += rows->stride;
		}
	}
	pthread_rwlock_unlock(&space->lock);
	return memory && found == span;
}

static int space_rows(void *opaque, const struct igrad_rows *rows, bool write,
		      struct igrad_fault *fault)
{
	int ret = 0;

	if (rows_at_once(opaque, rows, write))
		return 0;
	for (uint32_t i = 0; i < rows->rows && !ret; i++) {
		const uint64_t va = rows->va + i * rows->pitch;
		uint8_t *bytes = rows->bytes + i * rows->stride;

		ret = write ? space_write(opaque, va, bytes, rows->len, fault)
			    : space_read(opaque, va, bytes, rows->len, fault);
	}
	return ret;
}

struct igrad_space sim_space_view(struct sim_space *space)
{
	return (struct igrad_space){
		.read = space_read,
		.write = space_write,
		.rows = space_rows,
		.opaque = space,
	};
}
