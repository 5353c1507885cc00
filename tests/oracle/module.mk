# SPDX-License-Identifier: MIT
# What others have implemented, as a judge. Needs large packages, so it is no part of `make check`.
ORACLES = $(wildcard tests/oracle/*.t)

$(eval $(call program,tests/run-layers,tests/oracle/run-layers.c,igrad igrad-core))

$(eval $(call program,tests/run-network,tests/oracle/run-network.c tools/igrad-train-net.c,igrad-net igrad igrad-core,,-Itools))

.PHONY: check-oracle oracle-packages
oracle-packages: | packages
	@$(SETUP)/host-packages $(SETUP)/packages.oracle

check-oracle: host $(BUILD)/bin/tests/run-layers $(BUILD)/bin/tests/run-network | oracle-packages
	@tests/run $(ORACLES)
