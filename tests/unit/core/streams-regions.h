/* SPDX-License-Identifier: MIT */
/* Regions of SRAM for random commands. */
#ifndef IGRAD_TEST_STREAMS_REGIONS_H
#define IGRAD_TEST_STREAMS_REGIONS_H

#include "streams.h"

struct region {
	uint32_t addr;
	uint32_t pitch;
	uint32_t end;
};

/** random_size - 1 … @most, the extremes often enough */
uint32_t random_size(struct rng *rng, uint32_t most);

/** place - room for @rows rows of @words words of @word bytes; false if there is none */
bool place(struct stream *s, uint32_t word, uint32_t rows, uint32_t words, struct region *region);

static inline bool disjoint(const struct region *a, const struct region *b)
{
	return a->end <= b->addr || b->end <= a->addr;
}

static inline bool same(const struct region *a, const struct region *b)
{
	return a->addr == b->addr && a->pitch == b->pitch;
}

static inline struct access reads(const struct region *region)
{
	return (struct access){.begin = region->addr, .end = region->end};
}

static inline struct access writes(const struct region *region)
{
	return (struct access){.written = true, .begin = region->addr, .end = region->end};
}

/* streams-layers.c */
bool random_norm(struct stream *s);
bool random_dropout(struct stream *s);
bool random_pool(struct stream *s);

#endif /* IGRAD_TEST_STREAMS_REGIONS_H */
