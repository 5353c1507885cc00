/* SPDX-License-Identifier: MIT */
/*
 * The sim backend: the device core in this process, behind what the kernel driver would do. One
 * thread executes the jobs of all queues in the order in which they were submitted; another one
 * ends a job that makes no progress.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "sim.h"

#define NSEC_PER_SEC	1000000000ll
#define WATCHDOG_CHECKS 4    /* looks at the job's progress in a timeout */
#define MAX_PENDING	4096 /* jobs of a queue that have not ended, as in the kernel driver */

struct sim_queue {
	struct igrad_queue base;
	uint64_t submitted;
	uint64_t completed;
	struct igrad_queue_error error;
};

struct sim_fence {
	struct igrad_fence base;
	pthread_cond_t ended_cond;
	bool ended;
	int result;
};

struct sim_job {
	struct sim_job *next;
	struct sim_fence *fence;
	struct igrad_desc desc;
	uint32_t num_buffers;
	struct igrad_buffer *buffers[];
};

/**
 * struct sim_device - a device
 * @lock: of all below but @space, and of queues and fences
 * @work: there is a job, or the device is going away
 * @running: the job that executes
 * @executions: counts the jobs that began to execute
 * @trace: whom to tell about retired commands; changed only while there is no job
 * @watch: there is a job to be watched, or the device is going away
 * @hung: the watchdog has ended the running job
 * @orphaned: the executing thread itself dropped the last reference, and frees the device
 */
struct sim_device {
	struct igrad_device base;
	struct sim_config config;
	struct igrad_core *core;
	struct sim_space space;

	pthread_mutex_t lock;
	pthread_cond_t work, watch;
	struct sim_job *first, **last;
	struct sim_job *running;
	uint64_t executions;
	igrad_trace_fn trace;
	void *trace_opaque;
	bool watching, hung, stopping, orphaned;
	pthread_t executor, watchdog;
};

static struct sim_device *sim_device(struct igrad_device *device)
{
	return (struct sim_device *)device;
}

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static struct timespec deadline(int64_t timeout_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now.tv_sec += timeout_ns / NSEC_PER_SEC;
	now.tv_nsec += timeout_ns % NSEC_PER_SEC;
	if (now.tv_nsec >= NSEC_PER_SEC) {
		now.tv_sec++;
		now.tv_nsec -= NSEC_PER_SEC;
	}
	return now;
}

/* ---------------------------------------------------------------- execution */

static int status_to_errno(enum igrad_status status)
{
	switch (status) {
	case IGRAD_STATUS_OK:
		return 0;
	case IGRAD_STATUS_MALFORMED:
		return -EINVAL;
	case IGRAD_STATUS_FAULT:
		return -EFAULT;
	default:
		return -EIO;
	}
}

/* Runs the job to its end; false if it was cancelled. */
static bool execute(struct sim_device *sim, const struct sim_job *job, struct igrad_result *result)
{
	struct igrad_space space = sim_space_view(&sim->space);

	igrad_core_begin(sim->core, &job->desc, &space);
	while (igrad_core_step(sim->core))
		;
	if (igrad_core_cancelled(sim->core))
		return false;
	igrad_core_finish(sim->core, result);
	return true;
}

static void free_job(struct sim_job *job)
{
	for (uint32_t i = 0; i < job->num_buffers; i++)
		igrad_buffer_unref(job->buffers[i]);
	if (job->fence)
		igrad_fence_unref(&job->fence->base);
	free(job);
}

static struct sim_queue *job_queue(const struct sim_job *job)
{
	return (struct sim_queue *)job->fence->base.queue;
}

/* Called with the lock held: the job has ended. */
static void complete(struct sim_job *job, int err, const struct igrad_result *result)
{
	struct sim_queue *queue = job_queue(job);

	queue->completed++;
	if (err && !queue->error.err) {
		queue->error.err = err;
		queue->error.seqno = job->fence->base.seqno;
		if (result) {
			queue->error.fault_addr = result->addr;
			queue->error.command = result->command;
			queue->error.reason = result->reason;
		}
	}
	job->fence->result = err;
	job->fence->ended = true;
	pthread_cond_broadcast(&job->fence->ended_cond);
}

/* Called with the lock held, which is dropped while the job executes. */
static void run(struct sim_device *sim, struct sim_job *job)
{
	struct igrad_result result;
	bool finished;

	sim->running = job;
	sim->executions++;
	if (!sim->watching) {
		sim->watching = true;
		pthread_cond_signal(&sim->watch);
	}
	pthread_mutex_unlock(&sim->lock);
	finished = execute(sim, job, &result);
	pthread_mutex_lock(&sim->lock);
	sim->running = NULL;

	if (finished)
		complete(job, status_to_errno(result.status), &result);
	else
		complete(job, -ETIME, NULL);
	if (sim->hung) {
		sim->hung = false;
		igrad_core_uncancel(sim->core);
	}
}

static void free_device(struct sim_device *sim)
{
	igrad_core_free(sim->core);
	sim_space_fini(&sim->space);
	pthread_cond_destroy(&sim->work);
	pthread_cond_destroy(&sim->watch);
	pthread_mutex_destroy(&sim->lock);
	free(sim->base.uri);
	free(sim);
}

/*
 * A job's buffers hold the device, so there is none left when it is stopping. Dropping the last job
 * can drop the last reference to the device, which then is freed here: a thread cannot wait for its
 * own end.
 */
static void *executor_main(void *opaque)
{
	struct sim_device *sim = opaque;
	bool orphaned;

	pthread_mutex_lock(&sim->lock);
	while (!sim->stopping) {
		struct sim_job *job = sim->first;

		if (!job) {
			pthread_cond_wait(&sim->work, &sim->lock);
			continue;
		}
		sim->first = job->next;
		if (!sim->first)
			sim->last = &sim->first;
		if (job_queue(job)->error.err)
			complete(job, -ECANCELED, NULL);
		else
			run(sim, job);
		pthread_mutex_unlock(&sim->lock);
		free_job(job);
		pthread_mutex_lock(&sim->lock);
	}
	orphaned = sim->orphaned;
	pthread_mutex_unlock(&sim->lock);
	if (orphaned)
		free_device(sim);
	return NULL;
}

/* Called with the lock held: ends the running job if it has stood still for a timeout. */
static void check_progress(struct sim_device *sim, uint64_t *execution, uint64_t *retired,
			   int *checks)
{
	uint64_t now_retired = igrad_core_retired(sim->core);

	if (sim->executions != *execution || now_retired != *retired) {
		*execution = sim->executions;
		*retired = now_retired;
		*checks = 0;
	} else if (++*checks >= WATCHDOG_CHECKS && sim->running) {
		sim->hung = true;
		igrad_core_cancel(sim->core);
		*checks = 0;
	}
}

static void *watchdog_main(void *opaque)
{
	struct sim_device *sim = opaque;
	int64_t period_ns = sim->config.job_timeout_ms * 1000000ll / WATCHDOG_CHECKS;
	uint64_t execution = 0, retired = 0;
	int checks = 0;

	pthread_mutex_lock(&sim->lock);
	while (!sim->stopping) {
		struct timespec next = deadline(period_ns);

		if (!sim->running && !sim->first) {
			sim->watching = false;
			pthread_cond_wait(&sim->watch, &sim->lock);
			execution = 0;
			continue;
		}
		pthread_cond_timedwait(&sim->watch, &sim->lock, &next);
		check_progress(sim, &execution, &retired, &checks);
	}
	pthread_mutex_unlock(&sim->lock);
	return NULL;
}

/* ---------------------------------------------------------------- buffers, queues, fences */

static int sim_buffer_new(struct igrad_device *device, uint64_t size, struct igrad_buffer **buffer)
{
	struct igrad_buffer *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return -ENOMEM;
	new->size = size;
	new->map = mmap(NULL, sim_mapped(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	if (new->map == MAP_FAILED) {
		free(new);
		return -ENOMEM;
	}
	ret = sim_space_add(&sim_device(device)->space, new, sim_mapped(size));
	if (ret) {
		munmap(new->map, sim_mapped(size));
		free(new);
		return ret;
	}
	*buffer = new;
	return 0;
}

static void sim_buffer_free(struct igrad_buffer *buffer)
{
	sim_space_remove(&sim_device(buffer->device)->space, buffer);
	munmap(buffer->map, sim_mapped(buffer->size));
	free(buffer);
}

static int sim_queue_new(struct igrad_device *device, struct igrad_queue **queue)
{
	struct sim_queue *new = calloc(1, sizeof(*new));

	(void)device;
	if (!new)
		return -ENOMEM;
	*queue = &new->base;
	return 0;
}

static void sim_queue_free(struct igrad_queue *queue)
{
	free(queue);
}

static int sim_queue_error(struct igrad_queue *queue, struct igrad_queue_error *error,
			   uint64_t *completed)
{
	struct sim_device *sim = sim_device(queue->device);
	struct sim_queue *sim_queue = (struct sim_queue *)queue;

	pthread_mutex_lock(&sim->lock);
	*error = sim_queue->error;
	*completed = sim_queue->completed;
	pthread_mutex_unlock(&sim->lock);
	return 0;
}

static struct sim_fence *new_fence(struct igrad_queue *queue)
{
	struct sim_fence *fence = calloc(1, sizeof(*fence));

	if (!fence)
		return NULL;
	atomic_init(&fence->base.refs, 2); /* the job's and the caller's */
	fence->base.queue = igrad_queue_ref(queue);
	cond_init(&fence->ended_cond);
	return fence;
}

static void sim_fence_free(struct igrad_fence *fence)
{
	struct sim_fence *sim_fence = (struct sim_fence *)fence;

	pthread_cond_destroy(&sim_fence->ended_cond);
	free(sim_fence);
}

static struct sim_job *new_job(const struct igrad_job *job)
{
	struct sim_job *new = calloc(1, sizeof(*new) + job->num_uses * sizeof(*new->buffers));

	if (!new)
		return NULL;
	new->desc.cmds = htole64(job->cmds);
	new->desc.num_cmds = htole32(job->num_cmds);
	new->desc.report = htole64(job->report);
	new->num_buffers = job->num_uses;
	for (uint32_t i = 0; i < job->num_uses; i++)
		new->buffers[i] = igrad_buffer_ref(job->uses[i].buffer);
	return new;
}

/* Called with the lock held. */
static int enqueue(struct sim_device *sim, struct sim_queue *queue, struct sim_job *job)
{
	if (queue->error.err)
		return -EIO;
	if (queue->submitted - queue->completed >= MAX_PENDING)
		return -EBUSY;
	job->fence->base.seqno = ++queue->submitted;
	job->desc.seqno = htole64(queue->submitted);
	*sim->last = job;
	sim->last = &job->next;
	pthread_cond_signal(&sim->work);
	return 0;
}

static int sim_submit(struct igrad_queue *queue, const struct igrad_job *job,
		      struct igrad_fence **fence)
{
	struct sim_device *sim = sim_device(queue->device);
	struct sim_job *new = new_job(job);
	int ret;

	if (!new)
		return -ENOMEM;
	new->fence = new_fence(queue);
	if (!new->fence) {
		free_job(new);
		return -ENOMEM;
	}
	*fence = &new->fence->base;
	pthread_mutex_lock(&sim->lock);
	ret = enqueue(sim, (struct sim_queue *)queue, new);
	pthread_mutex_unlock(&sim->lock);
	if (ret) {
		igrad_fence_unref(*fence);
		free_job(new);
	}
	return ret;
}

static int sim_fence_wait(struct igrad_fence *fence, int64_t timeout_ns)
{
	struct sim_device *sim = sim_device(fence->queue->device);
	struct sim_fence *sim_fence = (struct sim_fence *)fence;
	struct timespec end = deadline(timeout_ns > 0 ? timeout_ns : 0);
	int ret = timeout_ns ? 0 : ETIMEDOUT;

	pthread_mutex_lock(&sim->lock);
	while (!sim_fence->ended && ret != ETIMEDOUT) {
		if (timeout_ns < 0)
			pthread_cond_wait(&sim_fence->ended_cond, &sim->lock);
		else
			ret = pthread_cond_timedwait(&sim_fence->ended_cond, &sim->lock, &end);
	}
	ret = sim_fence->ended ? sim_fence->result : -ETIMEDOUT;
	pthread_mutex_unlock(&sim->lock);
	return ret;
}

/* ---------------------------------------------------------------- the device */

static void sim_device_free(struct igrad_device *device)
{
	struct sim_device *sim = sim_device(device);
	bool self = pthread_equal(pthread_self(), sim->executor);

	pthread_mutex_lock(&sim->lock);
	sim->stopping = true;
	sim->orphaned = self;
	pthread_cond_signal(&sim->work);
	pthread_cond_signal(&sim->watch);
	pthread_mutex_unlock(&sim->lock);
	pthread_join(sim->watchdog, NULL);
	if (self) {
		pthread_detach(sim->executor);
		return;
	}
	pthread_join(sim->executor, NULL);
	free_device(sim);
}

static void trace_command(void *opaque, const struct igrad_core_event *event)
{
	const struct sim_device *sim = opaque;
	const struct igrad_trace_event told = {
		.job = sim->executions,
		.index = event->index,
		.engine = event->engine,
		.cmd = event->cmd,
		.start = event->start,
		.end = event->end,
		.completed = event->completed,
	};

	sim->trace(sim->trace_opaque, &told);
}

static int sim_device_trace(struct igrad_device *device, igrad_trace_fn fn, void *opaque)
{
	struct sim_device *sim = sim_device(device);
	bool busy;

	pthread_mutex_lock(&sim->lock);
	busy = sim->running || sim->first;
	if (!busy) {
		sim->trace = fn;
		sim->trace_opaque = opaque;
		igrad_core_set_trace(sim->core, fn ? trace_command : NULL, sim);
	}
	pthread_mutex_unlock(&sim->lock);
	return busy ? -EBUSY : 0;
}

static const struct igrad_backend sim_backend = {
	.device_free = sim_device_free,
	.device_trace = sim_device_trace,
	.buffer_new = sim_buffer_new,
	.buffer_free = sim_buffer_free,
	.queue_new = sim_queue_new,
	.queue_free = sim_queue_free,
	.queue_error = sim_queue_error,
	.submit = sim_submit,
	.fence_wait = sim_fence_wait,
	.fence_free = sim_fence_free,
};

static void fill_info(struct sim_device *sim)
{
	const struct igrad_config *config = &sim->config.core;

	sim->base.info = (struct igrad_device_info){
		.hw_version = IGRAD_HW_VERSION,
		.features = igrad_config_features(config),
		.rows = config->rows,
		.cols = config->cols,
		.sram_bytes = config->sram_bytes,
		.dram_bytes_per_cycle = config->dram_bytes_per_cycle,
		.dram_latency = config->dram_latency,
		.clock_hz = config->clock_hz,
		.va_start = SIM_VA_START,
		.va_end = IGRAD_VA_END,
	};
}

static int start_threads(struct sim_device *sim)
{
	int ret = pthread_create(&sim->executor, NULL, executor_main, sim);

	if (ret)
		return -ret;
	ret = pthread_create(&sim->watchdog, NULL, watchdog_main, sim);
	if (!ret)
		return 0;
	pthread_mutex_lock(&sim->lock);
	sim->stopping = true;
	pthread_cond_signal(&sim->work);
	pthread_mutex_unlock(&sim->lock);
	pthread_join(sim->executor, NULL);
	return -ret;
}

int igrad_sim_open(const char *properties, struct igrad_device **device, struct igrad_error *error)
{
	struct sim_device *sim = calloc(1, sizeof(*sim));
	int ret;

	if (!sim)
		return igrad_fail(error, -ENOMEM, "sim: out of memory");
	ret = sim_config_parse(properties, &sim->config, error);
	if (ret) {
		free(sim);
		return ret;
	}
	igrad_device_init(&sim->base, &sim_backend);
	fill_info(sim);
	sim_space_init(&sim->space);
	pthread_mutex_init(&sim->lock, NULL);
	cond_init(&sim->work);
	cond_init(&sim->watch);
	sim->last = &sim->first;
	sim->base.uri = sim_config_uri(&sim->config);
	sim->core = igrad_core_new(&sim->config.core);
	ret = sim->base.uri && sim->core ? start_threads(sim) : -ENOMEM;
	if (ret) {
		free_device(sim);
		return igrad_fail(error, ret, "sim: cannot start the device: %s",
				  igrad_strerror(ret));
	}
	*device = &sim->base;
	return 0;
}
