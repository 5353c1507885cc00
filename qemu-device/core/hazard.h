/* SPDX-License-Identifier: MIT */
/*
 * Hazards: accesses to the same bytes by different engines, one of them a write, that no chain of
 * semaphores orders. Found from what commands touch and wait for, so independent of timing; exact;
 * and before the later command has taken effect.
 *
 * Every engine has a log of the regions that it read and one of those that it wrote, in program
 * order. A new command is compared with the ends of the other engines' logs, with what it is not
 * ordered after: what could be in flight beside it. So a stream that keeps its engines in step
 * costs little, however long it is.
 *
 * A log of SRAM regions has a limit. What is oldest then moves to a shadow of SRAM, word by word,
 * unless every engine is ordered after it already: a region for each that comes. So memory is
 * bounded by the SRAM, and the time that a command takes by the words that it touches and those of
 * as many regions before. Logs of DRAM regions forget what the other DMA engine is ordered after,
 * and are bounded by the commands of a job.
 */
#ifndef IGRAD_HAZARD_H
#define IGRAD_HAZARD_H

#include "igrad/hw.h"
#include "shadow.h"
#include "strided.h"

/* A region is looked for in the slots of its bucket. */
#define IGRAD_HAZARD_BUCKETS 512
#define IGRAD_HAZARD_SLOTS   4

struct igrad_areas;

/* Regions in the order of their last access; positions head … tail - 1. */
struct igrad_log {
	/* first and last byte, or page of DRAM; nothing is inside those of an entry that is stale
	 */
	int32_t *first;
	int32_t *last;
	uint32_t *index; /* command */
	struct igrad_strided *region;
	uint32_t head;
	uint32_t tail;
	uint32_t room;
	uint32_t live;	  /* entries that are not stale */
	uint32_t evicted; /* index + 1 of the last that moved to the shadow */
	uint16_t slot[IGRAD_HAZARD_BUCKETS][IGRAD_HAZARD_SLOTS]; /* positions, or anything */
};

enum { IGRAD_LOG_READS, IGRAD_LOG_WRITES };

struct igrad_hazards {
	struct igrad_log sram[IGRAD_NUM_ENGINES][2];
	struct igrad_log dram[2]; /* of LOAD, which reads, and STORE, which writes */
	struct igrad_shadow shadow;
	uint32_t max_live; /* regions of a log of SRAM */
};

bool igrad_hazards_init(struct igrad_hazards *hazards, uint32_t sram_bytes);
void igrad_hazards_destroy(struct igrad_hazards *hazards);
void igrad_hazards_reset(struct igrad_hazards *hazards);

/**
 * igrad_hazards_check - is a command ordered after all that it must be ordered after?
 * @index: the command's, above those before
 * @areas: of SRAM that it touches
 * @known: by engine, what its last command was ordered after: the commands of each engine below
 *         this index. That of @engine is what the command itself is ordered after
 * @conflict: set to the last command before that it should have been ordered after, if not
 *
 * Returns IGRAD_REASON_NONE, and notes the command; _HAZARD; or _INTERNAL without memory.
 */
enum igrad_reason igrad_hazards_check(struct igrad_hazards *hazards, const struct igrad_cmd *cmd,
				      enum igrad_engine engine, uint32_t index,
				      const struct igrad_areas *areas,
				      const uint32_t known[][IGRAD_NUM_ENGINES],
				      uint32_t *conflict);

/**
 * igrad_hazards_transfer - save, or load into what was reset
 * @next: index of the next command, which may be noted already
 */
void igrad_hazards_transfer(struct igrad_hazards *hazards, struct igrad_serial *serial,
			    uint32_t next, uint32_t sram_bytes);

#endif /* IGRAD_HAZARD_H */
