/* SPDX-License-Identifier: MIT */
/*
 * A job between two commands, to be saved and to go on elsewhere. Whoever writes the stream may be
 * an enemy: every number that is later used as an index, a size or a time is checked as it comes
 * in.
 */
#include <errno.h>

#include "internal.h"

#define FORMAT_VERSION 1
#define END_MARK       0x64617267u

/* A job means the same only on a device that is built the same. Threads and clock change nothing.
 */
static void transfer_config(struct igrad_core *core, struct igrad_serial *serial)
{
	igrad_serial_same(serial, FORMAT_VERSION);
	igrad_serial_same(serial, core->config.rows);
	igrad_serial_same(serial, core->config.cols);
	igrad_serial_same(serial, core->config.overlap);
	igrad_serial_same(serial, core->config.sram_bytes);
	igrad_serial_same(serial, core->config.dram_bytes_per_cycle);
	igrad_serial_same(serial, core->config.dram_latency);
	igrad_serial_same(serial, core->config.timing_only);
}

static bool sound_result(const struct igrad_core *core, uint32_t status, uint32_t reason,
			 uint32_t engine)
{
	if (status > IGRAD_STATUS_SKIPPED || reason > IGRAD_REASON_ECC ||
	    engine >= IGRAD_NUM_ENGINES || core->result.command > core->next)
		return false;
	if (!core->ended)
		return status == IGRAD_STATUS_OK && reason == IGRAD_REASON_NONE;
	return !status == !reason || status == IGRAD_STATUS_SKIPPED;
}

static void transfer_result(struct igrad_core *core, struct igrad_serial *serial)
{
	struct igrad_result *result = &core->result;
	uint32_t status = result->status, reason = result->reason, engine = result->engine;

	igrad_serial_u32(serial, &status);
	igrad_serial_u32(serial, &reason);
	igrad_serial_u32(serial, &engine);
	igrad_serial_u32(serial, &result->command);
	igrad_serial_u64(serial, &result->addr);
	if (!igrad_serial_check(serial, sound_result(core, status, reason, engine)))
		return;
	result->status = (enum igrad_status)status;
	result->reason = (enum igrad_reason)reason;
	result->engine = (enum igrad_engine)engine;
}

/* A descriptor that was refused or skipped is not looked into any more. */
static bool sound_progress(const struct igrad_core *core)
{
	const struct igrad_desc *desc = &core->desc;

	if (core->page_count > IGRAD_CMDS_PER_PAGE)
		return false;
	if (core->result.reason == IGRAD_REASON_DESC || core->result.status == IGRAD_STATUS_SKIPPED)
		return core->ended && !core->next && !core->page_count && !core->page_first;
	if (igrad_check_desc(desc) || (desc->flags & IGRAD_DESC_SKIP))
		return false;
	return core->next <= desc->num_cmds && (core->ended || core->next < desc->num_cmds) &&
	       core->page_first <= core->next && core->page_count <= desc->num_cmds &&
	       core->page_first <= desc->num_cmds - core->page_count;
}

static void transfer_progress(struct igrad_core *core, struct igrad_serial *serial)
{
	igrad_serial_bytes(serial, &core->desc, sizeof(core->desc));
	igrad_serial_bool(serial, &core->ended);
	igrad_serial_u32(serial, &core->next);
	transfer_result(core, serial);
	igrad_serial_u32(serial, &core->page_first);
	igrad_serial_u32(serial, &core->page_count);
	if (!igrad_serial_check(serial, sound_progress(core)))
		return;
	igrad_serial_bytes(serial, core->page, core->page_count * sizeof(core->page[0]));
	igrad_serial_bytes(serial, &core->counters, sizeof(core->counters));
}

static void transfer(struct igrad_core *core, struct igrad_serial *serial)
{
	transfer_config(core, serial);
	transfer_progress(core, serial);
	igrad_timing_transfer(&core->timing, serial, core->next, core->config.sram_bytes);
	igrad_hazards_transfer(&core->hazards, serial, core->next, core->config.sram_bytes);
	igrad_array_transfer(&core->array, &core->config, serial);
	igrad_sram_transfer(&core->sram, serial);
	igrad_serial_same(serial, END_MARK);
}

/* --------------------------------------------------------------------------------------------- */
/* Both directions */
/* --------------------------------------------------------------------------------------------- */

struct writer {
	int (*write)(void *opaque, const void *bytes, size_t len);
	void *opaque;
};

static int move_out(void *opaque, void *bytes, size_t len)
{
	struct writer *writer = opaque;

	return writer->write(writer->opaque, bytes, len);
}

int igrad_core_save(struct igrad_core *core,
		    int (*write)(void *opaque, const void *bytes, size_t len), void *opaque)
{
	struct writer writer = {.write = write, .opaque = opaque};
	struct igrad_serial serial = {.move = move_out, .opaque = &writer};

	igrad_backlog_close(core->backlog);
	transfer(core, &serial);
	return serial.failed ? -EIO : 0;
}

/* As before the first job: also after half a checkpoint, where the array may hold anything. */
static void blank(struct igrad_core *core)
{
	core->array.dirty = true;
	igrad_core_clear(core);
}

int igrad_core_restore(struct igrad_core *core, int (*read)(void *opaque, void *bytes, size_t len),
		       void *opaque, const struct igrad_space *space)
{
	struct igrad_serial serial = {.move = read, .opaque = opaque, .loading = true};

	blank(core);
	transfer(core, &serial);
	if (serial.failed) {
		blank(core);
		return -EINVAL;
	}
	core->space = *space;
	return 0;
}
