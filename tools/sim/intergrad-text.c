// SPDX-License-Identifier: MIT
/* igrad-sim paper --intergrad: tables for people. */
#include <stdio.h>
#include <string.h>

#include "intergrad.h"
#include "text.h"

/* What is shown beside interleaving. */
static const struct column {
	const char *name;
	enum ground ground;
	enum igrad_schedule schedule;
} columns[] = {
	{"ws", GROUND_ARRAY, IGRAD_SCHEDULE_WS},
	{"ws, equal area", GROUND_AREA, IGRAD_SCHEDULE_WS},
	{"ws+os", GROUND_ARRAY, IGRAD_SCHEDULE_WS_OS},
	{"auto", GROUND_ARRAY, IGRAD_SCHEDULE_AUTO},
};

#define NUM_COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* ---------------------------------------------------------------- heading */

static void show_pe(const struct area_table *areas, const struct pe *pe, struct array_size array)
{
	double area = pe_area(areas, pe);

	printf("  %-18s %u registers and %u multiplexers of 32 bits: %.0f um2; %u x %u take %.1f mm2\n",
	       pe->name, pe->registers, pe->muxes, area, array.rows, array.cols,
	       area * array.rows * array.cols / 1e6);
}

void intergrad_show_heading(const struct settings *s, const struct area_table *areas,
			    struct array_size fixed)
{
	const struct machine *m = &s->machine;
	const struct pe ours = pe_configurable(m->overlap), theirs = pe_fixed(m->overlap);

	printf("What InterGrad (IEEE TCAS-I 70(5), 2023) claims for convolutional networks: up to 25 %%\n"
	       "fewer cycles and memory accesses and 16 %% less energy than baselines; at equal area,\n"
	       "against weight-stationary, for Inception-v4 4 %% of cycles, 17 %% of accesses, 12 %% of\n"
	       "energy, for DenseNet-264 27 %%, 26 %% and 18 %%. What is measured: the backward passes of\n"
	       "convolutions and linear layers with the update, batch %u, each from memory to memory,\n"
	       "on %u x %u, overlap=%s, %u KiB of SRAM, %u bytes a cycle each way, latency %u.\n\n",
	       s->layer.batch, m->array.rows, m->array.cols, m->overlap ? "on" : "off", m->sram_kib,
	       m->dram_width, m->dram_latency);
	printf("area       %s: %s\n", areas->name, areas->about);
	for (int part = 0; part < NUM_AREA_PARTS; part++)
		printf("  %-18s %8.6g um2; %s\n", area_part_name(part), areas->value[part],
		       areas->source[part]);
	show_pe(areas, &ours, m->array);
	show_pe(areas, &theirs, fixed);
}

/* ---------------------------------------------------------------- a network */

static void show_ratios(const struct figures *baseline, const struct figures *ours)
{
	if (!baseline->there || !ours->there) {
		printf(" | %4s %4s %4s", "-", "-", "-");
		return;
	}
	printf(" | %4.2f %4.2f %4.2f", (double)baseline->cycles / ours->cycles,
	       (double)baseline->accesses / ours->accesses, baseline->energy / ours->energy);
}

static void show_ours(const struct figures *f)
{
	if (f->there)
		printf(" %13llu %14llu %10.4g", (unsigned long long)f->cycles,
		       (unsigned long long)f->accesses, f->energy);
	else
		printf(" %13s %14s %10s", "-", "-", "-");
}

static void show_layer(const struct contest *c, uint32_t index, int width)
{
	struct figures ours = contest_layer(c, GROUND_ARRAY, IGRAD_SCHEDULE_INTERLEAVED, index);
	const struct net_layer *first = NULL;
	uint32_t count = contest_count(c, index, &first);
	char size[LAYER_TEXT];

	printf("%-*s %-38.38s %3u", width, first->name,
	       layer_size(&c->same.costs[index].layer, size), count);
	show_ours(&ours);
	for (size_t i = 0; i < NUM_COLUMNS; i++) {
		struct figures f = contest_layer(c, columns[i].ground, columns[i].schedule, index);

		show_ratios(&f, &ours);
	}
	printf("\n");
}

static void show_total(const struct contest *c, enum part part, int width)
{
	struct figures ours = contest_total(c, GROUND_ARRAY, IGRAD_SCHEDULE_INTERLEAVED, part);

	printf("%-*s %-42s", width, "total", part == PART_STEP ? "the whole step" : "");
	show_ours(&ours);
	for (size_t i = 0; i < NUM_COLUMNS; i++) {
		struct figures f = contest_total(c, columns[i].ground, columns[i].schedule, part);

		show_ratios(&f, &ours);
	}
	printf("\n");
}

void intergrad_show(const struct contest *c)
{
	const int width = net_name_width(c->same.net, 16);

	printf("\n%s: backward pass, over interleaved: cycles, accesses, energy\n\n",
	       c->same.net->name);
	printf("%-*s %-38s %3s %13s %14s %6s, %.2s", width, "layer", "size", "n", "interleaved",
	       "words", "energy", igrad_energy_table_unit(c->same.sim.table));
	for (size_t i = 0; i < NUM_COLUMNS; i++)
		printf(" | %-14s", columns[i].name);
	printf("\n");
	for (uint32_t i = 0; i < c->same.num_costs; i++)
		show_layer(c, i, width);
	show_total(c, PART_BACKWARD, width);
	show_total(c, PART_STEP, width);
	fflush(stdout);
}

/* ---------------------------------------------------------------- summary */

/* Percent of the baseline that is not needed any more. */
static double saved(double baseline, double ours)
{
	return 100 * (1 - ours / baseline);
}

static void show_saved(const struct figures *baseline, const struct figures *ours)
{
	if (!baseline->there || !ours->there)
		printf(" | %6s %6s %6s", "-", "-", "-");
	else
		printf(" | %6.1f %6.1f %6.1f", saved(baseline->cycles, ours->cycles),
		       saved(baseline->accesses, ours->accesses),
		       saved(baseline->energy, ours->energy));
}

static void show_claim(const char *network)
{
	for (size_t i = 0; i < intergrad_num_claims; i++)
		if (!strcmp(network, intergrad_claims[i].network))
			printf(" | %4.0f %4.0f %4.0f", intergrad_claims[i].cycles,
			       intergrad_claims[i].accesses, intergrad_claims[i].energy);
}

static void show_savings(const struct summary *summaries, uint32_t count, enum part part,
			 enum igrad_schedule schedule)
{
	bool claims = part == PART_BACKWARD && schedule == IGRAD_SCHEDULE_INTERLEAVED;

	printf("\nPercent of cycles, accesses and energy that `%s` saves, %s\n\n",
	       igrad_schedule_name(schedule),
	       part == PART_STEP ? "the whole step" : "backward passes");
	printf("%-16s | %-20s | %-20s | %-20s | %s\n", "", "of ws", "of ws at equal area",
	       "of ws+os", part == PART_BACKWARD ? "published: of ws at equal area" : "");
	for (uint32_t i = 0; i < count; i++) {
		const struct figures(*t)[IGRAD_NUM_SCHEDULES] = summaries[i].totals[part];

		printf("%-16s", summaries[i].network);
		for (size_t b = 0; b < NUM_COLUMNS - 1; b++)
			show_saved(&t[columns[b].ground][columns[b].schedule],
				   &t[columns[b].ground][schedule]);
		if (claims)
			show_claim(summaries[i].network);
		printf("\n");
	}
}

void intergrad_show_summary(const struct summary *summaries, uint32_t count)
{
	show_savings(summaries, count, PART_BACKWARD, IGRAD_SCHEDULE_INTERLEAVED);
	show_savings(summaries, count, PART_BACKWARD, IGRAD_SCHEDULE_AUTO);
	show_savings(summaries, count, PART_STEP, IGRAD_SCHEDULE_INTERLEAVED);
	show_savings(summaries, count, PART_STEP, IGRAD_SCHEDULE_AUTO);
	printf("\nThe whole step is forward and backward passes, and what the vector unit does: pooling,\n"
	       "normalisation, sums and the like, which cost the same in all schedules.\n");
}
