// SPDX-License-Identifier: MIT
/* The planner on paper: plans fit, and move as little as they can. */
#include <errno.h>
#include <math.h>
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
	problem.update = igrad_rng_below(rng, 4);
	problem.home |= BIT(DY);
	problem.home |= igrad_rng_below(rng, 2) ? BIT(DX) : 0;
	problem.home |= igrad_rng_below(rng, 2) ? BIT(Y) : 0;
	if (problem.update == IGRAD_UPDATE_NONE)
		problem.home |= BIT(DW);
	else if (problem.update == IGRAD_UPDATE_MOMENTUM)
		problem.home |= BIT(VW);
	else if (problem.update == IGRAD_UPDATE_ADAM)
		problem.home |= BIT(VW) | BIT(SW) | BIT(ADAM);
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
		int n = igrad_plan_search(&problem, i % 3, false, candidates);

		if (n != -E2BIG)
			assert_in_range(n, 1, IGRAD_MAX_CANDIDATES);
		planned += n > 0;
		for (int c = 0; c < n; c++) {
			check_plan(&problem, &candidates[c].plan);
			assert_false(igrad_plan_spills(&problem, &candidates[c].plan));
		}
		n = igrad_plan_search(&problem, i % 3, true, candidates);
		assert_true(n == -E2BIG || n == -ENOSPC || (n > 0 && problem.fused));
		for (int c = 0; c < n; c++) {
			check_plan(&problem, &candidates[c].plan);
			assert_true(igrad_plan_spills(&problem, &candidates[c].plan));
		}
	}
	assert_true(planned > 150);
}

/* ---------------------------------------------------------------- the best blocking there is */

static uint64_t bytes_moved(const struct igrad_traffic *traffic)
{
	return traffic->read + traffic->written;
}

/* @forward, or a backward pass in a schedule, with nothing but what it must have */
static struct igrad_problem plain_problem(const struct igrad_device_info *device, int schedule,
					  uint32_t B, uint32_t I, uint32_t O)
{
	struct igrad_problem problem = {.device = device, .dim = {B, I, O}};

	if (schedule == IGRAD_SCHEDULE_AUTO) { /* that is to say: the forward pass */
		problem.home = BIT(X) | BIT(W) | BIT(Y);
		return problem;
	}
	problem.backward = true;
	problem.schedule = schedule;
	problem.update = IGRAD_UPDATE_SGD;
	problem.home = BIT(X) | BIT(W) | BIT(DY) | BIT(DX);
	problem.fused = schedule == IGRAD_SCHEDULE_INTERLEAVED;
	*(problem.fused ? &problem.spill : &problem.scratch) = BIT(DW);
	return problem;
}

/* @spilling: of the blockings that make sums go through SRAM, or of all others */
struct exhaustion {
	const struct igrad_problem *problem;
	bool spilling;
	uint64_t least;
	uint64_t looked_at;
};

static void look_at(struct exhaustion *e, const struct igrad_plan *plan)
{
	struct igrad_traffic traffic;

	e->looked_at++;
	if (igrad_plan_spills(e->problem, plan) == e->spilling &&
	    igrad_plan_bytes(plan) <= e->problem->device->sram_bytes &&
	    igrad_plan_traffic(e->problem, plan, &traffic) && bytes_moved(&traffic) < e->least)
		e->least = bytes_moved(&traffic);
}

/* The most slots that do any good. */
static uint32_t enough(const struct igrad_problem *problem, const struct igrad_plan *plan, int role)
{
	uint64_t blocks = igrad_window_blocks(igrad_role_size(problem, role),
					      igrad_role_block(plan, role));
	uint32_t sweep = igrad_plan_visits(problem, plan, role).sweep;

	return sweep < blocks ? sweep : blocks;
}

/*
 * Each operand has one slot, or as many as its sweep needs; and of the others one has all that SRAM
 * still holds: if several were kept in part, all but one could as well be kept not at all.
 */
static void all_slots(struct exhaustion *e, const struct igrad_plan *least)
{
	int roles[IGRAD_NUM_ROLES], n = 0;

	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		if (least->slots[role] && enough(e->problem, least, role) > 1)
			roles[n++] = role;
	for (int set = 0; set < 1 << n; set++) {
		struct igrad_plan plan = *least;

		for (int i = 0; i < n; i++)
			if (set & 1 << i)
				plan.slots[roles[i]] = enough(e->problem, least, roles[i]);
		look_at(e, &plan);
		for (int i = 0; i < n; i++) {
			struct igrad_size block = igrad_role_block(&plan, roles[i]);
			uint64_t bytes = igrad_plan_bytes(&plan);
			struct igrad_plan partly = plan;

			if (set & 1 << i || bytes > e->problem->device->sram_bytes)
				continue;
			bytes = e->problem->device->sram_bytes - bytes;
			partly.slots[roles[i]] =
				igrad_min(1 + bytes / (4 * block.rows * block.cols),
					  enough(e->problem, least, roles[i]));
			look_at(e, &partly);
		}
	}
}

static void all_orders(struct exhaustion *e, struct igrad_plan *plan)
{
	static const enum igrad_dim orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
						    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	const struct igrad_problem *problem = e->problem;

	for (int i = 0; i < 6; i++) {
		bool split = plan->block[IGRAD_DIM_B] < problem->dim[IGRAD_DIM_B];
		uint32_t roles = problem->home | problem->scratch;

		memcpy(plan->order, orders[i], sizeof(plan->order));
		if (split && !igrad_plan_keeps_acc(plan))
			roles |= problem->spill;
		for (int role = 0; role < IGRAD_NUM_ROLES; role++)
			plan->slots[role] = roles >> role & 1;
		all_slots(e, plan);
	}
}

/* All block sizes; of a large layer one for each number of blocks, the smallest. */
static uint32_t next_size(uint32_t dim, uint32_t size)
{
	uint32_t blocks = (dim - 1) / size + 1;

	if (dim <= 32 || blocks == 1)
		return size + 1;
	for (size++; (dim - 1) / ((dim - 1) / size + 1) + 1 != size && size < dim; size++)
		;
	return size;
}

/* All multiples of a unit, and the whole. */
static uint32_t next_multiple(uint32_t dim, uint32_t size, uint32_t unit)
{
	if (size == dim)
		return dim + 1;
	return size + unit < dim ? size + unit : dim;
}

static uint64_t least_of_all(const struct igrad_problem *problem, bool spilling)
{
	struct exhaustion e = {.problem = problem, .spilling = spilling, .least = UINT64_MAX};
	struct igrad_plan plan = {
		.schedule = problem->schedule,
		.tile = {problem->device->rows, problem->device->cols},
	};
	const uint32_t *dim = problem->dim;
	uint32_t *block = plan.block;

	for (block[0] = 1; block[0] <= dim[0]; block[0] = next_size(dim[0], block[0]))
		for (block[1] = 1; block[1] <= dim[1]; block[1] = next_size(dim[1], block[1]))
			for (block[2] = 1; block[2] <= dim[2];
			     block[2] = next_size(dim[2], block[2]))
				all_orders(&e, &plan);
	return e.least;
}

/* Of those that leave no PEs idle, and do not cut the batch into less than 16 rows. */
static uint64_t least_of_whole_tiles(const struct igrad_problem *problem, bool spilling)
{
	bool turned = problem->backward && problem->schedule <= IGRAD_SCHEDULE_WS;
	uint32_t rows = problem->device->rows, cols = problem->device->cols;
	uint32_t most = rows > cols ? rows : cols;
	uint32_t high = turned ? most : rows, wide = turned ? most : cols;
	struct exhaustion e = {.problem = problem, .spilling = spilling, .least = UINT64_MAX};
	struct igrad_plan plan = {.schedule = problem->schedule, .tile = {rows, cols}};
	const uint32_t *dim = problem->dim;
	uint32_t *block = plan.block;

	for (block[0] = igrad_min(dim[0], 16); block[0] <= dim[0];
	     block[0] = next_size(dim[0], block[0]))
		for (block[1] = igrad_min(dim[1], high); block[1] <= dim[1];
		     block[1] = next_multiple(dim[1], block[1], high))
			for (block[2] = igrad_min(dim[2], wide); block[2] <= dim[2];
			     block[2] = next_multiple(dim[2], block[2], wide))
				all_orders(&e, &plan);
	return e.least;
}

/*
 * No order of a product's multiply-adds moves fewer words than 2·m·n·k/√S + m·n (Hong and Kung,
 * "I/O complexity: the red-blue pebble game", STOC 1981; the constant is that of Kwasniewski et
 * al., "Red-blue pebbling revisited: near optimal parallel matrix-matrix multiplication", SC 2019).
 * A backward pass has to do dX = dY·Wᵀ, and to read x and write w besides.
 */
static double lower_bound(const struct igrad_problem *problem)
{
	double B = problem->dim[0], I = problem->dim[1], O = problem->dim[2];
	double words = 2 * B * I * O / sqrt(problem->device->sram_bytes / 4.0);
	double least = igrad_problem_compulsory(problem);

	words += problem->backward ? B * I + B * I + I * O : B * O;
	return 4 * words > least ? 4 * words : least;
}

/* @kept: the most that keeping sums in the array costs: × the least bytes of all blockings */
struct compared {
	double worst, sum;
	double worst_bound, kept;
	unsigned int num;
};

static void compare_for(struct compared *c, const struct igrad_problem *problem,
			enum igrad_objective objective, bool spilling, uint64_t least)
{
	struct igrad_candidate candidates[IGRAD_MAX_CANDIDATES];
	int n = igrad_plan_search(problem, objective, spilling, candidates);
	double ratio;

	if (least == UINT64_MAX)
		return;
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		ratio = (double)bytes_moved(&candidates[i].traffic) / least;
		if (ratio > c->worst)
			c->worst = ratio;
		c->sum += ratio;
		c->num++;
		if (ratio > 1.15)
			fail_msg(
				"B=%u I=%u O=%u, %u×%u, SRAM %u, schedule %d%s, for %s: %llu bytes, %.3f × the least",
				problem->dim[0], problem->dim[1], problem->dim[2],
				problem->device->rows, problem->device->cols,
				problem->device->sram_bytes, problem->schedule,
				spilling ? " (sums through SRAM)" : "",
				igrad_objective_name(objective),
				(unsigned long long)bytes_moved(&candidates[i].traffic), ratio);
		ratio = bytes_moved(&candidates[i].traffic) / lower_bound(problem);
		if (ratio > c->worst_bound)
			c->worst_bound = ratio;
	}
}

/*
 * Where updates are fused there are two kinds of plans; with bytes for the objective the better one
 * is taken, and so what holds for either holds for both. Otherwise sums go through SRAM only when
 * auto gains by it.
 */
static void compare(struct compared c[2], const struct igrad_problem *problem)
{
	enum igrad_objective other = c[1].num % 2 ? IGRAD_OBJECTIVE_ENERGY : IGRAD_OBJECTIVE_CYCLES;
	uint64_t all[2], whole[2];

	for (int spilling = 0; spilling <= problem->fused; spilling++) {
		all[spilling] = least_of_all(problem, spilling);
		whole[spilling] = least_of_whole_tiles(problem, spilling);
		compare_for(&c[0], problem, IGRAD_OBJECTIVE_DRAM, spilling, all[spilling]);
		if (!spilling || whole[1] < whole[0])
			compare_for(&c[1], problem, other, spilling, whole[spilling]);
	}
	if (problem->fused) {
		c[0].kept = fmax(c[0].kept, (double)all[0] / all[1]);
		c[1].kept = fmax(c[1].kept, (double)whole[0] / whole[1]);
	}
}

static void print_compared(const struct compared c[2])
{
	static const char *const what[2] = {"all blockings", "whole tiles"};

	for (int i = 0; i < 2; i++)
		print_message(
			"# of %s: traffic ÷ best %.3f at most, %.3f on average, of %u plans; ÷ lower bound %.2f at most; sums in the array ÷ through SRAM %.2f at most\n",
			what[i], c[i].worst, c[i].sum / c[i].num, c[i].num, c[i].worst_bound,
			c[i].kept);
}

/*
 * Every plan that is worth executing moves at most 1.15 × the bytes of the best blocking of all,
 * or, if bytes are not the objective, of all that are made of whole tiles. Of plans of interleaving
 * that keep sums in the array the best one that does so counts.
 */
static void test_near_the_best_blocking(void **state)
{
	static const uint32_t srams[] = {1 << 10, 2 << 10, 3 << 10, 4 << 10, 6 << 10};
	unsigned int num = getenv("IGRAD_TEST_LONG") ? 400 : 40;
	struct compared c[2] = {{0}};
	struct igrad_rng rng;

	(void)state;
	igrad_rng_seed(&rng, 5);
	for (unsigned int i = 0; i < num; i++) {
		struct igrad_device_info device = {
			.rows = 1u << igrad_rng_below(&rng, 5),
			.cols = 1u << igrad_rng_below(&rng, 5),
			.sram_bytes = srams[igrad_rng_below(&rng, 5)],
			.dram_bytes_per_cycle = 64,
			.dram_latency = 100,
		};
		struct igrad_problem problem = plain_problem(
			&device, i % (IGRAD_SCHEDULE_AUTO + 1), random_between(&rng, 1, 24),
			random_between(&rng, 1, 32), random_between(&rng, 1, 32));

		compare(c, &problem);
	}
	print_compared(c);
}

/* The same for layers whose operands are many times as large as SRAM. */
static void test_near_the_best_blocking_of_large_layers(void **state)
{
	static const struct {
		uint32_t side, sram, B, I, O;
	} cases[] = {
		{16, 16 << 10, 128, 256, 256}, {16, 16 << 10, 100, 300, 500},
		{32, 32 << 10, 256, 256, 256}, {16, 16 << 10, 500, 100, 100},
		{8, 16 << 10, 64, 700, 90},
	};
	struct compared c[2] = {{0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int schedule = 0; schedule <= IGRAD_SCHEDULE_AUTO; schedule++) {
			struct igrad_device_info device = {
				.rows = cases[i].side,
				.cols = cases[i].side,
				.sram_bytes = cases[i].sram,
				.dram_bytes_per_cycle = 64,
				.dram_latency = 100,
			};
			struct igrad_problem problem = plain_problem(&device, schedule, cases[i].B,
								     cases[i].I, cases[i].O);

			if (schedule != IGRAD_SCHEDULE_WS) /* the same traffic as ws-paper */
				compare(c, &problem);
		}
	}
	print_compared(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans_fit),
		cmocka_unit_test(test_near_the_best_blocking),
		cmocka_unit_test(test_near_the_best_blocking_of_large_layers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
