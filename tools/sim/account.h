/* SPDX-License-Identifier: MIT */
/* What a network costs on a device: its layers one by one, equal ones only once. */
#ifndef IGRAD_SIM_ACCOUNT_H
#define IGRAD_SIM_ACCOUNT_H

#include "cost.h"
#include "net.h"
#include "vector.h"

/**
 * struct pass - a pass of a layer
 * @there: it was executed; otherwise @err, if the library refused it, or it was not asked for
 */
struct pass {
	bool there;
	int err;
	struct result result;
};

/** struct cost - the passes of all layers that are like @layer */
struct cost {
	struct layer layer;
	struct pass forward;
	struct pass backward[IGRAD_NUM_SCHEDULES];
};

/** struct vector_cost - the passes of all layers of the vector unit that are like @layer */
struct vector_cost {
	struct vector_layer layer;
	struct pass forward;
	struct pass backward;
};

/**
 * struct row - a layer of a network
 * @reason: why it has no @cost
 * @cost: of a layer that the array does
 * @vector: of one that the vector unit does; or NULL
 * @sums: where several layers take its result: summing up their gradients, as a forward pass of
 *	  NET_ADD, which belongs to the backward pass; or NULL
 */
struct row {
	const struct net_layer *layer;
	const char *reason;
	const struct cost *cost;
	const struct vector_cost *vector;
	const struct vector_cost *sums;
};

/**
 * struct account - a network on a device
 * @rows: one per layer of the network
 * @costs: each of another layer
 */
struct account {
	const struct settings *settings;
	const struct net *net;
	struct simulator sim;
	struct row *rows;
	struct cost *costs;
	uint32_t num_costs;
	struct vector_cost *vectors;
	uint32_t num_vectors;
};

/**
 * account_open - execute the layers of @net, which has to live as long, as @settings say, on
 * @machine
 * @title: of the progress bar, or NULL
 */
int account_open(struct account *account, const struct settings *settings, const struct net *net,
		 const struct machine *machine, const char *title, struct igrad_error *error);
void account_close(struct account *account);

/** enum part - what of a training step is summed up */
enum part {
	PART_BACKWARD, /* of convolutions and linear layers */
	PART_ARRAY,    /* their forward passes, too */
	PART_STEP,     /* and the vector unit's layers */
	NUM_PARTS,
};

/** account_total - of all layers; false unless each of them has the passes */
bool account_total(const struct account *account, enum part part, enum igrad_schedule schedule,
		   struct result *sum);

/** account_vector - what the vector unit does beside that; false unless all of it can be done */
bool account_vector(const struct account *account, bool backward, struct result *sum);

/** result_add - what both came to, one after the other */
void result_add(struct result *sum, const struct result *part, const struct simulator *sim);

/** account_macs - of a forward pass per batch row: of all layers, or of those that are costed */
uint64_t account_macs(const struct account *account, bool costed);

/* ---------------------------------------------------------------- between account*.c */

/** take_pass - what the library does not do, or not on this device, is no error */
int take_pass(struct pass *pass, int err);

/** layer_batch - of a layer of the account's network */
uint32_t layer_batch(const struct account *account, const struct net_layer *layer);

/** layer_users - how many times a layer's result is taken; @last: by which layer the last time */
uint32_t layer_users(const struct net *net, const struct net_layer *layer,
		     const struct net_layer **last);

/** has_relu - a ReLU alone takes its result, and is done with it */
bool has_relu(const struct net *net, const struct net_layer *layer);

/** vector_row - fill in what the vector unit does of a row */
int vector_row(struct account *account, struct row *row, struct igrad_error *error);

#endif /* IGRAD_SIM_ACCOUNT_H */
