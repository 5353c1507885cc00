# SPDX-License-Identifier: MIT
$(eval $(call program,igrad-info,tools/igrad-info.c,igrad igrad-core,))
$(eval $(call program,igrad-train,$(wildcard tools/igrad-train*.c) tools/dataset.c tools/arguments.c,igrad-net igrad igrad-core,json-c))
$(eval $(call program,igrad-demo,$(wildcard tools/demo/*.c) tools/dataset.c tools/arguments.c $(addprefix tools/igrad-train-,net.c output.c session.c settings.c),igrad-net igrad igrad-core,json-c))
include tools/net/module.mk tools/sim/module.mk
