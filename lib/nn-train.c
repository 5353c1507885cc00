// SPDX-License-Identifier: MIT
/* Training: two passes take turns, one being filled while the other runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "nn.h"

#define NUM_PASSES 2

struct igrad_trainer {
	atomic_uint refs;
	struct igrad_net *net;
	struct igrad_queue *queue;
	struct igrad_optimizer optimizer;
	struct igrad_scratch scratch;
	struct igrad_pass passes[NUM_PASSES];
	unsigned int next;
	struct igrad_train_stats stats;
};

/* ---------------------------------------------------------------- life */

static int check_options(const struct igrad_train_options *options, struct igrad_error *error)
{
	if (!options->batch || options->batch > IGRAD_MAX_BATCH)
		return igrad_fail(error, -EINVAL, "a batch is 1 … %u rows", IGRAD_MAX_BATCH);
	if (options->optimizer.update != IGRAD_UPDATE_SGD &&
	    options->optimizer.update != IGRAD_UPDATE_MOMENTUM &&
	    options->optimizer.update != IGRAD_UPDATE_ADAM)
		return igrad_fail(error, -EINVAL, "training needs an optimiser");
	if ((unsigned int)options->objective >= IGRAD_NUM_OBJECTIVES)
		return igrad_fail(error, -EINVAL, "there is no objective number %d",
				  (int)options->objective);
	return 0;
}

static int trainer_init(struct igrad_trainer *trainer, const struct igrad_train_options *options,
			struct igrad_error *error)
{
	int err = 0;

	trainer->optimizer = options->optimizer;
	if (options->optimizer.update == IGRAD_UPDATE_MOMENTUM)
		err = igrad_net_add_velocities(trainer->net);
	else if (options->optimizer.update == IGRAD_UPDATE_ADAM)
		err = igrad_net_add_moments(trainer->net);
	if (!err)
		err = igrad_queue_new(trainer->net->device, &trainer->queue);
	if (!err)
		err = igrad_scratch_init(&trainer->scratch, trainer->net, options->batch);
	if (err)
		return igrad_fail(error, err, "%s", igrad_strerror(err));
	for (int i = 0; !err && i < NUM_PASSES; i++)
		err = igrad_pass_init(&trainer->passes[i], trainer->net, &trainer->scratch,
				      options->batch, options, error);
	return err;
}

int igrad_trainer_new(struct igrad_net *net, const struct igrad_train_options *options,
		      struct igrad_trainer **trainer, struct igrad_error *error)
{
	struct igrad_error why = {""};
	struct igrad_trainer *new;
	int err;

	*trainer = NULL;
	err = check_options(options, error);
	if (err)
		return err;
	new = calloc(1, sizeof(*new));
	if (!new)
		return igrad_fail(error, -ENOMEM, "out of memory");
	atomic_init(&new->refs, 1);
	new->net = igrad_net_ref(net);
	err = trainer_init(new, options, &why);
	if (err) {
		igrad_trainer_unref(new);
		return igrad_fail(error, err, "cannot build a training step: %.200s", why.message);
	}
	*trainer = new;
	return 0;
}

struct igrad_trainer *igrad_trainer_ref(struct igrad_trainer *trainer)
{
	igrad_get(&trainer->refs);
	return trainer;
}

void igrad_trainer_unref(struct igrad_trainer *trainer)
{
	if (!trainer || !igrad_put(&trainer->refs))
		return;
	for (int i = 0; i < NUM_PASSES; i++)
		if (trainer->passes[i].net)
			igrad_pass_fini(&trainer->passes[i]);
	igrad_scratch_fini(&trainer->scratch);
	igrad_queue_unref(trainer->queue);
	igrad_net_unref(trainer->net);
	free(trainer);
}

/* ---------------------------------------------------------------- steps */

static int collect(struct igrad_trainer *trainer, struct igrad_pass *pass,
		   struct igrad_error *error)
{
	int err = igrad_pass_collect(pass, &trainer->stats);

	return err ? igrad_queue_explain(trainer->queue, err, error) : 0;
}

int igrad_trainer_begin(struct igrad_trainer *trainer, float **x, uint32_t **labels,
			struct igrad_error *error)
{
	struct igrad_pass *pass = &trainer->passes[trainer->next];
	int err = collect(trainer, pass, error);

	if (err)
		return err;
	*x = igrad_pass_x(pass);
	*labels = igrad_matrix_data(&pass->labels);
	return 0;
}

int igrad_trainer_step(struct igrad_trainer *trainer, struct igrad_error *error)
{
	struct igrad_pass *pass = &trainer->passes[trainer->next];
	int err = collect(trainer, pass, error);

	if (err)
		return err;
	if (trainer->optimizer.update == IGRAD_UPDATE_ADAM)
		igrad_adam_constants(&trainer->optimizer, trainer->net->adam_steps + 1ull,
				     igrad_matrix_data(&pass->adam));
	err = igrad_pass_submit(pass, trainer->queue);
	if (err)
		return igrad_queue_explain(trainer->queue, err, error);
	trainer->net->adam_steps += trainer->optimizer.update == IGRAD_UPDATE_ADAM;
	trainer->next = (trainer->next + 1) % NUM_PASSES;
	return 0;
}

int igrad_trainer_finish(struct igrad_trainer *trainer, struct igrad_error *error)
{
	int err = 0;

	/* Oldest first, so that losses add up in the order of the steps. */
	for (unsigned int i = 0; i < NUM_PASSES && !err; i++)
		err = collect(trainer, &trainer->passes[(trainer->next + i) % NUM_PASSES], error);
	return err;
}

void igrad_trainer_stats(struct igrad_trainer *trainer, struct igrad_train_stats *stats)
{
	*stats = trainer->stats;
	memset(&trainer->stats, 0, sizeof(trainer->stats));
}

/* ---------------------------------------------------------------- epochs */

int igrad_net_check_data(const struct igrad_net *net, const struct igrad_dataset *data,
			 uint32_t batch, struct igrad_error *error)
{
	uint32_t classes = net->width[net->num_layers];

	if (data->features != net->width[0])
		return igrad_fail(error, -EINVAL,
				  "the data has %u features, the network's input is %u wide",
				  data->features, net->width[0]);
	if (data->count < batch)
		return igrad_fail(error, -EINVAL, "%u rows of data do not fill a batch of %u",
				  data->count, batch);
	for (uint32_t i = 0; i < data->count; i++)
		if (data->labels[i] >= classes)
			return igrad_fail(error, -EINVAL,
					  "row %u is of class %u, the network has %u classes", i,
					  data->labels[i], classes);
	return 0;
}

static int run_steps(struct igrad_trainer *trainer, const struct igrad_dataset *data,
		     const uint32_t *order, uint32_t steps, igrad_progress_fn *progress,
		     void *opaque, struct igrad_error *error)
{
	uint32_t batch = trainer->passes[0].batch;

	for (uint32_t step = 0; step < steps; step++) {
		struct igrad_pass *pass = &trainer->passes[trainer->next];
		int err = collect(trainer, pass, error);

		for (uint32_t row = 0; !err && row < batch; row++)
			igrad_pass_fill(pass, row, data, order[(size_t)step * batch + row]);
		if (!err)
			err = igrad_trainer_step(trainer, error);
		if (err)
			return err;
		if (progress && !progress(opaque, step + 1, steps))
			break;
	}
	return igrad_trainer_finish(trainer, error);
}

int igrad_trainer_epoch(struct igrad_trainer *trainer, const struct igrad_dataset *data,
			uint64_t seed, uint32_t epoch, uint32_t max_steps,
			igrad_progress_fn *progress, void *opaque, struct igrad_error *error)
{
	uint32_t steps = data->count / trainer->passes[0].batch;
	struct igrad_rng rng;
	uint32_t *order;
	int err = igrad_net_check_data(trainer->net, data, trainer->passes[0].batch, error);

	if (err)
		return err;
	order = calloc(data->count, sizeof(*order));
	if (!order)
		return igrad_fail(error, -ENOMEM, "out of memory");
	igrad_rng_seed(&rng, seed + ((uint64_t)epoch + 1) * 0x100000000);
	igrad_rng_shuffle(&rng, order, data->count);
	err = run_steps(trainer, data, order, steps < max_steps ? steps : max_steps, progress,
			opaque, error);
	free(order);
	return err;
}

/* ---------------------------------------------------------------- evaluation */

static int build_passes(struct igrad_pass *passes, struct igrad_net *net,
			struct igrad_scratch *scratch, uint32_t batch, struct igrad_error *error)
{
	struct igrad_error why = {""};
	int err = igrad_scratch_init(scratch, net, batch);

	if (err)
		igrad_fail(&why, err, "%s", igrad_strerror(err));
	for (int i = 0; !err && i < NUM_PASSES; i++)
		err = igrad_pass_init(&passes[i], net, scratch, batch, NULL, &why);
	return err ? igrad_fail(error, err, "cannot build an evaluation: %.200s", why.message) : 0;
}

static int run_passes(struct igrad_pass *passes, struct igrad_queue *queue,
		      const struct igrad_dataset *data, uint32_t from, uint32_t to,
		      struct igrad_train_stats *stats)
{
	uint32_t batch = passes[0].batch;
	unsigned int next = 0;
	int err = 0;

	for (; !err && from + batch <= to; from += batch) {
		struct igrad_pass *pass = &passes[next];

		err = igrad_pass_collect(pass, stats);
		for (uint32_t row = 0; !err && row < batch; row++)
			igrad_pass_fill(pass, row, data, from + row);
		if (!err)
			err = igrad_pass_submit(pass, queue);
		next = (next + 1) % NUM_PASSES;
	}
	for (int i = 0; !err && i < NUM_PASSES; i++)
		err = igrad_pass_collect(&passes[(next + i) % NUM_PASSES], stats);
	return err;
}

/* Rows @from … of @data, as many as whole batches of @batch hold; the device works on one at a
 * time. */
static int evaluate_rows(struct igrad_net *net, struct igrad_queue *queue,
			 const struct igrad_dataset *data, uint32_t from, uint32_t to,
			 uint32_t batch, struct igrad_train_stats *stats, struct igrad_error *error)
{
	struct igrad_pass passes[NUM_PASSES] = {0};
	struct igrad_scratch scratch;
	int err = build_passes(passes, net, &scratch, batch, error);

	if (!err) {
		err = run_passes(passes, queue, data, from, to, stats);
		if (err)
			igrad_queue_explain(queue, err, error);
	}
	for (int i = 0; i < NUM_PASSES; i++)
		if (passes[i].net)
			igrad_pass_fini(&passes[i]);
	igrad_scratch_fini(&scratch);
	return err;
}

int igrad_net_evaluate(struct igrad_net *net, const struct igrad_dataset *data, uint32_t batch,
		       struct igrad_train_stats *stats, struct igrad_error *error)
{
	struct igrad_queue *queue;
	uint32_t whole;
	int err = igrad_net_check_data(net, data, 0, error);

	memset(stats, 0, sizeof(*stats));
	if (err)
		return err;
	if (!batch || batch > IGRAD_MAX_BATCH)
		return igrad_fail(error, -EINVAL, "a batch is 1 … %u rows", IGRAD_MAX_BATCH);
	err = igrad_queue_new(net->device, &queue);
	if (err)
		return igrad_fail(error, err, "cannot make a queue: %s", igrad_strerror(err));
	whole = data->count - data->count % batch;
	if (whole)
		err = evaluate_rows(net, queue, data, 0, whole, batch, stats, error);
	if (!err && whole < data->count)
		err = evaluate_rows(net, queue, data, whole, data->count, data->count - whole,
				    stats, error);
	igrad_queue_unref(queue);
	return err;
}
