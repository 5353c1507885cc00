/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker: computes one job at a time outside the BQL. */

#include "qemu/osdep.h"
#include "igrad_compat.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "migration/qemu-file-types.h"
#include "igrad_worker.h"
#include "trace.h"

/* Commands that igrad_worker_poll() executes before it lets others run. */
#define IGRAD_POLL_COMMANDS 64

/*
 * The thread
 */

static void igrad_job_begin(IgradWorker *w)
{
    struct igrad_space space = igrad_bus_space(w, le64_to_cpu(w->desc.pt_root));

    trace_igrad_worker_begin(w->name, w->restored);
    if (w->restored) {
        w->restored = false;
    } else {
        igrad_core_begin(w->core, &w->desc, &space);
    }
}

/* One command; false when there is none left. */
static bool igrad_job_step(IgradWorker *w)
{
    if (igrad_inject_due(&w->inject->hang)) {
        trace_igrad_inject(w->name, "hang");
        qatomic_set(&w->hanging, true);
        return true;
    }
    igrad_inject_flips(w->inject, w->core);
    return igrad_core_step(w->core);
}

/* The report is written; false if it is to be tried again. */
static bool igrad_job_finish(IgradWorker *w)
{
    struct igrad_report report;

    if (igrad_core_cancelled(w->core)) {
        return true;
    }
    if (!igrad_core_finish(w->core, &w->outcome.result)) {
        return false;
    }
    igrad_core_report(w->core, &report);
    w->outcome.cycles = le64_to_cpu(report.cycles);
    trace_igrad_worker_end(w->name, w->outcome.result.status,
                           w->outcome.result.reason);
    return true;
}

/*
 * Between two commands: where a job can be saved, and where it waits for that
 * or for ever. False if it is to be dropped.
 */
static bool igrad_job_boundary(IgradWorker *w)
{
    bool go_on;

    qemu_mutex_lock(&w->lock);
    while (!w->cancel && (w->park || qatomic_read(&w->hanging))) {
        w->parked = w->park;
        qemu_cond_broadcast(&w->quiet);
        qemu_cond_wait(&w->wake, &w->lock);
    }
    w->parked = false;
    go_on = !w->cancel;
    qemu_mutex_unlock(&w->lock);
    return go_on;
}

static void igrad_job_run(IgradWorker *w)
{
    igrad_job_begin(w);
    while (igrad_job_boundary(w) && igrad_job_step(w)) {
        continue;
    }
    while (igrad_job_boundary(w) && !igrad_job_finish(w)) {
        continue;
    }
}

static uint64_t igrad_clock(clockid_t id)
{
    struct timespec ts = { 0 };

    clock_gettime(id, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

static void igrad_job_run_timed(IgradWorker *w)
{
    uint64_t busy = igrad_clock(CLOCK_MONOTONIC);
    uint64_t cpu = igrad_clock(CLOCK_THREAD_CPUTIME_ID);

    igrad_job_run(w);
    stat64_add(&w->stats->busy_ns, igrad_clock(CLOCK_MONOTONIC) - busy);
    stat64_add(&w->stats->cpu_ns, igrad_clock(CLOCK_THREAD_CPUTIME_ID) - cpu);
}

static void *igrad_worker_thread(void *opaque)
{
    IgradWorker *w = opaque;

    rcu_register_thread();
    qemu_mutex_lock(&w->lock);
    while (!w->exiting) {
        if (w->state != IGRAD_WORKER_PENDING || w->park) {
            qemu_cond_wait(&w->wake, &w->lock);
            continue;
        }
        w->state = IGRAD_WORKER_RUNNING;
        qemu_mutex_unlock(&w->lock);

        igrad_job_run_timed(w);

        qemu_mutex_lock(&w->lock);
        w->state = w->cancel ? IGRAD_WORKER_IDLE : IGRAD_WORKER_DONE;
        qemu_cond_broadcast(&w->quiet);
        qemu_bh_schedule(w->done_bh);
    }
    qemu_mutex_unlock(&w->lock);
    rcu_unregister_thread();
    return NULL;
}

/*
 * What the device calls
 */

bool igrad_worker_idle(IgradWorker *w)
{
    bool idle;

    qemu_mutex_lock(&w->lock);
    idle = w->state == IGRAD_WORKER_IDLE;
    qemu_mutex_unlock(&w->lock);
    return idle;
}

static void igrad_worker_go_locked(IgradWorker *w)
{
    w->cancel = false;
    qatomic_set(&w->hanging, false);
    igrad_core_uncancel(w->core);
    w->state = IGRAD_WORKER_PENDING;
    qemu_cond_broadcast(&w->wake);
    if (w->synchronous) {
        qemu_bh_schedule(w->done_bh);
    }
}

void igrad_worker_start(IgradWorker *w, const struct igrad_desc *desc)
{
    qemu_mutex_lock(&w->lock);
    w->desc = *desc;
    w->restored = false;
    igrad_worker_go_locked(w);
    qemu_mutex_unlock(&w->lock);
}

void igrad_worker_poll(IgradWorker *w)
{
    if (!w->synchronous) {
        return;
    }
    if (w->state == IGRAD_WORKER_PENDING) {
        igrad_job_begin(w);
        w->state = IGRAD_WORKER_RUNNING;
    }
    if (w->state != IGRAD_WORKER_RUNNING) {
        return;
    }
    for (int i = 0; i < IGRAD_POLL_COMMANDS; i++) {
        if (w->hanging) {
            return;
        }
        if (!igrad_job_step(w)) {
            igrad_job_finish(w);
            w->state = IGRAD_WORKER_DONE;
            break;
        }
    }
    qemu_bh_schedule(w->done_bh);
}

bool igrad_worker_take(IgradWorker *w, IgradOutcome *outcome)
{
    bool done;

    qemu_mutex_lock(&w->lock);
    done = w->state == IGRAD_WORKER_DONE;
    if (done) {
        *outcome = w->outcome;
        outcome->quiet = le32_to_cpu(w->desc.flags) & IGRAD_DESC_QUIET;
        w->state = IGRAD_WORKER_IDLE;
    }
    qemu_mutex_unlock(&w->lock);
    return done;
}

static void igrad_worker_abort_locked(IgradWorker *w)
{
    switch (w->state) {
    case IGRAD_WORKER_IDLE:
        break;
    case IGRAD_WORKER_RUNNING:
        if (!w->synchronous) {
            trace_igrad_worker_cancel(w->name);
            w->cancel = true;
            igrad_core_cancel(w->core);
            qemu_cond_broadcast(&w->wake);
            qemu_bh_schedule(w->bus_bh);
            break;
        }
        /* fall through */
    case IGRAD_WORKER_PENDING:
    case IGRAD_WORKER_DONE:
        w->state = IGRAD_WORKER_IDLE;
        break;
    }
}

void igrad_worker_abort(IgradWorker *w)
{
    qemu_mutex_lock(&w->lock);
    igrad_worker_abort_locked(w);
    qemu_mutex_unlock(&w->lock);
}

void igrad_worker_drain(IgradWorker *w)
{
    qemu_mutex_lock(&w->lock);
    igrad_worker_abort_locked(w);
    while (w->state != IGRAD_WORKER_IDLE) {
        igrad_bus_serve_locked(w);
        qemu_cond_wait(&w->quiet, &w->lock);
    }
    qemu_mutex_unlock(&w->lock);
}

void igrad_worker_pause(IgradWorker *w)
{
    qemu_mutex_lock(&w->lock);
    w->paused = true;
    while (w->accessing) {
        if (w->request) {
            igrad_bus_serve_locked(w);
        } else {
            qemu_cond_wait(&w->quiet, &w->lock);
        }
    }
    qemu_mutex_unlock(&w->lock);
}

void igrad_worker_resume(IgradWorker *w)
{
    qemu_mutex_lock(&w->lock);
    w->paused = false;
    qemu_cond_broadcast(&w->wake);
    qemu_mutex_unlock(&w->lock);
}

void igrad_worker_forget(IgradWorker *w)
{
    igrad_mmu_flush(w->mmu, IGRAD_MMU_EVERY_ROOT);
}

/*
 * Saving and loading
 */

void igrad_worker_park(IgradWorker *w)
{
    qemu_mutex_lock(&w->lock);
    w->park = true;
    igrad_core_interrupt(w->core, true);
    qemu_cond_broadcast(&w->wake);
    while (w->state == IGRAD_WORKER_RUNNING && !w->synchronous && !w->parked) {
        igrad_bus_serve_locked(w);
        qemu_cond_wait(&w->quiet, &w->lock);
    }
    trace_igrad_worker_park(w->name, w->state);
    qemu_mutex_unlock(&w->lock);
}

void igrad_worker_unpark(IgradWorker *w)
{
    qemu_mutex_lock(&w->lock);
    if (w->park) {
        trace_igrad_worker_unpark(w->name);
        w->park = false;
        igrad_core_interrupt(w->core, false);
        qemu_cond_broadcast(&w->wake);
    }
    qemu_mutex_unlock(&w->lock);
}

static int igrad_put(void *opaque, const void *bytes, size_t len)
{
    QEMUFile *f = opaque;

    qemu_put_buffer(f, bytes, len);
    return qemu_file_get_error(f) ? -1 : 0;
}

static int igrad_get(void *opaque, void *bytes, size_t len)
{
    QEMUFile *f = opaque;

    return qemu_get_buffer(f, bytes, len) == len ? 0 : -1;
}

int igrad_worker_save(IgradWorker *w, QEMUFile *f)
{
    bool begun = w->state == IGRAD_WORKER_RUNNING || w->restored;

    trace_igrad_worker_save(w->name, begun);
    qemu_put_byte(f, begun);
    if (!begun) {
        return igrad_put(f, &w->desc, sizeof(w->desc));
    }
    return igrad_core_save(w->core, igrad_put, f);
}

int igrad_worker_load(IgradWorker *w, QEMUFile *f)
{
    struct igrad_space space;
    int begun = qemu_get_byte(f);

    trace_igrad_worker_load(w->name, begun);
    if (w->state != IGRAD_WORKER_IDLE || (begun & ~1)) {
        return -EINVAL;
    }
    w->restored = begun;
    if (!begun) {
        return igrad_get(f, &w->desc, sizeof(w->desc)) ? -EINVAL : 0;
    }
    space = igrad_bus_space(w, 0);
    if (igrad_core_restore(w->core, igrad_get, f, &space)) {
        return -EINVAL;
    }
    w->desc = *igrad_core_desc(w->core);
    return 0;
}

void igrad_worker_go_on(IgradWorker *w)
{
    qemu_mutex_lock(&w->lock);
    igrad_worker_go_locked(w);
    qemu_mutex_unlock(&w->lock);
}

/*
 * The core may start threads of its own: like all threads but the main one
 * they must not be given signals.
 */
static struct igrad_core *igrad_core_new_quiet(const struct igrad_config *cfg)
{
    struct igrad_core *core;
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    core = igrad_core_new(cfg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return core;
}

bool igrad_worker_init(IgradWorker *w, PCIDevice *pci,
                       const struct igrad_config *config, bool synchronous,
                       QEMUBH *done_bh, Error **errp)
{
    w->core = igrad_core_new_quiet(config);
    w->mmu = igrad_bus_mmu(w);
    if (!w->core || !w->mmu) {
        error_setg(errp, "no memory for an array of this size");
        igrad_mmu_free(w->mmu);
        igrad_core_free(w->core);
        return false;
    }
    w->pci = pci;
    w->synchronous = synchronous;
    w->done_bh = done_bh;
    w->bus_bh = qemu_bh_new_guarded(igrad_bus_bh, w,
                                    &DEVICE(pci)->mem_reentrancy_guard);
    qemu_mutex_init(&w->lock);
    qemu_cond_init(&w->wake);
    qemu_cond_init(&w->quiet);
    if (!synchronous) {
        qemu_thread_create(&w->thread, "igrad", igrad_worker_thread, w,
                           QEMU_THREAD_JOINABLE);
    }
    return true;
}

void igrad_worker_destroy(IgradWorker *w)
{
    igrad_worker_drain(w);
    if (!w->synchronous) {
        qemu_mutex_lock(&w->lock);
        w->exiting = true;
        qemu_cond_broadcast(&w->wake);
        qemu_mutex_unlock(&w->lock);
        qemu_thread_join(&w->thread);
    }
    qemu_bh_delete(w->bus_bh);
    qemu_cond_destroy(&w->quiet);
    qemu_cond_destroy(&w->wake);
    qemu_mutex_destroy(&w->lock);
    igrad_mmu_free(w->mmu);
    igrad_core_free(w->core);
    w->mmu = NULL;
    w->core = NULL;
}
