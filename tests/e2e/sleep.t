#!/bin/bash
# SPDX-License-Identifier: MIT
# The driver's test of sleep, whose TAP is passed on: shares do not survive the sleep of the devices that they come through,
# and so it neither leaves its results in one nor runs from one.
. "$(dirname "$0")/lib.sh"

kernel=${IGRAD_TEST_KERNEL:-}
tools/vm/igrad-vm ${kernel:+--kernel "$kernel"} --name "sleep${kernel:+-$kernel}" --serial --one-thread --devices 2 --module-param job_timeout_ms=3000 \
	--device-props "x-hang-tag=0x68616e67" --timeout 2400 -- \
	sh -c 'cp build/bin/kselftest/sleep /tmp && cd /tmp && exec ./sleep' | tr -d '\r'
exit "${PIPESTATUS[0]}"
