// SPDX-License-Identifier: MIT
/* SVG, drawn by gnuplot. It draws to its standard output, so no path passes through its language.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plot.h"

#define NOT_FOUND 127

static int spawn(struct plot *plot, int output)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	plot->pid = fork();
	if (!plot->pid) {
		dup2(ends[0], STDIN_FILENO);
		dup2(output, STDOUT_FILENO);
		execlp("gnuplot", "gnuplot", "-", (char *)NULL);
		_exit(NOT_FOUND);
	}
	close(ends[0]);
	if (plot->pid < 0) {
		close(ends[1]);
		return -errno;
	}
	plot->script = fdopen(ends[1], "w");
	return 0;
}

int plot_open(struct plot *plot, const char *path, unsigned int width, unsigned int height,
	      struct igrad_error *error)
{
	int output = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), err;

	*plot = (struct plot){.path = path};
	if (output < 0)
		return fail(error, -errno, "%.160s: cannot be written: %s", path, strerror(errno));
	signal(SIGPIPE, SIG_IGN); /* a gnuplot that ends early is noticed when it is waited for */
	err = spawn(plot, output);
	close(output);
	if (err || !plot->script)
		return fail(error, err ? err : -ENOMEM, "gnuplot cannot be started: %s",
			    strerror(err ? -err : ENOMEM));
	fprintf(plot->script,
		"set terminal svg size %u,%u font 'sans,12' background rgb 'white'\n"
		"set encoding utf8\n"
		"set key outside right top\n"
		"set grid\n",
		width, height);
	return 0;
}

int plot_close(struct plot *plot, struct igrad_error *error)
{
	int status = 0;

	fclose(plot->script);
	while (waitpid(plot->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	discard(plot->path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		return fail(error, -ENOENT, "--svg needs gnuplot (Debian package gnuplot-nox)");
	return fail(error, -EIO, "gnuplot could not draw %.160s", plot->path);
}
