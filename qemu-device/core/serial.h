/* SPDX-License-Identifier: MIT */
/*
 * A checkpoint as it travels: little-endian numbers one after the other. Each part of the core
 * describes its state once, in a function that is called both to save and to load it; what is
 * loaded is not believed before it has been checked.
 */
#ifndef IGRAD_SERIAL_H
#define IGRAD_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct igrad_serial - where a checkpoint goes to or comes from
 * @move: take @len bytes from, or when @loading put them to, @bytes; 0, or -1 when that is
 * impossible
 * @failed: nothing is moved any more, and everything loaded is zero
 */
struct igrad_serial {
	int (*move)(void *opaque, void *bytes, size_t len);
	void *opaque;
	bool loading;
	bool failed;
};

void igrad_serial_bytes(struct igrad_serial *serial, void *bytes, size_t len);
void igrad_serial_u32(struct igrad_serial *serial, uint32_t *value);
void igrad_serial_u64(struct igrad_serial *serial, uint64_t *value);
void igrad_serial_i64(struct igrad_serial *serial, int64_t *value);
void igrad_serial_bool(struct igrad_serial *serial, bool *value);

/** igrad_serial_check - a state that has been loaded must be @good; returns whether all is well */
bool igrad_serial_check(struct igrad_serial *serial, bool good);

/** igrad_serial_same - what was saved must be @value here too */
void igrad_serial_same(struct igrad_serial *serial, uint32_t value);

/* No clock that ran for real is beyond this, and sums of a few never overflow. */
#define IGRAD_SERIAL_MAX_TIME (1ull << 60)

/** igrad_serial_time - a number of cycles */
void igrad_serial_time(struct igrad_serial *serial, uint64_t *cycles);

#endif /* IGRAD_SERIAL_H */
