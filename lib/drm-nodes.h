/* SPDX-License-Identifier: MIT */
/* The device nodes under /dev/accel. */
#ifndef IGRAD_DRM_NODES_H
#define IGRAD_DRM_NODES_H

#include "igrad/igrad.h"

/* igrad_drm_node_open - the file descriptor of a node that is an igrad, or a negative errno */
int igrad_drm_node_open(const char *path, struct igrad_error *error);

#endif /* IGRAD_DRM_NODES_H */
