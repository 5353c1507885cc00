/* SPDX-License-Identifier: MIT */
/*
 * Which commands are known to have ended when another one starts, and so which waits are needed.
 *
 * Engine e signals semaphore e + 1 with every command, so that value n of it says that the n-th
 * command of that engine, and all before it, have ended.
 */
#ifndef IGRAD_ORDER_H
#define IGRAD_ORDER_H

#include <stddef.h>

#include "igrad/hw.h"

/* By engine: the number of its commands that have ended. */
struct igrad_clock {
	uint32_t ended[IGRAD_NUM_ENGINES];
};

/* @history[e][n - 1]: what is known to have ended when the n-th command of engine e has */
struct igrad_order {
	struct igrad_clock *history[IGRAD_NUM_ENGINES];
	size_t room[IGRAD_NUM_ENGINES];
	uint32_t issued[IGRAD_NUM_ENGINES];
};

void igrad_order_fini(struct igrad_order *order);

/* igrad_order_reset - back to the state before the first command */
void igrad_order_reset(struct igrad_order *order);

/* igrad_order_ended - what is known to have ended when the next command of @engine starts */
const struct igrad_clock *igrad_order_ended(const struct igrad_order *order,
					    enum igrad_engine engine);

/**
 * igrad_order_issue - take the next command of @engine into the order
 * @need: by engine: the last command that must have ended before
 * @cmd: its signal, wait_sem and wait_value are filled in, without any wait that others imply
 */
int igrad_order_issue(struct igrad_order *order, enum igrad_engine engine,
		      const uint32_t need[IGRAD_NUM_ENGINES], struct igrad_cmd *cmd);

#endif /* IGRAD_ORDER_H */
