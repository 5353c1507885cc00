/* SPDX-License-Identifier: MIT */
/* The search for plans. Internal. */
#ifndef IGRAD_LINEAR_SEARCH_H
#define IGRAD_LINEAR_SEARCH_H

#include "linear.h"

#define IGRAD_MAX_CANDIDATES 8

/**
 * struct igrad_candidate - a plan, and what it looks like on paper
 * @traffic: exact
 * @accesses: of SRAM, an estimate
 * @cycles: an estimate; 0 if it takes more commands than a job has
 * @floor: about the least cycles that are possible
 * @commands: roughly
 */
struct igrad_candidate {
	struct igrad_plan plan;
	struct igrad_traffic traffic;
	double accesses;
	double cycles;
	double floor;
	uint64_t commands;
};

/** igrad_candidate_rate - estimate what follows from plan and traffic */
void igrad_candidate_rate(const struct igrad_problem *problem, struct igrad_candidate *candidate);

/**
 * igrad_plan_search - the best plans on paper, the most promising first
 * @objective: what they are to be good for
 * @spilling: of those that split the batch so that sums go through SRAM; else of all others
 *
 * Returns how many; all of them move the fewest bytes that any of these does, or nearly so: any at
 * all for IGRAD_OBJECTIVE_DRAM, otherwise any that is made of whole tiles, if there is one. -ENOSPC
 * when none fits SRAM, or there is none, -E2BIG when none has few enough commands, -ENOMEM.
 */
int igrad_plan_search(const struct igrad_problem *problem, enum igrad_objective objective,
		      bool spilling, struct igrad_candidate candidates[IGRAD_MAX_CANDIDATES]);

#endif /* IGRAD_LINEAR_SEARCH_H */
