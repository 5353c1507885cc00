/* SPDX-License-Identifier: MIT */
/* What processing elements take on a chip, and the arrays that take as much. */
#ifndef IGRAD_SIM_AREA_H
#define IGRAD_SIM_AREA_H

#include "igrad-sim.h"

enum area_part {
	AREA_MULTIPLY,
	AREA_ADD,
	AREA_REGISTER_BIT,
	AREA_MUX_BIT,
	NUM_AREA_PARTS,
};

/** struct area_table - square micrometres of each part, and where that is from */
struct area_table {
	char name[64];
	char about[256];
	double value[NUM_AREA_PARTS];
	char source[NUM_AREA_PARTS][256];
};

/** struct pe - what a processing element has beside a multiplier and an adder, in words of 32 bits
 */
struct pe {
	const char *name;
	unsigned int registers;
	unsigned int muxes; /* of two inputs */
};

/** area_load - @name: of a built-in table, or a file; NULL: the default */
int area_load(const char *name, struct area_table *table, struct igrad_error *error);

const char *area_part_name(enum area_part part);

/** pe_fixed - of an array that only has weights stationary; pe_configurable - that does all */
struct pe pe_fixed(bool overlap);
struct pe pe_configurable(bool overlap);

double pe_area(const struct area_table *table, const struct pe *pe);

/**
 * area_array - the largest array of @to that takes no more than @array of @from, of the same
 * proportions as far as whole numbers allow, and within what devices can have
 */
struct array_size area_array(const struct area_table *table, struct array_size array,
			     const struct pe *from, const struct pe *to);

#endif /* IGRAD_SIM_AREA_H */
