/* SPDX-License-Identifier: MIT */
#include "timing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_SIGNALS 256 /* of a semaphore, from job to job */

void igrad_timing_init(struct igrad_timing *timing)
{
	memset(timing, 0, sizeof(*timing));
	igrad_timing_reset(timing);
}

void igrad_timing_destroy(struct igrad_timing *timing)
{
	for (unsigned int i = 0; i < IGRAD_NUM_SEMAPHORES; i++)
		free(timing->semaphore[i].signals);
	igrad_overlap_destroy(&timing->overlap);
}

/* A long history is not kept for jobs that may all be short. */
static void reset_semaphore(struct igrad_semaphore *semaphore)
{
	if (semaphore->room > KEPT_SIGNALS) {
		free(semaphore->signals);
		semaphore->signals = NULL;
		semaphore->room = 0;
	}
	semaphore->value = 0;
	semaphore->owner = -1;
}

void igrad_timing_reset(struct igrad_timing *timing)
{
	memset(timing->engine, 0, sizeof(timing->engine));
	memset(timing->known, 0, sizeof(timing->known));
	timing->cycles = 0;
	timing->count = 0;
	igrad_overlap_reset(&timing->overlap);
	for (unsigned int i = 0; i < IGRAD_NUM_SEMAPHORES; i++)
		reset_semaphore(&timing->semaphore[i]);
}

/* A semaphore is signalled at most once a command, so its history is bounded by the job's length.
 */
static bool reserve(struct igrad_semaphore *semaphore)
{
	uint32_t room = semaphore->room ? semaphore->room * 2 : 64;
	struct igrad_signal *signals;

	if (semaphore->value < semaphore->room)
		return true;
	signals = realloc(semaphore->signals, room * sizeof(*signals));
	if (!signals)
		return false;
	semaphore->signals = signals;
	semaphore->room = room;
	return true;
}

static const struct igrad_signal *awaited_signal(const struct igrad_timing *timing,
						 const struct igrad_cmd *cmd, unsigned int wait)
{
	const struct igrad_semaphore *semaphore = &timing->semaphore[cmd->wait_sem[wait]];

	return cmd->wait_sem[wait] ? &semaphore->signals[cmd->wait_value[wait] - 1] : NULL;
}

static void learn(uint32_t known[], const struct igrad_timing *timing, const struct igrad_cmd *cmd)
{
	for (unsigned int i = 0; i < IGRAD_NUM_WAITS; i++) {
		const struct igrad_signal *signal = awaited_signal(timing, cmd, i);

		for (unsigned int e = 0; signal && e < IGRAD_NUM_ENGINES; e++)
			known[e] = known[e] < signal->after[e] ? signal->after[e] : known[e];
	}
}

enum igrad_reason igrad_timing_check(struct igrad_timing *timing, const struct igrad_cmd *cmd,
				     enum igrad_engine engine)
{
	struct igrad_semaphore *signalled = &timing->semaphore[cmd->signal];

	if (cmd->signal && signalled->owner >= 0 && signalled->owner != (int)engine)
		return IGRAD_REASON_SEMAPHORE;
	for (unsigned int i = 0; i < IGRAD_NUM_WAITS; i++) {
		if (cmd->wait_value[i] > timing->semaphore[cmd->wait_sem[i]].value)
			return IGRAD_REASON_WAIT;
	}
	if ((cmd->signal && !reserve(signalled)) || !igrad_overlap_reserve(&timing->overlap))
		return IGRAD_REASON_INTERNAL;
	learn(timing->known[engine], timing, cmd);
	return IGRAD_REASON_NONE;
}

static uint64_t awaited(const struct igrad_timing *timing, const struct igrad_cmd *cmd)
{
	uint64_t latest = 0;

	for (unsigned int i = 0; i < IGRAD_NUM_WAITS; i++) {
		const struct igrad_signal *signal = awaited_signal(timing, cmd, i);

		if (signal && signal->time > latest)
			latest = signal->time;
	}
	return latest;
}

/* The engine's next command can start at @free, and this one would complete at @completed. */
static void complete(struct igrad_timing *timing, const struct igrad_cmd *cmd,
		     enum igrad_engine engine, uint64_t free, uint64_t completed)
{
	struct igrad_engine_clock *clock = &timing->engine[engine];

	clock->free = free;
	if (clock->completed < completed)
		clock->completed = completed;
	if (timing->cycles < clock->completed)
		timing->cycles = clock->completed;
	timing->count++;
	if (cmd->signal) {
		struct igrad_semaphore *semaphore = &timing->semaphore[cmd->signal];
		struct igrad_signal *signal = &semaphore->signals[semaphore->value++];

		semaphore->owner = engine;
		signal->time = clock->completed;
		memcpy(signal->after, timing->known[engine], sizeof(signal->after));
		signal->after[engine] = timing->count;
	}
}

struct igrad_moments igrad_timing_run(struct igrad_timing *timing, const struct igrad_cmd *cmd,
				      enum igrad_engine engine, uint64_t held, uint64_t latency)
{
	struct igrad_engine_clock *clock = &timing->engine[engine];
	uint64_t ready = awaited(timing, cmd);
	uint64_t start = clock->free > ready ? clock->free : ready;

	clock->stalled += start - clock->free;
	clock->busy += held;
	complete(timing, cmd, engine, start + held, start + held + latency);
	return (struct igrad_moments){start, start + held, clock->completed};
}

/*
 * Here free is when the array has nothing left to do. It is never idle for another reason than a
 * semaphore, and after that nothing starts earlier: idle cycles are all in front of a command.
 */
struct igrad_moments igrad_timing_run_overlapped(struct igrad_timing *timing,
						 const struct igrad_cmd_window *window,
						 const struct igrad_cmd *cmd, uint32_t rows,
						 uint32_t cols)
{
	struct igrad_engine_clock *clock = &timing->engine[IGRAD_ENGINE_ARRAY];
	const struct igrad_span span = igrad_overlap_place(&timing->overlap, rows, cols, window,
							   cmd, awaited(timing, cmd));
	const uint64_t begin = clock->free > span.start ? clock->free : span.start;
	const uint64_t end = begin > span.end ? begin : span.end;

	clock->stalled += begin - clock->free;
	clock->busy += end - begin;
	complete(timing, cmd, IGRAD_ENGINE_ARRAY, end, span.end);
	return (struct igrad_moments){span.start, span.end, clock->completed};
}

/* --------------------------------------------------------------------------------------------- */
/* Checkpoints */
/* --------------------------------------------------------------------------------------------- */

static void transfer_engine(struct igrad_engine_clock *clock, struct igrad_serial *serial)
{
	igrad_serial_time(serial, &clock->free);
	igrad_serial_time(serial, &clock->completed);
	igrad_serial_time(serial, &clock->busy);
	igrad_serial_time(serial, &clock->stalled);
}

/* What is ordered before something: commands below an index that is at most @count. */
static void transfer_order(uint32_t order[], struct igrad_serial *serial, uint32_t count)
{
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		igrad_serial_u32(serial, &order[e]);
		igrad_serial_check(serial, order[e] <= count);
	}
}

/* Loaded, its room grows with what has really come. */
static void transfer_semaphore(struct igrad_semaphore *semaphore, struct igrad_serial *serial,
			       uint32_t retired)
{
	uint32_t owner = (uint32_t)(semaphore->owner + 1);
	uint32_t value = semaphore->value;

	igrad_serial_u32(serial, &owner);
	igrad_serial_u32(serial, &value);
	if (!igrad_serial_check(serial,
				owner <= IGRAD_NUM_ENGINES && value <= retired && !owner == !value))
		return;
	semaphore->owner = (int)owner - 1;
	if (serial->loading)
		semaphore->value = 0;
	for (uint32_t i = 0; i < value && !serial->failed; i++) {
		if (serial->loading && !igrad_serial_check(serial, reserve(semaphore)))
			return;
		igrad_serial_time(serial, &semaphore->signals[i].time);
		transfer_order(semaphore->signals[i].after, serial, retired);
		if (serial->loading)
			semaphore->value++;
	}
}

void igrad_timing_transfer(struct igrad_timing *timing, struct igrad_serial *serial,
			   uint32_t retired, uint32_t sram_bytes)
{
	for (unsigned int i = 0; i < IGRAD_NUM_ENGINES; i++) {
		transfer_engine(&timing->engine[i], serial);
		transfer_order(timing->known[i], serial, retired);
	}
	for (unsigned int i = 1; i < IGRAD_NUM_SEMAPHORES; i++)
		transfer_semaphore(&timing->semaphore[i], serial, retired);
	igrad_overlap_transfer(&timing->overlap, serial, sram_bytes);
	igrad_serial_time(serial, &timing->cycles);
	timing->count = retired;
}
