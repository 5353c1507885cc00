/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that computes jobs, and the way its memory accesses reach the
 * guest. Every function here is called with the BQL held; none of them waits
 * for a job to end, except igrad_worker_drain(), which first cancels it.
 */
#ifndef HW_MISC_IGRAD_WORKER_H
#define HW_MISC_IGRAD_WORKER_H

#include "qemu/thread.h"
#include "hw/pci/pci_device.h"
#include "core/igrad_core.h"
#include "core/igrad_mmu.h"
#include "igrad_inject.h"

typedef enum IgradWorkerState {
    IGRAD_WORKER_IDLE,
    IGRAD_WORKER_PENDING, /* has a job that it has not looked at yet */
    IGRAD_WORKER_RUNNING,
    IGRAD_WORKER_DONE,    /* the outcome waits for igrad_worker_take() */
} IgradWorkerState;

typedef struct IgradOutcome {
    struct igrad_result result;
    uint64_t cycles;
    bool quiet; /* of its descriptor; lost on a journey, which costs nothing */
} IgradOutcome;

typedef struct IgradBusRequest IgradBusRequest;

typedef struct IgradWorker {
    const char *name; /* in traces */
    IgradInject *inject;
    IgradStats *stats;
    PCIDevice *pci;
    struct igrad_core *core;
    struct igrad_mmu *mmu;
    QEMUBH *done_bh; /* scheduled when the worker has become idle or done */
    QEMUBH *bus_bh;
    QemuThread thread;
    bool synchronous; /* no thread: igrad_worker_poll() computes */

    /* The job as the worker sees it; others look when it is idle or parked. */
    struct igrad_space space; /* below what fails on purpose */
    bool interrupted;         /* the last access was put off */
    bool restored;            /* the core has the job already */
    bool hanging;             /* on purpose */

    QemuMutex lock; /* all that follows; innermost but for the core's own */
    QemuCond wake;  /* the worker waits here */
    QemuCond quiet; /* holders of the BQL wait here for the worker */
    IgradWorkerState state;
    struct igrad_desc desc;
    IgradOutcome outcome;
    IgradBusRequest *request;
    bool cancel;    /* drop the job; its accesses fail */
    bool paused;    /* no access to guest memory may begin */
    bool accessing; /* one is under way */
    bool park;      /* stop at the next boundary, to be saved */
    bool parked;    /* there */
    bool exiting;
} IgradWorker;

bool igrad_worker_init(IgradWorker *w, PCIDevice *pci,
                       const struct igrad_config *config, bool synchronous,
                       QEMUBH *done_bh, Error **errp);

/* Ends the thread, cancelling what it does. */
void igrad_worker_destroy(IgradWorker *w);

bool igrad_worker_idle(IgradWorker *w);

/* Begin a job on an idle worker. */
void igrad_worker_start(IgradWorker *w, const struct igrad_desc *desc);

/* Synchronous worker: compute a bounded part of the job. */
void igrad_worker_poll(IgradWorker *w);

/* The outcome of a job that has ended; false if there is none. */
bool igrad_worker_take(IgradWorker *w, IgradOutcome *outcome);

/* Drop the job: at once if it has ended, else done_bh follows soon. */
void igrad_worker_abort(IgradWorker *w);

/* Drop the job and wait until the worker is idle (see the manual's limits). */
void igrad_worker_drain(IgradWorker *w);

/*
 * Make the worker stop between two commands, so that its job can be saved, and
 * wait for that. DMA that waits for the machine to run is put off, anything
 * else ends: at most one command of the array or the vector unit.
 */
void igrad_worker_park(IgradWorker *w);
void igrad_worker_unpark(IgradWorker *w);

/* The job of a parked worker, begun or not; 0 or a negative errno */
int igrad_worker_save(IgradWorker *w, QEMUFile *f);

/* Load it into an idle worker, which stays idle until told to go on. */
int igrad_worker_load(IgradWorker *w, QEMUFile *f);
void igrad_worker_go_on(IgradWorker *w);

/* Forget all translations; for a reset, with the worker idle. */
void igrad_worker_forget(IgradWorker *w);

/*
 * Keep the worker away from guest memory. Computing goes on in the device's
 * own SRAM until the next access; when this returns none is under way.
 */
void igrad_worker_pause(IgradWorker *w);
void igrad_worker_resume(IgradWorker *w);

/*
 * DMA with the BQL held, RAM only: everything else that sits on the bus is
 * refused, be it this device itself.
 */
bool igrad_dma(PCIDevice *pci, uint64_t addr, void *buf, size_t len,
               DMADirection dir);

/* igrad_bus.c, for igrad_worker.c */
struct igrad_mmu *igrad_bus_mmu(IgradWorker *w);
struct igrad_space igrad_bus_space(IgradWorker *w, uint64_t pt_root);
void igrad_bus_serve_locked(IgradWorker *w);
void igrad_bus_bh(void *opaque);

#endif /* HW_MISC_IGRAD_WORKER_H */
