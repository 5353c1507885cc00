/* SPDX-License-Identifier: MIT */
/*
 * The clocks of the engines and the semaphores between them. Fed with the commands in program
 * order, it tells when each would start and complete on the concurrent machine.
 */
#ifndef IGRAD_TIMING_H
#define IGRAD_TIMING_H

#include "igrad/hw.h"
#include "overlap.h"
#include "serial.h"

/*
 * A semaphore reached its next value: when, and what had completed then. By engine, that is all
 * commands below this index: an engine's commands start and complete in order, so what one of them
 * waited for is what all later ones follow, too.
 */
struct igrad_signal {
	uint64_t time;
	uint32_t after[IGRAD_NUM_ENGINES];
};

/* How a semaphore reached 1, 2, 3, …, and who signals it. */
struct igrad_semaphore {
	struct igrad_signal *signals;
	uint32_t value;
	uint32_t room;
	int owner; /* engine, or -1 */
};

struct igrad_engine_clock {
	uint64_t free;	    /* when the next command can start */
	uint64_t completed; /* when the last one completed: commands complete in order */
	uint64_t busy;
	uint64_t stalled;
};

struct igrad_timing {
	struct igrad_engine_clock engine[IGRAD_NUM_ENGINES];
	struct igrad_semaphore semaphore[IGRAD_NUM_SEMAPHORES];
	struct igrad_overlap overlap; /* of the array's commands, with overlap=on */
	/* by engine, what its last command is ordered after, as in struct igrad_signal */
	uint32_t known[IGRAD_NUM_ENGINES][IGRAD_NUM_ENGINES];
	uint32_t count; /* commands so far */
	uint64_t cycles;
};

/* When a command holds its engine, and when it has completed. */
struct igrad_moments {
	uint64_t start;
	uint64_t end;
	uint64_t completed;
};

void igrad_timing_init(struct igrad_timing *timing);
void igrad_timing_destroy(struct igrad_timing *timing);
void igrad_timing_reset(struct igrad_timing *timing);

/**
 * igrad_timing_check - may @cmd wait and signal as it says, after the commands seen so far?
 *
 * If so, known[@engine] is what the command is ordered after.
 *
 * Returns IGRAD_REASON_NONE, _SEMAPHORE, _WAIT, or _INTERNAL without memory for one more signal.
 */
enum igrad_reason igrad_timing_check(struct igrad_timing *timing, const struct igrad_cmd *cmd,
				     enum igrad_engine engine);

/**
 * igrad_timing_run - account for a command that igrad_timing_check() accepted
 * @held: cycles that the command holds its engine
 * @latency: cycles from then to its completion
 */
struct igrad_moments igrad_timing_run(struct igrad_timing *timing, const struct igrad_cmd *cmd,
				      enum igrad_engine engine, uint64_t held, uint64_t latency);

/**
 * igrad_timing_run_overlapped - the same for a command of the array with shadow registers
 * @window: the array's
 * @rows: the array's
 * @cols: the array's
 */
struct igrad_moments igrad_timing_run_overlapped(struct igrad_timing *timing,
						 const struct igrad_cmd_window *window,
						 const struct igrad_cmd *cmd, uint32_t rows,
						 uint32_t cols);

/**
 * igrad_timing_transfer - save or load
 * @retired: commands that ran so far, a bound for every semaphore
 * @sram_bytes: where the accesses lie that are remembered
 */
void igrad_timing_transfer(struct igrad_timing *timing, struct igrad_serial *serial,
			   uint32_t retired, uint32_t sram_bytes);

#endif /* IGRAD_TIMING_H */
