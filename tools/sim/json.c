// SPDX-License-Identifier: MIT
/* igrad-sim's JSON. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

void json_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

void json_count(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void json_real(struct json_object *object, const char *key, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.10g", value);
	json_object_object_add(object, key, json_object_new_double_s(value, text));
}

static struct json_object *json_entry(const struct igrad_energy_table *table,
				      const struct igrad_device_info *info,
				      enum igrad_energy_part part)
{
	struct igrad_energy_entry entry = igrad_energy_entry(table, part, info);
	struct json_object *object = json_object_new_object();

	json_real(object, "value", entry.value);
	json_count(object, "bits", entry.bits);
	json_string(object, "source", entry.source);
	if (part == IGRAD_ENERGY_SRAM) {
		json_count(object, "kib", entry.sram_bytes >> 10);
		json_object_object_add(object, "scaled", json_object_new_boolean(entry.scaled));
	}
	return object;
}

struct json_object *json_table(const struct igrad_energy_table *table,
			       const struct igrad_device_info *info,
			       const struct igrad_energy *energy)
{
	struct json_object *object = json_object_new_object();
	struct json_object *entries = json_object_new_object();

	json_string(object, "name", igrad_energy_table_name(table));
	json_string(object, "unit", igrad_energy_table_unit(table));
	json_string(object, "about", igrad_energy_table_about(table));
	if (energy)
		json_real(object, "total", energy->total);
	json_object_object_add(object, "entries", entries);
	for (int part = 0; part < IGRAD_NUM_ENERGY_PARTS; part++) {
		struct json_object *entry = json_entry(table, info, part);

		if (energy)
			json_real(entry, "energy", energy->parts[part]);
		json_object_object_add(entries, igrad_energy_part_name(part), entry);
	}
	return object;
}

/* Words of 16 bits are apart from those of 32, and there only if there are any. */
static struct json_object *by_operand(const struct igrad_report *report)
{
	struct json_object *object = json_object_new_object();
	char name[32];

	for (int i = 0; i < IGRAD_NUM_ACCESSES; i++) {
		json_count(object, access_name(i), report->sram[0][i]);
		snprintf(name, sizeof(name), "%s_16", access_name(i));
		if (report->sram[1][i])
			json_count(object, name, report->sram[1][i]);
	}
	return object;
}

struct json_object *json_result(const struct simulator *sim, const struct result *result)
{
	const struct igrad_report *report = &result->report;
	struct json_object *object = json_object_new_object();

	json_string(object, "schedule", result_name(result));
	json_count(object, "cycles", report->cycles);
	json_real(object, "utilization", result->utilization);
	json_count(object, "macs", report->macs);
	json_count(object, "sram_reads", result_reads(result));
	json_count(object, "sram_writes", result_writes(result));
	json_object_object_add(object, "sram_by_operand", by_operand(report));
	json_count(object, "dram_read_bytes", report->dram_read_bytes);
	json_count(object, "dram_write_bytes", report->dram_write_bytes);
	if (strcmp(igrad_energy_table_unit(sim->table), "pJ"))
		json_object_object_add(object, "energy_pj", NULL); /* see energy_table */
	else
		json_real(object, "energy_pj", result->energy.total);
	json_object_object_add(object, "energy_table",
			       json_table(sim->table, simulator_info(sim), &result->energy));
	return object;
}

int json_print(struct json_object *object)
{
	if (!object)
		return -ENOMEM;
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
	return 0;
}
