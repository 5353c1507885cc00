// SPDX-License-Identifier: MIT
/* Training: two passes take turns, one being filled while the other runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "nn.h"

/* ---------------------------------------------------------------- life */

static int check_options(const struct igrad_net *net, const struct igrad_train_options *options,
			 struct igrad_error *error)
{
	if (!options->batch || options->batch > IGRAD_MAX_BATCH)
		return igrad_fail(error, -EINVAL, "a batch is 1 … %u rows", IGRAD_MAX_BATCH);
	if (options->optimizer.update != IGRAD_UPDATE_SGD &&
	    options->optimizer.update != IGRAD_UPDATE_MOMENTUM &&
	    options->optimizer.update != IGRAD_UPDATE_ADAM)
		return igrad_fail(error, -EINVAL, "training needs an optimiser");
	if ((options->shift || options->flip) &&
	    net->nodes[0].shape.height * net->nodes[0].shape.width == 1)
		return igrad_fail(error, -EINVAL,
				  "the network takes features: there is nothing to "
				  "shift or flip");
	if ((unsigned int)options->objective >= IGRAD_NUM_OBJECTIVES)
		return igrad_fail(error, -EINVAL, "there is no objective number %d",
				  (int)options->objective);
	return 0;
}

static int trainer_init(struct igrad_trainer *trainer, const struct igrad_train_options *options,
			struct igrad_error *error)
{
	int err = 0;

	trainer->options = *options;
	igrad_rng_seed(&trainer->rng, options->seed);
	if (options->optimizer.update == IGRAD_UPDATE_MOMENTUM)
		err = igrad_net_add_velocities(trainer->net);
	else if (options->optimizer.update == IGRAD_UPDATE_ADAM)
		err = igrad_net_add_moments(trainer->net);
	if (!err)
		err = igrad_queue_new(trainer->net->device, &trainer->queue);
	if (err)
		return igrad_fail(error, err, "%s", igrad_strerror(err));
	err = igrad_program_init(&trainer->program, trainer->net, options->batch, true, error);
	for (int i = 0; !err && i < IGRAD_NUM_PASSES; i++)
		err = igrad_pass_init(&trainer->passes[i], &trainer->program, options, error);
	return err;
}

int igrad_trainer_new(struct igrad_net *net, const struct igrad_train_options *options,
		      struct igrad_trainer **trainer, struct igrad_error *error)
{
	struct igrad_error why = {""};
	struct igrad_trainer *new;
	int err;

	*trainer = NULL;
	err = check_options(net, options, error);
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
	for (int i = 0; i < IGRAD_NUM_PASSES; i++)
		if (trainer->passes[i].net)
			igrad_pass_fini(&trainer->passes[i]);
	igrad_program_fini(&trainer->program);
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

int igrad_trainer_collect(struct igrad_trainer *trainer, struct igrad_error *error)
{
	return collect(trainer, &trainer->passes[trainer->next], error);
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

/* Of the step's dropouts. */
static void set_seed(struct igrad_trainer *trainer, struct igrad_pass *pass)
{
	uint32_t *seed = igrad_matrix_data(&pass->seed);
	uint64_t number = igrad_rng_next(&trainer->rng);

	seed[0] = (uint32_t)number;
	seed[1] = (uint32_t)(number >> 32);
}

int igrad_trainer_step(struct igrad_trainer *trainer, struct igrad_error *error)
{
	struct igrad_pass *pass = &trainer->passes[trainer->next];
	int err = collect(trainer, pass, error);

	if (err)
		return err;
	if (trainer->options.optimizer.update == IGRAD_UPDATE_ADAM)
		igrad_adam_constants(&trainer->options.optimizer, trainer->net->adam_steps + 1ull,
				     igrad_matrix_data(&pass->adam));
	set_seed(trainer, pass);
	err = igrad_pass_submit(pass, trainer->queue);
	if (err)
		return igrad_queue_explain(trainer->queue, err, error);
	trainer->net->adam_steps += trainer->options.optimizer.update == IGRAD_UPDATE_ADAM;
	trainer->next = (trainer->next + 1) % IGRAD_NUM_PASSES;
	return 0;
}

int igrad_trainer_finish(struct igrad_trainer *trainer, struct igrad_error *error)
{
	int err = 0;

	/* Oldest first, so that losses add up in the order of the steps. */
	for (unsigned int i = 0; i < IGRAD_NUM_PASSES && !err; i++)
		err = collect(trainer, &trainer->passes[(trainer->next + i) % IGRAD_NUM_PASSES],
			      error);
	return err;
}

int igrad_trainer_set_rate(struct igrad_trainer *trainer, float lr, struct igrad_error *error)
{
	float before = trainer->options.optimizer.lr;
	int err = igrad_trainer_finish(trainer, error);

	trainer->options.optimizer.lr = lr;
	/* Adam's is among the constants of a step, the others' is part of commands. */
	if (err || lr == before || trainer->options.optimizer.update == IGRAD_UPDATE_ADAM)
		return err;
	for (unsigned int i = 0; i < IGRAD_NUM_PASSES && !err; i++)
		err = igrad_pass_build(&trainer->passes[i], &trainer->options, error);
	return err;
}

void igrad_trainer_stats(struct igrad_trainer *trainer, struct igrad_train_stats *stats)
{
	*stats = trainer->stats;
	memset(&trainer->stats, 0, sizeof(trainer->stats));
}
