# SPDX-License-Identifier: MIT
# Tests of the library below the scheduler.
LIB_TESTS     := region cmdbuf jobs sim drm
LIB_TEST_LIBS := igrad igrad-core

$(foreach t,$(LIB_TESTS),$(eval $(call \
	unit_test,test-$(t),tests/unit/test-$(t).c,$(LIB_TEST_LIBS),,-Ilib -Iqemu-device/core)))
$(foreach t,idx safetensors,$(eval $(call \
	unit_test,test-$(t),$(addprefix tests/unit/,test-$(t).c files.c),$(LIB_TEST_LIBS),zlib)))
$(eval $(call unit_test,test-trace,$(addprefix tests/unit/,test-trace.c lab.c),$(LIB_TEST_LIBS),,-Ilib))

empty :=
comma := ,
space := $(empty) $(empty)
quoted = $(subst $(space),$(comma),$(patsubst %,'"%"',$(1)))
$(eval $(call unit_test,test-exports,tests/unit/test-exports.c,,,\
	-DLIBRARY='"$(BUILD)/lib/$(IGRAD_SO)"' -DHEADERS=$(call quoted,$(IGRAD_HEADERS))))
$(BUILD)/bin/tests/test-exports: | $(BUILD)/lib/$(IGRAD_SO)

# The core's rig and oracle, on streams that the library builds.
$(eval $(call unit_test,test-mutants,$(addprefix tests/unit/,test-mutants.c matrices.c core/races.c core/rig.c),$(LIB_TEST_LIBS),,\
	-Ilib -Iqemu-device/core -Itests/unit/core -Itests/unit))
