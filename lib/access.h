/* SPDX-License-Identifier: MIT */
/* What a command reads and writes, worked out from its operands. */
#ifndef IGRAD_ACCESS_H
#define IGRAD_ACCESS_H

#include "igrad/hw.h"
#include "region.h"

#define IGRAD_MAX_OPERANDS 5

struct igrad_operand_use {
	struct igrad_region region;
	bool write; /* or read and write */
};

/**
 * struct igrad_command_use - the engine a command runs on and the memory it touches
 * @dram: of DMA commands, relative to u.dma.va; DMA_LOAD reads it, DMA_STORE writes it
 */
struct igrad_command_use {
	enum igrad_engine engine;
	unsigned int num_sram;
	struct igrad_operand_use sram[IGRAD_MAX_OPERANDS];
	bool dma;
	struct igrad_operand_use dram;
};

/**
 * igrad_command_use - work out what a command touches
 * @window: as the last IGRAD_OP_WINDOW before it has it; zero: there was none
 *
 * Returns 0, -EINVAL for an unknown opcode or engine, an empty operand, IGRAD_FLAG_WINDOW when
 * there is no window, IGRAD_FLAG_GROUPS when it has none, or -ERANGE.
 */
int igrad_command_use(const struct igrad_cmd *cmd, const struct igrad_cmd_window *window,
		      struct igrad_command_use *use);

#endif /* IGRAD_ACCESS_H */
