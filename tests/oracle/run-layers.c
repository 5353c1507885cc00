// SPDX-License-Identifier: MIT
/*
 * Runs layers that are listed, on matrices from a file: what the oracles compare with.
 *
 *     run-layers DEVICE IN.safetensors OUT.safetensors < LIST
 *
 * A line of the list is "new NAME ROWS COLS", "view NAME OF COLUMN COLS", "reshape NAME OF
 * ROWS COLS", or a function of the
 * library without its prefix and the fields of its arguments: "pool_forward batch=2 … x=h1 y=h2".
 * All lines together are one job; all matrices that are no views are written in the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "igrad/conv.h"
#include "igrad/layers.h"
#include "igrad/safetensors.h"

#define MOST 512

struct named {
	char name[64];
	struct igrad_matrix m;
	bool view;
};

static struct named matrices[MOST];
static size_t num_matrices;

static _Noreturn void die(const char *what, const char *about)
{
	fprintf(stderr, "run-layers: %s: %s\n", what, about);
	exit(1);
}

static void must(int err, const char *what)
{
	if (err)
		die(what, igrad_strerror(err));
}

static const struct igrad_matrix *find(const char *name)
{
	for (size_t i = 0; i < num_matrices; i++)
		if (!strcmp(matrices[i].name, name))
			return &matrices[i].m;
	die("no such matrix", name);
}

static struct named *add(const char *name)
{
	struct named *n = &matrices[num_matrices++];

	if (num_matrices > MOST || strlen(name) >= sizeof(n->name))
		die("too many, or too long", name);
	strcpy(n->name, name);
	return n;
}

static void *add_new(struct igrad_device *device, const char *name, uint32_t rows, uint32_t cols)
{
	struct named *n = add(name);

	n->m = (struct igrad_matrix){.rows = rows, .cols = cols};
	must(igrad_buffer_new(device, (uint64_t)rows * cols * 4, &n->m.buffer), name);
	return igrad_buffer_map(n->m.buffer);
}

/* ---------------------------------------------------------------- functions and their arguments */

enum kind { NUMBER, FLAG, REAL, MATRIX, SCHEDULE, UPDATE };

struct field {
	const char *name;
	enum kind kind;
	size_t offset;
};

#define FIELD(type, kind, field)                    \
	{                                           \
#field, kind, offsetof(type, field) \
	}
#define NESTED(type, kind, inside, field)                  \
	{                                                  \
#field, kind, offsetof(type, inside.field) \
	}

struct softmax {
	const struct igrad_matrix *logits, *labels, *dlogits, *losses;
	float scale;
};

struct relu {
	const struct igrad_matrix *x, *y, *dy, *dx;
};

struct copy {
	const struct igrad_matrix *from, *to;
};

static int softmax_xent(struct igrad_cmdbuf *c, const void *opaque)
{
	const struct softmax *a = opaque;

	return igrad_softmax_xent(c, a->logits, a->labels, a->dlogits, a->losses, a->scale);
}

static int relu_forward(struct igrad_cmdbuf *c, const void *opaque)
{
	const struct relu *a = opaque;

	return igrad_relu_forward(c, a->x, a->y);
}

static int relu_backward(struct igrad_cmdbuf *c, const void *opaque)
{
	const struct relu *a = opaque;

	return igrad_relu_backward(c, a->y, a->dy, a->dx);
}

static int copy(struct igrad_cmdbuf *c, const void *opaque)
{
	const struct copy *a = opaque;

	return igrad_copy(c, a->from, a->to);
}

static int add_terms(struct igrad_cmdbuf *c, const void *opaque)
{
	return igrad_add(c, opaque);
}

#define CALL(name)                                                  \
	static int name(struct igrad_cmdbuf *c, const void *opaque) \
	{                                                           \
		return igrad_##name(c, opaque);                     \
	}

CALL(linear_forward_for)
CALL(linear_backward)
CALL(conv_forward)
CALL(conv_backward)
CALL(pool_forward)
CALL(pool_backward)
CALL(batchnorm_forward)
CALL(batchnorm_backward)
CALL(dropout)
CALL(update)

#define CONV(type)                                                                               \
	NESTED(type, NUMBER, shape, batch), NESTED(type, NUMBER, shape, height),                 \
		NESTED(type, NUMBER, shape, width), NESTED(type, NUMBER, shape, in),             \
		NESTED(type, NUMBER, shape, out), NESTED(type, NUMBER, shape, kernel_y),         \
		NESTED(type, NUMBER, shape, kernel_x), NESTED(type, NUMBER, shape, stride_y),    \
		NESTED(type, NUMBER, shape, stride_x), NESTED(type, NUMBER, shape, pad_top),     \
		NESTED(type, NUMBER, shape, pad_bottom), NESTED(type, NUMBER, shape, pad_left),  \
		NESTED(type, NUMBER, shape, pad_right), NESTED(type, NUMBER, shape, dilation_y), \
		NESTED(type, NUMBER, shape, dilation_x), NESTED(type, NUMBER, shape, groups)

#define POOL(type)                                                                             \
	NESTED(type, NUMBER, shape, batch), NESTED(type, NUMBER, shape, height),               \
		NESTED(type, NUMBER, shape, width), NESTED(type, NUMBER, shape, channels),     \
		NESTED(type, NUMBER, shape, kernel_y), NESTED(type, NUMBER, shape, kernel_x),  \
		NESTED(type, NUMBER, shape, stride_y), NESTED(type, NUMBER, shape, stride_x),  \
		NESTED(type, NUMBER, shape, pad_top), NESTED(type, NUMBER, shape, pad_bottom), \
		NESTED(type, NUMBER, shape, pad_left), NESTED(type, NUMBER, shape, pad_right), \
		NESTED(type, FLAG, shape, average), NESTED(type, FLAG, shape, ceil),           \
		NESTED(type, FLAG, shape, skip_border)

#define OPTIMIZER(type)                                                                        \
	NESTED(type, UPDATE, optimizer, update), NESTED(type, REAL, optimizer, lr),            \
		NESTED(type, REAL, optimizer, momentum), NESTED(type, REAL, optimizer, decay), \
		NESTED(type, REAL, optimizer, beta1), NESTED(type, REAL, optimizer, beta2),    \
		NESTED(type, REAL, optimizer, epsilon)

#define LF struct igrad_linear_forward
#define LB struct igrad_linear_backward
#define CF struct igrad_conv_forward
#define CB struct igrad_conv_backward
#define PF struct igrad_pool_forward
#define PB struct igrad_pool_backward
#define NF struct igrad_batchnorm_forward
#define NB struct igrad_batchnorm_backward
#define PA struct igrad_parameter

static const struct function {
	const char *name;
	int (*call)(struct igrad_cmdbuf *cmdbuf, const void *args);
	struct field fields[32];
} functions[] = {
	{"linear_forward",
	 linear_forward_for,
	 {FIELD(LF, MATRIX, x), FIELD(LF, MATRIX, w), FIELD(LF, MATRIX, b), FIELD(LF, MATRIX, y),
	  FIELD(LF, FLAG, relu)}},
	{"linear_backward",
	 linear_backward,
	 {FIELD(LB, SCHEDULE, schedule), FIELD(LB, MATRIX, x), FIELD(LB, MATRIX, w),
	  FIELD(LB, MATRIX, b), FIELD(LB, MATRIX, y), FIELD(LB, MATRIX, dy), FIELD(LB, MATRIX, dx),
	  FIELD(LB, MATRIX, dw), FIELD(LB, MATRIX, db)}},
	{"conv_forward",
	 conv_forward,
	 {CONV(CF), FIELD(CF, MATRIX, x), FIELD(CF, MATRIX, w), FIELD(CF, MATRIX, b),
	  FIELD(CF, MATRIX, y), FIELD(CF, FLAG, relu)}},
	{"conv_backward",
	 conv_backward,
	 {CONV(CB), FIELD(CB, SCHEDULE, schedule), FIELD(CB, MATRIX, x), FIELD(CB, MATRIX, w),
	  FIELD(CB, MATRIX, b), FIELD(CB, MATRIX, y), FIELD(CB, MATRIX, dy), FIELD(CB, MATRIX, dx),
	  FIELD(CB, MATRIX, dw), FIELD(CB, MATRIX, db)}},
	{"pool_forward",
	 pool_forward,
	 {POOL(PF), FIELD(PF, MATRIX, x), FIELD(PF, MATRIX, y), FIELD(PF, MATRIX, index)}},
	{"pool_backward",
	 pool_backward,
	 {POOL(PB), FIELD(PB, MATRIX, dy), FIELD(PB, MATRIX, index), FIELD(PB, MATRIX, dx)}},
	{"batchnorm_forward",
	 batchnorm_forward,
	 {FIELD(NF, FLAG, training), FIELD(NF, MATRIX, x), FIELD(NF, MATRIX, gamma),
	  FIELD(NF, MATRIX, beta), FIELD(NF, MATRIX, y), FIELD(NF, MATRIX, mean),
	  FIELD(NF, MATRIX, inverse), FIELD(NF, MATRIX, running_mean),
	  FIELD(NF, MATRIX, running_variance), FIELD(NF, REAL, epsilon), FIELD(NF, REAL, momentum),
	  FIELD(NF, FLAG, relu)}},
	{"batchnorm_backward",
	 batchnorm_backward,
	 {FIELD(NB, MATRIX, x), FIELD(NB, MATRIX, gamma), FIELD(NB, MATRIX, mean),
	  FIELD(NB, MATRIX, inverse), FIELD(NB, MATRIX, y), FIELD(NB, MATRIX, dy),
	  FIELD(NB, MATRIX, dx), FIELD(NB, MATRIX, dgamma), FIELD(NB, MATRIX, dbeta)}},
	{"add",
	 add_terms,
	 {FIELD(struct igrad_add, MATRIX, a), FIELD(struct igrad_add, MATRIX, b),
	  FIELD(struct igrad_add, MATRIX, y), FIELD(struct igrad_add, FLAG, relu)}},
	{"relu_forward",
	 relu_forward,
	 {FIELD(struct relu, MATRIX, x), FIELD(struct relu, MATRIX, y)}},
	{"relu_backward",
	 relu_backward,
	 {FIELD(struct relu, MATRIX, y), FIELD(struct relu, MATRIX, dy),
	  FIELD(struct relu, MATRIX, dx)}},
	{"dropout",
	 dropout,
	 {FIELD(struct igrad_dropout, MATRIX, x), FIELD(struct igrad_dropout, MATRIX, y),
	  FIELD(struct igrad_dropout, MATRIX, seed), FIELD(struct igrad_dropout, NUMBER, stream),
	  FIELD(struct igrad_dropout, REAL, rate)}},
	{"copy", copy, {FIELD(struct copy, MATRIX, from), FIELD(struct copy, MATRIX, to)}},
	{"softmax_xent",
	 softmax_xent,
	 {FIELD(struct softmax, MATRIX, logits), FIELD(struct softmax, MATRIX, labels),
	  FIELD(struct softmax, MATRIX, dlogits), FIELD(struct softmax, MATRIX, losses),
	  FIELD(struct softmax, REAL, scale)}},
	{"update",
	 update,
	 {FIELD(PA, MATRIX, w), FIELD(PA, MATRIX, dw), FIELD(PA, MATRIX, v), FIELD(PA, MATRIX, s),
	  FIELD(PA, MATRIX, adam), OPTIMIZER(PA)}},
};

static const struct function *find_function(const char *name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (!strcmp(functions[i].name, name))
			return &functions[i];
	die("no such function", name);
}

static void set(const struct field *field, void *args, const char *value)
{
	static const char *const updates[] = {"none", "sgd", "momentum", "adam"};
	char *at = (char *)args + field->offset;

	switch (field->kind) {
	case NUMBER:
		*(uint32_t *)(void *)at = (uint32_t)strtoul(value, NULL, 10);
		break;
	case FLAG:
		*(bool *)(void *)at = !strcmp(value, "1");
		break;
	case REAL:
		*(float *)(void *)at = strtof(value, NULL);
		break;
	case MATRIX:
		*(const struct igrad_matrix **)(void *)at = find(value);
		break;
	case SCHEDULE:
		must(igrad_schedule_parse(value, (enum igrad_schedule *)(void *)at), value);
		break;
	case UPDATE:
		for (int i = 0; i < 4; i++)
			if (!strcmp(value, updates[i]))
				*(enum igrad_update *)(void *)at = (enum igrad_update)i;
		break;
	}
}

static void set_named(const struct function *function, void *args, char *pair)
{
	char *value = strchr(pair, '=');

	if (!value)
		die("no value", pair);
	*value++ = '\0';
	for (const struct field *f = function->fields; f->name; f++) {
		if (!strcmp(f->name, pair)) {
			set(f, args, value);
			return;
		}
	}
	die(function->name, pair);
}

static void run_line(struct igrad_device *device, struct igrad_cmdbuf *cmdbuf, char *line)
{
	_Alignas(16) char args[512] = {0};
	const struct function *function;
	char name[64], of[64], *word;
	unsigned int a, b;

	if (sscanf(line, "new %63s %u %u", name, &a, &b) == 3) {
		add_new(device, name, a, b);
		return;
	}
	if (sscanf(line, "view %63s %63s %u %u", name, of, &a, &b) == 4) {
		struct igrad_matrix m = *find(of);

		m.pitch = m.pitch ? m.pitch : m.cols * 4;
		m.offset += (uint64_t)a * 4;
		m.cols = b;
		add(name)->m = m;
		matrices[num_matrices - 1].view = true;
		return;
	}
	if (sscanf(line, "reshape %63s %63s %u %u", name, of, &a, &b) == 4) {
		struct igrad_matrix m = *find(of);

		if (m.pitch || (uint64_t)a * b != (uint64_t)m.rows * m.cols)
			die("no such shape", name);
		m.rows = a;
		m.cols = b;
		add(name)->m = m;
		matrices[num_matrices - 1].view = true;
		return;
	}
	word = strtok(line, " \n");
	if (!word)
		return;
	function = find_function(word);
	while ((word = strtok(NULL, " \n")))
		set_named(function, args, word);
	must(function->call(cmdbuf, args), function->name);
}

/* ---------------------------------------------------------------- files */

static void load(struct igrad_device *device, const char *path)
{
	struct igrad_safetensors *file;
	struct igrad_error error;

	if (igrad_safetensors_load(path, &file, &error))
		die(path, error.message);
	for (size_t i = 0; i < igrad_safetensors_length(file); i++) {
		const struct igrad_tensor *t = igrad_safetensors_at(file, i);

		if (t->rank != 2)
			die("not a matrix", t->name);
		memcpy(add_new(device, t->name, (uint32_t)t->shape[0], (uint32_t)t->shape[1]),
		       t->data, t->shape[0] * t->shape[1] * 4);
	}
	igrad_safetensors_unref(file);
}

static void save(const char *path)
{
	static struct igrad_tensor tensors[MOST];
	struct igrad_error error;
	size_t n = 0;

	for (size_t i = 0; i < num_matrices; i++) {
		const struct igrad_matrix *m = &matrices[i].m;

		if (!matrices[i].view)
			tensors[n++] = (struct igrad_tensor){.name = matrices[i].name,
							     .rank = 2,
							     .shape = {m->rows, m->cols},
							     .data = igrad_buffer_map(m->buffer)};
	}
	if (igrad_safetensors_save(path, tensors, n, NULL, 0, &error))
		die(path, error.message);
}

int main(int argc, char **argv)
{
	struct igrad_device *device;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *cmdbuf;
	struct igrad_error error;
	char line[2048];

	if (argc != 4)
		die("usage", "run-layers DEVICE IN.safetensors OUT.safetensors < LIST");
	if (igrad_device_open(argv[1], &device, &error))
		die(argv[1], error.message);
	must(igrad_queue_new(device, &queue), "queue");
	must(igrad_cmdbuf_new(device, &cmdbuf), "commands");
	load(device, argv[2]);
	while (fgets(line, sizeof(line), stdin))
		run_line(device, cmdbuf, line);
	must(igrad_queue_run(queue, cmdbuf, NULL), "job");
	save(argv[3]);
	for (size_t i = 0; i < num_matrices; i++)
		if (!matrices[i].view)
			igrad_buffer_unref(matrices[i].m.buffer);
	igrad_cmdbuf_unref(cmdbuf);
	igrad_queue_unref(queue);
	igrad_device_unref(device);
	return 0;
}
