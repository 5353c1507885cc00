/* SPDX-License-Identifier: MIT */
/* Host threads that share the outputs of one command. */
#ifndef IGRAD_POOL_H
#define IGRAD_POOL_H

#include <stdbool.h>

struct igrad_pool;

/** igrad_pool_new - @threads in all, the caller being one of them; NULL without memory or threads
 */
struct igrad_pool *igrad_pool_new(unsigned int threads);
void igrad_pool_free(struct igrad_pool *pool);
unsigned int igrad_pool_threads(const struct igrad_pool *pool);

/**
 * igrad_pool_run - call @fn for every part 0 … @parts - 1 (< 65536), each once, and wait for all
 * @first: or NULL: what the caller does before it joins in; others may have begun with parts by
 * then
 */
void igrad_pool_run(struct igrad_pool *pool, unsigned int parts, void (*first)(void *context),
		    void (*fn)(void *context, unsigned int part), void *context);

/**
 * igrad_pool_begin - have workers call @fn for every part, while the caller does something else
 *
 * Each part is called once, by a worker or in igrad_pool_end(), which waits for all of them and
 * must come before another round begins. A pool of one thread has no workers.
 */
void igrad_pool_begin(struct igrad_pool *pool, unsigned int parts,
		      void (*fn)(void *context, unsigned int part), void *context);
void igrad_pool_end(struct igrad_pool *pool);

/** igrad_pool_idle - has every part of the round been done? */
bool igrad_pool_idle(struct igrad_pool *pool);

#endif /* IGRAD_POOL_H */
