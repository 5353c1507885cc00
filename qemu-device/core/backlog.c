/* SPDX-License-Identifier: MIT */
#include "backlog.h"

#include <sched.h>
#include <stdlib.h>

#include "fpmode.h"
#include "internal.h"
#include "strided.h"

#define ROOM	    64u /* commands; a power of two */
#define GRAIN	    16u /* rows or columns of a strip are a multiple of this */
#define STRIPS	    2u	/* for a thread: more of them even out what threads do beside */
#define MOST_STRIPS 64u
#define AT_ONCE	    4u	  /* commands that a thread computes before it looks around */
#define LOOKS	    4000u /* for something to do, before a worker leaves */

/* So many multiply-adds may be late: what has retired must not be far ahead of what is done. */
#define LATE_MACS (1u << 26)

/* Where commands touch SRAM, by how they do. */
enum role { X, G, PSUM, W, ACC, NUM_ROLES };

struct touch {
	enum role role;
	bool written;
	uint64_t addr;
	uint64_t pitch;
	uint64_t bytes; /* of a row */
	uint64_t end;	/* behind the last row */
};

/* All that commands of the backlog touched in a role: @base and @pitch are of the first of them. */
struct extent {
	bool used;
	bool written;
	bool irregular;	     /* something does not lie as strips want it */
	uint32_t last_touch; /* commands until then */
	uint32_t last_write;
	uint64_t begin;
	uint64_t end;
	uint64_t base;
	uint64_t pitch;
};

/*
 * A strip, and how many commands have been done for it. Whoever holds it computes. It is at home
 * with one thread, so that caches keep what it works on; others help out, but not where the caller
 * waits.
 */
struct strip {
	_Alignas(64) _Atomic uint32_t done;
	_Atomic bool held;
	_Atomic bool wanted;
	struct igrad_strip strip;
};

struct igrad_backlog {
	struct igrad_core *core;
	unsigned int threads;
	bool open; /* workers have been called */
	bool by_rows;
	uint64_t macs;	  /* since there was nothing left to do */
	uint32_t reached; /* commands that are known to have been done, for all strips */
	struct extent extent[NUM_ROLES];

	_Alignas(64) _Atomic uint32_t count; /* commands so far */
	_Atomic bool closing;
	struct igrad_cmd cmd[ROOM];
	unsigned int num_strips;
	struct strip strip[MOST_STRIPS];
};

struct igrad_backlog *igrad_backlog_new(struct igrad_core *core)
{
	struct igrad_backlog *backlog = aligned_alloc(64, sizeof(*backlog));

	if (!backlog)
		return NULL;
	memset(backlog, 0, sizeof(*backlog));
	backlog->core = core;
	backlog->threads = igrad_pool_threads(core->pool);
	backlog->by_rows = true;
	return backlog;
}

void igrad_backlog_free(struct igrad_backlog *backlog)
{
	free(backlog);
}

/* --------------------------------------------------------------------------------------------- */
/* Threads */
/* --------------------------------------------------------------------------------------------- */

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	sched_yield();
#endif
}

/* Commands among the first @count that a strip has not done: none or less if it is further. */
static int32_t left(struct strip *s, uint32_t count)
{
	return (int32_t)(count - atomic_load(&s->done));
}

/* The next commands of a strip, among the first @count, if there are any and nobody else is at it.
 */
static bool compute(struct igrad_backlog *backlog, struct strip *s, uint32_t count)
{
	uint32_t done;

	if (left(s, count) <= 0 || atomic_exchange(&s->held, true))
		return false;
	done = atomic_load(&s->done);
	for (unsigned int i = 0; i < AT_ONCE && (int32_t)(count - done) > 0; i++) {
		igrad_array_execute_strip(backlog->core, &backlog->cmd[done % ROOM], &s->strip);
		atomic_store_explicit(&s->done, ++done, memory_order_release);
	}
	atomic_store_explicit(&s->held, false, memory_order_release);
	return true;
}

/*
 * Of a strip that is at home with @thread, or of the one that is furthest behind. The caller, who
 * has other things to do, does no more than it waits for: @count.
 */
static bool do_something(struct igrad_backlog *backlog, unsigned int thread, uint32_t count)
{
	struct strip *slowest = NULL;
	int32_t most = 0;

	for (unsigned int i = thread; i < backlog->num_strips; i += backlog->threads) {
		struct strip *s = &backlog->strip[i];

		if (compute(backlog, s, count))
			return true;
		if (!thread)
			atomic_store(&s->wanted, left(s, count) > 0);
	}
	for (unsigned int i = 0; i < backlog->num_strips; i++) {
		struct strip *s = &backlog->strip[i];
		const int32_t behind = left(s, count);

		if (behind > most && !atomic_load(&s->held) && !atomic_load(&s->wanted)) {
			slowest = s;
			most = behind;
		}
	}
	return slowest && compute(backlog, slowest, count);
}

static void help(void *context, unsigned int part)
{
	struct igrad_backlog *backlog = context;

	for (unsigned int looks = 0; looks < LOOKS && !atomic_load(&backlog->closing); looks++) {
		if (do_something(backlog, part + 1, atomic_load(&backlog->count)))
			looks = 0;
		else
			relax();
	}
}

/* Have all strips done the first @count commands? */
static bool reached(struct igrad_backlog *backlog, uint32_t count)
{
	for (unsigned int i = 0; i < backlog->num_strips; i++) {
		if ((int32_t)(atomic_load(&backlog->strip[i].done) - count) < 0)
			return false;
	}
	return true;
}

/* (To look how far others are costs more than a command's timing: do it rarely.) */
static void catch_up(struct igrad_backlog *backlog, uint32_t count)
{
	if ((int32_t)(backlog->reached - count) >= 0)
		return;
	backlog->reached = count;
	for (unsigned int looks = 0; !reached(backlog, count); looks++) {
		if (do_something(backlog, 0, count))
			looks = 0;
		else if (looks < LOOKS)
			relax();
		else
			sched_yield();
	}
	for (unsigned int i = 0; i < backlog->num_strips; i++)
		atomic_store(&backlog->strip[i].wanted, false);
}

/* --------------------------------------------------------------------------------------------- */
/* Opening and closing */
/* --------------------------------------------------------------------------------------------- */

static void forget(struct igrad_backlog *backlog)
{
	memset(backlog->extent, 0, sizeof(backlog->extent));
	backlog->macs = 0;
}

static void finish(struct igrad_backlog *backlog)
{
	catch_up(backlog, atomic_load(&backlog->count));
	forget(backlog);
}

static uint32_t size_of(const struct igrad_backlog *backlog)
{
	const struct igrad_config *config = &backlog->core->config;

	return backlog->by_rows ? config->rows : config->cols;
}

static uint32_t strip_size(const struct igrad_backlog *backlog)
{
	const uint32_t most = backlog->threads * STRIPS < MOST_STRIPS ? backlog->threads * STRIPS
								      : MOST_STRIPS;
	const uint32_t size = (size_of(backlog) + most - 1) / most;

	return (size + GRAIN - 1) / GRAIN * GRAIN;
}

static void make_strips(struct igrad_backlog *backlog)
{
	const uint32_t whole = size_of(backlog), size = strip_size(backlog);

	backlog->num_strips = 0;
	backlog->reached = atomic_load(&backlog->count);
	for (uint32_t begin = 0; begin < whole; begin += size) {
		struct strip *s = &backlog->strip[backlog->num_strips++];

		atomic_store(&s->done, atomic_load(&backlog->count));
		atomic_store(&s->wanted, false);
		s->strip = (struct igrad_strip){
			.by_rows = backlog->by_rows,
			.begin = begin,
			.end = whole - begin < size ? whole : begin + size,
		};
	}
}

static bool splits(const struct igrad_backlog *backlog)
{
	return backlog->threads > 1 && strip_size(backlog) < size_of(backlog);
}

static void open_backlog(struct igrad_backlog *backlog)
{
	make_strips(backlog);
	forget(backlog);
	atomic_store(&backlog->closing, false);
	igrad_pool_begin(backlog->core->pool, backlog->threads - 1, help, backlog);
	backlog->open = true;
}

void igrad_backlog_close(struct igrad_backlog *backlog)
{
	igrad_fpmode callers;

	if (!backlog->open)
		return;
	callers = igrad_fpmode_enter();
	finish(backlog);
	atomic_store(&backlog->closing, true);
	igrad_pool_end(backlog->core->pool);
	backlog->open = false;
	igrad_array_weights_changed(&backlog->core->array);
	igrad_fpmode_leave(callers);
}

/* --------------------------------------------------------------------------------------------- */
/* What touches what */
/* --------------------------------------------------------------------------------------------- */

static struct touch touch(enum role role, bool written, uint64_t addr, uint64_t pitch,
			  uint64_t rows, uint64_t words)
{
	return (struct touch){role,  written,	addr,
			      pitch, words * 4, addr + (rows - 1) * pitch + words * 4};
}

static unsigned int touches_of(const struct igrad_cmd *cmd, struct touch t[3])
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	unsigned int n = 0;

	switch (cmd->opcode) {
	case IGRAD_OP_LOAD_W:
	case IGRAD_OP_DRAIN_W:
		t[n++] = touch(W, cmd->opcode == IGRAD_OP_DRAIN_W, a->p, a->p_pitch, a->rows,
			       a->cols);
		break;
	case IGRAD_OP_LOAD_ACC:
	case IGRAD_OP_DRAIN_ACC:
		t[n++] = touch(ACC, cmd->opcode == IGRAD_OP_DRAIN_ACC, a->p, a->p_pitch, a->rows,
			       a->cols);
		break;
	case IGRAD_OP_INTERLEAVED:
	case IGRAD_OP_DGRAD:
		t[n++] = touch(PSUM, true, a->p, a->p_pitch, a->batch, a->rows);
		break;
	case IGRAD_OP_FPROP:
		t[n++] = touch(PSUM, true, a->p, a->p_pitch, a->batch, a->cols);
		break;
	}
	if (cmd->opcode == IGRAD_OP_FPROP || cmd->opcode == IGRAD_OP_WGRAD ||
	    cmd->opcode == IGRAD_OP_INTERLEAVED)
		t[n++] = touch(X, false, a->x, a->x_pitch, a->batch, a->rows);
	if (cmd->opcode == IGRAD_OP_DGRAD || cmd->opcode == IGRAD_OP_WGRAD ||
	    cmd->opcode == IGRAD_OP_INTERLEAVED)
		t[n++] = touch(G, false, a->g, a->g_pitch, a->batch, a->cols);
	return n;
}

/*
 * Within one role, is each word always touched by the same strip? With one pitch for all, a word's
 * strip follows from its column, or from its row, counted from the base: tiles may lie beside each
 * other at distances of whole arrays.
 */
static bool regular(const struct igrad_backlog *backlog, const struct extent *e,
		    const struct touch *t)
{
	const bool rows_decide = backlog->by_rows && (t->role == W || t->role == ACC);
	const uint64_t whole = size_of(backlog);
	uint64_t column, row;

	if (t->pitch < t->bytes)
		return false;
	if (!e->used)
		return true;
	if (t->pitch != e->pitch)
		return false;
	/* from as many rows before the base as there can be, so that nothing is negative */
	row = t->addr + (e->base / e->pitch + 1) * whole * e->pitch - e->base;
	column = row % e->pitch;
	row /= e->pitch;
	if (column + t->bytes > e->pitch)
		return false;
	return rows_decide ? row % whole == 0 : column % (whole * 4) == 0;
}

static bool same_strips(const struct igrad_backlog *backlog, const struct extent *e,
			const struct touch *t)
{
	if (!e->used || (!e->written && !t->written))
		return true;
	return !e->irregular && regular(backlog, e, t);
}

static bool meets(const struct extent *e, uint64_t begin, uint64_t end, bool written)
{
	return e->used && (e->written || written) && begin < e->end && e->begin < end;
}

static bool independent(const struct igrad_backlog *backlog, const struct touch *t)
{
	for (unsigned int role = 0; role < NUM_ROLES; role++) {
		if (role != t->role && meets(&backlog->extent[role], t->addr, t->end, t->written))
			return false;
	}
	return same_strips(backlog, &backlog->extent[t->role], t);
}

static void remember(struct igrad_backlog *backlog, const struct touch *t)
{
	struct extent *e = &backlog->extent[t->role];

	e->irregular |= !regular(backlog, e, t);
	if (!e->used) {
		e->used = true;
		e->begin = e->base = t->addr;
		e->end = t->end;
		e->pitch = t->pitch;
	}
	e->begin = t->addr < e->begin ? t->addr : e->begin;
	e->end = t->end > e->end ? t->end : e->end;
	e->written |= t->written;
	e->last_touch = atomic_load(&backlog->count) + 1;
	if (t->written)
		e->last_write = e->last_touch;
}

/* (Rows that overlap each other count as one.) */
static struct igrad_strided bytes_of(uint64_t addr, uint64_t pitch, uint64_t bytes, uint64_t end)
{
	if (pitch < bytes)
		return igrad_strided(addr, 0, 1, end - addr);
	return igrad_strided(addr, pitch, (end - addr - bytes) / pitch + 1, bytes);
}

static bool touches(const struct igrad_cmd *cmd, const struct igrad_area *a)
{
	const struct igrad_strided area = bytes_of(a->addr, a->pitch, a->bytes, igrad_area_end(a));
	struct touch t[3];
	const unsigned int n = touches_of(cmd, t);

	for (unsigned int i = 0; i < n; i++) {
		const struct igrad_strided own = bytes_of(t[i].addr, t[i].pitch, t[i].bytes,
							  t[i].end);

		if ((t[i].written || a->written) && igrad_strided_meet(&own, &area))
			return true;
	}
	return false;
}

/* How many of the first @count commands have to be done before an area may be worked on? */
static uint32_t before(const struct igrad_backlog *backlog, const struct igrad_area *a,
		       uint32_t count)
{
	while ((int32_t)(count - backlog->reached) > 0 &&
	       !touches(&backlog->cmd[(count - 1) % ROOM], a))
		count--;
	return count;
}

/* The extents tell that most areas are no concern of anybody's, and until when others may be. */
void igrad_backlog_clear(struct igrad_backlog *backlog, const struct igrad_areas *areas)
{
	if (!backlog->open)
		return;
	for (unsigned int i = 0; i < areas->count; i++) {
		const struct igrad_area *a = &areas->area[i];

		for (unsigned int role = 0; role < NUM_ROLES; role++) {
			const struct extent *e = &backlog->extent[role];

			if (meets(e, a->addr, igrad_area_end(a), a->written))
				catch_up(backlog,
					 before(backlog, a,
						a->written ? e->last_touch : e->last_write));
		}
	}
}

/* --------------------------------------------------------------------------------------------- */
/* Putting */
/* --------------------------------------------------------------------------------------------- */

/* Strips have nowhere to stage what does not lie as products want it. */
static bool suits(const struct igrad_cmd *cmd)
{
	return !(cmd->flags & ~(IGRAD_FLAG_ADD | IGRAD_FLAG_KEEP | IGRAD_FLAG_DECAY));
}

/* Sums over rows need columns of their own, and sums over columns rows. */
static void choose_strips(struct igrad_backlog *backlog, const struct igrad_cmd *cmd)
{
	const bool by_rows = cmd->opcode == IGRAD_OP_FPROP ? false
			     : cmd->opcode == IGRAD_OP_DGRAD || cmd->opcode == IGRAD_OP_INTERLEAVED
				     ? true
				     : backlog->by_rows;

	if (by_rows != backlog->by_rows)
		igrad_backlog_close(backlog);
	backlog->by_rows = by_rows;
}

static void open_for(struct igrad_backlog *backlog, const struct touch t[], unsigned int n)
{
	bool clear = true;

	/* Workers that had nothing to do for a while have left. */
	if (backlog->open && igrad_pool_idle(backlog->core->pool))
		igrad_backlog_close(backlog);
	if (!backlog->open)
		open_backlog(backlog);
	for (unsigned int i = 0; i < n; i++)
		clear = clear && independent(backlog, &t[i]);
	if (!clear)
		finish(backlog);
}

bool igrad_backlog_put(struct igrad_backlog *backlog, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *a = &cmd->u.array;
	const uint32_t count = atomic_load(&backlog->count);
	struct touch t[3];
	unsigned int n;

	if (backlog->threads == 1 || !suits(cmd))
		return false;
	if (!backlog->open && !a->batch)
		return false; /* what follows may be a stream that does not suit */
	choose_strips(backlog, cmd);
	if (!splits(backlog))
		return false;
	n = touches_of(cmd, t);
	open_for(backlog, t, n);
	for (unsigned int i = 0; i < n; i++)
		remember(backlog, &t[i]);
	if (count - backlog->reached == ROOM)
		catch_up(backlog, count - ROOM / 2);
	backlog->cmd[count % ROOM] = *cmd;
	atomic_store_explicit(&backlog->count, count + 1, memory_order_release);
	backlog->macs += (uint64_t)a->rows * a->cols * a->batch;
	if (backlog->macs > LATE_MACS)
		finish(backlog);
	return true;
}
