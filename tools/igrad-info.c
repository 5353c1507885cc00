/* SPDX-License-Identifier: MIT */
/* igrad-info: what a device is and how it is doing. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json.h>

#include "igrad/igrad.h"

#define ANSWER_TIMEOUT_NS 35000000000ll /* longer than any job may take */

static const char usage[] =
	"Usage: igrad-info [--device URI] [--json]\n"
	"\n"
	"Shows every igrad of this machine, or the one named, and runs a job on it that does nothing,\n"
	"to see whether it answers. Without an igrad, shows the simulated one.\n"
	"\n"
	"  -d, --device URI  drm:/dev/accel/accelN, or sim: with properties, as in sim:rows=64,cols=64;\n"
	"                    otherwise $IGRAD_DEVICE, if that is set\n"
	"  -j, --json        print one JSON array\n"
	"  -h, --help        print this\n";

/* struct answer - what became of the job that does nothing; @err: errno, @what: which step */
struct answer {
	int err;
	const char *what;
	double seconds;
	struct igrad_report report;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static int run_nop(struct igrad_queue *queue, struct igrad_cmdbuf *cmdbuf, struct answer *answer)
{
	const struct igrad_cmd nop = {.opcode = IGRAD_OP_NOP};
	struct igrad_fence *fence;
	double start = now();

	igrad_cmdbuf_emit(cmdbuf, &nop, NULL);
	answer->what = "submission";
	answer->err = igrad_queue_submit(queue, cmdbuf, &fence);
	if (answer->err)
		return answer->err;
	answer->what = "job";
	answer->err = igrad_fence_wait(fence, ANSWER_TIMEOUT_NS);
	answer->seconds = now() - start;
	if (!answer->err)
		answer->err = igrad_fence_report(fence, &answer->report);
	igrad_fence_unref(fence);
	return answer->err;
}

static int ask(struct igrad_device *device, struct answer *answer)
{
	struct igrad_queue *queue = NULL;
	struct igrad_cmdbuf *cmdbuf = NULL;

	*answer = (struct answer){.what = "queue"};
	answer->err = igrad_queue_new(device, &queue);
	if (!answer->err)
		answer->err = igrad_cmdbuf_new(device, &cmdbuf);
	if (!answer->err)
		run_nop(queue, cmdbuf, answer);
	igrad_cmdbuf_unref(cmdbuf);
	igrad_queue_unref(queue);
	return answer->err;
}

/* ---------------------------------------------------------------- for people */

static void print_bytes(uint64_t bytes)
{
	if (bytes % (1 << 20))
		printf("%" PRIu64 " KiB", bytes >> 10);
	else
		printf("%" PRIu64 " MiB", bytes >> 20);
}

static void print_device(struct igrad_device *device, const struct answer *answer)
{
	const struct igrad_device_info *info = igrad_device_info(device);

	printf("%s\n", igrad_device_uri(device));
	printf("  hardware   version %u.%u\n", info->hw_version >> 16, info->hw_version & 0xffff);
	printf("  array      %u × %u, shadow registers %s\n", info->rows, info->cols,
	       info->features & IGRAD_FEATURE_OVERLAP ? "on" : "off");
	printf("  SRAM       ");
	print_bytes(info->sram_bytes);
	printf("\n  DRAM       %u bytes a cycle in each direction, latency %u cycles\n",
	       info->dram_bytes_per_cycle, info->dram_latency);
	printf("  clock      %.6g MHz, at most %.6g GFLOP/s\n", info->clock_hz * 1e-6,
	       2e-9 * info->rows * info->cols * info->clock_hz);
	printf("  addresses  0x%" PRIx64 " to 0x%" PRIx64 "\n", info->va_start, info->va_end);
	if (answer->err)
		printf("  state      failing: the %s gave: %s\n", answer->what,
		       igrad_strerror(answer->err));
	else
		printf("  state      answers: a job took %.3g ms\n", answer->seconds * 1e3);
}

/* ---------------------------------------------------------------- for programs */

static struct json_object *device_json(struct igrad_device *device, const struct answer *answer)
{
	const struct igrad_device_info *info = igrad_device_info(device);
	struct json_object *object = json_object_new_object();
	struct json_object *state = json_object_new_object();

	json_object_object_add(object, "device", json_object_new_string(igrad_device_uri(device)));
	json_object_object_add(object, "hw_version", json_object_new_int64(info->hw_version));
	json_object_object_add(object, "rows", json_object_new_int64(info->rows));
	json_object_object_add(object, "cols", json_object_new_int64(info->cols));
	json_object_object_add(object, "overlap",
			       json_object_new_boolean(info->features & IGRAD_FEATURE_OVERLAP));
	json_object_object_add(object, "sram_bytes", json_object_new_int64(info->sram_bytes));
	json_object_object_add(object, "dram_bytes_per_cycle",
			       json_object_new_int64(info->dram_bytes_per_cycle));
	json_object_object_add(object, "dram_latency", json_object_new_int64(info->dram_latency));
	json_object_object_add(object, "clock_hz", json_object_new_uint64(info->clock_hz));
	json_object_object_add(object, "va_start", json_object_new_uint64(info->va_start));
	json_object_object_add(object, "va_end", json_object_new_uint64(info->va_end));
	json_object_object_add(object, "state", state);
	json_object_object_add(state, "ok", json_object_new_boolean(!answer->err));
	if (answer->err) {
		json_object_object_add(state, "failed", json_object_new_string(answer->what));
		json_object_object_add(state, "error",
				       json_object_new_string(igrad_strerror(answer->err)));
	} else {
		json_object_object_add(state, "seconds", json_object_new_double(answer->seconds));
		json_object_object_add(state, "cycles",
				       json_object_new_uint64(answer->report.cycles));
	}
	return object;
}

/* ---------------------------------------------------------------- */

/* Shows one device; @list is for JSON, else NULL. Returns whether it answers. */
static bool show(const char *uri, struct json_object *list)
{
	struct igrad_device *device;
	struct igrad_error error;
	struct answer answer;

	if (igrad_device_open(uri, &device, &error)) {
		fprintf(stderr, "igrad-info: %s\n", error.message);
		return false;
	}
	ask(device, &answer);
	if (list)
		json_object_array_add(list, device_json(device, &answer));
	else
		print_device(device, &answer);
	igrad_device_unref(device);
	return !answer.err;
}

static bool show_all(struct json_object *list)
{
	bool ok = true;
	char **uris;
	int n = igrad_device_list(&uris);

	if (n <= 0)
		return show(NULL, list); /* the simulated one, or the reason why there is none */
	for (int i = 0; i < n; i++)
		ok = show(uris[i], list) && ok;
	free(uris);
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"device", required_argument, NULL, 'd'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *uri = getenv("IGRAD_DEVICE");
	struct json_object *list = NULL;
	bool ok;
	int opt;

	while ((opt = getopt_long(argc, argv, "d:jh", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			uri = optarg;
			break;
		case 'j':
			list = list ? list : json_object_new_array();
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "igrad-info: unexpected argument '%s'\n%s", argv[optind], usage);
		return 2;
	}

	ok = uri && *uri ? show(uri, list) : show_all(list);
	if (list)
		puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY |
								  JSON_C_TO_STRING_SPACED |
								  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(list);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "igrad-info: cannot write: %s\n", strerror(errno));
		return 1;
	}
	return ok ? 0 : 1;
}
