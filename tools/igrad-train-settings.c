// SPDX-License-Identifier: MIT
/* igrad-train's command line. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "igrad-train.h"

/* For messages and help; there is one command line in a program. */
static const char *program, *introduction;

static const char usage[] =
	"\n"
	"Training:\n"
	"  -b, --batch N       rows a step (64); rows that do not fill a batch wait for another epoch\n"
	"  -e, --epochs N      passes over the training images (5)\n"
	"  -n, --steps N       stop after so many steps, over as many epochs as that takes unless --epochs is given\n"
	"      --optimizer X   sgd or adam (sgd)\n"
	"  -r, --lr X          learning rate (0.1; adam: 0.001)\n"
	"      --lr-schedule S how it falls from epoch to epoch: constant; step:N:X, times X every N epochs; cosine,\n"
	"                      which over all epochs together is half a wave down towards 0 (constant)\n"
	"  -m, --momentum X    momentum of sgd (0: none; the update is then fused where the schedule can)\n"
	"      --beta1 X, --beta2 X, --epsilon X  what adam keeps of each moment, and adds to the root (0.9, 0.999, 1e-8)\n"
	"  -w, --decay X       weight decay, of weights and biases (0)\n"
	"  -s, --seed N        of initial weights and of the order of images (1)\n"
	"      --schedule S    of the backward pass: ws-paper, ws, ws+os, interleaved, or auto, which takes the\n"
	"                      best for each layer (interleaved); the results are the same bit for bit\n"
	"      --objective O   what layers are cut for, and auto goes by: cycles, energy or dram (cycles)\n"
	"      --shift N       move each image by up to N pixels in both directions, at random (0)\n"
	"      --flip          mirror each image left to right, or not, at random\n"
	"      --dtype T       of activations and their gradients: fp32 or bf16 (fp32); sums and parameters\n"
	"                      stay fp32\n"
	"\n"
	"Files:\n"
	"      --data DIR      IDX files train-images-idx3-ubyte and so on, gzipped or not; otherwise\n"
	"                      $IGRAD_DATA, else the first that is there of\n"
	"                      $IGRAD_CACHE/fashion-mnist (~/.cache/igrad/fashion-mnist),\n"
	"                      /usr/share/datasets/fashion-mnist and /data\n"
	"      --load FILE     start from these parameters (safetensors)\n"
	"      --save FILE     write the parameters when training ends, with velocities or moments if there are any\n"
	"      --checkpoint FILE  write all that the training needs to go on, after each epoch and at the end\n"
	"      --checkpoint-every N  and after every N steps\n"
	"      --resume FILE   go on from a checkpoint, with the same options: what comes out has the same bits as\n"
	"                      if the training had not stopped\n"
	"      --dry-run       only build the training step: says what is in the way, if something is\n"
	"      --eval          only evaluate on the test images; goes with --load\n"
	"\n"
	"Device:\n"
	"  -d, --device URI    drm:/dev/accel/accelN, or sim: with properties as in sim:rows=64,cols=64;\n"
	"                      otherwise $IGRAD_DEVICE, else the first igrad of this machine, else sim:\n"
	"  -t, --threads N     host threads of a sim: device\n"
	"\n"
	"Output:\n"
	"  -j, --json          one JSON object instead of text\n"
	"  -h, --help          this\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted or 143 terminated (the step is finished, parameters\n"
	"are saved as asked).\n";

enum {
	OPT_SCHEDULE = 256,
	OPT_OBJECTIVE,
	OPT_DTYPE,
	OPT_DATA,
	OPT_LOAD,
	OPT_SAVE,
	OPT_EVAL,
	OPT_OPTIMIZER,
	OPT_BETA1,
	OPT_BETA2,
	OPT_EPSILON,
	OPT_NET,
	OPT_LR_SCHEDULE,
	OPT_SHIFT,
	OPT_FLIP,
	OPT_CHECKPOINT,
	OPT_CHECKPOINT_EVERY,
	OPT_RESUME,
	OPT_DRY_RUN
};

static const struct option options[] = {
	{"batch", required_argument, NULL, 'b'},
	{"epochs", required_argument, NULL, 'e'},
	{"steps", required_argument, NULL, 'n'},
	{"lr", required_argument, NULL, 'r'},
	{"momentum", required_argument, NULL, 'm'},
	{"optimizer", required_argument, NULL, OPT_OPTIMIZER},
	{"beta1", required_argument, NULL, OPT_BETA1},
	{"beta2", required_argument, NULL, OPT_BETA2},
	{"epsilon", required_argument, NULL, OPT_EPSILON},
	{"decay", required_argument, NULL, 'w'},
	{"net", required_argument, NULL, OPT_NET},
	{"lr-schedule", required_argument, NULL, OPT_LR_SCHEDULE},
	{"shift", required_argument, NULL, OPT_SHIFT},
	{"flip", no_argument, NULL, OPT_FLIP},
	{"checkpoint", required_argument, NULL, OPT_CHECKPOINT},
	{"checkpoint-every", required_argument, NULL, OPT_CHECKPOINT_EVERY},
	{"resume", required_argument, NULL, OPT_RESUME},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"seed", required_argument, NULL, 's'},
	{"schedule", required_argument, NULL, OPT_SCHEDULE},
	{"dtype", required_argument, NULL, OPT_DTYPE},
	{"objective", required_argument, NULL, OPT_OBJECTIVE},
	{"data", required_argument, NULL, OPT_DATA},
	{"load", required_argument, NULL, OPT_LOAD},
	{"save", required_argument, NULL, OPT_SAVE},
	{"eval", no_argument, NULL, OPT_EVAL},
	{"device", required_argument, NULL, 'd'},
	{"threads", required_argument, NULL, 't'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static uint64_t number(const char *option, const char *text, uint64_t low, uint64_t high)
{
	return whole_number(option, text, 0, low, high);
}

/* How much of something stays. */
static float share(const char *option, const char *text)
{
	float value = real(option, text);

	if (value >= 1.0f)
		wrong("--%s %s: a number below 1 is needed", option, text);
	return value;
}

static void set_rate_schedule(struct settings *s, const char *value)
{
	int used = 0;

	if (!strcmp(value, "constant")) {
		s->rate_schedule = RATE_CONSTANT;
	} else if (!strcmp(value, "cosine")) {
		s->rate_schedule = RATE_COSINE;
	} else {
		s->rate_schedule = RATE_STEP;
		if (sscanf(value, "step:%" SCNu32 ":%f%n", &s->rate_epochs, &s->rate_factor,
			   &used) != 2 ||
		    value[used] || !s->rate_epochs || !(s->rate_factor > 0.0f) ||
		    !isfinite(s->rate_factor))
			wrong("--lr-schedule %s: there are constant, cosine, and step:N:X as in step:3:0.1",
			      value);
	}
}

/* Options of networks in files, of images and of files; false: none of them. */
static bool set_further_option(struct settings *s, int option, const char *value)
{
	switch (option) {
	case OPT_NET:
		s->net = value;
		return true;
	case OPT_LR_SCHEDULE:
		set_rate_schedule(s, value);
		return true;
	case OPT_SHIFT:
		s->train.shift = (uint32_t)number("shift", value, 0, 65535);
		return true;
	case OPT_FLIP:
		s->train.flip = true;
		return true;
	case OPT_CHECKPOINT:
		s->checkpoint = value;
		return true;
	case OPT_CHECKPOINT_EVERY:
		s->checkpoint_every = (uint32_t)number("checkpoint-every", value, 1,
						       UINT32_MAX - 1);
		return true;
	case OPT_RESUME:
		s->resume = value;
		return true;
	case OPT_DRY_RUN:
		s->dry_run = true;
		return true;
	default:
		return false;
	}
}

static void set_option(struct settings *s, int option, const char *value)
{
	struct igrad_optimizer *optimizer = &s->train.optimizer;

	if (set_further_option(s, option, value))
		return;
	switch (option) {
	case 'b':
		s->batch_given = true;
		s->train.batch = number("batch", value, 1, IGRAD_MAX_BATCH);
		break;
	case 'e':
		s->epochs = number("epochs", value, 1, 1000000);
		break;
	case 'n':
		s->steps = number("steps", value, 1, UINT32_MAX - 1);
		break;
	case 'r':
		optimizer->lr = real("lr", value);
		break;
	case 'm':
		optimizer->momentum = real("momentum", value);
		break;
	case OPT_OPTIMIZER:
		if (strcmp(value, "sgd") && strcmp(value, "adam"))
			wrong("--optimizer %s: there are sgd, with momentum or without, and adam",
			      value);
		optimizer->update = strcmp(value, "adam") ? IGRAD_UPDATE_SGD : IGRAD_UPDATE_ADAM;
		break;
	case OPT_BETA1:
		optimizer->beta1 = share("beta1", value);
		break;
	case OPT_BETA2:
		optimizer->beta2 = share("beta2", value);
		break;
	case OPT_EPSILON:
		optimizer->epsilon = real("epsilon", value);
		break;
	case 'w':
		optimizer->decay = real("decay", value);
		break;
	case 's':
		s->seed = number("seed", value, 0, UINT64_MAX);
		break;
	case OPT_SCHEDULE:
		if (igrad_schedule_parse(value, &s->train.schedule))
			wrong("--schedule %s: there are ws-paper, ws, ws+os, interleaved and auto",
			      value);
		break;
	case OPT_DTYPE:
		if (strcmp(value, "fp32") && strcmp(value, "bf16"))
			wrong("--dtype %s: there are fp32 and bf16", value);
		s->dtype = strcmp(value, "bf16") ? IGRAD_FP32 : IGRAD_BF16;
		break;
	case OPT_OBJECTIVE:
		if (igrad_objective_parse(value, &s->train.objective))
			wrong("--objective %s: there are cycles, energy and dram", value);
		break;
	case OPT_DATA:
		s->data = value;
		break;
	case OPT_LOAD:
		s->load = value;
		break;
	case OPT_SAVE:
		s->save = value;
		break;
	case OPT_EVAL:
		s->eval_only = true;
		break;
	case 'd':
		s->device = value;
		break;
	case 't':
		s->threads = number("threads", value, 1, 64);
		break;
	case 'j':
		s->json = true;
		break;
	case 'h':
		printf("%s%s", introduction, usage);
		exit(EXIT_OK);
	default:
		fprintf(stderr, "Try '%s --help'.\n", program);
		exit(EXIT_USAGE);
	}
}

static void set_default(struct settings *s)
{
	*s = (struct settings){
		.steps = UINT32_MAX,
		.seed = 1,
		.train =
			{
				.batch = 64,
				.schedule = IGRAD_SCHEDULE_INTERLEAVED,
				.optimizer = {.update = IGRAD_UPDATE_SGD,
					      .lr = NAN, /* depends */
					      .beta1 = 0.9f,
					      .beta2 = 0.999f,
					      .epsilon = 1e-8f},
			},
	};
}

static void check_settings(struct settings *s)
{
	struct igrad_optimizer *optimizer = &s->train.optimizer;
	bool adam = optimizer->update == IGRAD_UPDATE_ADAM;

	if (!s->epochs)
		s->epochs = s->steps == UINT32_MAX ? 5 : UINT32_MAX; /* as many as steps take */
	if (isnan(optimizer->lr))
		optimizer->lr = adam ? 0.001f : 0.1f;
	if (adam && optimizer->momentum != 0.0f)
		wrong("--momentum does not go with adam: its is --beta1");
	if (optimizer->momentum != 0.0f)
		optimizer->update = IGRAD_UPDATE_MOMENTUM;
	if (s->eval_only && s->save)
		wrong("--eval changes nothing that --save could save");
	if (s->eval_only && (s->checkpoint || s->resume || s->dry_run))
		wrong("--eval goes without --checkpoint, --resume and --dry-run");
	if (s->checkpoint_every && !s->checkpoint)
		wrong("--checkpoint-every needs --checkpoint");
	if (s->resume && s->load)
		wrong("--resume and --load both say where to begin");
	if (s->rate_schedule == RATE_COSINE && s->epochs == UINT32_MAX)
		wrong("--lr-schedule cosine needs --epochs");
}

float settings_rate(const struct settings *s, uint32_t epoch)
{
	double lr = s->train.optimizer.lr;

	if (s->rate_schedule == RATE_STEP)
		lr *= pow(s->rate_factor, epoch / s->rate_epochs);
	else if (s->rate_schedule == RATE_COSINE)
		lr *= (1.0 + cos(acos(-1.0) * epoch / s->epochs)) / 2.0;
	return (float)lr;
}

/* With cosine, how long it is matters from the start. */
void settings_describe(const struct settings *s, const char *network, char *text, size_t size)
{
	static const char *const schedules[] = {"constant", "step", "cosine"};
	const struct igrad_optimizer *o = &s->train.optimizer;

	snprintf(text, size,
		 "%.60s batch %u seed %" PRIu64
		 " %s lr %.9g %.9g/%.9g/%.9g/%.9g decay %.9g %s %u %.9g "
		 "shift %u%s %s",
		 network, s->train.batch, s->seed, o->update == IGRAD_UPDATE_ADAM ? "adam" : "sgd",
		 o->lr, o->momentum, o->beta1, o->beta2, o->epsilon, o->decay,
		 schedules[s->rate_schedule],
		 s->rate_schedule == RATE_COSINE ? s->epochs : s->rate_epochs, s->rate_factor,
		 s->train.shift, s->train.flip ? " flip" : "",
		 s->dtype == IGRAD_BF16 ? "bf16" : "fp32");
}

void settings_parse(struct settings *s, int argc, char **argv, const char *layers,
		    const char *intro)
{
	int option;

	program = basename(argv[0]);
	arguments_begin(program, program);
	introduction = intro;
	set_default(s);
	while ((option = getopt_long(argc, argv, "b:e:n:r:m:w:s:d:t:jh", options, NULL)) != -1)
		set_option(s, option, optarg);
	if (layers && s->net)
		wrong("--net is igrad-train's: the network here is %s", layers);
	if (!layers && !s->net && optind == argc)
		wrong("which network? Widths are needed, as in 784-256-128-10, or --net");
	if (layers)
		s->layers = layers;
	else if (!s->net)
		s->layers = argv[optind++];
	if (optind != argc)
		wrong("'%s' is too much", argv[optind]);
	check_settings(s);
}
