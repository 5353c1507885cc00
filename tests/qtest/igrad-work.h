/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that takes a while and uses all of the device: what it leaves in memory
 * depends on every command before.
 */
#ifndef IGRAD_WORK_H
#define IGRAD_WORK_H

#include "igrad-dev.h"

#define WORK_JOBS   7
#define WORK_ROUNDS 200 /* of a job */
#define WORK_ROUND  9 /* commands */
#define WORK_WINDOW 3 /* ... of which so many are there once WINDOW is done */
#define WORK_SIDE   32
#define WORK_BATCH  128
#define WORK_BYTES  (WORK_BATCH * WORK_SIDE * 4)

#define VA_WORK_X    0x34000
#define VA_WORK_G    0x38000
#define VA_WORK_D    0x40000
#define VA_WORK_CMDS 0x50000
#define VA_WORK_REPORTS 0x22000

#define SRAM_WORK_W 0x4000
#define SRAM_WORK_X 0x10000
#define SRAM_WORK_G 0x18000
#define SRAM_WORK_P 0x20000
#define SRAM_WORK_D 0x28000

/* One after the other, whichever engine they are for. */
typedef struct {
    struct igrad_cmd *cmd;
    uint32_t num;
    uint32_t signals[IGRAD_NUM_ENGINES];
    int before;
} Chain;

static inline struct igrad_cmd *chain(Chain *c, uint8_t opcode,
                                      enum igrad_engine engine)
{
    struct igrad_cmd *cmd = &c->cmd[c->num];

    *cmd = (struct igrad_cmd) { .opcode = opcode, .signal = engine + 1 };
    if (c->num && c->before != engine) {
        cmd->wait_sem[0] = c->before + 1;
        cmd->wait_value[0] = cpu_to_le32(c->signals[c->before]);
    }
    c->signals[engine]++;
    c->before = engine;
    c->num++;
    return cmd;
}

static inline void chain_dma(Chain *c, uint8_t opcode, uint64_t va,
                             uint32_t sram)
{
    struct igrad_cmd *cmd = chain(c, opcode, opcode == IGRAD_OP_DMA_LOAD ?
                                  IGRAD_ENGINE_LOAD : IGRAD_ENGINE_STORE);

    cmd->u.dma.va = cpu_to_le64(va);
    cmd->u.dma.pitch = cpu_to_le32(WORK_SIDE * 4);
    cmd->u.dma.sram = cpu_to_le32(sram);
    cmd->u.dma.sram_pitch = cpu_to_le32(WORK_SIDE * 4);
    cmd->u.dma.rows = cpu_to_le32(WORK_BATCH);
    cmd->u.dma.cols = cpu_to_le32(WORK_SIDE);
}

static inline struct igrad_cmd *chain_array(Chain *c, uint8_t opcode)
{
    struct igrad_cmd *cmd = chain(c, opcode, IGRAD_ENGINE_ARRAY);

    cmd->u.array.rows = cpu_to_le16(WORK_SIDE);
    cmd->u.array.cols = cpu_to_le16(WORK_SIDE);
    if (opcode == IGRAD_OP_LOAD_W || opcode == IGRAD_OP_DRAIN_W) {
        cmd->u.array.p = cpu_to_le32(SRAM_WORK_W);
        cmd->u.array.p_pitch = cpu_to_le32(WORK_SIDE * 4);
    }
    return cmd;
}

/* An image of one shape or the other, as many pixels as rows are streamed */
static inline void chain_window(Chain *c, bool wide)
{
    struct igrad_cmd *cmd = chain(c, IGRAD_OP_WINDOW, IGRAD_ENGINE_ARRAY);
    struct igrad_cmd_window *w = &cmd->u.window;

    w->height = w->out_height = cpu_to_le16(wide ? 4 : 16);
    w->width = w->out_width = cpu_to_le16(WORK_BATCH / (wide ? 4 : 16));
    w->stride_y = w->stride_x = cpu_to_le16(1);
}

static inline void chain_round(Chain *c, bool wide)
{
    const uint32_t pitch = cpu_to_le32(WORK_SIDE * 4);
    struct igrad_cmd *cmd;

    chain_dma(c, IGRAD_OP_DMA_LOAD, VA_WORK_X, SRAM_WORK_X);
    chain_dma(c, IGRAD_OP_DMA_LOAD, VA_WORK_G, SRAM_WORK_G);
    chain_window(c, wide);
    chain_array(c, IGRAD_OP_LOAD_W);
    cmd = chain_array(c, IGRAD_OP_INTERLEAVED);
    cmd->flags = cpu_to_le16(IGRAD_FLAG_KEEP | IGRAD_FLAG_ADD |
                             IGRAD_FLAG_WINDOW);
    cmd->u.array.tap = cpu_to_le32(IGRAD_TAP(-1, -1));
    cmd->u.array.batch = cpu_to_le32(WORK_BATCH);
    cmd->u.array.x = cpu_to_le32(SRAM_WORK_X);
    cmd->u.array.g = cpu_to_le32(SRAM_WORK_G);
    cmd->u.array.p = cpu_to_le32(SRAM_WORK_P);
    cmd->u.array.x_pitch = cmd->u.array.g_pitch = cmd->u.array.p_pitch = pitch;
    cmd = chain_array(c, IGRAD_OP_UPDATE);
    cmd->u.array.lr = cpu_to_le32(0x31800000); /* 2^-28 */
    chain_array(c, IGRAD_OP_DRAIN_W);
    cmd = chain(c, IGRAD_OP_VEC_AXPY, IGRAD_ENGINE_VECTOR);
    cmd->u.vec.rows = cpu_to_le32(WORK_BATCH);
    cmd->u.vec.cols = cpu_to_le32(WORK_SIDE);
    cmd->u.vec.a = cpu_to_le32(SRAM_WORK_P);
    cmd->u.vec.b = cpu_to_le32(SRAM_WORK_D);
    cmd->u.vec.d = cpu_to_le32(SRAM_WORK_D);
    cmd->u.vec.a_pitch = cmd->u.vec.b_pitch = cmd->u.vec.d_pitch = pitch;
    cmd->u.vec.imm = cpu_to_le32(0x3f000000); /* 0.5 */
    chain_dma(c, IGRAD_OP_DMA_STORE, VA_WORK_D, SRAM_WORK_D);
}

/* A ring full of jobs, each a command shorter than the one before */
static inline void work_submit(Dev *d)
{
    g_autofree struct igrad_cmd *cmds = g_new0(struct igrad_cmd,
                                               WORK_ROUND * WORK_ROUNDS);
    Chain c = { .cmd = cmds };
    g_autofree float *x = g_new(float, 2 * WORK_BYTES / 4);

    for (int i = 0; i < WORK_ROUNDS; i++) {
        chain_round(&c, i % 2);
    }
    g_assert_cmpuint(c.num, ==, WORK_ROUND * WORK_ROUNDS);
    qtest_memwrite(d->qts, page_of(d, VA_WORK_CMDS), cmds, c.num * 64);
    for (int i = 0; i < 2 * WORK_BYTES / 4; i++) {
        x[i] = (i * 37 % 101) / 64.0f - 0.75f;
    }
    qtest_memwrite(d->qts, page_of(d, VA_WORK_X), x, 2 * WORK_BYTES);
    qtest_memset(d->qts, page_of(d, VA_WORK_REPORTS), 0xff, WORK_JOBS * 512);
    for (int i = 0; i < WORK_JOBS; i++) {
        struct igrad_desc desc = {
            .pt_root = cpu_to_le64(bus_of(d, d->area + ROOT)),
            .cmds = cpu_to_le64(VA_WORK_CMDS),
            .num_cmds = cpu_to_le32(c.num - i),
            .seqno = cpu_to_le64(700 + i),
            .report = cpu_to_le64(VA_WORK_REPORTS + 512 * i),
        };

        put_desc(d, i, desc);
    }
    doorbell(d, WORK_JOBS);
}

/* All that jobs can have written, and the completions behind it */
#define WORK_RESULT (MAPPED + IGRAD_PAGE_SIZE)

static inline void work_result(Dev *d, uint8_t *result)
{
    check_ok(d, WORK_JOBS - 1, 700 + WORK_JOBS - 1,
             WORK_ROUND * WORK_ROUNDS - (WORK_JOBS - 1));
    qtest_memread(d->qts, page_of(d, 0), result, MAPPED);
    qtest_memread(d->qts, d->area + CQ, result + MAPPED, IGRAD_PAGE_SIZE);
}

/* What is left by a run that nobody disturbs */
static inline uint8_t *work_undisturbed(const char *device_args)
{
    uint8_t *result = g_malloc(WORK_RESULT);
    struct igrad_report *report = (void *)(result + VA_WORK_REPORTS);
    uint32_t word;
    Dev d;

    dev_start(&d, device_args);
    dev_setup(&d);
    work_submit(&d);
    work_result(&d, result);
    g_assert_cmpuint(le64_to_cpu(report->cycles), >, 0);
    memcpy(&word, result + VA_WORK_D + 64, 4);
    g_assert_cmphex(word & 0x7fffffff, <, 0x7f800000); /* finite, and not */
    g_assert_cmphex(word & 0x7fffffff, !=, 0);
    dev_stop(&d);
    return result;
}

static inline void work_check(Dev *d, const uint8_t *expected)
{
    g_autofree uint8_t *result = g_malloc(WORK_RESULT);

    work_result(d, result);
    for (int i = 0; i < WORK_RESULT; i++) {
        if (result[i] != expected[i]) {
            g_error("byte 0x%x is 0x%02x, 0x%02x when undisturbed", i,
                    result[i], expected[i]);
        }
    }
}

#endif /* IGRAD_WORK_H */
