/* SPDX-License-Identifier: MIT */
/* The sim backend's URIs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "igrad/igrad.h"

static void a_uri_says_what_was_opened(void **context)
{
	struct igrad_device *device;
	const struct igrad_device_info *info;

	(void)context;
	assert_int_equal(igrad_device_open("sim:cols=0x10,overlap=no,rows=7,clock-hz=5000000000",
					   &device, NULL),
			 0);
	info = igrad_device_info(device);
	assert_int_equal(info->rows, 7);
	assert_int_equal(info->cols, 16);
	assert_int_equal(info->sram_bytes, 4 << 20);
	assert_int_equal(info->features, IGRAD_FEATURE_BF16 | IGRAD_FEATURE_QUIET);
	assert_int_equal(info->clock_hz, 5000000000);
	assert_string_equal(igrad_device_uri(device),
			    "sim:rows=7,cols=16,overlap=off,sram-kib=4096,dram-bytes-per-cycle=64,"
			    "dram-latency=100,clock-hz=5000000000,threads=1,job-timeout-ms=5000");
	igrad_device_unref(device);
}

/* The defaults are the QEMU device's too: both take them from the core. */
static void a_bare_uri_opens_the_default_device(void **context)
{
	struct igrad_device *device;

	(void)context;
	assert_int_equal(igrad_device_open("sim:", &device, NULL), 0);
	assert_int_equal(igrad_device_info(device)->features,
			 IGRAD_FEATURE_OVERLAP | IGRAD_FEATURE_BF16 | IGRAD_FEATURE_QUIET);
	assert_string_equal(igrad_device_uri(device),
			    "sim:rows=32,cols=32,overlap=on,sram-kib=4096,dram-bytes-per-cycle=64,"
			    "dram-latency=100,clock-hz=1000000000,threads=1,job-timeout-ms=5000");
	igrad_device_unref(device);
}

static void bad_uris_are_explained(void **context)
{
	/* What is wrong must appear in the sentence. */
	static const struct {
		const char *uri, *what;
	} cases[] = {
		{"sim:rows=0", "rows=0"},
		{"sim:rows=257", "256"},
		{"sim:cols=4294967296", "cols=4294967296"},
		{"sim:rows=", "rows="},
		{"sim:rows=-1", "rows=-1"},
		{"sim:rows= 1", "rows= 1"},
		{"sim:rows=1x", "rows=1x"},
		{"sim:rows", "'rows'"},
		{"sim:,", "name=value"},
		{"sim:rows=1,", "name=value"},
		{"sim:speed=9", "'speed'"},
		{"sim:rows=4,cols=4,rows=8", "rows is given twice"},
		{"sim:overlap=on,overlap=on", "overlap is given twice"},
		{"sim:overlap=maybe", "overlap=maybe"},
		{"sim:sram-kib=1", "sram-kib"},
		{"sim:sram-kib=5000000", "sram-kib=5000000"},
		{"sim:threads=0", "threads=0"},
		{"sim:clock-hz=0", "clock-hz=0"},
		{"sim:clock-hz=99999999999999999999", "clock-hz=99999999999999999999"},
		{"sim:job-timeout-ms=0", "job-timeout-ms=0"},
		{"drm:/nonexistent", "/nonexistent"},
		{"drm:/dev/null", "not an igrad"},
		{"gpu:0", "'gpu:0'"},
	};

	(void)context;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct igrad_device *device = (void *)1;
		struct igrad_error error;

		assert_true(igrad_device_open(cases[i].uri, &device, &error) < 0);
		assert_null(device);
		if (!strstr(error.message, cases[i].what))
			fail_msg("'%s' gave: %s", cases[i].uri, error.message);
		assert_true(igrad_device_open(cases[i].uri, &device, NULL) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uri_says_what_was_opened),
		cmocka_unit_test(a_bare_uri_opens_the_default_device),
		cmocka_unit_test(bad_uris_are_explained),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("sim URIs", tests, NULL, NULL);
}
