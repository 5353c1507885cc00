/* SPDX-License-Identifier: MIT */
/* igrad-sim: what was asked for. */
#ifndef IGRAD_SIM_TOOL_H
#define IGRAD_SIM_TOOL_H

#include "igrad/conv.h"
#include "igrad/energy.h"
#include "igrad/igrad.h"
#include "arguments.h"

/* Exit status. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
};

#define MAX_SWEEP 64

/** struct array_size - R × C */
struct array_size {
	uint32_t rows;
	uint32_t cols;
};

/** struct machine - the device that is simulated */
struct machine {
	struct array_size array;
	bool overlap;
	uint32_t sram_kib;
	uint32_t dram_width; /* bytes a cycle */
	uint32_t dram_latency;
};

/**
 * struct layer - a linear layer or a convolution that is costed
 * @window: of a convolution, without batch and channels; its kernel is 0 x 0 in a linear layer
 * @first: its input needs no gradient
 * @bias, @relu: it has these
 */
struct layer {
	uint32_t in;
	uint32_t out;
	uint32_t batch;
	struct igrad_conv_shape window;
	bool first;
	bool bias;
	bool relu;
};

static inline bool is_conv(const struct layer *layer)
{
	return layer->window.kernel_y != 0;
}

/** struct manner - how a layer is computed */
struct manner {
	struct igrad_optimizer optimizer;
	bool bf16;
	enum igrad_objective objective;
};

/**
 * struct settings - the command line
 * @schedules: bit for each that is asked for
 * @arrays, @batches: of a sweep
 */
struct settings {
	struct machine machine;
	struct layer layer;
	struct manner manner;
	uint32_t schedules;
	const char *energy;
	const char *area;
	const char *trace;
	const char *svg;
	const char *plot;
	bool json;
	bool csv;
	bool gemm;
	bool forward;
	bool batch_given;
	bool shapes;
	bool intergrad;
	struct array_size arrays[MAX_SWEEP];
	uint32_t num_arrays;
	uint32_t batches[MAX_SWEEP];
	uint32_t num_batches;
	char **files;
	int num_files;
};

/** a command of the program: 0, or a negative errno with @error filled */
typedef int command_fn(const struct settings *settings, struct igrad_error *error);
command_fn command_layer, command_network, command_sweep, command_paper, command_intergrad,
	command_explain, command_energy;

/** fail - put a sentence into @error, and return @err */
__attribute__((format(printf, 3, 4))) int fail(struct igrad_error *error, int err,
					       const char *format, ...);

/** discard - remove an output that was not finished, if it is a file: never a device or a pipe */
void discard(const char *path);

#endif /* IGRAD_SIM_TOOL_H */
