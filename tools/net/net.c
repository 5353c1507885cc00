// SPDX-License-Identifier: MIT
/* Networks, and the files they are in. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

#define MAX_FILE (1u << 20)

static const char *const kinds[NET_NUM_KINDS] = {
	[NET_INPUT] = "input",	   [NET_LINEAR] = "linear",   [NET_CONV] = "conv",
	[NET_POOL] = "pool",	   [NET_RELU] = "relu",	      [NET_BATCHNORM] = "batchnorm",
	[NET_ADD] = "add",	   [NET_CONCAT] = "concat",   [NET_FLATTEN] = "flatten",
	[NET_DROPOUT] = "dropout", [NET_SOFTMAX] = "softmax", [NET_LRN] = "lrn",
};

const char *net_kind_name(enum net_kind kind)
{
	return kinds[kind];
}

int net_name_width(const struct net *net, int least)
{
	for (uint32_t i = 0; i < net->num_layers; i++)
		if ((int)strlen(net->layers[i].name) > least)
			least = strlen(net->layers[i].name);
	return least;
}

const char *net_shape_text(const struct net_shape *shape, char text[48])
{
	if (shape->flat)
		snprintf(text, 48, "%u", shape->c);
	else
		snprintf(text, 48, "%u x %u x %u", shape->c, shape->h, shape->w);
	return text;
}

int net_bad(struct igrad_error *error, const struct net_place *place, const char *format, ...)
{
	size_t room = sizeof(error->message);
	va_list args;
	int n;

	n = snprintf(error->message, room, "%.100s:%u:%u: ", place->path, place->line,
		     place->column);
	va_start(args, format);
	n += vsnprintf(error->message + n, room - n, format, args);
	va_end(args);
	if (place->context && (size_t)n < room)
		snprintf(error->message + n, room - n, "%s", place->context);
	return -EBADMSG;
}

__attribute__((format(printf, 3, 4))) static int fail(struct igrad_error *error, int err,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return err;
}

struct net_layer *net_append(struct net *net, enum net_kind kind, unsigned int line)
{
	struct net_layer *layers, *layer;

	if (net->num_layers == NET_MAX_LAYERS)
		return NULL;
	/* In steps of powers of two. */
	if (!(net->num_layers & (net->num_layers - 1))) {
		size_t room = net->num_layers ? 2 * net->num_layers : 1;

		layers = realloc(net->layers, room * sizeof(*layers));
		if (!layers)
			return NULL;
		net->layers = layers;
	}
	layer = &net->layers[net->num_layers];
	*layer = (struct net_layer){
		.kind = kind,
		.line = line,
		.stride = {1, 1},
		.dilation = {1, 1},
		.groups = 1,
		.bias = kind == NET_LINEAR || kind == NET_CONV,
		.rate = 0.5f,
		.eps = 1e-5f,
		.lrn = {0, 1e-4f, 0.75f, 1.0f},
	};
	snprintf(layer->name, sizeof(layer->name), "%s@%u", kinds[kind], line);
	net->num_layers++;
	return layer;
}

void net_free(struct net *net)
{
	if (!net)
		return;
	for (uint32_t i = 0; i < net->num_layers; i++)
		free(net->layers[i].note);
	free(net->layers);
	free(net->path);
	free(net);
}

static int read_text(const char *path, char **text, struct igrad_error *error)
{
	FILE *file = fopen(path, "re");
	size_t length;
	int err = 0;

	if (!file)
		return fail(error, -errno, "%.160s: %s", path, strerror(errno));
	*text = malloc(MAX_FILE + 2);
	if (!*text) {
		fclose(file);
		return -ENOMEM;
	}
	length = fread(*text, 1, MAX_FILE + 1, file);
	if (ferror(file))
		err = fail(error, -EIO, "%.160s: cannot be read: %s", path, strerror(errno));
	else if (length > MAX_FILE)
		err = fail(error, -EBADMSG, "%.160s: longer than a mebibyte", path);
	else if (memchr(*text, '\0', length))
		err = fail(error, -EBADMSG, "%.160s: text was expected, not binary data", path);
	(*text)[err ? 0 : length] = '\0';
	fclose(file);
	return err;
}

/* The file's name without directories and ending. */
static void name_after_file(struct net *net, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	const char *dot = strrchr(base, '.');
	size_t length = dot && dot != base ? (size_t)(dot - base) : strlen(base);

	snprintf(net->name, sizeof(net->name), "%.*s", (int)(length < 60 ? length : 60), base);
}

static struct net *net_new(const char *path)
{
	struct net *net = calloc(1, sizeof(*net));

	if (net)
		net->path = strdup(path);
	if (net && net->path) {
		name_after_file(net, path);
		return net;
	}
	free(net);
	return NULL;
}

static int finish(struct net *net, int err, struct net **result)
{
	if (err)
		net_free(net);
	else
		*result = net;
	return err;
}

int net_load(const char *path, bool gemm, struct net **result, struct igrad_error *error)
{
	const char *end = strrchr(path, '.');
	struct net *net = net_new(path);
	char *text = NULL;
	int err = net ? read_text(path, &text, error) : -ENOMEM;

	if (!err)
		err = gemm || (end && !strcmp(end, ".csv"))
			      ? net_read_scalesim(net, text, gemm, error)
			      : net_read_own(net, text, error);
	free(text);
	return finish(net, err, result);
}

int net_parse(const char *path, const char *text, struct net **result, struct igrad_error *error)
{
	struct net *net = net_new(path);
	char *copy = strdup(text);
	int err = net && copy ? net_read_own(net, copy, error) : -ENOMEM;

	free(copy);
	return finish(net, err, result);
}
