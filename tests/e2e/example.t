#!/bin/bash
# SPDX-License-Identifier: MIT
# The program of the documentation, built as a stranger would build it; with another array it counts other cycles.
. "$(dirname "$0")/lib.sh"

cp examples/layer.c "$tmp"
# shellcheck disable=SC2046
(cd "$tmp" && PKG_CONFIG_PATH=$build/lib/pkgconfig "${CC:-cc}" layer.c $(PKG_CONFIG_PATH=$build/lib/pkgconfig pkg-config --cflags --libs igrad) -o layer) >"$tmp/log" 2>&1
code=$?
note <"$tmp/log"
ok $code 'builds outside the tree'

"$tmp/layer" sim:rows=32,cols=32 >"$tmp/32" 2>&1
ok $? 'runs'
(($(grep -c 'cycles.*SRAM accesses' "$tmp/32") == 5))
ok $? 'shows every schedule'
"$tmp/layer" sim:rows=16,cols=16 >"$tmp/16" 2>&1
! cmp -s "$tmp/16" "$tmp/32"
ok $? 'another array, other figures'
! "$tmp/layer" sim:rows=none >"$tmp/out" 2>"$tmp/err" && grep -q rows "$tmp/err"
ok $? 'says what is wrong with a device'
finish
