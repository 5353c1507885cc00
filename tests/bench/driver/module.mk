# SPDX-License-Identifier: MIT
$(eval $(call program,guest/bench-driver,tests/bench/driver/driver.c tests/bench/bench.c tests/kselftest/igrad_test.c,,libdrm,-std=gnu11 -Iinclude/uapi -Itests/bench -Itests/bench/driver -Itests/kselftest))
E2E_PROGRAMS += $(BUILD)/bin/guest/bench-driver
BENCHES += tests/bench/driver/bench-driver
NULL_SCHED := $(BUILD)/module/null_sched.ko
$(NULL_SCHED): $(wildcard tests/bench/driver/null/*) $(MODULE)
	@echo 'igrad: building null_sched.ko'
	@$(SETUP)/build-module tests/bench/driver/null null_sched W=1
	@touch $@
tests/bench/driver/bench-driver: vm $(NULL_SCHED) $(BUILD)/bin/guest/bench-driver
