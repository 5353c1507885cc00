/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include "fpmode.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * A round of work is one word: its number, and which parts are left. Whoever takes a part does so
 * for the round that it saw, so that a worker that comes late finds nothing and keeps nobody
 * waiting. The caller takes parts from the front and workers take them from the back, so that
 * rounds which are alike find what they work on in the same host's cache. Rounds follow each other
 * within microseconds when the device is busy: both sides look for a while before they sleep.
 */
#define FRONT 0x10000ull
#define LOOKS 4000

struct igrad_pool {
	unsigned int threads;
	unsigned int started; /* of the threads - 1 workers */
	pthread_t *workers;

	_Atomic uint64_t round;	   /* number << 32 | first part left << 16 | behind the last one */
	_Atomic unsigned int left; /* parts that have not been done */
	_Atomic bool stop;

	/* the round: written before it is announced */
	void (*fn)(void *context, unsigned int part);
	void *context;

	pthread_mutex_t lock;
	pthread_cond_t work; /* a round has been announced, or stop */
	pthread_cond_t done; /* left has fallen to zero */
	_Atomic unsigned int sleepers;
	_Atomic bool caller_sleeps;
};

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static uint32_t number_of(uint64_t round)
{
	return (uint32_t)(round >> 32);
}

static bool take(struct igrad_pool *pool, bool front, unsigned int *part)
{
	uint64_t round = atomic_load(&pool->round);
	uint64_t rest;

	do {
		const unsigned int first = (uint16_t)(round / FRONT), end = (uint16_t)round;

		if (first == end)
			return false;
		*part = front ? first : end - 1;
		rest = front ? round + FRONT : round - 1;
	} while (!atomic_compare_exchange_weak(&pool->round, &round, rest));
	return true;
}

static void finish(struct igrad_pool *pool)
{
	if (atomic_fetch_sub(&pool->left, 1) > 1 || !atomic_load(&pool->caller_sleeps))
		return;
	pthread_mutex_lock(&pool->lock);
	pthread_cond_signal(&pool->done);
	pthread_mutex_unlock(&pool->lock);
}

static void take_parts(struct igrad_pool *pool, bool front)
{
	unsigned int part;

	while (take(pool, front, &part)) {
		pool->fn(pool->context, part);
		finish(pool);
	}
}

static bool news(struct igrad_pool *pool, uint32_t seen)
{
	return number_of(atomic_load(&pool->round)) != seen || atomic_load(&pool->stop);
}

static void wait_for_news(struct igrad_pool *pool, uint32_t seen)
{
	for (unsigned int i = 0; i < LOOKS; i++) {
		if (news(pool, seen))
			return;
		relax();
	}
	pthread_mutex_lock(&pool->lock);
	atomic_fetch_add(&pool->sleepers, 1);
	while (!news(pool, seen))
		pthread_cond_wait(&pool->work, &pool->lock);
	atomic_fetch_sub(&pool->sleepers, 1);
	pthread_mutex_unlock(&pool->lock);
}

static void wake_workers(struct igrad_pool *pool)
{
	if (!atomic_load(&pool->sleepers))
		return;
	pthread_mutex_lock(&pool->lock);
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

static void wait_until_done(struct igrad_pool *pool)
{
	for (unsigned int i = 0; i < LOOKS; i++) {
		if (!atomic_load(&pool->left))
			return;
		relax();
	}
	pthread_mutex_lock(&pool->lock);
	atomic_store(&pool->caller_sleeps, true);
	while (atomic_load(&pool->left))
		pthread_cond_wait(&pool->done, &pool->lock);
	atomic_store(&pool->caller_sleeps, false);
	pthread_mutex_unlock(&pool->lock);
}

/* Threads inherit the modes of whoever created them: set what the device relies on. */
static void *worker(void *opaque)
{
	struct igrad_pool *pool = opaque;
	uint32_t seen = 0;

	igrad_fpmode_enter();
	for (;;) {
		wait_for_news(pool, seen);
		if (atomic_load(&pool->stop))
			return NULL;
		seen = number_of(atomic_load(&pool->round));
		take_parts(pool, false);
	}
}

struct igrad_pool *igrad_pool_new(unsigned int threads)
{
	struct igrad_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->threads = threads;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->done, NULL);
	pool->workers = calloc(threads, sizeof(*pool->workers));
	while (pool->workers && pool->started + 1 < threads) {
		if (pthread_create(&pool->workers[pool->started], NULL, worker, pool))
			break;
		pool->started++;
	}
	if (!pool->workers || pool->started + 1 < threads) {
		igrad_pool_free(pool);
		return NULL;
	}
	return pool;
}

void igrad_pool_free(struct igrad_pool *pool)
{
	if (!pool)
		return;
	atomic_store(&pool->stop, true);
	wake_workers(pool);
	for (unsigned int i = 0; i < pool->started; i++)
		pthread_join(pool->workers[i], NULL);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool->workers);
	free(pool);
}

unsigned int igrad_pool_threads(const struct igrad_pool *pool)
{
	return pool->threads;
}

void igrad_pool_begin(struct igrad_pool *pool, unsigned int parts,
		      void (*fn)(void *context, unsigned int part), void *context)
{
	pool->fn = fn;
	pool->context = context;
	atomic_store(&pool->left, parts);
	atomic_store(&pool->round, (number_of(atomic_load(&pool->round)) + 1ull) << 32 | parts);
	wake_workers(pool);
}

void igrad_pool_end(struct igrad_pool *pool)
{
	take_parts(pool, true);
	wait_until_done(pool);
}

bool igrad_pool_idle(struct igrad_pool *pool)
{
	return !atomic_load(&pool->left);
}

void igrad_pool_run(struct igrad_pool *pool, unsigned int parts, void (*first)(void *context),
		    void (*fn)(void *context, unsigned int part), void *context)
{
	const bool alone = parts <= 1 || !pool->started;

	if (!alone)
		igrad_pool_begin(pool, parts, fn, context);
	if (first)
		first(context);
	for (unsigned int part = 0; alone && part < parts; part++)
		fn(context, part);
	if (!alone)
		igrad_pool_end(pool);
}
