/* SPDX-License-Identifier: MIT */
/* Data sets in the four files that MNIST and its relatives come in. */
#ifndef DATASET_H
#define DATASET_H

#include "igrad/idx.h"
#include "igrad/nn.h"

struct dataset {
	struct igrad_idx images;
	struct igrad_idx labels;
	struct igrad_dataset rows;
};

/**
 * dataset_find - the directory of the data: @option; else $IGRAD_DATA; else the first that exists
 * of $IGRAD_CACHE/fashion-mnist (or that of $XDG_CACHE_HOME/igrad, ~/.cache/igrad),
 * /usr/share/datasets/fashion-mnist and /data
 */
int dataset_find(const char *option, char *dir, size_t size, struct igrad_error *error);

/** dataset_load - @which: "train" or "t10k"; gzipped files or plain ones */
int dataset_load(const char *dir, const char *which, struct dataset *data,
		 struct igrad_error *error);
void dataset_fini(struct dataset *data);

#endif /* DATASET_H */
