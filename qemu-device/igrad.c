/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * igrad: a PCIe training accelerator with a systolic array of interleaved
 * gradients. This file is the device as the machine sees it: properties,
 * configuration space, reset, start and stop. What it computes is in core/,
 * what its registers mean in igrad/hw.h.
 */

#include "qemu/osdep.h"
#include "igrad_compat.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "migration/vmstate.h"
#include "igrad.h"
#include "trace.h"

/*
 * Reset, and the machine's stopping and going on
 */

static void igrad_reset_hold(Object *obj, ResetType type)
{
    IgradState *s = IGRAD(obj);

    trace_igrad_reset_begin(s->name);
    stat64_add(&s->stats.resets, 1);
    igrad_worker_drain(&s->worker);
    igrad_worker_forget(&s->worker);
    if (s->aer) {
        pcie_cap_deverr_reset(PCI_DEVICE(s));
    }
    igrad_power_on_values(s);
    s->resetting = false;
    trace_igrad_reset_end(s->name);
}

static bool igrad_in_d0(IgradState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    return !(pci_get_word(pci->config + pci->pm_cap + PCI_PM_CTRL) &
             PCI_PM_CTRL_STATE_MASK);
}

/*
 * Dead, it forgets everything, and stays where it was mapped, to answer with
 * all ones; alive again, it is as after a power cycle.
 */
void igrad_die(IgradState *s, bool dead)
{
    bool was_dead = s->inject.dead;

    s->inject.dead = dead;
    if (!qdev_is_realized(DEVICE(s)) || dead == was_dead) {
        return;
    }
    trace_igrad_dead(s->name, dead);
    igrad_update_activity(s);
    if (dead) {
        device_cold_reset(DEVICE(s));
    } else {
        pci_device_reset(PCI_DEVICE(s));
    }
}

const char *igrad_state_name(IgradState *s)
{
    if (s->inject.dead) {
        return "dead";
    }
    if (s->resetting) {
        return "resetting";
    }
    if (s->fatal) {
        return "fatal";
    }
    if (s->held) {
        return "delayed"; /* an outcome waits for its time */
    }
    if (s->worker.core && igrad_ring_busy(s)) {
        return "running";
    }
    if (s->stopped) {
        return "stopped";
    }
    return s->enabled ? "ready" : "disabled";
}

/* Only an active device reaches memory or sends interrupts. */
void igrad_update_activity(IgradState *s)
{
    bool active = s->vm_running && !s->inject.dead && igrad_in_d0(s);

    if (active == s->active) {
        return;
    }
    trace_igrad_active(s->name, active);
    s->active = active;
    if (active) {
        igrad_worker_resume(&s->worker);
        qemu_bh_schedule(s->ring_bh);
    } else {
        igrad_worker_pause(&s->worker);
    }
}

static void igrad_vm_change(void *opaque, bool running, RunState state)
{
    IgradState *s = opaque;

    s->vm_running = running;
    if (running) {
        igrad_worker_unpark(&s->worker); /* if it was saved meanwhile */
    }
    igrad_update_activity(s);
}

static void igrad_delay_over(void *opaque)
{
    IgradState *s = opaque;

    qemu_bh_schedule(s->ring_bh);
}

/*
 * Configuration space
 */

static uint32_t igrad_read_config(PCIDevice *pci, uint32_t addr, int len)
{
    if (IGRAD(pci)->inject.dead) {
        return UINT32_MAX >> (32 - 8 * len);
    }
    return pci_default_read_config(pci, addr, len);
}

static bool igrad_is_master(PCIDevice *pci)
{
    return pci_get_word(pci->config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

static void igrad_write_config(PCIDevice *pci, uint32_t addr, uint32_t val,
                               int len)
{
    IgradState *s = IGRAD(pci);
    bool was_master = igrad_is_master(pci);

    if (s->inject.dead) {
        return;
    }
    pci_default_write_config(pci, addr, val, len);
    if (s->active && was_master && !igrad_is_master(pci)) {
        /* What began before does not write any more when this returns. */
        igrad_worker_pause(&s->worker);
        igrad_worker_resume(&s->worker);
    }
    if (s->aer) {
        pcie_aer_write_config(pci, addr, val, len);
    }
    pcie_cap_flr_write_config(pci, addr, val, len);
    igrad_update_activity(s);
}

static bool igrad_init_pm(PCIDevice *pci, Error **errp)
{
    int cap = pci_pm_init(pci, 0, errp);

    if (cap < 0) {
        return false;
    }
    pci_set_word(pci->config + cap + PCI_PM_PMC, PCI_PM_CAP_VER_1_2);
    pci_set_word(pci->config + cap + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
    pci_set_word(pci->wmask + cap + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    return true;
}

/* Errors are reported when somebody injects them; the device has none. */
static bool igrad_init_aer(PCIDevice *pci, Error **errp)
{
    pcie_cap_deverr_init(pci);
    return pcie_aer_init(pci, PCI_ERR_VER, PCI_CONFIG_SPACE_SIZE,
                         PCI_ERR_SIZEOF, errp) >= 0;
}

static void igrad_exit_pcie(IgradState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    if (s->aer) {
        pcie_aer_exit(pci);
    }
    pcie_cap_exit(pci);
}

static bool igrad_init_pci(IgradState *s, Error **errp)
{
    PCIDevice *pci = PCI_DEVICE(s);

    memory_region_init_io(&s->regs, OBJECT(s), &igrad_regs_ops, s,
                          "igrad-regs", IGRAD_BAR_REGS_SIZE);
    pci_register_bar(pci, IGRAD_BAR_REGS,
                     PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->regs);

    if (!igrad_init_pm(pci, errp)) {
        return false;
    }
    if (pcie_endpoint_cap_init(pci, 0) < 0) {
        error_setg(errp, "no room for the PCI Express capability");
        return false;
    }
    pcie_cap_flr_init(pci);
    if (s->aer && !igrad_init_aer(pci, errp)) {
        pcie_cap_exit(pci);
        return false;
    }
    if (msix_init_exclusive_bar(pci, IGRAD_NUM_VECTORS, IGRAD_BAR_MSIX,
                                errp)) {
        igrad_exit_pcie(s);
        return false;
    }
    for (int i = 0; i < IGRAD_NUM_VECTORS; i++) {
        msix_vector_use(pci, i);
    }
    return true;
}

static uint64_t igrad_gone_read(void *opaque, hwaddr addr, unsigned int size)
{
    return UINT64_MAX;
}

static void igrad_gone_write(void *opaque, hwaddr addr, uint64_t val,
                             unsigned int size)
{
}

static const MemoryRegionOps igrad_gone_ops = {
    .read = igrad_gone_read,
    .write = igrad_gone_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

/*
 * A vCPU may have looked up one of our regions already, and wait for the BQL
 * to access it: that comes when nothing is there any more.
 */
static void igrad_regions_gone(IgradState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    s->regs.ops = &igrad_gone_ops;
    pci->msix_table_mmio.ops = &igrad_gone_ops;
    pci->msix_pba_mmio.ops = &igrad_gone_ops;
}

static void igrad_exit_pci(IgradState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    igrad_regions_gone(s);
    msix_unuse_all_vectors(pci);
    msix_uninit_exclusive_bar(pci);
    igrad_exit_pcie(s);
}

/*
 * Realize
 */

static bool igrad_check_properties(IgradState *s, Error **errp)
{
    char why[256];

    if (s->sram_kib > IGRAD_MAX_SRAM / KiB) {
        error_setg(errp, "sram-kib=%" PRIu32 " is larger than %" PRId64,
                   s->sram_kib, IGRAD_MAX_SRAM / KiB);
        return false;
    }
    s->config.sram_bytes = s->sram_kib * KiB;
    if (igrad_config_check(&s->config, why, sizeof(why))) {
        error_setg(errp, "%s", why);
        return false;
    }
    if (s->synchronous && s->config.hang_tag) {
        error_setg(errp, "x-hang-tag cannot be used with x-synchronous=on: "
                   "the whole machine would hang");
        return false;
    }
    return true;
}

static void igrad_realize(PCIDevice *pci, Error **errp)
{
    IgradState *s = IGRAD(pci);

    if (!igrad_check_properties(s, errp) || !igrad_init_pci(s, errp)) {
        return;
    }
    s->ring_bh = qemu_bh_new_guarded(igrad_ring_bh, s,
                                     &DEVICE(s)->mem_reentrancy_guard);
    s->name = qdev_get_human_name(DEVICE(s));
    s->worker.name = s->name;
    s->worker.inject = &s->inject;
    s->worker.stats = &s->stats;
    if (!igrad_worker_init(&s->worker, pci, &s->config, s->synchronous,
                           s->ring_bh, errp)) {
        qemu_bh_delete(s->ring_bh);
        igrad_exit_pci(s);
        g_free(s->name);
        return;
    }
    s->delay = timer_new_ns(QEMU_CLOCK_VIRTUAL, igrad_delay_over, s);
    s->vm_change = igrad_add_vm_change_handler(DEVICE(s), igrad_vm_change, s);
    igrad_worker_pause(&s->worker);
    igrad_vm_change(s, runstate_is_live(runstate_get()), runstate_get());
}

static void igrad_exit(PCIDevice *pci)
{
    IgradState *s = IGRAD(pci);

    qemu_del_vm_change_state_handler(s->vm_change);
    igrad_worker_destroy(&s->worker);
    timer_free(s->delay);
    qemu_bh_delete(s->ring_bh);
    igrad_exit_pci(s);
    g_free(s->name);
}

/*
 * The type
 */

/* No defaults here: igrad_config_default() has them. */
static const Property igrad_properties[] = {
    DEFINE_PROP_UNSIGNED_NODEFAULT("rows", IgradState, config.rows,
                                   qdev_prop_uint32, uint32_t),
    DEFINE_PROP_UNSIGNED_NODEFAULT("cols", IgradState, config.cols,
                                   qdev_prop_uint32, uint32_t),
    DEFINE_PROP_UNSIGNED_NODEFAULT("overlap", IgradState, config.overlap,
                                   qdev_prop_bool, bool),
    DEFINE_PROP_UNSIGNED_NODEFAULT("sram-kib", IgradState, sram_kib,
                                   qdev_prop_uint32, uint32_t),
    DEFINE_PROP_UNSIGNED_NODEFAULT("dram-bytes-per-cycle", IgradState,
                                   config.dram_bytes_per_cycle,
                                   qdev_prop_uint32, uint32_t),
    DEFINE_PROP_UNSIGNED_NODEFAULT("dram-latency", IgradState,
                                   config.dram_latency,
                                   qdev_prop_uint32, uint32_t),
    DEFINE_PROP_UNSIGNED_NODEFAULT("clock-hz", IgradState, config.clock_hz,
                                   qdev_prop_uint64, uint64_t),
    DEFINE_PROP_UNSIGNED_NODEFAULT("threads", IgradState, config.threads,
                                   qdev_prop_uint32, uint32_t),
    DEFINE_PROP_UNSIGNED_NODEFAULT("x-hang-tag", IgradState, config.hang_tag,
                                   qdev_prop_uint32, uint32_t),
    DEFINE_PROP_BOOL("realtime", IgradState, realtime, false),
    /* Off for the state of a device that had no such capability yet. */
    DEFINE_PROP_BOOL("aer", IgradState, aer, true),
    DEFINE_PROP_BOOL("x-synchronous", IgradState, synchronous, false),
};

static void igrad_instance_init(Object *obj)
{
    IgradState *s = IGRAD(obj);

    igrad_config_default(&s->config);
    s->sram_kib = s->config.sram_bytes / KiB;
}

static void igrad_class_init(ObjectClass *klass, IgradClassData *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    pc->realize = igrad_realize;
    pc->exit = igrad_exit;
    pc->config_read = igrad_read_config;
    pc->config_write = igrad_write_config;
    pc->vendor_id = IGRAD_PCI_VENDOR;
    pc->device_id = IGRAD_PCI_DEVICE;
    pc->revision = IGRAD_PCI_REVISION;
    pc->class_id = IGRAD_PCI_CLASS;
    rc->phases.hold = igrad_reset_hold;
    dc->desc = "Interleaved-gradient training accelerator";
    dc->vmsd = &igrad_vmstate;
    device_class_set_props(dc, igrad_properties);
    igrad_add_class_properties(klass);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo igrad_info = {
    .name = TYPE_IGRAD,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(IgradState),
    .instance_init = igrad_instance_init,
    .class_init = igrad_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { },
    },
};

static void igrad_register_types(void)
{
    type_register_static(&igrad_info);
}

type_init(igrad_register_types)
