# SPDX-License-Identifier: MIT
HOSTREF := tests/unit/hostref.c
NN_TEST_LIBS := igrad igrad-core

$(eval $(call unit_test,test-linear,tests/unit/test-linear.c tests/unit/matrices.c $(HOSTREF),$(NN_TEST_LIBS),,-O3 -Ilib))
