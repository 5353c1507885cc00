/* SPDX-License-Identifier: MIT */
/*
 * How layers are cut, and why.
 *
 * Before a layer's commands are built, the library looks at many ways of cutting it, executes the
 * most promising ones on a timing-only device of the same configuration, and takes the one that is
 * best for the objective. Here is what it looked at. Every figure is one of an executed command
 * stream: the layer alone, from its first load to its last store.
 */
#ifndef IGRAD_PLAN_H
#define IGRAD_PLAN_H

#include "igrad/igrad.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct igrad_tiling - how a layer is cut
 * @batch: batch rows of a block; what is smaller than the layer is looped over
 * @in: in-features of a block
 * @out: out-features of a block
 * @rows: of the array that are used
 * @cols: of the array that are used
 * @order: the loops over blocks, outermost first: a permutation of "BIO"
 * @dx_turned: ws: dX with dY stationary, else with W stationary
 * @dw_turned: ws: dW with X stationary, else with dY stationary
 * @dw_first: ws: dW is computed before dX, and updates go on while dX is streamed
 * @sram_bytes: what it takes
 * @words: all of this and what stays in SRAM, in a sentence
 */
struct igrad_tiling {
	uint32_t batch;
	uint32_t in;
	uint32_t out;
	uint32_t rows;
	uint32_t cols;
	char order[4];
	bool dx_turned;
	bool dw_turned;
	bool dw_first;
	uint32_t sram_bytes;
	char words[384];
};

/**
 * struct igrad_choice - one way of doing a layer that was executed
 * @schedule: never IGRAD_SCHEDULE_AUTO; means nothing for a forward pass
 * @report: what it cost
 * @utilisation: multiply-adds per PE and cycle
 * @accesses: igrad_report_sram_accesses()
 * @dram_bytes: read and written
 * @energy: by the table of the arguments, in its unit
 * @best: of its schedule
 * @chosen: this is how the layer is done
 * @why: what decided for it or against it, in a sentence
 */
struct igrad_choice {
	enum igrad_schedule schedule;
	struct igrad_tiling tiling;
	struct igrad_report report;
	double utilisation;
	uint64_t accesses;
	uint64_t dram_bytes;
	double energy;
	bool best;
	bool chosen;
	char why[160];
};

/**
 * igrad_linear_explain - every way of doing a layer's backward pass that was executed
 * @device: for which it is planned; nothing is executed on it
 * @args: as for igrad_linear_backward(); of buffers only their sizes matter, and they may be of
 *        another device
 * @choices: one block, for free(); the best of the objective first within each schedule
 * @count: how many
 *
 * With a schedule other than IGRAD_SCHEDULE_AUTO only that one is looked at. Errors are those of
 * igrad_linear_backward().
 */
int igrad_linear_explain(struct igrad_device *device, const struct igrad_linear_backward *args,
			 struct igrad_choice **choices, size_t *count);

/** igrad_linear_explain_forward - the same for the forward pass */
int igrad_linear_explain_forward(struct igrad_device *device,
				 const struct igrad_linear_forward *args,
				 struct igrad_choice **choices, size_t *count);

#ifdef __cplusplus
}
#endif

#endif /* IGRAD_PLAN_H */
