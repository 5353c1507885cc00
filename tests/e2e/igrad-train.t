#!/bin/bash
# SPDX-License-Identifier: MIT
# What igrad-train says and returns when something is wrong, and what its options do.
. "$(dirname "$0")/lib.sh"

# A data set of 64 images of 2×2 to train and 16 to test with: class 0 is dark, class 1 bright.
idx() { # COUNT FILE-PREFIX
	local count=$1 i
	{
		printf '\0\0\10\3\0\0\0%b\0\0\0\2\0\0\0\2' "$(printf '\\x%02x' "$count")"
		for ((i = 0; i < count; i++)); do
			if ((i % 2)); then printf '\xf0\xe0\xd0\xff'; else printf '\x10\x20\x08\x00'; fi
		done
	} >"$2-images-idx3-ubyte"
	{
		printf '\0\0\10\1\0\0\0%b' "$(printf '\\x%02x' "$count")"
		for ((i = 0; i < count; i++)); do
			if ((i % 2)); then printf '\1'; else printf '\0'; fi
		done
	} >"$2-labels-idx1-ubyte"
}
data=$tmp/data
mkdir "$data"
idx 64 "$data/train"
idx 16 "$data/t10k"
tiny=(--device sim:rows=4,cols=4 --data "$data" --batch 8 --epochs 2)

# refuses STATUS PATTERN DESCRIPTION ARGUMENT...: exits so, says so on stderr in one or two lines, and nothing on stdout
refuses() {
	local status=$1 pattern=$2 what=$3 code=0
	shift 3
	"$train" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || code=$?
	((code == status)) && grep -q -- "$pattern" "$tmp/err" && (($(wc -l <"$tmp/err") <= 2)) && [[ ! -s $tmp/out ]]
	local result=$?
	((result == 0)) || { echo "exit $code, wanted $status and '$pattern'"; cat "$tmp/err" "$tmp/out"; } | note
	ok $result "$what"
}

refuses 2 'which network' 'no network'
refuses 2 'too much' 'two networks' 4-2 4-2
refuses 2 'unrecognized option' 'unknown option' --frobnicate 4-2
refuses 2 'ws-paper, ws, ws+os, interleaved and auto' 'unknown schedule' --schedule fast 4-2
refuses 2 'fp32 and bf16' 'unknown element type' --dtype fp64 4-2
refuses 2 'cycles, energy and dram' 'unknown objective' --objective money 4-2
refuses 2 'a whole number from 1' 'batch of 0' --batch 0 4-2
refuses 2 'a whole number from 1' 'batch that is no number' --batch many 4-2
refuses 2 'at least 0' 'negative learning rate' --lr -1 4-2
refuses 2 'at least 0' 'learning rate that is no number' --lr nan 4-2
refuses 2 'sgd, with momentum or without, and adam' 'unknown optimiser' --optimizer lion 4-2
refuses 2 'below 1' 'a moment that never fades' --optimizer adam --beta2 1 4-2
refuses 2 'does not go with adam' 'momentum with Adam' --optimizer adam --momentum 0.9 4-2
refuses 2 'eval' 'saving what is only evaluated' --eval --save x 4-2
for network in 4 4- x-y 4-0-2 4--2 9999999999-2; do
	refuses 1 "network '$network'" "bad network $network" "${tiny[@]}" $network
done
refuses 1 'nothere' 'unknown device' --device nothere: 4-2
refuses 1 'rows' 'impossible array' --device sim:rows=0 4-2
refuses 1 'frob' 'unknown property' --device sim:frob=1 4-2
refuses 1 '/dev/accel/nothere' 'no such node' --device drm:/dev/accel/nothere 4-2
refuses 1 'nothere' 'threads of an unknown device' --device nothere --threads 2 4-2
refuses 1 'which node' 'no node named' --device drm: 4-2
refuses 1 'threads' 'threads of a real device' --device drm:/dev/accel/accel0 --threads 2 4-2
refuses 1 "$tmp/nowhere" 'no data there' --device sim: --data "$tmp/nowhere" 4-2
refuses 1 '4 features' 'data of another width' "${tiny[@]}" 5-2
refuses 1 'class 1' 'data of another class' "${tiny[@]}" 4-1
refuses 1 'do not fill a batch' 'batch larger than the data' "${tiny[@]}" --batch 65 4-2 2>/dev/null
refuses 1 'layer 1 (20000-20000), forward' 'layer that is too large for a job' "${tiny[@]}" 4-20000-20000-2
refuses 1 "$tmp/nothing" 'parameters that are not there' "${tiny[@]}" --load "$tmp/nothing" 4-2

HOME=$tmp/nohome IGRAD_CACHE=$tmp/nocache XDG_CACHE_HOME='' refuses 1 'dataset-fashion-mnist\|features' 'no data set, or not this one' --device sim: 4-2

cp -r "$data" "$tmp/short"
truncate -s -3 "$tmp/short/train-images-idx3-ubyte"
refuses 1 "$tmp/short/train-images" 'truncated images' "${tiny[@]}" --data "$tmp/short" 4-2
cp -r "$data" "$tmp/zip"
gzip -9 "$tmp"/zip/*
truncate -s -3 "$tmp/zip/train-images-idx3-ubyte.gz"
refuses 1 "$tmp/zip/train-images" 'truncated gzip file' "${tiny[@]}" --data "$tmp/zip" 4-2
cp -r "$data" "$tmp/other"
cp "$data/t10k-labels-idx1-ubyte" "$tmp/other/train-labels-idx1-ubyte"
refuses 1 '64 train images, but 16 labels' 'images without labels' "${tiny[@]}" --data "$tmp/other" 4-2
echo rubbish >"$tmp/rubbish"
refuses 1 "$tmp/rubbish" 'parameters that are none' "${tiny[@]}" --load "$tmp/rubbish" 4-2

says() { # PATTERN DESCRIPTION ARGUMENT...: succeeds, and says so on stdout
	local pattern=$1 what=$2 code=0
	shift 2
	"$train" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || code=$?
	((code == 0)) && grep -q -- "$pattern" "$tmp/out"
	local result=$?
	((result == 0)) || { echo "exit $code, wanted '$pattern'"; cat "$tmp/err" "$tmp/out"; } | note
	ok $result "$what"
}
says 'Usage' 'help' --help
says '^    2 .* 1\.0000 ' 'learns' "${tiny[@]}" --lr 1 --save "$tmp/saved" 4-3-2
says 'test accuracy 1.0000' 'evaluates what it saved' "${tiny[@]}" --load "$tmp/saved" --eval 4-3-2
says 'Adam 0.5 0.999 1e-08, decay 0' 'says how Adam works' "${tiny[@]}" --optimizer adam --beta1 0.5 4-3-2
says '^   30 .* 1\.0000 ' 'learns with Adam' "${tiny[@]}" --epochs 30 --optimizer adam --lr 0.05 --save "$tmp/adam" 4-3-2
says 'test accuracy 1.0000' 'evaluates what Adam left' "${tiny[@]}" --load "$tmp/adam" --eval 4-3-2
says '^    1       8 .\{8\}  .\{8\}   .\{8\}  .\{8\} ' 'columns stand whatever the loss' "${tiny[@]}" --lr 1e30 4-3-2
says '"test_accuracy":1[.,}]' 'evaluates in JSON' "${tiny[@]}" --load "$tmp/saved" --eval --json 4-3-2
says '"epochs":\[{"epoch":1,.*{"epoch":2,' 'JSON has the epochs' "${tiny[@]}" --json 4-2
says '"epoch":2,"steps":3,' 'steps go on in the next epoch' "${tiny[@]}" --epochs 9 --steps 11 --json 4-2
refuses 1 '0.weight' 'parameters of another shape' "${tiny[@]}" --load "$tmp/saved" 4-5-2

"$train" "${tiny[@]}" --seed 1 --save "$tmp/one" 4-3-2 >/dev/null
"$train" "${tiny[@]}" --seed 1 --save "$tmp/two" 4-3-2 >/dev/null
"$train" "${tiny[@]}" --seed 2 --save "$tmp/three" 4-3-2 >/dev/null
same "$tmp/one" "$tmp/two" 'one seed, one result'
cmp -s "$tmp/one" "$tmp/three"
ok $((!$?)) 'another seed, another result'

refuses 1 "$tmp/no/where: cannot be written" 'says before it trains that it cannot save' "${tiny[@]}" --save "$tmp/no/where" 4-2
mkfifo "$tmp/pipe"
refuses 1 "$tmp/pipe: cannot be written: not a regular file" 'does not replace a pipe' "${tiny[@]}" --save "$tmp/pipe" 4-2
[[ -p $tmp/pipe ]]
ok $? 'leaves the pipe'
if [[ -w /dev/full ]]; then
	code=0
	"$train" "${tiny[@]}" --json 4-2 >/dev/full 2>"$tmp/err" || code=$?
	((code == 1)) && grep -q 'stdout' "$tmp/err"
	ok $? 'says when its output goes nowhere'
fi

# Networks in files: what does not fit is refused with file and line before anything else.
cat >"$tmp/small.net" <<'NET'
network small
batch 8
input 1 x 2 x 2
    conv out=3 kernel=2 pad=1
    batchnorm
    relu
    pool type=max kernel=2 stride=1
    flatten
    dropout rate=0.2
    linear out=2
NET
refuses 2 'or --net' 'no network, file or not'
refuses 2 'too much' 'widths and a file' --net "$tmp/small.net" 4-2
refuses 2 'constant, cosine, and step' 'unknown fall of the learning rate' --lr-schedule linear 4-2
refuses 2 'constant, cosine, and step' 'rate of no epochs' --lr-schedule step:0:0.5 4-2
refuses 2 'cosine needs --epochs' 'cosine without an end' --lr-schedule cosine --steps 9 4-2
refuses 2 'needs --checkpoint' 'checkpoints nowhere' --checkpoint-every 9 4-2
refuses 2 'where to begin' 'two beginnings' --resume x --load y 4-2
refuses 1 "$tmp/nothing.net" 'a file that is not there' "${tiny[@]}" --net "$tmp/nothing.net"
refuses 1 'nothing to shift' 'shifting what is no image' "${tiny[@]}" --shift 1 4-2
sed 's/linear out=2/linear/' "$tmp/small.net" >"$tmp/bad.net"
refuses 1 "$tmp/bad.net:10:" 'a file with a mistake' "${tiny[@]}" --net "$tmp/bad.net"
sed 's/batchnorm/lrn size=3/' "$tmp/small.net" >"$tmp/bad.net"
refuses 1 "$tmp/bad.net:5: lrn" 'a layer that cannot be executed' "${tiny[@]}" --net "$tmp/bad.net"
sed 's/out=3/out=3000/' "$tmp/small.net" >"$tmp/bad.net"
refuses 1 "bad.net:4: conv .*ward: " 'a layer that SRAM is too small for' "${tiny[@]}" --device sim:rows=4,cols=4,sram-kib=16 --net "$tmp/bad.net"
sed 's/relu/softmax/' "$tmp/small.net" >"$tmp/bad.net"
refuses 1 "bad.net:6: softmax" 'a softmax in the middle' "${tiny[@]}" --net "$tmp/bad.net"
refuses 1 'bad.net\|bf16' 'bf16 where there is none' "${tiny[@]}" --dtype bf16 --net "$tmp/small.net"
says '47 parameters' 'a dry run needs no data' --device sim: --dry-run --net "$tmp/small.net"
says '^   20 .* 1\.0000 ' 'a network of a file learns' "${tiny[@]}" --net "$tmp/small.net" --epochs 20 --lr 0.3 --momentum 0.5 --save "$tmp/saved"
says 'test accuracy 1.0000' 'and is evaluated' "${tiny[@]}" --net "$tmp/small.net" --load "$tmp/saved" --eval
says 'half a cosine over 3' 'says how the rate falls' "${tiny[@]}" --net "$tmp/small.net" --epochs 3 --lr-schedule cosine --shift 1 --flip

# Every network of nets/ can be trained, or is refused with file and line.
for net in nets/*.net; do
	code=0
	"$train" --device sim: --batch 2 --dry-run --net "$net" >"$tmp/out" 2>"$tmp/err" || code=$?
	if ((code == 0)); then
		grep -q 'a training step of 2 images can be run' "$tmp/out"
	else
		((code == 1)) && grep -q "$net:[0-9]*: " "$tmp/err"
	fi
	ok $? "$net: $(sed -n 's/igrad-train: //p' "$tmp/err")"
done

# A training that goes on from a checkpoint comes to the same bytes as one that was not interrupted.
resumes() { # DESCRIPTION OPTION...
	local what=$1
	shift
	rm -f "$tmp/checkpoint"
	"$train" "${tiny[@]}" --epochs 4 --save "$tmp/whole" --json "$@" >"$tmp/whole.json" 2>"$tmp/err"
	"$train" "${tiny[@]}" --epochs 4 --steps 13 --checkpoint "$tmp/checkpoint" --checkpoint-every 5 "$@" >/dev/null 2>>"$tmp/err"
	"$train" "${tiny[@]}" --epochs 4 --resume "$tmp/checkpoint" --save "$tmp/resumed" --json "$@" >"$tmp/resumed.json" 2>>"$tmp/err"
	note <"$tmp/err"
	same "$tmp/whole" "$tmp/resumed" "resumed: $what"
	[[ $(grep -o '"epoch":4.*"dram_bytes":[0-9]*' "$tmp/whole.json") == $(grep -o '"epoch":4.*"dram_bytes":[0-9]*' "$tmp/resumed.json") ]]
	ok $? "and the last epoch's figures: $what"
}
resumes 'dropout, batch normalisation, changed images' --net "$tmp/small.net" --shift 1 --flip
resumes 'momentum, cosine' --net "$tmp/small.net" --momentum 0.9 --lr-schedule cosine
resumes 'Adam, decay, steps' --net "$tmp/small.net" --optimizer adam --decay 0.01 --lr-schedule step:1:0.7
resumes 'widths, Adam' --optimizer adam 4-3-2
refuses 1 'another training' 'a checkpoint of other settings' "${tiny[@]}" --resume "$tmp/checkpoint" --optimizer adam --lr 0.7 4-3-2
refuses 1 'not a checkpoint' 'parameters are no checkpoint' "${tiny[@]}" --resume "$tmp/saved" --net "$tmp/small.net"
refuses 1 "$tmp/rubbish" 'a checkpoint that is none' "${tiny[@]}" --resume "$tmp/rubbish" 4-2
head -c 300 "$tmp/checkpoint" >"$tmp/torn"
refuses 1 "$tmp/torn" 'a checkpoint that is torn' "${tiny[@]}" --resume "$tmp/torn" --optimizer adam 4-3-2
refuses 1 "$tmp/no/where: cannot be written" 'says before it trains that checkpoints have no place' "${tiny[@]}" --checkpoint "$tmp/no/where" 4-2

# Interrupted, it ends the step, saves, and says so by its exit status.
for signal in INT:130 TERM:143; do
	rm -f "$tmp/stopped"
	"$train" "${tiny[@]}" --epochs 1000000 --save "$tmp/stopped" 4-3-2 >/dev/null 2>"$tmp/err" &
	pid=$!
	sleep 1
	kill -"${signal%:*}" $pid
	wait $pid
	(($? == ${signal#*:})) && [[ -s $tmp/stopped ]] && grep -q "interrupted.*$tmp/stopped" "$tmp/err"
	ok $? "saves at SIG${signal%:*}, and says where"
done
finish
