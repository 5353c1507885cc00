// SPDX-License-Identifier: MIT
/* Networks: random numbers, files, training and evaluation, held to the host reference. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "igrad/safetensors.h"
#include "matrices.h"
#include "refnet.h"

/* ---------------------------------------------------------------- helpers */

static struct igrad_device *open_device(const char *uri)
{
	struct igrad_device *device;
	struct igrad_error error;

	if (igrad_device_open(uri, &device, &error))
		fail_msg("%s: %s", uri, error.message);
	return device;
}

static struct igrad_net *new_net(struct igrad_device *device, const char *layers, uint64_t seed)
{
	struct igrad_net *net;
	struct igrad_error error;

	if (igrad_net_new(device, layers, seed, &net, &error))
		fail_msg("%s: %s", layers, error.message);
	return net;
}

static void temp_path(char *path, size_t size)
{
	int fd;

	snprintf(path, size, "/tmp/igrad-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
}

/* Clouds of points, a different one for each class, so that there is something to learn. */
struct cloud {
	uint8_t *images;
	uint8_t *labels;
	struct igrad_dataset data;
};

static void cloud_init(struct cloud *cloud, uint32_t count, uint32_t features, uint32_t classes)
{
	struct igrad_rng rng;

	igrad_rng_seed(&rng, 77);
	cloud->images = malloc((size_t)count * features);
	cloud->labels = malloc(count);
	assert_non_null(cloud->images);
	assert_non_null(cloud->labels);
	for (uint32_t i = 0; i < count; i++) {
		cloud->labels[i] = igrad_rng_below(&rng, classes);
		for (uint32_t f = 0; f < features; f++) {
			uint32_t centre = (cloud->labels[i] * 37 + f * 11) % 192;

			cloud->images[(size_t)i * features + f] = centre +
								  igrad_rng_below(&rng, 64);
		}
	}
	cloud->data = (struct igrad_dataset){cloud->images, cloud->labels, count, features};
}

static void cloud_fini(struct cloud *cloud)
{
	free(cloud->images);
	free(cloud->labels);
}

/* ---------------------------------------------------------------- random numbers */

/* The first numbers of the published generators. */
static void test_rng(void **state)
{
	struct igrad_rng rng = {{1, 2, 3, 4}};
	static const uint64_t first[] = {11520, 0, 1509978240, 1215971899390074240};

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_true(igrad_rng_next(&rng) == first[i]);
	igrad_rng_seed(&rng, 1234567);
	assert_true(rng.s[0] == 6457827717110365317u);
	assert_true(rng.s[1] == 3203168211198807973u);
	assert_true(rng.s[2] == 9817491932198370423u);
}

static void test_rng_ranges(void **state)
{
	uint32_t order[1000], seen[1000] = {0};
	struct igrad_rng rng;

	(void)state;
	igrad_rng_seed(&rng, 5);
	for (int i = 0; i < 100000; i++) {
		float f = igrad_rng_float(&rng);

		assert_true(f >= 0.0f && f < 1.0f);
		assert_true(igrad_rng_below(&rng, 7) < 7);
		assert_true(igrad_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
	}
	assert_true(igrad_rng_below(&rng, 1) == 0);
	igrad_rng_shuffle(&rng, order, 1000);
	for (int i = 0; i < 1000; i++)
		seen[order[i]]++;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(seen[i], 1);
}

/* ---------------------------------------------------------------- networks */

static void test_bad_descriptions(void **state)
{
	static const char *const bad[] = {"",
					  "784",
					  "784-",
					  "-10",
					  "10--10",
					  "0-10",
					  "10-0",
					  "a-b",
					  "10-10x",
					  "10 -10",
					  "+1-10",
					  "1048577-1",
					  "99999999999999999999-1",
					  "1,2"};
	struct igrad_device *device = open_device("sim:");
	struct igrad_error error;
	struct igrad_net *net;
	char many[2 * IGRAD_NET_MAX_LAYERS + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&error, 0, sizeof(error));
		assert_int_equal(igrad_net_new(device, bad[i], 1, &net, &error), -EINVAL);
		assert_null(net);
		assert_true(strlen(error.message) > 0);
	}
	for (int i = 0; i <= IGRAD_NET_MAX_LAYERS + 1; i++)
		memcpy(many + 2 * i, "1-", 2);
	many[2 * (IGRAD_NET_MAX_LAYERS + 1) + 1] = 0;
	assert_int_equal(igrad_net_new(device, many, 1, &net, &error), -EINVAL);
	many[2 * IGRAD_NET_MAX_LAYERS + 1] = 0;
	assert_int_equal(igrad_net_new(device, many, 1, &net, &error), 0);
	assert_int_equal(igrad_net_layers(net), IGRAD_NET_MAX_LAYERS);
	igrad_net_unref(net);
	igrad_device_unref(device);
}

static void test_initial_parameters(void **state)
{
	struct igrad_device *device = open_device("sim:");
	struct igrad_net *net = new_net(device, "20-30-10", 99);
	struct ref_net ref;

	(void)state;
	assert_true(ref_net_init(&ref, "20-30-10", 99));
	for (uint32_t l = 0; l < 2; l++) {
		assert_matrix_is("w", igrad_net_weight(net, l), ref.w[l]);
		assert_matrix_is("b", igrad_net_bias(net, l), ref.b[l]);
		assert_null(igrad_net_weight_velocity(net, l));
	}
	ref_net_fini(&ref);
	igrad_net_unref(net);
	igrad_device_unref(device);
}

static void test_save_and_load(void **state)
{
	struct igrad_device *device = open_device("sim:");
	struct igrad_net *one = new_net(device, "5-7-3", 1), *two = new_net(device, "5-7-3", 2);
	struct igrad_net *other = new_net(device, "5-8-3", 1);
	float *before, *after;
	struct igrad_error error;
	char path[64];

	(void)state;
	temp_path(path, sizeof(path));
	assert_int_equal(igrad_net_save(one, path, false, &error), 0);
	assert_int_equal(igrad_net_load(two, path, &error), 0);
	before = matrix_get(igrad_net_weight(one, 0));
	assert_matrix_is("w", igrad_net_weight(two, 0), before);
	free(before);

	/* The first layer's bias would fit; nothing must change all the same. */
	before = matrix_get(igrad_net_weight(other, 1));
	assert_true(igrad_net_load(other, path, &error) < 0);
	after = matrix_get(igrad_net_weight(other, 1));
	assert_memory_equal(before, after, 8 * 3 * 4);
	free(before);
	free(after);

	unlink(path);
	assert_true(igrad_net_load(two, path, &error) < 0);
	assert_true(strstr(error.message, path) != NULL);
	assert_true(igrad_net_save(two, "/nonexistent/file", false, &error) < 0);
	igrad_net_unref(one);
	igrad_net_unref(two);
	igrad_net_unref(other);
	igrad_device_unref(device);
}

/* ---------------------------------------------------------------- training */

struct recipe {
	const char *uri;
	const char *layers;
	uint32_t batch;
	enum igrad_schedule schedule;
	struct igrad_optimizer optimizer;
	enum igrad_element dtype;
};

static void train_and_compare(const struct recipe *recipe, const struct igrad_dataset *data,
			      uint32_t steps)
{
	bool momentum = recipe->optimizer.update == IGRAD_UPDATE_MOMENTUM;
	bool adam = recipe->optimizer.update == IGRAD_UPDATE_ADAM;
	struct igrad_train_options options = {
		.batch = recipe->batch,
		.schedule = recipe->schedule,
		.optimizer = recipe->optimizer,
	};
	struct ref_optimizer opt = {
		.lr = recipe->optimizer.lr,
		.momentum = recipe->optimizer.momentum,
		.decay = recipe->optimizer.decay,
		.use_momentum = momentum,
		.use_adam = adam,
		.beta1 = recipe->optimizer.beta1,
		.beta2 = recipe->optimizer.beta2,
		.epsilon = recipe->optimizer.epsilon,
	};
	struct igrad_device *device = open_device(recipe->uri);
	struct igrad_net *net = new_net(device, recipe->layers, 3);
	struct igrad_trainer *trainer;
	struct igrad_error error;
	struct ref_net ref;
	uint32_t per_epoch = data->count / recipe->batch;

	assert_int_equal(igrad_net_set_dtype(net, recipe->dtype), 0);
	if (igrad_trainer_new(net, &options, &trainer, &error))
		fail_msg("%s", error.message);
	for (uint32_t done = 0, epoch = 0; done < steps; done += per_epoch, epoch++)
		if (igrad_trainer_epoch(trainer, data, 3, epoch, steps - done, NULL, NULL, &error))
			fail_msg("%s", error.message);
	assert_true(ref_net_init(&ref, recipe->layers, 3));
	ref.bf16 = recipe->dtype == IGRAD_BF16;
	ref_net_train(&ref, data, recipe->batch, 3, steps, &opt);
	for (uint32_t l = 0; l < ref.num_layers; l++) {
		assert_matrix_is("w", igrad_net_weight(net, l), ref.w[l]);
		assert_matrix_is("b", igrad_net_bias(net, l), ref.b[l]);
		if (adam) {
			assert_matrix_is("sw", igrad_net_weight_square(net, l), ref.sw[l]);
			assert_matrix_is("sb", igrad_net_bias_square(net, l), ref.sb[l]);
		}
		if (momentum || adam) {
			assert_matrix_is("vw", igrad_net_weight_velocity(net, l), ref.vw[l]);
			assert_matrix_is("vb", igrad_net_bias_velocity(net, l), ref.vb[l]);
		}
	}
	ref_net_fini(&ref);
	igrad_trainer_unref(trainer);
	igrad_net_unref(net);
	igrad_device_unref(device);
}

static void test_training(void **state)
{
	static const char *const uris[] = {"sim:rows=8,cols=8,threads=1",
					   "sim:rows=5,cols=11,sram-kib=16,threads=2",
					   "sim:rows=16,cols=4,sram-kib=32,threads=3"};
	static const struct igrad_optimizer optimizers[] = {
		{.update = IGRAD_UPDATE_SGD, .lr = 0.1f, .momentum = 0.0f, .decay = 0.0f},
		{.update = IGRAD_UPDATE_SGD, .lr = 0.05f, .momentum = 0.0f, .decay = 0.01f},
		{.update = IGRAD_UPDATE_MOMENTUM, .lr = 0.02f, .momentum = 0.9f, .decay = 0.0f},
		{.update = IGRAD_UPDATE_MOMENTUM, .lr = 0.02f, .momentum = 0.5f, .decay = 0.1f},
		{.update = IGRAD_UPDATE_ADAM,
		 .lr = 0.001f,
		 .decay = 0.1f,
		 .beta1 = 0.9f,
		 .beta2 = 0.999f,
		 .epsilon = 1e-8f},
	};
	struct cloud cloud;

	(void)state;
	cloud_init(&cloud, 300, 45, 7);
	for (size_t u = 0; u < 3; u++)
		for (size_t o = 0; o < 5; o++)
			for (int schedule = 0; schedule < IGRAD_NUM_SCHEDULES; schedule++)
				train_and_compare(&(struct recipe){uris[u], "45-33-18-7", 19,
								   schedule, optimizers[o],
								   (u + o) % 2},
						  &cloud.data, 40);
	/* One layer: input and output at once. */
	train_and_compare(&(struct recipe){uris[0], "45-7", 32, IGRAD_SCHEDULE_INTERLEAVED,
					   optimizers[0], IGRAD_FP32},
			  &cloud.data, 20);
	cloud_fini(&cloud);
}

/* It learns, counts what it does, and evaluates rows that do not fill a batch. */
static void learn(enum igrad_element dtype)
{
	struct igrad_train_options options = {
		.batch = 32,
		.schedule = IGRAD_SCHEDULE_INTERLEAVED,
		.optimizer = {.update = IGRAD_UPDATE_SGD,
			      .lr = 0.1f,
			      .momentum = 0.0f,
			      .decay = 0.0f},
	};
	struct igrad_device *device = open_device("sim:rows=16,cols=16");
	struct igrad_net *net = new_net(device, "20-16-4", 1);
	struct igrad_train_stats before, after, stats;
	struct igrad_trainer *trainer;
	struct igrad_error error;
	struct cloud cloud;

	assert_int_equal(igrad_net_set_dtype(net, dtype), 0);
	cloud_init(&cloud, 1003, 20, 4);
	assert_int_equal(igrad_net_evaluate(net, &cloud.data, 100, &before, &error), 0);
	assert_int_equal(before.samples, 1003);
	assert_int_equal(before.steps, 11);
	assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), 0);
	for (uint32_t epoch = 0; epoch < 5; epoch++) {
		assert_int_equal(igrad_trainer_epoch(trainer, &cloud.data, 1, epoch, UINT32_MAX,
						     NULL, NULL, &error),
				 0);
		igrad_trainer_stats(trainer, &stats);
		assert_int_equal(stats.steps, 31);
		assert_int_equal(stats.samples, 31 * 32);
		assert_true(stats.cycles > 0 && stats.sram_accesses > 0 && stats.dram_bytes > 0);
		/* forward, both gradients of the second layer, one of the first */
		assert_true(stats.macs == 31ull * 32 * (2 * 20 * 16 + 3 * 16 * 4));
	}
	assert_int_equal(igrad_net_evaluate(net, &cloud.data, 1003, &after, &error), 0);
	assert_true(after.correct > 1000 && after.loss < before.loss / 4);
	igrad_trainer_stats(trainer, &stats);
	assert_int_equal(stats.steps, 0);
	igrad_trainer_unref(trainer);
	igrad_net_unref(net);
	igrad_device_unref(device);
	cloud_fini(&cloud);
}

static void test_learning(void **state)
{
	(void)state;
	learn(IGRAD_FP32);
	learn(IGRAD_BF16);
}

/* ---------------------------------------------------------------- steps by hand */

static void fill(struct igrad_rng *rng, float *x, uint32_t *labels, uint32_t batch,
		 uint32_t features, uint32_t classes)
{
	random_values(rng, x, (size_t)batch * features, false);
	for (uint32_t b = 0; b < batch; b++)
		labels[b] = igrad_rng_below(rng, classes);
}

/* Any numbers may be trained with, and the losses are those of the reference, step by step. */
static void steps_by_hand(enum igrad_element dtype)
{
	struct igrad_train_options options = {
		.batch = 6,
		.schedule = IGRAD_SCHEDULE_INTERLEAVED,
		.optimizer = {.update = IGRAD_UPDATE_SGD,
			      .lr = 0.1f,
			      .momentum = 0.0f,
			      .decay = 0.0f},
	};
	const struct ref_optimizer opt = {.lr = 0.1f};
	struct igrad_device *device = open_device("sim:rows=4,cols=4");
	struct igrad_net *net = new_net(device, "9-8-4", 6);
	struct igrad_trainer *trainer, *other;
	struct igrad_train_stats stats;
	struct igrad_error error;
	struct ref_net ref;
	struct igrad_rng rng;
	double loss = 0.0;
	uint32_t *labels;
	float *x;

	assert_int_equal(igrad_net_set_dtype(net, dtype), 0);
	igrad_rng_seed(&rng, 1);
	assert_true(ref_net_init(&ref, "9-8-4", 6));
	ref.bf16 = dtype == IGRAD_BF16;
	assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), 0);
	for (int step = 0; step < 11; step++) {
		assert_int_equal(igrad_trainer_begin(trainer, &x, &labels, &error), 0);
		fill(&rng, x, labels, 6, 9, 4);
		loss += ref_net_step(&ref, 6, x, labels, &opt);
		assert_int_equal(igrad_trainer_step(trainer, &error), 0);
	}
	assert_int_equal(igrad_trainer_finish(trainer, &error), 0);
	igrad_trainer_stats(trainer, &stats);
	assert_int_equal(stats.steps, 11);
	assert_true(fabs(stats.loss - loss) < 1e-9 * loss);
	for (uint32_t l = 0; l < 2; l++)
		assert_matrix_is("w", igrad_net_weight(net, l), ref.w[l]);

	/* A class that the network does not have: the device refuses, and the trainer says why. */
	other = igrad_trainer_ref(trainer);
	igrad_trainer_unref(trainer);
	assert_int_equal(igrad_trainer_begin(other, &x, &labels, &error), 0);
	labels[3] = 4;
	assert_int_equal(igrad_trainer_step(other, &error), 0);
	assert_int_equal(igrad_trainer_finish(other, &error), -EINVAL);
	assert_true(strstr(error.message, igrad_reason_string(IGRAD_REASON_DATA)) != NULL);
	igrad_trainer_unref(other);
	ref_net_fini(&ref);
	igrad_net_unref(net);
	igrad_device_unref(device);
}

static void test_steps_by_hand(void **state)
{
	(void)state;
	steps_by_hand(IGRAD_FP32);
	steps_by_hand(IGRAD_BF16);
}

/* Training goes on from a file as if it had never stopped. */
static void go_on(struct igrad_optimizer optimizer)
{
	struct igrad_train_options options = {
		.batch = 20,
		.schedule = IGRAD_SCHEDULE_WS_OS,
		.optimizer = optimizer,
	};
	struct igrad_device *device = open_device("sim:rows=8,cols=8");
	struct igrad_net *one = new_net(device, "12-9-3", 1), *two = new_net(device, "12-9-3", 2);
	struct igrad_trainer *first, *second;
	struct igrad_error error;
	struct cloud cloud;
	float *wanted;
	char path[64];

	temp_path(path, sizeof(path));
	cloud_init(&cloud, 100, 12, 3);
	assert_int_equal(igrad_trainer_new(one, &options, &first, &error), 0);
	assert_int_equal(
		igrad_trainer_epoch(first, &cloud.data, 1, 0, UINT32_MAX, NULL, NULL, &error), 0);
	assert_int_equal(igrad_net_save(one, path, true, &error), 0);
	assert_int_equal(igrad_net_load(two, path, &error), 0);
	assert_int_equal(igrad_trainer_new(two, &options, &second, &error), 0);
	assert_int_equal(
		igrad_trainer_epoch(first, &cloud.data, 1, 1, UINT32_MAX, NULL, NULL, &error), 0);
	assert_int_equal(
		igrad_trainer_epoch(second, &cloud.data, 1, 1, UINT32_MAX, NULL, NULL, &error), 0);
	wanted = matrix_get(igrad_net_weight(one, 1));
	assert_matrix_is("w", igrad_net_weight(two, 1), wanted);
	free(wanted);
	wanted = matrix_get(igrad_net_bias_velocity(one, 0));
	assert_matrix_is("vb", igrad_net_bias_velocity(two, 0), wanted);
	free(wanted);
	if (optimizer.update == IGRAD_UPDATE_ADAM) {
		wanted = matrix_get(igrad_net_weight_square(one, 1));
		assert_matrix_is("sw", igrad_net_weight_square(two, 1), wanted);
		free(wanted);
	}
	unlink(path);
	igrad_trainer_unref(first);
	igrad_trainer_unref(second);
	igrad_net_unref(one);
	igrad_net_unref(two);
	igrad_device_unref(device);
	cloud_fini(&cloud);
}

static void test_going_on(void **state)
{
	(void)state;
	go_on((struct igrad_optimizer){
		.update = IGRAD_UPDATE_MOMENTUM, .lr = 0.05f, .momentum = 0.9f, .decay = 0.01f});
	go_on((struct igrad_optimizer){.update = IGRAD_UPDATE_ADAM,
				       .lr = 0.01f,
				       .beta1 = 0.9f,
				       .beta2 = 0.99f,
				       .epsilon = 1e-8f});
}

/* What one optimiser left says nothing to another. */
static void test_changing_optimizers(void **state)
{
	struct igrad_device *device = open_device("sim:rows=8,cols=8");
	struct igrad_net *net = new_net(device, "12-9-3", 1);
	struct igrad_train_options options = {
		.batch = 20,
		.optimizer = {.lr = 0.01f,
			      .momentum = 0.9f,
			      .beta1 = 0.9f,
			      .beta2 = 0.99f,
			      .epsilon = 1e-8f},
	};
	const float zeros[12 * 9] = {0};
	char path[64];
	struct igrad_trainer *trainer;
	struct igrad_error error;
	struct cloud cloud;

	(void)state;
	cloud_init(&cloud, 100, 12, 3);
	temp_path(path, sizeof(path));
	for (int round = 0; round < 4; round++) {
		options.optimizer.update = round % 2 ? IGRAD_UPDATE_ADAM : IGRAD_UPDATE_MOMENTUM;
		assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), 0);
		assert_matrix_is("vw", igrad_net_weight_velocity(net, 0), zeros);
		if (round % 2)
			assert_matrix_is("sw", igrad_net_weight_square(net, 0), zeros);
		else
			assert_null(igrad_net_weight_square(net, 0));
		assert_int_equal(igrad_trainer_epoch(trainer, &cloud.data, 1, 0, UINT32_MAX, NULL,
						     NULL, &error),
				 0);
		igrad_trainer_unref(trainer);
		if (round == 0) { /* a file's velocities are no moments */
			assert_int_equal(igrad_net_save(net, path, true, &error), 0);
		} else if (round == 1) {
			float *squares = matrix_get(igrad_net_weight_square(net, 0));
			float *moments = matrix_get(igrad_net_weight_velocity(net, 0));

			assert_int_equal(igrad_net_load(net, path, &error), 0);
			assert_matrix_is("vw", igrad_net_weight_velocity(net, 0), moments);
			assert_matrix_is("sw", igrad_net_weight_square(net, 0), squares);
			free(squares);
			free(moments);
		}
	}
	unlink(path);
	igrad_net_unref(net);
	igrad_device_unref(device);
	cloud_fini(&cloud);
}

static void test_schedule_names(void **state)
{
	enum igrad_schedule schedule;

	(void)state;
	for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++) {
		assert_int_equal(igrad_schedule_parse(igrad_schedule_name(s), &schedule), 0);
		assert_int_equal(schedule, s);
	}
	assert_int_equal(igrad_schedule_parse("interleave", &schedule), -EINVAL);
	assert_non_null(igrad_schedule_name(IGRAD_NUM_SCHEDULES));
}

static bool stop_at_three(void *opaque, uint32_t done, uint32_t total)
{
	*(uint32_t *)opaque = total;
	return done < 3;
}

static void test_bad_data(void **state)
{
	struct igrad_train_options options = {
		.batch = 32,
		.schedule = IGRAD_SCHEDULE_WS_OS,
		.optimizer = {.update = IGRAD_UPDATE_SGD,
			      .lr = 0.1f,
			      .momentum = 0.0f,
			      .decay = 0.0f},
	};
	struct igrad_device *device = open_device("sim:rows=4,cols=4");
	struct igrad_net *net = new_net(device, "9-4", 1);
	struct igrad_train_stats stats;
	struct igrad_trainer *trainer;
	struct igrad_error error;
	struct cloud cloud;
	uint32_t total = 0;

	(void)state;
	cloud_init(&cloud, 200, 9, 5); /* a class too many */
	assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), 0);
	assert_int_equal(igrad_trainer_epoch(trainer, &cloud.data, 1, 0, 1, NULL, NULL, &error),
			 -EINVAL);
	assert_int_equal(igrad_net_evaluate(net, &cloud.data, 10, &stats, &error), -EINVAL);
	for (uint32_t i = 0; i < 200; i++)
		cloud.labels[i] %= 4;
	assert_int_equal(igrad_net_evaluate(net, &cloud.data, 0, &stats, &error), -EINVAL);
	assert_int_equal(igrad_trainer_epoch(trainer, &cloud.data, 1, 0, UINT32_MAX, stop_at_three,
					     &total, &error),
			 0);
	assert_int_equal(total, 6);
	igrad_trainer_stats(trainer, &stats);
	assert_int_equal(stats.steps, 3);
	cloud.data.count = 31;
	assert_int_equal(igrad_trainer_epoch(trainer, &cloud.data, 1, 0, 1, NULL, NULL, &error),
			 -EINVAL);
	cloud.data.features = 8;
	assert_int_equal(igrad_trainer_epoch(trainer, &cloud.data, 1, 0, 1, NULL, NULL, &error),
			 -EINVAL);
	igrad_trainer_unref(trainer);
	options.batch = 0;
	assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), -EINVAL);
	options.batch = IGRAD_MAX_BATCH + 1;
	assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), -EINVAL);
	options.batch = 1;
	options.optimizer.update = IGRAD_UPDATE_NONE;
	assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), -EINVAL);
	igrad_net_unref(net);
	igrad_device_unref(device);
	cloud_fini(&cloud);
}

/* Nothing of such a network is drawn or computed: its plan does not fit a job. */
static void test_layers_too_large(void **state)
{
	struct igrad_train_options options = {.batch = 2,
					      .optimizer = {.update = IGRAD_UPDATE_SGD}};
	struct igrad_device *device = open_device("sim:rows=8,cols=8");
	uint8_t row[4] = {0};
	struct igrad_dataset data = {.images = row, .labels = row, .count = 1, .features = 4};
	struct igrad_train_stats stats;
	struct igrad_trainer *trainer;
	struct igrad_error error;
	struct igrad_net *net;

	(void)state;
	assert_int_equal(igrad_net_new_blank(device, "4-8000-8000-3", &net, &error), 0);
	assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), -E2BIG);
	assert_non_null(strstr(error.message, "training step: layer 1 (8000-8000), forward: too"));
	assert_int_equal(igrad_net_evaluate(net, &data, 1, &stats, &error), -E2BIG);
	assert_non_null(strstr(error.message, "evaluation: layer 1 (8000-8000), forward: too"));
	igrad_net_unref(net);
	igrad_device_unref(device);
}

static void test_drawn_later(void **state)
{
	struct igrad_device *device = open_device("sim:");
	struct igrad_net *drawn = new_net(device, "5-4-3", 9), *blank;
	const size_t size = 5 * 4 * sizeof(float);
	const float zeros[5 * 4] = {0};
	const float *w;

	(void)state;
	assert_int_equal(igrad_net_new_blank(device, "5-4-3", &blank, NULL), 0);
	w = (const float *)((char *)igrad_buffer_map(igrad_net_weight(blank, 0)->buffer) +
			    igrad_net_weight(blank, 0)->offset);
	assert_memory_equal(w, zeros, size);
	igrad_net_draw(blank, 9);
	assert_memory_equal(w,
			    (char *)igrad_buffer_map(igrad_net_weight(drawn, 0)->buffer) +
				    igrad_net_weight(drawn, 0)->offset,
			    size);
	igrad_net_unref(blank);
	igrad_net_unref(drawn);
	igrad_device_unref(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rng),
		cmocka_unit_test(test_rng_ranges),
		cmocka_unit_test(test_bad_descriptions),
		cmocka_unit_test(test_initial_parameters),
		cmocka_unit_test(test_save_and_load),
		cmocka_unit_test(test_training),
		cmocka_unit_test(test_learning),
		cmocka_unit_test(test_steps_by_hand),
		cmocka_unit_test(test_changing_optimizers),
		cmocka_unit_test(test_going_on),
		cmocka_unit_test(test_schedule_names),
		cmocka_unit_test(test_bad_data),
		cmocka_unit_test(test_layers_too_large),
		cmocka_unit_test(test_drawn_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
