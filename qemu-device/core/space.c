/* SPDX-License-Identifier: MIT */
/* The edges of the address space, the same for every backend; chunks; nothing ever wraps. */
#include "internal.h"

int igrad_va_check(uint64_t va, size_t len, struct igrad_fault *fault)
{
	uint64_t bad = va;

	if (va >= IGRAD_VA_MIN && va < IGRAD_VA_END) {
		if (len <= IGRAD_VA_END - va)
			return 0;
		bad = IGRAD_VA_END;
	}
	*fault = (struct igrad_fault){.reason = IGRAD_REASON_VA_RANGE, .addr = bad};
	return -1;
}

int igrad_space_read(const struct igrad_space *space, uint64_t va, void *buf, size_t len,
		     struct igrad_fault *fault)
{
	if (igrad_va_check(va, len, fault))
		return -1;
	return space->read(space->opaque, va, buf, len, fault);
}

int igrad_space_write(const struct igrad_space *space, uint64_t va, const void *buf, size_t len,
		      struct igrad_fault *fault)
{
	if (igrad_va_check(va, len, fault))
		return -1;
	return space->write(space->opaque, va, buf, len, fault);
}

int igrad_space_rows(const struct igrad_space *space, const struct igrad_rows *rows, bool write,
		     struct igrad_fault *fault)
{
	if (rows->rows > 1)
		return space->rows(space->opaque, rows, write, fault);
	if (write)
		return igrad_space_write(space, rows->va, rows->bytes, rows->len, fault);
	return igrad_space_read(space, rows->va, rows->bytes, rows->len, fault);
}
