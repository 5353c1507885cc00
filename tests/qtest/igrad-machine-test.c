/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device in its machine: neighbours, stop and go on, time, hot unplug.
 */

#include "qemu/osdep.h"
#include "igrad-storm.h"

static void test_two_devices(void)
{
    QTestState *qts = qtest_init("-M q35 -nodefaults "
                                 "-device igrad,addr=4," HANG
                                 " -device igrad,addr=5,rows=8,cols=4");
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    Dev a, b;

    dev_open(&a, qts, bus, QPCI_DEVFN(4, 0), 0);
    dev_open(&b, qts, bus, QPCI_DEVFN(5, 0), 1);
    dev_setup(&a);
    dev_setup(&b);
    g_assert_cmphex(reg_read(&b, IGRAD_REG_ARRAY), ==, 4 << 16 | 8);
    check_works(&a);
    check_works(&b);
    start_hang(&a);
    check_works(&b);
    reset(&a);
    check_works(&b);
    ring_enable(&a);
    check_works(&a);
    g_free(b.pci);
    dev_stop(&a);
}

static void test_stop_cont(void)
{
    Program p = { 0 };
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    qtest_qmp_assert_success(d.qts, "{'execute': 'stop'}");
    add_nop(&p, 0);
    submit(&d, &p, 8);
    g_usleep(20000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_STARTED), ==, 0);
    qtest_qmp_assert_success(d.qts, "{'execute': 'cont'}");
    check_ok(&d, 0, 8, 1);

    /* Stopping does not wait for a job that never ends. */
    start_hang(&d);
    qtest_qmp_assert_success(d.qts, "{'execute': 'stop'}");
    qtest_qmp_assert_success(d.qts, "{'execute': 'cont'}");
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==,
                    IGRAD_DEV_READY | IGRAD_DEV_BUSY);

    /* Nor does a reset of a stopped machine. */
    qtest_qmp_assert_success(d.qts, "{'execute': 'stop'}");
    reset(&d);
    qtest_qmp_assert_success(d.qts, "{'execute': 'cont'}");
    ring_enable(&d);
    check_works(&d);
    dev_stop(&d);
}

static void set_power_state(Dev *d, uint16_t state)
{
    uint8_t cap = qpci_find_capability(d->pci, PCI_CAP_ID_PM, 0);

    qpci_config_writew(d->pci, cap + PCI_PM_CTRL, state);
    g_assert_cmphex(qpci_config_readw(d->pci, cap + PCI_PM_CTRL) &
                    PCI_PM_CTRL_STATE_MASK, ==, state);
}

/* In D3hot the device is silent; in D0 again it goes on where it was. */
static void test_power(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    qtest_qmp_assert_success(d.qts, "{'execute': 'stop'}");
    submit_storm(&d, 9);
    set_power_state(&d, 3);
    qtest_qmp_assert_success(d.qts, "{'execute': 'cont'}");
    qtest_memset(d.qts, page_of(&d, VA_STORM), 0x5a, 16384);
    g_usleep(50000);
    g_assert_cmphex(qtest_readl(d.qts, page_of(&d, VA_STORM)), ==, 0x5a5a5a5a);
    g_assert_false(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    set_power_state(&d, 0);
    check_ok(&d, 0, 9, STORM_COMMANDS);
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));

    /* A reset wakes it. */
    set_power_state(&d, 3);
    qtest_system_reset(d.qts);
    d.tail = 0;
    reopen(&d);
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

/* A completion comes when the modelled clock says so, and not before. */
static void test_realtime(void)
{
    Program p = { 0 };
    struct igrad_report r;
    int64_t ns;
    Dev d;

    dev_start(&d, "realtime=on,clock-hz=1000");
    dev_setup(&d);
    write_operands(&d);
    add_fprop(&p, VA_Y);
    submit(&d, &p, 1);
    g_usleep(50000);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==,
                    IGRAD_DEV_READY | IGRAD_DEV_BUSY);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_DONE), ==, 0);
    qtest_memread(d.qts, page_of(&d, VA_REPORT), &r, sizeof(r));
    ns = le64_to_cpu(r.cycles) * 1000000;
    qtest_clock_step(d.qts, ns - 1000000);
    g_usleep(10000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_DONE), ==, 0);
    qtest_clock_step(d.qts, 1000000);
    check_ok(&d, 0, 1, p.num);
    dev_stop(&d);
}

/*
 * Long commands of the array, so long that a few register accesses fit into
 * one of them in any case.
 */
#define LONG_COMMANDS 16

static void submit_long_commands(Dev *d)
{
    g_autofree struct igrad_cmd *cmds = g_new0(struct igrad_cmd, LONG_COMMANDS);
    struct igrad_desc desc = {
        .pt_root = cpu_to_le64(bus_of(d, d->area + ROOT)),
        .cmds = cpu_to_le64(VA_CMDS),
        .num_cmds = cpu_to_le32(LONG_COMMANDS),
        .seqno = cpu_to_le64(5),
    };

    for (int i = 0; i < LONG_COMMANDS; i++) {
        cmds[i].opcode = IGRAD_OP_WGRAD;
        cmds[i].u.array.rows = cpu_to_le16(256);
        cmds[i].u.array.cols = cpu_to_le16(256);
        cmds[i].u.array.batch = cpu_to_le32(8192);
        cmds[i].u.array.x_pitch = cpu_to_le32(1024);
        cmds[i].u.array.g_pitch = cpu_to_le32(1024);
        cmds[i].u.array.g = cpu_to_le32(8 << 20);
    }
    qtest_memwrite(d->qts, page_of(d, VA_CMDS), cmds,
                   LONG_COMMANDS * sizeof(*cmds));
    put_desc(d, d->tail, desc);
    doorbell(d, d->tail + 1);
}

/*
 * Accesses do not wait for what the device computes: many of them fit into a
 * command. How long they take is told, and not judged.
 */
static void test_latency(void)
{
    gint64 worst = 0, sum = 0, idle;
    uint32_t reads = 0, most = 0, in_this = 0, before = 0;
    Dev d;

    dev_start(&d, "rows=256,cols=256,sram-kib=16384,overlap=off");
    dev_setup(&d);
    idle = g_get_monotonic_time();
    for (int i = 0; i < 1000; i++) {
        reg_read(&d, IGRAD_REG_RETIRED_LO);
    }
    idle = g_get_monotonic_time() - idle;
    submit_long_commands(&d);
    while (reg_read(&d, IGRAD_REG_RING_DONE) == 0) {
        gint64 begin = g_get_monotonic_time(), took;
        uint32_t retired = reg_read(&d, IGRAD_REG_RETIRED_LO);

        took = g_get_monotonic_time() - begin;
        worst = MAX(worst, took);
        sum += took;
        reads++;
        in_this = retired == before ? in_this + 1 : 0;
        most = MAX(most, in_this);
        before = retired;
    }
    check_ok(&d, 0, 5, LONG_COMMANDS);
    g_test_message("latency: %u reads while busy, %.1f us on average, "
                   "%" PRId64 " us at most, %u within one command, "
                   "%.1f us when idle", reads, (double)sum / reads, worst,
                   most, idle / 1000.0);
    g_assert_cmpuint(most, >=, 10);
    dev_stop(&d);
}

static void test_storms(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    check_storms(&d);
    dev_stop(&d);
}

/*
 * Tests: hot unplug
 */

#define ACPI_PCIHP_EJECT  0xcc8
#define ACPI_PCIHP_SELECT 0xcd0

/* A root port at 00:03.0 with bus 1 behind it. */
static void start_behind_port(Dev *d, const char *machine_args)
{
    QTestState *qts = qtest_initf("-M q35 -nodefaults %s "
                                  "-device pcie-root-port,id=rp,addr=3 "
                                  "-device igrad,id=dut,bus=rp," HANG,
                                  machine_args);
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QPCIDevice *port = qpci_device_find(bus, QPCI_DEVFN(3, 0));

    g_assert_nonnull(port);
    qpci_config_writeb(port, PCI_SECONDARY_BUS, 1);
    qpci_config_writeb(port, PCI_SUBORDINATE_BUS, 1);
    qpci_config_writew(port, PCI_MEMORY_BASE, 0xe000);
    qpci_config_writew(port, PCI_MEMORY_LIMIT, 0xefff);
    qpci_device_enable(port);
    g_free(port);
    dev_open(d, qts, bus, 1 << 8, 0);
}

/* What the guest's ACPI code does when it has been asked to let go. */
static void unplug(Dev *d)
{
    qtest_qmp_device_del_send(d->qts, "dut");
    qtest_outl(d->qts, ACPI_PCIHP_SELECT, 0);
    qtest_outl(d->qts, ACPI_PCIHP_EJECT, 1);
    qtest_qmp_eventwait(d->qts, "DEVICE_DELETED");
    g_assert_cmphex(qpci_config_readw(d->pci, PCI_VENDOR_ID), ==, 0xffff);
}

static void check_unplug(void (*prepare)(Dev *d))
{
    Dev d;

    start_behind_port(&d, "");
    dev_setup(&d);
    check_works(&d);
    prepare(&d);
    unplug(&d);

    /* And in again */
    qtest_qmp_device_add(d.qts, "igrad", "dut", "{'bus': 'rp'}");
    reopen(&d);
    check_power_on(&d);
    d.tail = 0;
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

static void test_unplug_hang(void)
{
    check_unplug(start_hang);
}

static void prepare_storm(Dev *d)
{
    submit_storm(d, 1);
}

static void test_unplug_storm(void)
{
    check_unplug(prepare_storm);
}

/* The program ends with a job in flight. */
static void test_quit_hang(void)
{
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    start_hang(&d);
    dev_stop(&d);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("igrad/two-devices", test_two_devices);
    qtest_add_func("igrad/stop-cont", test_stop_cont);
    qtest_add_func("igrad/power", test_power);
    qtest_add_func("igrad/realtime", test_realtime);
    qtest_add_func("igrad/latency", test_latency);
    qtest_add_func("igrad/storms", test_storms);
    qtest_add_func("igrad/unplug-hang", test_unplug_hang);
    qtest_add_func("igrad/unplug-storm", test_unplug_storm);
    qtest_add_func("igrad/quit-hang", test_quit_hang);

    return g_test_run();
}
