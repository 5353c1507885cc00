/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the device share: a machine with a device in it, page
 * tables, commands and rings in guest memory, and what must be true of them.
 */
#ifndef IGRAD_DEV_H
#define IGRAD_DEV_H

#include "qemu/bswap.h"
#include "libqtest.h"
#include "libqos/pci.h"
#include "libqos/pci-pc.h"
#include "qobject/qdict.h"
#include "hw/pci/pci_regs.h"
#include "igrad/hw.h"

/* Guest-physical map, for the device number n */
#define AREA(n)      (0x1000000ull + (n) * 0x800000ull)
#define RING         0x0000
#define CQ           0x1000
#define MSI          0x2000 /* one word a vector */
#define ROOT         0x3000
#define LEVEL1       0x4000
#define LEVEL0       0x5000
#define PAGES        0x100000 /* what the page tables map */
#define PAGES_OTHER  0x200000 /* the same many again, for remapping */

/* VAs: page tables map VA to PAGES + VA below this. */
#define MAPPED       0x80000
#define VA_CMDS      0x10000
#define VA_REPORT    0x20000
#define VA_HANG      0x21000
#define VA_X         0x30000
#define VA_W         0x31000
#define VA_Y         0x32000
#define VA_READ_ONLY 0x33000
#define VA_STORM     0x40000

#define RING_ORDER   3
#define RING_SIZE    (1u << RING_ORDER)
#define HANG_TAG     77
#define HANG         "x-hang-tag=77"

typedef struct {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *pci;
    QPCIBar bar;
    uint64_t area;
    uint64_t dma; /* bus address of guest-physical address 0 */
    uint32_t tail;
} Dev;

/*
 * Machine and device
 */

static inline uint32_t reg_read(Dev *d, uint64_t reg)
{
    return qpci_io_readl(d->pci, d->bar, reg);
}

static inline void reg_write(Dev *d, uint64_t reg, uint32_t val)
{
    qpci_io_writel(d->pci, d->bar, reg, val);
}

static inline void dev_open(Dev *d, QTestState *qts, QPCIBus *bus, int devfn,
                            int n)
{
    *d = (Dev) {
        .qts = qts, .bus = bus, .pci = qpci_device_find(bus, devfn),
        .area = AREA(n),
    };
    g_assert_nonnull(d->pci);
    qpci_device_enable(d->pci);
    d->bar = qpci_iomap(d->pci, IGRAD_BAR_REGS, NULL);
}

static inline void dev_start_machine(Dev *d, const char *machine_args,
                                     const char *device_args)
{
    QTestState *qts = qtest_initf("-M q35 -nodefaults %s "
                                  "-device igrad,id=dut,addr=4%s%s",
                                  machine_args, *device_args ? "," : "",
                                  device_args);

    dev_open(d, qts, qpci_new_pc(qts, NULL), QPCI_DEVFN(4, 0), 0);
}

static inline void dev_start(Dev *d, const char *device_args)
{
    dev_start_machine(d, "", device_args);
}

static inline void dev_stop(Dev *d)
{
    g_free(d->pci);
    qpci_free_pc(d->bus);
    qtest_quit(d->qts);
}

/*
 * Properties of the running device
 */

static inline void qom_set_number(Dev *d, const char *name, uint64_t value)
{
    qtest_qmp_assert_success(d->qts, "{'execute': 'qom-set', 'arguments': {"
                             "'path': '/machine/peripheral/dut',"
                             "'property': %s, 'value': %" PRIu64 "}}",
                             name, value);
}

static inline void qom_set_bool(Dev *d, const char *name, bool value)
{
    qtest_qmp_assert_success(d->qts, "{'execute': 'qom-set', 'arguments': {"
                             "'path': '/machine/peripheral/dut',"
                             "'property': %s, 'value': %i}}", name, value);
}

static inline QDict *qom_get(Dev *d, const char *name)
{
    QDict *answer = qtest_qmp(d->qts, "{'execute': 'qom-get', 'arguments': {"
                              "'path': '/machine/peripheral/dut',"
                              "'property': %s}}", name);

    g_assert_true(qdict_haskey(answer, "return"));
    return answer;
}

static inline uint64_t qom_get_number(Dev *d, const char *name)
{
    QDict *answer = qom_get(d, name);
    uint64_t value = qdict_get_int(answer, "return");

    qobject_unref(answer);
    return value;
}

static inline void check_state(Dev *d, const char *state)
{
    QDict *answer = qom_get(d, "state");

    g_assert_cmpstr(qdict_get_str(answer, "return"), ==, state);
    qobject_unref(answer);
}

#define WAIT_SECONDS 20

/* Poll a register until the bits of mask are val. */
static inline void wait_reg(Dev *d, uint64_t reg, uint32_t mask, uint32_t val)
{
    gint64 end = g_get_monotonic_time() + WAIT_SECONDS * G_TIME_SPAN_SECOND;

    while ((reg_read(d, reg) & mask) != val) {
        if (g_get_monotonic_time() > end) {
            g_error("register 0x%" PRIx64 " is 0x%x, waited for 0x%x in 0x%x",
                    reg, reg_read(d, reg), val, mask);
        }
        g_usleep(1000);
    }
}

static inline uint64_t bus_of(Dev *d, uint64_t addr)
{
    return addr + d->dma;
}

static inline void msix_setup(Dev *d)
{
    qpci_msix_enable(d->pci);
    for (int v = 0; v < IGRAD_NUM_VECTORS; v++) {
        uint64_t at = d->pci->msix_table_off + v * PCI_MSIX_ENTRY_SIZE;
        QPCIBar table = d->pci->msix_table_bar;

        qpci_io_writel(d->pci, table, at + PCI_MSIX_ENTRY_LOWER_ADDR,
                       bus_of(d, d->area + MSI + 4 * v));
        qpci_io_writel(d->pci, table, at + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
        qpci_io_writel(d->pci, table, at + PCI_MSIX_ENTRY_DATA, 0xc0de + v);
        qpci_io_writel(d->pci, table, at + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    }
}

/* Has this vector been sent since the last call? */
static inline bool msi_seen(Dev *d, int vector)
{
    uint32_t data = qtest_readl(d->qts, d->area + MSI + 4 * vector);

    qtest_writel(d->qts, d->area + MSI + 4 * vector, 0);
    g_assert_true(data == 0 || data == 0xc0de + vector);
    return data;
}

/*
 * Memory
 */

static inline uint64_t page_of(Dev *d, uint64_t va)
{
    return d->area + PAGES + va;
}

/* Map a page to a bus address. */
static inline void map(Dev *d, uint64_t va, uint64_t target, uint64_t flags)
{
    uint64_t index = va >> IGRAD_PAGE_SHIFT;

    g_assert_cmpuint(index, <, IGRAD_PT_ENTRIES);
    qtest_writeq(d->qts, d->area + LEVEL0 + 8 * index, target | flags);
}

static inline void build_page_tables(Dev *d)
{
    qtest_memset(d->qts, d->area + ROOT, 0, 3 * IGRAD_PAGE_SIZE);
    qtest_writeq(d->qts, d->area + ROOT,
                 bus_of(d, d->area + LEVEL1) | IGRAD_PTE_VALID);
    qtest_writeq(d->qts, d->area + LEVEL1,
                 bus_of(d, d->area + LEVEL0) | IGRAD_PTE_VALID);
    for (uint64_t va = IGRAD_PAGE_SIZE; va < MAPPED; va += IGRAD_PAGE_SIZE) {
        map(d, va, bus_of(d, page_of(d, va)), IGRAD_PTE_VALID |
            (va == VA_READ_ONLY ? 0 : IGRAD_PTE_WRITE));
    }
}

static inline void ring_enable(Dev *d)
{
    reg_write(d, IGRAD_REG_RING_BASE_LO, bus_of(d, d->area + RING));
    reg_write(d, IGRAD_REG_RING_BASE_HI, 0);
    reg_write(d, IGRAD_REG_CQ_BASE_LO, bus_of(d, d->area + CQ));
    reg_write(d, IGRAD_REG_CQ_BASE_HI, 0);
    reg_write(d, IGRAD_REG_RING_SIZE, RING_ORDER);
    reg_write(d, IGRAD_REG_IRQ_ENABLE, IGRAD_IRQ_ALL);
    qtest_memset(d->qts, d->area + CQ, 0, IGRAD_PAGE_SIZE);
    reg_write(d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE);
    g_assert_cmphex(reg_read(d, IGRAD_REG_STATUS), ==, IGRAD_DEV_READY);
    d->tail = 0;
}

static inline void dev_setup(Dev *d)
{
    msix_setup(d);
    build_page_tables(d);
    ring_enable(d);
}

/*
 * Commands: a small fprop, y = x·w
 */

#define BATCH 4
#define ROWS  3
#define COLS  2

#define SRAM_X 0x0
#define SRAM_W 0x100
#define SRAM_Y 0x200

typedef struct {
    struct igrad_cmd cmd[16];
    uint32_t num;
    uint64_t va;
} Program;

static inline struct igrad_cmd *add_cmd(Program *p, uint8_t opcode)
{
    struct igrad_cmd *cmd = &p->cmd[p->num++];

    g_assert_cmpuint(p->num, <=, G_N_ELEMENTS(p->cmd));
    *cmd = (struct igrad_cmd) { .opcode = opcode };
    return cmd;
}

static inline void add_dma(Program *p, uint8_t opcode, uint64_t va,
                           uint32_t sram, uint32_t rows, uint32_t cols)
{
    struct igrad_cmd *cmd = add_cmd(p, opcode);

    cmd->u.dma.va = cpu_to_le64(va);
    cmd->u.dma.pitch = cpu_to_le32(cols * 4);
    cmd->u.dma.sram = cpu_to_le32(sram);
    cmd->u.dma.sram_pitch = cpu_to_le32(cols * 4);
    cmd->u.dma.rows = cpu_to_le32(rows);
    cmd->u.dma.cols = cpu_to_le32(cols);
}

static inline void add_nop(Program *p, uint32_t tag)
{
    add_cmd(p, IGRAD_OP_NOP)->tag = cpu_to_le32(tag);
}

static inline void cmd_signal(Program *p, uint8_t semaphore)
{
    p->cmd[p->num - 1].signal = semaphore;
}

static inline void cmd_wait(Program *p, int i, uint8_t semaphore,
                            uint32_t value)
{
    p->cmd[p->num - 1].wait_sem[i] = semaphore;
    p->cmd[p->num - 1].wait_value[i] = cpu_to_le32(value);
}

static inline void add_fprop(Program *p, uint64_t va_y)
{
    struct igrad_cmd *cmd;

    add_dma(p, IGRAD_OP_DMA_LOAD, VA_W, SRAM_W, ROWS, COLS);
    add_dma(p, IGRAD_OP_DMA_LOAD, VA_X, SRAM_X, BATCH, ROWS);
    cmd_signal(p, 1);

    cmd = add_cmd(p, IGRAD_OP_LOAD_W);
    cmd->u.array.rows = cpu_to_le16(ROWS);
    cmd->u.array.cols = cpu_to_le16(COLS);
    cmd->u.array.p = cpu_to_le32(SRAM_W);
    cmd->u.array.p_pitch = cpu_to_le32(COLS * 4);
    cmd_wait(p, 0, 1, 1);

    cmd = add_cmd(p, IGRAD_OP_FPROP);
    cmd->u.array.rows = cpu_to_le16(ROWS);
    cmd->u.array.cols = cpu_to_le16(COLS);
    cmd->u.array.batch = cpu_to_le32(BATCH);
    cmd->u.array.x = cpu_to_le32(SRAM_X);
    cmd->u.array.x_pitch = cpu_to_le32(ROWS * 4);
    cmd->u.array.p = cpu_to_le32(SRAM_Y);
    cmd->u.array.p_pitch = cpu_to_le32(COLS * 4);
    cmd_signal(p, 2);

    add_dma(p, IGRAD_OP_DMA_STORE, va_y, SRAM_Y, BATCH, COLS);
    cmd_wait(p, 0, 2, 1);
}

static inline void write_floats(Dev *d, uint64_t addr, const float *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &f[i], sizeof(bits));
        qtest_writel(d->qts, addr + 4 * i, bits);
    }
}

static inline float read_float(Dev *d, uint64_t addr)
{
    uint32_t bits = qtest_readl(d->qts, addr);
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

static inline float x_of(int b, int r)
{
    return b + 10 * r + 1;
}

static inline float w_of(int r, int c)
{
    return r - 2 * c + 0.5f;
}

static inline void write_operands(Dev *d)
{
    float x[BATCH][ROWS], w[ROWS][COLS];

    for (int r = 0; r < ROWS; r++) {
        for (int b = 0; b < BATCH; b++) {
            x[b][r] = x_of(b, r);
        }
        for (int c = 0; c < COLS; c++) {
            w[r][c] = w_of(r, c);
        }
    }
    write_floats(d, page_of(d, VA_X), &x[0][0], BATCH * ROWS);
    write_floats(d, page_of(d, VA_W), &w[0][0], ROWS * COLS);
    qtest_memset(d->qts, page_of(d, VA_Y), 0xee, IGRAD_PAGE_SIZE);
    qtest_memset(d->qts, page_of(d, VA_REPORT), 0xff,
                 sizeof(struct igrad_report));
}

/* All values are small multiples of a half: float sums are exact. */
static inline void check_product(Dev *d, uint64_t addr)
{
    for (int b = 0; b < BATCH; b++) {
        for (int c = 0; c < COLS; c++) {
            float y = 0;

            for (int r = 0; r < ROWS; r++) {
                y += x_of(b, r) * w_of(r, c);
            }
            g_assert_cmpfloat(read_float(d, addr + 4 * (b * COLS + c)), ==, y);
        }
    }
}

/*
 * Jobs
 */

/* Put a descriptor into the ring without ringing the doorbell. */
static inline void put_desc(Dev *d, uint32_t index, struct igrad_desc desc)
{
    qtest_memwrite(d->qts, d->area + RING +
                   (index % RING_SIZE) * sizeof(desc), &desc, sizeof(desc));
}

static inline struct igrad_desc make_desc(Dev *d, Program *p, uint64_t seqno)
{
    uint64_t va = p->va ? p->va : VA_CMDS;

    qtest_memwrite(d->qts, page_of(d, va), p->cmd, p->num * sizeof(*p->cmd));
    return (struct igrad_desc) {
        .pt_root = cpu_to_le64(bus_of(d, d->area + ROOT)),
        .cmds = cpu_to_le64(va),
        .num_cmds = cpu_to_le32(p->num),
        .seqno = cpu_to_le64(seqno),
        .report = cpu_to_le64(VA_REPORT),
    };
}

static inline void doorbell(Dev *d, uint32_t tail)
{
    d->tail = tail;
    reg_write(d, IGRAD_REG_RING_TAIL, tail);
}

static inline void submit(Dev *d, Program *p, uint64_t seqno)
{
    put_desc(d, d->tail, make_desc(d, p, seqno));
    doorbell(d, d->tail + 1);
}

static inline struct igrad_completion completion(Dev *d, uint32_t index)
{
    struct igrad_completion c;

    qtest_memread(d->qts, d->area + CQ + (index % RING_SIZE) * sizeof(c), &c,
                  sizeof(c));
    return c;
}

static inline void check_completion(Dev *d, uint32_t index, uint64_t seqno,
                                    uint16_t status, uint16_t reason,
                                    uint32_t command)
{
    struct igrad_completion c;

    wait_reg(d, IGRAD_REG_RING_DONE, UINT32_MAX, index + 1);
    c = completion(d, index);
    g_assert_cmpuint(le32_to_cpu(c.stamp), ==, index + 1);
    g_assert_cmpuint(le64_to_cpu(c.seqno), ==, seqno);
    g_assert_cmpuint(le16_to_cpu(c.status), ==, status);
    g_assert_cmphex(le16_to_cpu(c.reason), ==, reason);
    g_assert_cmpuint(le32_to_cpu(c.command), ==, command);
    g_assert_cmpuint(le32_to_cpu(c.reserved), ==, 0);
}

static inline void check_ok(Dev *d, uint32_t index, uint64_t seqno,
                            uint32_t commands)
{
    check_completion(d, index, seqno, IGRAD_STATUS_OK, IGRAD_REASON_NONE,
                     commands);
}

/* The device works: run the product and look at everything it leaves. */
static inline void check_works(Dev *d)
{
    Program p = { 0 };
    uint32_t index = d->tail;

    write_operands(d);
    add_fprop(&p, VA_Y);
    submit(d, &p, 1000 + index);
    check_ok(d, index, 1000 + index, p.num);
    check_product(d, page_of(d, VA_Y));
}

static inline void reset(Dev *d)
{
    reg_write(d, IGRAD_REG_CTRL, IGRAD_CTRL_RESET);
    wait_reg(d, IGRAD_REG_CTRL, IGRAD_CTRL_RESET, 0);
    d->tail = 0;
}

static inline void start_hang(Dev *d)
{
    Program p = { .va = VA_HANG };

    add_nop(&p, HANG_TAG);
    submit(d, &p, 666);
    wait_reg(d, IGRAD_REG_RING_STARTED, UINT32_MAX, d->tail);
    g_assert_cmphex(reg_read(d, IGRAD_REG_STATUS), ==,
                    IGRAD_DEV_READY | IGRAD_DEV_BUSY);
}

/* Power-on values of every register that can be written or changes. */
static inline void check_power_on(Dev *d)
{
    for (uint64_t reg = IGRAD_REG_CTRL; reg <= IGRAD_REG_IRQ_ENABLE; reg += 4) {
        g_assert_cmphex(reg_read(d, reg), ==, 0);
    }
    for (uint64_t reg = IGRAD_REG_RING_BASE_LO; reg <= IGRAD_REG_RETIRED_HI;
         reg += 4) {
        g_assert_cmphex(reg_read(d, reg), ==, 0);
    }
    for (uint64_t reg = IGRAD_REG_TLB_ROOT_LO; reg <= IGRAD_REG_TLB_FLUSH;
         reg += 4) {
        g_assert_cmphex(reg_read(d, reg), ==, 0);
    }
}

static inline void check_stopped(Dev *d, uint32_t started)
{
    wait_reg(d, IGRAD_REG_STATUS, UINT32_MAX, IGRAD_DEV_STOPPED);
    g_assert_cmpuint(reg_read(d, IGRAD_REG_RING_STARTED), ==, started);
    g_assert_cmpuint(reg_read(d, IGRAD_REG_RING_DONE), ==, started);
    g_assert_cmphex(reg_read(d, IGRAD_REG_IRQ_STATUS), ==,
                    IGRAD_IRQ_COMPLETION | IGRAD_IRQ_STOPPED);
    g_assert_true(msi_seen(d, IGRAD_VECTOR_COMPLETION));
    g_assert_true(msi_seen(d, IGRAD_VECTOR_EVENT));
    reg_write(d, IGRAD_REG_IRQ_STATUS, IGRAD_IRQ_ALL);
}

static inline void resume(Dev *d)
{
    reg_write(d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE | IGRAD_CTRL_RESUME);
}

/* One store to va must fail with this reason at this address. */
static inline void check_fault(Dev *d, uint64_t va, uint16_t reason,
                               uint64_t addr)
{
    Program p = { 0 };
    uint32_t index = d->tail;

    add_dma(&p, IGRAD_OP_DMA_STORE, va, 0, 1, 16);
    submit(d, &p, 5);
    check_completion(d, index, 5, IGRAD_STATUS_FAULT, reason, 0);
    g_assert_cmphex(le64_to_cpu(completion(d, index).addr), ==, addr);
    check_stopped(d, d->tail);
    resume(d);
}

static inline void flr(Dev *d)
{
    uint8_t cap = qpci_find_capability(d->pci, PCI_CAP_ID_EXP, 0);
    uint16_t ctl = qpci_config_readw(d->pci, cap + PCI_EXP_DEVCTL);

    qpci_config_writew(d->pci, cap + PCI_EXP_DEVCTL,
                       ctl | PCI_EXP_DEVCTL_BCR_FLR);
    d->tail = 0;
}

/* After FLR the configuration is gone too. */
static inline void reopen(Dev *d)
{
    qpci_device_enable(d->pci);
    d->bar = qpci_iomap(d->pci, IGRAD_BAR_REGS, NULL);
}

static inline void tlb_flush(Dev *d, uint64_t root)
{
    reg_write(d, IGRAD_REG_TLB_ROOT_LO, root);
    reg_write(d, IGRAD_REG_TLB_ROOT_HI, root >> 32);
    reg_write(d, IGRAD_REG_TLB_FLUSH, 1);
    wait_reg(d, IGRAD_REG_TLB_FLUSH, UINT32_MAX, 0);
}

#endif /* IGRAD_DEV_H */
