/* SPDX-License-Identifier: MIT */
/*
 * Proof by mutation that the device finds what the library must not get wrong: real streams, each
 * semaphore spoilt in turn. A plain oracle, word by word and path by path, says which mutants could
 * compute something else if engines ran beside each other. The device must refuse exactly those,
 * naming the first command that races and the last one before it that it races with; and never the
 * stream as it was built.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "races.h"
#include "rig.h"

#include "igrad/igrad.h"
#include "igrad/nn.h"
#include "matrices.h"

#define MOST 900 /* commands of a stream */

struct stream {
	struct igrad_cmd cmds[MOST];
	unsigned int n;
	bool too_long;
	struct igrad_config config;
};

struct tally {
	unsigned int streams, commands, mutants, harmful, caught;
};

static struct tally tally;

/* --------------------------------------------------------------------------------------------- */
/* Mutants */
/* --------------------------------------------------------------------------------------------- */

struct proof {
	struct stream *stream;
	struct races *races;
	struct rig rig;
};

/* Program order must remain a legal order, or the mutant would be refused for that. */
static bool is_legal(const struct stream *s)
{
	uint32_t value[IGRAD_NUM_SEMAPHORES] = {0};

	for (unsigned int i = 0; i < s->n; i++) {
		for (unsigned int k = 0; k < IGRAD_NUM_WAITS; k++) {
			if (s->cmds[i].wait_value[k] > value[s->cmds[i].wait_sem[k]])
				return false;
		}
		value[s->cmds[i].signal] += s->cmds[i].signal != 0;
	}
	return true;
}

static void run(struct proof *p)
{
	rig_run(&p->rig, p->stream->cmds, p->stream->n);
}

static void try_mutant(struct proof *p, const char *what, unsigned int command)
{
	unsigned int later = 0, earlier = 0;
	bool harmful, caught;

	if (!is_legal(p->stream))
		return;
	harmful = races_find(p->races, p->stream->cmds, p->stream->n, &later, &earlier);
	run(p);
	caught = p->rig.result.status == IGRAD_STATUS_MALFORMED &&
		 p->rig.result.reason == IGRAD_REASON_HAZARD && p->rig.report.command == later &&
		 p->rig.report.conflict == earlier;
	tally.mutants++;
	tally.harmful += harmful;
	tally.caught += caught;
	if (harmful ? caught : p->rig.result.status == IGRAD_STATUS_OK)
		return;
	fail_msg("command %u %s: %s, %u after %u; device: reason %d, %u after %u", command, what,
		 harmful ? "harmful" : "harmless", later, earlier, p->rig.result.reason,
		 p->rig.report.command, p->rig.report.conflict);
}

static uint32_t reached(const struct stream *s, unsigned int before, uint8_t semaphore)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < before; i++)
		value += s->cmds[i].signal == semaphore;
	return value;
}

static void spoil_wait(struct proof *p, unsigned int i, unsigned int slot)
{
	struct igrad_cmd *cmd = &p->stream->cmds[i];
	const struct igrad_cmd was = *cmd;

	if (!was.wait_sem[slot])
		return;
	cmd_wait(cmd, slot, 0, 0);
	try_mutant(p, "does not wait", i);
	if (was.wait_value[slot] > 1) {
		cmd_wait(cmd, slot, was.wait_sem[slot], was.wait_value[slot] - 1);
		try_mutant(p, "waits for one less", i);
	}
	for (uint8_t other = 1; other < IGRAD_NUM_SEMAPHORES; other++) {
		const uint32_t value = reached(p->stream, i, other);

		if (other == was.wait_sem[slot] || !value)
			continue;
		cmd_wait(cmd, slot, other,
			 value < was.wait_value[slot] ? value : was.wait_value[slot]);
		try_mutant(p, "waits for another semaphore", i);
	}
	*cmd = was;
}

/* The next or the last command of the engine, if it gives no signal itself. */
static struct igrad_cmd *neighbour(struct stream *s, unsigned int i, int step)
{
	for (int k = (int)i + step; k >= 0 && k < (int)s->n; k += step) {
		if (cmd_engine(&s->cmds[k]) == cmd_engine(&s->cmds[i]))
			return s->cmds[k].signal ? NULL : &s->cmds[k];
	}
	return NULL;
}

static void move_signal(struct proof *p, unsigned int i, int step, const char *what)
{
	struct igrad_cmd *cmd = &p->stream->cmds[i], *to = neighbour(p->stream, i, step);

	if (!cmd->signal || !to)
		return;
	to->signal = cmd->signal;
	cmd->signal = 0;
	try_mutant(p, what, i);
	cmd->signal = to->signal;
	to->signal = 0;
}

static void spoil_all(struct proof *p)
{
	for (unsigned int i = 0; i < p->stream->n; i++) {
		for (unsigned int slot = 0; slot < IGRAD_NUM_WAITS; slot++)
			spoil_wait(p, i, slot);
		move_signal(p, i, -1, "signals too early");
		move_signal(p, i, 1, "signals too late");
	}
}

/* The same order with no signal but those that somebody waits for: there is room to move them. */
static void thin(struct stream *s)
{
	static bool awaited[IGRAD_NUM_SEMAPHORES][MOST + 1];
	static uint32_t thinned[IGRAD_NUM_SEMAPHORES][MOST + 1];
	uint32_t value[IGRAD_NUM_SEMAPHORES] = {0}, kept[IGRAD_NUM_SEMAPHORES] = {0};

	memset(awaited, 0, sizeof(awaited));
	for (unsigned int i = 0; i < s->n; i++) {
		for (unsigned int k = 0; k < IGRAD_NUM_WAITS; k++)
			awaited[s->cmds[i].wait_sem[k]][s->cmds[i].wait_value[k]] = true;
	}
	for (unsigned int i = 0; i < s->n; i++) {
		struct igrad_cmd *cmd = &s->cmds[i];
		const uint8_t signal = cmd->signal;

		for (unsigned int k = 0; k < IGRAD_NUM_WAITS; k++) {
			if (cmd->wait_sem[k])
				cmd->wait_value[k] = thinned[cmd->wait_sem[k]][cmd->wait_value[k]];
		}
		if (signal && awaited[signal][++value[signal]])
			thinned[signal][value[signal]] = ++kept[signal];
		else
			cmd->signal = 0;
	}
}

/* --------------------------------------------------------------------------------------------- */
/* A stream */
/* --------------------------------------------------------------------------------------------- */

static void range_of_memory(const struct stream *s, uint64_t *begin, uint64_t *end)
{
	*begin = UINT64_MAX;
	*end = 0;
	for (unsigned int i = 0; i < s->n; i++) {
		const struct igrad_cmd_dma *dma = &s->cmds[i].u.dma;
		uint64_t last;

		if (cmd_engine(&s->cmds[i]) > IGRAD_ENGINE_STORE)
			continue;
		last = dma->va + (uint64_t)(dma->rows - 1) * dma->pitch + dma->cols * 4;
		*begin = dma->va < *begin ? dma->va : *begin;
		*end = last > *end ? last : *end;
	}
}

static void prove(struct stream *s)
{
	struct proof proof = {.stream = s};
	uint64_t begin, end;
	unsigned int later, earlier;

	range_of_memory(s, &begin, &end);
	proof.races = races_new(s->config.sram_bytes, begin, end - begin, s->n);
	for (unsigned int i = 0; i < s->n; i++)
		races_add(proof.races, &s->cmds[i]);
	s->config.timing_only = true; /* only what is refused matters here */
	rig_init(&proof.rig, &s->config, 0);
	for (unsigned int round = 0; round < 2; round++) {
		assert_false(races_find(proof.races, s->cmds, s->n, &later, &earlier));
		run(&proof);
		assert_int_equal(proof.rig.result.status, IGRAD_STATUS_OK);
		spoil_all(&proof);
		thin(s);
	}
	tally.streams++;
	tally.commands += s->n;
	rig_destroy(&proof.rig);
	races_free(proof.races);
}

static void record(void *opaque, const struct igrad_trace_event *event)
{
	struct stream *s = opaque;

	if (event->index == 0) {
		s->n = 0;
		s->too_long = false;
	}
	if (s->n < MOST)
		s->cmds[s->n++] = *event->cmd;
	else
		s->too_long = true;
}

static void open_device(struct stream *s, const char *uri, struct igrad_device **device)
{
	struct igrad_error error;

	if (igrad_device_open(uri, device, &error))
		fail_msg("%s: %s", uri, error.message);
	rig_config(&s->config, igrad_device_info(*device)->rows, igrad_device_info(*device)->cols);
	s->config.sram_bytes = igrad_device_info(*device)->sram_bytes;
	assert_int_equal(igrad_device_trace(*device, record, s), 0);
}

/* --------------------------------------------------------------------------------------------- */
/* Layers: every schedule, with blocks of SRAM used again and again */
/* --------------------------------------------------------------------------------------------- */

enum { X, W, B, Y, DY, DX, DW, VW, VB, SW, SB, ADAM, NUM };

static void make_matrices(struct igrad_device *device, struct igrad_rng *rng,
			  struct igrad_matrix m[NUM])
{
	const uint32_t batch = random_between(rng, 1, 40);
	const uint32_t in = random_between(rng, 1, igrad_rng_below(rng, 3) ? 40 : 150);
	const uint32_t out = random_between(rng, 1, igrad_rng_below(rng, 3) ? 40 : 150);
	const uint32_t rows[NUM] = {batch, in, 1, batch, batch, batch, in, in, 1, in, 1, 1};
	const uint32_t cols[NUM] = {in,	 out, out, out, out, in,
				    out, out, out, out, out, IGRAD_ADAM_WORDS};

	for (int i = 0; i < NUM; i++)
		m[i] = matrix_new(device, rng, rows[i], cols[i]);
}

static void emit_backward(struct igrad_cmdbuf *cmdbuf, struct igrad_rng *rng,
			  const struct igrad_matrix m[NUM], enum igrad_schedule schedule)
{
	const enum igrad_update update = (enum igrad_update)igrad_rng_below(rng, 4);
	const bool bias = igrad_rng_below(rng, 2), adam = update == IGRAD_UPDATE_ADAM;
	const bool moves = adam || update == IGRAD_UPDATE_MOMENTUM;
	const struct igrad_linear_backward args = {
		.schedule = schedule,
		.x = &m[X],
		.w = &m[W],
		.b = bias ? &m[B] : NULL,
		.y = igrad_rng_below(rng, 2) ? &m[Y] : NULL,
		.dy = &m[DY],
		.dx = igrad_rng_below(rng, 4) ? &m[DX] : NULL,
		.dw = update == IGRAD_UPDATE_NONE ? &m[DW] : NULL,
		.vw = moves ? &m[VW] : NULL,
		.vb = moves && bias ? &m[VB] : NULL,
		.sw = adam ? &m[SW] : NULL,
		.sb = adam && bias ? &m[SB] : NULL,
		.adam = adam ? &m[ADAM] : NULL,
		.optimizer = {.update = update,
			      .lr = 0.1f,
			      .momentum = 0.9f,
			      .decay = igrad_rng_below(rng, 2) ? 0.1f : 0.0f},
	};

	assert_int_equal(igrad_linear_backward(cmdbuf, &args), 0);
}

static void one_layer(unsigned int number, enum igrad_schedule schedule)
{
	static const unsigned int sides[] = {2, 3, 4, 8, 16};
	static struct stream s;
	struct igrad_matrix m[NUM];
	struct igrad_device *device;
	struct igrad_cmdbuf *cmdbuf;
	struct igrad_queue *queue;
	struct igrad_rng rng;
	char uri[96];

	igrad_rng_seed(&rng, number * 10 + schedule);
	snprintf(uri, sizeof(uri), "sim:rows=%u,cols=%u,sram-kib=16,timing-only=on,overlap=%s",
		 sides[igrad_rng_below(&rng, 5)], sides[igrad_rng_below(&rng, 5)],
		 igrad_rng_below(&rng, 2) ? "on" : "off");
	open_device(&s, uri, &device);
	make_matrices(device, &rng, m);
	assert_int_equal(igrad_cmdbuf_new(device, &cmdbuf), 0);
	assert_int_equal(igrad_queue_new(device, &queue), 0);
	if (igrad_rng_below(&rng, 2))
		assert_int_equal(igrad_linear_forward(cmdbuf, &m[X], &m[W], &m[B], true, &m[Y]), 0);
	emit_backward(cmdbuf, &rng, m, schedule);
	assert_int_equal(igrad_queue_run(queue, cmdbuf, NULL), 0);
	if (!s.too_long)
		prove(&s);
	igrad_queue_unref(queue);
	igrad_cmdbuf_unref(cmdbuf);
	for (int i = 0; i < NUM; i++)
		matrix_free(&m[i]);
	igrad_device_unref(device);
}

static void print_tally(void)
{
	printf("# %u streams of %u commands: %u mutants, %u harmful, %u caught\n", tally.streams,
	       tally.commands, tally.mutants, tally.harmful, tally.caught);
	assert_int_equal(tally.caught, tally.harmful);
	assert_true(tally.harmful > tally.mutants / 10);
	assert_true(tally.harmful < tally.mutants);
	tally = (struct tally){0};
}

static void test_layers(void **state)
{
	const unsigned int rounds = count_of_test(12);

	(void)state;
	for (unsigned int i = 0; i < rounds; i++) {
		for (int schedule = 0; schedule < IGRAD_SCHEDULE_AUTO; schedule++)
			one_layer(i, (enum igrad_schedule)schedule);
	}
	print_tally();
}

/* --------------------------------------------------------------------------------------------- */
/* Training steps */
/* --------------------------------------------------------------------------------------------- */

static void one_net(const char *uri, const char *layers, enum igrad_schedule schedule,
		    enum igrad_update update, uint32_t batch)
{
	const struct igrad_train_options options = {
		.batch = batch,
		.schedule = schedule,
		.optimizer = {.update = update, .lr = 0.1f, .momentum = 0.9f, .decay = 0.01f},
	};
	static struct stream s;
	struct igrad_device *device;
	struct igrad_trainer *trainer;
	struct igrad_error error;
	struct igrad_net *net;
	uint32_t *labels;
	float *x;

	open_device(&s, uri, &device);
	assert_int_equal(igrad_net_new(device, layers, 1, &net, &error), 0);
	assert_int_equal(igrad_trainer_new(net, &options, &trainer, &error), 0);
	assert_int_equal(igrad_trainer_begin(trainer, &x, &labels, &error), 0);
	memset(x, 0, batch * igrad_net_width(net, 0) * sizeof(*x));
	memset(labels, 0, batch * sizeof(*labels));
	assert_int_equal(igrad_trainer_step(trainer, &error), 0);
	assert_int_equal(igrad_trainer_finish(trainer, &error), 0);
	igrad_trainer_unref(trainer);
	igrad_net_unref(net);
	igrad_device_unref(device);
	assert_false(s.too_long);
	prove(&s);
}

static void test_training_steps(void **state)
{
	(void)state;
	for (int schedule = 0; schedule < IGRAD_SCHEDULE_AUTO; schedule++) {
		const enum igrad_schedule which = (enum igrad_schedule)schedule;

		one_net("sim:rows=8,cols=8,sram-kib=16", "20-33-10-3", which, IGRAD_UPDATE_SGD, 9);
		one_net("sim:rows=8,cols=8,sram-kib=16", "20-33-10-3", which, IGRAD_UPDATE_MOMENTUM,
			9);
		one_net("sim:rows=4,cols=16,sram-kib=16,overlap=off", "17-40-5", which,
			IGRAD_UPDATE_SGD, 50);
		one_net("sim:rows=32,cols=32,sram-kib=16", "100-64-10", which, IGRAD_UPDATE_SGD,
			32);
	}
	print_tally();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_training_steps),
	};

	return run_group("mutants", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
