// SPDX-License-Identifier: MIT
/* Options that make a convolution of a layer. */
#include <string.h>

#include "options.h"

/* Numbers from @low on between @separator, at most @most; how many. */
static unsigned int numbers(const char *option, char *text, const char *separator, uint32_t low,
			    uint32_t high, uint32_t *list, unsigned int most)
{
	unsigned int count = 0;
	char *item;

	while ((item = strsep(&text, separator))) {
		if (count == most)
			wrong("--%s: at most %u numbers", option, most);
		list[count++] = (uint32_t)whole_number(option, item, 10, low, high);
	}
	return count;
}

/* "3" or "1x7" */
static void pair(const char *option, char *text, uint32_t high, uint32_t *y, uint32_t *x)
{
	uint32_t list[2];
	unsigned int count = numbers(option, text, "x", 1, high, list, 2);

	*y = list[0];
	*x = list[count - 1];
}

/* "1", "0x3" or "0,1,0,1" */
static void padding(const char *option, char *text, struct igrad_conv_shape *w)
{
	bool sides = strchr(text, ',');
	uint32_t list[4];
	unsigned int count = numbers(option, text, sides ? "," : "x", 0, 32767, list,
				     sides ? 4 : 2);

	if (sides && count != 4)
		wrong("--%s: all four of top, bottom, left, right", option);
	w->pad_top = list[0];
	w->pad_bottom = list[sides ? 1 : 0];
	w->pad_left = list[sides ? 2 : count - 1];
	w->pad_right = list[sides ? 3 : count - 1];
}

void window_set(struct igrad_conv_shape *w, int option, char *value)
{
	switch (option) {
	case OPT_IMAGE:
		pair("image", value, 65535, &w->height, &w->width);
		break;
	case OPT_KERNEL:
		pair("kernel", value, 32767, &w->kernel_y, &w->kernel_x);
		break;
	case OPT_STRIDE:
		pair("stride", value, 65535, &w->stride_y, &w->stride_x);
		break;
	case OPT_PAD:
		padding("pad", value, w);
		break;
	case OPT_DILATION:
		pair("dilation", value, 32767, &w->dilation_y, &w->dilation_x);
		break;
	case OPT_GROUPS:
		w->groups = (uint32_t)whole_number("groups", value, 10, 1, 1u << 24);
		break;
	}
}

void window_check(struct layer *layer, unsigned long long given)
{
	struct igrad_conv_shape *w = &layer->window, shape = *w;
	uint32_t height, width;

	if (!(given & OPTS_WINDOW)) {
		*w = (struct igrad_conv_shape){0};
		return;
	}
	if (!w->kernel_y || !w->height)
		wrong("a convolution needs --kernel and --image");
	if (layer->in % w->groups || layer->out % w->groups)
		wrong("--groups %u: --in and --out must be multiples of it", w->groups);
	shape.batch = 1;
	shape.in = layer->in;
	shape.out = layer->out;
	if (igrad_conv_output(&shape, &height, &width))
		wrong("the kernel is larger than the padded image, or the image than the device's windows");
}
