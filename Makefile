# SPDX-License-Identifier: MIT
#
# One Makefile for the host parts. A directory says what it builds in its module.mk with the three
# functions below; nothing is built outside $(BUILD).

BUILD   ?= build
CC      ?= cc
PKGCONF ?= pkg-config
CFLAGS  ?= -O2 -g
JOBS    ?= $(shell nproc)

# Every multiply-add that is meant to be fused says fmaf(); the compiler must not fuse others.
BASE_CFLAGS := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes \
	-Wvla -ffp-contract=off -fno-math-errno -fPIC -pthread -MMD -MP -Iinclude
WERROR ?= -Werror

# V=1 shows whole commands.
Q   := $(if $(V),,@)
say  = $(if $(V),,@echo '  $(1)	$(patsubst $(BUILD)/%,%,$@)')

objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

# $(call library,NAME,SOURCES[,PKGS][,CFLAGS]): $(BUILD)/lib/libNAME.a
define library
LIB_PKGS_$(1) := $(3)
$$(call objs,$(2)): private OBJ_PKGS := $(3)
$$(call objs,$(2)): private OBJ_CFLAGS := $(4)
$(BUILD)/lib/lib$(1).a: $$(call objs,$(2))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR)
	$$(Q)$$(AR) rcs $$@ $$^
LIBRARIES += $(BUILD)/lib/lib$(1).a
endef

# $(call program,NAME,SOURCES,LIBS,PKGS[,CFLAGS][,LDLIBS]): $(BUILD)/bin/NAME; LIBS in link order
define program
$$(call objs,$(2)): private OBJ_PKGS := $(4) $(foreach l,$(3),$$(LIB_PKGS_$(l)))
$$(call objs,$(2)): private OBJ_CFLAGS := $(5)
$(BUILD)/bin/$(1): $$(call objs,$(2)) $(foreach l,$(3),$(BUILD)/lib/lib$(l).a)
	@mkdir -p $$(@D)
	$$(call say,LINK)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ $$^ $$(if $$(strip $(4) $(foreach l,$(3),$$(LIB_PKGS_$(l)))),$$$$($$(PKGCONF) --libs $(4) $(foreach l,$(3),$$(LIB_PKGS_$(l))))) $(6) -lm
PROGRAMS += $(BUILD)/bin/$(1)
endef

# $(call unit_test,NAME,SOURCES,LIBS[,PKGS][,CFLAGS][,LDLIBS]): a host test printing TAP, run by `make check`
define unit_test
$(call program,tests/$(1),$(2),$(3),cmocka $(4),$(5),$(6))
UNIT_TESTS += $(BUILD)/bin/tests/$(1)
endef

# $(call kselftest,NAME,SOURCES[,LIBS][,PKGS][,CFLAGS][,ROOT]): a test of the driver on the kernel's kselftest_harness.h,
# run in the guest by `make check`, by root if ROOT says anything: $(BUILD)/bin/kselftest/NAME
define kselftest
$(call program,kselftest/$(1),$(2),$(3),$(4),-std=gnu11 -isystem $(BUILD)/kernel-src/tools/testing/selftests $(5))
$$(call objs,$(2)): | fetch-kernel-source
$(if $(6),KSELFTESTS_ROOT,KSELFTESTS) += $(BUILD)/bin/kselftest/$(1)
endef

# Compilers run side by side; a make called from here takes part in that.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif

.PHONY: all
all: host

include $(wildcard qemu-device/core/module.mk lib/module.mk tools/module.mk examples/module.mk $(addsuffix /module.mk,$(wildcard tests/*)))
HOST_PROGRAMS = $(filter-out $(BUILD)/bin/tests/% $(BENCHES) $(KSELFTESTS) $(KSELFTESTS_ROOT) $(E2E_PROGRAMS),$(PROGRAMS))
TEST_PROGRAMS = $(filter $(BUILD)/bin/tests/%,$(PROGRAMS))

include tools/setup/module.mk tools/vm/module.mk tests/check.mk

.PHONY: host unit-tests
host: $(LIBRARIES) $(HOST_PROGRAMS)
unit-tests: $(TEST_PROGRAMS)

$(BUILD)/obj/%.o: %.c | packages
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(BASE_CFLAGS) $(WERROR) $(OBJ_CFLAGS) \
		$(if $(strip $(OBJ_PKGS)),$$($(PKGCONF) --cflags $(OBJ_PKGS))) -c -o $@ $<

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: clean help
clean:
	rm -rf $(BUILD)

help:
	@sed -n '/^Targets/,$$p' tools/setup/help
