// SPDX-License-Identifier: MIT
/* Windows: what is brought in and written back, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "linear.h"
#include "matrices.h"

/* ---------------------------------------------------------------- windows */

/* Three blocks, again and again. */
static const struct igrad_visits again = {.sweep = 3};

struct desk {
	struct igrad_device *device;
	struct igrad_emitter e;
	struct igrad_matrix m;
	struct igrad_sram sram;
};

static void desk_open(struct desk *desk, uint32_t rows, uint32_t cols)
{
	memset(desk, 0, sizeof(*desk));
	assert_int_equal(igrad_device_open("sim:", &desk->device, NULL), 0);
	assert_int_equal(igrad_cmdbuf_new(desk->device, &desk->e.cmdbuf), 0);
	desk->m = (struct igrad_matrix){.rows = rows, .cols = cols};
	assert_int_equal(igrad_buffer_new(desk->device, (uint64_t)rows * cols * 4, &desk->m.buffer),
			 0);
	desk->sram.end = igrad_device_info(desk->device)->sram_bytes;
}

static void desk_close(struct desk *desk)
{
	igrad_cmdbuf_unref(desk->e.cmdbuf);
	igrad_buffer_unref(desk->m.buffer);
	igrad_device_unref(desk->device);
}

static struct igrad_part element(uint32_t row, uint32_t col)
{
	return (struct igrad_part){row, col, {1, 1}};
}

static void test_window_loads_once(void **state)
{
	struct igrad_window window;
	struct igrad_place a, b;
	struct desk desk;

	(void)state;
	desk_open(&desk, 10, 10);
	assert_int_equal(igrad_window_init(&window, &desk.sram, &desk.m, IGRAD_FP32,
					   (struct igrad_size){10, 10}, (struct igrad_size){4, 10},
					   (struct igrad_size){4, 10}, 3, again),
			 0);
	a = igrad_window_get(&window, &desk.e, element(1, 2), IGRAD_USE_IN);
	b = igrad_window_get(&window, &desk.e, element(3, 0), IGRAD_USE_IN);
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 1);
	assert_int_equal(b.addr - a.addr, 2 * 40 - 2 * 4);
	assert_int_equal(a.pitch, 40);
	igrad_window_get(&window, &desk.e, element(9, 9), IGRAD_USE_IN);
	igrad_window_get(&window, &desk.e, element(0, 0), IGRAD_USE_IN);
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 2);
	igrad_window_flush(&window, &desk.e);
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 2);
	igrad_window_fini(&window);
	desk_close(&desk);
}

static void test_window_writes_back_once(void **state)
{
	struct igrad_window window;
	struct desk desk;

	(void)state;
	desk_open(&desk, 10, 10);
	assert_int_equal(igrad_window_init(&window, &desk.sram, &desk.m, IGRAD_FP32,
					   (struct igrad_size){10, 10}, (struct igrad_size){4, 10},
					   (struct igrad_size){4, 10}, 2, again),
			 0);
	igrad_window_get(&window, &desk.e, element(0, 0), IGRAD_USE_OUT);   /* nothing to load */
	igrad_window_get(&window, &desk.e, element(4, 0), IGRAD_USE_INOUT); /* a load */
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 1);
	igrad_window_get(&window, &desk.e, element(8, 0), IGRAD_USE_IN); /* a store and a load */
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 3);
	igrad_window_flush(&window, &desk.e); /* the other store */
	igrad_window_flush(&window, &desk.e);
	assert_int_equal(igrad_cmdbuf_length(desk.e.cmdbuf), 4);
	igrad_window_fini(&window);
	desk_close(&desk);
}

/* Asking for scratch that has been replaced is a mistake of the plan, and is found. */
static void test_lost_scratch_is_an_error(void **state)
{
	struct igrad_window window;
	struct desk desk;

	(void)state;
	desk_open(&desk, 8, 8);
	assert_int_equal(igrad_window_init(&window, &desk.sram, NULL, IGRAD_FP32,
					   (struct igrad_size){8, 8}, (struct igrad_size){4, 8},
					   (struct igrad_size){4, 8}, 1, again),
			 0);
	igrad_window_get(&window, &desk.e, element(0, 0), IGRAD_USE_OUT);
	igrad_window_get(&window, &desk.e, element(4, 0), IGRAD_USE_OUT);
	assert_int_equal(desk.e.err, 0);
	igrad_window_get(&window, &desk.e, element(0, 0), IGRAD_USE_INOUT);
	assert_int_equal(desk.e.err, -EINVAL);
	igrad_window_fini(&window);
	desk_close(&desk);
}

static void test_sram_is_limited(void **state)
{
	struct igrad_sram sram = {.next = 0, .end = 16384};
	uint32_t addr;

	(void)state;
	assert_int_equal(igrad_sram_alloc(&sram, 16000, &addr), 0);
	assert_int_equal(addr, 0);
	assert_int_equal(igrad_sram_alloc(&sram, 388, &addr), -ENOSPC);
	assert_int_equal(igrad_sram_alloc(&sram, UINT64_MAX, &addr), -ENOSPC);
	assert_int_equal(igrad_sram_alloc(&sram, 384, &addr), 0);
	assert_int_equal(addr, 16000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_loads_once),
		cmocka_unit_test(test_window_writes_back_once),
		cmocka_unit_test(test_lost_scratch_is_an_error),
		cmocka_unit_test(test_sram_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
