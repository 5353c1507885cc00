// SPDX-License-Identifier: MIT
/* igrad-sim energy: the tables there are, and what is in one. */
#include <stdio.h>

#include "json.h"
#include "text.h"

static int show(const char *name, const struct settings *s, struct igrad_error *error)
{
	struct igrad_device_info info = {.sram_bytes = s->machine.sram_kib << 10};
	struct igrad_energy_table *table;
	int err = igrad_energy_table_load(name, &table, error);

	if (err)
		return err;
	if (s->json)
		err = json_print(json_table(table, &info, NULL));
	else
		text_table(table, &info);
	igrad_energy_table_unref(table);
	return err;
}

int command_energy(const struct settings *s, struct igrad_error *error)
{
	const char *name;
	int err = 0;

	for (int i = 0; i < s->num_files && !err; i++)
		err = show(s->files[i], s, error);
	for (size_t i = 0; !s->num_files && !err && (name = igrad_energy_builtin(i)); i++)
		err = show(name, s, error);
	return err;
}
