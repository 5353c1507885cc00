/* SPDX-License-Identifier: MIT */
/* A network trained by the host reference, after the descriptions in nn.h. */
#ifndef REFNET_H
#define REFNET_H

#include "hostref.h"
#include "igrad/nn.h"

struct ref_net {
	bool bf16; /* activations and their gradients are, and operands of products */
	uint32_t num_layers;
	uint32_t width[IGRAD_NET_MAX_LAYERS + 1];
	float *w[IGRAD_NET_MAX_LAYERS], *b[IGRAD_NET_MAX_LAYERS];
	float *vw[IGRAD_NET_MAX_LAYERS], *vb[IGRAD_NET_MAX_LAYERS]; /* 0 at first */
	float *sw[IGRAD_NET_MAX_LAYERS], *sb[IGRAD_NET_MAX_LAYERS]; /* second moments */
	uint32_t adam_steps;
};

/* @layers as in "784-256-10"; false when it is not that, or without memory */
bool ref_net_init(struct ref_net *net, const char *layers, uint64_t seed);
void ref_net_fini(struct ref_net *net);

/* One step; returns the sum of the losses. */
double ref_net_step(struct ref_net *net, uint32_t batch, const float *x, const uint32_t *labels,
		    const struct ref_optimizer *opt);
/* @steps steps over @data as igrad_trainer_epoch() takes them */
void ref_net_train(struct ref_net *net, const struct igrad_dataset *data, uint32_t batch,
		   uint64_t seed, uint32_t steps, const struct ref_optimizer *opt);

/* The file that igrad_net_save() writes, with velocities, or all that is Adam's. */
int ref_net_save(const struct ref_net *net, const char *path, bool velocity, bool adam,
		 struct igrad_error *error);

#endif /* REFNET_H */
