/* SPDX-License-Identifier: MIT */
/* What reading an energy table and computing with it share. Internal. */
#ifndef IGRAD_LIB_ENERGY_H
#define IGRAD_LIB_ENERGY_H

#include <stdatomic.h>

#include "igrad/energy.h"

#define ENERGY_MAX_SRAMS 16

/* An entry as the file has it; @sram_bytes as in struct igrad_energy_entry. */
struct energy_entry {
	double value;
	uint32_t bits;
	char *source;
	uint64_t sram_bytes;
};

/* @entries: all but SRAM; @srams: by increasing size, at least one */
struct igrad_energy_table {
	atomic_uint refs;
	char *name;
	char *unit;
	char *about;
	struct energy_entry entries[IGRAD_NUM_ENERGY_PARTS];
	struct energy_entry srams[ENERGY_MAX_SRAMS];
	size_t num_srams;
};

/* energy_builtin_text - of the table of that name, or NULL */
const char *energy_builtin_text(const char *name);

/* energy_parse - fill @table, which is zero, from a file's text; -EBADMSG or -ENOMEM leave it to be
 * freed. @path: for messages. */
int energy_parse(struct igrad_energy_table *table, const char *path, const char *text,
		 struct igrad_error *error);

#endif /* IGRAD_LIB_ENERGY_H */
