// SPDX-License-Identifier: MIT
/* The planner on paper: plans fit, and move as little as they can. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "linear-search.h"
#include "matrices.h"

#define BIT(role) (1u << IGRAD_ROLE_##role)

static struct igrad_device_info random_device(struct igrad_rng *rng)
{
	static const uint32_t srams[] = {16 << 10, 20 << 10, 64 << 10, 1 << 20, 4 << 20};

	return (struct igrad_device_info){
		.features = igrad_rng_below(rng, 2) ? IGRAD_FEATURE_OVERLAP : 0,
		.rows = random_between(rng, 1, 256),
		.cols = random_between(rng, 1, 256),
		.sram_bytes = srams[igrad_rng_below(rng, 5)],
		.dram_bytes_per_cycle = 64,
		.dram_latency = 100,
	};
}

static struct igrad_problem random_problem(struct igrad_rng *rng,
					   const struct igrad_device_info *device)
{
	struct igrad_problem problem = {.device = device, .backward = igrad_rng_below(rng, 4)};

	for (int d = 0; d < IGRAD_NUM_DIMS; d++)
		problem.dim[d] = random_between(rng, 1, 1u << random_between(rng, 0, 24));
	problem.home = BIT(X) | BIT(W);
	if (!problem.backward) {
		problem.home |= BIT(Y) | (igrad_rng_below(rng, 2) ? BIT(BIAS) : 0);
		return problem;
	}
	problem.schedule = igrad_rng_below(rng, IGRAD_SCHEDULE_AUTO);
	problem.update = igrad_rng_below(rng, 3);
	problem.home |= BIT(DY);
	problem.home |= igrad_rng_below(rng, 2) ? BIT(DX) : 0;
	problem.home |= igrad_rng_below(rng, 2) ? BIT(Y) : 0;
	if (problem.update == IGRAD_UPDATE_NONE)
		problem.home |= BIT(DW);
	else if (problem.update == IGRAD_UPDATE_MOMENTUM)
		problem.home |= BIT(VW);
	problem.fused = problem.schedule == IGRAD_SCHEDULE_INTERLEAVED &&
			problem.update == IGRAD_UPDATE_SGD;
	if (problem.fused)
		problem.spill = BIT(DW);
	else if (!(problem.home & BIT(DW)))
		problem.scratch = BIT(DW);
	return problem;
}

static void check_plan(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	struct igrad_traffic traffic;
	unsigned int seen = 0;

	assert_true(igrad_plan_bytes(plan) <= problem->device->sram_bytes);
	assert_int_equal(plan->tile.rows, problem->device->rows);
	assert_int_equal(plan->tile.cols, problem->device->cols);
	for (int d = 0; d < IGRAD_NUM_DIMS; d++) {
		assert_in_range(plan->block[d], 1, problem->dim[d]);
		assert_in_range(plan->block[d], 1, IGRAD_MAX_BATCH);
		seen |= 1u << plan->order[d];
	}
	assert_int_equal(seen, (1u << IGRAD_NUM_DIMS) - 1);
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		if ((problem->home | problem->scratch) & 1u << role)
			assert_true(plan->slots[role] > 0);
	assert_true(igrad_plan_traffic(problem, plan, &traffic));
	assert_true(traffic.read + traffic.written >= igrad_problem_compulsory(problem));
}

/* Every problem has plans that fit, unless it needs too many commands for a job. */
static void test_plans_fit(void **state)
{
	struct igrad_candidate candidates[IGRAD_MAX_CANDIDATES];
	unsigned int planned = 0;
	struct igrad_rng rng;

	(void)state;
	igrad_rng_seed(&rng, 1);
	for (int i = 0; i < 300; i++) {
		struct igrad_device_info device = random_device(&rng);
		struct igrad_problem problem = random_problem(&rng, &device);
		int n = igrad_plan_search(&problem, candidates, IGRAD_MAX_CANDIDATES);

		if (n != -E2BIG)
			assert_in_range(n, 1, IGRAD_MAX_CANDIDATES);
		planned += n > 0;
		for (int c = 0; c < n; c++)
			check_plan(&problem, &candidates[c].plan);
	}
	assert_true(planned > 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
