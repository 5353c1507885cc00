// SPDX-License-Identifier: MIT
/*
 * ws+os and interleaved: W is stationary and dY is streamed for dX, which is scattered to the
 * pixels that an output has seen; dW is summed up in the array, of the same stream of dY or of
 * another.
 */
#include "conv-backward.h"

static void tile_command(struct igrad_conv_pass *pass, enum igrad_opcode op,
			 const struct igrad_ring *ring, const struct igrad_tap *tap)
{
	igrad_emit_tile(&pass->conv.e, op, 0, tap->size, igrad_ring_at(&pass->conv, ring, tap));
}

/* Make acc go on where the last slab left it; returns the flag that says so. */
static uint16_t resume_acc(struct igrad_conv_pass *pass, const struct igrad_tap *tap)
{
	bool begins = pass->now->begins;

	if (begins && !pass->momentum)
		return 0;
	if (begins || !pass->acc.stays)
		igrad_ring_load(&pass->conv, &pass->acc, tap);
	tile_command(pass, IGRAD_OP_LOAD_ACC, &pass->acc, tap);
	if (begins)
		igrad_emit_scale_acc(&pass->conv.e, tap->size, pass->args->optimizer.momentum);
	return IGRAD_FLAG_KEEP;
}

static void finish_acc(struct igrad_conv_pass *pass, const struct igrad_tap *tap)
{
	bool wanted = pass->momentum || pass->args->dw;

	if (pass->fused) {
		igrad_emit_update(&pass->conv.e, tap->size, &pass->step);
		tile_command(pass, IGRAD_OP_DRAIN_W, &pass->w, tap);
	}
	if (!pass->fused || wanted)
		tile_command(pass, IGRAD_OP_DRAIN_ACC, &pass->acc, tap);
	igrad_conv_update(pass, tap, igrad_ring_at(&pass->conv, &pass->acc, tap));
}

static void retire_acc(struct igrad_conv_pass *pass, const struct igrad_tap *tap)
{
	if (pass->now->ends) {
		finish_acc(pass, tap);
		return;
	}
	tile_command(pass, IGRAD_OP_DRAIN_ACC, &pass->acc, tap);
	if (!pass->acc.stays)
		igrad_ring_store(&pass->conv, &pass->acc, tap);
}

static void stream(struct igrad_conv_pass *pass, enum igrad_opcode op, uint16_t keep,
		   const struct igrad_tap *tap)
{
	struct igrad_conv *conv = &pass->conv;
	const struct igrad_slab *slab = &pass->now->slab;
	struct igrad_outputs outputs = igrad_conv_outputs(conv, slab, tap);
	struct igrad_streams at = {.g = igrad_conv_dy(pass, tap->o, tap->size.cols)};
	struct igrad_place g = at.g;
	uint16_t flags = op == IGRAD_OP_WGRAD ? igrad_conv_flags(tap) : IGRAD_FLAG_ADD;
	uint32_t n;

	if (op != IGRAD_OP_DGRAD)
		at.x = igrad_conv_x(pass, tap->i, tap->channels);
	if (op != IGRAD_OP_WGRAD)
		at.p = igrad_conv_dx(pass, tap->i, tap->channels);
	if (outputs.begin == outputs.end) /* acc has to begin and to end all the same */
		outputs.end++;
	for (uint32_t first = outputs.begin; first < outputs.end; first += n) {
		n = igrad_min(outputs.end - first, IGRAD_MAX_BATCH);
		at.g = igrad_place_at(g, first, 0);
		igrad_emit_walk(&conv->e, op, flags | (op == IGRAD_OP_DGRAD ? 0 : keep), tap->size,
				n, igrad_conv_walk(conv, slab, tap, first), &at);
		keep = IGRAD_FLAG_KEEP;
	}
	igrad_conv_ahead(pass);
}

static void dgrad_tile(struct igrad_conv_pass *pass, const struct igrad_tap *tap)
{
	igrad_conv_needs_w(pass, tap, pass->now->begins);
	tile_command(pass, IGRAD_OP_LOAD_W, &pass->w, tap);
	stream(pass, IGRAD_OP_DGRAD, 0, tap);
	igrad_conv_dx_done(pass, tap);
}

static void wgrad_tile(struct igrad_conv_pass *pass, const struct igrad_tap *tap)
{
	if (pass->updates && pass->now->ends)
		igrad_conv_needs_w(pass, tap, !pass->args->dx);
	if (pass->fused && pass->now->ends)
		tile_command(pass, IGRAD_OP_LOAD_W, &pass->w, tap);
	stream(pass, IGRAD_OP_WGRAD, resume_acc(pass, tap), tap);
	retire_acc(pass, tap);
}

static void interleaved_tile(struct igrad_conv_pass *pass, const struct igrad_tap *tap)
{
	igrad_conv_needs_w(pass, tap, pass->now->begins);
	tile_command(pass, IGRAD_OP_LOAD_W, &pass->w, tap);
	stream(pass, IGRAD_OP_INTERLEAVED, resume_acc(pass, tap), tap);
	igrad_conv_dx_done(pass, tap);
	retire_acc(pass, tap);
}

/* Tiles that add to pixels are of one position of the kernel each; others have several. */
static void all_tiles(struct igrad_conv_pass *pass, bool pack,
		      void (*visit)(struct igrad_conv_pass *pass, const struct igrad_tap *tap))
{
	struct igrad_tap tap;

	igrad_conv_pack(&pass->conv, pack);
	igrad_conv_first_tap(&pass->conv, &tap);
	do
		visit(pass, &tap);
	while (!pass->conv.e.err && igrad_conv_next_tap(&pass->conv, &tap));
}

void igrad_conv_visit_os(struct igrad_conv_pass *pass)
{
	bool both = pass->args->dx && pass->conv.plan.schedule == IGRAD_SCHEDULE_INTERLEAVED;

	igrad_conv_window(&pass->conv, &pass->now->slab);
	if (both) {
		all_tiles(pass, false, interleaved_tile);
		return;
	}
	if (pass->args->dx)
		all_tiles(pass, false, dgrad_tile);
	all_tiles(pass, true, wgrad_tile);
}
