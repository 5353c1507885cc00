// SPDX-License-Identifier: MIT
/*
 * What a plan looks like on paper: a rough estimate of its time, good enough to leave most plans
 * out. What is reported and decided by comes from executing commands.
 */
#include <string.h>

#include "linear-search.h"

static double max_double(double a, double b)
{
	return a > b ? a : b;
}

static double min_double(double a, double b)
{
	return a < b ? a : b;
}

/* ---------------------------------------------------------------- counting */

static uint64_t div_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static uint64_t num_blocks(const struct igrad_problem *problem, const struct igrad_plan *plan,
			   enum igrad_dim dim)
{
	return div_up(problem->dim[dim], plan->block[dim]);
}

/* Tiles along a dimension, each block being cut into tiles of its own. */
static uint64_t num_tiles(const struct igrad_problem *problem, const struct igrad_plan *plan,
			  enum igrad_dim dim, uint32_t tile)
{
	uint64_t whole = problem->dim[dim] / plan->block[dim];
	uint64_t rest = problem->dim[dim] % plan->block[dim];

	return whole * div_up(plan->block[dim], tile) + div_up(rest, tile);
}

/* ---------------------------------------------------------------- the array */

/*
 * struct product - what the array does for one of the layer's products
 * @streams: how many
 * @rows: streamed, all streams together
 * @loads: of weights, a tile each
 * @moves: of acc in or out, and of w out
 * @gaps: cycles between streams, which nothing hides
 * @pitch: cycles that a stream takes at least because of the psums it shares with the next
 */
struct product {
	double streams, rows, loads, moves, gaps;
	uint32_t pitch;
};

static double product_cycles(const struct igrad_problem *problem, const struct product *p)
{
	const struct igrad_device_info *info = problem->device;
	double skew = (double)info->rows + info->cols - 2;
	double least;

	if (!(info->features & IGRAD_FEATURE_OVERLAP))
		return p->rows + p->streams * skew + (p->loads + p->moves) * info->rows;
	least = max_double(p->loads, p->moves) * info->rows;
	return p->gaps + max_double(max_double(p->rows, least), p->streams * p->pitch);
}

/* A row that is streamed enters on one side, and its psums leave on another and come back. */
static double product_accesses(const struct igrad_problem *problem, const struct product *p)
{
	double rows = problem->device->rows, cols = problem->device->cols;

	return (p->loads + p->moves) * rows * cols + p->rows * (rows + 1.5 * cols);
}

/* A product whose stationary tiles lie @r × @c on the array; it streams @s. */
static struct product stationary(const struct igrad_problem *problem, const struct igrad_plan *plan,
				 enum igrad_dim r, enum igrad_dim c, enum igrad_dim s)
{
	double tiles = (double)num_tiles(problem, plan, r, problem->device->rows) *
		       num_tiles(problem, plan, c, problem->device->cols);
	double streams = tiles * num_blocks(problem, plan, s);

	return (struct product){
		.streams = streams,
		.rows = tiles * problem->dim[s],
		.loads = streams,
		.pitch = problem->device->rows,
	};
}

/* DGRAD, WGRAD and both: in-features on rows, out-features on columns, the batch streams. */
static struct product natural(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	struct product p = stationary(problem, plan, IGRAD_DIM_I, IGRAD_DIM_O, IGRAD_DIM_B);

	p.pitch = problem->device->cols;
	if (igrad_plan_keeps_acc(plan)) /* and w */
		p.loads /= num_blocks(problem, plan, IGRAD_DIM_B);
	return p;
}

/* Tiles leave at their end; where the batch is split acc leaves and comes back between chunks. */
static void add_moves(const struct igrad_problem *problem, const struct igrad_plan *plan,
		      struct product *p)
{
	double tiles = p->streams / num_blocks(problem, plan, IGRAD_DIM_B);

	p->moves += tiles;
	if (!igrad_plan_keeps_acc(plan))
		p->moves += 2 * (p->streams - tiles);
	if (problem->update != IGRAD_UPDATE_MOMENTUM)
		return;
	/* The velocity comes, and leaves besides w: both directions share the array's wires. */
	p->moves += problem->fused ? 2 * tiles : tiles;
	if (problem->fused)
		p->gaps += 3 * tiles * problem->device->rows;
}

static int backward_products(const struct igrad_problem *problem, const struct igrad_plan *plan,
			     struct product products[2])
{
	bool has_dx = problem->home & 1u << IGRAD_ROLE_DX;
	int n = 0;

	if (problem->schedule == IGRAD_SCHEDULE_INTERLEAVED) {
		products[n] = natural(problem, plan);
		if (has_dx)
			products[n].rows *= 2;
		if (problem->fused)
			products[n].rows += products[n].streams /
					    num_blocks(problem, plan, IGRAD_DIM_B);
		add_moves(problem, plan, &products[n++]);
		return n;
	}
	if (problem->schedule == IGRAD_SCHEDULE_WS_OS) {
		if (has_dx)
			products[n++] = natural(problem, plan);
		products[n] = natural(problem, plan);
		products[n].loads = 0;
		add_moves(problem, plan, &products[n++]);
		return n;
	}
	if (has_dx)
		products[n++] =
			plan->dx_turned
				? stationary(problem, plan, IGRAD_DIM_O, IGRAD_DIM_B, IGRAD_DIM_I)
				: stationary(problem, plan, IGRAD_DIM_O, IGRAD_DIM_I, IGRAD_DIM_B);
	products[n++] = plan->dw_turned
				? stationary(problem, plan, IGRAD_DIM_B, IGRAD_DIM_I, IGRAD_DIM_O)
				: stationary(problem, plan, IGRAD_DIM_B, IGRAD_DIM_O, IGRAD_DIM_I);
	return n;
}

static int products_of(const struct igrad_problem *problem, const struct igrad_plan *plan,
		       struct product products[2])
{
	if (problem->backward)
		return backward_products(problem, plan, products);
	products[0] = stationary(problem, plan, IGRAD_DIM_I, IGRAD_DIM_O, IGRAD_DIM_B);
	return 1;
}

/* Do tiles of both products alternate, so that one's loads are hidden by the other's drains? */
static bool take_turns(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	return problem->schedule == IGRAD_SCHEDULE_WS_OS &&
	       plan->block[IGRAD_DIM_I] <= plan->tile.rows &&
	       plan->block[IGRAD_DIM_O] <= plan->tile.cols;
}

static int merge(struct product products[2])
{
	products[0].streams += products[1].streams;
	products[0].rows += products[1].rows;
	products[0].loads += products[1].loads;
	products[0].moves += products[1].moves;
	products[0].gaps += products[1].gaps;
	products[0].pitch = 0;
	return 1;
}

/* ---------------------------------------------------------------- the whole */

static double vector_cycles(const struct igrad_problem *problem)
{
	double elements = (double)problem->dim[IGRAD_DIM_B] * problem->dim[IGRAD_DIM_O];
	double weights = (double)problem->dim[IGRAD_DIM_I] * problem->dim[IGRAD_DIM_O];
	double ops = 0;

	if (problem->home & 1u << IGRAD_ROLE_Y)
		ops += elements;
	if (problem->home & 1u << IGRAD_ROLE_BIAS)
		ops += elements;
	if (problem->backward && !problem->fused && problem->update != IGRAD_UPDATE_NONE)
		ops += weights;
	return ops / problem->device->cols;
}

/* Bytes of what is loaded for a part of the layer that is so large. */
static double loaded(const struct igrad_problem *problem, const uint32_t part[IGRAD_NUM_DIMS])
{
	static const enum igrad_role roles[] = {IGRAD_ROLE_X, IGRAD_ROLE_W,  IGRAD_ROLE_DY,
						IGRAD_ROLE_Y, IGRAD_ROLE_VW, IGRAD_ROLE_SW};
	struct igrad_problem piece = *problem;
	double bytes = 0;

	memcpy(piece.dim, part, sizeof(piece.dim));
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		struct igrad_size size = igrad_role_size(&piece, roles[i]);

		if (!problem->backward && roles[i] == IGRAD_ROLE_Y)
			continue;
		if (problem->home & 1u << roles[i])
			bytes += (double)igrad_role_width(problem, roles[i]) * size.rows *
				 size.cols;
	}
	return bytes;
}

/*
 * How much later than at once the array comes to its end since operands are still under way: seen
 * after the first tile, the first row of tiles, the first block, and each loop's first round.
 */
static double delay(const struct igrad_problem *problem, const struct igrad_plan *plan,
		    uint64_t read, double array)
{
	double width = problem->device->dram_bytes_per_cycle;
	double volume = 1, tile = 1, latest = 0;
	uint32_t part[IGRAD_NUM_DIMS];

	memcpy(part, plan->block, sizeof(part));
	part[IGRAD_DIM_I] = igrad_min(part[IGRAD_DIM_I], plan->tile.rows);
	part[IGRAD_DIM_O] = igrad_min(part[IGRAD_DIM_O], plan->tile.cols);
	for (int dim = 0; dim < IGRAD_NUM_DIMS; dim++) {
		volume *= problem->dim[dim];
		tile *= part[dim];
	}
	for (int step = 0; step < 6; step++) {
		double bytes = step < 5 ? loaded(problem, part) : (double)read, done;

		done = (double)part[0] * part[1] * part[2] - tile;
		latest = max_double(latest, bytes / width - array * done / volume);
		if (step == 0)
			part[IGRAD_DIM_O] = plan->block[IGRAD_DIM_O];
		else if (step == 1)
			part[IGRAD_DIM_I] = plan->block[IGRAD_DIM_I];
		else if (step < 5)
			part[plan->order[4 - step]] = problem->dim[plan->order[4 - step]];
	}
	return latest;
}

/* Parts of a block that the array is through with one after the other, so that what comes next can
 * follow piece by piece. */
static double pieces(const struct igrad_problem *problem, const struct igrad_plan *plan,
		     enum igrad_role role)
{
	double down = div_up(plan->block[IGRAD_DIM_I], plan->tile.rows);
	double right = div_up(plan->block[IGRAD_DIM_O], plan->tile.cols);

	if (problem->backward && problem->schedule != IGRAD_SCHEDULE_INTERLEAVED)
		return 1; /* the array goes through a block twice */
	switch (role) {
	case IGRAD_ROLE_X:
	case IGRAD_ROLE_DX:
		return problem->backward || right == 1 ? down : 1;
	case IGRAD_ROLE_Y:
	case IGRAD_ROLE_DY:
		return !problem->backward || down == 1 ? right : 1;
	default:
		return down * right;
	}
}

/*
 * Cycles that a piece of so many bytes keeps its place besides those in which it is worked on:
 * until the last wavefront has passed, and its transfers are over.
 * @parts: moved one by one: the first can come in as soon as the first has left
 */
static double occupied(const struct igrad_problem *problem, enum igrad_role role, double bytes,
		       double parts)
{
	const struct igrad_device_info *info = problem->device;
	bool both = role != IGRAD_ROLE_X && role != IGRAD_ROLE_DY && role != IGRAD_ROLE_Y;
	double cycles = info->rows + info->cols + (both ? 2.0 * info->rows + info->cols : 0);

	if (problem->home & 1u << role)
		cycles += bytes / info->dram_bytes_per_cycle + info->dram_latency;
	if (problem->home & 1u << role && both)
		cycles += bytes / parts / info->dram_bytes_per_cycle + info->dram_latency;
	return cycles;
}

/*
 * A place is used again when what was in it has gone through the array and has left, and what comes
 * next is there: with few slots this goes round more slowly than the array works.
 */
static double turnaround(const struct igrad_problem *problem, const struct igrad_plan *plan,
			 enum igrad_role role, double array)
{
	struct igrad_visits visits = igrad_plan_visits(problem, plan, role);
	uint32_t slots = plan->slots[role], pinned = igrad_window_pinned(slots);
	struct igrad_size size = igrad_role_size(problem, role);
	struct igrad_size block = igrad_role_block(plan, role);
	double blocks = igrad_window_blocks(size, block), cut, each, visit, moving, stays, round;
	double bytes = (double)igrad_role_width(problem, role) * block.rows * block.cols;

	if (slots >= blocks)
		return 0;
	cut = max_double(1, min_double(pieces(problem, plan, role),
				       bytes / igrad_piece_least(problem->device)));
	each = occupied(problem, role, bytes / cut, igrad_plan_parts(problem, plan, role));
	visit = array / (blocks * visits.times * cut);
	if (visits.sweep <= slots) {
		stays = ((visits.times - 1.0) * visits.sweep * cut + 1) * visit;
		return blocks * (stays + each) / slots;
	}
	moving = (double)(visits.sweep - pinned) / visits.sweep;
	round = blocks * visits.times * (visit + each) / (slots - pinned);
	return array * (1 - moving) + moving * max_double(array, round);
}

static bool comes_in(const struct igrad_problem *problem, enum igrad_role role)
{
	return problem->backward ? role != IGRAD_ROLE_DX && role != IGRAD_ROLE_DW
				 : role != IGRAD_ROLE_Y;
}

static bool leaves(const struct igrad_problem *problem, enum igrad_role role)
{
	if (problem->backward)
		return role != IGRAD_ROLE_X && role != IGRAD_ROLE_DY && role != IGRAD_ROLE_Y;
	return role == IGRAD_ROLE_Y;
}

/*
 * What stays in SRAM for several rounds comes in during the first and leaves during the last, when
 * what takes its place comes in: transfers do not spread over the rounds between.
 */
static double rounds(const struct igrad_problem *problem, const struct igrad_plan *plan,
		     enum igrad_role role, double array)
{
	struct igrad_visits visits = igrad_plan_visits(problem, plan, role);
	struct igrad_size size = igrad_role_size(problem, role);
	double blocks = igrad_window_blocks(size, igrad_role_block(plan, role));
	double bytes = (double)igrad_role_width(problem, role) * size.rows * size.cols;
	double sweeps = blocks / visits.sweep, transfer, round, in, out;

	if (!(problem->home & 1u << role) || visits.times == 1 ||
	    visits.sweep > plan->slots[role] ||
	    (sweeps > 1 && plan->slots[role] >= 2 * visits.sweep))
		return 0;
	transfer = bytes / problem->device->dram_bytes_per_cycle / sweeps;
	round = array / sweeps / visits.times;
	in = comes_in(problem, role) ? max_double(transfer, round) : round;
	out = leaves(problem, role) ? max_double(transfer, round) : round;
	if (sweeps > 1)
		return sweeps * (round * (visits.times - 1) + max_double(in, out));
	return in + round * (visits.times - 2) + out;
}

/* Weights whose gradient the last streams finish: a tile, or what is streamed past a stationary
 * one.
 */
static double last_weights(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	uint32_t rows = igrad_min(plan->block[IGRAD_DIM_I], plan->tile.rows);
	uint32_t cols = igrad_min(plan->block[IGRAD_DIM_O], plan->tile.cols);

	if (problem->schedule <= IGRAD_SCHEDULE_WS && plan->dw_turned)
		cols = plan->block[IGRAD_DIM_O];
	else if (problem->schedule <= IGRAD_SCHEDULE_WS)
		rows = plan->block[IGRAD_DIM_I];
	return (double)rows * cols;
}

/* Bytes that leave after the last stream: at least a tile of each result. */
static double last_bytes(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	double rows = igrad_min(problem->dim[IGRAD_DIM_I], plan->tile.rows);
	double cols = igrad_min(problem->dim[IGRAD_DIM_O], plan->tile.cols);
	double bytes = 0;

	if (!problem->backward)
		return plan->block[IGRAD_DIM_B] * cols * igrad_role_width(problem, IGRAD_ROLE_Y);
	if (problem->home & 1u << IGRAD_ROLE_DX)
		bytes += plan->block[IGRAD_DIM_B] * rows * igrad_role_width(problem, IGRAD_ROLE_DX);
	/* Adam's moments leave with the weights. */
	return bytes + (problem->update == IGRAD_UPDATE_ADAM ? 3 : 1) * 4.0 * rows * cols;
}

/* Cycles of the update that waits for the last stream. */
static double last_update(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	if (!problem->backward || problem->fused || problem->update == IGRAD_UPDATE_NONE)
		return 0;
	return last_weights(problem, plan) / problem->device->cols;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Weights come in once at least, and leave if they are updated; so do velocities and Adam's
 * moments.
 */
static uint64_t weight_bytes(const struct igrad_problem *problem)
{
	struct igrad_size size = igrad_role_size(problem, IGRAD_ROLE_W);
	uint64_t moves = 1;

	if (problem->backward && problem->update != IGRAD_UPDATE_NONE)
		moves += 1 + 2 * (problem->home >> IGRAD_ROLE_VW & 1) +
			 2 * (problem->home >> IGRAD_ROLE_SW & 1);
	moves += problem->home >> IGRAD_ROLE_DW & 1;
	return 4ull * size.rows * size.cols * moves;
}

/* About a tile is moved at once, less of weights where slots are few, or what hides a transfer's
 * latency. */
static uint64_t transfers(const struct igrad_problem *problem, const struct igrad_plan *plan,
			  const struct igrad_traffic *traffic)
{
	uint64_t rows = igrad_min(plan->tile.rows, plan->block[IGRAD_DIM_I]);
	uint64_t cols = igrad_min(plan->tile.cols, plan->block[IGRAD_DIM_O]);
	uint64_t least = igrad_piece_least(problem->device);
	uint64_t parts = igrad_plan_parts(problem, plan, IGRAD_ROLE_W);
	uint64_t weights = max_u64(4 * rows * cols / parts, least);
	uint64_t others = max_u64(4 * plan->block[IGRAD_DIM_B] * igrad_min(rows, cols), least);
	uint64_t bytes = traffic->read + traffic->written;
	uint64_t of_weights = weight_bytes(problem);

	if (of_weights > bytes)
		of_weights = bytes;
	return of_weights / weights + (bytes - of_weights) / others;
}

/* Of a dimension's tiles the smallest, which may be the last. */
static double edge(uint32_t dim, uint32_t tile)
{
	return dim % tile ? dim % tile : igrad_min(dim, tile);
}

/*
 * No engine does its work in less; before the first stream something has to come in, and after the
 * last one something has to leave.
 */
static double least_cycles(const struct igrad_problem *problem,
			   const struct igrad_candidate *candidate, double array)
{
	double width = problem->device->dram_bytes_per_cycle;
	double read = candidate->traffic.read / width, written = candidate->traffic.written / width;
	double rows = edge(problem->dim[IGRAD_DIM_I], candidate->plan.tile.rows);
	double cols = edge(problem->dim[IGRAD_DIM_O], candidate->plan.tile.cols);
	double batch = edge(problem->dim[IGRAD_DIM_B], candidate->plan.block[IGRAD_DIM_B]);
	double computing = max_double(array, vector_cycles(problem)), in, out;

	if (problem->backward) {
		in = igrad_role_width(problem, IGRAD_ROLE_DY) * batch * cols / width;
		out = igrad_role_width(problem, IGRAD_ROLE_W) * rows * cols / width;
	} else {
		in = igrad_role_width(problem, IGRAD_ROLE_X) * batch * rows / width;
		out = igrad_role_width(problem, IGRAD_ROLE_Y) * batch * cols / width;
	}
	return max_double(max_double(read + out, written + in), computing + in + out) +
	       2.0 * problem->device->dram_latency;
}

void igrad_candidate_rate(const struct igrad_problem *problem, struct igrad_candidate *candidate)
{
	const struct igrad_device_info *info = problem->device;
	double width = info->dram_bytes_per_cycle, cycles, array = 0;
	struct product products[2];
	int n;

	candidate->cycles = 0;
	candidate->commands = 0;
	candidate->accesses = 0;
	n = products_of(problem, &candidate->plan, products);
	if (n == 2 && take_turns(problem, &candidate->plan))
		n = merge(products);
	for (int i = 0; i < n; i++) {
		array += product_cycles(problem, &products[i]);
		candidate->accesses += product_accesses(problem, &products[i]);
		candidate->commands += products[i].streams + products[i].loads + products[i].moves;
	}
	if (candidate->commands > IGRAD_MAX_COMMANDS)
		return;
	candidate->commands += transfers(problem, &candidate->plan, &candidate->traffic);
	cycles = array + delay(problem, &candidate->plan, candidate->traffic.read, array) +
		 last_update(problem, &candidate->plan);
	cycles = max_double(cycles, vector_cycles(problem));
	cycles = max_double(cycles, candidate->traffic.written / width);
	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		if (!candidate->plan.slots[role])
			continue;
		cycles = max_double(cycles, turnaround(problem, &candidate->plan, role, array));
		cycles = max_double(cycles, rounds(problem, &candidate->plan, role, array));
	}
	candidate->floor = least_cycles(problem, candidate, array);
	candidate->cycles = cycles + last_bytes(problem, &candidate->plan) / width +
			    2.0 * info->dram_latency + info->rows + info->cols;
}
