/* SPDX-License-Identifier: MIT */
/* Page-table walks, reason codes, the TLB and flushes. */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "igrad_mmu.h"
#include "rig.h"

#define BUS_BYTES (8u << 20)
#define ROOT	  0x1000u
#define OTHER                                                                               \
	(ROOT + 0x400000u) /* another root, whose pages may take the same places in the TLB \
			    */
#define LEVEL1 0x3000u
#define LEVEL0 0x4000u
#define PAGE_A 0x10000u
#define PAGE_B 0x11000u
#define BLOCK  0x400000u /* bus address of a 2 MiB block */

#define VA	 0x40201000ull /* index 1 at each level */
#define VA_NEXT	 (VA + IGRAD_PAGE_SIZE)
#define VA_BLOCK 0x40600000ull /* index 1, 3 */

#define RW (IGRAD_PTE_VALID | IGRAD_PTE_WRITE)
#define RO IGRAD_PTE_VALID

static uint8_t bus[BUS_BYTES];
static struct {
	uint64_t bad_begin, bad_end;
	unsigned int reads;
	struct igrad_mmu *mmu; /* flushed in the middle of the next bus access */
	uint64_t ticket;
	bool flushed_within;
} probe;

static int bus_access(uint64_t addr, size_t len)
{
	probe.reads++;
	if (probe.mmu) {
		struct igrad_mmu *mmu = probe.mmu;

		probe.mmu = NULL;
		probe.ticket = igrad_mmu_flush(mmu, ROOT);
		probe.flushed_within = igrad_mmu_flushed(mmu, probe.ticket);
	}
	if (addr < probe.bad_end && addr + len > probe.bad_begin)
		return -1;
	return addr > BUS_BYTES || len > BUS_BYTES - addr ? -1 : 0;
}

static int bus_read(void *opaque, uint64_t addr, void *buf, size_t len)
{
	(void)opaque;
	if (bus_access(addr, len))
		return -1;
	memcpy(buf, bus + addr, len);
	return 0;
}

static int bus_write(void *opaque, uint64_t addr, const void *buf, size_t len)
{
	(void)opaque;
	if (bus_access(addr, len))
		return -1;
	memcpy(bus + addr, buf, len);
	return 0;
}

static void set(uint64_t table, unsigned int index, uint64_t entry)
{
	memcpy(bus + table + index * 8, &entry, 8);
}

static struct igrad_mmu *mmu;
static struct igrad_space space;
static struct igrad_fault fault;

static int setup(void **state)
{
	const struct igrad_bus callbacks = {.read = bus_read, .write = bus_write};

	(void)state;
	memset(bus, 0, sizeof(bus));
	memset(&probe, 0, sizeof(probe));
	memset(&fault, 0, sizeof(fault));
	set(ROOT, 1, LEVEL1 | IGRAD_PTE_VALID);
	set(LEVEL1, 1, LEVEL0 | IGRAD_PTE_VALID);
	set(LEVEL1, 3, BLOCK | RW | IGRAD_PTE_BLOCK);
	set(LEVEL0, 1, PAGE_A | RW);
	set(LEVEL0, 2, PAGE_B | RO);
	mmu = igrad_mmu_new(&callbacks);
	assert_non_null(mmu);
	space = igrad_mmu_space(mmu, ROOT);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	igrad_mmu_free(mmu);
	return 0;
}

static int read_word(uint64_t va, uint32_t *word)
{
	return space.read(space.opaque, va, word, sizeof(*word), &fault);
}

static void faults(uint64_t va, enum igrad_reason reason)
{
	uint32_t word;

	memset(&fault, 0, sizeof(fault));
	assert_int_equal(read_word(va, &word), -1);
	assert_int_equal(fault.reason, reason);
	assert_int_equal(fault.addr, va);
}

static void test_read_and_write(void **state)
{
	uint8_t buf[IGRAD_PAGE_SIZE];

	(void)state;
	memset(bus + PAGE_A, 0xa5, IGRAD_PAGE_SIZE);
	memset(bus + PAGE_B, 0x5a, IGRAD_PAGE_SIZE);
	assert_int_equal(space.read(space.opaque, VA + 0x800, buf, sizeof(buf), &fault), 0);
	assert_int_equal(buf[0x7ff], 0xa5);
	assert_int_equal(buf[0x800], 0x5a);
	memset(buf, 0x33, sizeof(buf));
	assert_int_equal(space.write(space.opaque, VA + 0x10, buf, 0x20, &fault), 0);
	assert_int_equal(bus[PAGE_A + 0x0f], 0xa5);
	assert_int_equal(bus[PAGE_A + 0x10], 0x33);
	assert_int_equal(bus[PAGE_A + 0x2f], 0x33);
	assert_int_equal(bus[PAGE_A + 0x30], 0xa5);
}

static void test_block(void **state)
{
	uint32_t word = 0x12345678, back = 0;

	(void)state;
	assert_int_equal(space.write(space.opaque, VA_BLOCK + 0x1ffffc, &word, 4, &fault), 0);
	memcpy(&back, bus + BLOCK + 0x1ffffc, 4);
	assert_int_equal(back, word);
	probe.reads = 0; /* anywhere in the block the TLB knows */
	assert_int_equal(read_word(VA_BLOCK, &back), 0);
	assert_int_equal(probe.reads, 1);
	faults(VA_BLOCK + IGRAD_BLOCK_SIZE, IGRAD_REASON_NOT_PRESENT);
}

static void test_va_range(void **state)
{
	uint8_t buf[16];

	(void)state;
	faults(0, IGRAD_REASON_VA_RANGE);
	faults(IGRAD_VA_MIN - 4, IGRAD_REASON_VA_RANGE);
	faults(IGRAD_VA_END, IGRAD_REASON_VA_RANGE);
	faults(UINT64_MAX - 3, IGRAD_REASON_VA_RANGE);
	assert_int_equal(space.read(space.opaque, IGRAD_VA_END - 8, buf, 16, &fault), -1);
	assert_int_equal(fault.reason, IGRAD_REASON_VA_RANGE);
	assert_int_equal(fault.addr, IGRAD_VA_END);
}

static void test_not_present(void **state)
{
	(void)state;
	faults(VA + 2 * IGRAD_PAGE_SIZE, IGRAD_REASON_NOT_PRESENT);
	faults(VA + IGRAD_BLOCK_SIZE, IGRAD_REASON_NOT_PRESENT);
	faults(VA + (1ull << 30), IGRAD_REASON_NOT_PRESENT);
	set(LEVEL0, 3, ~IGRAD_PTE_VALID); /* whatever else is set */
	faults(VA + 2 * IGRAD_PAGE_SIZE, IGRAD_REASON_NOT_PRESENT);
	set(LEVEL0, 3, PAGE_B | RO); /* an invalid entry was not remembered */
	assert_int_equal(read_word(VA + 2 * IGRAD_PAGE_SIZE, &(uint32_t){0}), 0);
}

static void test_read_only(void **state)
{
	uint8_t buf[0x1000] = {1};

	(void)state;
	assert_int_equal(space.write(space.opaque, VA_NEXT + 8, buf, 4, &fault), -1);
	assert_int_equal(fault.reason, IGRAD_REASON_READ_ONLY);
	assert_int_equal(fault.addr, VA_NEXT + 8);
	assert_int_equal(space.write(space.opaque, VA + 0x800, buf, 0x1000, &fault), -1);
	assert_int_equal(fault.addr, VA_NEXT);
	assert_int_equal(read_word(VA_NEXT, &(uint32_t){0}), 0);
}

static void bad_entry(uint64_t table, unsigned int index, uint64_t entry, uint64_t va)
{
	uint64_t before;

	memcpy(&before, bus + table + index * 8, 8);
	set(table, index, entry);
	igrad_mmu_flush(mmu, ROOT);
	faults(va, IGRAD_REASON_BAD_PTE);
	set(table, index, before);
}

static void test_bad_pte(void **state)
{
	(void)state;
	for (unsigned int bit = 3; bit < 64; bit++) {
		if (bit >= 12 && bit < 52)
			continue;
		bad_entry(ROOT, 1, LEVEL1 | IGRAD_PTE_VALID | 1ull << bit, VA);
		bad_entry(LEVEL1, 1, LEVEL0 | IGRAD_PTE_VALID | 1ull << bit, VA);
		bad_entry(LEVEL0, 1, PAGE_A | RW | 1ull << bit, VA);
	}
	bad_entry(ROOT, 1, BLOCK | RW | IGRAD_PTE_BLOCK, VA);
	bad_entry(ROOT, 1, LEVEL1 | RW, VA);
	bad_entry(LEVEL1, 1, LEVEL0 | RW, VA);
	bad_entry(LEVEL1, 1, (BLOCK + IGRAD_PAGE_SIZE) | RW | IGRAD_PTE_BLOCK, VA);
	bad_entry(LEVEL0, 1, BLOCK | RW | IGRAD_PTE_BLOCK, VA);
}

static void test_bus(void **state)
{
	static const uint64_t tables[] = {ROOT, LEVEL1, LEVEL0};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		probe.bad_begin = tables[i];
		probe.bad_end = tables[i] + IGRAD_PAGE_SIZE;
		faults(VA, IGRAD_REASON_TABLE_BUS);
	}
	probe.bad_begin = PAGE_B;
	probe.bad_end = PAGE_B + 1;
	faults(VA_NEXT, IGRAD_REASON_BUS);
	set(LEVEL0, 5, IGRAD_PTE_ADDR | RW);
	faults(VA + 4 * IGRAD_PAGE_SIZE, IGRAD_REASON_BUS);
	set(ROOT, 2, IGRAD_PTE_ADDR | IGRAD_PTE_VALID);
	faults(VA + (1ull << 30), IGRAD_REASON_TABLE_BUS);
}

/* The TLB answers for an old translation until it is flushed, and only that root's is flushed. */
static void test_tlb(void **state)
{
	uint32_t word = 1;

	(void)state;
	bus[PAGE_A] = 0xaa;
	bus[PAGE_B] = 0xbb;
	assert_int_equal(read_word(VA, &word), 0);
	assert_int_equal(word, 0xaa);
	probe.reads = 0;
	assert_int_equal(read_word(VA, &word), 0);
	assert_int_equal(probe.reads, 1);

	set(LEVEL0, 1, PAGE_B | RW);
	igrad_mmu_flush(mmu, OTHER);
	assert_int_equal(read_word(VA, &word), 0);
	assert_int_equal(word, 0xaa);
	igrad_mmu_flush(mmu, ROOT);
	assert_int_equal(read_word(VA, &word), 0);
	assert_int_equal(word, 0xbb);

	assert_int_equal(read_word(VA_BLOCK, &word), 0);
	set(LEVEL1, 3, 0);
	assert_int_equal(read_word(VA_BLOCK, &word), 0);
	igrad_mmu_flush(mmu, ROOT);
	faults(VA_BLOCK, IGRAD_REASON_NOT_PRESENT);
}

static void test_roots(void **state)
{
	uint32_t word = 1;

	(void)state;
	bus[PAGE_A] = 0xaa;
	assert_int_equal(read_word(VA, &word), 0);
	space = igrad_mmu_space(mmu, OTHER);
	faults(VA, IGRAD_REASON_NOT_PRESENT);
	space = igrad_mmu_space(mmu, ROOT);
	assert_int_equal(read_word(VA, &word), 0);
	assert_int_equal(word, 0xaa);
}

/* Many pages that fall into the same TLB places all read right. */
static void test_tlb_conflicts(void **state)
{
	uint32_t word;

	(void)state;
	for (unsigned int i = 0; i < IGRAD_PT_ENTRIES; i++)
		set(LEVEL0, i, (PAGE_A + (i % 16) * 0x1000) | RW);
	set(LEVEL1, 2, LEVEL0 | IGRAD_PTE_VALID);
	set(LEVEL1, 4, LEVEL0 | IGRAD_PTE_VALID);
	for (unsigned int i = 0; i < 16; i++)
		bus[PAGE_A + i * 0x1000] = (uint8_t)(i + 1);
	for (unsigned int i = 0; i < 4096; i++) {
		const uint64_t block = (i * 7) % 3;
		const uint64_t va = 0x40000000 + (block == 2 ? 4 : block + 1) * IGRAD_BLOCK_SIZE +
				    (i * 13 % 512) * 0x1000;

		assert_int_equal(read_word(va, &word), 0);
		assert_int_equal(word, (i * 13 % 512) % 16 + 1);
	}
}

/* With no access under way a flush is complete at once. */
static void test_flush_idle(void **state)
{
	uint64_t first, second;

	(void)state;
	first = igrad_mmu_flush(mmu, ROOT);
	second = igrad_mmu_flush(mmu, OTHER);
	assert_true(second > first);
	assert_true(igrad_mmu_flushed(mmu, first));
	assert_true(igrad_mmu_flushed(mmu, second));
}

/* A flush during an access completes when that access has ended. */
static void test_flush_waits_for_access(void **state)
{
	uint32_t word;

	(void)state;
	probe.mmu = mmu;
	assert_int_equal(read_word(VA, &word), 0);
	assert_false(probe.flushed_within);
	assert_true(igrad_mmu_flushed(mmu, probe.ticket));
	probe.mmu = mmu; /* an access that faults ends too */
	probe.bad_begin = ROOT;
	probe.bad_end = ROOT + 0x1000;
	igrad_mmu_flush(mmu, ROOT);
	faults(VA, IGRAD_REASON_TABLE_BUS);
	assert_false(probe.flushed_within);
	assert_true(igrad_mmu_flushed(mmu, probe.ticket));
}

/* What a walk found before a flush does not enter the TLB after it. */
static void test_flush_overtakes_walk(void **state)
{
	uint32_t word;

	(void)state;
	bus[PAGE_A] = 0xaa;
	bus[PAGE_B] = 0xbb;
	probe.mmu = mmu;
	assert_int_equal(read_word(VA, &word), 0);
	assert_int_equal(word, 0xaa);
	set(LEVEL0, 1, PAGE_B | RW); /* no flush after this change: the one before must suffice */
	assert_int_equal(read_word(VA, &word), 0);
	assert_int_equal(word, 0xbb);
}

/* Flushes from another thread, as from a guest's CPU; each completes within one more access. */
static void *flusher(void *opaque)
{
	_Atomic bool *stop = opaque;

	while (!*stop) {
		const uint64_t ticket = igrad_mmu_flush(mmu, ROOT);

		while (!igrad_mmu_flushed(mmu, ticket) && !*stop)
			sched_yield();
	}
	return NULL;
}

static void test_flush_from_another_thread(void **state)
{
	_Atomic bool stop = false;
	pthread_t thread;
	uint32_t word;

	(void)state;
	bus[PAGE_A] = 0xaa;
	assert_int_equal(pthread_create(&thread, NULL, flusher, &stop), 0);
	for (unsigned int i = 0; i < 20000; i++) {
		assert_int_equal(read_word(VA, &word), 0);
		assert_int_equal(word, 0xaa);
		assert_int_equal(read_word(VA_BLOCK + i * 4, &word), 0);
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_true(igrad_mmu_flushed(mmu, igrad_mmu_flush(mmu, ROOT)));
}

/* --------------------------------------------------------------------------------------------- */
/* Rows */
/* --------------------------------------------------------------------------------------------- */

static int move_rows(struct igrad_rows rows, bool write)
{
	memset(&fault, 0, sizeof(fault));
	return space.rows(space.opaque, &rows, write, &fault);
}

/* Rows of 24 bytes, 200 apart, from near the end of page A into page B */
static void test_rows(void **state)
{
	const struct igrad_rows rows = {.va = VA + 0xf00 + 4,
					.pitch = 200,
					.bytes = (uint8_t[4096]){0},
					.stride = 40,
					.len = 24,
					.rows = 9};

	(void)state;
	for (unsigned int i = 0; i < IGRAD_PAGE_SIZE; i++) {
		bus[PAGE_A + i] = (uint8_t)(i * 7);
		bus[PAGE_B + i] = (uint8_t)(i * 11 + 1);
	}
	assert_int_equal(move_rows(rows, false), 0);
	for (unsigned int i = 0; i < 9 * 40; i++) {
		const uint64_t at = 0xf00 + 4 + i / 40 * 200 + i % 40;
		const uint8_t byte = at < IGRAD_PAGE_SIZE ? bus[PAGE_A + at]
							  : bus[PAGE_B + at - IGRAD_PAGE_SIZE];

		assert_int_equal(rows.bytes[i], i % 40 < 24 ? byte : 0);
	}
}

static void test_rows_written(void **state)
{
	uint8_t bytes[64 * 4];
	const struct igrad_rows rows = {
		.va = VA, .pitch = 64, .bytes = bytes, .stride = 4, .len = 4, .rows = 64};

	(void)state;
	memset(bytes, 0x77, sizeof(bytes));
	assert_int_equal(move_rows(rows, true), 0);
	for (unsigned int i = 0; i < IGRAD_PAGE_SIZE; i++)
		assert_int_equal(bus[PAGE_A + i], i % 64 < 4 ? 0x77 : 0);
}

/* The first byte that cannot be reached, whatever else is wrong behind it. */
static void test_rows_fault(void **state)
{
	uint8_t bytes[64 * 512];
	const struct igrad_rows rows = {
		.va = VA, .pitch = 512, .bytes = bytes, .stride = 512, .len = 512, .rows = 20};

	(void)state;
	assert_int_equal(move_rows(rows, false), -1);
	assert_int_equal(fault.reason, IGRAD_REASON_NOT_PRESENT);
	assert_int_equal(fault.addr, VA + 2 * IGRAD_PAGE_SIZE);
	assert_int_equal(move_rows(rows, true), -1);
	assert_int_equal(fault.reason, IGRAD_REASON_READ_ONLY);
	assert_int_equal(fault.addr, VA_NEXT);

	probe.bad_begin = PAGE_A + 5 * 512 + 100;
	probe.bad_end = probe.bad_begin + 1;
	assert_int_equal(move_rows(rows, true), -1);
	assert_int_equal(fault.reason, IGRAD_REASON_BUS);
	assert_int_equal(fault.addr, VA + 5 * 512);
}

/* As if each had gone alone, whatever their size and where they cross pages. */
static void test_rows_random(void **state)
{
	struct rng rng = {seed_of_test("rows")};
	static uint8_t together[IGRAD_DMA_CHUNK], alone[IGRAD_DMA_CHUNK];

	(void)state;
	for (unsigned int i = 0; i < 2 * IGRAD_PAGE_SIZE; i++)
		bus[PAGE_A + i] = (uint8_t)rng_u32(&rng);
	for (unsigned int round = 0; round < count_of_test(2000); round++) {
		struct igrad_rows rows = {
			.va = VA + rng_below(&rng, 2 * IGRAD_PAGE_SIZE),
			.pitch = rng_below(&rng, 3000),
			.bytes = together,
			.len = rng_between(&rng, 1, 512),
			.rows = rng_between(&rng, 1, IGRAD_DMA_ROWS),
		};
		struct igrad_fault expected = {0};
		int result = 0;

		rows.stride = rows.len + rng_below(&rng, 512);
		memset(together, 0, sizeof(together));
		memset(alone, 0, sizeof(alone));
		for (uint32_t i = 0; i < rows.rows && !result; i++)
			result = space.read(space.opaque, rows.va + i * rows.pitch,
					    alone + i * rows.stride, rows.len, &expected);
		assert_int_equal(move_rows(rows, false), result);
		assert_int_equal(fault.reason, expected.reason);
		assert_int_equal(fault.addr, expected.addr);
		assert_memory_equal(together, alone, sizeof(alone));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_read_and_write),
		TEST(test_block),
		TEST(test_va_range),
		TEST(test_not_present),
		TEST(test_read_only),
		TEST(test_bad_pte),
		TEST(test_bus),
		TEST(test_tlb),
		TEST(test_roots),
		TEST(test_tlb_conflicts),
		TEST(test_flush_idle),
		TEST(test_flush_waits_for_access),
		TEST(test_flush_overtakes_walk),
		TEST(test_flush_from_another_thread),
		TEST(test_rows),
		TEST(test_rows_written),
		TEST(test_rows_fault),
		TEST(test_rows_random),
	};

	return run_group("core-mmu", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
