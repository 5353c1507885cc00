/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device behind an IOMMU (VT-d), programmed through its registers. */

#include "qemu/osdep.h"
#include "igrad-storm.h"
#include "igrad-vtd.h"

static void test_iommu(void)
{
    const uint64_t block = (AREA(0) + PAGES_OTHER) / IOVA_BLOCK;
    Program p = { 0 };
    uint64_t other;
    Dev d;

    vtd_start(&d, "");
    dev_setup(&d);
    check_works(&d);
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));

    /* A guest-physical address means nothing on the bus. */
    other = d.area + PAGES_OTHER;
    map(&d, 0x90000, other, IGRAD_PTE_VALID | IGRAD_PTE_WRITE);
    reg_write(&d, IGRAD_REG_IRQ_STATUS, IGRAD_IRQ_ALL);
    check_fault(&d, 0x90000, IGRAD_REASON_BUS, 0x90000);

    /* What the IOMMU takes away is gone, whatever the device has cached. */
    map(&d, 0x91000, bus_of(&d, other), IGRAD_PTE_VALID | IGRAD_PTE_WRITE);
    write_operands(&d);
    add_fprop(&p, 0x91000);
    submit(&d, &p, 1);
    check_ok(&d, d.tail - 1, 1, p.num);
    check_product(&d, other);
    reg_write(&d, IGRAD_REG_IRQ_STATUS, IGRAD_IRQ_ALL);
    msi_seen(&d, IGRAD_VECTOR_COMPLETION);
    vtd_map(&d, block, 1);
    vtd_invalidate(&d);
    check_fault(&d, 0x91000, IGRAD_REASON_BUS, 0x91000);
    vtd_map(&d, block, 0);
    vtd_invalidate(&d);
    check_fault(&d, 0x91000, IGRAD_REASON_BUS, 0x91000);
    check_works(&d);
    dev_stop(&d);
}

static void test_iommu_storms(void)
{
    Dev d;

    vtd_start(&d, "");
    dev_setup(&d);
    check_storms(&d);
    dev_stop(&d);
}

/*
 * The most rows that one command can have, each a word: every access asks the
 * IOMMU, but many of them wait for the big lock together.
 */
static void test_iommu_rows(void)
{
    const uint32_t rows = 262144;
    Program p = { 0 };
    struct igrad_cmd *cmd;
    Dev d;

    vtd_start(&d, "");
    dev_setup(&d);
    qtest_memset(d.qts, page_of(&d, VA_STORM), 0x5a, 4096);
    cmd = add_cmd(&p, IGRAD_OP_DMA_LOAD);
    cmd->u.dma = (struct igrad_cmd_dma) {
        .va = cpu_to_le64(VA_STORM), .pitch = cpu_to_le32(4),
        .sram_pitch = cpu_to_le32(8), .rows = cpu_to_le32(rows),
        .cols = cpu_to_le32(1),
    };
    /* All in a megabyte, which the page tables have room for. */
    for (uint64_t va = VA_STORM; va < VA_STORM + 4 * rows; va += 4096) {
        map(&d, va, bus_of(&d, page_of(&d, VA_STORM)), IGRAD_PTE_VALID);
    }
    submit(&d, &p, 1);
    check_ok(&d, 0, 1, 1);
    g_test_message("%u rows in %" PRIu64 " requests", rows,
                   qom_get_number(&d, "bus-requests"));
    g_assert_cmpuint(qom_get_number(&d, "bus-requests"), <, rows / 32);
    dev_stop(&d);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("igrad/iommu", test_iommu);
    qtest_add_func("igrad/iommu-rows", test_iommu_rows);
    qtest_add_func("igrad/iommu-storms", test_iommu_storms);

    return g_test_run();
}
