/* SPDX-License-Identifier: MIT */
/* igrad-train: what was asked for, the training, and how results are shown. */
#ifndef IGRAD_TRAIN_H
#define IGRAD_TRAIN_H

#include "dataset.h"
#include "arguments.h"

/* Exit status. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_SIGNAL = 128, /* and the signal's number */
};

/* How the learning rate falls from epoch to epoch. */
enum rate_schedule {
	RATE_CONSTANT,
	RATE_STEP,   /* times a factor every so many epochs */
	RATE_COSINE, /* half a cosine from the first epoch to behind the last */
};

/**
 * struct settings - what the command line says
 * @layers: widths; NULL: @net
 * @net: file of a network
 * @batch_given: else a network's file may say it
 * @checkpoint_every: steps, or 0: at the end of epochs only
 */
struct settings {
	const char *layers;
	const char *net;
	const char *checkpoint;
	const char *resume;
	uint32_t checkpoint_every;
	enum rate_schedule rate_schedule;
	uint32_t rate_epochs;
	float rate_factor;
	bool batch_given;
	bool dry_run;
	const char *data;
	const char *device;
	const char *save;
	const char *load;
	uint32_t epochs;
	uint32_t steps;	  /* over all epochs; UINT32_MAX: no limit */
	uint32_t threads; /* 0: as the device says */
	uint64_t seed;
	bool eval_only;
	bool json;
	struct igrad_train_options train;
	enum igrad_element dtype;
};

/**
 * settings_parse - exits with a message when the command line is wrong, or asked for help
 * @layers: the network, or NULL when it is on the command line
 * @introduction: of the help text
 */
void settings_parse(struct settings *settings, int argc, char **argv, const char *layers,
		    const char *introduction);

/** settings_rate - the learning rate of @epoch, which counts from 0 */
float settings_rate(const struct settings *settings, uint32_t epoch);

/** settings_describe - all that decides what a training comes to, its length and its data aside:
 * what a checkpoint remembers */
void settings_describe(const struct settings *settings, const char *network, char *text,
		       size_t size);

/**
 * train_net_load - the network of a file of tools/net, blank
 * @batch: that the file says, or 0
 */
int train_net_load(const char *path, struct igrad_device *device, struct igrad_net **net,
		   uint32_t *batch, struct igrad_error *error);

/** struct epoch - what is reported of an epoch */
struct epoch {
	uint32_t number; /* from 1 */
	double seconds;
	struct igrad_train_stats train;
	struct igrad_train_stats test;
};

struct output;

/** output_new - text as it comes or, with --json, one object at the end; NULL without memory */
struct output *output_new(const struct settings *settings);
void output_start(struct output *out, struct igrad_net *net, const struct dataset *train,
		  const struct dataset *test);
/** output_progress - a bar if stderr is a terminal, else a line from time to time */
void output_progress(struct output *out, uint32_t epoch, uint32_t done, uint32_t total);
void output_epoch(struct output *out, const struct epoch *epoch);
/** output_dry_run - that a training step has been built, and what it comes to */
void output_dry_run(struct output *out, struct igrad_net *net);
void output_evaluation(struct output *out, const struct igrad_train_stats *test);
/** output_end - returns false when stdout could not be written */
bool output_end(struct output *out, double seconds);

/** struct session - a training from beginning to end; @last: what the last epoch came to */
struct session {
	struct settings settings;
	struct igrad_device *device;
	struct igrad_net *net;
	struct igrad_trainer *trainer; /* unless it is only evaluated */
	struct dataset train;
	struct dataset test;
	struct output *out;
	uint32_t epoch;	     /* the one that runs, from 0 */
	uint32_t first_step; /* of it: those before are a checkpoint's */
	char description[256];
	int failed; /* to write a checkpoint in an epoch, and why */
	struct igrad_error failure;
	struct epoch last;
};

/**
 * session_prepare - all that can fail before the training: device, network, data, one step's plan
 *
 * session_fini() cleans up also when it fails. Parameters are drawn later: that takes time.
 */
int session_prepare(struct session *s, struct igrad_error *error);
int session_train(struct session *s, struct igrad_error *error);
int session_evaluate(struct session *s, struct igrad_error *error);
void session_fini(struct session *s);
/** session_interrupted - the signal that ended the training early: SIGINT or SIGTERM; else 0 */
int session_interrupted(void);

/** seconds_now - of a clock that never goes back */
double seconds_now(void);

#endif /* IGRAD_TRAIN_H */
