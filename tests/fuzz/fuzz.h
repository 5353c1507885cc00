/* SPDX-License-Identifier: MIT */
/* What the fuzzers of the core share: a small machine of memory, tables and a core. */
#ifndef IGRAD_FUZZ_H
#define IGRAD_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "igrad_core.h"
#include "igrad_mmu.h"

#define BUS_BYTES (256u << 10)

/* Bus addresses; VAs map one to one from VA_FIRST on, as far as tables are not changed. */
#define BUS_ROOT   0x0000u
#define BUS_LEVEL1 0x1000u
#define BUS_LEVEL0 0x2000u
#define VA_REPORT  0x3000u
#define VA_CMDS	   0x4000u
#define VA_DATA	   0x10000u

struct machine {
	uint8_t bus[BUS_BYTES];
	struct igrad_mmu *mmu;
	struct igrad_core *core;
};

/* What is left of the fuzzer's bytes; beyond their end there are zeros. */
struct bytes {
	const uint8_t *at;
	size_t left;
};

void take(struct bytes *bytes, void *into, size_t len);
uint32_t take_u32(struct bytes *bytes);

/** machine_of - one of a few machines, memory as after the last job */
struct machine *machine_of(unsigned int which);
void machine_tables(struct machine *machine);

/** check - what must always be true; a violation is a crash, which a fuzzer reports */
#define check(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#endif /* IGRAD_FUZZ_H */
