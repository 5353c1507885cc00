// SPDX-License-Identifier: MIT
/* Networks in files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "nn.h"

#define MAX_NAME 160

/* The tensors of a network, each with its name and its place in memory. */
struct inventory {
	size_t num;
	struct igrad_tensor *tensors;
	char (*names)[MAX_NAME];
	void **data;
};

static void inventory_fini(struct inventory *inventory)
{
	free(inventory->tensors);
	free(inventory->names);
	free(inventory->data);
}

static bool inventory_init(struct inventory *inventory, size_t room)
{
	inventory->num = 0;
	inventory->tensors = calloc(room, sizeof(*inventory->tensors));
	inventory->names = calloc(room, sizeof(*inventory->names));
	inventory->data = calloc(room, sizeof(*inventory->data));
	if (inventory->tensors && inventory->names && inventory->data)
		return true;
	inventory_fini(inventory);
	return false;
}

/* Weights of convolutions have four dimensions. */
static void set_shape(struct igrad_tensor *tensor, const struct igrad_node *node, bool is_weight,
		      const struct igrad_matrix *matrix)
{
	if (!is_weight || node->d.kind == IGRAD_LAYER_BATCHNORM) {
		tensor->rank = 1;
		tensor->shape[0] = matrix->cols;
		return;
	}
	tensor->rank = 2;
	tensor->shape[0] = matrix->rows;
	tensor->shape[1] = matrix->cols;
	if (node->d.kind != IGRAD_LAYER_CONV)
		return;
	tensor->rank = 4;
	tensor->shape[0] = node->d.kernel_y;
	tensor->shape[1] = node->d.kernel_x;
	tensor->shape[2] = matrix->rows / node->d.kernel_y / node->d.kernel_x;
	tensor->shape[3] = matrix->cols;
}

static void add(struct inventory *inventory, const struct igrad_node *node, const char *what,
		const struct igrad_matrix *matrix)
{
	size_t at = inventory->num;
	struct igrad_tensor *tensor = &inventory->tensors[at];

	if (!matrix->buffer)
		return;
	inventory->num++;
	snprintf(inventory->names[at], MAX_NAME, "%s.%s", node->name, what);
	inventory->data[at] = igrad_matrix_data(matrix);
	*tensor = (struct igrad_tensor){
		.name = inventory->names[at],
		.dtype = IGRAD_DTYPE_F32,
		.data = inventory->data[at],
	};
	set_shape(tensor, node, !strncmp(what, "weight", strlen("weight")), matrix);
}

static void add_steps(struct inventory *inventory, const uint32_t *steps)
{
	size_t at = inventory->num++;

	snprintf(inventory->names[at], MAX_NAME, "adam.steps");
	inventory->data[at] = (void *)(uintptr_t)steps;
	inventory->tensors[at] = (struct igrad_tensor){
		.name = inventory->names[at], .dtype = IGRAD_DTYPE_U32, .data = steps};
}

/* With room for @extra tensors more. */
static bool take_inventory(struct inventory *inventory, const struct igrad_net *net, bool velocity,
			   size_t extra)
{
	if (!inventory_init(inventory, 8 * (size_t)net->num_layers + 1 + extra))
		return false;
	for (uint32_t l = 0; l < net->num_layers; l++) {
		const struct igrad_layer *layer = &net->layers[l];
		const struct igrad_node *node = &net->nodes[layer->node];

		add(inventory, node, "weight", &layer->w);
		add(inventory, node, "bias", &layer->b);
		add(inventory, node, "running_mean", &layer->mean);
		add(inventory, node, "running_var", &layer->variance);
		if (!velocity)
			continue;
		add(inventory, node, "weight.velocity", &layer->vw);
		add(inventory, node, "bias.velocity", &layer->vb);
		add(inventory, node, "weight.square", &layer->sw);
		add(inventory, node, "bias.square", &layer->sb);
	}
	if (velocity && net->squares)
		add_steps(inventory, &net->adam_steps);
	return true;
}

int igrad_net_save_with(const struct igrad_net *net, const char *path, bool velocity,
			const struct igrad_tensor *extra, size_t num_extra,
			const struct igrad_metadata *metadata, size_t num_metadata,
			struct igrad_error *error)
{
	struct inventory inventory;
	int err;

	if (!take_inventory(&inventory, net, velocity, num_extra))
		return igrad_fail(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < num_extra; i++)
		inventory.tensors[inventory.num++] = extra[i];
	err = igrad_safetensors_save(path, inventory.tensors, inventory.num, metadata, num_metadata,
				     error);
	inventory_fini(&inventory);
	return err;
}

size_t igrad_net_tensors(const struct igrad_net *net)
{
	size_t count = net->squares ? 1 : 0;

	for (uint32_t l = 0; l < net->num_layers; l++) {
		const struct igrad_layer *layer = &net->layers[l];
		size_t learned = layer->b.buffer ? 2 : 1;

		count += learned * (1 + !!net->velocities + !!net->squares);
		count += layer->mean.buffer ? 2 : 0;
	}
	return count;
}

int igrad_net_save(const struct igrad_net *net, const char *path, bool velocity,
		   struct igrad_error *error)
{
	return igrad_net_save_with(net, path, velocity, NULL, 0, NULL, 0, error);
}

static size_t bytes_of(const struct igrad_tensor *tensor)
{
	size_t bytes = 4;

	for (uint32_t i = 0; i < tensor->rank; i++)
		bytes *= tensor->shape[i];
	return bytes;
}

/* Everything is read into memory of its own first: a bad file leaves the network as it was. */
static int read_all(const struct inventory *inventory, const struct igrad_safetensors *file,
		    struct igrad_error *error)
{
	size_t size = 0, at = 0;
	char *copy;
	int err = 0;

	for (size_t i = 0; i < inventory->num; i++)
		size += bytes_of(&inventory->tensors[i]);
	copy = malloc(size);
	if (!copy)
		return igrad_fail(error, -ENOMEM, "out of memory");
	for (size_t i = 0; !err && i < inventory->num; i++) {
		err = igrad_safetensors_get(file, &inventory->tensors[i], copy + at, error);
		at += bytes_of(&inventory->tensors[i]);
	}
	at = 0;
	for (size_t i = 0; !err && i < inventory->num; i++) {
		memcpy(inventory->data[i], copy + at, bytes_of(&inventory->tensors[i]));
		at += bytes_of(&inventory->tensors[i]);
	}
	free(copy);
	return err;
}

static bool holds(const struct igrad_net *net, const struct igrad_safetensors *file,
		  const char *what)
{
	char name[MAX_NAME];

	snprintf(name, sizeof(name), "%s.%s", net->nodes[net->layers[0].node].name, what);
	return igrad_safetensors_find(file, name);
}

int igrad_net_load_from(struct igrad_net *net, const struct igrad_safetensors *file,
			const char *path, struct igrad_error *error)
{
	struct inventory inventory;
	/* Velocities and moments go with the parameters when the file has them, unless the network
	 * is trained in another way: then they say nothing. */
	bool velocity = holds(net, file, "weight.velocity");
	bool square = holds(net, file, "weight.square");
	int err = 0;

	if (net->velocities && square != !!net->squares)
		velocity = false;
	if (velocity)
		err = square ? igrad_net_add_moments(net) : igrad_net_add_velocities(net);
	if (err || !take_inventory(&inventory, net, velocity, 0))
		return igrad_fail(error, err ? err : -ENOMEM, "no memory for what %s holds", path);
	err = read_all(&inventory, file, error);
	inventory_fini(&inventory);
	return err;
}

int igrad_net_load(struct igrad_net *net, const char *path, struct igrad_error *error)
{
	struct igrad_safetensors *file;
	int err = igrad_safetensors_load(path, &file, error);

	if (err)
		return err;
	err = igrad_net_load_from(net, file, path, error);
	igrad_safetensors_unref(file);
	return err;
}
