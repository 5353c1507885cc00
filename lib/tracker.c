/* SPDX-License-Identifier: MIT */
/* The access tracker. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tracker.h"

#define MIN_ROOM  64
#define MAX_ROOM  4096
#define NUM_SLOTS 1024
#define CHUNK	  16 /* entries that are compared at once */
#define NOWHERE	  INT32_MAX

struct igrad_log_entry {
	struct igrad_region region;
	uint32_t number;
};

void igrad_tracker_init(struct igrad_tracker *tracker, unsigned int shift)
{
	memset(tracker, 0, sizeof(*tracker));
	tracker->shift = shift;
}

void igrad_tracker_fini(struct igrad_tracker *tracker)
{
	for (int engine = 0; engine < IGRAD_NUM_ENGINES; engine++)
		for (int write = 0; write < 2; write++)
			free(tracker->logs[engine][write].entries);
}

void igrad_tracker_reset(struct igrad_tracker *tracker)
{
	for (int engine = 0; engine < IGRAD_NUM_ENGINES; engine++)
		for (int write = 0; write < 2; write++)
			tracker->logs[engine][write].num = tracker->logs[engine][write].merged = 0;
}

/* ---------------------------------------------------------------- noting */

/* A log is one block: the entries, then the arrays, with room to look a chunk too far. Slots may
 * hold anything. */
static int grow(struct igrad_tracker_log *log)
{
	uint32_t room = log->room ? 2 * log->room : MIN_ROOM;
	struct igrad_tracker_log old = *log;

	log->entries = calloc(1, room * sizeof(*log->entries) +
					 2 * (room + CHUNK) * sizeof(*log->first) +
					 NUM_SLOTS * sizeof(*log->slots));
	if (!log->entries) {
		log->entries = old.entries;
		return -ENOMEM;
	}
	log->first = (int32_t *)(log->entries + room);
	log->last = log->first + room + CHUNK;
	log->slots = (uint32_t *)(log->last + room + CHUNK);
	log->room = room;
	if (old.room) {
		memcpy(log->entries, old.entries, old.num * sizeof(*old.entries));
		memcpy(log->first, old.first, old.num * sizeof(*old.first));
		memcpy(log->last, old.last, old.num * sizeof(*old.last));
		memcpy(log->slots, old.slots, NUM_SLOTS * sizeof(*old.slots));
	}
	free(old.entries);
	return 0;
}

static uint32_t *slot_of(struct igrad_tracker_log *log, const struct igrad_region *region)
{
	uint64_t hash = region->start * 0x9e3779b97f4a7c15u;

	hash = (hash ^ region->width ^ region->rows << 20) * 0xff51afd7ed558ccdu;
	hash = (hash ^ region->pitch) * 0xc4ceb9fe1a85ec53u;
	return &log->slots[(hash >> 40) % NUM_SLOTS];
}

static bool same(const struct igrad_region *a, const struct igrad_region *b)
{
	return a->start == b->start && a->width == b->width && a->pitch == b->pitch &&
	       a->rows == b->rows;
}

/* Forgets the first entries, and those that are stale. */
static void compact(struct igrad_tracker_log *log, uint32_t merge)
{
	uint32_t kept = 0;

	if (merge)
		log->merged = log->entries[merge - 1].number;
	for (uint32_t i = merge; i < log->num; i++) {
		if (log->first[i] == NOWHERE)
			continue;
		log->entries[kept] = log->entries[i];
		log->first[kept] = log->first[i];
		log->last[kept] = log->last[i];
		*slot_of(log, &log->entries[i].region) = kept++;
	}
	log->num = kept;
}

static int make_room(struct igrad_tracker_log *log)
{
	if (log->num < log->room)
		return 0;
	compact(log, 0);
	if (log->num < (log->room + 1) / 2)
		return 0;
	if (log->room < MAX_ROOM)
		return grow(log);
	compact(log, log->num / 2);
	return 0;
}

/* The same region again takes the place of the last time: that was before. */
static int note(struct igrad_tracker *tracker, const struct igrad_access *access)
{
	struct igrad_tracker_log *log = &tracker->logs[access->engine][access->write];
	int ret = make_room(log);
	uint32_t *slot;

	if (ret)
		return ret;
	slot = slot_of(log, &access->region);
	if (*slot < log->num && same(&log->entries[*slot].region, &access->region)) {
		log->first[*slot] = NOWHERE;
		log->last[*slot] = -1;
	}
	*slot = log->num;
	log->entries[log->num] = (struct igrad_log_entry){access->region, access->number};
	log->first[log->num] = (int32_t)(access->region.start >> tracker->shift);
	log->last[log->num] = (int32_t)((igrad_region_end(&access->region) - 1) >> tracker->shift);
	log->num++;
	return 0;
}

/* ---------------------------------------------------------------- looking */

/* How many of the entries are older than @number, or are it. */
static uint32_t known_entries(const struct igrad_tracker_log *log, uint32_t number)
{
	uint32_t low = 0, high = log->num;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (log->entries[middle].number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

typedef int32_t four __attribute__((vector_size(16)));

/* Looks at a whole chunk, also beyond the log's end: what is found is looked at again. */
static bool any_near(const struct igrad_tracker_log *log, uint32_t from, int32_t first,
		     int32_t last)
{
	uint64_t near[2];
	four any = {0};

	for (unsigned int i = 0; i < CHUNK; i += 4) {
		four firsts, lasts;

		memcpy(&firsts, log->first + from + i, sizeof(firsts));
		memcpy(&lasts, log->last + from + i, sizeof(lasts));
		any |= (firsts <= last) & (lasts >= first);
	}
	memcpy(near, &any, sizeof(near));
	return near[0] | near[1];
}

/* The last command after @known that met the region, or @known. */
static uint32_t last_meeting(const struct igrad_tracker_log *log, const struct igrad_region *region,
			     unsigned int shift, uint32_t known)
{
	int32_t first = (int32_t)(region->start >> shift);
	int32_t last = (int32_t)((igrad_region_end(region) - 1) >> shift);
	uint32_t to = log->num, stop;

	if (!to || log->entries[to - 1].number <= known)
		return log->merged > known ? log->merged : known;
	for (stop = known_entries(log, known); to > stop;) {
		uint32_t from = to - stop > CHUNK ? to - CHUNK : stop;

		for (uint32_t i = any_near(log, from, first, last) ? to : from; i-- > from;)
			if (log->first[i] <= last && log->last[i] >= first &&
			    igrad_region_overlap(&log->entries[i].region, region))
				return log->entries[i].number;
		to = from;
	}
	return log->merged > known ? log->merged : known;
}

int igrad_tracker_access(struct igrad_tracker *tracker, const struct igrad_access *access,
			 const uint32_t ended[IGRAD_NUM_ENGINES], uint32_t need[IGRAD_NUM_ENGINES])
{
	for (int engine = 0; engine < IGRAD_NUM_ENGINES; engine++) {
		uint32_t known = need[engine] > ended[engine] ? need[engine] : ended[engine];
		uint32_t last = known;

		if (engine == access->engine)
			continue;
		for (int write = access->write ? 0 : 1; write < 2; write++)
			last = last_meeting(&tracker->logs[engine][write], &access->region,
					    tracker->shift, last);
		if (last > known)
			need[engine] = last;
	}
	return note(tracker, access);
}
