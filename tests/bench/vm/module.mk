# SPDX-License-Identifier: MIT
$(eval $(call program,guest/realtime,tests/bench/vm/realtime.c tests/kselftest/igrad_test.c,,libdrm,-std=gnu11 -Iinclude/uapi -Itests/kselftest))
# The guest has no OpenBLAS of its own.
$(eval $(call program,guest/mlp,tests/bench/vm/mlp.c,,,-O3 $(shell $(PKGCONF) --cflags openblas 2>/dev/null),$(shell $(PKGCONF) --libs-only-L openblas 2>/dev/null) -l:libopenblas.a))

# Run in the guest, by tests/bench/vm/vm.
BENCH_VM := $(BUILD)/bin/guest/realtime $(BUILD)/bin/guest/mlp
E2E_PROGRAMS += $(BENCH_VM)
tests/bench/vm/vm: vm $(BENCH_VM)
BENCHES += tests/bench/vm/vm
