/* SPDX-License-Identifier: MIT */
/* Semaphores from dependencies. */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"

void igrad_order_fini(struct igrad_order *order)
{
	for (int engine = 0; engine < IGRAD_NUM_ENGINES; engine++)
		free(order->history[engine]);
}

void igrad_order_reset(struct igrad_order *order)
{
	memset(order->issued, 0, sizeof(order->issued));
}

static int make_room(struct igrad_order *order, enum igrad_engine engine)
{
	size_t room = order->room[engine];
	struct igrad_clock *grown;

	if (order->issued[engine] < room)
		return 0;
	room = room ? 2 * room : 256;
	grown = realloc(order->history[engine], room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	order->history[engine] = grown;
	order->room[engine] = room;
	return 0;
}

/* Does waiting for what is needed of another engine imply what is needed of this one? */
static bool implied(const struct igrad_order *order, const uint32_t need[], int engine)
{
	for (int other = 0; other < IGRAD_NUM_ENGINES; other++)
		if (other != engine && need[other] &&
		    order->history[other][need[other] - 1].ended[engine] >= need[engine])
			return true;
	return false;
}

static void learn(struct igrad_clock *clock, const struct igrad_clock *from)
{
	for (int engine = 0; engine < IGRAD_NUM_ENGINES; engine++)
		if (clock->ended[engine] < from->ended[engine])
			clock->ended[engine] = from->ended[engine];
}

const struct igrad_clock *igrad_order_ended(const struct igrad_order *order,
					    enum igrad_engine engine)
{
	static const struct igrad_clock nothing;
	uint32_t issued = order->issued[engine];

	return issued ? &order->history[engine][issued - 1] : &nothing;
}

int igrad_order_issue(struct igrad_order *order, enum igrad_engine engine,
		      const uint32_t need[IGRAD_NUM_ENGINES], struct igrad_cmd *cmd)
{
	uint32_t open[IGRAD_NUM_ENGINES] = {0};
	struct igrad_clock clock;
	int ret, waits = 0;

	ret = make_room(order, engine);
	if (ret)
		return ret;
	clock = *igrad_order_ended(order, engine);
	for (int other = 0; other < IGRAD_NUM_ENGINES; other++)
		if (other != (int)engine && need[other] > clock.ended[other])
			open[other] = need[other];

	for (int other = 0; other < IGRAD_NUM_ENGINES; other++) {
		if (!open[other] || implied(order, open, other))
			continue;
		cmd->wait_sem[waits] = other + 1;
		cmd->wait_value[waits++] = htole32(open[other]);
		learn(&clock, &order->history[other][open[other] - 1]);
	}
	cmd->signal = engine + 1;
	clock.ended[engine] = order->issued[engine] + 1;
	order->history[engine][order->issued[engine]++] = clock;
	return 0;
}
