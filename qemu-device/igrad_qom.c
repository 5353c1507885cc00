/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What qom-get and qom-set find in a running device: what state it is in,
 * what it has counted, and how it is made to fail.
 */

#include "qemu/osdep.h"
#include "igrad_compat.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "igrad.h"

typedef struct IgradField {
    const char *name;
    size_t offset;
    const char *what;
} IgradField;

static void *igrad_field(Object *obj, const IgradField *field)
{
    return (char *)IGRAD(obj) + field->offset;
}

/*
 * Counters
 */

static const IgradField igrad_counters[] = {
    { "jobs-started", offsetof(IgradState, stats.jobs_started),
      "jobs that began to execute" },
    { "jobs-ok", offsetof(IgradState, stats.jobs_ok),
      "jobs that were told to have succeeded" },
    { "jobs-failed", offsetof(IgradState, stats.jobs_failed),
      "jobs that were told to have failed" },
    { "jobs-skipped", offsetof(IgradState, stats.jobs_skipped),
      "entries that were skipped" },
    { "interrupts", offsetof(IgradState, stats.interrupts),
      "MSI-X messages sent" },
    { "resets", offsetof(IgradState, stats.resets), "resets, of any kind" },
    { "fatal-errors", offsetof(IgradState, stats.fatal),
      "times that the ring could not go on" },
    { "bytes-read", offsetof(IgradState, stats.bytes_read),
      "bytes that jobs read, commands included" },
    { "bytes-written", offsetof(IgradState, stats.bytes_written),
      "bytes that jobs wrote, reports included" },
    { "bus-requests", offsetof(IgradState, stats.bus_requests),
      "accesses that met something else than plain RAM" },
    { "busy-ns", offsetof(IgradState, stats.busy_ns),
      "host's time that the worker had a job" },
    { "cpu-ns", offsetof(IgradState, stats.cpu_ns),
      "CPU time that the worker took for jobs" },
};

static void igrad_get_counter(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    uint64_t value = stat64_get(igrad_field(obj, opaque));

    visit_type_uint64(v, name, &value, errp);
}

static void igrad_get_retired(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    IgradState *s = IGRAD(obj);
    uint64_t value = s->worker.core ? igrad_core_retired(s->worker.core) : 0;

    visit_type_uint64(v, name, &value, errp);
}

static char *igrad_get_state(Object *obj, Error **errp)
{
    return g_strdup(igrad_state_name(IGRAD(obj)));
}

/*
 * Failures
 */

static const IgradField igrad_inject_counts[] = {
    { "x-inject-irq-lose", offsetof(IgradState, inject.irq_lose),
      "so many interrupts to be lost" },
    { "x-inject-irq-repeat", offsetof(IgradState, inject.irq_repeat),
      "so many interrupts to be sent twice" },
    { "x-inject-completion-drop", offsetof(IgradState, inject.completion_drop),
      "so many completions not to be written" },
    { "x-inject-hang", offsetof(IgradState, inject.hang),
      "the n-th command from now never ends" },
    { "x-inject-ecc", offsetof(IgradState, inject.ecc),
      "the n-th read of a job from now has an uncorrectable error" },
    { "x-inject-sram-flip", offsetof(IgradState, inject.sram_flip),
      "x-inject-sram-bit turns over before the n-th command from now" },
    { "x-inject-acc-flip", offsetof(IgradState, inject.acc_flip),
      "x-inject-acc-bit turns over before the n-th command from now" },
};

static const IgradField igrad_inject_values[] = {
    { "x-inject-completion-delay",
      offsetof(IgradState, inject.completion_delay),
      "nanoseconds that every completion comes late" },
    { "x-inject-fault", offsetof(IgradState, inject.fault),
      "VA of a page that jobs cannot reach" },
    { "x-inject-sram-bit", offsetof(IgradState, inject.sram_bit),
      "number of a bit of SRAM" },
    { "x-inject-acc-bit", offsetof(IgradState, inject.acc_bit),
      "number of a bit of the accumulators" },
};

static void igrad_get_count(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    uint32_t value = qatomic_read((uint32_t *)igrad_field(obj, opaque));

    visit_type_uint32(v, name, &value, errp);
}

static void igrad_set_count(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    uint32_t value;

    if (visit_type_uint32(v, name, &value, errp)) {
        qatomic_set((uint32_t *)igrad_field(obj, opaque), value);
    }
}

static void igrad_get_value(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    uint64_t value = qatomic_read__nocheck(
        (uint64_t *)igrad_field(obj, opaque));

    visit_type_uint64(v, name, &value, errp);
}

static void igrad_set_value(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    uint64_t value;

    if (visit_type_uint64(v, name, &value, errp)) {
        qatomic_set__nocheck((uint64_t *)igrad_field(obj, opaque), value);
    }
}

static bool igrad_get_dead(Object *obj, Error **errp)
{
    return IGRAD(obj)->inject.dead;
}

static void igrad_set_dead(Object *obj, bool dead, Error **errp)
{
    igrad_die(IGRAD(obj), dead);
}

/*
 * All of them
 */

static void igrad_add_fields(ObjectClass *klass, const IgradField *fields,
                             size_t n, const char *type,
                             ObjectPropertyAccessor *get,
                             ObjectPropertyAccessor *set)
{
    for (size_t i = 0; i < n; i++) {
        object_class_property_add(klass, fields[i].name, type, get, set, NULL,
                                  (void *)&fields[i]);
        object_class_property_set_description(klass, fields[i].name,
                                              fields[i].what);
    }
}

void igrad_add_class_properties(ObjectClass *klass)
{
    igrad_add_fields(klass, igrad_counters, ARRAY_SIZE(igrad_counters),
                     "uint64", igrad_get_counter, NULL);
    igrad_add_fields(klass, igrad_inject_counts,
                     ARRAY_SIZE(igrad_inject_counts), "uint32",
                     igrad_get_count, igrad_set_count);
    igrad_add_fields(klass, igrad_inject_values,
                     ARRAY_SIZE(igrad_inject_values), "uint64",
                     igrad_get_value, igrad_set_value);
    object_class_property_add(klass, "commands-retired", "uint64",
                              igrad_get_retired, NULL, NULL, NULL);
    object_class_property_set_description(klass, "commands-retired",
                                          "commands executed");
    object_class_property_add_str(klass, "state", igrad_get_state, NULL);
    object_class_property_set_description(klass, "state",
                                          "what the device is doing");
    object_class_property_add_bool(klass, "x-inject-dead", igrad_get_dead,
                                   igrad_set_dead);
    object_class_property_set_description(klass, "x-inject-dead",
                                          "all ones, and silence");
}
