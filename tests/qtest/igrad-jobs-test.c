/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs that go well, jobs that fail, and their address spaces. */

#include "qemu/osdep.h"
#include "igrad-dev.h"

static void check_report(Dev *d, uint64_t seqno, uint32_t commands)
{
    struct igrad_report r;

    qtest_memread(d->qts, page_of(d, VA_REPORT), &r, sizeof(r));
    g_assert_cmpuint(le32_to_cpu(r.version), ==, IGRAD_REPORT_VERSION);
    g_assert_cmpuint(le16_to_cpu(r.status), ==, IGRAD_STATUS_OK);
    g_assert_cmpuint(le32_to_cpu(r.command), ==, commands);
    g_assert_cmpuint(le64_to_cpu(r.seqno), ==, seqno);
    g_assert_cmpuint(le64_to_cpu(r.macs), ==, BATCH * ROWS * COLS);
    g_assert_cmpuint(le64_to_cpu(r.cycles), >, 0);
}

static void check_job(const char *device_args)
{
    Dev d;

    dev_start(&d, device_args);
    dev_setup(&d);
    check_works(&d);
    check_report(&d, 1000, 5);
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    g_assert_false(msi_seen(&d, IGRAD_VECTOR_EVENT));
    g_assert_cmphex(reg_read(&d, IGRAD_REG_IRQ_STATUS), ==,
                    IGRAD_IRQ_COMPLETION);
    reg_write(&d, IGRAD_REG_IRQ_STATUS, IGRAD_IRQ_COMPLETION);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_IRQ_STATUS), ==, 0);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RETIRED_LO), ==, 5);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RETIRED_HI), ==, 0);

    /* Round the ring, more than once. */
    for (int i = 0; i < 3 * RING_SIZE; i++) {
        check_works(&d);
    }
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==, IGRAD_DEV_READY);
    dev_stop(&d);
}

static void test_job(void)
{
    check_job("");
}

static void test_job_synchronous(void)
{
    check_job("x-synchronous=on");
}

static void test_full_ring(void)
{
    Program p = { 0 };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    write_operands(&d);
    add_fprop(&p, VA_Y);
    for (uint32_t i = 0; i < RING_SIZE; i++) {
        put_desc(&d, i, make_desc(&d, &p, i));
    }
    doorbell(&d, RING_SIZE);
    wait_reg(&d, IGRAD_REG_RING_DONE, UINT32_MAX, RING_SIZE);
    for (uint32_t i = 0; i < RING_SIZE; i++) {
        g_assert_cmpuint(le64_to_cpu(completion(&d, i).seqno), ==, i);
        g_assert_cmpuint(le32_to_cpu(completion(&d, i).stamp), ==, i + 1);
        g_assert_cmpuint(le16_to_cpu(completion(&d, i).status), ==,
                         IGRAD_STATUS_OK);
    }
    dev_stop(&d);
}

/* Of four jobs three are quiet, and a bad one is heard nevertheless. */
static void test_quiet(void)
{
    Program p = { 0 }, bad = { .va = VA_CMDS + 0x1000 };
    struct igrad_desc desc;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    add_nop(&p, 0);
    add_cmd(&bad, 0xff);
    for (int i = 0; i < 4; i++) {
        desc = make_desc(&d, &p, i);
        desc.flags = cpu_to_le32(IGRAD_DESC_QUIET);
        put_desc(&d, i, desc);
    }
    doorbell(&d, 3);
    wait_reg(&d, IGRAD_REG_RING_DONE, UINT32_MAX, 3);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_IRQ_STATUS), ==, 0);
    g_assert_false(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    check_ok(&d, 2, 2, p.num);

    put_desc(&d, 3, make_desc(&d, &p, 3));
    doorbell(&d, 4);
    wait_reg(&d, IGRAD_REG_RING_DONE, UINT32_MAX, 4);
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));

    desc = make_desc(&d, &bad, 4);
    desc.flags = cpu_to_le32(IGRAD_DESC_QUIET);
    put_desc(&d, 4, desc);
    doorbell(&d, 5);
    check_completion(&d, 4, 4, IGRAD_STATUS_MALFORMED, IGRAD_REASON_OPCODE, 0);
    check_stopped(&d, 5);
    dev_stop(&d);
}

static void test_interrupt_enable(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    reg_write(&d, IGRAD_REG_IRQ_ENABLE, 0);
    check_works(&d);
    g_assert_false(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    g_assert_cmphex(reg_read(&d, IGRAD_REG_IRQ_STATUS), ==,
                    IGRAD_IRQ_COMPLETION);
    /* Enabled late, it is sent at once; and only once. */
    reg_write(&d, IGRAD_REG_IRQ_ENABLE, IGRAD_IRQ_COMPLETION);
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    reg_write(&d, IGRAD_REG_IRQ_ENABLE, IGRAD_IRQ_COMPLETION);
    g_assert_false(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    dev_stop(&d);
}

static void test_msix_mask(void)
{
    Dev d;
    uint64_t ctrl;

    dev_start(&d, "");
    dev_setup(&d);
    ctrl = d.pci->msix_table_off + PCI_MSIX_ENTRY_VECTOR_CTRL;
    qpci_io_writel(d.pci, d.pci->msix_table_bar, ctrl,
                   PCI_MSIX_ENTRY_CTRL_MASKBIT);
    check_works(&d);
    g_assert_false(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    g_assert_true(qpci_msix_pending(d.pci, IGRAD_VECTOR_COMPLETION));
    qpci_io_writel(d.pci, d.pci->msix_table_bar, ctrl, 0);
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    g_assert_false(qpci_msix_pending(d.pci, IGRAD_VECTOR_COMPLETION));
    dev_stop(&d);
}

/*
 * Tests: jobs that fail
 */

/*
 * A malformed job with three good ones behind it: they do not start; one of
 * them is made a skipped one; after RESUME that is seen, for what had been
 * fetched before the stop is fetched again.
 */
static void test_stop_resume(void)
{
    Program bad = { .va = VA_CMDS + 0x1000 }, good = { 0 };
    struct igrad_desc desc;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    write_operands(&d);
    add_nop(&bad, 0);
    add_cmd(&bad, 0xff);
    add_fprop(&good, VA_Y);
    put_desc(&d, 0, make_desc(&d, &bad, 50));
    for (int i = 1; i < 4; i++) {
        put_desc(&d, i, make_desc(&d, &good, 50 + i));
    }
    doorbell(&d, 4);
    check_completion(&d, 0, 50, IGRAD_STATUS_MALFORMED, IGRAD_REASON_OPCODE,
                     1);
    check_stopped(&d, 1);
    g_assert_cmphex(qtest_readl(d.qts, page_of(&d, VA_Y)), ==, 0xeeeeeeee);

    /* A doorbell does not start it again. */
    put_desc(&d, 4, make_desc(&d, &good, 54));
    doorbell(&d, 5);
    g_usleep(20000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_STARTED), ==, 1);

    desc = (struct igrad_desc) {
        .pt_root = UINT64_MAX, .seqno = cpu_to_le64(51),
        .flags = cpu_to_le32(IGRAD_DESC_SKIP),
    };
    put_desc(&d, 1, desc);
    resume(&d);
    wait_reg(&d, IGRAD_REG_RING_DONE, UINT32_MAX, 5);
    g_assert_cmpuint(le16_to_cpu(completion(&d, 1).status), ==,
                     IGRAD_STATUS_SKIPPED);
    g_assert_cmpuint(le64_to_cpu(completion(&d, 1).seqno), ==, 51);
    check_ok(&d, 4, 54, good.num);
    check_product(&d, page_of(&d, VA_Y));
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==, IGRAD_DEV_READY);
    dev_stop(&d);
}

static void test_bad_descriptor(void)
{
    Program p = { 0 };
    struct igrad_desc good, bad;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    add_nop(&p, 0);
    good = make_desc(&d, &p, 9);
    for (int i = 0; i < 7; i++) {
        bad = good;
        switch (i) {
        case 0:
            bad.pt_root |= cpu_to_le64(8);
            break;
        case 1:
            bad.cmds |= cpu_to_le64(4);
            break;
        case 2:
            bad.num_cmds = 0;
            break;
        case 3:
            bad.num_cmds = cpu_to_le32(IGRAD_MAX_COMMANDS + 1);
            break;
        case 4:
            bad.flags = cpu_to_le32(4);
            break;
        case 5:
            bad.report |= cpu_to_le64(4);
            break;
        case 6:
            bad.reserved[2] = cpu_to_le64(1);
            break;
        }
        put_desc(&d, d.tail, bad);
        doorbell(&d, d.tail + 1);
        check_completion(&d, d.tail - 1, 9, IGRAD_STATUS_MALFORMED,
                         IGRAD_REASON_DESC, 0);
        check_stopped(&d, d.tail);
        resume(&d);
    }
    check_works(&d);
    dev_stop(&d);
}

static void test_faults(void)
{
    const uint64_t valid = IGRAD_PTE_VALID | IGRAD_PTE_WRITE;
    const uint64_t va = 0x90000;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    check_fault(&d, 0, IGRAD_REASON_VA_RANGE, 0);
    check_fault(&d, IGRAD_VA_END, IGRAD_REASON_VA_RANGE, IGRAD_VA_END);
    check_fault(&d, va, IGRAD_REASON_NOT_PRESENT, va);
    check_fault(&d, MAPPED - 32, IGRAD_REASON_NOT_PRESENT, MAPPED);
    check_fault(&d, VA_READ_ONLY, IGRAD_REASON_READ_ONLY, VA_READ_ONLY);
    map(&d, va, page_of(&d, VA_Y), valid | 0x80);
    check_fault(&d, va, IGRAD_REASON_BAD_PTE, va);
    map(&d, va, 0xfffffffff000ull, valid); /* nothing there */
    check_fault(&d, va, IGRAD_REASON_BUS, va);
    check_works(&d);
    dev_stop(&d);
}

/* Job DMA reaches RAM, and no device: not even this one. */
static void test_no_device_dma(void)
{
    const uint64_t valid = IGRAD_PTE_VALID | IGRAD_PTE_WRITE;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    map(&d, 0x90000, d.bar.addr, valid);
    check_fault(&d, 0x90000, IGRAD_REASON_BUS, 0x90000);
    map(&d, 0x91000, 0xfffff000, valid); /* the firmware's ROM */
    check_fault(&d, 0x91000, IGRAD_REASON_BUS, 0x91000);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==, IGRAD_DEV_READY);

    /* A page table cannot be a device either. */
    qtest_writeq(d.qts, d.area + ROOT + 8, d.bar.addr | IGRAD_PTE_VALID);
    check_fault(&d, 1ull << 30, IGRAD_REASON_TABLE_BUS, 1ull << 30);
    check_works(&d);
    dev_stop(&d);
}

static void test_report_fault(void)
{
    Program p = { 0 };
    struct igrad_desc desc;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    add_nop(&p, 0);
    desc = make_desc(&d, &p, 4);
    desc.report = cpu_to_le64(VA_READ_ONLY);
    put_desc(&d, 0, desc);
    doorbell(&d, 1);
    check_completion(&d, 0, 4, IGRAD_STATUS_FAULT, IGRAD_REASON_READ_ONLY, 1);
    check_stopped(&d, 1);
    dev_stop(&d);
}

/*
 * Tests: address translation
 */

/* Map VA_Y elsewhere: after a flush the job must write there, only there. */
static void test_tlb_flush(void)
{
    Program p = { 0 };
    uint64_t other;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    check_works(&d);
    other = d.area + PAGES_OTHER;
    write_operands(&d);
    map(&d, VA_Y, other, IGRAD_PTE_VALID | IGRAD_PTE_WRITE);
    tlb_flush(&d, d.area + ROOT);
    add_fprop(&p, VA_Y);
    submit(&d, &p, 2);
    check_ok(&d, 1, 2, p.num);
    check_product(&d, other);
    g_assert_cmphex(qtest_readl(d.qts, page_of(&d, VA_Y)), ==, 0xeeeeeeee);

    map(&d, VA_Y, 0, 0);
    tlb_flush(&d, d.area + ROOT);
    check_fault(&d, VA_Y, IGRAD_REASON_NOT_PRESENT, VA_Y);
    dev_stop(&d);
}

/* What a reset leaves nothing of: translations. */
static void test_tlb_reset(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    check_works(&d);
    map(&d, VA_Y, 0, 0);
    reset(&d);
    ring_enable(&d);
    check_fault(&d, VA_Y, IGRAD_REASON_NOT_PRESENT, VA_Y);
    dev_stop(&d);
}

/* A flush completes while a job hangs: a hanging job does no DMA. */
static void test_tlb_flush_hang(void)
{
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    start_hang(&d);
    tlb_flush(&d, d.area + ROOT);
    reset(&d);
    dev_stop(&d);
}

/* 2 MiB blocks and a page that is not identity mapped, in one job. */
static void test_block(void)
{
    const uint64_t va = IGRAD_BLOCK_SIZE;
    Program p = { 0 };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    qtest_writeq(d.qts, d.area + LEVEL1 + 8, (d.area + IGRAD_BLOCK_SIZE) |
                 IGRAD_PTE_VALID | IGRAD_PTE_BLOCK | IGRAD_PTE_WRITE);
    write_operands(&d);
    add_fprop(&p, va + 0x12340);
    submit(&d, &p, 2);
    check_ok(&d, 0, 2, p.num);
    check_product(&d, d.area + IGRAD_BLOCK_SIZE + 0x12340);
    dev_stop(&d);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("igrad/job", test_job);
    qtest_add_func("igrad/job-synchronous", test_job_synchronous);
    qtest_add_func("igrad/full-ring", test_full_ring);
    qtest_add_func("igrad/quiet", test_quiet);
    qtest_add_func("igrad/interrupt-enable", test_interrupt_enable);
    qtest_add_func("igrad/msix-mask", test_msix_mask);
    qtest_add_func("igrad/stop-resume", test_stop_resume);
    qtest_add_func("igrad/bad-descriptor", test_bad_descriptor);
    qtest_add_func("igrad/faults", test_faults);
    qtest_add_func("igrad/no-device-dma", test_no_device_dma);
    qtest_add_func("igrad/report-fault", test_report_fault);
    qtest_add_func("igrad/tlb-flush", test_tlb_flush);
    qtest_add_func("igrad/tlb-reset", test_tlb_reset);
    qtest_add_func("igrad/tlb-flush-hang", test_tlb_flush_hang);
    qtest_add_func("igrad/block", test_block);

    return g_test_run();
}
