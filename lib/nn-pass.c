// SPDX-License-Identifier: MIT
/* One batch's way through a network: forward, loss and, when training, backward. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "bf16.h"
#include "nn.h"

/* ---------------------------------------------------------------- memory */

int igrad_scratch_init(struct igrad_scratch *scratch, struct igrad_net *net, uint32_t batch)
{
	uint64_t size = 0;
	int err;

	memset(scratch, 0, sizeof(*scratch));
	for (uint32_t l = 0; l + 1 < net->num_layers; l++) {
		scratch->y[l] = igrad_matrix_place(&size, batch, net->width[l + 1], net->dtype);
		scratch->dy[l] = igrad_matrix_place(&size, batch, net->width[l + 1], net->dtype);
	}
	if (!size)
		return 0;
	err = igrad_buffer_new(net->device, size, &scratch->buffer);
	for (uint32_t l = 0; l + 1 < net->num_layers; l++) {
		scratch->y[l].buffer = scratch->buffer;
		scratch->dy[l].buffer = scratch->buffer;
	}
	return err;
}

void igrad_scratch_fini(struct igrad_scratch *scratch)
{
	igrad_buffer_unref(scratch->buffer);
	scratch->buffer = NULL;
}

static int pass_memory(struct igrad_pass *pass)
{
	uint32_t batch = pass->batch, features = pass->net->width[0];
	uint32_t classes = pass->net->width[pass->net->num_layers];
	enum igrad_element dtype = pass->net->dtype;
	uint64_t size = 0;
	int err;

	if (dtype == IGRAD_BF16) {
		pass->values = calloc((size_t)batch * features, sizeof(*pass->values));
		if (!pass->values)
			return -ENOMEM;
	}
	pass->x = igrad_matrix_place(&size, batch, features, dtype);
	pass->labels = igrad_matrix_place(&size, batch, 1, IGRAD_FP32);
	pass->logits = igrad_matrix_place(&size, batch, classes, dtype);
	pass->dlogits = igrad_matrix_place(&size, batch, classes, dtype);
	pass->losses = igrad_matrix_place(&size, batch, 1, IGRAD_FP32);
	pass->adam = igrad_matrix_place(&size, 1, IGRAD_ADAM_WORDS, IGRAD_FP32);
	err = igrad_buffer_new(pass->net->device, size, &pass->buffer);
	pass->x.buffer = pass->buffer;
	pass->labels.buffer = pass->buffer;
	pass->logits.buffer = pass->buffer;
	pass->dlogits.buffer = pass->buffer;
	pass->losses.buffer = pass->buffer;
	pass->adam.buffer = pass->buffer;
	return err;
}

/* ---------------------------------------------------------------- commands */

static const struct igrad_matrix *layer_input(const struct igrad_pass *pass,
					      const struct igrad_scratch *scratch, uint32_t layer)
{
	return layer ? &scratch->y[layer - 1] : &pass->x;
}

static int layer_failed(const struct igrad_net *net, uint32_t layer, const char *direction, int err,
			struct igrad_error *error)
{
	return igrad_fail(error, err, "layer %u (%u-%u), %s: %s", layer, net->width[layer],
			  net->width[layer + 1], direction, igrad_strerror(err));
}

static int build_forward(struct igrad_pass *pass, const struct igrad_scratch *scratch,
			 const struct igrad_train_options *options, struct igrad_error *error)
{
	uint32_t last = pass->net->num_layers - 1;
	int err;

	for (uint32_t l = 0; l <= last; l++) {
		const struct igrad_layer *layer = &pass->net->layers[l];
		struct igrad_linear_forward args = {
			.x = layer_input(pass, scratch, l),
			.w = &layer->w,
			.b = &layer->b,
			.y = l < last ? &scratch->y[l] : &pass->logits,
			.relu = l < last,
			.objective = options ? options->objective : IGRAD_OBJECTIVE_CYCLES,
			.energy = options ? options->energy : NULL,
		};

		igrad_cmdbuf_set_tag(pass->cmdbuf, l);
		err = igrad_linear_forward_for(pass->cmdbuf, &args);
		if (err)
			return layer_failed(pass->net, l, "forward", err, error);
	}
	err = igrad_softmax_xent(pass->cmdbuf, &pass->logits, &pass->labels, &pass->dlogits,
				 &pass->losses, 1.0f / (float)pass->batch);
	return err ? igrad_fail(error, err, "the loss: %s", igrad_strerror(err)) : 0;
}

static int build_backward(struct igrad_pass *pass, const struct igrad_scratch *scratch,
			  const struct igrad_train_options *options, struct igrad_error *error)
{
	bool adam = options->optimizer.update == IGRAD_UPDATE_ADAM;
	bool moves = adam || options->optimizer.update == IGRAD_UPDATE_MOMENTUM;
	uint32_t last = pass->net->num_layers - 1;
	int err;

	for (uint32_t l = last + 1; l-- > 0;) {
		const struct igrad_layer *layer = &pass->net->layers[l];
		struct igrad_linear_backward args = {
			.schedule = options->schedule,
			.x = layer_input(pass, scratch, l),
			.w = &layer->w,
			.b = &layer->b,
			.y = l < last ? &scratch->y[l] : NULL,
			.dy = l < last ? &scratch->dy[l] : &pass->dlogits,
			.dx = l ? &scratch->dy[l - 1] : NULL,
			.vw = moves ? &layer->vw : NULL,
			.vb = moves ? &layer->vb : NULL,
			.sw = adam ? &layer->sw : NULL,
			.sb = adam ? &layer->sb : NULL,
			.adam = adam ? &pass->adam : NULL,
			.optimizer = options->optimizer,
			.objective = options->objective,
			.energy = options->energy,
		};

		igrad_cmdbuf_set_tag(pass->cmdbuf, l);
		err = igrad_linear_backward(pass->cmdbuf, &args);
		if (err)
			return layer_failed(pass->net, l, "backward", err, error);
	}
	return 0;
}

int igrad_pass_init(struct igrad_pass *pass, struct igrad_net *net,
		    const struct igrad_scratch *scratch, uint32_t batch,
		    const struct igrad_train_options *options, struct igrad_error *error)
{
	int err;

	memset(pass, 0, sizeof(*pass));
	pass->net = igrad_net_ref(net);
	pass->batch = batch;
	for (int i = 0; i < 256; i++)
		pass->level[i] = (float)i / 255.0f;
	err = pass_memory(pass);
	if (!err)
		err = igrad_cmdbuf_new(net->device, &pass->cmdbuf);
	if (err)
		return igrad_fail(error, err, "memory for a batch of %u: %s", batch,
				  igrad_strerror(err));
	err = build_forward(pass, scratch, options, error);
	if (!err && options)
		err = build_backward(pass, scratch, options, error);
	return err;
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
		     uint32_t index)
{
	const uint8_t *from = data->images + (size_t)index * data->features;
	float *to = igrad_pass_x(pass) + (size_t)row * data->features;
	uint32_t *labels = igrad_matrix_data(&pass->labels);

	for (uint32_t i = 0; i < data->features; i++)
		to[i] = pass->level[from[i]];
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
