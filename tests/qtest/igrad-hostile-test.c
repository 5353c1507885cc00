/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that mean no good, one field after the other: every register at
 * every width, every field of descriptors and commands at its extremes, tables
 * and rings that lie where there is no memory. Each time there is a defined
 * answer soon, and the device works afterwards.
 */

#include "qemu/osdep.h"
#include "igrad-dev.h"

static const uint32_t extremes[] = {
    0, 1, 2, 3, 4, 0x7fff, 0x8000, 0xffff, 0x10000, 0x10001, 4 << 20,
    (4 << 20) - 4, 1 << 24, (1 << 24) + 1, 0x7fffffff, 0x80000000, 0xfffffffc,
    UINT32_MAX,
};

/*
 * Registers and configuration space
 */

static const uint32_t read_only[] = {
    IGRAD_REG_ID, IGRAD_REG_VERSION, IGRAD_REG_FEATURES, IGRAD_REG_ARRAY,
    IGRAD_REG_SRAM_BYTES, IGRAD_REG_DRAM_WIDTH, IGRAD_REG_DRAM_LATENCY,
    IGRAD_REG_CLOCK_LO, IGRAD_REG_CLOCK_HI, IGRAD_REG_RING_MAX,
};

static void read_registers(Dev *d, uint32_t *words)
{
    for (int i = 0; i < IGRAD_BAR_REGS_SIZE / 4; i++) {
        words[i] = reg_read(d, 4 * i);
    }
}

static bool any_access(Dev *d, uint64_t at, int size, bool write)
{
    const uint64_t ones = UINT64_MAX >> (64 - 8 * size);

    switch (size) {
    case 1:
        return write ? (qtest_writeb(d->qts, at, ones), true) :
                       qtest_readb(d->qts, at) == ones;
    case 2:
        return write ? (qtest_writew(d->qts, at, ones), true) :
                       qtest_readw(d->qts, at) == ones;
    case 4:
        return write ? (qtest_writel(d->qts, at, ones), true) :
                       qtest_readl(d->qts, at) == ones;
    default:
        return write ? (qtest_writeq(d->qts, at, ones), true) :
                       qtest_readq(d->qts, at) == ones;
    }
}

/* What is no aligned word reads all ones, and changes nothing. */
static void test_every_width(void)
{
    uint32_t before[IGRAD_BAR_REGS_SIZE / 4], after[IGRAD_BAR_REGS_SIZE / 4];
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    read_registers(&d, before);
    for (int size = 1; size <= 8; size *= 2) {
        for (int at = 0; at + size <= IGRAD_BAR_REGS_SIZE; at++) {
            if (size == 4 && at % 4 == 0) {
                continue;
            }
            g_assert_true(any_access(&d, d.bar.addr + at, size, true));
            g_assert_true(any_access(&d, d.bar.addr + at, size, false));
        }
    }
    read_registers(&d, after);
    g_assert_cmpmem(before, sizeof(before), after, sizeof(after));
    check_works(&d);
    dev_stop(&d);
}

static void test_every_register(void)
{
    uint32_t before[G_N_ELEMENTS(read_only)];
    Dev d;

    dev_start(&d, "");
    for (int i = 0; i < G_N_ELEMENTS(read_only); i++) {
        before[i] = reg_read(&d, read_only[i]);
    }
    for (uint64_t reg = 0; reg < 0x100; reg += 4) {
        dev_setup(&d);
        for (int i = 0; i < G_N_ELEMENTS(extremes); i++) {
            reg_write(&d, reg, extremes[i]);
            reg_read(&d, reg);
            /* And with the ring on, whatever its registers are now */
            reg_write(&d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
            reg_write(&d, IGRAD_REG_RING_TAIL, 1);
        }
        for (int i = 0; i < G_N_ELEMENTS(read_only); i++) {
            g_assert_cmphex(reg_read(&d, read_only[i]), ==, before[i]);
        }
        reset(&d);
        check_power_on(&d);
    }
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

/* Power states, resets and BARs among it; a system reset makes all good. */
static void test_every_config_byte(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    for (int at = 0; at < 0x100; at++) {
        for (int i = 0; i < G_N_ELEMENTS(extremes); i++) {
            qpci_config_writeb(d.pci, at, extremes[i]);
            qpci_config_readb(d.pci, at);
        }
        if (at % 4 == 0) {
            qpci_config_writel(d.pci, at, UINT32_MAX);
            qpci_config_writel(d.pci, at, 0);
        }
        g_assert_cmphex(qpci_config_readw(d.pci, PCI_VENDOR_ID), ==,
                        IGRAD_PCI_VENDOR);
    }
    qtest_system_reset(d.qts);
    d.tail = 0;
    d.pci->msix_enabled = false;
    reopen(&d);
    check_power_on(&d);
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

/*
 * Jobs of one command, each answered
 */

static struct igrad_desc one_command(Dev *d)
{
    return (struct igrad_desc) {
        .pt_root = cpu_to_le64(bus_of(d, d->area + ROOT)),
        .cmds = cpu_to_le64(VA_CMDS),
        .num_cmds = cpu_to_le32(1),
    };
}

static void wait_done(Dev *d, uint32_t index)
{
    for (int i = 0; i < 50; i++) {
        if (reg_read(d, IGRAD_REG_RING_DONE) == index + 1) {
            return;
        }
    }
    wait_reg(d, IGRAD_REG_RING_DONE, UINT32_MAX, index + 1);
}

/* Reasons belong to a status; the ring stops behind what failed. */
static struct igrad_completion answer(Dev *d)
{
    uint32_t index = d->tail;
    struct igrad_completion c;
    uint16_t reason;

    doorbell(d, index + 1);
    wait_done(d, index);
    c = completion(d, index);
    reason = le16_to_cpu(c.reason);
    g_assert_cmpuint(le32_to_cpu(c.stamp), ==, index + 1);
    switch (le16_to_cpu(c.status)) {
    case IGRAD_STATUS_OK:
    case IGRAD_STATUS_SKIPPED:
        g_assert_cmphex(reason, ==, IGRAD_REASON_NONE);
        return c;
    case IGRAD_STATUS_MALFORMED:
        g_assert_cmphex(reason, >=, IGRAD_REASON_DESC);
        g_assert_cmphex(reason, <=, IGRAD_REASON_HAZARD);
        break;
    case IGRAD_STATUS_FAULT:
        g_assert_cmphex(reason, >=, IGRAD_REASON_VA_RANGE);
        g_assert_cmphex(reason, <=, IGRAD_REASON_BUS);
        break;
    default:
        g_error("status %u, reason 0x%x", le16_to_cpu(c.status), reason);
    }
    wait_reg(d, IGRAD_REG_STATUS, UINT32_MAX, IGRAD_DEV_STOPPED);
    resume(d);
    return c;
}

static void start_answers(Dev *d, const char *device_args)
{
    dev_start(d, device_args);
    dev_setup(d);
    reg_write(d, IGRAD_REG_IRQ_ENABLE, 0);
    for (uint32_t i = 0; i < RING_SIZE; i++) {
        put_desc(d, i, one_command(d));
    }
}

static uint16_t reason_of(Dev *d, const struct igrad_cmd *cmd)
{
    struct igrad_completion c;

    qtest_memwrite(d->qts, page_of(d, VA_CMDS), cmd, sizeof(*cmd));
    c = answer(d);
    g_assert_cmpuint(le32_to_cpu(c.command), ==, c.status ? 0 : 1);
    return le16_to_cpu(c.reason);
}

/*
 * What the manual says of each opcode: a command that is good, and which of
 * the ten words of its body it uses
 */

#define W(n) (1u << (n))
#define DMA_LOAD_WORDS  0x1ff
#define DMA_STORE_WORDS 0x07f
#define X_WORDS (W(2) | W(3))
#define G_WORDS (W(4) | W(5))
#define P_WORDS (W(6) | W(7))
#define A_WORDS (W(2) | W(3))
#define B_WORDS (W(4) | W(5))
#define D_WORDS (W(6) | W(7))

#define STREAM_FLAGS (IGRAD_FLAG_WINDOW | IGRAD_FLAG_GROUPS)
#define TILE (2 << 16 | 3) /* 3 rows, 2 columns */
#define POOL_WORDS (0x2ff & ~W(8))
#define POOL(n) ((n) << 16 | (n))

typedef struct {
    uint8_t opcode;
    uint16_t flags;
    uint32_t used;
    uint32_t words[10];
} Good;

static const Good good[] = {
    { IGRAD_OP_NOP, 0, 0, { 0 } },
    { IGRAD_OP_DMA_LOAD, IGRAD_FLAG_BF16 | IGRAD_FLAG_MEM_BF16, DMA_LOAD_WORDS,
      { VA_X, 0, 16, 0x1000, 16, 3, 4, 0, 0, 0 } },
    { IGRAD_OP_DMA_STORE, IGRAD_FLAG_BF16 | IGRAD_FLAG_MEM_BF16,
      DMA_STORE_WORDS, { VA_X, 0, 16, 0x1000, 16, 3, 4, 0, 0, 0 } },
    { IGRAD_OP_LOAD_W, IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_BF16 |
      IGRAD_FLAG_GROUPS, W(0) | P_WORDS,
      { TILE, 0, 0, 0, 0, 0, 0x3000, 12, 0, 0 } },
    { IGRAD_OP_LOAD_ACC, IGRAD_FLAG_GROUPS, W(0) | P_WORDS,
      { TILE, 0, 0, 0, 0, 0, 0x3000, 12, 0, 0 } },
    { IGRAD_OP_FPROP, IGRAD_FLAG_ADD | IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_BF16 |
      IGRAD_FLAG_TURN | IGRAD_FLAG_SCATTER | IGRAD_FLAG_TAPS | STREAM_FLAGS,
      W(0) | W(1) | X_WORDS | P_WORDS,
      { TILE, 2, 0x1000, 12, 0, 0, 0x3000, 12, 0, 0 } },
    { IGRAD_OP_DGRAD, IGRAD_FLAG_ADD | IGRAD_FLAG_BF16 | STREAM_FLAGS,
      W(0) | W(1) | G_WORDS | P_WORDS,
      { TILE, 2, 0, 0, 0x2000, 8, 0x3000, 12, 0, 0 } },
    { IGRAD_OP_WGRAD, IGRAD_FLAG_KEEP | IGRAD_FLAG_BF16 | IGRAD_FLAG_TAPS |
      STREAM_FLAGS,
      W(0) | W(1) | X_WORDS | G_WORDS,
      { TILE, 2, 0x1000, 12, 0x2000, 8, 0, 0, 0, 0 } },
    { IGRAD_OP_INTERLEAVED, IGRAD_FLAG_ADD | IGRAD_FLAG_KEEP |
      IGRAD_FLAG_BF16 | STREAM_FLAGS,
      W(0) | W(1) | X_WORDS | G_WORDS | P_WORDS,
      { TILE, 2, 0x1000, 12, 0x2000, 8, 0x3000, 12, 0, 0 } },
    { IGRAD_OP_UPDATE, IGRAD_FLAG_DECAY | IGRAD_FLAG_GROUPS, W(0) | W(8),
      { TILE, 0, 0, 0, 0, 0, 0, 0, 0x3f800000, 0 } },
    { IGRAD_OP_DRAIN_ACC, IGRAD_FLAG_GROUPS, W(0) | P_WORDS,
      { TILE, 0, 0, 0, 0, 0, 0x3000, 12, 0, 0 } },
    { IGRAD_OP_DRAIN_W, IGRAD_FLAG_GROUPS, W(0) | P_WORDS,
      { TILE, 0, 0, 0, 0, 0, 0x3000, 12, 0, 0 } },
    { IGRAD_OP_SCALE_ACC, IGRAD_FLAG_GROUPS, W(0) | W(9),
      { TILE, 0, 0, 0, 0, 0, 0, 0, 0, 0x3f800000 } },
    { IGRAD_OP_WINDOW, 0, W(0) | W(1) | W(2) | W(3) | W(4) | W(5),
      { 3 << 16 | 2, 3 << 16 | 2, 1 << 16 | 1, 2 << 16 | 2, 2 << 16 | 1,
        1 << 16 | 1, 0, 0, 0, 0 } },
    { IGRAD_OP_VEC_FILL, 0, W(0) | W(1) | D_WORDS | W(8),
      { 3, 2, 0, 0, 0, 0, 0x3000, 8, 0, 0 } },
    { IGRAD_OP_VEC_COPY, 0, W(0) | W(1) | A_WORDS | D_WORDS,
      { 3, 2, 0x1000, 8, 0, 0, 0x3000, 8, 0, 0 } },
    { IGRAD_OP_VEC_BIAS, 0, W(0) | W(1) | A_WORDS | W(4) | D_WORDS,
      { 3, 2, 0x1000, 8, 0x2000, 0, 0x3000, 8, 0, 0 } },
    { IGRAD_OP_VEC_RELU, 0, W(0) | W(1) | A_WORDS | D_WORDS,
      { 3, 2, 0x1000, 8, 0, 0, 0x3000, 8, 0, 0 } },
    { IGRAD_OP_VEC_RELU_GRAD, IGRAD_FLAG_BF16,
      W(0) | W(1) | A_WORDS | B_WORDS | D_WORDS,
      { 3, 2, 0x1000, 8, 0x2000, 8, 0x3000, 8, 0, 0 } },
    { IGRAD_OP_VEC_COLSUM, IGRAD_FLAG_KEEP | IGRAD_FLAG_BF16,
      W(0) | W(1) | A_WORDS | W(6),
      { 3, 2, 0x1000, 8, 0, 0, 0x3000, 0, 0, 0 } },
    { IGRAD_OP_VEC_AXPY, 0, W(0) | W(1) | A_WORDS | B_WORDS | D_WORDS | W(8),
      { 3, 2, 0x1000, 8, 0x2000, 8, 0x3000, 8, 0x3f800000, 0 } },
    { IGRAD_OP_VEC_SGD, IGRAD_FLAG_DECAY,
      W(0) | W(1) | A_WORDS | B_WORDS | D_WORDS | W(8),
      { 3, 2, 0x1000, 8, 0x2000, 8, 0x3000, 8, 0x3f800000, 0 } },
    { IGRAD_OP_VEC_SOFTMAX_XENT, 0, 0x3ff,
      { 3, 2, 0x1000, 8, 0x2000, 8, 0x3000, 8, 0x3f800000, 0x4000 } },
    { IGRAD_OP_VEC_SCALE, 0, W(0) | W(1) | A_WORDS | D_WORDS | W(8),
      { 3, 2, 0x1000, 8, 0, 0, 0x3000, 8, 0x3f800000, 0 } },
    { IGRAD_OP_VEC_ADAM, IGRAD_FLAG_DECAY, 0x3ff,
      { 3, 2, 0x1000, 8, 0x2000, 8, 0x3000, 8, 0x5000, 0x4000 } },
    { IGRAD_OP_VEC_ADD, 0, W(0) | W(1) | A_WORDS | B_WORDS | D_WORDS,
      { 3, 2, 0x1000, 8, 0x2000, 8, 0x3000, 8, 0, 0 } },
    { IGRAD_OP_VEC_MUL, 0, W(0) | W(1) | A_WORDS | B_WORDS | D_WORDS,
      { 3, 2, 0x1000, 8, 0x2000, 8, 0x3000, 8, 0, 0 } },
    { IGRAD_OP_VEC_RSQRT, 0, W(0) | W(1) | A_WORDS | D_WORDS | W(8),
      { 3, 2, 0x1000, 8, 0, 0, 0x3000, 8, 0x3f800000, 0 } },
    { IGRAD_OP_VEC_COLSQ, IGRAD_FLAG_KEEP, W(0) | W(1) | A_WORDS | W(4) | W(6),
      { 3, 2, 0x1000, 8, 0x2000, 0, 0x3000, 0, 0, 0 } },
    { IGRAD_OP_VEC_NORM, 0,
      W(0) | W(1) | A_WORDS | D_WORDS | W(8) | W(9),
      { 3, 2, 0x1000, 8, 0, 0, 0x3000, 8, 0x5000, 8 } },
    { IGRAD_OP_VEC_NORM_SUMS, IGRAD_FLAG_KEEP, 0x3ff,
      { 3, 2, 0x1000, 8, 0x2000, 8, 0x3000, 8, 0x5000, 8 } },
    { IGRAD_OP_VEC_NORM_GRAD, 0, 0x3ff,
      { 3, 2, 0x1000, 8, 0x2000, 8, 0x3000, 8, 0x5000, 8 } },
    { IGRAD_OP_VEC_DROPOUT, 0, 0x3ff & ~W(5),
      { 3, 2, 0x1000, 8, 0x2000, 0, 0x3000, 8, 7, 9 } },
    { IGRAD_OP_VEC_POOL_MAX, IGRAD_FLAG_INDEX, POOL_WORDS,
      { POOL(4), POOL(2), POOL(2), POOL(2), 0, 2, 8, 0x1000, 0, 0x3000 } },
    { IGRAD_OP_VEC_POOL_MAX_GRAD, 0, POOL_WORDS | W(8),
      { POOL(4), POOL(2), POOL(2), POOL(2), 0, 2, 8, 0x1000, 0x2000, 0x3000 } },
    { IGRAD_OP_VEC_POOL_SUM, 0, POOL_WORDS,
      { POOL(4), POOL(2), POOL(2), POOL(2), 0, 2, 8, 0x1000, 0, 0x3000 } },
    { IGRAD_OP_VEC_POOL_SUM_GRAD, 0, POOL_WORDS,
      { POOL(4), POOL(2), POOL(2), POOL(2), 0, 2, 8, 0x1000, 0, 0x3000 } },
    { IGRAD_OP_VEC_POOL_DIVIDE, 0, POOL_WORDS,
      { POOL(4), POOL(2), POOL(2), POOL(2), 0, 2, 8, 0x1000, 0, 0x3000 } },
};

static struct igrad_cmd command(const Good *op)
{
    struct igrad_cmd cmd = { .opcode = op->opcode };

    for (int i = 0; i < 10; i++) {
        cmd.u.words[i] = cpu_to_le32(op->words[i]);
    }
    return cmd;
}

static bool is_geometry(uint16_t reason)
{
    return reason == IGRAD_REASON_SHAPE || reason == IGRAD_REASON_ALIGN ||
           reason == IGRAD_REASON_SRAM_RANGE ||
           reason == IGRAD_REASON_OVERLAP || reason == IGRAD_REASON_DATA;
}

/* A dimension that is zero is refused, whatever else there is. */
static bool is_dimension(const Good *op, int word)
{
    if (op->opcode == IGRAD_OP_DMA_LOAD || op->opcode == IGRAD_OP_DMA_STORE) {
        return word == 5 || word == 6;
    }
    if (op->opcode >= IGRAD_OP_VEC_POOL_MAX) {
        return word < 4 || word == 5 || word == 6;
    }
    return word < 2 && op->used & W(word);
}

static void check_word(Dev *d, const Good *op, int word, uint32_t value)
{
    struct igrad_cmd cmd = command(op);
    bool used = op->used & W(word);
    uint16_t reason;

    cmd.u.words[word] = cpu_to_le32(value);
    reason = reason_of(d, &cmd);
    if (!used) {
        g_assert_cmphex(reason, ==, value ? IGRAD_REASON_RESERVED : 0);
    } else if (is_dimension(op, word) && !value) {
        g_assert_cmphex(reason, ==, IGRAD_REASON_SHAPE);
    } else if (reason < IGRAD_REASON_VA_RANGE) {
        g_assert_true(!reason || is_geometry(reason));
    } else {
        g_assert_cmpuint(op->opcode, <, IGRAD_OP_LOAD_W);
    }
}

/* The command as it is, and with each word of its body at each extreme */
static void test_every_word(void)
{
    Dev d;

    start_answers(&d, "");
    for (int i = 0; i < G_N_ELEMENTS(good); i++) {
        struct igrad_cmd cmd = command(&good[i]);

        g_assert_cmphex(reason_of(&d, &cmd), ==, IGRAD_REASON_NONE);
        for (int word = 0; word < 10; word++) {
            for (int k = 0; k < G_N_ELEMENTS(extremes); k++) {
                check_word(&d, &good[i], word, extremes[k]);
            }
        }
    }
    for (uint32_t i = 0; i < RING_SIZE; i++) {
        put_desc(&d, i, one_command(&d));
    }
    check_works(&d);
    dev_stop(&d);
}

static bool exists(uint8_t opcode)
{
    for (int i = 0; i < G_N_ELEMENTS(good); i++) {
        if (good[i].opcode == opcode) {
            return true;
        }
    }
    return false;
}

static void test_every_opcode(void)
{
    Dev d;

    start_answers(&d, "");
    for (int opcode = 0; opcode <= UINT8_MAX; opcode++) {
        struct igrad_cmd cmd = { .opcode = opcode };

        if (!exists(opcode)) {
            g_assert_cmphex(reason_of(&d, &cmd), ==, IGRAD_REASON_OPCODE);
            memset((uint8_t *)&cmd + 1, 0xff, sizeof(cmd) - 1);
            g_assert_cmphex(reason_of(&d, &cmd), ==, IGRAD_REASON_OPCODE);
        }
    }
    check_works(&d);
    dev_stop(&d);
}

static bool go_together(uint32_t flags)
{
    bool turned = flags & (IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TURN);
    bool groups = flags & IGRAD_FLAG_GROUPS, taps = flags & IGRAD_FLAG_TAPS;
    bool scatter = flags & IGRAD_FLAG_SCATTER;

    if (!(flags & IGRAD_FLAG_WINDOW)) {
        return !scatter && !taps && !(groups && turned);
    }
    return !(turned && !(flags & IGRAD_FLAG_TRANSPOSE)) &&
           (turned || taps) + (groups || scatter) <= 1;
}

/* Each bit that the opcode does not have, and each set of those that it has */
static void test_every_flag(void)
{
    Dev d;

    start_answers(&d, "");
    for (int i = 0; i < G_N_ELEMENTS(good); i++) {
        struct igrad_cmd cmd = command(&good[i]);

        for (int bit = 0; bit < 16; bit++) {
            if (good[i].flags & 1 << bit) {
                continue;
            }
            cmd.flags = cpu_to_le16(1 << bit);
            g_assert_cmphex(reason_of(&d, &cmd), ==, IGRAD_REASON_FLAGS);
            cmd.flags = cpu_to_le16(1 << bit | good[i].flags);
            g_assert_cmphex(reason_of(&d, &cmd), ==, IGRAD_REASON_FLAGS);
        }
        for (uint32_t flags = 0; flags < 4096; flags++) {
            uint16_t reason;

            if (flags & ~good[i].flags) {
                continue;
            }
            cmd.flags = cpu_to_le16(flags);
            reason = reason_of(&d, &cmd);
            if (go_together(flags)) {
                g_assert_true(!reason || is_geometry(reason));
            } else {
                g_assert_cmphex(reason, ==, IGRAD_REASON_FLAGS);
            }
        }
    }
    check_works(&d);
    dev_stop(&d);
}

/* Semaphores and the engine, which all commands have */
static void test_every_head(void)
{
    Dev d;

    start_answers(&d, "");
    for (int i = 0; i < G_N_ELEMENTS(good); i++) {
        const struct igrad_cmd plain = command(&good[i]);

        for (int n = 1; n <= UINT8_MAX; n += n < 40 ? 1 : 43) {
            struct igrad_cmd cmd = plain;

            cmd.signal = n;
            g_assert_cmphex(reason_of(&d, &cmd), ==,
                            n < IGRAD_NUM_SEMAPHORES ? 0 :
                            IGRAD_REASON_SEMAPHORE);
            cmd = plain;
            cmd.wait_sem[n % IGRAD_NUM_WAITS] = n;
            g_assert_cmphex(reason_of(&d, &cmd), ==, IGRAD_REASON_SEMAPHORE);
            cmd.wait_value[n % IGRAD_NUM_WAITS] = cpu_to_le32(n);
            g_assert_cmphex(reason_of(&d, &cmd), ==,
                            n < IGRAD_NUM_SEMAPHORES ? IGRAD_REASON_WAIT :
                            IGRAD_REASON_SEMAPHORE);
            cmd = plain;
            cmd.wait_value[n % IGRAD_NUM_WAITS] = cpu_to_le32(UINT32_MAX - n);
            g_assert_cmphex(reason_of(&d, &cmd), ==, IGRAD_REASON_SEMAPHORE);
            cmd = plain;
            cmd.engine = n;
            g_assert_cmphex(reason_of(&d, &cmd), ==,
                            plain.opcode != IGRAD_OP_NOP ?
                            IGRAD_REASON_RESERVED :
                            n < IGRAD_NUM_ENGINES ? 0 : IGRAD_REASON_OPCODE);
            cmd = plain;
            cmd.tag = UINT32_MAX - n;
            g_assert_cmphex(reason_of(&d, &cmd), ==, IGRAD_REASON_NONE);
        }
    }
    check_works(&d);
    dev_stop(&d);
}

/*
 * Descriptors
 */

static const uint64_t extremes_64[] = {
    0, 1, 63, 64, 0xfff, 0x1000, 0x1001, VA_CMDS + 4, 0x7fffffff, 0x80000000,
    UINT32_MAX, 0x100000000, IGRAD_VA_END - 64, IGRAD_VA_END, 1ull << 52,
    (1ull << 52) - 4096, INT64_MAX, 1ull << 63, -4096ull, -64ull, UINT64_MAX,
};

static void test_every_descriptor_word(void)
{
    struct igrad_cmd nop = { .opcode = IGRAD_OP_NOP };
    Dev d;

    start_answers(&d, "");
    qtest_memset(d.qts, page_of(&d, VA_CMDS), 0, MAPPED - VA_CMDS);
    for (int word = 0; word < sizeof(struct igrad_desc) / 8; word++) {
        for (int i = 0; i < G_N_ELEMENTS(extremes_64); i++) {
            struct igrad_desc desc = one_command(&d);
            uint64_t value = cpu_to_le64(extremes_64[i]);
            struct igrad_completion c;

            memcpy((char *)&desc + 8 * word, &value, 8);
            qtest_memwrite(d.qts, page_of(&d, VA_CMDS), &nop, sizeof(nop));
            put_desc(&d, d.tail, desc);
            c = answer(&d);
            g_assert_cmpuint(c.seqno, ==, desc.seqno);
            if (c.status == cpu_to_le16(IGRAD_STATUS_SKIPPED)) {
                g_assert_true(le32_to_cpu(desc.flags) & IGRAD_DESC_SKIP);
            } else if (word > 4) {
                g_assert_cmphex(c.reason, ==,
                                value ? cpu_to_le16(IGRAD_REASON_DESC) : 0);
            } else if (word == 3) {
                g_assert_cmphex(c.reason, ==, 0);
            }
        }
    }
    check_works(&d);
    dev_stop(&d);
}

/*
 * Where there is no memory: other devices, this one, nothing at all
 */

#define PLACES 8

static void places(Dev *d, uint64_t *at)
{
    at[0] = d->bar.addr;
    at[1] = d->pci->msix_table_bar.addr;
    at[2] = 0xfec00000; /* the I/O APIC */
    at[3] = 0xfee00000; /* interrupts, if a CPU writes there */
    at[4] = 0xfed00000; /* HPET */
    at[5] = 0xb0000000; /* configuration space of PCI Express */
    at[6] = 0x000ffffffffff000; /* the last page that an entry can name */
    at[7] = 0xf0000000000; /* nothing */
}

static void check_out_of_reach(Dev *d, uint64_t va, uint16_t reason)
{
    struct igrad_cmd cmd = command(&good[1]);

    for (int store = 0; store < 2; store++) {
        cmd.opcode = store ? IGRAD_OP_DMA_STORE : IGRAD_OP_DMA_LOAD;
        cmd.u.dma.va = cpu_to_le64(va);
        g_assert_cmphex(reason_of(d, &cmd), ==, reason);
    }
}

static void test_every_table_entry(void)
{
    const uint64_t table = IGRAD_PTE_VALID;
    const uint64_t leaf = IGRAD_PTE_VALID | IGRAD_PTE_WRITE;
    uint64_t at[PLACES], va;
    Dev d;

    start_answers(&d, "");
    places(&d, at);
    for (int i = 0; i < PLACES; i++) {
        va = 100 * IGRAD_PAGE_SIZE;
        map(&d, va, at[i], leaf);
        tlb_flush(&d, d.area + ROOT);
        check_out_of_reach(&d, va, IGRAD_REASON_BUS);
        va = 3 * IGRAD_BLOCK_SIZE;
        qtest_writeq(d.qts, d.area + LEVEL1 + 8 * 3,
                     (at[i] & -IGRAD_BLOCK_SIZE) | leaf | IGRAD_PTE_BLOCK);
        tlb_flush(&d, d.area + ROOT);
        check_out_of_reach(&d, va + (at[i] & (IGRAD_BLOCK_SIZE - 1)),
                           IGRAD_REASON_BUS);
        qtest_writeq(d.qts, d.area + LEVEL1 + 8 * 3, at[i] | table);
        tlb_flush(&d, d.area + ROOT);
        check_out_of_reach(&d, va, IGRAD_REASON_TABLE_BUS);
        qtest_writeq(d.qts, d.area + ROOT + 8, at[i] | table);
        tlb_flush(&d, d.area + ROOT);
        check_out_of_reach(&d, 1ull << 30, IGRAD_REASON_TABLE_BUS);
    }
    /* Every bit that must be zero, in each level; what is not valid is not. */
    for (int bit = 0; bit < 64; bit++) {
        uint64_t mask = 1ull << bit;
        bool bad = !(mask & (IGRAD_PTE_ADDR | leaf));

        qtest_writeq(d.qts, d.area + ROOT + 8, mask & ~table);
        tlb_flush(&d, d.area + ROOT);
        check_out_of_reach(&d, 1ull << 30, IGRAD_REASON_NOT_PRESENT);
        if (!bad) {
            continue;
        }
        map(&d, 100 * IGRAD_PAGE_SIZE, (d.area + PAGES) | mask, leaf);
        qtest_writeq(d.qts, d.area + ROOT + 8,
                     (d.area + LEVEL1) | mask | table);
        tlb_flush(&d, d.area + ROOT);
        check_out_of_reach(&d, 100 * IGRAD_PAGE_SIZE, IGRAD_REASON_BAD_PTE);
        check_out_of_reach(&d, 1ull << 30, IGRAD_REASON_BAD_PTE);
    }
    check_works(&d);
    dev_stop(&d);
}

/* A root that is elsewhere, and commands and reports that are */
static void test_every_address_of_a_job(void)
{
    struct igrad_cmd nop = { .opcode = IGRAD_OP_NOP };
    const uint64_t va = 100 * IGRAD_PAGE_SIZE;
    uint64_t at[PLACES];
    Dev d;

    start_answers(&d, "");
    places(&d, at);
    qtest_memwrite(d.qts, page_of(&d, VA_CMDS), &nop, sizeof(nop));
    for (int i = 0; i < PLACES; i++) {
        struct igrad_desc desc = one_command(&d);

        desc.pt_root = cpu_to_le64(at[i]);
        put_desc(&d, d.tail, desc);
        g_assert_cmphex(le16_to_cpu(answer(&d).reason), ==,
                        IGRAD_REASON_TABLE_BUS);
        map(&d, va, at[i], IGRAD_PTE_VALID | IGRAD_PTE_WRITE);
        tlb_flush(&d, d.area + ROOT);
        desc = one_command(&d);
        desc.cmds = cpu_to_le64(va);
        put_desc(&d, d.tail, desc);
        g_assert_cmphex(le16_to_cpu(answer(&d).reason), ==, IGRAD_REASON_BUS);
        desc = one_command(&d);
        desc.report = cpu_to_le64(va);
        put_desc(&d, d.tail, desc);
        g_assert_cmphex(le16_to_cpu(answer(&d).reason), ==, IGRAD_REASON_BUS);
    }
    check_works(&d);
    dev_stop(&d);
}

static void check_ring_at(Dev *d, uint64_t ring, uint64_t cq)
{
    reset(d);
    reg_write(d, IGRAD_REG_RING_BASE_LO, ring);
    reg_write(d, IGRAD_REG_RING_BASE_HI, ring >> 32);
    reg_write(d, IGRAD_REG_CQ_BASE_LO, cq);
    reg_write(d, IGRAD_REG_CQ_BASE_HI, cq >> 32);
    reg_write(d, IGRAD_REG_RING_SIZE, RING_ORDER);
    reg_write(d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
    reg_write(d, IGRAD_REG_RING_TAIL, RING_SIZE);
    wait_reg(d, IGRAD_REG_STATUS, UINT32_MAX, IGRAD_DEV_FATAL);
    g_assert_cmphex(reg_read(d, IGRAD_REG_RING_DONE), ==, 0);
}

/* Nor do rings and completions reach what is no memory: all is over then. */
static void test_every_ring_place(void)
{
    uint64_t at[PLACES];
    Dev d;

    start_answers(&d, "");
    places(&d, at);
    for (int i = 0; i < PLACES; i++) {
        check_ring_at(&d, at[i], d.area + CQ);
        check_ring_at(&d, d.area + RING, at[i]);
        check_ring_at(&d, at[i], at[i]);
    }
    check_ring_at(&d, -64ull, d.area + CQ);
    check_ring_at(&d, d.area + RING, -32ull);
    reset(&d);
    dev_setup(&d);
    check_works(&d);
    dev_stop(&d);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("igrad/hostile/every-width", test_every_width);
    qtest_add_func("igrad/hostile/every-register", test_every_register);
    qtest_add_func("igrad/hostile/every-config-byte", test_every_config_byte);
    qtest_add_func("igrad/hostile/every-word", test_every_word);
    qtest_add_func("igrad/hostile/every-opcode", test_every_opcode);
    qtest_add_func("igrad/hostile/every-flag", test_every_flag);
    qtest_add_func("igrad/hostile/every-head", test_every_head);
    qtest_add_func("igrad/hostile/every-descriptor-word",
                   test_every_descriptor_word);
    qtest_add_func("igrad/hostile/every-table-entry", test_every_table_entry);
    qtest_add_func("igrad/hostile/every-address-of-a-job",
                   test_every_address_of_a_job);
    qtest_add_func("igrad/hostile/every-ring-place", test_every_ring_place);

    return g_test_run();
}
