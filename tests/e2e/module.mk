# SPDX-License-Identifier: MIT
$(eval $(call program,tests/hosttrain,tests/e2e/hosttrain.c tests/unit/refnet.c tests/unit/hostref.c tools/dataset.c tools/igrad-train-settings.c,igrad igrad-core,,-O3 -Itools -Itests/unit))
