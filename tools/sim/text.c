// SPDX-License-Identifier: MIT
/* igrad-sim's tables for people. */
#include <stdio.h>

#include "text.h"

void text_device(const struct simulator *sim)
{
	printf("device     %s\n", igrad_device_uri(sim->device));
}

static const struct result *find_interleaved(const struct result *results, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (!results[i].forward && results[i].schedule == IGRAD_SCHEDULE_INTERLEAVED)
			return &results[i];
	return NULL;
}

static void ratios(const struct result *r, const struct result *to)
{
	printf("   %6.2f %6.2f %6.2f %6.2f", (double)r->report.cycles / to->report.cycles,
	       (double)result_accesses(r) / result_accesses(to),
	       (double)result_dram(r) / result_dram(to), r->energy.total / to->energy.total);
}

void text_results(const struct simulator *sim, const struct result *results, unsigned int count)
{
	const struct result *to = count > 1 ? find_interleaved(results, count) : NULL;
	char energy[24];

	snprintf(energy, sizeof(energy), "energy, %.12s", igrad_energy_table_unit(sim->table));
	printf("%-12s %13s  util. %14s %14s %14s %14s%s\n", "schedule", "cycles", "SRAM reads",
	       "SRAM writes", "DRAM bytes", energy,
	       to ? "   over interleaved: cycles, SRAM, DRAM, energy" : "");
	for (unsigned int i = 0; i < count; i++) {
		const struct result *r = &results[i];

		printf("%-12s %13llu  %.3f %14llu %14llu %14llu %14.6g", result_name(r),
		       (unsigned long long)r->report.cycles, r->utilization,
		       (unsigned long long)result_reads(r), (unsigned long long)result_writes(r),
		       (unsigned long long)result_dram(r), r->energy.total);
		if (to)
			ratios(r, to);
		printf("\n");
	}
}

void text_table(const struct igrad_energy_table *table, const struct igrad_device_info *info)
{
	const char *unit = igrad_energy_table_unit(table);

	printf("energy     %s: %s\n", igrad_energy_table_name(table),
	       igrad_energy_table_about(table));
	for (int part = 0; part < IGRAD_NUM_ENERGY_PARTS; part++) {
		struct igrad_energy_entry entry = igrad_energy_entry(table, part, info);

		printf("  %-12s %8.6g %s, %u bits; %s", igrad_energy_part_name(part), entry.value,
		       unit, entry.bits, entry.source);
		if (part == IGRAD_ENERGY_SRAM)
			printf(" (for %u KiB: %s of %llu KiB%s)", info->sram_bytes >> 10,
			       entry.scaled ? "the largest," : "the smallest that holds it,",
			       (unsigned long long)entry.sram_bytes >> 10,
			       entry.scaled ? ", times the root of the ratio" : "");
		printf("\n");
	}
}
