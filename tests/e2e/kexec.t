#!/bin/bash
# SPDX-License-Identifier: MIT
# Another kernel takes the machine over while the device executes a job that does not end: it finds the device idle, and works
# with it. Only by make check-long.
. "$(dirname "$0")/lib.sh"

[[ -n ${IGRAD_TEST_LONG:-} ]] || skip_all 'IGRAD_TEST_LONG is not set'

mkdir -p "$tmp/out"
cp "$build/kernel/vmlinuz" "$build/vm/initramfs.cpio" "$tmp/out"
cat >"$tmp/out/first" <<'JOB'
mkdir -p /tmp/next/job
cp /job/settings /tmp/next/job
echo 'exec sh /out/second' >/tmp/next/job/command
cp /out/initramfs.cpio /tmp/initrd
(cd /tmp/next && find job | cpio -o -H newc >>/tmp/initrd)
exec build/bin/guest/kexec /out/vmlinuz /tmp/initrd "$(cat /proc/cmdline) igrad-second"
JOB
cat >"$tmp/out/second" <<'JOB'
grep -q igrad-second /proc/cmdline && echo kernel >>/out/results
build/bin/kselftest/sync >/out/sync 2>&1 && echo sync >>/out/results
build/bin/kselftest/fault >/out/fault 2>&1 && echo fault >>/out/results
JOB
tools/vm/igrad-vm --out "$tmp/out" --name kexec --module-param job_timeout_ms=600000 --module-param job_limit_ms=600000 \
	--device-props "x-hang-tag=0x68616e67" -- sh /out/first >"$tmp/log" 2>&1
code=$?
((code == 0)) || note <"$tmp/log"
ok $code 'both kernels had nothing to complain about'
for what in kernel sync fault; do
	grep -qsx "$what" "$tmp/out/results"
	ok $? "$what in the second kernel"
done
finish
