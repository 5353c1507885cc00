/* SPDX-License-Identifier: MIT */
#include "serial.h"

#include <string.h>

void igrad_serial_bytes(struct igrad_serial *serial, void *bytes, size_t len)
{
	if (!serial->failed && serial->move(serial->opaque, bytes, len))
		serial->failed = true;
	if (serial->failed && serial->loading)
		memset(bytes, 0, len);
}

/* What is loaded is not looked at before: it may be fresh memory. */
void igrad_serial_u64(struct igrad_serial *serial, uint64_t *value)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < 8 && !serial->loading; i++)
		bytes[i] = (uint8_t)(*value >> (8 * i));
	igrad_serial_bytes(serial, bytes, sizeof(bytes));
	if (!serial->loading)
		return;
	*value = 0;
	for (unsigned int i = 0; i < 8; i++)
		*value |= (uint64_t)bytes[i] << (8 * i);
}

void igrad_serial_u32(struct igrad_serial *serial, uint32_t *value)
{
	uint8_t bytes[4];

	for (unsigned int i = 0; i < 4 && !serial->loading; i++)
		bytes[i] = (uint8_t)(*value >> (8 * i));
	igrad_serial_bytes(serial, bytes, sizeof(bytes));
	if (!serial->loading)
		return;
	*value = 0;
	for (unsigned int i = 0; i < 4; i++)
		*value |= (uint32_t)bytes[i] << (8 * i);
}

void igrad_serial_i64(struct igrad_serial *serial, int64_t *value)
{
	uint64_t bits = serial->loading ? 0 : (uint64_t)*value;

	igrad_serial_u64(serial, &bits);
	*value = (int64_t)bits;
}

void igrad_serial_bool(struct igrad_serial *serial, bool *value)
{
	uint32_t number = serial->loading ? 0 : *value;

	igrad_serial_u32(serial, &number);
	igrad_serial_check(serial, number <= 1);
	*value = number == 1;
}

bool igrad_serial_check(struct igrad_serial *serial, bool good)
{
	if (serial->loading && !good)
		serial->failed = true;
	return !serial->failed;
}

void igrad_serial_same(struct igrad_serial *serial, uint32_t value)
{
	uint32_t saved = value;

	igrad_serial_u32(serial, &saved);
	igrad_serial_check(serial, saved == value);
}

void igrad_serial_time(struct igrad_serial *serial, uint64_t *cycles)
{
	igrad_serial_u64(serial, cycles);
	if (!igrad_serial_check(serial, *cycles < IGRAD_SERIAL_MAX_TIME) && serial->loading)
		*cycles = 0;
}
