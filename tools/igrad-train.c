// SPDX-License-Identifier: MIT
/* igrad-train: train a network on labelled images. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "igrad-train.h"

static const char introduction[] =
	"Usage: igrad-train [options] WIDTHS\n"
	"       igrad-train [options] --net FILE\n"
	"\n"
	"Trains a network on labelled images, with softmax cross-entropy at the end. WIDTHS go from input to\n"
	"output, as in 784-256-128-10: linear layers, ReLU between them. A FILE may have convolutions and more;\n"
	"tools/net/README.md has its grammar, nets/ examples.\n";

static int run(struct session *s, struct igrad_error *error)
{
	double start = seconds_now();
	int err;

	s->out = output_new(&s->settings);
	if (!s->out) {
		snprintf(error->message, sizeof(error->message), "out of memory");
		return -ENOMEM;
	}
	if (s->settings.dry_run) {
		output_dry_run(s->out, s->net);
		err = 0;
	} else {
		output_start(s->out, s->net, &s->train, &s->test);
		err = s->settings.eval_only ? session_evaluate(s, error) : session_train(s, error);
	}
	if (!output_end(s->out, seconds_now() - start) && !err) {
		snprintf(error->message, sizeof(error->message), "cannot write to stdout: %s",
			 strerror(errno));
		err = -EIO;
	}
	return err;
}

int main(int argc, char **argv)
{
	struct igrad_error error = {""};
	struct session s = {0};
	const char *saved;
	int err;

	settings_parse(&s.settings, argc, argv, NULL, introduction);
	err = session_prepare(&s, &error);
	if (!err)
		err = run(&s, &error);
	session_fini(&s);
	if (err) {
		fprintf(stderr, "igrad-train: %s\n",
			*error.message ? error.message : igrad_strerror(err));
		return EXIT_FAILED;
	}
	if (!session_interrupted())
		return EXIT_OK;
	saved = s.settings.save ? s.settings.save : s.settings.checkpoint;
	fprintf(stderr, "igrad-train: interrupted; the parameters are %s%s\n",
		saved ? "in " : "not saved", saved ? saved : "");
	return EXIT_SIGNAL + session_interrupted();
}
