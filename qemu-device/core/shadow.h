/* SPDX-License-Identifier: MIT */
/*
 * Who accessed each word of SRAM last. Exact for any stream of commands, at a price that grows with
 * the words that they touch: what hazard.c no longer keeps as regions is kept here. It takes four
 * times the SRAM that such commands touched, eight times where they touched half-words.
 */
#ifndef IGRAD_SHADOW_H
#define IGRAD_SHADOW_H

#include "igrad/hw.h"
#include "strided.h"

struct igrad_shadow_page;

struct igrad_shadow {
	struct igrad_shadow_page **pages; /* by 4 KiB of SRAM, those that are needed */
	uint32_t count;
	bool used;
};

/* An access of @engine. */
struct igrad_touch {
	struct igrad_strided region;
	enum igrad_engine engine;
	bool write;
};

bool igrad_shadow_init(struct igrad_shadow *shadow, uint32_t sram_bytes);
void igrad_shadow_destroy(struct igrad_shadow *shadow);
void igrad_shadow_reset(struct igrad_shadow *shadow);

/** igrad_shadow_note - command @index made this access; returns false without memory */
bool igrad_shadow_note(struct igrad_shadow *shadow, const struct igrad_touch *touch,
		       uint32_t index);

/**
 * igrad_shadow_conflict - the last noted command that @touch is not ordered after
 * @before: by engine, its commands below this index come before @touch
 *
 * Returns its index + 1, or 0.
 */
uint32_t igrad_shadow_conflict(const struct igrad_shadow *shadow, const struct igrad_touch *touch,
			       const uint32_t before[IGRAD_NUM_ENGINES]);

/** igrad_shadow_transfer - save or load; indices are at most @last */
void igrad_shadow_transfer(struct igrad_shadow *shadow, struct igrad_serial *serial, uint32_t last);

#endif /* IGRAD_SHADOW_H */
