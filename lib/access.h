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

/* igrad_command_use - -EINVAL for an unknown opcode or engine, or an empty operand */
int igrad_command_use(const struct igrad_cmd *cmd, struct igrad_command_use *use);

#endif /* IGRAD_ACCESS_H */
