/* SPDX-License-Identifier: MIT */
/*
 * The DMA engines: rows of words between the job's address space and SRAM, a chunk at a time. Words
 * are of 32 bits or bf16 on either side, and converted where the sides differ.
 */
#include "internal.h"

/* Rows of words: each contiguous on both sides. */
struct run {
	uint64_t va;
	uint8_t *sram;
	size_t words;
	uint32_t rows;
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

/* The rows as they are in memory: in SRAM itself, or where they are converted. */
static struct igrad_rows rows_of(struct igrad_core *core, const struct igrad_cmd *cmd,
				 const struct run *run)
{
	const size_t len = run->words * in_memory(cmd);

	return (struct igrad_rows){
		.va = run->va,
		.pitch = cmd->u.dma.pitch,
		.bytes = converts(cmd) ? core->bounce : run->sram,
		.stride = converts(cmd) ? len : cmd->u.dma.sram_pitch,
		.len = len,
		.rows = run->rows,
	};
}

static void convert(struct igrad_core *core, const struct igrad_cmd *cmd, const struct run *run,
		    bool load)
{
	const size_t len = run->words * in_memory(cmd);

	for (uint32_t i = 0; i < run->rows; i++) {
		uint8_t *memory = core->bounce + i * len;
		uint8_t *sram = run->sram + (size_t)i * cmd->u.dma.sram_pitch;
		void *to = load ? sram : memory;
		const void *from = load ? memory : sram;

		if (!(cmd->flags & IGRAD_FLAG_BF16) == load)
			core->kernels->widen(to, from, run->words);
		else
			core->kernels->narrow(to, from, run->words);
	}
}

static int move_piece(struct igrad_core *core, const struct igrad_cmd *cmd, const struct run *run,
		      struct igrad_fault *fault)
{
	const bool load = cmd->opcode == IGRAD_OP_DMA_LOAD;
	const struct igrad_rows rows = rows_of(core, cmd, run);

	if (!load && converts(cmd))
		convert(core, cmd, run, load);
	if (igrad_space_rows(&core->space, &rows, !load, fault))
		return -1;
	if (load && converts(cmd))
		convert(core, cmd, run, load);
	return 0;
}

/* A row that is longer than a chunk, in pieces */
static int move_row(struct igrad_core *core, const struct igrad_cmd *cmd, struct run run,
		    struct igrad_fault *fault)
{
	const size_t most = IGRAD_DMA_CHUNK / in_memory(cmd);

	run.rows = 1;
	for (size_t left = run.words; left && !cancelled(core); left -= run.words) {
		run.words = left < most ? left : most;
		if (move_piece(core, cmd, &run, fault))
			return -1;
		run.va += run.words * in_memory(cmd);
		run.sram += run.words * in_sram(cmd);
	}
	return 0;
}

/* Rows that follow each other without a gap on both sides are one. */
static struct run run_of(struct igrad_core *core, const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_dma *dma = &cmd->u.dma;
	struct run run = {dma->va, core->sram.bytes + dma->sram, dma->cols, dma->rows};

	if (dma->pitch == run.words * in_memory(cmd) &&
	    dma->sram_pitch == run.words * in_sram(cmd) && !dma->fill_cols) {
		run.words *= dma->rows;
		run.rows = 1;
	}
	return run;
}

/*
 * How many rows move together, if the space can do that: alone, short ones would each go a long way
 * behind an IOMMU. None, if one alone is more than a chunk.
 */
static uint32_t together(const struct igrad_core *core, const struct igrad_cmd *cmd,
			 const struct run *run)
{
	const size_t fit = IGRAD_DMA_CHUNK / (run->words * in_memory(cmd));
	const uint32_t most = core->space.rows ? IGRAD_DMA_ROWS : 1;
	const uint32_t rows = run->rows < most ? run->rows : most;

	return fit < rows ? (uint32_t)fit : rows;
}

static int move_all(struct igrad_core *core, const struct igrad_cmd *cmd, struct igrad_fault *fault)
{
	struct run run = run_of(core, cmd);
	uint32_t left = run.rows;

	for (uint32_t n; left && !cancelled(core); left -= n) {
		run.rows = left;
		n = together(core, cmd, &run);
		run.rows = n;
		if (n ? move_piece(core, cmd, &run, fault) : move_row(core, cmd, run, fault))
			return -1;
		n = n ? n : 1;
		run.va += (uint64_t)n * cmd->u.dma.pitch;
		run.sram += (uint64_t)n * cmd->u.dma.sram_pitch;
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
	if (move_all(core, cmd, fault))
		return -1;
	fill(core, cmd);
	return 0;
}

int igrad_dma_store(struct igrad_core *core, const struct igrad_cmd *cmd, struct igrad_fault *fault)
{
	return move_all(core, cmd, fault);
}
