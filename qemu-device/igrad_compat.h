/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between QEMU 10.0 and the versions after it that matters here.
 * Included right after qemu/osdep.h.
 */
#ifndef HW_MISC_IGRAD_COMPAT_H
#define HW_MISC_IGRAD_COMPAT_H

#define IGRAD_QEMU_AT_LEAST(major, minor) \
    (QEMU_VERSION_MAJOR > (major) || \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

#if IGRAD_QEMU_AT_LEAST(10, 1)
#include "system/memory.h"
#else
#include "exec/memory.h"
#endif

#if IGRAD_QEMU_AT_LEAST(11, 0)
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif

/* The last argument of class_init became const in 10.1. */
#if IGRAD_QEMU_AT_LEAST(10, 1)
typedef const void IgradClassData;
#else
typedef void IgradClassData;
#endif

/* ... and handlers could return something, which ours have no use for. */
#include "system/runstate.h"

static inline VMChangeStateEntry *
igrad_add_vm_change_handler(DeviceState *dev, VMChangeStateHandler *handler,
                            void *opaque)
{
#if IGRAD_QEMU_AT_LEAST(10, 1)
    return qdev_add_vm_change_state_handler(dev, handler, NULL, opaque);
#else
    return qdev_add_vm_change_state_handler(dev, handler, opaque);
#endif
}

#endif /* HW_MISC_IGRAD_COMPAT_H */
