// SPDX-License-Identifier: MIT
/*
 * hosttrain: igrad-train's options, but the training is done by the host reference, loops of fmaf()
 * that know nothing of arrays. Writes the file that igrad-train must write.
 */
#include <stdio.h>
#include <string.h>

#include "igrad-train.h"
#include "refnet.h"

static int fail(const char *message)
{
	fprintf(stderr, "hosttrain: %s\n", message);
	return 1;
}

int main(int argc, char **argv)
{
	struct igrad_error error = {""};
	struct ref_optimizer opt;
	struct settings s;
	struct dataset data;
	struct ref_net net;
	char dir[4096];
	int err;

	settings_parse(&s, argc, argv, NULL, "The host reference; igrad-train's options:\n");
	if (!s.layers || !s.save || s.steps == UINT32_MAX || s.load)
		return fail("widths, --save and --steps are needed, --load is not supported");
	if (!ref_net_init(&net, s.layers, s.seed))
		return fail("bad network");
	opt = (struct ref_optimizer){
		.lr = s.train.optimizer.lr,
		.momentum = s.train.optimizer.momentum,
		.decay = s.train.optimizer.decay,
		.use_momentum = s.train.optimizer.update == IGRAD_UPDATE_MOMENTUM,
		.use_adam = s.train.optimizer.update == IGRAD_UPDATE_ADAM,
		.beta1 = s.train.optimizer.beta1,
		.beta2 = s.train.optimizer.beta2,
		.epsilon = s.train.optimizer.epsilon,
	};
	if (dataset_find(s.data, dir, sizeof(dir), &error) ||
	    dataset_load(dir, "train", &data, &error))
		return fail(error.message);
	ref_net_train(&net, &data.rows, s.train.batch, s.seed, s.steps, &opt);
	err = ref_net_save(&net, s.save, opt.use_momentum, opt.use_adam, &error);
	ref_net_fini(&net);
	dataset_fini(&data);
	return err ? fail(error.message) : 0;
}
