// SPDX-License-Identifier: MIT
/* What a device did when. */
#include <errno.h>
#include <stdlib.h>

#include "record.h"

static void on_event(void *opaque, const struct igrad_trace_event *event)
{
	struct record *record = opaque;

	if (record->count == record->room) {
		size_t room = record->room ? 2 * record->room : 1024;
		struct event *events = realloc(record->events, room * sizeof(*events));

		if (!events) {
			record->lost = true;
			return;
		}
		record->events = events;
		record->room = room;
	}
	record->events[record->count++] = (struct event){
		.job = event->job,
		.start = event->start,
		.end = event->end,
		.completed = event->completed,
		.engine = event->engine,
		.cmd = *event->cmd,
	};
}

int record_start(struct record *record, struct simulator *sim, struct igrad_error *error)
{
	int err;

	*record = (struct record){0};
	err = igrad_device_trace(sim->device, on_event, record);
	return err ? fail(error, err, "this device cannot be traced: %s", igrad_strerror(err)) : 0;
}

int record_stop(struct record *record, struct simulator *sim, struct igrad_error *error)
{
	igrad_device_trace(sim->device, NULL, NULL);
	if (!record->lost)
		return 0;
	return fail(error, -ENOMEM, "out of memory for a trace of more than %zu commands",
		    record->count);
}

void record_fini(struct record *record)
{
	free(record->events);
	*record = (struct record){0};
}
