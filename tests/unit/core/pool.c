/* SPDX-License-Identifier: MIT */
/* Rounds of parts over host threads: every part once, whoever sleeps, spins or comes late. */
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "pool.h"
#include "rig.h"

#define MOST 200

struct round {
	_Atomic unsigned int done[MOST];
	unsigned int slow; /* a part that dawdles */
};

static void part(void *context, unsigned int index)
{
	struct round *round = context;

	if (index == round->slow)
		sched_yield();
	atomic_fetch_add(&round->done[index], 1);
}

static void first(void *context)
{
	struct round *round = context;

	if (round->slow % 2)
		sched_yield();
}

/* Long enough for everybody to fall asleep. */
static void pause_a_little(void)
{
	const struct timespec t = {.tv_nsec = 1000000};

	nanosleep(&t, NULL);
}

static void one_round(struct igrad_pool *pool, struct rng *rng)
{
	struct round round = {.slow = rng_below(rng, MOST)};
	const unsigned int parts = rng_below(rng, 4) ? rng_below(rng, 9) : rng_below(rng, MOST);

	igrad_pool_run(pool, parts, rng_below(rng, 2) ? first : NULL, part, &round);
	for (unsigned int i = 0; i < MOST; i++)
		assert_int_equal(atomic_load(&round.done[i]), i < parts);
}

static void test_rounds(void **state)
{
	const unsigned int rounds = count_of_test(20000);
	struct rng rng = {seed_of_test("rounds of a pool")};

	(void)state;
	for (unsigned int threads = 1; threads <= 5; threads++) {
		struct igrad_pool *pool = igrad_pool_new(threads);

		assert_non_null(pool);
		assert_int_equal(igrad_pool_threads(pool), threads);
		for (unsigned int i = 0; i < rounds / threads; i++) {
			one_round(pool, &rng);
			if (rng_below(&rng, 500) == 0)
				pause_a_little();
		}
		igrad_pool_free(pool);
	}
}

/* Created and dropped at once, or while its workers sleep. */
static void test_idle(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		struct igrad_pool *pool = igrad_pool_new(1 + i % 6);

		assert_non_null(pool);
		if (i % 10 == 0)
			pause_a_little();
		igrad_pool_free(pool);
	}
	igrad_pool_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_idle),
	};

	return run_group("core-pool", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
