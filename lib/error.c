/* SPDX-License-Identifier: MIT */
/* Errors in words. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend.h"

int igrad_fail(struct igrad_error *error, int err, const char *format, ...)
{
	va_list args;

	if (error) {
		va_start(args, format);
		vsnprintf(error->message, sizeof(error->message), format, args);
		va_end(args);
	}
	return err;
}

const char *igrad_strerror(int err)
{
	static const struct {
		int err;
		const char *text;
	} table[] = {
		{0, "success"},
		{EINVAL, "invalid argument or malformed command"},
		{EFAULT, "the job used an address that it may not reach"},
		{ETIME, "the job hung and was ended"},
		{EIO, "the queue or the device has failed"},
		{ECANCELED, "canceled because an earlier job of the queue failed"},
		{ENODEV, "the device is gone"},
		{ETIMEDOUT, "the job still runs"},
		{EBUSY, "jobs are still in flight"},
		{E2BIG, "too many commands or buffers for one job"},
		{ERANGE, "beyond the end of a buffer or of the device's memory"},
		{ENOMEM, "out of memory"},
		{ENOSPC, "no space left"},
		{EACCES, "permission denied"},
		{ENOTSUP, "not supported"},
		{ENOENT, "no such file, device or object"},
		{EPROTO, "the kernel driver or the device is of an incompatible version"},
		{EBADMSG, "the file is damaged or of another kind"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].err == -err)
			return table[i].text;
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	const char *text = err < 0 ? strerrordesc_np(-err) : NULL;

	if (text)
		return text;
#endif
	return "unknown error";
}

const char *igrad_reason_string(enum igrad_reason reason)
{
	switch (reason) {
	case IGRAD_REASON_NONE:
		return "none";
	case IGRAD_REASON_DESC:
		return "bad job descriptor";
	case IGRAD_REASON_OPCODE:
		return "unknown opcode";
	case IGRAD_REASON_FLAGS:
		return "unknown or unsupported flag";
	case IGRAD_REASON_RESERVED:
		return "reserved field not zero";
	case IGRAD_REASON_SEMAPHORE:
		return "bad semaphore";
	case IGRAD_REASON_WAIT:
		return "wait for a value that is never signalled";
	case IGRAD_REASON_SHAPE:
		return "dimension zero or too large";
	case IGRAD_REASON_ALIGN:
		return "bad alignment or pitch";
	case IGRAD_REASON_SRAM_RANGE:
		return "beyond the end of SRAM";
	case IGRAD_REASON_OVERLAP:
		return "result overlaps an operand";
	case IGRAD_REASON_DATA:
		return "operand value out of range";
	case IGRAD_REASON_HAZARD:
		return "not ordered after an earlier access";
	case IGRAD_REASON_VA_RANGE:
		return "address outside the address space";
	case IGRAD_REASON_NOT_PRESENT:
		return "page not present";
	case IGRAD_REASON_READ_ONLY:
		return "page not writable";
	case IGRAD_REASON_BAD_PTE:
		return "bad page-table entry";
	case IGRAD_REASON_TABLE_BUS:
		return "page table not reachable";
	case IGRAD_REASON_BUS:
		return "memory not reachable";
	case IGRAD_REASON_INTERNAL:
		return "out of resources inside the device";
	case IGRAD_REASON_ECC:
		return "uncorrectable memory error";
	}
	return "unknown reason";
}
