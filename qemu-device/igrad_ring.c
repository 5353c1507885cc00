/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring: fetches descriptors, hands them to the worker one at a time and
 * tells their outcome. Everything happens in one bottom half, which does a
 * bounded number of steps and then lets others run.
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "igrad.h"
#include "trace.h"

/* Fetches, starts and completions in one run of the bottom half. */
#define IGRAD_RING_STEPS 64

/* An enabled ring with these registers could work. */
bool igrad_ring_valid(const IgradState *s)
{
    return s->ring_order >= IGRAD_RING_MIN_LOG2 &&
           s->ring_order <= IGRAD_RING_MAX_LOG2 &&
           QEMU_IS_ALIGNED(s->ring_base, sizeof(struct igrad_desc)) &&
           QEMU_IS_ALIGNED(s->cq_base, sizeof(struct igrad_completion));
}

static uint32_t igrad_ring_size(const IgradState *s)
{
    return 1u << s->ring_order;
}

/* A job is executing, or its outcome is still to be told. */
bool igrad_ring_busy(IgradState *s)
{
    return s->held || !igrad_worker_idle(&s->worker);
}

void igrad_ring_forget_queue(IgradState *s)
{
    s->fetched = s->started;
}

static void igrad_ring_fail(IgradState *s, const char *why)
{
    trace_igrad_fatal(s->name, why);
    stat64_add(&s->stats.fatal, 1);
    s->fatal = true;
    s->held = false;
    timer_del(s->delay);
    igrad_ring_forget_queue(s);
    igrad_worker_abort(&s->worker);
    igrad_irq_raise(s, IGRAD_IRQ_FATAL);
}

/*
 * What registers do
 */

void igrad_ring_enable(IgradState *s)
{
    trace_igrad_ring_enable(s->name, s->ring_base, s->cq_base, s->ring_order);
    s->enabled = true;
    if (s->fatal) {
        return;
    }
    if (igrad_ring_busy(s)) {
        igrad_ring_fail(s, "enabled while a job is executing");
        return;
    }
    s->stopped = false;
    s->tail = s->fetched = s->started = s->done = 0;
    if (!igrad_ring_valid(s)) {
        igrad_ring_fail(s, "enabled with a bad size or address");
    }
}

void igrad_ring_disable(IgradState *s)
{
    trace_igrad_ring_disable(s->name);
    s->enabled = false;
    igrad_ring_forget_queue(s);
}

void igrad_ring_doorbell(IgradState *s, uint32_t tail)
{
    trace_igrad_doorbell(s->name, tail);
    if (!s->enabled) {
        s->tail = tail;
        return;
    }
    if (s->fatal) {
        return;
    }
    /* Neither backwards nor into entries that are still in use. */
    if (tail - s->done > igrad_ring_size(s) ||
        tail - s->done < s->tail - s->done) {
        igrad_ring_fail(s, "tail out of range");
        return;
    }
    s->tail = tail;
    qemu_bh_schedule(s->ring_bh);
}

void igrad_ring_resume(IgradState *s)
{
    if (!s->enabled || !s->stopped || s->fatal) {
        return;
    }
    trace_igrad_resume(s->name, s->started);
    s->stopped = false;
    qemu_bh_schedule(s->ring_bh);
}

/*
 * Completion
 */

/* The stamp last, so that a completion with the right stamp is complete. */
static bool igrad_completion_write(IgradState *s,
                                   const struct igrad_result *result)
{
    const size_t body = offsetof(struct igrad_completion, stamp);
    uint32_t slot = s->done & (igrad_ring_size(s) - 1);
    uint64_t addr = s->cq_base + slot * sizeof(struct igrad_completion);
    struct igrad_completion c = {
        .seqno = cpu_to_le64(s->seqno),
        .addr = cpu_to_le64(result->addr),
        .status = cpu_to_le16(result->status),
        .reason = cpu_to_le16(result->reason),
        .command = cpu_to_le32(result->command),
        .stamp = cpu_to_le32(s->done + 1),
    };

    if (igrad_inject_take(&s->inject.completion_drop)) {
        trace_igrad_inject(s->name, "completion dropped");
        return true;
    }
    if (!igrad_dma(PCI_DEVICE(s), addr, &c, body, DMA_DIRECTION_FROM_DEVICE)) {
        return false;
    }
    smp_wmb(); /* after the rest, for whoever polls for the stamp */
    return igrad_dma(PCI_DEVICE(s), addr + body, &c.stamp, sizeof(c.stamp),
                     DMA_DIRECTION_FROM_DEVICE);
}

static void igrad_ring_complete(IgradState *s,
                                const struct igrad_result *result, bool quiet)
{
    uint32_t causes = IGRAD_IRQ_COMPLETION;

    trace_igrad_complete(s->name, s->done, s->seqno, result->status,
                         result->reason, result->command, result->addr);
    if (!igrad_completion_write(s, result)) {
        igrad_ring_fail(s, "completion not written");
        return;
    }
    s->done++;
    if (result->status == IGRAD_STATUS_OK) {
        stat64_add(&s->stats.jobs_ok, 1);
        if (quiet) {
            return;
        }
    } else if (result->status == IGRAD_STATUS_SKIPPED) {
        stat64_add(&s->stats.jobs_skipped, 1);
    } else {
        stat64_add(&s->stats.jobs_failed, 1);
        trace_igrad_stopped(s->name, s->started);
        s->stopped = true;
        igrad_ring_forget_queue(s);
        causes |= IGRAD_IRQ_STOPPED;
    }
    igrad_irq_raise(s, causes);
}

/* A year is for ever, and cannot overflow. */
#define IGRAD_FOREVER_NS 32000000000000000ll

/* When may an outcome be told that took this many cycles? */
static int64_t igrad_due_ns(const IgradState *s, uint64_t cycles)
{
    double ns = (double)cycles * NANOSECONDS_PER_SECOND / s->config.clock_hz;
    int64_t delay = MIN(s->inject.completion_delay, IGRAD_FOREVER_NS);
    int64_t end = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    if (s->realtime) {
        end = MAX(end, s->start_ns + (int64_t)MIN(ns, IGRAD_FOREVER_NS));
    }
    return end + delay;
}

/* Take over the outcome of a job that has ended. */
void igrad_collect(IgradState *s)
{
    if (!igrad_worker_take(&s->worker, &s->outcome)) {
        return;
    }
    trace_igrad_job_end(s->name, s->seqno, s->outcome.cycles);
    s->held = true;
    if (s->realtime || s->inject.completion_delay) {
        timer_mod(s->delay, igrad_due_ns(s, s->outcome.cycles));
    }
}

static bool igrad_outcome_due(const IgradState *s)
{
    return s->held && !timer_pending(s->delay);
}

/*
 * Start and fetch
 */

static struct igrad_desc *igrad_queue_slot(IgradState *s, uint32_t index)
{
    return &s->queue[index % IGRAD_RING_PREFETCH];
}

static bool igrad_ring_fetch(IgradState *s)
{
    uint32_t slot = s->fetched & (igrad_ring_size(s) - 1);
    uint64_t addr = s->ring_base + slot * sizeof(struct igrad_desc);

    trace_igrad_fetch(s->name, s->fetched, addr);
    if (!igrad_dma(PCI_DEVICE(s), addr, igrad_queue_slot(s, s->fetched),
                   sizeof(struct igrad_desc), DMA_DIRECTION_TO_DEVICE)) {
        igrad_ring_fail(s, "descriptor not readable");
        return false;
    }
    s->fetched++;
    return true;
}

static void igrad_ring_start(IgradState *s)
{
    const struct igrad_desc *desc = igrad_queue_slot(s, s->started);

    s->seqno = le64_to_cpu(desc->seqno);
    trace_igrad_start(s->name, s->started, s->seqno,
                      le64_to_cpu(desc->pt_root), le64_to_cpu(desc->cmds),
                      le32_to_cpu(desc->num_cmds), le32_to_cpu(desc->flags));
    s->started++;
    if (le32_to_cpu(desc->flags) & IGRAD_DESC_SKIP) {
        const struct igrad_result skipped = { .status = IGRAD_STATUS_SKIPPED };

        igrad_ring_complete(s, &skipped, false);
        return;
    }
    stat64_add(&s->stats.jobs_started, 1);
    s->start_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    igrad_worker_start(&s->worker, desc);
}

/* One step; false when there is nothing to do for now. */
static bool igrad_ring_step(IgradState *s)
{
    bool runnable = s->enabled && !s->stopped && !s->fatal;

    igrad_collect(s);
    if (igrad_outcome_due(s)) {
        s->held = false;
        igrad_ring_complete(s, &s->outcome.result, s->outcome.quiet);
        return true;
    }
    if (!runnable) {
        return false;
    }
    if (!igrad_ring_busy(s) && s->fetched != s->started) {
        igrad_ring_start(s);
        return true;
    }
    if (s->fetched == s->tail ||
        s->fetched - s->started == IGRAD_RING_PREFETCH) {
        return false;
    }
    return igrad_ring_fetch(s);
}

/* A reset ends when the worker has dropped its job. */
bool igrad_reset_pending(IgradState *s)
{
    if (s->resetting && igrad_worker_idle(&s->worker)) {
        igrad_worker_forget(&s->worker);
        igrad_power_on_values(s); /* a last command may have retired */
        s->resetting = false;
        trace_igrad_reset_end(s->name);
    }
    return s->resetting;
}

void igrad_ring_bh(void *opaque)
{
    IgradState *s = opaque;
    int steps;

    igrad_update_activity(s);
    if (igrad_reset_pending(s) || !s->active) {
        return;
    }
    igrad_worker_poll(&s->worker);
    for (steps = 0; steps < IGRAD_RING_STEPS; steps++) {
        if (!igrad_ring_step(s)) {
            return;
        }
    }
    qemu_bh_schedule(s->ring_bh);
}
