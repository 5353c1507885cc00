// SPDX-License-Identifier: MIT
/* A graph of layers trained with plain loops. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "refgraph.h"

#define SHARE 0.1f /* of running statistics that a batch replaces */

static float *zeros(size_t n)
{
	float *values = calloc(n, sizeof(*values));

	if (!values)
		abort();
	return values;
}

static size_t pixels(const struct ref_graph *g, const struct ref_node *n)
{
	return g->batch * n->height * n->width;
}

static size_t size(const struct ref_graph *g, const struct ref_node *n)
{
	return pixels(g, n) * n->channels;
}

static struct ref_node *source(struct ref_graph *g, const struct ref_node *n, uint32_t i)
{
	return &g->nodes[n->d.inputs[i]];
}

/* ---------------------------------------------------------------- shapes */

static bool multiplies(const struct ref_node *n)
{
	return n->d.kind == IGRAD_LAYER_LINEAR || n->d.kind == IGRAD_LAYER_CONV;
}

static size_t side(size_t in, size_t pads, size_t kernel, size_t stride, size_t dilation)
{
	return (in + pads - (kernel - 1) * dilation - 1) / stride + 1;
}

/* Windows of pooling do not spread; a linear layer is a convolution of one pixel. */
static void set_window(struct ref_node *n)
{
	if (n->d.kind == IGRAD_LAYER_LINEAR)
		n->d.kernel_y = n->d.kernel_x = n->d.stride_y = n->d.stride_x = 1;
	if (n->d.kind != IGRAD_LAYER_CONV) {
		n->d.dilation_y = n->d.dilation_x = 1;
		n->d.groups = 1;
	}
}

static void set_shape(struct ref_graph *g, struct ref_node *n)
{
	const struct igrad_net_layer *d = &n->d;
	const struct ref_node *in = source(g, n, 0);

	set_window(n);
	n->channels = in->channels;
	n->height = in->height;
	n->width = in->width;
	if (multiplies(n))
		n->channels = d->out;
	if (d->kind == IGRAD_LAYER_CONV || d->kind == IGRAD_LAYER_POOL) {
		n->height = side(in->height, d->pad_top + d->pad_bottom, d->kernel_y, d->stride_y,
				 d->dilation_y);
		n->width = side(in->width, d->pad_left + d->pad_right, d->kernel_x, d->stride_x,
				d->dilation_x);
	}
	for (uint32_t i = 1; d->kind == IGRAD_LAYER_CONCAT && i < d->num_inputs; i++)
		n->channels += source(g, n, i)->channels;
	if (d->kind == IGRAD_LAYER_FLATTEN) {
		n->channels *= n->height * n->width;
		n->height = n->width = 1;
	}
}

/* ---------------------------------------------------------------- parameters */

static void draw(struct ref_node *n, struct igrad_rng *rng)
{
	float limit = sqrtf(6.0f / (float)n->rows);

	for (size_t i = 0; i < n->rows * n->channels; i++) {
		float u = 2.0f * igrad_rng_float(rng);

		u = u - 1.0f;
		n->w[i] = u * limit;
	}
}

static void add_parameters(struct ref_graph *g, struct ref_node *n, struct igrad_rng *rng)
{
	bool normalises = n->d.kind == IGRAD_LAYER_BATCHNORM;
	float **const vectors[] = {&n->dw, &n->vw, &n->sw, &n->w};
	float **const biases[] = {&n->db, &n->vb, &n->sb, &n->b};

	n->rows = normalises
			  ? 1
			  : source(g, n, 0)->channels / n->d.groups * n->d.kernel_y * n->d.kernel_x;
	for (int i = 0; i < 4; i++) {
		*vectors[i] = zeros(n->rows * n->channels);
		if (normalises || n->d.bias)
			*biases[i] = zeros(n->channels);
	}
	n->learns = true;
	if (!normalises) {
		draw(n, rng);
		return;
	}
	n->mean = zeros(n->channels);
	n->inverse = zeros(n->channels);
	n->running_mean = zeros(n->channels);
	n->running_variance = zeros(n->channels);
	for (size_t c = 0; c < n->channels; c++)
		n->w[c] = n->running_variance[c] = 1.0f;
}

void ref_graph_init(struct ref_graph *g, const struct igrad_net_layer *layers, uint32_t count,
		    uint32_t batch, uint64_t seed)
{
	struct igrad_rng rng;

	memset(g, 0, sizeof(*g));
	igrad_rng_seed(&rng, seed);
	g->num_nodes = count;
	g->batch = batch;
	for (uint32_t i = 0; i < count; i++) {
		struct ref_node *n = &g->nodes[i];

		n->d = layers[i];
		if (i) {
			set_shape(g, n);
		} else {
			n->channels = n->d.channels;
			n->height = n->d.height;
			n->width = n->d.width;
		}
		for (uint32_t k = 0; k < n->d.num_inputs; k++)
			n->learns |= source(g, n, k)->learns;
		n->y = zeros(size(g, n));
		n->dy = zeros(size(g, n));
		n->index = calloc(size(g, n), sizeof(*n->index));
		if (multiplies(n) || n->d.kind == IGRAD_LAYER_BATCHNORM)
			add_parameters(g, n, &rng);
	}
}

void ref_graph_fini(struct ref_graph *g)
{
	for (uint32_t i = 0; i < g->num_nodes; i++) {
		struct ref_node *n = &g->nodes[i];
		float *const all[] = {n->y,
				      n->dy,
				      n->mean,
				      n->inverse,
				      n->w,
				      n->b,
				      n->dw,
				      n->db,
				      n->vw,
				      n->vb,
				      n->sw,
				      n->sb,
				      n->running_mean,
				      n->running_variance};

		for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
			free(all[k]);
		free(n->index);
	}
}

/* ---------------------------------------------------------------- windows */

/* The pixel that output @o sees at (ky, kx), or -1. */
static long pixel_of(const struct ref_node *n, const struct ref_node *in, size_t o, uint32_t ky,
		     uint32_t kx)
{
	long y = (long)(o / n->width % n->height * n->d.stride_y + ky * n->d.dilation_y) -
		 (long)n->d.pad_top;
	long x = (long)(o % n->width * n->d.stride_x + kx * n->d.dilation_x) - (long)n->d.pad_left;
	long image = (long)(o / n->width / n->height);

	if (y < 0 || x < 0 || y >= (long)in->height || x >= (long)in->width)
		return -1;
	return (image * (long)in->height + y) * (long)in->width + x;
}

/* A product of one weight: y, x and w are places in their arrays. */
typedef void product_fn(struct ref_node *n, struct ref_node *in, size_t y, size_t x, size_t w);

static void each_product(struct ref_graph *g, struct ref_node *n, product_fn *fn)
{
	struct ref_node *in = source(g, n, 0);
	size_t group_in = in->channels / n->d.groups, group_out = n->channels / n->d.groups;

	for (uint32_t tap = 0; tap < n->d.kernel_y * n->d.kernel_x; tap++) {
		for (size_t o = 0; o < pixels(g, n); o++) {
			long pixel = pixel_of(n, in, o, tap / n->d.kernel_x, tap % n->d.kernel_x);

			for (size_t c = 0; pixel >= 0 && c < n->channels; c++)
				for (size_t i = 0; i < group_in; i++)
					fn(n, in, o * n->channels + c,
					   (size_t)pixel * in->channels + c / group_out * group_in +
						   i,
					   (tap * group_in + i) * n->channels + c);
		}
	}
}

static void forward_product(struct ref_node *n, struct ref_node *in, size_t y, size_t x, size_t w)
{
	n->y[y] = fmaf(in->y[x], n->w[w], n->y[y]);
}

static void dx_product(struct ref_node *n, struct ref_node *in, size_t y, size_t x, size_t w)
{
	in->dx[x] = fmaf(n->dy[y], n->w[w], in->dx[x]);
}

static void dw_product(struct ref_node *n, struct ref_node *in, size_t y, size_t x, size_t w)
{
	n->dw[w] = fmaf(in->y[x], n->dy[y], n->dw[w]);
}

/* ---------------------------------------------------------------- forward */

static void multiply(struct ref_graph *g, struct ref_node *n)
{
	memset(n->y, 0, size(g, n) * sizeof(float));
	each_product(g, n, forward_product);
	for (size_t k = 0; n->b && k < size(g, n); k++)
		n->y[k] += n->b[k % n->channels];
}

/* How many pixels a mean is of. */
static float counted(const struct ref_node *n, const struct ref_node *in, size_t o)
{
	float count = 0.0f;

	for (uint32_t k = 0; k < n->d.kernel_y * n->d.kernel_x; k++)
		if (!n->d.skip_border ||
		    pixel_of(n, in, o, k / n->d.kernel_x, k % n->d.kernel_x) >= 0)
			count += 1.0f;
	return count;
}

static void pool_pixel(struct ref_node *n, const struct ref_node *in, size_t o, size_t c)
{
	float best = 0.0f, sum = 0.0f;
	bool any = false;

	for (uint32_t k = 0; k < n->d.kernel_y * n->d.kernel_x; k++) {
		long pixel = pixel_of(n, in, o, k / n->d.kernel_x, k % n->d.kernel_x);
		float value;

		if (pixel < 0)
			continue;
		value = in->y[(size_t)pixel * n->channels + c];
		sum += value;
		if (!any || value > best) {
			best = value;
			n->index[o * n->channels + c] = k;
		}
		any = true;
	}
	n->y[o * n->channels + c] = n->d.average ? sum / counted(n, in, o) : best;
}

static void normalise(struct ref_graph *g, struct ref_node *n)
{
	const float *x = source(g, n, 0)->y;
	size_t rows = pixels(g, n), C = n->channels;
	float r = (float)(1.0 / (double)rows), keep = (float)(1.0 - (double)SHARE);
	float m = (float)((double)SHARE * (double)rows / ((double)rows - 1.0));

	for (size_t c = 0; c < C; c++) {
		float sum = 0.0f, q = 0.0f, variance, root;

		for (size_t i = 0; i < rows; i++)
			sum += x[i * C + c];
		n->mean[c] = r * sum;
		for (size_t i = 0; i < rows; i++) {
			float t = x[i * C + c] - n->mean[c];

			q = fmaf(t, t, q);
		}
		variance = r * q;
		root = sqrtf(variance + n->d.eps);
		n->inverse[c] = 1.0f / root;
		for (size_t i = 0; i < rows; i++) {
			float h = x[i * C + c] - n->mean[c];

			h *= n->inverse[c];
			n->y[i * C + c] = fmaf(h, n->w[c], n->b[c]);
		}
		n->running_mean[c] = fmaf(SHARE, n->mean[c], keep * n->running_mean[c]);
		n->running_variance[c] = fmaf(m, variance, keep * n->running_variance[c]);
	}
}

static void join(struct ref_graph *g, struct ref_node *n)
{
	size_t first = 0;

	for (uint32_t k = 0; k < n->d.num_inputs; k++) {
		const struct ref_node *in = source(g, n, k);

		for (size_t i = 0; i < size(g, in); i++)
			n->y[i / in->channels * n->channels + first + i % in->channels] = in->y[i];
		first += in->channels;
	}
}

static uint32_t high(uint32_t a, uint32_t b)
{
	return (uint32_t)((uint64_t)a * b >> 32);
}

/* Philox4x32-10 of the manual. */
static uint32_t philox(uint32_t row, uint32_t column, uint32_t stream, const uint32_t seed[2])
{
	uint32_t x[4] = {row, column / 4, stream, 0}, k0 = seed[0], k1 = seed[1];

	for (int round = 0; round < 10; round++) {
		uint32_t y[4] = {high(0xcd9e8d57, x[2]) ^ x[1] ^ k0, 0xcd9e8d57 * x[2],
				 high(0xd2511f53, x[0]) ^ x[3] ^ k1, 0xd2511f53 * x[0]};

		memcpy(x, y, sizeof(x));
		k0 += 0x9e3779b9;
		k1 += 0xbb67ae85;
	}
	return x[column % 4];
}

static void drop(struct ref_graph *g, const struct ref_node *n, const uint32_t seed[2],
		 const float *from, float *to)
{
	uint32_t threshold = (uint32_t)((double)n->d.rate * 0x1p32);
	float scale = (float)(1.0 / (1.0 - (double)n->d.rate));

	for (size_t i = 0; i < size(g, n); i++)
		to[i] = philox((uint32_t)(i / n->channels), (uint32_t)(i % n->channels),
			       (uint32_t)(n - g->nodes), seed) >= threshold
				? scale * from[i]
				: 0.0f;
}

static void forward(struct ref_graph *g, struct ref_node *n, const uint32_t seed[2])
{
	const float *x = source(g, n, 0)->y;

	switch (n->d.kind) {
	case IGRAD_LAYER_LINEAR:
	case IGRAD_LAYER_CONV:
		multiply(g, n);
		return;
	case IGRAD_LAYER_POOL:
		for (size_t k = 0; k < size(g, n); k++)
			pool_pixel(n, source(g, n, 0), k / n->channels, k % n->channels);
		return;
	case IGRAD_LAYER_BATCHNORM:
		normalise(g, n);
		return;
	case IGRAD_LAYER_CONCAT:
		join(g, n);
		return;
	case IGRAD_LAYER_DROPOUT:
		drop(g, n, seed, x, n->y);
		return;
	default:
		break;
	}
	memcpy(n->y, x, size(g, n) * sizeof(float));
	for (uint32_t k = 1; n->d.kind == IGRAD_LAYER_ADD && k < n->d.num_inputs; k++)
		for (size_t i = 0; i < size(g, n); i++)
			n->y[i] += source(g, n, k)->y[i];
	for (size_t i = 0; n->d.kind == IGRAD_LAYER_RELU && i < size(g, n); i++)
		n->y[i] = n->y[i] > 0.0f ? n->y[i] : 0.0f;
}

/* ---------------------------------------------------------------- backward */

/* What the input's gradient is, or a share of it. */
static void contribute(struct ref_graph *g, struct ref_node *in, const float *dx, bool *begun)
{
	bool first = !begun[in - g->nodes];

	for (size_t i = 0; i < size(g, in); i++)
		in->dy[i] = first ? dx[i] : in->dy[i] + dx[i];
	begun[in - g->nodes] = true;
}

static void unpool(struct ref_graph *g, struct ref_node *n, float *dx)
{
	struct ref_node *in = source(g, n, 0);

	for (size_t o = 0; o < pixels(g, n); o++) {
		for (uint32_t k = 0; k < n->d.kernel_y * n->d.kernel_x; k++) {
			long pixel = pixel_of(n, in, o, k / n->d.kernel_x, k % n->d.kernel_x);

			for (size_t c = 0; pixel >= 0 && c < n->channels; c++) {
				float dy = n->dy[o * n->channels + c];

				if (n->d.average)
					dx[(size_t)pixel * n->channels + c] += dy /
									       counted(n, in, o);
				else if (n->index[o * n->channels + c] == k)
					dx[(size_t)pixel * n->channels + c] += dy;
			}
		}
	}
}

static void normalise_back(struct ref_graph *g, struct ref_node *n, float *dx)
{
	const float *x = source(g, n, 0)->y;
	size_t rows = pixels(g, n), C = n->channels;
	float r = (float)(1.0 / (double)rows);

	for (size_t c = 0; c < C; c++) {
		float scale = n->w[c] * n->inverse[c], of_gamma, of_beta;

		n->dw[c] = n->db[c] = 0.0f;
		for (size_t i = 0; i < rows; i++) {
			float h = x[i * C + c] - n->mean[c];

			h *= n->inverse[c];
			n->db[c] += n->dy[i * C + c];
			n->dw[c] = fmaf(n->dy[i * C + c], h, n->dw[c]);
		}
		of_gamma = r * n->dw[c];
		of_beta = r * n->db[c];
		for (size_t i = 0; i < rows; i++) {
			float h = x[i * C + c] - n->mean[c], rest = n->dy[i * C + c] - of_beta;

			h *= n->inverse[c];
			dx[i * C + c] = scale * fmaf(-h, of_gamma, rest);
		}
	}
}

/* With momentum, sums go on from round(momentum · velocity), which is what is left in dw then. */
static void multiply_back(struct ref_graph *g, struct ref_node *n, float *dx, float momentum)
{
	for (size_t i = 0; i < n->rows * n->channels; i++)
		n->dw[i] = momentum != 0.0f ? momentum * n->vw[i] : 0.0f;
	each_product(g, n, dw_product);
	for (size_t c = 0; n->b && c < n->channels; c++) {
		n->db[c] = momentum != 0.0f ? momentum * n->vb[c] : 0.0f;
		for (size_t i = 0; i < pixels(g, n); i++)
			n->db[c] += n->dy[i * n->channels + c];
	}
	source(g, n, 0)->dx = dx;
	each_product(g, n, dx_product);
}

static void part_of(struct ref_graph *g, const struct ref_node *n, uint32_t input, float *dx)
{
	const struct ref_node *in = source(g, n, input);
	size_t first = 0;

	for (uint32_t k = 0; k < input; k++)
		first += source(g, n, k)->channels;
	for (size_t i = 0; i < size(g, in); i++)
		dx[i] = n->dy[i / in->channels * n->channels + first + i % in->channels];
}

static void backward(struct ref_graph *g, struct ref_node *n, uint32_t input,
		     const uint32_t seed[2], float momentum, float *dx)
{
	switch (n->d.kind) {
	case IGRAD_LAYER_LINEAR:
	case IGRAD_LAYER_CONV:
		multiply_back(g, n, dx, momentum);
		return;
	case IGRAD_LAYER_POOL:
		unpool(g, n, dx);
		return;
	case IGRAD_LAYER_BATCHNORM:
		normalise_back(g, n, dx);
		return;
	case IGRAD_LAYER_CONCAT:
		part_of(g, n, input, dx);
		return;
	case IGRAD_LAYER_DROPOUT:
		drop(g, n, seed, n->dy, dx);
		return;
	default:
		memcpy(dx, n->dy, size(g, n) * sizeof(float));
		if (n->d.kind == IGRAD_LAYER_RELU)
			ref_relu_grad(size(g, n), n->y, dx);
	}
}

static double run(struct ref_graph *g, const float *x, const uint32_t *labels,
		  const uint32_t seed[2], float momentum)
{
	struct ref_node *last = &g->nodes[g->num_nodes - 1];
	float *losses = zeros(g->batch);
	bool begun[REF_MAX_NODES] = {false};
	double sum = 0.0;

	memcpy(g->nodes[0].y, x, size(g, &g->nodes[0]) * sizeof(float));
	for (struct ref_node *n = g->nodes + 1; n <= last; n++)
		forward(g, n, seed);
	ref_softmax_xent(g->batch, last->channels, last->y, labels, 1.0f / (float)g->batch,
			 last->dy, losses);
	for (struct ref_node *n = last; n > g->nodes; n--) {
		for (uint32_t k = n->d.num_inputs; n->learns && k-- > 0;) {
			struct ref_node *in = source(g, n, k);
			float *dx = zeros(size(g, in));

			backward(g, n, k, seed, momentum, dx);
			contribute(g, in, dx, begun);
			free(dx);
		}
	}
	for (uint32_t b = 0; b < g->batch; b++)
		sum += losses[b];
	free(losses);
	return sum;
}

double ref_graph_gradients(struct ref_graph *g, const float *x, const uint32_t *labels,
			   const uint32_t seed[2])
{
	return run(g, x, labels, seed, 0.0f);
}

/* ---------------------------------------------------------------- steps */

static void update(const struct ref_node *n, const struct ref_optimizer *opt, const float *adam,
		   size_t count, float *w, float *dw, float *v, float *s)
{
	if (!w)
		return;
	if (opt->use_adam) {
		ref_adam(count, adam, opt->decay != 0.0f, dw, v, s, w);
		return;
	}
	for (size_t i = 0; opt->use_momentum && i < count; i++) {
		if (n->d.kind == IGRAD_LAYER_BATCHNORM)
			v[i] = fmaf(opt->momentum, v[i], dw[i]);
		else
			v[i] = dw[i];
	}
	ref_update(count, opt, opt->use_momentum ? v : dw, w);
}

double ref_graph_step(struct ref_graph *g, const float *x, const uint32_t *labels,
		      const uint32_t seed[2], const struct ref_optimizer *opt)
{
	float adam[REF_ADAM_CONSTANTS];
	double loss = run(g, x, labels, seed, opt->use_momentum ? opt->momentum : 0.0f);

	ref_adam_constants(opt, ++g->adam_steps, adam);
	for (uint32_t i = 1; i < g->num_nodes; i++) {
		struct ref_node *n = &g->nodes[i];

		update(n, opt, adam, n->rows * n->channels, n->w, n->dw, n->vw, n->sw);
		update(n, opt, adam, n->channels, n->b, n->db, n->vb, n->sb);
	}
	return loss;
}
