/* SPDX-License-Identifier: MIT */
/* The tables of lib/energy/, as text: the build turns each file into a string. */
#include <string.h>

#include "energy.h"

static const struct {
	const char *name;
	const char *text;
} tables[] = {
	/* The first is the default. */
	{
		"horowitz-45nm",
#include "horowitz-45nm.inc"
	},
	{
		"eyeriss-relative",
#include "eyeriss-relative.inc"
	},
};

#define NUM_TABLES (sizeof(tables) / sizeof(tables[0]))

const char *igrad_energy_builtin(size_t index)
{
	return index < NUM_TABLES ? tables[index].name : NULL;
}

const char *energy_builtin_text(const char *name)
{
	for (size_t i = 0; i < NUM_TABLES; i++)
		if (!strcmp(name, tables[i].name))
			return tables[i].text;
	return NULL;
}
