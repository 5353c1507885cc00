/* SPDX-License-Identifier: MIT */
/* Networks that are none: what is said and where, and that reading comes to an end. */
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
#define BLOCK "block b out kernel=1\nconv out={out} kernel={kernel}\nend\n" IMAGE

struct refusal {
	const char *text, *place, *wanted;
};

static void refuse(const struct refusal *refusals, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_refused(refusals[i].text, refusals[i].place, refusals[i].wanted);
}

#define REFUSE(list) refuse(list, sizeof(list) / sizeof((list)[0]))

/* ---------------------------------------------------------------- mistakes */

static void structure(void **state)
{
	static const struct refusal refusals[] = {
		{IMAGE "end\n", "2:1", "no block or repeat is open"},
		{"block b\nrelu\n", "1:1", "has no 'end'"},
		{IMAGE "  repeat i=1..2\nrelu\n", "2:3", "has no 'end'"},
		{"block b\n block c\nend\nend\n", "2:2", "a block within a block"},
		{"repeat i=1..2\nblock c\nend\nend\n", "2:1", "a block within a block or repeat"},
		{IMAGE "relu\nblock b\nrelu\nend\n", "3:1", "'b' is not used"},
		{"block b\nb\nend\n" IMAGE "b\n", "2:1", "'b': linear, conv"},
		{"block b\nc\nend\nblock c\nend\n" IMAGE "b\n", "2:1", "or a block above"},
		{IMAGE "b\nblock b\nend\n", "2:1", "or a block above"},
		{"block b\nend\nb\n", "3:1", "'input' was expected before"},
		{"block b\nbatch 4\nend\n" IMAGE "b\n", "2:1", "'batch' has no place in a block"},
		{IMAGE "repeat i=1..2\nnetwork a\nend\n", "3:1", "'network' has no place"},
	};

	(void)state;
	REFUSE(refusals);
}

static void definitions(void **state)
{
	static const struct refusal refusals[] = {
		{"block\nend\n", "1:6", "a letter, then letters"},
		{"block 2b\nend\n", "1:7", "a letter, then letters"},
		{"block relu\nend\n", "1:7", "cannot be called 'relu'"},
		{"block input\nend\n", "1:7", "cannot be called 'input'"},
		{"block end\nend\n", "1:7", "cannot be called 'end'"},
		{"block b\nend\nblock b\nend\n", "3:7", "a block 'b' already"},
		{"block b a=\nend\n", "1:11", "a value of a"},
		{"block b a-b\nend\n", "1:9", "a letter, then letters"},
		{"block b a from\nend\n", "1:11", "cannot be called 'from'"},
		{"block b channels=3\nend\n", "1:9", "cannot be called 'channels'"},
		{"block b a c=2 a\nend\n", "1:15", "a parameter 'a' already"},
		{"block b p1 p2 p3 p4 p5 p6 p7 p8 p9 p10 p11 p12 p13 p14 p15 p16 p17\nend\n",
		 "1:64", "more than 16 parameters"},
	};

	(void)state;
	REFUSE(refusals);
}

static void uses(void **state)
{
	static const struct refusal refusals[] = {
		{BLOCK "b\n", "5:2", "b needs out too"},
		{BLOCK "b out\n", "5:3", "one of out, kernel, from"},
		{BLOCK "b out=\n", "5:7", "a value of out"},
		{BLOCK "b out=1 pad=2\n", "5:9", "b has no 'pad'; expected: out, kernel, from"},
		{BLOCK "b out=1 out=2\n", "5:9", "out is given twice"},
		{BLOCK "b out=1 from=x\n", "5:14", "a layer above"},
		{BLOCK "b out=1 from=input from=input\n", "5:20", "from is given twice"},
		{BLOCK "x: b out=1\nx: b out=1\n", "6:1", "a layer 'x' already"},
		{BLOCK "x*: b out=1\n", "5:1", "a name of 1 to"},
		{BLOCK "x: b out=1\nrelu from=x.y\n", "6:11", "a layer above"},
		/* In blocks: the place in the block, then where it is used. */
		{BLOCK "b out=0\n", "2:10", "(in b@5, used in line 5)"},
		{BLOCK "b out=two\n", "2:10", "'two': a whole number from 1 to 16777216"},
		{BLOCK "x: b out=3 kernel=11\n", "2:1",
		 "input of 4 x 9 x 10 (in x, used in line 5)"},
		{"block in\nrelu from=x\nend\nblock out\ny: in\nend\n" IMAGE "x: relu\nz: out\n",
		 "2:11", "a layer above was expected (in z.y, used in line 5, 9)"},
		{"block b\nx: relu\nx: relu\nend\n" IMAGE "c: b\n", "3:1", "a layer 'c.x' already"},
		{"block b\ninput: relu\nend\n" IMAGE "c: b\n", "2:1", "'c.input' already"},
		{"block b\nx234: relu\nend\n" IMAGE
		 "a23456789012345678901234567890123456789012345678901234567890: b\nb\n",
		 "2:1", "longer than 63"},
		{"block b\nend\n" IMAGE
		 "a2345678901234567890123456789012345678901234567890123456789012: b\nb\n"
		 "a23456789012345678901234567890123456789012345678901234567890123: b\n",
		 "6:1", "longer than 62"},
	};

	(void)state;
	REFUSE(refusals);
}

static void counters(void **state)
{
	static const struct refusal refusals[] = {
		{IMAGE "repeat\nend\n", "2:7", "as in i=1..6"},
		{IMAGE "repeat 6\nend\n", "2:8", "as in i=1..6"},
		{IMAGE "repeat i=\nend\n", "2:10", "a value of i"},
		{IMAGE "repeat i=6\nend\n", "2:10", "as in 1..6"},
		{IMAGE "repeat i=1..x\nend\n", "2:13", "a whole number from 0"},
		{IMAGE "repeat i=-1..2\nend\n", "2:10", "a whole number from 0"},
		{IMAGE "repeat i=5..3\nend\n", "2:13", "a whole number from 4"},
		{IMAGE "repeat i=1..99999999\nend\n", "2:13", "to 16777216"},
		{IMAGE "repeat i=1..2 x\nend\n", "2:15", "should end"},
		{IMAGE "repeat 1=1..2\nend\n", "2:8", "a letter, then letters"},
		{IMAGE "repeat channels=1..2\nend\n", "2:8", "something else"},
		{IMAGE "repeat i=1..2\nrepeat i=1..2\nend\nend\n", "3:8", "something else"},
		{IMAGE "repeat i=1..2\na: relu\nend\n", "3:1", "a layer 'a' already"},
		{IMAGE "repeat i=1..2\nend\nlinear out={i}\n", "4:13", "'i' is not known here"},
		{IMAGE "repeat i=1..2 # so\n", "2:1", "has no 'end'"},
	};

	(void)state;
	REFUSE(refusals);
}

/* Columns are those of the file, whatever stands in the braces. */
static void braces(void **state)
{
	static const struct refusal refusals[] = {
		{"input 4\nlinear out={\n", "2:13", "a number, a parameter or ("},
		{"input 4\nlinear out={}\n", "2:13", "a number, a parameter or ("},
		{"input 4\nlinear out={1\n", "2:14", "or } was expected"},
		{"input 4\nlinear out={1", "2:14", "or } was expected"}, /* at the file's end */
		{"input 4\nlinear out={1+}\n", "2:15", "a number, a parameter or ("},
		{"input 4\nlinear out={(1}\n", "2:15", "or ) was expected"},
		{"input 4\nlinear out={1 + 2}\n", "2:14", "or } was expected"},
		{"input 4\nlinear out={x}\n", "2:13", "'x' is not known here"},
		{"input 4\nlinear out={channels}\n", "2:13", "'channels' is not known here"},
		{"input 4\nlinear out={1-2}\n", "2:12", "-1: at least 0"},
		{"input 4\nlinear out={1/0}\n", "2:14", "division by 0"},
		{"input 4\nlinear out={65536*65536*2}\n", "2:24", "beyond 2^32"},
		{"input 4\nlinear out={65536*65536*65536*65536*65536}\n", "2:24", "beyond 2^32"},
		{"input 4\nlinear out={0-65536*65536-1}\n", "2:26", "beyond 2^32"},
		{"input 4\nlinear out={99999999999}\n", "2:13", "at most 2^32"},
		{"input 4\nlinear out={((((((((((((((((1))))))))))))))))}\n", "3:1", ""},
		{"input 4\nlinear out={(((((((((((((((((1)))))))))))))))))}\n", "2:29", "16 deep"},
		{"input 4\nlinear out={2*3} bias={4} x=1\n", "2:23", "'4': off or on"},
		{"input 4\nlinear out={2*3} x=1\n", "2:18", "linear has no 'x'"},
		{"input 4\nlinear out={2*3} {7}\n", "2:18", "'7': key=value"},
		{"input 4\nlinear out=}\n", "2:12", "a whole number"},
		{"block b k=max\nlinear out={k*2}\nend\ninput 4\nb\n", "2:13", "'k' is 'max'"},
		{"block b k=1000000000\nlinear out={k*2}\nend\ninput 4\nb\n", "2:13", "a number"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (*refusals[i].wanted)
			assert_refused(refusals[i].text, refusals[i].place, refusals[i].wanted);
		else
			net_free(net_from(refusals[i].text));
}

static void layers(void **state)
{
	static const struct refusal refusals[] = {
		{IMAGE "lrn\n", "2:4", "lrn needs size too"},
		{IMAGE "lrn size=0\n", "2:10", "from 1 to"},
		{IMAGE "lrn size=5 alpha=x\n", "2:18", "a number from 0"},
		{IMAGE "lrn size=5 beta=-1\n", "2:17", "a number from 0"},
		{IMAGE "lrn size=5 beta=-0\n", "2:17", "a number from 0"},
		{IMAGE "lrn size=5 k=inf\n", "2:14", "a number from 0"},
		{IMAGE "lrn size=5 k=nan\n", "2:14", "a number from 0"},
		{IMAGE "lrn size=5 k=0x1\n", "2:14", "a number from 0"},
		{IMAGE "lrn size=5 k=1e7\n", "2:14", "less than 1e+06"},
		{"input 4\nlrn size=5\n", "2:1", "its input has 4 features"},
		{IMAGE "dropout rate=1\n", "2:14", "less than 1"},
		{IMAGE "batchnorm eps=\n", "2:15", "a value of eps"},
		{IMAGE "pool type=max kernel=all stride=2\n", "2:1", "kernel=all goes without"},
		{IMAGE "pool type=max kernel=all pad=1\n", "2:1", "kernel=all goes without"},
		{IMAGE "pool type=max kernel=2 border=skip\n", "2:1", "type=average"},
		{IMAGE "pool type=max kernel=2 border=cut\n", "2:31", "count or skip"},
		{IMAGE "pool type=max kernel=2 pad=2\n", "2:1", "smaller than the kernel of 2 x 2"},
		{IMAGE "pool type=max kernel=3x2 pad=0,2,0,2\n", "2:1", "nothing but padding"},
		{IMAGE "conv out=4 kernel=all\n", "2:19", "a whole number"},
		{"input 4\npool type=max kernel=all\n", "2:1", "has 4 features"},
		{"input 16777216\nlinear out=16777216\nlinear out=16777216\nconv out=1 kernel=1\n",
		 "4:1", "slides over"},
		{"input 16777216 x 1 x 1\nconv out=16777216 kernel=1\n"
		 "conv out=16777216 kernel=3 pad=1\n",
		 "3:1", "more than 2^50"},
		{"input 16777216 x 16777216 x 16777216\nconv out=1 kernel=1\n", "2:1",
		 "more than 2^50"},
		{"input 16777216 x 16777216 x 16777216\n"
		 "conv out=16777216 kernel=16777216 stride=16777216\n",
		 "2:1", "more than 2^50"},
		{"input 1 x 16777216 x 1\nconv out=1 kernel=1 pad=1\n", "2:1",
		 "larger than 16777216"},
	};

	(void)state;
	REFUSE(refusals);
}

/* ---------------------------------------------------------------- reading comes to an end */

/* @count times @text, then @last; for free() */
static char *many(const char *head, const char *text, unsigned int count, const char *last)
{
	size_t length = strlen(text);
	char *all = malloc(strlen(head) + count * length + strlen(last) + 1), *at;

	assert_non_null(all);
	at = stpcpy(all, head);
	for (unsigned int i = 0; i < count; i++)
		at = stpcpy(at, text);
	strcpy(at, last);
	return all;
}

static void endless(void **state)
{
	char *nested, *doubling;

	(void)state;
	/* Nothing, very often. */
	assert_refused(IMAGE "repeat i=1..16777216\nend\nrelu\n", "3:1", "more lines than 65536");
	assert_refused(IMAGE "repeat i=1..16777216\n\n#\nend\nrelu\n", "3:1",
		       "more lines than 65536");
	assert_refused("block b\nend\n" IMAGE "repeat i=1..16777216\nb\nend\n", "5:1",
		       "more lines than 65536");
	assert_refused(IMAGE "repeat i=1..16777216\nrelu\nend\n", "3:1", "at most 4096");
	nested = many(IMAGE "repeat a=1..16777216\nrepeat b=1..16777216\nrepeat c=1..16777216\n",
		      "", 0, "end\nend\nend\nrelu\n");
	assert_refused(nested, "5:1", "more lines than 65536");
	free(nested);
	/* Each block twice what the one above it is, the first 200 lines of nothing. */
	doubling = many("block b0\n", "\n", 200,
			"end\n"
			"block b1\nx: b0\ny: b0\nend\nblock b2\nx: b1\ny: b1\nend\n"
			"block b3\nx: b2\ny: b2\nend\nblock b4\nx: b3\ny: b3\nend\n"
			"block b5\nx: b4\ny: b4\nend\nblock b6\nx: b5\ny: b5\nend\n"
			"block b7\nx: b6\ny: b6\nend\nblock b8\nx: b7\ny: b7\nend\n"
			"block b9\nx: b8\ny: b8\nend\n" IMAGE "b9\n");
	assert_refused(doubling, "41:1", "more lines than 65536");
	free(doubling);
}

static void deep(void **state)
{
	char text[4096] = "block b1\nrelu\nend\n", line[80];
	char *nested;

	(void)state;
	for (int i = 2; i <= 17; i++) {
		snprintf(line, sizeof(line), "block b%d\nx: b%d\nend\n", i, i - 1);
		strcat(text, line);
	}
	strcat(text, IMAGE "x: b17\n");
	assert_refused(text, "2:1", "within each other more than 16");
	nested = many(IMAGE, "repeat i=1..2\n", 17, "");
	assert_refused(nested, "18:1", "more than 16 deep");
	free(nested);
}

static void large(void **state)
{
	char *text = many(IMAGE "a: relu from=", "x", 1100, "\n");

	(void)state;
	assert_refused(text, "2:1024", "more than 1023 characters");
	free(text);
	text = many("block b p=abcdefghijklmnopqrstuvwxyz\nr: relu from=", "{p}", 100,
		    "\nend\n" IMAGE "b\n");
	assert_refused(text, "2:128", "more than 1023 characters");
	free(text);
	text = many("block b p\nend\n" IMAGE "b p=", "x", 64, "\n");
	assert_refused(text, "4:5", "more than 63 characters");
	free(text);
	text = many("input 4\nlinear out={1", "+1", 40000, "+}\n");
	assert_refused(text, "2:80015", "a number, a parameter");
	free(text);
	text = malloc(64 * 24 + 64);
	assert_non_null(text);
	text[0] = '\0';
	for (int i = 0; i < 65; i++)
		sprintf(text + strlen(text), "block b%d\nend\n", i);
	assert_refused(text, "129:7", "more than 64 blocks");
	free(text);
}

/* As many names as there may be, most of them of blocks without layers. */
static void names(void **state)
{
	(void)state;
	assert_refused("block b\nend\n" IMAGE "repeat i=1..9000\nx{i}: b\nend\n", "5:7",
		       "no room for more names (at most 8192)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structure), cmocka_unit_test(definitions),
		cmocka_unit_test(uses),	     cmocka_unit_test(counters),
		cmocka_unit_test(braces),    cmocka_unit_test(layers),
		cmocka_unit_test(endless),   cmocka_unit_test(deep),
		cmocka_unit_test(large),     cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
