/* SPDX-License-Identifier: MIT */
/*
 * Where the reports of a queue's jobs are written: slots in buffers that the queue owns. A slot
 * belongs to a fence; if that is dropped before the job has ended, the slot waits for the job.
 */
#ifndef IGRAD_REPORTS_H
#define IGRAD_REPORTS_H

#include "backend.h"

struct igrad_report_slot {
	enum { SLOT_FREE, SLOT_TAKEN, SLOT_ORPHANED } state;
	uint64_t seqno; /* of the job, while orphaned */
	struct igrad_buffer *buffer;
	uint64_t offset;
};

/* igrad_report_take - a slot whose report says that it has not been written */
int igrad_report_take(struct igrad_queue *queue, struct igrad_report_slot **slot);

/* igrad_report_give_back - @seqno: of a job that may still write it, or 0 */
void igrad_report_give_back(struct igrad_queue *queue, struct igrad_report_slot *slot,
			    uint64_t seqno);

void igrad_report_read(const struct igrad_report_slot *slot, struct igrad_report *report);

/* igrad_reports_free - all slots of a queue that is going away */
void igrad_reports_free(struct igrad_queue *queue);

#endif /* IGRAD_REPORTS_H */
