// SPDX-License-Identifier: MIT
/* Lines that are layers: what each kind takes. README.md has the grammar. */
#include <stdio.h>
#include <string.h>

#include "own.h"

enum key {
	OUT,
	KERNEL,
	STRIDE,
	PAD,
	DILATION,
	GROUPS,
	BIAS,
	TYPE,
	ROUND,
	BORDER,
	RATE,
	EPS,
	SIZE,
	ALPHA,
	BETA,
	K,
	FROM,
	NUM_KEYS
};

static const char *const keys[NUM_KEYS] = {
	[OUT] = "out",	 [KERNEL] = "kernel",	  [STRIDE] = "stride", [PAD] = "pad",
	[TYPE] = "type", [DILATION] = "dilation", [GROUPS] = "groups", [BIAS] = "bias",
	[RATE] = "rate", [ROUND] = "round",	  [BORDER] = "border", [EPS] = "eps",
	[SIZE] = "size", [ALPHA] = "alpha",	  [BETA] = "beta",     [K] = "k",
	[FROM] = "from",
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
	[NET_POOL] = {BIT(KERNEL) | BIT(STRIDE) | BIT(PAD) | BIT(TYPE) | BIT(ROUND) | BIT(BORDER) |
			      BIT(FROM),
		      BIT(KERNEL) | BIT(TYPE)},
	[NET_RELU] = {BIT(FROM), 0},
	[NET_BATCHNORM] = {BIT(EPS) | BIT(FROM), 0},
	[NET_LRN] = {BIT(SIZE) | BIT(ALPHA) | BIT(BETA) | BIT(K) | BIT(FROM), BIT(SIZE)},
	[NET_ADD] = {BIT(FROM), BIT(FROM)},
	[NET_CONCAT] = {BIT(FROM), BIT(FROM)},
	[NET_FLATTEN] = {BIT(FROM), 0},
	[NET_DROPOUT] = {BIT(RATE) | BIT(FROM), 0},
	[NET_SOFTMAX] = {BIT(FROM), 0},
};

enum net_kind layer_kind(const char *name)
{
	int kind = NET_LINEAR;

	while (kind < NET_NUM_KINDS && strcmp(name, net_kind_name(kind)))
		kind++;
	return kind;
}

/* ---------------------------------------------------------------- names */

static bool full_name(const struct reader *r, const char *name, char full[NET_NAME])
{
	return snprintf(full, NET_NAME, "%s%s", r->scope->prefix, name) < NET_NAME;
}

int64_t layer_source(const struct reader *r, const char *name)
{
	char full[NET_NAME];

	if (!strcmp(name, "input"))
		return r->scope->input;
	return full_name(r, name, full) ? names_find(&r->names, full) : -1;
}

int layer_register(struct reader *r, const struct word *name, uint32_t layer)
{
	char full[NET_NAME];
	int err = word_name(r, name);

	if (err)
		return err;
	if (!full_name(r, name->text, full))
		return bad(r, name, "'%s%s' is longer than %d characters", r->scope->prefix,
			   name->text, NET_NAME - 1);
	if (layer_source(r, name->text) >= 0)
		return bad(r, name, "there is a layer '%s' already", full);
	if (!names_add(&r->names, full, layer))
		return bad(r, name, "no room for more names (at most %d)", 2 * NET_MAX_LAYERS);
	return 0;
}

void layer_name_itself(struct reader *r, const char *kind, char *name, size_t size)
{
	int length = snprintf(name, size, "%s%s@%u", r->scope->prefix, kind, r->number);

	if (r->repeats && (size_t)length < size)
		snprintf(name + length, size - length, "#%u", ++r->unnamed);
}

/* ---------------------------------------------------------------- arguments */

/* "a,b": layers before this one. */
static int sources(struct reader *r, const struct word *word, struct net_layer *layer)
{
	char *at = word->text, *end;

	for (layer->num_inputs = 0; at; at = end) {
		struct word item = word_at(r, at);
		int64_t source;

		end = strchr(at, ',');
		if (end)
			*end++ = '\0';
		source = layer_source(r, at);
		if (source < 0 || source == layer - r->net->layers)
			return bad(r, &item, "'%.40s': the name of a layer above was expected", at);
		if (layer->num_inputs == NET_MAX_INPUTS)
			return bad(r, &item, "more than %d inputs", NET_MAX_INPUTS);
		layer->inputs[layer->num_inputs++] = source;
	}
	if ((layer->num_inputs > 1) != (layer->kind == NET_ADD || layer->kind == NET_CONCAT))
		return bad(r, word, "%s needs %s", net_kind_name(layer->kind),
			   layer->num_inputs > 1 ? "one layer, not several"
						 : "several layers, as in from=a,b");
	return 0;
}

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

/* "all": as large as the input, which net_infer() knows */
static int kernel(struct reader *r, const struct word *value, struct net_layer *layer)
{
	if (layer->kind != NET_POOL || strcmp(value->text, "all"))
		return word_pair(r, value, &layer->kernel);
	layer->kernel = (struct net_pair){0, 0};
	return 0;
}

static int set_window(struct reader *r, struct net_layer *layer, enum key key,
		      const struct word *value)
{
	switch (key) {
	case KERNEL:
		return kernel(r, value, layer);
	case STRIDE:
		return word_pair(r, value, &layer->stride);
	case PAD:
		return word_padding(r, value, &layer->pad);
	case DILATION:
		return word_pair(r, value, &layer->dilation);
	case TYPE:
		return word_choice(r, value, "max", "average", &layer->average);
	case ROUND:
		return word_choice(r, value, "down", "up", &layer->ceil);
	default:
		return word_choice(r, value, "count", "skip", &layer->skip_border);
	}
}

static int set_key(struct reader *r, struct net_layer *layer, enum key key,
		   const struct word *value)
{
	switch (key) {
	case OUT:
		return word_number(r, value, 1, NET_MAX_DIM, &layer->out);
	case GROUPS:
		return word_number(r, value, 1, NET_MAX_DIM, &layer->groups);
	case BIAS:
		return word_choice(r, value, "off", "on", &layer->bias);
	case RATE:
		return word_real(r, value, 1.0f, &layer->rate);
	case EPS:
		return word_real(r, value, 1.0f, &layer->eps);
	case SIZE:
		return word_number(r, value, 1, NET_MAX_DIM, &layer->lrn.size);
	case ALPHA:
		return word_real(r, value, 1e6f, &layer->lrn.alpha);
	case BETA:
		return word_real(r, value, 1e6f, &layer->lrn.beta);
	case K:
		return word_real(r, value, 1e6f, &layer->lrn.k);
	case FROM:
		return sources(r, value, layer);
	default:
		return set_window(r, layer, key, value);
	}
}

/* One "key=value" of a layer. */
static int argument(struct reader *r, struct net_layer *layer, struct word *word, uint32_t *seen)
{
	struct word value;
	char list[160], expected[200];
	int key = 0, err;

	list_keys(grammar[layer->kind].takes, list, sizeof(list));
	snprintf(expected, sizeof(expected), "key=value was expected, with one of %s", list);
	err = word_split(r, word, &value, expected);
	if (err)
		return err;
	while (key < NUM_KEYS && strcmp(word->text, keys[key]))
		key++;
	if (key == NUM_KEYS || !(grammar[layer->kind].takes & BIT(key)))
		return bad(r, word, "%s has no '%.40s'; expected: %s", net_kind_name(layer->kind),
			   word->text, list);
	if (*seen & BIT(key))
		return bad(r, word, "%s is given twice", keys[key]);
	*seen |= BIT(key);
	return set_key(r, layer, key, &value);
}

/* ---------------------------------------------------------------- layers */

/* What can only be said when all arguments are there; @end: of the line. */
static int check(struct reader *r, struct net_layer *layer, uint32_t seen, const struct word *kind,
		 const struct word *end)
{
	const uint32_t whole = BIT(STRIDE) | BIT(PAD) | BIT(ROUND) | BIT(BORDER);
	char list[160];

	list_keys(grammar[layer->kind].needs & ~seen, list, sizeof(list));
	if (*list)
		return bad(r, end, "%s needs %s too", net_kind_name(layer->kind), list);
	if (layer->kind != NET_POOL)
		return 0;
	if (!layer->kernel.h && seen & whole)
		return bad(r, kind, "kernel=all goes without stride, pad, round and border");
	if (layer->skip_border && !layer->average)
		return bad(r, kind, "border=skip is for type=average");
	if (layer->kernel.h && !(seen & BIT(STRIDE)))
		layer->stride = layer->kernel;
	return 0;
}

static int arguments(struct reader *r, struct net_layer *layer, const struct word *kind)
{
	struct word word;
	uint32_t seen = 0;
	int err = 0;

	for (word = word_next(r); *word.text && !err; word = word_next(r))
		err = argument(r, layer, &word, &seen);
	if (!err)
		err = check(r, layer, seen, kind, &word);
	return err ? err : net_infer(r->net, layer, &kind->place, r->error);
}

int layer_read(struct reader *r, const struct word *name, const struct word *kind)
{
	enum net_kind k = layer_kind(kind->text);
	struct net_layer *layer;
	int err;

	if (k == NET_NUM_KINDS)
		return bad(
			r, kind,
			"'%.40s': linear, conv, pool, relu, batchnorm, lrn, add, concat, flatten, dropout, softmax or a block above was expected",
			kind->text);
	if (!r->net->num_layers)
		return bad(r, kind, "'input' was expected before the first layer");
	layer = net_append(r->net, k, r->number);
	if (!layer)
		return bad(r, kind, "no room for more layers (at most %d)", NET_MAX_LAYERS);
	layer->inputs[0] = r->scope->last; /* if it does not say */
	layer->num_inputs = 1;
	err = name ? layer_register(r, name, layer - r->net->layers) : 0;
	if (err)
		return err;
	if (name)
		full_name(r, name->text, layer->name);
	else
		layer_name_itself(r, kind->text, layer->name, sizeof(layer->name));
	r->scope->last = layer - r->net->layers;
	return arguments(r, layer, kind);
}
