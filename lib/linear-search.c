// SPDX-License-Identifier: MIT
/*
 * The search for plans: block sizes × loop orders × what stays in SRAM. Everything here is cheap,
 * so that thousands of plans can be looked at; those that are left are worth executing.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linear-search.h"

#define MAX_REPEATED 5	  /* operands for which it is worth asking whether they stay */
#define MAX_SIZES    48	  /* block sizes of a dimension */
#define MIN_STREAM   16	  /* batch rows: shorter chunks cost more in skew than they save */
#define MAX_SLOPES   4	  /* plans that are refined */
#define MAX_STEPS    8	  /* rounds of refinement */
#define NEARLY	     1.06 /* traffic as good as the least, unless that is compulsory */

/* ---------------------------------------------------------------- block sizes */

struct sizes {
	uint32_t size[MAX_SIZES];
	int num;
};

static void add_size(struct sizes *sizes, uint64_t size, uint32_t most)
{
	if (!size || size > most || sizes->num == MAX_SIZES)
		return;
	for (int i = 0; i < sizes->num; i++)
		if (sizes->size[i] == size)
			return;
	sizes->size[sizes->num++] = size;
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/*
 * The whole, equal parts of it in whole units, and multiples of the unit that grow by about a
 * third.
 * @fine: also less than a unit, for an SRAM that is too small for what the array could do
 */
static void list_sizes(uint32_t dim, uint32_t unit, bool fine, struct sizes *sizes)
{
	uint32_t most = igrad_min(dim, IGRAD_MAX_BATCH);

	sizes->num = 0;
	add_size(sizes, most, most);
	for (uint64_t n = 1; n * unit < most; n = n < 4 ? n + 1 : n % 3 ? n / 2 * 3 : n / 3 * 4)
		add_size(sizes, n * unit, most);
	for (uint32_t parts = 2; parts <= 5; parts++)
		add_size(sizes, round_up((most - 1) / parts + 1, unit), most);
	if (!fine)
		return;
	for (uint32_t n = igrad_min(unit, most) / 2; n; n /= 2)
		add_size(sizes, n, most);
}

/* ---------------------------------------------------------------- candidates so far */

/*
 * @unit: what blocks smaller than the layer are multiples of; of the batch only to begin with
 * @relaxed: there is a plan that moves everything once, and has room for two blocks of what streams
 */
struct search {
	const struct igrad_problem *problem;
	uint32_t unit[IGRAD_NUM_DIMS];
	uint64_t compulsory;
	bool relaxed;
	struct igrad_candidate *found;
	size_t num, room;
	uint64_t least; /* traffic */
	bool fits;
	int err;
};

static uint64_t bytes_moved(const struct igrad_candidate *candidate)
{
	return candidate->traffic.read + candidate->traffic.written;
}

static void keep(struct search *search, const struct igrad_candidate *candidate)
{
	if (search->num == search->room) {
		size_t room = search->room ? 2 * search->room : 256;
		struct igrad_candidate *grown = realloc(search->found, room * sizeof(*grown));

		if (!grown) {
			search->err = -ENOMEM;
			return;
		}
		search->found = grown;
		search->room = room;
	}
	search->found[search->num++] = *candidate;
}

static void consider_way(struct search *search, const struct igrad_plan *plan)
{
	struct igrad_candidate candidate = {.plan = *plan};

	if (!igrad_candidate_rate(search->problem, &candidate))
		return;
	search->fits = true;
	if (!candidate.cycles)
		return;
	if (bytes_moved(&candidate) < search->least)
		search->least = bytes_moved(&candidate);
	if (bytes_moved(&candidate) <= NEARLY * search->least)
		keep(search, &candidate);
}

/* ws has four ways of choosing what is stationary; each is a plan of its own. */
static void consider(struct search *search, struct igrad_plan *plan)
{
	const struct igrad_problem *problem = search->problem;
	int ways = problem->backward && problem->schedule == IGRAD_SCHEDULE_WS ? 4 : 1;

	for (int way = 0; way < ways; way++) {
		plan->dx_turned = way & 1;
		plan->dw_turned = way & 2;
		/* What is streamed must be bf16 then, and W is to be updated. */
		if (plan->dx_turned && problem->narrow)
			continue;
		if (!plan->dx_turned || problem->home & 1u << IGRAD_ROLE_DX)
			consider_way(search, plan);
	}
}

/* ---------------------------------------------------------------- what stays in SRAM */

static uint64_t room_left(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	uint64_t bytes = igrad_plan_bytes(plan);

	return bytes <= problem->device->sram_bytes ? problem->device->sram_bytes - bytes : 0;
}

static bool fits(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	return igrad_plan_bytes(plan) <= problem->device->sram_bytes;
}

static uint32_t blocks_of(const struct igrad_problem *problem, const struct igrad_plan *plan,
			  enum igrad_role role)
{
	uint64_t blocks = igrad_window_blocks(igrad_role_size(problem, role),
					      igrad_role_block(plan, role));

	return blocks < UINT32_MAX ? blocks : UINT32_MAX;
}

/* Does anything of this role take SRAM? */
static bool in_sram(const struct igrad_problem *problem, const struct igrad_plan *plan, int role)
{
	uint32_t roles = problem->home | problem->scratch;

	if (plan->block[IGRAD_DIM_B] < problem->dim[IGRAD_DIM_B] && !igrad_plan_keeps_acc(plan))
		roles |= problem->spill;
	return roles & 1u << role;
}

/* Up to @most slots for what is streamed, and all that is needed for what has no home. */
static void set_least(const struct igrad_problem *problem, struct igrad_plan *plan, uint32_t most)
{
	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		uint32_t need = most;

		plan->slots[role] = 0;
		if (!in_sram(problem, plan, role))
			continue;
		if (!(problem->home & 1u << role) || igrad_problem_whole(problem) & 1u << role)
			need = igrad_plan_visits(problem, plan, role).sweep;
		plan->slots[role] = igrad_min(need > most ? need : most,
					      blocks_of(problem, plan, role));
	}
}

/* Slots that @bytes more could give a role, all in all no more than @most. */
static uint32_t slots_for(const struct igrad_plan *plan, enum igrad_role role, uint64_t bytes,
			  uint32_t most)
{
	uint64_t more = bytes / igrad_slot_bytes(plan, role);

	return plan->slots[role] + more < most ? plan->slots[role] + more : most;
}

/* What a resident block of this role saves, each time round. */
static int weight(const struct igrad_problem *problem, int role)
{
	if (role == IGRAD_ROLE_DX || (role == IGRAD_ROLE_Y && !problem->backward))
		return 2; /* out and in again */
	if (role == IGRAD_ROLE_DY && problem->home & 1u << IGRAD_ROLE_Y)
		return 2; /* y comes with it */
	return 1;
}

/* Roles that are loaded again and again because a sweep does not fit their slots. */
static int list_repeated(const struct igrad_problem *problem, const struct igrad_plan *plan,
			 enum igrad_role roles[])
{
	int n = 0;

	for (int role = 0; role < IGRAD_NUM_ROLES && n < MAX_REPEATED; role++)
		if (plan->slots[role] && !(role == IGRAD_ROLE_Y && problem->backward) &&
		    igrad_plan_visits(problem, plan, role).sweep > plan->slots[role])
			roles[n++] = role;
	return n;
}

/* Use what is left for keeping part of what does not fit as a whole. */
static void pin_parts(const struct igrad_problem *problem, struct igrad_plan *plan,
		      const enum igrad_role roles[], int n)
{
	for (int most = 2; most; most--)
		for (int i = 0; i < n; i++)
			if (weight(problem, roles[i]) == most)
				plan->slots[roles[i]] =
					slots_for(plan, roles[i], room_left(problem, plan),
						  igrad_plan_visits(problem, plan, roles[i]).sweep);
}

/* Every choice of which sweeps to keep in SRAM; what is left over goes to parts of the others. */
static void residencies(struct search *search, const struct igrad_plan *least)
{
	struct igrad_plan seen[1 << MAX_REPEATED];
	enum igrad_role roles[MAX_REPEATED];
	int num_seen = 0;
	int n = list_repeated(search->problem, least, roles);

	for (uint32_t set = 0; set < 1u << n && !search->err; set++) {
		struct igrad_plan plan = *least;
		int again;

		for (int i = 0; i < n; i++)
			if (set & 1u << i)
				plan.slots[roles[i]] =
					igrad_plan_visits(search->problem, &plan, roles[i]).sweep;
		if (!fits(search->problem, &plan))
			continue;
		pin_parts(search->problem, &plan, roles, n);
		for (again = 0; again < num_seen; again++)
			if (!memcmp(plan.slots, seen[again].slots, sizeof(plan.slots)))
				break;
		if (again < num_seen)
			continue;
		seen[num_seen++] = plan;
		consider(search, &plan);
	}
}

/* ---------------------------------------------------------------- all together */

/* Everything if possible; a few blocks that go round, so that transfers and work overlap. */
static void slots(struct search *search, struct igrad_plan *plan)
{
	static const uint32_t depths[] = {UINT32_MAX, 8, 4, 2, 1};
	uint64_t before = UINT64_MAX;

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		set_least(search->problem, plan, depths[i]);
		if (!fits(search->problem, plan) || igrad_plan_bytes(plan) == before)
			continue;
		before = igrad_plan_bytes(plan);
		residencies(search, plan);
		if (depths[i] > 1 && search->least == search->compulsory)
			search->relaxed = true;
	}
}

/* Loops over a single block may stand anywhere: they stand outside. */
static bool redundant(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	for (int loop = 1; loop < IGRAD_NUM_DIMS; loop++) {
		enum igrad_dim before = plan->order[loop - 1], dim = plan->order[loop];
		bool one_before = plan->block[before] >= problem->dim[before];
		bool one = plan->block[dim] >= problem->dim[dim];

		if (one && (!one_before || before > dim))
			return true;
	}
	return false;
}

static void orders(struct search *search, struct igrad_plan *plan)
{
	static const enum igrad_dim all[][IGRAD_NUM_DIMS] = {
		{IGRAD_DIM_B, IGRAD_DIM_I, IGRAD_DIM_O}, {IGRAD_DIM_B, IGRAD_DIM_O, IGRAD_DIM_I},
		{IGRAD_DIM_I, IGRAD_DIM_B, IGRAD_DIM_O}, {IGRAD_DIM_I, IGRAD_DIM_O, IGRAD_DIM_B},
		{IGRAD_DIM_O, IGRAD_DIM_B, IGRAD_DIM_I}, {IGRAD_DIM_O, IGRAD_DIM_I, IGRAD_DIM_B},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && !search->err; i++) {
		memcpy(plan->order, all[i], sizeof(plan->order));
		if (!redundant(search->problem, plan))
			slots(search, plan);
	}
}

/* In whole tiles, the way round in which they lie on the array; ws has them both ways. */
static void set_units(struct search *search)
{
	const struct igrad_problem *problem = search->problem;
	uint32_t rows = problem->device->rows, cols = problem->device->cols;
	uint32_t most = rows > cols ? rows : cols;
	bool turned = problem->backward && problem->schedule <= IGRAD_SCHEDULE_WS;

	search->unit[IGRAD_DIM_B] = MIN_STREAM;
	search->unit[IGRAD_DIM_I] = turned ? most : rows;
	search->unit[IGRAD_DIM_O] = turned ? most : cols;
}

static void search_sizes(struct search *search, bool fine)
{
	const struct igrad_device_info *info = search->problem->device;
	struct igrad_plan plan = {
		.schedule = search->problem->schedule,
		.tile = {info->rows, info->cols},
		.narrow = search->problem->narrow,
	};
	struct sizes sizes[IGRAD_NUM_DIMS];

	for (int dim = 0; dim < IGRAD_NUM_DIMS; dim++)
		list_sizes(search->problem->dim[dim], search->unit[dim], fine, &sizes[dim]);
	for (int b = 0; b < sizes[IGRAD_DIM_B].num; b++) {
		plan.block[IGRAD_DIM_B] = sizes[IGRAD_DIM_B].size[b];
		for (int i = 0; i < sizes[IGRAD_DIM_I].num; i++) {
			plan.block[IGRAD_DIM_I] = sizes[IGRAD_DIM_I].size[i];
			for (int o = 0; o < sizes[IGRAD_DIM_O].num && !search->err; o++) {
				plan.block[IGRAD_DIM_O] = sizes[IGRAD_DIM_O].size[o];
				orders(search, &plan);
			}
		}
	}
}

/* ---------------------------------------------------------------- between the sizes */

static int by_bytes(const void *a, const void *b)
{
	uint64_t moved_a = bytes_moved(a), moved_b = bytes_moved(b);

	return moved_a < moved_b ? -1 : moved_a > moved_b;
}

static uint32_t in_units(const struct search *search, enum igrad_dim dim, uint32_t size)
{
	uint32_t most = igrad_min(search->problem->dim[dim], IGRAD_MAX_BATCH);
	uint64_t rounded = round_up(size, search->unit[dim]);

	if (dim == IGRAD_DIM_B)
		rounded = size > search->unit[dim] ? size : search->unit[dim];
	return rounded < most ? rounded : most;
}

/* The largest blocks of a dimension that fit, but no more unequal than need be. */
static void grow(const struct search *search, struct igrad_plan *plan, enum igrad_dim dim)
{
	const struct igrad_problem *problem = search->problem;
	uint32_t whole = problem->dim[dim], low = 1;
	uint32_t high = igrad_min(whole, IGRAD_MAX_BATCH);

	while (low < high) {
		plan->block[dim] = high - (high - low) / 2;
		set_least(problem, plan, 1);
		if (fits(problem, plan))
			low = plan->block[dim];
		else
			high = plan->block[dim] - 1;
	}
	if (low > search->unit[dim] && low < whole && dim != IGRAD_DIM_B)
		low -= low % search->unit[dim];
	plan->block[dim] = in_units(search, dim, (whole - 1) / ((whole - 1) / low + 1) + 1);
}

/* Looks at a plan, and keeps it in @best if it moves less than any before. */
static void improve(struct search *search, struct igrad_plan *plan, struct igrad_plan *best)
{
	uint64_t least = search->least;

	slots(search, plan);
	if (search->least < least)
		*best = *plan;
}

/* Tries a few more and a few less blocks of one dimension, alone and with as large blocks of
 * another one as then fit. */
static void vary(struct search *search, struct igrad_plan *best, enum igrad_dim dim)
{
	const struct igrad_plan from = *best;
	uint32_t whole = search->problem->dim[dim];
	int blocks = (whole - 1) / from.block[dim] + 1;

	for (int more = -2; more <= 2; more++) {
		struct igrad_plan plan = from;
		uint32_t size;

		if (blocks + more < 1)
			continue;
		size = in_units(search, dim, (whole - 1) / (blocks + more) + 1);
		plan.block[dim] = size;
		improve(search, &plan, best);
		for (int other = 0; other < IGRAD_NUM_DIMS; other++) {
			if (other == (int)dim)
				continue;
			memcpy(plan.block, from.block, sizeof(plan.block));
			plan.block[dim] = size;
			grow(search, &plan, other);
			improve(search, &plan, best);
		}
	}
}

/* Downhill from the best plan of each order of loops. */
static void refine(struct search *search)
{
	struct igrad_plan plans[MAX_SLOPES];
	int n = 0;

	if (!search->num)
		return;
	qsort(search->found, search->num, sizeof(*search->found), by_bytes);
	for (size_t i = 0; i < search->num && n < MAX_SLOPES; i++) {
		const struct igrad_plan *plan = &search->found[i].plan;
		int same = 0;

		while (same < n && memcmp(plans[same].order, plan->order, sizeof(plan->order)))
			same++;
		if (same == n)
			plans[n++] = *plan;
	}
	for (int i = 0; i < n; i++) {
		uint64_t before = UINT64_MAX;

		for (int step = 0; step < MAX_STEPS && search->least < before; step++) {
			before = search->least;
			for (int dim = 0; dim < IGRAD_NUM_DIMS && !search->err; dim++)
				vary(search, &plans[i], dim);
		}
	}
}

/* ---------------------------------------------------------------- the best */

static int compare(double a, double b)
{
	return a < b ? -1 : a > b;
}

/* Takes what looks alike to within a percent for as good. */
static int compare_roughly(double a, double b)
{
	return compare(floor(log(a) * 100), floor(log(b) * 100));
}

/* Of those that are as good as each other few commands and little SRAM count. */
static int by_cycles(const void *a, const void *b)
{
	const struct igrad_candidate *ca = a, *cb = b;
	int order = compare_roughly(ca->cycles, cb->cycles);

	if (!order)
		order = compare(ca->commands, cb->commands);
	if (!order)
		order = compare(igrad_plan_bytes(&ca->plan), igrad_plan_bytes(&cb->plan));
	return order ? order : compare(ca->cycles, cb->cycles);
}

/* All move about the same bytes, so that SRAM makes the difference. */
static int by_energy(const void *a, const void *b)
{
	const struct igrad_candidate *ca = a, *cb = b;
	int order = compare_roughly(ca->accesses, cb->accesses);

	return order ? order : by_cycles(a, b);
}

static int by_dram(const void *a, const void *b)
{
	int order = compare(bytes_moved(a), bytes_moved(b));

	return order ? order : by_cycles(a, b);
}

static bool same_cut(const struct igrad_plan *a, const struct igrad_plan *b)
{
	return !memcmp(a->block, b->block, sizeof(a->block)) &&
	       !memcmp(a->order, b->order, sizeof(a->order)) && a->dx_turned == b->dx_turned &&
	       a->dw_turned == b->dw_turned && a->dw_first == b->dw_first;
}

/* The most promising ones, no cut more than twice. */
static int pick(struct search *search, enum igrad_objective objective,
		struct igrad_candidate candidates[])
{
	static int (*const orders[IGRAD_NUM_OBJECTIVES])(const void *, const void *) = {
		[IGRAD_OBJECTIVE_CYCLES] = by_cycles,
		[IGRAD_OBJECTIVE_ENERGY] = by_energy,
		[IGRAD_OBJECTIVE_DRAM] = by_dram,
	};
	double enough = search->relaxed ? search->least : NEARLY * search->least;
	int n = 0;

	if (!search->num)
		return 0;
	qsort(search->found, search->num, sizeof(*search->found), orders[objective]);
	for (size_t i = 0; i < search->num && n < IGRAD_MAX_CANDIDATES; i++) {
		int same = 0;

		for (int c = 0; c < n; c++)
			same += same_cut(&candidates[c].plan, &search->found[i].plan);
		if (bytes_moved(&search->found[i]) <= enough && same < 2)
			candidates[n++] = search->found[i];
	}
	return n;
}

/* Looks at blocks that are smaller than tiles too: that saves bytes, and leaves PEs idle. */
static void search_finely(struct search *search)
{
	search_sizes(search, true);
	for (int dim = 0; dim < IGRAD_NUM_DIMS; dim++)
		search->unit[dim] = 1;
	refine(search);
}

int igrad_plan_search(const struct igrad_problem *problem, enum igrad_objective objective,
		      struct igrad_candidate candidates[IGRAD_MAX_CANDIDATES])
{
	struct search search = {
		.problem = problem,
		.least = UINT64_MAX,
		.compulsory = igrad_problem_compulsory(problem),
	};
	int n;

	set_units(&search);
	search_sizes(&search, false);
	if (search.num && search.least > search.compulsory)
		refine(&search);
	if (!search.num || (objective == IGRAD_OBJECTIVE_DRAM && search.least > search.compulsory))
		search_finely(&search);
	n = search.err ? search.err : pick(&search, objective, candidates);
	if (!n)
		n = search.fits ? -E2BIG : -ENOSPC;
	free(search.found);
	return n;
}
