/* SPDX-License-Identifier: MIT */
/* Executing layers on a simulated device: where all figures come from. */
#ifndef IGRAD_SIM_COST_H
#define IGRAD_SIM_COST_H

#include "igrad-sim.h"
#include "igrad/plan.h"

/**
 * struct result - what a pass cost
 * @forward: a forward pass, for which @schedule means nothing
 * @name: of a pass that is neither that nor done by a schedule; else NULL
 */
struct result {
	bool forward;
	const char *name;
	enum igrad_schedule schedule;
	struct igrad_report report;
	struct igrad_energy energy;
	double utilization; /* multiply-adds per PE and cycle */
};

#define NUM_OPERANDS 11
#define LAYER_TEXT   128

/** layer_size - "784 in, 256 out", or "64 in, 64 out, 3 x 3 on 56 x 56" */
const char *layer_size(const struct layer *layer, char text[LAYER_TEXT]);

/** layer_text - "layer 784-256, batch 64" */
const char *layer_text(const struct layer *layer, char text[LAYER_TEXT]);

/** refusal_text - why a pass cannot be executed */
const char *refusal_text(int err);

/**
 * struct placement - where an operand lay in the device's address space
 * @width: bytes of an element
 * @period: rows of weights for one position of a convolution's kernel; else 0
 */
struct placement {
	const char *name;
	uint64_t va;
	uint32_t rows;
	uint32_t cols;
	uint32_t width;
	uint32_t period;
};

/**
 * struct simulator - a device that times commands and computes nothing, and a table for energy
 * @placements: of the operands of the last pass
 */
struct simulator {
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *cmdbuf;
	struct igrad_energy_table *table;
	struct placement placements[NUM_OPERANDS];
};

/** simulator_open - @energy: a table's name or path; NULL: the default */
int simulator_open(struct simulator *sim, const struct machine *machine, const char *energy,
		   struct igrad_error *error);
void simulator_close(struct simulator *sim);

const struct igrad_device_info *simulator_info(const struct simulator *sim);

/** simulator_execute - what is in its command buffer */
int simulator_execute(struct simulator *sim, struct result *result);

/** simulator_backward - build a layer's backward pass as the library does, and execute it */
int simulator_backward(struct simulator *sim, const struct layer *layer,
		       const struct manner *manner, enum igrad_schedule schedule,
		       struct result *result, struct igrad_error *error);
int simulator_forward(struct simulator *sim, const struct layer *layer, const struct manner *manner,
		      struct result *result, struct igrad_error *error);

/** simulator_explain - every way that was tried of doing a layer's pass; @choices: for free() */
int simulator_explain(struct simulator *sim, const struct settings *settings,
		      enum igrad_schedule schedule, struct igrad_choice **choices, size_t *count,
		      struct igrad_error *error);

/** result_name - "interleaved", "forward" or whatever it is */
const char *result_name(const struct result *result);

/** result_accesses - what schedules are compared by: words, without other vector commands */
uint64_t result_accesses(const struct result *result);
uint64_t result_dram(const struct result *result);
/** result_reads, result_writes - all words moved between SRAM and the array or the vector unit */
uint64_t result_reads(const struct result *result);
uint64_t result_writes(const struct result *result);

/** access_name - "x_read" of IGRAD_ACCESS_X_READ and so on */
const char *access_name(enum igrad_operand operand);

#endif /* IGRAD_SIM_COST_H */
