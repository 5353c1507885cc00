/* SPDX-License-Identifier: MIT */
/* SVG, drawn by gnuplot. */
#ifndef IGRAD_SIM_PLOT_H
#define IGRAD_SIM_PLOT_H

#include <stdio.h>
#include <sys/types.h>

#include "igrad-sim.h"

/** struct plot - a gnuplot that reads commands from @script and draws into a file */
struct plot {
	FILE *script;
	const char *path;
	pid_t pid;
};

/** plot_open - @width, @height: in pixels */
int plot_open(struct plot *plot, const char *path, unsigned int width, unsigned int height,
	      struct igrad_error *error);

/** plot_close - ends it and waits; a file that could not be drawn is removed */
int plot_close(struct plot *plot, struct igrad_error *error);

#endif /* IGRAD_SIM_PLOT_H */
