# SPDX-License-Identifier: MIT
#
# libigrad, static and shared, and what `make install PREFIX=… [DESTDIR=…]` installs.

IGRAD_VERSION := 0.1.0
IGRAD_SO      := libigrad.so.$(firstword $(subst ., ,$(IGRAD_VERSION)))
IGRAD_HEADERS := $(wildcard include/igrad/*.h)
PREFIX        ?= /usr/local

$(eval $(call library,igrad,$(wildcard lib/*.c),libdrm zlib json-c,-Iqemu-device/core -I$(BUILD)/gen/energy))

# Energy tables are part of the library: each file becomes a C string.
ENERGY_TABLES := $(wildcard lib/energy/*.json)
$(BUILD)/gen/energy/%.inc: lib/energy/%.json
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' $< > $@
$(BUILD)/obj/lib/energy-builtin.o: $(ENERGY_TABLES:lib/energy/%.json=$(BUILD)/gen/energy/%.inc)

# The shared library contains the device core, and exports only what the map names.
$(BUILD)/lib/$(IGRAD_SO): $(BUILD)/lib/libigrad.a $(BUILD)/lib/libigrad-core.a lib/libigrad.map
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -o $@ -Wl,-soname,$(IGRAD_SO) \
		-Wl,--version-script=lib/libigrad.map -Wl,--no-undefined \
		-Wl,--whole-archive $(BUILD)/lib/libigrad.a -Wl,--no-whole-archive \
		$(BUILD)/lib/libigrad-core.a $$($(PKGCONF) --libs $(LIB_PKGS_igrad)) -lm
	$(Q)ln -sf $(IGRAD_SO) $(BUILD)/lib/libigrad.so
LIBRARIES += $(BUILD)/lib/$(IGRAD_SO)

# $(call igrad_pc,PREFIX,LIBDIR,INCLUDEDIR[,LDFLAGS])
igrad_pc = sed -e 's|@PREFIX@|$(1)|' -e 's|@LIBDIR@|$(2)|' -e 's|@INCLUDEDIR@|$(3)|' \
	-e 's|@LDFLAGS@|$(4)|' -e 's|@VERSION@|$(IGRAD_VERSION)|' lib/igrad.pc.in

# For programs built against this tree: PKG_CONFIG_PATH=$(BUILD)/lib/pkgconfig
$(BUILD)/lib/pkgconfig/igrad-uninstalled.pc: lib/igrad.pc.in lib/module.mk | packages
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)$(call igrad_pc,$(CURDIR),$(abspath $(BUILD))/lib,$(CURDIR)/include,-Wl$(comma)-rpath$(comma)$${libdir} ) > $@
LIBRARIES += $(BUILD)/lib/pkgconfig/igrad-uninstalled.pc

comma := ,

.PHONY: install
install: host
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig \
		$(DESTDIR)$(PREFIX)/include/igrad $(DESTDIR)$(PREFIX)/share/igrad/energy
	install -m 644 $(ENERGY_TABLES) $(DESTDIR)$(PREFIX)/share/igrad/energy
	install -m 644 $(IGRAD_HEADERS) $(DESTDIR)$(PREFIX)/include/igrad
	install -m 644 $(BUILD)/lib/libigrad.a $(BUILD)/lib/libigrad-core.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(BUILD)/lib/$(IGRAD_SO) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(IGRAD_SO) $(DESTDIR)$(PREFIX)/lib/libigrad.so
	$(call igrad_pc,$(PREFIX),$${prefix}/lib,$${prefix}/include) \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/igrad.pc
	$(foreach p,$(filter $(BUILD)/bin/igrad-%,$(PROGRAMS)),install -m 755 $(p) $(DESTDIR)$(PREFIX)/bin;)
