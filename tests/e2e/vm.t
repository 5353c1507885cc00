#!/bin/bash
# SPDX-License-Identifier: MIT
# The whole stack in a guest: the driver's device gives the same bytes as the one in the process, and the reports say so too.
. "$(dirname "$0")/lib.sh"

network=784-256-128-10
recipe="--steps 100 --batch 64 --lr 0.1 --seed 7 --data DATA"
lenet="--net nets/lenet5.net --batch 16 --steps 10 --lr 0.02 --momentum 0.9 --seed 7"
mkdir -m 777 "$tmp/out"
mkdir "$tmp/out/data"

# As many images as 100 steps need: an emulated guest is slow at unpacking all of them.
part() { # NAME ROWS BYTES: the first rows of a file, which are so many bytes; its header says how many rows
	gzip -dc "$build/data/$1.gz" >"$tmp/whole"
	{
		head -c 4 "$tmp/whole"
		printf '%b' "$(printf '\\0\\0\\x%02x\\x%02x' $(($2 / 256)) $(($2 % 256)))"
		tail -c +9 "$tmp/whole" | head -c "$3"
	} | gzip -1 >"$tmp/out/data/$1.gz"
}
for set in train:6400 t10k:1000; do
	rows=${set#*:}
	part "${set%:*}-images-idx3-ubyte" "$rows" $((8 + rows * 784))
	part "${set%:*}-labels-idx1-ubyte" "$rows" "$rows"
done
cat >"$tmp/out/job" <<JOB
set -e
for schedule in ws-paper ws ws+os interleaved; do
	igrad-train ${recipe/DATA//out/data} --device drm:/dev/accel/accel0 --schedule \$schedule --save "/out/\$schedule" --json $network \
		>"/out/\$schedule.json"
done
igrad-train $lenet --data /out/data --device drm:/dev/accel/accel0 --save /out/lenet --json >/out/lenet.json
igrad-train ${recipe/DATA//out/data} --load /out/interleaved --eval --json --device sim: $network >/out/eval.json
JOB
tools/vm/igrad-vm --user --out "$tmp/out" --name e2e --device-props threads=2 -- sh /out/job >"$tmp/log" 2>&1
code=$?
((code == 0)) || note <"$tmp/log"
ok $code 'trained in the guest in four schedules'

counts() { grep -o '"cycles":[0-9]*,"macs":[0-9]*,"sram_accesses":[0-9]*,"dram_bytes":[0-9]*' "$1"; }
for schedule in ws-paper ws ws+os interleaved; do
	# shellcheck disable=SC2086
	"$train" ${recipe/DATA/$tmp/out/data} --device sim: --schedule $schedule --save "$tmp/$schedule" --json $network >"$tmp/$schedule.json" 2>"$tmp/log" ||
		note <"$tmp/log"
	same "$tmp/$schedule" "$tmp/out/$schedule" "$schedule: same parameters as in the simulator"
	[[ -n $(counts "$tmp/$schedule.json") && $(counts "$tmp/$schedule.json") == $(counts "$tmp/out/$schedule.json") ]]
	ok $? "$schedule: same cycles and accesses as in the simulator"
done
same "$tmp/ws-paper" "$tmp/interleaved" 'same parameters in different schedules'

# A convolutional network from a file.
# shellcheck disable=SC2086
"$train" $lenet --data "$tmp/out/data" --device sim: --save "$tmp/lenet" --json >"$tmp/lenet.json" 2>"$tmp/log" || note <"$tmp/log"
same "$tmp/lenet" "$tmp/out/lenet" 'lenet5.net: same parameters as in the simulator'
[[ -n $(counts "$tmp/lenet.json") && $(counts "$tmp/lenet.json") == $(counts "$tmp/out/lenet.json") ]]
ok $? 'lenet5.net: same cycles and accesses as in the simulator'

result() { grep -o "\"$1\":[0-9.e-]*" "$2"; }
[[ -n $(result test_accuracy "$tmp/out/eval.json") && $(result test_accuracy "$tmp/out/eval.json") == $(result test_accuracy "$tmp/interleaved.json") ]]
ok $? 'what was saved in the guest evaluates as it did when it was trained'
finish
