#!/bin/bash
# SPDX-License-Identifier: MIT
# After 100 training steps from one seed the saved parameters are the same bytes: in all schedules, with one and two
# device threads, on arrays and SRAM of other sizes, and computed by the host reference.
. "$(dirname "$0")/lib.sh"

network=784-256-128-10
recipe=(--steps 100 --batch 64 --lr 0.1 --seed 7)
"$build/bin/tests/hosttrain" "${recipe[@]}" --save "$tmp/host" $network 2>&1 | note
[[ -s $tmp/host ]]
ok $? 'host reference trained'

run() { # NAME OPTION...
	local name=$1
	shift
	"$train" "${recipe[@]}" --save "$tmp/$name" "$@" $network >"$tmp/log" 2>&1 || note <"$tmp/log"
	same "$tmp/host" "$tmp/$name" "$name"
}
for schedule in ws-paper ws ws+os interleaved; do
	for threads in 1 2; do
		run "$schedule, $threads threads" --schedule $schedule --device sim: --threads $threads
	done
	run "$schedule, 48×20 array, 64 KiB SRAM" --schedule $schedule --device sim:rows=48,cols=20,sram-kib=64
done

# Momentum and decay, saved with velocities.
recipe=(--steps 100 --batch 50 --lr 0.02 --momentum 0.9 --decay 0.001 --seed 8)
network=784-64-10
"$build/bin/tests/hosttrain" "${recipe[@]}" --save "$tmp/host" $network 2>&1 | note
for objective in cycles energy dram; do
	run "auto for $objective, momentum and decay" --schedule auto --objective $objective --device sim:sram-kib=256
done
for schedule in ws-paper ws ws+os interleaved; do
	run "$schedule, momentum and decay" --schedule $schedule --device sim:
done

# Adam, saved with both moments and the number of steps.
recipe=(--steps 100 --batch 50 --optimizer adam --lr 0.002 --beta2 0.99 --decay 0.001 --seed 9)
"$build/bin/tests/hosttrain" "${recipe[@]}" --save "$tmp/host" $network 2>&1 | note
for schedule in ws-paper ws ws+os interleaved auto; do
	run "$schedule, Adam" --schedule $schedule --device sim:sram-kib=256 --threads 2
done
cmp -s "$tmp/host" "$tmp/interleaved, 1 threads"
ok $((!$?)) 'another recipe gives other bytes'
finish
