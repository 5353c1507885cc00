/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests that need to be root: the PCI device behind a node, and the machine that it is in.
 * Functions return 0 or a positive number, or a negative errno.
 */
#ifndef IGRAD_ROOT_TEST_H
#define IGRAD_ROOT_TEST_H

#include <stdbool.h>
#include <stddef.h>

/* Directory of the first of our devices, as /sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0. */
int root_device_dir(char *dir, size_t size);

/* Open the node of a PCI device, once it has one. Its number may be a new one each time. */
int root_open(const char *dir);

/*
 * How long the driver bears with a job that retires nothing, and with one that does not end. It
 * takes the device away from whoever has it open, and its node may be another one afterwards.
 */
int root_set_patience(const char *dir, unsigned int timeout_ms, unsigned int limit_ms);
#define ROOT_PATIENCE_MAX_MS 600000

int root_write(const char *path, const char *text);
int root_write_in(const char *dir, const char *name, const char *text);
int root_read(const char *path, char *text, size_t size);
bool root_exists(const char *path);

/* Configuration space. */
int root_config_read(const char *dir, unsigned int offset, void *data, size_t size);
int root_config_write(const char *dir, unsigned int offset, const void *data, size_t size);
int root_function_level_reset(const char *dir);

/* QMP, where the machine's monitor can be reached. */
bool root_has_qmp(void);
int root_qmp(const char *command);
int root_qmp_wait(const char *event);

#endif /* IGRAD_ROOT_TEST_H */
