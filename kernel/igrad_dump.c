// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device coredumps: registers, ring, and commands of the job that failed, of no other. What is seen
 * is noted where jobs end, without waiting for memory; a worker makes text of it.
 */

#include <drm/drm_drv.h>
#include <linux/devcoredump.h>
#include <linux/highmem.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "igrad_dump.h"
#include "igrad_gem.h"
#include "igrad_hw.h"
#include "igrad_job.h"
#include "igrad_queue.h"

/* Around the one that failed. */
#define IGRAD_DUMP_COMMANDS	256
#define IGRAD_DUMP_WORDS	(sizeof(struct igrad_cmd) / sizeof(__le32))

/* Whoever makes jobs fail for fun gets no more than that. */
#define IGRAD_DUMP_INTERVAL	HZ

static const struct {
	const char *name;
	u32 offset;
} igrad_dump_regs[] = {
	{ "CTRL", IGRAD_REG_CTRL },
	{ "STATUS", IGRAD_REG_STATUS },
	{ "IRQ_STATUS", IGRAD_REG_IRQ_STATUS },
	{ "IRQ_ENABLE", IGRAD_REG_IRQ_ENABLE },
	{ "RING_TAIL", IGRAD_REG_RING_TAIL },
	{ "RING_STARTED", IGRAD_REG_RING_STARTED },
	{ "RING_DONE", IGRAD_REG_RING_DONE },
	{ "RETIRED_LO", IGRAD_REG_RETIRED_LO },
	{ "RETIRED_HI", IGRAD_REG_RETIRED_HI },
};

/**
 * struct igrad_dump - what was seen
 * @idev: device, of which it holds a reference
 * @work: makes text of it
 * @regs: by number in igrad_dump_regs
 * @desc: the ring
 * @cq: completions
 * @failure: how the job failed
 * @context: fence context of its queue
 * @first: index of the first command below
 * @count: number of commands below
 * @cmds: as they are in memory now
 */
struct igrad_dump {
	struct igrad_device *idev;
	struct work_struct work;
	u32 regs[IGRAD_DUMP_REGS];
	struct igrad_desc desc[IGRAD_RING_ENTRIES];
	struct igrad_completion cq[IGRAD_RING_ENTRIES];
	struct igrad_failure failure;
	u64 context;
	u32 first;
	u32 count;
	struct igrad_cmd cmds[];
};

struct igrad_dump_text {
	char *text;
	size_t size;
	size_t used;
};

static __printf(2, 3) void igrad_dump_print(struct igrad_dump_text *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	out->used += vscnprintf(out->text + out->used, out->size - out->used, fmt, args);
	va_end(args);
}

static void igrad_dump_words(struct igrad_dump_text *out, const char *name, u32 index,
			     const void *data, size_t size)
{
	const __le32 *words = data;
	size_t i;

	igrad_dump_print(out, "%s %u:", name, index);
	for (i = 0; i < size / sizeof(*words); i++)
		igrad_dump_print(out, " %08x", le32_to_cpu(words[i]));
	igrad_dump_print(out, "\n");
}

static void igrad_dump_write(const struct igrad_dump *dump, struct igrad_dump_text *out)
{
	u32 i;

	igrad_dump_print(out, "igrad device coredump, version 1\n");
	igrad_dump_print(out, "device: %s\n", dev_name(dump->idev->drm.dev));
	igrad_dump_print(out, "job: %llu:%llu error=%d command=%u reason=%#x addr=%#llx\n",
			 dump->context, dump->failure.seqno, dump->failure.error,
			 dump->failure.command, dump->failure.reason, dump->failure.addr);
	for (i = 0; i < ARRAY_SIZE(igrad_dump_regs); i++)
		igrad_dump_print(out, "register %s: %08x\n", igrad_dump_regs[i].name,
				 dump->regs[i]);
	for (i = 0; i < IGRAD_RING_ENTRIES; i++)
		igrad_dump_words(out, "descriptor", i, &dump->desc[i], sizeof(dump->desc[i]));
	for (i = 0; i < IGRAD_RING_ENTRIES; i++)
		igrad_dump_words(out, "completion", i, &dump->cq[i], sizeof(dump->cq[i]));
	for (i = 0; i < dump->count; i++)
		igrad_dump_words(out, "command", dump->first + i, &dump->cmds[i],
				 sizeof(dump->cmds[i]));
}

static void igrad_dump_work(struct work_struct *work)
{
	struct igrad_dump *dump = container_of(work, struct igrad_dump, work);
	struct igrad_device *idev = dump->idev;
	struct igrad_dump_text out = { .size = SZ_16K + dump->count * 16 * IGRAD_DUMP_WORDS };

	out.text = vzalloc(out.size);
	if (out.text) {
		igrad_dump_write(dump, &out);
		/* Takes the text over. Does nothing while nobody has read the last one. */
		dev_coredumpv(idev->drm.dev, out.text, out.used, GFP_KERNEL);
	}
	kfree(dump);
	drm_dev_put(&idev->drm);
}

/* One command, if it lies in a buffer of ours that the job lists. */
static bool igrad_dump_command(const struct igrad_job *job, u32 index, struct igrad_cmd *cmd)
{
	u64 va = job->cmds + (u64)index * sizeof(*cmd);
	u32 i;

	for (i = 0; i < job->num_bos; i++) {
		const struct igrad_mapping *mapping = job->bos[i].mapping;
		const struct drm_gem_shmem_object *shmem = &mapping->bo->base;
		u64 offset = va - mapping->va.start;

		if (va < mapping->va.start || offset >= shmem->base.size)
			continue;
		if (!shmem->pages)
			return false;
		/* It is as long as it is aligned: in one page. */
		memcpy_from_page((char *)cmd, shmem->pages[offset >> PAGE_SHIFT],
				 offset_in_page(offset), sizeof(*cmd));
		return true;
	}

	return false;
}

static void igrad_dump_commands(struct igrad_dump *dump, const struct igrad_job *job)
{
	u32 before = IGRAD_DUMP_COMMANDS / 2;

	dump->first = dump->failure.command > before ? dump->failure.command - before : 0;
	while (dump->count < IGRAD_DUMP_COMMANDS && dump->first + dump->count < job->num_cmds &&
	       igrad_dump_command(job, dump->first + dump->count, &dump->cmds[dump->count]))
		dump->count++;
}

/**
 * igrad_dump_registers() - note the registers, for a dump that may follow
 * @idev: device, between drm_dev_enter() and drm_dev_exit(); the caller holds the ring's lock
 */
void igrad_dump_registers(struct igrad_device *idev)
{
	unsigned int i;

	BUILD_BUG_ON(ARRAY_SIZE(igrad_dump_regs) != IGRAD_DUMP_REGS);

	lockdep_assert_held(&idev->ring.lock);

	for (i = 0; i < IGRAD_DUMP_REGS; i++)
		idev->ring.regs[i] = igrad_read(idev, igrad_dump_regs[i].offset);
}

/**
 * igrad_dump_job() - leave a coredump about a job that has failed
 * @idev: device; the caller holds the ring's lock
 * @job: job, still in the ring
 * @failure: how it failed
 */
void igrad_dump_job(struct igrad_device *idev, struct igrad_job *job,
		    const struct igrad_failure *failure)
{
	struct igrad_ring *ring = &idev->ring;
	struct igrad_dump *dump;

	lockdep_assert_held(&ring->lock);

	if (!IS_ENABLED(CONFIG_DEV_COREDUMP) || time_before(jiffies, ring->next_dump))
		return;
	dump = kzalloc(struct_size(dump, cmds, IGRAD_DUMP_COMMANDS), GFP_NOWAIT | __GFP_NOWARN);
	if (!dump)
		return;

	ring->next_dump = jiffies + IGRAD_DUMP_INTERVAL;
	memcpy(dump->regs, ring->regs, sizeof(dump->regs));
	memcpy(dump->desc, ring->desc, sizeof(dump->desc));
	memcpy(dump->cq, ring->cq, sizeof(dump->cq));
	dump->failure = *failure;
	dump->context = job->queue->fence_context;
	igrad_dump_commands(dump, job);
	drm_dev_get(&idev->drm);
	dump->idev = idev;
	INIT_WORK(&dump->work, igrad_dump_work);
	queue_work(igrad_release_wq, &dump->work);
}
