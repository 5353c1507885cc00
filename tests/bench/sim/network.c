/* SPDX-License-Identifier: MIT */
/*
 * How long igrad-sim takes for a training step of whole networks, planning and all: rows for the
 * table of `make bench`.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "bench.h"

#define TIMES	 5
#define SCHEDULE "auto"

/* A network's step, and the seconds that the project allows for it. */
struct step {
	const char *name;
	const char *program;
	const char *file;
	double allowed;
};

/* Of all children that have ended: what else the host does should not count. */
static double children(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* A step in which some layer could not be done is none. */
static double run(void *context)
{
	const struct step *step = context;
	const double start = children();
	char command[4352], line[1024];
	bool whole = true;
	FILE *output;

	snprintf(command, sizeof(command),
		 "'%s' network %s --batch 32 --rows 128 --cols 128 --schedule " SCHEDULE,
		 step->program, step->file);
	output = popen(command, "r");
	if (!output)
		bench_fail(command, strerror(errno));
	while (fgets(line, sizeof(line), output))
		whole &= !strstr(line, "no total");
	if (pclose(output))
		bench_fail(command, "failed; from the top of the tree?");
	if (!whole)
		bench_fail(command, "some layers cannot be done so");
	return children() - start;
}

static double allowed(void *context)
{
	const struct step *step = context;

	return step->allowed;
}

int main(int argc, char **argv)
{
	static struct step steps[] = {
		{"ResNet-50", NULL, "nets/resnet50.net", 10},
		{"Inception-v4", NULL, "nets/inception-v4.net", 60},
		{"DenseNet-264", NULL, "nets/densenet264.net", 60},
	};
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	char program[4096], what[160];

	snprintf(program, sizeof(program), "%.*sigrad-sim", slash ? (int)(slash - argv[0] + 1) : 0,
		 argv[0]);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct step *step = &steps[i];
		struct bench_pair pair;

		step->program = program;
		pair = bench_compare((struct bench_side){run, step},
				     (struct bench_side){allowed, step}, TIMES);
		snprintf(what, sizeof(what),
			 "%.0f s ÷ a training step of %s, timing only, batch 32, 128 × 128",
			 step->allowed, step->name);
		bench_row(what, pair.ratio, (struct bench_figure){pair.ours, "s"},
			  (struct bench_figure){pair.reference, "s allowed"}, "≥ 1.00");
	}
	return 0;
}
