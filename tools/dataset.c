// SPDX-License-Identifier: MIT
/* Data sets: where they are, and reading them. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset.h"

__attribute__((format(printf, 3, 4))) static int fail(struct igrad_error *error, int err,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return err;
}

/* ---------------------------------------------------------------- where */

static bool holds_images(const char *dir)
{
	static const char *const endings[] = {".gz", ""};
	char path[PATH_MAX];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/train-images-idx3-ubyte%s", dir, endings[i]);
		if (!access(path, F_OK))
			return true;
	}
	return false;
}

static bool in_cache(char *dir, size_t size)
{
	const char *cache = getenv("IGRAD_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (cache && *cache)
		snprintf(dir, size, "%s/fashion-mnist", cache);
	else if (xdg && *xdg)
		snprintf(dir, size, "%s/igrad/fashion-mnist", xdg);
	else if (home && *home)
		snprintf(dir, size, "%s/.cache/igrad/fashion-mnist", home);
	else
		return false;
	return holds_images(dir);
}

int dataset_find(const char *option, char *dir, size_t size, struct igrad_error *error)
{
	static const char *const places[] = {"/usr/share/datasets/fashion-mnist", "/data"};
	const char *variable = getenv("IGRAD_DATA");

	if (!option && variable && *variable)
		option = variable;
	if (option) {
		snprintf(dir, size, "%s", option);
		return 0;
	}
	if (in_cache(dir, size))
		return 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(dir, size, "%s", places[i]);
		if (holds_images(dir))
			return 0;
	}
	return fail(error, -ENOENT,
		    "no data set found: 'make fetch-data' fetches it, the package "
		    "dataset-fashion-mnist has it, and --data names another directory");
}

/* ---------------------------------------------------------------- reading */

static int load_file(const char *dir, const char *name, uint32_t rank, struct igrad_idx *idx,
		     struct igrad_error *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.gz", dir, name);
	if (access(path, F_OK))
		snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (access(path, F_OK))
		return fail(error, -errno, "%.120s: no %s or %s.gz: %s", dir, name, name,
			    strerror(errno));
	return igrad_idx_load(path, rank, idx, error);
}

static int check(const char *dir, const char *which, struct dataset *data,
		 struct igrad_error *error)
{
	uint64_t features = (uint64_t)data->images.dims[1] * data->images.dims[2];

	if (data->images.dims[0] != data->labels.dims[0])
		return fail(error, -EBADMSG, "%s: %u %s images, but %u labels", dir,
			    data->images.dims[0], which, data->labels.dims[0]);
	if (!data->images.dims[0] || !features || features > UINT32_MAX)
		return fail(error, -EBADMSG, "%s: the %s images are empty", dir, which);
	data->rows = (struct igrad_dataset){
		.images = data->images.data,
		.labels = data->labels.data,
		.count = data->images.dims[0],
		.features = features,
	};
	return 0;
}

int dataset_load(const char *dir, const char *which, struct dataset *data,
		 struct igrad_error *error)
{
	char name[64];
	int err;

	memset(data, 0, sizeof(*data));
	snprintf(name, sizeof(name), "%s-images-idx3-ubyte", which);
	err = load_file(dir, name, 3, &data->images, error);
	if (err)
		return err;
	snprintf(name, sizeof(name), "%s-labels-idx1-ubyte", which);
	err = load_file(dir, name, 1, &data->labels, error);
	if (!err)
		err = check(dir, which, data, error);
	if (err)
		dataset_fini(data);
	return err;
}

void dataset_fini(struct dataset *data)
{
	igrad_idx_fini(&data->images);
	igrad_idx_fini(&data->labels);
	memset(data, 0, sizeof(*data));
}
