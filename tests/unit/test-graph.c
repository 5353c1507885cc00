// SPDX-License-Identifier: MIT
/*
 * Networks as graphs: trained bit for bit as by plain loops, on arrays of several sizes and with
 * all optimisers; gradients by finite differences; checkpoints; and graphs that are refused.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "matrices.h"
#include "refgraph.h"

/* ---------------------------------------------------------------- graphs */

struct graph {
	const char *name;
	struct igrad_net_layer layers[REF_MAX_NODES];
	char names[REF_MAX_NODES][16];
	uint32_t count;
};

static uint32_t append(struct graph *g, struct igrad_net_layer layer)
{
	uint32_t index = g->count++;

	snprintf(g->names[index], sizeof(g->names[index]), "n%u", index);
	layer.name = g->names[index];
	g->layers[index] = layer;
	return index;
}

static uint32_t input(struct graph *g, uint32_t channels, uint32_t side)
{
	return append(g, (struct igrad_net_layer){.kind = IGRAD_LAYER_INPUT,
						  .channels = channels,
						  .height = side,
						  .width = side});
}

static uint32_t conv(struct graph *g, uint32_t from, uint32_t out, uint32_t kernel, uint32_t stride,
		     uint32_t groups, bool bias)
{
	return append(g, (struct igrad_net_layer){.kind = IGRAD_LAYER_CONV,
						  .inputs = {from},
						  .num_inputs = 1,
						  .out = out,
						  .kernel_y = kernel,
						  .kernel_x = kernel,
						  .stride_y = stride,
						  .stride_x = stride,
						  .pad_top = kernel / 2,
						  .pad_bottom = kernel / 2,
						  .pad_left = kernel / 2,
						  .pad_right = kernel / 2,
						  .dilation_y = 1,
						  .dilation_x = 1,
						  .groups = groups,
						  .bias = bias});
}

static uint32_t pool(struct graph *g, uint32_t from, bool average, uint32_t kernel, uint32_t stride,
		     uint32_t pad)
{
	return append(g, (struct igrad_net_layer){.kind = IGRAD_LAYER_POOL,
						  .inputs = {from},
						  .num_inputs = 1,
						  .average = average,
						  .skip_border = average && pad,
						  .kernel_y = kernel,
						  .kernel_x = kernel,
						  .stride_y = stride,
						  .stride_x = stride,
						  .pad_top = pad,
						  .pad_bottom = pad,
						  .pad_left = pad,
						  .pad_right = pad});
}

static uint32_t linear(struct graph *g, uint32_t from, uint32_t out)
{
	return append(g, (struct igrad_net_layer){.kind = IGRAD_LAYER_LINEAR,
						  .inputs = {from},
						  .num_inputs = 1,
						  .out = out,
						  .bias = true});
}

static uint32_t plain(struct graph *g, enum igrad_layer_kind kind, uint32_t from)
{
	return append(g, (struct igrad_net_layer){.kind = kind,
						  .inputs = {from},
						  .num_inputs = 1,
						  .rate = 0.25f,
						  .eps = 1e-5f});
}

static uint32_t relu(struct graph *g, uint32_t from)
{
	return plain(g, IGRAD_LAYER_RELU, from);
}

static uint32_t norm(struct graph *g, uint32_t from)
{
	return plain(g, IGRAD_LAYER_BATCHNORM, from);
}

static uint32_t join(struct graph *g, enum igrad_layer_kind kind, uint32_t a, uint32_t b)
{
	return append(g, (struct igrad_net_layer){.kind = kind, .inputs = {a, b}, .num_inputs = 2});
}

/* Convolutions and linear layers alone. */
static void simple(struct graph *g)
{
	uint32_t x = relu(g, conv(g, input(g, 2, 6), 4, 3, 1, 1, true));

	x = relu(g, conv(g, x, 6, 3, 2, 2, true));
	x = plain(g, IGRAD_LAYER_FLATTEN, x);
	linear(g, relu(g, linear(g, x, 7)), 4);
}

/* As LeNet is. */
static void lenet(struct graph *g)
{
	uint32_t x = relu(g, conv(g, input(g, 1, 8), 3, 3, 1, 1, true));

	x = pool(g, x, false, 2, 2, 0);
	x = relu(g, conv(g, x, 5, 3, 1, 1, true));
	x = pool(g, x, false, 3, 1, 1);
	x = plain(g, IGRAD_LAYER_FLATTEN, x);
	x = plain(g, IGRAD_LAYER_DROPOUT, relu(g, linear(g, x, 9)));
	plain(g, IGRAD_LAYER_SOFTMAX, linear(g, x, 4));
}

/* Residual blocks, with and without a convolution in the shortcut. */
static void resnet(struct graph *g)
{
	uint32_t x = relu(g, norm(g, conv(g, input(g, 1, 6), 4, 3, 1, 1, false)));
	uint32_t y = relu(g, norm(g, conv(g, x, 4, 3, 1, 1, false)));

	y = norm(g, conv(g, y, 4, 3, 1, 1, false));
	x = relu(g, join(g, IGRAD_LAYER_ADD, y, x));
	y = relu(g, norm(g, conv(g, x, 6, 3, 2, 1, false)));
	y = norm(g, conv(g, y, 6, 3, 1, 1, false));
	x = norm(g, conv(g, x, 6, 1, 2, 1, false));
	x = relu(g, join(g, IGRAD_LAYER_ADD, y, x));
	x = plain(g, IGRAD_LAYER_FLATTEN, pool(g, x, true, 3, 3, 0));
	linear(g, x, 4);
}

/* Values that are joined again and again, as in DenseNet and Inception; one that is in two joins;
 * a ReLU that cannot be fused; a sum of a value with itself. */
static void dense(struct graph *g)
{
	uint32_t x = conv(g, input(g, 1, 6), 4, 3, 1, 1, true);
	uint32_t a = relu(g, x), b = relu(g, conv(g, a, 3, 3, 1, 1, true)), c, d, e;

	c = join(g, IGRAD_LAYER_CONCAT, a, b);
	d = relu(g, conv(g, norm(g, c), 3, 1, 1, 1, false));
	e = join(g, IGRAD_LAYER_CONCAT, c, d);
	c = join(g, IGRAD_LAYER_CONCAT, b, plain(g, IGRAD_LAYER_DROPOUT, x));
	d = join(g, IGRAD_LAYER_CONCAT, e, pool(g, c, true, 3, 1, 1));
	d = pool(g, join(g, IGRAD_LAYER_ADD, d, d), false, 2, 2, 0);
	linear(g, plain(g, IGRAD_LAYER_FLATTEN, d), 4);
}

static struct graph *graph_new(const char *name, void (*build)(struct graph *g))
{
	struct graph *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->name = name;
	build(g);
	return g;
}

/* ---------------------------------------------------------------- training */

#define BATCH	5
#define CLASSES 4

static struct igrad_device *open_device(const char *uri)
{
	struct igrad_device *device;
	struct igrad_error error;

	if (igrad_device_open(uri, &device, &error))
		fail_msg("%s: %s", uri, error.message);
	return device;
}

static struct igrad_net *net_new(struct igrad_device *device, const struct graph *g)
{
	struct igrad_error error;
	struct igrad_net *net;

	if (igrad_net_new_graph(device, g->layers, g->count, &net, &error))
		fail_msg("%s: %s", g->name, error.message);
	igrad_net_draw(net, 3);
	return net;
}

static void compare(const char *what, const struct igrad_matrix *m, const float *wanted)
{
	if (!m)
		assert_true(!wanted || !strcmp(what, "vw") || !strcmp(what, "vb") ||
			    !strcmp(what, "sw") || !strcmp(what, "sb"));
	else
		assert_matrix_is(what, m, wanted);
}

static void compare_all(const struct igrad_net *net, const struct ref_graph *ref)
{
	uint32_t layer = 0;

	for (uint32_t i = 0; i < ref->num_nodes; i++) {
		const struct ref_node *n = &ref->nodes[i];

		if (!n->w)
			continue;
		compare("w", igrad_net_weight(net, layer), n->w);
		compare("b", igrad_net_bias(net, layer), n->b);
		compare("vw", igrad_net_weight_velocity(net, layer), n->vw);
		compare("vb", igrad_net_bias_velocity(net, layer), n->vb);
		compare("sw", igrad_net_weight_square(net, layer), n->sw);
		compare("sb", igrad_net_bias_square(net, layer), n->sb);
		compare("mean", igrad_net_running_mean(net, layer), n->running_mean);
		compare("variance", igrad_net_running_variance(net, layer), n->running_variance);
		layer++;
	}
	assert_int_equal(layer, igrad_net_layers(net));
}

static void train_and_compare(const struct graph *g, const char *uri, enum igrad_schedule schedule,
			      const struct igrad_optimizer *optimizer)
{
	const struct igrad_train_options options = {
		.batch = BATCH, .schedule = schedule, .optimizer = *optimizer, .seed = 11};
	const struct ref_optimizer opt = {
		.lr = optimizer->lr,
		.momentum = optimizer->momentum,
		.decay = optimizer->decay,
		.use_momentum = optimizer->update == IGRAD_UPDATE_MOMENTUM,
		.use_adam = optimizer->update == IGRAD_UPDATE_ADAM,
		.beta1 = optimizer->beta1,
		.beta2 = optimizer->beta2,
		.epsilon = optimizer->epsilon,
	};
	struct igrad_device *device = open_device(uri);
	struct igrad_net *net = net_new(device, g);
	struct igrad_trainer *trainer;
	struct igrad_train_stats stats;
	struct igrad_rng rng, seeds;
	struct igrad_error error;
	struct ref_graph *ref = calloc(1, sizeof(*ref));
	double loss = 0.0;
	uint32_t *labels;
	float *x;

	assert_non_null(ref);
	ref_graph_init(ref, g->layers, g->count, BATCH, 3);
	igrad_rng_seed(&rng, 5);
	igrad_rng_seed(&seeds, 11);
	if (igrad_trainer_new(net, &options, &trainer, &error))
		fail_msg("%s: %s", g->name, error.message);
	for (int step = 0; step < 4; step++) {
		uint64_t number = igrad_rng_next(&seeds);
		const uint32_t seed[2] = {(uint32_t)number, (uint32_t)(number >> 32)};

		assert_int_equal(igrad_trainer_begin(trainer, &x, &labels, &error), 0);
		random_values(&rng, x, (size_t)BATCH * igrad_net_width(net, 0), false);
		for (uint32_t b = 0; b < BATCH; b++)
			labels[b] = (uint32_t)igrad_rng_below(&rng, CLASSES);
		loss += ref_graph_step(ref, x, labels, seed, &opt);
		assert_int_equal(igrad_trainer_step(trainer, &error), 0);
	}
	assert_int_equal(igrad_trainer_finish(trainer, &error), 0);
	compare_all(net, ref);
	igrad_trainer_stats(trainer, &stats);
	assert_true(fabs(stats.loss - loss) <= 1e-9 * fabs(loss));
	ref_graph_fini(ref);
	free(ref);
	igrad_trainer_unref(trainer);
	igrad_net_unref(net);
	igrad_device_unref(device);
}

static const struct igrad_optimizer optimizers[] = {
	{.update = IGRAD_UPDATE_SGD, .lr = 0.1f, .decay = 0.01f},
	{.update = IGRAD_UPDATE_MOMENTUM, .lr = 0.02f, .momentum = 0.9f},
	{.update = IGRAD_UPDATE_ADAM,
	 .lr = 0.001f,
	 .decay = 0.1f,
	 .beta1 = 0.9f,
	 .beta2 = 0.999f,
	 .epsilon = 1e-8f},
};

static void train(const char *name, void (*build)(struct graph *g))
{
	static const char *const uris[] = {"sim:rows=8,cols=8,threads=2",
					   "sim:rows=3,cols=5,sram-kib=16,threads=1",
					   "sim:rows=16,cols=4,sram-kib=32,overlap=off"};
	struct graph *g = graph_new(name, build);

	for (size_t u = 0; u < 3; u++)
		for (size_t o = 0; o < 3; o++)
			train_and_compare(g, uris[u], (u * 3 + o) % IGRAD_NUM_SCHEDULES,
					  &optimizers[o]);
	free(g);
}

static void test_simple(void **state)
{
	(void)state;
	train("simple", simple);
}

static void test_lenet(void **state)
{
	(void)state;
	train("lenet", lenet);
}

static void test_resnet(void **state)
{
	(void)state;
	train("resnet", resnet);
}

static void test_dense(void **state)
{
	(void)state;
	train("dense", dense);
}

/* ---------------------------------------------------------------- finite differences */

/* The gradient of the mean loss by each of some parameters, against what changing it a little
 * comes to. The device is held to the reference bit for bit, so the reference does for both. */
static void differences(const char *name, void (*build)(struct graph *g))
{
	const uint32_t seed[2] = {1, 2}, labels[BATCH] = {0, 1, 2, 3, 1};
	struct graph *g = graph_new(name, build);
	struct ref_graph *ref = calloc(1, sizeof(*ref));
	float x[BATCH * 2 * 8 * 8];
	struct igrad_rng rng;
	double off = 0.0, all = 0.0;

	assert_non_null(ref);
	igrad_rng_seed(&rng, 9);
	random_values(&rng, x, sizeof(x) / sizeof(*x), false);
	ref_graph_init(ref, g->layers, g->count, BATCH, 3);
	ref_graph_gradients(ref, x, labels, seed);
	for (uint32_t i = 0; i < ref->num_nodes; i++) {
		struct ref_node *n = &ref->nodes[i];

		for (uint32_t k = 0; n->w && k < 12; k++) {
			size_t at = igrad_rng_below(&rng, n->rows * n->channels);
			float before = n->w[at], gradient, h = 1.0f / 512;
			double up, down;

			ref_graph_gradients(ref, x, labels, seed);
			gradient = n->dw[at];
			n->w[at] = before + h;
			up = ref_graph_gradients(ref, x, labels, seed);
			n->w[at] = before - h;
			down = ref_graph_gradients(ref, x, labels, seed);
			n->w[at] = before;
			up = (up - down) / BATCH / (2.0 * h);
			off += (up - gradient) * (up - gradient);
			all += up * up;
		}
	}
	/* Losses have 2^-24 of rounding, divided by h; kinks of ReLU and maxima come to more. */
	if (!(sqrt(off / all) < 0.02))
		fail_msg("%s: gradients are off by %g", name, sqrt(off / all));
	ref_graph_fini(ref);
	free(ref);
	free(g);
}

static void test_differences(void **state)
{
	(void)state;
	differences("simple", simple);
	differences("lenet", lenet);
	differences("resnet", resnet);
	differences("dense", dense);
}

/* ---------------------------------------------------------------- checkpoints */

struct images {
	uint8_t pixels[60 * 64];
	uint8_t labels[60];
	struct igrad_dataset data;
};

static void images_init(struct images *images, uint32_t features)
{
	struct igrad_rng rng;

	igrad_rng_seed(&rng, 4);
	for (size_t i = 0; i < sizeof(images->pixels); i++)
		images->pixels[i] = (uint8_t)igrad_rng_below(&rng, 256);
	for (size_t i = 0; i < sizeof(images->labels); i++)
		images->labels[i] = (uint8_t)igrad_rng_below(&rng, CLASSES);
	images->data = (struct igrad_dataset){images->pixels, images->labels, 60, features};
}

struct stop {
	struct igrad_trainer *trainer;
	const char *path;
	uint32_t at;
};

static bool save_at(void *opaque, uint32_t done, uint32_t total)
{
	const struct stop *stop = opaque;
	struct igrad_error error;

	(void)total;
	if (done == stop->at)
		assert_int_equal(igrad_trainer_save(stop->trainer, stop->path, "so", &error), 0);
	return true;
}

static char *file_of(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *bytes = malloc(1 << 20);

	assert_non_null(file);
	assert_non_null(bytes);
	*size = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	return bytes;
}

static void assert_same_files(const char *a, const char *b)
{
	size_t na, nb;
	char *x = file_of(a, &na), *y = file_of(b, &nb);

	assert_int_equal(na, nb);
	assert_memory_equal(x, y, na);
	free(x);
	free(y);
}

static void temp_path(char *path, size_t size)
{
	int fd;

	snprintf(path, size, "/tmp/igrad-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
}

/* Two epochs in one go, and from a checkpoint within the first on: the same file at the end. */
static void go_on(const struct graph *g, const struct igrad_optimizer *optimizer)
{
	const struct igrad_train_options options = {.batch = BATCH,
						    .schedule = IGRAD_SCHEDULE_INTERLEAVED,
						    .optimizer = *optimizer,
						    .shift = 1,
						    .flip = true};
	struct igrad_device *device = open_device("sim:rows=8,cols=8");
	struct igrad_net *one = net_new(device, g), *two = net_new(device, g);
	struct igrad_trainer *first, *second;
	struct igrad_train_stats wanted, stats;
	char at7[64], end1[64], end2[64];
	struct images images;
	struct igrad_error error;
	struct stop stop;
	uint32_t epoch, step;

	images_init(&images, igrad_net_width(one, 0));
	temp_path(at7, sizeof(at7));
	temp_path(end1, sizeof(end1));
	temp_path(end2, sizeof(end2));
	assert_int_equal(igrad_trainer_new(one, &options, &first, &error), 0);
	stop = (struct stop){first, at7, 7};
	for (uint32_t e = 0; e < 2; e++)
		assert_int_equal(igrad_trainer_epoch(first, &images.data, 6, e, UINT32_MAX,
						     e ? NULL : save_at, &stop, &error),
				 0);
	igrad_trainer_stats(first, &wanted);
	assert_int_equal(igrad_trainer_save(first, end1, "so", &error), 0);

	assert_int_equal(igrad_trainer_new(two, &options, &second, &error), 0);
	assert_int_equal(igrad_trainer_resume(second, at7, "other", &epoch, &step, &error),
			 -EINVAL);
	assert_int_equal(igrad_trainer_resume(second, at7, "so", &epoch, &step, &error), 0);
	assert_int_equal(epoch, 0);
	assert_int_equal(step, 7);
	for (; epoch < 2; epoch++)
		assert_int_equal(igrad_trainer_epoch(second, &images.data, 6, epoch, UINT32_MAX,
						     NULL, NULL, &error),
				 0);
	igrad_trainer_stats(second, &stats);
	assert_memory_equal(&stats, &wanted, sizeof(stats));
	assert_int_equal(igrad_trainer_save(second, end2, "so", &error), 0);
	assert_same_files(end1, end2);
	unlink(at7);
	unlink(end1);
	unlink(end2);
	igrad_trainer_unref(first);
	igrad_trainer_unref(second);
	igrad_net_unref(one);
	igrad_net_unref(two);
	igrad_device_unref(device);
}

static void test_checkpoints(void **state)
{
	struct graph *lenets = graph_new("lenet", lenet), *resnets = graph_new("resnet", resnet);

	(void)state;
	for (size_t o = 0; o < 3; o++) {
		go_on(lenets, &optimizers[o]);
		go_on(resnets, &optimizers[o]);
	}
	free(lenets);
	free(resnets);
}

/* Nothing changes when a checkpoint is none, or another network's. */
static void test_bad_checkpoints(void **state)
{
	const struct igrad_train_options options = {
		.batch = BATCH, .schedule = IGRAD_SCHEDULE_INTERLEAVED, .optimizer = optimizers[1]};
	struct igrad_device *device = open_device("sim:rows=8,cols=8");
	struct graph *small = graph_new("simple", simple), *large = graph_new("lenet", lenet);
	struct igrad_net *net = net_new(device, small), *other = net_new(device, large);
	struct igrad_trainer *trainer, *others;
	float *before = matrix_get(igrad_net_weight(net, 0));
	struct igrad_error error;
	uint32_t epoch, step;
	char path[64];

	(void)state;
	temp_path(path, sizeof(path));
	assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), 0);
	assert_int_equal(igrad_trainer_new(other, &options, &others, &error), 0);
	assert_true(igrad_trainer_resume(trainer, path, "so", &epoch, &step, &error) < 0);
	assert_int_equal(igrad_net_save(net, path, true, &error), 0);
	assert_int_equal(igrad_trainer_resume(trainer, path, "so", &epoch, &step, &error),
			 -EBADMSG);
	assert_non_null(strstr(error.message, "not a checkpoint"));
	assert_int_equal(igrad_trainer_save(others, path, "so", &error), 0);
	assert_true(igrad_trainer_resume(trainer, path, "so", &epoch, &step, &error) < 0);
	assert_matrix_is("w", igrad_net_weight(net, 0), before);
	assert_int_equal(igrad_trainer_save(trainer, "/nonexistent/file", "so", &error), -ENOENT);
	unlink(path);
	free(before);
	igrad_trainer_unref(trainer);
	igrad_trainer_unref(others);
	igrad_net_unref(net);
	igrad_net_unref(other);
	igrad_device_unref(device);
	free(small);
	free(large);
}

/* ---------------------------------------------------------------- refused */

static void refuse(struct igrad_device *device, const struct graph *g, const char *why)
{
	struct igrad_error error = {""};
	struct igrad_net *net;

	assert_int_equal(igrad_net_new_graph(device, g->layers, g->count, &net, &error), -EINVAL);
	assert_null(net);
	if (!strstr(error.message, why))
		fail_msg("'%s' instead of '%s'", error.message, why);
}

static void test_refused(void **state)
{
	struct igrad_device *device = open_device("sim:rows=8,cols=8");
	struct graph *good = graph_new("lenet", lenet), bad;

	(void)state;
	bad = *good;
	bad.count = 1;
	refuse(device, &bad, "an input and");
	bad = *good;
	bad.layers[0].kind = IGRAD_LAYER_RELU;
	refuse(device, &bad, "the first layer is the input");
	bad = *good;
	bad.layers[0].channels = 0;
	refuse(device, &bad, "n0: an input has");
	bad = *good;
	bad.layers[2].inputs[0] = 2;
	refuse(device, &bad, "n2: it takes a layer that is not before it");
	bad = *good;
	bad.layers[2].num_inputs = 2;
	refuse(device, &bad, "n2: it takes one layer");
	bad = *good;
	bad.layers[2].kind = IGRAD_LAYER_ADD;
	refuse(device, &bad, "n2: it takes several layers");
	bad = *good;
	bad.layers[2].kind = IGRAD_NUM_LAYER_KINDS;
	refuse(device, &bad, "n2: there is no such kind");
	bad = *good;
	bad.layers[1].kernel_y = 20;
	refuse(device, &bad, "n1: no convolution");
	bad = *good;
	bad.layers[3].kernel_y = 20;
	refuse(device, &bad, "n3: no pooling");
	bad = *good;
	bad.layers[3].inputs[0] = 1;
	refuse(device, &bad, "n2: nothing takes its result");
	bad = *good;
	bad.layers[2].kind = IGRAD_LAYER_SOFTMAX;
	refuse(device, &bad, "n2: a softmax can only be executed at the end");
	bad = *good;
	bad.layers[8].inputs[0] = 6;
	refuse(device, &bad, "n8: it takes features");
	bad = *good;
	bad.layers[10].rate = 1.0f;
	refuse(device, &bad, "n10: a rate");
	bad = *good;
	bad.layers[4].name = "n1";
	refuse(device, &bad, "another layer is called 'n1'");
	bad = *good;
	bad.count = 7;
	refuse(device, &bad, "a network ends with a score");
	free(good);
	igrad_device_unref(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple),		cmocka_unit_test(test_lenet),
		cmocka_unit_test(test_resnet),		cmocka_unit_test(test_dense),
		cmocka_unit_test(test_differences),	cmocka_unit_test(test_checkpoints),
		cmocka_unit_test(test_bad_checkpoints), cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
