/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __IGRAD_DUMP_H__
#define __IGRAD_DUMP_H__

struct igrad_device;
struct igrad_failure;
struct igrad_job;

void igrad_dump_registers(struct igrad_device *idev);
void igrad_dump_job(struct igrad_device *idev, struct igrad_job *job,
		    const struct igrad_failure *failure);

#endif /* __IGRAD_DUMP_H__ */
