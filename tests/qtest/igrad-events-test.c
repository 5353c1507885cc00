/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens to a machine while jobs run: stops, resets of every reach,
 * bus mastering and memory taken away, a BAR that moves; and guests that mean
 * no good.
 */

#include "qemu/osdep.h"
#include "igrad-storm.h"
#include "igrad-work.h"

/*
 * Everything that the device can write: jobs' pages, completions, messages.
 * Tests read it twice, and nothing may have changed in between.
 */
#define WRITABLE (MAPPED + 3 * IGRAD_PAGE_SIZE)

static uint8_t *read_writable(Dev *d)
{
    uint8_t *bytes = g_malloc(WRITABLE);

    qtest_memread(d->qts, page_of(d, 0), bytes, MAPPED);
    qtest_memread(d->qts, d->area, bytes + MAPPED, 3 * IGRAD_PAGE_SIZE);
    return bytes;
}

static void check_silent(Dev *d)
{
    g_autofree uint8_t *before = read_writable(d);
    g_autofree uint8_t *after = NULL;

    g_usleep(10000);
    after = read_writable(d);
    g_assert_cmpmem(before, WRITABLE, after, WRITABLE);
}

static void rest(int most_us)
{
    g_usleep(g_test_rand_int_range(0, most_us));
}

/* Nothing is written while the machine is stopped. */
static void test_stopped(void)
{
    g_autofree uint8_t *expected = work_undisturbed("");
    unsigned int busy = 0;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    for (int round = 0; round < 3; round++) {
        work_submit(&d);
        for (int i = 0; i < 10; i++) {
            rest(1500);
            qtest_qmp_assert_success(d.qts, "{'execute': 'stop'}");
            busy += reg_read(&d, IGRAD_REG_STATUS) & IGRAD_DEV_BUSY ? 1 : 0;
            check_silent(&d);
            qtest_qmp_assert_success(d.qts, "{'execute': 'cont'}");
        }
        work_check(&d, expected);
        reset(&d);
        dev_setup(&d);
    }
    g_test_message("%u of 30 stops had a job executing", busy);
    g_assert_cmpuint(busy, >=, 2);
    dev_stop(&d);
}

static void set_command(Dev *d, uint16_t clear, uint16_t set)
{
    uint16_t command = qpci_config_readw(d->pci, PCI_COMMAND);

    qpci_config_writew(d->pci, PCI_COMMAND, (command & ~clear) | set);
}

/* Unreachable memory ends the job, and the ring with it. */
static void test_bus_master(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    for (int i = 0; i < 10; i++) {
        submit_storm(&d, i);
        rest(4000);
        set_command(&d, PCI_COMMAND_MASTER, 0);
        check_silent(&d);
        wait_reg(&d, IGRAD_REG_STATUS, IGRAD_DEV_BUSY, 0);
        g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS) & ~IGRAD_DEV_FATAL, ==,
                        reg_read(&d, IGRAD_REG_STATUS) & IGRAD_DEV_FATAL ?
                        0 : IGRAD_DEV_READY);
        set_command(&d, 0, PCI_COMMAND_MASTER);
        reset(&d);
        check_power_on(&d);
        dev_setup(&d);
        check_works(&d);
        reset(&d);
        ring_enable(&d);
    }
    dev_stop(&d);
}

/* Registers out of reach are none of a job's business. */
static void test_memory_disabled(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    for (int i = 0; i < 10; i++) {
        submit_storm(&d, i);
        rest(3000);
        set_command(&d, PCI_COMMAND_MEMORY, 0);
        rest(3000);
        set_command(&d, 0, PCI_COMMAND_MEMORY);
        check_ok(&d, d.tail - 1, i, STORM_COMMANDS);
    }
    dev_stop(&d);
}

static void test_bar_moved(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    for (int i = 0; i < 10; i++) {
        uint64_t to = d.bar.addr ^ 0x2000000;

        submit_storm(&d, i);
        rest(3000);
        qpci_config_writel(d.pci, PCI_BASE_ADDRESS_0, to);
        d.bar.addr = to;
        g_assert_cmphex(reg_read(&d, IGRAD_REG_ID), ==, IGRAD_ID);
        check_ok(&d, d.tail - 1, i, STORM_COMMANDS);
    }
    dev_stop(&d);
}

/* What is not told by a message is found in IRQ_STATUS. */
static void test_msix_disabled(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    for (int i = 0; i < 5; i++) {
        msi_seen(&d, IGRAD_VECTOR_COMPLETION);
        reg_write(&d, IGRAD_REG_IRQ_STATUS, IGRAD_IRQ_ALL);
        qom_set_number(&d, "x-inject-completion-delay", 1000000);
        submit_storm(&d, i);
        rest(4000);
        qpci_msix_disable(d.pci);
        wait_reg(&d, IGRAD_REG_RETIRED_LO, UINT32_MAX,
                 (i + 1) * STORM_COMMANDS);
        do {
            qtest_clock_step(d.qts, 2000000);
        } while (reg_read(&d, IGRAD_REG_RING_DONE) != d.tail);
        check_ok(&d, d.tail - 1, i, STORM_COMMANDS);
        g_assert_false(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
        g_assert_cmphex(reg_read(&d, IGRAD_REG_IRQ_STATUS), ==,
                        IGRAD_IRQ_COMPLETION);
        msix_setup(&d);
    }
    dev_stop(&d);
}

static void test_secondary_bus_reset(void)
{
    QTestState *qts = qtest_init("-M q35 -nodefaults "
                                 "-device pcie-root-port,id=rp,addr=3 "
                                 "-device igrad,id=dut,bus=rp," HANG);
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QPCIDevice *port = qpci_device_find(bus, QPCI_DEVFN(3, 0));
    Dev d;

    g_assert_nonnull(port);
    qpci_config_writeb(port, PCI_SECONDARY_BUS, 1);
    qpci_config_writeb(port, PCI_SUBORDINATE_BUS, 1);
    qpci_config_writew(port, PCI_MEMORY_BASE, 0xe000);
    qpci_config_writew(port, PCI_MEMORY_LIMIT, 0xefff);
    qpci_device_enable(port);
    dev_open(&d, qts, bus, 1 << 8, 0);
    dev_setup(&d);
    for (int i = 0; i < 10; i++) {
        uint16_t control = qpci_config_readw(port, PCI_BRIDGE_CONTROL);

        if (i % 3) {
            submit_storm(&d, i);
        } else {
            start_hang(&d);
        }
        rest(4000);
        qpci_config_writew(port, PCI_BRIDGE_CONTROL,
                           control | PCI_BRIDGE_CTL_BUS_RESET);
        qpci_config_writew(port, PCI_BRIDGE_CONTROL, control);
        check_silent(&d);
        reopen(&d);
        check_power_on(&d);
        d.tail = 0;
        dev_setup(&d);
        check_works(&d);
        reset(&d);
        ring_enable(&d);
    }
    g_free(port);
    dev_stop(&d);
}

/* No reset leaves anything on its way. */
static void test_resets_are_silent(void)
{
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    for (int i = 0; i < 30; i++) {
        submit_storm(&d, i);
        rest(4000);
        switch (i % 3) {
        case 0:
            reset(&d);
            break;
        case 1:
            flr(&d);
            reopen(&d);
            break;
        case 2:
            qtest_system_reset(d.qts);
            d.tail = 0;
            reopen(&d);
            break;
        }
        check_silent(&d);
        check_power_on(&d);
        dev_setup(&d);
    }
    check_works(&d);
    dev_stop(&d);
}

/*
 * Guests that mean no good
 */

/* Descriptors, completions and commands that are the same bytes */
static void test_overlapping_rings(void)
{
    static const uint64_t places[] = { RING, CQ, PAGES + VA_CMDS, ROOT };
    Program p = { 0 };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    add_nop(&p, 0);
    for (int i = 0; i < G_N_ELEMENTS(places); i++) {
        reset(&d);
        build_page_tables(&d);
        ring_enable(&d);
        reg_write(&d, IGRAD_REG_CTRL, 0);
        reg_write(&d, IGRAD_REG_CQ_BASE_LO, d.area + places[i]);
        reg_write(&d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
        for (uint32_t k = 0; k < RING_SIZE; k++) {
            put_desc(&d, k, make_desc(&d, &p, k));
        }
        doorbell(&d, RING_SIZE);
        wait_reg(&d, IGRAD_REG_STATUS, IGRAD_DEV_BUSY, 0);
        for (int k = 0; k < 20; k++) {
            resume(&d);
            g_usleep(500);
        }
    }
    reset(&d);
    check_power_on(&d);
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

/* Commands, page tables and descriptors that change all the time */
static void test_changing(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    for (int i = 0; i < 30; i++) {
        submit_storm(&d, i);
        for (int k = 0; k < 40; k++) {
            uint32_t word = g_test_rand_int();
            uint64_t at = g_test_rand_int_range(0, 2) ?
                page_of(&d, VA_CMDS) + g_test_rand_int_range(0, 16000) * 4 :
                d.area + ROOT + g_test_rand_int_range(0, 3072) * 4;

            qtest_writel(d.qts, at, word);
        }
        wait_reg(&d, IGRAD_REG_STATUS, IGRAD_DEV_BUSY, 0);
        reset(&d);
        build_page_tables(&d);
        ring_enable(&d);
    }
    check_works(&d);
    dev_stop(&d);
}

/* Tables that are their own entries: every walk ends. */
static void test_looping_tables(void)
{
    const uint64_t table = IGRAD_PTE_VALID;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    qtest_writeq(d.qts, d.area + ROOT + 8, (d.area + ROOT) | table);
    /* level 2, the root again as level 1, and as level 0: a read-only page */
    check_fault(&d, (1ull << 30) + (1ull << 21) + (1ull << 12),
                IGRAD_REASON_READ_ONLY,
                (1ull << 30) + (1ull << 21) + (1ull << 12));
    qtest_writeq(d.qts, d.area + ROOT + 16, UINT64_MAX);
    check_fault(&d, 2ull << 30, IGRAD_REASON_BAD_PTE, 2ull << 30);
    check_works(&d);
    dev_stop(&d);
}

static void test_eight_devices(void)
{
    g_autoptr(GString) args = g_string_new("-M q35 -nodefaults -m 256");
    QTestState *qts;
    QPCIBus *bus;
    Dev d[8];

    for (int i = 0; i < 8; i++) {
        g_string_append_printf(args, " -device igrad,addr=%x,threads=%d",
                               4 + i, 1 + i % 2);
    }
    qts = qtest_init(args->str);
    bus = qpci_new_pc(qts, NULL);
    for (int i = 0; i < 8; i++) {
        dev_open(&d[i], qts, bus, QPCI_DEVFN(4 + i, 0), i);
        dev_setup(&d[i]);
    }
    for (int i = 0; i < 8; i++) {
        submit_storm(&d[i], i);
    }
    for (int i = 0; i < 8; i++) {
        if (i % 3 == 2) {
            reset(&d[i]);
            ring_enable(&d[i]);
        } else {
            check_ok(&d[i], 0, i, STORM_COMMANDS);
        }
        check_works(&d[i]);
    }
    for (int i = 1; i < 8; i++) {
        g_free(d[i].pci);
    }
    dev_stop(&d[0]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("igrad/events/stopped", test_stopped);
    qtest_add_func("igrad/events/bus-master", test_bus_master);
    qtest_add_func("igrad/events/memory-disabled", test_memory_disabled);
    qtest_add_func("igrad/events/bar-moved", test_bar_moved);
    qtest_add_func("igrad/events/msix-disabled", test_msix_disabled);
    qtest_add_func("igrad/events/secondary-bus-reset",
                   test_secondary_bus_reset);
    qtest_add_func("igrad/events/resets-are-silent", test_resets_are_silent);
    qtest_add_func("igrad/hostile/overlapping-rings", test_overlapping_rings);
    qtest_add_func("igrad/hostile/changing", test_changing);
    qtest_add_func("igrad/hostile/looping-tables", test_looping_tables);
    qtest_add_func("igrad/eight-devices", test_eight_devices);

    return g_test_run();
}
