// SPDX-License-Identifier: MIT
/* The order in which lines are read: those of a repeat once for each value of its counter. */
#include <stdio.h>
#include <string.h>

#include "own.h"

/* ---------------------------------------------------------------- repeats */

/* "i=1..6": the counter and its first and last value */
static int read_range(struct reader *r, struct value *counter, uint32_t *low, uint32_t *high)
{
	struct word word = word_next(r), value, last;
	char *dots;
	int err = word_split(r, &word, &value, "a counter was expected, as in i=1..6");

	if (!err)
		err = word_identifier(r, &word);
	if (err)
		return err;
	if (!strcmp(word.text, "channels") ||
	    value_has(r->scope->values, r->scope->num_values, word.text))
		return bad(r, &word, "'%.40s' stands for something else here", word.text);
	dots = strstr(value.text, "..");
	if (!dots)
		return bad(r, &value, "'%.40s': first and last number were expected, as in 1..6",
			   value.text);
	*dots = '\0';
	last = word_at(r, dots + 2);
	snprintf(counter->name, sizeof(counter->name), "%s", word.text);
	err = word_number(r, &value, 0, NET_MAX_DIM, low);
	if (!err)
		err = word_number(r, &last, *low ? *low - 1 : 0, NET_MAX_DIM, high);
	return err ? err : word_end(r, "the counter");
}

static int repeat(struct reader *r, uint32_t line)
{
	struct scope *scope = r->scope;
	struct value counter;
	uint32_t low = 1, high = 0;
	int err = expand(r, line);

	if (err)
		return err;
	word_next(r); /* "repeat" */
	err = read_range(r, &counter, &low, &high);
	r->repeats++;
	for (uint32_t i = low; i <= high && !err; i++) {
		snprintf(counter.text, sizeof(counter.text), "%u", i);
		scope->values[scope->num_values++] = counter;
		err = lines_read(r, line + 1, r->source.lines[line].end);
		scope->num_values--;
	}
	r->repeats--;
	return err;
}

/* ---------------------------------------------------------------- lines */

static int too_much(struct reader *r, uint32_t line, const char *what, int limit)
{
	const struct net_place place = {r->net->path, line + 1, 1, r->context};

	return net_bad(r->error, &place, "blocks and repeats %s %d", what, limit);
}

int lines_read(struct reader *r, uint32_t first, uint32_t end)
{
	int err = 0;

	if (r->depth > MAX_NESTING)
		return too_much(r, first, "are within each other more than", MAX_NESTING);
	/* One for the use itself, so that many of nothing come to an end too. */
	if (r->depth && r->steps++ >= MAX_STEPS)
		return too_much(r, first, "unfold to more lines than", MAX_STEPS);
	r->depth++;
	for (uint32_t i = first; i < end && !err; i++) {
		const struct source_line *line = &r->source.lines[i];

		if (r->depth > 1 && r->steps++ >= MAX_STEPS)
			return too_much(r, i, "unfold to more lines than", MAX_STEPS);
		if (line->kind == LINE_STATEMENT) {
			err = expand(r, i);
			if (!err)
				err = statement_read(r);
			continue;
		}
		err = line->kind == LINE_BLOCK ? block_define(r, i) : repeat(r, i);
		i = line->end;
	}
	r->depth--;
	return err;
}
