// SPDX-License-Identifier: MIT
/*
 * Reading SCALE-Sim's topologies: CSV with a heading; columns are a convolution's sizes, or M, N
 * and K of a matrix product. What these files cannot say is noted, never made up.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

#define MAX_FIELDS 12

struct field {
	char *text;
	struct net_place place;
};

struct row {
	struct field fields[MAX_FIELDS];
	uint32_t count;
	struct net_place end;
};

static void trim(struct field *field)
{
	size_t skip = strspn(field->text, " \t\r"), length;

	field->text += skip;
	field->place.column += skip;
	length = strlen(field->text);
	while (length && strchr(" \t\r", field->text[length - 1]))
		field->text[--length] = '\0';
}

/*
 * Splits a line of at least @least columns. The comma that ends SCALE-Sim's lines ends ours too;
 * what is behind an empty column further on is a remark.
 */
static int split(const struct net *net, char *line, unsigned int number, uint32_t least,
		 struct row *row, struct igrad_error *error)
{
	const char *start = line;
	char *rest = line;

	row->count = 0;
	while (rest) {
		struct field field = {rest, {net->path, number, rest - start + 1, NULL}};

		strsep(&rest, ",");
		trim(&field);
		if (!*field.text && row->count && (!rest || row->count >= least))
			break;
		if (row->count == MAX_FIELDS)
			return net_bad(error, &field.place, "more than %d columns", MAX_FIELDS);
		row->fields[row->count++] = field;
		row->end = field.place;
		row->end.column += strlen(field.text);
	}
	return 0;
}

static int number(const struct field *field, const char *what, uint32_t *result,
		  struct igrad_error *error)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(field->text, &end, 10);
	if (*field->text < '0' || *field->text > '9' || *end || errno || !value ||
	    value > NET_MAX_DIM)
		return net_bad(error, &field->place,
			       "'%.40s': %s, a whole number from 1 to %u, was expected",
			       field->text, what, NET_MAX_DIM);
	*result = value;
	return 0;
}

static int take_numbers(const struct row *row, const char *const *names, uint32_t count,
			uint32_t *values, struct igrad_error *error)
{
	int err = 0;

	if (row->count <= count)
		return net_bad(error, &row->end, "the line ends, but %s was expected",
			       names[row->count ? row->count - 1 : 0]);
	for (uint32_t i = 0; i < count && !err; i++)
		err = number(&row->fields[i + 1], names[i], &values[i], error);
	return err;
}

static int note(struct net_layer *layer, const char *text)
{
	free(layer->note);
	layer->note = strdup(text);
	return layer->note ? 0 : -ENOMEM;
}

static int set_name(struct net_layer *layer, const struct field *field, struct igrad_error *error)
{
	if (!*field->text)
		return net_bad(error, &field->place, "a layer's name was expected");
	snprintf(layer->name, sizeof(layer->name), "%.*s", NET_NAME - 1, field->text);
	return 0;
}

/* The row's input, which no other row knows of, and the layer behind it. */
static struct net_layer *add(struct net *net, enum net_kind kind, unsigned int line,
			     const struct net_shape *shape)
{
	struct net_layer *layer = net_append(net, NET_INPUT, line);

	if (layer) {
		layer->shape = *shape;
		layer->learns = net->num_layers > 1; /* all rows but the first follow others */
		layer = net_append(net, kind, line);
	}
	if (layer) {
		layer->inputs[0] = net->num_layers - 2;
		layer->num_inputs = 1;
		layer->bias = false;
	}
	return layer;
}

static int no_room(const struct row *row, struct igrad_error *error)
{
	return net_bad(error, &row->fields[0].place, "no room for more layers (at most %d)",
		       NET_MAX_LAYERS / 2);
}

/* "1:4": of each 4 weights 1 is kept. */
static bool is_ratio(const struct field *field, bool *dense)
{
	unsigned int n, m;
	char rest;

	if (sscanf(field->text, "%u:%u%c", &n, &m, &rest) != 2 || !n || n > m)
		return false;
	*dense = n == m;
	return true;
}

/* ---------------------------------------------------------------- matrix products */

/* Name, M, N, K[, batch or ratio[, batch]] */
static int read_gemm(struct net *net, const struct row *row, struct igrad_error *error)
{
	static const char *const names[] = {"M", "N", "K"};
	uint32_t mnk[3], products = 1;
	struct net_layer *layer;
	bool dense = true;
	int err = take_numbers(row, names, 3, mnk, error);

	for (uint32_t i = 4; i < row->count && !err; i++) {
		if (i > 5)
			err = net_bad(error, &row->fields[i].place,
				      "'%.40s' where the line should end", row->fields[i].text);
		else if (i > 4 || !is_ratio(&row->fields[i], &dense))
			err = number(&row->fields[i], "a number of products, or a ratio as in 2:4",
				     &products, error);
	}
	if (err)
		return err;
	layer = add(net, NET_LINEAR, row->fields[0].place.line,
		    &(struct net_shape){.flat = true, .c = mnk[2]});
	if (!layer)
		return no_room(row, error);
	layer->out = mnk[1];
	layer->batch = mnk[0];
	err = set_name(layer, &row->fields[0], error);
	if (!err)
		err = net_infer(net, layer, &row->fields[0].place, error);
	if (!err && !dense)
		err = note(layer, "sparse weights are not costed");
	if (!err && products > 1)
		err = note(layer, "several products in a row are not costed");
	return err;
}

/* ---------------------------------------------------------------- convolutions */

/* A filter as large as its input is a linear layer over all of it. */
static bool is_linear(const uint32_t *v)
{
	return v[0] == v[2] && v[1] == v[3];
}

static int set_conv(struct net *net, const struct row *row, const uint32_t *v,
		    struct net_layer **layer, struct igrad_error *error)
{
	bool linear = is_linear(v);
	uint64_t window = (uint64_t)v[2] * v[3];
	struct net_shape shape = {false, v[4], v[0], v[1]};

	window = window <= NET_MAX_DIM ? window * v[4] : window;
	if (linear && window > NET_MAX_DIM)
		return net_bad(error, &row->fields[1].place,
			       "a linear layer of more than %u in-features", NET_MAX_DIM);
	if (linear)
		shape = (struct net_shape){.flat = true, .c = window};
	*layer = add(net, linear ? NET_LINEAR : NET_CONV, row->fields[0].place.line, &shape);
	if (!*layer)
		return no_room(row, error);
	(*layer)->out = v[5];
	if (!linear) {
		(*layer)->kernel = (struct net_pair){v[2], v[3]};
		(*layer)->stride = (struct net_pair){v[6], v[7]};
	}
	return 0;
}

/* Name, input height and width, filter height and width, channels, filters, stride[, stride
 * across][, ratio] */
static int read_conv(struct net *net, const struct row *row, struct igrad_error *error)
{
	static const char *const names[] = {"the input's height",
					    "the input's width",
					    "the filter's height",
					    "the filter's width",
					    "channels",
					    "filters",
					    "a stride"};
	uint32_t v[8], i = 8;
	struct net_layer *layer;
	bool dense = true;
	int err = take_numbers(row, names, 7, v, error);

	if (err)
		return err;
	v[7] = v[6];
	if (i < row->count && !is_ratio(&row->fields[i], &dense))
		err = number(&row->fields[i], "a stride across, or a ratio as in 2:4", &v[7],
			     error);
	if (!err && i < row->count)
		i++;
	if (!err && i == 9 && i < row->count && is_ratio(&row->fields[i], &dense))
		i++;
	if (!err && i < row->count)
		err = net_bad(error, &row->fields[i].place, "'%.40s' where the line should end",
			      row->fields[i].text);
	if (!err)
		err = set_conv(net, row, v, &layer, error);
	if (!err)
		err = set_name(layer, &row->fields[0], error);
	if (!err && strstr(layer->name, "DP"))
		layer->groups = layer->kind == NET_CONV ? v[4] : 1;
	if (!err && layer->groups > 1)
		layer->out = v[4]; /* a filter for each channel, whatever is said */
	if (!err)
		err = net_infer(net, layer, &row->fields[3].place, error);
	if (!err && !dense)
		err = note(layer, "sparse weights are not costed");
	return err;
}

/* ---------------------------------------------------------------- the file */

static void add_notes(struct net *net, bool gemm)
{
	net->notes[net->num_notes++] =
		"the format does not connect rows: all inputs but the first row's get gradients";
	net->notes[net->num_notes++] = "the format has no bias and no activations: none are costed";
	if (gemm)
		net->notes[net->num_notes++] =
			"M is taken for the batch, K for in-features, N for out-features";
	else
		net->notes[net->num_notes++] =
			"the format has no padding: rows count as they stand, without any";
	if (!gemm)
		net->notes[net->num_notes++] =
			"the format fixes the batch at 1; --batch says another";
}

/* SCALE-Sim takes the first line for a heading, whatever it says; a layer there would be lost. */
static int check_heading(const struct net *net, const char *line, struct igrad_error *error)
{
	const char *second = strchr(line, ',');
	struct net_place place = {net->path, 1, 1, NULL};

	if (!second)
		return 0;
	second += 1 + strspn(second + 1, " \t");
	place.column += second - line;
	if (*second < '0' || *second > '9')
		return 0;
	return net_bad(error, &place, "the first line must be a heading, but has a number here");
}

int net_read_scalesim(struct net *net, char *text, bool gemm, struct igrad_error *error)
{
	struct net_place place = {net->path, 0, 1, NULL};
	struct row row;
	int err = 0;

	while (text && !err) {
		char *line = strsep(&text, "\n");

		place.line++;
		line[strcspn(line, "#")] = '\0'; /* behind its last comma SCALE-Sim reads nothing */
		if (!line[strspn(line, " \t\r,")])
			continue;
		if (place.line == 1) {
			err = check_heading(net, line, error);
			continue;
		}
		err = split(net, line, place.line, gemm ? 4 : 8, &row, error);
		if (!err)
			err = gemm ? read_gemm(net, &row, error) : read_conv(net, &row, error);
	}
	if (!err && !net->num_layers)
		err = net_bad(
			error, &place, "the file ends, but rows of %s were expected",
			gemm ? "a name, M, N and K"
			     : "a name, sizes of input and filter, channels, filters and a stride");
	if (!err) {
		net->batch = 1;
		add_notes(net, gemm);
	}
	return err;
}
