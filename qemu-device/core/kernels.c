/* SPDX-License-Identifier: MIT */
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

static unsigned int add(const struct igrad_kernels **list, unsigned int count,
			const struct igrad_kernels *kernels, bool runs)
{
	if (runs)
		list[count++] = kernels;
	return count;
}

static unsigned int available(const struct igrad_kernels **list)
{
	unsigned int count = 0;

#if defined(__x86_64__)
	__builtin_cpu_init();
	count = add(list, count, &igrad_kernels_avx512,
		    __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma"));
	count = add(list, count, &igrad_kernels_avx2,
		    __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
#endif
	return add(list, count, &igrad_kernels_portable, true);
}

const struct igrad_kernels *igrad_kernels_get(unsigned int index)
{
	const struct igrad_kernels *list[4];
	const unsigned int count = available(list);
	const char *wanted = getenv("IGRAD_ISA");
	unsigned int first = 0;

	for (unsigned int i = 0; wanted && i < count; i++) {
		if (!strcmp(list[i]->name, wanted))
			first = i;
	}
	return index < count - first ? list[first + index] : NULL;
}
