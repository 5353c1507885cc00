#!/bin/bash
# SPDX-License-Identifier: MIT
# What igrad-train says and leaves when the device fails: the right parameters, or a clear error and none.
. "$(dirname "$0")/lib.sh"

mkdir -p "$tmp/out/data"
# 64 images of 2×2 to train and to test with: class 0 is dark, class 1 bright.
for part in train t10k; do
	{
		printf '\0\0\10\3\0\0\0\100\0\0\0\2\0\0\0\2'
		for ((i = 0; i < 32; i++)); do printf '\xf0\xe0\xd0\xff\x10\x20\x08\x00'; done
	} >"$tmp/out/data/$part-images-idx3-ubyte"
	{
		printf '\0\0\10\1\0\0\0\100'
		for ((i = 0; i < 32; i++)); do printf '\1\0'; done
	} >"$tmp/out/data/$part-labels-idx1-ubyte"
done
recipe=(--batch 8 --epochs 20 --lr 0.5 --seed 3)

cat >"$tmp/out/job" <<JOB
exec 3<>"\$IGRAD_QMP"
ask() { # JSON
	echo "\$1" >&3
	while read -r answer <&3; do case \$answer in *'"return"'* | *'"error"'*) break ;; esac; done
}
set_property() {
	ask '{"execute":"qom-set","arguments":{"path":"/machine/peripheral/igrad0","property":"x-inject-'\$1'","value":'\$2'}}'
}
train() { # NAME
	igrad-train --device drm:/dev/accel/accel0 --data /out/data ${recipe[*]} --save /tmp/\$1 4-3-2 >/tmp/stdout 2>/tmp/stderr </dev/null
	echo \$? >/out/\$1.status
	cp /tmp/stderr /out/\$1.stderr
	[ ! -e /tmp/\$1 ] || cp /tmp/\$1 /out/\$1.saved
}
fails() { # PROPERTY VALUE: so, and then not any more
	set_property \$1 \$2
	train \$1
	set_property \$1 0
}
ask '{"execute":"qmp_capabilities"}'
train nothing
fails irq-lose 2
fails irq-repeat 1000
fails completion-delay 1000000
fails completion-drop 1
fails hang 100
fails ecc 100
fails fault 2097152
set_property acc-bit 30
# It matters before few of a step's commands: those that take the gradient from there.
for n in \$(seq 24 80); do
	fails acc-flip \$n
	cmp -s /tmp/nothing /tmp/acc-flip || break
done
train nothing-more
set_property dead true
train dead
train still-dead
JOB
tools/vm/igrad-vm --qmp --out "$tmp/out" --name inject --module-param job_timeout_ms=1000 --device-props rows=4,cols=4 -- \
	sh /out/job >"$tmp/log" 2>&1
code=$?
((code == 0)) || note <"$tmp/log"
ok $code 'the kernel had nothing to complain about'
"$train" --device sim:rows=4,cols=4 --data "$tmp/out/data" "${recipe[@]}" --save "$tmp/expected" 4-3-2 >/dev/null

right() { # NAME DESCRIPTION
	[[ $(cat "$tmp/out/$1.status") == 0 ]] && [[ ! -s $tmp/out/$1.stderr ]] && cmp "$tmp/expected" "$tmp/out/$1.saved" >"$tmp/err" 2>&1
	local result=$?
	((result == 0)) || cat "$tmp/out/$1.status" "$tmp/out/$1.stderr" "$tmp/err" | note
	ok $result "$2"
}
says() { # NAME PATTERN DESCRIPTION
	[[ $(cat "$tmp/out/$1.status") == 1 ]] && grep -q -- "$2" "$tmp/out/$1.stderr" && (($(wc -l <"$tmp/out/$1.stderr") <= 2)) &&
		[[ ! -e $tmp/out/$1.saved ]]
	local result=$?
	((result == 0)) || { echo "exit $(cat "$tmp/out/$1.status"), wanted '$2'"; cat "$tmp/out/$1.stderr"; } | note
	ok $result "$3"
}
right nothing 'undisturbed: the parameters of the simulator'
right irq-lose 'interrupts are lost: the same parameters'
right irq-repeat 'interrupts come twice: the same parameters'
right completion-delay 'completions come late: the same parameters'
says completion-drop 'hung' 'a completion is dropped: the job counts as hung'
says hang 'hung' 'a command hangs'
says ecc 'memory error' 'a read is corrupt'
says fault 'address' 'a page is out of reach'
[[ $(cat "$tmp/out/acc-flip.status") == 0 ]] && ! cmp -s "$tmp/expected" "$tmp/out/acc-flip.saved"
ok $? 'a bit of an accumulator flips: other parameters, and no word'
right nothing-more 'after all that: the parameters of the simulator'
says dead 'gone\|failed' 'the device is dead'
says still-dead 'gone\|failed' 'and stays so'
finish
