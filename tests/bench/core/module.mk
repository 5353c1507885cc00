# SPDX-License-Identifier: MIT
$(eval $(call program,bench-core,tests/bench/core/core.c,igrad-core,openblas,-Iqemu-device/core))
BENCHES += $(BUILD)/bin/bench-core
