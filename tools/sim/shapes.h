/* SPDX-License-Identifier: MIT */
/* igrad-sim network --shapes. */
#ifndef IGRAD_SIM_SHAPES_H
#define IGRAD_SIM_SHAPES_H

#include <json.h>

#include "net.h"

/** shapes_show - a network's layers with shapes, parameters and multiply-adds, as text */
void shapes_show(const struct net *net);

/** shapes_json - the same as JSON; NULL without memory */
struct json_object *shapes_json(const struct net *net);

#endif /* IGRAD_SIM_SHAPES_H */
