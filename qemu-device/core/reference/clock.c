/* SPDX-License-Identifier: MIT */
/* A clock that ticks, with four engines that look at their semaphores. */
#include "reference.h"

struct clock {
	struct ref_timed *cmds;
	unsigned int num_cmds;
	uint32_t semaphore[IGRAD_NUM_SEMAPHORES];
	struct igrad_report *counts;
	struct ref_overlap *overlap; /* or NULL */
};

static bool holds_engine(const struct ref_timed *timed, uint64_t now)
{
	return timed->started && now < timed->start + timed->held;
}

/* The array with shadow registers takes commands as their semaphores allow, and starts them itself.
 */
static bool overlaps(const struct clock *clock, const struct ref_timed *timed)
{
	return clock->overlap && timed->engine == IGRAD_ENGINE_ARRAY;
}

/* The command that its engine would start next: the first that has not, if none holds the engine.
 */
static struct ref_timed *head_of(struct clock *clock, enum igrad_engine engine, uint64_t now)
{
	for (unsigned int i = 0; i < clock->num_cmds; i++) {
		struct ref_timed *timed = &clock->cmds[i];

		if (timed->engine != engine)
			continue;
		if (holds_engine(timed, now) && !overlaps(clock, timed))
			return NULL;
		if (!timed->started)
			return timed;
	}
	return NULL;
}

static void start(struct clock *clock, struct ref_timed *timed, uint64_t now)
{
	timed->started = true;
	timed->start = now;
	if (!overlaps(clock, timed) || !ref_takes_time(timed->cmd))
		return;
	timed->placed = ref_overlap_place(
		clock->overlap, &(struct ref_op){timed->cmd, timed->window}, now, clock->counts);
	timed->start = (uint64_t)timed->placed.start;
	timed->held = (uint64_t)(timed->placed.end - timed->placed.start);
}

static bool may_start(const struct clock *clock, const struct ref_timed *timed)
{
	for (unsigned int i = 0; i < IGRAD_NUM_WAITS; i++) {
		if (clock->semaphore[timed->cmd->wait_sem[i]] < timed->cmd->wait_value[i])
			return false;
	}
	return true;
}

static bool start_some(struct clock *clock, uint64_t now)
{
	bool any = false;

	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		struct ref_timed *head = head_of(clock, (enum igrad_engine)e, now);

		if (!head || !may_start(clock, head))
			continue;
		start(clock, head, now);
		any = true;
	}
	return any;
}

/* Commands of an engine complete in order: the first that has not completed is the next to. */
static bool complete_some(struct clock *clock, uint64_t now)
{
	bool blocked[IGRAD_NUM_ENGINES] = {false};
	bool any = false;

	for (unsigned int i = 0; i < clock->num_cmds; i++) {
		struct ref_timed *timed = &clock->cmds[i];

		if (timed->completed || blocked[timed->engine])
			continue;
		if (!timed->started || now < timed->start + timed->held + timed->latency) {
			blocked[timed->engine] = true;
			continue;
		}
		timed->completed = true;
		clock->counts->retired[timed->engine]++;
		if (timed->cmd->signal)
			clock->semaphore[timed->cmd->signal]++;
		any = true;
	}
	return any;
}

static bool all_completed(const struct clock *clock)
{
	for (unsigned int i = 0; i < clock->num_cmds; i++) {
		if (!clock->cmds[i].completed)
			return false;
	}
	return true;
}

/* What each engine does during the cycle that begins now. */
static bool observe(struct clock *clock, uint64_t now)
{
	bool works[IGRAD_NUM_ENGINES] = {false};
	bool alive = false;

	for (unsigned int i = 0; i < clock->num_cmds; i++) {
		const struct ref_timed *timed = &clock->cmds[i];

		if (holds_engine(timed, now) && now >= timed->start)
			works[timed->engine] = true;
		alive = alive || (timed->started && !timed->completed);
	}
	for (unsigned int e = 0; e < IGRAD_NUM_ENGINES; e++) {
		if (works[e])
			clock->counts->busy[e]++;
		else if (head_of(clock, (enum igrad_engine)e, now))
			clock->counts->stalled[e]++;
	}
	return alive;
}

static bool run_clock(struct clock *clock)
{
	uint64_t now;

	for (now = 0;; now++) {
		bool any;

		do {
			any = complete_some(clock, now);
			any = start_some(clock, now) || any;
		} while (any);
		if (all_completed(clock))
			break;
		if (!observe(clock, now))
			return false; /* everybody waits: a deadlock */
	}
	clock->counts->cycles = now;
	return true;
}

bool ref_clock(struct ref_device *device, struct igrad_report *counts)
{
	struct clock clock = {
		.cmds = device->timed, .num_cmds = device->num_timed, .counts = counts};
	bool ended;

	if (device->config.overlap)
		clock.overlap = ref_overlap_new(&device->config);
	ended = run_clock(&clock);
	if (clock.overlap)
		ref_overlap_free(clock.overlap);
	return ended;
}
