# SPDX-License-Identifier: MIT
$(eval $(call program,igrad-sim,$(wildcard tools/sim/*.c) tools/arguments.c,igrad-net igrad igrad-core,json-c,-Itools -Itools/net))
