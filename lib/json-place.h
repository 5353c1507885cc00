/* SPDX-License-Identifier: MIT */
/*
 * Where values stand in JSON text. json-c parses and checks it but forgets the lines, which an
 * error has to name; this goes down the text beside its objects. Internal.
 */
#ifndef IGRAD_JSON_PLACE_H
#define IGRAD_JSON_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include <json.h>

/** struct json_place - a value, and where it stands in the text; @value NULL: there is none */
struct json_place {
	struct json_object *value;
	const char *at;
};

/** json_place_line - of @at in @text, from 1 */
unsigned int json_place_line(const char *text, const char *at);

/** json_place_root - the value that the whole text is */
struct json_place json_place_root(struct json_object *value, const char *text);

/** json_place_member - the member @name of an object; the object's own place when it has none */
struct json_place json_place_member(struct json_place object, const char *name);

/** json_place_element - element @index of an array that is long enough */
struct json_place json_place_element(struct json_place array, size_t index);

/**
 * json_place_stray - the first member of an object that is not in @names, or is there twice
 * @names: ends with NULL
 * @twice: which of the two
 *
 * NULL when there is none; otherwise where its name begins, behind the quote.
 */
const char *json_place_stray(struct json_place object, const char *const *names, bool *twice);

/** json_place_length - of the name that json_place_stray() found */
int json_place_length(const char *name);

#endif /* IGRAD_JSON_PLACE_H */
