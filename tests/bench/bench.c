/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST_TIMES 101

double bench_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

struct bench_pair bench_compare(struct bench_side ours, struct bench_side reference,
				unsigned int times)
{
	double our[MOST_TIMES], their[MOST_TIMES], ratio[MOST_TIMES];

	if (times > MOST_TIMES)
		times = MOST_TIMES;
	ours.run(ours.context); /* what is done only once is no part of it */
	reference.run(reference.context);
	for (unsigned int i = 0; i < times; i++) {
		our[i] = ours.run(ours.context);
		their[i] = reference.run(reference.context);
		ratio[i] = their[i] / our[i];
	}
	return (struct bench_pair){
		.ours = median(our, times),
		.reference = median(their, times),
		.ratio = median(ratio, times),
	};
}

void bench_row(const char *what, double ratio, struct bench_figure ours,
	       struct bench_figure reference, const char *target)
{
	printf("%s\t%.2f\t%.3g %s\t%.3g %s\t%s\n", what, ratio, ours.value, ours.unit,
	       reference.value, reference.unit, target ? target : "");
	fflush(stdout);
}

void bench_fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
	exit(1);
}
