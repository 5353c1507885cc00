# SPDX-License-Identifier: MIT
$(eval $(call program,bench-sim,tests/bench/sim/sim.c tests/bench/bench.c,igrad igrad-core,,-Itests/bench))
BENCHES += $(BUILD)/bin/bench-sim
