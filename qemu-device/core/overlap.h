/* SPDX-License-Identifier: MIT */
/*
 * The array with shadow registers: when does a command start that shares it with those before?
 *
 * Everything in the array travels as waves from PE(0,0), one PE a cycle east and south. Rows of
 * streams and updates take a cycle of every PE; swapping a loaded tile in and capturing one to be
 * drained take none. Waves keep program order, so one number says when the next can begin: all
 * times here are those of PE(0,0). What lies behind each rule is in the manual, section 7.
 */
#ifndef IGRAD_OVERLAP_H
#define IGRAD_OVERLAP_H

#include <stdbool.h>
#include <stddef.h>

#include "igrad/hw.h"
#include "serial.h"

/* Words of SRAM that a command reads or writes: row i, word j in cycle first + i·per_row +
 * j·per_word. */
struct igrad_words {
	uint32_t addr;
	uint32_t pitch;
	uint32_t bytes; /* of a word: 4, or 2 for bf16 */
	uint32_t rows;
	uint32_t words; /* a row */
	int64_t first;	/* relative to the command's start; then absolute */
	int64_t per_row;
	int64_t per_word;
	bool written;
	bool held; /* see struct igrad_held */
};

/* The images that rows walk over, and where they do: equal for operands that may share a pixel. */
struct igrad_images {
	uint16_t height;
	uint16_t width;
	uint16_t out_height;
	uint16_t out_width;
	uint16_t stride_y;
	uint16_t stride_x;
	uint16_t rest_y; /* of the tap, divided by the stride */
	uint16_t rest_x;
};

/*
 * Words that others see accessed all together, from the first cycle to the last: in @rows rows,
 * @first behind the address. But those that walk over the same images see row i at i + @place.
 */
struct igrad_held {
	uint32_t first;
	uint32_t rows;
	bool walks;
	struct igrad_images images;
	int64_t place;
};

#define IGRAD_MAX_WORDS 4 /* regions of a command: x, g, p read, p written */

struct igrad_overlap {
	uint64_t dispatched; /* the last command's semaphores had reached their values */
	uint64_t front;	     /* the next wave */
	uint64_t swap_w;     /* the last loaded w, acc became current */
	uint64_t swap_acc;
	uint64_t load; /* no load begins before */
	uint64_t fprop_end;
	uint64_t drains; /* so far */
	uint64_t drain;	 /* the last drain's start, and that of the one before */
	uint64_t drain_before;

	/* accesses that a later command could still meet */
	struct igrad_words *words;
	struct igrad_held *held; /* of those that are */
	size_t count;
	size_t room;
};

struct igrad_span {
	uint64_t start;
	uint64_t end;
};

void igrad_overlap_reset(struct igrad_overlap *overlap);
void igrad_overlap_destroy(struct igrad_overlap *overlap);

/** igrad_overlap_reserve - make room to remember one more command; returns false without memory */
bool igrad_overlap_reserve(struct igrad_overlap *overlap);

/**
 * igrad_overlap_place - start a command of the array as early as the array allows
 * @window: the array's
 * @ready: when its semaphores have reached their values
 *
 * Returns its start, and its end: when the last PE is done with it and its words have been moved.
 */
struct igrad_span igrad_overlap_place(struct igrad_overlap *overlap, uint32_t rows, uint32_t cols,
				      const struct igrad_cmd_window *window,
				      const struct igrad_cmd *cmd, uint64_t ready);

/** igrad_overlap_transfer - save or load; every word that is remembered lies within @sram_bytes */
void igrad_overlap_transfer(struct igrad_overlap *overlap, struct igrad_serial *serial,
			    uint32_t sram_bytes);

#endif /* IGRAD_OVERLAP_H */
