/* SPDX-License-Identifier: MIT */
/*
 * What a command costs: cycles of its engine, SRAM words by operand, multiply-adds, and what moves
 * inside the array. These are the
 * formulas of the manual; the PE-by-PE reference holds them to what it observes. Cycles of the
 * array are those of overlap=off: with shadow registers commands share it, see overlap.c.
 */
#include "internal.h"
#include "pooling.h"

static uint64_t div_up(uint64_t n, uint64_t d)
{
	return (n + d - 1) / d;
}

/* In memory: what DRAM moves. */
static uint64_t dma_bytes(const struct igrad_cmd *cmd)
{
	return (uint64_t)cmd->u.dma.rows * cmd->u.dma.cols *
	       (cmd->flags & IGRAD_FLAG_MEM_BF16 ? 2 : 4);
}

/* Which half of the counters words of this command's bf16 operands belong to. */
static unsigned int width_of(const struct igrad_cmd *cmd)
{
	return cmd->flags & IGRAD_FLAG_BF16 ? 1 : 0;
}

static uint64_t array_cycles(const struct igrad_config *config, const struct igrad_cmd *cmd)
{
	const uint64_t skew = (uint64_t)config->rows + config->cols - 2;
	const uint64_t batch = cmd->u.array.batch;

	switch (cmd->opcode) {
	case IGRAD_OP_FPROP:
	case IGRAD_OP_DGRAD:
	case IGRAD_OP_WGRAD:
		return batch + skew;
	case IGRAD_OP_INTERLEAVED:
		return 2 * batch + skew;
	case IGRAD_OP_UPDATE:
		return cmd->flags & IGRAD_FLAG_DECAY ? 2 : 1;
	case IGRAD_OP_SCALE_ACC:
		return 1;
	default: /* loads and drains shift the whole array */
		return config->rows;
	}
}

static uint64_t pool_outputs(const struct igrad_cmd *cmd)
{
	const struct igrad_cmd_pool *p = &cmd->u.pool;

	return (uint64_t)p->images * p->out_height * p->out_width * p->cols;
}

/* Pixels are seen one by one; a gradient that goes to one of them, and a quotient, is one element.
 */
static uint64_t pool_elements(const struct igrad_cmd *cmd)
{
	if (cmd->opcode == IGRAD_OP_VEC_POOL_MAX_GRAD || cmd->opcode == IGRAD_OP_VEC_POOL_DIVIDE)
		return pool_outputs(cmd);
	return igrad_pool_terms(&cmd->u.pool);
}

static uint64_t vector_cycles(const struct igrad_config *config, const struct igrad_cmd *cmd)
{
	const uint64_t rows = cmd->u.vec.rows;
	const uint64_t pass = div_up(rows * cmd->u.vec.cols, config->cols);

	if (cmd->opcode == IGRAD_OP_VEC_SOFTMAX_XENT)
		return 3 * pass + div_up(rows, config->cols);
	return pass;
}

uint64_t igrad_account_cycles(const struct igrad_config *config, const struct igrad_cmd *cmd)
{
	if (cmd->opcode == IGRAD_OP_NOP || cmd->opcode == IGRAD_OP_WINDOW)
		return 0;
	if (cmd->opcode < IGRAD_OP_LOAD_W)
		return div_up(dma_bytes(cmd), config->dram_bytes_per_cycle);
	if (cmd->opcode < IGRAD_OP_VEC_FILL)
		return array_cycles(config, cmd);
	if (cmd->opcode >= IGRAD_OP_VEC_POOL_MAX)
		return div_up(pool_elements(cmd), config->cols);
	return vector_cycles(config, cmd);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * A stream enters or leaves on @lanes wires, lane l being l cycles behind lane 0, with a batch row
 * every @pitch cycles: how many of its words can move in one cycle?
 */
static uint64_t stream_width(uint64_t lanes, uint64_t batch, uint64_t pitch)
{
	return min_u64(batch, (lanes + pitch - 1) / pitch);
}

/* Those of the tile that take part. */
static uint64_t pes_of(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd)
{
	const uint32_t n = igrad_num_blocks(window, cmd);
	uint64_t pes = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(window, cmd, i);

		pes += (uint64_t)block.rows * block.cols;
	}
	return pes;
}

/*
 * Batch rows of a stream that are summed, at one position of the kernel, and those whose psum
 * passes: of an FPROP that does not scatter, all. Or, if lanes walk, all rows in those that are
 * valid.
 */
struct stream {
	uint64_t pes;
	uint64_t lanes; /* of x */
	uint64_t valid;
	uint64_t psums;
	bool first; /* is batch row 0 valid? */
};

static struct stream stream_of(const struct igrad_cmd_window *window, const struct igrad_cmd *cmd)
{
	const uint32_t batch = cmd->u.array.batch, rows = cmd->u.array.rows;
	struct stream s = {pes_of(window, cmd), rows, batch, batch, true};
	uint32_t valid;

	if (!(cmd->flags & IGRAD_FLAG_WINDOW))
		return s;
	valid = igrad_window_valid(window, cmd);
	if (igrad_window_lanes(cmd)) {
		s.pes = (uint64_t)valid * cmd->u.array.cols;
		s.lanes = valid;
		return s;
	}
	s.valid = valid;
	s.psums = igrad_window_psums(cmd) ? valid : batch;
	s.first = igrad_window_output_valid(window, cmd, 0);
	return s;
}

/* Read and written for each row; a new sum is not read, or, where there is none, set to +0. */
static uint64_t acc_uses(const struct igrad_cmd *cmd, const struct stream *s)
{
	if (cmd->flags & IGRAD_FLAG_KEEP)
		return 2 * s->valid;
	return s->first ? 2 * s->valid - 1 : 2 * s->valid + 1;
}

static bool multiplies_x(const struct igrad_cmd *cmd)
{
	return cmd->opcode != IGRAD_OP_DGRAD;
}

static bool makes_psums(const struct igrad_cmd *cmd)
{
	return cmd->opcode != IGRAD_OP_WGRAD;
}

static bool sums_acc(const struct igrad_cmd *cmd)
{
	return cmd->opcode == IGRAD_OP_WGRAD || cmd->opcode == IGRAD_OP_INTERLEAVED;
}

/*
 * What lanes of x at one position of the kernel do. Operands cross the whole array, so a hop less
 * than it has PEs. The w that a psum needs is read, and acc is read and written, but not read where
 * its sum begins.
 */
static void account_lanes(struct igrad_report *counters, const struct igrad_config *config,
			  const struct igrad_cmd *cmd, const struct stream *s)
{
	const unsigned int width = width_of(cmd);
	const uint64_t macs = s->pes * s->valid * (cmd->opcode == IGRAD_OP_INTERLEAVED ? 2 : 1);

	counters->macs += macs;
	if (cmd->flags & IGRAD_FLAG_BF16)
		counters->macs_bf16 += macs;
	if (multiplies_x(cmd)) {
		counters->sram[width][IGRAD_ACCESS_X_READ] += s->valid * s->lanes;
		counters->pe_hops[width] += s->valid * s->lanes * (config->cols - 1);
	}
	if (makes_psums(cmd))
		counters->pe_registers[0] += s->pes * s->valid;
	if (sums_acc(cmd))
		counters->pe_registers[0] += s->pes * acc_uses(cmd, s);
}

/* What comes by once, whatever the positions: g, and psums, which cross the array likewise. */
static void account_rows(struct igrad_report *counters, const struct igrad_config *config,
			 const struct igrad_cmd *cmd, const struct stream *s)
{
	const bool fprop = cmd->opcode == IGRAD_OP_FPROP;
	const uint64_t g_rows = cmd->flags & IGRAD_FLAG_TAPS ? cmd->u.array.batch : s->valid;
	const uint64_t psums = s->psums * (fprop ? cmd->u.array.cols : cmd->u.array.rows);

	if (!fprop) {
		counters->sram[width_of(cmd)][IGRAD_ACCESS_G_READ] += g_rows * cmd->u.array.cols;
		counters->pe_hops[width_of(cmd)] += g_rows * cmd->u.array.cols * (config->rows - 1);
	}
	if (!makes_psums(cmd))
		return;
	counters->pe_hops[0] += psums * ((fprop ? config->rows : config->cols) - 1);
	counters->sram[0][IGRAD_ACCESS_PSUM_WRITE] += psums;
	if (cmd->flags & IGRAD_FLAG_ADD)
		counters->sram[0][IGRAD_ACCESS_PSUM_READ] += psums;
}

/* What ports must offer, as if all rows and lanes were valid. */
static void account_ports(struct igrad_report *counters, const struct igrad_cmd *cmd)
{
	const uint64_t rows = cmd->u.array.rows, cols = cmd->u.array.cols;
	const uint64_t batch = cmd->u.array.batch;
	const uint64_t pitch = cmd->opcode == IGRAD_OP_INTERLEAVED ? 2 : 1;
	const bool fprop = cmd->opcode == IGRAD_OP_FPROP;
	uint64_t width = 0;

	if (makes_psums(cmd))
		width += stream_width(fprop ? cols : rows, batch, pitch) *
			 (cmd->flags & IGRAD_FLAG_ADD ? 2 : 1);
	if (multiplies_x(cmd))
		width += stream_width(rows, batch, pitch);
	if (!fprop)
		width += stream_width(cols, batch, pitch);
	if (counters->peak_words < width)
		counters->peak_words = width;
}

static void account_stream(struct igrad_report *counters, const struct igrad_config *config,
			   const struct igrad_cmd_window *window, const struct igrad_cmd *cmd)
{
	const struct stream whole = stream_of(window, cmd);
	const uint32_t n = igrad_num_positions(window, cmd);

	account_rows(counters, config, cmd, &whole);
	account_ports(counters, cmd);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row;
		const struct igrad_cmd part = igrad_position(window, cmd, i, &row);
		const struct stream s = stream_of(window, &part);

		account_lanes(counters, config, &part, &s);
	}
}

/* All columns at once, or with shadow registers each a cycle after its western neighbour. */
static void account_shift(struct igrad_report *counters, const struct igrad_cmd_window *window,
			  const struct igrad_cmd *cmd, enum igrad_operand operand, bool overlap)
{
	const uint64_t rows = cmd->u.array.rows;
	const uint64_t cols = cmd->u.array.cols;
	const uint64_t width = overlap ? stream_width(cols, rows, 1) : cols;

	counters->sram[width_of(cmd)][operand] += pes_of(window, cmd);
	if (counters->peak_words < width)
		counters->peak_words = width;
}

/* Words of row r come down r PEs when loaded, and go down the others when drained. */
static void account_shift_pes(struct igrad_report *counters, const struct igrad_config *config,
			      const struct igrad_cmd_window *window, const struct igrad_cmd *cmd,
			      bool load)
{
	const bool narrow = cmd->flags & IGRAD_FLAG_BF16;
	const uint32_t n = igrad_num_blocks(window, cmd);

	for (uint32_t i = 0; i < n; i++) {
		const struct igrad_block block = igrad_block(window, cmd, i);
		const uint64_t rows = block.rows;
		const uint64_t above = rows * block.row + rows * (rows - 1) / 2;

		counters->pe_registers[0] += rows * block.cols;
		counters->pe_hops[narrow] += block.cols *
					     (load ? above : rows * (config->rows - 1) - above);
	}
}

/* w = fma(-lr, acc, w), before it w = keep·w with DECAY; or acc = keep·acc. */
static void account_update(struct igrad_report *counters, const struct igrad_cmd_window *window,
			   const struct igrad_cmd *cmd)
{
	const bool scale = cmd->opcode == IGRAD_OP_SCALE_ACC;
	const bool decay = cmd->flags & IGRAD_FLAG_DECAY;
	const uint64_t pes = pes_of(window, cmd);

	counters->update_ops += pes * (decay ? 2 : 1);
	counters->pe_registers[0] += pes * (scale ? 2 : decay ? 5 : 3);
}

/* bf16: all of RELU_GRAD; of COLSUM only what is summed. */
static void account_vector_words(struct igrad_report *counters, const struct igrad_cmd *cmd,
				 uint64_t reads, uint64_t writes)
{
	const bool update = cmd->opcode == IGRAD_OP_VEC_AXPY || cmd->opcode == IGRAD_OP_VEC_SGD ||
			    cmd->opcode == IGRAD_OP_VEC_SCALE || cmd->opcode == IGRAD_OP_VEC_ADAM;
	const bool sums = cmd->opcode == IGRAD_OP_VEC_COLSUM;
	const uint64_t wide = sums && cmd->flags & IGRAD_FLAG_KEEP ? writes : 0;
	uint64_t *narrow = counters->sram[width_of(cmd)];

	narrow[update ? IGRAD_ACCESS_UPDATE_READ : IGRAD_ACCESS_VECTOR_READ] += reads - wide;
	counters->sram[0][IGRAD_ACCESS_VECTOR_READ] += wide;
	counters->sram[sums ? 0 : width_of(cmd)]
		      [update ? IGRAD_ACCESS_UPDATE_WRITE : IGRAD_ACCESS_VECTOR_WRITE] += writes;
}

/* An element is one operation, except where it is rounded several times: see the manual. */
static uint64_t vector_ops(const struct igrad_cmd *cmd)
{
	const uint64_t decay = cmd->flags & IGRAD_FLAG_DECAY ? 1 : 0;

	switch (cmd->opcode) {
	case IGRAD_OP_VEC_ADAM:
		return 9 + decay;
	case IGRAD_OP_VEC_SGD:
		return 1 + decay;
	case IGRAD_OP_VEC_COLSQ:
		return 2;
	case IGRAD_OP_VEC_RSQRT:
	case IGRAD_OP_VEC_NORM:
		return 3;
	case IGRAD_OP_VEC_NORM_SUMS:
		return 4;
	case IGRAD_OP_VEC_NORM_GRAD:
		return 5;
	default:
		return 1;
	}
}

static void account_pool(struct igrad_report *counters, const struct igrad_cmd *cmd)
{
	const uint64_t outputs = pool_outputs(cmd), elements = pool_elements(cmd);
	uint64_t reads = elements, writes = outputs;

	switch (cmd->opcode) {
	case IGRAD_OP_VEC_POOL_MAX:
		if (cmd->flags & IGRAD_FLAG_INDEX)
			writes += outputs;
		break;
	case IGRAD_OP_VEC_POOL_MAX_GRAD: /* as if all were in the image: gradient, number, pixel */
		reads = 3 * outputs;
		break;
	case IGRAD_OP_VEC_POOL_SUM_GRAD: /* the gradient once, and each pixel */
		reads = outputs + elements;
		writes = elements;
		break;
	default:
		break;
	}
	counters->vector_ops += elements;
	counters->sram[0][IGRAD_ACCESS_VECTOR_READ] += reads;
	counters->sram[0][IGRAD_ACCESS_VECTOR_WRITE] += writes;
}

static void account_vector(struct igrad_report *counters, const struct igrad_cmd *cmd)
{
	const uint64_t rows = cmd->u.vec.rows;
	const uint64_t cols = cmd->u.vec.cols;
	const uint64_t n = rows * cols;
	const uint64_t keep = cmd->flags & IGRAD_FLAG_KEEP ? 1 : 0;
	uint64_t reads = n;
	uint64_t writes = n;

	if (cmd->opcode >= IGRAD_OP_VEC_POOL_MAX) {
		account_pool(counters, cmd);
		return;
	}
	switch (cmd->opcode) {
	case IGRAD_OP_VEC_FILL:
		reads = 0;
		break;
	case IGRAD_OP_VEC_BIAS: /* b is read again for every row: lanes keep nothing */
	case IGRAD_OP_VEC_RELU_GRAD:
	case IGRAD_OP_VEC_AXPY:
	case IGRAD_OP_VEC_SGD:
	case IGRAD_OP_VEC_ADD:
	case IGRAD_OP_VEC_MUL:
		reads = 2 * n;
		break;
	case IGRAD_OP_VEC_COLSQ: /* column by column, as COLSUM: constants stay, and sums do */
		reads = n + cols + keep * cols;
		writes = cols;
		break;
	case IGRAD_OP_VEC_NORM:
		reads = n + IGRAD_NORM_ROWS * cols;
		break;
	case IGRAD_OP_VEC_NORM_SUMS:
		reads = 2 * n + (IGRAD_NORM_ROWS_SUMS + 2 * keep) * cols;
		writes = 2 * cols;
		break;
	case IGRAD_OP_VEC_NORM_GRAD:
		reads = 2 * n + IGRAD_NORM_ROWS_GRAD * cols;
		break;
	case IGRAD_OP_VEC_DROPOUT:
		reads = n + IGRAD_DROPOUT_WORDS;
		break;
	case IGRAD_OP_VEC_COLSUM:
		reads = n + keep * cols;
		writes = cols;
		break;
	case IGRAD_OP_VEC_SOFTMAX_XENT:
		/* passes: maximum; exp, kept in d, and its sum; quotient. A label and a loss a row.
		 */
		reads = 3 * n + rows;
		writes = 2 * n + rows;
		break;
	case IGRAD_OP_VEC_ADAM: /* the constants are read once, and kept */
		reads = 4 * n + IGRAD_ADAM_WORDS;
		writes = 3 * n;
		break;
	default:
		break;
	}
	counters->vector_ops += n * vector_ops(cmd);
	account_vector_words(counters, cmd, reads, writes);
}

void igrad_account(struct igrad_report *counters, const struct igrad_config *config,
		   const struct igrad_cmd_window *window, const struct igrad_cmd *cmd)
{
	switch (cmd->opcode) {
	case IGRAD_OP_NOP:
	case IGRAD_OP_WINDOW:
		break;
	case IGRAD_OP_UPDATE:
	case IGRAD_OP_SCALE_ACC:
		account_update(counters, window, cmd);
		break;
	case IGRAD_OP_DMA_LOAD:
		counters->dram_read_bytes += dma_bytes(cmd);
		break;
	case IGRAD_OP_DMA_STORE:
		counters->dram_write_bytes += dma_bytes(cmd);
		break;
	case IGRAD_OP_LOAD_W:
		account_shift(counters, window, cmd, IGRAD_ACCESS_STATIONARY_READ, config->overlap);
		account_shift_pes(counters, config, window, cmd, true);
		break;
	case IGRAD_OP_LOAD_ACC:
		account_shift(counters, window, cmd, IGRAD_ACCESS_ACC_READ, config->overlap);
		account_shift_pes(counters, config, window, cmd, true);
		break;
	case IGRAD_OP_DRAIN_ACC:
		account_shift(counters, window, cmd, IGRAD_ACCESS_ACC_WRITE, config->overlap);
		account_shift_pes(counters, config, window, cmd, false);
		break;
	case IGRAD_OP_DRAIN_W:
		account_shift(counters, window, cmd, IGRAD_ACCESS_W_WRITE, config->overlap);
		account_shift_pes(counters, config, window, cmd, false);
		break;
	case IGRAD_OP_FPROP:
	case IGRAD_OP_DGRAD:
	case IGRAD_OP_WGRAD:
	case IGRAD_OP_INTERLEAVED:
		account_stream(counters, config, window, cmd);
		break;
	default:
		account_vector(counters, cmd);
		break;
	}
}
