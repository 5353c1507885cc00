/* SPDX-License-Identifier: MIT */
/*
 * The reference device: first every command in program order, for its results and the cycles it
 * takes; then the clock, for when it starts; and on demand all engines at once, as the clock says.
 */
#include <stdio.h>
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
	device->sram = calloc(1, config->sram_bytes);
	if (!device->pe || !device->sram)
		abort();
	return device;
}

void ref_free(struct ref_device *device)
{
	free(device->pe);
	free(device->sram);
	free(device->timed);
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

void ref_impossible(const char *what)
{
	fprintf(stderr, "reference: %s\n", what);
	abort();
}

void *ref_zeroed(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		ref_impossible("out of memory");
	return p;
}

static enum igrad_engine engine_of(const struct igrad_cmd *cmd)
{
	switch (cmd->opcode & 0xf0) {
	case 0x10:
		return cmd->opcode == IGRAD_OP_DMA_LOAD ? IGRAD_ENGINE_LOAD : IGRAD_ENGINE_STORE;
	case 0x20:
		return IGRAD_ENGINE_ARRAY;
	case 0x40:
	case 0x50:
		return IGRAD_ENGINE_VECTOR;
	default:
		return (enum igrad_engine)cmd->engine;
	}
}

bool ref_takes_time(const struct igrad_cmd *cmd)
{
	return cmd->opcode != IGRAD_OP_NOP && cmd->opcode != IGRAD_OP_WINDOW;
}

static uint64_t execute(struct ref_device *d, const struct ref_timed *timed)
{
	const struct igrad_cmd *cmd = timed->cmd;

	switch (cmd->opcode & 0xf0) {
	case 0x10:
		return ref_dma(d, cmd);
	case 0x20:
		return ref_array(d, &(struct ref_op){cmd, timed->window});
	case 0x40:
	case 0x50:
		return ref_vector(d, cmd);
	default:
		return 0;
	}
}

static void reset(struct ref_device *device, uint8_t *memory, struct igrad_report *counts)
{
	const size_t pes = (size_t)device->config.rows * device->config.cols;

	memset(counts, 0, sizeof(*counts));
	memset(device->sram, 0, device->config.sram_bytes);
	memset(device->pe, 0, pes * sizeof(*device->pe));
	device->memory = memory;
	device->counts = counts;
}

bool ref_run(struct ref_device *device, const struct igrad_cmd *cmds, unsigned int num_cmds,
	     uint8_t *memory, struct igrad_report *report)
{
	const struct igrad_cmd_window *window = NULL;

	reset(device, memory, report);
	free(device->timed);
	device->num_timed = num_cmds;
	device->timed = calloc(num_cmds, sizeof(*device->timed));
	if (!device->timed)
		abort();
	for (unsigned int i = 0; i < num_cmds; i++) {
		const bool dma = (cmds[i].opcode & 0xf0) == 0x10;

		if (cmds[i].opcode == IGRAD_OP_WINDOW)
			window = &cmds[i].u.window;
		device->timed[i].cmd = &cmds[i];
		device->timed[i].window = window;
		device->timed[i].engine = engine_of(&cmds[i]);
		device->timed[i].held = execute(device, &device->timed[i]);
		device->timed[i].latency = dma ? device->config.dram_latency : 0;
	}
	return ref_clock(device, report);
}

/* --------------------------------------------------------------------------------------------- */
/* All engines at once */
/* --------------------------------------------------------------------------------------------- */

/* The array's commands that move word by word; others take effect in one cycle. */
static bool skewed(const struct ref_device *device, const struct ref_timed *timed)
{
	return device->config.overlap && timed->engine == IGRAD_ENGINE_ARRAY;
}

static struct ref_skewed *start_array(struct ref_device *device, struct ref_placed *placed)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < device->num_timed; i++) {
		if (skewed(device, &device->timed[i]) && ref_takes_time(device->timed[i].cmd))
			placed[n++] = device->timed[i].placed;
	}
	return ref_skewed_new(device, placed, n);
}

/* At a command's end its signals start others: its effect comes before what they do in that cycle.
 */
void ref_replay(struct ref_device *device, uint8_t *memory, bool late, struct igrad_report *counts)
{
	struct ref_placed *placed = calloc(device->num_timed, sizeof(*placed));
	struct ref_skewed *array;
	unsigned int left = device->num_timed;

	if (!placed)
		abort();
	reset(device, memory, counts);
	array = start_array(device, placed);
	for (uint64_t now = 0; left || ref_skewed_runs(array, now); now++) {
		for (unsigned int i = 0; i < device->num_timed; i++) {
			const struct ref_timed *timed = &device->timed[i];

			if (now != timed->start + (late ? timed->held + timed->latency : 0))
				continue;
			left--;
			if (!skewed(device, timed))
				execute(device, timed);
		}
		ref_skewed_cycle(array, (int64_t)now);
	}
	ref_skewed_free(array);
	free(placed);
}
