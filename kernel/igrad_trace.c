// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints.
 */

#include "igrad_device.h"

#define CREATE_TRACE_POINTS
#include "igrad_trace.h"
