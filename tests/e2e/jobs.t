#!/bin/bash
# SPDX-License-Identifier: MIT
# What the unit tests expect of jobs on the simulated device, expected of the driver: faults, hangs, cancelled work, many
# threads. The guest has no cmocka, so it gets the host's.
. "$(dirname "$0")/lib.sh"

mkdir -m 777 "$tmp/out"
cp -L "$(ldd "$build/bin/tests/test-jobs" | awk '/libcmocka/ { print $3 }')" "$tmp/out" || exit 1
tools/vm/igrad-vm --user --out "$tmp/out" --name jobs --module-param job_timeout_ms=2000 \
	--device-props rows=8,cols=8,sram-kib=64,x-hang-tag=77 --env IGRAD_TEST_DEVICE=drm:/dev/accel/accel0 \
	--env LD_LIBRARY_PATH=/out -- build/bin/tests/test-jobs
