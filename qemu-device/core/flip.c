/* SPDX-License-Identifier: MIT */
/* Bits that turn over by themselves: for tests of what is above the device. */
#include "internal.h"

void igrad_core_flip_sram(struct igrad_core *core, uint64_t bit)
{
	const uint64_t byte = bit / 8 % core->sram.size;

	igrad_backlog_close(core->backlog);
	core->sram.bytes[byte] ^= (uint8_t)(1u << bit % 8);
	igrad_sram_mark(&core->sram, byte, byte + 1);
}

void igrad_core_flip_acc(struct igrad_core *core, uint64_t bit)
{
	const uint64_t pe = bit / 32 % ((uint64_t)core->config.rows * core->config.cols);
	float *acc = core->array.acc + pe / core->config.cols * core->array.stride +
		     pe % core->config.cols;
	uint32_t bits;

	igrad_backlog_close(core->backlog);
	memcpy(&bits, acc, sizeof(bits));
	bits ^= 1u << bit % 32;
	memcpy(acc, &bits, sizeof(bits));
	core->array.dirty = true;
}
