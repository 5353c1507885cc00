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

objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

# $(call library,NAME,SOURCES[,PKGS][,CFLAGS]): $(BUILD)/lib/libNAME.a
define library
LIB_PKGS_$(1) := $(3)
$$(call objs,$(2)): private OBJ_PKGS := $(3)
$$(call objs,$(2)): private OBJ_CFLAGS := $(4)
$(BUILD)/lib/lib$(1).a: $$(call objs,$(2))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(AR) rcs $$@ $$^
LIBRARIES += $(BUILD)/lib/lib$(1).a
endef

# $(call program,NAME,SOURCES,LIBS,PKGS[,CFLAGS][,LDLIBS]): $(BUILD)/bin/NAME; LIBS in link order
define program
$$(call objs,$(2)): private OBJ_PKGS := $(4) $(foreach l,$(3),$$(LIB_PKGS_$(l)))
$$(call objs,$(2)): private OBJ_CFLAGS := $(5)
$(BUILD)/bin/$(1): $$(call objs,$(2)) $(foreach l,$(3),$(BUILD)/lib/lib$(l).a)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ $$^ $$(if $$(strip $(4) $(foreach l,$(3),$$(LIB_PKGS_$(l)))),$$$$($$(PKGCONF) --libs $(4) $(foreach l,$(3),$$(LIB_PKGS_$(l))))) $(6) -lm
PROGRAMS += $(BUILD)/bin/$(1)
endef

# $(call unit_test,NAME,SOURCES,LIBS[,PKGS][,CFLAGS][,LDLIBS]): a host test printing TAP, run by `make check`
define unit_test
$(call program,tests/$(1),$(2),$(3),cmocka $(4),$(5),$(6))
UNIT_TESTS += $(BUILD)/bin/tests/$(1)
endef

.PHONY: all
all: host

include $(wildcard qemu-device/core/module.mk lib/module.mk tools/module.mk tests/unit/module.mk tests/e2e/module.mk \
	tests/bench/module.mk)

.PHONY: host unit-tests
host: $(LIBRARIES) $(filter-out $(UNIT_TESTS) $(BENCHES),$(PROGRAMS))
unit-tests: $(UNIT_TESTS)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(BASE_CFLAGS) $(WERROR) $(OBJ_CFLAGS) \
		$(if $(strip $(OBJ_PKGS)),$$($(PKGCONF) --cflags $(OBJ_PKGS))) -c -o $@ $<

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: clean
clean:
	rm -rf $(BUILD)
