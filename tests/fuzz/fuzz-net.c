/* SPDX-License-Identifier: MIT */
/* Network files from somebody who means no good: refused with a place in the file, or a network that holds together. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

/* The first byte may say that it is one of SCALE-Sim's. */
static int read_net(struct net *net, char *text, struct igrad_error *error)
{
	if (*text != '\1' && *text != '\2')
		return net_read_own(net, text, error);
	return net_read_scalesim(net, text + 1, *text == '\2', error);
}

static void check_layer(const struct net *net, uint32_t i)
{
	const struct net_layer *layer = &net->layers[i];
	const struct net_shape *shape = &layer->shape;

	check(shape->c && (shape->flat || (shape->h && shape->w)));
	check(shape->c <= NET_MAX_DIM && shape->h <= NET_MAX_DIM && shape->w <= NET_MAX_DIM);
	check(layer->macs <= NET_MAX_COUNT && layer->parameters <= NET_MAX_COUNT + NET_MAX_DIM);
	check(layer->num_inputs <= NET_MAX_INPUTS && *layer->name);
	for (uint32_t input = 0; input < layer->num_inputs; input++)
		check(layer->inputs[input] < i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net *net = calloc(1, sizeof(*net));
	char *text = calloc(1, size + 1);
	struct igrad_error error = {""};
	int err;

	check(net && text);
	if (size)
		memcpy(text, data, size);
	net->path = strdup("t.net");
	err = read_net(net, text, &error);
	if (err)
		check(err == -EBADMSG && !strncmp(error.message, "t.net:", 6));
	for (uint32_t i = 0; i < net->num_layers && !err; i++)
		check_layer(net, i);
	net_free(net);
	free(text);
	return 0;
}
