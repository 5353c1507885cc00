# SPDX-License-Identifier: MIT
$(eval $(call program,bench-sim,tests/bench/sim/sim.c tests/bench/bench.c,igrad igrad-core,,-Itests/bench))
BENCHES += $(BUILD)/bin/bench-sim

# Runs igrad-sim, from the top of the tree.
$(eval $(call program,bench-sim-network,tests/bench/sim/network.c tests/bench/bench.c,,,-Itests/bench))
$(BUILD)/bin/bench-sim-network: | $(BUILD)/bin/igrad-sim
BENCHES += $(BUILD)/bin/bench-sim-network
