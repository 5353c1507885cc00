/* SPDX-License-Identifier: MIT */
/*
 * The reference: a machine of R × C processing elements, moved forward cycle by cycle and wire by
 * wire. Slow and obvious. It shares hw.h with the core and nothing else, so that the two can be
 * held against each other; its cycles and accesses are counted as they happen, never computed.
 *
 * It runs well-formed command streams only: checking is not its subject.
 */
#ifndef IGRAD_REFERENCE_H
#define IGRAD_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igrad/hw.h"

struct ref_config {
	unsigned int rows;
	unsigned int cols;
	size_t sram_bytes;
	unsigned int dram_bytes_per_cycle;
	unsigned int dram_latency;
	bool overlap;
};

/* A value on a wire during one cycle. */
struct ref_wire {
	bool valid;
	float value;
	bool narrow; /* a 16-bit word */
};

static inline struct ref_wire ref_silent(void)
{
	return (struct ref_wire){.valid = false};
}

static inline struct ref_wire ref_driven(float value)
{
	return (struct ref_wire){.valid = true, .value = value};
}

/*
 * Control that sweeps the array with every batch row, one PE a cycle eastwards and southwards,
 * through all PEs whether the tile covers them or not.
 */
struct ref_token {
	bool valid;
	uint32_t row; /* of the batch */
	unsigned int phase;
};

/* A processing element: its registers, and what it drives on its wires until the next cycle. */
struct ref_pe {
	float w;
	float acc;
	struct ref_wire g_held; /* interleaved: g of phase 0, for phase 1 */
	struct ref_wire x;	/* to the east */
	struct ref_wire g;	/* to the south */
	struct ref_wire psum;	/* to the south in FPROP, to the east in DGRAD */
	struct ref_wire shift;	/* to the south: loads and drains */
	struct ref_token token; /* to the east; in column 0 to the south as well */
};

/* A command, and what the array's window registers hold when it comes; NULL: nothing yet. */
struct ref_op {
	const struct igrad_cmd *cmd;
	const struct igrad_cmd_window *window;
};

/* A command on the array with shadow registers; times are those of PE(0,0). */
struct ref_placed {
	struct ref_op op;
	int64_t start;
	int64_t swap; /* loads: the wave with which the tile becomes current; else -1 */
	int64_t end;  /* nothing of it moves any more */
};

/* A command, and what became of it. */
struct ref_timed {
	const struct igrad_cmd *cmd;
	const struct igrad_cmd_window *window;
	enum igrad_engine engine;
	uint64_t held;
	uint64_t latency;
	bool started;
	bool completed;
	uint64_t start;
	struct ref_placed placed; /* on the array with shadow registers */
};

struct ref_device {
	struct ref_config config;
	struct ref_pe *pe;
	uint8_t *sram;
	uint8_t *memory; /* DRAM; address 0 is memory[0] */
	struct igrad_report *counts;
	struct ref_timed *timed; /* the last job */
	unsigned int num_timed;
};

struct ref_device *ref_new(const struct ref_config *config);
void ref_free(struct ref_device *device);

/** ref_run - a job from zeroed SRAM and registers; returns false if a wait is never satisfied */
bool ref_run(struct ref_device *device, const struct igrad_cmd *cmds, unsigned int num_cmds,
	     uint8_t *memory, struct igrad_report *report);

/**
 * ref_replay - the job of the last ref_run() again, with all engines at work at once
 * @memory: as it was before that job
 * @late: DMA and vector commands take effect when they end, else when they start
 * @counts: what was counted, but for the clock's counters
 *
 * With shadow registers the array meets every word in the cycle that it was given. A job without
 * hazards ends with the same bits as in program order.
 */
void ref_replay(struct ref_device *device, uint8_t *memory, bool late, struct igrad_report *counts);

/** ref_clock - start and complete the device's commands in time; false if a wait never ends */
bool ref_clock(struct ref_device *device, struct igrad_report *counts);

/* Execute one command; return the cycles that it took. */
uint64_t ref_array(struct ref_device *device, const struct ref_op *op);
uint64_t ref_vector(struct ref_device *device, const struct igrad_cmd *cmd);

struct ref_overlap *ref_overlap_new(const struct ref_config *config);
void ref_overlap_free(struct ref_overlap *overlap);

/** ref_overlap_place - the first start from cycle @ready on that collides with nothing before */
struct ref_placed ref_overlap_place(struct ref_overlap *overlap, const struct ref_op *op,
				    uint64_t ready, struct igrad_report *counts);

/** ref_takes_time - or does the command merely wait, signal, and set registers? */
bool ref_takes_time(const struct igrad_cmd *cmd);

/*
 * The array with all commands in flight, on the device's SRAM as it is, cycle by cycle from 0 on;
 * it counts into what the device counts into.
 */
struct ref_skewed;
struct ref_skewed *ref_skewed_new(struct ref_device *device, const struct ref_placed *placed,
				  unsigned int n);
bool ref_skewed_runs(const struct ref_skewed *array, uint64_t cycle); /* then or later */
void ref_skewed_cycle(struct ref_skewed *array, int64_t cycle);
void ref_skewed_free(struct ref_skewed *array);

/* Do x of lane r, and g, of batch row b take part in sums? Where are words, and do psums move? */
bool ref_x_valid(const struct ref_op *op, uint32_t b, unsigned int r);
bool ref_g_valid(const struct ref_op *op, uint32_t b);
uint32_t ref_x_at(const struct ref_op *op, uint32_t b, unsigned int r);
uint32_t ref_psum_at(const struct ref_op *op, uint32_t b, unsigned int lane);
bool ref_psum_moves(const struct ref_op *op, uint32_t b);

/* Does PE(r,c) take part? Where is its word of a tile that is loaded or drained? */
bool ref_takes_part(const struct ref_op *op, unsigned int r, unsigned int c);
uint32_t ref_tile_at(const struct ref_op *op, unsigned int r, unsigned int c);

/* The pixels of all images that a windowed stream comes to, numbered through: first … end - 1. */
struct ref_images {
	uint32_t first;
	uint32_t end;
};

struct ref_images ref_images_of(const struct ref_op *op);

/* Two outputs of walks over the same images are taken to share a pixel if all is equal. */
struct ref_place {
	int64_t output;
	int64_t y;
	int64_t x;
};

struct ref_place ref_place_of(const struct ref_op *op, uint32_t output);

/* The operands of commands that are images, for the order of accesses with shadow registers. */
struct ref_walked;

/** ref_walked_of - those of one command; times are relative to its start */
struct ref_walked *ref_walked_of(const struct ref_op *op, unsigned int rows, unsigned int cols);

/** ref_walked_fits - may @mine start then, behind those in @list? */
bool ref_walked_fits(const struct ref_walked *list, const struct ref_walked *mine, int64_t start);

/** ref_walked_each - every half-word of their pixels, in the first cycle, until @fn says false */
typedef bool ref_access_fn(void *opaque, uint32_t addr, bool write, int64_t cycle);
bool ref_walked_each(const struct ref_walked *mine, int64_t start, ref_access_fn *fn, void *opaque);

/** ref_walked_allows - may a half-word be accessed then by something that is no image? */
bool ref_walked_allows(const struct ref_walked *list, uint32_t addr, bool write, int64_t cycle);

/** ref_walked_take - the list with @mine, started */
struct ref_walked *ref_walked_take(struct ref_walked *list, struct ref_walked *mine, int64_t start);
void ref_walked_free(struct ref_walked *list);

/* One word between SRAM and the machine, counted. */
uint32_t ref_read(struct ref_device *device, uint32_t addr, enum igrad_operand operand);
uint16_t ref_read_half(struct ref_device *device, uint32_t addr, enum igrad_operand operand);
void ref_write_half(struct ref_device *device, uint32_t addr, uint16_t half,
		    enum igrad_operand operand);
void ref_write(struct ref_device *device, uint32_t addr, uint32_t bits, enum igrad_operand operand);

/* Of words that are bf16 or not, as the command says: their size in bytes; one on a wire. */
unsigned int ref_word_size(const struct igrad_cmd *cmd);

/** ref_waves - cycles in which a PE works on an array command; none for loads and drains */
uint32_t ref_waves(const struct igrad_cmd *cmd);
struct ref_wire ref_read_operand(struct ref_device *device, const struct igrad_cmd *cmd,
				 uint32_t addr, enum igrad_operand operand);

/** ref_weight - what enters the multiplier: w, or in a bf16 stream its rounded value */
float ref_weight(const struct igrad_cmd *cmd, float w);

/** ref_count_mac - one multiply-add in a PE */
void ref_count_mac(struct ref_device *device, const struct igrad_cmd *cmd);

/* Registers w and acc of a PE, counted. */
float ref_get(struct ref_device *device, const float *reg);
void ref_set(struct ref_device *device, float *reg, float value);

/* What a PE does to its registers outside streams: round(factor·reg), fma(-lr, acc, w). */
void ref_scale(struct ref_device *device, float *reg, uint32_t factor);
void ref_update(struct ref_device *device, float *w, const float *acc, uint32_t lr);

/** ref_hop - what a PE finds on the @wire from its neighbour; a word handed over is counted */
struct ref_wire ref_hop(struct ref_device *device, struct ref_wire wire);

uint32_t ref_bits(float value);
float ref_float(uint32_t bits);
float ref_canonical(float value);
float ref_fma(float a, float b, float c);
float ref_from_bf16(uint16_t half);
uint16_t ref_to_bf16(float value);

/** ref_impossible - say what must not happen, and abort */
_Noreturn void ref_impossible(const char *what);
/** ref_zeroed - calloc() that does not fail; of nothing, too, it gives something */
void *ref_zeroed(size_t n, size_t size);

/* The manual's functions, in plain steps. */
float ref_exp(float x);
float ref_log(float x);

#endif /* IGRAD_REFERENCE_H */
