/* SPDX-License-Identifier: MIT */
/* Networks from texts, and what they say of texts that are none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net-text.h"

static int read_text(const char *text, struct net **net, struct igrad_error *error)
{
	char *copy = strdup(text);
	int err;

	*net = calloc(1, sizeof(**net));
	assert_non_null(*net);
	assert_non_null(copy);
	(*net)->path = strdup("t.net");
	error->message[0] = '\0';
	err = net_read_own(*net, copy, error);
	free(copy);
	return err;
}

struct net *net_from(const char *text)
{
	struct igrad_error error;
	struct net *net;

	if (read_text(text, &net, &error))
		fail_msg("%s", error.message);
	return net;
}

const struct net_layer *net_layer_of(const struct net *net, const char *name)
{
	for (uint32_t i = 0; i < net->num_layers; i++)
		if (!strcmp(net->layers[i].name, name))
			return &net->layers[i];
	fail_msg("no layer '%s'", name);
	return NULL;
}

void assert_shape(const struct net *net, const char *name, const char *shape)
{
	char text[48];

	assert_string_equal(net_shape_text(&net_layer_of(net, name)->shape, text), shape);
}

void assert_refused(const char *text, const char *place, const char *wanted)
{
	struct igrad_error error;
	char begin[64];
	struct net *net;

	snprintf(begin, sizeof(begin), "t.net:%s: ", place);
	assert_int_equal(read_text(text, &net, &error), -EBADMSG);
	if (strncmp(error.message, begin, strlen(begin)) || !strstr(error.message, wanted))
		fail_msg("'%s' instead of '%s… %s'", error.message, begin, wanted);
	net_free(net);
}
