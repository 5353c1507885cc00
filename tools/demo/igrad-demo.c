// SPDX-License-Identifier: MIT
/*
 * igrad-demo: train a network on Fashion-MNIST, then run one backward pass of it in each schedule
 * and show what they cost. The last line is a JSON object with the figures.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <json.h>

#include "../igrad-train.h"
#include "compare.h"

#define WANTED_ACCURACY 0.86

static const char introduction[] =
	"Usage: igrad-demo [options]\n"
	"\n"
	"Trains 784-256-128-10 on Fashion-MNIST, then runs one backward pass of that network in each\n"
	"schedule and compares results and costs. The last line of output is a JSON object. Fails when the\n"
	"test accuracy is below 0.86 or the schedules' results differ in a bit. Options are igrad-train's,\n"
	"--eval and --json aside.\n";

static uint64_t dram_bytes(const struct igrad_report *report)
{
	return report->dram_read_bytes + report->dram_write_bytes;
}

static void print_table(const struct comparison *c, uint32_t batch)
{
	const struct igrad_report *reference = &c->reports[IGRAD_SCHEDULE_INTERLEAVED];

	printf("\nOne backward pass of this network, batch %u, with SGD:\n\n"
	       "%-12s %10s %14s %12s   ÷ interleaved: cycles  SRAM  DRAM\n",
	       batch, "schedule", "cycles", "SRAM accesses", "DRAM bytes");
	for (int i = 0; i < NUM_COMPARED; i++) {
		const struct igrad_report *report = &c->reports[compared[i]];
		uint64_t accesses = igrad_report_sram_accesses(report);

		printf("%-12s %10" PRIu64 " %14" PRIu64 " %12" PRIu64 " %22.2f %5.2f %5.2f\n",
		       igrad_schedule_name(compared[i]), report->cycles, accesses,
		       dram_bytes(report), (double)report->cycles / reference->cycles,
		       (double)accesses / igrad_report_sram_accesses(reference),
		       (double)dram_bytes(report) / dram_bytes(reference));
	}
	printf("\nAll gradients and updated parameters are %s in the three schedules.\n\n",
	       c->bit_identical ? "the same, bit for bit," : "NOT the same");
}

static struct json_object *number(double value, const char *format)
{
	char text[32];

	snprintf(text, sizeof(text), format, value);
	return json_object_new_double_s(value, text);
}

static struct json_object *costs(const struct igrad_report *report)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "cycles", json_object_new_int64(report->cycles));
	json_object_object_add(object, "sram_accesses",
			       json_object_new_int64(igrad_report_sram_accesses(report)));
	json_object_object_add(object, "dram_bytes", json_object_new_int64(dram_bytes(report)));
	return object;
}

static void print_json(const struct session *s, double accuracy, double seconds,
		       const struct comparison *c)
{
	struct json_object *object = json_object_new_object();
	struct json_object *backward = json_object_new_object();
	const char *accel = getenv("IGRAD_ACCEL");
	struct utsname system;

	uname(&system);
	json_object_object_add(object, "dataset", json_object_new_string("fashion-mnist"));
	json_object_object_add(object, "device",
			       json_object_new_string(igrad_device_uri(s->device)));
	json_object_object_add(object, "kernel", json_object_new_string(system.release));
	json_object_object_add(object, "accel", json_object_new_string(accel ? accel : "none"));
	json_object_object_add(object, "epochs", json_object_new_int64(s->last.number));
	json_object_object_add(object, "test_accuracy", number(accuracy, "%.4f"));
	json_object_object_add(object, "train_seconds", number(seconds, "%.1f"));
	json_object_object_add(object, "bit_identical", json_object_new_boolean(c->bit_identical));
	json_object_object_add(object, "backward", backward);
	for (int i = 0; i < NUM_COMPARED; i++)
		json_object_object_add(backward, igrad_schedule_name(compared[i]),
				       costs(&c->reports[compared[i]]));
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static int run(struct session *s, struct igrad_error *error)
{
	struct comparison comparison;
	double start, seconds, accuracy;
	int err = session_prepare(s, error);

	if (err)
		return err;
	s->out = output_new(&s->settings);
	if (!s->out)
		return -ENOMEM;
	output_start(s->out, s->net, &s->train, &s->test);
	start = seconds_now();
	err = session_train(s, error);
	seconds = seconds_now() - start;
	output_end(s->out, seconds);
	if (err || session_interrupted())
		return err;
	accuracy = (double)s->last.test.correct / s->last.test.samples;
	err = compare_schedules(s->net, &s->train.rows, s->settings.train.batch,
				s->settings.train.optimizer.lr, &comparison, error);
	if (err)
		return err;
	print_table(&comparison, s->settings.train.batch);
	print_json(s, accuracy, seconds, &comparison);
	if (accuracy < WANTED_ACCURACY || !comparison.bit_identical) {
		snprintf(error->message, sizeof(error->message), "%s",
			 comparison.bit_identical ? "the network has not learned enough"
						  : "the schedules' results differ");
		return -EIO;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct igrad_error error = {""};
	struct session s = {0};
	int err;

	settings_parse(&s.settings, argc, argv, "784-256-128-10", introduction);
	if (s.settings.eval_only || s.settings.json) {
		fprintf(stderr,
			"igrad-demo: %s is igrad-train's: the demonstration trains, and its last "
			"line is always JSON\nTry 'igrad-demo --help'.\n",
			s.settings.eval_only ? "--eval" : "--json");
		return EXIT_USAGE;
	}
	err = run(&s, &error);
	session_fini(&s);
	if (err) {
		fflush(stdout);
		fprintf(stderr, "igrad-demo: %s\n",
			*error.message ? error.message : igrad_strerror(err));
		return EXIT_FAILED;
	}
	return session_interrupted() ? EXIT_SIGNAL + session_interrupted() : EXIT_OK;
}
