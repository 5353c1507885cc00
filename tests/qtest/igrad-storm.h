/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A job that keeps the bus busy, and ends of every kind at any moment. */
#ifndef IGRAD_STORM_H
#define IGRAD_STORM_H

#include "igrad-dev.h"

/*
 * A long job that reads and writes memory all the time, for tests that end it
 * in the middle.
 */
#define STORM_COMMANDS 1024

static inline void submit_storm(Dev *d, uint64_t seqno)
{
    Program unit = { 0 };
    struct igrad_desc desc;

    add_dma(&unit, IGRAD_OP_DMA_LOAD, VA_STORM, 0, 8, 512);
    cmd_signal(&unit, 1);
    add_dma(&unit, IGRAD_OP_DMA_STORE, VA_STORM, 0, 8, 512);
    cmd_signal(&unit, 2);
    for (uint32_t i = 0; i < STORM_COMMANDS / 2; i++) {
        unit.cmd[0].wait_sem[0] = i ? 2 : 0;
        unit.cmd[0].wait_value[0] = cpu_to_le32(i);
        cmd_wait(&unit, 0, 1, i + 1);
        qtest_memwrite(d->qts, page_of(d, VA_CMDS + i * 128), unit.cmd, 128);
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
static inline void check_storms(Dev *d)
{
    for (int i = 0; i < 60; i++) {
        submit_storm(d, i);
        g_usleep(100 * g_test_rand_int_range(0, 40));
        switch (i % 4) {
        case 0:
            reset(d);
            check_power_on(d);
            ring_enable(d);
            break;
        case 1:
            flr(d);
            reopen(d);
            check_power_on(d);
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

#endif /* IGRAD_STORM_H */
