# SPDX-License-Identifier: MIT
$(eval $(call program,bench-layer,tests/bench/layer/layer.c tests/bench/bench.c,igrad igrad-core,openblas,-Itests/bench))
BENCHES += $(BUILD)/bin/bench-layer
