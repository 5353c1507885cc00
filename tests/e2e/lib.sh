# SPDX-License-Identifier: MIT
# For end-to-end tests: TAP, a directory of one's own, and the programs. Sourced by *.t in the top directory.
# shellcheck shell=bash

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
build=${BUILD_DIR:-$PWD/build}
train=$build/bin/igrad-train
tmp=$(mktemp -d "${TMPDIR:-/tmp}/igrad-e2e.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
number=0 failed=0
unset IGRAD_DEVICE IGRAD_DATA

# ok CONDITION-STATUS DESCRIPTION
ok() {
	number=$((number + 1))
	if (($1 == 0)); then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		failed=1
	fi
}

note() { sed 's/^/# /'; }

# same A B DESCRIPTION: two files have the same bytes
same() {
	cmp "$1" "$2" 2>&1 | note
	cmp -s "$1" "$2"
	ok $? "$3"
}

finish() {
	echo "1..$number"
	exit "$failed"
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}
