/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the core share. Commands and SRAM words are little-endian; the core computes on
 * them in place, so it wants a little-endian host and says so here, once.
 */
#ifndef IGRAD_INTERNAL_H
#define IGRAD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "backlog.h"
#include "hazard.h"
#include "igrad_core.h"
#include "kernels.h"
#include "pool.h"
#include "serial.h"
#include "timing.h"
#include "window.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the igrad device core needs a little-endian host"
#endif

#define IGRAD_NAN_BITS 0x7fc00000u

static inline float igrad_float(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* --------------------------------------------------------------------------------------------- */
/* sram.c: the words, and which of them a job has written */
/* --------------------------------------------------------------------------------------------- */

struct igrad_sram {
	void *allocation;
	uint8_t *bytes; /* 64-byte aligned */
	uint32_t size;
	uint64_t *dirty; /* one bit a 4 KiB page */
};

int igrad_sram_init(struct igrad_sram *sram, uint32_t size);
void igrad_sram_destroy(struct igrad_sram *sram);
void igrad_sram_mark(struct igrad_sram *sram, uint64_t begin, uint64_t end);
void igrad_sram_scrub(struct igrad_sram *sram);
void igrad_sram_transfer(struct igrad_sram *sram, struct igrad_serial *serial);

/* --------------------------------------------------------------------------------------------- */
/* check.c: is this command one that the manual allows? */
/* --------------------------------------------------------------------------------------------- */

/* A region of SRAM: @rows rows of @bytes bytes, @pitch apart. */
struct igrad_area {
	uint64_t addr;
	uint64_t pitch;
	uint64_t rows;
	uint64_t bytes;
	uint32_t word; /* bytes: 4, or 2 for bf16 */
	bool written;
	bool same_ok; /* may be exactly the result's region */
	bool image;   /* rows are pixels: of whole images, in the end */
};

#define IGRAD_MAX_AREAS 5

struct igrad_areas {
	unsigned int count;
	struct igrad_area area[IGRAD_MAX_AREAS];
};

uint64_t igrad_area_end(const struct igrad_area *area);

/**
 * igrad_check_command - everything about @cmd that needs no other command to be judged
 * @engine: set as soon as it is known
 * @window: as the commands before it have set it
 * @areas: the regions of SRAM that it touches
 *
 * Returns IGRAD_REASON_NONE or why the command is malformed.
 */
enum igrad_reason igrad_check_command(const struct igrad_config *config, const uint8_t *sram,
				      const struct igrad_cmd_window *window,
				      const struct igrad_cmd *cmd, enum igrad_engine *engine,
				      struct igrad_areas *areas);

enum igrad_reason igrad_check_desc(const struct igrad_desc *desc);

/* --------------------------------------------------------------------------------------------- */
/* The device */
/* --------------------------------------------------------------------------------------------- */

/* A copy of w: right for its leading rows × cols. */
struct igrad_weights {
	float *words;
	uint32_t rows;
	uint32_t cols;
};

#define IGRAD_WEIGHT_COPIES 4 /* transposed: 1, rounded to bf16: 2, both: 3 */

/* Operands of a stream that are not used in place are staged, so many batch rows at a time. */
#define IGRAD_CHUNK	  256
#define IGRAD_STAGE_ROW	  ((IGRAD_MAX_ROWS > IGRAD_MAX_COLS ? IGRAD_MAX_ROWS : IGRAD_MAX_COLS) + 16)
#define IGRAD_STAGE_BYTES ((IGRAD_CHUNK + 16) * IGRAD_STAGE_ROW * sizeof(float))

/* Registers of the PEs, 64-byte aligned; rows are as many words as fill whole vectors. */
struct igrad_array {
	uint32_t stride;   /* words of a row of w and acc */
	uint32_t t_stride; /* of a transposed copy */
	float *w;
	float *acc;
	struct igrad_weights copy[IGRAD_WEIGHT_COPIES];
	float *stage_x;
	float *stage_g;
	float *stage_p;			    /* windowed streams only */
	struct igrad_run runs[IGRAD_CHUNK]; /* likewise: of a chunk */
	struct igrad_cmd_window window;
	bool dirty;
};

#define IGRAD_CMDS_PER_PAGE (IGRAD_PAGE_SIZE / sizeof(struct igrad_cmd))

struct igrad_core {
	struct igrad_config config;
	const struct igrad_kernels *kernels;
	struct igrad_pool *pool;
	struct igrad_sram sram;
	struct igrad_array array;
	struct igrad_backlog *backlog;

	/* the job */
	struct igrad_desc desc;
	struct igrad_space space;
	struct igrad_result result;
	bool ended;
	uint32_t next; /* command */
	struct igrad_cmd page[IGRAD_CMDS_PER_PAGE];
	uint32_t page_first;
	uint32_t page_count;
	struct igrad_timing timing;
	struct igrad_hazards hazards;
	struct igrad_report counters;
	uint8_t bounce[IGRAD_DMA_CHUNK]; /* what DMA converts, as it is in memory */

	igrad_core_trace_fn trace; /* NULL: nobody looks */
	void *trace_opaque;

	/* shared with other threads */
	_Atomic uint64_t retired;
	_Atomic bool cancelled;
	_Atomic bool interrupted;
	pthread_mutex_t lock;
	pthread_cond_t wake;
};

static inline float *igrad_words(struct igrad_core *core, uint32_t addr)
{
	return (float *)(void *)(core->sram.bytes + addr);
}

static inline uint16_t *igrad_halves(struct igrad_core *core, uint32_t addr)
{
	return (uint16_t *)(void *)(core->sram.bytes + addr);
}

/* job.c: as before the first job */
void igrad_core_clear(struct igrad_core *core);

/* space.c: the job's address space, range-checked once for every backend */
int igrad_va_check(uint64_t va, size_t len, struct igrad_fault *fault);
int igrad_space_read(const struct igrad_space *space, uint64_t va, void *buf, size_t len,
		     struct igrad_fault *fault);
int igrad_space_write(const struct igrad_space *space, uint64_t va, const void *buf, size_t len,
		      struct igrad_fault *fault);

int igrad_space_rows(const struct igrad_space *space, const struct igrad_rows *rows, bool write,
		     struct igrad_fault *fault);

/* array.c, stream.c, vector.c, dma.c: execute a command that has been checked */
int igrad_array_init(struct igrad_array *array, const struct igrad_config *config);
void igrad_array_destroy(struct igrad_array *array);
void igrad_array_scrub(struct igrad_array *array, const struct igrad_config *config);
void igrad_array_transfer(struct igrad_array *array, const struct igrad_config *config,
			  struct igrad_serial *serial);
void igrad_array_execute(struct igrad_core *core, const struct igrad_cmd *cmd);
void igrad_array_execute_strip(struct igrad_core *core, const struct igrad_cmd *cmd,
			       struct igrad_strip *strip);
void igrad_array_weights_changed(struct igrad_array *array);
const float *igrad_array_weights(struct igrad_core *core, bool bf16, bool transposed, uint32_t rows,
				 uint32_t cols, size_t *row);
void igrad_array_clear_acc(struct igrad_core *core, const struct igrad_cmd *cmd, uint32_t lane);
const float *igrad_array_turned(struct igrad_core *core, struct igrad_strip *strip, uint32_t cols);
void igrad_stream_execute(struct igrad_core *core, const struct igrad_cmd *cmd);
void igrad_stream_execute_strip(struct igrad_core *core, const struct igrad_cmd *cmd,
				struct igrad_strip *strip, uint32_t n);
void igrad_vector_execute(struct igrad_core *core, const struct igrad_cmd *cmd);
int igrad_dma_load(struct igrad_core *core, const struct igrad_cmd *cmd, struct igrad_fault *fault);
int igrad_dma_store(struct igrad_core *core, const struct igrad_cmd *cmd,
		    struct igrad_fault *fault);

/* account.c: what a command costs */
uint64_t igrad_account_cycles(const struct igrad_config *config, const struct igrad_cmd *cmd);
void igrad_account(struct igrad_report *counters, const struct igrad_config *config,
		   const struct igrad_cmd_window *window, const struct igrad_cmd *cmd);

#endif /* IGRAD_INTERNAL_H */
