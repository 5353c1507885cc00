/* SPDX-License-Identifier: MIT */
#include "hazard.h"

#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define FIRST_ROOM 16	/* entries of a log, then doubled */
#define MAX_LIVE   4095 /* SRAM regions: a log then has room for twice as many entries */
#define CHUNK	   16	/* entries that are looked over together */
#define KEPT_ROOM  4096 /* of DRAM regions, from job to job */
#define NOTHING	   INT32_MAX

/* --------------------------------------------------------------------------------------------- */
/* Logs */
/* --------------------------------------------------------------------------------------------- */

/* All arrays lie in one block, which the regions begin; with room to look a chunk too far. */
static void free_log(struct igrad_log *log)
{
	free(log->region);
	memset(log, 0, sizeof(*log));
}

static bool grow(struct igrad_log *log)
{
	const uint32_t room = log->room ? log->room * 2 : FIRST_ROOM;
	struct igrad_strided *region = calloc(1,
					      room * (sizeof(*log->region) + sizeof(*log->index)) +
						      2 * (room + CHUNK) * sizeof(*log->first));
	uint32_t *index;
	int32_t *first, *last;

	if (!region)
		return false;
	index = (uint32_t *)(region + room);
	first = (int32_t *)(index + room);
	last = first + room + CHUNK;
	if (log->tail) {
		memcpy(region, log->region, log->tail * sizeof(*region));
		memcpy(index, log->index, log->tail * sizeof(*index));
		memcpy(first, log->first, log->tail * sizeof(*first));
		memcpy(last, log->last, log->tail * sizeof(*last));
	}
	free(log->region);
	log->region = region;
	log->index = index;
	log->first = first;
	log->last = last;
	log->room = room;
	return true;
}

static bool is_stale(const struct igrad_log *log, uint32_t i)
{
	return log->first[i] == NOTHING;
}

static void make_stale(struct igrad_log *log, uint32_t i)
{
	log->first[i] = NOTHING;
	log->last[i] = -1;
	log->live--;
}

static uint16_t *bucket_of(struct igrad_log *log, const struct igrad_strided *region)
{
	uint64_t hash = region->addr * 0x9e3779b97f4a7c15u;

	hash ^= ((uint64_t)region->rows << 32 | region->bytes) * 0xc2b2ae3d27d4eb4fu;
	hash ^= region->pitch * 0x165667b19e3779f9u;
	return log->slot[hash >> 32 & (IGRAD_HAZARD_BUCKETS - 1)];
}

static bool is_at(const struct igrad_log *log, uint32_t i, const struct igrad_strided *region)
{
	return i >= log->head && i < log->tail && !is_stale(log, i) &&
	       igrad_strided_same(&log->region[i], region);
}

/* The region's slot, or else the one that says least of interest any more. */
static uint16_t *slot_of(struct igrad_log *log, const struct igrad_strided *region)
{
	uint16_t *bucket = bucket_of(log, region), *oldest = bucket;

	for (unsigned int i = 0; i < IGRAD_HAZARD_SLOTS; i++) {
		if (is_at(log, bucket[i], region))
			return &bucket[i];
		if (bucket[i] >= log->tail || bucket[i] < *oldest)
			oldest = &bucket[i];
	}
	return oldest;
}

static void push(struct igrad_log *log, uint16_t *slot, int32_t first, int32_t last, uint32_t index,
		 const struct igrad_strided *region)
{
	log->first[log->tail] = first;
	log->last[log->tail] = last;
	log->index[log->tail] = index;
	log->region[log->tail] = *region;
	log->live++;
	*slot = (uint16_t)log->tail++;
}

/* The region's last access takes the place of the one before, if that is still found. */
static void append(struct igrad_log *log, int32_t first, int32_t last, uint32_t index,
		   const struct igrad_strided *region)
{
	uint16_t *slot = slot_of(log, region);

	if (is_at(log, *slot, region))
		make_stale(log, *slot);
	push(log, slot, first, last, index, region);
}

/* Forget what is stale, and what nobody can run beside any more: all below index @dead. */
static void compact(struct igrad_log *log, uint32_t dead)
{
	const uint32_t head = log->head, tail = log->tail;

	log->head = log->tail = log->live = 0;
	for (uint32_t i = head; i < tail; i++) {
		if (is_stale(log, i) || log->index[i] < dead)
			continue;
		append(log, log->first[i], log->last[i], log->index[i], &log->region[i]);
	}
}

static bool make_room(struct igrad_log *log, uint32_t dead)
{
	if (log->tail < log->room)
		return true;
	compact(log, dead);
	return log->tail < (log->room + 1) / 2 || grow(log);
}

/* The position from which on entries have at least this index. Most often it is close to the end.
 */
static uint32_t position_of(const struct igrad_log *log, uint32_t index)
{
	uint32_t low = log->head, high = log->tail;

	for (uint32_t step = 1; high - low > step; step *= 2) {
		if (log->index[high - step] < index) {
			low = high - step + 1;
			break;
		}
		high -= step;
	}
	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (log->index[middle] < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --------------------------------------------------------------------------------------------- */
/* Comparing */
/* --------------------------------------------------------------------------------------------- */

/* A region with the numbers that it is first looked for by. */
struct sought {
	struct igrad_strided region;
	int32_t first;
	int32_t last;
	bool write;
};

/* Part of a log: what a command is not ordered after. */
struct flight {
	const struct igrad_log *log;
	uint32_t from;
	bool write;
};

static struct sought seek(struct igrad_strided region, unsigned int shift, bool write)
{
	return (struct sought){
		.region = region,
		.first = (int32_t)(region.addr >> shift),
		.last = (int32_t)((igrad_strided_end(&region) - 1) >> shift),
		.write = write,
	};
}

typedef int32_t four __attribute__((vector_size(16)));

/* Looks at a whole chunk, also beyond the log's end: what is found is looked at again. */
static bool any_near(const struct igrad_log *log, uint32_t from, const struct sought *sought)
{
	uint64_t near[2];
	four any = {0};

	for (unsigned int i = 0; i < CHUNK; i += 4) {
		four firsts, lasts;

		memcpy(&firsts, log->first + from + i, sizeof(firsts));
		memcpy(&lasts, log->last + from + i, sizeof(lasts));
		any |= (firsts <= sought->last) & (lasts >= sought->first);
	}
	memcpy(near, &any, sizeof(near));
	return near[0] | near[1];
}

/* The last entry that meets the region, as index + 1; or 0. */
static uint32_t last_meeting(const struct flight *flight, const struct sought *sought)
{
	const struct igrad_log *log = flight->log;
	uint32_t to = log->tail;

	while (to > flight->from) {
		const uint32_t from = to - flight->from > CHUNK ? to - CHUNK : flight->from;

		for (uint32_t i = any_near(log, from, sought) ? to : from; i-- > from;) {
			if (log->first[i] <= sought->last && log->last[i] >= sought->first &&
			    igrad_strided_meet(&log->region[i], &sought->region))
				return log->index[i] + 1;
		}
		to = from;
	}
	return 0;
}

static bool in_flight(struct flight *flight, const struct igrad_log *log, uint32_t before,
		      bool write)
{
	if (log->head == log->tail || log->index[log->tail - 1] < before)
		return false;
	*flight = (struct flight){log, position_of(log, before), write};
	return true;
}

/* --------------------------------------------------------------------------------------------- */
/* SRAM */
/* --------------------------------------------------------------------------------------------- */

struct command {
	enum igrad_engine engine;
	uint32_t index;
	const uint32_t (*known)[IGRAD_NUM_ENGINES];
	unsigned int count;
	struct sought sought[IGRAD_MAX_AREAS];
};

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static bool in_shadow(const struct igrad_hazards *hazards, const struct command *c)
{
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		const uint32_t evicted = max_u32(hazards->sram[e][IGRAD_LOG_READS].evicted,
						 hazards->sram[e][IGRAD_LOG_WRITES].evicted);

		if (e != c->engine && evicted > c->known[c->engine][e])
			return true;
	}
	return false;
}

/* The last command that this one conflicts with, as index + 1; or 0. */
static uint32_t sram_conflict(const struct igrad_hazards *hazards, const struct command *c)
{
	const uint32_t *before = c->known[c->engine];
	struct flight flights[2 * IGRAD_NUM_ENGINES];
	unsigned int n = 0;
	uint32_t last = 0;

	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		for (unsigned int write = 0; e != c->engine && write < 2; write++)
			n += in_flight(&flights[n], &hazards->sram[e][write], before[e], write);
	}
	for (unsigned int i = 0; i < c->count; i++) {
		for (unsigned int k = 0; k < n; k++) {
			if (c->sought[i].write || flights[k].write)
				last = max_u32(last, last_meeting(&flights[k], &c->sought[i]));
		}
	}
	if (in_shadow(hazards, c)) {
		for (unsigned int i = 0; i < c->count; i++) {
			const struct igrad_touch touch = {c->sought[i].region, c->engine,
							  c->sought[i].write};

			last = max_u32(last,
				       igrad_shadow_conflict(&hazards->shadow, &touch, before));
		}
	}
	return last;
}

/* Below which index are the commands of an engine that all engines are ordered after that could
 * conflict with its reads or writes? */
static uint32_t dead_below(const struct command *c, enum igrad_engine engine, bool write)
{
	uint32_t dead = UINT32_MAX;

	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		if (e != engine && (write || e != IGRAD_ENGINE_STORE) && c->known[e][engine] < dead)
			dead = c->known[e][engine];
	}
	return dead;
}

/* The oldest live entry leaves the log. */
static bool evict(struct igrad_hazards *hazards, const struct command *c, struct igrad_log *log,
		  bool write)
{
	uint32_t i;

	while (is_stale(log, log->head))
		log->head++;
	i = log->head++;
	log->live--;
	if (log->index[i] < dead_below(c, c->engine, write))
		return true;
	log->evicted = log->index[i] + 1;
	return igrad_shadow_note(&hazards->shadow,
				 &(struct igrad_touch){log->region[i], c->engine, write},
				 log->index[i]);
}

static bool note_sram(struct igrad_hazards *hazards, const struct command *c,
		      const struct sought *sought)
{
	struct igrad_log *log = &hazards->sram[c->engine][sought->write];

	if (log->live >= hazards->max_live && !evict(hazards, c, log, sought->write))
		return false;
	if (!make_room(log, dead_below(c, c->engine, sought->write)))
		return false;
	append(log, sought->first, sought->last, c->index, &sought->region);
	return true;
}

/* --------------------------------------------------------------------------------------------- */
/* DRAM: what LOAD reads and STORE writes */
/* --------------------------------------------------------------------------------------------- */

/* Rows beyond the address space are not reached: the command faults there. */
static bool seek_dram(const struct igrad_cmd *cmd, struct sought *sought)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;
	const uint64_t bytes = (uint64_t)dma->cols * (cmd->flags & IGRAD_FLAG_MEM_BF16 ? 2 : 4);
	uint64_t rows = dma->rows;

	if (dma->va >= IGRAD_VA_END)
		return false;
	if (rows > 1 && rows > (IGRAD_VA_END - 1 - dma->va) / dma->pitch + 1)
		rows = (IGRAD_VA_END - 1 - dma->va) / dma->pitch + 1;
	*sought = seek(igrad_strided(dma->va, dma->pitch, rows, bytes), IGRAD_PAGE_SHIFT,
		       cmd->opcode == IGRAD_OP_DMA_STORE);
	return true;
}

static bool note_dram(struct igrad_hazards *hazards, const struct command *c,
		      const struct sought *sought)
{
	struct igrad_log *log = &hazards->dram[sought->write];
	const enum igrad_engine other = sought->write ? IGRAD_ENGINE_LOAD : IGRAD_ENGINE_STORE;

	if (!make_room(log, c->known[other][c->engine]))
		return false;
	append(log, sought->first, sought->last, c->index, &sought->region);
	return true;
}

static uint32_t dram_conflict(const struct igrad_hazards *hazards, const struct command *c,
			      const struct sought *sought)
{
	const enum igrad_engine other = sought->write ? IGRAD_ENGINE_LOAD : IGRAD_ENGINE_STORE;
	struct flight flight;

	if (!in_flight(&flight, &hazards->dram[!sought->write], c->known[c->engine][other],
		       !sought->write))
		return 0;
	return last_meeting(&flight, sought);
}

/* --------------------------------------------------------------------------------------------- */
/* Commands */
/* --------------------------------------------------------------------------------------------- */

bool igrad_hazards_init(struct igrad_hazards *hazards, uint32_t sram_bytes)
{
	hazards->max_live = MAX_LIVE;
	return igrad_shadow_init(&hazards->shadow, sram_bytes);
}

void igrad_hazards_destroy(struct igrad_hazards *hazards)
{
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		free_log(&hazards->sram[e][IGRAD_LOG_READS]);
		free_log(&hazards->sram[e][IGRAD_LOG_WRITES]);
	}
	free_log(&hazards->dram[IGRAD_LOG_READS]);
	free_log(&hazards->dram[IGRAD_LOG_WRITES]);
	igrad_shadow_destroy(&hazards->shadow);
}

static void empty(struct igrad_log *log)
{
	if (log->room > KEPT_ROOM)
		free_log(log);
	log->head = log->tail = log->live = log->evicted = 0;
}

void igrad_hazards_reset(struct igrad_hazards *hazards)
{
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		empty(&hazards->sram[e][IGRAD_LOG_READS]);
		empty(&hazards->sram[e][IGRAD_LOG_WRITES]);
	}
	empty(&hazards->dram[IGRAD_LOG_READS]);
	empty(&hazards->dram[IGRAD_LOG_WRITES]);
	igrad_shadow_reset(&hazards->shadow);
}

static void find_regions(struct command *c, const struct igrad_areas *areas)
{
	for (unsigned int i = 0; i < areas->count; i++) {
		const struct igrad_area *area = &areas->area[i];

		c->sought[i] = seek(igrad_strided(area->addr, area->pitch, area->rows, area->bytes),
				    0, area->written);
	}
	c->count = areas->count;
}

enum igrad_reason igrad_hazards_check(struct igrad_hazards *hazards, const struct igrad_cmd *cmd,
				      enum igrad_engine engine, uint32_t index,
				      const struct igrad_areas *areas,
				      const uint32_t known[][IGRAD_NUM_ENGINES], uint32_t *conflict)
{
	struct command c;
	struct sought dram;
	uint32_t last;
	bool dma;

	if (!areas->count)
		return IGRAD_REASON_NONE;
	c.engine = engine;
	c.index = index;
	c.known = known;
	find_regions(&c, areas);
	dma = engine <= IGRAD_ENGINE_STORE && seek_dram(cmd, &dram);
	last = sram_conflict(hazards, &c);
	if (dma)
		last = max_u32(last, dram_conflict(hazards, &c, &dram));
	if (last) {
		*conflict = last - 1;
		return IGRAD_REASON_HAZARD;
	}
	for (unsigned int i = 0; i < c.count; i++) {
		if (!note_sram(hazards, &c, &c.sought[i]))
			return IGRAD_REASON_INTERNAL;
	}
	if (dma && !note_dram(hazards, &c, &dram))
		return IGRAD_REASON_INTERNAL;
	return IGRAD_REASON_NONE;
}

/* --------------------------------------------------------------------------------------------- */
/* Checkpoints: entries that are not stale; the rest follows from them */
/* --------------------------------------------------------------------------------------------- */

/* What the entries of a log must be like. */
struct bounds {
	uint32_t most; /* entries */
	uint32_t next; /* command */
	uint64_t end;  /* of the memory */
	unsigned int shift;
	bool write;
};

static void save_log(struct igrad_log *log, struct igrad_serial *serial,
		     const struct bounds *bounds)
{
	igrad_serial_u32(serial, &log->live);
	for (uint32_t i = log->head; i < log->tail; i++) {
		if (is_stale(log, i))
			continue;
		igrad_serial_u32(serial, &log->index[i]);
		igrad_strided_transfer(&log->region[i], serial, bounds->end);
	}
}

static void load_log(struct igrad_log *log, struct igrad_serial *serial,
		     const struct bounds *bounds)
{
	uint32_t count = 0, before = 0;

	igrad_serial_u32(serial, &count);
	igrad_serial_check(serial, count <= bounds->most);
	for (uint32_t i = 0; i < count && !serial->failed; i++) {
		struct igrad_strided region = {0};
		struct sought sought;
		uint32_t index = 0;

		igrad_serial_u32(serial, &index);
		igrad_strided_transfer(&region, serial, bounds->end);
		igrad_serial_check(serial, index >= before && index <= bounds->next);
		if (!igrad_serial_check(serial, log->tail < log->room || grow(log)))
			return;
		sought = seek(region, bounds->shift, bounds->write);
		/* What was not found in the log that was saved stands there twice: here too. */
		push(log, slot_of(log, &region), sought.first, sought.last, index, &region);
		before = index;
	}
}

static void transfer_log(struct igrad_log *log, struct igrad_serial *serial,
			 const struct bounds *bounds)
{
	igrad_serial_u32(serial, &log->evicted);
	igrad_serial_check(serial, log->evicted <= bounds->next + 1);
	if (serial->loading)
		load_log(log, serial, bounds);
	else
		save_log(log, serial, bounds);
}

void igrad_hazards_transfer(struct igrad_hazards *hazards, struct igrad_serial *serial,
			    uint32_t next, uint32_t sram_bytes)
{
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		for (unsigned int write = 0; write < 2; write++) {
			const bool never = e == IGRAD_ENGINE_LOAD && write == IGRAD_LOG_READS;

			transfer_log(&hazards->sram[e][write], serial,
				     &(struct bounds){.most = never ? 0 : hazards->max_live,
						      .next = next,
						      .end = sram_bytes,
						      .write = write});
		}
	}
	for (unsigned int write = 0; write < 2; write++)
		transfer_log(&hazards->dram[write], serial,
			     &(struct bounds){.most = 2 * IGRAD_MAX_COMMANDS,
					      .next = next,
					      .end = IGRAD_VA_END + UINT32_MAX,
					      .shift = IGRAD_PAGE_SHIFT,
					      .write = write});
	igrad_shadow_transfer(&hazards->shadow, serial, next);
}
