# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Copying by contents: a file whose contents are there already is left alone, time stamp and all; any other gets the
# time of now. A build system behind these sees every difference and no other, whatever the originals' times are.

# write FILE: standard input becomes FILE, never in place (it may be a hard link).
write() {
	local new=$1.igrad-new
	cat >"$new"
	if cmp -s "$new" "$1"; then
		rm "$new"
	else
		mv "$new" "$1"
	fi
}

# copy_flat FROM TO: the .c and .h files of one directory.
copy_flat() {
	local file
	for file in "$1"/*.[ch]; do
		[[ ! -f $file ]] || write "$2/${file##*/}" <"$file"
	done
}

# copy_tree FROM TO: every file below FROM, links followed; what FROM does not have goes.
copy_tree() {
	local from=$1 to=$2 file
	mkdir -p "$to"
	while IFS= read -r -d '' file; do
		mkdir -p "$to/$(dirname "$file")"
		write "$to/$file" <"$from/$file"
	done < <(cd "$from" && find -L . -name '.*.sw?' -prune -o -type f -printf '%P\0')
	while IFS= read -r -d '' file; do
		[[ -e $from/$file ]] || rm -f "$to/$file"
	done < <(cd "$to" && find . -type f -printf '%P\0')
}
