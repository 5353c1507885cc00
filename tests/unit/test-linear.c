// SPDX-License-Identifier: MIT
/*
 * Linear layers and the loss against the host reference, bit for bit: random shapes, arrays, SRAM
 * sizes, schedules and optimisers.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hostref.h"
#include "lab.h"
#include "linear.h"
#include "matrices.h"

/* Random cases of each kind; ten times as many for `make check-long`. */
static unsigned int num_cases(void)
{
	return getenv("IGRAD_TEST_LONG") ? 2500 : 250;
}

/* Arrays and SRAM of all kinds; small SRAM makes blocking necessary. */
static void random_uri(struct igrad_rng *rng, char *uri, size_t size)
{
	static const unsigned int srams[] = {16, 16, 16, 20, 32, 64, 256, 4096};
	static const unsigned int sides[] = {1, 2, 3, 4, 5, 7, 8, 13, 16, 32, 33, 64};

	snprintf(uri, size, "sim:rows=%u,cols=%u,sram-kib=%u", sides[igrad_rng_below(rng, 12)],
		 sides[igrad_rng_below(rng, 12)], srams[igrad_rng_below(rng, 8)]);
}

static struct ref_shape random_shape(struct igrad_rng *rng)
{
	/* Mostly small; now and then one dimension needs several blocks. */
	struct ref_shape s = {random_between(rng, 1, 40), random_between(rng, 1, 40),
			      random_between(rng, 1, 40)};
	size_t *dims[] = {&s.B, &s.I, &s.O};

	if (!igrad_rng_below(rng, 3))
		*dims[igrad_rng_below(rng, 3)] = random_between(rng, 1, 400);
	if (!igrad_rng_below(rng, 4))
		*dims[igrad_rng_below(rng, 3)] = random_between(rng, 1, 900);
	return s;
}

static float *random_matrix(struct igrad_rng *rng, size_t n, bool wild)
{
	float *values = calloc(n, sizeof(*values));

	assert_non_null(values);
	random_values(rng, values, n, wild);
	return values;
}

static struct igrad_matrix matrix_of(struct lab *lab, struct igrad_rng *rng, size_t rows,
				     size_t cols, enum igrad_element dtype, const float *values)
{
	struct igrad_matrix m = matrix_new_of(lab->device, rng, rows, cols, dtype);

	if (values)
		matrix_put(&m, values);
	return m;
}

/* What products are made of. */
static float *operands_of(enum igrad_element dtype, size_t n, const float *values)
{
	float *copy;

	if (dtype == IGRAD_BF16)
		return ref_rounded(n, values);
	copy = malloc(n * sizeof(*copy));
	assert_non_null(copy);
	return memcpy(copy, values, n * sizeof(*copy));
}

/* For finding the case that failed. */
static void announce(const char *what, unsigned int number, const char *uri, struct ref_shape s)
{
	if (getenv("IGRAD_TEST_VERBOSE"))
		print_message("# %s %u: %s, B=%zu I=%zu O=%zu\n", what, number, uri, s.B, s.I, s.O);
}

/* ---------------------------------------------------------------- forward */

static void forward_case(unsigned int number)
{
	struct igrad_matrix mx, mw, mb, my;
	struct ref_shape s;
	struct igrad_rng rng;
	enum igrad_element dtype;
	bool relu, bias, wild;
	float *x, *w, *b, *y, *operand;
	struct lab lab;
	char uri[128];

	igrad_rng_seed(&rng, number);
	random_uri(&rng, uri, sizeof(uri));
	s = random_shape(&rng);
	announce("forward", number, uri, s);
	relu = igrad_rng_below(&rng, 2);
	bias = igrad_rng_below(&rng, 4);
	wild = !igrad_rng_below(&rng, 4);
	dtype = igrad_rng_below(&rng, 3) ? IGRAD_FP32 : IGRAD_BF16;
	lab_open(&lab, uri);

	x = random_matrix(&rng, s.B * s.I, wild);
	w = random_matrix(&rng, s.I * s.O, wild);
	b = random_matrix(&rng, s.O, wild);
	y = calloc(s.B * s.O, sizeof(*y));
	if (dtype == IGRAD_BF16)
		ref_round(s.B * s.I, x);
	mx = matrix_of(&lab, &rng, s.B, s.I, dtype, x);
	mw = matrix_of(&lab, &rng, s.I, s.O, IGRAD_FP32, w);
	mb = matrix_of(&lab, &rng, 1, s.O, IGRAD_FP32, b);
	my = matrix_of(&lab, &rng, s.B, s.O, dtype, NULL);

	assert_int_equal(igrad_linear_forward(lab.cmdbuf, &mx, &mw, bias ? &mb : NULL, relu, &my),
			 0);
	lab_run(&lab, NULL);
	operand = operands_of(dtype, s.I * s.O, w);
	ref_forward(s, x, operand, bias ? b : NULL, relu, y);
	if (dtype == IGRAD_BF16)
		ref_round(s.B * s.O, y);
	assert_matrix_is("y", &my, y);
	assert_margins("y", &my);
	assert_matrix_is("w", &mw, w);

	matrix_free(&mx);
	matrix_free(&mw);
	matrix_free(&mb);
	matrix_free(&my);
	free(x);
	free(w);
	free(b);
	free(y);
	free(operand);
	lab_close(&lab);
}

static void test_forward(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < num_cases(); i++)
		forward_case(i);
}

/* ---------------------------------------------------------------- backward */

enum { X, W, B, Y, DY, DX, DW, DB, VW, VB, SW, SB, ADAM, NUM };
static const char *const names[NUM] = {"x",  "w",  "b",	 "y",  "dy", "dx",  "dw",
				       "db", "vw", "vb", "sw", "sb", "adam"};

struct backward_case {
	struct ref_shape s;
	enum igrad_element dtype;
	bool first, bias, masked, want_dw, want_db;
	struct igrad_optimizer optimizer;
	float *in[NUM];
	float *out[NUM];
};

static enum igrad_element dtype_of(const struct backward_case *c, int operand)
{
	bool activation = operand == X || operand == Y || operand == DY || operand == DX;

	return activation ? c->dtype : IGRAD_FP32;
}

static void sizes_of(struct ref_shape s, size_t rows[NUM], size_t cols[NUM])
{
	const size_t r[NUM] = {s.B, s.I, 1, s.B, s.B, s.B, s.I, 1, s.I, 1, s.I, 1, 1};
	const size_t c[NUM] = {
		s.I, s.O, s.O, s.O, s.O, s.I, s.O, s.O, s.O, s.O, s.O, s.O, IGRAD_ADAM_WORDS};

	memcpy(rows, r, sizeof(r));
	memcpy(cols, c, sizeof(c));
}

static void backward_setup(struct backward_case *c, struct igrad_rng *rng)
{
	size_t rows[NUM], cols[NUM];
	bool wild = !igrad_rng_below(rng, 4);

	c->s = random_shape(rng);
	c->first = !igrad_rng_below(rng, 3);
	c->bias = igrad_rng_below(rng, 4);
	c->masked = igrad_rng_below(rng, 2);
	c->optimizer.update = igrad_rng_below(rng, 4);
	c->optimizer.lr = 0.1f * igrad_rng_float(rng);
	c->optimizer.momentum = igrad_rng_float(rng);
	c->optimizer.decay = igrad_rng_below(rng, 2) ? igrad_rng_float(rng) : 0.0f;
	c->optimizer.beta1 = 0.9f;
	c->optimizer.beta2 = 0.99f;
	c->optimizer.epsilon = 1e-6f;
	c->want_dw = c->optimizer.update == IGRAD_UPDATE_NONE || !igrad_rng_below(rng, 3);
	c->want_db = igrad_rng_below(rng, 2);
	c->dtype = igrad_rng_below(rng, 3) ? IGRAD_FP32 : IGRAD_BF16;
	sizes_of(c->s, rows, cols);
	for (int i = 0; i < NUM; i++) {
		size_t n = rows[i] * cols[i];

		c->in[i] = random_matrix(rng, n, wild);
		if (dtype_of(c, i) == IGRAD_BF16)
			ref_round(n, c->in[i]);
		if (i == ADAM)
			igrad_adam_constants(&c->optimizer, 1 + igrad_rng_below(rng, 20), c->in[i]);
		for (size_t j = 0; (i == SW || i == SB) && !wild && j < n; j++)
			c->in[i][j] = fabsf(c->in[i][j]); /* a sum of squares */
		c->out[i] = calloc(n, sizeof(float));
		assert_non_null(c->out[i]);
		memcpy(c->out[i], c->in[i], n * sizeof(float));
	}
}

static void backward_reference(struct backward_case *c)
{
	struct ref_optimizer opt = {
		.lr = c->optimizer.lr,
		.momentum = c->optimizer.momentum,
		.decay = c->optimizer.decay,
		.use_momentum = c->optimizer.update == IGRAD_UPDATE_MOMENTUM,
	};
	size_t n = c->s.B * c->s.O;
	float *w = operands_of(c->dtype, c->s.I * c->s.O, c->in[W]);
	float *dy = calloc(n, sizeof(*dy));

	assert_non_null(dy);
	memcpy(dy, c->in[DY], n * sizeof(*dy));
	if (c->masked)
		ref_relu_grad(n, c->in[Y], dy);
	ref_dgrad(c->s, dy, w, c->out[DX]);
	if (c->dtype == IGRAD_BF16)
		ref_round(c->s.B * c->s.I, c->out[DX]);
	ref_wgrad(c->s, c->in[X], dy, c->out[DW]);
	ref_bgrad(c->s, dy, c->out[DB]);
	if (opt.use_momentum) {
		ref_velocity(c->s, &opt, c->in[X], dy, c->out[VW]);
		ref_bias_velocity(c->s, &opt, dy, c->out[VB]);
	}
	free(dy);
	free(w);
	if (c->optimizer.update == IGRAD_UPDATE_NONE)
		return;
	if (c->optimizer.update == IGRAD_UPDATE_ADAM) {
		bool decay = c->optimizer.decay != 0.0f;

		ref_adam(c->s.I * c->s.O, c->in[ADAM], decay, c->out[DW], c->out[VW], c->out[SW],
			 c->out[W]);
		ref_adam(c->s.O, c->in[ADAM], decay, c->out[DB], c->out[VB], c->out[SB], c->out[B]);
		return;
	}
	ref_update(c->s.I * c->s.O, &opt, c->out[opt.use_momentum ? VW : DW], c->out[W]);
	ref_update(c->s.O, &opt, c->out[opt.use_momentum ? VB : DB], c->out[B]);
}

static void backward_check(const struct backward_case *c, const struct igrad_matrix m[NUM])
{
	bool updated = c->optimizer.update != IGRAD_UPDATE_NONE;
	bool adam = c->optimizer.update == IGRAD_UPDATE_ADAM;
	bool moves = adam || c->optimizer.update == IGRAD_UPDATE_MOMENTUM;
	bool written[NUM] = {
		[W] = updated,		 [B] = updated && c->bias,
		[DX] = !c->first,	 [DW] = c->want_dw,
		[DB] = c->want_db,	 [VW] = moves,
		[VB] = moves && c->bias, [SW] = adam,
		[SB] = adam && c->bias,
	};

	for (int i = 0; i < NUM; i++) {
		assert_matrix_is(names[i], &m[i], written[i] ? c->out[i] : c->in[i]);
		assert_margins(names[i], &m[i]);
	}
}

/* Appends the commands to @cmdbuf. */
typedef void build_fn(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_backward *args,
		      void *opaque);

static void backward_run(struct lab *lab, struct igrad_rng *rng, const struct backward_case *c,
			 build_fn *build, void *opaque, struct igrad_report *report)
{
	bool adam = c->optimizer.update == IGRAD_UPDATE_ADAM;
	bool moves = adam || c->optimizer.update == IGRAD_UPDATE_MOMENTUM;
	struct igrad_matrix m[NUM];
	struct igrad_linear_backward args = {
		.x = &m[X],
		.w = &m[W],
		.b = c->bias ? &m[B] : NULL,
		.y = c->masked ? &m[Y] : NULL,
		.dy = &m[DY],
		.dx = c->first ? NULL : &m[DX],
		.dw = c->want_dw ? &m[DW] : NULL,
		.db = c->want_db ? &m[DB] : NULL,
		.vw = moves ? &m[VW] : NULL,
		.vb = moves && c->bias ? &m[VB] : NULL,
		.sw = adam ? &m[SW] : NULL,
		.sb = adam && c->bias ? &m[SB] : NULL,
		.adam = adam ? &m[ADAM] : NULL,
		.optimizer = c->optimizer,
	};
	size_t rows[NUM], cols[NUM];

	sizes_of(c->s, rows, cols);
	for (int i = 0; i < NUM; i++)
		m[i] = matrix_of(lab, rng, rows[i], cols[i], dtype_of(c, i), c->in[i]);
	assert_int_equal(igrad_cmdbuf_reset(lab->cmdbuf), 0);
	build(lab->cmdbuf, &args, opaque);
	lab_run(lab, report);
	backward_check(c, m);
	assert_int_equal(igrad_cmdbuf_reset(lab->cmdbuf), 0);
	for (int i = 0; i < NUM; i++)
		matrix_free(&m[i]);
}

static void backward_free(struct backward_case *c)
{
	for (int i = 0; i < NUM; i++) {
		free(c->in[i]);
		free(c->out[i]);
	}
}

static void build_scheduled(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_backward *args,
			    void *schedule)
{
	struct igrad_linear_backward scheduled = *args;

	scheduled.schedule = *(int *)schedule;
	assert_int_equal(igrad_linear_backward(cmdbuf, &scheduled), 0);
}

static void test_backward(void **state)
{
	(void)state;
	for (unsigned int number = 0; number < num_cases(); number++) {
		struct backward_case c = {0};
		struct igrad_rng rng;
		struct lab lab;
		char uri[128];

		igrad_rng_seed(&rng, 1000 + number);
		random_uri(&rng, uri, sizeof(uri));
		backward_setup(&c, &rng);
		announce("backward", number, uri, c.s);
		backward_reference(&c);
		lab_open(&lab, uri);
		for (int schedule = 0; schedule < IGRAD_NUM_SCHEDULES; schedule++)
			backward_run(&lab, &rng, &c, build_scheduled, &schedule, NULL);
		lab_close(&lab);
		backward_free(&c);
	}
}

/* ---------------------------------------------------------------- any plan */

struct planned {
	struct igrad_rng *rng;
	struct igrad_plan plan;
	struct igrad_traffic traffic;
	bool possible;
};

static uint32_t sweep_of(const struct igrad_problem *problem, const struct igrad_plan *plan,
			 enum igrad_role role)
{
	uint64_t blocks = igrad_window_blocks(igrad_role_size(problem, role),
					      igrad_role_block(plan, role));
	uint32_t sweep = igrad_plan_visits(problem, plan, role).sweep;

	return sweep < blocks ? sweep : blocks;
}

/* Blocks that have nothing to do with the array's size, in any order; any number of slots will do
 * for what lives in DRAM. */
static void draw_plan(struct planned *planned, const struct igrad_problem *problem, bool cut)
{
	static const uint8_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	struct igrad_plan *plan = &planned->plan;
	struct igrad_rng *rng = planned->rng;
	uint32_t order = igrad_rng_below(rng, 6);

	*plan = (struct igrad_plan){
		.schedule = problem->schedule,
		.tile = {random_between(rng, 3, problem->device->rows),
			 random_between(rng, 3, problem->device->cols)},
		.narrow = problem->narrow,
		.dx_turned = !problem->narrow && igrad_rng_below(rng, 2),
		.dw_turned = igrad_rng_below(rng, 2),
		.dw_first = igrad_rng_below(rng, 2),
	};
	for (int d = 0; d < IGRAD_NUM_DIMS; d++) {
		plan->order[d] = orders[order][d];
		plan->block[d] = cut ? random_between(rng, 1, problem->dim[d]) : problem->dim[d];
	}
	if (!igrad_rng_below(rng, 4)) {
		plan->block[IGRAD_DIM_I] = igrad_min(plan->block[IGRAD_DIM_I], plan->tile.rows);
		plan->block[IGRAD_DIM_O] = igrad_min(plan->block[IGRAD_DIM_O], plan->tile.cols);
	}
	for (int role = 0; role < IGRAD_NUM_ROLES; role++) {
		uint32_t sweep = sweep_of(problem, plan, role);

		if (role == IGRAD_ROLE_Y && problem->home & 1u << role)
			plan->slots[role] = 1; /* more may be hit by chance */
		else if (problem->home & ~igrad_problem_whole(problem) & 1u << role)
			plan->slots[role] = random_between(rng, 1, sweep + 2);
		else if ((problem->home | problem->scratch | problem->spill) & 1u << role)
			plan->slots[role] = sweep;
	}
}

/* In blocks that are cut into tiles of their own. */
static uint64_t num_tiles(const struct igrad_problem *problem, const struct igrad_plan *plan)
{
	const uint32_t size[] = {plan->tile.rows, plan->tile.rows, plan->tile.cols};
	uint64_t tiles = 1;

	for (int d = 0; d < IGRAD_NUM_DIMS; d++)
		tiles *= problem->dim[d] / plan->block[d] * (plan->block[d] / size[d] + 1) +
			 problem->dim[d] % plan->block[d] / size[d] + 1;
	return tiles;
}

static void announce_plan(const struct igrad_plan *plan)
{
	if (!getenv("IGRAD_TEST_VERBOSE"))
		return;
	print_message("# %s: blocks %ux%ux%u, order %u%u%u, tile %ux%u, turned %d %d, slots",
		      igrad_schedule_name(plan->schedule), plan->block[0], plan->block[1],
		      plan->block[2], plan->order[0], plan->order[1], plan->order[2],
		      plan->tile.rows, plan->tile.cols, plan->dx_turned, plan->dw_turned);
	for (int role = 0; role < IGRAD_NUM_ROLES; role++)
		print_message(" %u", plan->slots[role]);
	print_message("\n");
}

static void build_planned(struct igrad_cmdbuf *cmdbuf, const struct igrad_linear_backward *args,
			  void *opaque)
{
	struct planned *planned = opaque;
	struct igrad_problem problem;

	assert_int_equal(igrad_backward_problem(&problem, igrad_sram_device(cmdbuf), args,
						igrad_rng_below(planned->rng, IGRAD_SCHEDULE_AUTO)),
			 0);
	for (int attempt = 0;; attempt++) {
		draw_plan(planned, &problem, attempt < 20);
		if (igrad_plan_bytes(&planned->plan) <= problem.device->sram_bytes &&
		    num_tiles(&problem, &planned->plan) < 150000)
			break;
		assert_true(attempt <= 20);
	}
	announce_plan(&planned->plan);
	assert_true(igrad_plan_traffic(&problem, &planned->plan, &planned->traffic));
	assert_int_equal(igrad_backward_build(cmdbuf, args, &planned->plan), 0);
}

/* Plans are carried out whatever they say, and move what they should. */
static void test_any_plan(void **state)
{
	(void)state;
	for (unsigned int number = 0; number < 2 * num_cases(); number++) {
		struct backward_case c = {0};
		struct igrad_report report;
		struct planned planned;
		struct igrad_rng rng;
		struct lab lab;
		char uri[128];

		igrad_rng_seed(&rng, 5000 + number);
		snprintf(uri, sizeof(uri), "sim:rows=%u,cols=%u,sram-kib=16384",
			 random_between(&rng, 3, 9), random_between(&rng, 3, 9));
		backward_setup(&c, &rng);
		if (c.s.B * c.s.I * c.s.O > 2000000) {
			backward_free(&c);
			continue;
		}
		announce("any plan", number, uri, c.s);
		backward_reference(&c);
		lab_open(&lab, uri);
		planned.rng = &rng;
		backward_run(&lab, &rng, &c, build_planned, &planned, &report);
		assert_int_equal(report.dram_read_bytes, planned.traffic.read);
		assert_int_equal(report.dram_write_bytes, planned.traffic.written);
		lab_close(&lab);
		backward_free(&c);
	}
}

/* ---------------------------------------------------------------- errors */

struct refusal {
	const char *what;
	int err;
	struct igrad_linear_backward args;
};

/* Nothing is emitted when the operands make no sense. */
static void test_errors(void **state)
{
	struct igrad_matrix x, w, b, dy, dx, wide, odd, nowhere;
	struct igrad_rng rng;
	struct lab lab;

	(void)state;
	igrad_rng_seed(&rng, 3);
	lab_open(&lab, "sim:rows=4,cols=4,sram-kib=16");
	x = matrix_new(lab.device, &rng, 3, 5);
	w = matrix_new(lab.device, &rng, 5, 7);
	b = matrix_new(lab.device, &rng, 1, 7);
	dy = matrix_new(lab.device, &rng, 3, 7);
	dx = matrix_new(lab.device, &rng, 3, 5);
	wide = matrix_new(lab.device, &rng, 3, 8);
	odd = x;
	odd.pitch = 22;
	nowhere = x;
	nowhere.buffer = NULL;

	const struct igrad_optimizer sgd = {.update = IGRAD_UPDATE_SGD, .lr = 0.1f};
	const struct igrad_optimizer momentum = {.update = IGRAD_UPDATE_MOMENTUM};
	const struct igrad_optimizer adam = {.update = IGRAD_UPDATE_ADAM};
	const struct igrad_optimizer unknown = {.update = 4};
	const struct refusal refusals[] = {
		{"no x", -EINVAL, {.w = &w, .dy = &dy, .optimizer = sgd}},
		{"no w", -EINVAL, {.x = &x, .dy = &dy, .optimizer = sgd}},
		{"no dy", -EINVAL, {.x = &x, .w = &w, .optimizer = sgd}},
		{"nowhere for dw", -EINVAL, {.x = &x, .w = &w, .dy = &dy, .dx = &dx}},
		{"no velocity", -EINVAL, {.x = &x, .w = &w, .dy = &dy, .optimizer = momentum}},
		{"no velocity of b",
		 -EINVAL,
		 {.x = &x, .w = &w, .b = &b, .dy = &dy, .vw = &w, .optimizer = momentum}},
		{"no second moment",
		 -EINVAL,
		 {.x = &x, .w = &w, .dy = &dy, .vw = &w, .adam = &b, .optimizer = adam}},
		{"no constants",
		 -EINVAL,
		 {.x = &x, .w = &w, .dy = &dy, .vw = &w, .sw = &w, .optimizer = adam}},
		{"wrong constants",
		 -EINVAL,
		 {.x = &x, .w = &w, .dy = &dy, .vw = &w, .sw = &w, .adam = &x, .optimizer = adam}},
		{"unknown optimiser", -EINVAL, {.x = &x, .w = &w, .dy = &dy, .optimizer = unknown}},
		{"unknown schedule",
		 -EINVAL,
		 {.schedule = IGRAD_NUM_SCHEDULES, .x = &x, .w = &w, .dy = &dy, .optimizer = sgd}},
		{"wrong dy", -EINVAL, {.x = &x, .w = &w, .dy = &wide, .optimizer = sgd}},
		{"wrong dx", -EINVAL, {.x = &x, .w = &w, .dy = &dy, .dx = &dy, .optimizer = sgd}},
		{"wrong b", -EINVAL, {.x = &x, .w = &w, .b = &x, .dy = &dy, .optimizer = sgd}},
		{"odd pitch", -EINVAL, {.x = &odd, .w = &w, .dy = &dy, .optimizer = sgd}},
		{"no buffer", -EINVAL, {.x = &nowhere, .w = &w, .dy = &dy, .optimizer = sgd}},
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		int err = igrad_linear_backward(lab.cmdbuf, &refusals[i].args);

		if (err != refusals[i].err)
			fail_msg("%s: %d", refusals[i].what, err);
	}
	assert_int_equal(igrad_linear_forward(lab.cmdbuf, &x, &w, NULL, false, NULL), -EINVAL);
	assert_int_equal(igrad_linear_forward(lab.cmdbuf, &x, &w, NULL, false, &wide), -EINVAL);
	assert_int_equal(igrad_linear_forward(lab.cmdbuf, NULL, &w, NULL, false, &dy), -EINVAL);
	assert_int_equal(igrad_cmdbuf_length(lab.cmdbuf), 0);

	/* A matrix that reaches beyond its buffer is found when its commands are emitted. */
	dy.offset += 1 << 20;
	assert_int_equal(igrad_linear_forward(lab.cmdbuf, &x, &w, NULL, false, &dy), -ERANGE);
	assert_int_equal(igrad_cmdbuf_reset(lab.cmdbuf), 0);
	matrix_free(&x);
	matrix_free(&w);
	matrix_free(&b);
	matrix_free(&dy);
	matrix_free(&dx);
	matrix_free(&wide);
	lab_close(&lab);
}

/* More tiles than a job may have commands: an error, and soon. */
static void test_too_long(void **state)
{
	struct igrad_linear_backward args = {.optimizer = {.update = IGRAD_UPDATE_SGD, .lr = 0.1f}};
	struct igrad_matrix x, w, dy;
	struct igrad_rng rng;
	struct lab lab;

	(void)state;
	igrad_rng_seed(&rng, 3);
	lab_open(&lab, "sim:rows=1,cols=1,sram-kib=16");
	x = matrix_new(lab.device, &rng, 2, 1500);
	w = matrix_new(lab.device, &rng, 1500, 1400);
	dy = matrix_new(lab.device, &rng, 2, 1400);
	args.x = &x;
	args.w = &w;
	args.dy = &dy;
	for (int schedule = 0; schedule < IGRAD_SCHEDULE_AUTO; schedule++) {
		args.schedule = schedule;
		/* A fixed weight-stationary array streams in-features: few tiles, long ones. */
		assert_int_equal(igrad_linear_backward(lab.cmdbuf, &args),
				 schedule <= IGRAD_SCHEDULE_WS ? 0 : -E2BIG);
		assert_int_equal(igrad_cmdbuf_reset(lab.cmdbuf), 0);
	}
	matrix_free(&x);
	matrix_free(&w);
	matrix_free(&dy);
	lab_close(&lab);
}

/* Powers by multiplying; and what is worked out by hand. */
static void test_adam_constants(void **state)
{
	const struct igrad_optimizer optimizer = {
		.lr = 0.001f, .decay = 0.5f, .beta1 = 0.75f, .beta2 = 0.9375f, .epsilon = 0x1p-20f};
	double power1 = 1, power2 = 1;
	float c[IGRAD_ADAM_WORDS];

	(void)state;
	for (unsigned int step = 1; step <= 3000; step++) {
		igrad_adam_constants(&optimizer, step, c);
		power1 *= 0.75;
		power2 *= 0.9375;
		assert_true(c[IGRAD_ADAM_BETA1] == 0.75f && c[IGRAD_ADAM_REST1] == 0.25f);
		assert_true(c[IGRAD_ADAM_BETA2] == 0.9375f && c[IGRAD_ADAM_REST2] == 0.0625f);
		assert_true(c[IGRAD_ADAM_KEEP] == fmaf(-0.001f, 0.5f, 1.0f));
		assert_true(
			fabs(c[IGRAD_ADAM_LR] / ((double)0.001f * sqrt(1 - power2) / (1 - power1)) -
			     1) < 1e-7);
		assert_true(fabs(c[IGRAD_ADAM_EPSILON] / (0x1p-20 * sqrt(1 - power2)) - 1) < 1e-7);
		if (step == 1) /* √(1/16) is 1/4, and 1 − β1 too */
			assert_true(c[IGRAD_ADAM_LR] == 0.001f &&
				    c[IGRAD_ADAM_EPSILON] == 0x1p-22f);
	}
	assert_true(c[IGRAD_ADAM_LR] == 0.001f && c[IGRAD_ADAM_EPSILON] == 0x1p-20f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),	 cmocka_unit_test(test_backward),
		cmocka_unit_test(test_any_plan), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_too_long), cmocka_unit_test(test_adam_constants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
