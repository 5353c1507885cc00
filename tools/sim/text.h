/* SPDX-License-Identifier: MIT */
/* igrad-sim's tables for people. */
#ifndef IGRAD_SIM_TEXT_H
#define IGRAD_SIM_TEXT_H

#include "cost.h"

/** text_device - the device and the energy table, a line each */
void text_device(const struct simulator *sim);

/** text_results - results side by side; over interleaved, if that is among them */
void text_results(const struct simulator *sim, const struct result *results, unsigned int count);

/** text_table - an energy table as it is used for a device */
void text_table(const struct igrad_energy_table *table, const struct igrad_device_info *info);

#endif /* IGRAD_SIM_TEXT_H */
