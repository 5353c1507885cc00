/* SPDX-License-Identifier: MIT */
/*
 * Energy: what a job's report comes to by a table of energies per operation and access.
 *
 * A table is a JSON file; lib/energy/ has those that are built in, and says in README.md what may
 * stand in one. Nothing is measured here: counters of the report times entries of the table.
 */
#ifndef IGRAD_ENERGY_H
#define IGRAD_ENERGY_H

#include "igrad/igrad.h"

#ifdef __cplusplus
extern "C" {
#endif

/** enum igrad_energy_part - what energy goes into, and the entries of a table */
enum igrad_energy_part {
	IGRAD_ENERGY_MAC_FP32,	  /* a multiply-add of the array with fp32 operands */
	IGRAD_ENERGY_MAC_BF16,	  /* the same with bf16 operands, the sum fp32 */
	IGRAD_ENERGY_UPDATE,	  /* a rounding in a PE outside streams */
	IGRAD_ENERGY_VECTOR,	  /* an element that the vector unit processes */
	IGRAD_ENERGY_PE_REGISTER, /* a register of a PE read or written */
	IGRAD_ENERGY_PE_HOP,	  /* a word from a PE to its neighbour */
	IGRAD_ENERGY_SRAM,	  /* an access of SRAM by the array or the vector unit */
	IGRAD_ENERGY_DRAM,	  /* an access of DRAM by DMA; its SRAM side is not counted */
	IGRAD_NUM_ENERGY_PARTS,
};

/** igrad_energy_part_name - "mac_fp32", …, "dram": as in the files */
const char *igrad_energy_part_name(enum igrad_energy_part part);

struct igrad_energy_table;

/**
 * igrad_energy_table_load - a table
 * @name: of one that is built in ("horowitz-45nm", "eyeriss-relative"), else a file's path;
 *        NULL: horowitz-45nm
 *
 * -EBADMSG for a bad file: @error names the line and what was expected there.
 */
int igrad_energy_table_load(const char *name, struct igrad_energy_table **table,
			    struct igrad_error *error);
struct igrad_energy_table *igrad_energy_table_ref(struct igrad_energy_table *table);
void igrad_energy_table_unref(struct igrad_energy_table *table);

/** igrad_energy_builtin - names of the tables that are built in, from 0; NULL behind the last */
const char *igrad_energy_builtin(size_t index);

/** the table's name, its unit ("pJ") and what it says of itself; owned by it */
const char *igrad_energy_table_name(const struct igrad_energy_table *table);
const char *igrad_energy_table_unit(const struct igrad_energy_table *table);
const char *igrad_energy_table_about(const struct igrad_energy_table *table);

/**
 * struct igrad_energy_entry - what one operation or access takes on a device
 * @value: in the table's unit
 * @bits: width of an access; words of another width count in proportion. For operations: what they
 *        work on
 * @source: where the value is from; owned by the table
 * @sram_bytes: IGRAD_ENERGY_SRAM: size of the memory that the table has the value for; else 0
 * @scaled: the device's SRAM is larger than any in the table: @value is that of the largest times
 *          the square root of the ratio of sizes, for wires grow with a memory's side
 */
struct igrad_energy_entry {
	double value;
	uint32_t bits;
	const char *source;
	uint64_t sram_bytes;
	bool scaled;
};

/** igrad_energy_entry - as used for @info; SRAM: the smallest memory that holds the device's */
struct igrad_energy_entry igrad_energy_entry(const struct igrad_energy_table *table,
					     enum igrad_energy_part part,
					     const struct igrad_device_info *info);

/**
 * struct igrad_energy - the energy of a job, in the table's unit
 * @total: sum of @parts
 */
struct igrad_energy {
	double total;
	double parts[IGRAD_NUM_ENERGY_PARTS];
};

/** igrad_energy - of the job of @report on the device of @info */
void igrad_energy(const struct igrad_energy_table *table, const struct igrad_report *report,
		  const struct igrad_device_info *info, struct igrad_energy *energy);

#ifdef __cplusplus
}
#endif

#endif /* IGRAD_ENERGY_H */
