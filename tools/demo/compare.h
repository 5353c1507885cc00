/* SPDX-License-Identifier: MIT */
/* One backward pass of a network in each of three schedules. */
#ifndef COMPARE_H
#define COMPARE_H

#include "igrad/nn.h"

#define NUM_COMPARED 3

/** compared - the paper's baseline, separate passes and the interleaved one */
extern const enum igrad_schedule compared[NUM_COMPARED];

/**
 * struct comparison - what the schedules cost and whether they agree
 * @reports: by schedule, of the jobs that ran backward and updated the parameters by SGD
 * @bit_identical: all gradients, and the parameters after the update, have the same bytes
 */
struct comparison {
	struct igrad_report reports[IGRAD_NUM_SCHEDULES];
	bool bit_identical;
};

/** compare_schedules - with the first @batch rows of @data; the network stays as it is */
int compare_schedules(struct igrad_net *net, const struct igrad_dataset *data, uint32_t batch,
		      float lr, struct comparison *result, struct igrad_error *error);

#endif /* COMPARE_H */
