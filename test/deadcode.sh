#!/bin/sh
# Fails when a function of the program is reached by no command, but for those that test/deadcode.txt lists with a reason.
# Usage: deadcode.sh TOOL@VERSION
set -eu
out=$(mktemp)
trap 'rm -f "$out"' EXIT
${GO:-go} run "$1" -f '{{range .Funcs}}{{printf "%s %s\n" $.Path .Name}}{{end}}' ./cmd/moongate |
	sed 's,^github.com/moongate-vpn/moongate/,,; /^$/d; /^daemon\/tls[ \/]/d' | sort >"$out" # the fork of crypto/tls is kept whole
new=$(grep -vxFf test/deadcode.txt "$out" || true)
if [ -n "$new" ]; then
	echo "only tests reach these functions, or nothing does:"
	echo "$new"
	echo "Delete them, or give the reason to keep them in test/deadcode.txt."
	exit 1
fi
gone=$(grep -v '^#' test/deadcode.txt | grep -vxFf "$out" || true)
if [ -n "$gone" ]; then
	echo "test/deadcode.txt lists functions that are gone or in use:"
	echo "$gone"
	exit 1
fi
