# SPDX-License-Identifier: MIT
# Layers beside linear ones and convolutions; and every layer's gradient beside differences.
LAYER_TEST_LIBS := igrad igrad-core

$(eval $(call unit_test,test-layers,$(addprefix tests/unit/,test-layers.c lab.c matrices.c hostref.c layerref.c),$(LAYER_TEST_LIBS),,-O3))
$(eval $(call unit_test,test-differences,$(addprefix tests/unit/,test-differences.c lab.c matrices.c),$(LAYER_TEST_LIBS)))
