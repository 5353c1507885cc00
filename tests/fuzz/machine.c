/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

void take(struct bytes *bytes, void *into, size_t len)
{
	const size_t n = len < bytes->left ? len : bytes->left;

	memset(into, 0, len);
	memcpy(into, bytes->at, n);
	bytes->at += n;
	bytes->left -= n;
}

uint32_t take_u32(struct bytes *bytes)
{
	uint32_t value;

	take(bytes, &value, sizeof(value));
	return value;
}

static int bus_read(void *opaque, uint64_t addr, void *buf, size_t len)
{
	const struct machine *machine = opaque;

	if (addr > BUS_BYTES || len > BUS_BYTES - addr)
		return -1;
	memcpy(buf, machine->bus + addr, len);
	return 0;
}

static int bus_write(void *opaque, uint64_t addr, const void *buf, size_t len)
{
	struct machine *machine = opaque;

	if (addr > BUS_BYTES || len > BUS_BYTES - addr)
		return -1;
	memcpy(machine->bus + addr, buf, len);
	return 0;
}

static void put(struct machine *machine, uint32_t at, uint64_t entry)
{
	memcpy(machine->bus + at, &entry, sizeof(entry));
}

void machine_tables(struct machine *machine)
{
	memset(machine->bus, 0, VA_REPORT);
	put(machine, BUS_ROOT, BUS_LEVEL1 | IGRAD_PTE_VALID);
	put(machine, BUS_LEVEL1, BUS_LEVEL0 | IGRAD_PTE_VALID);
	for (uint32_t va = IGRAD_PAGE_SIZE; va < BUS_BYTES; va += IGRAD_PAGE_SIZE)
		put(machine, BUS_LEVEL0 + va / IGRAD_PAGE_SIZE * 8,
		    va | IGRAD_PTE_VALID | IGRAD_PTE_WRITE);
}

static struct machine *new_machine(unsigned int which)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	const struct igrad_bus bus = {.read = bus_read, .write = bus_write, .opaque = machine};
	struct igrad_config config;

	check(machine);
	igrad_config_default(&config);
	config.rows = which & 1 ? 5 : 8;
	config.cols = which & 1 ? 9 : 4;
	config.overlap = !(which & 2);
	config.sram_bytes = 16 << 10;
	machine->core = igrad_core_new(&config);
	machine->mmu = igrad_mmu_new(&bus);
	check(machine->core && machine->mmu);
	return machine;
}

struct machine *machine_of(unsigned int which)
{
	static struct machine *machines[8];

	which %= 8;
	if (!machines[which])
		machines[which] = new_machine(which);
	return machines[which];
}
