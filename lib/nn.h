/* SPDX-License-Identifier: MIT */
/* Networks from the inside: parameters, and one batch's way through the layers. Internal. */
#ifndef IGRAD_NN_INTERNAL_H
#define IGRAD_NN_INTERNAL_H

#include <stdatomic.h>

#include "igrad/nn.h"

/**
 * struct igrad_layer - where a layer's parameters are
 * @vw, @vb: their velocities or first moments, if the network has any
 * @sw, @sb: their second moments, likewise
 */
struct igrad_layer {
	struct igrad_matrix w;
	struct igrad_matrix b;
	struct igrad_matrix vw;
	struct igrad_matrix vb;
	struct igrad_matrix sw;
	struct igrad_matrix sb;
};

/**
 * struct igrad_net - see igrad_net_new()
 * @velocities: of momentum; with @squares, Adam's first moments
 * @adam_steps: that the moments come from
 */
struct igrad_net {
	atomic_uint refs;
	struct igrad_device *device;
	enum igrad_element dtype;
	uint32_t num_layers;
	uint32_t width[IGRAD_NET_MAX_LAYERS + 1];
	struct igrad_buffer *params;
	struct igrad_buffer *velocities;
	struct igrad_buffer *squares;
	uint32_t adam_steps;
	struct igrad_layer layers[IGRAD_NET_MAX_LAYERS];
};

/**
 * igrad_net_add_velocities, igrad_net_add_moments - what momentum needs, and Adam
 *
 * It is 0 at first, unless the network has been trained that way.
 */
int igrad_net_add_velocities(struct igrad_net *net);
int igrad_net_add_moments(struct igrad_net *net);

/**
 * struct igrad_scratch - activations and their gradients, shared by passes that run one after
 * another
 */
struct igrad_scratch {
	struct igrad_buffer *buffer;
	struct igrad_matrix y[IGRAD_NET_MAX_LAYERS]; /* of hidden layers, after ReLU */
	struct igrad_matrix dy[IGRAD_NET_MAX_LAYERS];
};

int igrad_scratch_init(struct igrad_scratch *scratch, struct igrad_net *net, uint32_t batch);
void igrad_scratch_fini(struct igrad_scratch *scratch);

/**
 * struct igrad_pass - one batch's way through the network: a command buffer and its own memory
 * @adam: constants of the step, if it is Adam's
 * @values: bf16: where x is filled in with fp32, to be rounded when it is submitted, or NULL
 * @level: what each byte of a data set stands for
 * @fence: of the submission whose results have not been looked at, or NULL
 */
struct igrad_pass {
	struct igrad_net *net;
	uint32_t batch;
	struct igrad_buffer *buffer;
	struct igrad_matrix x;
	struct igrad_matrix labels;
	struct igrad_matrix logits;
	struct igrad_matrix dlogits;
	struct igrad_matrix losses;
	struct igrad_matrix adam;
	float *values;
	float level[256];
	struct igrad_cmdbuf *cmdbuf;
	struct igrad_fence *fence;
};

/** igrad_pass_init - @options: how to train, or NULL: forward and loss only; @error names a layer
 */
int igrad_pass_init(struct igrad_pass *pass, struct igrad_net *net,
		    const struct igrad_scratch *scratch, uint32_t batch,
		    const struct igrad_train_options *options, struct igrad_error *error);
void igrad_pass_fini(struct igrad_pass *pass);

/** igrad_pass_fill - the batch's @row-th row is row @index of @data */
void igrad_pass_fill(struct igrad_pass *pass, uint32_t row, const struct igrad_dataset *data,
		     uint32_t index);
/** igrad_pass_x - the batch as fp32, to be filled in */
float *igrad_pass_x(struct igrad_pass *pass);
int igrad_pass_submit(struct igrad_pass *pass, struct igrad_queue *queue);
/** igrad_pass_collect - wait for the last submission, if any, and add its results to @stats */
int igrad_pass_collect(struct igrad_pass *pass, struct igrad_train_stats *stats);

/**
 * igrad_matrix_place - the next matrix of a buffer that is being laid out
 * @offset: where the buffer ends so far; each matrix begins on a cache line of its own
 */
struct igrad_matrix igrad_matrix_place(uint64_t *offset, uint32_t rows, uint32_t cols,
				       enum igrad_element dtype);

/** igrad_matrix_data - where a matrix is mapped; rows are contiguous here */
void *igrad_matrix_data(const struct igrad_matrix *matrix);

/** igrad_queue_explain - put why jobs of @queue fail into @error; returns @err */
int igrad_queue_explain(struct igrad_queue *queue, int err, struct igrad_error *error);

#endif /* IGRAD_NN_INTERNAL_H */
