/* SPDX-License-Identifier: MIT */
/* Host threads that share the outputs of one command. */
#ifndef IGRAD_POOL_H
#define IGRAD_POOL_H

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

#endif /* IGRAD_POOL_H */
