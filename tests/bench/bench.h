/* SPDX-License-Identifier: MIT */
/* What benchmarks share: two sides in turn, medians, and a row of the table that `make bench`
 * writes. */
#ifndef IGRAD_BENCH_H
#define IGRAD_BENCH_H

#include <time.h>

/** bench_clock - seconds of @id */
double bench_clock(clockid_t id);

/** struct bench_side - does its work once, and returns how many seconds that took */
struct bench_side {
	double (*run)(void *context);
	void *context;
};

/** struct bench_pair - medians of what both sides took, in seconds, and of reference over ours */
struct bench_pair {
	double ours;
	double reference;
	double ratio;
};

/** bench_compare - both sides in turn, @times each: what the host does meanwhile hurts them alike
 */
struct bench_pair bench_compare(struct bench_side ours, struct bench_side reference,
				unsigned int times);

/** struct bench_figure - a side of a row: "44.0 GMAC/s, OpenBLAS sgemm" */
struct bench_figure {
	double value;
	const char *unit;
};

/**
 * bench_row - print a row: fields with tabs between them
 * @target: what the project wants of the ratio, or NULL
 */
void bench_row(const char *what, double ratio, struct bench_figure ours,
	       struct bench_figure reference, const char *target);

/** bench_fail - say so and exit */
_Noreturn void bench_fail(const char *what, const char *why);

#endif /* IGRAD_BENCH_H */
