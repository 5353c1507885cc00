/* SPDX-License-Identifier: MIT */
/* Strided regions, held to sets of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "region.h"

#define SPACE  256
#define ROUNDS 200000

static uint32_t state = 1;

static uint32_t below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % n;
}

struct shape {
	uint32_t start, rows, width, pitch;
	struct igrad_region region;
	uint8_t bytes[SPACE];
};

/* A random region, and its bytes written down one by one. */
static void make(struct shape *shape, uint32_t pitch)
{
	do {
		shape->pitch = pitch;
		shape->rows = 1 + below(6);
		shape->width = 1 + below(shape->rows > 1 ? pitch + 2 : 60);
		shape->start = below(SPACE);
	} while (shape->start + (shape->rows - 1) * pitch + shape->width > SPACE);

	shape->region = igrad_region(shape->start, shape->rows, shape->width, pitch);
	memset(shape->bytes, 0, sizeof(shape->bytes));
	for (uint32_t row = 0; row < shape->rows; row++)
		memset(shape->bytes + shape->start + row * pitch, 1, shape->width);
}

static int share_bytes(const struct shape *a, const struct shape *b)
{
	for (int i = 0; i < SPACE; i++)
		if (a->bytes[i] && b->bytes[i])
			return 1;
	return 0;
}

static int includes(const struct shape *a, const struct shape *b, uint32_t start, uint32_t end)
{
	for (uint32_t i = start; i < end; i++)
		if (b->bytes[i] && !a->bytes[i])
			return 0;
	return 1;
}

static void end_is_behind_the_last_byte(void **context)
{
	(void)context;
	for (int i = 0; i < 1000; i++) {
		struct shape a;
		uint64_t end;

		make(&a, 1 + below(40));
		end = igrad_region_end(&a.region);
		assert_true(a.bytes[end - 1]);
		for (uint64_t byte = end; byte < SPACE; byte++)
			assert_false(a.bytes[byte]);
	}
}

static void overlap_is_exact_at_one_pitch(void **context)
{
	int overlapping = 0;

	(void)context;
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t pitch = 1 + below(40);
		struct shape a, b;

		make(&a, pitch);
		make(&b, pitch);
		assert_int_equal(igrad_region_overlap(&a.region, &b.region), share_bytes(&a, &b));
		overlapping += share_bytes(&a, &b);
	}
	assert_in_range(overlapping, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

static void overlap_misses_nothing_at_two_pitches(void **context)
{
	int exact = 0;

	(void)context;
	for (int i = 0; i < ROUNDS; i++) {
		struct shape a, b;
		bool overlap;

		make(&a, 1 + below(40));
		make(&b, 1 + below(40));
		overlap = igrad_region_overlap(&a.region, &b.region);
		if (share_bytes(&a, &b))
			assert_true(overlap);
		if (a.region.rows == 1 || b.region.rows == 1)
			assert_int_equal(overlap, share_bytes(&a, &b));
		exact += overlap == share_bytes(&a, &b);
	}
	assert_true(exact > ROUNDS / 2);
}

static void covering_is_never_claimed_wrongly(void **context)
{
	int claimed = 0;

	(void)context;
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t pitch = 1 + below(40), start = 64 * below(4);
		struct shape a, b;

		make(&a, pitch);
		make(&b, below(2) ? pitch : 1 + below(40));
		if (!igrad_region_covers(&a.region, &b.region, start, start + 64))
			continue;
		assert_true(includes(&a, &b, start, start + 64));
		claimed++;
	}
	assert_true(claimed > ROUNDS / 100);
}

static void a_region_covers_itself_and_its_parts(void **context)
{
	struct igrad_region matrix = igrad_region(100, 8, 64, 96);
	struct igrad_region rows = igrad_region(100 + 2 * 96, 3, 64, 96);
	struct igrad_region columns = igrad_region(116, 8, 16, 96);
	struct igrad_region whole = igrad_region(0, 1, 4096, 0);

	(void)context;
	assert_true(igrad_region_covers(&matrix, &matrix, 0, 4096));
	assert_true(igrad_region_covers(&matrix, &rows, 0, 4096));
	assert_true(igrad_region_covers(&matrix, &columns, 0, 4096));
	assert_true(igrad_region_covers(&whole, &matrix, 0, 4096));
	assert_false(igrad_region_covers(&columns, &matrix, 0, 4096));
	assert_false(igrad_region_covers(&rows, &matrix, 0, 4096));
	assert_false(igrad_region_overlap(&columns, &(struct igrad_region){132, 16, 96, 8}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(end_is_behind_the_last_byte),
		cmocka_unit_test(overlap_is_exact_at_one_pitch),
		cmocka_unit_test(overlap_misses_nothing_at_two_pitches),
		cmocka_unit_test(covering_is_never_claimed_wrongly),
		cmocka_unit_test(a_region_covers_itself_and_its_parts),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("regions", tests, NULL, NULL);
}
