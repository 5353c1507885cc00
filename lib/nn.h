/* SPDX-License-Identifier: MIT */
/*
 * Networks from the inside: the graph and its parameters; the program that one batch's way through
 * it is; passes that execute it. Internal.
 */
#ifndef IGRAD_NN_INTERNAL_H
#define IGRAD_NN_INTERNAL_H

#include <stdatomic.h>

#include "igrad/conv.h"
#include "igrad/layers.h"
#include "igrad/nn.h"
#include "igrad/safetensors.h"

#define IGRAD_NONE UINT32_MAX

/* ---------------------------------------------------------------- nn-graph.c */

/** struct igrad_shape - of a layer's result, per image */
struct igrad_shape {
	uint32_t channels;
	uint32_t height;
	uint32_t width;
};

/**
 * struct igrad_node - a layer of the graph
 * @d: as it was described; names are the node's own
 * @where: what messages call it
 * @learns: there are parameters in it or before it, so its result needs a gradient
 * @readers: how many inputs of other nodes it is; @reader: the last of them
 * @layer: its parameters', or IGRAD_NONE
 */
struct igrad_node {
	struct igrad_net_layer d;
	char *name;
	char *where;
	struct igrad_shape shape;
	bool learns;
	uint32_t readers;
	uint32_t reader;
	uint32_t layer;
};

/** igrad_graph_init - copy and check a description; igrad_graph_fini() cleans up in any case */
int igrad_graph_init(struct igrad_net *net, const struct igrad_net_layer *layers, uint32_t count,
		     struct igrad_error *error);
void igrad_graph_fini(struct igrad_net *net);

/** igrad_node_conv, igrad_node_pool - the shape of a convolution, and of pooling, of @batch images
 */
struct igrad_conv_shape igrad_node_conv(const struct igrad_net *net, const struct igrad_node *node,
					uint32_t batch);
struct igrad_pool_shape igrad_node_pool(const struct igrad_net *net, const struct igrad_node *node,
					uint32_t batch);

/* ---------------------------------------------------------------- nn-widths.c */

/** igrad_widths_init - the graph that a list of widths stands for */
int igrad_widths_init(struct igrad_net *net, const char *widths, struct igrad_error *error);

/* ---------------------------------------------------------------- nn-net.c */

/**
 * struct igrad_layer - where the parameters of a node are
 * @b: without a buffer where there is none
 * @vw, @vb: their velocities or first moments, if the network has any
 * @sw, @sb: their second moments, likewise
 * @mean, @variance: running statistics of batch normalisation, else without a buffer
 */
struct igrad_layer {
	uint32_t node;
	struct igrad_matrix w;
	struct igrad_matrix b;
	struct igrad_matrix vw;
	struct igrad_matrix vb;
	struct igrad_matrix sw;
	struct igrad_matrix sb;
	struct igrad_matrix mean;
	struct igrad_matrix variance;
};

/**
 * struct igrad_net - see igrad_net_new() and igrad_net_new_graph()
 * @nodes: each behind those that it reads
 * @layers: those with parameters, in the same order
 * @statistics: of batch normalisation, or NULL
 * @velocities: of momentum; with @squares, Adam's first moments
 * @adam_steps: that the moments come from
 */
struct igrad_net {
	atomic_uint refs;
	struct igrad_device *device;
	enum igrad_element dtype;
	struct igrad_node *nodes;
	uint32_t num_nodes;
	struct igrad_layer *layers;
	uint32_t num_layers;
	struct igrad_buffer *params;
	struct igrad_buffer *statistics;
	struct igrad_buffer *velocities;
	struct igrad_buffer *squares;
	uint32_t adam_steps;
};

/**
 * igrad_net_add_velocities, igrad_net_add_moments - what momentum needs, and Adam
 *
 * It is 0 at first, unless the network has been trained that way.
 */
int igrad_net_add_velocities(struct igrad_net *net);
int igrad_net_add_moments(struct igrad_net *net);

/**
 * igrad_matrix_place - the next matrix of a buffer that is being laid out
 * @offset: where the buffer ends so far; each matrix begins on a cache line of its own
 */
struct igrad_matrix igrad_matrix_place(uint64_t *offset, uint32_t rows, uint32_t cols,
				       enum igrad_element dtype);

/** igrad_matrix_data - where a matrix is mapped; rows are contiguous here */
void *igrad_matrix_data(const struct igrad_matrix *matrix);

/* ---------------------------------------------------------------- nn-file.c */

/** igrad_net_save_with - igrad_net_save(), with more in the file */
int igrad_net_save_with(const struct igrad_net *net, const char *path, bool velocity,
			const struct igrad_tensor *extra, size_t num_extra,
			const struct igrad_metadata *metadata, size_t num_metadata,
			struct igrad_error *error);
/** igrad_net_tensors - how many such a file holds of the network itself */
size_t igrad_net_tensors(const struct igrad_net *net);
/** igrad_net_load_from - igrad_net_load() of a file that is in memory */
int igrad_net_load_from(struct igrad_net *net, const struct igrad_safetensors *file,
			const char *path, struct igrad_error *error);

/* ---------------------------------------------------------------- nn-program.c */

/* Where values live: in the network's memory for activations, or in a pass's own, where the host
 * fills them in or reads them. */
enum igrad_home {
	IGRAD_HOME_ARENA,
	IGRAD_HOME_X,
	IGRAD_HOME_LOGITS,
};

/**
 * struct igrad_storage - memory for a value, or for several beside each other in its columns
 * @first: the first operation that uses it; @last: the last
 * @offset: in the arena
 */
struct igrad_storage {
	enum igrad_home home;
	uint32_t rows;
	uint32_t cols;
	enum igrad_element dtype;
	uint32_t first;
	uint32_t last;
	uint64_t offset;
};

/**
 * struct igrad_view - a value: columns of a storage
 * @owned: a gradient that nothing else has a share in, so that it may be added to in place
 */
struct igrad_view {
	uint32_t storage;
	uint32_t column;
	uint32_t rows;
	uint32_t cols;
	bool owned;
};

enum igrad_action {
	IGRAD_ACT_FORWARD, /* of the node's kind */
	IGRAD_ACT_BACKWARD,
	IGRAD_ACT_LOSS,
	IGRAD_ACT_COPY,	     /* x to y */
	IGRAD_ACT_SUM,	     /* y = x + other */
	IGRAD_ACT_RELU_GRAD, /* dx: dy where y is above 0 */
};

/**
 * struct igrad_op - an operation; views by their places, or IGRAD_NONE
 * @relu: follows in the same operation
 * @extra: positions of maxima; mean of the batch; @extra2: 1/σ of the batch
 * @dw, @db: gradients that the operation itself has to keep, of batch normalisation
 */
struct igrad_op {
	enum igrad_action action;
	uint32_t node;
	bool relu;
	uint32_t x;
	uint32_t other;
	uint32_t y;
	uint32_t dy;
	uint32_t dx;
	uint32_t extra;
	uint32_t extra2;
	uint32_t dw;
	uint32_t db;
};

/**
 * struct igrad_program - a batch's way through a network: operations in their order, and the memory
 * that they need
 * @training: else forward and loss only
 * @logits: view of what the loss takes
 * @arena: shared by passes that run one after another
 */
struct igrad_program {
	struct igrad_net *net;
	uint32_t batch;
	bool training;
	struct igrad_op *ops;
	uint32_t num_ops;
	struct igrad_view *views;
	uint32_t num_views;
	struct igrad_storage *storages;
	uint32_t num_storages;
	uint32_t logits;
	struct igrad_buffer *arena;
	uint64_t arena_size;
};

int igrad_program_init(struct igrad_program *program, struct igrad_net *net, uint32_t batch,
		       bool training, struct igrad_error *error);
void igrad_program_fini(struct igrad_program *program);

/**
 * struct igrad_writer - a program while it is written
 * @err: the first error; later calls do nothing
 * @value: of each node: a view of its result; without @training that of dropout is its input
 * @grad: of each node: a view of its result's gradient as far as it has been summed up
 * @forward: of each node: its operation
 */
struct igrad_writer {
	struct igrad_program *p;
	int err;
	uint32_t room_ops;
	uint32_t room_views;
	uint32_t room_storages;
	uint32_t *value;
	uint32_t *grad;
	uint32_t *forward;
};

/** igrad_writer_op - append an operation */
void igrad_writer_op(struct igrad_writer *w, struct igrad_op op);
/** igrad_writer_new - a value with memory of its own; igrad_writer_view - columns of a storage */
uint32_t igrad_writer_new(struct igrad_writer *w, uint32_t rows, uint32_t cols,
			  enum igrad_element dtype);
uint32_t igrad_writer_view(struct igrad_writer *w, struct igrad_view view);
/** igrad_writer_like - a value with memory of its own, of the shape of @node's result */
uint32_t igrad_writer_like(struct igrad_writer *w, uint32_t node);
/** igrad_writer_reshape - @view with the shape of @node's result, in the same memory; @view is
 * copied first where its rows are apart */
uint32_t igrad_writer_reshape(struct igrad_writer *w, uint32_t view, uint32_t node);
/** igrad_writer_rows - of @node's result */
uint32_t igrad_writer_rows(const struct igrad_writer *w, uint32_t node);

/** igrad_no_op - an operation that has no views yet */
struct igrad_op igrad_no_op(enum igrad_action action, uint32_t node);

/** igrad_result_node - the node whose result an operation of @node gives: it, or the ReLU behind */
uint32_t igrad_result_node(const struct igrad_net *net, uint32_t node);

/** igrad_write_forward - of all nodes; igrad_write_backward: behind the loss */
void igrad_write_forward(struct igrad_writer *w);
void igrad_write_backward(struct igrad_writer *w);

/* ---------------------------------------------------------------- nn-memory.c */

/** igrad_program_lay_out - lifetimes, and a place in the arena for each */
int igrad_program_lay_out(struct igrad_program *program);

/* ---------------------------------------------------------------- nn-pass.c */

/**
 * struct igrad_pass - one batch's way through the network: a command buffer and its own memory
 * @adam: constants of the step, if it is Adam's
 * @seed: of the step's dropouts
 * @values: bf16: where x is filled in with fp32, to be rounded when it is submitted, or NULL
 * @fence: of the submission whose results have not been looked at, or NULL
 */
struct igrad_pass {
	struct igrad_net *net;
	const struct igrad_program *program;
	uint32_t batch;
	struct igrad_buffer *buffer;
	struct igrad_matrix x;
	struct igrad_matrix labels;
	struct igrad_matrix logits;
	struct igrad_matrix losses;
	struct igrad_matrix adam;
	struct igrad_matrix seed;
	float *values;
	float level[256];
	struct igrad_cmdbuf *cmdbuf;
	struct igrad_fence *fence;
};

/** igrad_pass_init - @options: how to train, or NULL: forward and loss only; @error names a layer
 */
int igrad_pass_init(struct igrad_pass *pass, const struct igrad_program *program,
		    const struct igrad_train_options *options, struct igrad_error *error);
/** igrad_pass_build - write its commands (again); no submission may be in flight */
int igrad_pass_build(struct igrad_pass *pass, const struct igrad_train_options *options,
		     struct igrad_error *error);
void igrad_pass_fini(struct igrad_pass *pass);

/** struct igrad_change - what is done to an image: moved by so many pixels, and mirrored */
struct igrad_change {
	int32_t down;
	int32_t right;
	bool flip;
};

/** igrad_pass_fill - the batch's @row-th row is row @index of @data; where it has been moved out of
 * sight there is 0 */
void igrad_pass_fill(struct igrad_pass *pass, uint32_t row, const struct igrad_dataset *data,
		     uint32_t index, struct igrad_change change);
/** igrad_pass_x - the batch as fp32, to be filled in */
float *igrad_pass_x(struct igrad_pass *pass);
int igrad_pass_submit(struct igrad_pass *pass, struct igrad_queue *queue);
/** igrad_pass_collect - wait for the last submission, if any, and add its results to @stats */
int igrad_pass_collect(struct igrad_pass *pass, struct igrad_train_stats *stats);

/** igrad_queue_explain - put why jobs of @queue fail into @error; returns @err */
int igrad_queue_explain(struct igrad_queue *queue, int err, struct igrad_error *error);

/* ---------------------------------------------------------------- nn-emit.c */

/** igrad_emit_op - the commands of one operation */
int igrad_emit_op(struct igrad_pass *pass, const struct igrad_op *op,
		  const struct igrad_train_options *options);

/* ---------------------------------------------------------------- nn-train.c */

#define IGRAD_NUM_PASSES 2

/** struct igrad_position - of a training: what its epochs are drawn from, and steps done in one */
struct igrad_position {
	uint64_t seed;
	uint32_t epoch;
	uint32_t step;
};

/**
 * struct igrad_trainer - two passes take turns, one being filled while the other runs
 * @rng: of the epoch: what changes images, and dropouts
 * @resumed: the position is that of a checkpoint, from which no step has been taken
 */
struct igrad_trainer {
	atomic_uint refs;
	struct igrad_net *net;
	struct igrad_queue *queue;
	struct igrad_train_options options;
	struct igrad_program program;
	struct igrad_pass passes[IGRAD_NUM_PASSES];
	unsigned int next;
	struct igrad_rng rng;
	struct igrad_position position;
	bool resumed;
	struct igrad_train_stats stats;
};

/** igrad_trainer_collect - wait until the next pass is free, and keep its results */
int igrad_trainer_collect(struct igrad_trainer *trainer, struct igrad_error *error);

#endif /* IGRAD_NN_INTERNAL_H */
