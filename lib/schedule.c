// SPDX-License-Identifier: MIT
/* Names of schedules and objectives. */
#include <errno.h>
#include <string.h>

#include "igrad/igrad.h"

static const char *const schedules[IGRAD_NUM_SCHEDULES] = {
	[IGRAD_SCHEDULE_WS_PAPER] = "ws-paper", [IGRAD_SCHEDULE_WS] = "ws",
	[IGRAD_SCHEDULE_WS_OS] = "ws+os",	[IGRAD_SCHEDULE_INTERLEAVED] = "interleaved",
	[IGRAD_SCHEDULE_AUTO] = "auto",
};

static const char *const objectives[IGRAD_NUM_OBJECTIVES] = {
	[IGRAD_OBJECTIVE_CYCLES] = "cycles",
	[IGRAD_OBJECTIVE_ENERGY] = "energy",
	[IGRAD_OBJECTIVE_DRAM] = "dram",
};

const char *igrad_schedule_name(enum igrad_schedule schedule)
{
	return (unsigned int)schedule < IGRAD_NUM_SCHEDULES ? schedules[schedule] : "unknown";
}

int igrad_schedule_parse(const char *name, enum igrad_schedule *schedule)
{
	for (int i = 0; i < IGRAD_NUM_SCHEDULES; i++) {
		if (!strcmp(name, schedules[i])) {
			*schedule = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *igrad_objective_name(enum igrad_objective objective)
{
	return (unsigned int)objective < IGRAD_NUM_OBJECTIVES ? objectives[objective] : "unknown";
}

int igrad_objective_parse(const char *name, enum igrad_objective *objective)
{
	for (int i = 0; i < IGRAD_NUM_OBJECTIVES; i++) {
		if (!strcmp(name, objectives[i])) {
			*objective = i;
			return 0;
		}
	}
	return -EINVAL;
}
