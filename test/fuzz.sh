#!/bin/sh
# Runs every fuzz target of the module for the given time each, or those whose names match. Usage: fuzz.sh 60s [NAME]
set -eu
time=${1:-60s}
grep -rlE '^func Fuzz' --include '*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -hoE "^func Fuzz[A-Za-z0-9_]*${2:-}[A-Za-z0-9_]*" "$dir"/*_test.go | sed 's/^func //' | while read -r target; do
		echo "== $dir $target $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$dir"
	done
done
