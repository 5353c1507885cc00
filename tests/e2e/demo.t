#!/bin/bash
# SPDX-License-Identifier: MIT
# What `make demo` runs, on the simulator: it learns, and its last line has the figures.
. "$(dirname "$0")/lib.sh"

"$build/bin/igrad-demo" --device sim: --threads 2 >"$tmp/out" 2>"$tmp/err"
code=$?
((code == 0)) || note <"$tmp/err"
ok $code 'test accuracy of at least 0.86 within 5 epochs, schedules bit-identical'

tail -n 1 "$tmp/out" >"$tmp/json"
costs='{"cycles":[1-9][0-9]*,"sram_accesses":[1-9][0-9]*,"dram_bytes":[1-9][0-9]*}'
grep -qE '^\{"dataset":"fashion-mnist","device":"sim:[^"]*","kernel":"[^"]+","accel":"[^"]+","epochs":5,"test_accuracy":0\.8[6-9][0-9]*,"train_seconds":[0-9.]+,"bit_identical":true,"backward":\{"ws-paper":'"$costs"',"ws\+os":'"$costs"',"interleaved":'"$costs"'\}\}$' "$tmp/json"
code=$?
((code == 0)) || note <"$tmp/json"
ok $code 'the last line is the JSON object'

accesses() { sed "s/.*\"$1\":{[^}]*\"sram_accesses\":\([0-9]*\).*/\1/" "$tmp/json"; }
(($(accesses interleaved) < $(accesses ws-paper) && $(accesses interleaved) < $(accesses ws+os)))
ok $? 'the interleaved schedule accesses SRAM least'

for option in --eval --json; do
	code=0
	"$build/bin/igrad-demo" --device sim: $option >"$tmp/out" 2>"$tmp/err" || code=$?
	((code == 2)) && grep -q -- "$option is igrad-train's" "$tmp/err" && [[ ! -s $tmp/out ]]
	ok $? "refuses $option"
done

code=0
"$build/bin/igrad-demo" --device sim: --epochs 1 >"$tmp/out" 2>"$tmp/err" || code=$?
((code == 1)) && grep -q 'not learned enough' "$tmp/err"
ok $? 'a demonstration that did not learn fails'
finish
