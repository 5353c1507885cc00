/* SPDX-License-Identifier: MIT */
/* What a network costs on a device: its layers one by one, equal ones only once. */
#ifndef IGRAD_SIM_ACCOUNT_H
#define IGRAD_SIM_ACCOUNT_H

#include "cost.h"
#include "net.h"

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

/** struct row - a layer of a network; @reason: why it has no @cost */
struct row {
	const struct net_layer *layer;
	const char *reason;
	const struct cost *cost;
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
	PART_STEP,
	PART_BACKWARD,
	NUM_PARTS,
};

/** account_total - of all costed layers; false unless each of them has the passes */
bool account_total(const struct account *account, enum part part, enum igrad_schedule schedule,
		   struct result *sum);

/** result_add - what both came to, one after the other */
void result_add(struct result *sum, const struct result *part, const struct simulator *sim);

/** account_macs - of a forward pass per batch row: of all layers, or of those that are costed */
uint64_t account_macs(const struct account *account, bool costed);

#endif /* IGRAD_SIM_ACCOUNT_H */
