// SPDX-License-Identifier: MIT
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "arguments.h"

static const char *complains, *helps;

void arguments_begin(const char *who, const char *program)
{
	complains = who;
	helps = program;
}

void wrong(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", complains);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry '%s --help'.\n", helps);
	exit(EXIT_USAGE);
}

uint64_t whole_number(const char *option, const char *text, int base, uint64_t low, uint64_t high)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, base);
	if (*text < '0' || *text > '9' || *end || errno || value < low || value > high)
		wrong("--%s %s: a whole number from %llu to %llu is needed", option, text,
		      (unsigned long long)low, (unsigned long long)high);
	return value;
}

float real(const char *option, const char *text)
{
	char *end;
	float value = strtof(text, &end);

	if (end == text || *end || !isfinite(value) || value < 0.0f)
		wrong("--%s %s: a number of at least 0 is needed", option, text);
	return value;
}
