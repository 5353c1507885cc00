/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migration and snapshots: of a device at rest, and of one that has jobs
 * running and queued. What a job leaves is the same, wherever it ran.
 */

#include "qemu/osdep.h"
#include "igrad-vtd.h"
#include "igrad-work.h"

/*
 * A file without a name, so that nothing of it is left even by a test that
 * aborts: QEMU opens it by way of the descriptor.
 */
static char *migration_file(int *fd)
{
    g_autofree char *name = NULL;

    *fd = g_file_open_tmp("igrad-XXXXXX", &name, NULL);
    g_assert_cmpint(*fd, >=, 0);
    unlink(name);
    return g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), *fd);
}

/* Migrate to a file, or to what a command reads; how did it end? */
static bool migrate_out(Dev *d, const char *to)
{
    g_autofree char *uri = g_str_has_prefix(to, "exec:") ?
        g_strdup(to) : g_strdup_printf("file:%s", to);
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

static char *run_state(Dev *d)
{
    QDict *ret = qtest_qmp_assert_success_ref(d->qts,
                                              "{'execute': 'query-status'}");
    char *state = g_strdup(qdict_get_str(ret, "status"));

    qobject_unref(ret);
    return state;
}

/* Begin to load into a new process. */
static void incoming(Dev *d, const char *file, const char *machine_args,
                     const char *device_args)
{
    g_autofree char *uri = g_strdup_printf("file:%s", file);

    qtest_quit(d->qts);
    d->qts = qtest_initf("-M q35 -nodefaults %s -incoming defer "
                         "-device igrad,id=dut,addr=4%s%s",
                         machine_args, *device_args ? "," : "", device_args);
    d->bus->qts = d->qts;
    qtest_qmp_assert_success(d->qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': {'uri': %s}}", uri);
}

/* Go on there; the device is opened as it was left. */
static void migrate_in_machine(Dev *d, const char *file,
                               const char *machine_args,
                               const char *device_args)
{
    gint64 end = g_get_monotonic_time() + WAIT_SECONDS * G_TIME_SPAN_SECOND;
    g_autofree char *state = NULL;

    incoming(d, file, machine_args, device_args);
    do {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(5000);
        g_free(state);
        state = run_state(d);
    } while (!strcmp(state, "inmigrate"));
    if (strcmp(state, "running")) {
        qtest_qmp_assert_success(d->qts, "{'execute': 'cont'}");
    }
}

static void migrate_in(Dev *d, const char *file, const char *device_args)
{
    migrate_in_machine(d, file, "", device_args);
}

static void test_migrate(void)
{
    int fd;
    g_autofree char *file = migration_file(&fd);
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
    close(fd);
    dev_stop(&d);
}

/* An outcome that waits for its time travels, and is told over there. */
static void test_migrate_realtime(void)
{
    int fd;
    g_autofree char *file = migration_file(&fd);
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
    close(fd);
    dev_stop(&d);
}

/*
 * Work in flight
 */

/* Where the machine is stopped is anywhere in the work, or near its ends. */
static void stop_at_random(Dev *d)
{
    g_usleep(g_test_rand_int_range(0, 8000));
    qtest_qmp_assert_success(d->qts, "{'execute': 'stop'}");
}

static void check_in_flight(bool overlap)
{
    const char *args = overlap ? "" : "overlap=off";
    g_autofree uint8_t *expected = work_undisturbed(args);
    unsigned int running = 0;

    for (int i = 0; i < 6; i++) {
        int fd;
        g_autofree char *file = migration_file(&fd);
        Dev d;

        dev_start(&d, args);
        dev_setup(&d);
        work_submit(&d);
        for (int hop = 0; hop < 3; hop++) {
            stop_at_random(&d);
            running += reg_read(&d, IGRAD_REG_STATUS) & IGRAD_DEV_BUSY ? 1 : 0;
            g_assert_true(migrate_out(&d, file));
            migrate_in(&d, file, args);
        }
        work_check(&d, expected);
        check_works(&d);
        close(fd);
        dev_stop(&d);
    }
    g_test_message("%u of 18 migrations had a job in flight", running);
    g_assert_cmpuint(running, >=, 3);
}

static void test_in_flight(void)
{
    check_in_flight(true);
}

static void test_in_flight_plain(void)
{
    check_in_flight(false);
}

/* Not stopped before: the machine runs while its memory is copied. */
static void test_in_flight_live(void)
{
    g_autofree uint8_t *expected = work_undisturbed("");
    int fd;
    g_autofree char *file = migration_file(&fd);
    Dev d;

    for (int i = 0; i < 4; i++) {
        dev_start(&d, "");
        dev_setup(&d);
        work_submit(&d);
        g_assert_true(migrate_out(&d, file));
        migrate_in(&d, file, "");
        work_check(&d, expected);
        dev_stop(&d);
    }
    close(fd);
}

/* Every access asks an IOMMU, here and there. */
static void test_in_flight_iommu(void)
{
    g_autofree uint8_t *expected = work_undisturbed("");
    int fd;
    g_autofree char *file = migration_file(&fd);
    Dev d;

    vtd_start(&d, "");
    dev_setup(&d);
    work_submit(&d);
    for (int hop = 0; hop < 3; hop++) {
        stop_at_random(&d);
        g_assert_true(migrate_out(&d, file));
        migrate_in_machine(&d, file, VTD_MACHINE, "");
    }
    work_check(&d, expected);
    close(fd);
    dev_stop(&d);
}

/* To somebody who does not listen: the source goes on as if nothing was. */
static void test_failed(void)
{
    g_autofree uint8_t *expected = work_undisturbed("");
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    work_submit(&d);
    for (int i = 0; i < 3; i++) {
        stop_at_random(&d);
        g_assert_false(migrate_out(&d, "exec:head -c 1000 >/dev/null"));
        qtest_qmp_assert_success(d.qts, "{'execute': 'cont'}");
    }
    work_check(&d, expected);
    dev_stop(&d);
}

/* A job that never ends is saved as any other, and can be given up there. */
static void test_hanging(void)
{
    int fd;
    g_autofree char *file = migration_file(&fd);
    Dev d;

    dev_start(&d, HANG);
    dev_setup(&d);
    start_hang(&d);
    g_assert_true(migrate_out(&d, file));
    migrate_in(&d, file, HANG);
    g_assert_cmphex(reg_read(&d, IGRAD_REG_STATUS), ==,
                    IGRAD_DEV_READY | IGRAD_DEV_BUSY);
    g_assert_cmpuint(reg_read(&d, IGRAD_REG_RING_STARTED), ==, 1);
    reset(&d);
    ring_enable(&d);
    check_works(&d);

    /* Elsewhere nothing hangs: the job ends. */
    start_hang(&d);
    g_assert_true(migrate_out(&d, file));
    migrate_in(&d, file, "");
    check_ok(&d, d.tail - 1, 666, 1);
    close(fd);
    dev_stop(&d);
}

/* Stopped before the n-th command of its work from now on */
static void stop_before(Dev *d, uint32_t n)
{
    qom_set_number(d, "x-inject-hang", n);
    work_submit(d);
    wait_reg(d, IGRAD_REG_RETIRED_LO, UINT32_MAX, n - 1);
    qtest_qmp_assert_success(d->qts, "{'execute': 'stop'}");
}

/*
 * Between the command that sets how streams walk over images and those that
 * do, and before one that sets it anew.
 */
static void test_window(void)
{
    g_autofree uint8_t *expected = work_undisturbed("");
    int fd;
    g_autofree char *file = migration_file(&fd);
    Dev d;

    for (int i = 0; i < 4; i++) {
        dev_start(&d, "");
        dev_setup(&d);
        stop_before(&d, (20 + i % 2) * WORK_ROUND + WORK_WINDOW + i / 2);
        g_assert_true(migrate_out(&d, file));
        migrate_in(&d, file, "");
        work_check(&d, expected);
        dev_stop(&d);
    }
    close(fd);
}

static void set_power_state(Dev *d, uint16_t state)
{
    uint8_t cap = qpci_find_capability(d->pci, PCI_CAP_ID_PM, 0);

    qpci_config_writew(d->pci, cap + PCI_PM_CTRL, state);
}

static void test_asleep(void)
{
    g_autofree uint8_t *expected = work_undisturbed("");
    int fd;
    g_autofree char *file = migration_file(&fd);
    Dev d;

    dev_start(&d, "");
    dev_setup(&d);
    work_submit(&d);
    g_usleep(10000);
    set_power_state(&d, 3);
    g_assert_true(migrate_out(&d, file));
    migrate_in(&d, file, "");
    g_usleep(20000);
    set_power_state(&d, 0);
    work_check(&d, expected);
    close(fd);
    dev_stop(&d);
}

/*
 * Snapshots
 */

static void wait_job(Dev *d, const char *id)
{
    gint64 end = g_get_monotonic_time() + WAIT_SECONDS * G_TIME_SPAN_SECOND;
    bool concluded = false;

    while (!concluded) {
        QDict *answer = qtest_qmp(d->qts, "{'execute': 'query-jobs'}");
        QListEntry *entry;

        QLIST_FOREACH_ENTRY(qdict_get_qlist(answer, "return"), entry) {
            QDict *job = qobject_to(QDict, qlist_entry_obj(entry));

            if (!strcmp(qdict_get_str(job, "id"), id) &&
                !strcmp(qdict_get_str(job, "status"), "concluded")) {
                g_assert_cmpstr(qdict_get_try_str(job, "error"), ==, NULL);
                concluded = true;
            }
        }
        qobject_unref(answer);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(2000);
    }
    qtest_qmp_assert_success(d->qts, "{'execute': 'job-dismiss',"
                             " 'arguments': {'id': %s}}", id);
}

static void add_disk(Dev *d, const char *file)
{
    qtest_qmp_assert_success(d->qts, "{'execute': 'blockdev-add',"
                             " 'arguments': {'driver': 'file',"
                             " 'node-name': 'file', 'filename': %s}}", file);
    qtest_qmp_assert_success(d->qts, "{'execute': 'blockdev-create',"
                             " 'arguments': {'job-id': 'create',"
                             " 'options': {'driver': 'qcow2',"
                             " 'file': 'file', 'size': 1048576}}}");
    wait_job(d, "create");
    qtest_qmp_assert_success(d->qts, "{'execute': 'blockdev-add',"
                             " 'arguments': {'driver': 'qcow2',"
                             " 'node-name': 'disk', 'file': 'file'}}");
}

static void snapshot(Dev *d, const char *what)
{
    qtest_qmp_assert_success(d->qts, "{'execute': %s, 'arguments': {"
                             " 'job-id': 'snapshot', 'tag': 'work',"
                             " 'vmstate': 'disk', 'devices': ['disk']}}",
                             what);
    wait_job(d, "snapshot");
}

/* The run goes on after the snapshot, and once more from there. */
static void test_snapshot(void)
{
    g_autofree uint8_t *expected = work_undisturbed("");
    int fd;
    g_autofree char *file = migration_file(&fd);
    Dev d;

    dev_start(&d, "");
    add_disk(&d, file);
    dev_setup(&d);
    work_submit(&d);
    g_usleep(g_test_rand_int_range(0, 40000));
    snapshot(&d, "snapshot-save");
    work_check(&d, expected);
    for (int i = 0; i < 3; i++) {
        snapshot(&d, "snapshot-load");
        qtest_qmp_assert_success(d.qts, "{'execute': 'cont'}");
        if (i == 1) { /* loaded again while it runs */
            g_usleep(5000);
            continue;
        }
        work_check(&d, expected);
    }
    check_works(&d);
    close(fd);
    dev_stop(&d);
}

/*
 * A stream that has been tampered with
 */

/* Where something lies in a stream. */
static off_t find(int fd, const void *what, size_t len)
{
    off_t size = lseek(fd, 0, SEEK_END);
    g_autofree uint8_t *bytes = g_malloc(size);
    uint8_t *at;

    g_assert_cmpint(pread(fd, bytes, size, 0), ==, size);
    at = memmem(bytes, size, what, len);
    g_assert_nonnull(at);
    return at - bytes;
}

/* Where the core's checkpoint begins: its version, and rows and columns. */
static off_t find_checkpoint(int fd)
{
    static const uint32_t begin[] = { 2, 32, 32, 1, 4 << 20 };

    return find(fd, begin, sizeof(begin));
}

#define CHECKPOINT_NUMBERS 300

/* Does this stream load? The process stays, whether or not. */
static bool loads(Dev *d, const char *file)
{
    gint64 end = g_get_monotonic_time() + WAIT_SECONDS * G_TIME_SPAN_SECOND;
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *status = NULL;

    qtest_quit(d->qts);
    d->qts = qtest_init("-M q35 -nodefaults -incoming defer "
                        "-device igrad,id=dut,addr=4");
    d->bus->qts = d->qts;
    qtest_qmp_assert_success(d->qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': {'uri': %s,"
                             " 'exit-on-error': false}}", uri);
    do {
        QDict *ret = qtest_qmp_assert_success_ref(
            d->qts, "{'execute': 'query-migrate'}");

        g_free(status);
        status = g_strdup(qdict_get_try_str(ret, "status"));
        qobject_unref(ret);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(2000);
    } while (g_strcmp0(status, "completed") && g_strcmp0(status, "failed"));
    return !strcmp(status, "completed");
}

static bool loads_with(Dev *d, int fd, const char *file, off_t at,
                       const void *bytes, size_t len)
{
    uint8_t old[8];
    bool loaded;

    g_assert_cmpint(pread(fd, old, len, at), ==, len);
    g_assert_cmpint(pwrite(fd, bytes, len, at), ==, len);
    loaded = loads(d, file);
    g_assert_cmpint(pwrite(fd, old, len, at), ==, len);
    return loaded;
}

/* Saved in the middle of a job, with others behind it */
static void save_at_work(Dev *d, const char *file)
{
    dev_start(d, "");
    dev_setup(d);
    stop_before(d, 300);
    g_assert_true(migrate_out(d, file));
}

static void test_tampered(void)
{
    static const uint32_t bad[] = { UINT32_MAX, 0x80000000, 0x7fffffff, 0, 2 };
    int fd, refused = 0;
    g_autofree char *file = migration_file(&fd);
    off_t begin;
    Dev d;

    save_at_work(&d, file);
    begin = find_checkpoint(fd);
    for (int i = 0; i < 24; i++) {
        uint32_t word = bad[i % G_N_ELEMENTS(bad)];
        /* The number of the next command, then anything */
        off_t at = begin + (i ? g_test_rand_int_range(0, CHECKPOINT_NUMBERS)
                            : 8 * 4 + 64 + 4);

        if (loads_with(&d, fd, file, at, &word, sizeof(word))) {
            /* Then the job ends somehow. */
            g_assert_cmpint(i, >, 0);
            qtest_qmp_assert_success(d.qts, "{'execute': 'cont'}");
            g_usleep(50000);
        } else {
            refused++;
        }
        g_assert_true(qtest_probe_child(d.qts));
    }
    g_test_message("%d of 24 refused", refused);
    g_assert_cmpint(refused, >=, 1);
    close(fd);
    dev_stop(&d);
}

/*
 * Registers and indices, as they lie before and behind the ring's address; the
 * stream is big-endian.
 */
typedef struct {
    const char *what;
    int at;
    int bytes;
    uint64_t value;
} Tampering;

static const Tampering tamperings[] = {
    { "overlap", -12, 1, 0 },
    { "enabled", -11, 1, 0 },
    { "stopped", -10, 1, 1 },
    { "fatal", -9, 1, 1 },
    { "irq_status", -8, 4, 8 },
    { "irq_enable", -4, 4, 1u << 31 },
    { "ring_base", 0, 8, 0x1000001 },
    { "cq_base", 8, 8, 0x1001010 },
    { "ring_order", 16, 4, 0 },
    { "ring_order", 16, 4, 7 },
    { "ring_order", 16, 4, UINT32_MAX },
    { "tail", 40, 4, 9 },
    { "tail", 40, 4, 0 },
    { "tail", 40, 4, 3 },
    { "started", 44, 4, 0 },
    { "started", 44, 4, 2 },
    { "done", 48, 4, 1 },
    { "done", 48, 4, UINT32_MAX },
    { "held", 52, 1, 1 },
    { "status", 61, 4, 0x10000 },
    { "reason", 65, 4, UINT32_MAX },
};

static bool loads_tampered(Dev *d, int fd, const char *file, off_t at,
                           int bytes, uint64_t value)
{
    uint64_t word = cpu_to_be64(value << (64 - 8 * bytes));

    return loads_with(d, fd, file, at, &word, bytes);
}

static void test_tampered_registers(void)
{
    static const char queue[] = "igrad/queue";
    uint8_t ring[20];
    int fd;
    g_autofree char *file = migration_file(&fd);
    off_t at;
    Dev d;

    save_at_work(&d, file);
    stq_be_p(ring, d.area + RING);
    stq_be_p(ring + 8, d.area + CQ);
    stl_be_p(ring + 16, RING_ORDER);
    at = find(fd, ring, sizeof(ring));
    for (int i = 0; i < G_N_ELEMENTS(tamperings); i++) {
        const Tampering *t = &tamperings[i];

        g_test_message("%s: 0x%" PRIx64, t->what, t->value);
        g_assert_false(loads_tampered(&d, fd, file, at + t->at, t->bytes,
                                      t->value));
    }
    /* The number of queued entries, behind the subsection's version */
    at = find(fd, queue, strlen(queue)) + strlen(queue) + 4;
    g_assert_false(loads_tampered(&d, fd, file, at, 4,
                                  IGRAD_RING_PREFETCH + 1));
    g_assert_false(loads_tampered(&d, fd, file, at, 4, UINT32_MAX));
    g_assert_true(loads(&d, file));
    close(fd);
    dev_stop(&d);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("igrad/migrate/rest", test_migrate);
    qtest_add_func("igrad/migrate/realtime", test_migrate_realtime);
    qtest_add_func("igrad/migrate/in-flight", test_in_flight);
    qtest_add_func("igrad/migrate/in-flight-plain", test_in_flight_plain);
    qtest_add_func("igrad/migrate/in-flight-live", test_in_flight_live);
    qtest_add_func("igrad/migrate/in-flight-iommu", test_in_flight_iommu);
    qtest_add_func("igrad/migrate/failed", test_failed);
    qtest_add_func("igrad/migrate/hanging", test_hanging);
    qtest_add_func("igrad/migrate/window", test_window);
    qtest_add_func("igrad/migrate/asleep", test_asleep);
    qtest_add_func("igrad/migrate/snapshot", test_snapshot);
    qtest_add_func("igrad/migrate/tampered", test_tampered);
    qtest_add_func("igrad/migrate/tampered-registers",
                   test_tampered_registers);

    return g_test_run();
}
