// SPDX-License-Identifier: MIT
/* Reading igrad's own format: statements a line each. README.md has the grammar. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "own.h"

/* "input 9216" or "input 3 x 227 x 227" */
static int read_input(struct reader *r, const struct word *first)
{
	struct word all = word_rest(r);
	struct net_layer *layer;
	uint32_t v[3], count = 0;
	int err;

	if (r->net->num_layers)
		return bad(r, first, "there is an input already");
	err = word_numbers(r, &all, 'x', 1, v, 3, &count);
	if (err)
		return err;
	if (count == 2)
		return bad(r, &all, "features, or channels x height x width, were expected");
	layer = net_append(r->net, NET_INPUT, r->number);
	if (!layer)
		return -ENOMEM;
	snprintf(layer->name, sizeof(layer->name), "input");
	layer->shape = count == 1 ? (struct net_shape){true, v[0], 0, 0}
				  : (struct net_shape){false, v[0], v[1], v[2]};
	return 0;
}

static int read_batch(struct reader *r, const struct word *first)
{
	struct word word = word_next(r);
	int err;

	if (r->batched)
		return bad(r, first, "there is a batch already");
	r->batched = true;
	err = word_number(r, &word, 1, NET_MAX_DIM, &r->net->batch);
	return err ? err : word_end(r, "the batch");
}

static int read_network(struct reader *r, const struct word *first)
{
	struct word word = word_next(r);
	int err = word_name(r, &word);

	if (err)
		return err;
	if (r->named)
		return bad(r, first, "the network has a name already");
	r->named = true;
	snprintf(r->net->name, sizeof(r->net->name), "%s", word.text);
	return word_end(r, "the network's name");
}

/* Lines of the whole file, which have no place in blocks and repeats. */
static int read_heading(struct reader *r, const struct word *word, bool *read)
{
	static const struct {
		const char *word;
		int (*read)(struct reader *r, const struct word *first);
	} headings[] = {{"network", read_network}, {"batch", read_batch}, {"input", read_input}};

	for (size_t i = 0; i < sizeof(headings) / sizeof(headings[0]); i++) {
		if (strcmp(word->text, headings[i].word))
			continue;
		*read = true;
		if (r->depth > 1)
			return bad(r, word, "'%s' has no place in a block or repeat", word->text);
		return headings[i].read(r, word);
	}
	return 0;
}

static int read_layer(struct reader *r, const struct word *name, const struct word *kind)
{
	return block_find(r, kind->text) ? block_use(r, name, kind) : layer_read(r, name, kind);
}

int statement_read(struct reader *r)
{
	struct word word = word_next(r), kind;
	size_t length = strlen(word.text);
	bool read = false;
	int err;

	if (!length)
		return 0;
	err = read_heading(r, &word, &read);
	if (read)
		return err;
	if (word.text[length - 1] != ':')
		return read_layer(r, NULL, &word);
	word.text[length - 1] = '\0';
	kind = word_next(r);
	return read_layer(r, &word, &kind);
}

/* What is known only at the end; a block that nothing uses was not read. */
static int check_whole(struct reader *r)
{
	struct net_place place = {r->net->path, r->source.count, 1, NULL};

	for (uint32_t i = 0; i < r->num_blocks; i++) {
		place.line = r->blocks[i].line + 1;
		if (!r->blocks[i].used)
			return net_bad(r->error, &place, "the block '%s' is not used",
				       r->blocks[i].name);
	}
	place.line = r->source.count;
	if (r->net->num_layers < 2)
		return net_bad(r->error, &place, "the file ends, but %s was expected",
			       r->net->num_layers ? "a layer" : "'input' and layers");
	if (!r->batched)
		r->net->notes[r->net->num_notes++] = "the file has no batch; --batch says it";
	return 0;
}

int net_read_own(struct net *net, char *text, struct igrad_error *error)
{
	struct scope file = {.blocks = MAX_BLOCKS};
	struct reader *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (!r)
		return err;
	*r = (struct reader){.net = net, .error = error, .scope = &file};
	net->chain = true;
	r->blocks = calloc(MAX_BLOCKS, sizeof(*r->blocks));
	if (r->blocks)
		err = names_new(&r->names);
	if (!err)
		err = source_read(r, text);
	if (!err)
		err = lines_read(r, 0, r->source.count);
	if (!err)
		err = check_whole(r);
	names_free(&r->names);
	free(r->source.lines);
	free(r->blocks);
	free(r);
	return err;
}
