/* SPDX-License-Identifier: MIT */
/* Energy tables: those that are built in, what a report comes to, and damaged files. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "files.h"
#include "igrad/energy.h"

static char path[] = "/tmp/igrad-energy-XXXXXX";
static const struct igrad_device_info small = {.sram_bytes = 32 << 10};

static int setup(void **context)
{
	int fd = mkstemp(path);

	(void)context;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **context)
{
	(void)context;
	return unlink(path);
}

static void put(const char *text, size_t size)
{
	file_put(path, text, size);
}

static struct igrad_energy_table *load(const char *name)
{
	struct igrad_energy_table *table = NULL;
	struct igrad_error error = {""};

	if (igrad_energy_table_load(name, &table, &error))
		fail_msg("%s: %s", name, error.message);
	return table;
}

/* ---------------------------------------------------------------- good tables */

static void default_is_horowitz(void **context)
{
	struct igrad_energy_table *table = load(NULL);

	(void)context;
	assert_string_equal(igrad_energy_table_name(table), "horowitz-45nm");
	assert_string_equal(igrad_energy_table_unit(table), "pJ");
	assert_non_null(strstr(igrad_energy_table_about(table), "ISSCC 2014"));
	igrad_energy_table_unref(igrad_energy_table_ref(table));
	igrad_energy_table_unref(table);
	igrad_energy_table_unref(NULL);
}

static void builtins_are_the_files(void **context)
{
	const char *name;
	size_t n;

	(void)context;
	for (n = 0; (name = igrad_energy_builtin(n)); n++) {
		struct igrad_energy_table *builtin = load(name), *file;
		char file_name[64];

		snprintf(file_name, sizeof(file_name), "lib/energy/%s.json", name);
		file = load(file_name);
		assert_string_equal(igrad_energy_table_name(builtin), name);
		assert_string_equal(igrad_energy_table_name(file), name);
		for (int part = 0; part < IGRAD_NUM_ENERGY_PARTS; part++) {
			struct igrad_energy_entry a = igrad_energy_entry(builtin, part, &small);
			struct igrad_energy_entry b = igrad_energy_entry(file, part, &small);

			assert_true(a.value > 0 && a.value == b.value);
			assert_true(a.bits > 0 && a.bits == b.bits);
			assert_string_equal(a.source, b.source);
		}
		igrad_energy_table_unref(builtin);
		igrad_energy_table_unref(file);
	}
	assert_int_equal(n, 2);
	assert_null(igrad_energy_builtin(n));
}

static void sram_is_the_smallest_that_holds_the_device(void **context)
{
	static const struct {
		uint32_t kib, found;
		double value;
		bool scaled;
	} cases[] = {
		{1, 8, 10, false},	 {8, 8, 10, false},	 {9, 32, 20, false},
		{32, 32, 20, false},	 {33, 1024, 100, false}, {1024, 1024, 100, false},
		{4096, 1024, 200, true},
	};
	struct igrad_energy_table *table = load("horowitz-45nm");

	(void)context;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct igrad_device_info info = {.sram_bytes = cases[i].kib << 10};
		struct igrad_energy_entry entry = igrad_energy_entry(table, IGRAD_ENERGY_SRAM,
								     &info);

		assert_int_equal(entry.sram_bytes, cases[i].found << 10);
		assert_true(fabs(entry.value - cases[i].value) < 1e-9);
		assert_int_equal(entry.scaled, cases[i].scaled);
		assert_int_equal(entry.bits, 64);
	}
	igrad_energy_table_unref(table);
}

/* Each counter alone, in numbers worked out by hand from the table's values. */
static void report_times_table(void **context)
{
	struct igrad_energy_table *table = load("horowitz-45nm");
	const struct igrad_report report = {
		.macs = 1000,
		.macs_bf16 = 300,
		.update_ops = 50,
		.vector_ops = 20,
		.pe_registers = {10, 4},
		.pe_hops = {6, 2},
		.sram = {{[IGRAD_ACCESS_X_READ] = 5, [IGRAD_ACCESS_VECTOR_WRITE] = 3},
			 {[IGRAD_ACCESS_G_READ] = 4}},
		.dram_read_bytes = 64,
		.dram_write_bytes = 16,
	};
	const double parts[IGRAD_NUM_ENERGY_PARTS] = {
		700 * 4.6, 300 * 2.0, 50 * 4.6,	      20 * 4.6,
		12 * 1.0,  7 * 2.0,   (4 + 1) * 20.0, 10 * 1950.0,
	};
	struct igrad_energy energy;
	double total = 0;

	(void)context;
	igrad_energy(table, &report, &small, &energy);
	for (int part = 0; part < IGRAD_NUM_ENERGY_PARTS; part++) {
		assert_true(fabs(energy.parts[part] - parts[part]) < 1e-6);
		total += parts[part];
	}
	assert_true(fabs(energy.total - total) < 1e-6);
	igrad_energy_table_unref(table);

	table = load("eyeriss-relative");
	igrad_energy(table, &report, &small, &energy);
	assert_string_equal(igrad_energy_table_unit(table), "MAC");
	assert_true(fabs(energy.parts[IGRAD_ENERGY_DRAM] - 40 * 200) < 1e-6);
	assert_true(fabs(energy.parts[IGRAD_ENERGY_PE_HOP] - 14 * 2) < 1e-6);
	igrad_energy_table_unref(table);
}

static void parts_have_names(void **context)
{
	(void)context;
	assert_string_equal(igrad_energy_part_name(IGRAD_ENERGY_MAC_BF16), "mac_bf16");
	assert_string_equal(igrad_energy_part_name(IGRAD_ENERGY_DRAM), "dram");
	assert_string_equal(igrad_energy_part_name(IGRAD_NUM_ENERGY_PARTS), "unknown");
}

/* ---------------------------------------------------------------- bad ones */

#define ENTRY	 "{\"value\": 1, \"bits\": 32, \"source\": \"s\"}"
#define HEAD	 "{\n\"name\": \"n\",\n\"unit\": \"u\",\n\"about\": \"a\",\n\"entries\": {\n"
#define OPS	 "\"mac_fp32\": " ENTRY ",\n\"mac_bf16\": " ENTRY ",\n"
#define UNITS	 "\"update\": " ENTRY ",\n\"vector\": " ENTRY ",\n"
#define PES	 "\"pe_register\": " ENTRY ",\n\"pe_hop\": " ENTRY ",\n"
#define RAM(kib) "{\"kib\": " kib ", \"value\": 1, \"bits\": 64, \"source\": \"s\"}"
#define SRAM	 "\"sram\": [\n" RAM("8") ",\n" RAM("32") "],\n"
#define DRAM	 "\"dram\": " ENTRY "\n"
#define TAIL	 "}}\n"
#define GOOD	 HEAD OPS UNITS PES SRAM DRAM TAIL
#define DRAM_(e) HEAD OPS UNITS PES SRAM "\"dram\":\n" e "\n" TAIL
#define SRAM_(e) HEAD OPS UNITS PES "\"sram\": " e ",\n" DRAM TAIL

static void small_table_is_good(void **context)
{
	struct igrad_energy_table *table;

	(void)context;
	put(GOOD, strlen(GOOD));
	table = load(path);
	assert_string_equal(igrad_energy_table_name(table), "n");
	igrad_energy_table_unref(table);
	/* What quotes and brackets inside of strings do to lines. */
	put(DRAM_("{\"bits\": 8,\n\"source\": \"\\\" } ] { [\",\n\"value\": 3}"),
	    strlen(DRAM_("{\"bits\": 8,\n\"source\": \"\\\" } ] { [\",\n\"value\": 3}")));
	table = load(path);
	assert_string_equal(igrad_energy_entry(table, IGRAD_ENERGY_DRAM, &small).source,
			    "\" } ] { [");
	igrad_energy_table_unref(table);
}

static const struct {
	const char *text;
	unsigned int line;
	const char *expected;
} damaged[] = {
	{"", 1, "more JSON was expected"},
	{"\n\n", 3, "more JSON was expected"},
	{"\n{", 2, "more JSON was expected"},
	{"{\n\"name\": nothing}", 2, "JSON was expected"},
	{"{\n\"name\": \"x\",\n}", 3, "JSON was expected"},
	{"{\n'name': \"x\"}", 2, "'name' is not known here"},
	{"7", 1, "an energy table must be here"},
	{"\n[]", 2, "an energy table must be here"},
	{"null", 1, "an energy table must be here"},
	{"{}", 1, "\"name\" must be here, with a text"},
	{GOOD "x", 17, "JSON was expected"},
	{"{\n\"name\": 7}", 2, "\"name\" must be here, with a text"},
	{"{\n\"name\": \"\"}", 2, "\"name\" must be here, with a text"},
	{"{\n\"name\": \"n\",\n\"colour\": \"blue\"}", 3,
	 "\"colour\" is not known here; expected: name, unit, about, entries"},
	{"{\n\"name\": \"n\",\n\"name\": \"blue\"}", 3, "\"name\" is here twice"},
	{"{\"name\": \"n\",\n\"about\": \"a\",\n\"entries\": {}}", 1, "\"unit\" must be here"},
	{"{\"name\": \"n\",\n\"unit\": \"a\",\n\"entries\": {}}", 1, "\"about\" must be here"},
	{"{\"name\": \"n\",\n\"unit\": \"a\",\n\"about\": \"a\"}", 1, "\"entries\" must be here"},
	{"{\"name\": \"n\",\n\"unit\": \"a\",\n\"about\": \"a\",\n\"entries\": []}", 4,
	 "\"entries\" must be here: an object with mac_fp32"},
	{HEAD TAIL, 5, "\"mac_fp32\" must be here"},
	{HEAD OPS UNITS SRAM DRAM TAIL, 5, "\"pe_register\" must be here: an object"},
	{HEAD OPS UNITS PES DRAM TAIL, 5, "\"sram\" must be here: an array"},
	{HEAD OPS UNITS PES SRAM "\"flash\": 1}}", 15, "\"flash\" is not known here"},
	{HEAD OPS UNITS PES SRAM "\"mac_fp32\": 1}}", 15, "\"mac_fp32\" is here twice"},
	{DRAM_("7"), 16, "\"dram\" must be here: an object with value, bits, source"},
	{DRAM_("{\"bits\": 64, \"source\": \"s\"}"), 16, "\"value\" must be here"},
	{DRAM_("{\n\"value\": \"7\", \"bits\": 64, \"source\": \"s\"}"), 17, "\"value\" must"},
	{DRAM_("{\n\"value\": -1, \"bits\": 64, \"source\": \"s\"}"), 17, "from 0 to 1e12"},
	{DRAM_("{\n\"value\": 1e99, \"bits\": 64, \"source\": \"s\"}"), 17, "from 0 to 1e12"},
	{DRAM_("{\n\"value\": NaN, \"bits\": 64, \"source\": \"s\"}"), 17, "from 0 to 1e12"},
	{DRAM_("{\"value\": 1,\n\"bits\": 0, \"source\": \"s\"}"), 17, "\"bits\" must be here"},
	{DRAM_("{\"value\": 1,\n\"bits\": 6.5, \"source\": \"s\"}"), 17, "a whole number from 1"},
	{DRAM_("{\"value\": 1,\n\"bits\": 99999, \"source\": \"s\"}"), 17, "from 1 to 4096"},
	{DRAM_("{\"value\": 1, \"bits\": 64}"), 16, "\"source\" must be here"},
	{DRAM_("{\"value\": 1, \"bits\": 64,\n\"source\": []}"), 17, "\"source\" must be here"},
	{DRAM_("{\"value\": 1,\n\"kib\": 64}"), 17, "\"kib\" is not known here"},
	{SRAM_("7"), 12, "\"sram\" must be here: an array of 1 to 16"},
	{SRAM_("[]"), 12, "\"sram\" must be here: an array of 1 to 16"},
	{SRAM_("[" RAM("8") ",\n 5]"), 13, "an element of \"sram\" must be here"},
	{SRAM_("[" RAM("8") ",\n" RAM("0") "]"), 13, "\"kib\" must be here"},
	{SRAM_("[" RAM("8") ",\n" RAM("\"x\"") "]"), 13, "\"kib\" must be here"},
	{SRAM_("[" RAM("8") ",\n" RAM("8") "]"), 13, "must be larger than that"},
	{SRAM_("[" RAM("32") ",\n" RAM("8") "]"), 13, "must be larger than that"},
	{SRAM_("[[[[[[[[[[[1]]]]]]]]]]]"), 12, "JSON was expected"},
};

static void damaged_files_are_explained(void **context)
{
	(void)context;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		struct igrad_energy_table *table = NULL;
		struct igrad_error error = {""};
		char place[64];

		put(damaged[i].text, strlen(damaged[i].text));
		assert_int_equal(igrad_energy_table_load(path, &table, &error), -EBADMSG);
		assert_null(table);
		snprintf(place, sizeof(place), "%s:%u: ", path, damaged[i].line);
		if (strncmp(error.message, place, strlen(place)) ||
		    !strstr(error.message, damaged[i].expected))
			fail_msg("case %zu: '%s', not '%s...%s'\n%s", i, error.message, place,
				 damaged[i].expected, damaged[i].text);
		assert_int_equal(igrad_energy_table_load(path, &table, NULL), -EBADMSG);
	}
}

/* A good table cut short anywhere is a bad one, and never more than that. */
static void cut_files_are_refused(void **context)
{
	struct igrad_energy_table *table;

	(void)context;
	for (size_t length = 0; length < strlen(GOOD) - 1; length++) {
		put(GOOD, length);
		assert_int_equal(igrad_energy_table_load(path, &table, NULL), -EBADMSG);
	}
}

static void other_files_are_refused(void **context)
{
	struct igrad_energy_table *table;
	struct igrad_error error = {""};
	static char large[70000];

	(void)context;
	put("{\0}", 3);
	assert_int_equal(igrad_energy_table_load(path, &table, &error), -EBADMSG);
	assert_non_null(strstr(error.message, "binary"));
	memset(large, ' ', sizeof(large));
	put(large, sizeof(large));
	assert_int_equal(igrad_energy_table_load(path, &table, &error), -EBADMSG);
	assert_non_null(strstr(error.message, "longer than"));
	assert_int_equal(igrad_energy_table_load("/nowhere/x", &table, &error), -ENOENT);
	assert_non_null(strstr(error.message, "/nowhere/x"));
	assert_true(igrad_energy_table_load("/", &table, &error) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_is_horowitz),
		cmocka_unit_test(builtins_are_the_files),
		cmocka_unit_test(sram_is_the_smallest_that_holds_the_device),
		cmocka_unit_test(report_times_table),
		cmocka_unit_test(parts_have_names),
		cmocka_unit_test(small_table_is_good),
		cmocka_unit_test(damaged_files_are_explained),
		cmocka_unit_test(cut_files_are_refused),
		cmocka_unit_test(other_files_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("energy tables", tests, setup, teardown);
}
