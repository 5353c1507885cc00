/* SPDX-License-Identifier: MIT */
/*
 * Who touched which bytes of an address space last: finds the commands that a new one must follow.
 *
 * The space is cut into granules, each with a short list of recent accesses. An access that a later
 * one makes irrelevant is dropped; when a list is full its older half is merged into one entry for
 * the whole granule. So the cost of an access is bounded by the granules it touches, and what is
 * lost by merging is only freedom: a command may then wait for more than it needs to.
 */
#ifndef IGRAD_TRACKER_H
#define IGRAD_TRACKER_H

#include "igrad/hw.h"
#include "region.h"

struct igrad_granule;

struct igrad_tracker {
	struct igrad_granule *granules;
	uint64_t num_granules;
	unsigned int shift;
};

/* struct igrad_access - what a command does; @number counts the commands of its engine from 1 */
struct igrad_access {
	struct igrad_region region;
	uint32_t number;
	uint8_t engine;
	bool write;
};

int igrad_tracker_init(struct igrad_tracker *tracker, uint64_t size);
void igrad_tracker_fini(struct igrad_tracker *tracker);

/* igrad_tracker_reset - forget everything */
void igrad_tracker_reset(struct igrad_tracker *tracker);

/**
 * igrad_tracker_access - note an access, inside the tracker's space
 * @need: by engine: raised to the number of the last command that must have ended before
 *
 * Accesses of one engine are made in order, and never appear in @need.
 */
int igrad_tracker_access(struct igrad_tracker *tracker, const struct igrad_access *access,
			 uint32_t need[IGRAD_NUM_ENGINES]);

#endif /* IGRAD_TRACKER_H */
