/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hangs, resets, and rings that cannot work. */

#include "qemu/osdep.h"
#include "igrad-dev.h"

static void test_hang_reset(void)
{
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    for (int i = 0; i < 3; i++) {
        start_hang(&d);
        submit(&d, &(Program) { .num = 1 }, 667); /* queued behind it */
        g_usleep(5000);
        g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_DONE), ==, d.tail - 2);
        reset(&d);
        check_power_on(&d);
        /* Nothing of what was dropped arrives later. */
        g_assert_cmpuint(le32_to_cpu(completion(&d, d.tail - 2).stamp), ==, 0);
        g_assert_false(msi_seen(&d, IGRAD_VECTOR_EVENT));
        ring_enable(&d);
        check_works(&d);
    }
    dev_stop(&d);
}

static void test_flr(void)
{
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    check_works(&d);
    start_hang(&d);
    flr(&d);
    g_assert_cmphex(qpci_config_readw(d.pci, PCI_COMMAND), ==, 0);
    reopen(&d);
    check_power_on(&d);
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

static void test_system_reset(void)
{
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    start_hang(&d);
    qtest_system_reset(d.qts);
    d.tail = 0;
    reopen(&d);
    check_power_on(&d);
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

/* Disabling lets the running job end and starts no other. */
static void test_disable(void)
{
    Program p = { 0 };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    check_works(&d);
    reg_write(&d, IGRAD_REG_CTRL, 0);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==, 0);
    add_nop(&p, 0);
    submit(&d, &p, 3);
    g_usleep(10000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_STARTED), ==, 1);
    ring_enable(&d);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_TAIL), ==, 0);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_DONE), ==, 0);
    check_works(&d);
    dev_stop(&d);
}

static void test_disable_busy(void)
{
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    start_hang(&d);
    reg_write(&d, IGRAD_REG_CTRL, 0);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==, IGRAD_DEV_BUSY);
    /* Its completion still needs the ring's registers. */
    reg_write(&d, IGRAD_REG_CQ_BASE_LO, 0);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_CQ_BASE_LO), ==, d.area + CQ);
    reg_write(&d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
    wait_reg(&d, IGRAD_REG_STATUS, UINT32_MAX, IGRAD_DEV_FATAL);
    reset(&d);
    ring_enable(&d);
    check_works(&d);
    dev_stop(&d);
}

/*
 * Tests: a ring that cannot work
 */

static void check_fatal(Dev *d)
{
    wait_reg(d, IGRAD_REG_STATUS, UINT32_MAX, IGRAD_DEV_FATAL);
    g_assert_true(msi_seen(d, IGRAD_VECTOR_EVENT));
    g_assert_cmphex(reg_read(d, IGRAD_REG_IRQ_STATUS) & IGRAD_IRQ_FATAL, ==,
                    IGRAD_IRQ_FATAL);
    /* Nothing but a reset helps. */
    reg_write(d, IGRAD_REG_RING_TAIL, 1);
    resume(d);
    reg_write(d, IGRAD_REG_CTRL, 0);
    reg_write(d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
    g_assert_cmphex(reg_read(d, IGRAD_REG_STATUS), ==, IGRAD_DEV_FATAL);
    reset(d);
    msi_seen(d, IGRAD_VECTOR_COMPLETION);
    ring_enable(d);
    check_works(d);
    reset(d);
    msi_seen(d, IGRAD_VECTOR_COMPLETION);
}

/* Program one ring register badly and enable. */
static void check_bad_ring(Dev *d, uint64_t reg, uint32_t val)
{
    ring_enable(d);
    reg_write(d, IGRAD_REG_CTRL, 0);
    reg_write(d, reg, val);
    reg_write(d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
    check_fatal(d);
}

static void test_bad_ring(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    check_bad_ring(&d, IGRAD_REG_RING_BASE_LO, d.area + RING + 32);
    check_bad_ring(&d, IGRAD_REG_CQ_BASE_LO, d.area + CQ + 16);
    check_bad_ring(&d, IGRAD_REG_RING_SIZE, 0);
    check_bad_ring(&d, IGRAD_REG_RING_SIZE, IGRAD_RING_MAX_LOG2 + 1);
    check_bad_ring(&d, IGRAD_REG_RING_SIZE, UINT32_MAX);
    dev_stop(&d);
}

static void test_bad_tail(void)
{
    static const uint32_t tails[] = {
        RING_SIZE + 1, UINT32_MAX, 0x80000000u,
    };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    for (int i = 0; i < G_N_ELEMENTS(tails); i++) {
        reg_write(&d, IGRAD_REG_RING_TAIL, tails[i]);
        check_fatal(&d);
        ring_enable(&d);
    }
    /* Backwards */
    check_works(&d);
    check_works(&d);
    reg_write(&d, IGRAD_REG_RING_TAIL, 1);
    check_fatal(&d);
    dev_stop(&d);
}

/* Ring or completions where no memory is, or no bus mastering. */
static void test_unreachable(void)
{
    uint16_t command;
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);

    reg_write(&d, IGRAD_REG_CTRL, 0);
    reg_write(&d, IGRAD_REG_RING_BASE_HI, 0xffffffff);
    reg_write(&d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
    doorbell(&d, 1);
    check_fatal(&d);

    ring_enable(&d);
    reg_write(&d, IGRAD_REG_CTRL, 0);
    reg_write(&d, IGRAD_REG_CQ_BASE_LO, d.bar.addr);
    reg_write(&d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
    submit(&d, &(Program) { .num = 1 }, 1);
    check_fatal(&d);

    ring_enable(&d);
    command = qpci_config_readw(d.pci, PCI_COMMAND);
    qpci_config_writew(d.pci, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    submit(&d, &(Program) { .num = 1 }, 1);
    wait_reg(&d, IGRAD_REG_STATUS, UINT32_MAX, IGRAD_DEV_FATAL);
    qpci_config_writew(d.pci, PCI_COMMAND, command);
    reset(&d);
    ring_enable(&d);
    check_works(&d);
    dev_stop(&d);
}

/*
 * A driver gone mad: whatever it does, a reset makes a good device again.
 */

static uint32_t rand_below(uint32_t n)
{
    return g_test_rand_int_range(0, n);
}

static uint32_t rand_word(void)
{
    switch (rand_below(4)) {
    case 0:
        return 0;
    case 1:
        return 1u << rand_below(32);
    case 2:
        return rand_below(64) * 4;
    default:
        return g_test_rand_int();
    }
}

static void mad_program(Dev *d)
{
    static const uint8_t opcodes[] = {
        IGRAD_OP_NOP, IGRAD_OP_DMA_LOAD, IGRAD_OP_DMA_STORE, IGRAD_OP_LOAD_W,
        IGRAD_OP_FPROP, IGRAD_OP_INTERLEAVED, IGRAD_OP_UPDATE,
        IGRAD_OP_DRAIN_W, IGRAD_OP_VEC_FILL, IGRAD_OP_VEC_SOFTMAX_XENT, 0xff,
    };
    Program p = { 0 };

    while (p.num < 8) {
        struct igrad_cmd *cmd;

        cmd = add_cmd(&p, opcodes[rand_below(G_N_ELEMENTS(opcodes))]);
        for (int i = rand_below(G_N_ELEMENTS(cmd->u.words)); i >= 0; i--) {
            cmd->u.words[i] = cpu_to_le32(rand_word());
        }
        if (cmd->opcode == IGRAD_OP_DMA_STORE) {
            cmd->u.dma.va = cpu_to_le64(VA_STORM);
        }
    }
    make_desc(d, &p, 0);
}

static void mad_desc(Dev *d)
{
    Program p = { 0 };
    struct igrad_desc desc;

    add_nop(&p, rand_below(20) ? 0 : HANG_TAG);
    p.va = VA_CMDS + 0x1000;
    desc = make_desc(d, &p, rand_word());
    if (rand_below(2)) {
        desc.cmds = cpu_to_le64(VA_CMDS);
        desc.num_cmds = cpu_to_le32(1 + rand_below(8));
    }
    switch (rand_below(8)) {
    case 0:
        desc.pt_root = cpu_to_le64(rand_word());
        break;
    case 1:
        desc.cmds = cpu_to_le64(rand_word());
        break;
    case 2:
        desc.flags = cpu_to_le32(rand_word());
        break;
    }
    put_desc(d, rand_below(RING_SIZE), desc);
}

static void mad_step(Dev *d)
{
    switch (rand_below(64)) {
    case 0:
        reg_write(d, IGRAD_REG_CTRL, IGRAD_CTRL_RESET);
        break;
    case 1 ... 2:
        reset(d);
        ring_enable(d);
        break;
    case 3 ... 6:
        reg_write(d, rand_below(IGRAD_BAR_REGS_SIZE), rand_word());
        break;
    case 7 ... 9:
        reg_write(d, rand_below(0x34) * 4, rand_word());
        break;
    case 10 ... 15:
        resume(d);
        break;
    case 16 ... 24:
        mad_program(d);
        break;
    case 25 ... 36:
        mad_desc(d);
        break;
    default:
        doorbell(d, reg_read(d, IGRAD_REG_RING_TAIL) + rand_below(3));
        break;
    }
}

static void check_mad(const char *device_args)
{
    Dev d;

    dev_start(&d, device_args);
    dev_setup(&d);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 300; i++) {
            mad_step(&d);
        }
        if (round % 2) {
            reset(&d);
        } else {
            flr(&d);
            reopen(&d);
            msix_setup(&d);
        }
        check_power_on(&d);
        build_page_tables(&d);
        ring_enable(&d);
        check_works(&d);
    }
    dev_stop(&d);
}

static void test_mad(void)
{
    check_mad(HANG);
}

static void test_mad_synchronous(void)
{
    check_mad("x-synchronous=on");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("igrad/hang-reset", test_hang_reset);
    qtest_add_func("igrad/flr", test_flr);
    qtest_add_func("igrad/system-reset", test_system_reset);
    qtest_add_func("igrad/disable", test_disable);
    qtest_add_func("igrad/disable-busy", test_disable_busy);
    qtest_add_func("igrad/bad-ring", test_bad_ring);
    qtest_add_func("igrad/bad-tail", test_bad_tail);
    qtest_add_func("igrad/unreachable", test_unreachable);
    qtest_add_func("igrad/mad", test_mad);
    qtest_add_func("igrad/mad-synchronous", test_mad_synchronous);

    return g_test_run();
}
