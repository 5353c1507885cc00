// SPDX-License-Identifier: MIT
/* Names of layers: a hash table that is never more than half full. */
#include <stdlib.h>
#include <string.h>

#include "own.h"

#define SLOTS (4 * NET_MAX_LAYERS)

struct name {
	char text[NET_NAME];
	uint32_t layer;
};

int names_new(struct names *names)
{
	names->slots = calloc(SLOTS, sizeof(*names->slots));
	return names->slots ? 0 : -ENOMEM;
}

void names_free(struct names *names)
{
	free(names->slots);
}

/* Where a name is, or would be. */
static struct name *slot(const struct names *names, const char *name)
{
	uint32_t hash = 2166136261u;

	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	while (*names->slots[hash % SLOTS].text && strcmp(names->slots[hash % SLOTS].text, name))
		hash++;
	return &names->slots[hash % SLOTS];
}

bool names_add(struct names *names, const char *name, uint32_t layer)
{
	struct name *entry = slot(names, name);

	if (names->count == SLOTS / 2)
		return false;
	names->count++;
	strncpy(entry->text, name, NET_NAME - 1);
	entry->layer = layer;
	return true;
}

int64_t names_find(const struct names *names, const char *name)
{
	const struct name *entry = slot(names, name);

	return *entry->text ? (int64_t)entry->layer : -1;
}
