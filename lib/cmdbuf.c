/* SPDX-License-Identifier: MIT */
/* Command buffers: commands are appended here, ordered by what they touch. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "cmdbuf.h"

int igrad_cmdbuf_new(struct igrad_device *device, struct igrad_cmdbuf **cmdbuf)
{
	struct igrad_cmdbuf *new = calloc(1, sizeof(*new));

	*cmdbuf = NULL;
	if (!new)
		return -ENOMEM;
	igrad_tracker_init(&new->sram, 0);
	igrad_tracker_init(&new->dram, IGRAD_PAGE_SHIFT);
	atomic_init(&new->refs, 1);
	new->device = igrad_device_ref(device);
	*cmdbuf = new;
	return 0;
}

struct igrad_cmdbuf *igrad_cmdbuf_ref(struct igrad_cmdbuf *cmdbuf)
{
	igrad_get(&cmdbuf->refs);
	return cmdbuf;
}

static void drop_buffers(struct igrad_cmdbuf *cmdbuf)
{
	for (uint32_t i = 0; i < cmdbuf->num_buffers; i++)
		igrad_buffer_unref(cmdbuf->buffers[i].buffer);
	cmdbuf->num_buffers = 0;
	cmdbuf->last_buffer = 0;
}

void igrad_cmdbuf_unref(struct igrad_cmdbuf *cmdbuf)
{
	if (!cmdbuf || !igrad_put(&cmdbuf->refs))
		return;
	for (uint32_t i = 0; i < cmdbuf->num_in_flight; i++)
		igrad_fence_unref(cmdbuf->in_flight[i]);
	free(cmdbuf->in_flight);
	drop_buffers(cmdbuf);
	free(cmdbuf->buffers);
	free(cmdbuf->uses);
	igrad_buffer_unref(cmdbuf->device_cmds);
	igrad_tracker_fini(&cmdbuf->sram);
	igrad_tracker_fini(&cmdbuf->dram);
	igrad_order_fini(&cmdbuf->order);
	free(cmdbuf->cmds);
	igrad_device_unref(cmdbuf->device);
	free(cmdbuf);
}

/* ---------------------------------------------------------------- appending */

static int make_room(struct igrad_cmdbuf *cmdbuf)
{
	struct igrad_cmd *grown;
	uint32_t room;

	if (cmdbuf->num_cmds < cmdbuf->room)
		return 0;
	if (cmdbuf->num_cmds == IGRAD_MAX_COMMANDS)
		return -E2BIG;
	room = cmdbuf->room ? 2 * cmdbuf->room : 256;
	grown = realloc(cmdbuf->cmds, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	cmdbuf->cmds = grown;
	cmdbuf->room = room;
	return 0;
}

static int add_buffer(struct igrad_cmdbuf *cmdbuf, struct igrad_buffer *buffer)
{
	struct igrad_use *entry;

	if (buffer->device != cmdbuf->device)
		return -EINVAL;
	if (cmdbuf->num_buffers == cmdbuf->buffers_room) {
		uint32_t room = cmdbuf->buffers_room ? 2 * cmdbuf->buffers_room : 16;

		entry = realloc(cmdbuf->buffers, room * sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		cmdbuf->buffers = entry;
		cmdbuf->buffers_room = room;
	}
	entry = &cmdbuf->buffers[cmdbuf->num_buffers];
	*entry = (struct igrad_use){igrad_buffer_ref(buffer), false, false};
	cmdbuf->last_buffer = cmdbuf->num_buffers++;
	return 0;
}

static int find_buffer(struct igrad_cmdbuf *cmdbuf, struct igrad_buffer *buffer,
		       struct igrad_use **entry)
{
	int ret;

	/* Commands mostly name the buffer that the one before named. */
	for (uint32_t i = 0; i < cmdbuf->num_buffers; i++) {
		uint32_t index = (cmdbuf->last_buffer + i) % cmdbuf->num_buffers;

		if (cmdbuf->buffers[index].buffer == buffer) {
			cmdbuf->last_buffer = index;
			*entry = &cmdbuf->buffers[index];
			return 0;
		}
	}
	ret = add_buffer(cmdbuf, buffer);
	*entry = &cmdbuf->buffers[cmdbuf->last_buffer];
	return ret;
}

static int track(struct igrad_tracker *tracker, uint64_t end,
		 const struct igrad_operand_use *operand, enum igrad_engine engine,
		 const struct igrad_order *order, uint32_t need[])
{
	struct igrad_access access = {
		.region = operand->region,
		.number = order->issued[engine] + 1,
		.engine = engine,
		.write = operand->write,
	};

	if (igrad_region_end(&operand->region) > end)
		return -ERANGE;
	return igrad_tracker_access(tracker, &access, igrad_order_ended(order, engine)->ended,
				    need);
}

/* Makes u.dma.va an address and notes what is touched in the buffer. */
static int track_dram(struct igrad_cmdbuf *cmdbuf, struct igrad_command_use *use,
		      struct igrad_buffer *buffer, struct igrad_cmd *cmd, uint32_t need[])
{
	uint64_t offset = le64toh(cmd->u.dma.va);
	struct igrad_use *entry;
	int ret;

	if (offset >= buffer->size)
		return -ERANGE;
	ret = find_buffer(cmdbuf, buffer, &entry);
	if (ret)
		return ret;
	/* Buffers have addresses of their own for as long as they are held. */
	use->dram.region.start = buffer->va + offset;
	ret = track(&cmdbuf->dram, buffer->va + buffer->size, &use->dram, use->engine,
		    &cmdbuf->order, need);
	if (ret)
		return ret;
	entry->write |= use->dram.write;
	entry->read |= !use->dram.write;
	cmd->u.dma.va = htole64(buffer->va + offset);
	return 0;
}

static int emit(struct igrad_cmdbuf *cmdbuf, struct igrad_cmd *cmd, struct igrad_buffer *buffer)
{
	uint32_t need[IGRAD_NUM_ENGINES] = {0};
	struct igrad_command_use use;
	int ret;

	ret = igrad_command_use(cmd, &cmdbuf->window, &use);
	if (ret)
		return ret;
	if (use.dma != !!buffer)
		return -EINVAL;
	ret = make_room(cmdbuf);
	if (ret)
		return ret;
	if (buffer) {
		ret = track_dram(cmdbuf, &use, buffer, cmd, need);
		if (ret)
			return ret;
	}
	for (unsigned int i = 0; i < use.num_sram; i++) {
		ret = track(&cmdbuf->sram, cmdbuf->device->info.sram_bytes, &use.sram[i],
			    use.engine, &cmdbuf->order, need);
		if (ret)
			return ret;
	}
	ret = igrad_order_issue(&cmdbuf->order, use.engine, need, cmd);
	if (ret)
		return ret;
	if (cmd->opcode == IGRAD_OP_WINDOW)
		cmdbuf->window = cmd->u.window;
	cmdbuf->cmds[cmdbuf->num_cmds++] = *cmd;
	return 0;
}

int igrad_cmdbuf_emit(struct igrad_cmdbuf *cmdbuf, const struct igrad_cmd *cmd,
		      struct igrad_buffer *buffer)
{
	struct igrad_cmd copy = *cmd;

	if (cmdbuf->err)
		return cmdbuf->err;
	memset(copy.wait_sem, 0, sizeof(copy.wait_sem));
	memset(copy.wait_value, 0, sizeof(copy.wait_value));
	copy.tag = htole32(cmdbuf->tag);
	cmdbuf->err = emit(cmdbuf, &copy, buffer);
	return cmdbuf->err;
}

void igrad_cmdbuf_set_tag(struct igrad_cmdbuf *cmdbuf, uint32_t tag)
{
	cmdbuf->tag = tag;
}

uint32_t igrad_cmdbuf_length(const struct igrad_cmdbuf *cmdbuf)
{
	return cmdbuf->num_cmds;
}

/* ---------------------------------------------------------------- submitting */

static void drop_ended(struct igrad_cmdbuf *cmdbuf)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < cmdbuf->num_in_flight; i++) {
		if (igrad_fence_ended(cmdbuf->in_flight[i]))
			igrad_fence_unref(cmdbuf->in_flight[i]);
		else
			cmdbuf->in_flight[kept++] = cmdbuf->in_flight[i];
	}
	cmdbuf->num_in_flight = kept;
}

int igrad_cmdbuf_reset(struct igrad_cmdbuf *cmdbuf)
{
	drop_ended(cmdbuf);
	if (cmdbuf->num_in_flight)
		return -EBUSY;
	drop_buffers(cmdbuf);
	igrad_tracker_reset(&cmdbuf->sram);
	igrad_tracker_reset(&cmdbuf->dram);
	igrad_order_reset(&cmdbuf->order);
	cmdbuf->num_cmds = 0;
	cmdbuf->sram_next = 0;
	cmdbuf->window = (struct igrad_cmd_window){0};
	cmdbuf->uploaded = 0;
	cmdbuf->tag = 0;
	cmdbuf->err = 0;
	return 0;
}

/*
 * Commands that a job in flight may still be fetching are never written again: new ones go behind
 * them, or all of them into a larger buffer.
 */
static int upload(struct igrad_cmdbuf *cmdbuf)
{
	uint32_t num = cmdbuf->num_cmds;
	struct igrad_buffer *buffer = cmdbuf->device_cmds;

	if (!buffer || buffer->size < num * sizeof(*cmdbuf->cmds)) {
		int ret = igrad_buffer_new(cmdbuf->device, cmdbuf->room * sizeof(*cmdbuf->cmds),
					   &buffer);

		if (ret)
			return ret;
		igrad_buffer_unref(cmdbuf->device_cmds);
		cmdbuf->device_cmds = buffer;
		cmdbuf->uploaded = 0;
	}
	memcpy((struct igrad_cmd *)buffer->map + cmdbuf->uploaded, cmdbuf->cmds + cmdbuf->uploaded,
	       (num - cmdbuf->uploaded) * sizeof(*cmdbuf->cmds));
	cmdbuf->uploaded = num;
	return 0;
}

int igrad_cmdbuf_prepare(struct igrad_cmdbuf *cmdbuf, struct igrad_queue *queue)
{
	struct igrad_fence **in_flight;

	if (cmdbuf->err)
		return cmdbuf->err;
	if (!cmdbuf->num_cmds || queue->device != cmdbuf->device)
		return -EINVAL;
	drop_ended(cmdbuf);
	in_flight = realloc(cmdbuf->in_flight, (cmdbuf->num_in_flight + 1) * sizeof(*in_flight));
	if (!in_flight)
		return -ENOMEM;
	cmdbuf->in_flight = in_flight;
	return upload(cmdbuf);
}

int igrad_cmdbuf_job(struct igrad_cmdbuf *cmdbuf, struct igrad_buffer *report,
		     struct igrad_job *job)
{
	uint32_t num = cmdbuf->num_buffers;
	struct igrad_use *uses = realloc(cmdbuf->uses, (num + 2) * sizeof(*uses));

	if (!uses)
		return -ENOMEM;
	cmdbuf->uses = uses;
	for (uint32_t i = 0; i < num; i++)
		uses[i] = cmdbuf->buffers[i];
	uses[num] = (struct igrad_use){cmdbuf->device_cmds, true, false};
	uses[num + 1] = (struct igrad_use){report, false, true};

	job->cmds = cmdbuf->device_cmds->va;
	job->num_cmds = cmdbuf->num_cmds;
	job->uses = uses;
	job->num_uses = num + 2;
	return 0;
}

void igrad_cmdbuf_in_flight(struct igrad_cmdbuf *cmdbuf, struct igrad_fence *fence)
{
	/* Jobs of a queue end in order, so its last one says it all. */
	for (uint32_t i = 0; i < cmdbuf->num_in_flight; i++) {
		if (cmdbuf->in_flight[i]->queue == fence->queue) {
			igrad_fence_unref(cmdbuf->in_flight[i]);
			cmdbuf->in_flight[i] = fence;
			return;
		}
	}
	cmdbuf->in_flight[cmdbuf->num_in_flight++] = fence;
}
