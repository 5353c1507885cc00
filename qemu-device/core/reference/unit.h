/* SPDX-License-Identifier: MIT */
/* The reference's vector unit, as the files that tell its commands see it. */
#ifndef IGRAD_REFERENCE_UNIT_H
#define IGRAD_REFERENCE_UNIT_H

#include "reference.h"

struct ref_unit {
	struct ref_device *device;
	const struct igrad_cmd *cmd;
	const struct igrad_cmd_vec *v;
	unsigned int lanes_used; /* in this cycle */
	uint64_t cycles;
	uint64_t ops;
};

/* A lane takes an element, which is one operation at least; the first of a cycle begins it. */
void ref_lane(struct ref_unit *u);

/* Element (i, j) of the matrix at @addr, counted: as it is, and as a number. */
uint32_t ref_get_bits(struct ref_unit *u, uint32_t addr, uint32_t pitch, uint32_t i, uint32_t j);
void ref_put_bits(struct ref_unit *u, uint32_t addr, uint32_t pitch, uint32_t i, uint32_t j,
		  uint32_t bits);
float ref_get_word(struct ref_unit *u, uint32_t addr, uint32_t pitch, uint32_t i, uint32_t j);
void ref_put_word(struct ref_unit *u, uint32_t addr, uint32_t pitch, uint32_t i, uint32_t j,
		  float value);

/* 1 / √x, each rounded to fp32 */
float ref_rsqrt(float x);

/* layers.c: normalisation, dropout and pooling */
void ref_layer(struct ref_unit *u);

#endif /* IGRAD_REFERENCE_UNIT_H */
