/* SPDX-License-Identifier: MIT */
/*
 * The DMA engines: rows of words between the job's address space and SRAM, a chunk at a time. Words
 * are of 32 bits or bf16 on either side, and converted where the sides differ.
 */
#include "internal.h"

/* A run of words that is contiguous on both sides. */
struct run {
	uint64_t va;
	uint8_t *sram;
	size_t words;
};

static bool cancelled(struct igrad_core *core)
{
	return atomic_load_explicit(&core->cancelled, memory_order_relaxed);
}

static bool converts(const struct igrad_cmd *cmd)
{
	return !(cmd->flags & IGRAD_FLAG_BF16) != !(cmd->flags & IGRAD_FLAG_MEM_BF16);
}

/* Bytes of a word. */
static size_t in_sram(const struct igrad_cmd *cmd)
{
	return cmd->flags & IGRAD_FLAG_BF16 ? 2 : 4;
}

static size_t in_memory(const struct igrad_cmd *cmd)
{
	return cmd->flags & IGRAD_FLAG_MEM_BF16 ? 2 : 4;
}

static int load_chunk(struct igrad_core *core, const struct igrad_cmd *cmd, uint64_t va,
		      uint8_t *sram, size_t words, struct igrad_fault *fault)
{
	const size_t len = words * in_memory(cmd);
	const void *raw = core->bounce;

	if (!converts(cmd))
		return igrad_space_read(&core->space, va, sram, len, fault);
	if (igrad_space_read(&core->space, va, core->bounce, len, fault))
		return -1;
	if (cmd->flags & IGRAD_FLAG_BF16)
		core->kernels->narrow((uint16_t *)(void *)sram, raw, words);
	else
		core->kernels->widen((float *)(void *)sram, raw, words);
	return 0;
}

static int store_chunk(struct igrad_core *core, const struct igrad_cmd *cmd, uint64_t va,
		       uint8_t *sram, size_t words, struct igrad_fault *fault)
{
	const size_t len = words * in_memory(cmd);
	void *raw = core->bounce;

	if (!converts(cmd))
		return igrad_space_write(&core->space, va, sram, len, fault);
	if (cmd->flags & IGRAD_FLAG_BF16)
		core->kernels->widen(raw, (const uint16_t *)(const void *)sram, words);
	else
		core->kernels->narrow(raw, (const float *)(const void *)sram, words);
	return igrad_space_write(&core->space, va, core->bounce, len, fault);
}

static int move_run(struct igrad_core *core, const struct igrad_cmd *cmd, struct run run,
		    struct igrad_fault *fault)
{
	const size_t most = IGRAD_DMA_CHUNK / in_memory(cmd);

	while (run.words && !cancelled(core)) {
		const size_t words = run.words < most ? run.words : most;

		if (cmd->opcode == IGRAD_OP_DMA_LOAD
			    ? load_chunk(core, cmd, run.va, run.sram, words, fault)
			    : store_chunk(core, cmd, run.va, run.sram, words, fault))
			return -1;
		run.va += words * in_memory(cmd);
		run.sram += words * in_sram(cmd);
		run.words -= words;
	}
	return 0;
}

/* Rows that follow each other without a gap on both sides are one run. */
static uint32_t runs_of(const struct igrad_cmd *cmd, struct run *run)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;

	run->words = dma->cols;
	if (dma->pitch != run->words * in_memory(cmd) ||
	    dma->sram_pitch != run->words * in_sram(cmd) || dma->fill_cols)
		return dma->rows;
	run->words *= dma->rows;
	return 1;
}

static int each_run(struct igrad_core *core, const struct igrad_cmd *cmd, struct igrad_fault *fault)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;
	struct run run = {.va = dma->va, .sram = core->sram.bytes + dma->sram};
	const uint32_t runs = runs_of(cmd, &run);

	for (uint32_t i = 0; i < runs && !cancelled(core); i++) {
		if (move_run(core, cmd, run, fault))
			return -1;
		if (i + 1 < runs) {
			run.va += dma->pitch;
			run.sram += dma->sram_pitch;
		}
	}
	return 0;
}

static void fill(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;
	const size_t row = dma->cols * in_sram(cmd);
	const size_t behind = dma->fill_cols * in_sram(cmd);
	uint8_t *sram = core->sram.bytes + dma->sram;

	for (uint32_t i = 0; behind && i < dma->rows; i++)
		memset(sram + (size_t)i * dma->sram_pitch + row, 0, behind);
	for (uint64_t i = dma->rows; i < (uint64_t)dma->rows + dma->fill_rows; i++)
		memset(sram + i * dma->sram_pitch, 0, row + behind);
}

int igrad_dma_load(struct igrad_core *core, const struct igrad_cmd *cmd, struct igrad_fault *fault)
{
	if (each_run(core, cmd, fault))
		return -1;
	fill(core, cmd);
	return 0;
}

int igrad_dma_store(struct igrad_core *core, const struct igrad_cmd *cmd, struct igrad_fault *fault)
{
	return each_run(core, cmd, fault);
}
