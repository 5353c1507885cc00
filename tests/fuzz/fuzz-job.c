/* SPDX-License-Identifier: MIT */
/*
 * Jobs: the fuzzer's bytes are commands, changes of the page tables, and bytes anywhere in memory,
 * where the job's own stores may overwrite commands and tables too. Whatever they are, the job ends
 * with an outcome that makes sense, moving to another core in the middle changes nothing of it, and
 * the next job finds nothing of it.
 */
#include "fuzz.h"

#define MOST_CMDS 48

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t opcodes[] = {0x00, 0x10, 0x11, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26,
				  0x27, 0x28, 0x29, 0x2a, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45,
				  0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f,
				  0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0xff};

/* Fields that mostly pass the checks: the interesting part is behind them. */
static void tame_dma(struct igrad_cmd *cmd)
{
	cmd->u.dma.va = VA_DATA + cmd->u.dma.va % (BUS_BYTES - VA_DATA + 8192) / 4 * 4;
	cmd->u.dma.rows = cmd->u.dma.rows % 80 + 1;
	cmd->u.dma.cols = cmd->u.dma.cols % 40 + 1;
	cmd->u.dma.sram = cmd->u.dma.sram % 12288 / 4 * 4;
	cmd->u.dma.pitch = cmd->u.dma.cols * 4 + cmd->u.dma.pitch % 5000 / 4 * 4;
	cmd->u.dma.fill_rows %= 3;
	cmd->u.dma.fill_cols %= 3;
	cmd->u.dma.sram_pitch = (cmd->u.dma.cols + cmd->u.dma.fill_cols) * 4 +
				cmd->u.dma.sram_pitch % 64 / 4 * 4;
	cmd->u.dma.reserved = 0;
	if (cmd->opcode == IGRAD_OP_DMA_STORE)
		cmd->u.dma.fill_rows = cmd->u.dma.fill_cols = 0;
}

static void tame_window(struct igrad_cmd_window *window)
{
	const struct igrad_cmd_window wild = *window;

	*window = (struct igrad_cmd_window){
		.height = (uint16_t)(wild.height % 6 + 1),
		.width = (uint16_t)(wild.width % 6 + 1),
		.out_height = (uint16_t)(wild.out_height % 6 + 1),
		.out_width = (uint16_t)(wild.out_width % 6 + 1),
		.stride_y = (uint16_t)(wild.stride_y % 3 + 1),
		.stride_x = (uint16_t)(wild.stride_x % 3 + 1),
		.group_rows = (uint16_t)(wild.group_rows % 4 + 1),
		.group_cols = (uint16_t)(wild.group_cols % 4 + 1),
	};
}

static void tame_array(struct igrad_cmd *cmd)
{
	struct igrad_cmd_array *a = &cmd->u.array;
	const bool streams = cmd->opcode >= IGRAD_OP_FPROP && cmd->opcode <= IGRAD_OP_INTERLEAVED;
	const bool windowed = streams && cmd->flags & IGRAD_FLAG_WINDOW;

	a->rows = (uint16_t)(a->rows % 5 + 1);
	a->cols = (uint16_t)(a->cols % 4 + 1);
	a->batch = streams ? a->batch % 40 + 1 : 0;
	a->x = a->x % 4096 / 4 * 4;
	a->g = 4096 + a->g % 4096 / 4 * 4;
	a->p = 8192 + a->p % 4096 / 4 * 4;
	a->x_pitch = 64 + a->x_pitch % 32 / 4 * 4;
	a->g_pitch = 64 + a->g_pitch % 32 / 4 * 4;
	a->p_pitch = 64 + a->p_pitch % 32 / 4 * 4;
	if (cmd->opcode == IGRAD_OP_DGRAD || !streams)
		a->x = a->x_pitch = 0;
	if (cmd->opcode == IGRAD_OP_FPROP || !streams)
		a->g = a->g_pitch = 0;
	if (cmd->opcode == IGRAD_OP_WGRAD || cmd->opcode == IGRAD_OP_UPDATE ||
	    cmd->opcode == IGRAD_OP_SCALE_ACC)
		a->p = a->p_pitch = 0;
	if (windowed) {
		a->tap = IGRAD_TAP(IGRAD_TAP_Y(a->tap) % 8, IGRAD_TAP_X(a->tap) % 8);
		a->first %= 40;
		return;
	}
	if (cmd->opcode != IGRAD_OP_UPDATE)
		a->lr = 0;
	if (cmd->opcode != IGRAD_OP_SCALE_ACC && !(cmd->flags & IGRAD_FLAG_DECAY))
		a->keep = 0;
}

static void tame_vec(struct igrad_cmd *cmd)
{
	struct igrad_cmd_vec *v = &cmd->u.vec;

	v->rows = v->rows % 20 + 1;
	v->cols = v->cols % 16 + 1;
	v->a = v->a % 4096 / 4 * 4;
	v->b = 4096 + v->b % 4096 / 4 * 4;
	v->d = 8192 + v->d % 4096 / 4 * 4;
	v->a_pitch = v->b_pitch = v->d_pitch = 64;
	if (cmd->opcode == IGRAD_OP_VEC_SOFTMAX_XENT)
		v->imm2 = 12288 + v->imm2 % 1024 / 4 * 4;
	if (cmd->opcode == IGRAD_OP_VEC_ADAM) {
		v->imm = v->imm % 4096 / 4 * 4;
		v->imm2 = 12288 + v->imm2 % 4096 / 4 * 4;
	}
	if (cmd->opcode >= IGRAD_OP_VEC_NORM && cmd->opcode <= IGRAD_OP_VEC_NORM_GRAD) {
		v->imm = v->imm % 2048 / 4 * 4;
		v->imm2 = 64 + v->imm2 % 128 / 4 * 4;
	}
	if (cmd->opcode == IGRAD_OP_VEC_COLSQ || cmd->opcode == IGRAD_OP_VEC_DROPOUT)
		v->b_pitch = 0;
	if (cmd->opcode == IGRAD_OP_VEC_COLSQ)
		v->d_pitch = 0;
}

static uint16_t side(uint16_t wild, unsigned int most)
{
	return (uint16_t)(wild % most + 1);
}

static void tame_pool(struct igrad_cmd *cmd)
{
	struct igrad_cmd_pool *p = &cmd->u.pool;
	const bool has_b = cmd->opcode == IGRAD_OP_VEC_POOL_MAX_GRAD ||
			   cmd->flags & IGRAD_FLAG_INDEX;

	*p = (struct igrad_cmd_pool){
		.height = side(p->height, 7),
		.width = side(p->width, 7),
		.out_height = side(p->out_height, 5),
		.out_width = side(p->out_width, 5),
		.kernel_y = side(p->kernel_y, 4),
		.kernel_x = side(p->kernel_x, 4),
		.stride_y = side(p->stride_y, 3),
		.stride_x = side(p->stride_x, 3),
		.tap = IGRAD_TAP(IGRAD_TAP_Y(p->tap) % 4, IGRAD_TAP_X(p->tap) % 4),
		.images = p->images % 3 + 1,
		.cols = p->cols % 8 + 1,
		.a = p->a % 4096 / 4 * 4,
		.b = has_b ? 12288 + p->b % 4096 / 4 * 4 : 0,
		.d = 8192 + p->d % 4096 / 4 * 4,
	};
}

static void add_command(struct machine *machine, struct bytes *bytes, unsigned int index,
			uint32_t how)
{
	struct igrad_cmd cmd;

	take(bytes, &cmd, sizeof(cmd));
	if (how & 1) { /* else as it is */
		cmd.opcode = opcodes[cmd.opcode % sizeof(opcodes)];
		cmd.flags &= how & 2 ? 0x3ff : 0;
		cmd.engine = cmd.opcode ? 0 : cmd.engine % 5;
		cmd.signal %= 33;
		for (unsigned int i = 0; i < IGRAD_NUM_WAITS; i++) {
			cmd.wait_sem[i] = how & 4 ? cmd.wait_sem[i] % 6 : 0;
			cmd.wait_value[i] = cmd.wait_sem[i] ? cmd.wait_value[i] % 8 + 1 : 0;
		}
		if (!cmd.opcode)
			memset(&cmd.u, 0, sizeof(cmd.u));
		else if (cmd.opcode < IGRAD_OP_LOAD_W)
			tame_dma(&cmd);
		else if (cmd.opcode == IGRAD_OP_WINDOW)
			tame_window(&cmd.u.window);
		else if (cmd.opcode < IGRAD_OP_VEC_FILL)
			tame_array(&cmd);
		else if (cmd.opcode >= IGRAD_OP_VEC_POOL_MAX)
			tame_pool(&cmd);
		else
			tame_vec(&cmd);
	}
	memcpy(machine->bus + VA_CMDS + index * sizeof(cmd), &cmd, sizeof(cmd));
}

static void change_table(struct machine *machine, struct bytes *bytes)
{
	const uint32_t at = take_u32(bytes) % VA_REPORT / 8 * 8;
	uint64_t entry;

	take(bytes, &entry, sizeof(entry));
	if (entry & 8) /* mostly inside the memory */
		entry &= (BUS_BYTES - 1) & ~0xff8u;
	memcpy(machine->bus + at, &entry, sizeof(entry));
}

static void change_memory(struct machine *machine, struct bytes *bytes)
{
	const uint32_t at = take_u32(bytes) % (BUS_BYTES - 64);

	take(bytes, machine->bus + at, take_u32(bytes) % 64);
}

static void fill(struct machine *machine, struct bytes *bytes, struct igrad_desc *desc)
{
	unsigned int n = 0;

	machine_tables(machine);
	memset(machine->bus + VA_REPORT, 0xff, VA_DATA - VA_REPORT);
	for (uint32_t i = VA_DATA; i < BUS_BYTES; i++)
		machine->bus[i] = (uint8_t)(i * 31);
	while (bytes->left && n < MOST_CMDS) {
		const uint32_t how = take_u32(bytes);

		if (how % 8 == 7)
			change_table(machine, bytes);
		else if (how % 16 == 6)
			change_memory(machine, bytes);
		else
			add_command(machine, bytes, n++, how >> 8);
	}
	desc->num_cmds = n;
}

static void sensible(const struct igrad_result *result, const struct igrad_desc *desc)
{
	check(result->status <= IGRAD_STATUS_SKIPPED);
	check((result->status == IGRAD_STATUS_OK || result->status == IGRAD_STATUS_SKIPPED) ==
	      (result->reason == IGRAD_REASON_NONE));
	check(result->engine < IGRAD_NUM_ENGINES);
	check(result->command <= desc->num_cmds);
	if (result->status == IGRAD_STATUS_OK)
		check(result->command == desc->num_cmds);
}

static void finish(struct machine *machine, struct igrad_result *result)
{
	while (igrad_core_step(machine->core))
		;
	check(igrad_core_finish(machine->core, result));
}

/* --------------------------------------------------------------------------------------------- */
/* The same job with a move in the middle */
/* --------------------------------------------------------------------------------------------- */

static uint8_t saved[1 << 20];
static size_t saved_len, saved_at;

static int save(void *opaque, const void *from, size_t len)
{
	(void)opaque;
	if (len > sizeof(saved) - saved_len)
		return -1;
	memcpy(saved + saved_len, from, len);
	saved_len += len;
	return 0;
}

static int load(void *opaque, void *into, size_t len)
{
	(void)opaque;
	if (len > saved_len - saved_at)
		return -1;
	memcpy(into, saved + saved_at, len);
	saved_at += len;
	return 0;
}

static void move_after(struct machine *from, struct machine *to, unsigned int steps)
{
	struct igrad_space space;

	while (steps-- && igrad_core_step(from->core))
		;
	saved_len = saved_at = 0;
	check(!igrad_core_save(from->core, save, NULL));
	memcpy(to->bus, from->bus, sizeof(to->bus));
	space = igrad_mmu_space(to->mmu, igrad_core_desc(from->core)->pt_root);
	check(!igrad_core_restore(to->core, load, NULL, &space));
	check(saved_at == saved_len);
}

/* SRAM and registers of the next job are zero. */
static void check_scrubbed(struct machine *machine)
{
	const struct igrad_cmd cmd = {.opcode = IGRAD_OP_DMA_STORE,
				      .u.dma = {.va = VA_DATA,
						.pitch = 16384,
						.sram_pitch = 16384,
						.rows = 1,
						.cols = 4096}};
	const struct igrad_desc desc = {.cmds = VA_CMDS, .num_cmds = 1};
	struct igrad_space space;
	struct igrad_result result;

	machine_tables(machine);
	igrad_mmu_flush(machine->mmu, IGRAD_MMU_EVERY_ROOT);
	memcpy(machine->bus + VA_CMDS, &cmd, sizeof(cmd));
	memset(machine->bus + VA_DATA, 0xff, 16384);
	space = igrad_mmu_space(machine->mmu, BUS_ROOT);
	igrad_core_begin(machine->core, &desc, &space);
	finish(machine, &result);
	check(result.status == IGRAD_STATUS_OK);
	for (unsigned int i = 0; i < 16384; i++)
		check(!machine->bus[VA_DATA + i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	const uint32_t head = take_u32(&bytes);
	struct machine *stays = machine_of(head % 4), *moves = machine_of(head % 4 + 4);
	struct igrad_desc desc = {.cmds = VA_CMDS, .report = head & 16 ? VA_REPORT : 0};
	struct igrad_result result, again;
	struct igrad_space space;

	fill(stays, &bytes, &desc);
	if (head & 32)
		take(&bytes, (uint8_t *)&desc + (head >> 8) % 56, 8);
	memcpy(moves->bus, stays->bus, sizeof(moves->bus));

	igrad_mmu_flush(stays->mmu, IGRAD_MMU_EVERY_ROOT);
	space = igrad_mmu_space(stays->mmu, desc.pt_root);
	igrad_core_begin(stays->core, &desc, &space);
	if (desc.num_cmds > IGRAD_MAX_COMMANDS / 1024 && desc.num_cmds <= IGRAD_MAX_COMMANDS)
		return 0; /* longer than a fuzzer wants to wait */
	finish(stays, &result);
	sensible(&result, &desc);

	/* moves->core begins, and what was in stays->core continues it */
	igrad_mmu_flush(stays->mmu, IGRAD_MMU_EVERY_ROOT);
	igrad_mmu_flush(moves->mmu, IGRAD_MMU_EVERY_ROOT);
	{
		static uint8_t expected[BUS_BYTES];

		memcpy(expected, stays->bus, sizeof(expected));
		space = igrad_mmu_space(moves->mmu, desc.pt_root);
		igrad_core_begin(moves->core, &desc, &space);
		move_after(moves, stays, (head >> 16) % MOST_CMDS);
		/* translations that were cached are not: stores to tables take effect at once */
		finish(stays, &again);
		if (!memcmp(expected, stays->bus, VA_REPORT) || !(head & 64))
			check(again.status <= IGRAD_STATUS_SKIPPED);
		if (!memcmp(expected, moves->bus, VA_REPORT) &&
		    !memcmp(expected, stays->bus, VA_REPORT)) {
			check(again.status == result.status && again.reason == result.reason);
			check(!memcmp(expected, stays->bus, sizeof(expected)));
		}
	}
	check_scrubbed(stays);
	check_scrubbed(moves);
	return 0;
}
