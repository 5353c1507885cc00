/* SPDX-License-Identifier: MIT */
/* Checkpoints from somebody who means no good: refused, or a job that ends. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int load(void *opaque, void *into, size_t len)
{
	struct bytes *bytes = opaque;

	if (len > bytes->left)
		return -1;
	take(bytes, into, len);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	struct machine *machine = machine_of(0);
	const struct igrad_space space = igrad_mmu_space(machine->mmu, BUS_ROOT);
	struct igrad_result result;
	unsigned int steps = 0;

	machine_tables(machine);
	igrad_mmu_flush(machine->mmu, IGRAD_MMU_EVERY_ROOT);
	if (igrad_core_restore(machine->core, load, &bytes, &space)) {
		check(!igrad_core_step(machine->core));
		return 0;
	}
	while (igrad_core_step(machine->core) && steps++ < 1000)
		;
	check(igrad_core_finish(machine->core, &result));
	return 0;
}
