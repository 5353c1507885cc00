// SPDX-License-Identifier: MIT
/* A training from beginning to end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "igrad-train.h"

static volatile sig_atomic_t interrupted;

int session_interrupted(void)
{
	return interrupted;
}

static void on_interrupt(int number)
{
	interrupted = number;
	/* A second one ends the program at once. */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

/* ---------------------------------------------------------------- set-up */

static int open_device(struct session *s, struct igrad_error *error)
{
	const char *uri = s->settings.device ? s->settings.device : getenv("IGRAD_DEVICE");
	char with_threads[512];

	if (uri && !*uri)
		uri = NULL;
	if (s->settings.threads) {
		if (uri && !strncmp(uri, "drm:", 4)) {
			snprintf(error->message, sizeof(error->message),
				 "--threads is for sim: devices; %s has its own", uri);
			return -EINVAL;
		}
		if (uri && strncmp(uri, "sim:", 4))
			return igrad_device_open(uri, &s->device, error); /* says what is wrong */
		snprintf(with_threads, sizeof(with_threads), "%s%sthreads=%u",
			 uri ? uri : "sim:", uri && uri[4] ? "," : "", s->settings.threads);
		uri = with_threads;
	}
	return igrad_device_open(uri, &s->device, error);
}

static int load_network(struct session *s, struct igrad_error *error)
{
	struct settings *settings = &s->settings;
	uint32_t batch = 0;
	int err;

	if (settings->net)
		err = train_net_load(settings->net, s->device, &s->net, &batch, error);
	else
		err = igrad_net_new_blank(s->device, settings->layers, &s->net, error);
	if (!err && igrad_net_set_dtype(s->net, settings->dtype)) {
		snprintf(error->message, sizeof(error->message), "the device has no bf16");
		err = -ENOTSUP;
	}
	if (batch && !settings->batch_given)
		settings->train.batch = batch;
	settings_describe(settings, settings->net ? settings->net : settings->layers,
			  s->description, sizeof(s->description));
	return err;
}

static int load_data(struct session *s, struct igrad_error *error)
{
	char dir[4096];
	int err = dataset_find(s->settings.data, dir, sizeof(dir), error);

	if (!err && !s->settings.eval_only) {
		err = dataset_load(dir, "train", &s->train, error);
		if (!err)
			err = igrad_net_check_data(s->net, &s->train.rows, s->settings.train.batch,
						   error);
	}
	if (!err)
		err = dataset_load(dir, "t10k", &s->test, error);
	if (!err)
		err = igrad_net_check_data(s->net, &s->test.rows, 0, error);
	return err;
}

/* Better to learn before the training than after it that its result has no place. */
static int check_save(const char *path, struct igrad_error *error)
{
	const char *slash = strrchr(path, '/');
	struct stat status;
	int err = 0;
	char *directory;

	if (!stat(path, &status) && !S_ISREG(status.st_mode)) {
		snprintf(error->message, sizeof(error->message),
			 "%.160s: cannot be written: not a regular file", path);
		return -ENOTSUP;
	}
	directory = slash ? strndup(path, slash - path + 1) : strdup(".");
	if (!directory)
		return -ENOMEM;
	if (access(directory, W_OK | X_OK)) {
		err = -errno;
		snprintf(error->message, sizeof(error->message), "%.160s: cannot be written: %s",
			 path, strerror(errno));
	}
	free(directory);
	return err;
}

int session_prepare(struct session *s, struct igrad_error *error)
{
	int err = s->settings.save ? check_save(s->settings.save, error) : 0;

	if (!err && s->settings.checkpoint)
		err = check_save(s->settings.checkpoint, error);
	if (!err)
		err = open_device(s, error);
	if (!err)
		err = load_network(s, error);
	if (!err && !s->settings.dry_run)
		err = load_data(s, error);
	if (!err && !s->settings.eval_only)
		err = igrad_trainer_new(s->net, &s->settings.train, &s->trainer, error);
	if (!err && s->settings.load)
		err = igrad_net_load(s->net, s->settings.load, error);
	if (!err && s->settings.resume)
		err = igrad_trainer_resume(s->trainer, s->settings.resume, s->description,
					   &s->epoch, &s->first_step, error);
	return err;
}

void session_fini(struct session *s)
{
	igrad_trainer_unref(s->trainer);
	igrad_net_unref(s->net);
	igrad_device_unref(s->device);
	dataset_fini(&s->train);
	dataset_fini(&s->test);
}

/* ---------------------------------------------------------------- training */

static void draw(struct session *s)
{
	if (!s->settings.load && !s->settings.resume)
		igrad_net_draw(s->net, s->settings.seed);
}

static bool on_progress(void *opaque, uint32_t done, uint32_t total)
{
	struct session *s = opaque;

	output_progress(s->out, s->epoch + 1, done, total);
	if (s->settings.checkpoint_every && done % s->settings.checkpoint_every == 0)
		s->failed = igrad_trainer_save(s->trainer, s->settings.checkpoint, s->description,
					       &s->failure);
	return !interrupted && !s->failed;
}

static int run_epoch(struct session *s, uint32_t *steps_left, struct igrad_error *error)
{
	struct epoch epoch = {.number = s->epoch + 1};
	double start = seconds_now();
	int err = igrad_trainer_set_rate(s->trainer, settings_rate(&s->settings, s->epoch), error);

	if (!err)
		err = igrad_trainer_epoch(s->trainer, &s->train.rows, s->settings.seed, s->epoch,
					  *steps_left, on_progress, s, error);
	if (!err && s->failed) {
		*error = s->failure;
		err = s->failed;
	}
	if (!err && s->settings.checkpoint)
		err = igrad_trainer_save(s->trainer, s->settings.checkpoint, s->description, error);
	if (err)
		return err;
	igrad_trainer_stats(s->trainer, &epoch.train);
	epoch.seconds = seconds_now() - start;
	if (*steps_left != UINT32_MAX)
		*steps_left -= epoch.train.steps - s->first_step;
	s->first_step = 0;
	err = igrad_net_evaluate(s->net, &s->test.rows, s->settings.train.batch, &epoch.test,
				 error);
	if (!err)
		output_epoch(s->out, &epoch);
	s->last = epoch;
	return err;
}

/* Those before a checkpoint have been done. */
static uint32_t steps_to_do(const struct session *s)
{
	uint64_t done = (uint64_t)s->epoch * (s->train.rows.count / s->settings.train.batch) +
			s->first_step;

	if (s->settings.steps == UINT32_MAX)
		return UINT32_MAX;
	return done < s->settings.steps ? (uint32_t)(s->settings.steps - done) : 0;
}

int session_train(struct session *s, struct igrad_error *error)
{
	uint32_t steps_left = steps_to_do(s);
	int err = 0;

	draw(s);
	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	for (; s->epoch < s->settings.epochs && steps_left && !interrupted; s->epoch++) {
		err = run_epoch(s, &steps_left, error);
		if (err)
			break;
	}
	if (!err && s->settings.save)
		err = igrad_net_save(s->net, s->settings.save, true, error);
	return err;
}

int session_evaluate(struct session *s, struct igrad_error *error)
{
	struct igrad_train_stats stats;
	int err;

	draw(s);
	err = igrad_net_evaluate(s->net, &s->test.rows, s->settings.train.batch, &stats, error);
	if (!err)
		output_evaluation(s->out, &stats);
	return err;
}
