/* SPDX-License-Identifier: MIT */
/* The networks in nets/ against totals that others have published; each file says where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "net.h"

/* @convolutions, @linears: how many layers with weights a network of that name has */
static const struct known {
	const char *name;
	uint64_t parameters, macs;
	uint32_t convolutions, linears;
} networks[] = {
	{"lenet5", 61706, 416520, 3, 2},
	{"alexnet", 61100840, 714188480, 5, 3},
	{"alexnet-2012", 60965224, 724406816, 5, 3},
	{"vgg16", 138357544, 15470264320, 13, 3},
	{"resnet18", 11689512, 1814073344, 17 + 3, 1},
	{"resnet50", 25557032, 4089184256, 49 + 4, 1},
	{"googlenet", 6624904, 1498376192, 57, 1},
	{"googlenet-2014", 6998552, 1582671872, 57, 1},
	{"inception-v4", 42679816, 12253974624, 149, 1},
	{"densenet121", 7978856, 2834161664, 120, 1},
	{"densenet264", 33337704, 5751653376, 264, 1},
	{"resnet-small", 19810, 2364864, 7 + 2, 1},
};

static struct net *load(const char *name)
{
	struct igrad_error error;
	struct net *net;
	char path[64];

	snprintf(path, sizeof(path), "nets/%s.net", name);
	if (net_load(path, false, &net, &error))
		fail_msg("%s", error.message);
	return net;
}

/* What totals do not tell: the authors' averages are of what is in the image, and eps is theirs. */
static void inception(void **state)
{
	struct net *net = load("inception-v4");
	uint32_t padded = 0;

	(void)state;
	for (uint32_t i = 0; i < net->num_layers; i++) {
		const struct net_layer *layer = &net->layers[i];

		if (layer->kind == NET_POOL && layer->pad.top) {
			assert_true(layer->average && layer->skip_border);
			padded++;
		}
		if (layer->kind == NET_BATCHNORM)
			assert_true(layer->eps == 0.001f);
	}
	assert_int_equal(padded, 4 + 7 + 3);
	net_free(net);
}

static void totals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		const struct known *known = &networks[i];
		struct known got = {.name = known->name};
		struct net *net = load(known->name);

		assert_string_equal(net->name, known->name);
		for (uint32_t l = 0; l < net->num_layers; l++) {
			got.parameters += net->layers[l].parameters;
			got.macs += net->layers[l].macs;
			got.convolutions += net->layers[l].kind == NET_CONV;
			got.linears += net->layers[l].kind == NET_LINEAR;
		}
		print_message("# %s\n", known->name);
		assert_int_equal(got.parameters, known->parameters);
		assert_int_equal(got.macs, known->macs);
		assert_int_equal(got.convolutions, known->convolutions);
		assert_int_equal(got.linears, known->linears);
		net_free(net);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(totals), cmocka_unit_test(inception)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
