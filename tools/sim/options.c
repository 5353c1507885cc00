// SPDX-License-Identifier: MIT
/* igrad-sim's command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "igrad-sim.h"
#include "options.h"

/* ---------------------------------------------------------------- values */

static uint32_t number(const char *option, const char *text, uint32_t low, uint32_t high)
{
	return (uint32_t)whole_number(option, text, 10, low, high);
}

/* One of @words, which ends with NULL: its place. */
static unsigned int choice(const char *option, const char *text, const char *const *words)
{
	char list[128] = "";

	for (unsigned int i = 0; words[i]; i++) {
		if (!strcmp(text, words[i]))
			return i;
		strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
		strncat(list, words[i], sizeof(list) - strlen(list) - 1);
	}
	wrong("--%s %s: there are %s", option, text, list);
}

/* "ws" or "ws,interleaved" */
static uint32_t schedules(char *list)
{
	const char *names[IGRAD_NUM_SCHEDULES + 1] = {0}, *item;
	uint32_t set = 0;

	for (int i = 0; i < IGRAD_NUM_SCHEDULES; i++)
		names[i] = igrad_schedule_name(i);
	while ((item = strsep(&list, ",")))
		set |= 1u << choice("schedule", item, names);
	return set;
}

static enum igrad_objective objective(const char *text)
{
	const char *names[IGRAD_NUM_OBJECTIVES + 1] = {0};

	for (int i = 0; i < IGRAD_NUM_OBJECTIVES; i++)
		names[i] = igrad_objective_name(i);
	return choice("objective", text, names);
}

static enum igrad_update optimizer(const char *text)
{
	static const char *const names[] = {"sgd", "momentum", "adam", NULL};

	switch (choice("optimizer", text, names)) {
	case 0:
		return IGRAD_UPDATE_SGD;
	case 1:
		return IGRAD_UPDATE_MOMENTUM;
	default:
		return IGRAD_UPDATE_ADAM;
	}
}

/* "32" or "16x64" */
static struct array_size array_size(const char *option, char *text)
{
	char *cross = strchr(text, 'x');
	struct array_size size;

	if (cross)
		*cross = '\0';
	size.rows = number(option, text, 1, 256);
	size.cols = cross ? number(option, cross + 1, 1, 256) : size.rows;
	return size;
}

static void array_sizes(struct settings *s, char *list)
{
	char *item;

	for (s->num_arrays = 0; (item = strsep(&list, ",")); s->num_arrays++) {
		if (s->num_arrays == MAX_SWEEP)
			wrong("--arrays: at most %d sizes", MAX_SWEEP);
		s->arrays[s->num_arrays] = array_size("arrays", item);
	}
}

static void batch_sizes(struct settings *s, char *list)
{
	char *item;

	for (s->num_batches = 0; (item = strsep(&list, ",")); s->num_batches++) {
		if (s->num_batches == MAX_SWEEP)
			wrong("--batches: at most %d sizes", MAX_SWEEP);
		s->batches[s->num_batches] = number("batches", item, 1, IGRAD_MAX_BATCH);
	}
}

/* ---------------------------------------------------------------- options */

static const struct option options[] = {
	{"in", required_argument, NULL, OPT_IN},
	{"out", required_argument, NULL, OPT_OUT},
	{"batch", required_argument, NULL, OPT_BATCH},
	{"rows", required_argument, NULL, OPT_ROWS},
	{"cols", required_argument, NULL, OPT_COLS},
	{"overlap", required_argument, NULL, OPT_OVERLAP},
	{"sram-kib", required_argument, NULL, OPT_SRAM},
	{"dram-bytes-per-cycle", required_argument, NULL, OPT_DRAM_WIDTH},
	{"dram-latency", required_argument, NULL, OPT_DRAM_LATENCY},
	{"schedule", required_argument, NULL, OPT_SCHEDULE},
	{"objective", required_argument, NULL, OPT_OBJECTIVE},
	{"decay", required_argument, NULL, OPT_DECAY},
	{"optimizer", required_argument, NULL, OPT_OPTIMIZER},
	{"dtype", required_argument, NULL, OPT_DTYPE},
	{"image", required_argument, NULL, OPT_IMAGE},
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"stride", required_argument, NULL, OPT_STRIDE},
	{"pad", required_argument, NULL, OPT_PAD},
	{"dilation", required_argument, NULL, OPT_DILATION},
	{"groups", required_argument, NULL, OPT_GROUPS},
	{"no-input-gradient", no_argument, NULL, OPT_FIRST},
	{"bias", no_argument, NULL, OPT_BIAS},
	{"relu", no_argument, NULL, OPT_RELU},
	{"forward", no_argument, NULL, OPT_FORWARD},
	{"shapes", no_argument, NULL, OPT_SHAPES},
	{"energy", required_argument, NULL, OPT_ENERGY},
	{"intergrad", no_argument, NULL, OPT_INTERGRAD},
	{"area", required_argument, NULL, OPT_AREA},
	{"arrays", required_argument, NULL, OPT_ARRAYS},
	{"batches", required_argument, NULL, OPT_BATCHES},
	{"plot", required_argument, NULL, OPT_PLOT},
	{"input", required_argument, NULL, OPT_INPUT},
	{"trace", required_argument, NULL, OPT_TRACE},
	{"svg", required_argument, NULL, OPT_SVG},
	{"csv", no_argument, NULL, OPT_CSV},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

static const char *option_name(int option)
{
	int i = 0;

	while (options[i].val != option)
		i++;
	return options[i].name;
}

static void set_machine(struct machine *m, int option, const char *value)
{
	static const char *const off_on[] = {"off", "on", NULL};

	switch (option) {
	case OPT_ROWS:
		m->array.rows = number("rows", value, 1, 256);
		break;
	case OPT_COLS:
		m->array.cols = number("cols", value, 1, 256);
		break;
	case OPT_OVERLAP:
		m->overlap = choice("overlap", value, off_on);
		break;
	case OPT_SRAM:
		m->sram_kib = number("sram-kib", value, 16, 262144);
		break;
	case OPT_DRAM_WIDTH:
		m->dram_width = number("dram-bytes-per-cycle", value, 1, 65536);
		break;
	case OPT_DRAM_LATENCY:
		m->dram_latency = number("dram-latency", value, 0, 1000000);
		break;
	}
}

static void set_layer(struct settings *s, int option, const char *value)
{
	switch (option) {
	case OPT_IN:
		s->layer.in = number("in", value, 1, 1u << 24);
		break;
	case OPT_OUT:
		s->layer.out = number("out", value, 1, 1u << 24);
		break;
	case OPT_BATCH:
		s->layer.batch = number("batch", value, 1, 1u << 24);
		s->batch_given = true;
		break;
	case OPT_FIRST:
		s->layer.first = true;
		break;
	case OPT_BIAS:
		s->layer.bias = true;
		break;
	case OPT_RELU:
		s->layer.relu = true;
		break;
	case OPT_FORWARD:
		s->forward = true;
		break;
	}
}

static void set_manner(struct settings *s, int option, char *value)
{
	static const char *const dtypes[] = {"fp32", "bf16", NULL};

	switch (option) {
	case OPT_SCHEDULE:
		s->schedules = schedules(value);
		break;
	case OPT_OBJECTIVE:
		s->manner.objective = objective(value);
		break;
	case OPT_DECAY:
		s->manner.optimizer.decay = real("decay", value);
		break;
	case OPT_OPTIMIZER:
		s->manner.optimizer.update = optimizer(value);
		break;
	case OPT_DTYPE:
		s->manner.bf16 = choice("dtype", value, dtypes);
		break;
	}
}

static void set_output(struct settings *s, int option, char *value)
{
	static const char *const inputs[] = {"conv", "gemm", NULL};

	switch (option) {
	case OPT_ENERGY:
		s->energy = value;
		break;
	case OPT_INTERGRAD:
		s->intergrad = true;
		break;
	case OPT_AREA:
		s->area = value;
		break;
	case OPT_ARRAYS:
		array_sizes(s, value);
		break;
	case OPT_BATCHES:
		batch_sizes(s, value);
		break;
	case OPT_PLOT:
		s->plot = value;
		break;
	case OPT_INPUT:
		s->gemm = choice("input", value, inputs);
		break;
	case OPT_TRACE:
		s->trace = value;
		break;
	case OPT_SVG:
		s->svg = value;
		break;
	case OPT_SHAPES:
		s->shapes = true;
		break;
	case OPT_CSV:
		s->csv = true;
		break;
	case OPT_JSON:
		s->json = true;
		break;
	}
}

static void set_option(struct settings *s, const struct command *c, int option, char *value)
{
	if (option == OPT_HELP) {
		fputs(help, stdout);
		exit(EXIT_OK);
	}
	if (option < OPT_IN || option > OPT_HELP) {
		fprintf(stderr, "Try 'igrad-sim --help'.\n");
		exit(EXIT_USAGE);
	}
	if (!(c->options & OPT_BIT(option)))
		wrong("--%s does not go with %s", option_name(option), c->name);
	set_machine(&s->machine, option, value);
	set_layer(s, option, value);
	window_set(&s->layer.window, option, value);
	set_manner(s, option, value);
	set_output(s, option, value);
}

static void set_default(struct settings *s, const struct command *c)
{
	static const uint32_t sizes[] = {16, 32, 64, 128},
			      batches[] = {8, 16, 32, 64, 128, 256, 512};

	*s = (struct settings){
		.machine = {{32, 32}, true, 4096, 64, 100},
		.layer = {.batch = 64,
			  .window = {.stride_y = 1,
				     .stride_x = 1,
				     .dilation_y = 1,
				     .dilation_x = 1,
				     .groups = 1}},
		.manner = {.optimizer = {IGRAD_UPDATE_SGD, .lr = 0.01f, .momentum = 0.9f}},
		.plot = "utilization",
		.num_arrays = sizeof(sizes) / sizeof(sizes[0]),
		.num_batches = sizeof(batches) / sizeof(batches[0]),
	};
	for (uint32_t i = 0; i < s->num_arrays; i++)
		s->arrays[i] = (struct array_size){sizes[i], sizes[i]};
	memcpy(s->batches, batches, sizeof(batches));
	for (int i = 0; i < IGRAD_NUM_SCHEDULES; i++)
		s->schedules |= 1u << i;
	if (c->options & OPT_BIT(OPT_INTERGRAD)) /* about a core of a TPU v2 */
		s->machine = (struct machine){{128, 128}, true, 16384, 512, 100};
}

void settings_parse(struct settings *s, const struct command *c, int argc, char **argv)
{
	const unsigned long long with_shapes = OPT_BIT(OPT_SHAPES) | OPT_BIT(OPT_INPUT) |
					       OPT_BIT(OPT_JSON);
	unsigned long long given = 0;
	static char name[64];
	int option;

	snprintf(name, sizeof(name), "igrad-sim %s", c->name);
	arguments_begin(name, "igrad-sim");
	argv[0] = name; /* for getopt's messages */
	set_default(s, c);
	while ((option = getopt_long(argc, argv, "i:j", options, NULL)) != -1) {
		option = option == 'i' ? OPT_INPUT : option == 'j' ? OPT_JSON : option;
		set_option(s, c, option, optarg);
		given |= OPT_BIT(option);
	}
	s->files = argv + optind;
	s->num_files = argc - optind;
	if (c->files && !c->optional && !s->num_files)
		wrong("which %s?", c->files);
	if (!c->files && s->num_files)
		wrong("'%s' is too much", s->files[0]);
	if (c->options & OPT_BIT(OPT_IN) && (!s->layer.in || !s->layer.out))
		wrong("--in and --out are needed");
	window_check(&s->layer, given);
	if (s->shapes && given & ~with_shapes)
		wrong("--shapes goes with --json and --input alone: nothing is simulated");
	if (c->options & OPT_BIT(OPT_INTERGRAD) && !s->intergrad &&
	    (s->num_files || given & ~OPT_BIT(OPT_JSON)))
		wrong("without --intergrad there is --json alone: layers and devices are given");
	if (s->json && s->csv)
		wrong("--json or --csv");
}
