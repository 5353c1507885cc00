/* SPDX-License-Identifier: MIT */
/*
 * Command buffers: random programs, and an oracle that goes word by word and knows nothing of
 * regions, granules or clocks: every two commands of different engines that touch the same word,
 * one of them writing, must be ordered by what the semaphores say; and no wait may be one that the
 * others imply.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmdbuf.h"
#include "internal.h" /* of the device core */

#define SRAM_BYTES   (16u << 10)
#define DRAM_BYTES   (24u << 10)
#define NUM_BUFFERS  2
#define MAX_COMMANDS 160

static uint32_t state;

static uint32_t below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % n;
}

struct fixture {
	struct igrad_device *device;
	struct igrad_buffer *buffers[NUM_BUFFERS];
	struct igrad_cmdbuf *cmdbuf;
};

static int open_fixture(struct fixture *fixture, const char *uri)
{
	if (igrad_device_open(uri, &fixture->device, NULL))
		return -1;
	for (int i = 0; i < NUM_BUFFERS; i++)
		if (igrad_buffer_new(fixture->device, DRAM_BYTES, &fixture->buffers[i]))
			return -1;
	return igrad_cmdbuf_new(fixture->device, &fixture->cmdbuf);
}

static void close_fixture(struct fixture *fixture)
{
	igrad_cmdbuf_unref(fixture->cmdbuf);
	for (int i = 0; i < NUM_BUFFERS; i++)
		igrad_buffer_unref(fixture->buffers[i]);
	igrad_device_unref(fixture->device);
}

static int setup(void **context)
{
	static struct fixture fixture;

	*context = &fixture;
	return open_fixture(&fixture, "sim:rows=16,cols=16,sram-kib=16");
}

static int teardown(void **context)
{
	close_fixture(*context);
	return 0;
}

/* ---------------------------------------------------------------- the oracle's memory */

enum { READ, WRITE };

#define SPACE_UNITS ((SRAM_BYTES + NUM_BUFFERS * DRAM_BYTES) / 2)

/* The units of two bytes that each command of the program reads and writes: SRAM, then the buffers.
 */
static uint64_t touched[MAX_COMMANDS][2][SPACE_UNITS / 64];
static uint64_t (*now)[SPACE_UNITS / 64];

static void touch(uint32_t start, uint32_t rows, uint32_t bytes, uint32_t pitch, int how)
{
	for (uint32_t row = 0; row < rows; row++) {
		for (uint32_t at = 0; at < bytes; at += 2) {
			uint32_t unit = (start + row * pitch + at) / 2;

			now[how][unit / 64] |= 1ull << unit % 64;
		}
	}
}

/* ---------------------------------------------------------------- random commands */

/*
 * struct maker - what random programs look like
 * @pitch: of all matrices of a program; 0: any
 * @dim: largest number of rows or columns
 * @extent: bytes used at the start of SRAM and of each buffer
 */
struct maker {
	struct fixture *fixture;
	uint32_t pitch;
	uint32_t dim;
	uint32_t extent;
};

struct matrix {
	uint32_t address, pitch;
};

/* A place for a matrix below @size, or in what is used of it. @element: bytes */
static struct matrix place(const struct maker *maker, uint32_t size, uint32_t rows, uint32_t cols,
			   uint32_t element)
{
	struct matrix matrix;

	size = size < maker->extent ? size : maker->extent;
	matrix.pitch = maker->pitch ? maker->pitch
				    : element * (cols + below(4) * below(3 * maker->dim));
	matrix.address = element *
			 below((size - (rows - 1) * matrix.pitch - element * cols) / element + 1);
	/* Columns of a larger matrix are what tiles are in practice. */
	if (maker->pitch && matrix.address >= maker->pitch && below(4))
		matrix.address -= matrix.address % 64;
	return matrix;
}

static struct matrix sram_of(const struct maker *maker, uint32_t rows, uint32_t cols,
			     uint32_t element, int how)
{
	struct matrix matrix = place(maker, SRAM_BYTES, rows, cols, element);

	touch(matrix.address, rows, element * cols, matrix.pitch, how);
	return matrix;
}

static struct matrix sram(const struct maker *maker, uint32_t rows, uint32_t cols, int how)
{
	return sram_of(maker, rows, cols, 4, how);
}

/* Now and then a command's operands are bf16. */
static uint32_t choose_element(struct igrad_cmd *cmd, uint16_t flag)
{
	if (below(3))
		return 4;
	cmd->flags |= flag;
	return 2;
}

static struct igrad_buffer *make_dma(const struct maker *maker, struct igrad_cmd *cmd)
{
	uint32_t inside = choose_element(cmd, IGRAD_FLAG_BF16);
	uint32_t outside = choose_element(cmd, IGRAD_FLAG_MEM_BF16);
	bool load = below(2);
	uint32_t buffer = below(NUM_BUFFERS), rows = 1 + below(maker->dim),
		 cols = 1 + below(maker->dim);
	uint32_t fill_rows = load ? below(2) * below(4) : 0;
	uint32_t fill_cols = load ? below(2) * below(4) : 0;
	struct matrix dram = place(maker, DRAM_BYTES, rows, cols, outside);
	struct matrix tile = sram_of(maker, rows + fill_rows, cols + fill_cols, inside,
				     load ? WRITE : READ);

	touch(SRAM_BYTES + buffer * DRAM_BYTES + dram.address, rows, outside * cols, dram.pitch,
	      load ? READ : WRITE);
	cmd->opcode = load ? IGRAD_OP_DMA_LOAD : IGRAD_OP_DMA_STORE;
	cmd->u.dma = (struct igrad_cmd_dma){
		.va = dram.address,
		.pitch = dram.pitch,
		.sram = tile.address,
		.sram_pitch = tile.pitch,
		.rows = rows,
		.cols = cols,
		.fill_rows = fill_rows,
		.fill_cols = fill_cols,
	};
	return maker->fixture->buffers[buffer];
}

/* Of the commands made so far. */
static struct igrad_cmd_window window;

static struct igrad_cmd_window make_window(void)
{
	return (struct igrad_cmd_window){
		.height = 1 + below(3),
		.width = 1 + below(3),
		.out_height = 1 + below(3),
		.out_width = 1 + below(3),
		.stride_y = 1 + below(3),
		.stride_x = 1 + below(3),
		.group_rows = 1 + below(6),
		.group_cols = 1 + below(6),
		.channels = 1 + below(6),
		.kernel_x = 1 + below(3),
		.step_y = 1,
		.step_x = 1,
	};
}

/*
 * Makes a stream walk over images, if they are few: from which of their pixels on, how many? An
 * FPROP may scatter instead; with TRANSPOSE lanes walk.
 */
static void make_images(const struct maker *maker, struct igrad_cmd *cmd, uint32_t *first,
			uint32_t *count)
{
	bool plain = !(cmd->flags & (IGRAD_FLAG_TRANSPOSE | IGRAD_FLAG_TURN));
	bool fprop = cmd->opcode == IGRAD_OP_FPROP, wgrad = cmd->opcode == IGRAD_OP_WGRAD;
	uint32_t outputs = window.out_height * window.out_width;
	uint32_t pixels = window.height * window.width, output = below(2 * outputs);
	uint32_t length = plain ? cmd->u.array.batch : cmd->u.array.rows;
	uint32_t end = ((output + length - 1) / outputs + 1) * pixels;

	if (end > maker->dim)
		return;
	cmd->flags |= IGRAD_FLAG_WINDOW;
	if (plain && fprop && below(2))
		cmd->flags |= IGRAD_FLAG_SCATTER;
	else if ((fprop || wgrad) && below(2))
		cmd->flags |= IGRAD_FLAG_TAPS;
	cmd->u.array.first = output;
	cmd->u.array.tap = IGRAD_TAP((int)below(5) - 2, (int)below(5) - 2);
	*first = output / outputs * pixels;
	*count = end - *first;
}

/* A place for pixels, as the address of those that come before. */
static struct matrix sram_images(const struct maker *maker, uint32_t first, uint32_t count,
				 uint32_t cols, uint32_t element, int how)
{
	struct matrix m;

	m = place(maker, SRAM_BYTES, first + count, cols, element);
	touch(m.address + first * m.pitch, count, element * cols, m.pitch, how);
	return m;
}

static void set_p(struct igrad_cmd_array *array, struct matrix m)
{
	array->p = m.address;
	array->p_pitch = m.pitch;
}

static void make_stream(const struct maker *maker, struct igrad_cmd *cmd, uint32_t rows,
			uint32_t cols)
{
	uint32_t element = choose_element(cmd, IGRAD_FLAG_BF16), batch = 1 + below(maker->dim);
	bool fprop = cmd->opcode == IGRAD_OP_FPROP, transpose = fprop && below(2),
	     turn = fprop && below(2);
	struct igrad_cmd_array *array = &cmd->u.array;
	uint32_t first = 0, count = transpose ? rows : batch;
	uint32_t words = transpose ? batch : rows;
	bool scatter, windowed;
	struct matrix m;

	cmd->flags |= (transpose ? IGRAD_FLAG_TRANSPOSE : 0) | (turn ? IGRAD_FLAG_TURN : 0);
	array->batch = batch;
	if (window.height && (transpose || !turn) && below(2))
		make_images(maker, cmd, &first, &count);
	windowed = cmd->flags & IGRAD_FLAG_WINDOW;
	scatter = cmd->flags & IGRAD_FLAG_SCATTER;
	if (cmd->flags & IGRAD_FLAG_TAPS && words > window.channels)
		words = window.channels;
	if (cmd->opcode != IGRAD_OP_DGRAD) {
		m = scatter ? sram_of(maker, batch, rows, element, READ)
			    : sram_images(maker, first, count, words, element, READ);
		array->x = m.address;
		array->x_pitch = m.pitch;
	}
	if (!fprop) {
		m = sram_of(maker, batch, cols, element, READ);
		array->g = m.address;
		array->g_pitch = m.pitch;
	}
	if (fprop && !scatter)
		set_p(array, sram(maker, turn ? cols : batch, turn ? batch : cols, WRITE));
	else if (cmd->opcode != IGRAD_OP_WGRAD)
		set_p(array, sram_images(maker, windowed ? first : 0, windowed ? count : batch,
					 fprop ? cols : rows, 4, WRITE));
}

/* Rows of a tile in SRAM. */
static uint32_t choose_groups(struct igrad_cmd *cmd, uint32_t rows)
{
	if (!window.group_rows || below(2))
		return rows;
	cmd->flags |= IGRAD_FLAG_GROUPS;
	return rows < window.group_rows ? rows : window.group_rows;
}

static void make_array(const struct maker *maker, struct igrad_cmd *cmd)
{
	struct igrad_cmd_array *array = &cmd->u.array;
	uint32_t rows = 1 + below(maker->dim), cols = 1 + below(maker->dim), element;
	bool transpose = below(2);

	cmd->opcode = IGRAD_OP_LOAD_W + below(IGRAD_OP_WINDOW - IGRAD_OP_LOAD_W + 1);
	if (cmd->opcode == IGRAD_OP_WINDOW) {
		window = cmd->u.window = make_window();
		return;
	}
	array->rows = rows;
	array->cols = cols;
	switch (cmd->opcode) {
	case IGRAD_OP_LOAD_W:
		cmd->flags = transpose ? IGRAD_FLAG_TRANSPOSE : 0;
		element = choose_element(cmd, IGRAD_FLAG_BF16);
		if (!transpose)
			rows = choose_groups(cmd, rows);
		set_p(array, sram_of(maker, transpose ? cols : rows, transpose ? rows : cols,
				     element, READ));
		return;
	case IGRAD_OP_LOAD_ACC:
	case IGRAD_OP_DRAIN_ACC:
	case IGRAD_OP_DRAIN_W:
		rows = choose_groups(cmd, rows);
		set_p(array,
		      sram(maker, rows, cols, cmd->opcode == IGRAD_OP_LOAD_ACC ? READ : WRITE));
		return;
	case IGRAD_OP_UPDATE:
	case IGRAD_OP_SCALE_ACC:
		return;
	}
	make_stream(maker, cmd, rows, cols);
}

static void make_pool(const struct maker *maker, struct igrad_cmd *cmd)
{
	struct igrad_cmd_pool *pool = &cmd->u.pool;
	bool max = cmd->opcode == IGRAD_OP_VEC_POOL_MAX;
	bool max_grad = cmd->opcode == IGRAD_OP_VEC_POOL_MAX_GRAD;
	bool grad = max_grad || cmd->opcode == IGRAD_OP_VEC_POOL_SUM_GRAD;
	bool divide = cmd->opcode == IGRAD_OP_VEC_POOL_DIVIDE;
	uint32_t pixels, outputs;

	*pool = (struct igrad_cmd_pool){
		.height = 1 + below(4),
		.width = 1 + below(4),
		.out_height = 1 + below(2),
		.out_width = 1 + below(2),
		.kernel_y = 1 + below(3),
		.kernel_x = 1 + below(3),
		.stride_y = 1 + below(2),
		.stride_x = 1 + below(2),
		.images = 1 + below(2),
		.cols = 1 + below(3),
	};
	pixels = pool->images * pool->height * pool->width * pool->cols;
	outputs = pool->images * pool->out_height * pool->out_width * pool->cols;
	pool->a = sram(maker, 1, grad || divide ? outputs : pixels, READ).address;
	if (max && below(2))
		cmd->flags = IGRAD_FLAG_INDEX;
	if (max_grad || cmd->flags)
		pool->b = sram(maker, 1, outputs, max ? WRITE : READ).address;
	pool->d = sram(maker, 1, grad ? pixels : outputs, WRITE).address;
}

/* Rows of constants of normalisation. */
static void make_constants(const struct maker *maker, struct igrad_cmd_vec *vec, uint32_t rows)
{
	struct matrix m = sram(maker, rows, vec->cols, READ);

	vec->imm = m.address;
	vec->imm2 = m.pitch;
}

static void make_vec(const struct maker *maker, struct igrad_cmd *cmd)
{
	struct igrad_cmd_vec *vec = &cmd->u.vec;
	uint32_t rows = 1 + below(maker->dim), cols = 1 + below(maker->dim), element = 4;
	struct matrix m;
	bool sums;

	cmd->opcode = IGRAD_OP_VEC_FILL + below(IGRAD_OP_VEC_POOL_DIVIDE - IGRAD_OP_VEC_FILL + 1);
	if (cmd->opcode >= IGRAD_OP_VEC_POOL_MAX) {
		make_pool(maker, cmd);
		return;
	}
	sums = cmd->opcode == IGRAD_OP_VEC_COLSUM || cmd->opcode == IGRAD_OP_VEC_COLSQ;
	if (cmd->opcode == IGRAD_OP_VEC_COLSUM || cmd->opcode == IGRAD_OP_VEC_RELU_GRAD)
		element = choose_element(cmd, IGRAD_FLAG_BF16);
	vec->rows = rows;
	vec->cols = cols;
	if (cmd->opcode != IGRAD_OP_VEC_FILL) {
		m = sram_of(maker, rows, cols, element, READ);
		vec->a = m.address;
		vec->a_pitch = m.pitch;
	}
	switch (cmd->opcode) {
	case IGRAD_OP_VEC_BIAS:
	case IGRAD_OP_VEC_COLSQ:
		vec->b = sram(maker, 1, cols, READ).address;
		break;
	case IGRAD_OP_VEC_DROPOUT:
		vec->b = sram(maker, 1, IGRAD_DROPOUT_WORDS, READ).address;
		break;
	case IGRAD_OP_VEC_NORM:
		make_constants(maker, vec, IGRAD_NORM_ROWS);
		break;
	case IGRAD_OP_VEC_NORM_SUMS:
	case IGRAD_OP_VEC_NORM_GRAD:
		m = sram(maker, rows, cols, READ);
		vec->b = m.address;
		vec->b_pitch = m.pitch;
		make_constants(maker, vec,
			       cmd->opcode == IGRAD_OP_VEC_NORM_SUMS ? IGRAD_NORM_ROWS_SUMS
								     : IGRAD_NORM_ROWS_GRAD);
		break;
	case IGRAD_OP_VEC_SOFTMAX_XENT:
		m = sram(maker, rows, 1, READ);
		vec->b = m.address;
		vec->b_pitch = m.pitch;
		vec->imm2 = sram(maker, 1, rows, WRITE).address;
		break;
	case IGRAD_OP_VEC_ADAM: /* rows of m and v are equally far apart */
		m = sram(maker, rows, cols, WRITE);
		vec->b = m.address;
		vec->b_pitch = m.pitch;
		vec->imm2 = sram(&(struct maker){.pitch = m.pitch, .extent = maker->extent}, rows,
				 cols, WRITE)
				    .address;
		vec->imm = sram(maker, 1, IGRAD_ADAM_WORDS, READ).address;
		break;
	case IGRAD_OP_VEC_RELU_GRAD:
	case IGRAD_OP_VEC_AXPY:
	case IGRAD_OP_VEC_SGD:
	case IGRAD_OP_VEC_ADD:
	case IGRAD_OP_VEC_MUL:
		m = sram_of(maker, rows, cols, element, READ);
		vec->b = m.address;
		vec->b_pitch = m.pitch;
		break;
	}
	if (cmd->opcode == IGRAD_OP_VEC_NORM_SUMS)
		rows = 2;
	m = sram_of(maker, sums ? 1 : rows, cols, sums ? 4 : element, WRITE);
	vec->d = m.address;
	vec->d_pitch = sums ? 0 : m.pitch;
}

static struct igrad_buffer *make_command(const struct maker *maker, struct igrad_cmd *cmd)
{
	*cmd = (struct igrad_cmd){0};
	switch (below(9)) {
	case 0:
		cmd->engine = below(IGRAD_NUM_ENGINES);
		return NULL; /* IGRAD_OP_NOP */
	case 1 ... 2:
		make_vec(maker, cmd);
		return NULL;
	case 3 ... 5:
		make_array(maker, cmd);
		return NULL;
	default:
		return make_dma(maker, cmd);
	}
}

static void make_program(const struct maker *maker, uint32_t num)
{
	struct igrad_cmdbuf *cmdbuf = maker->fixture->cmdbuf;

	assert_int_equal(igrad_cmdbuf_reset(cmdbuf), 0);
	memset(touched, 0, sizeof(touched));
	memset(&window, 0, sizeof(window));
	for (uint32_t i = 0; i < num; i++) {
		struct igrad_buffer *buffer;
		struct igrad_cmd cmd;

		now = touched[i];
		buffer = make_command(maker, &cmd);
		assert_int_equal(igrad_cmdbuf_emit(cmdbuf, &cmd, buffer), 0);
	}
	assert_int_equal(igrad_cmdbuf_length(cmdbuf), num);
}

/* ---------------------------------------------------------------- the oracle */

/* before[j][i]: has command i surely ended when command j starts? */
static bool before[MAX_COMMANDS][MAX_COMMANDS];

static int engine_of(const struct igrad_cmd *cmd)
{
	if (cmd->opcode == IGRAD_OP_NOP)
		return cmd->engine;
	if (cmd->opcode < IGRAD_OP_LOAD_W)
		return cmd->opcode == IGRAD_OP_DMA_LOAD ? IGRAD_ENGINE_LOAD : IGRAD_ENGINE_STORE;
	return cmd->opcode < IGRAD_OP_VEC_FILL ? IGRAD_ENGINE_ARRAY : IGRAD_ENGINE_VECTOR;
}

/* The command that makes a semaphore reach a value, or -1. */
static int signaller(const struct igrad_cmd *cmds, uint32_t num, uint8_t semaphore, uint32_t value)
{
	for (uint32_t i = 0; i < num; i++)
		if (cmds[i].signal == semaphore && !--value)
			return i;
	return -1;
}

static int predecessor(const struct igrad_cmd *cmds, uint32_t index)
{
	for (int i = (int)index - 1; i >= 0; i--)
		if (engine_of(&cmds[i]) == engine_of(&cmds[index]))
			return i;
	return -1;
}

static void follow(uint32_t index, int earlier)
{
	if (earlier < 0)
		return;
	before[index][earlier] = true;
	for (int i = 0; i < MAX_COMMANDS; i++)
		before[index][i] |= before[earlier][i];
}

static bool conflict(uint32_t a, uint32_t b)
{
	uint64_t common = 0;

	for (uint32_t i = 0; i < SPACE_UNITS / 64; i++)
		common |= (touched[a][WRITE][i] & (touched[b][READ][i] | touched[b][WRITE][i])) |
			  (touched[a][READ][i] & touched[b][WRITE][i]);
	return common;
}

/* Waits are satisfied by earlier commands of other engines, and none is implied by the rest. */
static void check_waits(const struct igrad_cmd *cmds, uint32_t index, bool justified)
{
	const struct igrad_cmd *cmd = &cmds[index];
	int earlier[IGRAD_NUM_WAITS + 1];

	for (int w = 0; w < IGRAD_NUM_WAITS; w++) {
		earlier[w] = -1;
		if (!cmd->wait_sem[w]) {
			assert_int_equal(cmd->wait_value[w], 0);
			continue;
		}
		earlier[w] = signaller(cmds, index, cmd->wait_sem[w], cmd->wait_value[w]);
		assert_true(earlier[w] >= 0);
		assert_int_not_equal(engine_of(&cmds[earlier[w]]), engine_of(cmd));
		if (justified)
			assert_true(conflict(index, earlier[w]));
	}
	earlier[IGRAD_NUM_WAITS] = predecessor(cmds, index);
	for (int w = 0; w < IGRAD_NUM_WAITS; w++) {
		for (int other = 0; earlier[w] >= 0 && other <= IGRAD_NUM_WAITS; other++) {
			if (other == w || earlier[other] < 0)
				continue;
			assert_int_not_equal(earlier[w], earlier[other]);
			assert_false(before[earlier[other]][earlier[w]]);
		}
	}
	for (int w = 0; w <= IGRAD_NUM_WAITS; w++)
		follow(index, earlier[w]);
}

/* @justified: every wait must be for a command that conflicts itself */
static uint32_t check_program(const struct igrad_cmdbuf *cmdbuf, bool justified)
{
	const struct igrad_cmd *cmds = cmdbuf->cmds;
	uint32_t conflicts = 0;

	memset(before, 0, sizeof(before));
	for (uint32_t j = 0; j < cmdbuf->num_cmds; j++) {
		assert_int_equal(cmds[j].signal, engine_of(&cmds[j]) + 1);
		check_waits(cmds, j, justified);
		for (uint32_t i = 0; i < j; i++) {
			if (engine_of(&cmds[i]) == engine_of(&cmds[j]) || !conflict(i, j))
				continue;
			conflicts++;
			if (!before[j][i])
				print_error("commands %u and %u are not ordered\n", i, j);
			assert_true(before[j][i]);
		}
	}
	return conflicts;
}

static void random_programs(const struct maker *maker, uint32_t length, int rounds, bool justified)
{
	uint32_t conflicts = 0;

	for (int round = 0; round < rounds; round++) {
		state = 0x9e3779b9u * (round + 1) ^ maker->pitch;
		make_program(maker, length);
		conflicts += check_program(maker->fixture->cmdbuf, justified);
	}
	assert_true(conflicts > length * (uint32_t)rounds / 10);
}

static void programs_are_ordered(void **context)
{
	random_programs(&(struct maker){*context, 0, 16, DRAM_BYTES}, MAX_COMMANDS, 100, false);
}

static void programs_at_one_pitch_are_ordered(void **context)
{
	random_programs(&(struct maker){*context, 512, 16, DRAM_BYTES}, MAX_COMMANDS, 100, false);
}

/* So many accesses in so little space that nearly all meet. */
static void crowded_programs_are_ordered(void **context)
{
	random_programs(&(struct maker){*context, 0, 2, 512}, MAX_COMMANDS, 100, false);
}

/* Too few accesses to be merged, and all regions can be compared exactly. */
static void no_wait_without_a_conflict(void **context)
{
	random_programs(&(struct maker){*context, 512, 16, DRAM_BYTES}, 40, 150, true);
	random_programs(&(struct maker){*context, 256, 16, DRAM_BYTES}, MAX_COMMANDS, 50, true);
}

/* ---------------------------------------------------------------- the device's opinion */

static void device_units(const struct igrad_areas *areas, uint64_t units[2][SPACE_UNITS / 64])
{
	now = units;
	for (unsigned int i = 0; i < areas->count; i++) {
		const struct igrad_area *area = &areas->area[i];

		touch(area->addr, area->rows, area->bytes, area->pitch,
		      area->written ? WRITE : READ);
	}
	now = NULL;
}

/* What a command touches in SRAM is worked out by the device too: both must find the same. */
static void the_device_touches_the_same(void **context)
{
	static const uint8_t sram[SRAM_BYTES];
	struct maker maker = {*context, 0, 16, DRAM_BYTES};
	struct igrad_config config;
	int compared[IGRAD_OP_VEC_POOL_DIVIDE + 1] = {0};

	igrad_config_default(&config);
	config.rows = config.cols = 16;
	config.sram_bytes = SRAM_BYTES;
	state = 99;
	memset(&window, 0, sizeof(window));
	for (int i = 0; i < 20000; i++) {
		uint64_t mine[2][SPACE_UNITS / 64] = {{0}}, device[2][SPACE_UNITS / 64] = {{0}};
		struct igrad_areas areas = {0};
		enum igrad_engine engine;
		struct igrad_cmd cmd;

		now = mine;
		make_command(&maker, &cmd);
		now = NULL;
		cmd.u.dma.va += cmd.opcode && cmd.opcode < IGRAD_OP_LOAD_W ? IGRAD_VA_MIN : 0;
		if (igrad_check_command(&config, sram, &window, &cmd, &engine, &areas))
			continue;
		assert_int_equal(engine, engine_of(&cmd));
		device_units(&areas, device);
		for (int how = READ; how <= WRITE; how++)
			assert_memory_equal(mine[how], device[how], SRAM_BYTES / 2 / 8);
		compared[cmd.opcode]++;
	}
	for (int opcode = 0; opcode <= IGRAD_OP_VEC_POOL_DIVIDE; opcode++) {
		struct igrad_cmd cmd = {.opcode = opcode};
		enum igrad_engine engine;
		struct igrad_areas areas;

		if (igrad_check_command(&config, sram, &window, &cmd, &engine, &areas) !=
		    IGRAD_REASON_OPCODE)
			assert_true(compared[opcode] > 20);
	}
}

#define LONG 60000

static bool was_merged(const struct igrad_tracker *tracker)
{
	for (int engine = 0; engine < IGRAD_NUM_ENGINES; engine++)
		for (int write = 0; write < 2; write++)
			if (tracker->logs[engine][write].merged)
				return true;
	return false;
}

/*
 * Longer than the logs, so that what is older is merged; and the vector unit comes late. The device
 * looks for hazards as it executes.
 */
static void the_device_finds_no_hazard(void **context)
{
	static uint64_t unused[2][SPACE_UNITS / 64];
	static const uint8_t sram[SRAM_BYTES];
	struct fixture fixture;
	struct maker maker = {&fixture, 0, 6, DRAM_BYTES};
	struct igrad_config config;
	struct igrad_queue *queue;
	uint32_t num = 0;

	(void)context;
	igrad_config_default(&config);
	config.rows = config.cols = 16;
	config.sram_bytes = SRAM_BYTES;
	state = 77;
	memset(&window, 0, sizeof(window));
	assert_int_equal(open_fixture(&fixture, "sim:rows=16,cols=16,sram-kib=16,timing-only=on"),
			 0);
	assert_int_equal(igrad_queue_new(fixture.device, &queue), 0);
	now = unused;
	while (num < LONG) {
		struct igrad_areas areas = {0};
		struct igrad_cmd cmd, checked;
		struct igrad_buffer *buffer = make_command(&maker, &cmd);
		enum igrad_engine engine;

		checked = cmd;
		checked.u.dma.va += buffer ? IGRAD_VA_MIN : 0;
		if (igrad_check_command(&config, sram, &window, &checked, &engine, &areas) ||
		    (engine == IGRAD_ENGINE_VECTOR && num < LONG / 2))
			continue;
		assert_int_equal(igrad_cmdbuf_emit(fixture.cmdbuf, &cmd, buffer), 0);
		num++;
	}
	now = NULL;
	assert_true(was_merged(&fixture.cmdbuf->sram));
	assert_true(was_merged(&fixture.cmdbuf->dram));
	assert_int_equal(igrad_queue_run(queue, fixture.cmdbuf, NULL), 0);
	igrad_queue_unref(queue);
	close_fixture(&fixture);
}

/* ---------------------------------------------------------------- by hand */

static struct igrad_cmd dma(enum igrad_opcode opcode, uint32_t sram, uint32_t rows, uint32_t cols,
			    uint32_t pitch)
{
	return (struct igrad_cmd){
		.opcode = opcode,
		.u.dma = {.pitch = pitch,
			  .sram = sram,
			  .sram_pitch = pitch,
			  .rows = rows,
			  .cols = cols},
	};
}

static struct igrad_cmd fill_word(uint32_t sram)
{
	return (struct igrad_cmd){
		.opcode = IGRAD_OP_VEC_FILL,
		.u.vec = {.rows = 1, .cols = 1, .d = sram, .d_pitch = 4},
	};
}

/* The last command waits for what @engine did as its command @number, or a little later. */
static void assert_waits(const struct igrad_cmdbuf *cmdbuf, int engine, uint32_t number,
			 uint32_t most)
{
	const struct igrad_cmd *cmd = &cmdbuf->cmds[cmdbuf->num_cmds - 1];

	assert_int_equal(cmd->wait_sem[0], engine + 1);
	assert_in_range(cmd->wait_value[0], number, most);
}

#define MANY 9000

/* What is merged is still waited for: by engines that wait for the first time. */
static void nothing_old_is_forgotten(void **context)
{
	static const uint32_t which[] = {0, 1, 100, 3000, 5000, MANY - 1};
	struct fixture fixture;

	(void)context;
	assert_int_equal(open_fixture(&fixture, "sim:rows=16,cols=16,sram-kib=256,timing-only=on"),
			 0);
	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
		struct igrad_cmd cmd = fill_word(which[i] * 16);
		struct igrad_cmd store = dma(IGRAD_OP_DMA_STORE, 200 << 10, 1, 1, 4);

		assert_int_equal(igrad_cmdbuf_reset(fixture.cmdbuf), 0);
		for (uint32_t k = 0; k < MANY; k++) {
			struct igrad_cmd load = dma(IGRAD_OP_DMA_LOAD, k * 16, 1, 1, 4);

			load.u.dma.va = k % (DRAM_BYTES / 4) * 4;
			igrad_cmdbuf_emit(fixture.cmdbuf, &load, fixture.buffers[k / 6000]);
		}
		assert_int_equal(igrad_cmdbuf_emit(fixture.cmdbuf, &cmd, NULL), 0);
		assert_waits(fixture.cmdbuf, IGRAD_ENGINE_LOAD, which[i] + 1, MANY);
		store.u.dma.va = which[i] % (DRAM_BYTES / 4) * 4;
		igrad_cmdbuf_emit(fixture.cmdbuf, &store, fixture.buffers[which[i] / 6000]);
		assert_waits(fixture.cmdbuf, IGRAD_ENGINE_LOAD, which[i] + 1, MANY);
	}
	close_fixture(&fixture);
}

/* Many regions that begin at one place are not taken for each other. */
static void regions_are_told_apart(void **context)
{
	struct fixture *fixture = *context;

	for (uint32_t which = 1; which < 2000; which += 37) {
		struct igrad_cmd cmd = fill_word(which * 4);

		assert_int_equal(igrad_cmdbuf_reset(fixture->cmdbuf), 0);
		for (uint32_t k = 1; k < 2000; k++) {
			struct igrad_cmd store = dma(IGRAD_OP_DMA_STORE, 0, 2, 1, k * 4);

			store.u.dma.pitch = 4;
			igrad_cmdbuf_emit(fixture->cmdbuf, &store, fixture->buffers[0]);
		}
		assert_int_equal(igrad_cmdbuf_emit(fixture->cmdbuf, &cmd, NULL), 0);
		assert_waits(fixture->cmdbuf, IGRAD_ENGINE_STORE, which, which);
	}
}

/* Two halves of a matrix, side by side: a store of one does not wait for a load of the other. */
static void interleaved_columns_do_not_wait(void **context)
{
	struct fixture *fixture = *context;
	struct igrad_cmd load = dma(IGRAD_OP_DMA_LOAD, 0, 16, 16, 128);
	struct igrad_cmd store = dma(IGRAD_OP_DMA_STORE, 64, 16, 16, 128);

	assert_int_equal(igrad_cmdbuf_reset(fixture->cmdbuf), 0);
	assert_int_equal(igrad_cmdbuf_emit(fixture->cmdbuf, &load, fixture->buffers[0]), 0);
	assert_int_equal(igrad_cmdbuf_emit(fixture->cmdbuf, &store, fixture->buffers[1]), 0);
	assert_int_equal(fixture->cmdbuf->cmds[1].wait_sem[0], 0);

	store.u.dma.sram = 60;
	assert_int_equal(igrad_cmdbuf_emit(fixture->cmdbuf, &store, fixture->buffers[1]), 0);
	assert_int_equal(fixture->cmdbuf->cmds[2].wait_sem[0], IGRAD_ENGINE_LOAD + 1);
	assert_int_equal(fixture->cmdbuf->cmds[2].wait_value[0], 1);
}

static int emit_error(struct fixture *fixture, struct igrad_cmd cmd, struct igrad_buffer *buffer)
{
	struct igrad_cmd nop = {.opcode = IGRAD_OP_NOP};
	struct igrad_queue *queue;
	int err;

	assert_int_equal(igrad_cmdbuf_reset(fixture->cmdbuf), 0);
	err = igrad_cmdbuf_emit(fixture->cmdbuf, &cmd, buffer);

	/* It sticks, and the submission gives it. */
	assert_int_equal(igrad_cmdbuf_emit(fixture->cmdbuf, &nop, NULL), err);
	assert_int_equal(igrad_queue_new(fixture->device, &queue), 0);
	assert_int_equal(igrad_queue_submit(queue, fixture->cmdbuf, NULL), err ? err : 0);
	assert_int_equal(igrad_queue_run(queue, fixture->cmdbuf, NULL), err ? err : 0);
	igrad_queue_unref(queue);
	return err;
}

static void bad_commands_are_refused(void **context)
{
	struct fixture *fixture = *context;
	struct igrad_buffer *buffer = fixture->buffers[0], *foreign;
	struct igrad_cmd good = dma(IGRAD_OP_DMA_LOAD, 0, 2, 4, 16), cmd;
	struct igrad_device *other;

	assert_int_equal(emit_error(fixture, good, buffer), 0);
	assert_int_equal(emit_error(fixture, good, NULL), -EINVAL);
	assert_int_equal(emit_error(fixture, (struct igrad_cmd){.opcode = 0x99}, NULL), -EINVAL);
	assert_int_equal(emit_error(fixture, (struct igrad_cmd){.engine = 4}, NULL), -EINVAL);
	assert_int_equal(emit_error(fixture, (struct igrad_cmd){.opcode = IGRAD_OP_FPROP}, NULL),
			 -EINVAL);
	assert_int_equal(emit_error(fixture, (struct igrad_cmd){.opcode = IGRAD_OP_VEC_COPY}, NULL),
			 -EINVAL);
	assert_int_equal(emit_error(fixture, (struct igrad_cmd){0}, buffer), -EINVAL);

	cmd = good;
	cmd.u.dma.sram = SRAM_BYTES - 28;
	assert_int_equal(emit_error(fixture, cmd, buffer), -ERANGE);
	cmd.u.dma.sram = SRAM_BYTES - 32;
	assert_int_equal(emit_error(fixture, cmd, buffer), 0);
	cmd = good;
	cmd.u.dma.va = DRAM_BYTES - 28;
	assert_int_equal(emit_error(fixture, cmd, buffer), -ERANGE);
	cmd.u.dma.va = UINT64_MAX;
	assert_int_equal(emit_error(fixture, cmd, buffer), -ERANGE);
	cmd.u.dma.va = DRAM_BYTES - 32;
	assert_int_equal(emit_error(fixture, cmd, buffer), 0);
	cmd = good;
	cmd.u.dma.rows = UINT32_MAX;
	cmd.u.dma.pitch = cmd.u.dma.sram_pitch = UINT32_MAX;
	assert_int_equal(emit_error(fixture, cmd, buffer), -ERANGE);
	cmd.u.dma.rows = 1 << 29;
	assert_int_equal(emit_error(fixture, cmd, buffer), -ERANGE);
	cmd = good;
	cmd.u.dma.rows = 0;
	assert_int_equal(emit_error(fixture, cmd, buffer), -EINVAL);

	assert_int_equal(igrad_device_open("sim:", &other, NULL), 0);
	assert_int_equal(igrad_buffer_new(other, 4096, &foreign), 0);
	assert_int_equal(emit_error(fixture, good, foreign), -EINVAL);
	igrad_buffer_unref(foreign);
	igrad_device_unref(other);
}

static void commands_have_a_limit(void **context)
{
	struct fixture *fixture = *context;
	struct igrad_cmd nop = {.opcode = IGRAD_OP_NOP};

	assert_int_equal(igrad_cmdbuf_reset(fixture->cmdbuf), 0);
	for (uint32_t i = 0; i < IGRAD_MAX_COMMANDS; i++)
		if (igrad_cmdbuf_emit(fixture->cmdbuf, &nop, NULL))
			fail();
	assert_int_equal(igrad_cmdbuf_length(fixture->cmdbuf), IGRAD_MAX_COMMANDS);
	assert_int_equal(igrad_cmdbuf_emit(fixture->cmdbuf, &nop, NULL), -E2BIG);
	assert_int_equal(igrad_cmdbuf_length(fixture->cmdbuf), IGRAD_MAX_COMMANDS);
	assert_int_equal(igrad_cmdbuf_reset(fixture->cmdbuf), 0);
}

static void tags_are_kept(void **context)
{
	struct fixture *fixture = *context;
	struct igrad_cmd nop = {.opcode = IGRAD_OP_NOP, .tag = 99};

	assert_int_equal(igrad_cmdbuf_reset(fixture->cmdbuf), 0);
	igrad_cmdbuf_set_tag(fixture->cmdbuf, 7);
	assert_int_equal(igrad_cmdbuf_emit(fixture->cmdbuf, &nop, NULL), 0);
	igrad_cmdbuf_set_tag(fixture->cmdbuf, 8);
	assert_int_equal(igrad_cmdbuf_emit(fixture->cmdbuf, &nop, NULL), 0);
	assert_int_equal(fixture->cmdbuf->cmds[0].tag, 7);
	assert_int_equal(fixture->cmdbuf->cmds[1].tag, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_are_ordered),
		cmocka_unit_test(programs_at_one_pitch_are_ordered),
		cmocka_unit_test(crowded_programs_are_ordered),
		cmocka_unit_test(no_wait_without_a_conflict),
		cmocka_unit_test(the_device_touches_the_same),
		cmocka_unit_test(the_device_finds_no_hazard),
		cmocka_unit_test(nothing_old_is_forgotten),
		cmocka_unit_test(regions_are_told_apart),
		cmocka_unit_test(interleaved_columns_do_not_wait),
		cmocka_unit_test(bad_commands_are_refused),
		cmocka_unit_test(commands_have_a_limit),
		cmocka_unit_test(tags_are_kept),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("command buffers", tests, setup, teardown);
}
