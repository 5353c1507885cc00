# SPDX-License-Identifier: MIT
# Set-up: host packages, what comes from outside into the cache, the driver and QEMU.

SETUP := tools/setup
export KERNEL KDIR QEMU_SRC IGRAD_CACHE ACCEL JOBS
export BUILD_DIR := $(abspath $(BUILD))

.PHONY: packages fetch fetch-kernel fetch-newest-kernel fetch-kernel-source fetch-kernel-tree fetch-qemu fetch-data refresh

packages:
	@$(SETUP)/host-packages

# Each of these is a few tests of files when all is there.
fetch-kernel: | packages
	@$(SETUP)/fetch-kernel
fetch-newest-kernel: | packages
	@$(SETUP)/fetch-kernel --newest
fetch-kernel-source: | packages
	@$(SETUP)/fetch-kernel-source
fetch-kernel-tree: | packages
	@$(SETUP)/fetch-kernel-tree
fetch-qemu: | packages
	@$(SETUP)/fetch-qemu
fetch-data: | packages
	@$(SETUP)/fetch-data
fetch: | fetch-kernel fetch-qemu fetch-data
	@$(SETUP)/links
fetch-kernel-source: | fetch

# Look again for the newest guest kernel of the suite; nothing else asks the network once it is in the cache.
refresh: | packages
	$(SETUP)/fetch-kernel --refresh

MODULE := $(BUILD)/module/igrad.ko
$(BUILD)/kernel.id: | fetch
$(MODULE): $(wildcard kernel/*.[ch] kernel/Kbuild include/igrad/*.h include/uapi/drm/*.h) $(SETUP)/build-module $(BUILD)/kernel.id | fetch
	@echo 'igrad: building igrad.ko'
	@$(SETUP)/build-module kernel igrad W=1
	@touch $@

# Whether anything is to do is ninja's business, and kbuild's.
.PHONY: qemu module newest-module debug-kernel kcsan-kernel
qemu: | fetch
	@$(SETUP)/build-qemu
debug-kernel kcsan-kernel: %-kernel: | fetch fetch-kernel-tree
	@$(SETUP)/build-own-kernel $*
module: $(MODULE)

# For the newest kernel that there is, which no warning is too small for.
newest-module: | fetch fetch-newest-kernel
	@$(SETUP)/build-module --newest kernel igrad W=1 KCFLAGS=-Werror
