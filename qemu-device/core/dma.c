/* SPDX-License-Identifier: MIT */
/* The DMA engines: rows of words between the job's address space and SRAM, a chunk at a time. */
#include "internal.h"

/* A run of bytes that is contiguous on both sides. */
struct run {
	uint64_t va;
	uint8_t *sram;
	size_t len;
};

static bool cancelled(struct igrad_core *core)
{
	return atomic_load_explicit(&core->cancelled, memory_order_relaxed);
}

static size_t chunk_of(size_t len)
{
	return len < IGRAD_DMA_CHUNK ? len : IGRAD_DMA_CHUNK;
}

static int load_run(struct igrad_core *core, struct run run, struct igrad_fault *fault)
{
	while (run.len && !cancelled(core)) {
		const size_t len = chunk_of(run.len);

		if (igrad_space_read(&core->space, run.va, run.sram, len, fault))
			return -1;
		run.va += len;
		run.sram += len;
		run.len -= len;
	}
	return 0;
}

static int store_run(struct igrad_core *core, struct run run, struct igrad_fault *fault)
{
	while (run.len && !cancelled(core)) {
		const size_t len = chunk_of(run.len);

		if (igrad_space_write(&core->space, run.va, run.sram, len, fault))
			return -1;
		run.va += len;
		run.sram += len;
		run.len -= len;
	}
	return 0;
}

/* Rows that follow each other without a gap on both sides are one run. */
static uint32_t runs_of(const struct igrad_cmd_dma *dma, struct run *run)
{
	const size_t row = (size_t)dma->cols * 4;

	if (dma->pitch == row && dma->sram_pitch == row && !dma->fill_cols) {
		run->len = row * dma->rows;
		return 1;
	}
	run->len = row;
	return dma->rows;
}

static int each_run(struct igrad_core *core, const struct igrad_cmd_dma *dma,
		    int (*fn)(struct igrad_core *core, struct run run, struct igrad_fault *fault),
		    struct igrad_fault *fault)
{
	struct run run = {.va = dma->va, .sram = core->sram.bytes + dma->sram};
	const uint32_t runs = runs_of(dma, &run);

	for (uint32_t i = 0; i < runs && !cancelled(core); i++) {
		if (fn(core, run, fault))
			return -1;
		if (i + 1 < runs) {
			run.va += dma->pitch;
			run.sram += dma->sram_pitch;
		}
	}
	return 0;
}

static void fill(struct igrad_core *core, const struct igrad_cmd_dma *dma)
{
	const size_t row = (size_t)dma->cols * 4;
	const size_t behind = (size_t)dma->fill_cols * 4;
	uint8_t *sram = core->sram.bytes + dma->sram;

	for (uint32_t i = 0; behind && i < dma->rows; i++)
		memset(sram + (size_t)i * dma->sram_pitch + row, 0, behind);
	for (uint64_t i = dma->rows; i < (uint64_t)dma->rows + dma->fill_rows; i++)
		memset(sram + i * dma->sram_pitch, 0, row + behind);
}

int igrad_dma_load(struct igrad_core *core, const struct igrad_cmd *cmd, struct igrad_fault *fault)
{
	if (each_run(core, &cmd->u.dma, load_run, fault))
		return -1;
	fill(core, &cmd->u.dma);
	return 0;
}

int igrad_dma_store(struct igrad_core *core, const struct igrad_cmd *cmd, struct igrad_fault *fault)
{
	return each_run(core, &cmd->u.dma, store_run, fault);
}
