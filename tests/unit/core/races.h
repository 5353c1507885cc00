/* SPDX-License-Identifier: MIT */
/*
 * Races, the plain way: which half-words of SRAM and DRAM does each command read and write, which
 * two commands of different engines meet there, and is there a path of waits from one to the other?
 * Shares hw.h with the core and nothing else.
 */
#ifndef IGRAD_TEST_RACES_H
#define IGRAD_TEST_RACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igrad/hw.h"

struct rng;
struct races;

/** races_new - commands that access SRAM and @dram_bytes of memory from @dram on */
struct races *races_new(uint32_t sram_bytes, uint64_t dram, uint64_t dram_bytes,
			unsigned int max_cmds);
void races_free(struct races *races);

/** races_add - one more command, behind those before; its semaphores are not looked at */
void races_add(struct races *races, const struct igrad_cmd *cmd);

/** races_window - as the commands added so far have set it; zero: not at all */
const struct igrad_cmd_window *races_window(const struct races *races);

/** races_meet - do these two commands race if nothing orders them? */
bool races_meet(const struct races *races, unsigned int earlier, unsigned int later);

/**
 * races_find - the first command that races with one before it, given the semaphores in @cmds
 * @cmds: those that were added, with whatever semaphores; each waits for what has been signalled
 * @earlier: the last one that races with it
 */
bool races_find(struct races *races, const struct igrad_cmd *cmds, unsigned int n,
		unsigned int *later, unsigned int *earlier);

/** races_ordered - with the semaphores last given to races_find(): must @earlier end first? */
bool races_ordered(const struct races *races, unsigned int earlier, unsigned int later);

/**
 * races_emit - append a command to a stream, with waits that order it and maybe more
 * @cmds: the stream, of commands that were all emitted so
 * @n: their number
 * @more: out of 8: how often it waits where it need not, and signals where nobody asked
 */
void races_emit(struct races *races, struct igrad_cmd *cmds, unsigned int *n, struct igrad_cmd cmd,
		struct rng *rng, unsigned int more);

#endif /* IGRAD_TEST_RACES_H */
