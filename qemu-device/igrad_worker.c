/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker: computes one job at a time outside the BQL.
 *
 * An access to the bus goes straight to guest RAM when nothing but RAM is
 * in its way. Everything else (a vIOMMU, holes, devices, ROM) may need the
 * BQL, which a thread that others join under the BQL must never wait for: so
 * such an access is handed to whoever holds the BQL, be it a bottom half or
 * the very thread that waits for the worker.
 */

#include "qemu/osdep.h"
#include "igrad_compat.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "igrad_worker.h"
#include "trace.h"

/* Commands that igrad_worker_poll() executes before it lets others run. */
#define IGRAD_POLL_COMMANDS 64

struct IgradBusRequest {
    uint64_t addr;
    void *buf;
    size_t len;
    DMADirection dir;
    bool done;
    bool ok;
};

bool igrad_dma(PCIDevice *pci, uint64_t addr, void *buf, size_t len,
               DMADirection dir)
{
    const MemTxAttrs attrs = { .memory = true };

    return pci_dma_rw(pci, addr, buf, len, dir, attrs) == MEMTX_OK;
}

/*
 * Bus accesses
 */

/* Copy what is plain RAM; returns the bytes copied before anything else. */
static size_t igrad_bus_direct(IgradWorker *w, uint64_t addr, void *buf,
                               size_t len, DMADirection dir)
{
    AddressSpace *as = pci_get_address_space(w->pci);
    bool is_write = dir == DMA_DIRECTION_FROM_DEVICE;
    size_t copied = 0;

    while (copied < len) {
        MemoryRegionCache cache;
        int64_t l = address_space_cache_init(&cache, as, addr + copied,
                                             len - copied, is_write);
        bool direct = l > 0 && cache.ptr && memory_region_is_ram(cache.mrs.mr);

        if (direct && is_write) {
            memcpy(cache.ptr, buf + copied, l);
            address_space_cache_invalidate(&cache, 0, l);
        } else if (direct) {
            memcpy(buf + copied, cache.ptr, l);
        }
        address_space_cache_destroy(&cache);
        if (!direct) {
            break;
        }
        copied += l;
    }
    return copied;
}

/* With the BQL and the worker's lock: answer the worker's request, if any. */
static void igrad_bus_serve_locked(IgradWorker *w)
{
    IgradBusRequest *req = w->request;

    if (!req) {
        return;
    }
    w->request = NULL;
    req->ok = !w->cancel &&
              igrad_dma(w->pci, req->addr, req->buf, req->len, req->dir);
    req->done = true;
    qemu_cond_broadcast(&w->wake);
}

static void igrad_bus_bh(void *opaque)
{
    IgradWorker *w = opaque;

    qemu_mutex_lock(&w->lock);
    igrad_bus_serve_locked(w);
    qemu_mutex_unlock(&w->lock);
}

/* Worker: have the BQL's holder do it. */
static bool igrad_bus_request(IgradWorker *w, uint64_t addr, void *buf,
                              size_t len, DMADirection dir)
{
    IgradBusRequest req = {
        .addr = addr, .buf = buf, .len = len, .dir = dir,
    };

    qemu_mutex_lock(&w->lock);
    w->request = &req;
    qemu_cond_broadcast(&w->quiet);
    qemu_bh_schedule(w->bus_bh);
    while (!req.done) {
        qemu_cond_wait(&w->wake, &w->lock);
    }
    qemu_mutex_unlock(&w->lock);
    return req.ok;
}

/* Worker: wait while paused; false if the job is to be dropped. */
static bool igrad_bus_enter(IgradWorker *w)
{
    bool ok;

    qemu_mutex_lock(&w->lock);
    while (w->paused && !w->cancel) {
        qemu_cond_wait(&w->wake, &w->lock);
    }
    ok = !w->cancel;
    w->accessing = ok;
    qemu_mutex_unlock(&w->lock);
    return ok;
}

static void igrad_bus_leave(IgradWorker *w)
{
    qemu_mutex_lock(&w->lock);
    w->accessing = false;
    qemu_cond_broadcast(&w->quiet);
    qemu_mutex_unlock(&w->lock);
}

static int igrad_bus_access(IgradWorker *w, uint64_t addr, void *buf,
                            size_t len, DMADirection dir)
{
    size_t copied;
    bool ok;

    if (addr + len < addr) {
        return -1;
    }
    if (w->synchronous) {
        return igrad_dma(w->pci, addr, buf, len, dir) ? 0 : -1;
    }
    if (!igrad_bus_enter(w)) {
        return -1;
    }
    copied = igrad_bus_direct(w, addr, buf, len, dir);
    ok = copied == len || igrad_bus_request(w, addr + copied, buf + copied,
                                            len - copied, dir);
    igrad_bus_leave(w);
    return ok ? 0 : -1;
}

static int igrad_bus_read(void *opaque, uint64_t addr, void *buf, size_t len)
{
    return igrad_bus_access(opaque, addr, buf, len, DMA_DIRECTION_TO_DEVICE);
}

static int igrad_bus_write(void *opaque, uint64_t addr, const void *buf,
                           size_t len)
{
    return igrad_bus_access(opaque, addr, (void *)buf, len,
                            DMA_DIRECTION_FROM_DEVICE);
}

/*
 * The thread
 */

static void igrad_job_begin(IgradWorker *w)
{
    struct igrad_space space = igrad_mmu_space(w->mmu,
                                               le64_to_cpu(w->desc.pt_root));

    igrad_core_begin(w->core, &w->desc, &space);
}

static void igrad_job_finish(IgradWorker *w)
{
    struct igrad_report report;

    if (igrad_core_cancelled(w->core)) {
        return;
    }
    igrad_core_finish(w->core, &w->outcome.result);
    igrad_core_report(w->core, &report);
    w->outcome.cycles = le64_to_cpu(report.cycles);
}

static void igrad_job_run(IgradWorker *w)
{
    bool more = true;

    igrad_job_begin(w);
    while (more) {
        more = igrad_core_step(w->core);
    }
    igrad_job_finish(w);
}

static void *igrad_worker_thread(void *opaque)
{
    IgradWorker *w = opaque;

    rcu_register_thread();
    qemu_mutex_lock(&w->lock);
    while (!w->exiting) {
        if (w->state != IGRAD_WORKER_PENDING) {
            qemu_cond_wait(&w->wake, &w->lock);
            continue;
        }
        w->state = IGRAD_WORKER_RUNNING;
        qemu_mutex_unlock(&w->lock);

        igrad_job_run(w);

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

void igrad_worker_start(IgradWorker *w, const struct igrad_desc *desc)
{
    qemu_mutex_lock(&w->lock);
    w->desc = *desc;
    w->cancel = false;
    igrad_core_uncancel(w->core);
    w->state = IGRAD_WORKER_PENDING;
    qemu_cond_broadcast(&w->wake);
    qemu_mutex_unlock(&w->lock);
    if (w->synchronous) {
        qemu_bh_schedule(w->done_bh);
    }
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
        if (!igrad_core_step(w->core)) {
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
    const struct igrad_bus bus = {
        .read = igrad_bus_read, .write = igrad_bus_write, .opaque = w,
    };

    w->core = igrad_core_new_quiet(config);
    w->mmu = igrad_mmu_new(&bus);
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
}
