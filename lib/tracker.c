/* SPDX-License-Identifier: MIT */
/* The access tracker. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tracker.h"

#define MIN_SHIFT    10 /* a granule of 1 KiB holds a few rows of a tile */
#define MAX_GRANULES 16384
#define MAX_ACCESSES 64
#define MIN_ACCESSES 4

struct igrad_granule {
	struct igrad_access *accesses; /* in the order they were made */
	unsigned int num, room;
	uint32_t merged[2][IGRAD_NUM_ENGINES]; /* last command that read, that wrote */
};

int igrad_tracker_init(struct igrad_tracker *tracker, uint64_t size)
{
	tracker->shift = MIN_SHIFT;
	while ((size - 1) >> tracker->shift >= MAX_GRANULES)
		tracker->shift++;
	tracker->num_granules = ((size - 1) >> tracker->shift) + 1;
	tracker->granules = calloc(tracker->num_granules, sizeof(*tracker->granules));
	return tracker->granules ? 0 : -ENOMEM;
}

void igrad_tracker_fini(struct igrad_tracker *tracker)
{
	if (tracker->granules)
		igrad_tracker_reset(tracker);
	free(tracker->granules);
	tracker->granules = NULL;
}

void igrad_tracker_reset(struct igrad_tracker *tracker)
{
	for (uint64_t i = 0; i < tracker->num_granules; i++)
		free(tracker->granules[i].accesses);
	memset(tracker->granules, 0, tracker->num_granules * sizeof(*tracker->granules));
}

static void raise(uint32_t *value, uint32_t to)
{
	if (*value < to)
		*value = to;
}

static void merge_oldest(struct igrad_granule *granule, unsigned int num)
{
	for (unsigned int i = 0; i < num; i++) {
		const struct igrad_access *old = &granule->accesses[i];

		raise(&granule->merged[old->write][old->engine], old->number);
	}
	granule->num -= num;
	memmove(granule->accesses, granule->accesses + num,
		granule->num * sizeof(*granule->accesses));
}

static int append(struct igrad_granule *granule, const struct igrad_access *access)
{
	if (granule->num == MAX_ACCESSES)
		merge_oldest(granule, MAX_ACCESSES / 2);
	if (granule->num == granule->room) {
		unsigned int room = granule->room ? 2 * granule->room : MIN_ACCESSES;
		struct igrad_access *grown = realloc(granule->accesses,
						     room * sizeof(*granule->accesses));

		if (!grown)
			return -ENOMEM;
		granule->accesses = grown;
		granule->room = room;
	}
	granule->accesses[granule->num++] = *access;
	return 0;
}

static void need_merged(const struct igrad_granule *granule, const struct igrad_access *access,
			uint32_t need[])
{
	for (unsigned int engine = 0; engine < IGRAD_NUM_ENGINES; engine++) {
		if (engine == access->engine)
			continue;
		raise(&need[engine], granule->merged[true][engine]);
		if (access->write)
			raise(&need[engine], granule->merged[false][engine]);
	}
}

/*
 * Will every later access that conflicts with the old one conflict with the new one too, and be
 * ordered after the old one by that? A write follows everything it covers; a read only follows
 * reads of its own engine.
 */
static bool supersedes(const struct igrad_access *access, const struct igrad_access *old,
		       uint64_t start, uint64_t end)
{
	if (!access->write && (old->write || old->engine != access->engine))
		return false;
	/* Most tiles of a matrix lie apart: that is seen at once. */
	if (access->region.rows > 1 && (old->region.start < access->region.start ||
					old->region.start >= igrad_region_end(&access->region)))
		return false;
	return igrad_region_covers(&access->region, &old->region, start, end);
}

static int granule_access(struct igrad_tracker *tracker, uint64_t index,
			  const struct igrad_access *access, uint32_t need[])
{
	struct igrad_granule *granule = &tracker->granules[index];
	uint64_t start = index << tracker->shift, end = start + (1ull << tracker->shift);
	unsigned int kept = 0;

	need_merged(granule, access, need);
	for (unsigned int i = 0; i < granule->num; i++) {
		const struct igrad_access *old = &granule->accesses[i];

		if (old->engine != access->engine && (old->write || access->write) &&
		    old->number > need[old->engine] &&
		    igrad_region_overlap(&old->region, &access->region))
			need[old->engine] = old->number;
		if (supersedes(access, old, start, end))
			continue;
		if (kept < i)
			granule->accesses[kept] = *old;
		kept++;
	}
	granule->num = kept;
	return append(granule, access);
}

static int span_access(struct igrad_tracker *tracker, uint64_t first, uint64_t last,
		       const struct igrad_access *access, uint32_t need[])
{
	for (uint64_t i = first; i <= last; i++) {
		int ret = granule_access(tracker, i, access, need);

		if (ret)
			return ret;
	}
	return 0;
}

int igrad_tracker_access(struct igrad_tracker *tracker, const struct igrad_access *access,
			 uint32_t need[IGRAD_NUM_ENGINES])
{
	const struct igrad_region *region = &access->region;
	uint64_t next = region->start >> tracker->shift;
	uint64_t start = region->start;

	if (region->pitch >> tracker->shift == 0)
		return span_access(tracker, next, (igrad_region_end(region) - 1) >> tracker->shift,
				   access, need);

	for (uint64_t row = 0; row < region->rows; row++, start += region->pitch) {
		uint64_t first = start >> tracker->shift;
		uint64_t last = (start + region->width - 1) >> tracker->shift;
		int ret;

		ret = span_access(tracker, first > next ? first : next, last, access, need);
		if (ret)
			return ret;
		next = last + 1;
	}
	return 0;
}
