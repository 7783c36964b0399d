#!/bin/sh
# Runs interop tests against stock 2.7 as well, in both roles. Where 2.7 cannot be had it says so and ends well.
# Usage: second-stock.sh [all]     all: what takes longer, too
set -eu
cd "$(dirname "$0")/.."
if ! stock=$(sh test/openvpn27.sh); then
	echo "NOT TESTED against stock 2.7: test/openvpn27.sh could not unpack it" >&2
	exit 0
fi
# Both roles: transports, control channel wrapping, ciphers, peers without a pull, renewals, roaming, tokens, passwords, TAP, reload.
# Tests that compare words with stock's (…LikeStock) follow 2.6 and are not here; the conversations of test/conformance are.
run='TestClientAgainstStockServer|TestServerWithClient|TestPeersWithoutPull|TestClientRenews|TestClientUsesItsToken'
run="$run|TestServerIssuesTokens|TestServerVerifiesPasswords|TestServerFollowsAClientThatMoves|TestTapServer|TestTapClient|TestReloadKeepsClients"
run="$run|TestSeveralListeners|TestServerMovesItsListeners"
if [ "${1:-}" = all ]; then
	run="$run|TestClientLosesNothingOverRenewals|TestServerRenewals|TestClientInBadWeather|TestTokenMatrix"
fi
MOONGATE_STOCK=$stock ${GO:-go} test -race -count 1 -parallel 5 -timeout 9m ./test ./test/conformance -run "^($run|TestConformance|TestCommandsOfStock)\$"
MOONGATE_STOCK=$stock ${GO:-go} test -race -count 1 -parallel 5 -timeout 5m ./cmd/moongate -run '^TestConnect(Ends)?$/^stock$'
