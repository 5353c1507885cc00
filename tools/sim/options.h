/* SPDX-License-Identifier: MIT */
/* igrad-sim's options, and which of its commands take them. */
#ifndef IGRAD_SIM_OPTIONS_H
#define IGRAD_SIM_OPTIONS_H

#include "igrad-sim.h"

enum {
	OPT_IN = 256,
	OPT_OUT,
	OPT_BATCH,
	OPT_IMAGE,
	OPT_KERNEL,
	OPT_STRIDE,
	OPT_PAD,
	OPT_DILATION,
	OPT_GROUPS,
	OPT_FIRST,
	OPT_BIAS,
	OPT_RELU,
	OPT_FORWARD,
	OPT_SHAPES,
	OPT_ROWS,
	OPT_COLS,
	OPT_OVERLAP,
	OPT_SRAM,
	OPT_DRAM_WIDTH,
	OPT_DRAM_LATENCY,
	OPT_SCHEDULE,
	OPT_OBJECTIVE,
	OPT_DECAY,
	OPT_OPTIMIZER,
	OPT_DTYPE,
	OPT_ENERGY,
	OPT_INTERGRAD,
	OPT_AREA,
	OPT_ARRAYS,
	OPT_BATCHES,
	OPT_PLOT,
	OPT_INPUT,
	OPT_TRACE,
	OPT_SVG,
	OPT_CSV,
	OPT_JSON,
	OPT_HELP,
};

#define OPT_BIT(option) (1ull << ((option)-OPT_IN))

#define OPTS_ARRAY (OPT_BIT(OPT_ROWS) | OPT_BIT(OPT_COLS))
#define OPTS_MEMORY                                                           \
	(OPT_BIT(OPT_OVERLAP) | OPT_BIT(OPT_SRAM) | OPT_BIT(OPT_DRAM_WIDTH) | \
	 OPT_BIT(OPT_DRAM_LATENCY))
#define OPTS_SHAPE (OPT_BIT(OPT_IN) | OPT_BIT(OPT_OUT))
#define OPTS_WINDOW                                                                          \
	(OPT_BIT(OPT_IMAGE) | OPT_BIT(OPT_KERNEL) | OPT_BIT(OPT_STRIDE) | OPT_BIT(OPT_PAD) | \
	 OPT_BIT(OPT_DILATION) | OPT_BIT(OPT_GROUPS))
#define OPTS_EXTRAS (OPT_BIT(OPT_FIRST) | OPT_BIT(OPT_BIAS) | OPT_BIT(OPT_RELU))
#define OPTS_MANNER                                                            \
	(OPT_BIT(OPT_SCHEDULE) | OPT_BIT(OPT_OBJECTIVE) | OPT_BIT(OPT_DECAY) | \
	 OPT_BIT(OPT_OPTIMIZER) | OPT_BIT(OPT_DTYPE) | OPT_BIT(OPT_ENERGY))

/**
 * struct command - something that igrad-sim does
 * @files: what its arguments are; NULL: it takes none
 * @optional: it can do without them
 * @options: OPT_BIT() of those it takes
 */
struct command {
	const char *name;
	command_fn *run;
	const char *files;
	bool optional;
	unsigned long long options;
};

/** settings_parse - exits with a message when the command line is wrong, or asked for help */
void settings_parse(struct settings *settings, const struct command *command, int argc,
		    char **argv);

/** window_set - an option of OPTS_WINDOW */
void window_set(struct igrad_conv_shape *window, int option, char *value);

/** window_check - exits unless @layer, of which these options were given, is one */
void window_check(struct layer *layer, unsigned long long given);

/** help - what igrad-sim can do */
extern const char help[];

#endif /* IGRAD_SIM_OPTIONS_H */
