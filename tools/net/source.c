// SPDX-License-Identifier: MIT
/* The lines of a file, and where its blocks and repeats end. */
#include <stdlib.h>
#include <string.h>

#include "own.h"

#define SPACE " \t\r"

static enum line_kind kind_of(const char *text)
{
	static const char *const words[] = {
		[LINE_BLOCK] = "block", [LINE_REPEAT] = "repeat", [LINE_END] = "end"};
	size_t length;

	text += strspn(text, SPACE);
	length = strcspn(text, SPACE);
	for (int kind = LINE_BLOCK; kind <= LINE_END; kind++)
		if (length == strlen(words[kind]) && !strncmp(text, words[kind], length))
			return kind;
	return LINE_STATEMENT;
}

static int cut(struct source *source, char *text)
{
	size_t count = 1;

	for (const char *c = text; (c = strchr(c, '\n')); c++)
		count++;
	source->lines = calloc(count, sizeof(*source->lines));
	if (!source->lines)
		return -ENOMEM;
	while (text) {
		struct source_line *line = &source->lines[source->count++];

		line->text = strsep(&text, "\n");
		line->text[strcspn(line->text, "#")] = '\0';
		line->kind = kind_of(line->text);
	}
	return 0;
}

static int misplaced(struct reader *r, uint32_t line, const char *what)
{
	const char *text = r->source.lines[line].text;
	struct net_place place = {r->net->path, line + 1, strspn(text, SPACE) + 1, NULL};

	return net_bad(r->error, &place, "%s", what);
}

int source_read(struct reader *r, char *text)
{
	struct source *source = &r->source;
	uint32_t open[MAX_NESTING], depth = 0;
	int err = cut(source, text);

	for (uint32_t i = 0; i < source->count && !err; i++) {
		enum line_kind kind = source->lines[i].kind;

		if (kind == LINE_BLOCK && depth)
			return misplaced(
				r, i,
				"a block within a block or repeat; 'end' was expected before it");
		if (kind == LINE_END && !depth)
			return misplaced(r, i, "'end', but no block or repeat is open");
		if (kind == LINE_REPEAT && depth == MAX_NESTING)
			return misplaced(r, i, "repeats more than 16 deep");
		if (kind == LINE_END)
			source->lines[open[--depth]].end = i;
		else if (kind != LINE_STATEMENT)
			open[depth++] = i;
	}
	if (!err && depth)
		return misplaced(r, open[depth - 1], "this has no 'end'");
	return err;
}
