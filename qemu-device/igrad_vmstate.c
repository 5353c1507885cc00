/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migration. A job that is executing travels as the core's checkpoint between
 * two commands, in a subsection; the entries that were fetched and not started
 * in another. Whatever comes in is checked before it is used.
 */

#include "qemu/osdep.h"
#include "igrad_compat.h"
#include "qemu/error-report.h"
#include "hw/pci/msix.h"
#include "migration/vmstate.h"
#include "igrad.h"

static int igrad_pre_save(void *opaque)
{
    IgradState *s = opaque;
    const struct igrad_result *result = &s->outcome.result;

    if (s->resetting) {
        igrad_worker_drain(&s->worker);
        igrad_reset_pending(s);
    }
    igrad_worker_park(&s->worker);
    igrad_collect(s);
    s->saved.job = !igrad_worker_idle(&s->worker);
    s->saved.queued = s->fetched - s->started;
    s->saved.overlap = s->config.overlap;
    s->saved.retired = igrad_retired(s);
    s->saved.status = result->status;
    s->saved.reason = result->reason;
    s->saved.command = result->command;
    s->saved.addr = result->addr;
    return 0;
}

static int igrad_bad_state(const char *what)
{
    error_report("igrad: the incoming state has %s", what);
    return -EINVAL;
}

static int igrad_check_queue(const IgradState *s)
{
    if (!s->saved.queued) {
        return 0;
    }
    if (s->fatal || s->stopped || !s->enabled ||
        s->saved.queued > IGRAD_RING_PREFETCH ||
        s->saved.queued > s->tail - s->started) {
        return igrad_bad_state("entries that cannot have been fetched");
    }
    return 0;
}

static int igrad_check_ring(const IgradState *s)
{
    bool busy = s->held || s->saved.job;

    if ((s->fatal && busy) || (s->held && s->saved.job)) {
        return igrad_bad_state("an outcome that cannot be told");
    }
    if (s->fatal || (!s->enabled && !busy)) {
        return 0;
    }
    if (!igrad_ring_valid(s)) {
        return igrad_bad_state("a bad ring size or address");
    }
    if (s->started - s->done != (busy ? 1 : 0)) {
        return igrad_bad_state("bad ring indices");
    }
    /* The tail of a disabled ring means nothing. */
    if (s->enabled && (s->tail - s->done > 1u << s->ring_order ||
                       s->tail - s->started > s->tail - s->done)) {
        return igrad_bad_state("a bad ring tail");
    }
    return 0;
}

/* What subsections that may be missing would bring */
static int igrad_pre_load(void *opaque)
{
    IgradState *s = opaque;

    igrad_worker_drain(&s->worker);
    igrad_worker_forget(&s->worker);
    s->tlb_flushing = false;
    s->saved.queued = 0;
    s->saved.job = false;
    return 0;
}

static int igrad_post_load(void *opaque, int version_id)
{
    IgradState *s = opaque;

    if (s->saved.overlap != s->config.overlap) {
        return igrad_bad_state("another setting of overlap");
    }
    if ((s->irq_status | s->irq_enable) & ~IGRAD_IRQ_ALL) {
        return igrad_bad_state("unknown interrupts");
    }
    if (s->saved.status > UINT16_MAX || s->saved.reason > UINT16_MAX) {
        return igrad_bad_state("a bad outcome");
    }
    if (igrad_check_ring(s) || igrad_check_queue(s)) {
        return -EINVAL;
    }
    s->fetched = s->started + s->saved.queued;
    s->retired_base = igrad_core_retired(s->worker.core) - s->saved.retired;
    s->outcome.result.status = s->saved.status;
    s->outcome.result.reason = s->saved.reason;
    s->outcome.result.command = s->saved.command;
    s->outcome.result.addr = s->saved.addr;
    s->outcome.quiet = false;
    if (s->saved.job) {
        igrad_worker_go_on(&s->worker);
    }
    return 0;
}

/*
 * Subsections
 */

static bool igrad_queue_needed(void *opaque)
{
    IgradState *s = opaque;

    return s->saved.queued;
}

static const VMStateDescription igrad_vmstate_queue = {
    .name = TYPE_IGRAD "/queue",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = igrad_queue_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(saved.queued, IgradState),
        VMSTATE_BUFFER_UNSAFE(queue, IgradState, 0,
                              sizeof_field(IgradState, queue)),
        VMSTATE_END_OF_LIST()
    }
};

static int igrad_put_job(QEMUFile *f, void *pv, size_t size,
                         const VMStateField *field, JSONWriter *vmdesc)
{
    return igrad_worker_save(pv, f);
}

static int igrad_get_job(QEMUFile *f, void *pv, size_t size,
                         const VMStateField *field)
{
    IgradState *s = container_of(pv, IgradState, worker);

    if (igrad_worker_load(pv, f)) {
        return igrad_bad_state("a job that this device cannot go on with");
    }
    s->saved.job = true;
    return 0;
}

static const VMStateInfo igrad_vmstate_info_job = {
    .name = "igrad job",
    .get = igrad_get_job,
    .put = igrad_put_job,
};

static bool igrad_job_needed(void *opaque)
{
    IgradState *s = opaque;

    return s->saved.job;
}

static const VMStateDescription igrad_vmstate_job = {
    .name = TYPE_IGRAD "/job",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = igrad_job_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_INT64(start_ns, IgradState),
        {
            .name = "job",
            .info = &igrad_vmstate_info_job,
            .flags = VMS_SINGLE,
            .offset = offsetof(IgradState, worker),
        },
        VMSTATE_END_OF_LIST()
    }
};

const VMStateDescription igrad_vmstate = {
    .name = TYPE_IGRAD,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = igrad_pre_save,
    .pre_load = igrad_pre_load,
    .post_load = igrad_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, IgradState),
        VMSTATE_MSIX(parent_obj, IgradState),

        VMSTATE_UINT32_EQUAL(config.rows, IgradState, "rows differ"),
        VMSTATE_UINT32_EQUAL(config.cols, IgradState, "cols differ"),
        VMSTATE_UINT32_EQUAL(config.sram_bytes, IgradState, "sram-kib differs"),
        VMSTATE_UINT32_EQUAL(config.dram_bytes_per_cycle, IgradState,
                             "dram-bytes-per-cycle differs"),
        VMSTATE_UINT32_EQUAL(config.dram_latency, IgradState,
                             "dram-latency differs"),
        VMSTATE_UINT64_EQUAL(config.clock_hz, IgradState, "clock-hz differs"),
        VMSTATE_BOOL(saved.overlap, IgradState),

        VMSTATE_BOOL(enabled, IgradState),
        VMSTATE_BOOL(stopped, IgradState),
        VMSTATE_BOOL(fatal, IgradState),
        VMSTATE_UINT32(irq_status, IgradState),
        VMSTATE_UINT32(irq_enable, IgradState),
        VMSTATE_UINT64(ring_base, IgradState),
        VMSTATE_UINT64(cq_base, IgradState),
        VMSTATE_UINT32(ring_order, IgradState),
        VMSTATE_UINT64(saved.retired, IgradState),
        VMSTATE_UINT32(retired_hi, IgradState),
        VMSTATE_UINT64(tlb_root, IgradState),
        VMSTATE_UINT32(tail, IgradState),
        VMSTATE_UINT32(started, IgradState),
        VMSTATE_UINT32(done, IgradState),

        VMSTATE_BOOL(held, IgradState),
        VMSTATE_UINT64(seqno, IgradState),
        VMSTATE_UINT32(saved.status, IgradState),
        VMSTATE_UINT32(saved.reason, IgradState),
        VMSTATE_UINT32(saved.command, IgradState),
        VMSTATE_UINT64(saved.addr, IgradState),
        VMSTATE_TIMER_PTR(delay, IgradState),

        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription * const []) {
        &igrad_vmstate_queue,
        &igrad_vmstate_job,
        NULL
    }
};
