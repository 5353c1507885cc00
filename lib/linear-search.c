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

#define MAX_REPEATED 5	/* operands for which it is worth asking whether they stay */
#define MAX_SIZES    48 /* block sizes of a dimension */
#define MIN_STREAM   16 /* batch rows: shorter chunks cost more in skew than they save */
#define MAX_SLOPES   4	/* plans that are refined */
#define MAX_STEPS    8	/* rounds of refinement */

/* Traffic as good as the least, unless that is compulsory; more where second slots save time. */
static const double nearly[IGRAD_NUM_OBJECTIVES] = {
	[IGRAD_OBJECTIVE_CYCLES] = 1.10,
	[IGRAD_OBJECTIVE_ENERGY] = 1.06,
	[IGRAD_OBJECTIVE_DRAM] = 1.06,
};

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
 * @batch: also equal parts that are not whole units: rows are streamed, and not cut into tiles
 * @fine: also less than a unit, for an SRAM that is too small for what the array could do
 */
static void list_sizes(uint32_t dim, uint32_t unit, bool batch, bool fine, struct sizes *sizes)
{
	uint32_t most = igrad_min(dim, IGRAD_MAX_BATCH);

	sizes->num = 0;
	add_size(sizes, most, most);
	for (uint64_t n = 1; n * unit < most; n = n < 4 ? n + 1 : n % 3 ? n / 2 * 3 : n / 3 * 4)
		add_size(sizes, n * unit, most);
	for (uint32_t parts = 2; parts <= 5; parts++)
		add_size(sizes, round_up((most - 1) / parts + 1, unit), most);
	for (uint32_t parts = 2; batch && parts <= 8 && most / parts >= unit; parts++)
		add_size(sizes, (most - 1) / parts + 1, most);
	if (!fine)
		return;
	for (uint32_t n = igrad_min(unit, most) / 2; n; n /= 2)
		add_size(sizes, n, most);
}

/* ---------------------------------------------------------------- candidates so far */

/*
 * @spilling: which plans it is about: igrad_plan_spills()
 * @unit: what blocks smaller than the layer are multiples of; of the batch only to begin with
 * @relaxed: there is a plan that moves everything once, and has room for two blocks of what streams
 */
struct search {
	const struct igrad_problem *problem;
	enum igrad_objective objective;
	bool spilling;
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

/* Traffic is exact and known at once: what moves too much is not rated. */
static bool moves_little(const struct search *search, const struct igrad_candidate *candidate)
{
	return bytes_moved(candidate) <= nearly[search->objective] * search->least;
}

static void consider_way(struct search *search, struct igrad_candidate *candidate)
{
	igrad_candidate_rate(search->problem, candidate);
	if (!candidate->cycles)
		return;
	if (bytes_moved(candidate) < search->least)
		search->least = bytes_moved(candidate);
	keep(search, candidate);
}

/* ws has four ways of choosing what is stationary; each is a plan of its own. */
static void consider(struct search *search, const struct igrad_plan *plan)
{
	const struct igrad_problem *problem = search->problem;
	int ways = problem->backward && problem->schedule == IGRAD_SCHEDULE_WS ? 4 : 1;
	struct igrad_candidate candidate = {.plan = *plan};

	if (!igrad_plan_traffic(problem, plan, &candidate.traffic))
		return;
	search->fits = true;
	for (int way = 0; way < ways && moves_little(search, &candidate); way++) {
		candidate.plan.dx_turned = way & 1;
		candidate.plan.dw_turned = way & 2;
		/* What is streamed must be bf16 then, and W is to be updated. */
		if (candidate.plan.dx_turned && problem->narrow)
			continue;
		if (!candidate.plan.dx_turned || problem->home & 1u << IGRAD_ROLE_DX)
			consider_way(search, &candidate);
	}
}

/* ---------------------------------------------------------------- what stays in SRAM */

/*
 * struct cut - what follows from block sizes and the order of loops, whatever stays in SRAM
 * @roles: those that take SRAM
 * @slot: bytes of a slot
 * @blocks: how many there are
 * @sweep: blocks that are asked for again and again
 * @need: slots without which nothing works
 */
struct cut {
	enum igrad_role roles[IGRAD_NUM_ROLES];
	int num;
	uint64_t slot[IGRAD_NUM_ROLES];
	uint32_t blocks[IGRAD_NUM_ROLES];
	uint32_t sweep[IGRAD_NUM_ROLES];
	uint32_t need[IGRAD_NUM_ROLES];
};

/* Choices that have been looked at. */
struct seen {
	uint32_t slots[(1 << MAX_REPEATED) * (1 + IGRAD_NUM_ROLES)][IGRAD_NUM_ROLES];
	int num;
};

static uint32_t blocks_of(const struct igrad_problem *problem, const struct igrad_plan *plan,
			  enum igrad_role role)
{
	uint64_t blocks = igrad_window_blocks(igrad_role_size(problem, role),
					      igrad_role_block(plan, role));

	return blocks < UINT32_MAX ? blocks : UINT32_MAX;
}

/* Bit per role: what takes SRAM. */
static uint32_t in_sram(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	uint32_t roles = problem->home | problem->scratch;

	return igrad_plan_spills(problem, plan) ? roles | problem->spill : roles;
}

static void cut_init(struct cut *cut, const struct igrad_problem *problem,
		     const struct igrad_plan *plan)
{
	uint32_t roles = in_sram(problem, plan);

	cut->num = 0;
	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		bool stays = !(problem->home & 1u << role) ||
			     igrad_problem_whole(problem) & 1u << role;

		if (!(roles & 1u << role))
			continue;
		cut->roles[cut->num++] = role;
		cut->slot[role] = igrad_slot_bytes(plan, role);
		cut->blocks[role] = blocks_of(problem, plan, role);
		cut->sweep[role] = igrad_plan_visits(problem, plan, role).sweep;
		cut->need[role] = stays ? cut->sweep[role] : 1;
	}
}

/* Up to @most slots for what is streamed, and all that is needed for what has no home; returns the
 * bytes that these take. */
static uint64_t set_least(const struct cut *cut, struct igrad_plan *plan, uint32_t most)
{
	uint64_t bytes = 0;

	memset(plan->slots, 0, sizeof(plan->slots));
	for (int i = 0; i < cut->num; i++) {
		enum igrad_role role = cut->roles[i];
		uint32_t want = cut->need[role] > most ? cut->need[role] : most;

		plan->slots[role] = igrad_min(want, cut->blocks[role]);
		bytes += plan->slots[role] * cut->slot[role];
	}
	return bytes;
}

/* Not even a block of each operand fits, in whatever order. */
static bool too_large(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	uint64_t bytes = 0;

	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		if ((problem->home | problem->scratch) & 1u << role)
			bytes += igrad_slot_bytes(plan, role);
	return bytes > problem->device->sram_bytes;
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
static int list_repeated(const struct igrad_problem *problem, const struct cut *cut,
			 const struct igrad_plan *plan, enum igrad_role roles[])
{
	int n = 0;

	for (int i = 0; i < cut->num && n < MAX_REPEATED; i++) {
		enum igrad_role role = cut->roles[i];

		if (!(role == IGRAD_ROLE_Y && problem->backward) &&
		    cut->sweep[role] > plan->slots[role])
			roles[n++] = role;
	}
	return n;
}

/* Use the @left bytes for keeping part of what does not fit as a whole. */
static void pin_parts(const struct igrad_problem *problem, const struct cut *cut,
		      struct igrad_plan *plan, uint64_t left)
{
	enum igrad_role roles[MAX_REPEATED];
	int n = list_repeated(problem, cut, plan, roles);

	for (int most = 2; most; most--) {
		for (int i = 0; i < n; i++) {
			enum igrad_role role = roles[i];
			uint64_t more = left / cut->slot[role];

			if (weight(problem, role) != most)
				continue;
			if (more > cut->sweep[role] - plan->slots[role])
				more = cut->sweep[role] - plan->slots[role];
			plan->slots[role] += more;
			left -= more * cut->slot[role];
		}
	}
}

/* Roles with a single slot, the smallest slots first: the array and transfers take turns there. */
static int list_single(const struct cut *cut, const struct igrad_plan *plan,
		       enum igrad_role roles[])
{
	int n = 0;

	for (int i = 0; i < cut->num; i++) {
		enum igrad_role role = cut->roles[i];
		int at = n;

		if (plan->slots[role] > 1 || cut->blocks[role] == 1)
			continue;
		for (; at && cut->slot[roles[at - 1]] > cut->slot[role]; at--)
			roles[at] = roles[at - 1];
		roles[at] = role;
		n++;
	}
	return n;
}

static bool seen_before(struct seen *seen, const struct igrad_plan *plan)
{
	for (int i = 0; i < seen->num; i++)
		if (!memcmp(plan->slots, seen->slots[i], sizeof(plan->slots)))
			return true;
	memcpy(seen->slots[seen->num++], plan->slots, sizeof(plan->slots));
	return false;
}

/* What is left goes to second slots of more and more of those roles that have a single one, and
 * then to parts of what does not fit. @least: a plan that takes @bytes */
static void second_slots(struct search *search, const struct cut *cut, struct seen *seen,
			 const struct igrad_plan *least, uint64_t bytes)
{
	uint64_t sram = search->problem->device->sram_bytes;
	enum igrad_role single[IGRAD_NUM_ROLES];
	int num = search->relaxed ? 0 : list_single(cut, least, single);

	for (int doubled = 0; doubled <= num; doubled++) {
		struct igrad_plan plan = *least;

		for (int i = 0; i < doubled; i++)
			plan.slots[single[i]]++;
		if (doubled)
			bytes += cut->slot[single[doubled - 1]];
		if (bytes > sram)
			return;
		pin_parts(search->problem, cut, &plan, sram - bytes);
		if (!seen_before(seen, &plan))
			consider(search, &plan);
	}
}

/* Every choice of which sweeps to keep in SRAM. */
static void residencies(struct search *search, const struct cut *cut,
			const struct igrad_plan *least, uint64_t bytes)
{
	enum igrad_role roles[MAX_REPEATED];
	int n = list_repeated(search->problem, cut, least, roles);
	struct seen seen;

	seen.num = 0;
	for (uint32_t set = 0; set < 1u << n && !search->err; set++) {
		struct igrad_plan plan = *least;
		uint64_t takes = bytes;

		for (int i = 0; i < n; i++) {
			if (!(set & 1u << i))
				continue;
			plan.slots[roles[i]] = cut->sweep[roles[i]];
			takes += (cut->sweep[roles[i]] - least->slots[roles[i]]) *
				 cut->slot[roles[i]];
		}
		if (takes <= search->problem->device->sram_bytes)
			second_slots(search, cut, &seen, &plan, takes);
	}
}

/* ---------------------------------------------------------------- all together */

/* Everything if possible; a few blocks that go round, so that transfers and work overlap. */
static void slots(struct search *search, struct igrad_plan *plan)
{
	static const uint32_t depths[] = {UINT32_MAX, 8, 4, 2, 1};
	uint64_t sram = search->problem->device->sram_bytes, before = UINT64_MAX;
	struct cut cut;

	if (igrad_plan_spills(search->problem, plan) != search->spilling)
		return;
	cut_init(&cut, search->problem, plan);
	if (set_least(&cut, plan, 1) > sram)
		return;
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		uint64_t bytes = set_least(&cut, plan, depths[i]);

		if (bytes > sram || bytes == before)
			continue;
		before = bytes;
		residencies(search, &cut, plan, bytes);
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

	if (too_large(search->problem, plan))
		return;
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
		list_sizes(search->problem->dim[dim], search->unit[dim], dim == IGRAD_DIM_B, fine,
			   &sizes[dim]);
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
		struct cut cut;

		plan->block[dim] = high - (high - low) / 2;
		cut_init(&cut, problem, plan);
		if (set_least(&cut, plan, 1) <= problem->device->sram_bytes)
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

static bool same_order(const struct igrad_plan *a, const struct igrad_plan *b)
{
	return !memcmp(a->order, b->order, sizeof(a->order));
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

		while (same < n && !same_order(&plans[same], plan))
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

#define MAX_KEYS 5

/* A candidate, and numbers that tell how good it is: the first that differs counts. */
struct entry {
	const struct igrad_candidate *candidate;
	double keys[MAX_KEYS];
};

static int by_keys(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;

	for (int i = 0; i < MAX_KEYS; i++)
		if (ea->keys[i] != eb->keys[i])
			return ea->keys[i] < eb->keys[i] ? -1 : 1;
	return ea->candidate < eb->candidate ? -1 : ea->candidate > eb->candidate;
}

/* Takes what looks alike to within a percent for as good. */
static double roughly(double value)
{
	return floor(log(value) * 100);
}

/* The objective comes first, then time; of those that are as good as each other few commands and
 * little SRAM count. */
static struct entry entry_of(const struct igrad_candidate *candidate,
			     enum igrad_objective objective)
{
	struct entry entry = {
		.candidate = candidate,
		.keys = {0, roughly(candidate->cycles), candidate->commands,
			 igrad_plan_bytes(&candidate->plan), candidate->cycles},
	};

	if (objective == IGRAD_OBJECTIVE_DRAM)
		entry.keys[0] = bytes_moved(candidate);
	else if (objective == IGRAD_OBJECTIVE_ENERGY)
		/* All move about the same bytes, so that SRAM makes the difference. */
		entry.keys[0] = roughly(candidate->accesses);
	return entry;
}

static bool same_cut(const struct igrad_plan *a, const struct igrad_plan *b)
{
	return !memcmp(a->block, b->block, sizeof(a->block)) &&
	       !memcmp(a->order, b->order, sizeof(a->order)) && a->dx_turned == b->dx_turned &&
	       a->dw_turned == b->dw_turned && a->dw_first == b->dw_first;
}

/* The @most most promising ones, and no cut more than twice. */
static int pick_first(const struct entry *entries, size_t num, int most,
		      struct igrad_candidate candidates[])
{
	int n = 0;

	for (size_t i = 0; i < num && n < most; i++) {
		const struct igrad_plan *plan = &entries[i].candidate->plan;
		int same = 0;

		for (int c = 0; c < n; c++)
			same += same_cut(&candidates[c].plan, plan);
		if (same < 2)
			candidates[n++] = *entries[i].candidate;
	}
	return n;
}

static int pick(const struct search *search, struct igrad_candidate candidates[])
{
	double enough = search->relaxed ? search->least : nearly[search->objective] * search->least;
	struct entry *entries;
	size_t num = 0;
	int n;

	if (!search->num)
		return 0;
	entries = malloc(search->num * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < search->num; i++)
		if (bytes_moved(&search->found[i]) <= enough)
			entries[num++] = entry_of(&search->found[i], search->objective);
	qsort(entries, num, sizeof(*entries), by_keys);
	n = pick_first(entries, num, IGRAD_MAX_CANDIDATES / (search->spilling ? 2 : 1), candidates);
	free(entries);
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
		      bool spilling, struct igrad_candidate candidates[IGRAD_MAX_CANDIDATES])
{
	struct search search = {
		.problem = problem,
		.objective = objective,
		.spilling = spilling,
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
	n = search.err ? search.err : pick(&search, candidates);
	if (!n)
		n = search.fits ? -E2BIG : -ENOSPC;
	free(search.found);
	return n;
}
