// SPDX-License-Identifier: MIT
/*
 * The gradients of a network in a file, as its training has them: what the oracles compare with.
 *
 *     run-network DEVICE NET PARAMETERS.safetensors BATCH.safetensors OUT.safetensors
 *
 * With a momentum and a rate of 0 a velocity is the gradient, bit for bit, and parameters stay.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "igrad-train.h"
#include "igrad/nn.h"
#include "igrad/safetensors.h"

static struct igrad_error problem;

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "run-network: %s: %s: %s\n", what, igrad_strerror(err), problem.message);
	exit(1);
}

static const struct igrad_tensor *find(const struct igrad_safetensors *file, const char *name)
{
	const struct igrad_tensor *t = igrad_safetensors_find(file, name);

	if (!t || t->rank != 2) {
		fprintf(stderr, "run-network: no matrix %s\n", name);
		exit(1);
	}
	return t;
}

static void step(struct igrad_net *net, const struct igrad_safetensors *batch)
{
	const struct igrad_tensor *x = find(batch, "x"), *labels = find(batch, "labels");
	struct igrad_train_options options = {
		.batch = (uint32_t)x->shape[0],
		.schedule = IGRAD_SCHEDULE_INTERLEAVED,
		.optimizer = {.update = IGRAD_UPDATE_MOMENTUM},
	};
	struct igrad_trainer *trainer;
	uint32_t *to_labels;
	float *to_x;

	must(igrad_trainer_new(net, &options, &trainer, &problem), "trainer");
	must(igrad_trainer_begin(trainer, &to_x, &to_labels, &problem), "batch");
	memcpy(to_x, x->data, x->shape[0] * x->shape[1] * sizeof(float));
	memcpy(to_labels, labels->data, x->shape[0] * sizeof(uint32_t));
	must(igrad_trainer_step(trainer, &problem), "step");
	must(igrad_trainer_finish(trainer, &problem), "job");
	igrad_trainer_unref(trainer);
}

int main(int argc, char **argv)
{
	struct igrad_safetensors *batch;
	struct igrad_device *device;
	struct igrad_net *net;
	uint32_t size;

	if (argc != 6) {
		fprintf(stderr, "usage: run-network DEVICE NET PARAMETERS BATCH OUT\n");
		return 1;
	}
	must(igrad_device_open(argv[1], &device, &problem), argv[1]);
	must(train_net_load(argv[2], device, &net, &size, &problem), argv[2]);
	must(igrad_net_load(net, argv[3], &problem), argv[3]);
	must(igrad_safetensors_load(argv[4], &batch, &problem), argv[4]);
	step(net, batch);
	must(igrad_net_save(net, argv[5], true, &problem), argv[5]);
	igrad_safetensors_unref(batch);
	igrad_net_unref(net);
	igrad_device_unref(device);
	return 0;
}
