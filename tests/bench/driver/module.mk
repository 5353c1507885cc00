# SPDX-License-Identifier: MIT
$(eval $(call program,guest/bench-driver,tests/bench/driver/driver.c tests/bench/bench.c tests/kselftest/igrad_test.c,,libdrm,-std=gnu11 -Iinclude/uapi -Itests/bench -Itests/kselftest))
E2E_PROGRAMS += $(BUILD)/bin/guest/bench-driver
BENCHES += tests/bench/driver/bench-driver
bench: vm $(BUILD)/bin/guest/bench-driver
