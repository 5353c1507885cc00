/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "reference.h"

/* Words that crossed the edge of the array, by stream, within a cycle; and the most there were. */
enum stream { STREAM_X, STREAM_G, STREAM_PSUM_IN, STREAM_PSUM_OUT, STREAM_SHIFT, NUM_STREAMS };

struct traffic {
	unsigned int now[NUM_STREAMS];
	unsigned int widest[NUM_STREAMS];
};

struct stream_state {
	struct ref_device *device;
	const struct ref_op *op;
	const struct igrad_cmd *cmd;
	struct traffic traffic;
	unsigned int pitch; /* cycles from one batch row to the next */
	bool southward;	    /* psums, else eastward */
};

static void end_cycle(struct traffic *traffic)
{
	for (unsigned int i = 0; i < NUM_STREAMS; i++) {
		if (traffic->widest[i] < traffic->now[i])
			traffic->widest[i] = traffic->now[i];
		traffic->now[i] = 0;
	}
}

static void end_command(struct ref_device *device, const struct traffic *traffic)
{
	uint64_t words = 0;

	for (unsigned int i = 0; i < NUM_STREAMS; i++)
		words += traffic->widest[i];
	if (device->counts->peak_words < words)
		device->counts->peak_words = words;
}

/* With shadow registers columns shift one after the other: overlap.c counts those words. */
static void end_shift(struct ref_device *device, const struct traffic *traffic)
{
	if (!device->config.overlap)
		end_command(device, traffic);
}

/*
 * PEs are moved from the south-east corner on, so that each finds its neighbours in the west and
 * the north as they stood at the end of the last cycle.
 */
static struct ref_pe *pe_at(struct ref_device *device, unsigned int r, unsigned int c)
{
	return &device->pe[r * device->config.cols + c];
}

/* --------------------------------------------------------------------------------------------- */
/* The west and north edges: what arrives there in cycle t */
/* --------------------------------------------------------------------------------------------- */

/* Lane l lags l cycles behind lane 0: which batch row enters in cycle t? Returns false for none. */
static bool due(const struct stream_state *s, unsigned int t, unsigned int lane, unsigned int late,
		unsigned int *b)
{
	if (t < lane + late || (t - lane - late) % s->pitch)
		return false;
	*b = (t - lane - late) / s->pitch;
	return *b < s->cmd->u.array.batch;
}

static struct ref_wire x_edge(struct stream_state *s, unsigned int t, unsigned int r)
{
	const struct igrad_cmd_array *a = &s->cmd->u.array;
	const unsigned int late = s->cmd->opcode == IGRAD_OP_INTERLEAVED ? 1 : 0;
	const struct ref_wire none = ref_silent();
	unsigned int b;

	if (s->cmd->opcode == IGRAD_OP_DGRAD || r >= a->rows || !due(s, t, r, late, &b))
		return none;
	s->traffic.now[STREAM_X]++;
	if (!ref_x_valid(s->op, b, r))
		return none;
	return ref_read_operand(s->device, s->cmd, ref_x_at(s->op, b, r), IGRAD_ACCESS_X_READ);
}

static struct ref_wire g_edge(struct stream_state *s, unsigned int t, unsigned int c)
{
	const struct igrad_cmd_array *a = &s->cmd->u.array;
	const struct ref_wire none = ref_silent();
	unsigned int b;

	if (s->cmd->opcode == IGRAD_OP_FPROP || c >= a->cols || !due(s, t, c, 0, &b))
		return none;
	s->traffic.now[STREAM_G]++;
	if (!ref_g_valid(s->op, b))
		return none;
	return ref_read_operand(s->device, s->cmd,
				a->g + b * a->g_pitch + c * ref_word_size(s->cmd),
				IGRAD_ACCESS_G_READ);
}

static unsigned int psum_lanes(const struct stream_state *s)
{
	if (s->cmd->opcode == IGRAD_OP_WGRAD)
		return 0;
	return s->southward ? s->cmd->u.array.cols : s->cmd->u.array.rows;
}

static struct ref_wire psum_edge(struct stream_state *s, unsigned int t, unsigned int lane)
{
	const bool add = s->cmd->flags & IGRAD_FLAG_ADD;
	const struct ref_wire none = ref_silent();
	unsigned int b;

	if (lane >= psum_lanes(s) || !due(s, t, lane, 0, &b))
		return none;
	s->traffic.now[STREAM_PSUM_IN] += add;
	if (!ref_psum_moves(s->op, b))
		return none;
	if (!add)
		return ref_driven(0.0f);
	return ref_driven(ref_float(
		ref_read(s->device, ref_psum_at(s->op, b, lane), IGRAD_ACCESS_PSUM_READ)));
}

static struct ref_token token_edge(const struct stream_state *s, unsigned int t)
{
	return (struct ref_token){
		.valid = t < s->cmd->u.array.batch * s->pitch,
		.row = t / s->pitch,
		.phase = t % s->pitch,
	};
}

/* The south or east edge: a batch row's psum of this lane, if it has one. */
static void psum_leaves(struct stream_state *s, const struct ref_pe *pe, unsigned int lane)
{
	if (!pe->token.valid || pe->token.phase || lane >= psum_lanes(s))
		return;
	s->traffic.now[STREAM_PSUM_OUT]++;
	if (pe->psum.valid)
		ref_write(s->device, ref_psum_at(s->op, pe->token.row, lane),
			  ref_bits(pe->psum.value), IGRAD_ACCESS_PSUM_WRITE);
}

/* --------------------------------------------------------------------------------------------- */
/* A PE's cycle */
/* --------------------------------------------------------------------------------------------- */

struct inputs {
	struct ref_wire x;
	struct ref_wire g;
	struct ref_wire psum;
	struct ref_token token;
};

static struct inputs inputs_of(struct stream_state *s, unsigned int t, unsigned int r,
			       unsigned int c)
{
	struct ref_device *d = s->device;
	const struct ref_pe *west = c ? pe_at(d, r, c - 1) : NULL;
	const struct ref_pe *north = r ? pe_at(d, r - 1, c) : NULL;
	struct inputs in;

	in.x = west ? ref_hop(d, west->x) : x_edge(s, t, r);
	in.g = north ? ref_hop(d, north->g) : g_edge(s, t, c);
	if (s->southward)
		in.psum = north ? ref_hop(d, north->psum) : psum_edge(s, t, c);
	else
		in.psum = west ? ref_hop(d, west->psum) : psum_edge(s, t, r);
	in.token = west ? west->token : north ? north->token : token_edge(s, t);
	return in;
}

/* One multiply-add at most. A PE that the tile does not cover passes the psum on unchanged. */
static void add_to_psum(struct stream_state *s, struct ref_pe *pe, const struct inputs *in,
			struct ref_wire operand, bool takes_part)
{
	pe->psum = in->psum;
	if (!in->psum.valid || !operand.valid || !takes_part)
		return;
	pe->psum.value = ref_fma(operand.value, ref_weight(s->cmd, ref_get(s->device, &pe->w)),
				 in->psum.value);
	ref_count_mac(s->device, s->cmd);
}

/* A sum begins with the first batch row, be it valid or not. */
static void add_to_acc(struct stream_state *s, struct ref_pe *pe, const struct inputs *in,
		       struct ref_wire g, bool takes_part)
{
	const bool fresh = in->token.row == 0 && !(s->cmd->flags & IGRAD_FLAG_KEEP);

	pe->psum.valid = false;
	if (!takes_part)
		return;
	if (!in->x.valid || !g.valid) {
		if (fresh)
			ref_set(s->device, &pe->acc, 0.0f);
		return;
	}
	ref_set(s->device, &pe->acc,
		ref_fma(in->x.value, g.value, fresh ? 0.0f : ref_get(s->device, &pe->acc)));
	ref_count_mac(s->device, s->cmd);
}

static void work(struct stream_state *s, struct ref_pe *pe, const struct inputs *in,
		 bool takes_part)
{
	switch (s->cmd->opcode) {
	case IGRAD_OP_FPROP:
		add_to_psum(s, pe, in, in->x, takes_part);
		break;
	case IGRAD_OP_DGRAD:
		add_to_psum(s, pe, in, in->g, takes_part);
		break;
	case IGRAD_OP_WGRAD:
		add_to_acc(s, pe, in, in->g, takes_part);
		break;
	default: /* INTERLEAVED */
		if (in->token.phase == 0) {
			add_to_psum(s, pe, in, in->g, takes_part);
			pe->g_held = in->g;
		} else {
			add_to_acc(s, pe, in, pe->g_held, takes_part);
		}
		break;
	}
}

static void pe_cycle(struct stream_state *s, unsigned int t, unsigned int r, unsigned int c)
{
	struct ref_pe *pe = pe_at(s->device, r, c);
	const struct inputs in = inputs_of(s, t, r, c);

	pe->x = in.x;
	pe->g = in.g;
	pe->token = in.token;
	pe->psum.valid = false;
	if (in.token.valid)
		work(s, pe, &in, ref_takes_part(s->op, r, c));
	else if (in.x.valid || in.g.valid || in.psum.valid)
		ref_impossible("data without control");
	if (s->southward && r + 1 == s->device->config.rows)
		psum_leaves(s, pe, c);
	if (!s->southward && c + 1 == s->device->config.cols)
		psum_leaves(s, pe, r);
}

static bool in_flight(struct ref_device *d)
{
	for (unsigned int i = 0; i < d->config.rows * d->config.cols; i++) {
		if (d->pe[i].token.valid)
			return true;
	}
	return false;
}

/* The stream is over when no PE works any more: the last token has left the far corner. */
static uint64_t stream(struct ref_device *d, const struct ref_op *op)
{
	struct stream_state s = {
		.device = d,
		.op = op,
		.cmd = op->cmd,
		.pitch = op->cmd->opcode == IGRAD_OP_INTERLEAVED ? 2 : 1,
		.southward = op->cmd->opcode == IGRAD_OP_FPROP,
	};
	unsigned int t = 0;

	for (;; t++) {
		for (unsigned int r = d->config.rows; r-- > 0;) {
			for (unsigned int c = d->config.cols; c-- > 0;)
				pe_cycle(&s, t, r, c);
		}
		end_cycle(&s.traffic);
		if (!in_flight(d))
			break;
	}
	end_command(d, &s.traffic);
	return t; /* cycles 0 … t - 1 saw work */
}

/* --------------------------------------------------------------------------------------------- */
/* Loads, drains, update */
/* --------------------------------------------------------------------------------------------- */

static float *target(struct ref_pe *pe, uint8_t opcode)
{
	return opcode == IGRAD_OP_LOAD_W || opcode == IGRAD_OP_DRAIN_W ? &pe->w : &pe->acc;
}

/* Whether PE(row,c) takes part or not, ports have room for its word. */
static bool has_slot(const struct ref_op *op, unsigned int row, unsigned int c)
{
	return row < op->cmd->u.array.rows && c < op->cmd->u.array.cols;
}

/* What enters column c at the north edge: the last row first, so that all arrive together. */
static struct ref_wire load_edge(struct ref_device *d, const struct ref_op *op, unsigned int row,
				 unsigned int c, struct traffic *traffic)
{
	const enum igrad_operand operand = op->cmd->opcode == IGRAD_OP_LOAD_W
						   ? IGRAD_ACCESS_STATIONARY_READ
						   : IGRAD_ACCESS_ACC_READ;

	traffic->now[STREAM_SHIFT] += has_slot(op, row, c);
	if (!ref_takes_part(op, row, c))
		return ref_silent();
	return ref_read_operand(d, op->cmd, ref_tile_at(op, row, c), operand);
}

static uint64_t load(struct ref_device *d, const struct ref_op *op)
{
	const unsigned int rows = d->config.rows, cols = d->config.cols;
	struct traffic traffic = {0};
	unsigned int t;

	for (t = 0; t < rows; t++) {
		for (unsigned int r = rows; r-- > 0;) {
			for (unsigned int c = cols; c-- > 0;)
				pe_at(d, r, c)->shift = r ? ref_hop(d, pe_at(d, r - 1, c)->shift)
							  : load_edge(d, op, rows - 1 - t, c,
								      &traffic);
		}
		end_cycle(&traffic);
	}
	for (unsigned int i = 0; i < rows * cols; i++) {
		if (d->pe[i].shift.valid)
			ref_set(d, target(&d->pe[i], op->cmd->opcode), d->pe[i].shift.value);
		d->pe[i].shift.valid = false;
	}
	end_shift(d, &traffic);
	return t;
}

/* In its first cycle every PE drives its register southwards, then what came from the north. */
static struct ref_wire drained(struct ref_device *d, const struct ref_op *op, unsigned int t,
			       unsigned int r, unsigned int c)
{
	if (t == 0 && ref_takes_part(op, r, c))
		return ref_driven(ref_get(d, target(pe_at(d, r, c), op->cmd->opcode)));
	if (t == 0 || r == 0)
		return ref_silent();
	return ref_hop(d, pe_at(d, r - 1, c)->shift);
}

static void drain_edge(struct ref_device *d, const struct ref_op *op, unsigned int row,
		       struct traffic *traffic)
{
	const enum igrad_operand operand = op->cmd->opcode == IGRAD_OP_DRAIN_W
						   ? IGRAD_ACCESS_W_WRITE
						   : IGRAD_ACCESS_ACC_WRITE;

	for (unsigned int c = 0; c < d->config.cols; c++) {
		const struct ref_wire out = pe_at(d, d->config.rows - 1, c)->shift;

		traffic->now[STREAM_SHIFT] += has_slot(op, row, c);
		if (out.valid)
			ref_write(d, ref_tile_at(op, row, c), ref_bits(out.value), operand);
	}
}

/* Until the first row, which is the last, has left. */
static uint64_t drain(struct ref_device *d, const struct ref_op *op)
{
	const unsigned int rows = d->config.rows, cols = d->config.cols;
	struct traffic traffic = {0};
	unsigned int t;

	for (t = 0; t < rows; t++) {
		for (unsigned int r = rows; r-- > 0;) {
			for (unsigned int c = cols; c-- > 0;)
				pe_at(d, r, c)->shift = drained(d, op, t, r, c);
		}
		drain_edge(d, op, rows - 1 - t, &traffic);
		end_cycle(&traffic);
	}
	for (unsigned int i = 0; i < rows * cols; i++)
		d->pe[i].shift.valid = false;
	end_shift(d, &traffic);
	return t;
}

/* reg = round(factor·reg) */
void ref_scale(struct ref_device *d, float *reg, uint32_t factor)
{
	ref_set(d, reg, ref_canonical(ref_float(factor) * ref_get(d, reg)));
	d->counts->update_ops++;
}

/* w = fma(-lr, acc, w) */
void ref_update(struct ref_device *d, float *w, const float *acc, uint32_t lr)
{
	ref_set(d, w, ref_fma(-ref_float(lr), ref_get(d, acc), ref_get(d, w)));
	d->counts->update_ops++;
}

static void update_pe(struct ref_device *d, const struct igrad_cmd *cmd, struct ref_pe *pe,
		      unsigned int use)
{
	if (cmd->opcode == IGRAD_OP_SCALE_ACC)
		ref_scale(d, &pe->acc, cmd->u.array.keep);
	else if (cmd->flags & IGRAD_FLAG_DECAY && use == 0)
		ref_scale(d, &pe->w, cmd->u.array.keep);
	else
		ref_update(d, &pe->w, &pe->acc, cmd->u.array.lr);
}

/* Every PE has one multiplier and uses it once a cycle: decay takes a cycle of its own. */
static uint64_t update(struct ref_device *d, const struct ref_op *op)
{
	const unsigned int uses = op->cmd->flags & IGRAD_FLAG_DECAY ? 2 : 1;

	for (unsigned int use = 0; use < uses; use++) {
		for (unsigned int r = 0; r < d->config.rows; r++) {
			for (unsigned int c = 0; c < d->config.cols; c++) {
				if (ref_takes_part(op, r, c))
					update_pe(d, op->cmd, pe_at(d, r, c), use);
			}
		}
	}
	return uses;
}

uint64_t ref_array(struct ref_device *device, const struct ref_op *op)
{
	switch (op->cmd->opcode) {
	case IGRAD_OP_LOAD_W:
	case IGRAD_OP_LOAD_ACC:
		return load(device, op);
	case IGRAD_OP_DRAIN_W:
	case IGRAD_OP_DRAIN_ACC:
		return drain(device, op);
	case IGRAD_OP_UPDATE:
	case IGRAD_OP_SCALE_ACC:
		return update(device, op);
	case IGRAD_OP_WINDOW:
		return 0;
	default:
		return stream(device, op);
	}
}
