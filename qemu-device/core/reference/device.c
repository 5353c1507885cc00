/* SPDX-License-Identifier: MIT */
/*
 * The reference device: first every command in program order, for its results and the cycles it
 * takes; then a clock that ticks, with four engines that look at their semaphores.
 */
#include <stdlib.h>
#include <string.h>

#include "reference.h"

struct ref_device *ref_new(const struct ref_config *config)
{
	const size_t pes = (size_t)config->rows * config->cols;
	struct ref_device *device = calloc(1, sizeof(*device));

	if (!device)
		abort();
	device->config = *config;
	device->pe = calloc(pes, sizeof(*device->pe));
	device->before = calloc(pes, sizeof(*device->before));
	device->sram = calloc(1, config->sram_bytes);
	if (!device->pe || !device->before || !device->sram)
		abort();
	return device;
}

void ref_free(struct ref_device *device)
{
	free(device->pe);
	free(device->before);
	free(device->sram);
	free(device);
}

uint32_t ref_read(struct ref_device *device, uint32_t addr, enum igrad_operand operand)
{
	uint32_t bits;

	memcpy(&bits, device->sram + addr, sizeof(bits));
	device->counts->sram[0][operand]++;
	return bits;
}

void ref_write(struct ref_device *device, uint32_t addr, uint32_t bits, enum igrad_operand operand)
{
	memcpy(device->sram + addr, &bits, sizeof(bits));
	device->counts->sram[0][operand]++;
}

uint16_t ref_read_half(struct ref_device *device, uint32_t addr, enum igrad_operand operand)
{
	uint16_t half;

	memcpy(&half, device->sram + addr, sizeof(half));
	device->counts->sram[1][operand]++;
	return half;
}

void ref_write_half(struct ref_device *device, uint32_t addr, uint16_t half,
		    enum igrad_operand operand)
{
	memcpy(device->sram + addr, &half, sizeof(half));
	device->counts->sram[1][operand]++;
}

unsigned int ref_word_size(const struct igrad_cmd *cmd)
{
	return cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4;
}

struct ref_wire ref_read_operand(struct ref_device *device, const struct igrad_cmd *cmd,
				 uint32_t addr, enum igrad_operand operand)
{
	if (cmd->flags & IGRAD_FLAG_BF16)
		return (struct ref_wire){true, ref_from_bf16(ref_read_half(device, addr, operand)),
					 true};
	return (struct ref_wire){true, ref_float(ref_read(device, addr, operand)), false};
}

float ref_weight(const struct igrad_cmd *cmd, float w)
{
	return cmd->flags & IGRAD_FLAG_BF16 ? ref_from_bf16(ref_to_bf16(w)) : w;
}

void ref_count_mac(struct ref_device *device, const struct igrad_cmd *cmd)
{
	device->counts->macs++;
	if (cmd->flags & IGRAD_FLAG_BF16)
		device->counts->macs_bf16++;
}

float ref_get(struct ref_device *device, const float *reg)
{
	device->counts->pe_registers[0]++;
	return *reg;
}

void ref_set(struct ref_device *device, float *reg, float value)
{
	device->counts->pe_registers[0]++;
	*reg = value;
}

struct ref_wire ref_hop(struct ref_device *device, struct ref_wire wire)
{
	if (wire.valid)
		device->counts->pe_hops[wire.narrow]++;
	return wire;
}

/* --------------------------------------------------------------------------------------------- */
/* DMA */
/* --------------------------------------------------------------------------------------------- */

/* A cycle begins whenever the channel's bytes of the last one are used up. */
struct channel {
	unsigned int room;
	uint64_t cycles;
};

static void pass_byte(struct channel *channel, unsigned int width)
{
	if (channel->room == 0) {
		channel->room = width;
		channel->cycles++;
	}
	channel->room--;
}

/* A word of @size bytes on either side of a DMA, as fp32 bits and back. */
static uint32_t get_word(const uint8_t *at, unsigned int size)
{
	uint32_t bits = 0;

	memcpy(&bits, at, size);
	return size == 2 ? bits << 16 : bits;
}

static void put_word(uint8_t *at, unsigned int size, uint32_t bits, bool narrowed)
{
	const uint16_t half = narrowed ? ref_to_bf16(ref_float(bits)) : (uint16_t)(bits >> 16);

	if (size == 2)
		memcpy(at, &half, sizeof(half));
	else
		memcpy(at, &bits, sizeof(bits));
}

static void dma_word(struct ref_device *d, const struct igrad_cmd *cmd, struct channel *channel,
		     uint32_t i, uint32_t j)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;
	const unsigned int here = ref_word_size(cmd);
	const unsigned int there = cmd->flags & IGRAD_FLAG_MEM_BF16 ? 2 : 4;
	uint8_t *sram = d->sram + dma->sram + (size_t)i * dma->sram_pitch + j * here;
	uint8_t *memory = d->memory + dma->va + (size_t)i * dma->pitch + j * there;
	const bool load = cmd->opcode == IGRAD_OP_DMA_LOAD;

	for (unsigned int byte = 0; byte < there; byte++) {
		pass_byte(channel, d->config.dram_bytes_per_cycle);
		(*(load ? &d->counts->dram_read_bytes : &d->counts->dram_write_bytes))++;
	}
	if (load)
		put_word(sram, here, get_word(memory, there), here < there);
	else
		put_word(memory, there, get_word(sram, here), there < here);
}

static uint64_t ref_dma(struct ref_device *d, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;
	const unsigned int size = ref_word_size(cmd);
	struct channel channel = {0, 0};

	for (uint32_t i = 0; i < dma->rows + dma->fill_rows; i++) {
		for (uint32_t j = 0; j < dma->cols + dma->fill_cols; j++) {
			if (i < dma->rows && j < dma->cols)
				dma_word(d, cmd, &channel, i, j);
			else
				put_word(d->sram + dma->sram + (size_t)i * dma->sram_pitch +
						 j * size,
					 size, 0, false);
		}
	}
	return channel.cycles;
}

/* --------------------------------------------------------------------------------------------- */
/* The clock */
/* --------------------------------------------------------------------------------------------- */

struct timed {
	const struct igrad_cmd *cmd;
	enum igrad_engine engine;
	uint64_t held;
	uint64_t latency;
	bool started;
	bool completed;
	uint64_t start;
};

struct clock {
	struct timed *cmds;
	unsigned int num_cmds;
	uint32_t semaphore[IGRAD_NUM_SEMAPHORES];
	struct igrad_report *counts;
	struct ref_overlap *overlap; /* or NULL */
};

static enum igrad_engine engine_of(const struct igrad_cmd *cmd)
{
	switch (cmd->opcode & 0xf0) {
	case 0x10:
		return cmd->opcode == IGRAD_OP_DMA_LOAD ? IGRAD_ENGINE_LOAD : IGRAD_ENGINE_STORE;
	case 0x20:
		return IGRAD_ENGINE_ARRAY;
	case 0x40:
		return IGRAD_ENGINE_VECTOR;
	default:
		return (enum igrad_engine)cmd->engine;
	}
}

static bool holds_engine(const struct timed *timed, uint64_t now)
{
	return timed->started && now < timed->start + timed->held;
}

/* The array with shadow registers takes commands as their semaphores allow, and starts them itself.
 */
static bool overlaps(const struct clock *clock, const struct timed *timed)
{
	return clock->overlap && timed->engine == IGRAD_ENGINE_ARRAY;
}

/* The command that its engine would start next: the first that has not, if none holds the engine.
 */
static struct timed *head_of(struct clock *clock, enum igrad_engine engine, uint64_t now)
{
	for (unsigned int i = 0; i < clock->num_cmds; i++) {
		struct timed *timed = &clock->cmds[i];

		if (timed->engine != engine)
			continue;
		if (holds_engine(timed, now) && !overlaps(clock, timed))
			return NULL;
		if (!timed->started)
			return timed;
	}
	return NULL;
}

static void start(struct clock *clock, struct timed *timed, uint64_t now)
{
	struct ref_placed placed;

	timed->started = true;
	timed->start = now;
	if (!overlaps(clock, timed) || timed->cmd->opcode == IGRAD_OP_NOP)
		return;
	placed = ref_overlap_place(clock->overlap, timed->cmd, now, clock->counts);
	timed->start = (uint64_t)placed.start;
	timed->held = (uint64_t)(placed.end - placed.start);
}

static bool may_start(const struct clock *clock, const struct timed *timed)
{
	for (unsigned int i = 0; i < IGRAD_NUM_WAITS; i++) {
		if (clock->semaphore[timed->cmd->wait_sem[i]] < timed->cmd->wait_value[i])
			return false;
	}
	return true;
}

static bool start_some(struct clock *clock, uint64_t now)
{
	bool any = false;

	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		struct timed *head = head_of(clock, (enum igrad_engine)e, now);

		if (!head || !may_start(clock, head))
			continue;
		start(clock, head, now);
		any = true;
	}
	return any;
}

/* Commands of an engine complete in order: the first that has not completed is the next to. */
static bool complete_some(struct clock *clock, uint64_t now)
{
	bool blocked[IGRAD_NUM_ENGINES] = {false};
	bool any = false;

	for (unsigned int i = 0; i < clock->num_cmds; i++) {
		struct timed *timed = &clock->cmds[i];

		if (timed->completed || blocked[timed->engine])
			continue;
		if (!timed->started || now < timed->start + timed->held + timed->latency) {
			blocked[timed->engine] = true;
			continue;
		}
		timed->completed = true;
		clock->counts->retired[timed->engine]++;
		if (timed->cmd->signal)
			clock->semaphore[timed->cmd->signal]++;
		any = true;
	}
	return any;
}

static bool all_completed(const struct clock *clock)
{
	for (unsigned int i = 0; i < clock->num_cmds; i++) {
		if (!clock->cmds[i].completed)
			return false;
	}
	return true;
}

/* What each engine does during the cycle that begins now. */
static bool observe(struct clock *clock, uint64_t now)
{
	bool works[IGRAD_NUM_ENGINES] = {false};
	bool alive = false;

	for (unsigned int i = 0; i < clock->num_cmds; i++) {
		const struct timed *timed = &clock->cmds[i];

		if (holds_engine(timed, now) && now >= timed->start)
			works[timed->engine] = true;
		alive = alive || (timed->started && !timed->completed);
	}
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		if (works[e])
			clock->counts->busy[e]++;
		else if (head_of(clock, (enum igrad_engine)e, now))
			clock->counts->stalled[e]++;
	}
	return alive;
}

static bool run_clock(struct clock *clock)
{
	uint64_t now;

	for (now = 0;; now++) {
		bool any;

		do {
			any = complete_some(clock, now);
			any = start_some(clock, now) || any;
		} while (any);
		if (all_completed(clock))
			break;
		if (!observe(clock, now))
			return false; /* everybody waits: a deadlock */
	}
	clock->counts->cycles = now;
	return true;
}

static uint64_t execute(struct ref_device *d, const struct igrad_cmd *cmd)
{
	switch (cmd->opcode & 0xf0) {
	case 0x10:
		return ref_dma(d, cmd);
	case 0x20:
		return ref_array(d, cmd);
	case 0x40:
		return ref_vector(d, cmd);
	default:
		return 0;
	}
}

bool ref_run(struct ref_device *device, const struct igrad_cmd *cmds, unsigned int num_cmds,
	     uint8_t *memory, struct igrad_report *report)
{
	const size_t pes = (size_t)device->config.rows * device->config.cols;
	struct clock clock = {.num_cmds = num_cmds, .counts = report};
	bool ended;

	memset(report, 0, sizeof(*report));
	memset(device->sram, 0, device->config.sram_bytes);
	memset(device->pe, 0, pes * sizeof(*device->pe));
	device->memory = memory;
	device->counts = report;
	clock.cmds = calloc(num_cmds, sizeof(*clock.cmds));
	if (!clock.cmds)
		abort();
	for (unsigned int i = 0; i < num_cmds; i++) {
		const bool dma = (cmds[i].opcode & 0xf0) == 0x10;

		clock.cmds[i].cmd = &cmds[i];
		clock.cmds[i].engine = engine_of(&cmds[i]);
		clock.cmds[i].held = execute(device, &cmds[i]);
		clock.cmds[i].latency = dma ? device->config.dram_latency : 0;
	}
	if (device->config.overlap)
		clock.overlap = ref_overlap_new(&device->config);
	ended = run_clock(&clock);
	if (clock.overlap)
		ref_overlap_free(clock.overlap);
	free(clock.cmds);
	return ended;
}
