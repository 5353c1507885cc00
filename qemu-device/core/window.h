/* SPDX-License-Identifier: MIT */
/*
 * Windows: which pixel of an image does a stream's row stand on, and which PEs take part? The only
 * place that knows; what streams multiply, count and interlock follows from here.
 */
#ifndef IGRAD_WINDOW_H
#define IGRAD_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "igrad/hw.h"

static inline uint32_t igrad_min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/** igrad_window_sound - may the registers hold this? Not what they hold before they are set */
bool igrad_window_sound(const struct igrad_cmd_window *window);

/* Pixels, numbered through all images. */
struct igrad_pixels {
	uint64_t first;
	uint64_t count;
};

/**
 * igrad_window_pixels - all pixels of the images that the stream @cmd walks over
 *
 * Returns false if the window is not set, the stream ends beyond IGRAD_MAX_OUTPUTS, or images up to
 * its last one have more than @most pixels.
 */
bool igrad_window_pixels(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd,
			 uint64_t most, struct igrad_pixels *pixels);

/** igrad_window_lanes - is it lanes of x that walk, rather than batch rows? */
static inline bool igrad_window_lanes(const struct igrad_cmd *cmd)
{
	return cmd->flags & IGRAD_FLAG_WINDOW && cmd->flags & IGRAD_FLAG_TRANSPOSE;
}

/** igrad_window_psums - is p of images, if anything is? Else x alone is */
static inline bool igrad_window_psums(const struct igrad_cmd *cmd)
{
	return cmd->opcode != IGRAD_OP_FPROP || cmd->flags & IGRAD_FLAG_SCATTER;
}

/** igrad_window_length - outputs that a stream walks over: a batch row each, or a lane */
static inline uint32_t igrad_window_length(const struct igrad_cmd *cmd)
{
	return igrad_window_lanes(cmd) ? cmd->u.array.rows : cmd->u.array.batch;
}

/** igrad_window_valid - how many outputs of a walk are valid */
uint32_t igrad_window_valid(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd);

/** igrad_window_output_valid - is the one with number @i of the walk? */
bool igrad_window_output_valid(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd,
			       uint32_t i);

/** igrad_num_positions - of the kernel, in the tile of @cmd; 1 without IGRAD_FLAG_TAPS */
static inline uint32_t igrad_num_positions(const struct igrad_cmd_window *window,
					   const struct igrad_cmd *cmd)
{
	const uint32_t words = cmd->flags & IGRAD_FLAG_TRANSPOSE ? cmd->u.array.batch
								 : cmd->u.array.rows;

	if (!(cmd->flags & IGRAD_FLAG_TAPS))
		return 1;
	return (words + window->channels - 1u) / window->channels;
}

/** igrad_window_words - of x, in a row: those at other positions are in other pixels */
static inline uint32_t igrad_window_words(const struct igrad_cmd_window *window,
					  const struct igrad_cmd *cmd)
{
	const uint32_t words = cmd->flags & IGRAD_FLAG_TRANSPOSE ? cmd->u.array.batch
								 : cmd->u.array.rows;

	return cmd->flags & IGRAD_FLAG_TAPS ? igrad_min_u32(window->channels, words) : words;
}

/** igrad_window_taps_fit - are the taps of all positions of a stream with IGRAD_FLAG_TAPS taps? */
bool igrad_window_taps_fit(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd);

/**
 * igrad_position - the part of @cmd at one of them: a command of its own, without the flag
 * @row: the first of its rows of the tile
 */
struct igrad_cmd igrad_position(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd,
				uint32_t index, uint32_t *row);

/* Consecutive valid rows of a stream, or lanes; their pixels are stride_x apart. */
struct igrad_run {
	uint32_t row;
	uint32_t count;
	uint64_t pixel; /* of the first */
};

/* Outputs of one axis that are valid: from first to end - 1. */
struct igrad_extent {
	uint32_t first;
	uint32_t end;
};

/* On its way along the valid rows of a stream, or its lanes. */
struct igrad_walk {
	const struct igrad_cmd_window *window;
	int32_t tap_y;
	int32_t tap_x;
	struct igrad_extent y;
	struct igrad_extent x;
	uint32_t begin; /* output number of row 0, or lane 0 */
	uint32_t next;	/* output number */
	uint32_t end;
};

void igrad_walk_begin(struct igrad_walk *walk, const struct igrad_cmd_window *window,
		      const struct igrad_cmd *cmd);

/** igrad_walk_next - the next run, of at most @most rows; returns false if there is none */
bool igrad_walk_next(struct igrad_walk *walk, uint32_t most, struct igrad_run *run);

/* PEs of a tile that take part: a rectangle. */
struct igrad_block {
	uint32_t row;
	uint32_t rows;
	uint32_t col;
	uint32_t cols;
};

/** igrad_num_blocks - of the tile of @cmd: a group each, or the tile without IGRAD_FLAG_GROUPS */
static inline uint32_t igrad_num_blocks(const struct igrad_cmd_window *window,
					const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;

	if (!(cmd->flags & IGRAD_FLAG_GROUPS))
		return 1;
	return igrad_min_u32((a->rows + window->group_rows - 1u) / window->group_rows,
			     (a->cols + window->group_cols - 1u) / window->group_cols);
}

static inline struct igrad_block igrad_block(const struct igrad_cmd_window *window,
					     const struct igrad_cmd *cmd, uint32_t index)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const uint32_t row = index * window->group_rows, col = index * window->group_cols;

	if (!(cmd->flags & IGRAD_FLAG_GROUPS))
		return (struct igrad_block){.rows = a->rows, .cols = a->cols};
	return (struct igrad_block){
		.row = row,
		.rows = igrad_min_u32(window->group_rows, a->rows - row),
		.col = col,
		.cols = igrad_min_u32(window->group_cols, a->cols - col),
	};
}

/** igrad_tile_rows - rows of p that loads and drains of the tile move */
static inline uint32_t igrad_tile_rows(const struct igrad_cmd_window *window,
				       const struct igrad_cmd *cmd)
{
	const uint32_t rows = cmd->u.array.rows;

	return cmd->flags & IGRAD_FLAG_GROUPS ? igrad_min_u32(window->group_rows, rows) : rows;
}

#endif /* IGRAD_WINDOW_H */
