// SPDX-License-Identifier: MIT
/* Filling in what stands in braces: parameters, counters, and sums and products of them. */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "own.h"

#define LIMIT (1ll << 32) /* of all numbers on the way */

/* An expression that is being read; @start: of its line. */
struct expression {
	struct reader *r;
	const char *start;
	const char *at;
	int depth;
};

__attribute__((format(printf, 3, 4))) static int wrong(const struct expression *e, const char *at,
						       const char *format, ...)
{
	const struct net_place place = {e->r->net->path, e->r->number, at - e->start + 1,
					e->r->context};
	char message[160];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return net_bad(e->r->error, &place, "%s", message);
}

/* ---------------------------------------------------------------- values */

static const char *value_of(const struct scope *scope, const char *name, size_t length)
{
	for (uint32_t i = scope->num_values; i--;)
		if (strlen(scope->values[i].name) == length &&
		    !strncmp(scope->values[i].name, name, length))
			return scope->values[i].text;
	return NULL;
}

static size_t identifier(const char *text)
{
	size_t length = 0;

	if (isalpha((unsigned char)*text))
		while (isalnum((unsigned char)text[length]) || text[length] == '_')
			length++;
	return length;
}

static void list_values(const struct scope *scope, char *list, size_t size)
{
	snprintf(list, size, "%s", scope->outer ? "channels" : "numbers");
	for (uint32_t i = 0; i < scope->num_values; i++) {
		strncat(list, ", ", size - strlen(list) - 1);
		strncat(list, scope->values[i].name, size - strlen(list) - 1);
	}
}

static int read_name(struct expression *e, int64_t *result)
{
	const struct scope *scope = e->r->scope;
	size_t length = identifier(e->at);
	const char *text = value_of(scope, e->at, length);
	char list[100];

	if (!text && scope->outer && length == 8 && !strncmp(e->at, "channels", 8)) {
		*result = e->r->net->layers[scope->input].shape.c;
		e->at += length;
		return 0;
	}
	list_values(scope, list, sizeof(list));
	if (!text)
		return wrong(e, e->at, "'%.*s' is not known here; there are %s",
			     (int)(length < 40 ? length : 40), e->at, list);
	if (!isdigit((unsigned char)*text) || text[strspn(text, "0123456789")] || strlen(text) > 9)
		return wrong(e, e->at, "'%.*s' is '%.40s': a number was expected",
			     (int)(length < 40 ? length : 40), e->at, text);
	e->at += length;
	*result = 0;
	for (; *text; text++)
		*result = 10 * *result + (*text - '0');
	return 0;
}

/* ---------------------------------------------------------------- expressions */

static int read_sum(struct expression *e, int64_t *result);

static int read_number(struct expression *e, int64_t *result)
{
	const char *start = e->at;

	for (*result = 0; isdigit((unsigned char)*e->at) && *result < LIMIT; e->at++)
		*result = 10 * *result + (*e->at - '0');
	return *result < LIMIT ? 0 : wrong(e, start, "a number of at most 2^32 was expected");
}

static int read_factor(struct expression *e, int64_t *result)
{
	int err;

	if (isdigit((unsigned char)*e->at))
		return read_number(e, result);
	if (identifier(e->at))
		return read_name(e, result);
	if (*e->at != '(')
		return wrong(e, e->at, "a number, a parameter or ( was expected");
	if (e->depth == MAX_NESTING)
		return wrong(e, e->at, "parentheses more than %d deep", MAX_NESTING);
	e->at++;
	e->depth++;
	err = read_sum(e, result);
	e->depth--;
	if (!err && *e->at != ')')
		err = wrong(e, e->at, "+, -, *, / or ) was expected");
	e->at += !err;
	return err;
}

static int apply(const struct expression *e, const char *at, int64_t *left, int64_t right)
{
	if (*at == '/' && !right)
		return wrong(e, at, "a division by 0");
	switch (*at) {
	case '+':
		*left += right;
		break;
	case '-':
		*left -= right;
		break;
	case '*':
		if (__builtin_mul_overflow(*left, right, left))
			*left = LIMIT + 1;
		break;
	default:
		*left /= right;
	}
	if (*left > LIMIT || *left < -LIMIT)
		return wrong(e, at, "numbers beyond 2^32");
	return 0;
}

static int read_product(struct expression *e, int64_t *result)
{
	int64_t right;
	int err = read_factor(e, result);

	while (!err && (*e->at == '*' || *e->at == '/')) {
		const char *sign = e->at++;

		err = read_factor(e, &right);
		if (!err)
			err = apply(e, sign, result, right);
	}
	return err;
}

static int read_sum(struct expression *e, int64_t *result)
{
	int64_t right;
	int err = read_product(e, result);

	while (!err && (*e->at == '+' || *e->at == '-')) {
		const char *sign = e->at++;

		err = read_product(e, &right);
		if (!err)
			err = apply(e, sign, result, right);
	}
	return err;
}

/* ---------------------------------------------------------------- lines */

/* Appends to the line what stands for the column @column of the file's line. */
static int append(struct expression *e, const char *text, size_t length, const char *column)
{
	struct reader *r = e->r;
	size_t used = r->at - r->text;

	if (used + length > MAX_LINE)
		return wrong(e, column, "a line of more than %d characters", MAX_LINE);
	memcpy(r->at, text, length);
	for (size_t i = 0; i < length; i++)
		r->columns[used + i] = column - e->start + 1;
	r->at += length;
	return 0;
}

/* "{growth}" or "{4*growth}"; e->at: behind the opening brace */
static int braces(struct expression *e)
{
	const char *open = e->at - 1;
	size_t length = identifier(e->at);
	const char *text = length && e->at[length] == '}' ? value_of(e->r->scope, e->at, length)
							  : NULL;
	char number[24];
	int64_t value;
	int err = 0;

	if (text) { /* may be any word */
		e->at += length;
	} else {
		err = read_sum(e, &value);
		if (!err && value < 0)
			err = wrong(e, open, "%" PRId64 ": at least 0 was expected", value);
		if (!err)
			snprintf(number, sizeof(number), "%" PRId64, value);
		text = number;
	}
	if (!err && *e->at != '}')
		err = wrong(e, e->at, "+, -, *, / or } was expected");
	if (!err)
		err = append(e, text, strlen(text), open);
	e->at++;
	return err;
}

static int fill(struct reader *r, uint32_t line, bool replace)
{
	const char *text = r->source.lines[line].text;
	struct expression e = {r, text, text, 0};
	int err = 0;

	r->number = line + 1;
	r->at = r->text;
	while (!err && *e.at) {
		const char *from = e.at++;

		if (*from == '{' && replace)
			err = braces(&e);
		else
			err = append(&e, from, 1, from);
	}
	if (err)
		return err;
	*r->at = '\0';
	r->columns[r->at - r->text] = e.at - e.start + 1;
	r->at = r->text;
	return 0;
}

int expand(struct reader *r, uint32_t line)
{
	return fill(r, line, true);
}

int expand_raw(struct reader *r, uint32_t line)
{
	return fill(r, line, false);
}
