/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_RING_H__
#define __IGRAD_RING_H__

#include <linux/bits.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <igrad/hw.h>

struct igrad_batch;
struct igrad_device;
struct igrad_job;

/* Registers that a coredump shows. */
#define IGRAD_DUMP_REGS		9

/*
 * One job executes, the others have been fetched; more single ones in the ring would only defeat
 * priorities. Jobs in batches may be more, see struct igrad_batch.
 */
#define IGRAD_RING_JOBS		(1 + IGRAD_RING_PREFETCH)
#define IGRAD_RING_LOG2		5
#define IGRAD_RING_ENTRIES	BIT(IGRAD_RING_LOG2)

enum igrad_ring_state {
	/** @IGRAD_RING_PAUSED: jobs are taken, but the device does not see them yet */
	IGRAD_RING_PAUSED,
	/** @IGRAD_RING_RUNNING: as it should be */
	IGRAD_RING_RUNNING,
	/** @IGRAD_RING_DEAD: the device is going, gone or beyond recovery; jobs are refused */
	IGRAD_RING_DEAD,
};

/**
 * struct igrad_ring - the jobs that were handed to the device
 * @state: what may be done
 * @dead_error: errno of all further jobs, once dead
 * @quiet: once dead: the device does no DMA any more
 * @resume: the device stops, or has stopped, behind a failed job
 * @desc: descriptors
 * @desc_dma: their bus address
 * @cq: completions
 * @cq_dma: their bus address
 * @jobs: in the order of execution, with consecutive indices
 * @tail: index of the next one
 * @since: when the oldest job began to execute, as far as the driver knows
 * @progress: jiffies when something was last seen to happen
 * @started: RING_STARTED then
 * @retired: RETIRED then
 * @resets: how often the device was reset since the last completion, with no job to blame
 * @regs: see igrad_dump_registers()
 * @next_dump: jiffies before which there is no further coredump
 */
struct igrad_ring {
	/**
	 * @lock: protects all below, how the device's queues are doing, and the register RETIRED;
	 * taken in interrupt threads and processes
	 */
	spinlock_t lock;
	enum igrad_ring_state state;
	int dead_error;
	bool quiet;
	bool resume;

	struct igrad_desc *desc;
	dma_addr_t desc_dma;
	struct igrad_completion *cq;
	dma_addr_t cq_dma;

	struct list_head jobs;
	u32 tail;

	ktime_t since;
	unsigned long progress;
	u32 started;
	u64 retired;
	unsigned int resets;

	u32 regs[IGRAD_DUMP_REGS];
	unsigned long next_dump;
};

/* Where the entry with an index, which only grows, lies. */
static inline u32 igrad_ring_slot(u32 index)
{
	return index & (IGRAD_RING_ENTRIES - 1);
}

/* Is an entry among the first @started ones? Both may have wrapped around. */
static inline bool igrad_ring_has_begun(u32 started, u32 index)
{
	return (s32)(started - index) > 0;
}

int igrad_ring_init(struct igrad_device *idev);
int igrad_ring_push(struct igrad_device *idev, struct igrad_batch *batch);
void igrad_ring_refuse(struct igrad_device *idev, struct igrad_batch *batch, int error);
bool igrad_ring_process(struct igrad_device *idev, bool ask);
bool igrad_ring_is_stuck(struct igrad_device *idev);
void igrad_ring_pause(struct igrad_device *idev);
bool igrad_ring_settle(struct igrad_device *idev, const u32 *started, int blame);
void igrad_ring_start(struct igrad_device *idev);
int igrad_ring_restart(struct igrad_device *idev, const u32 *started, int blame);
void igrad_ring_close(struct igrad_device *idev, int error);
void igrad_ring_kill(struct igrad_device *idev, int error);
int igrad_ring_error(struct igrad_device *idev);
bool igrad_ring_is_quiet(struct igrad_device *idev);

#endif /* __IGRAD_RING_H__ */
