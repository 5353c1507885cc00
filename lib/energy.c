/* SPDX-License-Identifier: MIT */
/* Energy tables, and what a report comes to. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "energy.h"

#define MAX_FILE 65536

static const char *const part_names[IGRAD_NUM_ENERGY_PARTS] = {
	[IGRAD_ENERGY_MAC_FP32] = "mac_fp32",
	[IGRAD_ENERGY_MAC_BF16] = "mac_bf16",
	[IGRAD_ENERGY_UPDATE] = "update",
	[IGRAD_ENERGY_VECTOR] = "vector",
	[IGRAD_ENERGY_PE_REGISTER] = "pe_register",
	[IGRAD_ENERGY_PE_HOP] = "pe_hop",
	[IGRAD_ENERGY_SRAM] = "sram",
	[IGRAD_ENERGY_DRAM] = "dram",
};

const char *igrad_energy_part_name(enum igrad_energy_part part)
{
	return (unsigned int)part < IGRAD_NUM_ENERGY_PARTS ? part_names[part] : "unknown";
}

/* ---------------------------------------------------------------- tables */

/* A whole file as a string; it may hold no NUL. */
static int read_file(const char *path, char **text, struct igrad_error *error)
{
	FILE *file = fopen(path, "re");
	size_t length;
	int err = 0;

	if (!file)
		return igrad_fail(error, -errno, "energy table %.100s: %s", path, strerror(errno));
	*text = malloc(MAX_FILE + 1);
	if (!*text) {
		fclose(file);
		return igrad_fail(error, -ENOMEM, "out of memory");
	}
	length = fread(*text, 1, MAX_FILE + 1, file);
	if (ferror(file))
		err = igrad_fail(error, -EIO, "energy table %.100s: cannot be read: %s", path,
				 strerror(errno));
	else if (length > MAX_FILE)
		err = igrad_fail(error, -EBADMSG,
				 "%.100s: longer than the %d bytes of an energy table", path,
				 MAX_FILE);
	else if (memchr(*text, '\0', length))
		err = igrad_fail(error, -EBADMSG, "%.100s: JSON was expected, not binary data",
				 path);
	fclose(file);
	if (err)
		free(*text);
	else
		(*text)[length] = '\0';
	return err;
}

int igrad_energy_table_load(const char *name, struct igrad_energy_table **result,
			    struct igrad_error *error)
{
	struct igrad_energy_table *table;
	const char *builtin;
	char *text = NULL;
	int err;

	if (!name)
		name = igrad_energy_builtin(0);
	builtin = energy_builtin_text(name);
	err = builtin ? 0 : read_file(name, &text, error);
	if (err)
		return err;
	table = calloc(1, sizeof(*table));
	if (table) {
		atomic_init(&table->refs, 1);
		err = energy_parse(table, name, builtin ? builtin : text, error);
	} else {
		err = igrad_fail(error, -ENOMEM, "out of memory");
	}
	free(text);
	if (err)
		igrad_energy_table_unref(table);
	else
		*result = table;
	return err;
}

struct igrad_energy_table *igrad_energy_table_ref(struct igrad_energy_table *table)
{
	atomic_fetch_add(&table->refs, 1);
	return table;
}

void igrad_energy_table_unref(struct igrad_energy_table *table)
{
	if (!table || atomic_fetch_sub(&table->refs, 1) > 1)
		return;
	for (int part = 0; part < IGRAD_NUM_ENERGY_PARTS; part++)
		free(table->entries[part].source);
	for (size_t i = 0; i < table->num_srams; i++)
		free(table->srams[i].source);
	free(table->name);
	free(table->unit);
	free(table->about);
	free(table);
}

const char *igrad_energy_table_name(const struct igrad_energy_table *table)
{
	return table->name;
}

const char *igrad_energy_table_unit(const struct igrad_energy_table *table)
{
	return table->unit;
}

const char *igrad_energy_table_about(const struct igrad_energy_table *table)
{
	return table->about;
}

/* ---------------------------------------------------------------- computing */

struct igrad_energy_entry igrad_energy_entry(const struct igrad_energy_table *table,
					     enum igrad_energy_part part,
					     const struct igrad_device_info *info)
{
	const struct energy_entry *entry = &table->entries[part];
	struct igrad_energy_entry result = {0};

	if (part == IGRAD_ENERGY_SRAM) {
		size_t i = 0;

		while (i + 1 < table->num_srams && table->srams[i].sram_bytes < info->sram_bytes)
			i++;
		entry = &table->srams[i];
		result.scaled = entry->sram_bytes < info->sram_bytes;
		result.sram_bytes = entry->sram_bytes;
	}
	result.value = entry->value;
	if (result.scaled)
		result.value *= sqrt((double)info->sram_bytes / entry->sram_bytes);
	result.bits = entry->bits;
	result.source = entry->source;
	return result;
}

static double access_bits(const uint64_t words[2])
{
	return 32.0 * words[0] + 16.0 * words[1];
}

/* Operations, or bits that were moved. */
static double amount(const struct igrad_report *report, enum igrad_energy_part part)
{
	uint64_t words[2] = {0};

	switch (part) {
	case IGRAD_ENERGY_MAC_FP32:
		return report->macs - report->macs_bf16;
	case IGRAD_ENERGY_MAC_BF16:
		return report->macs_bf16;
	case IGRAD_ENERGY_UPDATE:
		return report->update_ops;
	case IGRAD_ENERGY_VECTOR:
		return report->vector_ops;
	case IGRAD_ENERGY_PE_REGISTER:
		return access_bits(report->pe_registers);
	case IGRAD_ENERGY_PE_HOP:
		return access_bits(report->pe_hops);
	case IGRAD_ENERGY_SRAM:
		for (int operand = 0; operand < IGRAD_NUM_ACCESSES; operand++)
			for (int width = 0; width < 2; width++)
				words[width] += report->sram[width][operand];
		return access_bits(words);
	case IGRAD_ENERGY_DRAM:
		return 8.0 * report->dram_read_bytes + 8.0 * report->dram_write_bytes;
	default:
		return 0;
	}
}

void igrad_energy(const struct igrad_energy_table *table, const struct igrad_report *report,
		  const struct igrad_device_info *info, struct igrad_energy *energy)
{
	energy->total = 0;
	for (int part = 0; part < IGRAD_NUM_ENERGY_PARTS; part++) {
		struct igrad_energy_entry entry = igrad_energy_entry(table, part, info);
		bool access = part >= IGRAD_ENERGY_PE_REGISTER;

		energy->parts[part] = amount(report, part) * entry.value /
				      (access ? entry.bits : 1);
		energy->total += energy->parts[part];
	}
}
