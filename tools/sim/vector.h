/* SPDX-License-Identifier: MIT */
/* Layers that the vector unit does: they cost the same whatever the array's schedule is. */
#ifndef IGRAD_SIM_VECTOR_H
#define IGRAD_SIM_VECTOR_H

#include "cost.h"
#include "igrad/layers.h"
#include "net.h"

/**
 * struct vector_layer - a layer of @kind
 * @rows: of its input: batch rows, or pixels of all images
 * @channels: of its input
 * @terms: NET_ADD: how many matrices of that size are added up
 * @pool: NET_POOL
 * @relu: a ReLU follows, and is done with it
 * @first: its input needs no gradient
 */
struct vector_layer {
	enum net_kind kind;
	uint32_t rows;
	uint32_t channels;
	uint32_t terms;
	struct igrad_pool_shape pool;
	float rate;
	bool relu;
	bool first;
};

/** simulator_vector - a pass of it, as the library does it; nothing at all may be to be done */
int simulator_vector(struct simulator *sim, const struct vector_layer *layer,
		     const struct manner *manner, bool backward, struct result *result,
		     struct igrad_error *error);

#endif /* IGRAD_SIM_VECTOR_H */
