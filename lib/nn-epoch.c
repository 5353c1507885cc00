// SPDX-License-Identifier: MIT
/* Epochs: each image once, in an order of the epoch's own. */
#include <errno.h>
#include <stdlib.h>

#include "backend.h"
#include "nn.h"

int igrad_net_check_data(const struct igrad_net *net, const struct igrad_dataset *data,
			 uint32_t batch, struct igrad_error *error)
{
	uint32_t classes = net->nodes[net->num_nodes - 1].shape.channels;

	if (data->features != igrad_net_width(net, 0))
		return igrad_fail(error, -EINVAL,
				  "the data has %u features, the network's input is %u wide",
				  data->features, igrad_net_width(net, 0));
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

/* ---------------------------------------------------------------- steps */

static struct igrad_change draw_change(struct igrad_trainer *trainer)
{
	const struct igrad_train_options *options = &trainer->options;
	struct igrad_change change = {0, 0, false};

	if (options->shift) {
		uint64_t range = 2ull * options->shift + 1;

		change.down = (int32_t)(igrad_rng_below(&trainer->rng, range) - options->shift);
		change.right = (int32_t)(igrad_rng_below(&trainer->rng, range) - options->shift);
	}
	if (options->flip)
		change.flip = igrad_rng_next(&trainer->rng) >> 63;
	return change;
}

static int run_step(struct igrad_trainer *trainer, const struct igrad_dataset *data,
		    const uint32_t *rows, struct igrad_error *error)
{
	struct igrad_pass *pass = &trainer->passes[trainer->next];
	int err = igrad_trainer_collect(trainer, error);

	for (uint32_t row = 0; !err && row < pass->batch; row++)
		igrad_pass_fill(pass, row, data, rows[row], draw_change(trainer));
	return err ? err : igrad_trainer_step(trainer, error);
}

static int run_steps(struct igrad_trainer *trainer, const struct igrad_dataset *data,
		     const uint32_t *order, uint32_t steps, uint32_t max_steps,
		     igrad_progress_fn *progress, void *opaque, struct igrad_error *error)
{
	uint32_t batch = trainer->passes[0].batch, last = steps;

	if (max_steps < steps - trainer->position.step)
		last = trainer->position.step + max_steps;
	while (trainer->position.step < last) {
		uint32_t step = trainer->position.step;
		int err = run_step(trainer, data, order + (size_t)step * batch, error);

		if (err)
			return err;
		trainer->position.step++;
		if (progress && !progress(opaque, step + 1, last))
			break;
	}
	return igrad_trainer_finish(trainer, error);
}

/* ---------------------------------------------------------------- epochs */

/* At the beginning, or where a checkpoint of this epoch has left it. */
static int set_position(struct igrad_trainer *trainer, struct igrad_rng *rng, uint64_t seed,
			uint32_t epoch, uint32_t steps, struct igrad_error *error)
{
	struct igrad_position *position = &trainer->position;
	bool goes_on = trainer->resumed && position->epoch == epoch && position->seed == seed;

	trainer->resumed = false;
	if (goes_on && position->step > steps)
		return igrad_fail(error, -EINVAL,
				  "the checkpoint is of step %u, but an epoch has %u: other data?",
				  position->step, steps);
	if (goes_on && position->step)
		return 0;
	*position = (struct igrad_position){seed, epoch, 0};
	trainer->rng = *rng;
	return 0;
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
	err = set_position(trainer, &rng, seed, epoch, steps, error);
	if (!err)
		err = run_steps(trainer, data, order, steps, max_steps, progress, opaque, error);
	if (!err && trainer->position.step == steps)
		trainer->position = (struct igrad_position){seed, epoch + 1, 0};
	free(order);
	return err;
}
