# SPDX-License-Identifier: GPL-2.0
# Tests of the driver, on the kernel's own kselftest_harness.h; they run in the guest.

KSELFTEST_NAMES := query queue bo submit sync fault hang devices abuse
KSELFTEST_CFLAGS := -Iinclude -Wno-unused-parameter -Wno-sign-compare -Wno-missing-prototypes

$(foreach n,$(KSELFTEST_NAMES),$(eval $(call kselftest,$(n),tests/kselftest/$(n).c tests/kselftest/igrad_test.c,,libdrm,$(KSELFTEST_CFLAGS))))
