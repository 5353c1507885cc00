# SPDX-License-Identifier: MIT
$(eval $(call unit_test,test-energy,tests/unit/test-energy.c tests/unit/files.c,igrad igrad-core))
