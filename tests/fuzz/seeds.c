/* SPDX-License-Identifier: MIT */
/* Where fuzzers begin: checkpoints of a job after each of its commands. usage: fuzz-seeds DIRECTORY
 */
#include <stdio.h>

#include "fuzz.h"

static int save(void *opaque, const void *from, size_t len)
{
	return fwrite(from, 1, len, opaque) == len ? 0 : -1;
}

static const struct igrad_cmd cmds[] = {
	{.opcode = IGRAD_OP_DMA_LOAD,
	 .signal = 1,
	 .u.dma = {.va = VA_DATA, .pitch = 64, .sram_pitch = 64, .rows = 60, .cols = 16}},
	{.opcode = IGRAD_OP_LOAD_W,
	 .wait_sem = {1},
	 .wait_value = {1},
	 .u.array = {.rows = 5, .cols = 4, .p = 0, .p_pitch = 64}},
	{.opcode = IGRAD_OP_INTERLEAVED,
	 .flags = IGRAD_FLAG_ADD | IGRAD_FLAG_KEEP,
	 .signal = 2,
	 .u.array = {.rows = 5,
		     .cols = 4,
		     .batch = 20,
		     .x = 0,
		     .x_pitch = 64,
		     .g = 32,
		     .g_pitch = 64,
		     .p = 8192,
		     .p_pitch = 64}},
	{.opcode = IGRAD_OP_WINDOW,
	 .u.window = {.height = 4,
		      .width = 5,
		      .out_height = 4,
		      .out_width = 5,
		      .stride_y = 1,
		      .stride_x = 1,
		      .group_rows = 2,
		      .group_cols = 3}},
	{.opcode = IGRAD_OP_INTERLEAVED,
	 .flags = IGRAD_FLAG_ADD | IGRAD_FLAG_KEEP | IGRAD_FLAG_WINDOW | IGRAD_FLAG_GROUPS,
	 .signal = 2,
	 .u.array = {.rows = 5,
		     .cols = 4,
		     .batch = 20,
		     .x = 0,
		     .x_pitch = 64,
		     .g = 32,
		     .g_pitch = 64,
		     .p = 8192,
		     .p_pitch = 64,
		     .tap = IGRAD_TAP(-1, 1)}},
	{.opcode = IGRAD_OP_DRAIN_ACC,
	 .signal = 2,
	 .u.array = {.rows = 5, .cols = 4, .p = 12288, .p_pitch = 64}},
	{.opcode = IGRAD_OP_DMA_STORE,
	 .wait_sem = {2},
	 .wait_value = {3},
	 .u.dma = {.va = VA_DATA,
		   .pitch = 64,
		   .sram = 8192,
		   .sram_pitch = 64,
		   .rows = 20,
		   .cols = 5}},
};

#define COUNT (sizeof(cmds) / sizeof(cmds[0]))

int main(int argc, char **argv)
{
	struct machine *machine = machine_of(0);
	const struct igrad_desc desc = {.cmds = VA_CMDS, .num_cmds = COUNT, .report = VA_REPORT};
	const struct igrad_space space = igrad_mmu_space(machine->mmu, BUS_ROOT);

	machine_tables(machine);
	memcpy(machine->bus + VA_CMDS, cmds, sizeof(cmds));
	igrad_core_begin(machine->core, &desc, &space);
	for (unsigned int i = 0; argc > 1 && i <= COUNT; i++) {
		char path[4096];
		FILE *file;

		snprintf(path, sizeof(path), "%s/seed-%u", argv[1], i);
		file = fopen(path, "wb");
		if (!file || igrad_core_save(machine->core, save, file) || fclose(file)) {
			perror(path);
			return 1;
		}
		igrad_core_step(machine->core);
	}
	return 0;
}
