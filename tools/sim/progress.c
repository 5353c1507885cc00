// SPDX-License-Identifier: MIT
/* A bar on stderr while something takes long. */
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

#define BAR_WIDTH   30
#define BAR_SECONDS 0.1

static struct {
	double began;
	double shown;
	bool visible;
} bar;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

void progress_show(uint32_t done, uint32_t total, const char *what)
{
	int filled = (uint64_t)done * BAR_WIDTH / total;
	double time = now();

	if (!isatty(STDERR_FILENO))
		return;
	if (!done)
		bar.began = bar.shown = time;
	if (time - bar.shown < BAR_SECONDS)
		return;
	bar.shown = time;
	bar.visible = true;
	fprintf(stderr, "\r\033[K[%.*s%.*s] %u/%u %.0f s  %.60s", filled,
		"##############################", BAR_WIDTH - filled,
		"                              ", done, total, time - bar.began, what);
}

void progress_clear(void)
{
	if (bar.visible)
		fputs("\r\033[K", stderr);
	bar.visible = false;
}
