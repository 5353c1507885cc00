# SPDX-License-Identifier: MIT
core-tests := tests/unit/core
core-test-cflags := -Iqemu-device/core -Iqemu-device/core/reference -I$(core-tests)
core-reference := $(addprefix qemu-device/core/reference/, array.c clock.c device.c interlock.c layers.c math.c overlap.c skewed.c vector.c window.c)

# $(call core_test,NAME[,MORE_SOURCES])
core_test = $(call unit_test,core-$(1),$(core-tests)/$(1).c $(core-tests)/rig.c $(2),igrad-core,,$(core-test-cflags))

core-streams := $(addprefix $(core-tests)/, streams.c streams-layers.c streams-order.c windows.c)

$(eval $(call core_test,property,$(core-reference) $(core-streams)))
$(eval $(call core_test,backlog))
$(eval $(call core_test,check))
$(eval $(call core_test,checkpoint,$(core-tests)/windows.c))
$(eval $(call core_test,kernels))
$(eval $(call core_test,pool))
$(eval $(call core_test,convolution))
$(eval $(call core_test,math))
$(eval $(call core_test,mmu))
$(eval $(call core_test,hazard,$(core-tests)/races.c $(core-tests)/windows.c))
$(eval $(call core_test,job))
$(eval $(call core_test,timing))
$(eval $(call core_test,random))
$(eval $(call core_test,one_tile,$(core-reference)))
$(eval $(call core_test,overlap,$(core-reference) $(core-tests)/windows.c))
$(eval $(call core_test,tiled,$(core-reference)))
