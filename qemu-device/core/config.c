/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "igrad_core.h"

void igrad_config_default(struct igrad_config *config)
{
	*config = (struct igrad_config){
		.rows = 32,
		.cols = 32,
		.overlap = true,
		.sram_bytes = 4u << 20,
		.dram_bytes_per_cycle = 64,
		.dram_latency = 100,
		.clock_hz = 1000000000,
		.threads = 1,
	};
}

static int check_range(const char *name, uint64_t value, uint64_t min, uint64_t max, char *error,
		       size_t error_size)
{
	if (value >= min && value <= max)
		return 0;
	snprintf(error, error_size, "%s=%" PRIu64 ": must be between %" PRIu64 " and %" PRIu64,
		 name, value, min, max);
	return -EINVAL;
}

int igrad_config_check(const struct igrad_config *config, char *error, size_t error_size)
{
	const struct {
		const char *name;
		uint64_t value, min, max;
	} ranges[] = {
		{"rows", config->rows, 1, IGRAD_MAX_ROWS},
		{"cols", config->cols, 1, IGRAD_MAX_COLS},
		{"dram-bytes-per-cycle", config->dram_bytes_per_cycle, 1, 65536},
		{"dram-latency", config->dram_latency, 0, 1000000},
		{"clock-hz", config->clock_hz, 1, 1000000000000},
		{"threads", config->threads, 1, IGRAD_MAX_THREADS},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (check_range(ranges[i].name, ranges[i].value, ranges[i].min, ranges[i].max,
				error, error_size))
			return -EINVAL;
	}
	if (config->sram_bytes % 1024) {
		snprintf(error, error_size,
			 "SRAM of %" PRIu32 " bytes: must be a multiple of 1 KiB",
			 config->sram_bytes);
		return -EINVAL;
	}
	if (check_range("sram-kib", config->sram_bytes / 1024, IGRAD_MIN_SRAM / 1024,
			IGRAD_MAX_SRAM / 1024, error, error_size))
		return -EINVAL;
	return 0;
}

uint32_t igrad_config_features(const struct igrad_config *config)
{
	return IGRAD_FEATURE_BF16 | IGRAD_FEATURE_QUIET |
	       (config->overlap ? IGRAD_FEATURE_OVERLAP : 0);
}
