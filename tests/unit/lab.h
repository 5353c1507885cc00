/* SPDX-License-Identifier: MIT */
/* A device of a test's own, with a queue and a command buffer. */
#ifndef LAB_H
#define LAB_H

#include "igrad/igrad.h"

struct lab {
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *cmdbuf;
};

/* Fails the test where that is not possible. */
void lab_open(struct lab *lab, const char *uri);
void lab_close(struct lab *lab);

/* Runs the command buffer; fails the test where the job does. @report may be NULL. */
void lab_run(struct lab *lab, struct igrad_report *report);

#endif /* LAB_H */
