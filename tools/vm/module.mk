# SPDX-License-Identifier: MIT
# The virtual machine and what runs in it interactively. The guest gets the libraries that the host programs need; the
# driver's tests need no others.

INITRAMFS := $(BUILD)/vm/initramfs.cpio

$(INITRAMFS): $(MODULE) $(HOST_PROGRAMS) tools/vm/init tools/vm/initramfs $(BUILD)/kernel.id | fetch
	@tools/vm/initramfs $@ $(BUILD)/kernel $(MODULE) $(HOST_PROGRAMS)

# The same guest on a kernel of our own, kernel/configs-debug or another.
vm-debug vm-kcsan: vm-%: qemu host %-kernel
	@tools/vm/initramfs $(BUILD)/$*/initramfs.cpio $(BUILD)/$*/kernel $(BUILD)/$*/igrad.ko $(HOST_PROGRAMS)

# And on the newest kernel that Debian has.
vm-newest: qemu host newest-module
	@tools/vm/initramfs $(BUILD)/newest/initramfs.cpio $(BUILD)/newest/kernel $(BUILD)/newest/module/igrad.ko $(HOST_PROGRAMS)

.PHONY: vm vm-debug vm-kcsan vm-newest shell demo
vm: qemu $(INITRAMFS) host

shell: vm
	@echo 'igrad: a shell in the guest; /igrad is this checkout, /data the data set, /out is $(BUILD)/out. Leave with exit.'
	@tools/vm/igrad-vm --tty --timeout 0 --out $(BUILD)/out --name shell -- sh -c 'sh -l; true'

demo: vm
	@tools/vm/igrad-vm --user --out $(BUILD)/demo --timeout 1800 --name demo -- igrad-demo
