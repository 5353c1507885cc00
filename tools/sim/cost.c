// SPDX-License-Identifier: MIT
/* Executing layers on a simulated device. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* ---------------------------------------------------------------- operands */

enum { X, W, B, Y, DY, DX, VW, VB, SW, SB, ADAM };

/* Each in a buffer of its own, whose memory nobody ever touches. */
struct operands {
	struct igrad_matrix m[NUM_OPERANDS];
};

static void operands_fini(struct operands *operands)
{
	for (size_t i = 0; i < NUM_OPERANDS; i++)
		igrad_buffer_unref(operands->m[i].buffer);
}

/* Activations and their gradients may be bf16; parameters, velocities and moments never are. */
static int operands_init(struct operands *o, struct simulator *sim, const struct layer *l,
			 const struct manner *manner)
{
	const uint32_t a = manner->bf16 ? 2 : 4;
	const struct placement shapes[NUM_OPERANDS] = {
		[X] = {"x", 0, l->batch, l->in, a},
		[W] = {"w", 0, l->in, l->out, 4},
		[B] = {"b", 0, 1, l->out, 4},
		[Y] = {"y", 0, l->batch, l->out, a},
		[DY] = {"dy", 0, l->batch, l->out, a},
		[DX] = {"dx", 0, l->batch, l->in, a},
		[VW] = {"vw", 0, l->in, l->out, 4},
		[VB] = {"vb", 0, 1, l->out, 4},
		[SW] = {"sw", 0, l->in, l->out, 4},
		[SB] = {"sb", 0, 1, l->out, 4},
		[ADAM] = {"adam", 0, 1, IGRAD_ADAM_WORDS, 4},
	};
	int err = 0;

	memset(o, 0, sizeof(*o));
	for (size_t i = 0; i < NUM_OPERANDS && !err; i++) {
		struct placement *p = &sim->placements[i];
		struct igrad_matrix *m = &o->m[i];

		*p = shapes[i];
		*m = (struct igrad_matrix){
			.rows = p->rows,
			.cols = p->cols,
			.dtype = p->width == 2 ? IGRAD_BF16 : IGRAD_FP32,
		};
		err = igrad_buffer_new(sim->device, (uint64_t)p->rows * p->cols * p->width,
				       &m->buffer);
		if (!err)
			p->va = igrad_buffer_va(m->buffer);
	}
	if (err)
		operands_fini(o);
	return err;
}

/* ---------------------------------------------------------------- executing */

static int explain(int err, const struct layer *l, const char *how, struct igrad_error *error)
{
	return fail(error, err, "layer %u-%u, batch %u, %s: %s", l->in, l->out, l->batch, how,
		    err == -E2BIG    ? "more than the million commands of a job"
		    : err == -ENOSPC ? "the device's SRAM is too small"
				     : igrad_strerror(err));
}

static int no_room(int err, const struct layer *l, struct igrad_error *error)
{
	return fail(error, err,
		    "layer %u-%u, batch %u: its operands do not fit the device's address space",
		    l->in, l->out, l->batch);
}

static int execute(struct simulator *sim, struct result *result)
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

static struct igrad_linear_backward
backward_args(const struct simulator *sim, const struct operands *o, const struct layer *layer,
	      const struct manner *manner, enum igrad_schedule schedule)
{
	bool adam = manner->optimizer.update == IGRAD_UPDATE_ADAM;
	bool moves = adam || manner->optimizer.update == IGRAD_UPDATE_MOMENTUM;

	return (struct igrad_linear_backward){
		.schedule = schedule,
		.x = &o->m[X],
		.w = &o->m[W],
		.b = layer->bias ? &o->m[B] : NULL,
		.y = layer->relu ? &o->m[Y] : NULL,
		.dy = &o->m[DY],
		.dx = layer->first ? NULL : &o->m[DX],
		.vw = moves ? &o->m[VW] : NULL,
		.vb = moves && layer->bias ? &o->m[VB] : NULL,
		.sw = adam ? &o->m[SW] : NULL,
		.sb = adam && layer->bias ? &o->m[SB] : NULL,
		.adam = adam ? &o->m[ADAM] : NULL,
		.optimizer = manner->optimizer,
		.objective = manner->objective,
		.energy = sim->table,
	};
}

static struct igrad_linear_forward forward_args(const struct simulator *sim,
						const struct operands *o, const struct layer *layer,
						const struct manner *manner)
{
	return (struct igrad_linear_forward){
		.x = &o->m[X],
		.w = &o->m[W],
		.b = layer->bias ? &o->m[B] : NULL,
		.y = &o->m[Y],
		.relu = layer->relu,
		.objective = manner->objective,
		.energy = sim->table,
	};
}

int simulator_backward(struct simulator *sim, const struct layer *layer,
		       const struct manner *manner, enum igrad_schedule schedule,
		       struct result *result, struct igrad_error *error)
{
	struct igrad_linear_backward args;
	struct operands o;
	int err = operands_init(&o, sim, layer, manner);

	if (err)
		return no_room(err, layer, error);
	args = backward_args(sim, &o, layer, manner, schedule);
	*result = (struct result){.schedule = schedule};
	err = igrad_cmdbuf_reset(sim->cmdbuf);
	if (!err)
		err = igrad_linear_backward(sim->cmdbuf, &args);
	if (!err)
		err = execute(sim, result);
	operands_fini(&o);
	return err ? explain(err, layer, igrad_schedule_name(schedule), error) : 0;
}

int simulator_forward(struct simulator *sim, const struct layer *layer, const struct manner *manner,
		      struct result *result, struct igrad_error *error)
{
	struct igrad_linear_forward args;
	struct operands o;
	int err = operands_init(&o, sim, layer, manner);

	if (err)
		return no_room(err, layer, error);
	args = forward_args(sim, &o, layer, manner);
	*result = (struct result){.forward = true};
	err = igrad_cmdbuf_reset(sim->cmdbuf);
	if (!err)
		err = igrad_linear_forward_for(sim->cmdbuf, &args);
	if (!err)
		err = execute(sim, result);
	operands_fini(&o);
	return err ? explain(err, layer, "forward", error) : 0;
}

int simulator_explain(struct simulator *sim, const struct settings *s, enum igrad_schedule schedule,
		      struct igrad_choice **choices, size_t *count, struct igrad_error *error)
{
	struct igrad_linear_backward backward;
	struct igrad_linear_forward forward;
	struct operands o;
	int err = operands_init(&o, sim, &s->layer, &s->manner);

	if (err)
		return no_room(err, &s->layer, error);
	backward = backward_args(sim, &o, &s->layer, &s->manner, schedule);
	forward = forward_args(sim, &o, &s->layer, &s->manner);
	err = s->forward ? igrad_linear_explain_forward(sim->device, &forward, choices, count)
			 : igrad_linear_explain(sim->device, &backward, choices, count);
	operands_fini(&o);
	return err ? explain(err, &s->layer, igrad_schedule_name(schedule), error) : 0;
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
