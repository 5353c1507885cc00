// SPDX-License-Identifier: MIT
/* Which part of which operand a command works on. */
#include <endian.h>
#include <stdlib.h>

#include "tiles.h"

static const struct {
	enum igrad_opcode opcode;
	const char *name;
} names[] = {
	{IGRAD_OP_NOP, "NOP"},
	{IGRAD_OP_DMA_LOAD, "DMA_LOAD"},
	{IGRAD_OP_DMA_STORE, "DMA_STORE"},
	{IGRAD_OP_LOAD_W, "LOAD_W"},
	{IGRAD_OP_LOAD_ACC, "LOAD_ACC"},
	{IGRAD_OP_FPROP, "FPROP"},
	{IGRAD_OP_DGRAD, "DGRAD"},
	{IGRAD_OP_WGRAD, "WGRAD"},
	{IGRAD_OP_INTERLEAVED, "INTERLEAVED"},
	{IGRAD_OP_UPDATE, "UPDATE"},
	{IGRAD_OP_DRAIN_ACC, "DRAIN_ACC"},
	{IGRAD_OP_DRAIN_W, "DRAIN_W"},
	{IGRAD_OP_SCALE_ACC, "SCALE_ACC"},
	{IGRAD_OP_WINDOW, "WINDOW"},
	{IGRAD_OP_VEC_FILL, "FILL"},
	{IGRAD_OP_VEC_COPY, "COPY"},
	{IGRAD_OP_VEC_BIAS, "BIAS"},
	{IGRAD_OP_VEC_RELU, "RELU"},
	{IGRAD_OP_VEC_RELU_GRAD, "RELU_GRAD"},
	{IGRAD_OP_VEC_COLSUM, "COLSUM"},
	{IGRAD_OP_VEC_AXPY, "AXPY"},
	{IGRAD_OP_VEC_SGD, "SGD"},
	{IGRAD_OP_VEC_SOFTMAX_XENT, "SOFTMAX_XENT"},
	{IGRAD_OP_VEC_SCALE, "SCALE"},
	{IGRAD_OP_VEC_ADAM, "ADAM"},
	{IGRAD_OP_VEC_ADD, "ADD"},
	{IGRAD_OP_VEC_MUL, "MUL"},
	{IGRAD_OP_VEC_RSQRT, "RSQRT"},
	{IGRAD_OP_VEC_COLSQ, "COLSQ"},
	{IGRAD_OP_VEC_NORM, "NORM"},
	{IGRAD_OP_VEC_NORM_SUMS, "NORM_SUMS"},
	{IGRAD_OP_VEC_NORM_GRAD, "NORM_GRAD"},
	{IGRAD_OP_VEC_DROPOUT, "DROPOUT"},
	{IGRAD_OP_VEC_POOL_MAX, "POOL_MAX"},
	{IGRAD_OP_VEC_POOL_MAX_GRAD, "POOL_MAX_GRAD"},
	{IGRAD_OP_VEC_POOL_SUM, "POOL_SUM"},
	{IGRAD_OP_VEC_POOL_SUM_GRAD, "POOL_SUM_GRAD"},
	{IGRAD_OP_VEC_POOL_DIVIDE, "POOL_DIVIDE"},
};

const char *opcode_name(enum igrad_opcode opcode)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].opcode == opcode)
			return names[i].name;
	return "unknown";
}

/* ---------------------------------------------------------------- what lies in SRAM */

/* A part of @matrix that a DMA command brought in, or will store. */
struct region {
	uint32_t start;
	uint32_t pitch;
	uint32_t rows;
	uint32_t cols;
	uint32_t width; /* bytes of an element in SRAM */
	struct tile_operand first;
};

struct sram {
	struct region *regions;
	size_t count;
	size_t room;
	bool failed;
};

static uint64_t region_end(const struct region *r)
{
	return r->start + (uint64_t)(r->rows - 1) * r->pitch + (uint64_t)r->cols * r->width;
}

static void sram_remove(struct sram *sram, const struct region *gone)
{
	for (size_t i = sram->count; i-- > 0;) {
		const struct region *r = &sram->regions[i];

		if (r->start < region_end(gone) && gone->start < region_end(r))
			sram->regions[i] = sram->regions[--sram->count];
	}
}

static void sram_add(struct sram *sram, const struct region *region)
{
	sram_remove(sram, region);
	if (sram->count == sram->room) {
		size_t room = sram->room ? 2 * sram->room : 64;
		struct region *regions = realloc(sram->regions, room * sizeof(*regions));

		if (!regions) {
			sram->failed = true;
			return;
		}
		sram->regions = regions;
		sram->room = room;
	}
	sram->regions[sram->count++] = *region;
}

/* Fill in what @operand is if something is known to lie at @address. */
static void sram_look_up(const struct sram *sram, uint32_t address, struct tile_operand *operand)
{
	for (size_t i = 0; i < sram->count && !operand->matrix; i++) {
		const struct region *r = &sram->regions[i];
		uint32_t offset = address - r->start;
		uint32_t row = r->rows > 1 ? offset / r->pitch : 0;
		uint32_t col = (r->rows > 1 ? offset % r->pitch : offset) / r->width;

		if (address < r->start || row >= r->rows || col >= r->cols)
			continue;
		operand->matrix = r->first.matrix;
		operand->row = r->first.row + row;
		operand->col = r->first.col + col;
	}
}

/* ---------------------------------------------------------------- commands */

static struct tile_operand find_va(const struct placement *placements, uint64_t va)
{
	struct tile_operand operand = {.role = "memory"};

	for (int i = 0; i < NUM_OPERANDS; i++) {
		const struct placement *p = &placements[i];
		uint64_t words = (va - p->va) / p->width;

		if (va < p->va || words >= (uint64_t)p->rows * p->cols)
			continue;
		operand.matrix = p;
		operand.row = words / p->cols;
		operand.col = words % p->cols;
	}
	return operand;
}

static struct region dma_region(const struct igrad_cmd *cmd, const struct placement *placements)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;

	return (struct region){
		.start = le32toh(dma->sram),
		.pitch = le32toh(dma->sram_pitch),
		.rows = le32toh(dma->rows),
		.cols = le32toh(dma->cols),
		.width = le16toh(cmd->flags) & IGRAD_FLAG_BF16 ? 2 : 4,
		.first = find_va(placements, le64toh(dma->va)),
	};
}

static void add(struct tile *tile, const char *role, const struct sram *sram, uint32_t address)
{
	struct tile_operand *operand = &tile->operands[tile->num++];

	if (!operand->role)
		operand->role = role;
	sram_look_up(sram, le32toh(address), operand);
}

static void add_array(struct tile *tile, const struct sram *sram, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_array *array = &cmd->u.array;
	bool streams = cmd->opcode >= IGRAD_OP_FPROP && cmd->opcode <= IGRAD_OP_INTERLEAVED;

	if (cmd->opcode == IGRAD_OP_UPDATE || cmd->opcode == IGRAD_OP_SCALE_ACC ||
	    cmd->opcode == IGRAD_OP_WINDOW)
		return;
	if (streams && cmd->opcode != IGRAD_OP_DGRAD)
		add(tile, "x", sram, array->x);
	if (streams && cmd->opcode != IGRAD_OP_FPROP)
		add(tile, "g", sram, array->g);
	if (cmd->opcode != IGRAD_OP_WGRAD)
		add(tile, "p", sram, array->p);
}

static void add_vector(struct tile *tile, const struct sram *sram, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_vec *vec = &cmd->u.vec;

	if (cmd->opcode >= IGRAD_OP_VEC_POOL_MAX) {
		add(tile, "a", sram, cmd->u.pool.a);
		add(tile, "d", sram, cmd->u.pool.d);
		return;
	}
	if (cmd->opcode != IGRAD_OP_VEC_FILL)
		add(tile, "a", sram, vec->a);
	if (cmd->opcode == IGRAD_OP_VEC_BIAS || cmd->opcode == IGRAD_OP_VEC_RELU_GRAD ||
	    cmd->opcode == IGRAD_OP_VEC_AXPY || cmd->opcode == IGRAD_OP_VEC_SGD ||
	    cmd->opcode == IGRAD_OP_VEC_ADD || cmd->opcode == IGRAD_OP_VEC_MUL ||
	    cmd->opcode == IGRAD_OP_VEC_NORM_SUMS || cmd->opcode == IGRAD_OP_VEC_NORM_GRAD)
		add(tile, "b", sram, vec->b);
	if (cmd->opcode == IGRAD_OP_VEC_ADAM) {
		add(tile, "m", sram, vec->b);
		add(tile, "v", sram, vec->imm2);
	}
	add(tile, "d", sram, vec->d);
}

static void look_up(struct tile *tile, const struct sram *sram, const struct event *event)
{
	tile->num = 0;
	if (event->cmd.opcode == IGRAD_OP_NOP)
		return;
	if (event->engine == IGRAD_ENGINE_ARRAY)
		add_array(tile, sram, &event->cmd);
	else if (event->engine == IGRAD_ENGINE_VECTOR)
		add_vector(tile, sram, &event->cmd);
}

/*
 * Forward, by what was loaded; then backward, by what will be stored. A block that was stored has
 * made room for another, of which its next store will tell.
 */
static void pass(const struct record *record, const struct placement *placements,
		 struct tile *tiles, struct sram *sram, bool backward)
{
	enum igrad_opcode known = backward ? IGRAD_OP_DMA_STORE : IGRAD_OP_DMA_LOAD;

	sram->count = 0;
	for (size_t n = 0; n < record->count; n++) {
		size_t i = backward ? record->count - 1 - n : n;
		const struct event *event = &record->events[i];
		struct region region;

		if (event->cmd.opcode != IGRAD_OP_DMA_LOAD &&
		    event->cmd.opcode != IGRAD_OP_DMA_STORE) {
			look_up(&tiles[i], sram, event);
			continue;
		}
		region = dma_region(&event->cmd, placements);
		tiles[i].operands[0] = region.first;
		tiles[i].num = 1;
		if (event->cmd.opcode == known)
			sram_add(sram, &region);
		else
			sram_remove(sram, &region);
	}
}

struct tile *tiles_find(const struct record *record, const struct placement *placements)
{
	struct tile *tiles = calloc(record->count + 1, sizeof(*tiles));
	struct sram sram = {0};

	if (!tiles)
		return NULL;
	pass(record, placements, tiles, &sram, false);
	pass(record, placements, tiles, &sram, true);
	free(sram.regions);
	if (!sram.failed)
		return tiles;
	free(tiles);
	return NULL;
}
