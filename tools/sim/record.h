/* SPDX-License-Identifier: MIT */
/* What a device did when: the commands that it executed, with their cycles. */
#ifndef IGRAD_SIM_RECORD_H
#define IGRAD_SIM_RECORD_H

#include "cost.h"

/**
 * struct event - a command that was executed
 * @start, @end: it held its engine, @end excluded
 * @completed: what it did can be seen, as DMA has latency
 */
struct event {
	uint64_t job;
	uint64_t start;
	uint64_t end;
	uint64_t completed;
	enum igrad_engine engine;
	struct igrad_cmd cmd;
};

/** struct record - events in program order; @lost: there was no memory for all of them */
struct record {
	struct event *events;
	size_t count;
	size_t room;
	bool lost;
};

/** record_start - from now on, of all jobs of the simulator; @record is empty */
int record_start(struct record *record, struct simulator *sim, struct igrad_error *error);

/** record_stop - -ENOMEM if something was lost */
int record_stop(struct record *record, struct simulator *sim, struct igrad_error *error);
void record_fini(struct record *record);

#endif /* IGRAD_SIM_RECORD_H */
