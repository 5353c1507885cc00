#!/bin/bash
# SPDX-License-Identifier: MIT
# What root can do to the device while others use it: unload the driver, unbind it, remove it, reset it.
. "$(dirname "$0")/lib.sh"

mkdir -p "$tmp/out"
cat >"$tmp/out/job" <<'JOB'
root=build/bin/guest/root
device=$(basename "$(ls -d /sys/bus/pci/drivers/igrad/0*)")
path=/sys/bus/pci/devices/$device
result() { echo "$1 $2" >>/out/results; }

# With jobs of a closed file in the ring and behind it.
$root orphans && rmmod igrad && insmod /modules/igrad.ko
result rmmod $?
$root orphans && echo "$device" >/sys/bus/pci/drivers/igrad/unbind && echo "$device" >/sys/bus/pci/drivers/igrad/bind
result unbind $?
$root orphans && echo 1 >"$path/remove" && echo 1 >/sys/bus/pci/rescan
result remove $?
$root reset "$path/reset" >/out/reset
result reset $?
# Again and again, under two programs that use it; the module can go when neither has the device open.
for i in 1 2; do $root churn /tmp/stop >/tmp/churn$i 2>/out/churn$i.log & done
i=0
while [ $i -lt 20 ]; do
	echo "$device" >/sys/bus/pci/drivers/igrad/unbind && echo "$device" >/sys/bus/pci/drivers/igrad/bind || break
	usleep 20000
	i=$((i + 1))
done
[ $i = 20 ]
result rebind $?
i=0
while [ $i -lt 10 ]; do
	tries=0
	until rmmod igrad 2>/dev/null || [ $((tries += 1)) = 20000 ]; do usleep 1000; done
	insmod /modules/igrad.ko job_timeout_ms=3000 || break
	usleep 20000
	i=$((i + 1))
done
touch /tmp/stop
code=$((i != 10))
for job in $(jobs -p); do wait "$job" || code=1; done
cat /tmp/churn1 /tmp/churn2 >/out/churned
result reload $code

rmmod igrad && insmod /modules/igrad.ko job_limit_ms=200 && $root limit >/out/limit
result limit $?
JOB
tools/vm/igrad-vm --one-thread --out "$tmp/out" --name root --module-param job_timeout_ms=3000 --device-props "x-hang-tag=0x68616e67" -- \
	sh /out/job >"$tmp/log" 2>&1
code=$?
((code == 0)) || note <"$tmp/log"
ok $code 'the kernel had nothing to complain about'
for what in rmmod unbind remove reset rebind reload limit; do
	grep -qx "$what 0" "$tmp/out/results"
	ok $? "$what while jobs run"
done
# They did get at it in between.
[[ $(awk '$1 > 10' "$tmp/out/churned" | wc -l) == 2 ]]
ok $? 'programs used the device while its driver came and went'
# What had begun is finished, the rest runs, and each of it once.
[[ $(cat "$tmp/out/reset") == '0 0 2' ]]
code=$?
((code == 0)) || note <"$tmp/out/reset"
ok $code 'before a reset by others, what had begun is finished, and the rest is run after it'
[[ $(cat "$tmp/out/limit") == -62 ]]
ok $? 'a job that executes for too long is ended, whatever it does'
finish
