// SPDX-License-Identifier: MIT
/* The networks of nets/ that are compared, as text: the build turns each file into a string. */
#include "intergrad.h"

static const struct {
	const char *name;
	const char *text;
} nets[] = {
	{
		"nets/lenet5.net",
#include "nets/lenet5.inc"
	},
	{
		"nets/alexnet.net",
#include "nets/alexnet.inc"
	},
	{
		"nets/vgg16.net",
#include "nets/vgg16.inc"
	},
	{
		"nets/resnet18.net",
#include "nets/resnet18.inc"
	},
	{
		"nets/resnet50.net",
#include "nets/resnet50.inc"
	},
	{
		"nets/googlenet.net",
#include "nets/googlenet.inc"
	},
	{
		"nets/inception-v4.net",
#include "nets/inception-v4.inc"
	},
	{
		"nets/densenet121.net",
#include "nets/densenet121.inc"
	},
	{
		"nets/densenet264.net",
#include "nets/densenet264.inc"
	},
};

const char *intergrad_net(size_t index, const char **name)
{
	if (index >= sizeof(nets) / sizeof(nets[0]))
		return NULL;
	*name = nets[index].name;
	return nets[index].text;
}
