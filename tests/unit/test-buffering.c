// SPDX-License-Identifier: MIT
/*
 * What the scheduler is worth, by executed streams: operands move once where they can, transfers
 * hide behind the array or the array behind transfers, and the array is busy.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "matrices.h"
#include "planner.h"

static unsigned int num_cases(void)
{
	return getenv("IGRAD_TEST_LONG") ? 600 : 45;
}

/* ---------------------------------------------------------------- layers */

struct machine {
	uint32_t rows, cols, sram_kib, width, latency;
	bool overlap;
};

/* A layer whose operands nobody looks at, on a device that only keeps accounts. */
struct layer {
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *cmdbuf;
	struct igrad_matrix m[IGRAD_NUM_ROLES];
	struct igrad_linear_backward backward;
	struct igrad_linear_forward forward;
};

static void layer_open(struct layer *l, const struct machine *machine, const uint32_t dim[])
{
	struct igrad_problem problem;
	struct igrad_error error;
	char uri[200];

	snprintf(uri, sizeof(uri),
		 "sim:timing-only=on,rows=%u,cols=%u,overlap=%s,sram-kib=%u,"
		 "dram-bytes-per-cycle=%u,dram-latency=%u",
		 machine->rows, machine->cols, machine->overlap ? "on" : "off", machine->sram_kib,
		 machine->width, machine->latency);
	memset(l, 0, sizeof(*l));
	if (igrad_device_open(uri, &l->device, &error))
		fail_msg("%s: %s", uri, error.message);
	assert_int_equal(igrad_queue_new(l->device, &l->queue), 0);
	assert_int_equal(igrad_cmdbuf_new(l->device, &l->cmdbuf), 0);
	memcpy(problem.dim, dim, sizeof(problem.dim));
	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		struct igrad_size size = igrad_role_size(&problem, role);

		l->m[role] = (struct igrad_matrix){.rows = size.rows, .cols = size.cols};
		assert_int_equal(igrad_buffer_new(l->device, 4ull * size.rows * size.cols,
						  &l->m[role].buffer),
				 0);
	}
	l->forward = (struct igrad_linear_forward){
		.x = &l->m[IGRAD_ROLE_X],
		.w = &l->m[IGRAD_ROLE_W],
		.y = &l->m[IGRAD_ROLE_Y],
	};
	l->backward = (struct igrad_linear_backward){
		.x = &l->m[IGRAD_ROLE_X],
		.w = &l->m[IGRAD_ROLE_W],
		.dy = &l->m[IGRAD_ROLE_DY],
		.dx = &l->m[IGRAD_ROLE_DX],
		.optimizer = {.update = IGRAD_UPDATE_SGD, .lr = 0.1f, .momentum = 0, .decay = 0},
	};
}

static void layer_close(struct layer *l)
{
	igrad_cmdbuf_unref(l->cmdbuf);
	igrad_queue_unref(l->queue);
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		matrix_free(&l->m[role]);
	igrad_device_unref(l->device);
}

/* @schedule: IGRAD_NUM_SCHEDULES: the forward pass */
static struct igrad_plan choose(struct layer *l, enum igrad_schedule schedule)
{
	const struct igrad_task forward = {.forward = &l->forward};
	const struct igrad_task backward = {.backward = &l->backward};
	struct igrad_plan plan;

	l->backward.schedule = schedule;
	assert_int_equal(
		igrad_planner_choose(l->device,
				     schedule == IGRAD_NUM_SCHEDULES ? &forward : &backward, &plan),
		0);
	return plan;
}

static struct igrad_report run(struct layer *l, enum igrad_schedule schedule,
			       const struct igrad_plan *plan)
{
	struct igrad_report report;
	int err = schedule == IGRAD_NUM_SCHEDULES
			  ? igrad_forward_build(l->cmdbuf, &l->forward, plan)
			  : igrad_backward_build(l->cmdbuf, &l->backward, plan);

	assert_int_equal(err, 0);
	assert_int_equal(igrad_queue_run(l->queue, l->cmdbuf, &report), 0);
	assert_int_equal(igrad_cmdbuf_reset(l->cmdbuf), 0);
	return report;
}

static struct igrad_report run_chosen(struct layer *l, enum igrad_schedule schedule)
{
	struct igrad_plan plan = choose(l, schedule);

	return run(l, schedule, &plan);
}

/* ---------------------------------------------------------------- bytes */

/*
 * SRAM for one face, and two blocks as wide as the array of all that streams past it; @face: the
 * dimension that it does not have.
 */
static uint64_t room_for(enum igrad_dim face, const uint32_t dim[], const struct machine *machine)
{
	uint64_t B = dim[IGRAD_DIM_B], I = dim[IGRAD_DIM_I], O = dim[IGRAD_DIM_O];
	uint64_t side = machine->rows > machine->cols ? machine->rows : machine->cols;
	uint64_t chunk = side > 16 ? side : 16, words;

	chunk = chunk < B ? chunk : B;
	switch (face) {
	case IGRAD_DIM_O: /* x and dX; dY, W and dW stream */
		words = 2 * B * I + 2 * B * side + 4 * side * side;
		break;
	case IGRAD_DIM_I: /* dY; x, dX, W and dW stream */
		words = B * O + 4 * B * side + 4 * side * side;
		break;
	default: /* W and dW; x, dX and dY stream */
		words = 2 * I * O + 2 * chunk * (O + side) + 4 * chunk * side;
		break;
	}
	return 4 * words;
}

static uint64_t must_move(const uint32_t dim[], enum igrad_schedule schedule)
{
	uint64_t B = dim[IGRAD_DIM_B], I = dim[IGRAD_DIM_I], O = dim[IGRAD_DIM_O];

	if (schedule == IGRAD_NUM_SCHEDULES)
		return 4 * (B * I + I * O + B * O);
	return 4 * (B * I + B * O + B * I + 2 * I * O);
}

/*
 * Interleaving does not let sums go through SRAM for the sake of cycles or energy: where W is the
 * face that fits it moves other operands several times. Auto may find that best.
 */
static bool keeps_sums(enum igrad_schedule schedule, enum igrad_objective objective,
		       enum igrad_dim face)
{
	return (schedule == IGRAD_SCHEDULE_INTERLEAVED || schedule == IGRAD_SCHEDULE_AUTO) &&
	       objective != IGRAD_OBJECTIVE_DRAM && face == IGRAD_DIM_B;
}

/* Whenever one face fits, everything moves once. */
static void test_everything_moves_once(void **state)
{
	static const uint32_t sides[] = {4, 8, 16, 32};

	(void)state;
	for (unsigned int number = 0; number < num_cases(); number++) {
		uint32_t dim[IGRAD_NUM_DIMS];
		struct machine machine;
		struct igrad_rng rng;
		struct layer l;
		int schedule;

		igrad_rng_seed(&rng, 100 + number);
		machine = (struct machine){
			.rows = sides[igrad_rng_below(&rng, 4)],
			.cols = sides[igrad_rng_below(&rng, 4)],
			.width = 1u << random_between(&rng, 2, 10),
			.latency = 100,
			.overlap = igrad_rng_below(&rng, 2),
		};
		for (int d = 0; d < IGRAD_NUM_DIMS; d++)
			dim[d] = random_between(&rng, 1, igrad_rng_below(&rng, 2) ? 100 : 500);
		machine.sram_kib = (room_for(number % IGRAD_NUM_DIMS, dim, &machine) + 1023) / 1024;
		if (machine.sram_kib < 16)
			machine.sram_kib = 16;
		schedule = random_between(&rng, 0, IGRAD_NUM_SCHEDULES);
		layer_open(&l, &machine, dim);
		for (int objective = 0; objective < IGRAD_NUM_OBJECTIVES; objective++) {
			struct igrad_report report;
			uint64_t moved;

			l.forward.objective = l.backward.objective = objective;
			report = run_chosen(&l, schedule);
			moved = report.dram_read_bytes + report.dram_write_bytes;
			if (moved != must_move(dim, schedule) &&
			    !keeps_sums(schedule, objective, number % IGRAD_NUM_DIMS))
				fail_msg(
					"case %u: B=%u I=%u O=%u on %u×%u, %u KiB, schedule %d: %llu instead of %llu bytes",
					number, dim[0], dim[1], dim[2], machine.rows, machine.cols,
					machine.sram_kib, schedule, (unsigned long long)moved,
					(unsigned long long)must_move(dim, schedule));
		}
		layer_close(&l);
	}
}

/* ---------------------------------------------------------------- cycles */

/*
 * Bytes that are under way before the first stream or after the last one: a block of what
 * streams, and what is used again and again as a whole.
 */
static double ends_bytes(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	double bytes = 0;

	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		struct igrad_size size = igrad_role_size(problem, role);
		struct igrad_size block = igrad_role_block(plan, role);
		bool whole = igrad_plan_visits(problem, plan, role).sweep > 1;

		if (problem->home & 1u << role)
			bytes += whole ? 4.0 * size.rows * size.cols
				       : 4.0 * igrad_min(block.rows, size.rows) * block.cols;
	}
	return bytes;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

/*
 * @worst: where everything that moves has two slots at least
 * @starved: where SRAM has no room for that
 * @num_again, @num_over: of the former those that move operands several times, and that take more
 *                        than 1.05 × the busiest engine
 */
struct tally {
	double worst, starved;
	unsigned int num, num_starved, num_again, num_over;
};

/* Has anything a single slot for several blocks, so that work and transfers take turns? */
static bool takes_turns(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		if (plan->slots[role] == 1 && igrad_window_blocks(igrad_role_size(problem, role),
								  igrad_role_block(plan, role)) > 1)
			return true;
	return false;
}

/* Where SRAM is small a second slot may cost bytes: no more than a tenth is spent on that, which is
 * not always enough. */
static void count(struct tally *tally, const struct igrad_problem *problem,
		  const struct igrad_plan *plan, const struct igrad_report *report, double most,
		  double ends)
{
	uint64_t moved = report->dram_read_bytes + report->dram_write_bytes;
	bool again = moved > igrad_problem_compulsory(problem);
	bool starved = takes_turns(problem, plan);
	double ratio = (report->cycles - ends) / most;

	if (starved) {
		tally->num_starved++;
		tally->starved = larger(tally->starved, ratio);
	} else {
		tally->num++;
		tally->num_again += again;
		tally->num_over += ratio > 1.05;
		tally->worst = larger(tally->worst, ratio);
	}
	if (ratio > (starved ? 1.6 : 1.05))
		print_message(
			"# B=%u I=%u O=%u on %u×%u, SRAM %u, %u bytes a cycle, schedule %d: %llu cycles, busiest %.0f, ends %.0f\n",
			problem->dim[0], problem->dim[1], problem->dim[2], problem->device->rows,
			problem->device->cols, problem->device->sram_bytes,
			problem->device->dram_bytes_per_cycle, problem->schedule,
			(unsigned long long)report->cycles, most, ends);
}

/* The same commands where memory is no limit tell how long the array and the vector unit take. */
static void buffered_case(struct tally *tally, const struct machine *machine, const uint32_t dim[],
			  enum igrad_schedule schedule)
{
	struct machine ideal = *machine;
	struct igrad_report real, computing;
	struct igrad_problem problem;
	struct layer l, fast;
	struct igrad_plan plan;
	double width = machine->width, dma, most, ends;

	ideal.width = 65536;
	ideal.latency = 0;
	layer_open(&l, machine, dim);
	layer_open(&fast, &ideal, dim);
	plan = choose(&l, schedule);
	real = run(&l, schedule, &plan);
	computing = run(&fast, schedule, &plan);
	if (schedule == IGRAD_NUM_SCHEDULES)
		igrad_forward_problem(&problem, igrad_device_info(l.device), &l.forward);
	else
		igrad_backward_problem(&problem, igrad_device_info(l.device), &l.backward,
				       plan.schedule);
	dma = larger(real.dram_read_bytes / width, real.dram_write_bytes / width);
	most = larger(computing.cycles, dma);
	ends = ends_bytes(&problem, &plan) / width + 2.0 * machine->latency;
	if (computing.cycles > 1.25 * dma || dma > 1.25 * computing.cycles)
		count(tally, &problem, &plan, &real, most, ends);
	layer_close(&l);
	layer_close(&fast);
}

static void test_transfers_hide(void **state)
{
	static const uint32_t sides[] = {16, 32, 64, 128};
	struct tally tally = {0};

	(void)state;
	for (unsigned int number = 0; number < num_cases(); number++) {
		uint32_t dim[IGRAD_NUM_DIMS];
		struct machine machine;
		struct igrad_rng rng;

		igrad_rng_seed(&rng, 200 + number);
		machine = (struct machine){
			.rows = sides[igrad_rng_below(&rng, 4)],
			.width = 1u << random_between(&rng, 3, 10),
			.latency = 100,
			.sram_kib = 256u << igrad_rng_below(&rng, 5),
			.overlap = igrad_rng_below(&rng, 4),
		};
		machine.cols = machine.rows;
		dim[IGRAD_DIM_B] = random_between(&rng, 16, 512);
		dim[IGRAD_DIM_I] = random_between(&rng, 4 * machine.rows, 1500);
		dim[IGRAD_DIM_O] = random_between(&rng, 4 * machine.cols, 1500);
		buffered_case(&tally, &machine, dim, random_between(&rng, 0, IGRAD_NUM_SCHEDULES));
	}
	print_message(
		"# %u layers, %u of which move operands several times: at most %.3f × the busiest engine, without both ends\n",
		tally.num, tally.num_again, tally.worst);
	print_message("# %u layers with too little SRAM for second slots: at most %.3f ×\n",
		      tally.num_starved, tally.starved);
	assert_true(tally.num > num_cases() / 3);
	/* Of the many layers of a long run two on 128×128, in an SRAM of at most 16 tiles. */
	assert_true(100 * tally.num_over <= tally.num);
	assert_true(tally.worst <= 1.2);
	assert_true(tally.starved <= 1.75);
}

static void test_the_array_is_busy(void **state)
{
	static const uint32_t dim[] = {256, 1024, 1024};
	struct machine machine = {32, 32, 4096, 0, 100, true};

	(void)state;
	for (machine.width = 64; machine.width <= 1024; machine.width *= 4) {
		struct igrad_report report;
		double utilisation;
		struct layer l;

		layer_open(&l, &machine, dim);
		report = run_chosen(&l, IGRAD_SCHEDULE_INTERLEAVED);
		utilisation = report.macs / (1024.0 * report.cycles);
		print_message(
			"# 1024×1024, batch 256 on 32×32, %u bytes a cycle: utilisation %.3f\n",
			machine.width, utilisation);
		assert_true(utilisation >= 0.95);
		layer_close(&l);
	}
}

/* Cycles of the array from its first load to its last drain, when operands are in SRAM in time. */
static double array_cycles(enum igrad_schedule schedule, uint32_t batch, double *cycles)
{
	const struct machine machine = {128, 128, 65536, 65536, 0, true};
	const uint32_t dim[] = {batch, 1024, 1024};
	struct igrad_report report;
	struct layer l;

	layer_open(&l, &machine, dim);
	report = run_chosen(&l, schedule);
	layer_close(&l);
	*cycles = report.cycles;
	return report.busy[IGRAD_ENGINE_ARRAY] + report.stalled[IGRAD_ENGINE_ARRAY];
}

static void test_interleaving_wins_with_small_batches(void **state)
{
	(void)state;
	for (uint32_t batch = 32; batch <= 64; batch *= 2) {
		double ws_all, interleaved_all;
		double ws = array_cycles(IGRAD_SCHEDULE_WS, batch, &ws_all);
		double interleaved = array_cycles(IGRAD_SCHEDULE_INTERLEAVED, batch,
						  &interleaved_all);

		print_message(
			"# 1024×1024, batch %u on 128×128: ws ÷ interleaved %.3f, to the last store %.3f\n",
			batch, ws / interleaved, ws_all / interleaved_all);
		assert_true(ws / interleaved >= 1.9);
	}
}

/* ---------------------------------------------------------------- accesses */

/* @kept: those whose sums stay in the array, of whole tiles; @paper, @ws: the least ratios, of
 * @whole tiles only, of all */
struct accesses {
	unsigned int num, kept;
	double paper, whole, ws;
};

static uint64_t tiles(uint64_t dim, uint64_t side)
{
	return (dim + side - 1) / side;
}

/*
 * Each tile of W comes in and leaves. Its stream reads x and dY, and writes dX, which all tiles but
 * those of the first out-features read before.
 */
static uint64_t interleaved_accesses(const uint32_t dim[], uint64_t side)
{
	uint64_t B = dim[IGRAD_DIM_B], I = dim[IGRAD_DIM_I], O = dim[IGRAD_DIM_O];

	return 2 * I * O + B * (3 * tiles(O, side) * I + tiles(I, side) * O - I);
}

/*
 * Of ws-paper with whole operands in SRAM, which is the least: W comes in, dY is read for each row
 * of its tiles, dX is written for each column and read before, but for the first; dY comes in, x is
 * read for each column of its tiles, dW is written for each row and read before, but for the first;
 * the update reads dW and W and writes W.
 */
static uint64_t paper_accesses(const uint32_t dim[], uint64_t side)
{
	uint64_t B = dim[IGRAD_DIM_B], I = dim[IGRAD_DIM_I], O = dim[IGRAD_DIM_O];
	uint64_t dx = I * O + B * (tiles(I, side) * O + 2 * tiles(O, side) * I - I);
	uint64_t dw = B * O + tiles(O, side) * B * I + (2 * tiles(B, side) - 1) * I * O;

	return dx + dw + 3 * I * O;
}

static void compare_ratios(struct accesses *a, const uint64_t accesses[], const uint32_t dim[],
			   uint64_t side)
{
	double interleaved = accesses[IGRAD_SCHEDULE_INTERLEAVED];
	double paper = accesses[IGRAD_SCHEDULE_WS_PAPER] / interleaved;

	assert_int_equal(interleaved, interleaved_accesses(dim, side));
	assert_true(accesses[IGRAD_SCHEDULE_WS_PAPER] >= paper_accesses(dim, side));
	a->paper = smaller(a->paper, paper);
	if (dim[IGRAD_DIM_I] % side == 0 && dim[IGRAD_DIM_O] % side == 0)
		a->whole = smaller(a->whole, paper);
	a->ws = smaller(a->ws, accesses[IGRAD_SCHEDULE_WS] / interleaved);
}

/* Sums stay in the array, on whole tiles, unless bytes are the objective and there is no other way
 * to save some. */
static void compare_accesses(struct accesses *a, struct layer *l)
{
	const uint32_t dim[] = {l->m[IGRAD_ROLE_X].rows, l->m[IGRAD_ROLE_W].rows,
				l->m[IGRAD_ROLE_W].cols};
	const struct igrad_device_info *info = igrad_device_info(l->device);
	uint64_t accesses[IGRAD_SCHEDULE_AUTO];
	struct igrad_problem problem;
	struct igrad_plan plan;

	for (int schedule = 0; schedule < IGRAD_SCHEDULE_AUTO; schedule++) {
		struct igrad_report report;

		plan = choose(l, schedule);
		report = run(l, schedule, &plan);
		accesses[schedule] = igrad_report_sram_accesses(&report);
	}
	assert_int_equal(
		igrad_backward_problem(&problem, info, &l->backward, IGRAD_SCHEDULE_INTERLEAVED),
		0);
	a->num++;
	if (l->backward.objective != IGRAD_OBJECTIVE_DRAM)
		assert_false(igrad_plan_spills(&problem, &plan));
	else if (accesses[IGRAD_SCHEDULE_INTERLEAVED] != interleaved_accesses(dim, info->rows))
		return;
	a->kept++;
	compare_ratios(a, accesses, dim, info->rows);
}

/* A layer of at least 4 × 4 tiles, whole ones or not, and any batch. */
static void open_large(struct layer *l, unsigned int number)
{
	static const uint32_t srams[] = {1024, 4096, 4096, 16384};
	uint32_t dim[IGRAD_NUM_DIMS], side;
	struct machine machine;
	struct igrad_rng rng;

	igrad_rng_seed(&rng, 400 + number);
	side = 8u << igrad_rng_below(&rng, 4);
	machine = (struct machine){
		.rows = side,
		.cols = side,
		.sram_kib = srams[igrad_rng_below(&rng, 4)],
		.width = 16u << 2 * igrad_rng_below(&rng, 3),
		.latency = 100,
		.overlap = true,
	};
	dim[IGRAD_DIM_B] = random_between(&rng, 1, 1u << random_between(&rng, 0, 10));
	for (int d = IGRAD_DIM_I; d <= IGRAD_DIM_O; d++) {
		dim[d] = random_between(&rng, 4 * side, 8 * side);
		if (number % 2)
			dim[d] -= dim[d] % side;
	}
	layer_open(l, &machine, dim);
}

static void test_interleaving_accesses_less(void **state)
{
	(void)state;
	for (int objective = 0; objective < IGRAD_NUM_OBJECTIVES; objective++) {
		struct accesses a = {.paper = 100, .whole = 100, .ws = 100};

		for (unsigned int number = 0; number < num_cases(); number++) {
			struct layer l;

			open_large(&l, number);
			l.backward.objective = objective;
			compare_accesses(&a, &l);
			layer_close(&l);
		}
		print_message(
			"# for %s: sums stay in the array in %u of %u layers; accesses ÷ interleaved there: ws-paper at least %.3f, %.3f with whole tiles, ws at least %.3f\n",
			igrad_objective_name(objective), a.kept, a.num, a.paper, a.whole, a.ws);
		/* What a ragged last tile can cost: lib/README.md. */
		assert_true(a.paper >= 13.0 / 9);
		assert_true(a.whole >= 1.5);
		assert_true(a.ws >= 1.3);
		assert_true(10 * a.kept >= 9 * a.num);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_moves_once),
		cmocka_unit_test(test_transfers_hide),
		cmocka_unit_test(test_the_array_is_busy),
		cmocka_unit_test(test_interleaving_wins_with_small_batches),
		cmocka_unit_test(test_interleaving_accesses_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
