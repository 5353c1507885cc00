// SPDX-License-Identifier: MIT
/* Evaluation: forward passes, two of which take turns. */
#include <errno.h>
#include <string.h>

#include "backend.h"
#include "nn.h"

static int build_passes(struct igrad_pass *passes, struct igrad_net *net,
			struct igrad_program *program, uint32_t batch, struct igrad_error *error)
{
	struct igrad_error why = {""};
	int err = igrad_program_init(program, net, batch, false, &why);

	for (int i = 0; !err && i < IGRAD_NUM_PASSES; i++)
		err = igrad_pass_init(&passes[i], program, NULL, &why);
	return err ? igrad_fail(error, err, "cannot build an evaluation: %.200s", why.message) : 0;
}

static int run_passes(struct igrad_pass *passes, struct igrad_queue *queue,
		      const struct igrad_dataset *data, uint32_t from, uint32_t to,
		      struct igrad_train_stats *stats)
{
	const struct igrad_change as_it_is = {0, 0, false};
	uint32_t batch = passes[0].batch;
	unsigned int next = 0;
	int err = 0;

	for (; !err && from + batch <= to; from += batch) {
		struct igrad_pass *pass = &passes[next];

		err = igrad_pass_collect(pass, stats);
		for (uint32_t row = 0; !err && row < batch; row++)
			igrad_pass_fill(pass, row, data, from + row, as_it_is);
		if (!err)
			err = igrad_pass_submit(pass, queue);
		next = (next + 1) % IGRAD_NUM_PASSES;
	}
	for (int i = 0; !err && i < IGRAD_NUM_PASSES; i++)
		err = igrad_pass_collect(&passes[(next + i) % IGRAD_NUM_PASSES], stats);
	return err;
}

/* Rows @from … of @data, as many as whole batches of @batch hold; the device works on one at a
 * time. */
static int evaluate_rows(struct igrad_net *net, struct igrad_queue *queue,
			 const struct igrad_dataset *data, uint32_t from, uint32_t to,
			 uint32_t batch, struct igrad_train_stats *stats, struct igrad_error *error)
{
	struct igrad_pass passes[IGRAD_NUM_PASSES] = {0};
	struct igrad_program program;
	int err = build_passes(passes, net, &program, batch, error);

	if (!err) {
		err = run_passes(passes, queue, data, from, to, stats);
		if (err)
			igrad_queue_explain(queue, err, error);
	}
	for (int i = 0; i < IGRAD_NUM_PASSES; i++)
		if (passes[i].net)
			igrad_pass_fini(&passes[i]);
	igrad_program_fini(&program);
	return err;
}

int igrad_net_evaluate(struct igrad_net *net, const struct igrad_dataset *data, uint32_t batch,
		       struct igrad_train_stats *stats, struct igrad_error *error)
{
	struct igrad_queue *queue;
	uint32_t whole;
	int err = igrad_net_check_data(net, data, 0, error);

	memset(stats, 0, sizeof(*stats));
	if (err)
		return err;
	if (!batch || batch > IGRAD_MAX_BATCH)
		return igrad_fail(error, -EINVAL, "a batch is 1 … %u rows", IGRAD_MAX_BATCH);
	err = igrad_queue_new(net->device, &queue);
	if (err)
		return igrad_fail(error, err, "cannot make a queue: %s", igrad_strerror(err));
	whole = data->count - data->count % batch;
	if (whole)
		err = evaluate_rows(net, queue, data, 0, whole, batch, stats, error);
	if (!err && whole < data->count)
		err = evaluate_rows(net, queue, data, whole, data->count, data->count - whole,
				    stats, error);
	igrad_queue_unref(queue);
	return err;
}
