/* SPDX-License-Identifier: MIT */
/*
 * What lies behind the opaque handles, and the interface between the library and what executes its
 * jobs: a kernel driver (drm.c) or the device core in this process (sim.c).
 *
 * A backend embeds the structures below at the start of its own. The common code counts references,
 * checks arguments and owns reports; a backend only ever sees calls that make sense.
 */
#ifndef IGRAD_BACKEND_H
#define IGRAD_BACKEND_H

#include <stdarg.h>
#include <stdatomic.h>
#include <pthread.h>

#include "igrad/igrad.h"

struct igrad_backend;
struct igrad_report_chunk;
struct igrad_report_slot;
struct igrad_planner;
struct igrad_conv_planner;

/* @planner, @conv_planner: made when a layer is first planned */
struct igrad_device {
	atomic_uint refs;
	struct igrad_planner *_Atomic planner;
	struct igrad_conv_planner *_Atomic conv_planner;
	const struct igrad_backend *backend;
	struct igrad_device_info info;
	char *uri;
};

struct igrad_buffer {
	atomic_uint refs;
	struct igrad_device *device;
	void *map;
	uint64_t size;
	uint64_t va;
};

struct igrad_queue {
	atomic_uint refs;
	struct igrad_device *device;
	pthread_mutex_t lock; /* of reports */
	struct igrad_report_chunk *reports;
};

/* @slot: where the job's report is written; NULL until the submission has succeeded */
struct igrad_fence {
	atomic_uint refs;
	struct igrad_queue *queue;
	uint64_t seqno;
	struct igrad_report_slot *slot;
};

/* struct igrad_use - a buffer that a job needs, and what for */
struct igrad_use {
	struct igrad_buffer *buffer;
	bool read;
	bool write;
};

/* struct igrad_job - what a backend is asked to run; @uses names every buffer, each once */
struct igrad_job {
	uint64_t cmds;
	uint32_t num_cmds;
	uint64_t report;
	const struct igrad_use *uses;
	uint32_t num_uses;
};

/**
 * struct igrad_backend - what a backend does
 * @device_trace: as igrad_device_trace(); NULL if the backend cannot
 * @buffer_new: fills map, size and va
 * @queue_error: the first failure, and how many jobs have ended
 * @submit: gives a fence with its seqno; buffers in use stay reachable until the job has ended
 * @fence_wait: as igrad_fence_wait(); -ETIMEDOUT says that the job has not ended
 *
 * The _free functions release what the backend holds and the structure itself.
 */
struct igrad_backend {
	void (*device_free)(struct igrad_device *device);
	int (*device_trace)(struct igrad_device *device, igrad_trace_fn fn, void *opaque);
	int (*buffer_new)(struct igrad_device *device, uint64_t size, struct igrad_buffer **buffer);
	void (*buffer_free)(struct igrad_buffer *buffer);
	int (*queue_new)(struct igrad_device *device, struct igrad_queue **queue);
	void (*queue_free)(struct igrad_queue *queue);
	int (*queue_error)(struct igrad_queue *queue, struct igrad_queue_error *error,
			   uint64_t *completed);
	int (*submit)(struct igrad_queue *queue, const struct igrad_job *job,
		      struct igrad_fence **fence);
	int (*fence_wait)(struct igrad_fence *fence, int64_t timeout_ns);
	void (*fence_free)(struct igrad_fence *fence);
};

/* Both are given what follows the colon of the URI. */
int igrad_sim_open(const char *properties, struct igrad_device **device, struct igrad_error *error);
int igrad_drm_open(const char *path, struct igrad_device **device, struct igrad_error *error);

/* igrad_drm_list - as igrad_device_list() */
int igrad_drm_list(char ***uris, struct igrad_error *error);

/* Common parts of the objects. */
void igrad_device_init(struct igrad_device *device, const struct igrad_backend *backend);

/* igrad_fence_ended - has the job ended, in whatever way? */
bool igrad_fence_ended(struct igrad_fence *fence);

static inline void igrad_get(atomic_uint *refs)
{
	atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* igrad_put - was that the last reference? */
static inline bool igrad_put(atomic_uint *refs)
{
	return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

/* igrad_fail - put a sentence into @error, if there is one, and return @err */
__attribute__((format(printf, 3, 4))) int igrad_fail(struct igrad_error *error, int err,
						     const char *format, ...);

#endif /* IGRAD_BACKEND_H */
