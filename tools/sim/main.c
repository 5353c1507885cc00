// SPDX-License-Identifier: MIT
/* igrad-sim: cost layers and networks. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"

static const struct command commands[] = {
	{"layer", command_layer, NULL, false,
	 OPTS_SHAPE | OPTS_WINDOW | OPT_BIT(OPT_BATCH) | OPTS_EXTRAS | OPT_BIT(OPT_FORWARD) |
		 OPTS_ARRAY | OPTS_MEMORY | OPTS_MANNER | OPT_BIT(OPT_TRACE) | OPT_BIT(OPT_SVG) |
		 OPT_BIT(OPT_JSON)},
	{"network", command_network, "network file", false,
	 OPT_BIT(OPT_BATCH) | OPTS_ARRAY | OPTS_MEMORY | OPTS_MANNER | OPT_BIT(OPT_INPUT) |
		 OPT_BIT(OPT_SHAPES) | OPT_BIT(OPT_JSON)},
	{"sweep", command_sweep, NULL, false,
	 OPTS_SHAPE | OPTS_WINDOW | OPTS_EXTRAS | OPTS_MEMORY | OPTS_MANNER | OPT_BIT(OPT_ARRAYS) |
		 OPT_BIT(OPT_BATCHES) | OPT_BIT(OPT_PLOT) | OPT_BIT(OPT_SVG) | OPT_BIT(OPT_CSV) |
		 OPT_BIT(OPT_JSON)},
	{"paper", command_paper, "network file", true,
	 OPT_BIT(OPT_INTERGRAD) | OPT_BIT(OPT_AREA) | OPT_BIT(OPT_BATCH) | OPTS_ARRAY |
		 OPTS_MEMORY | (OPTS_MANNER & ~(OPT_BIT(OPT_SCHEDULE) | OPT_BIT(OPT_DTYPE))) |
		 OPT_BIT(OPT_JSON)},
	{"explain", command_explain, NULL, false,
	 OPTS_SHAPE | OPT_BIT(OPT_BATCH) | OPTS_EXTRAS | OPT_BIT(OPT_FORWARD) | OPTS_ARRAY |
		 OPTS_MEMORY | OPTS_MANNER | OPT_BIT(OPT_JSON)},
	{"energy", command_energy, "table", true, OPT_BIT(OPT_SRAM) | OPT_BIT(OPT_JSON)},
};

#define NUM_COMMANDS (sizeof(commands) / sizeof(commands[0]))

int fail(struct igrad_error *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return err;
}

void discard(const char *path)
{
	struct stat status;

	if (!lstat(path, &status) && S_ISREG(status.st_mode))
		unlink(path);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < NUM_COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	return NULL;
}

static int run(const struct command *command, const struct settings *settings,
	       struct igrad_error *error)
{
	int err = command->run(settings, error);

	if (!err && (fflush(stdout) || ferror(stdout)))
		err = fail(error, -EIO, "cannot write to stdout: %s", strerror(errno));
	return err;
}

int main(int argc, char **argv)
{
	const struct command *command = argc > 1 ? find(argv[1]) : NULL;
	struct igrad_error error = {""};
	struct settings settings;
	int err;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(help, stdout);
		return EXIT_OK;
	}
	if (!command) {
		fprintf(stderr, "igrad-sim: ");
		if (argc > 1)
			fprintf(stderr, "no command '%s'; ", argv[1]);
		fprintf(stderr, "there are");
		for (size_t i = 0; i < NUM_COMMANDS; i++)
			fprintf(stderr, "%s %s", i ? "," : "", commands[i].name);
		fprintf(stderr, "\nTry 'igrad-sim --help'.\n");
		return EXIT_USAGE;
	}
	settings_parse(&settings, command, argc - 1, argv + 1);
	err = run(command, &settings, &error);
	if (!err)
		return EXIT_OK;
	fprintf(stderr, "igrad-sim: %s\n", *error.message ? error.message : igrad_strerror(err));
	return EXIT_FAILED;
}
