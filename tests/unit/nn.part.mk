# SPDX-License-Identifier: MIT
# The scheduler, networks and training. -O3: the host reference's plain loops are to be quick.
NN_TEST_LIBS := igrad igrad-core

$(eval $(call unit_test,test-linear,$(addprefix tests/unit/,test-linear.c lab.c matrices.c hostref.c),$(NN_TEST_LIBS),,-O3 -Ilib))
$(eval $(call unit_test,test-loss,$(addprefix tests/unit/,test-loss.c lab.c matrices.c hostref.c),$(NN_TEST_LIBS),,-O3))
$(eval $(call unit_test,test-plan,$(addprefix tests/unit/,test-plan.c matrices.c),$(NN_TEST_LIBS),,-O3 -Ilib))
$(eval $(call unit_test,test-planner,$(addprefix tests/unit/,test-planner.c matrices.c),$(NN_TEST_LIBS),,-O3 -Ilib))
$(eval $(call unit_test,test-traffic,$(addprefix tests/unit/,test-traffic.c lab.c matrices.c),$(NN_TEST_LIBS),,-O3 -Ilib))
$(eval $(call unit_test,test-auto,$(addprefix tests/unit/,test-auto.c matrices.c),$(NN_TEST_LIBS)))
$(eval $(call unit_test,test-buffering,$(addprefix tests/unit/,test-buffering.c matrices.c),$(NN_TEST_LIBS),,-Ilib))
$(eval $(call unit_test,test-nn,$(addprefix tests/unit/,test-nn.c matrices.c refnet.c hostref.c),$(NN_TEST_LIBS),,-O3))
$(eval $(call unit_test,test-conv,$(addprefix tests/unit/,test-conv.c lab.c matrices.c hostref.c),$(NN_TEST_LIBS),,-O3 -Ilib))
$(eval $(call unit_test,test-graph,$(addprefix tests/unit/,test-graph.c matrices.c refgraph.c hostref.c),$(NN_TEST_LIBS),,-O3))
