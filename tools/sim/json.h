/* SPDX-License-Identifier: MIT */
/* igrad-sim's JSON. */
#ifndef IGRAD_SIM_JSON_H
#define IGRAD_SIM_JSON_H

#include <json.h>

#include "cost.h"

void json_string(struct json_object *object, const char *key, const char *value);
void json_count(struct json_object *object, const char *key, uint64_t value);
void json_real(struct json_object *object, const char *key, double value);

/** json_result - the fields of one result, and no others */
struct json_object *json_result(const struct simulator *sim, const struct result *result);

/** json_table - an energy table as it is used for a device; @energy: with what it comes to */
struct json_object *json_table(const struct igrad_energy_table *table,
			       const struct igrad_device_info *info,
			       const struct igrad_energy *energy);

/** json_print - to stdout, and drop it; -ENOMEM for NULL */
int json_print(struct json_object *object);

#endif /* IGRAD_SIM_JSON_H */
