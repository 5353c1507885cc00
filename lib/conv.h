/* SPDX-License-Identifier: MIT */
/*
 * A convolution cut into slabs of images that fit SRAM, and its weights into tiles that fit the
 * array. Internal.
 *
 * A slab is a number of whole images, or rows of pixels of one. Which way an image is cut follows
 * from the order of sums: forward, a slab is output rows, and input rows at its edges are loaded
 * twice; backward, a slab is *input* rows, so that everything that a pixel of dX sums up happens in
 * one slab, and rows of dY are loaded twice. Both ways what is summed up over images, rows and
 * columns goes on in increasing order from slab to slab.
 */
#ifndef IGRAD_LIB_CONV_H
#define IGRAD_LIB_CONV_H

#include "igrad/conv.h"
#include "sram.h"

/**
 * struct igrad_slab - part of the images
 * @image: the first one
 * @images: how many; 1 unless they are whole
 * @y: first row of input pixels; @rows: how many
 * @oy: first row of outputs; @orows: how many
 */
struct igrad_slab {
	uint32_t image;
	uint32_t images;
	uint32_t y;
	uint32_t rows;
	uint32_t oy;
	uint32_t orows;
};

/**
 * struct igrad_cut - how images are cut into slabs
 * @images: whole images of a slab, or 1
 * @rows: of outputs (forward) or inputs (backward) of a slab; fewer than all only with one image
 * @slots: slabs in SRAM at a time: 2, one being loaded while the other is worked on, or 1
 */
struct igrad_cut {
	uint32_t images;
	uint32_t rows;
	uint32_t slots;
};

/**
 * struct igrad_conv_plan - how a pass is done
 * @schedule: of a backward pass, never auto
 * @divisor: slabs are so many times smaller than the largest that fit
 * @slices: of in-channels (backward) or out-channels (forward), as if they were layers of their
 * own: so many, of whole tiles; what the others see is loaded for each
 * @resident: weights, and their sums, stay in SRAM
 * @x_stationary: ws: dW with x stationary, out-channels of dY streamed; else with dY stationary
 */
struct igrad_conv_plan {
	enum igrad_schedule schedule;
	uint32_t divisor;
	uint32_t slices;
	bool resident;
	bool x_stationary;
};

/**
 * struct igrad_conv - a convolution (of one group) being turned into commands
 * @shape: with the group's channels, or a slice of them
 * @first_in: where in the matrix of weights a slice of in-channels begins
 * @whole_in: in-channels that this has
 * @out_height: of an output image; @out_width
 * @tile: in-channels (perhaps of several positions of the kernel) × out-channels that a tile of the
 *        weights has at most
 * @positions: of the kernel that a tile has at most
 * @in_last: of tiles at a position, those of other out-channels come first, for dX; else those of
 *           other in-channels, for y
 * @sram: what is left of it
 */
struct igrad_conv {
	struct igrad_emitter e;
	struct igrad_conv_shape shape;
	struct igrad_conv_plan plan;
	uint32_t first_in;
	uint32_t whole_in;
	uint32_t out_height;
	uint32_t out_width;
	struct igrad_size tile;
	uint32_t positions;
	bool in_last;
	struct igrad_sram sram;
};

/**
 * struct igrad_tap - a tile of the weights, at one position of the kernel
 * @ky: row of the kernel; @kx: column; of several positions, the first
 * @positions: how many, in row-major order
 * @i: first in-channel; @o: first out-channel
 * @channels: in-channels at each position
 * @size: in-channels of all of them × out-channels
 * @index: counts tiles from 0, in the order in which they are visited
 */
struct igrad_tap {
	uint32_t ky;
	uint32_t kx;
	uint32_t positions;
	uint32_t i;
	uint32_t o;
	uint32_t channels;
	struct igrad_size size;
	uint32_t index;
};

/** igrad_conv_open - a group of a convolution, with tiles of the array's size */
int igrad_conv_open(struct igrad_conv *conv, struct igrad_cmdbuf *cmdbuf,
		    const struct igrad_conv_shape *shape, const struct igrad_conv_plan *plan);

/** igrad_conv_pack - let tiles have as many positions as they have room for, or one each; in slices
 * the weights of several are not together */
void igrad_conv_pack(struct igrad_conv *conv, bool pack);

/** igrad_conv_check - is @m what a matrix of @rows × @cols is to be? NULL is fine */
int igrad_conv_check(const struct igrad_matrix *m, uint64_t rows, uint32_t cols);

/** igrad_conv_columns - the columns of @m that belong to group @group of @groups; NULL stays NULL
 */
const struct igrad_matrix *igrad_conv_columns(const struct igrad_matrix *m, uint32_t group,
					      uint32_t groups, struct igrad_matrix *part);

/** igrad_conv_alloc - SRAM for the rest of the operation; the emitter fails with -ENOSPC */
uint32_t igrad_conv_alloc(struct igrad_conv *conv, uint64_t bytes);

/** igrad_conv_slice - the columns of @m from @first on; NULL stays NULL */
const struct igrad_matrix *igrad_conv_slice(const struct igrad_matrix *m, uint32_t first,
					    uint32_t cols, struct igrad_matrix *part);

/** igrad_conv_slice_width - channels of each of @slices slices but the last, in tiles of @tile */
uint32_t igrad_conv_slice_width(uint32_t channels, uint32_t tile, uint32_t slices);

/**
 * igrad_conv_cut - the largest slabs that fit
 * @bytes: that a slab of so many images and rows takes
 * @rows: rows of a whole image
 */
struct igrad_cut igrad_conv_cut(struct igrad_conv *conv,
				uint64_t (*bytes)(const struct igrad_conv *conv, uint32_t images,
						  uint32_t rows),
				uint32_t rows);

/** igrad_conv_first_tap, igrad_conv_next_tap - tiles in the order of (ky, kx), which is right for
 * all sums; next returns false after the last */
void igrad_conv_first_tap(const struct igrad_conv *conv, struct igrad_tap *tap);
bool igrad_conv_next_tap(const struct igrad_conv *conv, struct igrad_tap *tap);

/** igrad_conv_window - streams of @slab walk over its images */
void igrad_conv_window(struct igrad_conv *conv, const struct igrad_slab *slab);

/** igrad_conv_flags - of streams of x, for a tile: does it have several positions? */
static inline uint16_t igrad_conv_flags(const struct igrad_tap *tap)
{
	return tap->positions > 1 ? IGRAD_FLAG_TAPS : 0;
}

/* Outputs of a slab, counted from its first: @begin … @end - 1. */
struct igrad_outputs {
	uint32_t begin;
	uint32_t end;
};

/**
 * igrad_conv_outputs - those that may see one of the slab's pixels with the weights of @tap
 *
 * There may be none. Of a slab of several images all do.
 */
struct igrad_outputs igrad_conv_outputs(const struct igrad_conv *conv,
					const struct igrad_slab *slab, const struct igrad_tap *tap);

/** igrad_conv_walk - from output @first of @slab, for the weights of @tap */
struct igrad_walk igrad_conv_walk(const struct igrad_conv *conv, const struct igrad_slab *slab,
				  const struct igrad_tap *tap, uint32_t first);

/* Rows of matrices: the pixels, and the outputs of a slab. */
uint32_t igrad_slab_pixels(const struct igrad_conv *conv, const struct igrad_slab *slab);
uint32_t igrad_slab_outputs(const struct igrad_conv *conv, const struct igrad_slab *slab);
uint32_t igrad_slab_first_pixel(const struct igrad_conv *conv, const struct igrad_slab *slab);
uint32_t igrad_slab_first_output(const struct igrad_conv *conv, const struct igrad_slab *slab);

/**
 * struct igrad_ring - a matrix of weights in SRAM
 * @home: in DRAM, or NULL
 * @addr: of the first word
 * @stays: all of it is in SRAM for the whole operation, as it is in DRAM; else a few tiles are
 * @slot: bytes of one of them
 */
struct igrad_ring {
	const struct igrad_matrix *home;
	uint32_t addr;
	bool stays;
	uint32_t slot;
};

/** igrad_ring_init - for tiles of up to @tile */
void igrad_ring_init(struct igrad_conv *conv, struct igrad_ring *ring,
		     const struct igrad_matrix *home, bool stays, struct igrad_size tile);
struct igrad_place igrad_ring_at(const struct igrad_conv *conv, const struct igrad_ring *ring,
				 const struct igrad_tap *tap);
void igrad_ring_load(struct igrad_conv *conv, const struct igrad_ring *ring,
		     const struct igrad_tap *tap);
void igrad_ring_store(struct igrad_conv *conv, const struct igrad_ring *ring,
		      const struct igrad_tap *tap);

/* Between SRAM and a matrix of weights in DRAM: the part of @tap. */
void igrad_conv_load_part(struct igrad_conv *conv, const struct igrad_matrix *home,
			  const struct igrad_tap *tap, struct igrad_place to);
void igrad_conv_store_part(struct igrad_conv *conv, const struct igrad_matrix *home,
			   const struct igrad_tap *tap, struct igrad_place from);

#endif /* IGRAD_LIB_CONV_H */
