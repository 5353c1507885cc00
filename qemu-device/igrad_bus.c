/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the worker's memory accesses reach the guest.
 *
 * An access to the bus goes straight to guest RAM when nothing but RAM is
 * in its way. Everything else (a vIOMMU, holes, devices, ROM) may need the
 * BQL, which a thread that others join under the BQL must never wait for: so
 * such an access is handed to whoever holds the BQL, be it a bottom half or
 * the very thread that waits for the worker.
 */

#include "qemu/osdep.h"
#include "igrad_compat.h"
#include "qemu/main-loop.h"
#include "igrad_worker.h"
#include "trace.h"

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
void igrad_bus_serve_locked(IgradWorker *w)
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

void igrad_bus_bh(void *opaque)
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
    trace_igrad_bus_request(w->name, addr, len,
                            dir == DMA_DIRECTION_FROM_DEVICE);
    stat64_add(&w->stats->bus_requests, 1);
    w->request = &req;
    qemu_cond_broadcast(&w->quiet);
    qemu_bh_schedule(w->bus_bh);
    while (!req.done) {
        qemu_cond_wait(&w->wake, &w->lock);
    }
    qemu_mutex_unlock(&w->lock);
    return req.ok;
}

/*
 * Worker: wait while paused; false if the job is to be dropped, or to be
 * saved: then the access will be made later.
 */
static bool igrad_bus_enter(IgradWorker *w)
{
    bool ok;

    qemu_mutex_lock(&w->lock);
    while (w->paused && !w->cancel && !w->park) {
        qemu_cond_wait(&w->wake, &w->lock);
    }
    w->interrupted = w->paused && !w->cancel;
    ok = !w->paused && !w->cancel;
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
    if (!ok) {
        trace_igrad_bus_refused(w->name, addr, len,
                                dir == DMA_DIRECTION_FROM_DEVICE);
    }
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

struct igrad_mmu *igrad_bus_mmu(IgradWorker *w)
{
    const struct igrad_bus bus = {
        .read = igrad_bus_read, .write = igrad_bus_write, .opaque = w,
    };

    return igrad_mmu_new(&bus);
}

/*
 * The job's address space: page tables, and on the way to them what is to
 * fail on purpose
 */

static int igrad_space_read(void *opaque, uint64_t va, void *buf, size_t len,
                            struct igrad_fault *fault)
{
    IgradWorker *w = opaque;

    w->interrupted = false;
    if (igrad_inject_fault(w->inject, va, len, fault)) {
        trace_igrad_inject(w->name, "read fault");
        return -1;
    }
    if (w->space.read(w->space.opaque, va, buf, len, fault)) {
        if (w->interrupted) {
            fault->reason = IGRAD_REASON_NONE;
        }
        return -1;
    }
    stat64_add(&w->stats->bytes_read, len);
    if (igrad_inject_due(&w->inject->ecc)) {
        trace_igrad_inject(w->name, "uncorrectable error");
        *(uint8_t *)buf ^= 3;
        fault->reason = IGRAD_REASON_ECC;
        fault->addr = va;
        return -1;
    }
    return 0;
}

static int igrad_space_write(void *opaque, uint64_t va, const void *buf,
                             size_t len, struct igrad_fault *fault)
{
    IgradWorker *w = opaque;

    w->interrupted = false;
    if (igrad_inject_fault(w->inject, va, len, fault)) {
        trace_igrad_inject(w->name, "write fault");
        return -1;
    }
    if (w->space.write(w->space.opaque, va, buf, len, fault)) {
        if (w->interrupted) {
            fault->reason = IGRAD_REASON_NONE;
        }
        return -1;
    }
    stat64_add(&w->stats->bytes_written, len);
    return 0;
}

struct igrad_space igrad_bus_space(IgradWorker *w, uint64_t pt_root)
{
    w->space = igrad_mmu_space(w->mmu, pt_root);
    w->interrupted = false;
    return (struct igrad_space) {
        .read = igrad_space_read, .write = igrad_space_write, .opaque = w,
    };
}
