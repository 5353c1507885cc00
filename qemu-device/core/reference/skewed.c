/* SPDX-License-Identifier: MIT */
/*
 * The array with shadow registers, moved forward cycle by cycle with every command in flight that
 * overlap.c has placed: values on wires, words in registers. Two in one place are an error, and so
 * is a tile that is swapped in before it is there.
 */
#include <stdlib.h>
#include <string.h>

#include "reference.h"

/* A word of a tile on its way, or held. */
struct word {
	bool valid;
	bool moving;
	bool drained; /* leaves in the south; else it came from the north to stay */
	float value;
	bool narrow; /* a 16-bit word */
};

struct pe {
	float w;
	float acc;
	struct ref_wire g_held; /* interleaved: g of phase 0, for phase 1 */
	struct word shadow_w;
	struct word shadow_acc;
	struct ref_wire x; /* to the neighbours: eastwards, southwards, and as the mode says */
	struct ref_wire g;
	struct ref_wire psum;
	bool psum_came; /* on the wire from the north, in this cycle */
	int64_t wave;
};

/* What happens to the PEs on a wave. */
struct wave {
	bool events;		     /* swaps and captures */
	const struct ref_op *op;     /* NULL: nothing */
	const struct igrad_cmd *cmd; /* of it */
	uint32_t row;
	unsigned int phase;
};

struct write {
	uint32_t addr;
	uint32_t bits;
	enum igrad_operand operand;
};

struct ref_skewed {
	struct ref_device *device;
	const struct ref_placed *placed;
	unsigned int num_placed;
	const struct ref_placed **near; /* in time, to this cycle */
	unsigned int num_near;
	struct wave *waves;
	int64_t num_waves;
	struct pe *pe;
	struct write *writes; /* of this cycle: seen by nobody before the next */
	unsigned int num_writes;
};

static struct pe *at(const struct ref_skewed *m, unsigned int r, unsigned int c)
{
	return &m->pe[r * m->device->config.cols + c];
}

static void write_later(struct ref_skewed *m, uint32_t addr, float value,
			enum igrad_operand operand)
{
	m->writes[m->num_writes++] = (struct write){addr, ref_bits(value), operand};
}

/* --------------------------------------------------------------------------------------------- */
/* The waves */
/* --------------------------------------------------------------------------------------------- */

static void plan(struct ref_skewed *m, const struct ref_placed *p)
{
	const bool both = p->op.cmd->opcode == IGRAD_OP_INTERLEAVED;
	const uint32_t count = ref_waves(p->op.cmd);

	if (p->swap >= 0)
		m->waves[p->swap].events = true;
	if (p->op.cmd->opcode == IGRAD_OP_DRAIN_ACC || p->op.cmd->opcode == IGRAD_OP_DRAIN_W)
		m->waves[p->start].events = true;
	for (uint32_t i = 0; i < count; i++) {
		struct wave *wave = &m->waves[p->start + i];

		if (wave->cmd)
			ref_impossible("two waves in one");
		wave->op = &p->op;
		wave->cmd = p->op.cmd;
		wave->row = both ? i / 2 : i;
		wave->phase = both ? i % 2 : 0;
	}
}

static void swap_in(struct ref_skewed *m, const struct ref_op *op, float *reg, struct word *shadow,
		    unsigned int r, unsigned int c)
{
	if (!ref_takes_part(op, r, c))
		return;
	if (!shadow->valid || shadow->moving || shadow->drained)
		ref_impossible("a tile is swapped in before it is there");
	ref_set(m->device, reg, shadow->value);
	shadow->valid = false;
}

/* Swaps and captures that pass PE(r,c), in program order, before the wave's own work. */
static void events(struct ref_skewed *m, struct pe *pe, unsigned int r, unsigned int c)
{
	struct word caught = {.valid = false};

	for (unsigned int i = 0; i < m->num_near; i++) {
		const struct ref_placed *p = m->near[i];
		const uint8_t opcode = p->op.cmd->opcode;

		if (opcode == IGRAD_OP_LOAD_W && p->swap == pe->wave)
			swap_in(m, &p->op, &pe->w, &pe->shadow_w, r, c);
		if (opcode == IGRAD_OP_LOAD_ACC && p->swap == pe->wave)
			swap_in(m, &p->op, &pe->acc, &pe->shadow_acc, r, c);
		if ((opcode != IGRAD_OP_DRAIN_W && opcode != IGRAD_OP_DRAIN_ACC) ||
		    p->start != pe->wave || !ref_takes_part(&p->op, r, c))
			continue;
		if (caught.valid)
			ref_impossible("two tiles are captured at once");
		caught.valid = caught.drained = true;
		caught.value = ref_get(m->device, opcode == IGRAD_OP_DRAIN_W ? &pe->w : &pe->acc);
	}
	if (caught.valid && pe->shadow_acc.valid)
		ref_impossible("the chain is captured into while it holds a word");
	if (caught.valid)
		pe->shadow_acc = caught;
}

/* --------------------------------------------------------------------------------------------- */
/* A PE's cycle */
/* --------------------------------------------------------------------------------------------- */

static struct ref_wire read_wire(struct ref_skewed *m, uint32_t addr, enum igrad_operand operand)
{
	return ref_driven(ref_float(ref_read(m->device, addr, operand)));
}

static struct ref_wire x_edge(struct ref_skewed *m, const struct wave *wave, unsigned int r)
{
	const struct igrad_cmd_array *a = &wave->cmd->u.array;
	const unsigned int phase = wave->cmd->opcode == IGRAD_OP_INTERLEAVED ? 1 : 0;

	if (wave->cmd->opcode == IGRAD_OP_DGRAD || r >= a->rows || wave->phase != phase ||
	    !ref_x_valid(wave->op, wave->row, r))
		return ref_silent();
	return ref_read_operand(m->device, wave->cmd, ref_x_at(wave->op, wave->row, r),
				IGRAD_ACCESS_X_READ);
}

static struct ref_wire g_edge(struct ref_skewed *m, const struct wave *wave, unsigned int c)
{
	const struct igrad_cmd_array *a = &wave->cmd->u.array;

	if (wave->cmd->opcode == IGRAD_OP_FPROP || c >= a->cols || wave->phase ||
	    !ref_g_valid(wave->op, wave->row))
		return ref_silent();
	return ref_read_operand(m->device, wave->cmd,
				a->g + wave->row * a->g_pitch + c * ref_word_size(wave->cmd),
				IGRAD_ACCESS_G_READ);
}

static struct ref_wire psum_edge(struct ref_skewed *m, const struct wave *wave, unsigned int lane)
{
	const struct igrad_cmd_array *a = &wave->cmd->u.array;
	const unsigned int lanes = wave->cmd->opcode == IGRAD_OP_FPROP ? a->cols : a->rows;

	if (wave->cmd->opcode == IGRAD_OP_WGRAD || lane >= lanes || wave->phase ||
	    !ref_psum_moves(wave->op, wave->row))
		return ref_silent();
	if (!(wave->cmd->flags & IGRAD_FLAG_ADD))
		return ref_driven(0.0f);
	return read_wire(m, ref_psum_at(wave->op, wave->row, lane), IGRAD_ACCESS_PSUM_READ);
}

static float multiply_add(struct ref_skewed *m, const struct igrad_cmd *cmd, float a, float b,
			  float s)
{
	ref_count_mac(m->device, cmd);
	return ref_fma(a, b, s);
}

static void add_to_psum(struct ref_skewed *m, struct pe *pe, const struct wave *wave,
			struct ref_wire psum, struct ref_wire operand, bool takes_part)
{
	pe->psum = psum;
	if (psum.valid && operand.valid && takes_part)
		pe->psum.value = multiply_add(m, wave->cmd, operand.value,
					      ref_weight(wave->cmd, ref_get(m->device, &pe->w)),
					      psum.value);
}

/* A sum begins with the first batch row, be it valid or not. */
static void add_to_acc(struct ref_skewed *m, struct pe *pe, const struct wave *wave,
		       struct ref_wire g, bool takes_part)
{
	const bool fresh = wave->row == 0 && !(wave->cmd->flags & IGRAD_FLAG_KEEP);

	if (!takes_part)
		return;
	if (pe->x.valid && g.valid)
		ref_set(m->device, &pe->acc,
			multiply_add(m, wave->cmd, pe->x.value, g.value,
				     fresh ? 0.0f : ref_get(m->device, &pe->acc)));
	else if (fresh)
		ref_set(m->device, &pe->acc, 0.0f);
}

static void update(struct ref_skewed *m, struct pe *pe, const struct wave *wave, unsigned int r,
		   unsigned int c)
{
	const struct igrad_cmd_array *a = &wave->cmd->u.array;

	if (!ref_takes_part(wave->op, r, c))
		return;
	if (wave->cmd->opcode == IGRAD_OP_SCALE_ACC)
		ref_scale(m->device, &pe->acc, a->keep);
	else if (wave->cmd->flags & IGRAD_FLAG_DECAY && wave->row == 0)
		ref_scale(m->device, &pe->w, a->keep);
	else
		ref_update(m->device, &pe->w, &pe->acc, a->lr);
}

static void work(struct ref_skewed *m, struct pe *pe, const struct wave *wave, unsigned int r,
		 unsigned int c)
{
	const struct pe *west = c ? at(m, r, c - 1) : NULL;
	const struct pe *north = r ? at(m, r - 1, c) : NULL;
	const bool south = wave->cmd->opcode == IGRAD_OP_FPROP;
	const bool takes_part = ref_takes_part(wave->op, r, c);
	struct ref_wire psum;

	if (wave->cmd->opcode == IGRAD_OP_UPDATE || wave->cmd->opcode == IGRAD_OP_SCALE_ACC) {
		update(m, pe, wave, r, c);
		return;
	}
	pe->x = west ? ref_hop(m->device, west->x) : x_edge(m, wave, r);
	pe->g = north ? ref_hop(m->device, north->g) : g_edge(m, wave, c);
	if (south)
		psum = north ? ref_hop(m->device, north->psum) : psum_edge(m, wave, c);
	else
		psum = west ? ref_hop(m->device, west->psum) : psum_edge(m, wave, r);
	pe->psum_came = south && psum.valid;
	if (south) {
		add_to_psum(m, pe, wave, psum, pe->x, takes_part);
	} else if (wave->cmd->opcode == IGRAD_OP_WGRAD) {
		add_to_acc(m, pe, wave, pe->g, takes_part);
	} else if (wave->phase == 0) {
		add_to_psum(m, pe, wave, psum, pe->g, takes_part);
		pe->g_held = pe->g;
	} else {
		add_to_acc(m, pe, wave, pe->g_held, takes_part);
	}
}

static void psum_leaves(struct ref_skewed *m, const struct pe *pe, const struct wave *wave,
			unsigned int r, unsigned int c)
{
	const bool south = wave->cmd->opcode == IGRAD_OP_FPROP;
	const bool edge = south ? r + 1 == m->device->config.rows : c + 1 == m->device->config.cols;

	if (pe->psum.valid && edge)
		write_later(m, ref_psum_at(wave->op, wave->row, south ? c : r), pe->psum.value,
			    IGRAD_ACCESS_PSUM_WRITE);
}

static void pe_cycle(struct ref_skewed *m, int64_t t, unsigned int r, unsigned int c)
{
	struct pe *pe = at(m, r, c);
	const struct wave *wave;

	pe->wave = c ? at(m, r, c - 1)->wave : r ? at(m, r - 1, c)->wave : t;
	pe->x.valid = pe->g.valid = pe->psum.valid = pe->psum_came = false;
	if (pe->wave < 0)
		return;
	wave = &m->waves[pe->wave];
	if (wave->events)
		events(m, pe, r, c);
	if (!wave->cmd)
		return;
	work(m, pe, wave, r, c);
	psum_leaves(m, pe, wave, r, c);
}

/* --------------------------------------------------------------------------------------------- */
/* Shifting, column by column; a column does what its western neighbour did a cycle before */
/* --------------------------------------------------------------------------------------------- */

/* Which command of this opcode moves a word at the column's end in cycle t, and of which row? */
static const struct ref_op *mover(const struct ref_skewed *m, uint8_t opcode, unsigned int late,
				  int64_t t, unsigned int c, unsigned int *row)
{
	const unsigned int rows = m->device->config.rows;

	for (unsigned int i = 0; i < m->num_near; i++) {
		const struct ref_placed *p = m->near[i];
		const int64_t step = t - p->start - late - c;

		if (p->op.cmd->opcode != opcode || step < 0 || step >= rows)
			continue;
		*row = rows - 1 - (unsigned int)step;
		return &p->op;
	}
	return NULL;
}

static void enter(struct ref_skewed *m, struct word *shadow, const struct ref_op *op,
		  unsigned int row, unsigned int c, enum igrad_operand operand)
{
	struct ref_wire wire;

	if (!ref_takes_part(op, row, c))
		return;
	if (shadow->valid)
		ref_impossible("two words in a register");
	wire = ref_read_operand(m->device, op->cmd, ref_tile_at(op, row, c), operand);
	*shadow = (struct word){true, true, false, wire.value, wire.narrow};
}

static void push(struct ref_skewed *m, struct word *from, struct word *to)
{
	if (!from->valid || !from->moving)
		return;
	if (to->valid)
		ref_impossible("two words in a register");
	ref_hop(m->device, (struct ref_wire){true, from->value, from->narrow});
	*to = *from;
	from->valid = false;
}

static void stop(struct word *word)
{
	if (word->valid && !word->drained)
		word->moving = false;
}

static void load_column(struct ref_skewed *m, int64_t t, unsigned int c)
{
	const unsigned int rows = m->device->config.rows;
	unsigned int row = 0;
	const struct ref_op *op = mover(m, IGRAD_OP_LOAD_W, 0, t, c, &row);

	if (!op)
		return;
	for (unsigned int r = rows - 1; r > 0; r--)
		push(m, &at(m, r - 1, c)->shadow_w, &at(m, r, c)->shadow_w);
	enter(m, &at(m, 0, c)->shadow_w, op, row, c, IGRAD_ACCESS_STATIONARY_READ);
	for (unsigned int r = 0; r < rows && row == 0; r++)
		stop(&at(m, r, c)->shadow_w);
}

static void leave(struct ref_skewed *m, struct pe *last, int64_t t, unsigned int c)
{
	const unsigned int late = m->device->config.rows - 1;
	unsigned int row = 0;
	const struct ref_op *acc = mover(m, IGRAD_OP_DRAIN_ACC, late, t, c, &row);
	const struct ref_op *w = acc ? NULL : mover(m, IGRAD_OP_DRAIN_W, late, t, c, &row);
	const struct ref_op *op = acc ? acc : w;

	if (!last->shadow_acc.valid || !last->shadow_acc.moving)
		return;
	if (!op || !last->shadow_acc.drained || !ref_takes_part(op, row, c))
		ref_impossible("a word leaves that should not");
	if (last->psum.valid && m->waves[last->wave].cmd->opcode == IGRAD_OP_FPROP)
		ref_impossible("a psum and a drained word leave together");
	write_later(m, ref_tile_at(op, row, c), last->shadow_acc.value,
		    acc ? IGRAD_ACCESS_ACC_WRITE : IGRAD_ACCESS_W_WRITE);
	last->shadow_acc.valid = false;
}

static void begin_to_shift(struct ref_skewed *m, int64_t t, unsigned int c)
{
	const unsigned int rows = m->device->config.rows;

	for (unsigned int i = 0; i < m->num_near; i++) {
		const struct ref_placed *p = m->near[i];

		if ((p->op.cmd->opcode != IGRAD_OP_DRAIN_ACC &&
		     p->op.cmd->opcode != IGRAD_OP_DRAIN_W) ||
		    p->start + rows - 1 + c != t)
			continue;
		for (unsigned int r = 0; r < rows; r++)
			at(m, r, c)->shadow_acc.moving = at(m, r, c)->shadow_acc.drained;
	}
}

static void chain_column(struct ref_skewed *m, int64_t t, unsigned int c)
{
	const unsigned int rows = m->device->config.rows;
	unsigned int row = 0;
	const struct ref_op *op = mover(m, IGRAD_OP_LOAD_ACC, 0, t, c, &row);

	begin_to_shift(m, t, c);
	leave(m, at(m, rows - 1, c), t, c);
	for (unsigned int r = rows - 1; r > 0; r--) {
		struct word *from = &at(m, r - 1, c)->shadow_acc;

		if (from->valid && from->moving && at(m, r, c)->psum_came)
			ref_impossible("a psum and a word on one wire");
		push(m, from, &at(m, r, c)->shadow_acc);
	}
	if (!op)
		return;
	if (at(m, 0, c)->psum_came && ref_takes_part(op, row, c))
		ref_impossible("a psum and a word on one wire");
	enter(m, &at(m, 0, c)->shadow_acc, op, row, c, IGRAD_ACCESS_ACC_READ);
	for (unsigned int r = 0; r < rows && row == 0; r++)
		stop(&at(m, r, c)->shadow_acc);
}

/* --------------------------------------------------------------------------------------------- */
/* The machine */
/* --------------------------------------------------------------------------------------------- */

/* From the south-east corner on, so that a PE finds its neighbours as they stood a cycle before. */
static void cycle(struct ref_skewed *m, int64_t t)
{
	const unsigned int rows = m->device->config.rows, cols = m->device->config.cols;

	m->num_writes = 0;
	for (unsigned int r = rows; r-- > 0;) {
		for (unsigned int c = cols; c-- > 0;)
			pe_cycle(m, t, r, c);
	}
	for (unsigned int c = 0; c < cols; c++) {
		load_column(m, t, c);
		chain_column(m, t, c);
	}
	for (unsigned int i = 0; i < m->num_writes; i++)
		ref_write(m->device, m->writes[i].addr, m->writes[i].bits, m->writes[i].operand);
}

/* Until a command has ended and what it swaps in has passed the far corner. */
static int64_t last_cycle(const struct ref_skewed *m, const struct ref_placed *p)
{
	const int64_t last = p->end > p->swap ? p->end : p->swap;

	return last + m->device->config.rows + m->device->config.cols;
}

struct ref_skewed *ref_skewed_new(struct ref_device *device, const struct ref_placed *placed,
				  unsigned int n)
{
	const unsigned int rows = device->config.rows, cols = device->config.cols;
	struct ref_skewed *m = ref_zeroed(1, sizeof(*m));

	m->device = device;
	m->placed = placed;
	m->num_placed = n;
	for (unsigned int i = 0; i < n; i++) {
		const int64_t last = last_cycle(m, &placed[i]);

		m->num_waves = last > m->num_waves ? last : m->num_waves;
	}
	m->waves = ref_zeroed((size_t)m->num_waves, sizeof(*m->waves));
	m->near = ref_zeroed(n, sizeof(*m->near));
	m->pe = ref_zeroed((size_t)rows * cols, sizeof(*m->pe));
	m->writes = ref_zeroed((size_t)2 * (rows + cols), sizeof(*m->writes));
	for (unsigned int i = 0; i < rows * cols; i++)
		m->pe[i].wave = -1;
	for (unsigned int i = 0; i < n; i++)
		plan(m, &placed[i]);
	return m;
}

bool ref_skewed_runs(const struct ref_skewed *m, uint64_t cycle)
{
	return (int64_t)cycle < m->num_waves;
}

/*
 * Commands that may have anything to do in this cycle. When there are none, none of the waves that
 * PEs would see does anything, and they need not see them.
 */
void ref_skewed_cycle(struct ref_skewed *m, int64_t t)
{
	m->num_near = 0;
	for (unsigned int i = 0; i < m->num_placed; i++) {
		if (t >= m->placed[i].start && t <= last_cycle(m, &m->placed[i]))
			m->near[m->num_near++] = &m->placed[i];
	}
	if (m->num_near && t < m->num_waves)
		cycle(m, t);
}

void ref_skewed_free(struct ref_skewed *m)
{
	free(m->waves);
	free(m->near);
	free(m->pe);
	free(m->writes);
	free(m);
}
