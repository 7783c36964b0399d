#!/bin/sh
# Runs every fuzz target of the module for the given time each, or those whose names match. Usage: fuzz.sh 60s [NAME]
set -eu
time=${1:-60s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
grep -rlE '^func Fuzz' --include '*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -hoE "^func Fuzz[A-Za-z0-9_]*${2:-}[A-Za-z0-9_]*" "$dir"/*_test.go | sed 's/^func //' | while read -r target; do
		echo "== $dir $target $time"
		if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$dir" >"$out" 2>&1; then
			# The end of the time alone is sometimes taken for a failure by the tool: nothing was found then.
			grep -q 'context deadline exceeded' "$out" && ! grep -qE 'Failing input|panic|_test.go:' "$out" || { cat "$out"; exit 1; }
		fi
		tail -n 1 "$out"
	done
done
