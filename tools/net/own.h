/* SPDX-License-Identifier: MIT */
/*
 * Reading igrad's own format. Lines are read from the top; those of a block once for each use of
 * it, with that use's parameters, and those of a repeat once for each value of its counter.
 */
#ifndef IGRAD_NET_OWN_H
#define IGRAD_NET_OWN_H

#include <errno.h>

#include "net.h"

#define MAX_LINE    1023      /* characters, with parameters filled in */
#define MAX_NESTING 16	      /* of blocks and repeats */
#define MAX_STEPS   (1 << 16) /* lines that blocks and repeats unfold to */
#define MAX_BLOCKS  64
#define MAX_VALUES  32 /* parameters of a block, and counters around a line */

/* ---------------------------------------------------------------- source.c */

enum line_kind { LINE_STATEMENT, LINE_BLOCK, LINE_REPEAT, LINE_END };

/** struct source_line - without its comment; @end: LINE_BLOCK, LINE_REPEAT: where its 'end' is */
struct source_line {
	char *text;
	enum line_kind kind;
	uint32_t end;
};

/** struct source - the file's lines, from 0 */
struct source {
	struct source_line *lines;
	uint32_t count;
};

/* ---------------------------------------------------------------- names.c */

/** struct names - which layer a name means; a hash table */
struct names {
	struct name *slots;
	uint32_t count;
};

int names_new(struct names *names);
void names_free(struct names *names);

/** names_add - false when there is no room for more; names_find - the layer's index, or -1 */
bool names_add(struct names *names, const char *name, uint32_t layer);
int64_t names_find(const struct names *names, const char *name);

/* ---------------------------------------------------------------- what is read, and where */

/** struct value - what stands for {name}: a word, most often a number */
struct value {
	char name[NET_NAME];
	char text[NET_NAME];
};

/** struct block - @line: of its head; @params: those without a default have an empty text */
struct block {
	char name[NET_NAME];
	uint32_t line;
	struct value params[MAX_VALUES];
	uint32_t num_params;
	bool used;
};

/**
 * struct scope - the file, or one use of a block
 * @outer: where the block is used, in line @used; NULL: the file
 * @blocks: how many of the file's blocks are known in it: those above, so none uses itself
 * @prefix: of the names in it, as in "layer1.0."
 * @input: what 'input' is
 * @last: what a layer takes that does not say
 */
struct scope {
	struct scope *outer;
	unsigned int used;
	uint32_t blocks;
	char prefix[NET_NAME];
	uint32_t input;
	uint32_t last;
	struct value values[MAX_VALUES];
	uint32_t num_values;
};

/**
 * struct reader - @text: the line that is read, @columns: where in the file's line its characters
 * are from, @at: what is left of it
 * @repeats: counters around the line
 * @steps: lines unfolded so far
 * @unnamed: names given in repeats so far
 * @context: the uses of blocks around the line, for messages
 */
struct reader {
	struct net *net;
	struct igrad_error *error;
	struct source source;
	struct names names;
	struct block *blocks;
	uint32_t num_blocks;
	struct scope *scope;
	unsigned int number;
	char text[MAX_LINE + 1];
	unsigned int columns[MAX_LINE + 1];
	char *at;
	unsigned int depth, repeats, steps, unnamed;
	bool named, batched;
	char context[120];
};

/** struct word - and where it begins */
struct word {
	char *text;
	struct net_place place;
};

/** source_read - @text is cut into lines; says which blocks and repeats do not end */
int source_read(struct reader *r, char *text);

/* ---------------------------------------------------------------- expand.c */

/** expand - fill in parameters and counters, and begin to read the line */
int expand(struct reader *r, uint32_t line);

/** expand_raw - begin to read the line as it is */
int expand_raw(struct reader *r, uint32_t line);

/* ---------------------------------------------------------------- words.c */

__attribute__((format(printf, 3, 4))) int bad(struct reader *r, const struct word *word,
					      const char *format, ...);

/** word_next - the next word of the line; one of no characters at its end */
struct word word_next(struct reader *r);

/** word_at - what begins at @text in the line */
struct word word_at(struct reader *r, char *text);

/** word_rest - all the rest of the line, without spaces */
struct word word_rest(struct reader *r);

/** word_split - cut "key=value" at its sign; without one @expected, a sentence, is in the message
 */
int word_split(struct reader *r, struct word *word, struct word *value, const char *expected);

int word_end(struct reader *r, const char *after);

/** word_number - a whole number; word_real: one of at least 0, below @limit */
int word_number(struct reader *r, const struct word *word, uint32_t low, uint32_t high,
		uint32_t *result);
int word_real(struct reader *r, const struct word *word, float limit, float *result);

/** word_numbers - with @separator between them: as many as there are, at most @most */
int word_numbers(struct reader *r, const struct word *word, char separator, uint32_t low,
		 uint32_t *values, uint32_t most, uint32_t *count);

/** word_pair - "3" or "3x5" */
int word_pair(struct reader *r, const struct word *word, struct net_pair *result);

/** word_padding - "1": all sides; "1x2": vertical, horizontal; "1,2,3,4": top, bottom, left, right
 */
int word_padding(struct reader *r, const struct word *word, struct net_padding *pad);

int word_choice(struct reader *r, const struct word *word, const char *a, const char *b,
		bool *second);

/** word_name - is it a layer's name; word_identifier: is it one of a parameter */
int word_name(struct reader *r, const struct word *word);
int word_identifier(struct reader *r, const struct word *word);

/* ---------------------------------------------------------------- layers.c, blocks.c, own.c */

/** layer_kind - NET_NUM_KINDS: there is none of that name */
enum net_kind layer_kind(const char *name);

/** layer_source - the layer that a name means here: its index, or -1 */
int64_t layer_source(const struct reader *r, const char *name);

/** layer_register - name a layer in this scope; -EBADMSG if there is one */
int layer_register(struct reader *r, const struct word *name, uint32_t layer);

/**
 * layer_name_itself - "conv@12", for layers and uses of blocks without a name of their own; in
 * repeats, which come to a line several times, "conv@12#1"
 */
void layer_name_itself(struct reader *r, const char *kind, char *name, size_t size);

/** layer_read - the rest of a layer's line; @name may be NULL */
int layer_read(struct reader *r, const struct word *name, const struct word *kind);

const struct block *block_find(struct reader *r, const char *name);

/** block_use - the rest of a line that uses a block; @name may be NULL */
int block_use(struct reader *r, const struct word *name, const struct word *kind);

/** lines_read - lines from @first to before @end, with the blocks and repeats in them */
int lines_read(struct reader *r, uint32_t first, uint32_t end);

/** statement_read - a line that is neither block, repeat nor end */
int statement_read(struct reader *r);

#endif /* IGRAD_NET_OWN_H */
