# SPDX-License-Identifier: MIT
# Tests of the library below the scheduler.
LIB_TEST_LIBS := igrad igrad-core

$(foreach t,region cmdbuf sim,$(eval $(call \
	unit_test,test-$(t),tests/unit/test-$(t).c,$(LIB_TEST_LIBS),,-Ilib -Iqemu-device/core)))
