// SPDX-License-Identifier: MIT
/* Reading igrad's own format: a statement a line, words with places. README.md has the grammar. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

#define SPACE " \t\r"

/* The line that is being read; @at: the rest of it. @seen: of "batch" and "network". */
struct reader {
	struct net *net;
	struct igrad_error *error;
	const char *line;
	char *at;
	unsigned int number;
	bool named, batched;
};

/* A word, and where it begins. */
struct word {
	char *text;
	struct net_place place;
};

__attribute__((format(printf, 3, 4))) static int bad(struct reader *r, const struct word *word,
						     const char *format, ...)
{
	char message[200];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return net_bad(r->error, &word->place, "%s", message);
}

/* The next word of the line; one of no characters at its end. */
static struct word next(struct reader *r)
{
	struct word word;

	r->at += strspn(r->at, SPACE);
	word.text = r->at;
	word.place = (struct net_place){r->net->path, r->number, r->at - r->line + 1};
	r->at += strcspn(r->at, SPACE);
	if (*r->at)
		*r->at++ = '\0';
	return word;
}

static int expect_end(struct reader *r, const char *after)
{
	struct word word = next(r);

	if (!*word.text)
		return 0;
	return bad(r, &word, "'%.40s' where the line should end, behind %s", word.text, after);
}

/* A part of a word, for messages that point into it. */
static struct word part(const struct word *word, char *from)
{
	struct word result = *word;

	result.place.column += from - word->text;
	result.text = from;
	return result;
}

/* ---------------------------------------------------------------- values */

static int number(struct reader *r, const struct word *word, uint32_t low, uint32_t high,
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

/* Numbers with @separator between them: as many as there are, at most @most. */
static int numbers(struct reader *r, const struct word *word, char separator, uint32_t low,
		   uint32_t *values, uint32_t most, uint32_t *count)
{
	char *at = word->text, *end;
	int err = 0;

	for (*count = 0; at && !err; (*count)++, at = end) {
		struct word item = part(word, at);

		end = strchr(at, separator);
		if (end)
			*end++ = '\0';
		if (*count == most)
			return bad(r, &item,
				   "at most %u numbers were expected, with '%c' between them", most,
				   separator);
		err = number(r, &item, low, NET_MAX_DIM, &values[*count]);
	}
	return err;
}

/* "3" or "3x5" */
static int pair(struct reader *r, const struct word *word, struct net_pair *result)
{
	uint32_t values[2], count;
	int err = numbers(r, word, 'x', 1, values, 2, &count);

	if (!err)
		*result = (struct net_pair){values[0], values[count - 1]};
	return err;
}

/* "1": all sides; "1x2": top and bottom, left and right; "1,2,3,4": top, bottom, left, right */
static int padding(struct reader *r, const struct word *word, struct net_padding *pad)
{
	uint32_t v[4], count;
	bool sides = strchr(word->text, ',');
	int err = numbers(r, word, sides ? ',' : 'x', 0, v, sides ? 4 : 2, &count);

	if (err)
		return err;
	if (sides && count != 4)
		return bad(r, word, "pad needs all four sides: top,bottom,left,right");
	*pad = sides ? (struct net_padding){v[0], v[1], v[2], v[3]}
		     : (struct net_padding){v[0], v[0], v[count - 1], v[count - 1]};
	return 0;
}

static int one_of(struct reader *r, const struct word *word, const char *a, const char *b,
		  bool *second)
{
	*second = !strcmp(word->text, b);
	if (!*second && strcmp(word->text, a))
		return bad(r, word, "'%.40s': %s or %s was expected", word->text, a, b);
	return 0;
}

static const struct net_layer *find(const struct net *net, const char *name)
{
	for (uint32_t i = 0; i < net->num_layers; i++)
		if (!strcmp(net->layers[i].name, name))
			return &net->layers[i];
	return NULL;
}

/* "a,b": layers before this one, which is the last. */
static int sources(struct reader *r, const struct word *word, struct net_layer *layer)
{
	char *at = word->text, *end;

	for (layer->num_inputs = 0; at; at = end) {
		struct word item = part(word, at);
		const struct net_layer *source;

		end = strchr(at, ',');
		if (end)
			*end++ = '\0';
		source = find(r->net, at);
		if (!source || source == layer)
			return bad(r, &item, "'%.40s': the name of a layer above was expected", at);
		if (layer->num_inputs == NET_MAX_INPUTS)
			return bad(r, &item, "more than %d inputs", NET_MAX_INPUTS);
		layer->inputs[layer->num_inputs++] = source - r->net->layers;
	}
	if ((layer->num_inputs > 1) != (layer->kind == NET_ADD || layer->kind == NET_CONCAT))
		return bad(r, word, "%s needs %s", net_kind_name(layer->kind),
			   layer->num_inputs > 1 ? "one layer, not several"
						 : "several layers, as in from=a,b");
	return 0;
}

/* ---------------------------------------------------------------- layers */

enum key { OUT, KERNEL, STRIDE, PAD, DILATION, GROUPS, BIAS, TYPE, ROUND, FROM, NUM_KEYS };

static const char *const keys[NUM_KEYS] = {
	[OUT] = "out",		 [KERNEL] = "kernel", [STRIDE] = "stride", [PAD] = "pad",
	[DILATION] = "dilation", [GROUPS] = "groups", [BIAS] = "bias",	   [TYPE] = "type",
	[ROUND] = "round",	 [FROM] = "from",
};

#define BIT(key) (1u << (key))

/* What a kind of layer takes, and what it cannot do without. */
static const struct {
	uint32_t takes;
	uint32_t needs;
} grammar[NET_NUM_KINDS] = {
	[NET_LINEAR] = {BIT(OUT) | BIT(BIAS) | BIT(FROM), BIT(OUT)},
	[NET_CONV] = {BIT(OUT) | BIT(KERNEL) | BIT(STRIDE) | BIT(PAD) | BIT(DILATION) |
			      BIT(GROUPS) | BIT(BIAS) | BIT(FROM),
		      BIT(OUT) | BIT(KERNEL)},
	[NET_POOL] = {BIT(KERNEL) | BIT(STRIDE) | BIT(PAD) | BIT(TYPE) | BIT(ROUND) | BIT(FROM),
		      BIT(KERNEL) | BIT(TYPE)},
	[NET_RELU] = {BIT(FROM), 0},
	[NET_BATCHNORM] = {BIT(FROM), 0},
	[NET_ADD] = {BIT(FROM), BIT(FROM)},
	[NET_CONCAT] = {BIT(FROM), BIT(FROM)},
	[NET_FLATTEN] = {BIT(FROM), 0},
	[NET_DROPOUT] = {BIT(FROM), 0},
	[NET_SOFTMAX] = {BIT(FROM), 0},
};

static void list_keys(uint32_t set, char *list, size_t size)
{
	list[0] = '\0';
	for (int key = 0; key < NUM_KEYS; key++) {
		if (!(set & BIT(key)))
			continue;
		strncat(list, *list ? ", " : "", size - strlen(list) - 1);
		strncat(list, keys[key], size - strlen(list) - 1);
	}
}

static int set_key(struct reader *r, struct net_layer *layer, enum key key,
		   const struct word *value)
{
	bool ignored;

	switch (key) {
	case OUT:
		return number(r, value, 1, NET_MAX_DIM, &layer->out);
	case KERNEL:
		return pair(r, value, &layer->kernel);
	case STRIDE:
		return pair(r, value, &layer->stride);
	case PAD:
		return padding(r, value, &layer->pad);
	case DILATION:
		return pair(r, value, &layer->dilation);
	case GROUPS:
		return number(r, value, 1, NET_MAX_DIM, &layer->groups);
	case BIAS:
		return one_of(r, value, "off", "on", &layer->bias);
	case TYPE:
		return one_of(r, value, "max", "average", &ignored);
	case ROUND:
		return one_of(r, value, "down", "up", &layer->ceil);
	default:
		return sources(r, value, layer);
	}
}

/* One "key=value" of a layer. */
static int argument(struct reader *r, struct net_layer *layer, struct word *word, uint32_t *seen)
{
	char *equals = strchr(word->text, '='), list[160];
	struct word value;
	int key = 0;

	list_keys(grammar[layer->kind].takes, list, sizeof(list));
	if (!equals)
		return bad(r, word, "'%.40s': key=value was expected, with one of %s", word->text,
			   list);
	*equals = '\0';
	value = part(word, equals + 1);
	while (key < NUM_KEYS && strcmp(word->text, keys[key]))
		key++;
	if (key == NUM_KEYS || !(grammar[layer->kind].takes & BIT(key)))
		return bad(r, word, "%s has no '%.40s'; expected: %s", net_kind_name(layer->kind),
			   word->text, list);
	if (*seen & BIT(key))
		return bad(r, word, "%s is given twice", keys[key]);
	*seen |= BIT(key);
	if (!*value.text)
		return bad(r, &value, "a value of %s was expected", keys[key]);
	return set_key(r, layer, key, &value);
}

static int arguments(struct reader *r, struct net_layer *layer, const struct word *kind)
{
	uint32_t seen = 0, missing;
	struct word word;
	char list[160];
	int err;

	layer->inputs[0] = layer - r->net->layers - 1; /* the one before, if it does not say */
	layer->num_inputs = 1;
	for (word = next(r); *word.text; word = next(r)) {
		err = argument(r, layer, &word, &seen);
		if (err)
			return err;
	}
	missing = grammar[layer->kind].needs & ~seen;
	list_keys(missing, list, sizeof(list));
	if (missing)
		return bad(r, &word, "%s needs %s too", net_kind_name(layer->kind), list);
	if (layer->kind == NET_POOL && !(seen & BIT(STRIDE)))
		layer->stride = layer->kernel;
	return net_infer(r->net, layer, &kind->place, r->error);
}

static int check_name(struct reader *r, const struct word *word)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-./";
	size_t length = strlen(word->text);

	if (!length || length >= NET_NAME || word->text[strspn(word->text, allowed)])
		return bad(r, word,
			   "'%.40s': a name of 1 to %d letters, digits, _ - . / was expected",
			   word->text, NET_NAME - 1);
	return 0;
}

static int check_layer_name(struct reader *r, const struct word *name)
{
	int err = check_name(r, name);

	if (!err && find(r->net, name->text))
		err = bad(r, name, "there is a layer '%s' already", name->text);
	return err;
}

static int add_layer(struct reader *r, const struct word *name, const struct word *kind)
{
	int k = NET_LINEAR, err = name ? check_layer_name(r, name) : 0;
	struct net_layer *layer;

	if (err)
		return err;
	while (k < NET_NUM_KINDS && strcmp(kind->text, net_kind_name(k)))
		k++;
	if (k == NET_NUM_KINDS)
		return bad(
			r, kind,
			"'%.40s': linear, conv, pool, relu, batchnorm, add, concat, flatten, dropout or softmax was expected",
			kind->text);
	if (!r->net->num_layers)
		return bad(r, kind, "'input' was expected before the first layer");
	layer = net_append(r->net, k, r->number);
	if (!layer)
		return bad(r, kind, "no room for more layers (at most %d)", NET_MAX_LAYERS);
	if (name)
		snprintf(layer->name, sizeof(layer->name), "%s", name->text);
	return arguments(r, layer, kind);
}

/* ---------------------------------------------------------------- other statements */

/* "input 9216" or "input 3 x 227 x 227" */
static int read_input(struct reader *r, const struct word *first)
{
	char text[128] = "";
	uint32_t v[3], count = 0;
	struct net_layer *layer;
	struct word word = next(r), all = word;
	int err;

	for (; *word.text; word = next(r))
		strncat(text, word.text, sizeof(text) - strlen(text) - 1);
	if (r->net->num_layers)
		return bad(r, first, "there is an input already");
	all.text = text;
	err = numbers(r, &all, 'x', 1, v, 3, &count);
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
	struct word word = next(r);
	int err;

	if (r->batched)
		return bad(r, first, "there is a batch already");
	r->batched = true;
	err = number(r, &word, 1, NET_MAX_DIM, &r->net->batch);
	return err ? err : expect_end(r, "the batch");
}

static int read_network(struct reader *r, const struct word *first)
{
	struct word word = next(r);
	int err = check_name(r, &word);

	if (err)
		return err;
	if (r->named)
		return bad(r, first, "the network has a name already");
	r->named = true;
	snprintf(r->net->name, sizeof(r->net->name), "%s", word.text);
	return expect_end(r, "the network's name");
}

static int statement(struct reader *r)
{
	struct word word = next(r), kind;
	size_t length = strlen(word.text);

	if (!length)
		return 0;
	if (!strcmp(word.text, "network"))
		return read_network(r, &word);
	if (!strcmp(word.text, "batch"))
		return read_batch(r, &word);
	if (!strcmp(word.text, "input"))
		return read_input(r, &word);
	if (word.text[length - 1] != ':')
		return add_layer(r, NULL, &word);
	word.text[length - 1] = '\0';
	kind = next(r);
	return add_layer(r, &word, &kind);
}

int net_read_own(struct net *net, char *text, struct igrad_error *error)
{
	struct reader r = {.net = net, .error = error};
	int err = 0;

	net->chain = true;
	while (text && !err) {
		char *line = strsep(&text, "\n");

		r.number++;
		r.line = r.at = line;
		line[strcspn(line, "#")] = '\0';
		err = statement(&r);
	}
	if (!err && net->num_layers < 2) {
		struct net_place end = {net->path, r.number, 1};

		err = net_bad(error, &end, "the file ends, but %s was expected",
			      net->num_layers ? "a layer" : "'input' and layers");
	}
	if (!err && !r.batched)
		net->notes[net->num_notes++] = "the file has no batch; --batch says it";
	return err;
}
