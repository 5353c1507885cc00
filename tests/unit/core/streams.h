/* SPDX-License-Identifier: MIT */
/* Random command streams of all engines, well-formed and free of hazards. */
#ifndef IGRAD_TEST_STREAMS_H
#define IGRAD_TEST_STREAMS_H

#include "rig.h"

#define STREAM_SRAM (64u << 10) /* at most */

/* Memory of a stream: what SRAM is loaded with, labels, what is stored. */
#define STREAM_IMAGE   RIG_DATA
#define STREAM_LABELS  (STREAM_IMAGE + STREAM_SRAM)
#define STREAM_RESULTS (STREAM_LABELS + STREAM_SRAM)
#define STREAM_MEMORY  (4 * STREAM_SRAM) /* bytes from RIG_DATA on */

#define STREAM_MOST	96
#define STREAM_ACCESSES 6 /* of a command */

/* Bytes from the first to the last of a region, in SRAM or in memory. */
struct access {
	bool memory;
	bool written;
	uint64_t begin;
	uint64_t end;
};

struct issued {
	enum igrad_engine engine;
	unsigned int num_accesses;
	struct access access[STREAM_ACCESSES];
	/* of each engine, how many commands are ordered before this one or are it */
	unsigned int after[IGRAD_NUM_ENGINES];
};

struct stream {
	struct rng *rng;
	struct igrad_config config;
	bool bf16; /* operands may be */
	struct igrad_cmd cmds[STREAM_MOST];
	unsigned int count;

	/* streams-order.c */
	struct issued issued[STREAM_MOST];
	unsigned int issued_by[IGRAD_NUM_ENGINES];
	unsigned int known[IGRAD_NUM_ENGINES][IGRAD_NUM_ENGINES];
	uint32_t signalled[IGRAD_NUM_SEMAPHORES];
	unsigned int signaller[IGRAD_NUM_SEMAPHORES][STREAM_MOST]; /* of each value, from 1 */

	uint8_t *memory;
	uint32_t labels_used;
	struct igrad_cmd_window window; /* as last set, if it was */
};

/** stream_make - a random stream for a device of @s->config, and its data in @memory */
void stream_make(struct stream *s, struct rng *rng, uint8_t *memory);

/**
 * stream_emit - append a command that @accesses say touches, with waits that order it behind every
 * earlier command of another engine that it must follow, and a few more; and perhaps a signal
 */
void stream_emit(struct stream *s, struct igrad_cmd cmd, const struct access *accesses,
		 unsigned int num_accesses);

#endif /* IGRAD_TEST_STREAMS_H */
