/* SPDX-License-Identifier: MIT */
/*
 * A graph of layers trained with plain loops of fmaf(), after the descriptions in nn.h, conv.h and
 * layers.h: no arrays, no memory that is used again, nothing fused.
 */
#ifndef REFGRAPH_H
#define REFGRAPH_H

#include "hostref.h"
#include "igrad/nn.h"

#define REF_MAX_NODES 64

/* What one layer has: its result, the gradient of that, and parameters with what training keeps. */
struct ref_node {
	struct igrad_net_layer d;
	size_t channels, height, width; /* of the result */
	size_t rows;			/* of weights */
	bool learns;
	float *y, *dy;
	float *dx;		  /* where a share of dy is summed up */
	uint32_t *index;	  /* of maxima */
	float *mean, *inverse;	  /* of the batch */
	float *w, *b, *dw, *db;	  /* b may be NULL */
	float *vw, *vb, *sw, *sb; /* 0 at first */
	float *running_mean, *running_variance;
};

struct ref_graph {
	uint32_t num_nodes;
	uint32_t batch;
	struct ref_node nodes[REF_MAX_NODES];
	uint32_t adam_steps;
};

/* Weights as igrad_net_draw() draws them. */
void ref_graph_init(struct ref_graph *graph, const struct igrad_net_layer *layers, uint32_t count,
		    uint32_t batch, uint64_t seed);
void ref_graph_fini(struct ref_graph *graph);

/* Forward and loss; gradients of all parameters; returns the sum of the losses. @seed: of dropouts
 */
double ref_graph_gradients(struct ref_graph *graph, const float *x, const uint32_t *labels,
			   const uint32_t seed[2]);
/* The same, and a step of the optimiser. */
double ref_graph_step(struct ref_graph *graph, const float *x, const uint32_t *labels,
		      const uint32_t seed[2], const struct ref_optimizer *opt);

#endif /* REFGRAPH_H */
