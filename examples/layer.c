/* SPDX-License-Identifier: MIT */
/* One training step of one linear layer, in each schedule: cc layer.c $(pkg-config --cflags --libs igrad) */
#include <stdio.h>
#include <igrad/igrad.h>

int main(int argc, char **argv)
{
	enum { B = 64, I = 256, O = 128, PART = 1 << 18 }; /* batch rows, in-features, out-features */
	struct igrad_device *device;
	struct igrad_buffer *memory;
	struct igrad_queue *queue;
	struct igrad_cmdbuf *commands;
	struct igrad_report report;
	struct igrad_error error = { "out of memory" };

	if (igrad_device_open(argc > 1 ? argv[1] : NULL, &device, &error) ||
	    igrad_buffer_new(device, 5 * PART, &memory) || igrad_queue_new(device, &queue) ||
	    igrad_cmdbuf_new(device, &commands))
		return fprintf(stderr, "%s\n", error.message), 1;
	struct igrad_matrix x = { memory, 0, B, I }, w = { memory, PART, I, O },
			    y = { memory, 2 * PART, B, O }, dy = { memory, 3 * PART, B, O },
			    dx = { memory, 4 * PART, B, I };
	for (int i = 0; i < 5 * PART / 4; i++)
		((float *)igrad_buffer_map(memory))[i] = (i % 31 - 15) / 16.0f;

	for (int s = 0; s < IGRAD_NUM_SCHEDULES; s++) {
		struct igrad_linear_backward backward = { s, &x, &w, .y = &y, .dy = &dy, .dx = &dx,
							  .optimizer = { IGRAD_UPDATE_SGD, 0.01f } };
		igrad_cmdbuf_reset(commands);
		igrad_linear_forward(commands, &x, &w, NULL, true, &y); /* y = max(x·w, 0) */
		igrad_linear_backward(commands, &backward); /* dx = dy·wᵀ, w = w − 0.01·xᵀ·dy */
		if (igrad_queue_run(queue, commands, &report))
			return fprintf(stderr, "the job failed\n"), 1;
		printf("%-12s %6llu cycles, %7llu SRAM accesses\n", igrad_schedule_name(s),
		       (unsigned long long)report.cycles,
		       (unsigned long long)igrad_report_sram_accesses(&report));
	}
}
