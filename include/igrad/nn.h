/* SPDX-License-Identifier: MIT */
/*
 * libigrad: networks, trained for classification.
 *
 * A network is a graph of layers with one input and one result, behind which softmax cross-entropy
 * stands; a list of widths is the special case of linear layers with ReLU between them. A training
 * step is one command buffer, built once and submitted for every batch: forward, loss, backward and
 * update never go back to the CPU. Two of them with their own batch memory alternate, so that the
 * next batch is filled in while the device works.
 *
 * Conventions are those of igrad.h; a trainer or an evaluator may be used from one thread at a
 * time.
 */
#ifndef IGRAD_NN_H
#define IGRAD_NN_H

#include "igrad/igrad.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- random numbers */

/**
 * struct igrad_rng - xoshiro256**, seeded by splitmix64: the same numbers on every machine
 */
struct igrad_rng {
	uint64_t s[4];
};

void igrad_rng_seed(struct igrad_rng *rng, uint64_t seed);
uint64_t igrad_rng_next(struct igrad_rng *rng);
/** igrad_rng_below - 0 … @n − 1: the upper half of next() × n */
uint64_t igrad_rng_below(struct igrad_rng *rng, uint64_t n);
/** igrad_rng_float - 0 ≤ x < 1: the top 24 bits of next(), divided by 2^24 */
float igrad_rng_float(struct igrad_rng *rng);
/** igrad_rng_shuffle - 0 … @n − 1 in random order: from the last down, each swapped with below(i +
 * 1) */
void igrad_rng_shuffle(struct igrad_rng *rng, uint32_t *order, uint32_t n);

/* ---------------------------------------------------------------- networks */

struct igrad_net;

#define IGRAD_NET_MAX_LAYERS 64		/* linear layers of a list of widths */
#define IGRAD_NET_MAX_WIDTH  (1u << 20) /* in such a list */
#define IGRAD_NET_MAX_NODES  4096	/* layers of a graph */
#define IGRAD_NET_MAX_INPUTS 16		/* of a layer */

enum igrad_layer_kind {
	IGRAD_LAYER_INPUT, /* the first layer, and only that */
	IGRAD_LAYER_LINEAR,
	IGRAD_LAYER_CONV,
	IGRAD_LAYER_POOL,
	IGRAD_LAYER_RELU,
	IGRAD_LAYER_BATCHNORM,
	IGRAD_LAYER_ADD,
	IGRAD_LAYER_CONCAT,
	IGRAD_LAYER_DROPOUT,
	IGRAD_LAYER_FLATTEN,
	IGRAD_LAYER_SOFTMAX, /* the last layer, or none */
	IGRAD_NUM_LAYER_KINDS,
};

/**
 * struct igrad_net_layer - a layer of a graph
 * @name: of its parameters in files, as in NAME.weight; no other layer with parameters has it
 * @where: what messages call it, or NULL: its name
 * @inputs: the layers whose results it takes, by their places in the array, all before it
 * @num_inputs: 0 for the input, several for IGRAD_LAYER_ADD and _CONCAT, else 1
 * @channels: IGRAD_LAYER_INPUT: of an image; features, if it is none
 * @height: likewise; 1 if it is none; @width likewise
 * @out: IGRAD_LAYER_LINEAR, _CONV: features or channels
 * @bias: likewise: is there one?
 * @kernel_y: IGRAD_LAYER_CONV, _POOL, like the following ones: as in struct igrad_conv_shape
 * @groups: IGRAD_LAYER_CONV; dilation too
 * @average: IGRAD_LAYER_POOL: else the maximum
 * @ceil: IGRAD_LAYER_POOL: a last window that is not whole counts
 * @skip_border: IGRAD_LAYER_POOL: padding does not count in averages
 * @rate: IGRAD_LAYER_DROPOUT: the share that is dropped
 * @eps: IGRAD_LAYER_BATCHNORM: what is added to variances
 *
 * A result has channels, height and width; features are channels of an image of 1 × 1. Linear
 * layers take features. Images are NHWC (conv.h), and IGRAD_LAYER_FLATTEN is the same memory: its
 * features count channels within columns within rows, and so do the rows of a linear layer's
 * weights behind it.
 */
struct igrad_net_layer {
	enum igrad_layer_kind kind;
	const char *name;
	const char *where;
	uint32_t inputs[IGRAD_NET_MAX_INPUTS];
	uint32_t num_inputs;
	uint32_t channels;
	uint32_t height;
	uint32_t width;
	uint32_t out;
	bool bias;
	uint32_t kernel_y;
	uint32_t kernel_x;
	uint32_t stride_y;
	uint32_t stride_x;
	uint32_t pad_top;
	uint32_t pad_bottom;
	uint32_t pad_left;
	uint32_t pad_right;
	uint32_t dilation_y;
	uint32_t dilation_x;
	uint32_t groups;
	bool average;
	bool ceil;
	bool skip_border;
	float rate;
	float eps;
};

/**
 * igrad_net_new - a network with parameters drawn from @seed
 * @layers: widths from input to output, as in "784-256-128-10"
 *
 * Layer by layer and in row-major order, weights are (2u − 1)·l with u = igrad_rng_float() and
 * l = √(6 / in-features) (He's uniform initialisation), every operation rounded to fp32; biases are
 * 0.
 */
int igrad_net_new(struct igrad_device *device, const char *layers, uint64_t seed,
		  struct igrad_net **net, struct igrad_error *error);
/**
 * igrad_net_new_blank - a network with parameters of 0, for igrad_net_load() or igrad_net_draw()
 *
 * Drawing takes time: with this, whatever else may fail can be tried first.
 */
int igrad_net_new_blank(struct igrad_device *device, const char *layers, struct igrad_net **net,
			struct igrad_error *error);
/**
 * igrad_net_new_graph - a network of @num_layers layers, blank likewise
 * @layers: copied, with their names
 *
 * Batch normalisation begins with a scale of 1 and running variances of 1, other parameters are 0.
 * -EINVAL for layers that do not fit together: the message says which, and why. What a device has
 * no room for shows when a trainer is made.
 */
int igrad_net_new_graph(struct igrad_device *device, const struct igrad_net_layer *layers,
			uint32_t num_layers, struct igrad_net **net, struct igrad_error *error);
/**
 * igrad_net_draw - draw weights as igrad_net_new() does; no job may be in flight; biases stay
 *
 * The in-features of a convolution are those of one output: kernel rows × columns × channels of its
 * group. What batch normalisation has is not drawn.
 */
void igrad_net_draw(struct igrad_net *net, uint64_t seed);
struct igrad_net *igrad_net_ref(struct igrad_net *net);
void igrad_net_unref(struct igrad_net *net);

/**
 * igrad_net_set_dtype - what activations and their gradients are in memory, fp32 at first
 *
 * With bf16, data is rounded to bf16 as it is filled in; parameters stay fp32. Trainers and
 * evaluations keep to what was set when they began. -EINVAL, or -ENOTSUP when the device has no
 * bf16.
 */
int igrad_net_set_dtype(struct igrad_net *net, enum igrad_element dtype);
enum igrad_element igrad_net_dtype(const struct igrad_net *net);

struct igrad_device *igrad_net_device(const struct igrad_net *net);
/** igrad_net_layers - those with parameters: linear, convolution, batch normalisation */
uint32_t igrad_net_layers(const struct igrad_net *net);
/** igrad_net_width - features (0: of the input, l + 1: of what layer l of these gives) of a row of
 * the batch, or channels of a pixel */
uint32_t igrad_net_width(const struct igrad_net *net, uint32_t index);
/** igrad_net_parameters - how many numbers are learned */
uint64_t igrad_net_parameters(const struct igrad_net *net);
/**
 * igrad_net_weight, igrad_net_bias - of layer 0 … of those with parameters; owned by the network
 *
 * I×O and 1×O; of a convolution as in conv.h; of batch normalisation scale and shift, 1×C. There
 * may be no bias: NULL.
 */
const struct igrad_matrix *igrad_net_weight(const struct igrad_net *net, uint32_t layer);
const struct igrad_matrix *igrad_net_bias(const struct igrad_net *net, uint32_t layer);
/**
 * igrad_net_weight_velocity, igrad_net_bias_velocity - of momentum, or Adam's first moments; NULL
 * before either
 */
const struct igrad_matrix *igrad_net_weight_velocity(const struct igrad_net *net, uint32_t layer);
const struct igrad_matrix *igrad_net_bias_velocity(const struct igrad_net *net, uint32_t layer);
/** igrad_net_weight_square, igrad_net_bias_square - Adam's second moments; NULL before training by
 * it */
const struct igrad_matrix *igrad_net_weight_square(const struct igrad_net *net, uint32_t layer);
const struct igrad_matrix *igrad_net_bias_square(const struct igrad_net *net, uint32_t layer);
/** igrad_net_running_mean, igrad_net_running_variance - of batch normalisation, 1×C; else NULL */
const struct igrad_matrix *igrad_net_running_mean(const struct igrad_net *net, uint32_t layer);
const struct igrad_matrix *igrad_net_running_variance(const struct igrad_net *net, uint32_t layer);

/**
 * igrad_net_save - write the parameters as safetensors: "0.weight" (I×O), "0.bias", "1.weight", …
 *
 * Layers of a graph have their names in place of numbers. Weights of convolutions are KH × KW ×
 * I/groups × O; batch normalisation has "NAME.running_mean" and "NAME.running_var" besides.
 *
 * @velocity: also "0.weight.velocity" and so on, if there are any; of Adam also "0.weight.square"
 *            and so on, and how many steps they come from, "adam.steps"
 *
 * The file is complete under its name, or is not there.
 */
int igrad_net_save(const struct igrad_net *net, const char *path, bool velocity,
		   struct igrad_error *error);
/**
 * igrad_net_load - the network is unchanged unless all parameters are there, in the right shape
 *
 * Velocities, or all that is Adam's, are taken over if the file has them; not if the network has
 * what belongs to the other.
 */
int igrad_net_load(struct igrad_net *net, const char *path, struct igrad_error *error);

/* ---------------------------------------------------------------- data */

/**
 * struct igrad_dataset - labelled rows of bytes; a byte x stands for x / 255, rounded to fp32
 */
struct igrad_dataset {
	const uint8_t *images; /* count × features */
	const uint8_t *labels;
	uint32_t count;
	uint32_t features;
};

/**
 * igrad_net_check_data - can the network be trained with @data, or evaluated on it?
 * @batch: that at least one step needs; 0 for evaluation
 *
 * -EINVAL when widths or classes differ or there are too few rows. The functions below check this
 * too.
 */
int igrad_net_check_data(const struct igrad_net *net, const struct igrad_dataset *data,
			 uint32_t batch, struct igrad_error *error);

/* ---------------------------------------------------------------- training */

/**
 * struct igrad_train_options - how to train
 * @batch: rows a step
 * @schedule: of backward passes; with IGRAD_SCHEDULE_AUTO each layer has its own
 * @optimizer: SGD, momentum or Adam. Velocities or moments of the same optimiser are gone on with;
 *             what another one left is forgotten
 * @objective: what layers are cut for, and what IGRAD_SCHEDULE_AUTO goes by
 * @energy: what IGRAD_OBJECTIVE_ENERGY counts with; NULL: the table that is built in
 * @seed: of dropouts, for steps that are not part of an epoch
 * @shift: images of an epoch are moved by up to so many pixels in both directions at random, each
 *         in its own way; 0 is seen where there is nothing then
 * @flip: likewise, mirrored left to right or not
 */
struct igrad_train_options {
	uint32_t batch;
	enum igrad_schedule schedule;
	struct igrad_optimizer optimizer;
	enum igrad_objective objective;
	const struct igrad_energy_table *energy;
	uint64_t seed;
	uint32_t shift;
	bool flip;
};

/** struct igrad_train_stats - sums over the steps that have ended, from the jobs' reports */
struct igrad_train_stats {
	uint64_t steps;
	uint64_t samples;
	uint64_t correct; /* argmax of the logits is the label; the first of equals counts */
	double loss;	  /* sum over samples */
	uint64_t cycles;
	uint64_t macs;
	uint64_t sram_accesses;
	uint64_t dram_bytes;
};

struct igrad_trainer;

int igrad_trainer_new(struct igrad_net *net, const struct igrad_train_options *options,
		      struct igrad_trainer **trainer, struct igrad_error *error);
struct igrad_trainer *igrad_trainer_ref(struct igrad_trainer *trainer);
void igrad_trainer_unref(struct igrad_trainer *trainer); /* waits for what has been submitted */

/**
 * igrad_trainer_begin - room for the next batch, once the device no longer needs it
 * @x: batch × features, to be filled in
 * @labels: batch class numbers, likewise
 */
int igrad_trainer_begin(struct igrad_trainer *trainer, float **x, uint32_t **labels,
			struct igrad_error *error);
/** igrad_trainer_step - train with the batch that has been filled in; does not wait */
int igrad_trainer_step(struct igrad_trainer *trainer, struct igrad_error *error);
/** igrad_trainer_finish - wait for all steps; only then are the parameters up to date */
int igrad_trainer_finish(struct igrad_trainer *trainer, struct igrad_error *error);

/**
 * igrad_trainer_set_rate - another learning rate, from the next step on
 *
 * Waits for all steps; the command buffers are written again, unless Adam works.
 */
int igrad_trainer_set_rate(struct igrad_trainer *trainer, float lr, struct igrad_error *error);

/** igrad_trainer_stats - of the steps that have ended since the last call */
void igrad_trainer_stats(struct igrad_trainer *trainer, struct igrad_train_stats *stats);

/** igrad_progress_fn - @done of @total steps; return false to stop early */
typedef bool igrad_progress_fn(void *opaque, uint32_t done, uint32_t total);

/**
 * igrad_trainer_epoch - up to @max_steps steps over @data in an order drawn from @seed and @epoch
 *
 * The order is igrad_rng_shuffle() with a generator seeded with @seed + 2^32 · (@epoch + 1). Every
 * step has a whole batch: rows that are left over at the end are not used in this epoch. Ends with
 * igrad_trainer_finish(). 0 and not an error when @progress stops it.
 *
 * The same generator goes on with what else is random: for each step, how each of its images is
 * changed (down, right, mirrored), then one number for its dropouts, whose halves are their seed.
 */
int igrad_trainer_epoch(struct igrad_trainer *trainer, const struct igrad_dataset *data,
			uint64_t seed, uint32_t epoch, uint32_t max_steps,
			igrad_progress_fn *progress, void *opaque, struct igrad_error *error);

/**
 * igrad_trainer_save - a checkpoint: all that a training needs to go on as if it had not stopped
 * @settings: how it is trained, for igrad_trainer_resume()
 *
 * Parameters, running statistics, velocities or moments, where the training is, what has been added
 * up in the epoch, and the generator. Waits for all steps; may be called by an igrad_progress_fn.
 * The file is complete under its name, or as it was before.
 */
int igrad_trainer_save(struct igrad_trainer *trainer, const char *path, const char *settings,
		       struct igrad_error *error);

/**
 * igrad_trainer_resume - go on from a checkpoint
 * @settings: must be those of the checkpoint
 * @epoch: to be gone on with, by igrad_trainer_epoch() with the seed that it had
 * @step: steps of it that have been done
 *
 * -EINVAL when the checkpoint is that of another network, optimiser or settings, -EBADMSG when it
 * is none; then nothing has changed.
 */
int igrad_trainer_resume(struct igrad_trainer *trainer, const char *path, const char *settings,
			 uint32_t *epoch, uint32_t *step, struct igrad_error *error);

/** igrad_net_evaluate - loss and accuracy on all of @data, @batch rows at a time and then the rest
 */
int igrad_net_evaluate(struct igrad_net *net, const struct igrad_dataset *data, uint32_t batch,
		       struct igrad_train_stats *stats, struct igrad_error *error);

#ifdef __cplusplus
}
#endif

#endif /* IGRAD_NN_H */
