# SPDX-License-Identifier: MIT
core-dir := qemu-device/core

CORE_SOURCES := $(addprefix $(core-dir)/, account.c array.c backlog.c check.c checkpoint.c config.c dma.c flip.c gather.c hazard.c \
	job.c kernels.c kernels_avx2.c kernels_avx512.c kernels_portable.c mathfn.c mmu.c overlap.c pool.c pooling.c serial.c \
	shadow.c space.c sram.c stream.c strided.c timing.c vector.c vector_dropout.c vector_norm.c vector_pool.c window.c)

# -O3 lets the compiler vectorise the plain loops of the vector unit; it changes no result.
$(eval $(call library,igrad-core,$(CORE_SOURCES),,-O3 -fno-trapping-math -I$(core-dir)))

include $(wildcard tests/unit/core/module.mk tests/bench/core/module.mk)
