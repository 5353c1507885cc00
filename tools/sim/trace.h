/* SPDX-License-Identifier: MIT */
/* Chrome trace events, as Perfetto and chrome://tracing open them. */
#ifndef IGRAD_SIM_TRACE_H
#define IGRAD_SIM_TRACE_H

#include "record.h"

struct trace;

/** trace_open - begin a file; NULL with @error filled */
struct trace *trace_open(const char *path, struct igrad_error *error);

/** trace_add - a process of the trace: what a pass, recorded alone, did on each engine */
int trace_add(struct trace *trace, const char *name, const struct record *record,
	      const struct simulator *sim);

/** trace_close - end it; a file that is not @whole or could not be written is removed */
int trace_close(struct trace *trace, bool whole, struct igrad_error *error);

#endif /* IGRAD_SIM_TRACE_H */
