/* SPDX-License-Identifier: MIT */
/* How busy a device is over time. */
#ifndef IGRAD_SIM_TIMELINE_H
#define IGRAD_SIM_TIMELINE_H

#include "plot.h"
#include "record.h"

#define TIMELINE_BINS	256
#define TIMELINE_HEIGHT 220 /* pixels of one */

/**
 * struct timeline - shares of PEs at work and of engines' time, by bins of @width cycles
 * @macs: multiply-adds per PE and cycle
 * @busy: share of the cycles in which an engine works
 */
struct timeline {
	const char *name;
	double width;
	double macs[TIMELINE_BINS];
	double busy[IGRAD_NUM_ENGINES][TIMELINE_BINS];
};

/** timeline_make - of a pass that took @cycles */
void timeline_make(struct timeline *timeline, const char *name, const struct record *record,
		   const struct simulator *sim, double cycles);

/** timelines_draw - one below the other, on one scale of time */
int timelines_draw(const struct timeline *timelines, unsigned int count, const char *path,
		   const char *title, struct igrad_error *error);

#endif /* IGRAD_SIM_TIMELINE_H */
