// SPDX-License-Identifier: MIT
/* A network trained by the host reference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "igrad/safetensors.h"
#include "refnet.h"

static float *zeros(size_t n)
{
	float *values = calloc(n, sizeof(*values));

	if (!values)
		abort();
	return values;
}

bool ref_net_init(struct ref_net *net, const char *layers, uint64_t seed)
{
	struct igrad_rng rng;
	int used;

	memset(net, 0, sizeof(*net));
	for (uint32_t n = 0; n <= IGRAD_NET_MAX_LAYERS; n++) {
		if (sscanf(layers, "%u%n", &net->width[n], &used) != 1)
			return false;
		layers += used;
		net->num_layers = n;
		if (*layers != '-')
			break;
		layers++;
	}
	igrad_rng_seed(&rng, seed);
	for (uint32_t l = 0; l < net->num_layers; l++) {
		size_t in = net->width[l], out = net->width[l + 1];
		float limit = sqrtf(6.0f / (float)in);

		net->w[l] = zeros(in * out);
		net->b[l] = zeros(out);
		net->vw[l] = zeros(in * out);
		net->vb[l] = zeros(out);
		net->sw[l] = zeros(in * out);
		net->sb[l] = zeros(out);
		for (size_t i = 0; i < in * out; i++) {
			float u = igrad_rng_float(&rng);

			u = 2.0f * u;
			u = u - 1.0f;
			net->w[l][i] = u * limit;
		}
	}
	return !*layers && net->num_layers > 0;
}

void ref_net_fini(struct ref_net *net)
{
	for (uint32_t l = 0; l < net->num_layers; l++) {
		free(net->w[l]);
		free(net->b[l]);
		free(net->vw[l]);
		free(net->vb[l]);
		free(net->sw[l]);
		free(net->sb[l]);
	}
}

/* What products are made of. */
static float *weights_of(const struct ref_net *net, uint32_t l, size_t n)
{
	if (net->bf16)
		return ref_rounded(n, net->w[l]);
	return memcpy(zeros(n), net->w[l], n * sizeof(float));
}

static void forward(const struct ref_net *net, uint32_t l, struct ref_shape s, const float *x,
		    float *y)
{
	float *w = weights_of(net, l, s.I * s.O);

	ref_forward(s, x, w, net->b[l], l + 1 < net->num_layers, y);
	if (net->bf16)
		ref_round(s.B * s.O, y);
	free(w);
}

static void dgrad(const struct ref_net *net, uint32_t l, struct ref_shape s, const float *dy,
		  float *dx)
{
	float *w = weights_of(net, l, s.I * s.O);

	ref_dgrad(s, dy, w, dx);
	if (net->bf16)
		ref_round(s.B * s.I, dx);
	free(w);
}

static void backward(struct ref_net *net, uint32_t batch, const float *x, float *const y[],
		     float *const dy[], const struct ref_optimizer *opt)
{
	float adam[REF_ADAM_CONSTANTS];

	if (opt->use_adam)
		ref_adam_constants(opt, ++net->adam_steps, adam);
	for (uint32_t l = net->num_layers; l-- > 0;) {
		struct ref_shape s = {batch, net->width[l], net->width[l + 1]};
		float *dw = zeros(s.I * s.O), *db = zeros(s.O);

		if (l + 1 < net->num_layers)
			ref_relu_grad(s.B * s.O, y[l], dy[l]);
		if (l)
			dgrad(net, l, s, dy[l], dy[l - 1]);
		if (opt->use_momentum) {
			ref_velocity(s, opt, l ? y[l - 1] : x, dy[l], net->vw[l]);
			ref_bias_velocity(s, opt, dy[l], net->vb[l]);
		} else {
			ref_wgrad(s, l ? y[l - 1] : x, dy[l], dw);
			ref_bgrad(s, dy[l], db);
		}
		if (opt->use_adam) {
			bool decay = opt->decay != 0.0f;

			ref_adam(s.I * s.O, adam, decay, dw, net->vw[l], net->sw[l], net->w[l]);
			ref_adam(s.O, adam, decay, db, net->vb[l], net->sb[l], net->b[l]);
		} else {
			ref_update(s.I * s.O, opt, opt->use_momentum ? net->vw[l] : dw, net->w[l]);
			ref_update(s.O, opt, opt->use_momentum ? net->vb[l] : db, net->b[l]);
		}
		free(dw);
		free(db);
	}
}

double ref_net_step(struct ref_net *net, uint32_t batch, const float *x, const uint32_t *labels,
		    const struct ref_optimizer *opt)
{
	uint32_t last = net->num_layers - 1;
	float *y[IGRAD_NET_MAX_LAYERS], *dy[IGRAD_NET_MAX_LAYERS];
	float *losses = zeros(batch), *rounded = NULL;
	double sum = 0.0;

	if (net->bf16)
		x = rounded = ref_rounded((size_t)batch * net->width[0], x);
	for (uint32_t l = 0; l <= last; l++) {
		struct ref_shape s = {batch, net->width[l], net->width[l + 1]};

		y[l] = zeros(s.B * s.O);
		dy[l] = zeros(s.B * s.O);
		forward(net, l, s, l ? y[l - 1] : x, y[l]);
	}
	ref_softmax_xent(batch, net->width[last + 1], y[last], labels, 1.0f / (float)batch,
			 dy[last], losses);
	if (net->bf16)
		ref_round((size_t)batch * net->width[last + 1], dy[last]);
	backward(net, batch, x, y, dy, opt);
	for (uint32_t b = 0; b < batch; b++)
		sum += losses[b];
	for (uint32_t l = 0; l <= last; l++) {
		free(y[l]);
		free(dy[l]);
	}
	free(losses);
	free(rounded);
	return sum;
}

void ref_net_train(struct ref_net *net, const struct igrad_dataset *data, uint32_t batch,
		   uint64_t seed, uint32_t steps, const struct ref_optimizer *opt)
{
	uint32_t *order = calloc(data->count, sizeof(*order));
	uint32_t *labels = calloc(batch, sizeof(*labels));
	float *x = zeros((size_t)batch * data->features);
	uint32_t per_epoch = data->count / batch;

	if (!order || !labels)
		abort();
	for (uint32_t step = 0; per_epoch && step < steps; step++) {
		if (step % per_epoch == 0) {
			struct igrad_rng rng;

			igrad_rng_seed(&rng, seed + (1ull << 32) * (step / per_epoch + 1));
			igrad_rng_shuffle(&rng, order, data->count);
		}
		for (uint32_t b = 0; b < batch; b++) {
			uint32_t row = order[step % per_epoch * batch + b];

			labels[b] = data->labels[row];
			for (uint32_t i = 0; i < data->features; i++)
				x[(size_t)b * data->features + i] =
					(float)data->images[(size_t)row * data->features + i] /
					255.0f;
		}
		ref_net_step(net, batch, x, labels, opt);
	}
	free(order);
	free(labels);
	free(x);
}

static void add(struct igrad_tensor *tensors, size_t *n, char (*names)[32], uint32_t layer,
		const char *what, uint32_t in, uint32_t out, const float *data)
{
	struct igrad_tensor *tensor = &tensors[*n];

	snprintf(names[*n], sizeof(names[*n]), "%u.%s", layer, what);
	*tensor = (struct igrad_tensor){.name = names[*n], .dtype = IGRAD_DTYPE_F32};
	if (in)
		tensor->shape[tensor->rank++] = in;
	tensor->shape[tensor->rank++] = out;
	tensor->data = data;
	++*n;
}

int ref_net_save(const struct ref_net *net, const char *path, bool velocity, bool adam,
		 struct igrad_error *error)
{
	struct igrad_tensor tensors[6 * IGRAD_NET_MAX_LAYERS + 1];
	char names[6 * IGRAD_NET_MAX_LAYERS][32];
	size_t n = 0;

	for (uint32_t l = 0; l < net->num_layers; l++) {
		uint32_t in = net->width[l], out = net->width[l + 1];

		add(tensors, &n, names, l, "weight", in, out, net->w[l]);
		add(tensors, &n, names, l, "bias", 0, out, net->b[l]);
		if (velocity || adam) {
			add(tensors, &n, names, l, "weight.velocity", in, out, net->vw[l]);
			add(tensors, &n, names, l, "bias.velocity", 0, out, net->vb[l]);
		}
		if (adam) {
			add(tensors, &n, names, l, "weight.square", in, out, net->sw[l]);
			add(tensors, &n, names, l, "bias.square", 0, out, net->sb[l]);
		}
	}
	if (adam)
		tensors[n++] = (struct igrad_tensor){
			.name = "adam.steps", .dtype = IGRAD_DTYPE_U32, .data = &net->adam_steps};
	return igrad_safetensors_save(path, tensors, n, NULL, 0, error);
}
