/* SPDX-License-Identifier: MIT */
/* The sim backend: its configuration and its address space. */
#ifndef IGRAD_SIM_H
#define IGRAD_SIM_H

#include "backend.h"
#include "igrad_core.h"

#define SIM_VA_START (1ull << IGRAD_BLOCK_SHIFT)

/* struct sim_config - @job_timeout_ms: what the kernel driver's module parameter is */
struct sim_config {
	struct igrad_config core;
	uint32_t job_timeout_ms;
};

/* sim_config_parse - "rows=32,cols=32": what is not named has its default */
int sim_config_parse(const char *properties, struct sim_config *config, struct igrad_error *error);

/* sim_config_uri - the URI that names every property; to be freed, NULL without memory */
char *sim_config_uri(const struct sim_config *config);

/*
 * struct sim_space - the buffers of a device, sorted by address
 *
 * A job copies while it holds the lock for reading, so a buffer that goes away is either seen as
 * present for a whole copy or not at all.
 */
struct sim_space {
	pthread_rwlock_t lock;
	struct igrad_buffer **buffers;
	size_t num, room;
};

void sim_space_init(struct sim_space *space);
void sim_space_fini(struct sim_space *space);

/* sim_space_add - choose an address for a buffer of @mapped bytes; sets va */
int sim_space_add(struct sim_space *space, struct igrad_buffer *buffer, uint64_t mapped);
void sim_space_remove(struct sim_space *space, struct igrad_buffer *buffer);

/* sim_space_view - the space as the device core reaches it */
struct igrad_space sim_space_view(struct sim_space *space);

/* sim_mapped - bytes that a buffer of @size bytes really has */
static inline uint64_t sim_mapped(uint64_t size)
{
	return (size + IGRAD_PAGE_SIZE - 1) & ~(IGRAD_PAGE_SIZE - 1);
}

#endif /* IGRAD_SIM_H */
