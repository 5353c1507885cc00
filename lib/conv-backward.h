/* SPDX-License-Identifier: MIT */
/*
 * A convolution's backward pass from the inside: slab after slab, each of which is visited by one
 * of the schedules. Internal.
 */
#ifndef IGRAD_LIB_CONV_BACKWARD_H
#define IGRAD_LIB_CONV_BACKWARD_H

#include "conv-plan.h"

/* Vectors with an element per out-channel: the bias, its sum, and its moments. */
struct igrad_conv_biases {
	struct igrad_place b;
	struct igrad_place sum;
	struct igrad_place second;
};

/**
 * struct igrad_conv_slab - a slab on its way
 * @x, @dx, @dy, @y: where it is in SRAM
 * @seen: rows of outputs, from its image's first, that slabs before have had
 * @begins: it is the batch's first; @ends: its last
 * @have_x, @have_dx, @have_dy: so many channels have been brought in, or filled
 */
struct igrad_conv_slab {
	struct igrad_slab slab;
	struct igrad_place x;
	struct igrad_place dx;
	struct igrad_place dy;
	struct igrad_place y;
	uint32_t seen;
	bool begins;
	bool ends;
	uint32_t have_x;
	uint32_t have_dx;
	uint32_t have_dy;
};

/**
 * struct igrad_conv_pass - a backward pass being turned into commands
 * @acc: sums of dW, or velocities: where they are in DRAM, and tiles of them in SRAM
 * @block: ws: sums of dW, in SRAM
 * @now: the slab that is being worked on
 * @next: the one after it, or NULL
 */
struct igrad_conv_pass {
	struct igrad_conv conv;
	const struct igrad_conv_backward *args;
	struct igrad_step step;
	bool updates;
	bool momentum;
	bool adam;
	bool fused;
	struct igrad_ring w;
	struct igrad_ring acc;
	struct igrad_ring first_moment;
	struct igrad_ring second_moment;
	uint32_t block;
	struct igrad_conv_biases bias;
	struct igrad_place constants;
	struct igrad_cut cut;
	uint32_t slots[2][4]; /* addresses of x, dx, dy, y */
	struct igrad_conv_slab slabs[2];
	struct igrad_conv_slab *now;
	struct igrad_conv_slab *next;
};

/* Channels of the slab that is worked on, which are brought in if they are not there yet. */
struct igrad_place igrad_conv_x(struct igrad_conv_pass *pass, uint32_t i, uint32_t n);
struct igrad_place igrad_conv_dx(struct igrad_conv_pass *pass, uint32_t i, uint32_t n);
struct igrad_place igrad_conv_dy(struct igrad_conv_pass *pass, uint32_t o, uint32_t n);

/** igrad_conv_dx_done - after the last product for the in-channels of @tap: store them */
void igrad_conv_dx_done(struct igrad_conv_pass *pass, const struct igrad_tap *tap);

/** igrad_conv_ahead - bring in a little of the next slab; called now and then */
void igrad_conv_ahead(struct igrad_conv_pass *pass);

/** igrad_conv_update - on the vector unit, the weights of @tap by the sums at @dw; then all is
 * stored
 */
void igrad_conv_update(struct igrad_conv_pass *pass, const struct igrad_tap *tap,
		       struct igrad_place dw);

/** igrad_conv_needs_w - bring in the weights of @tap if they are not in SRAM; @first: if they stay,
 * nobody has asked for them before */
void igrad_conv_needs_w(struct igrad_conv_pass *pass, const struct igrad_tap *tap, bool first);

/* A slab on a weight-stationary array: ws-paper, ws; or with dW summed up in the array. */
void igrad_conv_visit_ws(struct igrad_conv_pass *pass);
void igrad_conv_visit_os(struct igrad_conv_pass *pass);

/** igrad_conv_block_bytes - ws: SRAM for the sums of dW */
uint64_t igrad_conv_block_bytes(const struct igrad_conv *conv);

#endif /* IGRAD_LIB_CONV_BACKWARD_H */
