// SPDX-License-Identifier: MIT
/* The schedules' names. */
#include <errno.h>
#include <string.h>

#include "igrad/igrad.h"

static const char *const names[IGRAD_NUM_SCHEDULES] = {
	[IGRAD_SCHEDULE_WS_PAPER] = "ws-paper",
	[IGRAD_SCHEDULE_WS] = "ws",
	[IGRAD_SCHEDULE_WS_OS] = "ws+os",
	[IGRAD_SCHEDULE_INTERLEAVED] = "interleaved",
	[IGRAD_SCHEDULE_AUTO] = "auto",
};

const char *igrad_schedule_name(enum igrad_schedule schedule)
{
	return (unsigned int)schedule < IGRAD_NUM_SCHEDULES ? names[schedule] : "unknown";
}

int igrad_schedule_parse(const char *name, enum igrad_schedule *schedule)
{
	for (int i = 0; i < IGRAD_NUM_SCHEDULES; i++) {
		if (!strcmp(name, names[i])) {
			*schedule = i;
			return 0;
		}
	}
	return -EINVAL;
}
