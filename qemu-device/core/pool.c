/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include "fpmode.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct igrad_pool {
	unsigned int threads;
	unsigned int started; /* of the threads - 1 workers */
	pthread_t *workers;

	pthread_mutex_t lock;
	pthread_cond_t work; /* round has advanced, or stop */
	pthread_cond_t done; /* active has fallen to zero */
	bool stop;
	unsigned int round;
	unsigned int active; /* workers that have not finished the round */

	/* the round: written before it advances */
	void (*fn)(void *context, unsigned int part);
	void *context;
	unsigned int parts;
	_Atomic unsigned int next;
};

static void take_parts(struct igrad_pool *pool)
{
	unsigned int part;

	while ((part = atomic_fetch_add(&pool->next, 1)) < pool->parts)
		pool->fn(pool->context, part);
}

/* Threads inherit the modes of whoever created them: set what the device relies on. */
static void *worker(void *opaque)
{
	struct igrad_pool *pool = opaque;
	unsigned int seen = 0;

	igrad_fpmode_enter();
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (pool->round == seen && !pool->stop)
			pthread_cond_wait(&pool->work, &pool->lock);
		if (pool->stop)
			break;
		seen = pool->round;
		pthread_mutex_unlock(&pool->lock);
		take_parts(pool);
		pthread_mutex_lock(&pool->lock);
		if (--pool->active == 0)
			pthread_cond_signal(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
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
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
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

void igrad_pool_run(struct igrad_pool *pool, unsigned int parts,
		    void (*fn)(void *context, unsigned int part), void *context)
{
	if (parts <= 1 || !pool->started) {
		for (unsigned int part = 0; part < parts; part++)
			fn(context, part);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	pool->fn = fn;
	pool->context = context;
	pool->parts = parts;
	atomic_store(&pool->next, 0);
	pool->active = pool->started;
	pool->round++;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);

	take_parts(pool);

	pthread_mutex_lock(&pool->lock);
	while (pool->active)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}
