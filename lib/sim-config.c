/* SPDX-License-Identifier: MIT */
/* The properties in a sim: URI. They have the names that the QEMU device gives them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define MIN_TIMEOUT_MS 10
#define MAX_TIMEOUT_MS 3600000

/* A property as it is written: numbers for all but one. */
enum property {
	ROWS,
	COLS,
	OVERLAP,
	SRAM_KIB,
	DRAM_WIDTH,
	DRAM_LATENCY,
	CLOCK_HZ,
	THREADS,
	HANG_TAG,
	TIMING_ONLY,
	JOB_TIMEOUT,
	NUM_PROPERTIES,
};

static const char *const names[NUM_PROPERTIES] = {
	[ROWS] = "rows",
	[COLS] = "cols",
	[OVERLAP] = "overlap",
	[SRAM_KIB] = "sram-kib",
	[DRAM_WIDTH] = "dram-bytes-per-cycle",
	[DRAM_LATENCY] = "dram-latency",
	[CLOCK_HZ] = "clock-hz",
	[THREADS] = "threads",
	[HANG_TAG] = "x-hang-tag",
	[TIMING_ONLY] = "timing-only",
	[JOB_TIMEOUT] = "job-timeout-ms",
};

static int parse_bool(const char *name, const char *value, bool *result, struct igrad_error *error)
{
	static const char *const words[] = {"off", "on", "no", "yes", "false", "true"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(value, words[i])) {
			*result = i % 2;
			return 0;
		}
	}
	return igrad_fail(error, -EINVAL, "sim: %s=%.40s is neither 'on' nor 'off'", name, value);
}

/* Ranges are igrad_config_check()'s business, but what does not fit its fields is refused here. */
static int parse_number(const char *name, const char *value, uint64_t max, uint64_t *result,
			struct igrad_error *error)
{
	char *end;

	errno = 0;
	*result = strtoull(value, &end, 0);
	if (value[0] < '0' || value[0] > '9' || *end)
		return igrad_fail(error, -EINVAL, "sim: %s=%.40s is not a number", name, value);
	if (errno || *result > max)
		return igrad_fail(error, -EINVAL,
				  "sim: %s=%.40s is too large (at most %" PRIu64 ")", name, value,
				  max);
	return 0;
}

static int set_number(struct sim_config *config, enum property property, const char *value,
		      struct igrad_error *error)
{
	uint64_t max = UINT32_MAX, number;
	int ret;

	if (property == CLOCK_HZ)
		max = UINT64_MAX;
	if (property == SRAM_KIB)
		max = UINT32_MAX >> 10;
	ret = parse_number(names[property], value, max, &number, error);
	if (ret)
		return ret;

	switch (property) {
	case ROWS:
		config->core.rows = number;
		break;
	case COLS:
		config->core.cols = number;
		break;
	case SRAM_KIB:
		config->core.sram_bytes = number << 10;
		break;
	case DRAM_WIDTH:
		config->core.dram_bytes_per_cycle = number;
		break;
	case DRAM_LATENCY:
		config->core.dram_latency = number;
		break;
	case CLOCK_HZ:
		config->core.clock_hz = number;
		break;
	case THREADS:
		config->core.threads = number;
		break;
	case HANG_TAG:
		config->core.hang_tag = number;
		break;
	default:
		config->job_timeout_ms = number;
		break;
	}
	return 0;
}

static int unknown_property(const char *name, struct igrad_error *error)
{
	char list[160] = "";

	for (int i = 0; i < NUM_PROPERTIES; i++) {
		strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
		strncat(list, names[i], sizeof(list) - strlen(list) - 1);
	}
	return igrad_fail(error, -EINVAL, "sim: no property '%.40s'; there are %s", name, list);
}

/* @given: a bit for each property that has been set */
static int set_property(struct sim_config *config, char *assignment, uint32_t *given,
			struct igrad_error *error)
{
	char *value = strchr(assignment, '=');

	if (!value)
		return igrad_fail(error, -EINVAL, "sim: '%.60s' is not of the form name=value",
				  assignment);
	*value++ = '\0';
	for (int i = 0; i < NUM_PROPERTIES; i++) {
		if (strcmp(assignment, names[i]))
			continue;
		if (*given & 1u << i)
			return igrad_fail(error, -EINVAL, "sim: %s is given twice", names[i]);
		*given |= 1u << i;
		if (i == OVERLAP)
			return parse_bool(names[i], value, &config->core.overlap, error);
		if (i == TIMING_ONLY)
			return parse_bool(names[i], value, &config->core.timing_only, error);
		return set_number(config, i, value, error);
	}
	return unknown_property(assignment, error);
}

static int check(const struct sim_config *config, struct igrad_error *error)
{
	char sentence[200];

	if (igrad_config_check(&config->core, sentence, sizeof(sentence)))
		return igrad_fail(error, -EINVAL, "sim: %s", sentence);
	if (config->job_timeout_ms < MIN_TIMEOUT_MS || config->job_timeout_ms > MAX_TIMEOUT_MS)
		return igrad_fail(error, -EINVAL,
				  "sim: job-timeout-ms=%" PRIu32 " is outside %d … %d",
				  config->job_timeout_ms, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS);
	return 0;
}

int sim_config_parse(const char *properties, struct sim_config *config, struct igrad_error *error)
{
	char *copy, *rest, *assignment;
	uint32_t given = 0;
	int ret = 0;

	igrad_config_default(&config->core);
	config->job_timeout_ms = 5000;
	rest = copy = strdup(properties);
	if (!copy)
		return igrad_fail(error, -ENOMEM, "sim: out of memory");
	while (*properties && !ret && (assignment = strsep(&rest, ",")))
		ret = set_property(config, assignment, &given, error);
	free(copy);
	return ret ? ret : check(config, error);
}

char *sim_config_uri(const struct sim_config *config)
{
	const struct igrad_config *core = &config->core;
	char hang[32] = "", *uri;
	int n;

	if (core->hang_tag)
		snprintf(hang, sizeof(hang), ",x-hang-tag=%" PRIu32, core->hang_tag);
	n = asprintf(&uri,
		     "sim:rows=%" PRIu32 ",cols=%" PRIu32 ",overlap=%s,sram-kib=%" PRIu32
		     ",dram-bytes-per-cycle=%" PRIu32 ",dram-latency=%" PRIu32 ",clock-hz=%" PRIu64
		     ",threads=%" PRIu32 ",job-timeout-ms=%" PRIu32 "%s%s",
		     core->rows, core->cols, core->overlap ? "on" : "off", core->sram_bytes >> 10,
		     core->dram_bytes_per_cycle, core->dram_latency, core->clock_hz, core->threads,
		     config->job_timeout_ms, core->timing_only ? ",timing-only=on" : "", hang);
	return n < 0 ? NULL : uri;
}
