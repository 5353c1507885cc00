/* SPDX-License-Identifier: MIT */
/*
 * Semaphores for random streams: who has followed whom is tracked by vector clocks, and a command
 * that meets bytes of one that it does not follow waits for a signal that says so. Where no such
 * signal has been given a NOP is inserted that gives it.
 */
#include "streams.h"

#include <string.h>

static bool meet(const struct access *a, const struct access *b)
{
	return a->memory == b->memory && (a->written || b->written) && a->begin < b->end &&
	       b->begin < a->end;
}

static bool conflicts(const struct issued *earlier, const struct access *accesses, unsigned int n)
{
	for (unsigned int i = 0; i < earlier->num_accesses; i++) {
		for (unsigned int k = 0; k < n; k++) {
			if (meet(&earlier->access[i], &accesses[k]))
				return true;
		}
	}
	return false;
}

/* How many commands of @other must have completed. */
static unsigned int needed(const struct stream *s, enum igrad_engine other,
			   const struct access *accesses, unsigned int n)
{
	unsigned int needed = 0;

	for (unsigned int i = 0; i < s->count; i++) {
		if (s->issued[i].engine == other && conflicts(&s->issued[i], accesses, n))
			needed = s->issued[i].after[other];
	}
	return needed;
}

static void append(struct stream *s, struct igrad_cmd cmd, const struct access *accesses,
		   unsigned int n)
{
	const enum igrad_engine engine = cmd_engine(&cmd);
	struct issued *issued = &s->issued[s->count];

	assert_true(s->count < STREAM_MOST);
	issued->engine = engine;
	issued->num_accesses = n;
	for (unsigned int i = 0; i < n; i++)
		issued->access[i] = accesses[i];
	s->known[engine][engine] = ++s->issued_by[engine];
	memcpy(issued->after, s->known[engine], sizeof(issued->after));
	if (cmd.signal)
		s->signaller[cmd.signal][++s->signalled[cmd.signal]] = s->count;
	cmd.tag = rng_u32(s->rng);
	s->cmds[s->count++] = cmd;
}

static uint8_t semaphore_of(struct stream *s, enum igrad_engine engine)
{
	return (uint8_t)(1 + engine * 7 + rng_below(s->rng, 7));
}

static void wait_for(struct stream *s, struct igrad_cmd *cmd, unsigned int slot, uint8_t semaphore,
		     uint32_t value)
{
	const struct issued *signaller = &s->issued[s->signaller[semaphore][value]];
	unsigned int *known = s->known[cmd_engine(cmd)];

	cmd_wait(cmd, slot, semaphore, value);
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		if (known[e] < signaller->after[e])
			known[e] = signaller->after[e];
	}
}

/* A signal of @other that says that as many of its commands have completed. */
static bool find_signal(struct stream *s, enum igrad_engine other, unsigned int commands,
			uint8_t *semaphore, uint32_t *value)
{
	const unsigned int first = rng_below(s->rng, 7);

	for (unsigned int i = 0; i < 7; i++) {
		*semaphore = (uint8_t)(1 + other * 7 + (first + i) % 7);
		for (*value = 1; *value <= s->signalled[*semaphore]; (*value)++) {
			const unsigned int by = s->signaller[*semaphore][*value];

			if (s->issued[by].after[other] >= commands)
				return true;
		}
	}
	return false;
}

static void follow(struct stream *s, struct igrad_cmd *cmd, unsigned int slot,
		   enum igrad_engine other, unsigned int commands)
{
	uint32_t value;
	uint8_t semaphore;

	while (!find_signal(s, other, commands, &semaphore, &value)) {
		struct igrad_cmd nop = cmd_nop(other);

		nop.signal = semaphore_of(s, other);
		append(s, nop, NULL, 0);
	}
	wait_for(s, cmd, slot, semaphore, value);
}

static void wait_at_random(struct stream *s, struct igrad_cmd *cmd, unsigned int slot)
{
	const uint8_t semaphore = (uint8_t)rng_between(s->rng, 1, IGRAD_NUM_SEMAPHORES - 1);

	if (rng_below(s->rng, 4) == 0 && s->signalled[semaphore])
		wait_for(s, cmd, slot, semaphore, rng_between(s->rng, 1, s->signalled[semaphore]));
}

void stream_emit(struct stream *s, struct igrad_cmd cmd, const struct access *accesses,
		 unsigned int num_accesses)
{
	const enum igrad_engine engine = cmd_engine(&cmd);
	unsigned int slot = 0;

	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		const unsigned int commands = needed(s, (enum igrad_engine)e, accesses,
						     num_accesses);

		if (e != engine && s->known[engine][e] < commands)
			follow(s, &cmd, slot++, (enum igrad_engine)e, commands);
	}
	for (; slot < IGRAD_NUM_WAITS; slot++)
		wait_at_random(s, &cmd, slot);
	if (rng_below(s->rng, 3))
		cmd.signal = semaphore_of(s, engine);
	append(s, cmd, accesses, num_accesses);
}
