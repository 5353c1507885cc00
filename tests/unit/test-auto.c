// SPDX-License-Identifier: MIT
/*
 * Plans that are chosen by executing them: what is chosen is done, auto never loses, choices are
 * explained, remembered, and the same from every thread.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "igrad/energy.h"
#include "igrad/plan.h"
#include "matrices.h"

static unsigned int num_cases(void)
{
	return getenv("IGRAD_TEST_LONG") ? 400 : 40;
}

/* ---------------------------------------------------------------- layers */

/* A layer whose operands nobody looks at, on a device that only keeps accounts. */
struct layer {
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *cmdbuf;
	struct igrad_matrix x, w, b, y, dy, dx, dw, vw, vb, sw, sb, adam;
	struct igrad_linear_backward backward;
	struct igrad_linear_forward forward;
};

static struct igrad_matrix matrix(struct igrad_device *device, uint32_t rows, uint32_t cols)
{
	struct igrad_matrix m = {.rows = rows, .cols = cols};

	assert_int_equal(igrad_buffer_new(device, 4ull * rows * cols, &m.buffer), 0);
	return m;
}

static void layer_open(struct layer *l, const char *uri, uint32_t B, uint32_t I, uint32_t O)
{
	struct igrad_error error;

	memset(l, 0, sizeof(*l));
	if (igrad_device_open(uri, &l->device, &error))
		fail_msg("%s: %s", uri, error.message);
	assert_int_equal(igrad_queue_new(l->device, &l->queue), 0);
	assert_int_equal(igrad_cmdbuf_new(l->device, &l->cmdbuf), 0);
	l->x = matrix(l->device, B, I);
	l->w = matrix(l->device, I, O);
	l->b = matrix(l->device, 1, O);
	l->y = matrix(l->device, B, O);
	l->dy = matrix(l->device, B, O);
	l->dx = matrix(l->device, B, I);
	l->dw = matrix(l->device, I, O);
	l->vw = matrix(l->device, I, O);
	l->vb = matrix(l->device, 1, O);
	l->sw = matrix(l->device, I, O);
	l->sb = matrix(l->device, 1, O);
	l->adam = matrix(l->device, 1, IGRAD_ADAM_WORDS);
	l->forward = (struct igrad_linear_forward){.x = &l->x, .w = &l->w, .b = &l->b, .y = &l->y};
	l->backward = (struct igrad_linear_backward){
		.schedule = IGRAD_SCHEDULE_AUTO,
		.x = &l->x,
		.w = &l->w,
		.b = &l->b,
		.y = &l->y,
		.dy = &l->dy,
		.dx = &l->dx,
		.vw = &l->vw,
		.vb = &l->vb,
		.sw = &l->sw,
		.sb = &l->sb,
		.adam = &l->adam,
		.optimizer = {.update = IGRAD_UPDATE_SGD, .lr = 0.1f, .momentum = 0.9f, .decay = 0},
	};
}

static void layer_close(struct layer *l)
{
	struct igrad_matrix *all[] = {&l->x,  &l->w,  &l->b,  &l->y,  &l->dy, &l->dx,
				      &l->dw, &l->vw, &l->vb, &l->sw, &l->sb, &l->adam};

	igrad_cmdbuf_unref(l->cmdbuf);
	igrad_queue_unref(l->queue);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		matrix_free(all[i]);
	igrad_device_unref(l->device);
}

static struct igrad_report layer_run(struct layer *l)
{
	struct igrad_report report;

	assert_int_equal(igrad_queue_run(l->queue, l->cmdbuf, &report), 0);
	assert_int_equal(igrad_cmdbuf_reset(l->cmdbuf), 0);
	return report;
}

static struct igrad_report run_backward(struct layer *l)
{
	int err = igrad_linear_backward(l->cmdbuf, &l->backward);

	if (err)
		fail_msg("B=%u I=%u O=%u: %s", l->x.rows, l->x.cols, l->w.cols,
			 igrad_strerror(err));
	return layer_run(l);
}

static double score(const struct layer *l, const struct igrad_report *report,
		    enum igrad_objective objective)
{
	struct igrad_energy_table *table;
	struct igrad_energy energy;

	if (objective == IGRAD_OBJECTIVE_DRAM)
		return (double)report->dram_read_bytes + report->dram_write_bytes;
	if (objective == IGRAD_OBJECTIVE_CYCLES)
		return report->cycles;
	assert_int_equal(igrad_energy_table_load(NULL, &table, NULL), 0);
	igrad_energy(table, report, igrad_device_info(l->device), &energy);
	igrad_energy_table_unref(table);
	return energy.total;
}

/* ---------------------------------------------------------------- auto */

static void open_random(struct layer *l, struct igrad_rng *rng)
{
	static const unsigned int sides[] = {4, 8, 13, 16, 32, 64, 128};
	static const unsigned int srams[] = {64, 256, 1024, 4096};
	static const unsigned int widths[] = {4, 16, 64, 1024};
	char uri[160];

	snprintf(
		uri, sizeof(uri),
		"sim:timing-only=on,rows=%u,cols=%u,overlap=%s,sram-kib=%u,dram-bytes-per-cycle=%u",
		sides[igrad_rng_below(rng, 7)], sides[igrad_rng_below(rng, 7)],
		igrad_rng_below(rng, 2) ? "on" : "off", srams[igrad_rng_below(rng, 4)],
		widths[igrad_rng_below(rng, 4)]);
	layer_open(l, uri, random_between(rng, 1, 300), random_between(rng, 1, 400),
		   random_between(rng, 1, 400));
	l->backward.optimizer.update = igrad_rng_below(rng, IGRAD_UPDATE_ADAM + 1);
	l->backward.optimizer.decay = igrad_rng_below(rng, 2) ? 0.01f : 0.0f;
	if (l->backward.optimizer.update == IGRAD_UPDATE_NONE)
		l->backward.dw = &l->dw;
	if (igrad_rng_below(rng, 3) == 0)
		l->backward.dx = NULL;
	if (igrad_rng_below(rng, 2))
		l->backward.y = NULL;
	l->backward.objective = igrad_rng_below(rng, IGRAD_NUM_OBJECTIVES);
}

/*
 * Never worse than any fixed schedule with any tiling that it was tried with; and what was
 * promised is what happens.
 */
static void auto_case(struct layer *l, unsigned int wins[])
{
	enum igrad_objective objective = l->backward.objective;
	struct igrad_choice *choices;
	struct igrad_report report;
	size_t count, chosen = 0;
	double automatic;

	l->backward.schedule = IGRAD_SCHEDULE_AUTO;
	report = run_backward(l);
	automatic = score(l, &report, objective);
	assert_int_equal(igrad_linear_explain(l->device, &l->backward, &choices, &count), 0);
	for (size_t i = 0; i < count; i++) {
		assert_true(automatic <= score(l, &choices[i].report, objective));
		if (!choices[i].chosen)
			continue;
		chosen++;
		wins[choices[i].schedule]++;
		assert_int_equal(report.cycles, choices[i].report.cycles);
		assert_int_equal(report.dram_read_bytes + report.dram_write_bytes,
				 choices[i].dram_bytes);
		assert_int_equal(igrad_report_sram_accesses(&report), choices[i].accesses);
	}
	assert_int_equal(chosen, 1);
	free(choices);
	for (int s = 0; s < IGRAD_SCHEDULE_AUTO; s++) {
		l->backward.schedule = s;
		report = run_backward(l);
		assert_true(automatic <= score(l, &report, objective));
	}
}

static bool spills(const struct igrad_choice *choice)
{
	return strstr(choice->tiling.words, "sums through SRAM");
}

/*
 * A batch that is too large for SRAM while W fits: interleaving keeps sums in the array and moves
 * operands several times; for fewer bytes, and for auto, sums may go through SRAM.
 */
static void test_where_sums_go(void **state)
{
	struct igrad_choice *choices;
	uint64_t moved;
	struct layer l;
	size_t count;

	(void)state;
	layer_open(&l, "sim:timing-only=on,rows=16,cols=16,sram-kib=256", 2000, 160, 150);
	l.backward.schedule = IGRAD_SCHEDULE_INTERLEAVED;
	for (int objective = 0; objective < IGRAD_NUM_OBJECTIVES; objective++) {
		struct igrad_report report;

		l.backward.objective = objective;
		assert_int_equal(igrad_linear_explain(l.device, &l.backward, &choices, &count), 0);
		assert_true(choices[0].chosen);
		assert_int_equal(spills(&choices[0]), objective == IGRAD_OBJECTIVE_DRAM);
		for (size_t i = 0; i < count && objective != IGRAD_OBJECTIVE_DRAM; i++)
			assert_false(spills(&choices[i]));
		moved = choices[0].dram_bytes;
		free(choices);
		report = run_backward(&l);
		assert_int_equal(report.dram_read_bytes + report.dram_write_bytes, moved);
	}

	l.backward.schedule = IGRAD_SCHEDULE_AUTO;
	l.backward.objective = IGRAD_OBJECTIVE_CYCLES;
	assert_int_equal(igrad_linear_explain(l.device, &l.backward, &choices, &count), 0);
	moved = 0;
	for (size_t i = 0; i < count; i++)
		moved += spills(&choices[i]);
	assert_true(moved > 0);
	free(choices);
	layer_close(&l);
}

static void test_auto_never_loses(void **state)
{
	unsigned int wins[IGRAD_SCHEDULE_AUTO] = {0};

	(void)state;
	for (unsigned int number = 0; number < num_cases(); number++) {
		struct igrad_rng rng;
		struct layer l;

		igrad_rng_seed(&rng, 300 + number);
		open_random(&l, &rng);
		auto_case(&l, wins);
		layer_close(&l);
	}
	for (int s = 0; s < IGRAD_SCHEDULE_AUTO; s++)
		print_message("# %s was best %u times of %u\n", igrad_schedule_name(s), wins[s],
			      num_cases());
}

/* ---------------------------------------------------------------- explanations */

static void check_choice(const struct layer *l, const struct igrad_choice *choice)
{
	const struct igrad_device_info *info = igrad_device_info(l->device);
	double pes = (double)info->rows * info->cols;

	assert_in_range(choice->tiling.batch, 1, l->x.rows);
	assert_in_range(choice->tiling.in, 1, l->x.cols);
	assert_in_range(choice->tiling.out, 1, l->w.cols);
	assert_in_range(choice->tiling.sram_bytes, 4, info->sram_bytes);
	assert_int_equal(strspn(choice->tiling.order, "BIO"), 3);
	assert_non_null(strstr(choice->tiling.words, "in SRAM"));
	assert_true(*choice->why);
	assert_int_equal(choice->report.status, IGRAD_STATUS_OK);
	assert_true(choice->utilisation > 0 && choice->utilisation <= 1);
	assert_true(choice->utilisation * pes * choice->report.cycles -
			    (double)choice->report.macs <
		    1);
	assert_true(choice->energy > 0);
}

static void test_explanations(void **state)
{
	bool seen[IGRAD_SCHEDULE_AUTO] = {false};
	struct igrad_choice *choices;
	struct layer l, elsewhere;
	size_t count, best = 0;

	(void)state;
	layer_open(&l, "sim:", 64, 300, 200);
	assert_int_equal(igrad_linear_explain(l.device, &l.backward, &choices, &count), 0);
	for (size_t i = 0; i < count; i++) {
		check_choice(&l, &choices[i]);
		assert_true(choices[i].schedule < IGRAD_SCHEDULE_AUTO);
		assert_int_equal(choices[i].best,
				 !i || choices[i].schedule != choices[i - 1].schedule);
		seen[choices[i].schedule] = true;
		best += choices[i].best;
	}
	assert_int_equal(best, IGRAD_SCHEDULE_AUTO);
	for (int s = 0; s < IGRAD_SCHEDULE_AUTO; s++)
		assert_true(seen[s]);
	free(choices);

	/* One schedule alone; operands of another device; the forward pass. */
	layer_open(&elsewhere, "sim:rows=8,cols=8", 64, 300, 200);
	elsewhere.backward.schedule = IGRAD_SCHEDULE_WS;
	assert_int_equal(igrad_linear_explain(l.device, &elsewhere.backward, &choices, &count), 0);
	assert_true(count > 1);
	for (size_t i = 0; i < count; i++) {
		check_choice(&l, &choices[i]);
		assert_int_equal(choices[i].schedule, IGRAD_SCHEDULE_WS);
		assert_int_equal(choices[i].chosen, !i);
	}
	free(choices);
	assert_int_equal(
		igrad_linear_explain_forward(l.device, &elsewhere.forward, &choices, &count), 0);
	assert_true(count > 1 && choices[0].chosen);
	check_choice(&l, &choices[0]);
	free(choices);
	layer_close(&elsewhere);

	/* Nonsense is refused. */
	l.backward.schedule = IGRAD_NUM_SCHEDULES;
	assert_int_equal(igrad_linear_explain(l.device, &l.backward, &choices, &count), -EINVAL);
	assert_null(choices);
	l.backward.schedule = IGRAD_SCHEDULE_AUTO;
	l.backward.objective = IGRAD_NUM_OBJECTIVES;
	assert_int_equal(igrad_linear_explain(l.device, &l.backward, &choices, &count), -EINVAL);
	assert_int_equal(igrad_linear_backward(l.cmdbuf, &l.backward), -EINVAL);
	l.forward.objective = IGRAD_NUM_OBJECTIVES;
	assert_int_equal(igrad_linear_explain_forward(l.device, &l.forward, &choices, &count),
			 -EINVAL);
	assert_int_equal(igrad_linear_forward_for(l.cmdbuf, &l.forward), -EINVAL);
	layer_close(&l);
}

/* Adam works on more operands than any other update, and each of them has its name. */
static void test_all_operands_are_named(void **state)
{
	static const char *const names[] = {"x",  "w",	"b",  "y",  "dy", "dx",	 "dw",
					    "db", "vw", "vb", "sw", "sb", "adam"};
	struct igrad_choice *choices;
	struct igrad_matrix db;
	struct layer l;
	size_t count;

	(void)state;
	layer_open(&l, "sim:sram-kib=64", 64, 300, 200);
	db = matrix(l.device, 1, 200);
	l.backward.optimizer.update = IGRAD_UPDATE_ADAM;
	l.backward.dw = &l.dw;
	l.backward.db = &db;
	assert_int_equal(igrad_linear_explain(l.device, &l.backward, &choices, &count), 0);
	for (size_t i = 0; i < count; i++) {
		const char *words = strchr(choices[i].tiling.words, ';');

		assert_non_null(words);
		assert_null(strstr(words, "null"));
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
			char name[10];

			snprintf(name, sizeof(name), " %s ", names[n]);
			if (!strstr(words, name))
				fail_msg("no %s in \"%s\"", names[n], words);
		}
		/* Nothing is cut off. */
		assert_true(strlen(words) > 3 && (!strcmp(words + strlen(words) - 3, "all") ||
						  words[strlen(words) - 1] <= '9'));
	}
	free(choices);
	matrix_free(&db);
	layer_close(&l);
}

/* Another energy table may lead to another choice, and each is held to its own. */
static void test_energy_tables(void **state)
{
	struct igrad_energy_table *table;
	struct igrad_choice *choices;
	struct igrad_energy energy;
	struct layer l;
	size_t count;

	(void)state;
	layer_open(&l, "sim:sram-kib=64", 48, 200, 150);
	l.backward.objective = IGRAD_OBJECTIVE_ENERGY;
	for (size_t i = 0; igrad_energy_builtin(i); i++) {
		assert_int_equal(igrad_energy_table_load(igrad_energy_builtin(i), &table, NULL), 0);
		l.backward.energy = table;
		assert_int_equal(igrad_linear_explain(l.device, &l.backward, &choices, &count), 0);
		for (size_t c = 0; c < count; c++) {
			igrad_energy(table, &choices[c].report, igrad_device_info(l.device),
				     &energy);
			assert_true(choices[c].energy == energy.total);
			assert_true(choices[c].energy >= choices[0].energy || !choices[0].chosen);
		}
		assert_int_equal(igrad_linear_backward(l.cmdbuf, &l.backward), 0);
		free(choices);
		igrad_energy_table_unref(table);
	}
	layer_close(&l);
}

/* ---------------------------------------------------------------- memory */

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

/* The second time a choice is only looked up: there is no search, and nothing is executed. */
static void test_choices_are_remembered(void **state)
{
	double first, second;
	struct layer l;

	(void)state;
	layer_open(&l, "sim:timing-only=on", 64, 784, 256);
	first = -seconds();
	run_backward(&l);
	first += seconds();
	second = -seconds();
	run_backward(&l);
	second += seconds();
	print_message("# planned in %.1f ms, then in %.1f ms with the commands\n", first * 1e3,
		      second * 1e3);
	assert_true(second < first / 2);
	layer_close(&l);
}

/* More problems than are remembered: the oldest are forgotten, and planned again. */
static void test_memory_is_bounded(void **state)
{
	uint64_t cycles = 0;
	struct layer l;

	(void)state;
	layer_open(&l, "sim:timing-only=on,rows=4,cols=4,sram-kib=16", 300, 4, 4);
	for (uint32_t B = 1; B <= 300; B++) {
		l.x.rows = l.y.rows = B;
		assert_int_equal(igrad_linear_forward_for(l.cmdbuf, &l.forward), 0);
		if (B == 1)
			cycles = layer_run(&l).cycles;
		else
			layer_run(&l);
	}
	l.x.rows = l.y.rows = 1;
	assert_int_equal(igrad_linear_forward_for(l.cmdbuf, &l.forward), 0);
	assert_int_equal(layer_run(&l).cycles, cycles);
	layer_close(&l);
}

static void *plan_in_thread(void *opaque)
{
	struct layer *l = opaque;
	static uint64_t failed;
	uint64_t *cycles = calloc(20, sizeof(*cycles));

	for (uint32_t i = 0; cycles && i < 20; i++) {
		struct igrad_matrix x = l->x, y = l->y;
		struct igrad_linear_forward forward = l->forward;
		struct igrad_cmdbuf *cmdbuf;
		struct igrad_report report;

		x.rows = y.rows = 1 + i;
		forward.x = &x;
		forward.y = &y;
		if (igrad_cmdbuf_new(l->device, &cmdbuf))
			return &failed;
		if (igrad_linear_forward_for(cmdbuf, &forward) ||
		    igrad_queue_run(l->queue, cmdbuf, &report))
			return &failed;
		cycles[i] = report.cycles;
		igrad_cmdbuf_unref(cmdbuf);
	}
	return cycles;
}

static void test_threads_agree(void **state)
{
	uint64_t *cycles[4];
	pthread_t threads[4];
	struct layer l;

	(void)state;
	layer_open(&l, "sim:timing-only=on,rows=8,cols=8,sram-kib=16", 20, 30, 40);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, plan_in_thread, &l), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], (void **)&cycles[i]);
	for (int i = 0; i < 4; i++) {
		assert_non_null(cycles[i]);
		assert_true(cycles[i][0] > 0);
		assert_memory_equal(cycles[i], cycles[0], 20 * sizeof(*cycles[0]));
	}
	for (int i = 0; i < 4; i++)
		free(cycles[i]);
	layer_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto_never_loses),
		cmocka_unit_test(test_where_sums_go),
		cmocka_unit_test(test_explanations),
		cmocka_unit_test(test_all_operands_are_named),
		cmocka_unit_test(test_energy_tables),
		cmocka_unit_test(test_choices_are_remembered),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_threads_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
