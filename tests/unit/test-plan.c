// SPDX-License-Identifier: MIT
/* Plans and windows: what fits, what is brought in and written back, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "linear.h"
#include "matrices.h"

/* ---------------------------------------------------------------- plans */

static struct igrad_problem random_problem(struct igrad_rng *rng)
{
	static const uint32_t srams[] = {16 << 10, 20 << 10, 64 << 10, 1 << 20, 4 << 20};
	struct igrad_problem problem = {
		.array = {random_between(rng, 1, 256), random_between(rng, 1, 256)},
		.sram_bytes = srams[igrad_rng_below(rng, 5)],
		.scratch = igrad_rng_below(rng, 2) ? 1u << IGRAD_ROLE_DW : 0,
		.spill = igrad_rng_below(rng, 2) ? 1u << IGRAD_ROLE_DW : 0,
	};

	for (int d = 0; d < IGRAD_NUM_DIMS; d++)
		problem.dim[d] = random_between(rng, 1, 1u << random_between(rng, 0, 24));
	problem.panel_bytes = random_between(rng, 0, problem.sram_bytes);
	problem.home = igrad_rng_next(rng) % (1u << IGRAD_NUM_ROLES);
	if (problem.scratch)
		problem.home &= ~(1u << IGRAD_ROLE_DW);
	return problem;
}

static void check_plan(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	unsigned int seen = 0;

	assert_true(igrad_plan_bytes(plan) <= problem->sram_bytes);
	assert_in_range(plan->tile.rows, 1, problem->array.rows);
	assert_in_range(plan->tile.cols, 1, problem->array.cols);
	for (int d = 0; d < IGRAD_NUM_DIMS; d++) {
		assert_in_range(plan->block[d], 1, problem->dim[d]);
		seen |= 1u << plan->order[d];
	}
	assert_int_equal(seen, (1u << IGRAD_NUM_DIMS) - 1);
	assert_true(plan->block[IGRAD_DIM_B] <= IGRAD_MAX_BATCH);
	assert_true(plan->block[IGRAD_DIM_I] <= IGRAD_MAX_BATCH);
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		if ((problem->home | problem->scratch) & 1u << role)
			assert_true(plan->slots[role] > 0);
}

/* Every problem has a plan, since blocks may shrink to single words; and it fits. */
static void test_plans_fit(void **state)
{
	static igrad_planner *const planners[] = {igrad_plan_forward, igrad_plan_backward,
						  igrad_plan_paper};
	struct igrad_rng rng;

	(void)state;
	igrad_rng_seed(&rng, 1);
	for (int i = 0; i < 20000; i++) {
		struct igrad_problem problem = random_problem(&rng);
		struct igrad_plan plan = {0};

		assert_int_equal(planners[i % 3](&problem, &plan), 0);
		check_plan(&problem, &plan);
	}
}

static struct igrad_problem mnist_layer(void)
{
	return (struct igrad_problem){
		.dim = {64, 784, 256},
		.array = {32, 32},
		.sram_bytes = 4 << 20,
		.panel_bytes = 51200,
		.home = 1u << IGRAD_ROLE_X | 1u << IGRAD_ROLE_W | 1u << IGRAD_ROLE_DY |
			1u << IGRAD_ROLE_DX,
	};
}

static void test_resident_when_it_fits(void **state)
{
	struct igrad_problem problem = mnist_layer();
	struct igrad_plan plan;

	(void)state;
	assert_int_equal(igrad_plan_backward(&problem, &plan), 0);
	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		if (problem.home & 1u << role)
			assert_int_equal(plan.slots[role],
					 igrad_window_blocks(igrad_role_size(&problem, role),
							     igrad_role_block(&plan, role)));
	}
	assert_int_equal(plan.block[IGRAD_DIM_B], 64);
	assert_int_equal(plan.tile.rows, 32);
	assert_int_equal(plan.tile.cols, 32);
}

static void test_small_sram_keeps_the_batch(void **state)
{
	struct igrad_problem problem = mnist_layer();
	struct igrad_plan plan;

	(void)state;
	problem.sram_bytes = 256 << 10;
	assert_int_equal(igrad_plan_backward(&problem, &plan), 0);
	assert_int_equal(plan.block[IGRAD_DIM_B], 64);
	assert_true(plan.block[IGRAD_DIM_I] < 784);
	check_plan(&problem, &plan);
}

/* ---------------------------------------------------------------- windows */

struct desk {
	struct igrad_device *device;
	struct igrad_emitter e;
	struct igrad_matrix m;
	struct igrad_sram sram;
};

static void desk_open(struct desk *desk, uint32_t rows, uint32_t cols)
{
	memset(desk, 0, sizeof(*desk));
	assert_int_equal(igrad_device_open("sim:", &desk->device, NULL), 0);
	assert_int_equal(igrad_cmdbuf_new(desk->device, &desk->e.cmdbuf), 0);
	desk->m = (struct igrad_matrix){.rows = rows, .cols = cols};
	assert_int_equal(igrad_buffer_new(desk->device, (uint64_t)rows * cols * 4, &desk->m.buffer),
			 0);
	desk->sram.end = igrad_device_info(desk->device)->sram_bytes;
}

static void desk_close(struct desk *desk)
{
	igrad_cmdbuf_unref(desk->e.cmdbuf);
	igrad_buffer_unref(desk->m.buffer);
	igrad_device_unref(desk->device);
}

static struct igrad_part element(uint32_t row, uint32_t col)
{
	return (struct igrad_part){row, col, {1, 1}};
}

static void test_window_loads_once(void **state)
{
	struct igrad_window window;
	struct igrad_place a, b;
	struct desk desk;

	(void)state;
	desk_open(&desk, 10, 10);
	assert_int_equal(igrad_window_init(&window, &desk.sram, &desk.m,
					   (struct igrad_size){10, 10}, (struct igrad_size){4, 10},
					   (struct igrad_size){4, 10}, 3),
			 0);
	a = igrad_window_get(&window, &desk.e, element(1, 2), IGRAD_USE_IN);
	b = igrad_window_get(&window, &desk.e, element(3, 0), IGRAD_USE_IN);
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 1);
	assert_int_equal(b.addr - a.addr, 2 * 40 - 2 * 4);
	assert_int_equal(a.pitch, 40);
	igrad_window_get(&window, &desk.e, element(9, 9), IGRAD_USE_IN);
	igrad_window_get(&window, &desk.e, element(0, 0), IGRAD_USE_IN);
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 2);
	igrad_window_flush(&window, &desk.e);
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 2);
	igrad_window_fini(&window);
	desk_close(&desk);
}

static void test_window_writes_back_once(void **state)
{
	struct igrad_window window;
	struct desk desk;

	(void)state;
	desk_open(&desk, 10, 10);
	assert_int_equal(igrad_window_init(&window, &desk.sram, &desk.m,
					   (struct igrad_size){10, 10}, (struct igrad_size){4, 10},
					   (struct igrad_size){4, 10}, 2),
			 0);
	igrad_window_get(&window, &desk.e, element(0, 0), IGRAD_USE_OUT);   /* nothing to load */
	igrad_window_get(&window, &desk.e, element(4, 0), IGRAD_USE_INOUT); /* a load */
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 1);
	igrad_window_get(&window, &desk.e, element(8, 0), IGRAD_USE_IN); /* a store and a load */
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 3);
	igrad_window_flush(&window, &desk.e); /* the other store */
	igrad_window_flush(&window, &desk.e);
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 4);
	igrad_window_fini(&window);
	desk_close(&desk);
}

/* Asking for scratch that has been replaced is a mistake of the plan, and is found. */
static void test_lost_scratch_is_an_error(void **state)
{
	struct igrad_window window;
	struct desk desk;

	(void)state;
	desk_open(&desk, 8, 8);
	assert_int_equal(igrad_window_init(&window, &desk.sram, NULL, (struct igrad_size){8, 8},
					   (struct igrad_size){4, 8}, (struct igrad_size){4, 8}, 1),
			 0);
	igrad_window_get(&window, &desk.e, element(0, 0), IGRAD_USE_OUT);
	igrad_window_get(&window, &desk.e, element(4, 0), IGRAD_USE_OUT);
	assert_int_equal(desk.e.err, 0);
	igrad_window_get(&window, &desk.e, element(0, 0), IGRAD_USE_INOUT);
	assert_int_equal(desk.e.err, -EINVAL);
	igrad_window_fini(&window);
	desk_close(&desk);
}

static void test_sram_is_limited(void **state)
{
	struct igrad_sram sram = {.next = 0, .end = 16384};
	uint32_t addr;

	(void)state;
	assert_int_equal(igrad_sram_alloc(&sram, 4000, &addr), 0);
	assert_int_equal(addr, 0);
	assert_int_equal(igrad_sram_alloc(&sram, 97, &addr), -ENOSPC);
	assert_int_equal(igrad_sram_alloc(&sram, UINT64_MAX, &addr), -ENOSPC);
	assert_int_equal(igrad_sram_alloc(&sram, 96, &addr), 0);
	assert_int_equal(addr, 16000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans_fit),
		cmocka_unit_test(test_resident_when_it_fits),
		cmocka_unit_test(test_small_sram_keeps_the_batch),
		cmocka_unit_test(test_window_loads_once),
		cmocka_unit_test(test_window_writes_back_once),
		cmocka_unit_test(test_lost_scratch_is_an_error),
		cmocka_unit_test(test_sram_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
