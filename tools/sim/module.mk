# SPDX-License-Identifier: MIT
$(eval $(call program,igrad-sim,$(wildcard tools/sim/*.c) tools/arguments.c,igrad-net igrad igrad-core,json-c,-Itools -Itools/net -I$(BUILD)/gen))

# Tables of areas and the networks of `paper --intergrad` are part of the program: each file becomes a C string.
SIM_AREAS := $(wildcard tools/sim/area/*.json)
SIM_NETS  := $(wildcard nets/*.net)
to_string  = sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' $< > $@
$(BUILD)/gen/area/%.inc: tools/sim/area/%.json
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)$(to_string)
$(BUILD)/gen/nets/%.inc: nets/%.net
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)$(to_string)
$(BUILD)/obj/tools/sim/area.o: $(SIM_AREAS:tools/sim/area/%.json=$(BUILD)/gen/area/%.inc)
$(BUILD)/obj/tools/sim/intergrad-nets.o: $(SIM_NETS:nets/%.net=$(BUILD)/gen/nets/%.inc)
