/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failing on purpose, and what a running device tells about itself. */

#include "qemu/osdep.h"
#include "igrad-dev.h"

static void test_off_by_default(void)
{
    static const char *const names[] = {
        "x-inject-irq-lose", "x-inject-irq-repeat", "x-inject-completion-drop",
        "x-inject-completion-delay", "x-inject-hang", "x-inject-ecc",
        "x-inject-fault", "x-inject-sram-flip", "x-inject-acc-flip",
    };
    Dev d;

    dev_start(&d, "");
    for (int i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_cmpuint(qom_get_number(&d, names[i]), ==, 0);
    }
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

static void test_irq_lose(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    qom_set_number(&d, "x-inject-irq-lose", 2);
    for (int i = 0; i < 2; i++) {
        check_works(&d);
        g_assert_false(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
        g_assert_cmphex(reg_read(&d, IGRAD_REG_IRQ_STATUS), ==,
                        IGRAD_IRQ_COMPLETION);
    }
    check_works(&d);
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    g_assert_cmpuint(qom_get_number(&d, "interrupts"), ==, 1);
    dev_stop(&d);
}

static void test_irq_repeat(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    qom_set_number(&d, "x-inject-irq-repeat", 1);
    check_works(&d);
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    g_assert_cmpuint(qom_get_number(&d, "interrupts"), ==, 2);
    check_works(&d);
    g_assert_cmpuint(qom_get_number(&d, "interrupts"), ==, 3);
    dev_stop(&d);
}

static void test_completion_drop(void)
{
    Program p = { 0 };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    qom_set_number(&d, "x-inject-completion-drop", 1);
    add_nop(&p, 0);
    submit(&d, &p, 1);
    wait_reg(&d, IGRAD_REG_RING_DONE, UINT32_MAX, 1);
    g_assert_cmpuint(le32_to_cpu(completion(&d, 0).stamp), ==, 0);
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    check_works(&d);
    g_assert_cmpuint(le32_to_cpu(completion(&d, 0).stamp), ==, 0);
    dev_stop(&d);
}

static void test_completion_delay(void)
{
    Program p = { 0 };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    qom_set_number(&d, "x-inject-completion-delay", 5000000000ull);
    add_nop(&p, 0);
    submit(&d, &p, 1);
    wait_reg(&d, IGRAD_REG_RETIRED_LO, UINT32_MAX, 1);
    g_usleep(20000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_DONE), ==, 0);
    check_state(&d, "delayed");
    qtest_clock_step(d.qts, 4900000000ll);
    g_usleep(10000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_DONE), ==, 0);
    qtest_clock_step(d.qts, 200000000);
    check_ok(&d, 0, 1, 1);
    qom_set_number(&d, "x-inject-completion-delay", 0);
    check_works(&d);

    /* For ever is no overflow. */
    qom_set_number(&d, "x-inject-completion-delay", UINT64_MAX);
    submit(&d, &p, 2);
    wait_reg(&d, IGRAD_REG_RETIRED_LO, UINT32_MAX, 7);
    g_usleep(10000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_DONE), ==, 2);
    reset(&d);
    check_power_on(&d);
    dev_stop(&d);
}

static void check_hang(const char *device_args)
{
    Program p = { 0 };
    Dev d;

    dev_start(&d, device_args);
    dev_setup(&d);
    write_operands(&d);
    qom_set_number(&d, "x-inject-hang", 4);
    add_fprop(&p, VA_Y);
    submit(&d, &p, 1);
    wait_reg(&d, IGRAD_REG_RETIRED_LO, UINT32_MAX, 3);
    g_usleep(20000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RETIRED_LO), ==, 3);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==,
                    IGRAD_DEV_READY | IGRAD_DEV_BUSY);
    check_state(&d, "running");
    reset(&d);
    ring_enable(&d);
    check_works(&d);
    dev_stop(&d);
}

static void test_hang(void)
{
    check_hang("");
}

static void test_hang_synchronous(void)
{
    check_hang("x-synchronous=on");
}

/* The n-th read: the first fetches commands, the second loads w. */
static void test_ecc(void)
{
    static const uint64_t where[] = { VA_CMDS, VA_W, VA_X };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    for (int i = 0; i < G_N_ELEMENTS(where); i++) {
        Program p = { 0 };

        qom_set_number(&d, "x-inject-ecc", 1 + i);
        write_operands(&d);
        add_fprop(&p, VA_Y);
        submit(&d, &p, 3);
        check_completion(&d, d.tail - 1, 3, IGRAD_STATUS_DEVICE,
                         IGRAD_REASON_ECC, i ? i - 1 : 0);
        g_assert_cmphex(le64_to_cpu(completion(&d, d.tail - 1).addr), ==,
                        where[i]);
        check_stopped(&d, d.tail);
        resume(&d);
    }
    check_works(&d);
    g_assert_cmpuint(qom_get_number(&d, "jobs-failed"), ==, 3);
    dev_stop(&d);
}

static void test_fault(void)
{
    Program p = { 0 };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    write_operands(&d);
    qom_set_number(&d, "x-inject-fault", VA_Y + 12);
    add_fprop(&p, VA_Y);
    submit(&d, &p, 3);
    check_completion(&d, 0, 3, IGRAD_STATUS_FAULT, IGRAD_REASON_BUS, 4);
    g_assert_cmphex(le64_to_cpu(completion(&d, 0).addr), ==, VA_Y);
    g_assert_cmphex(qtest_readl(d.qts, page_of(&d, VA_Y)), ==, 0xeeeeeeee);
    check_stopped(&d, 1);
    resume(&d);
    qom_set_number(&d, "x-inject-fault", 0);
    check_works(&d);
    dev_stop(&d);
}

/* One bit is wrong, and nobody says so. */
static void check_flip(const char *flip, const char *which, uint64_t bit,
                       uint32_t nth, uint32_t expected)
{
    Program p = { 0 };
    struct igrad_cmd *drain;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    write_operands(&d);
    qtest_memset(d.qts, page_of(&d, VA_X), 0, IGRAD_PAGE_SIZE);
    add_dma(&p, IGRAD_OP_DMA_LOAD, VA_X, 0, 1, 16);
    add_nop(&p, 0);
    p.cmd[1].engine = IGRAD_ENGINE_ARRAY;
    drain = add_cmd(&p, IGRAD_OP_DRAIN_ACC);
    drain->u.array.rows = cpu_to_le16(2);
    drain->u.array.cols = cpu_to_le16(8);
    drain->u.array.p = cpu_to_le32(64);
    drain->u.array.p_pitch = cpu_to_le32(32);
    cmd_signal(&p, 2);
    p.cmd[0].signal = 1;
    add_dma(&p, IGRAD_OP_DMA_STORE, VA_Y, 0, 1, 32);
    cmd_wait(&p, 0, 1, 1);
    cmd_wait(&p, 1, 2, 1);

    qom_set_number(&d, which, bit);
    qom_set_number(&d, flip, nth);
    submit(&d, &p, 3);
    check_ok(&d, 0, 3, p.num);
    for (uint32_t i = 0; i < 32; i++) {
        g_assert_cmphex(qtest_readl(d.qts, page_of(&d, VA_Y) + 4 * i), ==,
                        i == expected ? 1u << bit % 32 : 0);
    }
    check_works(&d);
    dev_stop(&d);
}

static void test_sram_flip(void)
{
    check_flip("x-inject-sram-flip", "x-inject-sram-bit", 5 * 32 + 7, 2, 5);
}

static void test_sram_flip_overwritten(void)
{
    check_flip("x-inject-sram-flip", "x-inject-sram-bit", 5 * 32 + 7, 1, 32);
}

static void test_acc_flip(void)
{
    check_flip("x-inject-acc-flip", "x-inject-acc-bit", (32 + 3) * 32 + 31, 3,
               16 + 8 + 3);
}

static void test_dead(void)
{
    Program p = { .va = VA_CMDS + 0x1000 };
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    check_works(&d);
    start_hang(&d);
    add_nop(&p, 0);
    submit(&d, &p, 9);
    msi_seen(&d, IGRAD_VECTOR_COMPLETION);
    qom_set_bool(&d, "x-inject-dead", true);
    check_state(&d, "dead");
    for (uint64_t reg = 0; reg < IGRAD_BAR_REGS_SIZE; reg += 4) {
        g_assert_cmphex(reg_read(&d, reg), ==, UINT32_MAX);
    }
    g_assert_cmphex(qpci_config_readw(d.pci, PCI_VENDOR_ID), ==, 0xffff);
    g_assert_cmphex(qpci_config_readl(d.pci, PCI_BASE_ADDRESS_0), ==,
                    UINT32_MAX);
    g_assert_cmphex(qpci_config_readb(d.pci, PCI_REVISION_ID), ==, 0xff);
    reg_write(&d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
    qpci_config_writew(d.pci, PCI_COMMAND, 0x7);
    g_usleep(10000);
    g_assert_false(msi_seen(&d, IGRAD_VECTOR_COMPLETION));

    qom_set_bool(&d, "x-inject-dead", false);
    g_assert_cmphex(qpci_config_readw(d.pci, PCI_VENDOR_ID), ==,
                    IGRAD_PCI_VENDOR);
    reopen(&d);
    check_power_on(&d);
    check_state(&d, "disabled");
    d.tail = 0;
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

/*
 * What a running device tells
 */

static void test_counters(void)
{
    Program bad = { .va = VA_CMDS + 0x1000 };
    struct igrad_desc skip = { .flags = cpu_to_le32(IGRAD_DESC_SKIP) };
    uint64_t resets;
    Dev d;

    dev_start(&d, HANG);
    check_state(&d, "disabled");
    resets = qom_get_number(&d, "resets");
    dev_setup(&d);
    check_state(&d, "ready");
    check_works(&d);
    check_works(&d);
    g_assert_cmpuint(qom_get_number(&d, "jobs-started"), ==, 2);
    g_assert_cmpuint(qom_get_number(&d, "jobs-ok"), ==, 2);
    g_assert_cmpuint(qom_get_number(&d, "commands-retired"), ==, 10);
    /* commands, w and x; y and the report */
    g_assert_cmpuint(qom_get_number(&d, "bytes-read"), ==,
                     2 * (5 * 64 + 4 * (ROWS * COLS + BATCH * ROWS)));
    g_assert_cmpuint(qom_get_number(&d, "bytes-written"), ==,
                     2 * (4 * BATCH * COLS + sizeof(struct igrad_report)));
    g_assert_cmpuint(qom_get_number(&d, "bus-requests"), ==, 0);
    g_assert_cmpuint(qom_get_number(&d, "interrupts"), ==, 2);
    g_assert_cmpuint(qom_get_number(&d, "cpu-ns"), >, 0);
    g_assert_cmpuint(qom_get_number(&d, "busy-ns"), >, 0);

    put_desc(&d, d.tail, skip);
    doorbell(&d, d.tail + 1);
    wait_reg(&d, IGRAD_REG_RING_DONE, UINT32_MAX, d.tail);
    g_assert_cmpuint(qom_get_number(&d, "jobs-skipped"), ==, 1);

    add_cmd(&bad, 0xff);
    submit(&d, &bad, 1);
    wait_reg(&d, IGRAD_REG_RING_DONE, UINT32_MAX, d.tail);
    check_state(&d, "stopped");
    g_assert_cmpuint(qom_get_number(&d, "jobs-failed"), ==, 1);
    resume(&d);
    start_hang(&d);
    check_state(&d, "running");
    reset(&d);
    g_assert_cmpuint(qom_get_number(&d, "resets"), ==, resets + 1);
    reg_write(&d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
    check_state(&d, "fatal");
    g_assert_cmpuint(qom_get_number(&d, "fatal-errors"), ==, 1);
    dev_stop(&d);
}

/* What a job leaves in the trace, from the doorbell to the interrupt */
static void test_trace(void)
{
    static const char *const steps[] = {
        "igrad_doorbell", "igrad_fetch", "igrad_start", "igrad_worker_begin",
        "igrad_worker_end", "igrad_job_end", "igrad_complete",
        "igrad_irq_raise", "igrad_irq_send",
    };
    g_autofree char *name = NULL, *args = NULL, *trace = NULL;
    const char *at;
    Dev d;

    close(g_file_open_tmp("igrad-XXXXXX", &name, NULL));
    args = g_strdup_printf("-trace 'igrad_*' -D %s", name);
    dev_start_machine(&d, args, "");
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
    g_assert_true(g_file_get_contents(name, &trace, NULL, NULL));
    unlink(name);
    at = trace;
    for (int i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_test_message("%s", steps[i]);
        at = strstr(at, steps[i]);
        g_assert_nonnull(at);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("igrad/inject/off-by-default", test_off_by_default);
    qtest_add_func("igrad/inject/irq-lose", test_irq_lose);
    qtest_add_func("igrad/inject/irq-repeat", test_irq_repeat);
    qtest_add_func("igrad/inject/completion-drop", test_completion_drop);
    qtest_add_func("igrad/inject/completion-delay", test_completion_delay);
    qtest_add_func("igrad/inject/hang", test_hang);
    qtest_add_func("igrad/inject/hang-synchronous", test_hang_synchronous);
    qtest_add_func("igrad/inject/ecc", test_ecc);
    qtest_add_func("igrad/inject/fault", test_fault);
    qtest_add_func("igrad/inject/sram-flip", test_sram_flip);
    qtest_add_func("igrad/inject/sram-flip-overwritten",
                   test_sram_flip_overwritten);
    qtest_add_func("igrad/inject/acc-flip", test_acc_flip);
    qtest_add_func("igrad/inject/dead", test_dead);
    qtest_add_func("igrad/counters", test_counters);
    qtest_add_func("igrad/trace", test_trace);

    return g_test_run();
}
