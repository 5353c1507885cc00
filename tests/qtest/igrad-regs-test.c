/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the device is: identity, parameters, registers, properties. */

#include "qemu/osdep.h"
#include "igrad-dev.h"

static void test_identity(void)
{
    uint8_t cap;
    Dev d;

    dev_start(&d, "");
    g_assert_cmphex(qpci_config_readw(d.pci, PCI_VENDOR_ID), ==,
                    IGRAD_PCI_VENDOR);
    g_assert_cmphex(qpci_config_readw(d.pci, PCI_DEVICE_ID), ==,
                    IGRAD_PCI_DEVICE);
    g_assert_cmphex(qpci_config_readb(d.pci, PCI_REVISION_ID), ==,
                    IGRAD_PCI_REVISION);
    g_assert_cmphex(qpci_config_readw(d.pci, PCI_CLASS_DEVICE), ==,
                    IGRAD_PCI_CLASS);
    g_assert_cmphex(qpci_config_readb(d.pci, PCI_INTERRUPT_PIN), ==, 0);
    g_assert_cmphex(qpci_find_capability(d.pci, PCI_CAP_ID_PM, 0), !=, 0);
    g_assert_cmphex(qpci_config_readl(d.pci, PCI_BASE_ADDRESS_0) &
                    PCI_BASE_ADDRESS_MEM_TYPE_MASK, ==,
                    PCI_BASE_ADDRESS_MEM_TYPE_64);
    cap = qpci_find_capability(d.pci, PCI_CAP_ID_EXP, 0);
    g_assert_cmphex(cap, !=, 0);
    g_assert_cmphex(qpci_config_readl(d.pci, cap + PCI_EXP_DEVCAP) &
                    PCI_EXP_DEVCAP_FLR, !=, 0);
    qpci_msix_enable(d.pci);
    g_assert_cmpuint(qpci_msix_table_size(d.pci), ==, IGRAD_NUM_VECTORS);
    dev_stop(&d);
}

static void test_parameters(void)
{
    Dev d;

    dev_start(&d, "rows=16,cols=8,sram-kib=64,dram-bytes-per-cycle=32,"
              "dram-latency=7,clock-hz=5000000000,threads=2");
    g_assert_cmphex(reg_read(&d, IGRAD_REG_ID), ==, IGRAD_ID);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_VERSION), ==, IGRAD_HW_VERSION);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_ARRAY), ==, 8 << 16 | 16);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_SRAM_BYTES), ==, 64 * 1024);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_DRAM_WIDTH), ==, 32);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_DRAM_LATENCY), ==, 7);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_CLOCK_LO) |
                     (uint64_t)reg_read(&d, IGRAD_REG_CLOCK_HI) << 32, ==,
                     5000000000ull);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_RING_MAX), ==,
                    IGRAD_RING_MAX_LOG2);
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

static void test_registers(void)
{
    Dev d;

    dev_start(&d, "");
    check_power_on(&d);

    reg_write(&d, IGRAD_REG_RING_BASE_HI, 0x12345678);
    reg_write(&d, IGRAD_REG_RING_BASE_LO, 0x9abcdef0);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_RING_BASE_LO), ==, 0x9abcdef0);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_RING_BASE_HI), ==, 0x12345678);
    reg_write(&d, IGRAD_REG_IRQ_ENABLE, ~0u);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_IRQ_ENABLE), ==, IGRAD_IRQ_ALL);
    reg_write(&d, IGRAD_REG_ID, 0);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_ID), ==, IGRAD_ID);

    /* What is not there reads all ones. */
    g_assert_cmphex(reg_read(&d, 0x028), ==, UINT32_MAX);
    g_assert_cmphex(reg_read(&d, IGRAD_BAR_REGS_SIZE - 4), ==, UINT32_MAX);
    reg_write(&d, 0x028, 1);

    reset(&d);
    check_power_on(&d);
    dev_stop(&d);
}

static void test_widths(void)
{
    Dev d;
    uint64_t ctrl;

    dev_start(&d, "");
    ctrl = d.bar.addr + IGRAD_REG_IRQ_ENABLE;
    for (uint64_t reg = 0; reg < 0x100; reg += 4) {
        uint64_t at = d.bar.addr + reg;

        g_assert_cmphex(qtest_readb(d.qts, at), ==, UINT8_MAX);
        g_assert_cmphex(qtest_readb(d.qts, at + 3), ==, UINT8_MAX);
        g_assert_cmphex(qtest_readw(d.qts, at), ==, UINT16_MAX);
        g_assert_cmphex(qtest_readw(d.qts, at + 1), ==, UINT16_MAX);
        g_assert_cmphex(qtest_readl(d.qts, at + 2), ==, UINT32_MAX);
        g_assert_cmphex(qtest_readq(d.qts, at), ==, UINT64_MAX);
    }
    qtest_writeb(d.qts, ctrl, IGRAD_IRQ_ALL);
    qtest_writew(d.qts, ctrl, IGRAD_IRQ_ALL);
    qtest_writel(d.qts, ctrl - 2, IGRAD_IRQ_ALL << 16);
    qtest_writeq(d.qts, ctrl, IGRAD_IRQ_ALL);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_IRQ_ENABLE), ==, 0);
    dev_stop(&d);
}

/* Each bad property is refused with an error that names it. */
static void test_bad_properties(void)
{
    static const struct {
        const char *name;
        int64_t value;
    } bad[] = {
        { "rows", 0 }, { "rows", 257 }, { "cols", 0 }, { "cols", 257 },
        { "sram-kib", 0 }, { "sram-kib", 15 }, { "sram-kib", 262145 },
        { "sram-kib", UINT32_MAX }, { "dram-bytes-per-cycle", 0 },
        { "dram-bytes-per-cycle", 65537 }, { "dram-latency", 1000001 },
        { "clock-hz", 0 }, { "clock-hz", 1000000000001 }, { "threads", 0 },
        { "threads", 65 },
    };
    QTestState *qts = qtest_init("-M q35 -nodefaults "
                                 "-device pcie-root-port,id=rp");

    for (int i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(QDict) args = qdict_new();
        QDict *error;

        qdict_put_str(args, "driver", "igrad");
        qdict_put_str(args, "bus", "rp");
        qdict_put_int(args, bad[i].name, bad[i].value);
        error = qtest_qmp_assert_failure_ref(qts, "{'execute': 'device_add',"
                                             " 'arguments': %p}",
                                             qobject_ref(args));
        g_assert_nonnull(strstr(qdict_get_str(error, "desc"), bad[i].name));
        qobject_unref(error);
    }
    qtest_qmp_device_add(qts, "igrad", "good", "{'bus': 'rp', 'rows': 256}");
    qtest_quit(qts);
}

static void test_bad_combination(void)
{
    QTestState *qts = qtest_init("-M q35 -nodefaults "
                                 "-device pcie-root-port,id=rp");
    QDict *error = qtest_qmp_assert_failure_ref(
        qts, "{'execute': 'device_add', 'arguments': {'driver': 'igrad',"
        " 'bus': 'rp', 'x-hang-tag': 1, 'x-synchronous': true}}");

    g_assert_nonnull(strstr(qdict_get_str(error, "desc"), "x-hang-tag"));
    qobject_unref(error);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("igrad/identity", test_identity);
    qtest_add_func("igrad/parameters", test_parameters);
    qtest_add_func("igrad/registers", test_registers);
    qtest_add_func("igrad/widths", test_widths);
    qtest_add_func("igrad/bad-properties", test_bad_properties);
    qtest_add_func("igrad/bad-combination", test_bad_combination);

    return g_test_run();
}
