# SPDX-License-Identifier: MIT
# Fuzzers of the core and of what reads files, each alone; they want clang, so they are built only where they are asked for (tests/check.mk).
ifdef FUZZ
fuzz-flags := -Iqemu-device/core

# The wide kernels take clang minutes to instrument, and are held to the portable ones elsewhere.
wide-kernels := $(addprefix $(BUILD)/obj/qemu-device/core/kernels_, avx2.o avx512.o)
$(wide-kernels): override CFLAGS := -O1 -Wno-pass-failed
$(wide-kernels): private OBJ_CFLAGS := -Iqemu-device/core

# $(call fuzzer,NAME)
fuzzer = $(call program,fuzz/$(1),tests/fuzz/$(1).c tests/fuzz/machine.c,igrad-core,,$(fuzz-flags),-fsanitize=fuzzer)

$(eval $(call fuzzer,fuzz-job))
$(eval $(call fuzzer,fuzz-checkpoint))
$(eval $(call program,fuzz/fuzz-seeds,tests/fuzz/seeds.c tests/fuzz/machine.c,igrad-core,,$(fuzz-flags)))

$(eval $(call program,fuzz/fuzz-net,tests/fuzz/fuzz-net.c,igrad-net,,-Itools/net,-fsanitize=fuzzer))

.PHONY: fuzzers
fuzzers: $(addprefix $(BUILD)/bin/fuzz/,fuzz-job fuzz-checkpoint fuzz-net fuzz-seeds)
endif
