// SPDX-License-Identifier: MIT
/* A simulated device, and what its reports say. */
#include <errno.h>
#include <stdio.h>

#include "cost.h"

/* ---------------------------------------------------------------- the device */

int simulator_open(struct simulator *sim, const struct machine *m, const char *energy,
		   struct igrad_error *error)
{
	char uri[256];
	int err;

	*sim = (struct simulator){0};
	snprintf(uri, sizeof(uri),
		 "sim:timing-only=on,rows=%u,cols=%u,overlap=%s,sram-kib=%u,"
		 "dram-bytes-per-cycle=%u,dram-latency=%u",
		 m->array.rows, m->array.cols, m->overlap ? "on" : "off", m->sram_kib,
		 m->dram_width, m->dram_latency);
	err = igrad_energy_table_load(energy, &sim->table, error);
	if (!err)
		err = igrad_device_open(uri, &sim->device, error);
	if (!err)
		err = igrad_queue_new(sim->device, &sim->queue);
	if (!err)
		err = igrad_cmdbuf_new(sim->device, &sim->cmdbuf);
	if (err)
		simulator_close(sim);
	return err;
}

void simulator_close(struct simulator *sim)
{
	igrad_cmdbuf_unref(sim->cmdbuf);
	igrad_queue_unref(sim->queue);
	igrad_device_unref(sim->device);
	igrad_energy_table_unref(sim->table);
	*sim = (struct simulator){0};
}

const struct igrad_device_info *simulator_info(const struct simulator *sim)
{
	return igrad_device_info(sim->device);
}

int simulator_execute(struct simulator *sim, struct result *result)
{
	const struct igrad_device_info *info = simulator_info(sim);
	struct igrad_report *report = &result->report;
	int err = igrad_queue_run(sim->queue, sim->cmdbuf, report);

	if (err)
		return err;
	result->utilization = report->macs / ((double)report->cycles * info->rows * info->cols);
	igrad_energy(sim->table, report, info, &result->energy);
	return 0;
}

/* ---------------------------------------------------------------- figures */

static const struct {
	const char *name;
	bool write;
} accesses[IGRAD_NUM_ACCESSES] = {
	[IGRAD_ACCESS_STATIONARY_READ] = {"stationary_read", false},
	[IGRAD_ACCESS_ACC_READ] = {"acc_read", false},
	[IGRAD_ACCESS_X_READ] = {"x_read", false},
	[IGRAD_ACCESS_G_READ] = {"g_read", false},
	[IGRAD_ACCESS_PSUM_READ] = {"psum_read", false},
	[IGRAD_ACCESS_PSUM_WRITE] = {"psum_write", true},
	[IGRAD_ACCESS_ACC_WRITE] = {"acc_write", true},
	[IGRAD_ACCESS_W_WRITE] = {"w_write", true},
	[IGRAD_ACCESS_UPDATE_READ] = {"update_read", false},
	[IGRAD_ACCESS_UPDATE_WRITE] = {"update_write", true},
	[IGRAD_ACCESS_VECTOR_READ] = {"vector_read", false},
	[IGRAD_ACCESS_VECTOR_WRITE] = {"vector_write", true},
};

const char *access_name(enum igrad_operand operand)
{
	return accesses[operand].name;
}

static uint64_t sum(const struct result *result, bool write)
{
	uint64_t words = 0;

	for (int i = 0; i < IGRAD_NUM_ACCESSES; i++)
		if (accesses[i].write == write)
			words += result->report.sram[0][i] + result->report.sram[1][i];
	return words;
}

const char *result_name(const struct result *result)
{
	if (result->name)
		return result->name;
	return result->forward ? "forward" : igrad_schedule_name(result->schedule);
}

uint64_t result_reads(const struct result *result)
{
	return sum(result, false);
}

uint64_t result_writes(const struct result *result)
{
	return sum(result, true);
}

uint64_t result_accesses(const struct result *result)
{
	return igrad_report_sram_accesses(&result->report);
}

uint64_t result_dram(const struct result *result)
{
	return result->report.dram_read_bytes + result->report.dram_write_bytes;
}
