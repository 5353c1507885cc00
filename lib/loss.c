// SPDX-License-Identifier: MIT
/* Softmax cross-entropy: rows are independent, so as many at a time as SRAM holds. */
#include <errno.h>

#include "sram.h"

static bool is_shape(const struct igrad_matrix *m, uint32_t rows, uint32_t cols)
{
	uint32_t bytes = m ? igrad_element_bytes(m->dtype) : 4;

	return m && m->buffer && m->rows == rows && m->cols == cols && m->offset % bytes == 0 &&
	       m->pitch % bytes == 0 && (!m->pitch || m->pitch >= cols * bytes);
}

static bool is_word(const struct igrad_matrix *m)
{
	return m->dtype == IGRAD_FP32;
}

/* A row of logits, one of their gradient, a label and a loss. */
static int rows_at_once(const struct igrad_matrix *logits, uint32_t sram_bytes, uint32_t *rows)
{
	uint64_t row_words = 2ull * logits->cols + 2;

	if (row_words > sram_bytes / 4)
		return -ENOSPC;
	*rows = igrad_min(logits->rows, sram_bytes / 4 / row_words);
	return 0;
}

int igrad_softmax_xent(struct igrad_cmdbuf *cmdbuf, const struct igrad_matrix *logits,
		       const struct igrad_matrix *labels, const struct igrad_matrix *dlogits,
		       const struct igrad_matrix *losses, float scale)
{
	const struct igrad_device_info *info = igrad_sram_device(cmdbuf);
	struct igrad_emitter e = {.cmdbuf = cmdbuf};
	struct igrad_place in = {0}, out = {0}, label = {0}, loss = {0}; /* all fp32 */
	uint32_t rows, cols;
	int err;

	if (!logits || !logits->rows || !logits->cols)
		return -EINVAL;
	rows = logits->rows;
	cols = logits->cols;
	if (!is_shape(logits, rows, cols) || !is_shape(dlogits, rows, cols) ||
	    !is_shape(labels, rows, 1) || !is_shape(losses, rows, 1) || !is_word(labels) ||
	    !is_word(losses))
		return -EINVAL;
	if (!(is_word(logits) && is_word(dlogits)) && !(info->features & IGRAD_FEATURE_BF16))
		return -ENOTSUP;
	err = rows_at_once(logits, info->sram_bytes, &rows);
	if (err)
		return err;

	in.addr = igrad_sram_reserve(cmdbuf, rows * (2 * cols + 2) * 4);
	out.addr = in.addr + rows * cols * 4;
	label.addr = out.addr + rows * cols * 4;
	loss.addr = label.addr + rows * 4;
	in.pitch = out.pitch = cols * 4;
	label.pitch = loss.pitch = 4;
	for (uint32_t b = 0; b < logits->rows && !e.err; b += rows) {
		struct igrad_size size = {igrad_min(rows, logits->rows - b), cols};
		struct igrad_size column = {size.rows, 1};

		igrad_emit_load(&e, logits, b, 0, size, in);
		igrad_emit_load(&e, labels, b, 0, column, label);
		igrad_emit_softmax_xent(&e, size, scale, in, label, out, loss);
		igrad_emit_store(&e, dlogits, b, 0, size, out);
		igrad_emit_store(&e, losses, b, 0, column, loss);
	}
	return e.err;
}
