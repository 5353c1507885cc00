/* SPDX-License-Identifier: MIT */
/* Reading energy tables. Whatever is wrong with one is said with its line and what was expected. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "energy.h"
#include "json-place.h"

#define MAX_DEPTH 8
#define MAX_VALUE 1e12
#define MAX_BITS  4096
#define MAX_KIB	  (1u << 30)

struct parser {
	const char *path;
	const char *text;
	struct igrad_error *error;
};

#define BAD(parser, at, format, ...)                                                \
	igrad_fail((parser)->error, -EBADMSG, "%.100s:%u: " format, (parser)->path, \
		   json_place_line((parser)->text, at), ##__VA_ARGS__)

static int no_memory(const struct parser *parser)
{
	return igrad_fail(parser->error, -ENOMEM, "out of memory");
}

/* ---------------------------------------------------------------- values */

static int take_string(const struct parser *parser, struct json_place object, const char *name,
		       char **result)
{
	struct json_place place = json_place_member(object, name);
	const char *string = json_object_get_string(place.value);

	if (!json_object_is_type(place.value, json_type_string) || !*string)
		return BAD(parser, place.at, "\"%s\" must be here, with a text that is not empty",
			   name);
	*result = strdup(string);
	return *result ? 0 : no_memory(parser);
}

static int take_whole(const struct parser *parser, struct json_place object, const char *name,
		      int64_t max, int64_t *result)
{
	struct json_place place = json_place_member(object, name);

	*result = json_object_get_int64(place.value);
	if (!json_object_is_type(place.value, json_type_int) || *result < 1 || *result > max)
		return BAD(parser, place.at,
			   "\"%s\" must be here, with a whole number from 1 to %lld", name,
			   (long long)max);
	return 0;
}

static int take_value(const struct parser *parser, struct json_place object, double *result)
{
	struct json_place place = json_place_member(object, "value");

	*result = json_object_get_double(place.value);
	if (!(json_object_is_type(place.value, json_type_int) ||
	      json_object_is_type(place.value, json_type_double)) ||
	    !isfinite(*result) || *result < 0 || *result > MAX_VALUE)
		return BAD(parser, place.at,
			   "\"value\" must be here, with a number from 0 to 1e12");
	return 0;
}

/* An object with these members and no others; each is looked for later. */
static int check_object(const struct parser *parser, struct json_place place, const char *what,
			const char *const *names)
{
	const char *stray;
	char list[128] = "";
	bool twice;

	for (unsigned int i = 0; names[i]; i++) {
		strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
		strncat(list, names[i], sizeof(list) - strlen(list) - 1);
	}
	if (!json_object_is_type(place.value, json_type_object))
		return BAD(parser, place.at, "%s must be here: an object with %s", what, list);
	stray = json_place_stray(place, names, &twice);
	if (stray)
		return BAD(parser, stray, "%.*s %s; expected: %s",
			   json_place_length(stray) < 40 ? json_place_length(stray) + 2 : 40,
			   stray - 1, twice ? "is here twice" : "is not known here", list);
	return 0;
}

/* ---------------------------------------------------------------- entries */

static int take_entry(const struct parser *parser, struct json_place place, const char *name,
		      struct energy_entry *entry)
{
	static const char *const members[] = {"value", "bits", "source", NULL};
	static const char *const sram[] = {"kib", "value", "bits", "source", NULL};
	bool is_sram = !strcmp(name, "sram");
	char what[40];
	int64_t bits = 0, kib = 0;
	int err;

	snprintf(what, sizeof(what), is_sram ? "an element of \"%s\"" : "\"%s\"", name);
	err = check_object(parser, place, what, is_sram ? sram : members);
	if (!err && is_sram)
		err = take_whole(parser, place, "kib", MAX_KIB, &kib);
	if (!err)
		err = take_value(parser, place, &entry->value);
	if (!err)
		err = take_whole(parser, place, "bits", MAX_BITS, &bits);
	if (!err)
		err = take_string(parser, place, "source", &entry->source);
	entry->bits = bits;
	entry->sram_bytes = kib << 10;
	return err;
}

static int take_srams(const struct parser *parser, struct json_place place,
		      struct igrad_energy_table *table)
{
	size_t length;

	length = json_object_is_type(place.value, json_type_array)
			 ? json_object_array_length(place.value)
			 : 0;
	if (!length || length > ENERGY_MAX_SRAMS)
		return BAD(parser, place.at,
			   "\"sram\" must be here: an array of 1 to %d memories, smallest first",
			   ENERGY_MAX_SRAMS);
	for (size_t i = 0; i < length; i++) {
		struct json_place element = json_place_element(place, i);
		int err;

		/* Counted first: what it got before an error is freed with the table. */
		table->num_srams++;
		err = take_entry(parser, element, "sram", &table->srams[i]);
		if (err)
			return err;
		if (i && table->srams[i].sram_bytes <= table->srams[i - 1].sram_bytes)
			return BAD(parser, element.at,
				   "\"kib\" must be larger than that of the memory before");
	}
	return 0;
}

static int take_entries(const struct parser *parser, struct json_place place,
			struct igrad_energy_table *table)
{
	const char *names[IGRAD_NUM_ENERGY_PARTS + 1] = {0};
	int err;

	for (int part = 0; part < IGRAD_NUM_ENERGY_PARTS; part++)
		names[part] = igrad_energy_part_name(part);
	err = check_object(parser, place, "\"entries\"", names);
	for (int part = 0; part < IGRAD_NUM_ENERGY_PARTS && !err; part++) {
		struct json_place entry = json_place_member(place, names[part]);

		err = part == IGRAD_ENERGY_SRAM
			      ? take_srams(parser, entry, table)
			      : take_entry(parser, entry, names[part], &table->entries[part]);
	}
	return err;
}

static int take_table(const struct parser *parser, struct json_place root,
		      struct igrad_energy_table *table)
{
	static const char *const members[] = {"name", "unit", "about", "entries", NULL};
	int err = check_object(parser, root, "an energy table", members);

	if (!err)
		err = take_string(parser, root, "name", &table->name);
	if (!err)
		err = take_string(parser, root, "unit", &table->unit);
	if (!err)
		err = take_string(parser, root, "about", &table->about);
	if (!err)
		err = take_entries(parser, json_place_member(root, "entries"), table);
	return err;
}

/* ---------------------------------------------------------------- the text */

static int parse_json(const struct parser *parser, struct json_object **object)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	const char *end;
	int err = 0;

	if (!tokener)
		return no_memory(parser);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* With the final NUL, so that a number alone is complete too. */
	*object = json_tokener_parse_ex(tokener, parser->text, strlen(parser->text) + 1);
	end = parser->text + json_tokener_get_parse_end(tokener);
	if (json_tokener_get_error(tokener) == json_tokener_continue ||
	    json_tokener_get_error(tokener) == json_tokener_error_parse_eof)
		err = BAD(parser, end, "the file ends, but more JSON was expected");
	else if (json_tokener_get_error(tokener) != json_tokener_success)
		err = BAD(parser, end, "JSON was expected: %s",
			  json_tokener_error_desc(json_tokener_get_error(tokener)));
	json_tokener_free(tokener);
	return err;
}

int energy_parse(struct igrad_energy_table *table, const char *path, const char *text,
		 struct igrad_error *error)
{
	const struct parser parser = {path, text, error};
	struct json_object *object = NULL;
	int err = parse_json(&parser, &object);

	if (!err)
		err = take_table(&parser, json_place_root(object, text), table);
	json_object_put(object);
	return err;
}
