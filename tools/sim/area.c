// SPDX-License-Identifier: MIT
/* What processing elements take on a chip. README.md says what is counted, and why. */
#include <errno.h>
#include <json.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "area.h"

#define WORD	 32
#define MAX_SIDE 256 /* of an array, as a device can have it */

/* ---------------------------------------------------------------- tables */

static const struct {
	const char *name;
	const char *text;
} builtin[] = {
	/* The first is the default. */
	{
		"aladdin-40nm",
#include "area/aladdin-40nm.inc"
	},
	{
		"nangate-45nm",
#include "area/nangate-45nm.inc"
	},
};

#define NUM_BUILTIN (sizeof(builtin) / sizeof(builtin[0]))

static const char *const parts[NUM_AREA_PARTS] = {
	[AREA_MULTIPLY] = "multiply",
	[AREA_ADD] = "add",
	[AREA_REGISTER_BIT] = "register_bit",
	[AREA_MUX_BIT] = "mux_bit",
};

const char *area_part_name(enum area_part part)
{
	return parts[part];
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string) || !json_object_get_string_len(value))
		return NULL;
	return json_object_get_string(value);
}

static int read_part(struct json_object *entries, struct area_table *table, enum area_part part,
		     const char *name, struct igrad_error *error)
{
	struct json_object *entry, *value;
	const char *source;

	if (!json_object_is_type(entries, json_type_object) ||
	    !json_object_object_get_ex(entries, parts[part], &entry))
		return fail(error, -EBADMSG, "%.160s: no entry \"%s\"", name, parts[part]);
	source = text_of(entry, "source");
	if (!source)
		return fail(error, -EBADMSG, "%.160s: \"%s\" has no source", name, parts[part]);
	if (!json_object_object_get_ex(entry, "value", &value) ||
	    !(json_object_get_double(value) > 0) || !isfinite(json_object_get_double(value)))
		return fail(error, -EBADMSG, "%.160s: \"%s\" has no positive value", name,
			    parts[part]);
	table->value[part] = json_object_get_double(value);
	snprintf(table->source[part], sizeof(table->source[part]), "%s", source);
	return 0;
}

static int read_table(struct json_object *root, struct area_table *table, const char *name,
		      struct igrad_error *error)
{
	const char *called = text_of(root, "name"), *about = text_of(root, "about");
	struct json_object *entries = NULL;
	int err = 0;

	if (!called || !about || !json_object_object_get_ex(root, "entries", &entries))
		return fail(error, -EBADMSG, "%.160s: name, about and entries were expected", name);
	snprintf(table->name, sizeof(table->name), "%s", called);
	snprintf(table->about, sizeof(table->about), "%s", about);
	for (int part = 0; part < NUM_AREA_PARTS && !err; part++)
		err = read_part(entries, table, part, name, error);
	return err;
}

int area_load(const char *name, struct area_table *table, struct igrad_error *error)
{
	struct json_object *root = NULL;
	const char *text = name ? NULL : builtin[0].text;
	int err;

	for (size_t i = 0; i < NUM_BUILTIN && name; i++)
		if (!strcmp(name, builtin[i].name))
			text = builtin[i].text;
	root = text ? json_tokener_parse(text) : json_object_from_file(name);
	if (!root)
		return fail(error, -EBADMSG, "%.160s: cannot be read as a table of areas", name);
	err = read_table(root, table, name ? name : builtin[0].name, error);
	json_object_put(root);
	return err;
}

/* ---------------------------------------------------------------- processing elements */

/* x moving east, the psum moving south, w; and the w that is shifted in meanwhile. */
struct pe pe_fixed(bool overlap)
{
	return (struct pe){"weight-stationary", overlap ? 4 : 3, 0};
}

/*
 * Also g moving south, and acc, and what acc is shifted out by meanwhile. The multiplier takes x, g
 * or a constant, and w, g or acc (two multiplexers each); what is added is a psum from the north or
 * the west, acc or w (three). w also takes results (one); acc takes what is shifted in (one); and
 * what is shifted out is w, acc or what comes from above (two).
 */
struct pe pe_configurable(bool overlap)
{
	return (struct pe){"interleaved", overlap ? 7 : 5, overlap ? 11 : 9};
}

double pe_area(const struct area_table *t, const struct pe *pe)
{
	return t->value[AREA_MULTIPLY] + t->value[AREA_ADD] +
	       WORD * (pe->registers * t->value[AREA_REGISTER_BIT] +
		       pe->muxes * t->value[AREA_MUX_BIT]);
}

struct array_size area_array(const struct area_table *t, struct array_size array,
			     const struct pe *from, const struct pe *to)
{
	double side = sqrt(pe_area(t, from) / pe_area(t, to));
	double rows = floor(array.rows * side), cols = floor(array.cols * side);

	return (struct array_size){
		(uint32_t)fmax(1, fmin(rows, MAX_SIDE)),
		(uint32_t)fmax(1, fmin(cols, MAX_SIDE)),
	};
}
