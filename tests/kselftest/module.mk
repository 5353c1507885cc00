# SPDX-License-Identifier: GPL-2.0
# Tests of the driver, on the kernel's own kselftest_harness.h; they run in the guest.

KSELFTEST_NAMES := query queue bo submit sync fault hang devices abuse
KSELFTEST_ROOT_NAMES := visible share failures unplug sleep
KSELFTEST_CFLAGS := -Iinclude -Wno-unused-parameter -Wno-sign-compare -Wno-missing-prototypes
KSELFTEST_COMMON := tests/kselftest/igrad_test.c

$(foreach n,$(KSELFTEST_NAMES),$(eval $(call kselftest,$(n),tests/kselftest/$(n).c $(KSELFTEST_COMMON),,libdrm,$(KSELFTEST_CFLAGS))))
$(foreach n,$(KSELFTEST_ROOT_NAMES),$(eval $(call kselftest,$(n),tests/kselftest/$(n).c tests/kselftest/root_test.c $(KSELFTEST_COMMON),,libdrm,$(KSELFTEST_CFLAGS),root)))
