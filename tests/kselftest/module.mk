# SPDX-License-Identifier: GPL-2.0
# Tests of the driver, on the kernel's own kselftest_harness.h; they run in the guest.

KSELFTEST_NAMES := query queue bo submit sync fault hang devices abuse stress
KSELFTEST_ROOT_NAMES := visible failures share inject patience unplug errors fuzz sleep
KSELFTEST_CFLAGS := -Iinclude -Iinclude/uapi -Wno-unused-parameter -Wno-sign-compare -Wno-missing-prototypes
KSELFTEST_COMMON := tests/kselftest/igrad_test.c
KSELFTEST_MORE_fuzz := tests/kselftest/fuzz_calls.c

$(foreach n,$(KSELFTEST_NAMES),$(eval $(call kselftest,$(n),tests/kselftest/$(n).c $(KSELFTEST_COMMON),,libdrm,$(KSELFTEST_CFLAGS))))
$(foreach n,$(KSELFTEST_ROOT_NAMES),$(eval $(call kselftest,$(n),tests/kselftest/$(n).c $(KSELFTEST_MORE_$(n)) tests/kselftest/root_test.c $(KSELFTEST_COMMON),,libdrm,$(KSELFTEST_CFLAGS),root)))

# Some of them once more as 32-bit programs, which the guest has no libraries for.
KSELFTEST_32_NAMES := query queue bo submit sync
$(KSELFTEST_32_NAMES:%=$(BUILD)/bin/kselftest/%-32): $(BUILD)/bin/kselftest/%-32: tests/kselftest/%.c $(KSELFTEST_COMMON) tests/kselftest/igrad_test.h | fetch-kernel-source
	@mkdir -p $(@D)
	$(call say,CC -m32)
	$(Q)$(CC) -m32 -static -D_FILE_OFFSET_BITS=64 $(CFLAGS) $(BASE_CFLAGS) $(WERROR) -std=gnu11 -isystem $(BUILD)/kernel-src/tools/testing/selftests $(KSELFTEST_CFLAGS) \
		$$($(PKGCONF) --cflags libdrm) -MF $(BUILD)/obj/$*-32.d -o $@ $(filter %.c,$^)
KSELFTESTS += $(KSELFTEST_32_NAMES:%=$(BUILD)/bin/kselftest/%-32)
