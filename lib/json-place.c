/* SPDX-License-Identifier: MIT */
/* Where values stand in JSON text that json-c took: so brackets match and strings end. */
#include <string.h>

#include "json-place.h"

unsigned int json_place_line(const char *text, const char *at)
{
	unsigned int line = 1;

	for (; text < at && *text; text++)
		line += *text == '\n';
	return line;
}

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
	const char quote = *p++;

	while (*p && *p != quote)
		p += p[0] == '\\' && p[1] ? 2 : 1;
	return *p ? p + 1 : p;
}

static const char *skip_value(const char *p)
{
	unsigned int depth = 0;

	do {
		if (*p == '"') {
			p = skip_string(p);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (depth && (*p == '}' || *p == ']'))
			depth--;
		else if (!depth && strchr(",]} \t\r\n", *p))
			break;
		if (*p)
			p++;
	} while (*p && (depth || !strchr(",]} \t\r\n", *p)));
	return p;
}

/* A cursor over an object's members: @p is behind the bracket, or behind the last member. */
static bool next_member(const char **p, const char **name, const char **value)
{
	const char *at = skip_space(*p);

	if (*at == ',')
		at = skip_space(at + 1);
	if (*at != '"' && *at != '\'')
		return false;
	*name = at + 1;
	at = skip_space(skip_string(at));
	if (*at != ':')
		return false;
	*value = skip_space(at + 1);
	*p = skip_value(*value);
	return true;
}

int json_place_length(const char *name)
{
	const char *end = skip_string(name - 1);

	return *end || end[-1] == name[-1] ? end - 1 - name : end - name;
}

/* json-c lets names in single quotes pass; here they are names of nothing. */
static bool is_named(const char *name, const char *wanted)
{
	size_t length = json_place_length(name);

	return name[-1] == '"' && length == strlen(wanted) && !memcmp(name, wanted, length);
}

struct json_place json_place_root(struct json_object *value, const char *text)
{
	return (struct json_place){value, skip_space(text)};
}

struct json_place json_place_member(struct json_place object, const char *name)
{
	struct json_place found = {NULL, object.at};
	const char *p = object.at + 1, *this_name, *value;

	while (next_member(&p, &this_name, &value)) {
		if (is_named(this_name, name)) {
			found.value = json_object_object_get(object.value, name);
			found.at = value;
		}
	}
	return found;
}

struct json_place json_place_element(struct json_place array, size_t index)
{
	const char *p = skip_space(array.at + 1);

	for (size_t i = 0; i < index; i++) {
		p = skip_space(skip_value(p));
		if (*p == ',')
			p = skip_space(p + 1);
	}
	return (struct json_place){json_object_array_get_idx(array.value, index), p};
}

const char *json_place_stray(struct json_place object, const char *const *names, bool *twice)
{
	const char *p = object.at + 1, *name, *value;
	unsigned long seen = 0;

	while (next_member(&p, &name, &value)) {
		unsigned int i = 0;

		while (names[i] && !is_named(name, names[i]))
			i++;
		*twice = names[i] && seen & 1ul << i;
		if (!names[i] || *twice)
			return name;
		seen |= 1ul << i;
	}
	return NULL;
}
