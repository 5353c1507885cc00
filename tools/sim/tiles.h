/* SPDX-License-Identifier: MIT */
/*
 * Which part of which operand a command works on. Commands name addresses in SRAM only; what lies
 * there follows from the DMA commands around them.
 */
#ifndef IGRAD_SIM_TILES_H
#define IGRAD_SIM_TILES_H

#include "record.h"

#define TILE_OPERANDS 4

/** struct tile_operand - a part of an operand; @matrix NULL: nobody knows */
struct tile_operand {
	const char *role; /* of the command: "x", "g", "p", "a", "b", "d", or "memory" */
	const struct placement *matrix;
	uint32_t row;
	uint32_t col;
};

/** struct tile - of an event; @num of its operands, those not known among them */
struct tile {
	struct tile_operand operands[TILE_OPERANDS];
	unsigned int num;
};

/** tiles_find - of each event of a record, in one block, for free(); NULL without memory */
struct tile *tiles_find(const struct record *record, const struct placement *placements);

/** opcode_name - "INTERLEAVED" */
const char *opcode_name(enum igrad_opcode opcode);

#endif /* IGRAD_SIM_TILES_H */
