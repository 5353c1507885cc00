/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls made of chance: a string of bytes decides what is called, with which arguments, and what is
 * wrong with them. The same bytes decide the same.
 */
#ifndef IGRAD_FUZZ_CALLS_H
#define IGRAD_FUZZ_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define FUZZ_FILES 3
#define FUZZ_SLOTS 6
#define FUZZ_ERRNOS 256

/* Bytes yet to be used. */
struct fuzz_source {
	const __u8 *bytes;
	size_t left;
};

__u32 fuzz_number(struct fuzz_source *source, __u32 below);

struct fuzz_bo {
	__u32 handle;
	__u64 va, size, offset;
	void *map;
};

/* What threads share without any lock: whatever one has just opened, another may be closing. */
struct fuzz_file {
	int fd;
	__u32 queues[FUZZ_SLOTS], syncobjs[FUZZ_SLOTS];
	struct fuzz_bo bos[FUZZ_SLOTS];
};

struct fuzz_state {
	char nodes[2][64];
	struct fuzz_file files[FUZZ_FILES];
	int dmabufs[FUZZ_SLOTS];
	bool hangs; /* jobs may hang */
};

/* What came of it, over all processes. */
struct fuzz_tally {
	unsigned long calls, good, submits, undocumented;
	unsigned int last_undocumented, last_call;
	unsigned long errnos[FUZZ_ERRNOS];
};

void fuzz_init(struct fuzz_state *state);
void fuzz_call(struct fuzz_state *state, struct fuzz_source *source, struct fuzz_tally *tally);
void fuzz_close_files(struct fuzz_state *state);

#endif /* IGRAD_FUZZ_CALLS_H */
