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
 * struct igrad_conv - a convolution (of one group) being turned into commands
 * @shape: with the group's channels
 * @out_height: of an output image; @out_width
 * @tile: the largest part of the array that its weights use
 * @sram: what is left of it
 */
struct igrad_conv {
	struct igrad_emitter e;
	struct igrad_conv_shape shape;
	uint32_t out_height;
	uint32_t out_width;
	struct igrad_size tile;
	struct igrad_sram sram;
};

/**
 * struct igrad_tap - a tile of the weights, at one position of the kernel
 * @ky: row of the kernel; @kx: column
 * @i: first in-channel; @o: first out-channel
 * @size: in-channels × out-channels
 * @index: counts tiles from 0, in the order in which they are visited
 */
struct igrad_tap {
	uint32_t ky;
	uint32_t kx;
	uint32_t i;
	uint32_t o;
	struct igrad_size size;
	uint32_t index;
};

/** igrad_conv_open - @group of a convolution */
int igrad_conv_open(struct igrad_conv *conv, struct igrad_cmdbuf *cmdbuf,
		    const struct igrad_conv_shape *shape);

/** igrad_conv_check - is @m what a matrix of @rows × @cols is to be? NULL is fine */
int igrad_conv_check(const struct igrad_matrix *m, uint64_t rows, uint32_t cols);

/** igrad_conv_columns - the columns of @m that belong to group @group of @groups; NULL stays NULL
 */
const struct igrad_matrix *igrad_conv_columns(const struct igrad_matrix *m, uint32_t group,
					      uint32_t groups, struct igrad_matrix *part);

/** igrad_conv_alloc - SRAM for the rest of the operation; the emitter fails with -ENOSPC */
uint32_t igrad_conv_alloc(struct igrad_conv *conv, uint64_t bytes);

/**
 * igrad_conv_cut - the largest slabs that fit
 * @bytes: that a slab of so many images and rows takes
 * @rows: rows of a whole image
 */
struct igrad_cut igrad_conv_cut(struct igrad_conv *conv,
				uint64_t (*bytes)(const struct igrad_conv *conv, uint32_t images,
						  uint32_t rows),
				uint32_t rows);

/** igrad_conv_tiles - tiles of the weights */
uint32_t igrad_conv_tiles(const struct igrad_conv *conv);

/** igrad_conv_first_tap, igrad_conv_next_tap - tiles in the order (ky, kx), o, i, which is right
 * for all sums; next returns false after the last */
void igrad_conv_first_tap(const struct igrad_conv *conv, struct igrad_tap *tap);
bool igrad_conv_next_tap(const struct igrad_conv *conv, struct igrad_tap *tap);

/** igrad_conv_window - streams of @slab walk over its images */
void igrad_conv_window(struct igrad_conv *conv, const struct igrad_slab *slab);

/** igrad_conv_walk - from output @first of @slab, for the weights of @tap */
struct igrad_walk igrad_conv_walk(const struct igrad_conv *conv, const struct igrad_slab *slab,
				  const struct igrad_tap *tap, uint32_t first);

/* Rows of matrices: the pixels, and the outputs of a slab. */
uint32_t igrad_slab_pixels(const struct igrad_conv *conv, const struct igrad_slab *slab);
uint32_t igrad_slab_outputs(const struct igrad_conv *conv, const struct igrad_slab *slab);
uint32_t igrad_slab_first_pixel(const struct igrad_conv *conv, const struct igrad_slab *slab);
uint32_t igrad_slab_first_output(const struct igrad_conv *conv, const struct igrad_slab *slab);

/**
 * struct igrad_ring - tiles of a matrix of weights in SRAM, which are visited in the same order in
 * each slab
 * @home: in DRAM, or NULL
 * @addr: of the first slot
 * @slots: as many as there are tiles, when they stay for the whole operation, or a few
 */
struct igrad_ring {
	const struct igrad_matrix *home;
	uint32_t addr;
	uint32_t slots;
};

/** igrad_ring_init - all tiles if they take at most a @share-th part of SRAM, else a few */
void igrad_ring_init(struct igrad_conv *conv, struct igrad_ring *ring,
		     const struct igrad_matrix *home, uint32_t share);
/** igrad_ring_stays - do all tiles stay in SRAM? */
bool igrad_ring_stays(const struct igrad_conv *conv, const struct igrad_ring *ring);
struct igrad_place igrad_ring_at(const struct igrad_conv *conv, const struct igrad_ring *ring,
				 const struct igrad_tap *tap);
void igrad_ring_load(struct igrad_conv *conv, const struct igrad_ring *ring,
		     const struct igrad_tap *tap);
void igrad_ring_store(struct igrad_conv *conv, const struct igrad_ring *ring,
		      const struct igrad_tap *tap);

#endif /* IGRAD_LIB_CONV_H */
