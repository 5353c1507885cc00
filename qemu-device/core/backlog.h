/* SPDX-License-Identifier: MIT */
/*
 * Commands of the array that have been checked and accounted for, but not computed yet: host
 * threads compute them strip by strip. A strip is some rows of PEs, or some columns, for which the
 * commands of a backlog are independent of all other PEs: no thread waits for another one between
 * commands. Whoever wants to see what the commands did closes the backlog first, or makes sure that
 * it does not touch the same SRAM.
 */
#ifndef IGRAD_BACKLOG_H
#define IGRAD_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

struct igrad_areas;
struct igrad_backlog;
struct igrad_cmd;
struct igrad_core;

/* Rows, or columns, of PEs: @begin … @end - 1. */
struct igrad_strip {
	bool by_rows;
	uint32_t begin;
	uint32_t end;
	uint32_t turned; /* columns for which the transposed copy of these rows' w is right */
};

/** igrad_backlog_new - for @core, whose configuration and pool exist; NULL without memory */
struct igrad_backlog *igrad_backlog_new(struct igrad_core *core);
void igrad_backlog_free(struct igrad_backlog *backlog);

/**
 * igrad_backlog_put - have @cmd, which has been checked, computed when there is time
 *
 * Returns false if that is not possible, or not worth it.
 */
bool igrad_backlog_put(struct igrad_backlog *backlog, const struct igrad_cmd *cmd);

/** igrad_backlog_clear - wait until nothing is left that touches one of @areas */
void igrad_backlog_clear(struct igrad_backlog *backlog, const struct igrad_areas *areas);

/** igrad_backlog_close - wait until all is computed; the pool is free for others then */
void igrad_backlog_close(struct igrad_backlog *backlog);

#endif /* IGRAD_BACKLOG_H */
