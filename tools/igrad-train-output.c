// SPDX-License-Identifier: MIT
/* What igrad-train shows: text, a progress bar, JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json.h>

#include "igrad-train.h"

#define BAR_WIDTH    30
#define BAR_SECONDS  0.1
#define LINE_SECONDS 10.0

struct output {
	const struct settings *settings;
	bool terminal; /* stderr is one */
	bool bar;      /* a bar stands on the current line */
	double shown;
	struct json_object *json;
	struct json_object *epochs;
};

double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

struct output *output_new(const struct settings *settings)
{
	struct output *out = calloc(1, sizeof(*out));

	if (!out)
		return NULL;
	out->settings = settings;
	out->terminal = isatty(STDERR_FILENO);
	out->json = json_object_new_object();
	out->epochs = json_object_new_array();
	if (!out->json || !out->epochs) {
		free(out);
		return NULL;
	}
	json_object_object_add(out->json, "epochs", out->epochs);
	return out;
}

static void add_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

static void add_count(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void add_real(struct json_object *object, const char *key, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", value);
	json_object_object_add(object, key, json_object_new_double_s(value, text));
}

static double mean_loss(const struct igrad_train_stats *stats)
{
	return stats->samples ? stats->loss / stats->samples : 0.0;
}

/* Fits its column of 8 whatever the loss is. */
static const char *loss_text(double loss, char text[16])
{
	snprintf(text, 16, loss < 999.9 || !isfinite(loss) ? "%.4f" : "%.2e", loss);
	return text;
}

static double accuracy(const struct igrad_train_stats *stats)
{
	return stats->samples ? (double)stats->correct / stats->samples : 0.0;
}

static const char *network_name(const struct output *out)
{
	return out->settings->layers ? out->settings->layers : out->settings->net;
}

/* What changes the learning rate, and images. */
static void print_changes(const struct settings *s)
{
	if (s->rate_schedule == RATE_STEP)
		printf("rate      times %g every %u epochs\n", s->rate_factor, s->rate_epochs);
	else if (s->rate_schedule == RATE_COSINE)
		printf("rate      half a cosine over %u epochs\n", s->epochs);
	if (s->train.shift || s->train.flip)
		printf("images    moved by up to %u pixels%s\n", s->train.shift,
		       s->train.flip ? ", mirrored or not" : "");
}

void output_dry_run(struct output *out, struct igrad_net *net)
{
	uint64_t params = igrad_net_parameters(net);

	if (out->settings->json) {
		add_string(out->json, "network", network_name(out));
		add_count(out->json, "parameters", params);
		add_count(out->json, "batch", out->settings->train.batch);
		return;
	}
	printf("network   %s, %llu parameters\ndevice    %s\na training step of %u images can be run\n",
	       network_name(out), (unsigned long long)params,
	       igrad_device_uri(igrad_net_device(net)), out->settings->train.batch);
}

void output_start(struct output *out, struct igrad_net *net, const struct dataset *train,
		  const struct dataset *test)
{
	const struct igrad_train_options *options = &out->settings->train;
	const char *device = igrad_device_uri(igrad_net_device(net));
	const char *schedule = igrad_schedule_name(options->schedule);
	const struct igrad_optimizer *optimizer = &options->optimizer;
	const char *dtype = igrad_net_dtype(net) == IGRAD_BF16 ? "bf16" : "fp32";
	uint64_t params = igrad_net_parameters(net);

	if (out->settings->json) {
		add_string(out->json, "network", network_name(out));
		add_string(out->json, "device", device);
		add_string(out->json, "schedule", schedule);
		add_string(out->json, "dtype", dtype);
		add_string(out->json, "objective", igrad_objective_name(options->objective));
		add_count(out->json, "parameters", params);
		add_count(out->json, "batch", options->batch);
		add_count(out->json, "seed", out->settings->seed);
		return;
	}
	printf("network   %s, %llu parameters\n", network_name(out), (unsigned long long)params);
	printf("device    %s\n", device);
	if (out->settings->eval_only) {
		printf("data      %u images to test with\n", test->rows.count);
		return;
	}
	printf("data      %u images to train with, %u to test with\n", train->rows.count,
	       test->rows.count);
	printf("training  %s, %s, batches of %u, learning rate %g, ", schedule, dtype,
	       options->batch, optimizer->lr);
	if (optimizer->update == IGRAD_UPDATE_ADAM)
		printf("Adam %g %g %g", optimizer->beta1, optimizer->beta2, optimizer->epsilon);
	else
		printf("momentum %g", optimizer->momentum);
	printf(", decay %g\n", optimizer->decay);
	print_changes(out->settings);
	printf("\n");
	printf("epoch   steps     loss  accuracy  test loss  accuracy        cycles  SRAM "
	       "accesses      DRAM bytes  seconds\n");
	fflush(stdout);
}

static void clear_bar(struct output *out)
{
	if (out->bar)
		fputs("\r\033[K", stderr);
	out->bar = false;
}

void output_progress(struct output *out, uint32_t epoch, uint32_t done, uint32_t total)
{
	double now = seconds_now();
	int filled = (uint64_t)done * BAR_WIDTH / total;

	if (!out->shown)
		out->shown = now;
	if (now - out->shown < (out->terminal ? BAR_SECONDS : LINE_SECONDS))
		return;
	out->shown = now;
	if (!out->terminal) {
		fprintf(stderr, "epoch %u: step %u of %u\n", epoch, done, total);
		return;
	}
	out->bar = true;
	fprintf(stderr, "\repoch %u [%.*s%.*s] %u/%u", epoch, filled,
		"##############################", BAR_WIDTH - filled,
		"                              ", done, total);
}

static void epoch_json(struct output *out, const struct epoch *epoch)
{
	struct json_object *object = json_object_new_object();

	add_count(object, "epoch", epoch->number);
	add_count(object, "steps", epoch->train.steps);
	add_real(object, "loss", mean_loss(&epoch->train));
	add_real(object, "accuracy", accuracy(&epoch->train));
	add_real(object, "test_loss", mean_loss(&epoch->test));
	add_real(object, "test_accuracy", accuracy(&epoch->test));
	add_count(object, "cycles", epoch->train.cycles);
	add_count(object, "macs", epoch->train.macs);
	add_count(object, "sram_accesses", epoch->train.sram_accesses);
	add_count(object, "dram_bytes", epoch->train.dram_bytes);
	add_real(object, "seconds", epoch->seconds);
	json_object_array_add(out->epochs, object);
}

void output_epoch(struct output *out, const struct epoch *epoch)
{
	const struct igrad_train_stats *train = &epoch->train, *test = &epoch->test;
	char loss[16], test_loss[16];

	clear_bar(out);
	out->shown = seconds_now();
	if (out->settings->json) {
		epoch_json(out, epoch);
		return;
	}
	printf("%5u %7llu %8s  %8.4f   %8s  %8.4f %13llu %14llu %15llu %8.1f\n", epoch->number,
	       (unsigned long long)train->steps, loss_text(mean_loss(train), loss), accuracy(train),
	       loss_text(mean_loss(test), test_loss), accuracy(test),
	       (unsigned long long)train->cycles, (unsigned long long)train->sram_accesses,
	       (unsigned long long)train->dram_bytes, epoch->seconds);
	fflush(stdout);
}

void output_evaluation(struct output *out, const struct igrad_train_stats *test)
{
	char loss[16];

	clear_bar(out);
	if (out->settings->json) {
		add_real(out->json, "test_loss", mean_loss(test));
		add_real(out->json, "test_accuracy", accuracy(test));
		return;
	}
	printf("\ntest accuracy %.4f, loss %s, on %llu images\n", accuracy(test),
	       loss_text(mean_loss(test), loss), (unsigned long long)test->samples);
}

bool output_end(struct output *out, double seconds)
{
	bool good;

	clear_bar(out);
	if (out->settings->json) {
		add_real(out->json, "seconds", seconds);
		printf("%s\n",
		       json_object_to_json_string_ext(
			       out->json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	}
	good = !fflush(stdout) && !ferror(stdout);
	json_object_put(out->json);
	free(out);
	return good;
}
