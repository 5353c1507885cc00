/* SPDX-License-Identifier: MIT */
/* Command buffers, as the submission of jobs sees them. */
#ifndef IGRAD_CMDBUF_H
#define IGRAD_CMDBUF_H

#include "backend.h"
#include "order.h"
#include "tracker.h"

/**
 * struct igrad_cmdbuf - commands, and what ordering and submitting them needs
 * @err: the first error; sticks until reset
 * @device_cmds: where the first @uploaded commands have a copy for the device
 * @uses: room for the buffers of a job, and for the commands and the report
 * @sram_next: where the next operation's SRAM begins
 * @window: as the last IGRAD_OP_WINDOW has it
 * @in_flight: the last submission to each queue
 */
struct igrad_cmdbuf {
	atomic_uint refs;
	struct igrad_device *device;
	int err;
	uint32_t tag;

	struct igrad_cmd *cmds;
	uint32_t num_cmds, room;

	struct igrad_use *buffers;
	uint32_t num_buffers, buffers_room, last_buffer;

	struct igrad_tracker sram, dram;
	struct igrad_order order;
	uint32_t sram_next;
	struct igrad_cmd_window window;

	struct igrad_buffer *device_cmds;
	uint32_t uploaded;

	struct igrad_use *uses;

	struct igrad_fence **in_flight;
	uint32_t num_in_flight;
};

/* igrad_cmdbuf_prepare - all that can fail before a submission to @queue */
int igrad_cmdbuf_prepare(struct igrad_cmdbuf *cmdbuf, struct igrad_queue *queue);

/* igrad_cmdbuf_job - the job that runs the prepared commands and writes to @report */
int igrad_cmdbuf_job(struct igrad_cmdbuf *cmdbuf, struct igrad_buffer *report,
		     struct igrad_job *job);

/* igrad_cmdbuf_in_flight - note a submission; takes over the caller's reference */
void igrad_cmdbuf_in_flight(struct igrad_cmdbuf *cmdbuf, struct igrad_fence *fence);

#endif /* IGRAD_CMDBUF_H */
