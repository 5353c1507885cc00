# SPDX-License-Identifier: MIT
# What others have implemented, as a judge. Needs large packages, so it is no part of `make check`.
ORACLES = $(wildcard tests/oracle/*.t)

.PHONY: check-oracle oracle-packages
oracle-packages: | packages
	@$(SETUP)/host-packages $(SETUP)/packages.oracle

check-oracle: host | oracle-packages
	@tests/run $(ORACLES)
