/* SPDX-License-Identifier: MIT */
/* The shared library exports what the public headers declare, and nothing else. */
#include <dlfcn.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const headers[] = { HEADERS };

/* Function declarations start in the first column; all else that does is a comment or a type. */
#define DECLARATION "^[a-z][a-z0-9_ *]*[ *](igrad_[a-z0-9_]+)\\("

static int check_header(void *library, const char *path, const regex_t *regex)
{
	FILE *file = fopen(path, "r");
	char line[512];
	int found = 0;

	if (!file)
		fail_msg("cannot open %s", path);
	while (fgets(line, sizeof(line), file)) {
		regmatch_t match[2];

		if (regexec(regex, line, 2, match, 0) || !strncmp(line, "typedef", 7))
			continue;
		line[match[1].rm_eo] = '\0';
		if (!dlsym(library, line + match[1].rm_so))
			fail_msg("%s declares %s, which is not exported", path,
				 line + match[1].rm_so);
		found++;
	}
	fclose(file);
	return found;
}

static void public_functions_are_exported(void **context)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	regex_t regex;
	int found = 0;

	(void)context;
	if (!library)
		fail_msg("%s", dlerror());
	assert_int_equal(regcomp(&regex, DECLARATION, REG_EXTENDED), 0);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		found += check_header(library, headers[i], &regex);
	assert_true(found > 40);
	regfree(&regex);
	dlclose(library);
}

static void internal_functions_are_not(void **context)
{
	static const char *const internal[] = { "igrad_fail", "igrad_sim_open", "igrad_core_new",
						"igrad_tracker_init", "igrad_cmdbuf_prepare" };
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	(void)context;
	assert_non_null(library);
	for (size_t i = 0; i < sizeof(internal) / sizeof(internal[0]); i++)
		assert_null(dlsym(library, internal[i]));
	dlclose(library);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_functions_are_exported),
		cmocka_unit_test(internal_functions_are_not),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("exported symbols", tests, NULL, NULL);
}
