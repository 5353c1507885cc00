// SPDX-License-Identifier: MIT
/* How busy a device is over time. */
#include <endian.h>
#include <string.h>

#include "timeline.h"

/* Adds @amount, spread evenly over the cycles from @start to @end. */
static void spread(double bins[TIMELINE_BINS], double width, double start, double end,
		   double amount)
{
	int first = start / width, last = end / width;

	for (int bin = first; bin <= last && bin < TIMELINE_BINS && end > start; bin++) {
		double low = bin * width > start ? bin * width : start;
		double high = (bin + 1) * width < end ? (bin + 1) * width : end;

		if (high > low)
			bins[bin] += amount * (high - low) / (end - start);
	}
}

/* PEs of a tile that lie on diagonal @d: all work on the same row of the batch at a time. */
static uint32_t diagonal(uint32_t rows, uint32_t cols, uint32_t d)
{
	uint32_t least = rows < cols ? rows : cols, last = rows + cols - 2;

	if (d + 1 < least)
		return d + 1;
	return last - d + 1 < least ? last - d + 1 : least;
}

/* A stream runs through a tile diagonal by diagonal, a cycle apart; @scale: of one multiply-add */
static void add_stream(struct timeline *t, const struct event *event, double scale)
{
	const struct igrad_cmd_array *array = &event->cmd.u.array;
	uint32_t rows = le16toh(array->rows), cols = le16toh(array->cols);
	double length = le32toh(array->batch);

	if (event->cmd.opcode < IGRAD_OP_FPROP || event->cmd.opcode > IGRAD_OP_INTERLEAVED)
		return;
	if (event->cmd.opcode == IGRAD_OP_INTERLEAVED)
		length *= 2;
	for (uint32_t d = 0; d < rows + cols - 1; d++)
		spread(t->macs, t->width, event->start + d, event->start + d + length,
		       length * diagonal(rows, cols, d) * scale);
}

void timeline_make(struct timeline *t, const char *name, const struct record *record,
		   const struct simulator *sim, double cycles)
{
	const struct igrad_device_info *info = simulator_info(sim);
	uint64_t busy_until[IGRAD_NUM_ENGINES] = {0};

	memset(t, 0, sizeof(*t));
	t->name = name;
	t->width = cycles / TIMELINE_BINS;
	for (size_t i = 0; i < record->count; i++) {
		const struct event *event = &record->events[i];
		uint64_t *until = &busy_until[event->engine], start = event->start;

		if (event->engine == IGRAD_ENGINE_ARRAY)
			add_stream(t, event, 1.0 / ((double)info->rows * info->cols));
		/* What overlaps an earlier command of its engine counts once. */
		if (start < *until)
			start = *until;
		if (event->end > start)
			spread(t->busy[event->engine], t->width, start, event->end,
			       event->end - start);
		if (event->end > *until)
			*until = event->end;
	}
}

static void write_data(FILE *script, const struct timeline *t, unsigned int number)
{
	fprintf(script, "$t%u << EOD\n", number);
	for (int bin = 0; bin < TIMELINE_BINS; bin++)
		fprintf(script, "%.1f %.4f %.4f %.4f %.4f %.4f\n", (bin + 0.5) * t->width,
			t->macs[bin] / t->width, t->busy[IGRAD_ENGINE_LOAD][bin] / t->width,
			t->busy[IGRAD_ENGINE_STORE][bin] / t->width,
			t->busy[IGRAD_ENGINE_ARRAY][bin] / t->width,
			t->busy[IGRAD_ENGINE_VECTOR][bin] / t->width);
	fprintf(script, "EOD\n");
}

int timelines_draw(const struct timeline *timelines, unsigned int count, const char *path,
		   const char *title, struct igrad_error *error)
{
	double longest = 0;
	struct plot plot;
	int err = plot_open(&plot, path, 1000, 60 + count * TIMELINE_HEIGHT, error);

	if (err)
		return err;
	for (unsigned int i = 0; i < count; i++) {
		double cycles = timelines[i].width * TIMELINE_BINS;

		longest = cycles > longest ? cycles : longest;
		write_data(plot.script, &timelines[i], i);
	}
	fprintf(plot.script,
		"set multiplot layout %u,1 title '%s'\n"
		"set xrange [0:%.0f]\nset yrange [0:1.05]\nset ylabel 'share'\nset xlabel 'cycles'\n",
		count, title, longest);
	for (unsigned int i = 0; i < count; i++)
		fprintf(plot.script,
			"set title '%s'\n"
			"plot $t%u using 1:2 with fillsteps fill solid 0.4 noborder title 'PEs at work', "
			"'' using 1:5 with steps title 'array busy', "
			"'' using 1:6 with steps title 'vector busy', "
			"'' using 1:3 with steps title 'load busy', "
			"'' using 1:4 with steps title 'store busy'\n",
			timelines[i].name, i);
	fprintf(plot.script, "unset multiplot\n");
	return plot_close(&plot, error);
}
