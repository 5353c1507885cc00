# SPDX-License-Identifier: MIT
# Running the tests: what there is, in the order of how quickly it tells, and one summary by prove.

KSELFTEST_DEVICES := 1 2
QTESTS   = $(patsubst tests/qtest/%.c,$(BUILD)/qemu/%,$(wildcard tests/qtest/*-test.c))
E2E      = $(wildcard tests/e2e/*.t)
SAN      = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

# Tests of the driver share one guest for each number of devices; prove reads what they said there.
KSELFTEST_RESULTS = $(foreach n,$(KSELFTEST_DEVICES),$(foreach t,$(notdir $(KSELFTESTS)),$(BUILD)/check/kselftest-$(n)/$(t).tap))

.PHONY: check check-debug check-long check-unit check-qtest check-kselftest lint bench

check-unit: unit-tests
	@tests/run $(UNIT_TESTS)

check-qtest: qemu
	@tests/run $(QTESTS)

check-kselftest: vm $(KSELFTESTS)
	@tests/kselftest-run '$(KSELFTEST_DEVICES)' $(KSELFTESTS)
	@tests/run $(KSELFTEST_RESULTS) $(KSELFTEST_DEVICES:%=$(BUILD)/check/kselftest-%/kernel-log.tap)

check: unit-tests vm $(KSELFTESTS) $(E2E_PROGRAMS)
	$(if $(KSELFTESTS),@tests/kselftest-run '$(KSELFTEST_DEVICES)' $(KSELFTESTS))
	@tests/run $(UNIT_TESTS) $(QTESTS) $(KSELFTEST_RESULTS) \
		$(if $(KSELFTESTS),$(KSELFTEST_DEVICES:%=$(BUILD)/check/kselftest-%/kernel-log.tap)) $(E2E)

# The same sources with sanitizers, apart from the others, then lint.
check-debug:
	@echo 'igrad: the host tests with address and undefined-behaviour sanitizers'
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/san CFLAGS='-O1 -g $(SAN)' LDFLAGS='$(SAN)' check-unit
	@$(MAKE) --no-print-directory lint

check-long:
	@IGRAD_TEST_LONG=1 $(MAKE) --no-print-directory check
	@IGRAD_TEST_LONG=1 $(MAKE) --no-print-directory check-debug

lint: fetch-kernel-source
	@tools/setup/lint

bench: $(BENCHES)
	@set -e; for b in $(BENCHES); do echo "== $${b##*/}"; $$b; done
