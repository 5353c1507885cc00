/* SPDX-License-Identifier: MIT */
/* Random windows, and streams that walk over images with them. */
#ifndef IGRAD_TEST_WINDOWS_H
#define IGRAD_TEST_WINDOWS_H

#include "rig.h"

/**
 * window_make - a WINDOW command: any small images, strides and outputs, also ill-matched ones
 *
 * Groups of an array of @most rows and columns; or none.
 */
struct igrad_cmd window_make(struct rng *rng, uint32_t most);

/* Of the operands of a stream, from their addresses on: rows, or pixels, and the words of each. */
struct window_rows {
	uint32_t x;
	uint32_t x_words;
	uint32_t p;
	uint32_t p_words;
};

/**
 * window_stream - make the stream @cmd, without flags for how x and p lie, one over images
 *
 * Its tap leaves many rows valid, or few, or none. Returns what must be inside SRAM.
 */
struct window_rows window_stream(struct rng *rng, const struct igrad_cmd_window *window,
				 struct igrad_cmd *cmd);

/** window_groups - with IGRAD_FLAG_GROUPS now and then, if the window and other flags allow it */
uint16_t window_groups(struct rng *rng, const struct igrad_cmd_window *window, uint16_t flags);

/** random_windows - a command of pooling whose images and outputs are small; false: none found */
bool random_windows(struct rng *rng, struct igrad_cmd *cmd);

#endif /* IGRAD_TEST_WINDOWS_H */
