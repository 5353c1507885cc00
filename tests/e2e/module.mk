# SPDX-License-Identifier: MIT
$(eval $(call program,tests/hosttrain,tests/e2e/hosttrain.c tests/unit/refnet.c tests/unit/hostref.c tools/dataset.c tools/igrad-train-settings.c,igrad igrad-core,,-O3 -Itools -Itests/unit))

# Run in the guest by tests/e2e/root.t, and built when that can be run.
$(eval $(call program,guest/root,tests/e2e/root.c tests/kselftest/igrad_test.c,,libdrm,-std=gnu11 -Iinclude/uapi -Itests/kselftest))
E2E_PROGRAMS += $(BUILD)/bin/guest/root
