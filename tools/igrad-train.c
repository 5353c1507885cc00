// SPDX-License-Identifier: MIT
/* igrad-train: train a network on labelled images. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "igrad-train.h"

static const char introduction[] =
	"Usage: igrad-train [options] WIDTHS\n"
	"\n"
	"Trains a network of linear layers, ReLU between them and softmax cross-entropy at the end, on\n"
	"labelled images. WIDTHS go from input to output, as in 784-256-128-10.\n";

static int run(struct session *s, struct igrad_error *error)
{
	double start = seconds_now();
	int err;

	s->out = output_new(&s->settings);
	if (!s->out) {
		snprintf(error->message, sizeof(error->message), "out of memory");
		return -ENOMEM;
	}
	output_start(s->out, s->net, &s->train, &s->test);
	err = s->settings.eval_only ? session_evaluate(s, error) : session_train(s, error);
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
	fprintf(stderr, "igrad-train: interrupted; the parameters are %s%s\n",
		s.settings.save ? "in " : "not saved", s.settings.save ? s.settings.save : "");
	return EXIT_SIGNAL + session_interrupted();
}
