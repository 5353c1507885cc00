/* SPDX-License-Identifier: MIT */
/* Report slots, and what can be read from a report. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reports.h"

#define SLOTS_PER_CHUNK 16

struct igrad_report_chunk {
	struct igrad_report_chunk *next;
	struct igrad_report_slot slots[SLOTS_PER_CHUNK];
};

/*
 * A buffer holds a reference to its device, and a queue's buffers live no longer than the queue;
 * so a chunk's buffer makes no cycle.
 */
static int add_chunk(struct igrad_queue *queue)
{
	struct igrad_report_chunk *chunk = calloc(1, sizeof(*chunk));
	struct igrad_buffer *buffer;
	int ret;

	if (!chunk)
		return -ENOMEM;
	ret = igrad_buffer_new(queue->device, SLOTS_PER_CHUNK * sizeof(struct igrad_report),
			       &buffer);
	if (ret) {
		free(chunk);
		return ret;
	}
	for (int i = 0; i < SLOTS_PER_CHUNK; i++) {
		chunk->slots[i].buffer = buffer;
		chunk->slots[i].offset = i * sizeof(struct igrad_report);
	}
	chunk->next = queue->reports;
	queue->reports = chunk;
	return 0;
}

static struct igrad_report_slot *find_slot(struct igrad_queue *queue, uint64_t completed)
{
	for (struct igrad_report_chunk *chunk = queue->reports; chunk; chunk = chunk->next) {
		for (int i = 0; i < SLOTS_PER_CHUNK; i++) {
			struct igrad_report_slot *slot = &chunk->slots[i];

			if (slot->state == SLOT_FREE ||
			    (slot->state == SLOT_ORPHANED && slot->seqno <= completed))
				return slot;
		}
	}
	return NULL;
}

/* The driver is asked how far it has come only when no slot is known to be free. */
static int find_or_add_slot(struct igrad_queue *queue, struct igrad_report_slot **slot)
{
	struct igrad_queue_error error;
	uint64_t completed;
	int ret;

	*slot = find_slot(queue, 0);
	if (*slot)
		return 0;
	if (queue->reports) {
		ret = queue->device->backend->queue_error(queue, &error, &completed);
		if (ret)
			return ret;
		*slot = find_slot(queue, completed);
		if (*slot)
			return 0;
	}
	ret = add_chunk(queue);
	if (!ret)
		*slot = find_slot(queue, 0);
	return ret;
}

int igrad_report_take(struct igrad_queue *queue, struct igrad_report_slot **slot)
{
	struct igrad_report *report;
	int ret;

	pthread_mutex_lock(&queue->lock);
	ret = find_or_add_slot(queue, slot);
	if (!ret)
		(*slot)->state = SLOT_TAKEN;
	pthread_mutex_unlock(&queue->lock);
	if (ret)
		return ret;

	report = (void *)((char *)(*slot)->buffer->map + (*slot)->offset);
	memset(report, 0, sizeof(*report));
	report->status = htole16(IGRAD_STATUS_NOT_WRITTEN);
	return 0;
}

void igrad_report_give_back(struct igrad_queue *queue, struct igrad_report_slot *slot,
			    uint64_t seqno)
{
	pthread_mutex_lock(&queue->lock);
	slot->state = seqno ? SLOT_ORPHANED : SLOT_FREE;
	slot->seqno = seqno;
	pthread_mutex_unlock(&queue->lock);
}

void igrad_reports_free(struct igrad_queue *queue)
{
	while (queue->reports) {
		struct igrad_report_chunk *chunk = queue->reports;

		queue->reports = chunk->next;
		igrad_buffer_unref(chunk->slots[0].buffer);
		free(chunk);
	}
}

static void to_host64(uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		words[i] = le64toh(words[i]);
}

void igrad_report_read(const struct igrad_report_slot *slot, struct igrad_report *report)
{
	memcpy(report, (char *)slot->buffer->map + slot->offset, sizeof(*report));
	report->version = le32toh(report->version);
	report->status = le16toh(report->status);
	report->reason = le16toh(report->reason);
	report->engine = le32toh(report->engine);
	report->command = le32toh(report->command);
	to_host64(&report->addr,
		  (sizeof(*report) - offsetof(struct igrad_report, addr)) / sizeof(uint64_t));
}

uint64_t igrad_report_sram_accesses(const struct igrad_report *report)
{
	uint64_t sum = 0;

	for (int operand = 0; operand < IGRAD_NUM_ACCESSES; operand++)
		if (operand != IGRAD_ACCESS_VECTOR_READ && operand != IGRAD_ACCESS_VECTOR_WRITE)
			sum += report->sram[0][operand] + report->sram[1][operand];
	return sum;
}
