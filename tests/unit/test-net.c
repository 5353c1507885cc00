/* SPDX-License-Identifier: MIT */
/* igrad's format for networks: what layers, blocks and repeats mean. */
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

#define IMAGE "input 4 x 9 x 10\n"

static void assert_counts(const struct net *net, const char *name, uint64_t parameters,
			  uint64_t macs)
{
	const struct net_layer *layer = net_layer_of(net, name);

	assert_int_equal(layer->parameters, parameters);
	assert_int_equal(layer->macs, macs);
}

/* The input of a layer with one. */
static const char *input_of(const struct net *net, const char *name)
{
	const struct net_layer *layer = net_layer_of(net, name);

	assert_int_equal(layer->num_inputs, 1);
	return net->layers[layer->inputs[0]].name;
}

/* ---------------------------------------------------------------- layers */

static void counts(void **state)
{
	struct net *net = net_from(
		IMAGE "a: conv out=6 kernel=3x2 stride=2x3 pad=1,0,2,0 dilation=2x1 groups=2\n"
		      "b: conv out=8 kernel=1 bias=off\n"
		      "c: batchnorm\n"
		      "d: flatten\n"
		      "e: linear out=5\n"
		      "f: linear out=7 bias=off\n");

	(void)state;
	assert_shape(net, "a", "6 x 3 x 4"); /* (9+1-5)/2+1, (10+2-2)/3+1 */
	assert_counts(net, "a", 6 * 2 * 3 * 2 + 6, 6 * 2 * 3 * 2 * 3 * 4);
	assert_counts(net, "b", 8 * 6, 8 * 6 * 12);
	assert_counts(net, "c", 2 * 8, 0);
	assert_counts(net, "d", 0, 0);
	assert_counts(net, "e", 96 * 5 + 5, 96 * 5);
	assert_counts(net, "f", 35, 35);
	net_free(net);
}

static void learning(void **state)
{
	struct net *net = net_from(IMAGE "a: relu\nb: lrn size=5\nc: batchnorm\nd: relu\n"
					 "e: concat from=a,c\nf: relu from=b\n");

	(void)state;
	assert_false(net_layer_of(net, "b")->learns);
	assert_true(net_layer_of(net, "c")->learns);
	assert_true(net_layer_of(net, "d")->learns);
	assert_true(net_layer_of(net, "e")->learns);
	assert_false(net_layer_of(net, "f")->learns);
	net_free(net);
}

static void values_of_layers(void **state)
{
	struct net *net = net_from(IMAGE "a: lrn size=5 alpha=2e-4 beta=0.5 k=2\nb: lrn size=3\n"
					 "c: batchnorm eps=0.001\nd: batchnorm\n"
					 "e: dropout rate=0.25\nf: dropout\n"
					 "g: pool type=average kernel=3 pad=1 border=skip\n");
	const struct net_layer *a = net_layer_of(net, "a"), *g = net_layer_of(net, "g");

	(void)state;
	assert_int_equal(a->lrn.size, 5);
	assert_true(a->lrn.alpha == 2e-4f && a->lrn.beta == 0.5f && a->lrn.k == 2.0f);
	assert_true(net_layer_of(net, "b")->lrn.alpha == 1e-4f);
	assert_true(net_layer_of(net, "c")->eps == 0.001f);
	assert_true(net_layer_of(net, "d")->eps == 1e-5f);
	assert_true(net_layer_of(net, "e")->rate == 0.25f);
	assert_true(net_layer_of(net, "f")->rate == 0.5f);
	assert_true(g->average && g->skip_border);
	net_free(net);
}

static void pools(void **state)
{
	struct net *net = net_from(
		"input 2 x 6 x 7\n"
		"down: pool type=max kernel=2 stride=2 from=input\n"
		"up: pool type=max kernel=2 stride=2 round=up from=input\n"
		/* The third window down would begin at row 6, behind the last. */
		"behind: pool type=max kernel=2 stride=3 round=up from=input\n"
		"padded: pool type=max kernel=2 stride=2 pad=1 round=up from=input\n"
		"all: pool type=average kernel=all from=input\n");

	(void)state;
	assert_shape(net, "down", "2 x 3 x 3");
	assert_shape(net, "up", "2 x 3 x 4");
	assert_shape(net, "behind", "2 x 2 x 3");
	/* The fifth across would begin at 8 - 1 = 7, in the padding behind. */
	assert_shape(net, "padded", "2 x 4 x 4");
	assert_shape(net, "all", "2 x 1 x 1");
	assert_int_equal(net_layer_of(net, "all")->kernel.h, 6);
	assert_int_equal(net_layer_of(net, "all")->kernel.w, 7);
	net_free(net);
}

/* ---------------------------------------------------------------- blocks and repeats */

static void blocks(void **state)
{
	struct net *net = net_from("block branch out kernel=1\n"
				   "  conv: conv out={out} kernel={kernel}x1\n"
				   "        relu\n"
				   "end\n" IMAGE "a: branch out=3\n"
				   "b: branch kernel=2 out=5 from=input\n"
				   "   branch out={2*4}\n"
				   "c: concat from=a.conv,a\n"
				   "d: relu from=b\n");

	(void)state;
	assert_shape(net, "a.conv", "3 x 9 x 10");
	assert_shape(net, "b.conv", "5 x 8 x 10");
	assert_string_equal(input_of(net, "a.conv"), "input");
	assert_string_equal(input_of(net, "b.conv"), "input");
	assert_string_equal(input_of(net, "branch@8.conv"), "b.relu@3");
	assert_shape(net, "branch@8.conv", "8 x 8 x 10");
	assert_shape(net, "c", "6 x 9 x 10");
	/* A block's name means its last layer. */
	assert_string_equal(input_of(net, "d"), "b.relu@3");
	net_free(net);
}

static void input_of_blocks(void **state)
{
	struct net *net = net_from("block twice\n"
				   "x: conv out={channels} kernel=1\n"
				   "y: add from=x,input\n"
				   "end\n"
				   "block nothing\n"
				   "end\n"
				   "block outer\n"
				   "u: conv out={channels/2} kernel=1\n"
				   "v: twice\n"
				   "w: nothing\n"
				   "z: concat from=u,w,input\n"
				   "end\n" IMAGE "a: relu\n"
				   "b: outer\n"
				   "c: outer from=a\n");

	(void)state;
	assert_shape(net, "b.v.y", "2 x 9 x 10");
	assert_string_equal(input_of(net, "b.v.x"), "b.u");
	assert_shape(net, "b.z", "8 x 9 x 10");
	assert_string_equal(input_of(net, "c.u"), "a");
	assert_int_equal(net_layer_of(net, "c.z")->inputs[1],
			 net_layer_of(net, "c.v.y") - net->layers);
	net_free(net);
}

static void repeats(void **state)
{
	struct net *net = net_from("block grow n\n"
				   "repeat i=1..{n}\n"
				   "repeat j=0..{i-1}\n"
				   "new{i}.{j}: conv out={10*i+j} kernel=1\n"
				   "end\n"
				   "end\n"
				   "end\n" IMAGE "g: grow n=2\n"
				   "repeat i=1..2\n"
				   "relu\n"
				   "end\n"
				   "last: grow n=0\n"
				   "z: relu from=last\n");

	(void)state;
	assert_int_equal(net->num_layers, 1 + 3 + 2 + 1);
	assert_shape(net, "g.new1.0", "10 x 9 x 10");
	assert_shape(net, "g.new2.0", "20 x 9 x 10");
	assert_shape(net, "g.new2.1", "21 x 9 x 10");
	assert_string_equal(input_of(net, "g.new2.1"), "g.new2.0");
	/* Names that layers give themselves are different in each repetition. */
	assert_string_equal(net->layers[4].name, "relu@11#1");
	assert_string_equal(net->layers[5].name, "relu@11#2");
	assert_string_equal(input_of(net, "z"), "relu@11#2");
	net_free(net);
}

static void expressions(void **state)
{
	static const struct {
		const char *text;
		uint32_t value;
	} cases[] = {
		{"7", 7},
		{"1+2*3", 7},
		{"(1+2)*3", 9},
		{"20/3/2", 3},
		{"10-4-3", 3},
		{"n*n+1", 26},
		{"2*(n-(1))", 8},
		{"(((n)))", 5},
		{"16777216-1+1", 16777216},
		{"1-2+3", 2},
		{"65536*65535/65535", 65536},
	};
	char text[160];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct net *net;

		snprintf(text, sizeof(text), "input 3\nrepeat n=5..5\na{n}: linear out={%s}\nend\n",
			 cases[i].text);
		net = net_from(text);
		assert_int_equal(net_layer_of(net, "a5")->out, cases[i].value);
		net_free(net);
	}
}

/* Parameters may stand for any part of a line. */
static void words(void **state)
{
	struct net *net = net_from("block any kind name type=max\n"
				   "{name}: {kind} type={type} kernel=3 pad={3/2} stride=1\n"
				   "end\n" IMAGE "x: any kind=pool name=p.q\n"
				   "y: any name=r kind=pool type=average\n");

	(void)state;
	assert_false(net_layer_of(net, "x.p.q")->average);
	assert_true(net_layer_of(net, "y.r")->average);
	assert_int_equal(net_layer_of(net, "y.r")->pad.left, 1);
	net_free(net);
}

/* ---------------------------------------------------------------- texts */

static void parsed(void **state)
{
	struct igrad_error error;
	struct net *net;

	(void)state;
	assert_int_equal(
		net_parse("some/where.net", IMAGE "a: conv out=6 kernel=1\n", &net, &error), 0);
	assert_string_equal(net->name, "where");
	assert_string_equal(net->path, "some/where.net");
	assert_counts(net, "a", 30, 24 * 90);
	net_free(net);
	assert_int_equal(net_parse("some/where.net", IMAGE "a: frob\n", &net, &error), -EBADMSG);
	assert_non_null(strstr(error.message, "some/where.net:2:4: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(learning),
		cmocka_unit_test(values_of_layers),
		cmocka_unit_test(pools),
		cmocka_unit_test(blocks),
		cmocka_unit_test(input_of_blocks),
		cmocka_unit_test(repeats),
		cmocka_unit_test(expressions),
		cmocka_unit_test(words),
		cmocka_unit_test(parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
