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

/* Segments that are to be moved in order; the first from an offset on. */
struct IgradBusRequest {
    const struct igrad_segment *segments;
    unsigned int n;
    size_t offset;
    DMADirection dir;
    bool finished;
    unsigned int done; /* segments that went well */
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

/*
 * A piece of plain RAM that the segments of one access share: looking it up
 * takes longer than copying a short row.
 */
typedef struct IgradWindow {
    MemoryRegionCache cache;
    uint64_t addr;
    uint64_t len; /* 0: none */
    /* What was written and not made known yet; as above, that takes longer. */
    uint64_t dirty;
    uint64_t dirty_end;
} IgradWindow;

#define IGRAD_WINDOW_SIZE (1 << 30)

/* Nobody looks for less than a page, so what lies close together is one. */
#define IGRAD_DIRTY_GAP 4096

static void igrad_window_tell_dirty(IgradWindow *window)
{
    if (window->dirty_end) {
        address_space_cache_invalidate(&window->cache, window->dirty,
                                       window->dirty_end - window->dirty);
        window->dirty_end = 0;
    }
}

static void igrad_window_written(IgradWindow *window, uint64_t offset,
                                 uint64_t len)
{
    if (!window->dirty_end || offset < window->dirty_end ||
        offset - window->dirty_end > IGRAD_DIRTY_GAP) {
        igrad_window_tell_dirty(window);
        window->dirty = offset;
    }
    window->dirty_end = offset + len;
}

static void igrad_window_close(IgradWindow *window)
{
    if (window->len) {
        igrad_window_tell_dirty(window);
        address_space_cache_destroy(&window->cache);
        window->len = 0;
    }
}

/* There is at least one byte behind the address. */
static bool igrad_window_open(IgradWorker *w, IgradWindow *window,
                              uint64_t addr, bool is_write)
{
    AddressSpace *as = pci_get_address_space(w->pci);
    uint64_t most = MIN(IGRAD_WINDOW_SIZE, UINT64_MAX - addr);
    int64_t len;

    igrad_window_close(window);
    len = address_space_cache_init(&window->cache, as, addr, most, is_write);
    if (len > 0 && window->cache.ptr &&
        memory_region_is_ram(window->cache.mrs.mr)) {
        window->addr = addr;
        window->len = len;
        return true;
    }
    address_space_cache_destroy(&window->cache);
    return false;
}

/* Copy what is plain RAM; returns the bytes copied before anything else. */
static size_t igrad_bus_direct(IgradWorker *w, IgradWindow *window,
                               uint64_t addr, void *buf, size_t len,
                               bool is_write)
{
    size_t copied = 0;

    while (copied < len) {
        uint64_t offset = addr + copied - window->addr;
        size_t l;

        if (offset >= window->len) {
            if (!igrad_window_open(w, window, addr + copied, is_write)) {
                break;
            }
            offset = 0;
        }
        l = MIN(len - copied, window->len - offset);
        if (is_write) {
            memcpy(window->cache.ptr + offset, buf + copied, l);
            igrad_window_written(window, offset, l);
        } else {
            memcpy(buf + copied, window->cache.ptr + offset, l);
        }
        copied += l;
    }
    return copied;
}

/* With the BQL and the worker's lock: answer the worker's request, if any. */
void igrad_bus_serve_locked(IgradWorker *w)
{
    IgradBusRequest *req = w->request;
    size_t offset;

    if (!req) {
        return;
    }
    w->request = NULL;
    offset = req->offset;
    while (req->done < req->n && !w->cancel) {
        const struct igrad_segment *s = &req->segments[req->done];

        if (!igrad_dma(w->pci, s->addr + offset, s->bytes + offset,
                       s->len - offset, req->dir)) {
            break;
        }
        req->done++;
        offset = 0;
    }
    req->finished = true;
    qemu_cond_broadcast(&w->wake);
}

void igrad_bus_bh(void *opaque)
{
    IgradWorker *w = opaque;

    qemu_mutex_lock(&w->lock);
    igrad_bus_serve_locked(w);
    qemu_mutex_unlock(&w->lock);
}

/* Worker: have the BQL's holder do it; how many segments went well? */
static unsigned int igrad_bus_request(IgradWorker *w, IgradBusRequest *req)
{
    trace_igrad_bus_request(w->name, req->segments->addr + req->offset, req->n,
                            req->dir == DMA_DIRECTION_FROM_DEVICE);
    stat64_add(&w->stats->bus_requests, 1);
    qemu_mutex_lock(&w->lock);
    w->request = req;
    qemu_cond_broadcast(&w->quiet);
    qemu_bh_schedule(w->bus_bh);
    while (!req->finished) {
        qemu_cond_wait(&w->wake, &w->lock);
    }
    qemu_mutex_unlock(&w->lock);
    return req->done;
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

/* From the first segment that is not plain RAM on, all go the other way. */
static unsigned int igrad_bus_move_now(IgradWorker *w,
                                       const struct igrad_segment *segments,
                                       unsigned int n, DMADirection dir)
{
    IgradWindow window = { .len = 0 };
    size_t copied = 0;
    unsigned int i;

    for (i = 0; i < n; i++) {
        const struct igrad_segment *s = &segments[i];

        if (s->addr + s->len < s->addr) {
            igrad_window_close(&window);
            return i;
        }
        copied = igrad_bus_direct(w, &window, s->addr, s->bytes, s->len,
                                  dir == DMA_DIRECTION_FROM_DEVICE);
        if (copied < s->len) {
            break;
        }
    }
    igrad_window_close(&window);
    if (i < n) {
        IgradBusRequest req = {
            .segments = &segments[i], .n = n - i, .offset = copied, .dir = dir,
        };

        return i + igrad_bus_request(w, &req);
    }
    return n;
}

static unsigned int igrad_bus_move_synchronous(IgradWorker *w,
                                               const struct igrad_segment *s,
                                               unsigned int n, DMADirection dir)
{
    unsigned int i;

    for (i = 0; i < n; i++) {
        if (!igrad_dma(w->pci, s[i].addr, s[i].bytes, s[i].len, dir)) {
            break;
        }
    }
    return i;
}

static unsigned int igrad_bus_move(void *opaque,
                                   const struct igrad_segment *segments,
                                   unsigned int n, bool write)
{
    IgradWorker *w = opaque;
    DMADirection dir = write ? DMA_DIRECTION_FROM_DEVICE :
                               DMA_DIRECTION_TO_DEVICE;
    unsigned int done;

    if (w->synchronous) {
        return igrad_bus_move_synchronous(w, segments, n, dir);
    }
    if (!igrad_bus_enter(w)) {
        return 0;
    }
    done = igrad_bus_move_now(w, segments, n, dir);
    igrad_bus_leave(w);
    if (done < n) {
        trace_igrad_bus_refused(w->name, segments[done].addr,
                                segments[done].len, write);
    }
    return done;
}

static int igrad_bus_access(IgradWorker *w, uint64_t addr, void *buf,
                            size_t len, bool write)
{
    const struct igrad_segment segment = {
        .addr = addr, .bytes = buf, .len = len,
    };

    return igrad_bus_move(w, &segment, 1, write) == 1 ? 0 : -1;
}

static int igrad_bus_read(void *opaque, uint64_t addr, void *buf, size_t len)
{
    return igrad_bus_access(opaque, addr, buf, len, false);
}

static int igrad_bus_write(void *opaque, uint64_t addr, const void *buf,
                           size_t len)
{
    return igrad_bus_access(opaque, addr, (void *)buf, len, true);
}

struct igrad_mmu *igrad_bus_mmu(IgradWorker *w)
{
    const struct igrad_bus bus = {
        .read = igrad_bus_read, .write = igrad_bus_write, .opaque = w,
        .move = igrad_bus_move,
    };

    return igrad_mmu_new(&bus);
}

/*
 * The job's address space: page tables, and on the way to them what is to
 * fail on purpose
 */

/* The n-th of these accesses from now, if one is to be corrupt */
static bool igrad_space_corrupt(IgradWorker *w, const struct igrad_rows *rows,
                                struct igrad_fault *fault)
{
    uint32_t armed = qatomic_read(&w->inject->ecc);

    for (uint32_t i = 0; armed && i < rows->rows; i++) {
        if (igrad_inject_due(&w->inject->ecc)) {
            trace_igrad_inject(w->name, "uncorrectable error");
            rows->bytes[i * rows->stride] ^= 3;
            fault->reason = IGRAD_REASON_ECC;
            fault->addr = rows->va + i * rows->pitch;
            return true;
        }
    }
    return false;
}

static bool igrad_space_unreachable(IgradWorker *w,
                                    const struct igrad_rows *rows,
                                    struct igrad_fault *fault)
{
    uint64_t armed = qatomic_read__nocheck(&w->inject->fault);

    for (uint32_t i = 0; armed && i < rows->rows; i++) {
        if (igrad_inject_fault(w->inject, rows->va + i * rows->pitch,
                               rows->len, fault)) {
            trace_igrad_inject(w->name, "unreachable address");
            return true;
        }
    }
    return false;
}

static int igrad_space_rows(void *opaque, const struct igrad_rows *rows,
                            bool write, struct igrad_fault *fault)
{
    IgradWorker *w = opaque;
    int result;

    w->interrupted = false;
    if (igrad_space_unreachable(w, rows, fault)) {
        return -1;
    }
    if (rows->rows > 1) {
        result = w->space.rows(w->space.opaque, rows, write, fault);
    } else if (write) {
        result = w->space.write(w->space.opaque, rows->va, rows->bytes,
                                rows->len, fault);
    } else {
        result = w->space.read(w->space.opaque, rows->va, rows->bytes,
                               rows->len, fault);
    }
    if (result) {
        if (w->interrupted) {
            fault->reason = IGRAD_REASON_NONE;
        }
        return -1;
    }
    stat64_add(write ? &w->stats->bytes_written : &w->stats->bytes_read,
               rows->len * rows->rows);
    return !write && igrad_space_corrupt(w, rows, fault) ? -1 : 0;
}

static int igrad_space_read(void *opaque, uint64_t va, void *buf, size_t len,
                            struct igrad_fault *fault)
{
    const struct igrad_rows row = {
        .va = va, .bytes = buf, .len = len, .rows = 1,
    };

    return igrad_space_rows(opaque, &row, false, fault);
}

static int igrad_space_write(void *opaque, uint64_t va, const void *buf,
                             size_t len, struct igrad_fault *fault)
{
    const struct igrad_rows row = {
        .va = va, .bytes = (void *)buf, .len = len, .rows = 1,
    };

    return igrad_space_rows(opaque, &row, true, fault);
}

struct igrad_space igrad_bus_space(IgradWorker *w, uint64_t pt_root)
{
    w->space = igrad_mmu_space(w->mmu, pt_root);
    w->interrupted = false;
    return (struct igrad_space) {
        .read = igrad_space_read, .write = igrad_space_write, .opaque = w,
        .rows = igrad_space_rows,
    };
}
