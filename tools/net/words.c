// SPDX-License-Identifier: MIT
/* The words of a line, and the values in them. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "own.h"

#define SPACE	" \t\r"
#define DIGITS	"0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

int bad(struct reader *r, const struct word *word, const char *format, ...)
{
	char message[256];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return net_bad(r->error, &word->place, "%s", message);
}

/* ---------------------------------------------------------------- words */

struct word word_at(struct reader *r, char *text)
{
	return (struct word){text,
			     {r->net->path, r->number, r->columns[text - r->text], r->context}};
}

struct word word_next(struct reader *r)
{
	struct word word;

	r->at += strspn(r->at, SPACE);
	word = word_at(r, r->at);
	r->at += strcspn(r->at, SPACE);
	if (*r->at)
		*r->at++ = '\0';
	return word;
}

struct word word_rest(struct reader *r)
{
	struct word word;
	char *to;

	r->at += strspn(r->at, SPACE);
	word = word_at(r, r->at);
	to = r->at;
	for (char *from = r->at;; from++) {
		if (*from && strchr(SPACE, *from))
			continue;
		r->columns[to - r->text] = r->columns[from - r->text];
		*to = *from;
		if (!*to++)
			break;
	}
	r->at = to - 1;
	return word;
}

int word_split(struct reader *r, struct word *word, struct word *value, const char *expected)
{
	char *equals = strchr(word->text, '=');

	if (!equals)
		return bad(r, word, "'%.40s': %s", word->text, expected);
	*equals = '\0';
	*value = word_at(r, equals + 1);
	if (!*value->text)
		return bad(r, value, "a value of %.40s was expected", word->text);
	return 0;
}

int word_end(struct reader *r, const char *after)
{
	struct word word = word_next(r);

	if (!*word.text)
		return 0;
	return bad(r, &word, "'%.40s' where the line should end, behind %s", word.text, after);
}

/* ---------------------------------------------------------------- numbers */

int word_number(struct reader *r, const struct word *word, uint32_t low, uint32_t high,
		uint32_t *result)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(word->text, &end, 10);
	if (*word->text < '0' || *word->text > '9' || *end || errno || value < low || value > high)
		return bad(r, word, "'%.40s': a whole number from %u to %u was expected",
			   word->text, low, high);
	*result = value;
	return 0;
}

int word_real(struct reader *r, const struct word *word, float limit, float *result)
{
	size_t plain = strspn(word->text, DIGITS ".eE+-");
	char *end;
	float value = strtof(word->text, &end);

	if (!*word->text || word->text[plain] || *end || !isfinite(value) || signbit(value) ||
	    value >= limit)
		return bad(r, word, "'%.40s': a number from 0 to less than %g was expected",
			   word->text, limit);
	*result = value;
	return 0;
}

int word_numbers(struct reader *r, const struct word *word, char separator, uint32_t low,
		 uint32_t *values, uint32_t most, uint32_t *count)
{
	char *at = word->text, *end;
	int err = 0;

	for (*count = 0; at && !err; (*count)++, at = end) {
		struct word item = word_at(r, at);

		end = strchr(at, separator);
		if (end)
			*end++ = '\0';
		if (*count == most)
			return bad(r, &item,
				   "at most %u numbers were expected, with '%c' between them", most,
				   separator);
		err = word_number(r, &item, low, NET_MAX_DIM, &values[*count]);
	}
	return err;
}

int word_pair(struct reader *r, const struct word *word, struct net_pair *result)
{
	uint32_t values[2], count;
	int err = word_numbers(r, word, 'x', 1, values, 2, &count);

	if (!err)
		*result = (struct net_pair){values[0], values[count - 1]};
	return err;
}

int word_padding(struct reader *r, const struct word *word, struct net_padding *pad)
{
	uint32_t v[4], count;
	bool sides = strchr(word->text, ',');
	int err = word_numbers(r, word, sides ? ',' : 'x', 0, v, sides ? 4 : 2, &count);

	if (err)
		return err;
	if (sides && count != 4)
		return bad(r, word, "pad needs all four sides: top,bottom,left,right");
	*pad = sides ? (struct net_padding){v[0], v[1], v[2], v[3]}
		     : (struct net_padding){v[0], v[0], v[count - 1], v[count - 1]};
	return 0;
}

/* ---------------------------------------------------------------- other words */

int word_choice(struct reader *r, const struct word *word, const char *a, const char *b,
		bool *second)
{
	*second = !strcmp(word->text, b);
	if (!*second && strcmp(word->text, a))
		return bad(r, word, "'%.40s': %s or %s was expected", word->text, a, b);
	return 0;
}

int word_name(struct reader *r, const struct word *word)
{
	size_t length = strlen(word->text);

	if (!length || length >= NET_NAME || word->text[strspn(word->text, LETTERS DIGITS "_-./")])
		return bad(r, word,
			   "'%.40s': a name of 1 to %d letters, digits, _ - . / was expected",
			   word->text, NET_NAME - 1);
	return 0;
}

int word_identifier(struct reader *r, const struct word *word)
{
	size_t length = strlen(word->text);

	if (!length || length >= NET_NAME || !strspn(word->text, LETTERS) ||
	    word->text[strspn(word->text, LETTERS DIGITS "_")])
		return bad(r, word,
			   "'%.40s': a name of a letter, then letters, digits and _ was expected",
			   word->text);
	return 0;
}
