# SPDX-License-Identifier: MIT
$(eval $(call program,igrad-sim,$(wildcard tools/sim/*.c),igrad-net igrad igrad-core,json-c,-Itools/net))
