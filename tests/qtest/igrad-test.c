/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The igrad PCIe device, from the side of its registers: what a driver may
 * do, and what it must not be able to break.
 *
 * Every test builds real page tables, commands and rings in guest memory;
 * see the map of addresses below.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "libqtest.h"
#include "libqos/pci.h"
#include "libqos/pci-pc.h"
#include "qobject/qdict.h"
#include "hw/pci/pci_regs.h"
#include "igrad/hw.h"

/* Guest-physical map, for the device number n (0 or 1) */
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

static uint32_t reg_read(Dev *d, uint64_t reg)
{
    return qpci_io_readl(d->pci, d->bar, reg);
}

static void reg_write(Dev *d, uint64_t reg, uint32_t val)
{
    qpci_io_writel(d->pci, d->bar, reg, val);
}

static void dev_open(Dev *d, QTestState *qts, QPCIBus *bus, int devfn, int n)
{
    *d = (Dev) {
        .qts = qts, .bus = bus, .pci = qpci_device_find(bus, devfn),
        .area = AREA(n),
    };
    g_assert_nonnull(d->pci);
    qpci_device_enable(d->pci);
    d->bar = qpci_iomap(d->pci, IGRAD_BAR_REGS, NULL);
}

static void dev_start_machine(Dev *d, const char *machine_args,
                              const char *device_args)
{
    QTestState *qts = qtest_initf("-M q35 -nodefaults %s "
                                  "-device igrad,id=dut,addr=4%s%s",
                                  machine_args, *device_args ? "," : "",
                                  device_args);

    dev_open(d, qts, qpci_new_pc(qts, NULL), QPCI_DEVFN(4, 0), 0);
}

static void dev_start(Dev *d, const char *device_args)
{
    dev_start_machine(d, "", device_args);
}

static void dev_stop(Dev *d)
{
    g_free(d->pci);
    qpci_free_pc(d->bus);
    qtest_quit(d->qts);
}

#define WAIT_SECONDS 20

/* Poll a register until the bits of mask are val. */
static void wait_reg(Dev *d, uint64_t reg, uint32_t mask, uint32_t val)
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

static uint64_t bus_of(Dev *d, uint64_t addr)
{
    return addr + d->dma;
}

static void msix_setup(Dev *d)
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
static bool msi_seen(Dev *d, int vector)
{
    uint32_t data = qtest_readl(d->qts, d->area + MSI + 4 * vector);

    qtest_writel(d->qts, d->area + MSI + 4 * vector, 0);
    g_assert_true(data == 0 || data == 0xc0de + vector);
    return data;
}

/*
 * Memory
 */

static uint64_t page_of(Dev *d, uint64_t va)
{
    return d->area + PAGES + va;
}

/* Map a page to a bus address. */
static void map(Dev *d, uint64_t va, uint64_t target, uint64_t flags)
{
    uint64_t index = va >> IGRAD_PAGE_SHIFT;

    g_assert_cmpuint(index, <, IGRAD_PT_ENTRIES);
    qtest_writeq(d->qts, d->area + LEVEL0 + 8 * index, target | flags);
}

static void build_page_tables(Dev *d)
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

static void ring_enable(Dev *d)
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

static void dev_setup(Dev *d)
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

static struct igrad_cmd *add_cmd(Program *p, uint8_t opcode)
{
    struct igrad_cmd *cmd = &p->cmd[p->num++];

    g_assert_cmpuint(p->num, <=, G_N_ELEMENTS(p->cmd));
    *cmd = (struct igrad_cmd) { .opcode = opcode };
    return cmd;
}

static void add_dma(Program *p, uint8_t opcode, uint64_t va, uint32_t sram,
                    uint32_t rows, uint32_t cols)
{
    struct igrad_cmd *cmd = add_cmd(p, opcode);

    cmd->u.dma.va = cpu_to_le64(va);
    cmd->u.dma.pitch = cpu_to_le32(cols * 4);
    cmd->u.dma.sram = cpu_to_le32(sram);
    cmd->u.dma.sram_pitch = cpu_to_le32(cols * 4);
    cmd->u.dma.rows = cpu_to_le32(rows);
    cmd->u.dma.cols = cpu_to_le32(cols);
}

static void add_nop(Program *p, uint32_t tag)
{
    add_cmd(p, IGRAD_OP_NOP)->tag = cpu_to_le32(tag);
}

static void cmd_signal(Program *p, uint8_t semaphore)
{
    p->cmd[p->num - 1].signal = semaphore;
}

static void cmd_wait(Program *p, int i, uint8_t semaphore, uint32_t value)
{
    p->cmd[p->num - 1].wait_sem[i] = semaphore;
    p->cmd[p->num - 1].wait_value[i] = cpu_to_le32(value);
}

static void add_fprop(Program *p, uint64_t va_y)
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

static void write_floats(Dev *d, uint64_t addr, const float *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &f[i], sizeof(bits));
        qtest_writel(d->qts, addr + 4 * i, bits);
    }
}

static float read_float(Dev *d, uint64_t addr)
{
    uint32_t bits = qtest_readl(d->qts, addr);
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

static float x_of(int b, int r)
{
    return b + 10 * r + 1;
}

static float w_of(int r, int c)
{
    return r - 2 * c + 0.5f;
}

static void write_operands(Dev *d)
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
static void check_product(Dev *d, uint64_t addr)
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
static void put_desc(Dev *d, uint32_t index, struct igrad_desc desc)
{
    qtest_memwrite(d->qts, d->area + RING +
                   (index % RING_SIZE) * sizeof(desc), &desc, sizeof(desc));
}

static struct igrad_desc make_desc(Dev *d, Program *p, uint64_t seqno)
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

static void doorbell(Dev *d, uint32_t tail)
{
    d->tail = tail;
    reg_write(d, IGRAD_REG_RING_TAIL, tail);
}

static void submit(Dev *d, Program *p, uint64_t seqno)
{
    put_desc(d, d->tail, make_desc(d, p, seqno));
    doorbell(d, d->tail + 1);
}

static struct igrad_completion completion(Dev *d, uint32_t index)
{
    struct igrad_completion c;

    qtest_memread(d->qts, d->area + CQ + (index % RING_SIZE) * sizeof(c), &c,
                  sizeof(c));
    return c;
}

static void check_completion(Dev *d, uint32_t index, uint64_t seqno,
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

static void check_ok(Dev *d, uint32_t index, uint64_t seqno, uint32_t commands)
{
    check_completion(d, index, seqno, IGRAD_STATUS_OK, IGRAD_REASON_NONE,
                     commands);
}

/* The device works: run the product and look at everything it leaves. */
static void check_works(Dev *d)
{
    Program p = { 0 };
    uint32_t index = d->tail;

    write_operands(d);
    add_fprop(&p, VA_Y);
    submit(d, &p, 1000 + index);
    check_ok(d, index, 1000 + index, p.num);
    check_product(d, page_of(d, VA_Y));
}

static void reset(Dev *d)
{
    reg_write(d, IGRAD_REG_CTRL, IGRAD_CTRL_RESET);
    wait_reg(d, IGRAD_REG_CTRL, IGRAD_CTRL_RESET, 0);
    d->tail = 0;
}

static void start_hang(Dev *d)
{
    Program p = { 0 };

    add_nop(&p, HANG_TAG);
    submit(d, &p, 666);
    wait_reg(d, IGRAD_REG_RING_STARTED, UINT32_MAX, d->tail);
    g_assert_cmphex(reg_read(d, IGRAD_REG_STATUS), ==,
                    IGRAD_DEV_READY | IGRAD_DEV_BUSY);
}

/*
 * Tests: identity and registers
 */

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

/* Power-on values of every register that can be written or changes. */
static void check_power_on(Dev *d)
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

/*
 * Tests: jobs
 */

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

static void check_stopped(Dev *d, uint32_t started)
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

static void resume(Dev *d)
{
    reg_write(d, IGRAD_REG_CTRL, IGRAD_CTRL_ENABLE | IGRAD_CTRL_RESUME);
}

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
            bad.flags = cpu_to_le32(2);
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

/* One store to va must fail with this reason at this address. */
static void check_fault(Dev *d, uint64_t va, uint16_t reason, uint64_t addr)
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
 * Tests: hangs and resets
 */

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

static void flr(Dev *d)
{
    uint8_t cap = qpci_find_capability(d->pci, PCI_CAP_ID_EXP, 0);
    uint16_t ctl = qpci_config_readw(d->pci, cap + PCI_EXP_DEVCTL);

    qpci_config_writew(d->pci, cap + PCI_EXP_DEVCTL,
                       ctl | PCI_EXP_DEVCTL_BCR_FLR);
    d->tail = 0;
}

/* After FLR the configuration is gone too. */
static void reopen(Dev *d)
{
    qpci_device_enable(d->pci);
    d->bar = qpci_iomap(d->pci, IGRAD_BAR_REGS, NULL);
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
 * Tests: address translation
 */

static void tlb_flush(Dev *d, uint64_t root)
{
    reg_write(d, IGRAD_REG_TLB_ROOT_LO, root);
    reg_write(d, IGRAD_REG_TLB_ROOT_HI, root >> 32);
    reg_write(d, IGRAD_REG_TLB_FLUSH, 1);
    wait_reg(d, IGRAD_REG_TLB_FLUSH, UINT32_MAX, 0);
}

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

/*
 * Tests: the machine around it
 */

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

/*
 * A long job that reads and writes memory all the time, for tests that end it
 * in the middle.
 */
#define STORM_COMMANDS 1024

static void submit_storm(Dev *d, uint64_t seqno)
{
    Program unit = { 0 };
    struct igrad_desc desc;

    add_dma(&unit, IGRAD_OP_DMA_LOAD, VA_STORM, 0, 8, 512);
    add_dma(&unit, IGRAD_OP_DMA_STORE, VA_STORM, 0, 8, 512);
    for (uint64_t va = VA_CMDS; va < VA_CMDS + STORM_COMMANDS * 64;
         va += 128) {
        qtest_memwrite(d->qts, page_of(d, va), unit.cmd, 128);
    }
    desc = (struct igrad_desc) {
        .pt_root = cpu_to_le64(bus_of(d, d->area + ROOT)),
        .cmds = cpu_to_le64(VA_CMDS),
        .num_cmds = cpu_to_le32(STORM_COMMANDS),
        .seqno = cpu_to_le64(seqno),
    };
    put_desc(d, d->tail, desc);
    doorbell(d, d->tail + 1);
}

/* Resets, stops and flushes at all moments of a job's life. */
static void check_storms(Dev *d)
{
    for (int i = 0; i < 60; i++) {
        submit_storm(d, i);
        g_usleep(100 * g_test_rand_int_range(0, 40));
        switch (i % 4) {
        case 0:
            reset(d);
            ring_enable(d);
            break;
        case 1:
            flr(d);
            reopen(d);
            msix_setup(d);
            ring_enable(d);
            break;
        case 2:
            qtest_qmp_assert_success(d->qts, "{'execute': 'stop'}");
            qtest_qmp_assert_success(d->qts, "{'execute': 'cont'}");
            check_ok(d, d->tail - 1, i, STORM_COMMANDS);
            break;
        case 3:
            tlb_flush(d, bus_of(d, d->area + ROOT));
            check_ok(d, d->tail - 1, i, STORM_COMMANDS);
            break;
        }
    }
    build_page_tables(d);
    check_works(d);
}

static void test_storms(void)
{
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    check_storms(&d);
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
 * Tests: behind an IOMMU
 */

#define VTD          0xfed90000ull
#define VTD_GCMD     0x18
#define VTD_GSTS     0x1c
#define VTD_RTADDR   0x20
#define VTD_CCMD     0x28
#define VTD_IOTLB    0xf8
#define VTD_SRTP     (1u << 30)
#define VTD_TE       (1u << 31)
#define VTD_ROOT     0x800000ull
#define VTD_CONTEXT  0x801000ull
#define VTD_LEVEL3   0x802000ull
#define VTD_LEVEL2   0x803000ull
#define IOVA_BASE    0x40000000ull
#define IOVA_BLOCK   0x200000ull
#define IOVA_BLOCKS  16

static void vtd_map(Dev *d, uint64_t block, uint64_t flags)
{
    qtest_writeq(d->qts, VTD_LEVEL2 + 8 * block,
                 flags ? block * IOVA_BLOCK | 0x80 | flags : 0);
}

static void vtd_invalidate(Dev *d)
{
    qtest_writeq(d->qts, VTD + VTD_CCMD, 1ull << 63 | 1ull << 61);
    qtest_writeq(d->qts, VTD + VTD_IOTLB, 1ull << 63 | 1ull << 60);
}

/* Guest-physical memory appears at IOVA_BASE, and nothing at its own place. */
static void vtd_setup(Dev *d)
{
    qtest_writeq(d->qts, VTD_ROOT, VTD_CONTEXT | 1);
    for (int devfn = 0; devfn < 256; devfn++) {
        qtest_writeq(d->qts, VTD_CONTEXT + 16 * devfn, VTD_LEVEL3 | 1);
        qtest_writeq(d->qts, VTD_CONTEXT + 16 * devfn + 8, 1 << 8 | 1);
    }
    qtest_writeq(d->qts, VTD_LEVEL3 + 8, VTD_LEVEL2 | 3);
    for (uint64_t block = 0; block < IOVA_BLOCKS; block++) {
        vtd_map(d, block, 3);
    }
    qtest_writeq(d->qts, VTD + VTD_RTADDR, VTD_ROOT);
    qtest_writel(d->qts, VTD + VTD_GCMD, VTD_SRTP);
    vtd_invalidate(d);
    qtest_writel(d->qts, VTD + VTD_GCMD, VTD_TE);
    g_assert_cmphex(qtest_readl(d->qts, VTD + VTD_GSTS) & VTD_TE, ==, VTD_TE);
    d->dma = IOVA_BASE;
}

static void vtd_start(Dev *d, const char *device_args)
{
    dev_start_machine(d, "-device intel-iommu,aw-bits=39", device_args);
    vtd_setup(d);
}

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

/*
 * Tests: migration
 */

static char *migration_file(void)
{
    g_autofree char *name = NULL;
    int fd = g_file_open_tmp("igrad-XXXXXX", &name, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return g_steal_pointer(&name);
}

/* Migrate to a file; how did it end? */
static bool migrate_out(Dev *d, const char *file)
{
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    gint64 end = g_get_monotonic_time() + WAIT_SECONDS * G_TIME_SPAN_SECOND;

    qtest_qmp_assert_success(d->qts, "{'execute': 'migrate',"
                             " 'arguments': {'uri': %s}}", uri);
    for (;;) {
        QDict *ret = qtest_qmp_assert_success_ref(
            d->qts, "{'execute': 'query-migrate'}");
        g_autofree char *status = g_strdup(qdict_get_try_str(ret, "status"));

        qobject_unref(ret);
        if (!g_strcmp0(status, "completed")) {
            return true;
        }
        if (!g_strcmp0(status, "failed")) {
            return false;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(10000);
    }
}

/* Go on in a new process; the device is opened as it was left. */
static void migrate_in(Dev *d, const char *file, const char *device_args)
{
    g_autofree char *args = g_strdup_printf("-incoming file:%s", file);
    Dev old = *d;

    qtest_quit(d->qts);
    d->qts = qtest_initf("-M q35 -nodefaults %s "
                         "-device igrad,id=dut,addr=4%s%s", args,
                         *device_args ? "," : "", device_args);
    qtest_qmp_eventwait(d->qts, "RESUME");
    d->bus->qts = d->qts;
    g_assert_cmphex(old.bar.addr, ==, d->bar.addr);
}

static void test_migrate(void)
{
    g_autofree char *file = migration_file();
    Program bad = { 0 }, good = { .va = VA_CMDS + 0x1000 };
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    check_works(&d);
    write_operands(&d);
    add_cmd(&bad, 0xff);
    add_fprop(&good, VA_Y);
    put_desc(&d, 1, make_desc(&d, &bad, 61));
    put_desc(&d, 2, make_desc(&d, &good, 62));
    doorbell(&d, 3);
    wait_reg(&d, IGRAD_REG_STATUS, UINT32_MAX, IGRAD_DEV_STOPPED);
    reg_write(&d, IGRAD_REG_TLB_ROOT_LO, 0x1234000);

    g_assert_true(migrate_out(&d, file));
    migrate_in(&d, file, "");

    check_completion(&d, 1, 61, IGRAD_STATUS_MALFORMED, IGRAD_REASON_OPCODE,
                     0);
    check_stopped(&d, 2);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_RING_BASE_LO), ==, d.area + RING);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_CQ_BASE_LO), ==, d.area + CQ);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_RING_SIZE), ==, RING_ORDER);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_RING_TAIL), ==, 3);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_IRQ_ENABLE), ==, IGRAD_IRQ_ALL);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_TLB_ROOT_LO), ==, 0x1234000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RETIRED_LO), ==, 5);
    resume(&d);
    check_ok(&d, 2, 62, good.num);
    check_product(&d, page_of(&d, VA_Y));
    g_assert_true(msi_seen(&d, IGRAD_VECTOR_COMPLETION));
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RETIRED_LO), ==, 10);
    check_works(&d);
    unlink(file);
    dev_stop(&d);
}

/* An outcome that waits for its time travels, and is told over there. */
static void test_migrate_realtime(void)
{
    g_autofree char *file = migration_file();
    const char *args = "realtime=on,clock-hz=1000";
    Program p = { 0 };
    Dev d;

    dev_start(&d, args);
    dev_setup(&d);
    write_operands(&d);
    add_fprop(&p, VA_Y);
    submit(&d, &p, 7);
    g_usleep(50000);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_DONE), ==, 0);
    g_assert_true(migrate_out(&d, file));
    migrate_in(&d, file, args);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==,
                    IGRAD_DEV_READY | IGRAD_DEV_BUSY);
    qtest_clock_step(d.qts, 10 * G_GINT64_CONSTANT(1000000000));
    check_ok(&d, 0, 7, p.num);
    check_product(&d, page_of(&d, VA_Y));
    unlink(file);
    dev_stop(&d);
}

static void test_migrate_busy(void)
{
    g_autofree char *file = migration_file();
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    start_hang(&d);
    g_assert_false(migrate_out(&d, file));
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==,
                    IGRAD_DEV_READY | IGRAD_DEV_BUSY);
    reset(&d);
    ring_enable(&d);
    check_works(&d);
    g_assert_true(migrate_out(&d, file));
    unlink(file);
    dev_stop(&d);
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
    qtest_add_func("igrad/job", test_job);
    qtest_add_func("igrad/job-synchronous", test_job_synchronous);
    qtest_add_func("igrad/full-ring", test_full_ring);
    qtest_add_func("igrad/interrupt-enable", test_interrupt_enable);
    qtest_add_func("igrad/msix-mask", test_msix_mask);
    qtest_add_func("igrad/stop-resume", test_stop_resume);
    qtest_add_func("igrad/bad-descriptor", test_bad_descriptor);
    qtest_add_func("igrad/faults", test_faults);
    qtest_add_func("igrad/no-device-dma", test_no_device_dma);
    qtest_add_func("igrad/report-fault", test_report_fault);
    qtest_add_func("igrad/hang-reset", test_hang_reset);
    qtest_add_func("igrad/flr", test_flr);
    qtest_add_func("igrad/system-reset", test_system_reset);
    qtest_add_func("igrad/disable", test_disable);
    qtest_add_func("igrad/disable-busy", test_disable_busy);
    qtest_add_func("igrad/bad-ring", test_bad_ring);
    qtest_add_func("igrad/bad-tail", test_bad_tail);
    qtest_add_func("igrad/unreachable", test_unreachable);
    qtest_add_func("igrad/tlb-flush", test_tlb_flush);
    qtest_add_func("igrad/tlb-reset", test_tlb_reset);
    qtest_add_func("igrad/tlb-flush-hang", test_tlb_flush_hang);
    qtest_add_func("igrad/block", test_block);
    qtest_add_func("igrad/two-devices", test_two_devices);
    qtest_add_func("igrad/stop-cont", test_stop_cont);
    qtest_add_func("igrad/realtime", test_realtime);
    qtest_add_func("igrad/storms", test_storms);
    qtest_add_func("igrad/iommu", test_iommu);
    qtest_add_func("igrad/iommu-storms", test_iommu_storms);
    qtest_add_func("igrad/unplug-hang", test_unplug_hang);
    qtest_add_func("igrad/unplug-storm", test_unplug_storm);
    qtest_add_func("igrad/quit-hang", test_quit_hang);
    qtest_add_func("igrad/migrate", test_migrate);
    qtest_add_func("igrad/migrate-realtime", test_migrate_realtime);
    qtest_add_func("igrad/migrate-busy", test_migrate_busy);

    return g_test_run();
}
