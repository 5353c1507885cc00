/* SPDX-License-Identifier: MIT */
/* igrad-sim paper --intergrad: networks on an interleaved array beside weight-stationary ones. */
#ifndef IGRAD_SIM_INTERGRAD_H
#define IGRAD_SIM_INTERGRAD_H

#include "account.h"
#include "area.h"

/** intergrad_net - a built-in network's text, in the order of the paper's; NULL behind the last */
const char *intergrad_net(size_t index, const char **name);

/** enum ground - what weight-stationary baselines have as much of as the interleaved array */
enum ground {
	GROUND_ARRAY, /* processing elements */
	GROUND_AREA,
	NUM_GROUNDS,
};

/**
 * struct contest - a network on both arrays
 * @same: in all schedules on the array that can do all
 * @fixed: weight-stationary ones on the larger array of simpler processing elements that takes the
 *         same area
 */
struct contest {
	struct account same;
	struct account fixed;
};

/** struct figures - of a pass, or of several; @there: it could be executed */
struct figures {
	bool there;
	uint64_t cycles;
	uint64_t accesses;
	double energy;
};

/** contest_layer - a backward pass of layer @index of contest.same.costs */
struct figures contest_layer(const struct contest *contest, enum ground ground,
			     enum igrad_schedule schedule, uint32_t index);
struct figures contest_total(const struct contest *contest, enum ground ground,
			     enum igrad_schedule schedule, enum part part);

/** contest_count - how many layers of the network are like that; @first: the first of them */
uint32_t contest_count(const struct contest *contest, uint32_t index,
		       const struct net_layer **first);

/** struct claim - what the paper says that interleaving saves against ws at equal area, percent */
struct claim {
	const char *network;
	double cycles, accesses, energy;
};

extern const struct claim intergrad_claims[];
extern const size_t intergrad_num_claims;

/**
 * struct summary - a network's totals, which outlive its contest
 * @totals: by part, ground and schedule
 */
struct summary {
	char network[NET_NAME];
	struct figures totals[NUM_PARTS][NUM_GROUNDS][IGRAD_NUM_SCHEDULES];
};

void intergrad_show_heading(const struct settings *settings, const struct area_table *areas,
			    struct array_size fixed);
void intergrad_show(const struct contest *contest);
void intergrad_show_summary(const struct summary *summaries, uint32_t count);

#endif /* IGRAD_SIM_INTERGRAD_H */
