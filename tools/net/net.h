/* SPDX-License-Identifier: MIT */
/*
 * Networks, read from files of igrad's own format or of SCALE-Sim's. README.md has the grammar.
 * Every error names file, line, column and what was expected.
 */
#ifndef IGRAD_NET_H
#define IGRAD_NET_H

#include "igrad/igrad.h"

#define NET_MAX_LAYERS 4096
#define NET_MAX_INPUTS 16
#define NET_MAX_DIM    (1u << 24)
#define NET_MAX_COUNT  (1ull << 50) /* parameters or multiply-adds of a layer */
#define NET_NAME       64

enum net_kind {
	NET_INPUT,
	NET_LINEAR,
	NET_CONV,
	NET_POOL,
	NET_RELU,
	NET_BATCHNORM,
	NET_LRN,
	NET_ADD,
	NET_CONCAT,
	NET_FLATTEN,
	NET_DROPOUT,
	NET_SOFTMAX,
	NET_NUM_KINDS,
};

/** struct net_shape - of what a layer gives per batch row; @flat: features, else channels of h × w
 */
struct net_shape {
	bool flat;
	uint32_t c;
	uint32_t h;
	uint32_t w;
};

/* Sides of a window: kernels, strides and dilations are height and width. */
struct net_pair {
	uint32_t h;
	uint32_t w;
};

struct net_padding {
	uint32_t top;
	uint32_t bottom;
	uint32_t left;
	uint32_t right;
};

/**
 * struct net_layer - a layer; the first of a network is its input
 * @line: where it is in the file
 * @inputs: the layers whose results it takes, all before it
 * @out: NET_LINEAR, NET_CONV: features or channels
 * @ceil: NET_POOL: a last window that is not whole counts
 * @average: NET_POOL: else the maximum
 * @skip_border: NET_POOL: padding does not count in averages
 * @rate: NET_DROPOUT: of what is dropped
 * @eps: NET_BATCHNORM: what is added to variances
 * @lrn: NET_LRN: x / (k + alpha * sum of squares over @size channels)^beta
 * @batch: its own, where a file says it layer by layer; else 0
 * @learns: there are parameters in it or before it, so its result needs a gradient
 * @parameters: those that are learned
 * @macs: multiply-adds of a forward pass per batch row, of linear layers and convolutions
 * @note: what a reader should know of it, or NULL; to be freed
 */
struct net_layer {
	char name[NET_NAME];
	enum net_kind kind;
	unsigned int line;
	uint32_t inputs[NET_MAX_INPUTS];
	uint32_t num_inputs;
	uint32_t out;
	struct net_pair kernel;
	struct net_pair stride;
	struct net_pair dilation;
	struct net_padding pad;
	uint32_t groups;
	bool bias;
	bool ceil;
	bool average;
	bool skip_border;
	float rate;
	float eps;
	struct {
		uint32_t size;
		float alpha, beta, k;
	} lrn;
	uint32_t batch;
	struct net_shape shape;
	bool learns;
	uint64_t parameters;
	uint64_t macs;
	char *note;
};

/**
 * struct net - a network
 * @batch: 0 when the file does not say
 * @notes: what the file does not say, a sentence each
 * @chain: layers are connected; else each row of the file stands alone
 */
struct net {
	char *path;
	char name[NET_NAME];
	uint32_t batch;
	bool chain;
	struct net_layer *layers;
	uint32_t num_layers;
	const char *notes[4];
	uint32_t num_notes;
};

/** net_load - by the file's name: *.csv is SCALE-Sim's, anything else our own */
int net_load(const char *path, bool gemm, struct net **net, struct igrad_error *error);

/** net_parse - what net_load() would, if the file @path had this @text in our own format */
int net_parse(const char *path, const char *text, struct net **net, struct igrad_error *error);
void net_free(struct net *net);

/** net_kind_name - "linear" */
const char *net_kind_name(enum net_kind kind);

/** net_name_width - of the longest name of its layers, at least @least */
int net_name_width(const struct net *net, int least);

/** net_shape_text - "256 x 6 x 6" or "9216" */
const char *net_shape_text(const struct net_shape *shape, char text[48]);

/* ---------------------------------------------------------------- for the readers */

/**
 * struct net_place - somewhere in a file, for messages; columns count from 1
 * @context: said behind the message, or NULL
 */
struct net_place {
	const char *path;
	unsigned int line;
	unsigned int column;
	const char *context;
};

/** net_bad - an error at a place: -EBADMSG */
__attribute__((format(printf, 3, 4))) int
net_bad(struct igrad_error *error, const struct net_place *place, const char *format, ...);

/** net_append - a zeroed layer with its defaults set; NULL without memory or beyond the limit */
struct net_layer *net_append(struct net *net, enum net_kind kind, unsigned int line);

/** net_infer - fill in what follows from a layer whose inputs are known; says what does not fit */
int net_infer(struct net *net, struct net_layer *layer, const struct net_place *place,
	      struct igrad_error *error);

/** net_count - the part of net_infer() that counts parameters and multiply-adds */
int net_count(const struct net *net, struct net_layer *layer, const struct net_place *place,
	      struct igrad_error *error);

/** net_read_own, net_read_scalesim - @text ends with a NUL and is overwritten */
int net_read_own(struct net *net, char *text, struct igrad_error *error);
int net_read_scalesim(struct net *net, char *text, bool gemm, struct igrad_error *error);

#endif /* IGRAD_NET_H */
