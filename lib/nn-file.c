// SPDX-License-Identifier: MIT
/* Networks in files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "igrad/safetensors.h"
#include "nn.h"

#define MAX_TENSORS (6 * IGRAD_NET_MAX_LAYERS + 1)

/* The tensors of a network, each with its name and its place in memory. */
struct inventory {
	size_t num;
	struct igrad_tensor tensors[MAX_TENSORS];
	char names[MAX_TENSORS][32];
	void *data[MAX_TENSORS];
};

static void add(struct inventory *inventory, uint32_t layer, const char *what, uint32_t rank,
		const struct igrad_matrix *matrix)
{
	size_t at = inventory->num++;
	struct igrad_tensor *tensor = &inventory->tensors[at];

	snprintf(inventory->names[at], sizeof(inventory->names[at]), "%u.%s", layer, what);
	inventory->data[at] = igrad_matrix_data(matrix);
	*tensor = (struct igrad_tensor){
		.name = inventory->names[at],
		.dtype = IGRAD_DTYPE_F32,
		.rank = rank,
		.shape = {rank == 1 ? matrix->cols : matrix->rows, matrix->cols},
		.data = inventory->data[at],
	};
	if (rank == 1)
		tensor->shape[1] = 0;
}

static void add_steps(struct inventory *inventory, const uint32_t *steps)
{
	size_t at = inventory->num++;

	snprintf(inventory->names[at], sizeof(inventory->names[at]), "adam.steps");
	inventory->data[at] = (void *)(uintptr_t)steps;
	inventory->tensors[at] = (struct igrad_tensor){
		.name = inventory->names[at], .dtype = IGRAD_DTYPE_U32, .data = steps};
}

static struct inventory *take_inventory(const struct igrad_net *net, bool velocity)
{
	struct inventory *inventory = calloc(1, sizeof(*inventory));

	for (uint32_t l = 0; inventory && l < net->num_layers; l++) {
		const struct igrad_layer *layer = &net->layers[l];

		add(inventory, l, "weight", 2, &layer->w);
		add(inventory, l, "bias", 1, &layer->b);
		if (velocity && net->velocities) {
			add(inventory, l, "weight.velocity", 2, &layer->vw);
			add(inventory, l, "bias.velocity", 1, &layer->vb);
		}
		if (velocity && net->squares) {
			add(inventory, l, "weight.square", 2, &layer->sw);
			add(inventory, l, "bias.square", 1, &layer->sb);
		}
	}
	if (inventory && velocity && net->squares)
		add_steps(inventory, &net->adam_steps);
	return inventory;
}

int igrad_net_save(const struct igrad_net *net, const char *path, bool velocity,
		   struct igrad_error *error)
{
	struct inventory *inventory = take_inventory(net, velocity);
	int err;

	if (!inventory)
		return igrad_fail(error, -ENOMEM, "out of memory");
	err = igrad_safetensors_save(path, inventory->tensors, inventory->num, NULL, 0, error);
	free(inventory);
	return err;
}

static size_t words_of(const struct igrad_tensor *tensor)
{
	size_t words = 1;

	for (uint32_t i = 0; i < tensor->rank; i++)
		words *= tensor->shape[i];
	return words;
}

/* Everything is read into memory of its own first: a bad file leaves the network as it was. */
static int read_all(const struct inventory *inventory, const struct igrad_safetensors *file,
		    float **copies, struct igrad_error *error)
{
	for (size_t i = 0; i < inventory->num; i++) {
		const struct igrad_tensor *tensor = &inventory->tensors[i];
		size_t words = words_of(tensor);
		int err;

		copies[i] = calloc(words, sizeof(**copies));
		if (!copies[i])
			return igrad_fail(error, -ENOMEM, "out of memory");
		err = igrad_safetensors_get(file, tensor, copies[i], error);
		if (err)
			return err;
	}
	for (size_t i = 0; i < inventory->num; i++) {
		const struct igrad_tensor *tensor = &inventory->tensors[i];
		size_t words = words_of(tensor);

		memcpy(inventory->data[i], copies[i], words * sizeof(**copies));
	}
	return 0;
}

int igrad_net_load(struct igrad_net *net, const char *path, struct igrad_error *error)
{
	float *copies[MAX_TENSORS] = {0};
	struct igrad_safetensors *file;
	struct inventory *inventory;
	bool velocity, square;
	int err = igrad_safetensors_load(path, &file, error);

	if (err)
		return err;
	/* Velocities and moments go with the parameters when the file has them, unless the network
	 * is trained in another way: then they say nothing. */
	velocity = igrad_safetensors_find(file, "0.weight.velocity");
	square = igrad_safetensors_find(file, "0.weight.square");
	if (net->velocities && square != !!net->squares)
		velocity = false;
	if (velocity)
		err = square ? igrad_net_add_moments(net) : igrad_net_add_velocities(net);
	inventory = err ? NULL : take_inventory(net, velocity);
	if (inventory)
		err = read_all(inventory, file, copies, error);
	else
		err = igrad_fail(error, err ? err : -ENOMEM, "no memory for what %s holds", path);
	for (size_t i = 0; i < MAX_TENSORS; i++)
		free(copies[i]);
	free(inventory);
	igrad_safetensors_unref(file);
	return err;
}
