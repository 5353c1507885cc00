/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Failing on purpose, and what has been counted: both are QOM properties of a
 * running device (see README.md), set and read by whoever tests what is above
 * it. No reset and no migration changes them.
 */
#ifndef HW_MISC_IGRAD_INJECT_H
#define HW_MISC_IGRAD_INJECT_H

#include "qemu/stats64.h"
#include "qom/object.h"
#include "core/igrad_core.h"

/*
 * Numbers count down to the failure and are zero when nothing is to fail.
 * Set with the BQL held, and counted down by any thread.
 */
typedef struct IgradInject {
    uint32_t irq_lose;         /* the next so many interrupts are not sent */
    uint32_t irq_repeat;       /* ... are sent twice */
    uint32_t completion_drop;  /* ... completions do not reach memory */
    uint64_t completion_delay; /* ns that every completion comes late */
    uint32_t hang;             /* the n-th command from now never ends */
    uint32_t ecc;              /* the n-th read of a job from now is corrupt */
    uint64_t fault;            /* a job's accesses to this page fail */
    uint32_t sram_flip;        /* a bit turns over before the n-th command */
    uint64_t sram_bit;
    uint32_t acc_flip;
    uint64_t acc_bit;
    bool dead;                 /* the device answers nothing */
} IgradInject;

typedef struct IgradStats {
    Stat64 jobs_started;
    Stat64 jobs_ok;
    Stat64 jobs_failed;
    Stat64 jobs_skipped;
    Stat64 interrupts;
    Stat64 resets;
    Stat64 fatal;
    Stat64 bytes_read;    /* by jobs: commands and data */
    Stat64 bytes_written; /* data and reports */
    Stat64 bus_requests;  /* accesses that the worker had to hand over */
    Stat64 busy_ns;       /* the worker had a job */
    Stat64 cpu_ns;        /* ... and a host CPU for it */
} IgradStats;

/* One less of so many; false when there was none. */
bool igrad_inject_take(uint32_t *count);

/* The time has come: the count went from one to none. */
bool igrad_inject_due(uint32_t *count);

/* Between two commands */
void igrad_inject_flips(IgradInject *inject, struct igrad_core *core);

/* Before an access of a job; true if it is to fail so. */
bool igrad_inject_fault(IgradInject *inject, uint64_t va, size_t len,
                        struct igrad_fault *fault);

void igrad_add_class_properties(ObjectClass *klass);

#endif /* HW_MISC_IGRAD_INJECT_H */
