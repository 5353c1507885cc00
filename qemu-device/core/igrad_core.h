/* SPDX-License-Identifier: MIT */
/*
 * The device core: executes the command stream of a job bit-exactly and accounts for every cycle
 * and access. Plain C11 and pthreads; it knows neither QEMU nor a kernel. The QEMU device gives it
 * an address space that walks the guest's page tables, the library's sim backend one that looks up
 * its own buffers.
 */
#ifndef IGRAD_CORE_H
#define IGRAD_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igrad/hw.h"

/**
 * struct igrad_config - what the device is built as
 * @rows: R, 1 … IGRAD_MAX_ROWS
 * @cols: C, 1 … IGRAD_MAX_COLS
 * @overlap: shadow registers
 * @sram_bytes: multiple of 1 KiB, IGRAD_MIN_SRAM … IGRAD_MAX_SRAM
 * @dram_bytes_per_cycle: in each direction, 1 … 65536
 * @dram_latency: cycles, 0 … 1000000
 * @clock_hz: 1 … 1e12
 * @threads: host threads that compute a command, 1 … IGRAD_MAX_THREADS
 * @hang_tag: a NOP with this tag never ends (for tests of recovery); 0: none
 * @timing_only: check and account for every command, but move and compute no data
 */
struct igrad_config {
	uint32_t rows;
	uint32_t cols;
	bool overlap;
	uint32_t sram_bytes;
	uint32_t dram_bytes_per_cycle;
	uint32_t dram_latency;
	uint64_t clock_hz;
	uint32_t threads;
	uint32_t hang_tag;
	bool timing_only;
};

#define IGRAD_MAX_ROWS	  256
#define IGRAD_MAX_COLS	  256
#define IGRAD_MIN_SRAM	  (16u << 10)
#define IGRAD_MAX_SRAM	  (256u << 20)
#define IGRAD_MAX_THREADS 64

/**
 * igrad_config_default - the properties when nothing is said
 *
 * 32 × 32, overlap on, 4 MiB SRAM, 64 bytes a cycle, 100 cycles, 1 GHz, 1 thread.
 */
void igrad_config_default(struct igrad_config *config);

/**
 * igrad_config_check - is this a device that can be built?
 * @error: filled with a sentence naming property, value and range when it is not
 *
 * Returns 0 or -EINVAL.
 */
int igrad_config_check(const struct igrad_config *config, char *error, size_t error_size);

/** igrad_config_features - IGRAD_FEATURE_* of this device */
uint32_t igrad_config_features(const struct igrad_config *config);

/**
 * struct igrad_fault - why an access failed
 * @reason: enum igrad_reason, VA_RANGE … BUS
 * @addr: the VA
 */
struct igrad_fault {
	enum igrad_reason reason;
	uint64_t addr;
};

/**
 * struct igrad_rows - bytes that move together: rows of @len, 1 or more
 * @va: of the first
 * @pitch: from one to the next in the address space
 * @bytes: the first in the buffer
 * @stride: from one to the next there
 */
struct igrad_rows {
	uint64_t va;
	uint64_t pitch;
	uint8_t *bytes;
	size_t stride;
	size_t len;
	uint32_t rows;
};

/**
 * struct igrad_space - the address space that a job's DMA goes through
 * @read: copy @len bytes at @va to @buf
 * @write: copy @len bytes from @buf to @va
 * @rows: copy rows, at most IGRAD_DMA_ROWS of them and together at most IGRAD_DMA_CHUNK bytes; a
 * fault is that of the first that could not be copied. NULL: one by one will do
 *
 * Both return 0, or -1 with @fault filled; bytes before the fault may have been copied. Reasons of
 * the device itself (REASON_INTERNAL, REASON_ECC) end the job so; REASON_NONE says that the access
 * was interrupted, and the command is executed again from its beginning in the next step. They are
 * called from the thread that steps the job, with ranges of at most IGRAD_DMA_CHUNK bytes that
 * never wrap, so that a flush or a reset waits for one chunk only.
 */
struct igrad_space {
	int (*read)(void *opaque, uint64_t va, void *buf, size_t len, struct igrad_fault *fault);
	int (*write)(void *opaque, uint64_t va, const void *buf, size_t len,
		     struct igrad_fault *fault);
	void *opaque;
	int (*rows)(void *opaque, const struct igrad_rows *rows, bool write,
		    struct igrad_fault *fault);
};

#define IGRAD_DMA_CHUNK 65536
#define IGRAD_DMA_ROWS	64

/** struct igrad_result - how a job ended; same meaning as in struct igrad_completion */
struct igrad_result {
	enum igrad_status status;
	enum igrad_reason reason;
	enum igrad_engine engine;
	uint32_t command;
	uint64_t addr;
};

struct igrad_core;

/** igrad_core_new - NULL with errno set on a bad @config or without memory */
struct igrad_core *igrad_core_new(const struct igrad_config *config);
void igrad_core_free(struct igrad_core *core);
const struct igrad_config *igrad_core_config(const struct igrad_core *core);

/**
 * igrad_core_begin - start a job
 * @desc: in device byte order; copied
 * @space: copied; must stay valid until igrad_core_finish()
 *
 * SRAM, PE registers, vector state, semaphores and counters are zero afterwards.
 */
void igrad_core_begin(struct igrad_core *core, const struct igrad_desc *desc,
		      const struct igrad_space *space);

/**
 * igrad_core_step - execute the next command
 *
 * Returns true while there is more to do. After a failing command, and after
 * igrad_core_cancel(), it returns false. While the job hangs (hang_tag) it sleeps until cancelled.
 */
bool igrad_core_step(struct igrad_core *core);

/**
 * igrad_core_finish - end the job and write its report
 *
 * Writes the report (if the descriptor names one) through the job's space; if that faults the job's
 * outcome becomes that fault. Not to be called for a cancelled job. Returns false when the access
 * was interrupted: call it again.
 */
bool igrad_core_finish(struct igrad_core *core, struct igrad_result *result);

/**
 * igrad_core_cancel - make the running job end soon, from any thread
 *
 * igrad_core_step() returns false after at most one tile, DMA chunk or vector command; the caller
 * drops the job.
 * Holds until the next igrad_core_begin() that follows igrad_core_uncancel().
 */
void igrad_core_cancel(struct igrad_core *core);
void igrad_core_uncancel(struct igrad_core *core);
bool igrad_core_cancelled(const struct igrad_core *core);

/**
 * igrad_core_interrupt - make a step that hangs return, from any thread
 *
 * While @on, igrad_core_step() returns true without having done anything where it would hang.
 */
void igrad_core_interrupt(struct igrad_core *core, bool on);

/**
 * struct igrad_core_event - a command that has retired, and its times on the concurrent machine
 * @cmd: in device byte order; valid during the call only
 * @index: of the command in its job
 * @engine: that executed it
 * @start: first cycle in which it holds the engine
 * @end: first cycle in which it no longer does; commands that share the array with shadow
 *       registers hold it at once. A NOP holds nothing: @end is @start
 * @completed: when it has completed and its signal is seen; not before the engine's commands before
 *
 * Cycles count from the start of the job.
 */
struct igrad_core_event {
	const struct igrad_cmd *cmd;
	uint32_t index;
	enum igrad_engine engine;
	uint64_t start;
	uint64_t end;
	uint64_t completed;
};

typedef void (*igrad_core_trace_fn)(void *opaque, const struct igrad_core_event *event);

/**
 * igrad_core_set_trace - have @fn called for every command that retires, in program order
 * @fn: called from the thread that steps the job, and must not call the core; NULL: no tracing
 *
 * Not while igrad_core_step() executes. Holds for later jobs too.
 */
void igrad_core_set_trace(struct igrad_core *core, igrad_core_trace_fn fn, void *opaque);

/** igrad_core_retired - commands retired since creation, readable from any thread */
uint64_t igrad_core_retired(const struct igrad_core *core);

/** igrad_core_report - counters of the running or last job, in device byte order */
void igrad_core_report(const struct igrad_core *core, struct igrad_report *report);

/**
 * igrad_core_save - write a checkpoint of the job between two steps
 * @write: takes @len bytes at @bytes; 0 or -1
 *
 * SRAM, PE registers, semaphores, clocks, counters, commands that were fetched. Returns 0 or -EIO.
 */
int igrad_core_save(struct igrad_core *core,
		    int (*write)(void *opaque, const void *bytes, size_t len), void *opaque);

/**
 * igrad_core_restore - instead of igrad_core_begin(): go on with a job that was saved
 * @read: fills @len bytes at @bytes; 0 or -1
 * @space: as for igrad_core_begin()
 *
 * Believes nothing: returns -EINVAL for a checkpoint that is damaged or of a device configured
 * otherwise, and is then as after a job that ended.
 */
int igrad_core_restore(struct igrad_core *core, int (*read)(void *opaque, void *bytes, size_t len),
		       void *opaque, const struct igrad_space *space);

/** igrad_core_desc - the descriptor of the running or last job */
const struct igrad_desc *igrad_core_desc(const struct igrad_core *core);

/*
 * Between two steps of a job: turn over one bit of the device, as radiation would. SRAM bit n is
 * bit n % 8 of byte n / 8; that of the accumulators is bit n % 32 of acc(r,c), n / 32 = r · C + c.
 * Numbers wrap around at the end.
 */
void igrad_core_flip_sram(struct igrad_core *core, uint64_t bit);
void igrad_core_flip_acc(struct igrad_core *core, uint64_t bit);

#endif /* IGRAD_CORE_H */
