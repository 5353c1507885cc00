/* SPDX-License-Identifier: MIT */
/* What the benchmark asks of the module: jobs that do nothing, by the scheduler that ours go by. */
#ifndef NULL_SCHED_H
#define NULL_SCHED_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define NULL_SCHED_MAX_JOBS	256

/* Push so many jobs. */
#define NULL_SCHED_SUBMIT	_IOW('n', 0, __u32)
/* Wait for the last one. */
#define NULL_SCHED_WAIT		_IO('n', 1)
/* For how many microseconds, in sum, have this machine's processors had nothing to do? */
#define NULL_SCHED_IDLE		_IOR('n', 2, __u64)

#endif /* NULL_SCHED_H */
