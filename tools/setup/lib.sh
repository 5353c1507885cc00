# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What every set-up step shares: where the cache is, how to speak, how to lock, how to publish a result.

cache=$(realpath -m "${IGRAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/igrad}")
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD_DIR:-$top/build}
PATH=$PATH:/usr/sbin:/sbin
jobs=${JOBS:-$(nproc)}

say() { printf 'igrad: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# Code name of the Debian that this machine runs; anything else is refused here and nowhere later.
host_suite() {
	local VERSION_CODENAME=unknown PRETTY_NAME=unknown
	# shellcheck disable=SC1091
	[[ ! -r /etc/os-release ]] || . /etc/os-release
	case $VERSION_CODENAME in
	bookworm | trixie) printf '%s\n' "$VERSION_CODENAME" ;;
	*) die "this is $PRETTY_NAME; the set-up knows Debian 12 (bookworm) and Debian 13 (trixie)" ;;
	esac
}

# The suite that the guest kernel comes from: the first one with Linux 6.12 for this Debian.
kernel_suite() {
	case $(host_suite) in
	bookworm) echo bookworm-backports ;;
	*) echo trixie ;;
	esac
}

# What names of QEMU's parts in the cache begin with: that of Debian 13, or the newest one.
qemu=qemu
[[ -z ${QEMU_NEWEST:-} ]] || qemu="qemu-newest"

# The suite that has the newest kernel of all, and runs on what this Debian or the next one has.
newest_kernel_suite() { echo trixie-backports; }

free_mb() { df -Pm "$1" | awk 'NR == 2 { print $4 }'; }

make_cache() {
	mkdir -p "$cache" 2>/dev/null || die "cannot create the cache directory $cache (set IGRAD_CACHE= to one that is writable)"
	[[ -w $cache ]] || die "the cache directory $cache is not writable (set IGRAD_CACHE= to one that is)"
}

# need_mb N WHAT: refuse before starting what the disk cannot hold.
need_mb() {
	local free
	free=$(free_mb "$cache")
	((free >= $1)) || die "$2 needs about $1 MB in $cache, but only $free MB are free (make room, or set IGRAD_CACHE= to a directory with more)"
}

# begin NAME: start a step. One process at a time runs a step of that name on this cache; the others wait. Sets
# $tmp to an empty directory in the cache that is removed when the step ends, however it ends.
begin() {
	step=$1
	make_cache
	exec {lock}>"$cache/.lock-$step" || die "cannot write to the cache $cache (full?)"
	if ! flock -n "$lock"; then
		say "$step: waiting for another process that is preparing it"
		flock "$lock"
	fi
	tmp=$cache/.tmp-$step
	# Whatever is there was left by a step that was killed: nobody else holds the lock.
	rm -rf "$tmp"
	mkdir "$tmp" 2>/dev/null || die "cannot write to the cache $cache: $(free_mb "$cache") MB free"
	trap finish EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

finish() {
	local code=$? free
	free=$(free_mb "$cache")
	rm -rf "$tmp"
	if ((code != 0 && code < 128)); then
		((free >= 20)) || say "$step: the disk that holds $cache is full (make room, or set IGRAD_CACHE= to a directory with more)"
		say "$step: failed; nothing half-done is used, the next run does it again"
	fi
	exit "$code"
}

# publish DIR NAME: make a finished directory visible under its final name, all at once.
publish() {
	sync -f "$1"
	[[ ! -e $cache/$2 ]] || rm -rf "${cache:?}/$2"
	mv -T "$1" "$cache/$2"
}

# point LINK NAME: let a name in the cache stand for the newest version, all at once.
point() {
	ln -sfn "$2" "$tmp/link"
	mv -T "$tmp/link" "$cache/$1"
}

# file_version VERSION: a Debian version as part of a file name.
file_version() { printf '%s\n' "${1#*:}"; }
