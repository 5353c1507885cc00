/* SPDX-License-Identifier: MIT */
/* A bar on stderr while something takes long; nothing where stderr is no terminal. */
#ifndef IGRAD_SIM_PROGRESS_H
#define IGRAD_SIM_PROGRESS_H

#include <stdint.h>

void progress_show(uint32_t done, uint32_t total, const char *what);
void progress_clear(void);

#endif /* IGRAD_SIM_PROGRESS_H */
