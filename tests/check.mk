# SPDX-License-Identifier: MIT
# Running the tests: what there is, in the order of how quickly it tells, and one summary by prove.

QTESTS   = $(patsubst tests/qtest/%.c,$(BUILD)/qemu/%,$(wildcard tests/qtest/*-test.c))
E2E      = $(wildcard tests/e2e/*.t)
SAN      = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

# Tests of the driver share a guest; prove reads what they said there. Guests: NAME:KERNEL:DEVICES:WHO,MACHINE...
# Another machine gets the tests that its differences matter to, and all of them in check-long.
comma := ,
GUESTS := kselftest-1:stock:1:user kselftest-2:stock:2:user kselftest-root:stock:2:root kselftest-4:stock:4:user$(comma)smp=1$(comma)iommu
DEBUG_GUESTS := debug-user:debug:2:user$(comma)iommu debug-root:debug:2:root
ifdef IGRAD_TEST_LONG
GUESTS += kselftest-smp4:stock:4:user$(comma)smp=4$(comma)iommu kselftest-root-iommu:stock:2:root$(comma)iommu kselftest-root-smp1:stock:2:root$(comma)smp=1
DEBUG_GUESTS += debug-root-iommu:debug:2:root$(comma)iommu
endif
KCSAN_GUESTS := kcsan-user:kcsan:2:user$(comma)smp=4 kcsan-root:kcsan:2:root
NEWEST_GUESTS := newest-user:newest:2:user$(comma)iommu newest-root:newest:2:root
# (After a sleep the shares that these leave their results in are gone: that test is in tests/e2e/sleep.t.)
guest_tests = $(if $(findstring :root,$(1)),$(filter-out %/sleep,$(KSELFTESTS_ROOT)),$(if $(filter kselftest-4:%,$(1)),\
	$(filter %/bo %/sync %/fault %/devices %/abuse,$(KSELFTESTS)),$(KSELFTESTS)))
guest_name = $(firstword $(subst :, ,$(1)))
guest_results = $(foreach g,$(1),$(foreach t,$(notdir $(call guest_tests,$(g))) kernel-log,$(BUILD)/check/$(call guest_name,$(g))/$(t).tap))
run_guests = set -e; $(foreach g,$(1),tests/kselftest-run $(subst :, ,$(g)) $(call guest_tests,$(g));)

.PHONY: check check-debug check-debug-kselftest check-debug-qtest check-debug-threads check-long check-kcsan check-newest check-newest-qemu check-qemu-threads check-htop check-threads check-core coverage stress check-unit check-qtest check-kselftest fuzz lint bench

check-unit: unit-tests
	@tests/run $(UNIT_TESTS)

check-qtest: qemu
	@tests/run $(QTESTS)

check-kselftest: vm $(KSELFTESTS) $(KSELFTESTS_ROOT)
	@$(call run_guests,$(GUESTS))
	@tests/run $(call guest_results,$(GUESTS))

check: unit-tests vm $(KSELFTESTS) $(KSELFTESTS_ROOT) $(E2E_PROGRAMS)
	@$(call run_guests,$(GUESTS))
	@tests/run $(UNIT_TESTS) $(QTESTS) $(call guest_results,$(GUESTS)) $(E2E)

# The host's sources with sanitizers, apart from the others; fuzzers; the driver's tests on a kernel that looks for
# mistakes; lint.
check-debug: check-debug-kselftest
	@echo 'igrad: the host tests with address and undefined-behaviour sanitizers'
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/san CFLAGS='-O1 -g $(SAN)' LDFLAGS='$(SAN)' check-unit
	@$(MAKE) --no-print-directory check-debug-threads
	@$(MAKE) --no-print-directory check-debug-qtest fuzz
	@$(MAKE) --no-print-directory stress
	@$(MAKE) --no-print-directory lint

# The device in a QEMU with sanitizers (it leaks on its way out by itself), and QEMU's own fuzzer on its registers.
check-debug-qtest: | fetch
	@echo 'igrad: the device in a QEMU with sanitizers'
	@QEMU_SANITIZE=1 BUILD_DIR=$(abspath $(BUILD))/san $(SETUP)/build-qemu
	@ASAN_OPTIONS=detect_leaks=0 BUILD_DIR=$(abspath $(BUILD))/san tests/run $(QTESTS:$(BUILD)/%=$(BUILD)/san/%) tests/fuzz/registers

# The newest QEMU that can be had, with the device where and as that project would have it: its tests there, and guests.
check-newest-qemu: vm
	@QEMU_SRC= QEMU_NEWEST=1 $(SETUP)/fetch-qemu
	@QEMU_SRC= QEMU_NEWEST=1 BUILD_DIR=$(abspath $(BUILD))/newest-qemu $(SETUP)/build-qemu
	@BUILD_DIR=$(abspath $(BUILD))/newest-qemu tests/run $(QTESTS:$(BUILD)/%=$(BUILD)/newest-qemu/%)
	@IGRAD_QEMU=$(abspath $(BUILD))/newest-qemu/bin/qemu-system-x86_64 tests/run tests/e2e/vm.t tests/e2e/migrate.t

# QEMU itself with the thread sanitizer, and the glib that it wants for that: the device's tests, every race a failure. Not
# those of migration: QEMU's threads tell each other how far they are without a lock there, in a hundred reports.
check-qemu-threads: | fetch
	@$(SETUP)/build-glib
	@QEMU_TSAN=1 BUILD_DIR=$(abspath $(BUILD))/tsan $(SETUP)/build-qemu
	@BUILD_DIR=$(abspath $(BUILD))/tsan TSAN_OPTIONS='die_after_fork=0 suppressions=$(CURDIR)/tests/qtest/tsan.supp' \
		tests/run $(filter-out %/igrad-migrate-test,$(QTESTS:$(BUILD)/%=$(BUILD)/tsan/%))

# Trainings in a guest whose device suffers all that can happen to it.
stress: vm
	@IGRAD_TEST_TIMEOUT=$(if $(IGRAD_TEST_LONG),14400,1800) tests/run tests/e2e/stress

# The core's worker pool, and what runs on it, with every race made known.
check-debug-threads:
	@echo 'igrad: the device core with the thread sanitizer'
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS='-O1 -g -fsanitize=thread' LDFLAGS=-fsanitize=thread check-threads
check-threads: $(BUILD)/bin/tests/core-pool $(BUILD)/bin/tests/core-job
	@BUILD_DIR=$(abspath $(BUILD)) TSAN_OPTIONS=halt_on_error=1 tests/run $^

# The share of the device's lines that tests execute: those of the core on the host, and those of the device in a QEMU
# that counts.
coverage: | fetch
	@find $(BUILD)/cov -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/cov CFLAGS='-O1 -g --coverage -fprofile-update=atomic' LDFLAGS=--coverage check-core
	@QEMU_COVERAGE=1 BUILD_DIR=$(abspath $(BUILD))/cov $(SETUP)/build-qemu
	@BUILD_DIR=$(abspath $(BUILD))/cov tests/run $(QTESTS:$(BUILD)/%=$(BUILD)/cov/%)
	@tests/coverage --missing $(BUILD)/cov
check-core: $(filter $(BUILD)/bin/tests/core-%,$(UNIT_TESTS))
	@BUILD_DIR=$(abspath $(BUILD)) tests/run $^

# Fuzzers of the core, built by clang apart from all else.
FUZZ_SECONDS ?= $(if $(IGRAD_TEST_LONG),3600,20)
fuzz:
	@echo 'igrad: fuzzing the device core for $(FUZZ_SECONDS) s'
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang FUZZ=1 LDFLAGS='$(SAN)' \
		CFLAGS='-O1 -g $(SAN) -fsanitize=fuzzer-no-link -Wno-pass-failed' fuzzers
	@BUILD_DIR=$(abspath $(BUILD))/fuzz tests/fuzz/run $(FUZZ_SECONDS)

check-debug-kselftest: vm-debug $(KSELFTESTS) $(KSELFTESTS_ROOT)
	@$(call run_guests,$(DEBUG_GUESTS))
	@tests/run $(call guest_results,$(DEBUG_GUESTS)) $(BUILD)/check/debug-root/kunit.tap
	@IGRAD_TEST_KERNEL=debug tests/run tests/e2e/sleep.t

# The driver on a kernel that looks for data races.
check-kcsan: vm-kcsan $(KSELFTESTS) $(KSELFTESTS_ROOT)
	@$(call run_guests,$(KCSAN_GUESTS))
	@tests/run $(call guest_results,$(KCSAN_GUESTS))

# The driver on the newest kernel that Debian has.
check-newest: vm-newest $(KSELFTESTS) $(KSELFTESTS_ROOT)
	@$(call run_guests,$(NEWEST_GUESTS))
	@tests/run $(call guest_results,$(NEWEST_GUESTS))
	@IGRAD_TEST_KERNEL=newest tests/run tests/e2e/sleep.t

# What others' programs make of it.
check-htop: vm
	@tests/run tests/e2e/htop

check-long:
	@IGRAD_TEST_LONG=1 $(MAKE) --no-print-directory check
	@IGRAD_TEST_TIMEOUT=7200 tests/run tests/e2e/accuracy
	@IGRAD_TEST_LONG=1 $(MAKE) --no-print-directory check-debug
	@IGRAD_STRESS_SECONDS=120 IGRAD_ABUSE_SECONDS=60 IGRAD_FUZZ_SECONDS=600 $(MAKE) --no-print-directory check-kcsan
	@$(MAKE) --no-print-directory check-newest
	@$(MAKE) --no-print-directory check-htop
	@$(MAKE) --no-print-directory check-newest-qemu
	@$(MAKE) --no-print-directory check-qemu-threads
	@$(MAKE) --no-print-directory coverage

lint: fetch-kernel-source
	@tools/setup/lint

# Ratios of speeds, as one table; nothing of it is a test, since hosts are busy.
bench: $(BENCHES)
	@CC='$(CC)' BUILD_DIR=$(abspath $(BUILD)) tests/bench/table $(BENCHES)
