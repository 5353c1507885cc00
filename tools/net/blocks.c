// SPDX-License-Identifier: MIT
/* Blocks, which stand for several layers wherever they are used, and repeats. */
#include <stdio.h>
#include <string.h>

#include "own.h"

const struct block *block_find(struct reader *r, const char *name)
{
	for (uint32_t i = 0; i < r->num_blocks && i < r->scope->blocks; i++)
		if (!strcmp(r->blocks[i].name, name))
			return &r->blocks[i];
	return NULL;
}

static bool has(const struct value *values, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
		if (!strcmp(values[i].name, name))
			return true;
	return false;
}

/* A word that is to stand for {name} has to fit. */
static int set_value(struct reader *r, struct value *value, const char *name,
		     const struct word *word)
{
	if (strlen(word->text) >= sizeof(value->text))
		return bad(r, word, "a value of more than %zu characters", sizeof(value->text) - 1);
	snprintf(value->name, sizeof(value->name), "%s", name);
	snprintf(value->text, sizeof(value->text), "%s", word->text);
	return 0;
}

/* ---------------------------------------------------------------- definitions */

/* "out" or "stride=1" in the head of a block */
static int read_param(struct reader *r, struct block *block, struct word *word)
{
	struct word value = {.text = strchr(word->text, '=')};
	int err;

	if (value.text) {
		err = word_split(r, word, &value, "");
		if (err)
			return err;
	}
	err = word_identifier(r, word);
	if (err)
		return err;
	if (!strcmp(word->text, "from") || !strcmp(word->text, "channels"))
		return bad(r, word, "a parameter cannot be called '%s'", word->text);
	if (has(block->params, block->num_params, word->text))
		return bad(r, word, "there is a parameter '%s' already", word->text);
	if (block->num_params == MAX_VALUES - MAX_NESTING)
		return bad(r, word, "more than %d parameters", MAX_VALUES - MAX_NESTING);
	if (!value.text)
		value.text = word->text + strlen(word->text); /* no default: no text */
	return set_value(r, &block->params[block->num_params++], word->text, &value);
}

static int define(struct reader *r, uint32_t line)
{
	struct block *block = &r->blocks[r->num_blocks];
	struct word word, name;
	int err = expand_raw(r, line);

	word_next(r); /* "block" */
	name = word_next(r);
	if (!err)
		err = word_identifier(r, &name);
	if (err)
		return err;
	if (layer_kind(name.text) != NET_NUM_KINDS || !strcmp(name.text, "input") ||
	    !strcmp(name.text, "batch") || !strcmp(name.text, "network") ||
	    !strcmp(name.text, "block") || !strcmp(name.text, "repeat") ||
	    !strcmp(name.text, "end"))
		return bad(r, &name, "a block cannot be called '%s'", name.text);
	if (block_find(r, name.text))
		return bad(r, &name, "there is a block '%s' already", name.text);
	if (r->num_blocks == MAX_BLOCKS)
		return bad(r, &name, "more than %d blocks", MAX_BLOCKS);
	*block = (struct block){.line = line};
	for (word = word_next(r); *word.text && !err; word = word_next(r))
		err = read_param(r, block, &word);
	snprintf(block->name, sizeof(block->name), "%s", name.text);
	r->num_blocks += !err;
	return err;
}

/* ---------------------------------------------------------------- uses */

static void list_params(const struct block *block, char *list, size_t size)
{
	list[0] = '\0';
	for (uint32_t i = 0; i < block->num_params; i++) {
		strncat(list, block->params[i].name, size - strlen(list) - 1);
		strncat(list, ", ", size - strlen(list) - 1);
	}
	strncat(list, "from", size - strlen(list) - 1);
}

static int use_argument(struct reader *r, const struct block *block, struct scope *scope,
			struct word *word, bool *from)
{
	struct word value;
	char list[120], expected[160];
	int64_t source;
	int err;

	list_params(block, list, sizeof(list));
	snprintf(expected, sizeof(expected), "key=value was expected, with one of %s", list);
	err = word_split(r, word, &value, expected);
	if (err)
		return err;
	if (strcmp(word->text, "from")) {
		if (!has(block->params, block->num_params, word->text))
			return bad(r, word, "%.40s has no '%.40s'; expected: %s", block->name,
				   word->text, list);
		if (has(scope->values, scope->num_values, word->text))
			return bad(r, word, "%s is given twice", word->text);
		return set_value(r, &scope->values[scope->num_values++], word->text, &value);
	}
	source = layer_source(r, value.text);
	if (*from)
		return bad(r, word, "from is given twice");
	if (source < 0)
		return bad(r, &value, "'%.40s': the name of a layer above was expected",
			   value.text);
	*from = true;
	scope->input = source;
	return 0;
}

static int use_arguments(struct reader *r, const struct block *block, struct scope *scope)
{
	struct word word;
	bool from = false;
	int err = 0;

	for (word = word_next(r); *word.text && !err; word = word_next(r))
		err = use_argument(r, block, scope, &word, &from);
	for (uint32_t i = 0; i < block->num_params && !err; i++) {
		const struct value *param = &block->params[i];

		if (has(scope->values, scope->num_values, param->name))
			continue;
		if (!*param->text)
			return bad(r, &word, "%.40s needs %.40s too", block->name, param->name);
		scope->values[scope->num_values++] = *param;
	}
	return err;
}

/* What messages say behind all else: " (in layer1.0, used in line 40, 12)" */
static void say_where(struct reader *r)
{
	const struct scope *scope = r->scope;
	size_t size = sizeof(r->context), length;

	r->context[0] = '\0';
	if (!scope->outer)
		return;
	length = snprintf(r->context, size, " (in %.*s, used in line %u",
			  (int)strlen(scope->prefix) - 1, scope->prefix, scope->used);
	while ((scope = scope->outer)->outer && length < size - 16)
		length += snprintf(r->context + length, size - length, ", %u", scope->used);
	snprintf(r->context + length, size - length, ")");
}

static void enter(struct reader *r, struct scope *scope)
{
	r->scope = scope;
	say_where(r);
}

int block_use(struct reader *r, const struct word *name, const struct word *kind)
{
	const struct block *block = block_find(r, kind->text);
	struct scope *outer = r->scope;
	struct scope scope = {
		.outer = outer,
		.used = r->number,
		.blocks = block - r->blocks,
		.input = outer->last,
	};
	char own[NET_NAME], full[2 * NET_NAME];
	int err = name ? word_name(r, name) : 0;

	if (err)
		return err;
	if (!r->net->num_layers)
		return bad(r, kind, "'input' was expected before the first layer");
	if (name)
		snprintf(full, sizeof(full), "%s%s", outer->prefix, name->text);
	else
		layer_name_itself(r, kind->text, full, sizeof(full));
	if (strlen(full) + 1 >= sizeof(scope.prefix))
		return bad(r, name ? name : kind, "'%s' is longer than %d characters", full,
			   NET_NAME - 2);
	snprintf(scope.prefix, sizeof(scope.prefix), "%.*s.", NET_NAME - 2, full);
	snprintf(own, sizeof(own), "%s", name ? name->text : "");
	if (name && layer_source(r, name->text) >= 0)
		return bad(r, name, "there is a layer '%s' already", full);
	err = use_arguments(r, block, &scope);
	if (err)
		return err;
	scope.last = scope.input;
	r->blocks[block - r->blocks].used = true;
	enter(r, &scope);
	err = lines_read(r, block->line + 1, r->source.lines[block->line].end);
	if (err)
		return err;
	enter(r, outer);
	outer->last = scope.last;
	if (*own) { /* the line is no longer there, so the word is made anew */
		const struct word again = {own, kind->place};

		err = layer_register(r, &again, scope.last);
	}
	return err;
}

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
	    has(r->scope->values, r->scope->num_values, word.text))
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
	uint32_t low, high;
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
		err = line->kind == LINE_BLOCK ? define(r, i) : repeat(r, i);
		i = line->end;
	}
	r->depth--;
	return err;
}
