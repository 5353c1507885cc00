/* SPDX-License-Identifier: MIT */
/*
 * Who touched which bytes of an address space last: finds the commands that a new one must follow.
 *
 * Each engine has a log of the regions that it read and one of those that it wrote, in the order of
 * its commands. A new command looks at the ends of the other engines' logs, back to what it follows
 * already: the last entry there that meets its region says all about that log. Logs are limited:
 * what is oldest is merged into one entry for the whole space, and what is lost by that is only
 * freedom: a command may then wait for more than it needs to.
 */
#ifndef IGRAD_TRACKER_H
#define IGRAD_TRACKER_H

#include "igrad/hw.h"
#include "region.h"

struct igrad_log_entry;

/**
 * struct igrad_tracker_log - accesses of one kind by one engine
 * @first, @last: of every entry, the numbers of its first and last unit; a stale entry has none
 * @merged: the last command that is not among the entries any more
 */
struct igrad_tracker_log {
	struct igrad_log_entry *entries;
	int32_t *first, *last;
	uint32_t *slots;
	uint32_t num, room;
	uint32_t merged;
};

/* struct igrad_tracker - @shift: log2 of the unit by which regions are first compared */
struct igrad_tracker {
	struct igrad_tracker_log logs[IGRAD_NUM_ENGINES][2]; /* reads, writes */
	unsigned int shift;
};

/* struct igrad_access - what a command does; @number counts the commands of its engine from 1 */
struct igrad_access {
	struct igrad_region region;
	uint32_t number;
	uint8_t engine;
	bool write;
};

/* igrad_tracker_init - for addresses below 2^31 units */
void igrad_tracker_init(struct igrad_tracker *tracker, unsigned int shift);
void igrad_tracker_fini(struct igrad_tracker *tracker);

/* igrad_tracker_reset - forget everything */
void igrad_tracker_reset(struct igrad_tracker *tracker);

/**
 * igrad_tracker_access - note an access, inside the tracker's space
 * @ended: by engine: the last command that has ended before anyway
 * @need: by engine: raised to the number of the last command that must have ended before, if that
 *        is not sure
 *
 * Accesses of one engine are made in order, and never appear in @need.
 */
int igrad_tracker_access(struct igrad_tracker *tracker, const struct igrad_access *access,
			 const uint32_t ended[IGRAD_NUM_ENGINES], uint32_t need[IGRAD_NUM_ENGINES]);

#endif /* IGRAD_TRACKER_H */
