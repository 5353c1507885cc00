// SPDX-License-Identifier: MIT
/* One batch's way through a network: forward, loss and, when training, backward. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "bf16.h"
#include "nn.h"

/* ---------------------------------------------------------------- memory */

static int pass_memory(struct igrad_pass *pass)
{
	const struct igrad_shape *in = &pass->net->nodes[0].shape;
	const struct igrad_shape *out = &pass->net->nodes[pass->net->num_nodes - 1].shape;
	uint32_t batch = pass->batch, rows = batch * in->height * in->width;
	enum igrad_element dtype = pass->net->dtype;
	uint64_t size = 0;
	int err;

	if (dtype == IGRAD_BF16) {
		pass->values = calloc((size_t)rows * in->channels, sizeof(*pass->values));
		if (!pass->values)
			return -ENOMEM;
	}
	pass->x = igrad_matrix_place(&size, rows, in->channels, dtype);
	pass->labels = igrad_matrix_place(&size, batch, 1, IGRAD_FP32);
	pass->logits = igrad_matrix_place(&size, batch, out->channels, dtype);
	pass->losses = igrad_matrix_place(&size, batch, 1, IGRAD_FP32);
	pass->adam = igrad_matrix_place(&size, 1, IGRAD_ADAM_WORDS, IGRAD_FP32);
	pass->seed = igrad_matrix_place(&size, 1, 2, IGRAD_FP32);
	err = igrad_buffer_new(pass->net->device, size, &pass->buffer);
	pass->x.buffer = pass->buffer;
	pass->labels.buffer = pass->buffer;
	pass->logits.buffer = pass->buffer;
	pass->losses.buffer = pass->buffer;
	pass->adam.buffer = pass->buffer;
	pass->seed.buffer = pass->buffer;
	return err;
}

/* ---------------------------------------------------------------- commands */

static int op_failed(const struct igrad_net *net, const struct igrad_op *op, int err,
		     struct igrad_error *error)
{
	bool backward = op->action == IGRAD_ACT_BACKWARD || op->dx != IGRAD_NONE;

	if (op->action == IGRAD_ACT_LOSS)
		return igrad_fail(error, err, "the loss: %s", igrad_strerror(err));
	return igrad_fail(error, err, "%.160s, %s: %s", net->nodes[op->node].where,
			  backward ? "backward" : "forward", igrad_strerror(err));
}

int igrad_pass_build(struct igrad_pass *pass, const struct igrad_train_options *options,
		     struct igrad_error *error)
{
	int err = igrad_cmdbuf_reset(pass->cmdbuf);

	if (err)
		return igrad_fail(error, err, "%s", igrad_strerror(err));
	for (uint32_t i = 0; i < pass->program->num_ops; i++) {
		err = igrad_emit_op(pass, &pass->program->ops[i], options);
		if (err)
			return op_failed(pass->net, &pass->program->ops[i], err, error);
	}
	return 0;
}

int igrad_pass_init(struct igrad_pass *pass, const struct igrad_program *program,
		    const struct igrad_train_options *options, struct igrad_error *error)
{
	int err;

	memset(pass, 0, sizeof(*pass));
	pass->program = program;
	pass->net = igrad_net_ref(program->net);
	pass->batch = program->batch;
	for (int i = 0; i < 256; i++)
		pass->level[i] = (float)i / 255.0f;
	err = pass_memory(pass);
	if (!err)
		err = igrad_cmdbuf_new(program->net->device, &pass->cmdbuf);
	if (err)
		return igrad_fail(error, err, "memory for a batch of %u: %s", program->batch,
				  igrad_strerror(err));
	return igrad_pass_build(pass, options, error);
}

void igrad_pass_fini(struct igrad_pass *pass)
{
	if (pass->fence)
		igrad_fence_wait(pass->fence, -1);
	igrad_fence_unref(pass->fence);
	igrad_cmdbuf_unref(pass->cmdbuf);
	igrad_buffer_unref(pass->buffer);
	igrad_net_unref(pass->net);
	free(pass->values);
	memset(pass, 0, sizeof(*pass));
}

/* ---------------------------------------------------------------- running */

float *igrad_pass_x(struct igrad_pass *pass)
{
	return pass->values ? pass->values : igrad_matrix_data(&pass->x);
}

void igrad_pass_fill(struct igrad_pass *pass, uint32_t row, const struct igrad_dataset *data,
		     uint32_t index, struct igrad_change change)
{
	const struct igrad_shape *shape = &pass->net->nodes[0].shape;
	const uint8_t *from = data->images + (size_t)index * data->features;
	float *to = igrad_pass_x(pass) + (size_t)row * data->features;
	uint32_t *labels = igrad_matrix_data(&pass->labels);
	int64_t height = shape->height, width = shape->width;

	for (int64_t y = 0; y < height; y++) {
		for (int64_t x = 0; x < width; x++) {
			int64_t line = y - change.down, column = x - change.right;
			bool seen = line >= 0 && line < height && column >= 0 && column < width;
			const uint8_t *pixel;

			column = change.flip ? width - 1 - column : column;
			pixel = from + (seen ? (line * width + column) * shape->channels : 0);
			for (uint32_t c = 0; c < shape->channels; c++)
				*to++ = pass->level[seen ? pixel[c] : 0];
		}
	}
	labels[row] = data->labels[index];
}

static void round_x(const struct igrad_pass *pass)
{
	size_t n = (size_t)pass->x.rows * pass->x.cols;
	uint16_t *x = igrad_matrix_data(&pass->x);

	for (size_t i = 0; i < n; i++)
		x[i] = igrad_bf16_of(pass->values[i]);
}

int igrad_pass_submit(struct igrad_pass *pass, struct igrad_queue *queue)
{
	if (pass->values)
		round_x(pass);
	return igrad_queue_submit(queue, pass->cmdbuf, &pass->fence);
}

static float logit(const struct igrad_matrix *logits, uint32_t b, uint32_t class)
{
	size_t at = (size_t)b * logits->cols + class;

	if (logits->dtype == IGRAD_BF16)
		return igrad_bf16_value(((const uint16_t *)igrad_matrix_data(logits))[at]);
	return ((const float *)igrad_matrix_data(logits))[at];
}

static uint32_t argmax(const struct igrad_matrix *logits, uint32_t b)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < logits->cols; i++)
		if (logit(logits, b, i) > logit(logits, b, best))
			best = i;
	return best;
}

static void add_results(const struct igrad_pass *pass, struct igrad_train_stats *stats)
{
	const float *losses = igrad_matrix_data(&pass->losses);
	const uint32_t *labels = igrad_matrix_data(&pass->labels);

	for (uint32_t b = 0; b < pass->batch; b++) {
		stats->loss += losses[b];
		stats->correct += argmax(&pass->logits, b) == labels[b];
	}
	stats->samples += pass->batch;
	stats->steps++;
}

int igrad_pass_collect(struct igrad_pass *pass, struct igrad_train_stats *stats)
{
	struct igrad_report report;
	int err;

	if (!pass->fence)
		return 0;
	err = igrad_fence_wait(pass->fence, -1);
	if (!err)
		err = igrad_fence_report(pass->fence, &report);
	igrad_fence_unref(pass->fence);
	pass->fence = NULL;
	if (err)
		return err;
	add_results(pass, stats);
	stats->cycles += report.cycles;
	stats->macs += report.macs;
	stats->sram_accesses += igrad_report_sram_accesses(&report);
	stats->dram_bytes += report.dram_read_bytes + report.dram_write_bytes;
	return 0;
}

int igrad_queue_explain(struct igrad_queue *queue, int err, struct igrad_error *error)
{
	struct igrad_queue_error first;

	if (igrad_queue_error(queue, &first) || !first.err)
		return igrad_fail(error, err, "the device: %s", igrad_strerror(err));
	return igrad_fail(error, err, "job %llu failed: %s (%s, command %u, address 0x%llx)",
			  (unsigned long long)first.seqno, igrad_strerror(first.err),
			  igrad_reason_string(first.reason), first.command,
			  (unsigned long long)first.fault_addr);
}
