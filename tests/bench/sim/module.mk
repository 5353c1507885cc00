# SPDX-License-Identifier: MIT
$(eval $(call program,bench-sim,tests/bench/sim/sim.c,igrad igrad-core,))
BENCHES += $(BUILD)/bin/bench-sim
