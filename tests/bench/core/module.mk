# SPDX-License-Identifier: MIT
$(eval $(call program,bench-core,tests/bench/core/core.c tests/bench/bench.c,igrad-core,openblas,-Iqemu-device/core -Itests/bench))
BENCHES += $(BUILD)/bin/bench-core
