# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Debian packages as a source of files: a private apt, one root for each suite, that lives in the cache. It takes the
# mirror (and proxy settings) from this machine's own apt, and neither reads nor writes anything else of it.

# The archive that this machine itself installs from. apt answers, so both formats of its sources work.
mirror() {
	local uri suite=$1
	uri=$(apt-get indextargets --format '$(RELEASE) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk -v s="$suite" '$1 == s || $2 == s { print $3; exit }')
	[[ -n $uri ]] || die "no apt source of this machine has Debian's $suite: name a mirror in /etc/apt/sources.list, and run apt-get update"
	printf '%s\n' "${uri%/}"
}

# apt_root SUITE: make the private root ready and its index fresh. apt_get and apt_cache then use it; no other step does
# until this one ends.
apt_root() {
	local suite=$1 uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	root=$cache/apt/$suite
	mkdir -p "$root"/{lists/partial,archives/partial,state}
	exec {apt_lock}>"$root/lock"
	flock "$apt_lock"
	: >"$root/state/status"
	[[ -r $keyring ]] || die "$keyring is missing; install the package debian-archive-keyring"
	uri=$(mirror "$(host_suite)")
	printf '%s [signed-by=%s] %s %s main\n' deb "$keyring" "$uri" "$suite" \
		deb-src "$keyring" "$uri" "$suite" >"$root/sources.list"
	apt_config "$root" >"$root/apt.conf"
	# Another step may have read it a moment ago.
	[[ -z $(find "$root/fresh" -newermt '10 minutes ago' 2>/dev/null) ]] || return 0
	say "reading the package index of $suite from $uri"
	apt_get update >"$root/update.log" 2>&1 || {
		grep -E '^(E|W|Err)' "$root/update.log" | head -n 5 >&2 || true
		die "cannot read the package index of $suite from $uri (is the network up?)"
	}
	touch "$root/fresh"
}

apt_config() {
	cat <<-CONF
		Dir::Etc::sourcelist "$1/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::State "$1/state";
		Dir::State::lists "$1/lists";
		Dir::State::status "$1/state/status";
		Dir::Cache "$1";
		Dir::Cache::archives "$1/archives";
		Dir::Cache::pkgcache "$1/pkgcache.bin";
		Dir::Cache::srcpkgcache "$1/srcpkgcache.bin";
		APT::Sandbox::User "$(id -un)";
		APT::Update::Error-Mode "any";
		APT::Get::List-Cleanup "false";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::http::Timeout "30";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Post-Invoke;
	CONF
}

apt_get() { apt-get -c "$root/apt.conf" "$@"; }
apt_cache() { apt-cache -c "$root/apt.conf" "$@"; }

# fetch DIR WHAT ARGUMENT...: an apt-get that downloads into DIR; what it says goes to a log
fetch() {
	local dir=$1 what=$2 log=$root/fetch.log
	shift 2
	(cd "$dir" && apt_get "$@") >"$log" 2>&1 && return
	grep -E '^(E|W|Err)' "$log" | head -n 5 >&2 || true
	die "downloading $what failed, see $log"
}

# field PACKAGE FIELD: one field of the newest version of a package in the root's suite.
field() {
	local value
	value=$(apt_cache show --no-all-versions "$1" 2>/dev/null | sed -n "s/^$2: //p" | head -n 1)
	[[ -n $value ]] || die "the package $1 is not in ${root##*/}"
	printf '%s\n' "$value"
}

# depends PACKAGE PATTERN: the first dependency of PACKAGE whose name matches.
depends() {
	local found
	found=$(field "$1" Depends | tr ',|' '[\n*]' | sed 's/^ *//; s/ .*//' | grep -E -m 1 "^$2\$") ||
		die "$1 does not depend on anything like $2"
	printf '%s\n' "$found"
}

# unpack DIR PACKAGE...: download and unpack packages, without installing them.
unpack() {
	local dir=$1 deb
	shift
	mkdir -p "$dir" "$tmp/debs"
	fetch "$tmp/debs" "$*" download "$@"
	for deb in "$tmp"/debs/*.deb; do
		dpkg -x "$deb" "$dir" 2>"$tmp/unpack.log" || {
			tail -n 3 "$tmp/unpack.log" >&2
			die "unpacking ${deb##*/} failed"
		}
	done
	rm -rf "$tmp/debs"
}
