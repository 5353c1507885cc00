// SPDX-License-Identifier: MIT
/*
 * Chrome trace events: a process for each pass, a lane for each engine, and further ones where an
 * array with shadow registers executes several commands at a time.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tiles.h"
#include "trace.h"

struct trace {
	FILE *file;
	char *path;
	unsigned int processes;
	bool comma;
};

static const char *const engines[IGRAD_NUM_ENGINES] = {
	[IGRAD_ENGINE_LOAD] = "load",
	[IGRAD_ENGINE_STORE] = "store",
	[IGRAD_ENGINE_ARRAY] = "array",
	[IGRAD_ENGINE_VECTOR] = "vector",
};

struct trace *trace_open(const char *path, struct igrad_error *error)
{
	struct trace *trace = calloc(1, sizeof(*trace));

	if (trace)
		trace->path = strdup(path);
	if (trace && trace->path)
		trace->file = fopen(path, "we");
	if (trace && trace->file) {
		fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", trace->file);
		return trace;
	}
	fail(error, -errno, "%.160s: cannot be written: %s", path, strerror(errno));
	if (trace)
		free(trace->path);
	free(trace);
	return NULL;
}

static void begin(struct trace *trace)
{
	fputs(trace->comma ? ",\n" : "\n", trace->file);
	trace->comma = true;
}

/* ---------------------------------------------------------------- lanes */

/*
 * Viewers drop what overlaps in a lane without being nested, so there are as many lanes as an
 * engine has commands at a time: many, where tiles stream for fewer cycles than wavefronts take to
 * pass.
 */
struct lanes {
	uint64_t *free_at[IGRAD_NUM_ENGINES]; /* when each lane is free again */
	unsigned int used[IGRAD_NUM_ENGINES];
};

/* Lanes of an engine follow each other in the numbers that threads are sorted by. */
static unsigned int lane_id(enum igrad_engine engine, unsigned int lane)
{
	return 1 + lane * IGRAD_NUM_ENGINES + engine;
}

static int take_lane(struct lanes *lanes, const struct event *event, unsigned int *lane)
{
	uint64_t *free_at = lanes->free_at[event->engine];
	const unsigned int used = lanes->used[event->engine];

	*lane = 0;
	while (*lane < used && free_at[*lane] > event->start)
		++*lane;
	if (*lane == used) {
		free_at = realloc(free_at, (used + 1) * sizeof(*free_at));
		if (!free_at)
			return -ENOMEM;
		lanes->free_at[event->engine] = free_at;
		lanes->used[event->engine]++;
	}
	free_at[*lane] = event->end;
	return 0;
}

static void name_lane(struct trace *trace, enum igrad_engine engine, unsigned int lane,
		      unsigned int place)
{
	const unsigned int tid = lane_id(engine, lane);
	char more[16] = "";

	if (lane)
		snprintf(more, sizeof(more), " %u", lane + 1);
	begin(trace);
	fprintf(trace->file,
		"{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":%u,\"args\":{\"name\":\"%s%s\"}}",
		trace->processes, tid, engines[engine], more);
	begin(trace);
	fprintf(trace->file,
		"{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":%u,\"tid\":%u,\"args\":{\"sort_index\":%u}}",
		trace->processes, tid, place);
}

static void name_lanes(struct trace *trace, const struct lanes *lanes)
{
	unsigned int place = 0;

	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		for (unsigned int l = 0; l < lanes->used[e] || !l; l++)
			name_lane(trace, (enum igrad_engine)e, l, ++place);
	}
}

static void free_lanes(struct lanes *lanes)
{
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++)
		free(lanes->free_at[e]);
}

/* ---------------------------------------------------------------- events */

/* Rows of the batch, position in a kernel, in- and out-features of the tile; -1: not known. */
struct coordinates {
	int64_t b, k, i, o;
};

static void learn(struct coordinates *at, const struct tile_operand *operand)
{
	const char *name = operand->matrix ? operand->matrix->name : "";

	if (!strcmp(name, "w") || !strcmp(name, "vw")) {
		at->i = operand->row;
		at->o = operand->col;
		if (operand->matrix->period) {
			at->k = at->i / operand->matrix->period;
			at->i %= operand->matrix->period;
		}
	} else if (!strcmp(name, "x") || !strcmp(name, "dx")) {
		at->b = operand->row;
		at->i = operand->col;
	} else if (!strcmp(name, "y") || !strcmp(name, "dy")) {
		at->b = operand->row;
		at->o = operand->col;
	} else if (*name) {
		at->o = operand->col;
	}
}

/* What the command alone does not say is what the array did before: a tile stays in place. */
static struct coordinates coordinates(const struct event *event, const struct tile *tile,
				      const struct coordinates *before)
{
	struct coordinates at = {-1, -1, -1, -1};

	if (event->engine == IGRAD_ENGINE_ARRAY)
		at = *before;
	for (unsigned int i = 0; i < tile->num; i++)
		learn(&at, &tile->operands[i]);
	return at;
}

static void write_name(FILE *file, const struct event *event, const struct tile *tile,
		       const struct coordinates *at)
{
	fputs(opcode_name(event->cmd.opcode), file);
	if (event->engine < IGRAD_ENGINE_ARRAY && tile->operands[0].matrix)
		fprintf(file, " %s", tile->operands[0].matrix->name);
	if (at->k >= 0)
		fprintf(file, " k%" PRId64, at->k);
	if (at->i >= 0)
		fprintf(file, " i%" PRId64, at->i);
	if (at->o >= 0)
		fprintf(file, " o%" PRId64, at->o);
	if (at->b >= 0 && event->cmd.opcode != IGRAD_OP_LOAD_W)
		fprintf(file, " b%" PRId64, at->b);
}

/* Where streams walk over images: the registers, and where in them a stream begins. */
static void write_window(FILE *file, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_window *w = &cmd->u.window;
	uint32_t tap = le32toh(cmd->u.array.tap);

	if (cmd->opcode == IGRAD_OP_WINDOW)
		fprintf(file,
			"\"height\":%u,\"width\":%u,\"out_height\":%u,\"out_width\":%u,"
			"\"stride_y\":%u,\"stride_x\":%u",
			le16toh(w->height), le16toh(w->width), le16toh(w->out_height),
			le16toh(w->out_width), le16toh(w->stride_y), le16toh(w->stride_x));
	else if (le16toh(cmd->flags) & IGRAD_FLAG_WINDOW)
		fprintf(file, ",\"tap_y\":%d,\"tap_x\":%d,\"first\":%u", IGRAD_TAP_Y(tap),
			IGRAD_TAP_X(tap), le32toh(cmd->u.array.first));
}

static void write_size(FILE *file, const struct igrad_cmd *cmd, enum igrad_engine engine)
{
	if (engine == IGRAD_ENGINE_ARRAY) {
		if (cmd->opcode != IGRAD_OP_WINDOW)
			fprintf(file, "\"rows\":%u,\"cols\":%u,\"batch\":%u",
				le16toh(cmd->u.array.rows), le16toh(cmd->u.array.cols),
				le32toh(cmd->u.array.batch));
		write_window(file, cmd);
		return;
	}
	fprintf(file, "\"rows\":%u,\"cols\":%u",
		le32toh(engine == IGRAD_ENGINE_VECTOR ? cmd->u.vec.rows : cmd->u.dma.rows),
		le32toh(engine == IGRAD_ENGINE_VECTOR ? cmd->u.vec.cols : cmd->u.dma.cols));
}

/* Times are in microseconds of the device's clock, to the cycle. */
static void write_event(struct trace *trace, const struct event *event, size_t index,
			unsigned int lane, const struct tile *tile, const struct coordinates *at,
			double mhz)
{
	FILE *file = trace->file;

	begin(trace);
	fputs("{\"ph\":\"X\",\"name\":\"", file);
	write_name(file, event, tile, at);
	fprintf(file, "\",\"cat\":\"%s\",\"pid\":%u,\"tid\":%u,\"ts\":%.6f,\"dur\":%.6f,\"args\":{",
		engines[event->engine], trace->processes, lane_id(event->engine, lane),
		event->start / mhz, (event->end - event->start) / mhz);
	fprintf(file,
		"\"command\":%zu,\"cycle\":%" PRIu64 ",\"cycles\":%" PRIu64
		",\"completed\":%" PRIu64 ",",
		index, event->start, event->end - event->start, event->completed);
	write_size(file, &event->cmd, event->engine);
	for (unsigned int i = 0; i < tile->num; i++) {
		const struct tile_operand *operand = &tile->operands[i];

		if (operand->matrix)
			fprintf(file, ",\"%s\":\"%s[%u,%u]\"", operand->role, operand->matrix->name,
				operand->row, operand->col);
	}
	fputs("}}", file);
}

static int write_events(struct trace *trace, const struct record *record, const struct tile *tiles,
			struct lanes *lanes, double mhz)
{
	struct coordinates before = {-1, -1, -1, -1};

	for (size_t i = 0; i < record->count; i++) {
		const struct event *event = &record->events[i];
		struct coordinates at = coordinates(event, &tiles[i], &before);
		unsigned int lane;

		if (event->engine == IGRAD_ENGINE_ARRAY)
			before = at;
		if (event->cmd.opcode == IGRAD_OP_NOP)
			continue;
		if (take_lane(lanes, event, &lane))
			return -ENOMEM;
		write_event(trace, event, i, lane, &tiles[i], &at, mhz);
	}
	return 0;
}

int trace_add(struct trace *trace, const char *name, const struct record *record,
	      const struct simulator *sim)
{
	const double mhz = simulator_info(sim)->clock_hz / 1e6;
	struct tile *tiles = tiles_find(record, sim->placements);
	struct lanes lanes = {.used = {0}};
	int err;

	if (!tiles)
		return -ENOMEM;
	trace->processes++;
	begin(trace);
	fprintf(trace->file,
		"{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":\"%s\"}}",
		trace->processes, name);
	err = write_events(trace, record, tiles, &lanes, mhz);
	if (!err)
		name_lanes(trace, &lanes);
	free_lanes(&lanes);
	free(tiles);
	return err;
}

int trace_close(struct trace *trace, bool whole, struct igrad_error *error)
{
	int err = 0;

	fputs("\n]}\n", trace->file);
	if (ferror(trace->file))
		err = -EIO;
	if (fclose(trace->file))
		err = -EIO;
	if (err)
		fail(error, err, "%.160s: cannot be written: %s", trace->path, strerror(errno));
	if (err || !whole)
		discard(trace->path);
	free(trace->path);
	free(trace);
	return err;
}
